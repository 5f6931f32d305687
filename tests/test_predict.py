"""`predict` over several runs: the average of their answers, and what it gains on the single ones."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from deepclassics import cli
from deepclassics.data.streams import Columns
from deepclassics.host import Host
from deepclassics.loop import carry_out
from deepclassics.recipe import find
from deepclassics.verbs.predict import average, judged, same_examples

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
