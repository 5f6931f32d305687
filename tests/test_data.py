"""What `--data` may be: a named set or a path, of a kind that the system takes; its parts; and answers as rows."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from deepclassics.data import load
from deepclassics.data.kinds import label, number
from deepclassics.data.parts import divide, natural
from deepclassics.errors import UserError

EVERY = ("image", "table", "text", "world")


def refusal(data: str, takes: tuple[str, ...] = EVERY, **options: object) -> str:
    with pytest.raises(UserError) as caught:
        load(data, takes, seed=0, **options)  # type: ignore[arg-type]
    return str(caught.value)


def pictures(folder: Path) -> Path:
    for word in ("cat", "dog"):
        for count in range(4):
            path = folder / word / f"{count}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (6, 5), 50 * count).save(path)
    return folder


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one of everything, as the current one."""
    monkeypatch.chdir(tmp_path)
    pictures(tmp_path / "pets")
    (tmp_path / "a.csv").write_text("x,y\n" + "1.5,u\n2.5,v\n" * 10)
    (tmp_path / "a.jsonl").write_text('{"x": 1.5, "y": "u"}\n{"x": 2.5, "y": "v"}\n' * 10)
    (tmp_path / "a.txt").write_text("to be or not to be " * 100)
    (tmp_path / "books").mkdir()
    (tmp_path / "books" / "b.md").write_text("that is the question " * 100)
    (tmp_path / "nothing").mkdir()
    (tmp_path / "a.xlsx").write_bytes(b"PK")
    np.savez(tmp_path / "pixels.npz", x=np.zeros((12, 4, 4), dtype=np.uint8), y=np.arange(12) % 2)
    np.savez(tmp_path / "rows.npz", x=np.random.default_rng(0).normal(size=(12, 3)), y=np.arange(12) % 2)
    return tmp_path


@pytest.mark.parametrize(
    ("data", "kind", "options"),
    [
        ("iris", "table", {}),
        ("digits", "image", {}),
        ("pydocs", "text", {}),
        ("gridworld", "world", {}),
        ("pets", "image", {}),
        ("pets/", "image", {}),
        ("a.csv", "table", {"target": "y"}),
        ("a.jsonl", "table", {"target": "y"}),
        ("a.txt", "text", {}),
        ("books", "text", {}),
        ("pixels.npz", "image", {}),
        ("rows.npz", "table", {}),
        ("FrozenLake-v1", "world", {}),
    ],
)
def test_the_kind_is_seen_by_what_is_there(here: Path, data: str, kind: str, options: dict[str, str]) -> None:
    splits = load(data, EVERY, seed=0, **options)  # type: ignore[arg-type]
    assert (splits.spec["kind"], splits.spec["data"]) == (kind, data)
    others = tuple(other for other in ("image", "table", "text") if other != kind)
    assert f"; {data} is " in refusal(data, others)


def test_what_a_system_does_not_take_is_refused_in_words(here: Path) -> None:
    assert refusal("a.csv", ("image",)) == "This system takes pictures; a.csv is a table."
    assert refusal("pydocs", ("image", "table")) == "This system takes pictures or a table; pydocs is running text."


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("iriss", "There is no data set 'iriss', and no file or folder of that name. Did you mean 'iris'?"),
        ("nowhere/a.csv", "no file or folder of that name"),
        ("nothing", "nothing/ must hold pictures, one folder per class, or text files; it holds neither."),
        ("a.xlsx", "must be a table (.csv, "),
        ("pets/cat/1.png", "or a folder of pictures"),
        ("pets/cat", "lies beside the class folders"),
    ],
)
def test_what_is_not_there_or_not_known_is_refused(here: Path, data: str, words: str) -> None:
    assert words in refusal(data)


def test_a_csv_is_a_world_to_a_system_that_takes_worlds_only(here: Path) -> None:
    (here / "world.csv").write_text("state,action,next,probability,reward\na,go,b,1,1\n")
    assert load("world.csv", ("world",), seed=0).spec["kind"] == "world"


