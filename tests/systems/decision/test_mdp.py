"""mdp against published tables, linear solves of its own, enumeration of all policies, and gymnasium itself."""

import itertools
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from deepclassics import cli
from deepclassics.data.kinds.world import MDP, Draft, from_gymnasium, splits
from deepclassics.data.streams import Data, World
from deepclassics.errors import UserError
from deepclassics.host import Host
from deepclassics.learn import Clock, look
from deepclassics.loop import carry_out
from deepclassics.report import values as pictures
from deepclassics.report.evidence import Evidence
from deepclassics.report.style import settings as page
from deepclassics.run import Run
from deepclassics.systems.decision import mdp
from deepclassics.systems.decision.mdp import METHODS, Mdp, Planning

OPTIMUM = [
    [22.0, 24.4, 22.0, 19.4, 17.5],
    [19.8, 22.0, 19.8, 17.8, 16.0],
    [17.8, 19.8, 17.8, 16.0, 14.4],
    [16.0, 17.8, 16.0, 14.4, 13.0],
    [14.4, 16.0, 14.4, 13.0, 11.7],
]
RANDOM = [
    [3.3, 8.8, 4.4, 5.3, 1.5],
    [1.5, 3.0, 2.3, 1.9, 0.5],
    [0.1, 0.7, 0.7, 0.4, -0.4],
    [-1.0, -0.4, -0.4, -0.6, -1.2],
    [-1.9, -1.3, -1.2, -1.4, -2.0],
]


def planned(world: MDP | None = None, **knobs: Any) -> tuple[Planning, Data, list[float]]:
    """A run without a folder: the learner at its end, the data, and the residual of every step."""
    recipe = Mdp(**knobs)
    data = (
        recipe.load()
        if world is None
        else Data(splits(world, seed=0, valid=0, test=0).spec, World(world), test=World(world))
    )
    learner = recipe.learner(recipe.model(data.spec))
    assert isinstance(learner, Planning)
    plan, residuals = recipe.plan(data), []
    for step in range(plan.steps):
        residuals.append(float(learner.step(data.train.at(step), Clock(step, plan.steps, 1))["residual"]))
        if learner.done:
            break
    return learner, data, residuals


def table(learner: Planning, data: Data) -> dict[str, float]:
    return dict(zip(data.spec["states"], learner.model.values.tolist(), strict=True))


def dense(world: MDP) -> tuple[np.ndarray, np.ndarray]:  # -> (A, S, S), (A, S)
    """P and R by plain loops; -inf where a state does not have the action."""
    states, actions = len(world.states), len(world.actions)
    chance, reward = np.zeros((actions, states, states)), np.zeros((actions, states))
    rows = zip(*(part.tolist() for part in (world.pair, world.next, world.probability, world.reward)), strict=True)
    for pair, after, probability, paid in rows:
        action, state = divmod(pair, states)
        chance[action, state, after] += probability
        reward[action, state] += probability * paid
    missing = (chance.sum(2) == 0) & ~world.terminal.numpy()
    return chance, np.where(missing, -np.inf, reward)


# --- published tables


@pytest.mark.parametrize("method", ["value", "policy"])
def test_gridworld_optimum_is_that_of_the_book_and_of_the_linear_solve(method: str) -> None:
    """All 25 cells (Sutton and Barto, example 3.8; S297)."""
    learner, data, _ = planned(method=method)
    values = learner.model.values.numpy()
    assert np.abs(values.reshape(5, 5) - OPTIMUM).max() < 0.0501
    chance, reward = dense(data.train.world)
    policy = (reward + 0.9 * chance @ values).argmax(0)
    exact = np.linalg.solve(np.eye(25) - 0.9 * chance[policy, range(25)], reward[policy, range(25)])
    assert np.abs(values - exact).max() < 1e-9
    assert np.abs((reward + 0.9 * chance @ exact).max(0) - exact).max() < 1e-12


