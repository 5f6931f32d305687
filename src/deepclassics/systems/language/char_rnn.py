"""Character RNN: a recurrent net that reads text one character at a time and predicts the next.

Source: A. Karpathy, The unreasonable effectiveness of recurrent neural networks (2015), and its char-rnn; J. Elman,
Finding structure in time (1990), for `rnn`; S. Hochreiter, J. Schmidhuber, Long short-term memory (1997), with the
forget gate of Gers et al. (2000), for `lstm`; K. Cho et al. (2014) for `gru`, whose reset gate stands, as in torch,
after the matrix product. Notes: S196, S198, S200-S202, S206, S211; clipping S127, E029 (both ways, not one-sided).

Departures from the paper: an embedding in place of one-hot inputs (the same function for the first layer, with fewer
products); Adam with weight decay and a cosine schedule in place of RMSProp with a decaying rate; dropout on the
embedding and the output; every pass cuts the text at another place. All biases start near 0: a forget gate's bias of 1
(Jozefowicz et al. 2015) learnt more slowly here, 1.88 against 1.81 nats after 200 updates on tinyshakespeare.

Expected: pydocs, about 1.9 nats a character in under a minute; tinyshakespeare, last tenth, 1.50 nats within four
minutes and 1.47 within fifteen on two cores, with the knobs in benchmarks/results.md; nanoGPT publishes 1.4697.

Letters: B streams of text, T positions of a chunk, V characters of the vocabulary, H hidden units, L layers.
"""

from typing import TYPE_CHECKING, Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from deepclassics.data import load
from deepclassics.data.streams import Batch, Chunks, Data, Passage
from deepclassics.flags import Knobs
from deepclassics.learn import Scores, TruncatedBackprop, optimizer
from deepclassics.loop import Plan
from deepclassics.recipe import BatchSize, Clip, Course, Decay, Epochs, Picture, Published, Rate, Recipe, Rule, Share
from deepclassics.schedules import NAMED, warmed

if TYPE_CHECKING:
    from deepclassics.report.evidence import Evidence

CELLS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
State = Tensor | tuple[Tensor, ...] | None


class CharRNN(nn.Module):
    """Embedding, `layers` recurrent layers of `hidden` units, and an affine map to a score for each character."""

    def __init__(
        self,
        vocabulary: int,
        cell: Literal["rnn", "lstm", "gru"],
        embedding: int,
        hidden: int,
        layers: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocabulary, embedding)
        between = dropout if layers > 1 else 0.0
        self.recurrent = CELLS[cell](embedding, hidden, layers, batch_first=True, dropout=between)
        self.output = nn.Linear(hidden, vocabulary)
        self.dropout = nn.Dropout(dropout)

    def forward(self, ids: Tensor, state: State = None) -> tuple[Tensor, State]:  # (B, T), state -> (B, T, V), state
        """`state` is (L, B, H) for rnn and gru, two of it for lstm; None is all zeros."""
        hidden, state = self.recurrent(self.dropout(self.embed(ids)), state)
        return self.output(self.dropout(hidden)), state

    def sample(self, ids: Tensor, length: int, temperature: float) -> Tensor:  # (T,) -> (length,)
        """`length` characters after `ids`, each drawn from the softmax at that temperature; 0 takes the likeliest."""
        drawn, state = [], None
        feed = ids.view(1, -1)
        for _ in range(length):
            scores, state = self(feed, state)
            last = scores[0, -1].float()
            feed = last.argmax() if temperature == 0 else torch.multinomial((last / temperature).softmax(0), 1)
            feed = feed.view(1, 1)
            drawn.append(feed[0, 0])
        return torch.stack(drawn)


class Sampling(Knobs):
    """What predict can be told."""

    length: int = Field(200, ge=1, description="characters to write")
    temperature: float = Field(0.8, ge=0, description="below 1 plays safe, above 1 dares; 0 takes the likeliest")


def objective(model: nn.Module, batch: Batch, state: State) -> tuple[Scores, State]:
    """The mean cross-entropy of the next character, in nats, and the state after the chunk."""
    scores, state = model(batch["ids"], state)
    return {"loss": F.cross_entropy(scores.flatten(0, 1), batch["targets"].flatten())}, state


