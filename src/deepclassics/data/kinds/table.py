"""Tables: CSV, TSV, JSON lines, Parquet, compressed or not; or a `.npz` of numbers.

A column becomes features by what it holds, which is judged by the whole table; what is learnt of it (means, medians,
values, words) comes from the training rows alone:

- numbers (true and false among them): standardised, a missing one the median. Where the largest lies over 10
  deviations out, its logarithm is taken before, log(1 + |x| / s) with the sign of x, s the median of all |x| > 0.
- dates: year, month, weekday, day since 1970 and hour, standardised.
- words: one feature for each value. Rare values share one, and those never seen before go with them; where no value
  was rare, one never seen is 0 in all features.
- free text: one feature for each of its commonest words, 1 where it occurs. For systems that ask for bags of words
  instead, the column "words" has the ids of those that occur, in rising order, filled up with -1.

Where values are missing in the training rows, one feature more says so. Identifiers and columns that never change are
left out, by name and with the reason. A column to be predicted holds classes if it holds words, or few whole numbers.

Letters: N rows, D features, L ids of words at most in a row.
"""

import bz2
import csv
import gzip
import io
import json
import lzma
import os
import re
import shlex
import zipfile
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from deepclassics.data import arrays, objects
from deepclassics.data.parts import divide, natural
from deepclassics.data.plain import decoded
from deepclassics.data.streams import Batch, Columns, Splits
from deepclassics.errors import UserError, meant

ENDINGS = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".data")  # .data: UCI's tables, CSV without a head line
COMPRESSED = (".gz", ".xz", ".bz2", ".zip")
MISSING = ("", "?", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "NULL", "Null", "null", "None", "<NA>")

CLASSES = 20  # whole numbers of more values than this are numbers, not classes
LARGEST = 1e100  # of the numbers: their squares can still be summed
TARGETS = 1e15  # of numbers to be predicted: errors in their units are squared and summed in float32
LEAST = 1e-200  # of s in the logarithm: no number is too large to be divided by it
TAIL = 10  # deviations beyond which a column of numbers has a heavy tail
VALUES = 100  # of a column of words that get a feature of their own, at most
WORDS = 1000  # of a column of free text that get a feature, at most
STRAYS = 10  # different words that a column of numbers or dates may hold ("unknown", "-"); they count as missing
FEW = 10  # rows below which nothing is held back: a truth table is learnt whole

NUMBER = re.compile(r"[+-]?(\d+[.,]?\d*|[.,]\d+)(e[+-]?\d+)?|[+-]?inf(inity)?", re.IGNORECASE)
IDENTIFIER = re.compile(
    r"(^|[^a-z])(ids?|key|code|no|nr|num|number|index|idx|uuid|guid|ref|reference|serial|row|record)([^a-z]|$)"
)
# The first that fits all: where day and month cannot be told apart, "/" is read as in the United States.
DATES = ("ISO8601", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%Y/%m/%d", "%d-%m-%Y", "%d %b %Y", "%b %d, %Y", "%d %B %Y",
         "%B %d, %Y", "%d.%m.%Y %H:%M", "%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M", "%d.%m.%Y %H:%M:%S", "%m/%d/%Y %H:%M:%S",
         "%d/%m/%Y %H:%M:%S")  # fmt: skip


@dataclass(frozen=True)
class Table:
    """Rows and the column to be predicted, "" for none: {"all": ...}, or {"train": ...} and what else the source gives
    of "valid", "test". Columns are of numbers, of datetimes, or of strings with NaN for what is missing."""

    parts: dict[str, pd.DataFrame]
    target: str
    name: str = ""


def from_path(path: Path, *, target: str | None = None, alone: bool = False) -> Table:
    """The rows of a file; `target` names the column to be predicted. Rows that are `alone` may do without one.

    A table without a head line is recognised by its first line being like the others; its columns are "1", "2", ...
    """
    if path.suffix.lower() == ".npz":
        raw = from_arrays(arrays.read(path), path.name)
        return raw if target is None else with_target(raw, target)
    frame, _ = _frame(path)
    names = list(frame.columns)
    if target is None and alone:
        return Table({"all": frame}, "", path.name)
    if target is None:
        usual = [name for name in names if name.lower() in ("target", "label", "class", "y", "outcome")]
        raise UserError(
            f"{path.name}: --target must name the column to be predicted, one of {_listed(names)}; "
            f"for example --target {shlex.quote((usual or names)[-1])}."
        )
    return with_target(Table({"all": frame}, "", path.name), target)


def with_target(raw: Table, target: str) -> Table:
    """The same rows with another column to be predicted."""
    names = [str(name) for name in next(iter(raw.parts.values())).columns]
    if target not in names:
        head = " They are numbered from 1, for there is no head line." if _numbered(names) else ""
        raise UserError(
            f"{raw.name or 'The table'} has no column '{target}'.{meant(target, names)} "
            f"Its columns are {_listed(names)}.{head}"
        )
    return replace(raw, target=target)


