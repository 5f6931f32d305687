"""Claims about descending: learning rates, curvature, batches, momentum and its relatives.

Letters: D weights, T examples, κ the ratio of the largest curvature to the smallest.
"""

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from deepclassics.claims import Finding
from deepclassics.claims.training import curves, median

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Slope = Callable[[Tensor], Tensor]
SEEDS = 20


def _descent(start: Tensor, slope: Slope, rate: float, steps: int) -> Tensor:  # (D,) -> (steps + 1, D)
    """The path of gradient descent."""
    path = [start]
    for _ in range(steps):
        path.append(path[-1] - rate * slope(path[-1]))
    return torch.stack(path)


def _with_momentum(
    start: Tensor, slope: Slope, rate: float, beta: float, steps: int, ahead: bool = False
) -> Tensor:  # (D,) -> (steps + 1, D)
    """The path with momentum; `ahead` takes the gradient where momentum alone would lead, as Nesterov."""
    path, move = [start], torch.zeros_like(start)
    for _ in range(steps):
        place = path[-1] + beta * move if ahead else path[-1]
        move = beta * move - rate * slope(place)
        path.append(path[-1] + move)
    return torch.stack(path)


def _ravine(*curvatures: float) -> tuple[Tensor, Slope]:
    """A start of ones and the gradient of half the weighted squares."""
    weights = torch.tensor(curvatures, dtype=torch.float64)
    return torch.ones_like(weights), lambda w: weights * w


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
    return x, y, torch.linalg.lstsq(x, y[:, None]).solution[:, 0]


