"""Neural language model: the next word's probability from the embeddings of the n - 1 words before it.

Source: Y. Bengio, R. Ducharme, P. Vincent, C. Jauvin, A neural probabilistic language model (2003), section 2: equation
1 with and without the direct connections W, and the mixture with a trigram of section 4.2. Notes: S261, S256.

    x = (C(w_{t-1}), ..., C(w_{t-n+1})),  y = b + W x + U tanh(d + H x),  P(w_t | context) = softmax(y)

Departures from the paper: Adam on batches of windows drawn by chance from the text, at a rate that falls along a
cosine, in place of gradient descent on one word after the other; dropout on x and on the hidden units; the mixture's
weight is chosen on the validation text, and the counts it is mixed with are smoothed by the rule that `--counts` names,
where the paper has an interpolated trigram. Before a text come as many ends of lines as a context holds.

Expected: pydocs in half a minute on one core: better than either when mixed with counts of the same order. The papers'
vocabulary of Penn Treebank takes `--least 1`.

Letters: B examples of a batch, n words of a window (the order), M numbers of an embedding, H hidden units, V words of
the vocabulary, N words of a text.
"""

import math
from typing import TYPE_CHECKING, Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from deepclassics.data import load
from deepclassics.data.streams import Batch, Columns, Data, InOrder, Shuffled, Stream
from deepclassics.data.words import END, Reading, Rule
from deepclassics.layers.drawing import drawn
from deepclassics.learn import Backprop, Learner, Scores, optimizer, untraced
from deepclassics.loop import Plan
from deepclassics.recipe import BatchSize, Clip, Course, Decay, Epochs, Picture, Published, Rate, Recipe, Share
from deepclassics.recipe import Rule as Descent
from deepclassics.schedules import NAMED
from deepclassics.systems.language.ngram import Backoff, count, smooth
from deepclassics.systems.language.rnn_lm import Sampling

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from deepclassics.report.evidence import Evidence

WEIGHTS = tuple(k / 50 for k in range(51))  # of the counts in the mixture
JUDGED = 500  # windows at a time


class NeuralLM(nn.Module):
    """Equation 1 of the paper. What comes before the last n - 1 words it does not see.

    `end` is the word that stands before a text.
    """

    def __init__(
        self, vocabulary: int, order: int, embedding: int, hidden: int, direct: bool, dropout: float, end: int
    ) -> None:
        super().__init__()
        width = (order - 1) * embedding
        self.order, self.end = order, end
        self.embed = nn.Embedding(vocabulary, embedding)  # C
        self.hidden = nn.Linear(width, hidden)  # H, d
        self.output = nn.Linear(hidden, vocabulary)  # U, b
        self.direct = nn.Linear(width, vocabulary, bias=False) if direct else None  # W
        self.dropout = nn.Dropout(dropout)
        nn.init.uniform_(self.embed.weight, -0.1, 0.1)
        if self.direct is not None:
            nn.init.zeros_(self.direct.weight)

    def forward(self, context: Tensor) -> Tensor:  # (B, n - 1) -> (B, V)
        x = self.dropout(self.embed(context).flatten(1))
        scores: Tensor = self.output(self.dropout(self.hidden(x).tanh()))
        return scores if self.direct is None else scores + self.direct(x)

    def sample(self, ids: Tensor, length: int, temperature: float, never: int) -> Tensor:  # (T,) -> (length,)
        """`length` words after `ids`, each drawn from the softmax at that temperature; 0 takes the likeliest. The word
        `never` is not drawn."""
        text = torch.cat([ids.new_full((self.order - 1,), self.end), ids])
        for _ in range(length):
            scores = self(text[None, len(text) - self.order + 1 :])[0]
            text = torch.cat([text, drawn(scores, temperature, never)])
        return text[len(text) - length :]


def windows(ids: Tensor, order: int, end: int) -> Columns:  # (N,) -> N rows of (n,)
    """Every word of a text with the n - 1 before it, as views of the text: no copies."""
    return Columns(window=torch.cat([ids.new_full((order - 1,), end), ids]).unfold(0, order, 1))


