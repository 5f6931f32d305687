"""Claims about nets for pictures: what they start from, what they lean on, what they cost, and how they are judged.

The scale is small, so that a claim takes seconds: scikit-learn's 1,797 digits of 8 x 8 pixels, or animals of 32 x 32
made of them, and nets of two or three convolutions.

Letters: N pictures, C channels or maps, H and W pixels, K classes.
"""

import itertools
import math
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deepclassics.claims import Finding
from deepclassics.claims.training import digits, error, median, parted, passes
from deepclassics.layers import augment
from deepclassics.systems.foundations.mlp import MLP
from deepclassics.systems.vision.inception import Convolution, Inception, costs, total

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# The ladder of the notes (F3 L1714-1741): year, name, top-5 error and the interval, all in %.
LADDER = (
    (2014, "GoogLeNet", 6.66, 6.40, 6.92), (2014, "VGG", 7.32, 7.05, 7.60), (2014, "MSRA", 8.06, 7.78, 8.34),
    (2014, "AHoward", 8.11, 7.83, 8.39), (2014, "DeeperVision", 9.51, 9.21, 9.82),
    (2013, "Clarifai, more data", 11.20, 10.87, 11.53), (2014, "CASIAWS, more data", 11.36, 11.03, 11.69),
    (2014, "Trimps, more data", 11.46, 11.13, 11.80), (2014, "Adobe, more data", 11.58, 11.25, 11.91),
    (2013, "Clarifai", 11.74, 11.41, 12.08), (2013, "NUS", 12.95, 12.60, 13.30), (2013, "ZF", 13.51, 13.14, 13.87),
    (2013, "AHoward", 13.55, 13.20, 13.91), (2013, "OverFeat", 14.18, 13.83, 14.54),
    (2014, "Orange, more data", 14.80, 14.43, 15.17), (2012, "SuperVision, more data", 15.32, 14.94, 15.69),
    (2012, "SuperVision", 16.42, 16.04, 16.80), (2012, "ISI", 26.17, 25.71, 26.65), (2012, "VGG", 26.98, 26.53, 27.43),
    (2012, "XRCE", 27.06, 26.60, 27.52), (2012, "UvA", 29.58, 29.09, 30.04),
)  # fmt: skip


def _pictures() -> tuple[Tensor, Tensor]:  # -> (1797, 1, 8, 8) pixels in [0, 1], (1797,)
    x, y = digits()
    return x.view(-1, 1, 8, 8), y


def _small_net(classes: int) -> nn.Sequential:
    """Two convolutions and a dense layer, for digits of 8 x 8."""
    return nn.Sequential(
        *(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(512, classes)),
    )


def _trained(net: nn.Module, x: Tensor, y: Tensor, count: int, rate: float = 3e-3, batch: int = 50) -> nn.Module:
    """After so many passes of Adam."""
    for _ in passes(net, x, y, count, rate, batch=batch):
        pass
    return net


# --- what they start from


