"""Real Keras models, compiled by the real compiler."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from tests.integration.compile_ahead import compile_ahead
from triveni.mpc.compile import compile_program
from triveni.mpc.program import Program
from triveni.sharing.keras_file import KerasModel, read_model

EXAMPLE = Path(__file__).parents[3] / "examples/mnist/model.keras"


@pytest.fixture(scope="session")
def keras_nets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with NAME.keras and NAME.npz of every net of `keras_nets.NETS`."""
    directory = tmp_path_factory.mktemp("keras_nets")
    script = Path(__file__).with_name("keras_nets.py")
    subprocess.run([sys.executable, script, directory], check=True, timeout=120, capture_output=True)
    return directory


def file_of(name: str, keras_nets: Path) -> Path:
    return EXAMPLE if name == "mnist" else keras_nets / f"{name}.keras"


@pytest.fixture(scope="session")
def model_of(keras_nets: Path) -> Callable[[str], KerasModel]:
    """The model of a net, or of the example, by its name."""
    return cache(lambda name: read_model(file_of(name, keras_nets)))


PROGRAMS = {"program_of": "ABY3", "securenn_program_of": "SecureNN"}


@pytest.fixture(scope="session")
def compiled(request: pytest.FixtureRequest, keras_nets: Path, programs: Path) -> Path:
    """The cache with the programs of all nets that the selected tests name."""
    wanted: dict[str, set[str]] = {}
    for item in request.session.items:
        if isinstance(item, pytest.Function) and hasattr(item, "callspec") and "name" in item.callspec.params:
            for fixture in PROGRAMS.keys() & set(item.fixturenames):
                wanted.setdefault(PROGRAMS[fixture], set()).add(item.callspec.params["name"])
    compile_ahead(programs, {p: [file_of(name, keras_nets) for name in sorted(names)] for p, names in wanted.items()})
    return programs


@pytest.fixture(scope="session")
def program_of(model_of: Callable[[str], KerasModel], compiled: Path) -> Callable[[str], Program]:
    """The program of a net, compiled once for all tests."""
    return cache(lambda name: compile_program(model_of(name).architecture, cache=compiled, timeout=120))


@pytest.fixture(scope="session")
def securenn_program_of(model_of: Callable[[str], KerasModel], compiled: Path) -> Callable[[str], Program]:
    """The same in SecureNN."""
    return cache(lambda name: compile_program(model_of(name).architecture, "SecureNN", cache=compiled, timeout=120))


TRACE = """
import sys
from triveni.mpc.architecture import Architecture
from triveni.mpc.compile.trace import trace
sys.stdout.buffer.write(trace(Architecture.from_json(sys.stdin.buffer.read()), "ABY3", "test").to_json())
"""


@pytest.fixture(scope="session")
def traced_example(model_of: Callable[[str], KerasModel]) -> Program:
    """The example's program as it is traced, before any pass."""
    command, architecture = [sys.executable, "-c", TRACE], model_of("mnist").architecture
    done = subprocess.run(command, input=architecture.to_json(), capture_output=True, check=True, timeout=120)
    return Program.from_json(done.stdout)