def objective(model: nn.Module, batch: Batch) -> Scores:
    """The mean cross-entropy of the next word, in nats."""
    window = batch["window"].long()
    return {"loss": F.cross_entropy(model(window[:, :-1]), window[:, -1])}


def logs(model: nn.Module, stream: Stream) -> Tensor:  # -> (N,) of float64
    """The logarithm of the probability of every word, in nats."""
    found = []
    for batch in stream:
        window = batch["window"].long()
        found.append(-F.cross_entropy(model(window[:, :-1]), window[:, -1], reduction="none"))
    return torch.cat(found).double()


def judge(model: nn.Module, stream: Stream) -> Scores:
    """The mean loss of a word over a text, in nats, and the perplexity, its exponential."""
    loss = -logs(model, stream).mean()
    return {"loss": loss, "perplexity": loss.exp()}


def mixed(net: Tensor, counts: Tensor) -> Tensor:  # (N,), (N,) -> (WEIGHTS,)
    """The mean loss, in nats, of mixtures of a net's probabilities, given by their logarithms, and those of counts."""
    return torch.stack([-((1 - weight) * net.exp() + weight * counts).log().mean() for weight in WEIGHTS])


class NeuralLMRecipe(Recipe):
    """The feed-forward language model of Bengio et al."""

    takes = ("text",)
    gives = ("text",)
    options = Sampling
    published = (
        Published(
            on="ptb",
            score="test/perplexity",
            value=140.2,
            source="Mikolov 2012, thesis, table 4.1: feedforward NNLM, second hand",
        ),
    )

    data: str = Field("pydocs", description="a named set of text, a text file, or a folder of them")
    order: int = Field(5, ge=2, le=50, description="words of a window: the next one and those it is told from")
    embedding: int = Field(100, ge=1, description="numbers that stand for a word")
    hidden: int = Field(200, ge=1, description="hidden units")
    direct: bool = Field(False, description="connect the embeddings with the output directly, besides")
    dropout: float = Field(0.2, ge=0, lt=1, description="share of the embeddings and of the hidden units left out")
    epochs: Epochs = 2
    batch: BatchSize = 256
    lr: Rate = 2e-3
    optimizer: Descent = "adam"
    schedule: Course = "cosine"
    l2: Decay = Field(0.0, description="weight decay")
    clip_norm: Clip = Field(1.0, description="bound on the norm of the gradient")
    counts: Literal["none", "good-turing", "kneser-ney", "modified"] = Field(
        "kneser-ney", description="smoothing of the n-gram of that order which it is mixed with at the end"
    )
    rule: Rule = Field("auto", description="how texts are cut into words")
    lower: bool = Field(False, description="read capital letters as small ones")
    vocabulary: int = Field(10_000, ge=2, description="so many commonest words are known")
    least: int = Field(2, ge=1, description="words that come less often are unknown")
    valid: Share = Field(0.05, description="share of the training text, its end, to choose by")
    test: Share = Field(0.1, description="share of the text, its end, to judge by, where the set has no test part")

    def load(self) -> Data:
        reading = Reading(self.rule, self.lower, self.vocabulary, self.least)
        found = load(self.data, self.takes, seed=self.seed, valid=self.valid, test=self.test, reading=reading)
        end = place_of_end(found.spec)
        looks = [
            None if ids is None else InOrder(windows(ids, self.order, end), JUDGED) for ids in (found.valid, found.test)
        ]
        return Data(found.spec, Shuffled(windows(found.train, self.order, end), self.batch, self.seed), *looks)

    def model(self, spec: dict[str, Any]) -> NeuralLM:
        return NeuralLM(
            len(spec["vocabulary"]),
            self.order,
            self.embedding,
            self.hidden,
            self.direct,
            self.dropout,
            place_of_end(spec),
        )

    def learner(self, model: nn.Module) -> Backprop:
        return Backprop(
            model,
            objective,
            optimizer(self.optimizer, model, self.lr, l2=self.l2),
            judge=judge,
            schedule=NAMED[self.schedule],
            clip_norm=self.clip_norm,
            snapshot=write,
        )

    def plan(self, data: Data) -> Plan:
        return Plan.passes(self.epochs, data.train, looks=10)

    def answer(self, model: nn.Module, question: Batch, options: Sampling) -> Batch:
        assert isinstance(model, NeuralLM)
        return {"text": [model.sample(ids, options.length, options.temperature, never=0) for ids in question["ids"]]}

    def protocol(self, spec: dict[str, Any]) -> dict[str, Any]:
        return {"training words": spec["examples"]["train"], "vocabulary": len(spec["vocabulary"])}

    def counted(self, train: Tensor, spec: dict[str, Any]) -> Backoff:  # (N,)
        """The n-gram of the same order, counted on the training text."""
        ids, size = train.cpu(), len(spec["vocabulary"])
        end = spec["vocabulary"].index(END) if END in spec["vocabulary"] else -1
        model = Backoff(size, end, self.order)
        model.take(smooth(count(ids.numpy(), size, end, self.order), self.counts)[0])
        return model

    def pictures(self, evidence: "Evidence") -> list[Picture]:
        from deepclassics.report import curves, passage
        from deepclassics.report.neighbours import NEAREST, families
        from deepclassics.report.rarity import RARITY, by_rarity

        def rarity() -> "Figure":
            splits, model = evidence.splits(), evidence.model
            columns = splits.test if splits.test is not None else splits.train
            train, words = splits.train["window"][:, -1], columns["window"][:, -1].long()
            with untraced(model):
                found = {"this net": logs(model, InOrder(columns, JUDGED))}
            if self.counts != "none":
                counted, _ = self.counted(train, evidence.spec)(words)
                found[f"counts, {self.counts}"] = counted.log()
            return by_rarity(words, found, train, evidence.spec["vocabulary"])

        def close() -> str:
            assert isinstance(evidence.model, NeuralLM)
            return families(evidence.model.embed.weight, evidence.spec["vocabulary"])

        return [
            curves.picture(evidence),
            passage.picture(
                evidence,
                "60 words at temperature 0.8, all from the end of a line and the same chance; <unk> is not drawn.",
            ),
            Picture("Perplexity of common and of rare words", RARITY, rarity),
            Picture("Words with the nearest embeddings", NEAREST, close),
        ]

    def conclude(self, learner: Learner, data: Data) -> tuple[dict[str, float], list[str]]:
        """The perplexity of the n-gram of the same order, and of the two mixed."""
        train, valid, test = data.train, data.valid, data.test
        if self.counts == "none" or not (isinstance(valid, InOrder) and isinstance(test, InOrder)):
            return {}, []
        assert isinstance(train, Shuffled)
        ngram = self.counted(train.columns["window"][:, -1], data.spec)
        found, losses = {}, {}
        with untraced(learner.model):
            for name, stream in (("valid", valid), ("test", test)):
                counted, _ = ngram(stream.columns["window"][:, -1].cpu())
                found[name] = mixed(logs(learner.model, stream).cpu(), counted)
        best = int(found["valid"].argmin())
        losses = {"counts": float(found["test"][-1]), "mixture": float(found["test"][best])}
        scores = {f"test/perplexity_of_{name}": math.exp(loss) for name, loss in losses.items()}
        return scores, [
            f"Counts of {self.order} words ({self.counts}) alone come to a test perplexity of "
            f"{math.exp(losses['counts']):.1f}, the net to {math.exp(float(found['test'][0])):.1f}, and their mixture, "
            f"with a weight of the counts of {WEIGHTS[best]:g} as is best on validation text, to "
            f"{math.exp(losses['mixture']):.1f}."
        ]


def place_of_end(spec: dict[str, Any]) -> int:
    """The number of the word that ends a line; that of the unknown where there is none."""
    return spec["vocabulary"].index(END) if END in spec["vocabulary"] else 0


def write(model: nn.Module) -> dict[str, Tensor]:
    """60 words at temperature 0.8 from the beginning, for the report."""
    assert isinstance(model, NeuralLM)
    return {"text": model.sample(torch.empty(0, dtype=torch.int64, device=model.output.bias.device), 60, 0.8, never=0)}
