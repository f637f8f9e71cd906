"""What kubelet sees of a real worker, from its start to its end."""

import asyncio
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.integration.worker.epoch import TIMEOUT_S, Epoch, rows_of

MakeEpoch = Callable[..., Any]


async def seen(epoch: Epoch, party: int, path: str, *answers: tuple[int, str] | None) -> None:
    """Wait until a probe gets one of these answers."""
    async with asyncio.timeout(TIMEOUT_S):
        while await epoch.probe(party, path) not in answers:  # noqa: ASYNC110 (it is another process)
            await asyncio.sleep(0.01)


async def test_a_worker_answers_probes_from_its_start_and_is_ready_once_it_serves(make_epoch: MakeEpoch) -> None:
    epoch = await make_epoch(grant=3)
    await epoch.start([1])
    await seen(epoch, 1, "/healthz", (200, "ok"))
    assert await epoch.probe(1, "/readyz") == (503, "Starting")
    await epoch.start([0, 2])
    await epoch.listening()
    await seen(epoch, 1, "/readyz", (503, "WaitingForArchitecture"))
    await epoch.put_architecture()
    assert await epoch.probe(1, "/readyz") == (503, "WaitingForShares")
    await epoch.put_shares()
    for party in range(3):
        assert await epoch.probe(party, "/readyz") == (200, "Serving")
        assert await epoch.probe(party, "/healthz") == (200, "ok")
    await epoch.client().predict(rows_of(1, rows=2))
    for party in range(3):
        status, counts = await epoch.probe(party, "/counts")
        expected = {"epoch": 1, "party": party, "state": "Serving", "admitted": 2, "answered": 2}
        assert (status, json.loads(counts)) == (200, expected)


async def test_a_worker_that_drains_lives_and_is_not_ready(serve: MakeEpoch) -> None:
    epoch = await serve(grant=1, drain_s=5.0)
    await epoch.client().predict(rows_of(1))
    await seen(epoch, 1, "/readyz", (503, "QuotaReached"))
    assert await epoch.probe(1, "/healthz") == (200, "ok")
    for worker in epoch.workers.values():
        worker.signal(15)
    assert await epoch.ended() == [0, 0, 0]
    assert await epoch.probe(1, "/healthz") is None


async def test_a_port_for_probes_that_is_taken_ends_the_worker_with_a_report(
    make_epoch: MakeEpoch, tmp_path: Path
) -> None:
    epoch = await make_epoch()
    with socket.create_server(("127.0.0.1", epoch.probes[0])):
        await epoch.start([0])
        assert await epoch.ended() == [1]
    report = epoch.workers[0].report
    assert report["reason"] == "CannotListen"
    assert report["message"].startswith(f"cannot listen for probes at 127.0.0.1:{epoch.probes[0]}: ")
