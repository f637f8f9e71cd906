"""What a request costs, and the simple model of its latency."""

from __future__ import annotations

import pytest

from tests.unit.mpc.prove.prove_programs import Toy
from triveni.cli.cost import LAN, PRODUCTS_PER_S, WAN, Network, RequestCost, changes_at, cost_of, fastest

MANY_ROUNDS = RequestCost("many", 36, 0, 0, 100_000, 0)
MANY_BYTES = RequestCost("bytes", 10, 0, 0, 600_000, 0)


def masked(toy: Toy) -> None:
    """Two words from party 0 to party 1, and one from 1 to 2."""
    toy.send(toy.op("add", toy.x(0, 0), toy.draw(0, "02", 0)), 2)
    toy.send(toy.op("add", toy.x(1, 1), toy.draw(1, "01", 1)), 0)


def test_rounds_and_bytes_are_those_of_the_program() -> None:
    toy = Toy(4)
    masked(toy)
    cost = cost_of(toy.program())
    assert cost.protocol == toy.program().protocol
    assert cost.rounds == 1
    assert cost.online_bytes >= 2 * 4 * 8
    assert cost.busiest_bytes <= cost.online_bytes <= cost.total_bytes
    assert cost.products == 0


def test_latency_is_hops_bytes_and_products() -> None:
    cost = RequestCost("p", 36, 0, 0, 1_250_000, int(PRODUCTS_PER_S / 100))
    assert cost.latency_s(Network("", 0.040, 1e8)) == pytest.approx(40 * 0.020 + 0.1 + 0.01)


def test_the_fastest_depends_on_the_network_and_changes_where_both_take_the_same_time() -> None:
    costs = [MANY_ROUNDS, MANY_BYTES]
    slow, fast = Network("", 0.2, 1e8), Network("", 0.0, 1e8)
    assert [fastest(costs, network).protocol for network in (fast, slow)] == ["many", "bytes"]
    at = changes_at(costs, WAN)
    assert at == pytest.approx(2 * 0.04 / 26)
    there = Network("", at or 0, WAN.bits_per_s)
    assert MANY_ROUNDS.latency_s(there) == pytest.approx(MANY_BYTES.latency_s(there))


def test_nothing_changes_where_one_is_always_the_faster() -> None:
    assert changes_at([MANY_BYTES], LAN) is None
    assert changes_at([RequestCost("good", 5, 0, 0, 10, 0), MANY_ROUNDS], LAN) is None
    assert changes_at([RequestCost("good", 10, 0, 0, 10, 0), RequestCost("far", 9, 0, 0, 10**8, 0)], WAN) is None