@pytest.mark.parametrize("method", ["evaluation", "closed"])
def test_gridworld_random_policy_is_that_of_the_book_and_of_the_linear_solve(method: str) -> None:
    """All 25 cells (Sutton and Barto, example 3.5); iterative and exact agree to 1e-10 (S295)."""
    learner, data, _ = planned(method=method)
    values = learner.model.values.numpy()
    assert np.abs(values.reshape(5, 5) - RANDOM).max() < 0.0501
    chance, reward = dense(data.train.world)
    exact = np.linalg.solve(np.eye(25) - 0.9 * chance.mean(0), reward.mean(0))
    assert np.abs(values - exact).max() < 1e-10


@pytest.mark.parametrize("method", ["value", "policy"])
def test_russell_and_norvigs_utilities(method: str) -> None:
    """Figure 17.3 of the third edition."""
    learner, data, _ = planned(data="russell_norvig", method=method)
    found = table(learner, data)
    told = {
        "1,3": 0.812, "2,3": 0.868, "3,3": 0.918, "4,3": 1.0, "1,2": 0.762, "3,2": 0.660, "4,2": -1.0,
        "1,1": 0.705, "2,1": 0.655, "3,1": 0.611, "4,1": 0.388, "end": 0.0,
    }  # fmt: skip
    assert {name: round(value, 3) for name, value in found.items()} == told


def test_forest_is_pymdptoolboxs() -> None:
    learner, _, _ = planned(data="forest", method="policy")
    assert [round(value, 3) for value in learner.model.values.tolist()] == [26.244, 29.484, 33.484]
    assert learner.model.policy[0].tolist() == [0, 0, 0]
    learner, _, _ = planned(data="forest", method="backward", horizon=3)
    assert [round(value, 4) for value in learner.model.values.tolist()] == [2.6973, 5.9373, 9.9373]


@pytest.mark.parametrize(
    ("discount", "expected"),
    [
        (0.0, [-1.0, -2.0, -2.0, -2.0, 10.0, 1.0, 0.0]),
        (0.9, [-7.637608, -5.012729, 0.942655, 4.087021, 10.0, 1.908392, 0.0]),
        (1.0, [-22.543210, -12.543210, 1.456790, 4.320988, 10.0, 0.802469, 0.0]),
    ],
)
def test_the_student_process_in_closed_form(discount: float, expected: list[float]) -> None:
    """N053, S290 to S292, C132: v = (I - γP)^-1 R, with a residual under 1e-12."""
    learner, data, residuals = planned(data="student_mrp", method="closed", discount=discount)
    assert data.spec["states"] == ["facebook", "class 1", "class 2", "class 3", "pass", "pub", "sleep"]
    assert learner.model.values.tolist() == pytest.approx(expected, abs=1e-6)
    assert len(residuals) == 1
    assert residuals[0] < 1e-12


def test_the_students_decisions() -> None:
    """N053: the random policy and the optimum at discount 1, and q* with 9.4 for the pub where a slide has 8.4."""
    learner, data, _ = planned(data="student", method="closed")
    assert list(table(learner, data).values())[:4] == pytest.approx(
        [-2.307692, -1.307692, 2.692308, 7.384615], abs=1e-6
    )
    learner, data, _ = planned(data="student")
    assert list(table(learner, data).values()) == pytest.approx([6.0, 6.0, 8.0, 10.0, 0.0])
    q = {
        (state, action): float(learner.model.q[number, place])
        for place, state in enumerate(data.spec["states"][:4])
        for number, action in enumerate(data.spec["actions"])
        if learner.model.q[number, place].isfinite()
    }
    assert q == pytest.approx(
        {
            ("facebook", "facebook"): 5.0, ("facebook", "quit"): 6.0, ("class 1", "facebook"): 5.0,
            ("class 1", "study"): 6.0, ("class 2", "sleep"): 0.0, ("class 2", "study"): 8.0,
            ("class 3", "study"): 10.0, ("class 3", "pub"): 9.4,
        }
    )  # fmt: skip


