"""Regions of the plane: polygons, lines, or the silhouette of a picture.

A region comes from one of
- a `.json` file of polygons, {"polygons": [[[x, y], ...], ...]}, or that list alone, or a single polygon: a point is
  inside if it is inside at least one of them. They may overlap each other; none may cross or touch itself.
- a `.json` file of lines, {"lines": [[a, b, c], ...]}: a point is inside if a x + b y >= c for an odd number of them,
  as the black squares of a checkerboard.
- a picture of two colours, or of greys that are cut in the middle of their range. Places are in pixels, x to the
  right and y downwards from the upper left corner; pixel (row, column) is the square from (column, row) to
  (column + 1, row + 1). Which colour is inside is for the user to say; else it is the one that has less of the rim.

Letters: B points, C corners, L lines, H height, W width.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from deepclassics.data import objects
from deepclassics.data.kinds import function
from deepclassics.data.kinds.function import digest, strewn
from deepclassics.data.streams import Batch, Columns, Splits
from deepclassics.errors import UserError, short

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".pbm", ".ppm")
ENDINGS = (".json", *PICTURES)
BYTES = 10_000_000  # of a file of polygons or lines
CORNERS = 1000  # of one polygon: cutting it into convex pieces takes time quadratic in them
POLYGONS = 1000
CORNERS_IN_ALL = 10_000  # of all polygons: a point is held against every edge
LINES = 500  # which meet in 125,000 places
AT_ONCE = 64  # lines that points are held against
PIXELS = 4096 * 4096
MARGIN = 0.15  # around the region, as a share of its longer side
POINTS = 20_000  # that a region is judged on, where it is not a picture
MOST = 300_000  # pixels that a picture is judged on; of a larger one every second or third of each row and column


@dataclass(frozen=True, eq=False)
class Region:
    """A region of the plane; just one of polygons, lines and picture is given."""

    polygons: tuple[Tensor, ...] = ()  # (C, 2) of float64 each
    lines: Tensor | None = None  # (L, 3) of float64: a, b, c
    picture: Tensor | None = None  # (H, W) of bool: as read, where it is dark
    light: bool = False  # the picture's light pixels are inside, or of the lines' cells those of an even number
    name: str = ""

    def choose(self, inside: str) -> "Region":
        """The same with "dark" or "light" as its inside; "auto" takes that of which the picture's rim has less."""
        if inside == "auto" and self.picture is not None:
            mask = self.picture
            rim = torch.cat([mask[0], mask[-1], mask[1:-1, 0], mask[1:-1, -1]])
            inside = "light" if float(rim.double().mean()) > 0.5 else "dark"
        return replace(self, light=inside == "light") if not self.polygons else self

    @property
    def mask(self) -> Tensor:  # -> (H, W) of bool
        """The pixels that are inside."""
        assert self.picture is not None
        return ~self.picture if self.light else self.picture

    def contains(self, points: Tensor) -> Tensor:  # (B, 2) -> (B,) of bool
        """Whether the points are inside."""
        x, y = points.double().unbind(1)
        if self.picture is not None:
            height, width = self.picture.shape
            seen = (x >= 0) & (x < width) & (y >= 0) & (y < height)
            column, row = x.floor().clamp(0, width - 1).long(), y.floor().clamp(0, height - 1).long()
            return self.mask[row, column] & seen
        if self.lines is not None:
            above = torch.zeros(len(points), dtype=torch.int64, device=points.device)
            for lines in self.lines.split(AT_ONCE):
                above += (points.double() @ lines[:, :2].T >= lines[:, 2]).sum(1)
            return (above % 2 == 1) ^ self.light
        inside = torch.zeros(len(points), dtype=torch.bool, device=points.device)
        for corners in self.polygons:
            odd = torch.zeros_like(inside)
            for (x0, y0), (x1, y1) in zip(corners.tolist(), corners.roll(-1, 0).tolist(), strict=True):
                if y0 != y1:  # the ray to the right of a point crosses this edge
                    odd ^= ((y0 > y) != (y1 > y)) & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
            inside |= odd
        return inside

    @property
    def bounds(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Of x and of y, a little beyond the region, or beyond where lines meet."""
        if self.picture is not None:
            height, width = self.picture.shape
            return (0.0, float(width)), (0.0, float(height))
        corners = torch.cat(self.polygons) if self.polygons else _meetings(self.lines)
        low, high = corners.min(0).values, corners.max(0).values
        room = MARGIN * (float((high - low).max()) or 1.0)
        (left, bottom), (right, top) = (low - room).tolist(), (high + room).tolist()
        return (left, right), (bottom, top)

    def examples(self, count: int = POINTS) -> Columns:
        """Points and whether they are inside: the centres of pixels, or `count` points evenly strewn between bounds."""
        if self.picture is not None:
            height, width = self.picture.shape
            each = max(1, math.ceil(math.sqrt(height * width / MOST)))
            rows, columns = torch.arange(each // 2, height, each), torch.arange(each // 2, width, each)
            y, x = torch.meshgrid(rows.double() + 0.5, columns.double() + 0.5, indexing="ij")
            points = torch.stack([x.flatten(), y.flatten()], 1)
        else:
            points = strewn(count, self.bounds)
        return Columns(features=points, label=self.contains(points).long())

    def to(self, device: torch.device) -> "Region":
        return replace(
            self,
            polygons=tuple(corners.to(device) for corners in self.polygons),
            lines=None if self.lines is None else self.lines.to(device),
            picture=None if self.picture is None else self.picture.to(device),
        )


def from_path(path: Path) -> Region:
    """The region that a file of polygons or lines, or a picture, shows."""
    if path.suffix.lower() in PICTURES:
        return Region(picture=_dark(path), name=path.name)
    content = objects.read(path, BYTES)
    if isinstance(content, dict):
        if len(content.keys() & {"polygons", "lines"}) != 1 or content.keys() - {"polygons", "lines", "name"}:
            got = ", ".join(map(str, content)) or "nothing"
            raise UserError(f'{path.name} must hold either "polygons" or "lines"; it holds {got:.80}.')
        if "lines" in content:
            return Region(lines=_lines(content["lines"], path.name), name=path.name)
        content = content["polygons"]
    if not isinstance(content, list) or not content:
        raise UserError(f"{path.name} must hold a list of polygons, each a list of corners [x, y]; it holds none.")
    if _is_pair(content[0]):
        content = [content]
    if len(content) > POLYGONS:
        raise UserError(f"{path.name} must hold at most {POLYGONS:,} polygons; it holds {len(content):,}.")
    if (corners := sum(len(each) for each in content if isinstance(each, list))) > CORNERS_IN_ALL:
        raise UserError(
            f"{path.name} must hold at most {CORNERS_IN_ALL:,} corners in all; it holds {corners:,}. Give a picture "
            f"of it."
        )
    one = len(content) == 1
    return Region(
        tuple(
            polygon(corners, path.name if one else f"{path.name}, polygon {number}")
            for number, corners in enumerate(content, 1)
        ),
        name=path.name,
    )


def polygon(corners: Any, where: str) -> Tensor:  # -> (C, 2) of float64
    """The corners of a polygon, counterclockwise where y points upwards, without those where it does not turn.

    Raises:
        UserError: they are not three or more pairs of finite numbers, or the polygon crosses or touches itself.
    """
    if not isinstance(corners, list):
        raise UserError(f"{where}: must be a list of corners [x, y]; got {_quoted(corners)}.")
    found: list[tuple[float, float]] = []
    for number, corner in enumerate(corners, 1):
        if not _is_pair(corner):
            raise UserError(f"{where}, corner {number}: must be two finite numbers [x, y]; got {_quoted(corner)}.")
        place = (float(corner[0]), float(corner[1]))
        if not found or place != found[-1]:
            found.append(place)
    if len(found) > 1 and found[0] == found[-1]:  # closed, as GeoJSON has it
        found.pop()
    if len(found) < 3:
        raise UserError(f"{where}: a polygon must have 3 corners or more; got {len(found)}.")
    if len(found) > CORNERS:
        raise UserError(
            f"{where}: a polygon must have at most {CORNERS:,} corners; got {len(found):,}. Give a picture of it."
        )
    points = torch.tensor(found, dtype=torch.float64)
    if crossing := _crossing(points):
        raise UserError(f"{where}: a polygon must not cross or touch itself; its edges {crossing} do.")
    before, after = points - points.roll(1, 0), points.roll(-1, 0) - points
    turns = before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]
    points = points[turns != 0]
    x, y = points.unbind(1)
    area = float((x * y.roll(-1) - x.roll(-1) * y).sum())
    if len(points) < 3 or not abs(area) > 0:
        raise UserError(f"{where}: a polygon must hold some area; its corners lie on one line.")
    return points if area > 0 else points.flip(0)


def splits(raw: Region, *, seed: int, valid: float, test: float) -> Splits:
    """The region itself to build from; where its points are judged, `Region.examples` says."""
    form = "picture" if raw.picture is not None else "lines" if raw.lines is not None else "polygons"
    spec: dict[str, Any] = {
        "kind": "region",
        "data": raw.name,
        "form": form,
        "bounds": [list(pair) for pair in raw.bounds],
        "target": {"kind": "class", "name": "the region", "classes": ["outside", "inside"]},
        "examples": {},
        "content": digest(*(each for each in (*raw.polygons, raw.lines, raw.picture) if each is not None)),
    }
    if raw.picture is not None:
        spec["size"] = list(raw.picture.shape)
    return Splits(spec, raw)


def read(inputs: Sequence[str], spec: dict[str, Any]) -> tuple[list[str], Batch]:
    """Points as {"features": (B, 2) of float64}: "0.5,0.2", "x=0.5,y=0.2", or tables of x and y."""
    return function.read(inputs, {"names": ["x", "y"]})


def _is_pair(corner: Any) -> bool:
    """Two finite numbers."""
    return (
        isinstance(corner, list)
        and len(corner) == 2
        and all(isinstance(number, int | float) and not isinstance(number, bool) for number in corner)
        and all(abs(number) < 1e100 for number in corner)
    )


def _crossing(points: Tensor) -> str:  # (C, 2) ->
    """Two edges of a closed polygon that meet where they should not: "1 and 3", counted from 1; "" if none do."""
    count = len(points)
    first, last = points, points.roll(-1, 0)

    def side(p: Tensor, q: Tensor, r: Tensor) -> Tensor:  # of r seen from p towards q: 1 left, -1 right, 0 on the line
        turn = (q[..., 0] - p[..., 0]) * (r[..., 1] - p[..., 1]) - (q[..., 1] - p[..., 1]) * (r[..., 0] - p[..., 0])
        return turn.sign()

    a, b, c, d = first[:, None], last[:, None], first[None], last[None]
    across = (side(a, b, c) * side(a, b, d) <= 0) & (side(c, d, a) * side(c, d, b) <= 0)
    low, high = torch.minimum(first, last), torch.maximum(first, last)
    near = ((low[:, None] <= high[None]) & (low[None] <= high[:, None])).all(-1)  # matters on a common line
    place = torch.arange(count)
    gap = (place[:, None] - place[None]).abs()
    apart = (gap > 1) & (gap < count - 1)
    ahead = last - first
    following = ahead.roll(-1, 0)
    back = (side(first, last, last.roll(-1, 0)) == 0) & ((ahead * following).sum(1) < 0)
    if bool(back.any()):
        edge = int(back.nonzero()[0])
        return f"{edge + 1} and {(edge + 1) % count + 1}"
    found = (across & near & apart).nonzero()
    return f"{int(found[0, 0]) + 1} and {int(found[0, 1]) + 1}" if len(found) else ""


def _lines(lines: Any, where: str) -> Tensor:  # -> (L, 3) of float64
    if not isinstance(lines, list) or not lines:
        raise UserError(f"{where}: lines must be a list of [a, b, c], each for a x + b y >= c; got {_quoted(lines)}.")
    if len(lines) > LINES:
        raise UserError(f"{where} must hold at most {LINES} lines; it holds {len(lines):,}.")
    for number, line in enumerate(lines, 1):
        if not (isinstance(line, list) and len(line) == 3 and _is_pair(line[:2]) and _is_pair(line[1:])):
            raise UserError(f"{where}, line {number}: must be three finite numbers [a, b, c]; got {_quoted(line)}.")
        if line[0] == line[1] == 0:
            raise UserError(f"{where}, line {number}: a or b must not be 0, for a x + b y = c to be a line.")
    found = torch.tensor(lines, dtype=torch.float64)
    return found / found[:, :2].norm(dim=1, keepdim=True)


def _meetings(lines: Tensor | None) -> Tensor:  # (L, 3) -> (some, 2)
    """Where lines meet, and of each line the point next to the origin if none do."""
    assert lines is not None
    a, b, c = lines.unbind(1)
    cross = a[:, None] * b[None] - b[:, None] * a[None]
    x = (c[:, None] * b[None] - b[:, None] * c[None]) / cross
    y = (a[:, None] * c[None] - c[:, None] * a[None]) / cross
    meets = cross.abs() > 1e-9
    return torch.stack([x[meets], y[meets]], 1) if bool(meets.any()) else lines[:, :2] * c[:, None]


def _dark(path: Path) -> Tensor:  # -> (H, W) of bool
    """Where a picture is darker than the middle of its greys; what is transparent counts as white."""
    import warnings

    import numpy as np
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its size we judge ourselves
            with Image.open(path) as picture:
                width, height = picture.size
                if width * height > PIXELS:
                    raise UserError(
                        f"{path} must have at most {PIXELS:,} pixels; it has {width:,} × {height:,}. Make it smaller."
                    )
                seen = picture.convert("RGBA")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path} must be a picture; it cannot be read as one.") from None
    white = Image.new("RGBA", seen.size, "white")
    grey = np.array(Image.alpha_composite(white, seen).convert("L"), dtype=np.int64)
    low, high = int(grey.min()), int(grey.max())
    if low == high:
        raise UserError(f"{path} must show a silhouette, dark on light or light on dark; it is of one colour.")
    return torch.from_numpy(2 * grey < low + high)


def _quoted(value: Any) -> str:
    return short(json.dumps(value))
