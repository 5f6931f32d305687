"""Neuron: one McCulloch-Pitts unit, the logic it can compute, and the proof where it can not.

Source: W. McCulloch, W. Pitts, A logical calculus of the ideas immanent in nervous activity (1943); M. Minsky,
S. Papert, Perceptrons (1969), for what a single unit cannot do; C. Chow, Boolean functions realizable with single
threshold devices (1961), for the sums that prove it. Notes: S001, S005, S011, S022, S023, S033, S035, N023, E001.

A unit is 1 where the weighted sum of its inputs reaches its threshold, and else 0. Weights below 0 inhibit.

Departures from the paper: weights of any size and sign, where 1943 had equal ones and inhibition that could not be
outvoted. The unit is found by a linear program that seeks the smallest weights, and is given in whole numbers. XOR and
its opposite, which no single unit can do, are built as in the notes, of three units or of two; other functions that no
unit can do are left to `boolean`.

Expected: every gate right in all rows. Of the 2^(2^N) functions of N = 1, 2, 3, 4 inputs a single unit can do 4, 14,
104 and 1,882; the notes name AND and OR among those it cannot (E001), which are XOR and XNOR.

Letters: N inputs, B examples.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from deepclassics.data import load
from deepclassics.data.kinds.boolean import column, rows
from deepclassics.data.streams import Batch, Data, InOrder, Whole
from deepclassics.errors import UserError
from deepclassics.layers.units import Built, Draft, Units, decide, error
from deepclassics.learn import Learner
from deepclassics.loop import Plan
from deepclassics.recipe import Picture, Recipe
from deepclassics.report.style import FAINT, INK, VERMILLION, drawable, sheet
from deepclassics.systems.foundations.perceptron import meeting_point

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from deepclassics.report.evidence import Evidence

Solution = Literal["three", "two"]

# How many functions of N inputs a single unit can do: OEIS A000609. The first five are counted in the tests.
SINGLE = {1: 4, 2: 14, 3: 104, 4: 1882, 5: 94572, 6: 15028134}
XOR = {(False, True, True, False): True, (True, False, False, True): False}
PAIRED = 8  # inputs up to which two rows against two are sought as a proof
AT_ONCE = 200  # rows of each value that the linear program is given more, at a time
TABLED = 6  # inputs of a truth table that is shown


def sums_of(weights: Sequence[float], inputs: int) -> Tensor:  # -> (2^N,) of float64
    """The weighted sum in every row."""
    total = torch.zeros(2**inputs, dtype=torch.float64)
    for place, weight in enumerate(weights):
        total += weight * column(inputs, place)
    return total


def unit_of(values: Tensor) -> tuple[list[int], int] | Tensor:  # (2^N,) of bool
    """Weights and threshold of a unit with these values, in whole numbers; or rows of which no unit can have all.

    The linear program: w·x >= T where the value is 1, w·x <= T - 1 where it is 0, and the sum of |w| the least. It
    begins with few rows and is given those that its solution gets most wrong, until there are none.
    """
    inputs = len(values).bit_length() - 1
    known = torch.tensor(sorted({0, len(values) - 1, *(2**place for place in range(inputs))}))
    while True:
        found = _solved(known, values, inputs)
        if found is None:
            return known
        weights, threshold = found
        rest = sums_of(weights, inputs) - threshold
        short = torch.where(values, -rest, rest + 1)  # by how much a row is missed
        missed = (short > 1e-6).nonzero().flatten()
        missed = missed[~torch.isin(missed, known)]
        if not len(missed):
            break
        worst = [side[short[side].argsort(descending=True)[:AT_ONCE]] for side in
                 (missed[values[missed]], missed[~values[missed]])]  # fmt: skip
        known = torch.cat([known, *worst]).sort().values
    # True rows lie 1 above false ones, and N + 1 above once all is that many times as large: rounding, by half a unit
    # an input, cannot undo that. Mostly the first is whole already.
    for times in range(1, inputs + 3):
        whole = [round(times * weight) for weight in weights]
        sums = sums_of(whole, inputs)
        low = float(sums[values].min()) if values.any() else float(sums.max()) + 1
        if values.all() or low > float(sums[~values].max()):
            return whole, round(low)
    raise AssertionError("a solution of the linear program must separate the rows")


def _solved(known: Tensor, values: Tensor, inputs: int) -> tuple[list[float], float] | None:
    import numpy as np
    from scipy.optimize import linprog

    x = torch.stack([(known >> (inputs - 1 - place)) & 1 for place in range(inputs)], 1).double().numpy()
    true = values[known].numpy()
    side = np.where(true, -1.0, 1.0)[:, None]
    found = linprog(
        np.array([1.0] * (2 * inputs) + [0.0]),  # of w = p - q with p, q >= 0, and T
        A_ub=np.hstack([side * x, -side * x, -side]),
        b_ub=np.where(true, 0.0, -1.0),
        bounds=[(0, None)] * (2 * inputs) + [(None, None)],
        method="highs",
    )
    assert found.status in (0, 2), found.message  # 2: there is no such unit
    if found.status == 2:
        return None
    return (found.x[:inputs] - found.x[inputs:-1]).tolist(), float(found.x[-1])


def proof(values: Tensor, known: Tensor) -> str:  # (2^N,) of bool, (M,) of int64
    """Why no unit has these values: rows that are 1 whose inputs add up to the same as those of rows that are 0."""
    inputs = len(values).bit_length() - 1
    if (pairs := four_rows(values)) is not None:
        a, b, c, d = (f"{row:0{inputs}b}" for row in pairs)
        return (
            f"rows {a} and {b} are 1, {c} and {d} are 0, and the inputs of both pairs add up to the same; so whatever "
            f"the weights, the sums of the one pair add up to those of the other, and cannot all lie on the right side"
        )
    x = rows(inputs)[known].double()
    middle = meeting_point(x[values[known]], x[~values[known]])
    assert middle is not None
    told = ", ".join(f"{value:.3g}" for value in middle[:PAIRED].tolist()) + (", ..." if inputs > PAIRED else "")
    return f"the point ({told}) lies between rows that are 1 and also between rows that are 0"


def four_rows(values: Tensor) -> tuple[int, int, int, int] | None:  # (2^N,) of bool
    """Two rows that are 1 and two that are 0 with the same sum of inputs, where there are such."""
    inputs = len(values).bit_length() - 1
    if inputs > PAIRED:
        return None
    # A digit of base 3 an input: sums of two rows are the same just where these numbers are.
    code = sums_of([3.0 ** (inputs - 1 - place) for place in range(inputs)], inputs).long()
    sums: dict[int, tuple[int, int]] = {}
    for wanted in (True, False):
        own = (values == wanted).nonzero().flatten()
        pairs = torch.combinations(own)
        for total, pair in zip((code[pairs].sum(1)).tolist(), pairs.tolist(), strict=True):
            if wanted:
                sums.setdefault(total, (pair[0], pair[1]))
            elif total in sums:
                return (*sums[total], pair[0], pair[1])
    return None


def single(inputs: int, weights: Sequence[float], threshold: float) -> Draft:
    """A network of one unit."""
    draft = Draft(inputs)
    return draft.finish(draft.add(dict(enumerate(weights)), threshold))


def xor(solution: Solution, odd: bool) -> Draft:
    """XOR of two inputs, or its opposite, in either form of the notes (S023; theirs have thresholds of 1/2 and 3/2).

    three: at least one, at least two, and the first without the second; two: the sum, less 2 where both are 1.
    """
    draft, sign = Draft(2), 1 if odd else -1
    both = draft.add({0: 1, 1: 1}, 2)
    if solution == "three":
        some = draft.add({0: 1, 1: 1}, 1)
        return draft.finish(draft.add({some: sign, both: -sign}, 1 if odd else 0))
    return draft.finish(draft.add({0: sign, 1: sign, both: -2 * sign}, 1 if odd else 0))


def written(weights: Sequence[float], threshold: float, names: Sequence[str]) -> str:
    """ "a + b - 2 c >= 1"."""
    text = ""
    for weight, name in zip(weights, names, strict=True):
        if weight:
            sign = ("- " if weight < 0 else "+ ") if text else ("-" if weight < 0 else "")
            text += f"{' ' if text else ''}{sign}{'' if abs(weight) == 1 else f'{abs(weight):g} '}{name}"
    return f"{text or '0'} >= {threshold:g}"


class NeuronRecipe(Recipe):
    """A single threshold unit for a Boolean function; for XOR and its opposite two units or three."""

    takes = ("boolean",)
    gives = ("label",)

    data: str = Field(
        "a & b", description="an expression, 'a and not b'; majority:5, and:3, truth:0111; or a truth table as .csv"
    )
    gate: Literal["and", "or", "not", "nand", "nor", "majority", "xor", "xnor"] | None = Field(
        None, description="a gate in place of data: and, or, not, nand, nor, majority, xor, xnor"
    )
    inputs: Annotated[int | None, Field(ge=1, le=20)] = Field(
        None, description="of the gates and, or, nand, nor, majority; none: 2, and 3 of majority"
    )
    linearly_separable: bool = Field(
        False, description="only tell whether a single unit can do it, and why not; build nothing else"
    )
    solution: Solution = Field("three", description="units of XOR and of its opposite, which no single unit can do")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.gate and self.data != type(self).model_fields["data"].default:
            raise ValueError(f"give either a gate or data; got {self.gate} and {self.data}.")
        if self.inputs is not None and self.gate not in ("and", "or", "nand", "nor", "majority"):
            raise ValueError("inputs are for the gates and, or, nand, nor and majority; others have their own.")
        return self

    def load(self) -> Data:
        fixed = {"not": "~a", "xor": "a ^ b", "xnor": "~(a ^ b)"}
        count = self.inputs or (3 if self.gate == "majority" else 2)
        data = self.data if self.gate is None else fixed.get(self.gate, f"{self.gate}:{count}")
        found = load(data, self.takes, seed=self.seed)
        if not self.linearly_separable:
            values = found.train["label"].bool()
            known = unit_of(values)
            if isinstance(known, Tensor) and tuple(values.tolist()) not in XOR:
                raise UserError(
                    f"{data}: no single unit can do it, for {proof(values, known)}. "
                    f"`deepclassics run boolean` builds a network for any function."
                )
        return Data(found.spec, Whole(found.train), test=InOrder(found.test, 2**16))

    def model(self, spec: dict[str, Any]) -> Units:
        return Units(len(spec["names"]))

    def learner(self, model: nn.Module) -> Built:
        assert isinstance(model, Units)
        return Built(model, lambda batch: (self.build(batch["label"].bool().cpu()), ""), error)

    def build(self, values: Tensor) -> Draft | None:  # (2^N,) of bool
        """The unit; or XOR's network, where it is asked for; or nothing."""
        found, odd = unit_of(values), XOR.get(tuple(values.tolist()))
        if not isinstance(found, Tensor):
            return single(len(found[0]), *found)
        return None if odd is None or self.linearly_separable else xor(self.solution, odd)

    def plan(self, data: Data) -> Plan:
        return Plan(1, 1)

    def answer(self, model: nn.Module, question: Batch, options: Any) -> Batch:
        assert isinstance(model, Units)
        if not len(model.output):
            raise UserError(
                "neuron: with --linearly-separable nothing was built, since no single unit can do this function, so "
                "there is nothing to ask. `deepclassics run boolean` builds a network for it."
            )
        return {"label": decide(model, question["features"]).long()}

    def conclude(self, learner: Learner, data: Data) -> tuple[dict[str, float], list[str]]:
        """The unit, or the proof that there is none; and how many functions have one."""
        assert isinstance(learner, Built)
        assert isinstance(data.train, Whole)
        names, values = data.spec["names"], data.train.columns["label"].bool().cpu()
        found = unit_of(values)
        told = []
        if isinstance(found, Tensor):
            told.append(f"Not linearly separable: no single unit can do it, for {proof(values, found)}.")
            units = len(learner.model.kind)
            told += [f"Built of {units} units instead."] if units else []
        else:
            told.append(f"Linearly separable: a single unit does it, which fires where {written(*found, names)}.")
        if len(names) in SINGLE:
            told.append(
                f"Of the {2**2 ** len(names):,} functions of {len(names)} input{'s' * (len(names) > 1)} a single "
                f"unit can do {SINGLE[len(names)]:,}."
            )
        return {"train/separable": float(not isinstance(found, Tensor))}, told

    def pictures(self, evidence: "Evidence") -> list[Picture]:
        from deepclassics.report import graph

        names, network = evidence.spec["names"], evidence.model
        assert isinstance(network, Units)

        def values() -> Tensor:
            return evidence.splits().train["label"].bool()

        found = []
        if len(network.kind):
            found.append(
                Picture(
                    "The network",
                    "A circle is a unit: it is 1 where the weighted sum of what it hears reaches its threshold. "
                    "What skips a layer passes by.",
                    lambda: graph.units(network, names),
                )
            )
        if len(names) == 2:
            told = (
                "Rows are corners, filled where the function is 1. Lines are where a unit of the first layer begins to "
                "fire, half a unit below its threshold so that no row lies on them; shaded is where the whole is 1."
            )
            found.append(Picture("The lines", told, lambda: square(network, values(), names)))
        if len(names) == 3:
            told = (
                "Rows are corners, filled where the function is 1. The unit fires on one side of the plane, which lies "
                "half a unit below its threshold."
            )
            found.append(Picture("The plane", told, lambda: cube(network, values(), names)))
        if len(names) <= TABLED:
            told = "The function, what the units sum up to before their thresholds are taken off, and the answer."
            found.append(Picture("The truth table", told, lambda: table(network, values(), names)))
        return found


