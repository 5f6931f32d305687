"""Tagged words: sentences in which every word has a tag, as names have in the tasks of CoNLL.

Two forms of files:

- Columns (.conll, .bio, .iob, .txt, .tsv): a word a line, the word first and its tag last, blanks or tabs between; a
  blank line ends a sentence; lines of -DOCSTART-, and those before a sentence that begin with "# " and are no word and
  tag in as many columns as the others, are passed over.
- JSON lines (.jsonl): {"words": [...], "tags": [...]}.

A folder of such files holds the parts: train..., valid... (or dev..., testa) and test....

For the vocabulary every digit of a word is 0 (Collobert et al. 2011, section 6.6); the letters are those of the word
as it stands.

Letters: N sentences, S words of all of them, T words of the longest of a batch, B sentences of it, C letters of a word.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from deepclassics.data import words
from deepclassics.data.plain import decoded
from deepclassics.data.streams import Batch, Columns, Ragged, Splits
from deepclassics.data.tags import OUTSIDE, entities, numbered, parted, scheme, written
from deepclassics.data.words import NOTHING, UNKNOWN, Reading
from deepclassics.errors import UserError
from deepclassics.progress import many

ENDINGS = (".conll", ".bio", ".iob", ".iob2", ".bioes", ".jsonl", ".txt", ".tsv")
RUNNING = (".txt", ".md", ".text")  # files that hold a sentence a line where predict is asked about them
PARTS = {"train": ("train",), "valid": ("valid", "dev", "testa"), "test": ("test",)}  # how their files' names begin

DOCUMENT, REMARK = "-DOCSTART-", "#"
LETTERS = 20  # of a word; of a longer one the first, CUT, and the last
CUT = "\0"  # no letter of the data: unknown
DIGIT = re.compile(r"\d")
CAPITALS = ("lower", "Title", "UPPER", "miXed", "2nd", "…")  # classes of `capitals`, from 1

Sentence = tuple[list[str], list[str]]  # words, tags


@dataclass(frozen=True)
class Tagged:
    """Sentences as words and tags: {"all": ...}, or their parts {"train": ..., "valid": ..., "test": ...}."""

    parts: dict[str, list[Sentence]]
    name: str = ""


def from_path(path: Path) -> Tagged:
    """A file of tagged words, or a folder of the files of its parts."""
    if not path.is_dir():
        return Tagged({"all": _sentences(path)}, name=path.name)
    files = sorted(file for file in path.iterdir() if file.suffix.lower() in ENDINGS)
    parts: dict[str, list[Sentence]] = {}
    for part in PARTS:
        found = [file for file in files if _part(file) == part]
        if len(found) > 1:
            raise UserError(f"{path} must hold one file of the part {part}; got {', '.join(f.name for f in found)}.")
        if found:
            parts[part] = _sentences(found[0])
    if "train" not in parts:
        raise UserError(
            f"{path} must hold a file of tagged words whose name begins with train, and may hold valid and test; its "
            f"names are {', '.join(file.name for file in files) or 'others'}. Name the file itself, or rename it."
        )
    return Tagged(parts, name=path.name)


def _part(file: Path) -> str:
    """What part a file's name tells, "eng.testa" as well as "dev"; "" where it tells none."""
    name = file.name.lower().removeprefix("eng.")
    return next((part for part, begin in PARTS.items() if name.startswith(begin)), "")


def _sentences(path: Path) -> list[Sentence]:
    text = decoded(path.read_bytes(), path)
    found = list(lines(text, path) if path.suffix.lower() == ".jsonl" else columns(text, path))
    if not found:
        raise UserError(f"{path} must hold tagged words; it holds none.")
    return found


