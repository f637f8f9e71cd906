"""`triveni bench`, as it is typed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from triveni.cli import options


def bench(
    name: options.Name = None,
    requests: Annotated[
        int | None, typer.Option(min=1, max=1_000_000, metavar="N", help="How many; each row is charged to the quota.")
    ] = None,
    rows: Annotated[int, typer.Option(min=1, max=256, metavar="ROWS", help="Rows of each request.")] = 1,
    concurrency: Annotated[int, typer.Option(min=1, max=64, metavar="N", help="Requests at the same time.")] = 1,
    data: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Ask for the rows of this file, in turn, not for random ones.")
    ] = None,
    connection: options.Connection = None,
    namespace: options.Namespace = None,
    context: options.Context = None,
    kubeconfig: options.Kubeconfig = None,
    timeout: options.Timeout = 60.0,
    as_json: options.AsJson = False,
) -> None:
    """Measure how fast a model answers.

    Asks a running model --requests times and tells latency and throughput. Each row is a request like any other and is
    charged to the model's request quota; without --requests it asks how many.

    JSON: name, protocol, epoch, requests, rows, concurrency, latency_ms (min, mean, p50, p95, p99, max), rows_per_s,
    seconds.
    """
    from triveni.cli.bench import Options
    from triveni.cli.bench import bench as bench_
    from triveni.cli.errors import told
    from triveni.cli.targets import TargetOptions

    with told():
        target = TargetOptions(connection, namespace, context, kubeconfig)
        bench_(Options(name, target, requests, rows, concurrency, data, timeout, as_json))