# --- pictures


def table(network: Units, values: Tensor, names: Sequence[str]) -> str:
    """The rows with the sum of every unit and the answer."""
    inputs = len(names)
    x = rows(inputs).float()
    known, answers = network.values(x), network(x)[:, 0].long().tolist()
    sums = torch.zeros(len(x), len(network.kind), dtype=torch.float64)
    sums.index_add_(1, network.unit - inputs, known[:, network.source] * network.weight)
    heads = [f"unit {k} >= {threshold:g}" for k, threshold in enumerate(network.threshold.tolist(), start=1)]
    lines = ["  ".join(names) + "  |  function" + "".join(f"  {head}" for head in heads) + "  answer"]
    for row, value, each, answer in zip(x.int().tolist(), values.int().tolist(), sums.tolist(), answers, strict=True):
        cells = "  ".join(f"{bit:>{len(name)}}" for bit, name in zip(row, names, strict=True))
        told = "".join(f"  {total:>{len(head)}g}" for total, head in zip(each, heads, strict=True))
        lines.append(f"{cells}  |  {value:>8}{told}  {answer:>6}")
    return "\n".join(lines)


def _heard(network: Units) -> list[tuple[list[float], float]]:
    """Weights and threshold of each unit of the first layer."""
    found = []
    for unit in (network.layer == 1).nonzero().flatten().tolist():
        weights = torch.zeros(network.inputs, dtype=torch.float64)
        own = network.unit == unit + network.inputs
        weights[network.source[own]] = network.weight[own]
        found.append((weights.tolist(), float(network.threshold[unit])))
    return found


