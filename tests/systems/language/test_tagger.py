"""The tagger: its random field against every row of tags, what fills a batch up, names in the scheme that is learnt."""

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from deepclassics.errors import UserError
from deepclassics.layers.crf import CRF
from deepclassics.learn import look, untraced
from deepclassics.recipe import find
from deepclassics.report import marking
from deepclassics.systems.language.tagger import Tagger


def field(tags: int = 4) -> CRF:
    torch.manual_seed(0)
    crf = CRF(tags)
    for parameter in crf.parameters():
        nn.init.normal_(parameter)
    return crf


def paths(crf: CRF, scores: Tensor) -> dict[tuple[int, ...], float]:  # (T, K)
    """The score of every row of tags of a sentence, in float64 and one by one (Lample et al. 2016, section 2.2)."""
    first, between, last = (p.detach().double() for p in (crf.first, crf.transitions, crf.last))
    found = {}
    for row in itertools.product(range(scores.shape[1]), repeat=len(scores)):
        total = first[row[0]] + last[row[-1]] + sum(scores[t, tag].double() for t, tag in enumerate(row))
        found[row] = float(total + sum(between[one, two] for one, two in itertools.pairwise(row)))
    return found


def test_forward_and_viterbi_equal_enumeration() -> None:
    crf, lengths = field(), [4, 1, 3]
    scores, mask = torch.randn(3, 4, 4) * 2, torch.arange(4) < torch.tensor(lengths)[:, None]
    tags = torch.randint(4, (3, 4))
    partition, best, loss = crf.partition(scores, mask), crf.best(scores, mask), crf(scores, tags, mask)
    for number, length in enumerate(lengths):
        every = paths(crf, scores[number, :length])
        total = torch.tensor(list(every.values()), dtype=torch.float64).logsumexp(0)
        assert partition[number].item() == pytest.approx(float(total), abs=1e-5)
        assert tuple(best[number, :length].tolist()) == max(every, key=lambda row: every[row])
        assert not best[number, length:].any()
        right = every[tuple(tags[number, :length].tolist())]
        assert loss[number].item() == pytest.approx(float(total) - right, abs=1e-5)


def test_without_transitions_it_is_a_softmax() -> None:
    crf, scores, mask = CRF(5), torch.randn(2, 6, 5), torch.tensor([[1] * 6, [1] * 4 + [0] * 2]).bool()
    tags = torch.randint(5, (2, 6))
    assert torch.equal(crf.best(scores, mask), scores.argmax(2) * mask)
    own = (-scores.log_softmax(2).gather(2, tags[:, :, None])[:, :, 0] * mask).sum(1)
    torch.testing.assert_close(crf(scores, tags, mask), own)


def test_the_gradient_is_that_of_finite_differences() -> None:
    crf = field(3).double()
    scores = torch.randn(2, 3, 3, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True, True, True], [True, True, False]])
    tags = torch.randint(3, (2, 3))

    def loss(scores: Tensor) -> Tensor:
        """As the layer gives it, not in float32."""
        return crf.partition(scores, mask) - crf.score(scores, tags, mask)

    assert torch.autograd.gradcheck(loss, (scores,))


def recipe(**knobs: Any) -> Any:
    return find("tagger")(**{"hidden": 8, "embedding": 6, "filters": 5, "capitals": 3} | knobs)


@pytest.mark.parametrize("output", ["crf", "softmax"])
def test_what_fills_a_batch_up_changes_nothing(output: str) -> None:
    made = recipe(output=output)
    data = made.load()
    torch.manual_seed(0)
    model = made.model(data.spec).eval()
    batch = data.train.columns.take(torch.tensor([0, 3, 5]))
    wide = {name: torch.cat([value, torch.zeros_like(value)], 1) for name, value in batch.items()}
    width = batch["ids"].shape[1]
    with untraced(model):
        one, other = (each["tags"] for each in (made.answer(model, batch, None), made.answer(model, wide, None)))
        assert torch.equal(one, other)
        assert len(one) == (batch["ids"] != 0).sum()
        mask = batch["ids"] != 0
        torch.testing.assert_close(model(batch)[mask], model(wide)[:, :width][mask])
        loss = [made.learner(model).objective(model, each)["loss"] for each in (batch, wide)]
        torch.testing.assert_close(loss[0], loss[1])


@pytest.mark.parametrize("scheme", ["BIO", "BIOES"])
def test_right_tags_have_no_error_in_either_scheme(scheme: str) -> None:
    """A net that gives the right tags is judged right: nothing is lost between the schemes."""
    made = recipe(scheme=scheme)
    data = made.load()
    learner = made.learner(made.model(data.spec))

    def knowing(scores: Tensor, mask: Tensor) -> Tensor:
        return (made.targets(batches.pop(0)["tags"]) - 1) * mask

    batches = list(data.test)
    learner.model.best = knowing
    scores = look(learner, data.test)
    assert (scores["f1"], scores["precision"], scores["error"], scores["broken"]) == (1, 1, 0, 0)