def from_arrays(found: Mapping[str, tuple[np.ndarray, np.ndarray]], name: str) -> Table:  # {part: ((N, D), (N,))}
    """A table from arrays of numbers; the columns are "1", "2", ..., and what is to be predicted is "label"."""
    parts = {}
    for part, (values, labels) in found.items():
        if values.ndim != 2 or values.dtype.kind not in "biuf":
            raise UserError(
                f"{name}: a table must be an array of numbers of shape (rows, columns); "
                f"got {values.dtype} of shape {values.shape}."
            )
        words = np.char.decode(labels, "utf-8") if labels.dtype.kind == "S" else labels
        parts[part] = pd.DataFrame(values, columns=_numbers_as_names(values.shape[1])).assign(label=words)
    if len({frame.shape[1] for frame in parts.values()}) > 1:
        raise UserError(f"{name}: all parts must have the same number of columns.")
    return Table(parts, "label", name)


def splits(raw: Table, *, seed: int, valid: float, test: float, words: int = 0) -> Splits:
    """Columns "features", (N, D) of float32, and "label", (N,) of int64, or "number", (N,) of float32 in its unit.

    With `words`, free text becomes the column "words" instead, (N, L) of int32: ids of so many commonest words of each
    column, at most. A table without a target has neither labels nor numbers.

    Parts that the source gives are kept. A missing one is cut from the training rows, by chance from `seed`, with
    equal shares of each class: `valid` and `test` are shares of these. Of fewer than FEW rows nothing is cut.
    """
    where = raw.name or "The table"
    parts = {"train" if part == "all" else part: frame for part, frame in raw.parts.items()}
    whole = pd.concat(list(parts.values()), ignore_index=True)
    whole.columns = whole.columns.map(str)
    if len(whole) < 2:
        raise UserError(f"{where} must have 2 rows or more to learn from; it has {len(whole)}.")
    target: dict[str, Any] = {"kind": "none", "name": ""}
    values = np.zeros(len(whole), dtype=np.int64)
    if raw.target:
        values, target = labelled(whole[raw.target], raw.target, where)

    ends = np.cumsum([len(frame) for frame in parts.values()])
    rows = {part: np.arange(end - len(parts[part]), end) for part, end in zip(parts, ends, strict=True)}
    given = rows["train"]
    labels = values[given] if target["kind"] == "class" else np.zeros(len(given), dtype=np.int64)
    held = {
        part: 0.0 if part in parts or len(given) < FEW else share for part, share in (("valid", valid), ("test", test))
    }
    for part, index in divide(labels, seed=seed, **held).items():
        if part == "train" or len(index):
            rows[part] = given[index]
    train = rows["train"]

    inputs = whole.drop(columns=raw.target) if raw.target else whole
    columns, left_out = _learn_all(inputs, train, where, words)
    examples = {"features": torch.from_numpy(_encode(columns, inputs, where))}
    width = examples["features"].shape[1]
    if (bags := _bags(columns, inputs)) is not None:
        examples["words"] = torch.from_numpy(bags)
    if target["kind"] == "number":
        spread = float(values[train].std())
        target |= {"mean": float(values[train].mean()), "std": spread if spread > 0 else 1.0}
        examples["number"] = torch.from_numpy(values.astype(np.float32))
    elif target["kind"] == "class":
        examples["label"] = torch.from_numpy(values)
    found = {
        part: Columns(**{name: column[rows[part]] for name, column in examples.items()})
        for part in ("train", "valid", "test")
        if part in rows
    }
    spec = {
        "kind": "table",
        "data": raw.name,
        "columns": columns,
        "features": width,
        "feature_names": [name for learnt in columns for name in _feature_names(learnt)],
        "left_out": left_out,
        "order": list(whole.columns),  # in the user's file, so that a row can be given without names
        "target": target,
        "examples": {part: len(column) for part, column in found.items()},
    }
    return Splits(spec, **found)


def read(inputs: Sequence[str], spec: dict[str, Any]) -> tuple[list[str], Batch]:
    """Rows as {"features": (N, D)}: files of the same columns, "5.1,3.5,1.4,0.2" in their order, or "width=5.1,...".

    In a file the target may be missing and other columns may be there. Without a head line, and without names, the
    values are those of all columns, of all but the target, or of those that are learnt from.
    """
    names: list[str] = []
    features, bags = [], []
    for word in inputs:
        path = Path(word)
        exists = os.path.exists(word)  # a long row is no name of a file: os says so, Path would raise
        if exists or is_table(path):
            if not (exists and path.is_file() and is_table(path)):
                what = "it is another" if exists else "there is no such file"
                raise UserError(f"{word} must be a row, or a file of rows ({', '.join(ENDINGS)}); {what}.")
            frame, has_head = _frame(path, spec["order"])
            where = path.name
            names += [f"{path.name} row {row}" for row in range(1, len(frame) + 1)]
        else:
            frame, has_head = _row(word, spec)
            where = f"'{word}'"
            names.append(word)
        rows = _aligned(frame, has_head, spec, where)
        features.append(_encode(spec["columns"], rows, where))
        bags.append(_bags(spec["columns"], rows))
    batch = {"features": torch.from_numpy(np.concatenate(features))}
    if held := [bag for bag in bags if bag is not None]:
        longest = max(bag.shape[1] for bag in held)
        padded = [np.pad(bag, ((0, 0), (0, longest - bag.shape[1])), constant_values=-1) for bag in held]
        batch["words"] = torch.from_numpy(np.concatenate(padded))
    return names, batch


