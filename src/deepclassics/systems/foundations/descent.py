"""Descent: a laboratory of optimizers, started side by side on one surface or on one real loss.

Source: the notes' chapter on optimisation, S107-S123, with N009, N024, N025, C067-C072, C079-C081; B. Polyak, Some
methods of speeding up the convergence of iteration methods (1964), momentum; Y. Nesterov 1983; J. Duchi, E. Hazan,
Y. Singer 2011, Adagrad; T. Tieleman, G. Hinton 2012, RMSProp; M. Zeiler 2012, Adadelta; D. Kingma, J. Ba 2015, Adam;
Broyden, Fletcher, Goldfarb, Shanno 1970; K. Levenberg 1944, D. Marquardt 1963. Every formula is in `optimizers.py`.

Departures from the paper: the notes' misprints are mended. A quadratic is (1/2) sum a w^2 + sum b w + c, its linear
terms not halved (E019), and each coordinate descends a slice of it whose constant is free of that coordinate (E020);
the descent on scaled axes steps by A^-1 (A w + b), not A^-1 b (E021). That eta is below twice the least eta_opt is
what convergence needs, not the best choice (E018), which is 2/(least + greatest curvature). Newton's step follows
directly (E017), and a Hessian with a negative eigenvalue is indefinite (E022). The whole data are summed before an
update (E023), a batch's gradient is its mean and is subtracted (E025), Nesterov's gradient is that of the point ahead
(E026), and epsilon stands outside the root as in the papers (E058); `--eps-inside` puts it where the notes do.
Where no rate is given, each optimizer has its own: half of 1/(greatest curvature at the start) for gd, momentum and
nesterov, 1 for those that measure curvature, 0.5 for adagrad, 1 for adadelta, 0.05 for rmsprop and adam.

Expected: on a quadratic the error of gradient descent shrinks each update by 1 - eta/eta_opt: 0.5, 0, -0.5, -1 and
-1.1 for eta/eta_opt = 0.5, 1, 1.5, 2 and 2.1; after the axes are scaled and rotated one step is enough. In the ravine,
each at its best settings, momentum comes within a millionth after 95 updates, gradient descent after 709. Data are
a formula, as "x**2 + 3*y**2", a named surface (ravine, rosenbrock, saddle, beale, double_well, ...), or a table, whose
loss is that of a linear or logistic regression, or with `--hidden` of an MLP.

Letters: D unknowns, R optimizers, P points of a path, N examples, K outputs, M residuals.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import torch
import torch.distributed as dist
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from deepclassics.data import load
from deepclassics.data.expressions import Expression, arithmetic
from deepclassics.data.streams import Batch, Columns, Data, Shuffled, Splits, Stream, Whole
from deepclassics.errors import UserError
from deepclassics.flags import shown
from deepclassics.learn import Box, Clock, Learner, Scores, Stateful
from deepclassics.loop import Plan
from deepclassics.optimizers import METHODS, SEARCHING, SECOND_ORDER, Settings
from deepclassics.recipe import Course, Decay, Picture, Rate, Recipe, Share
from deepclassics.schedules import NAMED, Schedule, constant, warmed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from deepclassics.report.evidence import Evidence

Optimizer = Literal["gd", "momentum", "nesterov", "adagrad", "rmsprop", "adadelta", "adam",
                    "newton", "scaled", "rotated", "bfgs", "lm"]  # fmt: skip

STARTS = {
    "quadratic": (-2.5, 1.5), "tilted": (-2.5, 0.5), "ravine": (-2.5, 0.6), "saddle": (-1.2, 0.02),
    "rosenbrock": (-1.2, 1.0), "beale": (1.0, 1.5), "double_well": (1.6,),
}  # fmt: skip
USUAL = {"adagrad": 0.5, "rmsprop": 0.05, "adam": 0.05}  # rates; the others are 1 or depend on the surface
BEYOND = 1e12  # a loss so far from 0 has diverged
POINTS = 2000  # of a path that are kept: every update, or evenly thinned
WEIGHTS = 1_000_000  # of a net, at most: every optimizer has its own, and looks at all of them
UNKNOWNS = 2000  # of a loss whose Hessian is wanted: it has their square of numbers
DENSE = 300  # unknowns up to which all curvatures are told
SHOWN = 2000  # examples whose loss a map shows: it is asked for at 1,600 points
TERMS = 2000  # of a formula that is searched for squares


# --- surfaces


class Surface(ABC):
    """A loss over D unknowns."""

    names: tuple[str, ...] = ()  # of the unknowns, where they have any
    size: int

    @abstractmethod
    def loss(self, w: Tensor, batch: Batch) -> Tensor:  # (D,) -> ()
        ...

    @abstractmethod
    def residuals(self, w: Tensor, batch: Batch) -> Tensor:  # (D,) -> (M,)
        """What the loss is the sum of the squares of, where it is one."""


class Formula(Surface):
    """The height over a point, as the user wrote it."""

    def __init__(self, expression: Expression) -> None:
        self.expression = expression
        self.names = expression.names
        self.size = len(self.names)
        self.squares = squares(expression)

    def heights(self, points: Tensor) -> Tensor:  # (..., D) -> (...)
        return self.expression({name: points[..., place] for place, name in enumerate(self.names)})

    def loss(self, w: Tensor, batch: Batch) -> Tensor:  # (D,) -> ()
        return self.heights(w)

    def residuals(self, w: Tensor, batch: Batch) -> Tensor:  # (D,) -> (M,)
        assert self.squares is not None
        return torch.stack([root({name: w[place] for place, name in enumerate(self.names)}) for root in self.squares])


class Regression(Surface):
    """The loss of a net on a table: linear or logistic regression, or with hidden layers of tanh units an MLP.

    A number is learnt in units of its deviation `spread` around its mean `centre`. The loss is its squared error, for
    classes the cross-entropy in nats, and `l2`/2 times the sum of the squared weights, without the biases. `sizes`
    are those of the layers, inputs first.
    """

    def __init__(self, sizes: tuple[int, ...], l2: float, centre: float = 0.0, spread: float = 1.0) -> None:
        self.shapes = list(zip(sizes[1:], sizes[:-1], strict=True))
        self.l2, self.centre, self.spread = l2, centre, spread
        self.size = sum(units * (inputs + 1) for units, inputs in self.shapes)

    def start(self) -> Tensor:  # (D,)
        """Weights of variance 2/(inputs + units), biases 0 (Glorot and Bengio 2010); all 0 without hidden layers."""
        pieces = []
        for units, inputs in self.shapes:
            scale = (2 / (inputs + units)) ** 0.5 if len(self.shapes) > 1 else 0.0
            pieces += [scale * torch.randn(units * inputs, dtype=torch.float64), torch.zeros(units).double()]
        return torch.cat(pieces)

    def out(self, w: Tensor, x: Tensor) -> Tensor:  # (D,), (N, features) -> (N, K)
        x = x.double()
        for place, (weight, bias) in enumerate(self.layers(w)):
            x = (x.tanh() if place else x) @ weight.T + bias
        return x

    def layers(self, w: Tensor) -> list[tuple[Tensor, Tensor]]:  # (D,) -> (units, inputs), (units,) a layer
        pieces = iter(w.split([size for units, inputs in self.shapes for size in (units * inputs, units)]))
        return [(next(pieces).view(units, inputs), next(pieces)) for units, inputs in self.shapes]

    def loss(self, w: Tensor, batch: Batch) -> Tensor:  # (D,) -> ()
        if "number" in batch:
            return self.residuals(w, batch).square().sum()
        weights = sum(weight.square().sum() for weight, _ in self.layers(w))
        return F.cross_entropy(self.out(w, batch["features"]), batch["label"]) + self.l2 / 2 * weights

    def residuals(self, w: Tensor, batch: Batch) -> Tensor:  # (D,) -> (N + weights,)
        error = self.out(w, batch["features"])[:, 0] - (batch["number"].double() - self.centre) / self.spread
        weights = torch.cat([weight.flatten() for weight, _ in self.layers(w)])
        return torch.cat([error / len(error) ** 0.5, (self.l2 / 2) ** 0.5 * weights])


def squares(expression: Expression) -> list[Expression] | None:
    """Formulas of which the squares add up to this one, as it is written; None where it is no sum of squares."""
    if len(expression.steps) > TERMS:
        return None
    Steps = tuple[tuple[str, Any], ...]
    # A stack of what was read: its steps, the steps of its roots if it is a sum of squares, its value if a number.
    stack: list[tuple[Steps, list[Steps] | None, float | None]] = []

    def times(roots: list[Steps], factor: float) -> list[Steps]:
        return [(*root, ("number", factor**0.5), ("mul", 2)) for root in roots]

    for what, argument in expression.steps:
        if what == "name":
            stack.append((((what, argument),), None, None))
        elif what == "number":
            root: Steps = (("number", abs(argument) ** 0.5),)
            stack.append((((what, argument),), [root] if argument >= 0 else None, argument))
        else:
            taken = stack[-argument:]
            del stack[-argument:]
            roots: list[Steps] | None = None
            (left, left_roots, left_number), (right, right_roots, number) = taken[0], taken[-1]
            if what == "same":
                roots = left_roots
            elif what == "add" and left_roots is not None and right_roots is not None:
                roots = left_roots + right_roots
            elif what == "mul" and left == right:
                roots = [left]
            elif what == "mul" and left_number is not None and left_number >= 0 and right_roots is not None:
                roots = times(right_roots, left_number)
            elif what == "mul" and number is not None and number >= 0 and left_roots is not None:
                roots = times(left_roots, number)
            elif what == "div" and number is not None and number > 0 and left_roots is not None:
                roots = times(left_roots, 1 / number)
            elif what == "pow" and number is not None and number > 0 and number % 2 == 0:
                roots = [left if number == 2 else (*left, ("number", number / 2), ("pow", 2))]
            steps = [step for piece in taken for step in piece[0]]
            stack.append(((*steps, (what, argument)), roots, None))
    roots = stack[0][1]
    return None if roots is None else [Expression("", expression.names, False, each) for each in roots]


class Ground:
    """A surface under one batch, the mean of it over the ranks: what the optimizers ask."""

    def __init__(self, surface: Surface, batch: Batch) -> None:
        self.surface, self.batch = surface, batch

    def _height(self, w: Tensor) -> Tensor:  # (D,) -> ()
        return self.surface.loss(w, self.batch)

    def loss(self, w: Tensor) -> Tensor:  # (D,) -> ()
        return averaged(self._height(w))

    def gradient(self, w: Tensor) -> Tensor:  # (D,) -> (D,)
        at = w.detach().requires_grad_()
        with torch.enable_grad():
            return averaged(derivative(self._height(at), at))

    def products(self, w: Tensor, directions: Tensor) -> Tensor:  # (D,), (any, D) -> (any, D)
        """The Hessian times each direction."""
        at = w.detach().requires_grad_()
        with torch.enable_grad():
            slope = derivative(self._height(at), at, again=True)
            return averaged(torch.stack([derivative(slope @ each, at, again=True).detach() for each in directions]))

    def hessian(self, w: Tensor) -> Tensor:  # (D,) -> (D, D)
        whole = self.products(w, torch.eye(len(w), dtype=w.dtype, device=w.device))
        return (whole + whole.T) / 2

    def gauss_newton(self, w: Tensor) -> tuple[Tensor, Tensor]:  # (D,) -> (D, D), (D,)
        at = w.detach().requires_grad_()
        with torch.enable_grad():
            residuals = self.surface.residuals(at, self.batch)
            # J'u is linear in u: its slope is J, a column for each unknown, however many residuals there are.
            u = torch.zeros_like(residuals, requires_grad=True)
            pulled = derivative(residuals, at, u, again=True)
            jacobian = torch.stack([derivative(each, u, again=True).detach() for each in pulled], 1)
        return averaged(jacobian.T @ jacobian), averaged(jacobian.T @ residuals.detach())

    def steepest(self, w: Tensor) -> float:  # (D,)
        """The greatest absolute curvature at w; by thirty products with the Hessian where there are many unknowns."""
        if len(w) <= DENSE:
            return float(torch.linalg.eigvalsh(self.hessian(w)).abs().max())
        direction = torch.randn(len(w), generator=torch.Generator().manual_seed(0), dtype=w.dtype).to(w.device)
        size = 0.0
        for _ in range(30):
            direction = self.products(w, direction[None] / direction.norm().clamp(min=1e-300))[0]
            size = float(direction.norm())
        return size


def derivative(y: Tensor, x: Tensor, seed: Tensor | None = None, again: bool = False) -> Tensor:
    """The slope of y, times `seed`, along x; 0 where y does not depend on x, as a formula made of steps."""
    if not y.requires_grad:
        return torch.zeros_like(x)
    return torch.autograd.grad(y, x, seed, create_graph=again, materialize_grads=True)[0]


def averaged(value: Tensor) -> Tensor:
    """The mean over the ranks."""
    if dist.is_available() and dist.is_initialized():
        value = value.contiguous().clone()
        dist.all_reduce(value)
        value /= dist.get_world_size()
    return value


# --- the race


class Paths(nn.Module):
    """Where every optimizer stands, and on a formula its path from the start.

    `trail` holds the start and then every `stride`-th point, `taken` says how many of them; after it has ended, an
    optimizer stays where it is. `best` is the optimizer that stands lowest.
    """

    start: Tensor
    trail: Tensor
    taken: Tensor
    best: Tensor

    def __init__(self, surface: Surface, names: tuple[str, ...], start: Tensor, updates: int) -> None:
        super().__init__()
        self.surface, self.names = surface, names
        self.at = nn.ParameterDict({name: nn.Parameter(start.clone()) for name in names})
        self.stride = -(-updates // POINTS)
        points = 1 + -(-updates // self.stride) if isinstance(surface, Formula) else 0
        self.register_buffer("start", start.clone())
        self.register_buffer("trail", start.repeat(len(names), points, 1))
        self.register_buffer("taken", torch.tensor(1))
        self.register_buffer("best", torch.tensor(0))

    def lowest(self) -> Tensor:  # -> (D,)
        return self.at[self.names[int(self.best)]].detach()

    def path(self, name: str) -> Tensor:  # -> (P, D)
        """Up to the point where it ended."""
        path = self.trail[self.names.index(name), : int(self.taken)]
        moved = (path != path[-1]).any(1).nonzero()
        return path[: int(moved.max()) + 2] if len(moved) else path[:1]


class Race(Learner):
    """Each optimizer makes its update from where it stands, until it rests, is stuck, or has diverged.

    At rest: the gradient is no longer than `tolerance`, in Euclidean norm. Diverged: the next point's loss would lie
    beyond 1e12 or be no number; it stays where it is. `rates` may be empty, for the usual ones, or one for all.
    """

    model: Paths

    def __init__(
        self,
        model: Paths,
        settings: Settings,
        rates: tuple[float, ...] = (),
        *,
        schedule: Schedule = constant,
        plateau: int = 0,
        plateau_ratio: float = 0.5,
        tolerance: float = 1e-8,
        shown: bool = False,
    ) -> None:
        self.model, self.settings = model, settings
        self.schedule, self.plateau, self.plateau_ratio = schedule, plateau, plateau_ratio
        self.tolerance = tolerance
        self.shown = shown  # whether the rates are scores too
        given = rates * len(model.names) if len(rates) == 1 else rates
        names = model.names
        self.state = Box(
            {
                "memory": {name: {} for name in names},
                "rates": dict(zip(names, given, strict=True)) if given else {},
                "cut": dict.fromkeys(names, 1.0),  # factors on the rates, by plateaus
                "stale": dict.fromkeys(names, 0),
                "least": dict.fromkeys(names, float("inf")),
                "loss": {},
                "slope": {},
                "ended": {},  # name: [why, update]
            }
        )

    def step(self, batch: Batch, clock: Clock) -> Scores:
        ground, state = Ground(self.model.surface, batch), self.state.value
        if not state["rates"]:
            state["rates"] = {name: usual_rate(name, ground, self.model.start) for name in self.model.names}
        factor = self.schedule(clock.fraction)
        rates = {name: state["rates"][name] * factor * state["cut"][name] for name in self.model.names}
        for name in self.model.names:
            if name not in state["ended"]:
                self._update(name, ground, rates[name], clock.step + 1)
        losses = [state["loss"][name] for name in self.model.names]
        self.model.best.fill_(losses.index(min(losses)))
        self._keep(clock.step + 1)
        self.done = len(state["ended"]) == len(self.model.names)
        scores = {"loss": min(losses)} | {f"{name}/loss": state["loss"][name] for name in self.model.names}
        return scores | ({f"{name}/rate": rate for name, rate in rates.items()} if self.shown else {})

    def _update(self, name: str, ground: Ground, rate: float, update: int) -> None:
        state, at = self.state.value, self.model.at[name]
        w = at.detach()
        if name not in state["loss"]:
            state["loss"][name], state["slope"][name] = float(ground.loss(w)), float(ground.gradient(w).norm())
        try:
            there = METHODS[name](w, ground, rate, state["memory"][name], self.settings)
            loss, slope = float(ground.loss(there)), float(ground.gradient(there).norm())
        except torch.linalg.LinAlgError:  # a Hessian that is not finite
            loss = slope = float("nan")
        if not (abs(loss) <= BEYOND and slope < float("inf")):
            state["ended"][name] = ["diverged", update - 1]
            return
        if name in SEARCHING and torch.equal(there, w):
            state["ended"][name] = ["stuck", update - 1]
            return
        with torch.no_grad():
            at.copy_(there)
        state["loss"][name], state["slope"][name] = loss, slope
        if slope <= self.tolerance:
            state["ended"][name] = ["rest", update]
        # As torch's ReduceLROnPlateau without a threshold (S116).
        state["stale"][name] = 0 if loss < state["least"][name] else state["stale"][name] + 1
        state["least"][name] = min(loss, state["least"][name])
        if self.plateau and state["stale"][name] > self.plateau:
            state["cut"][name] *= self.plateau_ratio
            state["stale"][name] = 0

    def _keep(self, update: int) -> None:
        """The points of now into the trail."""
        place, rest = divmod(update, self.model.stride)
        if not rest and place < self.model.trail.shape[1]:
            self.model.trail[:, place:] = torch.stack([self.model.at[name].detach() for name in self.model.names])[
                :, None
            ]
            self.model.taken.fill_(place + 1)

    def evaluate(self, stream: Stream) -> Scores:
        """The mean loss at each optimizer's point and, of classes, the error rate; first those of the best."""
        surface, names = self.model.surface, self.model.names
        sums: dict[str, float] = {}
        count = 0
        for batch in stream:
            size = len(batch["features"])
            for name in names:
                w = self.model.at[name].detach()
                found = {f"{name}/loss": surface.loss(w, batch)}
                if "label" in batch:
                    assert isinstance(surface, Regression)
                    given = surface.out(w, batch["features"]).argmax(1)
                    found[f"{name}/error"] = (given != batch["label"]).double().mean()
                for score, value in found.items():
                    sums[score] = sums.get(score, 0.0) + float(value) * size
            count += size
        scores = {score: total / count for score, total in sums.items()}
        first = names[int(self.model.best)]
        return {
            score: scores[f"{first}/{score}"] for score in ("loss", "error") if f"{first}/{score}" in scores
        } | scores

    def parts(self) -> dict[str, Stateful]:
        return {"model": self.model, "state": self.state}

    def snapshot(self) -> dict[str, Tensor]:
        """Of a net; a formula's path is in the model, update by update."""
        if isinstance(self.model.surface, Formula):
            return {}
        return {name: at.detach().clone() for name, at in self.model.at.items()}


