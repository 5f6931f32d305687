"""Regions: networks that are exact off their lines, how many units they take, and what cylinders can and cannot do."""

import io
import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from deepclassics.data.kinds.function import strewn
from deepclassics.data.kinds.region import Region, polygon
from deepclassics.errors import UserError
from deepclassics.host import Host
from deepclassics.layers.units import Draft, Units, decide
from deepclassics.learn import look
from deepclassics.loop import carry_out
from deepclassics.recipe import find
from deepclassics.report import plane, style
from deepclassics.systems.foundations.regions import (
    Regions,
    against,
    best_threshold,
    cells,
    convex_pieces,
    of_cells,
    of_cylinders,
    of_parity,
    of_picture,
    of_polygons,
    profile,
    profiles,
    rectangles,
    shares,
)

HOST = Host(device="cpu", threads=1)


def built(draft: Draft) -> Units:
    network = Units(2)
    network.take(draft)
    return network


def layers(network: Units) -> list[int]:
    return torch.bincount(network.layer)[1:].tolist()


def named(name: str) -> Region:
    return Regions(data=name).load().train.world


def board(lines: int) -> Region:
    """The checkerboard of so many lines, half of them upright."""
    places = range(1, lines // 2 + 1)
    rows = [[1, 0, k] for k in places] + [[0, 1, k] for k in places]
    return Region(lines=torch.tensor(rows, dtype=torch.float64))


def off_the_lines(network: Units, region: Region, count: int = 3000) -> torch.Tensor:
    """Points that are not within rounding of a line of the first layer."""
    points = strewn(count, region.bounds)
    direct = network.source < 2
    weights = torch.zeros(len(network.kind), 2, dtype=torch.float64)
    weights[network.unit[direct] - 2, network.source[direct]] = network.weight[direct]
    first = network.layer == 1
    distance = (points @ weights[first].T - network.threshold[first]).abs()
    return points[(distance > 1e-7 * max(map(abs, itertools.chain(*region.bounds)))).all(1)]


# --- polygons


def test_a_unit_is_a_half_plane_at_the_distance_of_its_threshold() -> None:
    """S033: the label is constant on each side, and the line lies |b| / ‖w‖ from the origin."""
    draft = Draft(2)
    network = built(draft.finish(draft.add({0: 3.0, 1: 4.0}, 10.0)))
    along = torch.tensor([0.6, 0.8], dtype=torch.float64)
    points = torch.stack([2 * along, 1.999 * along, 2 * along + 5 * along.flip(0) * torch.tensor([1, -1])])
    assert decide(network, points + 1e-12).tolist() == [True, False, True]


def test_the_double_pentagon_takes_ten_lines_two_ands_and_an_or() -> None:
    """S034, C039: 10 + 2 + 1 units, and no point on the wrong side."""
    from matplotlib.path import Path as Outline

    region = named("pentagons")
    network = built(of_polygons(region))
    assert layers(network) == [10, 2, 1]
    points = off_the_lines(network, region, 20_000)
    inside = np.any([Outline(corners.numpy()).contains_points(points.numpy()) for corners in region.polygons], 0)
    assert np.array_equal(decide(network, points).numpy(), inside)


def test_a_star_of_ten_edges_has_five_lines() -> None:
    network = built(of_polygons(named("star")))
    assert layers(network) == [5, 4, 1]


def comb(teeth: list[float]) -> torch.Tensor:
    """A base with teeth, the last one of the first height: rounding bends the row of corners between them."""
    corners = [[-1.0, -1.0], [2.0 * len(teeth), -1.0]]
    for k, high in enumerate(teeth):
        corners += [[2.0 * (len(teeth) - k), 0.2], [2.0 * (len(teeth) - k) - 1, 0.2 + high]]
    return torch.tensor([*corners, [0.0, 0.2], [-1.0, 0.2]], dtype=torch.float64)


@st.composite
def simple(draw: st.DrawFn) -> torch.Tensor:
    """Simple polygons: stars round a point, combs with teeth of any length, and convex ones."""
    shape = draw(st.sampled_from(["star", "comb", "convex"]))
    count = draw(st.integers(3, 12))
    lengths = draw(st.lists(st.floats(0.3, 3.0), min_size=count, max_size=count))
    if shape == "comb":
        teeth = [corner for k, high in enumerate(lengths) for corner in ([2.0 * k, 0.2], [2.0 * k + 1, high + 0.3])]
        corners = [[-1.0, 0.2], *teeth, [2.0 * count, 0.2], [2.0 * count, -1.0], [-1.0, -1.0]]
    else:
        steps = torch.tensor(lengths, dtype=torch.float64).cumsum(0) / sum(lengths) * 2 * math.pi
        radii = lengths if shape == "star" else [1.0] * count
        even = [2 * math.pi * k / count for k in range(count)] if shape == "star" else steps.tolist()
        corners = [[r * math.cos(angle), r * math.sin(angle)] for r, angle in zip(radii, even, strict=True)]
    return polygon(corners, shape)


@settings(max_examples=60, deadline=None)
@given(corners=simple(), shift=st.floats(-50, 50), turn=st.floats(0, 6))
@example(corners=comb([0.475, *[1.1] * 5]), shift=0.0, turn=2.0209265652551966)
def test_any_polygon_is_exact_off_its_lines(corners: torch.Tensor, shift: float, turn: float) -> None:
    """C039, with a point-in-polygon test of its own beside it (matplotlib's)."""
    from matplotlib.path import Path as Outline

    rotation = torch.tensor([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]], dtype=torch.float64)
    corners = corners @ rotation + shift
    region = Region((corners,))
    network = built(of_polygons(region))
    points = off_the_lines(network, region)
    inside = torch.from_numpy(Outline(corners.numpy()).contains_points(points.numpy()))
    assert torch.equal(decide(network, points), inside)
    assert torch.equal(region.contains(points), inside)


