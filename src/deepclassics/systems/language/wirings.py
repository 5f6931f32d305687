"""Wirings: one recurrent net in five wirings, from one input and one output to a sequence read and another written.

What is unrolled is always the same net. A wiring says at which positions something is put in, and at which its outputs
are read; everywhere else the input is all zeros, and the output is left unread:
- one to one: the lit segments of a display -> its digit. A net without a past.
- one to many: a number -> its Roman numeral, letter by letter, as a picture is given its caption.
- many to one: a sentence about a film -> whether it praises it, as sentiments are told.
- many to many, through a code: a number in words -> its digits, as a sentence is translated. Nothing is written before
  all has been read, so everything passes through one state, the code.
- many to many, in step: frames of a moving dot -> left, rest or right for every frame, as a video is labelled.

`--data wirings` trains a net for each in one run, `--data film` and the others one alone. `--data adding` is the adding
problem of Hochreiter and Schmidhuber, many to one over 100 positions: of two marked numbers the sum. Whoever always
answers 1 has a squared error of 1/6 = 0.167. An LSTM learns it within a minute, an Elman net does not.

Examples are made as they are needed, from (seed, position), and no two batches are the same. Of the numbers that are
written or read, a tenth is held back to choose by and a tenth to judge by. Sentences, frames and numbers to be added
are drawn from so many that few come twice; the ten digits of the display are all there is.

Source: A. Karpathy, The unreasonable effectiveness of recurrent neural networks (2015), for the five; S. Hochreiter,
J. Schmidhuber, Long short-term memory (1997), section 5.4, for the adding problem; I. Sutskever et al., Sequence to
sequence learning with neural networks (2014), for the code. Notes: S199, S203, S219, S221,
S222, C112.

Departures from the paper: one net reads and writes through the code, where Sutskever et al. have one for each; and no
net is told what it wrote before, for here every answer is settled by what was read. The adding problem is that of Q.
Le et al., A simple way to initialize recurrent networks of rectified linear units (2015): numbers in [0, 1], one marked
in each half, and their sum; Hochreiter and Schmidhuber have them in [-1, 1] and let the length vary.

Expected: wirings, no error in 2,000 test examples of each of the five, within a minute on one core. adding, a squared
error of 0.01 or less, within two minutes; with `--cell rnn --lr 0.001`, 0.16, as always answering 1 gives: an Elman net
does not learn it. The plateau there, before an LSTM has found out, lasts some 700 to 1,300 updates.

Letters: N examples, B of them an update, T positions, S positions whose outputs are read, D numbers of an input, K
classes, or 1 for a number.
"""

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from deepclassics.data.streams import Batch, Data, Stream
from deepclassics.errors import UserError, short
from deepclassics.flags import Knobs
from deepclassics.layers.recurrent import Cell, Recurrent
from deepclassics.learn import Backprop, Learner, Scores, look, optimizer, untraced
from deepclassics.loop import Plan
from deepclassics.recipe import BatchSize, Clip, Course, Picture, Published, Rate, Recipe, Rule
from deepclassics.schedules import NAMED

if TYPE_CHECKING:
    from deepclassics.report.evidence import Evidence
    from deepclassics.report.unrolled import Unrolled

Part = Literal["train", "valid", "test"]
PARTS: tuple[Part, ...] = ("train", "valid", "test")
VALID, TEST = 500, 2000  # examples to look at
MOST = 1_000_003  # updates of a run
NEAR = 0.04  # a sum is right if it is nearer than that (Hochreiter and Schmidhuber 1997, section 5.4)

UNITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
         "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen")  # fmt: skip
TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")


# --- what is learnt


