"""How text is cut into words, in any language, and how numbers become text again."""

from pathlib import Path

import pytest
import torch

from deepclassics.data import load
from deepclassics.data.kinds.text import decode
from deepclassics.data.words import END, Reading, cut, settled
from deepclassics.errors import UserError
from deepclassics.recipe import find


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Don't stop, it's 3.5!", ["Don't", "stop", ",", "it's", "3", ".", "5", "!"]),
        ("<unk> said 'no'", ["<unk>", "said", "'", "no", "'"]),
        ("我爱北京。Beijing 2008", ["我", "爱", "北", "京", "。", "Beijing", "2008"]),
        ("東京タワー", ["東", "京", "タ", "ワ", "ー"]),
        ("हिन्दी में लिखो।", ["हिन्दी", "में", "लिखो", "।"]),
        ("ภาษาที่ ดี", ["ภาษาที่", "ดี"]),
        ("Я не знаю; وَقَفَ", ["Я", "не", "знаю", ";", "وَقَفَ"]),
        ("cafe\u0301", ["caf\u00e9"]),
    ],
)
def test_words_of_any_language(text: str, found: list[str]) -> None:
    assert cut(text, "words") == found


def test_contractions_are_parted_as_kim_does() -> None:
    assert cut("It isn't John's, they'll say", "english", lower=True) == [
        "it", "is", "n't", "john", "'s", ",", "they", "'ll", "say",
    ]  # fmt: skip
    assert cut("naïve, n'est-ce pas?", "english") == ["naïve", ",", "n'est", "-", "ce", "pas", "?"]


def test_text_that_is_cut_already_stays_as_it_is() -> None:
    assert settled("auto", ["it 's good , is n't it ?"]) == "blanks"
    assert settled("auto", ["It's good, isn't it?"]) == "words"
    assert settled("auto", ["bare words without any mark"]) == "blanks"
    assert settled("auto", ["我爱北京"]) == "words"
    assert settled("characters", ["whatever"]) == "characters"


def test_numbers_become_lines_again() -> None:
    spec = {"unit": "word", "vocabulary": ["<unk>", END, "a", "b"]}
    assert decode(torch.tensor([2, 3, 1, 1, 2]), spec) == "a b\n\na"
    assert decode(torch.tensor([1, 2, 1]), spec) == "\na\n"
    assert decode(torch.tensor([], dtype=torch.int64), spec) == ""


@pytest.mark.parametrize("vocabulary", [1, 2])
def test_a_vocabulary_that_leaves_no_word_is_refused_for_that(vocabulary: int) -> None:
    with pytest.raises(
        UserError, match=rf"--vocabulary must be more than 2, for <unk> and <eos> are of it; got {vocabulary}"
    ):
        load("pydocs", ("text",), seed=0, reading=Reading(vocabulary=vocabulary))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"one\nna\xefve\n", r"byte 6, in line 2, is not\. Save it as UTF-8, or convert it: iconv .* a.txt > new.txt"),
        (b"one\0two", "a.txt must be text; it holds bytes of 0"),
        (b"\xd0\xcf\x11\0\0", "a.txt must be text; it holds bytes of 0"),
        ("one".encode("utf-16-le"), "a.txt must be text; it holds bytes of 0"),
    ],
)
def test_what_is_no_text_is_refused(content: bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(UserError, match=says):
        load(str(tmp_path / "a.txt"), ("text",), seed=0)


def test_text_in_utf_16_is_read_where_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("Füße\r\n".encode("utf-16"))
    assert load(str(tmp_path / "a.txt"), ("text",), seed=0).spec["vocabulary"] == ["\n", "F", "e", "ß", "ü"]


@pytest.mark.parametrize("system", ["char_rnn", "rnn_lm", "neural_lm", "ngram"])
def test_a_text_too_short_for_parts_says_so(system: str, tmp_path: Path) -> None:
    """Every language model, before it learns, names what it lacks; parts that nobody asked for are not missed."""
    (tmp_path / "a.txt").write_text("the cat saw a mouse\n" * 20)

    def told(**knobs: float) -> str:
        found = find(system)(data=str(tmp_path / "a.txt"), **knobs).load()
        assert found.valid is None
        assert found.test is None
        return found.spec.get("told", [""])[-1]

    unit = "400 characters" if system == "char_rnn" else "120 words"
    assert told(valid=0.1, test=0.1) == (
        f"There is no validation and no test part: there are {unit}, and some are held back of 1,000 or more. "
        f"Take a longer text, to judge by what was not learnt from."
    )
    assert "There is no test part" in told(valid=0.0, test=0.1)
    assert "There is no" not in told(valid=0.0, test=0.0)
    (tmp_path / "a.txt").write_text("the cat saw a mouse\n" * 200)
    assert "s such a share is under 2. Take a larger share, to" in told(valid=0.0, test=0.0001)
    data = find(system)(data="pydocs").load()
    assert not any("There is no" in sentence for sentence in data.spec.get("told", []))
