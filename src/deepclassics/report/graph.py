"""A network drawn as a graph: inputs on the left, a column a layer, what is heard from left to right."""

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deepclassics.errors import UserError
from deepclassics.report.style import BLUE, FAINT, INK, VERMILLION, drawable, sheet

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from deepclassics.layers.units import Units

MOST = 140  # nodes: more are a blot
TALLEST = 48  # nodes of one layer
LABELLED = 48  # connections that can carry their weights
TOLD = 4  # different weights that a legend tells
ROOM = 0.46  # inches from one node of a layer to the next
HIGHEST = 10.0  # inches: layers of many nodes are drawn smaller
THIN = 0.35  # of that, for a line that passes a layer by
SHARE = 0.36  # of a line's first or last stretch, where its label stands
LINE = 0.14  # inches of height for a line of text


@dataclass(frozen=True)
class Node:
    """A circle with `label` in it, in the column `layer`, and `note` below it."""

    label: str
    layer: int
    note: str = ""


@dataclass(frozen=True)
class Edge:
    """A line from one node to another of a later layer, by their places in the list of nodes.

    A `weight` gives it its colour, blue above 0 and vermillion below, and its width; `label` is written on it.
    """

    source: int
    target: int
    weight: float | None = None
    label: str = ""


def graph(nodes: Sequence[Node], edges: Sequence[Edge], heads: Sequence[str] = ()) -> "Figure":
    """Nodes of a layer below one another, in the order that makes lines cross little; the first layer keeps its own.

    `heads` are the titles of the columns. Where no line has a label and there are few different weights, a legend
    tells them.

    Raises:
        UserError: there are too many nodes to be told apart.
    """
    layers = 1 + max(node.layer for node in nodes)
    tallest = max(sum(node.layer == layer for node in nodes) for layer in range(layers))
    if len(nodes) > MOST or tallest > TALLEST:
        raise UserError(
            f"A network can be drawn up to {MOST} inputs and units, {TALLEST} of them in a layer; this one has "
            f"{len(nodes):,}, and {tallest:,} in a layer."
        )
    height, paths = _laid_out(nodes, edges, layers)
    low, high = min(height.values()), max(height.values())
    lines = max(1 + node.note.count("\n") if node.note else 0 for node in nodes)
    labelled = any(edge.label for edge in edges)
    # Inches for every inch of ROOM: more where there are notes and labels, fewer where a layer is tall.
    spread = min(1 + (LINE * lines + (0.15 if labelled else 0)) / ROOM, HIGHEST / max(high - low, 1e-9))
    letters = max((len(line) for node in nodes for line in node.label.split("\n")), default=1)
    size = min(max(0.17, min(0.24, 0.05 * letters + 0.05)), 0.45 * ROOM * spread)  # a circle's radius
    longest = max((len(line) for edge in edges for line in edge.label.split("\n")), default=0)
    tall = (high - low) * spread
    step = max(2.8 * size, (size + 0.045 * longest + 0.06) / SHARE, min(1.5, 9 / layers), min(0.35 * tall, 9 / layers))
    legend, notes = _told(edges), LINE * lines

    wide = step * (layers - 1) + 2 * size + 0.3
    tall += 2 * size + notes + 0.2 + (0.3 if heads else 0) + (0.3 if legend else 0)
    figure = sheet(max(wide, 3.2), max(tall, 1.2))
    axes = figure.subplots()
    axes.set_axis_off()
    axes.set_aspect("equal")
    place = {key: (step * key[0], -spread * y) for key, y in height.items()}
    out, into = Counter(edge.source for edge in edges), Counter(edge.target for edge in edges)
    for edge, path in zip(edges, paths, strict=True):
        # A label stands where fewer lines meet.
        share = SHARE if out[edge.source] <= into[edge.target] else 1 - SHARE
        _draw(axes, [place[key] for key in path], edge, share)
    for number, node in enumerate(nodes):
        _circle(axes, place[node.layer, number], node, size)
    for layer, head in enumerate(heads):
        axes.text(step * layer, -spread * low + size + 0.12, head, ha="center", va="bottom", fontsize=8, color=FAINT)
    axes.set_xlim(-size - 0.1, step * (layers - 1) + size + 0.1)
    axes.set_ylim(-spread * high - size - notes - 0.08, -spread * low + size + 0.1 + (0.25 if heads else 0))
    if legend:
        for weight in legend:
            axes.plot([], [], color=_colour(weight), linewidth=_width(weight), label=f"weight {_plain(weight)}")
        figure.legend(loc="outside lower left", ncols=TOLD, frameon=False)
    return figure


def units(network: "Units", names: Sequence[str]) -> "Figure":
    """A network of units: inputs by name, thresholds in the circles, weights on the lines or by colour and width.

    A step unit shows "≥ 2": it is 1 where its sum reaches 2. A ReLU or linear unit shows what is added to its sum.
    The outputs have a note.
    """
    from deepclassics.layers.units import KINDS

    total = network.inputs + len(network.kind)
    if total > MOST:
        raise UserError(f"A network can be drawn up to {MOST} inputs and units; this one has {total:,}.")
    outputs = set(network.output.tolist())
    nodes = [Node(name, 0) for name in drawable(names, 7)]
    for number, (kind, layer, threshold) in enumerate(
        zip(network.kind.tolist(), network.layer.tolist(), network.threshold.tolist(), strict=True), network.inputs
    ):
        label = f"≥ {_plain(threshold)}"
        if KINDS[kind] != "step":
            label = f"{KINDS[kind]}\n{_plain(-threshold, sign=True)}" if threshold else KINDS[kind]
        nodes.append(Node(label, layer, "output" if number in outputs else ""))
    heard = list(zip(network.source.tolist(), network.unit.tolist(), network.weight.tolist(), strict=True))
    many = len({weight for _, _, weight in heard}) > TOLD
    written = many and len(heard) <= LABELLED
    edges = [Edge(source, unit, weight, _plain(weight) if written else "") for source, unit, weight in heard]
    return graph(nodes, edges)


