"""`triveni run`, as it is typed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def run(
    manifest: Annotated[Path, typer.Argument(metavar="MANIFEST", help="The YAML file that kubectl apply takes.")],
    more_inputs: Annotated[list[Path] | None, typer.Argument(hidden=True, metavar="FILE")] = None,
    quota: Annotated[str | None, typer.Option(metavar="N", help="Request quota, instead of the manifest's.")] = None,
    protocol: Annotated[str | None, typer.Option(help="Protocol, instead of the manifest's.")] = None,
    predict: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE...", help="Ask for the predictions of these files (see predict), then end."),
    ] = None,
    keep_serving: Annotated[
        bool, typer.Option("--keep-serving", help="Do not ask; serve others until the quota is reached or Ctrl-C.")
    ] = False,
    connection: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to write the connection file for clients.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(metavar="BASE", min=1, max=65530, help="Use the ports BASE to BASE+5.")
    ] = None,
    model: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Model file, instead of the manifest's source.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Its weights, if --model is the JSON of model.to_json().")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what happens as JSON, one event a line.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show the logs of all processes.")] = False,
) -> None:
    """Serve a model on this machine.

    Three workers answer until the request quota is reached. Without --predict, the digits that lie beside the example's
    manifest are asked for, and shown with plain Keras's answer beside the secret one.
    """
    from triveni.cli.errors import told
    from triveni.cli.run import Options
    from triveni.cli.run import run as run_

    # The files after the first of --predict arrive as arguments.
    if more_inputs and not predict:
        raise typer.BadParameter(f"takes one manifest; put --predict before inputs such as {more_inputs[0]}")
    with told():
        files = (*(predict or ()), *(more_inputs or ()))
        options = Options(
            manifest, quota, protocol, files, keep_serving, connection, port, as_json, verbose, model, weights
        )
        raise typer.Exit(run_(options))
