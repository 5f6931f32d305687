"""Pulses: networks that follow a function, and how their error falls."""

import io
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deepclassics.data.kinds.function import Function, from_words, strewn
from deepclassics.errors import UserError
from deepclassics.host import Host
from deepclassics.layers.units import Draft, Units
from deepclassics.loop import carry_out
from deepclassics.report import approximation, style
from deepclassics.systems.foundations.pulses import (
    Pulses,
    errors_by_width,
    of_cylinders,
    of_pulses,
    of_relu,
    of_six_relu,
    order,
    square_pulse,
)

HOST = Host(device="cpu", threads=1)

# N004, as the inventory has it at full precision.
SIX = {-2: -3.4, -1.75: -1.85, -1.54: -0.548, -1.5: -0.5, -1: 0, -0.5: -0.4, 0: -1, 0.5: -1.2, 0.75: -0.8, 1: -0.3,
       1.25: 1.45, 1.5: 3.2, 1.75: 4.95, 2: 6.7}  # fmt: skip


def function(text: str, *bounds: tuple[float, float]) -> Function:
    return replace(from_words(text), bounds=bounds)


def built(draft: Draft) -> Units:
    network = Units(draft.inputs)
    network.take(draft)
    return network


def worst(draft: Draft, target: Function, count: int = 5000) -> float:
    examples = target.examples(count)
    return float((built(draft)(examples["features"])[:, 0] - examples["number"]).abs().max())


# --- pulses


@settings(max_examples=40, deadline=None)
@given(
    first=st.floats(-10, 10),
    width=st.floats(0.01, 5),
    height=st.floats(-100, 100),
    x=st.lists(st.floats(-20, 20), min_size=1),
)
def test_three_units_make_a_square_pulse(first: float, width: float, height: float, x: list[float]) -> None:
    """S044: h where T1 <= x < T2, and 0 elsewhere, exactly, the thresholds themselves included."""
    network = built(square_pulse(first, first + width, height))
    assert len(network.kind) == 3
    places = [*x, first, first + width]
    given = network(torch.tensor(places, dtype=torch.float64)[:, None])[:, 0].tolist()
    assert given == [height if first <= place < first + width else 0 for place in places]


@settings(max_examples=30, deadline=None)
@given(
    factors=st.lists(st.floats(-3, 3), min_size=1, max_size=4),
    low=st.floats(-3, 1),
    span=st.floats(0.2, 4),
    count=st.integers(1, 40),
)
def test_the_error_is_at_most_half_a_width_times_the_steepest_slope(
    factors: list[float], low: float, span: float, count: int
) -> None:
    """S045, C040: the sup error is bounded by Lipschitz constant times width, for any polynomial."""
    text = " + ".join(f"({factor!r})*x**{power}" for power, factor in enumerate(factors, 1))
    target = function(text, (low, low + span))
    far = max(abs(low), abs(low + span))
    steepest = sum(power * abs(factor) * far ** (power - 1) for power, factor in enumerate(factors, 1))
    assert worst(of_pulses(target, [count]), target, 500) <= steepest * span / count / 2 + 1e-9


def test_k_pulses_share_k_plus_one_thresholds_and_are_nothing_outside() -> None:
    network = built(of_pulses(function("x + 3", (0, 1)), [4]))
    assert torch.bincount(network.layer)[1:].tolist() == [5, 1]
    places = [-1e-12, 0, 0.2, 0.25, 0.99, 1, 1.0001]
    given = network(torch.tensor(places, dtype=torch.float64)[:, None])[:, 0].tolist()
    assert given == pytest.approx([0, 3.125, 3.125, 3.375, 3.875, 3.875, 0], abs=1e-12)


@pytest.mark.parametrize(("text", "bounds"), [("sin(x)", (-math.pi, math.pi)), ("x**2", (-1.0, 1.0)),
                                              ("abs(x)", (-1.0, 1.0))])  # fmt: skip
def test_the_error_of_pulses_halves_with_the_width(text: str, bounds: tuple[float, float]) -> None:
    """S045, S048, C040, C143: order 1, towards 0."""
    rows = errors_by_width(function(text, bounds), Pulses())
    assert order([row[0] for row in rows], [row[1] for row in rows]) == pytest.approx(1, abs=0.03)
    assert rows[-1][1] < rows[0][1] / 15


def test_a_jump_is_never_met_evenly_unless_a_threshold_is_on_it() -> None:
    """S045's third example, a step: what does not fall in the largest error falls in the mean."""
    rows = errors_by_width(function("step(x - 0.3)", (0, 1)), Pulses())
    assert min(row[1] for row in rows) > 0.99
    assert rows[-1][2] < rows[0][2] / 2
    assert worst(of_pulses(function("step(x - 0.5)", (0, 1)), [2]), function("step(x - 0.5)", (0, 1))) == 0


