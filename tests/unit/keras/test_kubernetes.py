"""`serve` on Kubernetes, with a cluster that is played: at the edge where the API server would be."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from triveni.client import Connection, QuotaReached
from triveni.client.cluster import Target
from triveni.client.cluster.errors import ApiUnreachable, NotProvisioned, SharedAlready
from triveni.identity.credentials import Credentials
from triveni.keras import Occupied, ServingFailed, TFECluster, kubernetes
from triveni.keras.kubernetes import KubernetesCluster
from triveni.keras.offer import Offer
from triveni.mpc.architecture import Architecture, Dense
from triveni.sharing.failures import WorkerUnreachable
from triveni.sharing.keras_file import KerasModel

CONNECTION = Connection(
    "mnist", "team-a", "uid", ("https://a:1", "https://b:1", "https://c:1"), Credentials(b"", b"", b"")
)


class Played:
    """An operator, its API server and three workers: each look at the SecureModel is a moment that passes.

    `events` are what happens in the moments after a sharing, each a change of this object.
    """

    def __init__(self) -> None:
        self.model: dict[str, Any] | None = None
        self.charged = self.served = self.epoch = 0
        self.phase = ""
        self.specs: list[dict[str, Any]] = []
        self.handed_over: list[int] = []
        self.ended: list[int] = []
        self.failures: list[Exception] = []
        self.events: list[Callable[[], None]] = []
        self.silent = 0

    # --- what the notebook calls ---

    async def of(self, target: Target) -> Any:
        return SimpleNamespace(namespace="team-a")

    async def get(self, kind: Any, name: str) -> Any:
        if self.silent:
            self.silent -= 1
            raise ApiUnreachable("https://api", "no answer")
        if self.epoch in self.handed_over and self.events:
            self.events.pop(0)()
        return self.document()

    async def merge(self, kind: Any, name: str, patch: dict[str, Any]) -> None:
        self.specs[-1] |= patch["spec"]

    async def apply(self, target: Target, spec: dict[str, Any]) -> None:
        self.specs.append(spec)
        self.model = {"metadata": {"name": "mnist", "generation": 1}}
        if self.phase != "Serving":
            self.next_epoch()

    async def delete(self, target: Target) -> bool:
        existed, self.model = self.model is not None, None
        return existed

    async def end_epoch(self, target: Target, *, within: float) -> None:
        self.ended.append(self.epoch)
        self.next_epoch()

    @asynccontextmanager
    async def reach_to_share(self, target: Target, *, within: float) -> AsyncIterator[Any]:
        if self.phase == "Serving":
            raise SharedAlready("mnist", self.epoch)
        yield SimpleNamespace(
            workers=(("h", 1), ("h", 2), ("h", 3)), credentials=0, identity=0, epoch=self.epoch, protocol="ABY3"
        )

    async def hand_over(self, shares: Any, protocol: str, *_: Any) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.handed_over.append(self.epoch)
        self.phase = "Serving"

    # --- what happens ---

    def next_epoch(self) -> None:
        self.epoch, self.phase = self.epoch + 1, "Started"

    def answer(self) -> None:
        self.served += 1

    def reach_quota(self) -> None:
        self.charged, self.phase = self.served, "Ended"

    def document(self) -> Any:
        if self.model is None:
            return None
        quota = self.specs[-1].get("requestQuota")
        reached = quota is not None and self.charged >= quota
        status = {
            "observedGeneration": 1,
            "served": self.served,
            "quota": {"charged": self.charged},
            "epoch": {"number": self.epoch, "phase": self.phase},
            "conditions": [{"type": "QuotaReached", "status": str(reached)}],
        }
        return self.model | {"status": status}


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Played:
    played = Played()

    @asynccontextmanager
    async def api(*_: Any) -> AsyncIterator[Played]:
        yield played

    replaced = {
        "Api": api,
        "Access": SimpleNamespace(of=played.of),
        "apply_model": played.apply,
        "delete_model": played.delete,
        "end_epoch": played.end_epoch,
        "reach_to_share": played.reach_to_share,
        "hand_over": played.hand_over,
        "LOOK_S": 0.001,
    }
    for name, value in replaced.items():
        monkeypatch.setattr(kubernetes, name, value)
    monkeypatch.setattr(Offer, "split", lambda _self, _protocol: "the model")
    return played


@pytest.fixture
def cluster() -> KubernetesCluster:
    return TFECluster.kubernetes("team-a", "mnist")


MODEL = KerasModel(Architecture((4,), (Dense("d", 2),)), {})


def serve(cluster: KubernetesCluster, num_requests: int | None) -> None:
    cluster.serve(Offer(MODEL), "ABY3", num_requests)


def test_a_model_is_applied_shared_and_told_of_to_its_limit(
    played: Played, cluster: KubernetesCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    played.events = [played.answer, played.answer, played.reach_quota]
    cluster.start()
    serve(cluster, 2)
    assert played.specs == [
        {"model": {"source": {"owner": {}}}, "protocol": "ABY3", "suspend": False, "requestQuota": 2}
    ]
    assert played.handed_over == [1]
    assert capsys.readouterr().out.splitlines() == [
        "Three workers hold their shares of the model; 2 requests are answered.",
        "Served encrypted prediction 1 to client.",
        "Served encrypted prediction 2 to client.",
        "Request limit reached: the workers have erased their shares.",
    ]


def test_a_model_that_is_shared_for_answers_of_fewer_bits_is_applied_so(
    played: Played, cluster: KubernetesCluster
) -> None:
    played.events = [played.answer, played.reach_quota]
    cluster.serve(Offer(MODEL.answering(8)), "ABY3", 1)
    assert played.specs[0]["answer"] == {"fractionalBits": 8}


def test_a_second_serve_raises_the_quota_by_as_much_and_counts_from_1(
    played: Played, cluster: KubernetesCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    for requests in (2, 1):
        played.events = [*[played.answer] * requests, played.reach_quota]
        serve(cluster, requests)
    assert [spec["requestQuota"] for spec in played.specs] == [2, 3]
    assert played.handed_over == [1, 2]
    assert "Served encrypted prediction 3" not in capsys.readouterr().out


def test_after_a_lost_worker_the_next_epoch_is_shared_too(played: Played, cluster: KubernetesCluster) -> None:
    played.events = [played.answer, played.next_epoch, lambda: None, played.answer, played.reach_quota]
    serve(cluster, 2)
    assert played.handed_over == [1, 2]


def test_what_somebody_else_shared_makes_way(played: Played, cluster: KubernetesCluster) -> None:
    played.epoch, played.phase, played.events = 4, "Serving", [played.answer, played.reach_quota]
    serve(cluster, 1)
    assert (played.ended, played.handed_over) == ([4], [5])


def test_a_failed_sharing_is_tried_again_in_a_new_epoch_but_not_for_ever(
    played: Played, cluster: KubernetesCluster
) -> None:
    lost = WorkerUnreachable(1, "worker", "gone")
    played.failures, played.events = [lost, lost], [played.answer, played.reach_quota]
    serve(cluster, 1)
    assert played.handed_over == [3]
    played.failures = [lost, lost, lost]
    with pytest.raises(ServingFailed, match="worker 1 at worker: gone"):
        serve(cluster, 1)


def test_a_moment_without_the_api_server_is_waited_out(played: Played, cluster: KubernetesCluster) -> None:
    def be_silent() -> None:
        played.silent = 2

    played.events = [be_silent, played.answer, played.reach_quota]
    serve(cluster, 1)
    assert played.handed_over == [1]


def test_a_deleted_model_is_an_error(played: Played, cluster: KubernetesCluster) -> None:
    played.events = [lambda: setattr(played, "model", None)]
    with pytest.raises(ServingFailed, match="SecureModel mnist was deleted"):
        serve(cluster, None)


def test_stopping_suspends_and_the_clusters_stop_deletes(
    played: Played, cluster: KubernetesCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    serving = threading.Event()
    played.events = [serving.set]
    thread = threading.Thread(target=serve, args=(cluster, None))
    thread.start()
    assert serving.wait(30)
    with pytest.raises(Occupied):
        cluster.require_free("share")
    cluster.stop_serving()
    thread.join(30)
    assert played.specs[-1]["suspend"] is True
    assert "requestQuota" not in played.specs[-1]
    assert "Serving stopped" in capsys.readouterr().out
    cluster.stop()
    cluster.stop()
    assert played.model is None


def test_a_client_waits_until_the_model_is_provisioned(
    played: Played, cluster: KubernetesCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[Exception] = [NotProvisioned("mnist", "team-a", "no epoch yet")]
    closed = []

    @asynccontextmanager
    async def reach(target: Target) -> AsyncIterator[Connection]:
        if left:
            raise left.pop()
        yield CONNECTION
        await asyncio.sleep(0)
        closed.append(True)

    monkeypatch.setattr(kubernetes, "reach", reach)
    with cluster.reach(10.0) as connection:
        assert connection is CONNECTION
        assert not closed
    assert closed
    left.append(QuotaReached("request quota reached"))
    with pytest.raises(QuotaReached), cluster.reach(10.0):
        raise AssertionError


def test_three_workers_are_shown(cluster: KubernetesCluster) -> None:
    assert len(cluster.workers) == 3
