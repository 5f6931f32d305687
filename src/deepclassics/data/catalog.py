"""The named data sets: which there are, what they hold, and where their files lie.

A set is one file under `sets/`; the file's name is the set's name (see `NamedSet` for what it holds). There is no
registry: `names()` looks at files, and `find` imports one of them, which costs neither torch nor pandas.
"""

import functools
import importlib
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, cast

from deepclassics.data.fetch import MISSING, File, expected, fault, had, obtain, places, store
from deepclassics.errors import UserError, meant

Count = int | tuple[int, int]  # exactly, or from least to most


class NamedSet(Protocol):
    """What a module under `sets/` holds, besides a docstring whose first line is its title."""

    KIND: str  # "image", "table", "text" or "world"
    LICENCE: str
    FILES: tuple[File, ...]  # none where the set comes with the package or another
    COUNTS: dict[str, Count]  # what must hold of what was read, by the names of `count`

    def read(self, paths: dict[str, Path]) -> Any:
        """The raw form of its kind, from the files at `paths`, which are named by `File.path`."""


@functools.cache
def names() -> list[str]:
    """The names of all sets, in order. Imports none of them."""
    return sorted(path.stem for path in Path(__file__).parent.glob("sets/*.py") if not path.stem.startswith("_"))


def find(name: str) -> NamedSet:
    """The set of that name; a sentence with the nearest name where there is none."""
    if name not in names():
        raise UserError(
            f"There is no data set '{name}'.{meant(name, names())} `deepclassics data list` shows them all."
        )
    return cast(NamedSet, importlib.import_module(f"deepclassics.data.sets.{name}"))


def read(name: str) -> Any:
    """What a named set holds, in the raw form of its kind and with its name, fetched if need be, and counted."""
    found = find(name)
    raw = found.read({file.path: obtain(file) for file in found.FILES})
    return replace(counted(name, raw), name=name)


def counted(name: str, raw: Any) -> Any:
    """`raw` itself if all that the set's COUNTS tell holds of it.

    Raises:
        UserError: names the set, what was counted, and what must hold.
    """
    found = find(name)
    counts = count(found.KIND, raw)
    for what, must in found.COUNTS.items():
        least, most = must if isinstance(must, tuple) else (must, must)
        if not least <= counts[what] <= most:
            wanted = f"{least:,}" if least == most else f"{least:,} to {most:,}"
            raise UserError(
                f"{name}: {what} must count {wanted}; got {counts[what]:,}. Reading went wrong, or the package that "
                f"the set comes with has changed; please report it with the versions of deepclassics and Python."
            )
    return raw


def count(kind: str, raw: Any) -> dict[str, int]:
    """What can be counted in the raw form of a kind.

    For every part ("train", "valid", "test" or "all") its examples: pictures, rows, or characters or words of text
    (`<eos>` at the end of every line is a word). Beside it "classes", those that occur; for pictures "height", "width"
    and "channels"; for tables "columns" and "missing" values; for text "vocabulary"; for tagged words the "train words"
    and "train names" of every part, and "types" of names. Of a world its "states",
    "actions", "transitions" and "terminal" states.
    """
    if kind == "image":
        import numpy as np

        height, width, channels = next(iter(raw.parts.values()))[0].shape[1:]
        return {
            **{part: len(pictures) for part, (pictures, _) in raw.parts.items()},
            "classes": len(np.unique(np.concatenate([labels for _, labels in raw.parts.values()]))),
            "height": height,
            "width": width,
            "channels": channels,
        }
    if kind == "table":
        import pandas as pd

        whole = pd.concat(raw.parts.values())
        target = whole[raw.target]
        return {
            **{part: len(table) for part, table in raw.parts.items()},
            **({} if pd.api.types.is_numeric_dtype(target) else {"classes": target.nunique()}),
            "columns": len(whole.columns),
            "missing": int(whole.isna().sum().sum()),
        }
    if kind == "text":
        met: set[str] = set()
        counts = {}
        for part, text in raw.parts.items():
            counts[part] = 0
            for line in text.splitlines(keepends=True) if raw.unit == "word" else [text]:  # all words would fill it
                units = line.replace("\n", " <eos> ").split() if raw.unit == "word" else line
                counts[part] += len(units)
                met.update(units)
        return counts | {"vocabulary": len(met)}
    if kind == "tagged":
        from deepclassics.data.tags import entities

        named = {part: [entities(tags) for _, tags in sentences] for part, sentences in raw.parts.items()}
        return {
            **{part: len(sentences) for part, sentences in raw.parts.items()},
            **{f"{part} words": sum(len(row) for row, _ in sentences) for part, sentences in raw.parts.items()},
            **{f"{part} names": sum(map(len, found)) for part, found in named.items()},
            "types": len({kind for found in named.values() for each in found for _, _, kind in each}),
        }
    if kind == "function":
        return {"variables": len(raw.names), "points": 0 if raw.points is None else len(raw.points[1])}
    if kind == "region":
        corners, lines = sum(map(len, raw.polygons)), 0 if raw.lines is None else len(raw.lines)
        return {"polygons": len(raw.polygons), "corners": corners, "lines": lines}
    if kind == "network":
        weights = sum(len(unit.weights) + (unit.bias is not None) for unit in raw.units)
        return {
            "examples": len(raw.x),
            "inputs": len(raw.inputs),
            "units": len(raw.units),
            "connections": weights,
            "outputs": len(raw.outputs),
        }
    if kind == "matrix":
        channels, rows, columns = raw.values.shape
        return {"rows": rows, "columns": columns, "channels": channels}
    return {
        "states": len(raw.states),
        "actions": len(raw.actions),
        "transitions": len(raw.pair),
        "terminal": int(raw.terminal.sum()),
    }


