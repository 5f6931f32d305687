"""GAN: a generator that makes pictures from noise, learnt against a discriminator that tells them from real ones.

Source: I. Goodfellow, J. Pouget-Abadie, M. Mirza, B. Xu, D. Warde-Farley, S. Ozair, A. Courville, Y. Bengio,
Generative adversarial nets, NIPS 2014: equation 1 (the value of the game), algorithm 1 (the order of updates), section
3 (the non-saturating loss). Notes: S247-S249, S321, C036, C037, and E006: they call the two losses of the generator
equivalent; they share the fixed point, but not the gradient.

Departures from the paper:
- Batch norm in the generator (Radford et al. 2016). With `--no-batch-norm` it draws a few kinds of digits only for the
  first thousands of updates; on MNIST it was still drawing one kind after 12,000.
- One-sided label smoothing and Adam with a first moment of 0.5 (Salimans et al. 2016, section 3.4; Radford et al.
  2016) in place of momentum; leaky rectifiers in place of maxout.
- Pictures are drawn with a running average of the generator's weights (Yazıcı et al. 2019), which halves the Fréchet
  distance and more; `--average 0` draws with the generator itself.
- The generator's update judges the same drawn pictures as the discriminator's just before it, by the discriminator as
  it is after its update; the paper draws others.

Expected: digits, ten kinds of digits in the shares of the data in about half a minute; MNIST, `--data mnist`, in about
a minute. benchmarks/judge_gan.py has a LeNet-5 judge the drawn pictures; benchmarks/results.md has the figures.

`deepclassics predict RUN WORD...` draws a new picture for each word: the noise is made from the word, a number or any
other, so a word always draws the same picture. `deepclassics predict RUN $(seq 16)` draws sixteen.

Letters: B pictures a batch, Z numbers of noise, C channels, H by W pixels.
"""

import copy
import itertools
import zlib
from collections.abc import Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from deepclassics import metrics
from deepclassics.data import load
from deepclassics.data.streams import Batch, Data, Stream
from deepclassics.learn import Clock, Learner, Scores, Stateful, apply, descend
from deepclassics.learn import optimizer as make_optimizer
from deepclassics.loop import Plan
from deepclassics.recipe import Picture, Published, Rate, Recipe, Share

LOOKS = 12


class Generator(nn.Module):
    """Noise through rectified layers to pixels: the decoder half of an autoencoder (S321)."""

    def __init__(self, noise: int, hidden: int, layers: int, shape: Sequence[int], batch_norm: bool) -> None:
        super().__init__()
        self.noise = noise
        sizes = [noise] + [hidden] * layers
        body: list[nn.Module] = []
        for inputs, outputs in itertools.pairwise(sizes):
            body += [nn.Linear(inputs, outputs), *([nn.BatchNorm1d(outputs)] if batch_norm else []), nn.ReLU()]
        pixels = shape[0] * shape[1] * shape[2]
        self.body = nn.Sequential(*body, nn.Linear(sizes[-1], pixels), nn.Sigmoid(), nn.Unflatten(1, tuple(shape)))

    def forward(self, noise: Tensor) -> Tensor:  # (B, Z) from a unit Gaussian -> (B, C, H, W) of pixels in [0, 1]
        return self.body(noise)


class Discriminator(nn.Module):
    """Pixels through leaky layers with dropout to one number: the logit of being real."""

    def __init__(self, hidden: int, layers: int, shape: Sequence[int], dropout: float) -> None:
        super().__init__()
        sizes = [shape[0] * shape[1] * shape[2]] + [hidden] * layers
        body: list[nn.Module] = [nn.Flatten()]
        for inputs, outputs in itertools.pairwise(sizes):
            body += [nn.Linear(inputs, outputs), nn.LeakyReLU(0.2), nn.Dropout(dropout)]
        self.body = nn.Sequential(*body, nn.Linear(sizes[-1], 1), nn.Flatten(0))

    def forward(self, image: Tensor) -> Tensor:  # (B, C, H, W) of pixels in [0, 1] -> (B,) logits
        return self.body(2 * image - 1)