@settings(max_examples=60, deadline=None)
@given(corners=simple())
def test_pieces_are_convex_and_make_up_the_polygon(corners: torch.Tensor) -> None:
    def area(ring: torch.Tensor) -> float:
        x, y = ring.unbind(1)
        return float((x * y.roll(-1) - x.roll(-1) * y).sum() / 2)

    pieces = convex_pieces(corners)
    assert sum(area(corners[piece]) for piece in pieces) == pytest.approx(area(corners))
    reflex = 0
    for piece in [list(range(len(corners))), *pieces]:
        ring = corners[piece]
        one, other = ring - ring.roll(1, 0), ring.roll(-1, 0) - ring
        turns = one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0]
        if piece == list(range(len(corners))) and not reflex:
            reflex = int((turns < 0).sum())
        else:
            assert float(turns.min()) >= -1e-9
    assert len(pieces) <= 2 * reflex + 1  # O'Rourke 1998, theorem 2.5.1: four times the fewest at most


def test_corners_in_a_row_that_rounding_bends_do_no_harm() -> None:
    """A comb whose gaps end on one line: turned, three of its corners make a triangle of no height."""
    comb = [[-1, -1], [6, -1], [6, 0.2], [5, 1.3], [4, 0.2], [3, 0.675], [2, 0.2], [1, 1.3], [0, 0.2], [-1, 0.2]]
    corners = torch.tensor(comb, dtype=torch.float64)
    rotation = torch.tensor([[math.cos(1), math.sin(1)], [-math.sin(1), math.cos(1)]], dtype=torch.float64)
    region = Region((corners @ rotation,))
    network = built(of_polygons(region))
    points = off_the_lines(network, region)
    assert torch.equal(decide(network, points), region.contains(points))


