"""Linear regression: the weighted sum that is nearest to the numbers, in closed form or by descent.

Source: A.-M. Legendre, Nouvelles méthodes pour la détermination des orbites des comètes (1805), for least squares;
A. Hoerl, R. Kennard, Ridge regression (1970), for L2; R. Tibshirani, Regression shrinkage and selection via the lasso
(1996), for L1. Notes: S019, S020, S254, S255, C073-C075, E023, E025.

Departures from the paper: features and target are standardised, and all is in these units: with y in deviations from
its mean, J = 1/(2N) Σ (h(x) - y)² + l1 |w| + l2/2 |w|², the bias not penalised. So `--l1 a` is scikit-learn's
Lasso(alpha=a) and `--l2 a` its Ridge(alpha=N a) on standardised columns. The notes' two rules, θ := θ + α Σ (y - h) x
for the batch and θ := θ - α (h - y) x for one example, are the same; where they sum over a batch, this takes the mean,
as a mini-batch must too, whose 1/b the notes leave out (E025). Their loop for the batch moves the weights after each
example; the right one adds up all gradients first (E023).

Expected: `closed` and `newton` equal scikit-learn's LinearRegression, Ridge and Lasso to 1e-4, in under a second;
`batch` comes to the same by itself; `stochastic` and `minibatch` as near as the learning rate lets them. Diabetes:
R² of 0.4 to 0.5.

Letters: B examples a batch, N examples in all, D features, V words, P = D + V + 1 inputs with the bias, K outputs.
"""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from deepclassics import metrics
from deepclassics.data import load
from deepclassics.data.streams import Batch, Columns, Data, Shuffled, Splits, Stream, Whole, inputs
from deepclassics.errors import UserError
from deepclassics.learn import Clock, Learner, Scores, Stateful, apply, schedule_rate
from deepclassics.loop import Plan
from deepclassics.recipe import BatchSize, Course, Decay, Picture, Recipe, Share
from deepclassics.schedules import NAMED, Schedule, constant

if TYPE_CHECKING:
    from deepclassics.report.evidence import Evidence

INPUTS = 3000  # weights at most where a matrix of them by them is solved
CELLS = 100_000_000  # examples times inputs at most where they are one matrix of float64
SAMPLE = 5000  # examples that the curvature is taken of


class Affine(nn.Module, ABC):
    """K weighted sums of D features, pixels or V words, and what the sums say of the target.

    The first D columns of the weights belong to the features, the last V to words that occur or do not: their sum over
    the words of an example is the product with its one-hot vectors added up, without the zeros (S254, S255).
    """

    curvature: ClassVar[float]  # the largest second derivative of the loss by the sums

    def __init__(self, inputs: int, words: int, outputs: int, bound: float) -> None:
        super().__init__()
        self.inputs = inputs
        self.bound = bound  # on how much the inputs bend the loss, of which a learning rate can be found
        self.weight = nn.Parameter(torch.zeros(outputs, inputs + words))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, batch: Batch) -> Tensor:  # features or image, and words, of B examples -> (B, K)
        x = inputs(batch).flatten(1)
        sums = torch.addmm(self.bias, x, self.weight[:, : self.inputs].T)
        if "words" in batch:
            ids, count = bags(batch["words"])
            table = self.weight[:, self.inputs :].T.contiguous()
            sums = sums + F.embedding_bag(ids, table, count.cumsum(0) - count, mode="sum")
        return sums

    @abstractmethod
    def target(self, batch: Batch) -> Tensor:  # -> (B, K), what `expected` should be
        ...

    @abstractmethod
    def expected(self, sums: Tensor) -> Tensor:  # (B, K) -> (B, K)
        """The target that is expected where the sums are these."""

    @abstractmethod
    def loss(self, sums: Tensor, target: Tensor) -> Tensor:  # (B, K), (B, K) -> ()
        """The mean over the examples, whose slope by the sums is (expected - target) / B."""

    @abstractmethod
    def bend(self, sums: Tensor) -> Tensor:  # (B, K) -> (B, K, K)
        """The second derivatives of every example's loss by its sums."""

    @abstractmethod
    def judge(self, sums: Tensor, batch: Batch) -> Scores:  # (B, K)
        """Scores over so many examples at once."""

    def gradient(self, batch: Batch, sums: Tensor) -> tuple[Tensor, Tensor]:  # (B, K) -> (K, D + V), (K,)
        """Xᵀ (ŷ - y) / B, for all three losses alike (S017)."""
        error = (self.expected(sums) - self.target(batch)) / len(sums)
        weight = error.T @ inputs(batch).flatten(1)
        if "words" in batch:
            ids, count = bags(batch["words"])
            table = weight.new_zeros(self.weight.shape[1] - self.inputs, len(self.bias))
            weight = torch.cat([weight, table.index_add_(0, ids, error.repeat_interleave(count, 0)).T], 1)
        return weight, error.sum(0)


