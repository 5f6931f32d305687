"""CIFAR-10: 60,000 small photographs of ten kinds of things, in colour, 32 x 32.

Krizhevsky 2009; the standard split of 50,000 and 10,000, from the authors' archive of binary batches. `cifar10_small`
is an exact piece of it, `cifar10_jpeg` all of it, compressed with loss.
"""

import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

from deepclassics.data.fetch import File

if TYPE_CHECKING:
    import numpy as np

    from deepclassics.data.kinds.image import Pictures

KIND = "image"
LICENCE = "none stated (cite Krizhevsky 2009)"
COUNTS = {"train": 50_000, "test": 10_000, "classes": 10, "height": 32, "width": 32, "channels": 3}
CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
ARCHIVE = File(
    "cifar10/cifar-10-binary.tar.gz",
    170_052_171,
    "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    urls=("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",),
)
FILES = (ARCHIVE,)


def read(paths: dict[str, Path]) -> "Pictures":
    from deepclassics.data.kinds.image import Pictures

    parts = {part: records(b"".join(batches)) for part, batches in unpacked(paths[ARCHIVE.path].read_bytes()).items()}
    return Pictures(parts, CLASSES)


def unpacked(archive: bytes) -> dict[str, list[bytes]]:
    """The batches of the authors' archive, in order: five to learn from and one to judge with."""
    import io

    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:*") as files:
        found = {Path(member.name).stem: member for member in files if member.name.endswith(".bin")}
        batches = {"train": [f"data_batch_{number}" for number in range(1, 6)], "test": ["test_batch"]}
        contents = {}
        for part, names in batches.items():
            opened = [files.extractfile(found[name]) for name in names]
            contents[part] = [content.read() for content in opened if content is not None]
    return contents


def records(content: bytes) -> "tuple[np.ndarray, np.ndarray]":  # -> (N, 32, 32, 3) of uint8, (N,) of int64
    """Records of 3073 bytes: the label, then 1024 red values, 1024 green and 1024 blue, row by row."""
    import numpy as np

    table = np.frombuffer(content, np.uint8).reshape(-1, 3073)
    pictures = table[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(pictures), table[:, 0].astype(np.int64)
