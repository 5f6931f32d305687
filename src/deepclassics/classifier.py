"""What AlexNet, VGG, ResNet and GoogLeNet share as classifiers of pictures.

A system gives its net and the side of the smallest picture it takes; this gives the knobs, the data, the pretrained
weights, the changes of pictures in training, and the judging. `Classifier` is abstract: it is no system.

Letters: B pictures, C channels, H and W pixels, K classes.
"""

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from deepclassics import metrics, weights
from deepclassics.data import load
from deepclassics.data.kinds.image import in_colour
from deepclassics.data.streams import Batch, Data, Stream
from deepclassics.errors import UserError
from deepclassics.layers import augment
from deepclassics.learn import Backprop, Scores, optimizer
from deepclassics.loop import Plan
from deepclassics.progress import many
from deepclassics.recipe import BatchSize, Clip, Course, Decay, Epochs, Picture, Rate, Recipe, Rule, Share
from deepclassics.run import Run
from deepclassics.schedules import NAMED

if TYPE_CHECKING:
    from deepclassics.report.evidence import Evidence

PUBLISHED_SIZE = 224  # pixels: of the pictures that nets with the large stem were published for
SMALL = 64  # pixels: up to here a first layer of stride 1 without pooling is taken, made for pictures of 28 to 64


class Training(nn.Module):
    """What a learner must know of the data and of the knobs: how pictures are changed, and what a class weighs.

    It has no weights, and none of it is kept: names and shapes of the net's state are the net's own.
    """

    values: Tensor  # of the colours' covariance, (3,)
    vectors: Tensor  # its eigenvectors as columns, (3, 3)
    balance: Tensor  # (K,)

    def __init__(
        self,
        mirror: bool,
        crop: int,
        rotate: float,
        stretch: float,
        colour: float,
        grain: float,
        values: Tensor,
        vectors: Tensor,
        balance: Tensor,
        rows: list[int] | None,
    ) -> None:
        super().__init__()
        self.mirror, self.crop, self.rotate, self.stretch = mirror, crop, rotate, stretch
        self.colour, self.grain = colour, grain
        self.rows = rows  # of the last layer that it starts from, which are these classes'; None: a new last layer
        self.register_buffer("values", values, persistent=False)
        self.register_buffer("vectors", vectors, persistent=False)
        self.register_buffer("balance", balance, persistent=False)

    def forward(self, image: Tensor) -> Tensor:  # (B, C, H, W) of pixels in [0, 1] -> the same, changed
        if self.mirror:
            image = augment.mirrored(image)
        if self.crop:
            image = augment.cropped(image, self.crop)
        if self.rotate or self.stretch:
            image = augment.turned(image, self.rotate, self.stretch)
        if self.colour and image.shape[1] == 3:
            image = augment.coloured(image, self.colour, self.values, self.vectors)
        return augment.noised(image, self.grain) if self.grain else image


