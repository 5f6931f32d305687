"""Claims about fitting too well: weights held small, dropout, more examples from few, and stopping in time.

The nets are small ones, on scikit-learn's digits or on made data, some with labels that are wrong on purpose.

Letters: T examples, D inputs.
"""

import itertools
import math
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from deepclassics.claims import Finding
from deepclassics.claims.training import curves, digits, error, loss_of, median, parted, passes
from deepclassics.systems.foundations.mlp import MLP

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def _mislabelled(y: Tensor, share: float, seed: int) -> Tensor:  # (T,) -> (T,)
    """A share of the labels drawn anew."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randint(int(y.max()) + 1, y.shape, generator=generator)
    return torch.where(torch.rand(len(y), generator=generator) < share, drawn, y)


def c082_reg_fill() -> Finding:
    """Of 100 binary inputs there are 2^100 = 10^30 values, so most are never seen; regularisation fills the gaps.

    Notes: F2 L1047-1050.

    All 4,096 inputs of 12 bits, of which a tenth is seen; the class is the sign of a random weighted sum. A net of 50
    ReLUs after 100 passes, without and with a decay of the weights of 0.01: the errors on the inputs never seen, the
    median of seven seeds. The rest is a matter of arithmetic and of words: 2^100 is compared with 10^30 as printed, and
    the values of a one-hot input, as the notes call it, are counted; of 100 there are just 100 (E027).
    """
    bits = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=12)))
    errors: dict[float, list[float]] = {0.0: [], 0.01: []}
    for seed in range(7):
        weights = torch.randn(12, generator=torch.Generator().manual_seed(seed))
        (seen, labels), (unseen, wanted) = parted(bits, (bits @ weights > 0).long(), 410, seed=seed)
        for l2, found in errors.items():
            torch.manual_seed(seed)
            net = MLP(12, (50,), 2)
            for _ in passes(net, seen, labels, 100, 3e-3, l2=l2, seed=seed):
                pass
            found.append(error(net, unseen, wanted))
    ends = {l2: median(found) for l2, found in errors.items()}
    one_hot = len(torch.eye(100).unique(dim=0))
    ratio = 2**100 / 10**30
    return Finding(
        holds=ends[0.01] < ends[0.0],
        limited=abs(ratio - 1) > 0.1 or one_hot != 2**100,
        numbers={
            "error on inputs never seen, not regularised": ends[0.0],
            "error on inputs never seen, regularised": ends[0.01],
            "values of 100 binary inputs": float(2**100),
            "values of a one-hot input of 100": float(one_hot),
        },
        remark=f"For binary inputs, of which there are {ratio:.3g} · 10^30; one-hot ones have {one_hot} values.",
    )


def c083_big_w() -> Finding:
    """The larger |w|, the steeper the answer, and the easier the net fits too well.

    Notes: F2 L1056.

    The steepest slope of σ(w x) must be w/4. Nets of 50 ReLUs on 200 digits of which a fifth has wrong labels, 80
    passes with eight weight decays: the rank correlation of the length of all weights with the gap between the losses
    on other digits and on those learnt, the median of five seeds.
    """
    from scipy.stats import spearmanr

    z = torch.linspace(-1, 1, 20_001, dtype=torch.float64)
    steepest = {}
    for w in (1.0, 4.0, 16.0):
        out = torch.sigmoid(w * z)
        steepest[w] = float((w * out * (1 - out)).max())
    x, y = digits()
    decays = (0.0, 0.0003, 0.001, 0.003, 0.01, 0.02, 0.03, 0.05)
    correlations: list[float] = []
    shown: list[tuple[float, float]] = []
    for seed in range(5):
        (part, labels), (rest, rest_y) = parted(x, y, 200, seed=seed)
        labels = _mislabelled(labels, 0.2, seed)
        pairs = []
        for decay in decays:
            torch.manual_seed(seed)
            net = MLP(64, (50,), 10)
            for _ in passes(net, part, labels, 80, 3e-3, l2=decay, seed=seed):
                pass
            length = torch.cat([p.detach().flatten() for p in net.parameters()]).norm()
            pairs.append((float(length), loss_of(net, rest, rest_y) - loss_of(net, part, labels)))
        correlations.append(float(spearmanr(*zip(*pairs, strict=True)).statistic))
        shown = shown or pairs

    def draw() -> "Figure":
        from deepclassics.report.style import sheet

        figure = sheet(5.6, 3.6)
        axes = figure.subplots()
        axes.plot(*zip(*shown, strict=True), marker="o")
        axes.set_xlabel("length of all weights")
        axes.set_ylabel("loss on other digits less that on those learnt, nats")
        return figure

    return Finding(
        holds=median(correlations) > 0 and all(abs(each - w / 4) < 1e-9 for w, each in steepest.items()),
        numbers={
            **{f"steepest slope, w = {w:g}": each for w, each in steepest.items()},
            "rank correlation of length and gap": median(correlations),
            "gap with the largest weights, nats": shown[0][1],
            "gap with the smallest weights, nats": shown[-1][1],
        },
        draw=draw,
    )


def c084_depth_smooth() -> Finding:
    """With a given number of neurons, the deeper the net and the more the data, the better it generalises.

    Notes: F2 L1090-1093.

    Two spirals; 48 ReLUs in one to four layers; 100, 400 and 1,600 points, 1,000 updates of Adam on batches of 50; the
    error on 2,000 other points, the median of three seeds. The claim: with the most data four layers are better than
    one. Where a deeper net is not better than the next shallower one, the claim is limited.
    """
    errors: dict[tuple[int, int], float] = {}
    for size, depth in itertools.product((100, 400, 1600), (1, 2, 3, 4)):
        found = []
        for seed in range(3):
            (x, y), (rest, rest_y) = (_spirals(count, 2 * seed + part) for part, count in enumerate((size, 2000)))
            torch.manual_seed(seed)
            net = MLP(2, (48 // depth,) * depth, 2)
            for _ in passes(net, x, y, 1000 * 50 // size, 1e-2, seed=seed):
                pass
            found.append(error(net, rest, rest_y))
        errors[size, depth] = median(found)
    steps = [(size, depth) for size, depth in errors if depth > 1 and errors[size, depth] >= errors[size, depth - 1]]
    return Finding(
        holds=errors[1600, 4] < errors[1600, 1] and all(errors[1600, depth] <= errors[100, depth] for depth in (1, 4)),
        limited=bool(steps),
        numbers={f"error, {size} points, layers: {depth}": each for (size, depth), each in errors.items()},
        remark="As a tendency. Not better than one layer less: "
        + ", ".join(f"{depth} layers on {size} points" for size, depth in steps)
        + ".",
        draw=curves(
            {f"{size} points": [errors[size, depth] for depth in (1, 2, 3, 4)] for size in (100, 400, 1600)},
            "layers, 48 units in all",
            "error on other points",
        ),
    )


def _spirals(count: int, seed: int) -> tuple[Tensor, Tensor]:  # -> (T, 2), (T,)
    """Two arms of one and three quarter turns, with a little noise."""
    generator = torch.Generator().manual_seed(seed)
    along, y = torch.rand(count, generator=generator).sqrt(), torch.arange(count) % 2
    angle = 3.5 * math.pi * along + math.pi * y
    x = 2 * torch.stack([along * angle.sin(), along * angle.cos()], 1)
    return x + 0.05 * torch.randn(count, 2, generator=generator), y


def c085_drop_avg() -> Finding:
    """Dropout takes samples of 2^N networks and learns their average.

    Notes: F2 L1099.

    All 4,096 masks of 12 inputs, each kept with probability a half, of a softmax over three classes: the net with
    halved weights must give the geometric mean of all their answers, normalised. The arithmetic mean, that of a vote,
    is told too, and both for a net with a layer of 12 ReLUs that are dropped, before a second such layer: there it is
    near, not equal.
    """
    masks = torch.tensor(list(itertools.product([0.0, 1.0], repeat=12)), dtype=torch.float64)
    last = torch.randn(12, 3, dtype=torch.float64)

    def apart(answers: Tensor, scaled: Tensor) -> tuple[float, float]:  # (4096, K) sums, (K,) sums
        geometric = answers.log_softmax(1).mean(0).softmax(0)
        return (
            float((scaled.softmax(0) - geometric).abs().max()),
            float((scaled.softmax(0) - answers.softmax(1).mean(0)).abs().max()),
        )

    x = torch.randn(12, dtype=torch.float64)
    shallow = apart((masks * x) @ last, (x / 2) @ last)
    matrix = torch.randn(12, 12, dtype=torch.float64) / math.sqrt(6)
    deep = apart(torch.relu((masks * x.relu()) @ matrix) @ last, torch.relu((x.relu() / 2) @ matrix) @ last)
    return Finding(
        holds=shallow[0] < 1e-12,
        limited=shallow[1] > 1e-3 and deep[0] > 1e-3,
        numbers={
            "networks": float(len(masks)),
            "distance of the scaled net from their geometric mean, one layer": shallow[0],
            "distance of the scaled net from their mean, one layer": shallow[1],
            "distance of the scaled net from their geometric mean, a layer of ReLUs between": deep[0],
            "distance of the scaled net from their mean, a layer of ReLUs between": deep[1],
        },
        remark="The geometric mean, and of one layer: it is near to it where more layers follow.",
    )


def c086_drop_best() -> Finding:
    """Dropout is the most influential remedy against overfitting in deep learning.

    Notes: F2 L1097.

    The small version: nets of two layers of 100 ReLUs on 400 digits of which a tenth has wrong labels, 60 passes.
    Nothing, a weight decay, dropout, and stopping early, each at the strength of four that is best on 300 digits held
    back; the error on all others, the median of five seeds. Dropout must have the lowest.
    """
    x, y = digits()
    trials: dict[str, list[tuple[float, float]]] = {
        "nothing": [(0.0, 0.0)],
        "weight decay": [(decay, 0.0) for decay in (0.0003, 0.001, 0.003, 0.01)],
        "dropout": [(0.0, share) for share in (0.2, 0.4, 0.5, 0.6)],
    }
    errors: dict[str, list[float]] = {name: [] for name in (*trials, "stopping early")}
    for seed in range(5):
        (part, labels), (held, held_y), (rest, rest_y) = parted(x, y, 400, 300, seed=seed)
        labels = _mislabelled(labels, 0.1, seed)
        for name, strengths in trials.items():
            found = []
            for decay, share in strengths:
                torch.manual_seed(seed)
                net = MLP(64, (100, 100), 10, dropout=share)
                looks = [
                    (error(net, held, held_y), error(net, rest, rest_y))
                    for _ in passes(net, part, labels, 60, 2e-3, l2=decay, seed=seed)
                ]
                found.append(looks[-1])
                if name == "nothing":
                    errors["stopping early"].append(min(looks)[1])
            errors[name].append(min(found)[1])
    ends = {name: median(found) for name, found in errors.items()}
    best = min(ends, key=lambda name: ends[name])
    return Finding(
        holds=best == "dropout",
        numbers={f"error on other digits, {name}": each for name, each in ends.items()},
        remark="" if best == "dropout" else f"On so small a net {best} is better.",
    )


def c092_aug_help() -> Finding:
    """Distorted copies enlarge a small sample and help: rotation, stretching, noise.

    Notes: F2 L1177.

    300 digits, turned by up to 12°, stretched by up to a tenth, with noise of 0.05, anew in each of 100 passes; a net
    of 100 ReLUs; the error on all other digits with and without, the median of five seeds. Mirror images are tried too:
    they are other signs, so what is done to a picture must keep its class.
    """
    x, y = digits()
    errors: dict[str, list[float]] = {"without": [], "with": [], "mirrored": []}
    for seed in range(5):
        (part, labels), (rest, rest_y) = parted(x, y, 300, seed=seed)
        for name, found in errors.items():
            generator = torch.Generator().manual_seed(seed)
            torch.manual_seed(seed)
            net = MLP(64, (100,), 10)
            optimizer = torch.optim.Adam(net.parameters(), 2e-3)
            for _ in range(100):
                seen = _distorted(part, generator) if name == "with" else part
                if name == "mirrored":
                    turned = part.view(-1, 8, 8).flip(2).flatten(1)
                    seen = torch.where(torch.rand(300, 1, generator=generator) < 0.5, turned, part)
                for rows in torch.randperm(300, generator=generator).split(50):
                    optimizer.zero_grad()
                    F.cross_entropy(net(seen[rows]), labels[rows]).backward()
                    optimizer.step()
            found.append(error(net, rest, rest_y))
    ends = {name: median(found) for name, found in errors.items()}
    return Finding(
        holds=ends["with"] < ends["without"],
        limited=ends["mirrored"] > ends["without"],
        numbers={f"error on other digits, {name} copies": each for name, each in ends.items()},
        remark="Where the distortion keeps the class: mirrored digits do harm.",
    )


def _distorted(x: Tensor, generator: torch.Generator) -> Tensor:  # (T, 64) -> (T, 64)
    """Each turned by up to 12°, stretched by up to a tenth both ways, and with noise of deviation 0.05."""
    angle, across, down = torch.rand(3, len(x), generator=generator) * 2 - 1
    angle, across, down, zero = angle * math.pi / 15, 1 + across / 10, 1 + down / 10, torch.zeros_like(angle)
    first = torch.stack([across * angle.cos(), -angle.sin(), zero], 1)
    second = torch.stack([angle.sin(), down * angle.cos(), zero], 1)
    places = F.affine_grid(torch.stack([first, second], 1), [len(x), 1, 8, 8], align_corners=False)
    turned = F.grid_sample(x.view(-1, 1, 8, 8), places, align_corners=False).flatten(1)
    return turned + 0.05 * torch.randn(x.shape, generator=generator)


def _long_run(seed: int) -> list[tuple[float, float, float]]:
    """Loss on what is learnt and on what is held back, and error on the rest, after each of 80 passes: 200 digits of
    which three in ten have wrong labels."""
    x, y = digits()
    (part, labels), (held, held_y), (rest, rest_y) = parted(x, y, 200, 300, seed=seed)
    labels = _mislabelled(labels, 0.3, seed)
    torch.manual_seed(seed)
    net = MLP(64, (100,), 10)
    return [
        (loss_of(net, part, labels), loss_of(net, held, held_y), error(net, rest, rest_y))
        for _ in passes(net, part, labels, 80, 3e-3, seed=seed)
    ]


def c093_early() -> Finding:
    """Excess training fits too well, so training should end when the validation error soars.

    Notes: F2 L1190-1198.

    A net of 100 ReLUs learns 200 digits, three in ten with wrong labels, for 80 passes; 300 are held back, with right
    labels. Their loss must be lowest before the end, and the error on all other digits be lower there than at the end;
    the median of seven seeds.
    """
    runs = [_long_run(seed) for seed in range(7)]
    stops = [int(torch.tensor(run)[:, 1].argmin()) for run in runs]
    stopped = [run[stop][2] for run, stop in zip(runs, stops, strict=True)]
    last = [run[-1][2] for run in runs]
    return Finding(
        holds=median([float(stop) + 1 for stop in stops]) < 80 and median(stopped) < median(last),
        numbers={
            "pass of the lowest validation loss": median([float(stop) + 1 for stop in stops]),
            "validation loss there, nats": median([run[stop][1] for run, stop in zip(runs, stops, strict=True)]),
            "validation loss after 80 passes, nats": median([run[-1][1] for run in runs]),
            "error on other digits there": median(stopped),
            "error on other digits after 80 passes": median(last),
        },
        draw=curves(
            {
                "training loss, nats": [each[0] for each in runs[0]],
                "validation loss, nats": [each[1] for each in runs[0]],
                "error on other digits": [each[2] for each in runs[0]],
            },
            "passes",
            "loss or error",
        ),
    )


def c164_drop_exp() -> Finding:
    """Dropout lowers the test error of nets with two to four hidden layers of 1,024 to 2,048 units on MNIST.

    Notes: F3 L1493-1496.

    The small version, on scikit-learn's digits: 400 of them to learn from, all others to judge by; two to four layers
    of 128 or 256 ReLUs, twice and four times the inputs, 80 passes of Adam, with a half of the hidden units and a
    tenth of the inputs dropped, or none; the median of three seeds. Each of the six must be better with dropout.
    """
    x, y = digits()
    errors: dict[tuple[int, int, bool], float] = {}
    for depth, units, dropped in itertools.product((2, 3, 4), (128, 256), (False, True)):
        found = []
        for seed in range(3):
            (part, labels), (rest, rest_y) = parted(x, y, 400, seed=seed)
            torch.manual_seed(seed)
            net = MLP(64, (units,) * depth, 10, dropout=0.5 * dropped, input_dropout=0.1 * dropped)
            for _ in passes(net, part, labels, 80, 2e-3, seed=seed):
                pass
            found.append(error(net, rest, rest_y))
        errors[depth, units, dropped] = median(found)
    better = sum(
        errors[depth, units, True] < errors[depth, units, False] for depth in (2, 3, 4) for units in (128, 256)
    )
    return Finding(
        holds=better == 6,
        numbers={
            "nets of six that are better with dropout": float(better),
            **{
                f"test error, {depth} layers of {units}, {'with' if dropped else 'without'} dropout": each
                for (depth, units, dropped), each in errors.items()
            },
        },
        remark=""
        if better == 6
        else f"In the small version {better} of six are better with it; nets of the printed size were not tried.",
    )
