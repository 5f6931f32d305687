"""Worlds from files and from gymnasium: what is read, and one sentence for everything that cannot be."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from deepclassics import cli
from deepclassics.data import catalog, load
from deepclassics.data.kinds import action, world
from deepclassics.data.kinds.world import Draft, from_gymnasium, from_path
from deepclassics.errors import UserError

CSV = """state,action,next,probability,reward
start,left,start,0.5,0
start,left,goal,0.5,1
start,right,goal,1,0.25
"""


def written(folder: Path, name: str, content: Any) -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def transition(**other: Any) -> dict[str, Any]:
    return {"state": "a", "action": "go", "next": "b", "probability": 1, "reward": 2} | other


def test_a_csv_is_read(tmp_path: Path) -> None:
    found = from_path(written(tmp_path, "own.csv", CSV))
    assert found.states == ("start", "goal")
    assert found.actions == ("left", "right")
    assert found.terminal.tolist() == [False, True]
    assert found.start.tolist() == [1.0, 0.0]
    assert found.rewards.tolist() == [[0.5, 0.0], [0.25, 0.0]]
    assert found.matrix.to_dense().tolist() == [[0.5, 0.5], [0.0, 0.0], [0.0, 1.0], [0.0, 0.0]]
    assert found.discount == 0.99


def test_a_spreadsheets_csv_is_read(tmp_path: Path) -> None:
    """A byte order mark, Windows line ends, an empty last line, capitals, spaces, tabs."""
    text = "\ufeff" + CSV.replace("state,action", "State, Action").replace("\n", "\r\n") + "\r\n"
    for name, content in (("own.csv", text), ("own.tsv", text.replace(",", "\t"))):
        (tmp_path / name).write_bytes(content.encode())
        assert len(from_path(tmp_path / name).pair) == 3


def test_a_reward_process_needs_no_action(tmp_path: Path) -> None:
    """S290."""
    text = "state,next,probability,reward\nwork,work,0.9,1\nwork,home,0.1,0\n"
    found = from_path(written(tmp_path, "own.csv", text))
    assert found.actions == ("none",)
    assert found.rewards.tolist() == [[0.9, 0.0]]
    rows = [transition(), transition(state="b", next="b", reward=0)]
    for row in rows:
        del row["action"]
    assert from_path(written(tmp_path, "own.json", {"transitions": rows})).actions == ("none",)


def test_a_json_is_read(tmp_path: Path) -> None:
    told = {
        "states": ["a", "b", 3],
        "actions": ["go", "stay"],
        "transitions": [
            transition(),
            transition(action="stay", next="a", reward=0),
            transition(state="b", next=3, probability=1.0, reward=-1),
            transition(state=3, next=3, reward=0),
        ],
        "terminal": [3],
        "start": {"a": 0.25, "b": 0.75},
        "discount": 0.5,
        "policy": {"a": {"go": 0.5, "stay": 0.5}, "b": "go"},
        "limit": 7,
        "layout": [["a", "b"], [None, 3]],
        "marks": {"a": "A"},
    }
    found = from_path(written(tmp_path, "own.json", told))
    assert found.states == ("a", "b", "3")
    assert found.start.tolist() == [0.25, 0.75, 0.0]
    assert found.policy.tolist() == [[0.5, 1.0, 0.5], [0.5, 0.0, 0.5]]
    assert found.rewards.tolist() == [[2.0, -1.0, 0.0], [0.0, -math.inf, 0.0]]
    assert (found.discount, found.limit, found.layout, found.marks) == (0.5, 7, ((0, 1), (None, 2)), ((0, "A"),))
    assert len(found.pair) == 3, "a terminal state's way back to itself is left out"
    spec = load(str(tmp_path / "own.json"), ("world",), seed=0).spec
    assert spec == json.loads(json.dumps(spec))
    assert spec["layout"] == [[0, 1], [None, 2]]
    assert spec["data"] == str(tmp_path / "own.json")


def test_what_leads_nowhere_for_nothing_is_terminal() -> None:
    draft = Draft("drawn")
    draft.add("a", "go", "b", 1.0, 1.0)
    draft.add("b", "go", "b", 1.0, 0.0)
    draft.add("c", "go", "c", 1.0, 1.0)
    assert draft.finish().terminal.tolist() == [False, True, False]


def test_probabilities_that_sum_to_1_but_for_rounding_are_scaled() -> None:
    draft = Draft("drawn")
    for after in "abc":
        draft.add("a", "go", after, 0.333333, 0.0)
    assert float(draft.finish().probability.sum()) == pytest.approx(1.0, abs=1e-15)


def test_a_world_moves_between_devices_whole() -> None:
    moved = catalog.read("gridworld").to("meta")
    kept = {name: value.device.type for name, value in vars(moved).items() if isinstance(value, torch.Tensor)}
    assert set(kept) == {"pair", "next", "probability", "reward", "terminal", "start"}
    assert set(kept.values()) == {"meta"}


@pytest.mark.parametrize("name", [name for name in catalog.names() if catalog.find(name).KIND == "world"])
def test_named_worlds_hold_what_they_say(name: str) -> None:
    found = catalog.read(name)
    assert found.matrix.to_dense().sum(1).tolist() == pytest.approx(found.available.reshape(-1).double().tolist())
    assert float(found.start.sum()) == pytest.approx(1.0)


# --- gymnasium


def test_gymnasiums_table_is_taken_as_it_is() -> None:
    found = from_gymnasium("FrozenLake-v1,is_slippery=false,map_name=8x8")
    assert len(found.states) == 64
    assert found.actions == ("left", "down", "right", "up")
    assert found.limit == 100
    assert set(found.probability.tolist()) == {1.0}
    assert dict(found.marks)[63] == "G"
    assert bool(found.terminal[63])
    assert len(from_gymnasium("FrozenLake8x8-v1").pair) == 3 * 4 * 53, "three outcomes but at the 10 holes and the goal"


def test_taxi_starts_where_gymnasium_starts() -> None:
    found = from_gymnasium("Taxi-v4")
    assert int((found.start > 0).sum()) == 300
    assert found.actions[5] == "drop off"
    assert not found.layout


def test_a_world_without_a_table_is_refused() -> None:
    with pytest.raises(UserError, match="mdp needs a world whose transition probabilities are known; 'CartPole-v1'"):
        load("CartPole-v1", ("world",), seed=0)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("FrozenLak-v1", "FrozenLak"),
        ("FrozenLake-v99", "FrozenLake"),
        ("FrozenLake-v1,nonesuch=1", "nonesuch"),
        ("FrozenLake-v1,map_name=5x5", "5x5"),
    ],
)
def test_what_gymnasium_cannot_make_is_told_in_a_sentence(data: str, says: str) -> None:
    with pytest.raises(UserError, match="gymnasium cannot make") as error:
        from_gymnasium(data)
    assert says in str(error.value)


def test_a_name_of_data_runs_no_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """gymnasium imports the module in "module:id"; a run folder from elsewhere may name any."""
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    monkeypatch.syspath_prepend(tmp_path)
    assert not world.is_environment("evil:FrozenLake-v1")
    with pytest.raises(UserError, match="must be written like"):
        from_gymnasium("evil:FrozenLake-v1")
    with pytest.raises(UserError, match="There is no data set"):
        load("evil:FrozenLake-v1", ("world",), seed=0)
    assert not (tmp_path / "ran").exists()


# --- bad input


def changed(line: int, text: str) -> str:
    lines = CSV.splitlines()
    lines[line - 1] = text
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "line 1: the columns must be state, action, next, probability, reward"),
        ("state,next,reward\na,b,1\n", "without probability"),
        (changed(1, "state,action,next,probability,reward,done"), "got state, action, next, probability, reward, done"),
        (changed(1, "state,state,next,probability,reward"), "line 1: the columns must be"),
        ("state,action,next,probability,reward\n", "must have transitions; it has none"),
        (changed(2, "start,left,start,0.4,0"), "state 'start', action 'left' must sum to 1; they sum to 0.9."),
        (changed(3, "start,left,goal,-0.5,1"), "line 3: the probability must be a number from 0 to 1; got -0.5"),
        (changed(3, "start,left,goal,nan,1"), "line 3: the probability must be a number from 0 to 1; got nan"),
        (changed(3, "start,left,goal,half,1"), "line 3: the probability must be a number; got 'half'"),
        (changed(4, "start,right,goal,1,inf"), "line 4: the reward must be a finite number; got inf"),
        (changed(4, "start,right,goal,1,"), "line 4: the reward must be a number; got ''"),
        (changed(4, "start,right,goal,1"), "line 4: must have 5 fields, as the first line; got 4"),
        ("state,next,probability,reward\na,a,1,0\n", "every state of it is terminal"),
    ],
)
def test_a_bad_csv_is_told_by_line(content: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        from_path(written(tmp_path, "own.csv", content))
    assert says in str(error.value)
    assert "own.csv" in str(error.value)


ROWS = [transition(), transition(state="b", next="a"), transition(state="b", action="stop", next="c")]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{"transitions": [}', "line 1: must be JSON"),
        ("[" * 100_000, "nested too deeply"),
        ('{"limit": 5, "limit": 6}', "every key of an object must come once; 'limit' comes twice"),
        ([], "must hold an object with these keys: states, actions"),
        ({"transition": ROWS}, "got 'transition'. Did you mean 'transitions'?"),
        ({"transitions": []}, "must have transitions; it has none"),
        ({"transitions": {}}, '"transitions" must be a list of objects; got {}'),
        ({"transitions": [transition(), 7]}, "transition 2: must be an object"),
        ({"transitions": [{"state": "a"}]}, "transition 1: the keys must be"),
        ({"transitions": [transition(done=True)]}, "got state, action, next, probability, reward, done"),
        ({"transitions": [transition(probability="x")]}, "transition 1: the probability must be a number; got 'x'"),
        ({"transitions": [transition(reward=math.nan)]}, "transition 1: the reward must be a finite number; got nan"),
        ({"transitions": [transition(reward=None)]}, "transition 1: the reward must be a number; got None"),
        ({"transitions": [transition(probability=0.5)]}, "state 'a', action 'go' must sum to 1; they sum to 0.5."),
        ({"transitions": ROWS, "states": ["a", "b"]}, "transition 3: the state must be one of those declared; got 'c'"),
        (
            {"transitions": ROWS, "actions": ["go"]},
            "transition 3: the action must be one of those declared; got 'stop'",
        ),
        ({"transitions": ROWS, "terminal": ["b"]}, "nothing may leave the terminal state 'b'"),
        ({"transitions": ROWS, "terminal": ["q"]}, "terminal must name states; got 'q'"),
        ({"transitions": ROWS, "start": "q"}, "start must name states; got 'q'"),
        ({"transitions": ROWS, "start": {"a": 0.5}}, "the start probabilities must sum to 1; they sum to 0.5"),
        ({"transitions": ROWS, "start": {"a": -1}}, "the start probability of 'a' must be from 0 to 1; got -1"),
        ({"transitions": ROWS, "discount": 1.5}, "the discount must be from 0 to 1; got 1.5"),
        ({"transitions": ROWS, "discount": "much"}, "the discount must be a number; got 'much'"),
        ({"transitions": ROWS, "limit": -1}, '"limit" must be a whole number of at least 0; got -1'),
        ({"transitions": ROWS, "policy": {"a": "go"}}, "in 'b' they sum to 0"),
        ({"transitions": ROWS, "policy": {"a": "stop", "b": "go"}}, "takes 'stop' in 'a', which has no such action"),
        ({"transitions": ROWS, "policy": ["go"]}, '"policy" must be an object of states'),
        ({"transitions": ROWS, "layout": [["a"], ["b", "c"]]}, "rows of the layout must be of one length"),
        ({"transitions": ROWS, "layout": [["a", "q"]]}, "layout must name states; got 'q'"),
        ({"transitions": ROWS, "layout": ["ab"]}, '"layout" must be a list of rows of states'),
        ({"transitions": ROWS, "marks": {"q": "Q"}}, "marks must name states; got 'q'"),
    ],
)
def test_a_bad_json_is_told_by_place(content: Any, says: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        from_path(written(tmp_path, "own.json", content))
    assert says in str(error.value)
    assert "own.json" in str(error.value)


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_bytes(CSV.replace("goal", "Zürich").encode("latin1"))
    for path, says in (
        (tmp_path / "own.csv", "must be UTF-8 text; byte"),
        (tmp_path / "own.txt", "must be a file ending in .json, .csv, .tsv"),
        (tmp_path / "other.csv", "There is no file"),
    ):
        with pytest.raises(UserError, match=says):
            from_path(path)


@pytest.mark.parametrize("words", [["--data", "own.csv"], ["--data", "CartPole-v1"], ["--data", "gridwrold"]])
def test_the_command_line_tells_it_in_one_line_and_writes_nothing(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    written(tmp_path, "own.csv", changed(2, "start,left,start,0.4,0"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        cli.main(["run", "mdp", *words])
    out = capsys.readouterr()
    assert end.value.code == 2
    assert out.err.count("\n") == 1
    assert not out.out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["own.csv"]


# --- questions and answers


def test_states_are_asked_for_by_name_or_by_number() -> None:
    spec = {"data": "drawn", "states": ["a", "b"], "actions": ["go"], "terminal": [1]}
    names, question = world.read(["b", "0"], spec)
    assert names == ["b", "a"]
    assert question["state"].tolist() == [1, 0]
    numbered = {"data": "drawn", "states": ["10", "0"]}
    assert world.read(["0"], numbered)[1]["state"].tolist() == [1], "a name comes before a number"
    for spec_of, word in ((spec, "2"), (spec, "c"), (numbered, "1")):
        with pytest.raises(UserError, match=f"'{word}' must be a state of drawn"):
            world.read([word], spec_of)


def test_an_answer_names_the_action_and_none_where_the_episode_is_over(tmp_path: Path) -> None:
    spec = {"states": ["a", "b"], "actions": ["stay", "go"], "terminal": [1]}
    answer = {"action": torch.tensor([1, 0]), "value": torch.tensor([2.5, 0.0], dtype=torch.float64)}
    assert action.show(answer, ["a", "b"], spec, tmp_path) == [
        {"name": "a", "action": "go", "value": 2.5},
        {"name": "b", "action": None, "value": 0.0},
    ]
