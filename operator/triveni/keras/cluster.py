"""Three workers that serve together, `TFECluster`: on this machine, or on hosts where somebody starts them."""

from __future__ import annotations

import sys
import tempfile
import time
import uuid
from collections.abc import Coroutine, Iterator
from contextlib import AbstractContextManager, AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from triveni.client import Connection
from triveni.identity.authority import Authority
from triveni.identity.credentials import Credentials
from triveni.identity.names import PARTIES, Identity
from triveni.keras import places
from triveni.keras.background import Say, call, follow
from triveni.keras.bundle import Bundle
from triveni.keras.epoch import Setting
from triveni.keras.errors import NoConnection, NotStarted, Occupied
from triveni.keras.hosts import addresses_of, all_answer, instructions
from triveni.keras.offer import Offer
from triveni.keras.serving import Account, Serving
from triveni.keras.turn import Turn
from triveni.keras.worker import TFEWorker
from triveni.local.processes import Guard, Process, Processes

if TYPE_CHECKING:
    from triveni.keras.kubernetes import KubernetesCluster

NAMESPACE = "notebook"

START_S = 600.0
"""How long somebody may take to run the commands; a worker that is started here and ends is noticed at once."""

LOOK_S = 0.2


class AnyCluster(Protocol):
    """What a model and a client need of a cluster, wherever it is."""

    def require_free(self, doing: str) -> None:
        """NotStarted or Occupied unless a model can be shared and served now."""

    def serve(self, offer: Offer, protocol: str, num_requests: int | None) -> None:
        """Serve a model to its limit, or until it is interrupted or stopped."""

    def stop_serving(self) -> None:
        """End what another thread serves, and wait for that."""

    def stop(self) -> None:
        """End the workers."""

    def reach(self, within: float) -> AbstractContextManager[Connection]:
        """A connection for a client, waited for; NoConnection or a ClientError if there is none within some seconds."""


@dataclass
class _Running:
    """A started cluster. `resources` are its processes and files, closed in the loop that opened them."""

    setting: Setting
    account: Account
    connection: bytes
    resources: AsyncExitStack


