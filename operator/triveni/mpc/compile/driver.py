"""Runs the compiler's process and keeps its results."""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import triveni
from triveni.mpc.architecture import Architecture
from triveni.mpc.program import Program
from triveni.mpc.sharing import HELD

PROTOCOLS = tuple(HELD)


@dataclass(eq=False)
class CompileError(Exception):
    """No program came out; `reason` is a sentence for a person."""

    reason: str

    def __str__(self) -> str:
        return f"the model cannot be compiled: {self.reason}"


def _compiler() -> str:
    """Names everything but the architecture that a program's bytes depend on."""
    mpc = Path(__file__).parents[1]
    names = ("affine", "comparison", "fixedpoint", "ops", "passes", "program", "sharing")
    rooms = [file for room in ("lowering", "compile") for file in sorted((mpc / room).glob("*.py"))]
    sources = [*(mpc / f"{name}.py" for name in names), *rooms]
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in sources))
    versions = {name: _version(name) for name in ("tensorflow", "tf-encrypted")}
    parts = [f"{name} {version}" for name, version in versions.items()]
    return ", ".join([f"triveni {triveni.__version__} ({digest.hexdigest()[:12]})", *parts])


def _version(name: str) -> str:
    for candidate in (name, f"{name}-cpu"):
        try:
            return metadata.version(candidate)
        except metadata.PackageNotFoundError:
            continue
    return "missing"


COMPILER = _compiler()


def compile_program(
    architecture: Architecture, protocol: str = "ABY3", *, cache: Path | None = None, timeout: float = 300
) -> Program:
    """The optimised program of an architecture, proved when it was compiled; whoever runs it proves it again.

    Blocks for some seconds, unless `cache` (a directory, made if missing) has it. Processes that ask for the same
    program at once compile it once. `timeout` is in seconds and covers waiting for another.

    Raises:
        CompileError: an unknown protocol, a layer that cannot be compiled, a program that cannot be proved, no
            TensorFlow here, or no result in time.
    """
    if protocol not in PROTOCOLS:
        raise CompileError(f"protocol {protocol!r} is not built; {', '.join(PROTOCOLS)} is")
    deadline = time.monotonic() + timeout
    if cache is None:
        return _checked(_run(architecture, protocol, timeout), architecture, protocol)
    cache.mkdir(parents=True, exist_ok=True)
    path = cached_at(cache, architecture, protocol)
    with _lock(path.with_suffix("").with_suffix(".lock"), deadline):
        cached = _cached(path, architecture, protocol)
        if cached is None:
            data = _run(architecture, protocol, deadline - time.monotonic())
            cached = _checked(data, architecture, protocol)
            _write(path, data)
    return cached


def cached_at(cache: Path, architecture: Architecture, protocol: str) -> Path:
    """The file in which `compile_program` keeps a program."""
    name = hashlib.sha256(b"\0".join([COMPILER.encode(), protocol.encode(), architecture.to_json()])).hexdigest()
    return cache / f"{name}.program.json"


def _cached(path: Path, architecture: Architecture, protocol: str) -> Program | None:
    try:
        return _checked(path.read_bytes(), architecture, protocol)
    except (OSError, CompileError):
        return None  # never made, or damaged: made anew


def _checked(data: bytes, architecture: Architecture, protocol: str) -> Program:
    try:
        program = Program.from_json(data)
    except ValueError as error:
        raise CompileError(str(error)) from error
    if (program.architecture_digest, program.protocol, program.compiler) != (architecture.digest, protocol, COMPILER):
        raise CompileError("the program is of another architecture, protocol or compiler")
    return program


def _run(architecture: Architecture, protocol: str, timeout: float) -> bytes:
    command = [sys.executable, "-m", "triveni.mpc.compile", protocol]
    try:
        done = subprocess.run(
            command, input=architecture.to_json(), capture_output=True, timeout=max(timeout, 0.0), check=False
        )
    except subprocess.TimeoutExpired as error:
        raise CompileError(f"no result within {timeout:.0f} seconds") from error
    if done.returncode < 0:
        # What it wrote last has nothing to do with its end.
        raise CompileError(
            f"the compiler was killed by signal {-done.returncode}, most likely for want of memory; give it some 600 MB"
        )
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise CompileError(lines[-1] if lines else f"the compiler ended with exit code {done.returncode}")
    return done.stdout


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=path.stem, delete=False) as file:
        file.write(data)
    os.replace(file.name, path)


@contextmanager
def _lock(path: Path, deadline: float) -> Iterator[None]:
    with path.open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise CompileError("another process is compiling it and did not end in time") from None
                time.sleep(0.05)
        yield
