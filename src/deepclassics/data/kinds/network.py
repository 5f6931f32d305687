"""Small networks whose every weight is written down, with the examples to learn from: what one can follow by hand.

A network comes from a `.json` object. Its keys, of which all but inputs and units (or layers) may be left out:
- "inputs": their names, ["x1", "x2"]; or, of a single example, their values too, {"x1": 0.35, "x2": 0.9}.
- "units": a list of {"name": "h", "inputs": {"x1": 0.1, "x2": 0.8}, "bias": 0.5, "activation": "tanh"}. "inputs" are
  what the unit hears, inputs and other units, with their weights. A unit without a "bias" has none.
- "layers" in their place: a list of {"units": ["a", "b"], "weights": [[0.1, 0.8], [0.4, 0.6]], "biases": [0, 0],
  "activation": "sigmoid"}; a row of weights a unit, a column for each unit of the layer before. "units" may be a
  number.
- "activation" of a unit or of a layer: sigmoid unless told. "softmax" is for all outputs together.
- "outputs": names of units; otherwise those that no other unit hears.
- "target": {"o": 0.5}, of a single example; a list, or a number where there is one output.
- "examples": a list of {"inputs": ..., "target": ...}, where there are several.
- "loss": "squared", half the sum of squared errors, unless told; "mean_squared", their mean; "cross_entropy", in nats,
  of sigmoid or softmax outputs; "score", which needs no target: the outputs are to be raised, so the loss is minus
  their sum.
- "lr": the learning rate, otherwise 1. "order": "correct" unless told, or "notes" (see the system `backprop`).

Letters: N inputs, U units, K outputs, B examples.
"""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from deepclassics.data import objects
from deepclassics.data.kinds.function import digest
from deepclassics.data.streams import Batch, Columns, Splits
from deepclassics.errors import UserError, meant

ENDINGS = (".json",)
ACTIVATIONS = ("sigmoid", "tanh", "relu", "leaky", "elu", "softplus", "linear", "softmax")
LOSSES = ("squared", "mean_squared", "cross_entropy", "score")
ORDERS = ("correct", "notes")
KEYS = ("inputs", "units", "layers", "outputs", "target", "examples", "loss", "lr", "order")
UNITS, CONNECTIONS, EXAMPLES = 300, 5000, 10_000  # at most: a trace is read number by number


@dataclass(frozen=True)
class Unit:
    """A weighted sum and an activation. `weights` are (input or unit, weight); without a bias, `bias` is None."""

    name: str
    weights: tuple[tuple[str, float], ...]
    bias: float | None = None
    activation: str = "sigmoid"


@dataclass(frozen=True, eq=False)
class Network:
    """Units in an order in which each hears only inputs and earlier units, softmax units last; and examples."""

    inputs: tuple[str, ...]
    units: tuple[Unit, ...]
    outputs: tuple[str, ...]
    x: Tensor  # (B, N) of float64
    target: Tensor | None  # (B, K) of float64; None for the loss "score"
    loss: str = "squared"
    lr: float = 1.0
    order: str = "correct"
    note: str = ""  # what must be said of where it comes from
    name: str = ""


def network(
    where: str,
    inputs: Sequence[str],
    units: Iterable[Unit],
    examples: Sequence[tuple[Sequence[float], Sequence[float] | None]],
    outputs: Sequence[str] = (),
    loss: str = "squared",
    lr: float = 1.0,
    order: str = "correct",
    note: str = "",
) -> Network:
    """A network, checked as a whole. `where` begins the sentences; `examples` are pairs of inputs and targets.

    Raises:
        UserError: names what does not fit: loops, unknown names, too many units, a loss without its activation, ...
    """
    ordered, outputs = wired(where, inputs, units, outputs)
    _check_loss(loss, [unit.activation for unit in ordered if unit.name in outputs], where)
    _check_number(lr, f"{where}: lr", above=0)
    if order not in ORDERS:
        raise UserError(f"{where}: order must be correct or notes; got {order!r}.{meant(str(order), ORDERS)}")
    x, target = _columns(examples, len(outputs), loss, ordered[-1].activation == "softmax", where)
    return Network(tuple(inputs), tuple(ordered), outputs, x, target, loss, lr, order, note)


