"""What all tests share: one thread, the mirror of real data, and processes forked from one that has imported torch."""

import multiprocessing
import os
import pathlib
from collections.abc import Callable
from typing import Any

import pytest
import torch

MIRROR = pathlib.Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Small tensors: more threads than one only wait for each other."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def own_places(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test reads or fills the user's cache, and none goes to the network beyond this machine."""
    monkeypatch.setenv("DEEPCLASSICS_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.delenv("DEEPCLASSICS_MIRROR", raising=False)
    monkeypatch.delenv("DEEPCLASSICS_OFFLINE", raising=False)


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """The folder of real data sets beside the checkout, set as the mirror."""
    if not MIRROR.is_dir():
        pytest.skip(f"the mirror of real data sets is not at {MIRROR}")
    monkeypatch.setenv("DEEPCLASSICS_MIRROR", str(MIRROR))
    monkeypatch.setenv("DEEPCLASSICS_OFFLINE", "1")
    return MIRROR


@pytest.fixture(scope="session")
def forks() -> Callable[..., list[int]]:
    """`forks(function, [arguments, ...])` runs `function(*arguments)` for each in a process of its own, all at once.

    The processes are forked from one that has imported torch and computed nothing, so each costs milliseconds.
    Returns the exit codes, negative for a signal.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "torch.distributed", "numpy", "sklearn.datasets", "pandas", "recipes"])

    def run(function: Callable[..., Any], arguments: list[tuple[Any, ...]]) -> list[int]:
        processes = [context.Process(target=function, args=each) for each in arguments]
        for process in processes:
            process.start()
        for process in processes:
            process.join(timeout=120)
            if process.is_alive():
                process.kill()
        return [process.exitcode if process.exitcode is not None else -999 for process in processes]

    return run


os.environ.setdefault("OMP_NUM_THREADS", "1")
