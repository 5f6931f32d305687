"""RNN language model: a recurrent net that reads text a word at a time and gives the next one's probability.

Source: T. Mikolov et al., Recurrent neural network based language model (2010), for the Elman net (`--cell sigmoid`),
its cache and its learning while it is tested; W. Zaremba, I. Sutskever, O. Vinyals, Recurrent neural network
regularization (2014), sections 3 and 4.1, for the LSTM, whose small net the defaults are; O. Press, L. Wolf (2017) for
`--tie`; E. Grave, A. Joulin, N. Usunier (2017), eq. 2-5, for the cache. Notes: S217, S262; S254, S256.

    x(t) = [w(t), s(t - 1)],  s_j(t) = f(sum_i x_i(t) u_ji),  y_k(t) = g(sum_j s_j(t) v_kj),  g the softmax

Departures from the paper: losses are means over words, where Zaremba sums over the 20 of a chunk: his rate 1 and bound
5 on the gradient are 20 and 0.25 here. Every pass cuts the text at another place. The Elman net learns from 20
stretches at once in place of one, through chunks in place of five steps for each word, and has an embedding in place of
one-hot words times a matrix (the same function), and biases. Judged is all of a text but its first word.

Expected: pydocs in a minute and a half on one core; its validation perplexity is 62 after 1.6 of the four passes and 51
after 2.4. Penn Treebank by the small LSTM in eight passes: a test perplexity of 111.1, with the cache 94.0, learning on
100.9; 114.5 is published, after thirteen. By the Elman net (`--cell sigmoid --layers 1 --hidden 250 --epochs 6`) 133.7,
where 124.7 is published. Zaremba's schedule is `--schedule halving --epochs 13`; his medium net `--hidden 650
--embedding 650 --chunk 35 --dropout 0.5 --bound 0.05 --lr 35 --clip-norm 0.14 --epochs 39`, for a GPU. The papers'
vocabulary takes `--least 1`.

Letters: B streams of text, T words of a chunk, V words of the vocabulary, D numbers of an embedding, H hidden units,
L layers, N words that a cache holds.
"""

import copy
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal, Self

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from deepclassics.data import load
from deepclassics.data.streams import Batch, Chunks, Data, Passage, Stream
from deepclassics.data.words import Reading, Rule
from deepclassics.flags import Knobs
from deepclassics.layers.drawing import drawn
from deepclassics.layers.recurrent import Cell, Recurrent, State
from deepclassics.learn import Learner, Scores, TruncatedBackprop, descend, detached, optimizer, untraced
from deepclassics.loop import Plan
from deepclassics.recipe import BatchSize, Clip, Course, Decay, Epochs, Picture, Published, Rate, Recipe, Share
from deepclassics.recipe import Rule as Descent
from deepclassics.schedules import NAMED

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from deepclassics.report.evidence import Evidence

RATES = (0.0, 0.5, 2.0, 8.0)  # of learning while tested, of which the one that is best on validation text is taken
THETAS = (0.0, 0.3)  # flatness of the cache: 0 counts words alike, more prefers what came in a like state
WEIGHTS = tuple(k / 20 for k in range(11))  # of the cache in the mixture
MOST = 700.0  # nats: the exponential of a larger loss is no number
USUAL = {"momentum": 2, "nesterov": 2, "adagrad": 0.05, "rmsprop": 0.002, "adadelta": 5, "adam": 0.002, "adamw": 0.002}
ENOUGH = 20_000  # words of the validation text that rate and weight are chosen on


