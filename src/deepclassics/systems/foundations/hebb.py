"""Hebb: what fires together wires together, without end; and Oja's rule, which holds the weights in bounds.

Source: D. Hebb, The organization of behavior (1949), chapter 4, in words; E. Oja, A simplified neuron model as a
principal component analyzer, J. Math. Biology 15 (1982), eq. 3. Notes: S002, S006, C042, C136.

Departures from the paper: Hebb wrote no formula; the usual one is taken, Δw = lr y x. Examples are centred on their
mean and scaled to a mean squared length of 1, so that a rate means the same on any data; Oja assumes a mean of 0. The
rate falls over the run, where Oja (section 3) wants a series of rates with a finite sum of squares.

Expected: iris, in seconds, Oja's weights along the first principal component, cosine over 0.999 (`train/cosine`) and
norm 1. `--rule hebb`: the direction is the same, but the norm doubles again and again until it passes `--limit`, and
the run ends.

Letters: B examples a batch, D features, N examples.
"""

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from deepclassics.data import load
from deepclassics.data.streams import Batch, Columns, Data, Shuffled, Stream, inputs
from deepclassics.errors import UserError
from deepclassics.learn import Clock, Learner, Scores, Stateful, apply, schedule_rate
from deepclassics.loop import Plan
from deepclassics.recipe import BatchSize, Course, Epochs, Picture, Rate, Recipe, Share
from deepclassics.report.style import BLUE, FAINT, GREEN, VERMILLION, grid, sheet, thin
from deepclassics.schedules import NAMED, Schedule

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from deepclassics.report.evidence import Evidence

FIRST = 0.1  # norm of the first weights
MOST = 4000  # features up to which the principal components are computed; it takes time cubic in them


class Neuron(nn.Module):
    """A linear unit, y = w · x, over examples less their mean `centre` and times `scale`. First weights by chance."""

    centre: Tensor

    def __init__(self, centre: list[float], scale: float) -> None:
        super().__init__()
        weight = torch.randn(len(centre))
        self.weight = nn.Parameter(FIRST * weight / weight.norm())
        self.register_buffer("centre", torch.tensor(centre), persistent=False)
        self.scale = scale

    def heard(self, x: Tensor) -> Tensor:  # (B, ...) of D numbers each -> (B, D)
        return (x.flatten(1) - self.centre) * self.scale

    def forward(self, x: Tensor) -> Tensor:  # (B, ...) of D numbers each -> (B,)
        return self.heard(x) @ self.weight


def hebbian(x: Tensor, y: Tensor) -> Tensor:  # (B, D), (B,) -> (D,)
    """Δw / lr = y x: an input's weight grows where it and the unit are active together (S006, C136)."""
    return y @ x / len(x)


def ojas(x: Tensor, y: Tensor, weight: Tensor) -> Tensor:  # (B, D), (B,), (D,) -> (D,)
    """Δw / lr = y (x - y w), Oja's eq. 3: Hebb's rule, and a decay by what the unit has already said."""
    return hebbian(x, y) - y.square().mean() * weight


class Hebbian(Learner):
    """One of the two rules. It is done where the norm of the weights passes `limit`, before numbers overflow."""

    def __init__(
        self, model: Neuron, rule: Literal["oja", "hebb"], lr: float, schedule: Schedule, limit: float
    ) -> None:
        self.model: Neuron = model
        self.rule, self.limit, self.schedule = rule, limit, schedule
        self.optimizer = torch.optim.SGD(model.parameters(), lr)

    def step(self, batch: Batch, clock: Clock) -> Scores:
        schedule_rate(self.optimizer, self.schedule, clock)
        weight = self.model.weight
        with torch.no_grad():
            x = self.model.heard(inputs(batch))
            y = x @ weight
            weight.grad = -(hebbian(x, y) if self.rule == "hebb" else ojas(x, y, weight))
            before = weight.clone()
        apply(self.optimizer)
        with torch.no_grad():
            norm = weight.double().norm()
            if not norm.isfinite():  # in one update from below the limit to beyond all numbers
                weight.copy_(before)
                norm = before.double().norm()
                self.done = True
            self.done = self.done or bool(norm > self.limit)
        return {"norm": norm}

    def evaluate(self, stream: Stream) -> Scores:
        """ "loss": the share of the examples' squared length that is not along the weights, in [0, 1]."""
        along, whole = 0.0, 0.0
        direction = self.model.weight.double()
        direction = direction / direction.norm()
        for batch in stream:
            x = self.model.heard(inputs(batch)).double()
            along += float((x @ direction).square().sum())
            whole += float(x.square().sum())
        return {"loss": 1 - along / whole if whole else 0.0, "norm": self.model.weight.double().norm()}

    def parts(self) -> dict[str, Stateful]:
        return {"model": self.model, "optimizer": self.optimizer}

    def snapshot(self) -> dict[str, Tensor]:
        return {"weight": self.model.weight.clone()}


