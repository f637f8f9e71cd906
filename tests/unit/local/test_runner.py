"""The runner over real processes that stand in for workers: epochs, quota, recovery, and nothing left behind."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.unit.local.conftest import MakePlan, processes_naming, served
from triveni.api.manifest import OnServer
from triveni.api.model_source import HttpSource
from triveni.controller.quota import Ledger, Report
from triveni.local.directory import FileExists
from triveni.local.ending import Cause
from triveni.local.epoch import EpochEnd
from triveni.local.events import CompanionEnded, EpochBegan, EpochEnded, Event, Fetching, Said, Served, Serving
from triveni.local.ports import PortInUse
from triveni.local.runner import Companion, LocalRun, ModelRefused, NoProgress, NotRecovered, Plan, next_epoch

QUOTA = ["quota"] * 3


def run(plan: Plan) -> tuple[Any, list[Event]]:
    """Run a plan to its end: the summary, and everything that was told."""
    events: list[Event] = []
    return asyncio.run(asyncio.wait_for(LocalRun(plan, events.append).run(), 60)), events


def numbers(events: Sequence[Event]) -> list[int]:
    return [event.number for event in events if isinstance(event, Served)]


def test_it_serves_to_the_quota_and_ends(make_plan: MakePlan, temporary: Path) -> None:
    summary, events = run(make_plan(3, served([3, 3, 3], QUOTA)))
    assert (summary.served, summary.ledger.charged, summary.ledger.reached) == (3, 3, True)
    assert numbers(events) == [1, 2, 3]
    assert [event for event in events if isinstance(event, EpochBegan)] == [EpochBegan(1, 3)]
    assert sum(isinstance(event, Serving) for event in events) == 1
    assert list(temporary.iterdir()) == []
    assert processes_naming(str(temporary)) == []


def test_a_killed_worker_ends_the_epoch_and_the_next_is_granted_the_rest(make_plan: MakePlan, temporary: Path) -> None:
    plan = make_plan(7, served([3, 3, 2], ["lost", "lost", "kill"]), served([4, 4, 4], QUOTA))
    summary, events = run(plan)
    assert [charge.grant.rows for charge in summary.ledger.ended] == [7, 4]
    assert [charge.rows for charge in summary.ledger.ended] == [3, 4]
    assert numbers(events) == [1, 2, 3, 4, 5, 6, 7]
    (first, _) = (event for event in events if isinstance(event, EpochEnded))
    assert first.why == "a worker ended: worker 2 was ended by SIGKILL"
    assert list(temporary.iterdir()) == []


def test_numbers_go_on_when_a_worker_had_released_a_share_that_others_had_not(make_plan: MakePlan) -> None:
    plan = make_plan(4, served([2, 1, 1], ["lost", "lost", "kill"]), served([2, 2, 2], QUOTA))
    summary, events = run(plan)
    assert numbers(events) == [1, 2, 3]
    assert (summary.served, summary.ledger.charged) == (3, 4)


def test_three_workers_that_vanish_are_charged_their_grant(make_plan: MakePlan) -> None:
    summary, events = run(make_plan(5, served([1, 1, 1], ["kill"] * 3)))
    assert summary.ledger.charged == 5
    assert (summary.served, numbers(events)) == (1, [1])


def test_the_front_ports_and_the_connection_file_stay_the_same_over_epochs(make_plan: MakePlan, tmp_path: Path) -> None:
    path = tmp_path / "connection.json"
    seen: list[str] = []

    def tell(event: Event) -> None:
        if isinstance(event, Serving):
            seen.append(event.connection.read_text())

    plan = make_plan(4, served([2] * 3, ["lost", "kill", "lost"]), served([2] * 3, QUOTA), connection=path)
    asyncio.run(LocalRun(plan, tell).run())
    assert len(seen) == 2
    assert seen[0] == seen[1]
    assert not path.exists()


def test_the_connection_file_is_for_its_user_only(make_plan: MakePlan, tmp_path: Path) -> None:
    modes: list[int] = []

    def tell(event: Event) -> None:
        if isinstance(event, Serving):
            modes.extend([event.connection.stat().st_mode & 0o777, event.connection.parent.stat().st_mode & 0o777])

    asyncio.run(LocalRun(make_plan(1, served([1] * 3, QUOTA)), tell).run())
    assert modes == [0o600, 0o700]


def test_an_existing_file_is_not_overwritten(make_plan: MakePlan, tmp_path: Path) -> None:
    path = tmp_path / "connection.json"
    path.write_text("mine")
    with pytest.raises(FileExists, match=r"exists already.*give another --connection"):
        run(make_plan(1, served([1] * 3, QUOTA), connection=path))
    assert path.read_text() == "mine"


def test_a_port_in_use_is_named(make_plan: MakePlan) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortInUse, match=rf"^port {port} is in use; --port {port} needs"):
            run(make_plan(1, served([1] * 3, QUOTA), port=port))


def test_a_model_that_is_refused_is_not_tried_again(make_plan: MakePlan, temporary: Path) -> None:
    refused = served([0] * 3, ["wait"] * 3, sharing=["UnsupportedLayer", "layer 'lstm': LSTM is not served", True])
    with pytest.raises(ModelRefused, match="the model cannot be served: layer 'lstm': LSTM is not served"):
        run(make_plan(3, refused))
    assert list(temporary.iterdir()) == []
    assert processes_naming(str(temporary)) == []


def test_sharing_that_fails_for_the_moment_is_tried_again(make_plan: MakePlan) -> None:
    failing = served([0] * 3, ["wait"] * 3, sharing=["WorkerUnreachable", "worker 1: no answer", False])
    summary, events = run(make_plan(1, failing, served([1] * 3, QUOTA)))
    assert summary.ledger.charged == 1
    assert next(e.why for e in events if isinstance(e, EpochEnded)) == "sharing failed: worker 1: no answer"


def test_a_worker_that_does_not_start_is_quoted(make_plan: MakePlan) -> None:
    broken = served([0] * 3, ["wait", "crash", "wait"], sharing="hang")
    summary, events = run(make_plan(1, broken, served([1] * 3, QUOTA)))
    why = next(e.why for e in events if isinstance(e, EpochEnded))
    assert why == "a worker ended: worker 1 ended with exit code 1\nit is broken\nfor good"
    assert summary.served == 1


def test_workers_that_never_had_a_share_are_charged_nothing(make_plan: MakePlan) -> None:
    broken = served([0] * 3, ["crash"] * 3, sharing="hang")
    summary, _ = run(make_plan(2, broken, served([2] * 3, QUOTA)))
    assert [charge.rows for charge in summary.ledger.ended] == [0, 2]


def test_recovery_never_stops_at_the_first_loss(make_plan: MakePlan) -> None:
    with pytest.raises(NotRecovered, match="recovery is Never"):
        run(make_plan(5, served([1] * 3, ["lost", "kill", "lost"]), recovery="Never"))


def test_a_worker_that_does_not_end_is_ended(make_plan: MakePlan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("triveni.local.processes.TERM_SECONDS", 0.3)
    monkeypatch.setattr("triveni.local.epoch.END_SECONDS", 0.3)
    plan = make_plan(4, served([2] * 3, ["lost", "hang", "lost"]), served([2] * 3, QUOTA))
    summary, _ = run(plan)
    assert [charge.rows for charge in summary.ledger.ended] == [2, 2]


def test_stop_ends_the_epoch_in_order_and_charges_it(make_plan: MakePlan) -> None:
    events: list[Event] = []

    async def stop_when_served() -> Any:
        def tell(event: Event) -> None:
            events.append(event)
            if isinstance(event, Served) and event.number == 2:
                run.stop()

        run = LocalRun(make_plan(None, served([2] * 3, ["wait"] * 3)), tell)
        return await run.run()

    summary = asyncio.run(stop_when_served())
    assert (summary.served, summary.ledger.charged, summary.ledger.remaining) == (2, 2, None)
    assert {r.counts.reason for r in summary.epochs[0].reports if r} == {"Terminated"}


def test_a_companion_speaks_and_ends_the_run(make_plan: MakePlan) -> None:
    def command(connection: Path, model: Path) -> list[str]:
        return [sys.executable, "-c", "import sys; print(sys.argv[1:]); sys.exit(5)", connection.name, model.name]

    plan = make_plan(None, served([0] * 3, ["wait"] * 3), companions=(Companion("client", command, ends_run=True),))
    summary, events = run(plan)
    assert summary.served == 0
    assert Said("client", "['connection.json', 'model.keras']") in events
    assert CompanionEnded("client", 5, "") in events


def test_what_a_companion_started_itself_ends_with_it(make_plan: MakePlan, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    script = (
        f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)', '{mark}'])"
    )
    companion = Companion("client", lambda *_: [sys.executable, "-c", script], ends_run=True)
    run(make_plan(None, served([0] * 3, ["wait"] * 3), companions=(companion,)))
    assert processes_naming(str(mark)) == []


def end(cause: Cause, detail: str = "") -> EpochEnd:
    return EpochEnd(cause, detail, (None, None, None), 0, True, True, (None, None, None))


LOST = end(Cause.WORKER_LOST, "worker 1: no")


def ledger(quota: int, charged: int) -> Ledger:
    """A ledger with one ended epoch."""
    return Ledger(quota).start().end([Report(1, party, charged, charged) for party in range(3)])


def test_the_pause_grows_with_each_epoch_without_an_answer() -> None:
    pauses = [next_epoch(ledger(3, 0), LOST, barren, 0, "Reshare", stopped=False) for barren in range(10)]
    assert pauses == [0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0, 8.0]


def test_ten_epochs_without_an_answer_are_enough() -> None:
    with pytest.raises(NoProgress) as caught:
        next_epoch(ledger(3, 0), LOST, 10, 0, "Reshare", stopped=False)
    assert str(caught.value) == (
        "gave up after 10 epochs without an answer; --verbose shows more. The last: a worker ended: worker 1: no"
    )


def test_four_epochs_that_never_came_to_serve_are_enough() -> None:
    assert next_epoch(ledger(3, 0), LOST, 3, 3, "Reshare", stopped=False) == 1.0
    with pytest.raises(NoProgress, match="gave up after 4 epochs without serving"):
        next_epoch(ledger(3, 0), LOST, 4, 4, "Reshare", stopped=False)


@pytest.mark.parametrize("cause", list(Cause))
def test_nothing_follows_when_the_run_was_stopped(cause: Cause) -> None:
    assert next_epoch(ledger(3, 0), end(cause), 10, 10, "Never", stopped=True) is None


@pytest.mark.parametrize("cause", [Cause.QUOTA, Cause.WORKER_LOST, Cause.SHARING_FAILED])
def test_nothing_follows_when_the_quota_is_reached(cause: Cause) -> None:
    assert next_epoch(ledger(3, 3), end(cause), 10, 10, "Never", stopped=False) is None


def test_a_download_of_the_model_is_told_as_it_goes_on(make_plan: MakePlan) -> None:
    source = {"http": {"url": "https://models.example/m.keras"}}
    plan = make_plan(1, served([1] * 3, QUOTA))
    manifest = replace(
        plan.manifest,
        secure_model=plan.manifest.secure_model.with_spec(model={"source": source}),
        model=OnServer(HttpSource.model_validate(source["http"])),
    )
    _, events = run(replace(plan, manifest=manifest))
    assert [event for event in events if isinstance(event, Fetching)] == [
        Fetching(1, 1000, 2000),
        Fetching(1, 1500, None, "the connection broke"),
        Fetching(1, 2000, 2000),
    ]


def test_a_companion_that_loads_the_model_is_not_started_where_it_has_no_file(make_plan: MakePlan) -> None:
    """The model of the plan is bytes that begin as a .keras file does; then they are another's."""
    plan = make_plan(1, served([1] * 3, QUOTA), served([1] * 3, QUOTA))
    said = Companion("keras", lambda connection, model: [sys.executable, "-c", "print(1)"], loads_model=True)
    _, events = run(replace(plan, companions=[said]))
    assert [event.line for event in events if isinstance(event, Said)] == ["1"]
    source = {"http": {"url": "https://models.example/m.keras"}}
    manifest = replace(
        plan.manifest,
        secure_model=plan.manifest.secure_model.with_spec(model={"source": source}),
        model=OnServer(HttpSource.model_validate(source["http"])),
    )
    _, events = run(replace(plan, manifest=manifest, companions=[said]))
    assert [event for event in events if isinstance(event, CompanionEnded)] == [
        CompanionEnded("keras", 1, "the model is not a .keras file on this machine")
    ]


def test_the_digest_of_a_model_in_the_manifest_is_checked(make_plan: MakePlan) -> None:
    plan = make_plan(1, served([1] * 3, QUOTA))
    spec = {"model": {"source": {"configMap": {"name": "m", "key": "k"}}, "digest": "sha256:" + "0" * 64}}
    manifest = replace(plan.manifest, secure_model=plan.manifest.secure_model.with_spec(**spec))
    with pytest.raises(ModelRefused, match="put in the right model, or correct the digest"):
        run(replace(plan, manifest=manifest))