def square(network: Units, values: Tensor, names: Sequence[str]) -> "Figure":  # (4,) of bool
    """The four rows of two inputs, with the lines, and the plane shaded where the answer is 1."""
    figure = sheet(4.4, 4.0)
    axes = figure.subplots()
    side = torch.linspace(-0.5, 1.5, 240)
    up, across = torch.meshgrid(side, side, indexing="ij")
    points = torch.stack([across.flatten(), up.flatten()], 1)
    between = Units(2)  # with thresholds between the whole sums that rows can have: the same in every row
    between.load_state_dict({**network.state_dict(), "threshold": network.threshold - 0.5})
    answer = between(points)[:, 0].view(240, 240).numpy()
    axes.contourf(side.numpy(), side.numpy(), answer, levels=[0.5, 1.5], colors=[VERMILLION], alpha=0.18)
    for weights, threshold in _heard(between):
        if any(weights):
            rest = weights[0] * across + weights[1] * up - threshold
            axes.contour(side.numpy(), side.numpy(), rest.numpy(), levels=[0.0], colors=INK, linewidths=1.4)
    if not len(network.kind) and (pairs := four_rows(values)) is not None:
        for a, b in (pairs[:2], pairs[2:]):
            axes.plot([a >> 1, b >> 1], [a & 1, b & 1], color=FAINT, linestyle=(0, (4, 3)), linewidth=1.2)
    _corners(axes, rows(2), values, 13)
    axes.set_xlabel(drawable(names, 30)[0])
    axes.set_ylabel(drawable(names, 30)[1])
    axes.set_xticks([0, 1])
    axes.set_yticks([0, 1])
    axes.set_aspect("equal")
    return figure


