"""`triveni worker`, as it is typed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def worker(
    bundle: Annotated[
        Path, typer.Argument(metavar="BUNDLE", help="The file that cluster.start() in a notebook names.")
    ],
    bind: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", help="Listen at this address of this machine, where the host's own name is not."
        ),
    ] = None,
) -> None:
    """Be one of the three workers of a notebook.

    Until Ctrl-C. It answers the notebook that made BUNDLE, and computes on shares for it whenever a model is served
    there.
    """
    from triveni.cli.errors import told
    from triveni.cli.worker import worker as worker_

    with told():
        worker_(bundle, bind)
