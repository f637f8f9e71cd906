"""Signals end a run at any moment; nothing is left running and no file is left, whoever is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.local.conftest import MakePlan, processes_naming, served

SCRIPT = """
import pickle, sys
from triveni.local.foreground import Interrupted, run_in_foreground
plan = pickle.load(open(sys.argv[1], "rb"))
def tell(event):
    print(type(event).__name__, flush=True)
try:
    run_in_foreground(plan, tell)
except Interrupted as error:
    print(error, flush=True)
    sys.exit(130)
"""


def wait_until(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def start(make_plan: MakePlan, tmp_path: Path) -> Callable[[], subprocess.Popen[str]]:
    """Start a run that serves forever, in a process of its own."""
    import pickle

    plan = make_plan(None, served([1, 1, 1], ["wait"] * 3), connection=tmp_path / "connection.json")
    (tmp_path / "plan.pickle").write_bytes(pickle.dumps(plan))

    def start() -> subprocess.Popen[str]:
        command = [sys.executable, "-c", SCRIPT, str(tmp_path / "plan.pickle")]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    return start


def read_to(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdout
    for text in process.stdout:
        if text.strip() == line:
            return
    raise AssertionError(f"ended before {line}")


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        ("EpochBegan", signal.SIGINT),
        ("StepBegan", signal.SIGINT),
        ("StepEnded", signal.SIGINT),
        ("Serving", signal.SIGINT),
        ("Served", signal.SIGINT),
        ("Serving", signal.SIGTERM),
        ("Serving", signal.SIGHUP),
    ],
)
def test_a_signal_leaves_no_process_and_no_file(
    start: Callable[[], subprocess.Popen[str]], temporary: Path, tmp_path: Path, moment: str, number: signal.Signals
) -> None:
    with start() as process:
        read_to(process, moment)
        process.send_signal(number)
        out, _ = process.communicate(timeout=20)
    assert process.returncode == 130
    assert out.splitlines()[-1] == f"interrupted by {number.name}; everything is stopped and removed"
    assert list(temporary.iterdir()) == []
    assert not (tmp_path / "connection.json").exists()
    assert processes_naming(str(temporary)) == []


def test_a_second_signal_does_not_break_the_clean_up(
    start: Callable[[], subprocess.Popen[str]], temporary: Path
) -> None:
    with start() as process:
        read_to(process, "Serving")
        for _ in range(5):
            process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    assert process.returncode == 130
    assert list(temporary.iterdir()) == []
    assert processes_naming(str(temporary)) == []


def test_when_the_runner_is_killed_the_guard_cleans_up(
    start: Callable[[], subprocess.Popen[str]], temporary: Path, tmp_path: Path
) -> None:
    with start() as process:
        read_to(process, "Serving")
        assert processes_naming(str(temporary))
        process.kill()
    wait_until(lambda: not processes_naming(str(temporary)))
    wait_until(lambda: not list(temporary.iterdir()) and not (tmp_path / "connection.json").exists())


def test_the_run_does_without_a_guard_that_somebody_killed(
    start: Callable[[], subprocess.Popen[str]], temporary: Path
) -> None:
    with start() as process:
        read_to(process, "EpochBegan")
        for pid in processes_naming("local/guard.py"):
            if Path(f"/proc/{pid}/stat").read_text().split()[3] == str(process.pid):
                os.kill(pid, signal.SIGKILL)
        read_to(process, "Served")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    assert process.returncode == 130
    assert list(temporary.iterdir()) == []


def test_the_connection_file_can_be_used_while_it_is_there(
    start: Callable[[], subprocess.Popen[str]], tmp_path: Path
) -> None:
    from triveni.client import Connection

    with start() as process:
        read_to(process, "Serving")
        connection = Connection.read(tmp_path / "connection.json")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    assert connection.name == "mnist"
    assert json.dumps(connection.workers).count("https://127.0.0.1:") == 3


def test_a_signal_that_comes_before_the_run_is_kept_for_it(make_plan: MakePlan, tmp_path: Path) -> None:
    """Python's own answer would be an exception wherever it happens to be; in a destructor that is lost."""
    import pickle

    plan = tmp_path / "plan.pickle"
    plan.write_bytes(pickle.dumps(make_plan(None, served([1, 1, 1], ["wait"] * 3))))
    early = """
import os, signal
from triveni.local.foreground import keep_signals
keep_signals()
os.kill(os.getpid(), signal.SIGINT)
print("kept", flush=True)
"""
    command = [sys.executable, "-c", early + SCRIPT, str(plan)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 130
    assert done.stdout.splitlines() == ["kept", "interrupted by SIGINT; everything is stopped and removed"]
