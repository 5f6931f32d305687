"""Backprop: backpropagation on a network small enough to be followed by hand, every number of every update shown.

Takes the notes' examples, a network of your own as JSON (`deepclassics.data.kinds.network` tells how it is written), or
the folder of a run of `mlp`, whose first weights and first example are then followed through one update. The report
shows the latest update as a drawing and as a table at full precision. `predict RUN 0.35,0.9,0.5` tells sums, outputs,
deltas and gradients for other inputs, with the target after them.

With E the loss, z the sums and w⁺ the new weights:
- forward: z_j = Σ_i w_ji out_i, out_j = f(z_j).
- delta: δ_j = -∂E/∂z_j. Of an output with squared error δ = (t - out) f'(z); of any other unit
  δ_j = f'(z_j) Σ_k δ_k w_kj.
- weights: -∂E/∂w_ji = δ_j out_i, the value at the source times the signal at the target, and w⁺ = w + lr δ_j out_i. A
  bias is the weight of a source that is always 1.

Hidden deltas come from the weights as they were (`--sequence correct`). The notes' worked example takes weights that
are updated already (`--sequence notes`), which is not the gradient of any loss; the remarks tell the difference it
makes.

Source: D. Rumelhart, G. Hinton, R. Williams, Learning representations by back-propagating errors, Nature 323 (1986).
Notes: S082 to S101, N001, N042, N068; C146, C183, C184; errata E065, E066, E068 to E071.

Departures from the paper: a rate without momentum, one example an update unless told. Any network without loops, not
only one of layers; cross entropy too; and scores without a target, as the notes' fourth file has them: they are raised,
so that δ is +∂ŷ/∂z as printed there.

Expected: bp_example, the error t - out of the output goes from -0.190283 to -0.182019, with --sequence notes to
-0.182031; the notes, who round at every line, print -0.18205. Gradients equal autograd's, and Jacobians built entry by
entry equal their Kronecker form, to 1e-12. The backward passes of batch normalisation, convolution and softmax with
cross entropy, written out in `gradients.py`, `convolution.py` and `losses.py` of `layers`, are held against autograd in
every report, to 1e-10.

Letters: B examples, N inputs, U units, V = 1 + N + U values, the first of them the constant 1; M weights, K outputs.
"""

from pathlib import Path
from typing import Any, Literal

import torch
import torch.distributed as dist
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from deepclassics.data import catalog, load
from deepclassics.data.kinds import network
from deepclassics.data.streams import Batch, Data, Shuffled, Splits, Stream, inputs
from deepclassics.errors import UserError
from deepclassics.layers import convolution, gradients, losses
from deepclassics.layers.activations import ACTIVATIONS
from deepclassics.learn import Box, Clock, Learner, Scores, Stateful, apply
from deepclassics.loop import Plan
from deepclassics.recipe import BatchSize, Epochs, Picture, Published, Recipe
from deepclassics.report import curves, trace
from deepclassics.report.evidence import Evidence
from deepclassics.run import Run
from deepclassics.schedules import NAMED, warmed
from deepclassics.systems.foundations import mlp

FUNCTIONS = {name: ACTIVATIONS[name]() for name in gradients.SLOPES}
OUTPUTS = 10  # that the remarks tell of
TOLD = 40  # weights up to which the remarks tell every one


