"""The perceptron: its theorem, its limits, both forms of its rule."""

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deepclassics.data.streams import Columns, Shuffled
from deepclassics.errors import UserError
from deepclassics.host import Host
from deepclassics.learn import Clock
from deepclassics.loop import carry_out
from deepclassics.recipe import find
from deepclassics.systems.foundations.perceptron import (
    Perceptron,
    PerceptronLearner,
    meeting_point,
    mistake_bound,
    onto_plane,
    targets,
)

HOST = Host(device="cpu", threads=1)
CORNERS = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])


def learn(
    x: torch.Tensor, label: torch.Tensor, seed: int = 0, rule: str = "rosenblatt", passes: int = 1000
) -> PerceptronLearner:
    learner = PerceptronLearner(Perceptron(x.shape[1], 1), rule, lr=0.5)
    stream = Shuffled(Columns(features=x, label=label), 1, seed)
    for step in range(passes * len(x)):
        learner.step(stream.at(step), Clock(step, passes * len(x), len(x)))
        if learner.done:
            break
    return learner


def test_fourteen_of_sixteen_boolean_functions_can_be_parted() -> None:
    """S011, C002, C038, C139, E001: all but XOR and XNOR, and the rule finds all fourteen."""
    parted = []
    for number in range(16):
        label = torch.tensor([number >> bit & 1 for bit in range(4)])
        both = 0 < int(label.sum()) < 4
        apart = not both or meeting_point(CORNERS[label == 1], CORNERS[label == 0]) is None
        assert learn(CORNERS, label, passes=100).done == apart
        parted.append(apart)
    assert sum(parted) == 14
    assert not parted[0b0110]
    assert not parted[0b1001]


def test_and_has_the_bound_of_the_inventory() -> None:
    """N022: R² = 3, γ = 1/√17, bound 51; E012: γ is the margin of the best unit-norm separator."""
    label = torch.tensor([0, 0, 0, 1])
    assert mistake_bound(CORNERS, targets(label, 1)[:, 0]) == pytest.approx(51, rel=1e-3)
    assert float(learn(CORNERS, label).counts.value["mistakes"]) <= 51


def test_and_in_the_inventorys_order_takes_eleven_updates() -> None:
    """N022: from 0, in the order 00, 01, 10, 11, with φ(0) = +1: 11 updates, 6 passes, w = (2, 1), b = -3."""
    learner = PerceptronLearner(Perceptron(2, 1), "pm", lr=1.0)
    label = torch.tensor([0, 0, 0, 1])
    passes = 0
    while not learner.done:
        for row in range(4):
            learner.step(
                {"features": CORNERS[row : row + 1], "label": label[row : row + 1]}, Clock(4 * passes + row, 99, 4)
            )
        passes += 1
    assert (passes, int(learner.counts.value["mistakes"])) == (6, 11)
    assert learner.model.weight.tolist() == [[2.0, 1.0]]
    assert learner.model.bias.tolist() == [-3.0]


def test_both_forms_of_the_rule_make_the_same_decisions() -> None:
    """S009: W' = W ± X is S008 with η = 1/2 from W = 0."""
    x = torch.randn(40, 3, generator=torch.Generator().manual_seed(3))
    label = (x[:, 0] > 0.2).long()
    one, other = learn(x, label, rule="rosenblatt"), learn(x, label, rule="pm")
    assert torch.equal(one.model.weight, other.model.weight)
    assert one.counts.value["mistakes"] == other.counts.value["mistakes"]


@given(seed=st.integers(0, 10_000), n=st.integers(4, 30), dimensions=st.integers(1, 5))
@settings(max_examples=40, deadline=None)
def test_mistakes_never_exceed_the_bound(seed: int, n: int, dimensions: int) -> None:
    """S010, C061 (Novikoff 1962), on random separable sets."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, dimensions, generator=generator)
    truth = x @ torch.randn(dimensions, generator=generator)
    clear = truth.abs() > 0.1 * truth.abs().max()
    x, label = x[clear], (truth[clear] > 0).long()
    if not 0 < int(label.sum()) < len(label):
        return
    assert meeting_point(x[label == 1], x[label == 0]) is None
    learner = learn(x, label, seed)
    assert learner.done
    assert float(learner.counts.value["mistakes"]) <= mistake_bound(x, targets(label, 1)[:, 0]) * (1 + 1e-3)


def test_setosa_is_parted_within_the_bound_for_a_hundred_shuffles(tmp_path: Path) -> None:
    recipe = find("perceptron")(positive="setosa")
    data = recipe.load()
    x, label = data.train.columns["features"], data.train.columns["label"]  # type: ignore[attr-defined]
    bound = mistake_bound(x, targets(label, 1)[:, 0])
    for seed in range(100):
        learner = learn(x, label, seed)
        assert learner.done
        assert float(learner.counts.value["mistakes"]) <= bound


def test_xor_is_told_to_be_impossible_and_why(tmp_path: Path) -> None:
    result = carry_out(find("perceptron")(data="xor", epochs=20), tmp_path / "run", HOST)
    assert result["ended"] == "planned"
    told = " ".join(result["remarks"])
    assert "No threshold unit can part" in told
    assert "lies between examples of" in told


def test_the_meeting_point_lies_in_both_hulls() -> None:
    """XOR's hulls cross in the middle of the square, and nowhere else."""
    middle = meeting_point(CORNERS[[1, 2]], CORNERS[[0, 3]])
    assert middle is not None
    assert middle.tolist() == pytest.approx([0.5, 0.5])


def test_one_against_the_rest_has_a_unit_a_class() -> None:
    assert targets(torch.tensor([2, 0]), 3).tolist() == [[-1, -1, 1], [1, -1, -1]]
    recipe = find("perceptron")()
    assert recipe.model(recipe.load().spec).weight.shape == (3, 4)


def test_the_plane_of_the_picture_keeps_the_sums() -> None:
    """Where a unit's sum is 0 on the plane, it is 0 in space: the line drawn is the hyperplane's own cut."""
    x = torch.randn(20, 5, generator=torch.Generator().manual_seed(0))
    weight, bias = torch.randn(1, 5), torch.tensor([0.3])
    points, seen = onto_plane(x, [(7, {"weight": weight, "bias": bias})])
    on_plane = points @ seen[0][1]["weight"].T + seen[0][1]["bias"]
    torch.testing.assert_close(on_plane, x @ weight.T + bias)  # the plane holds the last weights, so nothing is lost


def test_numbers_and_unknown_classes_are_refused() -> None:
    with pytest.raises(UserError, match="must hold classes"):
        find("perceptron")(data="diabetes").load()
    with pytest.raises(UserError, match=r"positive must be one of setosa, versicolor, virginica; got 'rose'"):
        find("perceptron")(positive="rose").load()


def test_a_margin_too_small_for_the_solver_is_not_waited_for() -> None:
    x = torch.tensor([[1.0, 0.0], [1.0 + 1e-5, 0.0], [0.0, 1.0], [5.0, 1.0]])
    bound = mistake_bound(x, torch.tensor([-1.0, 1.0, -1.0, 1.0]))
    assert bound is None or bound > 1e8
