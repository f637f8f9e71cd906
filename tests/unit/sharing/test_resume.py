"""A download that breaks goes on where it broke, and never puts bytes of two files together."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field

import pytest

from tests.unit.sharing.raw_server import Asked, Flaky, connections, response, sending
from triveni.sharing import download as download_
from triveni.sharing.content import Content
from triveni.sharing.download import Remote, download
from triveni.sharing.failures import SourceNotFound, SourceRefused, SourceTooLarge, SourceUnreachable

FILE = random.Random(1).randbytes(100_000)
OTHER = random.Random(2).randbytes(100_000)

LAST_MODIFIED = {"Last-Modified": "Fri, 01 May 2026 10:00:00 GMT", "Date": "Fri, 01 May 2026 10:00:01 GMT"}


@dataclass
class Told:
    """What a download told of itself."""

    bytes: list[tuple[int, int | None]] = field(default_factory=list)
    again: list[tuple[str, int]] = field(default_factory=list)

    def fetching(self, done: int, total: int | None) -> None:
        self.bytes.append((done, total))

    def trying_again(self, problem: str, done: int, seconds: float) -> None:
        self.again.append((problem, done))


async def fetched(url: str, told: Told | None = None, tries: int = 5, within: float = 20) -> Content:
    return await download(Remote("the model", url), within, told or Told(), (0.0,) * (tries - 1))


@pytest.mark.parametrize("headers", [{"ETag": '"1"'}, LAST_MODIFIED, {"ETag": 'W/"1"', **LAST_MODIFIED}])
async def test_a_broken_download_goes_on_where_it_broke(headers: dict[str, str]) -> None:
    server, told = Flaky(FILE, 30_000, headers), Told()
    async with sending(server) as url:
        assert (await fetched(url, told)).checked(None) == FILE
    assert server.asked == [0, 30_000, 60_000, 90_000]
    assert told.again == [("the connection broke (ClientPayloadError)", n) for n in (30_000, 60_000, 90_000)]
    assert told.bytes[-1] == (len(FILE), len(FILE))


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"ETag": 'W/"1"'},
        {"Last-Modified": LAST_MODIFIED["Last-Modified"]},
        {**LAST_MODIFIED, "Date": LAST_MODIFIED["Last-Modified"]},  # it may have changed once more in that second
        {"Last-Modified": "yesterday", "Date": "today"},
    ],
)
async def test_a_file_that_nothing_identifies_is_fetched_from_its_beginning_again(headers: dict[str, str]) -> None:
    server, told = Flaky(FILE, 30_000, headers), Told()
    async with sending(server) as url:
        with pytest.raises(SourceUnreachable, match="the connection broke"):
            await fetched(url, told, tries=3)
        server.step = len(FILE)
        assert (await fetched(url, told)).checked(None) == FILE
    assert server.asked == [0, 0, 0, 0]


async def test_a_server_that_ignores_ranges_is_asked_from_the_beginning() -> None:
    server = Flaky(FILE, 30_000, ranges=False)

    def answer(asked: Asked) -> bytes:
        server.step = 30_000 if len(server.asked) < 2 else len(FILE)
        return server(asked)

    async with sending(answer) as url:
        assert (await fetched(url)).checked(None) == FILE
    assert server.asked == [0, 30_000, 30_000]


async def test_a_file_that_changes_midway_is_fetched_anew() -> None:
    server = Flaky(FILE, 60_000)

    def answer(asked: Asked) -> bytes:
        if len(server.asked) == 1:
            server.file, server.headers = OTHER, {"ETag": '"2"'}
        return server(asked)

    async with sending(answer) as url:
        assert (await fetched(url)).checked(None) == OTHER
    assert server.asked == [0, 60_000, 60_000]


@pytest.mark.parametrize(
    "wrong",
    [
        {"ETag": '"2"', "Content_Range": "bytes 60000-99999/100000"},
        {"Content_Range": "bytes 60000-99999/100000", "Last-Modified": "Fri, 01 May 2026 10:00:00 GMT"},
        {"ETag": '"1"', "Content_Range": "bytes 0-99999/100000"},
        {"ETag": '"1"', "Content_Range": "bytes 60000-99999/99999"},
        {"ETag": '"1"', "Content_Range": "items 60000-99999/100000"},
        {"ETag": '"1"', "Content_Type": "multipart/byteranges; boundary=x"},
    ],
)
async def test_a_part_that_does_not_continue_the_file_is_thrown_away_with_what_came_before(
    wrong: dict[str, str],
) -> None:
    server, told = Flaky(FILE, 60_000), Told()

    def answer(asked: Asked) -> bytes:
        if "range" in asked:
            server.step = len(FILE)
            return response("206 Partial Content", OTHER[60_000:], **wrong)
        return server(asked)

    async with sending(answer) as url:
        assert (await fetched(url, told)).checked(None) == FILE
    assert told.again[-1] == ("the server has another file than a moment ago", 0)


@pytest.mark.parametrize("date", [LAST_MODIFIED["Date"], "Fri, 01 May 2026 10:00:09 GMT"])
async def test_a_server_that_does_not_look_at_if_range_is_not_believed(date: str) -> None:
    """The other file may be so new that its time alone says nothing."""
    server, told = Flaky(FILE, 60_000, LAST_MODIFIED), Told()
    changed = {"Last_Modified": LAST_MODIFIED["Date"], "Date": date}

    def answer(asked: Asked) -> bytes:
        if "range" in asked:
            server.step = len(FILE)
            return response("206 Partial Content", OTHER[60_000:], Content_Range="bytes 60000-99999/100000", **changed)
        return server(asked)

    async with sending(answer) as url:
        assert (await fetched(url, told)).checked(None) == FILE
    assert told.again[-1] == ("the server has another file than a moment ago", 0)


async def test_a_file_that_became_shorter_is_fetched_anew() -> None:
    server, told = Flaky(FILE, 60_000), Told()

    def answer(asked: Asked) -> bytes:
        if "range" in asked:
            server.file = FILE[:50_000]
            return response("416 Range Not Satisfiable", b"")
        return server(asked)

    async with sending(answer) as url:
        assert (await fetched(url, told)).checked(None) == FILE[:50_000]
    assert told.again[-1] == ("the server's file is shorter than a moment ago", 0)


async def test_a_part_that_ends_before_the_file_does_is_continued() -> None:
    """A server may answer with less than it was asked for."""
    asked_from = []

    def answer(asked: Asked) -> bytes:
        start = int(asked.get("range", "bytes=0-")[6:-1])
        asked_from.append(start)
        if not start:
            return response("200 OK", FILE[:10], ETag='"1"', Content_Length=len(FILE))
        piece = FILE[start : start + 40_000]
        where = f"bytes {start}-{start + len(piece) - 1}/*"
        return response("206 Partial Content", piece, ETag='"1"', Content_Range=where, Content_Length=len(piece))

    async with sending(answer) as url:
        assert (await fetched(url)).checked(None) == FILE
    assert asked_from == [0, 10, 40_010, 80_010]


async def test_a_part_with_more_bytes_than_the_file_has_is_not_believed() -> None:
    server, told = Flaky(FILE, 60_000), Told()

    def answer(asked: Asked) -> bytes:
        if "range" in asked:
            server.step = len(FILE)
            return response("206 Partial Content", FILE, ETag='"1"', Content_Range="bytes 60000-99999/100000")
        return server(asked)

    async with sending(answer) as url:
        assert (await fetched(url, told)).checked(None) == FILE
    assert told.again[-1] == ("160000 of 100000 bytes came", 0)


async def test_more_bytes_than_a_server_says_are_no_answer() -> None:
    async with sending(lambda asked: response("200 OK", FILE[:2000], Content_Length=1000)) as url:
        with pytest.raises(SourceUnreachable, match="the connection broke"):
            await fetched(url, tries=2)


async def test_a_server_that_breaks_every_answer_off_is_given_up() -> None:
    server = Flaky(FILE, 100)
    async with sending(server) as url:
        with pytest.raises(SourceUnreachable, match=r"the connection broke \(ClientPayloadError\)"):
            await fetched(url)
    assert server.asked == [0, 100, 200, 300, 400]


async def test_tries_are_counted_anew_as_long_as_the_file_comes_nearer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download_, "PROGRESS_BYTES", 1000)
    server = Flaky(FILE, 1000)
    async with sending(server) as url:
        assert (await fetched(url, tries=2)).checked(None) == FILE
    assert len(server.asked) == 100


async def test_coming_as_far_as_before_is_no_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download_, "PROGRESS_BYTES", 1000)
    server = Flaky(FILE, 50_000, headers={})
    async with sending(server) as url:
        with pytest.raises(SourceUnreachable):
            await fetched(url, tries=3)
    assert server.asked == [0, 0, 0]


@pytest.mark.parametrize(
    ("status", "failure"),
    [("404 Not Found", SourceNotFound), ("403 Forbidden", SourceRefused), ("206 Partial Content", SourceRefused)],
)
async def test_what_a_server_says_midway_is_final(status: str, failure: type[Exception]) -> None:
    server = Flaky(FILE, 60_000, headers={} if status.startswith("206") else {"ETag": '"1"'})

    def answer(asked: Asked) -> bytes:
        return response(status, b"") if server.asked else server(asked)

    async with sending(answer) as url:
        with pytest.raises(failure, match=f"the server answers {status[:3]}"):
            await fetched(url)


async def test_a_length_beyond_every_model_is_refused_before_a_byte_is_read() -> None:
    async with sending(lambda asked: response("200 OK", b"", Content_Length=2**60)) as url:
        with pytest.raises(SourceTooLarge):
            await fetched(url)


async def test_a_server_that_sends_no_http_is_given_up() -> None:
    async with sending(lambda asked: b"220 ready\r\n") as url:
        with pytest.raises(SourceUnreachable, match="the connection broke"):
            await fetched(url, tries=2)


async def test_a_server_that_drips_is_given_up_when_the_time_is_over() -> None:
    """Each byte keeps the connection from being silent; the time for all of it is bounded."""

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(response("200 OK", b"", Content_Length=len(FILE)))
        for number in range(1000):
            writer.write(FILE[number : number + 1])
            await writer.drain()
            await asyncio.sleep(0.01)

    async with connections(drip) as base:
        with pytest.raises(SourceUnreachable, match=r"is not here within 0\.3 s"):
            await fetched(base, within=0.3)
