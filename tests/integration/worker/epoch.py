"""One epoch of real workers: three processes on loopback, a sharing job and clients that speak the bare protocol."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import socket
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
import numpy as np

from triveni.api.inference import HEADER_LENGTH, Reason, Tensor, decode, encode, read_error
from triveni.identity.authority import Authority
from triveni.identity.credentials import Credentials
from triveni.identity.names import Identity
from triveni.identity.tls import client_context
from triveni.mpc.architecture import Architecture, Dense, Relu
from triveni.mpc.fixedpoint import fixed_point
from triveni.mpc.lowering import lower
from triveni.mpc.sharing import components_of, reveal, split

NAME = "small"

ARCHITECTURE = Architecture(
    (4,), (Dense("first", 5, use_bias=True), Relu("first/relu"), Dense("second", 3, use_bias=True))
)

_RANDOM = np.random.default_rng(7)
WEIGHTS = {
    "first": (_RANDOM.normal(size=(4, 5)), _RANDOM.normal(size=5)),
    "second": (_RANDOM.normal(size=(5, 3)), _RANDOM.normal(size=3)),
}

TIMEOUT_S = 60.0


def plain(x: np.ndarray) -> np.ndarray:
    """What the model answers without any sharing."""
    (kernel_1, bias_1), (kernel_2, bias_2) = WEIGHTS["first"], WEIGHTS["second"]
    return np.maximum(x @ kernel_1 + bias_1, 0) @ kernel_2 + bias_2


def rows_of(number: int, rows: int = 1) -> np.ndarray:
    """Inputs that no other number has."""
    return np.random.default_rng(number).uniform(-2, 2, (rows, 4))


@dataclass
class RefusedRequest(Exception):
    """A worker's refusal."""

    status: int
    reason: Reason | None
    message: str


@dataclass(frozen=True)
class Part:
    """What one worker gets of a request."""

    body: bytes
    header_length: int


def parts_of(request_id: str, x: np.ndarray, protocol: str = "ABY3") -> list[Part]:
    """A request for three workers."""
    components = split(fixed_point(protocol).encode(x, "x"), protocol)
    parts = []
    for party in range(3):
        tensors = [Tensor(f"component_{c}", components[c]) for c in components_of(party, protocol)]
        header = {"id": request_id} if tensors else {"id": request_id, "parameters": {"rows": len(x)}}
        length, chunks = encode(header, tensors)
        parts.append(Part(b"".join(chunks), length))
    return parts


class Worker:
    """One worker process."""

    def __init__(self, process: asyncio.subprocess.Process, report: Path, log: Path) -> None:
        self.process = process
        self._report = report
        self._log = log

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    async def ended(self, timeout_s: float = TIMEOUT_S) -> int:
        """Its exit code."""
        async with asyncio.timeout(timeout_s):
            return await self.process.wait()

    @property
    def report(self) -> dict[str, Any]:
        return json.loads(self._report.read_text())

    @property
    def has_report(self) -> bool:
        return self._report.exists()

    @property
    def log(self) -> list[dict[str, Any]]:
        """Every line of its standard error; each has to be JSON."""
        return [json.loads(line) for line in self._log.read_text().splitlines()]

    async def logged(self, event: str, **fields: Any) -> None:
        """Wait until it has logged this."""
        for _ in range(int(TIMEOUT_S / 0.02)):
            if any(line["event"] == event and fields.items() <= line.items() for line in self._log_so_far()):
                return
            await asyncio.sleep(0.02)
        raise TimeoutError(f"{event} {fields} was not logged: {self._log.read_text()}")

    def _log_so_far(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._log.read_text().splitlines(keepends=True) if line.endswith("\n")]


