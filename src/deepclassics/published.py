"""The measured figure beside the published one, and what differs between the two."""

from typing import Any

from deepclassics.flags import shown
from deepclassics.recipe import Published, Recipe


def beside(recipe: Recipe, spec: dict[str, Any], result: dict[str, Any]) -> list[dict[str, Any]]:
    """The published figures for this data, each with what was measured and a sentence for all that differs.

    A row is {"score", "value", "measured", "source", "verified", "differs"}.
    """
    ours = {
        **recipe.model_dump(mode="json"),
        "epochs": result["epochs"],
        "updates": result["steps"],
        "selection": result["selection"],
        "training examples": result["examples"].get("train"),
        "runs": 1,
        **recipe.protocol(spec),
    }
    return [
        {
            "score": figure.score,
            "value": figure.value,
            "measured": result["scores"].get(figure.score),
            "source": figure.source,
            "verified": figure.verified,
            "differs": differences(figure, ours),
        }
        for figure in recipe.published
        if figure.on == spec["data"] and all(_same(theirs, ours.get(name), 0.0) for name, theirs in figure.when.items())
    ]


def differences(figure: Published, ours: dict[str, Any]) -> list[str]:
    """One sentence for each circumstance of the published figure that was another here, or is not known here."""
    sentences = []
    for name, theirs in figure.protocol.items():
        if name not in ours:
            sentences.append(f"{name}: {shown(theirs)} there")
        elif not _same(theirs, ours[name], 0.01 if name == "epochs" else 0.0):
            sentences.append(f"{name}: {shown(theirs)} there, {shown(ours[name])} here")
    return sentences


def _same(theirs: Any, ours: Any, tolerance: float) -> bool:
    """`tolerance` is relative: a pass cut into batches is not exactly a pass."""
    if isinstance(theirs, float | int) and isinstance(ours, float | int) and not isinstance(theirs, bool):
        return abs(theirs - ours) <= tolerance * abs(theirs)
    return list(theirs) == list(ours) if isinstance(theirs, tuple | list) else theirs == ours
