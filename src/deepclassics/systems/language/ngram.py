"""N-gram: how often words followed each other, counted, and smoothed into probabilities of the next word.

Five ways to make probabilities of counts:
- none: relative frequencies, the likeliest for the training text. A word never seen after a context gets 0.
- add-k: k is added to every count, of words never seen too. One order alone, no backing off.
- good-turing: Katz's backing off with the discounts of Good and Turing.
- kneser-ney: interpolated, with one discount an order; lower orders count the contexts that an n-gram comes after.
- modified: the same with three discounts, for n-grams seen once, twice, and more often.

Source: A. Markov (1913); for add-k P. Laplace (1814), G. Lidstone (1920); I. Good, The population frequencies of
species (1953), S. Katz, Estimation of probabilities from sparse data (1987), eq. 15-17; R. Kneser, H. Ney, Improved
backing-off for m-gram language modeling (1995); S. Chen, J. Goodman, An empirical study of smoothing techniques (1999),
eq. 21-27 for both forms of Kneser-Ney. A. Stolcke, SRILM (2002), for what papers leave open. Notes: S260.

Conventions are those of SRILM (ngram-count, ngram -ppl): every line is a sentence of its own, whose first words follow
a mark <s> that is never predicted, and whose end is predicted as a word. <unk> is a word like any other. Kneser-Ney
counts <s> among the contexts, and n-grams that begin with it keep their own counts, for nothing comes before them. By
its defaults SRILM also leaves out n-grams of order 3 and above that come once: `--cutoff 1 1 2`, here for Good-Turing
alone; for Kneser-Ney all are kept, as Chen and Goodman do. SRILM's -kndiscount is the modified form, the default here.
So two figures of Mikolov's table come out to the digit, 165.2 of 3-grams by Good-Turing and 141.2 of 5-grams by
Kneser-Ney, "KN5", which with one discount an order would be 143.5.

A word of probability 0, which --method none gives to much of a test text, makes loss and perplexity infinite: then
they are not among the scores, but the share of such words, `zero`, and the `perplexity_of_possible`, that of the rest.

Departures from the paper: Good-Turing's discounts that are not in (0, 1) are taken for 1, and a context that is left no
mass for words never seen there counts one more, both as in SRILM. Where too few n-grams come once, twice and more to
tell the discounts of Kneser-Ney, they are 1/2, 1 and 3/2, as in KenLM.

Expected: pydocs, test perplexity 15.1, for its last tenth repeats much of the rest, in a second or two. ptb, in some
seconds: 141.2, and 127.9 with a cache of 500 words; --method kneser-ney 143.5; --order 3 --method good-turing
165.2. Published: 141.2, 165.2, and 125.7 with a cache whose size is not told.

Letters: T words of a text, V words of the vocabulary, M n-grams of an order, N the highest order.
"""

import math
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from deepclassics import arpa
from deepclassics.data import load
from deepclassics.data.streams import Batch, Columns, Data, Stream, Whole
from deepclassics.data.words import END, UNKNOWN, Reading, Rule
from deepclassics.errors import UserError
from deepclassics.flags import Knobs
from deepclassics.layers.sizes import take_sizes
from deepclassics.learn import Box, Clock, Learner, Scores, Stateful
from deepclassics.loop import Plan
from deepclassics.recipe import Picture, Published, Recipe, Share

if TYPE_CHECKING:
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

    from deepclassics.report.evidence import Evidence

Smoothing = Literal["none", "add-k", "good-turing", "kneser-ney", "modified"]
ENDS = {"word": END, "character": "\n"}  # what ends a line
WEIGHTS = tuple(k / 20 for k in range(11))  # of the cache in the mixture
LARGEST = (1, 7)  # counts that Good-Turing discounts, of single words and of longer n-grams: SRILM's
SURE = 20  # n-grams that come r times: of fewer, r* is chance
HIGHEST = 1.5  # r*/r that is drawn: a count is not worth more than itself but by chance
NONE = 1e-9  # of a probability: nothing, but for rounding
SPECIAL = re.compile(r"\s|^<(?=(?:s|/s|UNK)>\Z)|<(?=U\+)")  # characters that words in ARPA files must not hold
NUMBERED = re.compile(r"<U\+([0-9A-F]{4,6})>")  # what stands there for them


@dataclass(frozen=True)
class Grams:
    """The n-grams of one order in a text: those of a context lie together, in the order of their last words.

    `prefix` and `suffix` are the numbers of the n-gram's first and last n - 1 words among the n-grams of that order.
    `initial`: whether it begins with <s>. Of the order 1 there are all V words; there the end of a line stands for <s>
    as a context, for </s> as a word.
    """

    word: np.ndarray  # (M,) of int64, the last one
    prefix: np.ndarray  # (M,) of int64
    suffix: np.ndarray  # (M,) of int64
    count: np.ndarray  # (M,) of int64
    initial: np.ndarray  # (M,) of bool

    def __len__(self) -> int:
        return len(self.word)


