"""The package as it is installed, and what its types and style are held to."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]


def run(*command: str) -> None:
    done = subprocess.run([sys.executable, "-m", *command], cwd=HERE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


def test_installs(tmp_path: Path) -> None:
    """What is installed has the types with it; nothing is fetched for it."""
    run("pip", "install", "-q", "--no-deps", "--no-index", "--no-build-isolation", "--target", str(tmp_path), str(HERE))
    names = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*")}
    modules = {str(path.relative_to(HERE / "src")) for path in (HERE / "src").rglob("*.py")}
    assert modules <= names and "trine/py.typed" in names


def test_types(tmp_path: Path) -> None:
    run("mypy", "--cache-dir", str(tmp_path))


def test_style() -> None:
    run("ruff", "check", "--no-cache")
    run("ruff", "format", "--check", "--no-cache")
