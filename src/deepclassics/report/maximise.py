"""The input that excites a unit most, looked for by climbing: activation maximisation.

Sources: K. Simonyan, A. Vedaldi, A. Zisserman, Deep inside convolutional networks, ICLR workshop 2014, section 2, which
climbs a class's score less λ times the picture's squared norm; J. Yosinski, J. Clune, A. Nguyen, T. Fuchs, H. Lipson,
Understanding neural networks through deep visualization, ICML workshop 2015, section 3, which makes the decay of the
norm a step of its own. Shifts by chance and steps that damp fine detail, without which a net is excited by noise that
no eye can read, are those of C. Olah, A. Mordvintsev, L. Schubert, Feature visualization, Distill 2017. Notes: S164.

Letters: U units, C channels, H by W pixels, F maps, h by w pixels that a unit sees.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from deepclassics.progress import telling
from deepclassics.report.stages import Layer, fields, outputs

RATE = 0.1  # of the first step, in the root of the mean square over the pixels, whose range is [0, 1]; it falls to 0
DECAY = 0.05  # of the distance from the mean colour, a step
COARSE = 2.0  # periods in what the unit sees: detail finer than that is damped
DAMPED = 2.0  # power of the frequency by which a step is damped: that of natural pictures (Field 1987)


def excitation(output: Tensor) -> Tensor:  # (B, F) or (B, F, H, W) -> (B, F)
    """How much each unit is excited: a map by its largest value."""
    return output if output.dim() == 2 else output.amax((2, 3))


def maximise(
    model: nn.Module,
    layer: Layer,
    units: Sequence[int],
    shape: Sequence[int],
    mean: Sequence[float],
    *,
    seed: int,
    steps: int,
) -> tuple[Tensor, Tensor]:  # shape C, H, W; mean (C,) -> (U, C, h, w) in [0, 1], (U,)
    """A picture for each unit, as much of it as the unit sees, and how much it excites it; of a map the middle.

    From noise about the mean colour, a canvas goes up the gradient of the unit's activation, each step damped in its
    fine detail, of the same length for every unit, and followed by a step back by a share towards the mean colour (the
    descent of ‖x - mean‖²). The net sees a window of the canvas, at a place of chance; the best that it saw is kept.
    """
    generator = torch.Generator().manual_seed(seed)
    ground = torch.tensor(list(mean)).view(-1, 1, 1)
    high, wide = shape[1:]
    reach = min(high, wide) // 8  # pixels of a shift
    spans = fields(model, layer, shape) if layer.has_maps else ([(0, high)], [(0, wide)])
    rows, columns = (each[len(each) // 2] for each in spans)
    canvas = ground + 0.03 * torch.randn(len(units), shape[0], high + reach, wide + reach, generator=generator)
    damping = _damping(canvas.shape[-2:], (rows[1] - rows[0], columns[1] - columns[0]))
    best, reached = torch.zeros(len(units), *shape), torch.full((len(units),), -torch.inf)
    for step in telling(range(steps), "Inputs made to excite units, steps"):
        canvas = canvas.clamp(0, 1).requires_grad_()
        y, x = torch.randint(reach + 1, (2,), generator=generator).tolist()
        seen = canvas[..., y : y + high, x : x + wide]
        output = outputs(model, seen, [layer.name])[layer.name]
        centre = output if output.dim() == 2 else output[..., output.shape[2] // 2, output.shape[3] // 2]
        value = centre[range(len(units)), list(units)]
        (slope,) = torch.autograd.grad(value.sum(), canvas)
        value, canvas = value.detach(), canvas.detach()
        better = value > reached
        best, reached = torch.where(better.view(-1, 1, 1, 1), seen.detach(), best), torch.where(better, value, reached)
        # A ReLU that is shut has no slope: there chance moves the picture until it opens.
        flat = (slope == 0).flatten(1).all(1).view(-1, 1, 1, 1)
        slope = torch.where(flat, torch.randn(canvas.shape, generator=generator), slope)
        slope = torch.fft.irfft2(torch.fft.rfft2(slope) * damping, s=canvas.shape[-2:])
        length = RATE * (1 - step / steps) / slope.square().mean((1, 2, 3), keepdim=True).sqrt()
        canvas = ground + (1 - DECAY) * (canvas + length * slope - ground)
    return best[..., slice(*rows), slice(*columns)], reached


def _damping(size: Sequence[int], field: Sequence[int]) -> Tensor:  # H, W; h, w -> (H, W // 2 + 1)
    """By what each frequency of a step is multiplied: what has no more than `COARSE` periods in the field, by 1."""
    down, across = torch.fft.fftfreq(size[0])[:, None], torch.fft.rfftfreq(size[1])
    periods = ((down * field[0]).square() + (across * field[1]).square()).sqrt()
    return (periods / COARSE).clamp_min(1) ** -DAMPED
