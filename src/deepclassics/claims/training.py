"""Claims about training: where it ends, what hinders it, and what is said to help.

Many are tests of small nets on scikit-learn's 1,797 digits, 8 x 8, of which some are held back.

Letters: T examples, D inputs, K classes, N all weights of a network, S starts.
"""

import functools
import itertools
import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deepclassics.claims import Finding
from deepclassics.data import load
from deepclassics.systems.foundations.mlp import MLP

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from deepclassics.systems.generative.rbm import RBM

Method = Literal["sgd", "nesterov", "adagrad", "adam"]


# --- what the claims of this file and of others share


@functools.cache
def digits() -> tuple[Tensor, Tensor]:  # -> (1797, 64) pixels in [0, 1], (1797,) int64
    """All of them."""
    found = load("digits", ("image",), seed=0, valid=0, test=0.3)
    assert found.test is not None
    parts = [part.take(slice(None)) for part in (found.train, found.test)]
    return torch.cat([part["image"] for part in parts]).flatten(1), torch.cat([part["label"] for part in parts])


def parted(x: Tensor, y: Tensor, *sizes: int, seed: int) -> list[tuple[Tensor, Tensor]]:  # (T, D), (T,)
    """Disjoint random parts of so many examples, and all the rest as the last part."""
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    return [(x[rows], y[rows]) for rows in order.split([*sizes, len(x) - sum(sizes)])]


def passes(
    net: nn.Module,
    x: Tensor,
    y: Tensor,
    count: int,
    rate: float = 1e-3,
    *,
    method: Method = "adam",
    batch: int = 50,
    l2: float = 0.0,
    seed: int = 0,
    shuffled: bool = True,
    falling: bool = False,
) -> Iterator[float]:  # (T, D), (T,) int64
    """Trains on cross entropy; after each pass its mean loss, in nats. A `falling` rate falls as 1/√pass."""
    optimizer: torch.optim.Optimizer
    if method == "adam":
        optimizer = torch.optim.Adam(net.parameters(), rate, weight_decay=l2)
    elif method == "adagrad":
        optimizer = torch.optim.Adagrad(net.parameters(), rate, weight_decay=l2)
    else:
        momentum = 0.9 if method == "nesterov" else 0.0
        optimizer = torch.optim.SGD(
            net.parameters(), rate, momentum=momentum, nesterov=method == "nesterov", weight_decay=l2
        )
    generator = torch.Generator().manual_seed(seed)
    for number in range(1, count + 1):
        net.train()
        if falling:
            optimizer.param_groups[0]["lr"] = rate / math.sqrt(number)
        total = torch.zeros(())
        for rows in (torch.randperm(len(x), generator=generator) if shuffled else y.argsort(stable=True)).split(batch):
            optimizer.zero_grad()
            loss = F.cross_entropy(net(x[rows]), y[rows])
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(rows)
        yield float(total) / len(x)


@torch.no_grad()
def error(net: nn.Module, x: Tensor, y: Tensor) -> float:  # (T, D), (T,)
    """The share of wrong answers, in evaluation mode."""
    return float((net.eval()(x).argmax(1) != y).float().mean())


@torch.no_grad()
def loss_of(net: nn.Module, x: Tensor, y: Tensor) -> float:  # (T, D), (T,)
    """The mean cross entropy in nats, in evaluation mode."""
    return float(F.cross_entropy(net.eval()(x), y))


def median(values: list[float]) -> float:
    """Of an even number of values the mean of the middle two."""
    return float(torch.tensor(values, dtype=torch.float64).quantile(0.5))


def curves(
    series: dict[str, list[float]], across: str, up: str, log: bool = False, first: int = 1, every: int = 1
) -> "Callable[[], Figure]":
    """A drawing of values over passes or updates, from the `first` on and `every` of them apart."""

    def draw() -> "Figure":
        from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

        from deepclassics.report.style import sheet

        figure = sheet(6.4, 3.9)
        axes = figure.subplots()
        for name, values in series.items():
            axes.plot([first + every * place for place in range(len(values))], values, label=name)
        if log:
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axes.yaxis.set_minor_formatter(NullFormatter())
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.set_xlabel(across)
        axes.set_ylabel(up)
        axes.legend()
        return figure

    return draw


# --- where learning ends


def _mistakes(z: Tensor, strict: bool) -> Tensor:  # (S, T, D) inputs times their ±1 -> (S,)
    """Updates of Rosenblatt's rule from 0, example by example, until a pass has none.

    `strict` counts a sum of 0 as wrong; else it is wrong for the negatives alone, whose last input times ±1 is below 0.
    """
    w = z.new_zeros(len(z), z.shape[2])
    updates = torch.zeros(len(z))
    for _ in range(20_000):
        before = updates.clone()
        for place in range(z.shape[1]):
            each = z[:, place]
            sums = (w * each).sum(1)
            wrong = (sums < 0) | (sums == 0) & (strict | (each[:, -1] < 0))
            w += wrong[:, None] * each
            updates += wrong
        if torch.equal(before, updates):
            return updates
    raise AssertionError("20,000 passes were not enough")


