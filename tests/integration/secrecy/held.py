"""An epoch that is watched from outside: its workers write nothing down, its packets are captured, and the memory of
its processes is searched for the canary and for what each worker was given itself: while it serves, while one worker
holds an input that was not shared, and after all three have erased.

The model's shares are those that the sharing job notes, the input's are made here, the keys are noted by the workers.
"""

from __future__ import annotations

import http.client
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.integration.cluster import (
    INFER,
    NAME,
    TIMEOUT_S,
    BareClient,
    Cluster,
    parts_of,
    revealed,
    wait_until,
)
from tests.integration.secrecy.canary import IMAGE, Canary, Search
from tests.integration.secrecy.capture import Capture, Connection
from tests.integration.secrecy.holding_worker import recorded_keys
from tests.integration.secrecy.memory import held_still, is_stopped, pages
from tests.integration.secrecy.search import Hit
from triveni.identity.tls import client_context
from triveni.mpc.fixedpoint import fixed_point
from triveni.mpc.sharing import components_of, split

REQUESTS = 12

PATHS = ("/v2", f"/v2/models/{NAME}", "/triveni/v1/status")
"""Of the documents that a worker tells."""

PLAIN = ("SecureNN", 1)
"""The one worker whose freed memory is not overwritten: what is found in it shows what the others would hold."""

HOLDING = "tests.integration.secrecy.holding_worker"
NOTING = "tests.integration.secrecy.noting_sharing"


@dataclass(frozen=True)
class Found:
    """What was found in a process: hits of the canary, and how many words of its own shares and keys."""

    canary: set[Hit]
    own: Mapping[str, int]


@dataclass(frozen=True)
class Held:
    """All that is known of the epoch; `written` is every file that its processes made, and every document they told."""

    protocol: str
    sharing_job: Found
    serving: Sequence[Found]
    given_the_input: Found
    erased: Sequence[Found]
    reports: Sequence[Mapping[str, object]]
    written: Mapping[str, bytes]
    packets: Sequence[bytes]
    connections: Sequence[Connection]


@dataclass(frozen=True)
class Places:
    """Where things are written: what the tests note, what the processes write, and what they may have forgotten."""

    notes: Path
    run: Path
    scratch: Path

    def written(self) -> dict[str, bytes]:
        files = [path for folder in (self.run, self.scratch) for path in folder.rglob("*") if path.is_file()]
        return {str(path): path.read_bytes() for path in files}


class _Watch:
    """The epoch while it is watched; what was given to each worker is what is known so far."""

    def __init__(self, cluster: Cluster, places: Places, canary: Canary) -> None:
        self._cluster, self._places, self._canary = cluster, places, canary
        words = fixed_point(cluster.protocol).encode(IMAGE[np.newaxis], "input")
        self._words = words
        self._components = split(words, cluster.protocol)

    def share(self, model: Path) -> Found:
        """Start everything; what is found in the sharing job when it has split the model."""
        self._cluster.start()
        ended = self._cluster.start_sharing(model=model)
        note = self._places.notes / "pid"
        wait_until(lambda: note.exists() and is_stopped(int(note.read_text() or os.getpid())))
        pid = int(note.read_text())
        found = self._search(pid, {})
        os.kill(pid, signal.SIGCONT)
        job = ended()
        assert job.code == 0, job.log
        return found

    def ask(self, first: int, count: int) -> None:
        """Requests that are all the same."""
        with BareClient(self._cluster) as client:
            for number in range(first, first + count):
                parts = parts_of(f"canary-{number:02}", self._components, self._cluster.protocol)
                revealed(client.send(parts), self._cluster.protocol)

    def serving(self, party: int) -> Found:
        """What is found in a worker that serves, while its part of a request waits for the others'."""
        return self._waiting(party, f"waiting-{party}", self._components)

    def given_the_input(self) -> Found:
        """What is found in worker 0 while a request waits whose input was given to it as it is."""
        zeros = np.zeros_like(self._words)
        return self._waiting(0, "unshared", [self._words, *[zeros] * (len(self._components) - 1)])

    def _waiting(self, party: int, request_id: str, components: Sequence[NDArray[np.int64]]) -> Found:
        cluster = self._cluster
        part = parts_of(request_id, components, cluster.protocol)[party]
        context = client_context(cluster.client_credentials("slow"))
        connection = http.client.HTTPSConnection(*cluster.address(party), context=context, timeout=TIMEOUT_S)
        with closing(connection):
            connection.request("POST", INFER, part.body, dict(part.headers))
            wait_until(lambda: cluster.status(party)["requests_waiting"] == 1)
            pid = cluster.workers[party].process.pid
            with held_still(pid):
                found = self._search(pid, self._own(party))
        wait_until(lambda: cluster.status(party)["requests_waiting"] == 0)
        return found

    def erased(self, party: int) -> Found:
        """What is found in a worker at its very end."""
        pid = self._cluster.workers[party].process.pid
        wait_until(lambda: is_stopped(pid))
        return self._search(pid, self._own(party))

    def _own(self, party: int) -> dict[str, NDArray[np.uint64]]:
        keys = recorded_keys(self._places.notes / f"keys-{party}")
        mine = [self._components[number].ravel() for number in components_of(party, self._cluster.protocol)]
        weights = np.load(self._places.notes / f"shares-{party}.npy")
        own = {"weights": weights, "input": np.concatenate([*mine, weights[:0]]), "keys": np.frombuffer(keys, "<i8")}
        return {kind: words.view(np.uint64) for kind, words in own.items()}

    def _search(self, pid: int, own: Mapping[str, NDArray[np.uint64]]) -> Found:
        return Found(*Search(self._canary, own).find(pages(pid)))


def hold(
    directory: Path, programs: Path, model: Path, canary: Canary, protocol: str, patch: pytest.MonkeyPatch
) -> Held:
    """Serve and search."""
    places = Places(directory / "notes", directory / "run", directory / "scratch")
    for folder in (places.notes, places.run, places.scratch):
        folder.mkdir()
    patch.setenv("TMPDIR", str(places.scratch))
    plain = PLAIN[1] if protocol == PLAIN[0] else "none"
    cluster = Cluster(
        places.run,
        programs,
        REQUESTS,
        worker=("-m", HOLDING, str(places.notes / "keys-{party}"), "{party}", str(plain)),
        sharing=("-m", NOTING, str(places.notes)),
        protocol=protocol,
        request_timeout_s=10 * TIMEOUT_S,
    )
    with Capture() as capture, cluster:
        watch = _Watch(cluster, places, canary)
        sharing_job = watch.share(model)
        watch.ask(0, REQUESTS - 1)
        serving = [watch.serving(party) for party in range(3)]
        told = {f"{path} of {party}": _told(cluster, party, path) for path in PATHS for party in range(3)}
        given_the_input = watch.given_the_input()
        watch.ask(REQUESTS - 1, 1)
        erased = [watch.erased(party) for party in range(3)]
        reports = [worker.report for worker in cluster.workers.values()]
    written = places.written() | told
    packets, connections = capture.packets(cluster.ports), capture.connections(cluster.ports)
    return Held(protocol, sharing_job, serving, given_the_input, erased, reports, written, packets, connections)


def _told(cluster: Cluster, party: int, path: str) -> bytes:
    return cluster.ask(party, "GET", path).body
