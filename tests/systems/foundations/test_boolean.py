"""The notes' constructions of Boolean functions: exact in every row, of the sizes that their conclusions tell."""

import itertools
import json
import math
import sys
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
from deepclassics.layers.units import Draft, Units
from deepclassics.report.style import settings as look
from deepclassics.run import Run
from deepclassics.systems.foundations import boolean
from deepclassics.systems.foundations.boolean import (
    FREE,
    METHODS,
    Boolean,
    algebraic_normal_form,
    chain,
    conclusions,
    conjunction,
    counted,
    covered,
    draft_of,
    either,
    fewest_terms,
    hybrid,
    prime_implicants,
    refuse,
    sum_of_products,
    tree,
    true_rows,
)

FUNCTIONS = st.integers(1, 6).flatmap(lambda n: st.lists(st.booleans(), min_size=2**n, max_size=2**n)).map(torch.tensor)


def answered(draft: Draft) -> Tensor:  # -> (2^N, outputs) of bool
    network = Units(draft.inputs)
    network.take(draft)
    return network(rows(draft.inputs).float()) == 1


def is_right(draft: Draft, values: Tensor) -> bool:
    return torch.equal(answered(draft)[:, 0], values)


def parity(inputs: int) -> Tensor:
    return from_words(f"parity:{inputs}").values


def sizes(inputs: int, join: object, *knobs: object) -> tuple[int, int]:
    """Units and layers of the parity of so many inputs."""
    draft = Draft(inputs)
    counts = counted(draft.finish(join(draft, range(inputs), *knobs)))  # type: ignore[operator]
    return counts["units"], counts["layers"]


def test_s022_gates_and_and_or_with_any_inputs_negated() -> None:
    """A unit is an AND of inputs, any of them negated; by De Morgan its complement is any OR."""
    for wanted in itertools.product((False, True), repeat=4):
        draft = Draft(4)
        draft.finish(conjunction(draft, dict(enumerate(wanted))))
        assert is_right(draft, (rows(4) == torch.tensor(wanted)).all(1)), wanted


@pytest.mark.parametrize(("block", "units"), [(3, 3), (2, 2)])
@pytest.mark.parametrize("flip", [False, True])
def test_s023_xor_of_three_and_of_two_units(block: int, units: int, flip: bool) -> None:
    """S023, N023, T006, C140: both solutions of the notes, and their complements, XNOR, with no unit more."""
    draft = Draft(2)
    draft.finish(either(draft, 0, 1, block, flip))
    assert answered(draft)[:, 0].tolist() == [flip, not flip, not flip, flip]
    assert counted(draft)["units"] == units
    assert counted(draft)["layers"] == 2


@given(FUNCTIONS, st.sampled_from(METHODS), st.sampled_from([2, 3]), st.integers(0, 6))
@settings(max_examples=150, deadline=None)
def test_every_method_builds_any_function(values: Tensor, method: boolean.Method, block: int, depth: int) -> None:
    """S032, C044 (conclusion 1.1), S025, S026, S028-S030: the network equals the function in all rows."""
    if method == "hybrid" and len(algebraic_normal_form(values)[0]) > 12 * 2**depth:
        depth = 6  # with fewer stages, the last hidden layer would have thousands of units
    draft, _ = draft_of(values, method, block=block, depth=depth)
    assert is_right(draft, values)
    assert method not in ("dnf", "minimal") or counted(draft)["layers"] == (2 if values.any() else 1)


@given(FUNCTIONS)
@settings(max_examples=60, deadline=None)
def test_s025_dnf_has_a_hidden_unit_for_every_true_row_and_minimal_never_more(values: Tensor) -> None:
    """S025: weights 1 and -1, the threshold is the number of inputs that are not negated. S026."""
    draft, _ = draft_of(values, "dnf")
    assert counted(draft)["units"] == int(values.sum()) + 1
    ones = rows(len(values).bit_length() - 1)[values].sum(1)
    assert [threshold for _, _, threshold in draft.units[:-1]] == ones.tolist()
    assert len(draft_of(values, "minimal")[0].units) <= len(draft.units)