class CharRNNRecipe(Recipe):
    """A character RNN on running text."""

    takes = ("text",)
    gives = ("text",)
    options = Sampling
    published = (
        Published(
            on="tinyshakespeare",
            score="test/loss",
            value=1.4697,
            source="nanoGPT README: a GPT of 6 layers of 384, context 256, three minutes on an A100",
            protocol={
                "model": "a Transformer of 10.6 M parameters",
                "selection": "best by validation, which is the same last tenth",
                "training characters": 1003854,
            },
        ),
        Published(
            on="tinyshakespeare",
            score="test/loss",
            value=1.88,
            source="nanoGPT README: a GPT of 4 layers of 128, context 64, three minutes on a CPU",
            protocol={"model": "a Transformer of 0.8 M parameters", "training characters": 1003854},
        ),
    )

    data: str = Field("pydocs", description="a named set of text, a text file, or a folder of them")
    cell: Literal["rnn", "lstm", "gru"] = Field("lstm", description="the recurrent cell")
    layers: int = Field(1, ge=1, le=16, description="recurrent layers on top of each other")
    hidden: int = Field(256, ge=1, description="units of each layer")
    embedding: int = Field(128, ge=1, description="numbers that stand for a character")
    dropout: float = Field(0.1, ge=0, lt=1, description="share of the embedding and of the output left out")
    chunk: int = Field(25, ge=1, description="characters that the gradient goes back through")
    epochs: Epochs = 3
    batch: BatchSize = 64
    lr: Rate = 4e-3
    optimizer: Rule = "adamw"
    schedule: Course = "cosine"
    warmup: float = Field(0.05, ge=0, lt=1, description="share of the run over which the rate rises from 0")
    l2: Decay = Field(0.01, description="weight decay")
    clip_value: Clip = Field(5.0, description="bound on every single gradient")
    clip_norm: Clip = Field(None, description="bound on the norm of the gradient")
    valid: Share = Field(0.05, description="share of the training text, its end, to choose by")
    test: Share = Field(0.1, description="share of the text, its end, to judge by, where the set has no test part")

    def load(self) -> Data:
        found = load(self.data, self.takes, seed=self.seed, valid=self.valid, test=self.test)
        looks = [None if ids is None else Passage(ids) for ids in (found.valid, found.test)]
        return Data(found.spec, Chunks(found.train, self.batch, self.chunk, self.seed), *looks)

    def model(self, spec: dict[str, Any]) -> CharRNN:
        return CharRNN(len(spec["vocabulary"]), self.cell, self.embedding, self.hidden, self.layers, self.dropout)

    def learner(self, model: nn.Module) -> TruncatedBackprop:
        return TruncatedBackprop(
            model,
            objective,
            optimizer(self.optimizer, model, self.lr, l2=self.l2),
            schedule=warmed(NAMED[self.schedule], self.warmup),
            clip_norm=self.clip_norm,
            clip_value=self.clip_value,
            snapshot=write,
        )

    def plan(self, data: Data) -> Plan:
        return Plan.passes(self.epochs, data.train)

    def answer(self, model: nn.Module, question: Batch, options: Sampling) -> Batch:
        assert isinstance(model, CharRNN)
        return {"text": [model.sample(ids, options.length, options.temperature) for ids in question["ids"]]}

    def protocol(self, spec: dict[str, Any]) -> dict[str, Any]:
        cell = {"rnn": "an Elman net", "lstm": "an LSTM", "gru": "a GRU"}[self.cell]
        layers = f"{self.layers} layer{'s' if self.layers > 1 else ''} of {self.hidden}"
        return {"model": f"{cell}, {layers}", "training characters": spec["examples"]["train"]}

    def pictures(self, evidence: "Evidence") -> list[Picture]:
        from deepclassics.data.kinds.text import decode
        from deepclassics.report import curves
        from deepclassics.report.passage import passage

        def samples() -> str:
            written = [(step, decode(tensors["text"], evidence.spec)) for step, tensors in evidence.snapshots]
            return passage(written, evidence.metrics)

        caption = "200 characters at temperature 0.8, all from the same beginning and the same chance."
        return [curves.picture(evidence), Picture("What it wrote while it learnt", caption, samples)]


def write(model: nn.Module) -> dict[str, Tensor]:
    """200 characters at temperature 0.8 from the first one of the vocabulary, for the report."""
    assert isinstance(model, CharRNN)
    device = model.output.weight.device
    return {"text": model.sample(torch.zeros(1, dtype=torch.int64, device=device), 200, 0.8)}
