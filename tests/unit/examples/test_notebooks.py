"""What the stored notebooks show to somebody who only reads them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[3] / "examples" / "notebooks").glob("*.ipynb"))

MAX_BYTES = 100_000


def test_there_are_the_tutorials_three() -> None:
    assert [path.name for path in NOTEBOOKS] == ["13a-train.ipynb", "13b-serve.ipynb", "13c-ask.ipynb"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_they_were_run_from_top_to_bottom_and_say_nothing_of_a_machine(path: Path) -> None:
    document: dict[str, Any] = json.loads(path.read_text())
    cells = [cell for cell in document["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    assert not any(cell["metadata"] for cell in cells)
    assert set(document["metadata"]) == {"kernelspec"}
    outputs = json.dumps([output for cell in cells for output in cell["outputs"]])
    assert not re.findall(r"(?:/home/|/root/|/tmp/|/Users/)[^\"]*", outputs)
    assert "stderr" not in outputs
    assert len(path.read_bytes()) < MAX_BYTES
