"""Files of word vectors in word2vec's formats, and what is asked of vectors (S256, S259)."""

import struct
from pathlib import Path

import pytest
import torch
from torch import Tensor

from deepclassics import vectors
from deepclassics.errors import UserError

WORDS = ["the", "naïve", "南京", "new_york"]


@pytest.fixture
def own() -> Tensor:
    return torch.randn(4, 7, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("binary", [False, True])
def test_what_is_written_is_read_bit_for_bit(own: Tensor, binary: bool, tmp_path: Path) -> None:
    vectors.write(tmp_path / "v", WORDS, own, binary)
    words, matrix = vectors.read(tmp_path / "v")
    assert words == WORDS
    assert torch.equal(matrix, own)
    assert matrix.dtype == torch.float32


@pytest.mark.parametrize("binary", [False, True])
def test_only_the_wanted_words_are_held(own: Tensor, binary: bool, tmp_path: Path) -> None:
    vectors.write(tmp_path / "v", WORDS, own, binary)
    words, matrix = vectors.read(tmp_path / "v", {"南京", "absent", "the"})
    assert words == ["the", "南京"]
    assert torch.equal(matrix, own[[0, 2]])


def test_the_formats_are_those_of_word2vec(tmp_path: Path) -> None:
    """The bytes that its program writes: a blank at the end of a line of text, a line feed after each binary word."""
    (tmp_path / "text").write_bytes(b"2 3\nthe 0.5 -1 2e-1 \ncat 1 2 3 \n")
    assert vectors.read(tmp_path / "text")[0] == ["the", "cat"]
    numbers = struct.pack("<3f", 0.5, -1, 0.2)
    for between in (b"\n", b""):  # gensim writes none
        (tmp_path / "binary").write_bytes(b"2 3\nthe " + numbers + between + b"cat " + numbers + between)
        words, matrix = vectors.read(tmp_path / "binary")
        assert words == ["the", "cat"]
        assert matrix.tolist() == [pytest.approx([0.5, -1, 0.2])] * 2


def test_a_text_without_a_first_line_is_taken(tmp_path: Path) -> None:
    (tmp_path / "glove.txt").write_text("the 1 2 3\ncat 4 5 6\n")
    words, matrix = vectors.read(tmp_path / "glove.txt")
    assert words == ["the", "cat"]
    assert matrix.tolist() == [[1, 2, 3], [4, 5, 6]]


def test_a_larger_binary_file_is_read_piece_by_piece(tmp_path: Path) -> None:
    own = torch.randn(2000, 50, generator=torch.Generator().manual_seed(1))
    words = [f"word{number}" for number in range(2000)]
    vectors.write(tmp_path / "v.bin", words, own, binary=True)
    assert (tmp_path / "v.bin").stat().st_size > 4 * vectors.SAMPLE
    found, matrix = vectors.read(tmp_path / "v.bin")
    assert found == words
    assert torch.equal(matrix, own)


def test_a_file_is_read_once_for_some_words_and_for_some_of_those(
    own: Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors.write(tmp_path / "v", WORDS, own)
    assert vectors.read(tmp_path / "v", {"new_york", "the", "absent"})[0] == ["the", "new_york"]
    again = own + 1
    with monkeypatch.context() as patch:
        patch.setattr(vectors, "_gathered", None)
        words, matrix = vectors.read(tmp_path / "v", ["absent", "new_york"])
    assert words == ["new_york"]
    assert torch.equal(matrix, own[[3]])
    assert vectors.read(tmp_path / "v", {"南京"})[0] == ["南京"], "which was not wanted before"
    vectors.write(tmp_path / "v", WORDS, again)
    assert torch.equal(vectors.read(tmp_path / "v", {"南京"})[1], again[[2]]), "another file by now"


def test_rows_of_an_embedding_are_written_over_and_counted(tmp_path: Path) -> None:
    """A word is looked up as it is written most often, in small letters, and as it stands for others."""
    (tmp_path / "v").write_text("6 2\n1996 1 1\nPeter 2 2\neu 3 3\n0-0 4 4\npeter 5 5\n<pad> 6 6\n")
    spec = {
        "vocabulary": ["<pad>", "<unk>", "0000", "peter", "eu", "0-0", "rare"],
        "spelt": {"0000": "1996", "peter": "Peter", "eu": "EU", "0-0": "3-1"},
        "lower": True,
        "told": ["so"],
    }
    weight = torch.zeros(7, 2)
    vectors.into(weight, spec, str(tmp_path / "v"), "tagger")
    assert weight[:, 0].tolist() == [0, 0, 1, 2, 3, 4, 0]
    assert spec["told"] == ["so", f"Words with a vector in {tmp_path / 'v'}: 4 of 5."]
    vectors.into(weight, spec, str(tmp_path / "v"), "tagger", spread=True)
    assert weight[2:6, 0].tolist() == [1, 2, 3, 4]
    assert not weight[0].any()
    assert weight[1].all()
    assert weight[6].all()
    with pytest.raises(UserError, match=r"tagger: --embedding must be 2, the numbers of a vector in .*; got 3\."):
        vectors.into(torch.zeros(7, 3), spec, str(tmp_path / "v"), "tagger")


def test_of_a_word_that_comes_twice_the_first_stands(tmp_path: Path) -> None:
    (tmp_path / "v").write_text("3 2\nthe 1 2\ncat 3 4\nthe 5 6\n")
    words, matrix = vectors.read(tmp_path / "v")
    assert words == ["the", "cat"]
    assert matrix.tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"3 2\nthe 1 2\ncat 3\ndog 5 6\n", r"v, line 3, must hold a word and 2 numbers; it holds 1 after"),
        (b"2 2\nthe 1 2\ncat 3 4 5\n", r"line 3, must hold a word and 2 numbers; it holds 3"),
        (b"2 2\nthe 1 2\ncat 3 four\n", r"line 3, must hold a word and 2 numbers; some of them are none"),
        (b"2 2\nthe 1 2\ncat nan 4\n", r"line 3, must hold finite numbers"),
        (b"2 2\nthe 1 inf\ncat 3 4\n", r"line 2, must hold finite numbers"),
        (b"3 2\nthe 1 2\ncat 3 4\n", r"must hold 3 words by its first line; it holds 2"),
        (b"many words\nthe 1 2\n", r"line 1, must be the number of words and of numbers a word.*got 'many words'"),
        (b"", r"line 1, must be the number of words"),
        (b"2 2\nthe 1 2\ncaf\xe9 3 4\n", r"line 3, must be UTF-8"),
        (b"2 3\nthe " + struct.pack("<3f", 1, 2, 3) + b"cat " + struct.pack("<2f", 1, 2), r"cut short.* at word 2"),
        (b"2 1\na " + struct.pack("<f", 1) + b"b " + struct.pack("<f", float("nan")), r"word 2, must hold finite"),
        (b"\x80\x04\x95pickle" + bytes(64), r"must begin with a line of the number of words"),
    ],
)
def test_a_broken_file_is_refused_with_its_place(content: bytes, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "v").write_bytes(content)
    with pytest.raises(UserError, match=sentence):
        vectors.read(tmp_path / "v")


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"missing must be a file of vectors that can be read; no such file"):
        vectors.read(tmp_path / "missing")
    with pytest.raises(UserError, match=r"finished run folder of cbow; it has no vectors.txt"):
        vectors.read(tmp_path)


