"""Claims about what hidden layers learn: small networks, trained from several seeds at once.

Letters: S seeds, B examples, D features, H units of a layer.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from deepclassics.claims import Finding
from deepclassics.claims.threshold import built
from deepclassics.layers.units import Draft
from deepclassics.systems.foundations.perceptron import meeting_point

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Act = Callable[[Tensor], Tensor]
Layers = list[tuple[Tensor, Tensor]]  # (S, in, out) and (S, 1, out)


def _train(
    x: Tensor, target: Tensor, widths: Sequence[int], act: Act, *, seeds: int, steps: int, lr: float, l2: float = 0.0
) -> Layers:  # (B, D), (B,) of 0 and 1
    """S networks with `widths` hidden units, a sigmoid output and cross entropy: full batches, Adam.

    The weights are He's for ReLU, else Glorot's; each seed has its own generator. The rate falls as a half cosine.
    """
    generators = [torch.Generator().manual_seed(seed) for seed in range(seeds)]
    layers: Layers = []
    for wide, narrow in itertools.pairwise((x.shape[1], *widths, 1)):
        deviation = math.sqrt(2 / wide if act is torch.relu else 2 / (wide + narrow))
        weight = torch.stack([torch.randn(wide, narrow, generator=each) for each in generators]) * deviation
        bias = torch.stack([torch.randn(1, narrow, generator=each) for each in generators]) * 0.1
        layers.append((weight.requires_grad_(), bias.requires_grad_()))
    parameters = [each for layer in layers for each in layer]
    optimizer = torch.optim.Adam(parameters, lr)
    course = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    wanted = target.float().expand(seeds, -1)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(_outputs(layers, x, act)[-1][..., 0], wanted) * seeds
        if l2:
            loss = loss + l2 * torch.stack([weight.square().sum() for weight, _ in layers]).sum()
        loss.backward()
        optimizer.step()
        course.step()
    return [(weight.detach(), bias.detach()) for weight, bias in layers]


def _outputs(layers: Layers, x: Tensor, act: Act) -> list[Tensor]:  # (B, D) -> (S, B, H) of every layer
    values, every = x.expand(len(layers[0][0]), -1, -1), []
    for place, (weight, bias) in enumerate(layers):
        sums = torch.baddbmm(bias, values, weight)
        values = act(sums) if place < len(layers) - 1 else sums
        every.append(values)
    return every


def _accuracy(layers: Layers, x: Tensor, target: Tensor, act: Act) -> Tensor:  # -> (S,)
    given = _outputs(layers, x, act)[-1][..., 0] >= 0
    return (given == target.bool()).double().mean(1)


def _median(values: Tensor) -> float:
    return float(values.median())


def _parameters(widths: Sequence[int]) -> int:
    return sum((wide + 1) * narrow for wide, narrow in itertools.pairwise((2, *widths, 1)))


def _xor() -> tuple[Tensor, Tensor]:
    return torch.tensor(list(itertools.product([0.0, 1.0], repeat=2))), torch.tensor([0, 1, 1, 0])


def _circles(examples: int) -> tuple[Tensor, Tensor]:
    """A disc and a ring around it."""
    label = torch.arange(examples) % 2
    radius = torch.where(label == 0, 0.6 * torch.rand(examples), 0.9 + 0.5 * torch.rand(examples))
    angle = 2 * math.pi * torch.rand(examples)
    return torch.stack([radius * angle.cos(), radius * angle.sin()], 1), label


def _spirals(examples: int, turns: float = 1.5) -> tuple[Tensor, Tensor]:
    """Two arms, one the other turned by half a turn."""
    label = torch.arange(examples) % 2
    along = torch.rand(examples)
    angle = 2 * math.pi * turns * along + math.pi * label
    radius = 0.15 + 1.2 * along
    return torch.stack([radius * angle.cos(), radius * angle.sin()], 1), label


def _checkerboard(examples: int, side: int) -> tuple[Tensor, Tensor]:
    """Points of [-1, 1] x [-1, 1] and the colour of their cell, of side x side."""
    x = 2 * torch.rand(examples, 2) - 1
    return x, ((x + 1) * side / 2).floor().sum(1).long() % 2


def c001_deepwide() -> Finding:
    """Deep networks beat wide ones: features from low to high level, exponentially fewer nodes, more functions.

    Notes: F0 L6-10.

    Nodes: parity of 10 inputs by ANDs in one hidden layer and by a chain of XORs; and the sawtooth of eight folded
    ReLU layers, two units each, whose straight pieces are counted, when H units in one layer make H + 1 pieces at
    most (Telgarsky 2015). Features: a linear classifier is fitted to the values of each layer of a network that was
    trained on two spirals. One exception is built: units with general thresholds compute parity in one hidden layer,
    N of them.
    """
    rows = torch.tensor(list(itertools.product([0.0, 1.0], repeat=10)))
    odd = rows.sum(1) % 2 == 1

    def asked(draft: Draft) -> tuple[int, int]:
        net = built(draft)
        return net.counts()["units"], int(((net(rows)[:, 0] == 1) != odd).sum())

    wide = Draft(10)
    terms = [
        wide.add({place: 2 * value - 1 for place, value in enumerate(row)}, sum(row)) for row in rows[odd].tolist()
    ]
    chain, last = Draft(10), 0
    for source in range(1, 10):
        both = chain.add({last: 1.0, source: 1.0}, 2)
        last = chain.add({chain.add({last: 1.0, source: 1.0}, 1): 1.0, both: -1.0}, 1)
    levels = Draft(10)
    counted = [levels.add(dict.fromkeys(range(10), 1.0), level) for level in range(1, 11)]
    (ands, wrong), (xors, wrong_too), (general, amiss) = (
        asked(wide.finish(wide.add(dict.fromkeys(terms, 1.0), 1))),
        asked(chain.finish(last)),
        asked(levels.finish(levels.add({unit: (-1.0) ** place for place, unit in enumerate(counted)}, 1))),
    )
    fine = torch.linspace(0, 1, 2**12 + 1, dtype=torch.float64)
    saw = fine
    for _ in range(8):
        saw = 2 * torch.relu(saw) - 4 * torch.relu(saw - 0.5)
    slopes = (saw[1:] - saw[:-1]).sign()
    pieces = 1 + int((slopes[1:] != slopes[:-1]).sum())

    x, label = _spirals(400)
    layers = _train(x, label, (16, 16, 16), torch.tanh, seeds=3, steps=1000, lr=0.02)
    shares = [_linear_share(each, label) for each in (x.expand(3, -1, -1), *_outputs(layers, x, torch.tanh)[:-1])]
    return Finding(
        holds=wrong == wrong_too == 0
        and ands > 10 * xors
        and pieces - 1 > 10 * 16
        and all(late >= early for early, late in itertools.pairwise(shares))
        and shares[-1] > shares[0] + 0.2,
        limited=amiss == 0 and general < xors,
        numbers={
            "units for parity of 10 inputs, ANDs in one layer": float(ands),
            "units for parity of 10 inputs, XORs": float(xors),
            "units for parity of 10 inputs, general thresholds in one layer": float(general),
            "straight pieces of 16 ReLUs in 8 layers": float(pieces),
            "ReLUs that one layer needs for as many": float(pieces - 1),
            **{
                f"linear classifier on {'the input' if not place else f'layer {place}'}, share right": share
                for place, share in enumerate(shares)
            },
        },
        remark="Parity is no example where thresholds are free: one layer of N units computes it. The sawtooth is.",
    )


def _linear_share(values: Tensor, label: Tensor) -> float:  # (S, B, H)
    """The share of examples that least squares gets right, the median of the seeds."""
    found = []
    for each in values.double():
        inputs = torch.cat([each, torch.ones(len(each), 1, dtype=torch.float64)], 1)
        weight = torch.linalg.lstsq(inputs, 2 * label.double()[:, None] - 1, driver="gelsd").solution[:, 0]
        found.append(float(((inputs @ weight >= 0) == label.bool()).double().mean()))
    return _median(torch.tensor(found))


def c003_mlp_nonsep() -> Finding:
    """MLPs are no longer restricted to linear separation, and can express AND and OR.

    Notes: F0 L22-24, L39.

    XOR, a disc in a ring and two spirals, none of which a line can part: a linear classifier and a network with two
    hidden layers of 16 tanh units are trained alike, from five seeds, and the medians compared. AND and OR are put to
    a linear program: one unit without a hidden layer expresses them already.
    """
    numbers: dict[str, float] = {}
    holds = True
    for name, (x, label) in {"XOR": _xor(), "circles": _circles(200), "spirals": _spirals(200)}.items():
        linear = _train(x, label, (), torch.tanh, seeds=5, steps=200, lr=0.05)
        hidden = _train(x, label, (16, 16), torch.tanh, seeds=5, steps=1000, lr=0.03)
        straight = _median(_accuracy(linear, x, label, torch.tanh))
        bent = _median(_accuracy(hidden, x, label, torch.tanh))
        numbers |= {f"share right, {name}, linear": straight, f"share right, {name}, hidden layers": bent}
        holds = holds and bent >= 0.99 and straight <= 0.75
    rows, gates = _xor()[0], {"AND": [0, 0, 0, 1], "OR": [0, 1, 1, 1]}
    single = {
        name: meeting_point(rows[torch.tensor(truth) > 0], rows[torch.tensor(truth) < 1]) is None
        for name, truth in gates.items()
    }
    return Finding(
        holds=holds,
        limited=any(single.values()),
        numbers=numbers | {f"one unit expresses {name}": float(able) for name, able in single.items()},
        remark="AND and OR are no examples: they need no hidden layer. XOR and its complement do.",
    )


def c008_emprisk_overfit() -> Finding:
    """Minimising the empirical risk alone may overfit; a regularisation term limits the model's complexity.

    Notes: F0 L72.

    Networks of 64 ReLU units learn 40 points of two overlapping clouds, from ten seeds, once alone and once with the
    squares of the weights, times 0.03, in the cost. The medians of the errors on 4,000 other points, and of the length
    of the weights, decide.
    """

    def clouds(examples: int) -> tuple[Tensor, Tensor]:
        label = torch.arange(examples) % 2
        return torch.randn(examples, 2) + 1.6 * (label - 0.5)[:, None], label

    x, label = clouds(40)
    others, truth = clouds(4000)
    train, test, length = {}, {}, {}
    for l2 in (0.0, 0.03):
        layers = _train(x, label, (64,), torch.relu, seeds=10, steps=600, lr=0.03, l2=l2)
        train[l2] = 1 - _median(_accuracy(layers, x, label, torch.relu))
        test[l2] = 1 - _median(_accuracy(layers, others, truth, torch.relu))
        length[l2] = math.sqrt(sum(_median(weight.square().sum((1, 2))) for weight, _ in layers))
    return Finding(
        holds=train[0.0] < train[0.03] and test[0.03] < test[0.0] and length[0.03] < length[0.0],
        numbers={
            **{f"training error, L2 {l2:g}": error for l2, error in train.items()},
            **{f"test error, L2 {l2:g}": error for l2, error in test.items()},
            **{f"length of the weights, L2 {l2:g}": each for l2, each in length.items()},
        },
    )


def _kept_lines(x: Tensor, slope: float, act: Act) -> Tensor:  # (B, 2) -> (B, 4)
    """A first layer that is too small: the outer lines of the checkerboard of 5 x 5 cells, as `act` tells them."""
    lines = torch.tensor([-0.6, 0.6])
    return act(slope * (x[:, :, None] - lines)).flatten(1)


def c056_graded_act() -> Finding:
    """Sigmoid, tanh and ReLU pass on more than a threshold, and make up for what the lower layers lost.

    Notes: F2 L355-379.

    A checkerboard of 5 x 5 cells needs eight lines; a first layer of four is fixed. Through thresholds, points on the
    same side of all four are one, and the best that can follow gives each group its commoner colour. Through graded
    units two layers of 24 are trained on the four values, from five seeds; the median of the shares right on 2,000
    other points must beat that bound. ReLUs must do as well as sigmoids or better.
    """
    x, label = _checkerboard(1000, 5)
    others, truth = _checkerboard(2000, 5)
    groups = _kept_lines(others, 1.0, lambda sums: (sums >= 0).float()) @ torch.tensor([8.0, 4.0, 2.0, 1.0])
    colours = [truth[groups == each] for each in groups.unique()]
    bound = sum(max(int(each.sum()), int((1 - each).sum())) for each in colours)
    shares = {}
    for name, act in (("sigmoid", torch.sigmoid), ("tanh", torch.tanh), ("ReLU", torch.relu)):
        seen, unseen = _kept_lines(x, 4.0, act), _kept_lines(others, 4.0, act)
        layers = _train(seen, label, (24, 24), act, seeds=5, steps=1000, lr=0.02)
        shares[name] = _median(_accuracy(layers, unseen, truth, act))
    return Finding(
        holds=min(shares.values()) > bound / len(others) and shares["ReLU"] >= shares["sigmoid"],
        numbers={
            "best possible share right through thresholds": bound / len(others),
            **{f"share right through {name}, median": share for name, share in shares.items()},
        },
    )


def c057_relu_deeper() -> Finding:
    """ReLU delivers more than a saturated sigmoid, but it also requires a deeper network.

    Notes: F2 L364.

    Two spirals, one to four hidden layers of 12 units, five seeds, the median of the shares right on 2,000 other
    points; a depth suffices where it is 0.95. As printed, ReLU must be the better at the best depth of each, and its
    first depth that suffices must be greater than the sigmoid's.
    """
    x, label = _spirals(400)
    others, truth = _spirals(2000)
    shares: dict[str, dict[int, float]] = {"ReLU": {}, "sigmoid": {}}
    for each, act in zip(shares.values(), (torch.relu, torch.sigmoid), strict=True):
        for depth in range(1, 5):
            layers = _train(x, label, (12,) * depth, act, seeds=5, steps=1000, lr=0.02)
            each[depth] = _median(_accuracy(layers, others, truth, act))
    first = {
        name: min((depth for depth, share in each.items() if share >= 0.95), default=math.inf)
        for name, each in shares.items()
    }

    def draw() -> "Figure":
        from deepclassics.report.style import grid, sheet

        figure = sheet(5.2, 3.2)
        axes = figure.add_subplot()
        for name, each in shares.items():
            axes.plot(list(each), list(each.values()), marker="o", label=name)
        axes.set_xticks(range(1, 5))
        axes.set_xlabel("hidden layers of 12 units")
        axes.set_ylabel("share right, median of five seeds")
        axes.set_title("Two spirals")
        axes.legend()
        grid(axes)
        return figure

    return Finding(
        holds=max(shares["ReLU"].values()) >= max(shares["sigmoid"].values()) and first["ReLU"] > first["sigmoid"],
        numbers={
            f"share right, {depth} layers, {name}": share
            for name, each in shares.items()
            for depth, share in each.items()
        },
        remark=f"ReLU is the better, but it suffices with {first['ReLU']:g} hidden layers, the sigmoid with "
        f"{first['sigmoid']:g}.",
        draw=draw,
    )


def c058_nonlinear_need() -> Finding:
    """A valid activation requires a turning point and cannot be purely linear.

    Notes: F2 L366.

    1,000 random stacks of five linear layers are compared with the one layer that is their product: the same, so they
    decide as a line does, and the best line of all integer weights -3 ... 3 gets three of XOR's four rows. With a bend
    between, two tanh units, set by hand, get all four.
    """
    rows, label = _xor()
    rows = rows.double()
    apart = 0.0
    for _ in range(1000):
        stack = [torch.randn(4, 4, dtype=torch.float64) / 2 for _ in range(5)]
        whole = torch.linalg.multi_dot(stack)
        values = rows @ torch.randn(2, 4, dtype=torch.float64)
        layered = values
        for matrix in stack:
            layered = layered @ matrix
        apart = max(apart, float((layered - values @ whole).abs().max()))
    grid = torch.cartesian_prod(*[torch.arange(-3.0, 4.0, dtype=torch.float64)] * 2, torch.arange(-6.5, 7, 1).double())
    right = ((rows @ grid[:, :2].T >= grid[:, 2]) == label.bool()[:, None]).double().mean(0)
    sums = rows.sum(1)
    bent = torch.tanh(5 * (sums - 0.5)) - torch.tanh(5 * (sums - 1.5)) >= 1
    return Finding(
        holds=apart < 1e-12 and float(right.max()) == 0.75 and bool((bent == label.bool()).all()),
        numbers={
            "largest difference of five linear layers and one": apart,
            "best share of XOR's rows, linear": float(right.max()),
            "share of XOR's rows, two tanh units": float((bent == label.bool()).double().mean()),
        },
    )


def c186_more_layers() -> Finding:
    """For a complicated problem one hidden layer may not be enough.

    Notes: F4 L288.

    Two spirals of two turns, 361 parameters in one hidden layer of ReLUs or in three, trained alike from five seeds;
    the medians of the shares right on 2,000 other points decide. Three must suffice, 0.95, where one does not.
    """
    x, label = _spirals(400, turns=2)
    others, truth = _spirals(2000, turns=2)
    share, numbers = {}, {}
    for widths in ((90,), (12, 12, 12)):
        layers = _train(x, label, widths, torch.relu, seeds=5, steps=1000, lr=0.02)
        share[len(widths)] = _median(_accuracy(layers, others, truth, torch.relu))
        numbers[f"parameters, hidden layers of {' and '.join(map(str, widths))}"] = float(_parameters(widths))
    return Finding(
        holds=share[1] < 0.95 <= share[3],
        numbers=numbers | {f"share right, hidden layers: {depth}": each for depth, each in share.items()},
    )


def c194_repr() -> Finding:
    """In an MLP the lower layers learn a representation that the higher layers can separate linearly.

    Notes: F2 L700; F0 L39.

    Networks with two hidden layers of 16 tanh units learn two spirals from five seeds. A linear program must find that
    no line parts the input, and that a hyperplane parts the values of the last hidden layer, for each seed that has no
    errors left; at least three must have none.
    """
    x, label = _spirals(200)
    layers = _train(x, label, (16, 16), torch.tanh, seeds=5, steps=1500, lr=0.03)
    solved = _accuracy(layers, x, label, torch.tanh) == 1
    last = _outputs(layers, x, torch.tanh)[-2]
    parted = [
        meeting_point(each[label == 1], each[label == 0]) is None
        for each, done in zip(last, solved, strict=True)
        if done
    ]
    first = [
        meeting_point(each[label == 1], each[label == 0]) is None
        for each, done in zip(_outputs(layers, x, torch.tanh)[0], solved, strict=True)
        if done
    ]
    return Finding(
        holds=len(parted) >= 3 and all(parted) and meeting_point(x[label == 1], x[label == 0]) is not None,
        numbers={
            "networks without errors, of 5": float(len(parted)),
            "of these, last hidden layer linearly separable": float(sum(parted)),
            "of these, first hidden layer linearly separable": float(sum(first)),
            "input linearly separable": float(meeting_point(x[label == 1], x[label == 0]) is None),
        },
    )