def bags(words: Tensor) -> tuple[Tensor, Tensor]:  # (B, L) of ids, then -1 -> ids of all, one after the other; (B,)
    """The ids of all examples in one row, and how many each has."""
    there = words >= 0
    return words[there].long(), there.sum(1)


def design(batch: Batch, columns: int) -> Tensor:  # -> (B, P) of float64
    """What the weights and the bias multiply: features, a 1 for each word that occurs, a 1."""
    x = inputs(batch).flatten(1).double()
    words = x.new_zeros(len(x), columns - x.shape[1])
    if "words" in batch:
        ids, count = bags(batch["words"])
        words[torch.arange(len(x), device=x.device).repeat_interleave(count), ids] = 1
    return torch.cat([x, words, x.new_ones(len(x), 1)], 1)


def shrunk(values: Tensor, by: float | Tensor) -> Tensor:  # any shape
    """Each value nearer to 0 by so much, and 0 where it would pass it: the proximal step of the L1 penalty."""
    return values.sign() * (values.abs() - by).clamp(min=0)


class Fitting(Learner):
    """What the ways of fitting share: an affine model, its penalties, and how it is judged."""

    def __init__(self, model: Affine, l1: float, l2: float) -> None:
        self.model: Affine = model
        self.l1, self.l2 = l1, l2

    def evaluate(self, stream: Stream) -> Scores:
        batches = list(stream)
        sums = torch.cat([self.model(batch) for batch in batches])
        column = "label" if "label" in batches[0] else "number"
        return self.model.judge(sums, {column: torch.cat([batch[column] for batch in batches])})

    def parts(self) -> dict[str, Stateful]:
        return {"model": self.model}

    def snapshot(self) -> dict[str, Tensor]:
        return {"weight": self.model.weight.clone(), "bias": self.model.bias.clone()}


class Descent(Fitting):
    """Down the gradient of the batch, then a proximal step for L1; of all examples, or of as many as the stream gives.

    With a `tolerance` it is done as soon as no weight moves by more than that at learning rate 1.
    """

    def __init__(
        self,
        model: Affine,
        l1: float,
        l2: float,
        lr: float,
        momentum: float,
        schedule: Schedule,
        tolerance: float | None,
    ) -> None:
        super().__init__(model, l1, l2)
        self.optimizer = torch.optim.SGD(model.parameters(), lr, momentum=momentum)
        self.schedule, self.tolerance = schedule, tolerance
        self.reach = 1 / (1 - momentum)  # how far a gradient that stays the same goes in the end, for one of its steps

    def step(self, batch: Batch, clock: Clock) -> Scores:
        schedule_rate(self.optimizer, self.schedule, clock)
        rate = self.optimizer.param_groups[0]["lr"]
        model = self.model
        with torch.no_grad():
            sums = model(batch)
            loss = model.loss(sums, model.target(batch))
            weight, bias = model.gradient(batch, sums)
            model.weight.grad, model.bias.grad = weight.add_(model.weight, alpha=self.l2), bias
            before = None if self.tolerance is None else (model.weight.clone(), model.bias.clone())
            apply(self.optimizer)
            if self.l1:
                model.weight.copy_(shrunk(model.weight, rate * self.l1 * self.reach))
            if before is not None:
                moved = torch.cat([(model.weight - before[0]).flatten(), model.bias - before[1]])
                self.done = float(moved.abs().max()) <= rate * self.tolerance
        return {"loss": loss}

    def parts(self) -> dict[str, Stateful]:
        return {"model": self.model, "optimizer": self.optimizer}


