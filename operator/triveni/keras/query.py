"""A client's questions to a served model: shapes that are named first and checked, answers in their order."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from triveni.client import Client, Connection
from triveni.keras.errors import NothingAsked, WrongShape

DEADLINE_S = 60.0

AT_ONCE = 16
"""Questions on their way at the same time; the next ones wait their turn."""

Shape = tuple[int | None, ...]
Answer = NDArray[np.float64]


class Query:
    """A connected client."""

    def __init__(self, client: Client, input_shape: Shape, resources: ExitStack) -> None:
        self._client, self._input_shape, self._resources = client, input_shape, resources
        self._threads = resources.enter_context(ThreadPoolExecutor(AT_ONCE, thread_name_prefix="triveni-query"))
        self._later: deque[Future[Answer]] = deque()

    @classmethod
    def connect(
        cls, input_shape: Shape, output_shape: Shape, reach: AbstractContextManager[Connection], timeout: float
    ) -> Self:
        """Find the workers, and check that they serve a model of these shapes; see `TFEWorker.connect_to_model`."""
        with ExitStack() as stack:
            client = stack.enter_context(Client(stack.enter_context(reach), deadline=timeout))
            description = client.describe()
            require_shape("input_shape", input_shape, (None, *description.input_shape))
            require_shape("output_shape", output_shape, (None, *description.output_shape))
            return cls(client, input_shape, stack.pop_all())

    def ask(self, x: ArrayLike) -> Future[Answer]:
        """Ask now; WrongShape if `x` is not of the input shape."""
        array = np.asarray(x)
        require_shape("data", array.shape, self._input_shape)
        return self._threads.submit(self._client.predict, array)

    def ask_later(self, x: ArrayLike) -> Future[Answer]:
        """Ask now, to be joined."""
        self._later.append(self.ask(x))
        return self._later[-1]

    def join(self) -> Answer:
        """The answer of the oldest that was not joined; NothingAsked if there is none."""
        if not self._later:
            raise NothingAsked
        return self._later.popleft().result()

    def close(self) -> None:
        """Drop the connections; questions on their way are cancelled."""
        self._resources.close()


def require_shape(what: str, got: Shape, expected: Shape) -> None:
    """WrongShape unless the two are the same, where None on either side, as the first number, is any number of rows."""
    rows = None in (got[:1] + expected[:1]) or got[:1] == expected[:1]
    if len(got) != len(expected) or got[1:] != expected[1:] or not rows:
        raise WrongShape(what, got, expected)
