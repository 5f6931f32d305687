"""Convolution and pooling, every way they can be computed, forward and backward, and what a unit sees of its input.

What all of the field calls convolution is cross-correlation: the kernel is laid on the picture as it is. `flipped`
turns it round first, which makes the convolution of mathematics (S148). Backward passes take ∂loss/∂out as `dz` and
give those by the input, the weight and the bias, of the same shapes. `stride` is how far the window goes on at a time,
`padding` the rows of zeros around the picture, `dilation` the distance of neighbours in the kernel, all in pixels.

The ways, in `WAYS`:
- loops: over examples, rows, columns and kernels, a window at a time, as the notes' S150 has it.
- places: one product for each place a, b of the kernel, for all windows at once: the notes' S151.
- matrix: the layer is linear, so there is a matrix that it multiplies the flattened picture by: in one dimension a
  Toeplitz matrix, in two a Toeplitz matrix of Toeplitz blocks (S152, S154). Nearly all of it is zeros.
- unrolled: every window is laid out as a column, and all kernels are multiplied with all columns in one product (S153).
- library: torch's own.

Sources: K. Chellapilla, S. Puri, P. Simard, High performance convolutional neural networks for document processing
(2006), section 3, for unrolling; V. Dumoulin, F. Visin, A guide to convolution arithmetic for deep learning (2016), for
sizes; R. Rodieck, Quantitative analysis of cat retinal ganglion cell response to visual stimuli (1965), for differences
of Gaussians. Notes: S146 to S162, S168, N002, N003, N010, N070; errata E033, E034, E073, E075, E076.

Letters: B examples, C channels in, O channels out, pictures of H by W pixels, kernels of h by w, maps of R by S places.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

# --- sizes


def extent(size: int, dilation: int = 1) -> int:
    """Pixels from the first to the last that a kernel of `size` covers."""
    return dilation * (size - 1) + 1


def output_size(pixels: int, size: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> int:
    """Places of a window along a side: N - m + 1 at stride 1 without padding.

    The notes print "stride 0" for that (E073): a window that never moves has one place.
    """
    return (pixels + 2 * padding - extent(size, dilation)) // stride + 1


def transposed_size(places: int, size: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> int:
    """The least size of a picture that has so many places of the window: what a transposed convolution gives."""
    return (places - 1) * stride + extent(size, dilation) - 2 * padding


def same_padding(size: int, dilation: int = 1) -> int:
    """(f - 1) / 2: at stride 1 the map is as large as the picture. There is one for odd extents only (S158)."""
    assert extent(size, dilation) % 2, f"a kernel must cover an odd number of pixels to have its middle on one; {size}"
    return (extent(size, dilation) - 1) // 2


def flipped(weight: Tensor) -> Tensor:  # (..., h, w) -> the same
    """The kernel turned by half a turn: a convolution is the cross-correlation with it (S148)."""
    return weight.flip(-2, -1)


# --- by loops


def by_loops(x: Tensor, weight: Tensor, stride: int = 1, padding: int = 0, dilation: int = 1) -> Tensor:
    """(B, C, H, W), (O, C, h, w) -> (B, O, R, S): the kernel laid on every window, in four nested loops."""
    padded, out = F.pad(x, (padding,) * 4), x.new_zeros(_shape(x, weight, stride, padding, dilation))
    height, width = (extent(size, dilation) for size in weight.shape[2:])
    for example in range(out.shape[0]):
        for row in range(out.shape[2]):
            for column in range(out.shape[3]):
                top, left = row * stride, column * stride
                window = padded[example, :, top : top + height : dilation, left : left + width : dilation]
                for kernel in range(out.shape[1]):
                    out[example, kernel, row, column] = (window * weight[kernel]).sum()
    return out


def by_loops_backward(
    dz: Tensor, x: Tensor, weight: Tensor, stride: int = 1, padding: int = 0, dilation: int = 1
) -> tuple[Tensor, Tensor]:  # (B, O, R, S), (B, C, H, W), (O, C, h, w) -> dx, dweight
    """S150: each window gets the kernel times its dz, added to what other windows gave; each kernel the window times
    dz."""
    padded = F.pad(x, (padding,) * 4)
    dpadded, dweight = torch.zeros_like(padded), torch.zeros_like(weight)
    height, width = (extent(size, dilation) for size in weight.shape[2:])
    for example in range(dz.shape[0]):
        for row in range(dz.shape[2]):
            for column in range(dz.shape[3]):
                top, left = row * stride, column * stride
                under = (example, slice(None), slice(top, top + height, dilation), slice(left, left + width, dilation))
                for kernel in range(dz.shape[1]):
                    dpadded[under] += weight[kernel] * dz[example, kernel, row, column]
                    dweight[kernel] += padded[under] * dz[example, kernel, row, column]
    return _inside(dpadded, x, padding), dweight


# --- place by place of the kernel


def by_places(x: Tensor, weight: Tensor, stride: int = 1, padding: int = 0, dilation: int = 1) -> Tensor:
    """(B, C, H, W), (O, C, h, w) -> (B, O, R, S): x_ij = Σ_ab ω_ab y_(i+a)(j+b).

    So ∂x_ij/∂ω_ab = y_(i+a)(j+b); the notes print y_ia,j+b (E075).
    """
    out = x.new_zeros(_shape(x, weight, stride, padding, dilation))
    for a, b, window in _windows(F.pad(x, (padding,) * 4), weight.shape[2:], out.shape[2:], stride, dilation):
        out += torch.einsum("bcrs,oc->bors", window, weight[:, :, a, b])
    return out


def by_places_backward(
    dz: Tensor, x: Tensor, weight: Tensor, stride: int = 1, padding: int = 0, dilation: int = 1
) -> tuple[Tensor, Tensor]:  # (B, O, R, S), (B, C, H, W), (O, C, h, w) -> dx, dweight
    """dy_ij = Σ_ab dx_(i-a)(j-b) ω_ab, and dω_ab = Σ_ij dx_ij y_(i+a)(j+b) with i and j up to N - m (S151).

    The notes forget the shift in one line of the first (E075), and print N - m + 1 and ∂E/∂y in the second (E076).
    """
    dweight = torch.zeros_like(weight)
    padded = F.pad(x, (padding,) * 4)
    for a, b, window in _windows(padded, weight.shape[2:], dz.shape[2:], stride, dilation):
        dweight[:, :, a, b] = torch.einsum("bors,bcrs->oc", dz, window)
    height, width = x.shape[2:]
    return transposed(dz, weight, (height, width), stride, padding, dilation), dweight


def transposed(
    z: Tensor, weight: Tensor, size: tuple[int, int], stride: int = 1, padding: int = 0, dilation: int = 1
) -> Tensor:  # (B, O, R, S), (O, C, h, w) -> (B, C, H, W) of `size`
    """The adjoint of a convolution, ⟨A x, z⟩ = ⟨x, Aᵀ z⟩, also called deconvolution (S168): dx is Aᵀ dz."""
    padded = z.new_zeros(len(z), weight.shape[1], *(pixels + 2 * padding for pixels in size))
    for a, b, window in _windows(padded, weight.shape[2:], z.shape[2:], stride, dilation):
        window += torch.einsum("bors,oc->bcrs", z, weight[:, :, a, b])
    return padded[:, :, padding : padding + size[0], padding : padding + size[1]]


def bias_backward(dz: Tensor) -> Tensor:  # (B, O, R, S) -> (O,)
    """A bias is added at every place, so its gradient is the sum over all of them (S150)."""
    return dz.sum((0, 2, 3))


# --- as a matrix


def toeplitz(kernel: Tensor, pixels: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> Tensor:
    """(w,) -> (S, W): row i holds the kernel from column stride * i - padding on; what falls outside met zeros."""
    places = output_size(pixels, len(kernel), stride, padding, dilation)
    wide = kernel.new_zeros(places, pixels + 2 * padding)
    rows = torch.arange(places, device=kernel.device)
    for b, value in enumerate(kernel):
        wide[rows, rows * stride + b * dilation] = value
    return wide[:, padding : padding + pixels]


def convmtx(kernel: Tensor, pixels: int) -> Tensor:  # (w,) -> (W + w - 1, W)
    """Matlab's: times a vector it is the whole convolution, the kernel flipped, every column the kernel one row lower
    (S152, S154)."""
    return toeplitz(kernel.flip(0), pixels, padding=len(kernel) - 1)


def convmtx2(kernel: Tensor, height: int, width: int) -> Tensor:  # (h, w) -> ((H + h - 1)(W + w - 1), HW)
    """The same for pictures: Toeplitz in blocks, one block for each row of the kernel, each block Toeplitz (S154).

    Pictures are flattened row by row; Matlab's go column by column.
    """
    rows = torch.eye(len(kernel), dtype=kernel.dtype, device=kernel.device)
    blocks = [torch.kron(convmtx(one, height), convmtx(row, width)) for one, row in zip(rows, kernel, strict=True)]
    return torch.stack(blocks).sum(0)


def matrix(
    weight: Tensor, size: tuple[int, int], stride: int = 1, padding: int = 0, dilation: int = 1
) -> Tensor:  # (O, C, h, w) -> (O R S, C H W)
    """The layer as one matrix for pictures of `size`: in every block of O by C a picture's, in these a row's."""
    down, across = _bands(weight, size, stride, padding, dilation)
    whole = torch.einsum("ocab,arh,bsw->orschw", weight, down, across)
    return whole.reshape(len(weight) * down.shape[1] * across.shape[1], -1)


def by_matrix(x: Tensor, weight: Tensor, stride: int = 1, padding: int = 0, dilation: int = 1) -> Tensor:
    """(B, C, H, W), (O, C, h, w) -> (B, O, R, S): one product with the matrix of the layer."""
    whole = matrix(weight, (x.shape[2], x.shape[3]), stride, padding, dilation)
    return (x.flatten(1) @ whole.T).view(_shape(x, weight, stride, padding, dilation))


def by_matrix_backward(
    dz: Tensor, x: Tensor, weight: Tensor, stride: int = 1, padding: int = 0, dilation: int = 1
) -> tuple[Tensor, Tensor]:  # (B, O, R, S), (B, C, H, W), (O, C, h, w) -> dx, dweight
    """dx = Tᵀ dz. dT = dz xᵀ as of any linear layer, and a weight gets the sum over all entries of T that hold it."""
    size = (x.shape[2], x.shape[3])
    dx = (dz.flatten(1) @ matrix(weight, size, stride, padding, dilation)).view_as(x)
    down, across = _bands(weight, size, stride, padding, dilation)
    dmatrix = (dz.flatten(1).T @ x.flatten(1)).view(*dz.shape[1:], *x.shape[1:])
    return dx, torch.einsum("orschw,arh,bsw->ocab", dmatrix, down, across)


def _bands(
    weight: Tensor, size: tuple[int, int], stride: int, padding: int, dilation: int
) -> tuple[Tensor, Tensor]:  # -> (h, R, H), (w, S, W)
    """For every row, and every column, of a kernel the 0-1 Toeplitz matrix that tells where it lies."""
    bands = [
        torch.stack([toeplitz(one, pixels, stride, padding, dilation) for one in torch.eye(side).to(weight)])
        for side, pixels in zip(weight.shape[2:], size, strict=True)
    ]
    return bands[0], bands[1]


# --- unrolled


def unrolled(
    x: Tensor, size: tuple[int, int], stride: int = 1, padding: int = 0, dilation: int = 1
) -> Tensor:  # (B, C, H, W) -> (B, C h w, R S)
    """im2col: every window as a column. A pixel stands in it as often as windows see it."""
    height, width = (extent(side, dilation) for side in size)
    windows = F.pad(x, (padding,) * 4).unfold(2, height, stride).unfold(3, width, stride)  # (B, C, R, S, h, w), a view
    windows = windows[..., ::dilation, ::dilation].permute(0, 1, 4, 5, 2, 3)
    return windows.reshape(len(x), x.shape[1] * size[0] * size[1], -1)


def rolled(
    columns: Tensor,
    size: tuple[int, int],
    picture: tuple[int, int, int],
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
) -> Tensor:  # (B, C h w, R S) -> (B, *picture), C by H by W
    """col2im, the adjoint of `unrolled`: every value back to its pixel, added up where windows overlap."""
    channels, height, width = picture
    padded = columns.new_zeros(len(columns), channels, height + 2 * padding, width + 2 * padding)
    places = _places(padded, size, stride, 0, dilation)
    parts = columns.view(len(columns), channels, size[0] * size[1], *places)
    for place, (_, _, window) in enumerate(_windows(padded, size, places, stride, dilation)):
        window += parts[:, :, place]
    return padded[:, :, padding : padding + height, padding : padding + width]


def by_unrolling(x: Tensor, weight: Tensor, stride: int = 1, padding: int = 0, dilation: int = 1) -> Tensor:
    """(B, C, H, W), (O, C, h, w) -> (B, O, R, S): all kernels times all windows, one product (S153)."""
    columns = unrolled(x, (weight.shape[2], weight.shape[3]), stride, padding, dilation)
    return (weight.flatten(1) @ columns).view(_shape(x, weight, stride, padding, dilation))


def by_unrolling_backward(
    dz: Tensor, x: Tensor, weight: Tensor, stride: int = 1, padding: int = 0, dilation: int = 1
) -> tuple[Tensor, Tensor]:  # (B, O, R, S), (B, C, H, W), (O, C, h, w) -> dx, dweight
    """Two more products, one of them rolled up again."""
    size, flat = (weight.shape[2], weight.shape[3]), dz.flatten(2)
    columns = unrolled(x, size, stride, padding, dilation)
    dweight = torch.einsum("bop,bkp->ok", flat, columns).view_as(weight)
    picture = (x.shape[1], x.shape[2], x.shape[3])
    return rolled(weight.flatten(1).T @ flat, size, picture, stride, padding, dilation), dweight


# --- through the library


def by_library(x: Tensor, weight: Tensor, stride: int = 1, padding: int = 0, dilation: int = 1) -> Tensor:
    """(B, C, H, W), (O, C, h, w) -> (B, O, R, S)."""
    return F.conv2d(x, weight, None, stride, padding, dilation)


def by_library_backward(
    dz: Tensor, x: Tensor, weight: Tensor, stride: int = 1, padding: int = 0, dilation: int = 1
) -> tuple[Tensor, Tensor]:  # (B, O, R, S), (B, C, H, W), (O, C, h, w) -> dx, dweight
    """What torch's autograd calls."""
    dx, dweight, _ = torch.ops.aten.convolution_backward(
        dz, x, weight, None, [stride] * 2, [padding] * 2, [dilation] * 2, False, [0, 0], 1, [True, True, False]
    )
    return dx, dweight


