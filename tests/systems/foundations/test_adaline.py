"""Adaline: LMS, and the least squares it goes to."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from deepclassics.data.streams import Columns, InOrder, Shuffled
from deepclassics.host import Host
from deepclassics.learn import Clock, look
from deepclassics.loop import carry_out
from deepclassics.recipe import find
from deepclassics.report import page
from deepclassics.run import Run
from deepclassics.schedules import NAMED, constant
from deepclassics.systems.foundations.adaline import LMS, Adaline, distance, least_squares, power

HOST = Host(device="cpu", threads=1)


def clouds(count: int = 200) -> tuple[Tensor, Tensor]:
    """Two clouds that overlap (S012)."""
    generator = torch.Generator().manual_seed(2)
    label = torch.arange(count) % 2
    return torch.randn(count, 2, generator=generator) + 1.5 * label[:, None], label


def test_a_step_goes_down_the_gradient_of_half_the_squared_error() -> None:
    """S012 adaline: Δw = η (d - z) x, averaged over a batch."""
    torch.manual_seed(0)
    model = Adaline(4, 3)
    with torch.no_grad():
        model.weight.normal_()
        model.bias.normal_()
    batch = {"features": torch.randn(7, 4), "label": torch.randint(3, (7,))}
    loss = (model.wanted(batch) - model(batch["features"])).square().sum() / 2 / 7
    expected = [
        p - 0.1 * g
        for p, g in zip(model.parameters(), torch.autograd.grad(loss, list(model.parameters())), strict=True)
    ]
    LMS(model, 0.1, constant).step(batch, Clock(0, 1, 1))
    for got, wanted in zip(model.parameters(), expected, strict=True):
        torch.testing.assert_close(got, wanted)


@pytest.mark.parametrize(("share", "falls"), [(0.9, True), (1.1, False)])
def test_the_whole_batch_descends_below_two_over_the_largest_eigenvalue(share: float, falls: bool) -> None:
    """S012: the loss falls monotonically for η < 2/λ_max, and above it grows without bound."""
    x, label = clouds()
    augmented = torch.cat([x, torch.ones(len(x), 1)], 1)
    largest = float(torch.linalg.eigvalsh(augmented.T @ augmented / len(x))[-1])
    learner = LMS(Adaline(2, 1), share * 2 / largest, constant)
    losses = [float(learner.step({"features": x, "label": label}, Clock(k, 99, 1))["loss"]) for k in range(60)]
    assert all(later <= earlier + 1e-6 for earlier, later in itertools.pairwise(losses)) == falls
    assert (losses[-1] > 10 * losses[0]) == (not falls)


@given(seed=st.integers(0, 1000), count=st.integers(1, 30), features=st.integers(1, 6), units=st.integers(1, 3))
@settings(max_examples=25, deadline=None)
def test_least_squares_are_those_of_numpy(seed: int, count: int, features: int, units: int) -> None:
    """And the shortest of all solutions where there are several, as with fewer examples than weights."""
    generator = torch.Generator().manual_seed(seed)
    x, d = torch.randn(count, features, generator=generator), torch.randn(count, units, generator=generator)
    weight, bias = least_squares(x, d)
    augmented = np.hstack([x.double().numpy(), np.ones((count, 1))])
    expected = np.linalg.lstsq(augmented, d.double().numpy(), rcond=None)[0].T
    np.testing.assert_allclose(torch.cat([weight, bias[:, None]], 1).numpy(), expected, atol=1e-8)


def test_it_converges_to_the_least_squares(tmp_path: Path) -> None:
    """S012: relative error at most 1e-2 with a decaying rate."""
    result = carry_out(find("adaline")(), tmp_path / "run", HOST)
    assert result["scores"]["train/distance"] <= 1e-2
    assert 0 <= result["scores"]["train/excess"] < 1e-3
    assert "of their length away from the best" in result["remarks"][0]


def test_a_constant_rate_goes_on_trembling() -> None:
    """Widrow and Lehr 1990: the misadjustment is in proportion to the rate."""
    x, label = clouds(60)
    columns = Columns(features=x, label=label)
    stream, steps, far = Shuffled(columns, 1, 0), 60 * 60, {}
    for course in ("constant", "linear"):
        learner = LMS(Adaline(2, 1), 0.2 / power(columns), NAMED[course])
        for step in range(steps):
            learner.step(stream.at(step), Clock(step, steps, 60))
        exact = least_squares(x, learner.model.wanted({"label": label}))
        far[course] = distance(learner.model.weight.detach(), learner.model.bias.detach(), exact)
    assert far["linear"] <= 1e-2
    assert far["constant"] > 3 * far["linear"]


def test_from_zero_it_never_leaves_the_span_of_the_examples() -> None:
    """A feature twice over: of all least squares it goes to the shortest, with equal weights."""
    x, label = clouds(60)
    x = torch.cat([x, x[:, :1]], 1)
    learner = LMS(Adaline(3, 1), 0.1, constant)
    batch = {"features": x, "label": label}
    for step in range(3000):
        learner.step(batch, Clock(step, 3000, 1))
    exact = least_squares(x, learner.model.wanted(batch))
    assert float(exact[0][0, 0]) == pytest.approx(float(exact[0][0, 2]))
    assert distance(learner.model.weight.detach(), learner.model.bias.detach(), exact) < 1e-3


def test_numbers_are_learnt_in_their_unit(tmp_path: Path) -> None:
    result = carry_out(find("adaline")(data="diabetes", epochs=20, batch=4), tmp_path / "run", HOST)
    assert result["scores"]["test/rmse"] == pytest.approx(54, abs=3)
    recipe = find("adaline")(data="diabetes")
    data = recipe.load()
    model = recipe.model(data.spec)
    first = recipe.answer(model, data.train.at(0), None)["number"].tolist()
    assert first == pytest.approx([data.spec["target"]["mean"]])
    text = page.write(Run.open(tmp_path / "run")).read_text(encoding="utf-8")
    assert "Not drawn" not in text
    assert "Predicted against true" in text


@pytest.mark.parametrize("knobs", [{}, {"data": "digits"}, {"data": "xor", "epochs": 20}])
def test_the_report_has_its_pictures(knobs: dict, tmp_path: Path) -> None:
    carry_out(find("adaline")(**{"epochs": 2, **knobs}), tmp_path / "run", HOST)
    text = page.write(Run.open(tmp_path / "run")).read_text(encoding="utf-8")
    drawn = text.count("Not drawn")
    assert drawn == (1 if knobs.get("data") == "xor" else 0)  # XOR has no test examples for a confusion matrix
    assert "Nearing the least squares" in text


def test_the_usual_rate_follows_the_length_of_the_examples() -> None:
    """Widrow and Lehr 1990: LMS is stable for rates below 1 over the trace of E[x xᵀ]; a fifth of that is taken."""
    recipe = find("adaline")(data="digits")
    spec = recipe.load().spec
    learner = recipe.learner(recipe.model(spec))
    assert learner.optimizer.param_groups[0]["lr"] == pytest.approx(0.2 / spec["power"])  # type: ignore[attr-defined]
    assert recipe.chosen(spec) == {"lr": f"{0.2 / spec['power']:.4g}"}
    assert power(Columns(features=torch.tensor([[3.0, 4.0], [0.0, 1.0]]))) == 14


def test_scores_are_of_all_examples() -> None:
    x, label = clouds(10)
    scores = look(LMS(Adaline(2, 1), 0.1, constant), InOrder(Columns(features=x, label=label), 3))
    assert scores == {"loss": 1.0, "error": 0.5}
