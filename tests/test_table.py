"""Tables: the files that people have become features, or are refused in a sentence that names the place."""

import bz2
import contextlib
import gzip
import io
import json
import lzma
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deepclassics.data.kinds import table
from deepclassics.data.streams import Splits
from deepclassics.errors import UserError

IRIS = "5.1,3.5,1.4,0.2,setosa\n7.0,3.2,4.7,1.4,versicolor\n6.3,3.3,6.0,2.5,virginica\n" * 10
HEAD = "sepal length,sepal width,petal length,petal width,species\n"


def refusal(function: Callable[[], object]) -> str:
    with pytest.raises(UserError) as caught:
        function()
    return str(caught.value)


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def encoded(columns: dict[str, Any], target: str = "y", **shares: float) -> Splits:
    """A table of these columns, split and encoded; all rows are to learn from unless `shares` says otherwise."""
    return table.splits(
        table.Table({"all": pd.DataFrame(columns)}, target), seed=0, **({"valid": 0, "test": 0} | shares)
    )


def features(splits: Splits) -> dict[str, list[float]]:
    """The training rows' features by name."""
    return {
        name: splits.train["features"][:, place].tolist() for place, name in enumerate(splits.spec["feature_names"])
    }


@pytest.fixture
def iris(tmp_path: Path) -> Splits:
    raw = table.from_path(write(tmp_path / "iris.csv", HEAD + IRIS), target="species")
    return table.splits(raw, seed=0, valid=0.1, test=0.2)


# Formats


def test_a_table_is_split_by_seed_and_by_class(iris: Splits) -> None:
    assert iris.spec["examples"] == {"train": 21, "valid": 3, "test": 6}
    assert [torch.bincount(part["label"]).tolist() for part in (iris.train, iris.valid, iris.test)] == [
        [7] * 3,
        [1] * 3,
        [2] * 3,
    ]
    assert iris.spec["target"] == {"kind": "class", "name": "species", "classes": ["setosa", "versicolor", "virginica"]}
    assert iris.spec["feature_names"] == ["sepal length", "sepal width", "petal length", "petal width"]
    assert iris.spec["features"] == 4
    assert iris.train["features"].dtype == torch.float32
    assert iris.train["label"].dtype == torch.int64
    json.dumps(iris.spec)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", ", "])
@pytest.mark.parametrize("lines", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_delimiters_ends_of_lines_and_encodings(
    tmp_path: Path, iris: Splits, delimiter: str, lines: str, encoding: str
) -> None:
    text = (HEAD + IRIS).replace(",", delimiter).replace("\n", lines)
    raw = table.from_path(write(tmp_path / "other.csv", text.encode(encoding)), target="species")
    assert torch.equal(table.splits(raw, seed=0, valid=0.1, test=0.2).train["features"], iris.train["features"])


def in_zip(content: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("folder/iris.csv", content)
        archive.writestr("__MACOSX/folder/._iris.csv", b"junk")
    return packed.getvalue()


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("a.csv.gz", gzip.compress),
        ("a.csv.xz", lzma.compress),
        ("a.csv.bz2", bz2.compress),
        ("a.zip", in_zip),
        ("a.csv.zip", in_zip),
        ("A.CSV", bytes),
        ("iris.data", bytes),
    ],
)
def test_compressed_tables(tmp_path: Path, iris: Splits, name: str, pack: Callable[[bytes], bytes]) -> None:
    path = write(tmp_path / name, pack((HEAD + IRIS).encode()))
    raw = table.from_path(path, target="species")
    assert torch.equal(table.splits(raw, seed=0, valid=0.1, test=0.2).train["features"], iris.train["features"])
    if name.endswith(("gz", "xz", "bz2", "zip")):
        write(path, path.read_bytes()[:-30])
        assert "damaged or cut short" in refusal(lambda: table.from_path(path, target="species"))


def test_a_zip_of_two_tables_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.csv", IRIS)
        archive.writestr("b.csv", IRIS)
    assert "must hold one table" in refusal(lambda: table.from_path(tmp_path / "a.zip", target="5"))


def test_json_lines_and_parquet_are_the_same_table(tmp_path: Path, iris: Splits) -> None:
    pytest.importorskip("pyarrow")
    frame = pd.read_csv(io.StringIO(HEAD + IRIS))
    frame.to_json(tmp_path / "a.jsonl", orient="records", lines=True)
    frame.astype({"species": "category"}).to_parquet(tmp_path / "a.parquet")
    frame.set_index("species").to_parquet(tmp_path / "b.parquet")
    for name in ("a.jsonl", "a.parquet", "b.parquet"):
        raw = table.from_path(tmp_path / name, target="species")
        splits = table.splits(raw, seed=0, valid=0.1, test=0.2)
        for column in splits.spec["feature_names"]:
            assert features(splits)[column] == pytest.approx(features(iris)[column])