def facts(columns: Columns) -> dict[str, Any]:
    """The mean of the examples, "centre", and what makes their mean squared length 1, "scale"."""
    parts = [slice(begin, begin + 1000) for begin in range(0, len(columns), 1000)]
    mean = sum(inputs(columns.take(part)).flatten(1).double().sum(0) for part in parts) / len(columns)
    assert isinstance(mean, Tensor)
    power = sum(float((inputs(columns.take(part)).flatten(1) - mean).square().sum()) for part in parts) / len(columns)
    if not power > 0:
        raise UserError("The examples must differ from each other; got the same one over and over. Give others.")
    return {"centre": mean.tolist(), "scale": power**-0.5}


def components(x: Tensor) -> tuple[Tensor, Tensor]:  # (N, D) -> (D,) descending, (D, D) rows, of float64
    """The principal components of examples, and the mean square along each.

    Of examples of mean 0 they are the right singular vectors; the triangle of a QR decomposition has the same ones.
    """
    triangle = torch.linalg.qr(x.double(), mode="r").R
    found = torch.linalg.svd(triangle, full_matrices=True)
    spread = torch.zeros(x.shape[1], dtype=torch.float64)
    spread[: len(found.S)] = found.S.square() / len(x)
    return spread, found.Vh


def cosine(weight: Tensor, component: Tensor) -> float:  # (D,), (D,)
    """Of the angle between two lines: a component has no sign."""
    weight = weight.double()
    return float((weight @ component).abs() / (weight.norm() * component.norm()))


class HebbRecipe(Recipe):
    """One linear unit that learns without being told what is right."""

    takes = ("image", "table")
    gives = ("number",)
    answers_target = False

    data: str = Field("iris", description="a named set of pictures or a table, a folder of pictures, a table's file")
    target: str | None = Field(None, description="the column of a table that is left out")
    rule: Literal["oja", "hebb"] = Field("oja", description="Δw = lr y (x - y w), or Hebb's Δw = lr y x")
    limit: float = Field(1e6, gt=1, le=1e12, description="norm of the weights at which the run ends")
    lr: Rate = 0.05
    schedule: Course = "linear"
    batch: BatchSize = 1
    epochs: Epochs = 50
    valid: Share = Field(0.1, description="share of the training examples to look at on the way")
    test: Share = Field(0.2, description="share of the examples to judge by, where the set has no test part")
    skip_bad: bool = Field(False, description="leave pictures out that cannot be read, and count them")

    def load(self) -> Data:
        found = load(
            self.data,
            self.takes,
            seed=self.seed,
            valid=self.valid,
            test=self.test,
            target=self.target,
            skip_bad=self.skip_bad,
        )
        return replace(found, spec=found.spec | facts(found.train)).shuffled(self.batch, self.seed)

    def model(self, spec: dict[str, Any]) -> Neuron:
        return Neuron(spec["centre"], spec["scale"])

    def learner(self, model: nn.Module) -> Hebbian:
        assert isinstance(model, Neuron)
        return Hebbian(model, self.rule, self.lr, NAMED[self.schedule], self.limit)

    def plan(self, data: Data) -> Plan:
        return Plan.passes(self.epochs, data.train, looks=100)

    def answer(self, model: nn.Module, question: Batch, options: Any) -> Batch:
        """How far an example lies along the weights, in units of the root of the examples' mean squared length."""
        return {"number": model(inputs(question))}

    def conclude(self, learner: Learner, data: Data) -> tuple[dict[str, float], list[str]]:
        """The cosine with the exact first component, and what the rate does to the norm."""
        assert isinstance(learner, Hebbian)
        assert isinstance(data.train, Shuffled)
        model = learner.model
        norm = float(model.weight.detach().double().norm())
        x = model.heard(inputs(data.train.columns.take(slice(None)))).detach().cpu()
        scores, remarks, largest = {"train/norm": norm}, [], 0.0
        if x.shape[1] <= MOST:
            spread, directions = components(x)
            largest = float(spread[0])
            scores["train/cosine"] = cosine(model.weight.detach().cpu(), directions[0])
            remarks.append(
                f"The weights lie at a cosine of {scores['train/cosine']:.6f} with the first principal component of "
                f"the training examples, along which {100 * largest:.1f} % of their squared length lies."
            )
        else:
            remarks.append(f"Principal components are not computed for more than {MOST:,} features.")
        if self.rule == "hebb":
            doubled = math.log2(norm / FIRST)
            pace = math.log(2) / math.log1p(self.lr * largest) if largest else math.nan
            remarks.append(
                f"The norm of the weights has doubled {doubled:.1f} times, from {FIRST:g} to {norm:.3g}"
                + (f", once in {pace:,.0f} updates at the first rate" if math.isfinite(pace) else "")
                + (", which passes the limit; the run was ended. " if learner.done else ". ")
                + "Hebb's rule has nothing that would ever stop it; --rule oja has."
            )
        elif learner.done:
            longest = float(x.square().sum(1).max())
            remarks.append(
                f"The weights ran away: at the rate {self.lr:g} Oja's rule overshoots on long examples. "
                f"Begin again with --lr below {1 / longest:.2g}."
            )
        return scores, remarks

    def pictures(self, evidence: "Evidence") -> list[Picture]:
        from deepclassics.report import curves
        from deepclassics.report.tiles import tiles

        spec = evidence.spec

        def heard() -> Tensor:
            model = evidence.model
            assert isinstance(model, Neuron)
            return model.heard(inputs(evidence.splits().train.take(slice(None))))

        def turning() -> "Figure":
            exact = components(heard())[1][0]
            rows = [
                {"step": step, "train/1 - cosine": max(1 - cosine(each["weight"], exact), 1e-12)}
                for step, each in evidence.snapshots
            ]
            return curves.curves(rows, ["1 - cosine"])

        def directions() -> "Figure":
            return turned(heard(), [each["weight"] for _, each in evidence.snapshots])

        def templates() -> "Figure":
            weight = evidence.model.get_parameter("weight").detach().double()
            exact = components(heard())[1][0]
            exact = exact * (weight @ exact).sign()
            both = torch.stack([weight / weight.norm(), exact]).view(1, 2, *spec["shape"])
            return tiles(both, heads=["learnt", "exact"], scale="each")

        found = [
            curves.picture(evidence),
            Picture(
                "The direction settling",
                "One less the cosine of the angle between the weights and the exact first principal component.",
                turning,
            ),
            Picture(
                "The weights turning",
                "The training examples on the plane of their first two principal components, and where the weights "
                "point on it, from early (thin) to last (thick): short where they point out of it. The dashed line is "
                "the exact first component.",
                directions,
            ),
        ]
        if spec["kind"] == "image" and spec["shape"][0] == 1:
            found.append(
                Picture("The weights as a picture", "Beside the exact first component of the pictures.", templates)
            )
        return found


