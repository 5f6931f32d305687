"""How fast n-grams are counted and words scored, beside nltk.

    python benchmarks/ngram.py [--data ptb] [--order 3] [--words 20000] [--seconds 4]

Both learn from the first words of the same training text by the same smoothing, on one thread, and score words of the
test text: ours all of them at once, nltk's one after the other for so many seconds. Only training and scoring are
timed, not the reading. Writes benchmarks/ngram.md. Where nltk is not installed, or the text cannot be had, it is said
and left out.
"""

import argparse
import importlib.util
import os
import time
from itertools import pairwise
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

from deepclassics.errors import UserError
from deepclassics.host import processor
from deepclassics.recipe import find
from deepclassics.systems.language.ngram import NgramRecipe, count, kneser_ney
from speed import versions

K = 0.01


def lines(ids: np.ndarray, end: int) -> list[list[str]]:
    """The lines of a text as nltk wants them: words as strings, without ends."""
    ends = np.flatnonzero(ids == end)
    return [[str(word) for word in ids[begin + 1 : stop]] for begin, stop in pairwise([-1, *ends])]


def ours(recipe: NgramRecipe, words: int) -> tuple[float, float, float]:
    """Seconds to count and smooth, words scored a second, and the test perplexity."""
    data = recipe.load()
    model = recipe.model(data.spec)
    learner = recipe.learner(model)
    ids = data.train.at(0)["ids"].numpy()[:words]
    assert data.test is not None
    began = time.perf_counter()
    model.take(learner.build(ids)[0])
    trained = time.perf_counter() - began
    began = time.perf_counter()
    perplexity = float(learner.evaluate(data.test)["perplexity"])
    return trained, len(data.test.at(0)["ids"]) / (time.perf_counter() - began), perplexity


def theirs(recipe: NgramRecipe, words: int, seconds: float) -> tuple[float, float, int]:
    """Seconds to fit, words scored a second, and how many were scored."""
    from nltk.lm import KneserNeyInterpolated, Lidstone
    from nltk.lm.preprocessing import padded_everygram_pipeline

    data = recipe.load()
    model = recipe.model(data.spec)
    assert data.test is not None
    ids = data.train.at(0)["ids"].numpy()[:words]
    train, test = (lines(part, model.end) for part in (ids, data.test.at(0)["ids"].numpy()))
    if recipe.method == "add-k":
        lm = Lidstone(K, recipe.order)
    else:
        grams = count(ids, model.vocabulary, model.end, recipe.order)
        lm = KneserNeyInterpolated(recipe.order, discount=float(kneser_ney(grams[-1].count, False)[0][1]))
    began = time.perf_counter()
    lm.fit(*padded_everygram_pipeline(recipe.order, train))
    trained = time.perf_counter() - began
    scored = 0
    began = time.perf_counter()
    for line in test:
        padded = ["<s>"] * (recipe.order - 1) + [*line, "</s>"]
        for place in range(recipe.order - 1, len(padded)):
            lm.score(padded[place], padded[place - recipe.order + 1 : place])
            scored += 1
            if time.perf_counter() - began > seconds:
                return trained, scored / (time.perf_counter() - began), scored
    return trained, scored / (time.perf_counter() - began), scored


def page(options: argparse.Namespace) -> str:
    beside = importlib.util.find_spec("nltk") is not None
    if not beside:
        print("nltk is left out: it is not installed.")
    kind = find("ngram")
    assert issubclass(kind, NgramRecipe)
    rows = []
    for smoothing in ("add-k", "kneser-ney"):
        recipe = kind(data=options.data, order=options.order, method=smoothing, smoothing=K)
        rounds = [ours(recipe, options.words) for _ in range(3)]
        trained, rate = (float(np.median([each[part] for each in rounds])) for part in (0, 1))
        if not beside:
            rows.append(f"| {smoothing} | {trained:.2f} s | | | {rate:,.0f} | | |")
            continue
        slow_trained, slow_rate, scored = theirs(recipe, options.words, options.seconds)
        rows.append(
            f"| {smoothing} | {trained:.2f} s | {slow_trained:.1f} s | {slow_trained / trained:,.0f} | {rate:,.0f} | "
            f"{slow_rate:,.1f} ({scored:,} words) | {rate / slow_rate:,.0f} |"
        )
    whole = kind(data=options.data)
    trained, rate, perplexity = ours(whole, 2**62)
    lines = [
        "# n-grams beside nltk",
        "",
        f"`python benchmarks/ngram.py --data {options.data} --order {options.order} --words {options.words}`; "
        f"{processor()}, one thread; {versions('nltk')}. Ours: medians of three rounds.",
        "",
        "| smoothing | training | nltk's | times faster | words scored a second | nltk's | times faster |",
        "|---|---|---|---|---|---|---|",
        *rows,
        "",
        f"On all of the training text, by the defaults (order {whole.order}, {whole.method}), training takes "
        f"{trained:.2f} s, {rate:,.0f} test words are scored a second, and the test perplexity is {perplexity:.1f}.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="ptb")
    parser.add_argument("--order", type=int, default=3)
    parser.add_argument("--words", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=4)
    options = parser.parse_args()
    torch.set_num_threads(1)
    try:
        text = page(options)
    except UserError as error:
        print(f"ngram is left out: {error}")
        return
    Path(__file__).with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
