"""`triveni check`, as it is typed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from triveni.cli import options


def check(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model file, or a manifest.")],
    rtt: Annotated[
        str | None,
        typer.Option(metavar="MS|measure", help="Round trip between the workers; measure asks those of --connection."),
    ] = None,
    bandwidth: Annotated[
        float, typer.Option(min=0.001, metavar="MBIT", help="Of each link, in Mbit/s, together with --rtt.")
    ] = 100.0,
    connection: options.Connection = None,
    input_range: options.InputRange = None,
    as_json: options.AsJson = False,
) -> None:
    """Say what a model costs, or why it is refused.

    The model is read, split, compiled and proved, as sharing job and workers would; nothing is served. Rounds and bytes
    are exact. Latency is an estimate: half a round trip for each round and for the four other hops of a request, the
    bytes of the busiest worker over the bandwidth, and computing as fast as on the machine of the README.

    If it is known what all inputs are within, bounds are told that hold for every such input: on the values on the way
    to an answer, a model being refused where one may not fit, and on how far an answer is rounded.

    JSON: model, served, refused (reason, message, layers), protocol, input_shape, output_shape,
    answer_fractional_bits, weights, input_range, layers, networks, protocols (protocol, program, problem, rounds,
    bytes, online_bytes, estimated_latency_ms, proved, not_proved, values: layer, at_most, below, error_at_most,
    chance_at_most), recommended.
    """
    from triveni.cli.check import Options
    from triveni.cli.check import check as check_
    from triveni.cli.errors import told
    from triveni.cli.input_range import parsed
    from triveni.cli.round_trip import milliseconds

    with told():
        inputs = parsed(input_range)
        raise typer.Exit(check_(Options(model, milliseconds(rtt, connection), bandwidth, as_json, inputs)))
