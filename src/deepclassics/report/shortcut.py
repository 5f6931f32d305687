"""Whether a classifier of pictures leans on what should not matter: the background, or a mark in a corner.

A picture is given the background of a training picture of another class, or its corner. A net that has learnt the
object goes on answering right; one that has learnt snow takes the husky for a wolf (Ribeiro, Singh, Guestrin 2016,
section 6.4; notes: S166, C023). Cutting and pasting alone costs right answers too, so every swap has a control: the
same with a training picture of the picture's own class. What counts is the fall from one to the other.

What is foreground is estimated: pixels far in colour from the median of the picture's rim, parted by Otsu's threshold
(Otsu 1979). That does for an object on a ground, not for any photo: of a meadow under a wide sky the meadow is taken
for the object, and would never be swapped. So pictures whose foreground takes much of the rim are left out, and for a
corner those in which the object reaches into it, whose swap would swap a part of the object; where most are such,
nothing is said. The page shows what was taken, to be judged.

Letters: N pictures, C channels, H by W pixels.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
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
from deepclassics.report.pitfalls import of_all, slopes, told
from deepclassics.report.style import BLUE, FAINT, VERMILLION, drawable, grid, percent, sheet
from deepclassics.report.tiles import answered

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from deepclassics.report.evidence import Evidence

PICTURES = 1000  # of the test part, at most; fewer where they are large
PIXELS, FEWEST = 4_000_000, 200  # of all of them, a channel; but never fewer pictures
PIECE = 2**20  # pixels, a channel, of the pictures that are held at once
SEED = 0  # of which pictures are taken, and what each is given
DRAWS = 5  # of a training picture, until one shows some ground
MATERIAL = 0.05  # a fall by less is no shortcut worth the name
UNCLEAR = 0.5  # of the pictures may be left out; with more, nothing is said
WIDEST = 0.25  # of the picture: the rim of a smaller one is no margin any more
SIDE = 0.25  # of the rim: as much as one side
SHOWN = 8  # pictures
ELSEWHERE = (0.80, 0.47, 0.65)  # colour of what is not taken for the object

Change = Callable[[Tensor, Tensor, Tensor], Tensor]  # pictures, what is foreground in them, donors -> pictures


@dataclass(frozen=True)
class Swap:
    """One place swapped, in the pictures that are clear: whether each answer is right, and whether it is the other
    class's. Where too few are clear, it is in all of them."""

    place: str  # "background", "top left corner" ...
    before: Tensor  # (N,) bool: right as the picture is
    own: Tensor  # (N,) bool: right with the place of another picture of its class
    other: Tensor  # (N,) bool: right with that of a picture of another class
    followed: Tensor  # (N,) bool: the answer is then that other class
    rows: Tensor  # (N,) int64: which of the trial's pictures
    unclear: float  # share of the trial's pictures in which the swap may change the object, or leave the ground

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
        if self.unclear > UNCLEAR:
            return "undecided" if self.place == "background" else "object reaches here"
        _, low, high = self.fall
        return "shortcut" if low > MATERIAL else "no shortcut" if high < MATERIAL else "undecided"

    @property
    def sentence(self) -> str:
        """The verdict and what it rests on."""
        if self.unclear > UNCLEAR:
            share = percent(self.unclear, 0)
            if self.place == "background":
                return (
                    f"Whether the net leans on the background is open: in {share} of the pictures its estimate fails, "
                    f"for the object covers much of the rim, or the ground is of several colours."
                )
            return (
                f"The {self.place} is not judged: the object reaches there in {share} of the pictures or their donors."
            )
        fall, low, high = self.fall
        own, other, followed = (percent(float(each.double().mean())) for each in (self.own, self.other, self.followed))
        given = (
            f"with that of another class {other} of the answers are right, with that of another picture of the same "
            f"class {own}, a fall by {100 * fall:.1f} points (95 % interval {100 * low:.1f} to {100 * high:.1f})"
        )
        if self.verdict == "shortcut":
            return f"The net leans on the {self.name}: {given}; {followed} go with the other class."
        if self.verdict == "no shortcut":
            return f"The net does not lean on the {self.name}: {given}."
        return f"Whether the net leans on the {self.name} is open: {given}. More pictures decide."

    @property
    def name(self) -> str:
        return "background, as estimated" if self.place == "background" else self.place

    def row(self) -> dict[str, Any]:
        """For --json; shares in [0, 1]."""
        fall, low, high = self.fall
        shares = {name: float(getattr(self, name).double().mean()) for name in ("before", "own", "other", "followed")}
        return {
            "name": self.place,
            "foreground": "estimated",
            "verdict": self.verdict,
            "accuracy": shares["before"],
            "accuracy_own_class": shares["own"],
            "accuracy_other_class": shares["other"],
            "answers_of_other_class": shares["followed"],
            "fall": fall,
            "fall_low": low,
            "fall_high": high,
            "unclear": self.unclear,
            "pictures": len(self.own),
        }


