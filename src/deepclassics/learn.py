"""Learners: whoever owns everything that a run changes, and makes one update of it at a time.

The loop calls `step` and never sees a loss, a gradient, an optimizer, a hidden state or an environment. Backpropagation
is the most common learner, not the only one: a perceptron, an RBM or a value iteration writes its own `step`.
"""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.optim import Optimizer

from deepclassics.data.streams import Batch, Stream
from deepclassics.schedules import Schedule, constant

Scores = dict[str, Any]  # score name -> number; a tensor of no dimensions where reading it would wait for the device


class Stateful(Protocol):
    """What a checkpoint can hold: modules, optimizers, boxes."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: Any, /) -> Any: ...


@dataclass(frozen=True, slots=True)
class Clock:
    """When an update happens: `step` updates are done of `steps` planned; a pass over the data takes `per_pass`."""

    step: int
    steps: int
    per_pass: int

    @property
    def fraction(self) -> float:
        """The share of the run that is done, in [0, 1)."""
        return self.step / self.steps

    @property
    def ends_pass(self) -> bool:
        """Whether this update is the last of a pass over the data."""
        return (self.step + 1) % self.per_pass == 0


class Box:
    """A value that is neither module nor optimizer, yet part of what a run changes: a carried hidden state, a count.

    `value` is a tensor, a number, a string, None, or tuples, lists and dicts of them. A box that is `local` differs
    from rank to rank and is saved for each.
    """

    def __init__(self, value: Any = None, local: bool = False) -> None:
        self.value = value
        self.local = local

    def state_dict(self) -> dict[str, Any]:
        return {"value": self.value}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.value = state_dict["value"]


class Learner(ABC):
    """Owns everything that a run changes. `model` holds the weights that are kept, and that predict and report read."""

    model: nn.Module
    done: bool = False  # nothing left to learn: converged, solved, built

    @abstractmethod
    def step(self, batch: Batch, clock: Clock) -> Scores:
        """Exactly one update. Returns scores of the same names every time, as tensors where that saves a sync."""

    @abstractmethod
    def evaluate(self, stream: Stream) -> Scores:
        """Scores over the whole of `stream`. Call it through `look`, which sees to it that no trace is left."""

    @abstractmethod
    def parts(self) -> dict[str, Stateful]:
        """All that a checkpoint must hold for a resumed run to equal an uninterrupted one, bit for bit.

        The part "model" is `self.model`.
        """

    def snapshot(self) -> dict[str, Tensor]:
        """What the report wants to see change in the course of the run, kept at every look. Call it as `evaluate`."""
        return {}


@contextmanager
def untraced(model: nn.Module, seed: int = 0) -> Iterator[None]:
    """No gradients, evaluation mode, and random numbers of its own: what happens inside leaves no trace outside."""
    training = {module: module.training for module in model.modules()}
    device = device_of(model)
    with torch.random.fork_rng([device] if device.type == "cuda" else []), torch.no_grad():
        torch.manual_seed(seed)
        model.eval()
        try:
            yield
        finally:
            for module, mode in training.items():
                module.training = mode


def device_of(model: nn.Module) -> torch.device:
    """Where a model is: it holds a parameter or a buffer at least."""
    return next(itertools.chain(model.parameters(), model.buffers())).device


def look(learner: Learner, stream: Stream) -> Scores:
    """`learner.evaluate(stream)` as plain numbers, without a trace: the same weights, modes and random state after."""
    with untraced(learner.model):
        return {name: float(value) for name, value in learner.evaluate(stream).items()}


def settle(parameters: Sequence[nn.Parameter], clip_norm: float | None = None, clip_value: float | None = None) -> None:
    """The gradients now in `.grad` as they shall be descended, on every rank the same. Who has none is left out.

    With several ranks they are averaged over them first; then each is clipped to +-`clip_value`, or all together to a
    Euclidean norm of `clip_norm`.
    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if gradients and dist.is_available() and dist.is_initialized():
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        dist.all_reduce(flat)
        flat /= dist.get_world_size()
        for gradient, piece in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(piece.view_as(gradient))
    if clip_value is not None:
        nn.utils.clip_grad_value_(parameters, clip_value)
    if clip_norm is not None:
        nn.utils.clip_grad_norm_(parameters, clip_norm)


