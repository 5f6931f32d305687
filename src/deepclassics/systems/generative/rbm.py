"""Restricted Boltzmann machine: an energy over pixels and hidden units, learnt by sampling, without backpropagation.

Source: P. Smolensky, Information processing in dynamical systems: foundations of harmony theory (1986); G. Hinton,
Training products of experts by minimizing contrastive divergence, Neural Computation 14 (2002), for `--method cd`;
T. Tieleman, Training restricted Boltzmann machines using approximations to the likelihood gradient, ICML (2008), for
`--method pcd`; G. Hinton, A practical guide to training restricted Boltzmann machines (2010), quoted as "guide".
Notes: S243, C160, and E057: they write b for the biases of both sides; here b is of the visible units, c of the hidden.

    E(v, h) = -b·v - c·h - v·W h         p(v, h) = exp(-E(v, h)) / Z
    p(h_j = 1 | v) = σ(c_j + (v W)_j)    p(v_i = 1 | h) = σ(b_i + (W h)_i)
    F(v) = -log Σ_h exp(-E(v, h)) = -b·v - Σ_j log(1 + exp(c_j + (v W)_j))

Departures from the paper: a grey pixel is on with its value as probability, drawn anew whenever it is learnt from.
`--pixels probabilities` lets the values in as they are, as many do: on the digits, which are mostly grey, half of the
hidden units then die, and the reconstruction error doubles; `--pixels rounded` makes them black and white for good. In
the last step of the chain the hidden units count with their probabilities, which has the same mean and less noise
(guide, section 3.1); the visible units are sampled throughout (section 3.2), so that the gradient is right in the limit
of long chains. Biases start at 0, not at the log odds of the pixels (section 8.1), which was no better here. No
momentum, which was worse.

Expected: digits, a reconstruction error (mean square per pixel) of 0.011 on the test pictures in some eight seconds.
MNIST with 500 hidden units, 0.007 after five passes in a quarter of a minute, where scikit-learn's BernoulliRBM has
0.014: `--data mnist --hidden 500 --batch 100 --epochs 5 --schedule constant`; benchmarks/rbm.py compares the two. With
`--hidden 16`, or fewer, the exact log-likelihood is a score.

Letters: B pictures a batch, V visible units, one for each pixel and channel, H hidden units.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn
from torch.optim import Optimizer

from deepclassics.data import load
from deepclassics.data.streams import Batch, Data, Stream
from deepclassics.flags import Knobs
from deepclassics.learn import Box, Clock, Learner, Scores, Stateful, apply, optimizer, schedule_rate, untraced
from deepclassics.loop import Plan
from deepclassics.recipe import BatchSize, Course, Decay, Epochs, Picture, Published, Rate, Recipe, Share
from deepclassics.schedules import NAMED, Schedule

ENUMERABLE = 16  # units of one side whose 2^16 states can be summed over in a second


Pixels = Literal["sampled", "probabilities", "rounded"]


class RBM(nn.Module):
    """Bernoulli units on both sides. `shape` is that of a picture, `pixels` how its greys become states."""

    def __init__(self, shape: Sequence[int], hidden: int, pixels: Pixels = "sampled") -> None:
        super().__init__()
        self.shape = tuple(shape)
        self.pixels = pixels
        visible = math.prod(shape)
        self.weight = nn.Parameter(0.01 * torch.randn(visible, hidden))  # guide, section 8.1
        self.visible_bias = nn.Parameter(torch.zeros(visible))
        self.hidden_bias = nn.Parameter(torch.zeros(hidden))

    def visible(self, image: Tensor) -> Tensor:  # (B, ...) pixels in [0, 1] -> (B, V)
        """A picture as the means of its visible units."""
        flat = image.flatten(1)
        return flat.round() if self.pixels == "rounded" else flat

    def states(self, image: Tensor) -> Tensor:  # (B, ...) pixels in [0, 1] -> (B, V)
        """A picture as states of its visible units; where `pixels` are probabilities, as these."""
        visible = self.visible(image)
        return sample(visible) if self.pixels == "sampled" else visible

    def image(self, visible: Tensor) -> Tensor:  # (B, V) -> (B, ...)
        return visible.unflatten(1, self.shape)

    def hidden_given(self, visible: Tensor) -> Tensor:  # (B, V) -> (B, H) probabilities of being on
        return torch.addmm(self.hidden_bias, visible, self.weight).sigmoid_()

    def visible_given(self, hidden: Tensor) -> Tensor:  # (B, H) -> (B, V) probabilities of being on
        return torch.addmm(self.visible_bias, hidden, self.weight.T).sigmoid_()

    def forward(self, image: Tensor) -> Tensor:  # (B, ...) pixels in [0, 1] -> the same
        """The reconstruction by mean fields: p(v | h) with h at its probabilities given the picture."""
        return self.image(self.visible_given(self.hidden_given(self.visible(image))))

    def gibbs(self, visible: Tensor, steps: int) -> Tensor:  # (B, V) states -> (B, V) probabilities
        """The probabilities from which a chain draws its visible units at the end of `steps` steps, 1 or more."""
        probability = self.visible_given(sample(self.hidden_given(visible)))
        for _ in range(steps - 1):
            probability = self.visible_given(sample(self.hidden_given(sample(probability))))
        return probability

    def energy(self, visible: Tensor, hidden: Tensor) -> Tensor:  # (B, V), (B, H) -> (B,) nats
        return -(visible @ self.visible_bias) - hidden @ self.hidden_bias - (visible @ self.weight * hidden).sum(1)

    def free_energy(self, visible: Tensor) -> Tensor:  # (B, V) -> (B,) nats
        """-log of the sum of exp(-E) over all hidden states: -log p(v) - log Z."""
        return -(visible @ self.visible_bias) - F.softplus(visible @ self.weight + self.hidden_bias).sum(1)

    def pseudo_likelihood(self, visible: Tensor) -> Tensor:  # (B, V) -> (B,) nats, at most 0
        """The sum over the pixels of log p(pixel | all others), estimated from one random pixel of each picture.

        log p(v_i | others) = log σ(F(v with v_i flipped) - F(v)). Pixels are rounded first: others have no flip.
        """
        states = visible.round()
        chosen = torch.randint(states.shape[1], (len(states), 1), device=states.device)
        flipped = states.scatter(1, chosen, 1 - states.gather(1, chosen))
        return states.shape[1] * F.logsigmoid(self.free_energy(flipped) - self.free_energy(states))

    def log_partition(self) -> Tensor:  # -> () nats, float64
        """log Z by enumeration of the smaller side, which must have 16 units or fewer."""
        weight, visible, hidden = (p.double() for p in (self.weight, self.visible_bias, self.hidden_bias))
        if len(hidden) > len(visible):
            weight, visible, hidden = weight.T, hidden, visible
        sums = [
            torch.logsumexp(states @ hidden + F.softplus(states @ weight.T + visible).sum(1), 0)
            for states in all_states(len(hidden), weight)
        ]
        return torch.logsumexp(torch.stack(sums), 0)

    @property
    def enumerable(self) -> bool:
        """Whether `log_partition` can be had."""
        return min(self.weight.shape) <= ENUMERABLE


def sample(probability: Tensor) -> Tensor:  # any shape -> the same, of 0 and 1
    """Each unit on with its probability. Uniform numbers compared in place take a third of torch.bernoulli's time."""
    fine = torch.promote_types(probability.dtype, torch.float32)  # of bfloat16 there are but 256 uniform numbers
    return torch.rand_like(probability, dtype=fine).lt_(probability)


