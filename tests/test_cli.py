"""The command line: start-up, help, sentences for every mistake, results for scripts, the README's own commands."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deepclassics import cli
from deepclassics.run import Run
from deepclassics.systems import names, titles

ROOT = Path(__file__).resolve().parents[1]


def typed(*words: str) -> tuple[int, str, str]:
    """A command in a process of its own: exit status, output, errors."""
    done = subprocess.run([sys.executable, "-m", "deepclassics", *words], capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout, done.stderr


def called(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """The same in this process, which is faster."""
    with pytest.raises(SystemExit) as end:
        cli.main(words)
    out = capsys.readouterr()
    return int(end.value.code or 0), out.out, out.err


def test_list_imports_neither_torch_nor_scikit_learn() -> None:
    """Start-up counts: the verb must not pay for what it does not need."""
    code = (
        "import sys, deepclassics.cli as c\n"
        "try: c.main(['list'])\n"
        "except SystemExit: pass\n"
        "print(*{'torch', 'sklearn', 'numpy', 'pandas', 'matplotlib'} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr.strip() == ""
    assert all(name in done.stdout for name in names())


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["run", "lenet"], "There is no system 'lenet'. Did you mean 'lenet5'?"),
        (["rum", "lenet5"], "There is no verb 'rum'. Did you mean 'run'?"),
        (["run", "lenet5", "--lr", "-1"], "lenet5: lr must be greater than 0; got -1."),
        (["run", "lenet5", "--lr", "nan"], "lenet5: lr must be a finite number; got nan."),
        (["run", "lenet5", "--lr", "fast"], "lenet5: lr must be a number; got fast."),
        (["run", "lenet5", "--batch", "1.5"], "lenet5: batch must be a whole number; got 1.5."),
        (["run", "lenet5", "--lrr", "1"], "has no option '--lrr'. Did you mean '--lr'?"),
        (["run", "lenet5", "--optimizer", "adm"], "Did you mean 'adam'?"),
        (["run", "lenet5", "--lr"], "expected one argument"),
        (["run", "lenet5", "--seeds", "none"], "--seeds must be a whole number"),
        (["run", "lenet5", "--device", "abacus"], "The device must be one that this machine has"),
        (["run", "lenet5", "--device", "meta"], "it must be cpu or cuda"),
        (["run", "mlp", "--hidden", "-5"], "mlp: hidden must be at least 1; got -5."),
        (["run", "mlp", "--seed", "20000000000000"], "mlp: seed must be at most"),
        (["run", "mlp", "--batch-norm", "--batch", "1"], "batch must be 2 or more with batch normalisation"),
        (["run", "mlp", "--optimizer", "nesterov", "--momentum", "0"], "momentum must be greater than 0"),
        (["run", "lenet5", "--precision", "fp64"], "host: precision must be 'auto', 'fp32' or 'bf16'"),
        (["run", "lenet5", "--data", "mnits"], "Did you mean 'mnist'?"),
        (["run", "lenet5", "--data", "tinyshakespeare"], "takes pictures; tinyshakespeare is running text"),
        (["run", "--lr", "1"], "needs a NAME before its flags"),
        (["show", "lenet"], "Did you mean 'lenet5'?"),
        (["list", "nonesuch"], "No system's name or first line holds 'nonesuch'."),
        (["report", "nothing " * 99], "There is no run folder nothing nothing"),
        (["report", "nowhere"], "There is no run folder nowhere."),
        (["predict", "nowhere", "x"], "There is no run folder nowhere."),
        (["compare", "nowhere"], "compare needs two runs or more"),
        (["data", "fetsch"], "There is no `data fetsch`"),
        (["data", "fetch"], "needs the name of a set"),
        (["data", "bundle", "iris"], "--to DIR"),
    ],
)
def test_every_mistake_is_one_sentence_and_exit_status_2(
    words: list[str], sentence: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = called(capsys, *words)
    assert code == 2
    assert sentence in err
    assert err.count("\n") == 1
    assert out == ""
    assert not any(tmp_path.iterdir()), "nothing may be written but the message"


def test_a_run_folder_is_no_system(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "recipe.json").write_text('{"system": "mlp", "knobs": {}, "format": 1}')
    for verb in ("show", "run"):
        code, _, err = called(capsys, verb, str(tmp_path))
        assert code == 2
        assert f"`deepclassics report {tmp_path}` shows the run, `deepclassics show mlp` the system." in err


def test_trace_shows_where_an_error_comes_from(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = called(capsys, "run", "lenet", "--trace")
    assert code == 2
    assert "Traceback" in err


def test_a_defect_of_ours_exits_with_1(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(words: list[str]) -> int:
        raise KeyError("oh")

    monkeypatch.setitem(cli.VERBS, "list", broken)
    code, _, err = called(capsys, "list")
    assert code == 1
    assert "A defect of deepclassics" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("words", [[], ["--help"], ["list", "--help"], ["data", "--help"], ["--version"]])
def test_help_is_there(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = called(capsys, *words)
    assert code == 0
    assert out


def test_run_json_prints_the_result_alone_and_again_prints_it_again(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = ["run", "mlp", "--data", "iris", "--hidden", "8", "--epochs", "5", "--out", str(tmp_path / "run"), "--json"]
    code, out, err = called(capsys, *words)
    assert (code, err) == (0, "")
    result = json.loads(out)
    assert {"system", "steps", "seconds", "scores", "published"} <= set(result)
    assert called(capsys, *words) == (0, out, "")
    code, out, _ = called(capsys, *words[:-1])
    assert code == 0
    assert "test/error" in out
    code, out, err = called(capsys, *words[:-1], "--lr", "0.5")
    assert code == 2
    assert "other knobs: lr 0.001 (now 0.5)" in err


def test_show_tells_the_same_to_people_and_to_scripts(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = called(capsys, "show", "lenet5", "--modern", "--json")
    told = json.loads(out)
    assert code == 0
    assert told["parameters"] == 61_706
    assert told["knobs"]["lr"]["bounds"] == "greater than 0"
    assert told["knobs"]["modern"]["value"] is True
    assert told["published"][0]["value"] == 0.0095
    code, out, _ = called(capsys, "show", "lenet5")
    assert code == 0
    for words in ("Source:", "Departures from the paper:", "Expected:", "60,000", "--clip-norm", "LeCun et al. 1998"):
        assert words in out


def test_compare_names_what_differs(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for name, lr in (("one", "0.01"), ("two", "0.02")):
        words = ["run", "mlp", "--data", "iris", "--hidden", "8", "--epochs", "3", "--lr", lr, "--json"]
        assert called(capsys, *words, "--out", str(tmp_path / name))[0] == 0
    code, out, _ = called(capsys, "compare", str(tmp_path / "one"), str(tmp_path / "two"))
    assert code == 0
    assert "0.01" in out
    assert "0.02" in out
    assert "test/error" in out


def test_several_seeds_give_mean_and_spread(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ["run", "mlp", "--data", "iris", "--hidden", "8", "--epochs", "3", "--seeds", "2", "--json"]
    code, out, err = called(capsys, *words, "--out", str(tmp_path / "runs"))
    assert code == 0, err
    summary = json.loads(out)
    assert summary["seeds"] == [0, 1]
    values = summary["scores"]["test/loss"]["values"]
    assert summary["scores"]["test/loss"]["mean"] == pytest.approx(sum(values) / 2)
    assert [Run.open(path).recipe().seed for path in summary["runs"]] == [0, 1]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_says_how_to_go_on_and_tells_by_its_exit_status(
    number: int, status: int, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    words = ["run", "mlp", "--data", "digits", "--epochs", "100000", "--out", str(out), "--threads", "1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "deepclassics", *words], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while not (out / "last.pt").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.3)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == status, err
    assert "To go on: deepclassics run mlp" in err
    assert str(out) in err
    checkpoint = Run.open(out).checkpoint()
    assert checkpoint is not None
    assert checkpoint["step"] > 0


def test_torchrun_with_two_ranks_gives_the_result_of_one(tmp_path: Path) -> None:
    words = ["run", "mlp", "--data", "digits", "--epochs", "2", "--batch", "32", "--device", "cpu", "--json"]
    code, out, err = typed(*words, "--out", str(tmp_path / "one"), "--threads", "1")
    assert code == 0, err
    one = json.loads(out)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
    done = subprocess.run(
        [*launcher, "-m", "deepclassics", *words, "--out", str(tmp_path / "two")],
        capture_output=True, text=True, timeout=120, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    two = json.loads(done.stdout)
    assert two["steps"] == one["steps"]
    assert two["scores"]["valid/loss"] == pytest.approx(one["scores"]["valid/loss"], rel=1e-3)
    assert Run.open(tmp_path / "two").host()["ranks"] == 2


def test_the_readme_lists_every_system_and_no_other() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.+?) \|", readme, flags=re.MULTILINE)
    assert rows == [(name, family, title) for name, family, title in titles()]


def test_the_readme_s_commands_exist(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every `deepclassics ...` line of the README is a verb with flags that its parser takes."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"^ *(?:\$ )?deepclassics (.+?)(?:  +#.*)?$", readme, flags=re.MULTILINE)
    assert len(commands) >= 10
    for command in commands:
        verb, *rest = command.split()
        assert verb in cli.VERBS, command
        if verb in ("run", "show"):
            code, out, err = called(capsys, verb, rest[0], "--help")
            assert code == 0, err
            for flag in [word.split("=")[0] for word in rest if word.startswith("--")]:
                assert flag in out, command
        if verb in ("predict", "look", "report"):  # of a folder that a command of the README makes
            system = rest[0].removeprefix("runs/")
            assert f"--out {rest[0]}" in readme or f"run {system}" in commands, command
    makes = re.findall(r"^ *(?:\$ )?make (\S+)", readme, flags=re.MULTILINE)
    assert makes[:2] == ["demo", "test"]
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert set(makes) <= set(targets)


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "docs/design.md"])
def test_links_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)]+)\)", text):
        assert link.startswith("http") or (ROOT / page).parent.joinpath(link).exists(), link


def test_the_ledger_s_page_is_written_from_the_ledger() -> None:
    """results.md is never edited by hand: it is what benchmarks/results.py makes of results.jsonl."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    import results

    entries = [json.loads(line) for line in results.LEDGER.read_text(encoding="utf-8").splitlines()]
    assert results.PAGE.read_text(encoding="utf-8") == results.page(entries)


def test_a_recipe_as_words_is_read_back_as_the_same_recipe() -> None:
    """`typed` is the reverse of the parser and `build`, for every sort of knob."""
    from deepclassics.flags import Parser, add_flags, build, typed
    from deepclassics.recipe import find

    for name, knobs in (
        ("mlp", {"hidden": (5, 3), "lr": 0.012345678, "batch_norm": True, "clip_norm": 2.0, "target": "two words"}),
        ("mlp", {"hidden": ()}),
        ("lenet5", {"modern": True, "distort": 0.0}),
    ):
        recipe = find(name)(**knobs)
        parser = Parser("test")
        add_flags(parser, find(name), "knobs")
        words = [word for key, value in recipe.model_dump().items() for word in typed(key, value)]
        assert build(find(name), parser.split(words), name) == recipe
