"""Karnaugh maps: truth tables laid out so that neighbours differ in one input, with the groups of a short formula.

Letters: N inputs, T groups.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from deepclassics.errors import UserError
from deepclassics.report.style import FAINT, INK, PALETTE, drawable, sheet

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 6  # inputs: four maps of 4 by 4
CELL = 0.46  # inches
GRAY = {0: (0,), 1: (0, 1), 2: (0, 1, 3, 2)}  # the order of so many inputs' values: neighbours differ in one
WRITTEN = 12  # groups that a legend names
OVER = 0.16  # of a cell, by which a group that goes on at the other side reaches over the edge


def karnaugh(
    values: Tensor, names: Sequence[str], groups: Tensor
) -> "Figure":  # (2^N,) of bool, (T, N) of 0, 1 and 2, an input that is free
    """The map of a function, in several of 4 by 4 where there are five or six inputs, with every group drawn round.

    A group that reaches over an edge goes on at the opposite one, or in the same place of the map beside.

    Raises:
        UserError: there are too many inputs.
    """
    inputs = len(names)
    if inputs > MOST:
        raise UserError(f"A Karnaugh map can be drawn up to {MOST} inputs; this function has {inputs}.")
    outer = max(0, inputs - 4)  # inputs that choose the map
    down, across = (inputs - outer) // 2, (inputs - outer + 1) // 2  # inputs that choose row and column
    words = drawable(names, 8)
    maps = (2 ** (outer // 2), 2 ** ((outer + 1) // 2))
    left, above = 0.75, 0.55 + (0.25 if outer else 0)  # inches for the titles of rows and columns
    told = [_formula(words, term) for term in groups.tolist()] if 0 < len(groups) <= WRITTEN else []
    longest = 0.65 + 0.072 * max(map(len, told), default=0)
    wide, tall = 2**across * CELL, 2**down * CELL
    width = max(maps[1] * (wide + left) + 0.3, longest, 2.4)
    columns = max(1, int(width / longest))
    below = 0.2 + 0.2 * -(-len(told) // columns)
    height = maps[0] * (tall + above) + below
    figure = sheet(width, height)
    figure.set_layout_engine("none")  # it does not count titles above the columns; what goes where is known here
    for number in range(2**outer):
        y, x = divmod(number, maps[1])
        right, up = x * (wide + left) + left, below + (maps[0] - 1 - y) * (tall + above)
        axes = figure.add_axes((right / width, up / height, wide / width, tall / height))
        chosen = [number >> (outer - 1 - place) & 1 for place in range(outer)]
        begin = number << (inputs - outer)
        _cells(axes, values[begin : begin + 2 ** (inputs - outer)], down, across)
        map_of = ", ".join(f"{word} = {bit}" for word, bit in zip(words, chosen, strict=False))
        axes.set_xlabel((map_of + "\n" if outer else "") + " ".join(words[outer + down :]))
        axes.set_ylabel(" ".join(words[outer : outer + down]))
        for place, term in enumerate(groups.tolist()):
            if all(value in (bit, 2) for value, bit in zip(term, chosen, strict=False)):
                _group(axes, term[outer : outer + down], term[outer + down :], place)
    for place, formula in enumerate(told):
        figure.axes[0].plot([], [], color=_colour(place), linestyle=_dashes(place), linewidth=2, label=formula)
    if told:
        figure.legend(loc="lower left", ncols=columns, frameon=False, fontsize=8)
    return figure


def _cells(axes: "Axes", values: Tensor, down: int, across: int) -> None:
    from matplotlib.patches import Rectangle

    rows, columns = GRAY[down], GRAY[across]
    for y, row in enumerate(rows):
        for x, column in enumerate(columns):
            one = bool(values[row << across | column])
            colour = "#ececec" if one else "white"
            axes.add_patch(Rectangle((x, y), 1, 1, facecolor=colour, edgecolor="#c8c8c8", linewidth=0.8, zorder=1))
            axes.text(x + 0.5, y + 0.5, str(int(one)), ha="center", va="center", color=INK if one else FAINT,
                      fontweight="bold" if one else "normal")  # fmt: skip
    axes.set_xticks([x + 0.5 for x in range(len(columns))], [f"{column:0{across}b}" for column in columns])
    axes.set_yticks([y + 0.5 for y in range(len(rows))], [f"{row:0{down}b}" if down else "" for row in rows])
    axes.tick_params(length=0, top=False, labeltop=True, bottom=False, labelbottom=False, labelsize=8)
    axes.xaxis.set_label_position("top")
    axes.spines[:].set_visible(False)
    axes.set_xlim(-OVER, len(columns) + OVER)
    axes.set_ylim(len(rows) + OVER, -OVER)


def _group(axes: "Axes", rows: Sequence[int], columns: Sequence[int], place: int) -> None:
    """A frame round the cells; groups lie at different distances from the cells' edges, so that none hides another."""
    from matplotlib.patches import FancyBboxPatch

    inset = 0.07 + 0.05 * (place % 5)
    for top, bottom in _stretches(rows):
        for left, right in _stretches(columns):
            frame = FancyBboxPatch(
                (left + inset, top + inset), right - left - 2 * inset, bottom - top - 2 * inset,
                boxstyle="round,pad=0,rounding_size=0.14", facecolor=(*_rgb(place), 0.07), edgecolor=_colour(place),
                linewidth=1.7, linestyle=_dashes(place), zorder=2,
            )  # fmt: skip
            axes.add_patch(frame)


def _stretches(values: Sequence[int]) -> list[tuple[float, float]]:
    """Where a group lies along one side: from and to, in cells; in two pieces where it goes round the edge."""
    order = GRAY[len(values)]
    inside = [
        all(value in (2, code >> (len(values) - 1 - bit) & 1) for bit, value in enumerate(values)) for code in order
    ]
    places = [place for place, is_in in enumerate(inside) if is_in]
    if places[-1] - places[0] + 1 == len(places):
        return [(places[0], places[-1] + 1)]
    # First and last: each piece reaches far enough over the edge for its end to be cut off there.
    return [(-1.0, 1.0), (len(order) - 1.0, len(order) + 1.0)]


def _formula(names: Sequence[str], term: Sequence[int]) -> str:
    """A term as one would type it."""
    literals = [("" if value else "~") + name for name, value in zip(names, term, strict=True) if value < 2]
    return " & ".join(literals) or "1"


def _colour(place: int) -> str:
    return PALETTE[place % len(PALETTE)]


def _rgb(place: int) -> tuple[float, float, float]:
    from matplotlib.colors import to_rgb

    return to_rgb(_colour(place))


def _dashes(place: int) -> str:
    return ("-", "--", ":")[place // len(PALETTE) % 3]
