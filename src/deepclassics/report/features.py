"""What the layers of a convolutional net make of one input.

Letters: C channels, H by W pixels, F feature maps.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from deepclassics.report.stages import outputs
from deepclassics.report.style import sheet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 64  # maps of one layer


def features(model: nn.Module, image: Tensor, modules: Sequence[str]) -> "Figure":  # (C, H, W) in [0, 1]
    """The outputs of the named modules for one image: maps as pictures, units of dense layers as a strip.

    Each layer has one scale for all its maps: white is 0 there, and the deepest orange or blue its largest magnitude,
    above or below 0.
    """
    with torch.no_grad():
        seen = outputs(model, image[None], modules)
    # Maps of one pixel, as of LeNet's C5, are units.
    made = [
        out if out.dim() == 3 and out[0].numel() > 1 else out.flatten() for out in (seen[name][0] for name in modules)
    ]
    boards = [_mosaic(output[:MOST]) if output.dim() == 3 else output[None] for output in made]
    width = 7.6
    # A board of maps keeps its proportions over the width of the picture; a strip of units is a third of an inch high.
    heights = [1.0, *[
        width * board.shape[0] / board.shape[1] if output.dim() == 3 else 0.33
        for board, output in zip(boards, made, strict=True)
    ]]  # fmt: skip
    figure = sheet(width, sum(heights) + 0.36 * len(heights))
    panels = figure.subplots(len(heights), 1, height_ratios=heights, squeeze=False).ravel()
    panels[0].imshow((image[0] if len(image) == 1 else image.movedim(0, -1)).numpy(), cmap="gray", vmin=0, vmax=1)
    panels[0].set_title(f"input: {_size(image)}")
    for panel, name, output, board in zip(panels[1:], modules, made, boards, strict=True):
        maps = output.dim() == 3
        most = float(board.nan_to_num().abs().max()) or 1.0
        panel.imshow(board.numpy(), cmap="PuOr_r", vmin=-most, vmax=most, interpolation="nearest",
                     aspect="equal" if maps else "auto")  # fmt: skip
        told = f"{len(output)} maps of {_size(output)}" if maps else f"{len(output)} units"
        only = f", the first {MOST}" if maps and len(output) > MOST else ""
        panel.set_title(f"{name}: {told}{only}, from {float(output.min()):.3g} to {float(output.max()):.3g}")
    for panel, output in zip(panels, [image, *made], strict=True):
        numbered = output.dim() == 1 and len(output) <= 30
        panel.set_xticks(range(len(output)) if numbered else [])
        panel.set_yticks([])
        panel.tick_params(length=0, labelsize=7.5)
        panel.set_anchor("W")
        panel.spines[:].set_visible(False)
    return figure


def _size(maps: Tensor) -> str:
    return f"{maps.shape[-2]} × {maps.shape[-1]}"


def _mosaic(maps: Tensor) -> Tensor:  # (F, H, W) -> (rows (H + 1), columns (W + 1)), gaps not a number
    count, height, width = maps.shape
    across = 8 if count <= 8 else 16
    down = -(-count // across)
    board = torch.full((down * (height + 1), across * (width + 1)), torch.nan)
    for k, one in enumerate(maps):
        y, x = k // across * (height + 1), k % across * (width + 1)
        board[y : y + height, x : x + width] = one
    return board
