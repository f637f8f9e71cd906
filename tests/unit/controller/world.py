"""A cluster whose kubelet, workers and clients are played, and what they do is written down to be compared."""

from __future__ import annotations

import asyncio
import base64
import copy
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.unit.controller.fake_cluster import NAMESPACE, FakeCluster, Killed
from triveni.api.status import Status
from triveni.controller.metrics import Metrics
from triveni.controller.objects import Settings
from triveni.controller.reconciler import Reconciler
from triveni.controller.workqueue import Key

KEY = Key(NAMESPACE, "mnist")

OWNERS: dict[str, Any] = {"source": {"owner": {}}}
"""The `spec.model` of a model that its owner shares."""

SPEC: dict[str, Any] = {"model": {"source": {"configMap": {"name": "m", "key": "k"}}}, "requestQuota": 10}


class World:
    """One SecureModel, its operator, its workers and its clients."""

    def __init__(self, **spec: Any) -> None:
        self.cluster = FakeCluster()
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.cluster.now = lambda: self.now
        self.cluster.put(
            {
                "apiVersion": "triveni.dev/v1alpha1",
                "kind": "SecureModel",
                "metadata": {"name": "mnist"},
                "spec": {**copy.deepcopy(SPEC), **spec},
            }
        )
        self.operator = self._new_operator()
        self.cluster.deleted = self._deleted
        self.cluster.told_to_end = self._told_to_end
        self._news = False
        self.answered = 0
        """Requests that a client got an answer to."""
        self.released: dict[tuple[int, int], int] = {}
        """Answer shares released, by epoch and party."""
        self.handed_over: dict[str, int] = {}
        """How many objects had been created when the owner handed over the shares of an epoch."""

    # --- the operator ---

    def reconcile(self) -> None:
        """Let the operator look at the SecureModel until it has nothing to do now."""
        asyncio.run(self._until_quiet())

    def reconcile_and_die(self, calls: int, *, after: bool) -> None:
        """The same, with the operator killed around one of its calls and started anew."""
        self.cluster.kill_in(calls, after=after)
        try:
            asyncio.run(self._until_quiet())
        except Killed:
            self.operator = self._new_operator()
        self.cluster.spare()

    def bring_up(self) -> None:
        """Let an epoch come to serve, if one may start."""
        self.reconcile()
        self.run_pods()
        self.reconcile()
        self.ask_to_share()
        self.reconcile()
        self.share()
        self.hand_over()
        self.run_pods()
        self.reconcile()

    async def _until_quiet(self) -> None:
        for _ in range(30):
            self._news = False
            again = await self.operator.reconcile(KEY)
            if (again is None or again > 0) and not self._news:
                return
        raise AssertionError("the operator does not come to rest")

    def _new_operator(self) -> Reconciler:
        settings = Settings(worker_image="worker")
        return Reconciler(self.cluster, settings, Metrics(), lambda: self.now)  # type: ignore[arg-type]

    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.now += timedelta(seconds=seconds)

    @property
    def status(self) -> Status:
        """What the operator has recorded."""
        return Status.read(self.cluster.model().get("status"))

    def reason(self, condition: str) -> tuple[str, str]:
        """Status and reason of a condition."""
        found = next(c for c in self.status.conditions if c.type == condition)
        return found.status, found.reason

    # --- kubelet and workers ---

    def pods(self) -> list[dict[str, Any]]:
        """The worker pods that have not ended."""
        return [pod for pod in self.cluster.of("Pod") if pod.get("status", {}).get("phase") != "Failed"]

    def run_pods(self) -> None:
        """Nodes are found, containers start."""
        for index, pod in enumerate(self.pods()):
            pod["spec"]["nodeName"] = f"node{index % 3 + 1}"
            pod["status"] = {"phase": "Running", "containerStatuses": [{"state": {"running": {}}}]}
            if self.is_shared(pod):
                pod["status"]["conditions"] = [{"type": "Ready", "status": "True"}]

    def share(self, *, reason: str = "Shared", permanent: bool = False) -> None:
        """The sharing job ends."""
        for job in self.cluster.of("Job"):
            if job.get("status"):
                continue
            good = reason == "Shared"
            job["status"] = {"conditions": [{"type": "Complete" if good else "Failed", "status": "True"}]}
            words = {"reason": reason, "message": "said the job", "permanent": permanent}
            labels = job["spec"]["template"]["metadata"]["labels"] | {
                "batch.kubernetes.io/job-name": job["metadata"]["name"]
            }
            terminated = {"exitCode": 0 if good else 1, "message": json.dumps(words)}
            owner = {"uid": job["metadata"]["uid"]}
            self.cluster.put(
                {
                    "apiVersion": "v1",
                    "kind": "Pod",
                    "metadata": {
                        "name": f"{job['metadata']['name']}-x",
                        "labels": labels,
                        "ownerReferences": [owner],
                    },
                    "spec": {},
                    "status": {"phase": "Failed", "containerStatuses": [{"state": {"terminated": terminated}}]},
                }
            )

    def ask_to_share(self) -> None:
        """The owner says that the model is about to be shared in the newest epoch."""
        model = self.cluster.model()
        if "owner" in model["spec"]["model"]["source"] and self.status.epoch is not None:
            model["metadata"]["annotations"] = {"triveni.dev/share": str(self.status.epoch.number)}
            self.cluster.touch(model)

    def hand_over(self) -> None:
        """The owner hands out the shares, if there are credentials for it and workers that take them."""
        secret = self.cluster.objects.get(("Secret", "mnist-owner"))
        epoch = secret["metadata"]["labels"]["triveni.dev/epoch"] if secret else None
        running = [pod for pod in self.pods() if pod.get("status") and str(who(pod)[0]) == epoch]
        if epoch is not None and len(running) == 3:
            self.handed_over.setdefault(epoch, len(self.cluster.created))

    def is_shared(self, pod: dict[str, Any]) -> bool:
        """Whether the workers of this pod's epoch were given their shares."""
        epoch = pod["metadata"]["labels"]["triveni.dev/epoch"]
        if epoch in self.handed_over:
            return True
        jobs = [job for job in self.cluster.of("Job") if job["metadata"]["labels"]["triveni.dev/epoch"] == epoch]
        return any(job.get("status", {}).get("conditions", [{}])[0].get("type") == "Complete" for job in jobs)

    def serve(self, rows: int, *, released_by: int = 3) -> int:
        """Clients ask; `released_by` workers release their share of the last answer. How many were answered."""
        pods = {who(pod): pod for pod in self.pods() if pod.get("status") and self.is_shared(pod)}
        epochs = {epoch for epoch, _ in pods}
        if len(pods) != 3 or len(epochs) != 1:
            return 0
        (epoch,) = epochs
        grant = json.loads(_secret_config(self.cluster, epoch))["grant"]
        done = max(self.released.get((epoch, party), 0) for party in range(3))
        rows = rows if grant is None else min(rows, grant - done)
        if rows <= 0:
            return 0
        answered = rows if released_by == 3 else rows - 1
        for party in range(3):
            self.released[epoch, party] = done + (rows if party < released_by else rows - 1)
        self.answered += answered
        if grant is not None and self.released[epoch, 0] >= grant and released_by == 3:
            self.end_workers(reason="QuotaReached")
        return answered

    def end_workers(self, *, reason: str = "Terminated", parties: tuple[int, ...] = (0, 1, 2)) -> None:
        """Workers end and report."""
        for pod in self.pods():
            epoch, party = who(pod)
            if party in parties:
                self._end(pod, self.report(epoch, party, reason))

    def kill_worker(self, party: int) -> None:
        """A worker is killed and says nothing; the other two notice and end."""
        for pod in self.pods():
            epoch, index = who(pod)
            self._end(pod, None if index == party else self.report(epoch, index, "PeerLost"))

    def delete_pod(self, party: int, *, seen: bool) -> None:
        """Somebody deletes a pod; the operator hears its last words only if `seen`. The other two end."""
        for pod in self.pods():
            epoch, index = who(pod)
            if index != party:
                self._end(pod, self.report(epoch, index, "PeerLost"))
                continue
            self._end(pod, self.report(epoch, index, "Terminated"))
            self.cluster.remove(pod)
            if seen:
                self.operator.departed.remember(pod)

    def _told_to_end(self, pod: dict[str, Any]) -> None:
        """The operator has given a pod a deadline: its worker ends, and the pod stays."""
        self._end(pod, self.report(*who(pod), "Terminated"))
        self._news = True

    def _deleted(self, pod: dict[str, Any]) -> None:
        """The operator has deleted a pod: its worker ends, and its last words are seen by the watch."""
        epoch, party = who(pod)
        if party >= 0 and pod.get("status", {}).get("phase") == "Running":
            self._end(pod, self.report(epoch, party, "Terminated"))
        self.operator.departed.remember(pod)
        self._news = True

    def report(self, epoch: int, party: int, reason: str) -> dict[str, Any]:
        """The report of a worker."""
        answered = self.released.get((epoch, party), 0)
        receipt = {
            "epoch": epoch,
            "party": party,
            "erased_at": "2026-01-01T00:00:00.000+00:00",
            "program_digest": "d",
            "bytes_erased": 1,
        }
        return {
            "epoch": epoch,
            "party": party,
            "admitted": max(self.released.get((epoch, p), 0) for p in range(3)),
            "answered": answered,
            "reason": reason,
            "message": reason,
            "receipt": receipt,
        }

    def _end(self, pod: dict[str, Any], report: dict[str, Any] | None) -> None:
        terminated = {"exitCode": 1, "message": json.dumps(report) if report else ""}
        pod["status"] = {"phase": "Failed", "containerStatuses": [{"state": {"terminated": terminated}}]}


def who(pod: dict[str, Any]) -> tuple[int, int]:
    """Epoch and party of a worker pod; of the job's pod the party is -1."""
    labels = pod["metadata"]["labels"]
    return int(labels["triveni.dev/epoch"]), int(labels.get("triveni.dev/party", -1))


def _secret_config(cluster: FakeCluster, epoch: int) -> bytes:
    secret = cluster.objects["Secret", f"mnist-e{epoch}-worker-0"]
    return base64.b64decode(secret["data"]["config.json"])
