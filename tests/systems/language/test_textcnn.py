"""The text CNN: detectors, four variants, k-max pooling, and Adadelta that leaves rows alone (S263, S264, S268)."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import recipes
from deepclassics import vectors
from deepclassics.data.streams import Columns, InOrder, Ragged
from deepclassics.errors import UserError
from deepclassics.learn import Clock, untraced
from deepclassics.systems.language import textcnn
from deepclassics.systems.language.textcnn import Adadelta, Kim, TextCNN, TextCNNRecipe

WINDOWS = (3, 4, 5)


def made(variant: str = "rand", classes: int = 2, dropout: float = 0.0, maps: int = 8, kept: int = 1) -> TextCNN:
    torch.manual_seed(0)
    model = TextCNN(50, classes, variant, 12, WINDOWS, maps, dropout, kept)
    nn.init.normal_(model.bias)  # else what lies beyond a text could never be the largest
    return model


def texts(count: int = 9, seed: int = 0) -> Tensor:
    """Batches of texts of 1 to 12 words."""
    generator = torch.Generator().manual_seed(seed)
    rows = [torch.randint(1, 50, (1 + k % 12,), generator=generator).tolist() for k in range(count)]
    return Ragged.of(rows)[:]


def textbook(model: TextCNN, ids: Tensor) -> Tensor:
    """Kim's equations 1-3 as they stand: vectors, a convolution over zeros around the text, rectified, its maximum."""
    found = []
    for row in ids:
        row = row[row != 0]
        x = torch.stack([table(row) for table in model.channels.values()]).sum(0).T[None]
        for kernel, bias in zip(model.kernel.split(WINDOWS, 1), model.bias, strict=True):
            responses = F.conv1d(x, kernel.permute(2, 0, 1), bias, padding=kernel.shape[1] - 1)
            found.append(responses.relu().amax(2))
    return model.output(torch.cat(found, 1).view(len(ids), -1))


@pytest.mark.parametrize("variant", ["rand", "static", "nonstatic", "multichannel"])
def test_it_equals_the_textbook_form_forward_and_backward(variant: str) -> None:
    """S263: shapes and all; S264: two channels share their kernels."""
    model, ids = made(variant), texts()
    sums = model(ids)
    assert sums.shape == (9, 2)
    torch.testing.assert_close(sums, textbook(model, ids))
    gradients = []
    for form in (model(ids), textbook(model, ids)):
        model.zero_grad()
        F.cross_entropy(form, torch.arange(9) % 2).backward()
        trained = [p for p in model.parameters() if p.requires_grad]
        gradients.append([p.grad.to_dense() if p.grad.is_sparse else p.grad.clone() for p in trained])
    torch.testing.assert_close(*gradients)


def test_filling_up_changes_nothing() -> None:
    """S263: the same texts alone, in a batch of longer ones, and filled up further."""
    model, ids = made(), texts()
    sums, places = model(ids), model.features(ids)[1]
    torch.testing.assert_close(model(F.pad(ids, (0, 7))), sums)
    assert torch.equal(model.features(F.pad(ids, (0, 7)))[1], places)
    for k in range(len(ids)):
        alone = ids[k][ids[k] != 0][None]
        torch.testing.assert_close(model(alone)[0], sums[k])


def pooled(model: TextCNN, ids: Tensor) -> Tensor:
    """Kalchbrenner et al. 2014, section 3.2, as it stands: of the responses to a text, one after another, strike out
    the smallest until k are left; zeros behind them where there are fewer."""
    found = []
    for row in ids:
        row = row[row != 0]
        x = torch.stack([table(row) for table in model.channels.values()]).sum(0).T[None]
        for kernel, bias in zip(model.kernel.split(WINDOWS, 1), model.bias, strict=True):
            responses = F.conv1d(x, kernel.permute(2, 0, 1), bias, padding=kernel.shape[1] - 1).relu()[0]  # (M, places)
            left = []
            for detector in responses:
                values = list(detector)
                while len(values) > model.kept:
                    values.remove(min(values))
                left.append(torch.stack(values + [torch.zeros(())] * (model.kept - len(values))))
            found.append(torch.stack(left, 1))  # (k, M)
    return model.output(torch.stack(found).view(len(ids), -1))


@pytest.mark.parametrize("kept", [2, 3, 9])
def test_the_largest_responses_are_kept_in_their_order(kept: int) -> None:
    """S268, forward and backward: texts of 1 to 12 words, of which some have fewer windows than are kept."""
    model, ids = made(kept=kept), texts()
    nn.init.constant_(model.bias, 1.0)  # else many responses are 0, and which of them are kept is no matter
    gradients = []
    for form in (model(ids), pooled(model, ids)):
        model.zero_grad()
        F.cross_entropy(form, torch.arange(9) % 2).backward()
        gradients.append([p.grad.to_dense() if p.grad.is_sparse else p.grad.clone() for p in model.parameters()])
    torch.testing.assert_close(model(ids), pooled(model, ids))
    torch.testing.assert_close(*gradients)