def usual_rate(name: str, ground: Ground, start: Tensor) -> float:  # (D,)
    """A rate for who gives none. One that depends on the curvature is cut so that the first step is no leap."""
    if name not in ("gd", "momentum", "nesterov"):
        return USUAL.get(name, 1.0)
    curvature, slope = ground.steepest(start), float(ground.gradient(start).norm())
    most = max(1.0, float(start.norm())) / slope if slope else 1.0
    return min(0.5 / curvature, most) if curvature > 0 else min(0.1, most)


# --- what can be said at the end


def quadratic(ground: Ground, points: list[Tensor]) -> Tensor | None:  # (D,) each -> (D, D)
    """The Hessian, if it is the same at all the points and not 0."""
    first, *others = [ground.hessian(point) for point in points]
    size = float(first.abs().max())
    same = all(torch.allclose(each, first, rtol=0, atol=1e-9 * size) for each in others)
    return first if same and 0 < size < float("inf") else None


def factor(errors: Tensor) -> tuple[float, bool] | None:  # (P, D)
    """What an update multiplies the error by, and whether it is always the same number.

    `errors` are those of a path along the axes of a quadratic. Where every update multiplies each of them by the same
    number, the one of greatest size is given, with its sign; else the mean factor of the error's length. None where
    the path begins at the minimum, or is that of no update.
    """
    floor = 1e-7 * float(errors[0].abs().max())
    if floor == 0 or len(errors) < 2:
        return None
    found = []
    for error in errors.T:
        told = error[:-1].abs() > floor
        if bool(told.any()):
            ratios = error[1:][told] / error[:-1][told]
            if not torch.allclose(ratios, ratios[:1].expand_as(ratios), rtol=1e-6, atol=1e-6):
                break
            found.append(float(ratios[0]) if abs(ratios[0]) > 1e-9 else 0.0)
    else:
        return max(found, key=abs), True
    lengths = errors.norm(dim=1)
    last = int((lengths > floor).nonzero().max())
    return (float(lengths[last] / lengths[0]) ** (1 / last), False) if last else (0.0, True)