def wired(
    where: str, inputs: Sequence[str], units: Iterable[Unit], outputs: Sequence[str] = ()
) -> tuple[list[Unit], tuple[str, ...]]:
    """The units in order, and the outputs: what of a network does not depend on its examples. Raises as `network`."""
    by_name: dict[str, Unit] = {}
    for unit in units:
        if unit.name in by_name or unit.name in inputs:
            raise UserError(f"{where}: every input and unit must have a name of its own; '{unit.name}' comes twice.")
        by_name[unit.name] = unit
    if not inputs or not by_name:
        raise UserError(f"{where} must have inputs and units; it has no {'units' if inputs else 'inputs'}.")
    if len(set(inputs)) < len(inputs):
        raise UserError(f"{where}: every input must have a name of its own; got {', '.join(inputs)}.")
    if "bias" in (*inputs, *by_name):  # its connections would be called as those of the biases: "bias→h"
        raise UserError(f"{where}: bias must be no name of an input or a unit, for biases are called so. Name it anew.")
    check_size(where, len(inputs) + len(by_name), sum(len(unit.weights) for unit in by_name.values()))
    for unit in by_name.values():
        _check(unit, [*inputs, *by_name], where)
    heard = {source for unit in by_name.values() for source, _ in unit.weights}
    outputs = tuple(outputs) or tuple(name for name in by_name if name not in heard)
    for name in outputs:
        if name not in by_name or outputs.count(name) > 1:
            raise UserError(f"{where}: outputs must name different units; got '{name}'.{meant(name, by_name)}")
    ordered = _in_order(by_name, where)
    soft = [unit for unit in ordered if unit.activation == "softmax"]
    if soft and ({unit.name for unit in soft} != set(outputs) or heard & set(outputs)):
        raise UserError(f"{where}: softmax must be the activation of all outputs, which nothing hears, or of no unit.")
    return [unit for unit in ordered if unit.activation != "softmax"] + soft, outputs


def check_size(where: str, units: int, connections: int) -> None:
    """Refuses what nobody could read number by number. `units` counts the inputs too."""
    if units > UNITS or connections > CONNECTIONS:
        raise UserError(
            f"{where} must have at most {UNITS} inputs and units and {CONNECTIONS:,} connections, to be followed "
            f"number by number; got {units:,} and {connections:,}. Give a smaller network."
        )


def _check(unit: Unit, known: Sequence[str], where: str) -> None:
    if unit.activation not in ACTIVATIONS:
        raise UserError(
            f"{where}: the activation of '{unit.name}' must be one of {', '.join(ACTIVATIONS)}; got "
            f"{unit.activation!r}.{meant(str(unit.activation), ACTIVATIONS)}"
        )
    if not unit.weights:
        raise UserError(f"{where}: every unit must hear an input or another unit; '{unit.name}' hears none.")
    for source, _ in unit.weights:
        if source not in known:
            raise UserError(
                f"{where}: '{unit.name}' must hear inputs and units that exist; got '{source}'.{meant(source, known)}"
            )


def _in_order(units: dict[str, Unit], where: str) -> list[Unit]:
    """Every unit after those that it hears, by a search in depth; what leads back to itself is refused."""
    done: dict[str, bool] = {}  # False while what the unit hears is being placed
    ordered: list[Unit] = []
    for first in units:
        waiting = [first]
        while waiting:
            name = waiting[-1]
            if done.get(name):
                waiting.pop()
                continue
            done[name] = False
            open_ = [source for source, _ in units[name].weights if source in units and not done.get(source)]
            if round_ := next((source for source in open_ if source in done), None):
                path = [each for each in waiting if not done.get(each, True)]
                path = [*path[path.index(round_) :], round_]
                raise UserError(
                    f"{where} must have no loop, or backpropagation would go round and round; got "
                    f"{' ← '.join(path)}. Leave one of these connections out."
                )
            if open_:
                waiting.append(open_[0])
            else:
                done[name] = True
                ordered.append(units[waiting.pop()])
    return ordered


