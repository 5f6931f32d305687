"""Perceptron: a threshold on a weighted sum, corrected by every mistake it makes.

Source: F. Rosenblatt, The perceptron: a probabilistic model for information storage and organization in the brain
(1958); A. Novikoff, On convergence proofs on perceptrons (1962), for the bound; M. Minsky, S. Papert, Perceptrons
(1969), for what it cannot do. Notes: S007-S011, C002, C043, C061, C139, N022, E001, E012.

Departures from the paper: the second layer alone, on any features. More than two classes are learnt one against the
rest, by a unit each, and the largest sum wins. Where the classes cannot be parted, the weights that are kept are those
with the fewest errors on the validation examples (Gallant 1990 keeps the longest-lived ones in a pocket).

Expected: iris, setosa is parted from the rest after a few mistakes, and never after more than (R/γ)² of them; XOR is
told to be impossible, and why. MNIST, one against the rest, under 15 % test error in two passes, some twenty seconds;
the linear classifier of LeCun et al. 1998 has 12.0 %. The commands and figures are in benchmarks/results.md.

Letters: B examples a batch, D features, K units: one for two classes, else one a class.
"""

import warnings
from typing import TYPE_CHECKING, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from deepclassics import metrics
from deepclassics.data import load
from deepclassics.data.streams import Batch, Data, Shuffled, Stream, inputs
from deepclassics.errors import UserError
from deepclassics.learn import Box, Clock, Learner, Scores, Stateful, apply
from deepclassics.loop import Plan
from deepclassics.recipe import Epochs, Picture, Published, Rate, Recipe, Share

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from deepclassics.report.evidence import Evidence

SOLVER_STEPS = 1_000_000  # of the hard-margin solver; margins of a thousandth of the radius take fewer
EXACT = 5000  # examples up to which separability and margin are computed; both take time cubic in them


class Perceptron(nn.Module):
    """`units` threshold units over `inputs` features. All weights are 0 at first."""

    def __init__(self, inputs: int, units: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(units, inputs))
        self.bias = nn.Parameter(torch.zeros(units))

    def forward(self, x: Tensor) -> Tensor:  # (B, ...) of D numbers each -> (B, K) sums
        return torch.addmm(self.bias, x.flatten(1), self.weight.T)


class PerceptronLearner(Learner):
    """Rosenblatt's rule, one example at a time.

    "rosenblatt": w += lr (t - y) x with t, y in {-1, +1}, y = +1 where the sum is 0 or more (S008);
    "pm": w += x for a missed positive, w -= x for a missed negative example (S009), the same with lr = 1/2.
    """

    def __init__(self, model: Perceptron, rule: Literal["rosenblatt", "pm"], lr: float) -> None:
        self.model: Perceptron = model
        self.optimizer = torch.optim.SGD(model.parameters(), lr if rule == "rosenblatt" else 0.5)
        device = model.weight.device
        # Counts stay on the device: reading them at every step would make it wait.
        self.counts = Box(
            {
                "mistakes": torch.zeros((), dtype=torch.int64, device=device),
                "in_pass": torch.zeros((), dtype=torch.int64, device=device),
            }
        )

    def step(self, batch: Batch, clock: Clock) -> Scores:
        x, target = inputs(batch).flatten(1), targets(batch["label"], len(self.model.bias))
        with torch.no_grad():
            given = (self.model(x) >= 0).to(x.dtype) * 2 - 1
            miss = target - given
            self.model.weight.grad = -(miss.T @ x) / len(x)
            self.model.bias.grad = -miss.mean(0)
        apply(self.optimizer)
        wrong = (miss != 0).sum()
        counts = self.counts.value
        counts["mistakes"] = counts["mistakes"] + wrong
        counts["in_pass"] = counts["in_pass"] + wrong
        if clock.ends_pass:
            self.done = not bool(counts["in_pass"])
            counts["in_pass"] = torch.zeros_like(counts["in_pass"])
        return {"error": (miss != 0).any(1).double().mean()}

    def evaluate(self, stream: Stream) -> Scores:
        pairs = [(self.model(inputs(batch)), batch["label"]) for batch in stream]
        sums, label = (torch.cat(column) for column in zip(*pairs, strict=True))
        return {"error": metrics.error_rate(decide(sums), label)}

    def parts(self) -> dict[str, Stateful]:
        return {"model": self.model, "optimizer": self.optimizer, "counts": self.counts}

    def snapshot(self) -> dict[str, Tensor]:
        return {"weight": self.model.weight.clone(), "bias": self.model.bias.clone()}


def targets(label: Tensor, units: int) -> Tensor:  # (B,) -> (B, K) of -1 and +1
    """+1 where the label is the unit's class. A single unit stands for the second of two classes."""
    classes = torch.arange(units, device=label.device) if units > 1 else label.new_ones(1)
    return (label[:, None] == classes).float() * 2 - 1


