"""The notes' story of an LSTM that reads word by word: its cells hold the number and gender of the subject until verb
and pronoun have come, and let go of them at a new subject.

Sentences come from a small grammar: two clauses, in each a subject, perhaps other nouns, and one to three verbs,

    the king behind the girls finds his hat and sings and the nuns who see the boy laugh .

An "and" is followed by another verb or by a new subject, so a subject matters until the next one is there. Half of the
nouns are plural, half feminine, each by itself, so the nouns between subject and verb tell nothing of the verb. A verb
after "who" does: what is read far from a subject is told where no such verb came between.

The sentences that are judged never have a subject with a verb that it had while the net learnt.

Letters: N sentences, T positions, M places in them, H hidden units, V words.
"""

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deepclassics.claims import Finding
from deepclassics.claims.recurrence import Reader
from deepclassics.report.activity import correlations, states

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MEN = ("king", "boy", "uncle", "waiter", "prince", "monk")
WOMEN = ("queen", "girl", "aunt", "waitress", "princess", "nun")
ACTS = ("laugh", "sing", "run", "wait", "sleep", "dance", "smile", "swim")
DEEDS = ("see", "know", "hear", "find", "like", "lead", "want", "need")  # which take an object
THINGS, SIDES = ("hat", "coat", "book", "horse", "ring", "cup"), ("near", "behind", "beside", "with")
FORMS = {  # singular and plural
    **{noun: (noun, noun + ("es" if noun.endswith("s") else "s")) for noun in MEN + WOMEN},
    **{verb: (verb + "s", verb) for verb in ACTS + DEEDS},
}
PRONOUNS = ("his", "her", "their")
WORDS = ("", "the", "and", "who", ".", *PRONOUNS, *THINGS, *SIDES, *sum(FORMS.values(), ()))
NUMBER = {word: place for place, word in enumerate(WORDS)}  # 0 is beyond the end
OTHER = {one: other for forms in FORMS.values() for one, other in (forms, forms[::-1])}  # the form of the other number


# --- the grammar


class Noun(NamedTuple):
    place: int
    lexeme: int  # which of MEN + WOMEN
    plural: bool

    @property
    def feminine(self) -> bool:
        return self.lexeme >= len(MEN)


class Clause(NamedTuple):
    subject: Noun
    between: list[Noun]  # before the first verb
    verbs: list[int]  # places of those that agree
    pronouns: list[int]

    def crossed(self) -> bool:
        """Whether there are nouns before the verb, all of the other number."""
        return bool(self.between) and all(noun.plural != self.subject.plural for noun in self.between)


class Sentence(NamedTuple):
    words: list[str]
    clauses: list[Clause]


def _sentence(chance: random.Random, held_back: bool) -> Sentence:
    """Two clauses, whose subjects and verbs are pairs of the quarter that is held back, or all of the rest."""
    words: list[str] = []

    def noun() -> Noun:
        lexeme, plural = chance.randrange(len(MEN + WOMEN)), chance.random() < 0.5
        words.extend(["the", FORMS[(MEN + WOMEN)[lexeme]][plural]])
        return Noun(len(words) - 1, lexeme, plural)

    def verb(subject: Noun, among: tuple[str, ...]) -> int:
        fit = [each for place, each in enumerate(among) if ((subject.lexeme + place) % 4 == 0) == held_back]
        words.append(FORMS[chance.choice(fit)][subject.plural])
        return len(words) - 1

    clauses: list[Clause] = []
    while len(clauses) < 2:
        words += ["and"] if clauses else []
        found = Clause(noun(), [], [], [])
        for link in chance.choice(([], ["who"], ["near"], ["near", "near"], ["who", "near"])):
            if link == "who":
                words.append("who")
                verb(found.subject, DEEDS)
            else:
                words.append(chance.choice(SIDES))
            found.between.append(noun())
        for count in range(chance.choice((1, 1, 2, 3))):
            words += ["and"] if count else []
            among = chance.choice((ACTS, DEEDS))
            found.verbs.append(verb(found.subject, among))
            if among == DEEDS:
                found.pronouns.append(len(words))
                words += [_pronoun(found.subject), chance.choice(THINGS)]
        clauses.append(found)
    return Sentence([*words, "."], clauses)


