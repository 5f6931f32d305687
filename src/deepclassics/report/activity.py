"""What single units of a recurrent net follow while it reads: found by correlation, shown over the text itself.

Source: A. Karpathy, J. Johnson, L. Fei-Fei, Visualizing and understanding recurrent networks (2015), section 4.1, who
looked for such units by eye. The cell that counts: notes S208, C114.

Letters: B passages, T positions of a passage, D numbers of an input, L layers, H units of a layer, U = L H units,
F features.
"""

from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from deepclassics.layers.recurrent import Recurrent, State
from deepclassics.report.style import BLUE, FAINT, INK, ORANGE, SKY, VERMILLION, grid, has_letters, sheet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ACROSS = 84  # characters of a line of a picture
DOWN = 9  # lines of a unit
RARE = 0.01  # a feature must hold for a larger share of a text than this,
EVER = 0.995  # and for a smaller one: a place in the sentence is 0 at its end alone, one character in a hundred or two


# --- what is in the units


def carried(state: State) -> Tensor:  # -> (L, B, H)
    """What every unit carries to the next position: the cell c where there is one, else the hidden state h."""
    assert state is not None
    return state if isinstance(state, Tensor) else state[celled(state)]


def celled(state: State) -> bool:
    """Whether a state has cells, which know no bounds: a clockwork net's second piece is its clock."""
    return isinstance(state, tuple) and state[1].is_floating_point()


def states(recurrent: Recurrent, x: Tensor) -> Tensor:  # (B, T, D) -> (B, T, U)
    """What every unit carries after each position. A net whose state is a cell and a hidden state gives the cell."""
    state: State = None
    held = []
    with torch.no_grad():
        for position in range(x.shape[1]):
            state = recurrent(x[:, position : position + 1], state)[1]
            held.append(carried(state).movedim(1, 0).flatten(1))
    return torch.stack(held, 1)


def correlations(units: Tensor, features: Tensor) -> Tensor:  # (T, U), (T, F) -> (U, F)
    """Pearson's r of every unit with every feature; 0 where one of them stands still."""
    units, features = (table.double() - table.double().mean(0) for table in (units, features))
    scale = units.norm(dim=0)[:, None] * features.norm(dim=0)
    return torch.where(scale > 1e-9, units.T @ features / scale.clamp_min(1e-9), 0.0)


# --- what there is to follow


def features(text: str) -> dict[str, Tensor]:  # -> (T,) each
    """What can be known of a text once a character is read, by name; what hardly ever changes in it is left out.

    An empty line closes quotes and parentheses that were left open.
    """
    found = {
        "place in the line": list(accumulate(text, lambda n, c: 0.0 if c == "\n" else n + 1, initial=0.0))[1:],
        "place in the word": list(accumulate(text, lambda n, c: n + 1 if c.isalnum() else 0.0, initial=0.0))[1:],
        "place in the sentence": list(accumulate(text, lambda n, c: 0.0 if c in ".!?。" else n + 1, initial=0.0))[1:],
        "indentation": _indentation(text),
        "the line after an empty one": _after_empty(text),
        "inside double quotes": _between(text, '"', '"'),
        "inside backquotes": _between(text, "`", "`"),
        "inside parentheses": _between(text, "(", ")"),
        "inside brackets": _between(text, "[", "]"),
        "a word in capitals": [float(a.isupper() and b.isupper()) for a, b in zip(" " + text, text, strict=False)],
        "a digit": [float(c.isdigit()) for c in text],
    }
    tensors = {name: torch.tensor(values) for name, values in found.items()}
    return {name: line for name, line in tensors.items() if RARE < float((line > 0).float().mean()) < EVER}


def _between(text: str, opens: str, closes: str) -> list[float]:
    inside, found, last = 0, [], ""
    for character in text:
        if character == "\n" == last:
            inside = 0
        elif character == closes and inside:
            inside -= 1
        elif character == opens:
            inside += 1
        last = character
        found.append(float(inside > 0))
    return found


