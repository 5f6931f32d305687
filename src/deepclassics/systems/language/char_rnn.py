"""Character RNN: a recurrent net that reads text one character at a time and predicts the next.

Source: A. Karpathy, The unreasonable effectiveness of recurrent neural networks (2015), and its char-rnn; J. Elman,
Finding structure in time (1990), for `rnn`; S. Hochreiter, J. Schmidhuber, Long short-term memory (1997), with the
forget gate of Gers et al. (2000), for `lstm`; K. Cho et al. (2014) for `gru`; the other cells, each with its source,
stand in layers/recurrent.py. Notes: S196, S198, S200-S202, S204-S206, S208-S213, C115; clipping S127, E029 (both ways,
not one-sided).

Departures from the paper: an embedding in place of one-hot inputs (the same function for the first layer, with fewer
products); Adam with weight decay and a cosine schedule in place of RMSProp with a decaying rate; dropout on the
embedding as well as between the layers and on the output; every pass cuts the text at another place. All biases start
near 0: a forget gate's bias of 1 (Jozefowicz et al. 2015) learnt more slowly here, 1.88 against 1.81 nats after 200
updates on tinyshakespeare.

Expected: pydocs, about 1.9 nats a character in under a minute; tinyshakespeare, last tenth, 1.50 nats within four
minutes and 1.47 within fifteen on two cores, with the knobs in benchmarks/results.md; nanoGPT publishes 1.4697. All
cells at equal parameters: benchmarks/cells_race.md. anbn, the a's that a cell counts: a minute.

Letters: B streams of text, T positions of a chunk, V characters of the vocabulary, H hidden units, L layers.
"""

from itertools import takewhile
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from deepclassics.data import load
from deepclassics.data.streams import Batch, Chunks, Data, Passage
from deepclassics.errors import UserError
from deepclassics.flags import Knobs
from deepclassics.layers.drawing import drawn
from deepclassics.layers.recurrent import Cell, Recurrent, State, count
from deepclassics.learn import Learner, Scores, TruncatedBackprop, optimizer, untraced
from deepclassics.loop import Plan
from deepclassics.recipe import BatchSize, Clip, Course, Decay, Epochs, Picture, Published, Rate, Recipe, Rule, Share
from deepclassics.schedules import NAMED, warmed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from deepclassics.report.evidence import Evidence

CALLED = {
    "rnn": "an Elman net",
    "lstm": "an LSTM",
    "gru": "a GRU",
    "peephole": "an LSTM with peepholes",
    "coupled": "an LSTM with coupled input and forget gates",
    "clockwork": "a clockwork RNN",
    "depth_gated": "a depth-gated LSTM",
    "no_input_gate": "an LSTM without input gate",
    "no_forget_gate": "an LSTM without forget gate",
    "no_output_gate": "an LSTM without output gate",
    "no_input_activation": "an LSTM without input activation",
    "no_output_activation": "an LSTM without output activation",
    "sigmoid_candidate": "an LSTM whose candidate is a sigmoid",
}
LEAST = 4  # units of a layer where `parameters` says how many: a clockwork cell takes as many
COUNTED = 40  # a's of the longest line that is asked for
LAGS = 100  # positions that gradients are followed back
READ = 16, 1000  # passages of so many characters that units are watched over


