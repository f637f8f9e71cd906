"""The API server as far as Leases go, with a network in between that can be slow, lose answers or be gone."""

import asyncio
import copy
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.unit.controller.virtual_time import elapsed
from triveni.controller.cluster import ClusterError, Conflict, Kind, NotFound, Object, Unavailable

DELAY = 0.01


def error(kind: type[ClusterError], status: int) -> ClusterError:
    return kind("test", status, kind.__name__, "")


@dataclass
class Server:
    """Holds at most one Lease; every write of it gets a new version."""

    lease: Object | None = None
    versions: int = 0
    history: list[Object] = field(default_factory=list)

    def get(self) -> Object:
        if self.lease is None:
            raise error(NotFound, 404)
        return copy.deepcopy(self.lease)

    def create(self, document: Object) -> Object:
        if self.lease is not None:
            raise error(Conflict, 409)
        return self._write(copy.deepcopy(document))

    def merge(self, patch: Object) -> Object:
        changed = self.get()
        if changed["metadata"]["resourceVersion"] != patch["metadata"]["resourceVersion"]:
            raise error(Conflict, 409)
        for key, value in patch["spec"].items():
            changed["spec"].pop(key, None)
            if value is not None:
                changed["spec"][key] = value
        return self._write(changed)

    def _write(self, document: Object) -> Object:
        self.versions += 1
        document["metadata"]["resourceVersion"] = str(self.versions)
        self.lease = document
        self.history.append(copy.deepcopy(document["spec"]))
        return copy.deepcopy(document)

    @property
    def holder(self) -> str | None:
        return None if self.lease is None else self.lease["spec"].get("holderIdentity")


@dataclass
class Network:
    """One candidate's way to the server.

    Attributes:
        delays: how long the next request and its answer take.
        down: the seconds between which nothing gets through; what was sent hangs until the network is back, then fails.
        deaf: the seconds between which requests arrive, and answers are lost.
        refused: what the server answers instead, while it is set.
    """

    server: Server
    delays: Callable[[], tuple[float, float]] = lambda: (DELAY, DELAY)
    down: tuple[tuple[float, float], ...] = ()
    deaf: tuple[tuple[float, float], ...] = ()
    refused: ClusterError | None = None
    calls: int = 0

    async def get(self, kind: Kind, name: str, namespace: str) -> Object:
        return await self._call(self.server.get)

    async def create(self, document: Object) -> Object:
        return await self._call(lambda: self.server.create(document))

    async def merge(self, kind: Kind, namespace: str, name: str, patch: Object) -> Object:
        return await self._call(lambda: self.server.merge(patch))

    async def _call(self, act: Callable[[], Object]) -> Object:
        self.calls += 1
        there, back = self.delays()
        await asyncio.sleep(there)
        await self._blocked(self.down)
        if self.refused is not None:
            raise self.refused
        answer = act()
        await self._blocked(self.deaf)
        await asyncio.sleep(back)
        return answer

    async def _blocked(self, spans: tuple[tuple[float, float], ...]) -> None:
        for begin, end in spans:
            if begin <= elapsed() < end:
                await asyncio.sleep(end - elapsed())
                raise error(Unavailable, 0)


def uneven(seed: int, most: float) -> Callable[[], tuple[float, float]]:
    """Delays of a bad network, the same for the same seed."""
    source = random.Random(seed)
    return lambda: (source.uniform(0, most), source.uniform(0, most))