class Classifier(Recipe):
    """A net that tells of which class a picture is."""

    takes = ("image",)
    gives = ("label",)
    head: ClassVar[str] = "fc"  # the last layer, by its name in the net
    sides: ClassVar[tuple[int, int]]  # of the smallest pictures that it takes with the small and with the large stem

    data: str = Field("digits", description="a named set of pictures, or a folder with a folder for each class")
    size: Annotated[
        Literal["auto"] | Annotated[int, Field(ge=1)],
        Field(description="height and width that the pictures get, in pixels; auto: their own, up to 64"),
    ] = "auto"
    stem: Literal["auto", "small", "large"] = Field(
        "auto",
        description=f"first layers: large as published, for 224 pixels; small, which auto takes up to {SMALL}",
    )
    weights: str | None = Field(None, description="file of pretrained weights to start from, .pth or .safetensors")
    from_: str | None = Field(None, description="run folder of this system to start from")
    freeze: bool = Field(False, description="train the last layer only")
    body_rate: float = Field(1.0, gt=0, le=1, description="rate of all but the last layer, as a share of lr")
    mirror: Literal["auto", "on", "off"] = Field(
        "auto", description="show mirror images too; auto: of colour pictures, as grey ones are often writing"
    )
    crop: Annotated[
        Literal["auto"] | Annotated[int, Field(ge=0)],
        Field(description="shift by up to so many pixels, by random crops; auto: an eighth of the side"),
    ] = "auto"
    rotate: float = Field(0.0, ge=0, le=180, description="turn by up to so many degrees either way")
    stretch: float = Field(0.0, ge=0, le=1, description="stretch height and width by up to this share")
    colour: float = Field(0.0, ge=0, description="strength of shifts along the colours' principal components")
    grain: float = Field(0.0, ge=0, description="deviation of noise on every pixel, of brightness in [0, 1]")
    crops: Literal[1, 2, 5, 10] = Field(
        1, description="average at test time over: 2 mirror images, 5 corners and centre, 10 both"
    )
    balance: bool = Field(False, description="weigh every class alike in the loss, however many pictures it has")
    smoothing: float = Field(0.0, ge=0, lt=1, description="share of the target that is spread over all classes")
    epochs: Epochs = 30
    batch: BatchSize = 64
    lr: Rate = 0.1
    optimizer: Rule = "nesterov"
    momentum: float = Field(0.9, ge=0, lt=1, description="of the optimizers momentum and nesterov")
    schedule: Course = "onecycle"
    l2: Decay = Field(5e-4, description="weight decay")
    clip_norm: Clip = Field(None, description="bound on the norm of the gradient")
    valid: Share = Field(0.1, description="share of the training examples to choose by")
    test: Share = Field(0.2, description="share of the examples to judge by, where the set has no test part")
    skip_bad: bool = Field(False, description="leave pictures out that cannot be read, and count them")

    @abstractmethod
    def net(self, spec: dict[str, Any]) -> nn.Module:
        """The net for data of these facts, (B, C, H, W) of pixels in [0, 1] -> (B, K) scores."""

    def loss(self, model: nn.Module, image: Tensor, label: Tensor) -> Tensor:  # (B, C, H, W), (B,) int64 -> ()
        """What is descended: cross-entropy, in nats."""
        return self.entropy(model, model(image), label)

    def entropy(self, model: nn.Module, scores: Tensor, label: Tensor) -> Tensor:  # (B, K), (B,) int64 -> ()
        """The cross-entropy of scores in nats, weighed and smoothed as the knobs have it."""
        weight = _training(model).balance if self.balance else None
        return F.cross_entropy(scores, label, weight=weight, label_smoothing=self.smoothing)

    def least(self) -> tuple[int, int]:
        """`sides` of the net that the knobs ask for."""
        return self.sides

    def smallest(self) -> int:
        """Height and width of the smallest pictures that the net takes, in pixels."""
        return self.least()[self.stem == "large"]

    def load(self) -> Data:
        least = self.smallest()
        if self.size != "auto" and self.size < least:
            raise UserError(
                f"{self.name()}: size must be at least {least} pixels, the smallest picture that this net takes; "
                f"got {self.size}."
            )
        start = self._start()
        stem = None if start is None else weights.stem(start[1])
        size = self.size if self.size != "auto" else PUBLISHED_SIZE if stem == "large" else None
        found = load(
            self.data,
            self.takes,
            seed=self.seed,
            valid=self.valid,
            test=self.test,
            skip_bad=self.skip_bad,
            size=size,
            least=least,
        )
        if start is not None and found.spec["shape"][0] == 1 and _channels(start[1]) == 3:
            found = in_colour(found)
        spec = found.spec
        counts = torch.bincount(found.train["label"], minlength=len(spec["target"]["classes"]))
        spec = spec | {"counts": counts.tolist()}
        with torch.device("meta"):
            normalises = any(isinstance(module, nn.BatchNorm2d) for module in self.net(spec | {"stem": stem}).modules())
        if self.batch == 1 and normalises:
            raise UserError(f"{self.name()}: batch must be at least 2, as this net normalises over it; got 1.")
        if start is not None:
            facts, state = start
            spec |= {"stem": stem}
            if "mean" in facts and len(facts["mean"]) == spec["shape"][0]:
                spec |= {"mean": facts["mean"], "std": facts["std"]}  # the body has learnt from pictures so scaled
            with torch.device("meta"):
                shapes = {name: tuple(value.shape) for name, value in self.net(spec).state_dict().items()}
            rows = weights.head_rows(spec["target"]["classes"], facts["classes"]) if "classes" in facts else None
            fresh = weights.fits(shapes, self._with_rows(state, facts, rows), self.head, self.name())
            kept = {key: value for key, value in facts.items() if key != "classes"}
            spec |= {"weights": kept | {"new": fresh, "rows": rows}}
        return found.__class__(spec, found.train, found.valid, found.test).shuffled(self.batch, self.seed)

    def model(self, spec: dict[str, Any]) -> nn.Module:
        net = self.net(spec)
        counts = torch.tensor(spec["counts"], dtype=torch.float32)
        colour = spec.get("colour", {"values": [0.0] * 3, "vectors": [[0.0] * 3] * 3})
        net.training_only = Training(
            self._mirrors(spec),
            self._crop(spec["shape"]),
            self.rotate,
            self.stretch,
            self.colour,
            self.grain,
            torch.tensor(colour["values"]),
            torch.tensor(colour["vectors"]).T.contiguous(),
            counts.mean() / counts.clamp_min(1),
            spec.get("weights", {}).get("rows"),
        )
        return net

    def learner(self, model: nn.Module) -> Backprop:
        start = self._start()
        if start is not None:
            facts, state = start
            weights.load_into(model, self._with_rows(state, facts, _training(model).rows), self.head, self.name())
        if self.freeze:
            head = model.get_submodule(self.head)
            model.requires_grad_(False).eval()  # its statistics stay as they are, too
            head.requires_grad_(True).train()

        def objective(model: nn.Module, batch: Batch) -> Scores:
            return {"loss": self.loss(model, _training(model)(batch["image"]), batch["label"])}

        def judge(model: nn.Module, stream: Stream) -> Scores:
            outputs = [(self.log_probability(model, batch["image"]), batch["label"]) for batch in stream]
            given, label = (torch.cat(column) for column in zip(*outputs, strict=True))
            return {"loss": F.nll_loss(given, label), "error": metrics.error_rate(given.argmax(1), label)}

        rule = optimizer(
            self.optimizer,
            model,
            self.lr,
            l2=self.l2,
            momentum=self.momentum,
            head=self.head,
            body_rate=1.0 if self.freeze else self.body_rate,
        )
        schedule = NAMED[self.schedule]
        return Backprop(model, objective, rule, judge=judge, schedule=schedule, clip_norm=self.clip_norm)

    def plan(self, data: Data) -> Plan:
        return Plan.passes(self.epochs, data.train)

    def log_probability(self, model: nn.Module, image: Tensor) -> Tensor:  # (B, C, H, W) -> (B, K)
        """Of the classes, the probabilities averaged over the crops of the knob (S139)."""
        pixels = self._crop(image.shape[1:]) or self._eighth(image.shape[1:])
        found = [model(each).log_softmax(1) for each in augment.crops(image, pixels, self.crops)]
        return torch.stack(found).logsumexp(0) - math.log(len(found))

    def answer(self, model: nn.Module, question: Batch, options: Any) -> Batch:
        probability = self.log_probability(model, question["image"]).exp()
        return {"label": probability.argmax(1), "probability": probability}

    def chosen(self, spec: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if self.size == "auto" and spec.get("stem") == "large":
            found["size"] = f"{PUBLISHED_SIZE}, that of the weights"
        elif "scaled_from" in spec:
            found["size"] = f"{spec['shape'][1]} × {spec['shape'][2]}, scaled up from {_sides(spec['scaled_from'])}"
        if self.stem == "auto":
            found["stem"] = self.stem_of(spec)
        if self.mirror == "auto":
            found["mirror"] = "on" if self._mirrors(spec) else "off"
        if self.crop == "auto":
            found["crop"] = many(self._crop(spec["shape"]), "pixel")
        if "weights" in spec:
            start = spec["weights"]
            of = f" ({start['source']})" if start.get("source") else ""
            new = f"made new: {', '.join(start['new'])}" if start["new"] else "all of them taken"
            found["weights"] = f"{start['file']}{of}, {new}"
        return found

    def work(self, spec: dict[str, Any]) -> float:
        with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counted:
            self.net(spec).eval()(torch.zeros(1, *spec["shape"]))
        return 3 * counted.get_total_flops() / 2  # it counts a multiply-add as two; backward is twice the forward pass

    def protocol(self, spec: dict[str, Any]) -> dict[str, Any]:
        changes = {
            "mirrored": self._mirrors(spec),
            f"cropped by {self._crop(spec['shape'])}": self._crop(spec["shape"]),
            f"turned by {self.rotate:g}°": self.rotate,
            f"stretched by {self.stretch:g}": self.stretch,
            f"colours shifted by {self.colour:g}": self.colour,
            f"grain of {self.grain:g}": self.grain,
        }
        return {
            "augmentation": ", ".join(name for name, wanted in changes.items() if wanted) or "none",
            "pictures": "JPEG of quality 75" if spec["data"] == "cifar10_jpeg" else "as published",
        }

    def pictures(self, evidence: "Evidence") -> list[Picture]:
        from deepclassics.report import calibration, confusion, curves, duplicates, gallery, recall, seeing

        return [
            curves.picture(evidence),
            recall.picture(evidence),
            confusion.picture(evidence),
            gallery.picture(evidence),
            calibration.picture(evidence),
            duplicates.picture(evidence),
            *seeing.pictures(evidence),
        ]

    def stem_of(self, spec: dict[str, Any]) -> str:
        """The stem that the knob comes to. "auto" is that of the weights it starts from; without such, small where the
        longer side of the pictures is at most `SMALL` pixels, or the shorter too short for the large one."""
        if self.stem != "auto":
            return self.stem
        low = min(spec["shape"][1:]) < self.least()[1]
        return spec.get("stem") or ("small" if low or max(spec["shape"][1:]) <= SMALL else "large")

    def _mirrors(self, spec: dict[str, Any]) -> bool:
        return self.mirror == "on" or (self.mirror == "auto" and spec["shape"][0] == 3 and not spec.get("grey"))

    def _crop(self, shape: Sequence[int]) -> int:
        """By how many pixels pictures of that shape, (C, H, W), are shifted at most."""
        return self._eighth(shape) if self.crop == "auto" else self.crop

    def _eighth(self, shape: Sequence[int]) -> int:
        return max(1, min(shape[1:]) // 8)

    def _with_rows(self, state: dict[str, Tensor], facts: dict[str, Any], rows: list[int] | None) -> dict[str, Tensor]:
        """The state with those rows of its last layer; without that layer where it has learnt other classes."""
        if "classes" not in facts:
            return state
        inside = f"{self.head}."
        rest = {name: value for name, value in state.items() if not name.startswith(inside)}
        own = {name: value for name, value in state.items() if name.startswith(inside)}
        return rest if rows is None else rest | {name: value[rows] for name, value in own.items()}

    def _start(self) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
        """The facts and the tensors of what it starts from, if anything."""
        if self.weights is not None and self.from_ is not None:
            raise UserError(f"{self.name()}: it must start from --weights or from --from; got both. Leave one out.")
        if self.weights is not None:
            return weights.facts(self.weights), weights.read(self.weights)
        if self.from_ is None:
            if self.freeze:
                raise UserError(
                    f"{self.name()}: --freeze trains the last layer on a body that has learnt already. Name it by "
                    f"--weights FILE or --from RUN."
                )
            return None
        run = Run.open(self.from_)
        system, spec = run.facts()["system"], run.spec()
        if system != self.name():
            raise UserError(f"--from must name a run of {self.name()}; {self.from_} is one of {system}.")
        state, best = run.weights(), run.path / "best.safetensors"
        facts = {
            "file": str(self.from_),
            "sha256": weights.digest(best if best.exists() else run.path / "last.pt"),
            "source": f"{system} on {spec['data']}",
            "mean": spec["mean"],
            "std": spec["std"],
            "classes": spec["target"]["classes"],
        }
        return facts, state


def _training(model: nn.Module) -> Training:
    found = model.training_only
    assert isinstance(found, Training)
    return found


def _channels(state: dict[str, Tensor]) -> int:
    """How many channels the pictures have from which these weights have learnt."""
    return next((value.shape[1] for value in state.values() if value.dim() == 4), 0)


def _sides(shape: list[int]) -> str:
    return " × ".join(map(str, shape))
