"""The laboratory of optimizers: against torch and SciPy on the same gradients, and against the notes' numbers.

Notes: S102-S123, N009, N024, N025, C067-C071, C079, C080, and the errata E018-E022, E025, E026, E058.
"""

import itertools
import json
import math
import typing
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.optimize
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import recipes
from deepclassics import cli
from deepclassics.data.expressions import arithmetic
from deepclassics.data.sets import beale, double_well, quadratic, ravine, rosenbrock, saddle, tilted
from deepclassics.errors import UserError
from deepclassics.learn import Clock, look
from deepclassics.optimizers import METHODS, SEARCHING, SECOND_ORDER, Settings, damped, secant
from deepclassics.report import contour
from deepclassics.run import Run
from deepclassics.systems.foundations import descent
from deepclassics.systems.foundations.descent import DescentRecipe, Formula, Ground, Race, Regression

ROSENBROCK = "(1 - x)**2 + 100*(y - x**2)**2"


def t(*numbers: float) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


def ground(text: str) -> Ground:
    return Ground(Formula(arithmetic(text)), {})


class Given:
    """Ground of which only a sequence of gradients is known."""

    def __init__(self, gradients: Sequence[Tensor]) -> None:
        self.gradients = iter(gradients)
        self.asked: list[Tensor] = []

    def gradient(self, w: Tensor) -> Tensor:
        self.asked.append(w.clone())
        return next(self.gradients)


def walk(
    name: str, where: Any, start: Tensor, rate: float, steps: int, settings: Settings | None = None
) -> list[Tensor]:
    """The points of a method, the start first."""
    points, memory = [start], {}
    for _ in range(steps):
        points.append(METHODS[name](points[-1], where, rate, memory, settings or Settings()))
    return points


def race(**knobs: Any) -> tuple[Race, dict[str, float], list[str]]:
    """A whole run without a folder: the learner, and what it concludes."""
    recipe = DescentRecipe(**knobs)
    learner, data = recipes.made(recipe)
    assert isinstance(learner, Race)
    for step in range(recipe.updates):
        learner.step(data.train.at(step), Clock(step, recipe.updates, len(data.train)))
        if learner.done:
            break
    return learner, *recipe.conclude(learner, data)


def along(text: str, *start: float, name: str, rate: float, updates: int, **knobs: Any) -> list[list[float]]:
    """The path of one optimizer."""
    learner, _, _ = race(data=text, start=start, optimizer=(name,), lr=(rate,), updates=updates, **knobs)
    return learner.model.path(name).tolist()


# --- against torch

TORCH: dict[str, Callable[[Any, float], torch.optim.Optimizer]] = {
    "gd": lambda w, lr: torch.optim.SGD(w, lr),
    "momentum": lambda w, lr: torch.optim.SGD(w, lr, momentum=0.9),
    "nesterov": lambda w, lr: torch.optim.SGD(w, lr, momentum=0.9, nesterov=True),
    "adagrad": lambda w, lr: torch.optim.Adagrad(w, lr),
    "rmsprop": lambda w, lr: torch.optim.RMSprop(w, lr, alpha=0.9),
    "adadelta": lambda w, lr: torch.optim.Adadelta(w, lr),
    "adam": lambda w, lr: torch.optim.Adam(w, lr),
}


