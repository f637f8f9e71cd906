"""One epoch on the three hosts of a cluster, from its certificates to its final reports.

As `triveni.local.epoch` does with processes of its own; here the workers are wherever their hosts are, and the notebook
itself hands the shares over. It decides nothing about the quota and nothing about what comes next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from triveni.controller.quota import PARTIES, Grant
from triveni.identity.authority import Authority
from triveni.identity.credentials import Credentials
from triveni.identity.names import Identity
from triveni.keras.bundle import Addresses
from triveni.keras.errors import HostRefused
from triveni.keras.link import Ending, HostLink, host_link
from triveni.keras.offer import Offer
from triveni.keras.order import Order
from triveni.local.ending import Cause, Ended, why
from triveni.local.epoch import END_SECONDS, SHARE_SECONDS, EpochEnd
from triveni.local.reports import SharingFailure
from triveni.local.watch import Watch
from triveni.sharing import failures
from triveni.sharing.hand_over import hand_over

Sharing = asyncio.Task[failures.SharingFailure | None]

STOP_SECONDS = 10.0
"""How long a host may take to end its worker and report, once it is asked to."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What stays the same over all epochs of a cluster. The certificate of `watcher` is a client's."""

    authority: Authority
    addresses: Addresses
    watcher: Credentials


@dataclass(frozen=True, slots=True)
class Told:
    """Who is told while an epoch lasts: that clients can ask now, and how many requests of it are answered."""

    serving: Callable[[], None]
    served: Callable[[int], None]


class Epoch:
    """One epoch, run once with `run`."""

    def __init__(self, setting: Setting, grant: Grant, offer: Offer, protocol: str, told: Told) -> None:
        self._setting, self._grant, self._offer, self._protocol = setting, grant, offer, protocol
        self._told = told
        self._shared = self._serving = False
        self._served = 0

    async def run(self, stop: asyncio.Event) -> EpochEnd:
        """Start the workers, share, serve until the epoch ends or `stop` is set, gather the reports."""
        authority = self._setting.authority
        me = Identity.sharing_job(authority.namespace, authority.uid, self._grant.epoch)
        credentials = authority.issue(me)
        try:
            async with AsyncExitStack() as stack:
                links = [
                    await stack.enter_async_context(host_link(party, address, credentials, me))
                    for party, address in enumerate(self._setting.addresses.front)
                ]
                await asyncio.gather(*(link.start(self._order(link.party)) for link in links))
                fronts = [str(address) for address in self._setting.addresses.front]
                watch = await stack.enter_async_context(Watch(self._grant.epoch, fronts, self._setting.watcher))
                sharing = asyncio.create_task(self._share(credentials, me))
                stack.callback(sharing.cancel)
                await self._serve(links, sharing, watch, stop)
                return await self._end(links, sharing, watch, stop.is_set())
        except HostRefused as error:
            return EpochEnd(Cause.WORKER_LOST, str(error), (None,) * PARTIES, 0, self._shared, False, (None,) * PARTIES)

    def _order(self, party: int) -> Order:
        authority, epoch = self._setting.authority, self._grant.epoch
        identity = Identity.worker(authority.namespace, authority.uid, epoch, party)
        return Order(epoch, self._grant.rows, self._protocol, authority.issue(identity))

    async def _share(self, credentials: Credentials, me: Identity) -> failures.SharingFailure | None:
        """Split the weights anew and hand them over; None if the workers have them."""
        try:
            shares = await asyncio.to_thread(self._offer.split, self._protocol)
            fronts = self._setting.addresses.front
            await hand_over(shares, self._protocol, fronts, credentials, me, SHARE_SECONDS, self._step_done)
        except failures.SharingFailure as error:
            return error
        return None

    def _step_done(self, step: str, _details: object) -> None:
        """Once the workers have taken the architecture, shares are handed over; not before."""
        self._shared = self._shared or step == "architecture"
        if step == "shares":
            self._serves()

    def _serves(self) -> None:
        if not self._serving:
            self._serving = True
            self._told.serving()

    async def _serve(self, links: Sequence[HostLink], sharing: Sharing, watch: Watch, stop: asyncio.Event) -> None:
        """Tell what happens until a worker ends, sharing fails, the quota is reached or `stop` is set."""
        over = [link.ended for link in links if link.ended is not None]
        stopping = asyncio.create_task(stop.wait())
        rows = self._grant.rows
        while not (
            stop.is_set()
            or any(task.done() for task in over)
            or (sharing.done() and sharing.result() is not None)
            or (rows is not None and watch.answered_by_all() >= rows)
        ):
            self._count(watch.answered_by_all())
            watch.news.clear()
            news = asyncio.create_task(watch.news.wait())
            waiting: list[asyncio.Task[Any]] = [news, stopping, *over, *([] if sharing.done() else [sharing])]
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            news.cancel()
        stopping.cancel()
        self._count(watch.answered_by_all())

    def _count(self, answered: int) -> None:
        if answered > self._served:
            self._serves()
            self._served = answered
            self._told.served(answered)

    async def _end(
        self,
        links: Sequence[HostLink],
        sharing: asyncio.Task[failures.SharingFailure | None],
        watch: Watch,
        stopped: bool,
    ) -> EpochEnd:
        """Let the workers end by themselves where they will, then end what is left, and read their reports."""
        ended = [link.ended for link in links if link.ended is not None]
        first = [task.done() for task in ended]
        rows = self._grant.rows
        at_quota = rows is not None and any(watch.answered(party) >= rows for party in range(PARTIES))
        if at_quota or (self._serving and not stopped):
            await asyncio.wait(ended, timeout=END_SECONDS)
        await asyncio.gather(*(link.stop() for link, task in zip(links, ended, strict=True) if not task.done()))
        await asyncio.wait(ended, timeout=STOP_SECONDS)
        endings = [task.result() if task.done() else Ending(None, None, "no report in time") for task in ended]
        failure = sharing.result() if sharing.done() else None
        workers = [
            Ended(party, ending.code, ending.report, first[party], ending.words) for party, ending in enumerate(endings)
        ]
        cause, detail = why(
            workers,
            stopped=stopped,
            sharing_code=1 if failure else None,
            failure=SharingFailure(failure.reason, str(failure), failure.permanent) if failure else None,
            words="",
        )
        reports = tuple(ending.report for ending in endings)
        released = [report.counts.answered for report in reports if report]
        self._count(min(released, default=0))
        return EpochEnd(cause, detail, reports, self._served, self._shared, self._serving, tuple(watch.status))
