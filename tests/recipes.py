"""Every recipe made small, for the contract: the same system on little data, and what a child process does with it."""

import os
import signal
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from deepclassics.data.streams import Columns, Data, InOrder, Passage, Stream
from deepclassics.host import Host
from deepclassics.learn import Learner
from deepclassics.loop import Plan, fit
from deepclassics.optimizers import METHODS
from deepclassics.recipe import Recipe, find
from deepclassics.run import Run

warnings.simplefilter("error")

STEPS = 12

# What a run must remember depends on its knobs. Law 3 is held to these too: rules, methods and memories that the
# defaults leave out.
OTHER_KNOBS: dict[str, list[dict[str, Any]]] = {
    "adaline": [{"batch": 7, "lr": 0.01, "schedule": "cosine"}, {"data": "diabetes"}],
    "alexnet": [
        {"towers": 2, "width": 0.125, "dense": 16, "mirror": "on", "crop": 2},
        {"size": 70, "batch": 8, "width": 0.05, "dense": 16, "stem": "large", "optimizer": "adam", "lr": 0.001},
    ],
    "backprop": [{"data": "bp_two", "sequence": "notes"}, {"data": "bp_letters", "epochs": 20}],
    "boolean": [{"method": "xor-chain"}, {"method": "hybrid", "block": 2}],
    "cbow": [
        {"method": "skipgram", "output": "hierarchical", "embedding": 10, "batch": 3000, "phrases": 1},
        {"loop": "torch", "embedding": 10, "batch": 1000, "share": True, "across": False},
        {"output": "softmax", "embedding": 10, "batch": 1000, "least": 50, "mean": False, "valid": 0.1},
    ],
    "char_rnn": [{"data": "hello", "chunk": 4, "hidden": 8, "layers": 2, "cell": cell, "optimizer": rule}
                 for cell, rule in (("rnn", "momentum"), ("gru", "adagrad"), ("lstm", "rmsprop"), ("peephole", "adam"),
                                    ("coupled", "sgd"), ("depth_gated", "adamw"), ("clockwork", "adamw"))]
                + [{"data": "anbn", "cell": "clockwork", "parameters": 3000, "embedding": 8}],
    "convolution": [{"data": "digits", "kernel": ("sobel-x", "laplace"), "pool": "average"}],
    "descent": [
        {"data": "rosenbrock", "optimizer": tuple(METHODS)},
        {"optimizer": ("gd", "adam"), "schedule": "step", "warmup": 0.2, "plateau": 1},
        {"data": "diabetes", "batch": 50, "hidden": (3,), "optimizer": ("nesterov", "adadelta")},
        {"data": "iris", "optimizer": ("bfgs", "newton", "rotated")},
    ],
    "fast_dropout": [{"method": "bernoulli", "grams": 1, "l2": 1e-4}],
    "gan": [{"loss": "minimax", "hidden": 16, "layers": 2, "noise": 4, "batch_norm": False, "average": 0.9}],
    "hebb": [{"rule": "hebb", "batch": 5, "lr": 0.001, "schedule": "constant"}],
    "inception": [
        {"width": 0.05, "largest": 5, "norm": False, "reduce": False},
        {"width": 0.1, "form": "nin", "auxiliary": 0.0},
    ],
    "kmeans": [{"data": "iris", "method": "macqueen"}, {"data": "iris", "method": "minibatch", "batch": 10}],
    "lenet5": [{"modern": True, "distort": 0.0, "optimizer": "adam", "l2": 0.01, "clip_norm": 1.0}],
    "linear": [
        {"method": "minibatch", "momentum": 0.9, "l2": 0.01},
        {"method": "batch", "l1": 0.05, "momentum": 0.5},
        {"method": "stochastic", "schedule": "onecycle"},
        {"method": "newton"},
    ],
    "logistic": [{"method": "newton"}, {"method": "batch", "l1": 0.01}, {"method": "stochastic", "schedule": "step"}],
    "madaline": [{"rule": "mrii", "units": 6}, {"rule": "search", "data": "xor", "units": 2}],
    "mdp": [{"method": method} for method in ("policy", "evaluation", "closed", "backward")],
    "mlp": [
        *({"hidden": (9,), "optimizer": rule} for rule in ("sgd", "momentum", "nesterov", "adagrad", "adadelta")),
        {"hidden": (9, 8), "backward": "autograd", "batch_norm": True, "dropout": 0.2, "optimizer": "rmsprop"},
        {"hidden": (9, 8), "activation": "noisy", "input_dropout": 0.1, "optimizer": "adamw", "l2": 1.0},
        {"data": "diabetes", "hidden": (9,), "activation": "maxout", "l1": 0.01, "clip_norm": 0.1},
        {"hidden": (9,), "batch": 512, "patience": 1, "lr": 1.0, "warmup": 0.5, "loss": "squared_error"},
    ],
    "neural_lm": [{"direct": True, "order": 3, "embedding": 8, "hidden": 8, "optimizer": "momentum", "lr": 0.1}],
    "neuron": [{"data": "a ^ b", "solution": "two"}],
    "ngram": [{"data": "hello", "order": 2, "method": "none"}, {"unit": "character", "method": "kneser-ney"}],
    "perceptron": [{"rule": "pm"}, {"data": "digits", "lr": 0.1}],
    "pulses": [{"method": "relu"}, {"data": "hills", "method": "cylinders"}],
    "rbm": [{"hidden": 16, "method": "pcd", "k": 2, "l2": 0.001}, {"hidden": 16, "pixels": "probabilities"}],
    "regions": [{"data": "checkerboard16", "method": "xor"}, {"method": "cylinders", "radius": 0.4}],
    "resnet": [
        {"plain": True, "crops": 10, "balance": True, "smoothing": 0.1, "rotate": 10.0, "stretch": 0.1},
        {"data": "husky", "batch": 8, "shortcuts": "C", "colour": 0.1, "grain": 0.05, "clip_norm": 1.0},
    ],
    "rnn_lm": [
        {"cell": "sigmoid", "hidden": 8, "embedding": 8, "dropout": 0.2, "tie": True, "schedule": "halving"},
        {"cell": "gru", "layers": 1, "hidden": 8, "embedding": 9, "optimizer": "adam", "lr": 0.01, "clip_value": 0.01},
    ],
    "softmax": [{"data": "iris", "method": "newton"}, {"method": "batch", "l1": 0.01}, {"momentum": 0.0}],
    "tagger": [
        {"output": "softmax", "scheme": "BIO", "cell": "gru", "capitals": 0, "hidden": 9, "layers": 2},
        {"filters": 0, "optimizer": "sgd", "lr": 0.1, "warmup": 0.2, "hidden": 9, "batch": 7},
    ],
    "textcnn": [
        {"windows": (1, 2), "maps": 5, "embedding": 7, "max_norm": None, "rule": "english", "fold": 3, "kept": 3},
    ],
    "vgg": [{"width": 0.125, "dense": 16, "norm": False, "depth": 13, "dropout": 0.0}],
    "wirings": [{"data": "adding", "length": 10, "cell": "gru", "layers": 2}, {"data": "film", "cell": "peephole"}],
}  # fmt: skip

