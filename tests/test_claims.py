"""Claims as a verb: found without torch, listed, run, told on a page, and every mistake a sentence."""

import json
import re
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest

from deepclassics import claims, cli
from deepclassics.claims import VERDICTS, Finding
from deepclassics.verbs import claims as testing

SOURCE = re.compile(r"F[0234] L\d+(-\d+)?(, L\d+(-\d+)?)*")


def called(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        cli.main(["claims", *words])
    out = capsys.readouterr()
    return int(end.value.code or 0), out.out, out.err


def test_listing_costs_neither_torch_nor_numpy() -> None:
    code = (
        "import sys, deepclassics.cli as c\n"
        "try: c.main(['claims', 'list'])\n"
        "except SystemExit: pass\n"
        "print(*{'torch', 'numpy', 'scipy', 'matplotlib'} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr.strip() == ""
    assert "xor-impossible" in done.stdout


def test_no_two_claims_share_a_number_or_a_label() -> None:
    """`names()` is a dictionary, so a second of a number would silently replace the first."""
    found = Counter(
        number
        for file in Path(claims.__file__).parent.glob("*.py")
        for number in re.findall(r"^def ([cs]\d{3})_", file.read_text(encoding="utf-8"), re.MULTILINE)
    )
    assert [number for number, count in found.items() if count > 1] == []
    assert len(claims.names()) == len(found)
    labels = Counter(claim.label for claim in claims.names().values())
    assert [label for label, count in labels.items() if count > 1] == []


@pytest.mark.parametrize("claim", claims.names().values(), ids=lambda claim: claim.id)
def test_every_claim_says_what_it_is_where_it_stands_and_how_it_is_tested(claim: claims.Claim) -> None:
    assert claim.claim.endswith(".")
    assert all(SOURCE.fullmatch(part) for part in claim.notes.split("; ")), claim.notes
    assert len(claim.about) > 40


def test_a_verdict_follows_from_what_was_found() -> None:
    assert Finding(holds=True, numbers={}).verdict == "holds"
    assert Finding(holds=True, limited=True, numbers={}).verdict == "holds with a caveat"
    assert Finding(holds=False, numbers={}).verdict == "fails as printed"
    assert Finding(holds=False, limited=True, numbers={}).verdict == "fails as printed"


def test_list_shows_all_or_those_about_a_word(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = called(capsys, "list")
    assert status == 0
    assert all(number in out for number in claims.names())
    _, out, _ = called(capsys, "list", "six", "relus", "--json")
    assert [row["id"] for row in json.loads(out)] == ["C144"]
    assert json.loads(out)[0]["notes"] == "F3 L514-527"


@pytest.mark.parametrize("word", ["C144", "c144", "six"])
def test_run_tells_claim_source_verdict_and_numbers(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = called(capsys, "run", word)
    assert status == 0
    assert out.startswith("C144 six (F3 L514-527): holds with a caveat\nSix ReLUs approximate the curve.\n")
    assert "largest error on [-2, 2]: 2.3" in out


def test_a_claim_comes_out_the_same_alone_and_among_others(capsys: pytest.CaptureFixture[str]) -> None:
    _, alone, _ = called(capsys, "run", "C006", "--json")
    _, among, _ = called(capsys, "run", "C041", "C006", "--json")
    assert json.loads(alone)[0]["numbers"] == {row["id"]: row["numbers"] for row in json.loads(among)}["C006"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["run", "C999"], "There is no claim 'C999'."),
        (["run", "xor-imposible"], "There is no claim 'xor-imposible'. Did you mean 'xor-impossible'?"),
        (["run"], "`claims run` needs the numbers or labels of claims, or else --all; got neither."),
        (["run", "C038", "--all"], "`claims run` needs the numbers or labels of claims, or else --all; got both."),
        (["rum"], "There is no `claims rum`; there are list and run. Did you mean 'run'?"),
        (["list", "zebra"], "No claim holds 'zebra'."),
        (["run", "C038", "--too", "x"], "has no option '--too'. Did you mean '--to'?"),
    ],
)
def test_mistakes_are_sentences(words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = called(capsys, *words)
    assert (status, out) == (2, "")
    assert sentence in err
    assert err.count("\n") == 1


def test_a_file_where_the_page_should_go_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "taken").write_text("")
    status, _, err = called(capsys, "run", "C038", "--to", str(tmp_path / "taken"))
    assert status == 2
    assert "must be a folder to write to" in err


def test_run_all_writes_the_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On three claims, one of each verdict, the last with a figure."""
    few = {number: claims.names()[number] for number in ("C002", "C038", "C144")}
    monkeypatch.setattr(claims, "names", lambda: few)
    monkeypatch.setattr(testing, "idle_cores", lambda: 1)
    status, out, _ = called(capsys, "run", "--all", "--to", str(tmp_path / "audit"))
    assert status == 0
    assert "1 holds, 1 holds with a caveat, 1 fails as printed" in out
    page = (tmp_path / "audit" / "claims.html").read_text(encoding="utf-8")
    for number, claim in few.items():
        assert f'<section id="{number}">' in page
        assert claim.claim in page
        assert f"Notes: {claim.notes}." in page
    assert 'src="C144.png"' in page
    assert (tmp_path / "audit" / "C144.png").stat().st_size > 1000
    assert all(verdict.capitalize() in page for verdict in VERDICTS)


def test_a_test_that_fails_is_a_row_among_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from deepclassics.claims import threshold

    few = {number: claims.names()[number] for number in ("C002", "C038")}
    monkeypatch.setattr(claims, "names", lambda: few)
    monkeypatch.setattr(testing, "idle_cores", lambda: 1)
    monkeypatch.setattr(threshold, "c002_nonsep", lambda: [][0])
    status, out, _ = called(capsys, "run", "--all", "--to", str(tmp_path))
    assert status == 1
    assert "1 holds, 0 holds with a caveat, 0 fails as printed, 1 could not be tested" in out
    page = (tmp_path / "claims.html").read_text(encoding="utf-8")
    assert '<p class="verdict">Could not be tested.</p><p>The test failed: list index out of range (IndexError' in page
    status, out, _ = called(capsys, "run", "C002")
    assert status == 1
    assert out.startswith("C002 nonsep (F0 L19): could not be tested\n")
    assert "The test failed: list index out of range (IndexError, at test_claims.py:" in out


def test_a_process_that_dies_leaves_a_row_for_each_claim_it_takes_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Dead(ThreadPoolExecutor):
        def __init__(self, workers: int, mp_context: object) -> None:
            super().__init__(workers)

    def examine(number: str, folder: str | None) -> dict[str, object]:
        raise BrokenProcessPool("a process ended abruptly")

    monkeypatch.setattr(testing, "ProcessPoolExecutor", Dead)
    monkeypatch.setattr(testing, "examine", examine)
    monkeypatch.setattr(testing, "idle_cores", lambda: 2)
    rows = testing.run([claims.names()[number] for number in ("C038", "C002")], None, lambda line: None)
    assert [(row["id"], row["verdict"]) for row in rows] == [("C002", testing.UNTESTED), ("C038", testing.UNTESTED)]
    assert testing.tally(rows)[testing.UNTESTED] == 2
    assert "a process ended abruptly (BrokenProcessPool" in rows[0]["remark"]


@pytest.mark.parametrize(("limited", "told"), [(True, "An exception."), (False, "")])
def test_a_remark_is_told_only_beside_a_verdict_that_needs_one(
    limited: bool, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from deepclassics.claims import threshold

    found = Finding(holds=True, limited=limited, numbers={}, remark="An exception.")
    monkeypatch.setattr(threshold, "c002_nonsep", lambda: found)
    assert testing.examine("C002", None)["remark"] == told


def test_run_all_as_json_has_a_row_a_claim(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    few = {number: claims.names()[number] for number in ("C002", "C038")}
    monkeypatch.setattr(claims, "names", lambda: few)
    monkeypatch.setattr(testing, "idle_cores", lambda: 1)
    _, out, _ = called(capsys, "run", "--all", "--to", str(tmp_path), "--json")
    rows = json.loads(out)
    assert [(row["id"], row["label"], row["verdict"]) for row in rows] == [
        ("C002", "nonsep", "fails as printed"),
        ("C038", "xor-impossible", "holds"),
    ]
    assert rows[0]["numbers"]["separable ones"] == 14


@pytest.mark.long
def test_side_by_side_gives_what_one_process_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = [claims.names()[number] for number in ("C041", "C198")]
    rows = []
    for cores in (1, 2):
        monkeypatch.setattr(testing, "idle_cores", lambda cores=cores: cores)
        found = testing.run(chosen, None, lambda line: None)
        rows.append([(row["id"], row["verdict"], row["numbers"]) for row in found])
    assert rows[0] == rows[1]