def cube(network: Units, values: Tensor, names: Sequence[str]) -> "Figure":  # (8,) of bool
    """The eight rows of three inputs, with the part of the unit's plane that lies in the cube."""
    from mpl_toolkits.mplot3d.art3d import Poly3DCollection  # type: ignore[import-untyped]

    figure = sheet(4.8, 4.6)
    axes: Any = figure.add_subplot(projection="3d")
    corners = rows(3).double()
    for a, one in enumerate(corners):
        for other in corners[a + 1 :]:
            if int((one != other).sum()) == 1:
                axes.plot(*torch.stack([one, other], 1).tolist(), color=FAINT, linewidth=0.8)
    for weights, threshold in _heard(network):
        if any(weights):
            axes.add_collection3d(Poly3DCollection([_cut(weights, threshold)], facecolor=VERMILLION, alpha=0.25))
    _corners(axes, corners, values, 11)
    labels = drawable(names, 20)
    axes.set(xlabel=labels[0], ylabel=labels[1], zlabel=labels[2], xticks=[0, 1], yticks=[0, 1], zticks=[0, 1])
    axes.view_init(elev=16, azim=-28)
    axes.set_box_aspect(None, zoom=0.8)
    return figure


def _cut(weights: Sequence[float], threshold: float) -> list[list[float]]:
    """The corners, in order, of the polygon in which a plane cuts the unit cube, half a unit below the threshold."""
    normal, level = torch.tensor(weights, dtype=torch.float64), threshold - 0.5
    corners, found = rows(3).double(), []
    for a, one in enumerate(corners):
        for other in corners[a + 1 :]:
            here, there = float(normal @ one) - level, float(normal @ other) - level
            if int((one != other).sum()) == 1 and here * there < 0:
                found.append(one + (other - one) * here / (here - there))
    if not found:
        return []
    points = torch.stack(found)
    middle = points - points.mean(0)
    first = middle[0] / middle[0].norm()
    second = torch.linalg.cross(normal / normal.norm(), first)
    return points[torch.atan2(middle @ second, middle @ first).argsort()].tolist()


def _corners(axes: "Axes", corners: Tensor, values: Tensor, size: int) -> None:
    for row, value in zip(corners.double().tolist(), values.tolist(), strict=True):
        axes.plot(*[[place] for place in row], "o", color=VERMILLION if value else "white", markeredgecolor=INK,
                  markersize=size, zorder=5)  # fmt: skip
