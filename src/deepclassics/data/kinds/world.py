"""Worlds: Markov decision processes whose transitions and rewards are all written down.

A world comes from one of
- a `.csv` (or, with tabs, a `.tsv`) with the columns state, action, next, probability, reward, one transition a row.
  Without the column action it is a Markov reward process.
- a `.json` object: "transitions" is a list of objects of the same fields; all else may be left out: "states" and
  "actions" (their names in order; names that are not among them are then refused), "terminal" (states where an episode
  ends), "start" (a state, or {state: probability}; otherwise all states that can be left are equally likely),
  "discount" (otherwise 0.99), "policy" ({state: action}, or {state: {action: probability}}), "limit" (steps after
  which an episode is cut), "layout" (rows of states and nulls: where the picture draws them), "marks" ({state: letter
  to draw there}).
- a toy environment of gymnasium, by its id and settings: `FrozenLake-v1`, `FrozenLake-v1,is_slippery=false`.

A reward belongs to a transition: it is the reward on leaving `state`, which the notes write R_t and the books R_{t+1}.
A state is terminal where it is declared so, where no transition leaves it, and where it only leads to itself for no
reward. Terminal states have no transitions and the value 0.

Letters: S states, A actions, M transitions, N states asked about.
"""

import csv
import json
import math
import re
import warnings
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from deepclassics.data import objects
from deepclassics.data.streams import Batch, Splits
from deepclassics.errors import UserError, meant

FIELDS = ("state", "action", "next", "probability", "reward")
KEYS = ("states", "actions", "transitions", "terminal", "start", "discount", "policy", "limit", "layout", "marks")
ENDINGS = (".json", ".csv", ".tsv")
DISCOUNT = 0.99  # where the source tells none
NO_ACTION = "none"  # the one action of a Markov reward process
ROUNDING = 1e-5  # by which probabilities may miss their sum of 1; they are then scaled to it


