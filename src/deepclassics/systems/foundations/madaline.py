"""Madaline: many Adalines under a logic, of which the least confident are made to change their minds.

Source: B. Widrow, Generalization and information storage in networks of Adaline neurons (1962), for rule I; R. Winter,
B. Widrow, Madaline rule II, IEEE ICNN (1988), for rule II; both in B. Widrow, M. Lehr, 30 years of adaptive neural
networks, Proc. IEEE 78 (1990), sections IV and VI. Notes: S013-S015, S034, C062, N020, G015; they name Madaline, and
tell of the search that tries every relabelling of the examples for each unit.

- `mri`: the units of each group are joined by AND, the groups by OR; `--groups 1` is AND alone, as many groups as
  units OR alone. Where the output is wrong, those units are adapted whose sums need the least change.
- `mrii`: a threshold unit joins them, which learns too. Where the output is wrong, single units and then pairs are
  turned over on trial, the least confident first; the first trial that mends the output is kept, and its units are
  adapted. Where none does, the output unit is.
- `search`: under the logic of `mri`, the best there is. Each unit may label the examples in 2^T ways; a linear program
  tells which of them a line can have, and of those the best choice is taken. Every example more doubles the time.

Departures from the paper: rule I's majority logic is left out. A unit is adapted by just so much that its sum becomes
`--lr` on the side that is wanted, where α-LMS goes a share of the way and may not arrive; so an accepted flip always
mends the output for the example at hand. The rate falls over the run. In rule II one mistake in as many as there are
examples goes to the output unit: some flip nearly always mends the output, so that unit would hardly ever learn, and
half of all runs with two units would stay stuck on XOR. Usage counts are left out.

Expected: double_pentagon, in seconds, all training examples right and 1 to 2.5 % test error by `mri`; by `mrii` with
`--units 32` all but a few. Both solve XOR, and so does `search` with two units, after 16 relabellings. No single unit
can do either. No figure is published.

Letters: B examples a batch, T examples in all, D features, U units, G groups of U / G units.
"""

from typing import TYPE_CHECKING, Any, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from deepclassics import metrics
from deepclassics.data import load
from deepclassics.data.streams import Batch, Columns, Data, Shuffled, Stream, Whole
from deepclassics.errors import UserError
from deepclassics.learn import Box, Clock, Learner, Scores, Stateful, apply
from deepclassics.loop import Plan
from deepclassics.progress import many
from deepclassics.recipe import Course, Epochs, Picture, Rate, Recipe, Share
from deepclassics.report.style import GREEN, INK, ORANGE, PALETTE, PURPLE, SKY, drawable, marks, sheet
from deepclassics.schedules import NAMED, Schedule
from deepclassics.systems.foundations.perceptron import EXACT, meeting_point

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from deepclassics.report.evidence import Evidence

MOST = 12  # examples that the search can bear: 4,096 linear programs, some ten seconds
PAIRS = 6  # least confident units of which pairs are tried
SIDE = 160  # points of the picture along each feature
GROUPS = (INK, GREEN, PURPLE, ORANGE, SKY)  # colours of the lines of a group, in the picture


class Madaline(nn.Module):
    """`units` Adalines over `inputs` features; their signs joined by AND in `groups` and by OR between them.

    With `groups` 0 a threshold unit joins them instead, over signs of -1 and +1. First weights by chance.
    """

    def __init__(self, inputs: int, units: int, groups: int) -> None:
        super().__init__()
        self.groups = groups
        self.weight = nn.Parameter(0.3 * torch.randn(units, inputs))
        self.bias = nn.Parameter(0.3 * torch.randn(units))
        if not groups:
            self.out_weight = nn.Parameter(0.3 * torch.randn(units))
            self.out_bias = nn.Parameter(0.3 * torch.randn(1))

    def sums(self, x: Tensor) -> Tensor:  # (B, D) -> (B, U)
        return torch.addmm(self.bias, x, self.weight.T)

    def joined(self, on: Tensor) -> Tensor:  # (..., U) of bool -> (...) of bool
        """What the logic makes of units that fire, or do not."""
        if self.groups:
            return on.unflatten(-1, (self.groups, -1)).all(-1).any(-1)
        return (on.to(self.weight.dtype) * 2 - 1) @ self.out_weight + self.out_bias >= 0

    def forward(self, x: Tensor) -> Tensor:  # (B, D) -> (B,) of int64
        return self.joined(self.sums(x) >= 0).long()


