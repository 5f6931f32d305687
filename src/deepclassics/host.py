"""Where a run happens: device, precision, layout, compilation, threads, ranks. It changes results only by rounding.

What is left to "auto" is settled when the run begins, said, and kept in host.json: a run that goes on keeps to it.
bfloat16 and the layout go by the machine and the work of an update alone, so that the same command on the same machine
takes the same ones. Whether compilation pays is timed, on a copy, where the run is long enough to find out.

Threads are set here, once. Torch's default takes every core for every process; two such runs side by side on two
cores are 9 to 48 times slower than with one thread each.
"""

import copy
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Literal

import torch
import torch.distributed as dist
from pydantic import Field
from torch import nn

from deepclassics import __version__
from deepclassics.data.streams import Stream
from deepclassics.errors import UserError, short
from deepclassics.flags import Knobs
from deepclassics.idle import cores, idle_cores
from deepclassics.learn import Clock, Learner

LARGE = 2e9  # multiply-adds an update: from here on bf16 and channels_last pay for nets of pictures
LONG = 5e13  # multiply-adds a run, some five minutes of a core and more: from here on compilation is tried
PAYS = 0.93  # of the time of an update: what compilation must bring, as it takes half a minute itself
TIMED = 5  # updates
CHOICES = ("precision", "layout", "compile")


