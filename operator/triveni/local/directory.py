"""The run directory: everything that a run writes, readable by its user only and removed at its end.

It holds keys and, for the sharing process, the plain model, so it lives exactly as long as the run.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from triveni.local.processes import Guard

DIRECTORY = "directory"
"""Key of the connection file that names the run directory: there is nothing of it where somebody else runs."""


@dataclass(eq=False)
class FileExists(Exception):
    """The connection file would overwrite something."""

    path: Path

    def __str__(self) -> str:
        return (
            f"{self.path} exists already, perhaps from another run; "
            "end that run, remove the file, or give another --connection"
        )


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """Names of everything in the directory."""

    path: Path

    @property
    def model(self) -> Path:
        """The model file, if the manifest carries it."""
        return self.path / "model.keras"

    @property
    def connection(self) -> Path:
        """The connection file, if no other place was asked for."""
        return self.path / "connection.json"

    def log(self, name: str) -> Path:
        """The log of a process that lives for the whole run."""
        return self.path / f"{name}.log"

    def logs(self) -> Iterator[tuple[str, Path]]:
        """The logs that there are, each with the name of its process: `epoch 1 worker 0`."""
        for path in sorted(self.path.glob("*.log")):
            yield path.stem, path
        for path in sorted(self.path.glob("epoch-*/*.log"), key=lambda path: (len(path.parent.name), path)):
            yield f"{path.parent.name} {path.stem}".replace("-", " "), path

    def epoch(self, number: int) -> Path:
        """The directory of an epoch, made if it is not there."""
        path = self.path / f"epoch-{number}"
        path.mkdir(mode=0o700, exist_ok=True)
        return path


@contextmanager
def run_directory(guard: Guard) -> Iterator[RunDirectory]:
    """A new run directory, removed when the context ends."""
    path = Path(tempfile.mkdtemp(prefix="triveni-run-"))
    guard.watch("path", str(path))
    try:
        yield RunDirectory(path)
    finally:
        shutil.rmtree(path, ignore_errors=True)
        guard.watch("gone", str(path))


@contextmanager
def private_file(path: Path, content: bytes, guard: Guard) -> Iterator[Path]:
    """A new file that only its user can read, removed when the context ends.

    Raises:
        FileExists: there is something at `path` already.
        OSError: it cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise FileExists(path) from None
    guard.watch("path", str(path.absolute()))
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        yield path
    finally:
        path.unlink(missing_ok=True)
        guard.watch("gone", str(path.absolute()))
