"""The one loop: next batch, one step, now and then log, look and save, until the plan or `done` ends it.

It has no branch on the kind of system. It sees scores, never a loss, a gradient or a hidden state; it times, records,
watches and stops.
"""

import math
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from deepclassics.data import load
from deepclassics.data.streams import Batch, Data, Stream
from deepclassics.errors import UserError
from deepclassics.host import Host, uncompiled
from deepclassics.learn import Box, Clock, Learner, Scores, device_of, look, untraced
from deepclassics.metrics import RISING
from deepclassics.progress import Telling, many
from deepclassics.published import beside
from deepclassics.recipe import Recipe
from deepclassics.run import Run

CHEAP = 1_000_000  # bytes: a larger file is read again only if it was written since the run began
SAVE_SECONDS = 30.0  # between checkpoints: what a crash can cost


@dataclass(frozen=True)
class Plan:
    """How long a run is, how often it looks, and what makes it stop early.

    At most `steps` updates; the validation stream is looked at every `look` updates. With `watch`, say "valid/error",
    the weights of the lowest such score, of "valid/f1" and others of which more is better the highest, are kept and
    judged at the end, and with `patience` the run ends after so many looks without a better one.
    """

    steps: int
    look: int
    watch: str = ""
    patience: int = 0

    @classmethod
    def passes(cls, epochs: float, stream: Stream, looks: int = 20, watch: str = "", patience: int = 0) -> "Plan":
        """`epochs` passes over `stream` with about `looks` looks, at the ends of passes where there are that many."""
        steps = max(1, round(epochs * len(stream)))
        each = max(1, round(epochs / looks)) * len(stream) if epochs >= looks else max(1, steps // looks)
        return cls(steps, each, watch, patience)

    @property
    def log(self) -> int:
        """Updates between rows of training scores: each is a wait for the device, so 500 of them in a run at most."""
        return max(1, min(self.look, self.steps // 500))


class Stopped(Exception):
    """A signal asked the run to stop; it has finished its update and saved, or could not yet compile the net."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.number = number


class NotFinite(Exception):
    """A score is not finite."""

    def __init__(self, name: str, value: float, step: int) -> None:
        super().__init__(f"{name} became {value} at update {step}")
        self.name, self.value, self.step = name, value, step


def fit(
    learner: Learner, data: Data, plan: Plan, run: Run, host: Host, telling: Telling | None = None
) -> dict[str, Any]:
    """Trains until the plan or the learner is done, going on from the run's checkpoint where there is one.

    Returns how it ended: {"steps", "seconds", "epochs", "ended", "selection"}. Afterwards the learner's model holds the
    weights the run stands by. Raises `Stopped` after a signal, and `UserError` when a score is not finite or nothing
    can be written.
    """
    telling = telling or Telling(quiet=True)
    device = device_of(learner.model)
    # What the loop itself must remember is a part of the checkpoint like any other.
    memory = Box({"window": [], "best": math.inf, "stale": 0, "seconds": 0.0, "done": False})
    keeper = _Keeper(learner, memory, run, host)
    saved = keeper.resume()
    if saved is not None and math.isfinite(memory.value["best"]):
        run.weights()  # the best so far: without them the end would be in vain
    step = saved or 0
    passed = time.perf_counter() - memory.value["seconds"]
    window: list[Scores] = memory.value["window"]
    pass_length = len(data.train)

    def flush(row: dict[str, Any]) -> None:
        """The mean of the training scores since the last row. The only place that waits for the device."""
        if window:
            row.update({f"train/{name}": value for name, value in _means(window, step - len(window), host).items()})
            window.clear()

    def record(row: dict[str, Any]) -> None:
        memory.value["seconds"] = time.perf_counter() - passed
        telling.scores(row)
        if host.leads:
            run.log(
                {
                    "step": step,
                    "epoch": round(step / pass_length, 4),
                    "seconds": round(memory.value["seconds"], 3),
                    **row,
                }
            )

    def watch(row: dict[str, Any]) -> None:
        """Looks at the validation data, and keeps the weights if they are the best so far."""
        if data.valid is not None:
            scores = {f"valid/{name}": value for name, value in look(learner, data.valid).items()}
            _refuse_not_finite(scores, step)
            row.update(scores)
        if host.leads:
            keeper.snapshot(step)
        if plan.watch:
            assert plan.watch in row, f"{plan.watch} is watched, but the scores are {', '.join(row)}"
            rises = plan.watch.rpartition("/")[2] in RISING
            value = -row[plan.watch] if rises else row[plan.watch]
            if value < memory.value["best"]:
                memory.value.update(best=value, stale=0)
                if host.leads:
                    run.keep(learner.model.state_dict())
            else:
                memory.value["stale"] += 1

    def ended() -> str:
        if learner.done:
            return "done"
        if plan.patience and memory.value["stale"] >= plan.patience:
            return "patience"
        return "planned" if step >= plan.steps else ""

    telling.begin(step, plan.steps, data.train.items, data.train.unit)
    batch: Batch = {}
    try:
        with _signals() as stopping:
            if saved is None:
                row: dict[str, Any] = {}
                watch(row)
                record(row)
                keeper.save(step)
            while not ended():
                batch = data.train.at(step)
                with host.autocast(device):
                    window.append(learner.step(batch, Clock(step, plan.steps, pass_length)))
                step += 1
                looks = step % plan.look == 0 or step >= plan.steps or learner.done
                tells = looks or step % plan.log == 0
                if tells:
                    row = {}
                    flush(row)
                    if looks:
                        watch(row)
                    record(row)
                if time.perf_counter() >= telling.due:
                    telling.step(step)
                # Ranks that are told to stop at different updates must agree on one, and they meet at every row.
                number = max(stopping, default=0)
                if host.ranks > 1:
                    number = host.highest(number) if tells else 0
                if (keeper.due(step, looks) or number) and host.highest(int(not _finite(window, learner.model))) == 0:
                    memory.value["seconds"] = time.perf_counter() - passed
                    keeper.save(step)
                if number:
                    raise Stopped(number)
    except NotFinite as fault:
        raise UserError(_autopsy(fault, keeper, data.train, plan, host, device)) from None
    except host.compile_faults():
        if stopping:  # a signal from the keyboard has ended the compiler, too
            raise Stopped(max(stopping)) from None
        raise
    finally:
        telling.end()
        data.train.drop()
    keeper.save(step)
    # A learner that is done has found what it sought; otherwise the weights that were best on validation data stand.
    best = bool(plan.watch) and not learner.done
    if host.leads and not best:
        run.keep(learner.model.state_dict())
    if host.ranks > 1:
        dist.barrier()  # the weights must be there before the others read them
    if best:
        run.load_into(learner.model)
    return {
        "steps": step,
        "seconds": round(memory.value["seconds"], 3),
        "epochs": round(step / pass_length, 4),
        "ended": ended(),
        "selection": f"best by {plan.watch}" if best else "last weights",
    }


def carry_out(recipe: Recipe, path: Path, host: Host, telling: Telling | None = None) -> dict[str, Any]:
    """A whole run of `recipe` in the folder `path`: begun, gone on with, or, if it is finished, its result.

    Returns what result.json holds: "system", "data", "steps", "seconds", "scores", "published", "ended".
    """
    telling = telling or Telling(quiet=True)
    run = Run.begin(path, recipe) if host.leads else Run(path)
    if (result := run.result()) is not None:
        _refuse_changed(run, recipe)
        return result
    asked = host
    if (path / "host.json").exists():
        host = host.going_on(run.host())
    device = host.place()
    try:
        begun = (path / "last.pt").exists()
        data = (recipe.reload(run.spec()) if begun else recipe.load()).on(device, host.rank, host.ranks)
        work = recipe.work(data.spec) * data.train.items
        host = host.settled(work, device)
        torch.manual_seed(recipe.seed)
        model = host.prepare(recipe.model(data.spec), device)
        if not begun:
            recipe.inherit(model, data.spec)
        learner = recipe.learner(model)
        plan = recipe.plan(data)
        host, timed = host.timed(recipe.learner, model, data.train, work, plan.steps)
        if host.compile == "on":
            model.compile()
        torch.manual_seed(recipe.seed * 1_000_003 + 1 + host.rank)  # each rank draws its own noise
        if host.leads:
            run.hold()
            Run.begin(path, recipe)  # once more: another process may have begun here while the data were read
            run.refuse_other_data(data.spec)
            run.describe(recipe, data.spec, host.facts(device))
            telling.say(_opening(recipe, data, model, path, host.chosen(asked)))
            if timed:
                telling.say(f"{timed[0].upper()}{timed[1:]}.")
        how = fit(learner, data, plan, run, host, telling)
        scores = {name: value for name, value in run.metrics()[-1].items() if "/" in name}
        for split, stream in (("valid", data.valid), ("test", data.test)):
            if stream is not None:
                scores.update({f"{split}/{name}": value for name, value in look(learner, stream).items()})
        _refuse_not_finite(scores, how["steps"])
        result = {
            "system": recipe.name(),
            "data": data.spec["data"],
            **how,
            "examples": data.spec["examples"],
            "parameters": sum(p.numel() for p in model.parameters()),
            "scores": scores,
        }
        found, remarks = recipe.conclude(learner, data)
        _refuse_not_finite(found, how["steps"])
        result["scores"] |= found
        result["remarks"] = remarks
        result["published"] = beside(recipe, data.spec, result)
        if host.leads:
            for name, write in recipe.files(learner.model, data.spec).items():
                run.fill(name, write)
            run.finish(result)
        return result
    except NotFinite as fault:
        raise UserError(
            f"{fault.name} became {fault.value} when the run was judged at its end, after "
            f"{many(fault.step, 'update')}; no result is written. The weights are kept in {path}, for predict and "
            f"report. Begin again in another --out with {_gentler(run)}."
        ) from None
    except host.compile_faults() as fault:
        raise UserError(
            f"--compile on: the net could not be compiled here: {uncompiled(fault)}. It takes a C++ compiler such as "
            f"g++ and the headers of Python, on a GPU Triton as well. Install what is missing, or take --compile off."
        ) from None
    finally:
        run.release()
        if dist.is_available() and dist.is_initialized():
            dist.destroy_process_group()


def _refuse_changed(run: Run, recipe: Recipe) -> None:
    """A finished run is not another file's: looked at where the spec tells the content, and reading them is cheap.

    Where they cannot be read any more, the run stands as it is.
    """
    try:
        spec, begun = run.spec(), (run.path / "spec.json").stat()
        if "content" not in spec or not os.path.isfile(spec["data"]):
            return
        file = os.stat(spec["data"])
        if file.st_size > CHEAP and file.st_mtime < begun.st_mtime:
            return
        found = load(spec["data"], recipe.takes, seed=recipe.seed).spec
    except (UserError, OSError):
        return
    run.refuse_other_data({**spec, "content": found.get("content")})


def _opening(recipe: Recipe, data: Data, model: nn.Module, path: Path, host: dict[str, str]) -> str:
    counts = ", ".join(f"{count:,} {split}" for split, count in data.spec["examples"].items() if count)
    count = sum(p.numel() for p in model.parameters())
    parameters = f"{count:,} parameters; " if count else ""  # what is built has its size only then
    told = f" ({counts})" if counts else ""  # a formula has no examples
    lines = [f"{recipe.name()} on {data.spec['data']}{told}; {parameters}in {path}"]
    if chosen := recipe.chosen(data.spec) | host:
        lines.append(f"Chosen: {'; '.join(f'{name} {value}' for name, value in chosen.items())}.")
    lines += [f"Left out: column {name}, {reason}." for name, reason in data.spec.get("left_out", {}).items()]
    if skipped := data.spec.get("skipped"):
        pictures = "1 picture" if len(skipped) == 1 else f"{len(skipped)} pictures"
        lines.append(f"Left out: {pictures} that cannot be read: {', '.join(skipped[:5])}.")
    lines += data.spec.get("told", [])
    lines += [data.train.remark] if data.train.remark else []
    return "\n".join(lines)


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Collects Ctrl-C and SIGTERM, so that the update under way is finished first. A second Ctrl-C does not wait."""
    numbers: list[int] = []

    def note(number: int, frame: object) -> None:
        if numbers and number == signal.SIGINT:
            raise KeyboardInterrupt
        numbers.append(number)

    if threading.current_thread() is not threading.main_thread():
        yield numbers
        return
    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield numbers
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stacked(window: list[Scores], name: str) -> Tensor:
    """One score of every update in the window, (updates,) of float64 on the device."""
    return torch.stack([torch.as_tensor(scores[name], dtype=torch.float64) for scores in window])


def _finite(window: list[Scores], model: nn.Module) -> bool:
    """Whether all is well so far. A loss is of the weights before its update, so they themselves are looked at too."""
    scores = not window or all(bool(_stacked(window, name).isfinite().all()) for name in window[0])
    return scores and all(bool(parameter.isfinite().all()) for parameter in model.parameters())


def _refuse_not_finite(scores: Scores, step: int) -> None:
    """The scores of a look or of the end, as plain numbers, after `step` updates."""
    for name, value in scores.items():
        if not math.isfinite(value):
            raise NotFinite(name, float(value), step)


def _means(window: list[Scores], first: int, host: Host) -> dict[str, float]:
    """The mean of every score over the window and over the ranks. `first` updates were done before the window."""
    for scores in window:
        assert scores.keys() == window[0].keys(), "a step must return scores of the same names every time"
    table = torch.stack([_stacked(window, name) for name in window[0]])
    if host.ranks > 1:
        dist.all_reduce(table)
        table /= host.ranks
    if not bool(table.isfinite().all()):
        updates, names = torch.nonzero(~table.T.isfinite(), as_tuple=True)
        name = list(window[0])[int(names[0])]
        raise NotFinite(f"train/{name}", float(table[int(names[0]), int(updates[0])]), first + int(updates[0]) + 1)
    return dict(zip(window[0], table.mean(1).tolist(), strict=True))


class _Keeper:
    """Saves and restores all that a run changes: the learner's parts, the loop's memory, the random states."""

    def __init__(self, learner: Learner, memory: Box, run: Run, host: Host) -> None:
        self.learner, self.memory, self.run, self.host = learner, memory, run, host
        self.device = device_of(learner.model)
        self.saved = time.perf_counter()

    def due(self, step: int, looks: bool) -> bool:
        if self.host.save_every:
            return step % self.host.save_every == 0
        if self.host.ranks > 1:  # the ranks' clocks differ; all must save at the same update
            return looks
        return looks and time.perf_counter() - self.saved > SAVE_SECONDS

    def save(self, step: int) -> None:
        parts = self.learner.parts()
        self.memory.value["done"] = self.learner.done
        own = {name: part.state_dict() for name, part in parts.items() if isinstance(part, Box) and part.local}
        ranks = self.host.gather({"parts": own, "random": _random_state(self.device)})
        if self.host.leads:
            shared = {name: part.state_dict() for name, part in parts.items() if name not in own}
            self.run.save({"step": step, "parts": shared, "loop": self.memory.state_dict(), "ranks": ranks})
        self.saved = time.perf_counter()

    def resume(self) -> int | None:
        """Puts everything back as it was when last saved; how many updates were done by then, None if never saved."""
        checkpoint = self.run.checkpoint(self.device)
        if checkpoint is None:
            if self.host.leads and self.run.metrics():
                self.run.rewind(-1)  # a run that ended before its first save is as if it had never been
            return None
        if len(checkpoint["ranks"]) != self.host.ranks:
            raise UserError(
                f"{self.run.path} was run on {len(checkpoint['ranks'])} ranks and must go on with as many; "
                f"got {self.host.ranks}."
            )
        own = checkpoint["ranks"][self.host.rank]
        for name, part in self.learner.parts().items():
            part.load_state_dict(own["parts"][name] if name in own["parts"] else checkpoint["parts"][name])
        window = self.memory.value["window"]
        self.memory.load_state_dict(checkpoint["loop"])
        window[:] = self.memory.value["window"]
        self.memory.value["window"] = window
        self.learner.done = self.memory.value["done"]
        _set_random_state(own["random"], self.device)
        if self.host.leads:
            self.run.rewind(checkpoint["step"])
        return checkpoint["step"]

    def snapshot(self, step: int) -> None:
        with untraced(self.learner.model):
            tensors = self.learner.snapshot()
        if tensors:
            self.run.snapshot(step, tensors)


def _random_state(device: torch.device) -> dict[str, Any]:
    """Of the processor and of this rank's own device: a host with fewer of them can go on with the run."""
    return {
        "cpu": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
    }


def _set_random_state(state: dict[str, Any], device: torch.device) -> None:
    torch.set_rng_state(state["cpu"].cpu())
    if state["cuda"] is not None and device.type == "cuda":
        torch.cuda.set_rng_state(state["cuda"].cpu(), device)


def _autopsy(fault: NotFinite, keeper: _Keeper, stream: Stream, plan: Plan, host: Host, device: torch.device) -> str:
    """What went first: the run is resumed from its last good checkpoint and watched, update by update.

    Runs are exactly repeatable, so nothing need be recorded while all is well.
    """
    step = keeper.resume() or 0
    good, first = step, ""
    batch: Batch = {}
    while step < fault.step and not first:
        batch = stream.at(step)
        found: list[str] = []
        handles = _listen(keeper.learner, found)
        with host.autocast(device):
            keeper.learner.step(batch, Clock(step, plan.steps, len(stream)))
        for handle in handles:
            handle.remove()
        step += 1
        first = found[0] if found else _bad_parameter(keeper.learner)
    keeper.resume()
    where = (
        f"The first to go was {first}, at update {step}."
        if first
        else "No weight and no output of a layer was: it is the loss alone."
    )
    tensors = {name: value for name, value in batch.items() if isinstance(value, Tensor)}
    kept = f" Its batch is in {keeper.run.keep_batch(tensors)}." if host.leads and tensors else ""
    return (
        f"{fault.name} became {fault.value} at update {fault.step}. {where}{kept} "
        f"The checkpoint of update {good} is kept. Begin again in another --out with {_gentler(keeper.run)}, or look "
        f"into the batch."
    )


def _gentler(run: Run) -> str:
    """What of the knobs that a recipe has makes smaller steps."""
    knobs = run.facts()["knobs"]
    ways = [way for knob, way in (("lr", "a smaller --lr"), ("clip_norm", "--clip-norm")) if knob in knobs]
    return " or with ".join(ways) or "other knobs"


def _listen(learner: Learner, found: list[str]) -> list[Any]:
    """Hooks that note the name of the first module whose output is not finite."""

    def hook(name: str) -> Any:
        def note(module: nn.Module, inputs: Any, output: Any) -> None:
            outputs = output if isinstance(output, tuple | list) else [output]
            tensors = [tensor for tensor in outputs if isinstance(tensor, Tensor)]
            if not found and not all(bool(t.isfinite().all()) for t in tensors if t.is_floating_point()):
                found.append(f"the output of {name or 'the model'}")

        return note

    modules = learner.model.named_modules()
    return [module.register_forward_hook(hook(name)) for name, module in modules if not list(module.children())]


def _bad_parameter(learner: Learner) -> str:
    for name, parameter in learner.model.named_parameters():
        if not bool(parameter.isfinite().all()):
            return f"the parameter {name}"
        if parameter.grad is not None and not bool(parameter.grad.isfinite().all()):
            return f"the gradient of {name}"
    for name, buffer in learner.model.named_buffers():  # weights that are counted or built are no parameters
        if not bool(buffer.isfinite().all()):
            return f"the parameter {name}"
    return ""
