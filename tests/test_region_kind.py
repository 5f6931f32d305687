"""Regions of the plane: polygons, lines and silhouettes, as a user may give them, and what is refused."""

import json
import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from deepclassics.data import catalog, load
from deepclassics.data.kinds import region
from deepclassics.data.kinds.function import strewn
from deepclassics.data.kinds.region import Region, from_path, polygon
from deepclassics.errors import UserError

NAMED = ("pentagons", "star", "letter", "checkerboard16")
SQUARE = [[0, 0], [2, 0], [2, 2], [0, 2]]


def winding(corners: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """How often a polygon goes round each point: the sum of the angles, independent of rays that cross edges."""
    away = corners[None] - points[:, None]
    angle = torch.atan2(away[..., 1], away[..., 0])
    turn = (angle.roll(-1, 1) - angle + math.pi) % (2 * math.pi) - math.pi
    return (turn.sum(1) / (2 * math.pi)).round()


@st.composite
def stars(draw: st.DrawFn) -> torch.Tensor:
    """A polygon that is seen whole from the origin: simple, and mostly not convex."""
    radii = draw(st.lists(st.floats(0.2, 2.0), min_size=3, max_size=14))
    start = draw(st.floats(0, 6))
    angles = [start + 2 * math.pi * k / len(radii) for k in range(len(radii))]
    corners = [[r * math.cos(angle), r * math.sin(angle)] for r, angle in zip(radii, angles, strict=True)]
    return polygon(corners, "a star")


@settings(max_examples=40, deadline=None)
@given(corners=stars())
def test_a_point_is_inside_where_the_polygon_goes_round_it(corners: torch.Tensor) -> None:
    found = Region((corners,))
    points = strewn(1000, found.bounds)
    assert torch.equal(found.contains(points), winding(corners, points) == 1)


@settings(max_examples=300, deadline=None)
@given(corners=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=3, max_size=7, unique=True))
def test_polygons_that_cross_or_touch_themselves_are_refused_and_no_others(corners: list[tuple[int, int]]) -> None:
    """Against exact arithmetic over all pairs of edges."""
    count = len(corners)
    edges = [(corners[k], corners[(k + 1) % count]) for k in range(count)]

    def on(p: tuple[int, int], edge: tuple[tuple[int, int], tuple[int, int]]) -> bool:
        (x0, y0), (x1, y1) = edge
        along = (x1 - x0) * (p[1] - y0) == (y1 - y0) * (p[0] - x0)
        return along and min(x0, x1) <= p[0] <= max(x0, x1) and min(y0, y1) <= p[1] <= max(y0, y1)

    def meet(one: int, other: int) -> bool:
        (p, q), (r, s) = edges[one], edges[other]
        shared = {corners[(one + 1) % count]} if (one + 1) % count == other else set()
        shared |= {corners[one]} if (other + 1) % count == one else set()
        if any(on(end, edges[other]) for end in {p, q} - shared) or any(on(end, edges[one]) for end in {r, s} - shared):
            return True
        cross = (q[0] - p[0]) * (s[1] - r[1]) - (q[1] - p[1]) * (s[0] - r[0])
        if not cross or shared:
            return False
        t = Fraction((r[0] - p[0]) * (s[1] - r[1]) - (r[1] - p[1]) * (s[0] - r[0]), cross)
        u = Fraction((r[0] - p[0]) * (q[1] - p[1]) - (r[1] - p[1]) * (q[0] - p[0]), cross)
        return 0 <= t <= 1 and 0 <= u <= 1

    simple = not any(meet(one, other) for one in range(count) for other in range(one + 1, count))
    if simple:
        assert len(polygon([list(corner) for corner in corners], "it")) >= 3
    else:
        with pytest.raises(UserError, match=r"must not cross or touch itself|lie on one line"):
            polygon([list(corner) for corner in corners], "it")


def test_corners_come_counterclockwise_without_those_where_it_does_not_turn() -> None:
    found = polygon([[0, 0], [0, 2], [2, 2], [2, 1], [2, 0], [0, 0]], "it")
    assert found.tolist() == [[2, 0], [2, 2], [0, 2], [0, 0]]


