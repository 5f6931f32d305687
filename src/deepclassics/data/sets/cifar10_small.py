"""CIFAR-10, a small exact piece: 9,017 photographs in colour, 32 x 32.

Krizhevsky 2009. 8,000 to learn from, 800 of each class, and the first 1,017 test pictures to judge with, 87 to 114 of a
class, bit for bit as the authors published them. Figures on it are of a sixth of the training pictures and a tenth of
the test pictures: do not take them for those of `cifar10`.
"""

import lzma
from pathlib import Path
from typing import TYPE_CHECKING

from deepclassics.data.fetch import File
from deepclassics.data.sets.cifar10 import ARCHIVE, CLASSES, records, unpacked

if TYPE_CHECKING:
    import numpy as np

    from deepclassics.data.kinds.image import Pictures

KIND = "image"
LICENCE = "none stated (cite Krizhevsky 2009)"
COUNTS = {"train": 8_000, "test": 1_017, "classes": 10, "height": 32, "width": 32, "channels": 3}


def _file(name: str, size: int, sha256: str) -> File:
    return File(f"cifar10/{name}", size, sha256, urls=(), within=ARCHIVE)  # whoever has no mirror gets all of it


FILES = (
    _file("train_8000.bin.xz", 18_604_384, "1b1e36a5019efbe1014d8b3286e49a874a7d9f1e9296688b0798be645c91a04e"),
    _file("test_1017.bin.xz", 2_360_120, "6f42a2e00c37f76006514cc2862e9ed5ce5924ccf3dc6170ea7abc7eda39e39f"),
)
XZ = b"\xfd7zXZ\x00"
# The piece is the first 800 of each class among these records of the whole, and the first 1,017 to judge with.
STRETCHES = ((0, 4000), (10_000, 11_017), (20_000, 21_017), (30_000, 31_285), (40_000, 50_000))
EACH, JUDGED = 800, 1_017


def read(paths: dict[str, Path]) -> "Pictures":
    from deepclassics.data.kinds.image import Pictures

    files = zip(("train", "test"), FILES, strict=True)
    return Pictures({name: part(paths[file.path].read_bytes(), name) for name, file in files}, CLASSES)


def part(packed: bytes, name: str) -> "tuple[np.ndarray, np.ndarray]":
    """The part from its own file, or cut from the authors' archive."""
    if packed.startswith(XZ):
        return records(lzma.decompress(packed))
    pictures, labels = records(b"".join(unpacked(packed)[name]))
    return piece(pictures, labels) if name == "train" else (pictures[:JUDGED], labels[:JUDGED])


def piece(pictures: "np.ndarray", labels: "np.ndarray") -> "tuple[np.ndarray, np.ndarray]":
    """The 8,000 of the 50,000 training pictures, in their order."""
    import numpy as np

    seen = np.concatenate([np.arange(*stretch) for stretch in STRETCHES])
    index = np.sort(np.concatenate([seen[labels[seen] == label][:EACH] for label in range(len(CLASSES))]))
    return pictures[index], labels[index]