def c061_perc_bound() -> Finding:
    """On separable data the perceptron converges, and the number of bad cases does not exceed (R/γ)².

    Notes: F2 L475.

    1,000 random sets of 20 examples of two numbers whose classes a random line parts, and AND. The bad cases are the
    updates (E012), γ is the margin of the best separator through 0 with the bias as an input of 1: a least distance
    problem, solved by non-negative least squares (Lawson and Hanson 1974, chapter 23).
    """
    import numpy as np
    from scipy.optimize import nnls

    x = torch.cat([torch.randn(1000, 20, 2, dtype=torch.float64), torch.ones(1000, 20, 1, dtype=torch.float64)], 2)
    line = torch.randn(1000, 3, 1, dtype=torch.float64)
    sums = (x @ line)[:, :, 0]
    wide = sums.abs() >= 0.1 * line.norm(dim=1)  # what lies closer to the line takes the place of the farthest
    x = torch.where(wide[:, :, None], x, x[torch.arange(1000), sums.abs().argmax(1)][:, None])
    z = x * torch.sign(x @ line)

    def bound(rows: Tensor) -> float:  # (T, D)
        right = np.zeros(rows.shape[1] + 1)
        right[-1] = 1
        matrix = np.vstack([rows.T.numpy(), np.ones(len(rows))])
        rest = matrix @ nnls(matrix, right)[0] - right
        margin = 1 / np.linalg.norm(rest[:-1] / rest[-1])
        return float(rows.norm(dim=1).max() / margin) ** 2

    shares = _mistakes(z, strict=True) / torch.tensor([bound(rows) for rows in z])
    gate = torch.tensor([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]], dtype=torch.float64)
    gate = (gate * torch.tensor([[-1], [-1], [-1], [1]]))[None]
    strict, lenient = (float(_mistakes(gate, strict=each)) for each in (True, False))
    return Finding(
        holds=float(shares.max()) <= 1 and max(strict, lenient) <= bound(gate[0]),
        numbers={
            "sets that converged, of 1,000": float(len(shares)),
            "largest share of the bound that was used": float(shares.max()),
            "median share of the bound that was used": float(shares.median()),
            "bound for AND": bound(gate[0]),
            "updates for AND, a sum of 0 being wrong": strict,
            "updates for AND, a sum of 0 being positive": lenient,
        },
    )


def c062_search_exp() -> Finding:
    """The search over all relabellings is exponential; Adaline and Madaline find suboptimal solutions.

    Notes: F2 L510-514.

    Two units joined by AND, eight examples of two numbers with labels by chance. The search puts each of the 2^T
    relabellings to a linear program: they are counted for T from 4 to 8. Madaline's rule I, 100 passes from five starts
    each, and one unit of least squares, Adaline's solution, are held against the optimum on six such sets.
    """
    from deepclassics.learn import Clock
    from deepclassics.schedules import linear
    from deepclassics.systems.foundations.adaline import least_squares
    from deepclassics.systems.foundations.madaline import Madaline, MinimalDisturbance, Search

    def searched(x: Tensor, y: Tensor) -> tuple[int, float]:  # (T, 2), (T,) -> relabellings, the share of errors
        learner = Search(Madaline(2, 2, 1))
        programs = 0
        while not learner.done:
            learner.step({"features": x, "label": y}, Clock(programs, 2 ** len(x), 1))
            programs += 1
        return programs, float((learner.model(x) != y).float().mean())

    counts, optimum, madaline, adaline = {}, [], [], []
    for seed in range(6):
        generator = torch.Generator().manual_seed(seed)
        x, y = torch.randn(8, 2, generator=generator), torch.randint(2, (8,), generator=generator)
        if seed == 0:
            counts = {size: searched(x[:size], y[:size])[0] for size in (4, 5, 6, 7, 8)}
        optimum.append(searched(x, y)[1])
        weight, bias = least_squares(x, 2 * y[:, None] - 1)
        adaline.append(float((((x.double() @ weight.T + bias)[:, 0] >= 0) != y).float().mean()))
        found = []
        for _ in range(5):
            learner = MinimalDisturbance(Madaline(2, 2, 1), 1.0, linear)
            for step in range(800):
                row = slice(step % 8, step % 8 + 1)
                learner.step({"features": x[row], "label": y[row]}, Clock(step, 800, 8))
            found.append(float((learner.model(x) != y).float().mean()))
        madaline.append(sum(found) / len(found))
    best, units, single = (sum(each) / len(each) for each in (optimum, madaline, adaline))
    doubling = all(counts[size + 1] == 2 * counts[size] for size in (4, 5, 6, 7))
    never_below = all(each >= least for each, least in zip(madaline, optimum, strict=True))
    return Finding(
        holds=doubling and never_below and units > best and single > best,
        numbers={
            **{f"linear programs of the search, {size} examples": float(count) for size, count in counts.items()},
            "mean error of the search": best,
            "mean error of Madaline": units,
            "mean error of Adaline": single,
        },
    )


def _sigmoid_unit(x: Tensor, y: Tensor, steps: int, squared: bool) -> Tensor:  # (T, D), (T,) of 0, 1 -> (D,)
    """Weights of one sigmoid unit after batch descent from 0 at rate 1, on squared error or on cross entropy."""
    w = x.new_zeros(x.shape[1])
    for _ in range(steps):
        out = torch.sigmoid(x @ w)
        w -= x.T @ ((out - y) * (out * (1 - out) if squared else 1)) / len(x)
    return w


