"""K-means: K centres, each the mean of the examples that are nearer to it than to any other.

Source: S. Lloyd, Least squares quantization in PCM (1957, printed 1982); J. MacQueen, Some methods for classification
and analysis of multivariate observations (1967), one example at a time; D. Sculley, Web-scale k-means clustering
(2010), a few; D. Arthur, S. Vassilvitskii, k-means++ (2007), for the first centres. Notes: S106, C078.

Departures from the paper: the first update, which sees all examples, lays the centres by k-means++ with a few
candidates each (as scikit-learn does), where MacQueen takes the first K examples and Sculley random ones. `--restarts`
sets of centres are moved side by side, and the set with the least inertia over the last pass stands. A centre that has
lost all its examples goes to the one that is worst off.

The three methods are one rule: a centre that is the mean of n examples and gets m more becomes the mean of all n + m.
Lloyd forgets n at every update, which sees all examples; MacQueen has m = 1, Sculley the size of a batch. So later
examples move a centre less and less, which is the decreasing learning rate that stochastic descent needs.

Expected: the inertia of scikit-learn's KMeans within 2 %, in a second on digits, minutes on MNIST; the single-sample
and mini-batch methods within a few per cent of it. A picture shows how much their error varies with the order.

Letters: N examples, B examples a batch, D features, K centres, R restarts.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from deepclassics.data import load
from deepclassics.data.streams import Batch, Columns, Data, InOrder, Opened, Stream, Whole, inputs
from deepclassics.errors import UserError
from deepclassics.learn import Box, Clock, Learner, Scores, Stateful
from deepclassics.loop import Plan
from deepclassics.metrics import confusion_matrix
from deepclassics.recipe import BatchSize, Epochs, Picture, Recipe, Share

if TYPE_CHECKING:
    from deepclassics.report.evidence import Evidence

Method = Literal["lloyd", "macqueen", "minibatch"]

CLUSTERS = 8  # where nobody knows better
LOOKS = 5  # at every pass, where methods are compared
AT_ONCE = 1_000_000  # distances that are held at a time: 4 MB


class Centres(nn.Module):
    """R sets of K centres in D dimensions, all 0 at first; `chosen` is the set that stands."""

    centres: Tensor
    chosen: Tensor

    def __init__(self, restarts: int, clusters: int, inputs: int) -> None:
        super().__init__()
        self.register_buffer("centres", torch.zeros(restarts, clusters, inputs))
        self.register_buffer("chosen", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Tensor) -> Tensor:  # (B, ...) of D numbers each -> (B, K) squared distances
        return squared_distances(x.flatten(1), self.centres[self.chosen])


def squared_distances(x: Tensor, centres: Tensor) -> Tensor:  # (B, D), (..., K, D) -> (..., B, K)
    """|x - c|² as |x|² - 2 x · c + |c|², never below 0."""
    # One product for all sets of centres: a product for each would copy the examples as often.
    product = (x @ centres.flatten(0, -2).T).view(len(x), *centres.shape[:-1]).movedim(0, -2)
    return (x.square().sum(1)[:, None] - 2 * product + centres.square().sum(-1)[..., None, :]).clamp(min=0)


def spread(x: Tensor, clusters: int, generator: torch.Generator) -> Tensor:  # (N, D) -> (K, D)
    """Centres by k-means++: each an example, drawn with a probability as its squared distance from the nearest so far.

    Of 2 + log K drawn that one is taken which lowers the inertia most (Arthur and Vassilvitskii 2007, section 5).
    """

    def draw(weight: Tensor, count: int) -> Tensor:  # (N,) -> (count,) of int64
        heap = weight.double().cumsum(0)
        places = torch.rand(count, generator=generator, dtype=torch.float64).to(x.device) * heap[-1]
        return torch.searchsorted(heap, places).clamp(max=len(x) - 1)

    chosen = draw(torch.ones_like(x[:, 0]), 1)
    nearest = squared_distances(x, x[chosen])[:, 0]
    candidates = 2 + int(torch.tensor(float(clusters)).log())
    for _ in range(clusters - 1):
        drawn = draw(nearest, candidates)
        after = torch.minimum(nearest[:, None], squared_distances(x, x[drawn]))
        best = after.sum(0).argmin()
        chosen, nearest = torch.cat([chosen, drawn[best, None]]), after[:, best]
    return x[chosen]


def gathered(x: Tensor, centres: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # (B, D), (R, K, D)
    """What is nearest to each centre, of every set: the squared distances of all examples from the centres that are
    theirs, (R, B); how many have a centre, (R, K); and the sum of these, (R, K, D)."""
    count, total, gaps = x.new_zeros(centres.shape[:2]), torch.zeros_like(centres), []
    for part in x.split(max(1, AT_ONCE // count.numel())):
        gap, nearest = squared_distances(part, centres).min(2)
        # A product, for sums at an index come in another order every time on a GPU.
        member = x.new_zeros(*gap.shape, centres.shape[1]).scatter_(2, nearest[..., None], 1)
        count += member.sum(1)
        total += (member.mT.flatten(0, 1) @ part).view_as(centres)
        gaps.append(gap)
    return torch.cat(gaps, 1), count, total


class KMeans(Learner):
    """Lays the centres at the first update, and moves them at every other.

    Done when an update of all examples moves no centre.
    """

    def __init__(self, model: Centres, method: Method, seed: int) -> None:
        self.model: Centres = model
        self.method, self.seed = method, seed
        restarts, clusters, _ = model.centres.shape
        device = model.centres.device
        # How many examples each centre is the mean of, and the inertia of each set over the pass so far.
        self.counts = Box(torch.zeros(restarts, clusters, device=device))
        self.inertia = Box(torch.zeros(restarts, device=device))

    def step(self, batch: Batch, clock: Clock) -> Scores:
        x, model = inputs(batch).flatten(1), self.model
        if clock.step == 0:
            return {"inertia": self.lay(x)}
        gap, more, total = gathered(x, model.centres)
        self.judge(gap, ends=clock.step % clock.per_pass == 0)  # passes begin after the first update
        if self.method == "lloyd":
            self.counts.value = more
            after = rescued(total / more.clamp(min=1)[..., None], more, x, gap)
            self.done = torch.equal(after, model.centres)
        else:
            self.counts.value = self.counts.value + more
            after = model.centres + (total - more[..., None] * model.centres) / self.counts.value[..., None]
        model.centres.copy_(after)
        return {"inertia": gap[model.chosen].mean()}

    def lay(self, x: Tensor) -> Tensor:  # (N, D) -> ()
        """First centres for every set, each the mean of one example: the one that it is."""
        centres = self.model.centres
        if len(x) < centres.shape[1]:
            raise UserError(f"kmeans: clusters must be at most the {len(x):,} examples; got {centres.shape[1]:,}.")
        generator = torch.Generator().manual_seed(self.seed)
        for number in range(len(centres)):
            centres[number] = spread(x, centres.shape[1], generator)
        self.counts.value = torch.ones_like(self.counts.value)
        self.judge(gathered(x, centres)[0], ends=True)
        return self.model(x).amin(1).mean()

    def judge(self, gap: Tensor, ends: bool) -> None:  # (R, B)
        """Adds to the inertia of every set, and at the end of a pass chooses the set of the least."""
        total = self.inertia.value + gap.sum(1)
        if ends:
            self.model.chosen.copy_(total.argmin())
            total = torch.zeros_like(total)
        self.inertia.value = total

    def evaluate(self, stream: Stream) -> Scores:
        """The inertia: the mean squared distance of an example from its centre."""
        return {"inertia": torch.cat([self.model(inputs(batch)).amin(1) for batch in stream]).mean()}

    def parts(self) -> dict[str, Stateful]:
        return {"model": self.model, "counts": self.counts, "inertia": self.inertia}


def rescued(centres: Tensor, members: Tensor, x: Tensor, gap: Tensor) -> Tensor:  # (R, K, D), (R, K), (B, D), (R, B)
    """The same centres, but those without members at the examples that are furthest from theirs."""
    if bool(members.all()):
        return centres
    centres = centres.clone()
    for number, lost in enumerate(members == 0):
        centres[number, lost] = x[gap[number].topk(int(lost.sum())).indices]
    return centres


@dataclass(frozen=True)
class Orders:
    """What one method does in several orders of the examples: R orders, M looks."""

    seen: list[int]  # examples until each look
    own: Tensor  # (R, M), the inertia of the examples of the next update, which is the training error that it sees
    all: Tensor  # (R, M), the inertia of all examples


def race(x: Tensor, clusters: int, orders: int, passes: int) -> dict[Method, Orders]:  # (N, D)
    """The three methods from the same first centres, each in several orders of the examples."""
    columns = Columns(features=x)
    ways: list[tuple[Method, int]] = [("lloyd", len(x)), ("minibatch", max(2, len(x) // 20)), ("macqueen", 1)]
    found = {}
    for method, size in ways:
        steps = passes * -(-len(x) // size)
        every = max(1, steps // (LOOKS * passes))
        own, whole = [], []
        for order in range(orders):
            stream = streamed(columns, method, size, order)
            learner = KMeans(Centres(1, clusters, x.shape[1]), method, seed=0)
            learner.step(stream.at(0), Clock(0, steps, len(stream)))
            for step in range(1, steps + 1):
                inertia = learner.model(x).amin(1).mean() if (step - 1) % every == 0 else None
                scores = learner.step(stream.at(step), Clock(step, steps, len(stream)))
                if inertia is not None:
                    own.append(scores["inertia"])
                    whole.append(inertia)
        looks = len(own) // orders
        curves = (torch.stack(values).view(orders, looks) for values in (own, whole))
        found[method] = Orders([size * every * look for look in range(looks)], *curves)
    return found


def streamed(columns: Columns, method: Method, batch: int, seed: int) -> Stream:
    """All examples for the first update, which lays the centres; then as the method takes them."""
    if method == "lloyd":
        return Whole(columns)
    return Opened(columns, 1 if method == "macqueen" else batch, seed)


class KMeansRecipe(Recipe):
    """K-means on a table or on pictures; what the examples are called is not looked at."""

    takes = ("table", "image")
    gives = ("label",)
    answers_target = False

    data: str = Field("digits", description="a named set of pictures or a table, a folder of pictures, a table's file")
    target: str | None = Field(None, description="a column of the table that is left out, where there is one")
    clusters: int | None = Field(None, ge=1, description="how many; none: as many as there are classes, else 8")
    method: Method = Field("lloyd", description="all examples at every update, one (macqueen), or a few (minibatch)")
    batch: BatchSize = 256
    restarts: int = Field(10, ge=1, description="sets of centres that are moved side by side; the best one stands")
    epochs: Epochs = 100
    valid: Share = Field(0.0, description="share of the training examples to look at on the way")
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
            alone=True,
        )
        known = found.spec["target"].get("classes", ())
        clusters = self.clusters or len(known) or CLUSTERS
        if clusters > len(found.train):
            raise UserError(f"kmeans: clusters must be at most the {len(found.train):,} examples; got {clusters:,}.")
        # Clusters take the place of the classes: they are what the answer is one of.
        names = [f"cluster {number}" for number in range(1, clusters + 1)]
        target = {"kind": "class", "name": found.spec["target"]["name"], "classes": names, "known": list(known)}
        train = streamed(found.train, self.method, self.batch, self.seed)
        return replace(found, spec=found.spec | {"target": target}).streams(train)

    def model(self, spec: dict[str, Any]) -> Centres:
        channels, height, width = spec["shape"] if spec["kind"] == "image" else (1, 1, spec["features"])
        return Centres(self.restarts, len(spec["target"]["classes"]), channels * height * width)

    def learner(self, model: nn.Module) -> KMeans:
        assert isinstance(model, Centres)
        return KMeans(model, self.method, self.seed)

    def plan(self, data: Data) -> Plan:
        return Plan(1 + max(1, round(self.epochs * len(data.train))), max(1, len(data.train) // 2))

    def answer(self, model: nn.Module, question: Batch, options: Any) -> Batch:
        gap, nearest = model(inputs(question)).min(1)
        return {"label": nearest, "distance": gap.sqrt()}

    def conclude(self, learner: Learner, data: Data) -> tuple[dict[str, float], list[str]]:
        """Whether it came to rest, and how well clusters agree with classes, where there are any."""
        assert isinstance(learner, KMeans)
        assert isinstance(data.train, Whole | Opened)
        columns, told = data.train.columns, []
        if self.method == "lloyd" and not learner.done:
            told.append("The centres still move. Give more --epochs.")
        scores = {"train/inertia": float(learner.evaluate(InOrder(columns))["inertia"])}
        if known := data.spec["target"]["known"]:
            nearest = torch.cat([learner.model(inputs(batch)).argmin(1) for batch in InOrder(columns)])
            shares = confusion_matrix(nearest, columns["label"], max(len(known), learner.model.centres.shape[1]))
            scores["train/purity"] = float(shares.amax(0).sum() / len(columns))
            told.append(
                f"{scores['train/purity']:.1%} of the examples are of the class that is most common in their cluster."
            )
        return scores, told

    def pictures(self, evidence: "Evidence") -> list[Picture]:
        from deepclassics.report import clusters, curves

        drawn = [curves.picture(evidence), clusters.centres(evidence), clusters.plane(evidence)]
        return [*drawn, clusters.variance(evidence, race)]