class Solving(Fitting):
    """Ways that put all examples in one matrix and solve, in float64. A vector of weights is (K P,), bias last in P."""

    def held(self) -> Tensor:  # -> (K, P)
        return torch.cat([self.model.weight, self.model.bias[:, None]], 1).detach().double()

    def put(self, weights: Tensor) -> None:  # (K, P)
        with torch.no_grad():
            self.model.weight.copy_(weights[:, :-1])
            self.model.bias.copy_(weights[:, -1])

    def free(self) -> Tensor:  # -> (K, P) of 0 and 1
        """1 where a weight is penalised; the bias is not."""
        mask = torch.ones_like(self.held())
        mask[:, -1] = 0
        return mask


class ClosedForm(Solving):
    """The normal equations, (XᵀX/N + l2 I) w = Xᵀy/N, by least squares; of several solutions the shortest."""

    def step(self, batch: Batch, clock: Clock) -> Scores:
        x, y = design(batch, self.model.weight.shape[1]), self.model.target(batch).double()
        rows = torch.diag((len(x) * self.l2) ** 0.5 * self.free()[0])[:-1] if self.l2 else x[:0]
        # gelsd: where columns depend on each other, as all the values of a column of words do, it still has an answer.
        found = torch.linalg.lstsq(
            torch.cat([x, rows]).cpu(), torch.cat([y, y.new_zeros(len(rows), 1)]).cpu(), driver="gelsd"
        ).solution.to(x.device)
        self.put(found.T)
        self.done = True
        return {"loss": self.model.loss(x @ found, y)}


class Newton(Solving):
    """Newton's method: to the lowest point of the quadratic that fits here, and as far as the loss truly falls.

    With L1 the lowest point of quadratic and penalty together (proximal Newton, Lee, Sun, Saunders 2014, alg. 1). For
    the sum of squares the quadratic is the loss itself, and the second update finds nothing left to do.
    """

    def __init__(self, model: Affine, l1: float, l2: float, tolerance: float) -> None:
        super().__init__(model, l1, l2)
        self.tolerance = tolerance

    def step(self, batch: Batch, clock: Clock) -> Scores:
        model, here, mask = self.model, self.held(), self.free()
        x, y = design(batch, model.weight.shape[1]), model.target(batch).double()

        def height(weights: Tensor) -> Tensor:  # (K, P) -> (), what is minimised
            penalty = self.l1 * weights.abs() + self.l2 / 2 * weights.square()
            return model.loss(x @ weights.T, y) + (mask * penalty).sum()

        sums = x @ here.T
        slope = (model.expected(sums) - y).T @ x / len(x) + self.l2 * mask * here
        bend, outputs = model.bend(sums), len(here)
        hessian = x.new_zeros(outputs, x.shape[1], outputs, x.shape[1])
        for one in range(outputs):
            for other in range(one + 1):
                block = x.T @ (x * bend[:, one, other, None]) / len(x)
                hessian[one, :, other] = hessian[other, :, one] = block
        flat = hessian.view(here.numel(), here.numel())
        flat.diagonal().add_(self.l2 * mask.flatten())
        # Where the loss is level in some direction, as in the biases of all classes at once, this keeps it solvable.
        flat.diagonal().add_(1e-10 * flat.diagonal().mean())
        if self.l1:
            there = lowest(flat, slope.flatten(), here.flatten(), self.l1 * mask.flatten()).view_as(here)
        else:
            factor = torch.linalg.cholesky(flat)
            there = here - torch.cholesky_solve(slope.view(-1, 1), factor).view_as(here)
        move = there - here
        falls = (slope * move).sum() + self.l1 * (mask * (there.abs() - here.abs())).sum()
        start, share = height(here), 1.0
        # Armijo's rule; the last term is what rounding can do to a sum.
        while height(here + share * move) > start + 1e-4 * share * falls + 1e-13 * start.abs() and share > 1e-6:
            share /= 2
        self.put(here + share * move)
        self.done = float(move.abs().max()) <= self.tolerance * max(1.0, float(here.abs().max()))
        return {"loss": model.loss(sums, y)}


