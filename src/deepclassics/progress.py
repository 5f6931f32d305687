"""What a run tells while it goes: a bar on a terminal, plain lines every few seconds elsewhere. All on stderr."""

import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

PLAIN_SECONDS = 5.0  # between lines where the output is no terminal
BAR_SECONDS = 0.1
ESTIMATE_SECONDS = 3.0  # after which the whole is estimated

Thing = TypeVar("Thing")


class Telling:
    """Tells of one run. `due` is when `step` wants to be called next, so that the loop need not call it every time."""

    def __init__(self, quiet: bool = False) -> None:
        self.console = Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=True)
        self.quiet = quiet
        self.due = float("inf") if quiet else 0.0
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._begun = self._last = 0.0
        self._first = self._total = 0
        self._items, self._unit = 0, ""
        self._scores: dict[str, float] = {}
        self._estimated = False

    def say(self, sentence: str) -> None:
        self.console.print(sentence, markup=False)

    def begin(self, step: int, steps: int, items: int, unit: str) -> None:
        """`step` of `steps` updates are done; an update takes so many `items`, counted in `unit`, over all ranks."""
        self._begun = self._last = time.perf_counter()
        self._first, self._total, self._items, self._unit = step, steps, items, unit
        if self.quiet:
            return
        if self.console.is_terminal:
            columns = (TextColumn("{task.completed:,}/{task.total:,}"), BarColumn(), TextColumn("{task.description}"))
            self._bar = Progress(*columns, console=self.console, transient=True, auto_refresh=False)
            self._bar.start()
            self._task = self._bar.add_task("", total=steps, completed=step)
        self.due = self._begun + (BAR_SECONDS if self._bar else min(PLAIN_SECONDS, ESTIMATE_SECONDS))

    def scores(self, scores: dict[str, Any]) -> None:
        """The newest scores, to be shown with the next line."""
        self._scores.update({name: value for name, value in scores.items() if "/" in name})

    def step(self, step: int) -> None:
        """`step` updates are done."""
        now = time.perf_counter()
        spent, updates = now - self._begun, step - self._first
        left = spent / updates * (self._total - step)
        if not self._estimated and spent >= ESTIMATE_SECONDS:
            self._estimated = True
            whole = many(self._total - self._first, "update")
            self.say(f"About {duration(spent + left)} for {whole}, unless it is done earlier.")
        rate = updates * self._items / spent
        text = "  ".join(f"{name} {figure(value)}" for name, value in self._scores.items())
        line = f"{text}  {rate:,.0f} {self._unit}/s  {duration(left)} left"
        if self._bar:
            self._bar.update(self._task, completed=step, description=line, refresh=True)
            self.due = now + BAR_SECONDS
        else:
            if now - self._last >= PLAIN_SECONDS:
                self.say(f"{step:,}/{self._total:,}  {line}")
                self._last = now
            self.due = now + 0.5

    def end(self) -> None:
        if self._bar:
            self._bar.stop()
            self._bar = None


def telling(things: Sequence[Thing], what: str) -> Iterator[Thing]:
    """The things one by one; where they take longer than some seconds, it says on stderr how far it has come."""
    begun = last = time.perf_counter()
    for done, thing in enumerate(things):
        now = time.perf_counter()
        if done and now - last >= PLAIN_SECONDS:
            left = duration((now - begun) / done * (len(things) - done))
            print(f"{what}: {done:,} of {len(things):,}, {left} left", file=sys.stderr)
            last = now
        yield thing


def duration(seconds: float) -> str:
    """ "42 s", "3 min 20 s", "2 h 5 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def many(count: int, one: str, more: str = "") -> str:
    """ "1 error", "2,000 errors"."""
    return f"{count:,} {one if count == 1 else more or one + 's'}"


def figure(value: float) -> str:
    """Four figures that tell something: 0.0312, 1.874, 12,300."""
    if value == 0 or not abs(value) < 1e15:
        return f"{value:g}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}" if abs(value) >= 1e-4 else f"{value:.2e}"
