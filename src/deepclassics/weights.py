"""Weights that others have trained: files of them read, known by their digest, and laid into a net of ours.

AlexNet, VGG, ResNet and GoogLeNet have torchvision's names and shapes here, so its published files fit as they are, and
so do safetensors of them and the weights of our own runs. A file can never run code: what `torch.save` wrote is read
with `weights_only=True`, and whatever needs more is refused.
"""

import hashlib
import re
import unicodedata
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from deepclassics.errors import UserError, meant, short
from deepclassics.run import Run

# What such files are called; by their first bytes, not by this, is told what they are.
ENDINGS = (".pth", ".pt", ".safetensors", ".bin", ".ckpt", ".tar")
ZIP = b"PK\x03\x04"  # of torch.save
LEGACY = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."  # of torch.save before 1.6: a number, pickled
PICKLE = b"\x80"

# torchvision names a file by the first eight digits of its SHA-256, so these are names and checksums at once. Where
# there are several of one net, all were published: ResNet's IMAGENET1K_V2 is a longer training, others were rewritten.
PUBLISHED = {
    "7be5be79": "alexnet", "4df8aa71": "alexnet",
    "8a719046": "vgg11", "bbd30ac9": "vgg11", "6002323d": "vgg11_bn",
    "19584684": "vgg13", "c768596a": "vgg13", "abd245e5": "vgg13_bn",
    "397923af": "vgg16", "6c64b313": "vgg16_bn", "dcbb9e9d": "vgg19", "c79401a0": "vgg19_bn",
    "f37072fd": "resnet18", "5c106cde": "resnet18", "b627a593": "resnet34", "333f7ec4": "resnet34",
    "0676ba61": "resnet50", "11ad3fa6": "resnet50", "19c8e357": "resnet50",
    "63fe2227": "resnet101", "cd907fc2": "resnet101", "5d3b4d8f": "resnet101",
    "394f9c45": "resnet152", "f82ba261": "resnet152", "b121ed2d": "resnet152",
    "1378be20": "googlenet",
}  # fmt: skip
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's pixels in [0, 1]: red, green, blue

# What a file wraps its state dict in, and what wrappers of a net (in parallel, compiled, Lightning's) put before names.
HOLDERS = ("state_dict", "model_state_dict", "model")
PREFIXES = ("module.", "_orig_mod.", "model.")

# GoogLeNet's auxiliary heads serve training alone: files come with them and without.
SPARE = ("aux1.", "aux2.")
COUNT = "num_batches_tracked"  # which files from before torch 0.4.1 lack, and which nothing but momentum=None reads

# What tells a net: one name, the number of VGG's convolutions, ResNet's kind of block and number of blocks a stage.
TELLING = {
    "Mixed_5b.branch1x1.conv.weight": "Inception-v3",
    "features.denseblock1.denselayer1.conv1.weight": "a DenseNet",
    "class_token": "a vision transformer",
    "cls_token": "a vision transformer",
}
SMALL = " (small stem)"  # for pictures of up to 64 pixels
CIFAR = " (CIFAR)"  # nets that were published for pictures of 32 pixels
LARGE = " (CIFAR, large stem)"  # the same for larger ones
VGG = {8: 11, 10: 13, 13: 16, 16: 19}
RESNET: dict[tuple[bool, tuple[int, ...]], int] = {
    (False, (2, 2, 2, 2)): 18, (False, (3, 4, 6, 3)): 34,
    (True, (3, 4, 6, 3)): 50, (True, (3, 4, 23, 3)): 101, (True, (3, 8, 36, 3)): 152,
}  # fmt: skip


# Reading


def read(path: str | Path) -> dict[str, Tensor]:
    """The parameters and buffers of a file by name, on the CPU and, where the format allows it, not in memory yet."""
    path = _file(path)
    with open(path, "rb") as opened:
        begin = opened.read(16)
    if begin[8:9] == b"{":
        return _unwrapped(_read_safetensors(path), path)
    if begin.startswith((ZIP, LEGACY)):
        return _unwrapped(_read_torch(path), path)
    if begin.startswith(PICKLE):
        raise _code(path, "a Python pickle, which is a program")
    words = begin.decode("ascii", errors="replace")
    what = f"begins with {words!r}" if words.isprintable() and words.isascii() else "is something else"
    raise UserError(f"{path} must be weights as torch.save writes them, or safetensors; it {what}. Give another file.")


