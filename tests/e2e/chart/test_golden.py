"""The chart's objects as a reviewer reads them: `golden/CASE.values.yaml` gives `golden/CASE.objects.yaml`.

A change of what is rendered shows up as a difference of these files. When it is meant:

    UPDATE_GOLDEN=1 .venv/bin/python -m pytest tests/e2e/chart

writes them anew; read `git diff` before you commit it. The definition of SecureModels and the file of the test's model
are left out, they have tests of their own.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import yaml

from tests.e2e.chart.chart import Helm

GOLDEN = Path(__file__).parent / "golden"
CASES = sorted(path.name.removesuffix(".values.yaml") for path in GOLDEN.glob("*.values.yaml"))

MODEL = re.compile(r"(?<=  model\.keras: )\S+")


def shown(text: str) -> str:
    """What a golden file shows of a rendered chart."""
    documents = re.split(r"(?m)^---\n", text)
    kept = [document for document in documents if document.strip() and "kind: CustomResourceDefinition" not in document]
    return MODEL.sub("(the file)", "".join(f"---\n{document}" for document in kept))


@pytest.mark.parametrize("case", CASES)
def test_the_objects_are_those_of_the_golden_file(helm: Helm, case: str) -> None:
    values = yaml.safe_load((GOLDEN / f"{case}.values.yaml").read_text()) or {}
    golden = GOLDEN / f"{case}.objects.yaml"
    notes = "".join(f"# {line}".rstrip() + "\n" for line in helm.notes(values).splitlines())
    text = f"{shown(helm.template(values))}---\n# NOTES.txt:\n#\n{notes}"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(text)
    assert golden.exists(), "UPDATE_GOLDEN=1 writes it"
    assert text == golden.read_text()


def test_there_is_no_golden_file_without_its_values() -> None:
    assert sorted(path.name.removesuffix(".objects.yaml") for path in GOLDEN.glob("*.objects.yaml")) == CASES
