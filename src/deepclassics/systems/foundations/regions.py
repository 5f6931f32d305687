"""Regions: a network of threshold units for any region of the plane, constructed from its shape.

Source: W. McCulloch, W. Pitts (1943), for the units; R. Lippmann, An introduction to computing with neural nets (1987),
for polygons by half-planes, AND and OR; B. Raj, CMU 11-785, lecture 2, whose examples the notes follow; J. O'Rourke,
Computational Geometry in C (1998), sections 1.4 and 2.5, for cutting by ears and joining pieces (S. Hertel, K. Mehlhorn
1983). Notes: S033, S034, S037-S042, C039, C051-C055, N017, N019 (conclusion 2.1, and the second 1.1).

Methods, by `--method`:
- polygons: a unit for every line, an AND unit for every convex piece, an OR unit: two hidden layers. Polygons that are
  not convex are cut into pieces that are; lines are shared between pieces. A picture's silhouette becomes rectangles
  that share upright and level lines; a set of lines becomes its black cells, which for a checkerboard are the squares
  that a Karnaugh map would name.
- xor: for a set of lines, such as a checkerboard: a unit for every line, then XORs in pairs.
- cylinders: one hidden layer. A cylinder is `sides` half-planes around a disc; their sum is `sides` within it and tends
  to half of that outside, as sides · (1 - arccos(r/d)/π) at the distance d from its centre. Many of them fill the
  region, and the output unit weighs them.

Departures from the paper: the notes take N/2 off a cylinder's sum and then call the outside 0. It is not: what is left
falls as r/d only, and the smaller the cylinders are, the more their tails weigh, all together. Summed with equal
weights (`--no-fit`), as printed, the error is therefore two to three times as large; by default the output weights are
those of least squares on points strewn over the plane, and cylinders also stand just outside the rim, with negative
weights.
The number of black squares is printed as (N+2)²/8, which for 16 lines is 40.5: they are 40, or 41 of the other colour.

Expected: pentagons 10 + 2 + 1 units, checkerboard16 16 + 40 + 1, or by xor 16 + 45 (--block 2: 16 + 30), all without an
error off the lines. A silhouette of 256 × 256 pixels has IoU 1 in some seconds. Cylinders on pentagons take 900 units
for an error of 3.5 %, 2,100 for 1.9 %, 6,000 for 1.4 %; with equal weights, 3,800 for 3.6 %.

Letters: B points, M cylinders, N sides, C corners, L lines.
"""

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from deepclassics.data import load
from deepclassics.data.kinds.function import strewn
from deepclassics.data.kinds.region import POINTS, Region
from deepclassics.data.streams import Batch, Columns, Data, InOrder, Stream, World
from deepclassics.errors import UserError
from deepclassics.layers.units import Built, Draft, Units, decide
from deepclassics.learn import Learner, Scores, device_of
from deepclassics.loop import Plan
from deepclassics.recipe import Picture, Recipe
from deepclassics.systems.foundations.boolean import conjunction, disjunction, tree

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from deepclassics.report.evidence import Evidence

Method = Literal["polygons", "xor", "cylinders"]
LINES = 64  # of which all cells are sought: there are up to 2,081
RECTANGLES = 10_000  # of a silhouette: more are noise, which takes a minute to look at
CYLINDER_UNITS = 100_000
CYLINDERS = 1500  # whose weights are found by least squares, which takes time cubic in them
SPACING = 1.5  # between the centres of cylinders, in radii: hexagons of discs that overlap without gaps up to √3
RIDGE = 1e-6  # of the least squares, a share of the number of points: neighbouring cylinders are much alike

Half = tuple[int, bool]  # a unit, and whether the side where it is 1 is meant


# --- polygons


