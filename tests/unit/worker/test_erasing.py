"""The end of a worker's life: all is erased, and what the receipt says has happened before it is written."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from tests.unit.worker.test_sharing_once import CONFIG
from triveni.mpc.execute.machine import Statistics
from triveni.worker.desk import Desk
from triveni.worker.log import Log
from triveni.worker.report import Report
from triveni.worker.service import Service
from triveni.worker.state import Ending, EndReason

ENDING = Ending(EndReason.TERMINATED, "asked to end")


class Machine:
    """Says how often it was erased."""

    statistics = Statistics()
    erased = 0

    def erase(self) -> int:
        self.erased += 1
        return 4096


@pytest.fixture
def engine_waits(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """The engine's thread does not come back from a run until this is set; nobody waits for it for long."""
    for seconds in ("RUN_ENDS_S", "ERASE_S"):
        monkeypatch.setattr(f"triveni.worker.service.{seconds}", 0.05)
    event = threading.Event()
    yield event
    event.set()


def loaded_service(machine: Machine) -> Service:
    service = Service(CONFIG, Log.to("info", {}, io.StringIO()))
    desk = Desk(CONFIG.party, CONFIG.grant, 30.0, 64, 32)
    loaded: Any = SimpleNamespace(machine=machine, desk=desk, model=SimpleNamespace(digest="ab"))
    service._loaded = loaded
    return service


async def test_at_the_end_all_is_erased_and_then_there_is_a_receipt() -> None:
    machine = Machine()
    report = await loaded_service(machine)._finish(ENDING)
    assert machine.erased == 1
    assert report.erased
    assert report.receipt is not None
    assert (report.receipt.bytes_erased, report.receipt.program_digest) == (4096, "ab")


async def test_there_is_no_receipt_where_nothing_could_be_erased(engine_waits: threading.Event) -> None:
    machine = Machine()
    service = loaded_service(machine)
    service._engine_thread.submit(engine_waits.wait, 60)
    report: Report = await service._finish(ENDING)
    assert machine.erased == 0
    assert not report.erased
    assert report.receipt is None
