"""How far a SecureModel is on its way to being shared by its owner, from what the API server shows."""

from __future__ import annotations

from typing import Any

import pytest

from triveni.client.cluster.errors import NotShareable, SharedAlready
from triveni.client.cluster.stage import Stage, stage_of
from triveni.client.errors import QuotaReached
from triveni.controller.objects import names


def model(phase: str | None = "Started", **change: Any) -> dict[str, Any]:
    """One whose epoch 3 is in this phase; `spec`, `status` and `metadata` add to what it says."""
    status: dict[str, Any] = {"observedGeneration": 2}
    if phase is not None:
        status["epoch"] = {"number": 3, "phase": phase}
    metadata = {"name": "mnist", "namespace": "demo", "generation": 2}
    return {
        "metadata": metadata | change.get("metadata", {}),
        "spec": {"model": {"source": {"owner": {}}}} | change.get("spec", {}),
        "status": status | change.get("status", {}),
    }


def condition(kind: str, status: str, reason: str, message: str = "") -> dict[str, Any]:
    return {"conditions": [{"type": kind, "status": status, "reason": reason, "message": message}]}


ASKED = {"annotations": {names.SHARE: "3"}}


@pytest.mark.parametrize(
    ("phase", "metadata", "stage"),
    [
        (None, {}, Stage.COMING),
        ("Starting", {}, Stage.TO_BE_ASKED_FOR),
        ("Started", {}, Stage.TO_BE_ASKED_FOR),
        ("Started", {"annotations": {names.SHARE: "2"}}, Stage.TO_BE_ASKED_FOR),
        ("Started", ASKED, Stage.COMING),
        ("Sharing", ASKED, Stage.SHARING),
        ("Ending", ASKED, Stage.COMING),
        ("Ended", ASKED, Stage.COMING),
    ],
)
def test_what_is_to_be_done_in_each_phase(phase: str | None, metadata: dict[str, Any], stage: Stage) -> None:
    assert stage_of(model(phase, metadata=metadata))[0] is stage


def test_one_that_nobody_has_looked_at_is_told_apart() -> None:
    unseen = model() | {"status": {}}
    assert stage_of(unseen) == (Stage.UNSEEN, 0)


@pytest.mark.parametrize("phase", ["Started", "Sharing", "Serving"])
def test_what_is_said_of_the_spec_before_is_not_believed(phase: str) -> None:
    assert stage_of(model(phase, metadata={"generation": 3}))[0] is Stage.COMING


def test_an_epoch_that_serves_is_shared_already() -> None:
    with pytest.raises(SharedAlready, match="mnist is shared already, in epoch 3; end that epoch to share it anew"):
        stage_of(model("Serving"))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"spec": {"model": {"source": {"configMap": {}}}}}, r"its spec\.model\.source is configMap, not owner"),
        ({"spec": {"model": {"source": {"owner": {}}}, "suspend": True}}, "cannot be shared"),
        ({"status": condition("Accepted", "False", "ProtocolNotBuilt", "use ABY3")}, "ProtocolNotBuilt: use ABY3"),
        ({"status": {"failures": {"blockedGeneration": 2}} | condition("Ready", "False", "GaveUp")}, "GaveUp"),
    ],
)
def test_where_waiting_does_not_help_it_is_told_why(change: dict[str, Any], says: str) -> None:
    with pytest.raises(NotShareable, match=says):
        stage_of(model("Ended", **change))


def test_at_the_request_quota_nothing_is_shared_any_more() -> None:
    with pytest.raises(QuotaReached):
        stage_of(model("Ended", status=condition("QuotaReached", "True", "QuotaReached")))
