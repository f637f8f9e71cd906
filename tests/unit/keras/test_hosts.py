"""Where the workers of a cluster listen, and what a person is told to do there."""

from __future__ import annotations

from pathlib import Path

import pytest

from triveni.keras.errors import InvalidHost
from triveni.keras.hosts import addresses_of, instructions
from triveni.keras.worker import TFEWorker, is_here
from triveni.sharing.worker_link import Address

ELSEWHERE = "192.0.2.7:4000"
"""An address that is kept for documentation: of no machine."""


def local(*ports: int) -> list[TFEWorker]:
    return [TFEWorker(f"localhost:{port}") for port in ports]


def test_workers_listen_at_their_hosts_and_for_each_other_a_hundred_ports_above() -> None:
    addresses = addresses_of(local(4000, 4001, 4002))
    assert [str(address) for address in addresses.front] == ["localhost:4000", "localhost:4001", "localhost:4002"]
    assert [str(address) for address in addresses.peer] == ["localhost:4100", "localhost:4101", "localhost:4102"]


def test_workers_without_a_host_get_free_ports_of_this_machine() -> None:
    addresses = addresses_of([TFEWorker(), TFEWorker(), TFEWorker()])
    assert len({*addresses.front, *addresses.peer}) == 6
    assert {address.host for address in addresses.front} == {"127.0.0.1"}


@pytest.mark.parametrize(
    "workers",
    [
        local(4000, 4000, 4002),
        local(4000, 4100, 4002),
        [TFEWorker(ELSEWHERE), *local(4001, 4002)],
        [TFEWorker(ELSEWHERE, auto_managed=False), TFEWorker(), TFEWorker("localhost:4002")],
        [TFEWorker(auto_managed=False), TFEWorker(), TFEWorker()],
    ],
    ids=["same", "front and peer", "elsewhere, started here", "unreachable from elsewhere", "started by whom"],
)
def test_workers_that_could_not_meet_are_refused(workers: list[TFEWorker]) -> None:
    with pytest.raises(InvalidHost):
        addresses_of(workers)


def test_a_worker_elsewhere_is_started_there() -> None:
    workers = [TFEWorker(f"192.0.2.{n}:4000", auto_managed=False) for n in (1, 2, 3)]
    assert [str(address) for address in addresses_of(workers).peer] == [f"192.0.2.{n}:4100" for n in (1, 2, 3)]


def test_this_machine_is_known() -> None:
    assert is_here("localhost")
    assert is_here("127.0.0.1")
    assert not is_here("192.0.2.7")


def test_a_command_for_this_machine_names_the_bundle_in_its_place() -> None:
    text = instructions(1, Address("localhost", 4001), Path("/somewhere/worker-1.bundle"))
    assert text.splitlines()[-1] == "    triveni worker /somewhere/worker-1.bundle"
    assert "copy" not in text


def test_for_another_machine_the_bundle_has_to_be_copied_first() -> None:
    text = instructions(1, Address("192.0.2.7", 4000), Path("/somewhere/worker-1.bundle"))
    assert "copy /somewhere/worker-1.bundle to 192.0.2.7" in text
    assert text.splitlines()[-1] == "    triveni worker worker-1.bundle"
