"""The table of folds: which runs make a row, and what is averaged (benchmarks/folds.py)."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

PATH = Path(__file__).resolve().parents[1] / "benchmarks" / "folds.py"


@pytest.fixture
def folds() -> Any:
    specification = importlib.util.spec_from_file_location("folds", PATH)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def run(folder: Path, error: float, **knobs: Any) -> Path:
    """A finished run folder, as far as it is read."""
    path = folder / str(len(list(folder.iterdir())))
    path.mkdir()
    knobs = {"data": "mr", "seed": 0, "fold": None, "variant": "static", "vectors": None} | knobs
    (path / "recipe.json").write_text(json.dumps({"knobs": knobs}))
    result = {"system": "textcnn", "data": "mr", "scores": {"test/error": error}, "published": [], "seconds": 60}
    (path / "result.json").write_text(json.dumps(result))
    return path


def test_the_folder_of_vectors_is_no_difference_and_their_name_is(folds: Any, tmp_path: Path) -> None:
    found = folds.rows(
        [
            run(tmp_path, 0.1, fold=0, vectors="a/news.bin"),
            run(tmp_path, 0.2, fold=1, vectors="b/news.bin"),
            run(tmp_path, 0.4, fold=0, vectors="a/wiki.txt"),
        ]
    )
    assert [(row["vectors"], row["runs"], row["right"]) for row in found] == [
        ("news.bin", "2 folds", pytest.approx(85.0)),
        ("wiki.txt", "1 fold", pytest.approx(60.0)),
    ]
    assert "| static | wiki.txt | 1 fold | 60.0 |" in folds.table(found)


def test_several_seeds_of_a_fold_count_once(folds: Any, tmp_path: Path) -> None:
    errors = {(0, 0): 0.1, (0, 1): 0.2, (0, 2): 0.3, (1, 0): 0.4}
    (row,) = folds.rows([run(tmp_path, error, fold=fold, seed=seed) for (fold, seed), error in errors.items()])
    assert row["right"] == pytest.approx(70.0)
    assert row["deviation"] == pytest.approx(200**0.5)
    assert row["runs"] == "2 folds, 3 seeds"
    (row,) = folds.rows([run(tmp_path, error, seed=seed) for seed, error in enumerate((0.1, 0.3))])
    assert (row["runs"], row["right"]) == ("2 runs", pytest.approx(80.0))
