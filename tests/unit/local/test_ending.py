"""Why an epoch ended is read from exit codes and reports alone."""

from __future__ import annotations

import signal

import pytest

from triveni.controller.quota import Report
from triveni.local.ending import Cause, Ended, why
from triveni.local.reports import SharingFailure, WorkerReport


def worker(party: int, code: int | None, reason: str | None, *, first: bool = True, message: str = "") -> Ended:
    counts = Report(1, party, 0, 0, reason or "")
    report = None if reason is None else WorkerReport(counts, True, message, 0, 0, 0, None)
    return Ended(party, code, report, first, "last words")


def ended(*workers: Ended, stopped: bool = False, failure: SharingFailure | None = None) -> tuple[Cause, str]:
    return why(workers, stopped=stopped, sharing_code=1 if failure else 0, failure=failure, words="")


LOST = [worker(0, 1, "PeerLost", message="worker 1 is gone"), worker(2, 1, "PeerLost", message="worker 1 is gone")]

TRANSIENT = SharingFailure("WorkerUnreachable", "worker 1: gone", permanent=False)
PERMANENT = SharingFailure("ShapeMismatch", "layer 'd': no", permanent=True)


def test_the_quota_is_the_cause_even_if_a_worker_was_slow_to_end() -> None:
    workers = [worker(0, 0, "QuotaReached"), worker(1, -signal.SIGKILL, None), worker(2, 0, "QuotaReached")]
    assert ended(*workers, stopped=True) == (Cause.QUOTA, "")


def test_a_stop_is_the_cause_of_what_it_ends() -> None:
    assert ended(*(worker(p, 0, "Terminated", first=False) for p in range(3)), stopped=True) == (Cause.STOPPED, "")


def test_the_worker_that_was_killed_is_named_not_those_that_lost_it() -> None:
    workers = [*LOST, worker(1, -signal.SIGKILL, None)]
    assert ended(*workers) == (Cause.WORKER_LOST, "worker 1 was ended by SIGKILL")


def test_the_worker_that_failed_is_named_not_those_that_lost_it() -> None:
    workers = [*LOST, worker(1, 1, "EngineFailed", message="no memory")]
    assert ended(*workers) == (Cause.WORKER_LOST, "worker 1 ended: no memory")


def test_those_that_lost_each_other_are_named_if_nobody_else_is_to_blame() -> None:
    assert ended(*LOST)[1] == "worker 0 ended: worker 1 is gone; worker 2 ended: worker 1 is gone"


def test_a_worker_without_a_report_is_quoted() -> None:
    assert ended(worker(1, 1, None))[1] == "worker 1 ended with exit code 1\nlast words"


def test_those_that_the_runner_ended_are_not_to_blame() -> None:
    workers = [worker(0, -signal.SIGKILL, None, first=False), worker(1, 1, "EngineFailed", message="no memory")]
    assert ended(*workers)[1] == "worker 1 ended: no memory"


def test_a_refused_model_is_told_as_the_sharing_process_says_it() -> None:
    workers = [worker(p, 0, "Terminated", first=False) for p in range(3)]
    assert ended(*workers, failure=PERMANENT) == (Cause.REFUSED, "layer 'd': no")


def test_sharing_that_fails_for_the_moment_is_no_refusal() -> None:
    workers = [worker(p, 0, "Terminated", first=False) for p in range(3)]
    assert ended(*workers, failure=TRANSIENT) == (Cause.SHARING_FAILED, "worker 1: gone")


@pytest.mark.parametrize("failure", [TRANSIENT, PERMANENT])
def test_sharing_that_fails_because_a_worker_was_killed_is_a_lost_worker(failure: SharingFailure) -> None:
    assert ended(worker(1, -signal.SIGKILL, None), failure=failure)[0] is Cause.WORKER_LOST


@pytest.mark.parametrize("reason", ["CompileFailed", "Unproven", "ProgramsDiffer"])
def test_a_worker_that_cannot_compile_or_prove_would_not_the_next_time_either(reason: str) -> None:
    assert ended(worker(0, 1, reason, message="no")) == (Cause.REFUSED, "worker 0 ended: no")