class Net(nn.Module):
    """The network that a spec of kind "network" writes down, in double precision, with its weights as they stand there.

    The units are in an order in which each hears only what comes before it; those of a softmax come last.
    """

    def __init__(self, spec: dict[str, Any]) -> None:
        super().__init__()
        places = {name: place for place, name in enumerate([*spec["inputs"], *[u["name"] for u in spec["units"]]], 1)}
        self.loss: str = spec["loss"]
        self.lr: float = spec["lr"]
        self.order: str = spec["order"]
        self.activations: list[str] = [unit["activation"] for unit in spec["units"]]
        self.first = 1 + len(spec["inputs"])  # the place of the first unit among the values
        self.outputs = [places[name] for name in spec["outputs"]]
        self.soft = self.activations.count("softmax")
        self.heard: list[list[int]] = []  # by unit: the values it hears
        self.pieces: list[slice] = []  # by unit: its weights
        weights: list[float] = []
        for unit in spec["units"]:
            biased = unit["bias"] is not None
            self.heard.append([places[name] for name in unit["inputs"]] + [0] * biased)
            self.pieces.append(slice(len(weights), len(weights) + len(self.heard[-1])))
            weights += [*unit["inputs"].values(), *([unit["bias"]] if biased else [])]
        self.weight = nn.Parameter(torch.tensor(weights, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:  # (B, N) -> (B, K)
        return self.passes(x, self.weight)[1][:, self.outputs]

    def passes(self, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:  # (B, N), (M,) -> (B, U), (B, V)
        """Forward: the sums of all units, and all values."""
        sums: list[Tensor] = []
        values = torch.cat([torch.ones_like(x[:, :1]), x], 1)
        for activation, heard, piece in zip(self.activations, self.heard, self.pieces, strict=True):
            sums.append(values[:, heard] @ weight[piece])
            if activation != "softmax":
                values = torch.cat([values, FUNCTIONS[activation](sums[-1])[:, None]], 1)
        summed = torch.stack(sums, 1)
        if self.soft:
            values = torch.cat([values, summed[:, -self.soft :].softmax(1)], 1)
        return summed, values

    def judged(self, sums: Tensor, values: Tensor, target: Tensor | None) -> Scores:
        """The loss of a batch, and the mean distance of the outputs from their targets, where there are targets."""
        out = values[:, self.outputs]
        if target is None:
            return {"loss": -out.sum(1).mean()}
        error = target - out
        if self.loss == "squared":
            loss = error.square().sum(1).mean() / 2
        elif self.loss == "mean_squared":
            loss = error.square().mean()
        else:
            z = sums[:, [place - self.first for place in self.outputs]]
            loss = (
                -(target * z.log_softmax(1)).sum(1).mean()
                if self.soft
                else F.binary_cross_entropy_with_logits(z, target, reduction="none").sum(1).mean()
            )
        return {"loss": loss, "error": error.abs().mean()}

    def signals(self, sums: Tensor, values: Tensor, target: Tensor | None) -> Tensor:  # -> (B, U)
        """-∂E/∂z of the outputs, by each example's own loss; of the other units 0."""
        out = values[:, self.outputs]
        found = torch.zeros_like(sums)
        units = [place - self.first for place in self.outputs]
        if self.loss == "cross_entropy":  # both activations leave the same: their slopes cancel
            assert target is not None
            found[:, units] = target - out * target.sum(1, keepdim=True) if self.soft else target - out
            return found
        if self.loss == "score":
            by_output = torch.ones_like(out)
        else:
            assert target is not None
            by_output = (target - out) * (2 / len(units) if self.loss == "mean_squared" else 1)
        found[:, units] = (by_output[:, None] @ self.output_jacobian(sums, values))[:, 0]
        return found

    def output_jacobian(self, sums: Tensor, values: Tensor) -> Tensor:  # -> (B, K, K)
        """∂y/∂z of the outputs, each by its own sum, or by all of a softmax."""
        out = values[:, self.outputs]
        if self.soft:
            return gradients.softmax_jacobian(out)
        return torch.diag_embed(torch.stack([self._slope(p - self.first, sums, values) for p in self.outputs], 1))

    def _slope(self, unit: int, sums: Tensor, values: Tensor) -> Tensor:  # -> (B,)
        return gradients.SLOPES[self.activations[unit]](sums[:, unit], values[:, self.first + unit])

    def backward(
        self, sums: Tensor, values: Tensor, signals: Tensor, weight: Tensor, ahead: float = 0.0
    ) -> tuple[Tensor, Tensor]:  # (B, U), (B, V), (B, U), (M,) -> (B, U), (B, M)
        """The deltas, and δ_j out_i for every weight and example. `signals` are what the outputs get from outside.

        With the learning rate as `ahead`, a unit's weights are updated before its delta goes back through them: the
        notes' order.
        """
        deltas = torch.zeros_like(signals)
        products = torch.zeros(len(signals), len(weight), dtype=weight.dtype, device=weight.device)
        back = torch.zeros_like(values)  # Σ_k δ_k w_kj, as far as it is known
        for unit in reversed(range(len(self.heard))):
            heard, piece = self.heard[unit], self.pieces[unit]
            delta = signals[:, unit]
            if self.activations[unit] != "softmax":  # which nothing hears
                delta = delta + self._slope(unit, sums, values) * back[:, self.first + unit]
            deltas[:, unit] = delta
            products[:, piece] = delta[:, None] * values[:, heard]
            through = weight[piece]
            if ahead:
                through = through + ahead * _over_ranks(products[:, piece].mean(0))
            back[:, heard] += delta[:, None] * through
        return deltas, products

    def jacobian(self, x: Tensor, weight: Tensor) -> Tensor:  # (N,), (M,) -> (K, M)
        """∂y/∂w for one example: for each unit J_z ⊗ what it hears, laid side by side (S097)."""
        sums, values = self.passes(x.expand(len(self.outputs), -1), weight)
        signals = torch.zeros_like(sums)
        signals[:, [place - self.first for place in self.outputs]] = self.output_jacobian(sums[:1], values[:1])[0]
        later, _ = self.backward(sums, values, signals, weight)
        blocks = [gradients.kronecker(later[:, [unit]], values[0, heard]) for unit, heard in enumerate(self.heard)]
        return torch.cat(blocks, 1)

    def costs(self) -> tuple[int, int]:
        """Multiplications by which all gradients are found: going back once, and path by path from every weight.

        Going back costs one for every weight between units and one for each weight's own product (S089: dynamic
        programming shares what paths have in common). A path costs one for every weight on it; slopes are not counted.
        """
        count = [0] * (self.first + len(self.heard))  # paths from a value to the outputs, and their weights in all
        length = [0] * len(count)
        for place in self.outputs:
            count[place] += 1
        once = paths = 0
        for unit in reversed(range(len(self.heard))):
            place = self.first + unit
            for source in self.heard[unit]:
                count[source] += count[place]
                length[source] += length[place] + count[place]
                once += 1 + (source >= self.first)
                paths += length[place] + count[place]
        return once, paths


def _over_ranks(mean: Tensor) -> Tensor:
    """The mean over all ranks' examples. `apply` averages too, but comes too late where weights are used at once."""
    if dist.is_available() and dist.is_initialized():
        dist.all_reduce(mean)
        mean /= dist.get_world_size()
    return mean


class BackpropLearner(Learner):
    """w⁺ = w + lr times the mean of δ_j out_i over the batch. `trace` holds all numbers of the latest update.

    With several ranks the mean is over all; examples, sums, values and deltas are each rank's own.
    """

    def __init__(self, model: Net, lr: float, order: str) -> None:
        self.model: Net = model
        self.lr, self.order = lr, order
        self.optimizer = torch.optim.SGD(model.parameters(), lr)
        self.trace = Box({}, local=True)

    def step(self, batch: Batch, clock: Clock) -> Scores:
        model, before = self.model, self.model.weight.detach().clone()
        sums, values, deltas, products = followed(model, batch, before, self.lr if self.order == "notes" else 0.0)
        model.weight.grad = -products.mean(0)
        apply(self.optimizer)
        self.trace.value = {
            "example": batch["example"], "sum": sums, "value": values, "delta": deltas, "product": -model.weight.grad,
            "before": before, "after": model.weight.detach().clone(),
        }  # fmt: skip
        return model.judged(sums, values, batch.get("target"))

    def evaluate(self, stream: Stream) -> Scores:
        batches = list(stream)
        whole = {name: torch.cat([batch[name] for batch in batches]) for name in batches[0]}
        return self.model.judged(*self.model.passes(whole["input"], self.model.weight), whole.get("target"))

    def parts(self) -> dict[str, Stateful]:
        return {"model": self.model, "optimizer": self.optimizer, "trace": self.trace}

    def snapshot(self) -> dict[str, Tensor]:
        return {**self.trace.value}


@torch.no_grad()
def followed(
    model: Net, batch: Batch, weight: Tensor, ahead: float = 0.0
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # -> (B, U), (B, V), (B, U), (B, M)
    """Sums, values, deltas and δ_j out_i of a batch: forward, then backward."""
    sums, values = model.passes(batch["input"], weight)
    signals = model.signals(sums, values, batch.get("target"))
    return sums, values, *model.backward(sums, values, signals, weight, ahead)


# --- how it is known to be right


def differences(model: Net, batch: Batch, weight: Tensor) -> dict[str, float]:
    """The largest differences of written gradients from autograd's, and of the weight Jacobian's forms."""
    weight = weight.detach().clone().requires_grad_()
    (loss,) = list(model.judged(*model.passes(batch["input"], weight), batch.get("target")).values())[:1]
    (right,) = torch.autograd.grad(loss, weight)
    written = -followed(model, batch, weight.detach())[3].mean(0)

    def outputs(weight: Tensor) -> Tensor:
        return model.passes(batch["input"][:1], weight)[1][0, model.outputs]

    entries = torch.autograd.functional.jacobian(outputs, weight.detach())
    forms = model.jacobian(batch["input"][0], weight.detach())
    return {"gradient": _largest(written, right), "jacobian": _largest(forms, entries)}


def written_out(seed: int) -> dict[str, float]:
    """Every backward pass that `layers` writes out, on random numbers: its largest difference from autograd."""
    generator = torch.Generator().manual_seed(seed)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()

    found = {}
    for name, function in FUNCTIONS.items():
        z = drawn(50)
        slope = gradients.SLOPES[name](z.detach(), function(z.detach()))
        found[f"activation {name}"] = _largest(slope, *torch.autograd.grad(function(z).sum(), [z]))

    x, weight, bias, dz = drawn(5, 4), drawn(3, 4), drawn(3), drawn(5, 3).detach()
    right = torch.autograd.grad(F.linear(x, weight, bias), [x, weight, bias], dz)
    found["dense layer"] = _worst(gradients.linear_backward(dz, x.detach(), weight.detach()), right)

    x, first, second, last = drawn(3), drawn(4, 3), drawn(5, 4), drawn(2, 5)
    sums = [first @ x]
    sums += [second @ sums[0].tanh()]
    sums += [last @ sums[1].tanh()]
    right = torch.autograd.grad(sums[2].softmax(0)[0], [*sums, first])
    slopes = [(1 - z.detach().tanh().square())[None] for z in sums]
    deltas = gradients.recursion(right[2][None], [w.detach() for w in (first, second, last)], slopes)
    found["deltas of three layers"] = _worst(tuple(delta[0] for delta in deltas), right[:3])
    found["Jacobian in blocks"] = _largest((deltas[0] @ gradients.weight_jacobian(x.detach(), 4)).view(4, 3), right[3])
    found["Jacobian in Kronecker form"] = _largest(gradients.kronecker(deltas[0], x.detach()).view(4, 3), right[3])

    z, label = drawn(6, 4), torch.arange(6) % 4
    right = torch.autograd.grad(F.cross_entropy(z, label), [z])
    found["softmax with cross entropy"] = _largest(losses.pull_of_cross_entropy(z.detach(), label)[1], *right)

    x, gain, bias, dy = drawn(7, 3), drawn(3), drawn(3), drawn(7, 3).detach()
    right = torch.autograd.grad(F.batch_norm(x, None, None, gain, bias, training=True), [x, gain, bias], dy)
    normal = gradients.batch_norm(x.detach(), gain.detach(), bias.detach())[1]
    found["batch normalisation"] = _worst(gradients.batch_norm_backward(dy, x.detach(), normal, gain.detach()), right)

    x, weight, bias, dz = drawn(2, 3, 7, 6), drawn(4, 3, 3, 2), drawn(4), drawn(2, 4, 4, 4).detach()
    out = F.conv2d(x, weight, bias, stride=2, padding=1)
    mine = convolution.by_places(x.detach(), weight.detach(), 2, 1) + bias.detach()[:, None, None]
    found["convolution, forward"] = _largest(mine, out)
    right = torch.autograd.grad(out, [x, weight, bias], dz)
    written = convolution.by_places_backward(dz, x.detach(), weight.detach(), 2, 1)
    found["convolution"] = _worst((*written, convolution.bias_backward(dz)), right)
    return found


def _largest(one: Tensor, other: Tensor) -> float:
    return float((one - other).detach().abs().max())


def _worst(written: tuple[Tensor, ...], right: tuple[Tensor, ...]) -> float:
    return max(_largest(one, other) for one, other in zip(written, right, strict=True))


# --- the first update of a run of mlp


ENDINGS = {  # of a net for classes, by the loss of the run: the activation of its outputs, and the loss here
    "auto": ("softmax", "cross_entropy"),
    "cross_entropy": ("softmax", "cross_entropy"),
    "binary_cross_entropy": ("sigmoid", "cross_entropy"),
    "squared_error": ("sigmoid", "squared"),
}


def first_of(path: Path) -> network.Network:
    """The network of a run of `mlp` with its first weights, and the first example of its first batch.

    Raises:
        UserError: it is no such run, or its update has what cannot be followed on one example.
    """
    run = Run.open(path)
    recipe = run.recipe()
    where = f"The network of {path}"
    if not isinstance(recipe, mlp.MLPRecipe):
        raise UserError(f"backprop follows runs of mlp; {path} is a run of '{recipe.name()}'. Give the folder of one.")
    if recipe.batch_norm:
        raise UserError(f"{where} must be without batch normalisation, which one example has no statistics for.")
    if recipe.activation not in network.ACTIVATIONS:
        known = ", ".join(name for name in network.ACTIVATIONS if name != "softmax")
        raise UserError(f"{where} must have the activation {known}; it has '{recipe.activation}'.")
    data = recipe.load()
    run.refuse_other_data(data.spec)
    spec = data.spec
    with torch.random.fork_rng([]), torch.no_grad():
        torch.manual_seed(recipe.seed)
        model = recipe.model(spec)
        batch = data.train.at(0)
        x = model.flat(inputs(batch))[0].double()
    layers = [layer for layer in model.layers if isinstance(layer, nn.Linear)]
    network.check_size(
        where, len(x) + sum(layer.out_features for layer in layers), sum(layer.weight.numel() for layer in layers)
    )
    target, classes = spec["target"], spec["target"].get("classes")
    ending, loss = ENDINGS[recipe.loss] if classes else ("linear", "mean_squared")
    first = spec.get("feature_names") or [f"p{place}" for place in range(1, len(x) + 1)]
    if classes:
        outputs = [f"{target['name']}={each}" for each in classes]
        wanted = [float(place == int(batch["label"][0])) for place in range(len(classes))]
    else:
        outputs = [target["name"]]
        wanted = [(float(batch["number"][0]) - target["mean"]) / target["std"]]
    units: list[network.Unit] = []
    heard = first
    for number, layer in enumerate(layers, 1):
        last = layer is layers[-1]
        names = outputs if last else [f"h{number}.{place}" for place in range(1, layer.out_features + 1)]
        activation = ending if last else recipe.activation
        for name, row, bias in zip(names, layer.weight.tolist(), layer.bias.tolist(), strict=True):
            units.append(network.Unit(name, tuple(zip(heard, row, strict=True)), bias, activation))
        heard = names
    return network.network(where, first, units, [(x.tolist(), wanted)], outputs, loss, recipe.lr, note=_told(recipe))


def _told(recipe: mlp.MLPRecipe) -> str:
    """What the run itself does otherwise in its first update."""
    others = [f"averages over {recipe.batch} examples"] * (recipe.batch > 1)
    others += [f"is by {recipe.optimizer}"] * (recipe.optimizer not in ("sgd", "momentum"))
    factor = warmed(NAMED[recipe.schedule], recipe.warmup)(0.0)
    others += [f"has the rate {recipe.lr * factor:g}"] * (factor != 1)
    others += [f"has {name} {value:g}" for name in ("dropout", "input_dropout", "l1", "l2", "clip_norm", "clip_value")
               if (value := getattr(recipe, name))]  # fmt: skip
    if not others:
        return "This is the first update of the run itself, in double precision."
    return (
        f"One step of plain gradient descent on the first example; the run's own first update {' and '.join(others)}."
    )


class BackpropRecipe(Recipe):
    """Updates of a small network, number by number."""

    takes = ("network",)
    gives = ("network",)
    published = (
        Published(
            on="bp_example",
            score="test/error",
            value=0.18205,
            source="the notes, worked example (N001)",
            protocol={"sequence": "notes", "rounding": "2 to 4 digits at every line"},
        ),
    )

    data: str = Field("bp_example", description="a named network, a .json of your own, or the folder of a run of mlp")
    sequence: Literal["correct", "notes"] | None = Field(
        None, description="hidden deltas from the old weights (correct) or from the updated ones (notes); none: its own"
    )
    lr: float | None = Field(None, gt=0, description="learning rate; none: the network's own")
    batch: BatchSize = 1
    epochs: Epochs = 1

    def load(self) -> Data:
        found: Splits
        if Path(self.data).is_dir() and self.data not in catalog.names():
            found = network.splits(first_of(Path(self.data)), seed=self.seed, valid=0.0, test=0.0)
            found = Splits(found.spec | {"data": self.data}, found.train, None, found.test)
        else:
            found = load(self.data, self.takes, seed=self.seed, valid=0.0, test=0.0)
        return found.shuffled(self.batch, self.seed)

    def model(self, spec: dict[str, Any]) -> Net:
        return Net(spec)

    def learner(self, model: nn.Module) -> BackpropLearner:
        assert isinstance(model, Net)
        return BackpropLearner(model, self.lr or model.lr, self.sequence or model.order)

    def plan(self, data: Data) -> Plan:
        return Plan.passes(self.epochs, data.train)

    def answer(self, model: nn.Module, question: Batch, options: Any) -> Batch:
        assert isinstance(model, Net)
        weight = model.weight.detach()
        if "target" not in question and model.loss != "score":
            sums, values = model.passes(question["input"], weight)
            return {"sum": sums, "network": values[:, model.first :]}
        sums, values, deltas, products = followed(model, question, weight)
        return {"sum": sums, "network": values[:, model.first :], "delta": deltas, "gradient": -products}

    def conclude(self, learner: Learner, data: Data) -> tuple[dict[str, float], list[str]]:
        """The latest update told unit by unit, what the other order would give, and how gradients were checked."""
        assert isinstance(learner, BackpropLearner)
        assert isinstance(data.train, Shuffled)
        model, spec, update = learner.model, data.spec, learner.trace.value
        batch = data.train.columns.take(update["example"])
        checks = differences(model, batch, update["before"])
        written = max(written_out(self.seed).values())
        scores = {f"train/{name}_difference": value for name, value in checks.items()}
        scores["train/written_difference"] = written
        remarks = [spec["note"]] if spec["note"] else []
        remarks += trace.lines(spec, update) if len(model.weight) <= TOLD else []
        remarks += errors(learner, batch, spec)
        once, paths = model.costs()
        remarks += [
            f"Gradients differ from autograd's by {checks['gradient']:.1g} at most, the Jacobian of all weights in "
            f"Kronecker form from the one taken entry by entry by {checks['jacobian']:.1g}, and the backward passes of "
            f"other layers, written out, from autograd's by {written:.1g}.",
            f"Going back took {once:,} multiplications; path by path from every weight it would have been {paths:,}.",
        ]
        return scores, remarks

    def pictures(self, evidence: Evidence) -> list[Picture]:
        spec = evidence.spec
        updates = [(step, numbers) for step, numbers in evidence.snapshots if numbers]
        if not updates:
            raise UserError("This run has made no update yet. Go on with it.")
        lr = self.lr or spec["lr"]
        found = []
        for step, numbers in [updates[0], *updates[1:][-1:]]:
            found += [
                Picture(
                    f"Update {step}, drawn",
                    "Below a unit its sum, output and delta on the first example of the update; on a line its weight, "
                    "before and after. Blue weights are positive before, vermillion ones negative.",
                    lambda numbers=numbers: trace.drawn(spec, numbers),  # type: ignore[misc]
                ),
                Picture(
                    f"Update {step}, every number",
                    "A delta is minus the gradient of the loss by the unit's sum; delta times the value at the source "
                    "is minus the gradient by the weight.",
                    lambda numbers=numbers: trace.table(spec, numbers, lr),  # type: ignore[misc]
                ),
            ]
        if len(evidence.metrics) > 3:
            found.append(curves.picture(evidence))
        passes = "\n".join(f"{name:28} {value:.1e}" for name, value in written_out(self.seed).items())
        found.append(
            Picture(
                "Backward passes written out, against autograd",
                "The largest difference of any gradient on random numbers, in double precision.",
                lambda: passes,
            )
        )
        return found

    def protocol(self, spec: dict[str, Any]) -> dict[str, Any]:
        return {"sequence": self.sequence or spec["order"], "rounding": "none"}


def errors(learner: BackpropLearner, batch: Batch, spec: dict[str, Any]) -> list[str]:
    """How the outputs of the first example of an update have moved, and how they would have by the other order."""
    model, update = learner.model, learner.trace.value
    target = batch.get("target")
    other, ahead = ("notes", learner.lr) if learner.order == "correct" else ("correct", 0.0)
    products = followed(model, batch, update["before"], ahead)[3]
    otherwise = update["before"] + learner.lr * _over_ranks(products.mean(0))
    with torch.no_grad():
        before, after, instead = (
            model.passes(batch["input"][:1], weight)[1][0, model.outputs]
            for weight in (update["before"], update["after"], otherwise)
        )
    if target is not None:
        before, after, instead = (target[0] - out for out in (before, after, instead))
    what = "output" if target is None else "error (target minus output)"
    found = [
        f"{name}: {what} {float(one):.6g} before the update, {float(two):.6g} after it; with --sequence {other} "
        f"{float(three):.6g}."
        for name, one, two, three in list(zip(spec["outputs"], before, after, instead, strict=True))[:OUTPUTS]
    ]
    if not torch.equal(otherwise, update["after"]):
        found.append(
            "The notes' order takes hidden deltas from weights that are updated already, which is no gradient; the "
            "correct one takes the old weights."
        )
    return found
