"""Softmax regression: a weighted sum for each class, and the probabilities that these sums stand for.

Source: J. Bridle, Probabilistic interpretation of feedforward classification network outputs (1990); D. Böhning,
Multinomial logistic regression algorithm (1992), for the bound on the curvature. Notes: S018, S066, S254, S255, N071,
E031.

Departures from the paper: features are standardised, pictures are taken as pixels in [0, 1]. J is the mean negative
log-likelihood in nats + l1 |w| + l2/2 |w|², the biases not penalised: `--l2 a` is scikit-learn's LogisticRegression
with C = 1/(N a). All classes have weights, so that with two of them the difference of both is logistic regression's.
The notes print the binary cross-entropy over the softmax, whose gradient by the sums is not ŷ - y; that of the
categorical one, which is meant, is (E031).

Expected: MNIST, under 7.7 % test error in a minute with the defaults (Theano tutorials: 7.49 %). `newton` equals
scikit-learn's solution to 1e-4; it takes up to 3,000 weights.

Letters: B examples a batch, D features, K classes.
"""

from typing import TYPE_CHECKING, Any, Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from deepclassics import metrics
from deepclassics.data import load
from deepclassics.data.streams import Batch, Data
from deepclassics.errors import UserError
from deepclassics.learn import Learner, Scores
from deepclassics.loop import Plan
from deepclassics.recipe import BatchSize, Course, Decay, Picture, Published, Recipe, Share
from deepclassics.systems.foundations.linear import (
    Affine,
    chosen_rate,
    curvature_bound,
    input_size,
    learner_for,
    plan_for,
    remarks,
    streams_for,
    vocabulary,
)

if TYPE_CHECKING:
    from deepclassics.report.evidence import Evidence


class Softmax(Affine):
    """The logarithms of the K classes' probabilities, up to a number that is the same for all."""

    curvature = 0.5

    def target(self, batch: Batch) -> Tensor:  # -> (B, K) of 0, and 1 for the class
        return F.one_hot(batch["label"], len(self.bias)).to(self.weight.dtype)

    def expected(self, sums: Tensor) -> Tensor:  # (B, K) -> (B, K), probabilities
        return sums.softmax(1)

    def loss(self, sums: Tensor, target: Tensor) -> Tensor:  # (B, K), (B, K) -> (), in nats
        return F.cross_entropy(sums, target)

    def bend(self, sums: Tensor) -> Tensor:  # (B, K) -> (B, K, K), diag(p) - p pᵀ
        probability = self.expected(sums)
        return probability.diag_embed() - probability[:, :, None] * probability[:, None]

    def judge(self, sums: Tensor, batch: Batch) -> Scores:  # (B, K)
        wrong = metrics.error_rate(sums.argmax(1), batch["label"])
        return {"loss": F.cross_entropy(sums, batch["label"]), "error": wrong}


class SoftmaxRecipe(Recipe):
    """Softmax regression on pictures, a table, or text in a table."""

    takes = ("image", "table")
    gives = ("label",)
    published = (
        Published(
            on="mnist",
            score="test/error",
            value=0.07489,
            source="Theano deep learning tutorials, logistic regression",
            protocol={"epochs": 75, "batch": 600, "lr": 0.13, "schedule": "constant", "training examples": 50000},
        ),
        Published(
            on="mnist",
            score="test/error",
            value=0.12,
            source="LeCun et al. 1998, a linear classifier (as listed on the MNIST page)",
            protocol={"loss": "squared error", "training examples": 60000},
        ),
    )

    data: str = Field("digits", description="a named set of pictures or a table, a folder of pictures, a table's file")
    target: str | None = Field(None, description="the column of a table that is to be learnt")
    method: Literal["newton", "batch", "stochastic", "minibatch"] = Field(
        "minibatch", description="Newton's, or descent by all examples, by one, or by a few"
    )
    lr: float | None = Field(None, gt=0, description="learning rate of descent; none: the safe one, 1 / curvature")
    epochs: float | None = Field(
        None, gt=0, description="passes over the training examples at most; none: 50, and until it rests by all at once"
    )
    batch: BatchSize = 64
    momentum: float = Field(0.9, ge=0, lt=1, description="share of each update that the next one repeats")
    schedule: Course = "linear"
    l1: Decay = Field(0.0, description="weight of the sum of absolute weights in the loss")
    l2: Decay = Field(1e-5, description="weight decay: of half the sum of squared weights in the loss")
    tolerance: float = Field(3e-7, gt=0, description="of the weights, at which newton and batch are done")
    words: int = Field(10_000, ge=1, description="of each column of free text that are known, the commonest")
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
            words=self.words,
        )
        target = found.spec["target"]
        if target["kind"] != "class":
            raise UserError(
                f"softmax: the target must hold classes; '{target['name']}' holds numbers. "
                f"`deepclassics run linear` learns numbers."
            )
        return streams_for(found, self.method, self.batch, self.seed, len(target["classes"]))

    def model(self, spec: dict[str, Any]) -> Softmax:
        words, classes = vocabulary(spec), len(spec["target"]["classes"])
        return Softmax(input_size(spec) - words, words, classes, curvature_bound(spec, self.method, self.batch))

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
        return chosen_rate(spec, self.method, self.batch, Softmax.curvature, self.l2) if self.lr is None else {}

    def plan(self, data: Data) -> Plan:
        return plan_for(self.method, self.epochs, data)

    def answer(self, model: nn.Module, question: Batch, options: Any) -> Batch:
        assert isinstance(model, Softmax)
        probability = model.expected(model(question))
        return {"label": probability.argmax(1), "probability": probability}

    def conclude(self, learner: Learner, data: Data) -> tuple[dict[str, float], list[str]]:
        return {}, remarks(learner, self.method)

    def protocol(self, spec: dict[str, Any]) -> dict[str, Any]:
        return {"loss": "negative log-likelihood", **self.chosen(spec)}

    def pictures(self, evidence: "Evidence") -> list[Picture]:
        from deepclassics.report import calibration, confusion, curves, surface, weights

        drawn = [curves, confusion, calibration, weights] + [surface] * (evidence.spec.get("features") == 2)
        return [each.picture(evidence) for each in drawn]
