"""Fashion-MNIST: 70,000 pictures of clothes, grey, 28 x 28.

Xiao, Rasul, Vollgraf 2017; the standard split of 60,000 and 10,000. Files and format as MNIST's.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from deepclassics.data.fetch import File
from deepclassics.data.sets.mnist import from_idx

if TYPE_CHECKING:
    from deepclassics.data.kinds.image import Pictures

KIND = "image"
LICENCE = "MIT (Zalando SE)"
COUNTS = {"train": 60_000, "test": 10_000, "classes": 10, "height": 28, "width": 28, "channels": 1}
CLASSES = [
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
]


def _file(name: str, size: int, sha256: str) -> File:
    return File(
        f"fashion_mnist/{name}",
        size,
        sha256,
        urls=(
            f"https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/{name}",
            # The authors' own; a website bucket of S3 speaks no TLS, which the SHA-256 makes harmless.
            f"http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/{name}",
        ),
    )


FILES = (
    _file(
        "train-images-idx3-ubyte.gz",
        26_421_880,
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    ),
    _file(
        "train-labels-idx1-ubyte.gz",
        29_515,
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    ),
    _file(
        "t10k-images-idx3-ubyte.gz",
        4_422_102,
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    ),
    _file(
        "t10k-labels-idx1-ubyte.gz",
        5_148,
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    ),
)


def read(paths: dict[str, Path]) -> "Pictures":
    return from_idx(paths, "fashion_mnist", CLASSES)