@given(FUNCTIONS)
@settings(max_examples=60, deadline=None)
def test_the_algebraic_normal_form_is_the_xor_of_its_terms(values: Tensor) -> None:
    terms, flip = algebraic_normal_form(values)
    inputs = rows(len(values).bit_length() - 1)
    each = (inputs[:, None] | ~terms[None]).all(2)  # (rows, terms): a term is 1 where all its inputs are
    assert torch.equal(each.sum(1) % 2 == 1, values ^ flip)
    assert bool(terms.any(1).all())


def fewest_by_search(inputs: int) -> np.ndarray:
    """The least number of terms of every function, by joining terms breadth first. A function is its rows as bits."""
    table = rows(inputs).to(torch.int8)
    every = torch.tensor(list(itertools.product((0, 1, FREE), repeat=inputs)), dtype=torch.int8)
    masks = (covered(every, table).long() << torch.arange(2**inputs)).sum(1).numpy()
    least = np.full(2 ** (2**inputs), -1)
    least[0] = 0
    front, terms = np.array([0]), 0
    while len(front):
        terms += 1
        found = np.unique(front[:, None] | masks)
        front = found[least[found] < 0]
        least[front] = terms
    return least


def test_s026_minimal_has_the_fewest_terms_for_all_functions_of_three_inputs() -> None:
    for number, least in enumerate(fewest_by_search(3)):
        values = torch.tensor([number >> row & 1 for row in range(8)]).bool()
        terms, proved = fewest_terms(values)
        assert len(terms) == least, number
        assert proved
        assert torch.equal(covered(terms, rows(3).to(torch.int8)).any(0), values)


@pytest.mark.long
@pytest.mark.parametrize("method", ["dnf", "minimal"])
def test_all_functions_of_four_inputs(method: str) -> None:
    """S025, S026, C045: 65,536 functions, 2,048 networks at a time side by side; none needs more than 8 terms."""
    least, most = fewest_by_search(4), 0
    for first in range(0, 2**16, 2048):
        numbers = torch.arange(first, first + 2048)
        values = (numbers[:, None] >> torch.arange(16) & 1).bool()
        draft, outputs = Draft(4), []
        for number, each in zip(numbers.tolist(), values, strict=True):
            terms = true_rows(each) if method == "dnf" else fewest_terms(each)[0]
            assert method == "dnf" or len(terms) == least[number]
            most = max(most, len(terms))
            outputs.append(sum_of_products(draft, terms))
        assert torch.equal(answered(draft.finish(*outputs)).T, values)
    assert most == (16 if method == "dnf" else 8)


@pytest.mark.parametrize("inputs", [2, 3, 4, 5, 6])
def test_concl12_parity_is_the_worst_karnaugh_map(inputs: int) -> None:
    """S027, C045, N013: 2^(N-1) prime implicants, each of all N inputs, and all are needed."""
    primes = prime_implicants(parity(inputs))
    assert primes.shape == (2 ** (inputs - 1), inputs)
    assert not bool((primes == FREE).any())
    assert len(fewest_terms(parity(inputs))[0]) == 2 ** (inputs - 1)


@pytest.mark.parametrize("inputs", [2, 4, 6, 8, 12, 16])
def test_concl13_a_chain_of_xors_is_linear(inputs: int) -> None:
    """S028, C046, N014: 3(N-1) or 2(N-1) units, 2(N-1) layers."""
    assert sizes(inputs, chain, 3, False) == (3 * (inputs - 1), 2 * (inputs - 1))
    assert sizes(inputs, chain, 2, False) == (2 * (inputs - 1), 2 * (inputs - 1))
    if inputs <= 12:
        assert is_right(draft_of(parity(inputs), "xor-chain", block=2)[0], parity(inputs))
        assert is_right(draft_of(parity(inputs), "xor-chain", block=3)[0], parity(inputs))


