"""How long one update of the small LSTM of words takes, beside a bare PyTorch loop and Keras.

    python benchmarks/language.py [--rounds 7] [--updates 50] [--threads N] [--write FILE]

The net is that of Zaremba, Sutskever, Vinyals (2014) for the Penn Treebank: an embedding of 200, two layers of 200, a
score for each of 10,000 words; 20 streams, chunks of 20, the state carried on, stochastic descent with the gradient's
norm bounded. The text is noise of the Treebank's size: what is in it does not change the time.

All contenders take turns in one process, round after round, as in speed.py; medians over the rounds and their ratios to
the bare loop are printed. Ours is the whole loop: logging (in so short a run after every update, in a long one after
every five-hundredth of it), schedule and run folder; timed from the second update to the last but one, so that a few
updates do not pay for the looks and checkpoints of a whole run. The host settles on float32 for this net; bfloat16,
where the machine has it, is a race of its own, like against like.

Keras' layers keep no state from batch to batch here, as `fit` shuffles; each has one bias in place of two. Its text is
cut into rows of 20 words beforehand, which costs it nothing in the race.
"""

import argparse
import functools
import os
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "torch")

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deepclassics.data.streams import Chunks, Data
from deepclassics.host import Host, has_bf16, processor
from deepclassics.idle import cores
from deepclassics.loop import fit
from deepclassics.recipe import find
from deepclassics.run import Run
from speed import Contender, matrix_rate, race, versions

WORDS, VOCABULARY = 929_589, 10_000  # of the Treebank's training text
HIDDEN, LAYERS, STREAMS, CHUNK = 200, 2, 20, 20  # H, which is the embedding's width too, L, B and T
RATE, BOUND = 20.0, 0.25
# An affine map takes a multiply-add for each of its weights and each word forward, and two backward.
WORK = 3 * STREAMS * CHUNK * (LAYERS * 4 * HIDDEN * 2 * HIDDEN + HIDDEN * VOCABULARY)


@functools.cache
def text() -> Tensor:
    """(WORDS,) of int64."""
    return torch.randint(VOCABULARY, (WORDS,), generator=torch.Generator().manual_seed(0))


class Bare(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, HIDDEN)
        self.lstm = nn.LSTM(HIDDEN, HIDDEN, LAYERS)
        self.output = nn.Linear(HIDDEN, VOCABULARY)

    def forward(self, ids: Tensor, state: Any) -> tuple[Tensor, Any]:  # (T, B), 2 · (L, B, H) -> (T, B, V), state
        hidden, state = self.lstm(self.embed(ids), state)
        return self.output(hidden), state


def bare(mixed: bool) -> Contender:
    """What one writes by hand for speed: steps first, as the kernel wants them, a fused optimizer, nothing recorded."""
    stretch = WORDS // STREAMS
    streams = text()[: stretch * STREAMS].view(STREAMS, stretch).T.contiguous()
    net = Bare()
    rule = torch.optim.SGD(net.parameters(), RATE, fused=True)

    def run(updates: int) -> float:
        begun = time.perf_counter()
        state = None
        for begin in range(0, updates * CHUNK, CHUNK):
            ids, targets = streams[begin : begin + CHUNK], streams[begin + 1 : begin + CHUNK + 1]
            rule.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
                scores, state = net(ids, state)
                loss = F.cross_entropy(scores.view(-1, VOCABULARY), targets.reshape(-1))
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), BOUND)
            rule.step()
            state = tuple(piece.detach() for piece in state)
        return time.perf_counter() - begun

    return run


def ours(mixed: bool) -> Contender:
    """`fit` as `run` calls it."""
    recipe = find("rnn_lm")(
        data="ptb", cell="lstm", layers=LAYERS, hidden=HIDDEN, embedding=HIDDEN, chunk=CHUNK, batch=STREAMS, lr=RATE,
        clip_norm=BOUND,
    )  # fmt: skip
    words = [str(number) for number in range(VOCABULARY)]
    spec = {"kind": "text", "unit": "word", "data": "noise", "vocabulary": words, "examples": {"train": WORDS}}
    data = Data(spec, Chunks(text().int(), STREAMS, CHUNK, 0, unit="words"))
    host = Host(device="cpu", precision="bf16" if mixed else "auto", compile="off")
    host = host.settled(recipe.work(spec) * data.train.items, torch.device("cpu"))

    def run(updates: int) -> float:
        torch.manual_seed(0)
        learner = recipe.learner(recipe.model(spec))
        plan = type(recipe.plan(data))(updates + 2, updates + 2)
        with tempfile.TemporaryDirectory() as folder:
            folder_of_run = Run.begin(Path(folder) / "run", recipe)
            folder_of_run.describe(recipe, spec, {})
            fit(learner, data, plan, folder_of_run, host)
            rows = {row["step"]: row["seconds"] for row in folder_of_run.metrics()}
            return rows[updates + 1] - rows[1]

    return run