def lowest(hessian: Tensor, slope: Tensor, here: Tensor, l1: Tensor) -> Tensor:  # (M, M), (M,), (M,), (M,) -> (M,)
    """Where slope · d + d · H d / 2 + Σ l1 |here + d| is lowest, as the point here + d.

    Accelerated proximal descent (Beck and Teboulle 2009), begun afresh wherever it goes uphill (O'Donoghue and Candès
    2015), which makes it converge geometrically.
    """
    rate = 1 / float(torch.linalg.eigvalsh(hessian)[-1])
    point = ahead = here
    momentum = 1.0
    for _ in range(100_000):
        after = shrunk(ahead - rate * (slope + hessian @ (ahead - here)), rate * l1)
        if float((after - ahead).abs().max()) <= 1e-10 * max(1.0, float(after.abs().max())):
            return after
        uphill = float((ahead - after) @ (after - point)) > 0
        following = 1.0 if uphill else (1 + (1 + 4 * momentum**2) ** 0.5) / 2
        ahead = after if uphill else after + (momentum - 1) / following * (after - point)
        point, momentum = after, following
    return point


class Linear(Affine):
    """One number, in deviations of the target from its mean over the training examples."""

    curvature = 1.0
    centre: Tensor
    spread: Tensor

    def __init__(self, inputs: int, words: int, centre: float, spread: float, bound: float) -> None:
        super().__init__(inputs, words, 1, bound)
        self.register_buffer("centre", torch.tensor(centre), persistent=False)
        self.register_buffer("spread", torch.tensor(spread), persistent=False)

    def target(self, batch: Batch) -> Tensor:  # -> (B, 1)
        return ((batch["number"] - self.centre) / self.spread)[:, None]

    def expected(self, sums: Tensor) -> Tensor:  # (B, 1) -> (B, 1)
        return sums

    def loss(self, sums: Tensor, target: Tensor) -> Tensor:  # (B, 1), (B, 1) -> ()
        return (sums - target).square().mean() / 2

    def bend(self, sums: Tensor) -> Tensor:  # (B, 1) -> (B, 1, 1)
        return torch.ones_like(sums)[..., None]

    def judge(self, sums: Tensor, batch: Batch) -> Scores:  # (B, 1)
        given, number = self.number(sums), batch["number"]
        scores = {"loss": self.loss(sums, self.target(batch)), "rmse": (given - number).square().mean().sqrt()}
        r2 = metrics.r_squared(given, number)
        return scores | ({"r2": r2} if bool(r2.isfinite()) else {})  # of numbers that are all the same there is none

    def number(self, sums: Tensor) -> Tensor:  # (B, 1) -> (B,) in the unit of the target
        return torch.addcmul(self.centre, sums[:, 0], self.spread)


# What linear, logistic and softmax regression share of a recipe

Method = Literal["closed", "newton", "batch", "stochastic", "minibatch"]
ALL_AT_ONCE = ("closed", "newton", "batch")


