"""Throwaway environments in the user's cache directory, made by uv and used again by the next run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.systems import System

INSTALL_S = 1200


@dataclass(eq=False)
class Unavailable(Exception):
    """A system cannot be run here; `what` was tried, `said` is the end of what came of it."""

    what: str
    said: str

    def __str__(self) -> str:
        return f"{self.what}: {self.said}"


def home() -> Path:
    """Where the environments are."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "triveni" / "bench-peers"


def python_of(system: System) -> Path:
    """The Python of the system's environment, made if it is not there.

    Raises:
        Unavailable: it cannot be installed.
    """
    directory = home() / system.environment
    python, complete = directory / "bin" / "python", directory / ".complete"
    if complete.exists():
        return python
    shutil.rmtree(directory, ignore_errors=True)
    directory.parent.mkdir(parents=True, exist_ok=True)
    _uv(["venv", "--quiet", "--python", sys.executable, str(directory)])
    for arguments in system.installs:
        _uv(["pip", "install", "--quiet", "--python", str(python), *arguments])
    complete.touch()
    return python


def remove() -> None:
    """Remove all environments."""
    shutil.rmtree(home(), ignore_errors=True)


def _uv(arguments: Sequence[str]) -> None:
    beside = Path(sys.executable).with_name("uv")
    command = [str(beside) if beside.exists() else "uv", *arguments]
    run(command, INSTALL_S)


def run(command: Sequence[str], seconds: float) -> None:
    """Run a command to its end; Unavailable if it fails or takes longer."""
    what = " ".join(Path(word).name if word.startswith("/") else word for word in command)
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    except FileNotFoundError:
        raise Unavailable(what, "there is no such command") from None
    except subprocess.TimeoutExpired:
        raise Unavailable(what, f"no result within {seconds:.0f} s") from None
    if done.returncode:
        raise Unavailable(what, "\n".join(done.stderr.strip().splitlines()[-6:]) or f"exit code {done.returncode}")