def columns(text: str, path: Path | str, tags: bool = True) -> Iterator[Sentence]:
    """The sentences of a text in columns; without `tags` only its words are wanted, and each gets O."""
    kept: Sentence = ([], [])
    each = text.removesuffix("\n").split("\n")
    rows = [_cells(line) for line in each]
    width = next((len(cells) for cells in rows if cells and cells[0] not in (DOCUMENT, REMARK)), 2)
    blank, heads = False, ""
    for number, (line, cells) in enumerate(zip(each, rows, strict=True), 1):
        # "#" may be a word as any other.
        told = line.startswith("# ") and not kept[0] and (len(cells) != width or not tags or parted(cells[-1]) is None)
        if not cells or cells[0] == DOCUMENT or told:
            blank = blank or not cells
            if kept[0]:
                yield kept
                kept = ([], [])
            continue
        if tags:
            if len(cells) < 2 or len(cells) != width:
                raise UserError(
                    f"{path}: line {number} must hold a word, its tag, and a blank or tab between"
                    f"{f', in {width} columns as the lines before' if width > 1 else ''}; got {line.strip()[:60]!r}."
                )
            heads = _tag(cells[-1], path, f"line {number}")
        kept[0].append(cells[0])
        kept[1].append(heads or OUTSIDE)
    if kept[0]:
        if tags and not blank and len(kept[0]) > 1000:
            raise UserError(
                f"{path} must hold a blank line after each sentence; it has none in {len(kept[0]):,} words. "
                f"Put one where a sentence ends."
            )
        yield kept


def _cells(line: str) -> list[str]:
    """What stands in the columns of a line: between tabs, if it has any, else between blanks. Other white space is part
    of a word."""
    if not line.strip():
        return []
    line = line.removesuffix("\r")
    return [cell.strip(" ") for cell in line.split("\t")] if "\t" in line else [*filter(None, line.split(" "))]


def lines(text: str, path: Path | str, tags: bool = True) -> Iterator[Sentence]:
    """The sentences of JSON lines; without `tags` only the words are wanted, and each gets O."""
    for number, line in enumerate(text.split("\n"), 1):  # not at other ends of lines: JSON may hold them
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise UserError(f"{path}: line {number} must be JSON; {error}.") from None
        told = _texts(row, "words")
        given = _texts(row, "tags") if tags else told and [OUTSIDE] * len(told)
        for what, each in (("words", told), ("tags", given)):
            if each is None:
                raise UserError(
                    f'{path}: line {number} must be {{"words": [...], "tags": [...]}} with lists of texts; '
                    f"its {what} are missing or no such list."
                )
        assert told is not None
        assert given is not None
        if len(told) != len(given):
            raise UserError(f"{path}: line {number} must have a tag a word; got {len(told)} words, {len(given)} tags.")
        if told:
            yield told, [_tag(tag, path, f"line {number}") for tag in given]


def _texts(row: Any, what: str) -> list[str] | None:
    """A list of texts that an object of JSON holds; None where it does not."""
    found = row.get(what) if isinstance(row, dict) else None
    return found if isinstance(found, list) and all(isinstance(each, str) for each in found) else None


def _tag(tag: str, path: Path | str, place: str) -> str:
    if parted(tag) is None:
        raise UserError(
            f"{path}: {place}: a tag must be O, or B-, I-, E- or S- before the type of a name, as in B-PER; "
            f"got {tag[:40]!r}. The tag must stand in the last column."
        )
    return tag


