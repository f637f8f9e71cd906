"""A worker's configuration file."""

import json
from pathlib import Path
from typing import Any

import pytest

from triveni.worker.config import Address, Config, InvalidConfig


def document(**change: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "namespace": "default",
        "uid": "u-1",
        "name": "mnist",
        "epoch": 1,
        "party": 0,
        "protocol": "ABY3",
        "grant": 3,
        "listen": {"host": "127.0.0.1", "port": 8443},
        "peer_listen": {"host": "127.0.0.1", "port": 9443},
        "peers": {"1": {"host": "127.0.0.1", "port": 9444}, "2": {"host": "::1", "port": 9445}},
        "credentials": "credentials",
        "report": "report.json",
    } | change
    return {name: value for name, value in fields.items() if value is not ...}


def test_a_whole_configuration_is_read(tmp_path: Path) -> None:
    path = tmp_path / "worker.json"
    path.write_text(json.dumps(document(cache=None, max_rows=16, drain_s=0.5, log_level="debug")))
    config = Config.read(path)
    assert config.identity.uri == "triveni://default/u-1/epoch/1/worker/0"
    assert config.peers == {1: Address("127.0.0.1", 9444), 2: Address("::1", 9445)}
    assert (config.grant, config.max_rows, config.drain_s, config.cache) == (3, 16, 0.5, None)


def test_probes_are_answered_only_where_that_is_configured() -> None:
    assert Config.parse(document()).health_listen is None
    address = {"host": "0.0.0.0", "port": 8080}
    assert Config.parse(document(health_listen=address)).health_listen == Address("0.0.0.0", 8080)


def test_answers_are_as_the_model_is_shared_unless_it_is_said_how_many_bits_they_have() -> None:
    assert Config.parse(document()).answer_fractional_bits is None
    assert Config.parse(document(answer_fractional_bits=0)).answer_fractional_bits == 0


def test_no_grant_is_no_limit() -> None:
    assert Config.parse(document(grant=None)).grant is None


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("namespace", {"namespace": ""}),
        ("namespace", {"namespace": "a/b"}),
        ("uid", {"uid": 7}),
        ("name", {"name": ...}),
        ("epoch", {"epoch": 0}),
        ("epoch", {"epoch": True}),
        ("party", {"party": 3}),
        ("grant", {"grant": 0}),
        ("grant", {"grant": -1}),
        ("grant", {"grant": "many"}),
        ("grant", {"grant": 1.5}),
        ("grant", {"grant": ...}),
        ("listen", {"listen": "127.0.0.1:80"}),
        ("health_listen", {"health_listen": 8080}),
        ("listen.port", {"listen": {"host": "127.0.0.1", "port": 0}}),
        ("listen.host", {"listen": {"host": "", "port": 1}}),
        ("peers", {"peers": {"1": {"host": "h", "port": 1}}}),
        ("peers", {"peers": {"0": {"host": "h", "port": 1}, "1": {"host": "h", "port": 1}}}),
        ("peers", {"peers": {"1": {"host": "h", "port": 1}, "x": {"host": "h", "port": 1}}}),
        ("peers.2", {"peers": {"1": {"host": "h", "port": 1}, "2": {"host": "h"}}}),
        ("max_rows", {"max_rows": 257}),
        ("answer_fractional_bits", {"answer_fractional_bits": 17}),
        ("answer_fractional_bits", {"answer_fractional_bits": None}),
        ("run_timeout_s", {"run_timeout_s": 0}),
        ("drain_s", {"drain_s": "1"}),
        ("request_timeout_s", {"request_timeout_s": float("nan")}),
        ("log_level", {"log_level": "loud"}),
        ("cache", {"cache": 1}),
        ("request_quota", {"request_quota": 3}),
    ],
)
def test_a_field_that_cannot_be_used_is_named(field: str, change: dict[str, Any]) -> None:
    with pytest.raises(InvalidConfig) as caught:
        Config.parse(document(**change))
    assert caught.value.field == field
    assert str(caught.value).startswith(f"{field}: ")


@pytest.mark.parametrize("text", ["", "[]", "{", '"x"'])
def test_a_file_that_is_no_json_object_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "worker.json"
    path.write_text(text)
    with pytest.raises(InvalidConfig):
        Config.read(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match=r"nowhere\.json"):
        Config.read(tmp_path / "nowhere.json")
