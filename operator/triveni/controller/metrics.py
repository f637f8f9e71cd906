"""What the operator counts, for Prometheus. Every name and label that it exports stands here.

Counters begin at zero with each process, as counters do: totals that must last are in the status of the SecureModel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

import triveni

Outcome = Literal["ok", "error", "conflict"]
"""Of a reconciliation. A conflict is no error: somebody else was faster, and it is done again from what is there."""

BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

CONTENT_TYPE = CONTENT_TYPE_LATEST


class Metrics:
    """The operator's metrics, in a registry of their own."""

    def __init__(self) -> None:
        disable_created_metrics()  # a second series for each counter, which nobody asks for
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        build = Gauge("triveni_build_info", "1, with the version of the operator", ["version"], registry=registry)
        build.labels(triveni.__version__).set(1)
        self._reconciles = Counter(
            "triveni_reconciles_total", "Reconciliations of a SecureModel", ["outcome"], registry=registry
        )
        for outcome in get_args(Outcome):
            self._reconciles.labels(outcome)  # there from the start, so that the first error is a rise from zero
        self._seconds = Histogram(
            "triveni_reconcile_seconds", "How long a reconciliation takes", registry=registry, buckets=BUCKETS_S
        )
        self._errors = Counter(
            "triveni_reconcile_errors_total", "Reconciliations that failed, by reason", ["reason"], registry=registry
        )
        self._models = Gauge(
            "triveni_securemodels", "SecureModels by condition", ["condition", "status"], registry=registry
        )
        self._charged = Counter(
            "triveni_requests_charged_total",
            "Requests charged to the request quota since this operator started",
            ["namespace", "name"],
            registry=registry,
        )
        self._epochs = Counter(
            "triveni_epochs_total",
            "Epochs that ended since this operator started, by how",
            ["namespace", "name", "outcome"],
            registry=registry,
        )
        self._leader = Gauge("triveni_leader", "1 in the replica that acts, 0 in one that waits", registry=registry)
        self._queue = Gauge(
            "triveni_reconcile_queue_length", "SecureModels that wait to be reconciled", registry=registry
        )
        self._oldest = Gauge(
            "triveni_reconcile_oldest_pending_seconds",
            "How long the one that waits longest has been waiting, 0 if none waits",
            registry=registry,
        )

    def render(self) -> bytes:
        """Everything, in the text format, as `CONTENT_TYPE` says."""
        return generate_latest(self._registry)

    def reconciled(self, outcome: Outcome, seconds: float) -> None:
        """A reconciliation ended."""
        self._reconciles.labels(outcome).inc()
        self._seconds.observe(seconds)

    def failed(self, reason: str) -> None:
        """A reconciliation ended in an error; `reason` is one of few words: a type's name, never a text."""
        self._errors.labels(reason).inc()

    def models(self, counts: Mapping[tuple[str, str], int]) -> None:
        """How many SecureModels have each condition in each status; what is not among them has none."""
        self._models.clear()
        for (condition, status), count in counts.items():
            self._models.labels(condition, status).set(count)

    def epoch_ended(self, namespace: str, name: str, outcome: str, charged: int) -> None:
        """An epoch of a SecureModel ended, and this is what was charged for it."""
        self._charged.labels(namespace, name).inc(charged)
        self._epochs.labels(namespace, name, outcome).inc()

    def forget(self, namespace: str, name: str) -> None:
        """A SecureModel is gone: so are its series."""
        for counter in (self._charged, self._epochs):
            counter.remove_by_labels({"namespace": namespace, "name": name})

    def watch(self, *, leading: Callable[[], bool], queue: Callable[[], int], oldest: Callable[[], float]) -> None:
        """Where to look when asked: whether this replica leads, how many wait, and how long the oldest has waited."""
        self._leader.set_function(lambda: float(leading()))
        self._queue.set_function(lambda: float(queue()))
        self._oldest.set_function(oldest)
