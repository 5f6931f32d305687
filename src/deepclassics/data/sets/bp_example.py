"""The notes' worked example of backpropagation: 2 inputs, 2 hidden units, 1 output.

N001 of the notes' inventory, file 3, lines 763 to 819. Sigmoid units without biases, target 0.5. The notes' weights are
w3 x1→top, w4 x2→top, w5 x1→bottom, w6 x2→bottom, w1 top→final and w2 bottom→final. Their learning rate is not told;
their numbers are those of 1.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from deepclassics.data.fetch import File

if TYPE_CHECKING:
    from deepclassics.data.kinds.network import Network

KIND = "network"
LICENCE = "an exercise's numbers: facts, no licence needed"
FILES: tuple[File, ...] = ()
COUNTS = {"examples": 1, "inputs": 2, "units": 3, "connections": 6, "outputs": 1}


def read(paths: dict[str, Path]) -> "Network":
    from deepclassics.data.kinds.network import Unit, network

    units = [
        Unit("top", (("x1", 0.1), ("x2", 0.8))),
        Unit("bottom", (("x1", 0.4), ("x2", 0.6))),
        Unit("final", (("top", 0.3), ("bottom", 0.9))),
    ]
    return network("bp_example", ["x1", "x2"], units, [([0.35, 0.9], [0.5])])
