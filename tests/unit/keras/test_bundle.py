"""The file that makes a machine the host of a worker."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from triveni.identity.authority import Authority
from triveni.keras.bundle import Addresses, Bundle, InvalidBundle
from triveni.sharing.worker_link import Address

ADDRESSES = Addresses(
    (Address("alice", 4000), Address("bob", 4000), Address("::1", 4000)),
    (Address("alice", 4100), Address("bob", 4100), Address("::1", 4100)),
)


@pytest.fixture
def bundle() -> Bundle:
    return Bundle.issue(Authority.create("notebook", "uid"), ADDRESSES, 2)


def test_what_is_written_is_read_again(bundle: Bundle, tmp_path: Path) -> None:
    bundle.write(tmp_path / "bundle")
    assert Bundle.read(tmp_path / "bundle") == bundle


def test_only_its_user_can_read_it_and_it_replaces_nothing(bundle: Bundle, tmp_path: Path) -> None:
    bundle.write(tmp_path / "bundle")
    assert (tmp_path / "bundle").stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        bundle.write(tmp_path / "bundle")


def test_its_key_is_not_shown(bundle: Bundle) -> None:
    assert "PRIVATE" not in repr(bundle)
    assert bundle.credentials.key.decode()[40:80] not in repr(bundle)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"format": 2}, "format"),
        ({"party": 3}, "party"),
        ({"uid": "a/b"}, "uid"),
        ({"front": ["alice:4000", "bob:4000"]}, "front"),
        ({"peer": ["alice", "bob:1", "carol:2"]}, "peer"),
        ({"peer": None}, "peer"),
        ({"credentials": {"certificate": "", "key": ""}}, "credentials"),
    ],
)
def test_a_wrong_field_is_named(bundle: Bundle, tmp_path: Path, change: dict[str, Any], field: str) -> None:
    bundle.write(tmp_path / "good")
    document = json.loads((tmp_path / "good").read_text()) | change
    (tmp_path / "bad").write_text(json.dumps(document))
    with pytest.raises(InvalidBundle) as raised:
        Bundle.read(tmp_path / "bad")
    assert raised.value.field == field
    assert "PRIVATE" not in str(raised.value)


@pytest.mark.parametrize("content", [None, b"", b"[]", b"\xff", b"{}"])
def test_what_is_no_bundle_is_refused(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "bad").write_bytes(content)
    with pytest.raises(InvalidBundle):
        Bundle.read(tmp_path / "bad")