def _pronoun(subject: Noun) -> str:
    return "their" if subject.plural else PRONOUNS[subject.feminine]


def _sentences(count: int, held_back: bool) -> list[Sentence]:
    chance = random.Random(int(held_back))
    return [_sentence(chance, held_back) for _ in range(count)]


def _ids(sentences: list[Sentence]) -> Tensor:  # -> (N, T)
    longest = max(len(each.words) for each in sentences)
    rows = [each.words + [""] * (longest - len(each.words)) for each in sentences]
    return torch.tensor([[NUMBER[word] for word in row] for row in rows])


def _put_in(ids: Tensor) -> Tensor:  # (N, T) -> (N, T, V)
    return F.one_hot(ids, len(WORDS)).float()


# --- what is learnt, and what is read from it


def _reader() -> Reader:
    return Reader("lstm", len(WORDS), 24, len(WORDS))


def _taught(ids: Tensor) -> Reader:  # (N, T)
    """A net that foretells the next word, after twenty passes; its forget gates begin with a bias of 1 more."""
    net = _reader()
    with torch.no_grad():
        net.recurrent.get_parameter("bias_ih_l0")[net.recurrent.hidden : 2 * net.recurrent.hidden] += 1
    steps = torch.optim.Adam(net.parameters(), 2e-2, fused=True)
    for _ in range(20):
        for rows in torch.randperm(len(ids)).split(50):
            part = ids[rows]
            part = part[:, : int((part > 0).sum(1).max())]
            steps.zero_grad()
            loss = F.cross_entropy(net(_put_in(part[:, :-1])).flatten(0, 1), part[:, 1:].flatten(), ignore_index=0)
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            steps.step()
    return net


def _forget_gates(net: Reader, x: Tensor) -> Tensor:  # (N, T, V) -> (N, T, H)
    inward, across, one, two = net.recurrent.weights(0)
    hidden = net.recurrent.hidden
    before = F.pad(net.recurrent(x)[0], (0, 0, 1, -1))  # (N, T, H), those of the word before
    return torch.sigmoid(x @ inward.T + before @ across.T + one + two)[..., hidden : 2 * hidden]


def _right(net: Reader, sentences: list[Sentence]) -> dict[str, float]:
    """Shares of the verbs whose right form is likelier than the one of the other number, and of the pronouns that are
    the likeliest of the three."""
    ids = _ids(sentences)
    scores = net(_put_in(ids))
    other = torch.tensor([NUMBER[OTHER.get(word, "")] for word in WORDS])
    row, place, crossed, again = torch.tensor(
        [
            (row, verb, own.crossed(), number)
            for row, (_, clauses) in enumerate(sentences)
            for number, own in enumerate(clauses)
            for verb in own.verbs
        ]
    ).unbind(1)
    turned = torch.tensor([clauses[0].subject.plural != clauses[1].subject.plural for _, clauses in sentences])[row]
    word = ids[row, place]
    verbs = scores[row, place - 1, word] > scores[row, place - 1, other[word]]
    row, place = torch.tensor(
        [(row, pronoun) for row, (_, clauses) in enumerate(sentences) for own in clauses for pronoun in own.pronouns]
    ).unbind(1)
    of = torch.tensor([NUMBER[word] for word in PRONOUNS])
    pronouns = of[scores[row, place - 1][:, of].argmax(1)] == ids[row, place]
    return {
        "right form of the verb": _share(verbs),
        "right form of the verb, all nouns between of the other number": _share(verbs[crossed > 0]),
        "right form of the second subject's verb, first one of the other number": _share(verbs[(again > 0) & turned]),
        "right pronoun": _share(pronouns),
    }


def _share(found: Tensor) -> float:
    return float(found.float().mean())


class Held(NamedTuple):
    """Places from a subject to the word before its verb: the cells there, and what is to be read from them."""

    cells: Tensor  # (M, H)
    plural: Tensor  # (M,)
    feminine: Tensor  # (M,)
    since: Tensor  # (M,) words since the subject, 0 after a verb that agrees with it
    second: Tensor  # (M,) whether it is the second subject
    first: Tensor  # (M,) whether the first subject is plural

    def where(self, chosen: Tensor) -> "Held":
        return Held(*(each[chosen] for each in self))