def test_parquet_without_pyarrow_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "fastparquet", None)
    path = write(tmp_path / "a.parquet", b"PAR1")
    assert "pip install 'deepclassics[parquet]'" in refusal(lambda: table.from_path(path, target="y"))


def test_damaged_parquet_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    path = write(tmp_path / "a.parquet", b"PAR1 and no more")
    assert "must be a Parquet file" in refusal(lambda: table.from_path(path, target="y"))


def test_a_decimal_comma_is_read_where_semicolons_part_the_columns(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "maß;wert\n" + "".join(f"{number},5;{number % 7},25\n" for number in range(40)))
    splits = table.splits(table.from_path(path, target="wert"), seed=0, valid=0, test=0)
    assert splits.train["number"].tolist() == [number % 7 + 0.25 for number in range(40)]
    assert splits.spec["columns"][0]["fill"] == 20.0


def test_quoted_text_with_delimiters_and_lines_in_it(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", 'a,note,y\n1,"one, two\nthree",u\n2,"say ""x""",v\n')
    frame = table.from_path(path, target="y").parts["all"]
    assert frame["note"].tolist() == ["one, two\nthree", 'say "x"']


# Head lines


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (HEAD + IRIS, HEAD.strip().split(",")),
        (IRIS, ["1", "2", "3", "4", "5"]),
        ("39, State-gov, 77516, <=50K\n50, Private, 83311, >50K\n", ["1", "2", "3", "4"]),
        ("colour,answer\nred,yes\nblue,no\n", ["colour", "answer"]),
        ("red,yes\nblue,no\nred,no\n", ["1", "2"]),
        ("label,0,1\n5,0.25,1.5\n7,1.5,2.5\n", ["label", "0", "1"]),
        (",a,b\n0,1.5,2\n1,2.5,3\n", ["column 1", "a", "b"]),
        ("x,y\n?,1\n?,2\n", ["x", "y"]),
        ("?,1\n2,3\n", ["1", "2"]),
        ("1e3,-.5\n2,3\n", ["1", "2"]),
    ],
)
def test_a_head_line_is_told_from_a_row(tmp_path: Path, text: str, names: list[str]) -> None:
    frame, has_head = table._frame(write(tmp_path / "a.csv", text))
    assert list(frame.columns) == names
    assert has_head == (names[0] != "1")


# What columns hold


def test_numbers_are_standardised_by_the_training_rows_alone() -> None:
    draw = np.random.default_rng(0).normal(5, 3, 200)
    splits = encoded({"x": draw, "y": ["u", "v"] * 100}, valid=0.2, test=0.2)
    column = splits.spec["columns"][0]
    assert splits.train["features"].mean().item() == pytest.approx(0, abs=1e-6)
    assert splits.train["features"].std(correction=0).item() == pytest.approx(1, abs=1e-6)
    every = torch.cat([part["features"] for part in (splits.train, splits.valid, splits.test)])[:, 0].double().numpy()
    assert sorted(every * column["std"] + column["mean"]) == pytest.approx(sorted(draw), abs=1e-5)


def test_the_held_back_rows_teach_nothing() -> None:
    """Whatever the values of the test rows are, what is learnt of the columns is the same."""
    noise = np.random.default_rng(0)
    train = pd.DataFrame({"x": noise.normal(size=50), "w": noise.choice(list("abc"), 50), "y": ["u", "v"] * 25})
    specs = []
    for shift in (0.0, 1000.0):
        test = pd.DataFrame({"x": [shift] * 2, "w": ["a", "new" if shift else "b"], "y": ["u", "v"]})
        raw = table.Table({"train": train, "test": test}, "y")
        specs.append(table.splits(raw, seed=0, valid=0, test=0.5).spec)
    assert specs[0] == specs[1]
    assert specs[0]["examples"] == {"train": 50, "test": 2}


def test_missing_numbers_are_the_median_and_say_so(tmp_path: Path) -> None:
    rows = "".join(
        f"{value},{'ab'[place % 2]}\n" for place, value in enumerate(["1", "", "2", "?", "9", "NA", "n/a", "nan"])
    )
    splits = table.splits(
        table.from_path(write(tmp_path / "a.csv", "x,y\n" + rows), target="y"), seed=0, valid=0, test=0
    )
    found = features(splits)
    assert found["x: missing"] == [0, 1, 0, 1, 0, 1, 1, 1]
    assert splits.spec["columns"][0]["fill"] == 2
    assert found["x"][1] == found["x"][2] == found["x"][7]


def test_a_heavy_tail_is_bent_by_a_logarithm_and_others_are_not() -> None:
    """adult's capital-gain: mostly 0, then up to 99,999."""
    heavy = np.zeros(300)
    heavy[:6] = [99_999, 5000, 3000, -400, 2000, 7000]
    splits = encoded({"gain": heavy, "age": np.arange(300) % 70 + 0.5, "y": ["u", "v"] * 150})
    gain, age = splits.spec["columns"]
    assert (gain["log"], age["log"]) == (4000, 0)
    bent = np.sign(heavy) * np.log1p(np.abs(heavy) / 4000)
    assert features(splits)["gain"] == pytest.approx((bent - bent.mean()) / bent.std(), abs=1e-4)
    order = np.argsort(heavy, kind="stable")
    assert (np.diff(np.array(features(splits)["gain"])[order]) >= 0).all()


def test_words_have_a_feature_each_and_rare_ones_share_one() -> None:
    words = ["red"] * 60 + ["blue"] * 55 + ["teal", "pink", None, None, None]
    splits = encoded({"colour": words, "y": ["u", "v"] * 60})
    assert splits.spec["feature_names"] == ["colour=blue", "colour=red", "colour: other", "colour: missing"]
    assert splits.train["features"].sum(1).unique().tolist() == [1]
    assert features(splits)["colour: other"] == [0] * 115 + [1, 1, 0, 0, 0]
    assert features(splits)["colour: missing"] == [0] * 117 + [1, 1, 1]
    assert table.read(["colour=green"], splits.spec)[1]["features"].tolist() == [[0, 0, 1, 0]], "as rare as the rare"


def test_a_word_never_seen_is_zero_everywhere_where_no_word_was_rare() -> None:
    splits = encoded({"colour": ["red", "blue"] * 20, "y": ["u", "v", "v", "u"] * 10})
    assert splits.spec["feature_names"] == ["colour=blue", "colour=red"]
    assert table.read(["colour=green", "colour=", "colour=red"], splits.spec)[1]["features"].tolist() == [
        [0, 0],
        [0, 0],
        [0, 1],
    ]


@pytest.mark.parametrize(
    "form", ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%Y/%m/%d", "%d %b %Y", "%B %d, %Y"]
)
def test_dates_become_year_month_weekday_and_day(form: str) -> None:
    dates = pd.date_range("2019-12-25 00:00", periods=60, freq="D")
    splits = encoded({"when": dates.strftime(form), "y": ["u", "v"] * 30})
    found = features(splits)
    assert list(found) == ["when: year", "when: month", "when: weekday", "when: day"]
    weekday = dates.day_of_week.to_numpy()
    assert found["when: weekday"] == pytest.approx((weekday - weekday.mean()) / weekday.std(), abs=1e-5)
    assert np.diff(found["when: day"]) == pytest.approx(np.full(59, 1 / np.arange(60).std()), abs=1e-4)


def test_moments_have_an_hour_and_missing_dates_say_so() -> None:
    moments = pd.Series(pd.date_range("2020-01-01", periods=48, freq="90min", tz="Europe/Berlin"))
    moments[5] = pd.NaT
    found = features(encoded({"when": moments, "y": ["u", "v"] * 24}))
    assert "when: hour" in found
    assert found["when: missing"] == [float(row == 5) for row in range(48)]
    assert found["when: day"][5] == 0


def test_free_text_becomes_its_commonest_words() -> None:
    texts = [f"The film number{number} was {'great' if number % 2 else 'awful, awful'}!" for number in range(60)]
    splits = encoded({"review": texts, "y": ["u", "v"] * 30})
    found = features(splits)
    assert set(found) == {f"review: {word}" for word in ("the", "film", "was", "great", "awful")}
    assert found["review: great"] == [0, 1] * 30
    assert found["review: awful"] == [1, 0] * 30
    assert table.read(["review=GREAT stuff"], splits.spec)[1]["features"].sum() == 1


def test_truths_are_numbers(tmp_path: Path) -> None:
    rows = "".join(f"{'True' if place % 3 else 'FALSE'},{'ab'[place % 2]}\n" for place in range(12))
    splits = table.splits(
        table.from_path(write(tmp_path / "a.csv", "x,y\n" + rows), target="y"), seed=0, valid=0, test=0
    )
    assert splits.spec["columns"][0]["kind"] == "number"
    assert splits.spec["columns"][0]["mean"] == pytest.approx(8 / 12)


def test_a_few_words_among_numbers_or_dates_count_as_missing() -> None:
    numbers = encoded({"x": ["unknown", "-", *map(str, range(30, 60))], "y": ["u", "v"] * 16})
    assert numbers.spec["columns"][0]["strays"] == ["-", "unknown"]
    assert features(numbers)["x: missing"] == [1, 1] + [0] * 30
    assert table.read(["x=-"], numbers.spec)[1]["features"].tolist()[0][1] == 1
    dates = encoded({"x": ["never", *pd.date_range("2020-01-01", periods=31).astype(str)], "y": ["u", "v"] * 16})
    assert dates.spec["columns"][0]["strays"] == ["never"]
    assert encoded({"x": ["low", "high"] * 5 + ["3"] * 10, "y": ["u", "v"] * 10}).spec["columns"][0]["kind"] == "word"


# What is left out


NOISE = np.random.default_rng(1).normal(size=40)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("id", np.random.default_rng(0).permutation(40) * 1000),
        ("CustomerId", np.random.default_rng(0).permutation(40) * 10**12 + 7),
        ("whatever", np.arange(40)),
        ("column 1", np.random.default_rng(0).permutation(40) + 1000.0),
        ("uuid", [f"{number:x}-{number * 7:x}" for number in range(40)]),
        ("user", [f"user{number}" for number in range(40)]),
        ("tweet_id", [str(10**18 + number) for number in range(40)]),
    ],
)
def test_identifiers_are_named_and_left_out(name: str, values: Any) -> None:
    splits = encoded({name: values, "x": NOISE, "y": ["u", "v"] * 20})
    assert splits.spec["left_out"].keys() == {name}
    assert "identifier" in splits.spec["left_out"][name]
    assert splits.spec["feature_names"] == ["x"]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("width", NOISE + 5),  # measured, so all different
        ("population", np.random.default_rng(0).integers(10**5, 10**9, 40)),  # counted, and all different by chance
        ("id", [*range(39), 0]),  # by its name, but not by its values
        ("idle", np.random.default_rng(0).permutation(40) * 1000),
        ("word", ["a", "b"] * 20),
        ("band", ["20-29", "30-39"] * 20),
        ("when", pd.date_range("2020-01-01", periods=40).astype(str)),
    ],
)
def test_measurements_are_no_identifiers(name: str, values: Any) -> None:
    assert encoded({name: values, "x": NOISE, "y": ["u", "v"] * 20}).spec["left_out"] == {}


