"""Descents as seen from above: paths on a contour map, points on a curve, and their losses side by side.

Letters: G points of a grid, P points of a path, D unknowns.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from deepclassics.report.style import FAINT, INK, PALETTE, drawable, grid, marks, sheet

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIDE = 240  # points of the grid along each axis
LEVELS = 26
DOTS = 60  # updates of a path up to which each has a dot
FAR = 3  # how far beyond the bounds, in their widths, a path may widen the map


def contour(
    height: Callable[[Tensor], Tensor],
    paths: Mapping[str, Tensor],
    names: Sequence[str],
    bounds: Sequence[Sequence[float]] | None = None,
    side: int = SIDE,
) -> "Figure":  # height: (G, 2) -> (G,); paths: (P, 2) each
    """Lines of equal height, and the paths from a common start. `bounds` are (low, high) of both axes.

    The levels lie at equal ratios above the lowest point: at equal distances a ravine would be a blank.
    """
    from matplotlib.colors import LogNorm

    figure = sheet(7.4, 5.2)
    axes = figure.subplots()
    x, y = (_span([path[:, d] for path in paths.values()], bounds[d] if bounds else None, side) for d in (0, 1))
    rows, columns = torch.meshgrid(y, x, indexing="ij")
    board = height(torch.stack([columns.flatten(), rows.flatten()], 1)).view(side, side).double()
    finite = board[board.isfinite()]
    if len(finite) and float(finite.max()) > float(finite.min()):
        low, high = float(finite.min()), float(finite.max())
        rise = (board - low).clamp(min=1e-6 * (high - low)).numpy()
        levels = torch.logspace(-4.5, 0, LEVELS, dtype=torch.float64) * (high - low)
        axes.contourf(x.numpy(), y.numpy(), rise, levels=[0, *levels.tolist()], cmap="Blues", alpha=0.55,
                      norm=LogNorm(float(levels[0]) / 3, 10 * (high - low)))  # fmt: skip
        axes.contour(x.numpy(), y.numpy(), rise, levels=levels.numpy(), colors=FAINT, linewidths=0.5, alpha=0.8)
    for place, (name, path) in enumerate(paths.items()):
        _path(axes, path[:, 0], path[:, 1], name, place)
    _start(axes, next(iter(paths.values()))[0].tolist())
    axes.set_xlim(float(x[0]), float(x[-1]))
    axes.set_ylim(float(y[0]), float(y[-1]))
    axes.set_xlabel(drawable(names, 40)[0])
    axes.set_ylabel(drawable(names, 40)[1])
    figure.legend(loc="outside right upper")
    return figure


def valley(
    height: Callable[[Tensor], Tensor],
    paths: Mapping[str, Tensor],
    name: str,
    bounds: Sequence[float] | None = None,
) -> "Figure":  # height: (G,) -> (G,); paths: (P,) each
    """A curve of one variable, and the points of every path on it."""
    figure = sheet(7.4, 4.2)
    axes = figure.subplots()
    x = _span(list(paths.values()), bounds, 2 * SIDE)
    y = height(x)
    axes.plot(x.numpy(), y.numpy(), color=INK, linewidth=1.2, zorder=1)
    for place, (label, path) in enumerate(paths.items()):
        _path(axes, path, height(path), label, place)
    first = next(iter(paths.values()))[:1]
    _start(axes, [float(first), float(height(first))])
    axes.set_xlim(float(x[0]), float(x[-1]))
    seen = y[y.isfinite()]
    if len(seen) and float(seen.max()) > float(seen.min()):
        room = 0.06 * float(seen.max() - seen.min())
        axes.set_ylim(float(seen.min()) - room, float(seen.max()) + room)
    axes.set_xlabel(drawable([name], 40)[0])
    axes.set_ylabel("loss")
    figure.legend(loc="outside right upper")
    grid(axes)
    return figure


def races(series: Mapping[str, tuple[Sequence[int], Sequence[float]]], what: str) -> "Figure":
    """Values over updates, a line for each name; on a logarithmic scale where they span more than a factor of 20.

    Zeros, which such a scale cannot show, lie on its lower edge.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    figure = sheet(7.4, 4.0)
    axes = figure.subplots()
    positive = [value for _, values in series.values() for value in values if value > 0]
    every = [value for _, values in series.values() for value in values]
    logarithmic = bool(positive) and min(every) >= 0 and max(positive) > 20 * min(positive)
    # Below a millionth of a millionth of the highest there is only rounding.
    floor = max(min(positive), 1e-16 * max(positive)) if logarithmic else 0.0
    for place, (name, (steps, values)) in enumerate(series.items()):
        colour, marker = marks(place + 1)[place]
        shown = [max(value, floor) for value in values] if logarithmic else list(values)
        every_few = max(1, len(shown) // 8)
        axes.plot(steps, shown, color=colour, linewidth=1.5, marker=marker, markersize=4.5, markevery=every_few,
                  markeredgecolor="white", markeredgewidth=0.5, linestyle=_style(place), label=name)  # fmt: skip
    if logarithmic:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(numticks=9))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("update")
    axes.set_ylabel(what)
    figure.legend(loc="outside right upper")
    grid(axes)
    return figure