def test_shares_and_target_are_checked(here: Path) -> None:
    assert "must leave something to learn from" in refusal("iris", valid=0.5, test=0.5)
    assert "--target names a column of a table; digits is pictures" in refusal("digits", target="label")
    assert "Did you mean 'species'?" in refusal("iris", target="spezies")
    assert load("iris", EVERY, seed=0, target="petal width (cm)").spec["target"]["kind"] == "number"


def test_options_reach_the_kind(here: Path) -> None:
    (here / "pets" / "cat" / "bad.png").write_bytes(b"no picture")
    assert "bad.png must be a picture" in refusal("pets")
    splits = load("pets", EVERY, seed=0, valid=0, test=0.25, skip_bad=True, size=12)
    assert (splits.spec["shape"], len(splits.spec["skipped"]), splits.valid) == ([1, 12, 12], 1, None)
    assert splits.spec["examples"] == {"train": 6, "test": 2}


def test_looking_for_sets_imports_nothing_heavy() -> None:
    code = "import sys, deepclassics.data.catalog; print({'torch', 'numpy', 'pandas', 'PIL'} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "set()\n"


# Parts


@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=200),
    st.integers(0, 5),
    st.sampled_from([0.0, 0.05, 0.1, 0.3, 0.45]),
    st.sampled_from([0.0, 0.1, 0.2, 0.5]),
)
def test_every_example_is_in_one_part_and_every_class_in_each(
    labels: list[int], seed: int, valid: float, test: float
) -> None:
    array = np.array(labels)
    parts = divide(array, seed=seed, valid=valid, test=test)
    assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(len(labels)))
    for part, share in (("valid", valid), ("test", test)):
        assert (np.diff(parts[part]) > 0).all(), "in their order"
        for word in set(labels):
            size, count = labels.count(word), int((array[parts[part]] == word).sum())
            if share == 0 or size < 3:
                assert count == 0
            else:
                assert 1 <= count <= max(1, size * share + 1)
                assert (array[parts["train"]] == word).any()


def test_shares_are_exact_where_no_class_is_small() -> None:
    """mnist's classes have odd sizes; a tenth of 60,000 is 6,000 all the same."""
    sizes = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    parts = divide(np.repeat(np.arange(10), sizes), seed=0, valid=0.1, test=0.2)
    assert {part: len(index) for part, index in parts.items()} == {"train": 42_000, "valid": 6_000, "test": 12_000}


def test_natural_order() -> None:
    assert natural(["b", "class 10", "10", "class 2", "9", "B", "a"]) == [
        "9",
        "10",
        "a",
        "B",
        "b",
        "class 2",
        "class 10",
    ]


# Answers


def test_labels_as_rows() -> None:
    spec = {"target": {"classes": ["ant", "bee", "cat"]}}
    answer = {"label": torch.tensor([2, 0]), "probability": torch.tensor([[0.25, 0.0, 0.75], [0.5, 0.25, 0.25]])}
    assert label.show(answer, ["a.png", "b.png"], spec, Path()) == [
        {
            "name": "a.png",
            "label": "cat",
            "probability": 0.75,
            "next": {"ant": 0.25, "bee": 0.0},
            "probabilities": {"ant": 0.25, "bee": 0.0, "cat": 0.75},
        },
        {
            "name": "b.png",
            "label": "ant",
            "probability": 0.5,
            "next": {"bee": 0.25, "cat": 0.25},
            "probabilities": {"ant": 0.5, "bee": 0.25, "cat": 0.25},
        },
    ]
    assert label.show({"label": torch.tensor([1])}, ["a"], spec, Path()) == [{"name": "a", "label": "bee"}]


def test_numbers_as_rows() -> None:
    assert number.show({"number": torch.tensor([1.5, -2.0])}, ["a", "b"], {}, Path()) == [
        {"name": "a", "value": 1.5},
        {"name": "b", "value": -2.0},
    ]
