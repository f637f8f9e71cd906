"""The example, served by real processes on loopback: three workers, a sharing job, certificates for whoever asks.

Everything is synchronous; clients of the tests may be what they like. No process outlives its `with`.
"""

from __future__ import annotations

import http.client
import itertools
import json
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from triveni.api.inference import HEADER_LENGTH, Reason, Tensor, decode, encode, read_error
from triveni.client import Connection
from triveni.identity.authority import Authority
from triveni.identity.credentials import Credentials
from triveni.identity.names import Identity
from triveni.identity.tls import client_context
from triveni.local import ports
from triveni.mpc.fixedpoint import fixed_point
from triveni.mpc.sharing import components_of, reveal

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "examples" / "mnist" / "model.keras"

NAMESPACE, UID, NAME, EPOCH = "default", "uid", "mnist", 1

INFER = f"/v2/models/{NAME}/infer"

TIMEOUT_S = 60.0
"""For anything that has no shorter limit of its own; a first compilation takes most of it on a busy machine."""

WORKER = ("-m", "triveni.worker")
SHARING = ("-m", "triveni.sharing")


def wait_until(condition: Callable[[], Any], timeout_s: float = TIMEOUT_S) -> None:
    """Wait for a condition, or fail."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_s:g} s"
        time.sleep(0.01)


@dataclass(frozen=True)
class Reply:
    """What a worker answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)

    @property
    def refusal(self) -> tuple[int, Reason | None, str]:
        """Status, reason and sentence."""
        return (self.status, *read_error(self.body))


class Worker:
    """One worker process, and what it leaves."""

    def __init__(self, process: subprocess.Popen[bytes], report: Path, log: Path) -> None:
        self.process = process
        self.report_file = report
        self.log_file = log

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def ended(self, timeout_s: float = TIMEOUT_S) -> int:
        """Its exit code."""
        return self.process.wait(timeout_s)

    @property
    def report(self) -> Any:
        return json.loads(self.report_file.read_text())

    @property
    def log(self) -> list[dict[str, Any]]:
        """The whole lines of its log so far; each has to be JSON."""
        lines = self.log_file.read_text().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]


@dataclass(frozen=True)
class SharingJob:
    """A sharing job that has ended. `log` is all that it printed."""

    code: int
    report: Mapping[str, Any]
    log: str