class Sides:
    """The lines of a network, each a unit on first use: a line that bounds two pieces is one unit for both."""

    def __init__(self, draft: Draft, size: float) -> None:
        self.draft = draft
        self.size = size  # of the region: lines that differ by a billionth of it are the same
        self.units: dict[tuple[float, float, float], int] = {}

    def left_of(self, p: Sequence[float], q: Sequence[float]) -> Half:
        """The half-plane to the left of the way from p to q."""
        swap = tuple(p) > tuple(q)
        (x0, y0), (x1, y1) = (q, p) if swap else (p, q)
        length = math.hypot(x1 - x0, y1 - y0)
        a, b = (y0 - y1) / length, (x1 - x0) / length
        return self.unit(a, b, a * x0 + b * y0), not swap

    def unit(self, a: float, b: float, c: float) -> int:  # a² + b² = 1
        """The unit that is 1 where a x + b y >= c."""
        key = (round(a, 9) + 0.0, round(b, 9) + 0.0, round(c / self.size, 9) + 0.0)  # + 0.0: so that -0.0 is 0.0
        if key not in self.units:
            self.units[key] = self.draft.add({0: a, 1: b}, c)
        return self.units[key]


def convex_pieces(corners: Tensor) -> list[list[int]]:  # (C, 2), counterclockwise -> corners of each piece
    """A polygon cut into convex ones along diagonals: at most four times the fewest (Hertel, Mehlhorn)."""
    points = corners.tolist()
    rounding = 1e-12 * float((corners.max(0).values - corners.min(0).values).square().sum())
    pieces = dict(enumerate(_triangles(points, rounding)))
    owner = {edge: name for name, piece in pieces.items() for edge in _edges(piece)}
    for i, j in [edge for edge in owner if edge[0] < edge[1] and edge[::-1] in owner]:
        one, other = owner[i, j], owner[j, i]
        ring, rest = _from(pieces[one], j), _from(pieces[other], i)  # j ... i, and i ... j
        joined = ring + rest[1:-1]
        if all(_turn(points, joined, joined.index(k)) >= -rounding for k in (i, j)):
            pieces[one] = joined
            del pieces[other]
            owner |= dict.fromkeys(_edges(joined), one)
    return list(pieces.values())


def _triangles(points: list[list[float]], rounding: float) -> list[list[int]]:
    """By ears: a corner whose triangle holds no other corner is cut off, until three are left. Areas up to `rounding`
    are none: a corner so near to the rim of a triangle is on it, for of corners in a row rounding bends some inward."""
    left, found = list(range(len(points))), []
    places = np.array(points)
    while len(left) > 3:
        turns = [_turn(points, left, place) for place in range(len(left))]
        for place in sorted(range(len(left)), key=lambda place: -turns[place]):
            ear = [left[place - 1], left[place], left[(place + 1) % len(left)]]
            others = [corner for corner in left if corner not in ear]
            if turns[place] > rounding and not _holds(places[ear], places[others], rounding):
                found.append(ear)
                break
        else:  # only rounding hides the ears that every polygon has: what is cut off is thinner than it can tell
            place = min(range(len(left)), key=lambda place: abs(turns[place]))
        del left[place]
    return [*found, left]


def _holds(triangle: np.ndarray, points: np.ndarray, rounding: float) -> bool:  # (3, 2), (P, 2)
    """Whether a triangle, its rim included, holds any of the points."""
    ahead = np.roll(triangle, -1, 0) - triangle
    away = points[:, None] - triangle
    return bool((ahead[:, 0] * away[..., 1] - ahead[:, 1] * away[..., 0] >= -rounding).all(1).any())


def _turn(points: list[list[float]], ring: list[int], place: int) -> float:
    """Positive where the ring of corners turns left."""
    (x0, y0), (x1, y1), (x2, y2) = (points[ring[k % len(ring)]] for k in (place - 1, place, place + 1))
    return (x1 - x0) * (y2 - y1) - (y1 - y0) * (x2 - x1)


