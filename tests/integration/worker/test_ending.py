"""How real workers end: at every moment, by whatever hand, with a report and without a traceback."""

import asyncio
import signal
import socket
from pathlib import Path

import pytest
from aiohttp import ClientError

from tests.integration.worker.conftest import MakeEpoch
from tests.integration.worker.epoch import Epoch, RefusedRequest, parts_of, plain, rows_of, stopped

SIGNALS = [signal.SIGTERM, signal.SIGINT]


def check_clean(epoch: Epoch, directory: Path) -> None:
    """Only JSON in the logs, no unexpected failure, and no file that was not asked for."""
    for worker in epoch.workers.values():
        assert not [line for line in worker.log if line["event"] in ("failed", "a request failed")]
        assert not [line for line in worker.log if line["event"] in ("asyncio", "aiohttp.server")]
    expected = {
        f"{kind}-{party}{end}"
        for party in range(3)
        for kind, end in (("credentials", ""), ("worker", ".json"), ("worker", ".log"), ("report", ".json"))
    }
    assert {path.name for path in directory.iterdir()} <= expected


async def all_terminate(epoch: Epoch, directory: Path, number: int = signal.SIGTERM) -> None:
    for worker in epoch.workers.values():
        worker.signal(number)
    codes = await epoch.ended(10)
    reports = [worker.report for worker in epoch.workers.values()]
    assert codes == [0] * len(codes), reports
    assert {report["reason"] for report in reports} == {"Terminated"}
    assert all(report["erased"] for report in reports)
    check_clean(epoch, directory)


@pytest.mark.parametrize("number", SIGNALS)
async def test_a_signal_at_the_very_start_is_not_lost(make_epoch: MakeEpoch, tmp_path: Path, number: int) -> None:
    epoch = await make_epoch()
    await epoch.start([1])
    async with asyncio.timeout(10):  # the first thing that a worker does is to block signals until it can handle them
        while "SigBlk:\t0000000000004002" not in Path(f"/proc/{epoch.workers[1].process.pid}/status").read_text():  # noqa: ASYNC110, ASYNC240
            await asyncio.sleep(0.001)
    await all_terminate(epoch, tmp_path, number)


@pytest.mark.parametrize("number", SIGNALS)
async def test_a_signal_while_peers_are_missing(make_epoch: MakeEpoch, tmp_path: Path, number: int) -> None:
    epoch = await make_epoch()
    await epoch.start([0, 2])
    await epoch.listening([0, 2])
    await all_terminate(epoch, tmp_path, number)


async def test_a_signal_while_the_architecture_is_waited_for(make_epoch: MakeEpoch, tmp_path: Path) -> None:
    epoch = await make_epoch()
    await epoch.start()
    for worker in epoch.workers.values():
        await worker.logged("state", state="WaitingForArchitecture")
    await all_terminate(epoch, tmp_path)


async def test_a_signal_while_one_compiles_and_the_others_wait_for_its_keys(
    make_epoch: MakeEpoch, tmp_path: Path
) -> None:
    epoch = await make_epoch()
    epoch.configs[0]["cache"] = None  # it has to compile, for seconds
    await epoch.start()
    await epoch.listening()
    sharing = asyncio.create_task(epoch.put_architecture())
    for worker in epoch.workers.values():
        await worker.logged("state", state="Compiling")
    await all_terminate(epoch, tmp_path)
    (end,) = await asyncio.gather(sharing, return_exceptions=True)
    assert isinstance(end, RefusedRequest)
    assert end.status == 503


async def test_a_signal_while_shares_are_waited_for(make_epoch: MakeEpoch, tmp_path: Path) -> None:
    epoch = await make_epoch()
    await epoch.start()
    await epoch.listening()
    await epoch.put_architecture()
    await all_terminate(epoch, tmp_path)
    assert epoch.workers[0].report["receipt"]["bytes_erased"] > 0


