"""One event loop in a thread of its own, for all that a notebook starts: the kernel's own loop is taken.

What such work has to say is printed by the thread that waits for it, so that it appears below the cell that asked.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Coroutine
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
