"""The MLP: parity with a net written out by hand, activations, both kinds of target."""

import io
import statistics
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from deepclassics.data.streams import Batch
from deepclassics.errors import UserError
from deepclassics.flags import build
from deepclassics.host import Host
from deepclassics.layers.activations import ACTIVATIONS
from deepclassics.layers.gradients import linear_backward, recursion
from deepclassics.layers.losses import pull_of_cross_entropy
from deepclassics.learn import Backprop, Clock
from deepclassics.loop import carry_out
from deepclassics.recipe import find
from deepclassics.report.page import write
from deepclassics.report.surface import moments
from deepclassics.run import Run
from deepclassics.systems.foundations.mlp import MLP, WRITTEN_RULES, Written, judge, objective

HOST = Host(device="cpu", threads=1)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_equals_the_layers_written_out(activation: str) -> None:
    """S051: f(x) = f_L(... f_2(f_1(x)))."""
    torch.manual_seed(0)
    model = MLP(4, (5, 3), 2, activation).eval()  # the noisy ReLU is the plain one then
    first, second, last = (layer for layer in model.layers if isinstance(layer, nn.Linear))
    act = ACTIVATIONS[activation]().eval()
    x = torch.randn(7, 4)
    h = act(x @ first.weight.T + first.bias)
    h = act(h @ second.weight.T + second.bias)
    torch.testing.assert_close(model(x), h @ last.weight.T + last.bias)


def test_counts_its_weights() -> None:
    """784-800-10 has 784 * 800 + 800 + 800 * 10 + 10 of them."""
    assert sum(p.numel() for p in MLP(784, (800,), 10).parameters()) == 636_010


def test_dropout_is_off_when_it_is_judged() -> None:
    model = MLP(4, (50,), 2, dropout=0.5, input_dropout=0.2)
    x = torch.randn(3, 4)
    assert not torch.equal(model(x), model(x))
    model.eval()
    assert torch.equal(model(x), model(x))


def test_numbers_are_answered_in_the_users_unit() -> None:
    torch.manual_seed(0)
    model = MLP(2, (), 1, centre=100.0, spread=10.0)
    nn.init.zeros_(model.layers[0].weight)
    batch = {"features": torch.zeros(4, 2), "number": torch.tensor([100.0, 110.0, 90.0, 100.0])}
    assert model(batch["features"]).flatten().tolist() == [100.0] * 4
    assert float(objective(model, batch)["loss"].detach()) == pytest.approx(0.5)  # (0 + 1 + 1 + 0) / 4 of the variance
    scores = judge(model, [batch])
    assert float(scores["rmse"].detach()) == pytest.approx(50**0.5)
    assert float(scores["r2"].detach()) == pytest.approx(0.0)


def test_xor_needs_the_hidden_layer(tmp_path: Path) -> None:
    """S023, S024, C139: one layer cannot, two can."""
    settings = {"data": "xor", "epochs": 800, "lr": 0.05, "schedule": "constant", "batch": 4}
    without = carry_out(find("mlp")(hidden=(), **settings), tmp_path / "without", HOST)
    within = carry_out(find("mlp")(hidden=(8,), activation="tanh", **settings), tmp_path / "within", HOST)
    assert without["scores"]["train/loss"] > 0.69
    assert within["scores"]["train/loss"] < 0.01


def test_a_number_is_learnt_about_as_well_as_by_ridge_regression(tmp_path: Path) -> None:
    """With no options at all, as the mean over five seeds, each with its own split."""
    from sklearn.linear_model import RidgeCV

    ours, theirs = [], []
    for seed in range(5):
        recipe = find("mlp")(data="diabetes", seed=seed)
        ours.append(carry_out(recipe, tmp_path / str(seed), HOST)["scores"]["test/r2"])
        data = recipe.load()
        train, test = data.train.columns, data.test.columns  # type: ignore[attr-defined]
        theirs.append(RidgeCV().fit(train["features"], train["number"]).score(test["features"], test["number"]))
    assert statistics.fmean(ours) > statistics.fmean(theirs) - 0.05, (ours, theirs)


