"""Which pixels of a picture an answer rests on: occlusion, saliency, integrated gradients and Grad-CAM, by captum.

Sources: M. Zeiler, R. Fergus, Visualizing and understanding convolutional networks, ECCV 2014, section 4.2 (occlusion).
K. Simonyan, A. Vedaldi, A. Zisserman, Deep inside convolutional networks, ICLR workshop 2014, section 3 (saliency).
M. Sundararajan, A. Taly, Q. Yan, Axiomatic attribution for deep networks, ICML 2017, equation 1 (integrated gradients).
R. Selvaraju et al., Grad-CAM, ICCV 2017, equations 1 and 2. Notes: S164, S166, S309.

All of them explain the class's score, before the softmax: its probability hardly moves where the net is sure. None
changes the net, and none needs its ReLUs or its sums to be modules.

Letters: C channels, H by W pixels, F maps of h by w places.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from deepclassics.errors import UserError
from deepclassics.progress import telling
from deepclassics.report.stages import last_maps
from deepclassics.report.style import VERMILLION, percent, sheet

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CAPTION = (
    "Each row is a picture and four accounts of why it gets the score of the class named on the left, each scaled by "
    "its own strongest pixels. Saliency: how fast the score changes with the pixel, the darker the faster, in either "
    "direction. In the others orange speaks for the class and blue against it, and the picture shines through in grey "
    "where a pixel does not matter. Occlusion: how much the score falls when a square there is filled with the mean "
    "colour of the training pictures. Integrated gradients: the score, less that of a picture of the mean colour, "
    "shared out among the pixels; where the shares do not add up to it, it says by how much. Grad-CAM: where the last "
    "convolution sees what speaks for the class, as coarse as its maps; a map without colour means nowhere."
)

MISSED = 0.01  # share of the score that integrated gradients may leave out and count as complete


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
) -> tuple[Tensor, float]:  # (C, H, W), (C,) -> (H, W), ()
    """(x - x') ∫ ∂S/∂x (x' + α (x - x')) dα, summed over the channels; x' is a picture of the colour `ground`.

    The sum over the pixels is S(x) - S(x'); by what share of that it is missed comes second. The trapezoidal rule is
    halved, which needs the new midpoints alone, until that is at most `MISSED`, where 256 intervals suffice.
    """
    attr = attribution()
    baseline = ground.view(-1, 1, 1).expand_as(image)
    path = torch.stack([image, baseline, (image + baseline) / 2])
    with torch.no_grad():
        score, score_of_ground = model(path[:2])[:, target].tolist()
    slopes = attr.Saliency(model).attribute(path.clone().requires_grad_(), target=target, abs=False).detach()
    found = (image - baseline) * (slopes[0] + slopes[1] + 2 * slopes[2]) / 4
    method, whole = attr.IntegratedGradients(model), score - score_of_ground
    for points in (2, 4, 8, 16, 32, 64, 128):
        midpoints = method.attribute(
            image[None].clone().requires_grad_(), baseline[None], target=target, n_steps=points,
            method="riemann_middle", internal_batch_size=32,
        )  # fmt: skip
        found = (found + midpoints.detach()[0].float()) / 2
        missed = abs(float(found.sum()) - whole) / max(abs(whole), 1e-12)
        if points >= 16 and missed <= MISSED:
            break
    return found.sum(0), missed


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
    heads = ["occlusion", "saliency", "integrated gradients", *([f"Grad-CAM at {layer}"] if layer else [])]
    height, width = asked[0].image.shape[1:]
    cell = 1.42
    drawn = sheet(1.75 + cell * (1 + len(heads)), len(asked) * (cell * min(2.0, height / width) + 0.05) + 0.3)
    panels = drawn.subplots(len(asked), 1 + len(heads), squeeze=False)
    for row, each in zip(panels, telling(asked, "Maps that explain answers, pictures"), strict=True):
        image, target = each.image, each.target
        row[0].imshow(image.expand(3, -1, -1).movedim(0, -1).numpy(), interpolation="nearest")
        row[0].set_ylabel(each.words, rotation=0, ha="right", va="center", labelpad=6, fontsize=8.5)
        _overlay(row[1], image, occlusion(model, image, target, ground))
        slopes = saliency(model, image, target)
        row[2].imshow(slopes.numpy(), cmap="Greys", vmin=0, vmax=_strong(slopes), interpolation="nearest")
        shares, missed = integrated_gradients(model, image, target, ground)
        _overlay(row[3], image, shares)
        if missed > MISSED:
            row[3].set_xlabel(f"sum off by {percent(missed, 0)}", color=VERMILLION, fontsize=7.5)
        if layer:
            _overlay(row[4], image, grad_cam(model, image, target, layer))
    for axes, head in zip(panels[0], ["picture", *heads], strict=True):
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

    colour = torch.from_numpy(
        matplotlib.colormaps["PuOr_r"]((values / _strong(values) / 2 + 0.5).clamp(0, 1).numpy())[..., :3]
    )
    shade = 0.72 + 0.28 * image.mean(0)[..., None]
    axes.imshow((colour * shade).numpy(), interpolation="nearest")


def _strong(values: Tensor) -> float:
    """The magnitude that gets the deepest colour: few single pixels go beyond it."""
    return float(values.abs().flatten().quantile(0.99)) or float(values.abs().max()) or 1.0
