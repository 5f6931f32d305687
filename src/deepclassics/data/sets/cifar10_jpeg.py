"""CIFAR-10 as JPEG of quality 75: all 60,000 photographs, compressed with loss.

Krizhevsky 2009; the standard split. The pictures are some 30 dB from the originals (their colours are held at half the
resolution), so that a figure got on them is one of CIFAR-10-JPEG and not of `cifar10`.
"""

import io
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

from deepclassics.data.fetch import File
from deepclassics.data.sets.cifar10 import CLASSES, COUNTS, KIND, LICENCE

if TYPE_CHECKING:
    from deepclassics.data.kinds.image import Pictures

__all__ = ["COUNTS", "FILES", "KIND", "LICENCE", "read"]

FILES = (
    File(
        "cifar10/cifar10_jpeg_q75.tar.xz",
        18_646_568,
        "451163898bd7f1d832e81f903d5e57f589830c743d62170b0e9ebae5327420ed",
        urls=(),  # no public address serves this compression: it is had from a mirror
    ),
)


def read(paths: dict[str, Path]) -> "Pictures":
    import numpy as np
    from PIL import Image

    from deepclassics.data.kinds.image import Pictures

    found: dict[str, dict[str, tuple[np.ndarray, int]]] = {"train": {}, "test": {}}
    with tarfile.open(paths[FILES[0].path], "r:*") as archive:
        for member in archive:
            content = archive.extractfile(member) if member.name.endswith(".jpg") else None
            if content is not None:  # train/00000_6.jpg: its place in the whole, and its label
                part, name = member.name.split("/")
                with Image.open(io.BytesIO(content.read()), formats=("JPEG",)) as picture:
                    pixels = np.asarray(picture.convert("RGB"))
                found[part][name] = pixels, int(name.partition("_")[2].removesuffix(".jpg"))
    parts = {}
    for part, pictures in found.items():
        pixels, labels = zip(*(pictures[name] for name in sorted(pictures)), strict=True)
        parts[part] = np.stack(pixels), np.array(labels, dtype=np.int64)
    return Pictures(parts, CLASSES)