@pytest.mark.parametrize("name", TORCH)
def test_equals_torch_on_the_same_gradients(name: str) -> None:
    """S118-S123, with every default; gradients of sizes from 1e-6 to 1e3."""
    generator = torch.Generator().manual_seed(1)
    sizes = torch.logspace(-6, 3, 7, dtype=torch.float64)
    gradients = [torch.randn(7, generator=generator, dtype=torch.float64) * sizes for _ in range(200)]
    start = torch.randn(7, generator=generator, dtype=torch.float64)
    where = Given([*gradients, torch.zeros(7, dtype=torch.float64)])
    ours = walk(name, where, start, 0.01, 200)
    if name == "nesterov":
        # torch holds the points ahead, at which the gradients are asked for; the last is asked for once more.
        walk_on = Given([torch.zeros(7, dtype=torch.float64)])
        step = ours[-1] - ours[-2]
        METHODS[name](ours[-1], walk_on, 0.01, {"step": step}, Settings())
        ours = [*where.asked, walk_on.asked[0]]
    theirs = torch.nn.Parameter(start.clone())
    rule = TORCH[name]([theirs], 0.01)
    for point, gradient in zip(ours[1:], gradients, strict=True):
        theirs.grad = gradient
        rule.step()
        torch.testing.assert_close(point, theirs.detach(), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", [name for name in TORCH if name != "nesterov"])
def test_a_race_goes_where_torch_goes(name: str) -> None:
    learner, _, _ = race(data=ROSENBROCK, start=(-1.2, 1.0), optimizer=(name,), lr=(1e-3,), updates=60)
    w = torch.nn.Parameter(t(-1.2, 1.0))
    rule = TORCH[name]([w], 1e-3)
    for point in learner.model.path(name)[1:]:
        rule.zero_grad()
        ((1 - w[0]) ** 2 + 100 * (w[1] - w[0] ** 2) ** 2).backward()
        rule.step()
        torch.testing.assert_close(point, w.detach(), rtol=1e-6, atol=1e-6)


def test_momentum_and_nesterov_by_hand() -> None:
    """S118, S119 on w²/2 from 1 with beta 0.5 and eta 0.1; E026: Nesterov's gradient is that of the point ahead."""
    half = Settings(momentum=0.5)
    steps = walk("momentum", ground("0.5*w**2"), t(1.0), 0.1, 3, half)
    torch.testing.assert_close(torch.cat(steps), t(1, 0.9, 0.76, 0.614))  # steps -0.1, -0.05-0.09, -0.07-0.076
    ahead = walk("nesterov", ground("0.5*w**2"), t(1.0), 0.1, 3, half)
    # -0.1; -0.05 - 0.1 * 0.85; -0.0675 - 0.1 * 0.6975
    torch.testing.assert_close(torch.cat(ahead), t(1, 0.9, 0.765, 0.62775))


def test_adam_example() -> None:
    """N009: the worked numbers, epsilon inside the root as printed (E058) and outside as in the paper."""
    gradients = [t(1.0), t(-2.0), t(0.5)]
    for inside, steps in ((True, [0.999999995, -0.3661035263, -0.1366906627]),
                          (False, [0.99999999, -0.3661035247, -0.1366906620])):  # fmt: skip
        memory: dict[str, Any] = {}
        where, w = Given(gradients), t(0.0)
        found = []
        for count, (mean, squares) in enumerate([(0.1, 0.001), (-0.11, 0.004999), (-0.049, 0.005244001)], 1):
            there = METHODS["adam"](w, where, 1.0, memory, Settings(inside=inside))
            found.append(float(w - there))
            w = there
            assert float(memory["mean"]) == pytest.approx(mean, abs=1e-12)
            assert float(memory["squares"]) == pytest.approx(squares, abs=1e-12)
            assert memory["count"] == count
        assert found == pytest.approx(steps, abs=1e-9)


@pytest.mark.parametrize(
    ("gradient", "inside", "step"),
    [(1e-4, True, 0.70710678), (1e-4, False, 0.99990001), (1e-8, True, 1.0e-4), (1e-8, False, 0.5)],
)
def test_the_first_step_of_adam_tells_where_epsilon_is(gradient: float, inside: bool, step: float) -> None:
    """N009, S123: far above the root of epsilon the first step is eta, whatever the gradient; below, it depends."""
    (_, there) = walk("adam", Given([t(gradient)]), t(0.0), 1.0, 1, Settings(inside=inside))
    assert -float(there) == pytest.approx(step, rel=1e-6)


def test_the_steps_of_adagrad_never_grow_for_equal_gradients() -> None:
    """S121."""
    points = torch.cat(walk("adagrad", Given([t(3.0)] * 50), t(0.0), 1.0, 50))
    sizes = points.diff().abs()
    assert bool((sizes.diff() < 0).all())
    assert sizes[8] == pytest.approx(1 / 3)  # 1/sqrt(9)


# --- against SciPy


def scipys(text: str, start: Sequence[float]) -> tuple[list[Tensor], Any]:
    """The points of SciPy's BFGS, the start first, and its result."""
    where, points = ground(text), [t(*start)]
    result = scipy.optimize.minimize(
        lambda x: float(where.loss(t(*x))),
        start,
        jac=lambda x: where.gradient(t(*x)).numpy(),
        method="BFGS",
        callback=lambda x: points.append(t(*x)),
        options={"gtol": 1e-8},
    )
    return points, result


@pytest.mark.parametrize(("text", "start"), [(ROSENBROCK, (-1.2, 1.0)), ("x**4 + y**2 + x*y", (2.0, 1.0))])
def test_the_estimate_of_bfgs_equals_scipys_on_the_same_gradients(text: str, start: tuple[float, ...]) -> None:
    """S112: and it meets the secant condition."""
    where, (points, result) = ground(text), scipys(text, start)
    inverse = torch.eye(2, dtype=torch.float64)
    for here, there in itertools.pairwise(points[:-1]):  # SciPy leaves out the update after its last step
        change = where.gradient(there) - where.gradient(here)
        inverse = secant(inverse, there - here, change)
        torch.testing.assert_close(inverse @ change, there - here, rtol=1e-6, atol=1e-10)
    torch.testing.assert_close(inverse, torch.from_numpy(result.hess_inv), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("text", [tilted, ravine], ids=["tilted", "ravine"])
def test_bfgs_goes_where_scipys_goes_on_a_quadratic(text: Any) -> None:
    text = text.read({}).text
    points, _ = scipys(text, (-2.5, 0.6))
    ours = walk("bfgs", ground(text), points[0], 1.0, len(points) - 1)
    torch.testing.assert_close(torch.stack(ours), torch.stack(points), rtol=1e-6, atol=1e-6)


def test_bfgs_reaches_the_minimum_of_rosenbrock() -> None:
    """S112: to a gradient of 1e-8."""
    learner, scores, _ = race(data="rosenbrock", optimizer=("bfgs",))
    assert learner.done
    assert scores["train/bfgs/updates"] < 60
    torch.testing.assert_close(learner.model.lowest(), t(1, 1), rtol=0, atol=1e-7)


EXPONENTIAL = " + ".join(f"(a*exp(b*{x}) - {2 * math.exp(-0.7 * x):.6f})**2" for x in range(6))


@pytest.mark.parametrize(
    ("text", "start"), [(EXPONENTIAL, (1.0, 0.0)), (ROSENBROCK, (-1.2, 1.0)), (beale.read({}).text, (1.0, 1.0))]
)
def test_levenberg_and_marquardt_end_where_scipys_does(text: str, start: tuple[float, ...]) -> None:
    """S113: on an exponential fit and two of the usual trials."""
    learner, _, _ = race(data=text, start=start, optimizer=("lm",), tolerance=1e-9)
    surface = learner.model.surface
    theirs = scipy.optimize.least_squares(
        lambda x: surface.residuals(t(*x), {}).numpy(), start, method="lm", xtol=1e-12, ftol=1e-12, gtol=1e-12
    )
    torch.testing.assert_close(learner.model.lowest(), torch.from_numpy(theirs.x), rtol=1e-6, atol=1e-6)
    assert learner.state.value["ended"]["lm"][0] == "rest"


def test_levenberg_and_marquardts_step_is_the_same_wherever_its_numbers_lie() -> None:
    """Law 3: LAPACK's gelsy adds up in another order where a matrix begins at another address."""
    generator = torch.Generator().manual_seed(0)
    for size in (2, 3, 5, 9):
        root = torch.randn(size, size, generator=generator, dtype=torch.float64)
        vector = torch.randn(size, generator=generator, dtype=torch.float64)
        steps = []
        for _ in range(50):
            kept = torch.zeros(len(steps) % 7 + 1, dtype=torch.float64)  # moves what is allocated after it
            steps.append(damped(root.T @ root, vector.clone(), 1e-3))
            del kept
        assert all(torch.equal(step, steps[0]) for step in steps)


def test_damping_turns_gauss_newton_into_descent() -> None:
    """S113: lambda 0 is Gauss and Newton's step, a large one points down the gradient."""
    where, w = ground(ROSENBROCK), t(-1.2, 1.0)
    matrix, vector = where.gauss_newton(w)
    jacobian = torch.tensor([[-1.0, 0.0], [24.0, 10.0]], dtype=torch.float64)  # of (1 - x, 10 (y - x²))
    residuals = t(2.2, -4.4)
    torch.testing.assert_close(matrix, jacobian.T @ jacobian)
    torch.testing.assert_close(vector, jacobian.T @ residuals)
    torch.testing.assert_close(2 * vector, where.gradient(w))  # the loss is r'r, not half of it
    torch.testing.assert_close(damped(matrix, vector, 0.0), torch.linalg.solve(jacobian, -residuals))
    torch.testing.assert_close(damped(matrix, vector, 1e12) * 1e12, -vector, rtol=1e-6, atol=1e-6)


# --- quadratics


@pytest.mark.parametrize(
    ("ratio", "expected"), [(0.1, 0.9), (0.5, 0.5), (1, 0), (1.5, -0.5), (1.9, -0.9), (2, -1), (2.1, -1.1)]
)
def test_the_regimes_of_gradient_descent(ratio: float, expected: float) -> None:
    """N024, C067, C068, S107, S108: on alpha w²/2 each update multiplies the error by 1 - eta/eta_opt."""
    for alpha in (1.0, 4.0):
        learner, scores, remarks = race(
            data=f"0.5*{alpha}*w**2", start=(1.0,), optimizer=("gd",), lr=(ratio / alpha,), updates=30
        )
        path = learner.model.path("gd")[:, 0]
        powers = t(*[expected**k for k in range(len(path))])
        torch.testing.assert_close(path, powers, rtol=1e-9, atol=1e-9)
        assert scores["train/gd/factor"] == pytest.approx(expected, abs=1e-9)
        assert scores["train/eta_opt"] == pytest.approx(1 / alpha)
        assert scores["train/limit"] == pytest.approx(2 / alpha)
        assert f"converges below 2 η_opt = {2 / alpha:g}" in remarks[0]
        assert f"every update multiplies the distance to the minimum by {expected:.6g}." in remarks[1]


def test_the_quadratic_of_two_coordinates() -> None:
    """N025, C069, S109, E018: diag(1, 9) converges below 2/9 only, and best at 0.2."""
    _, scores, remarks = race(data="quadratic", optimizer=("gd",), lr=(0.2,), updates=50)
    assert scores["train/limit"] == pytest.approx(2 / 9)
    assert scores["train/best_rate"] == pytest.approx(0.2)
    assert scores["train/best_factor"] == pytest.approx(0.8)
    assert abs(scores["train/gd/factor"]) == pytest.approx(0.8)
    assert "converges below 2 min η_opt = 0.222222, and fastest at 0.2, by a factor of 0.8" in remarks[0]
    assert race(data="quadratic", optimizer=("gd",), lr=(1 / 9,), updates=50)[1]["train/gd/factor"] == pytest.approx(
        8 / 9
    )
    assert race(data="quadratic", optimizer=("gd",), lr=(0.2223,), updates=50)[1]["train/gd/factor"] < -1
    assert abs(race(data="quadratic", optimizer=("gd",), lr=(0.2222,), updates=50)[1]["train/gd/factor"]) < 1


def test_the_linear_terms_of_a_quadratic_are_not_halved() -> None:
    """N025, E019, E020: A = diag(3, 1), b = (1, -2), w = (0.7, 0.4); printed 0.765, right -0.035 + 0.75 = 0.715."""
    right = Formula(arithmetic("0.5*(3*x**2 + y**2) + x - 2*y"))
    printed = Formula(arithmetic("0.5*(3*x**2 + x + y**2 - 2*y)"))
    w = t(0.7, 0.4)
    matrix, b = torch.diag(t(3, 1)), t(1, -2)
    assert float(right.heights(w)) == pytest.approx(float(0.5 * w @ matrix @ w + b @ w))
    assert float(printed.heights(w)) != pytest.approx(float(right.heights(w)))
    # The slice along x with a constant free of x has the same slope as the whole.
    whole, piece = Ground(right, {}), ground("1.5*x**2 + x")
    assert float(whole.gradient(w)[0]) == pytest.approx(float(piece.gradient(w[:1])))


def test_the_printed_rule_for_scaled_axes_misses() -> None:
    """N025, S110, E021: from (0.7, 0.4) the right rule lands at (-1/3, 2), the printed one at (0.3667, 2.4)."""
    text, w = "0.5*(3*x**2 + y**2) + x - 2*y", t(0.7, 0.4)
    for name in ("scaled", "rotated", "newton"):
        torch.testing.assert_close(walk(name, ground(text), w, 1.0, 1)[1], t(-1 / 3, 2))
    torch.testing.assert_close(w - t(1 / 3, -2), t(0.7 - 1 / 3, 2.4))  # w - A^-1 b


def formula(matrix: np.ndarray, b: np.ndarray) -> str:
    """w'Aw/2 + b'w as words, with the numbers in full."""
    names = [f"x{k}" for k in range(len(b))]
    terms = [f"{float(matrix[i, j])!r}*{names[i]}*{names[j]}/2" for i in range(len(b)) for j in range(len(b))]
    return "+".join(terms + [f"{float(b[i])!r}*{names[i]}" for i in range(len(b))])


@st.composite
def quadratics(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A positive definite A with a condition number up to 100, b, and a start; of 1 to 4 unknowns."""
    size = draw(st.integers(1, 4))
    random = np.random.default_rng(draw(st.integers(0, 2**31)))
    vectors = np.linalg.qr(random.normal(size=(size, size)))[0]
    matrix = vectors @ np.diag(10 ** random.uniform(-1, 1, size)) @ vectors.T
    return (matrix + matrix.T) / 2, random.normal(size=size), random.uniform(-3, 3, size)


@settings(max_examples=20, deadline=None)
@given(quadratics())
def test_one_step_after_scaling_and_rotating_any_axes(made: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    """C067, C070, S110, S111: at eta = 1, from anywhere."""
    matrix, b, start = made
    minimum = torch.from_numpy(np.linalg.solve(matrix, -b))
    where = ground(formula(matrix, b))
    for name in ("rotated", "newton"):
        torch.testing.assert_close(walk(name, where, t(*start), 1.0, 1)[1], minimum, rtol=1e-8, atol=1e-8)
    straight = ground(formula(np.diag(np.diag(matrix)), b))
    there = walk("scaled", straight, t(*start), 1.0, 1)[1]
    torch.testing.assert_close(there, torch.from_numpy(-b / np.diag(matrix)), rtol=1e-8, atol=1e-8)


@settings(max_examples=15, deadline=None)
@given(quadratics(), st.floats(0.1, 2.3))
def test_every_axis_of_a_quadratic_has_its_own_factor(made: tuple[np.ndarray, ...], ratio: float) -> None:
    """C069, S109: (1 - eta lambda)^k along each eigenvector; the limit is 2/(greatest curvature)."""
    matrix, b, start = made
    values, vectors = np.linalg.eigh(matrix)
    rate = ratio / values[-1]
    learner, scores, _ = race(
        data=formula(matrix, b), start=tuple(start), optimizer=("gd",), lr=(rate,), updates=12, tolerance=0.0
    )
    minimum = np.linalg.solve(matrix, -b)
    errors = (learner.model.path("gd").numpy() - minimum) @ vectors
    factors = 1 - rate * values
    expected = errors[0] * factors ** np.arange(len(errors))[:, None]
    np.testing.assert_allclose(errors, expected, atol=1e-7 * max(1, np.abs(expected).max()))
    assert scores["train/limit"] == pytest.approx(2 / values[-1], rel=1e-6)
    assert scores["train/condition"] == pytest.approx(values[-1] / values[0], rel=1e-6)
    seen = np.abs(errors[0]) > 1e-3
    assert abs(scores["train/gd/factor"]) == pytest.approx(np.abs(factors[seen]).max(), abs=1e-5)


def updates_until(name: str, condition: float, rate: float, beta: float = 0.9) -> int:
    """How many it takes to come within a millionth of the minimum of diag(1, condition)."""
    where, w, memory = ground(f"0.5*(x**2 + {condition}*y**2)"), t(1.0, 1.0), {}
    for count in range(1, 20_000):
        w = METHODS[name](w, where, rate, memory, Settings(momentum=beta))
        if float(w.norm()) < 1e-6:
            return count
    raise AssertionError("it does not converge")


def test_the_updates_grow_with_the_condition_and_with_its_root_under_momentum() -> None:
    """C069: gradient descent's in proportion to kappa. C079, S118: momentum's to its root, at its best settings."""
    gd = {kappa: updates_until("gd", kappa, 2 / (1 + kappa)) for kappa in (25, 100)}
    assert gd[100] / gd[25] == pytest.approx(4, rel=0.05)
    rolling = {}
    for kappa in (25, 100):
        root = kappa**0.5
        rolling[kappa] = updates_until("momentum", kappa, 4 / (1 + root) ** 2, ((root - 1) / (root + 1)) ** 2)
    assert rolling[100] / rolling[25] == pytest.approx(2, rel=0.15)
    assert gd[100] / rolling[100] > 0.7 * 100**0.5


def test_nesterov_swings_less_than_momentum() -> None:
    """C080, S119: in the ravine, at the same rate and beta."""
    y = {
        name: torch.stack(walk(name, ground(ravine.read({}).text), t(-2.5, 0.6), 0.005, 60))[:, 1]
        for name in ("momentum", "nesterov")
    }
    assert float(y["nesterov"].min()) > float(y["momentum"].min()) / 2  # how far it shoots over the floor
    assert float(y["nesterov"][20:].abs().max()) < float(y["momentum"][20:].abs().max()) / 10
    assert updates_until("nesterov", 100, 0.005) <= updates_until("momentum", 100, 0.005)


def test_a_factor_is_told_only_where_it_stays() -> None:
    powers = torch.arange(10.0, dtype=torch.float64)[:, None]
    assert descent.factor(t(0.5, -0.8) ** powers) == (pytest.approx(-0.8), True)
    value, stays = descent.factor(1 / (1 + powers))
    assert (value, stays) == (pytest.approx((1 / 10) ** (1 / 9)), False)
    assert descent.factor(torch.zeros(5, 2, dtype=torch.float64)) is None
    assert descent.factor(torch.ones(1, 2, dtype=torch.float64)) is None


# --- other surfaces


def test_newton_goes_to_a_saddle_and_descent_leaves_it() -> None:
    """S111, C071, S124: Newton's step ascends where the Hessian is indefinite (E022), adaptive ones leave first."""
    learner, _, remarks = race(data="saddle", optimizer=("gd", "newton", "rmsprop", "adam"), start=(-1.2, 1e-4),
                                    lr=(0.1, 1, 0.05, 0.05), updates=600)  # fmt: skip
    ends = {name: learner.model.path(name)[-1] for name in learner.model.names}
    torch.testing.assert_close(ends["newton"], t(0, 0), rtol=0, atol=1e-8)
    assert any(line.startswith("newton") and "a saddle: its Hessian is indefinite" in line for line in remarks)
    for name in ("gd", "rmsprop"):
        torch.testing.assert_close(ends[name], t(0, 1), rtol=0, atol=1e-6)
    left = {name: int((learner.model.path(name)[:, 1] > 0.5).nonzero()[0]) for name in ("gd", "rmsprop", "adam")}
    assert max(left["rmsprop"], left["adam"]) < left["gd"]


@pytest.mark.parametrize(
    ("curvatures", "told"),
    [((1, 2), "a minimum"), ((-1, -2), "a maximum"), ((-1, 2), "a saddle: its Hessian is indefinite"),
     ((0, 2), "flat along some direction")],
)  # fmt: skip
def test_points_are_told_apart_by_their_curvatures(curvatures: tuple[float, ...], told: str) -> None:
    """E022: a negative and a positive one are indefinite; semi-definite is without a negative one."""
    assert descent.kind_of_point(t(*curvatures)) == told


@pytest.mark.parametrize(
    ("named", "minimum", "height"),
    [(quadratic, (0, 0), 0), (tilted, (0, 0), 0), (ravine, (0, 0), 0), (saddle, (0, 1), -0.25), (rosenbrock, (1, 1), 0),
     (beale, (3, 0.5), 0), (double_well, (-1.0355787,), -0.3054285)],
)  # fmt: skip
def test_the_named_surfaces_have_their_minima_where_they_say(named: Any, minimum: tuple, height: float) -> None:
    raw = named.read({})
    where = ground(raw.text)
    assert float(where.loss(t(*minimum))) == pytest.approx(height, abs=1e-6)
    assert float(where.gradient(t(*minimum)).norm()) < 1e-6
    assert bool((torch.linalg.eigvalsh(where.hessian(t(*minimum))) > 0).all())
    name = named.__name__.rpartition(".")[2]
    assert all(low <= x <= high for x, (low, high) in zip(descent.STARTS[name], raw.bounds, strict=True))


def test_slopes_and_curvatures_of_a_formula() -> None:
    """Against Rosenbrock's by hand, and against finite differences of a formula that has everything."""
    where, w = ground(ROSENBROCK), t(-1.2, 1.0)
    torch.testing.assert_close(where.gradient(w), t(-215.6, -88))
    torch.testing.assert_close(where.hessian(w), torch.tensor([[1330.0, 480], [480, 200]], dtype=torch.float64))
    assert where.steepest(w) == pytest.approx(765 + (565**2 + 480**2) ** 0.5)
    where, w = ground("sin(x*y) + exp(-x**2) + tanh(y)/(1 + x**2) + max(x, y) + step(x)"), t(0.4, -0.7)
    small = 1e-5
    for d in range(2):
        away = torch.zeros(2, dtype=torch.float64)
        away[d] = small
        slope = (where.loss(w + away) - where.loss(w - away)) / (2 * small)
        assert float(where.gradient(w)[d]) == pytest.approx(float(slope), rel=1e-6)
        bend = (where.gradient(w + away) - where.gradient(w - away)) / (2 * small)
        torch.testing.assert_close(where.hessian(w)[d], bend, rtol=1e-6, atol=1e-8)
    flat = ground("step(x) + step(y)")
    assert flat.gradient(t(1, 1)).tolist() == [0, 0]
    assert flat.hessian(t(1, 1)).tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize(
    ("text", "count"),
    [(ROSENBROCK, 2), (beale.read({}).text, 3), ("0.5*(x**2 + 9*y**2)", 2), ("x*x + (y - 1)^2/4", 2), ("x**4 + 3", 2),
     ("2*(x + y)**6*3", 1), ("x**2 - y**2", None), ("x**3", None), ("x**2 + x", None), ("-2*x**2", None), ("x", None)],
)  # fmt: skip
def test_sums_of_squares_are_found(text: str, count: int | None) -> None:
    surface = Formula(arithmetic(text))
    assert (surface.squares and len(surface.squares)) == count
    if count:
        w = torch.linspace(-1.3, 0.8, surface.size, dtype=torch.float64)
        assert float(surface.residuals(w, {}).square().sum()) == pytest.approx(float(surface.heights(w)))


# --- real losses


def test_the_loss_of_a_net_is_that_of_its_layers() -> None:
    generator = torch.Generator().manual_seed(0)
    x, label = torch.randn(9, 3, generator=generator), torch.arange(9) % 4
    surface = Regression((3, 5, 4), l2=0.1)
    torch.manual_seed(0)
    w = surface.start() + 0.1
    net = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.Tanh(), torch.nn.Linear(5, 4)).double()
    torch.nn.utils.vector_to_parameters(w.clone(), net.parameters())
    weights = sum(p.square().sum() for p in net.parameters() if p.dim() == 2)
    expected = torch.nn.functional.cross_entropy(net(x.double()), label) + 0.05 * weights
    expected.backward()
    where = Ground(surface, {"features": x, "label": label})
    torch.testing.assert_close(where.loss(w), expected.detach())
    slope = torch.nn.utils.parameters_to_vector([p.grad for p in net.parameters()])
    torch.testing.assert_close(where.gradient(w), slope)
    torch.testing.assert_close(
        where.hessian(w), torch.autograd.functional.hessian(lambda v: surface.loss(v, where.batch), w)
    )
    number = Regression((3, 2, 1), l2=0.1, centre=2.0, spread=3.0)
    batch = {"features": x, "number": x.sum(1)}
    w = torch.linspace(-1, 1, number.size, dtype=torch.float64)
    matrix, vector = Ground(number, batch).gauss_newton(w)
    jacobian = torch.autograd.functional.jacobian(lambda v: number.residuals(v, batch), w)
    torch.testing.assert_close(matrix, jacobian.T @ jacobian)
    torch.testing.assert_close(vector, Ground(number, batch).gradient(w) / 2)


def test_a_logistic_regression_ends_where_scikit_learns_does() -> None:
    """S017: the same optimum by Newton and by BFGS; the loss is a mean, so C = 1/(N l2)."""
    from sklearn.linear_model import LogisticRegression

    learner, _, _ = race(data="iris", optimizer=("newton", "bfgs"), l2=0.05)
    data = DescentRecipe(data="iris").load().train.at(0)
    x, label = data["features"].double().numpy(), data["label"].numpy()
    theirs = LogisticRegression(C=1 / (len(x) * 0.05), tol=1e-10, max_iter=10_000).fit(x, label)
    surface = learner.model.surface
    for name in ("newton", "bfgs"):
        (weight, bias) = surface.layers(learner.model.at[name].detach())[0]
        np.testing.assert_allclose(weight.numpy(), theirs.coef_, atol=1e-4)
        bias = bias.numpy() - bias.numpy().mean()  # all biases may move together
        np.testing.assert_allclose(bias, theirs.intercept_ - theirs.intercept_.mean(), atol=1e-4)


def test_a_linear_regression_is_solved_in_one_update() -> None:
    """C067 and S113 on a real loss: Newton and the rotated axes at once, Levenberg and Marquardt in a few updates."""
    learner, scores, remarks = race(data="diabetes", optimizer=("newton", "rotated", "lm"), updates=20)
    data = DescentRecipe(data="diabetes").load().train.at(0)
    x = np.column_stack([data["features"].double().numpy(), np.ones(len(data["number"]))])
    residual = np.linalg.lstsq(x, data["number"].double().numpy(), rcond=None)[1][0]
    best = residual / len(x) / learner.model.surface.spread**2
    for name in learner.model.names:
        assert learner.state.value["loss"][name] == pytest.approx(best, rel=1e-9)
    assert scores["train/newton/updates"] == scores["train/rotated/updates"] == 1
    assert "The loss is quadratic with curvatures from" in remarks[0]


def test_a_minibatch_run_takes_as_many_examples_as_it_says() -> None:
    """E025: the gradient is the batch's mean, and is subtracted."""
    recipe = DescentRecipe(data="iris", batch=16, optimizer=("gd",), lr=(0.1,), updates=3)
    learner, data = recipes.made(recipe)
    batch = data.train.at(0)
    assert len(batch["label"]) == 16
    before = learner.model.at["gd"].detach().clone()
    one = [
        Ground(learner.model.surface, {k: v[i : i + 1] for k, v in batch.items()}).gradient(before) for i in range(16)
    ]
    learner.step(batch, Clock(0, 3, len(data.train)))
    torch.testing.assert_close(learner.model.at["gd"].detach(), before - 0.1 * torch.stack(one).mean(0))


def test_two_ranks_share_the_gradient_of_a_batch(forks: Any, tmp_path: Path) -> None:
    """Law 6, where the batch is divided: mean losses, gradients, Hessians and Gauss-Newton matrices over the ranks."""
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    knobs = {"data": "diabetes", "batch": 100, "optimizer": ("gd", "scaled", "lm")}
    together = str(tmp_path / "together")
    assert forks(recipes.rank, [("descent", knobs, together, number, 2, port) for number in range(2)]) == [0, 0]
    alone = recipes.train(DescentRecipe(**knobs), tmp_path / "alone").model.state_dict()
    for key, value in Run.open(together).checkpoint()["parts"]["model"].items():
        torch.testing.assert_close(value, alone[key], rtol=1e-6, atol=1e-8)


# --- rates, ends


def test_a_plateau_cuts_the_rate_as_torchs_scheduler_does() -> None:
    """S116: only after so many updates without a lower loss, and by the given ratio."""
    learner, data = recipes.made(
        DescentRecipe(
            data="x**2", start=(1.0,), optimizer=("gd",), lr=(1.02,), plateau=3, plateau_ratio=0.5, tolerance=0.0
        )
    )
    w = torch.nn.Parameter(t(1.0))
    rule = torch.optim.SGD([w], 1.02)
    plan = torch.optim.lr_scheduler.ReduceLROnPlateau(rule, factor=0.5, patience=3, threshold=0)
    rates = []
    for step in range(20):
        scores = learner.step(data.train.at(step), Clock(step, 20, 1))
        rule.zero_grad()
        w.square().sum().backward()
        rule.step()
        assert scores["gd/rate"] == rule.param_groups[0]["lr"]
        rates.append(scores["gd/rate"])
        plan.step(float(w.detach().square()))
        assert float(learner.model.lowest()) == pytest.approx(float(w.detach()), rel=1e-12, abs=1e-300)
    assert rates[0] == 1.02
    assert rates[-1] == 0.51


@pytest.mark.parametrize(
    ("schedule", "factors"),
    [("constant", (1, 1, 1, 1)), ("step", (1, 1, 0.1, 0.01)), ("exponential", (1, 0.01**0.25, 0.1, 0.01**0.75)),
     ("inverse", (1, 4 / 103, 2 / 101, 4 / 301)), ("cosine", (1, 0.8535534, 0.5, 0.1464466))],
)  # fmt: skip
def test_the_rate_follows_its_schedule(schedule: str, factors: tuple[float, ...]) -> None:
    """S115: 1/t is 1/(1 + 99 f) at the fraction f of the run."""
    learner, data = recipes.made(DescentRecipe(optimizer=("gd",), lr=(0.01,), schedule=schedule))
    learner.shown = True
    rates = [learner.step(data.train.at(k), Clock(k, 4, 1))["gd/rate"] / 0.01 for k in range(4)]
    assert rates == pytest.approx(factors)


def test_a_rate_warms_up() -> None:
    learner, data = recipes.made(DescentRecipe(optimizer=("gd",), lr=(0.01,), warmup=0.5))
    rates = [learner.step(data.train.at(k), Clock(k, 8, 1))["gd/rate"] for k in range(8)]
    assert rates == pytest.approx([0, 0.0025, 0.005, 0.0075, 0.01, 0.01, 0.01, 0.01])


@pytest.mark.parametrize(
    ("text", "start", "name", "rate"),
    [("0.5*w**2", (1.0,), "gd", 2.1), ("x**4 + y**2", (2.0, 1.0), "gd", 5.0), ("-x**2", (1.0,), "momentum", 0.5),
     ("log(x)", (1.0,), "gd", 0.3), ("sqrt(x)", (0.5,), "gd", 0.5), ("1/x", (1.0,), "nesterov", 0.1)],
)  # fmt: skip
def test_what_diverges_ends_in_order(text: str, start: tuple, name: str, rate: float) -> None:
    """N024 at 2.1, and surfaces with an edge: the last good point stays, the run is done, and a remark says why."""
    learner, _, remarks = race(data=text, start=start, optimizer=(name,), lr=(rate,), updates=2000)
    why, update = learner.state.value["ended"][name] if learner.done else ("", 0)
    if text == "1/x":  # goes down for ever, ever more slowly
        assert not learner.done
        return
    assert why == "diverged"
    assert learner.done
    assert abs(learner.state.value["loss"][name]) <= 1e12
    assert bool(learner.model.at[name].isfinite().all())
    assert any(f"diverged: update {update + 1:,} would lead beyond 1e+12" in line for line in remarks)


def test_the_others_go_on_where_one_diverges() -> None:
    learner, _, _ = race(data="ravine", optimizer=("gd", "bfgs"), lr=(0.05, 1.0))
    assert learner.done
    assert {name: why for name, (why, _) in learner.state.value["ended"].items()} == {"gd": "diverged", "bfgs": "rest"}
    assert int(learner.model.best) == 1
    assert len(learner.model.path("gd")) == learner.state.value["ended"]["gd"][1] + 1


def test_usual_rates_suit_the_surface() -> None:
    """No rate given: every optimizer gets lower on every named surface, and none diverges."""
    names = tuple(TORCH)
    for name in descent.STARTS:
        learner, data = recipes.made(DescentRecipe(data=name, optimizer=names))
        before = look(learner, data.train)
        for step in range(60):
            learner.step(data.train.at(step), Clock(step, 60, 1))
        after = look(learner, data.train)
        ended = learner.state.value["ended"]
        assert not [each for each, (why, _) in ended.items() if why == "diverged"], name
        assert all(after[f"{each}/loss"] < before[f"{each}/loss"] for each in names), name


# --- what a user sees


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ({"data": "sqrt(x)", "start": (-1.0,)}, "must have a height below 1e+12 and a slope at the start"),
        ({"data": "sqrt(x)", "start": (0.0,)}, "it has the slope"),
        ({"data": "1/x", "start": (0.0,)}, "it has the height inf"),
        ({"data": "exp(x)", "start": (100.0,)}, "it has the height 2.68812e+43"),
        ({"data": "x**2 + y**2", "start": (1.0,)}, "start must be a number for each of x, y; got 1 for 2"),
        ({"data": "+".join(f"x{k}**2" for k in range(101))}, "at most 100 variables; got 101"),
        ({"data": "x**2 + x", "optimizer": ("lm",)}, "lm needs a sum of squares"),
        ({"data": "iris", "optimizer": ("lm",)}, "'species' holds classes"),
        ({"data": "iris", "hidden": (300,), "optimizer": ("adam", "bfgs")}, "bfgs can bear at most 2,000 weights"),
        ({"data": "iris", "start": (1.0,)}, "start is for a formula; iris is a table"),
        ({"data": "x**2 + 1", "hidden": (3,)}, "hidden is for a table"),
        ({"data": "x**2 + 1", "batch": 3}, "batch is for a table"),
        ({"data": "2 + 3"}, "must have a variable"),
        ({"data": "sine(x)"}, "there is no function 'sine'. Did you mean 'sin'?"),
        ({"data": "__import__('os')"}, ""),
        ({"data": "digits"}, "This system takes a function of numbers or a table; digits is pictures."),
    ],
)
def test_what_cannot_be_descended_is_one_sentence(words: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError) as error:
        DescentRecipe(**words).load()
    assert told in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--optimizer", "gd", "gd"], "descent: optimizer must be one or more different names; got gd gd."),
        (["--optimizer", "none"], "descent: optimizer must be one or more different names; got none."),
        (["--optimizer", "sgdd"], "optimizer must be 'gd', 'momentum'"),
        (["--lr", "0.1", "0.2"], "lr must be none, one rate, or one for each of the 5 optimizers; got 2."),
        (["--lr", "0"], "descent: lr must be greater than 0; got 0."),
        (["--lr", "nan"], "descent: lr must be "),
        (["--start", "inf", "1"], "descent: start must be a finite number; got "),
        (["--tolerance", "-1"], "descent: tolerance must be at least 0; got -1."),
        (["--data", "nowhere.csv"], "There is no data set 'nowhere.csv', and no file or folder of that name."),
    ],
)
def test_what_is_typed_wrong_is_one_sentence(
    flags: list[str], told: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["run", "descent", *flags, "--out", str(tmp_path / "run")])
    out = capsys.readouterr()
    assert end.value.code == 2
    assert told in out.err
    assert out.err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def run(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What a verb prints; it must end well."""
    with pytest.raises(SystemExit) as end:
        cli.main(list(words))
    out = capsys.readouterr()
    assert end.value.code == 0, out.err
    return out.out


@pytest.mark.parametrize(
    ("flags", "pictures"),
    [
        (["--data", "double_well", "--schedule", "inverse", "--optimizer", "gd", "momentum"], 3),
        (["--data", "x**2 + 2*(y - x)**2 + (z - 1)**4", "--optimizer", "gd", "adam"], 2),
        (["--data", "iris", "--optimizer", "gd", "adam", "--updates", "20"], 2),
        (["--data", "0.5*w**2", "--lr", "2.1", "--optimizer", "gd", "--updates", "2000"], 2),
        (["--data", "x**2 + y**2", "--start", "0", "0"], 2),
    ],
)
def test_a_run_its_report_and_its_answers(
    flags: list[str], pictures: int, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = str(tmp_path / "run")
    knobs = flags if "--updates" in flags else [*flags, "--updates", "30"]
    run(capsys, "run", "descent", *knobs, "--out", path)
    run(capsys, "report", path)
    assert len(list((tmp_path / "run" / "report").glob("*.png"))) == pictures
    assert "Not drawn" not in (tmp_path / "run" / "report" / "index.html").read_text(encoding="utf-8")
    if "iris" in flags:
        (row,) = (json.loads(line) for line in run(capsys, "predict", path, "5.1,3.5,1.4,0.2", "--json").splitlines())
        assert row["label"] == "setosa"
        return
    names = Run.open(path).spec()["names"]
    words = [",".join(["0.5"] * len(names)), ",".join(f"{name}=-1" for name in names)]
    rows = [json.loads(line) for line in run(capsys, "predict", path, *words, "--json").splitlines()]
    assert [row["name"] for row in rows] == words
    for row, value in zip(rows, (0.5, -1.0), strict=True):
        height = Formula(arithmetic(Run.open(path).spec()["text"])).heights(t(*[value] * len(names)))
        assert row["from"] == pytest.approx(float(height))
        assert set(row["at"]) == set(names)
        if "2.1" not in flags:
            assert row["to"] < row["from"]


def test_a_users_table_in_a_file_is_a_table(tmp_path: Path) -> None:
    """A CSV of numbers could be a function given by points, to other systems."""
    pairs = [(k * 17 % 31, k * k % 7) for k in range(40)]
    lines = ["a,b,y", *[f"{a / 2},{b / 4},{1.5 * a - b / 2 + 1}" for a, b in pairs]]
    (tmp_path / "own.csv").write_text("\n".join(lines), encoding="utf-8")
    learner, _, _ = race(data=str(tmp_path / "own.csv"), target="y", optimizer=("newton",), valid=0.0, test=0.0)
    assert learner.state.value["loss"]["newton"] == pytest.approx(0, abs=1e-12)  # the target is linear


def test_show_names_every_optimizer(capsys: pytest.CaptureFixture[str]) -> None:
    told = run(capsys, "show", "descent")
    assert ", ".join(METHODS) in told
    assert tuple(METHODS) == typing.get_args(descent.Optimizer)
    assert set(METHODS) > SECOND_ORDER > SEARCHING


# --- pictures


def test_a_contour_map_shows_every_path_and_cuts_off_what_runs_away() -> None:
    tame = torch.tensor([[-2.0, 1.0], [0.0, 0.5], [0.0, 0.0]])
    wild = torch.tensor([[-2.0, 1.0], [50.0, 1e6], [-9e9, 1e11]])
    bowl = Formula(arithmetic("x**2 + y**2"))
    figure = contour.contour(bowl.heights, {"tame": tame.double(), "wild": wild.double()}, "xy", [(-3, 3), (-2, 2)])
    (axes,) = figure.axes
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["tame", "wild", "start"]
    low, high = axes.get_xlim()
    assert low < -3
    assert high == pytest.approx(-low)
    assert axes.get_ylim()[1] < 3
    drawn = [line.get_xydata().tolist() for line in axes.lines]
    assert tame.tolist() in drawn
    assert [[0.0, 0.0]] in drawn
    free = contour.contour(bowl.heights, {"tame": tame.double(), "wild": wild.double()}, "xy")
    assert free.axes[0].get_xlim()[1] < 1


def test_a_map_of_many_unknowns_holds_the_start_and_the_lowest_end() -> None:
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(6, generator=generator, dtype=torch.float64)
    paths = [start + torch.randn(8, 6, generator=generator, dtype=torch.float64).cumsum(0) for _ in range(3)]
    paths = [torch.cat([start[None], path]) for path in paths]
    centre, directions = contour.plane(paths, paths[1][-1])
    torch.testing.assert_close(directions @ directions.T, torch.eye(2, dtype=torch.float64))
    assert torch.equal(centre, start)
    flat = (paths[1][-1] - centre) @ directions.T
    torch.testing.assert_close(centre + flat @ directions, paths[1][-1])


def test_losses_that_reach_zero_have_a_logarithmic_scale_all_the_same() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = contour.races({"a": ([0, 1, 2], [1.0, 1e-3, 0.0]), "b": ([0, 1], [1.0, 0.9])}, "loss")
    (axes,) = figure.axes
    assert axes.get_yscale() == "log"
    assert min(axes.lines[0].get_ydata()) > 0
    assert contour.races({"a": ([0, 1], [1.0, 0.9])}, "rate").axes[0].get_yscale() == "linear"


def test_a_net_too_large_to_race_on_is_refused_before_it_is_made(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["run", "descent", "--data", "iris", "--hidden", "100000000", "--optimizer", "adam"])
    assert end.value.code == 2
    assert "at most 1,000,000 weights; with hidden 100000000 it has 800,000,003" in capsys.readouterr().err
