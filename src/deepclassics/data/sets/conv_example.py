"""The notes' convolution that gives 28: 4 x 5 numbers and a kernel of 2 x 2.

N002 of the notes' inventory, file 0, lines 209 and 210. They print 28 and dots for the rest of the map, which are
33 24 28; 24 26 47 37; 9 34 66 34. The kernel itself stands in the matrix at row 1, column 2 (33), and twice the kernel
at row 3, column 3 (66).
"""

from pathlib import Path
from typing import TYPE_CHECKING

from deepclassics.data.fetch import File

if TYPE_CHECKING:
    from deepclassics.data.kinds.matrix import Matrix

KIND = "matrix"
LICENCE = "an exercise's numbers: facts, no licence needed"
FILES: tuple[File, ...] = ()
COUNTS = {"rows": 4, "columns": 5, "channels": 1}


def read(paths: dict[str, Path]) -> "Matrix":
    from deepclassics.data.kinds.matrix import Matrix, written

    return Matrix(written("5 2 3 0 2; 1 4 2 5 1; 2 1 4 6 0; 0 1 8 4 3")[None], "2 3; 4 2")
