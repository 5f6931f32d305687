"""Claims about descending: learning rates, curvature, batches, momentum and its relatives.

Descents are the package's own, `optimizers.METHODS`, and so is K-means. Runs from several seeds are made side by side.

Letters: D weights, T examples, S seeds, B examples a batch, P steps, κ the ratio of the largest curvature to the
smallest.
"""

import functools
import itertools
import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from deepclassics.claims import Finding
from deepclassics.claims.training import curves, median
from deepclassics.optimizers import METHODS, Ground, Memory, Settings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SEEDS = 20


class _Ground(Ground):
    """A gradient, and the Hessian for the methods that ask for it."""

    def __init__(self, gradient: Callable[[Tensor], Tensor], hessian: Tensor | None = None) -> None:
        self.gradient_of, self.matrix = gradient, hessian

    def gradient(self, w: Tensor) -> Tensor:
        return self.gradient_of(w)

    def hessian(self, w: Tensor) -> Tensor:
        assert self.matrix is not None
        return self.matrix

    def loss(self, w: Tensor) -> Tensor:
        raise NotImplementedError("no method used here asks for the loss")

    def gauss_newton(self, w: Tensor) -> tuple[Tensor, Tensor]:
        raise NotImplementedError("no method used here asks for residuals")


def _quadratic(matrix: Tensor, slope: Tensor) -> _Ground:  # (D, D), (D,)
    """w'A w/2 + b'w."""
    return _Ground(lambda w: matrix @ w + slope, matrix)


def _path(
    method: str, start: Tensor, ground: Ground, rate: float, steps: int, settings: Settings | None = None
) -> Tensor:  # (D,) -> (P + 1, D)
    """Where one of the package's optimizers goes."""
    memory: Memory = {}
    path = [start]
    for _ in range(steps):
        path.append(METHODS[method](path[-1], ground, rate, memory, settings or Settings()))
    return torch.stack(path)


def _ravine(*curvatures: float) -> tuple[Tensor, Ground]:
    """A start of ones, and half the squares of the coordinates, weighed by their curvatures."""
    weights = torch.tensor(curvatures, dtype=torch.float64)
    return torch.ones_like(weights), _quadratic(weights.diag(), torch.zeros_like(weights))


def _steps_to(path: Tensor, share: float) -> float:  # (P, D)
    """Steps until the distance from 0 stays below a share of the first; infinite where it does not."""
    far = (path.norm(dim=1) >= share * path[0].norm()).nonzero().flatten()
    last = int(far[-1])
    return float(last + 1) if last + 1 < len(path) else math.inf


