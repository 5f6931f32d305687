"""SST-1: 11,855 sentences of film reviews with five shades of opinion.

The Stanford Sentiment Treebank, Socher et al. 2013, which judges every phrase of every sentence. To learn from there
are, as in Kim 2014, the sentences and all their phrases, each once (159,274); to choose by and to judge with, the
sentences alone (1,101 and 2,210).
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from deepclassics.data.fetch import File, content

if TYPE_CHECKING:
    from deepclassics.data.kinds.table import Table

KIND = "table"
LICENCE = "none stated; for research (cite Socher et al. 2013)"
COUNTS = {"train": 159_274, "valid": 1_101, "test": 2_210, "classes": 5, "columns": 2, "missing": 0}
TREES = 8_544  # to learn from; the file at the public address goes on with those of another part
OPINIONS = ["0 very negative", "1 negative", "2 neutral", "3 positive", "4 very positive"]
PARTS = {"train": "train", "valid": "dev", "test": "test"}
BRACKETS = {"-LRB-": "(", "-RRB-": ")", "-LSB-": "[", "-RSB-": "]", "-LCB-": "{", "-RCB-": "}"}


def _file(part: str, size: int, sha256: str, content_sha256: str, longer_sha256: tuple[str, ...] = ()) -> File:
    return File(
        f"sentence_classification/sst_trees/{part}.txt.gz",
        size,
        sha256,
        urls=(f"https://raw.githubusercontent.com/munikarmanish/RNTN/master/trees/{part}.txt",),
        content_sha256=(content_sha256,),
        other_sha256=longer_sha256,
    )


FILES = (
    _file(
        "train",
        567_819,
        "738d2cb612c2af8d6987a4716117843cdb42ad31b7cc9f7d90d25ca491192958",
        "e2f3f41b0b1e6d4dddc0effe3bfc2d27ed8928079aa9a03d652311614fc5feb7",
        ("3287e6df56acb2ccba2bc3ebb7a696c0daee8d2fa00988348bbf37796bc3739d",),  # with those to choose by at its end
    ),
    _file(
        "dev",
        74_467,
        "83088b1d776a127c06c14bce4acddfe2e6d318f538e2abbb5c9e772f96a8601b",
        "0e9336aed6e4730e19f58d00a77b3f0297efdb755f7b5e598c98a05e3f97ea40",
    ),
    _file(
        "test",
        147_988,
        "65b9da00aa0e8107f3e3bf2f620e773457102b1828950ccb12931c103c01afdb",
        "6e54806dee95cf80cd918e7dfb3f6770f6df24bf826f289a4d1f709e1c8f6761",
    ),
)


def read(paths: dict[str, Path]) -> "Table":
    return trees(paths, OPINIONS.__getitem__)


def trees(paths: dict[str, Path], called: Callable[[int], str]) -> "Table":
    """The parts of the treebank with the opinions, 0 to 4, as they are `called`; "" leaves a text out."""
    import pandas as pd

    from deepclassics.data.kinds.table import Table

    parts = {}
    for part, name in PARTS.items():
        lines = content(paths[f"sentence_classification/sst_trees/{name}.txt.gz"]).decode().splitlines()
        found = [phrases(line) for line in lines[:TREES]]
        # The whole comes last. A text that comes again is kept once: it has the same opinion wherever it stands.
        kept = [pair for each in found for pair in each] if part == "train" else [each[-1] for each in found]
        kept = list(dict.fromkeys(kept)) if part == "train" else kept
        rows = [(text, called(opinion)) for text, opinion in kept if called(opinion)]
        parts[part] = pd.DataFrame(rows, columns=["text", "label"])
    return Table(parts, target="label")


def phrases(tree: str) -> list[tuple[str, int]]:
    """Every phrase of a tree "(3 (2 It) (4 works))" and its opinion, those inside first: It 2, works 4, It works 3."""
    words: list[str] = []
    begun: list[tuple[int, int]] = []  # opinion, and how many words stand before
    found = []
    for piece in re.findall(r"\(\d|\)|[^\s()]+", tree):
        if piece[0] == "(":
            begun.append((int(piece[1]), len(words)))
        elif piece == ")":
            opinion, begin = begun.pop()
            found.append((" ".join(words[begin:]), opinion))
        else:
            words.append(BRACKETS.get(piece, piece.replace("\\", "")))
    return found