class Cluster:
    """Three workers of one epoch, and whoever talks to them.

    Args:
        directory: for everything that is written.
        programs: cache of compiled programs.
        grant: rows; None for no limit.
        worker: how a worker is started, with what follows the interpreter; `{party}` stands for its number.
        sharing: the same for the sharing job.
        protocol: of workers and sharing job.
        config: fields of the workers' configuration.
    """

    def __init__(
        self,
        directory: Path,
        programs: Path,
        grant: int | None = None,
        *,
        worker: Sequence[str] = WORKER,
        sharing: Sequence[str] = SHARING,
        protocol: str = "ABY3",
        **config: Any,
    ) -> None:
        self.directory = directory
        self.authority = Authority.create(NAMESPACE, UID)
        self._ports = ports.choose(None)
        self._worker, self._sharing, self.protocol = worker, sharing, protocol
        self._config = {"grant": grant, "cache": str(programs)} | config
        self._numbers = itertools.count()
        self.workers: dict[int, Worker] = {}

    # --- processes ---

    def start(self, parties: Iterable[int] = range(3)) -> None:
        """Start the three workers, or some of them."""
        for party in parties:
            self.workers[party] = self._start(party)

    def _start(self, party: int) -> Worker:
        credentials = self.directory / f"credentials-{party}"
        self.authority.issue(Identity.worker(NAMESPACE, UID, EPOCH, party)).write(credentials)
        report = self.directory / f"report-{party}.json"
        config = {
            "namespace": NAMESPACE,
            "uid": UID,
            "name": NAME,
            "epoch": EPOCH,
            "party": party,
            "protocol": self.protocol,
            "listen": _here(self._ports.front[party]),
            "peer_listen": _here(self._ports.peer[party]),
            "peers": {str(peer): _here(self._ports.peer[peer]) for peer in range(3) if peer != party},
            "credentials": str(credentials),
            "report": str(report),
        }
        path = self.directory / f"worker-{party}.json"
        path.write_text(json.dumps(config | self._config))
        command = [sys.executable, *(part.format(party=party) for part in self._worker), "--config", str(path)]
        log = self.directory / f"worker-{party}.log"
        with log.open("wb") as stderr:
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=stderr, cwd=ROOT)
        return Worker(process, report, log)

    def start_sharing(self, *options: str, model: Path = MODEL) -> Callable[[], SharingJob]:
        """Start a sharing job; what is returned waits for its end."""
        number = next(self._numbers)
        credentials = self.directory / f"sharing-{number}-credentials"
        self.credentials(Identity.sharing_job(NAMESPACE, UID, EPOCH)).write(credentials)
        report, log = (self.directory / f"sharing-{number}.{end}" for end in ("json", "log"))
        command = [sys.executable, *self._sharing, "--model", str(model), "--credentials", str(credentials)]
        for port in self._ports.front:
            command += ["--worker", f"{ports.HOST}:{port}"]
        command += ["--report", str(report), "--timeout", str(TIMEOUT_S), "--protocol", self.protocol, *options]
        with log.open("wb") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output, cwd=ROOT)

        def ended() -> SharingJob:
            try:
                code = process.wait(TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise
            return SharingJob(code, json.loads(report.read_text()), log.read_text())

        return ended

    def share(self, model: Path = MODEL) -> None:
        """Share the example, or another model; the workers serve once this returns."""
        job = self.start_sharing(model=model)()
        assert job.code == 0, job.log

    def serve(self, model: Path = MODEL) -> Self:
        """Start the workers and share the example, or another model."""
        self.start()
        self.share(model)
        return self

    def ended(self, timeout_s: float = TIMEOUT_S) -> list[int]:
        """The exit codes of the workers."""
        return [worker.ended(timeout_s) for worker in self.workers.values()]

    def terminate(self) -> None:
        """Ask all workers to end, and wait until they have."""
        for worker in self.workers.values():
            worker.signal(signal.SIGTERM)
        self.ended()

    # --- talking to the workers ---

    def credentials(self, identity: Identity) -> Credentials:
        return self.authority.issue(identity)

    def client_credentials(self, name: str = "alice") -> Credentials:
        return self.credentials(Identity.of_client(NAMESPACE, UID, name))

    def address(self, party: int) -> tuple[str, int]:
        """Where clients find a worker."""
        return ports.HOST, self._ports.front[party]

    @property
    def ports(self) -> frozenset[int]:
        """All ports that the workers listen on."""
        return frozenset((*self._ports.front, *self._ports.peer))

    def peer_address(self, party: int) -> tuple[str, int]:
        """Where the other two workers find it."""
        return ports.HOST, self._ports.peer[party]

    def connection(self, credentials: Credentials | None = None, *, name: str = "alice") -> Connection:
        """What a client needs, with its own certificate."""
        first, second, third = (f"https://{host}:{port}" for host, port in map(self.address, range(3)))
        return Connection(NAME, NAMESPACE, UID, (first, second, third), credentials or self.client_credentials(name))

    def ask(
        self,
        party: int,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        context: ssl.SSLContext | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> Reply:
        """One HTTPS request on a connection of its own; by a client unless `context` is somebody else's."""
        context = context or client_context(self.client_credentials())
        host, port = self.address(party)
        with closing(http.client.HTTPSConnection(host, port, context=context, timeout=timeout_s)) as connection:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return Reply(response.status, dict(response.headers), response.read())

    def status(self, party: int) -> Any:
        return self.ask(party, "GET", "/triveni/v1/status").document

    def wait_for_state(self, state: str) -> None:
        """Wait until all three workers are in a state."""
        wait_until(lambda: [self._state(party) for party in range(3)] == [state] * 3)

    def _state(self, party: int) -> Any:
        try:
            return self.status(party)["state"]
        except ConnectionRefusedError:
            return None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for worker in self.workers.values():
            if worker.process.poll() is None:
                worker.process.kill()
            worker.process.wait()


@dataclass(frozen=True)
class Part:
    """What one worker gets of a request."""

    body: bytes
    headers: Mapping[str, str]


def parts_of(request_id: str, components: Sequence[NDArray[np.int64]], protocol: str = "ABY3") -> list[Part]:
    """A request from the components of its rows, for the three workers; one that holds none is told how many rows."""
    parts = []
    for party in range(3):
        tensors = [Tensor(f"component_{c}", components[c]) for c in components_of(party, protocol)]
        header = {"id": request_id, **({} if tensors else {"parameters": {"rows": len(components[0])}})}
        length, chunks = encode(header, tensors)
        parts.append(Part(b"".join(chunks), {HEADER_LENGTH: str(length)}))
    return parts


class BareClient:
    """A client that speaks the bare protocol: one kept connection to each worker, one request at a time."""

    def __init__(self, cluster: Cluster, name: str = "bare") -> None:
        context = client_context(cluster.client_credentials(name))
        self._connections = [
            http.client.HTTPSConnection(*cluster.address(party), context=context, timeout=TIMEOUT_S)
            for party in range(3)
        ]

    def send(self, parts: Sequence[Part]) -> list[Reply]:
        """Send a request's three parts at once; the three answers."""
        for connection, part in zip(self._connections, parts, strict=True):
            connection.request("POST", INFER, part.body, dict(part.headers))
        responses = [connection.getresponse() for connection in self._connections]
        return [Reply(response.status, dict(response.headers), response.read()) for response in responses]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for connection in self._connections:
            connection.close()


def revealed(replies: Sequence[Reply], protocol: str = "ABY3") -> NDArray[np.float64]:
    """The answer from the three workers' replies; components that several hold have to agree."""
    components: dict[int, NDArray[np.int64]] = {}
    for party, reply in enumerate(replies):
        assert reply.status == 200, reply.refusal
        _, tensors = decode(reply.body, reply.headers[HEADER_LENGTH], "outputs")
        for component, tensor in zip(components_of(party, protocol), tensors, strict=True):
            assert np.array_equal(tensor.data, components.setdefault(component, tensor.data))
    return fixed_point(protocol).decode(reveal(*components.values()))


def _here(port: int) -> dict[str, Any]:
    return {"host": ports.HOST, "port": port}
