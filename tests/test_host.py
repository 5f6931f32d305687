"""Where a run happens: what is left to "auto" is settled by the machine and the work, said, kept, and kept to."""

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._inductor.exc import CppCompileError, InvalidCxxCompiler

from deepclassics import host as place
from deepclassics import idle
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


def stops_at_a_row(row: dict[str, Any]) -> None:
    if row.get("train/loss"):
        raise Stopped(2)


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
    monkeypatch.setattr(nn.Module, "compile", failing(RuntimeError("no compiler")))
    host, told = Host().timed(learner, nn.Linear(3, 1), STREAM, LONG, 1)
    assert (host.compile, told) == ("off", "not compiled: no compiler")


@pytest.mark.parametrize(
    ("told", "clause"),
    [
        (
            "CppCompileError: C++ compile error\n\nCommand:\ng++ a.cpp -Wall\n\nOutput:\n"
            "a.cpp:2:10: fatal error: Python.h: No such file or directory\n    2 | #include <Python.h>\n",
            "Python.h: No such file or directory",
        ),
        (
            "CppCompileError: C++ compile error\n\nCommand:\ng++ a.cpp\n\nOutput:\na.cpp:9:8: warning: unused\n",
            "the C++ compiler ended without naming an error, as where it is stopped or short of memory",
        ),
        (
            "InvalidCxxCompiler: No working C++ compiler found in torch._inductor.config.cpp.cxx: (None, 'g++')\n\nSet",
            "there is no working C++ compiler",
        ),
        (
            "backend='inductor' raised:\nRuntimeError: Cannot find Triton.\n\nSet ...",
            "RuntimeError: Cannot find Triton",
        ),
        ("", "ValueError"),
    ],
)
def test_why_compilation_failed_is_one_short_clause(told: str, clause: str) -> None:
    assert place.uncompiled(ValueError(told)) == clause


def failing(error: Exception, before: Callable[[], None] = lambda: None) -> Callable[[nn.Module], None]:
    """A stand-in for `nn.Module.compile`: at its first use it fails as compilation does."""

    def broken(self: nn.Module) -> None:
        def call(*given: Tensor) -> Tensor:
            before()
            raise error

        self._compiled_call_impl = call

    return broken


def test_compilation_that_is_asked_for_and_fails_ends_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = CppCompileError(["g++", "a.cpp"], "a.cpp:2:10: fatal error: Python.h: No such file or directory")
    monkeypatch.setattr(nn.Module, "compile", failing(error))
    with pytest.raises(
        UserError, match=r"^--compile on: .* Python.h: No such file or directory\. It takes a C\+\+ comp"
    ):
        carry_out(find("lenet5")(), tmp_path / "run", Host(device="cpu", threads=1, compile="on"))
    assert carry_out(find("lenet5")(epochs=1), tmp_path / "other", Host(device="cpu", compile="off"))["steps"]


def test_a_signal_that_ends_the_compiler_stops_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the keyboard it reaches both processes, and the compiler dies of it first."""
    killed = CppCompileError(["g++", "a.cpp"], "")
    monkeypatch.setattr(nn.Module, "compile", failing(killed, lambda: signal.raise_signal(signal.SIGINT)))
    with pytest.raises(Stopped, match="SIGINT"):
        carry_out(find("lenet5")(), tmp_path / "run", Host(device="cpu", threads=1, compile="on"))


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch, at itself
def test_a_compiled_run_goes_on_as_if_never_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Really compiled: near the plain run, and the same bits with a stop as without."""
    from torch._dynamo.utils import counters
    from torch._inductor.cpp_builder import get_cpp_compiler

    try:
        get_cpp_compiler()
    except InvalidCxxCompiler:
        pytest.skip("there is no working C++ compiler")
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "compiled"))
    recipe, host = find("mlp")(epochs=2), Host(device="cpu", threads=1, compile="on")
    telling = Telling(quiet=True)
    monkeypatch.setattr(telling, "scores", lambda row: signal.raise_signal(signal.SIGINT) if len(row) > 1 else None)
    with pytest.raises(Stopped):
        carry_out(recipe, tmp_path / "stopped", host, telling)
    found = [carry_out(recipe, tmp_path / name, host)["scores"] for name in ("stopped", "whole")]
    plain = carry_out(recipe, tmp_path / "plain", Host(device="cpu", threads=1, compile="off"))["scores"]
    assert found[0] == found[1]
    assert found[0] == pytest.approx(plain, rel=1e-3)
    assert counters["stats"]["unique_graphs"] > 0


@pytest.mark.parametrize(("kept", "taken"), [(True, "on"), (False, "off"), ("on", "on"), ("off", "off")])
def test_a_run_of_before_there_was_an_auto_goes_on_as_it_was(kept: object, taken: str) -> None:
    """Then compilation was a truth in host.json."""
    facts = {"threads": 1, "precision": "fp32", "layout": "default", "compile": kept}
    host = Host().going_on(facts)
    assert (host.compile, host.threads, host.precision) == (taken, 1, "fp32")
    assert Host(compile="off", threads=2).going_on(facts).model_dump(include={"compile", "threads"}) == {
        "compile": "off",
        "threads": 2,
    }


def test_the_batches_that_timing_began_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    dropped: list[object] = []
    monkeypatch.setattr(Shuffled, "drop", lambda self: dropped.append(self))
    monkeypatch.setattr(nn.Module, "compile", lambda self: None)
    Host().timed(learner, nn.Linear(3, 1), STREAM, LONG, 1)
    assert dropped == [STREAM]


@pytest.mark.parametrize(
    ("files", "free"),
    [
        ({}, 8 << 30),
        ({"memory.max": "max", "memory.current": "5", "memory.stat": "inactive_file 3"}, 8 << 30),
        ({"memory.max": "3000", "memory.current": "2500", "memory.stat": "anon 7\ninactive_file 1500\n"}, 2000),
        ({"memory.max": "3000", "memory.current": "4000", "memory.stat": "inactive_file 0"}, 0),
        (
            {
                "memory/memory.limit_in_bytes": "3000",
                "memory/memory.usage_in_bytes": "2500",
                "memory/memory.stat": "inactive_file 5\ntotal_inactive_file 1500",
            },
            2000,
        ),
    ],
)
def test_files_kept_in_memory_are_free_in_a_container(
    files: dict[str, str], free: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is kept of files that were read is given up first: it is not used up."""
    (tmp_path / "memory").mkdir()
    for name, told in files.items():
        (tmp_path / name).write_text(told)
    (tmp_path / "meminfo").write_text(f"MemTotal: 99 kB\nMemAvailable:   {8 << 20} kB\n")
    monkeypatch.setattr(idle, "GROUP", tmp_path)
    monkeypatch.setattr(idle, "MEMORY", tmp_path / "meminfo")
    assert idle.idle_memory() == free


def test_a_run_that_goes_on_keeps_to_what_was_settled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also on a machine that would settle it otherwise; and it is said and kept."""
    recipe = find("resnet")(epochs=1)
    monkeypatch.setattr(place, "LARGE", 1.0)
    monkeypatch.setattr(place, "has_bf16", lambda device: True)
    told: list[str] = []
    telling = Telling(quiet=True)
    monkeypatch.setattr(telling, "say", told.append)

    monkeypatch.setattr(telling, "scores", stops_at_a_row)
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