def point(w: Tensor, names: tuple[str, ...]) -> str:  # (D,)
    """ "(1, 0.5)", or nothing where there are too many numbers to read."""
    return f" at ({', '.join(f'{value:.6g}' for value in (w + 0.0).tolist())})" if names and len(w) <= 6 else ""


def kind_of_point(curvatures: Tensor) -> str:  # (D,)
    """What a point of no gradient is, by the eigenvalues of its Hessian."""
    floor = 1e-9 * max(1.0, float(curvatures.abs().max()))
    if bool((curvatures > floor).all()):
        return "a minimum"
    if bool((curvatures < -floor).all()):
        return "a maximum"
    if bool((curvatures < -floor).any()) and bool((curvatures > floor).any()):
        return "a saddle: its Hessian is indefinite"
    return "flat along some direction"


class DescentRecipe(Recipe):
    """Optimizers side by side on a surface, or on the loss of a net on a table."""

    takes = ("function", "table")
    gives = ("label", "number", "point")

    data: str = Field("ravine", description="a named surface, a formula as 'x**2 + 3*y**2', or a table to fit a net to")
    optimizer: tuple[Optimizer, ...] = Field(
        ("gd", "momentum", "nesterov", "rmsprop", "adam"),
        description=f"one or several, each from the same start: {', '.join(METHODS)}",
    )
    lr: tuple[Rate, ...] = Field((), description="learning rate: none for each one's usual, one for all, or one each")
    updates: int = Field(300, ge=1, le=1_000_000, description="of every optimizer, unless it comes to rest earlier")
    start: tuple[float, ...] = Field((), description="a number for each variable of a formula; none: the set's, or 1.5")
    momentum: float = Field(0.9, ge=0, lt=1, description="of the optimizers momentum and nesterov")
    rho: float = Field(0.9, ge=0, lt=1, description="share of the past in the running means of rmsprop and adadelta")
    beta1: float = Field(0.9, ge=0, lt=1, description="share of the past in adam's mean of gradients")
    beta2: float = Field(0.999, ge=0, lt=1, description="share of the past in adam's mean of squared gradients")
    eps: Annotated[float | None, Field(gt=0)] = Field(
        None, description="of the adaptive optimizers; none: 1e-10 for adagrad, 1e-6 for adadelta, 1e-8 for the others"
    )
    eps_inside: bool = Field(False, description="eps under the root, as the notes have it, in adagrad, rmsprop, adam")
    schedule: Course = "constant"
    warmup: float = Field(0.0, ge=0, lt=1, description="share of the run over which the rate rises from 0")
    plateau: int = Field(0, ge=0, description="updates without a lower loss before a rate is cut, 0 for never")
    plateau_ratio: float = Field(0.5, gt=0, lt=1, description="what a plateau multiplies the rate by")
    tolerance: float = Field(1e-8, ge=0, description="norm of the gradient at which an optimizer is at rest")
    target: str | None = Field(None, description="the column of a table that is to be learnt")
    hidden: tuple[Annotated[int, Field(ge=1)], ...] = Field((), description="units of each hidden layer, for a table")
    l2: Decay = Field(0.0, description="weight decay, for a table: half of it times the squared weights in the loss")
    batch: Annotated[int | None, Field(ge=1)] = Field(None, description="examples per update; none: all of a table")
    valid: Share = Field(0.0, description="share of the training examples of a table to look at on the way")
    test: Share = Field(0.2, description="share of the examples of a table to judge by, where it has no test part")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not self.optimizer or len(set(self.optimizer)) < len(self.optimizer):
            got = " ".join(self.optimizer) or "none"
            raise ValueError(f"optimizer must be one or more different names; got {got}.")
        if len(self.lr) not in (0, 1, len(self.optimizer)):
            raise ValueError(
                f"lr must be none, one rate, or one for each of the {len(self.optimizer)} optimizers; "
                f"got {len(self.lr)}."
            )
        return self

    def load(self) -> Data:
        # A file of numbers could be a function given by points too; to this system it is a table.
        takes = ("table",) if os.path.exists(self.data) else self.takes
        found = load(self.data, takes, seed=self.seed, valid=self.valid, test=self.test, target=self.target)
        return self._surface(found) if found.spec["kind"] == "function" else self._table(found)

    def _surface(self, found: Any) -> Data:
        raw, spec = found.train, found.spec
        if raw.expression is None:
            raise UserError(
                f"descent: {self.data} is given by points, between which there is no slope. Type a formula."
            )
        for knob, value in (("hidden", self.hidden), ("batch", self.batch)):
            if value:
                raise UserError(f"descent: {knob} is for a table; {self.data} is a formula. Leave --{knob} out.")
        surface = Formula(raw.expression)
        start = self.start or STARTS.get(raw.name, (1.5,) * surface.size)
        if len(start) != surface.size:
            raise UserError(
                f"descent: start must be a number for each of {', '.join(surface.names)}; "
                f"got {len(start)} for {surface.size}."
            )
        if "lm" in self.optimizer and surface.squares is None:
            raise UserError(
                f"descent: lm needs a sum of squares, as '(1 - x)**2 + 100*(y - x**2)**2'; {self.data} is not written "
                f"as one. Write it so, or choose bfgs or newton."
            )
        w = torch.tensor(start, dtype=torch.float64)
        ground = Ground(surface, {})
        height, gradient = float(surface.loss(w, {})), ground.gradient(w)
        if not (abs(height) <= BEYOND and bool(gradient.isfinite().all())):
            told = f"the height {height:g}" if not abs(height) <= BEYOND else f"the slope {gradient.tolist()}"
            raise UserError(
                f"descent: {self.data} must have a height below {BEYOND:g} and a slope at the start"
                f"{point(w, raw.names)}; it has {told}. Choose another --start."
            )
        spec = spec | {"start": list(start)}
        return Data(spec, Whole(Columns(features=w[None])))

    def _table(self, found: Splits) -> Data:
        spec = found.spec
        if self.start:
            raise UserError(f"descent: start is for a formula; {self.data} is a table. Leave --start out.")
        surface = self._net(spec)
        if surface.size > WEIGHTS:
            raise UserError(
                f"descent: a net may have at most {WEIGHTS:,} weights; with hidden {shown(self.hidden)} "
                f"it has {surface.size:,}."
            )
        if "lm" in self.optimizer and spec["target"]["kind"] == "class":
            raise UserError(
                f"descent: lm needs a loss that is a sum of squares, as that of numbers; '{spec['target']['name']}' "
                f"holds classes, whose loss is the cross-entropy. Choose bfgs."
            )
        if surface.size > UNKNOWNS and (second := [name for name in self.optimizer if name in SECOND_ORDER]):
            raise UserError(
                f"descent: {', '.join(second)} can bear at most {UNKNOWNS:,} weights, whose square they keep; this net "
                f"has {surface.size:,}. Choose fewer --hidden units, or another optimizer."
            )
        return found.streams(Shuffled(found.train, self.batch, self.seed) if self.batch else Whole(found.train))

    def _net(self, spec: dict[str, Any]) -> Regression:
        target = spec["target"]
        if target["kind"] == "number":
            return Regression((spec["features"], *self.hidden, 1), self.l2, target["mean"], target["std"])
        return Regression((spec["features"], *self.hidden, len(target["classes"])), self.l2)

    def model(self, spec: dict[str, Any]) -> Paths:
        if spec["kind"] == "function":
            start = torch.tensor(spec["start"], dtype=torch.float64)
            return Paths(Formula(arithmetic(spec["text"])), self.optimizer, start, self.updates)
        net = self._net(spec)
        return Paths(net, self.optimizer, net.start(), self.updates)

    def learner(self, model: nn.Module) -> Race:
        assert isinstance(model, Paths)
        settings = Settings(self.momentum, self.rho, self.beta1, self.beta2, self.eps, self.eps_inside)
        return Race(
            model,
            settings,
            self.lr,
            schedule=warmed(NAMED[self.schedule], self.warmup),
            plateau=self.plateau,
            plateau_ratio=self.plateau_ratio,
            tolerance=0.0 if self.batch else self.tolerance,  # the gradient of a batch may vanish by chance
            shown=self._varies(),
        )

    def _varies(self) -> bool:
        return self.schedule != "constant" or self.warmup > 0 or self.plateau > 0

    def plan(self, data: Data) -> Plan:
        return Plan(self.updates, max(1, self.updates // 50))

    def answer(self, model: nn.Module, question: Batch, options: Any) -> Batch:
        """For a row what the lowest weights say; for a place where the best optimizer goes from there, and how low."""
        assert isinstance(model, Paths)
        surface = model.surface
        if isinstance(surface, Regression):
            out = surface.out(model.lowest(), question["features"])
            if out.shape[1] == 1:
                return {"number": out[:, 0] * surface.spread + surface.centre}
            probability = out.softmax(1)
            return {"label": probability.argmax(1), "probability": probability}
        assert isinstance(surface, Formula)
        best = int(model.best)
        rate = self.lr[best : best + 1] if len(self.lr) > 1 else self.lr
        alone = self.model_copy(update={"optimizer": (model.names[best],), "lr": rate})
        ends = []
        for place in question["features"]:
            learner = alone.learner(Paths(surface, alone.optimizer, place, self.updates))
            for step in range(self.updates):
                learner.step({"features": place[None]}, Clock(step, self.updates, 1))
                if learner.done:
                    break
            ends.append(learner.model.lowest())
        reached = torch.stack(ends)
        return {
            "point": reached,
            "from": surface.heights(question["features"]),
            "to": surface.heights(reached),
        }

    def conclude(self, learner: Learner, data: Data) -> tuple[dict[str, float], list[str]]:
        """How each optimizer ended; of a quadratic its curvatures, the rates they allow, and the measured factors."""
        assert isinstance(learner, Race)
        model, state = learner.model, learner.state.value
        scores: dict[str, float] = {}
        remarks = []
        ground = Ground(model.surface, data.train.at(0))
        shape = None
        if model.surface.size <= DENSE and not self.batch:
            lowest = model.lowest()
            near = torch.randn(2, len(lowest), generator=torch.Generator().manual_seed(0), dtype=lowest.dtype)
            shape = quadratic(ground, [model.start, lowest, *(lowest + near.to(lowest.device))])
        if shape is not None:
            found, remark = allowed(torch.linalg.eigvalsh(shape))
            scores |= found
            remarks.append(remark)
        for name in model.names:
            if shape is not None and isinstance(model.surface, Formula):
                lowest = model.lowest()
                minimum = lowest - torch.linalg.pinv(shape, rtol=1e-12, hermitian=True) @ ground.gradient(lowest)
                measured = factor((model.path(name) - minimum) @ torch.linalg.eigh(shape).eigenvectors)
            else:
                measured = None
            told = self._ending(name, learner)
            if measured is not None and model.stride == 1:
                scores[f"train/{name}/factor"] = measured[0]
                every = "every update multiplies" if measured[1] else "an update multiplied on the average"
                told += f"; {every} the distance to the minimum by {measured[0]:.6g}"
            if state["ended"].get(name, ["", 0])[0] == "rest":
                scores[f"train/{name}/updates"] = float(state["ended"][name][1])
                if shape is None and isinstance(model.surface, Formula):
                    at = torch.linalg.eigvalsh(ground.hessian(model.at[name].detach()))
                    told += f"; the point is {kind_of_point(at)}"
            remarks.append(f"{told}.")
        return scores, remarks

    def _ending(self, name: str, learner: Race) -> str:
        from deepclassics.progress import many

        model, state = learner.model, learner.state.value
        why, update = state["ended"].get(name, ["planned", self.updates])
        loss = "the loss of its last batch" if self.batch else "its loss"
        where = f"{point(model.at[name].detach(), model.surface.names)}, where {loss} is {state['loss'][name]:.6g}"
        rate = "" if name in SEARCHING else f" (rate {state['rates'][name]:.6g})"
        if why == "diverged":
            return (
                f"{name}{rate} diverged: update {update + 1:,} would lead beyond {BEYOND:g} or to what is no number; "
                f"it was left{where}"
            )
        if why == "stuck":
            return f"{name}{rate} found no lower point after {many(update, 'update')}{where}"
        if why == "rest":
            return f"{name}{rate} came to rest after {many(update, 'update')}{where}"
        slope = f"{state['slope'][name]:.2g}"
        return f"{name}{rate} was on its way after {many(update, 'update')}{where}, its gradient {slope} long"

    def pictures(self, evidence: "Evidence") -> list[Picture]:
        from deepclassics.report import contour

        model = evidence.model
        assert isinstance(model, Paths)
        pictures = [
            Picture("Where they went", _MAP[min(model.surface.size, 3)], lambda: self._map(evidence)),
            Picture("Loss", _LOSS, lambda: contour.races(*self._losses(evidence))),
        ]
        if self._varies():
            pictures.append(
                Picture(
                    "Learning rates",
                    "The rate of each optimizer over the updates, by the schedule and by the plateaus.",
                    lambda: contour.races(_series(evidence, model.names, "rate"), "learning rate"),
                )
            )
        return pictures

    def _losses(self, evidence: "Evidence") -> tuple[dict[str, tuple[list[int], list[float]]], str]:
        """Of a formula at every kept point of the paths, from the start; of a table as they were logged."""
        model = evidence.model
        assert isinstance(model, Paths)
        if isinstance(model.surface, Formula):
            losses = {name: model.surface.heights(model.path(name)).tolist() for name in model.names}
            series = {name: ([k * model.stride for k in range(len(each))], each) for name, each in losses.items()}
        else:
            series = _series(evidence, model.names, "loss")
        least = min(min(values) for _, values in series.values())
        if least >= 0:
            return series, "loss"
        above = {name: (steps, [value - least for value in values]) for name, (steps, values) in series.items()}
        return above, f"loss above the lowest, {least:.4g}"

    def _map(self, evidence: "Evidence") -> "Figure":
        from deepclassics.report import contour

        model = evidence.model
        assert isinstance(model, Paths)
        surface = model.surface
        if isinstance(surface, Formula):
            paths = {name: model.path(name) for name in model.names}
            if surface.size == 1:
                (bounds,) = evidence.spec["bounds"] or [None]
                curves = {name: path[:, 0] for name, path in paths.items()}
                return contour.valley(lambda x: surface.heights(x[:, None]), curves, surface.names[0], bounds)
            if surface.size == 2:
                return contour.contour(surface.heights, paths, surface.names, evidence.spec["bounds"] or None)
            heights: Callable[[Tensor], Tensor] = surface.heights
        else:
            paths = {name: torch.stack([each[name] for _, each in evidence.snapshots]) for name in model.names}
            batch = evidence.splits().train.take(slice(SHOWN))

            def heights(points: Tensor) -> Tensor:  # (G, D) -> (G,)
                return torch.stack([surface.loss(w, batch) for w in points])

        centre, plane = contour.plane(list(paths.values()), model.lowest())
        flat = {name: (path - centre) @ plane.T for name, path in paths.items()}
        axes = ("from the start towards the lowest end", "across")
        side = 120 if surface.names else 40  # a net's loss is dear
        return contour.contour(lambda points: heights(centre + points @ plane), flat, axes, None, side)


_MAP = {
    1: "The curve, and every optimizer's points on it, from the start (white) to the end (large).",
    2: "Lines of equal loss, closer by ratios towards the bottom, and every optimizer's path from the start (white) to "
    "its end (large). What leaves the map is cut off.",
    3: "Lines of equal loss on the plane through the start, the lowest end, and the direction in which paths spread "
    "most beside it (after Li et al. 2018, section 7), and the paths as seen from above it: they may leave the plane. "
    "The loss of a table is that of its first 2,000 examples.",
}
_LOSS = "The loss after every update. Straight lines on the logarithmic scale are convergence by an equal factor."


def allowed(curvatures: Tensor) -> tuple[dict[str, float], str]:  # (D,) ascending
    """What the curvatures of a quadratic mean for gradient descent: scores, and a remark."""
    least, most = float(curvatures[0]), float(curvatures[-1])
    if kind_of_point(curvatures) != "a minimum":
        return {}, (
            f"The loss is quadratic with curvatures from {least:.6g} to {most:.6g}: it has no single minimum, and "
            f"where a curvature is negative descent never ends."
        )
    limit, best, condition = 2 / most, 2 / (least + most), most / least
    scores = {
        "train/eta_opt": 1 / most,
        "train/limit": limit,
        "train/best_rate": best,
        "train/best_factor": (condition - 1) / (condition + 1),
        "train/condition": condition,
    }
    if condition - 1 < 1e-9:
        return scores, (
            f"The loss is quadratic with the curvature {most:.6g}: η_opt = {1 / most:.6g} reaches the minimum in one "
            f"update, and gradient descent converges below 2 η_opt = {limit:.6g}."
        )
    return scores, (
        f"The loss is quadratic with curvatures from {least:.6g} to {most:.6g}: η_opt is {1 / least:.6g} along the "
        f"flattest axis of its ellipses and {1 / most:.6g} along the steepest. Gradient descent converges below "
        f"2 min η_opt = {limit:.6g}, and fastest at {best:.6g}, by a factor of {scores['train/best_factor']:.6g} an "
        f"update."
    )


def _series(evidence: "Evidence", names: tuple[str, ...], score: str) -> dict[str, tuple[list[int], list[float]]]:
    """A score of each optimizer as it was logged: updates and values."""
    rows = [row for row in evidence.metrics if f"train/{names[0]}/{score}" in row]
    return {name: ([row["step"] for row in rows], [row[f"train/{name}/{score}"] for row in rows]) for name in names}
