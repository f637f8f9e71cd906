"""Three workers on Kubernetes: a SecureModel that the notebook applies, and whose shares it hands over itself.

The operator starts the workers, charges the quota and tears down; the plain model stays in the notebook. An epoch that
follows, since a worker was lost, is shared again for as long as `serve` goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from triveni.client import ClientError, Connection, QuotaReached
from triveni.client.cluster import Target, apply_model, delete_model, end_epoch, reach, reach_to_share
from triveni.client.cluster.access import Access
from triveni.client.cluster.api import MODELS, OWNER_RIGHTS, Api
from triveni.client.cluster.errors import (
    EpochOver,
    NoCredentials,
    NoSuchModel,
    NotProvisioned,
    NotReadyInTime,
    SharedAlready,
)
from triveni.identity.names import PARTIES
from triveni.keras.background import Say, call, follow, hold
from triveni.keras.errors import Occupied, ServingFailed
from triveni.keras.offer import Offer
from triveni.keras.serving import serves
from triveni.keras.standing import Standing, Step, next_step, quota_for, spec_of, standing_of
from triveni.keras.turn import Turn
from triveni.sharing.failures import SharingFailure
from triveni.sharing.hand_over import hand_over
from triveni.sharing.worker_link import Address

LOOK_S = 1.0
"""How often the SecureModel is looked at."""

READY_S = 600.0
"""How long workers may take to be scheduled and started, and an image to be pulled."""

SHARE_S = 300.0

END_S = 120.0

MAX_FAILURES = 3
"""Times in a row that sharing may fail before it is given up."""

AGAIN = (SharedAlready, EpochOver, NotReadyInTime, SharingFailure)
"""What the next epoch may not meet."""


class KubernetesCluster:
    """Three workers on a Kubernetes cluster, as `TFECluster.kubernetes` makes it."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._serving = Turn()

    @property
    def workers(self) -> list[str]:
        """What stands for the three workers, which are pods of each epoch's own."""
        return [f"worker {party} of SecureModel {self._target.name}" for party in PARTIES]

    def start(self) -> None:
        """See that there is a cluster to talk to; its workers are started when a model is served.

        Raises:
            triveni.client.cluster.errors.KubeconfigUnusable: there is none that can be used.
        """
        call(Access.of(self._target))

    def stop(self) -> None:
        """Delete the SecureModel, and with it all that belongs to it. Again is harmless.

        Raises:
            triveni.client.ClientError: the API server cannot be reached, or does not allow it.
        """
        self.stop_serving()
        call(delete_model(self._target))

    def require_free(self, doing: str) -> None:
        """Occupied while a model is served."""
        if self._serving.taken:
            raise Occupied(doing)

    def serve(self, offer: Offer, protocol: str, num_requests: int | None) -> None:
        """What `model.serve` does on this cluster.

        Raises:
            ServingFailed: sharing failed several times in a row, or the SecureModel was deleted.
            triveni.client.ClientError: the cluster cannot be reached, or waiting does not help.
        """
        with self._serving.take("serve") as stop:

            def serving(say: Say) -> Coroutine[Any, Any, None]:
                return Serving(self._target, offer, protocol, say).run(num_requests, stop)

            follow(serving, print, interrupted=stop.set)

    def stop_serving(self) -> None:
        """End what another thread serves, and wait for that."""
        self._serving.end()

    @contextmanager
    def reach(self, within: float) -> Iterator[Connection]:
        """A connection by way of the API server; the SecureModel is waited for.

        Raises:
            triveni.client.ClientError: there is none within some seconds.
        """
        with contextlib.ExitStack() as stack:
            yield self._reached(stack, time.monotonic() + within)

    def _reached(self, stack: contextlib.ExitStack, deadline: float) -> Connection:
        while True:
            try:
                return stack.enter_context(hold(reach(self._target)))
            except (NoCredentials, NotProvisioned, NoSuchModel):
                if time.monotonic() > deadline:
                    raise
            time.sleep(LOOK_S)


