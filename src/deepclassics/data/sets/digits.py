"""Digits: 1,797 handwritten digits, grey, 8 x 8.

Alpaydin, Kaynak 1998 (UCI, optdigits): the test part, by 13 people, which comes with scikit-learn; no standard split.
The 17 levels of grey, 0 to 16, are spread over 0 to 255: a level is round(pixel * 16 / 255).
"""

from pathlib import Path
from typing import TYPE_CHECKING

from deepclassics.data.fetch import File

if TYPE_CHECKING:
    from deepclassics.data.kinds.image import Pictures

KIND = "image"
LICENCE = "CC BY 4.0 (UCI)"
FILES: tuple[File, ...] = ()
COUNTS = {"all": 1_797, "classes": 10, "height": 8, "width": 8, "channels": 1}


def read(paths: dict[str, Path]) -> "Pictures":
    import numpy as np
    from sklearn.datasets import load_digits

    from deepclassics.data.kinds.image import Pictures

    digits = load_digits()
    pictures = np.round(digits.images[..., None] * (255 / 16)).astype(np.uint8)
    return Pictures({"all": (pictures, digits.target.astype(np.int64))}, [str(digit) for digit in range(10)])
