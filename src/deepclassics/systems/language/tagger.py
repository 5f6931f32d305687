"""Tagger: a bidirectional recurrent net that marks the names in a sentence, each word with a tag.

Source: Z. Huang, W. Xu, K. Yu, Bidirectional LSTM-CRF models for sequence tagging (2015); G. Lample et al., Neural
architectures for named entity recognition (2016), whose rule for rare words it is; X. Ma, E. Hovy, End-to-end sequence
labeling via bi-directional LSTM-CNNs-CRF (2016), whose convolution over letters it is. Notes: S216, S224.

Departures from the paper: Adam with a rate that falls to 0 in place of plain descent over a hundred passes; batches of
sentences of like length in place of single ones; a word's capitals are an embedding beside words and letters (Collobert
et al. 2011), and Huang's other spelling and context features are left out; dropout before and after the recurrent
layers; vectors from outside are read for the words of the training part alone. No pair of tags is forbidden: what the
random field makes of those that break the scheme is seen in the report, and how many it gives is the score "broken".

Expected: bulletins, F1 above 0.95 on templates that it never saw, in a quarter of a minute; conll2003 with --hidden 150
--epochs 25 --lr 0.002, test F1 0.8507 (seed 0).

Letters: B sentences, T words, C letters of a word, K tags.
"""

from typing import TYPE_CHECKING, Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from deepclassics import metrics, vectors
from deepclassics.data import load
from deepclassics.data.kinds.tagged import CAPITALS
from deepclassics.data.streams import Batch, Data, Stream
from deepclassics.data.tags import bounds, broken, numbered, recast
from deepclassics.data.words import Reading
from deepclassics.layers.crf import CRF
from deepclassics.layers.recurrent import Recurrent
from deepclassics.learn import Backprop, Learner, Scores, optimizer
from deepclassics.loop import Plan
from deepclassics.recipe import BatchSize, Clip, Course, Decay, Epochs, Picture, Published, Rate, Recipe, Rule, Share
from deepclassics.schedules import NAMED, warmed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from deepclassics.report.evidence import Evidence

WIDTH = 3  # letters under a filter (Ma and Hovy 2016, table 1)


class Tagger(nn.Module):
    """Words, letters and capitals as numbers, a recurrent net that reads them both ways, and a score for each tag.

    `once` is the number of the vocabulary's last word that comes more than once, and `word_dropout` the share of those
    after it that are read as unknown in training (Lample et al. 2016, section 4.3).
    """

    def __init__(
        self,
        words: int,
        once: int,
        letters: int,
        tags: int,
        *,
        cell: Literal["rnn", "lstm", "gru"],
        hidden: int,
        layers: int,
        embedding: int,
        letter_embedding: int,
        filters: int,
        capitals: int,
        crf: bool,
        dropout: float,
        word_dropout: float,
    ) -> None:
        super().__init__()
        self.once, self.word_dropout = once, word_dropout
        self.words = nn.Embedding(words, embedding)
        inputs = embedding
        self.letters = self.filters = self.capitals = None
        if filters:
            self.letters = nn.Embedding(letters, letter_embedding, padding_idx=0)
            self.filters = nn.Conv1d(letter_embedding, filters, WIDTH, padding=WIDTH - 1)
            inputs += filters
            bound = (3 / letter_embedding) ** 0.5
            nn.init.uniform_(self.letters.weight, -bound, bound)
        if capitals:
            self.capitals = nn.Embedding(len(CAPITALS) + 1, capitals)
            inputs += capitals
        self.recurrent = Recurrent(cell, inputs, hidden, layers, dropout=dropout, bidirectional=True)
        self.output = nn.Linear(self.recurrent.outputs, tags)
        self.crf = CRF(tags) if crf else None
        self.dropout = nn.Dropout(dropout)
        bound = (3 / embedding) ** 0.5  # Ma and Hovy 2016, section 3.1
        nn.init.uniform_(self.words.weight, -bound, bound)

    def forward(self, batch: Batch) -> Tensor:  # ids (B, T), letters (B, T, C), capitals (B, T) -> (B, T, K)
        ids = batch["ids"]
        lengths = (ids != 0).sum(1)
        if self.training and self.word_dropout:
            rare = (ids > self.once) & (torch.rand(ids.shape, device=ids.device) < self.word_dropout)
            ids = ids.masked_fill(rare, 1)
        pieces = [self.words(ids)]
        if self.letters is not None and self.filters is not None:
            found = self.filters(self.letters(batch["letters"].flatten(0, 1)).transpose(1, 2))  # (BT, filters, C + 2)
            pieces.append(found.amax(2).view(*ids.shape, -1))
        if self.capitals is not None:
            pieces.append(self.capitals(batch["capitals"]))
        hidden, _ = self.recurrent(self.dropout(torch.cat(pieces, 2)), None, lengths)
        return self.output(self.dropout(hidden))

    def loss(self, scores: Tensor, tags: Tensor, mask: Tensor) -> Tensor:  # (B, T, K), (B, T), (B, T) bool -> (B,)
        """-log p of the right tags, numbered from 0, in nats a sentence."""
        if self.crf is not None:
            return self.crf(scores, tags, mask)
        each = F.cross_entropy(scores.flatten(0, 1).float(), tags.flatten(), reduction="none")
        return (each.view(tags.shape) * mask).sum(1)

    def best(self, scores: Tensor, mask: Tensor) -> Tensor:  # (B, T, K), (B, T) bool -> (B, T)
        """The likeliest tags, numbered from 0."""
        return scores.argmax(2) if self.crf is None else self.crf.best(scores, mask)


