"""A convolution from the inside: picture, kernel, map, the layer's matrix, what a unit sees, and what each way costs.

Letters: C channels, O maps, H by W pixels, kernels of h by w, R by S places of a map, N pictures.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from deepclassics.layers import convolution
from deepclassics.layers.convolution import Window
from deepclassics.report.style import FAINT, INK, drawable, grid, marks, sheet

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 6  # kernels that are shown
NUMBERED = 30  # cells of a panel that can carry their numbers


def maps(
    image: Tensor, weight: Tensor, found: Tensor, pooled: Tensor | None, heads: Sequence[str]
) -> "Figure":  # (C, H, W), (O, C, h, w), (O, R, S), (O, R', S')
    """A row for every kernel: the picture, the kernel (its largest channel), the map, and the map after pooling."""
    count = min(MOST, len(found))
    panels = ["picture", "kernel", "map"] + ["pooled"] * (pooled is not None)
    tall = found.shape[1] / found.shape[2]
    figure = sheet(7.6, 0.3 + count * min(2.6, 7.2 / len(panels) * tall + 0.35))
    board = figure.subplots(count, len(panels), squeeze=False)
    words = drawable(heads[:count], 30)
    for k, row in enumerate(board):
        own = weight[k, weight[k].abs().sum((1, 2)).argmax()]
        for axes, what, values in zip(row, panels, [image, own, found[k], *([] if pooled is None else [pooled[k]])],
                                      strict=False):  # fmt: skip
            size = f"{values.shape[-2]} x {values.shape[-1]}"
            name = words[k] if what == "kernel" and not words[k][0].isdigit() and words[k][0] != "-" else what
            axes.set_title(f"{name}, {size}", fontsize=8.5)
            if what == "picture" and len(image) == 3:
                axes.imshow(image.clamp(0, 1).movedim(0, -1).numpy(), interpolation="nearest")
                _bare(axes)
            elif what == "picture" and float(image.min()) >= 0 and float(image.max()) <= 1:
                axes.imshow(image[0].numpy(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
                _bare(axes)
            else:
                _signed(axes, values.reshape(values.shape[-2:]), numbered=values.numel() <= NUMBERED)
    return figure


def several(images: Tensor, found: Tensor, heads: Sequence[str]) -> "Figure":  # (N, C, H, W), (N, O, R, S)
    """A row for every picture: itself, and its maps."""
    count = min(MOST, found.shape[1])
    size = min(1.9, 7.4 / (count + 1))
    figure = sheet((count + 1) * size + 0.1, len(images) * size + 0.3)
    board = figure.subplots(len(images), count + 1, squeeze=False)
    for image, own, row in zip(images, found, board, strict=True):
        shown = image.expand(3, -1, -1).clamp(0, 1).movedim(0, -1)
        row[0].imshow(shown.numpy(), interpolation="nearest")
        _bare(row[0])
        for axes, one in zip(row[1:], own[:count], strict=True):
            _signed(axes, one)
    for axes, head in zip(board[0], ["picture", *drawable(heads[:count], 20)], strict=True):
        axes.set_title(head, fontsize=8.5)
    return figure


def matrix(kernel: Tensor, size: tuple[int, int], stride: int, padding: int, dilation: int) -> "Figure":  # (h, w)
    """Toeplitz matrices: of the kernel's middle row, and in blocks of the whole kernel on a picture of `size`."""
    line = convolution.convmtx(kernel[len(kernel) // 2], size[1])
    whole = convolution.matrix(kernel[None, None], size, stride, padding, dilation)
    width, above = 7.4, 2.4
    below = max(1.5, min(width * whole.shape[0] / whole.shape[1], 7.0))  # inches
    figure = sheet(width + 0.2, above + below + 0.9)
    first, second = figure.subplots(2, 1, height_ratios=[above, below])
    _signed(first, line, numbered=line.numel() <= NUMBERED)
    first.set_title(f"one dimension: {line.shape[0]} x {line.shape[1]}", fontsize=8.5)
    _signed(second, whole, numbered=whole.numel() <= 10 * NUMBERED)  # over the whole width
    second.set_aspect("auto")
    second.set_title(
        f"two dimensions: {whole.shape[0]} x {whole.shape[1]}, {int((whole != 0).sum()):,} of {whole.numel():,} not 0",
        fontsize=8.5,
    )
    down, across = len(whole) // _places(size, kernel, stride, padding, dilation), size[0]
    for k in range(1, across):
        second.axvline(k * size[1] - 0.5, color=FAINT, linewidth=0.5)
    for k in range(1, _places(size, kernel, stride, padding, dilation)):
        second.axhline(k * down - 0.5, color=FAINT, linewidth=0.5)
    return figure


def _places(size: tuple[int, int], kernel: Tensor, stride: int, padding: int, dilation: int) -> int:
    return convolution.output_size(size[0], len(kernel), stride, padding, dilation)


def fields(weight: Tensor, layers: Sequence[Window], pool: str) -> "Figure":  # (1, C, h, w)
    """The pixels that a unit of the map, and one of the pooled map, sees, and the weights with which they enter."""
    shown = [("a unit of the map", torch.ones(1, 1, 1, 1, dtype=torch.float64))]
    if len(layers) > 1:
        shown.append((f"a unit after {pool} pooling", torch.ones(1, 1, layers[1].size, layers[1].size).double()))
    figure = sheet(3.7 * len(shown), 3.6)
    first = layers[0]
    for axes, (name, units) in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
        side = (units.shape[2], units.shape[3])
        height, width = (
            convolution.transposed_size(places, size, first.stride, 0, first.dilation)
            for places, size in zip(side, weight.shape[2:], strict=True)
        )
        kernel = weight.abs().sum(1, keepdim=True)
        seen = convolution.transposed(units, kernel, (height, width), first.stride, 0, first.dilation)[0, 0]
        axes.imshow(seen.numpy(), cmap="Greys", vmin=0, vmax=float(seen.max()) * 1.2 or 1.0, interpolation="nearest")
        axes.set_title(f"{name} sees {height} x {width} pixels", fontsize=9)
        _bare(axes)
        axes.set_xticks([x - 0.5 for x in range(width + 1)], minor=True)
        axes.set_yticks([y - 0.5 for y in range(height + 1)], minor=True)
        axes.grid(which="minor", color=FAINT, linewidth=0.3)
        axes.tick_params(which="both", length=0)
    return figure


def sizes(shape: Sequence[int], weight: Sequence[int], layers: Sequence[Window]) -> str:
    """A line for every layer: size and stride of its window, of its map, and what a unit of it sees."""
    lines = ["layer        window  stride  padding  dilation      map   sees  jump"]
    pixels, kernel = list(shape[1:]), list(weight[2:])
    lines.append(f"picture{'':37}{pixels[0]:>5} x {pixels[1]}")
    for name, layer, sight in zip(("convolution", "pooling"), layers, convolution.receptive(layers), strict=False):
        window = kernel if name == "convolution" else [layer.size] * 2
        pixels = [convolution.output_size(n, m, *layer[1:]) for n, m in zip(pixels, window, strict=True)]
        lines.append(
            f"{name:12} {f'{window[0]} x {window[1]}':>6}  {layer.stride:>6}  {layer.padding:>7}  {layer.dilation:>8}"
            f"  {f'{pixels[0]} x {pixels[1]}':>9}  {sight.field:>5}  {sight.jump:>4}"
        )
    return "\n".join(lines)


def ganglia(size: int, centre: float, surround: float, strength: float) -> "Figure":
    """Four stimuli and what an on-centre and an off-centre cell answer to them."""
    cell = convolution.ganglion(size, centre, surround, strength)
    figure = sheet(7.6, 2.1)
    board = figure.subplots(1, 5)
    _signed(board[0], cell)
    board[0].set_title("on-centre cell", fontsize=8.5)
    for axes, (name, lit) in zip(board[1:], stimuli(size, 2 * centre).items(), strict=True):
        axes.imshow(lit.numpy(), cmap="gray", vmin=-0.15, vmax=1.15, interpolation="nearest")
        answer = float((cell * lit).sum())
        axes.set_title(f"{name}\non {answer:+.3f}, off {-answer:+.3f}", fontsize=8.5)
        _bare(axes)
    return figure


def stimuli(size: int, radius: float) -> dict[str, Tensor]:  # -> (size, size) of float64
    """Light, 1, and dark, 0: on the disc within `radius` pixels of the middle, on all, on all but the disc, on none."""
    away = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    disc = ((away[:, None] ** 2 + away**2) < radius**2).double()
    return {"centre": disc, "both": torch.ones_like(disc), "surround": 1 - disc, "none": torch.zeros_like(disc)}


def times(scores: Mapping[str, float]) -> "Figure":
    """Milliseconds of processor time against the side of the picture, a line for every way."""
    figure = sheet(6.4, 4.0)
    axes = figure.subplots()
    for way, (colour, marker) in zip(convolution.WAYS, marks(len(convolution.WAYS)), strict=True):
        found = {
            int(name.rpartition(" ")[2]): each for name, each in scores.items() if name.startswith(f"{way}/seconds")
        }
        axes.plot(sorted(found), [1e3 * found[side] for side in sorted(found)], color=colour, marker=marker, label=way)
    sides = sorted({int(name.rpartition(" ")[2]) for name in scores if "/seconds at" in name})
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(sides, [str(side) for side in sides])
    axes.yaxis.set_major_formatter(lambda value, place: f"{value:g}")
    axes.minorticks_off()
    axes.set_xlabel("side of the picture, pixels")
    axes.set_ylabel("processor time, milliseconds")
    figure.legend(loc="outside upper left", ncols=5)
    grid(axes)
    return figure


def _signed(axes: "Axes", values: Tensor, numbered: bool = False) -> None:  # (H, W)
    """Values of either sign, white at 0. Of many the largest hundredth are all shown alike: a few edges are so strong
    that all else would be pale."""
    values = values.double()
    most = float(values.abs().max() if values.numel() <= 1000 else _hundredth(values)) or 1.0
    axes.imshow(values.numpy(), cmap="PuOr_r", vmin=-most, vmax=most, interpolation="nearest", aspect="equal")
    _bare(axes)
    if numbered:
        for y, row in enumerate(values.tolist()):
            for x, value in enumerate(row):
                if value:
                    axes.text(x, y, f"{value:.3g}", ha="center", va="center", fontsize=7,
                              color="white" if abs(value) > 0.75 * most else INK)  # fmt: skip


def _hundredth(values: Tensor) -> Tensor:  # -> ()
    """The magnitude that one value in a hundred exceeds."""
    return values.abs().flatten().kthvalue(int(0.99 * values.numel())).values


def _bare(axes: "Axes") -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(True)
    axes.spines[:].set_color(FAINT)
    axes.spines[:].set_linewidth(0.5)