@dataclass(frozen=True, eq=False)
class MDP:
    """A finite Markov decision process (S, A, P, R, discount); with a single action, a Markov reward process."""

    states: tuple[str, ...]
    actions: tuple[str, ...]
    pair: Tensor  # (M,) of int64: action * S + state of each transition, ascending
    next: Tensor  # (M,) of int64
    probability: Tensor  # (M,) of float64; those of one pair sum to 1
    reward: Tensor  # (M,) of float64
    terminal: Tensor  # (S,) of bool
    start: Tensor  # (S,) of float64; sums to 1
    discount: float
    policy: Tensor | None = None  # (A, S) of float64: the world's own pi(a|s); every column sums to 1
    limit: int = 0  # steps after which an episode is cut; 0 for never
    layout: tuple[tuple[int | None, ...], ...] = ()  # states as the picture draws them
    marks: tuple[tuple[int, str], ...] = ()  # (state, letter)
    name: str = ""

    def to(self, device: torch.device | str) -> "MDP":
        """The same world on `device`."""
        moved = {name: value.to(device) for name, value in vars(self).items() if name in _TENSORS and value is not None}
        return replace(self, **moved)

    @cached_property
    def rewards(self) -> Tensor:  # -> (A, S)
        """R_s^a, the expected reward of an action; -inf where a state does not have it, 0 in terminal states."""
        size = len(self.actions) * len(self.states)
        mean = torch.zeros(size, dtype=torch.float64, device=self.pair.device)
        mean.index_add_(0, self.pair, self.probability * self.reward)
        return mean.view(len(self.actions), -1).masked_fill(~self.available & ~self.terminal, -math.inf)

    @cached_property
    def available(self) -> Tensor:  # -> (A, S) of bool
        """Which actions a state has. A terminal state has none."""
        size = len(self.actions) * len(self.states)
        found = torch.zeros(size, dtype=torch.bool, device=self.pair.device)
        found[self.pair] = True
        return found.view(len(self.actions), -1)

    @cached_property
    def matrix(self) -> Tensor:  # -> (A * S, S), sparse
        """P: row a * S + s holds P_ss'^a. Rows of terminal states, and of actions that a state has not, are empty."""
        rows, columns = len(self.actions) * len(self.states), len(self.states)
        places, index = torch.unique(self.pair * columns + self.next, return_inverse=True)
        values = torch.zeros(len(places), dtype=torch.float64, device=self.pair.device)
        values.index_add_(0, index, self.probability)
        counts = torch.bincount(places // columns, minlength=rows)
        begins = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        with warnings.catch_warnings():  # torch calls the layout beta; all that is used of it is one product
            warnings.simplefilter("ignore")
            # 32-bit indices: the product is 2.7 times faster than with 64 on the CPU (one thread, 1.2 M transitions)
            return torch.sparse_csr_tensor(begins.int(), (places % columns).int(), values, size=(rows, columns))


_TENSORS = ("pair", "next", "probability", "reward", "terminal", "start", "policy")


class Draft:
    """A world while it is being written down: transitions by the names of things, then all the rest at once.

    With `states` or `actions` other names are refused; without, names are numbered in the order they come.
    """

    def __init__(self, name: str, states: Iterable[str] = (), actions: Iterable[str] = ()) -> None:
        self.name = name
        self.states = {state: number for number, state in enumerate(states)}
        self.actions = {action: number for number, action in enumerate(actions)}
        self._closed = bool(self.states), bool(self.actions)
        self._columns = tuple(array(kind) for kind in "qqqdd")  # as FIELDS

    def add(self, state: str, action: str, next: str, probability: float, reward: float, place: str = "") -> None:
        """One transition. `place` says in errors where it stands, "line 7"."""
        where = f"{self.name}, {place}" if place else self.name
        if not 0 <= probability < math.inf:  # also refuses NaN
            raise UserError(f"{where}: the probability must be a number from 0 to 1; got {probability:g}.")
        if not math.isfinite(reward):
            raise UserError(f"{where}: the reward must be a finite number; got {reward:g}.")
        row = (
            self._number(state, "state", where),
            self._number(action, "action", where),
            self._number(next, "state", where),
            probability,
            reward,
        )
        for column, value in zip(self._columns, row, strict=True):
            column.append(value)  # type: ignore[arg-type]

    def finish(
        self,
        *,
        terminal: Iterable[str] = (),
        start: str | Mapping[str, float] = "",
        discount: float = DISCOUNT,
        policy: Mapping[str, str | Mapping[str, float]] | None = None,
        limit: int = 0,
        layout: Sequence[Sequence[str | None]] = (),
        marks: Mapping[str, str] | None = None,
    ) -> MDP:
        """The world, checked as a whole.

        Raises:
            UserError: names what does not fit: probabilities that do not sum to 1, states that nobody knows, ...
        """
        if not len(self._columns[0]):
            raise UserError(f"{self.name} must have transitions; it has none.")
        state, action, after = (torch.tensor(column, dtype=torch.int64) for column in self._columns[:3])
        probability, reward = (torch.tensor(column, dtype=torch.float64) for column in self._columns[3:])
        states, actions = len(self.states), len(self.actions)
        pair = action * states + state
        total = torch.bincount(pair, probability, minlength=actions * states)
        wrong = torch.unique(pair)[(total[torch.unique(pair)] - 1).abs() > ROUNDING]
        if len(wrong):
            which, who = divmod(int(wrong[0]), states)
            raise UserError(
                f"{self.name}: the probabilities of state '{list(self.states)[who]}', action "
                f"'{list(self.actions)[which]}' must sum to 1; they sum to {float(total[wrong[0]]):.6g}."
            )
        ends = self._terminal(terminal, state, after, reward)
        kept = (probability > 0) & ~ends[state]
        order = torch.argsort(pair[kept], stable=True)
        world = MDP(
            states=tuple(self.states),
            actions=tuple(self.actions),
            pair=pair[kept][order],
            next=after[kept][order],
            probability=(probability / total[pair])[kept][order],
            reward=reward[kept][order],
            terminal=ends,
            start=self._start(start, ends),
            discount=self._within(discount, "discount"),
            limit=limit,
            layout=self._layout(layout),
            marks=tuple((self._known(state, "marks"), letter) for state, letter in (marks or {}).items()),
            name=self.name,
        )
        return world if policy is None else replace(world, policy=self._policy(policy, world))

    def _number(self, name: str, what: str, where: str) -> int:
        known = self.states if what == "state" else self.actions
        if name not in known:
            if self._closed[what == "action"]:
                raise UserError(f"{where}: the {what} must be one of those declared; got '{name}'.{meant(name, known)}")
            known[name] = len(known)
        return known[name]

    def _known(self, name: str, where: str) -> int:
        if name not in self.states:
            raise UserError(f"{self.name}: {where} must name states; got '{name}'.{meant(name, self.states)}")
        return self.states[name]

    def _within(self, value: float, what: str) -> float:
        if not 0 <= value <= 1:
            raise UserError(f"{self.name}: the {what} must be from 0 to 1; got {value:g}.")
        return float(value)

    def _terminal(self, declared: Iterable[str], state: Tensor, after: Tensor, reward: Tensor) -> Tensor:
        """(S,) of bool: declared, or never left, or leading only to itself for no reward."""
        moves = torch.zeros(len(self.states), dtype=torch.bool)
        moves[state[(after != state) | (reward != 0)]] = True
        for name in declared:
            if moves[self._known(name, "terminal")]:
                raise UserError(
                    f"{self.name}: nothing may leave the terminal state '{name}', but transitions do. Leave them out."
                )
        if not moves.any():
            raise UserError(f"{self.name} must have a state that can be left; every state of it is terminal.")
        return ~moves

    def _start(self, start: str | Mapping[str, float], ends: Tensor) -> Tensor:
        """(S,) of float64."""
        if not start:
            return (~ends).double() / (~ends).sum()
        chances = {start: 1.0} if isinstance(start, str) else start
        found = torch.zeros(len(ends), dtype=torch.float64)
        for name, chance in chances.items():
            found[self._known(name, "start")] = self._within(chance, f"start probability of '{name}'")
        if abs(float(found.sum()) - 1) > ROUNDING:
            raise UserError(
                f"{self.name}: the start probabilities must sum to 1; they sum to {float(found.sum()):.6g}."
            )
        return found / found.sum()

    def _policy(self, policy: Mapping[str, str | Mapping[str, float]], world: MDP) -> Tensor:
        """(A, S) of float64. In terminal states, where nothing is chosen, every action is equally likely."""
        found = torch.zeros(len(self.actions), len(self.states), dtype=torch.float64)
        found[:, world.terminal] = 1 / len(self.actions)
        for name, choice in policy.items():
            state = self._known(name, "policy")
            for action, chance in ({choice: 1.0} if isinstance(choice, str) else choice).items():
                if action not in self.actions or not (
                    world.available[self.actions[action], state] or world.terminal[state]
                ):
                    raise UserError(f"{self.name}: the policy takes '{action}' in '{name}', which has no such action.")
                if not world.terminal[state]:
                    found[self.actions[action], state] = self._within(chance, f"policy of '{name}'")
        wrong = torch.nonzero((found.sum(0) - 1).abs() > ROUNDING)
        if len(wrong):
            name = world.states[int(wrong[0])]
            raise UserError(
                f"{self.name}: the policy's probabilities in every state must sum to 1; in '{name}' they sum to "
                f"{float(found.sum(0)[wrong[0]]):.6g}."
            )
        return found / found.sum(0)

    def _layout(self, layout: Sequence[Sequence[str | None]]) -> tuple[tuple[int | None, ...], ...]:
        if len({len(row) for row in layout}) > 1:
            raise UserError(f"{self.name}: the rows of the layout must be of one length; fill gaps with null.")
        return tuple(tuple(name if name is None else self._known(name, "layout") for name in row) for row in layout)


def from_path(path: Path) -> MDP:
    """A world from the user's file: see the head of this module for what it may hold.

    Raises:
        UserError: names the file, the line or the transition, and what must be there.
    """
    if path.suffix.lower() not in ENDINGS or path.is_dir():
        raise UserError(f"A world must be a file ending in {', '.join(ENDINGS)}; got {path}.")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"There is no file {path}.") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path} must be UTF-8 text; byte {error.start:,} is not. Save it as UTF-8.") from None
    return _from_json(text, path) if path.suffix.lower() == ".json" else _from_table(text, path)


