"""Boolean functions: a value for every row of a truth table.

A function comes from one of
- an expression: `(a & b) ^ ~c`, `a and not b` (see `data.expressions`). Its inputs are its names, in natural order.
- a word for a family: `parity:20`, `majority:5`, `and:4`, `or:4`, `nand:4`, `nor:4` of so many inputs x1, x2, ...; or
  `truth:0110`, the values of all rows in the order of counting.
- a `.csv` (or, with tabs, a `.tsv`) whose first line names the columns. The value is the column `output` or `out`, the
  last one where there is none of that name; all others are inputs. Cells are 0 and 1, or false and true. The rows may
  come in any order, but all must be there.

Row r of a truth table holds the bits of r, the first input's most significant, as truth tables are printed.

Letters: N inputs, M rows.
"""

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from deepclassics.data import expressions
from deepclassics.data.kinds.function import digest
from deepclassics.data.streams import Batch, Columns, Splits
from deepclassics.errors import UserError, meant, short

ENDINGS = (".csv", ".tsv")
MOST = 20  # inputs: a table of 2^20 rows
WORK = 5 * 10**9  # names and signs of an expression, times rows
VALUES = {"0": False, "1": True, "false": False, "true": True}
OUTPUTS = ("output", "out")
_WORD = re.compile(r"\s*([A-Za-z]+):([\w.,+-]*)\s*")


@dataclass(frozen=True, eq=False)
class Truth:
    """A Boolean function of N named inputs."""

    names: tuple[str, ...]  # of its inputs
    values: Tensor  # (2^N,) of bool
    text: str = ""  # the expression it was typed as
    name: str = ""


def rows(inputs: int) -> Tensor:  # -> (2^N, N) of bool
    """The inputs of all rows."""
    return torch.stack([column(inputs, place) for place in range(inputs)], 1)


def column(inputs: int, place: int) -> Tensor:  # -> (2^N,) of bool
    """One input over all rows."""
    return (torch.arange(2**inputs) >> (inputs - 1 - place) & 1).bool()


def _counted(inputs: int) -> Tensor:  # -> (2^N,) of int64
    """How many inputs are 1 in every row."""
    ones = torch.zeros(2**inputs, dtype=torch.int64)
    for place in range(inputs):
        ones += column(inputs, place)
    return ones


FAMILIES: dict[str, Callable[[Tensor, int], Tensor]] = {  # by how many inputs are 1
    "parity": lambda ones, inputs: ones % 2 == 1,
    "majority": lambda ones, inputs: 2 * ones > inputs,
    "and": lambda ones, inputs: ones == inputs,
    "or": lambda ones, inputs: ones > 0,
    "nand": lambda ones, inputs: ones < inputs,
    "nor": lambda ones, inputs: ones == 0,
}


def is_written(data: str) -> bool:
    """Whether words of a user can only be meant as a function."""
    name = re.fullmatch(r"[\w-]+", data)  # as breast-cancer: there is no minus here
    return _WORD.fullmatch(data) is not None or (expressions.is_formula(data) and not name)


def from_words(data: str) -> Truth:
    """A function as it was typed: a family, the values of a table, or an expression.

    Raises:
        UserError: it cannot be understood, or has too many inputs.
    """
    if word := _WORD.fullmatch(data):
        return _of_values(word[2]) if word[1] == "truth" else _of_family(word[1], word[2])
    expression = expressions.boolean(data)
    _check_count(expression.names, f"'{short(data)}'")
    names = expression.names
    length = 2 ** len(names)
    if length * len(expression.steps) > WORK:
        raise UserError(
            f"'{short(data)}' must have at most {WORK // length:,} names and signs for {length:,} rows, to be worked "
            f"out in seconds; it has {len(expression.steps):,}. Shorten it, or give its truth table as a file."
        )
    return Truth(names, expression({name: column(len(names), place) for place, name in enumerate(names)}), text=data)


