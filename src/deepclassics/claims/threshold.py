"""Claims about threshold units: what one can do, what several can, and how they learn."""

import itertools

import torch

from deepclassics.claims import Finding
from deepclassics.systems.foundations.perceptron import meeting_point


def c038_xor_impossible() -> Finding:
    """A single perceptron can do AND, OR and NOT, but not XOR.

    Notes: F2 L103, L122.

    Every one of the 16 functions of two inputs is put to a linear program, which finds a separating line or a point
    that lies between both classes (Farkas' lemma). XOR and its complement are the only two without a line.
    """
    rows = torch.tensor(list(itertools.product([0.0, 1.0], repeat=2)))
    separable = {}
    for values in itertools.product([False, True], repeat=4):
        truth = torch.tensor(values)
        parted = truth.all() or not truth.any() or meeting_point(rows[truth], rows[~truth]) is None
        separable[values] = bool(parted)
    gates = {
        "and": (False, False, False, True),
        "or": (False, True, True, True),
        "not": (True, True, False, False),
        "xor": (False, True, True, False),
    }
    found = {f"{name} is separable": float(separable[values]) for name, values in gates.items()}
    return Finding(
        holds=all(separable[gates[name]] for name in ("and", "or", "not")) and not separable[gates["xor"]],
        numbers={**found, "functions of two inputs": 16.0, "separable ones": float(sum(separable.values()))},
    )
