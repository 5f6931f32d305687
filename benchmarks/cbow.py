"""CBOW beside gensim: words per second and quality, at the same settings, on the same words, with the same threads.

    python benchmarks/cbow.py [--seeds 3] [--threads 1 2] [--output negative] [--write benchmarks/cbow.md]

Both take turns in one process, seed after seed, who comes first changing with the seed, so that whatever else the
machine does falls on both. Ours is the whole loop, with logging, looks and the run folder; gensim's is `train` alone,
its vocabulary built before. It is given the text as it takes it, lists of words, 10,000 a list at most, and looks each
word up; ours begins from numbers, made when the data are read. Both times are told: the reading of ours, the vocabulary
of gensim's. Words are all those of the text, known or not, times the passes.

Vectors are judged by one function for both (`vectors.judged`). Of the first run of each, gensim's own
`evaluate_word_analogies` and `evaluate_word_pairs` are asked too, of ours through the `vectors.txt` that it loads.

Rounds that are done are kept in --keep and not run again.
"""

import argparse
import importlib.metadata
import json
import logging
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from deepclassics import vectors
from deepclassics.data import catalog, questions
from deepclassics.data.fetch import content, obtain
from deepclassics.host import Host, processor
from deepclassics.idle import cores
from deepclassics.loop import fit
from deepclassics.recipe import find
from deepclassics.run import Run

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
    kept = Path(options.keep)
    rows: list[Round] = [json.loads(line) for line in kept.read_text().splitlines()] if kept.exists() else []
    done = {(row["who"], row["seed"], row["threads"]) for row in rows}
    (text,) = catalog.read(options.data).parts.values()
    lists = [line[k : k + LIST] for line in map(str.split, text.split("\n")) for k in range(0, len(line), LIST)]
    total = sum(map(len, lists))
    sections, pairs = questions.analogies(), questions.pairs()
    for seed in range(options.seeds):
        for threads in options.threads:
            for who in ("gensim", "deepclassics") if seed % 2 == 0 else ("deepclassics", "gensim"):
                if (who, seed, threads) in done:
                    continue
                if who == "gensim":
                    row, words, matrix = gensims(options, seed, threads, lists)
                else:
                    row, words, matrix = ours(options, seed, threads)
                scores, covered, _ = vectors.judged(words, matrix, sections, pairs)
                row |= {"who": who, "seed": seed, "threads": threads, "words": total, "scores": scores,
                        "covered": covered, "rate": total * options.epochs / row["seconds"]}  # fmt: skip
                if seed == 0 and threads == options.threads[0] and not options.quick:
                    row["gensim says"] = asked_of_gensim(words, matrix)
                rows.append(row)
                with kept.open("a") as out:
                    out.write(json.dumps(row) + "\n")
                print(f"{who}, seed {seed}, {threads} thread(s): {row['rate'] / 1e3:,.0f} thousand words/s, "
                      f"{ {name: round(value, 4) for name, value in scores.items()} }", flush=True)  # fmt: skip
    return rows


def page(options: argparse.Namespace, rows: list[Round]) -> str:
    """The table, and what it was got with."""
    setting = ", ".join(
        f"{name} {getattr(options, name)}"
        for name in ("method", "output", "embedding", "window", "negative", "sample", "least", "epochs", "lr")
    )
    lines = [
        "# `cbow` beside gensim",
        "",
        f"`python benchmarks/cbow.py` on {options.data}, {rows[0]['words']:,} words; {setting}. Medians of "
        f"{options.seeds} seeds (least to most). gensim {importlib.metadata.version('gensim')}, torch "
        f"{torch.__version__}, numba {importlib.metadata.version('numba')}; {processor()}, {cores()} cores.",
        "",
        "| threads | | thousand words/s | analogies | semantic | syntactic | WordSim-353 | SimLex-999 |",
        "|---:|---|---:|---:|---:|---:|---:|---:|",
    ]

    def cell(values: list[float], form: str) -> str:
        return f"{statistics.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"

    ratios = []
    for threads in options.threads:
        rate = {}
        for who in ("gensim", "deepclassics"):
            found = [row for row in rows if (row["who"], row["threads"]) == (who, threads)]
            rate[who] = [row["rate"] / 1e3 for row in sorted(found, key=lambda row: row["seed"])]
            scores = [
                cell([100 * row["scores"][name] for row in found], ".1f")
                for name in ("analogies", "semantic", "syntactic")
            ] + [cell([row["scores"][name] for row in found], ".3f") for name in ("wordsim", "simlex")]
            lines.append(f"| {threads} | {who} | {cell(rate[who], ',.0f')} | {' | '.join(scores)} |")
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
        f"- Before the first word is learnt from: gensim's vocabulary {_read(rows, 'gensim')} s, our reading, "
        f"vocabulary and numbers included, {_read(rows, 'deepclassics')} s. gensim looks words up while it learns.",
    ]
    for row in rows:
        if said := row.get("gensim says"):
            lines.append(
                f"- gensim's own evaluation of {row['who']}'s vectors, seed 0: analogies {100 * said['analogies']:.1f} "
                f"(our function: {100 * row['scores']['analogies']:.1f}), WordSim {said['wordsim']:.3f} "
                f"({row['scores']['wordsim']:.3f})."
            )
    return "\n".join(lines) + "\n"


def _read(rows: list[Round], who: str) -> str:
    return f"{statistics.median(row['read'] for row in rows if row['who'] == who):.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description="CBOW beside gensim.")
    parser.add_argument("--data", default="wiki10m")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
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
    parser.add_argument("--keep", default="cbow_rounds.jsonl", help="where rounds are kept")
    parser.add_argument("--write", default="benchmarks/cbow.md")
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    torch.set_num_threads(1)
    logging.getLogger("gensim").setLevel(logging.ERROR)
    text = page(options, measured(options))
    Path(options.write).write_text(text)
    print(text)


if __name__ == "__main__":
    main()
