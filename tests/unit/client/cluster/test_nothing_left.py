"""A loop that ends with the block leaves no socket half open, though the others are too slow to say goodbye.

In a notebook each call has a loop of its own. What is left of a TLS connection then would warn when it is collected,
some calls later.
"""

from __future__ import annotations

import asyncio
import gc
import ssl
import threading
import warnings
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.client.cluster.fake_api import FakeApi, fake_api
from tests.unit.client.cluster.test_entrance import await_owner
from tests.unit.client.three_workers import INPUT_SHAPE, NAME, three_workers
from tests.unit.sharing.test_hand_over import SHARES
from tests.unit.sharing.worker_fronts import NAMESPACE, UID, three_fronts
from triveni.client import AsyncClient
from triveni.client.cluster import Target, reach, reach_to_share
from triveni.identity.authority import Authority
from triveni.identity.names import Identity
from triveni.sharing.hand_over import hand_over
from triveni.sharing.worker_link import Address

READY_S = 30.0


@asynccontextmanager
async def owners(tls: ssl.SSLContext) -> AsyncIterator[FakeApi]:
    authority = Authority.create(NAMESPACE, UID)
    async with three_fronts(authority) as fronts, fake_api(tls=tls) as api:
        await_owner(api, fronts, authority)
        yield api


@asynccontextmanager
async def clients(tls: ssl.SSLContext) -> AsyncIterator[FakeApi]:
    async with three_workers() as workers, fake_api(tls=tls) as api:
        api.namespace = NAMESPACE
        api.serve(workers)
        yield api


async def predict(target: Target, freeze: Callable[[], None]) -> None:
    async with reach(target) as connection, AsyncClient(connection, deadline=20) as client:
        await client.predict(np.zeros(INPUT_SHAPE))
        freeze()


async def share(target: Target, freeze: Callable[[], None]) -> None:
    def progress(step: str, details: object) -> None:
        if step == "shares":
            freeze()

    async with reach_to_share(target) as found:
        addresses = [Address(host, port) for host, port in found.workers]
        await hand_over(SHARES, found.protocol, addresses, found.credentials, found.identity, 20, progress)


@contextmanager
def elsewhere(serving: Callable[[], Any], kubeconfig: Path) -> Iterator[Callable[[], None]]:
    """Serve in a thread with a loop of its own, which outlives that of the test.

    Yields what makes it freeze until the end of the block: from then on it says goodbye to nobody.
    """
    ready, over, ended = threading.Event(), threading.Event(), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        async with serving() as api:
            api.kubeconfig(kubeconfig)
            ready.set()
            await ended.wait()

    def freeze() -> None:
        loops[0].call_soon_threadsafe(over.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    try:
        assert ready.wait(READY_S)
        yield freeze
    finally:
        over.set()
        loops[0].call_soon_threadsafe(ended.set)
        thread.join(READY_S)


@pytest.fixture
def tls(tmp_path: Path) -> ssl.SSLContext:
    """The API server's."""
    Authority.create(NAMESPACE, UID).issue(Identity.worker(NAMESPACE, UID, 1, 0)).write(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
    return context


@pytest.mark.parametrize(("serving", "use"), [(clients, predict), (owners, share)], ids=["client", "owner"])
def test_nothing_is_left_of_a_loop_that_ends_with_the_block(
    serving: Callable[[ssl.SSLContext], Any],
    use: Callable[[Target, Callable[[], None]], Coroutine[Any, Any, None]],
    tls: ssl.SSLContext,
    tmp_path: Path,
) -> None:
    kubeconfig = tmp_path / "config"
    with elsewhere(lambda: serving(tls), kubeconfig) as freeze:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            asyncio.run(use(Target(NAME, NAMESPACE, kubeconfig=kubeconfig), freeze))
            gc.collect()
        assert [str(one.message) for one in told if one.category is ResourceWarning] == []
