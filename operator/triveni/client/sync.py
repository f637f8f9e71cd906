"""The synchronous client: the asynchronous one on an event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from triveni.client.connection import Connection
from triveni.client.description import Description
from triveni.client.predict import DEADLINE_S, AsyncClient

T = TypeVar("T")


class Client:
    """Predictions by three workers, none of which learns the input or the answer.

    It may be used from several threads at the same time. Use it as a context manager, or close it.

    Args:
        connection: where the workers are, and the client's credentials.
        deadline: seconds that a prediction may take unless it says otherwise, waiting for workers included.
    """

    def __init__(self, connection: Connection, *, deadline: float = DEADLINE_S) -> None:
        self._async = AsyncClient(connection, deadline=deadline)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="triveni-client", daemon=True)
        self._thread.start()

    def __repr__(self) -> str:
        return repr(self._async).replace("Async", "")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Drop the connections and end the thread; calls that still wait are cancelled. For good."""
        if self._loop.is_closed():
            return
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._async.close()

    def describe(self, *, deadline: float | None = None) -> Description:
        """See `AsyncClient.describe`."""
        return self._run(self._async.describe(deadline=deadline))

    def predict(self, x: ArrayLike, *, deadline: float | None = None) -> NDArray[np.float64]:
        """See `AsyncClient.predict`: `x` of shape (rows, *input_shape) or input_shape to logits, float64."""
        return self._run(self._async.predict(x, deadline=deadline))

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait for `work` on the loop; an interrupt here (Ctrl-C) cancels it there. Its own deadline ends it."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise
