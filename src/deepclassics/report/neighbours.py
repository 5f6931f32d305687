"""Words with the nearest vectors, as lines to read.

Letters: V words, D numbers of a vector.
"""

from collections.abc import Sequence

from torch import Tensor

from deepclassics import vectors
from deepclassics.data.words import END, UNKNOWN

NEAREST = (
    "Of the thousand commonest words, the 16 that are closest to their four nearest, by the cosine between embeddings."
)


def neighbours(words: Sequence[str], own: Tensor, asked: Sequence[int], count: int) -> str:  # V words, (V, D)
    """A line for each word asked for, by its number: the nearest `count`, with the cosines."""
    unit = vectors.units(own)
    lines = []
    for number in asked:
        found = vectors.nearest(unit, unit[number], [number], count)
        near = zip(*(each.tolist() for each in found), strict=True)
        lines.append(f"{words[number]:>14}: {', '.join(f'{words[other]} {cosine:.2f}' for other, cosine in near)}")
    return "\n".join(lines)


def families(embedding: Tensor, vocabulary: Sequence[str], most: int = 1000, shown: int = 16) -> str:  # (V, D)
    """Of the `most` commonest words those that are closest to their four nearest of them."""
    special = sum(word in (UNKNOWN, END) for word in vocabulary[:2])
    words, own = vocabulary[special : special + most], embedding.detach()[special : special + most]
    if len(words) < 2:
        return "The vocabulary has one word."
    unit = vectors.units(own)
    alike = (unit @ unit.T).fill_diagonal_(-1.0).topk(min(4, len(words) - 1), 1).values.mean(1)
    return neighbours(words, own, alike.argsort(descending=True, stable=True)[:shown].tolist(), 4)
