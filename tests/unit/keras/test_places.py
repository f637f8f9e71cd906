"""The connection file in its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from triveni.client import Connection
from triveni.identity.credentials import Credentials
from triveni.keras import places
from triveni.keras.bundle import Addresses
from triveni.sharing.worker_link import Address


def test_a_place_names_the_hosts_and_nothing_that_is_no_file_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    path = places.default_path(["localhost:4000", "[::1]:4001", "../x:1"])
    assert path == tmp_path / "triveni" / "connections" / "localhost-4000_---1--4001_..-x-1.json"
    assert places.default_path(["localhost:4000", None, "localhost:4002"]) is None


def test_only_its_user_can_read_it_whatever_was_there(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    places.write_private(path, b"one")
    path.chmod(0o644)
    places.write_private(path, b"two")
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [other.name for other in path.parent.iterdir()] == ["file"]


def test_it_is_removed_but_not_that_of_a_cluster_that_came_after(tmp_path: Path) -> None:
    path = tmp_path / "file"
    places.write_private(path, b"mine")
    places.remove(path, b"another's")
    assert path.exists()
    places.remove(path, b"mine")
    places.remove(path, b"mine")
    assert not path.exists()


def test_it_is_what_a_client_reads(tmp_path: Path) -> None:
    here = Address("localhost", 4000), Address("localhost", 4001), Address("::1", 4002)
    document = places.connection_document("notebook", "uid", Addresses(here, here), Credentials(b"c", b"k", b"a"))
    places.write_private(tmp_path / "file", document)
    connection = Connection.read(tmp_path / "file")
    assert connection.workers == ("https://localhost:4000", "https://localhost:4001", "https://[::1]:4002")
