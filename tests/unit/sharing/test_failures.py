"""What a failure reports, and which of them another try may not meet."""

from __future__ import annotations

import pytest

from triveni.mpc.input_range import InputRange
from triveni.mpc.ranges import Reach
from triveni.sharing.failures import (
    CredentialsUnreadable,
    DigestMismatch,
    Interrupted,
    NotAKerasFile,
    ProgramsDiffer,
    ShapeMismatch,
    SharingFailure,
    SourceNotFound,
    SourceRefused,
    SourceTooLarge,
    SourceUnreachable,
    TruncatedFile,
    UnsupportedLayer,
    ValueOutOfRange,
    ValuesDoNotFit,
    WorkerRefused,
    WorkerUnreachable,
)

PERMANENT: list[SharingFailure] = [
    SourceNotFound("here", "does not exist"),
    SourceRefused("here", "no", "ask"),
    SourceTooLarge("here", 2**30),
    NotAKerasFile("here", "it is no zip archive"),
    TruncatedFile("here", "it is empty"),
    DigestMismatch("here", "sha256:1", "sha256:2"),
    UnsupportedLayer("lstm", "is not supported"),
    ShapeMismatch("dense", "kernel", "missing", "of shape (1, 2)"),
    ValueOutOfRange("dense/kernel[0, 0]", "is NaN"),
    ValuesDoNotFit(Reach("dense", "a product", 2.0**23, 2.0**22), "ABY3", InputRange(0.0, 1.0)),
    ProgramsDiffer(["a", "b", "c"]),
    WorkerRefused(1, 422, "Unsupported", "no"),
]

TRANSIENT: list[SharingFailure] = [
    SourceUnreachable("here", "the server does not answer"),
    WorkerUnreachable(1, "10.0.0.1:8443", "no answer"),
    WorkerRefused(1, 503, "EpochEnded", "over"),
    WorkerRefused(1, 503, "NotReady", "wait"),
    WorkerRefused(1, 503, "Busy", "wait"),
    CredentialsUnreadable("/etc/triveni", "no key"),
    Interrupted(),
]


@pytest.mark.parametrize("failure", PERMANENT, ids=lambda failure: failure.reason)
def test_what_the_model_itself_is_the_cause_of_is_permanent(failure: SharingFailure) -> None:
    assert failure.report()["permanent"] is True


@pytest.mark.parametrize("failure", TRANSIENT, ids=lambda failure: failure.reason)
def test_what_may_pass_is_not_permanent(failure: SharingFailure) -> None:
    assert failure.report()["permanent"] is False


def test_every_reason_has_a_type_of_its_own() -> None:
    reasons = {failure.reason for failure in (*PERMANENT, *TRANSIENT)}
    types = {type(failure) for failure in (*PERMANENT, *TRANSIENT)}
    assert len(reasons) == len(types)


def test_a_value_that_may_not_fit_is_told_with_its_layer_and_the_ways_out() -> None:
    reach = Reach("conv", "what is compared", 2.0**18.9, 2.0**15)
    assert str(ValuesDoNotFit(reach, "SecureNN", InputRange(0.0, 1.0))) == (
        "layer 'conv': with inputs from 0 to 1, what is compared may be as large as 2^18.9, and SecureNN carries less "
        "than 2^15. Use protocol ABY3, which carries larger ones, or normalise the inputs and give their narrower range"
    )
    assert "Use smaller weights" in str(ValuesDoNotFit(reach, "ABY3", InputRange(0.0, 1.0)))


def test_a_workers_own_reason_is_reported() -> None:
    assert WorkerRefused(1, 503, "Busy", "wait").report() == {
        "reason": "WorkerRefused",
        "message": "worker 1 refused (503 Busy): wait",
        "permanent": False,
        "worker_reason": "Busy",
    }
