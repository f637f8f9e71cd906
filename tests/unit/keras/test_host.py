"""A worker's host that waits: who may order an epoch, and what the others are told."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import aiohttp
import pytest

from triveni.identity.authority import Authority
from triveni.identity.names import Identity
from triveni.identity.tls import client_context
from triveni.keras.bundle import Addresses, Bundle
from triveni.keras.host import Host
from triveni.keras.order import PATH
from triveni.sharing.worker_link import Address

OWNER = Identity.sharing_job("notebook", "uid", 3)


@dataclass
class Waiting:
    """A host that waits, and who asks it."""

    authority: Authority
    address: Address
    said: list[str] = field(default_factory=list)

    async def told(self, identity: Identity, path: str = PATH) -> tuple[int, Any]:
        issuer = replace(self.authority, namespace=identity.namespace, uid=identity.uid)
        context = client_context(issuer.issue(identity))
        async with aiohttp.request("GET", f"https://{self.address}{path}", ssl=context) as response:
            return response.status, await response.json()


@pytest.fixture
async def waiting(tmp_path: Path) -> AsyncIterator[Waiting]:
    authority = Authority.create("notebook", "uid")
    with socket.create_server(("127.0.0.1", 0)) as free:
        here = Address("127.0.0.1", free.getsockname()[1])
    bundle = Bundle.issue(authority, Addresses((here,) * 3, (here,) * 3), 0)
    one = Waiting(authority, here)
    host = Host(bundle, None, tmp_path, tmp_path, cast(Any, SimpleNamespace()), one.said.append)
    stop = asyncio.Event()
    running = asyncio.create_task(host.run(stop))
    async with asyncio.timeout(10):
        while not one.said:  # noqa: ASYNC110 (it says so itself)
            await asyncio.sleep(0.01)
    yield one
    stop.set()
    await running


async def test_the_owner_is_told_who_is_there(waiting: Waiting) -> None:
    status, document = await waiting.told(OWNER)
    assert (status, document["party"]) == (200, 0)
    assert len(waiting.said) == 1


@pytest.mark.parametrize(
    "who",
    [
        Identity.of_client("notebook", "uid", "eve"),
        Identity.worker("notebook", "uid", 3, 1),
        Identity.sharing_job("notebook", "other", 3),
        Identity.sharing_job("other", "uid", 3),
    ],
    ids=str,
)
async def test_anybody_else_is_refused_and_named_once(waiting: Waiting, who: Identity) -> None:
    for _ in range(2):
        assert (await waiting.told(who))[0] == 403
    assert waiting.said[1:] == [f"Refused {who}: only the owner of the cluster may order an epoch"]


async def test_a_client_that_comes_early_is_told_that_nothing_is_served(waiting: Waiting) -> None:
    status, document = await waiting.told(Identity.of_client("notebook", "uid", "bob"), "/v2/models/model")
    assert (status, document["reason"]) == (503, "NotReady")
    assert len(waiting.said) == 1