# Files


def _frame(path: Path, known: Sequence[str] = ()) -> tuple[pd.DataFrame, bool]:
    """The rows of a file, and whether it names its columns; without names they are "1", "2", ...

    `known` are the columns of the table that was learnt from, which a head line would name.
    """
    content, ending = _content(path)
    if ending == ".parquet":
        return _clean(_from_parquet(content, path), path.name), True
    text = decoded(content, path)
    if not text.strip():
        raise UserError(f"{path} must hold a table; it is empty.")
    if ending in (".jsonl", ".ndjson"):
        return _clean(_from_records(text, path.name), path.name), True
    frame, has_head = _from_csv(text, path.name, "\t" if ending == ".tsv" else "", known)
    return _clean(frame, path.name), has_head


def rows(path: Path) -> pd.DataFrame:
    """The rows of a file as they stand, strings or numbers, for kinds of data that make something else of them."""
    return _frame(path)[0]


def is_table(path: Path) -> bool:
    """Whether a path is named as a table is: "faces.csv", "faces.csv.gz", "faces.zip"."""
    ending, packed = _endings(path)
    return ending in ENDINGS or (packed == ".zip" and not ending)


def _endings(path: Path) -> tuple[str, str]:
    """The ending that tells the format, and that of the compression: (".csv", ".gz")."""
    packed = path.suffix.lower() if path.suffix.lower() in COMPRESSED else ""
    return (Path(path.stem).suffix if packed else path.suffix).lower(), packed


def _content(path: Path) -> tuple[bytes, str]:
    """What a file holds, unpacked, and the ending that tells its format."""
    ending, packed = _endings(path)
    content = path.read_bytes()
    try:
        if packed == ".zip":
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                inside = [name for name in archive.namelist() if Path(name).suffix.lower() in ENDINGS]
                inside = [name for name in inside if not name.startswith("__MACOSX")]
                if len(inside) != 1:
                    raise UserError(
                        f"{path} must hold one table ({', '.join(ENDINGS)}); it holds {len(inside)}. "
                        "Unpack it and give one of its files."
                    )
                return archive.read(inside[0]), Path(inside[0]).suffix.lower()
        unpack = {".gz": gzip.decompress, ".xz": lzma.decompress, ".bz2": bz2.decompress}.get(packed)
        return unpack(content) if unpack else content, ending
    except (OSError, EOFError, ValueError, RuntimeError, lzma.LZMAError, zlib.error, zipfile.BadZipFile) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path} cannot be unpacked: it is damaged or cut short, or not a {packed} file.") from None


def _from_csv(text: str, name: str, delimiter: str, known: Sequence[str]) -> tuple[pd.DataFrame, bool]:
    """Strings as they stand, and whether there is a head line."""
    delimiter = delimiter or _delimiter(text)
    sample, last_line = _check_lines(text, name, delimiter)
    if not sample:
        raise UserError(f"{name} must hold a table; all its lines are empty.")
    has_head = _has_head(sample, known)
    names = _named(sample[0], name) if has_head else _numbers_as_names(len(sample[0]))
    try:
        frame = pd.read_csv(
            io.StringIO(text), sep=delimiter, header=0 if has_head else None, names=names, index_col=False, dtype=str,
            keep_default_na=False, skipinitialspace=True, engine="c",
        )  # fmt: skip
    except pd.errors.ParserError:
        raise UserError(f"{name}, line {last_line:,}: has a quotation mark that is never closed.") from None
    if not len(frame):
        raise UserError(f"{name} must hold rows; it has a head line only.")
    if delimiter != "," and _has_decimal_commas(sample):
        frame = frame.replace(r"^\s*([+-]?\d+),(\d+)\s*$", r"\1.\2", regex=True)
    return frame, has_head


def _has_decimal_commas(rows: Sequence[Sequence[str]]) -> bool:
    """Whether numbers are written 3,5 as in most of Europe."""
    cells = [cell.strip() for row in rows for cell in row]
    if any(re.fullmatch(r"[+-]?\d+\.\d+", cell) for cell in cells):
        return False
    return any(re.fullmatch(r"[+-]?\d+,\d+", cell) for cell in cells)


