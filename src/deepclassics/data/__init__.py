"""Data: named sets and the user's own, as splits of examples with their facts.

Nothing heavy is imported before something is loaded: `deepclassics list` and the catalog pass through here.
"""

import importlib
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepclassics.errors import UserError, meant

if TYPE_CHECKING:
    from deepclassics.data.streams import Splits
    from deepclassics.data.words import Reading

CALLED = {
    "image": "pictures",
    "table": "a table",
    "text": "running text",
    "sentence": "texts with labels",
    "tagged": "tagged words",
    "world": "a world",
    "boolean": "a Boolean function",
    "function": "a function of numbers",
    "region": "a region of the plane",
    "network": "a small network",
    "matrix": "one picture or a matrix of numbers",
}
READ = ("text", "sentence", "tagged")  # what words are read from
WRITTEN = ("boolean", "function", "matrix")  # what can be typed where a path stands; their modules have `is_written`
# Files that only the systems that take such things can mean.
SMALL = ("boolean", "function", "region", "network", "matrix")


def load(
    data: str,
    takes: Sequence[str],
    *,
    seed: int,
    valid: float = 0.1,
    test: float = 0.2,
    target: str | None = None,
    skip_bad: bool = False,
    size: int | tuple[int, int] | None = None,
    least: int = 1,
    words: int = 0,
    reading: "Reading | None" = None,
    alone: bool = False,
) -> "Splits":
    """A named set, or what lies at a path, as examples to learn from, to choose by and to judge with.

    `takes` are the kinds of data that will do. `valid` and `test` are the shares held back where the source itself has
    no such parts, and `seed` decides what is held back. `target` is the column of a table to be predicted; `skip_bad`
    leaves pictures out that cannot be read; `size` is the height and width, in pixels, that pictures get, one number
    where they are the same, and where a side would be under `least`, they are scaled up.
    `words` makes bags of so many words of a table's free text; `reading` tells how texts are cut into words, running
    text left by characters without it; a table whose rows may be `alone` needs no target.

    Raises:
        UserError: there is no such set or path, it is of another kind, or it holds what cannot be learnt from.
    """
    if valid + test >= 1:
        raise UserError(f"The shares valid and test must leave something to learn from; got {valid:g} and {test:g}.")
    kind = _kind(data, takes)
    if kind not in takes:
        raise UserError(f"This system takes {' or '.join(CALLED[taken] for taken in takes)}; {data} is {CALLED[kind]}.")
    if target is not None and kind not in ("table", "sentence"):
        raise UserError(f"--target names a column of a table; {data} is {CALLED[kind]}. Leave --target out.")
    raw = _raw(data, kind, target=target, skip_bad=skip_bad, size=size, least=least, alone=alone)
    told: dict[str, Any] = {"words": words} if kind == "table" and words else {}
    if kind in READ and reading is not None:
        told["reading"] = reading
    splits: Splits = _module(kind).splits(raw, seed=seed, valid=valid, test=test, **told)
    return replace(splits, spec={**splits.spec, "data": data})


def _module(kind: str) -> Any:
    return importlib.import_module(f"deepclassics.data.kinds.{kind}")


def _kind(data: str, takes: Sequence[str]) -> str:
    """What kind of data a name or a path stands for, judged without reading more than must be."""
    from deepclassics.data import catalog

    path = Path(data)
    if data in catalog.names():
        kind = catalog.find(data).KIND
        return "sentence" if kind == "table" and "sentence" in takes and "table" not in takes else kind
    if os.path.isdir(data):  # a long formula is no name of a file: os says so, Path would raise
        if "tagged" in takes and any(file.suffix.lower() in _module("tagged").ENDINGS for file in path.iterdir()):
            return "tagged"
        kind = _kind_of_folder(path)
        return "sentence" if kind == "text" and "sentence" in takes and "text" not in takes else kind
    if os.path.exists(data):
        kinds = _kinds_of_file(path, takes)
        return next((kind for kind in kinds if kind in takes), kinds[0])
    if _module("world").is_environment(data):
        return "world"
    if written := [kind for kind in takes if kind in WRITTEN and _module(kind).is_written(data)]:
        return written[0]
    formula = any(kind in ("boolean", "function") for kind in takes)
    raise UserError(
        f"There is no data set '{data}', and no file or folder of that name.{meant(data, catalog.names())} "
        "`deepclassics data list` shows the sets."
        + (" A formula holds an operator or parentheses: '(x)', 'a & b', 'sin(x) + 1'." if formula else "")
    )


def _kind_of_folder(path: Path) -> str:
    for kind in ("image", "text"):
        endings = _module(kind).ENDINGS
        if any(file.suffix.lower() in endings and not file.name.startswith(".") for file in path.rglob("*")):
            return kind
    raise UserError(f"{path}/ must hold pictures, one folder per class, or text files; it holds neither.")


def _kinds_of_file(path: Path, takes: Sequence[str]) -> list[str]:
    """The kinds that a file may be, the likeliest first: a CSV may also write down a world."""
    ending = path.suffix.lower()
    if own := [kind for kind in takes if kind in SMALL and ending in _module(kind).ENDINGS]:
        return own
    if ending == ".npz":
        from deepclassics.data import arrays

        found = arrays.read(path)
        return ["table" if next(iter(found.values()))[0].ndim == 2 else "image"]
    tables = [kind for kind in ("table", "sentence") if kind in takes] or ["table"]
    kinds = tables[:1] * _module("table").is_table(path)
    kinds += ["tagged"] * ("tagged" in takes and ending in _module("tagged").ENDINGS)
    kinds += [kind for kind in ("text", "world") if ending in _module(kind).ENDINGS]
    if not kinds:
        raise UserError(
            f"{path} must be a table ({', '.join(_module('table').ENDINGS)}), a text "
            f"({', '.join(_module('text').ENDINGS)}), arrays (.npz), a world (.json), or a folder of pictures; "
            f"it is none of these by its name. Save it as one of them."
        )
    return kinds


def _raw(
    data: str,
    kind: str,
    *,
    target: str | None,
    skip_bad: bool,
    size: int | tuple[int, int] | None,
    least: int,
    alone: bool,
) -> Any:
    """What a set or a path holds, in the raw form of its kind."""
    from deepclassics.data import catalog

    module, path = _module(kind), Path(data)
    if data in catalog.names():
        raw = catalog.read(data)
        if kind == "image":
            return module.resized(raw, size=size, least=least)
        if kind == "sentence":
            return module.from_table(raw, target=target)
        return module.with_target(raw, target) if target is not None else raw
    if kind == "table":
        return module.from_path(path, target=target, alone=alone)
    if kind == "sentence":
        return module.from_path(path, target=target)
    if kind == "image":
        return module.from_path(path, size=size, least=least, skip_bad=skip_bad)
    if kind == "world" and not os.path.exists(data):
        return module.from_gymnasium(data)
    if kind in WRITTEN and not os.path.exists(data):
        return module.from_words(data)
    return module.from_path(path)
