"""Recurrent nets unrolled: a box for every position, what is put in below it, and what is answered above it.

Letters: T positions, S of them at which the output is read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deepclassics.report.style import BLUE, FAINT, GREEN, INK, VERMILLION, drawable, sheet

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 16  # positions; of a longer sequence only some are drawn
SIDE = 0.3  # half the width of a box, in steps from one position to the next
BEYOND = 2  # positions drawn at either end of a longer sequence


@dataclass(frozen=True)
class Unrolled:
    """One net with an example in it: T words put in, "" where nothing is, and the S last words, answered and right, ""
    where the answer has ended.

    `kept` are positions that are drawn however long the sequence is.
    """

    title: str
    given: Sequence[str]
    answered: Sequence[str]
    right: Sequence[str]
    kept: Sequence[int] = ()


def unrolled(nets: Sequence[Unrolled]) -> "Figure":
    """The nets below one another."""
    shown = [_shown(net) for net in nets]
    widest = max(map(len, shown))
    figure = sheet(0.9 + 0.62 * widest, 1.62 * len(nets))
    panels = figure.subplots(len(nets), 1, squeeze=False).ravel()
    for axes, net, places in zip(panels, nets, shown, strict=True):
        _draw(axes, net, places)
        axes.set_xlim(-0.8, widest - 0.2)
    return figure


def _shown(net: Unrolled) -> list[int]:
    count = len(net.given)
    if count <= MOST:
        return list(range(count))
    return sorted({*range(BEYOND), *net.kept, *range(count - BEYOND, count)})


def _draw(axes: "Axes", net: Unrolled, places: Sequence[int]) -> None:
    from matplotlib.patches import FancyBboxPatch

    first = len(net.given) - len(net.answered)  # position of the first answer
    arrow = {"arrowstyle": "->", "color": FAINT, "shrinkA": 0, "shrinkB": 0, "linewidth": 0.9}
    for x, place in enumerate(places):
        axes.add_patch(
            FancyBboxPatch(
                (x - SIDE, -SIDE), 2 * SIDE, 2 * SIDE, boxstyle="round,pad=0.02", facecolor=BLUE, edgecolor="none"
            )
        )
        if x:
            gap = place - places[x - 1] > 1
            axes.annotate("", (x - SIDE, 0), (x - 1 + SIDE, 0), arrowprops=arrow | ({"linestyle": ":"} if gap else {}))
        if net.given[place]:
            axes.annotate("", (x, -SIDE), (x, -0.85), arrowprops=arrow)
            axes.text(x, -0.95, drawable([net.given[place]])[0], ha="center", va="top", fontsize=8, color=INK)
        if place >= first:
            answered, right = net.answered[place - first], net.right[place - first]
            axes.annotate("", (x, 0.85), (x, SIDE), arrowprops=arrow)
            told = (answered or "·") + ("" if answered == right else f" ({right or '·'})")
            colour = VERMILLION if answered != right else GREEN if answered else FAINT
            axes.text(x, 0.95, told, ha="center", va="bottom", fontsize=8, color=colour, fontweight="bold")
    axes.set_ylim(-1.45, 1.45)
    axes.set_aspect("auto")
    axes.set_axis_off()
    axes.set_title(net.title)
