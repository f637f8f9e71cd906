"""Compiles many models in one process, into the cache that `compile_program` reads: TensorFlow is loaded once for all.

    python -m tests.integration.compile_ahead PROTOCOL CACHE MODEL...

Each MODEL is a Keras file, or an architecture as JSON. The programs are those that processes of their own would make
(test_compile compares one).
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from triveni.mpc.architecture import Architecture
from triveni.mpc.compile.__main__ import compile_here
from triveni.mpc.compile.driver import cached_at
from triveni.sharing.keras_file import read_model

ROOT = Path(__file__).parents[2]

TIMEOUT_S = 600


def compile_ahead(cache: Path, models: Mapping[str, Iterable[Path]]) -> None:
    """Compile the models of each protocol, the protocols side by side; nothing is said of one that cannot be."""
    command = [sys.executable, "-m", "tests.integration.compile_ahead"]
    running = [
        subprocess.Popen([*command, protocol, cache, *files], cwd=ROOT, stderr=subprocess.DEVNULL)
        for protocol, files in models.items()
    ]
    try:
        for process in running:
            assert process.wait(TIMEOUT_S) == 0
    finally:
        for process in running:
            process.kill()
            process.wait()


def main(protocol: str, cache: Path, models: Iterable[Path]) -> None:
    """Write every program that is not there."""
    for model in models:
        json = model.suffix == ".json"
        architecture = Architecture.from_json(model.read_bytes()) if json else read_model(model).architecture
        path = cached_at(cache, architecture, protocol)
        if not path.exists():
            path.write_bytes(compile_here(architecture, protocol).to_json())


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), map(Path, sys.argv[3:]))
