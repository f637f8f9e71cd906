"""The round trip of `triveni check --rtt`: a number, or measured by asking the workers of a connection file."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path

from triveni.cli.errors import bad_input
from triveni.client import Connection
from triveni.client.live import Live

MEASURE = "measure"


def milliseconds(given: str | None, connection: Path | None) -> float | None:
    """What --rtt means; None if it is not given. Measured is the way from here to the farthest worker.

    Raises:
        CommandFailed: it means nothing.
        ClientError: the workers cannot be asked.
    """
    if given == MEASURE:
        if connection is None:
            raise bad_input("--rtt measure: which workers? Add --connection FILE, of workers that run")
        return asyncio.run(_measure(Connection.read(connection)))
    if connection is not None:
        raise bad_input("--connection: only for --rtt measure; add it, or drop the connection")
    if given is None:
        return None
    try:
        value = float(given)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 60_000:
        raise bad_input(f"--rtt: {given!r} is not a round trip; give milliseconds from 0 to 60000, or measure")
    return value


async def _measure(connection: Connection) -> float:
    async with Live(connection) as live:
        return round(max(await live.round_trip()) * 1000, 3)
