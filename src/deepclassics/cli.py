"""The verbs. It knows no system: names, knobs and pictures are the recipes', questions and answers the kinds'.

Start-up is part of the work: every verb imports what it needs, and `list` needs no torch.
"""

import json
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from deepclassics import __version__, idle  # noqa: F401 (idle watches the machine from here on)
from deepclassics.errors import UserError, meant

USAGE = """\
deepclassics: the classical neural networks as baselines

  list [WORD]               the systems, or those about WORD
  show NAME                 one system: source, knobs, size, published figures
  run NAME [--KNOB VALUE]   train it; again: go on, or print the result
  report RUN                a page of pictures and figures from a run folder
  predict RUN... INPUT...   ask a run about new input, or the average of several; - reads standard input
  look RUN IMAGE...         see inside a run on pictures, and why it answers what it does
  compare RUN RUN...        runs side by side, and what differs
  data list|fetch|verify|bundle
  claims list|run           what the notes claim, put to the test

Every verb has --help; --trace shows where an error comes from."""


def main(words: Sequence[str] | None = None) -> None:
    """Runs one verb and leaves with its exit status: 0, 2 for the user's mistake, 1 for ours, 128 + n for signal n."""
    words = list(sys.argv[1:] if words is None else words)
    trace = "--trace" in words
    if trace:
        words.remove("--trace")
    try:
        sys.exit(_verb(words))
    except UserError as error:
        if trace:
            traceback.print_exc()
        print(error, file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:  # the reader, say `head`, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        if trace:
            traceback.print_exc()
        if isinstance(error, MemoryError) or "out of memory" in str(error) or "allocate memory" in str(error):
            print(
                "The memory of this machine or device is too small. Try a smaller net or --batch.",
                file=sys.stderr,
            )
            sys.exit(2)
        print(
            f"A defect of deepclassics {__version__}, not your mistake: {type(error).__name__}: {error}. "
            f"Run it again with --trace and report what it prints.",
            file=sys.stderr,
        )
        sys.exit(1)


def _verb(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        print(USAGE)
        return 0
    if words[0] in ("-V", "--version"):
        print(__version__)
        return 0
    if words[0] not in VERBS:
        raise UserError(f"There is no verb '{words[0]}'.{meant(words[0], VERBS)} The verbs are {', '.join(VERBS)}.")
    return VERBS[words[0]](words[1:])


def list_systems(words: list[str]) -> int:
    """`list [WORD]`"""
    if words[:1] in (["-h"], ["--help"]):
        print("deepclassics list [WORD]: the systems whose name, family or first line holds WORD")
        return 0
    from deepclassics.systems import titles

    if flags := [word for word in words if word.startswith("-")]:
        raise UserError(f"`list` has no option '{flags[0]}'; it takes a word to look for.")
    wanted = " ".join(words).lower()
    rows = [row for row in titles() if wanted in " ".join(row).lower()]
    if not rows:
        raise UserError(f"No system's name or first line holds '{wanted}'. `deepclassics list` shows them all.")
    width = max(len(name) for name, _, _ in rows)
    for family in dict.fromkeys(family for _, family, _ in rows):
        print(family)
        for name, _, title in [row for row in rows if row[1] == family]:
            print(f"  {name:{width}}  {title}")
    return 0


def show(words: list[str]) -> int:
    """`show NAME [--KNOB VALUE] [--json]`"""
    from deepclassics.systems import check

    name, rest = _name(words, "show")
    _refuse_run(name, "show")
    check(name)
    from deepclassics.flags import Parser, add_flags, build
    from deepclassics.recipe import find
    from deepclassics.verbs import show as showing

    recipe_class = find(name)
    parser = Parser(f"deepclassics show {name}", recipe_class.__doc__ or "")
    parser.add_argument("--json", action="store_true", help="the same for scripts")
    add_flags(parser, recipe_class, "knobs")
    found = parser.split(rest)
    as_json = found.pop("json")
    recipe = build(recipe_class, found, name)
    print(json.dumps(showing.facts(recipe), indent=1, ensure_ascii=False) if as_json else showing.text(recipe))
    return 0


def run(words: list[str]) -> int:
    """`run NAME [--KNOB VALUE] [--out RUN] [--seeds N] [--json]`"""
    from deepclassics.systems import check

    name, rest = _name(words, "run")
    _refuse_run(name, "run")
    check(name)
    from deepclassics.flags import Parser, add_flags, build
    from deepclassics.host import Host
    from deepclassics.recipe import find

    recipe_class = find(name)
    parser = Parser(f"deepclassics run {name}", f"Trains {name}. `deepclassics show {name}` tells more.")
    parser.add_argument("--out", metavar="RUN", help="the run folder [runs/NAME and the knobs given]")
    parser.add_argument("--json", action="store_true", help="the result alone, as JSON, on standard output")
    parser.add_argument("--seeds", metavar="N", help="N runs with seeds from --seed on; mean and spread")
    parser.add_argument("--offline", action="store_true", help="never use the network")
    add_flags(parser, recipe_class, "knobs: what decides the result")
    add_flags(parser, Host, "host: where it runs")
    found = parser.split(rest)
    out, as_json, seeds = found.pop("out"), found.pop("json"), found.pop("seeds")
    if found.pop("offline"):
        os.environ["DEEPCLASSICS_OFFLINE"] = "1"
    host = build(Host, {key: found.pop(key) for key in list(found) if key in Host.model_fields}, "host")
    recipe = build(recipe_class, found, name)
    from deepclassics.verbs import run as results

    if out == "":
        raise UserError("--out must name a folder; it is empty.")
    path = Path(out) if out else results.folder(recipe)
    if seeds is not None:
        if not seeds.isdigit() or int(seeds) < 1:
            raise UserError(f"--seeds must be a whole number of at least 1; got {seeds}.")
        summary = results.several(recipe, int(seeds), path if out else None, host, quiet=as_json)
        print(json.dumps(summary, indent=1) if as_json else results.spread(summary))
        return 0
    from deepclassics.loop import Stopped, carry_out
    from deepclassics.progress import Telling

    try:
        result = carry_out(recipe, path, host, Telling(quiet=as_json or not host.leads))
    except Stopped as stop:
        import shlex

        start = "deepclassics" if host.ranks == 1 else f"torchrun --nproc-per-node {host.ranks} -m deepclassics"
        again = f"{start} run {name} {shlex.join(rest)}".rstrip()
        if host.leads:
            print(f"Stopped and saved. To go on: {again}", file=sys.stderr)
        return 128 + stop.number
    if host.leads:
        print(json.dumps(result, indent=1) if as_json else results.text(result, path))
    return 0


def report(words: list[str]) -> int:
    """`report RUN`"""
    from deepclassics.flags import Parser

    parser = Parser("deepclassics report", "Writes RUN/report/index.html from the run folder.")
    parser.add_argument("run", metavar="RUN")
    found = parser.split(words)
    from deepclassics.report.page import write
    from deepclassics.run import Run

    print(write(Run.open(found["run"]), tell=lambda warning: print(warning, file=sys.stderr)))
    return 0


def predict(words: list[str]) -> int:
    """`predict RUN [RUN...] INPUT... [--test] [--OPTION VALUE] [--to FOLDER] [--csv] [--json] [--skip-bad]`"""
    from deepclassics.flags import Parser, add_flags, build

    path, rest = _name(words, "predict", "RUN")
    from deepclassics.run import Run
    from deepclassics.verbs import predict as asking

    runs = [Run.open(path)]
    while rest and os.path.isfile(os.path.join(rest[0], "recipe.json")):
        runs.append(Run.open(rest[0]))
        rest = rest[1:]
    run, recipe = runs[0], runs[0].recipe()
    asked = "this run" if len(runs) == 1 else f"the average of these {len(runs)} runs"
    parser = Parser(f"deepclassics predict {path}", f"Asks {asked} of {recipe.name()} about new input.")
    told = asking.asked_with(recipe, run.spec()).replace("%", "%%")
    parser.add_argument("input", metavar="INPUT", nargs="*" if "--test" in rest else "+", help=told)
    parser.add_argument("--test", action="store_true", help="ask about the test examples: what is wrong, and the gain")
    parser.add_argument("--to", metavar="FOLDER", help="where pictures are written [RUN/predict]")
    parser.add_argument("--csv", action="store_true", help="comma-separated values, with a line of heads")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--skip-bad", action="store_true", help="leave out pictures that cannot be read, and name them")
    add_flags(parser, recipe.options, "options")
    found = parser.split(rest)
    inputs, to, test, skip_bad = (found.pop(name) for name in ("input", "to", "test", "skip_bad"))
    as_csv, as_json = found.pop("csv"), found.pop("json")
    options = build(recipe.options, found, recipe.name())
    if inputs and test:
        raise UserError(f"`predict --test` asks about the test examples alone; got {inputs[0]} too. Leave one out.")
    inputs = [line for word in inputs for line in (_lines() if word == "-" else [word])]
    if as_csv and as_json:
        raise UserError("`predict` prints --csv or --json; got both. Leave one out.")
    if as_csv or as_json:
        sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]  # whatever the terminal's letters are
    else:
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # letters the terminal lacks
    skipped: dict[str, str] | None = {} if skip_bad else None
    folder = Path(to) if to else run.path / "predict"
    rows = asking.tested(runs) if test else asking.answers(runs, inputs, options, folder, skipped)
    count = 0
    for line in asking.written(rows, "csv" if as_csv else "json" if as_json else "text"):
        print(line)
        count += 1
    sys.stdout.flush()  # here a reader who has gone, say `head`, is no defect
    if skipped:
        bad = "\n".join(f"  {file}: {why}" for file, why in skipped.items())
        if not count:
            raise UserError(f"None of these {len(skipped):,} could be read:\n{bad}")
        print(f"Left out {len(skipped):,} that cannot be read:\n{bad}", file=sys.stderr)
    return 0


def look(words: list[str]) -> int:
    """`look RUN IMAGE... [--unit LAYER:NUMBER] [--class NAME] [--layer LAYER] [--shortcut [KIND]] [--fragility]
    [--to FOLDER] [--json]`"""
    from deepclassics.flags import Parser

    path, rest = _name(words, "look", "RUN")
    parser = Parser(
        f"deepclassics look {path}",
        "What a classifier of pictures looks for, what excites its units, and which pixels its answers rest on.\n\n"
        "Without pictures: the first kernels, and what excites the classes and units of a middle layer. With pictures\n"
        "also what their answers rest on. With --unit what excites those units instead, without the kernels.\n"
        "--shortcut and --fragility add their tests; alone, nothing else is drawn.",
    )
    parser.add_argument("image", metavar="IMAGE", nargs="*", help="pictures whose answers are explained")
    parser.add_argument("--unit", metavar="LAYER:NUMBER", action="append", help="what excites this unit most; repeat")
    parser.add_argument(
        "--class",
        metavar="NAME",
        dest="of_class",
        help="explain why pictures get the score of this class [the one answered]",
    )
    parser.add_argument("--layer", metavar="LAYER", help="where Grad-CAM looks in pictures [the last convolution]")
    parser.add_argument(
        "--shortcut", metavar="{background,mark}", nargs="?", const="both",
        help="right answers when the background, or a mark in the corner, is swapped between classes [both]",
    )  # fmt: skip
    parser.add_argument("--fragility", action="store_true", help="right answers under small changes made to mislead")
    parser.add_argument(
        "--to", metavar="FOLDER", help="a new folder, or that of an earlier page, which is replaced [RUN/look]"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line, the page's path the last")
    found = parser.split(rest)
    if found["shortcut"] not in (None, "both", "background", "mark"):
        raise UserError(f"--shortcut must be 'background' or 'mark', or stand last; got '{found['shortcut']}'.")
    from deepclassics.run import Run
    from deepclassics.verbs import look as looking

    run = Run.open(path)
    rows, page = looking.write(
        run,
        found["image"],
        Path(found["to"]) if found["to"] else run.path / "look",
        units=found["unit"] or (),
        of_class=found["of_class"],
        layer=found["layer"],
        shortcut=found["shortcut"],
        fragility=found["fragility"],
    )
    lines = [json.dumps(row, ensure_ascii=False) for row in [*rows, {"page": str(page)}]]
    print("\n".join(lines) if found["json"] else looking.text(rows, page))
    return 0


def compare(words: list[str]) -> int:
    """`compare RUN RUN... [--json]`"""
    from deepclassics.flags import Parser

    parser = Parser("deepclassics compare", "Runs side by side, and what differs between them.")
    parser.add_argument("runs", metavar="RUN", nargs="+")
    parser.add_argument("--json", action="store_true")
    found = parser.split(words)
    if len(found["runs"]) < 2:
        raise UserError("compare needs two runs or more; got 1.")
    from deepclassics.report import compare as comparing
    from deepclassics.run import Run

    table = comparing.compare([Run.open(path) for path in found["runs"]])
    print(json.dumps(table, indent=1) if found["json"] else comparing.text(table))
    return 0


def data(words: list[str]) -> int:
    """`data list | fetch SET... | verify [SET...] | bundle SET... --to DIR`"""
    import argparse

    from deepclassics.data import catalog

    verbs = {"list": "every named set", "fetch": "bring sets to this machine", "verify": "check what is here",
             "bundle": "copy sets into a folder that serves as a mirror"}  # fmt: skip
    if not words or words[0] in ("-h", "--help"):
        print("deepclassics data " + " | ".join(verbs))
        print("\n".join(f"  {verb:8}{what}" for verb, what in verbs.items()))
        return 0
    if words[0] not in verbs:
        raise UserError(f"There is no `data {words[0]}`; there are {', '.join(verbs)}.")
    parser = argparse.ArgumentParser(prog=f"deepclassics data {words[0]}", exit_on_error=False, allow_abbrev=False)
    parser.add_argument("sets", metavar="SET", nargs="*")
    parser.add_argument("--offline", action="store_true", help="never use the network")
    parser.add_argument("--json", action="store_true")
    if words[0] == "bundle":
        parser.add_argument("--to", metavar="DIR")
    found, unknown = parser.parse_known_args(words[1:])
    if unknown:
        raise UserError(
            f"`data {words[0]}` has no option '{unknown[0]}'; it has --offline, --json and, to bundle, --to."
        )
    if found.offline:
        os.environ["DEEPCLASSICS_OFFLINE"] = "1"
    if words[0] in ("fetch", "bundle") and not found.sets:
        raise UserError(f"`data {words[0]}` needs the name of a set or more. `deepclassics data list` shows them.")
    status = 0
    if words[0] == "list":
        rows = catalog.table(found.sets)
    elif words[0] == "fetch":
        rows = catalog.fetch(found.sets)
    elif words[0] == "verify":
        rows = catalog.verify(found.sets)
        status = 0 if all(row["right"] for row in rows) else 2
    else:
        if not found.to:
            raise UserError("`data bundle` needs a folder to write to: --to DIR.")
        rows = catalog.bundle(found.sets, Path(found.to))
    print(json.dumps(rows, indent=1) if found.json else _table(rows))
    return status


def claims(words: list[str]) -> int:
    """`claims list [WORD] [--json] | run ID... [--all] [--to FOLDER] [--json]`"""
    if not words or words[0] in ("-h", "--help"):
        print(
            "deepclassics claims list [WORD] [--json]: what the notes claim, or what they claim about WORD\n"
            "deepclassics claims run ID... [--json]: test some; an ID is a number, C038, or a label, xor-impossible\n"
            "deepclassics claims run --all [--to FOLDER] [--json]: test all, and write FOLDER/claims.html [claims]"
        )
        return 0
    if words[0] not in ("list", "run"):
        raise UserError(f"There is no `claims {words[0]}`; there are list and run.{meant(words[0], ['list', 'run'])}")
    from deepclassics import claims as known
    from deepclassics.flags import Parser

    parser = Parser(f"deepclassics claims {words[0]}")
    parser.add_argument("words", metavar="WORD" if words[0] == "list" else "ID", nargs="*")
    parser.add_argument("--json", action="store_true", help="for scripts")
    if words[0] == "list":
        found = parser.split(words[1:])
        wanted = " ".join(found["words"]).lower()
        rows = known.rows([each for each in known.names().values() if wanted in " ".join(each).lower()])
        if not rows:
            raise UserError(f"No claim holds '{wanted}'. `deepclassics claims list` shows them all.")
        print(json.dumps(rows, indent=1) if found["json"] else _table(rows))
        return 0
    parser.add_argument("--all", action="store_true", help="every claim, and a page that tells how each came out")
    parser.add_argument("--to", metavar="FOLDER", help="where the page and its figures are written [claims]")
    found = parser.split(words[1:])
    if bool(found["words"]) == found["all"]:
        got = "both" if found["all"] else "neither"
        raise UserError(f"`claims run` needs the numbers or labels of claims, or else --all; got {got}.")
    chosen = list(known.names().values()) if found["all"] else [known.find(word) for word in found["words"]]
    from deepclassics.verbs import claims as testing

    folder = Path(found["to"] or "claims") if found["all"] or found["to"] else None
    quiet = found["json"] or not found["all"]
    tested = testing.run(chosen, folder, lambda line: None if quiet else print(line, flush=True))
    page = None if folder is None else testing.page(tested, folder)
    if found["json"]:
        print(json.dumps(tested, indent=1))
    elif found["all"]:
        print(", ".join(f"{count} {verdict}" for verdict, count in testing.tally(tested).items()) + f"; {page}")
    else:
        print("\n\n".join(map(testing.text, tested)) + (f"\n\n{page}" if page else ""))
    return int(any(row["verdict"] == testing.UNTESTED for row in tested))


VERBS: dict[str, Callable[[list[str]], int]] = {
    "list": list_systems,
    "show": show,
    "run": run,
    "report": report,
    "predict": predict,
    "look": look,
    "compare": compare,
    "data": data,
    "claims": claims,
}


def _name(words: list[str], verb: str, what: str = "NAME") -> tuple[str, list[str]]:
    """The first word, which says what the flags after it are."""
    if not words:
        raise UserError(f"`{verb}` needs a {what}.{' `deepclassics list` shows them.' if what == 'NAME' else ''}")
    if words[0] in ("-h", "--help"):
        print(f"deepclassics {verb} {what} ...; `deepclassics {verb} {what} --help` tells what {what} takes.")
        sys.exit(0)
    if words[0].startswith("-"):
        raise UserError(f"`{verb}` needs a {what} before its flags; got '{words[0]}'.")
    return words[0], words[1:]


def _refuse_run(name: str, verb: str) -> None:
    """A run folder where a system's name belongs."""
    if os.path.isfile(os.path.join(name, "recipe.json")):
        import shlex

        from deepclassics.run import Run

        system = Run.open(name).facts()["system"]
        raise UserError(
            f"`{verb}` needs the name of a system; {name} is a run folder of {system}. `deepclassics report "
            f"{shlex.quote(name)}` shows the run, `deepclassics show {system}` the system."
        )


def _lines() -> list[str]:
    """The lines of standard input, empty ones left out."""
    try:
        text = sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:  # which is in no text, and in no name of a file
        raise UserError(
            "Standard input, which - reads, must be text in UTF-8; it is something else. `iconv -f latin1 -t utf-8` "
            "converts text of another encoding."
        )
    lines = [line for typed in text.split("\n") if (line := typed.removesuffix("\r")).strip()]
    if not lines:
        raise UserError("Standard input, which - reads, must hold an input a line; it is empty.")
    return lines


def _table(rows: list[dict[str, Any]]) -> str:
    """Rows as aligned columns of text, wide or narrow, on a terminal or not."""
    if not rows:
        return "nothing"
    heads = list(rows[0])
    cells = [heads, *[["" if row[head] is None else str(row[head]) for head in heads] for row in rows]]
    widths = [max(len(line[column]) for line in cells) for column in range(len(heads))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells
    )
