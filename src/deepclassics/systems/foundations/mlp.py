"""MLP: layers of units, each a weighted sum and an activation, trained by backpropagation.

Source: D. Rumelhart, G. Hinton, R. Williams, Learning representations by back-propagating errors, Nature 323 (1986);
P. Simard, D. Steinkraus, J. Platt, Best practices for convolutional neural networks applied to visual document
analysis, ICDAR 2003, for 784-800-10 on MNIST. Notes: S051, S054, S072 to S077, S084, S085, S136, S308.

Departures from the paper: ReLU, mini-batches, cross-entropy, Adam and early stopping on validation data by default,
where 1986 had sigmoids, squared error and whole-batch descent with momentum, and 2003 sigmoids and stochastic descent.
Every one of them is a knob. First weights: He et al. 2015 for the ReLU family, Glorot and Bengio 2010 for the others;
where a number is learnt the last layer begins with zeros, so that the net says the mean until it knows better.

The backward pass is the recursion of the deltas in matrix form, written out (`--backward written`): some 0.6 of the
time of autograd, to which it is equal but for rounding. It computes in fp32 whatever the host's precision. What it does
not cover, batch normalisation and the optimizers adagrad, rmsprop and adadelta, is left to autograd.

Expected: digits, 97 to 98 % right in a few seconds; MNIST, under 1.8 % test error (Simard: 1.6 %); the census table
`adult`, over 84.5 % right; `diabetes`, R² as ridge regression's, 0.51. Classification where the target holds classes,
regression where it holds numbers. The playground's sets, all under 1 % test error: `--data gaussians --hidden none --lr
0.05`; `--data circle`, or `playground_xor`, with `--hidden 8 --activation tanh --lr 0.03`; `--data spiral --hidden 32
32 32 --epochs 200 --lr 0.005`.
The commands and figures of every run are in benchmarks/results.md.

Letters: B examples a batch, D features, K classes, or 1 where a number is wanted.
"""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol, Self

import torch
import torch.distributed as dist
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from deepclassics import metrics
from deepclassics.data import load
from deepclassics.data.streams import Batch, Data, Stream, inputs
from deepclassics.errors import UserError
from deepclassics.layers.activations import ACTIVATIONS, maxout_backward, noisy_slope
from deepclassics.layers.gradients import SLOPES
from deepclassics.layers.losses import LOSSES, PULLS
from deepclassics.layers.pictures import Standardise
from deepclassics.layers.starts import STARTS
from deepclassics.learn import Backprop, Box, Clock, Learner, Scores, Stateful, optimizer, settle
from deepclassics.loop import Plan
from deepclassics.recipe import BatchSize, Clip, Course, Decay, Epochs, Picture, Published, Rate, Recipe, Rule, Share
from deepclassics.schedules import NAMED, Schedule, constant, warmed

if TYPE_CHECKING:
    from deepclassics.report.evidence import Evidence

Activation = Literal["sigmoid", "tanh", "relu", "leaky", "elu", "softplus", "noisy", "maxout", "linear"]
LossName = Literal["cross_entropy", "binary_cross_entropy", "squared_error"]
WRITTEN_RULES = ("sgd", "momentum", "nesterov", "adam", "adamw")  # optimizers of the written backward pass
Start = Literal["zeros", "normal", "uniform", "glorot", "he", "orthogonal"]


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
        initial: Start = "he",
        initial_outputs: Start = "glorot",
    ) -> None:
        super().__init__()
        self.standardise = standardise
        self.register_buffer("centre", torch.tensor(centre), persistent=False)
        self.register_buffer("spread", torch.tensor(spread), persistent=False)
        self.scaled = (centre, spread) != (0.0, 1.0)
        layers: list[nn.Module] = [nn.Dropout(input_dropout)] if input_dropout else []
        pieces = 2 if activation == "maxout" else 1
        for units in hidden:
            layers.append(nn.Linear(inputs, units * pieces))
            if batch_norm:
                layers.append(nn.BatchNorm1d(units * pieces))
            layers.append(ACTIVATIONS[activation]())
            if dropout:
                layers.append(nn.Dropout(dropout))
            inputs = units
        self.layers = nn.Sequential(*layers, nn.Linear(inputs, outputs))
        linears = [layer for layer in self.layers if isinstance(layer, nn.Linear)]
        for layer in linears:
            nn.init.zeros_(layer.bias)
            STARTS[initial_outputs if layer is linears[-1] else initial](layer.weight)

    def flat(self, x: Tensor) -> Tensor:  # (B, D) features or (B, C, H, W) pixels in [0, 1] -> (B, D)
        return x if self.standardise is None else self.standardise(x).flatten(1)

    def forward(self, x: Tensor) -> Tensor:  # (B, D) features or (B, C, H, W) pixels in [0, 1] -> (B, K)
        out: Tensor = self.layers(self.flat(x))
        return torch.addcmul(self.centre, out, self.spread) if self.scaled else out


