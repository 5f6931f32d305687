"""The loop and the run folder: looks, best weights, patience, signals, what is not finite, what cannot be written."""

import errno
import json
import os
import pickle
import resource
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from deepclassics import run as run_module
from deepclassics.data.streams import Columns, Data, InOrder, Shuffled, Stored
from deepclassics.errors import UserError
from deepclassics.host import Host
from deepclassics.learn import Backprop, Clock, Learner
from deepclassics.loop import Plan, Stopped, carry_out, fit
from deepclassics.recipe import find
from deepclassics.run import FORMAT, Run

HOST = Host(device="cpu", threads=1)


def numbers() -> Data:
    x = torch.linspace(-1, 1, 32)[:, None]
    columns = Columns(x=x, y=3 * x)
    spec = {"kind": "numbers", "data": "numbers", "examples": {"train": 32}}
    return Data(spec, Shuffled(columns, 8, 0), InOrder(columns))


def squares(model: nn.Module, batch: dict) -> dict:
    return {"loss": (model(batch["x"]) - batch["y"]).square().mean()}


def line(lr: float = 0.1) -> Backprop:
    torch.manual_seed(0)
    model = nn.Linear(1, 1)
    return Backprop(model, squares, torch.optim.SGD(model.parameters(), lr))


def begun(path: Path) -> Run:
    """A folder of some recipe; the loop does not care which."""
    run = Run.begin(path, find("mlp")())
    run.describe(find("mlp")(), {"kind": "numbers"}, {})
    return run


def test_rows_hold_the_mean_of_the_training_scores(tmp_path: Path) -> None:
    run, learner, seen = begun(tmp_path / "run"), line(), []
    step = learner.step
    learner.step = lambda batch, clock: seen.append(step(batch, clock)) or seen[-1]  # type: ignore[method-assign]
    how = fit(learner, numbers(), Plan(8, 4), run, HOST)
    rows = run.metrics()
    assert [row["step"] for row in rows] == [0, *range(1, 9)]
    assert rows[3]["train/loss"] == pytest.approx(float(seen[2]["loss"]))
    assert [row["step"] for row in rows if "valid/loss" in row] == [0, 4, 8]
    assert rows[4]["epoch"] == 1.0
    assert how["steps"] == 8
    assert how["ended"] == "planned"


def test_batches_begun_ahead_are_given_up_at_the_end(tmp_path: Path) -> None:
    """Of pictures that do not fit in memory two batches more would be kept for ever."""
    image = Stored(lambda number: np.full(1, number, dtype=np.uint8), (32, 1))
    stored = Columns(x=image, y=torch.zeros(32, 1))
    data = Data({}, Shuffled(stored, 8, 0))
    fit(line(), data, Plan(3, 3), begun(tmp_path / "run"), HOST)
    assert not image._begun


class Scripted(Learner):
    """A learner whose validation losses are written down beforehand."""

    def __init__(self, losses: list[float], done_at: int | None = None) -> None:
        self.model = nn.Linear(1, 1)
        self.losses, self.done_at, self.steps = losses, done_at, 0

    def step(self, batch: Any, clock: Clock) -> dict:
        self.steps += 1
        nn.init.constant_(self.model.weight, float(self.steps))
        self.done = self.steps == self.done_at
        return {"loss": torch.tensor(1.0)}

    def evaluate(self, stream: Any) -> dict:
        return {"loss": self.losses[self.steps]}

    def parts(self) -> dict:
        return {"model": self.model}


def test_patience_stops_and_the_best_weights_stand(tmp_path: Path) -> None:
    run = begun(tmp_path / "run")
    learner = Scripted([5.0, 3.0, 2.0, 4.0, 4.0, 4.0, 1.0])
    how = fit(learner, numbers(), Plan(6, 1, "valid/loss", patience=3), run, HOST)
    assert (how["steps"], how["ended"], how["selection"]) == (5, "patience", "best by valid/loss")
    assert learner.model.weight.item() == 2.0
    assert run.weights()["weight"].item() == 2.0


