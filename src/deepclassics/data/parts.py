"""The parts of a data set: examples to learn from (train), to choose by (valid) and to judge with (test).

Letters: N examples.
"""

import re
from collections.abc import Iterable

import numpy as np

# What people call the parts in names of folders and of arrays.
NAMES = {
    "train": "train",
    "training": "train",
    "valid": "valid",
    "val": "valid",
    "validation": "valid",
    "dev": "valid",
    "test": "test",
    "testing": "test",
}


def divide(
    labels: np.ndarray, *, seed: int, valid: float, test: float
) -> dict[str, np.ndarray]:  # (N,) -> {part: (n,) of int64}
    """Which examples belong to which part, in their order, by chance from `seed` and stratified.

    `valid` and `test` are shares of all N. Every class has the same share in each part but for rounding, and at least
    one example if it has three; a class of one or two is learnt from only. Labels that are all equal make no strata.
    """
    generator = np.random.Generator(np.random.PCG64(seed))
    classes, sizes = np.unique(labels, return_counts=True)
    judge = _counts(sizes, test, spare=2 if valid else 1)
    choose = _counts(sizes, valid, spare=judge + 1)
    chosen: dict[str, list[np.ndarray]] = {"train": [], "valid": [], "test": []}
    for label, first, second in zip(classes, judge, judge + choose, strict=True):
        own = generator.permutation(np.flatnonzero(labels == label))
        chosen["test"].append(own[:first])
        chosen["valid"].append(own[first:second])
        chosen["train"].append(own[second:])
    return {part: np.sort(np.concatenate(pieces)) for part, pieces in chosen.items()}


def _counts(sizes: np.ndarray, share: float, spare: int | np.ndarray) -> np.ndarray:  # (K,) -> (K,) of int64
    """How many of each class make up `share` of all, when `spare` of each must be left: by the largest remainders."""
    exact = sizes * share
    counts = np.floor(exact).astype(np.int64)
    lacking = round(float(exact.sum())) - int(counts.sum())
    counts[np.argsort(counts - exact, kind="stable")[:lacking]] += 1
    least = np.where((sizes >= 3) & (share > 0), 1, 0)
    return np.where(least > 0, np.clip(counts, least, sizes - spare), 0)


def natural(words: Iterable[str]) -> list[str]:
    """Words in the order a person expects: "class 2" before "class 10", "a" beside "A"."""

    def key(word: str) -> tuple[list[tuple[int, int, str]], str]:
        pieces = re.split(r"(\d+)", word)
        return [
            (0, int(piece), "") if piece.isdecimal() else (1, 0, piece.casefold()) for piece in pieces if piece
        ], word

    return sorted(words, key=key)
