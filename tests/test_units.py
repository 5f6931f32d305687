"""Networks given unit by unit, against the same sums one unit at a time."""

import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from deepclassics.data.streams import Columns, InOrder
from deepclassics.layers import units
from deepclassics.layers.units import KINDS, Built, Draft, Units, error
from deepclassics.learn import Clock, look


def drafted(seed: int) -> Draft:
    """A random network: units of all kinds that hear inputs and earlier units, some of nothing, several outputs."""
    chance = random.Random(seed)
    draft = Draft(chance.randrange(1, 5))
    for _ in range(chance.randrange(1, 12)):
        known = draft.inputs + len(draft.units)
        heard = chance.sample(range(known), chance.randrange(min(known, 4) + 1))
        weights = {source: float(chance.choice([-2, -1, -0.5, 0, 1, 3])) for source in heard}
        draft.add(weights, chance.choice([-1.5, 0, 0.5, 1]), chance.choice(KINDS))
    total = draft.inputs + len(draft.units)
    return draft.finish(*(chance.randrange(draft.inputs, total) for _ in range(chance.randrange(1, 4))))


def built(draft: Draft) -> Units:
    network = Units(draft.inputs)
    network.take(draft)
    return network


def by_hand(draft: Draft, x: Tensor) -> Tensor:  # (B, N) -> (B, N + U)
    """Every unit's sum in the order they were added."""
    values = [x[:, place].double() for place in range(draft.inputs)]
    for number, (kind, _, threshold) in enumerate(draft.units, draft.inputs):
        rest = torch.zeros(len(x), dtype=torch.float64) - threshold
        for unit, source, weight in zip(draft.unit, draft.source, draft.weight, strict=True):
            if unit == number:
                rest = rest + weight * values[source]
        values.append({"step": (rest >= 0).double(), "relu": rest.clamp(min=0), "linear": rest}[KINDS[kind]])
    return torch.stack(values, 1)


@given(st.integers(0, 10_000))
@settings(max_examples=80, deadline=None)
def test_a_network_equals_its_units_one_by_one(seed: int) -> None:
    draft = drafted(seed)
    x = torch.randint(-3, 4, (7, draft.inputs), generator=torch.Generator().manual_seed(seed)).float() / 2
    network = built(draft)
    torch.testing.assert_close(network.values(x), by_hand(draft, x), rtol=0, atol=1e-12)
    assert torch.equal(network(x), network.values(x)[:, draft.outputs])


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_an_empty_network_takes_the_size_of_what_is_loaded(seed: int) -> None:
    network = built(drafted(seed))
    other = Units(network.inputs)
    other.load_state_dict(network.state_dict())
    x = torch.randn(5, network.inputs, generator=torch.Generator().manual_seed(seed))
    assert torch.equal(network(x), other(x))
    assert network.counts() == other.counts()
    other.take(drafted(seed + 1) if drafted(seed + 1).inputs == network.inputs else Draft(network.inputs))
    other.load_state_dict(network.state_dict())
    assert torch.equal(network(x), other(x)), "nothing of the network before is left"


def test_a_step_unit_fires_where_its_sum_reaches_the_threshold() -> None:
    """McCulloch and Pitts 1943: at the threshold itself, too."""
    draft = Draft(1)
    network = built(draft.finish(draft.add({0: 2.0}, 1.0)))
    assert network(torch.tensor([[0.4999], [0.5], [0.5001]])).flatten().tolist() == [0, 1, 1]


def test_layers_and_counts() -> None:
    """A unit's layer is one more than the highest it hears; weights of 0 are no connections."""
    draft = Draft(2)
    first = draft.add({0: 1, 1: 0.0}, 0.5)
    second = draft.add({0: 1, first: -1}, 0)
    alone = draft.add({}, -1)
    draft.finish(draft.add({second: 1, alone: 1, 1: 2}, 0, "linear"))
    assert [layer for _, layer, _ in draft.units] == [1, 2, 1, 3]
    assert [draft.layer(number) for number in (0, 1, second)] == [0, 0, 2]
    assert built(draft).counts() == {"units": 4, "layers": 3, "connections": 6, "parameters": 8}


def test_before_anything_is_built_all_answers_are_0() -> None:
    network = Units(3)
    assert network(torch.ones(4, 3)).tolist() == [[0.0]] * 4
    assert network.counts() == {"units": 0, "layers": 0, "connections": 0, "parameters": 0}
    assert network.values(torch.ones(2, 3)).tolist() == [[1.0] * 3] * 2


def test_many_rows_are_answered_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    draft = drafted(7)
    network, x = built(draft), torch.randn(101, draft.inputs, generator=torch.Generator().manual_seed(0))
    whole = network(x)
    monkeypatch.setattr(units, "AT_ONCE", 3 * (draft.inputs + len(draft.units)))
    assert torch.equal(network(x), whole)


def test_a_network_that_moves_still_answers() -> None:
    draft = drafted(3)
    network, x = built(draft), torch.randn(4, draft.inputs, generator=torch.Generator().manual_seed(0))
    before = network(x)
    assert torch.equal(network.to("cpu").to(torch.float64)(x), before)


def test_a_unit_hears_no_later_unit() -> None:
    with pytest.raises(AssertionError, match="earlier units"):
        Draft(2).add({2: 1.0}, 0)


def test_a_network_is_built_in_one_update_and_judged() -> None:
    """An AND of two inputs, wrong in one of the four examples; its counts stand beside its error."""
    rows = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    columns = Columns(features=rows, label=torch.tensor([1, 0, 0, 1]))
    draft = Draft(2)
    draft.finish(draft.add({0: 1.0, 1: 1.0}, 2))
    learner = Built(Units(2), lambda batch: (draft, f"of {len(batch['label'])} rows"), error)
    assert look(learner, InOrder(columns))["error"] == 0.5
    scores = learner.step(columns.take(slice(None)), Clock(0, 1, 1))
    assert learner.done
    assert scores == {"units": 1, "layers": 1, "connections": 2, "parameters": 3}
    assert look(learner, InOrder(columns, 3)) == {"error": 0.25, **scores}
    other = Built(Units(2), lambda batch: (None, ""), error)
    other.parts()["model"].load_state_dict(learner.parts()["model"].state_dict())
    other.parts()["told"].load_state_dict(learner.parts()["told"].state_dict())
    assert other.told.value == "of 4 rows"
    assert torch.equal(other.model(rows), learner.model(rows))


def test_where_no_network_can_be_built_none_is() -> None:
    learner = Built(Units(2), lambda batch: (None, "There is none."), error)
    assert learner.step({}, Clock(0, 1, 1))["units"] == 0
    assert learner.done
    assert learner.told.value == "There is none."
