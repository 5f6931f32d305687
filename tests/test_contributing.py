"""CONTRIBUTING.md's system, written where the page says, and put under the contract."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_the_page_s_system_passes_the_contract(tmp_path: Path) -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    system = re.search(r"```python\n(.*?)```", page, flags=re.DOTALL)
    assert system
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "tests", tmp_path / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "src/deepclassics/systems/foundations/probit.py").write_text(system[1], encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": f"{tmp_path / 'src'}{os.pathsep}{tmp_path / 'tests'}"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "tests/test_every_recipe.py", "-k", "probit", "-p", "no:cacheprovider"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
    assert "[probit]" not in done.stdout
    ran = re.search(r"(\d+) passed", done.stdout)
    assert ran
    assert int(ran[1]) >= 12, done.stdout[-500:]
    ended = subprocess.run(
        [sys.executable, "-m", "deepclassics", "run", "probit", "--json"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
