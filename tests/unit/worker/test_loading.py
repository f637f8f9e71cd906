"""Blocking work beside the event loop."""

import asyncio
import threading

import pytest

from triveni.worker import loading as module


async def test_work_that_nobody_waits_for_any_more_ends_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that ends while it compiles: the compiler's end comes later, or never."""
    may_end, problems = threading.Event(), list[threading.ExceptHookArgs]()
    monkeypatch.setattr(threading, "excepthook", problems.append)
    before = set(threading.enumerate())
    waiting = asyncio.create_task(module._in_thread(may_end.wait))
    await asyncio.sleep(0)
    (thread,) = set(threading.enumerate()) - before
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    may_end.set()
    thread.join(10)
    assert not thread.is_alive()
    assert problems == []
