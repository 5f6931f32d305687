"""One update of a small network, number by number: as lines, as a table at full precision, as a drawing.

`spec` is that of a network (`data.kinds.network`), and `update` what the learner of `backprop` keeps of one: "example",
(B,); "sum" and "delta", (B, U); "value", (B, 1 + N + U), of which the first is the constant 1; "product", (M,), the
mean of δ_j out_i; "before" and "after", (M,), the weights.

Letters: B examples, N inputs, U units, M weights.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from torch import Tensor

from deepclassics.data.kinds.network import connections
from deepclassics.report.graph import Edge, Node, graph
from deepclassics.report.style import drawable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Update = Mapping[str, Tensor]

EXAMPLES = 20  # that a table tells
WRITTEN = 16  # lines of a drawing that can carry their numbers
WIDER = 1.3  # it is then made, for labels of two numbers to keep apart where lines cross


def lines(spec: dict[str, Any], update: Update) -> list[str]:
    """A line for every unit: its sum, output and delta on the first example, and its weights before → after."""
    found, place = [], 0
    first = 1 + len(spec["inputs"])
    for number, unit in enumerate(spec["units"]):
        weights = []
        for source in _heard(unit):
            before, after = (float(update[when][place]) for when in ("before", "after"))
            weights.append(f"{source} {before:.6g} → {after:.6g}")
            place += 1
        found.append(
            f"{unit['name']} ({unit['activation']}): sum {float(update['sum'][0, number]):.6g}, output "
            f"{float(update['value'][0, first + number]):.6g}, delta {float(update['delta'][0, number]):.6g}; "
            f"weights {', '.join(weights)}."
        )
    return found


def table(spec: dict[str, Any], update: Update, lr: float) -> str:
    """Every number, with all the digits that there are."""
    names, units = spec["inputs"], spec["units"]
    pieces = []
    for row, example in enumerate(update["example"].tolist()[:EXAMPLES]):
        values = update["value"][row].tolist()
        pieces.append(f"Example {example + 1}")
        pieces.append(_table(["input", "value"], [[name, values[1 + k]] for k, name in enumerate(names)]))
        first, sums, deltas = 1 + len(names), update["sum"][row].tolist(), update["delta"][row].tolist()
        told = [
            [unit["name"], unit["activation"], sums[k], values[first + k], deltas[k]] for k, unit in enumerate(units)
        ]
        pieces.append(_table(["unit", "activation", "sum", "output", "delta"], told))
    if len(update["example"]) > EXAMPLES:
        pieces.append(f"... and {len(update['example']) - EXAMPLES:,} examples more.")
    mean = " (mean over the examples)" if len(update["example"]) > 1 else ""
    pieces.append(f"Weights: after = before + {lr:g} × δ × value of the source{mean}")
    columns = (update[key].tolist() for key in ("before", "product", "after"))
    told = [[name, *numbers] for name, *numbers in zip(connections(spec), *columns, strict=True)]
    pieces.append(_table(["weight", "before", "δ × source", "after"], told))
    return "\n\n".join(pieces)


def drawn(spec: dict[str, Any], update: Update) -> "Figure":
    """The network with its first example: sums, outputs and deltas below the units, weights before → after on the
    lines, a line of the drawing for the bias."""
    first = 1 + len(spec["inputs"])
    values, sums, deltas = (update[key][0].tolist() for key in ("value", "sum", "delta"))
    layers: dict[str, int] = dict.fromkeys(spec["inputs"], 0)
    for unit in spec["units"]:
        layers[unit["name"]] = 1 + max(layers[source] for source in unit["inputs"])
    heard = {source for unit in spec["units"] for source in unit["inputs"]}
    ends = [name for name in spec["outputs"] if name not in heard]
    layers.update(dict.fromkeys(ends, max(layers.values())))  # so that they stand below one another
    labels = ["\n".join(wrap(name.replace("=", "= "), 9)[:2]) for name in drawable(list(layers))]
    nodes = [Node(labels[k], 0, _rounded(values[1 + k])) for k in range(len(spec["inputs"]))]
    edges, place = [], 0
    numbers = {name: number for number, name in enumerate(layers)}
    for k, unit in enumerate(spec["units"]):
        note = f"Σ {_rounded(sums[k])}\nout {_rounded(values[first + k])}\nδ {_rounded(deltas[k])}"
        for source in _heard(unit):
            before, after = (float(update[when][place]) for when in ("before", "after"))
            if source == "bias" and source not in unit["inputs"]:
                note += f"\nbias {_rounded(before)}\n→ {_rounded(after)}"
            else:
                label = f"{_rounded(before)} →\n{_rounded(after)}"
                edges.append(Edge(numbers[source], numbers[unit["name"]], before, label))
            place += 1
        nodes.append(Node(labels[numbers[unit["name"]]], layers[unit["name"]], note))
    if len(edges) > WRITTEN:
        return graph(nodes, [replace(edge, label="") for edge in edges])
    figure = graph(nodes, edges)
    width, height = figure.get_size_inches()
    figure.set_size_inches(WIDER * width, WIDER * height)
    return figure


def _heard(unit: dict[str, Any]) -> list[str]:
    return [*unit["inputs"], *(["bias"] if unit["bias"] is not None else [])]


def _rounded(number: float) -> str:
    return f"{number:.4g}".replace("-", "−")


def _table(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Columns of even width, numbers to the right."""
    cells = [[f"{cell:.16g}" if isinstance(cell, float) else cell for cell in row] for row in rows]
    widths = [max(len(row[k]) for row in [list(heads), *cells]) for k in range(len(heads))]
    right = [isinstance(cell, float) for cell in rows[0]]
    lines = [
        "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in [list(heads), *cells]
    ]
    return "\n".join(lines)