def _check_loss(loss: str, activations: Sequence[str], where: str) -> None:
    if loss not in LOSSES:
        raise UserError(f"{where}: loss must be one of {', '.join(LOSSES)}; got {loss!r}.{meant(str(loss), LOSSES)}")
    if loss == "cross_entropy" and set(activations) not in ({"sigmoid"}, {"softmax"}):
        raise UserError(
            f"{where}: the loss cross_entropy needs outputs that are all sigmoid or all softmax; got "
            f"{', '.join(sorted(set(activations)))}."
        )


def _columns(
    examples: Sequence[tuple[Sequence[float], Sequence[float] | None]], outputs: int, loss: str, soft: bool, where: str
) -> tuple[Tensor, Tensor | None]:
    """(B, N) of inputs and, where the loss needs them, (B, K) of targets."""
    if not 1 <= len(examples) <= EXAMPLES:
        raise UserError(f"{where} must have 1 to {EXAMPLES:,} examples; got {len(examples):,}.")
    x = torch.tensor([given for given, _ in examples], dtype=torch.float64)
    if loss == "score":
        return x, None
    for number, (_, wanted) in enumerate(examples, 1):
        if wanted is None or len(wanted) != outputs:
            raise UserError(
                f"{where}, example {number}: the target must have a number for each of {outputs} outputs; got "
                f"{'none' if wanted is None else len(wanted)}."
            )
    target = torch.tensor([wanted for _, wanted in examples], dtype=torch.float64)
    if loss == "cross_entropy":
        wrong = (target < 0) | (target > 1) | ((target.sum(1, keepdim=True) - 1).abs() > 1e-9 if soft else False)
        if bool(wrong.any()):
            raise UserError(
                f"{where}: for cross_entropy the targets must be from 0 to 1{', and sum to 1' if soft else ''}; got "
                f"{' '.join(f'{value:g}' for value in target[int(wrong.any(1).nonzero()[0])].tolist())}."
            )
    return x, target


# --- a user's file


def from_path(path: Path) -> Network:
    """A network from the user's file: see the head of this module for what it may hold.

    Raises:
        UserError: names the file and what must be there.
    """
    where = str(path)
    told = _is(objects.read(path), dict, f"{where} must hold an object with the keys {', '.join(KEYS)}")
    _check_keys(told, KEYS, where)
    if ("units" in told) == ("layers" in told):
        raise UserError(f"{where} must have either units or layers; it has {'both' if 'units' in told else 'neither'}.")
    given = told.get("inputs", [])
    values = given if isinstance(given, dict) else None
    inputs = _names(list(given) if values is not None else given, f"{where}: inputs")
    units = _units(told["units"], where) if "units" in told else _layers(told["layers"], inputs, where)
    units, outputs = wired(where, inputs, units, _names(told.get("outputs", []), f"{where}: outputs"))
    return network(
        where, inputs, units, _examples(told, values, inputs, outputs, where), outputs, told.get("loss", "squared"),
        _number(told.get("lr", 1.0), f"{where}: lr"), told.get("order", "correct"),
    )  # fmt: skip


def _units(told: Any, where: str) -> list[Unit]:
    units = []
    for number, row in enumerate(_is(told, list, f"{where}: units must be a list of objects"), 1):
        place = f"{where}, unit {number}"
        _check_keys(_is(row, dict, f"{place} must be an object"), ("name", "inputs", "bias", "activation"), place)
        (name,) = _names([row.get("name", f"u{number}")], place)
        weights = _is(row.get("inputs", {}), dict, f"{place}: inputs must be an object of names and weights")
        numbers = {source: _number(weight, f"{place}: the weight of '{source}'") for source, weight in weights.items()}
        bias = None if row.get("bias") is None else _number(row["bias"], f"{place}: bias")
        units.append(Unit(name, tuple(numbers.items()), bias, row.get("activation", "sigmoid")))
    return units


