"""Boolean functions as data: typed, as a family, or as a table in a file."""

import itertools
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deepclassics.data import load
from deepclassics.data.kinds import boolean
from deepclassics.data.kinds.boolean import Truth, from_path, from_words, is_written, read, rows, splits
from deepclassics.errors import UserError


def written(folder: Path, text: str, name: str = "table.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_rows_are_counted_with_the_first_input_most_significant() -> None:
    assert rows(3).int().tolist() == [list(bits) for bits in itertools.product((0, 1), repeat=3)]
    assert [from_words("a").values.tolist(), from_words("a & ~b").values.int().tolist()] == [
        [False, True],
        [0, 0, 1, 0],
    ]


@pytest.mark.parametrize("inputs", [1, 2, 3, 5])
def test_families(inputs: int) -> None:
    told = {
        "parity": lambda bits: sum(bits) % 2,
        "majority": lambda bits: sum(bits) > len(bits) / 2,
        "and": all,
        "or": any,
        "nand": lambda bits: not all(bits),
        "nor": lambda bits: not any(bits),
    }
    assert told.keys() == boolean.FAMILIES.keys()
    for word, value in told.items():
        found = from_words(f"{word}:{inputs}")
        assert found.names == tuple(f"x{place}" for place in range(1, inputs + 1))
        assert found.values.tolist() == [bool(value(bits)) for bits in itertools.product((0, 1), repeat=inputs)]


def test_names_of_an_expression_are_in_natural_order() -> None:
    assert from_words("x10 | x2 & x1").names == ("x1", "x2", "x10")


@pytest.mark.parametrize("data", ["a & b", "not a", "parity:3", " parity:3 ", "truth:0110", "majoity:3", "(a ^ b)"])
def test_what_is_meant_as_a_function(data: str) -> None:
    assert is_written(data)


@pytest.mark.parametrize("data", ["a", "iris", "table.csv", "./a&b/table.csv", "folder/", "", "Blackjack-v1"])
def test_what_is_not(data: str) -> None:
    assert not is_written(data)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ("paritty:3", "no family of functions 'paritty'. Did you mean 'parity'"),
        ("parity:21", "number of inputs, 1 to 20; got '21'"),
        ("parity:", "got ''"),
        ("parity:0", "got '0'"),
        ("parity:٣", "got '٣'"),
        ("parity:99999999999999999999", "got '99999999999999999999'"),
        ("truth:011", "got 3 characters, '011'"),
        ("truth:0", "got 1 characters"),
        ("truth:0120", "each 0 or 1"),
        ("1 & 0", "one input at least"),
        (" ^ ".join(f"x{number}" for number in range(21)), "at most 20 inputs, a table of 1,048,576 rows; got 21"),
        (
            " & ".join([f"({' | '.join(f'x{number}' for number in range(20))})"] * 150),
            "must have at most 4,768 names and signs for 1,048,576 rows, to be worked out in seconds; it has 5,999",
        ),
        ("a & b & (lambda: 1)", "it holds something else"),
        ("a & (b", "cannot be read"),
    ],
)
def test_words_that_are_no_function_are_refused_in_a_sentence(data: str, told: str) -> None:
    with pytest.raises(UserError) as refused:
        from_words(data)
    assert told in str(refused.value)


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_a_table_is_read_whatever_the_order_of_its_rows_and_columns(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    inputs = data.draw(st.integers(1, 4))
    values = data.draw(st.lists(st.booleans(), min_size=2**inputs, max_size=2**inputs))
    place = data.draw(st.integers(0, inputs))
    between, ending = data.draw(st.sampled_from([(",", "csv"), (";", "csv"), ("\t", "tsv")]))
    word = data.draw(st.sampled_from([("0", "1"), ("false", "TRUE")]))
    names = [f"n{number}" for number in range(inputs)]
    lines = [between.join([*names[:place], "output", *names[place:]])]
    order = data.draw(st.permutations(range(2**inputs)))
    for row in [*order, *order[:2]]:  # a row that comes twice with the same value does no harm
        bits = [word[int(bit)] for bit in f"{row:0{inputs}b}"]
        lines.append(between.join([*bits[:place], word[values[row]], *bits[place:]]))
    found = from_path(written(tmp_path_factory.mktemp("tables"), "\n".join(lines) + "\n\n", f"table.{ending}"))
    assert found.names == tuple(names)
    assert found.values.tolist() == values


def test_without_a_column_of_that_name_the_last_one_is_the_value(tmp_path: Path) -> None:
    found = from_path(written(tmp_path, "\ufeffy,x,z\n0,0,1\n0,1,0\n1,0,0\n1,1,0\n"))
    assert found.names == ("y", "x")
    assert found.values.tolist() == [True, False, False, False]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "must name two columns or more, the inputs and the value; got 0"),
        ("a\n0\n", "got 1"),
        ("0,0,1\n0,1,1\n", "the first line must name the columns; it holds values"),
        ("a,a,out\n0,0,1\n", "got 'a' more than once"),
        ("a,,out\n0,0,1\n", "got '' more than once or empty"),
        ("a,b,out\n0,0,1\n0,1\n", "line 3: a row must have 3 values, a, b, out; got 2"),
        ("a,b,out\n0,0,1\n0,1,1,0\n", "line 3: a row must have 3 values, a, b, out; got 4"),
        ("a,b,out\n0,0,1\n0,0,0\n", "line 3: a row must have one value; a=0, b=0 is 0 here and 1 before"),
        ("a,b,out\n0,nan,1\n", "line 2: b must be 0 or 1, or false or true; got 'nan'"),
        ("a,b,out\n0,inf,1\n", "got 'inf'"),
        ("a,b,out\n0,0,0.5\n", "got '0.5'"),
        ("a,b,out\n0,0,1\n1,1,1\n", "must have all 4 rows of 2 inputs; got 2, and the first that is missing is 0,1"),
        ("a,b,out\n", "got 0, and the first that is missing is 0,0"),
        (",".join(f"x{number}" for number in range(22)) + "\n", "at most 20 inputs, a table of 1,048,576 rows; got 21"),
    ],
)
def test_a_table_that_is_no_function_is_refused_in_a_sentence(text: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as refused:
        from_path(written(tmp_path, text))
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(b"a,b\n\xff\xfe\x00,1\n")
    with pytest.raises(UserError, match="must be a table of text in UTF-8"):
        from_path(path)


def test_nothing_is_held_back_and_the_spec_is_json() -> None:
    found = load("a & b | c", ("boolean",), seed=3)
    assert found.valid is None
    for part in (found.train, found.test):
        assert torch.equal(part["features"], rows(3).float())
        assert part["label"].tolist() == [0, 1, 0, 1, 0, 1, 1, 1]
    assert found.spec["kind"] == "boolean"
    assert found.spec["data"] == "a & b | c"
    assert found.spec["names"] == ["a", "b", "c"]
    assert found.spec["ones"] == 5
    assert found.spec["examples"] == {"train": 8, "test": 8}


SPEC = splits(Truth(("a", "b", "c"), torch.zeros(8).bool()), seed=0, valid=0.0, test=0.0).spec


@pytest.mark.parametrize("word", ["1,0,1", "101", "a=1,b=0,c=1", "c=1, a=true, b=false", " 1, 0 ,TRUE"])
def test_rows_asked_about(word: str) -> None:
    names, batch = read([word], SPEC)
    assert names == [word]
    assert batch["features"].tolist() == [[1.0, 0.0, 1.0]]


@pytest.mark.parametrize("text", ["c,extra,a,b\n1,x,1,0\n0,y,0,1\n", "1,0,1\n0,1,0\n", "a,b,c\n1,0,1\n\n0,1,0\n"])
def test_a_file_of_rows_asked_about(text: str, tmp_path: Path) -> None:
    names, batch = read([str(written(tmp_path, text)), "111"], SPEC)
    assert names == ["table.csv row 1", "table.csv row 2", "111"]
    assert batch["features"].tolist() == [[1.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 1.0, 1.0]]


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("1,0", "a row must have 3 values, a, b, c; got 2"),
        ("10", "got 1"),
        ("1,0,2", "c must be 0 or 1, or false or true; got '2'"),
        ("a=1,d=0", "there is no input 'd'"),
        ("a=1,b=0", "must give every input; c is missing"),
        ("a=1,b=0,c=1,c=0", "must give every input once"),
        ("nowhere.csv", "must be a file; there is none of that name"),
    ],
)
def test_rows_that_cannot_be_asked_about(word: str, told: str) -> None:
    with pytest.raises(UserError) as refused:
        read([word], SPEC)
    assert told in str(refused.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a,b\n1,0\n", "must name every input; c is missing"),
        ("a,b,c\n1,0\n", "line 2: a row must have 3 values; got 2"),
    ],
)
def test_files_that_cannot_be_asked_about(text: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=told):
        read([str(written(tmp_path, text))], SPEC)
