"""Logs: one JSON object a line on standard error, for each event. Names and numbers only, never a value of anyone's.

Unexpected exceptions are logged by type and place, without their text: it may have been made from data.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TextIO

LOGGER = "triveni.worker"


class JsonFormatter(logging.Formatter):
    """Renders a record with the fields that every line has; other libraries' records become events as well."""

    def __init__(self, fixed: Mapping[str, Any]) -> None:
        super().__init__()
        self._fixed = dict(fixed)

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.msg if record.name == LOGGER else record.name,
            **self._fixed,
            **getattr(record, "fields", {}),
        }
        if record.exc_info and record.exc_info[1] is not None:
            line |= exception_fields(record.exc_info[1])
        return json.dumps(line, default=str)


def exception_fields(error: BaseException) -> dict[str, Any]:
    """Type and place of an unexpected exception."""
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    return {
        "exception": type(error).__name__,
        "at": [f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames],
    }


class Log:
    """Writes events."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    @classmethod
    def to(cls, level: str, fixed: Mapping[str, Any], stream: TextIO = sys.stderr) -> Log:
        """Set up the process's logging: everything of this level or above, with the `fixed` fields in each line."""
        handler = logging.StreamHandler(stream)
        handler.setFormatter(JsonFormatter(fixed))
        logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
        logger = logging.getLogger(LOGGER)
        logger.setLevel(level.upper())
        return cls(logger)

    def debug(self, event: str, **fields: Any) -> None:
        """For whoever looks for a fault."""
        self._logger.debug(event, extra={"fields": fields})

    def info(self, event: str, **fields: Any) -> None:
        """A step of the worker's life."""
        self._logger.info(event, extra={"fields": fields})

    def warning(self, event: str, **fields: Any) -> None:
        """Something was refused or is not as it should be."""
        self._logger.warning(event, extra={"fields": fields})

    def error(self, event: str, error: BaseException | None = None, **fields: Any) -> None:
        """The worker cannot go on, or a request failed by a fault of the worker."""
        self._logger.error(event, extra={"fields": fields | (exception_fields(error) if error else {})})


MOST_REFUSALS = 1000


class Refusals:
    """Who was refused why: each is logged once, and after `MOST_REFUSALS` different ones no more are."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._seen: set[tuple[str, str]] = set()

    def note(self, event: str, who: str, why: str) -> None:
        """Log it, unless it was logged before."""
        if (who, why) not in self._seen and len(self._seen) < MOST_REFUSALS:
            self._seen.add((who, why))
            self._log.warning(event, who=who, why=why)
