"""Pulses: a network for any function of numbers, constructed from its values.

Source: B. Raj, CMU 11-785, lecture 2, whose construction the notes follow: threshold units make square pulses, and
narrow pulses of the right heights make any function; G. Cybenko (1989) and K. Hornik (1991) for the theorem;
B. Fortuner (2018) for the six ReLUs. Notes: S044-S046, S048, S049, C040, C143, C144, N004.

Methods, by `--method`:
- pulses: of one variable, [x >= T1] - [x >= T2] is 1 between the two thresholds and 0 elsewhere (S044); weighted by the
  function in the middle, and side by side, such pulses make a staircase (S045). Neighbours share a threshold, so that
  k pulses take k + 1 threshold units and a linear one. Of more variables, boxes: an AND unit of two thresholds along
  each axis, and the linear unit over all of them. The error falls as the width.
- cylinders: of two variables, ANDs of half-planes again, six-sided and side by side like honeycombs (S046).
- relu: of one variable, the straight lines through the function at equally spaced knots: a ReLU where the slope
  changes, weighted by the change. The error falls as the width squared.
- six-relu: the six ReLUs of the notes, as they are given there; they follow `--data cubic`.

Departures from the paper: the notes sum the half-planes of a cylinder without a threshold of its own, and so in one
layer; the tails of the sums then do not vanish (see `regions`). Here an AND unit cuts them off. Theirs are round, and
round ones leave gaps or overlap: then not even a constant comes out right, however small they are. Six-sided ones tile.

Expected: sine, 32 pulses, an error of 0.098 at most; twice as many halve it, and the measured order is 1; 32 pieces of
ReLUs 0.005, and the order is 2. The six ReLUs: 2.3 at most (at x = 2) and 0.41 in the root mean square on [-2, 2].

Letters: N points, D variables, K pulses along an axis, M pieces, B examples.
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from deepclassics.data import load
from deepclassics.data.kinds.function import Function
from deepclassics.data.streams import Batch, Columns, Data, InOrder, Stream, World
from deepclassics.errors import UserError
from deepclassics.layers.units import Built, Draft, Units
from deepclassics.learn import Learner, Scores, device_of
from deepclassics.loop import Plan
from deepclassics.recipe import Picture, Recipe

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from deepclassics.report.evidence import Evidence

Method = Literal["pulses", "cylinders", "relu", "six-relu"]
BOXES = 50_000
LOW, HIGH = -2.0, 2.0  # of every variable, where neither the data nor the user tell bounds
FINEST = 2000  # units and pulses up to which networks are built to measure the order of the error

SIX = ((-5.0, 7.7, -1.0), (-1.2, 1.3, -1.0), (1.2, -1.0, -1.0), (1.2, 0.2, 1.0), (2.0, 1.1, 1.0), (5.0, 5.0, 1.0))


# --- constructions


def square_pulse(first: float, second: float, height: float) -> Draft:
    """Three units: `height` where first <= x < second, else 0 (S044)."""
    draft = Draft(1)
    begin, end = draft.add({0: 1.0}, first), draft.add({0: 1.0}, second)
    return draft.finish(draft.add({begin: height, end: -height}, 0.0, "linear"))


def of_pulses(function: Function, pulses: list[int]) -> Draft:
    """Pulses side by side, or boxes; outside the bounds it is 0."""
    draft = Draft(len(pulses))
    steps = []
    for axis, (edges, count) in enumerate(zip(borders(function, pulses), pulses, strict=True)):
        # The last pulse holds the upper bound too.
        steps.append([draft.add({axis: 1.0}, edges[k] if k < count else math.nextafter(edges[k], math.inf))
                      for k in range(count + 1)])  # fmt: skip
    heights = levels(function, pulses)
    if len(pulses) == 1:
        climbs = torch.diff(heights, prepend=torch.zeros(1), append=torch.zeros(1)).tolist()
        return draft.finish(draft.add(dict(zip(steps[0], climbs, strict=True)), 0.0, "linear"))
    weights: dict[int, float] = {}
    boxes = itertools.product(*[range(count) for count in pulses])
    for box, height in zip(boxes, heights.flatten().tolist(), strict=True):
        begins = {steps[axis][k]: 1.0 for axis, k in enumerate(box)}
        ends = {steps[axis][k + 1]: -1.0 for axis, k in enumerate(box)}
        weights[draft.add(begins | ends, len(box))] = height
    return draft.finish(draft.add(weights, 0.0, "linear"))


def borders(function: Function, pulses: list[int]) -> list[list[float]]:
    """Along each axis the borders between its pulses, and its bounds."""
    return [
        [low + (high - low) * k / count for k in range(count)] + [high]
        for (low, high), count in zip(function.bounds, pulses, strict=True)
    ]


def levels(function: Function, pulses: list[int]) -> Tensor:  # -> (K, ..., K)
    """The height of each pulse or box."""
    axes = []
    for edges in borders(function, pulses):
        edge = torch.tensor(edges, dtype=torch.float64)
        axes.append((edge[1:] + edge[:-1]) / 2)
    middles = torch.cartesian_prod(*axes).view(-1, len(axes))
    low, high = torch.tensor(function.bounds, dtype=torch.float64).T
    count = torch.tensor(pulses)

    def box_of(places: Tensor) -> Tensor:  # (N, D) -> (N,) of int64
        box = ((places - low) / (high - low) * count).long().clamp(max=count - 1)
        index = box[:, 0]
        for axis, each in enumerate(pulses[1:], 1):
            index = index * each + box[:, axis]
        return index

    return heights(function, middles, box_of).view(pulses)


def heights(function: Function, middles: Tensor, piece_of: Callable[[Tensor], Tensor]) -> Tensor:  # (M, D) -> (M,)
    """The function in the middle of each piece; of points, the mean of those that are in it, if there are any."""
    found = function.finite(middles)
    if function.points is None:
        return found
    places, values = function.points
    index = piece_of(places)
    filled = torch.bincount(index, minlength=len(found))
    sums = torch.bincount(index, values, minlength=len(found))
    return torch.where(filled > 0, sums / filled.clamp(min=1), found)


def of_cylinders(function: Function, pulses: list[int]) -> Draft:
    """Six-sided cylinders, of a width of one pulse in units of either axis, that tile the plane between the bounds."""
    low, high = torch.tensor(function.bounds, dtype=torch.float64).T
    scale = (high - low) / torch.tensor(pulses)
    rows = torch.arange(math.ceil(pulses[1] * 2 / math.sqrt(3)) + 1)
    columns = torch.arange(pulses[0] + 2)
    # Twice the place along the first axis is whole, and so are twice those along axes turned by 60 and 120 degrees.
    row, twice = (each.flatten() for each in torch.meshgrid(rows, 2 * columns, indexing="ij"))
    twice = twice - row % 2
    middles = torch.stack([twice / 2, row * math.sqrt(3) / 2], 1).double()
    draft = Draft(2)
    lines: dict[tuple[int, int], int] = {}

    def line(turn: int, place: int) -> int:  # 1 where the axis turned by 60 degrees so often is at place / 2 or beyond
        if (turn, place) not in lines:
            angle = turn * math.pi / 3
            a, b = math.cos(angle) / float(scale[0]), math.sin(angle) / float(scale[1])
            threshold = place / 2 + a * float(low[0]) + b * float(low[1])
            lines[turn, place] = draft.add({0: a, 1: b}, threshold)
        return lines[turn, place]

    def piece_of(places: Tensor) -> Tensor:  # (N, 2) -> (N,): the middle that is nearest
        from scipy.spatial import cKDTree

        return torch.from_numpy(cKDTree(middles.numpy()).query(((places - low) / scale).numpy())[1])

    inside = torch.minimum(torch.maximum(low + middles * scale, low), high)  # those at the rim may lie beyond it
    weights: dict[int, float] = {}
    for x, y, height in zip(twice.tolist(), row.tolist(), heights(function, inside, piece_of).tolist(), strict=True):
        halves: dict[int, float] = {}
        for turn, place in enumerate((x, (x + 3 * y) // 2, (3 * y - x) // 2)):
            halves |= {line(turn, place - 1): 1.0, line(turn, place + 1): -1.0}
        weights[draft.add(halves, 3)] = height
    return draft.finish(draft.add(weights, 0.0, "linear"))


def of_relu(function: Function, pieces: int) -> Draft:
    """The straight lines through the function at the knots: f(t0) + sum_k (s_k - s_(k-1)) relu(x - t_k)."""
    knots = torch.tensor(borders(function, [pieces])[0], dtype=torch.float64)
    values = function.finite(knots[:, None])
    slopes = torch.diff(values) / torch.diff(knots)
    turns = torch.diff(slopes, prepend=torch.zeros(1))
    draft = Draft(1)
    units = [draft.add({0: 1.0}, knot, "relu") for knot in knots[:-1].tolist()]
    return draft.finish(draft.add(dict(zip(units, turns.tolist(), strict=True)), -float(values[0]), "linear"))


def of_six_relu() -> Draft:
    """Z = -relu(-5x - 7.7) - relu(-1.2x - 1.3) - relu(1.2x + 1) + relu(1.2x - 0.2) + relu(2x - 1.1) + relu(5x - 5)."""
    draft = Draft(1)
    weights = {draft.add({0: slope}, threshold, "relu"): sign for slope, threshold, sign in SIX}
    return draft.finish(draft.add(weights, 0.0, "linear"))


# --- the system


def judge(model: Units, stream: Stream) -> Scores:
    """Root mean square and largest error, in the units of the function's values."""
    found = []
    for batch in stream:
        if "world" in batch:
            batch = batch["world"].to("cpu").examples().to(device_of(model)).take(slice(None))
        found.append(model(batch["features"])[:, 0] - batch["number"])
    error = torch.cat(found)
    return {"rmse": error.square().mean().sqrt(), "sup": error.abs().max()}


