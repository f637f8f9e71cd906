"""Follows a log file while a process writes it, for --verbose."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

INTERVAL = 0.1


@asynccontextmanager
async def follow(path: Path, line: Callable[[str], None]) -> AsyncIterator[None]:
    """Hand each line of `path` to `line` as it is written, to the last one there is when the context ends."""
    reading = asyncio.create_task(_read(path, line))
    try:
        yield
        await asyncio.sleep(INTERVAL)
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


async def _read(path: Path, line: Callable[[str], None]) -> None:
    rest = ""
    with path.open(errors="replace") as file:
        while True:
            *lines, rest = (rest + file.read()).split("\n")
            for text in lines:
                line(text)
            await asyncio.sleep(INTERVAL)