def test_polygons_far_from_the_origin_and_tiny_ones_are_seen(tmp_path: Path) -> None:
    for scale, shift in ((1e-6, 0.0), (1e6, 0.0), (1.0, 1e6)):
        corners = torch.tensor([[0, 0], [2, 0], [2, 1], [1, 0.5], [0, 1]], dtype=torch.float64) * scale + shift
        region = Region((corners,))
        network = built(of_polygons(region))
        points = off_the_lines(network, region)
        assert len(points) > 1000
        assert torch.equal(decide(network, points), region.contains(points))


# --- checkerboards


def test_the_checkerboard_by_its_squares_and_by_xors() -> None:
    """S040, S041, C053, N017: 16 + 40 + 1 units (41 of the other colour), 16 + 45 by XORs of three, 16 + 30 of two."""
    region = named("checkerboard16")
    light = Regions(data="checkerboard16", inside="light").load().train.world
    karnaugh = {"dark": built(of_cells(region)), "light": built(of_cells(light))}
    assert layers(karnaugh["dark"]) == [16, 40, 1]
    assert layers(karnaugh["light"]) == [16, 41, 1]
    three, two = built(of_parity(region, 3)), built(of_parity(region, 2))
    assert (len(three.kind), len(two.kind)) == (61, 46)
    x, y = (points := strewn(5000, [(-3, 12), (-3, 12)])).floor().long().clamp(0, 8).unbind(1)
    black = (x + y) % 2 == 1
    for network in (karnaugh["dark"], three, two):
        assert torch.equal(decide(network, points), black)
    for network in (karnaugh["light"], built(of_parity(light, 3)), built(of_parity(light, 2))):
        assert torch.equal(decide(network, points), ~black)


@pytest.mark.parametrize(("lines", "squares", "xors"), [(8, 12, 21), (18, 50, 51), (20, 60, 57)])
def test_squares_grow_as_the_square_of_the_lines_and_xors_as_the_lines(lines: int, squares: int, xors: int) -> None:
    """C053, C054, N017: (N+2)²/8 rounded down, against 3 (N-1): with more than 18 lines XORs are fewer."""
    region = board(lines)
    assert squares == (lines + 2) ** 2 // 8
    assert layers(built(of_cells(region))) == [lines, squares, 1]
    assert len(built(of_parity(region, 3)).kind) == lines + xors
    assert (squares > xors) == (lines > 18)


@pytest.mark.parametrize("dimensions", [1, 2, 3, 4])
def test_black_cells_grow_exponentially_in_the_dimensions(dimensions: int) -> None:
    """C054: of N planes across d axes half of (N/d + 1)^d cells are black, and XORs stay at 3 (N-1)."""
    each = 4
    black = sum(sum(cell) % 2 for cell in itertools.product(range(each + 1), repeat=dimensions))
    assert black == (each + 1) ** dimensions // 2


@settings(max_examples=25, deadline=None)
@given(
    lines=st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3), st.integers(-4, 4)), min_size=1, max_size=7),
    light=st.booleans(),
)
def test_any_lines_are_exact_by_cells_and_by_xors(lines: list[tuple[int, int, int]], light: bool) -> None:
    """Parallel lines, doubles and several through a point among them."""
    kept = [line for line in lines if line[:2] != (0, 0)] or [(1, 0, 0)]
    rows = torch.tensor(kept, dtype=torch.float64)
    region = Region(lines=rows / rows[:, :2].norm(dim=1, keepdim=True), light=light)
    network = built(of_parity(region, 3))
    points = off_the_lines(network, region, 1500)
    assert torch.equal(decide(network, points), region.contains(points))
    if bool(region.contains(points).any()):
        assert torch.equal(decide(built(of_cells(region)), points), region.contains(points))


