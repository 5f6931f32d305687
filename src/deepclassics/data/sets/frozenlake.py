"""The frozen lake of gymnasium, 4 × 4 and slippery.

`FrozenLake-v1` of Gymnasium (Towers et al. 2024), read from the environment's own table. A move goes where it should,
or to either side, each with probability 1/3. Reaching the goal is worth 1; a hole ends the episode with nothing, and
so does the hundredth step. The discount, which gymnasium does not tell, is 0.99.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

KIND = "world"
LICENCE = "MIT (Gymnasium)"
FILES = ()
COUNTS = {"states": 16, "actions": 4, "transitions": 132, "terminal": 5}


def read(paths: dict[str, Path]) -> Any:
    from deepclassics.data.kinds.world import from_gymnasium

    return replace(from_gymnasium("FrozenLake-v1"), name="frozenlake")