def apply(optimizer: Optimizer, clip_norm: float | None = None, clip_value: float | None = None) -> None:
    """One update from the gradients now in `.grad`, however they were obtained, once they are settled."""
    settle([p for group in optimizer.param_groups for p in group["params"]], clip_norm, clip_value)
    optimizer.step()


def descend(
    optimizer: Optimizer, loss: Tensor, clip_norm: float | None = None, clip_value: float | None = None
) -> None:
    """One update down the gradient of `loss`, a tensor of no dimensions: zero_grad, backward, apply."""
    optimizer.zero_grad()
    loss.backward()
    apply(optimizer, clip_norm, clip_value)


def optimizer(
    name: str,
    model: nn.Module,
    lr: float,
    *,
    l2: float = 0.0,
    momentum: float = 0.9,
    betas: tuple[float, float] = (0.9, 0.999),
    head: str = "",
    body_rate: float = 1.0,
) -> Optimizer:
    """torch's optimizer of that name over the trainable parameters, fused where torch can.

    `l2` decays matrices and kernels, not biases and gains: it adds l2 times the weight to the gradient (for "adamw"
    it shrinks the weight by lr times l2 instead). All but the submodule `head` learn at `body_rate` times the rate.
    """
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    parts = [(lr, [p for _, p in named])]
    if body_rate != 1.0:
        parts = [
            (lr * body_rate, [p for name, p in named if not name.startswith(f"{head}.")]),
            (lr, [p for name, p in named if name.startswith(f"{head}.")]),
        ]
    groups = [
        group
        for rate, trainable in parts
        for group in (
            {"params": [p for p in trainable if p.dim() >= 2], "lr": rate, "weight_decay": l2},
            {"params": [p for p in trainable if p.dim() < 2], "lr": rate, "weight_decay": 0.0},
        )
        if group["params"]
    ]
    if name == "sgd":
        return torch.optim.SGD(groups, lr, fused=True)
    if name == "momentum":
        return torch.optim.SGD(groups, lr, momentum=momentum, fused=True)
    if name == "nesterov":
        return torch.optim.SGD(groups, lr, momentum=momentum, nesterov=True, fused=True)
    if name == "adagrad":
        return torch.optim.Adagrad(groups, lr)
    if name == "rmsprop":
        return torch.optim.RMSprop(groups, lr)
    if name == "adadelta":
        return torch.optim.Adadelta(groups, lr)
    if name == "adam":
        return torch.optim.Adam(groups, lr, betas=betas, fused=True)
    assert name == "adamw", name
    return torch.optim.AdamW(groups, lr, betas=betas, fused=True)


def schedule_rate(optimizer: Optimizer, schedule: Schedule, clock: Clock) -> None:
    """Sets every group's rate to its first one times the schedule's factor. Nothing is kept: the clock decides."""
    factor = schedule(clock.fraction)
    for group in optimizer.param_groups:
        group["lr"] = group.setdefault("initial_lr", group["lr"]) * factor


def mean_scores(objective: Callable[[nn.Module, Batch], Scores]) -> Callable[[nn.Module, Stream], Scores]:
    """The mean of an objective's scores over a stream, every example counted once."""

    def judge(model: nn.Module, stream: Stream) -> Scores:
        sums: dict[str, Tensor] = {}
        count = 0
        for batch in stream:
            size = len(next(value for value in batch.values() if isinstance(value, Tensor)))
            for name, value in objective(model, batch).items():
                sums[name] = sums.get(name, 0) + value.double() * size
            count += size
        return {name: total / count for name, total in sums.items()}

    return judge


