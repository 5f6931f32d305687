"""Questions to vectors of words, a word or a sum such as "king - man + woman", and the words that answer.

A blank stands on both sides of a sign, as words hold hyphens themselves.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from deepclassics.data.kinds import text
from deepclassics.data.streams import Batch
from deepclassics.errors import UserError, meant, short

SIGN = re.compile(r"\s([+\-−])\s")


def read(inputs: Sequence[str], spec: dict[str, Any]) -> tuple[list[str], Batch]:
    """{"terms": for each question [(id, +1 or -1), ...]}, of questions that were typed, or the lines of text files. A
    word is looked for as it is typed, then in lower case."""
    known = {word: number for number, word in enumerate(spec["vocabulary"])}
    names, asked = [], []
    for place, question in (each for typed in inputs for each in _questions(typed)):
        terms = []
        pieces = ["+", *SIGN.split(question)]
        for sign, piece in zip(pieces[::2], pieces[1::2], strict=True):
            word = "_".join(piece.split())  # of a phrase
            number = known.get(word, known.get(word.lower()))
            if number is None:
                missing = Path(word).suffix.lower() in text.ENDINGS and question == piece
                near = " Nor is there a file of that name." if missing else meant(word.lower(), known)
                raise UserError(
                    f"{place}Words must be among the {len(known):,} of {spec['data']}; got '{short(piece)}'.{near}"
                )
            terms.append((number, 1 if sign == "+" else -1))
        if len({number for number, _ in terms}) == len(known):
            raise UserError(
                f"{place}A question must leave a word to answer with; '{short(question)}' holds all {len(known)} of "
                f"{spec['data']}. Ask with fewer."
            )
        names.append(question)
        asked.append(terms)
    return names, {"terms": asked}


def _questions(typed: str) -> Iterable[tuple[str, str]]:
    """Each question with the line of the file that it is from, "" where it was typed."""
    path = Path(typed)
    if path.suffix.lower() not in text.ENDINGS or not path.is_file():
        return [("", typed.strip())]
    lines = text.from_path(path).parts["all"].split("\n")
    return [(f"{path}, line {number}: ", line.strip()) for number, line in enumerate(lines, 1) if line.strip()]


def show(answer: Batch, names: list[str], spec: dict[str, Any], folder: Path) -> list[dict[str, Any]]:
    """Rows of "name", the nearest "words", and their "cosines" with what was asked."""
    return [
        {"name": name, "words": [spec["vocabulary"][number] for number in found], "cosines": cosines}
        for name, (found, cosines) in zip(names, answer["nearest"], strict=True)
    ]
