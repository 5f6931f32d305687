"""N-grams: counts by hand, probabilities that sum to 1, other programs' figures, ARPA files and the published ones."""

import json
import math
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deepclassics import arpa, cli
from deepclassics.errors import UserError
from deepclassics.flags import build
from deepclassics.host import Host
from deepclassics.loop import carry_out
from deepclassics.recipe import find
from deepclassics.report.evidence import Evidence
from deepclassics.run import Run
from deepclassics.systems.language import ngram
from deepclassics.systems.language.ngram import (
    Backoff,
    count,
    escaped,
    exported,
    good_turing,
    imported,
    kneser_ney,
    known,
    recent,
    smooth,
)

HOST = Host(device="cpu", threads=1)
SMOOTHINGS = ("none", "add-k", "good-turing", "kneser-ney", "modified")
END = 1


def model(ids: list[int], vocabulary: int, order: int, smoothing: str, cutoff: tuple[int, ...] = (1,)) -> Backoff:
    made = Backoff(vocabulary, END, order)
    made.take(smooth(count(np.array(ids), vocabulary, END, order), smoothing, 0.5, cutoff)[0])  # type: ignore[arg-type]
    return made


def some(words: int = 3000, vocabulary: int = 40) -> list[int]:
    """A text as texts are: some words common, most rare, lines of about ten words."""
    generator = torch.Generator().manual_seed(0)
    shares = 1.0 / torch.arange(1, vocabulary + 1)
    ids = torch.multinomial(shares, words, replacement=True, generator=generator)
    ids[1::2] = (ids[::2] * 7 + ids[1::2] % 3) % vocabulary  # a word tells of the next
    return ids.tolist()


TEXTS = st.lists(st.integers(0, 5), min_size=1, max_size=60)


@settings(max_examples=60, deadline=None)
@given(TEXTS, st.integers(1, 5), st.sampled_from(SMOOTHINGS), st.lists(st.integers(0, 5), max_size=6))
def test_probabilities_sum_to_one_after_any_context(
    ids: list[int], order: int, smoothing: str, context: list[int]
) -> None:
    """S260."""
    made = model(ids, 6, order, smoothing)
    after = made.after([END, *context])
    assert float(after.sum()) == pytest.approx(1, abs=1e-9)
    assert float(after.min()) >= 0
    if smoothing not in ("none", "good-turing"):
        assert float(after.min()) > 0


@settings(max_examples=40, deadline=None)
@given(TEXTS, st.sampled_from(SMOOTHINGS), st.lists(st.integers(0, 5), max_size=4))
def test_so_do_those_of_pruned_counts(ids: list[int], smoothing: str, context: list[int]) -> None:
    made = model(ids, 6, 4, smoothing, (1, 2, 3, 2))
    after = made.after([END, *context])
    assert float(after.sum()) == pytest.approx(1, abs=1e-9)
    assert float(after.min()) >= 0


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
@pytest.mark.parametrize("cutoff", [(1, 2), (1, 1, 2), (1, 3, 2)])
def test_so_they_do_after_every_context_of_a_text(smoothing: str, cutoff: tuple[int, ...]) -> None:
    ids = some(600)
    made = model(ids, 40, 3, smoothing, cutoff)
    for place in range(0, len(ids), 7):
        assert float(made.after([END, *ids[:place]]).sum()) == pytest.approx(1, abs=1e-9)


