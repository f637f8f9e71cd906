"""A throwaway copy of the tree, in which one mutant at a time is applied and tested."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from tests.mutants.mutant import ROOT, Mutant
from tests.mutants.outcome import Outcome, outcome

LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", "build", "dist", "__pycache__", ".*_cache", ".hypothesis", "*.egg-info"
)

KERNEL = Path("operator/triveni/mpc/execute/kernel/module.c")


class Tree:
    """A copy of the checkout. `stop` may be called from another thread."""

    def __init__(self, directory: Path, source: Path = ROOT) -> None:
        self._root = directory / "tree"
        self._cache = directory / "cache"
        self._running: subprocess.Popen[str] | None = None
        self._stopped = False
        shutil.copytree(source, self._root, ignore=LEFT_OUT)

    def verdict(self, mutant: Mutant, limit_s: float) -> tuple[Outcome, str]:
        """What comes of the mutant's tests with it in place, and what pytest said."""
        with self._with(mutant):
            code, said = self.run(mutant.tests, limit_s)
        return outcome(mutant.tests, code, said), said

    def run(self, tests: Sequence[str], limit_s: float) -> tuple[int | None, str]:
        """pytest's exit code, None if it takes longer than `limit_s`, and what it said."""
        # `limit_s` is the only limit: a test that takes long is not one that fails.
        options = ("-q", "-rf", "--tb=short", "--timeout=0", "-p", "no:cacheprovider")
        command = [sys.executable, "-m", "pytest", *options, *tests]
        paths = {"PYTHONPATH": str(self._root / "operator"), "XDG_CACHE_HOME": str(self._cache), "COLUMNS": "120"}
        environment = os.environ | paths | {"PYTHONDONTWRITEBYTECODE": "1"}
        if self._stopped:
            return None, ""
        with subprocess.Popen(
            command,
            cwd=self._root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # so that whatever a test has started goes with it
        ) as process:
            self._running = process
            try:
                said, _ = process.communicate(timeout=limit_s)
            except subprocess.TimeoutExpired:
                _kill(process)
                said, _ = process.communicate()
                return None, said
            finally:
                _kill(process)
                self._running = None
        return process.returncode, said

    def stop(self) -> None:
        """End what runs, and let nothing start any more."""
        self._stopped = True
        if (process := self._running) is not None:
            _kill(process)

    @contextmanager
    def _with(self, mutant: Mutant) -> Iterator[None]:
        file = self._root / mutant.file
        source = file.read_text()
        file.write_text(mutant.broken(source))
        try:
            with _kernel_of(self._root) if file.suffix in (".c", ".h") else nullcontext():
                yield
        finally:
            file.write_text(source)


@contextmanager
def _kernel_of(root: Path) -> Iterator[None]:
    """The kernel of a tree as its source is now, built quickly; afterwards the one of before."""
    (built,) = (root / KERNEL).parents[1].glob("_kernel*.so")
    kept = built.rename(built.with_suffix(".kept"))
    includes = (f"-I{directory}" for directory in (sysconfig.get_path("include"), (root / KERNEL).parent))
    flags = ["-O1", "-fwrapv", "-fno-strict-aliasing", "-shared", "-fPIC"]
    try:
        subprocess.run(["cc", *flags, *includes, str(root / KERNEL), "-o", str(built)], check=True, capture_output=True)
        yield
    finally:
        kept.replace(built)


def _kill(process: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
