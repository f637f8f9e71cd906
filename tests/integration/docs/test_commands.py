"""Everything that the pages tell a reader to do on one machine is done, in the order of the page.

Pages share one folder, which looks like a checkout. A command that serves until it is stopped runs beside the others,
once for all pages that have it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, Step, pages, steps
from tests.docs.places import Place, place
from tests.docs.shell import Prompt, Shell, differs

SECONDS = 240
"""For one command; `triveni run` itself waits up to 180 for plain Keras on a busy machine."""

pytestmark = pytest.mark.timeout(600)  # a page has many commands

SERVES = "--keep-serving"
SERVING = "Serving after"

PAGES = [page for page in pages() if any(place(step) is Place.HERE for step in steps(page))]


class Checkout:
    """A folder with what a reader has, and what serves there."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self.folder = folder
        shutil.copytree(ROOT / "examples", folder / "examples", ignore=shutil.ignore_patterns("__pycache__"))
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self.environment = {
            "PATH": path,
            "HOME": str(folder),
            "XDG_CACHE_HOME": str(programs.parents[1]),
            "COLUMNS": "200",
            "TF_CPP_MIN_LOG_LEVEL": "3",
        }
        self._servers: dict[str, tuple[subprocess.Popen[bytes], Path]] = {}

    def serve(self, step: Step) -> str:
        """Have a command that serves run, unless it does; what it has printed until it served."""
        if step.text not in self._servers:
            log = self.folder / f"serving-{len(self._servers)}.log"
            with log.open("wb") as output:
                process = subprocess.Popen(
                    ["bash", "-c", f"exec {step.text}"],
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    cwd=self.folder,
                    env=self.environment,
                )
            self._servers[step.text] = process, log
        process, log = self._servers[step.text]
        deadline = time.monotonic() + SECONDS
        while SERVING not in log.read_text():
            assert process.poll() is None, f"{step} ended: {log.read_text()}"
            assert time.monotonic() < deadline, f"{step} does not serve: {log.read_text()}"
            time.sleep(0.05)
        printed = log.read_text()
        return printed[: printed.index("\n", printed.index(SERVING)) + 1]

    def close(self) -> None:
        for process, _ in self._servers.values():
            process.terminate()
        for process, log in self._servers.values():
            assert process.wait(30) == 130, log.read_text()


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory, programs: Path) -> Iterator[Checkout]:
    checkout = Checkout(tmp_path_factory.mktemp("checkout"), programs)
    try:
        yield checkout
    finally:
        checkout.close()


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_tells_a_reader_to_do_on_one_machine_works(page: str, checkout: Checkout) -> None:
    todo = [step for step in steps(page) if place(step) is Place.HERE]
    with ExitStack() as stack:
        shell = stack.enter_context(Shell(checkout.folder, checkout.environment))
        prompt = None
        for step in todo:
            if step.kind == "file":
                (checkout.folder / step.file).write_text(step.text + "\n")
            elif step.kind == "python":
                prompt = prompt or stack.enter_context(Prompt(checkout.folder, checkout.environment))
                failed = prompt.run(step.page, step.line, step.text, SECONDS)
                assert not failed, f"{step}\n{failed}"
            else:
                status, printed = (0, checkout.serve(step)) if SERVES in step.text else shell.run(step.text, SECONDS)
                assert status == step.status, f"{step} ended with {status}: {printed}"
                assert not (how := differs(step.said, printed)), f"{step}: {how}"
