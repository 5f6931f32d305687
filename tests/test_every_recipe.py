"""The contract, over every system that there is: a new one is under test by existing (DESIGN.md, part 5)."""

import dataclasses
import json
import random
import shutil
import socket
import typing
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from pydantic_core import PydanticUndefined
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

import recipes
from deepclassics import cli, metrics
from deepclassics.data import catalog, fetch
from deepclassics.data.streams import Ragged, Stream
from deepclassics.learn import Clock, look
from deepclassics.loop import Plan
from deepclassics.recipe import Recipe, find
from deepclassics.run import Run
from deepclassics.systems import docstring, names

EVERY = pytest.mark.parametrize("name", names())


def copied(learner: Any) -> dict[str, Any]:
    """All that a run changes, as it is now."""
    return {name: clone(part.state_dict()) for name, part in learner.parts().items()}


def clone(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.clone()
    if isinstance(value, Ragged):
        return Ragged(value.values.clone(), value.starts.clone())
    if isinstance(value, dict):
        return {key: clone(item) for key, item in value.items()}
    return type(value)(clone(item) for item in value) if isinstance(value, list | tuple) else value


def same(one: Any, other: Any) -> bool:
    """Bit for bit."""
    if isinstance(one, Tensor):
        return one.shape == other.shape and one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, Ragged):
        return torch.equal(one.values, other.values) and torch.equal(one.starts, other.starts)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if dataclasses.is_dataclass(one):
        return all(same(getattr(one, each.name), getattr(other, each.name)) for each in dataclasses.fields(one))
    return bool(one == other)


def steps(learner: Any, stream: Stream, count: int) -> list[dict[str, Any]]:
    plan = Plan(count, count)
    scores = []
    for position in range(count):
        if learner.done:
            break
        scores.append(learner.step(stream.at(position), Clock(position, plan.steps, len(stream))))
    return scores


@EVERY
def test_is_built_from_its_spec(name: str) -> None:
    recipe = recipes.recipe(name)
    spec = recipe.load().spec
    torch.manual_seed(0)
    one = recipe.model(spec)
    torch.manual_seed(0)
    other = recipe.model(json.loads(json.dumps(spec)))
    assert same(one.state_dict(), other.state_dict())
    assert list(one.parameters()) or list(one.buffers()), "a model must hold what it learns"


@EVERY
def test_a_step_changes_the_learner_and_nothing_else(name: str) -> None:
    recipe = recipes.recipe(name)
    learner, data = recipes.made(recipe)
    batch, spec = clone(data.train.at(0)), json.dumps(data.spec)
    before = copied(learner)
    for position in range(5):  # a perceptron may be right about the first example, and then has nothing to change
        learner.step(data.train.at(position), Clock(position, 5, len(data.train)))
    assert not same(before, copied(learner)), "an update must change something"
    assert same(batch, data.train.at(0)), "the data must stay as they are"
    assert json.dumps(data.spec) == spec
    assert recipe == recipes.recipe(name)


@EVERY
def test_every_trainable_parameter_moves(name: str) -> None:
    learner, data = recipes.made(recipes.recipe(name))
    trained = {key: value for key, value in learner.model.named_parameters() if value.requires_grad}
    before = {key: parameter.detach().clone() for key, parameter in trained.items()}
    steps(learner, data.train, 10)
    still = [key for key, parameter in trained.items() if torch.equal(before[key], parameter)]
    assert not still, f"these never move: {', '.join(still)}"


class Again(Stream):
    """The first few batches of a stream, over and over."""

    def __init__(self, stream: Stream, count: int) -> None:
        self.batches = [stream.at(position) for position in range(count)]

    def __len__(self) -> int:
        return len(self.batches)

    def at(self, position: int) -> Any:
        return self.batches[position % len(self.batches)]

    def on(self, *place: Any) -> "Again":
        return self