def splits(raw: Tagged, *, seed: int, valid: float, test: float, reading: Reading | None = None) -> Splits:
    """Columns: "ids" of words, "letters" of them, "capitals", and "tags" of the scheme BIO, all `Ragged`.

    0 is no word, no letter and no tag, 1 an unknown one, of tags it is O. Where the source has no such parts, `test`
    of the sentences are drawn by `seed` to judge with, and `valid` of the rest to choose by.
    """
    reading = reading or Reading()
    told, broken = scheme(tags for part in raw.parts.values() for _, tags in part)
    parts = {name: [_cut(sentence, reading.longest) for sentence in part] for name, part in raw.parts.items()}
    cut = sum(len(row) > reading.longest for part in raw.parts.values() for row, _ in part)
    found = _parted(parts, seed, valid, test, raw.name)
    spelt = Counter(word for row, _ in found["train"] for word in row)
    counts: Counter[str] = Counter()
    written_as: dict[str, str] = {}  # how each form is written most often
    for word, count in sorted(spelt.items(), key=lambda pair: (-pair[1], pair[0])):
        counts[form(word, reading.lower)] += count
        written_as.setdefault(form(word, reading.lower), word)
    for special in (NOTHING, UNKNOWN):  # a word written so is one not known
        counts.pop(special, None)
    vocabulary = [NOTHING, UNKNOWN, *words.vocabulary(counts, reading.vocabulary, reading.least)]
    known = sum(counts[word] for word in vocabulary[2:]) / spelt.total()
    letters = Counter(letter for row, _ in found["train"] for word in row for letter in word)
    used = {name: set().union(*(tags for _, tags in part)) for name, part in found.items()}
    types = sorted({tag.partition("-")[2] for tags in used.values() for tag in tags if tag != OUTSIDE})
    if not used["train"] - {OUTSIDE}:
        raise UserError(f"{raw.name}: tags must name something; every tag of what is learnt from is O.")
    spec = {
        "kind": "tagged",
        "data": raw.name,
        "lower": reading.lower,
        "vocabulary": vocabulary,
        "spelt": {word: written_as[word] for word in vocabulary[2:] if written_as[word] != word},
        "once": sum(counts[word] == 1 for word in vocabulary[2:]),  # they are the last
        "letters": [NOTHING, UNKNOWN, *words.vocabulary(letters, len(letters), 1)],
        "target": {"kind": "tags", "name": "tag", "types": types, "scheme": told},
        "told": [*_told(told, broken, cut, reading.longest), words.told(len(vocabulary) - 2, 1 - known)],
        "examples": {name: len(part) for name, part in found.items()},
    }
    return Splits(spec, **{name: _columns(part, spec) for name, part in found.items()})


def _told(told: str, broken: int, cut: int, longest: int) -> list[str]:
    """What of the reading must be told."""
    lines = []
    if broken:
        lines.append(
            f"Tags that break their scheme, {told}: {broken:,}. A name is taken to begin wherever one cannot go on."
        )
    if cut:
        lines.append(f"Cut off after {longest:,} words: {many(cut, 'sentence')}.")
    return lines


def _cut(sentence: Sentence, longest: int) -> Sentence:
    """The first `longest` words, their tags in the scheme BIO, none of them broken."""
    row, tags = (each[:longest] for each in sentence)
    return row, written(entities(tags), len(row), "BIO")


def _parted(
    parts: dict[str, list[Sentence]], seed: int, valid: float, test: float, name: str
) -> dict[str, list[Sentence]]:
    """The parts that the source has, and those drawn from it: {"train", and perhaps "valid", "test"}."""
    train = parts["all"] if "all" in parts else parts["train"]
    kept = {part: held for part, held in parts.items() if part in ("valid", "test")}
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed)).tolist()
    for part, share in (("test", test if "all" in parts else 0.0), ("valid", valid)):
        size = int(len(order) * share)
        if part not in kept and size:
            kept[part] = [train[place] for place in sorted(order[:size])]
            order = order[size:]
    if not order:
        raise UserError(f"{name} must hold a sentence to learn from; it holds none.")
    return {"train": [train[place] for place in sorted(order)], **kept}


def form(word: str, lower: bool) -> str:
    """A word as the vocabulary knows it."""
    return DIGIT.sub("0", word.lower() if lower else word)


def capitals(word: str) -> int:
    """The class of a word by its capitals (Collobert et al. 2011, section 1.2), from 1: all lower case, the first
    letter a capital, all capitals, others, a digit in it, no letter at all."""
    if any(letter.isdigit() for letter in word):
        return 5
    if word.lower() == word.upper():  # a script without capitals is as lower case
        return 1 if any(letter.isalpha() for letter in word) else 6
    if word == word.lower():
        return 1
    if word[:1].isupper() and word[1:] == word[1:].lower():
        return 2
    return 3 if word == word.upper() else 4


