"""Questions to vectors of words, a word or a sum such as "king - man + woman", and the words that answer.

A blank stands on both sides of a sign, as words hold hyphens themselves.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deepclassics.data.streams import Batch
from deepclassics.errors import UserError, meant

SIGN = re.compile(r"\s([+\-−])\s")


def read(inputs: Sequence[str], spec: dict[str, Any]) -> tuple[list[str], Batch]:
    """{"terms": for each question [(id, +1 or -1), ...]}. A word is looked for as it is typed, then in lower case."""
    known = {word: number for number, word in enumerate(spec["vocabulary"])}
    asked = []
    for typed in inputs:
        terms = []
        pieces = ["+", *SIGN.split(typed.strip())]
        for sign, piece in zip(pieces[::2], pieces[1::2], strict=True):
            word = "_".join(piece.split())  # of a phrase
            number = known.get(word, known.get(word.lower()))
            if number is None:
                raise UserError(
                    f"Words must be among the {len(known):,} of {spec['data']}; got '{piece}'."
                    f"{meant(word.lower(), known)}"
                )
            terms.append((number, 1 if sign == "+" else -1))
        asked.append(terms)
    return list(inputs), {"terms": asked}


def show(answer: Batch, names: list[str], spec: dict[str, Any], folder: Path) -> list[dict[str, Any]]:
    """Rows of "name", the nearest "words", and their "cosines" with what was asked."""
    return [
        {"name": name, "words": [spec["vocabulary"][number] for number in found], "cosines": cosines}
        for name, (found, cosines) in zip(names, answer["nearest"], strict=True)
    ]
