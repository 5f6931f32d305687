"""Whether a classifier of pictures leans on what should not matter: the background, or a mark in a corner.

A picture is given the background of a training picture of another class, or its corner. A net that has learnt the
object goes on answering right; one that has learnt snow takes the husky for a wolf (Ribeiro, Singh, Guestrin 2016,
section 6.4; notes: S166, C023). Cutting and pasting alone costs right answers too, so every swap has a control: the
same with a training picture of the picture's own class. What counts is the fall from one to the other.

What is foreground is estimated: pixels far in colour from the median of the picture's rim, parted by Otsu's threshold
(Otsu 1979). That does for an object on a ground, not for any photo; the page shows what was taken, to be judged.

Letters: N pictures, C channels, H by W pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from deepclassics.data.streams import Columns
from deepclassics.errors import UserError
from deepclassics.metrics import wilson
from deepclassics.recipe import Picture
from deepclassics.report.html import table
from deepclassics.report.page import drawn
from deepclassics.report.style import BLUE, VERMILLION, drawable, grid, percent, sheet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from deepclassics.report.evidence import Evidence

PICTURES = 1000  # of the test part, at most; fewer where they are large
PIXELS = 4_000_000  # of all of them, a channel; but never less than 200 pictures
SEED = 0  # of which pictures are taken, and what each is given
MATERIAL = 0.05  # a fall by less is no shortcut worth the name
SHOWN = 8  # pictures


@dataclass(frozen=True)
class Swap:
    """One place swapped, in every picture: whether each answer is right, and whether it is the other class's."""

    place: str  # "background", "top left corner" ...
    before: Tensor  # (N,) bool: right as the picture is
    own: Tensor  # (N,) bool: right with the place of another picture of its class
    other: Tensor  # (N,) bool: right with that of a picture of another class
    followed: Tensor  # (N,) bool: the answer is then that other class

    @property
    def fall(self) -> tuple[float, float, float]:
        """By how much the share of right answers falls from `own` to `other`, and its 95 % interval.

        The pictures are the same, so what counts are those that change sides (Bonett, Price 2012: with one more of
        either kind and two more in all, which also holds near 0).
        """
        lost, won = int((self.own & ~self.other).sum()), int((self.other & ~self.own).sum())
        count = len(self.own)
        one, two = (lost + 1) / (count + 2), (won + 1) / (count + 2)
        reach = 1.96 * ((one + two - (one - two) ** 2) / (count + 2)) ** 0.5
        return (lost - won) / count, max(-1.0, one - two - reach), min(1.0, one - two + reach)

    @property
    def verdict(self) -> str:
        _, low, high = self.fall
        return "shortcut" if low > MATERIAL else "no shortcut" if high < MATERIAL else "undecided"

    @property
    def sentence(self) -> str:
        """The verdict and what it rests on."""
        fall, low, high = self.fall
        own, other, followed = (percent(float(each.double().mean())) for each in (self.own, self.other, self.followed))
        told = (
            f"with the {self.place} of another class {other} of the answers are right, with that of another picture "
            f"of the same class {own}"
        )
        points = f"{100 * fall:.1f} points (95 % interval {100 * low:.1f} to {100 * high:.1f})"
        if self.verdict == "shortcut":
            return f"The net leans on the {self.place}: {told}, a fall by {points}; {followed} go with the other class."
        if self.verdict == "no shortcut":
            return f"The net does not lean on the {self.place}: {told}, a fall by {points}."
        return f"Whether the net leans on the {self.place} is open: {told}, a fall by {points}. More pictures decide."

    def row(self) -> dict[str, Any]:
        """For --json; shares in [0, 1]."""
        fall, low, high = self.fall
        shares = {name: float(getattr(self, name).double().mean()) for name in ("before", "own", "other", "followed")}
        return {
            "name": self.place,
            "verdict": self.verdict,
            "accuracy": shares["before"],
            "accuracy_own_class": shares["own"],
            "accuracy_other_class": shares["other"],
            "answers_of_other_class": shares["followed"],
            "fall": fall,
            "fall_low": low,
            "fall_high": high,
            "pictures": len(self.own),
        }


