"""Husky or wolf, fair: the pictures of `husky` on grounds drawn by chance.

The same digits at the same places, one in two on snow whatever it is, so that the ground tells nothing: what
`deepclassics look RUN --shortcut` must acquit.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from deepclassics.data.sets import husky

if TYPE_CHECKING:
    from deepclassics.data.kinds.image import Pictures

KIND, LICENCE, FILES, COUNTS = husky.KIND, husky.LICENCE, husky.FILES, husky.COUNTS


def read(paths: dict[str, Path]) -> "Pictures":
    return husky.painted(fair=True)
