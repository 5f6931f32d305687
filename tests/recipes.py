"""Every recipe made small, for the contract: the same system on little data, and what a child process does with it."""

import os
import signal
import warnings
from dataclasses import replace
from pathlib import Path

import torch

from deepclassics.data.streams import Columns, Data, InOrder, Passage, Stream
from deepclassics.host import Host
from deepclassics.learn import Learner
from deepclassics.loop import Plan, fit
from deepclassics.recipe import Recipe, find
from deepclassics.run import Run

warnings.simplefilter("error")

STEPS = 12


def small(data: Data) -> Data:
    """The same data with looks over 200 examples, or over 2,000 characters, at most."""

    def cut(stream: Stream | None) -> Stream | None:
        if isinstance(stream, InOrder):
            return InOrder(Columns(**{name: tensor[:200] for name, tensor in stream.columns.tensors.items()}))
        if isinstance(stream, Passage):
            return Passage(stream.ids[:2000])
        return stream

    return replace(data, valid=cut(data.valid), test=cut(data.test))


def made(recipe: Recipe, rank: int = 0, ranks: int = 1) -> tuple[Learner, Data]:
    """The recipe's learner with its first weights, and its small data."""
    torch.set_num_threads(1)
    data = small(recipe.load()).on(torch.device("cpu"), rank, ranks)
    torch.manual_seed(recipe.seed)
    learner = recipe.learner(recipe.model(data.spec))
    torch.manual_seed(recipe.seed + 1 + rank)
    return learner, data


class KilledAt(Stream):
    """A stream that kills its process when asked for batch number `at_position`."""

    def __init__(self, stream: Stream, at_position: int) -> None:
        self.stream, self.at_position, self.batch = stream, at_position, getattr(stream, "batch", 1)

    def __len__(self) -> int:
        return len(self.stream)

    def at(self, position: int) -> dict:
        if position == self.at_position:
            os.kill(os.getpid(), signal.SIGKILL)
        return self.stream.at(position)

    def on(self, device: torch.device, rank: int = 0, ranks: int = 1) -> "KilledAt":
        return KilledAt(self.stream.on(device, rank, ranks), self.at_position)


def train(recipe: Recipe, path: Path, kill_at: int | None = None, steps: int = STEPS) -> Learner:
    """A run of a few updates in `path`, saving after every third; with `kill_at`, it dies before that update."""
    host = Host(save_every=3, device="cpu", threads=1)
    learner, data = made(recipe, host.rank, host.ranks)
    run = Run.begin(path, recipe) if host.leads else Run(path)
    if host.leads:
        run.describe(recipe, data.spec, {})
    plan = recipe.plan(data)
    plan = Plan(steps, 4, plan.watch)
    if kill_at is not None:
        data = replace(data, train=KilledAt(data.train, kill_at))
    fit(learner, data, plan, run, host)
    run.release()
    return learner


def child(name: str, path: str, kill_at: int | None) -> None:
    """One process: a run that is killed, goes on, or is never interrupted."""
    train(find(name)(), Path(path), kill_at)


def rank(name: str, knobs: dict, path: str, number: int, ranks: int, port: int) -> None:
    """One of several processes that share a run."""
    os.environ.update(
        RANK=str(number), WORLD_SIZE=str(ranks), LOCAL_RANK=str(number), LOCAL_WORLD_SIZE=str(ranks),
        MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port),
    )  # fmt: skip
    Host(device="cpu", threads=1).place()
    train(find(name)(**knobs), Path(path))
    torch.distributed.destroy_process_group()
