"""Expressions that a user types: they mean what Python means by them, and can never run anything."""

import builtins
import itertools
import math
import operator
import random
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deepclassics.data.expressions import CONSTANTS, FUNCTIONS, LONGEST, arithmetic, boolean, is_formula, natural
from deepclassics.errors import UserError

NAMES = ("a", "b", "c", "x2", "x10")
SIGNS = {"~": ("~", "¬", "!", "not "), "&": (" & ", "∧", " and ", "&&"), "^": ("^", " xor ", " ⊕ "),
         "|": (" | ", " or ", "∨", "||"), "==": (" == ",), "!=": ("!=",)}  # fmt: skip
BINDS = {"==": 0, "!=": 0, "|": 1, "^": 2, "&": 3, "~": 4}  # the higher, the tighter


Tree = tuple[Any, ...]
LEAVES = st.sampled_from([*NAMES, 0, 1]).map(lambda leaf: ("leaf", leaf))
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.tuples(st.just("~"), inner), st.tuples(st.sampled_from(["&", "^", "|", "==", "!="]), inner, inner)
    ),
    max_leaves=14,
)


def meaning(tree: Tree, values: dict[str, bool]) -> bool:
    """What a tree means, by Python's operators on bool."""
    if tree[0] == "leaf":
        return values[tree[1]] if isinstance(tree[1], str) else bool(tree[1])
    given = [meaning(branch, values) for branch in tree[1:]]
    two: dict[str, Callable[[Any, Any], Any]] = {
        "&": operator.and_, "^": operator.xor, "|": operator.or_, "==": operator.eq, "!=": operator.ne}  # fmt: skip
    return not given[0] if tree[0] == "~" else two[tree[0]](*given)


def spelled(tree: Tree, chance: random.Random, sparing: bool, python: bool = False) -> str:
    """A tree as text, in any of the spellings, with all parentheses or with those alone that precedence asks for."""
    if tree[0] == "leaf":
        return {0: "0", 1: "1"}.get(tree[1], tree[1]) if python else str(tree[1])
    sign = SIGNS[tree[0]][0] if python else chance.choice(SIGNS[tree[0]])

    def inside(branch: Tree, right: bool) -> str:
        text = spelled(branch, chance, sparing, python)
        if branch[0] == "leaf":
            return text
        ours, its = BINDS[tree[0]], BINDS[branch[0]]
        # A comparison of comparisons is a chain to Python, and refused here: it always gets its parentheses.
        needed = its < ours or (its == ours and (right or ours == 0) and tree[0] != "~")
        return f"({text})" if needed or not sparing else text

    if tree[0] == "~":
        return sign + inside(tree[1], True)
    return inside(tree[1], False) + sign + inside(tree[2], True)


def table(names: tuple[str, ...]) -> dict[str, torch.Tensor]:
    rows = list(itertools.product([False, True], repeat=len(names)))
    return {name: torch.tensor([row[place] for row in rows]) for place, name in enumerate(names)}


@given(TREES, st.integers(0, 1000), st.booleans())
@settings(max_examples=200, deadline=None)
def test_a_boolean_expression_means_its_tree(tree: Tree, seed: int, sparing: bool) -> None:
    """In every spelling, with as few parentheses as precedence allows; the names are those that occur."""
    found = boolean(spelled(tree, random.Random(seed), sparing))
    values = table(NAMES)
    wanted = [meaning(tree, {name: bool(values[name][row]) for name in NAMES}) for row in range(2 ** len(NAMES))]
    assert found(values).tolist() == wanted
    assert found.boolean
    assert set(found.names) == {leaf for leaf in leaves(tree) if isinstance(leaf, str)}
    assert list(found.names) == sorted(found.names, key=NAMES.index), "x2 before x10"


def leaves(tree: Tree) -> list[Any]:
    return [tree[1]] if tree[0] == "leaf" else [leaf for branch in tree[1:] for leaf in leaves(branch)]


@given(TREES)
@settings(max_examples=100, deadline=None)
def test_operators_bind_as_pythons_do(tree: Tree) -> None:
    """The sparing text, given to Python itself with numpy's truth values."""
    text = spelled(tree, random.Random(0), sparing=True, python=True)
    values = table(NAMES)
    constants = {"0": "F", "1": "T"}
    python = "".join(constants.get(piece, piece) for piece in re.split(r"(\b[01]\b)", text))
    scope = {name: value.numpy() for name, value in values.items()} | {"F": np.zeros(32, bool), "T": np.ones(32, bool)}
    assert boolean(text)(values).tolist() == eval(python, {"__builtins__": {}}, scope).tolist()


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("a or b and c", "a | (b & c)"),
        ("a xor b and c", "a ^ (b & c)"),
        ("a or b xor c", "a | (b ^ c)"),
        ("not a and b", "(~a) & b"),
        ("NOT a AND (b OR c)", "~a & (b | c)"),
        ("!a && b || c", "((~a) & b) | c"),
        ("a != b", "a ^ b"),
        ("!a != b", "(~a) ^ b"),
        ("a == b | c", "~(a ^ (b | c))"),
        ("~~a", "a"),
        ("a | TRUE", "1 | a"),
        ("false ^ a", "a"),
    ],
)
def test_precedence_and_words(text: str, same: str) -> None:
    values = table(NAMES)
    assert torch.equal(boolean(text)(values), boolean(same)(values))