@pytest.mark.parametrize("number", SIGNALS)
async def test_a_signal_while_serving_under_load_completes_what_runs(
    serve: MakeEpoch, tmp_path: Path, number: int
) -> None:
    epoch = await serve()
    client = epoch.client()

    async def ask() -> int:
        answered = 0
        while True:
            try:
                x = rows_of(answered)
                assert abs(await client.predict(x) - plain(x)).max() < 1e-3
            except (RefusedRequest, ClientError, OSError):  # refused, or asked on a connection that was ending
                return answered
            answered += 1

    asking = [asyncio.create_task(ask()) for _ in range(4)]
    while (await client.status(0))["answered"] < 20:
        pass
    await all_terminate(epoch, tmp_path, number)
    got = sum(await asyncio.gather(*asking))
    for worker in epoch.workers.values():
        assert worker.report["answered"] >= got
        assert worker.report["admitted"] == worker.report["answered"]


async def test_a_signal_while_draining_ends_at_once(serve: MakeEpoch, tmp_path: Path) -> None:
    epoch = await serve(grant=1, drain_s=60)
    await epoch.client().predict(rows_of(1))
    for worker in epoch.workers.values():
        await worker.logged("state", state="QuotaReached")
        worker.signal(signal.SIGTERM)
    assert await epoch.ended(10) == [0, 0, 0]
    assert {worker.report["reason"] for worker in epoch.workers.values()} == {"QuotaReached"}
    check_clean(epoch, tmp_path)


@pytest.mark.parametrize("dead", [0, 1, 2])
async def test_a_worker_that_is_killed_while_idle_is_noticed_within_a_second(
    serve: MakeEpoch, tmp_path: Path, dead: int
) -> None:
    epoch = await serve(grant=10)
    await epoch.client().predict(rows_of(1))
    epoch.workers[dead].signal(signal.SIGKILL)
    others = [epoch.workers[party] for party in {0, 1, 2} - {dead}]
    loop = asyncio.get_running_loop()
    began = loop.time()
    for worker in others:
        await worker.logged("ending", reason="PeerLost")
    assert loop.time() - began < 1.5
    assert [await worker.ended(10) for worker in others] == [1, 1]
    for worker in others:
        assert worker.report["answered"] == worker.report["admitted"] == 1
        assert worker.report["erased"] is True
    assert not epoch.workers[dead].has_report
    check_clean(epoch, tmp_path)


@pytest.mark.parametrize("dead", [0, 1, 2])
async def test_a_worker_that_is_killed_under_load_costs_no_answer_that_was_not_released(
    serve: MakeEpoch, tmp_path: Path, dead: int
) -> None:
    epoch = await serve(grant=100_000)
    clients = [epoch.client(f"client-{n}") for n in range(4)]
    got = 0
    enough = asyncio.Event()

    async def ask(client: object, first: int) -> None:
        nonlocal got
        for number in range(first, first + 1_000_000):
            x = rows_of(number)
            assert abs(await client.predict(x) - plain(x)).max() < 1e-3  # type: ignore[attr-defined]
            got += 1
            if got == 30:
                enough.set()

    asking = [asyncio.create_task(ask(client, 1000 * n)) for n, client in enumerate(clients)]
    await asyncio.wait_for(enough.wait(), 60)
    epoch.workers[dead].signal(signal.SIGKILL)
    others = [epoch.workers[party] for party in {0, 1, 2} - {dead}]
    assert [await worker.ended(10) for worker in others] == [1, 1]
    ends = await asyncio.gather(*asking, return_exceptions=True)
    assert not [end for end in ends if isinstance(end, AssertionError)]
    answered = [worker.report["answered"] for worker in others]
    assert max(answered) >= got
    assert max(answered) <= got + len(clients), "at most what was being run is charged beyond what was received"
    assert all(worker.report["reason"] == "PeerLost" for worker in others)
    check_clean(epoch, tmp_path)


async def test_a_worker_that_hangs_within_a_run_is_given_up_after_the_timeout(serve: MakeEpoch, tmp_path: Path) -> None:
    epoch = await serve(run_timeout_s=1.0)
    client = epoch.client()
    await client.predict(rows_of(1))
    parts = parts_of("hangs", rows_of(2))
    asking = [asyncio.create_task(client.ask_one(party, parts[party])) for party in (1, 2)]
    while [(await client.status(party))["requests_waiting"] for party in (1, 2)] != [1, 1]:
        pass
    stopped(epoch.workers[1])
    asking.append(asyncio.create_task(client.ask_one(0, parts[0])))
    others = [epoch.workers[0], epoch.workers[2]]
    assert [await worker.ended(20) for worker in others] == [1, 1]
    assert {worker.report["reason"] for worker in others} == {"PeerLost"}
    assert any("timeout" in worker.report["message"] for worker in others)
    assert [(worker.report["admitted"], worker.report["answered"]) for worker in others] == [(2, 1)] * 2
    for task in asking:
        task.cancel()