# Nets that are large by default: what the contract holds of them does not depend on how many maps they have.
SMALLER: dict[str, dict[str, Any]] = {
    "alexnet": {"width": 0.125, "dense": 32},
    "inception": {"width": 0.125},
    "vgg": {"width": 0.125, "dense": 32},
}

# Law 6 is held to these too: more than one example at a time where the default is one, and other rules.
SHARED_KNOBS: list[tuple[str, dict[str, Any]]] = [
    ("adaline", {"batch": 8, "lr": 0.01}),
    ("fast_dropout", {"method": "gaussian"}),
    ("hebb", {"batch": 8, "rule": "hebb"}),
    ("kmeans", {"data": "iris", "method": "minibatch", "batch": 20}),
    ("linear", {"method": "minibatch", "l1": 0.01, "momentum": 0.9}),
    ("logistic", {"method": "newton"}),
    ("mlp", {"data": "diabetes", "hidden": (9,), "optimizer": "momentum", "l1": 0.01, "l2": 0.1, "clip_norm": 0.1}),
    ("mlp", {"hidden": (9,), "backward": "autograd", "optimizer": "rmsprop", "clip_value": 0.01}),
]


def recipe(name: str, **knobs: Any) -> Recipe:
    """The system's recipe with its defaults, smaller where the net is large."""
    return find(name)(**SMALLER.get(name, {}) | knobs)


