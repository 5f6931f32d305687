"""Functions of numbers: an expression that is typed, or points in a file.

A function comes from one of
- an expression of one variable or more, as "sin(3*x) + x**2" (see `deepclassics.data.expressions`);
- a table of numbers in a file, one point a row: the column "y", or else the last, is the value, the others are the
  variables. Between points of one variable the function is the straight line; of more, it is that of the nearest point.

Letters: N points, D variables, B examples.
"""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from deepclassics.data.expressions import Expression, arithmetic, is_formula
from deepclassics.data.streams import Batch, Columns, Splits
from deepclassics.errors import UserError, meant, short

ENDINGS = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")
LARGEST = 1e100  # of the numbers: their squares can still be summed
VARIABLES = 100  # at most: every one costs memory wherever the function is looked at
PLACES = 20_000  # where an expression is looked at


@dataclass(frozen=True, eq=False)
class Function:
    """y = f(x), given by an expression or by points."""

    names: tuple[str, ...]  # of the variables
    expression: Expression | None = None
    points: tuple[Tensor, Tensor] | None = None  # (N, D), (N,) of float64; of one variable in ascending order
    text: str = ""  # the expression as it was typed, or the name of the file
    name: str = ""
    bounds: tuple[tuple[float, float], ...] = field(default=())  # where it is meant to be looked at, by variable

    def __call__(self, x: Tensor) -> Tensor:  # (B, D) -> (B,) of float64, not always finite
        x = x.double()
        if self.expression is not None:
            return self.expression({name: x[:, place] for place, name in enumerate(self.names)})
        assert self.points is not None
        if len(self.names) == 1:
            import numpy as np

            places, values = (each.flatten().cpu().numpy() for each in self.points)
            return torch.from_numpy(np.interp(x[:, 0].cpu().numpy(), places, values)).to(x.device)
        return self.points[1].to(x.device)[torch.from_numpy(self._tree.query(x.cpu().numpy())[1]).to(x.device)]

    def finite(self, x: Tensor) -> Tensor:  # (B, D) -> (B,) of float64
        """The values at these places.

        Raises:
            UserError: one of them is not a finite number; says where.
        """
        y = self(x)
        bad = ~(y.abs() < LARGEST)
        if bool(bad.any()):
            first = int(bad.nonzero()[0])
            place = ", ".join(f"{name} = {value:g}" for name, value in zip(self.names, x[first].tolist(), strict=True))
            raise UserError(
                f"'{short(self.text)}' must be a finite number everywhere between its bounds; at {place} it is "
                f"{float(y[first])}. Choose other bounds."
            )
        return y

    def examples(self, count: int = PLACES) -> Columns:
        """Where the function is looked at, and its values: its points, or `count` places between its bounds."""
        if self.points is not None:
            return Columns(features=self.points[0], number=self.points[1])
        places = strewn(count, self.bounds)
        return Columns(features=places, number=self.finite(places))

    def refuse_poles(self) -> None:
        """Looks closer and closer where an expression is largest between its bounds.

        Raises:
            UserError: there it is infinite or no number, or grows a billionfold; says where.
        """
        if self.expression is None:
            return
        low, high = torch.tensor(self.bounds, dtype=torch.float64).T
        side = 1 + 2 * round(PLACES ** (1 / len(self.names)) / 2)  # odd: the middle of the bounds is looked at too
        axes = [torch.linspace(least, most, side, dtype=torch.float64) for least, most in self.bounds]
        places = torch.cartesian_prod(*axes).view(-1, len(axes)) if side ** len(axes) <= 4 * PLACES else low[None]
        places = torch.cat([places, strewn(PLACES, self.bounds)])
        values = self.finite(places).abs()
        coarse, best, reach = float(values.max()), places[values.argmax()], (high - low) / side
        while bool((reach > 1e-17 * (1 + best.abs())).any()):
            box = torch.stack([torch.maximum(best - reach, low), torch.minimum(best + reach, high)], 1)
            rounded = torch.stack([best.round(decimals=digits) for digits in range(12)])
            near = torch.cat([best[None], rounded.clamp(low, high), strewn(200, box.tolist())])
            values = self.finite(near).abs()
            best, reach = near[values.argmax()], reach / 4
        if float(values.max()) > 1e9 * (1 + coarse):
            place = ", ".join(f"{name} = {value:g}" for name, value in zip(self.names, best.tolist(), strict=True))
            raise UserError(
                f"'{short(self.text)}' must be finite everywhere between its bounds; near {place} it grows beyond all "
                f"bounds. Choose other bounds."
            )

    def to(self, device: torch.device) -> "Function":
        if self.points is None:
            return self
        return replace(self, points=(self.points[0].to(device), self.points[1].to(device)))

    @cached_property
    def _tree(self) -> Any:
        from scipy.spatial import cKDTree

        assert self.points is not None
        return cKDTree(self.points[0].cpu().numpy())


