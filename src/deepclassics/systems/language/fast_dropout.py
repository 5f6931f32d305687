"""Fast dropout: logistic regression on bags of words that learns as if words were dropped by chance, drawing nothing.

Source: S. Wang, C. Manning, Fast dropout training (2013). Where every feature is kept with probability p, a score is a
sum of many independent numbers: nearly Gaussian, of known mean μ and variance s². So the expected loss needs no
drawing: E[log σ(z)] ≈ t log σ(μ/t) with t² = 1 + π s²/8 (their eq. 8, after D. MacKay, The evidence framework applied
to classification networks, 1992). Notes: S274, table T002.

The four methods differ in their objective alone: "fast" is that closed form, "gaussian" draws scores from the Gaussian,
"bernoulli" drops features, and "plain" drops none.

Departures from the paper: features that are kept are divided by p, so that a score without dropout is its mean with
it; the bias is never dropped. Adam takes all texts at once, where the authors take L-BFGS. Of more than two classes
each is parted from all others; their odds are scaled to a sum of 1. The closed form is a little above the integral: by
0.035 s where right and wrong are as likely, which pulls the weights to 0 somewhat more than drawn masks do.

Expected: MR in ten folds 79.0 % right (79.1 are published), by "gaussian" 79.2, by "bernoulli" 78.8, by "plain" with
the best `--l2` 77.4; a fold takes some four seconds (benchmarks/folds.md). The defaults were chosen on validation
texts of MR: a dropout of 0.5, 0.7 and more; and `--l2` from 1e-5 to 3e-4, of which those up to 1e-4 are as good.

Letters: B texts, N texts of all, T words of the longest, M features (words and pairs), O occurrences of all of them in
all texts, K classes, S scores: 1 for two classes, else K.
"""

import math
from typing import TYPE_CHECKING, Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from deepclassics.data import load
from deepclassics.data.streams import Batch, Data, Ragged, Stream, Whole
from deepclassics.data.words import Reading, Rule
from deepclassics.learn import Clock, Learner, Scores, Stateful, descend, mean_scores, schedule_rate
from deepclassics.loop import Plan
from deepclassics.recipe import Decay, Epochs, Picture, Published, Rate, Recipe, Share
from deepclassics.schedules import linear
from deepclassics.systems.language.nbsvm import Bag, counted, judge, scored, strongest_words, together

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from deepclassics.report.evidence import Evidence

Method = Literal["fast", "gaussian", "bernoulli", "plain"]


class Occurrences:
    """Which features occur in which text: the places of all features, text after text, and where each text begins.

    The same is held the other way round, feature after feature with the texts that it occurs in: a gradient is then a
    sum as well. torch's own would sort all places in every update, which takes ten times as long.
    """

    def __init__(self, places: Tensor, begins: Tensor, features: int) -> None:  # (O,), (N,), of int64
        self.places, self.begins = places, begins
        self.order = places.argsort(stable=True)
        lengths = torch.diff(begins, append=begins.new_tensor([len(places)]))
        self.texts = torch.arange(len(begins), device=places.device).repeat_interleave(lengths)[self.order]
        counts = places.bincount(minlength=features)
        self.starts = counts.cumsum(0) - counts

    def summed(self, weight: Tensor, share: Tensor | None = None) -> Tensor:  # (M, S), (O,) -> (N, S)
        """The sum over the features of each text of their weights, each times its `share`."""
        total: Tensor = Sum.apply(weight, self, share)
        return total