class Killed(Exception):
    """What ends a run where a process is not worth its while."""


def small(data: Data) -> Data:
    """The same data with looks over 200 examples, or over 2,000 characters, at most."""

    def cut(stream: Stream | None) -> Stream | None:
        if isinstance(stream, InOrder):
            return InOrder(Columns(**{name: tensor[:200] for name, tensor in stream.columns.tensors.items()}))
        if isinstance(stream, Passage):
            return Passage(stream.ids[:2000])
        return stream

    return replace(data, valid=cut(data.valid), test=cut(data.test))


def made(recipe: Recipe, rank: int = 0, ranks: int = 1) -> tuple[Learner, Data]:
    """The recipe's learner with its first weights, and its small data."""
    torch.set_num_threads(1)
    data = small(recipe.load()).on(torch.device("cpu"), rank, ranks)
    torch.manual_seed(recipe.seed)
    model = recipe.model(data.spec)
    recipe.inherit(model, data.spec)
    learner = recipe.learner(model)
    torch.manual_seed(recipe.seed + 1 + rank)
    return learner, data


class KilledAt(Stream):
    """A stream that when asked for batch number `at_position` kills its process, or only raises `Killed`."""

    def __init__(self, stream: Stream, at_position: int, raises: bool = False) -> None:
        self.stream, self.at_position, self.batch = stream, at_position, getattr(stream, "batch", 1)
        self.raises = raises

    def __len__(self) -> int:
        return len(self.stream)

    def at(self, position: int) -> dict:
        if position == self.at_position:
            if self.raises:
                raise Killed
            os.kill(os.getpid(), signal.SIGKILL)
        return self.stream.at(position)

    def on(self, device: torch.device, rank: int = 0, ranks: int = 1) -> "KilledAt":
        return KilledAt(self.stream.on(device, rank, ranks), self.at_position, self.raises)


def train(recipe: Recipe, path: Path, kill_at: int | None = None, steps: int = STEPS, raises: bool = False) -> Learner:
    """A run of a few updates in `path`, saving after every third; with `kill_at`, it dies before that update."""
    host = Host(save_every=3, device="cpu", threads=1)
    learner, data = made(recipe, host.rank, host.ranks)
    run = Run.begin(path, recipe) if host.leads else Run(path)
    if host.leads:
        run.describe(recipe, data.spec, {})
    plan = recipe.plan(data)
    plan = Plan(steps, 4, plan.watch)
    if kill_at is not None:
        data = replace(data, train=KilledAt(data.train, kill_at, raises))
    fit(learner, data, plan, run, host)
    run.release()
    return learner


def child(name: str, path: str, kill_at: int | None) -> None:
    """One process: a run that is killed, goes on, or is never interrupted."""
    train(recipe(name), Path(path), kill_at)


def rank(name: str, knobs: dict, path: str, number: int, ranks: int, port: int) -> None:
    """One of several processes that share a run."""
    os.environ.update(
        RANK=str(number), WORLD_SIZE=str(ranks), LOCAL_RANK=str(number), LOCAL_WORLD_SIZE=str(ranks),
        MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port),
    )  # fmt: skip
    Host(device="cpu", threads=1).place()
    train(find(name)(**knobs), Path(path))
    torch.distributed.destroy_process_group()
