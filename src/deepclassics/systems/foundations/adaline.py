"""Adaline: a linear unit corrected by its error before the threshold, example by example.

Source: B. Widrow, M. Hoff, Adaptive switching circuits, IRE WESCON (1960), for the rule, LMS; B. Widrow, M. Lehr,
30 years of adaptive neural networks, Proc. IEEE 78 (1990), section V, for its stability and for where it goes. Notes:
S012, G015, which name it without a formula.

Departures from the paper: a computer for memistors. More than two classes are learnt one against the rest, by a unit
each, and the largest sum wins; a number is learnt as it is, in units of its deviation. The rate falls over the run: at
a constant one the weights go on trembling around the solution, by more the larger it is.

Expected: iris, in seconds, weights within 1 % of the exact least squares, which `train/distance` measures. Where
features nearly repeat each other (breast_cancer, pictures) some directions of the weights take a very long time while
the squared error, `train/excess`, is already close. No error rate is published: what least squares gives is the anchor.

Letters: B examples a batch, D features, K units: one for two classes or for a number, else one a class.
"""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from deepclassics import metrics
from deepclassics.data import load
from deepclassics.data.streams import Batch, Columns, Data, Shuffled, Stream, inputs
from deepclassics.learn import Clock, Learner, Scores, Stateful, apply, schedule_rate
from deepclassics.loop import Plan
from deepclassics.recipe import BatchSize, Course, Epochs, Picture, Recipe, Share
from deepclassics.schedules import NAMED, Schedule
from deepclassics.systems.foundations.perceptron import decide, onto_plane, targets

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from deepclassics.report.evidence import Evidence

USUAL = 0.2  # the rate times the mean squared length of an example, where no rate is given
MOST = 4000  # features up to which least squares are solved exactly; it takes time cubic in them


class Adaline(nn.Module):
    """`units` linear units over `inputs` features. All weights are 0 at first.

    `power` is the mean squared length of a training example, its bias input of 1 included. A number is learnt as its
    distance from `centre`, its mean over the training examples, in units of `spread`, its deviation.
    """

    def __init__(
        self,
        inputs: int,
        units: int,
        power: float = 1.0,
        numeric: bool = False,
        centre: float = 0.0,
        spread: float = 1.0,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(units, inputs))
        self.bias = nn.Parameter(torch.zeros(units))
        self.power, self.numeric, self.centre, self.spread = power, numeric, centre, spread

    def forward(self, x: Tensor) -> Tensor:  # (B, ...) of D numbers each -> (B, K) sums
        return torch.addmm(self.bias, x.flatten(1), self.weight.T)

    def wanted(self, batch: Batch) -> Tensor:  # -> (B, K), what the sums should be
        """-1 and +1 for classes; for a number its distance from the mean, in deviations."""
        if self.numeric:
            return ((batch["number"] - self.centre) / self.spread)[:, None]
        return targets(batch["label"], len(self.bias))


class LMS(Learner):
    """w += lr (d - w·x) x: down the gradient of half the squared error of the examples at hand (S012)."""

    def __init__(self, model: Adaline, lr: float, schedule: Schedule) -> None:
        self.model: Adaline = model
        self.optimizer = torch.optim.SGD(model.parameters(), lr)
        self.schedule = schedule

    def step(self, batch: Batch, clock: Clock) -> Scores:
        schedule_rate(self.optimizer, self.schedule, clock)
        x = inputs(batch).flatten(1)
        with torch.no_grad():
            error = self.model.wanted(batch) - self.model(x)
            self.model.weight.grad = -(error.T @ x) / len(x)
            self.model.bias.grad = -error.mean(0)
        apply(self.optimizer)
        return {"loss": error.square().mean()}

    def evaluate(self, stream: Stream) -> Scores:
        """The mean squared error of the sums; the error rate of classes, or what numbers are judged by."""
        truth = "number" if self.model.numeric else "label"
        rows = [(self.model(inputs(batch)), self.model.wanted(batch), batch[truth]) for batch in stream]
        sums, wanted, right = (torch.cat(column) for column in zip(*rows, strict=True))
        loss = (wanted - sums).double().square().mean()
        if self.model.numeric:
            return {"loss": loss, "rmse": loss.sqrt() * self.model.spread}
        return {"loss": loss, "error": metrics.error_rate(decide(sums), right)}

    def parts(self) -> dict[str, Stateful]:
        return {"model": self.model, "optimizer": self.optimizer}

    def snapshot(self) -> dict[str, Tensor]:
        return {"weight": self.model.weight.clone(), "bias": self.model.bias.clone()}


