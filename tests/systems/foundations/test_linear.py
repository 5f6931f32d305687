"""Linear regression: the solutions of scikit-learn, the two rules of the notes, and what descent does on the way."""

import re
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import linear_model
from torch import Tensor

from deepclassics.data.streams import Columns, Shuffled, Whole
from deepclassics.errors import UserError
from deepclassics.flags import build
from deepclassics.host import Host
from deepclassics.learn import Clock, look
from deepclassics.loop import carry_out
from deepclassics.report import page
from deepclassics.run import Run
from deepclassics.systems.foundations import linear
from deepclassics.systems.foundations.linear import (
    Affine,
    Linear,
    LinearRecipe,
    curvature_bound,
    input_curvature,
    learner_for,
    lowest,
    shrunk,
)


def fitted(recipe: LinearRecipe) -> tuple[np.ndarray, float, Any]:
    """Weights, bias and data of a run without a folder, which ends when it is done or as planned."""
    data = recipe.load()
    learner = recipe.learner(recipe.model(data.spec))
    plan = recipe.plan(data)
    for position in range(plan.steps):
        learner.step(data.train.at(position), Clock(position, plan.steps, len(data.train)))
        if learner.done:
            break
    model = learner.model
    assert isinstance(model, Linear)
    return model.weight.detach()[0].double().numpy(), float(model.bias.detach()[0]), data


def examples(data: Any) -> tuple[np.ndarray, np.ndarray]:
    """The training rows, and the target in deviations from its mean."""
    columns, target = data.train.columns, data.spec["target"]
    return columns["features"].double().numpy(), (columns["number"].double().numpy() - target["mean"]) / target["std"]


@pytest.mark.parametrize("method", ["closed", "newton", "batch"])
@pytest.mark.parametrize("l2", [0.0, 0.1])
def test_least_squares_and_ridge_are_scikit_learns(method: str, l2: float) -> None:
    """S019: batch descent reaches the solution of the normal equations."""
    weight, bias, data = fitted(LinearRecipe(method=method, l2=l2, momentum=0.9))
    x, y = examples(data)
    found = linear_model.Ridge(alpha=len(x) * l2) if l2 else linear_model.LinearRegression()
    found.fit(x, y)
    np.testing.assert_allclose(weight, found.coef_, atol=1e-4)
    assert bias == pytest.approx(found.intercept_, abs=1e-4)


@pytest.mark.parametrize("method", ["newton", "batch"])
@pytest.mark.parametrize("l2", [0.0, 0.02])
def test_the_lasso_is_scikit_learns(method: str, l2: float) -> None:
    weight, bias, data = fitted(LinearRecipe(method=method, l1=0.05, l2=l2))
    x, y = examples(data)
    found = linear_model.ElasticNet(alpha=0.05 + l2, l1_ratio=0.05 / (0.05 + l2), tol=1e-10, max_iter=100_000)
    found.fit(x, y)
    np.testing.assert_allclose(weight, found.coef_, atol=1e-4)
    assert (weight == 0).sum() == (found.coef_ == 0).sum() > 0
    assert bias == pytest.approx(found.intercept_, abs=1e-4)


def test_momentum_changes_the_way_and_not_the_goal() -> None:
    """The proximal step must then reach further, or the weights would be too large."""
    plain, _, _ = fitted(LinearRecipe(method="batch", l1=0.05))
    carried, _, _ = fitted(LinearRecipe(method="batch", l1=0.05, momentum=0.8))
    np.testing.assert_allclose(carried, plain, atol=1e-4)


def test_the_shortest_of_many_solutions_is_found() -> None:
    """Columns that add up to 1, as those of all values of a word, leave one direction free."""
    generator = torch.Generator().manual_seed(0)
    kinds = torch.nn.functional.one_hot(torch.randint(3, (60,), generator=generator)).float()
    batch = {"features": kinds, "number": kinds @ torch.tensor([1.0, 2.0, 5.0])}
    model = Linear(3, 0, 0.0, 1.0, 1.0)
    learner_for(model, "closed", lr=None, momentum=0, schedule="constant", l1=0, l2=0, tolerance=1e-6).step(
        batch, Clock(0, 1, 1)
    )
    torch.testing.assert_close(model.number(model(batch)), batch["number"])
    whole = torch.cat([model.weight[0], model.bias]).detach()
    assert float(whole @ torch.tensor([1.0, 1.0, 1.0, -1.0])) == pytest.approx(0, abs=1e-5)