def count(ids: np.ndarray, vocabulary: int, end: int, order: int) -> list[Grams]:  # (T,)
    """The n-grams of a text up to an order. `end` is the word that ends a line; -1 where there is none."""
    ids = ids.astype(np.int64)
    every, nothing = np.arange(vocabulary), np.zeros(vocabulary, np.int64)
    found = [Grams(every, nothing, nothing, np.bincount(ids, minlength=vocabulary), every == end)]
    place = ids  # of the n-gram that ends here
    for length in range(2, order + 1):
        context = before(torch.from_numpy(ids), torch.from_numpy(place), end, length - 1).numpy()
        there = np.flatnonzero(context >= 0)
        keys, first, inverse, counts = np.unique(
            context[there] * vocabulary + ids[there], return_index=True, return_inverse=True, return_counts=True
        )
        prefix = keys // vocabulary
        initial = found[-1].initial[prefix]
        found.append(Grams(keys % vocabulary, prefix, place[there[first]], counts, initial))
        place = np.full(len(ids), -1)
        place[there] = inverse
    return found


def before(ids: Tensor, place: Tensor, end: int, length: int) -> Tensor:  # (T,), (T,) -> (T,)
    """The number of the `length` words before each word, -1 where they are not in its line, from those that end there.

    The only thing before a line's first word is <s>.
    """
    context = place.roll(1)
    if not len(ids):
        return context
    if length == 1:
        context[0] = end
        return context
    context[0] = -1
    context[1:][ids[:-1] == end] = -1
    return context


@dataclass(frozen=True)
class Listed:
    """What a model keeps of one order: M n-grams by key, which is prefix times V plus the last word, ascending."""

    key: np.ndarray  # (M,) of int64
    probability: np.ndarray  # (M,) of float64, of the last word after the others
    backoff: np.ndarray  # (M,) of float64, what probabilities of shorter contexts are multiplied with after all of them


def smooth(
    grams: Sequence[Grams], smoothing: Smoothing, k: float = 1.0, cutoff: Sequence[int] = (1,)
) -> tuple[list[Listed], list[str]]:
    """Probabilities that sum to 1 after every context, in the form of backing off, and what is to be told of them.

    p(w | h) is that of hw where it is listed, else the backoff of h times p(w | h without its first word). `cutoff`
    says how often n-grams of order 1, 2, ... must come to be kept, its last number for all above; what the others had
    goes by way of the backoff. Words are all kept, so the first number is not used.
    """
    words, top = len(grams[0]), len(grams)
    below = np.full(1, 1 / words)  # probabilities one order lower, of all that was counted
    told: list[str] = []
    probability, backoff, listed = [], [], []
    for length, these in enumerate(grams, 1):
        counts = these.count
        if smoothing in ("kneser-ney", "modified") and length < top:
            after = np.bincount(grams[length].suffix, minlength=len(these))
            counts = np.where(these.initial, counts, after) if length > 1 else after
        contexts = len(grams[length - 2]) if length > 1 else 1
        total = np.bincount(these.prefix, counts, contexts)
        met = total > 0
        share = np.where(met, total, 1)[these.prefix]
        lower = below[these.suffix]
        kept = counts >= max(1, cutoff[min(length, len(cutoff)) - 1]) if length > 1 else np.full(words, True)
        if smoothing == "none":
            found, rest = counts / share, np.where(met, 0.0, 1.0)
        elif smoothing == "add-k":
            used = np.full(len(these), True) if length == top else these.initial & (length > 1)
            found = np.where(used, (counts + k) / (share + k * words), 1 / words)
            of = np.ones(1, bool) if length == 1 else grams[length - 2].initial | (length == top)
            rest = np.where(met & of, k * words / (total + k * words), 1.0)
        elif smoothing == "good-turing":
            discount = good_turing(counts, LARGEST[length > 1])
            found = discount[np.minimum(counts, len(discount) - 1)] * counts / share
            kept &= counts > 0
            found, rest = _rest(these.prefix, found, lower, kept, total, True)
        else:
            discount, plain = kneser_ney(counts, smoothing == "modified")
            if plain:
                told.append(plain.format(length))
            taken = np.minimum(discount[np.minimum(counts, 3)], counts)
            weight = np.bincount(these.prefix, taken, contexts) / np.where(met, total, 1)
            found = (counts - taken) / share + weight[these.prefix] * lower
            rest = np.where(met, weight, 1.0)
        if smoothing != "good-turing" and not kept.all():
            found, rest = _rest(these.prefix, found, lower, kept, total, smoothing != "none")
        below = np.where(kept, found, rest[these.prefix] * lower)
        probability.append(below)
        backoff.append(rest)
        listed.append(kept if length > 1 else np.full(words, True))
    # What a longer n-gram begins with must be there to find it by.
    for length in range(top - 1, 0, -1):
        listed[length - 1][grams[length].prefix[listed[length]]] = True
    out, number = [], np.zeros(1, np.int64)
    for length, (these, there) in enumerate(zip(grams, listed, strict=True), 1):
        key = number[these.prefix[there]] * words + these.word[there]
        beyond = backoff[length] if length < top else np.ones(len(these))
        out.append(Listed(key, probability[length - 1][there], beyond[there]))
        number = np.cumsum(there) - 1
    return out, told


