"""Madaline: rules I and II, and the search over all relabellings."""

import functools
import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from deepclassics.data import catalog
from deepclassics.data.streams import Columns, Shuffled, Whole
from deepclassics.errors import UserError
from deepclassics.host import Host
from deepclassics.learn import Clock, Learner, look
from deepclassics.loop import carry_out
from deepclassics.recipe import find
from deepclassics.report import page
from deepclassics.run import Run
from deepclassics.schedules import linear
from deepclassics.systems.foundations.madaline import Madaline, MinimalDisturbance, Search, best, separator
from deepclassics.systems.foundations.perceptron import meeting_point

HOST = Host(device="cpu", threads=1)
CORNERS = torch.tensor([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])
XOR = torch.tensor([0, 1, 1, 0])


def learn(
    x: Tensor, label: Tensor, units: int, groups: int, seed: int, passes: int, lr: float = 1.0
) -> MinimalDisturbance:
    torch.manual_seed(seed)
    learner = MinimalDisturbance(Madaline(x.shape[1], units, groups), lr, linear)
    stream = Shuffled(Columns(features=x, label=label), 1, seed)
    for step in range(passes * len(x)):
        learner.step(stream.at(step), Clock(step, passes * len(x), len(x)))
        if learner.done:
            break
    return learner


def searched(x: Tensor, label: Tensor, units: int, groups: int) -> Search:
    learner = Search(Madaline(x.shape[1], units, groups))
    steps = 2 ** len(x)
    for step in range(steps):
        learner.step({"features": x, "label": label}, Clock(step, steps, 1))
    assert learner.done
    return learner


def wrong(learner: Learner, x: Tensor, label: Tensor) -> float:
    return look(learner, Whole(Columns(features=x, label=label)))["error"]


@pytest.mark.parametrize(("units", "groups", "most"), [(2, 2, 20), (2, 1, 20), (2, 0, 20), (8, 0, 20)])
def test_xor_is_solved_in_most_of_twenty_seeds(units: int, groups: int, most: int) -> None:
    """S013 madaline: rule I under OR and AND, and rule II (groups 0)."""
    solved = [learn(CORNERS, XOR, units, groups, seed, 200) for seed in range(most)]
    assert sum(learner.done for learner in solved) > 0.9 * most
    assert all(wrong(learner, CORNERS, XOR) == 0 for learner in solved if learner.done)


@pytest.mark.parametrize("groups", [0, 1, 2, 4])
@pytest.mark.parametrize("lr", [1.0, 0.1])
def test_an_accepted_flip_mends_the_output(groups: int, lr: float) -> None:
    """S013: the error never rises after an accepted flip; what is right is left alone."""
    generator = torch.Generator().manual_seed(4)
    x = torch.randn(60, 3, generator=generator)
    label = (x[:, 0] * x[:, 1] > 0).long()
    torch.manual_seed(1)
    learner = MinimalDisturbance(Madaline(3, 4, groups), lr, linear)
    accepted = 0
    for step in range(1500):
        row = step % 60
        batch = {"features": x[row : row + 1], "label": label[row : row + 1]}
        before, flips = [p.clone() for p in learner.model.parameters()], learner.counts.value["flips"]
        scores = learner.step(batch, Clock(step, 2000, 60))
        after = bool(learner.model(batch["features"]) == batch["label"])
        if learner.counts.value["flips"] > flips:
            accepted += 1
            assert scores["error"] == 1
            assert after
        elif scores["error"] == 0:
            assert after
            assert all(torch.equal(one, other) for one, other in zip(before, learner.model.parameters(), strict=True))
    assert accepted > 20


def test_the_least_confident_unit_is_turned_over() -> None:
    """Rule II: single units in the order of their sums' size, the first whose flip mends the output."""
    model = Madaline(1, 3, 0)
    with torch.no_grad():
        model.weight.zero_()
        model.bias.copy_(torch.tensor([0.5, -0.1, 2.0]))
        model.out_weight.copy_(torch.tensor([1.0, 0.1, 1.5]))
        model.out_bias.fill_(0.0)
    learner = MinimalDisturbance(model, 1.0, linear)
    sums = model.sums(torch.zeros(1, 1))[0]
    assert bool(model.joined(sums >= 0))
    assert learner.least(sums, False) == [2]  # the flips of unit 1 and of unit 0 would change nothing
    with torch.no_grad():
        model.out_weight.copy_(torch.tensor([1.0, 0.1, 0.5]))
    assert learner.least(sums, False) == [0]
    with torch.no_grad():
        model.out_weight.fill_(1.0)
        model.out_bias.fill_(1.5)
    assert learner.least(sums, False) == [0, 2] or learner.least(sums, False) == [2, 0]  # no single one does it