def _delimiter(text: str) -> str:
    """The one of comma, semicolon and tab that cuts the first lines into the most columns, equally many in each."""
    lines = text.strip()[:100_000].splitlines()[:50]

    def regular(delimiter: str) -> tuple[float, int]:
        widths = Counter(len(row) for row in csv.reader(lines, delimiter=delimiter) if row)
        width, count = max(widths.items(), key=lambda item: (item[1], item[0]))
        return (count / widths.total(), width) if width > 1 else (0.0, 0)

    return max((",", ";", "\t"), key=regular)


def _check_lines(text: str, name: str, delimiter: str) -> tuple[list[list[str]], int]:
    """The first rows, and the line where the last one begins, once it is sure that all rows have as many fields.

    pandas would fill short ones up in silence.
    """
    sample: list[list[str]] = []
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))  # a cell may be a long text
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    begin, line = 1, 1
    try:
        for row in reader:
            begin = line
            if len(row) > 1 or (row and row[0].strip()):
                if sample and len(row) != len(sample[0]):
                    raise UserError(
                        f"{name}, line {begin:,}: has {len(row)} field{'s' * (len(row) > 1)}, the first line has "
                        f"{len(sample[0])}. Every line must have as many; mend this one, or quote its text."
                    )
                if len(sample) < 200:
                    sample.append(row)
            line = reader.line_num + 1
    except csv.Error as error:
        raise UserError(f"{name}, line {line:,}: {error}. Is a quotation mark not closed?") from None
    return sample, begin


def _has_head(rows: Sequence[Sequence[str]], known: Sequence[str]) -> bool:
    """Whether the first row names the columns.

    It does if it holds a name that is known; otherwise if it has a word over nothing but numbers. In a table of words
    alone it does if none of them is also a value of its column, unless it is known that such tables have no head line.
    """
    first, rest = [cell.strip() for cell in rows[0]], rows[1:]
    if known and not _numbered(known):
        return bool(set(first) & set(known))
    below = [[value for row in rest if (value := row[column].strip()) not in MISSING] for column in range(len(first))]
    words = [cell not in MISSING and not NUMBER.fullmatch(cell) for cell in first]
    if any(word and values and all(map(NUMBER.fullmatch, values)) for word, values in zip(words, below, strict=True)):
        return True
    return not known and all(words) and not any(cell in values for cell, values in zip(first, below, strict=True))


def _named(head: Sequence[Any], where: str) -> list[str]:
    """Names from a head line: "column 1" where there is none. One that comes twice is refused: which would be meant?"""
    names = [str(cell).strip() or f"column {number}" for number, cell in enumerate(head, start=1)]
    for name, count in Counter(names).items():
        if count > 1:
            raise UserError(
                f"{where}: every column must have a name of its own; '{name}' comes {count} times. Rename all but one."
            )
    return names


def _from_records(text: str, name: str) -> pd.DataFrame:
    records = []
    for number, line in enumerate(text.split("\n"), start=1):  # not splitlines: JSON may hold other ends of lines
        if line.strip():
            try:
                record = json.loads(line, object_pairs_hook=objects.once)
            except objects.Twice as error:
                raise UserError(f"{name}, line {number:,}: every key must come once; '{error}' comes twice.") from None
            except (ValueError, RecursionError):
                record = None
            if not isinstance(record, dict):
                raise UserError(f'{name}, line {number:,}: must be an object like {{"a": 1}}; got {line.strip()[:40]}.')
            records.append(record)
    return pd.DataFrame(records)


def _from_parquet(content: bytes, path: Path) -> pd.DataFrame:
    try:
        frame = pd.read_parquet(io.BytesIO(content))
    except ImportError:
        raise UserError(
            f"{path}: reading Parquet needs pyarrow. Install it with: pip install 'deepclassics[parquet]'"
        ) from None
    except (OSError, ValueError) as error:  # pyarrow's own errors are of these kinds
        raise UserError(f"{path} must be a Parquet file; it is damaged or another format ({error}).") from None
    return frame if frame.index.names == [None] else frame.reset_index()


