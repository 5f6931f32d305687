"""ARPA files: n-gram models as text, which SRILM, KenLM and most other programs write and read.

    \\data\\
    ngram 1=5
    ngram 2=7

    \\1-grams:
    -99     <s>     -0.30
    -1.20   house   -0.11
    ...
    \\2-grams:
    -0.47   the house
    ...
    \\end\\

A line holds the decimal logarithm of the probability of its last word after the others, the words, and the logarithm
of the backoff: what probabilities of shorter contexts are multiplied with where a longer n-gram that begins so is not
listed; 0 where it is left out. -99 stands for the logarithm of 0. <s> begins a sentence and </s> ends it. Blanks and
tabs part them; any other space, as U+00A0 and U+3000 are, belongs to a word.

Source: the format is Doug Paul's (MIT Lincoln Laboratory, 1992); SRILM's manual, ngram-format(5).

Letters: M n-grams of order n.
"""

import gzip
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deepclassics.errors import UserError

ZERO = -99.0  # the logarithm of 0
FIELD = re.compile(r"[^ \t]+")
BEGIN, STOP = "<s>", "</s>"


@dataclass(frozen=True)
class Section:
    """The n-grams of one order: words by their numbers, decimal logarithms of probabilities and backoffs."""

    ids: np.ndarray  # (M, n) of int64
    probability: np.ndarray  # (M,) of float64
    backoff: np.ndarray  # (M,) of float64


def write(path: Path, words: Sequence[str], sections: Sequence[Section]) -> None:
    """Writes the orders 1, 2, ...; the numbers in `ids` are places in `words`, which must hold no blanks."""
    names = np.array(words, dtype=object)
    with open(path, "w", encoding="utf-8", newline="\n") as out:
        out.write("\\data\\\n")
        out.writelines(f"ngram {order}={len(section.ids)}\n" for order, section in enumerate(sections, 1))
        for order, section in enumerate(sections, 1):
            out.write(f"\n\\{order}-grams:\n")
            columns = [section.probability.tolist(), *names[section.ids].T.tolist()]
            form = "%.7g\t" + " ".join(["%s"] * order)
            if order < len(sections):
                columns.append(section.backoff.tolist())
                form += "\t%.7g"
            out.writelines(map((form + "\n").__mod__, zip(*columns, strict=True)))
        out.write("\n\\end\\\n")


def read(path: Path) -> tuple[list[str], list[Section]]:
    """The words of order 1, and the n-grams of all orders. A file that ends in .gz is unpacked.

    Raises:
        UserError: there is no such file, or it is no ARPA file; a line that is broken is named by its number.
    """
    words, sections, _ = _read(path)
    return words, sections


def outline(path: Path) -> tuple[list[str], int]:
    """The words of order 1, and how many orders there are. No more of the file is read than that takes."""
    words, _, orders = _read(path, 1)
    return words, orders


def _read(path: Path, highest: int | None = None) -> tuple[list[str], list[Section], int]:
    """The words of order 1, the n-grams of all orders or of those up to the `highest`, and how many the file has."""
    lines = _lines(path)
    promised, lines = _head(path, lines)
    orders = len(promised) if highest is None else min(highest, len(promised))
    words: list[str] = []
    number: dict[str, int] = {}
    sections = []
    for order in range(1, orders + 1):
        line, text = next(lines, (0, ""))
        if text != f"\\{order}-grams:":
            raise UserError(
                f"{path} must be an ARPA file, with a line \\{order}-grams: after its "
                f"{'head' if order == 1 else f'{order - 1}-grams'}; got {_shown(text, line)}."
            )
        found = list(itertools.islice(lines, promised[order - 1]))
        rows = [FIELD.findall(text) for _, text in found]
        for (line, text), row in zip(found, rows, strict=True):
            if len(row) not in (order + 1, order + 2):
                raise _broken(path, order, text, line)
        if len(rows) < promised[order - 1]:
            raise UserError(
                f"{path} must hold {promised[order - 1]:,} {order}-grams, as its head says; it ends after "
                f"{len(rows):,}."
            )
        if order == 1:
            words = [row[1] for row in rows]
            number = {word: place for place, word in enumerate(words)}
            if len(number) < len(words):
                twice = next(word for place, word in enumerate(words) if number[word] != place)
                raise UserError(f"{path} must list every word once; it has '{twice}' twice.")
        try:
            values = np.array([(float(row[0]), float(row[order + 1]) if len(row) > order + 1 else 0.0) for row in rows])
            ids = np.array([[number[word] for word in row[1 : order + 1]] for row in rows], dtype=np.int64)
        except (ValueError, KeyError):
            line, text = next(each for each, row in zip(found, rows, strict=True) if _is_wrong(row, order, number))
            raise _broken(path, order, text, line) from None
        values = values.reshape(-1, 2)
        wrong = np.flatnonzero(np.isnan(values).any(1) | (values[:, 0] > 1e-6) | (values[:, 1] == np.inf))
        if len(wrong):
            line, text = found[wrong[0]]
            raise _broken(path, order, text, line)
        sections.append(Section(ids.reshape(-1, order), np.minimum(values[:, 0], 0.0), values[:, 1]))
    if orders == len(promised) and (after := next(lines, (0, "")))[1] != "\\end\\":
        raise UserError(
            f"{path} must end with a line \\end\\ after the n-grams that its head promises; got "
            f"{_shown(after[1], after[0])}."
        )
    return words, sections, len(promised)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines that are not empty, with their numbers from 1."""
    try:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else open(path, encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if text := line.strip(" \t\n"):
                    yield number, text
    except FileNotFoundError:
        raise UserError(f"There is no ARPA file {path}.") from None
    except (OSError, UnicodeDecodeError, EOFError) as error:
        raise UserError(f"{path} must be an ARPA file in UTF-8; it cannot be read ({error}).") from None


def _head(path: Path, lines: Iterator[tuple[int, str]]) -> tuple[list[int], Iterator[tuple[int, str]]]:
    """How many n-grams of each order the head promises, and the lines after it. What stands before it is left out."""
    if not any(text == "\\data\\" for _, text in lines):
        raise UserError(f"{path} must be an ARPA file; it has no line \\data\\.")
    promised: list[int] = []
    for line, text in lines:
        found = re.fullmatch(r"ngram\s+(\d+)\s*=\s*(\d+)", text)
        if found and int(found[1]) == len(promised) + 1:
            promised.append(int(found[2]))
        elif promised and text.startswith("\\"):
            return promised, itertools.chain([(line, text)], lines)
        else:
            raise UserError(
                f"{path} must be an ARPA file, with a line ngram {len(promised) + 1}=COUNT in its head; got "
                f"{_shown(text, line)}."
            )
    raise UserError(f"{path} must be an ARPA file; it ends with its head.")


def _is_wrong(row: Sequence[str], order: int, number: dict[str, int]) -> bool:
    """Whether a line of n-grams holds a word that the order 1 has not, or what is no number."""
    try:
        float(row[0]), float(row[order + 1] if len(row) > order + 1 else 0)
    except ValueError:
        return True
    return any(word not in number for word in row[1 : order + 1])


def _broken(path: Path, order: int, text: str, line: int) -> UserError:
    words = "a word" if order == 1 else f"{order} words of order 1"
    return UserError(
        f"{path} must hold a logarithm of a probability, {words}, and perhaps a logarithm, in every line of its "
        f"{order}-grams; got {_shown(text, line)}."
    )


def _shown(text: str, line: int) -> str:
    if not line:
        return "the end of the file"
    return f"'{text if len(text) <= 60 else text[:59] + '…'}' in line {line:,}"
