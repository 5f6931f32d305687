"""CBOW beside gensim: words per second and quality, at the same settings, on the same words, with the same threads.

    python benchmarks/cbow.py [--seeds 3] [--threads 1 2] [--output negative] [--keep FILE] [--write FILE]

Both take turns in one process, seed after seed, who comes first changing with the seed, so that whatever else the
machine does falls on both. Ours is the whole loop, with logging, looks and the run folder; gensim's is `train` alone,
its vocabulary built before. It is given the text as it takes it, lists of words, 10,000 a list at most, and looks each
word up; ours begins from numbers, made when the data are read. Both times are told: the reading of ours, the vocabulary
of gensim's. Words are all those of the text, known or not, times the passes.

Vectors are judged by one function for both (`vectors.judged`). Of the first run of each, gensim's own
`evaluate_word_analogies` and `evaluate_word_pairs` are asked too, of ours through the `vectors.txt` that it loads.

With --keep, rounds that are done at the same settings are kept in a file and not run again. Where gensim is not
installed, or the text cannot be had, it is said and left out.
"""

import argparse
import importlib.util
import json
import logging
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # the threads are those that learn

import torch

from deepclassics import vectors
from deepclassics.data import catalog, questions
from deepclassics.data.fetch import content, obtain
from deepclassics.errors import UserError
from deepclassics.host import Host, processor
from deepclassics.idle import cores
from deepclassics.loop import fit
from deepclassics.recipe import find
from deepclassics.run import Run
from speed import versions

SETTINGS = ("data", "method", "output", "embedding", "window", "negative", "sample", "least", "epochs", "lr")
JUDGED = (("analogies", 100, ".1f"), ("semantic", 100, ".1f"), ("syntactic", 100, ".1f"), ("wordsim", 1, ".3f"),
          ("simlex", 1, ".3f"))  # fmt: skip
LIST = 10_000  # words: what gensim cuts longer lists to

Round = dict[str, Any]


def ours(options: argparse.Namespace, seed: int, threads: int) -> tuple[Round, list[str], torch.Tensor]:
    """A run of ours: seconds and vectors."""
    recipe = find("cbow")(
        data=options.data, seed=seed, workers=threads, method=options.method, output=options.output,
        embedding=options.embedding, window=options.window, negative=options.negative, sample=options.sample,
        least=options.least, epochs=options.epochs, lr=options.lr, across=False, batch=LIST * threads,
    )  # fmt: skip
    begun = time.perf_counter()
    data = recipe.load()
    read = time.perf_counter() - begun
    torch.manual_seed(seed)
    model = recipe.model(data.spec)
    learner = recipe.learner(model)
    with tempfile.TemporaryDirectory() as folder:
        run = Run.begin(Path(folder) / "run", recipe)
        run.describe(recipe, data.spec, {})
        begun = time.perf_counter()
        fit(learner, data, recipe.plan(data), run, Host(device="cpu", threads=1))
        seconds = time.perf_counter() - begun
    return {"seconds": seconds, "read": read}, data.spec["vocabulary"], model.inputs.detach()


def gensims(
    options: argparse.Namespace, seed: int, threads: int, lists: list[list[str]]
) -> tuple[Round, list[str], torch.Tensor]:
    """A run of gensim's: seconds and vectors."""
    from gensim.models import Word2Vec

    tree = options.output == "hierarchical"
    model = Word2Vec(
        vector_size=options.embedding, window=options.window, negative=0 if tree else options.negative, hs=int(tree),
        sample=options.sample, min_count=options.least, sg=int(options.method == "skipgram"), alpha=options.lr,
        min_alpha=1e-4 * options.lr, workers=threads, seed=seed, cbow_mean=1,
    )  # fmt: skip
    begun = time.perf_counter()
    model.build_vocab(lists)
    read = time.perf_counter() - begun
    begun = time.perf_counter()
    model.train(lists, total_examples=model.corpus_count, epochs=options.epochs)
    seconds = time.perf_counter() - begun
    return {"seconds": seconds, "read": read}, model.wv.index_to_key, torch.from_numpy(model.wv.vectors.copy())