class Adversaries(nn.Module):
    """Both nets, and `average`: the generator with its weights averaged over the updates, which draws."""

    def __init__(self, generator: Generator, discriminator: Discriminator) -> None:
        super().__init__()
        self.generator = generator
        self.discriminator = discriminator
        self.average = copy.deepcopy(generator).requires_grad_(False)

    def forward(self, noise: Tensor) -> Tensor:  # (B, Z) from a unit Gaussian -> (B, C, H, W) of pixels in [0, 1]
        return self.average(noise)


def value(real: Tensor, fake: Tensor) -> Tensor:  # (B,) logits of real pictures, (B,) of drawn ones -> () nats
    """V(G, D) = E log D(x) + E log(1 - D(G(z))) (equation 1); -log 4 where neither can do better."""
    return F.logsigmoid(real).mean() + F.logsigmoid(-fake).mean()


def discriminator_loss(real: Tensor, fake: Tensor, smoothing: float) -> Tensor:  # (B,), (B,) logits -> () nats
    """Cross-entropy with targets of 1 - `smoothing` for real pictures and 0 for drawn ones; -V without smoothing.

    -(1 - s) log D - s log(1 - D) = -log D + s a, where a is the logit of D.
    """
    return -value(real, fake) + smoothing * real.mean()


def generator_loss(fake: Tensor, loss: Literal["minimax", "nonsaturating"]) -> Tensor:  # (B,) logits -> () nats
    """What the generator descends: log(1 - D), the part of V that it moves, or -log D.

    Towards a = -inf, where the discriminator is sure, d log(1 - D) / da = -D vanishes and d(-log D) / da = D - 1 does
    not (section 3; S248).
    """
    return F.logsigmoid(-fake).mean() if loss == "minimax" else -F.logsigmoid(fake).mean()


class Adversarial(Learner):
    """Two optimizers: the discriminator climbs V, then the generator is judged by the new discriminator.

    `average` is the weight of the past in the running average of the generator.
    """

    model: Adversaries

    def __init__(
        self,
        model: Adversaries,
        loss: Literal["minimax", "nonsaturating"],
        smoothing: float,
        lr: float,
        betas: tuple[float, float],
        average: float,
    ) -> None:
        self.model = model
        self.loss, self.smoothing, self.average = loss, smoothing, average
        self.generator_optimizer = make_optimizer("adam", model.generator, lr, betas=betas)
        self.discriminator_optimizer = make_optimizer("adam", model.discriminator, lr, betas=betas)

    def step(self, batch: Batch, clock: Clock) -> Scores:
        generator, discriminator = self.model.generator, self.model.discriminator
        image = batch["image"]
        drawn = generator(torch.randn(len(image), generator.noise, device=image.device))
        real, fake = discriminator(torch.cat([image, drawn.detach()])).chunk(2)
        loss = discriminator_loss(real, fake, self.smoothing)
        descend(self.discriminator_optimizer, loss)

        tricked = generator_loss(discriminator(drawn), self.loss)
        self.generator_optimizer.zero_grad()
        # Only for the generator: gradients of the discriminator's weights would be work for nothing.
        tricked.backward(inputs=list(generator.parameters()))
        apply(self.generator_optimizer)
        self._average(clock)
        with torch.no_grad():
            return {
                "discriminator_loss": loss.detach(),
                "generator_loss": tricked.detach(),
                "value": value(real, fake),
                "real": real.sigmoid().mean(),
                "fake": fake.sigmoid().mean(),
            }

    @torch.no_grad()
    def _average(self, clock: Clock) -> None:
        # At first the past weighs less: it knows nothing yet.
        past = min(self.average, (1 + clock.step) / (10 + clock.step))
        now, kept = self.model.generator, self.model.average
        for new, old in zip([*now.parameters(), *now.buffers()], [*kept.parameters(), *kept.buffers()], strict=True):
            if old.is_floating_point():  # not the count of batches that batch norm keeps
                old.lerp_(new, 1 - past)

    def evaluate(self, stream: Stream) -> Scores:
        """The Fréchet distance of drawn pictures from real ones, as thumbnails, and the means of D on both."""
        images, reals, fakes, drawn = [], [], [], []
        for batch in stream:
            image = batch["image"]
            picture = self.model(torch.randn(len(image), self.model.generator.noise, device=image.device))
            reals.append(self.model.discriminator(image))
            fakes.append(self.model.discriminator(picture))
            images.append(thumbnails(image))
            drawn.append(thumbnails(picture))
        distance = metrics.frechet_distance(*metrics.moments(torch.cat(images)), *metrics.moments(torch.cat(drawn)))
        real, fake = torch.cat(reals), torch.cat(fakes)
        return {
            "frechet": distance,
            "value": value(real, fake),
            "real": real.sigmoid().mean(),
            "fake": fake.sigmoid().mean(),
        }

    def parts(self) -> dict[str, Stateful]:
        return {
            "model": self.model,
            "generator_optimizer": self.generator_optimizer,
            "discriminator_optimizer": self.discriminator_optimizer,
        }

    def snapshot(self) -> dict[str, Tensor]:
        """64 pictures of the same noise at every look."""
        place = next(self.model.parameters()).device
        return {"samples": self.model(fixed_noise(64, self.model.generator.noise).to(place))}


