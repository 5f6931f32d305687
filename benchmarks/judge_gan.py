"""How good are the pictures that a GAN draws? An independently trained LeNet-5 says.

    python benchmarks/judge_gan.py RUN [--judge RUN_OF_LENET5] [--samples 1000] [--seed 0] [--json]

RUN is the folder of a finished run that draws pictures from noise. The judge is a finished run of `lenet5` on the same
data set; left out, one is trained with `--modern` and a seed of its own, in RUN.judge beside RUN.

Two things are told. The share of each class among the samples, by the judge: a share near 0 is a class that the
generator does not draw. And Fréchet distances in the judge's last hidden layer, F6, of 84 units (Heusel et al. 2017,
eq. 6, with this net in place of an Inception net), always from the training pictures:

- of the samples;
- of as many shuffled pictures: training pictures, the pixels of each in an order of its own. What draws nothing but
  the right greys is as far as this;
- of as many real pictures: test pictures, and one random half of the training pictures from the other. Nothing can be
  expected to come nearer than these, for few pictures never have the mean and covariance of many.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from deepclassics import metrics
from deepclassics.data.streams import Columns
from deepclassics.errors import UserError
from deepclassics.host import Host
from deepclassics.learn import untraced
from deepclassics.loop import carry_out
from deepclassics.recipe import find
from deepclassics.report.evidence import Evidence
from deepclassics.run import Run
from deepclassics.systems.generative.gan import Adversaries, fixed_noise
from deepclassics.systems.vision.lenet5 import LeNet5

MOST = 10_000  # pictures of a split that are looked at


def judge_run(run: Run, path: Path | None) -> Run:
    """The run of the judge: the given one, or one made now."""
    data = run.recipe().data
    if path is None:
        path = run.path.with_name(f"{run.path.name}.judge")
        epochs = 30 if run.spec()["examples"]["train"] < 10_000 else 5
        carry_out(find("lenet5")(data=data, modern=True, epochs=epochs, seed=1000), path, Host())
    judge = Run.open(path)
    if judge.facts()["system"] != "lenet5" or judge.recipe().data != data or judge.result() is None:
        raise UserError(f"The judge must be a finished run of lenet5 on {data}; {path} is not. Give another --judge.")
    return judge


def features(judge: LeNet5, image: Tensor) -> Tensor:  # (N, C, H, W) in [0, 1] -> (N, 84)
    with untraced(judge):
        return torch.cat([judge.features(piece) for piece in image.split(1000)])


def pictures(columns: Columns) -> Tensor:  # -> (at most MOST, C, H, W) in [0, 1]
    return columns.take(slice(MOST))["image"]


def shuffled(image: Tensor, generator: torch.Generator) -> Tensor:  # (N, C, H, W) -> the same
    """Every picture with its pixels in an order of its own, the same for its channels."""
    order = torch.rand(len(image), 1, image[0, 0].numel(), generator=generator).argsort(-1)
    return image.flatten(2).gather(2, order.expand(-1, image.shape[1], -1)).view_as(image)


def verdict(run: Run, judge: Run, samples: int, seed: int) -> dict[str, Any]:
    """What the judge says, as JSON."""
    evidence, critic = Evidence(run), Evidence(judge).model
    assert isinstance(critic, LeNet5)
    model = evidence.model
    assert isinstance(model, Adversaries)
    splits = evidence.splits()
    generator = torch.Generator().manual_seed(seed + 1)
    with untraced(model):
        drawn = model(fixed_noise(samples, model.generator.noise, seed))
    train = pictures(splits.train)
    order = torch.randperm(len(train), generator=generator)
    real = features(critic, train)
    reference = metrics.moments(real)

    def distance(other: Tensor) -> float:
        return float(metrics.frechet_distance(*reference, *metrics.moments(other)))

    half, rest = real[order].tensor_split(2)
    with untraced(critic):
        given = critic(drawn).argmax(1)
    classes = evidence.spec["target"]["classes"]
    shares = (torch.bincount(given, minlength=len(classes)).double() / samples).tolist()
    near, far = (
        distance(features(critic, drawn)),
        distance(features(critic, shuffled(train[order[:samples]], generator))),
    )
    distances = {
        "samples": near,
        "shuffled": far,
        "test": None if splits.test is None else distance(features(critic, pictures(splits.test)[:samples])),
        "halves": float(metrics.frechet_distance(*metrics.moments(half), *metrics.moments(rest))),
    }
    done, judged = run.result(), judge.result()
    assert done is not None
    return {
        "run": str(run.path),
        "data": run.recipe().data,
        "updates": done["steps"],
        "seconds": done["seconds"],
        "judge": str(judge.path),
        "judge_error": judged and judged["scores"].get("test/error"),
        "samples": samples,
        "shares": dict(zip(classes, shares, strict=True)),
        "smallest_share": min(shares),
        "distances": distances,
        "of_shuffled": near / far,
    }


def text(found: dict[str, Any]) -> str:
    shares = "  ".join(f"{name} {100 * share:.1f} %" for name, share in found["shares"].items())
    distances = "\n".join(
        f"  {name:9} {value:10.4g}" for name, value in found["distances"].items() if value is not None
    )
    return (
        f"{found['samples']:,} pictures drawn by {found['run']} after {found['updates']:,} updates in "
        f"{found['seconds']:.0f} s, judged by {found['judge']} (test error {found['judge_error']:.4f})\n"
        f"Shares of the classes: {shares}\n"
        f"Fréchet distances from the training pictures:\n{distances}\n"
        f"The samples' is {found['of_shuffled']:.3f} of the shuffled pictures'."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of a finished run of gan")
    parser.add_argument("--judge", type=Path, help="folder of a finished run of lenet5 on the same data")
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0, help="of the noise")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args()
    try:
        run = Run.open(given.run)
        if run.facts()["system"] != "gan":
            raise UserError(f"{given.run} must be a run of gan; it is one of {run.facts()['system']}.")
        if run.result() is None:
            raise UserError(f"{given.run} must be a finished run. Give the same `run` command again to finish it.")
        found = verdict(run, judge_run(run, given.judge), given.samples, given.seed)
    except UserError as error:
        sys.exit(str(error))
    print(json.dumps(found, ensure_ascii=False) if given.json else text(found))


if __name__ == "__main__":
    main()
