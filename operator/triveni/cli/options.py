"""Options that several commands have: one wording, one meaning. What they mean together is in `targets`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Name = Annotated[str | None, typer.Argument(metavar="NAME", help="A SecureModel in a cluster; not with --connection.")]

Connection = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="A connection file, of `triveni run` or from the Secret for clients; then no NAME."
    ),
]

Namespace = Annotated[
    str | None, typer.Option("--namespace", "-n", help="The SecureModel's, instead of the kubeconfig's.")
]

Context = Annotated[str | None, typer.Option(help="Of the kubeconfig, instead of its current one.")]

Kubeconfig = Annotated[Path | None, typer.Option(metavar="FILE", help="Instead of KUBECONFIG or ~/.kube/config.")]

InputRange = Annotated[
    str | None,
    typer.Option("--input-range", metavar="MIN,MAX", help="What all inputs are within, such as 0,1 for pictures."),
]

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, one document a line.")]

Timeout = Annotated[
    float, typer.Option(min=0.1, metavar="SECONDS", help="For each prediction, waiting for workers included.")
]