def test_a_column_of_numbers_that_is_all_there_is_is_kept() -> None:
    splits = encoded({"x": np.arange(40), "y": NOISE})
    assert (splits.spec["feature_names"], splits.spec["left_out"]) == (["x"], {})


def test_columns_that_never_change_are_left_out() -> None:
    splits = encoded(
        {"a": [7] * 40, "b": ["x"] * 40, "c": [None] * 40, "d": [7, None] * 20, "x": NOISE, "y": ["u", "v"] * 20}
    )
    assert splits.spec["left_out"] == {"a": "always 7", "b": "always x", "c": "always missing"}
    assert splits.spec["feature_names"] == ["d", "d: missing", "x"]


def test_words_that_hardly_come_twice_are_left_out() -> None:
    words = [f"w{number}" for number in range(39)] + ["w0"]
    assert encoded({"w": [*words[:-2], "w1", "w2"], "x": NOISE, "y": ["u", "v"] * 20}).spec["feature_names"][-1] == "x"
    rare = [f"w{number // 2}" for number in range(2000)]
    found = encoded({"w": rare, "x": np.arange(2000) / 7, "y": ["u", "v"] * 1000}).spec
    assert found["left_out"] == {"w": "nothing in it comes often enough to learn from"}


def test_words_that_are_all_rare_tell_at_least_where_they_are_missing() -> None:
    """The cabins of the Titanic: hardly one twice, but most are not known."""
    cabins = [f"C{number // 2}" if number % 4 < 2 else None for number in range(2000)]
    found = encoded({"cabin": cabins, "x": np.arange(2000) / 7, "y": ["u", "v"] * 1000})
    assert found.spec["feature_names"] == ["cabin: missing", "x"]


