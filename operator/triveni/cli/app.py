"""The command line: all commands, and what stands above them."""

from __future__ import annotations

from typing import Annotated

import typer

from triveni import __version__
from triveni.cli.commands.bench import bench
from triveni.cli.commands.check import check
from triveni.cli.commands.completion import completion
from triveni.cli.commands.logs import logs
from triveni.cli.commands.manifest import manifest
from triveni.cli.commands.predict import predict
from triveni.cli.commands.run import run
from triveni.cli.commands.status import status
from triveni.cli.commands.top import top
from triveni.cli.commands.worker import worker
from triveni.cli.exit_codes import EXIT_CODES

COMMANDS = (check, manifest, run, predict, status, top, logs, bench, worker, completion)
"""In the order in which --help lists them."""

app = typer.Typer(
    name="triveni",
    help="Private inference: three workers answer requests that none of them can read.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    rich_markup_mode=None,  # its help costs 0.2 s of imports
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"triveni {__version__}")
        raise typer.Exit


@app.callback()
def _triveni(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = (
        False
    ),
) -> None:
    pass


for _command in COMMANDS:
    app.command(epilog=EXIT_CODES)(_command)
