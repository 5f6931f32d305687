"""MLP: layers of units, each a weighted sum and an activation, trained by backpropagation.

Source: D. Rumelhart, G. Hinton, R. Williams, Learning representations by back-propagating errors, Nature 323 (1986);
P. Simard, D. Steinkraus, J. Platt, Best practices for convolutional neural networks applied to visual document
analysis, ICDAR 2003, for 784-800-10 on MNIST. Notes: S051, S054, S308.

Departures from the paper: ReLU, mini-batches, Adam and early stopping on validation data by default, where 1986 had
sigmoids and whole-batch descent with momentum, and 2003 sigmoids and stochastic descent. Every one of them is a knob.
First weights: He et al. 2015 for the ReLU family, Glorot and Bengio 2010 for the others.

Expected: digits, 97 to 98 % right in a few seconds; MNIST, under 1.8 % test error (Simard: 1.6 %); the census table
`adult`, over 84.5 % right. Classification where the target holds classes, regression where it holds numbers.
The commands and figures of every run are in benchmarks/results.md.

Letters: B examples a batch, D features, K classes, or 1 where a number is wanted.
"""

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from deepclassics import metrics
from deepclassics.data import load
from deepclassics.data.streams import Batch, Data, InOrder, Shuffled, Stream
from deepclassics.layers.pictures import Standardise
from deepclassics.learn import Backprop, Scores, optimizer
from deepclassics.loop import Plan
from deepclassics.recipe import BatchSize, Clip, Course, Decay, Epochs, Picture, Published, Rate, Recipe, Rule, Share
from deepclassics.schedules import NAMED, warmed

if TYPE_CHECKING:
    from deepclassics.report.evidence import Evidence

Activation = Literal["sigmoid", "tanh", "relu", "leaky", "elu", "softplus", "maxout", "linear"]

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "leaky": nn.LeakyReLU,
    "elu": nn.ELU,
    "softplus": nn.Softplus,
    "linear": nn.Identity,
}


class Maxout(nn.Module):
    """The largest of each unit's two sums (Goodfellow et al. 2013); the layer before it has twice the units."""

    def forward(self, x: Tensor) -> Tensor:  # (B, 2 * units) -> (B, units)
        return x.unflatten(1, (-1, 2)).amax(2)


class MLP(nn.Module):
    """`hidden` units in each layer between D inputs and K outputs.

    For a number the single output is in units of the target: `centre` and `spread` are its mean and deviation over the
    training examples. Pictures are flattened after `standardise`, tables come standardised.
    """

    centre: Tensor
    spread: Tensor

    def __init__(
        self,
        inputs: int,
        hidden: tuple[int, ...],
        outputs: int,
        activation: Activation = "relu",
        dropout: float = 0.0,
        input_dropout: float = 0.0,
        batch_norm: bool = False,
        standardise: nn.Module | None = None,
        centre: float = 0.0,
        spread: float = 1.0,
    ) -> None:
        super().__init__()
        self.standardise = standardise or nn.Identity()
        self.register_buffer("centre", torch.tensor(centre), persistent=False)
        self.register_buffer("spread", torch.tensor(spread), persistent=False)
        self.scaled = (centre, spread) != (0.0, 1.0)
        layers: list[nn.Module] = [nn.Dropout(input_dropout)] if input_dropout else []
        pieces = 2 if activation == "maxout" else 1
        for units in hidden:
            layers.append(nn.Linear(inputs, units * pieces))
            if batch_norm:
                layers.append(nn.BatchNorm1d(units * pieces))
            layers.append(Maxout() if activation == "maxout" else ACTIVATIONS[activation]())
            if dropout:
                layers.append(nn.Dropout(dropout))
            inputs = units
        self.layers = nn.Sequential(*layers, nn.Linear(inputs, outputs))
        self.start(activation)

    def start(self, activation: Activation) -> None:
        """First weights: variance 2/inputs for the ReLU family, 2/(inputs + outputs) for the rest; biases 0."""
        linears = [layer for layer in self.layers if isinstance(layer, nn.Linear)]
        for layer in linears:
            nn.init.zeros_(layer.bias)
            if activation in ("relu", "leaky", "elu", "softplus", "maxout") and layer is not linears[-1]:
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            else:
                nn.init.xavier_normal_(layer.weight)

    def forward(self, x: Tensor) -> Tensor:  # (B, D) features or (B, C, H, W) pixels in [0, 1] -> (B, K)
        out: Tensor = self.layers(self.standardise(x).flatten(1))
        return torch.addcmul(self.centre, out, self.spread) if self.scaled else out