def _layers(told: Any, inputs: list[str], where: str) -> list[Unit]:
    units: list[Unit] = []
    before = inputs
    layers = _is(told, list, f"{where}: layers must be a list of objects")
    for number, row in enumerate(layers, 1):
        place = f"{where}, layer {number}"
        _check_keys(_is(row, dict, f"{place} must be an object"), ("units", "weights", "biases", "activation"), place)
        weights = _is(row.get("weights"), list, f"{place}: weights must be a list with a row for every unit")
        named = row.get("units", len(weights))
        if isinstance(named, int):
            if named > UNITS:
                raise UserError(f"{place}: units must be at most {UNITS}; got {named}.")
            letter = "y" if number == len(layers) else f"h{number}."
            named = [f"{letter}{unit}" for unit in range(1, named + 1)]
        names = _names(named, f"{place}: units")
        biases = row.get("biases")
        biases = [None] * len(names) if biases is None else _is(biases, list, f"{place}: biases must be a list")
        widths = sorted({len(each) if isinstance(each, list) else 1 for each in weights})
        if len(weights) != len(names) or widths != [len(before)] or not all(isinstance(each, list) for each in weights):
            raise UserError(
                f"{place}: weights must be {len(names)} rows, one a unit, of {len(before)} numbers, one for each unit "
                f"before; got {len(weights)} rows of {' and '.join(map(str, widths)) or 'no'} numbers."
            )
        if len(biases) != len(names):
            raise UserError(f"{place}: biases must be {len(names)} numbers, one a unit; got {len(biases)}.")
        for name, each, bias in zip(names, weights, biases, strict=True):
            numbers = [_number(weight, f"{place}: a weight of '{name}'") for weight in each]
            bias = None if bias is None else _number(bias, f"{place}: the bias of '{name}'")
            units.append(Unit(name, tuple(zip(before, numbers, strict=True)), bias, row.get("activation", "sigmoid")))
        before = names
    return units


def _examples(
    told: dict[str, Any], values: dict[str, Any] | None, inputs: list[str], outputs: Sequence[str], where: str
) -> list[tuple[list[float], list[float] | None]]:
    if "examples" in told:
        if values is not None or "target" in told:
            raise UserError(
                f"{where}: with examples, inputs must be a list of names, and targets stand in the examples; it has "
                f"{'values of the inputs' if values is not None else 'a target'} beside them."
            )
        rows = _is(told["examples"], list, f"{where}: examples must be a list of objects")
    elif values is None:
        raise UserError(
            f'{where} must have an example to learn from, as "inputs": {{"{inputs[0]}": 0.5}}; it has none.'
        )
    else:
        rows = [{"inputs": values, "target": told.get("target")}]
    found = []
    for number, row in enumerate(rows, 1):
        place = f"{where}, example {number}"
        _check_keys(_is(row, dict, f"{place} must be an object"), ("inputs", "target"), place)
        target = row.get("target")
        found.append(
            (
                _values(row.get("inputs"), inputs, f"{place}: inputs"),
                None if target is None else _values(target, outputs, f"{place}: target"),
            )
        )
    return found


def _values(told: Any, names: Sequence[str], what: str) -> list[float]:
    """A number for each of the names, from an object, a list, or a number alone."""
    if isinstance(told, dict):
        for name in told:
            if name not in names:
                raise UserError(f"{what} must be of {', '.join(names[:20])}; got '{name}'.{meant(name, names)}")
        told = [told[name] for name in names if name in told]
    elif not isinstance(told, list):
        told = [told]
    if len(told) != len(names):
        raise UserError(f"{what} must have a number for each of {', '.join(names[:20])}; got {len(told)}.")
    return [_number(value, what) for value in told]


def _names(told: Any, what: str) -> list[str]:
    names = _is(told, list, f"{what} must be a list of names")
    for name in names:
        if not isinstance(name, str) or not name.strip():
            raise UserError(f"{what}: a name must be a word; got {json.dumps(name)[:60]}.")
    return names


def _check_keys(told: dict[str, Any], known: Sequence[str], where: str) -> None:
    for key in told:
        if key not in known:
            raise UserError(f"{where} must have no keys but {', '.join(known)}; got '{key}'.{meant(key, known)}")


