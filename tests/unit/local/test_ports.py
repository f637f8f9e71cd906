"""Ports: free ones that no outgoing connection can be given, or those that were asked for."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from triveni.local import ports


def test_six_different_free_ports_are_chosen() -> None:
    chosen = ports.choose(None)
    numbers = {*chosen.front, *chosen.peer}
    assert len(numbers) == 6
    assert all(ports.is_free(port) for port in numbers)


def test_chosen_ports_lie_below_those_of_outgoing_connections() -> None:
    low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for _ in range(20):
        chosen = ports.choose(None)
        assert max(*chosen.front, *chosen.peer) < low


def test_the_ports_asked_for_are_used_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "is_free", lambda port: True)
    assert ports.choose(7000) == ports.Ports((7000, 7001, 7002), (7003, 7004, 7005))


@pytest.mark.parametrize("offset", range(6))
def test_any_of_the_six_in_use_is_named(monkeypatch: pytest.MonkeyPatch, offset: int) -> None:
    monkeypatch.setattr(ports, "is_free", lambda port: port != 7000 + offset)
    with pytest.raises(ports.PortInUse) as caught:
        ports.choose(7000)
    assert str(caught.value) == (
        f"port {7000 + offset} is in use; --port 7000 needs 7000 to 7005 free: end what uses it, "
        "give another --port, or leave it out to have free ports chosen"
    )


def test_no_free_port_is_an_error_not_an_endless_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "is_free", lambda port: False)
    with pytest.raises(ports.NoFreePorts):
        ports.choose(None)


def test_a_port_that_somebody_listens_at_is_not_free() -> None:
    with socket.socket() as taken:
        taken.bind((ports.HOST, 0))
        taken.listen()
        assert not ports.is_free(taken.getsockname()[1])
