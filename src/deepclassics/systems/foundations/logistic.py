"""Logistic regression: the probability of one of two classes, as a sigmoid of a weighted sum.

Source: D. Cox, The regression analysis of binary sequences (1958); S. Lee, H. Lee, P. Abbeel, A. Ng (2006) and J. Lee,
Y. Sun, M. Saunders (2014) for Newton's method with L1. Notes: S016, S017, S020, S021, S255, C073-C077, C087.

Departures from the paper: features are standardised, pictures are taken as pixels in [0, 1], and words as 1 where they
occur. J is the mean negative log-likelihood in nats + l1 |w| + l2/2 |w|², the bias not penalised: `--l2 a` is
scikit-learn's LogisticRegression with C = 1/(N a), and `--l1 a` the same with l1_ratio=1.

Expected: `newton` equals scikit-learn's solution to 1e-4, with L1 or L2, in some ten updates. IMDB as a bag of 10,000
words: 88 % right in one to three minutes, where a linear SVM on all words has 86.95 %. Where a plane parts the classes
and nothing is penalised there is no optimum: the weights grow without end.

Letters: B examples a batch, D features.
"""

from typing import TYPE_CHECKING, Any, Literal

import torch
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


class Logistic(Affine):
    """The log odds of the second of two classes."""

    curvature = 0.25

    def __init__(self, inputs: int, words: int, bound: float) -> None:
        super().__init__(inputs, words, 1, bound)

    def target(self, batch: Batch) -> Tensor:  # -> (B, 1) of 0 and 1
        return batch["label"][:, None].to(self.weight.dtype)

    def expected(self, sums: Tensor) -> Tensor:  # (B, 1) -> (B, 1), the probability of the second class
        return sums.sigmoid()

    def loss(self, sums: Tensor, target: Tensor) -> Tensor:  # (B, 1), (B, 1) -> (), in nats
        return F.binary_cross_entropy_with_logits(sums, target)

    def bend(self, sums: Tensor) -> Tensor:  # (B, 1) -> (B, 1, 1)
        probability = self.expected(sums)
        return (probability * (1 - probability))[..., None]

    def judge(self, sums: Tensor, batch: Batch) -> Scores:  # (B, 1)
        wrong = metrics.error_rate((sums[:, 0] >= 0).long(), batch["label"])
        return {"loss": self.loss(sums, self.target(batch)), "error": wrong}


class LogisticRecipe(Recipe):
    """Logistic regression on a table, on text in a table, or on pictures, of two classes."""

    takes = ("table", "image")
    gives = ("label",)
    published = (
        Published(
            on="imdb",
            score="test/error",
            value=0.1305,
            source="Wang and Manning 2012, SVM on single words (as quoted in Dieng et al. 2017, table 4)",
            protocol={"loss": "squared hinge", "words": "all", "training examples": 25000},
        ),
        Published(
            on="imdb",
            score="test/error",
            value=0.1171,
            source="Wang and Manning 2012, NBSVM on single words (as quoted in a table of results)",
            protocol={"loss": "squared hinge", "weights of words": "log count ratios", "training examples": 25000},
        ),
    )

    data: str = Field("breast_cancer", description="a named table or set of pictures, or your own, of two classes")
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
    l2: Decay = Field(1e-3, description="weight decay: of half the sum of squared weights in the loss")
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
                f"logistic: the target must hold two classes; '{target['name']}' holds numbers. "
                f"`deepclassics run linear` learns numbers."
            )
        if len(target["classes"]) != 2:
            raise UserError(
                f"logistic: the target must hold two classes; '{target['name']}' holds {len(target['classes'])}. "
                f"`deepclassics run softmax` learns more."
            )
        return streams_for(found, self.method, self.batch, self.seed, 1)

    def model(self, spec: dict[str, Any]) -> Logistic:
        words = vocabulary(spec)
        return Logistic(input_size(spec) - words, words, curvature_bound(spec, self.method, self.batch))

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
        return chosen_rate(spec, self.method, self.batch, Logistic.curvature, self.l2) if self.lr is None else {}

    def plan(self, data: Data) -> Plan:
        return plan_for(self.method, self.epochs, data)

    def answer(self, model: nn.Module, question: Batch, options: Any) -> Batch:
        assert isinstance(model, Logistic)
        second = model.expected(model(question))[:, 0]
        return {"label": (second >= 0.5).long(), "probability": torch.stack([1 - second, second], 1)}

    def conclude(self, learner: Learner, data: Data) -> tuple[dict[str, float], list[str]]:
        return {}, remarks(learner, self.method)

    def protocol(self, spec: dict[str, Any]) -> dict[str, Any]:
        return {"loss": "negative log-likelihood", **self.chosen(spec)}

    def pictures(self, evidence: "Evidence") -> list[Picture]:
        from deepclassics.report import calibration, confusion, curves, surface, weights

        drawn = [curves, confusion, calibration, weights] + [surface] * (evidence.spec.get("features") == 2)
        return [each.picture(evidence) for each in drawn]
