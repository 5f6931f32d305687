"""Running text: a file or a folder of them, by characters.

Letters: N characters of a split, T characters of a question.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from deepclassics.data.streams import Batch, Splits
from deepclassics.errors import UserError

ENDINGS = (".txt", ".md", ".text")


@dataclass(frozen=True)
class Text:
    """Running text: {"all": ...}, or its parts {"train": ..., "valid": ..., "test": ...} where the source has them."""

    parts: dict[str, str]
    unit: str = "character"  # "word": words with blanks between them, one sentence a line
    name: str = ""


def from_path(path: Path) -> Text:
    """A text file, or all the text files of a folder and its folders in the order of their names. UTF-8."""
    files = sorted(file for file in path.rglob("*") if file.suffix.lower() in ENDINGS) if path.is_dir() else [path]
    if not files:
        raise UserError(f"{path} must hold text files ({', '.join(ENDINGS)}); it holds none.")
    texts = []
    for file in files:
        try:
            texts.append(file.read_bytes().decode("utf-8-sig").replace("\r\n", "\n"))
        except UnicodeDecodeError as error:
            raise UserError(
                f"{file} must be UTF-8 text; byte {error.start:,} is not. "
                f"Convert it, for example with: iconv -f latin1 -t utf-8 {file.name}"
            ) from None
    text = "\n".join(texts)
    if not text.strip():
        raise UserError(f"{path} must hold text; it is empty.")
    return Text({"all": text}, name=path.name)


def splits(raw: Text, *, seed: int, valid: float, test: float) -> Splits:
    """Character ids, (N,) of int16 or int32. Test is the last `test` of the text, valid the last `valid` of the rest.

    Text is not shuffled: neighbouring stretches would tell of each other. A text of under 1,000 characters is all
    for training. The vocabulary is that of the whole text, so that every character of every split has an id.
    `seed` is not used.
    """
    vocabulary = sorted(set("".join(raw.parts.values())))
    dtype = torch.int16 if len(vocabulary) < 2**15 else torch.int32
    parts = {name: _ids(text, vocabulary).to(dtype) for name, text in raw.parts.items()}
    train = parts["all"] if "all" in parts else parts["train"]
    kept = {"valid": parts.get("valid"), "test": parts.get("test")}
    for name, share in (("test", test if "all" in parts else 0.0), ("valid", valid)):
        size = int(len(train) * share)
        if kept[name] is None and len(train) >= 1000 and size > 1:
            train, kept[name] = train[:-size], train[-size:]
    examples = {"train": len(train), **{name: len(ids) for name, ids in kept.items() if ids is not None}}
    spec = {"kind": "text", "data": raw.name, "unit": "character", "vocabulary": vocabulary, "examples": examples}
    return Splits(spec, train, kept["valid"], kept["test"])


def read(inputs: Sequence[str], spec: dict[str, Any]) -> tuple[list[str], Batch]:
    """What was typed, or the content of a text file of that name, as {"ids": [(T,) of int64, ...]}."""
    texts = []
    for words in inputs:
        path = Path(words)
        texts.append(from_path(path).parts["all"] if path.suffix.lower() in ENDINGS and path.is_file() else words)
    known = set(spec["vocabulary"])
    for text in texts:
        if not text:
            raise UserError("The text to go on from must hold a character or more; it is empty.")
        if strange := sorted(set(text) - known):
            raise UserError(
                f"The characters must be among the {len(known)} of {spec['data']}; got "
                f"{', '.join(map(repr, strange[:5]))}, which the run has never seen. Leave them out."
            )
    return texts, {"ids": [_ids(text, spec["vocabulary"]) for text in texts]}


def show(answer: Batch, names: list[str], spec: dict[str, Any], folder: Path) -> list[dict[str, Any]]:
    """The answer's ids as text, after what was asked."""
    return [
        {"name": name, "text": name + decode(ids, spec["vocabulary"])}
        for name, ids in zip(names, answer["text"], strict=True)
    ]


def decode(ids: Tensor, vocabulary: list[str]) -> str:  # (T,) of int
    """Ids as text."""
    return "".join(vocabulary[number] for number in ids.tolist())


def _ids(text: str, vocabulary: list[str]) -> Tensor:  # -> (N,) of int64
    """By a table over code points: a million characters take a few milliseconds."""
    import numpy as np

    codes = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
    table = np.zeros(max((ord(character) for character in vocabulary), default=0) + 1, dtype=np.int64)
    for number, character in enumerate(vocabulary):
        table[ord(character)] = number
    return torch.from_numpy(table[codes])