class Layer(Protocol):
    """What a layer does forward, and with the gradient of the loss by its output, the delta, backward."""

    def forward(self, x: Tensor) -> Tensor: ...

    def backward(self, delta: Tensor) -> Tensor: ...


class Dense:
    """z = x Wᵀ + b. Forward it keeps x; backward ∂/∂W = δᵀ x and ∂/∂b = Σ δ over the batch, and δ W goes on (S084).

    `to_weight` and `to_bias`, where the gradient goes, become `keep` times what they were and `alpha` times the
    gradient, in the same pass as the product: gradients themselves with 0 and 1, a momentum with its share and 1, or
    the weights, moved at once, with 1 and less the rate.
    """

    def __init__(
        self, linear: nn.Linear, to_weight: Tensor, to_bias: Tensor, keep: float, lowest: bool, highest: bool
    ) -> None:
        self.weight, self.bias = linear.weight.detach(), linear.bias.detach()  # (U, N), (U,)
        self.across, self.upright = self.weight.t(), self.bias[:, None]  # (N, U), (U, 1)
        self.to_weight, self.to_bias, self.keep, self.lowest, self.highest = to_weight, to_bias, keep, lowest, highest
        self.alpha = 1.0
        self.ones = self.bias.new_ones(0)

    def forward(self, x: Tensor) -> Tensor:  # (B, N) -> (B, U)
        self.x = x
        if self.highest:  # outputs are few: the product, and the softmax, are faster along rows of length B
            return torch.addmm(self.upright, self.weight, x.t()).t()
        return torch.addmm(self.bias, x, self.across)

    def backward(self, delta: Tensor) -> Tensor:  # (B, U) -> (B, N)
        below = delta if self.lowest else delta.mm(self.weight)  # first, as the weights may move now
        if len(self.ones) != len(delta):
            self.ones = delta.new_ones(len(delta))
        across = delta.t()
        self.to_weight.addmm_(across, self.x, beta=self.keep, alpha=self.alpha)
        self.to_bias.addmv_(across, self.ones, beta=self.keep, alpha=self.alpha)  # the sum over the batch
        del self.x  # its memory, still in the cache, is the next batch's
        return below


class Activated:
    """y = f(z), and backward δ ∘ f'(z), the other half of the recursion (S085)."""

    def __init__(self, activation: Activation) -> None:
        self.activation, self.function = activation, ACTIVATIONS[activation]()
        self.slope = noisy_slope if activation == "noisy" else SLOPES.get(activation)

    def forward(self, z: Tensor) -> Tensor:  # (B, U) -> (B, U); from (B, 2U) for maxout
        self.z = z
        self.y: Tensor = z.relu_() if self.activation == "relu" else self.function(z)
        return self.y

    def backward(self, delta: Tensor) -> Tensor:  # the other way
        if self.activation == "relu":
            return delta.mul_(self.y.sign_())  # of y ≥ 0 it is the slope, and no layer needs y any more
        return maxout_backward(delta, self.z, self.y) if self.slope is None else delta.mul_(self.slope(self.z, self.y))


class Drop:
    """Every unit left out with probability p, the others scaled by 1/(1 - p); what is left out learns nothing (S136).

    The mask is drawn as `nn.Dropout` draws it on the CPU, so that a run is the same with either backward pass.
    """

    def __init__(self, p: float) -> None:
        self.p = p

    def forward(self, x: Tensor) -> Tensor:  # (B, U) -> (B, U)
        self.mask = torch.empty_like(x).bernoulli_(1 - self.p).div_(1 - self.p)
        return x * self.mask

    def backward(self, delta: Tensor) -> Tensor:  # (B, U) -> (B, U)
        return delta.mul_(self.mask)


