"""Bulletins: a small grammar with people, places, dates and organisations.

For taggers (S224): 2,000 sentences to learn from, 200 to choose by and 400 to judge with, each part built on templates
of its own. Half the names are made of syllables, and most of those in the test part come nowhere else; surnames are
also names of places ("Jack London" lives in "London"), so that a word alone does not tell.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from deepclassics.data.fetch import File

if TYPE_CHECKING:
    from numpy.random import RandomState

    from deepclassics.data.kinds.tagged import Sentence, Tagged

KIND = "tagged"
LICENCE = "no work of anybody's"
FILES: tuple[File, ...] = ()
COUNTS = {"train": 2_000, "valid": 200, "test": 400, "types": 4}

FIRST = [
    "Ada", "Alan", "Anna", "Boris", "Carla", "Chen", "Clara", "David", "Elena", "Emil", "Eva", "Felix", "Grace",
    "Hans", "Ines", "Ivan", "Jane", "Jonas", "Julia", "Karl", "Lena", "Lin", "Marco", "Maria", "Max", "Mei", "Nina",
    "Omar", "Paula", "Peter", "Rosa", "Sofia", "Tom", "Viktor", "Yuki", "Zoe"
]  # fmt: skip
SURNAMES = [
    "Adler", "Bauer", "Berg", "Brown", "Conti", "Costa", "Fischer", "Garcia", "Haas", "Hill", "Ito", "Jensen",
    "Jordan", "Kim", "Klein", "Lang", "Lincoln", "London", "Lopez", "Meyer", "Moreau", "Novak", "Olsen", "Paris",
    "Petrov", "Rossi", "Sato", "Silva", "Stone", "Sydney", "Tanaka", "Torres", "Vogel", "Wagner", "Washington",
    "Weber", "Wolf", "Zhang"
]  # fmt: skip
PLACES = [
    "Athens", "Austin", "Berlin", "Bern", "Cairo", "Cape Town", "Chicago", "Dublin", "Florence", "Geneva", "Jordan",
    "Kyoto", "Lima", "Lincoln", "Lisbon", "London", "Madrid", "Milan", "New York", "Oslo", "Paris", "Porto",
    "Prague", "Quito", "Rio de Janeiro", "Rome", "Santiago", "Seoul", "Sydney", "Tokyo", "Vienna", "Washington"
]  # fmt: skip
TRADES = [
    "Air", "Bank", "Chemicals", "Energy", "Foods", "Insurance", "Motors", "Oil", "Railways", "Software", "Steel",
    "Telecom"
]  # fmt: skip
FORMS = ["Corporation", "Group", "Holding", "Inc", "Ltd"]
MONTHS = [
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December"
]  # fmt: skip
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
ONSETS = ["B", "Br", "D", "F", "G", "Gr", "H", "K", "Kl", "L", "M", "N", "P", "R", "S", "St", "T", "Tr", "V", "W"]
CODAS = ["b", "d", "f", "g", "k", "l", "m", "n", "nd", "r", "rt", "s", "sk", "t", "x"]
TOWNS = ["burg", "field", "ford", "ham", "mouth", "stad", "ton", "ville"]

TEMPLATES = {
    "train": (
        "{PER} met {PER} in {LOC} on {DATE} .",
        "{PER} of {ORG} travelled to {LOC} .",
        "{ORG} opened an office in {LOC} on {DATE} .",
        "On {DATE} , {PER} left {ORG} .",
        "Shares of {ORG} fell after {PER} resigned .",
        "In {LOC} , {ORG} and {ORG} signed a contract .",
        "{PER} was born in {LOC} .",
        "The mayor of {LOC} , {PER} , spoke on {DATE} .",
        "{ORG} said that {PER} would visit {LOC} .",
        "It rained in {LOC} on {DATE} .",
        "Nobody answered the telephone .",
        "{PER} , who works for {ORG} , lives in {LOC} .",
        "The talks between {PER} and {PER} ended on {DATE} .",
        "{ORG} bought {ORG} on {DATE} .",
        "{DATE} was a cold day in {LOC} and in {LOC} .",
        "After the talks , {ORG} and {PER} signed a contract .",
        "{LOC} ( {DATE} )",
        "{PER} and {PER} bought shares of {ORG} .",
        "{PER} visited {ORG} and {LOC} .",
        "The bridge in {LOC} was opened by {PER} .",
    ),
    "valid": (
        "{PER} visited {LOC} after {ORG} signed a contract .",
        "The office of {ORG} in {LOC} was opened by {PER} .",
        "{ORG} left {LOC} on {DATE} .",
        "On {DATE} it rained , and nobody visited {LOC} .",
    ),
    "test": (
        "After the talks , {PER} and {PER} travelled to {LOC} .",
        "On {DATE} , {ORG} said that it rained in {LOC} .",
        "{PER} , the mayor of {LOC} , works for {ORG} .",
        "In {LOC} , {PER} signed a contract on {DATE} .",
        "The office of {ORG} in {LOC} opened on {DATE} .",
        "{ORG} bought an office of {ORG} after {PER} left .",
        "The contract between {ORG} and {ORG} ended on {DATE} .",
        "{PER} resigned on {DATE} , and nobody spoke .",
        "Neither {ORG} nor {PER} answered on {DATE} .",
        "It was cold when {PER} opened the bridge in {LOC} .",
    ),
}


def read(paths: dict[str, Path]) -> "Tagged":
    import numpy as np

    from deepclassics.data.kinds.tagged import Tagged

    draw = np.random.RandomState(0)  # whose numbers are the same in every version of NumPy
    parts = {}
    for part, templates in TEMPLATES.items():
        size = COUNTS[part]
        parts[part] = [_sentence(draw, templates) for _ in range(size)]
    return Tagged(parts)


def _sentence(draw: "RandomState", templates: Sequence[str]) -> "Sentence":
    """A template filled in, with its tags of the scheme BIO."""
    words: list[str] = []
    tags: list[str] = []
    for piece in _one(draw, templates).split():
        kind = piece.strip("{}") if piece.startswith("{") else ""
        name = _name(draw, kind).split() if kind else [piece]
        words += name
        tags += [f"{'I' if place else 'B'}-{kind}" if kind else "O" for place in range(len(name))]
    return words, tags


def _name(draw: "RandomState", kind: str) -> str:
    if kind == "DATE":
        day, month = draw.randint(1, 29), _one(draw, MONTHS)
        return (f"{day} {month}", f"{month} {day}", _one(draw, DAYS))[draw.randint(3)]
    if kind == "LOC":
        return _one(draw, PLACES) if draw.randint(2) else _made(draw) + _one(draw, TOWNS)
    surname = _one(draw, SURNAMES) if draw.randint(2) else _made(draw) + _made(draw).lower()
    if kind == "PER":
        first = _one(draw, FIRST)
        return (f"{first} {surname}", f"{first[0]}. {surname}", surname)[draw.randint(3)]
    if draw.randint(2):
        surname += f" & {_one(draw, SURNAMES)}"
    return f"{surname} {_one(draw, TRADES if draw.randint(2) else FORMS)}"


def _made(draw: "RandomState") -> str:
    """A syllable that no language has to know."""
    return f"{_one(draw, ONSETS)}{_one(draw, 'aeiou')}{_one(draw, CODAS)}"


def _one(draw: "RandomState", names: Sequence[str]) -> str:
    return names[draw.randint(len(names))]
