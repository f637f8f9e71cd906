"""What has come of a file so far, and whether the rest may be put behind it.

A download that broke goes on where it broke (RFC 9110, section 14: Range, If-Range, 206), but only if the server proves
that it still has the same file: by a strong ETag or, without one, by a Last-Modified that is older than the answer
(section 8.8). A server that knows neither, ignores the range or has another file now is asked for all of it again:
bytes of two files are never put together.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from triveni.sharing.content import Content

_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,20})-([0-9]{1,20})/([0-9]{1,20}|\*)", re.ASCII)

Headers = Mapping[str, str]


class OtherFile(Exception):
    """The server answers with something that does not continue what has come; the message says what."""


class Part:
    """The bytes so far; `total` is how many there will be, None if the server does not say."""

    def __init__(self, words: str) -> None:
        self._words = words
        self.content = Content(words)
        self.total: int | None = None
        self._validator: str | None = None

    def request(self) -> Headers:
        """The headers that ask for what is missing, or for everything."""
        if not self.content.size or self._validator is None:
            return {}
        return {"Range": f"bytes={self.content.size}-", "If-Range": self._validator}

    def begin(self, status: int, headers: Headers) -> bool:
        """An answer to `request` begins: make ready for its bytes; whether it brings any.

        Raises:
            OtherFile: it does not continue what has come, which is forgotten.
            SourceTooLarge: no model file is that large.
        """
        if status == HTTPStatus.OK:
            self._forget()
            self._validator = _validator(headers)
            self.total = _length(headers)
            self.content.announce(self.total or 0)
            return True
        if not self.request():
            return False
        if status == HTTPStatus.PARTIAL_CONTENT:
            if not self._continues(headers):
                self._forget()
                raise OtherFile("the server has another file than a moment ago")
            return True
        if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            self._forget()
            raise OtherFile("the server's file is shorter than a moment ago")
        return False

    def end(self) -> None:
        """The answer's bytes have been added; OtherFile if they are not all, or too many."""
        if self.total is None or self.content.size == self.total:
            return
        problem = f"{self.content.size} of {self.total} bytes came"
        if self.content.size > self.total:
            self._forget()
        raise OtherFile(problem)

    def _continues(self, headers: Headers) -> bool:
        found = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", ""))
        if found is None or int(found[1]) != self.content.size or not self._same(headers):
            return False
        total = None if found[3] == "*" else int(found[3])
        if self.total is None:
            self.total = total
        self.content.announce(self.total or 0)
        return total in (None, self.total)

    def _same(self, headers: Headers) -> bool:
        """Whether the answer is about the same file. There are stores that do not look at If-Range."""
        if self._validator and self._validator.startswith('"'):
            return headers.get("ETag") == self._validator
        return headers.get("Last-Modified", self._validator) == self._validator

    def _forget(self) -> None:
        self.content = Content(self._words)
        self.total = self._validator = None


def _length(headers: Headers) -> int | None:
    text = headers.get("Content-Length", "")
    return int(text) if re.fullmatch("[0-9]{1,20}", text) else None


def _validator(headers: Headers) -> str | None:
    """What tells this file from every other that the server may have at this address; None if nothing does."""
    tag = headers.get("ETag", "")
    if tag.startswith('"'):
        return tag
    changed, now = _time(headers, "Last-Modified"), _time(headers, "Date")
    # Within the same second the file may have changed once more.
    if changed and now and now - changed >= timedelta(seconds=1):
        return headers["Last-Modified"]
    return None


def _time(headers: Headers, name: str) -> datetime | None:
    try:
        return parsedate_to_datetime(headers.get(name, "")).replace(tzinfo=None)
    except (ValueError, TypeError):
        return None