def _rest(
    prefix: np.ndarray, found: np.ndarray, lower: np.ndarray, kept: np.ndarray, total: np.ndarray, spare: bool
) -> tuple[np.ndarray, np.ndarray]:  # (M,), (M,), (M,), (M,), (contexts,) -> (M,), (contexts,)
    """The probabilities of those n-grams that are kept, and each context's backoff, so that they sum to 1.

    `spare`: whether a context that is left no mass for words never seen there counts one more.
    """
    contexts = len(total)
    seen = np.bincount(prefix[kept], found[kept], contexts)
    below = np.bincount(prefix[kept], lower[kept], contexts)
    covered = below > 1 - NONE  # all words come after it
    spent = (seen > 1 - NONE) & ~covered
    most = total / (total + 1) if spare else np.ones(contexts)
    scale = np.where(covered & (seen > 0), 1 / np.where(seen > 0, seen, 1), np.where(spent, most, 1.0))
    left = np.where(covered | (spent & (not spare)), 0.0, 1 - seen * scale)
    return found * scale[prefix], left / np.where(covered, 1.0, 1 - below)


def usual(smoothing: str) -> tuple[int, ...]:
    """The cutoff of a smoothing where none is given."""
    return (1, 1, 2) if smoothing == "good-turing" else (1,)


