"""`show`: one system, from its file and its recipe."""

import math
import typing
from typing import Any

from deepclassics.flags import flag, shown
from deepclassics.progress import figure
from deepclassics.recipe import Recipe
from deepclassics.systems import docstring, names


def facts(recipe: Recipe) -> dict[str, Any]:
    """What `show --json` prints: "system", "family", "title", "text", "takes", "gives", "knobs", "parameters",
    "parameters_on", "published". A knob left to "auto" has what was "chosen" on the recipe's data."""
    name = recipe.name()
    title, _, text = docstring(name).partition("\n")
    parameters, reason, chosen = _on_data(recipe)
    return {
        "system": name,
        "family": names()[name].split(".")[-2],
        "title": title,
        "text": text.strip(),
        "takes": list(recipe.takes),
        "gives": list(recipe.gives),
        "knobs": {
            key: _knob(recipe, key) | ({"chosen": chosen[key]} if key in chosen else {})
            for key in type(recipe).model_fields
        },
        "predict_options": {key: _describe(recipe.options, key) for key in recipe.options.model_fields},
        "parameters": parameters,
        "parameters_on": recipe.data if parameters is not None else reason,
        "published": [vars(published) for published in recipe.published],
    }


def text(recipe: Recipe) -> str:
    """The same to read."""
    told = facts(recipe)
    lines = [told["title"], "", told["text"], ""]
    if told["parameters"] is None:
        lines.append(f"Parameters: not counted. {told['parameters_on']}")
    elif not told["parameters"]:
        lines.append("Parameters: known once it is built; its scores tell them.")
    else:
        lines.append(f"Parameters: {told['parameters']:,} on {told['parameters_on']} with these knobs.")
    lines += [f"Learns from: {', '.join(told['takes'])}. Answers with: {', '.join(told['gives'])}.", "", "Knobs:"]
    for knobs in (told["knobs"], told["predict_options"]):
        if knobs is told["predict_options"] and knobs:
            lines += ["", "Options of predict:"]
        width = max((len(key) for key in knobs), default=0)
        for key, knob in knobs.items():
            bounds = f" ({knob['bounds']})" if knob["bounds"] else ""
            value = shown(knob["value"]) + (f": {knob['chosen']}" if "chosen" in knob else "")
            lines.append(f"  {flag(key):{width + 2}}  {value:12}  {knob['description']}{bounds}")
    lines += ["", "Published:" if told["published"] else "Published: no figure."]
    for published in recipe.published:
        mark = "" if published.verified else " (unverified)"
        lines.append(f"  {published.on} {published.score} {figure(published.value)}{mark}: {published.source}")
        lines += [f"      {key}: {shown(value)}" for key, value in published.protocol.items()]
    return "\n".join(lines)


def _knob(recipe: Recipe, key: str) -> dict[str, Any]:
    return _describe(type(recipe), key) | {"value": recipe.model_dump(mode="json")[key]}


def _describe(knobs: Any, key: str) -> dict[str, Any]:
    field = knobs.model_fields[key]
    return {
        "description": field.description or "",
        "value": field.default,
        "default": field.default,
        "bounds": _bounds(field),
    }


def _bounds(field: Any) -> str:
    """ "greater than 0, at most 1", or the choices."""
    words = {"gt": "greater than", "ge": "at least", "lt": "less than", "le": "at most"}
    found = []
    for rule in field.metadata:
        found += [
            f"{word} {getattr(rule, key):g}"
            for key, word in words.items()
            if math.isfinite(getattr(rule, key, math.nan))
        ]
    if typing.get_origin(field.annotation) is typing.Literal:
        found.append(" | ".join(map(str, typing.get_args(field.annotation))))
    return ", ".join(found)


def _on_data(recipe: Recipe) -> tuple[int | None, str, dict[str, Any]]:
    """The number of parameters on the recipe's data, or None and why, where the data are not at hand; and what was
    chosen of its knobs."""
    import torch

    from deepclassics.errors import UserError

    try:
        spec = recipe.load().spec
    except UserError as error:
        return None, str(error), {}
    with torch.device("meta"):
        model = recipe.model(spec)
    return sum(p.numel() for p in model.parameters()), "", recipe.chosen(spec)