def _width(ring: Tensor) -> float:  # (C, 2)
    """How far a convex polygon reaches across the edge along which it is thinnest."""
    ahead = ring.roll(-1, 0) - ring
    away = ring[None] - ring[:, None]
    across = (ahead[:, None, 0] * away[..., 1] - ahead[:, None, 1] * away[..., 0]).amax(1)
    return float((across / ahead.norm(dim=1)).min())


def _edges(ring: list[int]) -> Iterable[tuple[int, int]]:
    return zip(ring, ring[1:] + ring[:1], strict=True)


def _from(ring: list[int], corner: int) -> list[int]:
    place = ring.index(corner)
    return ring[place:] + ring[:place]


def of_polygons(region: Region) -> Draft:
    """Lines, an AND for each convex piece, and an OR where there are several."""
    draft = Draft(2)
    sides = Sides(draft, _size(region))
    pieces = []
    for corners in region.polygons:
        points = corners.tolist()
        for piece in convex_pieces(corners):
            if _width(corners[piece]) < 1e-8 * sides.size:  # of corners in a row: its edges are one and the same line
                continue
            pieces.append(dict(sides.left_of(points[i], points[j]) for i, j in _edges(piece)))
    return _any_of(draft, pieces)


def of_picture(region: Region, resolution: int) -> Draft:
    """Upright and level lines, an AND for each rectangle of the silhouette, and an OR."""
    mask = region.mask.cpu()
    height, width = mask.shape
    share = min(1.0, resolution / max(height, width))
    rows, columns = max(1, round(height * share)), max(1, round(width * share))
    shrunk = nn.functional.adaptive_avg_pool2d(mask.double()[None], (rows, columns))[0] >= 0.5
    draft = Draft(2)
    sides = Sides(draft, float(max(height, width)))
    pieces = []
    found = rectangles(shrunk.numpy())
    if not found:
        raise UserError(f"regions: nothing is left of the silhouette at {columns} × {rows} pixels. Raise --resolution.")
    if len(found) > RECTANGLES:
        raise UserError(
            f"regions: the silhouette must come to at most {RECTANGLES:,} rectangles; at {columns} × {rows} pixels it "
            f"comes to {len(found):,}. Lower --resolution, or smooth the picture."
        )
    for top, bottom, left, right in found:
        upright = [sides.unit(1.0, 0.0, column * width / columns) for column in (left, right)]
        level = [sides.unit(0.0, 1.0, row * height / rows) for row in (top, bottom)]
        pieces.append({upright[0]: True, upright[1]: False, level[0]: True, level[1]: False})
    return _any_of(draft, pieces)


def rectangles(mask: np.ndarray) -> list[tuple[int, int, int, int]]:  # (H, W) of bool -> [(top, bottom, left, right)]
    """The true pixels as rectangles that do not overlap: equal runs of adjoining rows, or of columns, as are fewer."""
    upright = [(top, bottom, left, right) for left, right, top, bottom in _runs(mask.T)]
    return min(_runs(mask), upright, key=len)


def _runs(mask: np.ndarray) -> list[tuple[int, int, int, int]]:
    found: list[tuple[int, int, int, int]] = []
    begun: dict[tuple[int, int], int] = {}  # runs that the row above has: where each began
    for row in range(len(mask) + 1):
        line = mask[row] if row < len(mask) else np.zeros_like(mask[0])
        steps = np.flatnonzero(np.diff(np.concatenate([[False], line, [False]]).astype(np.int8)))
        runs = list(zip(steps[::2].tolist(), steps[1::2].tolist(), strict=True))
        found += [(top, row, *run) for run, top in begun.items() if run not in runs]
        begun = {run: begun.get(run, row) for run in runs}
    return found


def _any_of(draft: Draft, pieces: list[dict[int, bool]]) -> Draft:
    units = [conjunction(draft, piece) for piece in pieces]
    return draft.finish(disjunction(draft, units) if len(units) > 1 else units[0])


def _size(region: Region) -> float:
    return max(high - low for low, high in region.bounds)


# --- lines