def test_a_column_that_the_training_rows_do_not_have_is_left_out() -> None:
    train = pd.DataFrame({"a": [None] * 12, "d": ["-"] * 6 + [None] * 6, "x": NOISE[:12], "y": ["u", "v"] * 6})
    test = pd.DataFrame(
        {"a": [3.0] * 60, "d": ["2020-01-01"] * 30 + ["2020-01-02"] * 30, "x": 0.5, "y": ["u", "v"] * 30}
    )
    splits = table.splits(table.Table({"train": train, "test": test}, "y"), seed=0, valid=0, test=0)
    assert splits.spec["left_out"] == {"a": "always missing", "d": "always missing"}


def test_nothing_to_learn_from_is_refused() -> None:
    said = refusal(lambda: encoded({"a": [1] * 20, "y": ["u", "v"] * 10}))
    assert "left out are 'a' (always 1)" in said
    assert "left out are none" in refusal(lambda: encoded({"y": ["u", "v"] * 10}))


# What is to be predicted


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        (["yes", "no"] * 15, ["no", "yes"]),
        ([True, False] * 15, ["False", "True"]),
        (["TRUE", "false"] * 15, ["false", "TRUE"]),
        ([0, 1] * 15, ["0", "1"]),
        ([1.0, 2.0, 10.0] * 10, ["1", "2", "10"]),
        (["1.0", "0.0"] * 15, ["0", "1"]),
        ([3, 4, 5, 6, 7, 8] * 5, ["3", "4", "5", "6", "7", "8"]),
        ([0, 1, 2], ["0", "1", "2"]),
        ([0.5, 1] * 15, None),
        (list(range(30)), None),
        (list(range(7)) * 4, None),  # 28 rows are too few for seven classes
        (["0.25", "7"] * 15, None),
    ],
)
def test_classes_are_told_from_numbers(values: list[Any], classes: list[str] | None) -> None:
    splits = encoded({"x": np.linspace(0, 1, len(values)) ** 2, "y": values})
    if classes is None:
        target = splits.spec["target"]
        assert target["kind"] == "number"
        assert splits.train["number"].tolist() == pytest.approx([float(value) for value in values])
        assert target["mean"] == pytest.approx(splits.train["number"].mean().item(), rel=1e-5)
        assert target["std"] == pytest.approx(splits.train["number"].std(correction=0).item(), rel=1e-5)
    else:
        assert splits.spec["target"] == {"kind": "class", "name": "y", "classes": classes}