def test_what_is_lost_in_the_first_layer_is_lost_for_ever() -> None:
    """S042, C055, N018: of the eight upright lines alone, or of 16 of the 40 squares, no later layer does better.

    Cells that share a code get one answer; the best is that of the majority.
    """
    region = board(16)
    found = [
        ({line: cell[-1 - line] for line in range(16)}, sum(cell[-1 - k] for k in range(16)) % 2 == 1)
        for cell in cells(region.lines, region.bounds)
    ]
    assert len(found) == 81

    def best(code: dict[tuple[bool, ...], list[bool]]) -> float:
        return sum(max(sum(colours), len(colours) - sum(colours)) for colours in code.values()) / 81

    upright: dict[tuple[bool, ...], list[bool]] = {}
    whole: dict[tuple[bool, ...], list[bool]] = {}
    for sides, black in found:
        upright.setdefault(tuple(sides[k] for k in range(8)), []).append(black)
        whole.setdefault(tuple(sides.values()), []).append(black)
    assert best(upright) == pytest.approx(45 / 81)  # five of nine squares in each of nine columns
    assert best(whole) == 1
    # 16 of the squares can be told; the other 24 look like the 41 of the other colour.
    squares: dict[tuple[bool, ...], list[bool]] = {}
    chosen = [k for k, (_, black) in enumerate(found) if black][:16]
    for number, (_, black) in enumerate(found):
        squares.setdefault(tuple(number == k for k in chosen), []).append(black)
    assert best(squares) == pytest.approx((16 + 41) / 81)


# --- pictures


@settings(max_examples=60, deadline=None)
@given(bits=st.lists(st.lists(st.booleans(), min_size=6, max_size=6), min_size=1, max_size=7))
def test_rectangles_tile_a_silhouette(bits: list[list[bool]]) -> None:
    mask = np.array(bits)
    painted = np.zeros(mask.shape, dtype=int)
    for top, bottom, left, right in rectangles(mask):
        painted[top:bottom, left:right] += 1
    assert np.array_equal(painted, mask.astype(int))


def silhouette(size: int) -> Image.Image:
    """A vase with a hole and a slanting foot."""
    picture = Image.new("L", (size, size), 255)
    draw = ImageDraw.Draw(picture)
    unit = size / 256
    draw.ellipse([30 * unit, 20 * unit, 220 * unit, 230 * unit], fill=0)
    draw.ellipse([90 * unit, 80 * unit, 150 * unit, 170 * unit], fill=255)
    draw.polygon([(10 * unit, 250 * unit), (120 * unit, 100 * unit), (250 * unit, 240 * unit)], fill=0)
    return picture


def test_a_silhouette_of_the_user_becomes_a_network_that_equals_it(tmp_path: Path) -> None:
    silhouette(256).save(tmp_path / "vase.png")
    result = carry_out(Regions(data=str(tmp_path / "vase.png")), tmp_path / "run", HOST)
    assert result["scores"]["test/iou"] == 1
    assert result["examples"] == {"test": 256 * 256}
    assert result["scores"]["test/units"] < 1000
    assert any("dark counts as inside" in remark for remark in result["remarks"])


def test_a_large_silhouette_loses_little_to_the_resolution() -> None:
    region = Region(picture=torch.from_numpy(np.array(silhouette(300)) < 128))
    points, inside = (region.examples()[name] for name in ("features", "label"))
    fewer = None
    for resolution, least in ((300, 1.0), (150, 0.98), (40, 0.93)):
        network = built(of_picture(region, resolution))
        given = decide(network, points)
        overlap = float((given & inside.bool()).sum() / (given | inside.bool()).sum())
        assert overlap >= least
        assert fewer is None or len(network.kind) < fewer
        fewer = len(network.kind)


def test_noise_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deepclassics.systems.foundations.regions.RECTANGLES", 100)
    noise = torch.rand(64, 64, generator=torch.Generator().manual_seed(0)) < 0.5
    with pytest.raises(UserError, match="at most 100 rectangles; at 64 × 64 pixels it comes to"):
        of_picture(Region(picture=noise), 256)
    dot = torch.zeros(100, 100, dtype=torch.bool)
    dot[50, 50] = True
    with pytest.raises(UserError, match="nothing is left of the silhouette at 8 × 8 pixels"):
        of_picture(Region(picture=dot), 8)


