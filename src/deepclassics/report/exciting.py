"""The pictures of a data set that excite a unit most, cut to what the unit sees. Notes: S164.

Source: M. Zeiler, R. Fergus, Visualizing and understanding convolutional networks, ECCV 2014, section 4 and figure 2.

Letters: N pictures, U units, K pictures a unit, C channels, H by W pixels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from deepclassics.data.streams import Columns
from deepclassics.progress import telling
from deepclassics.report.maximise import excitation
from deepclassics.report.stages import SCORES, Layer, fields, outputs

AT_ONCE = 2**18  # pixels of the pictures that go through the net together
COUNT = 9  # pictures a unit


@dataclass(frozen=True)
class Strongest:
    """For units of one layer the pictures that excite each most, strongest first."""

    index: Tensor  # (U, K) of int64: which of the pictures
    value: Tensor  # (U, K): how much it excites the unit
    looked: int  # pictures that were looked through


def strongest(
    model: nn.Module, columns: Columns, wanted: Mapping[str, Sequence[int]], *, most: int, count: int = COUNT
) -> dict[str, Strongest]:
    """The `count` strongest pictures for the `wanted` units, {layer: units}, among `most` evenly spread over all.

    Every picture goes through the net once, for all layers together.
    """
    index = torch.linspace(0, len(columns) - 1, min(most, len(columns))).round().long()
    found: dict[str, list[Tensor]] = {layer: [] for layer in wanted}
    with torch.no_grad():
        pieces = index.split(max(1, AT_ONCE // columns["image"].shape[-2:].numel()))
        for piece in telling(pieces, "Training pictures that excite units, batches"):
            seen = outputs(model, columns.take(piece)["image"], list(wanted))
            for layer, units in wanted.items():
                found[layer].append(excitation(seen[layer])[:, list(units)])
    best = {}
    for layer, values in found.items():
        value, place = torch.cat(values).T.topk(min(count, len(index)))
        best[layer] = Strongest(index[place], value, len(index))
    return best


def crops(
    model: nn.Module, layer: Layer, units: Sequence[int], image: Tensor
) -> Tensor:  # (U, K, C, H, W) -> (U, K, C, h, w), h by w the largest receptive field, not a number beyond the edges
    """Each picture cut to the receptive field of the place where its unit, one a row, is excited most.

    Whole pictures for units without a place, and for fields as large as the picture.
    """
    if layer.name == SCORES or not layer.has_maps:
        return image
    rows, columns = fields(model, layer, image.shape[2:])
    high, wide = (max(end - begin for begin, end in spans) for spans in (rows, columns))
    if (high, wide) == tuple(image.shape[3:]):
        return image
    board = torch.full((*image.shape[:3], high, wide), torch.nan)
    for row, unit in enumerate(units):
        with torch.no_grad():
            maps = outputs(model, image[row], [layer.name])[layer.name][:, unit]
        for k, place in enumerate(maps.flatten(1).argmax(1).tolist()):
            (top, bottom), (left, right) = rows[place // maps.shape[2]], columns[place % maps.shape[2]]
            # A field that the edge cuts off at the top, or on the left, lies at the bottom, or right, of its tile.
            y, x = (high - (bottom - top)) * (top == 0), (wide - (right - left)) * (left == 0)
            board[row, k, :, y : y + bottom - top, x : x + right - left] = image[row, k, :, top:bottom, left:right]
    return board