class Sum(torch.autograd.Function):
    """The product of the sparse matrix of occurrences and the weights, and of its transpose and a gradient."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, occurs: Occurrences, share: Tensor | None) -> Tensor:
        ctx.occurs, ctx.share = occurs, share
        return F.embedding_bag(occurs.places, weight, occurs.begins, mode="sum", per_sample_weights=share)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None, None]:
        occurs, share = ctx.occurs, ctx.share
        share = None if share is None else share[occurs.order]
        slope = slope.contiguous()
        return F.embedding_bag(occurs.texts, slope, occurs.starts, mode="sum", per_sample_weights=share), None, None


def moments(weight: Tensor, occurs: Occurrences, dropout: float) -> tuple[Tensor, Tensor]:  # (M, S) -> (N, S), (N, S)
    """Mean and variance of Σ wᵢ mᵢ / p, where mᵢ is 1 with probability p = 1 - dropout, else 0.

    They are exact: Σ wᵢ, and Σ wᵢ² (1 - p) / p.
    """
    mean, squares = occurs.summed(torch.cat([weight, weight.square()], 1)).chunk(2, 1)
    return mean, squares * (dropout / (1 - dropout))


def expected_loss(margin: Tensor, variance: Tensor) -> Tensor:  # any shape, the same -> the same
    """-E[log σ(z)] in nats for z Gaussian of mean `margin`: t log(1 + exp(-margin / t)), t² = 1 + π variance / 8.

    As the exact one it is convex in the weights: every minimum is the lowest.
    """
    t = (1 + math.pi / 8 * variance).sqrt()
    return t * F.softplus(-margin / t)


class Dropping(Learner):
    """Counts the features, then descends the expected loss, or one that is drawn, by Adam over all texts at once.

    What is drawn in an update depends on (seed, update) alone, so that all ranks draw the same.
    """

    def __init__(self, model: Bag, method: Method, dropout: float, l2: float, lr: float, least: int, seed: int) -> None:
        self.model: Bag = model
        self.method, self.dropout, self.l2, self.least, self.seed = method, dropout, l2, least, seed
        self.trained = [nn.Parameter(model.weight), nn.Parameter(model.bias)]
        self.optimizer = torch.optim.Adam(self.trained, lr, fused=True)
        self._occurs: Occurrences | None = None

    def step(self, batch: Batch, clock: Clock) -> Scores:
        model = self.model
        if self._occurs is None or len(self._occurs.starts) != len(model.keys):  # other weights were loaded
            self._occurs = self._counted(batch["ids"])
        # The model's buffers change their size when it is counted or loaded: what is trained is always they.
        for trained, buffer in zip(self.trained, (model.weight, model.bias), strict=True):
            trained.data = buffer
        generator = torch.Generator(model.bias.device).manual_seed(self.seed * 1_000_003 + clock.step)
        sums, variance = self._drawn(self.trained[0], self.trained[1], self._occurs, generator)
        label = batch["label"]
        positive = label[:, None] if sums.shape[1] == 1 else F.one_hot(label, sums.shape[1])
        loss = expected_loss((2 * positive - 1) * sums, variance).sum(1).mean()
        loss = loss + self.l2 / 2 * self.trained[0].square().sum()
        schedule_rate(self.optimizer, linear, clock)
        descend(self.optimizer, loss)
        return {**scored(model.shares(sums.detach()), label), "objective": loss.detach()}

    def _drawn(
        self, weight: Tensor, bias: Tensor, occurs: Occurrences, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:  # (M, S), (S,) -> (N, S), (N, S)
        """The scores of all texts by the method, and the variance that is left in them."""
        nothing = torch.zeros_like(bias)
        if self.method == "plain":
            return occurs.summed(weight) + bias, nothing
        if self.method == "bernoulli":
            chance = torch.full(occurs.places.shape, 1 - self.dropout, device=weight.device)
            return occurs.summed(
                weight, torch.bernoulli(chance, generator=generator) / (1 - self.dropout)
            ) + bias, nothing
        mean, variance = moments(weight, occurs, self.dropout)
        if self.method == "fast":
            return mean + bias, variance
        noise = torch.randn(mean.shape, generator=generator, device=mean.device)
        # The slope of a root has no end at 0, where all weights begin.
        return mean + variance.clamp_min(1e-12).sqrt() * noise + bias, nothing

    def _counted(self, ids: Ragged) -> Occurrences:
        """Of a run that goes on, the features are those that the model knows: counting gives the same ones."""
        found, keys = counted(self.model, ids, self.least)
        place, model = self.model.bias.device, self.model
        if not len(model.keys):
            model.keys = torch.from_numpy(keys).to(place)
            model.weight = torch.zeros(len(keys), len(model.bias), device=place)
        places, begins = (torch.from_numpy(each).long().to(place) for each in (found.indices, found.indptr[:-1]))
        return Occurrences(places, begins, len(keys))

    def evaluate(self, stream: Stream) -> Scores:
        return mean_scores(judge)(self.model, stream)

    def parts(self) -> dict[str, Stateful]:
        return {"model": self.model, "optimizer": self.optimizer}


class FastDropoutRecipe(Recipe):
    """Logistic regression on texts with labels, whose features are dropped in expectation."""

    takes = ("sentence",)
    gives = ("label",)
    published = tuple(
        Published(
            on=data,
            score="test/error",
            value=value,
            source=f"Wang and Manning 2013, {name} (Kim 2014, table 2)",
            protocol={"folds": 10, "optimizer": "L-BFGS"},
            when={"method": method, "grams": 2},
        )
        for method, name, values in (
            ("gaussian", "G-Dropout", (0.21, 0.066, 0.179, 0.139)),
            ("fast", "F-Dropout", (0.209, 0.064, 0.181, 0.137)),
        )
        for data, value in zip(("mr", "subj", "cr", "mpqa"), values, strict=True)
    )

    data: str = Field("docstrings", description="a named set of texts with labels, a table, or a folder of texts")
    target: str | None = Field(None, description="the column of a table that is to be learnt")
    method: Method = Field(
        "fast", description="the expected loss; scores drawn from the Gaussian; features dropped; or none of it"
    )
    dropout: float = Field(0.5, ge=0, lt=1, description="share of the words and pairs of a text left out; not by plain")
    grams: Literal[1, 2] = Field(2, description="features: 1 is words, 2 is pairs of neighbours besides")
    l2: Decay = Field(3e-5, description="weight decay: of half the sum of squared weights in the loss")
    lr: Rate = 0.1
    epochs: Epochs = 100
    rule: Rule = Field("auto", description="how texts are cut into words")
    lower: bool = Field(True, description="read capital letters as small ones")
    vocabulary: int = Field(1_000_000, ge=1, description="so many commonest words are known")
    least: int = Field(1, ge=1, description="words that come less often, and pairs in fewer texts, are left out")
    longest: int = Field(5_000, ge=1, description="words of a text: what comes after is cut off")
    fold: int | None = Field(None, ge=0, le=9, description="of ten, the one to judge by; none: a share by chance")
    valid: Share = Field(0.0, description="share of the training texts to choose by")
    test: Share = Field(0.2, description="share of the texts to judge by, where the set has no test part")

    def load(self) -> Data:
        found = load(
            self.data,
            self.takes,
            seed=self.seed,
            valid=self.valid,
            test=self.test,
            target=self.target,
            reading=Reading(self.rule, self.lower, self.vocabulary, self.least, self.longest, self.fold),
        )
        return found.streams(Whole(found.train))

    def model(self, spec: dict[str, Any]) -> Bag:
        return Bag(len(spec["vocabulary"]), len(spec["target"]["classes"]), self.grams)

    def learner(self, model: nn.Module) -> Dropping:
        assert isinstance(model, Bag)
        return Dropping(model, self.method, self.dropout, self.l2, self.lr, self.least, self.seed)

    def plan(self, data: Data) -> Plan:
        return Plan.passes(self.epochs, data.train)

    def answer(self, model: nn.Module, question: Batch, options: Any) -> Batch:
        assert isinstance(model, Bag)
        probability = model.probability(question["ids"])
        return {"label": probability.argmax(1), "probability": probability}

    def conclude(self, learner: Learner, data: Data) -> tuple[dict[str, float], list[str]]:
        assert isinstance(learner.model, Bag)
        return {}, [learner.model.told()]

    def protocol(self, spec: dict[str, Any]) -> dict[str, Any]:
        return {"words": "all" if self.least == 1 else f"of {self.least} texts or more", "optimizer": "Adam"}

    def pictures(self, evidence: "Evidence") -> list[Picture]:
        from deepclassics.report import confusion, contribution, curves

        dropped = self.dropout if self.method != "plain" else 0.0
        noisy = [steadiness(evidence, dropped), bell(evidence, dropped)] if dropped else []
        return [
            curves.picture(evidence),
            confusion.picture(evidence),
            *noisy,
            strongest_words(evidence),
            contribution.picture(evidence),
        ]


def leads(model: Bag, ids: Ragged, dropout: float) -> tuple[Tensor, Tensor]:  # (N, T) -> (N,), (N,)
    """How far the score of the class given is ahead of the next one's, and the deviation of that under dropout."""
    ahead, spread = torch.empty(len(ids)), torch.empty(len(ids))
    for places, some in together(ids):
        added = model.added(some)
        scores = added.sum(1) + model.bias
        if model.classes == 2:
            scores, added = F.pad(scores, (1, 0)), F.pad(added, (1, 0))  # log odds: the first class has 0
        best = scores.topk(2).indices
        ahead[places] = -scores.gather(1, best).diff(dim=1)[:, 0]
        apart = added.gather(2, best[:, None].expand(-1, added.shape[1], -1)).diff(dim=2)[..., 0]
        spread[places] = (apart.square().sum(1) * (dropout / (1 - dropout))).sqrt()
    return ahead, spread


