"""Orders: what worker 0 tells the other two to do next, and how they check it.

An order is the first thing in a run that travels on worker 0's data links; the run's own messages follow it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from triveni.worker import frame


class Command(StrEnum):
    """What to do: the work of a run that needs no request, a whole run, or ending."""

    PREPARE = "prepare"
    RUN = "run"
    END = "end"


@dataclass(frozen=True, slots=True)
class Order:
    """`run` and `rows` of the run; `requests` are the keys of those that make up its rows, in order.

    An order to end has neither, but the `reason` for which worker 0 ends.
    """

    command: Command
    run: int = 0
    rows: int = 0
    requests: tuple[str, ...] = ()
    reason: str = ""


@dataclass(eq=False)
class InvalidOrder(Exception):
    """Worker 0 ordered something that cannot be: one of the two is wrong, and the epoch ends."""

    problem: str

    def __str__(self) -> str:
        return f"worker 0 gave an order that {self.problem}"


@dataclass(frozen=True, slots=True)
class Prepared:
    """The run whose work ahead is done."""

    run: int
    rows: int


@dataclass(frozen=True, slots=True)
class Progress:
    """What has been run so far: the highest run number, and whether that run is prepared but not run."""

    last_run: int = 0
    prepared: Prepared | None = None

    def after(self, order: Order, max_rows: int) -> Progress:
        """The progress once `order` is done.

        A run that was prepared is run under its own number and with its own rows; any other has a higher number.

        Raises:
            InvalidOrder: the order does not follow.
        """
        if order.command is Command.END:
            return self
        if not 1 <= order.rows <= max_rows:
            raise InvalidOrder(f"has {order.rows} rows; 1 to {max_rows} are possible")
        if (order.command is Command.RUN) != bool(order.requests) or len(order.requests) > order.rows:
            raise InvalidOrder(f"is to {order.command} {len(order.requests)} requests in {order.rows} rows")
        if len(set(order.requests)) != len(order.requests):
            raise InvalidOrder("names a request twice")
        if order.command is Command.PREPARE:
            self._require_new(order.run)
            return Progress(order.run, Prepared(order.run, order.rows))
        if self.prepared != Prepared(order.run, order.rows):
            self._require_new(order.run)
        return Progress(order.run)

    def _require_new(self, run: int) -> None:
        if run <= self.last_run:
            raise InvalidOrder(f"has run number {run} after {self.last_run}; run numbers only rise")


def encode(order: Order) -> bytes:
    """The order as one frame."""
    return frame.encode([order.command, order.run, order.rows, order.requests, order.reason])


def decode(document: Any) -> Order:
    """The order of a frame's document; InvalidOrder if it is none."""
    match document:
        case [str(command), int(run), int(rows), list(requests), str(reason)]:
            numbers = type(run) is int and type(rows) is int and run >= 0 and rows >= 0
            if numbers and command in set(Command) and _are_texts(requests):
                return Order(Command(command), run, rows, tuple(requests), reason)
    raise InvalidOrder("is not an order")


def _are_texts(values: Sequence[Any]) -> bool:
    return all(isinstance(value, str) for value in values)