def c022_pretrained() -> Finding:
    """Pre-training primes a net with general-purpose visual features.

    Notes: F0 L260-262.

    A net of two convolutions learns the digits 0 to 4; then, with a new last layer, 5 to 9 from 2, 10 and 80 of each,
    80 updates, against the same net from the start (S144). Errors on the other 5 to 9, the medians of ten starts with
    parts of their own. At 2 and 10 a class the pretrained net must be better, and its lead at 80 smaller than at 2.
    """
    x, y = _pictures()
    before = y < 5
    leads: dict[int, list[float]] = {2: [], 10: [], 80: []}
    errors: dict[tuple[int, str], list[float]] = {
        (count, name): [] for count in leads for name in ("pretrained", "from the start")
    }
    for seed in range(10):
        torch.manual_seed(seed)
        body = _small_net(5)
        _trained(body, x[before], y[before], 6)
        generator = torch.Generator().manual_seed(seed)
        order = torch.randperm(len(x), generator=generator)
        rows = [order[y[order] == digit] for digit in range(5, 10)]
        rest = torch.cat([each[80:] for each in rows])
        for count, found in leads.items():
            few = torch.cat([each[:count] for each in rows])
            batch = min(50, len(few))
            wrong = {}
            for name in ("pretrained", "from the start"):
                torch.manual_seed(100 + seed)
                net = _small_net(5)
                if name == "pretrained":
                    net[:-1].load_state_dict(body[:-1].state_dict())
                _trained(net, x[few], y[few] - 5, math.ceil(80 * batch / len(few)), 1e-3, batch)
                wrong[name] = error(net, x[rest], y[rest] - 5)
                errors[count, name].append(wrong[name])
            found.append(wrong["from the start"] - wrong["pretrained"])
    lead = {count: median(found) for count, found in leads.items()}
    return Finding(
        holds=lead[2] > 0 and lead[10] > 0 and lead[80] < lead[2],
        limited=lead[80] < 0,
        numbers={
            **{f"error on 5 to 9, {count} a class, {name}": median(found) for (count, name), found in errors.items()},
            **{
                f"starts of ten in which pretraining is better, {count} a class": float(sum(each > 0 for each in found))
                for count, found in leads.items()
            },
        },
        remark="With 80 pictures a class it no longer helps.",
    )


# --- what they lean on


def c023_huskyc() -> Finding:
    """A convolutional net may go by the background: huskies and wolves.

    Notes: F0 L264-267.

    The set `husky`: digits as animals, every wolf on snow. Three nets of two convolutions learn it, and three the set
    `husky_fair`, where the ground is drawn by chance. Both judge the same test pictures on the ground of their class
    and on the other one. The claim: nine tenths or more are right on the own ground, and on the other 30 % or fewer,
    where chance has 50: the answers follow the ground. Those that learnt from fair pictures must keep 70 % or more.
    """
    from deepclassics.data import load

    sets = {name: load(name, ("image",), seed=0, valid=0, test=0.3) for name in ("husky", "husky_fair")}
    parts = {}
    for name, found in sets.items():
        assert found.test is not None
        train, test = (part.take(slice(None)) for part in (found.train, found.test))
        parts[name] = (train["image"], train["label"], test["image"], test["label"])
    own, fair, label = parts["husky"][2], parts["husky_fair"][2], parts["husky"][3]
    swapped = (own - fair).abs().mean((1, 2, 3)) > 0.05  # the same animals in the same places: only the ground differs
    shares: dict[tuple[str, str], list[float]] = {}
    for name, seed in itertools.product(sets, range(3)):
        torch.manual_seed(seed)
        net = nn.Sequential(
            *(nn.Conv2d(3, 8, 5, 2, 2), nn.ReLU()),
            *(nn.Conv2d(8, 16, 5, 2, 2), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Flatten(), nn.Linear(256, 2)),
        )
        _trained(net, parts[name][0] - 0.5, parts[name][1], 3 if name == "husky" else 15, 3e-3)
        for ground, image in (("own", own), ("other", fair)):
            wrong = error(net, image[swapped] - 0.5, label[swapped])
            shares.setdefault((name, ground), []).append(1 - wrong)
    middle = {key: median(found) for key, found in shares.items()}
    return Finding(
        holds=middle["husky", "own"] >= 0.9
        and middle["husky", "other"] <= 0.3
        and middle["husky_fair", "other"] >= 0.7,
        numbers={
            "test pictures": float(swapped.sum()),
            **{
                f"share right, learnt {name}, on the {ground} ground, {what} of three starts": of(found)
                for (name, ground), found in shares.items()
                for what, of in (("median", median), ("least", min), ("most", max))
            },
        },
    )


