"""Work on a loop of its own that is followed from the notebook's thread."""

from __future__ import annotations

import _thread
import asyncio
import threading

import pytest

from triveni.keras.background import Say, follow


def test_what_work_says_is_shown_by_the_thread_that_waits() -> None:
    shown: list[tuple[str, int]] = []

    async def work(say: Say) -> int:
        assert threading.get_ident() != here
        say("one")
        say("two")
        return 3

    here = threading.get_ident()
    assert follow(work, lambda line: shown.append((line, threading.get_ident()))) == 3
    assert shown == [("one", here), ("two", here)]


def test_an_error_is_raised_where_it_is_waited_for() -> None:
    async def work(say: Say) -> None:
        raise LookupError("lost")

    with pytest.raises(LookupError, match="lost"):
        follow(work, lambda line: None)


async def test_it_works_in_a_thread_whose_own_loop_runs() -> None:
    async def work(say: Say) -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    assert follow(work, lambda line: None) is not asyncio.get_running_loop()


def test_an_interrupt_cancels_and_waits_for_what_is_given_back() -> None:
    given_back = []

    async def work(say: Say) -> None:
        try:
            say("waiting")
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            given_back.append(True)

    with pytest.raises(KeyboardInterrupt):
        follow(work, lambda line: _thread.interrupt_main())
    assert given_back


def test_an_interrupt_can_be_asked_to_end_the_work_in_order() -> None:
    stop = asyncio.Event()

    async def work(say: Say) -> str:
        say("waiting")
        await stop.wait()
        return "in order"

    assert follow(work, lambda line: _thread.interrupt_main(), stop.set) == "in order"
