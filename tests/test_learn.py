"""The learners' tools: apply and descend, clipping, boxes, looking without a trace, truncated backpropagation."""

import pytest
import torch
import torch.distributed as dist
from torch import nn

from deepclassics.data.streams import Chunks, Columns, InOrder
from deepclassics.learn import (
    Backprop,
    Box,
    Clock,
    TruncatedBackprop,
    apply,
    descend,
    look,
    optimizer,
    settle,
    untraced,
)

THEIRS = {
    "sgd": "SGD",
    "momentum": "SGD",
    "nesterov": "SGD",
    "adagrad": "Adagrad",
    "rmsprop": "RMSprop",
    "adadelta": "Adadelta",
    "adam": "Adam",
    "adamw": "AdamW",
}


def linear(seed: int = 0) -> nn.Linear:
    torch.manual_seed(seed)
    return nn.Linear(3, 2)


def squares(model: nn.Module, batch: dict) -> dict:
    return {"loss": (model(batch["x"]) - batch["y"]).square().mean()}


BATCH = {"x": torch.randn(8, 3, generator=torch.Generator().manual_seed(1)), "y": torch.ones(8, 2)}


@pytest.mark.parametrize("name", THEIRS)
def test_every_optimizer_by_name_is_torchs(name: str) -> None:
    theirs = getattr(torch.optim, THEIRS[name])
    extra = {
        "momentum": {"momentum": 0.9},
        "nesterov": {"momentum": 0.9, "nesterov": True},
        "adamw": {"weight_decay": 0.0},
    }
    one, other = linear(), linear()
    ours, plain = optimizer(name, one, 0.01), theirs(other.parameters(), 0.01, **extra.get(name, {}))
    for _ in range(5):
        descend(ours, squares(one, BATCH)["loss"])
        plain.zero_grad()
        squares(other, BATCH)["loss"].backward()
        plain.step()
    for mine, its in zip(one.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(mine, its)


def test_l2_adds_the_weight_to_the_gradient_and_spares_the_bias() -> None:
    model = linear()
    weight, bias = model.weight.detach().clone(), model.bias.detach().clone()
    rule = optimizer("sgd", model, lr=0.1, l2=0.5)
    model.weight.grad, model.bias.grad = torch.zeros_like(weight), torch.zeros_like(bias)
    apply(rule)
    torch.testing.assert_close(model.weight, weight * (1 - 0.1 * 0.5))
    torch.testing.assert_close(model.bias, bias)


def test_l1_adds_the_sign_of_the_weight() -> None:
    plain, lasso = linear(), linear()
    for model, l1 in ((plain, 0.0), (lasso, 0.3)):
        Backprop(model, squares, optimizer("sgd", model, 0.1), l1=l1).step(BATCH, Clock(0, 1, 1))
    start = linear()
    torch.testing.assert_close(lasso.weight, plain.weight - 0.1 * 0.3 * start.weight.sign())
    torch.testing.assert_close(lasso.bias, plain.bias)


def test_clips_by_value_on_both_sides() -> None:
    """S127, E029: the notes print a one-sided clip; -7 must become -5 as 7 becomes 5."""
    model = nn.Linear(2, 1, bias=False)
    before = model.weight.detach().clone()
    model.weight.grad = torch.tensor([[-7.0, 7.0]])
    apply(torch.optim.SGD(model.parameters(), 1.0), clip_value=5.0)
    torch.testing.assert_close(model.weight, before + torch.tensor([[5.0, -5.0]]))


def test_clips_by_norm() -> None:
    model = nn.Linear(2, 1, bias=False)
    before = model.weight.detach().clone()
    model.weight.grad = torch.tensor([[3.0, 4.0]])
    apply(torch.optim.SGD(model.parameters(), 1.0), clip_norm=1.0)
    torch.testing.assert_close(model.weight, before - torch.tensor([[0.6, 0.8]]), atol=1e-5, rtol=0)


def test_who_has_no_gradient_is_left_out_where_ranks_are_averaged() -> None:
    still, moved, last = (nn.Parameter(torch.zeros(size)) for size in (3, 2, 1))
    moved.grad, last.grad = torch.tensor([3.0, 4.0]), torch.tensor([12.0])
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        settle([still, moved, last], clip_norm=1.0)
        settle([still])
    finally:
        dist.destroy_process_group()
    assert still.grad is None
    torch.testing.assert_close(moved.grad, torch.tensor([3.0, 4.0]) / 13)
    torch.testing.assert_close(last.grad, torch.tensor([12.0]) / 13)


def test_a_look_counts_every_example_once_and_leaves_no_trace() -> None:
    model = nn.Sequential(linear(), nn.Dropout(0.5))
    learner = Backprop(model, squares, optimizer("sgd", model, 0.1))
    stream = InOrder(Columns(**BATCH), batch=3)  # 3, 3 and 2 examples
    state = torch.get_rng_state()
    scores = look(learner, stream)
    model.eval()
    assert scores["loss"] == pytest.approx(float(squares(model, BATCH)["loss"].detach()), rel=1e-6)
    model.train()
    look(learner, stream)
    assert model.training
    assert model[1].training
    assert torch.equal(state, torch.get_rng_state())


def test_untraced_restores_modes_even_when_it_fails() -> None:
    model = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(2).eval())
    inside = []

    def fail() -> None:
        with untraced(model):
            inside.append(model.training)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert inside == [False]
    assert model.training
    assert not model[1].training


