"""Where a run happens: device, precision, threads, ranks. It changes results only by rounding.

Threads are set here, once. Torch's default takes every core for every process; two such runs side by side on two
cores are 9 to 48 times slower than with one thread each.
"""

import os
import platform
import subprocess
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Literal

import torch
import torch.distributed as dist
from pydantic import Field
from torch import nn

from deepclassics import __version__
from deepclassics.errors import UserError
from deepclassics.flags import Knobs
from deepclassics.idle import cores, idle_cores


class Host(Knobs):
    """Where a run happens; flags of `run` beside the recipe's knobs."""

    device: str = Field("auto", description="auto, cpu, cuda, cuda:1")
    precision: Literal["fp32", "bf16"] = Field("fp32", description="bf16 pays for large nets only")
    compile: bool = Field(False, description="compile the model: pays for large nets and runs of minutes")
    layout: Literal["default", "channels_last"] = Field("default", description="of pictures in memory")
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
        """The model on its device, in its layout, compiled if asked. Names of parameters stay as they are."""
        if self.ranks > 1 and any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in model.modules()):
            raise UserError(
                "Batch normalisation on several ranks would see a part of each batch only, and give another result "
                "than one rank does. Run it on one, or without batch normalisation."
            )
        if self.layout == "channels_last":
            for module in model.modules():
                if isinstance(module, nn.Conv2d):
                    module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        model.to(device)
        if self.compile:
            model.compile()
        return model

    def autocast(self, device: torch.device) -> AbstractContextManager[Any]:
        """Around one update: autocast keeps cast weights until it ends, so it must not outlive them."""
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
