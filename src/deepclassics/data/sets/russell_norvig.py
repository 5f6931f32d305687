"""The 4 × 3 world of Russell and Norvig.

Russell and Norvig, Artificial Intelligence: A Modern Approach, 3rd edition (2010), section 17.1. A move goes where it
should with probability 0.8 and to either side with 0.1 each; walls and the blocked cell (2,2) stop it. Every cell has
the reward -0.04, but (4,3) has +1 and (4,2) -1, and there the episode ends. The discount is 1.

Cells are named column,row from the lower left one, as in the book. The book gives a reward to a state, we give it on
leaving it; so the two exits have one action more, "exit", which leads to a state "end" that is not in the picture.
"""

from pathlib import Path
from typing import Any

KIND = "world"
LICENCE = "a textbook's example: facts, no licence needed"
FILES = ()
COUNTS = {"states": 12, "actions": 5, "transitions": 110, "terminal": 1}

ACTIONS = {"up": (0, 1), "right": (1, 0), "down": (0, -1), "left": (-1, 0)}
EXITS = {(4, 3): 1.0, (4, 2): -1.0}
BLOCKED = (2, 2)


def read(paths: dict[str, Path]) -> Any:
    from deepclassics.data.kinds.world import Draft

    cells = [(column, row) for row in (3, 2, 1) for column in (1, 2, 3, 4) if (column, row) != BLOCKED]
    names = {cell: f"{cell[0]},{cell[1]}" for cell in cells}
    draft = Draft("russell_norvig", [*names.values(), "end"], [*ACTIONS, "exit"])
    for cell in cells:
        if cell in EXITS:
            draft.add(names[cell], "exit", "end", 1.0, EXITS[cell])
            continue
        for action in ACTIONS:
            for probability, (right, up) in _outcomes(action):
                target = (cell[0] + right, cell[1] + up)
                draft.add(names[cell], action, names.get(target, names[cell]), probability, -0.04)
    return draft.finish(
        terminal=["end"],
        start="1,1",
        discount=1.0,
        layout=[[names.get((column, row)) for column in (1, 2, 3, 4)] for row in (3, 2, 1)],
        marks={"4,3": "+1", "4,2": "−1"},
    )


def _outcomes(action: str) -> list[tuple[float, tuple[int, int]]]:
    order = list(ACTIONS)
    place = order.index(action)
    return [(0.8, ACTIONS[action]), (0.1, ACTIONS[order[place - 1]]), (0.1, ACTIONS[order[(place + 1) % 4]])]