def test_cliff_walking_and_taxi() -> None:
    """13 moves of -1 along the cliff's edge (Sutton and Barto, example 6.6); Taxi's mean over its 300 starts."""
    learner, data, _ = planned(data="CliffWalking-v1", discount=1.0)
    assert look(learner, data.test)["value"] == -13.0
    learner, data, _ = planned(data="Taxi-v4")
    assert look(learner, data.test)["return"] == pytest.approx(7.93, abs=0.005)


# --- FrozenLake


def test_frozenlake_at_discount_1_and_over_100_steps() -> None:
    """0.8235 without a limit of steps, 0.7442 within 100, 0.9132 within 200 on 8 x 8."""
    for method in ("value", "policy"):
        learner, data, _ = planned(data="frozenlake", method=method, discount=1.0)
        assert float(learner.model.values[0]) == pytest.approx(14 / 17, abs=1e-9), "0.8235"
        world = data.train.world
        policy = mdp.certain(learner.model.policy[0], 4)
        assert torch.allclose(mdp.solve(mdp.under(world, policy), 1.0), learner.model.values), (
            "the policy must attain it"
        )
    learner, data, _ = planned(data="frozenlake", method="backward", horizon=100, discount=1.0)
    scores = look(learner, data.test)
    assert scores["value"] == pytest.approx(0.7442, abs=5e-5)
    assert scores["success"] == pytest.approx(scores["value"], abs=1e-12)
    learner, data, _ = planned(data="FrozenLake8x8-v1", method="backward", horizon=200, discount=1.0)
    assert look(learner, data.test)["value"] == pytest.approx(0.9132, abs=5e-5)


def test_frozenlakes_policy_succeeds_as_published_exactly_and_played() -> None:
    """The policy of discount 0.99: 0.740 ± 0.01 of 10,000 episodes of 100 steps."""
    recipe = Mdp(data="frozenlake")
    learner, data, _ = planned(data="frozenlake")
    exact = look(learner, data.test)["success"]
    assert exact == pytest.approx(0.7402, abs=5e-5)
    scores, remarks = recipe.conclude(learner, data)
    assert scores["test/success_played"] == pytest.approx(0.740, abs=0.01)
    assert scores["test/success_played"] == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / 10_000))
    assert "0.7402" in " ".join(remarks)


def successes(policy: list[int], episodes: int) -> float:
    """The share of episodes that the policy wins in gymnasium itself, which cuts them after 100 steps."""
    import gymnasium

    environment = gymnasium.make("FrozenLake-v1")
    state, _ = environment.reset(seed=0)
    won = 0.0
    for _ in range(episodes):
        over = False
        while not over:
            state, reward, terminated, truncated, _ = environment.step(policy[state])
            won, over = won + float(reward), terminated or truncated
        state, _ = environment.reset()
    environment.close()
    return won / episodes


def test_frozenlakes_policy_succeeds_in_gymnasium() -> None:
    learner, _, _ = planned(data="frozenlake")
    assert successes(learner.model.policy[0].tolist(), 1500) == pytest.approx(
        0.740, abs=4 * math.sqrt(0.74 * 0.26 / 1500)
    )


@pytest.mark.long
def test_frozenlakes_policy_succeeds_in_10_000_episodes_of_gymnasium() -> None:
    learner, _, _ = planned(data="frozenlake")
    assert successes(learner.model.policy[0].tolist(), 10_000) == pytest.approx(0.740, abs=0.01)


# --- what must hold in every world


def test_a_sweep_contracts_by_the_discount() -> None:
    """S297: two value functions come nearer by at least the factor γ, in the greatest difference."""
    world = from_gymnasium("FrozenLake8x8-v1")
    generator = torch.Generator().manual_seed(0)
    for discount in (0.5, 0.9, 0.99):
        one, other = torch.randn(2, 64, dtype=torch.float64, generator=generator) * ~world.terminal
        after = mdp.backup(world, one, discount).amax(0) - mdp.backup(world, other, discount).amax(0)
        assert after.abs().max() <= discount * (one - other).abs().max() + 1e-15
    residuals = planned(data="frozenlake", discount=0.9)[2]
    assert all(later <= 0.9 * earlier + 1e-15 for earlier, later in itertools.pairwise(residuals))