def _of_values(text: str) -> Truth:
    inputs = len(text).bit_length() - 1
    if inputs < 1 or len(text) != 2**inputs or set(text) - {"0", "1"}:
        raise UserError(
            f"truth: must be followed by 2, 4, 8, ... values, each 0 or 1, as truth:0110; got {len(text)} "
            f"characters, '{short(text)}'."
        )
    names = _numbered(inputs)
    _check_count(names, "truth")
    return Truth(names, torch.tensor([value == "1" for value in text]))


def _of_family(word: str, number: str) -> Truth:
    if word not in FAMILIES:
        raise UserError(
            f"There is no family of functions '{word}'.{meant(word, FAMILIES)} There are "
            f"{', '.join(f'{name}:N' for name in FAMILIES)}, and truth:0110."
        )
    if not (number.isascii() and number.isdigit() and 1 <= int(number[:9]) <= MOST):
        raise UserError(f"{word}: must be followed by the number of inputs, 1 to {MOST}; got '{short(number)}'.")
    inputs = int(number)
    return Truth(_numbered(inputs), FAMILIES[word](_counted(inputs), inputs))


def _numbered(inputs: int) -> tuple[str, ...]:
    return tuple(f"x{place}" for place in range(1, inputs + 1))


def _check_count(names: Sequence[str], where: str) -> None:
    if not names:
        raise UserError(f"{where} must hold one input at least; it is constant without any. Name one, as in 'a | ~a'.")
    if len(names) > MOST:
        raise UserError(f"{where} must have at most {MOST} inputs, a table of {2**MOST:,} rows; got {len(names)}.")