def test_what_is_cut_goes_to_shorter_contexts() -> None:
    """Without smoothing a context of which all is kept keeps its shares; else the rest is spread by the order below."""
    ids = [2, 3, 2, 3, 2, 4, END, 2, 3, END]
    made = model(ids, 5, 2, "none", (1, 2))
    # After 2 came 3 three times and 4 once, which is cut: a quarter for words but 3, by their shares 0 .2 .4 . .1.
    assert made.after([END, 2]).tolist() == pytest.approx([0, 1 / 14, 1 / 7, 3 / 4, 1 / 28])
    assert made.after([END]).tolist() == [0, 0, 1, 0, 0]
    assert made.after([END, 3]).tolist() == pytest.approx([0, 1 / 9, 2 / 3, 1 / 6, 1 / 18])
    added = model(ids, 5, 2, "add-k", (1, 2)).after([END, 2])  # k = 1/2: 3.5 of 6.5, and nothing known of the others
    assert added.tolist() == pytest.approx([3 / 26, 3 / 26, 3 / 26, 7 / 13, 3 / 26])


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
def test_a_text_has_the_probabilities_that_its_words_have_one_by_one(smoothing: str) -> None:
    made = model(some(), 40, 4, smoothing)
    text = some(200)[50:]
    context, one_by_one = [END], []
    for word in text:
        one_by_one.append(float(made.after(context)[word]))
        context = [END] if word == END else [*context, word]
    torch.testing.assert_close(made(torch.tensor(text))[0], torch.tensor(one_by_one, dtype=torch.float64))


def test_counts_are_those_of_a_loop_and_do_not_cross_lines() -> None:
    ids, order = some(), 4
    grams = count(np.array(ids), 40, END, order)
    for length in range(2, order + 1):
        expected: dict[tuple[int, ...], int] = {}
        line: list[int] = [END]
        for word in ids:
            line.append(word)
            if len(line) >= length:
                key = tuple(line[-length:])
                expected[key] = expected.get(key, 0) + 1
            if word == END:
                line = [END]
        found = {words(grams, length, place): int(c) for place, c in enumerate(grams[length - 1].count)}
        assert found == expected


def words(grams: list, length: int, place: int) -> tuple[int, ...]:
    """The words of an n-gram, by its prefixes; and by its suffixes they are the same."""
    found: list[int] = []
    at = place
    for order in range(length, 0, -1):
        found.insert(0, int(grams[order - 1].word[at]))
        at = int(grams[order - 1].prefix[at])
    if length > 1:
        assert found[-1] == grams[length - 2].word[grams[length - 1].suffix[place]]
        assert length == 2 or tuple(found[1:]) == words(grams, length - 1, int(grams[length - 1].suffix[place]))
    return tuple(found)


def test_without_smoothing_probabilities_are_shares() -> None:
    """S260: the likeliest model is the relative frequency."""
    ids = [2, 3, 2, 4, END, 2, 3, END]
    made = model(ids, 5, 2, "none")
    assert made.after([END, 2]).tolist() == pytest.approx([0, 0, 0, 2 / 3, 1 / 3])
    assert made.after([END]).tolist() == [0, 0, 1, 0, 0]
    assert made.after([END, 2, 3]).tolist() == [0, 0.5, 0.5, 0, 0]


def test_add_k_is_its_formula() -> None:
    ids = [2, 3, 2, 4, END, 2, 3, END]
    made = model(ids, 5, 2, "add-k")  # k = 1/2
    assert made.after([END, 2]).tolist() == pytest.approx([0.5 / 5.5, 0.5 / 5.5, 0.5 / 5.5, 2.5 / 5.5, 1.5 / 5.5])
    assert made.after([END, 0]).tolist() == [0.2] * 5
    three = model(ids, 5, 3, "add-k")
    assert three.after([END]).tolist() == pytest.approx([0.5 / 4.5, 0.5 / 4.5, 2.5 / 4.5, 0.5 / 4.5, 0.5 / 4.5])
    assert three.after([END, 4, 4]).tolist() == [0.2] * 5


def test_kneser_ney_is_its_formula_by_hand() -> None:
    """Chen and Goodman 1999, eq. 21: bigrams discounted, single words by how many contexts they come after."""
    ids = [2, 3, 2, 3, 2, 4, END]
    made = model(ids, 5, 2, "kneser-ney")
    # Bigrams <s> 2, 2 3 (twice), 3 2 (twice), 2 4, 4 </s>: n1 = 3, n2 = 2.
    d = 3 / (3 + 2 * 2)
    # Contexts that words come after: </s> 1, 2 has 2, 3 and 4 one each: n1 = 3, n2 = 1.
    d1 = 3 / (3 + 2)
    rest = 4 * d1 / 5 / 5  # what is taken off the four kinds, spread over five words
    single = [rest, (1 - d1) / 5 + rest, (2 - d1) / 5 + rest, (1 - d1) / 5 + rest, (1 - d1) / 5 + rest]
    weight = 2 * d / 3
    expected = [weight * p for p in single]
    expected[3] += (2 - d) / 3
    expected[4] += (1 - d) / 3
    assert made.after([END, 2]).tolist() == pytest.approx(expected)


