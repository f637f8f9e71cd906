"""The commands and their options; what they do is in the module of each command's name, imported when it is called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from triveni import __version__
from triveni.cli.exit_codes import EXIT_CODES

app = typer.Typer(
    name="triveni",
    help="Private inference: three workers answer requests that none of them can read.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    rich_markup_mode=None,  # its help costs 0.2 s of imports
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"triveni {__version__}")
        raise typer.Exit


@app.callback()
def _triveni(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = (
        False
    ),
) -> None:
    pass


@app.command(epilog=EXIT_CODES)
def run(
    manifest: Annotated[Path, typer.Argument(metavar="MANIFEST", help="The YAML file that kubectl apply takes.")],
    more_images: Annotated[list[Path] | None, typer.Argument(hidden=True, metavar="")] = None,
    quota: Annotated[str | None, typer.Option(metavar="N", help="Request quota, instead of the manifest's.")] = None,
    protocol: Annotated[str | None, typer.Option(help="Protocol, instead of the manifest's.")] = None,
    predict: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE...", help="Ask for the predictions of these PNG, npy or npz files, then end."),
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
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show the logs of all processes.")] = False,
) -> None:
    """Serve a model on this machine: three workers, until its request quota is reached.

    Without --predict, the digits that lie beside the example's manifest are asked for, and shown with plain Keras's
    answer beside the secret one.
    """
    from rich.console import Console

    from triveni.cli.errors import told
    from triveni.cli.run import Options
    from triveni.cli.run import run as run_

    # The files after the first of --predict arrive as arguments.
    if more_images and not predict:
        raise typer.BadParameter(f"takes one manifest; put --predict before images such as {more_images[0]}")
    with told():
        images = (*(predict or ()), *(more_images or ()))
        options = Options(manifest, quota, protocol, images, keep_serving, connection, port, verbose, model, weights)
        raise typer.Exit(run_(options, Console()))


@app.command(epilog=EXIT_CODES)
def predict(
    arguments: Annotated[
        list[str], typer.Argument(metavar="[NAME] IMAGE...", help="PNG, npy or npz files, after a SecureModel's name.")
    ],
    connection: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A connection file, of the runner or mounted; then no NAME.")
    ] = None,
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", help="The SecureModel's, instead of the kubeconfig's.")
    ] = None,
    context: Annotated[str | None, typer.Option(help="Of the kubeconfig, instead of its current one.")] = None,
    kubeconfig: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Instead of KUBECONFIG or ~/.kube/config.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON line for each image.")] = False,
    timeout: Annotated[
        float, typer.Option(min=0.1, metavar="SECONDS", help="For each prediction, waiting for workers included.")
    ] = 60.0,
    until_quota: Annotated[bool, typer.Option("--until-quota", hidden=True)] = False,
) -> None:
    """Ask running workers for predictions; they learn neither the images nor the answers.

    Workers on this machine or, inside a cluster, reachable ones are named by a connection file; from outside a cluster,
    NAME is a SecureModel there, and its API server forwards the connections.
    """
    from triveni.cli.errors import told
    from triveni.cli.predict import Options
    from triveni.cli.predict import predict as predict_

    with told():
        predict_(
            Options(arguments, connection, namespace, context, kubeconfig, as_json, until_quota, timeout),
        )


@app.command(epilog=EXIT_CODES)
def check(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A .keras file, or a manifest.")],
) -> None:
    """Say whether a model can be served, what a request costs, and what was proved about it."""
    from rich.console import Console

    from triveni.cli.check import check as check_
    from triveni.cli.errors import told

    with told():
        raise typer.Exit(check_(model, Console()))


@app.command(epilog=EXIT_CODES)
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
    """Be one of the three workers of a notebook's cluster, until Ctrl-C.

    It answers the notebook that made BUNDLE, and computes on shares for it whenever a model is served there.
    """
    from triveni.cli.errors import told
    from triveni.cli.worker import worker as worker_

    with told():
        worker_(bundle, bind)
