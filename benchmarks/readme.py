"""Puts what changes into the README: the table of systems, and what `make demo` prints.

python benchmarks/readme.py            after `make demo`, from its run folder runs/lenet5
"""

import re
import shutil
from pathlib import Path

from deepclassics.run import Run
from deepclassics.systems import titles
from deepclassics.verbs.run import text

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = "".join(f"| `{name}` | {family} | {title} |\n" for name, family, title in titles())
    readme = re.sub(
        r"(\|---\|---\|---\|\n).*?(?=\n[^|])", lambda found: found[1] + rows, readme, count=1, flags=re.DOTALL
    )
    path = Path("runs/lenet5")
    result = Run.open(path).result()
    assert result is not None, "run `make demo` first"
    told = f"<!-- demo -->\n```\n{text(result, path)}\n```\n<!-- /demo -->"
    readme = re.sub(r"<!-- demo -->.*?<!-- /demo -->", lambda found: told, readme, flags=re.DOTALL)
    (ROOT / "README.md").write_text(readme, encoding="utf-8")
    picture = next((path / "report").glob("*errors*.png"))
    shutil.copy(picture, ROOT / "docs" / "lenet5-errors.png")


if __name__ == "__main__":
    main()