def small(seed: int = 0, count: int = 40) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, 3, generator=generator)
    return x, x @ torch.tensor([1.0, -2.0, 0.5]) + 0.3 + 0.5 * torch.randn(count, generator=generator)


def model_of(x: Tensor, method: str, batch: int = 1) -> Linear:
    spec = {"examples": {"train": len(x)}, "curvature": input_curvature(Columns(features=x))}
    return Linear(x.shape[1], 0, 0.0, 1.0, curvature_bound(spec, method, batch))


def test_linreg_rules_of_the_notes() -> None:
    """S019: batch θ += α Σ (y - h) x, stochastic θ -= α (h - y) x; E023: batch adds up before it moves."""
    x, y = small(count=5)
    ones = torch.cat([x, torch.ones(5, 1)], 1)
    for method, rows in (("batch", slice(None)), ("stochastic", slice(2, 3))):
        model = model_of(x, method)
        with torch.no_grad():
            model.weight.copy_(torch.tensor([[0.1, 0.2, 0.3]]))
        before = torch.tensor([0.1, 0.2, 0.3, 0.0])
        learner = learner_for(model, method, lr=0.05, momentum=0, schedule="constant", l1=0, l2=0, tolerance=1e-6)
        learner.step({"features": x[rows], "number": y[rows]}, Clock(0, 10, 1))
        count = len(x[rows])
        wanted = before + 0.05 / count * ((y[rows] - ones[rows] @ before)[:, None] * ones[rows]).sum(0)
        torch.testing.assert_close(torch.cat([model.weight[0], model.bias]).detach(), wanted)


def errors(schedule: str, lr: float, order: str = "shuffled", passes: int = 60) -> Tensor:  # -> (10 passes, 40, 4)
    """How far stochastic descent is from the least squares after each update of its last ten passes."""
    x, y = small()
    best = torch.linalg.lstsq(torch.cat([x, torch.ones(len(x), 1)], 1), y[:, None]).solution[:, 0]
    if order == "sorted":
        place = y.argsort()
        x, y = x[place], y[place]
    columns = Columns(features=x, number=y)
    stream = Shuffled(columns, 1, 0)
    model = model_of(x, "stochastic")
    learner = learner_for(model, "stochastic", lr=lr, momentum=0, schedule=schedule, l1=0, l2=0, tolerance=1e-6)
    steps, found = passes * len(x), []
    for step in range(steps):
        batch = columns.take(torch.tensor([step % len(x)])) if order == "sorted" else stream.at(step)
        learner.step(batch, Clock(step, steps, len(x)))
        if step >= steps - 10 * len(x):
            found.append(torch.cat([model.weight[0], model.bias]).detach() - best)
    return torch.stack(found).view(10, len(x), -1)


def test_sgd_dir_stochastic_descent_ends_within_its_noise() -> None:
    """C073: batch descent ends at the least squares, stochastic descent O(sqrt(lr)) beside it."""
    x, y = small()
    model = model_of(x, "batch")
    learner = learner_for(model, "batch", lr=None, momentum=0, schedule="constant", l1=0, l2=0, tolerance=1e-7)
    stream = Whole(Columns(features=x, number=y))
    for step in range(2000):
        learner.step(stream.at(step), Clock(step, 2000, 1))
        if learner.done:
            break
    best = torch.linalg.lstsq(torch.cat([x, torch.ones(len(x), 1)], 1), y[:, None]).solution[:, 0]
    assert learner.done
    assert float((torch.cat([model.weight[0], model.bias]).detach() - best).norm()) < 1e-5
    coarse, fine = (errors("constant", lr).norm(dim=2).mean() for lr in (0.04, 0.01))
    assert 0.005 < float(fine) < 0.7 * float(coarse) < 0.3


