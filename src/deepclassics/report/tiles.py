"""Pictures side by side: samples, reconstructions, kernels, receptive fields.

Letters: N tiles, R rows, K tiles a row, C channels (1 or 3), H by W pixels.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from deepclassics.report.style import BLUE, VERMILLION, sheet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH = 7.6  # inches, of the whole
GAP = 0.06  # between tiles, as a share of a tile's width


def tiles(
    images: Tensor,
    *,
    columns: int = 0,
    rows: Sequence[str] = (),
    heads: Sequence[str] = (),
    scale: Literal["unit", "each", "all"] = "unit",
) -> "Figure":  # (N, C, H, W), or (R, K, C, H, W), on the CPU
    """Tiles as they lie in rows and columns; a plain list of them is laid in rows of `columns` (chosen if 0).

    `rows` are titles on the left, `heads` titles above the columns.
    `scale` "unit": pixels in [0, 1], grey or colour. "all" and "each": values of either sign, white at 0, orange above
    and blue below it, as deep as the largest magnitude of all tiles or of each tile; one channel only.
    """
    if images.dim() == 4:
        columns = columns or max(1, round((1.6 * len(images)) ** 0.5))
        missing = -len(images) % columns
        blank = torch.full((missing, *images.shape[1:]), 1.0 if scale == "unit" else 0.0)  # white, either way
        images = torch.cat([images.float(), blank]).unflatten(0, (-1, columns))
    down, across, channels, height, width = images.shape
    images = images.float()
    if scale != "unit":
        assert channels == 1, f"tiles of either sign must have one channel; they have {channels}"
        dims = (2, 3, 4) if scale == "each" else (0, 1, 2, 3, 4)
        images = images / images.abs().amax(dims, keepdim=True).clamp_min(1e-12)

    gap = max(1, round(GAP * width))
    board = torch.full((channels, down * (height + gap) - gap, across * (width + gap) - gap), torch.nan)
    for row in range(down):
        for column in range(across):
            y, x = row * (height + gap), column * (width + gap)
            board[:, y : y + height, x : x + width] = images[row, column]

    margin = 0.08 * max(map(len, rows), default=0) + (0.1 if rows else 0)  # inches for the titles of the rows
    inch = board.shape[2] / min(WIDTH - margin, 0.9 * across)  # pixels of the board an inch: no tile over 0.9 inches
    figure = sheet(board.shape[2] / inch + margin + 0.1, board.shape[1] / inch + (0.2 if heads else 0) + 0.1)
    axes = figure.subplots()
    if scale == "unit":
        # What is no tile is white in grey and in colour: the paper.
        shown = board.nan_to_num(1.0).clamp(0, 1).expand(3, -1, -1).movedim(0, -1)
        axes.imshow(shown.numpy(), interpolation="nearest")
    else:
        axes.imshow(board[0].numpy(), cmap="PuOr_r", vmin=-1, vmax=1, interpolation="nearest")
        axes.set_facecolor("#c8c8c8")  # seen between the tiles, which are white at 0 themselves
    axes.set_xticks([x * (width + gap) + (width - 1) / 2 for x in range(len(heads))], heads)
    axes.set_yticks([y * (height + gap) + (height - 1) / 2 for y in range(len(rows))], rows)
    axes.tick_params(length=0, pad=3, labelsize=8, top=False, labeltop=True, bottom=False, labelbottom=False)
    axes.spines[:].set_visible(False)
    return figure


def spread(count: int, most: int) -> list[int]:
    """At most `most` of the places 0 ... count - 1, evenly spread, the first and the last among them."""
    return sorted({round(place) for place in torch.linspace(0, count - 1, min(most, count)).tolist()})


def answered(
    rows: Sequence[tuple[str, Tensor, Tensor | None]], right: Tensor, classes: Sequence[str]
) -> "Figure":  # rows of (title, (N, C, H, W) in [0, 1], (N,) answers), (N,)
    """Rows of pictures, the same ones before and after a change, with the answers under them: blue ones are right."""
    figure = sheet(0.9 + 0.95 * len(right), 1.18 * len(rows))
    panels = figure.subplots(len(rows), len(right), squeeze=False)
    for line, (title, image, answer) in zip(panels, rows, strict=True):
        for k, panel in enumerate(line):
            panel.imshow(image[k].expand(3, -1, -1).movedim(0, -1).clamp(0, 1).numpy(), interpolation="nearest")
            panel.set_xticks([])
            panel.set_yticks([])
            if answer is not None:
                colour = BLUE if answer[k] == right[k] else VERMILLION
                panel.set_xlabel(classes[int(answer[k])], color=colour, fontsize=8, labelpad=2)
        line[0].set_ylabel(title, fontsize=8)
    return figure
