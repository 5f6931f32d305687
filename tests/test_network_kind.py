"""Small networks as JSON: both ways of writing them, and what is refused with a sentence."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deepclassics.data import catalog, load
from deepclassics.data.kinds import network
from deepclassics.errors import UserError
from deepclassics.run import difference

EXAMPLE = {
    "inputs": {"x1": 0.35, "x2": 0.9},
    "units": [
        {"name": "top", "inputs": {"x1": 0.1, "x2": 0.8}},
        {"name": "bottom", "inputs": {"x1": 0.4, "x2": 0.6}},
        {"name": "final", "inputs": {"top": 0.3, "bottom": 0.9}},
    ],
    "target": {"final": 0.5},
}


def from_json(told: Any, folder: Path) -> network.Network:
    file = folder / "net.json"
    file.write_text(told if isinstance(told, str) else json.dumps(told), encoding="utf-8")
    return network.from_path(file)


def spec_of(net: network.Network) -> dict[str, Any]:
    return network.splits(net, seed=0, valid=0.0, test=0.0).spec


def test_the_example_as_json_is_the_named_one(tmp_path: Path) -> None:
    mine, named = from_json(EXAMPLE, tmp_path), catalog.read("bp_example")
    assert spec_of(mine) == spec_of(named) | {"data": ""}
    assert torch.equal(mine.x, named.x)
    assert torch.equal(mine.target, named.target)


def test_units_may_stand_in_any_order(tmp_path: Path) -> None:
    turned = EXAMPLE | {"units": EXAMPLE["units"][::-1]}
    assert [unit.name for unit in from_json(turned, tmp_path).units] == ["top", "bottom", "final"]


def test_layers_are_units_written_as_matrices(tmp_path: Path) -> None:
    told = {
        "inputs": ["x1", "x2"],
        "layers": [
            {"units": ["top", "bottom"], "weights": [[0.1, 0.8], [0.4, 0.6]]},
            {"units": ["final"], "weights": [[0.3, 0.9]]},
        ],
        "examples": [{"inputs": [0.35, 0.9], "target": 0.5}],
    }
    assert spec_of(from_json(told, tmp_path)) == spec_of(from_json(EXAMPLE, tmp_path))
    numbered = told | {
        "layers": [
            {"units": 2, "weights": [[0.1, 0.8], [0.4, 0.6]], "biases": [0.5, None], "activation": "tanh"},
            {"weights": [[0.3, 0.9]]},
        ]
    }
    net = from_json(numbered, tmp_path)
    assert [unit.name for unit in net.units] == ["h1.1", "h1.2", "y1"]
    assert [(unit.bias, unit.activation) for unit in net.units] == [(0.5, "tanh"), (None, "tanh"), (None, "sigmoid")]
    assert network.connections(spec_of(net))[:4] == ["x1→h1.1", "x2→h1.1", "bias→h1.1", "x1→h1.2"]


def test_several_examples_loss_rate_and_order(tmp_path: Path) -> None:
    rows = [{"inputs": {"x2": 1, "x1": 0}, "target": [0.5]}, {"inputs": [1, 0], "target": {"final": 1}}]
    told = {**EXAMPLE, "inputs": ["x1", "x2"], "examples": rows, "loss": "cross_entropy", "lr": 0.1, "order": "notes"}
    del told["target"]
    net = from_json(told, tmp_path)
    assert net.x.tolist() == [[0, 1], [1, 0]]
    assert net.target is not None
    assert net.target.tolist() == [[0.5], [1]]
    assert (net.loss, net.lr, net.order) == ("cross_entropy", 0.1, "notes")


def test_a_score_needs_no_target_and_softmax_units_come_last(tmp_path: Path) -> None:
    score = {"inputs": {"x": 1.0}, "units": [{"name": "u", "inputs": {"x": 2}}], "loss": "score"}
    assert from_json(score, tmp_path).target is None
    soft = {
        "inputs": {"x": 1.0},
        "units": [
            {"name": "a", "inputs": {"x": 1}, "activation": "softmax"},
            {"name": "b", "inputs": {"h": 1}, "activation": "softmax"},
            {"name": "h", "inputs": {"x": 1}},
        ],
        "target": {"a": 1, "b": 0},
        "loss": "cross_entropy",
    }
    assert [unit.name for unit in from_json(soft, tmp_path).units] == ["h", "a", "b"]


def changed(**others: Any) -> dict[str, Any]:
    return {key: value for key, value in {**EXAMPLE, **others}.items() if value is not None}


def unit(**others: Any) -> dict[str, Any]:
    """The example with another output unit."""
    return changed(units=[*EXAMPLE["units"][:2], {"name": "final", "inputs": {"top": 0.3, "bottom": 0.9}, **others}])


WRONG = {
    "no object": ([1, 2], "must hold an object"),
    "not JSON": ("{", "must be JSON"),
    "too deep": ("[" * 100_000, "nested too deeply"),
    "a number too long": ('{"lr": ' + "9" * 5000 + "}", "too long a number"),
    "unknown key": (changed(unit=1), "Did you mean 'units'?"),
    "no units": (changed(units=None), "it has neither"),
    "both": (changed(layers=[]), "it has both"),
    "empty units": (changed(units=[]), "it has no units"),
    "no inputs": (changed(inputs=[]), "it has no inputs"),
    "no values": (changed(inputs=["x1", "x2"]), 'as "inputs": {"x1": 0.5}; it has none'),
    "units that are no list": (changed(units={"a": 1}), "must be a list of objects"),
    "a unit that is none": (changed(units=[3]), "unit 1 must be an object"),
    "a name that is none": (unit(name=7), "a name must be a word"),
    "the same name": (unit(name="top"), "'top' comes twice"),
    "a key twice": ('{"lr": 1, "lr": 2}', "every key of an object must come once; 'lr' comes twice"),
    "an input called bias": (changed(inputs={"bias": 1, "x2": 1}), "bias must be no name of an input or a unit"),
    "a unit called bias": (unit(name="bias"), "bias must be no name of an input or a unit"),
    "an unknown source": (unit(inputs={"tpo": 1}), "got 'tpo'. Did you mean 'top'?"),
    "no source": (unit(inputs={}), "'final' hears none"),
    "unknown activation": (unit(activation="sigmoit"), "Did you mean 'sigmoid'?"),
    "an activation that is no word": (unit(activation=[1]), "must be one of"),
    "a weight that is no number": (unit(inputs={"top": "a"}), "the weight of 'top' must be a number"),
    "a truth value": (unit(inputs={"top": True}), "must be a number"),
    "a weight that is not finite": (json.dumps(unit(inputs={"top": 7.25})).replace("7.25", "NaN"), "finite number"),
    "an infinite input": (json.dumps(EXAMPLE).replace("0.35", "1e999"), "finite number"),
    "an infinite bias": (json.dumps(unit(bias=-7.25)).replace("-7.25", "-Infinity"), "finite number"),
    "a huge weight": (unit(inputs={"top": 10**400}), "at most 1e300"),
    "a loop": (
        changed(units=[{"name": "a", "inputs": {"x1": 1, "b": 1}}, {"name": "b", "inputs": {"a": 1}}]),
        "got a ← b ← a",
    ),
    "a unit that hears itself": (unit(inputs={"top": 1, "final": 1}), "got final ← final"),
    "an unknown output": (changed(outputs=["finale"]), "Did you mean 'final'?"),
    "no target": (changed(target=None), "the target must have a number for each of 1 outputs; got none"),
    "a target of nobody": (changed(target={"fin": 1}), "got 'fin'"),
    "too many targets": (changed(target=[1, 2]), "got 2"),
    "unknown loss": (changed(loss="square"), "Did you mean 'squared'?"),
    "a loss that is no word": (changed(loss=[]), "loss must be one of"),
    "cross entropy of tanh": ({**unit(activation="tanh"), "loss": "cross_entropy"}, "got tanh"),
    "cross entropy of 2": (changed(loss="cross_entropy", target=2), "from 0 to 1"),
    "softmax within": (
        changed(units=[{"name": "a", "inputs": {"x1": 1}, "activation": "softmax"}, {"name": "b", "inputs": {"a": 1}}]),
        "softmax must be the activation of all outputs",
    ),
    "a rate of 0": (changed(lr=0), "greater than 0"),
    "a rate that is none": (changed(lr="fast"), "lr must be a number"),
    "unknown order": (changed(order="note"), "Did you mean 'notes'?"),
    "no examples": (changed(inputs=["x1", "x2"], target=None, examples=[]), "1 to 10,000 examples; got 0"),
    "values beside examples": (changed(examples=[{}]), "beside them"),
    "an example without a value": (
        changed(inputs=["x1", "x2"], target=None, examples=[{"inputs": {"x1": 1}, "target": 1}]),
        "a number for each of x1, x2; got 1",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("told", "sentence"), WRONG.values(), ids=WRONG)
def test_what_is_no_network_is_refused(told: Any, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        from_json(told, tmp_path)
    assert sentence in str(error.value)
    assert "net.json" in str(error.value)


@pytest.mark.parametrize(
    ("layer", "sentence"),
    [
        ({"weights": [[1, 2, 3]]}, "1 rows, one a unit, of 2 numbers"),
        ({"units": 3, "weights": [[1, 2]]}, "3 rows"),
        ({"units": ["a", "b"], "weights": [[1, 2], [3]]}, "got 2 rows of 1 and 2 numbers"),
        ({"units": 10**9, "weights": [[1, 2]]}, "units must be at most 300; got 1000000000"),
        ({"weights": [[1, 2]], "biases": [1, 2]}, "biases must be 1 numbers, one a unit; got 2"),
        ({"weights": [[1, "b"]]}, "a weight of 'y1' must be a number"),
        ({"weights": 3}, "weights must be a list with a row for every unit"),
        ({"weights": [], "units": -1}, "0 rows"),
        ({"weights": [[1, 2]], "bias": [1]}, "Did you mean 'biases'?"),
    ],
)
def test_a_layer_of_the_wrong_shape_is_refused(layer: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        from_json({"inputs": {"x1": 1, "x2": 2}, "layers": [layer], "target": 1}, tmp_path)
    assert sentence in str(error.value)


def test_too_large_a_network_is_refused_with_the_numbers(tmp_path: Path) -> None:
    told = {"inputs": {f"x{k}": 0.1 for k in range(90)}, "layers": [{"weights": [[0.1] * 90] * 70}], "loss": "score"}
    with pytest.raises(UserError, match=r"at most 300 inputs and units and 5,000 connections.*got 160 and 6,300"):
        from_json(told, tmp_path)
    told["layers"] = [{"weights": [[0.1] * 90] * 300}]
    with pytest.raises(UserError, match="got 390 and 27,000"):
        from_json(told, tmp_path)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        network.from_path(tmp_path / "missing.json")
    (tmp_path / "net.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="must be UTF-8"):
        network.from_path(tmp_path / "net.json")
    (tmp_path / "net.json").write_bytes(b"")
    with pytest.raises(UserError, match="must be JSON"):
        network.from_path(tmp_path / "net.json")


def test_only_systems_for_networks_take_such_a_file(tmp_path: Path) -> None:
    (tmp_path / "net.json").write_text(json.dumps(EXAMPLE))
    assert load(str(tmp_path / "net.json"), ("network",), seed=0).spec["kind"] == "network"
    with pytest.raises(UserError, match="takes a table; bp_example is a small network"):
        load("bp_example", ("table",), seed=0)


def test_questions_are_numbers_with_or_without_targets() -> None:
    spec = spec_of(catalog.read("bp_example"))
    names, batch = network.read(["0.35,0.9", " 1, 2"], spec)
    assert names == ["0.35,0.9", " 1, 2"]
    assert batch["input"].tolist() == [[0.35, 0.9], [1, 2]]
    assert "target" not in batch
    assert network.read(["1,2,3"], spec)[1]["target"].tolist() == [[3]]
    for words, sentence in (
        (["1"], "must be 2 numbers between commas, those of x1, x2, or 3 with those of final; got 1"),
        (["1,a"], "got '1,a'"),
        (["1,inf"], "must be a finite number"),
        (["1,2", "1,2,3"], "all have targets, or none"),
    ):
        with pytest.raises(UserError) as error:
            network.read(words, spec)
        assert sentence in str(error.value)
    with pytest.raises(UserError, match="those of x1, x2, x3; got 4"):
        network.read(["1,2,3,4"], spec_of(catalog.read("bp_one")))


VALUES = st.none() | st.booleans() | st.floats() | st.text(max_size=3)
NAMES = st.sampled_from([*network.KEYS, "name", "weights", "x"])


@settings(max_examples=30, deadline=None)
@given(
    st.recursive(
        VALUES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=12
    )
)
def test_any_json_is_read_or_refused_with_a_sentence(tmp_path_factory: pytest.TempPathFactory, told: Any) -> None:
    said = "net.json."
    try:
        from_json(json.dumps(told), tmp_path_factory.mktemp("any"))
    except UserError as error:
        said = str(error)
    assert "net.json" in said
    assert said.endswith((".", "?"))


@pytest.mark.parametrize(
    "other",
    [
        {"target": {"final": 0.5001}},
        {"inputs": {"x1": 0.35, "x2": 0.9001}},
        {"lr": 1.0001},
        {"units": [*EXAMPLE["units"][:2], {"name": "final", "inputs": {"top": 0.30001, "bottom": 0.9}}]},
        {"units": [{**EXAMPLE["units"][0], "bias": 0.0}, *EXAMPLE["units"][1:]]},
    ],
)
def test_every_number_of_a_network_is_known_by_its_spec(other: dict[str, Any], tmp_path: Path) -> None:
    """As `Run.refuse_other_data` compares them, which lets numbers differ by rounding."""
    mine = spec_of(from_json(EXAMPLE, tmp_path))
    assert not difference(mine, spec_of(from_json(json.dumps(EXAMPLE, indent=3), tmp_path)), "")
    assert difference(mine, spec_of(from_json(EXAMPLE | other, tmp_path)), "")