class MLPRecipe(Recipe):
    """An MLP on pictures or a table, for classes or numbers."""

    takes = ("image", "table")
    gives = ("label", "number")
    published = (
        Published(
            on="mnist",
            score="test/error",
            value=0.016,
            source="Simard et al. 2003, 784-800-10 with cross-entropy, no distortions (as listed on the MNIST page)",
            protocol={"hidden": (800,), "training examples": 60000, "augmentation": "none"},
        ),
        Published(
            on="mnist",
            score="test/error",
            value=0.0125,
            source="Srivastava et al. 2014, table 2: 3 layers of 1,024 ReLU with dropout",
            protocol={
                "hidden": (1024, 1024, 1024),
                "activation": "relu",
                "dropout": 0.5,
                "input_dropout": 0.2,
                "training examples": 60000,
            },
        ),
        Published(
            on="sonar",
            score="test/error",
            value=0.096,
            source="Gorman and Sejnowski 1988, 12 hidden units, aspect-dependent split",
            protocol={"hidden": (12,), "activation": "sigmoid", "epochs": 300, "split": "aspect-dependent, 104 to 104"},
        ),
    )

    data: str = Field("digits", description="a named set of pictures or a table, a folder of pictures, a table's file")
    target: str | None = Field(None, description="the column of a table that is to be learnt")
    hidden: tuple[Annotated[int, Field(ge=1)], ...] = Field((800,), description="units of each hidden layer")
    activation: Activation = Field("relu", description="of the hidden units")
    dropout: float = Field(0.0, ge=0, lt=1, description="share of hidden units left out at each update")
    input_dropout: float = Field(0.0, ge=0, lt=1, description="share of inputs left out at each update")
    batch_norm: bool = Field(False, description="batch normalisation before each activation")
    epochs: Epochs = 30
    patience: int = Field(0, ge=0, description="looks without a better validation loss before it stops, 0 for never")
    batch: BatchSize = 64
    lr: Rate = 1e-3
    optimizer: Rule = "adam"
    momentum: float = Field(0.9, ge=0, lt=1, description="of the optimizers momentum and nesterov")
    schedule: Course = "cosine"
    warmup: float = Field(0.0, ge=0, lt=1, description="share of the run over which the rate rises from 0")
    l1: Decay = Field(0.0, description="weight of the sum of absolute weights in the loss")
    l2: Decay = Field(0.0, description="weight decay")
    clip_norm: Clip = Field(None, description="bound on the norm of the gradient")
    clip_value: Clip = Field(None, description="bound on every single gradient")
    valid: Share = Field(0.1, description="share of the training examples to choose by")
    test: Share = Field(0.2, description="share of the examples to judge by, where the set has no test part")
    skip_bad: bool = Field(False, description="leave pictures out that cannot be read, and count them")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.batch_norm and self.batch < 2:
            raise ValueError("batch must be 2 or more with batch normalisation; got 1.")
        if self.optimizer == "nesterov" and not self.momentum:
            raise ValueError("momentum must be greater than 0 with the optimizer nesterov; got 0.")
        return self

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
        train = Shuffled(found.train, self.batch, self.seed)
        return Data(found.spec, train, found.valid and InOrder(found.valid), found.test and InOrder(found.test))

    def model(self, spec: dict[str, Any]) -> MLP:
        target, picture = spec["target"], spec["kind"] == "image"
        channels, height, width = spec["shape"] if picture else (1, 1, spec["features"])
        numeric = target["kind"] == "number"
        return MLP(
            channels * height * width,
            self.hidden,
            1 if numeric else len(target["classes"]),
            self.activation,
            self.dropout,
            self.input_dropout,
            self.batch_norm,
            standardise=Standardise(spec["mean"], spec["std"]) if picture else None,
            centre=target["mean"] if numeric else 0.0,
            spread=target["std"] if numeric else 1.0,
        )

    def learner(self, model: nn.Module) -> Backprop:
        return Backprop(
            model,
            objective,
            optimizer(self.optimizer, model, self.lr, l2=self.l2, momentum=self.momentum),
            judge=judge,
            schedule=warmed(NAMED[self.schedule], self.warmup),
            clip_norm=self.clip_norm,
            clip_value=self.clip_value,
            l1=self.l1,
        )

    def plan(self, data: Data) -> Plan:
        watch = "valid/loss" if data.valid is not None else ""
        return Plan.passes(self.epochs, data.train, watch=watch, patience=self.patience)

    def answer(self, model: nn.Module, question: Batch, options: Any) -> Batch:
        out = model(inputs(question))
        if out.shape[1] == 1:
            return {"number": out[:, 0]}
        probability = out.softmax(1)
        return {"label": probability.argmax(1), "probability": probability}

    def protocol(self, spec: dict[str, Any]) -> dict[str, Any]:
        return {"augmentation": "none", "split": "the set's own" if spec["data"] in ("mnist", "adult") else "random"}

    def pictures(self, evidence: "Evidence") -> list[Picture]:
        from deepclassics.report import calibration, confusion, curves, scatter, surface

        judged = [scatter] if evidence.spec["target"]["kind"] == "number" else [confusion, calibration]
        pictures = [curves.picture(evidence), *[each.picture(evidence) for each in judged]]
        return [*pictures, surface.picture(evidence)] if evidence.spec.get("features") == 2 else pictures


def inputs(batch: Batch) -> Tensor:  # -> (B, D) or (B, C, H, W)
    return batch["features"] if "features" in batch else batch["image"]


def objective(model: nn.Module, batch: Batch) -> Scores:
    """Cross-entropy in nats for classes; for numbers the squared error in units of the target's variance."""
    assert isinstance(model, MLP)
    out = model(inputs(batch))
    if "label" in batch:
        return {"loss": F.cross_entropy(out, batch["label"])}
    return {"loss": ((out[:, 0] - batch["number"]) / model.spread).square().mean()}


def judge(model: nn.Module, stream: Stream) -> Scores:
    """Over the whole stream: loss and error rate of classes; loss, root of the squared error and R² of numbers."""
    assert isinstance(model, MLP)
    pairs = [(model(inputs(batch)), batch["label"] if "label" in batch else batch["number"]) for batch in stream]
    out, truth = (torch.cat(column) for column in zip(*pairs, strict=True))
    if truth.dtype == torch.int64:
        return {"loss": F.cross_entropy(out, truth), "error": metrics.error_rate(out.argmax(1), truth)}
    error = out[:, 0] - truth
    scores = {"loss": (error / model.spread).square().mean(), "rmse": error.square().mean().sqrt()}
    r2 = metrics.r_squared(out[:, 0], truth)
    return scores | ({"r2": r2} if bool(r2.isfinite()) else {})  # of numbers that are all the same there is none