class Trial:
    """The test pictures of a run, and what each is given: by a picture of its own class, and by one of another.

    Which they are is held, not the pictures: those are read in pieces.
    """

    def __init__(self, evidence: "Evidence") -> None:
        splits = evidence.splits()
        test, donors = splits.test, splits.train
        if not isinstance(test, Columns) or not isinstance(donors, Columns) or not len(test):
            raise UserError("A test for shortcuts needs test pictures to swap parts of; this run has none.")
        generator = torch.Generator().manual_seed(SEED)
        self.evidence, self.test, self.donors = evidence, test, donors
        height, width = evidence.spec["shape"][1:]
        count = min(PICTURES, max(FEWEST, PIXELS // (height * width)))
        self.index = torch.randperm(len(test), generator=generator)[:count].sort().values  # (N,)
        self.right = test["label"][self.index]  # (N,)
        self.piece = max(1, PIECE // (height * width))
        classes = donors["label"].unique()  # those that there are pictures of
        if len(classes) < 2:
            raise UserError("A test for shortcuts swaps between classes; the training pictures are all of one.")
        step = torch.randint(1, len(classes), (len(self.index),), generator=generator)
        self.other = classes[(torch.searchsorted(classes, self.right) + step) % len(classes)]
        self.from_own, own = self._donors(self.right, generator)
        self.from_other, other = self._donors(self.other, generator)
        self.bare = own & other  # (N,) bool: both donors show some ground

    def _donors(self, wanted: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:  # (N,) -> (N,), (N,) bool
        """For each wanted class a training picture of it, by chance, and whether it shows some ground. Others, which
        would come whole, with their objects, are drawn again."""
        chosen = _drawn(self.donors["label"], wanted, generator)
        bare = self._bare(chosen)
        for _ in range(DRAWS):
            again = torch.nonzero(~bare).flatten()
            if not len(again):
                break
            chosen[again] = _drawn(self.donors["label"], wanted[again], generator)
            bare[again] = self._bare(chosen[again])
        return chosen, bare

    def _bare(self, index: Tensor) -> Tensor:  # (M,) -> (M,) bool
        covered = [covering(self.donors.take(piece)["image"]) for piece in index.split(self.piece)]
        return torch.cat([~each.flatten(1).all(1) for each in covered])

    def pieces(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """All pictures, some at a time, with their donors."""
        for rows in torch.arange(len(self.index)).split(self.piece):
            yield self.taken(rows)

    def taken(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # (M,) -> 3 x (M, C, H, W) in [0, 1]
        image = self.test.take(self.index[rows])["image"]
        own, other = (self.donors.take(index[rows])["image"] for index in (self.from_own, self.from_other))
        return image, own, other

    def answer(self, image: Tensor) -> Tensor:  # (N, C, H, W) in [0, 1] -> (N,) int64
        return self.evidence.ask(Columns(image=image))["label"]

    def swaps(self, changes: dict[str, Change]) -> list[Swap]:
        """What becomes of the answers by each of the changes, {place: change}."""
        unchanged: list[Tensor] = []  # the answers to the pictures as they are
        answers: dict[str, list[Tensor]] = {place: [] for place in changes}  # (2, M) each: with either donor
        unclear: dict[str, list[Tensor]] = {place: [] for place in changes}
        for image, own, other in self.pieces():
            mask, where = foreground(image), places(*image.shape[-2:])
            masks = (mask, foreground(own), foreground(other))
            unchanged.append(self.answer(image))
            for place, change in changes.items():
                answers[place].append(torch.stack([self.answer(change(image, mask, each)) for each in (own, other)]))
                if place in where:
                    unclear[place].append(torch.stack([reaches(each, where[place]) for each in masks]).any(0))
                else:
                    unclear[place].append(fills_side(mask))
        found = []
        for place in changes:
            clear = ~torch.cat(unclear[place]) & (self.bare | (place != "background"))
            share = 1 - float(clear.double().mean())
            rows = torch.nonzero(clear | (share > UNCLEAR)).flatten()
            own, other = torch.cat(answers[place], 1)[:, rows]
            right = self.right[rows]
            before = torch.cat(unchanged)[rows] == right
            found.append(Swap(place, before, own == right, other == right, other == self.other[rows], rows, share))
        return found


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
    return torch.where(mask[:, None], image, ground(donor, covering(donor)))


def covering(image: Tensor) -> Tensor:  # (N, C, H, W) -> (N, H, W) bool
    """The foreground with a seam around it."""
    seam = max(1, min(image.shape[-2:]) // 16)
    return F.max_pool2d(foreground(image)[:, None].float(), 2 * seam + 1, 1, seam)[:, 0] > 0


def fills_side(mask: Tensor) -> Tensor:  # (N, H, W) bool -> (N,) bool
    """Whether foreground takes as much of the rim as a side has: then it may be ground of another colour."""
    return mask[:, _rim(*mask.shape[1:])].float().mean(1) > SIDE


def reaches(mask: Tensor, where: Tensor) -> Tensor:  # (N, H, W) bool, (H, W) bool -> (N,) bool
    """Whether foreground inside the place goes on outside of it: that is the object. A mark ends there."""
    from scipy.ndimage import label

    found = torch.zeros(len(mask), dtype=torch.bool)
    for k, one in enumerate((mask & mask[:, where].any(1)[:, None, None]).numpy()):
        parts, _ = label(one, np.ones((3, 3)))
        found[k] = bool(np.intersect1d(parts[where.numpy()], parts[~where.numpy()]).any())  # 0 is no part
    return found


def pasted(where: Tensor, image: Tensor, mask: Tensor, donor: Tensor) -> Tensor:  # (H, W), (N, C, H, W), _, as image
    """The donor's pixels there."""
    return torch.where(where, donor, image)


def _rim(height: int, width: int) -> Tensor:  # -> (H, W) bool
    thick = max(1, min(height, width) // 16)
    rim = torch.ones(height, width, dtype=torch.bool)
    rim[thick : height - thick, thick : width - thick] = False
    return rim


def places(height: int, width: int) -> dict[str, Tensor]:  # -> {place: (H, W) bool}
    """Where marks stand: the corners, a fifth of the shorter side, and the rim, a sixteenth, where it is a margin."""
    side = max(1, min(height, width) // 5)
    found = {}
    for vertical, rows in (("top", slice(0, side)), ("bottom", slice(height - side, height))):
        for level, columns in (("left", slice(0, side)), ("right", slice(width - side, width))):
            found[f"{vertical} {level} corner"] = torch.zeros(height, width, dtype=torch.bool)
            found[f"{vertical} {level} corner"][rows, columns] = True
    rim = _rim(height, width)
    return found | ({"rim": rim} if rim.float().mean() <= WIDEST else {})


def saliency_on(model: torch.nn.Module, image: Tensor, mask: Tensor) -> Tensor:  # (N, C, H, W), (N, H, W) -> (N,)
    """The share of each picture's saliency that falls on what the mask covers; not a number if there is no saliency.

    Saliency is max over the channels of |∂S/∂x|, S the answered class's score (Simonyan, Vedaldi, Zisserman 2014).
    """
    slope = slopes(model, image, lambda scores, rows: scores.amax(1)).abs().amax(1)
    return (slope * mask).sum((1, 2)) / slope.sum((1, 2))


# --- the section of a page


def section(evidence: "Evidence", folder: Path, kind: str = "both") -> tuple[str, list[dict[str, Any]]]:
    """The tests as HTML, with pictures in `folder`, and a row for each. `kind` is "background", "mark" or "both"."""
    trial = Trial(evidence)
    changes: dict[str, Change] = {} if kind == "mark" else {"background": on_ground}
    if kind != "background":
        changes |= {place: partial(pasted, where) for place, where in places(*evidence.spec["shape"][1:]).items()}
    swaps = trial.swaps(changes)
    rows, pictures = [swap.row() for swap in swaps], []
    if kind != "mark":
        share, area = _looked_at(trial)
        rows[0] |= {"saliency_on_background": share, "area_of_background": area}
        caption = (
            f"The background is estimated, to be judged here: the second row shows in purple what is taken for it. "
            f"Under each picture the answer, blue where it is right. Saliency, what a small change of a pixel does to "
            f"the answer: {percent(share)} of it lies on the background, which has {percent(area)} of the area."
        )
        pictures.append(Picture("Backgrounds swapped", caption, lambda: board(trial, swaps[0], on_ground)))
    if kind != "background":
        marked = [swap for swap in swaps if swap.place != "background"]
        worst = max(marked, key=lambda swap: (swap.verdict != "object reaches here", swap.fall[0]))
        caption = "The place whose swap costs most. Under each picture the answer, blue where it is right."
        pictures.append(
            Picture(f"The {worst.place} swapped", caption, lambda: board(trial, worst, changes[worst.place]))
        )
    pictures.append(
        Picture(
            "Right answers with parts swapped",
            "Each part of the test pictures replaced by that of a training picture, of the same class (blue) and of "
            "another (orange), with 95 % intervals. Where the two lie apart, the net leans on that part; or, if the "
            "object reaches there, on the object.",
            lambda: bars(swaps),
        )
    )
    tried = (
        f"{of_all(len(trial.index), len(trial.test))}. A net counts as leaning on a part where right answers fall by "
        f"more than {100 * MATERIAL:.0f} points, beyond the 95 % interval; as free of it where the fall is surely "
        f"smaller. What is object and what is ground is estimated, and pictures are left out whose estimate is not "
        f"clear."
    )
    return told("shortcut", _sentences(swaps), tried, _table(swaps), pictures, folder), rows


def _looked_at(trial: Trial) -> tuple[float, float]:
    """The background's share of the saliency, and of the area."""
    shares, areas = [], []
    for image, _, _ in trial.pieces():
        mask = ~foreground(image)
        shares.append(saliency_on(trial.evidence.model, image, mask))
        areas.append(mask.double().mean((1, 2)))
    return float(torch.cat(shares).nanmean()), float(torch.cat(areas).mean())


def _sentences(swaps: Sequence[Swap]) -> list[str]:
    """What is wrong or open, each for itself, and then all that is free of it together."""
    free = [swap.name for swap in swaps if swap.verdict == "no shortcut"]
    others = [swap.sentence for swap in swaps if swap.verdict != "no shortcut"]
    if len(free) == 1:
        return others + [swap.sentence for swap in swaps if swap.verdict == "no shortcut"]
    return others + ([f"The net leans on none of these: {'; '.join(free)}."] if free else [])


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
        figures = [f"{len(swap.own):,}", *[percent(row[name]) for name in shares], points]
        cells.append([escape(swap.place), *figures, swap.verdict])
    heads = ["swapped", "pictures", "right as is", "own class's", "another's", "answer is the other class",
             "fall, points", "verdict"]  # fmt: skip
    return table(heads, cells, "Shares of the pictures; intervals of 95 %.", numbers=range(1, 7))


def board(trial: Trial, swap: Swap, change: Change) -> "Figure":
    """A few pictures, as they are and with the place of another of their class and of another class."""
    chosen = swap.rows[_telling(swap)]
    image, own, other = trial.taken(chosen)
    mask = foreground(image)
    rows: list[tuple[str, Tensor, Tensor | None]] = [("as it is", image, trial.answer(image))]
    if swap.place == "background":
        purple = torch.tensor(ELSEWHERE).view(3, 1, 1)
        rows.append(("taken for\nthe object", torch.where(mask[:, None], image, purple), None))
    for title, donor in (("with its\nclass's", own), ("with\nanother's", other)):
        changed = change(image, mask, donor)
        rows.append((title, changed, trial.answer(changed)))
    return answered(rows, trial.right[chosen], drawable(trial.evidence.spec["target"]["classes"], 12))


def bars(swaps: Sequence[Swap]) -> "Figure":
    """Right answers with each place swapped, within the class and between classes."""
    figure = sheet(6.6, 1.1 + 0.5 * len(swaps))
    axes = figure.subplots()
    for name, colour, marker, up in (("own", BLUE, "o", -0.1), ("other", VERMILLION, "s", 0.1)):
        share = torch.stack([getattr(swap, name).double().mean() for swap in swaps])
        low, high = wilson(share, torch.tensor([float(len(swap.own)) for swap in swaps]))
        reach = [(share - low).clamp_min(0).numpy(), (high - share).clamp_min(0).numpy()]
        title = "of its own class" if name == "own" else "of another class"
        axes.errorbar(100 * share.numpy(), [k + up for k in range(len(swaps))], xerr=[100 * each for each in reach],
                      fmt=marker, color=colour, markersize=5, capsize=2, label=title)  # fmt: skip
    axes.axvline(100 * float(swaps[0].before.double().mean()), color=FAINT, linewidth=0.9, label="as they are")
    axes.set_yticks(range(len(swaps)), [f"{swap.place}\n({swap.verdict})" for swap in swaps])
    axes.set_ylim(len(swaps) - 0.5, -0.5)
    axes.set_xlim(-3, 103)
    axes.set_xlabel("right answers, %")
    figure.legend(loc="outside upper left", ncols=3)
    grid(axes)
    return figure