def test_discounts_are_their_formulas() -> None:
    counts = np.repeat([1, 2, 3, 4, 5, 9], [100, 40, 20, 10, 5, 3])
    d = 100 / (100 + 2 * 40)
    assert kneser_ney(counts, False)[0].tolist() == pytest.approx([0, d, d, d])
    expected = [0, 1 - 2 * d * 40 / 100, 2 - 3 * d * 20 / 40, 3 - 4 * d * 10 / 20]
    assert kneser_ney(counts, True)[0].tolist() == pytest.approx(expected)
    common = 4 * 10 / 100  # up to counts of 3
    whole = np.array([2 * 40 / 100, 3 * 20 / 40 / 2, 4 * 10 / 20 / 3])
    assert good_turing(counts, 3).tolist() == pytest.approx([0, *((whole - common) / (1 - common)), 1])
    assert good_turing(np.array([5, 5]), 3).tolist() == [0, 1, 1, 1, 1], "nothing to estimate from"


def test_interpolated_kneser_ney_is_nltks_where_definitions_agree() -> None:
    """Bigrams with a discount given: nltk takes the same off every order, and its lowest has no floor."""
    lm = pytest.importorskip("nltk.lm")
    sentences = [[2, 3, 2, 3, 2, 4], [3, 2, 4], [2, 4, 4, 3]]
    ids = [word for line in sentences for word in (*line, END)]
    grams = count(np.array(ids), 5, END, 2)
    d = kneser_ney(grams[1].count, False)[0][1]
    theirs = lm.KneserNeyInterpolated(2, discount=d)
    padded = [["<s>", *map(str, line), "</s>"] for line in sentences]
    theirs.fit([[*((word,) for word in line), *pairwise(line)] for line in padded], ["<s>", "</s>", "2", "3", "4"])
    ours = smooth(grams, "kneser-ney")[0]
    # Of ours the discounted part of each bigram; nltk's lowest order counts <s> otherwise.
    total = {2: 5, 3: 4, 4: 4}
    for key, number in zip(ours[1].key, grams[1].count, strict=True):
        context, word = divmod(int(key), 5)
        if context == END or word == END:
            continue
        alpha, gamma = theirs.estimator.alpha_gamma(str(word), (str(context),))
        assert alpha == pytest.approx((number - d) / total[context])
        assert gamma == pytest.approx(float(ours[0].backoff[context]))


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
@pytest.mark.parametrize("cutoff", [(1,), (1, 1, 2)])
def test_an_arpa_file_gives_the_same_probabilities(smoothing: str, cutoff: tuple[int, ...], tmp_path: Path) -> None:
    vocabulary = ["<unk>", "<eos>", *(f"w{number}" for number in range(2, 40))]
    made = model(some(), 40, 4, smoothing, cutoff)
    arpa.write(tmp_path / "m.arpa", *exported(made, vocabulary))
    names, sections = arpa.read(tmp_path / "m.arpa")
    assert list(known(names, "word")) == vocabulary
    again = Backoff(40, END, 4)
    again.take(imported(vocabulary, "word", names, sections))
    text = torch.tensor(some(400)[::-1])
    torch.testing.assert_close(again(text)[0], made(text)[0], rtol=1e-5, atol=1e-12)
    assert torch.equal(again(text)[1], made(text)[1])


