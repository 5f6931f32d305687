"""How long one update of `mlp` takes with its backward pass written out, beside a bare PyTorch loop with autograd.

    python benchmarks/written.py [--rounds 15] [--updates 300]

The net is 784-128-10, the batch 64, one thread; all loops draw their batches from one tensor of floats and include
their optimizer: in the bare loops torch's as its constructor gives it, and the fused one. They take turns, so that
whatever else the machine does falls on all; what is printed is processor time: medians over the rounds, and of the
rounds' ratios. The two large matrix products, which no loop can do without, are timed alone as a floor.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from deepclassics.learn import Clock
from deepclassics.recipe import find

EXAMPLES, BATCH, LR = 60_000, 64, 0.01
SPEC = {"kind": "table", "features": 784, "target": {"kind": "class", "name": "label", "classes": list("0123456789")}}


def bare(rule: str, fused: bool, x: Tensor, label: Tensor) -> Callable[[Tensor], object]:
    """The loop that everybody writes."""
    layers = torch.nn.Sequential(torch.nn.Linear(784, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10))
    if rule == "adam":
        optimizer: torch.optim.Optimizer = torch.optim.Adam(layers.parameters(), LR, fused=fused)
    else:
        momentum = 0.9 if rule == "momentum" else 0.0
        optimizer = torch.optim.SGD(layers.parameters(), LR, momentum=momentum, fused=fused)

    def update(index: Tensor) -> None:
        optimizer.zero_grad()
        F.cross_entropy(layers(x.index_select(0, index)), label.index_select(0, index)).backward()
        optimizer.step()

    return update


def contenders(rule: str, x: Tensor, label: Tensor) -> dict[str, Callable[[Tensor], object]]:
    recipe = find("mlp")(hidden=(128,), optimizer=rule, lr=LR, backward="written", schedule="constant")
    learner, clock = recipe.learner(recipe.model(SPEC)), Clock(0, 1, 1)
    weight, across = torch.randn(128, 784), torch.randn(64, 128)

    def written(index: Tensor) -> None:
        learner.step({"features": x.index_select(0, index), "label": label.index_select(0, index)}, clock)

    def products(index: Tensor) -> None:
        torch.mm(x[:BATCH], weight.t())
        torch.mm(across.t(), x[:BATCH])

    return {
        "autograd": bare(rule, False, x, label),
        "autograd, fused optimizer": bare(rule, True, x, label),
        "products alone": products,
        "written": written,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--updates", type=int, default=300)
    given = parser.parse_args()
    torch.set_num_threads(1)
    x, label = torch.rand(EXAMPLES, 784), torch.randint(10, (EXAMPLES,))
    order = torch.randperm(EXAMPLES)[: given.updates * BATCH].split(BATCH)
    for rule in ("sgd", "momentum", "adam"):
        loops = contenders(rule, x, label)
        spent: dict[str, list[float]] = {name: [] for name in loops}
        for number in range(given.rounds + 1):
            for name, loop in loops.items():
                begun = time.process_time()
                for index in order:
                    loop(index)
                if number:  # the first round warms up
                    spent[name].append((time.process_time() - begun) / len(order))
        told = ", ".join(f"{name} {1e6 * statistics.median(times):.0f} µs" for name, times in spent.items())
        print(f"{rule}: {told}")
        for name in ("autograd", "autograd, fused optimizer"):
            ratios = [own / other for own, other in zip(spent["written"], spent[name], strict=True)]
            middle = statistics.median(ratios)
            print(f"  written over {name}: {middle:.3f} ({min(ratios):.2f} to {max(ratios):.2f})", flush=True)


if __name__ == "__main__":
    main()