@pytest.mark.parametrize("method", ["pulses", "cylinders"])
def test_boxes_and_cylinders_over_two_variables(method: str) -> None:
    """S046: the RMS error falls with the width, with order 1."""
    target = Pulses(data="hills").load().train.world
    rows = errors_by_width(target, Pulses(data="hills", method=method))
    errors = [row[2] for row in rows]
    assert errors == sorted(errors, reverse=True)
    assert order([row[0] for row in rows], errors) == pytest.approx(1, abs=0.1)


@settings(max_examples=15, deadline=None)
@given(
    across=st.integers(1, 9),
    up=st.integers(1, 9),
    left=st.floats(-5, 5),
    bottom=st.floats(-5, 5),
    height=st.floats(0.1, 50),
)
def test_cylinders_of_six_sides_tile_the_plane(across: int, up: int, left: float, bottom: float, height: float) -> None:
    """A constant comes out right everywhere between the bounds: no gap, no overlap. Round ones cannot do that."""
    target = function("x*0 + y*0 + 3", (left, left + 2), (bottom, bottom + height))
    places = strewn(2000, target.bounds)
    assert torch.equal(built(of_cylinders(target, [across, up]))(places)[:, 0], torch.full((2000,), 3.0).double())


def test_boxes_over_three_variables_are_right_in_their_middles() -> None:
    target = function("a + 10*b + 100*c", (0, 1), (0, 1), (0, 1))
    network = built(of_pulses(target, [4, 4, 4]))
    assert torch.bincount(network.layer)[1:].tolist() == [15, 64, 1]
    middles = torch.cartesian_prod(*[(torch.arange(4) + 0.5).double() / 4] * 3)
    torch.testing.assert_close(network(middles)[:, 0], target(middles))


# --- ReLUs


@settings(max_examples=30, deadline=None)
@given(values=st.lists(st.floats(-5, 5), min_size=3, max_size=12))
def test_relus_go_through_every_knot(values: list[float]) -> None:
    """C143: any values at equally spaced knots, and straight lines between them."""
    knots = torch.linspace(-1, 2, len(values), dtype=torch.float64)[:, None]
    target = Function(("x",), points=(knots, torch.tensor(values, dtype=torch.float64)), bounds=((-1.0, 2.0),))
    network = built(of_relu(target, len(values) - 1))
    assert len(network.kind) == len(values)
    places = strewn(300, target.bounds)
    torch.testing.assert_close(network(knots)[:, 0], target.points[1], rtol=0, atol=1e-9)
    torch.testing.assert_close(network(places)[:, 0], target(places), rtol=0, atol=1e-9)


def test_the_error_of_relus_falls_as_the_width_squared() -> None:
    """S048, C143: |f''| w² / 8 at most."""
    target = function("sin(x)", (-math.pi, math.pi))
    rows = errors_by_width(target, Pulses(method="relu"))
    assert order([row[0] for row in rows], [row[1] for row in rows]) == pytest.approx(2, abs=0.03)
    assert all(error <= width**2 / 8 + 1e-12 for width, error, _, _ in rows)


def test_the_six_relus() -> None:
    """S049, N004: the values of the inventory; the knots are where the slope changes."""
    network = built(of_six_relu())
    given = network(torch.tensor(list(SIX), dtype=torch.float64)[:, None])[:, 0]
    torch.testing.assert_close(given, torch.tensor(list(SIX.values()), dtype=torch.float64), rtol=0, atol=1e-12)
    slopes = {-1.8: 6.2, -1.3: 1.2, -1.0: 0, -0.3: -1.2, 0.4: 0, 0.8: 2, 1.5: 7}
    for place, slope in slopes.items():
        around = network(torch.tensor([[place - 0.01], [place + 0.01]], dtype=torch.float64))[:, 0]
        assert float(around.diff()) / 0.02 == pytest.approx(slope, abs=1e-9)


@pytest.mark.parametrize(
    ("low", "high", "largest", "mean"), [(-1.75, 1.5, 0.303, 0.0955), (-1.54, 1, 0.300, None), (-2, 2, 2.3, 0.40997)]
)
def test_the_six_relus_against_the_cubic(low: float, high: float, largest: float, mean: float | None) -> None:
    """C144: how far they are from x³ + x² - x - 1."""
    places = torch.linspace(low, high, 400_001, dtype=torch.float64)[:, None]
    error = built(of_six_relu())(places)[:, 0] - from_words("x**3 + x**2 - x - 1")(places)
    assert float(error.abs().max()) == pytest.approx(largest, abs=5e-4)
    assert mean is None or float(error.square().mean().sqrt()) == pytest.approx(mean, abs=5e-5)