def thumbnails(image: Tensor) -> Tensor:  # (B, C, H, W) -> (B, D) with D at most 256 C
    """Pictures of at most 16 by 16 pixels: their covariance is quick to make, and to take the root of."""
    size = (min(16, image.shape[-2]), min(16, image.shape[-1]))
    return F.adaptive_avg_pool2d(image, size).flatten(1)


def fixed_noise(count: int, noise: int, seed: int = 0) -> Tensor:  # -> (count, Z)
    """Noise made from the seed alone, on the CPU, so that it is the same on every machine."""
    return torch.randn(count, noise, generator=torch.Generator().manual_seed(seed))


def interpolate(start: Tensor, end: Tensor, count: int) -> Tensor:  # (Z,), (Z,) -> (count, Z)
    """(1 - t) start + t end for t from 0 to 1 (S249). The ends are exact."""
    t = torch.linspace(0, 1, count)[:, None]
    return (1 - t) * start + t * end


class GANRecipe(Recipe):
    """A GAN of two multilayer perceptrons on pictures."""

    takes = ("image",)
    gives = ("image",)
    asked = "word"
    published = (
        Published(
            on="mnist",
            score="parzen_log_likelihood",
            value=225.0,
            source="Goodfellow et al. 2014, table 1, ± 2; Theis et al. 2016 show that it tells little about pictures",
            protocol={"measure": "Parzen windows of sampled pictures"},
        ),
    )

    data: str = Field("digits", description="a named set of pictures, or a folder with a folder for each class")
    loss: Literal["minimax", "nonsaturating"] = Field(
        "nonsaturating", description="the generator descends log(1 - D), or -log D, which does not fade"
    )
    noise: int = Field(64, ge=1, description="numbers of Gaussian noise that a picture is made from")
    hidden: int = Field(256, ge=1, description="units of each hidden layer of both nets")
    layers: int = Field(3, ge=1, le=16, description="hidden layers of both nets")
    batch_norm: bool = Field(True, description="batch norm in the generator, against drawing one picture only")
    dropout: float = Field(0.3, ge=0, lt=1, description="share of the discriminator's units left out")
    smoothing: float = Field(0.1, ge=0, lt=0.5, description="taken off the target 1 of real pictures")
    average: float = Field(0.999, ge=0, lt=1, description="weight of the past in the average generator that draws")
    updates: int = Field(6000, ge=1, description="updates of both nets")
    batch: int = Field(32, ge=2, description="real pictures per update, and as many drawn ones, over all ranks")
    lr: Rate = 5e-4
    beta: float = Field(0.5, ge=0, lt=1, description="decay of Adam's first moment")
    valid: Share = Field(0.1, description="share of the training pictures to look at during the run")
    test: Share = Field(0.2, description="share of the pictures to judge by, where the set has no test part")
    skip_bad: bool = Field(False, description="leave pictures out that cannot be read, and count them")

    def load(self) -> Data:
        found = load(self.data, self.takes, seed=self.seed, valid=self.valid, test=self.test, skip_bad=self.skip_bad)
        return found.shuffled(self.batch, self.seed)

    def model(self, spec: dict[str, Any]) -> Adversaries:
        return Adversaries(
            Generator(self.noise, self.hidden, self.layers, spec["shape"], self.batch_norm),
            Discriminator(self.hidden, self.layers, spec["shape"], self.dropout),
        )

    def learner(self, model: nn.Module) -> Adversarial:
        assert isinstance(model, Adversaries)
        return Adversarial(model, self.loss, self.smoothing, self.lr, (self.beta, 0.999), self.average)

    def plan(self, data: Data) -> Plan:
        return Plan(self.updates, max(1, self.updates // LOOKS))

    def answer(self, model: nn.Module, question: Batch, options: Any) -> Batch:
        """A picture for each word: {"image": (B, C, H, W)}."""
        seeds = [int(word) if word.isdecimal() else zlib.crc32(word.encode()) for word in question["text"]]
        noise = torch.cat([fixed_noise(1, self.noise, seed % 2**63) for seed in seeds])
        return {"image": model(noise.to(next(model.parameters()).device))}

    def pictures(self, evidence: Any) -> list[Picture]:
        from deepclassics.report import curves, histogram, tiles

        model = evidence.model

        def over_time() -> Any:
            chosen = [evidence.snapshots[place] for place in tiles.spread(len(evidence.snapshots), 7)]
            images = torch.stack([tensors["samples"][:14] for _, tensors in chosen])
            return tiles.tiles(images, rows=[f"update {step:,}" for step, _ in chosen])

        def drawn() -> Any:
            return tiles.tiles(draw(fixed_noise(112, self.noise, seed=1)), columns=14)

        def between() -> Any:
            ends = fixed_noise(12, self.noise, seed=2)
            paths = [interpolate(start, end, 11) for start, end in zip(ends[::2], ends[1::2], strict=True)]
            heads = [f"{t:.2g}" for t in torch.linspace(0, 1, 11).tolist()]
            return tiles.tiles(torch.stack([draw(path) for path in paths]), heads=heads)

        def nearest() -> Any:
            images = draw(fixed_noise(14, self.noise, seed=1))
            train = evidence.splits().train.take(slice(None))["image"]
            found = train[torch.cdist(images.flatten(1), train.flatten(1)).argmin(1)]
            return tiles.tiles(torch.stack([images, found]), rows=["drawn", "nearest real"])

        def judged() -> Any:
            splits = evidence.splits()
            columns = splits.test or splits.valid or splits.train
            with torch.no_grad():
                fake = model.discriminator(draw(fixed_noise(len(columns), self.noise, seed=3))).sigmoid()
                seen = model.discriminator(splits.train.take(slice(len(columns)))["image"]).sigmoid()
                unseen = model.discriminator(columns.take(slice(None))["image"]).sigmoid()
            values = {"real, learnt from": seen, "real, held back": unseen, "drawn": fake}
            return histogram.histogram(values, "D: probability of being real", (0.0, 1.0))

        @torch.no_grad()
        def draw(noise: Tensor) -> Tensor:  # (B, Z) -> (B, C, H, W)
            return model(noise)

        return [
            Picture(
                "Drawn pictures",
                "Each from its own noise, none chosen, by the generator with its weights averaged over the updates.",
                drawn,
            ),
            Picture(
                "Drawn pictures over time",
                "A column is the same noise throughout. Columns that all show the same picture are a collapse: the "
                "generator has found one picture that passes.",
                over_time,
            ),
            Picture(
                "Between two noises",
                "From the picture of one noise, on the left, to that of another, along the straight line between them.",
                between,
            ),
            Picture(
                "Drawn pictures and the nearest real ones",
                "Below each drawn picture the training picture nearest to it in pixels. Were they the same, the "
                "generator would have learnt by heart.",
                nearest,
            ),
            Picture(
                "What the discriminator says",
                "Its probability that a picture is real. If it cannot tell, all of them lie at one half; with label "
                f"smoothing it aims at {1 - self.smoothing:g} for real ones. Pictures learnt from that lie far above "
                "those held back are overfitting.",
                judged,
            ),
            curves.picture(evidence),
        ]