def errors_by_width(function: Function, recipe: "Pulses") -> list[tuple[float, float, float, int]]:
    """(width, largest error, root mean square, units) of ever finer networks; the width is that of the first axis."""
    dimensions = len(function.names)
    examples = function.examples(5_000)
    low, high = function.bounds[0]
    rows = []
    counts = [16, 32, 64, 128, 256] if dimensions == 1 else [8, 11, 16, 23, 32] if dimensions == 2 else [2, 3, 4, 6, 8]
    for count in counts:
        if count**dimensions > FINEST:
            break
        model = Units(dimensions)
        model.take(recipe.model_copy(update={"pulses": count, "width": None}).build(function))
        error = model(examples["features"])[:, 0] - examples["number"]
        rows.append(((high - low) / count, float(error.abs().max()), float(error.square().mean().sqrt()),
                     len(model.kind)))  # fmt: skip
    return rows


def order(widths: list[float], errors: list[float]) -> float | None:
    """p of error ~ width^p, by least squares of the logarithms; None where an error is nothing but rounding."""
    if len(widths) < 3 or min(errors) < 1e-12:
        return None
    x, y = (torch.tensor(each, dtype=torch.float64).log() for each in (widths, errors))
    x, y = x - x.mean(), y - y.mean()
    return float((x * y).sum() / x.square().sum())