def digest(path: str | Path) -> str:
    """The SHA-256 of a file."""
    with open(path, "rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def facts(path: str | Path) -> dict[str, Any]:
    """What is known of a file, as JSON: "file", "sha256" and "source"; of a known source also "mean", "std", "classes",
    and what `of_run` tells.

    Known are torchvision's published files, whatever they are called now, and best.safetensors of a run of ours.
    """
    path = _file(path)
    found = digest(path)
    told: dict[str, Any] = {"file": path.name, "sha256": found, "source": None}
    claimed = next((first for first in PUBLISHED if f"-{first}" in path.name), found[:8])
    if claimed != found[:8]:
        raise UserError(
            f"{path} must be torchvision's {PUBLISHED[claimed]}, as its name says, with a SHA-256 that begins with "
            f"{claimed}; it begins with {found[:8]}, so the file is damaged or another. Fetch it again, or rename it."
        )
    if net := PUBLISHED.get(found[:8]):
        # torchvision brings pictures for GoogLeNet from ImageNet's mean and deviation back to these: its weights were
        # trained elsewhere (`transform_input`).
        mean, std = ([0.5] * 3, [0.5] * 3) if net == "googlenet" else (list(MEAN), list(STD))
        return told | {
            "source": f"torchvision's {net}, ImageNet-1k",
            "mean": mean,
            "std": std,
            "classes": list(imagenet().values()),
        }
    if path.name == "best.safetensors" and (path.parent / "recipe.json").is_file():
        told |= of_run(Run.open(path.parent))
    return told


def of_run(run: Run) -> dict[str, Any]:
    """What is known of the weights of a run of ours; of a classifier of pictures also "stem" and "size", in pixels."""
    from deepclassics.classifier import Classifier  # which reads weights through this module

    recipe, spec = run.recipe(), run.spec()
    told: dict[str, Any] = {"source": f"{recipe.name()} on {spec['data']}"}
    told |= {key: spec[key] for key in ("mean", "std") if key in spec}
    told |= {key: spec["target"][key] for key in ("classes",) if key in spec.get("target", {})}
    return told | ({"stem": recipe.stem_of(spec), "size": spec["shape"][1:]} if isinstance(recipe, Classifier) else {})


@cache
def imagenet() -> dict[str, str]:
    """The 1000 classes of ImageNet-1k in their order: WordNet's synset id -> name, torchvision's choice of synonyms."""
    lines = Path(__file__).with_name("imagenet.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split(" ", 1) for line in lines)


def head_rows(classes: Sequence[str], known: Sequence[str]) -> list[int] | None:
    """The rows of a file's last layer that are `classes`, where all are among its `known` ones and no two the same.

    Names are compared without regard to case, hyphens and underscores; ImageNet's may be given as synset ids.
    """
    rows = {_spoken(name): row for row, name in enumerate(known)}
    if list(known) == list(imagenet().values()):
        rows |= {synset: row for row, synset in enumerate(imagenet())}
    rows |= {name: row for row, name in enumerate(known)}
    found = [rows.get(name, rows.get(_spoken(name))) for name in classes]
    sure = [row for row in found if row is not None]
    return sure if len(set(sure)) == len(found) else None


def _spoken(name: str) -> str:
    return " ".join(re.sub(r"[-_]", " ", unicodedata.normalize("NFC", name)).casefold().split())


def _file(path: str | Path) -> Path:
    """`path`, if it is a file that has anything in it."""
    path = Path(path)
    if (path / "recipe.json").is_file():
        raise UserError(f"{path} must be a file of weights; it is a run folder. Start from it with --from {path}.")
    if path.is_dir():
        found = sorted(entry.name for entry in path.iterdir() if entry.name.endswith(ENDINGS))
        inside = f"Give one of the files in it, such as {path / found[0]}." if found else "Give a file."
        raise UserError(f"{path} must be a file of weights; it is a folder. {inside}")
    if not path.exists():
        beside = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        near = meant(path.name, (name for name in beside if name.endswith(ENDINGS)))
        raise UserError(f"There is no file of weights {path}.{near or ' Give a .pth, .pt or .safetensors file.'}")
    try:
        with open(path, "rb") as opened:
            empty = not opened.read(1)
    except OSError as error:
        raise UserError(f"{path} must be a file that can be read; {(error.strerror or str(error)).lower()}.") from None
    if empty:
        raise UserError(f"{path} must be a file of weights; it is empty. Fetch it again.")
    return path


def _read_safetensors(path: Path) -> Any:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise UserError(
            f"{path} must be a safetensors file of weights; it is cut short or damaged ({error}). Fetch it again."
        ) from None


def _read_torch(path: Path) -> Any:
    """What torch.save wrote: a zip archive, or in old files pickles one after the other."""
    cut = UserError(f"{path} must be weights as torch.save writes them; it is cut short or damaged. Fetch it again.")
    zipped = zipfile.is_zipfile(path)
    if zipped:
        try:
            with zipfile.ZipFile(path) as archive:
                inside = {name.rpartition("/")[2] for name in archive.namelist()}
        except zipfile.BadZipFile:
            raise cut from None
        if "constants.pkl" in inside:
            raise _code(path, "a compiled program (TorchScript)")
        if "data.pkl" not in inside:
            raise UserError(f"{path} must be weights as torch.save writes them; it is an archive of something else.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a foreign pickle's protocol: what matters is said below
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except Exception as error:  # torch raises half a dozen types here, some its own
        if called := re.search(r"GLOBAL ([\w.]+)", str(error)):
            raise _code(path, f"more than that: Python's {called[1]}") from None
        raise cut from None


def _code(path: Path, what: str) -> UserError:
    return UserError(
        f"{path} must hold tensors and plain values only; it holds {what}. That can run code, so the file was "
        "refused, and nothing in it was run. Where you trust it, save its weights alone, by "
        "torch.save(model.state_dict(), FILE)."
    )


def _unwrapped(content: Any, path: Path) -> dict[str, Tensor]:
    """The state dict in what a file holds, under the names that the net itself gives."""
    if isinstance(content, dict) and {"format", "system", "parts"} <= content.keys():
        raise UserError(f"{path} must be a file of weights; it is a checkpoint of a run. Give --from {path.parent}.")
    if isinstance(content, dict):
        content = next((content[key] for key in HOLDERS if isinstance(content.get(key), dict)), content)
    if not isinstance(content, dict) or not content or not all(isinstance(each, Tensor) for each in content.values()):
        held = f"a {type(content).__name__}"
        if isinstance(content, dict):
            held = f"a dict of {short(', '.join(map(str, content)))}" if content else "an empty dict"
        raise UserError(
            f"{path} must hold a state dict, names with their tensors, perhaps under '{HOLDERS[0]}', '{HOLDERS[1]}' or "
            f"'{HOLDERS[2]}'; it holds {held}."
        )
    for name, tensor in content.items():
        if tensor.layout != torch.strided or tensor.device.type != "cpu":
            raise UserError(f"{path} must hold dense tensors; {name} is {tensor.layout} on {tensor.device}.")
    state = {str(name): tensor.detach() for name, tensor in content.items()}
    while prefix := next((each for each in PREFIXES if all(name.startswith(each) for name in state)), ""):
        state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    return state


# Fitting


def load_into(model: nn.Module, state: Mapping[str, Tensor], head: str, who: str) -> list[str]:
    """Gives `model` the weights of a file, as far as `fits` allows; returns the names of those that stay new."""
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    new = fits(expected, state, head, who)
    taken = {name: state[name] for name in expected if name in state and name not in new}
    for name, tensor in taken.items():
        if not torch.isfinite(tensor.float()).all():
            raise UserError(
                f"{who}: weights must be finite numbers; {name} of the file holds others. Take another file."
            )
    model.load_state_dict(taken, strict=False)
    return new


def fits(expected: Mapping[str, tuple[int, ...]], state: Mapping[str, Tensor], head: str, who: str) -> list[str]:
    """Whether a file's weights are those of a net, given as names with shapes; returns the names that must be made new.

    Only the last layer, `head`, may be missing or of another shape, for other classes, and so may GoogLeNet's auxiliary
    heads. Anything else raises UserError. `who` is the system's name.
    """
    replaceable = (f"{head}.", *SPARE)
    new: list[str] = []
    missing: list[str] = []
    other: list[str] = []
    for name, shape in expected.items():
        count = name.endswith(COUNT)
        if name not in state:
            if not count:
                (new if name.startswith(replaceable) else missing).append(name)
        elif tuple(state[name].shape) != tuple(shape) or not (count or state[name].is_floating_point()):
            (new if name.startswith(replaceable) else other).append(name)
    beyond = [name for name in state if name not in expected and not name.startswith(replaceable)]
    if not (missing or other or beyond):
        return new
    kinds = [f"{name} must be {tuple(expected[name])}, got {_shown(state[name])}" for name in other]
    faults = [_few("", kinds, "; "), _few("missing ", missing), _few("superfluous ", beyond)]
    raise UserError(
        f"{who}: the weights must be those of {_name(expected) or 'this net'}, its last layer {head} apart: "
        f"{'; '.join(filter(None, faults))}.{_advice(expected, state, who)}"
    )


def _few(title: str, things: list[str], between: str = ", ") -> str:
    more = f" and {len(things) - 3} more" if len(things) > 3 else ""
    return f"{title}{between.join(things[:3])}{more}" if things else ""


def _shown(tensor: Tensor) -> str:
    kind = "" if tensor.is_floating_point() else f" of {str(tensor.dtype).removeprefix('torch.')}"
    return f"{tuple(tensor.shape)}{kind}"


def _advice(expected: Mapping[str, tuple[int, ...]], state: Mapping[str, Tensor], who: str) -> str:
    """What the file seems to be, and what to type to have its net."""
    first = next(iter(expected))
    wants, got = expected[first], tuple(state[first].shape) if first in state else ()
    if len(got) == 4 and got != tuple(wants) and (got[0], *got[2:]) == (wants[0], *wants[2:]):
        return f" The file is for pictures of {got[1]} channels, the data have {wants[1]}. Start from other weights."
    name = recognise(state)
    if name is None or name == _name(expected):
        return ""
    asked = _asked(name)
    if asked is None:
        return f" They look like {name}, which is not among the systems (`deepclassics list`)."
    system, flags = asked
    return f" They look like {name}: try {flags if system == who else f'`deepclassics run {system} {flags}`'}."


def _asked(name: str) -> tuple[str, str] | None:
    """The system and the flags that have a net of this name."""
    net = name.removesuffix(SMALL)
    stem = f"--stem {'large' if net == name else 'small'}"
    if found := re.fullmatch(r"resnet(\d+) \(CIFAR(, large stem)?\)", net):
        return "resnet", f"--depth {found[1]} --stem {'large' if found[2] else 'small'}"
    if net == "googlenet":
        return "inception", stem
    if found := re.fullmatch(r"alexnet( \(two towers\))?", net):
        return "alexnet", f"--towers {2 if found[1] else 1} {stem}"
    if found := re.fullmatch(r"vgg(\d+)(_bn)?", net):
        return "vgg", f"--depth {found[1]} --{'' if found[2] else 'no-'}norm {stem}"
    if found := re.fullmatch(r"resnet(\d+)", net):
        return "resnet", f"--depth {found[1]} {stem}"
    return None


# Recognising


def recognise(state: Mapping[str, Tensor]) -> str | None:
    """The net whose weights these are, by names and shapes: "resnet50", "vgg16_bn", "resnet20 (CIFAR)" ..., or None."""
    return _name({name: tuple(tensor.shape) for name, tensor in state.items()})


def stem(state: Mapping[str, Tensor]) -> str | None:
    """Whether weights begin with the "large" first layers of a published net or with "small" ones; None if unknown."""
    name = recognise(state)
    return name and ("small" if name.endswith((SMALL, CIFAR)) else "large")


def _name(shapes: Mapping[str, tuple[int, ...]]) -> str | None:
    for key, name in TELLING.items():
        if key in shapes:
            return name
    if "layer1.0.conv1.weight" in shapes and "conv1.weight" in shapes:
        return _resnet(shapes)
    if "inception3a.branch1.conv.weight" in shapes and "conv1.conv.weight" in shapes:
        return f"googlenet{SMALL if shapes['conv1.conv.weight'][2:] == (3, 3) else ''}"
    if "features.0.weight" not in shapes or "classifier.6.weight" not in shapes:
        return None
    kernels = [shape for name, shape in shapes.items() if name.startswith("features.") and len(shape) == 4]
    if len(kernels) == 5:  # with two towers, layers that normalise over maps lie between
        towers = "" if "features.3.weight" in shapes else " (two towers)"
        return f"alexnet{towers}{SMALL if kernels[0][2:] == (3, 3) else ''}"
    if len(kernels) not in VGG:
        return None
    normalised = any(name.endswith("running_mean") for name in shapes)
    # The large stem's dense layers see the 512 maps at 7 x 7 places, the small one's at one.
    small = shapes.get("classifier.0.weight", ())[1:] == (512,)
    return f"vgg{VGG[len(kernels)]}{'_bn' if normalised else ''}{SMALL if small else ''}"


def _resnet(shapes: Mapping[str, tuple[int, ...]]) -> str | None:
    places = {tuple(name.split(".")[:2]) for name in shapes if re.match(r"layer\d+\.\d+\.", name)}
    blocks = tuple(sum(place[0] == f"layer{number}" for place in places) for number in (1, 2, 3, 4))
    narrow = "layer1.0.conv3.weight" in shapes
    small = shapes["conv1.weight"][2:] == (3, 3)
    if blocks[3] == 0 and len(set(blocks[:3])) == 1 and not narrow:
        return f"resnet{6 * blocks[0] + 2}{CIFAR if small else LARGE}"
    if (narrow, blocks) not in RESNET:
        return None
    if shapes.get("layer1.0.conv2.weight") != (64, 64, 3, 3):
        return "a wide ResNet or ResNeXt"
    return f"resnet{RESNET[narrow, blocks]}{SMALL if small else ''}"