def _held(net: Reader, sentences: list[Sentence]) -> Held:
    cells = states(net.recurrent, _put_in(_ids(sentences)))
    rows = [
        (
            *(row, place, subject.plural, subject.feminine),
            0 if "who" in words[subject.place : place] else place - subject.place,
            *(number, clauses[0].subject.plural),
        )
        for row, (words, clauses) in enumerate(sentences)
        for number, (subject, _, verbs, _) in enumerate(clauses)
        for place in range(subject.place, verbs[0])
    ]
    row, place, plural, feminine, since, second, first = torch.tensor(rows).unbind(1)
    return Held(cells[row, place], plural > 0, feminine > 0, since, second > 0, first > 0)


def _probed(x: Tensor, y: Tensor, new_x: Tensor, new_y: Tensor) -> Tensor:  # (M, H), (M,), (M', H), (M',) -> (M',)
    """Whether a linear probe, fitted to the first places by least squares, is right about the new ones."""
    one, other = (F.pad(each.double(), (0, 1), value=1.0) for each in (x, new_x))
    return (other @ torch.linalg.lstsq(one, 2 * y.double() - 1).solution > 0) == new_y


def _kept(net: Reader, sentences: list[Sentence]) -> tuple[Tensor, Tensor]:  # -> (M, H), (M', H)
    """The share of every cell that passes the forget gates at "the" and a noun: a new subject's, and another's."""
    gates = _forget_gates(net, _put_in(_ids(sentences)))
    row, place, subject = torch.tensor(
        [
            (row, noun.place, noun is clauses[1].subject)
            for row, (_, clauses) in enumerate(sentences)
            for noun in (clauses[1].subject, *clauses[0].between, *clauses[1].between)
        ]
    ).unbind(1)
    kept = gates[row, place - 1] * gates[row, place]
    return kept[subject > 0], kept[subject == 0]


# --- the story


def _read(one: Held, new: Held) -> dict[str, float]:
    """What probes fitted to some places read at others, as shares that are right."""
    number = _probed(one.cells, one.plural, new.cells, new.plural)
    return {
        "number read between subject and verb": _share(number),
        "number read five words after the subject or later": _share(number[new.since >= 5]),
        "gender read where the subject is singular": _read_gender(one.where(~one.plural), new.where(~new.plural)),
    }


def _read_gender(one: Held, new: Held) -> float:
    return _share(_probed(one.cells, one.feminine, new.cells, new.feminine))


def _read_first(one: Held, new: Held) -> float:
    """The number of the first subject, which no word hangs on once the second is there."""
    return _share(_probed(one.cells, one.first, new.cells, new.first))


def _carriers(one: Held) -> dict[str, int]:
    """The cells that go best with number, and with gender where the subject is singular."""
    alone = one.where(~one.plural)
    pairs = {"number": (one.cells, one.plural), "gender": (alone.cells, alone.feminine)}
    return {name: int(correlations(cells, y[:, None])[:, 0].abs().argmax()) for name, (cells, y) in pairs.items()}