class SigmoidRecurrent(nn.Module):
    """Elman's net with the sigmoid, s(t) = sigmoid(W x(t) + U s(t - 1) + b), stacked.

    As sigmoid(z) = (1 + tanh(z/2)) / 2, it is an Elman net with tanh in u = 2 s - 1, of weights W/2 and U/4 and bias
    b/2 + U1/4, for which torch has a kernel.
    """

    def __init__(self, inputs: int, hidden: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.hidden, self.layers, self.dropout = hidden, layers, dropout
        for layer in range(layers):
            self.register_parameter(
                f"weight_ih_l{layer}", nn.Parameter(torch.empty(hidden, hidden if layer else inputs))
            )
            self.register_parameter(f"weight_hh_l{layer}", nn.Parameter(torch.empty(hidden, hidden)))
            self.register_parameter(f"bias_l{layer}", nn.Parameter(torch.empty(hidden)))

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:  # (B, T, D), (L, B, H) -> (B, T, H), ..
        if state is None:
            state = x.new_zeros(self.layers, len(x), self.hidden)
        assert isinstance(state, Tensor)
        after = []
        for layer in range(self.layers):
            if layer:
                x = F.dropout(x, self.dropout, self.training)
            w, u, b = (self.get_parameter(f"{name}_l{layer}") for name in ("weight_ih", "weight_hh", "bias"))
            bias = b / 2 + u.sum(1) / 4
            weights = [w / 2, u / 4, bias, torch.zeros_like(bias)]
            begun, backward = 2 * state[layer : layer + 1] - 1, torch.is_grad_enabled()  # cuDNN must know in advance
            out, last = torch.rnn_tanh(x, begun, weights, True, 1, 0.0, backward, False, True)
            x = (1 + out) / 2
            after.append((1 + last) / 2)
        return x, torch.cat(after)


class WordRNN(nn.Module):
    """Embedding, `layers` recurrent layers of `hidden` units, and an affine map to a score for each word.

    Where it is `tied`, the map's matrix is the embedding. All weights begin between -`bound` and `bound`.
    """

    def __init__(
        self,
        vocabulary: int,
        cell: str,
        embedding: int,
        hidden: int,
        layers: int,
        dropout: float,
        tied: bool,
        bound: float,
    ) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocabulary, embedding)
        self.recurrent: nn.Module = (
            SigmoidRecurrent(embedding, hidden, layers, dropout)
            if cell == "sigmoid"
            else Recurrent(cell, embedding, hidden, layers, dropout=dropout)  # type: ignore[arg-type]
        )
        self.output = None if tied else nn.Parameter(torch.empty(vocabulary, hidden))
        self.bias = nn.Parameter(torch.empty(vocabulary))
        self.dropout = nn.Dropout(dropout)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def read(self, ids: Tensor, state: State = None) -> tuple[Tensor, State]:  # (B, T), state -> (B, T, H), state
        """What the top layer holds after each word, and the state after the last; None is all zeros."""
        hidden, state = self.recurrent(self.dropout(self.embed(ids)), state)
        return self.dropout(hidden), state

    def score(self, hidden: Tensor) -> Tensor:  # (..., H) -> (..., V)
        # Of numbers that do not lie in a row torch takes the product first and then adds the bias to each score.
        return F.linear(hidden.contiguous(), self.embed.weight if self.output is None else self.output, self.bias)

    def forward(self, ids: Tensor, state: State = None) -> tuple[Tensor, State]:  # (B, T), state -> (B, T, V), state
        hidden, state = self.read(ids, state)
        return self.score(hidden), state

    def sample(self, ids: Tensor, length: int, temperature: float, never: int) -> Tensor:  # (T,) -> (length,)
        """`length` words after `ids`, each drawn from the softmax at that temperature; 0 takes the likeliest. The word
        `never` is not drawn."""
        written, state = [], None
        feed = ids.view(1, -1)
        for _ in range(length):
            hidden, state = self.read(feed, state)
            written.append(drawn(self.score(hidden[0, -1]), temperature, never))
            feed = written[-1].view(1, 1)
        return torch.cat(written)


def objective(model: nn.Module, batch: Batch, state: State) -> tuple[Scores, State]:
    """The mean cross-entropy of the next word, in nats, and the state after the chunk."""
    scores, state = model(batch["ids"], state)
    return {"loss": F.cross_entropy(scores.flatten(0, 1), batch["targets"].flatten())}, state


