"""Backward passes written out, layer by layer, and the Jacobians that they multiply by without ever building them.

A backward pass takes the gradient of a loss by a layer's output and gives those by its input and by its weights. The
field's convention throughout: `d` before a name is ∂loss/∂ of it, of the same shape. Losses have theirs in `losses.py`.

`linear_backward` and `recursion` are the plain form, as one reads it. `mlp` trains by the same in layers that reuse
memory, which the tests hold to this.

Source: D. Rumelhart, G. Hinton, R. Williams 1986 for the recursion; S. Ioffe, C. Szegedy, Batch normalization (2015),
section 3, for its six lines. Notes: S084, S085, S093 to S095, S097, S140, S150, S151, N042; errata E069 to E071, E075
and E076.

Letters: B examples, N inputs and M outputs of a layer, P outputs of the whole, K classes; C channels in, O channels
out, pictures of H by W pixels, kernels of h by w, maps of R by S places.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
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


# --- convolution (cross-correlation, as all of the field calls convolution)


def convolution(x: Tensor, weight: Tensor, bias: Tensor, stride: int = 1, padding: int = 0) -> Tensor:
    """(B, C, H, W), (O, C, h, w), (O,) -> (B, O, R, S): x_ij = Σ_ab ω_ab y_(i+a)(j+b); the notes print y_ia,j+b (E075).

    One product for each place a, b of the kernel.
    """
    padded = F.pad(x, (padding,) * 4)
    down, across = ((size - k) // stride + 1 for size, k in zip(padded.shape[2:], weight.shape[2:], strict=True))
    out = bias[None, :, None, None].expand(len(x), -1, down, across).clone()
    for a, b, window in _windows(padded, weight, stride, down, across):
        out += torch.einsum("bcrs,oc->bors", window, weight[:, :, a, b])
    return out


def convolution_backward(
    dz: Tensor, x: Tensor, weight: Tensor, stride: int = 1, padding: int = 0
) -> tuple[Tensor, Tensor, Tensor]:  # (B, O, R, S), (B, C, H, W), (O, C, h, w) -> dx, dweight, dbias
    """Every window gets back the kernel times its own gradient, added up where windows overlap (S150, S151).

    dy_ij = Σ_ab dx_(i-a)(j-b) ω_ab, where the notes forget the shift in one line (E075); dω_ab = Σ_ij dx_ij
    y_(i+a)(j+b) with i and j up to N - m, where they print N - m + 1 and ∂E/∂y (E076). db is the sum over all places.
    """
    padded = F.pad(x, (padding,) * 4)
    dpadded, dweight = torch.zeros_like(padded), torch.zeros_like(weight)
    back = _windows(dpadded, weight, stride, *dz.shape[2:])
    for (a, b, window), (_, _, dwindow) in zip(_windows(padded, weight, stride, *dz.shape[2:]), back, strict=True):
        dwindow += torch.einsum("bors,oc->bcrs", dz, weight[:, :, a, b])
        dweight[:, :, a, b] = torch.einsum("bors,bcrs->oc", dz, window)
    height, width = x.shape[2:]
    return dpadded[:, :, padding : padding + height, padding : padding + width], dweight, dz.sum((0, 2, 3))


def _windows(
    padded: Tensor, weight: Tensor, stride: int, down: int, across: int
) -> list[tuple[int, int, Tensor]]:  # (B, C, H, W) -> views of (B, C, R, S)
    """For every place of the kernel what it meets at all R by S places of the map."""
    return [
        (a, b, padded[:, :, a : a + stride * down : stride, b : b + stride * across : stride])
        for a in range(weight.shape[2])
        for b in range(weight.shape[3])
    ]