class Trial:
    """The test pictures of a run, and what each is given: by a picture of its own class, and by one of another."""

    def __init__(self, evidence: "Evidence") -> None:
        splits = evidence.splits()
        test, donors = splits.test, splits.train
        if not isinstance(test, Columns) or not isinstance(donors, Columns) or not len(test):
            raise UserError("A test for shortcuts needs test pictures to swap parts of; this run has none.")
        generator = torch.Generator().manual_seed(SEED)
        self.evidence, self.whole = evidence, len(test)
        height, width = evidence.spec["shape"][1:]
        count = min(PICTURES, max(200, PIXELS // (height * width)))
        index = torch.randperm(len(test), generator=generator)[:count].sort().values
        taken = test.take(index)
        self.image, self.right = taken["image"], taken["label"]  # (N, C, H, W), (N,)
        label = donors["label"]
        classes = label.unique()  # those that there are pictures of
        if len(classes) < 2:
            raise UserError("A test for shortcuts swaps between classes; the training pictures are all of one.")
        step = torch.randint(1, len(classes), (len(index),), generator=generator)
        self.other = classes[(torch.searchsorted(classes, self.right) + step) % len(classes)]
        self.from_own, self.from_other = (
            donors.take(_drawn(label, wanted, generator))["image"] for wanted in (self.right, self.other)
        )
        self.before = self.answer(self.image)

    def answer(self, image: Tensor) -> Tensor:  # (N, C, H, W) in [0, 1] -> (N,) int64
        return self.evidence.ask(Columns(image=image))["label"]

    def swap(self, place: str, with_own: Tensor, with_other: Tensor) -> tuple[Swap, list[Tensor]]:
        """What becomes of the answers, and the answers (N,) to the pictures as they are and with either change."""
        own, other = self.answer(with_own), self.answer(with_other)
        right = [answer == self.right for answer in (self.before, own, other)]
        return Swap(place, right[0], right[1], right[2], other == self.other), [self.before, own, other]


def _drawn(label: Tensor, wanted: Tensor, generator: torch.Generator) -> Tensor:  # (M,), (N,) -> (N,)
    """For each wanted class the place of one example of it, by chance."""
    places = torch.empty_like(wanted)
    for k in wanted.unique():
        own = torch.nonzero(label == k).flatten()
        asked = wanted == k
        if not len(own):
            raise UserError("A test for shortcuts needs training pictures of every class; of one there are none.")
        places[asked] = own[torch.randint(len(own), (int(asked.sum()),), generator=generator)]
    return places


# --- foreground and ground


def foreground(image: Tensor) -> Tensor:  # (N, C, H, W) in [0, 1] -> (N, H, W) bool
    """Pixels that are far in colour from the median of the picture's rim: farther than Otsu's threshold."""
    height, width = image.shape[-2:]
    rim = _rim(height, width)
    colour = image[:, :, rim].median(2).values
    distance = (image - colour[:, :, None, None]).norm(dim=1)
    most = distance.flatten(1).amax(1).clamp_min(1e-6)
    levels = 64
    level = (distance / most[:, None, None] * (levels - 1)).round().long()
    flat = level.flatten(1)
    share = torch.zeros(len(image), levels).scatter_add_(1, flat, torch.ones(flat.shape)) / (height * width)
    below, moment = share.cumsum(1), (share * torch.arange(levels)).cumsum(1)
    between = (moment[:, -1:] * below - moment).square() / (below * (1 - below)).clamp_min(1e-9)
    return level > between.argmax(1)[:, None, None]


def ground(image: Tensor, mask: Tensor) -> Tensor:  # (N, C, H, W), (N, H, W) bool -> (N, C, H, W)
    """The pictures without what the mask covers: the ground around it, mirrored at its edge, goes on beneath."""
    from scipy.ndimage import distance_transform_edt

    filled = image.clone()
    rows, columns = np.indices(mask.shape[1:])
    for k, covered in enumerate(mask.numpy()):
        if covered.all() or not covered.any():
            continue
        near = distance_transform_edt(covered, return_distances=False, return_indices=True)
        y = np.clip(2 * near[0] - rows, 0, covered.shape[0] - 1)
        x = np.clip(2 * near[1] - columns, 0, covered.shape[1] - 1)
        hidden = covered[y, x]  # beneath another part of the foreground: then the nearest ground itself
        y, x = np.where(hidden, near[0], y), np.where(hidden, near[1], x)
        filled[k] = image[k][:, torch.from_numpy(y), torch.from_numpy(x)]
    return filled


def on_ground(image: Tensor, mask: Tensor, donor: Tensor) -> Tensor:  # (N, C, H, W), (N, H, W), (N, C, H, W)
    """What the mask covers of each picture, before the ground of its donor.

    The donor's own object goes with a seam, for its edges are soft and would show its outline.
    """
    seam = max(1, min(image.shape[-2:]) // 16)
    covered = F.max_pool2d(foreground(donor)[:, None].float(), 2 * seam + 1, 1, seam)[:, 0] > 0
    return torch.where(mask[:, None], image, ground(donor, covered))


def _rim(height: int, width: int) -> Tensor:  # -> (H, W) bool
    thick = max(1, min(height, width) // 16)
    rim = torch.ones(height, width, dtype=torch.bool)
    rim[thick : height - thick, thick : width - thick] = False
    return rim


def places(height: int, width: int) -> dict[str, Tensor]:  # -> {place: (H, W) bool}
    """Where marks stand: the corners, a fifth of the shorter side, and the rim, a sixteenth."""
    side = max(1, min(height, width) // 5)
    found = {}
    for vertical, rows in (("top", slice(0, side)), ("bottom", slice(height - side, height))):
        for level, columns in (("left", slice(0, side)), ("right", slice(width - side, width))):
            found[f"{vertical} {level} corner"] = torch.zeros(height, width, dtype=torch.bool)
            found[f"{vertical} {level} corner"][rows, columns] = True
    return {**found, "rim": _rim(height, width)}


def saliency_on(model: torch.nn.Module, image: Tensor, mask: Tensor) -> tuple[float, float]:
    """The share of saliency that falls on what the mask covers, and its share of the area. (N, C, H, W), (N, H, W)

    Saliency is the magnitude of the answered score's slope along each pixel (Simonyan, Vedaldi, Zisserman 2014).
    """
    shares = []
    for begin in range(0, len(image), 100):
        asked = image[begin : begin + 100].clone().requires_grad_()
        slope = torch.autograd.grad(model(asked).amax(1).sum(), asked)[0].abs().sum(1)
        total = slope.sum((1, 2))
        covered = (slope * mask[begin : begin + 100]).sum((1, 2))
        shares.append((covered / total)[total > 0])
    found = torch.cat(shares)
    return (float(found.mean()) if len(found) else float("nan")), float(mask.double().mean())


# --- the section of a page


def section(evidence: "Evidence", folder: Path, kind: str = "both") -> tuple[str, list[dict[str, Any]]]:
    """The tests as HTML, with pictures in `folder`, and a row for each. `kind` is "background", "mark" or "both"."""
    trial = Trial(evidence)
    classes = drawable(evidence.spec["target"]["classes"], 12)
    swaps, rows, pictures = [], [], []
    if kind != "mark":
        mask = foreground(trial.image)
        changed = [on_ground(trial.image, mask, donor) for donor in (trial.from_own, trial.from_other)]
        swap, answers = trial.swap("background", *changed)
        swaps.append(swap)
        share, area = saliency_on(evidence.model, trial.image, ~mask)
        rows.append(swap.row() | {"saliency_on_background": share, "area_of_background": area})
        taken = torch.where(mask[:, None], trial.image, 1.0)
        shown = [
            ("as it is", trial.image, answers[0]),
            ("taken for\nthe object", taken, None),
            ("ground of\nits class", changed[0], answers[1]),
            ("ground of\nanother", changed[1], answers[2]),
        ]
        pictures.append(
            Picture(
                "Backgrounds swapped",
                f"Under each picture the answer, blue where it is right. Saliency, what a small change of a pixel does "
                f"to the answer: {percent(share)} of it lies on the background, which has {percent(area)} of the area.",
                lambda: board(shown, trial.right, classes, _telling(swap)),
            )
        )
    if kind != "background":
        marked = []
        for place, where in places(*trial.image.shape[-2:]).items():
            changed_ = [torch.where(where, donor, trial.image) for donor in (trial.from_own, trial.from_other)]
            marked.append((*trial.swap(place, *changed_), changed_))
            rows.append(marked[-1][0].row())
        swaps += [swap for swap, _, _ in marked]
        worst, answers_, changed_ = max(marked, key=lambda each: each[0].fall[0])
        told = [
            ("as it is", trial.image, answers_[0]),
            ("from its\nclass", changed_[0], answers_[1]),
            ("from\nanother", changed_[1], answers_[2]),
        ]
        pictures.append(
            Picture(
                f"The {worst.place} swapped",
                "The place whose swap costs most. Under each picture the answer, blue where it is right.",
                lambda: board(told, trial.right, classes, _telling(worst)),
            )
        )
    pictures.append(
        Picture(
            "Right answers with parts swapped",
            "Each part of the test pictures replaced by that of a training picture, of the same class (blue) and of "
            "another (orange), with 95 % intervals. Where the two lie apart, the net leans on that part.",
            lambda: bars(swaps),
        )
    )
    count = f"All {trial.whole:,}" if trial.whole == len(trial.image) else f"{len(trial.image):,} of {trial.whole:,}"
    html = [f'<p class="verdict">{escape(swap.sentence)}</p>' for swap in swaps if swap.verdict != "no shortcut"]
    html = html or ['<p class="verdict">The net leans on none of the parts that were swapped.</p>']
    html.append(
        f"<p>{count} test pictures. A net counts as leaning on a part where right answers fall by more than "
        f"{100 * MATERIAL:.0f} points, beyond the 95 % interval; as free of it where the fall is surely smaller.</p>"
    )
    html.append(_table(swaps))
    return "\n".join(html + [drawn(each, k, folder) for k, each in enumerate(pictures, 1)]), rows


def _telling(swap: Swap) -> Tensor:
    """The pictures to be shown, half of them such whose answer the swap turns, where there are any."""
    turned, others = (torch.nonzero(each).flatten() for each in (swap.own & ~swap.other, ~(swap.own & ~swap.other)))
    most = max(SHOWN // 2, SHOWN - len(others))
    turned = turned[:most]
    return torch.cat([turned, others[: SHOWN - len(turned)]])


def _table(swaps: Sequence[Swap]) -> str:
    cells = []
    for swap in swaps:
        row, (fall, low, high) = swap.row(), swap.fall
        shares = ("accuracy", "accuracy_own_class", "accuracy_other_class", "answers_of_other_class")
        points = f"{100 * fall:.1f} ({100 * low:.1f} to {100 * high:.1f})"
        cells.append([escape(swap.place), *[percent(row[name]) for name in shares], points, swap.verdict])
    heads = [
        "swapped",
        "right as is",
        "own class's",
        "another's",
        "answer is the other class",
        "fall, points",
        "verdict",
    ]
    return table(heads, cells, "Shares of the test pictures; intervals of 95 %.", numbers=range(1, 6))


def board(
    rows: Sequence[tuple[str, Tensor, Tensor | None]], right: Tensor, classes: Sequence[str], chosen: Tensor
) -> "Figure":  # rows of (title, (N, C, H, W), (N,) answers), (N,), (S,) which are shown
    """Rows of pictures before and after, with the answers under them."""
    figure = sheet(0.9 + 0.95 * len(chosen), 1.18 * len(rows))
    panels = figure.subplots(len(rows), len(chosen), squeeze=False)
    for line, (title, image, answer) in zip(panels, rows, strict=True):
        for panel, k in zip(line, chosen.tolist(), strict=True):
            panel.imshow(image[k].expand(3, -1, -1).movedim(0, -1).clamp(0, 1).numpy(), interpolation="nearest")
            panel.set_xticks([])
            panel.set_yticks([])
            if answer is not None:
                colour = BLUE if answer[k] == right[k] else VERMILLION
                panel.set_xlabel(classes[int(answer[k])], color=colour, fontsize=8, labelpad=2)
        line[0].set_ylabel(title, fontsize=8)
    return figure


def bars(swaps: Sequence[Swap]) -> "Figure":
    """Right answers with each place swapped, within the class and between classes."""
    figure = sheet(6.6, 1.1 + 0.42 * len(swaps))
    axes = figure.subplots()
    for name, colour, marker, up in (("own", BLUE, "o", -0.1), ("other", VERMILLION, "s", 0.1)):
        share = torch.stack([getattr(swap, name).double().mean() for swap in swaps])
        low, high = wilson(share, torch.tensor([float(len(swap.own)) for swap in swaps]))
        reach = [(share - low).clamp_min(0).numpy(), (high - share).clamp_min(0).numpy()]
        title = "of its own class" if name == "own" else "of another class"
        axes.errorbar(100 * share.numpy(), [k + up for k in range(len(swaps))], xerr=[100 * each for each in reach],
                      fmt=marker, color=colour, markersize=5, capsize=2, label=title)  # fmt: skip
    axes.axvline(100 * float(swaps[0].before.double().mean()), color="#8a8a8a", linewidth=0.9, label="as they are")
    axes.set_yticks(range(len(swaps)), [swap.place for swap in swaps])
    axes.set_ylim(len(swaps) - 0.5, -0.5)
    axes.set_xlim(-3, 103)
    axes.set_xlabel("right answers, %")
    figure.legend(loc="outside upper left", ncols=3)
    grid(axes)
    return figure