def walk(model: nn.Module, stream: Stream) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """A text read from end to end: what the top layer holds before each word, (B, T, H), the words, (B, T), and the
    logarithms of their probabilities, in nats, (B, T)."""
    assert isinstance(model, WordRNN)
    state: State = None
    for batch in stream:
        hidden, state = model.read(batch["ids"], None if batch["fresh"] else state)
        targets = batch["targets"]
        loss = F.cross_entropy(model.score(hidden).flatten(0, 1), targets.flatten(), reduction="none")
        yield hidden, targets, -loss.view_as(targets)


def judge(model: nn.Module, stream: Stream) -> Scores:
    """The mean loss of a word over a text, in nats, and the perplexity, its exponential."""
    losses = torch.cat([-found.flatten() for _, _, found in walk(model, stream)])
    loss = losses.double().mean()
    return {"loss": loss, "perplexity": loss.exp()}


def cached(model: nn.Module, stream: Stream, words: int) -> Tensor:
    """The mean loss over a text, in nats, of mixtures with a cache, for every flatness and weight: (THETAS, WEIGHTS).

    The cache holds the last N `words`, x, and the state h before each. It gives the next word, where the state is h',
    the probability sum_i 1{x_i = w} exp(theta h'h_i) / sum_i exp(theta h'h_i) (Grave et al. 2017, eq. 2); with a theta
    of 0 it counts them, as that of Kuhn and De Mori (1990). One stretch of text is read.
    """
    thetas, weights = torch.tensor(THETAS), torch.tensor(WEIGHTS, dtype=torch.float64)
    total, count = torch.zeros(len(THETAS), len(WEIGHTS), dtype=torch.float64), 0
    held: tuple[Tensor, Tensor] | None = None
    for hidden, targets, logs in walk(model, stream):
        assert len(hidden) == 1, "a cache follows one text"
        hidden, targets, logs = hidden[0].float().cpu(), targets[0].cpu(), logs[0].double().cpu()
        keys, known = (
            (hidden, targets) if held is None else (torch.cat([held[0], hidden]), torch.cat([held[1], targets]))
        )
        place = torch.arange(len(known) - len(targets), len(known))[:, None]
        number = torch.arange(len(known))
        inside = (number < place) & (number >= place - words)  # (T, N + T)
        alike = thetas[:, None, None] * (hidden @ keys.T)
        mass = alike.masked_fill(~inside, -math.inf).softmax(2).nan_to_num(0.0)  # the first word has no past
        share = (mass * (known == targets[:, None])).sum(2).double()  # (THETAS, T)
        mixed = (1 - weights) * logs.exp()[:, None] + weights * share[:, :, None]
        mixed[:, ~inside.any(1)] = logs[~inside.any(1)].exp()[:, None]
        total -= mixed.log().sum(1)
        count += len(targets)
        held = keys[-words:], known[-words:]
    return total / count


def learning_on(
    model: nn.Module, stream: Passage, chunk: int, lr: float, clip_norm: float | None, clip_value: float | None = None
) -> float:
    """The mean loss over a text, in nats, of a copy that goes on learning from what it was just tested on, a chunk at
    a time (Mikolov et al. 2010, section 2: dynamic). The model itself stays as it is. A rate of 0 is not learning."""
    net = copy.deepcopy(model).eval()
    rule = torch.optim.SGD(net.parameters(), lr, fused=True)
    state, total, count = None, 0.0, 0
    with torch.set_grad_enabled(lr > 0):
        for batch in Passage(stream.ids, 1, chunk):
            scores, state = objective(net, batch, None if batch["fresh"] else state)
            total += float(scores["loss"].detach()) * batch["ids"].numel()
            count += batch["ids"].numel()
            if lr:
                descend(rule, scores["loss"], clip_norm, clip_value)
            state = detached(state)
    return total / count


class Sampling(Knobs):
    """What predict can be told."""

    length: int = Field(50, ge=1, description="words to write")
    temperature: float = Field(0.8, ge=0, description="below 1 plays safe, above 1 dares; 0 takes the likeliest")


SMALL = {"cell": "lstm", "layers": 2, "hidden": 200}
MEDIUM = {"cell": "lstm", "layers": 2, "hidden": 650}


