"""Networks drawn as graphs, and Karnaugh maps: what stands where, and that nothing is left out."""

import io
import itertools
from collections.abc import Iterator

import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch, PathPatch

from deepclassics.errors import UserError
from deepclassics.layers.units import Draft, Units
from deepclassics.report import graph, karnaugh
from deepclassics.report.graph import ROOM, Edge, Node
from deepclassics.report.style import settings


@pytest.fixture(autouse=True)
def look() -> Iterator[None]:
    with settings():
        yield


def drawn(figure: Figure) -> list[str]:
    """Draws it, which must warn of nothing, and returns its words."""
    figure.savefig(io.BytesIO(), dpi=50)
    legends = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    return [text.get_text() for axes in figure.axes for text in axes.texts] + legends


def network(draft: Draft, *outputs: int) -> Units:
    found = Units(draft.inputs)
    found.take(draft.finish(*outputs))
    return found


def test_every_node_edge_label_and_note_is_drawn() -> None:
    nodes = [Node("x\n0.3", 0), Node("y", 0), Node("h", 1, "δ = 2\nnet 1"), Node("o", 2)]
    edges = [Edge(0, 2, 0.5, "0.5 → 0.4"), Edge(1, 2, -1.0, "−1"), Edge(2, 3), Edge(0, 3, 2.0)]
    figure = graph.graph(nodes, edges, ("inputs", "hidden", "output"))
    words = drawn(figure)
    for word in ("x\n0.3", "y", "h", "o", "δ = 2\nnet 1", "0.5 → 0.4", "−1", "inputs", "hidden", "output"):
        assert word in words
    kinds = [type(patch) for patch in figure.axes[0].patches]
    assert (kinds.count(Circle), kinds.count(PathPatch)) == (4, 4)


def test_nodes_of_a_layer_do_not_touch_and_inputs_keep_their_order() -> None:
    nodes = [Node(str(number), number // 6) for number in range(18)]
    edges = [Edge(a, b) for a in range(18) for b in range(18) if b // 6 > a // 6 and (a * 7 + b * 5) % 3 == 0]
    height, paths = graph._laid_out(nodes, edges, 3)
    for layer in range(3):
        places = sorted(height[layer, number] for number in range(18) if number // 6 == layer)
        assert all(low + ROOM <= high + 1e-9 for low, high in itertools.pairwise(places))
    assert [height[0, number] for number in range(6)] == sorted(height[0, number] for number in range(6))
    for edge, path in zip(edges, paths, strict=True):
        assert [layer for layer, _ in path] == list(range(edge.source // 6, edge.target // 6 + 1))


def test_a_tree_is_drawn_without_crossings() -> None:
    """Given in an order that crosses: the layout mends it."""
    nodes = [Node(str(number), 0) for number in range(8)] + [Node("", 1) for _ in range(4)] + [Node("", 2)]
    edges = [Edge(number, 11 - number // 2) for number in range(8)] + [Edge(number, 12) for number in range(8, 12)]
    height, _ = graph._laid_out(nodes, edges, 3)
    ends = [(height[0, edge.source], height[1, edge.target]) for edge in edges[:8]]
    assert not any((a - c) * (b - d) < 0 for (a, b), (c, d) in itertools.combinations(ends, 2))


def test_few_weights_are_told_by_a_legend_and_many_on_the_lines() -> None:
    draft = Draft(2)
    both = draft.add({0: 1, 1: 1}, 2)
    words = drawn(graph.units(network(draft, draft.add({0: 1, 1: 1, both: -2}, 1)), ["a", "b"]))
    for word in ("a", "b", "≥ 2", "≥ 1", "output", "weight 1", "weight −2"):
        assert word in words
    draft = Draft(3)
    hidden = [draft.add({0: 0.1 * k, 1: -0.3 * k, 2: 1.5}, -0.5 * k, "relu") for k in range(1, 4)]
    words = drawn(graph.units(network(draft, draft.add({hidden[0]: 7.25, hidden[2]: 1}, 0, "linear")), list("abc")))
    for word in ("relu\n+0.5", "relu\n+1.5", "linear", "7.25", "0.1", "−0.9"):
        assert word in words
    assert not any(word.startswith("weight") for word in words)


@pytest.mark.parametrize("hidden", [1, 20, 45])
def test_networks_of_many_sizes_are_drawn(hidden: int) -> None:
    draft = Draft(2)
    units = [draft.add({0: 1, 1: -1}, number) for number in range(hidden)]
    figure = graph.units(network(draft, draft.add(dict.fromkeys(units, 1.0), hidden)), ["a", "b"])
    assert drawn(figure).count("output") == 1
    assert max(figure.get_size_inches()) < 13


def test_what_is_too_large_is_told() -> None:
    draft = Draft(2)
    for number in range(200):
        draft.add({0: 1}, number)
    with pytest.raises(UserError, match="up to 140 inputs and units; this one has 202"):
        graph.units(network(draft, 2), ["a", "b"])
    with pytest.raises(UserError, match="48 of them in a layer; this one has 60, and 59 in a layer"):
        graph.graph([Node("", 0), *(Node("", 1) for _ in range(59))], [])


@pytest.mark.parametrize("across", [1, 2])
def test_a_group_lies_round_the_cells_of_its_term(across: int) -> None:
    """Every term over the inputs along one side, wrapped round the edge or not."""
    order = karnaugh.GRAY[across]
    for term in itertools.product((0, 1, 2), repeat=across):
        inside = {
            place
            for place, code in enumerate(order)
            if all(value in (2, code >> (across - 1 - bit) & 1) for bit, value in enumerate(term))
        }
        reached = {
            place
            for low, high in karnaugh._stretches(term)
            for place in range(len(order))
            if low <= place and place + 1 <= high
        }
        assert reached == inside, term


@pytest.mark.parametrize("inputs", [1, 2, 3, 4, 5, 6])
def test_a_map_has_every_row_once(inputs: int) -> None:
    values = torch.arange(2**inputs) % 3 == 0
    groups = torch.full((1, inputs), 2, dtype=torch.int8)
    figure = karnaugh.karnaugh(values, [f"x{number}" for number in range(1, inputs + 1)], groups)
    words = drawn(figure)
    assert words.count("1") - 1 == int(values.sum()), "one more is the group's formula, which holds no input"
    assert words.count("0") == int((~values).sum())
    assert len(figure.axes) == 2 ** max(0, inputs - 4)
    frames = [patch for axes in figure.axes for patch in axes.patches if isinstance(patch, FancyBboxPatch)]
    assert len(frames) == len(figure.axes)


def test_rows_of_a_map_stand_under_their_titles() -> None:
    """Row 0b0110 of four inputs: in the second row, 01, and the last column, 10."""
    values = torch.zeros(16, dtype=torch.bool)
    values[0b0110] = True
    figure = karnaugh.karnaugh(values, ["a", "b", "c", "d"], torch.tensor([[0, 1, 1, 0]], dtype=torch.int8))
    assert "~a & b & c & ~d" in drawn(figure)
    (one,) = (text for text in figure.axes[0].texts if text.get_text() == "1")
    assert one.get_position() == (3.5, 1.5)
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["00", "01", "11", "10"]
    assert (figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()) == ("c d", "a b")