class Textbook:
    """An ARPA file read and scored by the definition, with nothing of ours: n-grams in a dict, backing off by calls."""

    def __init__(self, path: Path) -> None:
        self.listed: dict[tuple[str, ...], tuple[float, float]] = {}
        order = 0
        for line in path.read_text(encoding="utf-8").split("\n"):
            if line.endswith("-grams:"):
                order = int(line[1:-7])
            elif order and line and line != "\\end\\":
                probability, *words = re.split("[ \t]+", line)
                backoff = float(words[order]) if len(words) > order else 0.0
                self.listed[tuple(words[:order])] = float(probability), backoff
        self.order = order

    def logarithm(self, words: tuple[str, ...]) -> float:
        """log10 p(last word | those before it)."""
        if words in self.listed:
            return self.listed[words][0]
        _, backoff = self.listed.get(words[:-1], (0.0, 0.0))
        return backoff + self.logarithm(words[1:])

    def sentence(self, words: list[str]) -> list[float]:
        """The probabilities of a sentence's words, and of its end."""
        whole = ["<s>", *words, "</s>"]
        ends = range(2, len(whole) + 1)
        return [10 ** self.logarithm(tuple(whole[max(0, end - self.order) : end])) for end in ends]


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
@pytest.mark.parametrize("cutoff", [(1,), (1, 1, 2)])
def test_an_arpa_file_scored_by_its_definition_says_the_same(
    smoothing: str, cutoff: tuple[int, ...], tmp_path: Path
) -> None:
    vocabulary = ["<unk>", "<eos>", *(f"w{number}" for number in range(2, 37)), "<UNK>", "<U+0041>", "\u00a0"]
    made = model(some(), 40, 4, smoothing, cutoff)
    arpa.write(tmp_path / "m.arpa", *exported(made, vocabulary))
    theirs = Textbook(tmp_path / "m.arpa")
    names = [escaped(word) for word in vocabulary]
    text = [*some(400)[::-1], END]
    stops = [place for place, word in enumerate(text) if word == END]
    expected: list[float] = []
    for begin, stop in pairwise([-1, *stops]):
        expected += theirs.sentence([names[word] for word in text[begin + 1 : stop]])
    assert len(stops) > 20
    assert made(torch.tensor(text))[0].tolist() == pytest.approx(expected, rel=1e-5, abs=1e-12)


@pytest.mark.parametrize("smoothing", ["good-turing", "modified"])
@pytest.mark.parametrize("cutoff", [(1,), (1, 1, 2)])
def test_kenlm_reads_it_and_says_the_same(smoothing: str, cutoff: tuple[int, ...], tmp_path: Path) -> None:
    kenlm = pytest.importorskip("kenlm")
    vocabulary = ["<unk>", "<eos>", *(f"w{number}" for number in range(2, 40))]
    made = model(some(), 40, 4, smoothing, cutoff)
    arpa.write(tmp_path / "m.arpa", *exported(made, vocabulary))
    theirs = kenlm.Model(str(tmp_path / "m.arpa"))
    line = [word for word in some(400)[::-1] if word != END][:50]
    ours = made(torch.tensor([*line, END]))[0].log10().sum()
    assert theirs.score(" ".join(vocabulary[word] for word in line)) == pytest.approx(float(ours), rel=1e-5)


def test_names_in_arpa_files_hold_no_blanks_and_are_no_marks() -> None:
    letters = ["a", " ", "\n", "\t", "<s>", "</s>", "\u3000"]
    made = Backoff(len(letters), 2, 1)
    names, _ = exported(made, letters)
    assert names == ["a", "<U+0020>", "</s>", "<U+0009>", "<U+003C>s>", "<U+003C>/s>", "<U+3000>", "<s>"]
    assert list(known(names, "character")) == ["<unk>", *letters]
    assert escaped("<unk>") == "<unk>"


@pytest.mark.parametrize(
    "word", ["<UNK>", "<U+0041>", "a<U+0020>b", "<<U+0041>", "<U+", "<U+FFFFFF>", "<", "<s>\n", "<s>x"]
)
def test_words_that_look_like_what_arpa_files_mark_come_back(word: str) -> None:
    made = Backoff(3, 1, 1)
    names, _ = exported(made, ["<unk>", "<eos>", word])
    assert len(set(names)) == 4
    assert known(names, "word") == ("<unk>", "<eos>", word)