def test_a_truth_table_is_learnt_whole() -> None:
    splits = encoded({"a": [0, 0, 1, 1], "b": [0, 1, 0, 1], "y": [0, 1, 1, 0]}, valid=0.1, test=0.2)
    assert (splits.spec["examples"], splits.valid, splits.test) == ({"train": 4}, None, None)


def test_parts_of_the_source_are_kept() -> None:
    frame = pd.DataFrame({"x": NOISE, "y": ["u", "v"] * 20})
    raw = table.Table({"train": frame, "valid": frame[:6], "test": frame[:10]}, "y")
    splits = table.splits(raw, seed=0, valid=0.3, test=0.3)
    assert splits.spec["examples"] == {"train": 40, "valid": 6, "test": 10}
    assert torch.equal(splits.test["features"], splits.train["features"][:10])


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (["u"] * 20, "the target 'y' must have 2 values or more; it is always u"),
        ([5] * 20, "it is always 5"),
        (["u", None, *["v"] * 18], "missing in 1, first in row 2. Take these rows away."),
        ([1.5, np.nan, *[2] * 17, np.nan], "missing in 2, first in row 2"),
        ([1.5, np.inf, *[2] * 18], "row 2: 'y' must be a finite number; got inf"),
        ([*np.arange(59) + 0.5, "12 kg"], "such as '12 kg' in row 60"),
    ],
)
def test_targets_that_cannot_be_learnt_are_refused(values: list[Any], words: str) -> None:
    assert words in refusal(lambda: encoded({"x": np.linspace(0, 1, len(values)) ** 2, "y": values}))


# Refusals


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "must hold a table; it is empty"),
        ("\n \n", "must hold a table; it is empty"),
        ('""\n""\n', "must hold a table; all its lines are empty"),
        ("x,y\n", "must hold rows; it has a head line only"),
        ("x,y\n1,u\n", "must have 2 rows or more to learn from; it has 1"),
        ("x,y\n1,u\n2,v\n3\n4,u\n", "a.csv, line 4: has 1 field, the first line has 2"),
        ("x,y\n1,u\n\n2,v,w\n", "a.csv, line 4: has 3 fields, the first line has 2"),
        ('x,y\n1,u\n2,"v\n3,u\n4,v\n', "a.csv, line 3: has a quotation mark that is never closed"),
        ("x,y\ninf,u\n2,v\n", "a.csv, row 1: 'x' must be a finite number; got inf"),
        ("x,y\n1,u\n-1e999,v\n", "a.csv, row 2: 'x' must be a finite number; got -inf"),
        ("x,y\n1,u\n2,\n", "missing in 1, first in row 2"),
        (b"x,y\n1,caf\xe9\n2,v\n", "byte 9, in line 2, is not. Save it as UTF-8, or convert it: iconv"),
        (b"PK\x03\x04\0\0\0", "must be text; it holds bytes of 0"),
        (HEAD + IRIS, "has no column 'y'. Its columns are sepal length, sepal width"),
        (IRIS, "They are numbered from 1, for there is no head line."),
    ],
)
def test_files_that_cannot_be_read_are_refused_with_the_place(tmp_path: Path, content: str | bytes, words: str) -> None:
    path = write(tmp_path / "a.csv", content)
    assert words in refusal(lambda: table.splits(table.from_path(path, target="y"), seed=0, valid=0.1, test=0.2))


