"""Last words fit into a termination message, and are written where no rename can replace the file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from triveni.api.termination import MAX_BYTES, encode, write

REPORT = {"reason": "UnsupportedLayer", "message": "layer 'lstm': is not supported", "permanent": True}


def test_what_fits_is_written_as_it_is() -> None:
    assert json.loads(encode(REPORT)) == REPORT


@pytest.mark.parametrize("character", ["x", "é", "\N{GRINNING FACE}", '"', "\\", "\n", "\x01"])
@pytest.mark.parametrize("length", [3900, 4000, 4096, 10_000])
def test_a_long_message_is_cut_so_that_all_of_it_fits(character: str, length: int) -> None:
    line = encode({**REPORT, "message": character * length})
    assert len(line) <= MAX_BYTES
    document = json.loads(line)
    assert document["permanent"] is True
    message = document["message"].removesuffix("...")
    assert message == character * len(message)
    assert len(message) == length or len(line) > MAX_BYTES - len(r"\u0001"), "more is cut than has to be"


def test_a_message_that_is_no_text_of_unicode_is_written_all_the_same() -> None:
    assert json.loads(encode({**REPORT, "message": "\udcff"}))["message"] == "?"


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "report"
    path.write_text("old")
    write(path, REPORT)
    assert json.loads(path.read_text()) == REPORT
    assert [file.name for file in tmp_path.iterdir()] == ["report"]


def test_a_file_that_cannot_be_replaced_is_written_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one that is mounted: its name is taken, and it is longer than what is written."""
    path = tmp_path / "report"
    path.write_text("old" * 1000)

    def busy(source: object, target: object) -> None:
        raise OSError(16, "Device or resource busy")

    monkeypatch.setattr("os.replace", busy)
    write(path, REPORT)
    assert json.loads(path.read_text()) == REPORT
    assert [file.name for file in tmp_path.iterdir()] == ["report"]


def test_a_directory_in_which_nothing_can_be_made_is_no_hindrance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "report"
    path.write_text("")

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.NamedTemporaryFile", denied)
    write(path, REPORT)
    assert json.loads(path.read_text()) == REPORT


def test_a_path_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        write(tmp_path / "missing" / "report", REPORT)