class Backprop(Learner):
    """One loss, one optimizer.

    `objective(model, batch)` gives scores that are means over the batch, of which "loss" is descended;
    `judge(model, stream)` gives the scores of an evaluation, the means of the objective's if left out;
    `snapshot(model)` gives what the report wants to see change.
    """

    def __init__(
        self,
        model: nn.Module,
        objective: Callable[[nn.Module, Batch], Scores],
        optimizer: Optimizer,
        *,
        judge: Callable[[nn.Module, Stream], Scores] | None = None,
        schedule: Schedule = constant,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        l1: float = 0.0,
        snapshot: Callable[[nn.Module], dict[str, Tensor]] = lambda model: {},
    ) -> None:
        self.model = model
        self.objective = objective
        self.optimizer = optimizer
        self.judge = judge or mean_scores(objective)
        self.shown = snapshot
        self.schedule = schedule
        self.clip_norm, self.clip_value, self.l1 = clip_norm, clip_value, l1

    def step(self, batch: Batch, clock: Clock) -> Scores:
        schedule_rate(self.optimizer, self.schedule, clock)
        scores = self.objective(self.model, batch)
        loss = scores["loss"]
        if self.l1:
            loss = loss + self.l1 * torch.stack([p.abs().sum() for p in self.model.parameters() if p.dim() >= 2]).sum()
        descend(self.optimizer, loss, self.clip_norm, self.clip_value)
        return {name: value.detach() for name, value in scores.items()}

    def evaluate(self, stream: Stream) -> Scores:
        return self.judge(self.model, stream)

    def parts(self) -> dict[str, Stateful]:
        return {"model": self.model, "optimizer": self.optimizer}

    def snapshot(self) -> dict[str, Tensor]:
        return self.shown(self.model)


class TruncatedBackprop(Learner):
    """Backpropagation through time, cut at the borders of chunks: the state is carried over, the gradient is not.

    `objective(model, batch, state)` gives scores, of which "loss" is descended, and the state after the chunk;
    the state is None, a tensor or a tuple of tensors, and starts as None wherever the batch says "fresh".
    `judge(model, stream)` gives the scores of an evaluation, the means of the objective's if left out;
    `snapshot(model)` gives what the report wants to see change.
    """

    def __init__(
        self,
        model: nn.Module,
        objective: Callable[[nn.Module, Batch, Any], tuple[Scores, Any]],
        optimizer: Optimizer,
        *,
        judge: Callable[[nn.Module, Stream], Scores] | None = None,
        schedule: Schedule = constant,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        snapshot: Callable[[nn.Module], dict[str, Tensor]] = lambda model: {},
    ) -> None:
        self.model = model
        self.objective = objective
        self.optimizer = optimizer
        self.schedule = schedule
        self.clip_norm, self.clip_value = clip_norm, clip_value
        self.judge, self.shown = judge, snapshot
        self.carry = Box(local=True)

    def step(self, batch: Batch, clock: Clock) -> Scores:
        schedule_rate(self.optimizer, self.schedule, clock)
        scores, state = self.objective(self.model, batch, None if batch["fresh"] else self.carry.value)
        descend(self.optimizer, scores["loss"], self.clip_norm, self.clip_value)
        self.carry.value = detached(state)
        return {name: value.detach() for name, value in scores.items()}

    def evaluate(self, stream: Stream) -> Scores:
        if self.judge is not None:
            return self.judge(self.model, stream)
        sums: dict[str, Tensor] = {}
        count, state = 0, None
        for batch in stream:
            scores, state = self.objective(self.model, batch, None if batch["fresh"] else state)
            size = batch["ids"].numel()
            for name, value in scores.items():
                sums[name] = sums.get(name, 0) + value.double() * size
            count += size
        return {name: total / count for name, total in sums.items()}

    def parts(self) -> dict[str, Stateful]:
        return {"model": self.model, "optimizer": self.optimizer, "carry": self.carry}

    def snapshot(self) -> dict[str, Tensor]:
        return self.shown(self.model)


def detached(state: Any) -> Any:
    """The same tensor, or tuple of tensors, cut from the graph that made it."""
    return tuple(detached(piece) for piece in state) if isinstance(state, tuple) else state.detach()