def good_turing(counts: np.ndarray, largest: int) -> np.ndarray:  # (M,) -> (largest + 2,)
    """d_r of r = 0 ... largest, by which a count of r is multiplied, and 1 for more (Katz 1987, eq. 15).

    d_r = (r*/r - A) / (1 - A) with Good's r* = (r + 1) n_{r+1} / n_r and A = (largest + 1) n_{largest+1} / n_1.
    """
    n = np.bincount(np.minimum(counts, largest + 2), minlength=largest + 3).astype(float)[: largest + 2]
    r = np.arange(1, largest + 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        whole = (r + 1) * n[2:] / (r * n[1:-1])
        common = (largest + 1) * n[-1] / n[1]
        discount = (whole - common) / (1 - common)
        fit = np.isfinite(discount) & (discount > NONE) & (whole <= 1)
    return np.concatenate([[0.0], np.where(fit, discount, 1.0), [1.0]])


def kneser_ney(counts: np.ndarray, modified: bool) -> tuple[np.ndarray, str]:  # (M,) -> (4,)
    """What is taken off counts of 0, 1, 2, and 3 or more, and what to say where the text is too small to tell.

    D = n1 / (n1 + 2 n2); modified, D_r = r - (r + 1) D n_{r+1} / n_r (Chen and Goodman 1999, eq. 17 and 26).
    """
    n = np.bincount(np.minimum(counts, 5), minlength=6).astype(float)[:5]
    plain = "Of order {}, too few n-grams come once, twice or more: their discounts are " + (
        "1/2, 1 and 3/2." if modified else "1/2."
    )
    if n[1] == 0 or n[2] == 0 or (modified and (n[3] == 0)):
        return (np.array([0, 0.5, 1, 1.5]) if modified else np.array([0, 0.5, 0.5, 0.5])), plain
    d = n[1] / (n[1] + 2 * n[2])
    if not modified:
        return np.array([0, d, d, d]), ""
    r = np.arange(1, 4)
    found = r - (r + 1) * d * n[2:] / n[1:4]
    if (found <= 0).any():
        return np.array([0, 0.5, 1, 1.5]), plain
    return np.array([0, *found]), ""


class Backoff(nn.Module):
    """Probabilities of n-grams in the form of backing off. Before anything is counted all words are equally likely.

    How many n-grams there are is known only then: the buffers take the size of what is loaded.
    """

    def __init__(self, vocabulary: int, end: int, order: int) -> None:
        super().__init__()
        self.vocabulary, self.end, self.order = vocabulary, end, order
        for length in range(1, order + 1):
            size = vocabulary if length == 1 else 0
            self.register_buffer(f"key{length}", torch.arange(size))
            self.register_buffer(f"probability{length}", torch.full((size,), 1 / vocabulary, dtype=torch.float64))
            self.register_buffer(f"backoff{length}", torch.ones(size, dtype=torch.float64))

    def key(self, length: int) -> Tensor:  # -> (M,) of int64, ascending
        return self.get_buffer(f"key{length}")

    def probability(self, length: int) -> Tensor:  # -> (M,) of float64
        return self.get_buffer(f"probability{length}")

    def backoff(self, length: int) -> Tensor:  # -> (M,) of float64
        return self.get_buffer(f"backoff{length}")

    def take(self, listed: Sequence[Listed]) -> None:
        """Takes n-grams of orders 1, 2, ... in place of its own."""
        device = self.key(1).device
        for length, these in enumerate(listed, 1):
            for name in ("key", "probability", "backoff"):
                setattr(self, f"{name}{length}", torch.from_numpy(getattr(these, name)).to(device))

    def _load_from_state_dict(self, state: dict[str, Tensor], prefix: str, *rest: object) -> None:
        take_sizes(self, state, prefix, *dict(self.named_buffers()))
        super()._load_from_state_dict(state, prefix, *rest)

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:  # (T,) -> (T,) of float64, (T,) of int64
        """The probability of every word of a text after those before it, and the order it was found in."""
        ids = ids.long()
        place, found = ids, self.probability(1)[ids]
        order = torch.ones_like(ids)
        for length in range(2, self.order + 1):
            context = before(ids, place, self.end, length - 1)
            there = context >= 0
            if not len(self.key(length - 1)):
                break
            found = torch.where(there, self.backoff(length - 1)[context.clamp(min=0)], 1.0) * found
            place, there = self.find(length, context, ids)
            if len(self.key(length)):
                found = torch.where(there, self.probability(length)[place.clamp(min=0)], found)
            order = torch.where(there, length, order)
        return found, order

    def find(self, length: int, context: Tensor, word: Tensor) -> tuple[Tensor, Tensor]:  # (T,), (T,) -> (T,), (T,)
        """The numbers of n-grams of that order, -1 where they are not listed; and whether they are."""
        keys = self.key(length)
        if not len(keys):
            return torch.full_like(word, -1), torch.zeros_like(word, dtype=torch.bool)
        wanted = context * self.vocabulary + word
        place = torch.searchsorted(keys, wanted).clamp(max=len(keys) - 1)
        there = (context >= 0) & (keys[place] == wanted)
        return torch.where(there, place, -1), there

    def after(self, context: Sequence[int]) -> Tensor:  # -> (V,) of float64
        """The probability of every word after a context, of which the last N - 1 words count. END in it means <s>."""
        found = self.probability(1)
        recent = list(context)[max(0, len(context) - self.order + 1) :]
        for length in range(1, len(recent) + 1):
            number = self.number(recent[-length:])
            if number < 0:
                continue
            found = found * self.backoff(length)[number]
            begin, stop = torch.searchsorted(
                self.key(length + 1), torch.tensor([number, number + 1], device=found.device) * self.vocabulary
            ).tolist()
            words = self.key(length + 1)[begin:stop] % self.vocabulary
            found = found.index_copy(0, words, self.probability(length + 1)[begin:stop])
        return found

    def number(self, words: Sequence[int]) -> int:
        """The number of an n-gram among those of its order, -1 where it is not listed."""
        number = words[0]
        for length, word in enumerate(words[1:], 2):
            place, _ = self.find(length, torch.tensor([number]), torch.tensor([word]))
            if (number := int(place)) < 0:
                break
        return number

    def sample(self, context: Sequence[int], length: int, temperature: float) -> list[int]:
        """`length` words after a context, each drawn at that temperature; 0 takes the likeliest."""
        drawn: list[int] = []
        recent = list(context)
        for _ in range(length):
            chances = self.after(recent)
            if temperature == 0:
                word = int(chances.argmax())
            else:
                scaled = (chances.clamp(min=0).log() / temperature).softmax(0)
                word = int(torch.multinomial(scaled, 1))
            drawn.append(word)
            recent.append(word)
        return drawn


# --- ARPA files, where <s> and </s> stand for what END is here as a context and as a word


def exported(model: Backoff, vocabulary: Sequence[str]) -> tuple[list[str], list[arpa.Section]]:
    """The words and sections of an ARPA file for a model; <s> is the last word."""
    words = [arpa.STOP if number == model.end else escaped(word) for number, word in enumerate(vocabulary)]
    every = np.arange(len(words))
    ids, sections = every[:, None], []
    context = np.append(np.where(every == model.end, len(words), every), len(words))
    for length in range(1, model.order + 1):
        key = model.key(length).cpu().numpy()
        if not len(key):
            break
        if length > 1:
            ids = np.column_stack([context[ids[key // len(words)]], key % len(words)])
        with np.errstate(divide="ignore"):
            logarithms = [
                np.maximum(np.log10(column(length).cpu().numpy()), arpa.ZERO)
                for column in (model.probability, model.backoff)
            ]
        sections.append(arpa.Section(ids, *logarithms))
    first = sections[0]
    backoff = first.backoff.copy()
    begin = backoff[model.end] if model.end >= 0 else 0.0
    extra = [arpa.BEGIN]
    if model.end >= 0:
        backoff[model.end] = 0.0
    else:
        extra.append(arpa.STOP)  # which readers expect
    ids = np.arange(len(words) + len(extra))[:, None]
    sections[0] = arpa.Section(
        ids,
        np.append(first.probability, [arpa.ZERO] * len(extra)),
        np.append(backoff, [begin, 0.0][: len(extra)]),
    )
    return words + extra, sections


def imported(
    vocabulary: Sequence[str], unit: str, words: Sequence[str], sections: Sequence[arpa.Section]
) -> list[Listed]:
    """What an ARPA file lists, for a model of that vocabulary. N-grams with </s> before another word are left out.

    Raises:
        UserError: what an n-gram begins with is not listed.
    """
    number = {word: place for place, word in enumerate(vocabulary)}
    end = number.get(ENDS[unit], -1)
    place = np.array([-1 if word == arpa.BEGIN else number[_name(word, unit)] for word in words])
    stop = words.index(arpa.STOP) if arpa.STOP in words else -1
    out: list[Listed] = []
    for length, section in enumerate(sections, 1):
        probability = np.where(section.probability <= arpa.ZERO, 0.0, 10.0**section.probability)
        backoff = np.where(section.backoff <= arpa.ZERO, 0.0, 10.0**section.backoff)
        ids = place[section.ids]
        if length == 1:
            every = [np.zeros(len(vocabulary)), np.ones(len(vocabulary))]
            there = ids[:, 0] >= 0
            every[0][ids[there, 0]] = probability[there]
            every[1][ids[there, 0]] = backoff[there]
            if end >= 0 and not there.all():
                every[1][end] = backoff[~there][0]
            out.append(Listed(np.arange(len(vocabulary)), *every))
            continue
        good = (ids[:, 1:] >= 0).all(1) & (section.ids[:, :-1] != stop).all(1) & ((ids[:, 0] >= 0) | (end >= 0))
        ids = np.where(ids < 0, end, ids)
        at = ids[:, 0]
        for below in range(2, length):
            at = _place(out[below - 1].key, at * len(vocabulary) + ids[:, below - 1])
            if (at[good] < 0).any():
                lost = section.ids[good][np.flatnonzero(at[good] < 0)[0]]
                raise UserError(
                    f"An ARPA file must list what its n-grams begin with; it has '{' '.join(words[i] for i in lost)}' "
                    f"of order {length}, and not its first {below} words."
                )
        key = (at * len(vocabulary) + ids[:, -1])[good]
        order = np.argsort(key, kind="stable")
        out.append(Listed(key[order], probability[good][order], backoff[good][order]))
    return out


def _place(keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Where keys stand in an ascending row, -1 for those that are not there."""
    if not len(keys):
        return np.full(len(wanted), -1)
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, place, -1)


def known(words: Sequence[str], unit: str) -> tuple[str, ...]:
    """The vocabulary of an ARPA file of such words, <unk> among them: END stands for both <s> and </s>.

    Raises:
        UserError: two words of the file mean the same, as <unk> and <UNK> do.
    """
    found: dict[str, str] = {}
    for word in words:
        if word != arpa.BEGIN and (other := found.setdefault(_name(word, unit), word)) != word:
            raise UserError(
                f"The words of an ARPA file must differ; '{other}' and '{word}' both stand for "
                f"{_name(word, unit)!r}. Leave one of them out of it."
            )
    return tuple(found if UNKNOWN in found else [UNKNOWN, *found])


def _name(word: str, unit: str) -> str:
    if word == arpa.STOP:
        return ENDS[unit]
    return UNKNOWN if word == "<UNK>" else NUMBERED.sub(_character, word)


def _character(found: re.Match[str]) -> str:
    """The character of that number; what is none, as <U+FFFFFF> and halves of a pair, stays as it is."""
    number = int(found[1], 16)
    return found[0] if number > sys.maxunicode or 0xD800 <= number <= 0xDFFF else chr(number)


def escaped(word: str) -> str:
    """A word as ARPA files can hold it: blanks by their numbers, <U+0020>, and so the first letter of what is called
    as a mark of theirs, or looks like such a number."""
    return SPECIAL.sub(lambda found: f"<U+{ord(found[0]):04X}>", word)


# --- scores


class Counting(Learner):
    """One step counts a text, or reads what was counted, and keeps what is told of it."""

    def __init__(self, model: Backoff, build: Callable[[np.ndarray], tuple[list[Listed], list[str]]]) -> None:
        self.model: Backoff = model
        self.build = build
        self.told = Box([])

    def step(self, batch: Batch, clock: Clock) -> Scores:
        listed, self.told.value = self.build(batch["ids"].cpu().numpy())
        self.model.take(listed)
        self.done = True
        return scores(self.model(batch["ids"])[0])

    def evaluate(self, stream: Stream) -> Scores:
        return scores(self.model(stream.at(0)["ids"])[0])

    def parts(self) -> dict[str, Stateful]:
        return {"model": self.model, "told": self.told}


def scores(probability: Tensor) -> Scores:  # (T,)
    """The mean loss in nats a word, the perplexity, and bits a word.

    Where words have probability 0 these are infinite, and others stand for them, under other names: nobody shall
    compare them with those of a model that gives every word a chance.
    """
    loss = mean_loss(probability)
    if loss.isfinite():
        return {"loss": loss, "perplexity": loss.exp(), "bits": loss / math.log(2)}
    possible = probability[probability > 0]
    found = {"zero": (probability == 0).double().mean()}
    return found | ({"perplexity_of_possible": mean_loss(possible).exp()} if len(possible) else {})


def mean_loss(probability: Tensor) -> Tensor:  # (T,) -> ()
    """In nats a word, infinite where a word has probability 0."""
    return -probability.log().mean()


def recent(ids: Tensor, words: int) -> Tensor:  # (T,) -> (T,) of float64
    """The share that each word has of the last so many `words` before it."""
    ids = ids.long()
    place = torch.arange(len(ids), device=ids.device)
    keys, order = (ids * len(ids) + place).sort()
    oldest = (place - words).clamp(min=0)
    first = torch.searchsorted(keys, ids * len(ids) + oldest)
    rank = torch.empty_like(place)
    rank[order] = place
    return (rank - first).double() / (place - oldest).clamp(min=1)


class Sampling(Knobs):
    """What predict can be told."""

    length: int = Field(50, ge=1, description="words, or characters, to write")
    temperature: float = Field(0.8, ge=0, description="below 1 plays safe, above 1 dares; 0 takes the likeliest")
    likeliest: int = Field(5, ge=1, description="next words told with their probabilities")


class NgramRecipe(Recipe):
    """An n-gram model of running text."""

    takes = ("text",)
    gives = ("text",)
    options = Sampling
    published = (
        Published(
            on="ptb",
            score="test/perplexity",
            value=165.2,
            source="T. Mikolov, Statistical language models based on neural networks (2012), table 4.1, by SRILM",
            when={"order": 3, "method": "good-turing", "from_": None},
        ),
        *(
            Published(
                on="ptb",
                score="test/perplexity",
                value=141.2,
                source="T. Mikolov, Statistical language models based on neural networks (2012), table 4.1, KN5 by "
                "SRILM, whose -kndiscount is the modified form",
                protocol={"method": "modified"},
                when={"order": 5, "method": method, "from_": None},
            )
            for method in ("kneser-ney", "modified")
        ),
    )

    data: str = Field("pydocs", description="a named set of text, a text file, or a folder of them")
    order: int = Field(5, ge=1, le=10, description="words of the longest n-grams")
    method: Smoothing = Field(
        "modified", description="of smoothing the counts; kneser-ney has one discount an order, modified three"
    )
    smoothing: float = Field(0.01, gt=0, description="added to the counts of every n-gram, by add-k")
    cutoff: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (),
        description="times an n-gram of order 1, 2, ... must come to be kept, the last number for all above, the first "
        "always 1; none: 1 1 2 for good-turing, as SRILM, else 1",
    )
    unit: Literal["word", "character"] = Field("word", description="what is counted")
    from_: str | None = Field(None, description="an ARPA file of a model to be judged, instead of counting")
    arpa: bool = Field(True, description="write model.arpa into the run folder, for other programs")
    cache: int = Field(500, ge=0, description="last words that the cache holds when the end is judged; 0: no cache")
    rule: Rule = Field("auto", description="how texts are cut into words")
    lower: bool = Field(False, description="read capital letters as small ones")
    vocabulary: int = Field(1_000_000, ge=2, description="so many commonest words are known")
    least: int = Field(1, ge=1, description="words that come less often are unknown")
    valid: Share = Field(0.05, description="share of the training text, its end, to choose by")
    test: Share = Field(0.1, description="share of the text, its end, to judge by, where the set has no test part")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.cutoff and self.cutoff[0] != 1:
            raise ValueError(
                f"cutoff must begin with 1, as for smoothing all words are kept; got "
                f"{' '.join(map(str, self.cutoff))}. To take rare words for unknown give --least."
            )
        if self.from_ is not None:
            self._refuse(
                ("order", "method", "smoothing", "cutoff", "vocabulary", "least"),
                "with --from: the model is that of the ARPA file, and so are the words that it knows",
            )
        if self.unit == "character":
            self._refuse(
                ("rule", "lower", "vocabulary", "least"),
                "with --unit character: characters are read as they are, and all are known",
            )
        return self

    def _refuse(self, knobs: Sequence[str], why: str) -> None:
        """Knobs that would have no effect."""
        given = [f"--{name}" for name in knobs if getattr(self, name) != type(self).model_fields[name].default]
        if given:
            raise ValueError(f"{' and '.join(given)} must be left out {why}.")

    def load(self) -> Data:
        if self.from_ is None:
            return self._load((), self.order)
        words, orders = arpa.outline(Path(self.from_))
        return self._load(known(words, self.unit), orders)

    def reload(self, spec: dict[str, Any]) -> Data:
        return self.load() if self.from_ is None else self._load(tuple(spec["vocabulary"]), spec["order"])

    def _load(self, words: tuple[str, ...], order: int) -> Data:
        reading = Reading(self.rule, self.lower, self.vocabulary, self.least, known=words)
        by_word = self.unit == "word"
        found = load(
            self.data, self.takes, seed=self.seed, valid=self.valid, test=self.test,
            reading=reading if by_word else None,
        )  # fmt: skip
        parts = [found.train, found.valid, found.test]
        spec = found.spec | {"order": order}
        if words and not by_word:
            number = {word: place for place, word in enumerate(words)}
            table = torch.tensor([number.get(letter, number[UNKNOWN]) for letter in spec["vocabulary"]])
            parts = [None if ids is None else table[ids.long()] for ids in parts]
            spec["vocabulary"] = list(words)
        if self.from_ is None and len(found.train) < order:
            raise UserError(
                f"The text to learn from must hold as many {self.unit}s as the order says, or more; it holds "
                f"{len(found.train)}, and --order is {order}. Give more text, or a smaller --order."
            )
        train, valid, test = (None if ids is None else Whole(Columns(ids=ids), f"{self.unit}s") for ids in parts)
        assert train is not None
        return Data(spec, train, valid, test)

    def model(self, spec: dict[str, Any]) -> Backoff:
        words = spec["vocabulary"]
        end = ENDS[spec["unit"]]
        return Backoff(len(words), words.index(end) if end in words else -1, spec["order"])

    def learner(self, model: nn.Module) -> Counting:
        assert isinstance(model, Backoff)
        return Counting(model, lambda ids: self.build(model, ids))

    def build(self, model: Backoff, ids: np.ndarray) -> tuple[list[Listed], list[str]]:  # (T,)
        if self.from_ is not None:
            words, sections = arpa.read(Path(self.from_))
            return imported(known(words, self.unit), self.unit, words, sections), []
        grams = count(ids, model.vocabulary, model.end, model.order)
        return smooth(grams, self.method, self.smoothing, self.kept())

    def kept(self) -> tuple[int, ...]:
        """How often n-grams must come, order by order."""
        return self.cutoff or usual(self.method)

    def chosen(self, spec: dict[str, Any]) -> dict[str, Any]:
        if self.from_ is not None:
            return {"order": f"{spec['order']}, as in {self.from_}"}
        told = {} if self.cutoff else {"cutoff": " ".join(map(str, self.kept()))}
        return told | ({"rule": spec["rule"]} if self.rule == "auto" and self.unit == "word" else {})

    def plan(self, data: Data) -> Plan:
        return Plan(1, 1)

    def files(self, model: nn.Module, spec: dict[str, Any]) -> dict[str, Callable[[Path], None]]:
        assert isinstance(model, Backoff)
        if not self.arpa:
            return {}
        return {"model.arpa": lambda path: arpa.write(path, *exported(model, spec["vocabulary"]))}

    def answer(self, model: nn.Module, question: Batch, options: Sampling) -> Batch:
        """Goes on from each text, and tells the likeliest next words."""
        assert isinstance(model, Backoff)
        begin = [model.end] if model.end >= 0 else []
        texts, following = [], []
        for ids in question["ids"]:
            context = begin + ids.tolist()
            top = model.after(context).topk(min(options.likeliest, model.vocabulary))
            following.append((top.indices, top.values))
            texts.append(torch.tensor(model.sample(context, options.length, options.temperature)))
        return {"text": texts, "next": following}

    def conclude(self, learner: Learner, data: Data) -> tuple[dict[str, float], list[str]]:
        """How long the n-grams are that words were found by, what is unknown, and the perplexity with a cache."""
        assert isinstance(learner, Counting)
        model, unit = learner.model, self.unit
        seen = [len(model.key(length)) for length in range(1, model.order + 1)]
        counted = ", ".join(f"{size:,} of order {length}" for length, size in enumerate(seen, 1))
        remarks = [f"The model holds these n-grams: {counted}.", *learner.told.value]
        wanted, words = type(self).model_fields["vocabulary"].default, len(data.spec["vocabulary"])
        if unit == "word" and self.vocabulary not in (wanted, words) and words < self.vocabulary:
            remarks.append(f"--vocabulary asks for {self.vocabulary:,} words; the text to learn from has {words:,}.")
        if data.test is None:
            return {}, remarks
        ids = data.test.at(0)["ids"].long()
        probability, order = model(ids)
        found: dict[str, float] = {}
        for length in range(1, model.order + 1):
            found[f"test/order{length}"] = float((order == length).double().mean())
        shares = ", ".join(f"{length}: {found[f'test/order{length}']:.1%}" for length in range(model.order, 0, -1))
        remarks.append(f"The longest n-gram that a {unit} of the test text ends has the order {shares}.")
        if UNKNOWN in data.spec["vocabulary"]:
            unknown = ids == data.spec["vocabulary"].index(UNKNOWN)
            found["test/unknown"] = float(unknown.double().mean())
            others = float(mean_loss(probability[~unknown]).exp())
            if unknown.any() and math.isfinite(others):
                found["test/perplexity_of_known"] = others
                remarks.append(
                    f"{found['test/unknown']:.1%} of the test words are {UNKNOWN}, a word like any other here; the "
                    f"perplexity of the others is {found['test/perplexity_of_known']:.1f}."
                )
        if (zero := float((probability == 0).double().mean())) > 0:
            remarks.append(
                f"{zero:.1%} of the test text has probability 0, so its perplexity is infinite; that of the rest says "
                f"nothing beside other models'."
            )
        if self.cache and data.valid is not None:
            chosen = data.valid.at(0)["ids"]
            one, other = model(chosen)[0], recent(chosen, self.cache)
            losses = torch.stack([mean_loss((1 - w) * one + w * other) for w in WEIGHTS])
            weight = WEIGHTS[int(losses.argmin())]
            perplexity = float(mean_loss((1 - weight) * probability + weight * recent(ids, self.cache)).exp())
            if math.isfinite(float(losses.min())) and math.isfinite(perplexity):
                found["test/perplexity_with_cache"] = perplexity
                remarks.append(
                    f"With a cache of the last {self.cache} {unit}s, of weight {weight:g}, which is best on the "
                    f"validation text, the test perplexity is {perplexity:.1f}."
                    if weight
                    else f"A cache of the last {self.cache} {unit}s does not help: on the validation text none is best."
                )
            else:
                remarks.append(
                    f"With a cache of the last {self.cache} {unit}s some still have probability 0: it is not judged."
                )
        return found, remarks

    def pictures(self, evidence: "Evidence") -> list[Picture]:
        def text(split: str) -> np.ndarray:
            columns = getattr(evidence.splits(), split)
            if columns is None:
                raise UserError(f"This run has no {split} text.")
            ids: np.ndarray = columns["ids"].numpy()
            return ids

        def model() -> Backoff:
            found = evidence.model
            assert isinstance(found, Backoff)
            return found

        @cache
        def grams() -> list[Grams]:
            return count(text("train"), model().vocabulary, model().end, model().order)

        def continuations() -> str:
            return likely(model(), grams(), evidence.spec)

        said = Picture(
            "What comes next",
            f"The commonest contexts of the training text by their length, and the {self.unit}s that are likeliest "
            f"after them.",
            continuations,
        )
        if self.from_ is not None:
            return [said]
        return [
            Picture(
                "Perplexity by order and smoothing",
                f"Of the test text, by models of the same counts; add-k with k = {self.smoothing:g}. "
                + (
                    "Without smoothing, as in this run, the perplexity is infinite."
                    if self.method == "none"
                    else "A ring marks this run, and its cutoff is that of its line; the others have theirs by default."
                ),
                lambda: by_order(grams(), text("test"), model(), self.method, self.smoothing, self.kept()),
            ),
            Picture(
                "Counts of counts",
                "Left: how many n-grams come r times; a straight line is Zipf's law. Right: Good and Turing's estimate "
                "of what a count is worth in another text of the same length, r* = (r + 1) n(r+1) / n(r), as a share "
                "of r, for orders above 1, as rare words are unknown in many texts; the dashed line: the one discount "
                "of Kneser and Ney, for the highest order.",
                lambda: counts_of_counts(grams()),
            ),
            said,
        ]


# --- pictures


def by_order(
    grams: Sequence[Grams], test: np.ndarray, model: Backoff, smoothing: str, k: float, cutoff: Sequence[int]
) -> "Figure":
    """The test perplexity of orders 1 ... N by four smoothings. A ring marks the run's own, which has its cutoff."""
    from deepclassics.report.style import grid, marks, sheet

    orders = range(1, model.order + 1)
    figure = sheet(6.4, 3.6)
    panel = figure.subplots()
    ways: tuple[Smoothing, ...] = ("add-k", "good-turing", "kneser-ney", "modified")
    for way, (colour, marker) in zip(ways, marks(len(ways)), strict=True):
        values = []
        least = cutoff if way == smoothing else usual(way)
        for order in orders:
            tried = Backoff(model.vocabulary, model.end, order)
            tried.take(smooth(grams[:order], way, k, least)[0])
            values.append(float(mean_loss(tried(torch.from_numpy(test))[0]).exp()))
        panel.plot(orders, values, color=colour, marker=marker, markersize=4,
                   label=f"{way}: {min(values):.4g}")  # fmt: skip
        if way == smoothing:
            panel.plot(orders[-1], values[-1], "o", markersize=11, fillstyle="none", color=colour)
    panel.set_yscale("log")
    panel.set_xticks(list(orders))
    panel.set_xlabel("order")
    panel.set_ylabel("test perplexity")
    panel.legend(title="lowest perplexity")
    _plain(panel.yaxis, 1.0, 2.0, 5.0)
    grid(panel)
    return figure


def counts_of_counts(grams: Sequence[Grams]) -> "Figure":
    """n_r over r of every order, and Good-Turing's r*/r of all but single words: rare ones are <unk> in many texts."""
    from deepclassics.report.style import FAINT, grid, marks, sheet

    figure = sheet(7.6, 3.4)
    left, right = figure.subplots(1, 2)
    for order, (these, (colour, marker)) in enumerate(zip(grams, marks(len(grams)), strict=True), 1):
        n = np.bincount(these.count)
        r = np.flatnonzero(n[1:]) + 1
        left.plot(r, n[r], linestyle="", marker=marker, markersize=2.5, color=colour, label=f"order {order}")
        few = np.arange(1, min(11, len(n) - 1))
        few = few[n[few] >= SURE]
        worth = (few + 1) * n[few + 1] / n[few] / few
        if order > 1:
            right.plot(few, np.where(worth <= HIGHEST, worth, np.nan), color=colour, marker=marker, markersize=3.5)
    discount = kneser_ney(grams[-1].count, modified=False)[0][1]
    few = np.arange(1, 11)
    right.plot(few, (few - discount) / few, "--", color=FAINT, label=f"(r − {discount:.2f}) / r")
    left.set_xscale("log")
    left.set_yscale("log")
    _plain(left.xaxis, 1.0)
    _plain(left.yaxis, 1.0)
    left.set_xlabel("times r that an n-gram comes")
    left.set_ylabel("n-grams that come so often")
    left.legend()
    right.set_xlabel("r")
    right.set_ylabel("r* / r")
    right.set_ylim(0, HIGHEST)
    right.legend()
    for panel in (left, right):
        grid(panel)
    return figure


def likely(model: Backoff, grams: Sequence[Grams], spec: dict[str, Any], most: int = 5) -> str:
    """The commonest contexts of every length without marks, with the likeliest next words."""
    words = spec["vocabulary"]
    between = " " if spec["unit"] == "word" else ""
    marked = np.array([word in (UNKNOWN, END) or word.isspace() for word in words])
    ids, bare = np.arange(len(words))[:, None], ~marked
    lines = []
    for length, these in enumerate(grams[: max(1, model.order - 1)], 1):
        if length > 1:
            ids = np.column_stack([ids[these.prefix], these.word])
            bare = bare[these.prefix] & ~marked[these.word]
        common = np.flatnonzero(bare)[np.argsort(-these.count[bare], kind="stable")][:most]
        for context in ids[common].tolist():
            top = model.after(context).topk(min(most, model.vocabulary))
            following = ", ".join(
                f"{words[number] if words[number].strip() else repr(words[number])} {share:.3f}"
                for number, share in zip(top.indices.tolist(), top.values.tolist(), strict=True)
            )
            lines.append(f"{between.join(words[number] for number in context)} → {following}")
        lines.append("")
    return "\n".join(lines).strip()


def _plain(axis: "Axis", *steps: float) -> None:
    """Numbers on a logarithmic scale as one writes them."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=steps))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}" if value < 1e6 else f"{value:,.0f}"))
    axis.set_minor_formatter(NullFormatter())
