"""Pictures that a model is judged by and has learnt from as well: the same ones, or nearly so.

A picture is looked at in grey, averaged to 16 × 16, less its mean and divided by its length: what brightness, contrast,
size and compression leave as it is. Two pictures are near duplicates where 1 - r of these, r their correlation, is
below a limit. Pictures of digits are more alike than photographs are, so the limit goes by how near different training
pictures are, within bounds. The pictures that are judged have no say in it: all of them may be copies.

Measured, with every test picture compared with every training picture as it is and mirrored: of 8,000 pictures of
CIFAR-10, 7,994 are found among the 50,000 at quality 75 of JPEG (30 dB), none is taken for another. No test picture of
MNIST is said to be among its 60,000 training pictures; of 3,000 of these recompressed at quality 75 all are found.
Of 200 recompressed pictures among 1,500 of CIFAR-10, 200, 198, 190 and 117 are found at quality 75, 50, 30 and 15,
whether they are all that is judged or some of it.

Letters: N test examples, M training examples, P pairs, B examples a batch, C channels, H by W pixels, D values, at most
256, that describe a picture.
"""

import hashlib
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from deepclassics.data.streams import Columns, InOrder
from deepclassics.progress import many
from deepclassics.recipe import Picture
from deepclassics.report.gallery import thumbnails
from deepclassics.report.style import FAINT, INK, VERMILLION, drawable, sheet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from deepclassics.report.evidence import Evidence

LUMA = (0.299, 0.587, 0.114)
SIDE = 16  # of what is compared, at most
LEAST, MOST = 0.0025, 0.0125  # the limit on 1 - r: the nearest test and training digits of MNIST have 0.0028
SHARE = 0.065  # of the distance between different training pictures that are much alike
SAMPLE, COPIES = 1000, 4  # training pictures that tell this distance; the copies of each, among these, that may be
PAIRS = 32  # on one picture, at most


@dataclass(frozen=True)
class Duplicates:
    """Test examples that are among the training examples, (P,) of int64 each, the surest first.

    `kind` is 0 where the pixels are equal, 1 for a near duplicate, 2 for one that is mirrored; `distance` is 1 - r.
    """

    test: Tensor
    train: Tensor
    kind: Tensor
    distance: Tensor


KINDS = ("equal", "near", "mirrored")


def picture(evidence: "Evidence", split: str = "test") -> Picture:
    """The examples of a split that are among the training examples too."""

    @cache
    def found() -> tuple[Duplicates, Columns, Columns]:
        splits = evidence.splits()
        judged, learnt = getattr(splits, split), splits.train
        return find(judged, learnt), judged, learnt

    def draw() -> "Figure | str":
        return duplicates(*found(), evidence.spec["target"]["classes"])

    def warning() -> str:
        return f"{remark(*found())} The model looks better than it is." if len(found()[0].test) else ""

    return Picture(
        f"Training pictures among the {split} pictures",
        f"Pairs of a {split} picture, on the left, and the training picture nearest to it, with their classes; those "
        "that are surest come first. Such pictures make a model look better than it is, and where their classes differ "
        "one of them is wrong. Compared in grey at 16 × 16, whatever the brightness, contrast and compression, and "
        "mirrored too; pictures cut or turned otherwise are not found.",
        draw,
        warning,
    )


def find(test: Columns, train: Columns) -> Duplicates:
    """Every test example with a duplicate among the training examples: the one with equal pixels, else the nearest.

    Every test picture is compared with every training picture, of which a few are in memory at a time.
    """
    described, mirrored, prints = [], [], []
    for batch in InOrder(test):
        described.append(describe(batch["image"]))
        mirrored.append(describe(batch["image"].flip(-1)))
        prints += fingerprints(batch["image"])
    both = torch.cat([*described, *mirrored])
    nearest, place = torch.full((len(both),), -1.0), torch.zeros(len(both), dtype=torch.int64)
    equal: dict[bytes, int] = {}
    chosen, sample = torch.linspace(0, len(train) - 1, min(SAMPLE, len(train))).long(), []
    begin = 0
    for batch in InOrder(train):
        each = describe(batch["image"])
        matches = [(some @ each.T).max(1) for some in both.split(2000)]  # together they would not fit in the cache
        r, where = (torch.cat(values) for values in zip(*matches, strict=True))
        better = r > nearest
        nearest[better], place[better] = r[better], where[better] + begin
        for number, mark in enumerate(fingerprints(batch["image"]), begin):
            equal.setdefault(mark, number)
        sample.append(each[chosen[(chosen >= begin) & (chosen < begin + len(each))] - begin])
        begin += len(each)

    same = torch.tensor([equal.get(mark, -1) for mark in prints])
    (r, turned), place = nearest.view(2, -1).max(0), place.view(2, -1)
    distance = torch.where(same >= 0, 0.0, (1 - r).clamp_min(0))
    kind = torch.where(same >= 0, 0, 1 + turned)
    place = torch.where(same >= 0, same, place.gather(0, turned[None])[0])
    found = torch.nonzero((kind == 0) | (distance < _limit(torch.cat(sample)))).flatten()
    found = found[distance[found].argsort(stable=True)]
    found = found[(kind[found] > 0).int().argsort(stable=True)]  # equal pixels before those that are as near
    return Duplicates(found, place[found], kind[found], distance[found])


