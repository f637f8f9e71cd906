"""Handing over: the architecture to all workers, then, if they compiled the same program, to each its own shares."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from triveni.api.inference import encode
from triveni.identity.credentials import Credentials
from triveni.identity.names import Identity
from triveni.sharing.failures import ProgramsDiffer, WorkerUnreachable
from triveni.sharing.shares import ModelShares
from triveni.sharing.worker_link import Address, Body, WorkerLink, worker_links

ARCHITECTURE_PATH = "/triveni/v1/architecture"
SHARES_PATH = "/triveni/v1/shares"

SHARING_BYTES = 16
"""Of the text by which a worker tells this sharing from any other."""


@dataclass(frozen=True)
class Shared:
    """What the workers said about the program that they compiled, the same for all three.

    Attributes:
        program_digest: SHA-256 of the program, in hex.
        program: everything else that worker 0 told (rounds, bytes).
    """

    program_digest: str
    program: Mapping[str, Any]


Progress = Callable[[str, Mapping[str, Any]], None]


async def hand_over(
    shares: ModelShares,
    protocol: str,
    addresses: Sequence[Address],
    credentials: Credentials,
    me: Identity,
    within: float,
    progress: Progress,
) -> Shared:
    """Give each of the three workers what is its own.

    Args:
        addresses: of the workers, in the order of parties.
        me: the identity in `credentials`; it names the epoch.
        within: seconds for everything, compiling included.
        progress: called with the name of each step that is done.

    Raises:
        WorkerUnreachable: a worker is not there, is somebody else, or did not finish in time.
        WorkerRefused: a worker said no.
        ProgramsDiffer: the workers would not execute the same program; no share was sent.
    """
    async with worker_links(addresses, credentials, me) as links:
        try:
            async with asyncio.timeout(within):
                shared = await _architecture(links, shares, protocol)
                progress("architecture", {"program_digest": shared.program_digest, **shared.program})
                await _shares(links, shares)
                progress("shares", {})
                return shared
        except TimeoutError as error:
            late = next((link for link in links if link.state != "is done"), links[0])
            raise WorkerUnreachable(late.party, str(late.address), f"{late.state} within {within:g} s") from error


async def _architecture(links: Sequence[WorkerLink], shares: ModelShares, protocol: str) -> Shared:
    document: dict[str, Any] = {
        "protocol": protocol,
        "architecture": shares.architecture.document(),
        "sharing": secrets.token_hex(SHARING_BYTES),
    }
    if shares.inputs is not None:
        document["input_range"] = shares.inputs.document()
    body = Body([json.dumps(document, separators=(",", ":")).encode()])
    answers = await _together([link.put(ARCHITECTURE_PATH, body) for link in links])
    digests = [str(answer.get("program_digest")) for answer in answers]
    if len(set(digests)) != 1:
        raise ProgramsDiffer(digests)
    return Shared(digests[0], {key: value for key, value in answers[0].items() if key != "program_digest"})


async def _shares(links: Sequence[WorkerLink], shares: ModelShares) -> None:
    puts = []
    for link in links:
        header_length, chunks = encode({}, shares.tensors[link.party])
        puts.append(link.put(SHARES_PATH, Body(chunks, header_length)))
    await _together(puts)


async def _together(puts: Sequence[Coroutine[Any, Any, Mapping[str, Any]]]) -> list[Mapping[str, Any]]:
    """All at once; the first failure ends the others."""
    tasks = [asyncio.ensure_future(put) for put in puts]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
