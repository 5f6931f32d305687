"""The 5 × 5 gridworld of Sutton and Barto.

Sutton and Barto, Reinforcement Learning, 2nd edition (2018), examples 3.5 and 3.8. Four actions move to the next cell;
one that would leave the grid costs 1 and moves nothing. From A every action leads to A' for a reward of 10, from B to
B' for 5. Nothing ends; the discount is 0.9.

Cells are numbered row by row from the upper left one, 0, which is the start: the book names none, but its tables begin
there.
"""

from pathlib import Path
from typing import Any

KIND = "world"
LICENCE = "a textbook's example: facts, no licence needed"
FILES = ()
COUNTS = {"states": 25, "actions": 4, "transitions": 100, "terminal": 0}

ACTIONS = {"north": (-1, 0), "south": (1, 0), "east": (0, 1), "west": (0, -1)}
JUMPS = {(0, 1): ((4, 1), 10.0), (0, 3): ((2, 3), 5.0)}  # cell -> (where every action leads, reward)


def read(paths: dict[str, Path]) -> Any:
    from deepclassics.data.kinds.world import Draft

    cells = [(row, column) for row in range(5) for column in range(5)]
    names = {cell: str(number) for number, cell in enumerate(cells)}
    draft = Draft("gridworld", names.values(), ACTIONS)
    for row, column in cells:
        for action, (down, right) in ACTIONS.items():
            target, reward = (row + down, column + right), 0.0
            if target not in names:
                target, reward = (row, column), -1.0
            target, reward = JUMPS.get((row, column), (target, reward))
            draft.add(names[row, column], action, names[target], 1.0, reward)
    return draft.finish(
        start="0",
        discount=0.9,
        layout=[[names[row, column] for column in range(5)] for row in range(5)],
        marks={names[0, 1]: "A", names[4, 1]: "A'", names[0, 3]: "B", names[2, 3]: "B'"},
    )