def cells(lines: Tensor, bounds: Sequence[tuple[float, float]]) -> list[dict[int, bool]]:  # (L, 3)
    """The cells that lines part the plane into: of each, the lines along its rim and the side that it is on.

    `bounds` must hold all places where lines meet. The key -1 - k tells the side of line k where it is no rim.
    """
    (left, right), (bottom, top) = bounds
    size = max(right - left, top - bottom)
    frame = [(left - size, bottom - size), (right + size, bottom - size), (right + size, top + size),
             (left - size, top + size)]  # fmt: skip
    # A cell is its corners, the line along the edge that leaves each (None: the frame), and all its sides.
    found: list[tuple[list[tuple[float, float]], list[int | None], list[bool]]] = [(frame, [None] * 4, [])]
    for number, (a, b, c) in enumerate(lines.tolist()):
        parted = []
        for corners, rims, sides in found:
            heights = [a * x + b * y - c for x, y in corners]
            heights = [height if abs(height) > 1e-9 * size else 0.0 for height in heights]
            if min(heights) >= 0 or max(heights) <= 0:
                parted.append((corners, rims, [*sides, max(heights) > 0]))
                continue
            for side in (True, False):
                signed = [height if side else -height for height in heights]
                parted.append((*_cut(corners, rims, signed, number), [*sides, side]))
        found = parted
    return [
        {rim: sides[rim] for rim in rims if rim is not None} | {-1 - k: side for k, side in enumerate(sides)}
        for _, rims, sides in found
    ]


def _cut(
    corners: list[tuple[float, float]], rims: list[int | None], heights: list[float], line: int
) -> tuple[list[tuple[float, float]], list[int | None]]:
    """What of a convex polygon has a height of 0 or more; the new edge is along `line`."""
    kept: list[tuple[float, float]] = []
    along: list[int | None] = []
    for k, ((x0, y0), rim, h0) in enumerate(zip(corners, rims, heights, strict=True)):
        (x1, y1), h1 = corners[(k + 1) % len(corners)], heights[(k + 1) % len(corners)]
        if h0 >= 0:
            kept.append((x0, y0))
            along.append(line if h0 == 0 and h1 < 0 else rim)
        if h0 * h1 < 0:
            share = h0 / (h0 - h1)
            kept.append((x0 + share * (x1 - x0), y0 + share * (y1 - y0)))
            along.append(line if h0 > 0 else rim)
    return kept, along


def of_cells(region: Region) -> Draft:
    """Lines, an AND for every cell that is inside, and an OR: for a checkerboard the Karnaugh form (S040)."""
    assert region.lines is not None
    draft = Draft(2)
    units = [draft.add({0: a, 1: b}, c) for a, b, c in region.lines.tolist()]
    pieces = []
    for cell in cells(region.lines, region.bounds):
        odd = sum(side for rim, side in cell.items() if rim < 0) % 2 == 1
        if odd ^ region.light:
            pieces.append({units[rim]: side for rim, side in cell.items() if rim >= 0})
    return _any_of(draft, pieces)


def of_parity(region: Region, block: int) -> Draft:
    """Lines, and the XOR of all of them by blocks in pairs (S041)."""
    assert region.lines is not None
    draft = Draft(2)
    units = [draft.add({0: a, 1: b}, c) for a, b, c in region.lines.tolist()]
    if len(units) == 1:
        return draft.finish(conjunction(draft, {units[0]: not region.light}))
    return draft.finish(tree(draft, units, block, region.light))


# --- cylinders


def profile(distance: Tensor) -> Tensor:  # (...), in radii -> (...)
    """The share of the half-planes around a disc that hold a point at this distance from its centre, for N -> ∞.

    1 within; 1 - arccos(1/d)/π outside: 0.732 at 1.5 radii, 0.667 at 2, 0.564 at 5 (S037, N019).
    """
    return 1 - torch.arccos(1 / distance.clamp(min=1)) / math.pi