Key = tuple[int, int]  # layer, and the number of the node that is there or whose line passes by


def _laid_out(nodes: Sequence[Node], edges: Sequence[Edge], layers: int) -> tuple[dict[Key, float], list[list[Key]]]:
    """How far down everything is, in inches, and the way of every line (Sugiyama, Tagawa, Toda 1981).

    A line that skips layers passes through a place of its own in each of them, which all lines of its source share.
    """
    paths, near = [], {(node.layer, number): set[Key]() for number, node in enumerate(nodes)}
    for edge in edges:
        first, last = nodes[edge.source].layer, nodes[edge.target].layer
        path = [(layer, edge.source) for layer in range(first, last)] + [(last, edge.target)]
        paths.append(path)
        for one, other in itertools.pairwise(path):
            near.setdefault(one, set()).add(other)
            near.setdefault(other, set()).add(one)
    columns = [sorted((key for key in near if key[0] == layer), key=lambda key: key[1]) for layer in range(layers)]
    order = {key: float(place) for column in columns for place, key in enumerate(column)}

    def middle(key: Key, side: int, of: dict[Key, float]) -> float:
        """The mean of its neighbours' places on one side, or on both for 0; its own where there are none."""
        found = [of[other] for other in near[key] if not side or other[0] == key[0] + side]
        return sum(found) / len(found) if found else of[key]

    for side, some in ((-1, columns[1:]), (1, columns[-2:0:-1])) * 6:
        for column in some:
            wanted = {key: middle(key, side, order) for key in column}
            column.sort(key=lambda key, wanted=wanted: wanted[key])  # type: ignore[misc]
            order.update({key: place + (1 - len(column)) / 2 for place, key in enumerate(column)})

    def room(key: Key) -> float:
        return ROOM if nodes[key[1]].layer == key[0] else ROOM * THIN

    height: dict[Key, float] = {}
    for column in columns:
        total = 0.0
        for key in column:
            height[key] = total + room(key) / 2
            total += room(key)
        height.update({key: height[key] - total / 2 for key in column})
    for column in (columns + columns[::-1]) * 8:
        height.update(_apart(column, [middle(key, 0, height) for key in column], [room(key) for key in column]))
    return height, paths


def _apart(column: Sequence[Key], wanted: Sequence[float], rooms: Sequence[float]) -> dict[Key, float]:
    """The places nearest to those wanted, in this order and with room between them: an isotonic regression."""
    import numpy as np
    from sklearn.isotonic import isotonic_regression

    away = np.concatenate([[0.0], np.cumsum((np.array(rooms[1:]) + np.array(rooms[:-1])) / 2)])
    return dict(zip(column, (isotonic_regression(np.array(wanted) - away) + away).tolist(), strict=True))


def _draw(axes: "Axes", points: Sequence[tuple[float, float]], edge: Edge, share: float) -> None:
    """A line that leaves and enters every place levelly; its label at a share of its first or last stretch."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    (x, y), ways = points[0], [points[0]]
    for right, down in points[1:]:
        bend = 0.4 * (right - x)
        ways += [(x + bend, y), (right - bend, down), (right, down)]
        x, y = right, down
    path = Path(ways, [Path.MOVETO] + [Path.CURVE4] * (len(ways) - 1))
    colour, width = (INK, 0.9) if edge.weight is None else (_colour(edge.weight), _width(edge.weight))
    axes.add_patch(PathPatch(path, facecolor="none", edgecolor=colour, linewidth=width, alpha=0.8, zorder=1))
    if edge.label:
        (left, up), (right, down) = points[:2] if share < 0.5 else points[-2:]
        bow = share**2 * (3 - 2 * share)
        axes.text(left + share * (right - left), up + bow * (down - up), edge.label, fontsize=7, ha="center",
                  va="center", color=colour, zorder=2, linespacing=1.0,
                  bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6})  # fmt: skip


def _circle(axes: "Axes", place: tuple[float, float], node: Node, size: float) -> None:
    from matplotlib.patches import Circle

    axes.add_patch(Circle(place, size, facecolor="white" if node.layer else "#eeeeee", edgecolor=INK, zorder=3))
    letters = max(map(len, node.label.split("\n")))
    axes.text(*place, node.label, ha="center", va="center", fontsize=min(8, 190 * size / letters), zorder=4)
    if node.note:
        axes.text(place[0], place[1] - size - 0.03, node.note, ha="center", va="top", fontsize=7, zorder=4,
                  linespacing=1.0, bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.3})  # fmt: skip


def _told(edges: Sequence[Edge]) -> list[float]:
    """The weights that a legend tells: none where lines are labelled, or where there are too many."""
    found = sorted({edge.weight for edge in edges if edge.weight is not None}, reverse=True)
    return [] if len(found) > TOLD or any(edge.label for edge in edges) else found


def _colour(weight: float) -> str:
    return BLUE if weight >= 0 else VERMILLION


def _width(weight: float) -> float:
    return min(3.0, 0.6 + 0.5 * abs(weight))


def _plain(number: float, sign: bool = False) -> str:
    text = f"{number:+.3g}" if sign else f"{number:.3g}"
    return text.replace("-", "−")
