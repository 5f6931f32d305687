"""Regions of the plane, and the threshold networks that were built for them.

Letters: G points of a grid.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from deepclassics.data.kinds.region import Region
from deepclassics.layers.units import Units
from deepclassics.report.style import BLUE, FAINT, INK, ORANGE, VERMILLION, grid, sheet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIDE = 400  # points of the grid along the longer side
LINES = 100


def region(
    answer: Callable[[Tensor], Tensor], true: Region, model: nn.Module
) -> "Figure":  # answer: (G, 2) -> (G,) of 0 and 1
    """What the network says inside, the lines of its first layer, and where it is wrong."""
    from matplotlib.colors import ListedColormap

    (left, right), (bottom, top) = true.bounds
    step = max(right - left, top - bottom) / SIDE
    x = torch.arange(left + step / 2, right, step, dtype=torch.float64)
    y = torch.arange(bottom + step / 2, top, step, dtype=torch.float64)
    points = torch.stack([each.flatten() for each in torch.meshgrid(x, y, indexing="xy")], 1)
    given, inside = answer(points).bool(), true.contains(points)
    codes = given.long() + 2 * (given != inside)  # 2: missed, 3: wrongly taken
    figure = sheet(6.4, 1.1 + 5.0 * len(y) / len(x) if len(y) <= len(x) else 6.1)
    axes = figure.subplots()
    axes.imshow(
        codes.view(len(y), len(x)).numpy(), origin="lower", extent=(left, right, bottom, top), vmin=0, vmax=3,
        cmap=ListedColormap(["white", "#a9cfe6", ORANGE, VERMILLION]), interpolation="nearest",
    )  # fmt: skip
    assert isinstance(model, Units)
    lines = _lines(model)
    shown = torch.randperm(len(lines), generator=torch.Generator().manual_seed(0))[:LINES]  # units come in an order
    for a, b, c in (lines[place] for place in shown.tolist()):
        axes.axline(
            (a * c, b * c),
            xy2=(a * c - b, b * c + a),
            color=FAINT,
            linewidth=0.5,
            alpha=1.0 if len(lines) <= LINES else 0.5,
        )
    axes.set_xlim(left, right)
    axes.set_ylim((top, bottom) if true.picture is not None else (bottom, top))
    axes.set_aspect("equal")
    axes.set_xlabel("x, pixels" if true.picture is not None else "x")
    axes.set_ylabel("y, pixels" if true.picture is not None else "y")
    told = [("#a9cfe6", "inside, says the network")]
    told += [(ORANGE, "inside, but missed")] if bool((codes == 2).any()) else []
    told += [(VERMILLION, "outside, but taken")] if bool((codes == 3).any()) else []
    for colour, word in told:
        axes.plot([], [], "s", color=colour, markersize=8, label=word)
    count = f"{len(lines):,}" if len(lines) <= LINES else f"{LINES} of {len(lines):,}"
    axes.plot([], [], color=FAINT, linewidth=0.8, label=f"its lines ({count})")
    figure.legend(loc="outside upper left", ncols=2)
    return figure


def _lines(model: Units) -> list[tuple[float, float, float]]:
    """a, b, c of the units of the first layer that hear the plane's two coordinates, with a² + b² = 1."""
    weights = torch.zeros(len(model.kind), 2, dtype=torch.float64)
    direct = model.source < 2
    weights[model.unit[direct] - 2, model.source[direct]] = model.weight[direct]
    first = (model.layer == 1).nonzero().flatten()
    return torch.cat([weights[first], model.threshold[first, None]], 1).tolist()


def against(
    single: Sequence[tuple[str, int, float]], double: Sequence[tuple[str, int, float]]
) -> "Figure":  # (name, units, error)
    """Units and error of networks of one hidden layer, and of two."""
    from matplotlib.ticker import FuncFormatter

    figure = sheet(6.2, 3.8)
    axes = figure.subplots()
    axes.plot([units for _, units, _ in single], [100 * error for _, _, error in single], "o-", color=BLUE,
              label="one hidden layer: cylinders")  # fmt: skip
    for name, units, error in single:
        axes.annotate(name, (units, 100 * error), xytext=(4, 5), textcoords="offset points", fontsize=7.5)
    for name, units, error in double:
        axes.plot([units], [100 * error], "*", color=VERMILLION, markersize=13, clip_on=False, zorder=5,
                  label=f"{name}: {units:,} units, {100 * error:.2g} % wrong")  # fmt: skip
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.margins(x=0.12)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("units, the output among them")
    axes.set_ylabel("points on the wrong side, %")
    figure.legend(loc="outside upper left")
    grid(axes)
    return figure


def cylinder(distance: Tensor, share: Mapping[int, Tensor], limit: Tensor) -> "Figure":  # (G,), {sides: (G,)}, (G,)
    """The profile of a cylinder of some numbers of sides, and of infinitely many."""
    figure = sheet(6.2, 3.6)
    axes = figure.subplots()
    for (sides, held), colour in zip(share.items(), ("#bcd9ea", "#7fb6d8", BLUE), strict=False):
        axes.step(distance, held, color=colour, linewidth=1.0, where="post", label=f"{sides} half-planes")
    axes.plot(distance, limit, color=INK, linewidth=1.6, label="1 − arccos(r/d)/π")
    axes.axhline(0.5, color=FAINT, linewidth=0.8, linestyle="--")
    axes.set_xlabel("distance d from the centre, in radii r")
    axes.set_ylabel("share of the half-planes that are 1")
    figure.legend(loc="outside upper left", ncols=4)
    grid(axes)
    return figure