class CharRNN(nn.Module):
    """Embedding, `layers` recurrent layers of `hidden` units, and an affine map to a score for each character."""

    def __init__(
        self,
        vocabulary: int,
        cell: Cell,
        embedding: int,
        hidden: int,
        layers: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocabulary, embedding)
        self.recurrent = Recurrent(cell, embedding, hidden, layers, dropout=dropout)
        self.output = nn.Linear(hidden, vocabulary)
        self.dropout = nn.Dropout(dropout)

    def forward(self, ids: Tensor, state: State = None) -> tuple[Tensor, State]:  # (B, T), state -> (B, T, V), state
        """`state` is as the cell has it, see `Recurrent`; None is all zeros."""
        hidden, state = self.recurrent(self.dropout(self.embed(ids)), state)
        return self.output(self.dropout(hidden)), state

    def learnt(self) -> int:
        """How many weights are learnt."""
        embed, own = self.embed, self.recurrent
        return learnt(embed.num_embeddings, embed.embedding_dim, own.cell, own.hidden, own.layers)

    def sample(self, ids: Tensor, length: int, temperature: float) -> Tensor:  # (T,) -> (length,)
        """`length` characters after `ids`, each drawn from the softmax at that temperature; 0 takes the likeliest."""
        found, state = [], None
        feed = ids.view(1, -1)
        for _ in range(length):
            scores, state = self(feed, state)
            feed = drawn(scores[0, -1], temperature).view(1, 1)
            found.append(feed[0, 0])
        return torch.stack(found)


def learnt(vocabulary: int, embedding: int, cell: Cell, hidden: int, layers: int) -> int:
    """How many weights a `CharRNN` learns, which need not be there for it."""
    return vocabulary * embedding + count(cell, embedding, hidden, layers) + (hidden + 1) * vocabulary


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
    cell: Cell = Field("lstm", description="the recurrent cell")
    layers: int = Field(1, ge=1, le=16, description="recurrent layers on top of each other")
    hidden: int = Field(256, ge=1, description="units of each layer")
    parameters: int | None = Field(
        None, ge=1, description="instead of hidden: as many units as bring the whole net nearest to so many weights"
    )
    embedding: int = Field(128, ge=1, description="numbers that stand for a character")
    dropout: float = Field(
        0.1, ge=0, lt=1, description="share of the embedding, between layers and of the output left out"
    )
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
        hidden = self.units(spec)
        return CharRNN(len(spec["vocabulary"]), self.cell, self.embedding, hidden, self.layers, self.dropout)

    def units(self, spec: dict[str, Any]) -> int:
        """Of each layer: `hidden`, or as many as `parameters` asks for."""
        if self.parameters is None:
            return self.hidden

        def excess(hidden: int) -> int:
            return learnt(len(spec["vocabulary"]), self.embedding, self.cell, hidden, self.layers) - wanted

        wanted = self.parameters
        if excess(LEAST) > 0:
            raise UserError(
                f"char_rnn: parameters must be {wanted + excess(LEAST):,} or more, for {LEAST} units a layer with this "
                f"vocabulary and embedding; got {wanted:,}."
            )
        below = LEAST  # the most units that are not too many: doubled, then added to by halves
        while excess(2 * below) <= 0:
            below *= 2
        step = below
        while step := step // 2:
            below += step * (excess(below + step) <= 0)
        return below if -excess(below) <= excess(below + 1) else below + 1

    def chosen(self, spec: dict[str, Any]) -> dict[str, Any]:
        return {} if self.parameters is None else {"hidden": self.units(spec)}

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

    def conclude(self, learner: Learner, data: Data) -> tuple[dict[str, float], list[str]]:
        """Of a^n b^n: how far the net counts, and which unit counts for it (S208)."""
        if data.spec["data"] != "anbn":
            return {}, []
        from deepclassics.data.sets.anbn import LONGEST

        model = learner.model
        assert isinstance(model, CharRNN)
        with untraced(model):
            right = counted(model, data.spec["vocabulary"])
            unit, share, _, _ = counter(model, data.spec["vocabulary"])
        longest = sum(1 for _ in takewhile(bool, right))
        remarks = [
            f"Trained with up to {LONGEST} a's, it tells all further b's and the end of the line rightly for up to "
            f"{longest}{', as far as was looked' if longest == COUNTED else ''}. No loss can be lower than 0.192 nats "
            f"a character, the chance of how many a's there are.",
            f"{_named(model, unit)} counts: what it carries is a straight line in the a's that wait for their b, "
            f"R² {share:.4f} over n up to 15, each line after the same one.",
        ]
        return {"test/counts_to": float(longest), "test/counter_r2": share}, remarks

    def protocol(self, spec: dict[str, Any]) -> dict[str, Any]:
        layers = f"{self.layers} layer{'s' if self.layers > 1 else ''} of {self.units(spec)}"
        return {"model": f"{CALLED[self.cell]}, {layers}", "training characters": spec["examples"]["train"]}

    def pictures(self, evidence: "Evidence") -> list[Picture]:
        from deepclassics.report import curves, passage

        caption = "200 characters at temperature 0.8, all from the same beginning and the same chance."
        found = [curves.picture(evidence), passage.picture(evidence, caption)]
        if max(evidence.spec["examples"].values()) <= READ[1]:  # too little to read anything from
            return found
        found.append(
            Picture(
                "How far back it learns from",
                f"Noise is let in at the last position of {READ[0]} passages, into what the top layer carries, and its "
                f"gradient followed back: what arrives at the earlier positions, by the trained net and by the same "
                f"net before training. Where it has vanished, nothing can be learnt of what was read there.",
                lambda: self._lags(evidence),
            )
        )
        if evidence.spec["data"] == "anbn":
            return [*found, Picture("The unit that counts", "a's add, b's take away (S208).", lambda: _count(evidence))]
        return [
            *found,
            Picture(
                "What single units follow",
                "The units that go best with something in the text, picked on one half of what was read, r told for "
                "the other. Each character's ground is the unit's activity after it was read, tanh(c) or h: blue "
                "above 0, orange below.",
                lambda: _followed(evidence),
            ),
        ]

    def _lags(self, evidence: "Evidence") -> "Figure":
        from deepclassics.report.gradients_in_time import lags, magnitudes

        with torch.random.fork_rng([]):
            torch.manual_seed(self.seed)
            first = self.model(evidence.spec).eval()
        ids = _read(evidence)[:, : 2 * LAGS + 1]
        trained = evidence.model
        assert isinstance(trained, CharRNN)
        nets = (("at the start", first), ("trained", trained))
        return lags([(name, magnitudes(net.recurrent, net.embed(ids).detach(), LAGS)) for name, net in nets])