def profiles(sides: int) -> tuple[Tensor, dict[int, Tensor], Tensor]:  # -> (G,), {sides: (G,)}, (G,)
    """Distances, in radii, and there the shares of the half-planes of a few and of so many sides, and their limit."""
    distance = torch.linspace(0, 6, 1201, dtype=torch.float64)
    points = torch.stack([distance, 0.0137 * distance], 1)  # a little off the axis, where many sides meet
    middle = torch.zeros(1, 2, dtype=torch.float64)
    return distance, {count: shares(points, middle, 1.0, count)[:, 0] for count in (4, 8, sides)}, profile(distance)


def centres(region: Region, radius: float, beyond: float) -> Tensor:  # -> (M, 2)
    """Places of a hexagonal lattice that lie in the region or at most `beyond` away from it."""
    (left, right), (bottom, top) = region.bounds
    step = SPACING * radius
    if (right - left) * (top - bottom) / step**2 > 50 * CYLINDERS:
        raise UserError(_too_many(radius / _size(region), 0))
    rows = torch.arange(bottom, top, step * math.sqrt(3) / 2, dtype=torch.float64)
    columns = torch.arange(left, right, step, dtype=torch.float64)
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    places = torch.stack([x + torch.arange(len(rows))[:, None] % 2 * step / 2, y], 2).view(-1, 2)
    near = region.contains(places)
    for direction in _directions(12) * beyond:
        near |= region.contains(places + direction)
    return places[near]


def _directions(count: int) -> Tensor:  # -> (count, 2)
    angles = 2 * math.pi * torch.arange(count, dtype=torch.float64) / count
    return torch.stack([angles.cos(), angles.sin()], 1)


def shares(points: Tensor, centre: Tensor, radius: float, sides: int) -> Tensor:  # (B, 2), (M, 2) -> (B, M)
    """Of each cylinder the share of its half-planes that hold the point: 1 within, about half far away."""
    total = torch.zeros(len(points), len(centre), dtype=torch.float32)
    for direction in _directions(sides):
        total += (points @ direction)[:, None] >= (centre @ direction - radius)[None]
    return total / sides


def of_cylinders(region: Region, radius: float, sides: int, fit: bool) -> tuple[Draft, str]:
    """One hidden layer: cylinders that fill the region, and the output unit that weighs their sum (S039)."""
    place = centres(region, radius * _size(region), SPACING * radius * _size(region) if fit else 0.0)
    reach = radius * _size(region)
    if not len(place):
        raise UserError(f"regions: no cylinder of radius {radius:g} fits into the region. Choose a smaller --radius.")
    if len(place) > CYLINDERS or len(place) * sides > CYLINDER_UNITS:
        raise UserError(_too_many(radius, sides))
    points = strewn(min(12_000, max(6_000, 12 * len(place))), region.bounds, begin=POINTS)  # not those it is judged by
    inside = region.contains(points)
    share = shares(points, place, reach, sides).double()
    if fit:
        known = torch.cat([share - 0.5, torch.ones(len(points), 1, dtype=torch.float64)], 1)
        square = known.T @ known + RIDGE * len(points) * torch.eye(known.shape[1], dtype=torch.float64)
        weight = torch.linalg.solve(square, known.T @ (2 * inside.double() - 1))[:-1]
    else:
        weight = torch.ones(len(place), dtype=torch.float64)
    threshold = best_threshold(share @ weight, inside)
    draft = Draft(2)
    weights: dict[int, float] = {}
    for (x, y), strength in zip(place.tolist(), weight.tolist(), strict=True):
        for a, b in _directions(sides).tolist():
            weights[draft.add({0: a, 1: b}, a * x + b * y - reach)] = strength / sides
    draft.finish(draft.add(weights, threshold))
    how = "weights by least squares" if fit else "equal weights"
    return draft, f"{len(place):,} cylinders of {sides} half-planes and radius {reach:.3g}, {how}."