def c024_stickerc() -> Finding:
    """A small sticker can totally destroy recognition.

    Notes: F0 L269-271.

    Digits, enlarged to 16 x 16 pixels, and three nets of two convolutions. A patch of 3 x 3 pixels, 3.5 % of the
    picture, is learnt on the training pictures for wherever it may lie (Brown et al. 2017), and laid on other pictures:
    at a random place, and at the worst of 49. The claim: at its worst place it turns 80 % or more of the right answers,
    and patches drawn by chance, at their worst places, turn fewer than half as many.
    """
    from deepclassics.data.streams import Columns
    from deepclassics.report.fragility import laid, learnt_patch

    small, y = _pictures()
    x = F.interpolate(small, scale_factor=2, mode="bilinear", align_corners=False)
    turned: dict[str, list[float]] = {}
    for seed in range(3):
        (part, labels), (rest, rest_y) = parted(x, y, 1200, seed=seed)
        torch.manual_seed(seed)
        net = nn.Sequential(
            *(nn.Conv2d(1, 16, 5, 2, 2), nn.ReLU()),
            *(nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU()),
            *(nn.Flatten(), nn.Linear(512, 10)),
        )
        _trained(net, part, labels, 8).eval().requires_grad_(False)
        generator = torch.Generator().manual_seed(seed)
        patch = learnt_patch(net, Columns(image=part, label=labels), 3, 150, generator)
        dice = torch.rand(len(rest), 1, 3, 3, generator=generator)
        right = net(rest).argmax(1) == rest_y
        rest, rest_y, dice = rest[right][:200], rest_y[right][:200], dice[right][:200]
        for name, each in (("learnt", patch), ("random", dice)):
            wrong = net(laid(rest, each, generator)).argmax(1) != rest_y
            turned.setdefault(f"{name} patch, random place", []).append(float(wrong.float().mean()))
            anywhere = torch.zeros(len(rest), dtype=torch.bool)
            for down, across in itertools.product(range(0, 14, 2), repeat=2):
                covered = rest.clone()
                covered[:, :, down : down + 3, across : across + 3] = each
                anywhere |= net(covered).argmax(1) != rest_y
            turned.setdefault(f"{name} patch, worst place", []).append(float(anywhere.float().mean()))
    middle = {name: median(found) for name, found in turned.items()}
    return Finding(
        holds=middle["learnt patch, worst place"] >= 0.8
        and middle["random patch, worst place"] < middle["learnt patch, worst place"] / 2,
        limited=middle["learnt patch, random place"] < 0.8,
        numbers={
            "area of the patch, share": 9 / 256,
            **{
                f"share of right answers turned, {name}, {what} of three starts": of(found)
                for name, found in turned.items()
                for what, of in (("median", median), ("least", min), ("most", max))
            },
        },
        remark="Where it is laid on the place that hurts most; at a random place it turns "
        f"{100 * middle['learnt patch, random place']:.0f} %. Patches drawn by chance turn "
        f"{100 * middle['random patch, worst place']:.0f} % at their worst places.",
    )


# --- what they cost


def c100_1x1_cheap() -> Finding:
    """Convolutions of 1 × 1 shrink the channels and cut the cost without harming the performance.

    Notes: F2 L1298-1300.

    Counted: 32 maps of 28 x 28 by 5 x 5 from 192 maps, straight and through 16 maps. Tried: a net of one convolution
    and one Inception module on digits of 8 x 8, 1,000 to learn from and the others to judge by, with the reductions and
    without; the median difference in the error, of five starts, must be at most a point.
    """
    with torch.device("meta"):
        straight = nn.Sequential(nn.Conv2d(192, 32, 5, padding=2))
        through = nn.Sequential(nn.Conv2d(192, 16, 1), nn.Conv2d(16, 32, 5, padding=2))
    taken = {
        name: total(costs(net, (192, 28, 28))).multiplications for name, net in (("5", straight), ("1, 5", through))
    }
    x, y = _pictures()
    errors: dict[bool, list[float]] = {True: [], False: []}
    for reduce, seed in itertools.product((True, False), range(5)):
        (part, labels), (rest, rest_y) = parted(x, y, 1000, seed=seed)
        torch.manual_seed(seed)
        net = nn.Sequential(
            Convolution(1, 24, 3, False),
            Inception(24, (8, 8, 16, 4, 8, 8), 5, False, reduce),
            *(nn.MaxPool2d(2), nn.Flatten(), nn.Linear(640, 10)),
        )
        errors[reduce].append(error(_trained(net, part, labels, 6), rest, rest_y))
    harm = [one - other for one, other in zip(errors[True], errors[False], strict=True)]
    return Finding(
        holds=taken["1, 5"] < taken["5"] / 5 and median(harm) <= 0.01,
        numbers={
            "multiplications, 5 × 5": float(taken["5"]),
            "multiplications, 1 × 1 and 5 × 5": float(taken["1, 5"]),
            "times fewer": taken["5"] / taken["1, 5"],
            "test error, straight": median(errors[False]),
            "test error, through 1 × 1": median(errors[True]),
            **{
                f"by how much the error is larger through 1 × 1, {name} of five starts": of(harm)
                for name, of in (("median", median), ("least", min), ("most", max))
            },
        },
    )