@pytest.mark.parametrize("inputs", [2, 3, 4, 5, 6, 7, 8, 11, 16, 17, 64])
def test_concl14_pairs_take_two_log_layers(inputs: int) -> None:
    """S029, C047, N015: 2 ceil(log2 N) layers (printed 2 log2 N), and the units of the chain."""
    layers = 2 * math.ceil(math.log2(inputs))
    assert sizes(inputs, tree, 3, False) == (3 * (inputs - 1), layers)
    assert sizes(inputs, tree, 2, False) == (2 * (inputs - 1), layers)


def test_concl15_units_at_fixed_depth() -> None:
    """S030, C048, N016, E008: 3 Σ N/2^i + 2^(N/2^k - 1) + 1 units in 2k + 2 layers; printed 2^(N/2^i - 1) and k + 2."""
    found = [sizes(16, hybrid, 3, False, depth) for depth in range(5)]
    assert found == [(32769, 2), (153, 4), (45, 6), (45, 8), (45, 8)]  # the last is the tree: no term is left to join
    for depth in range(4):
        formula = 3 * sum(16 / 2**i for i in range(1, depth + 1)) + 2 ** (16 / 2**depth - 1) + 1
        assert found[depth] == (formula, 2 * depth + 2)
    assert [sizes(64, hybrid, 3, False, depth)[0] for depth in (2, 3, 4, 5, 6)] == [32913, 297, 189, 189, 189]
    for depth in (1, 2, 3, 4):
        assert is_right(draft_of(parity(16), "hybrid", depth=depth)[0], parity(16))


@pytest.mark.parametrize("inputs", [2, 5, 8])
def test_concl15_is_told_of_no_more_stages_than_there_are(inputs: int) -> None:
    levels = (inputs - 1).bit_length()
    for depth in (levels + 1, 20):
        assert conclusions(inputs, depth) == conclusions(inputs, levels)
    told = conclusions(inputs, 20)[5]
    assert f"with k = {levels} stages of pairs, all that there are," in told
    assert f"in 2k+2 = {2 * levels + 2} layers" in told
    assert "all that there are" not in conclusions(inputs, levels - 1)[5]


def test_concl152_too_few_layers_cost_exponentially() -> None:
    """C049: the last hidden layer has 2^(N/2^k - 1) units."""
    for depth, width in ((1, 2**7), (2, 2**3), (3, 2)):
        draft = Draft(16)
        output = hybrid(draft, range(16), 3, False, depth)
        assert sum(unit == output for unit in draft.unit) == width


def test_concl16_parameters_follow_the_units() -> None:
    """S031, C050: dnf of parity has N 2^(N-1) + 2^(N-1) connections, each a weight that is not 0; a chain 6(N-1)."""
    for inputs in range(2, 11):
        draft, _ = draft_of(parity(inputs), "dnf")
        assert counted(draft)["connections"] == (inputs + 1) * 2 ** (inputs - 1)
        assert 0 not in draft.weight
        assert counted(draft_of(parity(inputs), "xor-chain")[0])["connections"] == 6 * (inputs - 1)


def test_concl21_and_the_others_are_told_in_their_right_form() -> None:
    """C053, N017, E007-E009: 16 lines make 81 cells; 40 or 41 of them are black where (N+2)²/8 says 40.5."""
    told = "\n".join(conclusions(16, depth=1))
    for figure in ("40 or 41", "(N+2)²/8 = 40.5", "3(N-1) = 45", "= 153 units", "Built: 153 units in 4 layers",
                   "2^(N-1) = 32,768", "Built: 45 units in 30 layers", "or 30 units in 30 layers",
                   "Built: 45 units in 8 layers", "quadratic", "printed k+2"):  # fmt: skip
        assert figure in told, figure
    assert "Built, with the OR: 9 units in 2 layers, 40 connections" in "\n".join(conclusions(4, depth=0))
    assert len(conclusions(20, depth=0)) == 8


def test_parity_of_twenty_inputs_is_right_in_a_million_rows() -> None:
    draft, _ = draft_of(parity(20), "xor-tree")
    assert is_right(draft, parity(20))
    assert (len(draft.units), max(layer for _, layer, _ in draft.units)) == (57, 10)