def describe(image: Tensor) -> Tensor:  # (B, C, H, W) of pixels in [0, 1] -> (B, D) of length 1, or 0 where flat
    """A picture in grey and small, whatever its brightness and contrast."""
    # Luma of ITU-R 601: JPEG keeps it best.
    grey = image if image.shape[1] == 1 else torch.einsum("bchw,c->bhw", image, image.new_tensor(LUMA))[:, None]
    small = F.adaptive_avg_pool2d(grey, (min(SIDE, image.shape[2]), min(SIDE, image.shape[3]))).flatten(1)
    small = small - small.mean(1, keepdim=True)
    flat = small.square().mean(1, keepdim=True).sqrt() < 1 / 255  # nothing but noise
    return torch.where(flat, 0.0, F.normalize(small))


def fingerprints(image: Tensor) -> list[bytes]:  # (B, C, H, W) of pixels in [0, 1]
    """The same for pictures of equal pixels, and for no others."""
    pixels = (image * 255).round().to(torch.uint8).cpu().numpy()
    return [hashlib.blake2b(one.tobytes(), digest_size=16).digest() for one in pixels]


def _limit(described: Tensor) -> float:  # (B, D) of training pictures
    """The 1 - r below which two pictures are near duplicates: a share of that of different ones that are much alike.

    Of each picture the nearest `COPIES` others are left out, as they may be copies of it, in smaller samples fewer; of
    the distances of the next nearest, one in a hundred is smaller than what is taken.
    """
    count = len(described)
    next_nearest = min(count, 2 + max(1, COPIES * count // SAMPLE))  # the nearest of all is the picture itself
    distance = (1 - described @ described.T).kthvalue(next_nearest).values
    return min(MOST, max(LEAST, SHARE * float(distance.kthvalue(1 + count // 100).values)))


def remark(found: Duplicates, test: Columns, train: Columns) -> str:
    """How many test examples are among the training examples, and whether their classes agree, as a sentence."""
    if not len(found.test):
        return f"None of {many(len(test), 'test picture')} was found among {many(len(train), 'training picture')}."
    counts = torch.bincount(found.kind, minlength=3).tolist()
    told = ", ".join(f"{count:,} {word}" for count, word in zip(counts, KINDS, strict=True) if count)
    differ = int((test["label"][found.test] != train["label"][found.train]).sum())
    share = 100 * len(found.test) / len(test)
    agree = f"the classes of {differ:,} differ" if differ else "their classes agree"
    are = "is" if len(found.test) == 1 else "are"
    return (
        f"{len(found.test):,} of {many(len(test), 'test picture')} ({share:.3g} %) {are} among the training pictures "
        f"({told}); {agree}."
    )


def duplicates(found: Duplicates, test: Columns, train: Columns, classes: Sequence[str]) -> "Figure | str":
    """The surest pairs side by side, up to `PAIRS`, under the remark; the remark alone where there are none."""
    told = remark(found, test, train)
    if not len(found.test):
        return told
    shown = slice(0, PAIRS)
    pairs = torch.cat([thumbnails(test, found.test[shown]), thumbnails(train, found.train[shown])], dim=-1)
    words = drawable(classes, 14)
    right, other = (part["label"][index[shown]] for part, index in ((test, found.test), (train, found.train)))
    names = [
        words[one] if one == two else f"{words[one]} / {words[two]}"
        for one, two in zip(right.tolist(), other.tolist(), strict=True)
    ]
    kinds = [KINDS[kind] for kind in found.kind[shown].tolist()]

    height, width = pairs.shape[-2:]
    cell = max(1.3, 0.075 * max(map(len, names)))  # inches of a pair
    across = min(int(8.4 / cell), len(pairs))
    down = -(-len(pairs) // across)
    gap = max(1, width // 10)
    inch = (width + gap) / cell  # a unit of the axes is a pixel
    line = 0.16 * inch
    step = height + gap + round(2 * line)
    board = torch.ones(3, down * step, across * (width + gap))
    lines = textwrap.wrap(told, max(40, round(13 * across * cell)))
    figure = sheet(max(across * cell, 4.2) + 0.1, down * step / inch + 0.17 * len(lines) + 0.2)
    axes = figure.subplots()
    for place, (pair, name, kind) in enumerate(zip(pairs, names, kinds, strict=True)):
        y, x = place // across * step, place % across * (width + gap)
        board[:, y : y + height, x : x + width] = pair
        colour = INK if right[place] == other[place] else VERMILLION
        axes.text(x + width / 2, y + height + 0.6 * line, name, color=colour, ha="center", va="center", fontsize=8)
        axes.text(x + width / 2, y + height + 1.5 * line, kind, color=FAINT, ha="center", va="center", fontsize=7)
    axes.imshow(board.movedim(0, -1).numpy(), interpolation="nearest", extent=(0, board.shape[2], board.shape[1], 0))
    axes.set_axis_off()
    axes.set_anchor("NW")
    more = f"\nThe surest {PAIRS} of them:" if len(found.test) > PAIRS else ""
    figure.suptitle("\n".join(lines) + more, x=0.01, ha="left", fontsize=9.5, fontweight="bold")
    return figure