def all_states(units: int, like: Tensor) -> Iterator[Tensor]:  # -> (at most 4096, units) of 0 and 1
    """All 2^units states of so many units, in pieces that fit in a cache."""
    assert units <= ENUMERABLE, f"2^{units} states are too many"
    places = torch.arange(units, device=like.device)
    for numbers in torch.arange(2**units, device=like.device).split(4096):
        yield (numbers[:, None] >> places & 1).to(like.dtype)


class ContrastiveDivergence(Learner):
    """Climbs <v h> of the data less <v h> of a Gibbs chain of `k` steps. No gradient is propagated: `.grad` is filled.

    "cd" starts the chain at the data of the batch; "pcd" goes on where the chain of the last update ended, as many
    chains as the batch has examples.
    """

    model: RBM

    def __init__(
        self, model: RBM, optimizer: Optimizer, method: Literal["cd", "pcd"], k: int, schedule: Schedule
    ) -> None:
        self.model = model
        self.optimizer = optimizer
        self.method, self.k, self.schedule = method, k, schedule
        # (B, H): the probabilities of the hidden units at the end of the persistent chains
        self.chains = Box(local=True)

    @torch.no_grad()
    def step(self, batch: Batch, clock: Clock) -> Scores:
        schedule_rate(self.optimizer, self.schedule, clock)
        model = self.model
        data = model.states(batch["image"])
        given = model.hidden_given(data)
        rebuilt = probability = model.visible_given(sample(given))  # the first step of a chain from the data
        if self.method == "pcd" and self.chains.value is not None:
            probability = model.visible_given(sample(self.chains.value))
        for _ in range(self.k - 1):
            probability = model.visible_given(sample(model.hidden_given(sample(probability))))
        visible = sample(probability)
        hidden = model.hidden_given(visible)
        if self.method == "pcd":
            self.chains.value = hidden
        # Both products at once: <v h> of the chain less <v h> of the data, the gradient of -log p(v).
        pairs = torch.cat([hidden, -given]) / len(data)
        model.weight.grad = (torch.cat([visible, data]).T @ pairs).to(model.weight.dtype)
        model.visible_bias.grad = (visible - data).mean(0)
        model.hidden_bias.grad = pairs.sum(0).to(model.hidden_bias.dtype)
        apply(self.optimizer)
        return {"reconstruction": F.mse_loss(rebuilt.to(data.dtype), model.visible(batch["image"]))}

    def evaluate(self, stream: Stream) -> Scores:
        """Means over the pictures: the squared error per pixel of the mean-field reconstruction, the pseudo-likelihood
        and free energy in nats, and the log-likelihood where it can be had."""
        sums: dict[str, Any] = {}
        count = 0
        for batch in stream:
            visible, states = self.model.visible(batch["image"]), self.model.states(batch["image"])
            rebuilt = self.model(batch["image"]).flatten(1)
            scores = {
                "reconstruction": (rebuilt - visible).square().mean(1),
                "pseudo_likelihood": self.model.pseudo_likelihood(states),
                "free_energy": self.model.free_energy(states),
            }
            sums = {name: sums.get(name, 0) + values.double().sum() for name, values in scores.items()}
            count += len(states)
        means = {name: total / count for name, total in sums.items()}
        if self.model.enumerable:
            means["log_likelihood"] = -means["free_energy"] - self.model.log_partition()
        return means

    def parts(self) -> dict[str, Stateful]:
        return {"model": self.model, "optimizer": self.optimizer, "chains": self.chains}

    def snapshot(self) -> dict[str, Tensor]:
        """What the machine imagines: 14 chains of 50 steps from even noise, the same at every look."""
        weight = self.model.weight
        noise = torch.rand(14, len(weight), device=weight.device).round()
        return {"imagined": self.model.image(self.model.gibbs(noise, 50))}


