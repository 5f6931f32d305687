"""Learning-rate schedules: the fraction of the run that is done, in [0, 1], to a factor on the learning rate.

A schedule is a pure function of the clock. It has no state to save, so a resumed run follows it exactly; torch's own
schedulers count their calls instead. `tests/test_schedules.py` holds each against its counterpart in torch.
"""

import math
from collections.abc import Callable

Schedule = Callable[[float], float]


def constant(fraction: float) -> float:
    return 1.0


def linear(fraction: float) -> float:
    """Straight down to 0 (torch: `LinearLR` from 1 to 0)."""
    return 1.0 - fraction


def cosine(fraction: float) -> float:
    """Half a cosine wave down to 0 (Loshchilov and Hutter 2017, eq. 5, without restarts)."""
    return 0.5 * (1.0 + math.cos(math.pi * fraction))


def step(fraction: float) -> float:
    """A tenth after half of the run, a hundredth after three quarters (He et al. 2015, section 4.2)."""
    return 1.0 if fraction < 0.5 else 0.1 if fraction < 0.75 else 0.01


def exponential(fraction: float) -> float:
    """By an equal factor each update, down to a hundredth."""
    return 0.01**fraction


def halving(fraction: float) -> float:
    """Full for four thirteenths of the run, then halved at each further one (Zaremba et al. 2014, section 4.1)."""
    return 0.5 ** max(0, math.floor(13 * fraction + 1e-9) - 3)


def inverse(fraction: float) -> float:
    """As 1/t, down to a hundredth: over 99 updates it is 1/(k + 1) at the k-th, counted from 0 (S115)."""
    return 1.0 / (1.0 + 99.0 * fraction)


def onecycle(fraction: float) -> float:
    """Up from a 25th over three tenths of the run, then down to nearly nothing (Smith and Topin 2018), on cosines."""
    if fraction < 0.3:
        return 1.0 - (1.0 - 1 / 25) * cosine(fraction / 0.3)
    return 4e-6 + (1.0 - 4e-6) * cosine((fraction - 0.3) / 0.7)


def warmed(schedule: Schedule, share: float) -> Schedule:
    """`schedule` after a straight rise from 0 over the first `share` of the run."""

    def factor(fraction: float) -> float:
        return schedule(fraction) * min(1.0, fraction / share) if share > 0 else schedule(fraction)

    return factor


NAMED: dict[str, Schedule] = {
    "constant": constant,
    "linear": linear,
    "cosine": cosine,
    "step": step,
    "exponential": exponential,
    "halving": halving,
    "inverse": inverse,
    "onecycle": onecycle,
}