def c065_spoiler() -> Finding:
    """Backpropagation may fail to separate separable data, and a few spoilers hardly change what it finds.

    Notes: F2 L688-702.

    Two squares of 50 points, around (-2, 0) and (2, 0) with sides of 1, and a spoiler of the right class at
    (-2.4, -1.1), which a tilted line still parts from the left square; 20 sets. One sigmoid unit after 3,000 steps on
    squared error against a perceptron: errors with the spoiler, and by how many degrees it turned the line. On cross
    entropy, the notes' own example of a proxy, the loss of separable data falls to 0, so descent separates them: it is
    told after as many steps.
    """
    missed: dict[str, list[float]] = {"squared error": [], "cross entropy": [], "perceptron": []}
    turns: dict[str, list[float]] = {"backpropagation": [], "perceptron": []}
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        points = torch.rand(100, 2, generator=generator, dtype=torch.float64) - 0.5
        points[:50, 0] -= 2
        points[50:, 0] += 2
        x = torch.cat([torch.cat([points, points.new_tensor([[-2.4, -1.1]])]), points.new_ones(101, 1)], 1)
        y = torch.cat([points.new_zeros(50), points.new_ones(51)])
        signed = x * (2 * y - 1)[:, None]
        lines = {
            "backpropagation": [_sigmoid_unit(x[:size], y[:size], 3000, squared=True) for size in (100, 101)],
            "perceptron": [_rosenblatt(signed[:size], seed) for size in (100, 101)],
        }
        found = (lines["backpropagation"][1], _sigmoid_unit(x, y, 3000, squared=False), lines["perceptron"][1])
        for errors, w in zip(missed.values(), found, strict=True):
            errors.append(float((signed @ w <= 0).sum()))
        for name, (before, after) in lines.items():
            cosine = torch.cosine_similarity(before[:2], after[:2], dim=0).clamp(-1, 1)
            turns[name].append(math.degrees(math.acos(float(cosine))))
    return Finding(
        holds=median(missed["squared error"]) >= 1
        and max(missed["perceptron"]) == 0
        and median(turns["backpropagation"]) < median(turns["perceptron"]),
        limited=max(missed["cross entropy"]) == 0,
        numbers={
            **{f"errors with the spoiler, {name}": median(errors) for name, errors in missed.items()},
            **{f"degrees that the spoiler turned the line, {name}": median(each) for name, each in turns.items()},
        },
        remark="On squared error. On cross entropy the weights grow until separable data are separated.",
    )


def _rosenblatt(z: Tensor, seed: int) -> Tensor:  # (T, D) inputs times their ±1 -> (D,)
    """The weights at which Rosenblatt's rule ends."""
    order = torch.randperm(len(z), generator=torch.Generator().manual_seed(seed))
    w = z.new_zeros(z.shape[1])
    for place in itertools.cycle(order.tolist()):
        if (z @ w > 0).all():
            break
        if z[place] @ w <= 0:
            w = w + z[place]
    return w


