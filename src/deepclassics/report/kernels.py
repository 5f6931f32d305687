"""The kernels of a net's first layer, as pictures: what it looks for in the pixels themselves. Notes: S164.

Letters: F kernels, C channels, H by W pixels, h by w pixels of a kernel.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from deepclassics.errors import UserError
from deepclassics.report.stages import outputs
from deepclassics.report.tiles import tiles

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 96  # kernels shown: AlexNet's


def first(model: nn.Module, shape: Sequence[int]) -> tuple[str, Tensor]:  # shape C, H, W -> (F, C, h, w)
    """The name of the layer that sees the picture first, and its weights; of a dense layer they are pictures whole."""
    names = [name for name, _ in model.named_modules() if name]
    with torch.no_grad():
        ran = outputs(model, torch.full((1, *shape), 0.5), names)
    for name in ran:
        weight = getattr(model.get_submodule(name), "weight", None)
        if not isinstance(weight, Tensor):
            continue
        weight = weight.detach()
        if weight.dim() == 4 and weight.shape[1] == shape[0]:
            return name, weight
        if weight.dim() == 2 and weight[0].numel() == torch.Size(shape).numel():
            return name, weight.reshape(-1, *shape)
    raise UserError("This net has no first layer whose weights could be shown where the pixels are.")


def figure(model: nn.Module, shape: Sequence[int]) -> "Figure":
    name, weight = first(model, shape)
    told = f"{len(weight)} kernels of {weight.shape[2]} × {weight.shape[3]}"
    told = f"the first {MOST} of {told}" if len(weight) > MOST else told
    weight = weight[:MOST]
    if weight.shape[1] == 1:
        drawn = tiles(weight, scale="all")
    else:
        # Grey is 0; a kernel of colours is as strong as its largest weight lets it be, or weak ones would be grey.
        drawn = tiles(0.5 + 0.5 * weight / weight.abs().amax((1, 2, 3), keepdim=True).clamp_min(1e-12))
    drawn.suptitle(f"{name}: {told}", x=0.01, ha="left", fontsize=9.5)
    return drawn


def caption(shape: Sequence[int]) -> str:
    told = "What the units of the first layer look for in the pixels. "
    if shape[0] == 1:
        return told + "Orange weights want light there, blue ones dark, white ones do not care; one scale for all."
    return told + "A kernel answers most to a patch that looks like it; grey does not matter. Each has its own scale."
