"""Processes of machines, named beyond their numbers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.e2e.cluster.processes import Process, recall, remember

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


def test_a_process_that_was_ended_is_not_recalled(tmp_path: Path) -> None:
    with subprocess.Popen(SLEEP) as running:
        process = Process.of(running.pid)
        assert process
        remember(process, tmp_path / "one")
        assert recall(tmp_path / "one") == process
        process.end()
        assert recall(tmp_path / "one") is None


def test_a_number_that_was_given_to_another_process_is_not_mistaken_for_the_first(tmp_path: Path) -> None:
    us = Process.of(os.getpid())
    assert us
    remember(Process(us.number, "before"), tmp_path / "one")
    assert recall(tmp_path / "one") is None


def test_what_was_never_started_is_not_recalled(tmp_path: Path) -> None:
    assert recall(tmp_path / "none") is None
