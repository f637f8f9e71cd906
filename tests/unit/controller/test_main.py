"""How the process of the operator ends, and what it says of that."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from triveni.controller.__main__ import report


@contextlib.asynccontextmanager
async def nested() -> AsyncIterator[None]:
    waiting = asyncio.create_task(asyncio.Event().wait())
    try:
        yield
    finally:
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await waiting


async def watch() -> AsyncIterator[int]:
    """As kopf watches: a generator that holds another one open."""
    async with nested():
        while True:
            yield 1


def test_watches_that_are_still_open_when_it_ends_are_no_news(caplog: pytest.LogCaptureFixture) -> None:
    left_open: list[AsyncIterator[int]] = []

    async def end_while_watching() -> None:
        asyncio.get_running_loop().set_exception_handler(report)
        for _ in range(5):
            left_open.append(watch())
            await anext(left_open[-1])

    asyncio.run(end_while_watching())
    assert len(left_open) == 5
    assert caplog.records == []


def test_any_other_error_that_nobody_waits_for_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def fail_unheard() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(report)
        loop.call_soon(lambda: 1 // 0)
        await asyncio.sleep(0)

    asyncio.run(fail_unheard())
    (record,) = caplog.records
    assert record.exc_info
    assert record.exc_info[0] is ZeroDivisionError
