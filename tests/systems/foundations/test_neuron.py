"""The McCulloch-Pitts unit: gates, the functions it can and cannot do, and the proofs."""

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from deepclassics import cli
from deepclassics.data.kinds.boolean import from_words, rows
from deepclassics.errors import UserError
from deepclassics.host import Host
from deepclassics.layers.units import Units
from deepclassics.loop import carry_out
from deepclassics.recipe import find
from deepclassics.report import page
from deepclassics.run import Run
from deepclassics.systems.foundations.neuron import SINGLE, four_rows, proof, single, sums_of, unit_of, written, xor

HOST = Host(device="cpu", threads=1)


def made(draft: object) -> Units:
    network = Units(draft.inputs)  # type: ignore[attr-defined]
    network.take(draft)  # type: ignore[arg-type]
    return network


def function(number: int, inputs: int) -> Tensor:
    return torch.tensor([bool(number >> row & 1) for row in range(2**inputs)])


def can(values: Tensor) -> bool:
    return not isinstance(unit_of(values), Tensor)


@pytest.mark.parametrize(
    ("text", "weights", "threshold"),
    [("a & b", [1, 1], 2), ("a | b", [1, 1], 1), ("~a", [-1], 0), ("majority:3", [1, 1, 1], 2),
     ("nand:2", [-1, -1], -1), ("nor:2", [-1, -1], 0), ("a & ~b", [1, -1], 1), ("a | ~a", [0], 0), ("a & ~a", [0], 1)],
)  # fmt: skip
def test_gates_have_the_smallest_whole_weights(text: str, weights: list[int], threshold: int) -> None:
    """S005 mp, S022 gates, E001: AND (1, 1; 2), OR (1, 1; 1), NOT (-1; 0), majority."""
    values = from_words(text).values
    assert unit_of(values) == (weights, threshold)
    network = made(single(len(weights), weights, threshold))
    assert torch.equal(network(rows(len(weights)).float())[:, 0] > 0.5, values)


@given(inputs=st.integers(1, 7), negated=st.integers(0, 127), either=st.booleans())
@settings(max_examples=30, deadline=None)
def test_and_and_or_with_any_inputs_negated_are_single_units(inputs: int, negated: int, either: bool) -> None:
    """S022: N-input AND and OR with any pattern of negated inputs."""
    x = rows(inputs) ^ torch.tensor([bool(negated >> place & 1) for place in range(inputs)])
    values = x.any(1) if either else x.all(1)
    found = unit_of(values)
    assert not isinstance(found, Tensor)
    assert [abs(weight) for weight in found[0]] == [1] * inputs


def test_fourteen_of_sixteen_by_all_small_whole_weights() -> None:
    """S005, S011 perceptron-limit: XOR and XNOR are out of reach, and get three rows of four right at best."""
    reached, best = set(), 0
    for a, b, threshold in itertools.product(range(-2, 3), range(-2, 3), range(-4, 6)):
        values = sums_of([a, b], 2) >= threshold
        reached.add(tuple(values.tolist()))
        best = max(best, int((values == from_words("a ^ b").values).sum()))
    assert len(reached) == 14
    assert best == 3
    for number in range(16):
        values = function(number, 2)
        assert can(values) == (tuple(values.tolist()) in reached)


@pytest.mark.parametrize(("inputs", "count"), [(1, 4), (2, 14), (3, 104)])
def test_how_many_functions_a_single_unit_can_do(inputs: int, count: int) -> None:
    assert sum(can(function(number, inputs)) for number in range(2**2**inputs)) == count == SINGLE[inputs]