# --- cylinders


def test_the_profile_of_a_cylinder() -> None:
    """S037, C052, N019: N within, and N (1 - arccos(r/d)/π) outside, which is far from N/2 for long."""
    distance = torch.tensor([0.5, 1, 1.01, 1.1, 1.5, 2, 5, 10, 100], dtype=torch.float64)
    printed = [1, 1, 0.955171, 0.863222, 0.732280, 0.666667, 0.564094, 0.531884, 0.503183]
    torch.testing.assert_close(profile(distance), torch.tensor(printed, dtype=torch.float64), rtol=0, atol=5e-7)


def test_the_sum_of_half_planes_tends_to_the_profile() -> None:
    """S037: N at the centre exactly, N/2 far away, and the largest error against the limit falls with N."""
    middle = torch.zeros(1, 2, dtype=torch.float64)
    places = strewn(4000, [(-6, 6), (-6, 6)])
    worst = []
    for sides in (4, 8, 16, 64, 256):
        assert float(shares(middle, middle, 1.0, sides)) == 1
        far = shares(torch.tensor([[1e6, 3e5]], dtype=torch.float64), middle, 1.0, sides)
        assert abs(float(far) - 0.5) <= 1 / sides
        found = shares(places, middle, 1.0, sides)[:, 0].double()
        worst.append(float((found - profile(places.norm(dim=1))).abs().max()))
    assert worst == sorted(worst, reverse=True)
    assert worst[-1] < 0.01


def test_a_cylinder_with_its_own_threshold_is_a_disc_up_to_a_shrinking_ring() -> None:
    """S038: all N half-planes at once hold the polygon round the disc, whose area tends to π."""
    points = strewn(50_000, [(-2, 2), (-2, 2)])
    disc = points.norm(dim=1) <= 1
    rings = []
    for sides in (4, 8, 16, 64):
        inside = shares(points, torch.zeros(1, 2, dtype=torch.float64), 1.0, sides)[:, 0] == 1
        assert bool(inside[disc].all())
        rings.append(float((inside & ~disc).double().mean()) * 16)
        assert rings[-1] == pytest.approx(sides * math.tan(math.pi / sides) - math.pi, abs=0.02)
    assert rings == sorted(rings, reverse=True)


def test_cylinders_fill_the_star_with_an_error_that_falls() -> None:
    """S039, C051: one hidden layer, hundreds of units and more where two layers take 13; below 2 % at the finest."""
    region = named("star")
    points = strewn(6000, region.bounds)
    inside = region.contains(points)
    errors, units = [], []
    for radius in (0.1, 0.05, 0.03):
        draft, told = of_cylinders(region, radius, 48, fit=True)
        network = built(draft)
        assert int(network.layer.max()) == 2, "one hidden layer, and the output"
        assert "weights by least squares" in told
        errors.append(float((decide(network, points) != inside).double().mean()))
        units.append(len(network.kind))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.02
    assert units[0] > 10 * len(built(of_polygons(region)).kind)


def test_equal_weights_fill_a_region_worse() -> None:
    """S039 as printed: the tails of the sums lie over all that is near, and smaller cylinders have more of them."""
    region = named("pentagons")
    points = strewn(6000, region.bounds)
    inside = region.contains(points)

    def error(radius: float, fit: bool) -> float:
        return float((decide(built(of_cylinders(region, radius, 32, fit)[0]), points) != inside).double().mean())

    assert error(0.035, fit=False) > 0.02
    assert error(0.035, fit=True) < 0.5 * error(0.035, fit=False)