class Way(NamedTuple):
    """One way to compute a convolution: forward(x, weight, stride, padding, dilation) gives the maps, and
    backward(dz, x, weight, stride, padding, dilation) the gradients by x and by weight."""

    forward: Callable[[Tensor, Tensor, int, int, int], Tensor]
    backward: Callable[[Tensor, Tensor, Tensor, int, int, int], tuple[Tensor, Tensor]]


WAYS = {
    "loops": Way(by_loops, by_loops_backward),
    "places": Way(by_places, by_places_backward),
    "matrix": Way(by_matrix, by_matrix_backward),
    "unrolled": Way(by_unrolling, by_unrolling_backward),
    "library": Way(by_library, by_library_backward),
}


# --- pooling


def max_pool(x: Tensor, size: int, stride: int) -> tuple[Tensor, Tensor]:  # (B, C, H, W) -> (B, C, R, S) twice
    """The largest value of every window, and which of the window's size² places it came from, the first of equals.

    Windows overlap where the stride is less than the size (S161); rows and columns that fill no window are left out.
    """
    found = _pooled_windows(x, size, stride).max(2)
    return found.values, found.indices


def max_pool_backward(
    dz: Tensor, taken: Tensor, size: int, stride: int, picture: tuple[int, int]
) -> Tensor:  # (B, C, R, S) twice -> (B, C, *picture)
    """The gradient goes to the place that was taken, and nowhere else (S159)."""
    columns = torch.zeros(*dz.shape[:2], size * size, *dz.shape[2:], dtype=dz.dtype, device=dz.device)
    return _unpooled(columns.scatter(2, taken[:, :, None], dz[:, :, None]), size, stride, picture)