def strewn(count: int, bounds: Sequence[tuple[float, float]], begin: int = 0) -> Tensor:  # -> (count, len(bounds))
    """Points that fill a box evenly, in any number, without lying on lines: Roberts' R sequence (2018).

    The step along axis k is g^-k modulo 1, where g^(D+1) = g + 1, which for D = 1 is the golden ratio. Points of the
    sequence from number `begin` on: others come from another stretch.
    """
    g = 2.0
    for _ in range(60):
        g = (1 + g) ** (1 / (len(bounds) + 1))
    steps = torch.tensor([g ** -(axis + 1) for axis in range(len(bounds))], dtype=torch.float64)
    shares = (0.5 + torch.arange(begin + 1, begin + count + 1, dtype=torch.float64)[:, None] * steps) % 1
    low, high = torch.tensor(bounds, dtype=torch.float64).T
    return low + shares * (high - low)


def is_written(data: str) -> bool:
    """Whether words are an expression, not a name or a path."""
    return is_formula(data)


def from_words(data: str) -> Function:
    """The function that an expression writes down."""
    expression = arithmetic(data)
    if not expression.names:
        raise UserError(f"'{short(data)}' must have a variable, as x in 'x**2'; it is always the same number.")
    _check_count(expression.names, f"'{short(data)}'")
    return Function(expression.names, expression, text=data)


def from_path(path: Path) -> Function:
    """The function that goes through the points of a file; points at the same place count as their mean."""
    from deepclassics.data.kinds import table

    frame = table.rows(path)
    names = [str(name) for name in frame.columns]
    if len(names) < 2 or not len(frame):
        what = f"{len(names)} {'column' if len(names) == 1 else 'columns'} of {len(frame):,} rows"
        raise UserError(f"{path.name} must hold points: a column for each variable and one for the value; got {what}.")
    value = next((name for name in names if name.lower() == "y"), names[-1])
    names.remove(value)
    _check_count(names, path.name)
    columns = torch.stack([_numbers(frame[name], name, path.name) for name in [*names, value]], 1)
    places, group = columns[:, :-1].unique(dim=0, return_inverse=True)
    counts = torch.bincount(group, minlength=len(places))
    values = torch.bincount(group, columns[:, -1], minlength=len(places)) / counts
    if len(places) < 2:
        raise UserError(f"{path.name} must hold points at 2 places or more; all of them are at the same one.")
    low, high = places.min(0).values.tolist(), places.max(0).values.tolist()
    for name, least, most in zip(names, low, high, strict=True):
        if least == most:
            raise UserError(f"{path.name}: the variable '{name}' must change; it is always {least:g}. Leave it out.")
    return Function(
        tuple(names), points=(places, values), text=path.name, name=path.name, bounds=tuple(zip(low, high, strict=True))
    )


def _check_count(names: Sequence[str], where: str) -> None:
    if len(names) > VARIABLES:
        raise UserError(f"{where} must have at most {VARIABLES} variables; got {len(names):,}.")


def digest(*columns: Tensor) -> str:
    """A word that changes with the data, so that a run is not gone on with after its file was changed.

    The last digits of numbers do not count: they are another machine's if it rounds otherwise.
    """
    found = hashlib.sha256()
    for column in columns:
        parts = [column]
        if column.is_floating_point():
            mantissa, exponent = torch.frexp(column)
            parts = [mantissa.float() + 0.0, exponent]  # + 0.0: so that -0.0 is 0.0
        for part in parts:
            found.update(f"{tuple(part.shape)}".encode())
            found.update(part.contiguous().numpy().tobytes())
    return found.hexdigest()[:16]