def s207_lstm_steps() -> Finding:
    """A cell of an LSTM keeps the gender or number of a subject for pronoun and verb, and forgets it at a new subject.

    Notes: F2 L1509-1537.

    LSTMs of 24 units, three starts, learn to foretell the next word of sentences as "the king behind the girls likes
    his hat and the nuns sing". In 1,000 others, of pairs of subject and verb that were held back, each start must
    prefer the right form of the verb and of the pronoun in more than 95 %, and linear probes, fitted to the cells in
    sentences learnt from, must read number and, where it is needed, gender in more than 95 % of the places between
    subject and verb. Of the one cell that goes best with number, and the one with gender, less than half as much must
    pass the forget gates at "the" and noun where they are a new subject as where they stand inside a clause. If the
    number of the first subject can still be read from the cells after the second, in more than 60 %, that is the
    exception.
    """
    learnt, new = _sentences(2000, False), _sentences(1000, True)
    right: list[dict[str, float]] = []  # of each start
    kept: dict[str, list[tuple[float, float]]] = {"number": [], "gender": []}  # at a new subject, and inside a clause
    idle, first = [], []
    nets = []
    for seed in range(3):
        torch.manual_seed(seed)
        net = _taught(_ids(learnt))
        with torch.no_grad():
            one, other = _held(net, learnt[:1000]), _held(net, new)
            right.append(_right(net, new) | _read(one, other))
            idle.append(_read_gender(one.where(one.plural), other.where(other.plural)))
            first.append(_read_first(one.where(one.second), other.where(other.second)))
            cells, gates = _carriers(one), _kept(net, new)
            for name, cell in cells.items():
                at_new, inside = (float(each[:, cell].mean()) for each in gates)
                kept[name].append((at_new, inside))
        nets.append((net, cells))
    with torch.no_grad():
        blank = _reader()
        unlearnt = _read(_held(blank, learnt[:1000]), _held(blank, new))
    least = {name: min(each[name] for each in right) for name in right[0]}
    return Finding(
        holds=min(least.values()) > 0.95
        and all(at_new < inside / 2 for each in kept.values() for at_new, inside in each),
        limited=min(first) > 0.6,
        numbers={
            **{f"{name}, least of three starts": each for name, each in least.items()},
            **{f"{name}, first weights": each for name, each in unlearnt.items()},
            **{
                f"share of the cell for {name} kept at a noun inside a clause, least": min(inside for _, inside in each)
                for name, each in kept.items()
            },
            **{
                f"share of the cell for {name} kept at a new subject, most": max(at_new for at_new, _ in each)
                for name, each in kept.items()
            },
            "gender of plural subjects, which no word hangs on, read, most": max(idle),
            "number of the first subject read after the second, least": min(first),
        },
        remark=f"After the second subject the first one's number is read from all cells together in {min(first):.0%} "
        "or more of the places; half is chance.",
        draw=_drawn(*nets[0]),
    )


SHOWN = {  # sentences that differ in what a cell keeps
    "number": (
        "the kings behind the girl like their hat and sleep and the nun who knows the boys leads her horse .",
        "the king behind the girl likes his hat and sleeps and the nuns who know the boys lead their horse .",
    ),
    "gender": (
        "the king behind the girl likes his hat and sleeps and the nun who knows the boys leads her horse .",
        "the queen behind the girl likes her hat and sleeps and the monk who knows the boys leads his horse .",
    ),
}


def _drawn(net: Reader, carriers: dict[str, int]) -> "Callable[[], Figure]":
    def draw() -> "Figure":
        from deepclassics.report.style import FAINT, grid, sheet

        figure = sheet(9.6, 4.8)
        panels = figure.subplots(2, 2, sharex="col", height_ratios=[1.5, 1])
        for (name, pair), (upper, lower) in zip(SHOWN.items(), panels.T, strict=True):
            words = [each.split() for each in pair]
            x = _put_in(torch.tensor([[NUMBER[word] for word in each] for each in words]))
            with torch.no_grad():
                cells, gates = states(net.recurrent, x), _forget_gates(net, x)
            for row, (each, marker) in enumerate(zip(words, "os", strict=True)):
                for axes, values in ((upper, cells), (lower, gates)):
                    axes.plot(values[row, :, carriers[name]], f"{marker}-", markersize=3.5, label=f"the {each[1]} ...")
            for axes in (upper, lower):
                for place in (1, words[0].index("nun")):
                    axes.axvspan(place - 1.5, place + 0.5, color=FAINT, alpha=0.2, linewidth=0)
                grid(axes)
            upper.axhline(0, color=FAINT, linewidth=0.8)
            upper.set_title(f"The cell for {name}")
            upper.set_ylabel("what the cell holds")
            upper.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0.2)
            lower.set_ylabel("its forget gate")
            lower.set_ylim(-0.05, 1.05)
            told = [one if one == other else f"{one} / {other}" for one, other in zip(*words, strict=True)]
            lower.set_xticks(range(len(told)), told, rotation=90)
        return figure

    return draw
