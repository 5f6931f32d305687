"""First weights. Biases are 0 with all of them.

Letters: N inputs and M units of a layer, whose weights are (M, N).
"""

import math
from collections.abc import Callable

from torch import Tensor, nn


def zeros(weight: Tensor) -> None:
    """Every unit of a layer stays like every other for ever (Rumelhart et al. 1986: symmetry must be broken)."""
    nn.init.zeros_(weight)


def normal(weight: Tensor) -> None:
    """Of deviation 0.01 whatever the layer, as before 2010 (Krizhevsky et al. 2012, section 5)."""
    nn.init.normal_(weight, std=0.01)


def uniform(weight: Tensor) -> None:
    """Between ±1/√N, the rule that Glorot and Bengio (2010, eq. 1) found in common use."""
    nn.init.uniform_(weight, -1 / math.sqrt(weight.shape[1]), 1 / math.sqrt(weight.shape[1]))


def glorot(weight: Tensor) -> None:
    """Normal, of variance 2/(N + M) (Glorot and Bengio 2010, eq. 12)."""
    nn.init.xavier_normal_(weight)


def he(weight: Tensor) -> None:
    """Normal, of variance 2/N, for units that are half off (He et al. 2015, eq. 10)."""
    nn.init.kaiming_normal_(weight, nonlinearity="relu")


def orthogonal(weight: Tensor) -> None:
    """Rows, or columns where they are fewer, of length 1 and at right angles (Saxe et al. 2014)."""
    nn.init.orthogonal_(weight)


STARTS: dict[str, Callable[[Tensor], None]] = {
    "zeros": zeros,
    "normal": normal,
    "uniform": uniform,
    "glorot": glorot,
    "he": he,
    "orthogonal": orthogonal,
}
