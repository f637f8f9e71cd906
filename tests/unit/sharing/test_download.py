"""A model file from a web server: fetched whole or not at all, tried again where that is of use."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web

from tests.unit.sharing.web_server import self_signed, serving
from triveni.sharing import content
from triveni.sharing.content import Content
from triveni.sharing.download import Remote
from triveni.sharing.download import download as download_
from triveni.sharing.failures import (
    DigestMismatch,
    SourceNotFound,
    SourceRefused,
    SourceTooLarge,
    SourceUnreachable,
)

MODEL = b"PK\x03\x04" + b"model" * 100_000

WORDS = "spec.model.source.http"

NOW = (0.0, 0.0)
"""Two more tries, without waiting."""


class Silent:
    """Nobody who wants to know how it goes on."""

    def fetching(self, done: int, total: int | None) -> None:
        pass

    def trying_again(self, problem: str, done: int, seconds: float) -> None:
        pass


async def download(remote: Remote, within: float, *delays: tuple[float, ...]) -> Content:
    return await download_(remote, within, Silent(), *delays)


def remote(url: str, authorities: Path | None = None) -> Remote:
    return Remote(WORDS, url, authorities)


def answers(*statuses: int) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """One status after the other, then the model."""
    left = iter(statuses)

    async def answer(request: web.Request) -> web.StreamResponse:
        status = next(left, 200)
        return web.Response(body=MODEL) if status == 200 else web.Response(status=status, text="no")

    return answer


async def test_a_file_is_fetched() -> None:
    async with serving(answers()) as base:
        got = await download(remote(f"{base}/model.keras"), 10)
    assert got.checked(f"sha256:{hashlib.sha256(MODEL).hexdigest()}") == MODEL


async def test_another_file_than_the_digest_says_is_not_handed_out() -> None:
    async with serving(answers()) as base:
        got = await download(remote(base), 10)
    with pytest.raises(DigestMismatch, match=f"^{WORDS} has the digest sha256:"):
        got.checked(f"sha256:{'0' * 64}")


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
async def test_a_server_that_is_busy_is_asked_again(status: int) -> None:
    async with serving(answers(status, status)) as base:
        assert (await download(remote(base), 10, NOW)).checked(None) == MODEL


async def test_a_server_that_stays_busy_is_given_up() -> None:
    async with serving(answers(*[503] * 9)) as base:
        with pytest.raises(SourceUnreachable, match=r"the server answers 503 Service Unavailable$") as caught:
            await download(remote(base), 10, NOW)
    assert not caught.value.permanent


async def test_a_connection_that_breaks_is_made_again() -> None:
    tries = 0

    async def break_off(request: web.Request) -> web.StreamResponse:
        nonlocal tries
        tries += 1
        if tries == 3:
            return web.Response(body=MODEL)
        response = web.StreamResponse(headers={"Content-Length": str(len(MODEL))})
        await response.prepare(request)
        await response.write(MODEL[:1000])
        assert request.transport is not None
        request.transport.abort()
        return response

    async with serving(break_off) as base:
        assert (await download(remote(base), 10, NOW)).checked(None) == MODEL


async def test_nobody_there_is_said_after_the_last_try() -> None:
    async with serving(answers()) as base:
        pass
    with pytest.raises(SourceUnreachable, match=r"the connection failed \(.*refused\)"):
        await download(remote(base), 10, NOW)


async def test_a_server_that_says_nothing_is_given_up_when_the_time_is_over() -> None:
    async def say_nothing(request: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    async with serving(say_nothing) as base:
        with pytest.raises(SourceUnreachable, match=r"is not here within 0\.2 s"):
            await download(remote(base), 0.2)


@pytest.mark.parametrize("status", [404, 410])
async def test_a_file_that_is_not_there_is_not_asked_for_again(status: int) -> None:
    async with serving(answers(status)) as base:
        with pytest.raises(SourceNotFound, match=f"^{WORDS}: the server answers {status}") as caught:
            await download(remote(base), 10, NOW)
    assert caught.value.permanent


@pytest.mark.parametrize("status", [204, 400, 401, 403, 405])
async def test_a_refusal_is_final(status: int) -> None:
    async with serving(answers(status)) as base:
        with pytest.raises(
            SourceRefused, match=f"the server answers {status}.*; let the sharing job read it"
        ) as caught:
            await download(remote(base), 10, NOW)
    assert caught.value.permanent


async def test_a_redirect_is_followed() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path == "/old":
            raise web.HTTPFound("/new")
        return web.Response(body=MODEL)

    async with serving(answer) as base:
        assert (await download(remote(f"{base}/old"), 10)).checked(None) == MODEL


@pytest.mark.parametrize(
    ("location", "problem"),
    [
        ("/again", "redirects more than 5 times"),
        ("file:///etc/passwd", "redirects to no address that can be fetched"),
        ("", "redirects more than 5 times"),
        ("http://[", "redirects to no address that can be fetched"),
    ],
)
async def test_a_redirect_that_leads_nowhere_is_refused(location: str, problem: str) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": location})

    async with serving(answer) as base:
        with pytest.raises(SourceRefused, match=problem):
            await download(remote(base), 10)


async def test_a_redirect_out_of_tls_is_refused(tmp_path: Path) -> None:
    async with serving(answers()) as plain:

        async def answer(request: web.Request) -> web.StreamResponse:
            raise web.HTTPFound(plain)

        certificate = self_signed(tmp_path)
        async with serving(answer, certificate) as base:
            with pytest.raises(SourceRefused, match="redirects from https to http"):
                await download(remote(base, certificate), 10)


async def test_the_authorities_that_are_named_are_believed_and_no_others(tmp_path: Path) -> None:
    certificate = self_signed(tmp_path)
    async with serving(answers(), certificate) as base:
        assert (await download(remote(base, certificate), 10)).checked(None) == MODEL
        with pytest.raises(
            SourceRefused, match=r"certificate is not accepted \(self.signed certificate\); let caBundle"
        ):
            await download(remote(base), 10)


@pytest.mark.parametrize("content", [None, b"", b"hello"])
async def test_authorities_that_cannot_be_read_are_named(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "ca.crt").write_bytes(content)
    with pytest.raises(SourceRefused, match=r"certificates of its authorities cannot be read.*; let caBundle name"):
        await download(remote("https://127.0.0.1:1", tmp_path / "ca.crt"), 10)


@pytest.mark.parametrize("announced", [True, False])
async def test_a_file_that_is_too_large_is_not_read(monkeypatch: pytest.MonkeyPatch, announced: bool) -> None:
    monkeypatch.setattr(content, "MAX_BYTES", 2**18)

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        if announced:
            response.content_length = len(MODEL)
        else:
            response.enable_chunked_encoding()
        await response.prepare(request)
        for start in range(0, len(MODEL), 2**16):
            await response.write(MODEL[start : start + 2**16])
        return response

    async with serving(answer) as base:
        with pytest.raises(SourceTooLarge, match=f"^{WORDS} is larger than 0 MiB"):
            await download(remote(base), 10, NOW)


@pytest.mark.parametrize("status", [403, 404, 503])
async def test_what_stands_in_the_query_is_never_told(status: int) -> None:
    async with serving(answers(*[status] * 3)) as base:
        with pytest.raises((SourceNotFound, SourceRefused, SourceUnreachable)) as caught:
            await download(remote(f"{base}/model.keras?signature=hush"), 10, NOW)
    assert "hush" not in str(caught.value)
    with pytest.raises(SourceUnreachable) as caught:
        await download(remote(f"{base}/model.keras?signature=hush"), 10, NOW)
    assert "hush" not in str(caught.value)