def test_rare_words_are_read_as_unknown_in_training_alone() -> None:
    made = recipe(word_dropout=0.5, dropout=0.0, filters=0, capitals=0)
    spec = made.load().spec
    model: Tagger = made.model(spec)
    seen = []
    model.words.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    last = len(spec["vocabulary"]) - 1
    ids = torch.tensor([[2, last] * 200])
    torch.manual_seed(0)
    model({"ids": ids})
    model.eval()({"ids": ids})
    assert (seen[0][0, ::2] == 2).all(), "a common word stays"
    assert 60 < (seen[0][0, 1::2] == 1).sum() < 140
    assert torch.equal(seen[1], ids)


def test_words_start_from_vectors(tmp_path: Path) -> None:
    (tmp_path / "vectors.txt").write_text("2 3\nmayor 1 2 3\nzebra 4 5 6\n")
    made = recipe(vectors=str(tmp_path / "vectors.txt"), embedding=3)
    spec = made.load().spec
    model = made.model(spec)
    made.inherit(model, spec)
    assert model.words.weight[spec["vocabulary"].index("mayor")].tolist() == [1, 2, 3]
    assert model.words.weight.shape == (len(spec["vocabulary"]), 3)
    told = f"Words with a vector in {tmp_path / 'vectors.txt'}: 1 of {len(spec['vocabulary']) - 2:,}."
    assert spec["told"][-1] == told
    assert made.reload(spec).spec == spec, "a run goes on where the vectors are gone"
    other = recipe(vectors=str(tmp_path / "vectors.txt"))
    larger = other.model(spec)
    with pytest.raises(UserError, match=r"tagger: --embedding must be 3, the numbers of a vector in .*; got 6\."):
        other.inherit(larger, spec)
    (tmp_path / "vectors.txt").write_text("1 3\nzebra 4 5 6\n")
    with pytest.raises(UserError, match=r"must hold vectors of words that are learnt from; it has none of them\."):
        made.inherit(model, spec)


def test_vectors_are_looked_up_as_words_are_written(tmp_path: Path) -> None:
    """The vocabulary has small letters, and 0 for every digit; a file of vectors has neither."""
    (tmp_path / "names.conll").write_text("In O\n1998 O\nZoe B-PER\n\nIn O\n1998 O\n1999 O\n")
    (tmp_path / "vectors.txt").write_text("4 3\n1998 1 2 3\nZoe 4 5 6\nzoe 7 8 9\nin 1 1 1\n")
    made = recipe(data=str(tmp_path / "names.conll"), vectors=str(tmp_path), embedding=3, valid=0.0, test=0.0)
    spec = made.load().spec
    model = made.model(spec)
    made.inherit(model, spec)
    found = dict(zip(spec["vocabulary"], model.words.weight.tolist(), strict=True))
    assert [found[word] for word in ("0000", "zoe", "in")] == [[1, 2, 3], [4, 5, 6], [1, 1, 1]]


def test_the_report_counts_names_that_are_missed_and_those_that_are_none() -> None:
    words = ["a"] * 5
    held = [
        marking.Sentence(words, [False] * 5, [(0, 1, "X"), (2, 4, "Y")], [(0, 1, "Y"), (2, 3, "Y")]),
        marking.Sentence(words, [True] * 5, [(1, 2, "X")], [(1, 2, "X")]),
    ]
    assert marking.counts(held, ["X", "Y"]).tolist() == [[1, 1, 0], [0, 0, 1], [0, 1, 0]]
    assert marking.score(held) == (2 / 6, 3)
    assert marking.score(held, lambda each, sentence: each[2] == "X") == (2 / 3, 2)
    text = marking.mistakes(held)
    assert text.startswith("1 of 2 sentences are wrong.")
    assert "right: [a X] a [a a Y] a\ngiven: [a Y] a [a Y] a a" in text


def test_the_pictures_count_names_in_percent() -> None:
    """Not examples; where what is none meets what is none, nothing is written."""
    held = [
        marking.Sentence(["a"] * 5, [False] * 5, [(0, 1, "X"), (2, 4, "Y"), (4, 5, "X")], [(0, 1, "X"), (2, 3, "Y")])
    ]
    (axes,) = marking.types(held, ["X", "Y"]).axes
    assert axes.get_title() == "1 of 3 names right (33.3 %),\n1 marked in vain"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("type given", "right type")
    assert sorted(text.get_text() for text in axes.texts) == sorted([*"01111", "0%", "100%", "100%", "50.0%", "50.0%"])
    for axes in marking.parts(held, ["X", "Y"]).axes:
        assert axes.get_ylim() == (0, 100)
        for bar, text in zip(axes.patches, axes.texts, strict=True):
            assert f"{bar.get_height():.1f}" == text.get_text()


@pytest.mark.long
def test_names_on_held_out_templates(tmp_path: Path) -> None:
    """S224: F1 above 0.95."""
    from deepclassics.host import Host
    from deepclassics.loop import carry_out

    result = carry_out(find("tagger")(), tmp_path / "run", Host(device="cpu", threads=1))
    assert result["scores"]["test/f1"] > 0.95
