"""Finding the three workers: asking each for its metadata until they describe one epoch."""

from __future__ import annotations

import asyncio
import json

import aiohttp

from triveni.api.inference import Reason, read_error
from triveni.client.connection import Connection
from triveni.client.description import Description, NotServing, agreed, read
from triveni.client.epoch import CLOSED, EpochOver, connection_problem, permanent, refusal
from triveni.client.errors import RequestRefused, WrongAnswer
from triveni.client.together import together
from triveni.client.transport import WorkerLink, close, worker_link

FIRST_WAIT_S, LONGEST_WAIT_S = 0.05, 1.0

MAX_METADATA_BYTES = 2**20

CLOSED_ROUNDS = 5
"""If all three workers close the connection so often, they do not want this client. With TLS 1.3 that is all that a
client sees of a certificate that the worker does not accept."""


async def discover(connection: Connection, problems: dict[int, str]) -> Description:
    """What the three workers serve. It waits for them without an end: the caller has the deadline.

    Args:
        problems: is kept up to date with what keeps each worker from serving, for whoever explains a timeout.

    Raises:
        ClientError: something that waiting does not help.
    """
    links = [worker_link(connection, party, None) for party in range(3)]
    try:
        wait, closed = FIRST_WAIT_S, 0
        while True:
            found = await together(_ask(link, connection) for link in links)
            serving = [one for one in found if isinstance(one, Description)]
            problems.clear()
            if len(serving) == len(links):
                if (description := agreed(serving)) is not None:
                    return description
                problems.update((party, f"is in epoch {one.epoch}") for party, one in enumerate(serving))
            problems.update((party, one.why) for party, one in enumerate(found) if isinstance(one, NotServing))
            closed = closed + 1 if set(problems.values()) == {CLOSED} and not serving else 0
            if closed == CLOSED_ROUNDS:
                raise RequestRefused(0, Reason.FORBIDDEN, "all workers refuse this client's certificate")
            await asyncio.sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT_S)
    finally:
        await close(links)


async def _ask(link: WorkerLink, connection: Connection) -> Description | NotServing:
    try:
        reply = await link.get(f"/v2/models/{connection.name}", MAX_METADATA_BYTES)
    except aiohttp.ClientError as error:
        problem = permanent(link, error)
        if problem is not None:
            raise problem from error
        return NotServing(connection_problem(error))
    if reply.status == 200:
        try:
            document = json.loads(reply.body)
        except (ValueError, RecursionError) as error:
            raise WrongAnswer(link.party, "its metadata is no JSON") from error
        return read(link.party, document, connection)
    reason, message = read_error(reply.body)
    meaning = refusal(link.party, reply.status, reason, message)
    if isinstance(meaning, EpochOver) or reason is Reason.BUSY:
        return NotServing(message)
    raise meaning