def error(model: Madaline, stream: Stream) -> Scores:
    """The share of wrong answers over a stream."""
    pairs = [(model(batch["features"]), batch["label"]) for batch in stream]
    given, label = (torch.cat(column) for column in zip(*pairs, strict=True))
    return {"error": metrics.error_rate(given, label)}


class MinimalDisturbance(Learner):
    """Rule I or II, one example at a time: what is right is left alone, what is wrong is mended by the least change.

    Done after a pass without a mistake.
    """

    def __init__(self, model: Madaline, lr: float, schedule: Schedule) -> None:
        self.model: Madaline = model
        self.optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
        self.lr, self.schedule = lr, schedule
        self.counts = Box({"mistakes": 0, "flips": 0, "in_pass": 0})

    def step(self, batch: Batch, clock: Clock) -> Scores:
        # The rate is where a sum shall come to lie, not a factor on the gradient.
        margin = self.lr * self.schedule(clock.fraction)
        x, wanted = batch["features"], bool(batch["label"][0])
        counts = self.counts.value
        with torch.no_grad():
            sums = self.model.sums(x)[0]
            wrong = bool(self.model.joined(sums >= 0)) != wanted
            if wrong:
                for parameter in self.model.parameters():
                    parameter.grad = torch.zeros_like(parameter)
                counts["mistakes"] += 1
                counts["in_pass"] += 1
                turn = not self.model.groups and counts["mistakes"] % clock.per_pass == 0
                flipped = [] if turn else self.least(sums, wanted)
                if flipped:
                    self.adapt(x[0], sums, flipped, margin)
                else:
                    self.adapt_output(sums, wanted, margin)
                counts["flips"] += len(flipped)
                apply(self.optimizer)
        if clock.ends_pass:
            self.done = not counts["in_pass"]
            counts["in_pass"] = 0
        return {"error": float(wrong)}

    def least(self, sums: Tensor, wanted: bool) -> list[int]:  # (U,)
        """The units to turn over so that the output becomes the wanted one; none where no trial does it."""
        on = sums >= 0
        if self.model.groups:
            each = torch.arange(len(sums), device=sums.device).view(self.model.groups, -1)
            if wanted:  # all that are silent in the group that lacks the least
                own = each[sums.clamp(max=0).view(self.model.groups, -1).sum(1).argmax()]
                return own[~on[own]].tolist()
            # the weakest of every group that fires
            return [int(own[sums[own].argmin()]) for own in each if bool(on[own].all())]
        order = sums.abs().argsort().tolist()
        few = order[:PAIRS]
        trials = [[unit] for unit in order] + [[a, b] for place, b in enumerate(few) for a in few[:place]]
        turned = on.repeat(len(trials), 1)
        for row, units in zip(turned, trials, strict=True):
            row[units] = ~row[units]
        good = (self.model.joined(turned) == wanted).nonzero().flatten().tolist()
        return trials[good[0]] if good else []

    def adapt(self, x: Tensor, sums: Tensor, units: list[int], margin: float) -> None:  # (D,), (U,)
        """Moves the sums of units to `margin` beyond 0, along the example: the shortest way (Widrow, Lehr, eq. 12)."""
        assert self.model.weight.grad is not None
        assert self.model.bias.grad is not None
        change = torch.where(sums >= 0, -margin, margin) - sums
        change = change[units] / (x.square().sum() + 1)
        self.model.weight.grad[units] = -change[:, None] * x
        self.model.bias.grad[units] = -change

    def adapt_output(self, sums: Tensor, wanted: bool, margin: float) -> None:  # (U,)
        """The same for the output unit, whose inputs are the signs of the others."""
        signs = (sums >= 0).to(sums.dtype) * 2 - 1
        total = signs @ self.model.out_weight + self.model.out_bias
        change = ((margin if wanted else -margin) - total) / (len(signs) + 1)
        self.model.out_weight.grad = -change * signs
        self.model.out_bias.grad = -change

    def evaluate(self, stream: Stream) -> Scores:
        return error(self.model, stream)

    def parts(self) -> dict[str, Stateful]:
        return {"model": self.model, "optimizer": self.optimizer, "counts": self.counts}

    def snapshot(self) -> dict[str, Tensor]:
        return {name: value.clone() for name, value in self.model.state_dict().items()}


