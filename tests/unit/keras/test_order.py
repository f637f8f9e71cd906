"""What a notebook tells a host, and the worker that the host then starts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.keras.test_bundle import ADDRESSES
from triveni.identity.credentials import Credentials
from triveni.keras.bundle import Bundle
from triveni.keras.order import InvalidOrder, Order, worker_config
from triveni.worker.config import Config, InvalidConfig

CREDENTIALS = Credentials(b"certificate", b"key", b"ca")
ORDER = Order(7, 3, "ABY3", CREDENTIALS)
BUNDLE = Bundle("notebook", "uid", 1, ADDRESSES, CREDENTIALS)


def test_an_order_is_read_as_it_was_given() -> None:
    assert Order.parse(ORDER.text()) == ORDER
    assert Order.parse(Order(7, None, "ABY3", CREDENTIALS).text()).grant is None


def test_its_key_is_not_shown() -> None:
    assert "key" not in repr(ORDER).replace("key not shown", "")


@pytest.mark.parametrize(
    "change", [{"epoch": "7"}, {"epoch": True}, {"more": 1}, {"credentials": None}, {"credentials": {"key": ""}}]
)
def test_anything_else_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidOrder):
        Order.parse(json.dumps(json.loads(ORDER.text()) | change))


@pytest.mark.parametrize("text", ["", "[]", "{}", "null"])
def test_what_is_no_order_is_refused(text: str) -> None:
    with pytest.raises(InvalidOrder):
        Order.parse(text)


def test_the_worker_is_who_the_bundle_says_with_the_grant_of_the_order(tmp_path: Path) -> None:
    config = Config.parse(worker_config(BUNDLE, ORDER, None, tmp_path, tmp_path / "cache"))
    assert (config.party, config.epoch, config.grant, config.namespace, config.uid) == (1, 7, 3, "notebook", "uid")
    assert str(config.listen) == "bob:4000"
    assert {party: str(address) for party, address in config.peers.items()} == {0: "alice:4100", 2: "[::1]:4100"}
    assert config.report.parent == config.credentials.parent == tmp_path


def test_it_listens_elsewhere_if_it_is_told_so_and_others_are_where_they_were(tmp_path: Path) -> None:
    config = Config.parse(worker_config(BUNDLE, ORDER, "0.0.0.0", tmp_path, tmp_path / "cache"))
    assert (str(config.listen), str(config.peer_listen)) == ("0.0.0.0:4000", "0.0.0.0:4100")
    assert str(config.peers[0]) == "alice:4100"


@pytest.mark.parametrize("order", [Order(0, 3, "ABY3", CREDENTIALS), Order(1, 0, "ABY3", CREDENTIALS)])
def test_a_worker_that_could_not_start_is_refused_before(order: Order, tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig):
        worker_config(BUNDLE, order, None, tmp_path, tmp_path / "cache")