@pytest.mark.parametrize(
    ("data", "knobs"),
    [
        ("gaussians", {"hidden": (), "lr": 0.05}),
        ("circle", {"hidden": (8,), "activation": "tanh", "lr": 0.03}),
        ("playground_xor", {"hidden": (8,), "activation": "tanh", "lr": 0.03}),
        ("spiral", {"hidden": (32, 32, 32), "epochs": 200, "lr": 0.005}),
    ],
)
def test_the_playground_is_solved_and_seen_being_learnt(data: str, knobs: dict[str, Any], tmp_path: Path) -> None:
    """Each set by a net that suits it: at most 2 % test error. The report draws what the snapshots keep."""
    result = carry_out(find("mlp")(data=data, **knobs), tmp_path, HOST)
    assert result["scores"]["test/error"] <= 0.02
    snapshots = Run.open(tmp_path).snapshots()
    assert [step for step, _ in snapshots][:1] == [0]
    assert snapshots[-1][0] == result["steps"]
    write(Run.open(tmp_path))
    assert list((tmp_path / "report").glob("*the-surface-as-it-is-learnt.png"))


def test_the_surface_of_a_number_is_seen_being_learnt(tmp_path: Path) -> None:
    table = tmp_path / "hill.csv"
    rows = [f"{x},{y},{x * x - y}" for x in range(-5, 6) for y in range(-5, 6)]
    table.write_text("\n".join(["x,y,height", *rows]))
    carry_out(find("mlp")(data=str(table), target="height", epochs=10), tmp_path / "run", HOST)
    write(Run.open(tmp_path / "run"))
    assert list((tmp_path / "run" / "report").glob("*the-surface-as-it-is-learnt.png"))


def test_a_net_of_more_features_keeps_no_snapshots(tmp_path: Path) -> None:
    carry_out(find("mlp")(data="iris", epochs=1), tmp_path, HOST)
    assert not Run.open(tmp_path).snapshots()


@pytest.mark.parametrize(("count", "places"), [(1, [0]), (2, [0, 1]), (4, [0, 1, 2, 3]), (21, [0, 2, 3, 6, 11, 20])])
def test_the_moments_shown_lie_ever_further_apart(count: int, places: list[int]) -> None:
    assert moments(count, 6) == places


# --- the backward pass written out

CASES: list[dict[str, Any]] = [
    *[{"activation": activation} for activation in ACTIVATIONS],
    *[{"activation": activation, "dropout": 0.5, "input_dropout": 0.2} for activation in ACTIVATIONS],
    *[{"optimizer": rule, "l2": l2} for rule in WRITTEN_RULES for l2 in (0.0, 0.1)],
    *[{"loss": loss, "activation": "tanh"} for loss in ("binary_cross_entropy", "squared_error")],
    *[{"number": True, "activation": activation} for activation in ("relu", "tanh")],
    {"number": True, "dropout": 0.5, "l2": 0.1, "optimizer": "momentum"},
    {"l1": 0.01},
    {"momentum": 0.0, "optimizer": "momentum"},
    {"clip_norm": 0.05},
    {"clip_value": 0.01, "optimizer": "nesterov"},
    {"schedule": "cosine", "warmup": 0.1, "optimizer": "momentum", "l1": 0.01, "l2": 0.1, "clip_norm": 0.5},
    {"hidden": ()},
    {"hidden": (7,), "input_dropout": 0.3},
    {"hidden": (6, 5, 4), "activation": "sigmoid", "loss": "squared_error", "dropout": 0.1, "optimizer": "sgd"},
]


