"""A feedforward network given unit by unit: what is built, where others are learnt.

Letters: B examples, N inputs, U units, M connections.
"""

import warnings
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn

from deepclassics.data.streams import Batch, Stream
from deepclassics.layers.sizes import take_sizes
from deepclassics.learn import Box, Clock, Learner, Scores, Stateful

Kind = Literal["step", "relu", "linear"]
KINDS: tuple[Kind, ...] = ("step", "relu", "linear")
AT_ONCE = 8_000_000  # values of units kept at a time: 64 MB


class Units(nn.Module):
    """N inputs, numbered 0 to N-1, and units, numbered from N on in the order they were added.

    A unit sums the weighted values of inputs and earlier units and takes off its threshold. A "step" unit then is 1
    where the rest is 0 or more, as in McCulloch and Pitts (1943), else 0; a "relu" unit is the rest or 0, whichever is
    more; a "linear" unit is the rest itself. A unit's layer is one more than the highest layer it hears, so units of a
    layer work at once; it may skip layers. The outputs are the units named by `finish`.

    How many units there are is known only once they are built: the buffers take the size of what is loaded.
    """

    kind: Tensor  # (U,) of int64, an index into KINDS
    layer: Tensor  # (U,) of int64, from 1
    threshold: Tensor  # (U,) of float64
    unit: Tensor  # (M,) of int64, the unit that hears, ascending
    source: Tensor  # (M,) of int64, what it hears: an input or a unit
    weight: Tensor  # (M,) of float64
    output: Tensor  # of int64: the units that are the answer

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.inputs = inputs
        whole = ("kind", "layer", "unit", "source", "output")
        for name in (*whole, "threshold", "weight"):
            self.register_buffer(name, torch.zeros(0, dtype=torch.int64 if name in whole else torch.float64))
        self._matrices: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *rest: Any) -> None:
        take_sizes(self, state, prefix, *dict(self.named_buffers()))
        self._matrices = []
        super()._load_from_state_dict(state, prefix, *rest)

    def take(self, draft: "Draft") -> None:
        """Becomes the network that was drafted."""
        device = self.weight.device
        kind, layer, threshold = zip(*draft.units, strict=True) if draft.units else ((), (), ())
        self.kind = torch.tensor(kind, dtype=torch.int64, device=device)
        self.layer = torch.tensor(layer, dtype=torch.int64, device=device)
        self.threshold = torch.tensor(threshold, dtype=torch.float64, device=device)
        self.unit = torch.tensor(draft.unit, dtype=torch.int64, device=device)
        self.source = torch.tensor(draft.source, dtype=torch.int64, device=device)
        self.weight = torch.tensor(draft.weight, dtype=torch.float64, device=device)
        self.output = torch.tensor(draft.outputs, dtype=torch.int64, device=device)
        self._matrices = []

    def _apply(self, fn: Any, recurse: bool = True) -> "Units":
        self._matrices = []
        return super()._apply(fn, recurse)

    def _planned(self) -> list[tuple[Tensor, Tensor, Tensor, Tensor]]:
        """For every layer: the numbers of its units, their weights as a sparse matrix, thresholds and kinds."""
        if not self._matrices and len(self.kind):
            values = self.inputs + len(self.kind)
            place = self.layer[self.unit - self.inputs]
            for number in range(1, int(self.layer.max()) + 1):
                units = (self.layer == number).nonzero().flatten()
                mine = place == number
                row = torch.searchsorted(units, self.unit[mine] - self.inputs)
                index = torch.stack([row, self.source[mine]])
                with warnings.catch_warnings():  # torch calls sparse layouts beta; all that is used is one product
                    warnings.simplefilter("ignore")
                    matrix = torch.sparse_coo_tensor(index, self.weight[mine], (len(units), values))
                    matrix = matrix.coalesce().to_sparse_csr()
                self._matrices.append((units + self.inputs, matrix, self.threshold[units, None], self.kind[units]))
        return self._matrices

    def values(self, x: Tensor) -> Tensor:  # (B, N) -> (B, N + U) of float64
        """Inputs and the values of all units."""
        values = torch.zeros(self.inputs + len(self.kind), len(x), dtype=torch.float64, device=x.device)
        values[: self.inputs] = x.T
        for units, matrix, threshold, kind in self._planned():
            rest = matrix @ values - threshold
            first = int(kind[0])
            if bool((kind == first).all()):
                values[units] = _fired(rest, KINDS[first])
            else:
                each = torch.stack([_fired(rest, name) for name in KINDS])
                values[units] = each.gather(0, kind[None, :, None].expand(1, -1, len(x)))[0]
        return values.T

    def forward(self, x: Tensor) -> Tensor:  # (B, N) -> (B, outputs) of float64
        """The outputs. Before anything is built there are none to tell, and all are 0."""
        if not len(self.output):
            return torch.zeros(len(x), 1, dtype=torch.float64, device=x.device)
        rows = max(1, AT_ONCE // (self.inputs + len(self.kind)))
        return torch.cat([self.values(part)[:, self.output] for part in x.flatten(1).split(rows)])

    def counts(self) -> dict[str, int]:
        """units; layers, inputs not counted; connections; parameters, which are connections and thresholds not 0."""
        return {
            "units": len(self.kind),
            "layers": int(self.layer.max()) if len(self.layer) else 0,
            "connections": len(self.weight),
            "parameters": len(self.weight) + int((self.threshold != 0).sum()),
        }


class Draft:
    """A network while it is being built."""

    def __init__(self, inputs: int) -> None:
        self.inputs = inputs
        self.units: list[tuple[int, int, float]] = []  # kind, layer, threshold
        self.unit: list[int] = []
        self.source: list[int] = []
        self.weight: list[float] = []
        self.outputs: list[int] = []

    def add(self, weights: dict[int, float], threshold: float, kind: Kind = "step") -> int:
        """Adds a unit that hears {input or unit: weight}, and returns its number. Connections of weight 0 are left out,
        and those that are 0 but for rounding, beside the unit's largest."""
        number = self.inputs + len(self.units)
        assert all(source < number for source in weights), "a unit hears inputs and earlier units"
        layer = 1 + max((self.layer(source) for source in weights), default=0)
        self.units.append((KINDS.index(kind), layer, float(threshold)))
        least = 1e-15 * max((abs(weight) for weight in weights.values()), default=0.0)
        for source, weight in weights.items():
            if abs(weight) > least:
                self.unit.append(number)
                self.source.append(source)
                self.weight.append(float(weight))
        return number

    def layer(self, number: int) -> int:
        """The layer of a unit; 0 for an input."""
        return 0 if number < self.inputs else self.units[number - self.inputs][1]

    def finish(self, *outputs: int) -> "Draft":
        """Names the units whose values are the answer."""
        self.outputs = list(outputs)
        return self


class Built(Learner):
    """One step builds the network that `build(batch)` drafts, unless there is none, and keeps what is told of it.

    `judge(model, stream)` gives the scores of an evaluation, beside which stand the counts of the network.
    """

    def __init__(
        self,
        model: Units,
        build: Callable[[Batch], tuple[Draft | None, str]],
        judge: Callable[[Units, Stream], Scores],
    ) -> None:
        self.model: Units = model
        self.build, self.judge = build, judge
        self.told = Box("")

    def step(self, batch: Batch, clock: Clock) -> Scores:
        draft, self.told.value = self.build(batch)
        if draft is not None:
            self.model.take(draft)
        self.done = True
        return {name: float(count) for name, count in self.model.counts().items()}

    def evaluate(self, stream: Stream) -> Scores:
        return {**self.judge(self.model, stream), **self.model.counts()}

    def parts(self) -> dict[str, Stateful]:
        return {"model": self.model, "told": self.told}


def decide(model: nn.Module, x: Tensor) -> Tensor:  # (B, N) -> (B,) of bool
    """What a network of a single output says."""
    return model(x)[:, 0] > 0.5


def error(model: Units, stream: Stream) -> Scores:
    """The share of examples that a network of a single output gets wrong."""
    wrong = [decide(model, batch["features"]) != batch["label"].bool() for batch in stream]
    return {"error": torch.cat(wrong).double().mean()}


def _fired(rest: Tensor, kind: Kind) -> Tensor:
    if kind == "step":
        return (rest >= 0).to(rest.dtype)
    return rest.clamp(min=0) if kind == "relu" else rest
