"""The connection file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from triveni.client import AsyncClient, Connection, InvalidConnection
from triveni.identity.authority import Authority
from triveni.identity.names import Identity

AUTHORITY = Authority.create("default", "5f0c")


@pytest.fixture
def document() -> dict[str, Any]:
    credentials = AUTHORITY.issue(Identity.of_client("default", "5f0c", "me"))
    return {
        "name": "mnist",
        "namespace": "default",
        "uid": "5f0c",
        "workers": ["https://127.0.0.1:1", "https://worker-1.example:8443", "https://[::1]:3"],
        "credentials": {key: getattr(credentials, key).decode() for key in ("certificate", "key", "ca")},
    }


def test_a_connection_file_is_read(tmp_path: Path, document: dict[str, Any]) -> None:
    path = tmp_path / "connection.json"
    path.write_text(json.dumps(document))
    connection = Connection.read(path)
    assert (connection.name, connection.namespace, connection.uid) == ("mnist", "default", "5f0c")
    assert connection.workers == tuple(document["workers"])
    assert connection.credentials.key == document["credentials"]["key"].encode()


def test_its_repr_shows_no_key(document: dict[str, Any]) -> None:
    assert "BEGIN" not in repr(Connection.from_document(document))


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("name", None, "name: a text is needed"),
        ("namespace", "", "namespace"),
        ("uid", "a/b", "uid"),
        ("workers", ["https://127.0.0.1:1"], "three addresses"),
        ("workers", ["http://127.0.0.1:1"] * 3, "three addresses"),
        ("workers", ["https://127.0.0.1:port"] * 3, "three addresses"),
        ("workers", ["https://127.0.0.1:1/path"] * 3, "three addresses"),
        ("workers", [1, 2, 3], "three addresses"),
        ("credentials", {"certificate": "", "key": ""}, "credentials: certificate, key, ca are needed"),
    ],
)
def test_a_wrong_field_is_named(document: dict[str, Any], field: str, value: Any, text: str) -> None:
    with pytest.raises(InvalidConnection, match=text):
        Connection.from_document({**document, field: value})


@pytest.mark.parametrize(("content", "text"), [("{", "no JSON"), ("[]", "JSON object"), (None, "No such file")])
def test_what_is_no_connection_file_is_said(tmp_path: Path, content: str | None, text: str) -> None:
    path = tmp_path / "connection.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InvalidConnection, match=text):
        Connection.read(path)


async def test_credentials_that_are_none_are_named_and_not_shown(document: dict[str, Any]) -> None:
    document["credentials"]["key"] = "hunter2"
    async with AsyncClient(Connection.from_document(document), deadline=5) as client:
        with pytest.raises(InvalidConnection, match="credentials") as error:
            await client.describe()
    assert "hunter2" not in repr(error.value)