def learners(dtype: torch.dtype = torch.float64, **knobs: Any) -> tuple[Written, Backprop, Batch]:
    """The same net under either backward pass, and a batch of 8 features for 3 classes or a number."""
    generator = torch.Generator().manual_seed(1)
    batch: Batch = {"features": torch.randn(16, 8, generator=generator, dtype=dtype)}
    if knobs.pop("number", False):
        batch["number"] = 5 + 2 * torch.randn(16, generator=generator, dtype=dtype)
        target: dict[str, Any] = {"kind": "number", "name": "y", "mean": 5.0, "std": 2.0}
    else:
        batch["label"] = torch.randint(3, (16,), generator=generator)
        target = {"kind": "class", "name": "y", "classes": ["a", "b", "c"]}
    spec = {"kind": "table", "features": 8, "target": target}
    knobs = {"hidden": (10, 6), "initial": "glorot", "lr": 0.02, "schedule": "constant", **knobs}
    found = []
    for backward in ("written", "autograd"):
        recipe = find("mlp")(backward=backward, **knobs)
        torch.manual_seed(0)
        found.append(recipe.learner(recipe.model(spec).to(dtype)))
    assert isinstance(found[0], Written)
    assert isinstance(found[1], Backprop)
    return found[0], found[1], batch


@pytest.mark.parametrize("knobs", CASES, ids=lambda knobs: " ".join(f"{key}={value}" for key, value in knobs.items()))
def test_the_written_backward_pass_equals_autograd(knobs: dict[str, Any]) -> None:
    """S084, S085, S136: over 100 updates, to 1e-6, with the same dropout masks and the same noise."""
    written, autograd, batch = learners(**knobs)
    losses = []
    for learner in (written, autograd):
        torch.manual_seed(2)
        losses.append([float(learner.step(batch, Clock(step, 100, 10))["loss"]) for step in range(100)])
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)
    for one, other in zip(written.model.parameters(), autograd.model.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)
    assert losses[0][0] != losses[0][-1]


def test_one_update_by_hand() -> None:
    """S084, S085, bp: δ² = (y - d)/B, δ¹ = (δ² W²) ∘ f'(z¹), ∂/∂W = δᵀ x, and W moves by the rate times that."""
    written, _, batch = learners(hidden=(4,), activation="sigmoid", optimizer="sgd", lr=0.5)
    first, last = (layer for layer in written.model.layers if isinstance(layer, nn.Linear))
    old = [parameter.detach().clone() for parameter in (first.weight, first.bias, last.weight, last.bias)]
    x = batch["features"]
    h = torch.sigmoid(x @ old[0].T + old[1])
    delta = torch.softmax(h @ old[2].T + old[3], 1)
    delta[torch.arange(16), batch["label"]] -= 1
    delta /= 16
    below = (delta @ old[2]) * h * (1 - h)
    written.step(batch, Clock(0, 1, 1))
    for parameter, before, gradient in zip(
        (first.weight, first.bias, last.weight, last.bias),
        old,
        (below.T @ x, below.sum(0), delta.T @ h, delta.sum(0)),
        strict=True,
    ):
        torch.testing.assert_close(parameter.detach(), before - 0.5 * gradient)


def test_layers_that_reuse_memory_find_the_gradients_of_the_plain_form() -> None:
    """S084, S085: `Dense` and `Activated` against `linear_backward` and `recursion` of `layers/gradients.py`."""
    written, _, batch = learners(hidden=(7, 5, 4), activation="tanh", clip_value=None)
    linears = [layer for layer in written.model.layers if isinstance(layer, nn.Linear)]
    weights = [layer.weight.detach().clone() for layer in linears]
    values = [batch["features"]]
    for layer in linears[:-1]:
        values.append(torch.tanh(values[-1] @ layer.weight.detach().T + layer.bias.detach()))
    _, last = pull_of_cross_entropy(values[-1] @ weights[-1].T + linears[-1].bias.detach(), batch["label"])
    deltas = recursion(last, weights, [*(1 - value.square() for value in values[1:]), torch.ones_like(last)])
    written.step(batch, Clock(0, 1, 1))
    for layer, weight, value, delta in zip(linears, weights, values, deltas, strict=True):
        _, d_weight, d_bias = linear_backward(delta, value, weight)
        torch.testing.assert_close(layer.weight.grad, d_weight)
        torch.testing.assert_close(layer.bias.grad, d_bias)


