"""CoNLL-2003, English: people, places, organisations and other names in news.

Tjong Kim Sang, De Meulder 2003: 20,744 sentences of Reuters of August and December 1996 in the shared task's own three
parts, tags in the scheme IOB1. The part of speech and the chunk of each word, in the other columns, are not read.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from deepclassics.data.fetch import File, content

if TYPE_CHECKING:
    from deepclassics.data.kinds.tagged import Tagged

KIND = "tagged"
LICENCE = "not free: Reuters' text under NIST's agreement; for your own research, do not pass it on"
COUNTS = {
    "train": 14_041,
    "train words": 203_621,
    "train names": 23_499,
    "valid": 3_250,
    "valid words": 51_362,
    "valid names": 5_942,
    "test": 3_453,
    "test words": 46_435,
    "test names": 5_648,
    "types": 4,
}


def _file(part: str, size: int, sha256: str, content_sha256: str) -> File:
    address = f"https://raw.githubusercontent.com/glample/tagger/master/dataset/eng.{part}"  # serves it plain
    return File(f"conll2003/eng.{part}.gz", size, sha256, urls=(address,), content_sha256=(content_sha256,))


FILES = (
    _file(
        "train",
        611_381,
        "6813293ff32890bcba60c1405f29ed7f463d3680bca2440507d49ec4bb1c25f5",
        "1f829db7620be0f4a5fff90203eeef27580a75546fdbf180e36ff542b92e6a92",
    ),
    _file(
        "testa",
        153_370,
        "ff7a1b0d15f639dc7a105c59c1c2de86fa397aec0a70f4597ce88038844cfd11",
        "426445b024120cfbd770fb4c0dafb6710f35afc08056b82837aa166a8cd6aef7",
    ),
    _file(
        "testb",
        137_341,
        "1161683577c7e0367cefd0a501fc90792387fd0acd3043ce1e3f241459634e86",
        "ae78c673d851c4308090fed5fb4412474c8b1fc91fe20728fdf62fdbfa1a5b2c",
    ),
)


def read(paths: dict[str, Path]) -> "Tagged":
    from deepclassics.data.kinds.tagged import Tagged, columns

    files = {"train": "eng.train", "valid": "eng.testa", "test": "eng.testb"}
    texts = {part: content(paths[f"conll2003/{file}.gz"]).decode() for part, file in files.items()}
    return Tagged({part: list(columns(text, files[part])) for part, text in texts.items()})