def keras() -> Contender:
    """Keras on torch: `fit` over arrays of rows of T words."""
    import keras as K

    rows = (WORDS - 1) // CHUNK
    x, y = (text()[begin : begin + rows * CHUNK].view(rows, CHUNK).int().numpy() for begin in (0, 1))
    start = K.Input((CHUNK,), dtype="int32")
    hidden = K.layers.Embedding(VOCABULARY, HIDDEN)(start)
    for _ in range(LAYERS):
        hidden = K.layers.LSTM(HIDDEN, return_sequences=True)(hidden)
    model = K.Model(start, K.layers.Dense(VOCABULARY)(hidden))
    loss = K.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(K.optimizers.SGD(RATE, global_clipnorm=BOUND), loss)

    def run(updates: int) -> float:
        count = updates * STREAMS
        begun = time.perf_counter()
        model.fit(x[:count], y[:count], batch_size=STREAMS, verbose=0)
        return time.perf_counter() - begun

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--updates", type=int, default=50, help="of a round")
    parser.add_argument("--threads", type=int, default=cores())
    parser.add_argument("--write", type=Path, help="a Markdown file for the table")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    lines, told = [], []
    for kind in ("float32", "bfloat16") if has_bf16(torch.device("cpu")) else ("float32",):
        mixed = kind == "bfloat16"
        made = {"bare loop": functools.partial(bare, mixed), "deepclassics": functools.partial(ours, mixed)}
        if not mixed:
            made["Keras on torch"] = keras
        rows, _ = race(f"LSTM, {kind}", made, given.rounds, given.updates)
        rate = matrix_rate(getattr(torch, kind))
        for _, peer, milliseconds, ratio, low, high in rows:
            words, share = STREAMS * CHUNK / milliseconds * 1000, WORK / (milliseconds / 1000) / rate
            lines.append(
                f"| {kind} | {peer} | {milliseconds:.1f} | {ratio:.3f} | {low:.2f} | {high:.2f} | {words:,.0f} | "
                f"{share:.0%} |"
            )
        told.append(f"The rate of {kind} matrix products is {2 * rate / 1e9:,.0f} GFLOP/s, measured in this process.")
    print("\n".join([*lines, *told]))
    if given.write:
        page = [
            "# Words: one update of the Penn Treebank's small LSTM beside a bare PyTorch loop",
            "",
            f"Written by `make bench` on {processor()}, {given.threads} thread{'s' if given.threads > 1 else ''}; "
            f"{versions('keras')}.",
            f"Embedding of {HIDDEN}, {LAYERS} layers of {HIDDEN}, {VOCABULARY:,} words; {STREAMS} streams, chunks of "
            f"{CHUNK}, the state carried on; SGD with the gradient's norm bounded; {WORDS:,} words of noise. "
            f"{given.rounds} rounds of {given.updates} updates in turn, medians; ratios are to the bare loop of the "
            "same round and precision, lowest and highest behind.",
            "deepclassics: the whole loop with logging after every update, schedule and run folder, timed between its "
            "looks. Keras: `fit` over arrays, rows of 20 words, no state carried on; one bias a layer. Share: of the "
            f"machine's rate of matrix products, for {WORK / 1e9:.2f}e9 multiply-adds an update, those of the products "
            "alone.",
            "",
            "| precision | loop | ms an update | ratio | from | to | words a second | share |",
            "|---|---|---:|---:|---:|---:|---:|---:|",
            *lines,
            "",
            *[f"- {sentence}" for sentence in told],
        ]
        given.write.write_text("\n".join(page) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
