"""Clients that ask, each for digits of its own, and look hard at what they get."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triveni.client import AsyncClient, ClientError, Connection, DeadlineExceeded, QuotaReached, WorkersUnreachable

CLOSE = 1e-3
"""Of a logit of plain Keras: what fixed point costs the example is a tenth of that."""

DEADLINES_S = (1.0, 3.0, 10.0)

MARGIN_S = 2.0
"""After its deadline a request has to be over within that, by the clock of `tick`."""

BEAT_S = 0.05

MOST_ROWS = 3

AGAIN_S = 0.1

EXPECTED = (QuotaReached, WorkersUnreachable, DeadlineExceeded)
"""What a client may be told when workers die; nobody lies here and nobody is a stranger, so nothing else."""


@dataclass(frozen=True)
class Digits:
    """Pictures and what plain Keras answers to them. The pictures are dealt out to the clients."""

    images: NDArray[np.float32]
    logits: NDArray[np.float32]
    clients: int

    def of(self, client: int) -> range:
        """The numbers of a client's own pictures."""
        return range(client, len(self.images), self.clients)

    def nearest(self, answer: NDArray[np.float64]) -> int | None:
        """Which picture an answer belongs to, None if to none."""
        distance = np.abs(self.logits - answer).max(axis=1)
        nearest = int(distance.argmin())
        return nearest if distance[nearest] < CLOSE else None


@dataclass
class Tally:
    """What clients got, in rows; `errors` and `hangs` are requests."""

    answers: int = 0
    wrong: int = 0
    foreign: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    hangs: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    """How long after its deadline a request was over, at most."""
    clock_s: float = 0.0
    """See `tick`."""


async def tick(tally: Tally) -> None:
    """A clock that stands still while this process is kept waiting for a processor: nobody can be in time then."""
    while True:
        began = time.monotonic()
        await asyncio.sleep(BEAT_S)
        passed = time.monotonic() - began
        tally.clock_s += passed if passed < 2 * BEAT_S else 0.0


async def ask_until(
    over: asyncio.Event, connection: Connection, client: int, digits: Digits, chance: random.Random, tally: Tally
) -> None:
    """One client: one request after the other until `over`."""
    async with AsyncClient(connection) as asking:
        while not over.is_set():
            numbers = chance.sample(digits.of(client), chance.randint(1, MOST_ROWS))
            answers = await _ask(asking, digits.images[numbers], chance.choice(DEADLINES_S), tally)
            if answers is None:
                await asyncio.sleep(AGAIN_S)
                continue
            for number, answer in zip(numbers, answers, strict=True):
                tally.answers += 1
                nearest = digits.nearest(answer)
                tally.wrong += nearest != number
                tally.foreign += nearest is not None and nearest % digits.clients != client


async def _ask(
    asking: AsyncClient, images: NDArray[np.float32], deadline_s: float, tally: Tally
) -> NDArray[np.float64] | None:
    """The answers, or None and a note of what came instead."""
    task = asyncio.create_task(asking.predict(images, deadline=deadline_s))
    try:
        late_s = await _until_over(task, deadline_s, tally)
        tally.slowest_s = max(tally.slowest_s, late_s)
        if task.done():
            return task.result()
        others = sorted({_where(other) for other in asyncio.all_tasks() - {task}})
        tally.hangs.append(f"{late_s:.1f} s after the deadline in {_where(task)}, beside " + "; ".join(others))
    except EXPECTED as error:
        tally.errors[type(error).__name__] += 1
    except ClientError as error:
        tally.unexpected.append(f"{type(error).__name__}: {error}")
    finally:
        task.cancel()
        await asyncio.wait([task])
    return None


async def _until_over(task: asyncio.Task[Any], deadline_s: float, tally: Tally) -> float:
    """Wait for the end of a request, not for ever; how long after its deadline it is."""
    began = tally.clock_s
    await asyncio.wait([task], timeout=deadline_s)
    while not task.done() and tally.clock_s - began < deadline_s + MARGIN_S:
        await asyncio.wait([task], timeout=BEAT_S)
    return tally.clock_s - began - deadline_s


def _where(task: asyncio.Task[Any]) -> str:
    """What a task waits for, from the outermost call to the innermost."""
    names = list[str]()
    inner: Any = task.get_coro()
    while (frame := getattr(inner, "cr_frame", None)) is not None:
        names.append(f"{frame.f_code.co_qualname}:{frame.f_lineno}")
        inner = getattr(inner, "cr_await", None)
    return " > ".join([*names, str(inner)[:200]])