def average_pool(x: Tensor, size: int, stride: int) -> Tensor:  # (B, C, H, W) -> (B, C, R, S)
    """The mean of every window."""
    return _pooled_windows(x, size, stride).mean(2)


def average_pool_backward(dz: Tensor, size: int, stride: int, picture: tuple[int, int]) -> Tensor:
    """(B, C, R, S) -> (B, C, *picture): every place of a window gets the same share, 1 / size² (S160)."""
    columns = (dz / size**2)[:, :, None].expand(-1, -1, size * size, -1, -1)
    return _unpooled(columns, size, stride, picture)


def _pooled_windows(x: Tensor, size: int, stride: int) -> Tensor:  # (B, C, H, W) -> (B, C, size², R, S)
    places = _places(x, (size, size), stride, 0, 1)
    return unrolled(x, (size, size), stride).view(*x.shape[:2], size * size, *places)


def _unpooled(columns: Tensor, size: int, stride: int, picture: tuple[int, int]) -> Tensor:
    flat = columns.reshape(len(columns), columns.shape[1] * size * size, -1)
    return rolled(flat, (size, size), (columns.shape[1], *picture), stride)


# --- what a unit sees


class Window(NamedTuple):
    """A layer of convolution or pooling, as far as sizes go."""

    size: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1