class Host(Knobs):
    """Where a run happens; flags of `run` beside the recipe's knobs."""

    device: str = Field("auto", description="auto, cpu, cuda, cuda:1")
    precision: Literal["auto", "fp32", "bf16"] = Field("auto", description="auto: bf16 for large nets of pictures")
    compile: Literal["auto", "on", "off"] = Field(
        "auto", description="compile the model; auto: for large nets and long runs, where it is timed to pay"
    )
    layout: Literal["auto", "default", "channels_last"] = Field(
        "auto", description="of pictures in memory; auto: channels_last for large nets of pictures"
    )
    threads: int = Field(0, ge=0, description="of the processor, 0 for as many as there are idle cores")
    save_every: int = Field(0, ge=0, description="updates between checkpoints, 0 for one every half minute")

    @property
    def rank(self) -> int:
        return int(os.environ.get("RANK", "0"))

    @property
    def ranks(self) -> int:
        return int(os.environ.get("WORLD_SIZE", "1"))

    @property
    def leads(self) -> bool:
        """Whether this rank writes and speaks."""
        return self.rank == 0

    def place(self) -> torch.device:
        """The device of this rank. Sets the threads, and joins the other ranks where torchrun has started some."""
        local, beside = int(os.environ.get("LOCAL_RANK", "0")), int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        torch.set_num_threads(self.threads or max(1, idle_cores() // beside))
        name = self.device
        if name == "auto":
            name = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            device = torch.device(f"cuda:{local}" if name == "cuda" and self.ranks > 1 else name)
            if device.type not in ("cpu", "cuda"):
                # Scores are summed in float64, which Apple's mps does not have; no other device was ever tried.
                raise RuntimeError("it must be cpu or cuda")
            torch.empty(1, device=device)
        except (RuntimeError, AssertionError) as error:
            reason = str(error).split("\n")[0].rstrip(".")
            raise UserError(
                f"The device must be one that this machine has; got '{self.device}' ({reason}). Try --device cpu."
            ) from None
        if device.type == "cuda":
            torch.cuda.set_device(device)  # what the ranks send each other goes through the current one
        if self.ranks > 1 and not dist.is_initialized():
            dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
        return device

    def prepare(self, model: nn.Module, device: torch.device) -> nn.Module:
        """The model on its device and in its layout."""
        if self.ranks > 1 and any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in model.modules()):
            raise UserError(
                "Batch normalisation on several ranks would see a part of each batch only, and give another result "
                "than one rank does. Run it on one, or without batch normalisation."
            )
        if self.layout == "channels_last":
            for module in model.modules():
                if isinstance(module, nn.Conv2d):
                    module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return model.to(device)

    def going_on(self, facts: dict[str, Any]) -> "Host":
        """The same with what is left open as it was when the run began: `facts` are those of its host.json.

        Sums over other numbers of threads round otherwise; a run that goes on must equal one that never stopped.
        """
        kept = facts | {"compile": {True: "on", False: "off"}.get(facts["compile"], facts["compile"])}  # once a truth
        left = [name for name in ("threads", *CHOICES) if getattr(self, name) in (0, "auto")]
        return self.model_copy(update={name: kept[name] for name in left})

    def settled(self, work: float, device: torch.device) -> "Host":
        """The same with "auto" replaced, but for compilation. `work` is that of an update, in multiply-adds."""
        large = work >= LARGE
        mixed = large and has_bf16(device)
        found = {"precision": "bf16" if mixed else "fp32", "layout": "channels_last" if large else "default"}
        return self.model_copy(update={name: value for name, value in found.items() if getattr(self, name) == "auto"})

    def timed(
        self, learner_of: Callable[[nn.Module], Learner], model: nn.Module, stream: Stream, work: float, steps: int
    ) -> tuple["Host", str]:
        """The same with "auto" for compilation replaced, and how that was found out, in words, where it was timed.

        `model` is prepared and not changed; what is timed are updates of copies of it.
        """
        if self.compile != "auto":
            return self, ""
        if work * steps < LONG or self.ranks > 1:
            return self.model_copy(update={"compile": "off"}), ""
        device = next(model.parameters()).device
        plain = self._seconds(learner_of(copy.deepcopy(model)), stream, steps, device)
        compiled = copy.deepcopy(model)
        try:
            compiled.compile()
            found = self._seconds(learner_of(compiled), stream, steps, device)
        except Exception as error:  # no compiler, or one that fails: whatever it raises, the run can do without
            return self.model_copy(update={"compile": "off"}), f"not compiled: {uncompiled(error)}"
        finally:
            stream.drop()
        pays = found < PAYS * plain
        told = f"{'' if pays else 'not '}compiled: an update takes {1e3 * found:.0f} ms so, {1e3 * plain:.0f} ms plain"
        return self.model_copy(update={"compile": "on" if pays else "off"}), told

    def chosen(self, asked: "Host") -> dict[str, str]:
        """What "auto" came to where it is not what every net gets."""
        names = [name for name in CHOICES if getattr(asked, name) == "auto"]
        return {name: getattr(self, name) for name in names if getattr(self, name) not in ("fp32", "default", "off")}

    def _seconds(self, learner: Learner, stream: Stream, steps: int, device: torch.device) -> float:
        """What an update takes: the fastest of a few, after two that warm up."""
        times = []
        for step in range(2 + TIMED):
            batch, begun = stream.at(step), time.perf_counter()
            with self.autocast(device):
                learner.step(batch, Clock(step, steps, len(stream)))
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            times.append(time.perf_counter() - begun)
        return min(times[2:])

    def compile_faults(self) -> tuple[type[Exception], ...]:
        """What torch raises where it cannot compile, which may be at any first use of the model; else nothing."""
        if self.compile != "on":
            return ()
        from torch._dynamo.exc import TorchDynamoException  # takes seconds to import
        from torch._inductor.exc import CppCompileError, InvalidCxxCompiler

        return TorchDynamoException, CppCompileError, InvalidCxxCompiler

    def autocast(self, device: torch.device) -> AbstractContextManager[Any]:
        """Around one update: autocast keeps cast weights until it ends, so it must not outlive them. Where "auto" was
        not settled, it is fp32."""
        return torch.autocast(device.type, torch.bfloat16) if self.precision == "bf16" else nullcontext()

    def gather(self, value: Any) -> list[Any]:
        """The values of all ranks, on every rank."""
        if self.ranks == 1:
            return [value]
        values: list[Any] = [None] * self.ranks
        dist.all_gather_object(values, value)
        return values

    def highest(self, number: int) -> int:
        """The highest of the ranks' numbers, on every rank."""
        return max(self.gather(number))

    def facts(self, device: torch.device) -> dict[str, Any]:
        """What host.json tells of the place."""
        return {
            **self.model_dump(),
            "device": str(device),
            "device_name": torch.cuda.get_device_name(device) if device.type == "cuda" else processor(),
            "threads": torch.get_num_threads(),
            "cores": cores(),
            "ranks": self.ranks,
            "torch": torch.__version__,
            "python": platform.python_version(),
            "system": platform.platform(),
            "deepclassics": __version__,
            "commit": commit(),
        }


def uncompiled(error: Exception) -> str:
    """Why compilation failed, in one short clause."""
    told = str(error)
    if named := re.search(r"\berror: (.+)", told):  # the first that the compiler names
        return short(named[1].rstrip("."))
    if "No working C++ compiler" in told:
        return "there is no working C++ compiler"
    if "C++ compile error" in told:
        return "the C++ compiler ended without naming an error, as where it is stopped or short of memory"
    lines = [line.strip() for line in told.splitlines() if line.strip() and not line.startswith("backend=")]
    return short((lines or [type(error).__name__])[0].rstrip("."))


def has_bf16(device: torch.device) -> bool:
    """Whether the device multiplies matrices of bfloat16 faster than of float32. Emulated, they are slower."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if sys.platform != "linux":
        return False
    words = set(Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split())
    return bool(words & {"avx512_bf16", "amx_bf16", "bf16"})  # the last is what ARM calls it


def processor() -> str:
    """The processor's name."""
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def commit() -> str | None:
    """The commit of the checkout that this package runs from, with a + if it was changed; None outside a checkout."""
    folder = Path(__file__).resolve().parents[2]
    if not (folder / ".git").exists():
        return None
    try:
        git = ["git", "-C", str(folder)]
        name = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=True)
        changed = subprocess.run(
            [*git, "status", "--porcelain", "--untracked-files=no"],
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return name.stdout.strip() + ("+" if changed.stdout.strip() else "")
