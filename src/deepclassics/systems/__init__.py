"""Which systems there are, by their files alone: nothing of them is imported, so `list` costs no torch.

A system is one file under `systems/<family>/`, and the file's name is the system's name. There is no registry.
"""

import ast
import functools
from pathlib import Path

from deepclassics.errors import UserError, meant

FAMILIES = Path(__file__).parent


@functools.cache
def names() -> dict[str, str]:
    """Every system's name and module, in the order of the families' and files' names. Imports nothing."""
    files = sorted(path for path in FAMILIES.glob("*/*.py") if not path.name.startswith("_"))
    return {path.stem: f"deepclassics.systems.{path.parent.name}.{path.stem}" for path in files}


def titles() -> list[tuple[str, str, str]]:
    """(name, family, one sentence) of every system, from the first lines of their files."""
    rows = []
    for name, module in names().items():
        first = docstring(name).partition("\n")[0]
        rows.append((name, module.split(".")[-2], first.partition(": ")[2] or first))
    return rows


def docstring(name: str) -> str:
    """The docstring of a system's file, read without importing it."""
    module = names()[check(name)]
    path = FAMILIES.joinpath(*module.split(".")[2:]).with_suffix(".py")
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""


def check(name: str) -> str:
    """`name` itself where there is such a system; a sentence with the nearest name where there is none."""
    if name not in names():
        raise UserError(f"There is no system '{name}'.{meant(name, names())} `deepclassics list` shows them all.")
    return name