def _clean(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """Names as strings, words without blanks around them, NaN for what is missing; lists and the like are refused."""
    columns = {}
    for column, (_, series) in zip(_named(frame.columns, name), frame.items(), strict=True):
        if isinstance(series.dtype, pd.CategoricalDtype):
            series = series.astype(object)
        if series.dtype == object and any(isinstance(value, list | dict | np.ndarray | bytes) for value in series):
            raise UserError(f"{name}: column '{column}' must hold numbers or words; it holds lists or other objects.")
        if series.dtype == object:
            series = series.map(lambda value: value.strip() if isinstance(value, str) else value)
        elif isinstance(series.dtype, pd.StringDtype):
            series = series.str.strip()
        if not pd.api.types.is_numeric_dtype(series) and not pd.api.types.is_datetime64_any_dtype(series):
            series = series.mask(series.isin(MISSING))
        columns[column] = series
    return pd.DataFrame(columns)


# Rows to be asked about


def _row(word: str, spec: dict[str, Any]) -> tuple[pd.DataFrame, bool]:
    """A typed row, and whether its values are named. Where text is all there is, its commas are its own."""
    inputs = [name for name in spec["order"] if name != spec["target"]["name"]]
    if len(inputs) == 1 and spec["columns"][0]["kind"] in ("text", "bag"):
        text = word.removeprefix(f"{inputs[0]}=")
        return _clean(pd.DataFrame({inputs[0]: [text]}, dtype=str), word), True
    try:
        cells = next(csv.reader([word], skipinitialspace=True), [])
    except csv.Error as error:
        raise UserError(f"'{word[:40]}': must be the values of one row, with commas between them; {error}.") from None
    pairs = [cell.partition("=") for cell in cells]
    if not cells or not all(sign for _, sign, _ in pairs):
        return _clean(pd.DataFrame([cells], columns=_numbers_as_names(len(cells)), dtype=str), word), False
    for name, _, _ in pairs:
        if name.strip() not in spec["order"]:
            raise UserError(
                f"'{word}': there is no column '{name.strip()}'.{meant(name.strip(), spec['order'])} "
                f"The columns are {_listed(spec['order'])}."
            )
    names, values = [name.strip() for name, _, _ in pairs], [value for _, _, value in pairs]
    return _clean(pd.DataFrame([values], columns=names, dtype=str), f"'{word}'"), True


def _aligned(frame: pd.DataFrame, has_head: bool, spec: dict[str, Any], where: str) -> pd.DataFrame:
    """The columns that are learnt from, by name, or by place where names are missing."""
    used = [column["name"] for column in spec["columns"]]
    absent = [name for name in used if name not in frame.columns]
    if has_head and not absent:
        return frame[used]
    if has_head and not _numbered(spec["order"]):
        raise UserError(f"{where}: lacks the column{'s' * (len(absent) > 1)} {_listed(absent)}.")
    inputs = [name for name in spec["order"] if name != spec["target"]["name"]]
    for names in (spec["order"], inputs, used):
        if len(names) == frame.shape[1]:
            return frame.set_axis(names, axis=1)[used]
    raise UserError(f"{where}: must have {len(inputs)} values a row, for {_listed(inputs)}; got {frame.shape[1]}.")


# What a column holds


def labelled(series: pd.Series, name: str, where: str) -> tuple[np.ndarray, dict[str, Any]]:
    """The values to be predicted, label ids or numbers, and their facts.

    Words and true/false are classes. Whole numbers are classes if they have at most CLASSES values, and at most one
    for every five rows (three are always few enough); other numbers are numbers.
    """
    gone = series.isna().to_numpy()
    if gone.any():
        raise UserError(
            f"{where}: the target '{name}' must be there in every row; it is missing in {gone.sum():,}, "
            f"first in row {_first(gone)}. Take these rows away."
        )
    words = _as_words(series)
    numbers, strange = _as_numbers(series)
    if not strange.any() and not set(words.str.lower()) <= {"true", "false"}:
        _check_finite(numbers, name, where)
        whole = bool((numbers == np.round(numbers)).all())
        if not whole or len(np.unique(numbers)) > max(3, min(CLASSES, len(numbers) // 5)):
            _check_finite(numbers, name, where, TARGETS)
            return numbers, {"kind": "number", "name": name}
        words = _as_words(pd.Series(numbers))  # "1.0" is the class 1
    classes = natural(words.unique())
    if len(classes) < 2:
        raise UserError(f"{where}: the target '{name}' must have 2 values or more; it is always {classes[0]}.")
    if len(classes) > max(CLASSES, len(words) / 2):
        raise UserError(
            f"{where}: the target '{name}' must hold numbers, or words that come again; it has {len(classes):,} "
            f"different words in {len(words):,} rows, such as '{words[strange].iloc[0]}' in row {_first(strange)}."
        )
    return pd.Categorical(words, categories=classes).codes.astype(np.int64), {
        "kind": "class",
        "name": name,
        "classes": classes,
    }


def _learn_all(
    inputs: pd.DataFrame, train: np.ndarray, where: str, words: int
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """How each column is encoded, and which are left out and why. `train` are the rows to learn from."""
    for keep_numbers in (False, True):  # where identifiers are all there is, numbers are taken for what they are
        found = {name: _learn(name, inputs[name], train, where, words, keep_numbers) for name in inputs.columns}
        columns = [learnt for learnt in found.values() if isinstance(learnt, dict)]
        if columns:
            return columns, {name: reason for name, reason in found.items() if isinstance(reason, str)}
    reasons = ", ".join(f"'{name}' ({reason})" for name, reason in found.items())
    raise UserError(f"{where} must have a column to learn from beside the target; left out are {reasons or 'none'}.")


def _learn(
    name: str, series: pd.Series, train: np.ndarray, where: str, bag: int, keep_numbers: bool
) -> dict[str, Any] | str:
    """How a column is encoded, or why it is left out."""
    present = series.notna().to_numpy()
    seen = series.iloc[train].dropna()
    if not len(seen):
        return "always missing"
    if seen.nunique() == 1 and present[train].all():
        return f"always {seen.iloc[0]}"

    numbers, strange = _as_numbers(series)
    if _mostly(~strange, series, present):
        _check_finite(numbers, name, where)
        if not keep_numbers and series.is_unique and _is_identifier(name, numbers):
            return "an identifier: another whole number in every row"
        gone = np.isnan(numbers[train])
        if gone.all():
            return "always missing"
        column = _learn_numbers(numbers[train]) | {"strays": _strays(series, strange)}
    elif form := _date_format(series, present):
        dates, strange = _as_dates(series, form)
        gone = dates.iloc[train].isna().to_numpy()
        if gone.all():
            return "always missing"
        column = _learn_dates(dates.iloc[train], form) | {"strays": _strays(series, strange)}
    else:
        words = _as_words(series)
        different = words.nunique()
        some = words[present].iloc[:: max(1, present.sum() // 1000)]  # enough to tell texts from names
        if different > max(CLASSES, present.sum() / 2) and some.str.count(r"\w+").mean() >= 3:
            gone = np.zeros(len(train), dtype=bool)  # no text has no words: nothing more need be said
            column = _learn_bag(words.iloc[train], bag) if bag else _learn_text(words.iloc[train])
        elif different == present.sum() >= 10:
            return "an identifier: another word in every row"
        else:
            gone = ~present[train]
            column = _learn_words(words.iloc[train])
    column |= {"name": name, "missing": bool(gone.any())}
    if not _feature_names(column) and not (column["kind"] == "bag" and column["values"]):
        return "nothing in it comes often enough to learn from"
    return column


def _mostly(fits: np.ndarray, series: pd.Series, present: np.ndarray) -> bool:
    """Whether a column is of a kind that nine tenths of its values fit, the others being a few words such as "-"."""
    strays = series[present & ~fits]
    return bool((fits & present).sum() >= max(1.0, 0.9 * present.sum())) and strays.nunique() <= STRAYS


def _is_identifier(name: str, numbers: np.ndarray) -> bool:
    """Whether numbers, all different, are identifiers: whole, and by their name or as they could not be so by chance.

    N numbers drawn from R have no pair with probability exp(-N² / 2R) at most (the birthday problem): under one in a
    thousand where N² / 2R > 7, as for the numbers of rows. Populations of countries, all different too, are kept.
    """
    if bool((numbers != np.round(numbers)).any()):  # so that NaN is not whole either
        return False
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()  # CustomerId -> customer_id
    span = float(numbers.max() - numbers.min()) + 1
    return bool(IDENTIFIER.search(spaced)) or len(numbers) ** 2 / (2 * span) > 7


def _strays(series: pd.Series, strange: np.ndarray) -> list[str]:
    return natural(_as_words(series[strange]).unique()) if strange.any() else []


def _learn_numbers(numbers: np.ndarray) -> dict[str, Any]:
    median = float(np.nanmedian(numbers))
    filled = np.where(np.isnan(numbers), median, numbers)
    scale = 0.0
    if np.abs(filled - filled.mean()).max() > TAIL * filled.std() > 0:
        scale = max(LEAST, float(np.median(np.abs(filled[filled != 0]))))
        filled = _logarithm(filled, scale)
    spread = float(filled.std())
    return {
        "kind": "number",
        "fill": median,
        "log": scale,  # s of the logarithm; 0 where none is taken
        "mean": float(filled.mean()),
        "std": spread if spread > 0 else 1.0,
    }


def _learn_dates(dates: pd.Series, form: str) -> dict[str, Any]:
    parts = {}
    for part, values in _date_parts(dates).items():
        spread = float(np.nanstd(values))
        if spread > 0:
            parts[part] = [float(np.nanmean(values)), spread]
    return {"kind": "date", "format": form, "parts": parts}


def _learn_words(words: pd.Series) -> dict[str, Any]:
    counts = words.value_counts().sort_index().sort_values(ascending=False, kind="stable")
    kept = counts[counts >= _least(len(words))].index[:VALUES]
    # Where all are rare, "other" would be there in every row, or tell the same as "missing".
    return {"kind": "word", "values": natural(kept), "other": 0 < len(kept) < len(counts)}


def _learn_text(words: pd.Series) -> dict[str, Any]:
    counts: Counter[str] = Counter()
    for text in words.dropna():
        counts.update(set(_tokens(text)))
    common = sorted((-count, word) for word, count in counts.items() if count >= _least(len(words)))
    return {"kind": "text", "values": natural(word for _, word in common[:WORDS])}


def _learn_bag(words: pd.Series, most: int) -> dict[str, Any]:
    """The words that come most often, the commonest first; in how many rows does not matter, but in more than one."""
    counts: Counter[str] = Counter()
    rows: Counter[str] = Counter()
    for text in words.dropna():
        tokens = _tokens(text)
        counts.update(tokens)
        rows.update(set(tokens))
    common = sorted((-count, word) for word, count in counts.items() if rows[word] > 1)
    return {"kind": "bag", "values": [word for _, word in common[:most]]}


def _least(rows: int) -> int:
    """Rows in which a value must occur to have a feature of its own."""
    return min(10, max(1 if rows < 20 else 2, rows // 50))


def _tokens(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


# From columns to features


def _feature_names(column: dict[str, Any]) -> list[str]:
    name = column["name"]
    if column["kind"] == "number":
        names = [name]
    elif column["kind"] == "date":
        names = [f"{name}: {part}" for part in column["parts"]]
    elif column["kind"] == "word":
        names = [f"{name}={value}" for value in column["values"]] + [f"{name}: other"] * column["other"]
    elif column["kind"] == "text":
        names = [f"{name}: {word}" for word in column["values"]]
    else:
        names = []  # a bag's words are no features of their own: they stand in the column "words"
    return names + [f"{name}: missing"] * column["missing"]


def _encode(columns: Sequence[dict[str, Any]], inputs: pd.DataFrame, where: str) -> np.ndarray:  # -> (N, D)
    """Features of float32 from the columns' values."""
    widths = [len(_feature_names(column)) for column in columns]
    features = np.zeros((len(inputs), sum(widths)), dtype=np.float32)
    begin = 0
    for column, width in zip(columns, widths, strict=True):
        gone = _fill(features[:, begin : begin + width], column, inputs[column["name"]], where)
        if column["missing"]:
            features[:, begin + width - 1] = gone
        begin += width
    return features


def _bags(columns: Sequence[dict[str, Any]], inputs: pd.DataFrame) -> np.ndarray | None:  # -> (N, L) of int32
    """The ids of the words that occur in each row, in rising order, then -1; None where no column is a bag.

    Several columns share one row of ids: those of the second begin where those of the first end.
    """
    bags = [column for column in columns if column["kind"] == "bag"]
    if not bags:
        return None
    found: list[list[int]] = [[] for _ in range(len(inputs))]
    begin = 0
    for column in bags:
        places = {word: place for place, word in enumerate(column["values"], start=begin)}
        texts = _as_words(inputs[column["name"]])
        for ids, text, gone in zip(found, texts, texts.isna(), strict=True):
            if not gone:
                ids += sorted({places[word] for word in _tokens(text) if word in places})
        begin += len(places)
    held = np.full((len(found), max(1, *map(len, found))), -1, dtype=np.int32)
    for row, ids in zip(held, found, strict=True):
        row[: len(ids)] = ids
    return held


def _fill(features: np.ndarray, column: dict[str, Any], series: pd.Series, where: str) -> np.ndarray:
    """Writes one column's features, (N, d) of zeros, and returns where its values are missing, (N,) of bool."""
    if column["kind"] == "number":
        numbers, strange = _as_numbers(series)
        _check_strays(series, strange, column, where, "a number")
        _check_finite(numbers, column["name"], where)
        gone = np.isnan(numbers)
        filled = np.where(gone, column["fill"], numbers)
        if column["log"]:
            filled = _logarithm(filled, column["log"])
        # A thousand deviations out is a slip of the pen already; beyond, float32 would overflow at some point.
        with np.errstate(over="ignore"):
            features[:, 0] = ((filled - column["mean"]) / column["std"]).clip(-1000, 1000)
    elif column["kind"] == "date":
        dates, strange = _as_dates(series, column["format"])
        _check_strays(series, strange, column, where, f"a date written as {column['format']}")
        gone = dates.isna().to_numpy()
        parts = _date_parts(dates)
        for place, (part, (mean, std)) in enumerate(column["parts"].items()):
            features[:, place] = np.where(gone, 0.0, (parts[part] - mean) / std)
    elif column["kind"] == "bag":
        gone = np.zeros(len(series), dtype=bool)
    else:
        words = _as_words(series)
        gone = words.isna().to_numpy()
        places = {value: place for place, value in enumerate(column["values"])}
        if column["kind"] == "text":
            for row, text in enumerate(words):
                if not gone[row]:
                    features[row, [places[word] for word in _tokens(text) if word in places]] = 1
        else:
            codes = words.map(places).fillna(-1).to_numpy(dtype=np.int64)
            known = codes >= 0
            features[np.flatnonzero(known), codes[known]] = 1
            if column["other"]:
                features[:, len(places)] = ~known & ~gone
    return gone


def _logarithm(numbers: np.ndarray, scale: float) -> np.ndarray:
    return np.sign(numbers) * np.log1p(np.abs(numbers) / scale)


def _date_parts(dates: pd.Series) -> dict[str, np.ndarray]:  # (N,) -> {part: (N,) with NaN where missing}
    return {
        "year": dates.dt.year.to_numpy(np.float64, na_value=np.nan),
        "month": dates.dt.month.to_numpy(np.float64, na_value=np.nan),
        "weekday": dates.dt.day_of_week.to_numpy(np.float64, na_value=np.nan),  # 0 is Monday
        "day": np.where(dates.isna(), np.nan, dates.to_numpy().astype("datetime64[D]").astype(np.float64)),
        "hour": (dates.dt.hour + dates.dt.minute / 60).to_numpy(np.float64, na_value=np.nan),
    }


# Values as numbers, dates and words


def _as_numbers(series: pd.Series) -> tuple[np.ndarray, np.ndarray]:  # -> (N,) of float64, (N,) of bool
    """The values as numbers, NaN where missing or none, and where they are there but no numbers. Truth is 1 and 0."""
    present = series.notna().to_numpy()
    if pd.api.types.is_datetime64_any_dtype(series):
        return np.full(len(series), np.nan), present
    codes, values = pd.factorize(series)  # most values come again and again: each is read once
    distinct = pd.Series(values)
    numbers = np.array(pd.to_numeric(distinct, errors="coerce").to_numpy(np.float64, na_value=np.nan))
    words = np.isnan(numbers)
    if words.any():
        numbers[words] = distinct[words].astype(str).str.lower().map({"true": 1.0, "false": 0.0}).to_numpy(np.float64)
    numbers = np.append(numbers, np.nan)[codes]  # missing values have the code -1, and so the last number
    return numbers, np.isnan(numbers) & present


def _as_dates(series: pd.Series, form: str) -> tuple[pd.Series, np.ndarray]:  # -> (N,) of datetime64, (N,) of bool
    """The values as moments in universal time, and where they are there but no dates of this form."""
    words = series if pd.api.types.is_datetime64_any_dtype(series) else _as_words(series)
    dates = pd.to_datetime(words, format=form, errors="coerce", utc=True).dt.tz_localize(None)
    return dates, (dates.isna() & series.notna()).to_numpy()


def _date_format(series: pd.Series, present: np.ndarray) -> str:
    """How the dates of a column are written, or nothing if it holds none."""
    if pd.api.types.is_datetime64_any_dtype(series):
        return "ISO8601"
    some = _as_words(series[present]).drop_duplicates().iloc[:100]
    if not some.str.contains(r"\d").any():
        return ""
    likely = [form for form in DATES if _as_dates(some, form)[1].mean() < 0.5]
    return next((form for form in likely if _mostly(~_as_dates(series, form)[1], series, present)), "")


def _as_words(series: pd.Series) -> pd.Series:
    """The values as strings, NaN where missing; whole numbers without a point."""

    def word(value: Any) -> str:
        return str(int(value)) if isinstance(value, float | np.floating) and value.is_integer() else str(value)

    codes, values = pd.factorize(series)
    words = np.array([*map(word, values), np.nan], dtype=object)
    return pd.Series(words[codes], index=series.index, dtype=object)


def _check_strays(series: pd.Series, strange: np.ndarray, column: dict[str, Any], where: str, what: str) -> None:
    """Words among numbers or dates are refused, except those that the table learnt from had in the column too."""
    unknown = strange & ~_as_words(series).isin(column["strays"]).to_numpy() if strange.any() else strange
    if unknown.any():
        raise UserError(
            f"{where}, row {_first(unknown)}: '{column['name']}' must be {what}; got '{series[unknown].iloc[0]}'."
        )


def _check_finite(numbers: np.ndarray, name: str, where: str, most: float = LARGEST) -> None:
    infinite = np.isinf(numbers)
    if infinite.any():
        raise UserError(
            f"{where}, row {_first(infinite)}: '{name}' must be a finite number; got {numbers[infinite][0]}. "
            "Leave the cell empty if the value is not known."
        )
    large = np.abs(numbers) > most
    if large.any():
        raise UserError(
            f"{where}, row {_first(large)}: '{name}' must be a number of at most {most:g} in size; got "
            f"{numbers[large][0]:g}. Write it in larger units, or leave the cell empty if it is a mistake."
        )


# Words for sentences


def _first(mask: np.ndarray) -> str:
    """The number of the first row that is marked, counted from 1, a head line not counted."""
    return f"{int(np.argmax(mask)) + 1:,}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:30]) + (f", ... ({len(names)} in all)" if len(names) > 30 else "")


def _numbers_as_names(count: int) -> list[str]:
    return [str(number) for number in range(1, count + 1)]


def _numbered(names: Sequence[str]) -> bool:
    """Whether these are the names that columns without a head line get."""
    return list(names) == _numbers_as_names(len(names))
