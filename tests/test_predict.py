"""`predict`: rows to read, as JSON and as CSV, in batches; and over several runs the average of their answers, and what
it gains on the single ones."""

import csv
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from deepclassics import cli
from deepclassics.data.kinds import image
from deepclassics.data.streams import Columns, Ragged
from deepclassics.host import Host
from deepclassics.loop import carry_out
from deepclassics.recipe import find
from deepclassics.run import Run
from deepclassics.systems import names
from deepclassics.verbs import predict
from deepclassics.verbs.predict import average, flat, judged, same_examples, written

HOST = Host(device="cpu", threads=1)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Three weak nets on the circle, which has a test part of its own, so the seeds may differ."""
    folder = tmp_path_factory.mktemp("runs")
    for seed in range(3):
        recipe = find("mlp")(data="circle", hidden=(8,), activation="tanh", lr=0.03, epochs=10, seed=seed)
        carry_out(recipe, folder / str(seed), HOST)
    return [str(folder / str(seed)) for seed in range(3)]


def asked(capsys: pytest.CaptureFixture[str], *words: str) -> list[dict[str, Any]]:
    with pytest.raises(SystemExit) as end:
        cli.main(["predict", *words, "--json"])
    out = capsys.readouterr()
    assert end.value.code == 0, out.err
    return [json.loads(line) for line in out.out.splitlines()]


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as end:
        cli.main(["predict", *words])
    assert end.value.code == 2
    return capsys.readouterr().err


def test_the_answer_is_the_average_of_the_probabilities(runs: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """S138."""
    single = [asked(capsys, run, "1,2", "4,0") for run in runs]
    together = asked(capsys, *runs, "1,2", "4,0")
    assert len(together) == 2
    for place, row in enumerate(together):
        rows = [answers[place] for answers in single]
        assert row["each"] == [each["label"] for each in rows]
        blue = sum(each["probability"] if each["label"] == "blue" else each["next"]["blue"] for each in rows) / 3
        share = row["probability"] if row["label"] == "blue" else row["next"]["blue"]
        assert share == pytest.approx(blue, abs=1e-6)
        assert row["label"] == ("blue" if blue > 0.5 else "orange")


def test_a_dash_reads_standard_input(
    runs: list[str], texts: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def given(content: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))

    given(b"\xef\xbb\xbf1,2\r\n\n4,0")
    assert asked(capsys, runs[0], "-", "3,3") == asked(capsys, runs[0], "1,2", "4,0", "3,3")
    given("a füne film, at last\n-\n".encode())
    rows = asked(capsys, str(texts / "one"), "-")
    assert [row["name"] for row in rows] == ["a füne film, at last", "-"], "a line is what it is"
    given(b"\n")
    assert "it is empty" in refused(capsys, runs[0], "-")
    for content in (b"caf\xe9", b"1,2\0"):
        given(content)
        assert "must be text in UTF-8" in refused(capsys, runs[0], "-")


def test_help_tells_what_an_input_may_be(runs: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["predict", runs[0], "--help"])
    assert "a row as 5.1,3.5 or width=5.1,height=3.5, or a table of rows" in " ".join(capsys.readouterr().out.split())
    kinds = {kind for name in names() for kind in ([find(name).asked] if find(name).asked else find(name).takes)}
    assert kinds == set(predict.INPUTS)
    assert all({"read", "read_in_batches"} & set(vars(predict.kind(name))) for name in kinds)


def test_the_gain_on_the_single_runs_is_told(runs: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """C102: averaging helps; by convexity the loss of the average is never above the mean of the losses."""
    *single, mean, whole, gain = asked(capsys, *runs, "--test")
    assert [row["name"] for row in single] == runs
    results = [json.loads((Path(run) / "result.json").read_text()) for run in runs]
    for row, result in zip(single, results, strict=True):
        assert row["error"] == pytest.approx(result["scores"]["test/error"])
        assert row["loss"] == pytest.approx(result["scores"]["test/loss"], abs=1e-5)
    assert mean["error"] == pytest.approx(sum(row["error"] for row in single) / 3)
    assert gain["error"] == pytest.approx(mean["error"] - whole["error"])
    assert gain["loss"] > 0
    assert gain["error"] > 0
    assert asked(capsys, runs[0], "--test") == single[:1]


def test_the_average_of_numbers_obeys_the_ambiguity_identity() -> None:
    """S138, C102: (ȳ - d)² = mean (y_m - d)² - mean (y_m - ȳ)², example for example."""
    torch.manual_seed(0)
    y, d = torch.randn(5, 20, dtype=torch.float64), torch.randn(20, dtype=torch.float64)
    whole = average([{"number": each} for each in y])["number"]
    torch.testing.assert_close((whole - d).square(), (y - d).square().mean(0) - (y - whole).square().mean(0))
    scores = judged({"number": whole}, Columns(number=d))
    assert scores["rmse"] == pytest.approx(float((whole - d).square().mean().sqrt()))


def test_examples_are_the_same_but_for_scale_and_zero() -> None:
    torch.manual_seed(0)
    features, label = torch.randn(30, 3), torch.arange(30) % 3
    one = Columns(features=features, label=label)
    assert same_examples(one, Columns(features=features * torch.tensor([2.0, 0.1, 5.0]) + 3, label=label))
    assert not same_examples(one, Columns(features=features.flip(0), label=label))
    assert not same_examples(one, Columns(features=features, label=label.flip(0)))
    assert not same_examples(one, Columns(features=features[:20], label=label[:20]))
    number = torch.randn(30)
    one = Columns(features=features, number=number)
    assert same_examples(one, Columns(features=features * 2, number=number.clone()))
    assert not same_examples(one, Columns(features=features, number=2 * number + 3)), "that is another column"


def test_texts_are_the_same_if_all_their_words_are() -> None:
    label = torch.tensor([0, 1])
    one = Columns(ids=Ragged.of([[1, 2], [3]]), label=label)
    assert same_examples(one, Columns(ids=Ragged.of([[1, 2], [3]]), label=label))
    assert not same_examples(one, Columns(ids=Ragged.of([[1, 2], [4]]), label=label))
    assert not same_examples(one, Columns(ids=Ragged.of([[1], [2, 3]]), label=label))
    assert same_examples(one, Columns(ids=Ragged.of([[2, 1], [1]]), label=label), texts=True), "other vocabularies"


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of textcnn on texts with a test part of their own, and on the same with one word of it another."""
    folder = tmp_path_factory.mktemp("texts")
    for data, last in (("same", "dull"), ("other", "poor")):
        for part, count in (("train", 12), ("test", 6)):
            for number in range(count):
                place = folder / data / part / ("good" if number % 2 else "bad")
                place.mkdir(parents=True, exist_ok=True)
                word = ("fine" if number % 2 else "dull") if number or part == "train" else last
                (place / f"{number}.txt").write_text(f"a {word} film of number {chr(97 + number)}")
    knobs: dict[str, Any] = {"embedding": 4, "maps": 2, "epochs": 1}
    for name, data, seed in (("one", "same", 0), ("two", "same", 1), ("three", "other", 0)):
        carry_out(find("textcnn")(data=str(folder / data), seed=seed, **knobs), folder / name, HOST)
    return folder


