"""`triveni manifest`, as it is typed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from triveni.cli import options


def manifest(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model file.")],
    name: Annotated[str | None, typer.Option(help="Of the SecureModel; the file's if left out.")] = None,
    namespace: Annotated[str | None, typer.Option("--namespace", "-n", help="To be written into it.")] = None,
    quota: Annotated[int | None, typer.Option(metavar="N", help="Request quota; no limit if left out.")] = None,
    protocol: Annotated[str, typer.Option(help="How the workers compute.")] = "ABY3",
    answer_bits: Annotated[
        int | None,
        typer.Option("--answer-bits", metavar="N", help="Binary places of answers that clients get; all if left out."),
    ] = None,
    secret: Annotated[bool, typer.Option("--secret", help="Let a Secret carry the model, not a ConfigMap.")] = False,
    url: Annotated[str | None, typer.Option(metavar="URL", help="The model is fetched from there instead.")] = None,
    claim: Annotated[
        str | None, typer.Option(metavar="CLAIM/PATH", help="The model lies in that PersistentVolumeClaim instead.")
    ] = None,
    file: Annotated[bool, typer.Option("--file", help="The model stays a file beside it, for triveni run.")] = False,
    input_range: options.InputRange = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Instead of printing it.")
    ] = None,
) -> None:
    """Write the SecureModel for a model file.

    For kubectl apply and triveni run alike. The model is carried by a ConfigMap in the same file if it has at most
    1 MiB; it is read first, and one that would be refused is refused here. Its digest is written too.
    """
    from triveni.cli.errors import told
    from triveni.cli.input_range import parsed
    from triveni.cli.manifest import Options
    from triveni.cli.manifest import manifest as manifest_

    with told():
        inputs = parsed(input_range)
        manifest_(
            Options(model, name, namespace, quota, protocol, answer_bits, secret, url, claim, file, output, inputs)
        )
