"""`triveni worker` with a file that is no bundle, or an address that cannot be used."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.unit.keras.test_bundle import ADDRESSES
from triveni.cli.errors import CommandFailed
from triveni.cli.exit_codes import FAILED, USAGE
from triveni.cli.worker import worker
from triveni.identity.authority import Authority
from triveni.keras.bundle import Bundle


def test_a_file_that_is_no_bundle_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="no such file") as raised:
        worker(tmp_path / "missing", None)
    assert raised.value.code == USAGE


def test_an_address_of_another_machine_is_a_failure_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("triveni.keras.host.protect_memory", lambda: None)  # it would be for all tests
    monkeypatch.setenv("XDG_CACHE_HOME", os.devnull)
    Bundle.issue(Authority.create("notebook", "uid"), ADDRESSES, 0).write(tmp_path / "bundle")
    with pytest.raises(CommandFailed, match=r"cannot listen for clients at 192\.0\.2\.7:4000") as raised:
        worker(tmp_path / "bundle", "192.0.2.7")
    assert raised.value.code == FAILED