class TaggerRecipe(Recipe):
    """A tagger on sentences whose words have tags."""

    takes = ("tagged",)
    gives = ("tags",)
    published = (
        Published(
            on="conll2003",
            score="test/f1",
            value=0.8363,
            source="Lample et al. 2016, section 5.4: LSTM-CRF without outside vectors, 90.94 less 7.31",
            protocol={"optimizer": "sgd", "epochs": 100, "batch": 1, "hidden": 100, "capitals": 0, "scheme": "BIOES"},
            when={"vectors": "none", "output": "crf"},
        ),
        Published(
            on="conll2003",
            score="test/f1",
            value=0.8426,
            source="Huang et al. 2015, section 4: BiLSTM-CRF with spelling and context features, random vectors",
            protocol={"features": "spelling, prefixes and suffixes, pairs and triples of words"},
            when={"vectors": "none", "output": "crf"},
        ),
        Published(
            on="conll2003",
            score="test/f1",
            value=0.8076,
            source="Ma and Hovy 2016, table 6: BLSTM-CNNs-CRF with random vectors",
            protocol={"optimizer": "momentum", "hidden": 200, "filters": 30, "capitals": 0, "scheme": "BIOES"},
            when={"vectors": "none", "output": "crf"},
        ),
        Published(
            on="conll2003",
            score="test/f1",
            value=0.9094,
            source="Lample et al. 2016, table 1: LSTM-CRF",
            protocol={"optimizer": "sgd", "epochs": 100, "batch": 1, "vectors": "skip-n-gram on Gigaword, 100 numbers"},
            when={"output": "crf"},
        ),
        Published(
            on="conll2003",
            score="test/f1",
            value=0.8936,
            source="Ma and Hovy 2016, table 3: BLSTM-CNNs, tags by themselves",
            protocol={"optimizer": "momentum", "hidden": 200, "vectors": "GloVe, 100 numbers"},
            when={"output": "softmax"},
        ),
    )

    data: str = Field("bulletins", description="a named set of tagged words, or a file of columns or JSON lines")
    output: Literal["crf", "softmax"] = Field("crf", description="tags chosen together, or each by itself")
    scheme: Literal["BIO", "BIOES"] = Field("BIOES", description="of the tags that are learnt, whatever the data's")
    cell: Literal["rnn", "lstm", "gru"] = Field("lstm", description="the recurrent cell")
    layers: int = Field(1, ge=1, le=16, description="recurrent layers on top of each other")
    hidden: int = Field(100, ge=1, description="units of each layer in each direction")
    embedding: int = Field(100, ge=1, description="numbers that stand for a word")
    letter_embedding: int = Field(30, ge=1, description="numbers that stand for a letter")
    filters: int = Field(50, ge=0, description="of three letters, over each word; 0: no letters")
    capitals: int = Field(10, ge=0, description="numbers that stand for a word's kind of capitals; 0: none")
    dropout: float = Field(0.5, ge=0, lt=1, description="share of what the recurrent layers read and give left out")
    word_dropout: float = Field(0.5, ge=0, lt=1, description="share of words that come once read as unknown ones")
    vectors: str | None = Field(None, description="what words start from: a file of vectors, or a run folder of cbow")
    epochs: Epochs = 5
    batch: BatchSize = 16
    lr: Rate = 3e-3
    optimizer: Rule = "adam"
    schedule: Course = "linear"
    warmup: float = Field(0.0, ge=0, lt=1, description="share of the run over which the rate rises from 0")
    l2: Decay = Field(0.0, description="weight decay")
    clip_norm: Clip = Field(5.0, description="bound on the norm of the gradient")
    lower: bool = Field(True, description="words looked up in lower case; letters and capitals see them as they are")
    vocabulary: int = Field(100_000, ge=1, description="so many commonest words are known")
    least: int = Field(1, ge=1, description="words that come less often are unknown")
    longest: int = Field(200, ge=1, description="words of a sentence; the rest is cut off")
    valid: Share = Field(0.1, description="share of the sentences to choose by, where the source has no such part")
    test: Share = Field(0.2, description="share of the sentences to judge by, where the source has no such part")

    def load(self) -> Data:
        reading = Reading(lower=self.lower, vocabulary=self.vocabulary, least=self.least, longest=self.longest)
        found = load(self.data, self.takes, seed=self.seed, valid=self.valid, test=self.test, reading=reading)
        return found.shuffled(self.batch, self.seed)

    def reload(self, spec: dict[str, Any]) -> Data:
        data = self.load()
        data.spec["told"] = spec["told"]  # with what was told of the vectors
        return data

    def model(self, spec: dict[str, Any]) -> Tagger:
        return Tagger(
            len(spec["vocabulary"]),
            len(spec["vocabulary"]) - 1 - spec["once"],
            len(spec["letters"]),
            len(numbered(spec["target"]["types"], self.scheme)) - 1,
            cell=self.cell,
            hidden=self.hidden,
            layers=self.layers,
            embedding=self.embedding,
            letter_embedding=self.letter_embedding,
            filters=self.filters,
            capitals=self.capitals,
            crf=self.output == "crf",
            dropout=self.dropout,
            word_dropout=self.word_dropout,
        )

    def inherit(self, model: nn.Module, spec: dict[str, Any]) -> None:
        if self.vectors is None:
            return
        assert isinstance(model, Tagger)
        vectors.into(model.words.weight, spec, self.vectors, self.name())

    def learner(self, model: nn.Module) -> Backprop:
        def objective(model: nn.Module, batch: Batch) -> Scores:
            """-log p of the right tags, in nats a sentence."""
            assert isinstance(model, Tagger)
            mask = batch["ids"] != 0
            tags = (self.targets(batch["tags"]) - 1).clamp(min=0)
            return {"loss": model.loss(model(batch), tags, mask).mean()}

        def judge(model: nn.Module, stream: Stream) -> Scores:
            assert isinstance(model, Tagger)
            loss, count, counts = 0.0, 0, torch.zeros(3)
            wrong = words = against = 0
            for batch in stream:
                mask, scores = batch["ids"] != 0, model(batch)
                right = self.targets(batch["tags"])
                loss += float(model.loss(scores, (right - 1).clamp(min=0), mask).double().sum())
                count += len(mask)
                given = (model.best(scores, mask) + 1) * mask
                counts += metrics.entity_counts(bounds(given, self.scheme), bounds(right, self.scheme)).cpu()
                wrong, words = wrong + int((given != right).sum()), words + int(mask.sum())
                against += int(broken(given, self.scheme).sum())
            precision, recall, f1 = metrics.precision_recall_f1(counts)
            return {
                "loss": loss / count,
                "error": wrong / words,
                "f1": f1,
                "precision": precision,
                "recall": recall,
                "broken": against,
            }

        return Backprop(
            model,
            objective,
            optimizer(self.optimizer, model, self.lr, l2=self.l2),
            judge=judge,
            schedule=warmed(NAMED[self.schedule], self.warmup),
            clip_norm=self.clip_norm,
        )

    def targets(self, tags: Tensor) -> Tensor:  # (B, T) -> (B, T)
        """Tags of the data, by number, in the scheme that is learnt."""
        return recast(tags, self.scheme)

    def plan(self, data: Data) -> Plan:
        return Plan.passes(self.epochs, data.train, watch="valid/f1" if data.valid is not None else "")

    def answer(self, model: nn.Module, question: Batch, options: Any) -> Batch:
        """The tags of all words end to end, (S,), in the scheme BIO."""
        assert isinstance(model, Tagger)
        mask = question["ids"] != 0
        given = (model.best(model(question), mask) + 1) * mask
        begins, kind, _ = bounds(given, self.scheme)
        tags = torch.where(kind > 0, 2 * kind + (~begins).long(), 1)[mask]
        return {"tags": tags, **({"words": question["words"]} if "words" in question else {})}

    def protocol(self, spec: dict[str, Any]) -> dict[str, Any]:
        return {
            "vectors": self.vectors or "none",
            "features": "letters and capitals" if self.filters and self.capitals else "fewer than letters and capitals",
        }

    def pictures(self, evidence: "Evidence") -> list[Picture]:
        from deepclassics.report import curves, marking

        found = [curves.picture(evidence), *marking.pictures(evidence)]
        if self.output == "softmax":
            return found

        def table() -> "Figure":
            model = evidence.model
            assert isinstance(model, Tagger)
            assert model.crf is not None
            field = model.crf
            tags = numbered(evidence.spec["target"]["types"], self.scheme)[1:]
            return marking.transitions(
                field.first.detach(), field.transitions.detach(), field.last.detach(), tags, self.scheme
            )

        caption = (
            "What the conditional random field adds to a sentence's score for every pair of neighbours: blue where "
            f"the later tag is favoured, orange where it is kept away. A cross marks what the scheme {self.scheme} "
            "forbids: nobody told it."
        )
        return [*found, Picture("Which tag follows which", caption, table)]

    def conclude(self, learner: Learner, data: Data) -> tuple[dict[str, float], list[str]]:
        if data.test is None:
            return {}, ["There are no test sentences: take more of them, or a --test above 0, to judge the tagger."]
        return {}, []
