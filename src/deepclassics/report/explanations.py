"""Which pixels of a picture an answer rests on: occlusion, saliency, integrated gradients and Grad-CAM, by captum.

Sources: M. Zeiler, R. Fergus, Visualizing and understanding convolutional networks, ECCV 2014, section 4.2 (occlusion).
K. Simonyan, A. Vedaldi, A. Zisserman, Deep inside convolutional networks, ICLR workshop 2014, section 3 (saliency).
M. Sundararajan, A. Taly, Q. Yan, Axiomatic attribution for deep networks, ICML 2017, equation 1 (integrated gradients).
R. Selvaraju et al., Grad-CAM, ICCV 2017, equations 1 and 2. Notes: S164, S166, S309.

All of them explain the class's score, before the softmax: its probability hardly moves where the net is sure. None
changes the net, and none needs its ReLUs or its sums to be modules.

Letters: C channels, H by W pixels, F maps of h by w places.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from deepclassics.errors import UserError
from deepclassics.report.stages import last_maps
from deepclassics.report.style import percent, sheet

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CAPTION = (
    "Each row is a picture and four accounts of why it gets the score of the class named on the left. The picture "
    "shines through in grey; where there is no colour, a pixel does not matter. Orange speaks for the class, blue "
    "against it, each map scaled by its own strongest pixels. Occlusion: how much the score falls when a square there "
    "is filled with the mean colour of the training pictures. Saliency: how fast the score changes with the pixel, in "
    "either direction. Integrated gradients: the score, less that of a picture of the mean colour, shared out among "
    "the pixels. Grad-CAM: where the last convolution sees what speaks for the class, as coarse as its maps; "
    "a map without colour means nowhere."
)


def attribution() -> Any:
    """captum's module of methods; without captum a sentence."""
    try:
        from captum import attr
    except ImportError:
        raise UserError(
            "Maps that explain an answer are made by captum, which is not installed: "
            "`pip install deepclassics[explain]`."
        ) from None
    return attr


def saliency(model: nn.Module, image: Tensor, target: int) -> Tensor:  # (C, H, W) in [0, 1] -> (H, W)
    """max over the channels of |∂S/∂x|, S the score of class `target`."""
    found = attribution().Saliency(model).attribute(image[None].clone().requires_grad_(), target=target)
    return found[0].detach().amax(0)


def integrated_gradients(
    model: nn.Module, image: Tensor, target: int, ground: Tensor
) -> Tensor:  # (C, H, W), (C,) -> (H, W)
    """(x - x') ∫ ∂S/∂x (x' + α (x - x')) dα, summed over the channels; x' is a picture of the colour `ground`.

    The sum over the pixels is S(x) - S(x'). Points are added until it is to within a hundredth, where 256 suffice.
    """
    method = attribution().IntegratedGradients(model)
    baseline = ground.view(-1, 1, 1).expand_as(image)[None]
    for points in (32, 64, 128, 256):
        found, gap = method.attribute(
            image[None].clone().requires_grad_(), baseline, target=target, n_steps=points, internal_batch_size=32,
            return_convergence_delta=True,
        )  # fmt: skip
        found, gap = found.detach(), float(gap.detach())  # by how much the sum is too large
        if abs(gap) <= 0.01 * abs(float(found.sum()) - gap):
            break
    return found[0].float().sum(0)


def occlusion(
    model: nn.Module, image: Tensor, target: int, ground: Tensor, window: int = 0
) -> Tensor:  # (C, H, W), (C,) -> (H, W)
    """How much the score falls when a square of `window` pixels is filled with the colour `ground`: at every pixel the
    mean over the squares that cover it. A fifth of the side, and moved by half of itself, if 0."""
    window = window or max(1, min(image.shape[1:]) // 5)
    stride = max(1, window // 2)
    with torch.no_grad():
        found = attribution().Occlusion(model).attribute(
            image[None], (len(image), window, window), (len(image), stride, stride), ground.view(1, -1, 1, 1),
            target=target, perturbations_per_eval=32,
        )  # fmt: skip
    return found[0].mean(0)  # the same in every channel


def grad_cam(model: nn.Module, image: Tensor, target: int, layer: str) -> Tensor:  # (C, H, W) -> (H, W)
    """ReLU(Σ_f α_f A_f), α_f the mean over the places of ∂S/∂A_f, A the maps of `layer`; drawn out to the picture."""
    attr = attribution()
    given = image[None].clone().requires_grad_()
    found = attr.LayerGradCam(model, model.get_submodule(layer)).attribute(given, target=target, relu_attributions=True)
    return attr.LayerAttribution.interpolate(found.detach(), tuple(image.shape[1:]), "bilinear")[0, 0]


@dataclass(frozen=True)
class Asked:
    """A picture, (C, H, W) in [0, 1], with the class whose score is explained, and what is written beside it."""

    image: Tensor
    target: int
    words: str


def figure(model: nn.Module, asked: Sequence[Asked], mean: Sequence[float], layer: str | None = None) -> "Figure":
    """A row for each picture: itself, and its maps. Grad-CAM looks at `layer`, at the last maps if left out."""
    attribution()
    ground = torch.tensor(list(mean))
    if layer is None:
        found = last_maps(model, asked[0].image.shape)
        layer = found.name if found else None
    methods: dict[str, Callable[[Tensor, int], Tensor]] = {
        "occlusion": lambda image, target: occlusion(model, image, target, ground),
        "saliency": lambda image, target: saliency(model, image, target),
        "integrated gradients": lambda image, target: integrated_gradients(model, image, target, ground),
    }
    if layer is not None:
        name = layer
        methods[f"Grad-CAM at {name}"] = lambda image, target: grad_cam(model, image, target, name)
    height, width = asked[0].image.shape[1:]
    cell = 1.42
    drawn = sheet(1.75 + cell * (1 + len(methods)), len(asked) * (cell * min(2.0, height / width) + 0.05) + 0.3)
    panels = drawn.subplots(len(asked), 1 + len(methods), squeeze=False)
    for row, each in zip(panels, asked, strict=True):
        shown = each.image.expand(3, -1, -1).movedim(0, -1)
        row[0].imshow(shown.numpy(), interpolation="nearest")
        row[0].set_ylabel(each.words, rotation=0, ha="right", va="center", labelpad=6, fontsize=8.5)
        for axes, method in zip(row[1:], methods.values(), strict=True):
            _overlay(axes, each.image, method(each.image, each.target))
    for axes, head in zip(panels[0], ["picture", *methods], strict=True):
        axes.set_title(head, fontsize=8.5, fontweight="normal")
    for axes in panels.ravel():
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
    return drawn


def words(given: str, share: float | None, right: str = "", explained: str = "") -> str:
    """What stands beside a picture: the answer, what is right where that is known, and which class is explained."""
    lines = [f"answer: {given}" if share is None else f"answer: {given}, {percent(share)}"]
    lines += [f"right: {right}"] if right else []
    lines += [f"map of: {explained}"] if explained else []
    return "\n".join(lines)


def _overlay(axes: "Axes", image: Tensor, values: Tensor) -> None:  # (C, H, W), (H, W)
    """A map in colours over the picture in pale grey."""
    import matplotlib

    most = float(values.abs().flatten().quantile(0.99)) or float(values.abs().max()) or 1.0
    colour = torch.from_numpy(matplotlib.colormaps["PuOr_r"]((values / most / 2 + 0.5).clamp(0, 1).numpy())[..., :3])
    shade = 0.72 + 0.28 * image.mean(0)[..., None]
    axes.imshow((colour * shade).numpy(), interpolation="nearest")