NUMBERS = st.one_of(st.sampled_from(["x", "y"]), st.integers(0, 4), st.sampled_from([0.5, 1.25, 2e1]))
SUMS = st.recursive(
    NUMBERS.map(lambda leaf: ("leaf", leaf)),
    lambda inner: st.one_of(
        st.tuples(st.just("neg"), inner),
        st.tuples(st.sampled_from(["+", "-", "*", "/", "**", "<", "<=", ">", ">="]), inner, inner),
        st.tuples(st.sampled_from(["sin", "exp", "abs", "tanh"]), inner),
    ),
    max_leaves=8,
)
TIGHT = {"<": 0, "<=": 0, ">": 0, ">=": 0, "+": 1, "-": 1, "*": 2, "/": 2, "neg": 3, "**": 4}


def typed(tree: Tree) -> str:
    """An arithmetic tree with as few parentheses as Python's precedence allows."""
    if tree[0] == "leaf":
        return repr(tree[1]) if not isinstance(tree[1], str) else tree[1]
    if tree[0] in FUNCTIONS:
        return f"{tree[0]}({typed(tree[1])})"

    def inside(branch: Tree, tighter: bool) -> str:
        if branch[0] == "leaf" or branch[0] in FUNCTIONS:
            return typed(branch)
        ours, its = TIGHT[tree[0]], TIGHT[branch[0]]
        return f"({typed(branch)})" if its < ours or (its == ours and tighter) else typed(branch)

    if tree[0] == "neg":
        return "-" + inside(tree[1], False)
    if tree[0] == "**":  # to the right first; and 2 ** -x needs no parentheses
        power = f"-{inside(tree[2][1], False)}" if tree[2][0] == "neg" and tree[2][1][0] == "leaf" else None
        return f"{inside(tree[1], True)} ** {power or inside(tree[2], False)}"
    return f"{inside(tree[1], TIGHT[tree[0]] == 0)} {tree[0]} {inside(tree[2], True)}"


def value(tree: Tree, scope: dict[str, torch.Tensor]) -> torch.Tensor:
    """What an arithmetic tree means, by torch's operators, branch by branch."""
    if tree[0] == "leaf":
        return scope[tree[1]] if isinstance(tree[1], str) else torch.tensor(float(tree[1]), dtype=torch.float64)
    operations: dict[str, Callable[..., Any]] = {
        "neg": operator.neg, "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv,
        "**": operator.pow, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
        "sin": torch.sin, "exp": torch.exp, "abs": torch.abs, "tanh": torch.tanh,
    }  # fmt: skip
    return operations[tree[0]](*(value(branch, scope) for branch in tree[1:])).double()


@given(SUMS, st.floats(-3, 3), st.floats(0.1, 3))
@settings(max_examples=200, deadline=None)
def test_an_arithmetic_expression_means_its_tree(tree: Tree, x: float, y: float) -> None:
    scope = {"x": torch.tensor(x, dtype=torch.float64), "y": torch.tensor(y, dtype=torch.float64)}
    torch.testing.assert_close(arithmetic(typed(tree))(scope), value(tree, scope), rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("-2**2", -4.0), ("2**3**2", 512.0), ("2^3", 8.0), ("7 - 4 - 2", 1.0), ("8 / 4 / 2", 1.0), ("2 + 3 * 4", 14.0),
        ("2 ** -1", 0.5), ("1 < 2", 1.0), ("2 <= 1", 0.0), ("min(3, 2) + max(1, 5)", 7.0), ("step(0)", 1.0),
        ("step(-1)", 0.0), ("relu(-3) + relu(2)", 2.0), ("cos(pi)", -1.0), ("log(e)", 1.0), ("sqrt(16)", 4.0),
        ("sigmoid(0)", 0.5), ("sign(-3)", -1.0), ("tan(0) + tanh(0)", 0.0), ("+3", 3.0), ("1e3", 1000.0),
    ],
)  # fmt: skip
def test_numbers(text: str, value: float) -> None:
    found = arithmetic(f"0 * x + ({text})")({"x": torch.zeros(2, dtype=torch.float64)})
    torch.testing.assert_close(found, torch.full((2,), value, dtype=torch.float64), rtol=0, atol=1e-12)


def test_every_function_and_constant_is_there() -> None:
    for name, count in FUNCTIONS.items():
        found = arithmetic(f"{name}({', '.join(['x'] * count)})")({"x": torch.tensor([0.5], dtype=torch.float64)})
        assert found.shape == (1,)
        assert bool(found.isfinite().all()), name
    assert {name: float(arithmetic(f"{name} + 0 * x")({"x": torch.zeros(1).double()})) for name in CONSTANTS} == {
        "pi": math.pi, "e": math.e}  # fmt: skip


