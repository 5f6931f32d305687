"""An RBM of 500 hidden units on MNIST, beside scikit-learn's BernoulliRBM: time, and reconstruction error.

    python benchmarks/rbm.py [--rounds 3] [--epochs 5] [--threads 0] [--precision fp32] [--peer float32] [--json]

Both learn from the 60,000 training pictures, in batches of 100 at a rate of 0.1, for so many passes, and
take turns, round after round, so that whatever else the machine does falls on both. scikit-learn computes in the type
of the pictures it is given: float32, or with `--peer float64` what dividing its own `fetch_openml("mnist_784")` by 255
yields. Ours is the whole loop: order of the pictures, logging, checkpoints and the run folder included. Beside the
seconds that passed stand those that the processor worked, which tell more on a machine that others use too. The error
is the mean square per pixel between the 10,000 test pictures and their mean-field reconstructions, by one and the same
function.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from sklearn.neural_network import BernoulliRBM
from threadpoolctl import threadpool_limits
from torch import Tensor

from deepclassics.data.streams import Data, Shuffled
from deepclassics.host import Host, cores
from deepclassics.loop import fit
from deepclassics.recipe import find
from deepclassics.run import Run
from deepclassics.systems.generative.rbm import RBM

HIDDEN, BATCH, LR = 500, 100, 0.1


def error(machine: RBM, image: Tensor) -> float:  # (N, C, H, W) in [0, 1] -> mean square per pixel
    with torch.no_grad():
        return float((machine(image) - image).square().mean())


def ours(data: Data, image: Tensor, epochs: int, host: Host) -> tuple[float, float, float]:
    """Seconds passed, seconds worked, error on `image`."""
    recipe = find("rbm")(
        data="mnist", hidden=HIDDEN, batch=BATCH, lr=LR, schedule="constant", epochs=epochs, pixels="probabilities"
    )
    torch.manual_seed(0)
    machine = recipe.model(data.spec)
    learner = recipe.learner(machine)
    with tempfile.TemporaryDirectory() as folder:
        passed, worked = time.perf_counter(), time.process_time()
        run = Run.begin(Path(folder) / "run", recipe)
        run.describe(recipe, data.spec, {})
        fit(learner, data, recipe.plan(data), run, host)
        run.release()
        passed, worked = time.perf_counter() - passed, time.process_time() - worked
    return passed, worked, error(machine, image)


def theirs(train: Tensor, image: Tensor, epochs: int, dtype: str) -> tuple[float, float, float]:
    """The same of scikit-learn, which learns by persistent contrastive divergence of one step."""
    peer = BernoulliRBM(HIDDEN, learning_rate=LR, batch_size=BATCH, n_iter=epochs, random_state=0)
    x = train.flatten(1).numpy().astype(dtype, copy=False)
    passed, worked = time.perf_counter(), time.process_time()
    peer.fit(x)
    passed, worked = time.perf_counter() - passed, time.process_time() - worked
    machine = RBM(train.shape[1:], HIDDEN, "probabilities")
    machine.load_state_dict(
        {
            "weight": torch.from_numpy(peer.components_.T.copy()).float(),
            "visible_bias": torch.from_numpy(peer.intercept_visible_).float(),
            "hidden_bias": torch.from_numpy(peer.intercept_hidden_).float(),
        }
    )
    return passed, worked, error(machine, image)


def contest(rounds: int, epochs: int, host: Host, dtype: str) -> dict[str, Any]:
    threads = host.threads or cores()
    torch.set_num_threads(threads)
    found = find("rbm")(data="mnist", batch=BATCH, valid=0.0).load()
    assert isinstance(found.train, Shuffled)
    assert found.test is not None
    data = Data(found.spec, found.train)  # scikit-learn looks at no validation data either
    train = found.train.columns.take(slice(None))["image"]
    test = torch.cat([batch["image"] for batch in found.test])
    with threadpool_limits(threads):
        pairs = [(ours(data, test, epochs, host), theirs(train, test, epochs, dtype)) for _ in range(rounds)]
    return {
        "epochs": epochs,
        "threads": threads,
        "precision": host.precision,
        "peer": dtype,
        "seconds": [[round(our[0], 2), round(their[0], 2)] for our, their in pairs],
        "worked": [[round(our[1], 2), round(their[1], 2)] for our, their in pairs],
        "ratio": round(statistics.median(our[0] / their[0] for our, their in pairs), 3),
        "ratio_worked": round(statistics.median(our[1] / their[1] for our, their in pairs), 3),
        "reconstruction": [round(pairs[0][0][2], 5), round(pairs[0][1][2], 5)],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=0, help="0 for all cores")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32", help="of ours")
    parser.add_argument(
        "--peer", choices=["float32", "float64"], default="float32", help="type scikit-learn computes in"
    )
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    host = Host(device="cpu", threads=given.threads, precision=given.precision)
    found = contest(given.rounds, given.epochs, host, given.peer)
    if given.json:
        print(json.dumps(found))
        return
    circumstances = f"{found['epochs']} passes, {found['threads']} threads"
    print(f"{circumstances}: ours in {found['precision']}, scikit-learn's in {found['peer']}")
    for seconds, worked in zip(found["seconds"], found["worked"], strict=True):
        print(f"  {seconds[0]:7.2f} s  {seconds[1]:7.2f} s    worked {worked[0]:7.2f} s  {worked[1]:7.2f} s")
    print(f"Ratio of the times {found['ratio']} (worked: {found['ratio_worked']})")
    print("Reconstruction error {:.5f}, {:.5f}".format(*found["reconstruction"]))


if __name__ == "__main__":
    main()