class Serving:
    """One `serve` on Kubernetes; `run` it once."""

    def __init__(self, target: Target, offer: Offer, protocol: str, say: Say) -> None:
        self._target, self._offer, self._protocol, self._say = target, offer, protocol, say
        self._shared = self._failures = self._told = 0
        self._sharing: asyncio.Task[int] | None = None
        self._why = ""

    async def run(self, num_requests: int | None, stop: asyncio.Event) -> None:
        """Apply the SecureModel, share it in each epoch, and tell what is answered, to the limit or to `stop`."""
        async with Api(await Access.of(self._target), self._target.name, OWNER_RIGHTS) as api:
            before = await self._look(api)
            charged = before.charged if before else 0
            quota, answer_bits = quota_for(charged, num_requests), self._offer.model.architecture.answer_bits
            await apply_model(self._target, spec_of(self._protocol, quota, answer_bits))
            stopping = asyncio.create_task(stop.wait())
            try:
                await self._follow(api, num_requests, before.served if before else 0, stopping)
            finally:
                stopping.cancel()
                if self._sharing is not None:
                    self._sharing.cancel()
                    await asyncio.gather(self._sharing, return_exceptions=True)
            if stop.is_set():
                await api.merge(MODELS, self._target.name, {"spec": {"suspend": True}})
                self._say("Serving stopped: the workers are told to erase their shares.")

    async def _follow(self, api: Api, num_requests: int | None, served: int, stopping: asyncio.Task[Any]) -> None:
        while not stopping.done():
            now = await self._look(api)
            if now is None:
                raise ServingFailed(f"SecureModel {self._target.name} was deleted", self._told)
            self._tell(now, served)
            step = next_step(now, self._shared, sharing=self._sharing is not None)
            if step is Step.DONE:
                self._say("Request limit reached: the workers have erased their shares.")
                return
            if step is Step.SHARE:
                self._sharing = asyncio.create_task(self._share())
            waiting: set[asyncio.Task[Any]] = {stopping, *([self._sharing] if self._sharing else [])}
            await asyncio.wait(waiting, timeout=LOOK_S, return_when=asyncio.FIRST_COMPLETED)
            if self._sharing is not None and self._sharing.done():
                sharing, self._sharing = self._sharing, None
                await self._after(sharing, num_requests)

    async def _share(self) -> int:
        """Split the weights anew and hand them over to the workers of the newest epoch; its number."""
        shares = await asyncio.to_thread(self._offer.split, self._protocol)
        async with reach_to_share(self._target, within=READY_S) as entrance:
            addresses = [Address(host, port) for host, port in entrance.workers]
            await hand_over(
                shares, entrance.protocol, addresses, entrance.credentials, entrance.identity, SHARE_S, _no_progress
            )
            return entrance.epoch

    async def _after(self, sharing: asyncio.Task[int], num_requests: int | None) -> None:
        """Sharing is over: tell so, or make way for another epoch if that may help.

        Raises:
            ServingFailed: it failed too often.
            ClientError: another try does not help.
        """
        try:
            self._shared = sharing.result()
        except QuotaReached:
            return  # the status says so as well
        except AGAIN as error:
            self._failures += 1
            if self._failures >= MAX_FAILURES:
                raise ServingFailed(str(error), self._told) from error
            self._say(f"{error}. Sharing again.")
            if not isinstance(error, NotReadyInTime):
                await end_epoch(self._target, within=END_S)
        else:
            self._failures = 0
            self._say(serves(num_requests if num_requests is None else num_requests - self._told))

    def _tell(self, now: Standing, before: int) -> None:
        while self._told < now.served - before:
            self._told += 1
            self._say(f"Served encrypted prediction {self._told} to client.")
        if now.why and now.why != self._why and now.phase != "Serving" and not now.finished:
            self._say(now.why)
        self._why = now.why

    async def _look(self, api: Api) -> Standing | None:
        """How far the SecureModel is; None if there is none. A moment without the API server is waited out."""
        for attempt in range(MAX_FAILURES):
            try:
                model = await api.get(MODELS, self._target.name)
                return standing_of(model) if model is not None else None
            except ClientError:
                if attempt == MAX_FAILURES - 1:
                    raise
            await asyncio.sleep(LOOK_S)
        raise AssertionError


def _no_progress(_step: str, _details: object) -> None:
    """The SecureModel's conditions tell how far it is."""
