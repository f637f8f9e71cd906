"""A model file fetched by HTTP or HTTPS into memory.

A GET may be repeated, so whatever may pass is tried again a few times: nobody there yet, a busy server, a broken
connection. It goes on where it broke if the server lets it (see `part`). What a server says of the file itself (not
here, not for you) is final. Neither the query of an address nor a header is ever told, since both may hold what gives
access.
"""

from __future__ import annotations

import asyncio
import os
import re
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Protocol

import aiohttp
from yarl import URL

from triveni.sharing.content import Content
from triveni.sharing.failures import SharingFailure, SourceNotFound, SourceRefused, SourceUnreachable
from triveni.sharing.part import OtherFile, Part

DELAYS_S = (0.5, 1.0, 2.0, 4.0)
"""Between one try and the next; there is one try more."""

PROGRESS_BYTES = 2**20
"""Tries are counted anew after one that came this much further than any before it: a large file over a connection that
breaks now and then arrives, and a server that breaks every answer off is given up all the same."""

CONNECT_TIMEOUT_S = 10.0
SILENCE_TIMEOUT_S = 30.0

MAX_REDIRECTS = 5

NOT_FOUND = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE})
LATER = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})
ELSEWHERE = frozenset({301, 302, 303, 307, 308})

_ERROR_CODE = re.compile(rb"<Code>([A-Za-z0-9.]{1,64})</Code>")
_ERROR_BYTES = 4096

Headers = Callable[[], Mapping[str, str]]


def _no_headers() -> Mapping[str, str]:
    return {}


@dataclass(frozen=True, repr=False)
class Remote:
    """A file on a server.

    Attributes:
        words: stand for it in messages.
        url: as it is sent, encoded.
        authorities: a PEM file with those that its certificate may come from; None: the public ones.
        headers: those of one request, made anew for each.
        redirects: how often the server may send us elsewhere.
        way_out: what a person can do if the server refuses.
    """

    words: str
    url: str
    authorities: Path | None = None
    headers: Headers = _no_headers
    redirects: int = MAX_REDIRECTS
    way_out: str = "let the sharing job read it without logging in, or use another source"


class Progress(Protocol):
    """Is told how a download goes on."""

    def fetching(self, done: int, total: int | None) -> None:
        """`done` bytes are here, of `total`; None if the server does not say."""

    def trying_again(self, problem: str, done: int, seconds: float) -> None:
        """The next try follows in `seconds`; `done` bytes are kept if the server lets us go on from there."""


async def download(remote: Remote, within: float, progress: Progress, delays: Sequence[float] = DELAYS_S) -> Content:
    """Fetch a file.

    Args:
        within: seconds for all tries together.
        progress: is told of every piece, and of every try after the first.
        delays: in seconds, from each try to the next.

    Raises:
        SourceNotFound: the server does not have it.
        SourceRefused: the server does not give it to us, or is not who it should be.
        SourceUnreachable: it could not be fetched in time, by all tries.
        SourceTooLarge: no model file is that large.
    """
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=SILENCE_TIMEOUT_S)
    part = Part(remote.words)
    problem = "was not asked"
    try:
        async with (
            asyncio.timeout(within),
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=_context(remote)),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=timeout,
                auto_decompress=False,
            ) as session,
        ):
            left, furthest = iter(delays), 0
            while True:
                try:
                    await _once(session, remote, part, progress)
                    return part.content
                except SourceUnreachable as error:
                    problem = error.problem
                if part.content.size >= furthest + PROGRESS_BYTES:
                    left, furthest = iter(delays), part.content.size
                delay = next(left, None)
                if delay is None:
                    break
                progress.trying_again(problem, part.content.size, delay)
                await asyncio.sleep(delay)
    except TimeoutError:
        problem = f"is not here within {within:g} s ({problem})"
    raise SourceUnreachable(remote.words, problem)


def _context(remote: Remote) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=remote.authorities)
    except (OSError, ValueError) as error:
        problem = f"the certificates of its authorities cannot be read ({_brief(error)})"
        raise SourceRefused(remote.words, problem, "let caBundle name a PEM file") from error


async def _once(session: aiohttp.ClientSession, remote: Remote, part: Part, progress: Progress) -> None:
    """One try: fetch what is missing of `part`."""
    url = URL(remote.url, encoded=True)
    try:
        for _ in range(remote.redirects + 1):
            headers = {"Accept-Encoding": "identity", **remote.headers(), **part.request()}
            async with session.get(url, headers=headers, allow_redirects=False) as response:
                if remote.redirects and response.status in ELSEWHERE:
                    url = _elsewhere(remote, url, response.headers.get("Location", ""))
                    continue
                if not part.begin(response.status, response.headers):
                    raise await _no(remote, response)
                async for chunk in response.content.iter_any():
                    part.content.add(chunk)
                    progress.fetching(part.content.size, part.total)
                part.end()
                return
    except TimeoutError as error:
        raise SourceUnreachable(remote.words, "the server does not answer") from error
    except OtherFile as error:
        raise SourceUnreachable(remote.words, str(error)) from error
    except aiohttp.ClientError as error:
        raise _failure(remote, error) from error
    raise SourceRefused(remote.words, f"the server redirects more than {remote.redirects} times", remote.way_out)


async def _no(remote: Remote, response: aiohttp.ClientResponse) -> SharingFailure:
    """What an answer without a file means. A store says its reason in a word, which holds no secret."""
    code = _ERROR_CODE.search(await response.content.read(_ERROR_BYTES))
    reason = code[1].decode() if code else response.reason or ""
    problem = f"the server answers {response.status} {reason:.80}".rstrip()
    if response.status in NOT_FOUND:
        return SourceNotFound(remote.words, problem)
    if response.status in LATER or response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return SourceUnreachable(remote.words, problem)
    return SourceRefused(remote.words, problem, remote.way_out)


def _elsewhere(remote: Remote, here: URL, location: str) -> URL:
    """Where a redirect leads; not out of TLS, and not to something that is no web server."""
    try:
        there = here.join(URL(location))
    except ValueError:
        there = URL()
    if there.scheme not in ("http", "https") or not there.host:
        raise SourceRefused(remote.words, "the server redirects to no address that can be fetched", remote.way_out)
    if here.scheme == "https" and there.scheme != "https":
        raise SourceRefused(remote.words, "the server redirects from https to http", "give an address that stays https")
    return there.with_user(None).with_fragment(None)


def _failure(remote: Remote, error: aiohttp.ClientError) -> SharingFailure:
    """A request that got no answer. An error's own text may hold the whole address, so none is passed on."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            problem = f"the server's certificate is not accepted ({_brief(error.certificate_error)})"
            return SourceRefused(remote.words, problem, "let caBundle name the authorities that it comes from")
        case aiohttp.InvalidURL():
            return SourceRefused(remote.words, "this is no address that can be fetched", remote.way_out)
        case aiohttp.ClientConnectorDNSError():
            return SourceUnreachable(remote.words, "the server's name is not known")
        case aiohttp.ClientConnectorSSLError():
            return SourceUnreachable(remote.words, "the server does not speak TLS as it should")
        case aiohttp.ClientOSError():
            return SourceUnreachable(remote.words, f"the connection failed ({_brief(error)})")
        case _:
            return SourceUnreachable(remote.words, f"the connection broke ({type(error).__name__})")


def _brief(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message or "it cannot be verified"
    number = error.errno if isinstance(error, OSError) else None
    return os.strerror(number).lower() if number else type(error).__name__
