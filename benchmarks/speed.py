"""How long one update takes, beside a bare PyTorch loop of the same net on the same data, and beside the peers.

    python benchmarks/speed.py [--rounds 7] [--updates 2000] [--write benchmarks/speed.md]

All contenders take turns in one process, round after round, so that whatever else the machine does falls on all of
them; medians over the rounds and their ratios to the bare loop are printed. Ours is the whole loop: logging,
schedule, checkpoints and the run folder included. Peers that are not installed are named and left out.
"""

import argparse
import contextlib
import importlib.metadata
import io
import logging
import os
import platform
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "torch")

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deepclassics.data.streams import Columns, Data, Shuffled
from deepclassics.host import Host, processor
from deepclassics.idle import cores
from deepclassics.learn import optimizer
from deepclassics.loop import fit
from deepclassics.recipe import Recipe, find
from deepclassics.run import Run

EXAMPLES, BATCH, LR = 60_000, 64, 0.01
SPEC = {
    "kind": "image",
    "data": "noise in the shapes of MNIST",
    "shape": [1, 28, 28],
    "mean": [0.5],
    "std": [0.29],
    "target": {"kind": "class", "name": "label", "classes": [str(digit) for digit in range(10)]},
    "examples": {"train": EXAMPLES},
}
Contender = Callable[[int], float]  # updates -> seconds


def pictures() -> tuple[Tensor, Tensor]:
    """(60000, 1, 28, 28) of uint8 and (60000,) of int64."""
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(256, (EXAMPLES, 1, 28, 28), dtype=torch.uint8, generator=generator)
    return image, torch.randint(10, (EXAMPLES,), generator=generator)


def bare(net: nn.Module, image: Tensor, label: Tensor) -> Contender:
    """What one writes by hand for speed: floats in memory, an order a pass, a fused optimizer, nothing recorded."""
    x = image.float() / 255
    rule = optimizer("momentum", net, LR)

    def run(updates: int) -> float:
        begun = time.perf_counter()
        order = torch.randperm(EXAMPLES)
        for step in range(updates):
            begin = step * BATCH % (EXAMPLES - BATCH)
            if begin < BATCH:
                order = torch.randperm(EXAMPLES)
            index = order[begin : begin + BATCH]
            rule.zero_grad()
            F.cross_entropy(net(x.index_select(0, index)), label.index_select(0, index)).backward()
            rule.step()
        return time.perf_counter() - begun

    return run


def ours(recipe: Recipe, image: Tensor, label: Tensor) -> Contender:
    """`fit` as `run` calls it."""
    data = Data(SPEC, Shuffled(Columns(image=image, label=label), BATCH, 0))
    host = Host(device="cpu")

    def run(updates: int) -> float:
        torch.manual_seed(0)
        learner = recipe.learner(recipe.model(SPEC))
        plan = type(recipe.plan(data))(updates, updates)
        with tempfile.TemporaryDirectory() as folder:
            begun = time.perf_counter()
            folder_of_run = Run.begin(Path(folder) / "run", recipe)
            folder_of_run.describe(recipe, SPEC, {})
            fit(learner, data, plan, folder_of_run, host)
            return time.perf_counter() - begun

    return run


