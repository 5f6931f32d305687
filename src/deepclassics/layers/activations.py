"""Activations: what a unit gives out, from its sum.

Linear, sigmoid, tanh, ReLU, leaky ReLU, ELU, softplus and softmax are torch's own; here are those that torch has not,
and the names by which systems call them all. Notes: S056 to S066; their slopes are in `layers/gradients.py`.

Letters: B examples, U units.
"""

import torch
from torch import Tensor, nn


def step(z: Tensor) -> Tensor:  # any shape -> the same
    """1 where the sum is 0 or more, else 0, as McCulloch and Pitts 1943 have it. It has no slope to descend (S056)."""
    return (z >= 0).to(z.dtype)


def sign(z: Tensor) -> Tensor:  # any shape -> the same
    """1 where the sum is 0 or more, else -1: a unit must say one or the other, so 0 is not 0 as in `torch.sign`."""
    return 2 * step(z) - 1


class NoisyReLU(nn.Module):
    """max(0, z + N(0, σ(z))) with the sigmoid σ(z) as the variance (Nair and Hinton 2010, section 2); S062.

    The notes print δ for σ. The noise is of training only; in evaluation mode it is the plain ReLU.
    """

    def forward(self, z: Tensor) -> Tensor:  # (B, U) -> (B, U)
        if self.training:
            z = z + torch.randn_like(z) * z.sigmoid().sqrt()
        return z.relu()


class Maxout(nn.Module):
    """The largest of each unit's two sums (Goodfellow et al. 2013); the layer before it has twice the units. S065."""

    def forward(self, z: Tensor) -> Tensor:  # (B, 2U) -> (B, U)
        return z.unflatten(1, (-1, 2)).amax(2)


ACTIVATIONS: dict[str, type[nn.Module]] = {
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "leaky": nn.LeakyReLU,
    "elu": nn.ELU,
    "softplus": nn.Softplus,
    "noisy": NoisyReLU,
    "maxout": Maxout,
    "linear": nn.Identity,
}


def noisy_slope(z: Tensor, y: Tensor) -> Tensor:  # (B, U), (B, U) -> (B, U)
    """dy/dz of the noisy ReLU, its noise held: 1 + ½ (y - z)(1 - σ(z)) where y > 0, for the noise grows with z."""
    return torch.where(y > 0, 1 + 0.5 * (y - z) * (1 - z.sigmoid()), 0.0)


def maxout_backward(dy: Tensor, z: Tensor, y: Tensor) -> Tensor:  # (B, U), (B, 2U), (B, U) -> (B, 2U)
    """The gradient goes to the larger of the two sums, and by halves to two that are equal."""
    largest = z.unflatten(1, (-1, 2)) == y[:, :, None]
    return (largest * (dy / largest.sum(2))[:, :, None]).flatten(1)