def best_threshold(sums: Tensor, inside: Tensor) -> float:  # (B,), (B,) of bool
    """The threshold by which the fewest points are on the wrong side."""
    values, place = sums.unique(return_inverse=True)
    held = torch.bincount(place[inside], minlength=len(values))
    others = torch.bincount(place[~inside], minlength=len(values))
    none = held.new_zeros(1)
    # Under threshold k lie the values before it; the points inside among them are lost, those outside above it taken.
    wrong = torch.cat([none, held.cumsum(0)]) + others.sum() - torch.cat([none, others.cumsum(0)])
    edges = torch.cat([values[:1] - 1, (values[1:] + values[:-1]) / 2, values[-1:] + 1])
    return float(edges[wrong.argmin()])


def _too_many(radius: float, sides: int) -> str:
    units = f", or with {sides} sides each more than {CYLINDER_UNITS:,} units" if sides else ""
    return f"regions: radius {radius:g} makes more than {CYLINDERS:,} cylinders{units}, too many. Choose a larger one."


# --- the system


def judge(model: Units, stream: Stream) -> Scores:
    """The share of points on the wrong side, and how the region seen overlaps the true one."""
    wrong = both = either = count = 0
    for batch in stream:
        if "world" in batch:
            batch = batch["world"].to("cpu").examples().to(device_of(model)).take(slice(None))
        given, label = decide(model, batch["features"]), batch["label"].bool()
        wrong += int((given != label).sum())
        both += int((given & label).sum())
        either += int((given | label).sum())
        count += len(label)
    return {"error": wrong / count, "iou": both / either if either else 1.0}


