"""ARPA files: written and read again, and what is wrong with those of others told by the line."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from deepclassics import arpa
from deepclassics.errors import UserError

TEXT = """\\data\\
ngram 1=4
ngram 2=2

\\1-grams:
-99\t<s>\t-0.5
-0.6\tthe\t-0.25
-0.7\thouse
-0.3\t</s>

\\2-grams:
-0.1\t<s> the
-0.2\tthe house

\\end\\
"""


def test_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "m.arpa").write_text("made by some program\n" + TEXT)
    words, (one, two) = arpa.read(tmp_path / "m.arpa")
    assert words == ["<s>", "the", "house", "</s>"]
    assert one.probability.tolist() == [-99, -0.6, -0.7, -0.3]
    assert one.backoff.tolist() == [-0.5, -0.25, 0, 0]
    assert two.ids.tolist() == [[0, 1], [1, 2]]
    assert two.probability.tolist() == [-0.1, -0.2]
    assert arpa.outline(tmp_path / "m.arpa") == (words, 2)


@pytest.mark.parametrize("space", ["\u00a0", "\u3000", "\u2009", "\x85", "\x1c"])
def test_only_blanks_and_tabs_part_fields(space: str, tmp_path: Path) -> None:
    """Other programs cut so, and other spaces are parts of words."""
    text = TEXT.replace("house", f"{space}ho{space}use{space}").replace("-0.3\t</s>", "-0.3 \t </s>\t")
    (tmp_path / "m.arpa").write_text(text, encoding="utf-8")
    words, (one, two) = arpa.read(tmp_path / "m.arpa")
    assert words == ["<s>", "the", f"{space}ho{space}use{space}", "</s>"]
    assert one.probability.tolist() == [-99, -0.6, -0.7, -0.3]
    assert two.ids.tolist() == [[0, 1], [1, 2]]


def test_what_is_written_is_read_again_packed_too(tmp_path: Path) -> None:
    (tmp_path / "m.arpa").write_text(TEXT)
    words, sections = arpa.read(tmp_path / "m.arpa")
    arpa.write(tmp_path / "again.arpa", words, sections)
    (tmp_path / "again.arpa.gz").write_bytes(gzip.compress((tmp_path / "again.arpa").read_bytes()))
    for name in ("again.arpa", "again.arpa.gz"):
        again, found = arpa.read(tmp_path / name)
        assert again == words
        for one, other in zip(sections, found, strict=True):
            assert np.array_equal(one.ids, other.ids)
            assert np.array_equal(one.probability, other.probability)
            assert np.array_equal(one.backoff, other.backoff)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("-0.2\tthe house", "-0.2\tthe", r"every line of its 2-grams; got '-0.2\tthe' in line 13"),
        ("-0.2\tthe house", "-0.2\tthe home", r"2 words of order 1.*'-0.2\tthe home' in line 13"),
        ("-0.7\thouse", "much\thouse", "in line 8"),
        ("-0.7\thouse", "0.7\thouse", "in line 8"),
        ("-0.7\thouse", "nan\thouse", "in line 8"),
        ("-0.7\thouse", "-0.7\tthe", "'the' twice"),
        ("ngram 2=2", "ngram 2=3", r"got '.end.' in line 15"),
        ("ngram 2=2", "ngram 2=1", r"end with a line .end.*got '-0.2\tthe house' in line 13"),
        ("ngram 1=4", "ngram 1=many", "ngram 1=COUNT in its head"),
        ("ngram 1=4\nngram 2=2\n", "", r"ngram 1=COUNT in its head; got '.1-grams:' in line 3"),
        ("\\2-grams:", "\\3-grams:", r"a line .2-grams: after its 1-grams"),
        ("\\data\\", "data", "no line"),
    ],
)
def test_what_is_broken_is_told(old: str, new: str, told: str, tmp_path: Path) -> None:
    assert old in TEXT
    (tmp_path / "m.arpa").write_text(TEXT.replace(old, new))
    with pytest.raises(UserError, match=told):
        arpa.read(tmp_path / "m.arpa")


def test_what_is_cut_short_or_no_text_is_told(tmp_path: Path) -> None:
    (tmp_path / "m.arpa").write_text(TEXT[: TEXT.index("-0.2\t")])
    with pytest.raises(UserError, match="2 2-grams, as its head says; it ends after 1"):
        arpa.read(tmp_path / "m.arpa")
    (tmp_path / "m.arpa").write_bytes(b"\\data\\\n\xff\xfe\n")
    with pytest.raises(UserError, match="UTF-8"):
        arpa.read(tmp_path / "m.arpa")
    (tmp_path / "m.arpa.gz").write_text(TEXT)
    with pytest.raises(UserError, match="cannot be read"):
        arpa.read(tmp_path / "m.arpa.gz")
    with pytest.raises(UserError, match="There is no ARPA file"):
        arpa.read(tmp_path / "none.arpa")
