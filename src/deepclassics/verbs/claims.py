"""`claims`: the notes' claims put to the test, and the page that tells how each came out."""

import math
import re
import time
import traceback
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

UNTESTED = "could not be tested"  # no verdict: the test itself failed
SEED = 0  # every test starts from it, so that it comes out the same alone and among all


def examine(number: str, folder: str | None) -> dict[str, Any]:
    """One claim tested, as a row for scripts; its figure, if it has one, is written to `folder`.

    A test that fails is a row as well: one of many must not end the others.
    """
    claim, begun = find(number), time.perf_counter()
    try:
        told = _tested(claim, folder)
    except Exception as error:  # whatever a test may raise
        told = _untested(error)
    return _named(claim) | told | {"seconds": round(time.perf_counter() - begun, 2)}


def _named(claim: Claim) -> dict[str, Any]:
    return {"id": claim.id, "label": claim.label, "claim": claim.claim, "notes": claim.notes}


def _untested(error: BaseException) -> dict[str, Any]:
    """What a row tells of a test that failed: with what, and in which line."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f", at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    remark = f"The test failed: {' '.join(str(error).split()) or 'no message'} ({type(error).__name__}{where})."
    return {"verdict": UNTESTED, "numbers": {}, "remark": remark, "figure": None}


def _tested(claim: Claim, folder: str | None) -> dict[str, Any]:
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    found = claim.test()()
    row = {
        "verdict": found.verdict,
        "numbers": {name: _strict(value) for name, value in found.numbers.items()},
        "remark": "" if found.verdict == "holds" else found.remark,  # it tells the exception, and there is none
        "figure": None,
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
        waiting = {pool.submit(examine, claim.id, where): claim for claim in chosen}
        rows = []
        for done in as_completed(waiting):
            failed = done.exception()  # a process that died, as for want of memory, takes the others' with it
            rows.append(_named(waiting[done]) | _untested(failed) | {"seconds": 0.0} if failed else done.result())
            told(_line(rows[-1]))
        return sorted(rows, key=lambda row: str(row["id"]))


def tally(rows: Sequence[dict[str, Any]]) -> dict[str, int]:
    """How many came out how; how many could not be tested only where there are any."""
    counts = {verdict: sum(row["verdict"] == verdict for row in rows) for verdict in (*VERDICTS, UNTESTED)}
    return {verdict: count for verdict, count in counts.items() if count or verdict != UNTESTED}


def text(row: dict[str, Any]) -> str:
    """One claim to read on a terminal."""
    lines = [f"{row['id']} {row['label']} ({row['notes']}): {row['verdict']}", row["claim"]]
    lines += [f"  {name}: {_told_number(value)}" for name, value in row["numbers"].items()]
    return "\n".join([*lines, row["remark"]] if row["remark"] else lines)


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