class Sight(NamedTuple):
    """What a unit sees, along a side: `field` pixels; its neighbour sees the same `jump` pixels further on.

    The first unit of the layer sees the pixels from `first` on, less than 0 where these are padding.
    """

    field: int
    jump: int
    first: int


def receptive(layers: Sequence[Window]) -> list[Sight]:
    """The receptive field of a unit behind each of the layers (S155): r grows by (extent - 1) times the jump before.

    L layers of 3 x 3 at stride 1 see 2 L + 1 pixels.
    """
    found, sight = [], Sight(1, 1, 0)
    for size, stride, padding, dilation in layers:
        field = sight.field + (extent(size, dilation) - 1) * sight.jump
        sight = Sight(field, sight.jump * stride, sight.first - padding * sight.jump)
        found.append(sight)
    return found


def gaussian(size: int, deviation: float) -> Tensor:  # -> (size, size) of float64
    """A bell that sums to 1, its middle in the middle; `deviation` in pixels."""
    away = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    bell = torch.exp(-(away**2) / (2 * deviation**2))
    return torch.outer(bell, bell) / bell.sum() ** 2


def ganglion(size: int, centre: float, surround: float, strength: float = 1.0) -> Tensor:  # -> (size, size) of float64
    """An on-centre cell: a narrow bell less a broad one of that strength, deviations in pixels (S155, Rodieck 1965).

    An off-centre cell is the same with the other sign.
    """
    return gaussian(size, centre) - strength * gaussian(size, surround)