def test_runs_are_tested_on_the_same_texts(texts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = (Run.open(texts / name).spec()["vocabulary"] for name in ("one", "two"))
    assert one != two, "though each numbers words by its own training texts"
    assert len(asked(capsys, str(texts / "one"), str(texts / "two"), "--test")) == 5
    assert "must be tested on the same examples" in refused(capsys, str(texts / "one"), str(texts / "three"), "--test")


def test_many_texts_are_answered_a_few_at_a_time(
    texts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = ["a fine film", "a dull film of number a", "dull", "fine " * 30, "a film", "b"]
    (tmp_path / "asked.csv").write_text("\n".join(["text", *lines]))
    words = [str(texts / "one"), str(texts / "two"), str(tmp_path / "asked.csv")]
    whole = asked(capsys, *words)
    shapes = []
    answer = find("textcnn").answer

    def counted(self: Any, model: Any, question: Any, options: Any) -> Any:
        shapes.append(tuple(question["ids"].shape))
        return answer(self, model, question, options)

    monkeypatch.setattr(find("textcnn"), "answer", counted)
    monkeypatch.setattr(predict, "PLACES", 12)
    found = asked(capsys, *words)
    assert shapes[::2] == shapes[1::2] == [(2, 6), (1, 1), (1, 30), (2, 2)]
    assert [row["name"] for row in found] == [f"asked.csv row {number}" for number in range(1, 7)]
    for row, other in zip(found, whole, strict=True):
        assert row["label"] == other["label"]
        assert row["probability"] == pytest.approx(other["probability"], abs=1e-6)


def test_many_sentences_are_tagged_a_few_at_a_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    carry_out(find("tagger")(epochs=0.3, hidden=8, filters=5), tmp_path / "run", HOST)
    (tmp_path / "asked.txt").write_text("Anna met Paul Lange .\nGo .\nThe mayor of Lyon is Anna Lange .\n")
    words = [str(tmp_path / "run"), str(tmp_path / "asked.txt")]
    whole = asked(capsys, *words)
    monkeypatch.setattr(predict, "PLACES", 6)
    assert asked(capsys, *words) == whole
    assert [row["words"][0] for row in whole] == ["Anna", "Go", "The"]
    (line, *_) = csv.DictReader(io.StringIO(printed(capsys, *words, "--csv")[0]))
    assert line["tags"].split() == whole[0]["tags"]
    assert json.loads(line["entities"]) == whole[0]["entities"]


def test_runs_that_cannot_be_averaged_are_refused(
    runs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = [("mlp", {"data": "iris", "epochs": 1}), ("mlp", {"data": "iris", "epochs": 1, "seed": 1})]
    other += [
        ("perceptron", {"data": "circle", "epochs": 1}),
        ("char_rnn", {"data": "hello", "chunk": 4, "hidden": 8, "epochs": 1}),
    ]
    paths = [str(tmp_path / str(place)) for place in range(len(other))]
    for (name, knobs), path in zip(other, paths, strict=True):
        carry_out(find(name)(**knobs), Path(path), HOST)
    assert "other targets" in refused(capsys, runs[0], paths[0], "1,2")
    assert "must be tested on the same examples" in refused(capsys, paths[0], paths[1], "--test")
    assert "with probabilities" in refused(capsys, runs[0], paths[2], "1,2")
    assert "char_rnn, are of another kind" in refused(capsys, paths[3], paths[3], "h")
    assert "Leave one out" in refused(capsys, *runs, "1,2", "--test")
    assert "INPUT" in refused(capsys, *runs)


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Runs of mlp on one table: two on its column y, one on z, and one on y of a table whose columns are turned."""
    folder = tmp_path_factory.mktemp("numbers")
    x = torch.linspace(-1, 1, 80)
    rows = [f"{a:.4f},{2 * a:.4f},{3 + 5 * a:.4f}" for a in x.tolist()]
    (folder / "table.csv").write_text("\n".join(["x,y,z", *rows]) + "\n")
    turned = [",".join(row.split(",")[::-1]) for row in rows]
    (folder / "turned.csv").write_text("\n".join(["z,y,x", *turned]) + "\n")
    asked = {"y": ("table", "y", 8), "again": ("table", "y", 4), "z": ("table", "z", 8), "turned": ("turned", "y", 8)}
    for name, (data, target, hidden) in asked.items():
        knobs = {"data": str(folder / f"{data}.csv"), "target": target, "hidden": (hidden,), "epochs": 3}
        carry_out(find("mlp")(**knobs), folder / name, HOST)
    return {name: str(folder / name) for name in asked}


def test_the_numbers_of_runs_are_averaged(numbers: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    runs = [numbers["y"], numbers["again"]]
    singles = [asked(capsys, run, "0.5,5.5")[0]["value"] for run in runs]
    (row,) = asked(capsys, *runs, "0.5,5.5")
    assert row["each"] == pytest.approx(singles)
    assert row["value"] == pytest.approx(sum(singles) / 2, rel=1e-5)
    *_, mean, whole, gain = asked(capsys, *runs, "--test")
    assert gain["rmse"] == pytest.approx(mean["rmse"] - whole["rmse"])
    assert gain["rmse"] >= 0


@pytest.mark.parametrize(("other", "told"), [("z", "other targets"), ("turned", "other inputs")])
def test_numbers_of_other_columns_are_not_averaged(
    other: str, told: str, numbers: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (["0.5,1"], ["--test"]):
        assert told in refused(capsys, numbers["y"], numbers[other], *words)


@pytest.mark.parametrize(
    ("name", "knobs"),
    [
        ("hebb", {"epochs": 1}),
        ("hebb", {"data": "diabetes", "epochs": 1}),  # whose numbers are no guesses at the target, itself a number
        ("kmeans", {"data": "iris"}),
        ("backprop", {}),
        ("descent", {"updates": 3}),
    ],
)
def test_answers_that_are_not_of_the_target_are_not_tested(
    name: str, knobs: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    carry_out(find(name)(**knobs), tmp_path / "run", HOST)
    run = str(tmp_path / "run")
    told = refused(capsys, run, "--test")
    assert told.startswith("Answers that are tested must be classes or numbers of a column that was learnt")
    assert f"a run of {name}," in told
    assert "averaged" not in told
    assert refused(capsys, run, run, "--test").startswith("Answers that are averaged must be")


def test_clusters_of_a_table_without_classes_are_not_tested(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "points.csv").write_text("x,y\n" + "".join(f"{a},{a % 3}.5\n" for a in range(40)))
    carry_out(find("kmeans")(data=str(tmp_path / "points.csv"), clusters=2), tmp_path / "run", HOST)
    assert "a run of kmeans" in refused(capsys, str(tmp_path / "run"), "--test")


@pytest.mark.parametrize(
    ("name", "knobs"),
    [("descent", {"data": "iris", "optimizer": ("bfgs",), "updates": 5}), ("boolean", {}), ("pulses", {})],
)
def test_one_run_is_tested(
    name: str, knobs: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = carry_out(find(name)(**knobs), tmp_path / "run", HOST)
    (row,) = asked(capsys, str(tmp_path / "run"), "--test")
    score = "rmse" if name == "pulses" else "error"
    assert row[score] == pytest.approx(result["scores"][f"test/{score}"], abs=1e-5)


# --- pictures


CLASSES = ["Ноль, круглый", "label", '猫 "3"']


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of three classes, told by their brightness, and in it runs of two sizes of picture."""
    folder = tmp_path_factory.mktemp("pictures")
    generator = np.random.default_rng(0)
    for level, word in enumerate(CLASSES):
        (folder / "data" / word).mkdir(parents=True)
        for number in range(12):
            pixels = (generator.integers(0, 60, (20, 20)) + 90 * level).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / "data" / word / f"{number}, {word[:2]}.png")
    knobs: dict[str, Any] = {"data": str(folder / "data"), "modern": True, "epochs": 6, "distort": 0.0}
    for name, seed in (("one", 0), ("two", 1)):
        carry_out(find("lenet5")(seed=seed, **knobs), folder / name, HOST)
    for word in CLASSES:
        (folder / "half" / word).mkdir(parents=True)
        for file in (folder / "data" / word).iterdir():
            Image.open(file).resize((10, 10)).save(folder / "half" / word / file.name)
    carry_out(find("lenet5")(**knobs | {"data": str(folder / "half")}), folder / "small", HOST)
    return folder


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[str, str]:
    with pytest.raises(SystemExit) as end:
        cli.main(["predict", *words])
    out = capsys.readouterr()
    assert end.value.code == 0, out.err
    return out.out, out.err


def test_json_lines_hold_all_probabilities(pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = asked(capsys, str(pictures / "one"), str(pictures / "data"))
    assert len(rows) == 36
    for row in rows:
        assert list(row["probabilities"]) == image.natural(CLASSES)
        assert sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        assert row["probability"] == max(row["probabilities"].values()) == row["probabilities"][row["label"]]


def test_csv_is_quoted_and_has_a_column_a_class(pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [str(pictures / "one"), str(pictures / "data")]
    out, _ = printed(capsys, *words, "--csv")
    table = list(csv.DictReader(io.StringIO(out)))
    rows = asked(capsys, *words)
    # A class may be called as another column is.
    heads = [{"label": "probability of label"}.get(word, word) for word in image.natural(CLASSES)]
    assert list(table[0]) == ["name", "label", "probability", *heads]
    assert [line["name"] for line in table] == [row["name"] for row in rows]
    assert [line["label"] for line in table] == [row["label"] for row in rows]
    for line, row in zip(table, rows, strict=True):
        assert [float(line[head]) for head in heads] == list(row["probabilities"].values())


def test_text_leaves_the_many_probabilities_out(pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (row,) = asked(capsys, str(pictures / "one"), str(pictures / "data" / "label" / "3, la.png"))
    out, _ = printed(capsys, str(pictures / "one"), str(pictures / "data" / "label" / "3, la.png"))
    assert out.startswith(f"{row['name']}: label {row['label']}, probability ")
    assert "probabilities" not in out


@pytest.mark.parametrize(
    ("row", "cells"),
    [
        ({"name": "a", "value": 1.5, "each": [1.0, 2.0]}, {"name": "a", "value": 1.5, "each 1": 1.0, "each 2": 2.0}),
        ({"name": "a", "at": {"x": 1.0, "y": 2.0}}, {"name": "a", "at x": 1.0, "at y": 2.0}),
        ({"name": "a", "next": {"b": 0.5}}, {"name": "a", "next b": 0.5}),
        ({"name": "a", "text": "so\nso"}, {"name": "a", "text": "so\nso"}),
        (
            {"name": "a", "text": "a b", "next": ["c", "d"], "probability": [0.5, 0.25]},
            {"name": "a", "text": "a b", "next 1": "c", "next 2": "d", "probability 1": 0.5, "probability 2": 0.25},
        ),
        (
            {"name": "A b", "text": "[A X] b", "words": ["A", "b"], "tags": ["B-X", "O"], "entities": [{"text": "Á"}]},
            {"name": "A b", "text": "[A X] b", "words": "A b", "tags": "B-X O", "entities": '[{"text": "Á"}]'},
        ),
        ({"name": "a", "text": "b", "label": "c"}, {"name": "a", "text": "b", "label": "c"}),
        (
            {"name": "a", "words": ["b", "c"], "cosines": [0.5, 0.25]},
            {"name": "a", "words 1": "b", "words 2": "c", "cosines 1": 0.5, "cosines 2": 0.25},
        ),
    ],
)
def test_any_row_becomes_cells(row: dict[str, Any], cells: dict[str, Any]) -> None:
    assert flat(row) == cells
    text = "\n".join(written([row, row], "csv"))
    assert list(csv.DictReader(io.StringIO(text))) == [{key: str(value) for key, value in cells.items()}] * 2


@pytest.mark.parametrize(
    ("row", "line"),
    [
        ({"name": "a", "text": "a b", "next": ["c", " "], "probability": [0.5, 0.25]}, "a b\nnext: c 0.5, ' ' 0.25"),
        ({"name": "A", "text": "[A X]", "words": ["A"], "tags": ["B-X"], "entities": [{"text": "A"}]}, "[A X]"),
        ({"name": "row 1", "text": "b", "label": "c"}, "row 1: text b, label c"),
        ({"name": "king", "words": ["queen", ","], "cosines": [0.8879, 0.5]}, "king: queen 0.89, ',' 0.50"),
    ],
)
def test_rows_with_a_text_are_readable(row: dict[str, Any], line: str) -> None:
    assert predict.text(row) == line


def test_what_is_missing_is_an_empty_cell() -> None:
    assert list(written([{"name": "a", "from": None, "to": 1.0}], "csv")) == ["name,from,to", "a,,1.0"]


@pytest.mark.parametrize(
    ("name", "knobs", "words", "heads"),
    [
        ("mlp", {"data": "iris", "epochs": 1}, ["1,2,3,4"],
         ["name", "label", "probability", "setosa", "versicolor", "virginica"]),
        ("char_rnn", {"data": "hello", "chunk": 4, "hidden": 8, "epochs": 1}, ["h"], ["name", "text"]),
        ("mdp", {}, ["0"], ["name", "action", "value"]),
        ("backprop", {}, ["0.35,0.9"], None),
    ],
)  # fmt: skip
def test_every_kind_of_answer_is_csv(
    name: str,
    knobs: dict[str, Any],
    words: list[str],
    heads: list[str] | None,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    carry_out(find(name)(**knobs), tmp_path / "run", HOST)
    out, _ = printed(capsys, str(tmp_path / "run"), *words, "--csv")
    (line,) = csv.DictReader(io.StringIO(out))
    assert heads is None or list(line) == heads
    assert None not in line.values()


def test_the_scores_of_test_are_csv(runs: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = printed(capsys, *runs, "--test", "--csv")
    assert next(csv.DictReader(io.StringIO(out))).keys() == {"name", "error", "loss"}


def test_many_pictures_are_answered_a_few_at_a_time(
    pictures: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = asked(capsys, str(pictures / "one"), str(pictures / "data"))
    answered = []
    answer = find("lenet5").answer

    def counted(self: Any, model: Any, question: Any, options: Any) -> Any:
        answered.append(len(question["image"]))
        return answer(self, model, question, options)

    monkeypatch.setattr(find("lenet5"), "answer", counted)
    monkeypatch.setattr(predict, "BATCH", 7)
    found = asked(capsys, str(pictures / "one"), str(pictures / "data"))
    assert answered == [7, 7, 7, 7, 7, 1]
    assert [row["name"] for row in found] == [row["name"] for row in whole]
    for row, other in zip(found, whole, strict=True):
        assert list(row["probabilities"].values()) == pytest.approx(list(other["probabilities"].values()), abs=1e-6)
    # The first rows are there before the last pictures are read.
    answered.clear()
    run = Run.open(pictures / "one")
    next(predict.answers([run], [str(pictures / "data")], run.recipe().options(), pictures))
    assert answered == [7]


def test_what_cannot_be_read_is_left_out_and_named(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        Image.new("L", (20, 20), 50 * number).save(tmp_path / f"{number}.png")
    (tmp_path / "1.png").write_bytes(b"no picture")
    (tmp_path / "3.png").write_bytes(b"")
    told = refused(capsys, str(pictures / "one"), str(tmp_path))
    assert told.startswith(f"{tmp_path / '1.png'} must be a picture; it is damaged")
    assert "--skip-bad" in told
    monkeypatch.setattr(predict, "BATCH", 2)
    for several in ([str(pictures / "one")], [str(pictures / "one"), str(pictures / "small")]):
        out, err = printed(capsys, *several, str(tmp_path), "--json", "--skip-bad")
        names = [Path(json.loads(line)["name"]).name for line in out.splitlines()]
        assert names == ["0.png", "2.png", "4.png"]
        assert err.startswith("Left out 2 that cannot be read:\n")
        assert f"  {tmp_path / '3.png'}: it is empty\n" in err
    told = refused(capsys, str(pictures / "one"), str(tmp_path / "1.png"), "--skip-bad")
    assert told.startswith("None of these 1 could be read:")


def test_options_that_do_not_fit_are_refused(
    pictures: Path, runs: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert "got both" in refused(capsys, str(pictures / "one"), "x.png", "--csv", "--json")
    assert "not asked about pictures" in refused(capsys, runs[0], "1,2", "--skip-bad")


def test_runs_of_other_sizes_of_picture_are_averaged(pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each reads the files in its own size; their test examples are not the same, though."""
    runs = [str(pictures / name) for name in ("one", "small", "two")]
    singles = [asked(capsys, run, str(pictures / "data")) for run in runs]
    together = asked(capsys, *runs, str(pictures / "data"))
    assert len(together) == 36
    for row, *each in zip(together, *singles, strict=True):
        assert row["each"] == [single["label"] for single in each]
        for word, share in row["probabilities"].items():
            assert share == pytest.approx(sum(single["probabilities"][word] for single in each) / 3, abs=1e-6)
    assert "other shapes of pictures" in refused(capsys, runs[0], runs[1], "--test")
    assert "must be tested on the same examples" in refused(capsys, runs[0], runs[2], "--test")


def test_a_reader_that_leaves_is_no_defect(pictures: Path) -> None:
    command = [sys.executable, "-m", "deepclassics", "predict", str(pictures / "one"), str(pictures / "data"), "--csv"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 0