def test_the_written_pass_keeps_fp32_under_autocast() -> None:
    one, other = (learners(dtype=torch.float32)[0] for _ in range(2))
    batch = learners(dtype=torch.float32)[2]
    one.step(batch, Clock(0, 1, 1))
    with torch.autocast("cpu", torch.bfloat16):
        other.step(batch, Clock(0, 1, 1))
    assert torch.equal(one.weights, other.weights)


@pytest.mark.parametrize("l2", [0.0, 0.1])
@pytest.mark.parametrize("rule", WRITTEN_RULES)
def test_a_learner_put_back_goes_on_bit_for_bit(rule: str, l2: float) -> None:
    knobs = {"optimizer": rule, "l2": l2, "dtype": torch.float32}
    whole, cut = learners(**knobs)[0], learners(**knobs)[0]
    batch = learners(**knobs)[2]
    for step in range(3):
        whole.step(batch, Clock(step, 6, 6))
    buffer = io.BytesIO()
    torch.save({name: part.state_dict() for name, part in whole.parts().items()}, buffer)
    buffer.seek(0)
    saved = torch.load(buffer, weights_only=True)
    for name, part in cut.parts().items():
        part.load_state_dict(saved[name])
    for step in range(3, 6):
        whole.step(batch, Clock(step, 6, 6))
        cut.step(batch, Clock(step, 6, 6))
    assert all(map(torch.equal, whole.model.parameters(), cut.model.parameters()))


def test_auto_says_what_it_chose() -> None:
    classes = {"target": {"kind": "class"}}
    number = {"target": {"kind": "number"}}
    recipe = find("mlp")
    assert recipe().chosen(classes) == {
        "loss": "cross_entropy",
        "initial": "he, outputs glorot",
        "backward": "written",
    }
    assert recipe(activation="tanh").chosen(number)["initial"] == "glorot, outputs zeros"
    assert recipe(activation="tanh").chosen(number)["loss"] == "squared_error"
    assert recipe(batch_norm=True).chosen(classes)["backward"] == "autograd"
    assert recipe(optimizer="adagrad").chosen(classes)["backward"] == "autograd"
    assert recipe(loss="squared_error", initial="orthogonal", backward="autograd").chosen(classes) == {}
    assert recipe(activation="tanh").starts(number) == ("glorot", "zeros")
    assert recipe(initial="orthogonal").starts(number) == ("orthogonal", "orthogonal")


@pytest.mark.parametrize("knobs", [{"batch_norm": True}, {"optimizer": "rmsprop"}])
def test_what_the_written_pass_does_not_cover_is_refused(knobs: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="backward must be auto or autograd"):
        build(find("mlp"), {"backward": "written", **knobs}, "mlp")


def test_the_net_of_a_number_begins_with_the_mean() -> None:
    recipe = find("mlp")(data="diabetes")
    spec = recipe.load().spec
    answered = recipe.model(spec)(torch.randn(5, spec["features"]))
    assert answered.flatten().tolist() == pytest.approx([spec["target"]["mean"]] * 5)


def test_a_number_has_no_cross_entropy() -> None:
    with pytest.raises(UserError, match="squared_error"):
        find("mlp")(data="diabetes", loss="cross_entropy").load()


@pytest.mark.parametrize("loss", ["binary_cross_entropy", "squared_error"])
def test_sigmoid_outputs_learn_classes_and_answer_with_shares(loss: str, tmp_path: Path) -> None:
    """S055, S072, S073."""
    recipe = find("mlp")(data="iris", hidden=(16,), loss=loss, epochs=100, lr=0.01)
    result = carry_out(recipe, tmp_path, HOST)
    assert result["scores"]["test/error"] < 0.15
    model = recipe.model(recipe.load().spec)
    answer = recipe.answer(model, {"features": torch.randn(7, 4) * 100}, None)
    torch.testing.assert_close(answer["probability"].sum(1), torch.ones(7))
