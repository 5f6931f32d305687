"""Softmax regression: scikit-learn's solution, logistic regression as its case of two classes, and its derivatives."""

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from deepclassics.data.streams import Columns
from deepclassics.errors import UserError
from deepclassics.host import Host
from deepclassics.learn import Clock, Learner, look
from deepclassics.loop import carry_out
from deepclassics.recipe import Recipe
from deepclassics.report import page
from deepclassics.run import Run
from deepclassics.systems.foundations.linear import curvature_bound, input_curvature, learner_for
from deepclassics.systems.foundations.logistic import Logistic, LogisticRecipe
from deepclassics.systems.foundations.softmax import Softmax, SoftmaxRecipe


def fitted(recipe: Recipe) -> tuple[Learner, Any]:
    """The learner and the data of a run without a folder, which ends when it is done or as planned."""
    data = recipe.load()
    learner = recipe.learner(recipe.model(data.spec))
    steps = recipe.plan(data).steps
    for position in range(steps):
        learner.step(data.train.at(position), Clock(position, steps, len(data.train)))
        if learner.done:
            break
    return learner, data


@pytest.mark.parametrize("method", ["newton", "batch"])
@pytest.mark.parametrize(("l1", "l2"), [(0.0, 0.01), (0.01, 0.0)])
def test_the_solutions_are_scikit_learns(method: str, l1: float, l2: float) -> None:
    learner, data = fitted(SoftmaxRecipe(data="wine", method=method, l1=l1, l2=l2))
    assert learner.done
    columns = data.train.columns
    x, y = columns["features"].double().numpy(), columns["label"].numpy()
    found = LogisticRegression(
        C=1 / (len(x) * (l1 + l2)), l1_ratio=float(l1 > 0), solver="saga" if l1 else "lbfgs", tol=1e-9, max_iter=100_000
    ).fit(x, y)
    model = learner.model
    assert isinstance(model, Softmax)
    np.testing.assert_allclose(model.weight.detach().numpy(), found.coef_, atol=1e-4)
    bias = model.bias.detach().numpy()  # one number may be added to all of them, and nothing changes
    np.testing.assert_allclose(bias - bias.mean(), found.intercept_ - found.intercept_.mean(), atol=1e-4)


def test_softmax_reg_of_two_classes_is_logistic_regression() -> None:
    """S018: the difference of the two sums; half the penalty, for each of two rows carries half of the weights."""
    one, data = fitted(LogisticRecipe(method="newton", l2=0.01))
    two, _ = fitted(SoftmaxRecipe(data="breast_cancer", method="newton", l2=0.02))
    batch = data.test.columns.take(slice(None))
    sums = two.model(batch)
    torch.testing.assert_close(
        (sums[:, 1] - sums[:, 0]).detach(), one.model(batch)[:, 0].detach(), atol=1e-4, rtol=1e-4
    )


def test_digits_are_told_apart_by_sums_alone() -> None:
    """S018."""
    learner, data = fitted(SoftmaxRecipe(method="newton", l2=1e-3))
    assert learner.done
    assert look(learner, data.test)["error"] < 0.05


def test_the_bend_is_the_second_derivative() -> None:
    """diag(p) - p pᵀ for softmax, p (1 - p) for the sigmoid; neither passes the bound that the learning rate is of."""
    torch.manual_seed(0)
    for model, outputs in ((Softmax(2, 0, 3, 1.0), 3), (Logistic(2, 0, 1.0), 1)):
        sums = torch.randn(1, outputs)
        target = model.target({"label": torch.tensor([0])})
        wanted = torch.autograd.functional.hessian(lambda s, m=model, t=target: m.loss(s, t), sums)
        torch.testing.assert_close(model.bend(sums)[0], wanted[0, :, 0], atol=1e-6, rtol=1e-5)
        many = model.bend(3 * torch.randn(200, outputs))
        assert float(torch.linalg.eigvalsh(many).max()) <= model.curvature + 1e-6


def test_cecheck_the_categorical_cross_entropy_is_meant() -> None:
    """N071, E031: its gradient by the sums is (ŷ - y)/N; that of the binary form over the softmax is another."""
    torch.manual_seed(0)
    model, label = Softmax(2, 0, 4, 1.0), torch.tensor([0, 3, 1])
    sums = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    target = model.target({"label": label}).double()
    wanted = (model.expected(sums) - target).detach() / 3
    (right,) = torch.autograd.grad(model.loss(sums, target), sums)
    torch.testing.assert_close(right, wanted, atol=1e-12, rtol=0)
    binary = torch.nn.functional.binary_cross_entropy(model.expected(sums), target, reduction="none").sum(1).mean()
    (printed,) = torch.autograd.grad(binary, sums)
    assert float((printed - wanted).abs().max()) > 0.05


@pytest.mark.parametrize("method", ["batch", "minibatch", "stochastic"])
def test_the_rate_that_is_chosen_is_safe(method: str) -> None:
    """Whatever the scale of the pixels or features: the loss falls, and its gradient goes to 0 by all examples."""
    for scale in (0.01, 30.0):
        torch.manual_seed(0)
        x = scale * torch.randn(64, 4)
        label = (x[:, 0] > 0).long() + (x[:, 1] > scale).long()
        spec = {"examples": {"train": 64}, "curvature": input_curvature(Columns(features=x))}
        model = Softmax(4, 0, 3, curvature_bound(spec, method, 8))
        learner = learner_for(model, method, lr=None, momentum=0, schedule="constant", l1=0, l2=0, tolerance=1e-6)
        size = {"batch": 64, "minibatch": 8, "stochastic": 1}[method]
        losses = []
        for step in range(128):
            rows = torch.arange(step * size, (step + 1) * size) % 64
            learner.step({"features": x[rows], "label": label[rows]}, Clock(step, 128, 64 // size))
            losses.append(float(model.loss(model({"features": x}), model.target({"label": label})).detach()))
        beyond = 2 if method == "stochastic" else 1.05  # what one example learns may cost the others
        assert max(losses) < beyond * math.log(3), "the loss of weights that are all 0"
        assert losses[-1] < losses[0]
        if method == "batch":
            assert all(after < before for before, after in pairwise(losses))


@pytest.mark.parametrize("data", ["digits", "wine"])
def test_the_report_has_its_pictures(data: str, tmp_path: Any) -> None:
    carry_out(SoftmaxRecipe(data=data, epochs=2), tmp_path / "run", Host(device="cpu", threads=1))
    assert "Not drawn" not in page.write(Run.open(tmp_path / "run")).read_text(encoding="utf-8")


def test_mistakes_are_told_in_a_sentence() -> None:
    with pytest.raises(UserError, match=r"'progression' holds numbers\. `deepclassics run linear` learns numbers"):
        SoftmaxRecipe(data="diabetes").load()


def test_newton_on_large_pictures_is_refused_with_what_to_do(mirror: Any) -> None:
    with pytest.raises(UserError, match=r"mnist has 7,850 weights and 42,336,000 values. Take --method minibatch"):
        SoftmaxRecipe(data="mnist", method="newton").load()
