"""The run folder: all that remains of a run. Nothing else reads or writes it.

    recipe.json        system, knobs, version of the package and of this layout
    host.json          where it ran
    spec.json          the facts of the data; with recipe.json they rebuild the model
    metrics.jsonl      a row of scores at a time
    snapshots/         what the report wants to see change, one file a look
    last.pt            the last checkpoint: parts, step, random states; tensors and plain values only
    best.safetensors   the weights that the run stands by
    model.arpa, ...    what the system writes for other programs (`Recipe.files`)
    report/            written by `report`
    result.json        written last: its presence means finished

Every file is written beside its place, flushed, and renamed: a crash leaves the old one or the new one, never half.
Nothing in the folder can run code: checkpoints load with `weights_only=True`, weights are safetensors, the rest JSON.
"""

import errno
import glob
import io
import json
import math
import os
import shlex
import shutil
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor, nn

from deepclassics import __version__
from deepclassics.errors import UserError
from deepclassics.flags import build, shown
from deepclassics.recipe import Recipe, find

FORMAT = 1  # of this layout; a folder of a newer one is refused


class Run:
    """One run folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: IO[str] | None = None

    # --- to begin, or to open

    @classmethod
    def begin(cls, path: Path, recipe: Recipe) -> "Run":
        """The folder for a run of `recipe`: a new one, or an old one of the same recipe, to go on with or to print.

        Writes nothing: that is for `describe`, when it is known that the run can begin.
        """
        run = cls(path)
        if (path / "recipe.json").exists():
            run._refuse_other(recipe)
        elif path.is_dir() and any(entry.name != "lock" for entry in path.iterdir()):
            raise UserError(
                f"{path} must be a run folder or a new or empty one; it holds other files. Choose another --out."
            )
        return run

    @classmethod
    def open(cls, path: Path | str) -> "Run":
        """An existing run folder, to read."""
        path = Path(path)
        if not os.path.exists(path):  # which a text of any length can be asked, where Path would raise
            raise UserError(
                f"There is no run folder {path}.{_meant(path)} `deepclassics run NAME` makes one and says where."
            )
        if not (path / "recipe.json").is_file():
            raise UserError(f"{path} must be a run folder; it has no recipe.json. Give the folder that `run` named.")
        return cls(path)

    def hold(self) -> None:
        """Keeps every other process from running in this folder until this one ends or calls `release`."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = open(self.path / "lock", "w", encoding="utf-8")  # noqa: SIM115 (held as long as the run)
        except OSError as error:
            raise UserError(
                f"{self.path} must be a folder that can be written, to go on with its run; {_reason(error)}. "
                f"Copy it to a place where it can, and run there with --out."
            ) from None
        for left in self.path.glob("*.part"):  # by a process that was killed while it wrote
            left.unlink(missing_ok=True)
        try:
            import fcntl
        except ImportError:  # not on Windows, where an open file cannot be replaced by another process anyway
            return
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            self._lock = None
            raise UserError(
                f"Another process is running in {self.path}. Wait for it, or choose another --out."
            ) from None

    def release(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    # --- to read

    def facts(self) -> dict[str, Any]:
        """recipe.json: {"system", "knobs", "version", "format"}."""
        facts = self._read_json("recipe.json", ("system", "knobs", "format"))
        if facts["format"] > FORMAT:
            raise UserError(
                f"{self.path} was written by deepclassics {facts.get('version')}, in a newer layout than this version, "
                f"{__version__}, can read. Upgrade deepclassics."
            )
        return facts

    def recipe(self) -> Recipe:
        facts = self.facts()
        return build(find(facts["system"]), facts["knobs"], facts["system"])

    def spec(self) -> dict[str, Any]:
        return self._read_json("spec.json", ("kind", "data"))

    def host(self) -> dict[str, Any]:
        return self._read_json("host.json", ("device",))

    def result(self) -> dict[str, Any] | None:
        """result.json, or None where the run has not finished."""
        return self._read_json("result.json", ("system", "scores")) if (self.path / "result.json").exists() else None

    def metrics(self) -> list[dict[str, Any]]:
        """The rows of metrics.jsonl; a last row cut short by a crash is left out."""
        file = self.path / "metrics.jsonl"
        rows = []
        for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else []:
            try:
                rows.append(json.loads(line))
            except json.JSONDecodeError:
                break
        return rows

    def snapshots(self) -> list[tuple[int, dict[str, Tensor]]]:
        """What was kept at every look: (updates done, tensors), in order."""
        from safetensors.torch import load_file

        files = sorted((self.path / "snapshots").glob("*.safetensors"))
        return [(int(file.stem), load_file(file)) for file in files]

    def weights(self) -> dict[str, Tensor]:
        """The weights that the run stands by, on the CPU: the best, or the last where none were kept yet.

        Never others than those that the result speaks of.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        file = self.path / "best.safetensors"
        if file.exists():
            try:
                return load_file(file)
            except (SafetensorError, OSError) as error:
                raise UserError(
                    f"{file} must be a safetensors file of weights; it is damaged or something else ({error}). "
                    f"Nothing in it was run. {self._anew()}"
                ) from None
        result, checkpoint = self.result(), self.checkpoint()
        if checkpoint is None:
            lost = result is not None
        elif result is not None:
            lost = result.get("selection") != "last weights"
        else:
            lost = math.isfinite(checkpoint["loop"]["value"]["best"])
        if lost:
            raise UserError(f"{file} must be there: it holds the weights that the run stands by. {self._anew()}")
        if checkpoint is None:
            raise UserError(f"{self.path} has no weights yet. Run it first.")
        return checkpoint["parts"]["model"]

    def load_into(self, model: nn.Module) -> None:
        """Gives `model` the weights that the run stands by."""
        try:
            model.load_state_dict(self.weights())
        except RuntimeError as error:
            reason = str(error).splitlines()[-1].strip().rstrip(".")
            raise UserError(
                f"{self.path} must hold the weights of its own system, {self.facts()['system']} with the knobs of "
                f"recipe.json; it holds others ({reason}). Put back best.safetensors, or run again in another --out."
            ) from None

    def checkpoint(self, device: torch.device | str = "cpu") -> dict[str, Any] | None:
        """last.pt as a dict, its tensors on `device`, or None where there is none. Code in it is refused, not run."""
        file = self.path / "last.pt"
        if not file.exists():
            return None
        remedy = f"Delete it to begin again, or put back a copy, then run the same command.{self._best_is_left()}"
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of a foreign pickle's protocol: what matters is said below
                checkpoint = torch.load(file, map_location=device, weights_only=True)
        except Exception:  # torch raises half a dozen types here, some its own
            raise UserError(
                f"{file} must be a checkpoint of this run; it is cut short or damaged, or holds more than tensors and "
                f"plain values, which is refused and never run. {remedy}"
            ) from None
        if not isinstance(checkpoint, dict) or not {"format", "system", "step", "parts"} <= set(checkpoint):
            raise UserError(f"{file} must be a checkpoint of this run; it is some other file. {remedy}")
        if checkpoint["format"] > FORMAT:
            raise UserError(
                f"{file} was written by a newer version of deepclassics. Upgrade, or {remedy[0].lower()}{remedy[1:]}"
            )
        if checkpoint["system"] != self.facts()["system"]:
            raise UserError(
                f"{file} must be of system '{self.facts()['system']}'; it is of '{checkpoint['system']}'. {remedy}"
            )
        return checkpoint

    # --- to write

    def describe(self, recipe: Recipe, spec: dict[str, Any], host: dict[str, Any]) -> None:
        """Writes what the run is, on which data, and where; makes the folder if `hold` has not."""
        facts = {
            "system": recipe.name(),
            "knobs": recipe.model_dump(mode="json"),
            "version": __version__,
            "format": FORMAT,
        }
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"{self.path} must be a folder that can be written; {_reason(error)}. Choose another --out."
            ) from None
        self._write_json("recipe.json", facts)
        self._write_json("spec.json", spec)
        self._write_json("host.json", host)

    def log(self, row: dict[str, Any]) -> None:
        try:
            with open(self.path / "metrics.jsonl", "a", encoding="utf-8") as out:
                out.write(json.dumps(row) + "\n")
        except OSError as error:
            raise self._unwritable("metrics.jsonl", error) from None

    def rewind(self, step: int) -> None:
        """Forgets rows and snapshots of updates after `step`: they are about to be made again."""
        rows = [row for row in self.metrics() if row["step"] <= step]
        self._write("metrics.jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode())
        for file in (self.path / "snapshots").glob("*.safetensors"):
            if int(file.stem) > step:
                file.unlink()

    def save(self, checkpoint: dict[str, Any]) -> None:
        """Writes last.pt. A full disk is told, and leaves the checkpoint before it as it was."""
        buffer = io.BytesIO()
        torch.save({"format": FORMAT, "system": self.facts()["system"], **checkpoint}, buffer)
        self._write("last.pt", buffer.getbuffer())

    def keep(self, weights: Mapping[str, Tensor]) -> None:
        """Writes best.safetensors."""
        self._write("best.safetensors", _safetensors(weights))

    def snapshot(self, step: int, tensors: Mapping[str, Tensor]) -> None:
        (self.path / "snapshots").mkdir(exist_ok=True)
        self._write(f"snapshots/{step:09d}.safetensors", _safetensors(tensors))

    def keep_batch(self, tensors: Mapping[str, Tensor]) -> Path:
        """Writes the batch on which a run went wrong, to look into."""
        self._write("bad_batch.safetensors", _safetensors(tensors))
        return self.path / "bad_batch.safetensors"

    def fill(self, name: str, write: Callable[[Path], object]) -> None:
        """Makes a file of the folder with what `write` writes at the path it is given."""
        file = self.path / name
        beside = file.with_name(f"{file.name}.{os.getpid()}.part")
        try:
            write(beside)
            with open(beside, "rb+") as written:
                os.fsync(written.fileno())
            os.replace(beside, file)
        except OSError as error:
            beside.unlink(missing_ok=True)
            raise self._unwritable(name, error) from None

    def finish(self, result: dict[str, Any]) -> None:
        self._write_json("result.json", result)

    # --- inside

    def _holds_learning(self) -> bool:
        """Whether anything would be lost: a run that failed at once, say for its knobs, leaves its folder free."""
        return any((self.path / name).exists() for name in ("last.pt", "best.safetensors", "result.json"))

    def _refuse_other(self, recipe: Recipe) -> None:
        """Law 8: other knobs on an old folder are refused with the sentence that says what to do."""
        facts = self.facts()
        if facts["system"] != recipe.name():
            raise UserError(
                f"{self.path} holds a run of '{facts['system']}', not of '{recipe.name()}'. Choose another --out."
            )
        if not self._holds_learning():
            return
        old, new = facts["knobs"], recipe.model_dump(mode="json")
        other = [
            f"{name} {shown(old.get(name))} (now {shown(new[name])})" for name in new if old.get(name) != new[name]
        ]
        if other:
            raise UserError(
                f"{self.path} holds a run with other knobs: {', '.join(other)}. "
                f"Give the same knobs to go on with it, or another --out to begin a new one."
            )

    def refuse_other_data(self, spec: dict[str, Any]) -> None:
        """A run goes on only with the data that it began with."""
        if not (self.path / "spec.json").exists() or not self._holds_learning():
            return
        if changed := difference(self.spec(), json.loads(json.dumps(spec)), ""):
            raise UserError(
                f"{self.path} was begun on other data: {changed} has changed since. Put the data back to go on, or "
                f"choose another --out to begin a new run."
            )

    def _anew(self) -> str:
        """What restores weights that are lost: a run never makes the same ones twice in one folder."""
        return f"Put back a copy of it, or take {self.path} away and run it again, or run it in another --out."

    def _best_is_left(self) -> str:
        best = self.path / "best.safetensors"
        return f" The best weights so far are safe in {best}." if best.exists() else ""

    def _read_json(self, name: str, keys: tuple[str, ...]) -> Any:
        file = self.path / name
        try:
            value = json.loads(file.read_text(encoding="utf-8"))
            if not isinstance(value, dict) or not set(keys) <= set(value):
                raise UserError(
                    f"{file} must hold {', '.join(keys)}; it holds something else. Put back a copy of it, or begin "
                    f"again in another --out."
                )
            return value
        except FileNotFoundError:
            raise UserError(f"{self.path} has no {name}: the run stopped before it began. Run it again.") from None
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise UserError(
                f"{file} must be JSON; {error}. Put back a copy of it, or begin again in another --out."
            ) from None

    def _write_json(self, name: str, value: Any) -> None:
        self._write(name, (json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode())

    def _write(self, name: str, content: bytes | memoryview) -> None:
        self.fill(name, lambda path: path.write_bytes(content))

    def _unwritable(self, name: str, error: OSError) -> UserError:
        left = " The earlier one is as it was." if (self.path / name).exists() else ""
        free = (
            f"; {shutil.disk_usage(self.path).free // 2**20} MiB are free there" if error.errno == errno.ENOSPC else ""
        )
        return UserError(
            f"{self.path / name} could not be written: {_reason(error)}{free}.{left} "
            f"Make room, then run the same command to go on from the last checkpoint."
        )


def difference(kept: Any, read: Any, place: str) -> str:
    """The first place where facts of data differ by more than rounding, "" where none does."""
    if isinstance(kept, dict) and isinstance(read, dict):
        if kept.keys() != read.keys():
            return place or "their kind"
        pairs = [(kept[key], read[key], str(key)) for key in kept]
    elif isinstance(kept, list | tuple) and isinstance(read, list | tuple):
        if len(kept) != len(read):
            return place
        pairs = [(one, other, place) for one, other in zip(kept, read, strict=True)]
    elif isinstance(kept, float) and isinstance(read, float | int):
        return "" if math.isclose(kept, read, rel_tol=1e-3, abs_tol=1e-6) else place
    else:
        return "" if kept == read else place
    return next((changed for one, other, where in pairs if (changed := difference(one, other, where))), "")


def _meant(path: Path) -> str:
    """ " Did you mean runs/mlp-data=iris?": the run folders whose names begin so, the newest first."""
    begun = path.parent.glob(f"{glob.escape(path.name)}*/recipe.json") if path.name else []
    newest = sorted(begun, key=lambda file: file.stat().st_mtime, reverse=True)[:3]
    return f" Did you mean {' or '.join(shlex.quote(str(file.parent)) for file in newest)}?" if newest else ""


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _safetensors(tensors: Mapping[str, Tensor]) -> bytes:
    from safetensors.torch import save

    return save({name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()})
