"""Texts with labels: a table with a column of text and one of classes, or a folder of text files for each class.

The vocabulary is that of the training texts, the commonest word first. Number 0 stands for no word: batches of texts
of unequal length are filled up with it; 1 is every word that is not in the vocabulary.

Letters: N texts, B texts of a question, T words of the longest, S words of all.
"""

import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from deepclassics.data import words
from deepclassics.data.kinds import table
from deepclassics.data.kinds.table import Table
from deepclassics.data.parts import NAMES, divide
from deepclassics.data.plain import decoded
from deepclassics.data.streams import Batch, Columns, Ragged, Splits
from deepclassics.data.words import NOTHING, UNKNOWN, Reading
from deepclassics.errors import UserError

ENDINGS = (".txt", ".md", ".text")
FOLDS = 10


@dataclass(frozen=True)
class Sentences:
    """Rows with a column "text" and one of labels: {"all": ...}, or {"train": ...} and what else the source gives."""

    parts: dict[str, pd.DataFrame]
    text: str  # the name of the column
    target: str
    name: str = ""
    files: bool = False  # whether every text is a file of its own


def from_table(raw: Table, target: str | None = None) -> Sentences:
    """The column of labels is the table's own, or `target`; the text is the other that holds the longest strings."""
    if target is not None:
        raw = table.with_target(raw, target)
    where = raw.name or "The table"
    whole = pd.concat(list(raw.parts.values()), ignore_index=True)
    lengths = {
        str(name): float(series.dropna().str.len().mean())
        for name, series in whole.items()
        if len(series.dropna()) and series.dropna().map(lambda value: isinstance(value, str)).all()
    }
    own = lengths.pop(raw.target, 0.0)
    if whole.shape[1] > 1 and own > max(lengths.values(), default=0.0) and _is_text(whole[raw.target].dropna()):
        kinds = {str(name): series.nunique() for name, series in whole.drop(columns=raw.target).items()}
        others = sorted(kinds, key=lambda name: (kinds[name] < 2, kinds[name]))
        raise UserError(
            f"{where}: the target '{raw.target}' is the column of text itself. Name the column of the classes, one of "
            f"{', '.join(others[:10])}; for example --target {shlex.quote(others[0])}."
        )
    if not lengths:
        raise UserError(f"{where} must have a column of text beside '{raw.target}'; it has none.")
    return Sentences(raw.parts, max(lengths, key=lengths.__getitem__), raw.target, raw.name)


def from_path(path: Path, target: str | None = None) -> Sentences:
    """A table; or a folder that holds one folder of text files for each class, perhaps inside folders "train", ..."""
    if not path.is_dir():
        return from_table(table.from_path(path, target=target))
    if target is not None:
        raise UserError(
            f"--target names a column of a table; in {path}/ the folders are the classes. Leave --target out."
        )
    folders = _folders(path)
    if folders and all(folder.name.lower() in NAMES for folder in folders):
        parts = {NAMES[folder.name.lower()]: _from_folder(folder) for folder in folders}
        if "train" not in parts:
            raise UserError(f"{path}/ must hold a folder 'train' beside {', '.join(parts)}.")
    else:
        parts = {"all": _from_folder(path)}
    return Sentences(parts, "text", "class", path.name, files=True)


def _is_text(series: pd.Series) -> bool:
    """Whether strings are texts and no names of classes: most of them are of two words or more, and come once."""
    return bool(series.str.contains(r"\S\s+\S").mean() > 0.5 and series.nunique() > len(series) / 2)


def _folders(path: Path) -> list[Path]:
    return sorted(each for each in path.iterdir() if each.is_dir() and not each.name.startswith("."))


def _from_folder(path: Path) -> pd.DataFrame:
    """A text a file, in the order of their names."""
    classes = _folders(path)
    if len(classes) < 2:
        raise UserError(
            f"{path}/ must hold a folder of text files for each of 2 classes or more; it holds {len(classes)}."
        )
    rows = []
    for folder in classes:
        files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in ENDINGS)
        if not files:
            raise UserError(
                f"{folder}/ must hold text files ({', '.join(ENDINGS)}): it stands for a class; it has none."
            )
        rows += [(decoded(file.read_bytes(), file), folder.name) for file in files]
    return pd.DataFrame(rows, columns=["text", "class"])


