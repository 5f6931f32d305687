"""MNIST: 70,000 handwritten digits, grey, 28 x 28.

LeCun, Bottou, Bengio, Haffner 1998; the standard split of 60,000 and 10,000. The four canonical idx files.
"""

import struct
from pathlib import Path
from typing import TYPE_CHECKING

from deepclassics.data.fetch import File, content

if TYPE_CHECKING:
    import numpy as np

    from deepclassics.data.kinds.image import Pictures

KIND = "image"
LICENCE = "CC BY-SA 3.0 (LeCun, Cortes)"
COUNTS = {"train": 60_000, "test": 10_000, "classes": 10, "height": 28, "width": 28, "channels": 1}


def _file(name: str, size: int, sha256: str, content_sha256: str) -> File:
    return File(
        f"mnist/{name}",
        size,
        sha256,
        urls=(
            f"https://ossci-datasets.s3.amazonaws.com/mnist/{name}",
            f"https://storage.googleapis.com/cvdf-datasets/mnist/{name}",
        ),
        content_sha256=(content_sha256,),
    )


FILES = (
    _file(
        "train-images-idx3-ubyte.gz",
        9_912_422,
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    ),
    _file(
        "train-labels-idx1-ubyte.gz",
        28_881,
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    ),
    _file(
        "t10k-images-idx3-ubyte.gz",
        1_648_877,
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    ),
    _file(
        "t10k-labels-idx1-ubyte.gz",
        4_542,
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
)


def read(paths: dict[str, Path]) -> "Pictures":
    return from_idx(paths, "mnist", classes=[str(digit) for digit in range(10)])


def from_idx(paths: dict[str, Path], name: str, classes: list[str]) -> "Pictures":
    """The pictures and labels of four idx files named as MNIST's, in the folder `name` of `paths`."""
    import numpy as np

    from deepclassics.data.kinds.image import Pictures

    parts = {}
    for part, prefix in (("train", "train"), ("test", "t10k")):
        pictures = idx(content(paths[f"{name}/{prefix}-images-idx3-ubyte.gz"]))[..., None]
        labels = idx(content(paths[f"{name}/{prefix}-labels-idx1-ubyte.gz"])).astype(np.int64)
        parts[part] = (pictures, labels)
    return Pictures(parts, classes)


def idx(data: bytes) -> "np.ndarray":
    """The bytes of an idx file: two zeros, 8 for "unsigned byte", number of axes, their sizes (big-endian), data."""
    import numpy as np

    zeros, kind, axes = struct.unpack(">HBB", data[:4])
    assert (zeros, kind) == (0, 8), f"not an idx file of bytes: it begins with {data[:4].hex()}"
    shape = struct.unpack(f">{axes}I", data[4 : 4 + 4 * axes])
    return np.frombuffer(data, np.uint8, offset=4 + 4 * axes).reshape(shape).copy()