class Regions(Recipe):
    """Networks of threshold units for any region of the plane."""

    takes = ("region",)
    gives = ("label",)

    data: str = Field(
        "pentagons",
        description="pentagons, star, letter, checkerboard16; polygons or lines as .json; a silhouette as a picture",
    )
    method: Method = Field("polygons", description="how it is built; see above")
    inside: Literal["auto", "dark", "light"] = Field(
        "auto", description="of a picture, or of a checkerboard's squares; auto: the one with less of the picture's rim"
    )
    resolution: int = Field(512, ge=8, le=1024, description="pixels that a picture's longer side is reduced to")
    block: int = Field(3, ge=2, le=3, description="units of an XOR")
    radius: float = Field(0.05, gt=0, le=0.5, description="of a cylinder, as a share of the region's longer side")
    sides: int = Field(32, ge=3, le=256, description="half-planes of a cylinder")
    fit: bool = Field(True, description="weigh the cylinders by least squares; else equally, as the notes do")

    def load(self) -> Data:
        found = load(self.data, self.takes, seed=self.seed)
        region = found.train.choose(self.inside)
        if self.method == "xor" and region.lines is None:
            raise UserError(
                f"regions: the method xor needs lines, as checkerboard16 has them; {self.data} has "
                f"{'a silhouette' if region.picture is not None else 'polygons'}. Choose polygons or cylinders."
            )
        if self.method == "polygons" and region.lines is not None and len(region.lines) > LINES:
            raise UserError(
                f"regions: the method polygons names every cell, of at most {LINES} lines; {self.data} has "
                f"{len(region.lines):,}. Choose --method xor."
            )
        test = region.examples()
        spec = found.spec | {"examples": {"test": len(test)}}
        if not region.polygons:
            spec["inside"] = "light" if region.light else "dark"
        return Data(spec, World(region), test=InOrder(test, 10_000))

    def model(self, spec: dict[str, Any]) -> Units:
        return Units(2)

    def learner(self, model: nn.Module) -> Built:
        assert isinstance(model, Units)
        return Built(model, lambda batch: self.build(batch["world"].to("cpu")), judge)

    def build(self, region: Region) -> tuple[Draft, str]:
        """The network, and what else is to be told of it."""
        if self.method == "cylinders":
            return of_cylinders(region, self.radius, self.sides, self.fit)
        if self.method == "xor":
            return of_parity(region, self.block), ""
        if region.lines is not None:
            return of_cells(region), ""
        return (of_picture(region, self.resolution) if region.picture is not None else of_polygons(region)), ""

    def plan(self, data: Data) -> Plan:
        return Plan(1, 1)

    def answer(self, model: nn.Module, question: Batch, options: Any) -> Batch:
        return {"label": decide(model, question["features"]).long()}

    def conclude(self, learner: Learner, data: Data) -> tuple[dict[str, float], list[str]]:
        """What was built, layer by layer."""
        assert isinstance(learner, Built)
        units = learner.model
        sizes = torch.bincount(units.layer)[1:].tolist()
        counts = units.counts()
        remarks = [
            f"Built by {self.method}: {' + '.join(f'{size:,}' for size in sizes)} = {counts['units']:,} units, "
            f"{counts['connections']:,} connections. {learner.told.value}".strip()
        ]
        if data.spec["form"] == "picture":
            chosen = "as --inside says" if self.inside != "auto" else "for less of the rim is; --inside changes that"
            remarks.append(f"What is {data.spec['inside']} counts as inside, {chosen}.")
        if data.spec["form"] == "lines" and isinstance(data.train, World):
            lines = len(data.train.world.lines)
            remarks.append(
                f"Of {lines} lines, a checkerboard has (N+2)²/8 = {(lines + 2) ** 2 / 8:g} black squares as the notes "
                f"print it, which is to be rounded down or up; XORs of three units need 3 (N-1) = {3 * (lines - 1)}."
            )
        return {}, remarks

    def pictures(self, evidence: "Evidence") -> list[Picture]:
        from deepclassics.report import graph, plane

        def seen() -> "Figure":
            region = evidence.splits().train
            return plane.region(lambda points: evidence.ask(Columns(features=points))["label"], region, evidence.model)

        found = [
            Picture(
                "The region as the network sees it",
                "Shaded: where the network says inside. Lines: those of its half-planes, a hundred of them at most.",
                seen,
            ),
            Picture(
                "One hidden layer against two",
                "Networks of cylinders, of ever smaller radius, beside one of lines, AND and OR (of many lines: XORs).",
                lambda: plane.against(*against(evidence.splits().train, self)),
            ),
        ]
        if self.method == "cylinders":
            title = "A cylinder is not flat outside"
            told = "The sum of half-planes around a disc, cut through its centre, and its limit for ever more of them."
            found.append(Picture(title, told, lambda: plane.cylinder(*profiles(self.sides))))
        if isinstance(units := evidence.model, Units) and len(units.kind) <= graph.MOST:
            told = "Lines, AND units and OR from left to right; in a circle the threshold that its sum must reach."
            found.append(Picture("The network", told, lambda: graph.units(units, ["x", "y"])))
        return found


def against(region: Region, recipe: Regions) -> tuple[list[tuple[str, int, float]], list[tuple[str, int, float]]]:
    """(name, units, error) of cylinders of falling radius, and of the network of two hidden layers."""

    def judged(name: str, draft: Draft) -> tuple[str, int, float]:
        units = Units(2)
        units.take(draft)
        return name, len(units.kind), float((decide(units, points) != inside).double().mean())

    points = strewn(4000, region.bounds)
    inside = region.contains(points)
    single = []
    for radius in (0.2, 0.1, 0.05, 0.035, 0.025):
        try:
            single.append(judged(f"radius {radius:g}", of_cylinders(region, radius, recipe.sides, recipe.fit)[0]))
        except UserError:  # too many of them, or too large for the region
            continue
    if region.lines is not None and len(region.lines) > LINES:  # too many cells to name
        return single, [judged("XORs in pairs", of_parity(region, recipe.block))]
    draft, _ = recipe.model_copy(update={"method": "polygons"}).build(region)
    return single, [judged("two hidden layers", draft)]
