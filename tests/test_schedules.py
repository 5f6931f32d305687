"""Every schedule against its counterpart in torch, update by update."""

import pytest
import torch
from torch.optim import lr_scheduler

from deepclassics.schedules import NAMED, warmed

STEPS = 4000

COUNTERPARTS = {
    "constant": lambda o: lr_scheduler.ConstantLR(o, 1.0),
    "linear": lambda o: lr_scheduler.LinearLR(o, 1.0, 0.0, STEPS),
    "cosine": lambda o: lr_scheduler.CosineAnnealingLR(o, STEPS),
    "step": lambda o: lr_scheduler.MultiStepLR(o, [STEPS // 2, 3 * STEPS // 4], 0.1),
    "exponential": lambda o: lr_scheduler.ExponentialLR(o, 0.01 ** (1 / STEPS)),
    "halving": lambda o: lr_scheduler.MultiStepLR(o, [-(-k * STEPS // 13) for k in range(4, 13)], 0.5),
    "inverse": lambda o: lr_scheduler.LambdaLR(o, lambda k: 1 / (1 + 99 * k / STEPS)),
    "onecycle": lambda o: lr_scheduler.OneCycleLR(o, 1.0, STEPS, final_div_factor=1e4, cycle_momentum=False),
}


@pytest.mark.parametrize("name", NAMED)
def test_equals_torch(name: str) -> None:
    rule = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], 1.0)
    schedule = COUNTERPARTS[name](rule)
    for step in range(STEPS):
        # torch's one-cycle counts its first phase to 0.3 * (its steps - 1) - 1, one update early.
        tolerance = 2e-3 if name == "onecycle" else 1e-9
        assert NAMED[name](step / STEPS) == pytest.approx(rule.param_groups[0]["lr"], abs=tolerance), step
        rule.step()
        schedule.step()


def test_warm_up_rises_straight_from_nothing() -> None:
    factor = warmed(NAMED["constant"], 0.1)
    assert [factor(f) for f in (0.0, 0.05, 0.1, 0.5)] == [0.0, 0.5, 1.0, 1.0]
    assert warmed(NAMED["cosine"], 0.0)(0.0) == 1.0