def test_a_run_killed_before_its_first_update_looks_once(tmp_path: Path) -> None:
    """Or the look would count twice towards patience."""
    run = begun(tmp_path / "run")

    def killed(batch: Any, clock: Clock) -> dict:
        raise KeyboardInterrupt

    learner = Scripted([1.0, 2.0, 2.0, 2.0])
    learner.step = killed  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        fit(learner, numbers(), Plan(6, 1, "valid/loss", patience=2), run, HOST)
    how = fit(Scripted([1.0, 2.0, 2.0, 2.0]), numbers(), Plan(6, 1, "valid/loss", patience=2), run, HOST)
    assert (how["steps"], how["ended"]) == (2, "patience")
    assert [row["step"] for row in run.metrics()] == [0, 1, 2]


def test_a_learner_that_is_done_ends_the_run_with_its_last_weights(tmp_path: Path) -> None:
    run = begun(tmp_path / "run")
    learner = Scripted([1.0, 5.0, 5.0, 5.0], done_at=3)
    how = fit(learner, numbers(), Plan(100, 1, "valid/loss"), run, HOST)
    assert (how["steps"], how["ended"], how["selection"]) == (3, "done", "last weights")
    assert run.weights()["weight"].item() == 3.0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_finishes_the_update_saves_and_stops(tmp_path: Path, number: int) -> None:
    run, learner = begun(tmp_path / "run"), line()
    step = learner.step

    def interrupted(batch: Any, clock: Clock) -> dict:
        if clock.step == 5:
            os.kill(os.getpid(), number)
        return step(batch, clock)

    learner.step = interrupted  # type: ignore[method-assign]
    before = signal.getsignal(number)
    with pytest.raises(Stopped) as stop:
        fit(learner, numbers(), Plan(20, 4), run, HOST)
    assert stop.value.number == number
    assert signal.getsignal(number) is before
    checkpoint = run.checkpoint()
    assert checkpoint is not None
    assert checkpoint["step"] == 6
    resumed = line()
    fit(resumed, numbers(), Plan(20, 4), run, HOST)
    whole = line()
    fit(whole, numbers(), Plan(20, 4), begun(tmp_path / "whole"), HOST)
    assert torch.equal(resumed.model.weight, whole.model.weight)
    assert [row["step"] for row in run.metrics()] == list(range(21))


def test_what_is_not_finite_stops_and_names_step_score_and_parameter(tmp_path: Path) -> None:
    """Law 7: a diverging run keeps its last good checkpoint and says what went first."""
    run = begun(tmp_path / "run")
    with pytest.raises(UserError) as fault:
        fit(line(lr=1e30), numbers(), Plan(2000, 2000), run, HOST)
    text = str(fault.value)
    assert "train/loss became" in text
    assert "at update" in text
    assert "weight" in text or "output" in text
    checkpoint = run.checkpoint()
    assert checkpoint is not None
    assert all(bool(tensor.isfinite().all()) for tensor in checkpoint["parts"]["model"].values())
    assert (run.path / "bad_batch.safetensors").exists()
    assert run.result() is None
    assert all(
        "NaN" not in line and "Infinity" not in line for line in (run.path / "metrics.jsonl").read_text().splitlines()
    )


def test_names_the_first_output_that_is_not_finite(tmp_path: Path) -> None:
    class Root(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.sqrt()

    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(1, 1), Root(), nn.Linear(1, 1))
    learner = Backprop(model, squares, torch.optim.SGD(model.parameters(), 0.1))
    with pytest.raises(UserError, match=r"nan at update (\d+)\. The first to go was the output of 1, at update \1\."):
        fit(learner, numbers(), Plan(10, 10), begun(tmp_path / "run"), HOST)