def decide(sums: Tensor) -> Tensor:  # (B, K) -> (B,) of int64
    """The class of the largest sum; of two classes the second where the sum is 0 or more."""
    return sums.argmax(1) if sums.shape[1] > 1 else (sums[:, 0] >= 0).long()


def meeting_point(positive: Tensor, negative: Tensor) -> Tensor | None:  # (P, D), (N, D) -> (D,)
    """A point in the convex hulls of both classes, or None where a hyperplane parts them.

    The hulls meet exactly where no threshold unit can part the classes: a linear program decides (Farkas' lemma).
    """
    import numpy as np
    from scipy.optimize import linprog

    p, n = positive.double().cpu().numpy(), negative.double().cpu().numpy()
    equal = np.vstack([np.hstack([p.T, -n.T]), np.hstack([np.ones(len(p)), np.zeros(len(n))])])
    equal = np.vstack([equal, np.hstack([np.zeros(len(p)), np.ones(len(n))])])
    right = np.concatenate([np.zeros(p.shape[1]), [1.0, 1.0]])
    found = linprog(np.zeros(len(p) + len(n)), A_eq=equal, b_eq=right, bounds=(0, None), method="highs")
    assert found.status in (0, 2), found.message  # 2: there is no such point
    return torch.tensor(found.x[: len(p)] @ p) if found.status == 0 else None


def mistake_bound(x: Tensor, target: Tensor) -> float | None:  # (N, D), (N,) of -1 and +1 -> (R/γ)²
    """Novikoff's bound on the mistakes of a unit that starts at 0, on separable examples; the bias is an input of 1.

    None where the margin is too small for the solver, which would not come to an end.

    R is the longest augmented example, γ the margin of the best unit-norm separator through the origin. That is a
    hard-margin SVM without intercept; mirroring every example through the origin makes scikit-learn's intercept 0.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.svm import SVC

    signed = torch.cat([x, torch.ones(len(x), 1)], 1).double() * target[:, None].double()
    both = torch.cat([signed, -signed]).numpy()
    sides = [1] * len(signed) + [-1] * len(signed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        machine = SVC(kernel="linear", C=1e10, tol=1e-8, max_iter=SOLVER_STEPS).fit(both, sides)
    separator = torch.tensor(machine.coef_[0])
    margin = float((signed @ separator).min() / separator.norm())
    if margin <= 0 or machine.fit_status_ or int(machine.n_iter_[0]) >= SOLVER_STEPS:
        return None
    return float(signed.norm(dim=1).max()) ** 2 / margin**2


_COMPONENTS = ["first principal component", "second principal component"]

Snapshots = list[tuple[int, dict[str, Tensor]]]


def onto_plane(x: Tensor, snapshots: Snapshots) -> tuple[Tensor, Snapshots]:  # (N, D) -> (N, 2), weights (K, 2)
    """The examples seen on a plane through their mean, and the units' sums as functions on that plane."""
    mean = x.mean(0)
    centred = x - mean
    weight = snapshots[-1][1]["weight"]
    basis = torch.zeros(0, x.shape[1])
    if len(weight) == 1 and bool(weight.any()):
        basis = weight / weight.norm()
    rest = centred - centred @ basis.T @ basis
    basis = torch.cat([basis, torch.linalg.svd(rest, full_matrices=False).Vh])[:2]
    seen = [
        (step, {"weight": each["weight"] @ basis.T, "bias": each["bias"] + each["weight"] @ mean})
        for step, each in snapshots
    ]
    return centred @ basis.T, seen


def _point(point: Tensor) -> str:
    numbers = [f"{value:.3g}" for value in point.tolist()]
    return f"({', '.join(numbers[:6])}{', ...' if len(numbers) > 6 else ''})"