def lightning(net: nn.Module, image: Tensor, label: Tensor) -> Contender:
    """Lightning's Trainer with a DataLoader over tensors in this process, its checkpoint, no logger and no bar."""
    import lightning as L

    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(image.float() / 255, label), BATCH, shuffle=True, drop_last=True
    )

    class Module(L.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def training_step(self, batch: Any, number: int) -> Tensor:
            return F.cross_entropy(self.net(batch[0]), batch[1])

        def configure_optimizers(self) -> Any:
            return optimizer("momentum", self.net, LR)

    def run(updates: int) -> float:
        with tempfile.TemporaryDirectory() as folder:
            trainer = L.Trainer(
                accelerator="cpu",
                max_steps=updates,
                max_epochs=-1,
                logger=False,
                enable_progress_bar=False,
                enable_model_summary=False,
                default_root_dir=folder,
            )
            begun = time.perf_counter()
            trainer.fit(Module(), loader)
            return time.perf_counter() - begun

    return run


def keras(layers: Callable[[Any], list[Any]], image: Tensor, label: Tensor) -> Contender:
    """Keras on torch: `fit` over arrays in memory."""
    import keras as K

    x, y = (image.float() / 255).permute(0, 2, 3, 1).numpy(), label.numpy()
    model = K.Sequential([K.Input((28, 28, 1)), *layers(K.layers)])
    loss = K.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(K.optimizers.SGD(LR, momentum=0.9), loss)

    def run(updates: int) -> float:
        count = min(updates * BATCH, EXAMPLES - EXAMPLES % BATCH)
        begun = time.perf_counter()
        model.fit(x[:count], y[:count], batch_size=BATCH, epochs=-(-updates * BATCH // count), verbose=0)
        return (time.perf_counter() - begun) * updates / (-(-updates * BATCH // count) * (count // BATCH))

    return run


def sklearn(image: Tensor, label: Tensor) -> Contender:
    """scikit-learn's MLPClassifier of one hidden layer of 128, float32, stochastic descent with momentum."""
    from sklearn.neural_network import MLPClassifier

    x, y = (image.float() / 255).flatten(1).numpy(), label.numpy()

    def run(updates: int) -> float:
        count = min(updates * BATCH, EXAMPLES - EXAMPLES % BATCH)
        passes = -(-updates * BATCH // count)
        machine = MLPClassifier(
            (128,),
            solver="sgd",
            batch_size=BATCH,
            max_iter=passes,
            learning_rate_init=LR,
            nesterovs_momentum=False,
            tol=0,
        )
        begun = time.perf_counter()
        machine.fit(x[:count], y[:count])
        return (time.perf_counter() - begun) * updates / (passes * (count // BATCH))

    return run


def lenet_layers(layers: Any) -> list[Any]:
    return [
        layers.ZeroPadding2D(2), layers.Conv2D(6, 5, activation="relu"), layers.MaxPooling2D(2),
        layers.Conv2D(16, 5, activation="relu"), layers.MaxPooling2D(2), layers.Flatten(),
        layers.Dense(120, activation="relu"), layers.Dense(84, activation="relu"), layers.Dense(10),
    ]  # fmt: skip


def mlp_layers(layers: Any) -> list[Any]:
    return [layers.Flatten(), layers.Dense(128, activation="relu"), layers.Dense(10)]


def contest(
    name: str, recipe: Recipe, peers: dict[str, Callable[[], Contender]], rounds: int, updates: int
) -> list[Any]:
    """(net, contender, median milliseconds an update, ratio to the bare loop, lowest and highest ratio) rows."""
    image, label = pictures()
    contenders = {"bare loop": bare(recipe.model(SPEC), image, label), "deepclassics": ours(recipe, image, label)}
    for peer, make in peers.items():
        try:
            contenders[peer] = make()
        except ImportError as error:
            print(f"{peer} is left out: {error}")
    seconds: dict[str, list[float]] = {peer: [] for peer in contenders}
    for number in range(rounds + 1):
        for peer, run in contenders.items():
            with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                spent = run(updates)
            if number:  # the first round warms up
                seconds[peer].append(spent)
    rows = []
    for peer, times in seconds.items():
        ratios = [one / other for one, other in zip(times, seconds["bare loop"], strict=True)]
        median = statistics.median(times) / updates * 1000
        rows.append((name, peer, median, statistics.median(ratios), min(ratios), max(ratios)))
        print(
            f"{name:12} {peer:22} {median:8.3f} ms   {rows[-1][3]:.3f} ({rows[-1][4]:.2f} to {rows[-1][5]:.2f})",
            flush=True,
        )
    return rows


def versions() -> str:
    found = []
    for package in ("deepclassics", "torch", "lightning", "keras", "scikit-learn", "numpy"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found.append(f"{package} {importlib.metadata.version(package)}")
    return ", ".join([*found, f"Python {platform.python_version()}"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--updates", type=int, default=2000)
    parser.add_argument("--threads", type=int, default=cores())
    parser.add_argument("--write", type=Path, help="a Markdown file for the table")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    image, label = pictures()
    lenet, mlp = (
        find("lenet5")(modern=True, distort=0.0, lr=LR, optimizer="momentum"),
        find("mlp")(hidden=(128,), lr=LR, optimizer="momentum"),
    )
    rows = contest(
        "LeNet-5",
        lenet,
        {
            "Lightning": lambda: lightning(lenet.model(SPEC), image, label),
            "Keras on torch": lambda: keras(lenet_layers, image, label),
        },
        given.rounds,
        given.updates // 4,
    )
    rows += contest(
        "784-128-10",
        mlp,
        {
            "deepclassics, autograd": lambda: ours(mlp.model_copy(update={"backward": "autograd"}), image, label),
            "Lightning": lambda: lightning(mlp.model(SPEC), image, label),
            "Keras on torch": lambda: keras(mlp_layers, image, label),
            "scikit-learn": lambda: sklearn(image, label),
        },
        given.rounds,
        given.updates,
    )
    if given.write:
        lines = [
            "# Speed: one update beside a bare PyTorch loop",
            "",
            f"Written by `make bench` on {processor()}, {given.threads} threads; {versions()}.",
            f"Batch {BATCH}, shapes of MNIST, SGD with momentum; {given.rounds} rounds in turn, medians; "
            "ratios are to the bare loop of the same round, lowest and highest behind.",
            "deepclassics: the whole loop with logging, schedule, checkpoints and run folder; the MLP's backward pass "
            "is written out, or autograd's. "
            "Lightning: Trainer with a DataLoader and its checkpoint, no logger, no bar. Keras: `fit` over arrays.",
            "",
            "| net | loop | ms an update | ratio | from | to |",
            "|---|---|---:|---:|---:|---:|",
            *[
                f"| {net} | {peer} | {ms:.3f} | {ratio:.2f} | {low:.2f} | {high:.2f} |"
                for net, peer, ms, ratio, low, high in rows
            ],
            "",
        ]
        given.write.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
