"""The layers of a net as it runs: what each gives for a picture, and which pixels a place of its maps can see.

Nothing here changes the net: modules are listened to with hooks that are taken away again.

Letters: B pictures, C channels, H by W pixels, F maps or units, P pictures that are made up.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from deepclassics.errors import UserError, meant
from deepclassics.layers.pictures import Standardise

SCORES = ""  # the net itself, as a layer: its units are the scores of the classes
MANY = 40  # names told in a sentence
BLOCKS = 64  # rows of pixels, or bands of rows where there are more, that receptive fields are measured by
PASSED = (nn.Dropout, nn.Identity, nn.Flatten, nn.BatchNorm2d)  # that no picture of the layers is worth


@dataclass(frozen=True)
class Layer:
    """A module with what it gives for one picture: (F, H, W), maps, or (F,), units."""

    name: str
    shape: tuple[int, ...]

    @property
    def units(self) -> int:
        return self.shape[0]

    @property
    def has_maps(self) -> bool:
        """Whether its units have places; a map of one place is a unit."""
        return len(self.shape) == 3 and self.shape[1] * self.shape[2] > 1


def outputs(
    model: nn.Module, image: Tensor, names: Sequence[str]
) -> dict[str, Tensor]:  # (B, C, H, W) -> {layer: (B, F, H, W) or (B, F)}
    """What the named modules give, those called twice the second time. `SCORES` is the whole net."""
    seen: dict[str, Tensor] = {}

    def listen(name: str) -> Any:
        def note(module: nn.Module, given: Any, output: Any) -> None:
            if isinstance(output, Tensor) and output.dim() in (2, 4) and len(output) == len(image):
                seen.pop(name, None)  # so that the order is that in which they end
                seen[name] = output.clone()  # what follows may work in place

        return model.get_submodule(name).register_forward_hook(note)

    with ExitStack() as hooks:
        for name in names:
            hooks.callback(listen(name).remove)
        model(image)
    return seen


def layers(model: nn.Module, shape: Sequence[int]) -> list[Layer]:  # of the pictures: C, H, W
    """All modules that give maps or units, in the order in which they end."""
    names = [name for name, module in model.named_modules() if name and not isinstance(module, Standardise)]
    with torch.no_grad():
        found = outputs(model, torch.full((1, *shape), 0.5), names)
    return [Layer(name, tuple(output.shape[1:])) for name, output in found.items()]


def stages(model: nn.Module, shape: Sequence[int]) -> list[Layer]:
    """The layers one after another, blocks of layers as one: the path of a picture through the net."""
    known = {layer.name: layer for layer in layers(model, shape)}

    def walk(module: nn.Module, name: str) -> list[str]:
        if name and not isinstance(module, nn.Sequential | nn.ModuleList):
            return [] if isinstance(module, PASSED) else [name]
        return [each for word, child in module.named_children() for each in walk(child, f"{name}.{word}".strip("."))]

    chosen = set(walk(model, ""))
    return [layer for name, layer in known.items() if name in chosen]


def find(model: nn.Module, shape: Sequence[int], name: str) -> Layer:
    """The layer of that name; one that is not there is refused with those that are."""
    known = {layer.name: layer for layer in layers(model, shape)}
    if name not in known:
        raise UserError(f"There is no layer '{name}' in this net.{meant(name, known)} Its layers are {_told(known)}.")
    return known[name]


def with_maps(model: nn.Module, shape: Sequence[int], name: str) -> Layer:
    """The layer of that name, whose units must have places."""
    layer = find(model, shape, name)
    if not layer.has_maps:
        maps = [known.name for known in layers(model, shape) if known.has_maps]
        others = f"Those with maps are {_told(maps)}." if maps else "No layer of this net has."
        raise UserError(f"{name} must be a layer with maps; its {layer.units} units have no place. {others}")
    return layer


def last_maps(model: nn.Module, shape: Sequence[int]) -> Layer | None:
    """Where Grad-CAM looks: the last layer whose maps are those of the last convolution with maps of more than a place.

    After a residual net's last convolution come its normalisation, the shortcut and the ReLU, after GoogLeNet's the
    module's other branches and all of them together, of the same size: what the classifier sees is what the last gives.
    Where nothing of that size comes, the ReLU is no module, and a layer after it with as many maps, say the pooling,
    shows what it gives. None in a net without convolutions.
    """
    known = layers(model, shape)
    convolutions = [k for k, layer in enumerate(known) if layer.has_maps and is_convolution(model, layer.name)]
    if not convolutions:
        return None
    last = convolutions[-1]
    while last + 1 < len(known) and known[last + 1].shape[1:] == known[last].shape[1:]:
        last += 1
    after = known[last + 1] if last + 1 < len(known) else known[last]
    raw = last == convolutions[-1] and after.has_maps and after.units == known[last].units
    return after if raw else known[last]


def is_convolution(model: nn.Module, name: str) -> bool:
    """Whether a module has kernels of its own, of torch's shape or of another."""
    own = model.get_submodule(name).parameters(recurse=False)
    return any(parameter.dim() >= 3 and parameter[0].numel() > 1 for parameter in own)


def middle(model: nn.Module, shape: Sequence[int]) -> Layer | None:
    """A layer half way through those with maps, or through all but the last; None where there is none."""
    path = stages(model, shape)
    path = [layer for layer in path if layer.has_maps] or path[:-1]
    return path[len(path) // 2] if path else None


def fields(
    model: nn.Module, layer: Layer, shape: Sequence[int]
) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:  # of (F, h, w): h spans of rows, w spans of columns
    """The receptive fields of a layer's places: from which row of pixels to before which, and from column to column.

    Measured, not computed: a row of pixels that are not a number makes every place not a number that can see it,
    through whatever lies between. Of pictures over 64 pixels bands of rows are tried, and spans rounded outwards.
    """
    spans = []
    for side, other in ((1, 3), (2, 2)):
        size = shape[side]
        band = -(-size // BLOCKS)
        count = -(-size // band)
        image = torch.full((count, *shape), 0.5)
        for place in range(count):
            image[place].narrow(side, place * band, min(band, size - place * band)).fill_(torch.nan)
        with torch.no_grad():
            pieces = [outputs(model, piece, [layer.name])[layer.name] for piece in image.split(8)]
        touched = torch.cat([piece.isnan().any(1).any(other - 1) for piece in pieces]).T  # (h or w, P)
        spans.append([_span(row, band, size) for row in touched])
    return spans[0], spans[1]


def _span(touched: Tensor, band: int, size: int) -> tuple[int, int]:  # (P,)
    places = touched.nonzero().flatten().tolist() or [0, len(touched) - 1]
    return places[0] * band, min(size, (places[-1] + 1) * band)


def _told(names: Sequence[str] | dict[str, Layer]) -> str:
    """Names for a sentence: the innermost ones, and not all of a hundred."""
    inner = [name for name in names if not any(other.startswith(f"{name}.") for other in names)]
    more = f" and {len(inner) - MANY} more" if len(inner) > MANY else ""
    return ", ".join(inner[:MANY]) + more