def test_one_hidden_layer_against_two() -> None:
    single, double = against(named("pentagons"), Regions(sides=16))
    assert double == [("two hidden layers", 13, 0.0)]
    assert min(units for _, units, _ in single) > 10 * 13
    assert all(error > 0 for _, _, error in single)


@settings(max_examples=30, deadline=None)
@given(sums=st.lists(st.integers(-5, 5), min_size=2, max_size=12), bits=st.lists(st.booleans(), min_size=12))
def test_the_best_threshold_leaves_the_fewest_on_the_wrong_side(sums: list[int], bits: list[bool]) -> None:
    values = torch.tensor(sums, dtype=torch.float64)
    inside = torch.tensor(bits[: len(sums)])
    found = int(((values >= best_threshold(values, inside)) != inside).sum())
    assert found == min(int(((values >= low + 0.5) != inside).sum()) for low in range(-7, 6))


# --- the system


@pytest.mark.parametrize(
    ("knobs", "says"),
    [
        ({"data": "pentagons", "method": "xor"}, "the method xor needs lines"),
        ({"data": "pentagons", "method": "cylinders", "radius": 0.001}, "radius 0.001 makes more than 1,500 cylinders"),
        ({"data": "pentagons", "method": "cylinders", "radius": 0.007}, "radius 0.007 makes more than 1,500 cylinders"),
    ],
)
def test_what_cannot_be_built_is_one_sentence(knobs: dict, says: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=says):
        carry_out(Regions(**knobs), tmp_path / "run", HOST)


def test_too_many_lines_for_their_cells_are_refused_and_xors_take_them(tmp_path: Path) -> None:
    file = tmp_path / "lines.json"
    file.write_text(json.dumps({"lines": board(66).lines.tolist()}))
    with pytest.raises(UserError, match=r"of at most 64 lines; .* has 66"):
        Regions(data=str(file)).load()
    result = carry_out(Regions(data=str(file), method="xor"), tmp_path / "run", HOST)
    assert result["scores"]["test/error"] == 0
    assert result["scores"]["test/units"] == 66 + 3 * 65


def test_nor_are_all_cells_named_for_the_picture_of_one_against_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deepclassics.systems.foundations.regions.LINES", 5)
    monkeypatch.setattr("deepclassics.systems.foundations.regions.CYLINDERS", 0)  # of them there is another test
    assert against(board(6), Regions(method="xor", fit=False))[1] == [("XORs in pairs", 6 + 3 * 5, 0)]


def test_a_run_tells_its_units_layer_by_layer(tmp_path: Path) -> None:
    result = carry_out(find("regions")(), tmp_path / "run", HOST)
    scores = {name: result["scores"][f"test/{name}"] for name in ("error", "iou", "units", "layers", "parameters")}
    assert scores == {"error": 0, "iou": 1, "units": 13, "layers": 3, "parameters": 43}  # two lines are level
    assert result["remarks"][0].startswith("Built by polygons: 10 + 2 + 1 = 13 units")


def test_before_it_is_built_nothing_is_inside() -> None:
    recipe = Regions()
    data = recipe.load()
    scores = look(recipe.learner(recipe.model(data.spec)), data.test)
    assert scores["iou"] == 0
    assert scores["error"] == pytest.approx(0.2653, abs=0.05)


@pytest.mark.parametrize("name", ["pentagons", "checkerboard16"])
def test_the_pictures_are_drawn(name: str) -> None:
    region = named(name)
    recipe = Regions(data=name, sides=8)
    network = built(recipe.build(region)[0])
    with style.settings():
        for figure in (
            plane.region(lambda points: decide(network, points), region, network),
            plane.region(lambda points: torch.zeros(len(points)), region, network),
            plane.against([("radius 0.2", 400, 0.1), ("radius 0.1", 900, 0.04)], [("two", 13, 0.0)]),
            plane.cylinder(*profiles(32)),
        ):
            figure.savefig(file := io.BytesIO(), format="png")
            assert len(file.getvalue()) > 10_000