def test_a_run_folder_will_do(own: Tensor, tmp_path: Path) -> None:
    vectors.write(tmp_path / "vectors.txt", WORDS, own)
    assert torch.equal(vectors.read(tmp_path)[1], own)


def test_gensim_reads_ours_and_we_read_gensims(own: Tensor, tmp_path: Path) -> None:
    models = pytest.importorskip("gensim.models")
    for binary in (False, True):
        vectors.write(tmp_path / "v", WORDS, own, binary)
        theirs = models.KeyedVectors.load_word2vec_format(str(tmp_path / "v"), binary=binary)
        assert theirs.index_to_key == WORDS
        assert torch.equal(torch.from_numpy(theirs.vectors), own)
        theirs.save_word2vec_format(str(tmp_path / "w"), binary=binary)
        assert torch.equal(vectors.read(tmp_path / "w")[1], own)


def test_the_nearest_words_leave_out_those_of_the_question() -> None:
    unit = vectors.units(torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [-1.0, 0.0]]))
    ids, cosines = vectors.nearest(unit, unit[0], [0], 2)
    assert ids.tolist() == [1, 2]
    assert cosines.tolist() == pytest.approx([1 / 1.01**0.5, 0.0])
    assert len(vectors.nearest(unit, unit[0], [0], 10)[0]) == 3


def test_analogies_and_pairs_are_judged_as_gensim_does() -> None:
    """Coverage counts questions with all four words among the commonest; capitals and small letters are one."""
    words = ["king", "Queen", "man", "woman", "prince", "rare"]
    own = torch.tensor([[2.0, 1, 0], [2, -1, 0], [0, 1, 0], [0, -1, 0], [2, 1, 1.5], [0, 0, 1]])
    sections = {
        "family": [("man", "king", "woman", "queen"), ("man", "king", "woman", "rare")],
        "gram1": [("man", "woman", "king", "prince"), ("man", "king", "woman", "unheard")],
    }
    pairs = {"wordsim": [("king", "prince", 9.0), ("king", "queen", 5.0), ("man", "woman", 1.0), ("a", "man", 1.0)]}
    scores, covered, by_section = vectors.judged(words, own, sections, pairs, most=5)
    assert scores == {"analogies": 0.5, "semantic": 1.0, "syntactic": 0.0, "wordsim": pytest.approx(1.0)}
    assert covered == {"analogies": (2, 4), "semantic": (1, 2), "syntactic": (1, 2), "wordsim": (3, 4)}
    assert by_section == {"family": 1.0, "gram1": 0.0}


def test_of_words_that_differ_in_case_the_first_answers() -> None:
    """As many rows ask and are asked as there are words, however they are written."""
    words = ["king", "queen", "man", "woman", "Queen"]
    own = torch.tensor([[2.0, 1, 0], [2, -1, 0.5], [0, 1, 0], [0, -1, 0], [2, -1, 0]])
    scores, covered, _ = vectors.judged(words, own, {"family": [("man", "king", "woman", "queen")]}, {})
    assert scores == {"analogies": 1.0, "semantic": 1.0}
    assert covered["analogies"] == (1, 1)