def splits(raw: Sentences, *, seed: int, valid: float, test: float, reading: Reading | None = None) -> Splits:
    """Columns "ids", `Ragged` (N, T), and "label", (N,) of int64.

    Parts that the source gives are kept. Where it gives no test part, a `fold` k of the reading is the k-th tenth of
    the rows in an order of chance that is the same for every run; without one, `test` is cut by `seed`, with equal
    shares of each class. So is `valid`, from what is left, where the source has no such part.
    """
    reading = reading or Reading()
    where = raw.name or "The table"
    parts = {"train" if part == "all" else part: frame for part, frame in raw.parts.items()}
    whole = pd.concat(list(parts.values()), ignore_index=True)
    part_of = np.repeat(list(parts), [len(frame) for frame in parts.values()])
    told = []
    empty = np.array([not (isinstance(text, str) and text.strip()) for text in whole[raw.text]])
    if empty.all():
        raise UserError(f"{where} must hold text in the column '{raw.text}'; it is empty in every row.")
    if empty.any():
        count = int(empty.sum())
        told.append(f"Left out: {count:,} row{'s' * (count > 1)} without text, first row {_first(empty)}.")
        whole, part_of = whole[~empty].reset_index(drop=True), part_of[~empty]

    labels, target = table.labelled(whole[raw.target], raw.target, where)
    if target["kind"] != "class":
        raise UserError(
            f"{where}: the target '{raw.target}' must hold classes; it holds numbers of "
            f"{whole[raw.target].nunique():,} values in {len(whole):,} rows. "
            f"Name the column of the classes with --target."
        )
    rows = _divided(part_of, labels, where, seed=seed, valid=valid, test=test, fold=reading.fold)
    lacking = [name for k, name in enumerate(target["classes"]) if not (labels[rows["train"]] == k).any()]
    if lacking:
        raise UserError(
            f"{where}: every class must have rows to learn from; '{lacking[0]}' has none of the "
            f"{len(rows['train']):,}. Take its rows away, or give more of them."
        )

    if "test" in rows and len(rows["test"]):
        unseen = [name for k, name in enumerate(target["classes"]) if not (labels[rows["test"]] == k).any()]
        told += [f"Of no test text, for it has too few: class '{name}'." for name in unseen[:5]]
    texts = whole[raw.text].tolist()
    rule = words.settled(reading.rule, (texts[row] for row in rows["train"]))
    seen: dict[str, int] = {}
    learnt = {}
    if rule == "subwords":
        learnt = {"pieces": words.learnt((texts[row] for row in rows["train"]), reading.vocabulary, reading.lower)}
    pieces = words.pieces(learnt["pieces"]) if learnt else None
    cut = [words.cut(text, rule, reading.lower, pieces) for text in texts]
    values, starts, left_off = _numbered(cut, seen, reading.longest)
    if len(left_off):
        told.append(
            f"Cut off: {len(left_off):,} text{'s' * (len(left_off) > 1)} of more than {reading.longest:,} words, "
            f"{sum(left_off):,} words in all (--longest)."
        )
    ids = Ragged(torch.from_numpy(values), torch.from_numpy(starts))
    counts = np.bincount(ids.rows(torch.from_numpy(rows["train"])).values.numpy(), minlength=len(seen))
    met = Counter({word: int(counts[number]) for word, number in seen.items() if counts[number]})
    vocabulary = words.vocabulary(met, reading.vocabulary, reading.least)
    if not vocabulary:
        raise UserError(
            f"{where} must hold words that come {reading.least} times or more; it has none. Take a smaller --least."
        )
    if reading.also is not None:
        vocabulary += sorted(set(reading.also(seen.keys())) - set(vocabulary))
    vocabulary = [NOTHING, UNKNOWN, *(word for word in vocabulary if word not in (NOTHING, UNKNOWN))]
    number = {word: place for place, word in enumerate(vocabulary)}
    # A word of the text that is written as the filling is not the filling: it is one not known.
    share = 1 - sum(met[word] for word in vocabulary[2:]) / met.total()
    told.append(f"Cut into words by the rule '{rule}'. {words.told(len(vocabulary) - 2, share)}")
    translated = torch.tensor([number.get(word, 1) or 1 for word in seen], dtype=torch.int32)
    ids = Ragged(translated[ids.values], ids.starts)
    label = torch.from_numpy(labels)
    found = {
        part: Columns(ids=ids.rows(index), label=label[index])
        for part, index in ((part, torch.from_numpy(rows[part])) for part in ("train", "valid", "test") if part in rows)
    }
    spec = {
        "kind": "sentence",
        "data": raw.name,
        "rule": rule,
        **learnt,
        "lower": reading.lower,
        "longest": reading.longest,
        "vocabulary": vocabulary,
        "text": raw.text,
        "files": raw.files,
        "target": target,
        "told": told,
        "tested": sha256("\0".join(texts[row] for row in rows.get("test", [])).encode("utf-8", "replace")).hexdigest(),
        "examples": {part: len(columns) for part, columns in found.items()},
    }
    return Splits(spec, **found)


