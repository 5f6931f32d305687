"""What nets do to pictures before their first layer. Letters: B pictures, C channels, H and W pixels."""

import torch
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