def c066_saddles() -> Finding:
    """Error surfaces of networks have many saddle points.

    Notes: F2 L692.

    A net of 13 weights, three tanh units and a linear one, on 30 points of the XOR pattern, with a weight decay of
    0.001 so that no valley runs to infinity. From 400 places, random ones and such as descent reaches from them in up
    to 2,000 steps, the length of the gradient is brought to 0 (Levenberg and Marquardt); where it is, the negative
    curvatures are counted, the index: 0 for a minimum. Points of the same index and loss count once. Dauphin et al.
    (2014) found that the index grows with the loss.
    """
    from scipy.stats import spearmanr
    from torch.func import grad, hessian, vmap

    x = torch.randn(30, 2, dtype=torch.float64)
    y = torch.sign(x[:, 0] * x[:, 1])

    def loss(w: Tensor) -> Tensor:  # (13,) -> ()
        hidden = torch.tanh(x @ w[:6].view(2, 3) + w[6:9])
        return (hidden @ w[9:12] + w[12] - y).square().mean() / 2 + 0.0005 * w.square().sum()

    slopes, curvatures = vmap(grad(loss)), vmap(hessian(loss))
    w = 1.5 * torch.randn(400, 13, dtype=torch.float64)
    for done in range(0, 2000, 10):  # the first go all the way, the last nowhere
        going = w[: 400 - done // 5]
        for _ in range(10):
            going -= 0.3 * slopes(going)
    damping, unit = torch.ones(400, 1, 1, dtype=torch.float64), torch.eye(13, dtype=torch.float64)
    slope, curvature = slopes(w), curvatures(w)
    for _ in range(120):
        move = torch.linalg.solve(curvature @ curvature + damping * unit, curvature @ slope[:, :, None])[:, :, 0]
        better = slopes(w - move).norm(dim=1) < slope.norm(dim=1)
        w = torch.where(better[:, None], w - move, w)
        damping = torch.where(better[:, None, None], damping / 4, damping * 4).clamp(1e-14, 1e4)
        slope, curvature = slopes(w), curvatures(w)
    arrived = slope.norm(dim=1) < 1e-8
    index = (torch.linalg.eigvalsh(curvature) < -1e-9).sum(1)[arrived]
    losses = vmap(loss)(w)[arrived]
    points = {(int(each), round(float(value), 6)) for each, value in zip(index, losses, strict=True)}
    minima, saddles = sum(each == 0 for each, _ in points), sum(each > 0 for each, _ in points)

    def draw() -> "Figure":
        from matplotlib.ticker import MaxNLocator

        from deepclassics.report.style import sheet

        figure = sheet(5.6, 3.8)
        axes = figure.subplots()
        axes.yaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.scatter([value for _, value in points], [each for each, _ in points], s=14)
        axes.set_xlabel("loss at the point where the gradient is 0")
        axes.set_ylabel("directions in which it curves down")
        return figure

    return Finding(
        holds=saddles > minima,
        numbers={
            "starts, of 400, that arrived where the gradient is 0": float(arrived.sum()),
            "minima of different loss": float(minima),
            "saddle points of different index or loss": float(saddles),
            "rank correlation of index and loss": float(spearmanr(*zip(*sorted(points), strict=True)).statistic),
        },
        draw=draw,
    )


# --- what hinders, and what helps


def c087_div_ideal() -> Finding:
    """The best divergence is steep far from the optimum and shallow, ideally quadratic, near it; KL serves classes.

    Notes: F2 L1121-1128.

    Descent on one error e from 0.5, 1.3 and 3.7, at the best of 40 rates: steps until all three stay within 0.001, or
    5,000 where these are not enough. |e| is steep near the optimum, e⁴ too shallow there, 1 - exp(-e²)
    shallow far away. And the slope by the sum of a sigmoid that is sure of the wrong answer (z = -10): KL against
    squared error.
    """
    slopes: dict[str, Callable[[Tensor], Tensor]] = {
        "e²": lambda e: e,
        "|e|": torch.sign,
        "e⁴": lambda e: e**3,
        "1 - exp(-e²)": lambda e: 2 * e * torch.exp(-e * e),
    }
    rates = torch.logspace(-3, 1, 40, dtype=torch.float64)[:, None]
    steps = {}
    for name, slope in slopes.items():
        e = torch.tensor([[0.5, 1.3, 3.7]], dtype=torch.float64).repeat(40, 1)
        last = torch.zeros(40)
        for step in range(1, 5001):
            e = (e - rates * slope(e)).clamp(-1e6, 1e6)
            last[(e.abs() >= 1e-3).any(1)] = step
        steps[name] = min(float(last.min()) + 1, 5000)
    out = torch.sigmoid(torch.tensor(-10.0, dtype=torch.float64))
    kl, squared = float(1 - out), float((1 - out) * out * (1 - out))
    return Finding(
        holds=steps["e²"] < min(count for name, count in steps.items() if name != "e²") and kl > 0.99 > 1e-3 > squared,
        numbers={
            **{f"steps at the best rate, at most 5,000, {name}": count for name, count in steps.items()},
            "slope by the sum of a sigmoid sure of the wrong answer, KL": kl,
            "slope by the sum of a sigmoid sure of the wrong answer, squared error": squared,
        },
    )


def _sums(net: MLP, x: Tensor) -> Tensor:  # (B, 64) -> (B, U)
    """What the first activation of a net gets, in the mode that the net is in."""
    layers = list(net.layers)
    for layer in layers[: next(place for place, each in enumerate(layers) if isinstance(each, nn.Sigmoid))]:
        x = layer(x)
    return x


def c088_cov_shift() -> Finding:
    """Mini-batches differ in distribution, which harms training; batch normalisation takes the difference away.

    Notes: F2 L1138-1149.

    Nets of three layers of 50 sigmoids on 1,200 digits. First how far the means of the first sums differ between
    batches, shuffled or sorted by class. Then the passes of plain descent until the loss is below 0.3 nats, each net at
    the best of four rates, the median of three seeds. Last, the normalised net learns from batches sorted by class,
    whose average statistics fit none of them: its error in evaluation is told.
    """
    x, y = digits()
    (x, y), _ = parted(x, y, 1200, seed=0)
    spread = {}
    for normal, order in itertools.product((False, True), ("shuffled", "sorted")):
        net = MLP(64, (50, 50, 50), 10, "sigmoid", batch_norm=normal, initial="glorot")
        rows = torch.arange(1200) if order == "shuffled" else y.argsort()
        with torch.no_grad():
            means = torch.stack([_sums(net, x[batch]).mean(0) for batch in rows.split(60)])
        spread[normal, order] = float(means.std(0).mean())

    def until(normal: bool, rate: float, seed: int) -> float:
        torch.manual_seed(seed)
        net = MLP(64, (50, 50, 50), 10, "sigmoid", batch_norm=normal, initial="glorot")
        for count, loss in enumerate(passes(net, x, y, 40, rate, method="sgd", seed=seed), 1):
            if loss < 0.3:
                return float(count)
        return math.inf

    needed = {}
    for normal in (False, True):
        found = [[until(normal, rate, seed) for seed in range(3)] for rate in (0.1, 0.3, 1.0, 3.0)]
        needed[normal] = min(sorted(each)[1] for each in found)
    torch.manual_seed(0)
    net = MLP(64, (50, 50, 50), 10, "sigmoid", batch_norm=True, initial="glorot")
    for _ in passes(net, x, y, 20, 1.0, method="sgd", batch=60, shuffled=False):
        pass
    wrong = error(net, x, y)
    names = {False: "without normalisation", True: "with it"}
    return Finding(
        holds=spread[False, "sorted"] > spread[False, "shuffled"]
        and max(spread[True, "sorted"], spread[True, "shuffled"]) < 1e-6
        and needed[True] < needed[False],
        limited=wrong > 0.5,
        numbers={
            **{
                f"deviation of the means of {order} batches, {names[normal]}": value
                for (normal, order), value in spread.items()
            },
            **{f"passes until a loss of 0.3 nats, {names[normal]}": value for normal, value in needed.items()},
            "error in evaluation with it, trained on sorted batches": wrong,
        },
        remark="Where batches are drawn at random. With batches of one class, what it averages fits none of them.",
    )


def c089_bn_test() -> Finding:
    """In a test, the statistics of the batch are replaced by the average of those of the training batches.

    Notes: F2 L1158.

    Batches of 4, 16, 64 and 256 of normal numbers: the mean difference between an answer in training and one with the
    averages of 2,000 batches must fall with the root of the batch size. The average of the batches' variances is too
    small by 1/B, which Ioffe and Szegedy (2015) make good by B/(B - 1); the notes leave that out.
    """
    differences, shares = {}, {}
    for size in (4, 16, 64, 256):
        x = 3 + 2 * torch.randn(2000, size, dtype=torch.float64)
        mean, variance = x.mean(1), x.var(1, correction=0)
        inside = (x - mean[:, None]) / variance.sqrt()[:, None]
        outside = (x - mean.mean()) / variance.mean().sqrt()
        differences[size] = float((inside - outside).abs().mean())
        shares[size] = float(variance.mean()) / 4
    power = math.log(differences[256] / differences[16]) / math.log(16)
    return Finding(
        holds=differences[256] < 0.1 and -0.6 < power < -0.4,
        limited=abs(shares[4] - 1) > 0.1,
        numbers={
            **{f"mean difference of the answers, batches of {size}": value for size, value in differences.items()},
            "it changes as the batch to the power": power,
            **{
                f"average variance as a share of the true one, batches of {size}": each for size, each in shares.items()
            },
        },
        remark="The plain average of the variances is too small in small batches; B/(B - 1) makes it good.",
    )


def c090_rand_good() -> Finding:
    """Random initialisation is a good method.

    Notes: F2 L1172.

    A net of 20 sigmoids on 1,200 digits, from weights of zero and from random ones, 20 passes of plain descent: how
    much the hidden units differ, and the training errors of 10 seeds. The one from zero is in double precision, for
    rounding errors grow and tell the units apart at last. Any random weights will not do: nets of six layers of 20
    sigmoids with weights of deviation 0.01 are tried too.
    """
    x, y = digits()
    (x, y), _ = parted(x, y, 1200, seed=0)
    net = MLP(64, (20,), 10, "sigmoid", initial="zeros", initial_outputs="zeros").double()
    for _ in passes(net, x.double(), y, 20, 1.0, method="sgd"):
        pass
    apart = float(next(net.layers.parameters()).detach().std(0).max())
    equal, random, small = error(net, x.double(), y), [], []
    for seed in range(10):
        torch.manual_seed(seed)
        net = MLP(64, (20,), 10, "sigmoid", initial="glorot")
        for _ in passes(net, x, y, 20, 1.0, method="sgd", seed=seed):
            pass
        random.append(error(net, x, y))
    for seed in range(3):
        torch.manual_seed(seed)
        net = MLP(64, (20,) * 6, 10, "sigmoid", initial="normal", initial_outputs="normal")
        for _ in passes(net, x, y, 20, 1.0, method="sgd", seed=seed):
            pass
        small.append(error(net, x, y))
    return Finding(
        holds=apart < 1e-6 and max(random) < 0.1 < equal,
        limited=median(small) > 0.5,
        numbers={
            "largest deviation between units that began with zeros": apart,
            "training error from zeros": equal,
            "median training error from random weights": median(random),
            "largest training error from random weights": max(random),
            "median training error from weights of deviation 0.01, six layers": median(small),
        },
        remark="If their size is right: deep nets with too small ones do not learn.",
    )


def _clipped(values: Tensor, rule: str) -> Tensor:
    if rule == "none":
        return values
    return values.clamp(max=5.0) if rule == "printed" else values.clamp(-5.0, 5.0)


def c091_clip_stab() -> Finding:
    """Cutting off gradients above θ = 5 stabilises training on steep losses: if ∂D > θ then ∂D = θ.

    Notes: F2 L1173-1176.

    Two steep losses, 100 random starts each: e⁴/4 of a linear regression of five weights, 1,000 steps at 0.02, and the
    squared error at the end of 25 steps of a recurrence h = w h + x, whose gradient explodes where |w| > 1, 300 steps
    at 0.01. In how many the weights stop being finite without a limit, with the printed one, and with one to both
    sides. The printed rule lets large negative gradients pass: -7 stays -7 (N026, E029).
    """
    x = torch.randn(100, 50, 5, dtype=torch.float64)
    y = (x @ torch.randn(100, 5, 1, dtype=torch.float64))[:, :, 0]
    start = 3 * torch.randn(100, 5, dtype=torch.float64)
    first = 3 * torch.rand(100, dtype=torch.float64) - 1.5

    def steep(w: Tensor) -> Tensor:  # (100, 5) -> the same
        error = (x @ w[:, :, None])[:, :, 0] - y
        return (error.pow(3)[:, :, None] * x).mean(1)

    def recurrent(w: Tensor) -> Tensor:  # (100,) -> the same
        h, slope = torch.zeros_like(w), torch.zeros_like(w)
        for _ in range(25):
            h, slope = w * h + 1, h + w * slope
        return (h - 2) * slope

    tasks: dict[str, tuple[Callable[[Tensor], Tensor], Tensor, float, int]] = {
        "regression": (steep, start, 0.02, 1000),
        "recurrence": (recurrent, first, 0.01, 300),
    }
    broken = {}
    for task, (slopes, begun, rate, steps) in tasks.items():
        for rule in ("none", "printed", "both sides"):
            w = begun.clone()
            for _ in range(steps):
                w = w - rate * _clipped(slopes(w), rule)
            broken[task, rule] = float((~w.view(100, -1).isfinite().all(1)).sum())
    return Finding(
        holds=all(broken[task, "none"] > 0 == broken[task, "printed"] for task in tasks),
        numbers={
            **{f"runs of 100 that broke, {task}, limit: {rule}": count for (task, rule), count in broken.items()},
            "-7 after the printed rule": float(_clipped(torch.tensor(-7.0), "printed")),
            "-7 after the rule to both sides": float(_clipped(torch.tensor(-7.0), "both sides")),
        },
        remark="Negative gradients must be cut off too, at -θ; then no run breaks.",
    )


def c152_bigdata5() -> Finding:
    """Data, computing, poor minima, vanishing gradients and regularisation are what hinders deep nets; each has a cure.

    Notes: F3 L1056-1078, L1500-1522.

    Digits, a cure each, by its own measure, the median of three seeds. Data: test error after training on 100 and on
    1,000. Computing: training loss after 2 and 30 passes. Optimisers against poor minima: training loss of eight tanh
    layers by plain descent and by Adam, each at the best of three rates. Vanishing: the first over the last layer's
    gradient in ten layers, sigmoid and ReLU. Regularisation: the test loss without and with dropout after 60 passes
    over 200 digits, a fifth of them with wrong labels.
    """
    x, y = digits()
    found: dict[str, list[list[float]]] = {}

    def note(name: str, without: float, cured: float) -> None:
        found.setdefault(name, [[], []])[0].append(without)
        found[name][1].append(cured)

    def learnt(net: MLP, x: Tensor, y: Tensor, count: int, rate: float = 3e-3, method: Method = "adam") -> MLP:
        for _ in passes(net, x, y, count, rate, method=method):
            pass
        return net

    for seed in range(3):
        torch.manual_seed(seed)
        (small, small_y), (more, more_y), (rest, rest_y) = parted(x, y, 100, 900, seed=seed)
        whole, whole_y = torch.cat([small, more]), torch.cat([small_y, more_y])
        few = error(learnt(MLP(64, (50,), 10), small, small_y, 100), rest, rest_y)
        net = MLP(64, (50,), 10)
        losses = list(passes(net, whole, whole_y, 30, 1e-3))
        note("data: test error", few, error(net, rest, rest_y))
        note("computing: training loss, nats", losses[1], losses[-1])
        ends: dict[Method, float] = {}
        methods: tuple[Method, ...] = ("sgd", "adam")
        for method in methods:
            rates = (0.03, 0.1, 0.3) if method == "sgd" else (0.001, 0.003, 0.01)
            trial = [learnt(MLP(64, (20,) * 8, 10, "tanh", initial="glorot"), whole, whole_y, 15, rate, method)
                     for rate in rates]  # fmt: skip
            ends[method] = min(loss_of(net, whole, whole_y) for net in trial)
        note("poor minima: training loss, nats", ends["sgd"], ends["adam"])
        ratios = []
        for net in (MLP(64, (50,) * 10, 10, "sigmoid", initial="glorot"), MLP(64, (50,) * 10, 10)):
            F.cross_entropy(net(whole), whole_y).backward()
            slopes = [p.grad.norm() for p in net.layers.parameters() if p.dim() == 2 and p.grad is not None]
            ratios.append(float(slopes[0] / slopes[-1]))
        note("vanishing: first over last gradient", *ratios)
        part, wrong = whole[:200], whole_y[:200].clone()
        wrong[:40] = torch.randint(10, (40,))
        ends_of = [
            loss_of(learnt(MLP(64, (100, 100), 10, dropout=dropout), part, wrong, 60), rest, rest_y)
            for dropout in (0.0, 0.5)
        ]
        note("regularisation: test loss, nats", *ends_of)
    pairs = {name: (median(without), median(cured)) for name, (without, cured) in found.items()}
    better = {name: cured > without if "vanishing" in name else cured < without
              for name, (without, cured) in pairs.items()}  # fmt: skip
    return Finding(
        holds=all(better.values()),
        numbers={
            f"{name}, {which}": value
            for name, pair in pairs.items()
            for which, value in zip(("without", "with the cure"), pair, strict=True)
        },
    )


# --- batch normalisation, watched


class _Watched(NamedTuple):
    """What a run showed after each pass of 20 updates."""

    accuracy: list[float]  # on the test digits
    percentiles: list[tuple[float, float, float]]  # 15, 50 and 85 % of what the first unit of the last layer gets
    shift: float  # mean over all passes and units of how far the median moved, in deviations of the unit's input
    gains: float  # root mean squared distance of γ from 1 at the end


def _watch(normal: bool, seed: int) -> _Watched:
    """Three layers of 100 sigmoids on 1,200 digits, batches of 60, 1,500 updates of plain descent at rate 0.5."""
    x, y = digits()
    (x, y), (rest, rest_y) = parted(x, y, 1200, seed=seed)
    torch.manual_seed(seed)
    net = MLP(64, (100, 100, 100), 10, "sigmoid", batch_norm=normal, initial="glorot")
    last = [place for place, layer in enumerate(net.layers) if isinstance(layer, nn.Sigmoid)][-1]
    accuracy, seen, mids, widths = [], [], [], []
    for _ in passes(net, x, y, 75, 0.5, method="sgd", batch=60, seed=seed):
        accuracy.append(1 - error(net, rest, rest_y))
        with torch.no_grad():
            sums = net.layers[:last](rest)
        low, middle, high = sums.quantile(torch.tensor([0.15, 0.5, 0.85]), dim=0)
        seen.append((float(low[0]), float(middle[0]), float(high[0])))
        mids.append(middle)
        widths.append(high - low)
    moved = (torch.stack(mids).diff(dim=0).abs() / torch.stack(widths)[1:]).mean()
    norms = [layer for layer in net.layers if isinstance(layer, nn.BatchNorm1d)]
    gains = float(torch.cat([layer.weight.detach() - 1 for layer in norms]).square().mean().sqrt()) if norms else 0.0
    return _Watched(accuracy, seen, float(moved), gains)


def c157_ics() -> Finding:
    """The inputs of a layer shift while the net learns; batch normalisation steadies them, with γ and β learnt.

    Notes: F3 L1300-1330.

    Three layers of 100 sigmoids, as in C158. How far the median of what a unit of the last layer gets moves in a pass,
    as a share of the distance between its 15th and 85th percentile, mean over units and 75 passes; three seeds.
    """
    plain, normal = ([_watch(each, seed) for seed in range(3)] for each in (False, True))
    shifts = {name: median([run.shift for run in runs]) for name, runs in (("without", plain), ("with", normal))}
    gains = median([run.gains for run in normal])
    return Finding(
        holds=shifts["with"] < shifts["without"] and gains > 0.01,
        numbers={
            **{f"shift a pass, as a share of the spread, {name} normalisation": each for name, each in shifts.items()},
            "root mean squared distance of γ from 1 at the end": gains,
        },
    )


def c158_bn_mnist() -> Finding:
    """The experiment on MNIST: with batch normalisation the net learns faster and better, and its inputs are steadier.

    Notes: F3 L1333-1339.

    The small version, on scikit-learn's digits: three layers of 100 sigmoids, batches of 60, 1,500 updates of plain
    descent at 0.5 instead of 50,000. Passes until 90 % of the test digits are right, the best accuracy, and how much
    the median of what one unit of the last layer gets varies after the tenth pass, over its spread; the median of
    three seeds.
    """
    runs = {name: [_watch(normal, seed) for seed in range(3)] for name, normal in (("without", False), ("with", True))}

    def until(run: _Watched) -> float:
        return next((float(place) for place, each in enumerate(run.accuracy, 1) if each >= 0.9), math.inf)

    def swing(run: _Watched) -> float:
        low, middle, high = torch.tensor(run.percentiles[10:]).T
        return float((middle.amax() - middle.amin()) / (high - low).mean())

    needed = {name: median([min(until(run), 1e9) for run in each]) for name, each in runs.items()}
    best = {name: median([max(run.accuracy) for run in each]) for name, each in runs.items()}
    swings = {name: median([swing(run) for run in each]) for name, each in runs.items()}

    def draw() -> "Figure":
        from deepclassics.report.style import BLUE, sheet

        figure = sheet(9.6, 3.4)
        left, *others = figure.subplots(1, 3)
        for name, each in runs.items():
            left.plot(range(1, 76), each[0].accuracy, label=f"{name} normalisation")
        left.set_ylabel("test accuracy")
        left.legend()
        for axes, (name, each) in zip(others, runs.items(), strict=True):
            low, middle, high = torch.tensor(each[0].percentiles).T.tolist()
            axes.fill_between(range(1, 76), low, high, color=BLUE, alpha=0.2)
            axes.plot(range(1, 76), middle, color=BLUE)
            axes.set_title(f"{name} normalisation")
            axes.set_ylabel("sum of a unit: 15, 50, 85 %")
        for axes in (left, *others):
            axes.set_xlabel("passes")
        return figure

    return Finding(
        holds=needed["with"] < needed["without"]
        and best["with"] > best["without"]
        and swings["with"] < swings["without"],
        numbers={
            **{f"passes until 90 % are right, {name} normalisation": each for name, each in needed.items()},
            **{f"best accuracy, {name} normalisation": each for name, each in best.items()},
            **{f"swing of the median over the spread, {name} normalisation": each for name, each in swings.items()},
        },
        draw=draw,
    )


# --- learning a distribution, and optimisers compared


def c160_rbm_learn() -> Finding:
    """A restricted Boltzmann machine learns the probability distribution of its inputs.

    Notes: F3 L1384.

    The 14 pictures of 3 x 3 pixels that are bars or stripes, all alike likely. 16 hidden units, 4,000 updates of
    persistent contrastive divergence of five steps at 0.3 falling to 0, 140 chains. The divergence of the machine
    from the data is exact, by enumeration; the median of three seeds must end below 0.3 nats.
    """
    from deepclassics.learn import Clock
    from deepclassics.schedules import linear
    from deepclassics.systems.generative.rbm import RBM, ContrastiveDivergence

    lines = torch.tensor(list(itertools.product([0.0, 1.0], repeat=3)))
    bars = torch.cat([lines[:, :, None].expand(8, 3, 3), lines[1:-1, None, :].expand(6, 3, 3)]).unique(dim=0)
    begun, ended = [], []
    curve: list[float] = []
    for seed in range(3):
        torch.manual_seed(seed)
        model = RBM((1, 3, 3), 16)
        learner = ContrastiveDivergence(model, torch.optim.SGD(model.parameters(), 0.3), "pcd", 5, linear)
        images = bars[:, None].repeat(10, 1, 1, 1)
        divergences = []
        for step in range(4000):
            if step % 200 == 0:
                divergences.append(_divergence(model, bars))
            learner.step({"image": images}, Clock(step, 4000, 1))
        divergences.append(_divergence(model, bars))
        begun.append(divergences[0])
        ended.append(divergences[-1])
        curve = curve or divergences
    return Finding(
        holds=median(ended) < 0.3 < median(begun),
        numbers={
            "pictures": float(len(bars)),
            "divergence before, nats": median(begun),
            "divergence after, nats": median(ended),
        },
        draw=curves(
            {"data from machine": curve}, "updates", "Kullback-Leibler divergence, nats", log=True, first=0, every=200
        ),
    )


@torch.no_grad()
def _divergence(model: "RBM", pictures: Tensor) -> float:  # (T, 3, 3)
    """Of the machine from pictures that are alike likely, in nats."""
    likelihood = -model.free_energy(pictures.flatten(1)).double() - model.log_partition()
    return float(-math.log(len(pictures)) - likelihood.mean())


def c163_adam_exp() -> Finding:
    """Adam trains logistic regression best, on MNIST and on 10,000-word bags of IMDB reviews.

    Notes: F3 L1461-1464.

    The small version: scikit-learn's digits, and 3,000 made texts of 40 of 1,000 words, which are as rare as in a
    language, with classes by random weights of the words, a fifth of them wrong. Adam, descent with Nesterov's
    momentum, and Adagrad, rates falling as 1/√pass, each at the best of seven: the training loss after ten passes, the
    median of three seeds. "Best" is taken as at most 5 % above the lowest.
    """
    x, y = digits()
    rarity = 1 / torch.arange(1, 1001, dtype=torch.float64)
    texts = torch.zeros(3000, 1000)
    words = torch.multinomial(rarity.expand(3000, -1), 40, replacement=True)
    texts.scatter_(1, words, 1.0)
    classes = (texts @ torch.randn(1000) > 0).long()
    classes = torch.where(torch.rand(3000) < 0.2, 1 - classes, classes)
    sets = {"digits": (x, y, 10), "texts": (texts, classes, 2)}
    rates: dict[Method, tuple[float, ...]] = {
        "adam": (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0),
        "nesterov": (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0),
        "adagrad": (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0),
    }
    ends: dict[tuple[str, Method], float] = {}
    shown, best = {}, {}
    for name, (inputs, labels, count) in sets.items():
        for method, tried in rates.items():
            found = []
            for rate in tried:
                runs = []
                for seed in range(3):
                    net = nn.Linear(inputs.shape[1], count)
                    nn.init.zeros_(net.weight)
                    nn.init.zeros_(net.bias)
                    steps = passes(net, inputs, labels, 10, rate, method=method, batch=100, seed=seed, falling=True)
                    runs.append((list(steps), loss_of(net, inputs, labels)))
                found.append((median([end for _, end in runs]), runs[0][0], rate))
            ends[name, method], shown[f"{name}, {method}"], best[name, method] = min(found)
    ratios = {name: ends[name, "adam"] / min(ends[name, each] for each in rates) for name in sets}
    return Finding(
        holds=max(ratios.values()) <= 1.05,
        limited=max(ratios.values()) > 1,
        numbers={
            **{f"training loss after 10 passes, {name}, {method}, nats": end for (name, method), end in ends.items()},
            **{f"best rate, {name}, {method}": rate for (name, method), rate in best.items()},
            **{f"Adam's loss over the lowest, {name}": ratio for name, ratio in ratios.items()},
        },
        remark="Other methods do better on one of the two." if max(ratios.values()) > 1 else "",
        draw=curves(shown, "passes", "mean training loss of the pass, nats", log=True),
    )
