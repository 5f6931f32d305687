"""The notes' score of one hidden layer, ŷ = Uᵀ f(W x + b).

S084 of the notes' inventory, file 4, lines 112 to 199: three inputs, three units. ŷ is a score without a target, to be
raised, so that δ is ∂ŷ/∂z as the notes write it. f is the sigmoid. The notes give no numbers; these are ours.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from deepclassics.data.fetch import File

if TYPE_CHECKING:
    from deepclassics.data.kinds.network import Network

KIND = "network"
LICENCE = "an exercise's letters: facts, no licence needed"
FILES: tuple[File, ...] = ()
COUNTS = {"examples": 1, "inputs": 3, "units": 4, "connections": 15, "outputs": 1}

W = ((0.2, -0.5, 0.1), (0.4, 0.3, -0.2), (-0.6, 0.1, 0.5))
B = (0.1, -0.3, 0.2)
U = (0.7, -0.4, 0.9)


def read(paths: dict[str, Path]) -> "Network":
    from deepclassics.data.kinds.network import Unit, network

    inputs = ["x1", "x2", "x3"]
    units = [Unit(f"a{k}", tuple(zip(inputs, W[k - 1], strict=True)), B[k - 1]) for k in (1, 2, 3)]
    units.append(Unit("ŷ", tuple(zip(("a1", "a2", "a3"), U, strict=True)), activation="linear"))
    return network("bp_one", inputs, units, [([1.0, 0.5, -1.0], None)], loss="score")