def test_numbers_of_no_character_stay_as_they_are() -> None:
    words = ["<unk>", "<U+FFFFFF>", "<U+110000>", "<U+D800>"]
    assert known(words, "word") == tuple(words)
    assert known(["<unk>", "<U+10FFFF>", "<U+0020>"], "word") == ("<unk>", "\U0010ffff", " ")


@pytest.mark.parametrize("words", [["<unk>", "<UNK>"], ["A", "<U+0041>"], ["<eos>", "<s>", "</s>"]])
def test_words_of_a_foreign_file_that_mean_the_same_are_told(words: list[str]) -> None:
    with pytest.raises(UserError, match=f"must differ; '{re.escape(words[0])}' and '{re.escape(words[-1])}'"):
        known(words, "word")


def test_an_n_gram_whose_beginning_is_not_listed_is_told() -> None:
    one = arpa.Section(np.array([[0], [1]]), np.full(2, -0.3), np.zeros(2))
    two = arpa.Section(np.zeros((0, 2), np.int64), np.zeros(0), np.zeros(0))
    three = arpa.Section(np.array([[0, 1, 0]]), np.full(1, -0.3), np.zeros(1))
    with pytest.raises(UserError, match="'a b a' of order 3, and not its first 2 words"):
        imported(["<unk>", "a", "b"], "word", ["a", "b"], [one, two, three])


def test_the_cache_counts_the_last_words() -> None:
    ids = torch.tensor([3, 3, 4, 3, 3, 4, 4])
    expected = [0, 1, 0, 2 / 3, 2 / 3, 1 / 3, 1 / 3]
    assert recent(ids, 3).tolist() == pytest.approx(expected)


@pytest.fixture
def small_run(tmp_path: Path) -> Path:
    lines = ["the company said it will buy the other company", "the other company said no", "it said the price is fair"]
    (tmp_path / "text.txt").write_text("\n".join(lines * 100))
    carry_out(find("ngram")(data=str(tmp_path / "text.txt"), order=3), tmp_path / "run", HOST)
    return tmp_path


def test_a_run_writes_model_arpa_which_a_run_judges(small_run: Path) -> None:
    text = str(small_run / "text.txt")
    file = small_run / "run" / "model.arpa"
    first = Run(small_run / "run").result()
    recipe = find("ngram")(data=text, from_=str(file), arpa=False)
    again = carry_out(recipe, small_run / "again", HOST)
    assert first is not None
    assert again["scores"]["test/perplexity"] == pytest.approx(first["scores"]["test/perplexity"], rel=1e-5)
    assert first["ended"] == "done"
    assert not (small_run / "again" / "model.arpa").exists()
    file.unlink()  # the run needs it no more
    assert len(Evidence(Run(small_run / "again")).splits().train) > 0