def test_a_decision_process_under_a_policy_is_a_reward_process() -> None:
    """S294, E045, C133: rows of P^π sum to 1, R^π is the mean of R^a, and values and simulation agree."""
    world = planned(data="frozenlake")[1].train.world
    policy = torch.rand(4, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    policy /= policy.sum(0)
    chain = mdp.under(world, policy)
    assert chain.actions == ("none",)
    rows = chain.matrix.to_dense().sum(1)
    assert torch.allclose(rows, (~world.terminal).double(), atol=1e-15), "terminal states have no transitions"
    chance, reward = dense(world)
    assert np.allclose(chain.matrix.to_dense().numpy(), np.einsum("as,ast->st", policy.numpy(), chance), atol=1e-15)
    assert np.allclose(chain.rewards[0].numpy(), (policy.numpy() * reward).sum(0), atol=1e-15)
    values = mdp.solve(chain, 0.9)
    q = mdp.backup(world, values, 0.9)
    assert torch.allclose((policy * q).sum(0), values, atol=1e-12), "v = sum_a π q (S295)"


def test_values_are_the_means_of_returns() -> None:
    """S286, S292, C132: 10,000 days of the student, simulated, agree with the closed form within 4 standard errors."""
    learner, data, _ = planned(data="student_mrp", method="closed")
    returns = mdp.played(learner.course(data.train.world), 400, 10_000, seed=0)
    error = 4 * float(returns.std()) / 100
    assert float(returns.mean()) == pytest.approx(table(learner, data)["class 1"], abs=error)
    assert mdp.expected(learner.course(data.train.world), 400) == pytest.approx(-12.543210, abs=1e-4)


def test_the_best_at_once_is_not_the_best() -> None:
    """S277, C129: taking the greatest immediate reward is worth less than planning."""
    learner, data, _ = planned(data="student", discount=0.9)
    world = data.train.world
    greedy = mdp.solve(mdp.under(world, mdp.certain(world.rewards.argmax(0), len(world.actions))), 0.9)
    assert (greedy <= learner.model.values + 1e-12).all()
    assert greedy[1] < learner.model.values[1] - 1


@st.composite
def worlds(draw: st.DrawFn, signs: tuple[int, ...] = (-1, 1)) -> MDP:
    """Up to five states and three actions, not all of them everywhere, with rewards of the given signs or none."""
    count, actions = draw(st.integers(2, 5)), draw(st.integers(1, 3))
    names = [f"s{number}" for number in range(count)]
    rewards = st.sampled_from([0.0, 0.0, *(sign * size for sign in signs for size in (1.0, 2.5))])
    draft = Draft("drawn", names)
    for state in names[: draw(st.integers(1, count))]:
        if draw(st.booleans()):
            draft.add(state, "wait", state, 1.0, 0.0)
        for action in range(draw(st.integers(1, actions))):
            after = draw(st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True))
            weights = draw(st.lists(st.integers(1, 4), min_size=len(after), max_size=len(after)))
            for target, weight in zip(after, weights, strict=True):
                draft.add(state, f"a{action}", target, weight / sum(weights), draw(rewards))
    try:
        return draft.finish()
    except UserError:  # every state of it is terminal
        assume(False)
        raise


def deterministic(world: MDP) -> Iterator[tuple[int, ...]]:
    """Every policy that takes one action in a state."""
    choices = [column.nonzero().flatten().tolist() or [0] for column in world.available.T]
    return itertools.product(*choices)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(worlds(), st.sampled_from([0.0, 0.5, 0.9, 0.99]))