def _read(evidence: "Evidence") -> Tensor:  # -> (B, T)
    """What units are watched over: passages from the test part, or from what there is."""
    splits = evidence.splits()
    ids = next(part for part in (splits.test, splits.valid, splits.train) if part is not None and len(part) > READ[1])
    passages, length = min(READ[0], len(ids) // READ[1]), READ[1]
    return ids[: passages * length].view(passages, length).long()


def _followed(evidence: "Evidence") -> "Figure | str":
    """The three things that units follow most closely, each over the passage in which it changes most."""
    from deepclassics.data.kinds.text import decode
    from deepclassics.report.activity import celled, coloured, correlations, features, states

    model, ids = evidence.model, _read(evidence)
    assert isinstance(model, CharRNN)
    with untraced(model):
        held = states(model.recurrent, model.embed(ids))  # (B, T, U)
    if celled(model(ids[:, :1])[1]):
        held = held.tanh()
    text = decode(ids.flatten(), evidence.spec)
    known = features(text)
    if not known:
        return "Nothing that is looked for changes in this text."
    table = torch.stack(list(known.values()), 1).view(*ids.shape, -1)
    middle = ids.shape[1] // 2
    halves = slice(50, middle), slice(middle, None)  # at first a passage is without a past
    pick, judge = (correlations(held[:, half].flatten(0, 1), table[:, half].flatten(0, 1)) for half in halves)
    picked = pick.abs().argmax(0)
    best = sorted(
        ((float(judge[unit, k]), int(unit), k) for k, unit in enumerate(picked)), key=lambda one: -abs(one[0])
    )
    shown: dict[int, tuple[str, str, Tensor]] = {}  # a unit is shown once, with what it follows best
    for value, unit, k in best:
        if unit not in shown and len(shown) < 3:
            begin, end = _liveliest(table[..., k], text)
            title = f"{_named(model, unit)}: {list(known)[k]}, r = {value:.2f}"
            shown[unit] = title, text[begin:end], held[..., unit].flatten()[begin:end]
    return coloured(list(shown.values()))


def _named(model: CharRNN, unit: int) -> str:
    """A unit of all layers' as its layer counts it."""
    layer, number = divmod(unit, model.recurrent.hidden)
    return f"Unit {number}" + (f" of layer {layer + 1}" if model.recurrent.layers > 1 else "")


def _liveliest(feature: Tensor, text: str) -> tuple[int, int]:  # (B, T)
    """Where a picture shows a feature: the 500 characters in which it varies most, from the beginning of a line on."""
    line, size = feature.flatten().double(), 500
    sums = F.pad(torch.stack([line, line.square()]).cumsum(1), (1, 0))
    mean, square = (sums[:, size:] - sums[:, :-size]) / size
    begin = int((square - mean.square()).argmax())
    begin = text.rfind("\n", 0, begin) + 1
    return begin, min(len(text), begin + size)


# --- the language a^n b^n


def _ids(model: CharRNN, vocabulary: list[str], text: str) -> Tensor:  # -> (1, T)
    return torch.tensor([[vocabulary.index(c) for c in text]], device=model.output.weight.device)


def counted(model: CharRNN, vocabulary: list[str]) -> list[bool]:
    """For every n from 1 to COUNTED, whether the net tells all b's but the first, and the end, of a line with n a's.

    The first b is chance. The line before it is a short, a middling or a long one; after each it must be right.
    """
    before = ["a" * m + "b" * m + "\n" for m in (1, 5, 10)]
    right = []
    for n in range(1, COUNTED + 1):
        own = "a" * n + "b" * n + "\n"
        ok = True
        for line in before:
            ids = _ids(model, vocabulary, line + own)
            told = model(ids[:, :-1])[0][0].argmax(1)
            judged = slice(len(line) + n, None)  # what comes after the first b is read
            ok = ok and bool((told[judged] == ids[0, 1:][judged]).all())
        right.append(ok)
    return right


def counter(model: CharRNN, vocabulary: list[str]) -> tuple[int, float, Tensor, Tensor]:
    """The unit whose state is nearest to a straight line in the a's that wait for their b: its number, R², the counts,
    and what it carries at each, over lines with n from 1 to 15, each after a line of five."""
    from deepclassics.report.activity import correlations, states

    before, held, counts = "aaaaabbbbb\n", [], []
    for n in range(1, 16):
        ids = _ids(model, vocabulary, before + "a" * n + "b" * n)
        held.append(states(model.recurrent, model.embed(ids))[0, len(before) :])
        counts += [*range(1, n + 1), *range(n - 1, -1, -1)]
    units, count = torch.cat(held), torch.tensor(counts, dtype=torch.float32)
    shares = correlations(units, count[:, None])[:, 0].square()
    unit = int(shares.argmax())
    return unit, float(shares[unit]), count, units[:, unit]


def _count(evidence: "Evidence") -> "Figure":
    from deepclassics.report.activity import counting, states

    model, vocabulary = evidence.model, evidence.spec["vocabulary"]
    assert isinstance(model, CharRNN)
    with untraced(model):
        unit, share, counts, values = counter(model, vocabulary)
        before, line = "aaaaabbbbb\n", "aaaabbbb\naaaaaaaabbbbbbbb\n"
        units = states(model.recurrent, model.embed(_ids(model, vocabulary, before + line)))[0, len(before) :]
    return counting(line, units, unit, counts, values, f"{_named(model, unit)}, n up to 15: R² = {share:.4f}")


def write(model: nn.Module) -> dict[str, Tensor]:
    """200 characters at temperature 0.8 from the first one of the vocabulary, for the report."""
    assert isinstance(model, CharRNN)
    device = model.output.weight.device
    return {"text": model.sample(torch.zeros(1, dtype=torch.int64, device=device), 200, 0.8)}