def test_without_a_target_the_columns_are_listed_and_one_is_proposed(tmp_path: Path) -> None:
    said = refusal(lambda: table.from_path(write(tmp_path / "a.csv", HEAD + IRIS)))
    assert "one of sepal length, sepal width, petal length, petal width, species; for example --target species" in said
    assert "--target 5" in refusal(lambda: table.from_path(write(tmp_path / "b.csv", IRIS)))
    assert "--target Class" in refusal(lambda: table.from_path(write(tmp_path / "c.csv", "Class,my x\nu,1\nv,2\n")))
    assert "--target 'my x'" in refusal(lambda: table.from_path(write(tmp_path / "d.csv", "a,my x\nu,1\nv,2\n")))


def test_a_misspelt_target_is_guessed(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", HEAD + IRIS)
    assert "Did you mean 'species'?" in refusal(lambda: table.from_path(path, target="specie"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"a": 1}\n[1]\n', "line 2: must be an object"),
        ('{"a": 1}\n{"a": \n', "line 2: must be an object"),
        ('{"a": [1], "y": 2}\n', "column 'a' must hold numbers or words"),
    ],
)
def test_json_lines_that_are_no_rows_are_refused(tmp_path: Path, content: str, words: str) -> None:
    path = write(tmp_path / "a.jsonl", content)
    assert words in refusal(lambda: table.from_path(path, target="y"))


# Asking


def test_a_row_is_asked_about_in_order_by_name_or_in_a_file(tmp_path: Path, iris: Splits) -> None:
    files = [
        write(
            tmp_path / "named.csv",
            "species,petal width,petal length,extra,sepal width,sepal length\nx,.2,1.4,9,3.5,5.1\n",
        ),
        write(tmp_path / "plain.csv", "5.1,3.5,1.4,0.2\n"),
        write(tmp_path / "whole.csv", "5.1;3.5;1.4;0.2;setosa\n"),
        write(
            tmp_path / "a.jsonl", '{"sepal length": 5.1, "sepal width": 3.5, "petal length": 1.4, "petal width": 0.2}\n'
        ),
    ]
    words = [
        "5.1,3.5,1.4,0.2",
        "5.1, 3.5, 1.4, 0.2, setosa",
        "petal width=0.2,petal length=1.4,sepal length=5.1,sepal width=3.5",
    ]
    names, batch = table.read([*map(str, files), *words], iris.spec)
    assert names == ["named.csv row 1", "plain.csv row 1", "whole.csv row 1", "a.jsonl row 1", *words]
    assert batch["features"].dtype == torch.float32
    assert len(batch["features"].unique(dim=0)) == 1
    assert (iris.train["features"] == batch["features"][0]).all(1).any()


