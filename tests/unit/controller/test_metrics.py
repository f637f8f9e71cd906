"""What a scrape of the operator shows."""

import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from triveni.controller.metrics import Metrics

Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


def scrape(metrics: Metrics) -> Series:
    families = text_string_to_metric_families(metrics.render().decode())
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def one(metrics: Metrics, series: str, /, **labels: str) -> float | None:
    return scrape(metrics).get((series, tuple(sorted(labels.items()))))


def test_every_outcome_is_there_before_anything_was_reconciled(metrics: Metrics) -> None:
    for outcome in ("ok", "error", "conflict"):
        assert one(metrics, "triveni_reconciles_total", outcome=outcome) == 0


def test_a_reconciliation_is_counted_by_outcome_and_timed(metrics: Metrics) -> None:
    metrics.reconciled("ok", 0.02)
    metrics.reconciled("ok", 0.2)
    metrics.reconciled("error", 3.0)
    metrics.failed("Unavailable")
    assert one(metrics, "triveni_reconciles_total", outcome="ok") == 2
    assert one(metrics, "triveni_reconciles_total", outcome="error") == 1
    assert one(metrics, "triveni_reconcile_errors_total", reason="Unavailable") == 1
    assert one(metrics, "triveni_reconcile_seconds_count") == 3
    assert one(metrics, "triveni_reconcile_seconds_bucket", le="0.25") == 2


def test_models_are_counted_anew_each_time(metrics: Metrics) -> None:
    metrics.models({("Ready", "True"): 2, ("Ready", "False"): 1})
    metrics.models({("Ready", "True"): 3})
    assert one(metrics, "triveni_securemodels", condition="Ready", status="True") == 3
    assert one(metrics, "triveni_securemodels", condition="Ready", status="False") is None


def test_a_deleted_model_leaves_no_series_and_another_keeps_its_own(metrics: Metrics) -> None:
    for name in ("mnist", "other"):
        metrics.epoch_ended("bank", name, "WorkerLost", 2)
        metrics.epoch_ended("bank", name, "QuotaReached", 1)
    assert one(metrics, "triveni_requests_charged_total", namespace="bank", name="mnist") == 3
    metrics.forget("bank", "mnist")
    metrics.forget("bank", "never seen")
    left = {labels for _, labels in scrape(metrics) if ("namespace", "bank") in labels}
    assert {dict(labels)["name"] for labels in left} == {"other"}
    assert one(metrics, "triveni_epochs_total", namespace="bank", name="other", outcome="QuotaReached") == 1


def test_leader_and_queue_are_looked_up_when_asked(metrics: Metrics) -> None:
    leading, waiting = False, [1.5, 0.5]
    metrics.watch(leading=lambda: leading, queue=lambda: len(waiting), oldest=lambda: max(waiting, default=0.0))
    assert one(metrics, "triveni_leader") == 0
    assert one(metrics, "triveni_reconcile_oldest_pending_seconds") == 1.5
    leading, waiting = True, []
    assert one(metrics, "triveni_leader") == 1
    assert one(metrics, "triveni_reconcile_queue_length") == 0
    assert one(metrics, "triveni_reconcile_oldest_pending_seconds") == 0


def test_the_operators_memory_and_version_are_shown(metrics: Metrics) -> None:
    names = {name for name, _ in scrape(metrics)}
    assert {"process_resident_memory_bytes", "process_cpu_seconds_total", "triveni_build_info"} <= names


def test_every_series_of_ours_says_what_it_is_and_none_tells_when_it_was_made(metrics: Metrics) -> None:
    metrics.epoch_ended("bank", "mnist", "QuotaReached", 3)
    text = metrics.render().decode()
    assert "_created" not in text
    for name in set(re.findall(r"^# TYPE (triveni_\w+)", text, re.MULTILINE)):
        assert re.search(rf"^# HELP {name} \w.{{3,}}$", text, re.MULTILINE)
