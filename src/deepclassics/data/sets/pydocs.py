"""Python's help texts: some 465,000 characters of English about the language.

The topics of `help()` in CPython's own `pydoc_data.topics`, in the order of their names. They differ a little from
one version of Python to the next, so figures got on them hold for the version in host.json.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from deepclassics.data.fetch import File

if TYPE_CHECKING:
    from deepclassics.data.kinds.text import Text

KIND = "text"
LICENCE = "PSF-2.0 (Python Software Foundation)"
FILES: tuple[File, ...] = ()
COUNTS = {"all": (350_000, 700_000), "vocabulary": (80, 150)}


def read(paths: dict[str, Path]) -> "Text":
    from pydoc_data.topics import topics

    from deepclassics.data.kinds.text import Text

    return Text({"all": "\n".join(topics[name] for name in sorted(topics))}, unit="character")