def test_files_of_rows_are_encoded_as_in_training(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", HEAD + IRIS)
    splits = table.splits(table.from_path(path, target="species"), seed=0, valid=0, test=0)
    names, batch = table.read([str(path)], splits.spec)
    assert len(names) == 30
    assert torch.equal(batch["features"], splits.train["features"])


def test_a_table_without_a_head_line_is_asked_about_by_place(tmp_path: Path) -> None:
    """The target is the first column here: new rows without it are not shifted by one."""
    text = "".join(f"{'uv'[row % 2]},{row % 7},{(row * 5) % 11}.5\n" for row in range(30))
    path = write(tmp_path / "a.csv", text)
    splits = table.splits(table.from_path(path, target="1"), seed=0, valid=0, test=0)
    without = write(tmp_path / "b.csv", "".join(line.partition(",")[2] + "\n" for line in text.splitlines()))
    named = write(tmp_path / "c.csv", "p,q\n" + without.read_text())
    for asked in (path, without, named):
        assert torch.equal(table.read([str(asked)], splits.spec)[1]["features"], splits.train["features"])


def test_rows_of_words_alone_are_no_head_line(tmp_path: Path) -> None:
    words = {"colour": ["red", "blue"] * 10, "size": ["big", "small", "big", "big"] * 5, "y": ["u", "v", "v", "u"] * 5}
    row = write(tmp_path / "a.csv", "red,small\n")
    for splits in (encoded(words), encoded({str(n): column for n, column in enumerate(words.values(), 1)}, target="3")):
        assert torch.equal(
            table.read([str(row)], splits.spec)[1]["features"], table.read(["red,small"], splits.spec)[1]["features"]
        )


def test_an_identifier_may_be_given_or_not() -> None:
    splits = encoded({"id": range(40), "x": NOISE, "z": NOISE**2, "y": ["u", "v"] * 20})
    _, batch = table.read(["7,1,2,u", "7,1,2", "1,2", "x=1,z=2"], splits.spec)
    assert len(batch["features"].unique(dim=0)) == 1


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("5.1,3.5", "must have 4 values a row, for sepal length, sepal width, petal length, petal width; got 2"),
        ("", "got 0"),
        ("photo", "got 1"),
        ("5,3\n1,0", "must be the values of one row"),
        ("5.1,wide,1.4,0.2", "row 1: 'sepal width' must be a number; got 'wide'"),
        ("5.1,inf,1.4,0.2", "'sepal width' must be a finite number"),
        ("sepal width=3", "lacks the columns sepal length, petal length, petal width"),
        ("sepal with=3", "there is no column 'sepal with'. Did you mean 'sepal width'?"),
        ("missing.csv", "missing.csv must be a row, or a file of rows"),
        (
            "photo.png",
            "photo.png must be a row, or a file of rows (.csv, .tsv, .jsonl, .ndjson, .parquet, .data); it is another",
        ),
        ("lacks.csv", "lacks.csv: lacks the columns petal length, petal width"),
        ("1," * 400 + "1", "got 401"),
    ],
)
def test_asking_with_what_is_no_row_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, iris: Splits, word: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "photo.png", b"x")
    write(tmp_path / "lacks.csv", "sepal length,sepal width,species\n1,2,x\n")
    assert said in refusal(lambda: table.read([word], iris.spec))


def test_a_missing_value_may_be_left_empty(iris: Splits) -> None:
    _, batch = table.read(["5.1,,1.4,0.2", "5.1,?,1.4,0.2"], iris.spec)
    column = iris.spec["columns"][1]
    assert batch["features"][:, 1].tolist() == pytest.approx([(column["fill"] - column["mean"]) / column["std"]] * 2)


# Arrays


def test_an_array_is_a_table_with_numbered_columns(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=NOISE.reshape(20, 2), y=np.arange(20) % 2, x_test=np.ones((3, 2)), y_test=[0, 1, 1])
    splits = table.splits(table.from_path(tmp_path / "a.npz"), seed=0, valid=0.1, test=0.2)
    assert splits.spec["examples"] == {"train": 18, "valid": 2, "test": 3}
    assert splits.spec["feature_names"] == ["1", "2"]
    assert table.read(["1,2"], splits.spec)[1]["features"].shape == (1, 2)
    np.savez(tmp_path / "b.npz", x=NOISE.reshape(10, 2, 2), y=np.arange(10))
    assert "of shape (rows, columns)" in refusal(lambda: table.from_path(tmp_path / "b.npz"))


# Any table


CELL = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**12), 10**12),
    st.floats(-1e100, 1e100),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8),
    st.dates().map(str),
)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_any_table_becomes_finite_features_the_same_when_asked_about(data: st.DataObject) -> None:
    rows = data.draw(st.integers(10, 25))
    columns = {
        name: data.draw(
            st.lists(st.sampled_from(data.draw(st.lists(CELL, min_size=1, max_size=30))), min_size=rows, max_size=rows)
        )
        for name in ("a", "b", "c")
    }
    frame = table._clean(
        pd.DataFrame({**columns, "sure": np.linspace(0, 1, rows) ** 2, "y": (["u", "v"] * rows)[:rows]}), "a"
    )
    splits = table.splits(table.Table({"all": frame}, "y"), seed=0, valid=0.2, test=0.2)
    spec = json.loads(json.dumps(splits.spec))
    for part in (splits.train, splits.valid, splits.test):
        assert torch.isfinite(part["features"]).all()
        assert part["features"].shape[1] == spec["features"] == len(spec["feature_names"])
    assert np.array_equal(table._encode(spec["columns"], frame, "a"), table._encode(splits.spec["columns"], frame, "a"))


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_a_table_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = write(tmp_path_factory.getbasetemp() / "fuzz.csv", b"x,y\n1,u\n2,v\n" + content)
    with contextlib.suppress(UserError):
        table.splits(table.from_path(path, target="y"), seed=0, valid=0, test=0)


# Real tables


