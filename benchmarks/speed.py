"""How long one update takes, beside a bare PyTorch loop of the same net on the same data, and beside the peers.

    python benchmarks/speed.py [--rounds 7] [--updates 2000] [--nets lenet5 mlp resnet alexnet] [--write FILE]

All contenders take turns in one process, round after round, so that whatever else the machine does falls on all of
them; medians over the rounds and their ratios to the bare loop are printed. Ours is the whole loop: logging,
schedule, checkpoints and the run folder included. The large nets have the precision and the layout that the host
settles by itself and are not compiled, nor is the bare loop beside them that is tuned by hand in the same way; they
are timed from their second update to their last, so that a few updates do not pay for the checkpoints of a whole run.
For these the share of the machine's rate of matrix products is told, which is measured in the same process. Peers
that are not installed are named and left out.
"""

import argparse
import contextlib
import functools
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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "torch")

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deepclassics.data.streams import Columns, Data, Shuffled
from deepclassics.host import LARGE, Host, has_bf16, processor
from deepclassics.idle import cores
from deepclassics.learn import optimizer
from deepclassics.loop import fit
from deepclassics.recipe import Recipe, find
from deepclassics.run import Run

LR = 0.01
NETS = ("lenet5", "mlp", "resnet", "alexnet")
Contender = Callable[[int], float]  # updates -> seconds