def steadiness(evidence: "Evidence", dropout: float) -> Picture:
    """How often the class of a text changes under dropout, and how often it is wrong."""

    def draw() -> "Figure":
        answer, right = evidence.answers("test")
        assert isinstance(evidence.model, Bag)
        ahead, spread = leads(evidence.model, right["ids"], dropout)
        return steady(ahead, spread, answer["label"] != right["label"])

    return Picture(
        "Steady answers and wrong ones",
        f"Left: each test text by how far the score of its class is ahead of the next one's, and by the deviation of "
        f"that lead where {dropout:.0%} of the features are left out. On the line the lead is one deviation: one mask "
        f"in six changes the class. Right: the texts in tenths by the share of masks that change their class, as the "
        f"Gaussian has it; the share that is wrong, with the 95 % interval (Wilson 1927). On the diagonal the class of "
        f"a text is wrong as often as dropout would change it.",
        draw,
    )


def steady(ahead: Tensor, spread: Tensor, wrong: Tensor) -> "Figure":  # (N,), (N,), (N,) of bool
    """Leads against their deviations, and shares of changes against shares of errors."""
    from deepclassics.metrics import wilson
    from deepclassics.progress import many
    from deepclassics.report.style import BLUE, FAINT, VERMILLION, grid, percent, sheet

    figure = sheet(8.6, 4.0)
    left, other = figure.subplots(1, 2)
    for mask, colour, name in ((~wrong, BLUE, "right"), (wrong, VERMILLION, "wrong")):
        left.scatter(spread[mask], ahead[mask], s=5, color=colour, alpha=0.5, linewidths=0,
                     label=f"{name}, {int(mask.sum()):,}")  # fmt: skip
    most = float(spread.max())
    left.plot([0, most], [0, most], color=FAINT, linewidth=1, linestyle=(0, (4, 3)))
    left.set_xlabel("deviation of the lead under dropout")
    left.set_ylabel("lead of the class given")
    left.set_title(many(len(wrong), "text"))
    left.legend(markerscale=3)
    change = torch.special.ndtr(-ahead / spread.clamp_min(1e-9))
    tenths = [tenth for tenth in change.argsort(stable=True).tensor_split(10) if len(tenth)]
    x = torch.stack([change[tenth].mean() for tenth in tenths])
    y = torch.stack([wrong[tenth].double().mean() for tenth in tenths])
    low, high = wilson(y, torch.tensor([len(tenth) for tenth in tenths]))
    other.plot([0, 0.5], [0, 0.5], color=FAINT, linewidth=1, linestyle=(0, (4, 3)))
    other.errorbar(x.numpy(), y.numpy(), yerr=[(y - low).numpy(), (high - y).numpy()], color=BLUE, fmt="o",
                   markersize=5, elinewidth=0.9, capsize=2)  # fmt: skip
    other.set_xlabel("share of masks that change the class")
    other.set_ylabel("share of texts whose class is wrong")
    other.set_title(f"changed {percent(float(change.mean()))}, wrong {percent(float(wrong.double().mean()))}")
    grid(other)
    return figure