class PerceptronRecipe(Recipe):
    """Perceptrons, one against the rest, on pictures or a table."""

    takes = ("image", "table")
    gives = ("label",)
    published = (
        Published(
            on="mnist",
            score="test/error",
            value=0.12,
            source="LeCun et al. 1998, a linear classifier (as listed on the MNIST page)",
            protocol={"rule": "least squares", "training examples": 60000},
        ),
        Published(
            on="sonar",
            score="test/error",
            value=0.269,
            source="Gorman and Sejnowski 1988, no hidden units, aspect-dependent split",
            protocol={
                "rule": "delta rule with sigmoid outputs",
                "epochs": 300,
                "split": "aspect-dependent, 104 to 104",
            },
        ),
    )

    data: str = Field("iris", description="a named set of pictures or a table, a folder of pictures, a table's file")
    target: str | None = Field(None, description="the column of a table that is to be learnt")
    positive: str | None = Field(None, description="the class to part from all others; none: each from the rest")
    rule: Literal["rosenblatt", "pm"] = Field("rosenblatt", description="w += lr (t - y) x, or w = w ± x")
    lr: Rate = 0.5
    epochs: Epochs = 50
    valid: Share = Field(0.1, description="share of the training examples to choose by")
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
        if found.spec["target"]["kind"] != "class":
            raise UserError(
                f"perceptron: the target must hold classes; '{found.spec['target']['name']}' holds numbers. "
                f"`deepclassics run mlp` learns numbers."
            )
        if self.positive is not None:
            found = found.parted(self.positive, self.name())
        return found.shuffled(1, self.seed)

    def model(self, spec: dict[str, Any]) -> Perceptron:
        classes = len(spec["target"]["classes"])
        channels, height, width = spec["shape"] if spec["kind"] == "image" else (1, 1, spec["features"])
        return Perceptron(channels * height * width, 1 if classes == 2 else classes)

    def learner(self, model: nn.Module) -> PerceptronLearner:
        assert isinstance(model, Perceptron)
        return PerceptronLearner(model, self.rule, self.lr)

    def plan(self, data: Data) -> Plan:
        steps = max(1, round(self.epochs * len(data.train)))
        # Ten looks a pass: the report shows the line moving, and most of its moves come early.
        return Plan(steps, max(1, len(data.train) // 10), "valid/error" if data.valid is not None else "")

    def answer(self, model: nn.Module, question: Batch, options: Any) -> Batch:
        sums = model(inputs(question))
        return {"label": decide(sums), "sum": sums}

    def conclude(self, learner: Learner, data: Data) -> tuple[dict[str, float], list[str]]:
        """Which classes a unit can part from the rest, and how the mistakes compare with the bound."""
        assert isinstance(learner, PerceptronLearner)
        assert isinstance(data.train, Shuffled)
        mistakes = int(learner.counts.value["mistakes"])
        scores = {"train/mistakes": float(mistakes)}
        if len(data.train.columns) > EXACT:
            return scores, []
        examples = data.train.columns.take(slice(None))
        x, target = inputs(examples).flatten(1).cpu(), targets(examples["label"], len(learner.model.bias)).cpu()
        classes, remarks, bounds = data.spec["target"]["classes"], [], []
        for unit, name in enumerate(classes if target.shape[1] > 1 else classes[1:]):
            side = target[:, unit]
            meeting = meeting_point(x[side > 0], x[side < 0])
            rest = "the rest" if len(classes) > 2 else classes[0]
            if meeting is not None:
                remarks.append(
                    f"No threshold unit can part {name} from {rest}: the point {_point(meeting)} lies between examples "
                    f"of {name} and also between examples of {rest}, so every hyperplane has some of them on the "
                    f"wrong side. The rule never comes to rest."
                )
            else:
                bound = mistake_bound(x, side)
                bounds += [] if bound is None else [bound]
                within = (
                    "after a number of mistakes too large to compute"
                    if bound is None
                    else (f"within (R/γ)² = {bound:,.1f} mistakes")
                )
                remarks.append(f"{name} can be parted from {rest}, and the rule must do so {within}.")
        if len(bounds) == target.shape[1]:
            scores["train/mistake_bound"] = sum(bounds)
        return scores, [*remarks, f"Mistakes made: {mistakes:,}."]

    def pictures(self, evidence: "Evidence") -> list[Picture]:
        from deepclassics.report import confusion, curves
        from deepclassics.report.line import line
        from deepclassics.report.tiles import tiles

        spec = evidence.spec

        def moving() -> "Figure":
            train, snapshots, axes = evidence.splits().train, evidence.snapshots, spec["feature_names"]
            points = train["features"]
            if points.shape[1] != 2:
                points, snapshots = onto_plane(points, snapshots)
                axes = ["along the last weights", "across them"] if len(spec["target"]["classes"]) == 2 else _COMPONENTS
            return line(points, train["label"], snapshots, spec["target"]["classes"], axes)

        def weights() -> "Figure":
            return tiles(evidence.model.get_parameter("weight").detach().view(-1, *spec["shape"]), scale="each")

        if spec["kind"] == "image":
            seen = Picture("The weights as pictures", "Orange speaks for the class, blue against it.", weights)
        elif spec["features"] == 2:
            seen = Picture("The line moving", "Where the weighted sum is 0, from early (thin) to last (thick).", moving)
        else:
            seen = Picture(
                "The line moving",
                "A plane through the examples' mean: for one unit one that holds its last weights, for several that "
                "of the two principal components. A line is where a unit's sum is 0 on it, from early (thin) to last "
                "(thick).",
                moving,
            )
        return [curves.picture(evidence), seen, confusion.picture(evidence)]
