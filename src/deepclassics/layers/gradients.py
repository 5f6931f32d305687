"""Backward passes written out, layer by layer, and the Jacobians that they multiply by without ever building them.

A backward pass takes the gradient of a loss by a layer's output and gives those by its input and by its weights. The
field's convention throughout: `d` before a name is ∂loss/∂ of it, of the same shape. Losses have theirs in `losses.py`,
convolution and pooling in `convolution.py`.

`linear_backward` and `recursion` are the plain form, as one reads it. `mlp` trains by the same in layers that reuse
memory, which the tests hold to this.

Source: D. Rumelhart, G. Hinton, R. Williams 1986 for the recursion; S. Ioffe, C. Szegedy, Batch normalization (2015),
section 3, for its six lines. Notes: S084, S085, S093 to S095, S097, S140, N042; errata E069 to E071.

Letters: B examples, N inputs and M outputs of a layer, P outputs of the whole, K classes.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

# f'(z) from the sum z and the output y = f(z), for every activation that works on each unit alone.
SLOPES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "sigmoid": lambda z, y: y * (1 - y),
    "tanh": lambda z, y: 1 - y.square(),
    "relu": lambda z, y: (z > 0).to(z.dtype),
    "leaky": lambda z, y: torch.full_like(z, 0.01).masked_fill(z > 0, 1.0),
    "elu": lambda z, y: torch.where(z > 0, torch.ones_like(z), y + 1),
    "softplus": lambda z, y: z.sigmoid(),
    "linear": lambda z, y: torch.ones_like(z),
}


# --- dense layers


def linear_backward(dz: Tensor, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # (B, M), (B, N), (M, N)
    """Of z = x Wᵀ + b: dx (B, N), dW (M, N), db (M,). For one example ∂/∂W = δ xᵀ, ∂/∂b = δ, ∂/∂x = Wᵀ δ (S084)."""
    return dz @ weight, dz.T @ x, dz.sum(0)


def recursion(last: Tensor, weights: Sequence[Tensor], slopes: Sequence[Tensor]) -> list[Tensor]:
    """The deltas of all layers from that of the last: δ^l = (W^(l+1)ᵀ δ^(l+1)) ⊙ f'(z^l) (S085).

    `weights` are those of the layers, first to last, each (M, N), and `slopes` their f'(z), each (B, M). The notes
    print W^l, δ^l on both sides, and f or f' at z^(l+1) (E070, E071).
    """
    deltas = [last]
    for weight, slope in zip(reversed(weights[1:]), reversed(slopes[:-1]), strict=True):
        deltas.insert(0, deltas[0] @ weight * slope)
    return deltas


# --- Jacobians


def weight_jacobian(x: Tensor, outputs: int) -> Tensor:  # (N,) -> (M, M * N)
    """∂y_k/∂W_ij = x_j where k = i, else 0, for y = W x with W laid out row by row: I ⊗ xᵀ (S097, N042)."""
    return torch.kron(torch.eye(outputs, dtype=x.dtype), x[None])


def kronecker(later: Tensor, x: Tensor) -> Tensor:  # (P, M), (N,) -> (P, M * N)
    """J_W = J_z ⊗ xᵀ: what weights do to the end, from what the sums z = W x do to it (S097).

    It equals `later @ weight_jacobian(x, M)` without the zeros. `later` is by the sums: where an activation lies
    between, its slopes are in it, which the notes leave unsaid.
    """
    return torch.kron(later, x[None])


def softmax_jacobian(y: Tensor) -> Tensor:  # (B, K) -> (B, K, K)
    """∂y_i/∂z_j = y_i ([i = j] - y_j) of y = softmax(z)."""
    return torch.diag_embed(y) - y[:, :, None] * y[:, None, :]


# --- batch normalisation


def batch_norm(
    x: Tensor, gain: Tensor, bias: Tensor, eps: float = 1e-5
) -> tuple[Tensor, Tensor]:  # (B, N), (N,), (N,) -> (B, N) twice
    """y = γ x̂ + β in training, with the batch's own mean and variance (S140); and x̂."""
    centred = x - x.mean(0)
    normal = centred / (centred.square().mean(0) + eps).sqrt()
    return gain * normal + bias, normal


def batch_norm_backward(
    dy: Tensor, x: Tensor, normal: Tensor, gain: Tensor, eps: float = 1e-5
) -> tuple[Tensor, Tensor, Tensor]:  # (B, N) three times, (N,) -> (B, N), (N,), (N,)
    """dx, dγ = Σ dy x̂, dβ = Σ dy.

    Mean and variance depend on every example: their shares, once collected, take from each gradient its mean and its
    part along x̂.
    """
    dgain, dbias = (dy * normal).sum(0), dy.sum(0)
    deviation = (x.var(0, correction=0) + eps).sqrt()
    return gain / deviation * (dy - dbias / len(x) - normal * dgain / len(x)), dgain, dbias
