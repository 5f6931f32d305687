"""Functions of numbers: what a user may type or put into a file, and what is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deepclassics.data import load
from deepclassics.data.kinds import function
from deepclassics.data.kinds.function import Function, digest, from_path, from_words, strewn
from deepclassics.errors import UserError


def points(*rows: tuple[float, ...]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def test_an_expression_is_a_function_of_its_variables_in_order() -> None:
    found = load("x2 - 2*x10 + 1/4", ("function",), seed=0)
    assert found.spec["names"] == ["x2", "x10"]
    assert found.train(points((1, 0), (0, 1))).tolist() == [1.25, -1.75]


@pytest.mark.parametrize("text", ["1 / x", "1/x", "x - 1", "sin(x)", "-x**2", "2*x"])
def test_what_has_an_operator_is_a_formula_and_no_path(text: str) -> None:
    assert function.is_written(text)


@pytest.mark.parametrize("text", ["./x", "/tmp/points", "../data/points.csv", "points.csv", "sine"])
def test_a_path_is_no_formula(text: str) -> None:
    assert not function.is_written(text)


def test_points_of_one_variable_are_joined_by_straight_lines(tmp_path: Path) -> None:
    file = tmp_path / "points.csv"
    file.write_text("x,y\n2,5\n0,1\n1,3\n1,5\n")
    found = from_path(file)
    assert found.names == ("x",)
    assert found.bounds == ((0.0, 2.0),)
    places = np.linspace(-1, 3, 41)
    expected = np.interp(places, [0, 1, 2], [1, 4, 5])  # two points at 1 count as their mean
    np.testing.assert_allclose(found(torch.from_numpy(places)[:, None]).numpy(), expected)


def test_points_of_several_variables_speak_for_their_neighbourhood(tmp_path: Path) -> None:
    file = tmp_path / "points.csv"
    file.write_text("y,a,b\n7,0,0\n8,1,0\n9,0,1\n")
    found = from_path(file)
    assert found.names == ("a", "b")
    assert found(points((0.1, 0.2), (0.9, 0.3), (-1, 5))).tolist() == [7, 8, 9]
    assert found.examples()["number"].sort().values.tolist() == [7, 8, 9]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x,y\n0,1\n1,inf\n", "row 2: 'y' must be a finite number; got 'inf'"),
        ("x,y\n0,1\n1,\n", "row 2: 'y' must be a finite number; got nothing"),
        ("x,y\n0,1\n1,nan\n", "row 2: 'y' must be a finite number; got nothing"),
        ("x,y\n0,1\n1,1e300\n", "row 2: 'y' must be a finite number"),
        ("x,y\n0,1\none,2\n", "row 2: 'x' must be a finite number; got 'one'"),
        ("x,y\n0,1\n0,2\n", "at 2 places or more"),
        ("x,z,y\n0,1,1\n0,2,1\n", "the variable 'x' must change; it is always 0"),
        ("y\n1\n2\n", "a column for each variable and one for the value; got 1 column"),
        ("", "must hold a table; it is empty"),
    ],
)
def test_a_bad_table_is_one_sentence(text: str, says: str, tmp_path: Path) -> None:
    file = tmp_path / "points.csv"
    file.write_text(text)
    with pytest.raises(UserError) as error:
        from_path(file)
    assert says in str(error.value)


@pytest.mark.parametrize(
    ("text", "bounds", "says"),
    [
        ("1/x", (-2, 2), "at x = -?0 it is"),
        ("1/x", (-1, 2), "at x = 0 it is inf"),
        ("1/sqrt(abs(x - 1/3))", (-1, 2), "at x = 0.333333 it is inf"),
        ("tan(x)", (-2, 2), "near x = -1.5708 it grows beyond all bounds"),
        ("log(x)", (0, 1), "at x = 0 it is -inf"),
        ("sqrt(x)", (-1, 1), "at x = -1 it is nan"),
        ("exp(x)", (0, 500), "must be a finite number everywhere"),
        ("1/(x - y)", (-2, 2), "at x = -2, y = -2 it is inf"),
    ],
)
def test_an_expression_that_is_not_finite_is_refused_with_the_place(
    text: str, bounds: tuple[float, float], says: str
) -> None:
    found = from_words(text)
    with pytest.raises(UserError, match=says):
        replace(found, bounds=(bounds,) * len(found.names)).refuse_poles()


@pytest.mark.parametrize("text", ["1/(x**2 + 1e-6)", "x/(x*x + 1)", "abs(x)", "sign(x)*1e6", "exp(-x**2*y**2)"])
def test_steep_functions_are_no_poles(text: str) -> None:
    found = from_words(text)
    replace(found, bounds=((-2.0, 1.0),) * len(found.names)).refuse_poles()


def test_a_constant_is_no_function() -> None:
    with pytest.raises(UserError, match="must have a variable"):
        from_words("3*2")


def test_places_are_read_by_order_by_name_and_from_tables(tmp_path: Path) -> None:
    spec = {"names": ["x", "y"]}
    file = tmp_path / "places.csv"
    file.write_text("y,x\n1,2\n3,4\n")
    names, batch = function.read(["0.5,-1", "y=2, x=1", str(file)], spec)
    assert names == ["0.5,-1", "y=2, x=1", "places.csv row 1", "places.csv row 2"]
    assert batch["features"].tolist() == [[0.5, -1], [1, 2], [2, 1], [4, 3]]


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("1", "a number for each of x, y; got '1'"),
        ("1,two", "y must be a number"),
        ("1,nan", "y must be a finite number"),
        ("x=1,z=2", "there is no variable 'z'"),
        ("x=1", "a number for each of x, y"),
        ("", "a number for each of x, y"),
        ("none.csv", "there is no such file"),
    ],
)
def test_a_bad_place_is_one_sentence(word: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        function.read([word], {"names": ["x", "y"]})


@settings(max_examples=20, deadline=None)
@given(low=st.floats(-100, 100), span=st.floats(0.1, 100), dimensions=st.integers(1, 3))
def test_strewn_points_fill_a_box_evenly(low: float, span: float, dimensions: int) -> None:
    places = strewn(4000, [(low, low + span)] * dimensions)
    shares = (places - low) / span
    assert bool(((shares >= -1e-9) & (shares <= 1 + 1e-9)).all())
    cells = (shares.clamp(0, 0.999) * 4).long() @ torch.tensor([4**k for k in range(dimensions)])
    counts = torch.bincount(cells, minlength=4**dimensions)
    assert int((counts - 4000 / 4**dimensions).abs().max()) <= 25
    assert len(places.unique(dim=0)) == 4000


def test_a_function_keeps_its_points_when_it_moves() -> None:
    one = Function(("x",), points=(points((0,), (1,)), torch.tensor([2.0, 4.0], dtype=torch.float64)))
    assert one.to(torch.device("cpu"))(points((0.5,))).tolist() == [3]


def test_too_many_variables_are_refused_before_they_cost_memory(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="must have at most 100 variables; got 101"):
        from_words("+".join(f"x{k}" for k in range(101)))
    file = tmp_path / "points.csv"
    names = [f"x{k}" for k in range(101)]
    file.write_text(",".join([*names, "y"]) + "\n" + "".join(",".join([f"{row}"] * 102) + "\n" for row in range(3)))
    with pytest.raises(UserError, match=r"points\.csv must have at most 100 variables; got 101"):
        from_path(file)


def test_a_digest_is_of_places_values_and_shape_but_not_of_rounding() -> None:
    x = torch.rand(50, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert digest(x) == digest(x.nextafter(torch.ones(())))
    assert digest(x * 1e90) != digest(x * 2e90)
    assert len({digest(x), digest(x.T), digest(x.view(100)), digest(x[:, 0], x[:, 1]), digest(x + 1e-5)}) == 5
    assert digest(torch.tensor([0.0, 1.0])) == digest(torch.tensor([-0.0, 1.0]))
    assert digest(torch.tensor([True, False])) != digest(torch.tensor([True, True]))


def test_points_are_known_by_their_digest_and_formulas_by_their_text(tmp_path: Path) -> None:
    file = tmp_path / "points.csv"
    found = []
    for text in ("x,y\n0,1\n1,2\n2,5\n", "x,y\n0,1\n1,3\n2,5\n", "x,y\n2,5\n0,1\n1,2\n"):
        file.write_text(text)
        found.append(load(str(file), ("function",), seed=0).spec["content"])
    assert found[0] == found[2] != found[1]
    assert "content" not in load("x**2", ("function",), seed=0).spec