@pytest.mark.parametrize(
    ("name", "target", "rows", "width", "kind"),
    [
        ("iris.csv", "5", 150, 4, "class"),
        ("sonar.csv", "61", 208, 60, "class"),
        ("wine.csv", "14", 178, 13, "class"),
        ("pima-indians-diabetes.csv", "9", 768, 8, "class"),
        ("winequality-red.csv", "12", 1599, 11, "class"),
        ("abalone.csv", "9", 4177, 10, "number"),
        ("california_housing.csv.gz", "median_house_value", 20_640, 14, "number"),
    ],
)
def test_real_tables(mirror: Path, name: str, target: str, rows: int, width: int, kind: str) -> None:
    splits = table.splits(table.from_path(mirror / "tabular" / name, target=target), seed=0, valid=0.1, test=0.2)
    assert sum(splits.spec["examples"].values()) == rows
    assert (splits.spec["features"], splits.spec["target"]["kind"], splits.spec["left_out"]) == (width, kind, {})
    assert torch.isfinite(splits.train["features"]).all()


def test_adult_is_encoded_in_a_second_or_so(mirror: Path) -> None:
    begin = time.process_time()
    raw = table.from_path(mirror / "tabular" / "adult-train.csv.gz", target="15")
    splits = table.splits(raw, seed=0, valid=0.1, test=0.2)
    seconds = time.process_time() - begin
    assert splits.spec["examples"] == {"train": 22_793, "valid": 3_256, "test": 6_512}
    assert splits.spec["target"]["classes"] == ["<=50K", ">50K"]
    assert {column["name"] for column in splits.spec["columns"] if column["missing"]} == {"2", "7", "14"}
    assert {column["name"] for column in splits.spec["columns"] if column.get("log")} == {"3", "11", "12"}
    assert seconds < 2, f"takes half a second of an idle core; took {seconds:.1f}"


@pytest.mark.parametrize(
    ("name", "content", "twice"),
    [
        ("a.csv", "a,b,a\n0,1,2\n1,2,3\n", "a.csv: every column must have a name of its own; 'a' comes 2 times"),
        ("a.tsv", "a\ta\ta \n0\t1\t2\n1\t2\t3\n", "'a' comes 3 times"),
        ("a.csv", "column 2,,y\n0,1,2\n1,2,3\n", "'column 2' comes 2 times"),
        ("a.jsonl", '{"a": 1, "a": 2}\n', "a.jsonl, line 1: every key must come once; 'a' comes twice"),
        ("a.jsonl", '{"a": 1, "a ": 2}\n', "'a' comes 2 times"),
    ],
)
def test_a_name_that_comes_twice_is_refused(name: str, content: str, twice: str, tmp_path: Path) -> None:
    assert twice in refusal(lambda: table.rows(write(tmp_path / name, content)))


def test_a_typed_row_gives_every_value_once() -> None:
    spec = encoded({"a": np.linspace(0, 1, 20), "b": np.linspace(1, 0, 20) ** 2, "y": ["u", "v"] * 10}).spec
    assert "'a' comes 2 times" in refusal(lambda: table.read(["a=1,b=2,a=3"], spec))


SOME = np.random.default_rng(0).random(100)


@pytest.mark.parametrize("size", [1e-320, 1e-300, 1e-150, 1.0, 1e90])
@pytest.mark.parametrize("heavy", [False, True])
def test_numbers_of_any_size_are_standardised_without_a_warning(size: float, heavy: bool) -> None:
    values = SOME * size
    if heavy:
        values[7] = 1e99
    found = encoded({"x": values, "z": SOME, "y": ["u", "v"] * 50})
    assert bool(found.train["features"].isfinite().all())
    if not heavy and size >= 1e-150:
        expected = (SOME - SOME.mean()) / SOME.std()
        np.testing.assert_allclose(found.train["features"][:, 0].numpy(), expected, rtol=1e-4, atol=1e-5)
    assert bool(table.read(["1e99,0.5"], found.spec)[1]["features"].isfinite().all())


@pytest.mark.parametrize(
    ("column", "target", "says"),
    [
        (SOME * 1e300, ["u", "v"] * 50, "row 1: 'x' must be a number of at most 1e+100 in size; got 6.36962e+299"),
        ([0.5, -1e300, *SOME[2:]], ["u", "v"] * 50, "row 2: 'x' must be a number of at most 1e+100 in size"),
        (SOME, [0.5, 1.5, 1e16, *SOME[3:]], "row 3: 'y' must be a number of at most 1e+15 in size; got 1e+16"),
    ],
)
def test_numbers_whose_squares_overflow_are_refused(column: Any, target: Any, says: str) -> None:
    assert says in refusal(lambda: encoded({"x": column, "y": target}))


def test_so_are_those_of_a_question() -> None:
    spec = encoded({"x": SOME, "y": ["u", "v"] * 50}).spec
    assert "at most 1e+100 in size; got 1e+300" in refusal(lambda: table.read(["x=1e300"], spec))
