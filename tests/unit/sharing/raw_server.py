"""A web server that sends exactly the bytes that it is told to, however wrong, and closes the connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

Asked = Mapping[str, str]
"""The headers of a request, with names in small letters."""

Answer = Callable[[Asked], bytes]


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def connections(serve: Serve) -> AsyncIterator[str]:
    """The base address of a server that hands every connection to `serve`; at its end no connection is left."""
    handlers: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        handlers.add(task)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                await serve(reader, writer)
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        host, port = server.sockets[0].getsockname()
        yield f"http://{host}:{port}"
    finally:
        server.close()
        for handler in handlers:
            handler.cancel()
        await asyncio.gather(*handlers, return_exceptions=True)


@asynccontextmanager
async def sending(answer: Answer) -> AsyncIterator[str]:
    """An address on a server that sends what `answer` makes of a request's headers, and hangs up."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = [line.partition(": ") for line in head.split("\r\n")[1:]]
        writer.write(answer({name.lower(): value for name, _, value in lines}))
        await writer.drain()

    async with connections(serve) as base:
        yield f"{base}/model.keras"


def response(status: str, body: bytes, **headers: object) -> bytes:
    """An answer; a header's `_` stands for `-`. Its length is only said if it is among them."""
    lines = [f"HTTP/1.1 {status}", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    return "\r\n".join((*lines, "Connection: close", "", "")).encode() + body


@dataclass
class Flaky:
    """Serves a file in answers that break off after `step` bytes; notes from which byte each request asked."""

    file: bytes
    step: int
    headers: dict[str, str] = field(default_factory=lambda: {"ETag": '"1"'})
    ranges: bool = True
    asked: list[int] = field(default_factory=list)

    def __call__(self, asked: Asked) -> bytes:
        start = int(asked.get("range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        self.asked.append(start)
        same = asked.get("if-range") in self.headers.values()
        if not (start and same and self.ranges):
            return self.whole()
        where = f"bytes {start}-{len(self.file) - 1}/{len(self.file)}"
        rest = self.file[start:]
        headers = {**self.headers, "Content_Range": where, "Content_Length": len(rest)}
        return response("206 Partial Content", rest[: self.step], **headers)

    def whole(self) -> bytes:
        return response("200 OK", self.file[: self.step], **self.headers, Content_Length=len(self.file))