class Search(Learner):
    """One relabelling of the T examples an update, 2^T in all; after the last of them the best choice is taken.

    A labelling is a number whose bit i is the label of example i.
    """

    def __init__(self, model: Madaline) -> None:
        self.model: Madaline = model
        self.found = Box([])  # labellings that a line can have

    def step(self, batch: Batch, clock: Clock) -> Scores:
        x, label = batch["features"], batch["label"]
        labelling = clock.step
        if separator(x, labelling) is not None:
            self.found.value = [*self.found.value, labelling]
        if clock.step + 1 == 2 ** len(x):
            wanted = sum(1 << place for place, one in enumerate(label.tolist()) if one)
            self.take(x, best(self.found.value, len(x), wanted, len(self.model.bias), self.model.groups))
            self.done = True
        return {"relabellings": float(labelling + 1), "separable": float(len(self.found.value))}

    def take(self, x: Tensor, labellings: list[int]) -> None:
        """Gives every unit a line that labels the examples so."""
        with torch.no_grad():
            for unit, labelling in enumerate(labellings):
                line = separator(x, labelling)
                assert line is not None
                self.model.weight[unit] = line[:-1].to(self.model.weight)
                self.model.bias[unit] = line[-1].to(self.model.bias)

    def evaluate(self, stream: Stream) -> Scores:
        return error(self.model, stream)

    def parts(self) -> dict[str, Stateful]:
        return {"model": self.model, "found": self.found}

    def snapshot(self) -> dict[str, Tensor]:
        return {name: value.clone() for name, value in self.model.state_dict().items()}


def separator(x: Tensor, labelling: int) -> Tensor | None:  # (T, D) -> (D + 1,)
    """Weights and bias of a line with just the examples on its side that `labelling` has, or None if there is none.

    A linear program finds the largest t <= 1 with t <= ±(w·x + b) for all examples and |w| <= 1 in every component.
    """
    import numpy as np
    from scipy.optimize import linprog

    side = np.array([1.0 if labelling >> place & 1 else -1.0 for place in range(len(x))])
    points = x.double().cpu().numpy()
    rows = np.hstack([-side[:, None] * points, -side[:, None], np.ones((len(x), 1))])
    weights = points.shape[1]
    bounds = [(-1, 1)] * weights + [(None, None), (None, 1)]
    found = linprog(np.eye(weights + 2)[-1] * -1, A_ub=rows, b_ub=np.zeros(len(x)), bounds=bounds, method="highs")
    assert found.status == 0, found.message
    return torch.tensor(found.x[:-1]) if found.x[-1] > 1e-7 else None


def best(labellings: list[int], examples: int, wanted: int, units: int, groups: int) -> list[int]:
    """The labelling for each unit with which AND in groups and OR between them come nearest to the wanted one."""
    import numpy as np

    each = units // groups
    everything = 2**examples - 1
    anded = combined({one: (one,) for one in labellings}, {one: (one,) for one in labellings}, each, np.bitwise_and)
    # A group that needs fewer is filled up with units that always fire, and a group that is not needed never does.
    filled = {mask: (parts + (everything,) * (each - len(parts)),) for mask, parts in anded.items()}
    ored = combined(filled, filled, groups, np.bitwise_or)
    nearest = min(ored, key=lambda mask: ((mask ^ wanted).bit_count(), mask))
    chosen = ored[nearest]
    silent = (everything,) * (each - 1) + (0,)
    return [mask for group in chosen + (silent,) * (groups - len(chosen)) for mask in group]