def test_filling_up_changes_nothing_where_several_are_kept() -> None:
    """S268: the same texts alone, in a batch of longer ones, and filled up further; a text of no words is one of zeros.

    Which of equal responses are kept could change their order: the word 7 comes again and again.
    """
    model = made(kept=4)
    ids = torch.cat([texts(), torch.full((1, 9), 7), torch.zeros(1, 9, dtype=torch.int64)])
    sums, places = model(ids), model.features(ids)[1]
    torch.testing.assert_close(model(F.pad(ids, (0, 7))), sums)
    assert torch.equal(model.features(F.pad(ids, (0, 7)))[1], places)
    for k in range(len(ids)):
        alone = ids[k][ids[k] != 0][None]
        torch.testing.assert_close(model(alone)[0], sums[k])


def test_one_that_is_kept_is_the_maximum_over_time() -> None:
    """S268: k-max pooling with k of 1; the first of several kept lies before the second, as the text has it."""
    single, several = made(), made(kept=3)
    several.load_state_dict(single.state_dict() | {"output.weight": several.output.weight.data})
    (largest, place), (kept, places) = single.features(texts()), several.features(texts())
    kept, places = (column.view(9, len(WINDOWS), 3, 8) for column in (kept, places))
    torch.testing.assert_close(kept.amax(2), largest.view(9, len(WINDOWS), 8))
    long = (texts() != 0).sum(1) >= 3
    assert (places[long].diff(dim=2) > 0).all()
    assert (places[long] == place.view(9, len(WINDOWS), 1, 8)[long]).any(2).all()


def test_a_planted_run_of_words_is_found() -> None:
    """S263: texts of chance are of class 1 where 7 8 9 stand somewhere; its best detector fires at that place."""
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(10, 50, (600, 20), generator=generator)
    label = torch.arange(600) % 2
    begin = torch.randint(0, 18, (600,), generator=generator)
    for j, word in enumerate((7, 8, 9)):
        ids[label == 1, begin[label == 1] + j] = word
        # So that no word tells it alone.
        ids[label == 0, torch.randint(0, 20, (600,), generator=generator)[label == 0]] = word
    model = made()
    nn.init.zeros_(model.bias)
    learner = Kim(model, Adadelta(model.parameters(), 1.0, 0.95), 3.0)
    for step in range(150):
        rows = torch.randperm(500, generator=generator)[:50]
        learner.step({"ids": ids[rows], "label": label[rows]}, Clock(step, 150, 10))
    judged = InOrder(Columns(ids=ids[500:], label=label[500:]))
    with untraced(model):
        assert float(learner.evaluate(judged)["error"]) < 0.1
        responses, places = model.features(ids[500:])
    weight = model.output.weight[1] - model.output.weight[0]
    best = int((weight * responses[label[500:] == 1].mean(0)).argmax())
    h = WINDOWS[best // 8]
    start, place = begin[500:][label[500:] == 1], places[label[500:] == 1, best]
    around = (place <= start + 1) & (start + 1 <= place + h - 1)  # the window holds the middle of the three
    assert float(around.float().mean()) > 0.9


def test_what_is_frozen_stays() -> None:
    """S264: static and multichannel."""
    for variant in ("static", "multichannel"):
        model = made(variant)
        before = {name: p.detach().clone() for name, p in model.named_parameters()}
        learner = Kim(model, Adadelta([p for p in model.parameters() if p.requires_grad], 1.0, 0.95), 3.0)
        for step in range(3):
            learner.step({"ids": texts(), "label": torch.arange(9) % 2}, Clock(step, 3, 3))
        for name, p in model.named_parameters():
            assert torch.equal(p, before[name]) == ("frozen" in name), name
    assert set(made("multichannel").channels) == {"tuned", "frozen"}


def test_words_that_fill_up_stay_zero_and_norms_stay_bounded() -> None:
    model = made()
    learner = Kim(model, Adadelta(model.parameters(), 1.0, 0.95), 0.5)
    for step in range(5):
        learner.step({"ids": texts(seed=step), "label": torch.arange(9) % 2}, Clock(step, 5, 5))
    assert not model.channels["tuned"].weight[0].any()
    assert float(model.output.weight.detach().norm(dim=1).max()) <= 0.5 + 1e-6


@pytest.mark.parametrize("sparse", [True, False])
def test_adadelta_of_some_rows_is_that_of_all(sparse: bool) -> None:
    """Zeiler 2012: rows are left alone for some steps, and end where torch's Adadelta takes them."""
    torch.manual_seed(0)
    ours = nn.Embedding(30, 4, sparse=sparse)
    theirs = nn.Embedding(30, 4)
    theirs.load_state_dict(ours.state_dict())
    mine, torchs = Adadelta(ours.parameters(), 0.7, 0.9), torch.optim.Adadelta(theirs.parameters(), 0.7, 0.9, 1e-6)
    for step in range(40):
        rows = torch.randint(0, 30, (3,), generator=torch.Generator().manual_seed(step))
        for table, rule in ((ours, mine), (theirs, torchs)):
            rule.zero_grad()
            (table(rows).square().sum() + table(rows).sum()).backward()
            rule.step()
    torch.testing.assert_close(ours.weight, theirs.weight)


def test_vectors_of_a_file_are_taken_and_the_others_match_their_variance(tmp_path: Path) -> None:
    """Section 3.3 of the paper; a word of the test part gets a number where it has a vector."""
    rows = [f"a fine film number {k % 7} indeed,good" for k in range(40)]
    rows += [f"a dull thing {k % 7} too,bad" for k in range(40)]
    (tmp_path / "films.csv").write_text("text,label\n" + "\n".join(rows))
    given = torch.randn(6, 5, generator=torch.Generator().manual_seed(0)) * 3
    names = ["fine", "dull", "film", "never", "indeed", "too"]
    lines = [f"{name} {' '.join(map(str, row.tolist()))}" for name, row in zip(names, given, strict=True)]
    (tmp_path / "vectors.txt").write_text("6 5\n" + "\n".join(lines) + "\n")
    recipe = TextCNNRecipe(
        data=str(tmp_path / "films.csv"), target="label", variant="multichannel", vectors=str(tmp_path)
    )
    data = recipe.load()
    assert data.spec["embedding"] == 5
    assert recipe.reload(data.spec).spec == data.spec, "a run goes on where the vectors are gone"
    model = recipe.model(data.spec)
    recipe.inherit(model, data.spec)
    for table in model.channels.values():
        assert float(table.weight.detach()[1:].std()) == pytest.approx(textcnn.SPREAD / 3**0.5)
        scale = table.weight[data.spec["vocabulary"].index("fine"), 0] / given[0, 0]  # the same for all
        for name, row in zip(names, given, strict=True):
            if name in data.spec["vocabulary"]:
                torch.testing.assert_close(table.weight[data.spec["vocabulary"].index(name)], scale * row)
        assert not table.weight[0].any()
        other = table.weight[data.spec["vocabulary"].index("number")]
        largest = float(scale.detach() * (3 * given[[0, 1, 2, 4, 5]].var()).sqrt())
        assert 0.1 * largest < float(other.detach().abs().max()) <= largest + 1e-6
    assert "never" not in data.spec["vocabulary"], "it is in none of the texts"


def films(folder: Path, names: list[str]) -> dict[str, str]:
    """Knobs for a table of texts and vectors of some words."""
    rows = [f"a fine film number {k % 7} indeed,good" for k in range(40)]
    rows += [f"a dull thing {k % 7} too,bad" for k in range(40)]
    (folder / "films.csv").write_text("text,label\n" + "\n".join(rows))
    given = torch.randn(len(names), 5, generator=torch.Generator().manual_seed(0))
    vectors.write(folder / "vectors.txt", names, given)
    return {"data": str(folder / "films.csv"), "target": "label", "vectors": str(folder / "vectors.txt")}


def test_vectors_of_other_words_are_refused_when_they_are_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"must hold vectors of words that are learnt from; it has none of them\."):
        TextCNNRecipe(variant="static", **films(tmp_path, ["zebra"])).load()