def plane(paths: Sequence[Tensor], towards: Tensor) -> tuple[Tensor, Tensor]:  # (P, D) each, (D,) -> (D,), (2, D)
    """The common start of all paths, and two directions at right angles: to `towards`, and where else they spread most.

    Li et al. 2018, section 7, take the two principal directions of one path; here every path counts the same, however
    long it is.
    """
    start = paths[0][0]
    first = (towards - start) / (towards - start).norm().clamp(min=1e-300)
    rest = torch.cat([(path - start) / (path - start).norm(dim=1).max().clamp(min=1e-300) for path in paths])
    rest = rest - (rest @ first)[:, None] * first
    second = torch.linalg.svd(rest, full_matrices=False).Vh[0]
    return start, torch.stack([first, second])


def _span(paths: Sequence[Tensor], bounds: Sequence[float] | None, side: int) -> Tensor:  # (P,) each -> (side,)
    """An axis over the bounds and the paths. What runs away beyond them, or beyond most of the paths, is cut off."""
    if bounds is not None:
        low, high = bounds
        reach = FAR * (high - low)
        ends = torch.cat([*paths, torch.tensor([low, high], dtype=torch.float64)])
        ends = ends[(ends >= low - reach) & (ends <= high + reach)]
    else:
        widths = [float(path.max() - path.min()) for path in paths]
        usual = sorted(widths)[(len(widths) - 1) // 2]
        ends = torch.cat([path for path, width in zip(paths, widths, strict=True) if width <= max(20 * usual, 1e-300)])
    low, high = float(ends.min()), float(ends.max())
    room = max(0.08 * (high - low), 1e-6 * max(1.0, abs(low), abs(high)))
    return torch.linspace(low - room, high + room, side, dtype=torch.float64)


def _path(axes: "Axes", x: Tensor, y: Tensor, name: str, place: int) -> None:
    colour, marker = marks(place + 1)[place]
    dots = marker if len(x) <= DOTS + 1 else ""
    axes.plot(x.numpy(), y.numpy(), color=colour, linewidth=1.3, linestyle=_style(place), marker=dots, markersize=3,
              alpha=0.9, zorder=3)  # fmt: skip
    axes.plot(float(x[-1]), float(y[-1]), marker, color=colour, markersize=8, markeredgecolor="white",
              markeredgewidth=0.8, linestyle="", label=name, zorder=5)  # fmt: skip


def _style(place: int) -> str:
    """Colours come again after seven; then lines are dashed."""
    return "--" if place >= len(PALETTE) else "-"


def _start(axes: "Axes", place: Sequence[float]) -> None:
    axes.plot(*place, "o", color="white", markersize=8, markeredgecolor=INK, markeredgewidth=1.2, linestyle="",
              label="start", zorder=4)  # fmt: skip
