"""All errors of an image classifier, each with the right answer and the given one.

Letters: N examples, C channels, H by W pixels.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from deepclassics.data.streams import Columns
from deepclassics.progress import many
from deepclassics.recipe import Picture
from deepclassics.report.style import BLUE, FAINT, VERMILLION, drawable, percent, sheet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from deepclassics.report.evidence import Evidence

MOST = 600  # errors on one picture: beyond, nobody looks, and a page of them is too long to print
NUMBERED = 120  # up to so many errors each has its confidence under it
THUMBNAIL = 96  # pixels of the longer side: a picture on the page has no more


def picture(evidence: "Evidence", split: str = "test") -> Picture:
    """The errors of an image classifier on a split."""

    def draw() -> "Figure":
        given, right = evidence.answers(split)
        confidence = given["probability"].max(1).values if "probability" in given else torch.zeros(len(right))
        return gallery(right, given["label"], confidence, evidence.spec["target"]["classes"])

    return Picture(
        f"The most confident mistakes on the {split} examples",
        "All errors, those of which the model was most sure first, row by row. Under each picture: on the left the "
        "right answer, on the right the one given, and beneath, where there are few, the probability of the one given.",
        draw,
    )


def gallery(
    right: Columns, given: Tensor, confidence: Tensor, classes: Sequence[str]
) -> "Figure":  # "image" and "label" of N examples, (N,) int64, (N,)
    """Every example whose given class is not the right one, up to `MOST`; the title tells how many there are."""
    label = right["label"]
    wrong = torch.nonzero(label != given).flatten()
    wrong = wrong[confidence[wrong].argsort(descending=True, stable=True)]
    title = f"{many(len(wrong), 'error')} in {many(len(right), 'example')}"
    if not len(wrong):
        figure = sheet(5, 1)
        figure.suptitle(title + ".")
        return figure
    if len(wrong) > MOST:
        title += f", the first {MOST} of them"
        wrong = wrong[:MOST]
    sure = bool(confidence.any())
    if sure:
        most, least = (percent(float(confidence[wrong[place]])) for place in (0, -1))
        title += f"; {most} sure" if most == least else f"; from {most} to {least} sure"

    words = drawable(classes, 14)
    longest = max(len(words[int(k)]) for k in torch.cat([label[wrong], given[wrong]]).unique())
    lines = 1 if longest <= 3 else 2  # long words do not fit side by side: then the given one is a line lower
    numbered = sure and len(wrong) <= NUMBERED
    cell = max(0.62, 0.075 * longest)  # inches
    across = int(8.4 / cell)
    down = -(-len(wrong) // across)

    images = thumbnails(right, wrong)
    height, width = images.shape[-2:]
    # One array holds all pictures: hundreds of axes would take a minute to draw. A unit of the axes is a pixel.
    gap = max(1, width // 10)
    inch = (width + gap) / cell
    line = 0.15 * inch
    step = height + gap + round((lines + numbered) * line)
    board = torch.ones(3, down * step, across * (width + gap))
    figure = sheet(across * cell + 0.1, down * step / inch + 0.35)
    axes = figure.subplots()
    for place, (one, k) in enumerate(zip(images, wrong.tolist(), strict=True)):
        y, x = place // across * step, place % across * (width + gap)
        board[:, y : y + height, x : x + width] = one
        under = y + height + 0.5 * line
        axes.text(x, under, words[int(label[k])], color=BLUE, ha="left", va="center", fontsize=8)
        axes.text(x + width, under + (lines - 1) * line, words[int(given[k])], color=VERMILLION, ha="right",
                  va="center", fontsize=8)  # fmt: skip
        if numbered:
            axes.text(x + width, under + lines * line, f"{confidence[k]:.0%}", color=FAINT, ha="right", va="center",
                      fontsize=7)  # fmt: skip
    axes.imshow(board.movedim(0, -1).numpy(), interpolation="nearest", extent=(0, board.shape[2], board.shape[1], 0))
    axes.set_axis_off()
    figure.suptitle(title, x=0.01, ha="left", fontsize=9.5, fontweight="bold")
    return figure


def thumbnails(columns: Columns, index: Tensor) -> Tensor:  # "image" of N examples, (B,) int64 -> (B, 3, H, W)
    """Those pictures in colour, made small enough for a page, a few at a time."""
    found = []
    for some in index.split(50):
        image = columns.take(some)["image"].cpu()
        scale = THUMBNAIL / max(image.shape[-2:])
        if scale < 1:
            size = [max(1, round(scale * side)) for side in image.shape[-2:]]
            image = F.interpolate(image, size, mode="bilinear", antialias=True)
        found.append(image.expand(-1, 3, -1, -1))
    return torch.cat(found)
