"""Networks that approximate a function, beside it.

Letters: G places of a grid, D variables.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from deepclassics.data.kinds.function import Function
from deepclassics.errors import UserError
from deepclassics.report.style import BLUE, FAINT, INK, VERMILLION, drawable, grid, sheet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Answer = Callable[[Tensor], Tensor]  # (G, D) -> (G,)
PLACES = 2000  # along one variable
SIDE = 150  # along each of two
MOST = 2000  # points shown


def both(answer: Answer, function: Function) -> "Figure":
    """The function, what the network says, and the difference, over one variable or two."""
    return _curve(answer, function) if len(function.names) == 1 else _boards(answer, function)


def _curve(answer: Answer, function: Function) -> "Figure":
    low, high = function.bounds[0]
    places = torch.linspace(low, high, PLACES, dtype=torch.float64)[:, None]
    given, true = answer(places), function(places)
    figure = sheet(6.4, 4.8)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    if function.points is not None:
        x, y = function.points
        kept = torch.linspace(0, len(x) - 1, min(MOST, len(x))).long()
        above.plot(x[kept, 0], y[kept], "o", color=FAINT, markersize=3, label="the points")
    else:
        above.plot(places[:, 0], true, color=FAINT, linewidth=3.5, alpha=0.7, label="the function")
    above.plot(places[:, 0], given, color=BLUE, linewidth=1.2, label="the network")
    below.plot(places[:, 0], given - true, color=VERMILLION, linewidth=0.9)
    below.axhline(0, color=INK, linewidth=0.6)
    below.set_ylabel("difference")
    below.set_xlabel(drawable(function.names, 40)[0])
    figure.legend(loc="outside upper left", ncols=2)
    for axes in (above, below):
        grid(axes)
    return figure


def _boards(answer: Answer, function: Function) -> "Figure":
    (left, right), (bottom, top) = function.bounds
    x = torch.linspace(left, right, SIDE, dtype=torch.float64)
    y = torch.linspace(bottom, top, SIDE, dtype=torch.float64)
    places = torch.stack([each.flatten() for each in torch.meshgrid(x, y, indexing="xy")], 1)
    given, true = answer(places), function(places)
    low, high = float(torch.minimum(given.min(), true.min())), float(torch.maximum(given.max(), true.max()))
    worst = float((given - true).abs().max()) or 1.0
    figure = sheet(9.6, 3.3)
    panels = figure.subplots(1, 3, sharex=True, sharey=True)
    boards = (
        ("the function", true, "cividis", low, high),
        ("the network", given, "cividis", low, high),
        ("the difference", given - true, "RdBu_r", -worst, worst),
    )
    for axes, (title, board, colours, least, most) in zip(panels, boards, strict=True):
        image = axes.imshow(
            board.view(SIDE, SIDE).numpy(), origin="lower", extent=(left, right, bottom, top), aspect="auto",
            cmap=colours, vmin=least, vmax=most if most > least else least + 1, interpolation="nearest",
        )  # fmt: skip
        axes.set_title(title)
        axes.set_xlabel(drawable(function.names, 40)[0])
        if axes is not panels[1]:
            figure.colorbar(image, ax=axes)
    panels[0].set_ylabel(drawable(function.names, 40)[1])
    return figure


def by_width(
    rows: Sequence[tuple[float, float, float, int]], largest: float | None, mean: float | None
) -> "Figure":  # (width, largest error, root mean square, units)
    """Error against width, both as logarithms, with the slopes as measured."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    rows = [row for row in rows if row[2] > 1e-12]
    if len(rows) < 2:
        raise UserError("The errors are nothing but rounding, or there are too many variables for several widths.")
    figure = sheet(6.2, 3.9)
    axes = figure.subplots()
    widths = [row[0] for row in rows]
    for column, word, slope, colour, marker in ((1, "largest", largest, VERMILLION, "o"),
                                                (2, "root mean square", mean, BLUE, "s")):  # fmt: skip
        told = f"{word} error" + (f", slope {slope:.2f}" if slope is not None else "")
        axes.plot(widths, [row[column] for row in rows], marker, color=colour, linestyle="-", label=told)
    for width, error, _, units in rows:
        axes.annotate(f"{units:,} units", (width, error), xytext=(0, 7), textcoords="offset points", fontsize=7.5,
                      ha="center")  # fmt: skip
    for axis, scale in ((axes.xaxis, axes.set_xscale), (axes.yaxis, axes.set_yscale)):
        scale("log")
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())
    axes.margins(0.1, 0.15)
    axes.set_xlabel("width of a pulse")
    axes.set_ylabel("error")
    figure.legend(loc="outside upper left", ncols=2)
    grid(axes)
    return figure
