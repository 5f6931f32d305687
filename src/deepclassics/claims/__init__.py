"""Claims: what the notes assert, each put to a test that anybody can run.

A claim is one function in a file of its topic here, named by its number and label: `c038_xor_impossible`. Its docstring
is the claim in a sentence, then `Notes:` with the file and lines where it stands, then how it is tested and, where the
printed form is wrong, the right one. It takes nothing, computes, and returns a `Finding`. There is no registry, and
`names()` reads files alone, so listing costs no torch. What the notes tell of a system, and no numbered claim holds,
goes by the system's number: `s207_lstm_steps`.
"""

import ast
import functools
import importlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from deepclassics.errors import UserError, meant

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Verdict = Literal["holds", "holds with a caveat", "fails as printed"]
VERDICTS: tuple[Verdict, ...] = ("holds", "holds with a caveat", "fails as printed")


@dataclass(frozen=True)
class Finding:
    """What a test of a claim found.

    `holds` is whether the test bore the claim out as it is printed; `limited` whether it also found a case, inside
    what the claim speaks of, that must be excepted. Both are computed by the test. `remark` says in a sentence what
    the exception is, or what is right instead; where the verdict is "holds" it is not told.
    """

    holds: bool
    numbers: dict[str, float]  # what the verdict rests on, by names that tell unit and circumstance
    limited: bool = False
    remark: str = ""
    draw: "Callable[[], Figure] | None" = field(default=None, repr=False)

    @property
    def verdict(self) -> Verdict:
        """holds, holds with a caveat, or fails as printed."""
        if not self.holds:
            return "fails as printed"
        return "holds with a caveat" if self.limited else "holds"


class Claim(NamedTuple):
    """Where a claim is and what it says; the test itself is not imported."""

    id: str  # "C038", or "S207"
    label: str  # "xor-impossible"
    topic: str
    function: str
    claim: str
    notes: str  # "F2 L103, L122"
    about: str  # the rest of the docstring

    def test(self) -> Callable[[], Finding]:
        """The function that tests it. Imports its file, and what that needs."""
        found: Callable[[], Finding] = getattr(importlib.import_module(f"{__name__}.{self.topic}"), self.function)
        return found


@functools.cache
def names() -> dict[str, Claim]:
    """Every claim by its number, in order. Imports none of them."""
    found = []
    for path in Path(__file__).parent.glob("*.py"):
        if path.name.startswith("_"):
            continue
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            parts = re.fullmatch(r"([cs]\d{3})_(\w+)", getattr(node, "name", ""))
            if isinstance(node, ast.FunctionDef) and parts:
                found.append(_claim(node, parts[1].upper(), parts[2].replace("_", "-"), path.stem))
    return {claim.id: claim for claim in sorted(found)}


def _claim(node: ast.FunctionDef, number: str, label: str, topic: str) -> Claim:
    text = ast.get_docstring(node) or ""
    first, _, rest = text.partition("\n\n")
    notes = re.search(r"^Notes: (.*?)\.?$", rest, re.MULTILINE)
    about = rest.replace(notes[0], "").strip() if notes else rest
    return Claim(number, label, topic, node.name, " ".join(first.split()), notes[1] if notes else "", about)


def find(word: str) -> Claim:
    """A claim by its number or its label; a sentence with the nearest where there is none."""
    known = names()
    if word.upper() in known:
        return known[word.upper()]
    labels = {claim.label: claim for claim in known.values()}
    if word.lower() in labels:
        return labels[word.lower()]
    nearest = "" if re.fullmatch(r"[cCsS]?\d+", word) else meant(word.lower(), labels)
    raise UserError(f"There is no claim '{word}'.{nearest} `deepclassics claims list` shows them all.")


def rows(chosen: Sequence[Claim]) -> list[dict[str, Any]]:
    """What `claims list` tells of each."""
    return [{"id": each.id, "label": each.label, "claim": each.claim, "notes": each.notes} for each in chosen]
