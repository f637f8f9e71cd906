"""A worker's host: the process that ``triveni worker BUNDLE`` runs, from the start of a cluster to its stop.

It waits at the worker's own address. When the notebook that owns the cluster orders an epoch, it gives the address to a
worker process, which lives as long as the epoch, the notebook's connection and the host itself; then it waits again.
It runs nothing but the worker that is installed here, and sees no share.

The owner is whoever shows the certificate of the sharing job of the very epoch that is ordered. Everybody else, such as
a client that comes early, is told that nothing is served at this moment.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import ssl
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from aiohttp import WSMsgType, web

import triveni
from triveni.api.inference import Reason, error_body
from triveni.identity.names import Identity, Role
from triveni.identity.tls import InvalidCredentials, WrongPeer, certified_identity, server_context
from triveni.keras.bundle import Bundle, InvalidBundle
from triveni.keras.order import ENDED, MAX_BYTES, PATH, STARTED, InvalidOrder, Order, worker_config
from triveni.keras.signals import stopped_by_signal
from triveni.local.processes import Guard, Process, Processes
from triveni.local.reports import MAX_BYTES as MAX_REPORT_BYTES
from triveni.sharing.worker_link import Address
from triveni.worker.config import Address as ListenAddress
from triveni.worker.config import InvalidConfig
from triveni.worker.listen import CannotListen, listen
from triveni.worker.process import protect_memory

ORDER_S = 10.0
"""How long an owner that has connected may take to say what it wants."""

HEARTBEAT_S = 10.0
"""How often owner and host make sure of each other; an owner that is gone ends the epoch."""

MOST_REFUSED = 100
"""Of those who are refused, so many are named."""

Say = Callable[[str], None]


class Host:
    """One worker's host; `run` is its life."""

    def __init__(
        self, bundle: Bundle, bind: str | None, cache: Path, directory: Path, processes: Processes, say: Say
    ) -> None:
        self._bundle, self._bind, self._cache, self._directory = bundle, bind, cache, directory
        self._processes, self._say = processes, say
        self._newest = 0
        self._refused: set[str] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._stop = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self._site: web.SockSite | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Wait, run epochs, until `stop` is set; then the epoch ends that runs, and its worker erases what it holds.

        Raises:
            CannotListen: the address is in use or not of this machine.
            InvalidCredentials: the bundle's key cannot be used.
        """
        self._stop = stop
        app = web.Application(client_max_size=MAX_BYTES)
        app.router.add_get(PATH, self._owner)
        app.router.add_route("*", "/{path:.*}", self._nothing_here)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        try:
            await self._listen()
            await stop.wait()
            await self._idle.wait()
        finally:
            await self._runner.cleanup()

    @property
    def _address(self) -> Address:
        return self._bundle.addresses.front[self._bundle.party]

    async def _listen(self) -> None:
        assert self._runner is not None
        address = ListenAddress(self._bind or self._address.host, self._address.port)
        self._site = web.SockSite(
            self._runner, listen("clients", address), ssl_context=server_context(self._bundle.credentials)
        )
        await self._site.start()
        self._say(f"Worker {self._bundle.party} waits at {self._address} for the notebook. Ctrl-C ends it.")

    async def _nothing_here(self, request: web.Request) -> web.StreamResponse:
        return _told(error_body(Reason.NOT_READY, "no model is served here at this moment"))

    async def _owner(self, request: web.Request) -> web.StreamResponse:
        """The owner's questions: who is there, and, as a websocket, an epoch from its order to its report."""
        caller = _caller(request)
        mine = (self._bundle.namespace, self._bundle.uid)
        if caller is None or (caller.namespace, caller.uid) != mine or caller.role is not Role.SHARING:
            self._say_refused(str(caller or "a certificate that names nobody"))
            return _told(error_body(Reason.FORBIDDEN, "only the owner of the cluster may ask that"), 403)
        socket = web.WebSocketResponse(heartbeat=HEARTBEAT_S, max_msg_size=MAX_BYTES)
        if not socket.can_prepare(request).ok:
            return _told(json.dumps({"version": triveni.__version__, "party": self._bundle.party}).encode(), 200)
        await socket.prepare(request)
        try:
            order = Order.parse(await socket.receive_str(timeout=ORDER_S))
            await self._epoch(socket, self._accepted(order, caller))
        except (InvalidOrder, InvalidConfig, CannotListen) as error:
            await socket.send_json({"state": ENDED, "code": None, "problem": str(error)})
        except (TimeoutError, TypeError, ConnectionError):  # it said nothing, no text, or went away
            pass
        await socket.close()
        return socket

    def _say_refused(self, who: str) -> None:
        """Once for each."""
        if who not in self._refused and len(self._refused) < MOST_REFUSED:
            self._refused.add(who)
            self._say(f"Refused {who}: only the owner of the cluster may order an epoch")

    def _accepted(self, order: Order, caller: Identity) -> Order:
        if caller.epoch != order.epoch:
            raise InvalidOrder(f"it is for epoch {order.epoch}, and {caller.uri} gave it")
        if order.epoch <= self._newest:
            raise InvalidOrder(f"epoch {order.epoch} is over, the newest here was {self._newest}")
        if not self._idle.is_set() or self._stop.is_set():
            raise InvalidOrder("this worker is in another epoch, or ends")
        return order

    async def _epoch(self, socket: web.WebSocketResponse, order: Order) -> None:
        """From the order to the report. The directory with its key is gone at the end."""
        self._newest = order.epoch
        self._idle.clear()
        try:
            with tempfile.TemporaryDirectory(prefix=f"epoch-{order.epoch}-", dir=self._directory) as name:
                directory = Path(name)
                config = worker_config(self._bundle, order, self._bind, directory, self._cache)
                order.credentials.write(directory / "credentials")
                (directory / "worker.json").write_text(json.dumps(config))
                assert self._site is not None
                await self._site.stop()
                worker = await self._start(directory)
                grant = "any number of requests" if order.grant is None else f"{order.grant} requests"
                self._say(f"Epoch {order.epoch}: {grant} granted")
                try:
                    await socket.send_json({"state": STARTED})
                    await self._attend(socket, worker)
                finally:
                    await self._processes.stop([worker])
                    report = _report(directory / "report.json")
                words = worker.last_words() if report is None else ""
            self._say(f"Epoch {order.epoch} ended: {(report or {}).get('message') or words or worker.code}")
            if not self._stop.is_set():
                await self._listen()
            await socket.send_json({"state": ENDED, "code": worker.code, "report": report, "last_words": words})
        finally:
            self._idle.set()

    async def _start(self, directory: Path) -> Process:
        command = [sys.executable, "-m", "triveni.worker", "--config", str(directory / "worker.json")]
        return await self._processes.start(f"worker {self._bundle.party}", command, directory / "worker.log")

    async def _attend(self, socket: web.WebSocketResponse, worker: Process) -> None:
        """Until the worker has ended, the owner says stop or is gone, or this host is to end."""
        said, stopped = asyncio.create_task(_said(socket)), asyncio.create_task(self._stop.wait())
        waiting: list[asyncio.Task[Any]] = [said, stopped, worker.ended]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in (said, stopped):
            task.cancel()
        await asyncio.gather(said, stopped, return_exceptions=True)


