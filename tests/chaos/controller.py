"""A controller that can be killed: `python -m tests.chaos.controller FOLDER`.

It is what the operator is in a cluster, over processes of this machine: `triveni run`'s epochs, one after the other,
with the ledger in a file. What it does with an epoch that it finds open is what the operator does: nobody serves in it
any more once its workers have ended; then it is charged by what they left. It says what it does, a JSON line each.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.chaos.book import Book
from tests.chaos.running import running
from tests.integration.cluster import MODEL, ROOT
from triveni.api.manifest import read_manifest
from triveni.controller.quota import PARTIES, Ledger, Report
from triveni.identity.names import Identity
from triveni.local.epoch import Commands, Epoch, Setting
from triveni.local.events import Event, Serving, StepBegan
from triveni.local.model_place import ModelPlace
from triveni.local.processes import Guard, Processes
from triveni.local.reports import read_report

MANIFEST = ROOT / "examples" / "mnist.yaml"

COMMANDS = Commands(sharing=(sys.executable, "-m", "tests.chaos.sharing"))

ALONE_S = 90.0
"""Seconds that what a killed controller left behind has to end by itself; workers alone wait a minute for the others.
"""


def tell(moment: str, epoch: int, **more: Any) -> None:
    """Say where it is."""
    sys.stdout.write(json.dumps({"moment": moment, "epoch": epoch, **more}) + "\n")
    sys.stdout.flush()


def setting_of(book: Book) -> Setting:
    """The example, as in every epoch."""
    setting = book.setting
    manifest = read_manifest(MANIFEST, MODEL)
    authority = book.authority
    return Setting(
        manifest.secure_model.with_spec(requestQuota=setting["quota"]),
        authority.uid,
        ModelPlace(("--model", str(MODEL))),
        authority,
        authority.issue(Identity.of_client(authority.namespace, authority.uid, "runner")),
        book.ports,
        book.folder,
        Path(setting["programs"]),
        COMMANDS,
    )


async def control(book: Book, stop: asyncio.Event) -> None:
    """Epoch after epoch, until the quota is reached or `stop` is set."""
    ledger = book.ledger
    if ledger.open:
        ledger = await recovered(book, ledger)
    setting = setting_of(book)
    with Guard() as guard:
        async with Processes(guard) as processes:
            while not ledger.reached and not stop.is_set():
                ledger = await one_epoch(book, ledger, setting, processes, stop)
    tell("finished", ledger.epoch)


async def one_epoch(book: Book, ledger: Ledger, setting: Setting, processes: Processes, stop: asyncio.Event) -> Ledger:
    """Grant an epoch, let it live, charge it; each is on the disk before what follows."""
    ledger = ledger.start()
    assert ledger.open
    number = ledger.open.epoch
    book.write(ledger)
    tell("granted", number, rows=ledger.open.rows)

    def told(event: Event) -> None:
        if isinstance(event, StepBegan):
            tell(event.step, number)
        elif isinstance(event, Serving):
            tell("serving", number)

    folder = book.epoch(number)
    folder.mkdir(mode=0o700)
    epoch = Epoch(setting, ledger.open, folder, processes, told, verbose=False)
    end = await epoch.run(stop, 0, _nothing)
    tell("over", number, why=f"{end.cause}: {end.detail}"[:200])
    return charged(book, ledger, [report.counts if report else None for report in end.reports], shared=end.shared)


def charged(book: Book, ledger: Ledger, reports: Sequence[Report | None], *, shared: bool) -> Ledger:
    """The ledger with its open epoch charged, on the disk."""
    # Killed between the mark and its line, the process has left a mark and said nothing: that is not certain enough.
    ledger = ledger.end(reports, shared=shared or book.sharing_began(ledger.epoch))
    book.write(ledger)
    tell("charged", ledger.epoch, rows=ledger.ended[-1].rows)
    return ledger


async def recovered(book: Book, ledger: Ledger) -> Ledger:
    """The ledger with the epoch charged that a killed controller had open, once what it started has ended by itself."""
    number, began = ledger.epoch, time.monotonic()
    tell("recovering", number)
    while running(book.folder):
        if time.monotonic() - began > ALONE_S:
            raise TimeoutError(f"processes of epoch {number} do not end: {running(book.folder)}")
        await asyncio.sleep(0.02)
    tell("alone", number, seconds=time.monotonic() - began)
    reports = [read_report(book.report(number, party)) for party in range(PARTIES)]
    return charged(book, ledger, [report.counts if report else None for report in reports], shared=False)


async def _nothing() -> None:
    """Nothing begins beside the workers."""


async def main(folder: Path) -> None:
    """Be the controller of the SecureModel in `folder`, until SIGTERM at most."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await control(Book(folder), stop)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