def table(chosen: Sequence[str] = ()) -> list[dict[str, Any]]:
    """A row for every set, or for the chosen: set, title, kind, where ("embedded", "on this machine", "to be
    fetched"), bytes (of its files as they lie here, or would be fetched) and licence. Files are looked for, not
    read."""
    rows = []
    for name in _known(chosen) or names():
        found = find(name)
        files = {expected(file) for file in found.FILES}
        if not files:
            where = "embedded"
        elif all(any(os.access(place, os.R_OK) for place in places(file)) for file in files):
            where = "on this machine"
        else:
            where = "to be fetched"
        size = sum(file.size for file in files)
        row = {"set": name, "title": title(name), "kind": found.KIND, "where": where, "bytes": size}
        rows.append({**row, "licence": found.LICENCE})
    return rows


def title(name: str) -> str:
    """The first line of a set's docstring, without its full stop."""
    return (find(name).__doc__ or "").strip().partition("\n")[0].rstrip(".")


def fetch(chosen: Sequence[str]) -> list[dict[str, Any]]:
    """Have every file of the chosen sets on this machine. A row for every file: set, file, path, licence."""
    return [
        {"set": name, "file": file.path, "path": str(path), "licence": find(name).LICENCE}
        for name in with_files(chosen)
        for file, path in _had(name)
    ]


def verify(chosen: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Check what of the chosen sets (all, if none is named) lies in the cache and in a mirror that is a folder.

    A row for every file at every place, {"set", "path", "right", "says"}; then, where every file of a set is here,
    one for what it holds, read and counted, with the path "". `right` is None where there is nothing to check.
    """
    rows: list[dict[str, Any]] = []
    for name in _known(chosen) or names():
        files = find(name).FILES
        found = {form: _faults(form) for form in {form: None for file in files for form in file.forms}}
        rows += [
            {"set": name, "path": str(path), "right": not wrong, "says": wrong or "has the right SHA-256"}
            for faults in found.values()
            for path, wrong in faults.items()
        ]
        rows += [
            {"set": name, "path": str(places(file)[0]), "right": None, "says": "is not on this machine"}
            for file in files
            if not any(found[form] for form in file.forms)
        ]
        if all(any("" in found[form].values() for form in file.forms) for file in files):
            try:
                counts = count(find(name).KIND, read(name))
                says = ", ".join(f"{what} {number:,}" for what, number in counts.items())
                rows.append({"set": name, "path": "", "right": True, "says": says})
            except UserError as error:
                rows.append({"set": name, "path": "", "right": False, "says": str(error)})
    return rows


def bundle(chosen: Sequence[str], folder: Path) -> list[dict[str, Any]]:
    """Copy the files of the chosen sets into `folder`, which becomes a mirror of them. A row for every file, as
    `fetch`."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"A bundle must go into a folder; {folder} is a file. Name a folder, or a new one, after --to.")
    rows = []
    for name in with_files(chosen):
        for file, source in _had(name):
            target = folder / file.path
            if fault(file, target):
                wrong = store(file, target, [source.read_bytes()])
                assert not wrong, f"{source} {wrong}"
            rows.append({"set": name, "file": file.path, "path": str(target), "licence": find(name).LICENCE})
    return rows


def _had(name: str) -> list[tuple[File, Path]]:
    """The files that a set is read from, each once, and where they lie; fetched if need be."""
    return list(dict.fromkeys(had(file) for file in find(name).FILES))


def _faults(file: File) -> dict[Path, str]:
    """Where on this machine something lies under the name of `file`, and why it is not that; "" where it is."""
    faults = {path: fault(file, path) for path in places(file)}
    return {path: wrong for path, wrong in faults.items() if wrong != MISSING}


def with_files(chosen: Sequence[str]) -> list[str]:
    """The chosen sets, each once; refuses those without files, for which there is nothing to fetch or to bundle."""
    having = [name for name in names() if find(name).FILES]
    if not chosen:
        raise UserError(f"Name the data sets; these have files: {', '.join(having)}.")
    for name in _known(chosen):
        if name not in having:
            raise UserError(f"{name} is embedded: it has no files. These sets have: {', '.join(having)}.")
    return _known(chosen)


def _known(chosen: Sequence[str]) -> list[str]:
    for name in chosen:
        find(name)
    return list(dict.fromkeys(chosen))
