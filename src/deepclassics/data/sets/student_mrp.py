"""The student's Markov reward process of Silver's lecture 2.

D. Silver, UCL course on reinforcement learning (2015), lecture 2; figure 25 of the notes shows it (N053). A day at
college without decisions. The reward is that of the state being left. The discount is 1; the lecture also has tables
for 0 and 0.9.
"""

from pathlib import Path
from typing import Any

KIND = "world"
LICENCE = "an example from a lecture: facts, no licence needed"
FILES = ()
COUNTS = {"states": 7, "actions": 1, "transitions": 12, "terminal": 1}

REWARDS = {"facebook": -1.0, "class 1": -2.0, "class 2": -2.0, "class 3": -2.0, "pass": 10.0, "pub": 1.0}
TRANSITIONS = (
    ("facebook", "facebook", 0.9),
    ("facebook", "class 1", 0.1),
    ("class 1", "class 2", 0.5),
    ("class 1", "facebook", 0.5),
    ("class 2", "class 3", 0.8),
    ("class 2", "sleep", 0.2),
    ("class 3", "pass", 0.6),
    ("class 3", "pub", 0.4),
    ("pass", "sleep", 1.0),
    ("pub", "class 1", 0.2),
    ("pub", "class 2", 0.4),
    ("pub", "class 3", 0.4),
)


def read(paths: dict[str, Path]) -> Any:
    from deepclassics.data.kinds.world import NO_ACTION, Draft

    draft = Draft("student_mrp", (*REWARDS, "sleep"))
    for state, after, probability in TRANSITIONS:
        draft.add(state, NO_ACTION, after, probability, REWARDS[state])
    return draft.finish(terminal=["sleep"], start="class 1", discount=1.0)