def _regression(seed: int, examples: int = 200, noise: float = 0.5) -> tuple[Tensor, Tensor, Tensor]:
    """x (T, 5), y (T,) and the least-squares weights (5,)."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(examples, 5, generator=generator, dtype=torch.float64)
    y = x @ torch.randn(5, generator=generator, dtype=torch.float64)
    y = y + noise * torch.randn(examples, generator=generator, dtype=torch.float64)
    return x, y, torch.linalg.lstsq(x, y[:, None], driver="gelsd").solution[:, 0]


def _regressions(noise: float = 0.5) -> tuple[Tensor, Tensor, Tensor]:  # -> (S, 200, 5), (S, 200), (S, 5)
    """One of each seed."""
    x, y, best = zip(*(_regression(seed, noise=noise) for seed in range(SEEDS)), strict=True)
    return torch.stack(x), torch.stack(y), torch.stack(best)


def _batches(
    examples: int, size: int, passes: int, seeds: int = SEEDS, shuffled: bool = True
) -> Iterator[Tensor]:  # -> (S, B) of rows
    """Batches in an order of each seed, drawn anew for each pass; or in the order that the examples have."""
    generators = [torch.Generator().manual_seed(seed) for seed in range(seeds)]
    for _ in range(passes):
        order = torch.stack([torch.randperm(examples, generator=each) for each in generators])
        yield from (order if shuffled else torch.arange(examples).expand(seeds, -1)).split(size, 1)


def _slope(w: Tensor, x: Tensor, y: Tensor, rows: Tensor) -> Tensor:  # (S, D), (S, T, D), (S, T), (S, B) -> (S, D)
    """The gradient of half the mean squared error of linear regressions, each on its own rows."""
    seeds = torch.arange(len(x))[:, None]
    seen = x[seeds, rows]
    error = (seen * w[:, None]).sum(2) - y[seeds, rows]
    return (error[:, :, None] * seen).mean(1)


def _least_squares(
    x: Tensor, y: Tensor, batches: Iterator[Tensor], rate: Callable[[int], float | Tensor]
) -> Tensor:  # (S, T, D), (S, T), each (S, B) -> (P + 1, S, D)
    """The paths of descent on batches of linear regressions, from 0."""
    path = [x.new_zeros(len(x), x.shape[2])]
    for step, rows in enumerate(batches):
        path.append(path[-1] - rate(step) * _slope(path[-1], x, y, rows))
    return torch.stack(path)


def c060_sample_quality() -> Finding:
    """How well the samples cover the inputs directly affects the accuracy.

    Notes: F2 L428.

    A cubic spline of least squares fits sin over [0, 2π] from 60 samples, spread evenly or crowded into the first
    third, with the same noise. The median root of the squared error over the whole range decides.
    """
    import numpy as np
    from scipy.interpolate import LSQUnivariateSpline

    everywhere = np.linspace(0, 2 * np.pi, 400)
    knots = np.linspace(0, 2 * np.pi, 8)[1:-1]
    errors: dict[str, list[float]] = {"even": [], "crowded": []}
    for seed in range(SEEDS):
        random = np.random.default_rng(seed)
        for name in errors:
            inside = np.sort(random.uniform(0, 2 * np.pi, 60))
            if name == "crowded":  # 50 in the first third, 10 in the rest: enough for the spline to be defined
                inside = np.sort(
                    np.concatenate([random.uniform(0, 2, 50), np.linspace(2.1, 6.2, 10) + random.normal(0, 0.02, 10)])
                )
            heights = np.sin(inside) + random.normal(0, 0.2, 60)
            fitted = LSQUnivariateSpline(inside, heights, knots[(knots > inside[0]) & (knots < inside[-1])], k=3)
            errors[name].append(float(np.sqrt(np.mean((fitted(everywhere) - np.sin(everywhere)) ** 2))))
    found = {name: median(values) for name, values in errors.items()}
    return Finding(
        holds=found["crowded"] > 1.5 * found["even"],
        numbers={f"root mean squared error, {name} samples": value for name, value in found.items()},
    )


def c067_newton1() -> Finding:
    """With the rate 1/E'' a quadratic is at its minimum after one step.

    Notes: F2 L728-736.

    1,000 random parabolas a w²/2 + b w + c with a from 0.01 to 100, and random starts.
    """
    a = 10 ** (4 * torch.rand(1000, dtype=torch.float64) - 2)
    b, w = torch.randn(2, 1000, dtype=torch.float64) * 10
    after = w - (1 / a) * (a * w + b)
    off = float(((after + b / a).abs() / (1 + (b / a).abs())).max())
    return Finding(holds=off < 1e-12, numbers={"largest relative distance from the minimum after one step": off})


def c068_regimes() -> Finding:
    """A rate below the best one converges steadily, one up to twice it oscillates and converges, one beyond diverges.

    Notes: F2 L740-745.

    The factor by which the distance from the minimum changes in a step is 1 - η/η_best: measured on w²/2 over 20 steps.
    At exactly twice the best rate it swings for ever, which the notes leave out (N024).
    """
    start, ground = _ravine(1.0)
    ratios = (0.5, 1.0, 1.5, 1.9, 2.0, 2.1)
    paths = {ratio: _path("gd", start, ground, ratio, 20)[:, 0] for ratio in ratios}
    factors = {ratio: float(path[1] / path[0]) for ratio, path in paths.items()}
    right = all(abs(factors[ratio] - (1 - ratio)) < 1e-12 for ratio in ratios)
    ends = {ratio: float(path[-1].abs()) for ratio, path in paths.items()}
    return Finding(
        holds=right and max(ends[ratio] for ratio in (0.5, 1.0, 1.5, 1.9)) < 0.2 and ends[2.1] > 5,
        limited=ends[2.0] == 1.0,
        numbers={
            **{f"factor a step at {ratio:g} of the best rate": value for ratio, value in factors.items()},
            **{f"distance after 20 steps at {ratio:g} of the best rate": value for ratio, value in ends.items()},
        },
        remark="At exactly twice the best rate it neither converges nor diverges.",
        draw=curves(
            {f"{ratio:g} of the best": path.abs().clamp(min=1e-9).tolist() for ratio, path in paths.items()},
            "steps",
            "distance from the minimum",
            log=True,
            first=0,
        ),
    )


def c069_min_eta() -> Finding:
    """The rate must be below twice the smallest of the coordinates' best rates, which is why descent is slow.

    Notes: F2 L747-788.

    On curvatures 1 and 9 the bound is 2/9 (N025): just below it descent converges, just above it diverges. Steps to a
    millionth of the distance at the best single rate, 2/(1 + κ), are measured for κ from 10 to 1,000: their number must
    grow in proportion to κ. The notes call the bound "the optimal choice" (E018); it is where convergence ends.
    """
    start, ground = _ravine(1.0, 9.0)
    below, above = (_path("gd", start, ground, rate, 2000) for rate in (0.999 * 2 / 9, 1.001 * 2 / 9))
    rates = {
        rate: float((_path("gd", start, ground, rate, 60)[-1].norm() / start.norm()) ** (1 / 60))
        for rate in (0.2, 1 / 9)
    }
    steps = {}
    for kappa in (10, 100, 1000):
        place, valley = _ravine(1.0, float(kappa))
        steps[kappa] = _steps_to(_path("gd", place, valley, 2 / (1 + kappa), 20 * kappa), 1e-6)
    growth = math.log10(steps[1000] / steps[10]) / 2
    best_is_bound = float(_path("gd", start, ground, 2 / 9, 100)[-1].norm()) < 1e-3
    return Finding(
        holds=float(below[-1].norm()) < 0.2 and float(above[-1].norm()) > 5 and 0.9 < growth < 1.1,
        limited=not best_is_bound,
        numbers={
            "distance after 2,000 steps at 0.999 of the bound": float(below[-1].norm()),
            "distance after 2,000 steps at 1.001 of the bound": float(above[-1].norm()),
            "factor a step at 0.2, curvatures 1 and 9": rates[0.2],
            "factor a step at 1/9, curvatures 1 and 9": rates[1 / 9],
            **{f"steps to 1e-6, κ = {kappa}": value for kappa, value in steps.items()},
            "steps grow as κ to the power": growth,
        },
        remark="The bound is where convergence ends, not the optimal rate.",
    )


def c070_scale1() -> Finding:
    """Once the axes are scaled, and rotated where they must be, the rate 1 is the best.

    Notes: F2 L803, L826-828.

    100 random quadratics of five weights, and the package's `rotated`: one step at rate 1 must end in the minimum. So
    must one of `scaled`, which only stretches the axes, where the matrix is diagonal. The printed
    normalised rule, w - η A⁻¹ b, lacks A w (E021, E019): one step of it must miss wherever w is not 0.
    """
    right, stretched, printed = [], [], []
    for seed in range(100):
        generator = torch.Generator().manual_seed(seed)
        root = torch.randn(5, 5, generator=generator, dtype=torch.float64)
        matrix = root @ root.T + 0.1 * torch.eye(5, dtype=torch.float64)
        b, w = torch.randn(2, 5, generator=generator, dtype=torch.float64)
        best = -torch.linalg.solve(matrix, b)
        ended = _path("rotated", w, _quadratic(matrix, b), 1.0, 1)[-1]
        right.append(float((ended - best).norm() / best.norm()))
        straight = matrix.diagonal()
        ended = _path("scaled", w, _quadratic(straight.diag(), b), 1.0, 1)[-1]
        stretched.append(float((ended + b / straight).norm() / (b / straight).norm()))
        printed.append(float((w - torch.linalg.solve(matrix, b) - best).norm() / best.norm()))
    return Finding(
        holds=max(right) < 1e-8 and max(stretched) < 1e-8,
        limited=min(printed) > 1e-3,
        numbers={
            "largest relative distance after one step, axes rotated and scaled": max(right),
            "largest relative distance after one step, axes scaled, matrix diagonal": max(stretched),
            "smallest relative distance after one step of the printed rule": min(printed),
        },
        remark="The step is w - η A⁻¹ (A w + b); the printed one lacks A w.",
    )


def c071_hess_bad() -> Finding:
    """The Hessian's inverse is impractical for large networks, and where it may be indefinite the step may climb.

    Notes: F2 L843.

    Multiplications to factorise a Hessian of D weights grow as D³/3 and its memory as D²: told for a 784-100-10 net.
    The Hessians of 20 random tanh nets of 13 weights at their first weights must have negative eigenvalues, and a
    Newton step there must raise the loss at least once. The notes say "semi-definite" where they mean indefinite
    (E022).
    """
    from torch.func import grad, hessian

    negative, climbs = 0, 0
    for seed in range(SEEDS):
        generator = torch.Generator().manual_seed(seed)
        x = torch.randn(30, 2, generator=generator, dtype=torch.float64)
        y = torch.sign(x[:, 0] * x[:, 1])

        def loss(w: Tensor, x: Tensor = x, y: Tensor = y) -> Tensor:
            hidden = torch.tanh(x @ w[:6].view(2, 3) + w[6:9])
            return (hidden @ w[9:12] + w[12] - y).square().mean() / 2

        w = torch.randn(13, generator=generator, dtype=torch.float64)
        matrix = hessian(loss)(w)
        negative += bool(torch.linalg.eigvalsh(matrix).min() < -1e-9)
        climbs += bool(loss(w - torch.linalg.solve(matrix, grad(loss)(w))) > loss(w))
    weights = 784 * 100 + 100 + 100 * 10 + 10
    return Finding(
        holds=negative == SEEDS and climbs > 0,
        numbers={
            "nets of 20 with a negative eigenvalue at the start": float(negative),
            "nets of 20 where a Newton step raises the loss": float(climbs),
            "weights of a 784-100-10 net": float(weights),
            "memory of its Hessian in float32, GB": weights**2 * 4 / 1e9,
            "multiplications to factorise it": weights**3 / 3,
        },
    )


def _well(w: Tensor) -> Tensor:
    """The slope of w⁴/4 - w²/2 + 0.15 w: a lower minimum near -1.07, a higher one near 0.92."""
    return w**3 - w + 0.15


def c072_big_lr() -> Finding:
    """A large rate helps to leave a local optimum but does not settle; a decaying one does both.

    Notes: F2 L845.

    1,000 starts over a bowl with ripples, w²/20 + sin(3w)/2, whose steepest curvature is 4.6: descent settles in a
    ripple at rates below 0.43. 300 steps at 0.05, 0.2 and 0.6, and at a rate that falls from 0.6 to 0.05: the mean loss
    at the end, and how far the last 20 steps still swing.
    """
    starts = torch.linspace(-10, 10, 1000, dtype=torch.float64)
    swings, losses, paths = {}, {}, {}
    for name in ("0.05", "0.2", "0.6", "0.6 falling to 0.05"):
        w, tail, means = starts.clone(), [], []
        for step in range(300):
            rate = 0.6 * (0.05 / 0.6) ** (step / 300) if "falling" in name else float(name)
            w = w - rate * (0.1 * w + 1.5 * torch.cos(3 * w))
            means.append((w * w / 20 + torch.sin(3 * w) / 2).mean())
            if step >= 280:
                tail.append(w)
        swings[name] = float((torch.stack(tail).amax(0) - torch.stack(tail).amin(0)).mean())
        losses[name] = float(torch.stack(means[-20:]).mean())
        paths[name] = torch.stack(means)
    deepest = min(float(w * w / 20 + torch.sin(3 * w) / 2) for w in torch.linspace(-2, 2, 4001))
    falling = losses["0.6 falling to 0.05"]
    return Finding(
        holds=swings["0.6"] > 0.1 > swings["0.05"] and falling < min(losses[name] for name in ("0.05", "0.2", "0.6")),
        numbers={
            "loss of the deepest minimum": deepest,
            **{f"mean loss over the last 20 steps, rate {name}": value for name, value in losses.items()},
            **{f"mean swing of the last 20 steps, rate {name}": value for name, value in swings.items()},
        },
        draw=curves({f"rate {name}": path.tolist() for name, path in paths.items()}, "steps", "mean loss", first=0),
    )


def c073_sgd_dir() -> Finding:
    """A step on one example is not the best direction, but ends close to the optimum; the batch ends closer.

    Notes: F2 L904, L911.

    Linear regression of 200 examples: the cosine between single gradients and the whole one, and the distance from the
    least-squares weights after 40 passes at a fixed rate, the median of 20 seeds.
    """
    x, y, best = _regressions()
    gradients = -y[:, :, None] * x  # of every example, at weights of 0
    cosines = torch.cosine_similarity(gradients, gradients.mean(1, keepdim=True), dim=2).mean(1).tolist()

    def off(path: Tensor) -> list[float]:  # (P + 1, S, D)
        ends: list[float] = ((path[-1] - best).norm(dim=1) / best.norm(dim=1)).tolist()
        return ends

    single = off(_least_squares(x, y, _batches(200, 1, 40), lambda step: 0.01))
    whole = off(_least_squares(x, y, _batches(200, 200, 400), lambda step: 0.3))
    return Finding(
        holds=median(cosines) < 0.9 and median(whole) < median(single) < 0.1,
        numbers={
            "mean cosine of single gradients with the whole one": median(cosines),
            "relative distance at the end, one example a step": median(single),
            "relative distance at the end, the whole batch": median(whole),
        },
    )


def c074_sgd_cycle() -> Finding:
    """Examples in a fixed order lead to cyclic behaviour.

    Notes: F2 L915.

    Linear regression by steps on single examples, sorted by their target or shuffled anew each pass. The swing is how
    far the weights go within a pass, once the start is forgotten; that of passes in sorted order must repeat itself.
    """
    x, y, _ = _regressions()
    order = y.argsort(1)
    x, y = x.take_along_dim(order[:, :, None], 1), y.take_along_dim(order, 1)
    swings: dict[str, list[float]] = {}
    repeats: dict[str, list[float]] = {}
    for name in ("sorted", "shuffled"):
        path = _least_squares(x, y, _batches(200, 1, 40, shuffled=name == "shuffled"), lambda step: 0.02)
        last, before = path[-200:], path[-400:-200]
        swings[name] = (last - last.mean(0)).norm(dim=2).mean(0).tolist()
        repeats[name] = (last - before).norm(dim=2).mean(0).tolist()
    return Finding(
        holds=median(swings["sorted"]) > 1.2 * median(swings["shuffled"])
        and median(repeats["sorted"]) < 1e-3 * median(swings["sorted"])
        and median(repeats["shuffled"]) > 0.1 * median(swings["shuffled"]),
        numbers={
            **{f"swing of the weights within a pass, {name}": median(each) for name, each in swings.items()},
            **{f"difference from the pass before, {name}": median(each) for name, each in repeats.items()},
        },
    )


def c075_sgd_decay() -> Finding:
    """Stochastic descent needs a rate that falls.

    Notes: F2 L919.

    Linear regression by steps on single examples drawn anew each time, 20,000 of them: the distance from the
    least-squares weights with fixed rates, where it must stall in proportion to the root of the rate, and with a rate
    that falls as 1/t.
    """
    x, y, best = _regressions()
    drawn = torch.stack(
        [torch.randint(200, (20_000,), generator=torch.Generator().manual_seed(seed)) for seed in range(SEEDS)], 1
    )
    rates: dict[str, Callable[[int], float]] = {
        "0.01": lambda step: 0.01,
        "0.0025": lambda step: 0.0025,
        "falling as 1/t": lambda step: 0.04 / (1 + step / 200),
    }
    found = {}
    for name, rate in rates.items():
        path = _least_squares(x, y, iter(drawn[:, :, None]), rate)
        found[name] = (path[-2000:] - best).norm(dim=2).mean(0).tolist()
    middle = {name: median(each) for name, each in found.items()}
    power = math.log(middle["0.01"] / middle["0.0025"]) / math.log(4)
    return Finding(
        holds=middle["falling as 1/t"] < 0.5 * middle["0.0025"] and 0.35 < power < 0.75,
        numbers={
            **{f"distance over the last 2,000 steps, rate {name}": value for name, value in middle.items()},
            "with a fixed rate it grows as the rate to the power": power,
        },
    )


def c076_sgd_local() -> Finding:
    """Single-example descent easily falls into a local optimum, which is a reason for mini-batches.

    Notes: F2 L938.

    A double well whose gradient comes with the noise of a batch of 1, 4, 16 or all: 2,000 starts in the shallower well,
    300 steps. If the claim held, small batches would stay in the local optimum more often; noise does the opposite.
    """
    stuck = {}
    for size in (1, 4, 16, 0):
        w = torch.full((2000,), 0.9, dtype=torch.float64)
        for _ in range(300):
            noise = torch.randn(2000, dtype=torch.float64) * (1.5 / math.sqrt(size) if size else 0)
            w = (w - 0.1 * (_well(w) + noise)).clamp(-3, 3)
        stuck[size] = float((w > 0.1).double().mean())
    names = {1: "1 example", 4: "4 examples", 16: "16 examples", 0: "all examples"}
    return Finding(
        holds=stuck[1] > stuck[16] >= stuck[0],
        numbers={f"share still in the local optimum, batches of {names[size]}": value for size, value in stuck.items()},
        remark="The noise of single examples helps to leave a local optimum; the whole batch stays.",
        draw=_bars({names[size]: value for size, value in stuck.items()}, "share still in the local optimum"),
    )


def _bars(values: dict[str, float], up: str) -> "Callable[[], Figure]":
    def draw() -> "Figure":
        from deepclassics.report.style import sheet

        figure = sheet(5.6, 3.4)
        axes = figure.subplots()
        axes.bar(list(values), list(values.values()))
        axes.set_ylabel(up)
        return figure

    return draw


def c077_mb_compromise() -> Finding:
    """Mini-batches take the advantages of both: fewer updates than single examples, fewer examples than the batch.

    Notes: F2 L969.

    Linear regression of 2,000 examples, each batch size at the best of eight rates: examples looked at until the excess
    loss stays below a hundredth of the first, and updates. A step costs the overhead of an update and the work on its
    examples. Which size costs least is told for overheads of 0 to 10,000 examples: the claim is limited to those for
    which it is neither a single example nor the batch.
    """
    updates, cheapest = _updates_needed(), _cheapest()
    within = [overhead for overhead, size in cheapest.items() if size not in (1, 2000)]
    return Finding(
        holds=bool(within) and updates[1] > updates[64] and updates[1] < 2000 * updates[2000],
        limited=len(within) < len(cheapest),
        numbers={
            **{f"updates needed, batches of {size}": float(value) for size, value in updates.items()},
            **{f"examples looked at, batches of {size}": float(value * size) for size, value in updates.items()},
            **_by_overhead(cheapest),
        },
        remark=_middle(within),
    )


SIZES = (1, 16, 64, 256, 2000)
OVERHEADS = (0, 1, 10, 50, 100, 200, 500, 1000, 10_000)  # of an update, in examples


@functools.cache
def _updates_needed() -> dict[int, int]:
    """Updates until the excess loss stays below a hundredth of the first, by the size of a batch, at the best rate."""
    x, y, best = _regression(0, examples=2000)
    floor = (x @ best - y).square().mean()
    first = y.square().mean() - floor
    rates = torch.tensor([0.003, 0.01, 0.03, 0.1, 0.2, 0.4, 0.7, 1.0], dtype=x.dtype)[:, None]
    updates = {}
    for size in SIZES:
        rows = (each.expand(len(rates), -1) for each in _batches(2000, size, 60 if size == 2000 else 6, seeds=1))
        path = _least_squares(x.expand(len(rates), -1, -1), y.expand(len(rates), -1), rows, lambda step: rates)
        every = max(1, 16 // size)
        excess = torch.stack([(w @ x.T - y).square().mean(1) - floor for w in path[::every][:400]])  # (looks, rates)
        looks = [int((~(each < 0.01 * first)).nonzero().max()) + 1 for each in excess.T]
        updates[size] = min(look * every for look in looks if look < len(excess))
    return updates


def _cheapest() -> dict[int, int]:
    """The size of batch that costs least, by the overhead of an update."""
    needed = _updates_needed()
    return {each: min(SIZES, key=lambda size: needed[size] * (each + size)) for each in OVERHEADS}


def _by_overhead(cheapest: dict[int, int]) -> dict[str, float]:
    return {
        f"cheapest batch where an update costs as much as {each:,} examples": float(size)
        for each, size in cheapest.items()
    }


def _middle(within: list[int]) -> str:
    if not within:
        return "At every overhead an end is cheapest."
    return f"Where an update costs as much as {within[0]:,} to {within[-1]:,} examples; elsewhere an end is cheapest."


def c078_kmeans_var() -> Finding:
    """Updates on single samples raise the variance of the error; mini-batches lie between.

    Notes: F2 L973.

    The variance of the gradient over random batches of b examples, which must fall as 1/b; and the package's K-means on
    600 points around three centres, two passes in ten orders, by single samples, by batches of 30 and by all: how much
    the error that an update sees, and that of all points, deviate from order to order, the mean over the looks. The
    verdict is of the first. Where single samples do not make the second vary half as much again as batches do, the
    claim is limited: there each centre is the mean of all that came to it, so single samples move it ever less.
    """
    from deepclassics.systems.foundations.kmeans import Method, race

    x, y, _ = _regression(0)
    sizes, spread = (1, 4, 16, 64), {}
    for size in sizes:
        drawn = torch.randint(200, (4000, size))
        gradients = (-y[drawn][:, :, None] * x[drawn]).mean(1)
        spread[size] = float(gradients.var(0).sum())
    power = math.log(spread[64] / spread[1]) / math.log(64)
    middles = torch.tensor([[0.0, 0.0], [4.0, 0.0], [2.0, 3.0]], dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    points = middles.repeat(200, 1) + 0.7 * torch.randn(600, 2, generator=generator, dtype=torch.float64)
    courses = race(points.float(), 3, orders=10, passes=2)
    own = {method: float(course.own.std(0).mean()) for method, course in courses.items()}
    whole = {method: float(course.all.std(0).mean()) for method, course in courses.items()}
    names: dict[Method, str] = {"macqueen": "single samples", "minibatch": "batches of 30", "lloyd": "all"}
    return Finding(
        holds=-1.15 < power < -0.85 and own["macqueen"] > own["minibatch"] > own["lloyd"],
        limited=whole["macqueen"] < 1.5 * whole["minibatch"],
        numbers={
            **{f"variance of the gradient, batches of {size}": value for size, value in spread.items()},
            "it changes as the batch to the power": power,
            **{f"deviation of the error an update of K-means sees, {each}": own[name] for name, each in names.items()},
            **{f"deviation of K-means' error on all points, {each}": whole[name] for name, each in names.items()},
        },
        remark="Of the gradient and of the error that an update sees. K-means' error on all points varies by "
        f"{whole['macqueen']:.2g} with single samples, by {whole['minibatch']:.2g} with batches.",
    )


def c079_mom() -> Finding:
    """Momentum speeds up where steps agree, slows down where they oppose each other, and so is smoother and faster.

    Notes: F2 L984-1008.

    A ravine of κ = 100: steps to a ten-thousandth of the distance, descent and momentum each at its best constants
    (Polyak 1964). The theory tells about √κ fewer steps. With noisy gradients the steps must vary less, for the same
    mean step.
    """
    start, ground = _ravine(1.0, 100.0)
    plain = _path("gd", start, ground, 2 / 101, 2000)
    faster = _path("momentum", start, ground, 4 / 121, 2000, Settings(momentum=(9 / 11) ** 2))
    steps = _steps_to(plain, 1e-4), _steps_to(faster, 1e-4)
    noise = torch.randn(4000, dtype=torch.float64)
    moves, move = [], torch.zeros((), dtype=torch.float64)
    for each in noise:
        move = 0.9 * move - 0.1 * (1 + each)
        moves.append(move)
    smooth, rough = torch.stack(moves)[100:], -(1 + noise)[100:]
    return Finding(
        holds=steps[1] < steps[0] / 5 and float(smooth.std()) < 0.5 * float(rough.std()),
        numbers={
            "steps of descent": steps[0],
            "steps with momentum": steps[1],
            "ratio": steps[0] / steps[1],
            "deviation of noisy steps, descent": float(rough.std()),
            "deviation of noisy steps, momentum of the same mean": float(smooth.std()),
        },
        draw=curves(
            {
                name: path.norm(dim=1)[:500].clamp(min=1e-12).tolist()
                for name, path in (("descent", plain), ("momentum", faster))
            },
            "steps",
            "distance from the minimum",
            log=True,
            first=0,
        ),
    )


def c080_nagc() -> Finding:
    """Nesterov's gradient at the place ahead improves on momentum: it oscillates less.

    Notes: F2 L1015-1026.

    The same ravine with the same rate and β = 0.9 for both: changes of sign along the steep axis, and steps to a
    ten-thousandth. Each at its own best constants is told too: there momentum is ahead on a quadratic.
    """
    start, ground = _ravine(1.0, 100.0)
    paths = [_path(method, start, ground, 0.01, 2000, Settings(momentum=0.9)) for method in ("momentum", "nesterov")]
    swings = [float((path[:-1, 1] * path[1:, 1] < -1e-16).sum()) for path in paths]
    steps = [_steps_to(path, 1e-4) for path in paths]
    own = (
        _steps_to(_path("momentum", start, ground, 4 / 121, 2000, Settings(momentum=(9 / 11) ** 2)), 1e-4),
        _steps_to(_path("nesterov", start, ground, 1 / 100, 2000, Settings(momentum=9 / 11)), 1e-4),
    )
    return Finding(
        holds=swings[1] < swings[0] and steps[1] <= steps[0],
        limited=own[1] > own[0],
        numbers={
            "changes of sign, momentum": swings[0],
            "changes of sign, Nesterov": swings[1],
            "steps, momentum": steps[0],
            "steps, Nesterov": steps[1],
            "steps with constants of its own, momentum": own[0],
            "steps with constants of its own, Nesterov": own[1],
        },
        remark="At equal constants. With constants chosen for each, momentum is faster on a quadratic.",
        draw=curves(
            {
                name: path.norm(dim=1)[:200].clamp(min=1e-12).tolist()
                for name, path in zip(("momentum", "Nesterov"), paths, strict=True)
            },
            "steps",
            "distance from the minimum",
            log=True,
            first=0,
        ),
    )


def c081_opt_same() -> Finding:
    """RMSProp, Adam, Adagrad and AdaDelta have roughly the same effect.

    Notes: F2 L1041.

    Logistic regression on the breast_cancer table: the training loss after 200 updates of the package's methods on
    batches of 32, the median of five seeds. "Roughly the same" is taken as within a factor of 1.5. The verdict is of
    each method at its own best rate, from a grid so wide that no best one is at its edge; AdaDelta's lies far above the
    others', as its steps begin at the root of its epsilon. Where they are not alike at the best of 0.001 to 1, the
    rates that are usually tried, the claim is limited.
    """
    from deepclassics.data import load

    splits = load("breast_cancer", ("table",), seed=0)
    x, y = splits.train["features"], splits.train["label"].float()
    x = torch.cat([torch.ones(len(x), 1), x], 1)
    batches = list(itertools.islice(_batches(len(x), 32, 20, seeds=5), 200))

    def losses(method: str, rate: float) -> list[float]:
        memory: Memory = {}
        w = torch.zeros(5, x.shape[1])
        for rows in batches:
            seen, wanted = x[rows], y[rows]  # (S, B, D), (S, B)
            w = METHODS[method](w, _Ground(partial(_logistic, seen, wanted)), rate, memory, Settings())
        ends = F.binary_cross_entropy_with_logits(w @ x.T, y.expand(5, -1), reduction="none").mean(1)
        return ends.tolist()

    rates = [mantissa * 10.0**power for power in range(-3, 4) for mantissa in (1, 3)]
    found = {
        name: {rate: median(losses(name.lower(), rate)) for rate in rates}
        for name in ("RMSProp", "Adam", "Adagrad", "AdaDelta")
    }
    best = {name: min(each, key=lambda rate: each[rate]) for name, each in found.items()}
    own = {name: each[best[name]] for name, each in found.items()}
    usual = {name: min(loss for rate, loss in each.items() if rate <= 1) for name, each in found.items()}
    return Finding(
        holds=max(own.values()) < 1.5 * min(own.values()) and not {rates[0], rates[-1]} & set(best.values()),
        limited=max(usual.values()) >= 1.5 * min(usual.values()),
        numbers={
            **{f"training loss at its own best rate, {name}, nats": value for name, value in own.items()},
            **{f"best rate, {name}": value for name, value in best.items()},
            **{f"training loss at the best rate up to 1, {name}, nats": value for name, value in usual.items()},
        },
        remark=f"Each at its own best rate: at rates up to 1, {max(usual, key=lambda name: usual[name])} ends at "
        f"{max(usual.values()) / min(usual.values()):.2g} times the loss of the best.",
    )


def _logistic(x: Tensor, y: Tensor, w: Tensor) -> Tensor:  # (S, B, D), (S, B) of 0 and 1, (S, D) -> (S, D)
    """The gradient of the mean cross entropy of logistic regressions, each on its own batch."""
    off = ((x * w[:, None]).sum(2)).sigmoid() - y
    return (off[:, :, None] * x).mean(1)


def c162_adam_adapt() -> Finding:
    """Adam takes smaller steps where gradients are large and larger where they are small; its bias correction matters.

    Notes: F3 L1427-1444.

    The package's Adam on constant gradients of 100 and 0.001: after 100 steps both coordinates must have moved alike,
    so the step relative to the gradient is the smaller the larger the gradient. Its first step is the rate; without the
    correction it would be 0.1/√0.001 = 3.16 times as long.
    """
    g = torch.tensor([100.0, 0.001], dtype=torch.float64)
    path = _path("adam", torch.zeros_like(g), _quadratic(torch.zeros(2, 2, dtype=g.dtype), g), 0.01, 100)
    w, first = path[-1], float(-path[1, 0] / 0.01)
    uncorrected = float((0.1 * g / ((0.001 * g * g).sqrt() + 1e-8))[0])
    return Finding(
        holds=abs(float(w[0] / w[1]) - 1) < 1e-3
        and abs(first - 1) < 1e-6
        and abs(uncorrected - 0.1 / math.sqrt(0.001)) < 1e-6,
        numbers={
            "moved where the gradient is 100": -float(w[0]),
            "moved where the gradient is 0.001": -float(w[1]),
            "first step over the rate": first,
            "first step over the rate, without the correction": uncorrected,
        },
    )


def c199_bstar() -> Finding:
    """The batch size is a hyper-parameter of its own that can be optimised.

    Notes: F2 L940.

    The cost of c077, as a function of the size, where an update costs as much as 50 examples: it must be least at none
    of the two ends, and differ by more than a factor of two over the sizes. Where other overheads put the best size at
    an end, the claim is limited: there is nothing to choose.
    """
    costs = {size: float(value * (50 + size)) for size, value in _updates_needed().items()}
    cheapest = _cheapest()
    within = [overhead for overhead, size in cheapest.items() if size not in (1, 2000)]
    return Finding(
        holds=50 in within and max(costs.values()) > 2 * min(costs.values()),
        limited=len(within) < len(cheapest),
        numbers={
            **{f"cost in examples, batches of {size}, an update as 50": value for size, value in costs.items()},
            **_by_overhead(cheapest),
        },
        remark=_middle(within),
    )


def c200_fixed_ratio() -> Finding:
    """A fixed rate until the error oscillates, then one reduced by a fixed ratio, works.

    Notes: F2 L942.

    Linear regression by steps on single examples, 60 passes: the rate is halved whenever a pass has not lowered the
    loss. The distance from the least-squares weights at the end, against that with the first rate throughout.
    """
    x, y, best = _regressions()
    ends: list[list[float]] = []
    for factor in (1.0, 0.5):
        w, rate = torch.zeros_like(best), torch.full((SEEDS, 1), 0.05, dtype=x.dtype)
        lowest = torch.full((SEEDS,), math.inf, dtype=x.dtype)
        for number, rows in enumerate(_batches(200, 1, 60), 1):
            w = w - rate * _slope(w, x, y, rows)
            if number % 200 == 0:
                loss = ((x * w[:, None]).sum(2) - y).square().mean(1)
                rate = torch.where((loss >= lowest)[:, None], rate * factor, rate)
                lowest = torch.minimum(lowest, loss)
        ends.append((w - best).norm(dim=1).tolist())
    constant, reduced = ends
    cuts = (0.05 / rate).log2()[:, 0].tolist()
    return Finding(
        holds=median(reduced) < 0.5 * median(constant) and median(cuts) >= 1,
        numbers={
            "distance at the end, fixed rate": median(constant),
            "distance at the end, reduced rate": median(reduced),
            "times it was halved": median(cuts),
        },
    )


def c201_sgd_clear() -> Finding:
    """The path of the batch is closer to the optimum than that of single examples.

    Notes: F2 L911.

    Linear regression, both from the same start and at the same rate for the same number of updates: the mean distance
    from the least-squares weights along the path, the median of 20 seeds. Counted by examples instead of updates, the
    single ones come close sooner, which the notes do not say.
    """
    x, y, best = _regressions(noise=1.0)
    path = (_least_squares(x, y, _batches(200, 1, 5), lambda step: 0.05) - best).norm(dim=2)  # (P + 1, S)
    batch = (_least_squares(x, y, _batches(200, 200, 1000), lambda step: 0.05) - best).norm(dim=2)
    single, whole = path.mean(0).tolist(), batch.mean(0).tolist()
    early = (path[200] / batch[1]).tolist()
    return Finding(
        holds=median(whole) < median(single),
        limited=median(early) < 1,
        numbers={
            "mean distance along the path, one example a step": median(single),
            "mean distance along the path, the batch": median(whole),
            "distance after one pass over that of the batch after its one update": median(early),
        },
        remark="Update for update. After one pass over the examples, the single ones are closer.",
    )