class Pulses(Recipe):
    """Networks of pulses, cylinders or ReLUs for any function of numbers."""

    takes = ("function",)
    gives = ("number",)

    data: str = Field(
        "sine", description="sine, cubic, hills; an expression, 'sin(3*x) + x**2'; points as .csv, the last column y"
    )
    method: Method = Field("pulses", description="how it is built; see above")
    pulses: int = Field(32, ge=1, le=20_000, description="along each axis: pulses, boxes, cylinders or pieces of line")
    width: float | None = Field(
        None, gt=0, description="of a pulse, in units of the variables; decides, if it is given"
    )
    low: float | None = Field(None, description="lower bound of every variable; none: that of the data, or -2")
    high: float | None = Field(None, description="upper bound of every variable; none: that of the data, or 2")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.low is not None and self.high is not None and not self.low < self.high:
            raise ValueError(f"low must be below high; got {self.low:g} and {self.high:g}.")
        return self

    def load(self) -> Data:
        found = load(self.data, self.takes, seed=self.seed)
        function = self.bounded(found.train)
        self.refuse(function)
        function.refuse_poles()
        test = function.examples()
        number = test["number"]
        target = {"kind": "number", "name": "y", "mean": float(number.mean()), "std": float(number.std())}
        bounds = [list(pair) for pair in function.bounds]
        spec = found.spec | {"bounds": bounds, "target": target, "examples": {"test": len(test)}}
        return Data(spec, World(function), test=InOrder(test, 10_000))

    def bounded(self, function: Function) -> Function:
        """The function between the bounds that the user gives, or else its own."""
        given = function.bounds or ((LOW, HIGH),) * len(function.names)
        bounds = tuple(
            (least if self.low is None else self.low, most if self.high is None else self.high) for least, most in given
        )
        for name, (least, most) in zip(function.names, bounds, strict=True):
            if not least < most:
                raise UserError(f"pulses: the bounds of {name} must be in order; got {least:g} and {most:g}.")
        if function.points is not None:
            places, values = function.points
            low, high = torch.tensor(bounds, dtype=torch.float64).T
            kept = ((places >= low) & (places <= high)).all(1)
            if int(kept.sum()) < 2:
                raise UserError(
                    f"pulses: {function.name} must have 2 points or more between the bounds; it has {int(kept.sum())}."
                )
            function = replace(function, points=(places[kept], values[kept]))
        return replace(function, bounds=bounds)

    def counts(self, function: Function) -> list[int]:
        """How many pulses there are along each axis."""
        if self.width is None:
            return [self.pulses] * len(function.names)
        return [max(1, math.ceil(min(1e9, (high - low) / self.width - 1e-9))) for low, high in function.bounds]

    def refuse(self, function: Function) -> None:
        """What the method cannot bear is refused before anything is written."""
        variables = len(function.names)
        wanted = {"relu": 1, "six-relu": 1, "cylinders": 2}.get(self.method, variables)
        if variables != wanted:
            raise UserError(
                f"pulses: the method {self.method} takes functions of {wanted} variable{'s' * (wanted > 1)}; this one "
                f"has {variables}: {', '.join(function.names)}. Choose --method pulses."
            )
        count = math.prod(self.counts(function))
        if count > BOXES:
            raise UserError(
                f"pulses: there may be at most {BOXES:,} of them in all; got {count:,}. Choose fewer --pulses, or a "
                "larger --width."
            )

    def model(self, spec: dict[str, Any]) -> Units:
        return Units(len(spec["names"]))

    def learner(self, model: nn.Module) -> Built:
        assert isinstance(model, Units)
        return Built(model, lambda batch: (self.build(batch["world"].to("cpu")), ""), judge)

    def build(self, function: Function) -> Draft:
        if self.method == "six-relu":
            return of_six_relu()
        counts = self.counts(function)
        if self.method == "relu":
            return of_relu(function, counts[0])
        return of_pulses(function, counts) if self.method == "pulses" else of_cylinders(function, counts)

    def plan(self, data: Data) -> Plan:
        return Plan(1, 1)

    def answer(self, model: nn.Module, question: Batch, options: Any) -> Batch:
        return {"number": model(question["features"])[:, 0]}

    def conclude(self, learner: Learner, data: Data) -> tuple[dict[str, float], list[str]]:
        """How the error falls with the width, of a function whose values between its points are known."""
        assert isinstance(learner, Built)
        assert isinstance(data.train, World)
        units = learner.model
        function = data.train.world.to("cpu")
        sizes = " + ".join(f"{size:,}" for size in torch.bincount(units.layer)[1:].tolist())
        remarks = [f"Built by {self.method}: {sizes} = {len(units.kind):,} units."]
        if self.method == "six-relu" and self.data != "cubic":
            remarks.append("The six ReLUs are set by hand for x³ + x² - x - 1, `--data cubic`, alone.")
        if self.method == "six-relu" or function.expression is None:
            return {}, remarks
        rows = errors_by_width(function, self)
        measured = order([row[0] for row in rows], [row[1] for row in rows])
        if measured is None:
            return {}, remarks
        remarks.append(
            f"The largest error falls as the width to the power {measured:.2f}, as measured from a width of "
            f"{rows[0][0]:.3g} (error {rows[0][1]:.3g}) to one of {rows[-1][0]:.3g} (error {rows[-1][1]:.3g})."
        )
        return {"test/order": measured}, remarks

    def pictures(self, evidence: "Evidence") -> list[Picture]:
        from deepclassics.report import approximation, graph

        def said(places: Tensor) -> Tensor:
            return evidence.ask(Columns(features=places))["number"]

        def falling() -> "Figure":
            rows = errors_by_width(evidence.splits().train, self)
            measured = [order([row[0] for row in rows], [row[column] for row in rows]) for column in (1, 2)]
            return approximation.by_width(rows, measured[0], measured[1])

        found = []
        if len(evidence.spec["names"]) <= 2:
            told = "Above, the function and what the network says; below, the difference."
            if len(evidence.spec["names"]) == 2:
                told = "The function, what the network says, and the difference."
            found.append(
                Picture("The function and the network", told, lambda: approximation.both(said, evidence.splits().train))
            )
        else:
            from deepclassics.report import scatter

            found.append(scatter.picture(evidence))
        if self.method != "six-relu":
            told = "Networks of the same method, ever finer, on logarithmic axes: the slope is the order."
            found.append(Picture("The error falls with the width", told, falling))
        if isinstance(units := evidence.model, Units) and len(units.kind) <= graph.MOST:
            told = "In a circle the threshold that its sum must reach, or what is added to the sum."
            found.append(Picture("The network", told, lambda: graph.units(units, evidence.spec["names"])))
        return found