# --- how they are judged


def c102_ens_help() -> Finding:
    """To train several networks independently and average their outputs helps.

    Notes: F2 L1329.

    Five nets of 50 ReLUs learn 300 digits, in ten repetitions with digits of their own (S138). The squared error of the
    averaged probabilities must be the mean of the nets' squared errors less the mean squared distance from their
    average, to rounding (Krogh and Vedelsby 1995), so it is never more. The error of the average on all other digits
    must be at most the mean of the five in every repetition, and below it in the median.
    """
    x, y = digits()
    gaps, single, averaged, best = [], [], [], []
    for trial in range(10):
        (part, labels), (rest, rest_y) = parted(x, y, 300, seed=trial)
        given = []
        for member in range(5):
            torch.manual_seed(10 * trial + member)
            net = MLP(64, (50,), 10)
            for _ in passes(net, part, labels, 25, 3e-3, seed=10 * trial + member):
                pass
            with torch.no_grad():
                given.append(net.eval()(rest).double().softmax(1))
        nets, wanted = torch.stack(given), F.one_hot(rest_y, 10).double()  # (5, N, K), (N, K)
        mean = nets.mean(0)
        squares, distances = (nets - wanted).square().mean(), (nets - mean).square().mean()
        gaps.append(float(((mean - wanted).square().mean() - (squares - distances)).abs()))
        errors = (nets.argmax(2) != rest_y).double().mean(1)
        single.append(float(errors.mean()))
        best.append(float(errors.min()))
        averaged.append(float((mean.argmax(1) != rest_y).double().mean()))
    return Finding(
        holds=max(gaps) < 1e-12
        and all(one <= other for one, other in zip(averaged, single, strict=True))
        and median(averaged) < median(single),
        numbers={
            "largest gap of the identity": max(gaps),
            "test error of a net, mean of five": median(single),
            "test error of their average": median(averaged),
            "repetitions of ten in which the average is better than the mean": float(
                sum(one < other for one, other in zip(averaged, single, strict=True))
            ),
            "repetitions of ten in which it is no worse than the best of the five": float(
                sum(one <= other for one, other in zip(averaged, best, strict=True))
            ),
        },
    )


