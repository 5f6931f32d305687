"""Where a run happens: what is left to "auto" is settled by the machine and the work, said, kept, and kept to."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from deepclassics import host as place
from deepclassics.data.streams import Columns, Shuffled
from deepclassics.errors import UserError
from deepclassics.host import LARGE, LONG, Host
from deepclassics.learn import Backprop, Scores
from deepclassics.loop import Stopped, carry_out
from deepclassics.progress import Telling
from deepclassics.recipe import find

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("has", "work", "precision", "layout"),
    [
        (True, LARGE, "bf16", "channels_last"),
        (True, LARGE - 1, "fp32", "default"),
        (False, LARGE, "fp32", "channels_last"),
        (True, 0.0, "fp32", "default"),
    ],
)
def test_auto_goes_by_the_machine_and_the_work(
    has: bool, work: float, precision: str, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, "has_bf16", lambda device: has)
    settled = Host().settled(work, CPU)
    assert (settled.precision, settled.layout) == (precision, layout)
    asked = Host(precision="fp32", layout="default").settled(work, CPU)
    assert (asked.precision, asked.layout) == ("fp32", "default")
    half = Host(precision="fp32", compile="off")
    said = {"layout": "channels_last"} if work >= LARGE else {}
    assert half.settled(work, CPU).chosen(half) == said


def test_the_work_of_an_update_is_counted() -> None:
    """ResNet-20 on 3 x 32 x 32: 40.6 M multiply-adds forward (He et al. 2015 round to 41), three times that in all."""
    recipe = find("resnet")()
    spec: dict[str, Any] = {
        "shape": [3, 32, 32],
        "mean": [0.5] * 3,
        "std": [0.2] * 3,
        "target": {"classes": list("0123456789")},
    }
    assert recipe.work(spec) / 3 == pytest.approx(40.55e6, rel=1e-3)
    assert find("lenet5")().work(spec) == 0


def learner(model: nn.Module) -> Backprop:
    def objective(model: nn.Module, batch: dict[str, Tensor]) -> Scores:
        return {"loss": model(batch["features"]).square().mean()}

    return Backprop(model, objective, torch.optim.SGD(model.parameters(), 0.1))


STREAM = Shuffled(Columns(features=torch.ones(8, 3)), 4, 0)


def test_a_short_run_is_not_tried_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Host, "_seconds", lambda *given: pytest.fail("it was timed"))
    assert Host().timed(learner, nn.Linear(3, 1), STREAM, LONG / 100, 99)[0].compile == "off"
    assert Host(compile="on").timed(learner, nn.Linear(3, 1), STREAM, LONG, 99)[0].compile == "on"


@pytest.mark.parametrize(("plain", "compiled", "takes"), [(1.0, 0.8, "on"), (1.0, 0.95, "off"), (1.0, 1.2, "off")])
def test_a_long_run_is_compiled_where_it_pays(
    plain: float, compiled: float, takes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Updates of copies are timed: the model is as it was, and is not compiled itself."""
    asked: list[nn.Module] = []
    monkeypatch.setattr(nn.Module, "compile", lambda self: asked.append(self))
    times = iter([plain, compiled])
    monkeypatch.setattr(Host, "_seconds", lambda *given: next(times))
    model = nn.Linear(3, 1)
    host, told = Host().timed(learner, model, STREAM, LONG, 1)
    assert host.compile == takes
    assert "800 ms" in told or takes == "off"
    assert len(asked) == 1
    assert asked[0] is not model


def test_timing_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nn.Module, "compile", lambda self: None)
    model = nn.Linear(3, 1)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    _, told = Host().timed(learner, model, STREAM, LONG, 1)
    assert "ms so" in told
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_without_a_compiler_it_runs_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: nn.Module) -> None:
        def call(*given: Tensor) -> Tensor:
            raise RuntimeError("no compiler")

        self._compiled_call_impl = call

    monkeypatch.setattr(nn.Module, "compile", broken)
    host, told = Host().timed(learner, nn.Linear(3, 1), STREAM, LONG, 1)
    assert (host.compile, told) == ("off", "not compiled: RuntimeError")


def test_a_run_that_goes_on_keeps_to_what_was_settled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also on a machine that would settle it otherwise; and it is said and kept."""
    recipe = find("resnet")(epochs=1)
    monkeypatch.setattr(place, "LARGE", 1.0)
    monkeypatch.setattr(place, "has_bf16", lambda device: True)
    told: list[str] = []
    telling = Telling(quiet=True)
    monkeypatch.setattr(telling, "say", told.append)

    def stop(step: int) -> None:
        raise Stopped(2)

    monkeypatch.setattr(telling, "scores", lambda row: stop(0) if row.get("train/loss") else None)
    with pytest.raises(Stopped):
        carry_out(recipe, tmp_path / "run", Host(device="cpu", threads=1), telling)
    kept = json.loads((tmp_path / "run" / "host.json").read_text())
    assert (kept["precision"], kept["layout"], kept["compile"]) == ("bf16", "channels_last", "off")
    assert "precision bf16; layout channels_last" in told[0]
    monkeypatch.setattr(place, "LARGE", 1e30)
    carry_out(recipe, tmp_path / "run", Host(device="cpu"))
    kept = json.loads((tmp_path / "run" / "host.json").read_text())
    assert (kept["precision"], kept["layout"], kept["threads"]) == ("bf16", "channels_last", 1)


def test_batch_normalisation_on_several_ranks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match="Batch normalisation on several ranks"):
        Host().prepare(nn.Sequential(nn.BatchNorm2d(2)), CPU)