@functools.cache
def pentagons() -> tuple[Columns, Columns]:
    data = find("madaline")().load()
    assert isinstance(data.train, Shuffled)
    return data.train.columns, data.test.columns  # type: ignore[union-attr]


def test_the_double_pentagon_is_solved_where_no_unit_can() -> None:
    """S013, S034: a third of the training set, so that the test takes seconds; the rest is for judging."""
    train, test = pentagons()
    x, label = train["features"][:300], train["label"][:300]
    assert meeting_point(x[label == 1], x[label == 0]) is not None
    learner = learn(x, label, 16, 2, 0, 200)
    assert learner.done
    assert wrong(learner, x, label) == 0
    assert look(learner, Whole(test))["error"] < 0.06


def test_ten_lines_two_pentagons_one_or() -> None:
    """S034 decision-compose, N020 penta: 10 + 2 + 1 units, set by hand, agree with the region they bound."""
    region = catalog.read("pentagons")
    model = Madaline(2, 10, 2).double()
    with torch.no_grad():
        for unit, edge in enumerate(
            edge for corners in region.polygons for edge in torch.stack([corners, corners.roll(-1, 0)], 1)
        ):
            along = edge[1] - edge[0]
            normal = torch.stack([-along[1], along[0]])
            inside = region.polygons[unit // 5].mean(0)
            normal = normal * ((inside - edge[0]) @ normal).sign()
            model.weight[unit], model.bias[unit] = normal, -(normal @ edge[0])
    examples = region.examples()
    agree = model(examples["features"].double()) == examples["label"]
    assert float(agree.double().mean()) >= 0.999


def test_points_of_the_set_lie_off_the_edges() -> None:
    table = catalog.read("double_pentagon")
    region = catalog.read("pentagons")
    for part in table.parts.values():
        points = torch.tensor(part[["x", "y"]].to_numpy())
        inside = torch.tensor((part["inside"] == "true").to_numpy())
        for turn in torch.linspace(0, 2 * math.pi, 9)[:-1].tolist():  # moved by less than the gap, none changes sides
            shift = 0.045 * torch.tensor([math.cos(turn), math.sin(turn)])
            assert torch.equal(region.contains(points + shift), inside)


def test_the_search_finds_xor_after_all_relabellings() -> None:
    """S014 label-search: 2^4 for a unit, of which a line can have 14; two units under AND are enough."""
    learner = searched(CORNERS, XOR, 2, 1)
    assert len(learner.found.value) == 14
    assert wrong(learner, CORNERS, XOR) == 0


@pytest.mark.parametrize("count", [1, 4, 6])
def test_a_line_can_have_as_many_labellings_as_cover_counts(count: int) -> None:
    """Cover 1965: of T points in the plane, no three in a line, 2 (1 + (T - 1) + (T - 1)(T - 2) / 2)."""
    x = torch.randn(count, 2, generator=torch.Generator().manual_seed(count))
    possible = sum(separator(x, labelling) is not None for labelling in range(2**count))
    assert possible == 2 * (1 + (count - 1) + (count - 1) * (count - 2) // 2)


@given(seed=st.integers(0, 10_000), count=st.integers(2, 6), labelling=st.integers(0, 63))
@settings(max_examples=40, deadline=None)
def test_a_separator_exists_just_where_the_hulls_do_not_meet(seed: int, count: int, labelling: int) -> None:
    x = torch.randn(count, 2, generator=torch.Generator().manual_seed(seed))
    labelling %= 2**count
    side = torch.tensor([bool(labelling >> place & 1) for place in range(count)])
    line = separator(x, labelling)
    apart = bool(side.all()) or not bool(side.any()) or meeting_point(x[side], x[~side]) is None
    assert (line is not None) == apart
    if line is not None:
        assert torch.equal(x.double() @ line[:-1] + line[-1] > 0, side)


@pytest.mark.parametrize(("units", "groups"), [(1, 1), (2, 1), (2, 2), (4, 2)])
def test_the_choice_is_the_best_there_is(units: int, groups: int) -> None:
    """Against all choices, one by one."""
    labellings, examples = [0, 31, 3, 28, 12, 19, 9], 5
    for wanted in range(2**examples):
        chosen = best(labellings, examples, wanted, units, groups)
        fewest = min(
            (functools.reduce(
                lambda a, b: a | b,
                [functools.reduce(lambda a, b: a & b, pick[g * units // groups : (g + 1) * units // groups])
                 for g in range(groups)],
            ) ^ wanted).bit_count()
            for pick in itertools.product(labellings, repeat=units)
        )  # fmt: skip
        each = np.array(chosen).reshape(groups, -1)
        made = int(np.bitwise_or.reduce(np.bitwise_and.reduce(each, axis=1)))
        assert set(chosen) <= set(labellings)
        assert (made ^ wanted).bit_count() == fewest


@pytest.mark.parametrize("seed", range(3))
def test_madaline_never_beats_the_search(seed: int) -> None:
    """C062 search-exp: with the same logic, the rule's error is at least that of the best choice."""
    generator = torch.Generator().manual_seed(seed)
    x, label = torch.randn(7, 2, generator=generator), torch.randint(2, (7,), generator=generator)
    optimum = wrong(searched(x, label, 2, 1), x, label)
    for start in range(3):
        assert wrong(learn(x, label, 2, 1, start, 50), x, label) >= optimum


def test_every_sample_doubles_the_search(tmp_path: Path) -> None:
    """S014, C062: as many updates as relabellings; more than 12 examples are refused."""
    for rows in (4, 5, 6):
        table = tmp_path / f"{rows}.csv"
        places = [f"{row % 3}.5,{row // 3}.25,{'yes' if row in (1, 3, 4) else 'no'}" for row in range(rows)]
        table.write_text("\n".join(["x,y,side", *places]) + "\n")
        knobs = {"data": str(table), "target": "side", "rule": "search", "units": 2}
        result = carry_out(find("madaline")(**knobs), tmp_path / f"run{rows}", HOST)
        assert result["steps"] == 2**rows == result["scores"]["train/relabellings"]
        assert "One example more, and the search takes twice as long." in result["remarks"][-1]
    with pytest.raises(UserError, match=r"the search takes 12 training examples at most, .* got 1,000"):
        find("madaline")(rule="search").load()


def test_the_step_gives_no_gradient() -> None:
    """S015 nondiff-step: the 0/1 loss is flat around nearly every weight; a sigmoid's is nowhere."""
    generator = torch.Generator().manual_seed(0)
    x, label = torch.randn(20, 2, generator=generator), torch.randint(2, (20,), generator=generator)

    def loss(weight: Tensor, soft: bool) -> Tensor:  # (M, 2) -> (M,)
        sums = (weight @ x.T).double()
        given = sums.sigmoid() if soft else (sums >= 0).double()
        return (given - label).square().mean(1)

    weights = torch.randn(2000, 2, generator=generator, dtype=torch.float64).float()
    nudge = torch.tensor([1e-4, 0.0])
    flat = (loss(weights + nudge, False) - loss(weights - nudge, False)) == 0
    assert float(flat.double().mean()) >= 0.99
    assert bool(((loss(weights + nudge, True) - loss(weights - nudge, True)) != 0).all())


def test_xor_runs_by_every_rule(tmp_path: Path) -> None:
    for rule in ("mri", "mrii", "search"):
        result = carry_out(find("madaline")(data="xor", rule=rule, units=8), tmp_path / rule, HOST)
        assert result["ended"] == "done", rule
        assert result["scores"]["train/error"] == 0
        assert result["remarks"][0] == "No single unit can part true from false on the training examples."
        page.write(Run.open(tmp_path / rule))
        text = (tmp_path / rule / "report/index.html").read_text(encoding="utf-8")
        assert "The lines as they were learnt" in text
        assert text.count("Not drawn") == 1  # no test examples for a confusion matrix


def test_more_classes_need_one_to_be_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"there must be two classes; 'species' has 3. Name one with --positive"):
        find("madaline")(data="iris").load()
    with pytest.raises(UserError, match=r"positive must be one of setosa, versicolor, virginica; got 'rose'"):
        find("madaline")(data="iris", positive="rose").load()
    with pytest.raises(UserError, match=r"'progression' holds numbers. `deepclassics run adaline` learns numbers"):
        find("madaline")(data="diabetes").load()
    spec = find("madaline")(data="iris", positive="versicolor").load().spec
    assert spec["target"]["classes"] == ["not versicolor", "versicolor"]