def test_a_file_is_opened_once_to_load_and_once_to_build(small_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened, lines = [], arpa._lines
    monkeypatch.setattr(arpa, "_lines", lambda path: (opened.append(path), lines(path))[1])
    recipe = find("ngram")(data=str(small_run / "text.txt"), from_=str(small_run / "run" / "model.arpa"))
    data = recipe.load()
    assert len(opened) == 1
    recipe.learner(recipe.model(data.spec)).step(data.train.at(0), None)  # type: ignore[arg-type]
    assert len(opened) == 2


def test_words_that_only_the_test_text_has_are_found_in_an_arpa_file(tmp_path: Path) -> None:
    """The vocabulary is the file's, not that of the text that is judged."""
    (tmp_path / "long.txt").write_text("a b c d\n" * 300)
    carry_out(find("ngram")(data=str(tmp_path / "long.txt"), order=2), tmp_path / "run", HOST)
    (tmp_path / "judged.txt").write_text("a b\n" * 400 + "c d\n" * 40)
    recipe = find("ngram")(data=str(tmp_path / "judged.txt"), from_=str(tmp_path / "run" / "model.arpa"))
    assert carry_out(recipe, tmp_path / "again", HOST)["scores"]["test/unknown"] == 0


def test_predict_goes_on_and_tells_the_likeliest_words(small_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["predict", str(small_run / "run"), "the other", "--length", "2", "--temperature", "0"]
    for words, check in ((["--json"], json.loads), ([], str)):
        with pytest.raises(SystemExit) as end:
            cli.main([*command, *words])
        assert end.value.code == 0
        out = check(capsys.readouterr().out)
        if words:
            assert out["text"].startswith("the other company")
            assert out["next"][0] == "company"
            assert out["probability"] == sorted(out["probability"], reverse=True)
        else:
            assert "\nnext: company 0.9" in out


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
def test_names_are_made_letter_by_letter(smoothing: str, tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("anna\nanne\nhanna\njohanna\nhannes\n" * 60)
    recipe = find("ngram")(data=str(tmp_path / "names.txt"), unit="character", order=4, method=smoothing)
    result = carry_out(recipe, tmp_path / "run", HOST)
    assert result["scores"]["test/loss"] < 0.5
    again = find("ngram")(
        data=str(tmp_path / "names.txt"), unit="character", from_=str(tmp_path / "run" / "model.arpa"), cache=0
    )
    scores = carry_out(again, tmp_path / "again", HOST)["scores"]
    assert scores["test/loss"] == pytest.approx(result["scores"]["test/loss"], rel=1e-5)


def test_its_pictures_can_be_drawn_and_count_the_text_once(small_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = []
    monkeypatch.setattr(ngram, "count", lambda *given: (counted.append(given), count(*given))[1])
    evidence = Evidence(Run(small_run / "run"))
    drawn = [picture.draw() for picture in evidence.recipe.pictures(evidence)]
    assert len(drawn) == 3
    assert "other → company 0.9" in str(drawn[2])
    assert len(counted) == 1
    worth = drawn[1].axes[1]
    assert len(worth.lines) == 3, "of orders 2 and 3, and the dashed one"
    assert all(np.nanmax(line.get_ydata(), initial=0) <= worth.get_ylim()[1] for line in worth.lines)


@pytest.mark.parametrize(
    "knobs", [{"cutoff": (1, 2)}, {"method": "good-turing"}, {"method": "add-k", "cutoff": (1, 1, 3)}]
)
def test_the_ring_marks_the_run_itself(knobs: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(
        "\n".join(" ".join(f"w{word}" for word in some()[k : k + 9]) for k in range(400))
    )
    result = carry_out(find("ngram")(data=str(tmp_path / "text.txt"), order=3, **knobs), tmp_path / "run", HOST)
    evidence = Evidence(Run(tmp_path / "run"))
    picture = evidence.recipe.pictures(evidence)[0]
    (ring,) = (line for line in picture.draw().axes[0].lines if line.get_fillstyle() == "none")  # type: ignore[union-attr]
    assert float(ring.get_ydata()[0]) == pytest.approx(result["scores"]["test/perplexity"])
    assert "A ring marks this run" in picture.caption


def test_words_of_probability_zero_are_told_and_no_mean_leaves_them_out(tmp_path: Path) -> None:
    """An infinite perplexity must not stand beside finite ones as that of the words that were possible."""
    result = carry_out(find("ngram")(method="none", arpa=False), tmp_path / "run", HOST)
    scores = result["scores"]
    assert 0 < scores["test/zero"] < 1
    assert not {"test/perplexity", "test/loss", "test/bits", "test/perplexity_with_cache"} & scores.keys()
    assert not {"test/perplexity_of_known", "valid/perplexity", "valid/loss"} & scores.keys()
    assert 1 < scores["test/perplexity_of_possible"] < scores["train/perplexity"] * 100
    assert any("its perplexity is infinite" in remark for remark in result["remarks"])
    assert any("it is not judged" in remark for remark in result["remarks"])
    evidence = Evidence(Run(tmp_path / "run"))
    picture = evidence.recipe.pictures(evidence)[0]
    assert "ring" not in picture.caption


def test_the_weight_of_the_cache_is_chosen_over_all_words(tmp_path: Path) -> None:
    """Without smoothing what was never seen is possible by the cache alone: weight 0 is infinitely bad, and no mean
    over what it leaves possible makes it the best."""
    lines = ["a b c", "b c a", "c a b"] * 200  # of four words with their ends: the last 60 to test, 54 before to choose
    lines[500:510] = lines[560:570] = ["c b a"] * 10
    (tmp_path / "text.txt").write_text("\n".join(lines))
    recipe = find("ngram")(data=str(tmp_path / "text.txt"), method="none", order=2, cache=20, valid=0.1, test=0.1)
    result = carry_out(recipe, tmp_path / "run", HOST)
    assert 0 < result["scores"]["valid/zero"] < 0.2
    assert math.isfinite(result["scores"]["test/perplexity_with_cache"])
    (told,) = (remark for remark in result["remarks"] if "cache" in remark)
    assert float(re.findall(r"of weight ([0-9.]+),", told)[0]) >= 0.05


def test_scores_are_named_for_what_they_are() -> None:
    half = torch.tensor([0.5, 0.5], dtype=torch.float64)
    assert {name: float(value) for name, value in ngram.scores(half).items()} == pytest.approx(
        {"loss": math.log(2), "perplexity": 2, "bits": 1}
    )
    found = ngram.scores(torch.tensor([0.5, 0.0, 0.25, 0.25], dtype=torch.float64))
    assert {name: float(value) for name, value in found.items()} == pytest.approx(
        {"zero": 0.25, "perplexity_of_possible": 2 ** (5 / 3)}
    )
    assert ngram.scores(torch.zeros(3)) == {"zero": 1}


@pytest.mark.parametrize(
    ("knobs", "told"),
    [
        ({"cutoff": (2,)}, "cutoff must begin with 1.*got 2"),
        ({"cutoff": (3, 1)}, "cutoff must begin with 1.*got 3 1"),
        ({"unit": "character", "lower": True}, "--lower must be left out with --unit character"),
        ({"unit": "character", "rule": "words", "least": 2}, "--rule and --least must be left out with --unit"),
        ({"unit": "character", "vocabulary": 50}, "--vocabulary must be left out with --unit character"),
        ({"from_": "m.arpa", "order": 3, "cutoff": (1, 2)}, "--order and --cutoff must be left out with --from"),
        (
            {"from_": "m.arpa", "method": "none", "smoothing": 1},
            "--method and --smoothing must be left out with --from",
        ),
        ({"from_": "m.arpa", "vocabulary": 9, "least": 2}, "--vocabulary and --least must be left out with --from"),
    ],
)
def test_knobs_without_effect_are_refused(knobs: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError, match=told):
        build(find("ngram"), knobs, "ngram")


def test_what_cannot_be_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "short.txt").write_text("one two")
    with pytest.raises(UserError, match="it is empty"):
        find("ngram")(data=str(tmp_path / "empty.txt")).load()
    with pytest.raises(UserError, match="it holds 3, and --order is 5"):
        find("ngram")(data=str(tmp_path / "short.txt")).load()
    with pytest.raises(UserError, match="There is no ARPA file"):
        find("ngram")(from_=str(tmp_path / "none.arpa")).load()
    recipe = find("ngram")(data=str(tmp_path / "short.txt"), order=2, vocabulary=100)
    remarks = carry_out(recipe, tmp_path / "run", HOST)["remarks"]
    assert "--vocabulary asks for 100 words; the text to learn from has 4." in remarks


@pytest.mark.parametrize(
    ("order", "smoothing", "published", "within"),
    [
        pytest.param(5, "modified", 141.2, 0.01, marks=pytest.mark.long),
        (3, "good-turing", 165.2, 0.03),
    ],
)
def test_the_published_figures_on_ptb(
    order: int, smoothing: str, published: float, within: float, mirror: Path
) -> None:
    """Mikolov 2012, table 4.1."""
    recipe = find("ngram")(data="ptb", order=order, method=smoothing)
    data = recipe.load()
    made = recipe.model(data.spec)
    learner = recipe.learner(made)
    learner.step(data.train.at(0), None)  # type: ignore[arg-type]
    assert float(learner.evaluate(data.test)["perplexity"]) == pytest.approx(published, rel=within)  # type: ignore[arg-type]
    assert math.isfinite(float(learner.evaluate(data.valid)["loss"]))  # type: ignore[arg-type]
