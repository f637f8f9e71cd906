"""The hosts of a cluster's workers: where they listen, what a person is told to do there, and whether they answer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

import triveni
from triveni.client.together import together
from triveni.identity.authority import Authority
from triveni.identity.names import PARTIES, Identity
from triveni.keras.background import Say
from triveni.keras.bundle import WAITING, Addresses
from triveni.keras.errors import HostEnded, HostRefused, HostsSilent, InvalidHost, OtherVersion
from triveni.keras.link import version_of
from triveni.keras.worker import PEER_PORTS_ABOVE, TFEWorker, is_here
from triveni.local import ports
from triveni.local.processes import Process
from triveni.sharing.worker_link import Address

FIRST_WAIT_S, LONGEST_WAIT_S = 0.1, 1.0


def addresses_of(workers: Sequence[TFEWorker]) -> Addresses:
    """Where the three workers listen, for clients and for each other; free ports are chosen for those without a host.

    Raises:
        InvalidHost: a worker is not on this machine and should be, or two cannot both listen where they should.
    """
    elsewhere = [w for w in workers if w.address is not None and not is_here(w.address.host)]
    for worker in elsewhere:
        if worker.auto_managed:
            raise InvalidHost(str(worker.host), "it is not this machine; give auto_managed=False to start it there")
        if any(w.address is None for w in workers):
            raise InvalidHost(
                str(worker.host), "it is not this machine, so the other two need a host that it can reach"
            )
    for worker in workers:
        if worker.address is None and not worker.auto_managed:
            raise InvalidHost("None", "a worker that you start yourself needs a host; give HOST:PORT")
    free = ports.choose(None)
    front = [w.address or Address(ports.HOST, free.front[p]) for p, w in enumerate(workers)]
    peer = [
        Address(w.address.host, w.address.port + PEER_PORTS_ABOVE) if w.address else Address(ports.HOST, free.peer[p])
        for p, w in enumerate(workers)
    ]
    for number, address in enumerate([*front, *peer]):
        if address in [*front, *peer][:number]:
            raise InvalidHost(
                str(address), f"two workers would listen there; each uses PORT and PORT + {PEER_PORTS_ABOVE}"
            )
    return Addresses((front[0], front[1], front[2]), (peer[0], peer[1], peer[2]))


def instructions(party: int, address: Address, bundle: Path) -> str:
    """What a person is told to do at a worker's host."""
    if is_here(address.host):
        return f"Please run this in a terminal, for the worker at {address}:\n    triveni worker {bundle}"
    return (
        f"Please copy {bundle} to {address.host} (it holds a key: use scp, and let nobody else read it), "
        f"and run this there, for the worker at {address}:\n    triveni worker {bundle.name}"
    )


async def all_answer(
    authority: Authority, addresses: Addresses, started: Mapping[int, Process], within: float, say: Say
) -> None:
    """Wait until the hosts of all workers answer, and see that they run the same version."""
    me = Identity.sharing_job(authority.namespace, authority.uid, WAITING)
    credentials = authority.issue(me)
    problems = dict.fromkeys(PARTIES, "no answer")

    async def answer(party: int) -> None:
        address, wait = addresses.front[party], FIRST_WAIT_S
        version: str | None = None
        while version is None:
            if party in started and not started[party].running:
                raise HostEnded(f"worker {party} at {address}", started[party].last_words())
            try:
                version = await version_of(party, address, credentials, me)
            except HostRefused as error:
                problems[party] = error.problem
                await asyncio.sleep(wait)
                wait = min(2 * wait, LONGEST_WAIT_S)
        if version != triveni.__version__:
            raise OtherVersion(f"worker {party} at {address}", version, triveni.__version__)
        del problems[party]
        if party not in started:
            say(f"The worker at {address} answers.")

    try:
        async with asyncio.timeout(within):
            await together(answer(party) for party in PARTIES)
    except TimeoutError:
        silent = {f"worker {party} at {addresses.front[party]}": problem for party, problem in problems.items()}
        raise HostsSilent(silent, within) from None
