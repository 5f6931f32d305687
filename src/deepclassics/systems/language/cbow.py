"""CBOW (word2vec): a vector for every word, learnt by guessing a word from the mean of its neighbours' vectors.

Source: T. Mikolov, K. Chen, G. Corrado, J. Dean, Efficient estimation of word representations in vector space (2013a);
T. Mikolov, I. Sutskever, K. Chen, G. Corrado, J. Dean, Distributed representations of words and phrases and their
compositionality (2013b): negative sampling (eq. 4), hierarchical softmax (eq. 3), subsampling (eq. 5, in the form of
the authors' program), phrases (eq. 6). Notes: S256-S259, C177, C178, C205, T005; `--output softmax` is the notes' own
equation, the softmax over all words.

The middle word's window reaches 1 to `window` words to both sides, drawn anew for every word. The rate falls in a
straight line to a ten-thousandth. Random numbers come from (seed, number of the update) alone.

Two loops. With numba (`pip install deepclassics[fast]`) and on the processor, every word is an update of its own, in
machine code, with `workers` threads that write the same vectors without locks (Recht et al. 2011, Hogwild): then a run
can not be repeated exactly, and a chunk is cut between them. Elsewhere torch sums the movements of 32 words in a row
before it applies them, and draws other numbers: results are as good, not the same. Several ranks all do the same.

Departures from the paper: as in the authors' program, a word of the window moves by the whole Σ e_j v'_j although h is
the mean, which holds 1/C of it (`--share` is the exact gradient, as the notes have it; Irsoy et al. 2021); all scores
of a word are taken before any of its targets moves; the logistic function is exact, not a table cut off at 6; drawn
words come from an alias table (Walker 1977), exactly in proportion to count^0.75; vectors start up to 4/D, not 1/2D.

Expected: pydocs, nearest words worth reading in some ten seconds; wiki10m, five passes in under a minute on one thread
(benchmarks/cbow.md has it beside gensim). What was published is of other data, and of answers among all words: 300
numbers from one pass over 783 million words of news answer 33.6 % of the analogies by CBOW, 49.2 % by skip-gram (2013a,
tables 4 and 5); a port of the authors' program, on text8 by the settings of its demo script, 33.1 % (HanLP issue 699).

Letters: B words of a chunk, C places of a window, V words, D numbers of a vector, K targets, U output vectors, E
examples.
"""

import heapq
import importlib.util
import shlex
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from deepclassics import vectors
from deepclassics.data import catalog, load, questions
from deepclassics.data.streams import Batch, Data, Stream
from deepclassics.data.words import END, UNKNOWN, Reading
from deepclassics.data.words import Rule as Cutting
from deepclassics.errors import UserError
from deepclassics.flags import Knobs
from deepclassics.learn import Clock, Learner, Scores, Stateful
from deepclassics.loop import Plan
from deepclassics.recipe import Epochs, Picture, Rate, Recipe, Share

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from deepclassics.report.evidence import Evidence

FULL = 2**32 - 1
TOGETHER = 32  # words whose movements the torch loop sums
JUDGED = 256  # words at a time
ALL = 1_000_000  # words: as many as come often enough
ENOUGH = 100  # questions covered, for a share of them to tell anything

# Mikolov et al. 2013a, table 8: a : b, then c and what their skip-gram vectors answered, right or wrong (T005).
PRINTED: tuple[tuple[str, str, tuple[tuple[str, str], ...]], ...] = (
    ("France", "Paris", (("Italy", "Rome"), ("Japan", "Tokyo"), ("Florida", "Tallahassee"))),
    ("big", "bigger", (("small", "larger"), ("cold", "colder"), ("quick", "quicker"))),
    ("Miami", "Florida", (("Baltimore", "Maryland"), ("Dallas", "Texas"), ("Kona", "Hawaii"))),
    ("Einstein", "scientist", (("Messi", "midfielder"), ("Mozart", "violinist"), ("Picasso", "painter"))),
    ("Sarkozy", "France", (("Berlusconi", "Italy"), ("Merkel", "Germany"), ("Koizumi", "Japan"))),
    ("copper", "Cu", (("zinc", "Zn"), ("gold", "Au"), ("uranium", "plutonium"))),
    ("Berlusconi", "Silvio", (("Sarkozy", "Nicolas"), ("Putin", "Medvedev"), ("Obama", "Barack"))),
    ("Microsoft", "Windows", (("Google", "Android"), ("IBM", "Linux"), ("Apple", "iPhone"))),
    ("Microsoft", "Ballmer", (("Google", "Yahoo"), ("IBM", "McNealy"), ("Apple", "Jobs"))),
    ("Japan", "sushi", (("Germany", "bratwurst"), ("France", "tapas"), ("USA", "pizza"))),
)