@given(st.integers(0, 2**32 - 1), st.floats(0.05, 0.65))
@settings(max_examples=15, deadline=None)
def test_the_fewest_terms_of_eight_inputs(seed: int, share: float) -> None:
    """The form is the function, its terms are prime, none is needless; greedy covers of 9 inputs likewise."""
    generator = torch.Generator().manual_seed(seed)
    for inputs in (8, 9):
        values = torch.rand(2**inputs, generator=generator) < share
        terms, proved = fewest_terms(values)
        assert proved <= (inputs == 8)
        cover = covered(terms, rows(inputs).to(torch.int8))
        assert torch.equal(cover.any(0), values)
        assert set(map(tuple, terms.tolist())) <= set(map(tuple, prime_implicants(values).tolist()))
        assert bool((cover & (cover.sum(0) == 1)).any(1).all())


def test_the_function_of_twelve_inputs_with_the_most_primes_is_minimised() -> None:
    """1 where 4 to 8 inputs are: 12!/(4! 4! 4!) primes, each of four inputs that are 1, four that are 0, four free."""
    count = rows(12).sum(1)
    values = (count >= 4) & (count <= 8)
    assert len(prime_implicants(values)) == 34_650
    terms, proved = fewest_terms(values)
    assert not proved
    assert len(terms) < 600 < int(values.sum())
    assert torch.equal(covered(terms, rows(12).to(torch.int8)).any(0), values)


@given(FUNCTIONS)
@settings(max_examples=40, deadline=None)
def test_a_term_covers_the_rows_that_have_what_it_asks_for(values: Tensor) -> None:
    inputs = len(values).bit_length() - 1
    terms, where = prime_implicants(values), rows(inputs).to(torch.int8)
    found = covered(terms, where)
    for term, row in itertools.product(range(len(terms)), range(len(where))):
        pairs = zip(terms[term].tolist(), where[row].tolist(), strict=True)
        assert bool(found[term, row]) == all(asked in (FREE, has) for asked, has in pairs)


def test_where_no_cover_is_found_the_greedy_one_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    values = from_words("majority:5").values
    monkeypatch.setattr(boolean, "_least_cover", lambda cover: (None, False))
    terms, proved = fewest_terms(values)
    assert not proved
    assert len(terms) == 10
    assert torch.equal(covered(terms, rows(5).to(torch.int8)).any(0), values)
    assert "perhaps not the fewest" in draft_of(values, "minimal")[1]


@given(FUNCTIONS)
@settings(max_examples=25, deadline=None)
def test_sympy_gives_the_function_too_and_no_fewer_terms(values: Tensor) -> None:
    terms, _ = fewest_terms(values, "sympy")
    assert torch.equal(covered(terms, rows(len(values).bit_length() - 1).to(torch.int8)).any(0), values)
    assert len(fewest_terms(values)[0]) <= len(terms)


def test_espresso_gives_the_function_too() -> None:
    pytest.importorskip("pyeda", reason="espresso is an extra")
    generator = torch.Generator().manual_seed(0)
    for share in (0.0, 0.3, 0.7, 1.0):
        values = torch.rand(256, generator=generator) < share
        terms, _ = fewest_terms(values, "espresso")
        assert torch.equal(covered(terms, rows(8).to(torch.int8)).any(0), values)
        assert len(fewest_terms(values)[0]) <= len(terms)


def test_espresso_that_is_missing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyeda.boolalg", None)
    monkeypatch.setitem(sys.modules, "pyeda", None)
    with pytest.raises(UserError, match=r"needs pyeda.*deepclassics\[espresso\]"):
        refuse(parity(3), "minimal", 3, 1, "espresso")


def test_minimal_says_when_it_falls_back_to_dnf() -> None:
    values = from_words("and:13").values
    draft, told = draft_of(values, "minimal")
    assert "falls back to dnf" in told
    assert "bears 12 inputs; got 13" in told
    assert is_right(draft, values)