def test_a_box_gives_back_what_it_held() -> None:
    box, other = Box((torch.ones(2), 3)), Box()
    other.load_state_dict(box.state_dict())
    assert other.value[1] == 3
    assert torch.equal(other.value[0], torch.ones(2))


class Count(nn.Module):
    """A recurrent net that can be followed by hand: h = w (h + x), all scalars."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor(0.5))

    def forward(self, ids: torch.Tensor, state: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        h = torch.zeros(len(ids)) if state is None else state
        for t in range(ids.shape[1]):
            h = self.w * (h + ids[:, t])
        return h.mean(), h


def test_truncated_backpropagation_carries_the_state_and_cuts_the_gradient() -> None:
    """S198: forward values equal the unchunked run's; the gradient does not cross the border of a chunk."""

    def objective(model: nn.Module, batch: dict, state: torch.Tensor | None) -> tuple[dict, torch.Tensor]:
        loss, state = model(batch["ids"], state)
        return {"loss": loss}, state

    model = Count()
    learner = TruncatedBackprop(model, objective, torch.optim.SGD(model.parameters(), 0.0))
    ids = torch.tensor([[1.0, 2.0, 3.0, 4.0]])
    learner.step({"ids": ids[:, :2], "fresh": True}, Clock(0, 2, 2))
    carried = learner.carry.value
    assert carried.requires_grad is False
    learner.step({"ids": ids[:, 2:], "fresh": False}, Clock(1, 2, 2))
    whole = model(ids, None)[1]
    torch.testing.assert_close(learner.carry.value, whole)
    # d/dw of w (w (h + 3) + 4) with h held fixed, by hand: 2 w (h + 3) + 4.
    torch.testing.assert_close(model.w.grad, 2 * 0.5 * (carried[0] + 3) + 4)
    learner.step({"ids": ids[:, :2], "fresh": True}, Clock(2, 3, 2))
    torch.testing.assert_close(learner.carry.value, carried)


def test_chunks_continue_where_the_last_ended_and_every_target_is_the_next_character() -> None:
    text = torch.arange(1000, dtype=torch.int16)
    stream = Chunks(text, batch=4, length=10, seed=0)
    one, two = stream.at(0), stream.at(1)
    assert torch.equal(one["targets"], one["ids"] + 1)
    assert torch.equal(two["ids"][:, 0], one["targets"][:, -1])
    assert one["fresh"]
    assert not two["fresh"]
    assert stream.at(len(stream))["fresh"]
    assert not torch.equal(stream.at(len(stream))["ids"], one["ids"]), "another pass is cut at another place"
