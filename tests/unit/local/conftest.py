"""A plan for fake workers and what a run of it told."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from triveni.api.manifest import Manifest
from triveni.api.securemodel import SecureModel
from triveni.local.epoch import Commands
from triveni.local.runner import Plan

HERE = Path(__file__).parent

FAKES = Commands((sys.executable, str(HERE / "fake_worker.py")), (sys.executable, str(HERE / "fake_sharing.py")))

MakePlan = Callable[..., Plan]


def processes_naming(text: str) -> list[int]:
    """The running processes whose command line names `text`."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if text.encode() in path.read_bytes() and int(path.parent.name) != os.getpid():
                found.append(int(path.parent.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary directory of its own, so that a test sees all that a run leaves there."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", None)
    return folder


@pytest.fixture
def make_plan(tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch) -> MakePlan:
    """Make a plan to run with fake workers; `epochs` says what they do in each epoch (see `fake_worker`)."""

    def make(quota: int | None, *epochs: dict[str, Any], recovery: str = "Reshare", **options: Any) -> Plan:
        path = tmp_path / "plan.json"
        path.write_text(json.dumps({str(number): epoch for number, epoch in enumerate(epochs, 1)}))
        monkeypatch.setenv("FAKE_PLAN", str(path))
        source = {"configMap": {"name": "m", "key": "k"}}
        model = SecureModel.read(
            {
                "apiVersion": "triveni.dev/v1alpha1",
                "kind": "SecureModel",
                "metadata": {"name": "mnist"},
                "spec": {"model": {"source": source}, "requestQuota": quota, "recovery": recovery},
            }
        )
        plan = Plan(Manifest(tmp_path / "mnist.yaml", model, b"PK\x03\x04 model"), commands=FAKES)
        return replace(plan, **options)

    return make


def served(answers: Sequence[int], end: Sequence[str], **more: Any) -> dict[str, Any]:
    """What the three fake workers do in an epoch."""
    return {"answers": list(answers), "end": list(end), **more}