def test_one_polygon_a_list_and_an_object_mean_the_same(tmp_path: Path) -> None:
    for content in (SQUARE, [SQUARE], {"polygons": [SQUARE]}):
        (tmp_path / "a.json").write_text(json.dumps(content))
        assert from_path(tmp_path / "a.json").polygons[0].tolist() == SQUARE


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ([[[0, 0], [1, 1], [1, 0], [0, 1]]], "must not cross or touch itself; its edges 1 and 3 do"),
        ([[[0, 0], [2, 0], [1, 0], [1, 1]]], "must not cross or touch itself"),
        ([SQUARE, [[0, 0], [1, 1]]], "polygon 2: a polygon must have 3 corners or more; got 2"),
        ([[[0, 0], [1, float("nan")], [1, 2]]], r"corner 2: must be two finite numbers \[x, y\]; got \[1, NaN\]"),
        ([[[0, 0], [1, 1e200], [1, 2]]], "corner 2: must be two finite numbers"),
        ([[[0, 0], ["1", 1], [1, 2]]], "corner 2: must be two finite numbers"),
        ([[[0, 0], [True, 1], [1, 2]]], "corner 2: must be two finite numbers"),
        ([[[k, k * k] for k in range(1001)]], "at most 1,000 corners; got 1,001"),
        ([], "must hold a list of polygons"),
        (3, "must hold a list of polygons"),
        ([None], "must be a list of corners"),
        ({"circles": []}, 'either "polygons" or "lines"; it holds circles'),
        ({"polygons": [], "lines": []}, 'either "polygons" or "lines"'),
        ({"lines": [[0, 0, 1]]}, "a or b must not be 0"),
        ({"lines": [[0, 1]]}, "must be three finite numbers"),
        ({"lines": []}, "lines must be a list"),
        ({"lines": [[1, 0, k] for k in range(501)]}, "must hold at most 500 lines; it holds 501"),
        ([[[k, k * k] for k in range(1000)]] * 11, "at most 10,000 corners in all; it holds 11,000"),
    ],
)
def test_a_bad_file_is_one_sentence(content: object, says: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=says):
        from_path(tmp_path / "a.json")


def test_a_key_that_comes_twice_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"polygons": [], "polygons": [[[0, 0], [1, 0], [0, 1]]]}')
    with pytest.raises(UserError, match="every key of an object must come once; 'polygons' comes twice"):
        from_path(tmp_path / "a.json")


def test_files_that_cannot_be_read_or_are_huge_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.json must be a file that can be read; no such file"):
        from_path(tmp_path / "none.json")
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(UserError, match="must be a file that can be read; is a directory"):
        from_path(tmp_path / "folder.json")
    with (tmp_path / "huge.json").open("wb") as file:
        file.truncate(region.BYTES + 1)
    with pytest.raises(UserError, match="at most 10,000,000 bytes; it has 10,000,001"):
        from_path(tmp_path / "huge.json")