def test_the_file_of_vectors_is_read_once_and_what_it_has_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = TextCNNRecipe(variant="static", **films(tmp_path, ["fine", "dull", "zebra"]))
    spec = recipe.load().spec
    model = recipe.model(spec)
    monkeypatch.setattr(vectors, "_gathered", None)
    recipe.inherit(model, spec)
    told = f"Words with a vector in {tmp_path / 'vectors.txt'}: 2 of {len(spec['vocabulary']) - 2}."
    assert spec["told"][-1] == told
    assert recipe.reload(spec).spec == spec


@pytest.mark.parametrize("variant", ["nonstatic", "multichannel"])
def test_a_killed_run_with_vectors_goes_on_as_if_it_had_not_been(variant: str, tmp_path: Path) -> None:
    """Law 3: the vectors that learn, and those that do not."""
    knobs = films(tmp_path, ["fine", "dull"])
    recipe = TextCNNRecipe(variant=variant, batch=10, maps=4, **knobs)
    whole = recipes.train(recipe, tmp_path / "whole")
    with pytest.raises(recipes.Killed):
        recipes.train(recipe, tmp_path / "killed", kill_at=7, raises=True)
    again = recipes.train(recipe, tmp_path / "killed")
    for one, other in zip(whole.model.parameters(), again.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_variant_and_its_vectors_come_together() -> None:
    with pytest.raises(UserError, match=r"textcnn: --variant static starts with vectors made before; give them with"):
        TextCNNRecipe(variant="static").load()
    with pytest.raises(UserError, match=r"--variant rand starts by chance; take --variant nonstatic"):
        TextCNNRecipe(vectors="x.txt").load()