def _batches(examples: int, size: int, passes: int, seed: int, shuffled: bool = True) -> Iterator[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    for _ in range(passes):
        order = torch.randperm(examples, generator=generator) if shuffled else torch.arange(examples)
        yield from order.split(size)


def _least_squares(
    x: Tensor, y: Tensor, batches: Iterator[Tensor], rate: Callable[[int], float]
) -> Tensor:  # -> (steps + 1, D)
    """The path of descent on batches of a linear regression, from 0."""
    path = [torch.zeros(x.shape[1], dtype=x.dtype)]
    for step, rows in enumerate(batches):
        error = x[rows] @ path[-1] - y[rows]
        path.append(path[-1] - rate(step) * (x[rows].T @ error) / len(rows))
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
    start, slope = _ravine(1.0)
    ratios = (0.5, 1.0, 1.5, 1.9, 2.0, 2.1)
    paths = {ratio: _descent(start, slope, ratio, 20)[:, 0] for ratio in ratios}
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
    start, slope = _ravine(1.0, 9.0)
    below, above = (_descent(start, slope, rate, 2000) for rate in (0.999 * 2 / 9, 1.001 * 2 / 9))
    rates = {rate: float((_descent(start, slope, rate, 60).norm(dim=1)[-1] / start.norm()) ** (1 / 60))
             for rate in (0.2, 1 / 9)}  # fmt: skip
    steps = {}
    for kappa in (10, 100, 1000):
        place, down = _ravine(1.0, float(kappa))
        steps[kappa] = _steps_to(_descent(place, down, 2 / (1 + kappa), 20 * kappa), 1e-6)
    growth = math.log10(steps[1000] / steps[10]) / 2
    best_is_bound = float(_descent(start, slope, 2 / 9, 100).norm(dim=1)[-1]) < 1e-3
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

    100 random quadratics of five weights. In scaled coordinates one step at rate 1 must end in the minimum. The printed
    normalised rule, w - η A⁻¹ b, lacks A w (E021, E019): one step of it must miss wherever w is not 0.
    """
    right, printed = [], []
    for seed in range(100):
        generator = torch.Generator().manual_seed(seed)
        root = torch.randn(5, 5, generator=generator, dtype=torch.float64)
        matrix = root @ root.T + 0.1 * torch.eye(5, dtype=torch.float64)
        b, w = torch.randn(2, 5, generator=generator, dtype=torch.float64)
        best = -torch.linalg.solve(matrix, b)
        values, vectors = torch.linalg.eigh(matrix)
        half = vectors @ torch.diag(values.sqrt()) @ vectors.T
        scaled, shift = half @ w, torch.linalg.solve(half, b)
        ended = torch.linalg.solve(half, scaled - (scaled + shift))
        right.append(float((ended - best).norm() / best.norm()))
        printed.append(float((w - torch.linalg.solve(matrix, b) - best).norm() / best.norm()))
    return Finding(
        holds=max(right) < 1e-8,
        limited=min(printed) > 1e-3,
        numbers={
            "largest relative distance after one step in scaled axes": max(right),
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
    cosines, single, whole = [], [], []
    for seed in range(SEEDS):
        x, y, best = _regression(seed)
        gradients = (x @ torch.zeros(5, dtype=x.dtype) - y)[:, None] * x
        cosines.append(float(torch.cosine_similarity(gradients, gradients.mean(0)[None]).mean()))
        path = _least_squares(x, y, _batches(200, 1, 40, seed), lambda step: 0.01)
        single.append(float((path[-1] - best).norm() / best.norm()))
        path = _least_squares(x, y, _batches(200, 200, 400, seed), lambda step: 0.3)
        whole.append(float((path[-1] - best).norm() / best.norm()))
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
    swings: dict[str, list[float]] = {"sorted": [], "shuffled": []}
    repeats: dict[str, list[float]] = {"sorted": [], "shuffled": []}
    for seed in range(SEEDS):
        x, y, _ = _regression(seed)
        order = y.argsort()
        for name in swings:
            batches = _batches(200, 1, 40, seed, shuffled=name == "shuffled")
            path = _least_squares(x[order], y[order], batches, lambda step: 0.02)
            last, before = path[-200:], path[-400:-200]
            swings[name].append(float((last - last.mean(0)).norm(dim=1).mean()))
            repeats[name].append(float((last - before).norm(dim=1).mean()))
    return Finding(
        holds=median(swings["sorted"]) > 1.2 * median(swings["shuffled"])
        and median(repeats["sorted"]) < 1e-3 * median(swings["sorted"])
        and median(repeats["shuffled"]) > 0.1 * median(swings["shuffled"]),
        numbers={
            **{f"swing of the weights within a pass, {name}": median(each) for name, each in swings.items()},
            **{f"difference from the pass before, {name}": median(each) for name, each in repeats.items()},
        },
    )


def _either(fixed: float) -> Callable[[int], float]:
    """A fixed rate; for 0 one that falls as 1/t."""
    return lambda step: fixed or 0.04 / (1 + step / 200)


def c075_sgd_decay() -> Finding:
    """Stochastic descent needs a rate that falls.

    Notes: F2 L919.

    Linear regression by steps on single examples drawn anew each time, 20,000 of them: the distance from the
    least-squares weights with fixed rates, where it must stall in proportion to the root of the rate, and with a rate
    that falls as 1/t.
    """
    found: dict[str, list[float]] = {"0.01": [], "0.0025": [], "falling as 1/t": []}
    for seed in range(SEEDS):
        x, y, best = _regression(seed)
        drawn = torch.randint(200, (20_000,), generator=torch.Generator().manual_seed(seed))
        for name, distances in found.items():
            fixed = 0.0 if "falling" in name else float(name)
            path = _least_squares(x, y, iter(drawn.split(1)), _either(fixed))
            distances.append(float((path[-2000:] - best).norm(dim=1).mean()))
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


def _constant(rate: float) -> Callable[[int], float]:
    return lambda step: rate


def c077_mb_compromise() -> Finding:
    """Mini-batches take the advantages of both: fewer updates than single examples, fewer examples than the batch.

    Notes: F2 L969.

    Linear regression of 2,000 examples, each batch size at the best of eight rates: examples looked at until the excess
    loss stays below a hundredth of the first, and updates. A step costs the overhead of an update and the work on its
    examples; with an overhead of 50 examples, a middle size must cost least.
    """
    x, y, best = _regression(0, examples=2000)
    floor = float((x @ best - y).square().mean())
    first = float(y.square().mean()) - floor
    costs, updates = {}, {}
    for size in (1, 16, 64, 256, 2000):
        found = []
        for rate in (_constant(value) for value in (0.003, 0.01, 0.03, 0.1, 0.2, 0.4, 0.7, 1.0)):
            path = _least_squares(x, y, _batches(2000, size, 60 if size == 2000 else 6, 0), rate)
            every = max(1, 16 // size)
            excess = torch.stack([(x @ w - y).square().mean() - floor for w in path[::every][:400]])
            far = (~(excess < 0.01 * first)).nonzero().flatten()
            if int(far[-1]) + 1 < len(excess):
                found.append((int(far[-1]) + 1) * every)
        updates[size] = min(found)
        costs[size] = updates[size] * (50 + size)
    cheapest = min(costs, key=lambda size: costs[size])
    return Finding(
        holds=cheapest in (16, 64, 256) and updates[1] > updates[64] and updates[1] < 2000 * updates[2000],
        numbers={
            **{f"updates needed, batches of {size}": float(value) for size, value in updates.items()},
            **{f"examples looked at, batches of {size}": float(value * size) for size, value in updates.items()},
            "cheapest batch where an update costs as much as 50 examples": float(cheapest),
        },
    )


def c078_kmeans_var() -> Finding:
    """Updates on single samples raise the variance of the error; mini-batches lie between.

    Notes: F2 L973.

    The variance of the gradient over random batches of b examples, which must fall as 1/b, and the standard deviation
    of the loss over the last passes of K-means by single samples, by batches of 32 and by all of 600 points around
    three centres.
    """
    x, y, _ = _regression(0)
    sizes, spread = (1, 4, 16, 64), {}
    for size in sizes:
        drawn = torch.randint(200, (4000, size))
        gradients = (-y[drawn][:, :, None] * x[drawn]).mean(1)
        spread[size] = float(gradients.var(0).sum())
    power = math.log(spread[64] / spread[1]) / math.log(64)
    middles = torch.tensor([[0.0, 0.0], [4.0, 0.0], [2.0, 3.0]], dtype=torch.float64)
    deviation = {}
    for size in (1, 32, 600):
        losses = []
        for seed in range(SEEDS):
            generator = torch.Generator().manual_seed(seed)
            points = middles.repeat(200, 1) + 0.7 * torch.randn(600, 2, generator=generator, dtype=torch.float64)
            centres, tail = middles.clone(), []
            for rows in _batches(600, size, 10, seed):
                nearest = torch.cdist(points[rows], centres).argmin(1)
                for k in nearest.unique():
                    members = points[rows][nearest == k]
                    centres[k] += (1.0 if size == 600 else 0.1) * (members.mean(0) - centres[k])
                tail.append(float(torch.cdist(points, centres).amin(1).square().mean()))
            losses.append(float(torch.tensor(tail[len(tail) // 2 :]).std()))
        deviation[size] = median(losses)
    return Finding(
        holds=deviation[1] > deviation[32] > deviation[600] and -1.15 < power < -0.85,
        numbers={
            **{f"variance of the gradient, batches of {size}": value for size, value in spread.items()},
            "it changes as the batch to the power": power,
            **{f"deviation of K-means' loss, batches of {size}": value for size, value in deviation.items()},
        },
    )


def c079_mom() -> Finding:
    """Momentum speeds up where steps agree, slows down where they oppose each other, and so is smoother and faster.

    Notes: F2 L984-1008.

    A ravine of κ = 100: steps to a ten-thousandth of the distance, descent and momentum each at its best constants
    (Polyak 1964). The theory tells about √κ fewer steps. With noisy gradients the steps must vary less, for the same
    mean step.
    """
    start, slope = _ravine(1.0, 100.0)
    beta = (9 / 11) ** 2
    plain = _descent(start, slope, 2 / 101, 2000)
    faster = _with_momentum(start, slope, 4 / 121, beta, 2000)
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
    start, slope = _ravine(1.0, 100.0)
    paths = [_with_momentum(start, slope, 0.01, 0.9, 2000, ahead) for ahead in (False, True)]
    swings = [float((path[:-1, 1] * path[1:, 1] < -1e-16).sum()) for path in paths]
    steps = [_steps_to(path, 1e-4) for path in paths]
    own = (
        _steps_to(_with_momentum(start, slope, 4 / 121, (9 / 11) ** 2, 2000), 1e-4),
        _steps_to(_with_momentum(start, slope, 1 / 100, 9 / 11, 2000, ahead=True), 1e-4),
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

    Logistic regression on the breast_cancer table: the training loss after 200 updates on batches of 32, each method at
    the best of seven rates, the median of five seeds. "Roughly the same" is taken as within a factor of 1.5.
    """
    import torch.nn.functional as F

    from deepclassics.data import load

    splits = load("breast_cancer", ("table",), seed=0)
    x, y = splits.train["features"], splits.train["label"].float()
    makers: dict[str, Callable[[list[Tensor], float], torch.optim.Optimizer]] = {
        "RMSProp": torch.optim.RMSprop,
        "Adam": torch.optim.Adam,
        "Adagrad": torch.optim.Adagrad,
        "AdaDelta": torch.optim.Adadelta,
    }
    best = {}
    for name, maker in makers.items():
        found = []
        for rate in (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0):
            losses = []
            for seed in range(5):
                weight = torch.zeros(x.shape[1] + 1, requires_grad=True)
                optimizer = maker([weight], rate * (30 if name == "AdaDelta" else 1))
                for step, rows in enumerate(_batches(len(x), 32, 13, seed)):
                    if step == 200:
                        break
                    optimizer.zero_grad()
                    F.binary_cross_entropy_with_logits(x[rows] @ weight[1:] + weight[0], y[rows]).backward()
                    optimizer.step()
                with torch.no_grad():
                    losses.append(float(F.binary_cross_entropy_with_logits(x @ weight[1:] + weight[0], y)))
            found.append(median(losses))
        best[name] = min(found)
    return Finding(
        holds=max(best.values()) < 1.5 * min(best.values()),
        numbers={f"training loss after 200 updates, {name}, nats": value for name, value in best.items()},
    )


def c162_adam_adapt() -> Finding:
    """Adam takes smaller steps where gradients are large and larger where they are small; its bias correction matters.

    Notes: F3 L1427-1444.

    Constant gradients of 100 and 0.001: after 100 steps both coordinates must have moved alike, so the step relative to
    the gradient is the smaller the larger the gradient. Without the correction the first step is 0.1/√0.001 = 3.16
    times too long.
    """
    g = torch.tensor([100.0, 0.001], dtype=torch.float64)
    m, v, w = torch.zeros(3, 2, dtype=torch.float64)
    for step in range(1, 101):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        w = w - 0.01 * (m / (1 - 0.9**step)) / ((v / (1 - 0.999**step)).sqrt() + 1e-8)
    uncorrected = float((0.1 * g / ((0.001 * g * g).sqrt() + 1e-8))[0])
    return Finding(
        holds=abs(float(w[0] / w[1]) - 1) < 1e-3 and abs(uncorrected - 0.1 / math.sqrt(0.001)) < 1e-6,
        numbers={
            "moved where the gradient is 100": -float(w[0]),
            "moved where the gradient is 0.001": -float(w[1]),
            "first step over the rate, without the correction": uncorrected,
        },
    )


def c199_bstar() -> Finding:
    """The batch size is a hyper-parameter of its own that can be optimised.

    Notes: F2 L940.

    The cost of c077, as a function of the size: it must be least at none of the two ends, and differ by more than a
    factor of two over the sizes.
    """
    numbers = c077_mb_compromise().numbers
    costs = {size: numbers[f"updates needed, batches of {size}"] * (50 + size) for size in (1, 16, 64, 256, 2000)}
    best = min(costs, key=lambda size: costs[size])
    return Finding(
        holds=best not in (1, 2000) and max(costs.values()) > 2 * min(costs.values()),
        numbers={f"cost in examples, batches of {size}": value for size, value in costs.items()},
    )


def c200_fixed_ratio() -> Finding:
    """A fixed rate until the error oscillates, then one reduced by a fixed ratio, works.

    Notes: F2 L942.

    Linear regression by steps on single examples, 60 passes: the rate is halved whenever a pass has not lowered the
    loss. The distance from the least-squares weights at the end, against that with the first rate throughout.
    """
    constant: list[float] = []
    reduced: list[float] = []
    cuts = []
    for seed in range(SEEDS):
        x, y, best = _regression(seed)
        for distances, factor in ((constant, 1.0), (reduced, 0.5)):
            w, rate, lowest = torch.zeros(5, dtype=x.dtype), 0.05, math.inf
            for number, rows in enumerate(_batches(200, 1, 60, seed), 1):
                w = w - rate * (x[rows].T @ (x[rows] @ w - y[rows]))
                if number % 200 == 0:
                    loss = float((x @ w - y).square().mean())
                    rate = rate * factor if loss >= lowest else rate
                    lowest = min(lowest, loss)
            distances.append(float((w - best).norm()))
        cuts.append(math.log2(0.05 / rate))
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
    single, whole, early = [], [], []
    for seed in range(SEEDS):
        x, y, best = _regression(seed, noise=1.0)
        path = _least_squares(x, y, _batches(200, 1, 5, seed), lambda step: 0.05)
        batch = _least_squares(x, y, _batches(200, 200, 1000, seed), lambda step: 0.05)
        single.append(float((path - best).norm(dim=1).mean()))
        whole.append(float((batch - best).norm(dim=1).mean()))
        early.append(float((path[200] - best).norm() / (batch[1] - best).norm()))
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