class Chain(Knobs):
    """What predict can be told."""

    steps: int = Field(0, ge=0, le=100_000, description="Gibbs steps from the picture; 0 reconstructs by mean fields")


class RBMRecipe(Recipe):
    """A restricted Boltzmann machine on pictures."""

    takes = ("image",)
    gives = ("image",)
    options = Chain
    published = (
        Published(
            on="mnist",
            score="test/pseudo_likelihood",
            value=-62.76,
            source="Theano deep learning tutorial, restricted Boltzmann machines, after 15 epochs",
            protocol={
                "hidden": 500,
                "method": "pcd",
                "k": 15,
                "epochs": 15,
                "batch": 20,
                "lr": 0.1,
                "pixels": "probabilities",
                "schedule": "constant",
                "training examples": 50000,
                "pictures judged": "those learnt from, during the last epoch",
            },
        ),
    )

    data: str = Field("digits", description="a named set of pictures, or a folder with a folder for each class")
    hidden: int = Field(128, ge=1, description="hidden units; with 16 or fewer the log-likelihood is exact")
    method: Literal["cd", "pcd"] = Field("cd", description="chains from the data, or persistent ones")
    k: int = Field(1, ge=1, description="Gibbs steps per update")
    pixels: Pixels = Field("sampled", description="grey is a probability to draw from, or to take as it is, or rounded")
    epochs: Epochs = 200
    batch: BatchSize = 10
    lr: Rate = 0.1
    schedule: Course = "linear"
    l2: Decay = Field(0.0, description="weight decay")
    valid: Share = Field(0.1, description="share of the training pictures to look at during the run")
    test: Share = Field(0.2, description="share of the pictures to judge by, where the set has no test part")
    skip_bad: bool = Field(False, description="leave pictures out that cannot be read, and count them")

    def load(self) -> Data:
        found = load(self.data, self.takes, seed=self.seed, valid=self.valid, test=self.test, skip_bad=self.skip_bad)
        return found.shuffled(self.batch, self.seed)

    def model(self, spec: dict[str, Any]) -> RBM:
        return RBM(spec["shape"], self.hidden, self.pixels)

    def learner(self, model: nn.Module) -> ContrastiveDivergence:
        assert isinstance(model, RBM)
        rule = optimizer("sgd", model, self.lr, l2=self.l2)
        return ContrastiveDivergence(model, rule, self.method, self.k, NAMED[self.schedule])

    def plan(self, data: Data) -> Plan:
        return Plan.passes(self.epochs, data.train, looks=10)

    def answer(self, model: nn.Module, question: Batch, options: Chain) -> Batch:
        """The picture rebuilt, {"image": (B, C, H, W)}, and the free energy of the given one, (B,) in nats."""
        assert isinstance(model, RBM)
        states = model.states(question["image"])
        rebuilt = model.image(model.gibbs(states, options.steps)) if options.steps else model(question["image"])
        return {"image": rebuilt, "free_energy": model.free_energy(states)}

    def protocol(self, spec: dict[str, Any]) -> dict[str, Any]:
        return {"pictures judged": "the test pictures"}

    def pictures(self, evidence: Any) -> list[Picture]:
        from deepclassics.report import curves, tiles

        model = evidence.model
        channels, height, width = evidence.spec["shape"]

        def fields() -> Any:
            weight = model.weight.detach()
            strongest = weight.norm(dim=0).argsort(descending=True)[:112]
            # Of a colour picture the mean over its channels.
            images = weight.T[strongest].view(-1, channels, height, width).mean(1, keepdim=True)
            return tiles.tiles(images, columns=14, scale="each")

        def rebuilt() -> Any:
            answers, columns = evidence.answers("test" if evidence.splits().test is not None else "train")
            chosen = tiles.spread(len(columns), 14)
            images = columns.take(torch.tensor(chosen))["image"]
            found = answers["image"][chosen]
            return tiles.tiles(torch.stack([images, found]), rows=["picture", "rebuilt"])

        def chains() -> Any:
            with untraced(model):
                return after_steps()

        def after_steps() -> Any:
            columns = evidence.splits().test or evidence.splits().train
            begun = columns.take(torch.tensor(tiles.spread(len(columns), 14)))["image"]
            rows, names, done = [begun], ["pictures"], 0
            probability = model.visible(begun)
            for steps in (1, 10, 100, 1000):
                probability = model.gibbs(sample(probability), steps - done)
                rows.append(model.image(probability))
                names.append(f"{steps:,} step{'s' if steps > 1 else ''}")
                done = steps
            return tiles.tiles(torch.stack(rows), rows=names)

        def imagined() -> Any:
            chosen = [evidence.snapshots[place] for place in tiles.spread(len(evidence.snapshots), 6)]
            images = torch.stack([tensors["imagined"] for _, tensors in chosen])
            return tiles.tiles(images, rows=[f"update {step:,}" for step, _ in chosen])

        return [
            Picture(
                "Receptive fields",
                "The weights of the hidden units to the pixels, the strongest units first; orange turns a unit on "
                "where the pixel is on, blue turns it off, and each field has its own scale.",
                fields,
            ),
            Picture(
                "Pictures and what is rebuilt of them",
                "Each picture goes to the probabilities of the hidden units, and back to those of the pixels.",
                rebuilt,
            ),
            Picture(
                "Gibbs chains",
                "Chains that start at pictures, after so many steps: what they forget, the machine does not know; "
                "where they stay is what it takes for likely. Shown are the probabilities of the pixels.",
                chains,
            ),
            Picture(
                "What the machine imagines, over time",
                "Chains of 50 steps from even noise, the same noise at every look.",
                imagined,
            ),
            curves.picture(evidence),
        ]