def refusal(language: Callable[[str], Any], text: str) -> str:
    """The sentence it is refused with, or nothing."""
    try:
        language(text)
    except UserError as error:
        return str(error)
    return ""


ATTACKS = [
    "__import__('os').system('touch hacked')", "a & __import__('os').system('touch hacked')", "open('hacked', 'w')",
    "exec('1')", "eval('1')", "(lambda: 1)()", "a.__class__", "a.__class__.__bases__[0].__subclasses__()", "a[0]",
    "[a for a in (1,)]", "{a: 1}", "{a}", "(a, b)", "a if b else a", "f'{a}'", "'a'", "b'a'", "a := 1", "(a := 1)",
    "await a", "yield a", "*a", "print(a)", "a; b", "a\nb", "import os", "a @ b", "a // b", "a % b", "a << 1000000000",
    "a is b", "a in b", "a < b < c", "None", "...", "1j", "sin(x)(x)", "sin(x=1)", "sin(*x)", "getattr(a, b)",
    "\x00", "a \\ b", "a # b\n& c",
]  # fmt: skip


@pytest.mark.parametrize("text", ATTACKS)
@pytest.mark.parametrize("language", [boolean, arithmetic])
def test_nothing_can_be_run(
    text: str, language: Callable[[str], Any], tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused in one sentence, or read as a name and no more; nothing that Python could call is called."""
    monkeypatch.chdir(tmp_path)

    def caught(*given: Any, **named: Any) -> None:
        raise AssertionError("something was run")

    for name in ("eval", "exec", "open", "print"):
        monkeypatch.setattr(builtins, name, caught)
    told = refusal(language, text)
    steps = () if told else language(text).steps
    monkeypatch.undo()
    assert told.endswith(".") or {what for what, _ in steps} == {"name", "and"}, steps
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["2**99999999", "9" * 400, "1e999", "-1e309", "10**10**10"])
def test_huge_numbers_take_no_time(text: str) -> None:
    """Powers are of floats and never of Python's whole numbers, which grow without end."""
    if told := refusal(arithmetic, f"{text} + x"):
        assert "below 1e308" in told
    else:
        found = arithmetic(f"{text} + x")({"x": torch.zeros((), dtype=torch.float64)})
        assert abs(float(found)) == math.inf


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "The expression is empty. Write one"),
        ("   ", "The expression is empty"),
        ("a &", "breaks off or goes wrong"),
        ("a & (b", "breaks off or goes wrong"),
        ("a b", "breaks off or goes wrong"),
        ("2 & a", "a constant must be 0 or 1; got 2"),
        ("a + b", "must be made of names, 0, 1, ~ & ^ |"),
        ("if & b", "goes wrong"),
        ("a" * (LONGEST + 1), "at most 100,000 characters; got 100,001"),
    ],
)
def test_what_is_wrong_is_told(text: str, told: str) -> None:
    with pytest.raises(UserError) as refused:
        boolean(text)
    assert told in str(refused.value)
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("sinn(x)", "there is no function 'sinn'. Did you mean 'sin'?"),
        ("min(x)", "min takes 2 values; got 1"),
        ("sin + x", "sin is a function; write sin(...)"),
        ("x & y", "must be made of names, numbers"),
        ("True + x", "a constant must be a number; got True"),
    ],
)
def test_what_is_wrong_with_arithmetic_is_told(text: str, told: str) -> None:
    with pytest.raises(UserError) as refused:
        arithmetic(text)
    assert told in str(refused.value)


@pytest.mark.parametrize("language", [boolean, arithmetic])
def test_deep_and_long_expressions_are_read_or_refused_in_a_sentence(language: Callable[[str], Any]) -> None:
    sign = "^" if language is boolean else "+"
    long = language(f" {sign} ".join(["x"] * 1000))
    value = long({"x": torch.ones(2, dtype=torch.bool if language is boolean else torch.float64)})
    assert value.tolist() == [0.0 if language is boolean else 1000.0] * 2
    minus = "~" if language is boolean else "-"
    for text in ("(" * 500 + "x" + ")" * 500, minus * 50_000 + "x", f"x{sign}" * 40_000 + "x"):
        assert len(refusal(language, text)) < 300


@pytest.mark.parametrize("text", ["a & b", "~a", "not a", "a xor b", "sin(x)", "x**2", "2*x + 1", "x/y", "a==b", "a∧b"])
def test_what_is_a_formula(text: str) -> None:
    assert is_formula(text)


@pytest.mark.parametrize("text", ["iris", "table.csv", "./a&b/t.csv", "/data/a&b", "~/a.csv", "a(1).csv", "", "nor"])
def test_what_is_a_name_or_a_path(text: str) -> None:
    assert not is_formula(text)


def test_natural_order() -> None:
    names = ["x10", "x2", "x1", "b", "a10b2", "a10b1", "2"]
    assert sorted(names, key=natural) == ["2", "a10b1", "a10b2", "b", "x1", "x2", "x10"]
