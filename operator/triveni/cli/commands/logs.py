"""`triveni logs`, as it is typed."""

from __future__ import annotations

from typing import Annotated

import typer

from triveni.cli import options


def logs(
    name: options.Name = None,
    connection: options.Connection = None,
    namespace: options.Namespace = None,
    context: options.Context = None,
    kubeconfig: options.Kubeconfig = None,
    of: Annotated[
        list[str] | None, typer.Option("--of", metavar="WHO", help="worker, sharing or operator; may be repeated.")
    ] = None,
    operator_namespace: Annotated[
        str, typer.Option(metavar="NAMESPACE", help="Where the operator runs, for --of operator.")
    ] = "triveni-system",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C.")] = False,
    tail: Annotated[int, typer.Option(min=0, metavar="LINES", help="Begin with the last lines of each log.")] = 200,
    as_json: options.AsJson = False,
) -> None:
    """Show the logs of a model's processes.

    Those of its workers and its sharing job unless --of says otherwise, each line with whose it is. With --follow,
    those of later epochs too. With --connection, those of a run on this machine, as long as it runs.

    JSON: source, line.
    """
    from triveni.cli.errors import told
    from triveni.cli.logs import Options
    from triveni.cli.logs import logs as logs_
    from triveni.cli.targets import TargetOptions

    with told():
        target = TargetOptions(connection, namespace, context, kubeconfig)
        logs_(Options(name, target, tuple(of or ("worker", "sharing")), operator_namespace, follow, tail, as_json))
