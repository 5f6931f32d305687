"""How text is cut into words, in any language, and how numbers become text again."""

import pytest
import torch

from deepclassics.data import load
from deepclassics.data.kinds.text import decode
from deepclassics.data.words import END, Reading, cut, settled
from deepclassics.errors import UserError


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