def asked_of_gensim(words: list[str], matrix: torch.Tensor) -> dict[str, float]:
    """What gensim itself says of vectors that it reads from our file."""
    from gensim.models import KeyedVectors

    with tempfile.TemporaryDirectory() as folder:
        vectors.write(Path(folder) / "vectors.txt", words, matrix)
        loaded = KeyedVectors.load_word2vec_format(Path(folder) / "vectors.txt")
        plain = Path(folder) / "questions.txt"
        plain.write_bytes(content(obtain(questions.ANALOGIES)))
        share = loaded.evaluate_word_analogies(str(plain), restrict_vocab=30_000)[0]
        _, spearman, _ = loaded.evaluate_word_pairs(str(obtain(questions.WORDSIM)))
    return {"analogies": float(share), "wordsim": float(spearman[0])}


def measured(options: argparse.Namespace) -> list[Round]:
    """All rounds, each kept as soon as it is done."""
    kept, settings = options.keep, {name: getattr(options, name) for name in SETTINGS}
    rows: list[Round] = []
    if kept and kept.exists():
        rows = [row for row in map(json.loads, kept.read_text().splitlines()) if row["settings"] == settings
                and row["seed"] < options.seeds and row["threads"] in options.threads]  # fmt: skip
    done = {(row["who"], row["seed"], row["threads"]) for row in rows}
    names = ["gensim", "deepclassics"]
    if importlib.util.find_spec("gensim") is None:
        print("gensim is left out: it is not installed.")
        names = ["deepclassics"]
    (text,) = catalog.read(options.data).parts.values()
    lists = [line[k : k + LIST] for line in map(str.split, text.split("\n")) for k in range(0, len(line), LIST)]
    total = sum(map(len, lists))
    sections, pairs = questions.analogies(), questions.pairs()
    for seed in range(options.seeds):
        for threads in options.threads:
            for who in names if seed % 2 == 0 else reversed(names):
                if (who, seed, threads) in done:
                    continue
                if who == "gensim":
                    row, words, matrix = gensims(options, seed, threads, lists)
                else:
                    row, words, matrix = ours(options, seed, threads)
                scores, covered, _ = vectors.judged(words, matrix, sections, pairs)
                row |= {"settings": settings, "who": who, "seed": seed, "threads": threads, "words": total,
                        "scores": scores, "covered": covered}  # fmt: skip
                row["rate"] = total * options.epochs / row["seconds"]
                if seed == 0 and threads == options.threads[0] and len(names) == 2 and not options.quick:
                    row["gensim says"] = asked_of_gensim(words, matrix)
                rows.append(row)
                if kept:
                    with kept.open("a") as out:
                        out.write(json.dumps(row) + "\n")
                print(f"{who}, seed {seed}, {threads} thread(s): {row['rate'] / 1e3:,.0f} thousand words/s, "
                      f"{ {name: round(value, 4) for name, value in scores.items()} }", flush=True)  # fmt: skip
    return rows