def input_curvature(columns: Columns) -> dict[str, float]:
    """How much the inputs bend a loss of second derivative 1: of all examples, and of the one that bends it most.

    The first is the largest eigenvalue of XᵀX/N, by power iteration, the second the largest |x|², both with the bias
    and of SAMPLE examples at most.
    """
    spread = torch.arange(0, len(columns), -(-len(columns) // SAMPLE))
    batch = columns.take(spread)
    x = torch.cat([inputs(batch).flatten(1), torch.ones(len(spread), 1)], 1)
    size = x.square().sum(1)
    ids, count = bags(batch["words"]) if "words" in batch else (torch.zeros(0, dtype=torch.long), torch.zeros(0))
    owner = torch.arange(len(spread)).repeat_interleave(count) if len(ids) else ids
    vector, words = torch.ones(x.shape[1]), torch.ones(int(ids.max()) + 1 if len(ids) else 0)
    value = 1.0
    for _ in range(30):
        sums = (x @ vector).index_add_(0, owner, words[ids])
        vector = x.T @ sums / len(x)
        words = torch.zeros_like(words).index_add_(0, ids, sums[owner]) / len(x)
        value = float((vector.square().sum() + words.square().sum()).sqrt())
        vector, words = vector / value, words / value
    return {"all": value, "one": float((size + count if len(ids) else size).max())}


def streams_for(found: Splits, method: str, batch: int, seed: int, outputs: int) -> Data:
    """The streams for a method, and in the spec what a learning rate is found from; refuses what is too large."""
    train = found.train
    size = input_size(found.spec)
    weights, values = (size + 1) * outputs, len(train) * size
    if method in ("closed", "newton") and (weights > INPUTS or values > CELLS):
        raise UserError(
            f"--method {method} solves for {INPUTS:,} weights at most, from {CELLS:,} values; {found.spec['data']} has "
            f"{weights:,} weights and {values:,} values. Take --method minibatch."
        )
    found.spec["curvature"] = input_curvature(train)
    one = 1 if method == "stochastic" else min(batch, len(train))
    return found.streams(Whole(train) if method in ALL_AT_ONCE else Shuffled(train, one, seed))


def input_size(spec: dict[str, Any]) -> int:
    """How many inputs examples of these facts have, words among them."""
    if spec["kind"] == "image":
        channels, height, width = spec["shape"]
        return channels * height * width
    return spec["features"] + vocabulary(spec)


def vocabulary(spec: dict[str, Any]) -> int:
    """How many words have an id."""
    return sum(len(column["values"]) for column in spec.get("columns", ()) if column["kind"] == "bag")


def curvature_bound(spec: dict[str, Any], method: str, batch: int) -> float:
    """How much the inputs of an update bend a loss of second derivative 1, at most.

    Of a batch of B among N examples, that lies between what all do and what the one does that bends it most (Gower et
    al. 2019, eq. 11): 1/B of the way with many examples.
    """
    count, seen = spec["examples"]["train"], spec["curvature"]
    one = {"batch": count, "stochastic": 1}.get(method, min(batch, count))
    share = (count - one) / (one * (count - 1)) if count > 1 else 0.0
    return (1 - share) * seen["all"] + share * seen["one"]


def safe_rate(curvature: float, bound: float, l2: float) -> float:
    """1/L, at which descent goes straight down; L is the largest curvature of the loss with its penalty."""
    return 1 / (curvature * bound + l2)


def plan_for(method: str, epochs: float | None, data: Data) -> Plan:
    """One update in closed form, 100 of Newton's, 20,000 of batch descent; 50 passes of the others."""
    if method == "closed":
        return Plan(1, 1)
    if method == "newton":
        return Plan(max(1, round(epochs or 100)), 1)
    if method == "batch":
        steps = max(1, round(epochs or 20_000))
        return Plan(steps, max(1, steps // 1000))
    return Plan.passes(epochs or 50, data.train, watch="valid/loss" if data.valid is not None else "")


def learner_for(
    model: nn.Module,
    method: str,
    *,
    lr: float | None,
    momentum: float,
    schedule: str,
    l1: float,
    l2: float,
    tolerance: float,
) -> Learner:
    """Whoever fits the model; without a learning rate descent takes `safe_rate`."""
    assert isinstance(model, Affine)
    if method in ("closed", "newton") and lr is not None:
        raise UserError(f"lr is for descent; the method {method} takes none. Leave --lr out.")
    if method == "closed":
        return ClosedForm(model, l1, l2)
    if method == "newton":
        return Newton(model, l1, l2, tolerance)
    lr = lr or safe_rate(model.curvature, model.bound, l2)
    if method == "batch":
        return Descent(model, l1, l2, lr, momentum, constant, tolerance)
    return Descent(model, l1, l2, lr, momentum, NAMED[schedule], None)


def chosen_rate(spec: dict[str, Any], method: str, batch: int, curvature: float, l2: float) -> dict[str, Any]:
    """The learning rate that is taken where none is given, in words; none of the methods that solve."""
    if method in ("closed", "newton"):
        return {}
    return {"lr": f"{safe_rate(curvature, curvature_bound(spec, method, batch), l2):.4g}"}


def remarks(learner: Learner, method: str) -> list[str]:
    """Whether a method that can come to rest did, and how many weights L1 left."""
    assert isinstance(learner, Fitting)
    told = []
    if method in ALL_AT_ONCE and not learner.done:
        told.append("The weights still move: this is not the optimum yet. Give more --epochs, or some --l2.")
    if learner.l1:
        weight = learner.model.weight
        told.append(f"{int((weight != 0).sum()):,} of {weight.numel():,} weights are not 0.")
    return told


class LinearRecipe(Recipe):
    """Linear regression on a table with a number to be predicted."""

    takes = ("table",)
    gives = ("number",)

    data: str = Field("diabetes", description="a named table, or a file of your own, whose target is a number")
    target: str | None = Field(None, description="the column of a table that is to be learnt")
    method: Method = Field("closed", description="closed form, Newton's, or descent by all examples, one, or a few")
    lr: float | None = Field(None, gt=0, description="learning rate of descent; none: the safe one, 1 / curvature")
    epochs: float | None = Field(
        None, gt=0, description="passes over the training examples at most; none: 50, and until it rests by all at once"
    )
    batch: BatchSize = 64
    momentum: float = Field(0.0, ge=0, lt=1, description="share of each update that the next one repeats")
    schedule: Course = "linear"
    l1: Decay = Field(0.0, description="weight of the sum of absolute weights in the loss")
    l2: Decay = Field(0.0, description="weight decay: of half the sum of squared weights in the loss")
    tolerance: float = Field(3e-7, gt=0, description="of the weights, at which newton and batch are done")
    words: int = Field(1000, ge=1, description="of each column of free text that are known, the commonest")
    valid: Share = Field(0.1, description="share of the training examples to choose by")
    test: Share = Field(0.2, description="share of the examples to judge by, where the set has no test part")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.method == "closed" and self.l1:
            raise ValueError(f"l1 must be 0 with the method closed, for L1 has no closed form; got {self.l1:g}. "
                             "Take newton.")  # fmt: skip
        return self

    def load(self) -> Data:
        found = load(
            self.data,
            self.takes,
            seed=self.seed,
            valid=self.valid,
            test=self.test,
            target=self.target,
            words=self.words,
        )
        if found.spec["target"]["kind"] != "number":
            raise UserError(
                f"linear: the target must hold numbers; '{found.spec['target']['name']}' holds classes. "
                f"`deepclassics run logistic` learns two, `deepclassics run softmax` more."
            )
        return streams_for(found, self.method, self.batch, self.seed, 1)

    def model(self, spec: dict[str, Any]) -> Linear:
        words = vocabulary(spec)
        limit = curvature_bound(spec, self.method, self.batch)
        return Linear(input_size(spec) - words, words, spec["target"]["mean"], spec["target"]["std"], limit)

    def learner(self, model: nn.Module) -> Learner:
        return learner_for(
            model,
            self.method,
            lr=self.lr,
            momentum=self.momentum,
            schedule=self.schedule,
            l1=self.l1,
            l2=self.l2,
            tolerance=self.tolerance,
        )

    def chosen(self, spec: dict[str, Any]) -> dict[str, Any]:
        return chosen_rate(spec, self.method, self.batch, Linear.curvature, self.l2) if self.lr is None else {}

    def plan(self, data: Data) -> Plan:
        return plan_for(self.method, self.epochs, data)

    def answer(self, model: nn.Module, question: Batch, options: Any) -> Batch:
        assert isinstance(model, Linear)
        return {"number": model.number(model(question))}

    def conclude(self, learner: Learner, data: Data) -> tuple[dict[str, float], list[str]]:
        return {}, remarks(learner, self.method)

    def pictures(self, evidence: "Evidence") -> list[Picture]:
        from deepclassics.report import curves, scatter, weights

        told = [scatter.picture(evidence), weights.picture(evidence)]
        if self.method in ("closed", "newton"):
            return told
        return [curves.picture(evidence), weights.path(evidence, self.l2), *told]