@EVERY
def test_the_score_on_fixed_batches_improves(name: str) -> None:
    learner, data = recipes.made(recipes.recipe(name))
    batch = getattr(data.train, "batch", 1)
    fixed = Again(data.train, min(len(data.train), 32 // batch + 1))
    before = look(learner, fixed)
    steps(learner, fixed, 40)
    after = look(learner, fixed)
    first = next(iter(before))
    better = after[first] > before[first] if first in metrics.RISING else after[first] < before[first]
    assert better, f"{first} was {before[first]} and is {after[first]}"


@EVERY
def test_the_scores_have_the_same_names_at_every_step(name: str) -> None:
    learner, data = recipes.made(recipes.recipe(name))
    scores = steps(learner, data.train, 6)
    assert {tuple(each) for each in scores} == {tuple(scores[0])}


@EVERY
def test_evaluation_leaves_no_trace(name: str) -> None:
    learner, data = recipes.made(recipes.recipe(name))
    steps(learner, data.train, 3)
    stream = data.valid or data.test or data.train
    before, state = copied(learner), torch.get_rng_state()
    modes = [module.training for module in learner.model.modules()]
    one, other = look(learner, stream), look(learner, stream)
    assert one == other
    assert same(before, copied(learner))
    assert torch.equal(state, torch.get_rng_state())
    assert modes == [module.training for module in learner.model.modules()]


@EVERY
def test_the_order_depends_on_seed_and_epoch_alone(name: str) -> None:
    """Law 4: a batch is the same whatever was asked for before it."""
    recipe = recipes.recipe(name)
    one, other = recipes.made(recipe)[1].train, recipes.made(recipe)[1].train
    positions = [0, 3, len(one), 2 * len(one) + 1]
    assert all(same(one.at(p), other.at(p)) for p in positions)
    assert all(same(one.at(p), other.at(p)) for p in reversed(positions))


def remains(path: Path) -> tuple[Any, ...]:
    """All of a run folder that must not depend on how often it was interrupted."""
    run = Run.open(path)
    checkpoint = run.checkpoint()
    assert checkpoint is not None
    checkpoint["loop"]["value"].pop("seconds")
    rows = [{key: value for key, value in row.items() if key != "seconds"} for row in run.metrics()]
    return checkpoint, rows, run.weights(), run.snapshots()


@EVERY
def test_killed_and_resumed_equals_uninterrupted_and_so_does_the_same_seed(
    name: str, forks: Any, tmp_path: Path
) -> None:
    """Law 3. Saves come after every third update; the kill, at some update after the first of them."""
    moment = random.Random(f"{name} {torch.__version__}").randrange(4, recipes.STEPS)
    whole, cut = str(tmp_path / "whole"), str(tmp_path / "cut")
    codes = forks(recipes.child, [(name, whole, None), (name, cut, moment)])
    solved = Run.open(whole).checkpoint()["step"]
    assert codes[0] == 0
    assert codes[1] == (-9 if moment < solved else 0)
    assert forks(recipes.child, [(name, cut, None)]) == [0]
    assert same(remains(tmp_path / "whole"), remains(tmp_path / "cut"))


@pytest.mark.parametrize(
    ("name", "knobs"),
    [
        pytest.param(name, knobs, id=f"{name} {' '.join(f'{key}={value}' for key, value in knobs.items())}")
        for name, sets in recipes.OTHER_KNOBS.items()
        for knobs in sets
    ],
)
def test_so_does_a_run_with_other_knobs(name: str, knobs: dict[str, Any], tmp_path: Path) -> None:
    """Law 3 for what the defaults do not do. In one process, which is cheap: the folder is all that is handed on."""
    recipe = find(name)(**knobs)
    recipes.train(recipe, tmp_path / "whole")
    solved = Run.open(tmp_path / "whole").checkpoint()["step"]
    moment = random.Random(f"{name} {knobs} {torch.__version__}").randrange(solved)
    with pytest.raises(recipes.Killed):
        recipes.train(recipe, tmp_path / "cut", kill_at=moment, raises=True)
    recipes.train(recipe, tmp_path / "cut")
    assert same(remains(tmp_path / "whole"), remains(tmp_path / "cut"))


def draws_noise(recipe: Recipe) -> bool:
    """Whether updates depend on the random state: then ranks, which draw their own, cannot equal one process."""
    states = []
    for seed in (1, 2):
        learner, data = recipes.made(recipe)
        torch.manual_seed(seed)
        steps(learner, data.train, 2)
        states.append(copied(learner))
    return not same(*states)


@EVERY
def test_two_ranks_equal_one(name: str, forks: Any, tmp_path: Path) -> None:
    """Law 6, for the recipes that draw no noise once dropout and changes of pictures are off."""
    off = {"crop": 0, "mirror": "off"}
    knobs = {key: off.get(key, 0.0) for key in find(name).model_fields if key.endswith(("dropout", "distort", *off))}
    knobs = recipes.SMALLER.get(name, {}) | knobs
    recipe = find(name)(**knobs)
    if draws_noise(recipe):
        pytest.skip(f"{name} draws noise")
    if any(isinstance(module, _BatchNorm) for module in recipe.model(recipe.load().spec).modules()):
        pytest.skip(f"{name} normalises over the batch, which several ranks are refused")
    if getattr(recipe.load().train, "batch", 2) < 2:
        pytest.skip(f"{name} learns from one example at a time")
    two_ranks_equal_one(recipe, knobs, forks, tmp_path)


@pytest.mark.parametrize(("name", "knobs"), recipes.SHARED_KNOBS, ids=lambda value: str(value))
def test_two_ranks_equal_one_with_other_knobs(name: str, knobs: dict[str, Any], forks: Any, tmp_path: Path) -> None:
    """Law 6 for batches, methods and rules that the defaults leave out."""
    two_ranks_equal_one(find(name)(**knobs), knobs, forks, tmp_path)


def two_ranks_equal_one(recipe: Recipe, knobs: dict[str, Any], forks: Any, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    together = str(tmp_path / "together")
    assert forks(recipes.rank, [(recipe.name(), knobs, together, number, 2, port) for number in range(2)]) == [0, 0]
    recipes.train(recipe, tmp_path / "alone")
    # Both as they were last: the learner of a run that has ended may hold the best weights before.
    alone = Run.open(tmp_path / "alone").checkpoint()["parts"]["model"]
    for key, value in Run.open(together).checkpoint()["parts"]["model"].items():
        # Of a gradient that is 0 but for rounding Adam makes a step all the same: one number in thousands may differ.
        apart = ~torch.isclose(value, alone[key], rtol=1e-3, atol=1e-5)
        assert float(apart.double().mean()) <= 2e-4, f"{key}: {int(apart.sum())} of {apart.numel()} numbers differ"
        torch.testing.assert_close(value, alone[key], rtol=1e-2, atol=1e-4, msg=lambda text, key=key: f"{key}: {text}")


def question(recipe: Recipe, spec: dict[str, Any], folder: Path) -> list[str]:
    """What a user might ask of a run that has learnt from such data."""
    kind = recipe.asked or spec["kind"]
    if kind == "image":
        channels, height, width = spec["shape"]
        picture = Image.new("L" if channels == 1 else "RGB", (width, height), 128)
        picture.save(folder / "question.png")
        return [str(folder / "question.png")]
    if kind == "table":
        return [
            ",".join(["1"] * len([column for column in spec["columns"] if column["name"] != spec["target"]["name"]]))
        ]
    if kind == "text":
        return [spec["vocabulary"][0]]
    if kind == "nearest":
        return [next(word for word in spec["vocabulary"] if word != "-")]  # which is standard input
    if kind == "boolean":
        return ["1" * len(spec["names"])]
    if kind == "function":
        return [",".join("0.5" for _ in spec["names"])]
    if kind == "network":
        return [",".join("0.5" for _ in spec["inputs"])]
    if kind == "region":
        return ["0.5,0.2"]
    if kind == "matrix":
        return ["0.5 1 2; 3 4 5; 6 7 8"]
    return ["0"]


@EVERY
def test_predicts_from_a_moved_folder_without_the_data(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Law 5: the run folder is enough, wherever it lies."""
    recipe = recipes.recipe(name)
    recipes.train(recipe, tmp_path / "here", steps=2)
    shutil.move(tmp_path / "here", tmp_path / "there")
    words = question(recipe, Run.open(tmp_path / "there").spec(), tmp_path)

    def gone(*place: Any, **knobs: Any) -> None:
        raise AssertionError("predict must not read the data set")

    monkeypatch.setattr(type(recipe), "load", gone)
    with pytest.raises(SystemExit) as end:
        cli.main(["predict", str(tmp_path / "there"), *words, "--json"])
    out = capsys.readouterr()
    assert end.value.code == 0, out.err
    rows = [json.loads(line) for line in out.out.splitlines()]
    assert rows
    assert all(rows)


@EVERY
def test_the_docstring_tells_source_departures_and_what_to_expect(name: str) -> None:
    text = docstring(name)
    title, _, rest = text.partition("\n")
    assert ": " in title, "the first line is `Name: one sentence.`"
    assert title.endswith(".")
    for heading in ("Source:", "Departures from the paper:", "Expected:"):
        assert any(line.startswith(heading) for line in rest.splitlines()), f"{heading} is missing"


def wrong_values(recipe: type[Recipe]) -> list[tuple[str, str]]:
    """A value for every knob that its type or its bounds forbid."""
    found = []
    for key, field in recipe.model_fields.items():
        options = typing.get_args(field.annotation)
        kinds = (
            options if options and typing.get_origin(field.annotation) is not typing.Literal else (field.annotation,)
        )
        if int in kinds or float in kinds:
            found.append((key, "many"))
            found += [(key, str(rule.gt)) for rule in field.metadata if getattr(rule, "gt", None) is not None]
            found += [(key, str(rule.ge - 1)) for rule in field.metadata if getattr(rule, "ge", None) is not None]
            found += [(key, str(rule.lt)) for rule in field.metadata if getattr(rule, "lt", None) is not None]
            found += [(key, str(rule.le + 1)) for rule in field.metadata if getattr(rule, "le", None) is not None]
        elif typing.get_origin(field.annotation) is typing.Literal:
            found.append((key, "nonesuch"))
    return found


@EVERY
def test_no_bad_knob_gives_a_traceback(name: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    recipe = find(name)
    assert all(field.default is not PydanticUndefined for field in recipe.model_fields.values()), (
        "every knob has a default"
    )
    cases = [*wrong_values(recipe), ("nonesuch", "1"), ("data", str(tmp_path / "missing"))]
    for key, value in cases:
        with pytest.raises(SystemExit) as end:
            cli.main(["run", name, f"--{key.replace('_', '-')}={value}", "--out", str(tmp_path / "run")])
        out = capsys.readouterr()
        assert end.value.code == 2, (key, value, out.err)
        assert out.err.count("\n") == 1, f"one sentence, not {out.err!r}"
        assert out.err.strip().endswith((".", "?")), out.err
        assert "Traceback" not in out.err
        assert "defect" not in out.err
        assert not out.out
        assert not any(tmp_path.iterdir()), f"nothing may be written: {key} {value}"


@EVERY
def test_show_tells_of_it_and_its_parameters(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["show", name])
    out = capsys.readouterr()
    assert end.value.code == 0, out.err
    assert "Parameters: not counted" not in out.out


@EVERY
def test_every_knob_is_described(name: str) -> None:
    for key, field in find(name).model_fields.items():
        described = field.description or any(getattr(rule, "description", None) for rule in field.metadata)
        assert described, f"{key} needs a description"


@EVERY
def test_published_figures_name_data_and_scores_that_exist(name: str, mirror: Path) -> None:
    """A figure beside nothing would be silently dropped."""
    known = {}
    for published in find(name).published:
        if "/" not in published.score:  # no score of ours: printed as not measured
            continue
        if published.on == "cifar10_jpeg":
            continue  # 60,000 pictures to be decoded, and the scores are those of cifar10_small
        files = catalog.find(published.on).FILES if published.on in catalog.names() else ()
        if any(not any(map(Path.exists, fetch.places(file))) for file in files):
            continue  # not in every mirror, as all of CIFAR-10
        if published.on not in known:
            recipe = recipes.recipe(name, data=published.on)
            learner, data = recipes.made(recipe)
            if data.test is None:  # judged by other means, at the end
                known[published.on] = set(recipe.conclude(learner, data)[0])
            else:
                known[published.on] = {f"test/{key}" for key in look(learner, data.test)}
        assert published.score in known[published.on], published