def least_squares(x: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:  # (N, D), (N, K) -> (K, D), (K,) of float64
    """The weights and biases of the least squared error, and of all such the shortest.

    LMS from 0 never leaves the span of the examples, so the shortest solution is the one it goes to.
    """
    augmented = torch.cat([x.double(), x.new_ones(len(x), 1).double()], 1)
    # A triangle says the same as many examples, and is solved the faster.
    triangle = torch.linalg.qr(torch.cat([augmented, wanted.double()], 1), mode="r").R
    left, right = triangle.split([augmented.shape[1], wanted.shape[1]], 1)
    found = torch.linalg.lstsq(left, right, driver="gelsd").solution.T
    return found[:, :-1], found[:, -1]


def distance(weight: Tensor, bias: Tensor, exact: tuple[Tensor, Tensor]) -> float:  # (K, D), (K,)
    """How far weights and biases are from the exact ones, as a share of their length."""
    here, there = (torch.cat([w.double(), b.double()[:, None]], 1) for w, b in ((weight, bias), exact))
    return float((here - there).norm() / there.norm().clamp(min=1e-12))


def power(columns: Columns) -> float:
    """The mean squared length of an example, with a bias input of 1: the trace of E[x xᵀ]."""
    parts = (inputs(columns.take(slice(begin, begin + 1000))) for begin in range(0, len(columns), 1000))
    return sum(float(part.double().square().sum()) for part in parts) / len(columns) + 1


class AdalineRecipe(Recipe):
    """Adalines on pictures or a table, one against the rest, or one for a number."""

    takes = ("image", "table")
    gives = ("label", "number")

    data: str = Field("iris", description="a named set of pictures or a table, a folder of pictures, a table's file")
    target: str | None = Field(None, description="the column of a table that is to be learnt")
    lr: Annotated[float | None, Field(gt=0)] = Field(
        None, description=f"learning rate; none: {USUAL} over the mean squared length of an example"
    )
    schedule: Course = "linear"
    batch: BatchSize = 1
    epochs: Epochs = 200
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
        return replace(found, spec=found.spec | {"power": power(found.train)}).shuffled(self.batch, self.seed)

    def model(self, spec: dict[str, Any]) -> Adaline:
        target = spec["target"]
        channels, height, width = spec["shape"] if spec["kind"] == "image" else (1, 1, spec["features"])
        features = channels * height * width
        if target["kind"] == "number":
            return Adaline(features, 1, spec["power"], True, target["mean"], target["std"])
        classes = len(target["classes"])
        return Adaline(features, 1 if classes == 2 else classes, spec["power"])

    def learner(self, model: nn.Module) -> LMS:
        assert isinstance(model, Adaline)
        return LMS(model, self.lr or USUAL / model.power, NAMED[self.schedule])

    def chosen(self, spec: dict[str, Any]) -> dict[str, Any]:
        return {} if self.lr else {"lr": f"{USUAL / spec['power']:.4g}"}

    def plan(self, data: Data) -> Plan:
        return Plan.passes(self.epochs, data.train, looks=50)

    def answer(self, model: nn.Module, question: Batch, options: Any) -> Batch:
        assert isinstance(model, Adaline)
        sums = model(inputs(question))
        if model.numeric:
            return {"number": sums[:, 0] * model.spread + model.centre}
        return {"label": decide(sums), "sum": sums}

    def conclude(self, learner: Learner, data: Data) -> tuple[dict[str, float], list[str]]:
        """How far the weights are from the exact least squares, and how much more squared error they have."""
        assert isinstance(learner, LMS)
        assert isinstance(data.train, Shuffled)
        model, examples = learner.model, data.train.columns.take(slice(None))
        x, wanted = inputs(examples).flatten(1).cpu(), model.wanted(examples).cpu()
        if x.shape[1] > MOST:
            return {}, [f"Least squares are not solved exactly for more than {MOST:,} features."]
        exact = least_squares(x, wanted)
        weight, bias = model.weight.detach().cpu(), model.bias.detach().cpu()
        losses = [
            float((x.double() @ w.double().T + b.double() - wanted).square().mean()) for w, b in (exact, (weight, bias))
        ]
        far = distance(weight, bias, exact)
        excess = losses[1] / losses[0] - 1 if losses[0] > 1e-12 else 0.0
        told = (
            f"The least squared error that any weights have on the training examples is {losses[0]:.4g} (least_loss); "
            f"these have {losses[1]:.4g}, more by a share of {excess:.2g} (excess), and are {100 * far:.3g} % of their "
            f"length away from the best (distance)."
        )
        scores = {"train/distance": far, "train/excess": excess, "train/least_loss": losses[0]}
        return scores, [told]

    def pictures(self, evidence: "Evidence") -> list[Picture]:
        from deepclassics.report import confusion, curves, scatter
        from deepclassics.report.line import line
        from deepclassics.report.tiles import tiles

        spec = evidence.spec

        def nearing() -> "Figure":
            model, columns = evidence.model, evidence.splits().train
            assert isinstance(model, Adaline)
            examples = columns.take(slice(None))
            exact = least_squares(inputs(examples).flatten(1), model.wanted(examples))
            rows = [
                {"step": step, "train/distance": distance(each["weight"], each["bias"], exact)}
                for step, each in evidence.snapshots
            ]
            return curves.curves(rows, ["distance"])

        def moving() -> "Figure":
            train, snapshots, axes = evidence.splits().train, evidence.snapshots, spec["feature_names"]
            points = train["features"]
            if points.shape[1] != 2:
                points, snapshots = onto_plane(points, snapshots)
                axes = ["first direction of the plane", "second direction"]
            return line(points, train["label"], snapshots, spec["target"]["classes"], axes)

        def weights() -> "Figure":
            return tiles(evidence.model.get_parameter("weight").detach().view(-1, *spec["shape"]), scale="each")

        found = [
            curves.picture(evidence),
            Picture(
                "Nearing the least squares",
                "The distance of weights and biases from the exact solution, as a share of its length.",
                nearing,
            ),
        ]
        if spec["target"]["kind"] == "number":
            return [*found, scatter.picture(evidence)]
        if spec["kind"] == "image":
            seen = Picture("The weights as pictures", "Orange speaks for the class, blue against it.", weights)
        else:
            seen = Picture(
                "The line moving",
                "Where a unit's sum is 0, from early (thin) to last (thick): over the two features, or, where there "
                "are more, on a plane through the examples' mean.",
                moving,
            )
        return [*found, seen, confusion.picture(evidence)]