def test_of_four_inputs_it_is_1882() -> None:
    """By classes: swapping inputs, negating one, and negating the output change nothing about it (222 classes)."""
    numbers = np.arange(2**16)
    places = np.arange(16)

    def moved(source: np.ndarray) -> np.ndarray:
        """The number of every function whose row r is row source[r] of the old one."""
        return sum((numbers >> source[row] & 1) << row for row in places)

    images = [65535 - numbers]
    images += [moved(places ^ (1 << bit)) for bit in range(4)]
    for bit in range(3):
        low, high = places >> bit & 1, places >> (bit + 1) & 1
        images.append(moved(np.where(low != high, places ^ (3 << bit), places)))
    least = numbers.copy()
    while True:
        before = least.copy()
        for image in images:
            least = np.minimum(least, least[image])
        if (least == before).all():
            break
    classes, sizes = np.unique(least, return_counts=True)
    assert len(classes) == 222
    counted = sum(int(size) for one, size in zip(classes, sizes, strict=True) if can(function(int(one), 4)))
    assert counted == 1882 == SINGLE[4]


@given(number=st.integers(0, 2**32 - 1), inputs=st.integers(1, 5))
@settings(max_examples=60, deadline=None)
def test_a_unit_or_a_proof(number: int, inputs: int) -> None:
    """A unit is right in every row; or two rows of each value have the same sum of inputs."""
    values = function(number, inputs)
    found = unit_of(values)
    pairs = four_rows(values)
    if isinstance(found, Tensor):
        assert pairs is not None
        a, b, c, d = pairs
        x = rows(inputs).long()
        assert values[[a, b, c, d]].tolist() == [True, True, False, False]
        assert torch.equal(x[a] + x[b], x[c] + x[d])
    else:
        assert pairs is None
        assert torch.equal(sums_of(found[0], inputs) >= found[1], values)


@given(weights=st.lists(st.integers(-9, 9), min_size=9, max_size=12), threshold=st.integers(-20, 20))
@settings(max_examples=10, deadline=None)
def test_any_threshold_function_is_found_again(weights: list[int], threshold: int) -> None:
    """Of more inputs than the linear program is given rows at once."""
    values = sums_of(weights, len(weights)) >= threshold
    found = unit_of(values)
    assert not isinstance(found, Tensor)
    assert torch.equal(sums_of(found[0], len(weights)) >= found[1], values)


def test_a_proof_for_more_inputs_is_a_point_between_both() -> None:
    values = from_words("parity:10").values
    found = unit_of(values)
    assert isinstance(found, Tensor)
    assert "lies between rows that are 1 and also between rows that are 0" in proof(values, found)


@pytest.mark.parametrize(("solution", "units", "parameters"), [("three", 3, 9), ("two", 2, 7)])
@pytest.mark.parametrize("odd", [True, False])
def test_both_solutions_of_xor(solution: str, units: int, parameters: int, odd: bool) -> None:
    """S023 xor-net, N023 xor-n: 00 -> 0, 01 -> 1, 10 -> 1, 11 -> 0, and the opposite."""
    network = made(xor(solution, odd))  # type: ignore[arg-type]
    answer = (network(rows(2).float())[:, 0] > 0.5).tolist()
    assert answer == [not odd, odd, odd, not odd]
    assert network.counts()["units"] == units
    assert network.counts()["layers"] == 2
    # The thresholds of the notes, a half lower, say the same: sums are whole.
    network.load_state_dict({**network.state_dict(), "threshold": network.threshold - 0.5})
    assert (network(rows(2).float())[:, 0] > 0.5).tolist() == answer
    assert network.counts()["parameters"] == parameters


def test_excitation_fires_at_the_threshold_and_inhibition_only_lowers() -> None:
    """S001 real-neuron."""
    unit = made(single(2, [1.0, -1.0], 0.5))
    net = torch.linspace(0, 1, 11)
    fired = unit(torch.stack([net, torch.zeros(11)], 1))[:, 0]
    assert torch.equal(fired, (net >= 0.5).double())
    inhibited = unit(torch.stack([net, torch.full((11,), 0.3)], 1))[:, 0]
    assert bool((inhibited <= fired).all())
    assert float(inhibited.sum()) < float(fired.sum())


def test_a_unit_on_real_inputs_cuts_space_at_a_distance() -> None:
    """S033 linear-classifier: the label is constant on each side; the boundary lies |b| / |w| from the origin."""
    weights, threshold = [3.0, -4.0, 12.0], 6.5
    unit = made(single(3, weights, threshold))
    normal = torch.tensor(weights) / 13
    edge = 6.5 / 13
    for sideways in (torch.zeros(3), torch.tensor([4.0, 3.0, 0.0]) * 7):
        points = torch.stack([sideways + normal * (edge + shift) for shift in (-5.0, -1e-3, 1e-3, 5.0)])
        assert unit(points)[:, 0].tolist() == [0, 0, 1, 1]


