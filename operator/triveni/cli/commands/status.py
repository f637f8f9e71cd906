"""`triveni status`, as it is typed."""

from __future__ import annotations

from typing import Annotated

import typer

from triveni.cli import options


def status(
    name: options.Name = None,
    connection: options.Connection = None,
    namespace: options.Namespace = None,
    context: options.Context = None,
    kubeconfig: options.Kubeconfig = None,
    everywhere: Annotated[
        bool, typer.Option("--all-namespaces", "-A", help="List the SecureModels of all namespaces.")
    ] = False,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Go on looking, every 2 s, until Ctrl-C.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Show a SecureModel, and what to do next.

    Its conditions, epoch, quota and erasure receipts. Without NAME, a line for each SecureModel of the namespace. With
    --connection, what the three workers say of themselves, wherever they run.

    JSON: name, namespace, protocol, quota, served, charged, remaining, epoch, phase, granted, started_at, suspended,
    client_secret, conditions, receipts, next; with --connection: name, namespace, workers.
    """
    from triveni.cli.errors import told
    from triveni.cli.status import Options
    from triveni.cli.status import status as status_
    from triveni.cli.targets import TargetOptions

    with told():
        target = TargetOptions(connection, namespace, context, kubeconfig)
        status_(Options(name, target, everywhere, watch, as_json))
