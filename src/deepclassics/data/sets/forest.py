"""Forest management: wait for an old forest, or cut it before it burns.

The example of pymdptoolbox (`mdptoolbox.example.forest()`), with its defaults. A forest is in one of three ages. Each
year one waits, and it grows a year older unless it burns down with probability 0.1; or one cuts it, and it is young
again. Waiting pays 4 in the oldest age, cutting 2 in the oldest and 1 in the middle one. The discount is 0.9, which is
that of the published values; the start is the young forest.
"""

from pathlib import Path
from typing import Any

KIND = "world"
LICENCE = "an example of pymdptoolbox (BSD-3-Clause): facts, no licence needed"
FILES = ()
COUNTS = {"states": 3, "actions": 2, "transitions": 9, "terminal": 0}

FIRE = 0.1  # probability a year
WAITING, CUTTING = (0.0, 0.0, 4.0), (0.0, 1.0, 2.0)  # reward by age


def read(paths: dict[str, Path]) -> Any:
    from deepclassics.data.kinds.world import Draft

    draft = Draft("forest", ("young", "middle", "old"), ("wait", "cut"))
    ages = list(draft.states)
    for number, age in enumerate(ages):
        draft.add(age, "wait", "young", FIRE, WAITING[number])
        draft.add(age, "wait", ages[min(number + 1, 2)], 1 - FIRE, WAITING[number])
        draft.add(age, "cut", "young", 1.0, CUTTING[number])
    return draft.finish(start="young", discount=0.9)