def test_a_full_disk_leaves_the_checkpoint_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = begun(tmp_path / "run")
    run.save({"step": 3, "parts": {}})
    good = (run.path / "last.pt").read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))  # a real refusal of the kernel, in the middle of the file
    try:
        with pytest.raises(UserError, match=r"last\.pt could not be written.*earlier one is as it was"):
            run.save({"step": 6, "parts": {"model": {"weight": torch.zeros(10_000)}}})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert (run.path / "last.pt").read_bytes() == good
    assert not list(run.path.glob("*.part"))

    def full(*place: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(run_module.os, "fsync", full)
    with pytest.raises(UserError, match=r"no space left on device; [\d]+ MiB are free there"):
        run.save({"step": 6, "parts": {}})
    assert (run.path / "last.pt").read_bytes() == good


class Evil:
    def __reduce__(self) -> Any:
        return (os.system, (f"touch {self.mark}",))

    def __init__(self, mark: Path) -> None:
        self.mark = mark


def test_a_checkpoint_with_code_in_it_is_refused_and_not_run(tmp_path: Path) -> None:
    """Law 9."""
    run = begun(tmp_path / "run")
    for save in (
        lambda value, file: torch.save(value, file),
        lambda value, file: file.write_bytes(pickle.dumps(value)),
    ):
        save({"format": 1, "system": "mlp", "step": 1, "parts": Evil(tmp_path / "ran")}, run.path / "last.pt")
        with pytest.raises(UserError, match="which is refused and never run"):
            run.checkpoint()
    (run.path / "best.safetensors").write_bytes(pickle.dumps(Evil(tmp_path / "ran")))
    with pytest.raises(UserError, match="damaged or something else"):
        run.weights()
    assert not (tmp_path / "ran").exists()


def test_damaged_foreign_and_newer_checkpoints_are_told_apart(tmp_path: Path) -> None:
    run = begun(tmp_path / "run")
    run.save({"step": 3, "parts": {"model": {"weight": torch.zeros(1000)}}})
    good = (run.path / "last.pt").read_bytes()
    (run.path / "last.pt").write_bytes(good[: len(good) // 2])
    with pytest.raises(UserError, match="cut short or damaged"):
        run.checkpoint()
    torch.save({"format": 1, "system": "lenet5", "step": 1, "parts": {}}, run.path / "last.pt")
    with pytest.raises(UserError, match="must be of system 'mlp'; it is of 'lenet5'"):
        run.checkpoint()
    torch.save({"format": FORMAT + 1, "system": "mlp", "step": 1, "parts": {}}, run.path / "last.pt")
    with pytest.raises(UserError, match="newer version"):
        run.checkpoint()
    torch.save([1, 2], run.path / "last.pt")
    with pytest.raises(UserError, match="some other file"):
        run.checkpoint()


def test_other_knobs_and_other_systems_on_an_old_folder_are_refused(tmp_path: Path) -> None:
    """Law 8. A folder in which nothing was learnt yet, since its first knobs could not be used, takes others."""
    begun(tmp_path / "run")
    Run.begin(tmp_path / "run", find("mlp")(lr=0.5))
    (tmp_path / "run" / "last.pt").touch()
    with pytest.raises(UserError, match=r"other knobs: lr 0\.001 \(now 0\.5\)"):
        Run.begin(tmp_path / "run", find("mlp")(lr=0.5))
    with pytest.raises(UserError, match="holds a run of 'mlp', not of 'lenet5'"):
        Run.begin(tmp_path / "run", find("lenet5")())
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").touch()
    with pytest.raises(UserError, match="it holds other files"):
        Run.begin(tmp_path / "other", find("mlp")())
    facts = json.loads((tmp_path / "run" / "recipe.json").read_text())
    (tmp_path / "run" / "recipe.json").write_text(json.dumps(facts | {"format": FORMAT + 1}))
    with pytest.raises(UserError, match="newer layout"):
        Run.begin(tmp_path / "run", find("mlp")())


def test_two_processes_cannot_run_in_one_folder(tmp_path: Path) -> None:
    first = begun(tmp_path / "run")
    first.hold()
    other = Run.open(tmp_path / "run")
    with pytest.raises(UserError, match="Another process is running"):
        other.hold()
    first.release()
    other.hold()
    other.release()


def test_run_folders_that_begin_as_was_typed_are_named(tmp_path: Path) -> None:
    for age, name in enumerate(("mlp-lr=1", "mlp-lr=2", "mlp-lr=3", "mlp-lr=4", "lenet5-[x]")):
        begun(tmp_path / name)
        os.utime(tmp_path / name / "recipe.json", (1e9 + age, 1e9 + age))
    (tmp_path / "mlp-notes").mkdir()
    newest = " or ".join(f"{tmp_path}/mlp-lr={number}" for number in (4, 3, 2))
    with pytest.raises(UserError, match=rf"no run folder {tmp_path}/mlp\. Did you mean {newest}\? "):
        Run.open(tmp_path / "mlp")
    with pytest.raises(UserError, match=r"Did you mean '.*/lenet5-\[x\]'\?"):
        Run.open(f"{tmp_path}/lenet5-[")
    with pytest.raises(UserError, match=r"no run folder .*vgg\. `deepclassics run NAME`"):
        Run.open(tmp_path / "vgg")


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="must be a folder that can be written"):
        begun(tmp_path / "file" / "run")


def test_a_whole_run_ends_with_a_result_and_a_second_one_only_prints_it(tmp_path: Path) -> None:
    recipe = find("mlp")(data="iris", hidden=(8,), epochs=40, batch=16, lr=0.01)
    result = carry_out(recipe, tmp_path / "run", HOST)
    assert {"system", "steps", "seconds", "scores", "published", "ended", "selection"} <= set(result)
    assert result["system"] == "mlp"
    assert result["scores"]["test/error"] < 0.3
    assert result == json.loads((tmp_path / "run" / "result.json").read_text())
    began = time.perf_counter()
    assert carry_out(recipe, tmp_path / "run", HOST) == result
    assert time.perf_counter() - began < 1
    for name in ("recipe.json", "host.json", "spec.json", "metrics.jsonl", "last.pt", "best.safetensors"):
        assert (tmp_path / "run" / name).stat().st_size > 0


def test_a_bad_look_at_the_very_beginning_is_a_sentence_too(tmp_path: Path) -> None:
    learner = Scripted([float("nan")])
    with pytest.raises(UserError, match=r"valid/loss became nan at update 0\. No weight and no output"):
        fit(learner, numbers(), Plan(3, 1), begun(tmp_path / "run"), HOST)


def test_weights_that_an_update_destroyed_are_not_saved(tmp_path: Path) -> None:
    """Law 7: the loss of the update that destroys them is still finite, and there are no validation data to tell."""

    class Cliff(Scripted):
        def step(self, batch: Any, clock: Clock) -> dict:
            self.steps += 1
            nn.init.constant_(self.model.weight, float("nan") if self.steps >= 3 else float(self.steps))
            return {"loss": torch.tensor(1.0) if self.steps <= 3 else torch.tensor(float("nan"))}

    run = begun(tmp_path / "run")
    data = Data({"kind": "numbers", "data": "numbers", "examples": {"train": 32}}, numbers().train)
    with pytest.raises(UserError, match="train/loss became nan"):
        fit(Cliff([]), data, Plan(10, 10), run, Host(device="cpu", threads=1, save_every=1))
    checkpoint = run.checkpoint()
    assert checkpoint is not None
    assert checkpoint["step"] == 2
    assert checkpoint["parts"]["model"]["weight"].item() == 2.0


def test_a_run_goes_on_only_with_its_own_data(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("a,b,y\n" + "".join(f"{i % 7},{i % 5},{'yes' if i % 3 else 'no'}\n" for i in range(60)))
    recipe = find("mlp")(data=str(table), target="y", hidden=(4,), epochs=2)
    carry_out(recipe, tmp_path / "run", HOST)
    (tmp_path / "run" / "result.json").unlink()
    table.write_text("a,b,c,y\n" + "".join(f"{i % 7},{i},1.5,{'yes' if i % 3 else 'no'}\n" for i in range(60)))
    with pytest.raises(UserError, match="was begun on other data"):
        carry_out(recipe, tmp_path / "run", HOST)


def test_weights_of_another_system_are_told(tmp_path: Path) -> None:
    recipe = find("mlp")(data="iris", hidden=(4,), epochs=1)
    carry_out(recipe, tmp_path / "run", HOST)
    run = Run.open(tmp_path / "run")
    run.keep({"weight": torch.zeros(3)})
    with pytest.raises(UserError, match="must hold the weights of its own system, mlp"):
        run.load_into(recipe.model(run.spec()))


def test_a_last_judgement_that_is_not_finite_is_told_and_the_run_can_still_be_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law 7, of scores that only the end knows: those of the test examples, and those of the recipe's conclusion."""
    recipe = find("mlp")(data="iris", hidden=(4,), epochs=1)
    load = type(recipe).load

    def spoilt(self: Any) -> Data:
        data = load(self)
        data.test.columns["features"].fill_(float("nan"))  # type: ignore[union-attr]
        return data

    with monkeypatch.context() as patch:
        patch.setattr(type(recipe), "load", spoilt)
        for _ in range(2):
            with pytest.raises(UserError, match=r"test/loss became nan .* another --out with a smaller --lr"):
                carry_out(recipe, tmp_path / "run", HOST)
    with monkeypatch.context() as patch:
        patch.setattr(type(recipe), "conclude", lambda *given: ({"test/own": float("inf")}, []))
        with pytest.raises(UserError, match="test/own became inf"):
            carry_out(recipe, tmp_path / "run", HOST)
    run = Run.open(tmp_path / "run")
    assert run.result() is None
    run.load_into(recipe.model(run.spec()))
    assert carry_out(recipe, tmp_path / "run", HOST)["steps"] == run.metrics()[-1]["step"]


def test_other_weights_never_stand_in_for_the_best(tmp_path: Path) -> None:
    run = begun(tmp_path / "run")
    plan = Plan(3, 1, "valid/loss")
    how = fit(Scripted([5.0, 3.0, 4.0, 4.0, 4.0]), numbers(), plan, run, HOST)
    best = (run.path / "best.safetensors").read_bytes()
    for finished in (False, True):
        if finished:
            run.finish({"system": "mlp", "scores": {}, **how})
        (run.path / "best.safetensors").write_bytes(best[:20])
        with pytest.raises(UserError, match=rf"damaged or something else .* take {run.path} away"):
            run.weights()
        (run.path / "best.safetensors").unlink()
        with pytest.raises(UserError, match=rf"best\.safetensors must be there: .* take {run.path} away"):
            run.weights()
    with pytest.raises(UserError, match=r"best\.safetensors must be there"):  # nor does it go on for nothing
        fit(Scripted([4.0] * 9), numbers(), Plan(9, 1, "valid/loss"), run, HOST)
    (run.path / "last.pt").unlink()
    with pytest.raises(UserError, match=r"best\.safetensors must be there"):
        run.weights()


def test_last_weights_are_the_same_in_the_checkpoint(tmp_path: Path) -> None:
    run = begun(tmp_path / "run")
    learner = Scripted([4.0] * 9)
    run.finish({"system": "mlp", "scores": {}, **fit(learner, numbers(), Plan(3, 1), run, HOST)})
    (run.path / "best.safetensors").unlink()
    assert torch.equal(run.weights()["weight"], learner.model.weight)


def test_a_number_column_that_is_constant_in_validation_still_runs(tmp_path: Path) -> None:
    """R² of one row does not exist; the run must not stop for it."""
    table = tmp_path / "t.csv"
    table.write_text("x,y\n" + "".join(f"{i}.5,{i * i}.25\n" for i in range(12)))
    result = carry_out(find("mlp")(data=str(table), target="y", hidden=(4,), epochs=2), tmp_path / "run", HOST)
    assert "valid/r2" not in result["scores"]


def disc(path: Path, round_: bool) -> None:
    """A picture of a disc, or of a square that it fits into."""
    x = torch.arange(40) - 19.5
    inside = x.square()[:, None] + x.square() < 200 if round_ else (x.abs()[:, None] < 14) & (x.abs() < 14)
    Image.fromarray((~inside).numpy()).save(path)


CHANGED = {  # system, file, what it holds first and later: as many points, units and bounds
    "region": ("regions", "own.json", "[[[0,0],[4,0],[4,4],[0,4]]]", "[[[0,0],[4,0],[4,4],[0,4],[2,2]]]"),
    "lines": ("regions", "own.json", '{"lines": [[1,0,0],[0,1,0]]}', '{"lines": [[1,0,0],[0,1,1]]}'),
    "network": (
        "backprop", "own.json",
        '{"inputs": {"x": 1}, "units": [{"name": "o", "inputs": {"x": 2}}], "target": 0.5}',
        '{"inputs": {"x": 1}, "units": [{"name": "o", "inputs": {"x": 2}}], "target": 0.7}',
    ),
    "points": ("pulses", "own.csv", "x,y\n0,0\n1,1\n2,0\n", "x,y\n0,0\n1,5\n2,0\n"),
    "table": ("boolean", "own.csv", "a,b,y\n0,0,0\n0,1,1\n1,0,1\n1,1,0\n", "a,b,y\n0,0,1\n0,1,1\n1,0,0\n1,1,0\n"),
    "no unit": ("neuron", "own.csv", "a,b,y\n0,0,0\n0,1,0\n1,0,0\n1,1,1\n", "a,b,y\n0,0,0\n0,1,1\n1,0,1\n1,1,0\n"),
    "picture": ("regions", "own.png", "square", "disc"),
}  # fmt: skip


@pytest.mark.parametrize(("system", "name", "first", "later"), CHANGED.values(), ids=CHANGED)
def test_a_finished_run_is_not_told_for_a_file_that_was_changed(
    system: str, name: str, first: str, later: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, path = tmp_path / name, tmp_path / "run"

    def write(content: str) -> None:
        disc(file, content == "disc") if file.suffix == ".png" else file.write_text(content)

    write(first)
    recipe = find(system)(data=str(file))
    result = carry_out(recipe, path, HOST)
    assert carry_out(recipe, path, HOST) == result
    write(later)
    with pytest.raises(UserError, match="was begun on other data: content has changed since"):
        carry_out(recipe, path, HOST)
    monkeypatch.setattr("deepclassics.loop.CHEAP", 0)  # a large one is read again if it was written since
    before = (path / "spec.json").stat().st_mtime - 1
    os.utime(file, (before + 2, before + 2))
    with pytest.raises(UserError, match="content has changed"):
        carry_out(recipe, path, HOST)
    os.utime(file, (before, before))
    assert carry_out(recipe, path, HOST) == result


@pytest.mark.parametrize("spoilt", ["gone", "no JSON", "a folder", "no spec"])
def test_a_finished_run_stands_where_its_data_cannot_be_read(spoilt: str, tmp_path: Path) -> None:
    file, path = tmp_path / "own.json", tmp_path / "run"
    file.write_text("[[0,0],[4,0],[4,4]]")
    recipe = find("regions")(data=str(file))
    result = carry_out(recipe, path, HOST)
    if spoilt == "no JSON":
        file.write_text("[")
    elif spoilt == "no spec":
        (path / "spec.json").unlink()
    else:
        file.unlink()
        if spoilt == "a folder":
            file.mkdir()
    assert carry_out(recipe, path, HOST) == result


def test_a_recipe_writes_files_of_its_own_before_the_run_is_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For other programs: whole or not at all, and a run whose files could not be written is not finished."""
    recipe = find("mlp")(data="xor", epochs=1)
    full = True

    def write(path: Path) -> None:
        path.write_text("0.5\n")
        if full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(type(recipe), "files", lambda self, model, spec: {"own.txt": write})
    with pytest.raises(UserError, match=r"own\.txt could not be written"):
        carry_out(recipe, tmp_path / "run", HOST)
    assert Run(tmp_path / "run").result() is None
    full = False
    carry_out(recipe, tmp_path / "run", HOST)
    assert (tmp_path / "run" / "own.txt").read_text() == "0.5\n"
    assert Run(tmp_path / "run").result() is not None
    assert not list((tmp_path / "run").glob("*.part"))