def test_random_worlds_obey_the_optimality_equation(world: MDP, discount: float) -> None:
    """S296, S297, C134, C135: both methods solve it, their policies attain it, and no policy is better anywhere."""
    chance, reward = dense(world)
    best, _, _ = planned(world, discount=discount)
    values = best.model.values.numpy()
    assert np.abs((reward + discount * chance @ values).max(0) - values).max() < 1e-9
    other, _, _ = planned(world, discount=discount, method="policy")
    assert other.model.values.numpy() == pytest.approx(values, abs=1e-8)
    places = range(len(world.states))
    for learner in (best, other):
        policy = learner.model.policy[0].tolist()
        attained = np.linalg.solve(np.eye(len(places)) - discount * chance[policy, places], reward[policy, places])
        assert attained == pytest.approx(values, abs=1e-8)
    for policy in deterministic(world):
        worth = np.linalg.solve(np.eye(len(places)) - discount * chance[policy, places], reward[policy, places])
        assert (worth <= values + 1e-8).all()


def total(chance: np.ndarray, reward: np.ndarray) -> np.ndarray | None:  # (S, S), (S,) -> (S,)
    """The sum of all rewards to come; -inf where it falls without end, None where it grows so or has no limit."""
    states = len(reward)
    reach = np.linalg.matrix_power(np.eye(states) + chance, states) > 0
    values = np.zeros(states)
    recurrent = np.array(
        [all(reach[after, state] for after in np.flatnonzero(reach[state])) for state in range(states)]
    )
    free = ~recurrent
    for state in np.flatnonzero(recurrent):
        members = np.flatnonzero(reach[state])
        if not reward[members].any():
            continue
        inner = chance[np.ix_(members, members)]
        system = np.vstack([inner.T - np.eye(len(members)), np.ones(len(members))])
        shares = np.linalg.lstsq(system, np.append(np.zeros(len(members)), 1.0), rcond=None)[0]
        if shares @ reward[members] > -1e-9:
            return None
        values[members] = -np.inf
    lost = reach[:, np.isinf(values)].any(1)
    values[lost] = -np.inf
    free &= ~lost
    values[free] = np.linalg.solve(np.eye(free.sum()) - chance[np.ix_(free, free)], reward[free])
    return values


@pytest.mark.parametrize("signs", [(1,), (-1,), (-1, 1)])
def test_discount_1_is_the_best_of_all_policies(signs: tuple[int, ...]) -> None:
    """Wherever values exist: rewards of one sign, and of both, where value iteration alone may be led astray."""
    compared = []

    @settings(max_examples=80, deadline=None, derandomize=True)
    @given(worlds(signs))
    def check(world: MDP) -> None:
        chance, reward = dense(world)
        places = range(len(world.states))
        worth = [total(chance[policy, places], reward[policy, places]) for policy in deterministic(world)]
        if any(each is None for each in worth):  # somewhere reward can be collected without end, or goes to and fro
            return
        best = np.max(worth, axis=0)
        for method in ("value", "policy"):
            if np.isinf(best).any():
                with pytest.raises(UserError, match="discount 1"):
                    mdp.settling(world)
                continue
            learner, _, _ = planned(world, method=method, discount=1.0, sweeps=20_000)
            assert learner.done
            assert learner.model.values.numpy() == pytest.approx(best, abs=1e-7)
            policy = learner.model.policy[0].tolist()
            assert total(chance[policy, places], reward[policy, places]) == pytest.approx(best, abs=1e-7)
            compared.append(world)

    check()
    assert len(compared) > 20


def test_value_iteration_is_not_led_astray_by_waiting() -> None:
    """One may wait for nothing, or take 1 and then owe 5: n sweeps wait, take the 1 last, and never pay."""
    draft = Draft("debt")
    draft.add("free", "wait", "free", 1.0, 0.0)
    draft.add("free", "take", "owing", 1.0, 1.0)
    draft.add("owing", "pay", "end", 1.0, -5.0)
    learner, data, _ = planned(draft.finish(), discount=1.0)
    assert table(learner, data) == {"free": 0.0, "owing": -5.0, "end": 0.0}
    assert data.spec["actions"][learner.model.policy[0, 0]] == "wait"


