"""The input that excites a unit most, found by climbing: activation maximisation.

Source: K. Simonyan, A. Vedaldi, A. Zisserman, Deep inside convolutional networks, ICLR workshop 2014, section 2, which
climbs a class's score less λ times the picture's squared norm; J. Yosinski, J. Clune, A. Nguyen, T. Fuchs, H. Lipson,
Understanding neural networks through deep visualization, ICML workshop 2015, section 3, which makes the decay of the
norm a step of its own and adds the blur. The random shifts are those of A. Mordvintsev, C. Olah, M. Tyka,
Inceptionism, 2015. Notes: S164.

Letters: U units, C channels, H by W pixels, F maps.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deepclassics.report.stages import outputs

STEPS = 100
RATE = 0.06  # of a step, in the root of the mean square over the pixels, whose range is [0, 1]
DECAY = 0.02  # of the distance from the mean colour, a step
BLUR = 2  # steps from blur to blur
SIDE = 32  # pixels of a side from which on the blur is whole; of smaller pictures every pixel counts
SMOOTH = 0.9  # share of the steps with shifts and blurs; the last ones sharpen


def excitation(output: Tensor) -> Tensor:  # (B, F) or (B, F, H, W) -> (B, F)
    """How much each unit is excited: a map by its largest value."""
    return output if output.dim() == 2 else output.amax((2, 3))


def maximise(
    model: nn.Module, layer: str, units: Sequence[int], shape: Sequence[int], mean: Sequence[float], *, seed: int
) -> tuple[Tensor, Tensor]:  # shape C, H, W; mean (C,) -> (U, C, H, W) in [0, 1], (U,)
    """A picture for each unit, and how much it excites it.

    From noise about the mean colour, x goes up the gradient of the unit's activation (the middle of a map), every
    picture by steps of the same length, and each step back by a share towards the mean colour (the descent of
    ‖x - mean‖²); now and then it is blurred; the net sees it shifted by chance.
    """
    generator = torch.Generator().manual_seed(seed)
    ground = torch.tensor(list(mean)).view(-1, 1, 1)
    image = (ground + 0.03 * torch.randn(len(units), *shape, generator=generator)).clamp(0, 1)
    side = min(shape[1:])
    reach, haze = side // 16, min(1.0, side / SIDE)  # pixels of a shift, share of a blur
    for step in range(STEPS):
        smooth = step < SMOOTH * STEPS
        down, across = torch.randint(-reach, reach + 1, (2,), generator=generator).tolist() if smooth else (0, 0)
        shifted = image.roll((down, across), (2, 3)).requires_grad_()
        output = outputs(model, shifted, [layer])[layer]
        centre = output if output.dim() == 2 else output[..., output.shape[2] // 2, output.shape[3] // 2]
        (slope,) = torch.autograd.grad(centre[range(len(units)), list(units)].sum(), shifted)
        slope = slope.roll((-down, -across), (2, 3))
        # A ReLU that is shut has no slope: there chance moves the picture until it opens.
        flat = (slope == 0).flatten(1).all(1).view(-1, 1, 1, 1)
        slope = torch.where(flat, torch.randn(image.shape, generator=generator), slope)
        image = image + RATE * slope / slope.square().mean((1, 2, 3), keepdim=True).sqrt()
        image = ground + (1 - DECAY) * (image - ground)
        if smooth and step % BLUR == BLUR - 1:
            image = image.lerp(blurred(image), haze)
        image = image.clamp(0, 1)
    with torch.no_grad():
        reached = excitation(outputs(model, image, [layer])[layer])
    return image, reached[range(len(units)), list(units)]


def blurred(image: Tensor) -> Tensor:  # (U, C, H, W) -> the same
    """Under the binomial kernel of 3 by 3, whose deviation is 0.71 pixels; the edge goes on outwards."""
    row = torch.tensor([0.25, 0.5, 0.25])
    kernel = (row[:, None] * row).expand(image.shape[1], 1, 3, 3)
    return F.conv2d(F.pad(image, (1, 1, 1, 1), mode="replicate"), kernel, groups=image.shape[1])