async def test_a_single_worker_that_is_asked_to_end_ends_the_epoch(serve: MakeEpoch, tmp_path: Path) -> None:
    epoch = await serve()
    await epoch.client().predict(rows_of(1))
    epoch.workers[2].signal(signal.SIGTERM)
    assert await epoch.workers[2].ended(10) == 0
    for party in (0, 1):
        assert await epoch.workers[party].ended(10) == 1
        assert epoch.workers[party].report["reason"] == "PeerLost"
    assert "Terminated" in epoch.workers[0].report["message"]
    check_clean(epoch, tmp_path)


async def test_a_model_that_is_not_shared_in_time_ends_the_epoch(make_epoch: MakeEpoch, tmp_path: Path) -> None:
    epoch = await make_epoch(share_timeout_s=0.5)
    await epoch.start()
    assert await epoch.ended(20) == [1, 1, 1]
    assert "ShareTimeout" in {worker.report["reason"] for worker in epoch.workers.values()}
    check_clean(epoch, tmp_path)


async def test_peers_that_never_come_end_the_epoch(make_epoch: MakeEpoch, tmp_path: Path) -> None:
    epoch = await make_epoch(connect_timeout_s=0.5)
    await epoch.start([1])
    assert await epoch.ended(20) == [1]
    report = epoch.workers[1].report
    assert report["reason"] == "PeersUnreachable"
    assert "worker 0" in report["message"]
    check_clean(epoch, tmp_path)


@pytest.mark.parametrize("which", ["listen", "peer_listen"])
async def test_a_port_in_use_is_told_with_its_address(make_epoch: MakeEpoch, tmp_path: Path, which: str) -> None:
    epoch = await make_epoch()
    port = epoch.configs[0][which]["port"]
    with socket.create_server(("127.0.0.1", port)):
        await epoch.start([0])
        assert await epoch.ended(20) == [1]
    report = epoch.workers[0].report
    assert report["reason"] == "CannotListen"
    assert f"127.0.0.1:{port}" in report["message"]
    check_clean(epoch, tmp_path)


@pytest.mark.parametrize(
    ("file", "says"), [("tls.key", "cannot be used"), ("ca.crt", "cannot be used"), (None, "tls.crt")]
)
async def test_credentials_of_no_use_are_told(
    make_epoch: MakeEpoch, tmp_path: Path, file: str | None, says: str
) -> None:
    epoch = await make_epoch()
    folder = Path(epoch.configs[0]["credentials"])
    if file is None:
        (folder / "tls.crt").unlink()
    else:
        (folder / file).write_text("nothing")
    await epoch.start([0])
    assert await epoch.ended(20) == [1]
    report = epoch.workers[0].report
    assert report["reason"] == "InvalidCredentials"
    assert says in report["message"]


async def test_a_configuration_of_no_use_is_told(make_epoch: MakeEpoch) -> None:
    epoch = await make_epoch(grant="many")
    epoch.configs[0]["grant"] = "many"
    await epoch.start([0])
    assert await epoch.ended(20) == [1]
    (line,) = epoch.workers[0].log
    assert line["reason"] == "InvalidConfig"
    assert line["message"].startswith("grant: 'many'")
    assert not epoch.workers[0].has_report


async def test_a_model_that_cannot_be_compiled_ends_the_epoch_and_says_why(make_epoch: MakeEpoch) -> None:
    epoch = await make_epoch(compile_timeout_s=0.1)
    for config in epoch.configs:
        config["cache"] = None
    await epoch.start()
    await epoch.listening()
    with pytest.raises(RefusedRequest) as caught:
        await epoch.put_architecture()
    assert caught.value.status in (422, 503)
    assert await epoch.ended(20) == [1, 1, 1]
    reports = [worker.report for worker in epoch.workers.values()]
    assert "CompileFailed" in {report["reason"] for report in reports}
    assert any("no result within" in report["message"] for report in reports)
    assert all(report["receipt"] is None for report in reports)
