"""CBOW and skip-gram: the loop in machine code against torch and autograd, and the tables it lives by (S256-S259)."""

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from deepclassics import cli, vectors
from deepclassics.data import questions
from deepclassics.data.streams import Data
from deepclassics.errors import UserError
from deepclassics.learn import Clock
from deepclassics.recipe import find
from deepclassics.run import Run
from deepclassics.systems.language import cbow
from deepclassics.systems.language.cbow import Aims, WordLearner, Words, WordVectors

COUNTS = [9, 7, 5, 4, 2, 1]
TEXT = torch.tensor([0, 1, 2, -1, 3, 0, 4, 1, 0, 5, -1, -1, 2, 0, 1, 3], dtype=torch.int32)


def learner(output: str = "negative", **knobs: Any) -> WordLearner:
    torch.manual_seed(1)
    model = WordVectors(COUNTS, len(COUNTS) - (output == "hierarchical"), 8)
    torch.nn.init.normal_(model.inputs)
    torch.nn.init.normal_(model.outputs)
    settings = {"lr": 0.1, "window": 1, "skip": False, "mean": True, "share": False, "workers": 1, "compiled": False}
    return WordLearner(model, Aims(np.array(COUNTS), output, 2, 0.0), **settings | {"seed": 0} | knobs)


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize(("mean", "share"), [(True, False), (True, True), (False, False)])
def test_both_loops_are_the_same_where_nothing_is_drawn(
    skip: bool, mean: bool, share: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A window of one word, none left out, and the tree: then torch, word by word, gives what machine code gives."""
    pytest.importorskip("numba")
    monkeypatch.setattr(cbow, "TOGETHER", 1)
    pair = [learner("hierarchical", skip=skip, mean=mean, share=share, compiled=compiled) for compiled in (False, True)]
    for each in pair:
        each.step({"ids": TEXT}, Clock(0, 10, 1))
    for name, value in pair[0].model.state_dict().items():
        torch.testing.assert_close(pair[1].model.state_dict()[name], value, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("output", ["negative", "hierarchical", "softmax"])
def test_a_movement_is_the_gradient(output: str) -> None:
    """Of one word with its window, against autograd; repeated words of the context add up (C178)."""
    own = learner(output, share=True)
    words, context = torch.tensor([2]), torch.tensor([[0, 1, 0, 3]])
    present = torch.tensor([[True, True, True, False]])
    aimed = own.aims.targets(words, torch.Generator().manual_seed(5))
    loss = cbow.losses(own.model.outputs, words, own.model(context, present), aimed).sum()
    inputs, outputs = torch.autograd.grad(loss, [own.model.inputs, own.model.outputs])
    before = [own.model.inputs.detach().clone(), own.model.outputs.detach().clone()]
    with torch.no_grad():
        told = cbow.move(own.model, words, context, present, aimed, 0.1, True, True)
    assert float(told) == pytest.approx(float(loss.detach()))
    torch.testing.assert_close(before[0] - own.model.inputs, 0.1 * inputs)
    torch.testing.assert_close(before[1] - own.model.outputs, 0.1 * outputs)


def test_the_loop_in_machine_code_follows_the_gradient_with_drawn_words() -> None:
    """One word in the middle of "0 1", in a vocabulary of two: whatever is drawn beside it can only be the other."""
    pytest.importorskip("numba")
    torch.manual_seed(2)
    model = WordVectors([5, 5], 2, 4)
    torch.nn.init.normal_(model.outputs)
    torch.nn.init.normal_(model.inputs)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    own = WordLearner(model, Aims(np.array([5, 5]), "negative", 1, 0.0), lr=0.1, window=3, skip=False, mean=True,
                      share=False, workers=1, compiled=True, seed=0)  # fmt: skip
    own.step({"ids": torch.tensor([0, 1], dtype=torch.int32)}, Clock(0, 1, 1))
    ends = []
    for drawn in itertools.product([False, True], repeat=2):  # whether the other word was drawn, for each of the two
        inputs, outputs = before["inputs"].clone(), before["outputs"].clone()
        for word, other in zip((0, 1), drawn, strict=True):
            h = inputs[1 - word].clone()
            told = [(word, 1.0)] + [(1 - word, 0.0)] * other
            slopes = [0.1 * (label - torch.sigmoid(outputs[target] @ h)) for target, label in told]
            moved = sum(slope * outputs[target] for slope, (target, _) in zip(slopes, told, strict=True))
            for slope, (target, _) in zip(slopes, told, strict=True):
                outputs[target] += slope * h
            inputs[1 - word] += moved
        ends.append(
            torch.allclose(inputs, model.inputs, atol=1e-6) and torch.allclose(outputs, model.outputs, atol=1e-6)
        )
    assert sum(ends) == 1


def test_the_printed_equations_with_the_softmax_over_all_words() -> None:
    """S257, as printed but for the names of the words: E, e_j, EH and both updates, repeated words included."""
    own = learner("softmax", share=True)
    v, v_out = own.model.inputs.detach().clone(), own.model.outputs.detach().clone()
    context, target, rate = [0, 1, 0], 4, 0.1
    h = (v[0] + v[1] + v[0]) / 3
    u = v_out @ h
    e = u.exp() / u.exp().sum() - F.one_hot(torch.tensor(target), 6)
    EH = sum(e[j] * v_out[j] for j in range(6))
    new_out = torch.stack([v_out[j] - rate * e[j] * h for j in range(6)])
    new = v.clone()
    for word in context:
        new[word] -= rate * EH / 3
    with torch.no_grad():
        there = torch.ones(1, 3, dtype=torch.bool)
        loss = cbow.move(own.model, torch.tensor([target]), torch.tensor([context]), there, (), rate, True, True)
    assert float(loss) == pytest.approx(float(-u[target] + u.exp().sum().log()))
    torch.testing.assert_close(own.model.inputs.detach(), new)
    torch.testing.assert_close(own.model.outputs.detach(), new_out)


def test_windows_end_at_lines_and_reach_as_drawn() -> None:
    keep = torch.full((6,), cbow.FULL)
    words, context, present = cbow.windows(TEXT, keep, 1, False, torch.Generator().manual_seed(0))
    near = {(int(w), *sorted(c[p].tolist())) for w, c, p in zip(words, context, present, strict=True)}
    assert (0, 1) in near, "the first word of the text has one neighbour"
    assert (2, 1) in near, "so has the last of a line"
    assert not any(2 in row[1:] and 3 in row[1:] for row in near)
    words, context, present = cbow.windows(TEXT, keep, 4, False, torch.Generator().manual_seed(0))
    assert len({int(row.sum()) for row in present}) > 2, "reaches differ"
    pairs = cbow.windows(TEXT, keep, 4, True, torch.Generator().manual_seed(0))
    assert len(pairs[0]) == int(present.sum()), "skip-gram has an example for every word of every window"


def test_words_of_lines_too_short_for_a_window_are_no_examples() -> None:
    own = learner()
    lonely = torch.tensor([0, -1, 1, -1, -1, 2], dtype=torch.int32)
    before = own.model.inputs.detach().clone()
    assert float(own.step({"ids": lonely}, Clock(0, 1, 1))["loss"]) == 0
    assert torch.equal(before, own.model.inputs)


def test_frequent_words_are_left_out_by_the_formula_of_the_program() -> None:
    counts = np.array([1000.0, 10.0, 1.0])
    share, t = 1000 / 1011, 1e-3
    found = cbow.kept(counts, t)
    assert found[0] == pytest.approx((np.sqrt(share / t) + 1) * t / share)
    assert found[2] == 1
    assert cbow.kept(counts, 0).tolist() == [1, 1, 1]


def test_the_alias_table_draws_exactly_in_proportion() -> None:
    weights = np.arange(1, 200)[::-1] ** 0.75
    chance, other = cbow.alias_table(weights)
    drawn = chance.copy()
    np.add.at(drawn, other, 1 - chance)
    assert drawn / len(weights) == pytest.approx(weights / weights.sum())


def test_the_huffman_tree_is_the_shortest_prefix_code() -> None:
    counts = [45, 13, 12, 16, 9, 5]  # Cormen et al., section 16.3: 1, 3, 3, 3, 4 and 4 bits
    starts, nodes, signs = cbow.huffman(counts)
    assert np.diff(starts).tolist() == [1, 3, 3, 3, 4, 4]
    paths = {tuple(zip(nodes[a:b].tolist(), signs[a:b].tolist(), strict=True)) for a, b in itertools.pairwise(starts)}
    assert len(paths) == 6
    assert all(path[0][0] == 4 for path in paths), "the root is the last node"


def test_the_tree_gives_probabilities_that_sum_to_one() -> None:
    own = learner("hierarchical")
    h = torch.randn(1, 8).expand(6, -1)
    words = torch.arange(6)
    loss = cbow.losses(own.model.outputs, words, h, own.aims.targets(words, torch.Generator()))
    assert float((-loss.detach()).exp().sum()) == pytest.approx(1, abs=1e-6)


def test_phrases_are_pairs_that_come_together_often() -> None:
    """Mikolov et al. 2013b, eq. 6; of overlapping pairs the first stands, and lines keep phrases apart."""
    ids = np.array([0, 1, 2, 0, 1, 3, -1, 0, 1, -1, 1, 2, 4, 0, -1, 1], np.int32)
    words, pairs = cbow.joined(ids, ["new", "york", "city", "b", "c"], 1, 1.2)
    counts, together = np.bincount(ids[ids >= 0]), 3
    assert (together - 1) * 13 / counts[0] / counts[1] > 1.2
    assert words[5:] == ["new_york", "york_city"]
    text = cbow.with_phrases(ids, pairs, 5)
    assert [words[k] if k >= 0 else "|" for k in text] == [
        "new_york", "city", "new_york", "b", "|", "new_york", "|", "york_city", "c", "new", "|", "york",
    ]  # fmt: skip
    assert cbow.with_phrases(ids, {}, 5) is ids


def test_a_phrase_that_is_a_word_already_stays_that_word() -> None:
    """Two ways to "a_b_c", and "a_b" in the text itself: no word comes twice."""
    words = ["a", "b", "a_b", "c", "b_c"]
    ids = np.array([0, 1, -1, 2, 3, -1, 0, 4, -1], np.int32)
    more, pairs = cbow.joined(ids, words, 0, 0.1)
    assert more == [*words, "a_b_c"]
    assert pairs == {(0, 1): 2, (2, 3): 5, (0, 4): 5}
    assert cbow.with_phrases(ids, pairs, 5).tolist() == [2, -1, 5, -1, 5, -1]


def test_only_phrases_are_counted_as_such(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("snake_case\nnew york\nb\nc\n" * 20)
    data = find("cbow")(data=str(tmp_path / "text.txt"), rule="blanks", across=False, phrases=1, threshold=2.0).load()
    assert {"new_york", "snake_case"} <= set(data.spec["vocabulary"])
    assert data.spec["told"] == ["Phrases: 1."]


def test_machine_code_is_compiled_for_one_signature() -> None:
    pytest.importorskip("numba")
    from deepclassics.layers.word2vec import train

    learner(compiled=True).step({"ids": TEXT}, Clock(0, 1, 1))
    assert len(train.signatures) == 1


@pytest.mark.parametrize("sample", [0.0, 1e-3])
def test_machine_code_keeps_and_draws_words_as_often_as_it_should(sample: float) -> None:
    """Vectors of one number: of the words 1, of the targets 0, at a rate that leaves them so. Then a target has moved
    by half the rate for every time it stood in the middle, and by as much back for every time it was drawn."""
    pytest.importorskip("numba")
    counts = np.array([60_000, 25_000, 10_000, 4_000, 1_000])
    text = np.random.default_rng(0).permutation(np.repeat(np.arange(5, dtype=np.int32), counts))
    model = WordVectors(counts.tolist(), 5, 1)
    torch.nn.init.ones_(model.inputs)
    own = WordLearner(model, Aims(counts, "negative", 3, sample), lr=1e-8, window=2, skip=False, mean=True, share=False,
                      workers=1, compiled=True, seed=0)  # fmt: skip
    own.step({"ids": torch.from_numpy(text)}, Clock(0, 1, 1))
    found = model.outputs.detach().double().flatten().numpy() / 0.5e-8
    share = counts**0.75 / (counts**0.75).sum()
    keep = cbow.kept(counts, sample)
    kept = counts * keep
    drawn = 3 * (kept.sum() - kept) * share  # a word in the middle is no false answer for itself
    spread = np.sqrt(kept * (1 - keep) * (1 + 9 * share**2) + drawn)
    assert (np.abs(found - (kept - drawn)) < 5 * spread + 20).all(), (found, kept - drawn, spread)


def test_machine_code_reaches_every_distance_as_often() -> None:
    """The loss is of every eighth word, skip-gram's of each of its pairs: of eight words, those of the first one."""
    pytest.importorskip("numba")
    own = learner(window=5, skip=True, compiled=True)
    ids = np.zeros(8, np.int32)
    reaches = np.bincount(
        [own._loop(ids, 1e-9, np.uint64(seed))[1] for seed in np.random.default_rng(0).integers(2**63, size=2000)]
    )
    assert reaches[:1].sum() == 0
    assert len(reaches) == 6
    assert (np.abs(reaches[1:] - 400) < 90).all(), reaches


def test_torch_draws_a_chunks_words_in_proportion() -> None:
    own = learner()
    numbers, right, there = own.aims.targets(torch.zeros(50_000, dtype=torch.int64), torch.Generator().manual_seed(0))
    assert numbers.shape == right.shape == there.shape == (50_000, 3)
    assert bool((numbers[:, 0] == 0).all() and there[:, 0].all() and (right.sum(1) == 1).all())
    share = np.array(COUNTS) ** 0.75
    assert np.bincount(numbers[:, 1:].flatten()) / 1e5 == pytest.approx(share / share.sum(), abs=0.01)
    assert bool((there[:, 1:] == (numbers[:, 1:] != 0)).all()), "the word itself is no false answer"


@pytest.mark.parametrize("output", ["negative", "hierarchical", "softmax"])
def test_a_chunk_is_judged_some_words_at_a_time(output: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The softmax has a score for every word of the vocabulary: of a chunk there would be too many at once."""
    own, stream = learner(output), Words(TEXT.repeat(30), 500)
    sizes: list[int] = []
    losses = cbow.losses

    def noted(outputs: Any, words: Any, *others: Any) -> Any:
        sizes.append(len(words))
        return losses(outputs, words, *others)

    monkeypatch.setattr(cbow, "losses", noted)
    with torch.no_grad():
        whole = own.evaluate(stream)["loss"]
        assert max(sizes) == cbow.JUDGED
        monkeypatch.setattr(cbow, "JUDGED", 10_000)
        assert float(own.evaluate(stream)["loss"]) == pytest.approx(float(whole), rel=1e-5)


def test_what_is_judged_depends_on_the_recipe(mirror: Path) -> None:
    """Not on whether the questions happen to lie on this machine."""
    found = {}
    for data in ("wiki10m", "pydocs"):
        own = find("cbow")(data=data)
        scores, remarks = own.conclude(
            learner(), Data({"vocabulary": list("abcdef"), "counts": COUNTS}, Words(TEXT, 5))
        )
        assert scores == {}
        found[data] = remarks[-1]
    assert "covers too few" in found["wiki10m"]
    assert "only wiki10m brings the questions" in found["pydocs"]


def test_law_4_the_text_comes_in_its_order_in_every_pass() -> None:
    stream = Words(torch.arange(25, dtype=torch.int32), 10)
    assert len(stream) == 2
    assert [len(batch["ids"]) for batch in stream] == [12, 13], "no chunk is left with a word or two"
    assert torch.cat([batch["ids"] for batch in stream]).tolist() == list(range(25))
    assert torch.equal(stream.at(5)["ids"], stream.at(1)["ids"])


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run on a text of two worlds that never meet."""
    generator = np.random.default_rng(0)
    worlds = [["king", "queen", "crown", "throne"], ["cat", "dog", "paw", "tail"]]
    lines = [" ".join(generator.choice(worlds[number % 2], 6)) for number in range(400)]
    (tmp_path / "text.txt").write_text("\n".join(lines) + "\nrare words once\n")
    with pytest.raises(SystemExit) as end:
        cli.main(["run", "cbow", "--data", str(tmp_path / "text.txt"), "--no-across", "--sample", "0", "--embedding",
                  "16", "--epochs", "20", "--batch", "500", "--out", str(tmp_path / "run"), "--json"])  # fmt: skip
    assert end.value.code == 0
    return tmp_path / "run"


def asked(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        cli.main(["predict", *words])
    out = capsys.readouterr()
    return int(end.value.code or 0), out.out, out.err


def test_words_of_one_world_are_near_and_the_vectors_are_written(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = asked(capsys, str(run), "king", "king - queen + cat", "--json", "--count", "3")
    assert code == 0
    rows = [json.loads(line) for line in out.splitlines()]
    assert set(rows[0]["words"]) == {"queen", "crown", "throne"}
    assert "king" not in rows[1]["words"]
    words, matrix = vectors.read(run)
    assert set(words) == {"king", "queen", "crown", "throne", "cat", "dog", "paw", "tail"}
    assert matrix.shape == (8, 16)
    code, out, _ = asked(capsys, str(run), "KING")
    assert code == 0, "capitals are looked for in lower case"
    code, out, err = asked(capsys, str(run), "kinng")
    assert code == 2
    assert err == f"Words must be among the 8 of {run.parent / 'text.txt'}; got 'kinng'. Did you mean 'king'?\n"


def test_predict_takes_files_of_words_and_questions(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = run.parent / "questions.txt"
    file.write_text("king\n\n king - queen + cat \r\n")
    code, out, _ = asked(capsys, str(run), str(file), "dog", "--json")
    assert code == 0
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row["name"] for row in rows] == ["king", "king - queen + cat", "dog"]
    assert [len(row["words"]) for row in rows] == [5, 5, 5], "of eight words three are in a question: as many for each"
    assert asked(capsys, str(run), "king", "king - queen + cat", "--csv")[0] == 0
    file.write_text("king\n\nqueen - sofa\n")
    code, _, err = asked(capsys, str(run), str(file))
    assert code == 2
    assert err == f"{file}, line 3: Words must be among the 8 of {run.parent / 'text.txt'}; got 'sofa'.\n"
    code, _, err = asked(capsys, str(run), "question.txt")
    assert code == 2
    assert err.endswith("got 'question.txt'. Nor is there a file of that name.\n")
    code, _, err = asked(capsys, str(run), " + ".join(vectors.read(run)[0]))
    assert code == 2
    assert "must leave a word to answer with" in err


def test_what_the_report_asks_can_be_answered(run: Path) -> None:
    spec = Run.open(run).spec()
    assert find("cbow")().question(spec) in spec["vocabulary"]
    assert find("cbow")().question({"vocabulary": ["man", "woman", "king"]}) == "", "the one of all nearest words"


def test_the_pictures_are_drawn(run: Path) -> None:
    from deepclassics.report.evidence import Evidence
    from deepclassics.report.style import settings

    pictures = {picture.title: picture for picture in Run.open(run).recipe().pictures(Evidence(Run.open(run)))}
    with settings():
        drawn = {title: picture.draw() for title, picture in pictures.items()}
    assert "queen" in str(drawn["Nearest words"])
    assert drawn["The notes' table of analogies"] == (
        "None of the notes' 30 questions can be asked: of each, the vocabulary lacks a word or more."
    )


def test_t005_of_the_notes_analogies_those_are_shown_that_can_be_asked() -> None:
    words = ["big", "bigger", "small", "smaller", "cold", "Copper"]
    own = torch.tensor([[1.0, 0, 0], [1, 1, 0], [0, 0, 1], [0, 1, 1], [-1, 0, 0], [0, -1, 0]])
    lines = cbow.table_of_analogies(words, own).splitlines()
    assert [line.split()[0] for line in lines] == ["question", "big", "big", "Left"]
    assert lines[1].split() == ["big", ":", "bigger", "=", "small", ":", "?", "larger", "smaller", "0.96"]
    assert lines[-1] == "Left out: 28 of the 30 questions, of which the vocabulary lacks words."


def test_threads_are_told_of_only_where_they_learnt() -> None:
    """Machine code alone has them; torch's loop takes no notice of --workers."""
    data, own = Data({"vocabulary": list("abcdef"), "counts": COUNTS}, Words(TEXT, 5)), find("cbow")(workers=4)
    plain = learner(workers=4)
    assert own.conclude(plain, data)[1][0].startswith("--workers 4 changed nothing")
    plain.compiled = True
    assert own.conclude(plain, data)[1][0].startswith("4 threads wrote the same vectors at once")
    assert not any("4" in remark for remark in find("cbow")().conclude(plain, data)[1])


@pytest.mark.parametrize(
    ("knobs", "sentence"),
    [
        ({"least": 10**6}, "must hold words that come 1000000 times or more; it has none"),
        ({"vocabulary": 2, "least": 400}, None),
    ],
)
def test_a_text_with_too_few_words_is_refused(knobs: dict[str, int], sentence: str | None) -> None:
    recipe = find("cbow")(**knobs)
    if sentence is None:
        assert len(recipe.load().spec["vocabulary"]) == 2
        return
    with pytest.raises(UserError, match=sentence):
        recipe.load()


def test_one_word_alone_is_refused(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("word word word word\n" * 50 + "other\n")
    with pytest.raises(UserError, match=r"must hold two words or more that come 5 times or more; it holds 1"):
        find("cbow")(data=str(tmp_path / "one.txt")).load()


def test_a_text_of_fewer_words_than_asked_for_tells() -> None:
    data = find("cbow")(vocabulary=50_000).load()
    assert data.spec["told"] == [
        f"The text has {len(data.spec['vocabulary']):,} words that come 5 times or more, not 50,000."
    ]


def test_numba_asked_for_where_it_cannot_be_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = find("cbow")(output="softmax", loop="numba")
    with pytest.raises(UserError, match=r"cbow: loop numba takes numba .* --loop torch"):
        recipe.learner(WordVectors(COUNTS, 6, 4))
    for gpu, taken in ((False, "numba"), (True, "torch on a GPU, numba on the processor")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda gpu=gpu: gpu)
        monkeypatch.setattr(cbow, "has_numba", lambda: True)
        assert find("cbow")().chosen({}) == {"loop": taken}
    monkeypatch.setattr(cbow, "has_numba", lambda: False)
    own = find("cbow")().learner(WordVectors(COUNTS, 6, 4))
    assert isinstance(own, WordLearner)
    assert not own.compiled, "without numba torch does it"
    assert find("cbow")().chosen({}) == {"loop": "torch, as numba is not installed"}


def test_the_questions_are_what_they_should_be(mirror: Path) -> None:
    """S307: counted as their authors tell."""
    sections = questions.analogies()
    assert len(sections) == 14
    assert sum(map(len, sections.values())) == 19_544
    assert sum(len(asked) for name, asked in sections.items() if name.startswith("gram")) == 10_675
    assert sections["family"][0] == ("boy", "girl", "brother", "sister")
    pairs = questions.pairs()
    assert {name: len(found) for name, found in pairs.items()} == {"wordsim": 353, "simlex": 999}
    assert pairs["wordsim"][0] == ("love", "sex", 6.77)