def _from_table(text: str, path: Path) -> MDP:
    rows = csv.reader(text.splitlines(keepends=True), delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
    head = [word.strip().lower() for word in next(rows, [])]
    missing = [field for field in FIELDS if field not in head and field != "action"]
    if missing or len(set(head)) < len(head) or set(head) > set(FIELDS):
        raise UserError(
            f"{path}, line 1: the columns must be {', '.join(FIELDS)} (without action for a Markov reward process); "
            f"got {', '.join(head) or 'nothing'}{f', without {missing[0]}' if missing else ''}."
        )
    draft = Draft(str(path))
    for row in rows:
        if not row:
            continue
        place = f"line {rows.line_num}"
        if len(row) != len(head):
            raise UserError(f"{path}, {place}: must have {len(head)} fields, as the first line; got {len(row)}.")
        _add(draft, dict(zip(head, row, strict=True)), place)
    return draft.finish()


def _from_json(text: str, path: Path) -> MDP:
    told = _is(objects.parse(text, path), dict, f"{path} must hold an object with these keys: {', '.join(KEYS)}")
    for key in told:
        if key not in KEYS:
            raise UserError(f"{path} must have no keys but {', '.join(KEYS)}; got '{key}'.{meant(key, KEYS)}")

    def names(key: str) -> list[str]:
        return [str(name) for name in _is(told.get(key, []), list, f'{path}: "{key}" must be a list of names')]

    def chances(value: Any, key: str) -> dict[str, float]:
        found = _is(value, dict, f'{path}: "{key}" must hold a name, or names with probabilities')
        return {name: _float(chance, f'{path}: a probability of "{key}"') for name, chance in found.items()}

    draft = Draft(str(path), names("states"), names("actions"))
    transitions = _is(told.get("transitions", []), list, f'{path}: "transitions" must be a list of objects')
    for number, row in enumerate(transitions, 1):
        place = f"transition {number}"
        row = _is(row, dict, f"{path}, {place}: must be an object with the keys {', '.join(FIELDS)}")
        missing = [field for field in FIELDS if field not in row and field != "action"]
        if missing or set(row) > set(FIELDS):
            raise UserError(
                f"{path}, {place}: the keys must be {', '.join(FIELDS)} (without action for a Markov reward process); "
                f"got {', '.join(row)}{f', without {missing[0]}' if missing else ''}."
            )
        _add(draft, row, place)
    start = told.get("start", "")
    layout = _is(told.get("layout", []), list, f'{path}: "layout" must be a list of rows of states')
    layout = [_is(row, list, f'{path}: "layout" must be a list of rows of states') for row in layout]
    policy = told.get("policy")
    if policy is not None:
        policy = {
            state: chances(choice, "policy") if isinstance(choice, dict) else str(choice)
            for state, choice in _is(policy, dict, f'{path}: "policy" must be an object of states').items()
        }
    limit = told.get("limit", 0)
    if not isinstance(limit, int) or limit < 0:
        raise UserError(f'{path}: "limit" must be a whole number of at least 0; got {limit!r}.')
    return draft.finish(
        terminal=names("terminal"),
        start=chances(start, "start") if isinstance(start, dict) else str(start),
        discount=_float(told.get("discount", DISCOUNT), f"{path}: the discount"),
        policy=policy,
        limit=limit,
        layout=[[None if name is None else str(name) for name in row] for row in layout],
        marks={
            state: str(mark)
            for state, mark in _is(told.get("marks", {}), dict, f'{path}: "marks" must be an object').items()
        },
    )


def _add(draft: Draft, row: Mapping[str, Any], place: str) -> None:
    where = f"{draft.name}, {place}"
    draft.add(
        str(row["state"]).strip(),
        str(row.get("action", NO_ACTION)).strip(),
        str(row["next"]).strip(),
        _float(row["probability"], f"{where}: the probability"),
        _float(row["reward"], f"{where}: the reward"),
        place,
    )


def _float(value: Any, what: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise UserError(f"{what} must be a number; got {value!r}.") from None


def _is(value: Any, kind: type, must: str) -> Any:
    if not isinstance(value, kind):
        raise UserError(f"{must}; got {json.dumps(value)[:60]}.")
    return value


# An id that may stand on a command line or in somebody's run folder. gymnasium also takes "module:id" and imports the
# module: no name of data may run code.
ENVIRONMENT = re.compile(r"[\w./-]+-v\d+(,\w+=[^,]*)*")

# What gymnasium's toy environments call their actions, by class: they themselves only number them.
ACTIONS = {
    "FrozenLakeEnv": ("left", "down", "right", "up"),
    "CliffWalkingEnv": ("up", "right", "down", "left"),
    "TaxiEnv": ("south", "north", "east", "west", "pick up", "drop off"),
}


def is_environment(data: str) -> bool:
    """Whether this is written as an environment of gymnasium is: `FrozenLake-v1`, `FrozenLake-v1,is_slippery=false`."""
    return ENVIRONMENT.fullmatch(data) is not None


def from_gymnasium(data: str) -> MDP:
    """The model inside an environment, from `env.unwrapped.P`; states are named by their numbers.

    Raises:
        UserError: gymnasium has no such environment, or it has no explicit model.
    """
    import gymnasium

    if not is_environment(data):
        raise UserError(
            f"An environment must be written like FrozenLake-v1 or FrozenLake-v1,is_slippery=false; got {data}."
        )
    name, *words = data.split(",")
    settings = {word.partition("=")[0]: _setting(word.partition("=")[2]) for word in words}
    try:
        made = gymnasium.make(name, **settings)
    except (gymnasium.error.Error, TypeError, KeyError, ValueError, ImportError) as error:
        raise UserError(f"gymnasium cannot make '{data}': {str(error).rstrip('.')}.") from None
    environment: Any = made.unwrapped
    made.close()
    if not hasattr(environment, "P"):
        raise UserError(
            f"mdp needs a world whose transition probabilities are known; '{data}' can only be acted in. "
            f"gymnasium's FrozenLake, CliffWalking and Taxi have them."
        )
    model = environment.P if isinstance(environment.P, dict) else dict(enumerate(environment.P))
    chances = getattr(environment, "initial_state_distrib", None)
    start = {} if chances is None else {str(state): float(chance) for state, chance in enumerate(chances) if chance > 0}
    ends = _ends(model, [int(state) for state in start] or list(model), data)
    actions = [str(action) for action in sorted(next(iter(model.values())))]
    named = ACTIONS.get(type(environment).__name__, ())
    draft = Draft(data, map(str, model), named if len(named) == len(actions) else actions)
    for state, choices in model.items():
        if state not in ends:
            for action, outcomes in choices.items():
                for probability, after, reward, _ in outcomes:
                    draft.add(str(state), list(draft.actions)[action], str(after), float(probability), float(reward))
    return draft.finish(
        terminal=map(str, sorted(ends)),
        start=start,
        limit=(made.spec and made.spec.max_episode_steps) or 0,
        **_picture(environment, len(model)),
    )


def _setting(text: str) -> Any:
    """A setting as JSON where it is JSON (true, 3, 0.5), else as it is written."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _ends(model: Mapping[int, Mapping[int, Any]], start: Iterable[int], data: str) -> set[int]:
    """The states where an episode ends. gymnasium marks transitions, not states: the two must mean the same."""

    def outcomes(state: int) -> Iterator[tuple[int, bool]]:
        return ((int(after), bool(done)) for some in model[state].values() for _, after, _, done in some)

    ends = {after for state in model for after, done in outcomes(state) if done}
    seen = set(start) - ends
    waiting = list(seen)
    while waiting:
        for after, done in outcomes(waiting.pop()):
            if after in ends and not done:
                raise UserError(
                    f"{data} must end in states, not on the way: state {after} is reached with and without an end."
                )
            if after not in ends and after not in seen:
                seen.add(after)
                waiting.append(after)
    return ends


def _picture(environment: Any, states: int) -> dict[str, Any]:
    """Layout and marks of the environments that are drawn as a grid."""
    desc = getattr(environment, "desc", None)
    shape: Any = getattr(environment, "shape", None) or getattr(desc, "shape", ())
    if len(shape) != 2 or math.prod(shape) != states:
        return {}
    rows, columns = shape
    letters = [""] * states
    if desc is not None:
        letters = [letter.decode().replace("F", "") for letter in desc.ravel()]
    elif hasattr(environment, "_cliff"):
        letters = ["C" if cliff else "" for cliff in environment._cliff.ravel()]
        letters[environment.start_state_index], letters[-1] = "S", "G"
    return {
        "layout": [[str(row * columns + column) for column in range(columns)] for row in range(rows)],
        "marks": {str(state): letter for state, letter in enumerate(letters) if letter},
    }


def splits(raw: MDP, *, seed: int, valid: float, test: float) -> Splits:
    """The world itself to plan in and to judge by: nothing is held back, and `seed`, `valid`, `test` are not used."""
    spec = {
        "kind": "world",
        "data": raw.name,
        "examples": {"states": len(raw.states), "transitions": len(raw.pair)},
        "states": list(raw.states),
        "actions": list(raw.actions),
        "terminal": raw.terminal.nonzero().flatten().tolist(),
        "discount": raw.discount,
        "limit": raw.limit,
        "policy": "uniform random" if raw.policy is None else "the world's own",
        "layout": [list(row) for row in raw.layout],
        "marks": {raw.states[state]: letter for state, letter in raw.marks},
    }
    return Splits(spec, raw, raw, raw)


def read(inputs: Sequence[str], spec: dict[str, Any]) -> tuple[list[str], Batch]:
    """States by name, or by number where no state's name is a number, as {"state": (N,) of int64}."""
    known = {name: number for number, name in enumerate(spec["states"])}
    numbered = not any(name.isdigit() for name in known)
    found = []
    for word in inputs:
        if word in known:
            found.append(known[word])
        elif numbered and word.isdigit() and int(word) < len(known):
            found.append(int(word))
        else:
            some = ", ".join(spec["states"][:8]) + (", ..." if len(known) > 8 else "")
            raise UserError(f"'{word}' must be a state of {spec['data']}: {some}.{meant(word, known)}")
    return [spec["states"][number] for number in found], {"state": torch.tensor(found, dtype=torch.int64)}