def page(options: argparse.Namespace, rows: list[Round]) -> str:
    """The table, and what it was got with."""
    setting = ", ".join(f"{name} {getattr(options, name)}" for name in SETTINGS if name != "data")
    lines = [
        "# `cbow` beside gensim",
        "",
        f"`python benchmarks/cbow.py` on {options.data}, {rows[0]['words']:,} words; {setting}. Medians of "
        f"{options.seeds} seeds (least to most). {versions('gensim', 'numba')}; {processor()}, {cores()} cores.",
        "",
        "| threads | | thousand words/s | analogies | semantic | syntactic | WordSim-353 | SimLex-999 |",
        "|---:|---|---:|---:|---:|---:|---:|---:|",
    ]

    def cell(values: list[float], form: str) -> str:
        if not values:
            return ""  # the vocabulary of a small text covers none of the questions
        return f"{statistics.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"

    ratios = []
    for threads in options.threads:
        rate = {}
        for who in ("gensim", "deepclassics"):
            found = [row for row in rows if (row["who"], row["threads"]) == (who, threads)]
            if not found:
                continue
            rate[who] = [row["rate"] / 1e3 for row in sorted(found, key=lambda row: row["seed"])]
            scores = [
                cell([scale * row["scores"][name] for row in found if name in row["scores"]], form)
                for name, scale, form in JUDGED
            ]
            lines.append(f"| {threads} | {who} | {cell(rate[who], ',.0f')} | {' | '.join(scores)} |")
        if len(rate) < 2:
            continue
        each = [one / other for one, other in zip(rate["deepclassics"], rate["gensim"], strict=True)]
        ratios.append(f"{threads} thread{'s' * (threads > 1)}: {cell(each, '.2f')} times gensim's words per second.")
    covered = rows[0]["covered"]
    lines += [
        "",
        *(f"- {ratio}" for ratio in ratios),
        f"- Analogies: per cent right of the {covered['analogies'][0]:,} questions of {covered['analogies'][1]:,} "
        f"whose words are among the 30,000 commonest, which are all that may be an answer. Pairs: Spearman's "
        f"correlation, WordSim {covered['wordsim'][0]} of {covered['wordsim'][1]}, SimLex {covered['simlex'][0]} of "
        f"{covered['simlex'][1]} covered.",
        "- Settings are equal but for one that gensim does not have: its vectors start up to 1/D, ours up to 4/D, "
        "which was chosen by the loss on held back text and by these same scores, on six of the seeds.",
        f"- Before the first word is learnt from: {_read(rows)}. gensim looks words up while it learns.",
    ]
    for row in rows:
        if said := row.get("gensim says"):
            lines.append(
                f"- gensim's own evaluation of {row['who']}'s vectors, seed 0: analogies {100 * said['analogies']:.1f} "
                f"(our function: {100 * row['scores']['analogies']:.1f}), WordSim {said['wordsim']:.3f} "
                f"({row['scores']['wordsim']:.3f})."
            )
    return "\n".join(lines) + "\n"


def _read(rows: list[Round]) -> str:
    called = {"gensim": "gensim's vocabulary", "deepclassics": "our reading, vocabulary and numbers included,"}
    found = {who: [row["read"] for row in rows if row["who"] == who] for who in called}
    return "; ".join(f"{called[who]} {statistics.median(read):.1f} s" for who, read in found.items() if read)


def main() -> None:
    parser = argparse.ArgumentParser(description="CBOW beside gensim.")
    parser.add_argument("--data", default="wiki10m")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2][: cores()])
    parser.add_argument("--method", default="cbow", choices=("cbow", "skipgram"))
    parser.add_argument("--output", default="negative", choices=("negative", "hierarchical"))
    parser.add_argument("--embedding", type=int, default=100)
    parser.add_argument("--window", type=int, default=5)
    parser.add_argument("--negative", type=int, default=5)
    parser.add_argument("--sample", type=float, default=1e-3)
    parser.add_argument("--least", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--lr", type=float, default=0.025)
    parser.add_argument("--quick", action="store_true", help="do not ask gensim to judge")
    parser.add_argument("--keep", type=Path, help="a file that rounds are kept in")
    parser.add_argument("--write", default="benchmarks/cbow.md")
    options = parser.parse_args()
    torch.set_num_threads(1)
    logging.getLogger("gensim").setLevel(logging.ERROR)
    try:
        text = page(options, measured(options))
    except UserError as error:
        print(f"cbow is left out: {error}")
        return
    Path(options.write).write_text(text)
    print(text)


if __name__ == "__main__":
    main()