class Vectors(Box):
    """Moments and the count of updates, loaded into their own memory: the learner's other names for them stay true."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        moments, updates = (state_dict["value"][name] for name in ("moments", "updates"))
        for own, saved in zip([*self.value["moments"], self.value["updates"]], [*moments, updates], strict=True):
            own.copy_(saved)


class Written(Learner):
    """Backpropagation as its authors wrote it: forward, the deltas backward, and the weights moved; no graph is built.

    All weights lie in one vector, matrices first, then biases, and so do their gradients: an update of the optimizer is
    one of torch's fused kernels, called without torch.optim's bookkeeping, which takes longer than the kernel. Where
    sgd and momentum take the gradient as it is, it is never laid down: the products of the backward pass are added to
    the weights at once, or to the momentum.
    """

    model: MLP

    def __init__(
        self,
        model: MLP,
        loss: LossName,
        rule: str,
        lr: float,
        *,
        activation: Activation = "relu",
        momentum: float = 0.9,
        schedule: Schedule = constant,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        l1: float = 0.0,
        l2: float = 0.0,
    ) -> None:
        self.model, self.loss, self.rule = model, loss, rule
        self.lr, self.momentum, self.schedule = lr, momentum, schedule
        self.clip_norm, self.clip_value, self.l1, self.l2 = clip_norm, clip_value, l1, l2
        parameters = sorted(model.layers.parameters(), key=lambda parameter: -parameter.dim())
        sizes = [parameter.numel() for parameter in parameters]
        self.matrices = sum(parameter.numel() for parameter in parameters if parameter.dim() == 2)
        self.weights = torch.cat([parameter.detach().flatten() for parameter in parameters])
        self.device = self.weights.device.type
        count = 2 if rule in ("adam", "adamw") else 1 if momentum else 0
        self.moments = [torch.zeros_like(self.weights) for _ in range(count)]
        self.updates = torch.zeros((), device=self.weights.device)
        self.memory = Vectors({"moments": self.moments, "updates": self.updates})
        alone = not (dist.is_available() and dist.is_initialized())
        self.bare = alone and clip_norm is None and clip_value is None and not l1  # nothing is done to the gradient
        self.at_once = self.bare and not l2 and rule in ("sgd", "momentum")
        keep = (momentum or 1.0) if self.at_once else 0.0
        self.gradient = [self.weights, *self.moments][-1] if self.at_once else torch.zeros_like(self.weights)
        self.whole = nn.Parameter(self.weights)  # the same, as `settle` takes it
        self.whole.grad = self.gradient
        into: dict[Tensor, Tensor] = {}
        for parameter, piece, gradient in zip(
            parameters, self.weights.split(sizes), self.gradient.split(sizes), strict=True
        ):
            parameter.data, into[parameter] = piece.view_as(parameter), gradient.view_as(parameter)
            parameter.grad = None if self.at_once else into[parameter]
        self.layers = list(_layers(model, activation, into, keep))
        self.dense = [layer for layer in self.layers if isinstance(layer, Dense)]
        self.backwards = self.layers[self.layers.index(self.dense[0]) :][::-1]

    @torch.inference_mode()
    def step(self, batch: Batch, clock: Clock) -> Scores:
        if torch.is_autocast_enabled(self.device):  # products into given memory have no mixed precision
            with torch.autocast(self.device, enabled=False):
                return self.step(batch, clock)
        lr = self.lr * self.schedule(clock.fraction)
        x = self.model.flat(inputs(batch))
        for layer in self.layers:
            x = layer.forward(x)
        if "label" in batch:
            loss, delta = PULLS[self.loss](x, batch["label"])
        else:  # the net's z is the number in units of its spread
            error = x[:, 0] - (batch["number"] - self.model.centre) / self.model.spread
            loss, delta = error.square().mean(), (error * (2 / len(x)))[:, None]
        if self.gradient is self.weights:
            for dense in self.dense:
                dense.alpha = -lr
        for layer in self.backwards:
            delta = layer.backward(delta)
        if not self.at_once:
            self.move(lr)
        elif self.moments:
            self.weights.add_(self.moments[0], alpha=-lr)
        return {"loss": loss}

    def move(self, lr: float) -> None:
        """The weights down the gradient; l2 decays matrices, not biases."""
        if self.l1:
            self.gradient[: self.matrices].add_(self.weights[: self.matrices].sign(), alpha=self.l1)
        if not self.bare:
            settle([self.whole], self.clip_norm, self.clip_value)
        vectors = (self.weights, self.gradient, *self.moments)
        pieces = [(vectors, 0.0)]
        if self.l2:
            cut = self.matrices
            pieces = [(tuple(v[:cut] for v in vectors), self.l2), (tuple(v[cut:] for v in vectors), 0.0)]
        if self.rule in ("adam", "adamw"):
            self.updates += 1
            kernel = torch._fused_adam_ if self.rule == "adam" else torch._fused_adamw_
            for (weights, gradient, first, second), decay in pieces:
                kernel(
                    [weights], [gradient], [first], [second], [], [self.updates], lr=lr, beta1=0.9, beta2=0.999,
                    weight_decay=decay, eps=1e-8, amsgrad=False, maximize=False,
                )  # fmt: skip
        else:
            for (weights, gradient, *moments), decay in pieces:
                torch._fused_sgd_(
                    [weights], [gradient], moments, weight_decay=decay, momentum=self.momentum, lr=lr, dampening=0.0,
                    nesterov=self.rule == "nesterov", maximize=False, is_first_step=False,
                )  # fmt: skip

    def evaluate(self, stream: Stream) -> Scores:
        return judge(self.model, stream, self.loss)

    def parts(self) -> dict[str, Stateful]:
        return {"model": self.model, "memory": self.memory}

    def snapshot(self) -> dict[str, Tensor]:
        return on_a_plane(self.model)


def _layers(model: MLP, activation: Activation, into: dict[Tensor, Tensor], keep: float) -> Iterator[Layer]:
    """The net's layers with their backward passes."""
    linears = [layer for layer in model.layers if isinstance(layer, nn.Linear)]
    for layer in model.layers:
        if isinstance(layer, nn.Linear):
            lowest, highest = layer is linears[0], layer is linears[-1]
            yield Dense(layer, into[layer.weight], into[layer.bias], keep, lowest, highest)
        else:
            yield Drop(layer.p) if isinstance(layer, nn.Dropout) else Activated(activation)


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
    loss: Literal["auto", LossName] = Field(
        "auto",
        description="what is descended; auto: cross_entropy for classes, squared_error for numbers; squared_error is "
        "half the sum over the outputs for classes, for a number the square in units of the target's variance",
    )
    initial: Literal["auto", Start] = Field(
        "auto",
        description="first weights; auto: he for hidden units of the ReLU family, glorot for others and for classes, "
        "zeros where the output is a number",
    )
    backward: Literal["auto", "written", "autograd"] = Field(
        "auto", description="the deltas' recursion written out, or autograd; auto: written wherever it covers the knobs"
    )
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
        if self.backward == "written" and (what := self._uncovered()):
            raise ValueError(f"backward must be auto or autograd with {what}, which it does not cover; got written.")
        return self

    def _uncovered(self) -> str:
        """The knob that the written backward pass does not cover, or nothing."""
        if self.batch_norm:
            return "batch normalisation"
        return "" if self.optimizer in WRITTEN_RULES else f"the optimizer {self.optimizer}"

    def chosen(self, spec: dict[str, Any]) -> dict[str, Any]:
        hidden, outputs = self.starts(spec)
        found = {
            "loss": "squared_error" if spec["target"]["kind"] == "number" else "cross_entropy",
            "initial": f"{hidden}, outputs {outputs}",
            "backward": "autograd" if self._uncovered() else "written",
        }
        return {knob: value for knob, value in found.items() if getattr(self, knob) == "auto"}

    def starts(self, spec: dict[str, Any]) -> tuple[Start, Start]:
        """How the weights of hidden units and those of the outputs begin."""
        if self.initial != "auto":
            return self.initial, self.initial
        family = self.activation in ("relu", "leaky", "elu", "softplus", "noisy", "maxout")
        return "he" if family else "glorot", "zeros" if spec["target"]["kind"] == "number" else "glorot"

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
        if found.spec["target"]["kind"] == "number" and self.loss not in ("auto", "squared_error"):
            raise UserError(
                f"The loss of a number must be squared_error; got {self.loss}, and {found.spec['target']['name']} is "
                f"a number. Leave --loss out."
            )
        return found.shuffled(self.batch, self.seed)

    def model(self, spec: dict[str, Any]) -> MLP:
        target, picture = spec["target"], spec["kind"] == "image"
        channels, height, width = spec["shape"] if picture else (1, 1, spec["features"])
        numeric = target["kind"] == "number"
        initial, initial_outputs = self.starts(spec)
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
            initial=initial,
            initial_outputs=initial_outputs,
        )

    def learner(self, model: nn.Module) -> Learner:
        assert isinstance(model, MLP)
        loss: LossName = "cross_entropy" if self.loss == "auto" else self.loss
        schedule = warmed(NAMED[self.schedule], self.warmup)
        if self.backward == "autograd" or self._uncovered():
            return Backprop(
                model,
                partial(objective, loss=loss),
                optimizer(self.optimizer, model, self.lr, l2=self.l2, momentum=self.momentum),
                judge=partial(judge, loss=loss),
                schedule=schedule,
                clip_norm=self.clip_norm,
                clip_value=self.clip_value,
                l1=self.l1,
                snapshot=on_a_plane,
            )
        return Written(
            model,
            loss,
            self.optimizer,
            self.lr,
            activation=self.activation,
            momentum=0.0 if self.optimizer == "sgd" else self.momentum,
            schedule=schedule,
            clip_norm=self.clip_norm,
            clip_value=self.clip_value,
            l1=self.l1,
            l2=self.l2,
        )

    def plan(self, data: Data) -> Plan:
        watch = "valid/loss" if data.valid is not None else ""
        return Plan.passes(self.epochs, data.train, watch=watch, patience=self.patience)

    def answer(self, model: nn.Module, question: Batch, options: Any) -> Batch:
        out = model(inputs(question))
        if out.shape[1] == 1:
            return {"number": out[:, 0]}
        # Sigmoids are scaled to a sum of 1; by their logarithms, or all might be 0.
        probability = (out if self.loss in ("auto", "cross_entropy") else F.logsigmoid(out)).softmax(1)
        return {"label": probability.argmax(1), "probability": probability}

    def protocol(self, spec: dict[str, Any]) -> dict[str, Any]:
        return {"augmentation": "none", "split": "the set's own" if spec["data"] in ("mnist", "adult") else "random"}

    def pictures(self, evidence: "Evidence") -> list[Picture]:
        from deepclassics.report import calibration, confusion, curves, scatter, surface

        judged = [scatter] if evidence.spec["target"]["kind"] == "number" else [confusion, calibration]
        pictures = [curves.picture(evidence), *[each.picture(evidence) for each in judged]]
        plane = evidence.spec.get("features") == 2
        return [*pictures, surface.picture(evidence), surface.learning(evidence)] if plane else pictures


