"""The notes' network of letters: inputs λ and Ω, units A, B, C, outputs α and β.

S087 of the notes' inventory, file 3, lines 699 to 759: twelve updates in letters, W⁺ = W + η δ out. The notes give no
numbers; weights, inputs and targets are ours. Sigmoid units without biases.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from deepclassics.data.fetch import File

if TYPE_CHECKING:
    from deepclassics.data.kinds.network import Network

KIND = "network"
LICENCE = "an exercise's letters: facts, no licence needed"
FILES: tuple[File, ...] = ()
COUNTS = {"examples": 1, "inputs": 2, "units": 5, "connections": 12, "outputs": 2}


def read(paths: dict[str, Path]) -> "Network":
    from deepclassics.data.kinds.network import Unit, network

    units = [
        Unit("A", (("λ", 0.2), ("Ω", -0.4))),
        Unit("B", (("λ", 0.7), ("Ω", 0.1))),
        Unit("C", (("λ", -0.3), ("Ω", 0.5))),
        Unit("α", (("A", 0.6), ("B", -0.2), ("C", 0.8))),
        Unit("β", (("A", -0.5), ("B", 0.9), ("C", 0.3))),
    ]
    return network("bp_letters", ["λ", "Ω"], units, [([0.5, 1.0], [0.9, 0.1])])
