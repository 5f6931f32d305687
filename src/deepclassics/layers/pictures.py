"""What nets do to pictures before their first layer. Letters: B pictures, C channels, H and W pixels."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Standardise(nn.Module):
    """Pixels in [0, 1] to mean 0 and deviation 1 over the training pictures, channel by channel.

    The net does this, not the data, so that weights, spec and exported files cannot disagree about it.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, mean: list[float], std: list[float]) -> None:
        super().__init__()
        scale = 1 / torch.tensor(std).clamp_min(1e-3)
        self.register_buffer("scale", scale.view(-1, 1, 1), persistent=False)
        self.register_buffer("shift", (-torch.tensor(mean) * scale).view(-1, 1, 1), persistent=False)

    def forward(self, image: Tensor) -> Tensor:  # (B, C, H, W) -> the same
        return torch.addcmul(self.shift, image, self.scale)


def precisely(image: Tensor) -> torch.autocast:
    """Where pictures are changed, autocast is off: a place in a picture has more digits than bfloat16 holds."""
    return torch.autocast(image.device.type, enabled=False)


def distorted(image: Tensor, strength: float) -> Tensor:  # (B, C, H, W) -> the same
    """Each picture under a random affine map: shift, scale, squeeze and shear (LeCun et al. 1998, section III.B).

    All are drawn evenly from [-strength, strength]: shifts as shares of the side, the others as shares of size. What
    comes in from outside is 0, the background of ink on black.
    """
    across, down, scale, squeeze, shear = ((torch.rand(5, len(image), device=image.device) * 2 - 1) * strength).unbind(
        0
    )
    maps = torch.stack(
        [
            torch.stack([(1 + scale) * (1 + squeeze), shear, 2 * across], 1),
            torch.stack([torch.zeros_like(shear), (1 + scale) / (1 + squeeze), 2 * down], 1),
        ],
        1,
    )
    with precisely(image):
        grid = F.affine_grid(maps, list(image.shape), align_corners=False)
        return F.grid_sample(image, grid, align_corners=False)