@dataclass(frozen=True)
class Task:
    """A recipe on pictures of noise in the shapes of a data set: their number, (C, H, W), and examples an update."""

    name: str
    recipe: Recipe
    examples: int
    shape: tuple[int, int, int]
    batch: int
    classes: int = 10

    @property
    def spec(self) -> dict[str, Any]:
        channels = self.shape[0]
        return {
            "kind": "image",
            "data": "noise",
            "shape": list(self.shape),
            "mean": [0.5] * channels,
            "std": [0.29] * channels,
            "target": {"kind": "class", "name": "label", "classes": [str(number) for number in range(self.classes)]},
            "counts": [self.examples // self.classes] * self.classes,
            "examples": {"train": self.examples},
        }

    @functools.cached_property
    def data(self) -> tuple[Tensor, Tensor]:
        """(N, C, H, W) of uint8 and (N,) of int64."""
        generator = torch.Generator().manual_seed(0)
        image = torch.randint(256, (self.examples, *self.shape), dtype=torch.uint8, generator=generator)
        return image, torch.randint(self.classes, (self.examples,), generator=generator)

    def net(self) -> nn.Module:
        return self.recipe.model(self.spec)


def bare(task: Task, tuned: bool = False) -> Contender:
    """What one writes by hand for speed: pictures in memory, an order a pass, a fused optimizer, nothing recorded.

    `tuned` is what somebody who knows would add for a large net: bfloat16 where the machine has it, channels last.
    """
    image, label = task.data
    x = image.float() / 255
    net = task.net()
    if tuned:
        net = net.to(memory_format=torch.channels_last)
        x = x.to(memory_format=torch.channels_last)
    mixed = tuned and has_bf16(torch.device("cpu"))
    rule = optimizer("momentum", net, LR)

    def run(updates: int) -> float:
        begun = time.perf_counter()
        order = torch.randperm(task.examples)
        for step in range(updates):
            begin = step * task.batch % (task.examples - task.batch + 1)
            if begin < task.batch:
                order = torch.randperm(task.examples)
            index = order[begin : begin + task.batch]
            rule.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
                loss = F.cross_entropy(net(x.index_select(0, index)), label.index_select(0, index))
            loss.backward()
            rule.step()
        return time.perf_counter() - begun

    return run


def ours(task: Task, recipe: Recipe) -> Contender:
    """`fit` as `run` calls it."""
    image, label = task.data
    spec = task.spec
    data = Data(spec, Shuffled(Columns(image=image, label=label), task.batch, 0))
    device = torch.device("cpu")
    host = Host(device="cpu", compile="off").settled(recipe.work(spec) * task.batch, device)

    def run(updates: int) -> float:
        torch.manual_seed(0)
        learner = recipe.learner(host.prepare(recipe.model(spec), device))
        plan = type(recipe.plan(data))(updates, updates)
        with tempfile.TemporaryDirectory() as folder:
            begun = time.perf_counter()
            folder_of_run = Run.begin(Path(folder) / "run", recipe)
            folder_of_run.describe(recipe, spec, {})
            fit(learner, data, plan, folder_of_run, host)
            spent = time.perf_counter() - begun
            if not task.recipe.work(spec):
                return spent
            rows = {row["step"]: row["seconds"] for row in folder_of_run.metrics()}
            return (rows[updates] - rows[1]) * updates / (updates - 1)

    return run


def lightning(task: Task) -> Contender:
    """Lightning's Trainer with a DataLoader over tensors in this process, its checkpoint, no logger and no bar."""
    import lightning as L

    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    image, label = task.data
    examples = torch.utils.data.TensorDataset(image.float() / 255, label)
    loader = torch.utils.data.DataLoader(examples, task.batch, shuffle=True, drop_last=True)
    net = task.net()

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


def keras(build: Callable[[Any, Any], Any], task: Task) -> Contender:
    """Keras on torch: `fit` over arrays in memory. `build` makes the scores from the input, of Keras' layers."""
    import keras as K

    image, label = task.data
    x, y = (image.float() / 255).permute(0, 2, 3, 1).numpy(), label.numpy()
    start = K.Input(x.shape[1:])
    model = K.Model(start, build(K.layers, start))
    loss = K.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(K.optimizers.SGD(LR, momentum=0.9), loss)

    def run(updates: int) -> float:
        count = min(updates * task.batch, task.examples - task.examples % task.batch)
        passes = -(-updates * task.batch // count)
        begun = time.perf_counter()
        model.fit(x[:count], y[:count], batch_size=task.batch, epochs=passes, verbose=0)
        return (time.perf_counter() - begun) * updates / (passes * (count // task.batch))

    return run


def sklearn(task: Task) -> Contender:
    """scikit-learn's MLPClassifier of one hidden layer of 128, float32, stochastic descent with momentum."""
    from sklearn.neural_network import MLPClassifier

    image, label = task.data
    x, y = (image.float() / 255).flatten(1).numpy(), label.numpy()

    def run(updates: int) -> float:
        count = min(updates * task.batch, task.examples - task.examples % task.batch)
        passes = -(-updates * task.batch // count)
        machine = MLPClassifier(
            (128,),
            solver="sgd",
            batch_size=task.batch,
            max_iter=passes,
            learning_rate_init=LR,
            nesterovs_momentum=False,
            tol=0,
        )
        begun = time.perf_counter()
        machine.fit(x[:count], y[:count])
        return (time.perf_counter() - begun) * updates / (passes * (count // task.batch))

    return run


def lenet_of(layers: Any, x: Any) -> Any:
    for layer in (
        layers.ZeroPadding2D(2), layers.Conv2D(6, 5, activation="relu"), layers.MaxPooling2D(2),
        layers.Conv2D(16, 5, activation="relu"), layers.MaxPooling2D(2), layers.Flatten(),
        layers.Dense(120, activation="relu"), layers.Dense(84, activation="relu"), layers.Dense(10),
    ):  # fmt: skip
        x = layer(x)
    return x


def mlp_of(layers: Any, x: Any) -> Any:
    return layers.Dense(10)(layers.Dense(128, activation="relu")(layers.Flatten()(x)))


def resnet20_of(layers: Any, x: Any) -> Any:
    """Shortcuts of zeros are none of Keras' layers: where maps change, a 1 × 1 convolution stands for them."""

    def normalised(x: Any, maps: int, side: int, stride: int) -> Any:
        return layers.BatchNormalization()(layers.Conv2D(maps, side, stride, padding="same", use_bias=False)(x))

    x = layers.ReLU()(normalised(x, 16, 3, 1))
    for maps in (16, 32, 64):
        for place in range(3):
            stride = 2 if maps > 16 and not place else 1
            found = normalised(layers.ReLU()(normalised(x, maps, 3, stride)), maps, 3, 1)
            x = layers.ReLU()(layers.Add()([found, normalised(x, maps, 1, 2) if stride > 1 else x]))
    return layers.Dense(10)(layers.GlobalAveragePooling2D()(x))


def alexnet_of(layers: Any, x: Any) -> Any:
    for maps, side, stride, pools in ((64, 11, 4, True), (192, 5, 1, True), (384, 3, 1, False), (256, 3, 1, False),
                                      (256, 3, 1, True)):  # fmt: skip
        x = layers.Conv2D(maps, side, stride, padding="same", activation="relu")(x)
        x = layers.MaxPooling2D(3, 2)(x) if pools else x
    x = layers.Flatten()(x)
    for _ in range(2):
        x = layers.Dense(4096, activation="relu")(layers.Dropout(0.5)(x))
    return layers.Dense(1000)(x)


def race(
    name: str, made: dict[str, Callable[[], Contender]], rounds: int, updates: int
) -> tuple[list[Any], dict[str, list[float]]]:
    """(net, contender, median milliseconds an update, ratio to the first one, lowest and highest ratio) rows, and the
    seconds of every round. Peers that are not installed are named and left out."""
    contenders: dict[str, Contender] = {}
    for peer, make in made.items():
        try:
            contenders[peer] = make()
        except ImportError as error:
            print(f"{peer} is left out: {error}")
    seconds: dict[str, list[float]] = {peer: [] for peer in contenders}
    for number in range(rounds + 1):
        for peer, run in contenders.items():
            with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                spent = run(updates if number else min(updates, 10))  # the first round warms up
            if number:
                seconds[peer].append(spent)
    rows: list[Any] = []
    first = next(iter(seconds.values()))
    for peer, times in seconds.items():
        ratios = [one / other for one, other in zip(times, first, strict=True)]
        median = statistics.median(times) / updates * 1000
        rows.append((name, peer, median, statistics.median(ratios), min(ratios), max(ratios)))
        print(
            f"{name:12} {peer:22} {median:8.3f} ms   {rows[-1][3]:.3f} ({rows[-1][4]:.2f} to {rows[-1][5]:.2f})",
            flush=True,
        )
    return rows, seconds


def contest(
    task: Task, peers: dict[str, Callable[[], Contender]], rounds: int, updates: int
) -> tuple[list[Any], list[str]]:
    """The rows of a race against the bare loop, and for a large net sentences: beside the loop tuned by hand, and
    beside the machine's rate."""
    own = {"bare loop": functools.partial(bare, task), "deepclassics": functools.partial(ours, task, task.recipe)}
    rows, seconds = race(task.name, own | peers, rounds, updates)
    told: list[str] = []
    if "bare loop, tuned" in seconds:
        pairs = zip(seconds["deepclassics"], seconds["bare loop, tuned"], strict=True)
        ratios = [one / other for one, other in pairs]
        told.append(
            f"{task.name}, deepclassics: {statistics.median(ratios):.3f} of the time of the bare loop, tuned "
            f"({min(ratios):.2f} to {max(ratios):.2f})."
        )
    if task.recipe.work(task.spec):
        told += shares(task, rows)
        print("\n".join(told))
    return rows, told


def matrix_rate(kind: torch.dtype) -> float:
    """Multiply-adds a second of products of 1024 × 1024 matrices: the best of ten."""
    one, other = torch.randn(2, 1024, 1024, dtype=kind).unbind(0)
    times = []
    for _ in range(12):
        begun = time.perf_counter()
        one @ other
        times.append(time.perf_counter() - begun)
    return 1024**3 / min(times[2:])


def shares(task: Task, rows: list[Any]) -> list[str]:
    """A sentence a loop: examples a second, and how near its multiply-adds come to the rate of matrix products."""
    work, found = task.recipe.work(task.spec) * task.batch, []
    rates = {"float32": matrix_rate(torch.float32), "bfloat16": matrix_rate(torch.bfloat16)}
    for _, peer, milliseconds, *_ in rows:
        mixed = peer in ("deepclassics", "bare loop, tuned") and has_bf16(torch.device("cpu")) and work >= LARGE
        kind = "bfloat16" if mixed else "float32"
        share = work / (milliseconds / 1000) / rates[kind]
        found.append(
            f"{task.name}, {peer}: {task.batch / milliseconds * 1000:,.0f} examples a second, {share:.0%} of the rate "
            f"of {kind} matrix products ({2 * rates[kind] / 1e9:,.0f} GFLOP/s)."
        )
    return found


def versions(*peers: str) -> str:
    found = []
    for package in ("deepclassics", "torch", *peers, "numpy"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found.append(f"{package} {importlib.metadata.version(package)}")
    return ", ".join([*found, f"Python {platform.python_version()}"])


def contests(updates: int) -> dict[str, tuple[Task, dict[str, Callable[[], Contender]], int]]:
    """Each net with its peers, and how many updates a round has; the large nets have fewer."""
    lenet = find("lenet5")(modern=True, distort=0.0, lr=LR, optimizer="momentum")
    mlp = find("mlp")(hidden=(128,), lr=LR, optimizer="momentum")
    plain = {"lr": LR, "optimizer": "momentum", "l2": 0.0, "mirror": "off", "crop": 0, "schedule": "constant"}
    tasks = {
        "lenet5": Task("LeNet-5", lenet, 60_000, (1, 28, 28), 64),
        "mlp": Task("784-128-10", mlp, 60_000, (1, 28, 28), 64),
        "resnet": Task("ResNet-20", find("resnet")(**plain), 10_000, (3, 32, 32), 128),
        "alexnet": Task("AlexNet", find("alexnet")(**plain), 256, (3, 224, 224), 16, 1000),
    }
    layers = {"lenet5": lenet_of, "mlp": mlp_of, "resnet": resnet20_of, "alexnet": alexnet_of}
    found = {}
    for net, task in tasks.items():
        peers: dict[str, Callable[[], Contender]] = {}
        if net == "mlp":
            autograd = mlp.model_copy(update={"backward": "autograd"})
            peers["deepclassics, autograd"] = functools.partial(ours, task, autograd)
        if net in ("resnet", "alexnet"):
            peers["bare loop, tuned"] = functools.partial(bare, task, tuned=True)
        peers["Lightning"] = functools.partial(lightning, task)
        peers["Keras on torch"] = functools.partial(keras, layers[net], task)
        if net == "mlp":
            peers["scikit-learn"] = functools.partial(sklearn, task)
        found[net] = task, peers, {"lenet5": updates // 4, "mlp": updates}.get(net, max(3, updates // 100))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--updates", type=int, default=2000)
    parser.add_argument("--threads", type=int, default=cores())
    parser.add_argument("--nets", nargs="+", choices=NETS, default=NETS)
    parser.add_argument("--write", type=Path, help="a Markdown file for the table")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    rows, told = [], []
    for net in given.nets:
        task, peers, updates = contests(given.updates)[net]
        found, sentences = contest(task, peers, given.rounds, updates)
        rows += found
        told += sentences
    if given.write:
        lines = [
            "# Speed: one update beside a bare PyTorch loop",
            "",
            f"Written by `make bench` on {processor()}, {given.threads} threads; "
            f"{versions('lightning', 'keras', 'scikit-learn')}.",
            "LeNet-5 and 784-128-10: batches of 64 in the shapes of MNIST; ResNet-20: 128 of 3 × 32 × 32; AlexNet: 16 "
            f"of 3 × 224 × 224, 1000 classes. SGD with momentum; {given.rounds} rounds in turn, medians; "
            "ratios are to the bare loop of the same round, lowest and highest behind.",
            "deepclassics: the whole loop with logging, schedule, checkpoints and run folder; the MLP's backward pass "
            "is written out, or autograd's; the large nets have what the host settles, bfloat16 where the machine has "
            "it and channels last, and are timed from their second update on. Bare loop, tuned: the same by hand. "
            "Lightning: Trainer with a DataLoader and its checkpoint, no logger, no bar. Keras: `fit` over arrays.",
            "",
            "| net | loop | ms an update | ratio | from | to |",
            "|---|---|---:|---:|---:|---:|",
            *[
                f"| {net} | {peer} | {ms:.3f} | {ratio:.2f} | {low:.2f} | {high:.2f} |"
                for net, peer, ms, ratio, low, high in rows
            ],
            "",
            *[f"- {sentence}" for sentence in told],
        ]
        given.write.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