def test_discount_1_is_refused_where_values_do_not_exist() -> None:
    draft = Draft("trap")
    draft.add("in", "toil", "in", 1.0, -1.0)
    draft.add("out", "stay", "out", 1.0, 0.0)
    with pytest.raises(UserError, match=r"'in' of trap cannot. Give a --discount below 1"):
        mdp.settling(draft.finish())
    with pytest.raises(UserError, match="state 'middle' is visited again and again, with reward"):
        Mdp(data="forest", method="closed", discount=1.0).load()
    with pytest.raises(UserError, match="with reward, by a policy of gridworld"):
        planned(method="policy", discount=1.0)


def test_backward_induction_is_a_sweep_a_step_and_keeps_every_decision() -> None:
    """S297: after n steps the values are those of n sweeps; with fewer steps left another action may be best."""
    learner, data, residuals = planned(data="frozenlake", method="backward", horizon=30, discount=1.0)
    values = torch.zeros(16, dtype=torch.float64)
    for left in range(30):
        q = mdp.backup(data.train.world, values, 1.0)
        values = q.amax(0)
        assert torch.equal(learner.model.policy[29 - left].long(), q.argmax(0))
    assert torch.equal(values, learner.model.values)
    assert len(residuals) == 30
    assert len({tuple(policy) for policy in learner.model.policy.tolist()}) > 1


@pytest.mark.parametrize("method", METHODS)
def test_a_run_that_goes_on_from_a_checkpoint_is_the_same_bit_for_bit(method: str) -> None:
    """Law 3, for the methods that the battery does not run."""
    recipe = Mdp(data="frozenlake", method=method, horizon=20)
    data = recipe.load()
    whole, cut = (recipe.learner(recipe.model(data.spec)) for _ in range(2))
    plan = recipe.plan(data)
    for step in range(plan.steps):
        whole.step(data.train.at(step), Clock(step, plan.steps, 1))
        cut.step(data.train.at(step), Clock(step, plan.steps, 1))
        if whole.done:
            break
        saved = {key: value.clone() for key, value in cut.parts()["model"].state_dict().items()}
        cut = recipe.learner(recipe.model(data.spec))
        cut.parts()["model"].load_state_dict(saved)
    assert cut.done == whole.done
    for key, value in whole.model.state_dict().items():
        assert torch.equal(value, cut.model.state_dict()[key]), key


# --- large worlds


def large(after: Any, states: int, ends: bool) -> MDP:
    """Three actions; `after(state, action)` gives successors of equal probability; every step costs 1."""
    draft = Draft("large", map(str, range(states)))
    for state in range(states - ends):
        for action in range(3):
            targets = after(state, action)
            for target in targets:
                draft.add(str(state), str(action), str(target), 1 / len(targets), -1.0)
    return draft.finish()


