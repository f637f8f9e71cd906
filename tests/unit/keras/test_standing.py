"""What a notebook does about its SecureModel, from the status alone."""

from __future__ import annotations

from typing import Any

import pytest

from triveni.api.securemodel import SecureModel
from triveni.keras.standing import Standing, Step, next_step, quota_for, spec_of, standing_of


def model(generation: int = 1, **status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "mnist", "generation": generation}, "status": {"observedGeneration": 1, **status}}


def condition(kind: str, status: str, message: str = "") -> dict[str, str]:
    return {"type": kind, "status": status, "reason": "Why", "message": message}


def test_a_new_model_has_nothing_yet() -> None:
    now = standing_of({"metadata": {"name": "mnist", "generation": 1}})
    assert now == Standing(False, 0, "", 0, 0, False, "")


def test_a_status_is_read() -> None:
    now = standing_of(
        model(
            epoch={"number": 2, "phase": "Serving"},
            quota={"charged": 3, "remaining": 4},
            served=5,
            conditions=[condition("Ready", "False", "one worker is lost"), condition("QuotaReached", "False")],
        )
    )
    assert now == Standing(True, 2, "Serving", 3, 5, False, "one worker is lost")


def test_a_refusal_tells_more_than_that_it_is_not_ready() -> None:
    conditions = [condition("Ready", "False", "refused"), condition("Accepted", "False", "no such protocol")]
    assert standing_of(model(conditions=conditions)).why == "no such protocol"


def now(phase: str, epoch: int = 2, *, current: bool = True, finished: bool = False) -> Standing:
    return Standing(current, epoch, phase, 0, 0, finished, "")


@pytest.mark.parametrize(
    ("standing", "shared", "sharing", "step"),
    [
        (now("Started"), 0, False, Step.SHARE),
        (now("", 0), 0, False, Step.SHARE),
        (now("Started"), 1, False, Step.SHARE),
        (now("Started"), 0, True, Step.WAIT),
        (now("Sharing"), 2, False, Step.WAIT),
        (now("Serving"), 2, False, Step.WAIT),
        (now("Ending"), 2, False, Step.WAIT),
        (now("Ended"), 2, False, Step.SHARE),
        (now("Serving"), 0, False, Step.SHARE),
        (now("Ended", finished=True), 2, False, Step.DONE),
        (now("Ended", finished=True, current=False), 2, False, Step.WAIT),
        (now("Serving", current=False), 0, False, Step.WAIT),
    ],
)
def test_the_next_step(standing: Standing, shared: int, sharing: bool, step: Step) -> None:
    assert next_step(standing, shared, sharing=sharing) is step


def test_what_was_charged_before_is_not_what_is_asked_for_now() -> None:
    assert quota_for(7, 3) == 10
    assert quota_for(7, None) is None


@pytest.mark.parametrize(("quota", "bits"), [(None, None), (3, 8)])
def test_the_spec_is_one_whose_owner_shares(quota: int | None, bits: int | None) -> None:
    metadata = {"name": "mnist", "namespace": "team-a"}
    document = {"apiVersion": "triveni.dev/v1alpha1", "kind": "SecureModel", "metadata": metadata}
    read = SecureModel.read(document | {"spec": spec_of("ABY3", quota, bits)})
    assert (read.spec.request_quota, read.spec.answer.fractional_bits) == (quota, bits)
    assert read.spec.model.source.owner is not None
