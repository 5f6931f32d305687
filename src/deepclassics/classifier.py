"""What AlexNet, VGG, ResNet and GoogLeNet share as classifiers of pictures.

A system gives its net and the side of the smallest picture it takes; this gives the knobs, the data, the pretrained
weights, the changes of pictures in training, and the judging. `Classifier` is abstract: it is no system.

Letters: B pictures, C channels, H and W pixels, K classes.
"""

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
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
from deepclassics.flags import typed
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


Dense = Annotated[
    Literal["auto"] | Annotated[int, Field(ge=1)],
    Field(description="units of each hidden dense layer; auto: 4096 with the large stem, 512 with the small one"),
]


class Training(nn.Module):
    """What a learner must know of the data and of the knobs: how pictures are changed, and what a class weighs.

    It has no weights, and none of it is kept: names and shapes of the net's state are the net's own.
    """

    values: Tensor  # of the colours' covariance, (3,)
    vectors: Tensor  # its eigenvectors as columns, (3, 3)
    balance: Tensor  # (K,), of mean 1 over the training examples

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
    ) -> None:
        super().__init__()
        self.mirror, self.crop, self.rotate, self.stretch = mirror, crop, rotate, stretch
        self.colour, self.grain = colour, grain
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
    beside: ClassVar[tuple[str, ...]] = ()  # layers that give classes in training alone
    built: ClassVar[tuple[str, ...]]  # knobs on which names and shapes of the weights depend, the stem apart
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
    body_rate: Annotated[
        Literal["auto"] | Annotated[float, Field(gt=0, le=1)],
        Field(description="rate of all but the last layer, as a share of lr; auto: 0.1 from weights on, else 1"),
    ] = "auto"
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
        if not self.balance:
            return F.cross_entropy(scores, label, label_smoothing=self.smoothing)
        # The mean over a batch is that of its parts' means, on however many ranks they are; with torch's own weights,
        # over whose sum it divides, it is not.
        each = F.cross_entropy(scores, label, label_smoothing=self.smoothing, reduction="none")
        return (_training(model).balance[label] * each).mean()

    def least(self) -> tuple[int, int]:
        """`sides` of the net that the knobs ask for."""
        return self.sides

    def smallest(self, stem: str | None = None) -> int:
        """Height and width of the smallest pictures that the net takes, in pixels. `stem` is that of the weights that
        it starts from, where these are known to have one."""
        return self.least()[(stem if self.stem == "auto" else self.stem) == "large"]

    def load(self) -> Data:
        found = self._start()
        if found is None:
            data = self._data({}, None, False)
        else:
            facts, state = found
            stem = facts.get("stem") or weights.stem(state)
            start = {key: value for key, value in facts.items() if key not in ("classes", "stem")}
            data = self._data(start, stem, self._channels(state, stem) == 3)
            classes = data.spec["target"]["classes"]
            rows = weights.head_rows(classes, facts["classes"]) if "classes" in facts else None
            if "classes" in facts and rows is None:  # they were other classes, though perhaps as many
                state = {name: value for name, value in state.items() if not self._gives_classes(name)}
            new = self._new(data.spec, self._with_rows(state, rows))
            data = replace(data, spec=data.spec | {"weights": start | {"new": new, "rows": rows}})
        self._check(data.spec)
        return data

    def reload(self, spec: dict[str, Any]) -> Data:
        return self._data(spec.get("weights", {}), spec.get("stem"), spec.get("grey", False))

    def _data(self, start: dict[str, Any], stem: str | None, colour: bool) -> Data:
        """The data, suiting weights of those facts and that stem; `colour`: grey pictures get three equal channels."""
        least = self.smallest(stem)
        if self.size != "auto" and self.size < least:
            of = " with the large stem of these weights" if self.stem == "auto" and stem == "large" else ""
            raise UserError(
                f"{self.name()}: size must be at least {least} pixels, the smallest picture that this net takes{of}; "
                f"got {self.size}."
            )
        learnt = tuple(start.get("size", (PUBLISHED_SIZE, PUBLISHED_SIZE))) if stem == "large" else None
        found = load(
            self.data,
            self.takes,
            seed=self.seed,
            valid=self.valid,
            test=self.test,
            skip_bad=self.skip_bad,
            size=learnt if self.size == "auto" else self.size,
            least=least,
        )
        if colour and found.spec["shape"][0] == 1:
            found = in_colour(found)
        spec = found.spec
        counts = torch.bincount(found.train["label"], minlength=len(spec["target"]["classes"]))
        spec = spec | {"counts": counts.tolist()}
        if start:
            spec |= {"stem": stem, "weights": start}
            if "mean" in start and len(start["mean"]) == spec["shape"][0]:
                spec |= {"mean": start["mean"], "std": start["std"]}  # the body has learnt from pictures so scaled
        return replace(found, spec=spec).shuffled(self.batch, self.seed)

    def _check(self, spec: dict[str, Any]) -> None:
        """Refuses knobs that do not go with data of these facts."""
        side = min(spec["shape"][1:])
        if self.crop != "auto" and self.crop >= side:
            raise UserError(
                f"{self.name()}: crop must be less than the pictures' shorter side, {side} pixels; got {self.crop}."
            )
        if self.colour and "colour" not in spec:
            raise UserError(
                f"{self.name()}: colour must be 0 for grey pictures, which have no colours to shift; got "
                f"{self.colour:g}. --grain changes their brightness."
            )
        with torch.device("meta"):
            normalises = any(isinstance(module, nn.BatchNorm2d) for module in self.net(spec).modules())
        if self.batch == 1 and normalises:
            raise UserError(f"{self.name()}: batch must be at least 2, as this net normalises over it; got 1.")

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
        )
        return net

    def inherit(self, model: nn.Module, spec: dict[str, Any]) -> None:
        if "weights" in spec:
            start = spec["weights"]
            state = {name: value for name, value in self._state().items() if name not in start["new"]}
            weights.load_into(model, self._with_rows(state, start["rows"]), self.head, self.name())

    def learner(self, model: nn.Module) -> Backprop:
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
            body_rate=self._body_rate(),
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
            found["size"] = f"{_sides(spec['shape'][1:])}, that of the weights"
        elif self.size == "auto" or "scaled_from" in spec:
            scaled = f", scaled up from {_sides(spec['scaled_from'])}" if "scaled_from" in spec else ""
            found["size"] = f"{_sides(spec['shape'][1:])}{scaled}"
        if self.stem == "auto":
            found["stem"] = self.stem_of(spec)
        if self.mirror == "auto":
            found["mirror"] = "on" if self._mirrors(spec) else "off"
        if self.crop == "auto":
            found["crop"] = many(self._crop(spec["shape"]), "pixel")
        if "weights" in spec:
            if self.body_rate == "auto" and not self.freeze:
                found["body_rate"] = self._body_rate()
            start = spec["weights"]
            of = f" ({start['source']})" if start.get("source") else ""
            new = f"made new: {', '.join(start['new'])}" if start["new"] else "all of them taken"
            found["weights"] = f"{start['file']}{of}, {new}"
        return found

    def work(self, spec: dict[str, Any]) -> float:
        with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counted:
            self.net(spec).eval()(torch.zeros(1, *spec["shape"]))
        # It counts a multiply-add as two. Backward is twice the forward pass; behind a frozen body there is none.
        return (1 if self.freeze else 3) * counted.get_total_flops() / 2

    def protocol(self, spec: dict[str, Any]) -> dict[str, Any]:
        changes = {
            "mirrored": self._mirrors(spec),
            f"cropped by {self._crop(spec['shape'])}": self._crop(spec["shape"]),
            f"turned by {self.rotate:g}°": self.rotate,
            f"stretched by {self.stretch:g}": self.stretch,
            f"colours shifted by {self.colour:g}": self.colour and "colour" in spec,
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

    def units(self, dense: int | str, spec: dict[str, Any]) -> int:
        """The units of each hidden dense layer that a knob of type `Dense` comes to."""
        if isinstance(dense, int):
            return dense
        return 512 if self.stem_of(spec) == "small" else 4096

    def _mirrors(self, spec: dict[str, Any]) -> bool:
        return self.mirror == "on" or (self.mirror == "auto" and spec["shape"][0] == 3 and not spec.get("grey"))

    def _crop(self, shape: Sequence[int]) -> int:
        """By how many pixels pictures of that shape, (C, H, W), are shifted at most."""
        return self._eighth(shape) if self.crop == "auto" else self.crop

    def _eighth(self, shape: Sequence[int]) -> int:
        return max(1, min(shape[1:]) // 8)

    def _body_rate(self) -> float:
        if self.freeze:
            return 1.0  # all that learns is the last layer
        if self.body_rate != "auto":
            return self.body_rate
        return 1.0 if self.weights is None and self.from_ is None else 0.1

    def _gives_classes(self, name: str) -> bool:
        return name.startswith(tuple(f"{layer}." for layer in (self.head, *self.beside)))

    def _with_rows(self, state: dict[str, Tensor], rows: list[int] | None) -> dict[str, Tensor]:
        """The state with those rows of the layers that give classes; None: as it is."""
        if rows is None:
            return state
        return {name: value[rows] if self._gives_classes(name) else value for name, value in state.items()}

    def _start(self) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
        """The facts and the tensors of what it starts from, if anything."""
        if self.weights is not None and self.from_ is not None:
            raise UserError(f"{self.name()}: it must start from --weights or from --from; got both. Leave one out.")
        if self.weights is not None:
            return weights.facts(self.weights), self._state()
        if self.from_ is None:
            if self.freeze:
                raise UserError(
                    f"{self.name()}: --freeze trains the last layer on a body that has learnt already. Name it by "
                    f"--weights FILE or --from RUN."
                )
            return None
        run = Run.open(self.from_)
        if (system := run.facts()["system"]) != self.name():
            raise UserError(f"--from must name a run of {self.name()}; {self.from_} is one of {system}.")
        state, best = self._state(), run.path / "best.safetensors"
        known = {"file": self.from_, "sha256": weights.digest(best if best.exists() else run.path / "last.pt")}
        return known | weights.of_run(run), state

    def _state(self) -> dict[str, Tensor]:
        """The tensors of what it starts from."""
        if self.weights is not None:
            return weights.read(self.weights)
        assert self.from_ is not None
        return Run.open(self.from_).weights()

    def _new(self, spec: dict[str, Any], state: dict[str, Tensor]) -> list[str]:
        """The names of the net's weights that must be made new. Refuses a state of another net."""
        with torch.device("meta"):
            shapes = {name: tuple(value.shape) for name, value in self.net(spec).state_dict().items()}
        try:
            return weights.fits(shapes, state, self.head, self.name())
        except UserError:
            if self.from_ is None:
                raise
            theirs = Run.open(self.from_).recipe()
            other = {name: getattr(theirs, name) for name in self.built if getattr(theirs, name) != getattr(self, name)}
            if self.stem not in ("auto", spec["stem"]):
                other["stem"] = spec["stem"]
            if not other:
                raise
            flags = " ".join(word for name, value in other.items() for word in typed(name, value))
            raise UserError(f"{self.name()}: the net must be that of {self.from_}. Add {flags}.") from None

    def _channels(self, state: dict[str, Tensor], stem: str | None) -> int:
        """How many channels the pictures have from which these weights have learnt; 0 if they are another net's."""
        any_data = {
            "shape": [3, PUBLISHED_SIZE, PUBLISHED_SIZE],
            "mean": [0.0] * 3,
            "std": [1.0] * 3,
            "target": {"classes": ["one", "other"]},
            "stem": stem,
        }
        with torch.device("meta"):
            first = next(name for name, value in self.net(any_data).named_parameters() if value.dim() == 4)
        return state[first].shape[1] if first in state and state[first].dim() == 4 else 0


def _training(model: nn.Module) -> Training:
    found = model.training_only
    assert isinstance(found, Training)
    return found


def _sides(shape: list[int]) -> str:
    return " × ".join(map(str, shape))