def test_sparse_solves_equal_dense_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both roads: successors anywhere, for which iterations suffice, and along a line, for which they do not."""
    import scipy.sparse.linalg

    calls = []
    direct = scipy.sparse.linalg.spsolve
    monkeypatch.setattr(scipy.sparse.linalg, "spsolve", lambda *system: calls.append(1) or direct(*system))
    generator = np.random.default_rng(0)
    line = large(lambda state, action: [min(state + action, 1499), max(state - 1, 0)], 1500, ends=True)
    anywhere = large(lambda state, action: generator.integers(0, 1500, 4).tolist(), 1500, ends=False)
    for world, discount, direct_calls in ((line, 1.0, 1), (anywhere, 0.9, 0)):
        calls.clear()
        policy = torch.full((1500,), 2)
        chain = mdp.under(world, mdp.certain(policy, 3))
        values = mdp.solve(chain, discount)
        assert len(calls) == direct_calls
        chance, reward = dense(chain)
        free = ~world.terminal.numpy()
        exact = np.linalg.solve(np.eye(free.sum()) - discount * chance[0][np.ix_(free, free)], reward[0, free])
        assert values.numpy()[free] == pytest.approx(exact, rel=1e-10)


def test_all_methods_agree_on_a_large_world() -> None:
    world = large(lambda state, action: [min(state + action, 1199), max(state - 1, 0)], 1200, ends=True)
    for discount in (0.99, 1.0):
        one, _, _ = planned(world, discount=discount)
        other, _, _ = planned(world, discount=discount, method="policy")
        assert one.model.values.numpy() == pytest.approx(other.model.values.numpy(), rel=1e-8)


# --- the run, the pictures, the knobs


def test_the_run_predicts_and_prints_measured_beside_published(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = carry_out(Mdp(), tmp_path / "run", Host(device="cpu", threads=1))
    assert result["ended"] == "done"
    optimum = next(row for row in result["published"] if row["value"] == 22.0)
    assert optimum["measured"] == pytest.approx(22.0, abs=0.05)
    assert not optimum["differs"]
    with pytest.raises(SystemExit) as end:
        cli.main(["predict", str(tmp_path / "run"), "1", "24", "--json"])
    assert end.value.code == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["name"] for row in rows] == ["1", "24"]
    assert rows[0]["action"] in ("north", "south", "east", "west")
    assert rows[0]["value"] == pytest.approx(24.419, abs=1e-3)


@pytest.mark.parametrize(
    "knobs",
    [
        {},
        {"data": "frozenlake", "discount": 1.0},
        {"data": "student", "method": "policy"},
        {"data": "student_mrp", "method": "closed"},
        {"data": "frozenlake", "method": "backward", "horizon": 5},
        {"data": "Taxi-v4", "method": "evaluation"},
    ],
)
def test_the_pictures_are_drawn_from_the_run_folder(knobs: dict[str, Any], tmp_path: Path) -> None:
    carry_out(Mdp(**knobs), tmp_path / "run", Host(device="cpu", threads=1))
    evidence = Evidence(Run.open(tmp_path / "run"))
    drawn = evidence.recipe.pictures(evidence)
    assert [each.title for each in drawn] == ["Values and policy", "Residual"][
        : 1 if knobs.get("method") == "closed" else 2
    ]
    for number, each in enumerate(drawn):
        with page():
            each.draw().savefig(tmp_path / f"{number}.png")  # type: ignore[union-attr]


def test_arrows_show_every_best_action_and_at_discount_1_only_the_policys() -> None:
    """In cell 5 of the gridworld north and east are equally good; from A all four actions lead to A'."""
    learner, data, _ = planned()
    chosen = pictures.choices(learner.model.q, learner.model.policy[0], ties=True)
    named = [{data.spec["actions"][action] for action in actions} for actions in chosen]
    assert named[0] == {"east"}
    assert named[1] == {"north", "south", "east", "west"}
    assert named[5] == {"north", "east"}
    assert all(len(actions) == 1 for actions in pictures.choices(learner.model.q, learner.model.policy[0], ties=False))


def test_a_world_that_cannot_be_solved_in_the_sweeps_given_says_so() -> None:
    learner, data, _ = planned(sweeps=3)
    assert not learner.done
    assert "The values still change in the last sweep" in Mdp(sweeps=3).conclude(learner, data)[1][0]
    assert (
        learner.model.policy[0].tolist() == mdp.backup(data.train.world, learner.model.values, 0.9).argmax(0).tolist()
    )


def test_the_worlds_own_policy_is_evaluated(tmp_path: Path) -> None:
    """A policy of the file, in words; iterated, in closed form, and by hand: 0.25 of 4, then the end."""
    (tmp_path / "own.json").write_text(
        json.dumps(
            {
                "transitions": [
                    {"state": "a", "action": "left", "next": "end", "probability": 1, "reward": 4},
                    {"state": "a", "action": "right", "next": "end", "probability": 1, "reward": 0},
                ],
                "policy": {"a": {"left": 0.25, "right": 0.75}},
                "discount": 0.5,
            }
        )
    )
    for method in ("evaluation", "closed"):
        learner, data, _ = planned(data=str(tmp_path / "own.json"), method=method)
        assert table(learner, data) == {"a": 1.0, "end": 0.0}
        assert Mdp(data=str(tmp_path / "own.json"), method=method).protocol(data.spec)["policy"] == "the world's own"