def _number(value: Any, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UserError(f"{what} must be a number; got {json.dumps(value)[:60]}.")
    _check_number(value, what)
    return float(value)


def _check_number(value: float, what: str, above: float = -math.inf) -> None:
    if not above < value < math.inf or abs(value) > 1e300:  # NaN too
        least = f" greater than {above:g}" if above == 0 else ""
        raise UserError(f"{what} must be a finite number{least}, at most 1e300; got {str(value)[:40]}.")


def _is(value: Any, kind: type, must: str) -> Any:
    if not isinstance(value, kind):
        raise UserError(f"{must}; got {json.dumps(value)[:60]}.")
    return value


# --- as the house sees it


def splits(raw: Network, *, seed: int, valid: float, test: float) -> Splits:
    """The examples, all to learn from and all to judge by: a trace is followed, nothing is held back."""
    columns = {"example": torch.arange(len(raw.x)), "input": raw.x}
    if raw.target is not None:
        columns["target"] = raw.target
    weights = [weight for unit in raw.units for weight in (*dict(unit.weights).values(), unit.bias or 0.0)]
    numbers = torch.tensor([*weights, raw.lr], dtype=torch.float64)
    spec = {
        "kind": "network",
        "data": raw.name,
        "inputs": list(raw.inputs),
        "units": [
            {"name": unit.name, "inputs": dict(unit.weights), "bias": unit.bias, "activation": unit.activation}
            for unit in raw.units
        ],
        "outputs": list(raw.outputs),
        "loss": raw.loss,
        "lr": raw.lr,
        "order": raw.order,
        "note": raw.note,
        "examples": {"train": len(raw.x), "test": len(raw.x)},
        "content": digest(numbers, raw.x, *([] if raw.target is None else [raw.target])),
    }
    return Splits(spec, Columns(**columns), None, Columns(**columns))


def read(inputs: Sequence[str], spec: dict[str, Any]) -> tuple[list[str], Batch]:
    """Examples as they are typed: "0.35,0.9", the inputs in order; or "0.35,0.9,0.5", the targets after them."""
    names, targets = spec["inputs"], [] if spec["loss"] == "score" else spec["outputs"]
    rows = []
    for word in inputs:
        cells = [cell.strip() for cell in word.split(",")]
        if len(cells) not in (len(names), len(names) + len(targets)):
            after = f", or {len(names) + len(targets)} with those of {_listed(targets)}" if targets else ""
            raise UserError(
                f"A question must be {len(names)} numbers between commas, those of {_listed(names)}{after}; got "
                f"{len(cells)} in '{word[:60]}'."
            )
        try:
            rows.append([float(cell) for cell in cells])
        except ValueError:
            raise UserError(f"A question must be numbers between commas, as 0.35,0.9; got '{word[:60]}'.") from None
        for value in rows[-1]:
            _check_number(value, f"Every number of '{word[:60]}'")
    if len({len(row) for row in rows}) > 1:
        raise UserError("Questions must all have targets, or none of them; got both kinds. Ask them one by one.")
    table = torch.tensor(rows, dtype=torch.float64)
    batch: Batch = {"example": torch.arange(len(rows)), "input": table[:, : len(names)]}
    return list(inputs), batch | ({"target": table[:, len(names) :]} if table.shape[1] > len(names) else {})


def show(answer: Batch, names: list[str], spec: dict[str, Any], folder: Path) -> list[dict[str, Any]]:
    """Rows of "name" and, by unit, "sum" and "output"; where a target was given, "delta" and the "gradient" of the
    loss by connection.

    `answer` has "network", (B, U) outputs of all units, "sum", (B, U), and perhaps "delta", (B, U), and "gradient",
    (B, M), of float64.
    """
    units = [unit["name"] for unit in spec["units"]]
    heads = {"sum": units, "network": units, "delta": units, "gradient": connections(spec)}
    return [
        {"name": name}
        | {
            {"network": "output"}.get(key, key): dict(zip(heads[key], answer[key][row].tolist(), strict=True))
            for key in heads
            if key in answer
        }
        for row, name in enumerate(names)
    ]


def connections(spec: dict[str, Any]) -> list[str]:
    """The names of all M weights, unit by unit, a bias after the others: "x1→h", "bias→h"."""
    return [
        f"{source}→{unit['name']}"
        for unit in spec["units"]
        for source in [*unit["inputs"], *(["bias"] if unit["bias"] is not None else [])]
    ]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
