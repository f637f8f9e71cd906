from __future__ import annotations

import re

from docs.generate.headings import anchors_of, headings
from docs.generate.reasons import all_reasons, condition_reasons, sharing_failures
from tests.docs.pages import ROOT
from triveni.api.inference import Reason

ANCHORS = set(anchors_of("runbook.md"))

RULES = ROOT / "charts/triveni/templates/prometheusrule.yaml"

OF_KUBERNETES = {"ImagePullBackOff", "CreateContainerConfigError", "OOMKilled", "Evicted", "Error"}
"""Words that are passed on: they have an entry, and no code of ours gives them."""


def alerts() -> set[str]:
    return set(re.findall(r"- alert: (\w+)", RULES.read_text()))


def test_reasons_are_found_where_the_code_gives_them() -> None:
    assert {"Together", "Serving", "InvalidSpec", "GaveUp", "PeerLost"} <= all_reasons()
    assert {found.condition for found in condition_reasons()} >= {"Accepted", "WorkersReady", "Shared", "Ready"}
    assert {kind.reason for kind in sharing_failures()} >= {"UnsupportedLayer", "WorkerRefused", "Interrupted"}
    assert len(alerts()) >= 4


def test_every_reason_of_a_condition_has_an_entry_in_the_runbook() -> None:
    missing = {reason for reason in all_reasons() if reason.lower() not in ANCHORS}
    assert not missing, "write an entry `### REASON` in docs/runbook.md"


def test_every_alert_has_an_entry_in_the_runbook() -> None:
    missing = {alert for alert in alerts() if alert.lower() not in ANCHORS}
    assert not missing, "write an entry `### ALERT` in docs/runbook.md"


def test_no_entry_of_the_runbook_is_about_something_that_is_not_there() -> None:
    known = all_reasons() | alerts() | OF_KUBERNETES
    entries = [text for text, _ in headings("runbook.md") if re.fullmatch(r"[A-Z]\w+", text) and text != "Runbook"]
    assert not [entry for entry in entries if entry not in known | {"Alerts"}]


def test_every_refusal_of_a_worker_is_explained_to_clients_of_other_languages() -> None:
    explained = anchors_of("clients/protocol.md")
    assert not [reason for reason in Reason if reason.lower() not in explained]