MASKS, TOGETHER = 20_000, 500  # drawn for a picture, and at once


def bell(evidence: "Evidence", dropout: float) -> Picture:
    """Whether the score of a text is Gaussian under dropout, as is assumed."""

    def draw() -> "Figure":
        right = evidence.answers("test")[1]
        assert isinstance(evidence.model, Bag)
        model, classes = evidence.model, evidence.spec["target"]["classes"]
        order = right["ids"].lengths.argsort(stable=True)
        shown = []
        for share in (0.02, 0.5, 0.98):
            ids = right["ids"][order[int(share * (len(order) - 1))][None]]
            label = int(model(ids).argmax()) if model.classes > 2 else 1
            column = label if model.classes > 2 else 0
            added = model.added(ids)[0, :, column]
            shown.append((added[added != 0], float(model.bias[column]), f"score of {classes[label]}"))
        return bells(shown, dropout)

    return Picture(
        "Is a score Gaussian?",
        f"The score of a short test text, of a middling and of a long one where {dropout:.0%} of its features are left "
        f"out: {MASKS:,} drawn masks as bars, and the Gaussian of the same mean and variance as a line. The more "
        "features there are, and the more alike their weights, the nearer the two.",
        draw,
    )


def bells(texts: list[tuple[Tensor, float, str]], dropout: float) -> "Figure":  # weights of features, bias, name
    """Histograms of drawn scores under the densities that stand for them."""
    from deepclassics.progress import many
    from deepclassics.report.style import BLUE, FAINT, grid, sheet

    figure = sheet(8.6, 2.9)
    generator = torch.Generator().manual_seed(0)
    for axes, (weights, bias, name) in zip(figure.subplots(1, len(texts)), texts, strict=True):
        sums = [  # some at a time, as a long text has ten thousand features
            (torch.rand(TOGETHER, len(weights), generator=generator) >= dropout).float() @ weights
            for _ in range(MASKS // TOGETHER)
        ]
        drawn = torch.cat(sums) / (1 - dropout) + bias
        mean = float(weights.sum()) + bias
        spread = max(1e-6, float(weights.square().sum()) * dropout / (1 - dropout)) ** 0.5
        x = torch.linspace(mean - 4 * spread, mean + 4 * spread, 200)
        axes.hist(drawn.numpy(), bins=50, range=(float(x[0]), float(x[-1])), density=True, color=FAINT)
        axes.plot(x, torch.exp(-((x - mean) / spread).square() / 2) / (spread * math.tau**0.5), color=BLUE)
        axes.set_title(many(len(weights), "feature"))
        axes.set_xlabel(name)
        axes.set_yticks([])
        grid(axes)
    return figure
