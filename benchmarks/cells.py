"""How long one update takes with each recurrent cell, beside `torch.nn.LSTM` of the same size.

    python benchmarks/cells.py [--rounds 7] [--threads 1] [--write FILE]

Two layers read B sequences of T steps of H numbers, and the mean square of what they write goes back through them: an
update without its optimizer, which is the same for all. All take turns in one process, round after round, so that
whatever else the machine does falls on all of them. What is told is processor time, as on one thread of a machine with
nothing else to do: medians over the rounds, and of the rounds' ratios to `torch.nn.LSTM`.
"""

import argparse
import statistics
import time
from pathlib import Path
from typing import get_args

import torch
from torch import nn

from deepclassics.host import processor
from deepclassics.layers.recurrent import Cell, Recurrent

# T, B, H; updates a round; and the ratio that no cell should exceed.
SIZES = ((35, 20, 200, 5, 2.3), (128, 64, 256, 1, 1.6))
BASE = "torch.nn.LSTM"
Row = tuple[str, float, float, float, float]  # cell, ms an update, ratio, lowest, highest


def seconds(net: nn.Module, x: torch.Tensor, updates: int) -> float:
    begun = time.process_time()
    for _ in range(updates):
        net.zero_grad()
        net(x)[0].square().mean().backward()
    return time.process_time() - begun


def contest(steps: int, batch: int, hidden: int, rounds: int, updates: int) -> list[Row]:
    x = torch.randn(batch, steps, hidden)
    nets = {BASE: nn.LSTM(hidden, hidden, 2, batch_first=True)}
    nets |= {cell: Recurrent(cell, hidden, hidden, 2) for cell in get_args(Cell)}
    taken: dict[str, list[float]] = {name: [] for name in nets}
    for net in nets.values():
        seconds(net, x, 1)
    for _ in range(rounds):
        for name, net in nets.items():
            taken[name].append(seconds(net, x, updates) / updates)
    rows = []
    for name, found in taken.items():
        ratios = [own / its for own, its in zip(found, taken[BASE], strict=True)]
        rows.append((name, 1e3 * statistics.median(found), statistics.median(ratios), min(ratios), max(ratios)))
        print(f"{steps} {batch} {hidden}  {name:22s} {rows[-1][1]:9.1f} ms  {rows[-1][2]:.2f}", flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--write", type=Path, help="a Markdown file for the table")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    lines = [
        f"# Recurrent cells: one update beside `{BASE}`",
        "",
        f"Written by `python benchmarks/cells.py --rounds {given.rounds} --threads {given.threads} --write FILE` on "
        f"{processor()}, {given.threads} thread{'s' if given.threads > 1 else ''}; torch {torch.__version__}.",
        "Two layers of H units read B sequences of T steps, forward and backward, float32, without an optimizer; "
        "processor time; medians of rounds in turn, ratios to the same round's, lowest and highest behind.",
    ]
    for steps, batch, hidden, updates, most in SIZES:  # what is done is written, whatever becomes of the rest
        rows = contest(steps, batch, hidden, given.rounds, updates)
        lines += [
            "",
            f"## T={steps}, B={batch}, H={hidden}",
            "",
            "| cell | ms an update | ratio | from | to |",
            "|---|---:|---:|---:|---:|",
            *[f"| {name} | {ms:.1f} | {ratio:.2f} | {low:.2f} | {high:.2f} |" for name, ms, ratio, low, high in rows],
            "",
            f"The slowest takes {max(row[2] for row in rows):.2f} times as long; {most} at most is what was asked for.",
        ]
        if given.write:
            given.write.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