class RNNLMRecipe(Recipe):
    """A recurrent language model of words."""

    takes = ("text",)
    gives = ("text",)
    options = Sampling
    published = (
        Published(
            on="ptb",
            score="test/perplexity",
            value=114.5,
            source="Zaremba, Sutskever, Vinyals 2014, table 1: non-regularized LSTM",
            protocol={"epochs": 13, "schedule": "halving", "dropout": 0.0, "tie": False, "vocabulary": 10_000},
            when=SMALL,
        ),
        Published(
            on="ptb",
            score="test/perplexity",
            value=82.7,
            source="Zaremba, Sutskever, Vinyals 2014, table 1: medium regularized LSTM",
            protocol={
                "epochs": 39,
                "schedule": "constant for 6 epochs, then divided by 1.2 each",
                "dropout": 0.5,
                "chunk": 35,
                "tie": False,
                "vocabulary": 10_000,
            },
            when=MEDIUM,
        ),
        Published(
            on="ptb",
            score="test/perplexity",
            value=124.7,
            source="Mikolov, Zweig 2012: RNNLM",
            protocol={"layers": 1, "dropout": 0.0, "batch": 1, "vocabulary": 10_000},
            when={"cell": "sigmoid"},
        ),
    )

    data: str = Field("pydocs", description="a named set of text, a text file, or a folder of them")
    cell: Literal[Cell, "sigmoid"] = Field("lstm", description="the recurrent cell; sigmoid: Elman's with the sigmoid")
    layers: int = Field(2, ge=1, le=16, description="recurrent layers on top of each other")
    hidden: int = Field(200, ge=1, description="units of each layer")
    embedding: int = Field(200, ge=1, description="numbers that stand for a word")
    tie: bool = Field(False, description="the output's matrix is the embedding")
    dropout: float = Field(0.0, ge=0, lt=1, description="share left out of the embedding, between layers and on top")
    bound: float = Field(0.1, gt=0, description="all weights begin between this below 0 and this above")
    chunk: int = Field(20, ge=1, description="words that the gradient goes back through")
    epochs: Epochs = 4
    batch: BatchSize = 20
    lr: Rate = Field(20.0, description="learning rate; other optimizers than sgd want one of their own")
    optimizer: Descent = "sgd"
    schedule: Course = "linear"
    l2: Decay = Field(0.0, description="weight decay")
    clip_value: Clip = Field(None, description="bound on every single gradient")
    clip_norm: Clip = Field(0.25, description="bound on the norm of the gradient")
    cache: int = Field(500, ge=0, description="last words that the cache holds when the end is judged; 0: no cache")
    continuous: bool = Field(True, description="judge the end also by a net that goes on learning while it is tested")
    rule: Rule = Field("auto", description="how texts are cut into words")
    lower: bool = Field(False, description="read capital letters as small ones")
    vocabulary: int = Field(10_000, ge=2, description="so many commonest words are known")
    least: int = Field(2, ge=1, description="words that come less often are unknown")
    valid: Share = Field(0.05, description="share of the training text, its end, to choose by")
    test: Share = Field(0.1, description="share of the text, its end, to judge by, where the set has no test part")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.tie and self.embedding != self.hidden:
            raise ValueError(f"embedding must be hidden, {self.hidden}, where they are tied; got {self.embedding}.")
        if self.optimizer != "sgd" and self.lr == type(self).model_fields["lr"].default:
            raise ValueError(
                f"lr must be chosen with the optimizer {self.optimizer}: {self.lr:g} is a rate for sgd; "
                f"for example --lr {USUAL[self.optimizer]:g}."
            )
        return self

    def load(self) -> Data:
        reading = Reading(self.rule, self.lower, self.vocabulary, self.least)
        found = load(self.data, self.takes, seed=self.seed, valid=self.valid, test=self.test, reading=reading)
        looks = [None if ids is None or len(ids) < 2 else Passage(ids, 1) for ids in (found.valid, found.test)]
        return Data(found.spec, Chunks(found.train, self.batch, self.chunk, self.seed, unit="words"), *looks)

    def model(self, spec: dict[str, Any]) -> WordRNN:
        return WordRNN(
            len(spec["vocabulary"]),
            self.cell,
            self.embedding,
            self.hidden,
            self.layers,
            self.dropout,
            self.tie,
            self.bound,
        )

    def learner(self, model: nn.Module) -> TruncatedBackprop:
        return TruncatedBackprop(
            model,
            objective,
            optimizer(self.optimizer, model, self.lr, l2=self.l2),
            judge=judge,
            schedule=NAMED[self.schedule],
            clip_norm=self.clip_norm,
            clip_value=self.clip_value,
            snapshot=write,
        )

    def plan(self, data: Data) -> Plan:
        return Plan.passes(self.epochs, data.train, looks=max(5, min(20, int(self.epochs))))

    def answer(self, model: nn.Module, question: Batch, options: Sampling) -> Batch:
        assert isinstance(model, WordRNN)
        return {"text": [model.sample(ids, options.length, options.temperature, never=0) for ids in question["ids"]]}

    def protocol(self, spec: dict[str, Any]) -> dict[str, Any]:
        return {"training words": spec["examples"]["train"], "vocabulary": len(spec["vocabulary"])}

    def pictures(self, evidence: "Evidence") -> list[Picture]:
        from deepclassics.report import curves, passage
        from deepclassics.report.neighbours import NEAREST, families
        from deepclassics.report.rarity import RARITY, by_rarity

        def rarity() -> "Figure":
            splits, model = evidence.splits(), evidence.model
            ids = splits.test if splits.test is not None else splits.train
            with untraced(model):
                found = [(targets, logs) for _, targets, logs in walk(model, Passage(ids[:ENOUGH], 1))]
            words, logs = (torch.cat([pair[place][0] for pair in found]) for place in (0, 1))
            return by_rarity(words, {"this net": logs}, splits.train, evidence.spec["vocabulary"])

        def close() -> str:
            assert isinstance(evidence.model, WordRNN)
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
        """Perplexity with a cache, and that of a net that goes on learning; their settings are chosen on validation
        text."""
        if not isinstance(data.valid, Passage) or not isinstance(data.test, Passage):
            return {}, []
        scores, remarks = {}, []
        chosen = Passage(data.valid.ids[:ENOUGH], 1)
        if self.cache:
            with untraced(learner.model):
                theta, weight = divmod(int(cached(learner.model, chosen, self.cache).argmin()), len(WEIGHTS))
                loss = float(cached(learner.model, data.test, self.cache)[theta, weight])
            scores["test/perplexity_with_cache"] = math.exp(loss)
            remarks.append(
                f"With a cache of the last {self.cache} words, flatness {THETAS[theta]:g} and weight "
                f"{WEIGHTS[weight]:g} as is best on validation text, the test perplexity is {math.exp(loss):.1f}."
            )
        if self.continuous:

            def loss_at(rate: float, text: Passage) -> float:
                return learning_on(learner.model, text, self.chunk, rate, self.clip_norm, self.clip_value)

            losses = {rate: loss_at(rate, chosen) for rate in RATES}
            rate = min((rate for rate in RATES if losses[rate] < MOST), key=losses.__getitem__)
            loss = loss_at(rate, data.test)
            if loss < MOST:
                scores["test/perplexity_learning_on"] = math.exp(loss)
                remarks.append(
                    f"Where the net goes on learning while it is tested, at a rate of {rate:g} as is best on "
                    f"validation text, the test perplexity is {math.exp(loss):.1f}."
                )
            else:
                remarks.append(f"Learning on while it is tested, at a rate of {rate:g}, the net diverged.")
        return scores, remarks


def write(model: nn.Module) -> dict[str, Tensor]:
    """60 words at temperature 0.8 after the end of a line, or after the first word, for the report."""
    assert isinstance(model, WordRNN)
    device = model.bias.device
    return {"text": model.sample(torch.ones(1, dtype=torch.int64, device=device), 60, 0.8, never=0)}
