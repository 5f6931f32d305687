"""Pictures made others of the same class, a whole batch at a time, where the batch lies (S129).

Every picture of the batch is changed in its own way. What comes in from outside goes on with the colour of the edge: a
frame of any fixed colour would be the strongest edge in the picture.

Letters: B pictures, C channels, H and W pixels.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from deepclassics.layers.pictures import precisely


def mirrored(image: Tensor) -> Tensor:  # (B, C, H, W) -> the same
    """Left and right exchanged in half of the pictures, by chance."""
    chosen = torch.rand(len(image), 1, 1, 1, device=image.device) < 0.5
    return torch.where(chosen, image.flip(3), image)


def windows(image: Tensor, pixels: int) -> Tensor:  # (B, C, H, W) -> (B, C, 2p+1, 2p+1, H, W)
    """A view of every picture as it stands after a shift of up to `pixels` down and across."""
    height, width = image.shape[-2:]
    wide = F.pad(image, (pixels,) * 4, mode="replicate")
    return wide.unfold(2, height, 1).unfold(3, width, 1)


def cropped(image: Tensor, pixels: int) -> Tensor:  # (B, C, H, W) -> the same
    """A random crop of each picture, widened by `pixels` on all sides, of its size (Krizhevsky et al. 2012, 4.1)."""
    down, across = torch.randint(2 * pixels + 1, (2, len(image)), device=image.device).unbind(0)
    return windows(image, pixels)[torch.arange(len(image), device=image.device), :, down, across]


def crops(image: Tensor, pixels: int, number: int) -> list[Tensor]:  # (B, C, H, W) -> `number` of the same
    """What is averaged over at test time (S139): 1 the picture; 2 it and its mirror image; 5 it and the four crops that
    are shifted into the corners by `pixels`; 10 these and their mirror images (Krizhevsky et al. 2012, section 4.1)."""
    found = [image]
    if number in (5, 10):
        shifted = windows(image, pixels)
        found += [shifted[:, :, down, across] for down in (0, -1) for across in (0, -1)]
    if number in (2, 10):
        found += [each.flip(3) for each in found]
    return found


def turned(image: Tensor, degrees: float, stretch: float) -> Tensor:  # (B, C, H, W) -> the same
    """Each picture rotated by up to `degrees` either way, and its height and its width stretched, each by a factor of
    up to 1 + `stretch` or down to its inverse."""
    count = len(image)
    angle = (torch.rand(count, device=image.device) * 2 - 1) * math.radians(degrees)
    scale = (1 + stretch) ** (torch.rand(2, count, device=image.device) * 2 - 1)
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    ratio = image.shape[2] / image.shape[3]  # the grid's unit is half a side: a turn must count in pixels
    maps = torch.stack(
        [
            torch.stack([cos / scale[1], -sin / scale[1] * ratio, zero], 1),
            torch.stack([sin / scale[0] / ratio, cos / scale[0], zero], 1),
        ],
        1,
    )
    with precisely(image):
        grid = F.affine_grid(maps, list(image.shape), align_corners=False)
        return F.grid_sample(image, grid, padding_mode="border", align_corners=False)


def coloured(
    image: Tensor, strength: float, values: Tensor, vectors: Tensor
) -> Tensor:  # (B, 3, H, W), (3,), (3, 3) -> (B, 3, H, W)
    """Each picture's colours shifted by Σᵢ αᵢ λᵢ pᵢ, α normal of deviation `strength`, λᵢ and pᵢ (the columns of
    `vectors`) the eigenvalues and eigenvectors of the colours' covariance (Krizhevsky et al. 2012, section 4.1)."""
    alpha = torch.randn(len(image), 3, device=image.device) * strength
    with precisely(image):
        return image + ((alpha * values) @ vectors.T)[:, :, None, None]


def noised(image: Tensor, deviation: float) -> Tensor:  # (B, C, H, W) -> the same
    """Normal noise of that deviation, in units of the full range of brightness, on every value."""
    return image + torch.randn_like(image) * deviation