async def _said(socket: web.WebSocketResponse) -> None:
    """Wait until the owner says anything (which can only be stop) or is gone."""
    message = await socket.receive()
    assert message.type is not WSMsgType.PING


def _caller(request: web.Request) -> Identity | None:
    transport = request.transport
    try:
        return certified_identity((transport and transport.get_extra_info("peercert")) or {})
    except WrongPeer:
        return None


def _told(body: bytes, status: int = 503) -> web.Response:
    """An answer after which the connection is closed: the next one may have to go to a worker."""
    response = web.Response(body=body, status=status, headers={"Content-Type": "application/json"})
    response.force_close()
    return response


def _report(path: Path) -> dict[str, Any] | None:
    try:
        with path.open("rb") as file:
            document = json.loads(file.read(MAX_REPORT_BYTES))
    except (OSError, ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def programs_cache() -> Path:
    """Where compiled programs are kept from epoch to epoch, as by `triveni run`; they hold nothing secret."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "triveni" / "programs"


def run_host(path: Path, bind: str | None, say: Say) -> None:
    """Be the host of the worker that a bundle names, until SIGINT or SIGTERM.

    Args:
        path: the bundle.
        bind: the address to listen at; None for the one in the bundle.
        say: takes a line for whoever watches.

    Raises:
        InvalidBundle: the file is none.
        CannotListen: the worker's address is in use or not of this machine.
    """
    bundle = Bundle.read(path)
    protect_memory()
    try:
        asyncio.run(_live(bundle, bind, say))
    except (InvalidCredentials, ssl.SSLError) as error:
        raise InvalidBundle(str(path), "credentials", str(error)) from None
    say(f"Worker {bundle.party} ended.")


async def _live(bundle: Bundle, bind: str | None, say: Say) -> None:
    async with AsyncExitStack() as stack:
        stop = stack.enter_context(stopped_by_signal())
        guard = stack.enter_context(Guard())
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="triveni-worker-")))
        guard.watch("path", str(directory))
        processes = await stack.enter_async_context(Processes(guard))
        await Host(bundle, bind, programs_cache(), directory, processes, say).run(stop)


def main(arguments: Sequence[str] | None = None) -> int:
    """``python -m triveni.keras.host BUNDLE``: for a cluster that starts its workers itself."""
    parser = argparse.ArgumentParser(prog="python -m triveni.keras.host", description="One worker's host.")
    parser.add_argument("bundle", type=Path)
    path = parser.parse_args(arguments).bundle

    def say(line: str) -> None:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    try:
        run_host(path, None, say)
    except (InvalidBundle, CannotListen) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