@pytest.mark.parametrize("text", ["{", "", "[" * 100_000, "\0"])
def test_what_is_no_json_is_one_sentence(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(UserError, match="must be JSON"):
        from_path(tmp_path / "a.json")


def drawn(path: Path, dark_inside: bool = True) -> np.ndarray:
    """A picture of 7 by 5 pixels with a silhouette in the middle; where that is."""
    mask = np.zeros((5, 7), dtype=bool)
    mask[1:4, 2:5] = True
    mask[2, 3] = False
    Image.fromarray(np.where(mask == dark_inside, 30, 220).astype(np.uint8)).save(path)
    return mask


@pytest.mark.parametrize("dark", [True, False])
def test_the_colour_with_less_of_the_rim_is_inside_unless_one_says_otherwise(dark: bool, tmp_path: Path) -> None:
    mask = drawn(tmp_path / "a.png", dark)
    found = load(str(tmp_path / "a.png"), ("region",), seed=0).train
    assert np.array_equal(found.choose("auto").mask.numpy(), mask)
    assert np.array_equal(found.choose("dark").mask.numpy(), mask == dark)
    assert np.array_equal(found.choose("light").mask.numpy(), mask != dark)


def test_a_pixel_is_the_square_right_of_and_below_its_corner(tmp_path: Path) -> None:
    drawn(tmp_path / "a.png")
    found = from_path(tmp_path / "a.png").choose("auto")
    points = torch.tensor([[2.0, 1.0], [1.999, 1.0], [4.999, 3.999], [5.0, 3.0], [3.5, 2.5], [-1.0, 2.0], [9.0, 2.0]])
    assert found.contains(points).tolist() == [True, False, True, False, False, False, False]
    examples = found.examples()
    assert len(examples) == 35
    assert int(examples["label"].sum()) == 8


def test_what_is_transparent_is_white(tmp_path: Path) -> None:
    picture = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    picture.putpixel((1, 1), (0, 0, 0, 255))
    picture.save(tmp_path / "a.png")
    assert int(from_path(tmp_path / "a.png").choose("auto").mask.sum()) == 1


def test_large_pictures_are_judged_on_some_of_their_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(region, "MOST", 100)
    picture = torch.zeros(40, 40, dtype=torch.bool)
    picture[:20] = True
    examples = Region(picture=picture).examples()
    assert len(examples) == 100
    assert float(examples["label"].double().mean()) == 0.5


def test_pictures_without_a_silhouette_and_files_that_are_none_are_one_sentence(tmp_path: Path) -> None:
    Image.new("L", (5, 5), 200).save(tmp_path / "flat.png")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG and no more")
    with pytest.raises(UserError, match=r"must show a silhouette.*; it is of one colour"):
        from_path(tmp_path / "flat.png")
    with pytest.raises(UserError, match="must be a picture; it cannot be read as one"):
        from_path(tmp_path / "broken.png")


def test_huge_pictures_are_refused_before_they_are_unpacked(tmp_path: Path) -> None:
    Image.new("1", (5000, 5000)).save(tmp_path / "huge.png")
    with pytest.raises(UserError, match="at most 16,777,216 pixels; it has 5,000 × 5,000"):
        from_path(tmp_path / "huge.png")


@settings(max_examples=20, deadline=None)
@given(angle=st.floats(0, 3), where=st.floats(-2, 2))
def test_lines_divide_by_parity(angle: float, where: float) -> None:
    """A line and its double are inside nowhere; with its mirror image, everywhere but on it."""
    a, b = math.cos(angle), math.sin(angle)
    twice = Region(lines=torch.tensor([[a, b, where]] * 2, dtype=torch.float64))
    both = Region(lines=torch.tensor([[a, b, where], [-a, -b, -where]], dtype=torch.float64))
    points = strewn(200, [(-3, 3), (-3, 3)])
    assume(bool(((points @ both.lines[0, :2] - where).abs() > 1e-9).all()))
    assert not bool(twice.contains(points).any())
    assert bool(both.contains(points).all())


@pytest.mark.parametrize("name", NAMED)
def test_named_regions_hold_what_they_say(name: str) -> None:
    found = load(name, ("region",), seed=0)
    label = found.train.examples()["label"]
    assert 0.1 < float(label.double().mean()) < 0.6
    assert catalog.count("region", found.train)["lines"] == (16 if name == "checkerboard16" else 0)


def test_other_data_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="takes a region of the plane; xor is a table"):
        load("xor", ("region",), seed=0)


def test_many_lines_are_counted_a_few_at_a_time() -> None:
    turns = torch.arange(200, dtype=torch.float64)
    lines = torch.stack([turns.cos(), turns.sin(), 0.01 * turns], 1)
    points = strewn(300, [(-3, 3), (-3, 3)])
    above = [sum(a * x + b * y >= c for a, b, c in lines.tolist()) for x, y in points.tolist()]
    assert Region(lines=lines).contains(points).tolist() == [count % 2 == 1 for count in above]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([SQUARE], [[*SQUARE, [1, 1]]]),
        ([SQUARE], [[[0, 0], [2, 0], [2, 2], [0, 2.0001], [0, 2]]]),
        ({"lines": [[1, 0, 1], [0, 1, 1]]}, {"lines": [[1, 0, 1], [0, 1, 1.0001]]}),
    ],
)
def test_another_region_of_equal_bounds_has_another_digest(one: object, other: object, tmp_path: Path) -> None:
    found = []
    for content in (one, other, one):
        (tmp_path / "a.json").write_text(json.dumps(content))
        found.append(load(str(tmp_path / "a.json"), ("region",), seed=0).spec["content"])
    assert found[0] == found[2] != found[1]
