"""Tags: how the names in a sentence are written as one tag a word, and what names a row of tags means.

Schemes, for a name of type PER:

- "IOB1" (Ramshaw and Marcus 1995; CoNLL-2003): I-PER on every word of it; B-PER on its first only where another name
  of the same type stands right before it.
- "BIO": B-PER on the first word, I-PER on the others.
- "BIOES": S-PER on the word of a name of one word; else B-PER, I-PER ..., E-PER. Also read with L and U for E and S.

O is on every word outside. A row of tags that breaks its scheme means what the program conlleval of the shared tasks
takes it for: a name begins wherever one cannot go on, so an I-PER after O begins one.

Letters: B sentences, T words, Y types of names, K tags.
"""

import functools
from collections.abc import Iterable, Sequence
from operator import ne
from typing import Literal

import torch
from torch import Tensor

Scheme = Literal["IOB1", "BIO", "BIOES"]
Entity = tuple[int, int, str]  # first word, the word after the last, type

OUTSIDE = "O"
PREFIXES = {"IOB1": "BI", "BIO": "BI", "BIOES": "BIES"}
SAME = {"L": "E", "U": "S"}  # as BILOU calls them
NONE = 0  # number of a place that holds no word


@functools.cache
def parted(tag: str) -> tuple[str, str] | None:
    """ "B-PER" as ("B", "PER"), "O" as ("O", ""); None where it is a tag of no scheme."""
    if tag == OUTSIDE:
        return OUTSIDE, ""
    prefix, dash, kind = tag.partition("-")
    prefix = SAME.get(prefix, prefix)
    return (prefix, kind) if dash and kind and prefix in PREFIXES["BIOES"] else None


def entities(tags: Sequence[str]) -> list[Entity]:
    """The names that a row of tags means by conlleval's rule, whatever the scheme."""
    if set(tags) <= {OUTSIDE}:
        return []
    found: list[Entity] = []
    before, begun = (OUTSIDE, ""), 0
    for place, tag in enumerate([*tags, OUTSIDE]):
        now = parted(tag)
        assert now is not None, tag
        if before[1] and not goes_on(before, now):
            found.append((begun, place, before[1]))
        if now[1] and not goes_on(before, now):
            begun = place
        before = now
    return found


def goes_on(before: tuple[str, str], now: tuple[str, str]) -> bool:
    """Whether a tag goes on with the name of the tag before it, both as `parted` gives them (conlleval)."""
    return bool(now[1]) and now[1] == before[1] and before[0] in ("B", "I") and now[0] in ("I", "E")


def written(names: Iterable[Entity], words: int, scheme: Scheme) -> list[str]:
    """The tags of a sentence of so many words with these names, which do not overlap and come in order."""
    tags = [OUTSIDE] * words
    before: Entity = (0, 0, "")
    for begin, end, kind in names:
        tags[begin:end] = [f"I-{kind}"] * (end - begin)
        if scheme == "BIO" or (scheme == "IOB1" and before[1:] == (begin, kind)):
            tags[begin] = f"B-{kind}"
        elif scheme == "BIOES":
            tags[begin], tags[end - 1] = f"B-{kind}", f"E-{kind}"
            if end == begin + 1:
                tags[begin] = f"S-{kind}"
        before = (begin, end, kind)
    return tags


def scheme(rows: Iterable[Sequence[str]]) -> tuple[Scheme, int]:
    """The scheme that rows of tags are written in, and how many of the tags break it: are others than the names that
    they mean have in it."""
    broken: dict[Scheme, int] = {"BIO": 0, "BIOES": 0, "IOB1": 0}
    for row in rows:
        names = entities(row)
        plain = [tag if tag == OUTSIDE else "-".join(parted(tag) or ()) for tag in row]
        for form in broken if names else ():
            broken[form] += sum(map(ne, plain, written(names, len(row), form)))
    best = min(broken, key=lambda name: broken[name])
    return best, broken[best]


def may_follow(before: str, after: str, scheme: Scheme) -> bool:
    """Whether a scheme lets a tag follow another; "" stands for where a sentence begins or ends."""
    (prefix, kind), (later, later_kind) = (parted(tag or OUTSIDE) or (OUTSIDE, "") for tag in (before, after))
    if scheme == "IOB1":
        return later != "B" or kind == later_kind
    if later in ("I", "E"):
        return prefix in ("B", "I") and kind == later_kind
    return scheme == "BIO" or prefix not in ("B", "I")


def numbered(types: Sequence[str], scheme: Scheme) -> list[str]:
    """The tags of a scheme by number: 0 is no word, 1 is O, then those of each type in turn."""
    return ["", OUTSIDE, *(f"{prefix}-{kind}" for kind in types for prefix in PREFIXES[scheme])]


def recast(tags: Tensor, scheme: Scheme) -> Tensor:  # (B, T) of BIO, none broken -> (B, T) of BIO or BIOES
    """Numbers of tags of the scheme BIO as those of another."""
    if scheme == "BIO":
        return tags
    assert scheme == "BIOES", scheme
    named, inside = tags > 1, (tags > 1) & (tags % 2 == 1)
    more = torch.zeros_like(inside)
    more[:, :-1] = inside[:, 1:]  # the name has another word
    place = torch.where(inside, torch.where(more, 1, 2), torch.where(more, 0, 3))  # in B, I, E, S
    return torch.where(named, 2 + 4 * ((tags - 2) // 2) + place, tags)


def bounds(tags: Tensor, scheme: Scheme) -> tuple[Tensor, Tensor, Tensor]:  # (B, T) -> (B, T) bool, (B, T), (B, T)
    """Where names begin by conlleval's rule, the number of each word's type, from 1, or 0, and the last word of the
    name it belongs to. Tags by number, perhaps broken; rows are sentences."""
    prefixes = PREFIXES[scheme]
    kind = torch.where(tags > 1, (tags - 2) // len(prefixes) + 1, 0)
    # -1 is the prefix of what is in no name
    prefix = torch.where(tags > 1, (tags - 2) % len(prefixes), -1)
    opens = (prefix == 0) | (prefix == 3)  # B, S
    closes = (prefix == 2) | (prefix == 3)  # E, S
    same = kind[:, 1:] == kind[:, :-1]
    begins = kind > 0
    begins[:, 1:] &= ~same | opens[:, 1:] | closes[:, :-1]
    last = kind > 0
    last[:, :-1] &= ~same | begins[:, 1:]
    place = torch.arange(tags.shape[1], device=tags.device).expand_as(tags)
    ends = torch.where(last, place, tags.shape[1]).flip(1).cummin(1).values.flip(1)
    return begins, kind, ends


def broken(tags: Tensor, scheme: Scheme) -> Tensor:  # (B, T) -> (B, T + 1) bool
    """Which tags, or ends of sentences, may not follow the tag before: in BIO an I- that goes on with no name, in BIOES
    also whatever leaves a name without its end."""
    tags = torch.nn.functional.pad(tags, (0, 1))
    size = len(PREFIXES[scheme])
    kind = torch.where(tags > 1, (tags - 2) // size, -1)
    prefix = torch.where(tags > 1, (tags - 2) % size, -1)
    goes_on = (prefix == 1) | (prefix == 2) & (scheme == "BIOES")  # I, E
    unended = (prefix == 0) | (prefix == 1)  # B, I
    kind_before, unended_before = (each.roll(1, 1) for each in (kind, unended))
    unended_before[:, 0] = False
    wrong = goes_on & ~(unended_before & (kind_before == kind))
    return wrong | (unended_before & ~goes_on) if scheme == "BIOES" else wrong