class Epoch:
    """Starts workers, shares the model, asks; as a context manager it leaves no process behind."""

    def __init__(self, directory: Path, cache: Path, grant: int | None = None, **config: Any) -> None:
        self._directory = directory
        self.protocol: str = config.get("protocol", "ABY3")
        self.authority = Authority.create("default", "uid")
        ports = _free_ports(9)
        self.fronts, self.peers, self.probes = ports[:3], ports[3:6], ports[6:]
        self.configs = [self._config(party, grant, cache) | config for party in range(3)]
        self.workers: dict[int, Worker] = {}
        self._sessions: list[aiohttp.ClientSession] = []
        self._ids = itertools.count()

    def _config(self, party: int, grant: int | None, cache: Path) -> dict[str, Any]:
        credentials = self._directory / f"credentials-{party}"
        self.authority.issue(Identity.worker("default", "uid", 1, party)).write(credentials)

        def here(port: int) -> dict[str, Any]:
            return {"host": "127.0.0.1", "port": port}

        return {
            "namespace": "default",
            "uid": "uid",
            "name": NAME,
            "epoch": 1,
            "party": party,
            "protocol": self.protocol,
            "grant": grant,
            "listen": here(self.fronts[party]),
            "peer_listen": here(self.peers[party]),
            "health_listen": here(self.probes[party]),
            "peers": {str(peer): here(self.peers[peer]) for peer in range(3) if peer != party},
            "credentials": str(credentials),
            "report": str(self._directory / f"report-{party}.json"),
            "cache": str(cache),
        }

    async def start(self, parties: Iterable[int] = range(3)) -> None:
        for party in parties:
            path = self._directory / f"worker-{party}.json"
            path.write_text(json.dumps(self.configs[party]))
            log = self._directory / f"worker-{party}.log"
            with log.open("wb") as stderr:
                process = await asyncio.create_subprocess_exec(
                    sys.executable, "-m", "triveni.worker", "--config", str(path), stderr=stderr
                )
            self.workers[party] = Worker(process, Path(self.configs[party]["report"]), log)

    async def listening(self, parties: Iterable[int] = range(3)) -> None:
        for party in parties:
            await self.workers[party].logged("listening")

    async def serve(self) -> None:
        """Start all three and share the model."""
        await self.start()
        await self.listening()
        await self.put_architecture()
        await self.put_shares()

    def session(self, identity: Identity) -> aiohttp.ClientSession:
        return self.session_with(self.authority.issue(identity))

    def session_with(self, credentials: Credentials) -> aiohttp.ClientSession:
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        connector = aiohttp.TCPConnector(ssl=client_context(credentials))
        self._sessions.append(aiohttp.ClientSession(connector=connector, timeout=timeout))
        return self._sessions[-1]

    def client(self, name: str = "alice") -> Client:
        return Client(self, self.session(Identity.of_client("default", "uid", name)), self._ids)

    async def put_architecture(self, architecture: Architecture = ARCHITECTURE) -> list[Mapping[str, Any]]:
        body = json.dumps({"protocol": self.protocol, "architecture": architecture.document()}).encode()
        session = self.session(Identity.sharing_job("default", "uid", 1))
        sending = (self._put(session, party, "architecture", body, {}) for party in range(3))
        return list(await asyncio.gather(*sending))

    async def put_shares(self) -> None:
        session = self.session(Identity.sharing_job("default", "uid", 1))
        bodies = self.share_bodies()
        await asyncio.gather(
            *(
                self._put(session, party, "shares", part.body, {HEADER_LENGTH: str(part.header_length)})
                for party, part in enumerate(bodies)
            )
        )

    def share_bodies(self) -> list[Part]:
        encoded = lower(ARCHITECTURE).encode(WEIGHTS)
        numbers = fixed_point(self.protocol)
        shared = {name: split(numbers.encode(values, name), self.protocol) for name, values in encoded.items()}
        parts = []
        for party in range(3):
            tensors = [
                Tensor(f"{name}/component_{c}", components[c])
                for name, components in shared.items()
                for c in components_of(party, self.protocol)
            ]
            length, chunks = encode({}, tensors)
            parts.append(Part(b"".join(chunks), length))
        return parts

    async def _put(
        self, session: aiohttp.ClientSession, party: int, what: str, body: bytes, headers: Mapping[str, str]
    ) -> Mapping[str, Any]:
        async with session.put(self.url(party, f"/triveni/v1/{what}"), data=body, headers=headers) as response:
            return json.loads(await accepted(response))

    def url(self, party: int, path: str) -> str:
        return f"https://127.0.0.1:{self.fronts[party]}{path}"

    async def probe(self, party: int, path: str) -> tuple[int, str] | None:
        """What kubelet sees; None if nobody listens."""
        url = f"http://127.0.0.1:{self.probes[party]}{path}"
        try:
            async with aiohttp.request("GET", url) as response:
                return response.status, (await response.text()).removesuffix("\n")
        except aiohttp.ClientConnectionError:
            return None

    async def ended(self, timeout_s: float = TIMEOUT_S) -> list[int]:
        """The exit codes of all that were started."""
        return list(await asyncio.gather(*(worker.ended(timeout_s) for worker in self.workers.values())))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        for session in self._sessions:
            await session.close()
        for worker in self.workers.values():
            if worker.process.returncode is None:
                worker.signal(signal.SIGCONT)
                worker.process.kill()
            await worker.process.wait()


class Client:
    """One client, with a connection to each worker."""

    def __init__(self, epoch: Epoch, session: aiohttp.ClientSession, ids: itertools.count[int]) -> None:
        self._epoch = epoch
        self._session = session
        self._ids = ids

    async def predict(self, x: np.ndarray) -> np.ndarray:
        """The revealed answer; replicated components have to agree."""
        protocol = self._epoch.protocol
        return join(await self.ask(parts_of(f"r{next(self._ids)}", x, protocol)), protocol)

    async def ask(self, parts: list[Part]) -> list[tuple[np.ndarray, ...]]:
        """Each worker's components; RefusedRequest of the first that refuses."""
        return list(await asyncio.gather(*(self.ask_one(party, part) for party, part in enumerate(parts))))

    async def ask_one(self, party: int, part: Part) -> tuple[np.ndarray, ...]:
        url = self._epoch.url(party, f"/v2/models/{NAME}/infer")
        headers = {HEADER_LENGTH: str(part.header_length)}
        async with self._session.post(url, data=part.body, headers=headers) as response:
            body = await accepted(response)
            _, outputs = decode(body, response.headers.get(HEADER_LENGTH), "outputs")
        return tuple(output.data for output in outputs)

    async def get(self, party: int, path: str) -> dict[str, Any]:
        async with self._session.get(self._epoch.url(party, path)) as response:
            return json.loads(await accepted(response))

    async def status(self, party: int) -> dict[str, Any]:
        return await self.get(party, "/triveni/v1/status")


def join(answers: list[tuple[np.ndarray, ...]], protocol: str = "ABY3") -> np.ndarray:
    """The answer from the three workers' components."""
    held: dict[int, np.ndarray] = {}
    for party, components in enumerate(answers):
        for number, words in zip(components_of(party, protocol), components, strict=True):
            assert np.array_equal(held.setdefault(number, words), words)
    return fixed_point(protocol).decode(reveal(*held.values()))


async def accepted(response: aiohttp.ClientResponse) -> bytes:
    body = await response.read()
    if response.status != 200:
        raise RefusedRequest(response.status, *read_error(body))
    return body


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for sock in sockets:
            sock.bind(("127.0.0.1", 0))
        return [sock.getsockname()[1] for sock in sockets]
    finally:
        for sock in sockets:
            sock.close()


def stopped(worker: Worker) -> None:
    """Stop a worker where it is, so that it answers nothing and does not end."""
    os.kill(worker.process.pid, signal.SIGSTOP)
