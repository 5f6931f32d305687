"""Optimizers written out: each makes one update of a point from what it asks of the ground under it.

The laboratory `descent` uses them. Every one is a function of the point, the ground, the learning rate, its own memory
(empty at first, changed in place, saved with a run) and the settings; it returns the next point. With the same
gradients they go where torch's and SciPy's go, which the tests hold them to.

Notes: S107, S110-S113 and S118-S123. Where these misprint a formula the right one is here: E021, the rule for scaled
axes must have the gradient A w + b, not b alone; E022, a Hessian with a negative eigenvalue is indefinite, not
semi-definite; E026, Nesterov's step is beta times the step before less eta times the gradient ahead, not a sum of
gradients; E058, Kingma and Ba put Adam's epsilon outside the root. The printed form of the last is a setting.

Letters: D unknowns, M residuals.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

TRIALS = 60  # dampings that Levenberg and Marquardt's method tries in one update: each is 10 times the one before
FLAT = 1e-12  # curvatures smaller than this part of the largest count as none


class Ground(Protocol):
    """What an optimizer may ask of a loss at a point w."""

    def loss(self, w: Tensor) -> Tensor:  # (D,) -> ()
        ...

    def gradient(self, w: Tensor) -> Tensor:  # (D,) -> (D,)
        ...

    def hessian(self, w: Tensor) -> Tensor:  # (D,) -> (D, D)
        ...

    def gauss_newton(self, w: Tensor) -> tuple[Tensor, Tensor]:  # (D,) -> (D, D), (D,)
        """J'J and J'r of the residuals r, (M,), where the loss is the sum of their squares."""
        ...


@dataclass(frozen=True)
class Settings:
    """`epsilon` None is the usual one of each method; `inside` puts it under the root (adagrad, rmsprop and adam)."""

    momentum: float = 0.9
    rho: float = 0.9
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float | None = None
    inside: bool = False


Memory = dict[str, Any]
Method = Callable[[Tensor, Ground, float, Memory, Settings], Tensor]  # (D,) -> (D,)


def gd(w: Tensor, ground: Ground, rate: float, memory: Memory, settings: Settings) -> Tensor:
    """w - eta g."""
    return w - rate * ground.gradient(w)


def momentum(w: Tensor, ground: Ground, rate: float, memory: Memory, settings: Settings) -> Tensor:
    """The step is beta times the step before less eta times the gradient (Polyak 1964; S118).

    torch's SGD keeps the sum of gradients without eta: the same as long as eta stays.
    """
    memory["step"] = settings.momentum * memory.get("step", torch.zeros_like(w)) - rate * ground.gradient(w)
    return w + memory["step"]


def nesterov(w: Tensor, ground: Ground, rate: float, memory: Memory, settings: Settings) -> Tensor:
    """As momentum, with the gradient of where beta times the step before leads (Nesterov 1983; S119, E026).

    torch's SGD with nesterov=True holds these points ahead, w + beta * step, in place of w.
    """
    carried = settings.momentum * memory.get("step", torch.zeros_like(w))
    memory["step"] = carried - rate * ground.gradient(w + carried)
    return w + memory["step"]


def adagrad(w: Tensor, ground: Ground, rate: float, memory: Memory, settings: Settings) -> Tensor:
    """Every gradient over the root of the sum of its squares so far (Duchi et al. 2011; S121)."""
    gradient = ground.gradient(w)
    memory["squares"] = memory.get("squares", torch.zeros_like(w)) + gradient.square()
    return w - rate * gradient / _root(memory["squares"], settings, 1e-10)


def rmsprop(w: Tensor, ground: Ground, rate: float, memory: Memory, settings: Settings) -> Tensor:
    """Every gradient over the root of a running mean of its squares (Tieleman and Hinton 2012; S120)."""
    gradient = ground.gradient(w)
    memory["squares"] = _mean(memory, "squares", gradient.square(), settings.rho)
    return w - rate * gradient / _root(memory["squares"], settings, 1e-8)


def adadelta(w: Tensor, ground: Ground, rate: float, memory: Memory, settings: Settings) -> Tensor:
    """The root of a running mean of squared steps over that of squared gradients (Zeiler 2012; S122).

    Both have epsilon under the root: without it the first step would be 0.
    """
    epsilon = 1e-6 if settings.epsilon is None else settings.epsilon
    gradient = ground.gradient(w)
    before = memory.get("steps", torch.zeros_like(w))
    memory["squares"] = _mean(memory, "squares", gradient.square(), settings.rho)
    step = gradient * (before + epsilon).sqrt() / (memory["squares"] + epsilon).sqrt()
    memory["steps"] = _mean(memory, "steps", step.square(), settings.rho)
    return w - rate * step


def adam(w: Tensor, ground: Ground, rate: float, memory: Memory, settings: Settings) -> Tensor:
    """Running means of gradients and of their squares, both freed of their start at 0 (Kingma and Ba 2015; S123)."""
    gradient = ground.gradient(w)
    count = memory["count"] = memory.get("count", 0) + 1
    memory["mean"] = _mean(memory, "mean", gradient, settings.beta1)
    memory["squares"] = _mean(memory, "squares", gradient.square(), settings.beta2)
    mean = memory["mean"] / (1 - settings.beta1**count)
    squares = memory["squares"] / (1 - settings.beta2**count)
    return w - rate * mean / _root(squares, settings, 1e-8)


def newton(w: Tensor, ground: Ground, rate: float, memory: Memory, settings: Settings) -> Tensor:
    """w - eta H^-1 g with the Hessian of here: it goes to where the gradient is 0, be that a saddle (S107, S111).

    Along directions that have no curvature it does not move.
    """
    inverse = torch.linalg.pinv(ground.hessian(w), rtol=FLAT, hermitian=True)
    return w - rate * (inverse @ ground.gradient(w))


def scaled(w: Tensor, ground: Ground, rate: float, memory: Memory, settings: Settings) -> Tensor:
    """Descent after every axis was stretched by the root of its curvature at the start (S110).

    Contours become circles, and eta = 1 is right, where the axes of the ellipses are the axes.
    """
    if "stretch" not in memory:
        memory["stretch"] = _floored(ground.hessian(w).diagonal().abs()).sqrt()
    stretch = memory["stretch"]
    hat = stretch * w
    return (hat - rate * ground.gradient(w) / stretch) / stretch


def rotated(w: Tensor, ground: Ground, rate: float, memory: Memory, settings: Settings) -> Tensor:
    """Descent in A^1/2 w for the Hessian A of the start: axes are rotated and stretched, contours circles (S110, E021).

    A must be positive definite for that; of an indefinite one the absolute eigenvalues are taken (Dauphin et al. 2014).
    """
    if "stretch" not in memory:
        values, vectors = torch.linalg.eigh(ground.hessian(w))
        memory["stretch"], memory["vectors"] = _floored(values.abs()).sqrt(), vectors
    stretch, vectors = memory["stretch"], memory["vectors"]
    hat = stretch * (vectors.T @ w)
    return vectors @ ((hat - rate * (vectors.T @ ground.gradient(w)) / stretch) / stretch)


def bfgs(w: Tensor, ground: Ground, rate: float, memory: Memory, settings: Settings) -> Tensor:
    """Quasi-Newton: an estimate of H^-1 that agrees with the last change of the gradient (S112).

    Broyden, Fletcher, Goldfarb and Shanno 1970; the update and the first trial step as SciPy's. The length of a step
    comes from SciPy's search for the strong Wolfe conditions, not from the learning rate. It returns w itself where no
    lower point is found.
    """
    from scipy.optimize import line_search

    def at(numbers: Any) -> Tensor:
        return torch.as_tensor(numbers, dtype=w.dtype, device=w.device)

    gradient, loss = ground.gradient(w), float(ground.loss(w))
    inverse = memory.get("inverse")
    if inverse is None:
        inverse = torch.eye(len(w), dtype=w.dtype, device=w.device)
    direction = -inverse @ gradient
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # LineSearchWarning, which the None below says as well; overflow on the way
        found = line_search(
            lambda x: float(ground.loss(at(x))),
            lambda x: ground.gradient(at(x)).cpu().numpy(),
            w.cpu().numpy(),
            direction.cpu().numpy(),
            gradient.cpu().numpy(),
            loss,
            memory.get("before", loss + float(gradient.norm()) / 2),
        )
    length = found[0]
    if length is None:
        if not memory:
            return w
        memory.clear()  # once more, down the gradient
        return bfgs(w, ground, rate, memory, settings)
    step = length * direction
    memory["inverse"] = secant(inverse, step, ground.gradient(w + step) - gradient)
    memory["before"] = loss
    return w + step


def secant(inverse: Tensor, step: Tensor, change: Tensor) -> Tensor:  # (D, D), (D,), (D,) -> (D, D)
    """BFGS's estimate of the inverse Hessian, updated so that it takes the gradient's `change` to the `step`."""
    overlap = change @ step
    if overlap <= 0:  # cannot be after a step that meets the Wolfe conditions, but for rounding
        return inverse
    shear = torch.eye(len(step), dtype=step.dtype, device=step.device) - torch.outer(step, change) / overlap
    return shear @ inverse @ shear.T + torch.outer(step, step) / overlap


def lm(w: Tensor, ground: Ground, rate: float, memory: Memory, settings: Settings) -> Tensor:
    """(J'J + lambda I) step = -J'r for a loss that is a sum of squared residuals r (S113).

    Levenberg 1944, Marquardt 1963: lambda falls to a tenth after a step that led lower, and grows tenfold until one
    does; the learning rate has no say. lambda = 0 is Gauss and Newton's step, a large one a short step down the
    gradient. It returns w itself where no lower point is found.
    """
    matrix, vector = ground.gauss_newton(w)
    loss = ground.loss(w)
    damping = memory.get("damping", 1e-3 * max(float(matrix.diagonal().max()), 1e-12))
    for _ in range(TRIALS):
        there = w + damped(matrix, vector, damping)
        if bool(ground.loss(there) < loss):
            memory["damping"] = max(damping / 10, 1e-12)
            return there
        damping *= 10
    return w


def damped(matrix: Tensor, vector: Tensor, damping: float) -> Tensor:  # (D, D), (D,) -> (D,)
    """The step of Levenberg and Marquardt for J'J, J'r and a damping."""
    loaded = matrix + damping * torch.eye(len(vector), dtype=matrix.dtype, device=matrix.device)
    # Not `solve`, which raises where the damping drowns in a singular J'J: the shortest of the solutions will do.
    # Nor the processor's usual driver, gelsy, which gives other last digits another time; elsewhere there is but one.
    driver = "gelsd" if loaded.device.type == "cpu" else None
    return -torch.linalg.lstsq(loaded, vector[:, None], driver=driver).solution[:, 0]


METHODS: dict[str, Method] = {
    "gd": gd, "momentum": momentum, "nesterov": nesterov, "adagrad": adagrad, "rmsprop": rmsprop, "adadelta": adadelta,
    "adam": adam, "newton": newton, "scaled": scaled, "rotated": rotated, "bfgs": bfgs, "lm": lm,
}  # fmt: skip
SECOND_ORDER = frozenset({"newton", "scaled", "rotated", "bfgs", "lm"})  # hold a (D, D) matrix; 1 is their own rate
SEARCHING = frozenset({"bfgs", "lm"})  # choose the length of a step themselves


def _mean(memory: Memory, name: str, new: Tensor, keep: float) -> Tensor:
    """A running mean that begins at 0."""
    return keep * memory.get(name, torch.zeros_like(new)) + (1 - keep) * new


def _root(squares: Tensor, settings: Settings, usual: float) -> Tensor:
    epsilon = usual if settings.epsilon is None else settings.epsilon
    return (squares + epsilon).sqrt() if settings.inside else squares.sqrt() + epsilon


def _floored(curvature: Tensor) -> Tensor:
    """Curvatures of 0 or nearly become 1: there is nothing to scale by."""
    most = curvature.max()
    return torch.where(curvature > FLAT * most, curvature, torch.ones_like(curvature))