# --- views


def _places(
    x: Tensor, size: Sequence[int], stride: int, padding: int, dilation: int
) -> tuple[int, int]:  # (B, C, H, W) -> R, S
    down, across = (output_size(x.shape[2 + k], size[k], stride, padding, dilation) for k in range(2))
    return down, across


def _shape(x: Tensor, weight: Tensor, stride: int, padding: int, dilation: int) -> tuple[int, int, int, int]:
    return len(x), len(weight), *_places(x, weight.shape[2:], stride, padding, dilation)


def _inside(padded: Tensor, x: Tensor, padding: int) -> Tensor:
    return padded[:, :, padding : padding + x.shape[2], padding : padding + x.shape[3]]


def _windows(
    padded: Tensor, size: Sequence[int], places: Sequence[int], stride: int, dilation: int
) -> list[tuple[int, int, Tensor]]:  # (B, C, H, W) -> views of (B, C, R, S)
    """For every place of the kernel what it meets at all R by S places of the map."""
    (down, across), found = places, []
    for a in range(size[0]):
        rows = slice(a * dilation, a * dilation + stride * down, stride)
        for b in range(size[1]):
            columns = slice(b * dilation, b * dilation + stride * across, stride)
            found.append((a, b, padded[:, :, rows, columns]))
    return found