# --- the user's points


def test_a_pulse_over_points_is_as_high_as_their_mean(tmp_path: Path) -> None:
    file = tmp_path / "points.csv"
    file.write_text("x,y\n0,1\n0.2,3\n0.9,8\n1,10\n")
    recipe = Pulses(data=str(file), pulses=2)
    result = carry_out(recipe, tmp_path / "run", HOST)
    assert result["scores"]["test/rmse"] == pytest.approx(1)
    assert result["scores"]["test/sup"] == pytest.approx(1)
    assert "test/order" not in result["scores"]


def test_where_there_are_no_points_their_neighbours_speak(tmp_path: Path) -> None:
    file = tmp_path / "points.csv"
    file.write_text("a,b,y\n0,0,1\n1,0,2\n0,1,3\n1,1,4\n")
    for method in ("pulses", "cylinders"):
        recipe = Pulses(data=str(file), pulses=5, method=method)
        network = built(recipe.build(recipe.load().train.world))
        places = torch.tensor([[0, 0], [1, 0], [0, 1], [1, 1], [0.05, 0.1], [0.7, 0.7]], dtype=torch.float64)
        assert network(places)[:, 0].tolist() == pytest.approx([1, 2, 3, 4, 1, 4])


def test_bounds_cut_points_off(tmp_path: Path) -> None:
    file = tmp_path / "points.csv"
    file.write_text("x,y\n" + "".join(f"{k},{k * k}\n" for k in range(10)))
    function = Pulses(data=str(file), low=2, high=5.5).load().train.world
    assert function.points[0].flatten().tolist() == [2, 3, 4, 5]
    assert function.bounds == ((2.0, 5.5),)
    with pytest.raises(UserError, match="2 points or more between the bounds; it has 1"):
        Pulses(data=str(file), low=2, high=2.5).load()


# --- the system


def test_the_run_of_the_sine_has_order_one(tmp_path: Path) -> None:
    result = carry_out(Pulses(), tmp_path / "run", HOST)
    assert result["scores"]["test/order"] == pytest.approx(1, abs=0.01)
    assert result["scores"]["test/sup"] == pytest.approx(math.sin(math.pi / 32), abs=1e-3)  # at its steepest
    assert result["scores"]["test/units"] == 34


@pytest.mark.parametrize(
    ("knobs", "says"),
    [
        ({"data": "1/x"}, "'1/x' must be a finite number everywhere between its bounds; at x = -0 it is -inf"),
        ({"data": "1/x", "low": 0.5, "high": -1}, None),
        ({"data": "hills", "method": "relu"}, "takes functions of 1 variable; this one has 2: x, y"),
        ({"data": "sine", "method": "cylinders"}, "takes functions of 2 variables; this one has 1: x"),
        ({"data": "a + b + c", "pulses": 50}, "at most 50,000 of them in all; got 125,000"),
        ({"data": "sine", "width": 1e-9}, "at most 50,000 of them in all"),
        ({"data": "sine", "width": 1e-310}, "at most 50,000 of them in all; got 1,000,000,000"),
        ({"data": "sine", "low": 10}, "the bounds of x must be in order; got 10 and 3.14159"),
        ({"data": "open('x')"}, "there is no function 'open'"),
    ],
)
def test_what_cannot_be_built_is_one_sentence(knobs: dict, says: str | None) -> None:
    if says is None:
        with pytest.raises(ValueError, match="low must be below high"):
            Pulses(**knobs)
        return
    with pytest.raises(UserError) as error:
        Pulses(**knobs).load()
    assert says in str(error.value)


def test_the_width_decides_where_it_is_given() -> None:
    recipe = Pulses(data="x*y", method="pulses", width=0.3, low=0, high=1)
    assert recipe.counts(recipe.load().train.world) == [4, 4]


@pytest.mark.parametrize("data", ["sine", "hills"])
def test_the_pictures_are_drawn(data: str) -> None:
    recipe = Pulses(data=data)
    target = recipe.load().train.world
    network = built(recipe.build(target))
    rows = errors_by_width(target, recipe)
    with style.settings():
        for figure in (
            approximation.both(lambda places: network(places)[:, 0], target),
            approximation.by_width(rows, 1.0, None),
        ):
            figure.savefig(file := io.BytesIO(), format="png")
            assert len(file.getvalue()) > 10_000


def test_errors_that_are_rounding_are_not_drawn() -> None:
    with pytest.raises(UserError, match="nothing but rounding"):
        approximation.by_width([(1.0, 0.0, 0.0, 3), (0.5, 0.0, 0.0, 5)], None, None)
    assert order([1.0, 0.5, 0.25], [1.0, 0.5, 0.0]) is None