@dataclass(frozen=True)
class Words(Stream):
    """Running words in the order of the text, the same in every pass, in even chunks of about B.

    A batch is {"ids": (B,) of int32}, below 0 where a line ends. Every rank gets them all.
    """

    ids: Tensor  # (N,)
    batch: int

    unit = "words"

    def __len__(self) -> int:
        return max(1, round(len(self.ids) / self.batch))

    @property
    def items(self) -> int:
        return len(self.ids) // len(self)

    def at(self, position: int) -> Batch:
        chunk, chunks = position % len(self), len(self)
        return {"ids": self.ids[len(self.ids) * chunk // chunks : len(self.ids) * (chunk + 1) // chunks]}

    def on(self, device: torch.device, rank: int = 0, ranks: int = 1) -> "Words":
        return replace(self, ids=self.ids.to(device))


class WordVectors(nn.Module):
    """Two vectors for every word: v where it is near (`inputs`), v' where it is guessed (`outputs`)."""

    counts: Tensor

    def __init__(self, counts: Sequence[int], outputs: int, embedding: int) -> None:  # of the V words
        super().__init__()
        # Of starts up to 1/D (gensim's), 2/D, 4/D, 6/D, 10/D and 30/D each has a lower loss on held back text of
        # wiki10m than the one before it, and more analogies come out right up to 10/D; but SimLex-999's correlation is
        # 0.235 up to 4/D, 0.228 at 10/D and 0.189 at 30/D.
        self.inputs = nn.Parameter(4 * (2 * torch.rand(len(counts), embedding) - 1) / embedding)
        self.outputs = nn.Parameter(torch.zeros(outputs, embedding))
        self.register_buffer("counts", torch.tensor(counts))

    def forward(self, context: Tensor, present: Tensor, mean: bool = True) -> Tensor:  # (E, C), (E, C) -> (E, D)
        """h, the mean (or the sum) of the vectors of the words that are `present` in a window: their order is lost."""
        total = (self.inputs[context] * present[..., None]).sum(1)
        return total / present.sum(1, keepdim=True) if mean else total


# --- what counts of words come to


def kept(counts: np.ndarray, sample: float) -> np.ndarray:  # (V,) -> (V,) in [0, 1]
    """How likely a word is kept when a window is filled: (√(f/t) + 1) t/f for a share f of the text, t = `sample`.

    So the authors' program; 2013b eq. 5 prints √(t/f), which keeps fewer. 0 keeps all.
    """
    if not sample:
        return np.ones(len(counts))
    ratio = sample * counts.sum() / counts
    return np.minimum(1.0, np.sqrt(ratio) + ratio)


def alias_table(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:  # (V,) -> (V,) in [0, 1], (V,) of int32
    """For drawing in proportion to weights with one random number: place i stands for i with the first, else for the
    second (Walker 1977; Vose 1991)."""
    share = weights / weights.sum() * len(weights)
    chance, other = np.ones(len(weights)), np.arange(len(weights), dtype=np.int32)
    small, large = list(np.flatnonzero(share < 1)), list(np.flatnonzero(share >= 1))
    while small and large:
        low, high = small.pop(), large[-1]
        chance[low], other[low] = share[low], high
        share[high] -= 1 - share[low]
        if share[high] < 1:
            small.append(large.pop())
    return chance, other


def huffman(counts: Sequence[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # (V,) -> (V + 1,), (S,), (S,)
    """The tree in which common words have short paths: where each word's path begins among `nodes`, and `signs`, 1
    where it goes left and 0 where right. Nodes are numbered from 0; the root is V - 2."""
    size = len(counts)
    heap = [(count, number) for number, count in enumerate(counts)]
    heapq.heapify(heap)
    above, left = np.zeros(2 * size - 1, np.int64), np.zeros(2 * size - 1, bool)
    for node in range(size, 2 * size - 1):
        (one, first), (two, second) = heapq.heappop(heap), heapq.heappop(heap)
        above[[first, second]], left[first] = node, True
        heapq.heappush(heap, (one + two, node))
    starts, nodes, signs = [0], [], []
    for word in range(size):
        path, place = [], word
        while place != 2 * size - 2:
            path.append((above[place] - size, float(left[place])))
            place = above[place]
        nodes += [node for node, _ in reversed(path)]
        signs += [sign for _, sign in reversed(path)]
        starts.append(len(nodes))
    return np.array(starts, np.int32), np.array(nodes, np.int32), np.array(signs, np.float32)


def joined(
    ids: np.ndarray, words: list[str], discount: int, threshold: float
) -> tuple[list[str], dict[tuple[int, int], int]]:
    """Words with the phrases of two that score above `threshold` behind them, and the number of each pair's phrase. Two
    pairs may make one phrase, and what they make may be a word already: then it stays that word.

    The score is (count(a b) - δ) N / (count(a) count(b)), with the N words of the text as in the authors' program
    (2013b eq. 6 leaves N to the threshold); δ is `discount`.
    """
    counts = np.bincount(ids[ids >= 0], minlength=len(words))
    inside = (ids[:-1] >= 0) & (ids[1:] >= 0)
    pairs, together = np.unique(ids[:-1][inside].astype(np.int64) * len(words) + ids[1:][inside], return_counts=True)
    first, second = np.divmod(pairs, len(words))
    scores = (together - discount) * (counts.sum() / counts[first] / counts[second])
    found = np.flatnonzero((scores > threshold) & (together > discount))
    numbers = {word: number for number, word in enumerate(words)}
    phrases = {
        (int(first[k]), int(second[k])): numbers.setdefault(f"{words[first[k]]}_{words[second[k]]}", len(numbers))
        for k in found
    }
    return list(numbers), phrases


def with_phrases(ids: np.ndarray, phrases: dict[tuple[int, int], int], size: int) -> np.ndarray:  # (N,) -> (N - n,)
    """The same text with pairs as one word each; of overlapping ones the first stands. `size`: of the old words."""
    if not phrases:
        return ids
    keys = np.array([one * size + other for one, other in phrases])
    order = keys.argsort()
    numbers = np.array(list(phrases.values()))[order]
    keys = keys[order]
    pairs = np.where((ids[:-1] >= 0) & (ids[1:] >= 0), ids[:-1].astype(np.int64) * size + ids[1:], -1)
    place = np.searchsorted(keys, pairs).clip(max=len(keys) - 1)
    begins = np.flatnonzero(keys[place] == pairs)
    runs = np.split(begins, np.flatnonzero(np.diff(begins) > 1) + 1)  # "a b c" holds two pairs; every second stands
    chosen = np.concatenate([run[::2] for run in runs]) if len(begins) else begins
    out = ids.copy()
    out[chosen] = numbers[place[chosen]]
    return np.delete(out, chosen + 1)


@dataclass(frozen=True)
class Aims:
    """What a word's target vectors are, as tables made from counts; K of them at most. Torch's lie on `device`."""

    counts: np.ndarray  # (V,)
    output: Literal["negative", "hierarchical", "softmax"]
    negative: int
    sample: float
    device: torch.device | str = "cpu"

    @cached_property
    def keep(self) -> np.ndarray:  # (V,) of uint32, of 2^32
        return (kept(self.counts, self.sample) * FULL).astype(np.uint32)

    @cached_property
    def drawing(self) -> tuple[np.ndarray, np.ndarray]:  # (V,) of uint32, of 2^32; (V,) of int32
        chance, other = alias_table(self.counts**0.75)
        return (chance * FULL).astype(np.uint32), other

    @cached_property
    def paths(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return huffman(self.counts.tolist())

    @cached_property
    def padded(self) -> tuple[Tensor, Tensor, Tensor]:  # (V, K) of int64, (V, K), (V, K) of bool
        """The paths filled up to the longest: nodes, signs, and which are there."""
        starts, nodes, signs = map(torch.from_numpy, self.paths)
        lengths = starts.diff()
        there = torch.arange(int(lengths.max())) < lengths[:, None]
        tables = torch.zeros(there.shape, dtype=torch.int64), torch.zeros(there.shape)
        for table, values in zip(tables, (nodes.long(), signs), strict=True):
            table[there] = values
        nodes, signs = (table.to(self.device) for table in tables)
        return nodes, signs, there.to(self.device)

    @cached_property
    def alias(self) -> tuple[Tensor, Tensor]:  # (V,) of int64, of 2^32; (V,) of int64
        chance, other = (torch.from_numpy(table.astype(np.int64)).to(self.device) for table in self.drawing)
        return chance, other

    def targets(self, words: Tensor, generator: torch.Generator) -> tuple[Tensor, ...]:
        """(E,) -> the numbers of the output vectors, (E, K); which of them are to be answered with 1; which count.
        Nothing for the softmax, which has them all."""
        if self.output == "softmax":
            return ()
        if self.output == "hierarchical":
            return tuple(table[words] for table in self.padded)
        chance, other = self.alias
        shape = len(words), self.negative
        place = torch.randint(len(chance), shape, generator=generator).to(self.device)
        own = torch.randint(FULL + 1, shape, generator=generator).to(self.device) <= chance[place]
        drawn = torch.where(own, place, other[place])
        right = F.one_hot(torch.zeros_like(words), self.negative + 1).float()
        there = torch.cat([torch.ones_like(words)[:, None].bool(), drawn != words[:, None]], 1)
        return torch.cat([words[:, None], drawn], 1), right, there


def windows(
    ids: Tensor, keep: Tensor, window: int, skip: bool, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:  # (B,) -> (E,), (E, C), (E, C) of bool
    """The words of a chunk with their contexts: words by chance left out, then windows of chance. Of skip-gram every
    pair is an example with a context of one."""
    chance = torch.rand(len(ids), generator=generator, dtype=torch.float64).to(ids.device) * FULL
    text = ids[(ids < 0) | (chance <= keep[ids.long().clamp(min=0)])].long()
    reach = torch.randint(1, window + 1, (len(text), 1), generator=generator).to(ids.device)
    offsets = torch.cat([torch.arange(-window, 0), torch.arange(1, window + 1)]).to(ids.device)
    place = torch.arange(len(text), device=ids.device)[:, None] + offsets
    inside = (place >= 0) & (place < len(text)) & (offsets.abs() <= reach)
    place = place.clamp(0, max(0, len(text) - 1))
    line = (text < 0).cumsum(0)
    context = text[place] if len(text) else place
    present = inside & (line[place] == line[:, None]) & (context >= 0) & (text >= 0)[:, None] if len(text) else inside
    context = context.clamp(min=0)
    if skip:
        return text[:, None].expand_as(context)[present], context[present][:, None], present[present][:, None]
    some = present.any(1)
    return text[some], context[some], present[some]


class WordLearner(Learner):
    """Updates word after word, in machine code or in torch: not one gradient of a sum, as order matters."""

    model: WordVectors

    def __init__(
        self,
        model: WordVectors,
        aims: Aims,
        *,
        lr: float,
        window: int,
        skip: bool,
        mean: bool,
        share: bool,
        workers: int,
        compiled: bool,
        seed: int,
    ) -> None:
        self.model, self.aims = model, aims
        self.lr, self.window, self.skip, self.mean, self.share = lr, window, skip, mean, share
        self.workers, self.compiled, self.seed = workers, compiled, seed
        self.keep = torch.from_numpy(aims.keep.astype(np.int64)).to(model.inputs.device)
        if compiled:
            # Compiled now, not in the first update, which is timed: with a seed of the type that comes then.
            self._loop(np.zeros(0, np.int32), 0.0, np.uint64(1))

    def step(self, batch: Batch, clock: Clock) -> Scores:
        rate = self.lr * max(1e-4, 1 - clock.fraction)
        if self.compiled:
            return {"loss": self._in_machine_code(batch["ids"], rate, clock.step)}
        return {"loss": self._in_torch(batch["ids"], rate, clock.step)}

    def _in_machine_code(self, ids: Tensor, rate: float, position: int) -> Tensor:  # (B,) -> ()
        text = ids.numpy()
        parts = np.array_split(text, self.workers)
        seeds = np.random.SeedSequence((self.seed, position)).generate_state(self.workers, np.uint64)
        jobs = zip(parts, seeds, strict=True)
        if self.workers == 1:
            found = [self._loop(part, rate, seed) for part, seed in jobs]
        else:
            found = list(self._pool.map(lambda job: self._loop(job[0], rate, job[1]), jobs))
        return torch.tensor(sum(loss for loss, _ in found) / max(1, sum(count for _, count in found)))

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self.workers, thread_name_prefix="word2vec")

    @cached_property
    def _loop(self) -> Any:
        """The loop in machine code with all that stays: (ids, rate, seed) -> loss and how many it is of."""
        from deepclassics.layers.word2vec import train

        inputs, outputs = (matrix.detach().view(-1).numpy() for matrix in (self.model.inputs, self.model.outputs))
        wide = self.model.inputs.shape[1]
        tree = self.aims.output == "hierarchical"
        paths = self.aims.paths if tree else (np.zeros(1, np.int32), np.zeros(0, np.int32), np.zeros(0, np.float32))
        negative = 0 if tree else self.aims.negative
        run: Any = train  # numba's, which mypy takes for a class
        return lambda ids, rate, seed: run(
            ids, inputs, outputs, wide, self.aims.keep, *self.aims.drawing, *paths, self.window, negative,
            self.skip, self.mean, self.share, rate, seed,
        )  # fmt: skip

    @torch.no_grad()
    def _in_torch(self, ids: Tensor, rate: float, position: int) -> Tensor:  # (B,) -> ()
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + position)
        total, count = torch.zeros((), device=ids.device), 0
        for words, context, present, *aimed in self._examples(ids, TOGETHER, generator):
            total += move(self.model, words, context, present, aimed, rate, self.mean, self.share)
            count += len(words)
        return total / max(1, count)

    def _examples(self, ids: Tensor, size: int, generator: torch.Generator) -> Iterator[tuple[Tensor, ...]]:  # (B,)
        """The words of a chunk, their contexts and their targets, all drawn at once, `size` words at a time."""
        words, context, present = windows(ids, self.keep, self.window, self.skip, generator)
        if len(words):
            parts = words, context, present, *self.aims.targets(words, generator)
            yield from zip(*(part.split(size) for part in parts), strict=True)

    def evaluate(self, stream: Stream) -> Scores:
        """The mean loss of a word, in nats, over the windows and words drawn for the stream's chunks from one seed."""
        total, count = torch.zeros((), dtype=torch.float64, device=self.keep.device), 0
        for position, batch in enumerate(stream):
            generator = torch.Generator().manual_seed(position)
            for words, context, present, *aimed in self._examples(batch["ids"], JUDGED, generator):
                hidden = self.model(context, present, self.mean)
                total += losses(self.model.outputs, words, hidden, aimed).sum()
                count += len(words)
        return {"loss": total / max(1, count)}

    def parts(self) -> dict[str, Stateful]:
        return {"model": self.model}


def losses(
    outputs: Tensor, words: Tensor, hidden: Tensor, aimed: Sequence[Tensor]
) -> Tensor:  # (U, D), (E,), (E, D), `Aims.targets` -> (E,)
    """-log p(word | h), nats: of the softmax, of the path through the tree, or of telling the word from drawn ones."""
    if not aimed:
        return F.cross_entropy(hidden @ outputs.T, words, reduction="none")
    targets, right, there = aimed
    scores = torch.einsum("ed,ekd->ek", hidden, outputs[targets])
    return (F.binary_cross_entropy_with_logits(scores, right, reduction="none") * there).sum(1)


def move(
    model: WordVectors,
    words: Tensor,
    context: Tensor,
    present: Tensor,
    aimed: Sequence[Tensor],
    rate: float,
    mean: bool,
    share: bool,
) -> Tensor:  # (E,), (E, C), (E, C), `Aims.targets` -> ()
    """Moves the vectors of a few examples by their summed gradients, written out; returns their summed loss.

    With e_j = y_j - t_j and EH = Σ_j e_j v'_j (S257): v'_j loses rate e_j h, and each word of the window rate EH, or
    its `share` of it, rate EH / C.
    """
    hidden = model(context, present, mean)
    if not aimed:
        said = (hidden @ model.outputs.T).log_softmax(1)
        loss = -said.gather(1, words[:, None]).sum()
        error = said.exp() - F.one_hot(words, len(model.outputs))  # (E, V)
        back = error @ model.outputs
        model.outputs.addmm_(error.T, hidden, alpha=-rate)
    else:
        targets, right, there = aimed
        vectors_ = model.outputs[targets]
        scores = torch.einsum("ed,ekd->ek", hidden, vectors_)
        loss = (F.binary_cross_entropy_with_logits(scores, right, reduction="none") * there).sum()
        error = (scores.sigmoid() - right) * there  # (E, K)
        back = torch.einsum("ek,ekd->ed", error, vectors_)
        changes = error[..., None] * hidden[:, None]
        model.outputs.index_add_(0, targets.flatten(), changes.flatten(0, 1), alpha=-rate)
    if share:
        back = back / present.sum(1, keepdim=True)
    moved = back[:, None] * present[..., None]  # of places that hold no word nothing; to pick the others is to wait
    model.inputs.index_add_(0, context.flatten(), moved.flatten(0, 1), alpha=-rate)
    return loss


class Asking(Knobs):
    """What predict can be told."""

    count: int = Field(10, ge=1, description="nearest words to name")


class CBOWRecipe(Recipe):
    """Vectors of words from running text."""

    takes = ("text",)
    gives = ("nearest",)
    asked = "nearest"
    options = Asking

    data: str = Field("pydocs", description="a named set of text, a text file, or a folder of them")
    method: Literal["cbow", "skipgram"] = Field(
        "cbow", description="a word from the mean of its window, or from each word of the window in turn"
    )
    output: Literal["negative", "hierarchical", "softmax"] = Field(
        "negative", description="told from drawn words, by a path through a tree, or among all words (slow)"
    )
    embedding: int = Field(100, ge=1, description="numbers that stand for a word")
    window: int = Field(5, ge=1, le=100, description="words to each side at most")
    negative: int = Field(5, ge=1, le=100, description="drawn words a word is told from")
    sample: float = Field(1e-3, ge=0, le=1, description="share of the text above which words are left out; 0: none")
    mean: bool = Field(True, description="h is the mean of the window, not its sum")
    share: bool = Field(False, description="each word of a window gets 1/C of the movement: the exact gradient")
    phrases: int = Field(0, ge=0, le=8, description="passes that join pairs which come together often: new_york")
    threshold: float = Field(100.0, gt=0, description="score above which a pair is a phrase")
    across: bool = Field(True, description="windows reach over the ends of lines, as in wrapped text")
    rule: Cutting = Field("auto", description="how text is cut into words")
    lower: bool = Field(True, description="in lower case")
    vocabulary: int = Field(ALL, ge=2, description="so many commonest words at most")
    least: int = Field(5, ge=1, description="words that come less often are left out")
    epochs: Epochs = 20
    batch: int = Field(10_000, ge=1, description="words of the text an update, before any are left out")
    lr: Rate = 0.05
    workers: int = Field(
        1, ge=1, le=256, description="threads that learn at once; with more than one a run can not be repeated exactly"
    )
    loop: Literal["auto", "numba", "torch"] = Field("auto", description="machine code where numba is installed, or not")
    valid: Share = Field(0.0, description="share of the text, its end, held back to look at the loss")

    def load(self) -> Data:
        reading = Reading(self.rule, self.lower, self.vocabulary + 2, self.least)
        found = load(self.data, self.takes, seed=self.seed, valid=self.valid, test=0.0, reading=reading)
        special = [word for word in found.spec["vocabulary"][:2] if word in (UNKNOWN, END)]
        words = found.spec["vocabulary"][len(special) :][: self.vocabulary]
        parts = {name: self._text(ids, special, len(words)) for name in ("train", "valid", "test")
                 if (ids := getattr(found, name)) is not None}  # fmt: skip
        size = len(words)
        phrases: set[str] = set()
        for _ in range(self.phrases):
            before = len(words)
            words, pairs = joined(parts["train"], words, self.least, self.threshold)
            phrases |= {words[number] for number in pairs.values()}
            parts = {name: with_phrases(ids, pairs, before) for name, ids in parts.items()}
        counts = np.bincount(parts["train"][parts["train"] >= 0], minlength=len(words))
        order = np.lexsort((np.arange(len(words)), -counts))
        order = order[counts[order] > 0]  # of some words nothing is left but their phrases
        if len(order) < 2:
            raise UserError(
                f"{self.data} must hold two words or more that come {self.least} times or more; it holds "
                f"{len(order)}. Take a smaller --least, or more text."
            )
        number = np.full(len(words) + 1, -1, np.int32)  # the last place, -1, stays an end
        number[order] = np.arange(len(order))
        told = []
        if self.vocabulary != ALL and size < self.vocabulary:
            told = [f"The text has {size:,} words that come {self.least} times or more, not {self.vocabulary:,}."]
        if self.phrases:
            told.append(f"Phrases: {sum(words[k] in phrases for k in order):,}.")
        spec = found.spec | {
            "vocabulary": [words[k] for k in order],
            "counts": counts[order].tolist(),
            "examples": {name: int((ids >= 0).sum()) for name, ids in parts.items()},
        }
        streams = {name: Words(torch.from_numpy(number[ids]), self.batch) for name, ids in parts.items()}
        return Data(spec | ({"told": told} if told else {}), **streams)

    def _text(self, ids: Tensor, special: list[str], size: int) -> np.ndarray:  # (N,) -> (n,), -1 where a line ends
        """Known words by their place among them; others are gone before windows are laid, as in word2vec."""
        text = ids.numpy().astype(np.int32)
        ends = text == special.index(END) if END in special else np.zeros(len(text), bool)
        place = text - len(special)
        known = (place >= 0) & (place < size)
        return np.where(known, place, -1)[known if self.across else known | ends].astype(np.int32)

    def model(self, spec: dict[str, Any]) -> WordVectors:
        words = len(spec["vocabulary"])
        outputs = words - 1 if self.output == "hierarchical" else words  # the inner nodes of a tree
        return WordVectors(spec["counts"], outputs, self.embedding)

    def learner(self, model: nn.Module) -> WordLearner:
        assert isinstance(model, WordVectors)
        return WordLearner(
            model,
            Aims(model.counts.cpu().numpy(), self.output, self.negative, self.sample, model.inputs.device),
            lr=self.lr,
            window=self.window,
            skip=self.method == "skipgram",
            mean=self.mean,
            share=self.share,
            workers=self.workers,
            compiled=self._compiled(model.inputs.device),
            seed=self.seed,
        )

    def _compiled(self, device: torch.device) -> bool:
        """Whether words go through the loop in machine code."""
        can = device.type == "cpu" and self.output != "softmax"
        if self.loop == "numba" and not (can and has_numba()):
            raise UserError(
                "cbow: loop numba takes numba (pip install 'deepclassics[fast]'), the processor (--device cpu), and "
                "--output negative or hierarchical; one of them is missing. Or take --loop torch."
            )
        return self.loop != "torch" and can and has_numba()

    def plan(self, data: Data) -> Plan:
        return Plan.passes(self.epochs, data.train)

    def chosen(self, spec: dict[str, Any]) -> dict[str, Any]:
        if self.loop != "auto" or self.output == "softmax":
            return {}
        if not has_numba():
            return {"loop": "torch, as numba is not installed"}
        return {"loop": "torch on a GPU, numba on the processor" if torch.cuda.is_available() else "numba"}

    def question(self, spec: dict[str, Any]) -> str:
        words = spec["vocabulary"]
        return "" if {"king", "man", "woman"} <= set(words) else shlex.quote(words[common(words, 1)[0]])

    def answer(self, model: nn.Module, question: Batch, options: Asking) -> Batch:
        assert isinstance(model, WordVectors)
        unit = vectors.units(model.inputs.detach())
        asked = [[number for number, _ in terms] for terms in question["terms"]]
        count = min(options.count, len(unit) - max(map(len, map(set, asked)), default=0))  # as many for each
        found = []
        for terms, numbers in zip(question["terms"], asked, strict=True):
            query = torch.stack([sign * unit[number] for number, sign in terms]).sum(0)
            ids, cosines = vectors.nearest(unit, query, numbers, count)
            found.append((ids.tolist(), cosines.tolist()))
        return {"nearest": found}

    def conclude(self, learner: Learner, data: Data) -> tuple[dict[str, float], list[str]]:
        assert isinstance(learner, WordLearner)
        remarks = []
        if self.workers > 1 and learner.compiled:
            remarks.append(
                f"{self.workers} threads wrote the same vectors at once: this run can not be repeated exactly."
            )
        elif self.workers > 1:
            remarks.append(f"--workers {self.workers} changed nothing: only the loop in machine code has such threads.")
        if not self._asks():
            return {}, [*remarks, "The vectors were not judged: only wiki10m brings the questions of analogy."]
        scores, covered, _ = self._judged(learner.model, data.spec)
        kept_back = [name for name, (known, _) in covered.items() if known < ENOUGH]
        found = {f"test/{name}": value for name, value in scores.items() if name not in kept_back}
        told = ", ".join(f"{name} {known:,} of {every:,}" for name, (known, every) in covered.items())
        if not found:
            return {}, [*remarks, "The vectors were not judged: the vocabulary covers too few of the questions."]
        return found, [*remarks, f"Covered by the vocabulary: {told}."]

    def _asks(self) -> bool:
        """Whether the data set is one that brings the questions of analogy."""
        return self.data in catalog.names() and set(questions.FILES) <= set(catalog.find(self.data).FILES)

    def _judged(
        self, model: nn.Module, spec: dict[str, Any]
    ) -> tuple[dict[str, float], dict[str, tuple[int, int]], dict[str, float]]:
        assert isinstance(model, WordVectors)
        own = model.inputs.detach().cpu()
        return vectors.judged(spec["vocabulary"], own, questions.analogies(), questions.pairs())

    def files(self, model: nn.Module, spec: dict[str, Any]) -> dict[str, Any]:
        assert isinstance(model, WordVectors)
        return {"vectors.txt": lambda path: vectors.write(path, spec["vocabulary"], model.inputs)}

    def pictures(self, evidence: "Evidence") -> list[Picture]:
        from deepclassics.report import curves
        from deepclassics.report.neighbours import neighbours

        def own() -> Tensor:
            model = evidence.model
            assert isinstance(model, WordVectors)
            return model.inputs.detach()

        words = evidence.spec["vocabulary"]
        pictures = [
            curves.picture(evidence),
            Picture(
                "Nearest words",
                "Common words, each with those whose vectors have the highest cosines with its own.",
                lambda: neighbours(words, own(), common(words), 6),
            ),
            Picture(
                "A map of the commonest words",
                "The two directions in which the vectors of these words differ most (principal components, of vectors "
                "of length 1). Words that stand in like places in sentences lie together.",
                lambda: chart(words, own()),
            ),
            Picture(
                "The notes' table of analogies",
                "a : b = c : ?, the word nearest to b - a + c. What was published are answers of skip-gram vectors "
                "from 783 million words of news (Mikolov et al. 2013a, table 8); wrong ones stand as printed.",
                lambda: table_of_analogies(words, own()),
            ),
        ]
        if self._asks():
            pictures.append(
                Picture(
                    "Analogies by section",
                    "Of questions-words, the share answered right of those whose words are among the 30,000 commonest.",
                    lambda: sections(*self._judged(evidence.model, evidence.spec)),
                )
            )
        return pictures


def has_numba() -> bool:
    """Whether it is installed. Not imported: that takes a while."""
    return importlib.util.find_spec("numba") is not None


def common(words: Sequence[str], rows: int = 16) -> list[int]:  # V words
    """Numbers of common words that say something: of four letters and more, from the 50th on where there are so many,
    ever rarer."""
    said = [number for number, word in enumerate(words) if len(word) >= 4 and word.isalpha()]
    said = said[min(50, len(said) // 4) :] or list(range(len(words)))
    places = {round(place) for place in np.geomspace(1, max(1, min(len(said), 3000)), rows)}
    return [said[place - 1] for place in sorted(places)]


def chart(words: Sequence[str], own: Tensor, count: int = 120) -> "Figure":  # V words, (V, D)
    """The `count` commonest words of two letters and more, in the plane of their first two principal components."""
    from deepclassics.report.style import FAINT, INK, drawable, sheet

    shown = [number for number, word in enumerate(words) if len(word) > 1][:count]
    unit = vectors.units(own[shown])
    centred = unit - unit.mean(0)
    _, spread, directions = torch.linalg.svd(centred, full_matrices=False)
    plane = centred @ directions[:2].T
    explained = spread.square() / spread.square().sum()
    figure = sheet(7.6, 7.2)
    axes = figure.subplots()
    axes.plot(*plane.T.tolist(), ".", color=FAINT, markersize=2)
    for (x, y), word in zip(plane.tolist(), drawable([words[number] for number in shown], 14), strict=True):
        axes.annotate(word, (x, y), (2, 2), textcoords="offset points", fontsize=7, color=INK)
    axes.set_xlabel(f"first component ({float(explained[0]):.0%} of the variance)")
    axes.set_ylabel(f"second component ({float(explained[1]):.0%})")
    axes.margins(0.06)
    return figure


def table_of_analogies(words: Sequence[str], own: Tensor) -> str:  # V words, (V, D)
    """Of the notes' thirty questions (T005) those whose words are known: what was published, and what these vectors
    answer."""
    unit = vectors.units(own)
    known = {word: number for number, word in enumerate(words)}
    questions = [(a, b, c, published) for a, b, answers in PRINTED for c, published in answers]
    lines = [f"{'question':<34} {'published':<13} here"]
    for a, b, c, published in questions:
        terms = [number for word in (a, b, c) if (number := known.get(word, known.get(word.lower()))) is not None]
        if len(terms) == 3:
            one, two, three = terms
            ids, cosines = vectors.nearest(unit, unit[two] - unit[one] + unit[three], terms, 1)
            ours = "".join(f"{words[number]} {cosine:.2f}" for number, cosine in zip(ids, cosines, strict=True))
            lines.append(f"{f'{a} : {b} = {c} : ?':<34} {published:<13} {ours}")
    asked, every = len(lines) - 1, len(questions)
    if not asked:
        return f"None of the notes' {every} questions can be asked: of each, the vocabulary lacks a word or more."
    if asked < every:
        lines.append(f"Left out: {every - asked} of the {every} questions, of which the vocabulary lacks words.")
    return "\n".join(lines)


def sections(scores: dict[str, float], covered: dict[str, tuple[int, int]], by_section: dict[str, float]) -> str:
    """Shares of questions answered right, section by section, and the whole."""
    lines = [f"{name:<30} {100 * share:5.1f} %" for name, share in by_section.items()]
    for name, value in scores.items():
        known, every = covered[name]
        told = f"{100 * value:5.1f} %" if name in ("analogies", "semantic", "syntactic") else f"{value:7.3f}"
        lines.append(f"{name:<30} {told:<8} ({known:,} of {every:,} covered)")
    return "\n".join(lines)
