"""A client that asks for one prediction after the other while something else happens."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from triveni.cli.images import read_images
from triveni.client import AsyncClient
from triveni.client.cluster import Target, reach


class SteadyClient:
    """Asks for the prediction of one image until it is stopped."""

    def __init__(self, target: Target, image: Path) -> None:
        self._target, self._image = target, image
        self._answers: list[NDArray[np.float64]] = []
        self._stopped = threading.Event()
        self._failure: BaseException | None = None

    @property
    def answers(self) -> list[NDArray[np.float64]]:
        """All answers until now, in order; the failure, if a request has failed."""
        if self._failure is not None:
            raise self._failure
        return list(self._answers)

    def ask(self) -> None:
        """Ask until it is stopped, or until a request fails."""
        try:
            asyncio.run(self._ask())
        except BaseException as error:  # noqa: BLE001 (told to the thread that looks at the answers)
            self._failure = error

    def stop(self) -> None:
        """Ask no more."""
        self._stopped.set()

    async def _ask(self) -> None:
        async with reach(self._target) as connection, AsyncClient(connection) as client:
            (row,) = read_images([self._image], (await client.describe()).input_shape)
            while not self._stopped.is_set():
                self._answers.append((await client.predict(row.values)).ravel())


@contextmanager
def steady_client(target: Target, image: Path) -> Iterator[SteadyClient]:
    """A client that asks beside the block. None of its requests may fail."""
    client = SteadyClient(target, image)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(client.ask)
        try:
            yield client
        finally:
            client.stop()
    assert client.answers