def combined(start: dict[int, Any], pieces: dict[int, Any], times: int, operation: "np.ufunc") -> dict[int, Any]:
    """All that `operation` makes of `times` pieces at most, each with a tuple of the pieces it is made of."""
    import numpy as np

    reached, others = dict(start), np.array(list(pieces))
    for _ in range(times - 1):
        known = np.array(list(reached))
        masks, first = np.unique(operation.outer(known, others), return_index=True)
        fresh = {
            int(mask): reached[int(known[place // len(others)])] + pieces[int(others[place % len(others)])]
            for mask, place in zip(masks, first, strict=True)
            if int(mask) not in reached
        }
        if not fresh:
            break
        reached |= fresh
    return reached


class MadalineRecipe(Recipe):
    """Madaline by rule I, by rule II or by search, on a table of two classes."""

    takes = ("table",)
    gives = ("label",)

    data: str = Field("double_pentagon", description="a named table, or a table's file")
    target: str | None = Field(None, description="the column of a table that is to be learnt")
    positive: str | None = Field(None, description="the class to part from all others; none: the second of two")
    rule: Literal["mri", "mrii", "search"] = Field(
        "mri", description="Madaline rule I, rule II, or the search over all relabellings"
    )
    units: int = Field(16, ge=1, le=1000, description="Adalines in the first layer")
    groups: int = Field(2, ge=1, description="of units joined by AND, which OR joins; not of rule II, which learns it")
    lr: Rate = 1.0
    schedule: Course = "linear"
    epochs: Epochs = 60
    valid: Share = Field(0.0, description="share of the training examples to choose by")
    test: Share = Field(0.2, description="share of the examples to judge by, where the set has no test part")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.rule != "mrii" and self.units % self.groups:
            raise ValueError(f"units must be a multiple of groups; got {self.units} in {self.groups} groups.")
        return self

    def load(self) -> Data:
        found = load(self.data, self.takes, seed=self.seed, valid=self.valid, test=self.test, target=self.target)
        target = found.spec["target"]
        if target["kind"] != "class":
            raise UserError(
                f"madaline: the target must hold classes; '{target['name']}' holds numbers. "
                f"`deepclassics run adaline` learns numbers."
            )
        classes = target["classes"]
        if self.positive is not None:
            found = found.parted(self.positive, self.name())
        elif len(classes) != 2:
            raise UserError(
                f"madaline: there must be two classes; '{target['name']}' has {len(classes)}. Name one with "
                f"--positive, to be parted from the rest: {', '.join(classes)}."
            )
        train = found.train
        if self.rule == "search" and len(train) > MOST:
            raise UserError(
                f"madaline: the search takes {MOST} training examples at most, for it tries 2^{MOST} relabellings; "
                f"got {len(train):,}. Take fewer, or --rule mri."
            )
        stream = Whole(train) if self.rule == "search" else Shuffled(train, 1, self.seed)
        return found.streams(stream)

    def model(self, spec: dict[str, Any]) -> Madaline:
        return Madaline(spec["features"], self.units, 0 if self.rule == "mrii" else self.groups)

    def learner(self, model: nn.Module) -> Learner:
        assert isinstance(model, Madaline)
        return Search(model) if self.rule == "search" else MinimalDisturbance(model, self.lr, NAMED[self.schedule])

    def plan(self, data: Data) -> Plan:
        if isinstance(data.train, Whole):
            steps = 2 ** len(data.train.columns)
            return Plan(steps, max(1, steps // 10))
        steps = max(1, round(self.epochs * len(data.train)))
        return Plan(steps, max(1, len(data.train) // 2), "valid/error" if data.valid is not None else "")

    def answer(self, model: nn.Module, question: Batch, options: Any) -> Batch:
        return {"label": model(question["features"])}

    def conclude(self, learner: Learner, data: Data) -> tuple[dict[str, float], list[str]]:
        """The error on all training examples, whether a single unit could have none, and what it took."""
        assert isinstance(data.train, Shuffled | Whole)
        columns = data.train.columns
        scores = {f"train/{name}": float(value) for name, value in learner.evaluate(Whole(columns)).items()}
        x, label, classes = columns["features"].cpu(), columns["label"].cpu(), data.spec["target"]["classes"]
        remarks = []
        if len(columns) <= EXACT and 0 < int(label.sum()) < len(label):
            alone = meeting_point(x[label == 1], x[label == 0]) is None
            can = "A single unit can" if alone else "No single unit can"
            remarks.append(f"{can} part {classes[1]} from {classes[0]} on the training examples.")
        wrong = round(scores["train/error"] * len(columns))
        if isinstance(learner, Search):
            found = len(learner.found.value)
            scores |= {"train/relabellings": 2.0 ** len(columns), "train/separable": float(found)}
            remarks.append(
                f"All 2^{len(columns)} = {2 ** len(columns):,} relabellings of a unit were tried; a line can have "
                f"{found:,} of them. No choice for {many(self.units, 'unit')} in {many(self.groups, 'group')} makes "
                f"fewer than {many(wrong, 'mistake')}. One example more, and the search takes twice as long."
            )
        else:
            assert isinstance(learner, MinimalDisturbance)
            scores["train/flips"] = float(learner.counts.value["flips"])
            remarks.append(f"Units turned over: {learner.counts.value['flips']:,}. Training mistakes left: {wrong:,}.")
        return scores, remarks

    def pictures(self, evidence: "Evidence") -> list[Picture]:
        from deepclassics.report import confusion, curves

        spec = evidence.spec
        found = [curves.picture(evidence)]
        if spec["features"] == 2:
            found.append(
                Picture(
                    "The lines as they were learnt",
                    f"A line is where a unit's sum is 0; those of a group have one colour. The shaded part is what "
                    f"the whole answers {spec['target']['classes'][1]} to. Features are standardised.",
                    lambda: lines(
                        self.model(spec),
                        evidence.snapshots,
                        evidence.splits().train,
                        spec["target"]["classes"],
                        spec["feature_names"],
                    ),
                )
            )
        return [*found, confusion.picture(evidence)]


def lines(
    model: Madaline,
    snapshots: list[tuple[int, dict[str, Tensor]]],
    examples: Columns,
    classes: list[str],
    names: list[str],
) -> "Figure":
    """The units' lines and the answer over two features, at the start, on the way and at the end."""
    import matplotlib.axes

    places = sorted({round(share * (len(snapshots) - 1)) for share in (0.0, 0.1, 0.4, 1.0)})
    across = min(2, len(places))
    down = -(-len(places) // across)
    figure = sheet(3.7 * across + 0.2, 3.1 * down + 0.4)
    panels = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True).ravel()
    for panel in panels[len(places) :]:
        panel.set_axis_off()
    for place, panel in zip(places, panels, strict=False):
        step, weights = snapshots[place]
        assert isinstance(panel, matplotlib.axes.Axes)
        model.load_state_dict(weights)
        _panel(panel, model, examples, classes)
        panel.set_title(f"after update {step:,}")
        panel.set_xlabel(drawable(names, 30)[0])
        panel.set_ylabel(drawable(names, 30)[1])
        panel.label_outer()
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=3)
    return figure


def _panel(panel: "Axes", model: Madaline, examples: Columns, classes: list[str]) -> None:
    points, label = examples["features"], examples["label"]
    low, high = points.min(0).values, points.max(0).values
    room = 0.1 * (high - low).clamp(min=1e-6)
    x, y = (torch.linspace(float(low[d] - room[d]), float(high[d] + room[d]), SIDE) for d in (0, 1))
    rows, columns = torch.meshgrid(y, x, indexing="ij")
    grid = torch.stack([columns.flatten(), rows.flatten()], 1)
    with torch.no_grad():
        given, sums = model(grid).view(SIDE, SIDE).numpy(), model.sums(grid).view(SIDE, SIDE, -1).numpy()
    panel.contourf(x.numpy(), y.numpy(), given, levels=[0.5, 1.5], colors=[PALETTE[1]], alpha=0.18)
    each = sums.shape[2] // model.groups if model.groups else sums.shape[2]
    for unit in range(sums.shape[2]):
        if sums[..., unit].min() < 0 < sums[..., unit].max():
            colour = GROUPS[unit // each % len(GROUPS)]
            panel.contour(x.numpy(), y.numpy(), sums[..., unit], levels=[0.0], colors=[colour], linewidths=1.0)
    for k, (colour, marker) in enumerate(marks(len(classes))):
        own = points[label == k].numpy()
        panel.plot(own[:, 0], own[:, 1], marker, color=colour, markersize=3 if len(points) > 50 else 7,
                   markeredgewidth=0, linestyle="", label=drawable(classes)[k])  # fmt: skip
