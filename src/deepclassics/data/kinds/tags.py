"""Answers that are tags: the words of sentences with the names in them marked.

Letters: N sentences, S words of all of them.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deepclassics.data.streams import Batch
from deepclassics.data.tags import Entity, entities, numbered, written


def show(answer: Batch, names: list[str], spec: dict[str, Any], folder: Path) -> list[dict[str, Any]]:
    """Rows of "name"; "text", the words with every name in brackets before its type; "words", their "tags" in the
    scheme of the data, and the names as "entities": "text", "type", "begin" and "end", places of words from 0.

    `answer` has "words", N lists, and "tags", (S,) of int64 of the scheme BIO, of all sentences end to end.
    """
    known, target = numbered(spec["target"]["types"], "BIO"), spec["target"]
    tags = [known[number] for number in answer["tags"].tolist()]
    rows, begin = [], 0
    for name, words in zip(names, answer["words"], strict=True):
        found = entities(tags[begin : begin + len(words)])
        begin += len(words)
        rows.append(
            {
                "name": name,
                "text": marked(words, found),
                "words": words,
                "tags": written(found, len(words), target["scheme"]),
                "entities": [
                    {"text": " ".join(words[first:end]), "type": kind, "begin": first, "end": end}
                    for first, end, kind in found
                ],
            }
        )
    return rows


def marked(words: Sequence[str], found: Sequence[Entity]) -> str:
    """A sentence with its names in brackets: "[Angela Merkel PER] met ..."."""
    pieces = list(words)
    for begin, end, kind in found:
        pieces[begin] = f"[{pieces[begin]}"
        pieces[end - 1] += f" {kind}]"
    return " ".join(pieces)
