"""Typed fields as command-line flags, and what is wrong with them as sentences.

A `Knobs` class is declared once, with types, bounds and descriptions; from it come the flags, the checks, the JSON of
a run folder and the schema of a form. argparse only cuts the words apart: types and bounds are pydantic's, so that
every mistake is worded in one place.
"""

import argparse
import types
import typing
from collections.abc import Sequence
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo

from deepclassics.errors import UserError, meant


class Knobs(BaseModel):
    """Frozen, typed settings that refuse what they do not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True)


K = TypeVar("K", bound=Knobs)


class Parser(argparse.ArgumentParser):
    """argparse that raises sentences instead of printing usage and leaving."""

    def __init__(self, prog: str, description: str = "") -> None:
        super().__init__(
            prog=prog,
            description=description,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message[0].upper()}{message[1:]}. `{self.prog} --help` tells what it takes.")

    def split(self, words: Sequence[str]) -> dict[str, Any]:
        """The words as {name: text}; flags of nobody are refused with the nearest that exists."""
        found, rest = self.parse_known_args(words)
        if rest:
            known = [flag for action in self._actions for flag in action.option_strings if flag.startswith("--")]
            unknown = rest[0].split("=")[0]
            what = "option" if unknown.startswith("-") else "place for"
            raise UserError(f"`{self.prog}` has no {what} '{unknown}'.{meant(unknown, known)} --help lists them all.")
        return vars(found)


def add_flags(parser: argparse.ArgumentParser, knobs: type[Knobs], title: str) -> None:
    """A flag for every field: `--clip-norm`; several values for a tuple; `--modern` and `--no-modern` for a switch."""
    group = parser.add_argument_group(title)
    for name, field in knobs.model_fields.items():
        names = list(dict.fromkeys([flag(name), f"--{name.rstrip('_')}"]))
        text = f"{field.description or ''} [{shown(field.get_default(call_default_factory=True))}]".replace("%", "%%")
        if field.annotation is bool:
            group.add_argument(
                *names, dest=name, action=argparse.BooleanOptionalAction, help=text, default=argparse.SUPPRESS
            )
        else:
            group.add_argument(
                *names,
                dest=name,
                nargs="+" if _is_tuple(field.annotation) else None,
                metavar=_metavar(field.annotation),
                help=text,
                default=argparse.SUPPRESS,
            )


def build(knobs: type[K], values: dict[str, Any], who: str) -> K:
    """The settings from {name: text or value}; what is wrong is said as `who`: "lenet5: lr must be ..."."""
    given = {name: _plain(knobs.model_fields.get(name), value) for name, value in values.items()}
    try:
        return knobs.model_validate(given)
    except ValidationError as error:
        faults: dict[tuple[Any, ...], list[Any]] = {}
        for fault in error.errors():  # of a knob that may be a word or a number, one for each that it is not
            faults.setdefault(fault["loc"][:1], []).append(fault)
        raise UserError(" ".join(sentence(knobs, found, who) for found in faults.values())) from None


def sentence(knobs: type[Knobs], faults: Sequence[Any], who: str) -> str:
    """What pydantic found wrong with one knob as a sentence: what must be, what was got."""
    first = faults[0]
    name, got = str(first["loc"][0]) if first["loc"] else who, first.get("input")
    if first["type"] == "extra_forbidden":
        return f"{who} has no knob '{name}'.{meant(name, knobs.model_fields)}"
    if first["type"] == "value_error":
        return f"{who}: {first['ctx']['error']}"
    musts = " or ".join(map(_must, faults))
    if first["type"] == "literal_error":
        return f"{who}: {name} must be {musts}; got {got!r}.{meant(str(got), _choices(knobs, name))}"
    return f"{who}: {name} must be {musts}; got {shown(got)}."


def _must(fault: Any) -> str:
    """What one fault asks for, after "must be"."""
    kind, context = fault["type"], fault.get("ctx", {})
    bounds = {"greater_than": ("gt", "greater than"), "greater_than_equal": ("ge", "at least"),
              "less_than": ("lt", "less than"), "less_than_equal": ("le", "at most")}  # fmt: skip
    if kind in bounds:
        key, words = bounds[kind]
        return f"{words} {context[key]:g}"
    if kind in ("int_parsing", "int_type", "int_from_float"):
        return "a whole number"
    if kind == "finite_number":
        return "a finite number"
    if kind in ("float_parsing", "float_type"):
        return "a number"
    if kind in ("bool_parsing", "bool_type"):
        return "true or false"
    if kind == "literal_error":
        return str(context["expected"])
    return f"so: {fault['msg'][0].lower()}{fault['msg'][1:]}"


def shown(value: Any) -> str:
    """A value as one would type it."""
    if isinstance(value, tuple | list):
        return " ".join(shown(item) for item in value)
    if value is None:
        return "none"
    if isinstance(value, float):
        return repr(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def typed(name: str, value: Any) -> list[str]:
    """The words that give a knob that value on the command line: the reverse of `build`."""
    if isinstance(value, bool):
        return [flag(name) if value else flag(f"no_{name}")]
    if isinstance(value, tuple | list):
        return [flag(name), *([shown(item) for item in value] or ["none"])]
    return [flag(name), shown(value)]


def flag(name: str) -> str:
    """The flag of a knob: "--clip-norm"; "--from" of "from_", as Python keeps the word for itself."""
    return f"--{name.rstrip('_').replace('_', '-')}"


def _plain(field: FieldInfo | None, value: Any) -> Any:
    """What was typed as what pydantic should see: "none" for a missing value, one word for a tuple of one."""
    if field is None:
        return value
    if isinstance(value, str) and value.lower() == "none" and type(None) in typing.get_args(field.annotation):
        return None
    if isinstance(value, list) and len(value) == 1 and value[0] == "none":
        return ()
    choices = typing.get_args(field.annotation) if typing.get_origin(field.annotation) is typing.Literal else ()
    if isinstance(value, str) and value not in choices:  # of whole numbers, which pydantic wants as numbers here
        return next((choice for choice in choices if str(choice) == value), value)
    return value


def _is_tuple(annotation: Any) -> bool:
    return typing.get_origin(annotation) is tuple or any(
        typing.get_origin(option) is tuple for option in typing.get_args(annotation)
    )


def _choices(knobs: type[Knobs], name: str) -> list[str]:
    field = knobs.model_fields.get(name)
    return [str(choice) for choice in typing.get_args(field.annotation)] if field else []


def _metavar(annotation: Any) -> str:
    if typing.get_origin(annotation) is typing.Literal:
        return "{" + ",".join(map(str, typing.get_args(annotation))) + "}"
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return " or ".join(_metavar(option) for option in typing.get_args(annotation))
    if annotation is type(None):
        return "none"
    if typing.get_origin(annotation) is tuple:
        return _metavar(typing.get_args(annotation)[0])
    return {int: "N", float: "X", str: "TEXT"}.get(annotation, "VALUE")