def from_path(path: Path) -> Truth:
    """A truth table from a file.

    Raises:
        UserError: a row is ragged, contradicts another or holds other values than 0 and 1; or rows are missing.
    """
    lines = _lines(path)
    number, names = next(lines, (0, []))
    if len(names) < 2:
        raise UserError(
            f"{path}: the first line must name two columns or more, the inputs and the value; got {len(names)}."
        )
    if set(map(str.lower, names)) <= VALUES.keys():
        raise UserError(f"{path}: the first line must name the columns; it holds values. Add a line like a,b,output.")
    if twice := sorted({name for name in names if names.count(name) > 1 or not name}):
        raise UserError(f"{path}: every column must have a name of its own; got '{twice[0]}' more than once or empty.")
    place = next((names.index(name) for name in names if name.lower() in OUTPUTS), len(names) - 1)
    inputs = (*names[:place], *names[place + 1 :])
    _check_count(inputs, str(path))
    values = torch.full((2 ** len(inputs),), -1, dtype=torch.int8).numpy()
    for number, cells in lines:
        bits = _bits(cells, names, f"{path}, line {number}")
        value = bits.pop(place)
        row = int("".join(map(str, bits)), 2)
        if values[row] not in (-1, value):
            told = ", ".join(f"{name}={bit}" for name, bit in zip(inputs, bits, strict=True))
            raise UserError(
                f"{path}, line {number}: a row must have one value; {short(told)} is {value} here and {1 - value} "
                f"before. Take one of the two out."
            )
        values[row] = value
    if missing := int((values == -1).sum()):
        first = ",".join(f"{int((values == -1).argmax()):0{len(inputs)}b}")
        raise UserError(
            f"{path} must have all {len(values):,} rows of {len(inputs)} inputs; got {len(values) - missing:,}, and "
            f"the first that is missing is {first}. Add what is missing."
        )
    return Truth(inputs, torch.from_numpy(values).bool())


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The lines of a file that are not blank, with their numbers."""
    if not path.is_file():
        raise UserError(f"{path} must be a file; there is none of that name.")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            head = file.readline()
            file.seek(0)
            between = "\t" if path.suffix.lower() == ".tsv" else ";" if ";" in head and "," not in head else ","
            reader = csv.reader(file, delimiter=between)
            for cells in reader:
                if any(map(str.strip, cells)):
                    yield reader.line_num, [cell.strip() for cell in cells]
    except (UnicodeDecodeError, csv.Error):
        raise UserError(f"{path} must be a table of text in UTF-8; it cannot be read as one.") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}.") from None


def _bits(cells: Iterable[str], names: Sequence[str], where: str) -> list[int]:
    cells = list(cells)
    if len(cells) != len(names):
        raise UserError(f"{where}: a row must have {len(names)} values, {short(', '.join(names))}; got {len(cells)}.")
    for cell, name in zip(cells, names, strict=True):
        if cell.lower() not in VALUES:
            raise UserError(f"{where}: {name} must be 0 or 1, or false or true; got '{short(cell)}'.")
    return [int(VALUES[cell.lower()]) for cell in cells]


def splits(raw: Truth, *, seed: int, valid: float, test: float) -> Splits:
    """All rows to learn from, and all to judge by: nothing is held back; `seed`, `valid` and `test` are not used."""
    columns = Columns(features=rows(len(raw.names)).float(), label=raw.values.long())
    spec = {
        "kind": "boolean",
        "data": raw.name,
        "examples": {"train": len(raw.values), "test": len(raw.values)},
        "names": list(raw.names),
        "target": {"kind": "class", "name": "value", "classes": ["0", "1"]},
        "ones": int(raw.values.sum()),
        "content": digest(raw.values),
    }
    return Splits(spec, columns, None, columns)


def read(inputs: Sequence[str], spec: dict[str, Any]) -> tuple[list[str], Batch]:
    """Rows as {"features": (M, N)}: "1,0,1" in the order of the inputs, "101", "a=1,b=0,c=1", or a file of rows, whose
    first line may name the columns."""
    known, names, found = spec["names"], [], []
    for word in inputs:
        path = Path(word)
        if path.suffix.lower() in ENDINGS:
            asked = list(_asked(path, known))
            names += [f"{path.name} row {number}" for number in range(1, len(asked) + 1)]
            found += asked
        else:
            names.append(word)
            found.append(_row(word, known))
    return names, {"features": torch.tensor(found, dtype=torch.float32)}


def _row(word: str, known: Sequence[str]) -> list[int]:
    cells = [cell.strip() for cell in word.split(",")]
    if "=" in word:
        parts = [cell.partition("=") for cell in cells]
        pairs = {name.strip(): value.strip() for name, _, value in parts}
        for name in pairs:
            if name not in known:
                raise UserError(f"'{short(word)}': there is no input '{name}'.{meant(name, known)}")
        if missing := [name for name in known if name not in pairs]:
            raise UserError(f"'{short(word)}' must give every input; {short(', '.join(missing))} is missing.")
        if len(pairs) < len(cells):
            raise UserError(f"'{short(word)}' must give every input once; it gives one of them twice.")
        cells = [pairs[name] for name in known]
    elif len(cells) == 1 and len(word) == len(known) and set(word) <= {"0", "1"}:
        cells = list(word)
    return _bits(cells, known, f"'{short(word)}'")


def _asked(path: Path, known: Sequence[str]) -> Iterator[list[int]]:
    """The rows of a file: by the names in its first line, where other columns may be, or in the order of the inputs."""
    places = list(range(len(known)))
    width = len(known)
    for number, (line, cells) in enumerate(_lines(path)):
        if number == 0 and not set(map(str.lower, cells)) <= VALUES.keys():
            if missing := [name for name in known if name not in cells]:
                raise UserError(
                    f"{path}: the first line must name every input; {short(', '.join(missing))} is missing."
                )
            places, width = [cells.index(name) for name in known], len(cells)
        elif len(cells) != width:
            raise UserError(f"{path}, line {line}: a row must have {width} values; got {len(cells)}.")
        else:
            yield _bits([cells[place] for place in places], known, f"{path}, line {line}")
