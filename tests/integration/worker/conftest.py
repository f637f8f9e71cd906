"""Epochs of real worker processes."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.integration.worker.epoch import Epoch
from triveni.mpc.sharing import HELD

MakeEpoch = Callable[..., Any]


@pytest.fixture
async def make_epoch(tmp_path: Path, programs: Path) -> AsyncIterator[MakeEpoch]:
    """Makes an epoch that is not started; whatever is started of it has ended after the test."""
    async with AsyncExitStack() as stack:

        async def make(grant: int | None = None, **config: Any) -> Epoch:
            return await stack.enter_async_context(Epoch(tmp_path, programs, grant, **config))

        yield make


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=list(HELD))
async def shared(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, programs: Path
) -> AsyncIterator[Epoch]:
    """One epoch for each protocol that serves all tests of a module which do not end it."""
    directory = tmp_path_factory.mktemp("shared")
    async with Epoch(directory, programs, protocol=request.param, request_timeout_s=2.0) as epoch:
        await epoch.serve()
        yield epoch


@pytest.fixture
async def serve(make_epoch: MakeEpoch) -> MakeEpoch:
    """Makes an epoch that serves."""

    async def make(grant: int | None = None, **config: Any) -> Epoch:
        epoch = await make_epoch(grant, **config)
        await epoch.serve()
        return epoch

    return make
