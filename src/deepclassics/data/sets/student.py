"""The student's Markov decision process of Silver's lecture 2.

D. Silver, UCL course on reinforcement learning (2015), lecture 2; the figures 26 to 30 of the notes show it (N053).
Three classes, to be studied or slept through; Facebook, which one can go on with or quit; the pub, after which one may
have forgotten a class or two. The discount is 1, as in the lecture's tables.
"""

from pathlib import Path
from typing import Any

KIND = "world"
LICENCE = "an example from a lecture: facts, no licence needed"
FILES = ()
COUNTS = {"states": 5, "actions": 5, "transitions": 10, "terminal": 1}

TRANSITIONS = (
    ("facebook", "facebook", "facebook", 1.0, -1.0),
    ("facebook", "quit", "class 1", 1.0, 0.0),
    ("class 1", "facebook", "facebook", 1.0, -1.0),
    ("class 1", "study", "class 2", 1.0, -2.0),
    ("class 2", "sleep", "sleep", 1.0, 0.0),
    ("class 2", "study", "class 3", 1.0, -2.0),
    ("class 3", "study", "sleep", 1.0, 10.0),
    ("class 3", "pub", "class 1", 0.2, 1.0),
    ("class 3", "pub", "class 2", 0.4, 1.0),
    ("class 3", "pub", "class 3", 0.4, 1.0),
)


def read(paths: dict[str, Path]) -> Any:
    from deepclassics.data.kinds.world import Draft

    draft = Draft("student", ("facebook", "class 1", "class 2", "class 3", "sleep"))
    for transition in TRANSITIONS:
        draft.add(*transition)
    return draft.finish(terminal=["sleep"], start="class 1", discount=1.0)