def _divided(
    part_of: np.ndarray, labels: np.ndarray, where: str, *, seed: int, valid: float, test: float, fold: int | None
) -> dict[str, np.ndarray]:  # (N,), (N,) -> {part: (n,) of int64}
    """The numbers of each part's rows."""
    rows = {part: np.flatnonzero(part_of == part) for part in ("train", "valid", "test")}
    if fold is not None:
        if len(rows["test"]):
            raise UserError(f"{where} has a test part of its own, by which it is judged. Leave --fold out.")
        given = rows["train"]
        if len(given) < FOLDS:
            raise UserError(f"{FOLDS} folds need as many rows at least; {where} has {len(given)}.")
        held = np.random.Generator(np.random.PCG64(0)).permutation(len(given)) % FOLDS == fold
        rows["train"], rows["test"] = given[~held], given[held]
    given = rows["train"]
    few = len(given) < table.FEW
    shares = {
        "valid": 0.0 if few or len(rows["valid"]) else valid,
        "test": 0.0 if few or len(rows["test"]) else test,
    }
    for part, index in divide(labels[given], seed=seed, **shares).items():
        if part == "train" or len(index):
            rows[part] = given[index]
    return {part: index for part, index in rows.items() if len(index)}


def _numbered(
    found: Sequence[Sequence[str]], seen: dict[str, int], longest: int
) -> tuple[np.ndarray, np.ndarray, list[int]]:  # -> (S,) of int64, (N + 1,) of int64, words left off
    """Texts as numbers that `seen` holds, end to end, and where each begins; new words are added to it."""
    pieces, left_off = [], []
    for text in found:
        if len(text) > longest:
            left_off.append(len(text) - longest)
        kept = text[:longest]
        pieces.append(np.fromiter((seen.setdefault(word, len(seen)) for word in kept), np.int64, len(kept)))
    return np.concatenate(pieces), np.cumsum([0, *map(len, pieces)], dtype=np.int64), left_off


def read(inputs: Sequence[str], spec: dict[str, Any]) -> tuple[list[str], Batch]:
    """Texts as a batch, {"ids": (B, T) of int64}."""
    names, found = read_rows(inputs, spec)
    return names, {"ids": found["ids"][:]}


def read_rows(inputs: Sequence[str], spec: dict[str, Any]) -> tuple[list[str], dict[str, Any]]:
    """Texts as {"ids": Ragged}: typed ones, the rows of a table, the lines of a text file; the whole file where such
    were learnt from."""
    names: list[str] = []
    texts: list[str] = []
    for typed in inputs:
        path = Path(typed) if " " not in typed or len(typed) < 256 else None  # a long text is no name of a file
        is_file = path is not None and (path.suffix.lower() in ENDINGS or table.is_table(path))
        if path is None or not (is_file and (path.is_file() or " " not in typed)):
            names.append(typed)
            texts.append(typed)
            continue
        if not path.is_file():
            raise UserError(f"{typed} must be a text, or a file of texts; there is no such file.")
        if path.suffix.lower() in ENDINGS:
            written = decoded(path.read_bytes(), path)
            lines = {f"{path.name} line {n}": line for n, line in enumerate(written.split("\n"), 1) if line.strip()}
            found = {path.name: written} if spec["files"] else lines
        else:
            frame = table.rows(path)
            if spec["text"] not in frame.columns:
                raise UserError(
                    f"{path.name} must have the column '{spec['text']}', which holds the text; it has "
                    f"{', '.join(map(str, frame.columns))}."
                )
            found = {f"{path.name} row {n}": text for n, text in enumerate(frame[spec["text"]], 1)}
        names += found
        texts += ["" if pd.isna(text) else str(text) for text in found.values()]
    known = {word: number for number, word in enumerate(spec["vocabulary"])}
    pieces = words.pieces(spec["pieces"]) if "pieces" in spec else None
    rows = []
    for place, (name, text) in enumerate(zip(names, texts, strict=True), 1):
        cut = words.cut(text, spec["rule"], spec["lower"], pieces)[: spec["longest"]]
        if not cut:
            raise UserError(f"Text {place}, '{name}', must hold a word or more; it is empty. Leave it out.")
        rows.append([known.get(word, 1) or 1 for word in cut])
    if not rows:
        raise UserError(f"{', '.join(inputs)} must hold texts, one a line; there is none.")
    return names, {"ids": Ragged.of(rows)}


def _first(mask: np.ndarray) -> str:
    """The number of the first row that is marked, counted from 1."""
    return f"{int(np.argmax(mask)) + 1:,}"