def test_sgd_decay_a_falling_rate_ends_nearer() -> None:
    """C075."""
    fixed, falling = errors("constant", 0.05).norm(dim=2), errors("linear", 0.05).norm(dim=2)
    assert float(falling[-1].mean()) < 0.4 * float(fixed.mean())


def test_sgd_cycle_a_fixed_order_swings_more() -> None:
    """C074: examples sorted by their target push one way and then the other, pass after pass: what is left of the
    error where the passes are averaged."""

    def swing(order: str) -> float:
        periodic = errors("constant", 0.05, order).mean(0)
        return float((periodic - periodic.mean(0)).norm(dim=1).max())

    assert swing("sorted") > 2 * swing("shuffled")


@given(seed=st.integers(0, 1000), count=st.integers(2, 12), outputs=st.integers(1, 3), words=st.sampled_from([0, 4]))
@settings(max_examples=25, deadline=None)
def test_the_written_gradient_is_autograds(seed: int, count: int, outputs: int, words: int) -> None:
    """S017: Xᵀ(ŷ - y) / N, with features and with words; S254: a one-hot vector times the weights is a look-up."""
    from deepclassics.systems.foundations.logistic import Logistic
    from deepclassics.systems.foundations.softmax import Softmax

    torch.manual_seed(seed)
    batch: dict[str, Any] = {"features": torch.randn(count, 3), "number": torch.randn(count)}
    batch["label"] = torch.randint(max(2, outputs), (count,))
    dense = batch["features"]
    if words:
        hot = (torch.rand(count, words) < 0.5).long()
        batch["words"] = torch.tensor(
            [(row.nonzero().flatten().tolist() + [-1] * words)[:words] for row in hot], dtype=torch.int32
        )
        dense = torch.cat([dense, hot], 1)
    model: Affine = [Linear(3, words, 0.5, 2.0, 1.0), Logistic(3, words, 1.0), Softmax(3, words, 3, 1.0)][outputs - 1]
    torch.nn.init.normal_(model.weight)
    sums = model(batch)
    torch.testing.assert_close(sums, dense @ model.weight.T + model.bias)
    torch.testing.assert_close(linear.design(batch, 3 + words)[:, :-1].float(), dense)
    wanted = torch.autograd.grad(model.loss(sums, model.target(batch)), [model.weight, model.bias])
    with torch.no_grad():
        for written, autograd in zip(model.gradient(batch, sums), wanted, strict=True):
            torch.testing.assert_close(written, autograd, atol=1e-6, rtol=1e-4)


def test_bag_of_words_does_not_know_their_order() -> None:
    """S255."""
    model = Linear(0, 5, 0.0, 1.0, 1.0)
    torch.nn.init.normal_(model.weight)
    words = torch.tensor([[0, 3, 4, -1], [4, 0, 3, -1]], dtype=torch.int32)
    one, other = model({"features": torch.zeros(2, 0), "words": words})
    torch.testing.assert_close(one, other)


@given(values=st.lists(st.floats(-5, 5), min_size=1, max_size=6), by=st.floats(0, 3))
@settings(max_examples=50, deadline=None)
def test_the_proximal_step_is_the_lowest_point_of_its_problem(values: list[float], by: float) -> None:
    """shrunk(v) = argmin_w |w - v|²/2 + by |w|."""
    v = torch.tensor(values, dtype=torch.float64)
    w = shrunk(v, by)

    def height(w: Tensor) -> Tensor:
        return (w - v).square() / 2 + by * w.abs()

    assert bool((height(w) <= height(w + 1e-3) + 1e-12).all())
    assert bool((height(w) <= height(w - 1e-3) + 1e-12).all())


