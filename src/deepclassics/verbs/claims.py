"""`claims`: the notes' claims put to the test, and the page that tells how each came out."""

import math
import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from html import escape
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from deepclassics import __version__
from deepclassics.claims import VERDICTS, Claim, find
from deepclassics.errors import UserError
from deepclassics.idle import idle_cores
from deepclassics.progress import duration, figure

SEED = 0  # every test starts from it, so that it comes out the same alone and among all


def examine(number: str, folder: str | None) -> dict[str, Any]:
    """One claim tested, as a row for scripts; its figure, if it has one, is written to `folder`."""
    import torch

    claim = find(number)
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    begun = time.perf_counter()
    found = claim.test()()
    row = {
        "id": claim.id,
        "label": claim.label,
        "claim": claim.claim,
        "notes": claim.notes,
        "verdict": found.verdict,
        "numbers": {name: _strict(value) for name, value in found.numbers.items()},
        "remark": found.remark,
        "figure": None,
        "seconds": round(time.perf_counter() - begun, 2),
    }
    if found.draw is not None and folder is not None:
        from deepclassics.report.html import save
        from deepclassics.report.style import settings

        file = Path(folder) / f"{claim.id}.png"
        with settings():
            save(found.draw(), file)
        row["figure"] = file.name
    return row


def run(chosen: Sequence[Claim], folder: Path | None, told: Callable[[str], None]) -> list[dict[str, Any]]:
    """The chosen claims tested, side by side on the idle cores, one thread each; rows in the order of their numbers."""
    if folder is not None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"{folder} must be a folder to write to: {(error.strerror or str(error)).lower()}."
            ) from None
    where = None if folder is None else str(folder)
    workers = min(idle_cores(), len(chosen))
    if workers == 1:
        rows = []
        for claim in chosen:
            rows.append(examine(claim.id, where))
            told(_line(rows[-1]))
        return rows
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        waiting = [pool.submit(examine, claim.id, where) for claim in chosen]
        for done in as_completed(waiting):
            told(_line(done.result()))
        return sorted((each.result() for each in waiting), key=lambda row: str(row["id"]))


def tally(rows: Sequence[dict[str, Any]]) -> dict[str, int]:
    """How many came out how."""
    return {verdict: sum(row["verdict"] == verdict for row in rows) for verdict in VERDICTS}


def text(row: dict[str, Any]) -> str:
    """One claim to read on a terminal."""
    numbers = "\n".join(f"  {name}: {_told_number(value)}" for name, value in row["numbers"].items())
    remark = f"\n{row['remark']}" if row["remark"] else ""
    return f"{row['id']} {row['label']} ({row['notes']}): {row['verdict']}\n{row['claim']}\n{numbers}{remark}"


def _strict(value: float) -> float | None:
    """A number as JSON knows it; what never came about, such as an end that was not reached, is null."""
    return float(value) if math.isfinite(value) else None


def _told_number(value: float | None) -> str:
    return "none" if value is None else figure(value)


def _line(row: dict[str, Any]) -> str:
    return f"{row['id']} {row['label']}: {row['verdict']} ({duration(row['seconds'])})"


def page(rows: Sequence[dict[str, Any]], folder: Path) -> Path:
    """Writes FOLDER/claims.html and returns its path."""
    from deepclassics.report.html import section, table, whole

    counted = table(
        ["verdict", "claims"],
        [[escape(verdict), str(count)] for verdict, count in tally(rows).items()],
        "Every verdict was computed by the test of its claim; seeds are fixed.",
        numbers=[1],
    )
    contents = table(
        ["claim", "label", "notes", "verdict"],
        [
            [f'<a href="#{row["id"]}">{row["id"]}</a>', escape(row["label"]), escape(row["notes"]), row["verdict"]]
            for row in rows
        ],
        "F0, F2, F3 and F4 are the four files of the notes, L a line of one.",
    )
    body = (
        f"<h1>The claims of the notes, tested</h1>\n"
        f'<p class="lead">{len(rows)} claims, by deepclassics {__version__}.</p>\n'
        + section("Verdicts", counted)
        + section("All claims", contents)
        + "\n".join(_told(row) for row in rows)
    )
    file = folder / "claims.html"
    file.write_text(whole("The claims of the notes, tested", body), encoding="utf-8")
    return file


def _told(row: dict[str, Any]) -> str:
    from deepclassics.report.html import table

    claim = find(row["id"])
    numbers = table(
        ["number", "value"],
        [[escape(name), _told_number(value)] for name, value in row["numbers"].items()],
        f"Computed in {duration(row['seconds'])}.",
        numbers=[1],
    )
    picture = f'<figure><img src="{row["figure"]}" alt="{escape(row["label"])}"></figure>' if row["figure"] else ""
    about = "".join(f"<p>{escape(' '.join(part.split()))}</p>" for part in re.split(r"\n\s*\n", claim.about) if part)
    remark = f"<p>{escape(row['remark'])}</p>" if row["remark"] else ""
    again = f"<pre><code>deepclassics claims run {row['id']}</code></pre>"
    return (
        f'<section id="{row["id"]}"><h2>{row["id"]} {escape(row["label"])}</h2>\n'
        f'<p class="lead">{escape(row["claim"])}</p>\n<p>Notes: {escape(row["notes"])}.</p>\n'
        f'<p class="verdict">{row["verdict"].capitalize()}.</p>{remark}\n{about}\n{numbers}{picture}{again}</section>'
    )
