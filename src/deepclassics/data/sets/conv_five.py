"""The notes' picture of 5 x 5 zeros and ones, and a kernel of 3 x 3: a cross.

N003 of the notes' inventory, file 3, lines 1575 to 1588. They print the first value, 4; the map is
4 3 4; 2 4 3; 2 3 4. The kernel is the same turned by half a turn, so that flipping makes no difference.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from deepclassics.data.fetch import File

if TYPE_CHECKING:
    from deepclassics.data.kinds.matrix import Matrix

KIND = "matrix"
LICENCE = "an exercise's numbers: facts, no licence needed"
FILES: tuple[File, ...] = ()
COUNTS = {"rows": 5, "columns": 5, "channels": 1}


def read(paths: dict[str, Path]) -> "Matrix":
    from deepclassics.data.kinds.matrix import Matrix, written

    picture = "1 1 1 0 0; 0 1 1 1 0; 0 0 1 1 1; 0 0 1 1 0; 0 1 1 0 0"
    return Matrix(written(picture)[None], "1 0 1; 0 1 0; 1 0 1")