def splits(raw: Function, *, seed: int, valid: float, test: float) -> Splits:
    """The function itself to learn from: where it is looked at, the system decides."""
    spec: dict[str, Any] = {
        "kind": "function",
        "data": raw.name or raw.text,
        "names": list(raw.names),
        "text": raw.text,
        "bounds": [list(pair) for pair in raw.bounds],
        "examples": {"train": len(raw.points[1])} if raw.points is not None else {},
    }
    if raw.points is not None:
        spec["content"] = digest(*raw.points)
    return Splits(spec, raw)


def read(inputs: Sequence[str], spec: dict[str, Any]) -> tuple[list[str], Batch]:
    """Places as {"features": (B, D) of float64}: "0.5,0.2" in the order of the variables, "x=0.5,y=0.2", or files."""
    names: list[str] = []
    rows: list[Tensor] = []
    for word in inputs:
        path = Path(word)
        if os.path.exists(word) or path.suffix.lower() in ENDINGS:
            found = _from_file(path, spec["names"])
            names += [f"{path.name} row {row}" for row in range(1, len(found) + 1)]
            rows.append(found)
        else:
            names.append(word)
            rows.append(torch.tensor([_place(word, spec["names"])], dtype=torch.float64))
    return names, {"features": torch.cat(rows)}


def _from_file(path: Path, variables: list[str]) -> Tensor:  # -> (B, D)
    from deepclassics.data.kinds import table

    if not path.is_file() or not table.is_table(path):
        what = "there is no such file" if not path.exists() else "it is another"
        raise UserError(f"{path} must be a place, as {_example(variables)}, or a table of places; {what}.")
    frame = table.rows(path)
    if not set(variables) <= set(map(str, frame.columns)):
        if len(frame.columns) != len(variables):
            raise UserError(
                f"{path.name} must have a column for each of {', '.join(variables)}; "
                f"it has {', '.join(map(str, frame.columns))}."
            )
        frame = frame.set_axis(variables, axis=1)
    return torch.stack([_numbers(frame[name], name, path.name) for name in variables], 1)


def _place(word: str, variables: list[str]) -> list[float]:
    """One place, as it was typed."""
    cells = [cell.strip() for cell in word.split(",")]
    if any("=" in cell for cell in cells):
        pairs = [cell.partition("=") for cell in cells]
        given = {name.strip(): value.strip() for name, _, value in pairs}
        for name in given:
            if name not in variables:
                known = f"its {'variable is' if len(variables) == 1 else 'variables are'} {', '.join(variables)}"
                raise UserError(f"'{word}': there is no variable '{name}'; {known}.{meant(name, variables)}")
        cells = [given.get(name, "") for name in variables]
    if len(cells) != len(variables) or not all(cells):
        raise UserError(f"A place must have a number for each of {', '.join(variables)}; got '{short(word)}'.")
    numbers = []
    for name, cell in zip(variables, cells, strict=True):
        try:
            numbers.append(float(cell))
        except ValueError:
            raise UserError(f"{name} must be a number, as in {_example(variables)}; got '{short(cell)}'.") from None
        if not abs(numbers[-1]) < float("inf"):
            raise UserError(f"{name} must be a finite number; got {cell}.")
    return numbers


def _numbers(series: Any, name: str, where: str) -> Tensor:  # -> (N,) of float64
    """A column of a table as finite numbers; the first cell that is none is named."""
    import pandas as pd

    numbers = torch.tensor(pd.to_numeric(series, errors="coerce").to_numpy(dtype=float, na_value=float("nan")))
    bad = ~(numbers.abs() < LARGEST)
    if bool(bad.any()):
        row = int(bad.nonzero()[0])
        got = "nothing" if pd.isna(series.iloc[row]) else f"'{short(str(series.iloc[row]))}'"
        raise UserError(f"{where}, row {row + 1:,}: '{name}' must be a finite number; got {got}.")
    return numbers


def _example(variables: list[str]) -> str:
    return "'" + ",".join(["0.5", "-1", "2"][place % 3] for place in range(len(variables))) + "'"