def _indentation(text: str) -> list[float]:
    depth, leading, found = 0, True, []
    for character in text:
        if character == "\n":
            depth, leading = 0, True
        elif leading and character in " \t":
            depth += 1
        else:
            leading = False
        found.append(float(depth))
    return found


def _after_empty(text: str) -> list[float]:
    after, last, found = False, ["", ""], []
    for character in text:
        if last[1] == "\n":
            after = last[0] == "\n"
        last = [last[1], character]
        found.append(float(after))
    return found


# --- pictures


def coloured(passages: Sequence[tuple[str, str, Tensor]]) -> "Figure":  # of (title, text, (T,) in [-1, 1])
    """Passages of text, every character on the colour of a unit's activity after it was read: blue above 0, orange
    below it, white at 0."""
    cut = [(title, _lines(text)[:DOWN], activity) for title, text, activity in passages]
    rows = sum(len(lines) + 1.9 for _, lines, _ in cut)
    across = max(40, *(len(places) for _, lines, _ in cut for places in lines))
    wide, high = 0.088, 0.17  # inches of a character
    from matplotlib.colors import to_rgb

    figure = sheet(0.1 + wide * across, 0.1 + high * rows)
    panels = figure.subplots(len(cut), 1, squeeze=False, height_ratios=[len(lines) for _, lines, _ in cut])[:, 0]
    above, below = (torch.tensor(to_rgb(colour)) for colour in (SKY, ORANGE))
    for axes, (title, lines, activity) in zip(panels, cut, strict=True):
        board = torch.ones(len(lines), across, 3)
        for row, places in enumerate(lines):
            for column, (place, character) in enumerate(places):
                value = float(activity[place])
                board[row, column] = 1 - abs(value) * (1 - (above if value > 0 else below))
                known = has_letters(character)
                shown = "↵" if character == "\n" else character if known else "□"
                axes.text(column, row, shown, ha="center", va="center_baseline", fontsize=8.5, clip_on=True,
                          color=FAINT if character == "\n" else INK,
                          family=["DejaVu Sans Mono", "DejaVu Sans"] if shown.isascii() else None)  # fmt: skip
        axes.imshow(board.numpy(), aspect="auto", interpolation="nearest")
        axes.set_title(title)
        axes.set_axis_off()
    return figure


def _lines(text: str) -> list[list[tuple[int, str]]]:
    """(place, character) of every line, each with its end; long lines are broken."""
    found: list[list[tuple[int, str]]] = [[]]
    for place, character in enumerate(text):
        if len(found[-1]) == ACROSS:
            found.append([])
        found[-1].append((place, character))
        if character == "\n":
            found.append([])
    return found if found[-1] else found[:-1]


def counting(
    text: str, units: Tensor, best: int, counts: Tensor, values: Tensor, told: str
) -> "Figure":  # units (T, U), counts and values (S,)
    """What all units carry along a string, the `best` one strong; and what that one carries against the count."""
    figure = sheet(7.6, 3.1)
    left, right = figure.subplots(1, 2, width_ratios=[1.5, 1])
    for unit in range(units.shape[1]):
        if unit != best:
            left.plot(units[:, unit], color=FAINT, linewidth=0.5, alpha=max(0.1, min(0.6, 12 / units.shape[1])))
    left.plot(units[:, best], color=VERMILLION, linewidth=2.2, zorder=3)
    left.set_xticks(range(len(text)), [character.replace("\n", "↵") for character in text])
    left.set_xlabel("character read")
    left.set_ylabel("carried by a unit")
    left.set_title("All units along two lines, the one that counts strong")
    right.plot(counts, values, "o", color=BLUE, markersize=4, alpha=0.4, markeredgewidth=0)
    right.set_xlabel("a's that wait for their b")
    right.set_title(told)
    grid(left)
    grid(right)
    return figure
