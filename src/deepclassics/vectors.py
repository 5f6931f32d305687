"""Vectors of words: files of them in word2vec's text and binary formats, their nearest words, and how well they judge.

The text format is a line with the number of words and of numbers a word, then a word and its numbers a line; the binary
one has the same first line, and then word, blank, and the numbers as float32 (low byte first). A text without the first
line, as GloVe's, is taken too. A file is read line by line, so that of one that fills the memory the wanted words can
be had.

Letters: V words, D numbers of a vector, Q questions, R words that may be an answer.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

from deepclassics.data.words import NOTHING, UNKNOWN
from deepclassics.errors import UserError, short

SAMPLE = 1 << 16  # bytes that tell text from binary
CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f]")  # text holds none of these; some float32 soon does
LONGEST = 1 << 12  # bytes of a word
AT_ONCE = 500  # questions

# Of the file that was read last, what was wanted and found: a system may ask which words have a vector, and then for
# the vectors, and a file may be as large as the memory.
HELD: dict[tuple[str, int, int], tuple[frozenset[str], list[str], Tensor]] = {}


def read(path: Path | str, wanted: Collection[str] | None = None) -> tuple[list[str], Tensor]:  # -> V words, (V, D)
    """The words of a file and their vectors, float32; with `wanted` only those among them. Of a word that comes twice
    the first vector stands. A run folder of cbow will do for a file.

    Raises:
        UserError: the file is none of vectors, or broken; names the line or the place.
    """
    path = Path(path)
    if path.is_dir():
        if not (path / "vectors.txt").is_file():
            raise UserError(
                f"{path} must be a file of vectors or a finished run folder of cbow; it has no vectors.txt. Give the "
                f"folder that `deepclassics run cbow` named, or a file in word2vec's text or binary format."
            )
        path = path / "vectors.txt"
    try:
        facts = path.stat()
        stamp = (str(path.resolve()), facts.st_size, facts.st_mtime_ns)
        if wanted is not None and stamp in HELD and HELD[stamp][0].issuperset(wanted):
            _, words, vectors = HELD[stamp]
            asked = set(wanted)
            kept = [number for number, word in enumerate(words) if word in asked]
            return [words[number] for number in kept], vectors[kept]
        with path.open("rb") as file:
            sample = file.read(SAMPLE)
            file.seek(0)
            binary = CONTROL.search(sample) is not None
            wide, rows = _binary(path, file) if binary else _text(path, file)
            words, vectors = _gathered(path, wide, rows, wanted, "word" if binary else "line")
        if wanted is not None:
            HELD.clear()
            HELD[stamp] = frozenset(wanted), words, vectors
        return words, vectors
    except OSError as error:
        raise UserError(
            f"{path} must be a file of vectors that can be read; {(error.strerror or str(error)).lower()}. "
            f"Give another path."
        ) from None


def write(path: Path | str, words: Sequence[str], vectors: Tensor, binary: bool = False) -> None:  # V words, (V, D)
    """A file of them in the text format, with all the digits of a float32, or in the binary one."""
    assert len(words) == len(vectors)
    assert not any(re.search(r"\s", word) for word in words), "a blank ends a word in these formats"
    with Path(path).open("wb") as file:
        file.write(f"{len(words)} {vectors.shape[1]}\n".encode())
        for word, row in zip(words, vectors.detach().cpu().float().numpy(), strict=True):
            told = row.astype("<f4").tobytes() if binary else b" ".join([b"%.9g" % value for value in row.tolist()])
            file.write(word.encode() + b" " + told + b"\n")


def among(path: Path | str, wanted: Collection[str]) -> tuple[list[str], Tensor]:  # -> V words, (V, D)
    """Those of the wanted words that a file has, and their vectors. A file without any is refused."""
    words, found = read(path, wanted)
    if not words:
        raise UserError(f"{path} must hold vectors of words that are learnt from; it has none of them.")
    return words, found


def into(weight: Tensor, spec: dict[str, Any], path: str, system: str, spread: bool = False) -> None:  # (V, D)
    """Writes the vectors of a file over the rows of an embedding whose words it has; how many, is added to what is told
    of the data.

    A word of the vocabulary that stands for others is looked up as it is written most often, then as it stands. With
    `spread` the other rows get numbers by chance with the variance of those (Kim 2014, section 3.3), and 0 for no word.

    Raises:
        UserError: it has none of the words, or vectors of another size; said by `system`.
    """
    vocabulary, spelt = spec["vocabulary"], spec.get("spelt", {})
    ways = {word: _ways(spelt.get(word, word), word, spec["lower"]) for word in vocabulary if word != NOTHING}
    words, found = among(path, {way for each in ways.values() for way in each})
    if found.shape[1] != weight.shape[1]:
        raise UserError(
            f"{system}: --embedding must be {found.shape[1]}, the numbers of a vector in {path}; got {weight.shape[1]}."
        )
    row = {word: number for number, word in enumerate(words)}
    first = [next((row[way] for way in ways.get(word, ()) if way in row), -1) for word in vocabulary]
    hit = torch.tensor(first) >= 0
    with torch.no_grad():
        if spread:
            weight.copy_(torch.empty(len(vocabulary), found.shape[1]).uniform_(-1, 1) * (3 * found.var()).sqrt())
            weight[0] = 0
        weight[hit] = found[torch.tensor(first)[hit]].to(weight)
    given = sum(number >= 0 for word, number in zip(vocabulary, first, strict=True) if word != UNKNOWN)
    count = sum(word not in (NOTHING, UNKNOWN) for word in vocabulary)
    spec["told"] = [*spec.get("told", []), f"Words with a vector in {path}: {given:,} of {count:,}."]


def _ways(written: str, word: str, lower: bool) -> list[str]:
    """The spellings under which a word is looked up, in turn."""
    return [written, written.lower() if lower else written, word]


Row = tuple[int, bytes, bytes]  # number of the line, or of the word; the word; its numbers


def _text(path: Path, file: IO[bytes]) -> tuple[int, Iterator[Row]]:
    """D, and the rows with their numbers as they are written; one of another length is refused."""
    first = file.readline()
    head = _head(first)
    if head is None:  # the line is the first row, if it can be one
        fields = first.split()
        if len(fields) < 3 or not all(map(_is_number, fields[1:])):
            raise UserError(
                f"{path}, line 1, must be the number of words and of numbers a word ('3000 100'), or a word and its "
                f"numbers; got '{short(first[:200].decode(errors='replace').strip())}'. Give a file in word2vec's "
                f"text or binary format."
            )
        file.seek(0)
    wide, begin = (head[1], 2) if head else (len(fields) - 1, 1)

    def rows() -> Iterator[Row]:
        count = 0
        for line, text in enumerate(file, begin):
            fields = text.split()
            if not fields:
                continue
            if len(fields) != wide + 1:
                raise UserError(
                    f"{path}, line {line:,}, must hold a word and {wide} numbers; it holds {len(fields) - 1} after "
                    f"the word. Mend or take out the line."
                )
            count += 1
            yield line, fields[0], text.partition(fields[0])[2]
        if head and count != head[0]:
            raise UserError(
                f"{path} must hold {head[0]:,} words by its first line; it holds {count:,}. It may be cut short: get "
                f"it again, or mend the first line."
            )

    return wide, rows()


def _binary(path: Path, file: IO[bytes]) -> tuple[int, Iterator[Row]]:
    """D, and the rows with their numbers as bytes."""
    head = _head(file.readline(LONGEST))
    if head is None:
        raise UserError(
            f"{path} must begin with a line of the number of words and of numbers a word ('3000 100'); it is binary "
            f"and does not. Give a file in word2vec's text or binary format."
        )
    count, wide = head

    def rows() -> Iterator[Row]:
        held, begin = b"", 0
        for number in range(1, count + 1):
            while (end := held.find(b" ", begin)) < 0 or len(held) < end + 1 + 4 * wide:
                more = file.read(SAMPLE)
                if not more or (end < 0 and len(held) - begin > LONGEST):
                    raise UserError(
                        f"{path} must hold {count:,} words of {wide} numbers; it is cut short or damaged at word "
                        f"{number:,}. Get it again."
                    )
                held, begin = held[begin:] + more, 0
            after = end + 1 + 4 * wide
            yield number, held[begin:end].lstrip(b"\n"), held[end + 1 : after]
            begin = after

    return wide, rows()


def _gathered(
    path: Path, wide: int, rows: Iterator[Row], wanted: Collection[str] | None, unit: str
) -> tuple[list[str], Tensor]:
    asked = None if wanted is None else {word.encode() for word in wanted}
    places: dict[bytes, int] = {}  # word -> its line
    found: list[np.ndarray] = []
    for number, word, numbers in rows:
        if word in places or (asked is not None and word not in asked):
            continue
        places[word] = number
        try:
            row = np.frombuffer(numbers, "<f4") if unit == "word" else np.array(numbers.split(), "S").astype(np.float32)
        except ValueError:
            raise UserError(
                f"{path}, line {number:,}, must hold a word and {wide} numbers; some of them are none. Mend or take "
                f"out the line."
            ) from None
        if not np.isfinite(row).all():
            raise UserError(
                f"{path}, {unit} {number:,}, must hold finite numbers; it holds one that is infinite or not a number. "
                f"Mend it or take it out."
            )
        found.append(row)
    words = []
    for word, number in places.items():
        try:
            words.append(word.decode())
        except UnicodeDecodeError:
            raise UserError(
                f"{path}, {unit} {number:,}, must be UTF-8; its word is not. Mend it or take it out."
            ) from None
    matrix = np.stack(found) if found else np.zeros((0, wide))
    return words, torch.from_numpy(matrix.astype(np.float32))


def _head(line: bytes) -> tuple[int, int] | None:
    """(V, D) of a first line that holds two counts and nothing else."""
    fields = line.split()
    if len(fields) != 2 or not all(field.isdigit() for field in fields) or int(fields[1]) < 1:
        return None
    return int(fields[0]), int(fields[1])


def _is_number(field: bytes) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


# --- what can be asked of vectors


def units(vectors: Tensor) -> Tensor:  # (V, D) -> (V, D)
    """Every vector with length 1, so that a dot product is a cosine."""
    return vectors / vectors.norm(dim=1, keepdim=True).clamp(min=1e-12)


def nearest(
    unit: Tensor, query: Tensor, without: Sequence[int], count: int
) -> tuple[Tensor, Tensor]:  # (V, D), (D,) -> (count,) of int64, (count,)
    """The words of the highest cosines with `query` and those, `without` the words of the question (S259)."""
    cosines = unit @ (query / query.norm().clamp(min=1e-12))
    cosines[list(without)] = -2
    found = cosines.topk(min(count, len(unit) - len(set(without))))
    return found.indices, found.values


def analogies(unit: Tensor, questions: Tensor) -> Tensor:  # (R, D), (Q, 4) of int64 -> (Q,) of bool
    """Whether b - a + c is nearest to d, for a : b = c : d, words of the question left out (Mikolov et al. 2013)."""
    right = []
    for asked in questions.split(AT_ONCE):
        a, b, c, d = asked.T
        cosines = (unit[b] - unit[a] + unit[c]) @ unit.T
        cosines.scatter_(1, asked[:, :3], -torch.inf)
        right.append(cosines.argmax(1) == d)
    return torch.cat(right) if right else torch.zeros(0, dtype=torch.bool)


def judged(
    words: Sequence[str],
    vectors: Tensor,
    sections: Mapping[str, Sequence[tuple[str, ...]]],
    pairs: Mapping[str, Sequence[tuple[str, str, float]]],
    most: int = 30_000,
) -> tuple[dict[str, float], dict[str, tuple[int, int]], dict[str, float]]:
    """How well vectors answer: scores, what of each is covered (so many, of so many), and the share right by section.

    Of questions-words "analogies", "semantic" and "syntactic", the share answered right of the questions whose four
    words are among the `most` commonest, which are also all that may be an answer. Of pairs, by the name of their set,
    Spearman's rank correlation of cosine and human judgement. Of words that differ in case alone only the commonest is
    there; where there are none such, it is all what gensim gives.
    """
    from scipy.stats import spearmanr

    first: dict[str, int] = {}  # lower case -> the first row
    for number, word in enumerate(words):
        first.setdefault(word.lower(), number)
    unit = units(vectors.float())[list(first.values())]
    place = {word: number for number, word in enumerate(first)}
    answers = sum(number < most for number in first.values())
    scores: dict[str, float] = {}
    covered: dict[str, tuple[int, int]] = {}
    by_section: dict[str, float] = {}
    right: dict[str, list[Tensor]] = {"analogies": [], "semantic": [], "syntactic": []}
    asked = dict.fromkeys(right, 0)
    for section, questions in sections.items():
        known = [[place[word.lower()] for word in question] for question in questions
                 if all(place.get(word.lower(), answers) < answers for word in question)]  # fmt: skip
        found = analogies(unit[:answers], torch.tensor(known, dtype=torch.int64).view(-1, 4))
        for kind in ("analogies", "syntactic" if section.startswith("gram") else "semantic"):
            right[kind].append(found)
            asked[kind] += len(questions)
        if len(found):
            by_section[section] = float(found.double().mean())
    for kind, parts in right.items():
        every = torch.cat(parts) if parts else torch.zeros(0)
        covered[kind] = (len(every), asked[kind])
        if len(every):
            scores[kind] = float(every.double().mean())
    for name, judgements in pairs.items():
        both = [(place[one.lower()], place[other.lower()], value) for one, other, value in judgements
                if one.lower() in place and other.lower() in place]  # fmt: skip
        covered[name] = (len(both), len(judgements))
        if len(both) > 2:
            one, other = (torch.tensor([pair[side] for pair in both]) for side in (0, 1))
            cosines = (unit[one] * unit[other]).sum(1)
            scores[name] = float(spearmanr(cosines.numpy(), [pair[2] for pair in both]).statistic)
    return scores, covered, by_section
