"""Structured logs: one JSON object a line on standard error, from our own code and from the libraries alike.

A line has time, level, logger, message and, where they are known, namespace, name and epoch of the SecureModel that
the work is for: `bind` carries them through everything that a task calls, and kopf's own records bring theirs along.

What can get in is a closed list: `Fields` by their name, and of those only single values. Exceptions are logged by
type and place, without their text, since it may have been made from data (a key, a certificate, a model's file).
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, TextIO, TypedDict, Unpack

OURS = "triveni"

LONGEST = 1000
"""Characters of a text in a line; a message may be longer than that, a value never needs to be."""

LONGEST_MESSAGE = 4000
FRAMES = 12


class Fields(TypedDict, total=False):
    """What a line may say beside its message. mypy refuses any other field, and the formatter leaves it out."""

    namespace: str
    name: str
    epoch: int
    party: int
    kind: str
    object: str
    node: str
    reason: str
    outcome: str
    detail: str
    call: str
    status: int
    seconds: float
    attempt: int
    granted: int | None
    charged: int
    remaining: int | None
    lease: str
    holder: str
    version: str


ALLOWED = tuple(Fields.__annotations__)

_bound: ContextVar[Fields | None] = ContextVar("fields bound to every line of this task", default=None)


@contextmanager
def bind(**fields: Unpack[Fields]) -> Iterator[None]:
    """Within the context, and in tasks started there, every line carries these fields, whoever writes it."""
    token = _bound.set({**(_bound.get() or {}), **fields})
    try:
        yield
    finally:
        _bound.reset(token)


def configure(level: str, stream: TextIO | None = None) -> None:
    """Set up the process's logging: our own lines from this level on, the libraries' from WARNING on.

    At DEBUG, the libraries' from INFO on: what they write below that holds whole objects, Secrets among them.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter())
    ours = logging.getLevelNamesMapping()[level.upper()]
    theirs = logging.INFO if ours <= logging.DEBUG else max(ours, logging.WARNING)
    logging.basicConfig(level=theirs, handlers=[handler], force=True)
    logging.getLogger(OURS).setLevel(ours)
    logging.captureWarnings(True)


class JsonFormatter(logging.Formatter):
    """Renders a record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        error = record.exc_info[1] if record.exc_info else None
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _without_text_of(error, record.getMessage())[:LONGEST_MESSAGE],
            **_single_values(_bound.get() or {}),
            **_single_values(getattr(record, "k8s_ref", {}), only=("namespace", "name")),
            **_single_values(getattr(record, "fields", {})),
        }
        if error is not None:
            line |= {"error": type(error).__name__, "traceback": list(_places(error))}
        return json.dumps(line)


class Log:
    """Writes lines: `log = Log(__name__)`, then `log.info("epoch started", epoch=3)`. The message is a constant."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def debug(self, message: str, **fields: Unpack[Fields]) -> None:
        """For whoever looks for a fault."""
        self._write(logging.DEBUG, message, fields)

    def info(self, message: str, **fields: Unpack[Fields]) -> None:
        """A step in the life of a SecureModel, or of the operator."""
        self._write(logging.INFO, message, fields)

    def warning(self, message: str, **fields: Unpack[Fields]) -> None:
        """Something is not as it should be, and is known: it is tried again, or a condition says so."""
        self._write(logging.WARNING, message, fields)

    def error(self, message: str, error: BaseException | None = None, **fields: Unpack[Fields]) -> None:
        """Something happened that nobody foresaw; with `error`, its type and place are in the line."""
        self._write(logging.ERROR, message, fields, error)

    def _write(self, level: int, message: str, fields: Fields, error: BaseException | None = None) -> None:
        # A record takes `extra` as attributes, of which `name` is one already: hence one attribute for all of them.
        self._logger.log(level, message, exc_info=error, extra={"fields": fields})


def _single_values(fields: Mapping[str, Any], only: tuple[str, ...] = ALLOWED) -> dict[str, Any]:
    """The fields that are on the list and have a value; a text is cut, and what is no single value left out."""
    values: dict[str, Any] = {}
    for key in only:
        value = fields.get(key)
        if isinstance(value, str) and value:
            values[key] = str(value)[:LONGEST]
        elif isinstance(value, bool | int | float):
            values[key] = value
    return values


def _without_text_of(error: BaseException | None, message: str) -> str:
    """The message of a library that has put an exception's text into it (kopf does), without that text."""
    if error is None:
        return message
    name = type(error).__name__
    for text in filter(None, (repr(error), str(error))):
        message = message.replace(text, name)
    return message


def _places(error: BaseException) -> Iterator[str]:
    """Where it was raised, innermost last, and the same of the error that caused it."""
    for frame in traceback.extract_tb(error.__traceback__)[-FRAMES:]:
        yield f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}"
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        yield f"caused by {type(cause).__name__}"
        yield from _places(cause)
