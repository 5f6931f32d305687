"""Running text: a file or a folder of them, by characters or by words.

Letters: N characters or words of a split, T of them of a question.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from deepclassics.data import words
from deepclassics.data.plain import decoded
from deepclassics.data.streams import Batch, Splits
from deepclassics.data.words import END, UNKNOWN, Reading, Rule, settled
from deepclassics.errors import UserError
from deepclassics.progress import many

ENDINGS = (".txt", ".md", ".text")
LEAST = 1000  # characters or words of a text that parts are cut from


@dataclass(frozen=True)
class Text:
    """Running text: {"all": ...}, or its parts {"train": ..., "valid": ..., "test": ...} where the source has them."""

    parts: dict[str, str]
    unit: str = "character"  # "word": words with blanks between them, one sentence a line
    name: str = ""


def from_path(path: Path) -> Text:
    """A text file, or all the text files of a folder and its folders in the order of their names."""
    files = sorted(file for file in path.rglob("*") if file.suffix.lower() in ENDINGS) if path.is_dir() else [path]
    if not files:
        raise UserError(f"{path} must hold text files ({', '.join(ENDINGS)}); it holds none.")
    text = "\n".join(decoded(file.read_bytes(), file).replace("\r\n", "\n") for file in files)
    if not text.strip():
        raise UserError(f"{path} must hold text; it is empty.")
    return Text({"all": text}, name=path.name)


def splits(raw: Text, *, seed: int, valid: float, test: float, reading: Reading | None = None) -> Splits:
    """Ids of characters, or of words where there is a `reading`: (N,) of int16 or int32.

    Test is the last `test` of the text, valid the last `valid` of the rest: text is not shuffled, for neighbouring
    stretches would tell of each other. A text of under LEAST of them is all for training. The characters are those of
    the whole text, so that every one of every split has an id; the words are those of the training part, all others
    are UNKNOWN, and the end of a line is the word END. `seed` is not used.
    """
    if reading is not None:
        return _words(raw, reading, valid, test)
    vocabulary = sorted(set("".join(raw.parts.values())))
    dtype = torch.int16 if len(vocabulary) < 2**15 else torch.int32
    found = _parted({name: _ids(text, vocabulary).to(dtype) for name, text in raw.parts.items()}, valid, test)
    spec = {"kind": "text", "data": raw.name, "unit": "character", "vocabulary": vocabulary}
    return _splits(spec, found, *_lacking(raw, found, "character", valid, test))


def _words(raw: Text, reading: Reading, valid: float, test: float) -> Splits:
    rule = "blanks" if raw.unit == "word" else settled(reading.rule, raw.parts.values())
    # Numbers in the order in which words come first, until it is known which are common.
    seen: dict[str, int] = {}
    parts = {name: _numbered(text, rule, reading.lower, seen) for name, text in raw.parts.items()}
    found = _parted(parts, valid, test)
    counts = np.bincount(found["train"], minlength=len(seen))
    met = Counter({word: int(counts[number]) for word, number in seen.items() if counts[number]})
    special = [word for word in (UNKNOWN, END) if met.pop(word, 0) or word == UNKNOWN]
    if reading.vocabulary <= len(special) and not reading.known:
        raise UserError(
            f"--vocabulary must be more than {len(special)}, for {' and '.join(special)} are of it; "
            f"got {reading.vocabulary}."
        )
    commonest = words.vocabulary(met, reading.vocabulary - len(special), reading.least)
    if not commonest and not reading.known:
        raise UserError(
            f"{raw.name} must hold words that come {reading.least} times or more; it has none. Take a smaller --least."
        )
    vocabulary = list(reading.known) or special + commonest
    number = {word: place for place, word in enumerate(vocabulary)}
    table = torch.tensor([number.get(word, number[UNKNOWN]) for word in seen], dtype=torch.int32)
    unknown = counts[(table == number[UNKNOWN]).numpy()].sum() / len(found["train"])
    known = len(vocabulary) - sum(word in (UNKNOWN, END) for word in vocabulary)
    spec = {
        "kind": "text",
        "data": raw.name,
        "unit": "word",
        "rule": rule,
        "lower": reading.lower,
        "vocabulary": vocabulary,
        "told": [f"Cut into words by the rule '{rule}'. {words.told(known, unknown)}"],
    }
    translated = {name: table[torch.from_numpy(ids)] for name, ids in found.items()}
    return _splits(spec, translated, *_lacking(raw, found, "word", valid, test))


def _numbered(text: str, rule: Rule, lower: bool, seen: dict[str, int]) -> np.ndarray:  # -> (N,) of int64
    """The words of a text, an END after each line, by numbers that `seen` holds; new words are added to it."""
    lines = text.split("\n")
    if lines and not lines[-1]:
        lines.pop()
    pieces = []
    for line in lines:
        found = [*words.cut(line, rule, lower), END]
        pieces.append(np.fromiter((seen.setdefault(word, len(seen)) for word in found), np.int64, len(found)))
    return np.concatenate(pieces)


def _parted(parts: dict[str, Any], valid: float, test: float) -> dict[str, Any]:
    """The parts that the source has, and those cut from the ends: {"train", and perhaps "valid", "test"}."""
    train = parts["all"] if "all" in parts else parts["train"]
    kept = {"valid": parts.get("valid"), "test": parts.get("test")}
    for name, share in (("test", test if "all" in parts else 0.0), ("valid", valid)):
        size = int(len(train) * share)
        if kept[name] is None and len(train) >= LEAST and size > 1:
            train, kept[name] = train[:-size], train[-size:]
    return {"train": train, **{name: ids for name, ids in kept.items() if ids is not None}}


def _lacking(raw: Text, found: dict[str, Any], unit: str, valid: float, test: float) -> list[str]:
    """That parts were asked for which the text is too short to give."""
    asked = {"validation": ("valid", valid), "test": ("test", test if "all" in raw.parts else 0.0)}
    gone = [name for name, (part, share) in asked.items() if share and part not in found]
    if not gone:
        return []
    size = len(found["train"])
    why = (
        f"there are {many(size, unit)}, and some are held back of {LEAST:,} or more. Take a longer text"
        if size < LEAST
        else f"of {size:,} {unit}s such a share is under 2. Take a larger share"
    )
    return [f"There is no {' and no '.join(gone)} part: {why}, to judge by what was not learnt from."]


def _splits(spec: dict[str, Any], found: dict[str, Tensor], *told: str) -> Splits:
    if told:
        spec = {**spec, "told": [*spec.get("told", []), *told]}
    return Splits(spec | {"examples": {name: len(ids) for name, ids in found.items()}}, **found)


def read(inputs: Sequence[str], spec: dict[str, Any]) -> tuple[list[str], Batch]:
    """What was typed, or the content of a text file of that name, as {"ids": [(T,) of int64, ...]}."""
    texts = []
    for typed in inputs:
        path = Path(typed)
        texts.append(from_path(path).parts["all"] if path.suffix.lower() in ENDINGS and path.is_file() else typed)
    known = {word: number for number, word in enumerate(spec["vocabulary"])}
    by_word = spec["unit"] == "word"
    ids = []
    for text in texts:
        if by_word:
            lines = [words.cut(line, spec["rule"], spec["lower"]) for line in text.split("\n")]
            found = [word for line in lines for word in (*line, END)][:-1]
            ids.append(torch.tensor([known.get(word, known[UNKNOWN]) for word in found], dtype=torch.int64))
        elif strange := sorted(set(text) - known.keys()):
            raise UserError(
                f"The characters must be among the {len(known)} of {spec['data']}; got "
                f"{', '.join(map(repr, strange[:5]))}, which the run has never seen. Leave them out."
            )
        else:
            ids.append(_ids(text, spec["vocabulary"]))
        if not len(ids[-1]):
            raise UserError(f"The text to go on from must hold a {spec['unit']} or more; it is empty.")
    return texts, {"ids": ids}


def show(answer: Batch, names: list[str], spec: dict[str, Any], folder: Path) -> list[dict[str, Any]]:
    """The answer's ids as text, after what was asked, and what may come "next": pairs of ids and probabilities."""
    between = "" if spec["unit"] == "character" else " "
    rows: list[dict[str, Any]] = [
        {"name": name, "text": name + between + decode(ids, spec)}
        for name, ids in zip(names, answer["text"], strict=True)
    ]
    for row, (ids, probability) in zip(rows, answer.get("next", ()), strict=False):
        row["next"] = [spec["vocabulary"][number] for number in ids.tolist()]
        row["probability"] = probability.tolist()
    return rows


def decode(ids: Tensor, spec: dict[str, Any]) -> str:  # (T,) of int
    """Ids as text: words with blanks between them, and an END ends a line."""
    found = [spec["vocabulary"][number] for number in ids.tolist()]
    if spec["unit"] == "character":
        return "".join(found)
    lines: list[list[str]] = [[]]
    for word in found:
        if word == END:
            lines.append([])
        else:
            lines[-1].append(word)
    return "\n".join(map(" ".join, lines))


def _ids(text: str, vocabulary: list[str]) -> Tensor:  # -> (N,) of int64
    """By a table over code points: a million characters take a few milliseconds."""
    codes = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
    table = np.zeros(max((ord(character) for character in vocabulary), default=0) + 1, dtype=np.int64)
    for number, character in enumerate(vocabulary):
        table[ord(character)] = number
    return torch.from_numpy(table[codes])