def test_the_lowest_point_of_a_quadratic_with_a_corner() -> None:
    """Its slope is 0 where a weight is not 0, and within the penalty where it is."""
    torch.manual_seed(0)
    root = torch.randn(6, 6, dtype=torch.float64)
    hessian, slope, here = root @ root.T + 0.01 * torch.eye(6), torch.randn(6).double(), torch.randn(6).double()
    l1 = torch.tensor([4.0, 4.0, 4.0, 4.0, 4.0, 0.0], dtype=torch.float64)
    point = lowest(hessian, slope, here, l1)
    total = slope + hessian @ (point - here)
    moved = point != 0
    torch.testing.assert_close(total[moved], -(l1 * point.sign())[moved], atol=1e-6, rtol=0)
    assert bool((total[~moved].abs() <= l1[~moved] + 1e-6).all())
    assert 0 < int(moved.sum()) < 6


def test_the_curvature_is_the_largest_eigenvalue_words_included() -> None:
    torch.manual_seed(1)
    x, hot = torch.randn(50, 2), (torch.rand(50, 4) < 0.3).long()
    words = torch.tensor([(row.nonzero().flatten().tolist() + [-1] * 4)[:4] for row in hot], dtype=torch.int32)
    whole = torch.cat([x, hot, torch.ones(50, 1)], 1)
    found = input_curvature(Columns(features=x, words=words))
    assert found["all"] == pytest.approx(float(torch.linalg.eigvalsh(whole.T @ whole / 50)[-1]), rel=1e-2)
    assert found["one"] == pytest.approx(float(whole.square().sum(1).max()), rel=1e-5)


def test_mistakes_are_told_in_a_sentence(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"L1 has no closed form; got 0\.1\. Take newton"):
        build(LinearRecipe, {"l1": "0.1"}, "linear")
    with pytest.raises(UserError, match=r"'species' holds classes\. `deepclassics run logistic` learns two"):
        LinearRecipe(data="iris").load()
    monkeypatch.setattr(linear, "INPUTS", 10)
    with pytest.raises(UserError, match=re.escape("solves for 10 weights at most, from 100,000,000 values; diabetes")):
        LinearRecipe().load()


def test_the_report_has_the_way_down(tmp_path: Any) -> None:
    carry_out(LinearRecipe(method="stochastic", epochs=3), tmp_path / "run", Host(device="cpu", threads=1))
    text = page.write(Run.open(tmp_path / "run")).read_text(encoding="utf-8")
    assert "Not drawn" not in text
    assert "The way down" in text
    assert "Weights" in text


def test_text_beside_numbers_is_learnt_from(tmp_path: Any) -> None:
    """A table of the user's own, with a column of free text; predict reads the same words."""
    from deepclassics.data.kinds import table

    generator = torch.Generator().manual_seed(0)
    rows = ["length,remark,price"]
    for number in range(60):
        good, length = int(torch.randint(2, (), generator=generator)), number % 7
        rows.append(f'{length},"a {"fine" if good else "poor"} thing number {number}",{3 * good + length}.5')
    file = tmp_path / "things.csv"
    file.write_text("\n".join(rows))
    recipe = LinearRecipe(data=str(file), target="price", test=0.2)
    data = recipe.load()
    assert data.spec["features"] == 1
    assert data.train.at(0)["words"].dtype == torch.int32
    bag = next(column["values"] for column in data.spec["columns"] if column["kind"] == "bag")
    assert bag[:2] == ["a", "number"]
    assert {"fine", "poor"} < set(bag)
    model = recipe.model(data.spec)
    learner = recipe.learner(model)
    learner.step(data.train.at(0), Clock(0, 1, 1))
    assert data.test is not None
    assert look(learner, data.test)["rmse"] < 1e-3
    _, batch = table.read(["5,a fine unheard of gizmo", "length=5,remark=poor"], data.spec)
    answer = recipe.answer(model, batch, None)["number"].detach()
    assert float(answer[0] - answer[1]) > 1.5


@pytest.mark.parametrize("method", ["closed", "newton"])
def test_a_rate_for_a_method_that_takes_none_is_not_ignored(method: str) -> None:
    recipe = LinearRecipe(method=method, lr=0.1)
    with pytest.raises(UserError, match=f"the method {method} takes none"):
        recipe.learner(recipe.model(recipe.load().spec))
