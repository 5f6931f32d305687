"""MDP: what every state of a known world is worth, and what to do in it, by dynamic programming.

Source: R. Bellman, Dynamic Programming (1957); R. Howard, Dynamic Programming and Markov Processes (1960), for policy
iteration; M. Puterman, Markov Decision Processes (1994), sections 4.5 (backward induction), 6.3 and 6.6 (value
iteration and its stopping rules), 6.4 (policy iteration), 7.2 and 7.3 (total reward, that is discount 1). Notes: S277
to S298, E040 to E047; they give the Bellman equations and the closed form, and no method for the optimum.

Methods, by `--method`:
- value: v <- max_a (R^a + γ P^a v). A step is one sweep over all states. With d the change of the values by a sweep,
  the optimum lies between v + γ/(1-γ) min d and v + γ/(1-γ) max d (Puterman, 6.6.2 and 6.6.3). The sweeps end when half
  the distance between the two is within the tolerance, and the middle is taken. That is never later than by the usual
  rule, γ/(1-γ) max |d|, and where nothing ever ends it is often a hundred times sooner.
- policy: a step evaluates the policy exactly, by a linear solve, and improves it. It ends when no action is better.
- evaluation: v <- R^π + γ P^π v for the policy π that the world comes with, else for the uniform random one. It ends
  as value iteration does: a policy leaves a Markov reward process, which is a decision process with one action.
- closed: v = (I - γ P)^-1 R for the same process, the closed form of the notes (S292, S294).
- backward: the optimum of just `horizon` steps. What is best depends on the steps left; all of it is kept.

With evaluation and closed, the actions that predict tells and the report draws are the best if π is followed
afterwards: the first improvement of π, not π.

Discount 1 needs that every state can come to rest, which is to reach a terminal state or to circle without reward.
Policy iteration then starts from a policy that does, and stays among those; it ends at the best, or says where reward
can be collected without end. Value iteration starts from 0. That is sound where all rewards are of one sign, as in
FrozenLake, and where circling without reward is impossible, as in Russell and Norvig's world. Elsewhere it may be led
astray: where one can wait for nothing and then take a reward whose price comes later, n sweeps take it last and never
pay. And of actions that are equally good, some may lead in circles. So, when a sweep changes next to nothing, a policy
that comes to rest is made of the best actions, and policy iteration ends the work: the result is sound in every world
where values exist. There the tolerance bounds the gain by a change of one action, not the error. In a world where
reward can be collected without end, value iteration does not end before `sweeps`, and says so.

Departures from the paper:
- Howard changes an action for any that is better; here only for one that is so by more than the tolerance, lest ties
  and rounding go round in circles.
- Policy iteration starts from a policy that leads to an end where there is one, not from the most immediate reward.

Expected: gridworld, first row of the optimum 22.0 24.4 22.0 19.4 17.5, of the random policy 3.3 8.8 4.4 5.3 1.5, to
1e-9 of the linear solve. FrozenLake 4 × 4, the start: 0.8235 at discount 1, and 0.7442 for 100 steps (backward); the
policy found at discount 0.99 reaches the goal in 74.0 % of all episodes of 100 steps. Every named world takes less
than a second. Taxi-v4 has a mean return of 7.93 from its starts, by every method here; the 8.46 that gymnasium names
as its optimum is not to be had in its own table. A slippery grid of 100,000 states and 1.2 million transitions, on one
core of two: value iteration 2 s (889 sweeps) at discount 0.99 and 4 s at 1, evaluation 2 s, the closed form 1 s, but
policy iteration 100 s (73 solves). With as many states and 2 million transitions to anywhere: 0.4 s (55 sweeps), the
closed form 0.6 s, policy iteration 1.5 s.

Letters: S states, A actions, T points in time (1 unless the policy depends on time), M transitions, N states asked
about.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from deepclassics.data import load
from deepclassics.data.kinds.world import MDP, NO_ACTION
from deepclassics.data.streams import Batch, Data, Stream, World
from deepclassics.errors import UserError
from deepclassics.learn import Clock, Learner, Scores, Stateful
from deepclassics.loop import Plan
from deepclassics.recipe import Picture, Published, Recipe
from deepclassics.report import values
from deepclassics.report.evidence import Evidence

DENSE = 1000  # states up to which a linear system is solved as a full matrix
EPISODES = 10_000  # played at the end, where episodes are cut after so many steps
NOISE = 2e-15  # what rounding leaves of a sweep that should change nothing, relative to the values


class Values(nn.Module):
    """What is known of a world, in double precision. No weights: tables."""

    values: Tensor  # (S,)
    q: Tensor  # (A, S); -inf where a state does not have the action
    policy: Tensor  # (T, S) of int32: the action to take, at each point in time

    def __init__(self, states: int, actions: int, times: int, discount: float) -> None:
        super().__init__()
        self.discount = discount
        self.register_buffer("values", torch.zeros(states, dtype=torch.float64))
        self.register_buffer("q", torch.zeros(actions, states, dtype=torch.float64))
        self.register_buffer("policy", torch.zeros(times, states, dtype=torch.int32))

    def forward(self, state: Tensor) -> tuple[Tensor, Tensor]:  # (N,) of int64 -> actions (N,) of int64, values (N,)
        """What to do first, and what the state is worth."""
        return self.policy[0, state].long(), self.values[state]


# --- the world seen through a policy


def backup(world: MDP, values: Tensor, discount: float) -> Tensor:  # (S,) -> (A, S)
    """q(s, a) = R_s^a + γ sum_s' P_ss'^a v(s'): the value of an action if `values` are those of what follows."""
    return world.rewards + discount * (world.matrix @ values).view_as(world.rewards)


def certain(policy: Tensor, actions: int) -> Tensor:  # (S,) of int -> (A, S)
    """A deterministic policy as probabilities."""
    return torch.zeros(actions, len(policy), dtype=torch.float64, device=policy.device).scatter_(
        0, policy.long()[None], 1.0
    )


def given(world: MDP) -> Tensor:  # -> (A, S)
    """The policy that the world comes with; else every action that a state has is equally likely."""
    if world.policy is not None:
        return world.policy
    chances = (world.available | world.terminal).double()
    return chances / chances.sum(0)


def under(world: MDP, policy: Tensor) -> MDP:  # (A, S) ->
    """The Markov reward process that is left when the policy chooses: P^π = sum_a π(a|s) P^a, R^π = sum_a π(a|s) R^a.

    The notes print R_ss'^a in the second (E045).
    """
    chance = policy.reshape(-1)[world.pair]
    kept = torch.nonzero(chance).squeeze(1)
    state = world.pair[kept] % len(world.states)
    order = torch.argsort(state, stable=True)
    kept = kept[order]
    return replace(
        world,
        actions=(NO_ACTION,),
        pair=state[order],
        next=world.next[kept],
        probability=(world.probability * chance)[kept],
        reward=world.reward[kept],
        policy=None,
    )


# --- linear systems


def unsettled(chain: MDP, discount: float) -> Tensor:  # -> (S,) of bool
    """The states whose value must be solved for; that of the others is 0.

    Below discount 1 these are all that are not terminal. At discount 1, I - P is singular on every closed class of
    states; a class without reward is worth 0 and is left out, as are the terminal states.

    Raises:
        UserError: a class is never left and has reward, so the sum of the rewards has no limit.
    """
    if discount < 1:
        return ~chain.terminal
    import numpy as np
    from scipy.sparse.csgraph import connected_components

    state, after = chain.pair.cpu().numpy(), chain.next.cpu().numpy()
    count, label = connected_components(_graph(state, after, len(chain.states)), directed=True, connection="strong")
    closed = np.ones(count, dtype=bool)
    closed[label[state[label[state] != label[after]]]] = False
    paid = closed[label] & (chain.rewards[0] != 0).cpu().numpy()
    if paid.any():
        raise UserError(
            f"At discount 1 the value must be finite; state '{chain.states[int(paid.argmax())]}' is visited again and "
            f"again, with reward, by a policy of {chain.name}. Give a --discount below 1."
        )
    return torch.from_numpy(~closed[label]).to(chain.pair.device)


def solve(chain: MDP, discount: float) -> Tensor:  # -> (S,)
    """v = (I - γ P)^-1 R of a Markov reward process.

    A full matrix up to 1,000 states. Above, on the CPU: a hundred iterations of BiCGSTAB, which suffice where states
    mix quickly; where they do not, as on grids, an LU decomposition, which would fill up in the other case.
    """
    free = unsettled(chain, discount)
    values = torch.zeros(len(chain.states), dtype=torch.float64, device=chain.pair.device)
    wanted = chain.rewards[0, free]
    if len(chain.states) <= DENSE:
        matrix = chain.matrix.to_dense()[free][:, free]
        identity = torch.eye(len(wanted), dtype=torch.float64, device=matrix.device)
        values[free] = torch.linalg.solve(identity - discount * matrix, wanted)
        return values
    import numpy as np
    from scipy import sparse
    from scipy.sparse.linalg import bicgstab, spsolve

    rows, columns, entries = (part.cpu().numpy() for part in (chain.pair, chain.next, chain.probability))
    whole = sparse.csr_array((entries, (rows, columns)), shape=(len(values), len(values)))
    inner, right = free.cpu().numpy(), wanted.cpu().numpy()
    system = sparse.eye_array(len(right), format="csr") - discount * whole[inner][:, inner]
    found, failed = bicgstab(system, right, rtol=1e-13, atol=0.0, maxiter=100)
    if failed or np.abs(system @ found - right).max() > 1e-12 * max(1.0, np.abs(found).max()):
        found = spsolve(system.tocsc(), right)
    values[free] = torch.from_numpy(found).to(values.device)
    return values


# --- coming to rest, for discount 1


def quiet(world: MDP) -> tuple[Tensor, Tensor]:  # -> (S,) of bool, (A, S) of bool
    """The states where one can remain forever without reward, terminal states among them, and the actions that do it.

    The greatest set of states each of which has an action of reward 0 that leads nowhere else.
    """
    rest = torch.ones_like(world.terminal)
    while True:
        leaving = torch.zeros_like(world.available)
        leaving.view(-1)[world.pair[~rest[world.next]]] = True
        still = world.available & (world.rewards == 0) & ~leaving
        smaller = still.any(0) | world.terminal
        if torch.equal(smaller, rest):
            return rest, still
        rest = smaller


def toward(world: MDP, goals: Tensor, allowed: Tensor) -> Tensor:  # (S,) of bool, (A, S) of bool -> (S,) of int64
    """For each state an allowed action that may lead one step nearer to a goal; -1 in goals, and where none does.

    Where every state has such an action, a goal is reached with probability 1.
    """
    import numpy as np
    from scipy.sparse.csgraph import breadth_first_order

    states = len(world.states)
    pair, after = world.pair.cpu().numpy(), world.next.cpu().numpy()
    usable = allowed.reshape(-1).cpu().numpy()[pair]
    pair, after, ends = pair[usable], after[usable], goals.nonzero().flatten().cpu().numpy()
    # Backwards, from one more node that all goals hang on.
    backward = _graph(np.append(after, np.full(len(ends), states)), np.append(pair % states, ends), states + 1)
    _, before = breadth_first_order(backward, states, directed=True, return_predecessors=True)
    nearer = before[pair % states] == after
    found = np.full(states, -1, dtype=np.int64)
    found[pair[nearer] % states] = pair[nearer] // states
    found[ends] = -1
    return torch.from_numpy(found).to(world.pair.device)


def settling(world: MDP) -> Tensor:  # -> (S,) of int64
    """A policy that brings every state to rest.

    Raises:
        UserError: a state cannot come to rest, so that discount 1 makes no sense.
    """
    rest, still = quiet(world)
    way = toward(world, rest, world.available)
    lost = (way < 0) & ~rest
    if lost.any():
        raise UserError(
            f"At discount 1 every state must be able to reach a terminal state or a loop without reward; "
            f"'{world.states[int(lost.int().argmax())]}' of {world.name} cannot. Give a --discount below 1."
        )
    return torch.where(rest, still.int().argmax(0), way)


def _graph(tail: Any, head: Any, nodes: int) -> Any:
    import numpy as np
    from scipy.sparse import csr_array

    return csr_array((np.ones(len(tail), dtype=np.int8), (tail, head)), shape=(nodes, nodes))


# --- episodes


def expected(course: Callable[[int], MDP], steps: int) -> float:
    """The exact mean of the sum of rewards, undiscounted, of an episode of at most `steps`.

    `course` gives the world under the policy at a point in time, a Markov reward process.
    """
    values = torch.zeros_like(course(0).start)
    for step in reversed(range(steps)):
        values = backup(course(step), values, 1.0)[0]
    return float(course(0).start @ values)


def played(course: Callable[[int], MDP], steps: int, episodes: int, seed: int) -> Tensor:  # -> (episodes,)
    """The undiscounted sums of rewards of episodes drawn from the model, all at once. `course` as in `expected`.

    Random numbers come from a generator of their own on the CPU, so every device draws the same episodes.
    """
    generator = torch.Generator().manual_seed(seed)
    start = course(0).start
    device = start.device

    def chance() -> Tensor:
        return torch.rand(episodes, generator=generator, dtype=torch.float64).to(device)

    # A number that rounding puts beyond the sum of all falls to the last that is possible; likewise below.
    state = torch.searchsorted(start.cumsum(0), chance(), right=True).clamp(max=int(start.nonzero()[-1]))
    total = torch.zeros(episodes, dtype=torch.float64, device=device)
    known: MDP | None = None
    for step in range(steps):
        chain = course(step)
        if chain is not known:
            known = chain
            begin = torch.searchsorted(chain.pair, torch.arange(len(start) + 1, device=device))
            summed = torch.cat([start.new_zeros(1), chain.probability.cumsum(0)])
        going = ~chain.terminal[state]
        drawn = torch.searchsorted(summed, summed[begin[state]] + chance(), right=True) - 1
        drawn = drawn.minimum(begin[state + 1] - 1).clamp(min=0)
        total += torch.where(going, chain.reward[drawn], 0.0)
        state = torch.where(going, chain.next[drawn], state)
    return total


def episode_score(world: MDP) -> str:
    """What episodes are judged by: "success" where the only reward is 1 on the way into an end, else "return"."""
    won = (world.reward == 0) | (world.reward == 1) & world.terminal[world.next]
    return "success" if won.all() else "return"


# --- learners


class Planning(Learner):
    """What all methods share: tables to fill, and how well they satisfy the Bellman equation that is being solved.

    With `follow` the world is reduced to what is left when its given policy chooses, and there is no more to choose:
    then the equation is the linear one of that policy, else the one of the optimum.
    """

    model: Values

    def __init__(self, model: Values, tolerance: float, follow: bool) -> None:
        self.model = model
        self.tolerance = tolerance
        self.follow = follow
        self._seen: tuple[MDP, MDP] | None = None  # a world, and what is planned in; no part of a run

    def seen(self, world: MDP) -> MDP:
        """What is planned in: the world, or its reduction."""
        if not self.follow:
            return world
        if self._seen is None or self._seen[0] is not world:
            self._seen = world, under(world, given(world))
        return self._seen[1]

    def sweep(self, world: MDP) -> Tensor:  # -> (S,)
        """The values after one more application of the Bellman operator."""
        return backup(self.seen(world), self.model.values, self.model.discount).amax(0)

    def course(self, world: MDP) -> Callable[[int], MDP]:
        """The world under the policy that the values are those of, at each point in time."""

        @functools.lru_cache(maxsize=1)  # one at a time: a world of many transitions may have many points in time
        def chain(time: int) -> MDP:
            policy = certain(self.model.policy[time], len(world.actions))
            return self.seen(world) if self.follow else under(world, policy)

        return lambda step: chain(min(step, len(self.model.policy) - 1))

    def evaluate(self, stream: Stream) -> Scores:
        """By how much one more sweep would change a value, at most: "residual"; and the "value" of the start.

        Where the world cuts episodes, also what the policy that the values are those of collects in one, undiscounted
        and exactly: "return", or "success" where an episode is either won or lost.
        """
        world = stream.at(0)["world"]
        residual = (self.sweep(world) - self.model.values).abs().max()
        scores: Scores = {"residual": residual, "value": world.start @ self.model.values}
        if world.limit:
            scores[episode_score(world)] = expected(self.course(world), self.steps(world))
        return scores

    def steps(self, world: MDP) -> int:
        """The length of an episode: the world's, or for as long as the policy is planned."""
        return len(self.model.policy) if len(self.model.policy) > 1 else world.limit

    def parts(self) -> dict[str, Stateful]:
        return {"model": self.model}

    def act(self, world: MDP, policy: Tensor | None = None) -> None:  # (S,) of int
        """Sets the actions' values by those of the states, and the policy: the greedy one if none is told."""
        self.model.q = backup(world, self.model.values, self.model.discount)
        self.model.policy = (self.model.q.argmax(0) if policy is None else policy).int()[None]

    def solve(self, world: MDP, policy: Tensor) -> Tensor:  # (S,) of int -> (S,)
        """What a deterministic policy is worth, exactly."""
        return solve(under(world, certain(policy, len(world.actions))), self.model.discount)

    def improved(self, world: MDP, policy: Tensor) -> Tensor | None:  # (S,) of int64 -> the same
        """The policy with the best action wherever that is better than its own; None where it is nowhere.

        Only then: at discount 1, a policy that comes to rest is so never changed for one that goes in circles
        without getting more (else the circle would be worth more than nothing, and `solve` would tell).
        """
        q = backup(world, self.model.values, self.model.discount)
        better = q.amax(0) > q.gather(0, policy[None])[0] + self.near()
        return torch.where(better, q.argmax(0), policy) if better.any() else None

    def near(self, finer: float = 1.0) -> float:
        """The tolerance: for values above 1 it is relative to the greatest, and it is never less than rounding."""
        discount = self.model.discount
        least = NOISE / (1 - discount) if discount < 1 else NOISE
        return max(self.tolerance / finer, least) * max(1.0, float(self.model.values.abs().max()))


class Iteration(Planning):
    """Sweeps until they change nothing: value iteration, and iterative evaluation of the policy that is followed."""

    def step(self, batch: Batch, clock: Clock) -> Scores:
        world: MDP = batch["world"]
        discount = self.model.discount
        values = self.sweep(world)
        # Terminal states count, with their change of 0: what leads into one is bounded by 0 too.
        low, high = (values - self.model.values).aminmax()
        # Below discount 1, what all changes have in common is known to go on shrinking, and corrected for in the end.
        residual = (high - low) / 2 if discount < 1 else torch.maximum(-low, high)
        self.model.values = values
        policy = None
        if discount < 1:
            far = discount / (1 - discount)
            self.done = far * float(residual) <= self.near()
            if self.done:
                self.model.values = torch.where(world.terminal, 0.0, values + far * (low + high) / 2)
        elif float(residual) <= self.near(finer=1 if self.follow else 1000):
            policy = self.rest(self.seen(world), float(residual))
            self.done = True
        if self.done or clock.step + 1 >= clock.steps:
            self.act(world, None if self.follow else policy)
        return {"residual": residual}

    def rest(self, world: MDP, residual: float) -> Tensor:  # -> (S,) of int64
        """At discount 1, after a sweep that changed next to nothing: the policy meant, one that comes to rest.

        Among actions that are equally good some may lead nowhere, in circles; so of these one is taken that leads
        nearer to where nothing more is to be had. The policy is evaluated exactly, improved where it can be, and the
        values are set to its own.
        """
        values, q = self.model.values, backup(world, self.model.values, 1.0)
        # From the rate at which changes shrink: how far the values still are from where they go, and so which actions
        # are equally good.
        rate = min(float((q.amax(0) - values).abs().max()) / residual, 0.9999) if residual > 0 else 0.0
        slack = 2 * residual / (1 - rate) + self.near()
        resting, _ = quiet(world)
        way = toward(world, resting & (values <= slack), world.available & (q >= q.amax(0) - slack))
        anyhow = settling(world)
        policy = torch.where(way < 0, anyhow, way)
        self.model.values = self.solve(world, policy)
        if float(self.model.values[resting].min()) < -self.near():  # sweeping was led astray
            policy, self.model.values = anyhow, self.solve(world, anyhow)
        while (better := self.improved(world, policy)) is not None:
            policy, self.model.values = better, self.solve(world, better)
        return policy


class PolicyIteration(Planning):
    """Evaluates the policy exactly and improves it, until nothing improves."""

    def step(self, batch: Batch, clock: Clock) -> Scores:
        world: MDP = batch["world"]
        if clock.step == 0:
            self.act(world, self.first(world))
        policy = self.model.policy[0].long()
        self.model.values = self.solve(world, policy)
        residual = (self.sweep(world) - self.model.values).abs().max()
        better = self.improved(world, policy)
        self.done = better is None
        self.act(world, policy if better is None else better)
        return {"residual": residual}

    def first(self, world: MDP) -> Tensor:  # -> (S,) of int64
        """Towards an end where one can be reached: from a policy that reaches none, improvement creeps back from the
        end by one state an iteration. Elsewhere the action that pays most at once."""
        if self.model.discount == 1:
            return settling(world)
        way = toward(world, world.terminal, world.available)
        return torch.where(way < 0, world.rewards.argmax(0), way)


class ClosedForm(Planning):
    """v = (I - γ P)^-1 R: one step, then done."""

    def step(self, batch: Batch, clock: Clock) -> Scores:
        world: MDP = batch["world"]
        self.model.values = solve(self.seen(world), self.model.discount)
        self.act(world)
        self.done = True
        return {"residual": (self.sweep(world) - self.model.values).abs().max()}


class BackwardInduction(Planning):
    """v_t = max_a (R^a + γ P^a v_{t+1}), from nothing after the last step back to the first: a step of it each."""

    def step(self, batch: Batch, clock: Clock) -> Scores:
        world: MDP = batch["world"]
        before = self.model.values
        self.model.q = backup(world, before, self.model.discount)
        self.model.values = self.model.q.amax(0)
        left = len(self.model.policy) - 1 - clock.step
        self.model.policy[left] = self.model.q.argmax(0)
        self.done = left == 0
        return {"residual": (self.model.values - before).abs().max()}


METHODS: dict[str, tuple[type[Planning], bool]] = {  # and whether the given policy is followed
    "value": (Iteration, False),
    "policy": (PolicyIteration, False),
    "evaluation": (Iteration, True),
    "closed": (ClosedForm, True),
    "backward": (BackwardInduction, False),
}

SUTTON = "Sutton and Barto 2018, examples 3.5 and 3.8"
AIMA = "Russell and Norvig 2010, figure 17.3"
TOOLBOX = "pymdptoolbox, documentation of PolicyIteration"
GYMNASIUM = "Gymnasium, the optimum named where it is registered"


class Mdp(Recipe):
    """Values and policy of a known world."""

    takes = ("world",)
    gives = ("action",)
    published = (
        Published("gridworld", "test/value", 22.0, SUTTON, when={"policy": "optimal"}, protocol={"discount": 0.9}),
        Published(
            "gridworld", "test/value", 3.3, SUTTON, when={"policy": "uniform random"}, protocol={"discount": 0.9}
        ),
        Published("russell_norvig", "test/value", 0.705, AIMA, when={"policy": "optimal"}, protocol={"discount": 1.0}),
        Published("forest", "test/value", 26.244, TOOLBOX, when={"policy": "optimal"}, protocol={"discount": 0.9}),
        Published("frozenlake", "test/success", 0.74, GYMNASIUM, when={"policy": "optimal"}, protocol={"episode": 100}),
        Published(
            "FrozenLake-v1", "test/success", 0.74, GYMNASIUM, when={"policy": "optimal"}, protocol={"episode": 100}
        ),
        Published(
            "FrozenLake8x8-v1", "test/success", 0.91, GYMNASIUM, when={"policy": "optimal"}, protocol={"episode": 200}
        ),
        Published("Taxi-v4", "test/return", 8.46, GYMNASIUM, when={"policy": "optimal"}, protocol={"episode": 200}),
    )

    data: str = Field(
        "gridworld", description="a named world, a .json or .csv of your own, or FrozenLake-v1 and the like"
    )
    method: Literal["value", "policy", "evaluation", "closed", "backward"] = Field(
        "value", description="value or policy iteration; evaluation of the world's own policy, else of the random one, "
        "iterated or in closed form; backward induction"
    )  # fmt: skip
    discount: float | None = Field(None, ge=0, le=1, description="of a reward one step later; none: the world's own")
    tolerance: float = Field(1e-11, gt=0, description="of the values, absolute up to 1, above relative to the greatest")
    horizon: int = Field(100, ge=1, description="steps of backward induction")
    sweeps: int = Field(100_000, ge=1, description="steps of the other methods, at most")

    def load(self) -> Data:
        """The world. At discount 1 it is looked at first whether values can exist."""
        held = load(self.data, self.takes, seed=self.seed, valid=0.0, test=0.0)
        if self._discount(held.spec) == 1 and self.method in ("value", "policy"):
            settling(held.train)
        elif self._discount(held.spec) == 1 and self.method != "backward":
            unsettled(under(held.train, given(held.train)), 1.0)
        return Data(held.spec, World(held.train), test=World(held.test))

    def model(self, spec: dict[str, Any]) -> Values:
        times = self.horizon if self.method == "backward" else 1
        return Values(len(spec["states"]), len(spec["actions"]), times, self._discount(spec))

    def learner(self, model: nn.Module) -> Learner:
        assert isinstance(model, Values)
        learner, follow = METHODS[self.method]
        return learner(model, self.tolerance, follow)

    def plan(self, data: Data) -> Plan:
        """As many sweeps as contraction can take at most: the change shrinks by the discount in each (S297)."""
        if self.method == "closed":
            return Plan(1, 1)
        if self.method == "backward":
            return Plan(self.horizon, 1)
        if self.method == "policy":
            return Plan(self.sweeps, 1)
        discount = self._discount(data.spec)
        most: float = self.sweeps
        if 0 < discount < 1:
            assert isinstance(data.train, World)
            rewards = data.train.world.rewards
            greatest = max(1.0, float(rewards[rewards.isfinite()].abs().max()))
            most = 3 + math.log(self.tolerance * (1 - discount) / greatest) / math.log(discount)
        return Plan(max(1, min(self.sweeps, math.ceil(most))), 10)

    def answer(self, model: nn.Module, question: Batch, options: Any) -> Batch:
        action, value = model(question["state"])
        return {"action": action, "value": value}

    def conclude(self, learner: Learner, data: Data) -> tuple[dict[str, float], list[str]]:
        """How far the values may be wrong; and episodes played, where the world cuts them, beside the exact score."""
        assert isinstance(learner, Planning)
        assert isinstance(data.test, World)
        scores, remarks = learner.evaluate(data.test), []
        if not learner.done:
            exact = "closed" if learner.follow else "policy, which tells where values grow without end"
            remarks.append(f"The values still change in the last sweep. Give more --sweeps, or --method {exact}.")
        elif learner.model.discount < 1 and self.method != "backward":
            bound = float(scores["residual"]) / (1 - learner.model.discount)
            remarks.append(f"No value is further than {bound:.1g} from the right one.")
        world: MDP = data.test.world
        if not world.limit:
            return {}, remarks
        name, steps = episode_score(world), learner.steps(world)
        mean = float(played(learner.course(world), steps, EPISODES, self.seed).mean())
        remarks.append(
            f"The mean {name} of episodes of {steps} steps is {scores[name]:.4f}, computed exactly; {EPISODES:,} of "
            f"them drawn from the model gave {mean:.4f}."
        )
        return {f"test/{name}_played": mean}, remarks

    def pictures(self, evidence: Evidence) -> list[Picture]:
        discount = self._discount(evidence.spec)
        drawn = "Values, and the best action, or every one of several that are equally good"
        if self.method in ("evaluation", "closed"):
            drawn = "Values of the given policy, and what is best if it is followed afterwards: its first improvement"
        elif self.method == "backward":
            drawn = f"Values with {self.horizon:,} steps left, and what is best then"
        elif discount == 1:
            drawn = "Values, and the policy. At discount 1 other actions may be equally good and yet lead in circles"
        ties = discount < 1 or self.method not in ("value", "policy")
        found = [values.picture(evidence, ties, f"{drawn}. Episodes end in grey cells.")]
        if self.method != "closed":
            found.append(values.residuals(evidence, discount if self.method in ("value", "evaluation") else 0.0))
        return found

    def protocol(self, spec: dict[str, Any]) -> dict[str, Any]:
        return {
            "policy": spec["policy"] if self.method in ("evaluation", "closed") else "optimal",
            "discount": self._discount(spec),
            "episode": self.horizon if self.method == "backward" else spec["limit"],
        }

    def _discount(self, spec: dict[str, Any]) -> float:
        return spec["discount"] if self.discount is None else self.discount
