"""One event loop in a thread of its own, for all that a notebook starts: the kernel's own loop is taken.

What such work has to say is printed by the thread that waits for it, so that it appears below the cell that asked.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, contextmanager
from functools import cache
from typing import Any, TypeVar

T = TypeVar("T")

Say = Callable[[str], None]

END_S = 30.0
"""How long work may take to end once it is cancelled."""


@cache
def loop() -> asyncio.AbstractEventLoop:
    """The loop, started on first use; its thread ends with the process."""
    new = asyncio.new_event_loop()
    threading.Thread(target=new.run_forever, name="triveni-notebook", daemon=True).start()
    return new


def follow(
    work: Callable[[Say], Coroutine[Any, Any, T]], show: Say, interrupted: Callable[[], None] | None = None
) -> T:
    """Run `work` on the loop and show what it says, until it ends; what it returns or raises.

    `interrupted` is called in the loop at Ctrl-C (a kernel's interrupt), after which `work` should end by itself.
    Without it, and at the second Ctrl-C, `work` is cancelled and KeyboardInterrupt goes on.
    """
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    tasks: list[asyncio.Task[T]] = []

    async def run() -> asyncio.Task[T]:
        tasks.append(asyncio.ensure_future(work(lines.put)))
        await asyncio.wait(tasks)
        return tasks[0]

    running = asyncio.run_coroutine_threadsafe(run(), loop())
    running.add_done_callback(lambda _: lines.put(None))
    while True:
        try:
            line = lines.get()
            if line is None:
                return running.result().result()
            show(line)
        except KeyboardInterrupt:
            if interrupted is None:
                loop().call_soon_threadsafe(lambda: [task.cancel() for task in tasks])
                running.result(END_S)  # what the work holds is given back before anybody goes on
                raise
            loop().call_soon_threadsafe(interrupted)
            interrupted = None


def call(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` on the loop; what it returns or raises."""
    return asyncio.run_coroutine_threadsafe(work, loop()).result()


@contextmanager
def hold(manager: AbstractAsyncContextManager[T]) -> Iterator[T]:
    """An asynchronous context, entered and left on the loop by one task, around a block of this thread."""
    entered: Future[T] = Future()
    leave = asyncio.Event()

    async def live() -> None:
        try:
            async with manager as value:
                entered.set_result(value)
                await leave.wait()
        except BaseException as error:
            if entered.done():
                raise
            entered.set_exception(error)

    living = asyncio.run_coroutine_threadsafe(live(), loop())
    value = entered.result()
    try:
        yield value
    finally:
        loop().call_soon_threadsafe(leave.set)
        living.result()
