"""`triveni predict`, as it is typed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from triveni.cli import options


def predict(
    arguments: Annotated[
        list[str],
        typer.Argument(
            metavar="[NAME] FILE...", help="PNG, npy, npz, csv or JSON, - for stdin; after a SecureModel's name."
        ),
    ],
    connection: options.Connection = None,
    namespace: options.Namespace = None,
    context: options.Context = None,
    kubeconfig: options.Kubeconfig = None,
    as_json: options.AsJson = False,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE.npy", help="Write the answers there, instead of printing them.")
    ] = None,
    labels: Annotated[
        str | None, typer.Option(metavar="FILE|A,B,...", help="Names of the classes, to be shown for their numbers.")
    ] = None,
    batch: Annotated[int, typer.Option(min=1, metavar="ROWS", help="Ask for so many rows at a time.")] = 1,
    timeout: options.Timeout = 60.0,
    until_quota: Annotated[bool, typer.Option("--until-quota", hidden=True)] = False,
) -> None:
    """Ask a running model for predictions.

    The workers learn neither the inputs nor the answers. Workers on this machine or, inside a cluster, reachable ones
    are named by a connection file; from outside a cluster, NAME is a SecureModel there, and its API server forwards the
    connections. A file may hold several rows; each row is one request. Answers are the model's own numbers, of which
    the largest is the class.

    JSON: index, input, class, label, expected, answer, seconds.
    """
    from triveni.cli.errors import told
    from triveni.cli.predict import Options
    from triveni.cli.predict import predict as predict_
    from triveni.cli.targets import TargetOptions

    with told():
        target = TargetOptions(connection, namespace, context, kubeconfig)
        predict_(Options(arguments, target, as_json, output, labels, batch, timeout, until_quota))