@pytest.mark.parametrize(
    ("data", "method", "depth", "told"),
    [
        ("parity:20", "dnf", 1, "takes 524,288 units .* it can bear 256, and any function of up to 14 inputs"),
        ("parity:20", "minimal", 1, "any function of up to 14 inputs"),
        ("parity:20", "hybrid", 0, "leaves 20 of 20 terms .* it can bear 9 terms here. Give --depth 2 or more"),
        ("nor:14", "xor-tree", 1, "any function of up to 13 inputs"),
    ],
)
def test_what_is_too_large_is_refused_with_what_can_be_borne(
    data: str, method: boolean.Method, depth: int, told: str
) -> None:
    with pytest.raises(UserError, match=told):
        refuse(from_words(data).values, method, 3, depth, "exact")


@pytest.mark.parametrize("method", METHODS)
def test_any_function_of_as_many_inputs_as_is_told_is_let_pass(method: boolean.Method) -> None:
    """The worst ones: all rows 1, and all terms of the algebraic normal form."""
    inputs = boolean.ANY[method]
    worst = torch.ones(2**inputs, dtype=torch.bool) if method in ("dnf", "minimal") else from_words("nor:13").values
    refuse(worst, method, 3, 20, "exact")
    wider = torch.ones(2 ** (inputs + 1), dtype=torch.bool) if inputs == 14 else from_words("nor:14").values
    with pytest.raises(UserError, match="can bear"):
        refuse(wider, method, 3, 20, "exact")


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        cli.main(list(words))
    out = capsys.readouterr()
    return int(end.value.code or 0), out.out, out.err


def test_a_users_expression_from_run_to_predict_and_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, "run", "boolean", "--data", "(a & b) ^ ~c", "--method", "xor-tree", "--json")
    assert code == 0, err
    result = json.loads(out)
    assert {name: result["scores"][f"test/{name}"] for name in ("error", "units", "layers", "parameters")} == {
        "error": 0, "units": 4, "layers": 3, "parameters": 11}  # fmt: skip
    assert any("1.3" in remark for remark in result["remarks"])
    (path,) = (tmp_path / "runs").iterdir()
    assert not set(" &~^|()") & set(path.name), "the name can be typed in a shell"
    code, out, err = run(capsys, "predict", str(path), "1,0,1", "a=1,b=1,c=1", "010", "--json")
    assert [json.loads(line)["label"] for line in out.splitlines()] == ["0", "1", "1"]
    code, out, err = run(capsys, "report", str(path))
    assert code == 0, err
    page = (path / "report" / "index.html").read_text(encoding="utf-8")
    for title in ("The network", "The Karnaugh map", "The truth table", "The same function by every method"):
        assert title in page
    assert "Not drawn" not in page
    assert Run.open(path).spec()["names"] == ["a", "b", "c"]


def test_another_table_in_the_same_file_is_not_gone_on_with(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table, out = tmp_path / "table.csv", str(tmp_path / "run")
    table.write_text("a,b,y\n0,0,0\n0,1,1\n1,0,1\n1,1,0\n")
    assert run(capsys, "run", "boolean", "--data", str(table), "--out", out)[0] == 0
    spec = Run.open(Path(out)).spec()
    table.write_text("a,b,y\n0,0,1\n0,1,1\n1,0,0\n1,1,0\n")
    assert spec != Boolean(data=str(table)).load().spec
    assert spec["ones"] == Boolean(data=str(table)).load().spec["ones"], "the same number of ones: the digest tells"
    code, _, told = run(capsys, "run", "boolean", "--data", str(table), "--out", out)
    assert code == 2
    assert "was begun on other data" in told


def test_pictures_of_functions_that_cannot_be_drawn_are_sentences(tmp_path: Path) -> None:
    from deepclassics.report import graph, karnaugh

    network = Units(9)
    network.take(draft_of(parity(9), "dnf")[0])
    with look(), pytest.raises(UserError, match="can be drawn up to 140"):
        graph.units(network, [f"x{number}" for number in range(9)])
    with look(), pytest.raises(UserError, match="up to 6 inputs; this function has 7"):
        karnaugh.karnaugh(parity(7), list("abcdefg"), true_rows(parity(7)))
