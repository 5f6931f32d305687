"""What the tests of two pitfalls share, that of shortcuts and that of fragility: slopes that fit in memory, and the
frame in which both are told.

Letters: N pictures, B pictures at once, C channels, H by W pixels, K classes.
"""

from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path

import torch
from torch import Tensor, nn

from deepclassics.recipe import Picture
from deepclassics.report.page import drawn

KEPT = 2**26  # values that are kept for a way back: 256 MB


def at_once(model: nn.Module, image: Tensor) -> int:  # (N, C, H, W)
    """How many such pictures may go through the net and back together, by what one of them leaves for the way back."""
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.data_ptr()] = tensor.numel()  # none is freed, and its place taken, before all are counted
        return tensor

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        scores = model(image[:1].detach().requires_grad_())
    for weight in model.state_dict().values():
        kept.pop(weight.data_ptr(), None)
    del scores
    return max(1, KEPT // max(1, sum(kept.values())))


def slopes(
    model: nn.Module, image: Tensor, number: Callable[[Tensor, slice], Tensor]
) -> Tensor:  # (N, C, H, W) -> (N, C, H, W); number: scores (B, K) of which rows of the pictures -> (B,)
    """The gradient along the pixels of a number made of each picture's scores."""
    found = torch.empty_like(image)
    count = at_once(model, image)
    for begin in range(0, len(image), count):
        rows = slice(begin, begin + count)
        with torch.enable_grad():
            asked = image[rows].detach().requires_grad_()
            found[rows] = torch.autograd.grad(number(model(asked), rows).sum(), asked)[0]
    return found


def told(
    name: str, verdicts: Sequence[str], tried: str, figures: str, pictures: Sequence[Picture], folder: Path
) -> str:
    """A test as HTML: verdicts, what was tried, a table, and pictures, whose files in `folder` begin with `name`."""
    html = [f'<p class="verdict">{escape(sentence)}</p>' for sentence in verdicts]
    html += [f"<p>{escape(tried)}</p>", figures]
    return "\n".join(html + [drawn(each, k, folder, name) for k, each in enumerate(pictures, 1)])


def of_all(count: int, whole: int) -> str:
    """ "All 500 test pictures", "300 of 10,000 test pictures"."""
    return f"All {whole:,} test pictures" if count == whole else f"{count:,} of {whole:,} test pictures"
