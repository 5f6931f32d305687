"""Docstrings: sentences about Python's own modules, by what those are for.

Some 8,000 sentences from the docstrings of CPython's standard library, of five words or more; the class is the field
of the module they stand in. They differ a little from one version of Python to the next, so figures got on them hold
for the version in host.json.
"""

import functools
from pathlib import Path
from typing import TYPE_CHECKING

from deepclassics.data.fetch import File

if TYPE_CHECKING:
    from deepclassics.data.kinds.table import Table

KIND = "table"
LICENCE = "PSF-2.0 (Python Software Foundation)"
FILES: tuple[File, ...] = ()
COUNTS = {"all": (4_000, 12_000), "classes": 6, "columns": 2, "missing": 0}

FIELDS = {
    "files": "bz2 configparser csv filecmp fileinput glob gzip linecache lzma mimetypes os pathlib posixpath shelve "
    "shutil tarfile tempfile zipapp zipfile _pyio",
    "language": "bdb code codeop contextlib copy dis enum functools importlib inspect pdb pkgutil runpy symtable "
    "tokenize traceback types typing warnings",
    "network": "email ftplib http imaplib ipaddress mailbox poplib smtplib socket socketserver ssl urllib wsgiref "
    "xmlrpc",
    "numbers": "_pydecimal bisect calendar _pydatetime datetime fractions heapq numbers random secrets statistics",
    "processes": "asyncio concurrent/futures multiprocessing queue sched selectors signal subprocess threading",
    "tests": "cProfile doctest logging profile pstats timeit unittest",
}


@functools.cache
def sentences() -> dict[str, str]:
    """Every sentence and its field. The files are read as text: nothing is imported."""
    import re
    import sysconfig

    library = Path(sysconfig.get_path("stdlib"))
    found: dict[str, str] = {}
    for field, modules in FIELDS.items():
        for module in modules.split():
            for path in sorted([*library.glob(f"{module}.py"), *library.glob(f"{module}/*.py")]):
                for docstring in docstrings(path):
                    for paragraph in re.split(r"\n\s*\n", docstring):
                        for text in re.split(r"(?<=[.!?]) (?=[A-Z])", " ".join(paragraph.split())):
                            if text.endswith(".") and ">>>" not in text and len(re.findall(r"[A-Za-z]+", text)) > 4:
                                found.setdefault(text, field)
    return found


def docstrings(path: Path) -> list[str]:
    """Those of a module, its classes and its functions."""
    import ast

    found: list[str] = []
    inside: list[ast.AST] = [ast.parse(path.read_bytes())]
    while inside:
        node = inside.pop()
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            found.append(ast.get_docstring(node) or "")
            inside += node.body
    return found


def read(paths: dict[str, Path]) -> "Table":
    import pandas as pd

    from deepclassics.data.kinds.table import Table

    return Table({"all": pd.DataFrame(list(sentences().items()), columns=["sentence", "field"])}, target="field")
