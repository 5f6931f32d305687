"""The notes' score of two hidden layers, where δ is carried back.

S085 of the notes' inventory, file 4, lines 207 to 276: ŷ = Uᵀ f(W² f(W¹ x + b¹) + b²). The right recursion is δ¹ =
(W²ᵀ δ²) ⊙ f'(z¹) and ∂ŷ/∂W² = δ² a¹ᵀ; the notes print f(z²), then f'(z²), and a² (errata E069 to E071). ŷ is to be
raised; f is tanh. The notes give no numbers; these are ours.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from deepclassics.data.fetch import File

if TYPE_CHECKING:
    from deepclassics.data.kinds.network import Network

KIND = "network"
LICENCE = "an exercise's letters: facts, no licence needed"
FILES: tuple[File, ...] = ()
COUNTS = {"examples": 1, "inputs": 2, "units": 5, "connections": 14, "outputs": 1}

W1, B1 = ((0.5, -0.3), (0.2, 0.8)), (0.1, -0.2)
W2, B2 = ((-0.7, 0.4), (0.6, 0.3)), (0.2, 0.1)
U = (0.9, -0.5)


def read(paths: dict[str, Path]) -> "Network":
    from deepclassics.data.kinds.network import Unit, network

    heard, units = ("x1", "x2"), []
    for layer, (rows, biases) in enumerate(((W1, B1), (W2, B2)), 1):
        names = (f"a{layer}.1", f"a{layer}.2")
        for name, row, bias in zip(names, rows, biases, strict=True):
            units.append(Unit(name, tuple(zip(heard, row, strict=True)), bias, "tanh"))
        heard = names
    units.append(Unit("ŷ", tuple(zip(heard, U, strict=True)), activation="linear"))
    return network("bp_two", ["x1", "x2"], units, [([1.0, -0.5], None)], loss="score")