class TFECluster:
    """Three workers that compute together on shares.

    Args:
        workers: alice, bob and carol, in this order everywhere.
        connection: the file that tells clients how to reach the workers and holds a client's key. It is written by
            `start`, readable by this user only, and read by clients. None: a place that follows from the hosts, under
            XDG_STATE_HOME or ~/.local/state, so that a notebook of the same user that names the same hosts finds it.

    Raises:
        ValueError: there are not three workers.

    Examples:
        >>> cluster = TFECluster(TFEWorker(), TFEWorker(), TFEWorker())
        >>> len(cluster.workers)
        3
        >>> TFECluster(TFEWorker())
        Traceback (most recent call last):
        ValueError: Expected three workers but 1 were given
    """

    def __init__(self, *workers: TFEWorker, connection: Path | str | None = None) -> None:
        if len(workers) != len(PARTIES):
            raise ValueError(f"Expected three workers but {len(workers)} were given")
        self.workers = list(workers)
        self._connection = Path(connection) if connection else places.default_path([w.host for w in workers])
        self._running: _Running | None = None
        self._serving = Turn()

    @classmethod
    def kubernetes(
        cls,
        namespace: str,
        name: str,
        *,
        context: str | None = None,
        kubeconfig: Path | str | None = None,
    ) -> KubernetesCluster:
        """Three workers on Kubernetes, where the operator runs: a SecureModel whose shares this notebook hands over.

        The plain model never enters the cluster.

        Args:
            namespace, name: of the SecureModel that `serve` applies.
            context, kubeconfig: as kubectl has them, instead of the current ones.
        """
        from triveni.client.cluster import Target
        from triveni.keras.kubernetes import KubernetesCluster

        return KubernetesCluster(Target(name, namespace, context, Path(kubeconfig) if kubeconfig else None))

    @property
    def connection(self) -> Path | None:
        """Where the connection file is; None for a cluster without a place for it that was not started."""
        return self._connection

    def start(self, timeout: float = START_S) -> None:
        """Start the workers, or print what to run on their hosts, and wait until all three answer.

        Again is harmless. Ctrl-C gives up waiting, and leaves nothing behind.

        Args:
            timeout: seconds to wait for all three.

        Raises:
            InvalidHost: a worker cannot be where it is said to be.
            HostsSilent, HostEnded, OtherVersion: the workers cannot be used.
            OSError: a file cannot be written.
        """
        if self._running is None:
            self._running = follow(lambda say: self._start(say, timeout), print)

    async def _start(self, say: Say, within: float) -> _Running:
        addresses = addresses_of(self.workers)
        async with AsyncExitStack() as stack:
            guard = stack.enter_context(Guard())
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="triveni-cluster-")))
            guard.watch("path", str(directory))
            processes = await stack.enter_async_context(Processes(guard))
            authority = Authority.create(NAMESPACE, str(uuid.uuid4()))
            started: dict[int, Process] = {}
            for party, worker in enumerate(self.workers):
                bundle = directory / f"worker-{party}.bundle"
                Bundle.issue(authority, addresses, party).write(bundle)
                if worker.auto_managed:
                    command = [sys.executable, "-m", "triveni.keras.host", str(bundle)]
                    log = directory / f"worker-{party}.log"
                    started[party] = await processes.start(f"worker {party}", command, log)
                else:
                    say(instructions(party, addresses.front[party], bundle))
            await all_answer(authority, addresses, started, within, say)
            watcher, client = (_client(authority, name) for name in ("notebook", "client"))
            path = self._connection = self._connection or directory / "connection.json"
            document = places.connection_document(NAMESPACE, authority.uid, addresses, client)
            places.write_private(path, document)
            guard.watch("path", str(path.absolute()))
            return _Running(Setting(authority, addresses, watcher), Account(), document, stack.pop_all())

    def stop(self) -> None:
        """End the workers that were started here, and say which others to end. Again is harmless."""
        self.stop_serving()
        running, self._running = self._running, None
        if running is None:
            return
        if self._connection:
            places.remove(self._connection, running.connection)
        call(running.resources.aclose())
        for worker in self.workers:
            if not worker.auto_managed:
                print(f"Please end the worker on host {worker.host} (Ctrl-C in its terminal).")

    def require_free(self, doing: str) -> None:
        """NotStarted or Occupied unless a model can be shared and served now."""
        self._started(doing)
        if self._serving.taken:
            raise Occupied(doing)

    def serve(self, offer: Offer, protocol: str, num_requests: int | None) -> None:
        """What `model.serve` does on this cluster."""
        running = self._started("serve")
        with self._serving.take("serve") as stop:
            running.account.grant(num_requests)

            def serving(say: Say) -> Coroutine[Any, Any, int]:
                return Serving(running.setting, offer, protocol, running.account, say).run(stop)

            follow(serving, print, interrupted=stop.set)

    def stop_serving(self) -> None:
        """End what another thread serves, and wait for that."""
        self._serving.end()

    def _started(self, doing: str) -> _Running:
        if self._running is None:
            raise NotStarted(doing)
        return self._running

    @contextmanager
    def reach(self, within: float) -> Iterator[Connection]:
        """What a client needs, from the connection file, which is waited for: the cluster may be about to start.

        Raises:
            NoConnection: there is none within some seconds.
            triveni.client.InvalidConnection: it is none.
        """
        if self._connection is None:
            raise NoConnection("for workers without a host")
        deadline = time.monotonic() + within
        while not self._connection.exists():
            if time.monotonic() > deadline:
                raise NoConnection(str(self._connection))
            time.sleep(LOOK_S)
        yield Connection.read(self._connection)


def _client(authority: Authority, name: str) -> Credentials:
    return authority.issue(Identity.of_client(authority.namespace, authority.uid, name))