def on_a_plane(model: nn.Module) -> dict[str, Tensor]:
    """The weights of a net of two features, whose surface can be seen as it is learnt; of others nothing."""
    weights = model.state_dict()
    first = next(name for name in weights if name.endswith("weight"))
    return weights if weights[first].shape[1] == 2 else {}


def objective(model: nn.Module, batch: Batch, loss: LossName = "cross_entropy") -> Scores:
    """The loss of classes, in nats or halves of a squared distance; of numbers the squared error in units of the
    target's variance."""
    assert isinstance(model, MLP)
    out = model(inputs(batch))
    if "label" in batch:
        return {"loss": LOSSES[loss](out, batch["label"])}
    return {"loss": ((out[:, 0] - batch["number"]) / model.spread).square().mean()}


def judge(model: nn.Module, stream: Stream, loss: LossName = "cross_entropy") -> Scores:
    """Over the whole stream: loss and error rate of classes; loss, root of the squared error and R² of numbers."""
    assert isinstance(model, MLP)
    pairs = [(model(inputs(batch)), batch["label"] if "label" in batch else batch["number"]) for batch in stream]
    out, truth = (torch.cat(column) for column in zip(*pairs, strict=True))
    if truth.dtype == torch.int64:
        return {"loss": LOSSES[loss](out, truth), "error": metrics.error_rate(out.argmax(1), truth)}
    error = out[:, 0] - truth
    scores = {"loss": (error / model.spread).square().mean(), "rmse": error.square().mean().sqrt()}
    r2 = metrics.r_squared(out[:, 0], truth)
    return scores | ({"r2": r2} if bool(r2.isfinite()) else {})  # of numbers that are all the same there is none
