"""Hebb's rule, which has no end, and Oja's, which finds the first principal component."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from deepclassics.data.streams import Columns, InOrder
from deepclassics.errors import UserError
from deepclassics.host import Host
from deepclassics.learn import Clock, look
from deepclassics.loop import carry_out
from deepclassics.recipe import find
from deepclassics.report import page
from deepclassics.run import Run
from deepclassics.schedules import constant
from deepclassics.systems.foundations.hebb import FIRST, Hebbian, Neuron, components, cosine, facts, hebbian, ojas

HOST = Host(device="cpu", threads=1)


def correlated(count: int = 400) -> Tensor:
    generator = torch.Generator().manual_seed(5)
    mixed = torch.tensor([[2.0, 0.3, 0.0], [1.0, 0.8, 0.1], [-1.0, 0.2, 0.5]])
    return torch.randn(count, 3, generator=generator) @ mixed.T


def learn(x: Tensor, rule: str, lr: float, steps: int, limit: float = 1e12) -> tuple[Hebbian, list[float]]:
    torch.manual_seed(0)
    known = facts(Columns(features=x))
    learner = Hebbian(Neuron(known["centre"], known["scale"]), rule, lr, constant, limit)  # type: ignore[arg-type]
    norms = []
    for step in range(steps):
        row = step % len(x)
        norms.append(float(learner.step({"features": x[row : row + 1]}, Clock(step, steps, len(x)))["norm"]))
        if learner.done:
            break
    return learner, norms


def test_a_weight_grows_just_where_both_are_active() -> None:
    """C136 hebb3, S002 synapse-learning: two units that fire together strengthen their link."""
    for before, after in itertools.product([0.0, 1.0], repeat=2):
        change = float(hebbian(torch.tensor([[before]]), torch.tensor([after]))[0])
        assert (change > 0) == (before == after == 1)
        assert change >= 0


def test_under_hebb_the_norm_never_falls_and_doubles_again_and_again() -> None:
    """S006 hebb, C042 hebb-unst."""
    learner, norms = learn(correlated(), "hebb", 0.05, 700)
    assert all(later >= earlier * (1 - 1e-6) for earlier, later in itertools.pairwise(norms))
    assert norms[-1] > 2**10 * FIRST
    largest, directions = components(learner.model.heard(correlated()).detach())
    assert cosine(learner.model.weight.detach(), directions[0]) > 0.99
    pace = (np.log(norms[-1]) - np.log(norms[-401])) / 400
    assert pace == pytest.approx(float(torch.log1p(0.05 * largest[0])), rel=0.1)  # once through all examples


def test_oja_comes_to_rest_along_the_first_component_at_norm_1() -> None:
    """Oja 1982: the only stable point is the first eigenvector, of length 1."""
    learner, norms = learn(correlated(), "oja", 0.01, 4000)
    _, directions = components(learner.model.heard(correlated()).detach())
    assert cosine(learner.model.weight.detach(), directions[0]) > 0.999
    assert norms[-1] == pytest.approx(1, abs=0.02)
    heard = learner.model.heard(correlated()).detach().double()
    for direction in directions:  # the mean change is 0 at every unit eigenvector
        assert float(ojas(heard, heard @ direction, direction).norm()) < 1e-6


def test_oja_is_hebb_normalised_to_first_order() -> None:
    """Oja 1982, eq. 2 and 3: (w + lr y x) / |w + lr y x| = w + lr y (x - y w) + O(lr²) for |w| = 1."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(1, 6, generator=generator, dtype=torch.float64)
    w = torch.nn.functional.normalize(torch.randn(6, generator=generator, dtype=torch.float64), dim=0)
    y = x @ w
    for lr in (1e-3, 1e-4):
        moved = w + lr * hebbian(x, y)
        assert float((moved / moved.norm() - (w + lr * ojas(x, y, w))).norm()) < 100 * lr**2


def test_components_are_those_of_numpy() -> None:
    x = correlated()
    x = (x - x.mean(0)).double()
    spread, directions = components(x)
    _, singular, right = np.linalg.svd(x.numpy(), full_matrices=False)
    np.testing.assert_allclose(spread.numpy(), singular**2 / len(x))
    for ours, theirs in zip(directions, right, strict=True):
        assert cosine(ours, torch.tensor(theirs)) == pytest.approx(1)


def test_fewer_examples_than_features_have_components_too() -> None:
    spread, directions = components(torch.eye(2, 5))
    assert spread.tolist() == [0.5, 0.5, 0, 0, 0]
    assert directions.shape == (5, 5)


def test_the_run_by_default_reaches_the_component(tmp_path: Path) -> None:
    result = carry_out(find("hebb")(), tmp_path / "run", HOST)
    assert result["scores"]["train/cosine"] > 0.999
    assert result["scores"]["train/norm"] == pytest.approx(1, abs=0.01)


def test_hebb_ends_in_order_and_says_why(tmp_path: Path) -> None:
    result = carry_out(find("hebb")(rule="hebb"), tmp_path / "run", HOST)
    assert result["ended"] == "done"
    assert result["scores"]["train/norm"] > 1e6
    assert result["scores"]["train/cosine"] > 0.99
    assert "doubled 23.3 times" in result["remarks"][1]
    assert "the run was ended" in result["remarks"][1]
    page.write(Run.open(tmp_path / "run"))
    assert "Not drawn" not in (tmp_path / "run/report/index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("rule", ["hebb", "oja"])
def test_no_rate_leads_to_numbers_that_are_none(rule: str, tmp_path: Path) -> None:
    result = carry_out(find("hebb")(rule=rule, lr=1e30, limit=1e12, epochs=1), tmp_path / "run", HOST)
    assert result["ended"] == "done"
    assert all(np.isfinite(value) for value in result["scores"].values())
    told = "has doubled" if rule == "hebb" else "Begin again with --lr below"
    assert told in result["remarks"][1]


def test_pictures_are_learnt_and_drawn(tmp_path: Path) -> None:
    result = carry_out(find("hebb")(data="digits", epochs=3), tmp_path / "run", HOST)
    assert result["scores"]["train/cosine"] > 0.95
    text = page.write(Run.open(tmp_path / "run")).read_text(encoding="utf-8")
    assert "Not drawn" not in text
    assert "The weights as a picture" in text


def test_the_loss_is_what_the_direction_leaves_over() -> None:
    model = Neuron([0.0, 0.0], 1.0)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([3.0, 0.0]))
    stream = InOrder(Columns(features=torch.tensor([[3.0, 1.0], [0.0, 2.0], [1.0, -1.0]])))
    scores = look(Hebbian(model, "oja", 0.1, constant, 1e6), stream)
    assert scores == {"loss": pytest.approx(6 / 16), "norm": 3.0}


def test_examples_that_are_all_the_same_are_refused() -> None:
    with pytest.raises(UserError, match="The examples must differ from each other"):
        facts(Columns(features=torch.ones(5, 3)))
