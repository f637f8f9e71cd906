"""`triveni worker`: one worker of a notebook's cluster, on the machine where this is run."""

from __future__ import annotations

from pathlib import Path

from triveni.cli.errors import CommandFailed, bad_input
from triveni.keras.bundle import InvalidBundle
from triveni.keras.host import run_host
from triveni.worker.listen import CannotListen


def worker(bundle: Path, bind: str | None) -> None:
    """Be a worker until Ctrl-C, or SIGTERM.

    Raises:
        CommandFailed: the bundle is none, or its address cannot be used.
    """
    try:
        run_host(bundle, bind, lambda line: print(line, flush=True))
    except InvalidBundle as error:
        raise bad_input(str(error)) from None
    except CannotListen as error:
        raise CommandFailed(str(error)) from None