def c103_multicropc() -> Finding:
    """Several crops at test time, and the average of their results, help.

    Notes: F2 L1330.

    Five nets of two convolutions learn 1,000 digits of 8 x 8, shifted by up to a pixel at random; the others, shifted
    by up to two, are judged once, and as the average over centre and corners, a pixel apart (S139). The median
    difference decides. Ten crops, with mirror images, must not be worse than five: mirrored digits are other signs.
    """
    x, y = _pictures()
    errors: dict[int, list[float]] = {1: [], 5: [], 10: []}
    for seed in range(5):
        (part, labels), (rest, rest_y) = parted(x, y, 1000, seed=seed)
        torch.manual_seed(seed)
        net = _small_net(10)
        seen = augment.cropped(part, 1)
        for _ in passes(net, seen, labels, 8, 3e-3):
            seen.copy_(augment.cropped(part, 1))  # the next pass has them shifted anew
        shifted = augment.cropped(rest, 2)
        net.eval()
        with torch.no_grad():
            for number, found in errors.items():
                given = torch.stack([net(each).softmax(1) for each in augment.crops(shifted, 1, number)]).mean(0)
                found.append(float((given.argmax(1) != rest_y).float().mean()))
    gains = {n: [one - several for one, several in zip(errors[1], errors[n], strict=True)] for n in (5, 10)}
    return Finding(
        holds=median(gains[5]) > 0,
        limited=median(gains[10]) < median(gains[5]),
        numbers={
            **{
                f"error on shifted digits, {number} {'crop' if number == 1 else 'crops'}": median(found)
                for number, found in errors.items()
            },
            **{
                f"by how much {number} crops are better, {name} of five starts": of(found)
                for number, found in gains.items()
                for name, of in (("median", median), ("least", min), ("most", max))
            },
        },
        remark="Where every crop keeps the class: mirrored digits, which are other signs, take gain away.",
    )


def c169_lenet_err() -> Finding:
    """LeNet-5 makes 82 errors on the 10,000 test digits of MNIST; its test error is 0.95 %.

    Notes: F3 L1705-1708.

    One must be the other. LeCun et al. (1998, section III.C) have 0.95 % for the net trained on the digits alone, and
    0.8 %, 82 errors, for the one trained on distorted ones too.
    """
    share, errors = 82 / 10_000, 0.0095 * 10_000
    return Finding(
        holds=round(share, 4) == 0.0095,
        numbers={"82 errors, %": 100 * share, "0.95 %, errors": errors},
        remark=f"82 errors are {100 * share:.2f} %, and 0.95 % are {errors:.0f} errors. These are two nets: the one "
        "with 82 errors learnt from distorted digits too.",
    )


def c171_ladder() -> Finding:
    """The errors of ILSVRC 2012 to 2014 with intervals of 99.9 %.

    Notes: F3 L1720-1741.

    Of 21 entries, the interval of a share of 100,000 test pictures, p ± z √(p (1 - p) / n), z = 3.2905, against the
    printed one: both ends, rounded as printed, must agree within 0.02 points. The printed ones were found by resampling
    (Russakovsky et al. 2015). Told as well is how many neighbours on the ladder the intervals tell apart.
    """
    n, z = 100_000, 3.2905
    gaps, apart = [], 0
    for _, _, wrong, low, high in LADDER:
        reach = 100 * z * math.sqrt(wrong / 100 * (1 - wrong / 100) / n)
        gaps += [abs(round(wrong - reach, 2) - low), abs(round(wrong + reach, 2) - high)]
    apart = sum(one[4] < other[3] for one, other in itertools.pairwise(LADDER))

    def draw() -> "Figure":
        from deepclassics.report.style import grid, sheet

        figure = sheet(6.4, 5.4)
        axes = figure.subplots()
        for year, marker in ((2012, "o"), (2013, "s"), (2014, "D")):
            rows = [place for place, entry in enumerate(LADDER) if entry[0] == year]
            values = [LADDER[place] for place in rows]
            reach = [[each[2] - each[3] for each in values], [each[4] - each[2] for each in values]]
            axes.errorbar([each[2] for each in values], rows, xerr=reach, fmt=marker, markersize=4, label=str(year))
        axes.set_yticks(range(len(LADDER)), [name for _, name, *_ in LADDER])
        axes.invert_yaxis()
        axes.set_xlabel("top-5 error with the printed interval of 99.9 %, %")
        axes.legend()
        grid(axes)
        return figure

    return Finding(
        holds=round(max(gaps), 2) <= 0.02,
        numbers={
            "entries": float(len(LADDER)),
            "largest gap between ends, points": max(gaps),
            "neighbours whose intervals do not overlap, of 20": float(apart),
        },
        draw=draw,
    )