def test_a_unit_fires_within_an_angle_of_its_weights() -> None:
    """S035 correlation-filter: w / |w| is answered most; it fires where the angle is at most arccos(T / |w|)."""
    w, threshold = torch.tensor([2.0, 1.0]), 1.5
    angles = torch.linspace(-math.pi, math.pi, 721)
    own = math.atan2(1.0, 2.0)
    x = torch.stack([torch.cos(angles + own), torch.sin(angles + own)], 1)
    assert abs(float(angles[(x @ w).argmax()])) < 1e-6
    widest = math.acos(threshold / float(w.norm()))
    clear = (angles.abs() - widest).abs() > 1e-4
    fired = made(single(2, w.tolist(), threshold))(x)[:, 0]
    assert torch.equal(fired[clear] > 0.5, (angles.abs() < widest)[clear])


def test_units_are_written_as_one_would() -> None:
    assert written([1, -2, 0], 1, ["a", "b", "c"]) == "a - 2 b >= 1"
    assert written([-1], 0, ["a"]) == "-a >= 0"
    assert written([0, 0], 1, ["a", "b"]) == "0 >= 1"


def test_a_run_tells_whether_and_why_not(tmp_path: Path) -> None:
    result = carry_out(find("neuron")(gate="majority", inputs=5), tmp_path / "one", HOST)
    assert result["scores"]["test/error"] == 0
    assert result["scores"]["train/separable"] == 1
    assert "x1 + x2 + x3 + x4 + x5 >= 3" in result["remarks"][0]
    result = carry_out(find("neuron")(gate="xor", linearly_separable=True), tmp_path / "two", HOST)
    assert result["scores"]["train/separable"] == 0
    assert result["scores"]["test/units"] == 0
    assert "rows 01 and 10 are 1, 00 and 11 are 0" in result["remarks"][0]
    assert "a single unit can do 14" in result["remarks"][1]


@pytest.mark.parametrize(
    ("data", "pictures"), [("a ^ b", 3), ("a | b & ~c", 3), ("a & b", 3), ("and:4", 2), ("a | ~a", 2)]
)
def test_the_report_has_its_pictures(data: str, pictures: int, tmp_path: Path) -> None:
    carry_out(find("neuron")(data=data), tmp_path / "run", HOST)
    text = page.write(Run.open(tmp_path / "run")).read_text(encoding="utf-8")
    assert text.count("<figure") == pictures
    assert "Not drawn" not in text


def test_what_no_unit_can_do_is_sent_to_boolean() -> None:
    with pytest.raises(
        UserError, match=r"a & b \| c & d: no single unit can do it, for rows .* `deepclassics run boolean`"
    ):
        find("neuron")(data="a & b | c & d").load()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--gate", "and", "--data", "a | b"], "neuron: give either a gate or data; got and and a | b."),
        (["--gate", "not", "--inputs", "3"], "neuron: inputs are for the gates and, or, nand, nor and majority;"),
        (["--inputs", "3"], "neuron: inputs are for the gates and, or, nand, nor and majority;"),
        (["--gate", "adn"], "neuron: gate must be 'and', 'or', 'not', 'nand', 'nor', 'majority', 'xor' or 'xnor'; got"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(
    words: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["run", "neuron", *words, "--out", str(tmp_path / "run")])
    assert end.value.code == 2
    assert capsys.readouterr().err.strip().startswith(told)


def test_predict_answers_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    carry_out(find("neuron")(data="a and not b"), tmp_path / "run", HOST)
    with pytest.raises(SystemExit) as end:
        cli.main(["predict", str(tmp_path / "run"), "10", "b=1,a=1"])
    assert end.value.code == 0
    assert capsys.readouterr().out.splitlines() == ["10: label 1", "b=1,a=1: label 0"]