def _columns(sentences: Sequence[Sentence], spec: dict[str, Any]) -> Columns:
    tag = {name: number for number, name in enumerate(numbered(spec["target"]["types"], "BIO"))}
    tags = Ragged.of([[tag[each] for each in tags] for _, tags in sentences], torch.int16)
    return Columns(**_inputs([row for row, _ in sentences], spec), tags=tags)


def _inputs(sentences: Sequence[Sequence[str]], spec: dict[str, Any]) -> dict[str, Ragged]:
    """What is known of sentences as columns, each word looked at once."""
    known = {word: number for number, word in enumerate(spec["vocabulary"])}
    letter = {each: number for number, each in enumerate(spec["letters"])}
    seen: dict[str, int] = {}
    rows = Ragged.of([[seen.setdefault(word, len(seen)) for word in row] for row in sentences])
    facts = np.zeros((len(seen), 2 + LETTERS), np.int32)
    for word, place in seen.items():
        shown = word if len(word) <= LETTERS else f"{word[: LETTERS // 2]}{CUT}{word[1 - LETTERS // 2 :]}"
        facts[place, 0] = known.get(form(word, spec["lower"]), 1) or 1
        facts[place, 1] = capitals(word)
        facts[place, 2 : 2 + len(shown)] = [letter.get(each, 1) for each in shown]
    of_words = torch.from_numpy(facts)[rows.values.long()]  # (S, 2 + C)
    return {
        "ids": Ragged(of_words[:, 0].contiguous(), rows.starts),
        "letters": Ragged(of_words[:, 2:].to(torch.int16), rows.starts),
        "capitals": Ragged(of_words[:, 1].to(torch.int16), rows.starts),
    }


def read(inputs: Sequence[str], spec: dict[str, Any]) -> tuple[list[str], Batch]:
    """Sentences as a batch. "ids" and "capitals" are (B, T) of int64, "letters" (B, T, C); "words" are the words."""
    names, found = read_rows(inputs, spec)
    return names, {name: column[:] for name, column in found.items()}


def read_rows(inputs: Sequence[str], spec: dict[str, Any]) -> tuple[list[str], dict[str, Any]]:
    """Sentences that were typed, cut by the rule "words", or those of files of such names: columns, JSON lines, or text
    with a sentence a line. "words" are lists, the other columns `Ragged`."""
    names: list[str] = []
    rows: list[list[str]] = []
    for typed in inputs:
        for name, row in _asked(typed):
            if not row:
                raise UserError(
                    f"Sentence {len(names) + 1}, '{name}', must hold a word or more; it is empty. Leave it out."
                )
            names.append(name)
            rows.append(row)
    return names, {**_inputs(rows, spec), "words": rows}


def _asked(typed: str) -> Iterable[tuple[str, list[str]]]:
    path = Path(typed)
    ending = path.suffix.lower()
    if ending not in ENDINGS + RUNNING or not path.is_file():
        found = [(typed, words.cut(typed, "words"))]
    else:
        text = decoded(path.read_bytes(), path)
        if ending in RUNNING:
            found = [(line.strip(), words.cut(line, "words")) for line in text.split("\n") if line.strip()]
        else:
            form_of = lines if ending == ".jsonl" else columns
            found = [(" ".join(row), row) for row, _ in form_of(text, path, tags=False)]
    if not found:
        raise UserError(f"{typed} must hold sentences to be tagged; there is none.")
    return found


def decode(letters: Sequence[int], spec: dict[str, Any]) -> str:  # (C,)
    """A word from its letters, for what is shown; "…" for letters that are not known."""
    return "".join("…" if number == 1 else spec["letters"][number] for number in letters if number)
