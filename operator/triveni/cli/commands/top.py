"""`triveni top`, as it is typed."""

from __future__ import annotations

from typing import Annotated

import typer

from triveni.cli import options


def top(
    name: options.Name = None,
    connection: options.Connection = None,
    namespace: options.Namespace = None,
    context: options.Context = None,
    kubeconfig: options.Kubeconfig = None,
    interval: Annotated[float, typer.Option(min=0.2, metavar="SECONDS", help="From one look to the next.")] = 1.0,
    once: Annotated[bool, typer.Option("--once", help="Look once, then end.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Watch a model: epoch, quota, latency.

    The workers are asked for their own counts; what they answer is for people, and charged to nobody. Latency is the
    engine's: from the last share of a request to the answer's shares.

    JSON: name, epoch, granted, answered, left, waiting, rows_per_s, latency_ms, workers.
    """
    from triveni.cli.errors import told
    from triveni.cli.targets import TargetOptions
    from triveni.cli.top import Options
    from triveni.cli.top import top as top_

    with told():
        top_(Options(name, TargetOptions(connection, namespace, context, kubeconfig), interval, once, as_json))
