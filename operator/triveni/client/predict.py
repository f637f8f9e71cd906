"""The asynchronous client: from real numbers to real numbers, by way of shares.

It finds the workers once an epoch, and again when an epoch seems over. Shares are made for one epoch and never sent to
another. If the same epoch is found again, what was sent before is sent again unchanged, so nothing is charged twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from triveni.client import inputs
from triveni.client.connection import Connection
from triveni.client.deadline import Deadline
from triveni.client.description import Description
from triveni.client.discover import discover
from triveni.client.epoch import Epoch, EpochOver
from triveni.client.errors import DeadlineExceeded, ModelChanged, WorkersUnreachable
from triveni.client.request import Request, new_request
from triveni.client.together import together
from triveni.client.transport import CONNECTIONS
from triveni.mpc.answer import finished

DEADLINE_S = 60.0

ATTEMPTS = 30
"""How often a request is asked anew, each time after the workers were found serving."""

FIRST_WAIT_S, LONGEST_WAIT_S = 0.05, 2.0


class AsyncClient:
    """Predictions by three workers, none of which learns the input or the answer.

    Any number of predictions may run at the same time. Use it as an asynchronous context manager, in one event loop.

    Args:
        connection: where the workers are, and the client's credentials.
        deadline: seconds that a prediction may take unless it says otherwise, waiting for workers included.
    """

    def __init__(self, connection: Connection, *, deadline: float = DEADLINE_S) -> None:
        self._connection = connection
        self._deadline = deadline
        self._epoch: Epoch | None = None
        self._finding = asyncio.Lock()
        # All three workers get a request at about the same time: none waits in line for a connection to one of them.
        self._in_flight = asyncio.Semaphore(CONNECTIONS)

    def __repr__(self) -> str:
        return f"<AsyncClient of {self._connection.namespace}/{self._connection.name}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Drop the connections; the client can be used again and connects anew."""
        if self._epoch is not None:
            await self._retire(self._epoch)

    async def describe(self, *, deadline: float | None = None) -> Description:
        """What the workers serve; raises as `predict` when they cannot be found."""
        return (await self._find(Deadline(self._deadline if deadline is None else deadline))).description

    async def predict(self, x: ArrayLike, *, deadline: float | None = None) -> NDArray[np.float64]:
        """The model's answers for `x`, float64. A softmax, sigmoid or tanh at its very end is computed here.

        Args:
            x: real numbers of shape (rows, *input_shape), or input_shape for one row; at most 2^10 in magnitude and
                rounded to multiples of 2^-20 (SecureNN: 2^7 and 2^-16), and within the range that the model's owner
                declares (`describe().input_range`). Each row counts one against the request quota.
            deadline: seconds for this call.

        Returns:
            shape (rows, *output_shape), or output_shape for one row.

        Raises:
            WrongInput: `x` cannot be predicted; nothing was sent.
            QuotaReached: the request quota is reached.
            RequestRefused: a worker refused for another reason.
            WorkersUnreachable: no epoch was found serving in time.
            DeadlineExceeded: workers took the request and did not answer in time.
            WrongWorker, WorkersDisagree, WrongAnswer: a worker is not what it should be.
            ModelChanged: a new epoch serves a model of another shape; predict again.
            AnswersDisagree: a worker computed wrongly.
        """
        until = Deadline(self._deadline if deadline is None else deadline)
        description = (await self._find(until)).description
        words, single = inputs.encode(x, description.input_shape, description.numbers, description.input_range)
        chunks = list(_chunks(words, description.max_rows))
        if len(chunks) == 1:
            answers = await self._answer(chunks[0], description, until)
        else:
            answers = np.concatenate(await together(self._answer(chunk, description, until) for chunk in chunks))
        values = finished(description.answer_numbers.decode(answers), description.last_layer)
        return values[0] if single else values

    async def _answer(self, words: NDArray[np.int64], asked: Description, until: Deadline) -> NDArray[np.int64]:
        """The answer for the rows of one request, from whichever epoch is there."""
        async with until.or_raise(DeadlineExceeded(until.seconds)):
            await self._in_flight.acquire()
        try:
            return await self._ask(words, asked, until)
        finally:
            self._in_flight.release()

    async def _ask(self, words: NDArray[np.int64], asked: Description, until: Deadline) -> NDArray[np.int64]:
        request: Request | None = None
        wait, unreachable = FIRST_WAIT_S, WorkersUnreachable({}, until.seconds)
        for _ in range(ATTEMPTS):
            epoch = await self._find(until)
            _require_same_model(asked, epoch.description, len(words))
            if request is None or request.epoch != epoch.description.epoch:
                request = new_request(words, epoch.description)
            try:
                async with until.or_raise(DeadlineExceeded(until.seconds)):
                    return await epoch.ask(request)
            except EpochOver as over:
                unreachable = WorkersUnreachable({over.party: over.why}, until.seconds)
                if over.request_gone:
                    request = None
                await self._retire(epoch)
            async with until.or_raise(unreachable):
                await asyncio.sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT_S)
        raise unreachable

    async def _find(self, until: Deadline) -> Epoch:
        """The epoch that is known, or the one that is there now."""
        if self._epoch is not None:
            return self._epoch
        problems: dict[int, str] = {}
        async with until.or_raise(WorkersUnreachable(problems, until.seconds)), self._finding:
            if self._epoch is None:
                self._epoch = Epoch.of(self._connection, await discover(self._connection, problems))
            return self._epoch

    async def _retire(self, epoch: Epoch) -> None:
        if self._epoch is epoch:
            self._epoch = None
        await epoch.retire()


def _chunks(words: NDArray[np.int64], most: int) -> Iterator[NDArray[np.int64]]:
    """The rows in order, at most `most` together."""
    for start in range(0, len(words), most):
        yield words[start : start + most]


def _require_same_model(asked: Description, now: Description, rows: int) -> None:
    """A new epoch may serve another model, for which the input was not checked, or in another fixed point."""
    before, after = (
        (d.protocol, d.input_shape, d.output_shape, d.last_layer, d.answer_bits, d.input_range) for d in (asked, now)
    )
    if before != after or rows > now.max_rows:
        raise ModelChanged(asked.epoch, now.epoch)