class Example(ABC):
    """Something to learn, and its wiring: where the net is given something, and where its outputs are read."""

    wiring: ClassVar[str]
    typed: ClassVar[str]  # how a question is typed
    recurs: ClassVar[bool] = True  # whether there are two positions or more
    inputs: int  # D
    outputs: int  # K
    after: int = 0  # positions that follow those at which something is put in
    writes: int | None = None  # of so many of the last positions the outputs are read; None: of all
    between: str = " "  # the words of an answer

    @abstractmethod
    def make(self, count: int, part: Part, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """`count` examples: what is put in, (N, T, D), and what is right, (N, S) of int64, or of float32 for K = 1."""

    @abstractmethod
    def read(self, typed: str) -> Tensor | None:
        """What was typed as (T, D); None where it is no question of this kind."""

    @abstractmethod
    def asked(self, x: Tensor) -> list[str]:  # (T, D) -> T words
        """What is put in, by position; "" where nothing is."""

    @abstractmethod
    def told(self, answer: Tensor) -> list[str]:  # (S,) -> S words
        """Answers in words; "" for the end."""


class Display(Example):
    """The lit segments of a display of seven -> its digit. a is the upper one, b to f go around clockwise, g is the
    middle."""

    wiring, typed = "one to one", "lit segments of a display, as 'abged'"
    recurs = False
    inputs, outputs = 7, 10
    LIT = ("abcdef", "bc", "abged", "abgcd", "fgbc", "afgcd", "afgedc", "abc", "abcdefg", "abcdfg")

    def make(self, count: int, part: Part, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        digit = torch.randint(10, (count,), generator=generator)
        table = torch.stack([self._lit(segments) for segments in self.LIT])
        return table[digit][:, None], digit[:, None]

    def read(self, typed: str) -> Tensor | None:
        return self._lit(typed)[None] if typed and set(typed) <= set("abcdefg") else None

    def asked(self, x: Tensor) -> list[str]:
        return ["".join(letter for letter, lit in zip("abcdefg", x[0].tolist(), strict=True) if lit)]

    def told(self, answer: Tensor) -> list[str]:
        return [str(int(answer[0]))]

    def _lit(self, segments: str) -> Tensor:  # -> (7,)
        return torch.tensor([float(letter in segments) for letter in "abcdefg"])


class Roman(Example):
    """A number up to 3,999, as its four digits, -> the letters of its Roman numeral; 0 is N, nulla, as Bede writes."""

    wiring, typed = "one to many", "a number from 0 to 3999, as '1997'"
    LETTERS = " IVXLCDMN"  # the blank ends a numeral
    inputs, outputs, after, between = 40, len(LETTERS), 15, ""  # MMMDCCCLXXXVIII and a blank

    def __init__(self) -> None:
        rows = [[self.LETTERS.index(letter) for letter in in_roman(number).ljust(16)] for number in range(4000)]
        self.numerals = torch.tensor(rows)

    def make(self, count: int, part: Part, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        number = drawn(4000, count, part, generator)
        return self._digits(number)[:, None], self.numerals[number]

    def read(self, typed: str) -> Tensor | None:
        known = typed.isascii() and typed.isdigit() and len(typed) < 5 and int(typed) < 4000
        return self._digits(torch.tensor([int(typed)])) if known else None

    def asked(self, x: Tensor) -> list[str]:
        return [str(int("".join(map(str, x[0].view(4, 10).argmax(1).tolist()))))]

    def told(self, answer: Tensor) -> list[str]:
        return [self.LETTERS[letter].strip() for letter in answer.tolist()]

    def _digits(self, number: Tensor) -> Tensor:  # (N,) -> (N, 40)
        return torch.cat([F.one_hot(number // size % 10, 10) for size in (1000, 100, 10, 1)], 1).float()


class Film(Example):
    """A sentence about a film, perhaps with a second after "but", which then counts -> whether it praises it."""

    wiring, writes, typed = "many to one", 1, "a sentence, as 'the film was not bad but the music was dull'"
    PRAISE, BLAME = ("good", "fine", "great", "lovely", "moving"), ("bad", "poor", "awful", "dull", "boring")
    NOUNS, DEGREES = ("film", "story", "music", "acting", "ending"), ("very", "really", "so")
    WORDS = ("the", "was", "not", "but", *NOUNS, *DEGREES, *PRAISE, *BLAME)
    inputs, outputs = len(WORDS), 2

    def make(self, count: int, part: Part, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        number = {word: place for place, word in enumerate(self.WORDS, 1)}  # 0 is no word

        def one_of(words: Sequence[str]) -> Tensor:
            return torch.tensor([number.get(word, 0) for word in words])[
                torch.randint(len(words), (count,), generator=generator)
            ]

        def always(word: str) -> Tensor:
            return torch.full((count,), number[word])

        clauses = []
        for _ in range(2):
            degree = one_of((*self.DEGREES, "", "", ""))
            opinion = one_of(self.PRAISE + self.BLAME)
            clauses.append([always("the"), one_of(self.NOUNS), always("was"), one_of(("not", "")), degree, opinion])
        ids = torch.stack([*clauses[0], always("but"), *clauses[1]], 1)
        ids[: count // 2, :7] = 0  # half of them are single sentences
        praised = (ids[:, -1] < number[self.BLAME[0]]) ^ (ids[:, -3] == number["not"])
        ids = ids.gather(1, (ids > 0).long().argsort(stable=True))  # gaps go to the beginning
        return one_hot(ids, self.WORDS), praised.long()[:, None]

    def read(self, typed: str) -> Tensor | None:
        return read_words(typed, self.WORDS, 13)

    def asked(self, x: Tensor) -> list[str]:
        return words_at(x, self.WORDS)

    def told(self, answer: Tensor) -> list[str]:
        return [("blame", "praise")[int(answer[0])]]


class Numerals(Example):
    """A number up to 9,999 in words -> its digits."""

    wiring, typed = "many to many, through a code", "a number in words, as 'two thousand and six'"
    WORDS = (*UNITS, *TENS, "hundred", "thousand", "and")
    inputs, outputs, after, writes, between = len(WORDS), 11, 4, 4, ""
    LONGEST = 7  # nine thousand nine hundred and ninety nine

    def __init__(self) -> None:
        number = {word: place for place, word in enumerate(self.WORDS, 1)}
        words = [[number[word] for word in in_words(each).replace("-", " ").split()] for each in range(10_000)]
        self.ids = torch.tensor([[0] * (self.LONGEST - len(each)) + each for each in words])
        self.digits = torch.tensor(
            [[int(digit) for digit in str(each)] + [10] * (4 - len(str(each))) for each in range(10_000)]
        )

    def make(self, count: int, part: Part, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        number = drawn(10_000, count, part, generator)
        return one_hot(self.ids[number], self.WORDS), self.digits[number]

    def read(self, typed: str) -> Tensor | None:
        return read_words(typed.replace("-", " "), self.WORDS, self.LONGEST)

    def asked(self, x: Tensor) -> list[str]:
        return words_at(x, self.WORDS)

    def told(self, answer: Tensor) -> list[str]:
        return ["" if digit == 10 else str(digit) for digit in answer.tolist()]


class Movement(Example):
    """Frames of a row of eight lights, of which one is lit -> for every frame, where the light comes from."""

    wiring, typed = "many to many, in step", "places of a light, 1 to 8, as '3 4 5 5 4'"
    inputs, outputs = 8, 3
    FRAMES = 12

    def make(self, count: int, part: Part, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        place = torch.randint(8, (count,), generator=generator)
        places = [place]
        for _ in range(self.FRAMES - 1):
            place = (place + torch.randint(-1, 2, (count,), generator=generator)).clamp(0, 7)
            places.append(place)
        path = torch.stack(places, 1)
        moved = torch.diff(path, dim=1, prepend=path[:, :1])
        return F.one_hot(path, 8).float(), moved + 1

    def read(self, typed: str) -> Tensor | None:
        places = typed.split()
        if len(places) < 2 or any(place not in "12345678" for place in places):
            return None
        return F.one_hot(torch.tensor([int(place) - 1 for place in places]), 8).float()

    def asked(self, x: Tensor) -> list[str]:
        return [str(place + 1) for place in x.argmax(1).tolist()]

    def told(self, answer: Tensor) -> list[str]:
        return [("left", "rest", "right")[label] for label in answer.tolist()]


class Adding(Example):
    """Numbers in [0, 1], of which two are marked, one in each half -> the sum of the two."""

    wiring, writes, typed = "many to one", 1, "numbers, two of them marked, as '0.3 0.5* 0.8 0.1*'"
    inputs, outputs = 2, 1

    def __init__(self, length: int) -> None:
        self.length = length

    def make(self, count: int, part: Part, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        number = torch.rand(count, self.length, generator=generator)
        half = self.length // 2
        first = torch.randint(half, (count, 1), generator=generator)
        second = torch.randint(half, self.length, (count, 1), generator=generator)
        mark = torch.zeros(count, self.length).scatter_(1, torch.cat([first, second], 1), 1.0)
        return torch.stack([number, mark], 2), (number * mark).sum(1, keepdim=True)

    def read(self, typed: str) -> Tensor | None:
        try:
            rows = [[float(word.rstrip("*")), float(word.endswith("*"))] for word in typed.split()]
        except ValueError:
            return None
        x = torch.tensor(rows)
        return x if len(x) > 1 and bool(((x >= 0) & (x <= 1)).all()) and float(x[:, 1].sum()) == 2 else None

    def asked(self, x: Tensor) -> list[str]:
        return [f"{number:.2f}{'*' if mark else ''}" for number, mark in x.tolist()]

    def told(self, answer: Tensor) -> list[str]:
        return [f"{float(answer[0]):.3f}"]


def in_words(number: int) -> str:
    """A number up to 9,999, as the British say it: "two thousand three hundred and forty-five"."""
    if number < 20:
        return UNITS[number]
    if number < 100:
        tens, units = divmod(number, 10)
        return TENS[tens - 2] + (f"-{UNITS[units]}" if units else "")
    size, name = (100, "hundred") if number < 1000 else (1000, "thousand")
    count, rest = divmod(number, size)
    between = "" if not rest else " and " if rest < 100 else " "
    return f"{in_words(count)} {name}{between}{in_words(rest) if rest else ''}"


def in_roman(number: int) -> str:
    """A number up to 3,999 in Roman numerals: "MCMXCVII"."""
    letters = "IVXLCDM"
    written = ""
    for place, digit in enumerate(reversed(str(number))):
        one, five, ten = list((letters[2 * place : 2 * place + 3] + "  ")[:3])
        written = ("", "1", "11", "111", "15", "5", "51", "511", "5111", "1T")[int(digit)].translate(
            {ord("1"): one, ord("5"): five, ord("T"): ten}
        ) + written
    return written or "N"


@functools.cache
def numbers_of(limit: int, part: Part) -> Tensor:  # -> (N,) of int64
    """The numbers below `limit` that a part holds. What is not made of other words is learnt: 0 to 20, 30, ... 90."""
    scrambled = {number: number * 7919 % 10007 % 10 for number in range(limit)}
    whole = {number for number in range(min(limit, 100)) if number < 20 or number % 10 == 0}
    held: dict[Part, int] = {"valid": 0, "test": 1}
    return torch.tensor(
        [
            number
            for number, place in scrambled.items()
            if (part == "train" and (number in whole or place > 1))
            or (part != "train" and number not in whole and place == held[part])
        ]
    )


def drawn(limit: int, count: int, part: Part, generator: torch.Generator) -> Tensor:  # -> (N,) of int64
    """`count` of the numbers of a part."""
    numbers = numbers_of(limit, part)
    return numbers[torch.randint(len(numbers), (count,), generator=generator)]


def one_hot(ids: Tensor, words: Sequence[str]) -> Tensor:  # (..., T) of int64 -> (..., T, D)
    """Words by their numbers from 1; 0 is no word, and all zeros."""
    return F.one_hot(ids, len(words) + 1)[..., 1:].float()


def read_words(typed: str, words: Sequence[str], longest: int) -> Tensor | None:  # -> (T, D)
    """What was typed, with gaps before it as in the examples; None where a word is strange, or there are too many."""
    found = typed.lower().replace(",", " ").replace(".", " ").split()
    if not 0 < len(found) <= longest or any(word not in words for word in found):
        return None
    ids = [0] * (longest - len(found)) + [words.index(word) + 1 for word in found]
    return one_hot(torch.tensor(ids), words)


def words_at(x: Tensor, words: Sequence[str]) -> list[str]:  # (T, D) -> T words
    """The word at every position, "" where there is none."""
    return [words[int(row.argmax())] if bool(row.any()) else "" for row in x]


FIVE = ("display", "roman", "film", "numerals", "movement")


@functools.cache
def example(name: str, length: int) -> Example:
    """The example of that name; `length` is that of the adding problem."""
    if name == "adding":
        return Adding(length)
    others: dict[str, Callable[[], Example]] = {
        "display": Display,
        "roman": Roman,
        "film": Film,
        "numerals": Numerals,
        "movement": Movement,
    }
    return others[name]()


def examples(spec: dict[str, Any]) -> dict[str, Example]:
    """What data of these facts hold, by name."""
    return {name: example(name, spec["length"]) for name in (FIVE if spec["data"] == "wirings" else (spec["data"],))}


@dataclass(frozen=True)
class Made(Stream):
    """Examples that are made as they are needed: a batch depends on (seed, part, position) alone.

    It is {"film": (B, T, D), "film answer": (B, S), ...}. `count` batches are called a pass.
    """

    examples: dict[str, Example]
    part: Part
    batch: int
    count: int
    seed: int
    device: torch.device | str = "cpu"
    rank: int = 0
    ranks: int = 1

    def __post_init__(self) -> None:
        if self.batch % self.ranks:
            raise UserError(
                f"A batch must divide evenly over the ranks; got {self.batch} examples over {self.ranks} ranks. "
                f"Choose a batch that is a multiple of {self.ranks}, or fewer ranks."
            )

    def __len__(self) -> int:
        return self.count

    @property
    def items(self) -> int:
        return self.batch

    def at(self, position: int) -> Batch:
        share = self.batch // self.ranks
        own = slice(self.rank * share, (self.rank + 1) * share)
        batch: Batch = {}
        for name, each in self.examples.items():
            # MOST positions a part: no two parts, and no two seeds of the first thousand, are of the same numbers.
            number = (self.seed * len(PARTS) + PARTS.index(self.part)) * MOST + position
            made = each.make(self.batch, self.part, torch.Generator().manual_seed(number))
            batch |= dict(zip((name, f"{name} answer"), [column[own].to(self.device) for column in made], strict=True))
        return batch

    def on(self, device: torch.device, rank: int = 0, ranks: int = 1) -> "Made":
        return replace(self, device=device, rank=rank, ranks=ranks)


# --- who learns it


class Wired(nn.Module):
    """A recurrent net in the wiring of an example, and an affine map from its state to the outputs."""

    def __init__(self, example: Example, cell: Cell, hidden: int, layers: int) -> None:
        super().__init__()
        self.after, self.writes = example.after, example.writes
        self.recurrent = Recurrent(cell, example.inputs, hidden, layers)
        self.output = nn.Linear(hidden, example.outputs)
        for name, parameter in self.recurrent.named_parameters():  # a single position hears no state before it
            parameter.requires_grad_(example.recurs or not name.startswith("weight_hh"))

    def forward(self, x: Tensor) -> Tensor:  # (B, T, D) -> (B, S, K) scores, or numbers for K = 1
        hidden, _ = self.recurrent(F.pad(x, (0, 0, 0, self.after)))
        return self.output(hidden if self.writes is None else hidden[:, -self.writes :])


class Wirings(nn.Module):
    """A net for each example, which have nothing to do with each other."""

    def __init__(self, examples: dict[str, Example], cell: Cell, hidden: int, layers: int) -> None:
        super().__init__()
        self.examples = examples
        self.nets = nn.ModuleDict({name: Wired(each, cell, hidden, layers) for name, each in examples.items()})

    def forward(self, name: str, x: Tensor) -> Tensor:  # (B, T, D) -> (B, S, K)
        return self.nets[name](x)

    def say(self, name: str, x: Tensor) -> Tensor:  # (B, T, D) -> (B, S): classes, or numbers
        """The answers of a net."""
        scores = self(name, x)
        return scores[..., 0] if scores.shape[2] == 1 else scores.argmax(2)


def objective(model: nn.Module, batch: Batch) -> Scores:
    """ "loss" is the sum over the nets of the mean cross-entropy of an output, in nats, or of the mean squared error;
    "error" the share of examples of which not all is right, the mean of the nets, and of each alone."""
    assert isinstance(model, Wirings)
    losses, errors = [], {}
    for name in model.nets:
        scores, right = model(name, batch[name]), batch[f"{name} answer"]
        if scores.shape[2] == 1:
            losses.append(F.mse_loss(scores[..., 0], right))
            wrong = (scores[..., 0] - right).abs() > NEAR
        else:
            losses.append(F.cross_entropy(scores.flatten(0, 1), right.flatten()))
            wrong = scores.argmax(2) != right
        errors[f"error_{name}"] = wrong.any(1).float().mean()
    found = {"loss": torch.stack(losses).sum(), "error": torch.stack(list(errors.values())).mean()}
    return found | (errors if len(errors) > 1 else {})


class WiringsRecipe(Recipe):
    """Recurrent nets in five wirings on examples of their own."""

    takes = ("sequence",)
    gives = ("word",)
    asked = "word"
    published = (
        Published(
            on="adding",
            score="test/error",
            value=1 / 2560,
            source="Hochreiter and Schmidhuber 1997, table 7",
            verified=False,
            protocol={"cell": "an LSTM of 2 blocks of 2 cells", "updates": 74000, "batch": 1, "numbers in": "[-1, 1]"},
            when={"length": 100},
        ),
    )

    data: Literal["wirings", "display", "roman", "film", "numerals", "movement", "adding"] = Field(
        "wirings", description="the example to learn; wirings: the five, each by a net of its own"
    )
    cell: Cell = Field("lstm", description="the recurrent cell")
    layers: int = Field(1, ge=1, le=16, description="recurrent layers on top of each other")
    hidden: int = Field(64, ge=1, description="units of each layer")
    length: int = Field(100, ge=2, le=10_000, description="positions of the adding problem")
    updates: int = Field(3000, ge=1, le=MOST, description="updates, each on examples made for it")
    batch: BatchSize = 50
    lr: Rate = 5e-3
    optimizer: Rule = "adam"
    schedule: Course = "linear"
    clip_norm: Clip = Field(1.0, description="bound on the norm of the gradient, of all nets together")

    def load(self) -> Data:
        spec: dict[str, Any] = {
            "kind": "sequence",
            "data": self.data,
            "length": self.length,
            "examples": {"train": self.batch * self.updates, "valid": VALID, "test": TEST},
        }
        made = examples(spec)
        return Data(
            spec,
            Made(made, "train", self.batch, self.updates, self.seed),
            Made(made, "valid", VALID, 1, self.seed),
            Made(made, "test", VALID, TEST // VALID, self.seed),
        )

    def model(self, spec: dict[str, Any]) -> Wirings:
        return Wirings(examples(spec), self.cell, self.hidden, self.layers)

    def learner(self, model: nn.Module) -> Backprop:
        return Backprop(
            model,
            objective,
            optimizer(self.optimizer, model, self.lr),
            schedule=NAMED[self.schedule],
            clip_norm=self.clip_norm,
        )

    def plan(self, data: Data) -> Plan:
        return Plan.passes(1, data.train)

    def answer(self, model: nn.Module, question: Batch, options: Knobs) -> Batch:
        """Of every net whose example is asked in that way: no two take the same words."""
        assert isinstance(model, Wirings)
        rows = []
        for typed in question["text"]:
            read = {name: each.read(typed) for name, each in model.examples.items()}
            name, x = next(((name, x) for name, x in read.items() if x is not None), ("", None))
            if x is None:
                known = "; ".join(each.typed for each in model.examples.values())
                raise UserError(f"What this run is asked must be one of these: {known}; got '{short(typed)}'.")
            each = model.examples[name]
            said = each.told(model.say(name, x[None])[0])
            rows.append({"wiring": each.wiring, "answer": each.between.join(said)})
        return {"word": rows}

    def conclude(self, learner: Learner, data: Data) -> tuple[dict[str, float], list[str]]:
        assert data.test is not None
        scores = look(learner, data.test)
        if self.data == "adding":
            better = f"Its squared error is {scores['loss']:.2g}; always answering 1 has 1/6 = 0.167."
            return {}, [better + (" It has not learnt to add." if scores["loss"] > 0.15 else "")]
        own = {name: f"error_{name}" for name in examples(data.spec)}
        errors = {name: scores[score if score in scores else "error"] for name, score in own.items()}
        poor = [f"{name} ({1 - error:.1%})" for name, error in errors.items() if error >= 0.05]
        if not poor:
            return {}, ["Every net is right, in all of its outputs, about more than 95 % of the test examples."]
        return {}, [f"Right about 95 % of the test examples or fewer: {', '.join(poor)}."]

    def question(self, spec: dict[str, Any]) -> str:
        return next(iter(examples(spec).values())).typed.rpartition(" as ")[2]

    def protocol(self, spec: dict[str, Any]) -> dict[str, Any]:
        return {"numbers in": "[0, 1]"}

    def pictures(self, evidence: "Evidence") -> list[Picture]:
        from deepclassics.report import curves
        from deepclassics.report.unrolled import unrolled

        model = evidence.model
        assert isinstance(model, Wirings)
        return [
            Picture(
                "The wirings, unrolled",
                "The same net at every position, from left to right, and a test example in it: below what is put in, "
                "above what it answers. Where nothing stands, nothing is put in, and the output is not read. Answers "
                "that are wrong are vermillion, with what is right in brackets; a dot is the end of one.",
                lambda: unrolled(drawn_in(model, self.seed)),
            ),
            Picture("More of its answers", "To test examples.", lambda: answers(model, self.seed)),
            curves.picture(evidence),
        ]


def tested(model: Wirings, count: int, seed: int) -> Iterator[tuple[str, Example, Tensor, Tensor, Tensor]]:
    """For each net its name, its example, and of `count` test examples what is put in, (N, T, D), what the net answers
    and what is right, (N, S)."""
    batch = Made(model.examples, "test", count, 1, seed).at(0)
    with untraced(model):
        for name, each in model.examples.items():
            yield name, each, batch[name], model.say(name, batch[name]), batch[f"{name} answer"]


def drawn_in(model: Wirings, seed: int) -> "list[Unrolled]":
    """Every net with a test example in it, for the report."""
    from deepclassics.report.unrolled import Unrolled

    found = []
    for name, each, x, answer, right in tested(model, 8, seed):
        # Of a few the longest question and answer says most of a wiring.
        words = [
            (each.asked(row), each.told(said), each.told(true))
            for row, said, true in zip(x, answer, right, strict=True)
        ]
        given, said, true = max(words, key=lambda triple: sum(map(bool, triple[0])) + sum(map(bool, triple[2])))
        kept = [place for place, word in enumerate(given) if word.endswith("*")]
        title = f"{each.wiring}: {name}"
        found.append(Unrolled(title, given + [""] * each.after, said, true, kept))
    return found


def answers(model: Wirings, seed: int, count: int = 5) -> str:
    """Some test examples of each net with its answers, for the report."""
    blocks = []
    for name, each, x, answer, right in tested(model, count, seed):
        lines = [f"── {each.wiring}: {name} ──"]
        for row, said, true in zip(x, answer, right, strict=True):
            given = [word for word in each.asked(row) if word]
            told, meant = each.between.join(each.told(said)), each.between.join(each.told(true))
            if len(given) > 20:  # of the adding problem, what is marked
                given = ["…", *[word for word in given if word.endswith("*")], "…"]
            lines.append(f"{' '.join(given)} → {told}" + ("" if told == meant else f"  (right: {meant})"))
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)
