"""`triveni check`: a model's layers, what a request costs, and the prover's table; or what is refused, and why."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table

from triveni.api.manifest import Manifest, read_manifest
from triveni.cli.errors import CommandFailed, bad_input
from triveni.cli.exit_codes import FAILED, OK
from triveni.cli.run import cache_directory
from triveni.mpc.affine import Affine
from triveni.mpc.architecture import Architecture
from triveni.mpc.compile import CompileError, compile_program
from triveni.mpc.program import Program
from triveni.mpc.prove import Proof, prove
from triveni.mpc.schedule import Schedule
from triveni.sharing.failures import SharingFailure, SourceNotFound
from triveni.sharing.keras_file import read_model
from triveni.sharing.shares import split_model

YAML = frozenset({".yaml", ".yml"})


def check(model: Path, console: Console) -> int:
    """Check a Keras file or a manifest; the exit code.

    Raises:
        InvalidManifest, CommandFailed: the model is refused.
    """
    manifest = read_manifest(model) if model.suffix.lower() in YAML else None
    protocol = manifest.secure_model.spec.protocol if manifest else "ABY3"
    try:
        with _model_file(model, manifest) as path:
            keras = read_model(path, manifest.secure_model.spec.model.digest if manifest else None)
        console.print(_layers(keras.architecture))
        split_model(keras, protocol)
    except SourceNotFound as error:
        raise CommandFailed(f"{error.source}: {error.problem}; give a .keras file or a manifest", 2) from None
    except SharingFailure as error:
        raise CommandFailed(f"refused ({error.reason}): {error}") from None
    program = _compile(keras.architecture, protocol, console)
    _cost(program, console)
    proof = prove(program)
    console.print(_proof(proof))
    for failure in proof.failures():
        console.print(f"NOT PROVED: {failure}", style="bold red", markup=False)
    verdict = "can be served" if proof.holds else "is refused: nothing shows that it keeps the secrets"
    console.print(f"{model.name} {verdict}.", highlight=False, markup=False)
    return OK if proof.holds else FAILED


@contextmanager
def _model_file(model: Path, manifest: Manifest | None) -> Iterator[Path]:
    """The path of the model file; a manifest that carries the model is unpacked for as long as it is needed."""
    if manifest is None:
        yield model
    elif isinstance(manifest.model, Path):
        yield manifest.model
    elif not isinstance(manifest.model, bytes):
        (kind,) = manifest.secure_model.spec.model.source.model_dump(exclude_none=True)
        raise bad_input(
            f"spec.model.source.{kind}: is not fetched by check; check the file itself: triveni check MODEL"
        )
    else:
        with tempfile.TemporaryDirectory(prefix="triveni-check-") as folder:
            path = Path(folder) / "model.keras"
            path.write_bytes(manifest.model)
            yield path


def _compile(architecture: Architecture, protocol: str, console: Console) -> Program:
    try:
        with console.status("compiling ..."):
            return compile_program(architecture, protocol, cache=cache_directory())
    except CompileError as error:
        raise CommandFailed(str(error)) from None


def _layers(architecture: Architecture) -> Table:
    table = Table("layer", "kind", "output of a row", "weights", title="Layers", title_justify="left")
    for layer, before, after in architecture.walk():
        weights = sum(math.prod(shape) for shape in layer.weight_shapes(before).values())
        table.add_row(layer.name, type(layer).__name__, " x ".join(map(str, after)), f"{weights:,}" if weights else "")
    return table


def _cost(program: Program, console: Console) -> None:
    cost = Schedule(program).cost()
    total = cost.online_bytes + cost.ahead_bytes
    lines = (
        f"Program {program.digest[:12]}, {program.protocol}; a request of one row, all workers together:",
        f"  rounds   {cost.online_rounds}",
        f"  bytes    {_kilobytes(total)}, of which {_kilobytes(cost.online_bytes)} after the input is known",
    )
    for line in lines:
        console.print(line, highlight=False)


def _kilobytes(size: Affine) -> str:
    return f"{size.at(1) / 1000:.1f} kB"


def _proof(proof: Proof) -> Table:
    title = "What each worker receives, and what is proved about it"
    table = Table("worker", "messages", "uniform", "without a secret", "open", title=title, title_justify="left")
    for row in proof.table():
        table.add_row(*map(str, (row.party, row.received, row.uniform, row.without_secret, row.open)))
    return table