def turned(x: Tensor, weights: list[Tensor]) -> "Figure":  # (N, D), each (D,)
    """Where weights point on the plane of the first two components, as arrows of equal length."""
    spread, directions = components(x)
    plane = directions[:2]
    points = x.double() @ plane.T
    if len(plane) < 2:  # a single feature
        points = torch.cat([points, torch.zeros_like(points)], 1)
    figure = sheet(5.6, 4.6)
    axes = figure.subplots()
    kept = points[list(thin(len(points), 1500))].numpy()
    axes.plot(kept[:, 0], kept[:, 1], "o", color=BLUE, markersize=3.5, alpha=0.5, markeredgewidth=0, linestyle="",
              label="example")  # fmt: skip
    reach = 2.5 * math.sqrt(float(spread[0]))
    axes.plot([-1.25 * reach, 1.25 * reach], [0, 0], color=FAINT, linestyle=(0, (5, 3)), linewidth=1.2,
              label="first component")  # fmt: skip
    places = sorted({*thin(len(weights), 30), len(weights) - 1})
    sign = 1.0 if float(weights[-1].double() @ plane[0]) >= 0 else -1.0
    for age, place in enumerate(places, start=1):
        last = place == places[-1]
        tip = plane @ weights[place].double()
        x_tip, y_tip = (sign * reach * torch.cat([tip, tip.new_zeros(2)])[:2] / weights[place].double().norm()).tolist()
        axes.annotate("", (x_tip, y_tip), (0, 0), arrowprops={
            "arrowstyle": "-|>", "color": VERMILLION if last else GREEN, "linewidth": 2.2 if last else 0.8,
            "alpha": 1.0 if last else 0.15 + 0.5 * age / len(places), "shrinkA": 0, "shrinkB": 0,
        })  # fmt: skip
    axes.plot([], [], color=GREEN, linewidth=0.8, label="weights on the way")
    axes.plot([], [], color=VERMILLION, linewidth=2.2, label="last weights")
    axes.set_xlabel("along the first component")
    axes.set_ylabel("along the second")
    axes.set_aspect("equal", adjustable="datalim")
    figure.legend(loc="outside upper left", ncols=4)
    grid(axes)
    return figure
