"""Bad input on the command line: exit code 2, one line for each problem, nothing started."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from triveni import __version__
from triveni.cli.app import app
from triveni.cli.exit_codes import EXIT_CODES

EXAMPLE = Path(__file__).parents[3] / "examples" / "mnist.yaml"


@pytest.fixture
def triveni(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., tuple[int, str]]:
    """Run the command line: its exit code and what it writes to standard error."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", None)

    def run(*arguments: object) -> tuple[int, str]:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        assert not os.listdir(folder)
        return result.exit_code, result.stderr

    return run


Triveni = Callable[..., tuple[int, str]]


def test_the_version_is_told() -> None:
    assert CliRunner().invoke(app, ["--version"]).stdout == f"triveni {__version__}\n"


@pytest.mark.parametrize("command", [[], ["run"], ["predict"], ["check"]])
def test_help_says_what_the_exit_codes_mean(command: list[str]) -> None:
    text = " ".join(CliRunner().invoke(app, [*command, "--help"]).stdout.split())
    assert EXIT_CODES in text


@pytest.mark.parametrize("quota", ["0", "-1", "many", "1.5", "true", "", "9" * 30])
def test_a_quota_that_is_none(triveni: Triveni, quota: str) -> None:
    shown = quota if quota in ("0", "-1") else f"'{quota}'"
    assert triveni("run", EXAMPLE, "--quota", quota) == (
        2,
        f"triveni: --quota: {shown} is not a request quota; give a whole number of at least 1 or leave it out\n",
    )


def test_a_protocol_that_there_is_not(triveni: Triveni) -> None:
    assert triveni("run", EXAMPLE, "--protocol", "Shamir") == (
        2,
        "triveni: --protocol: 'Shamir' is not a protocol; use ABY3 or SecureNN\n",
    )


def test_two_wrong_options_are_told_at_once(triveni: Triveni) -> None:
    code, text = triveni("run", EXAMPLE, "--quota", "0", "--protocol", "x")
    assert code == 2
    assert "--quota: 0 is" in text
    assert "--protocol: 'x' is" in text


def test_a_manifest_that_is_not_there(triveni: Triveni) -> None:
    code, text = triveni("run", "nowhere.yaml")
    assert (code, text.splitlines()) == (
        2,
        ["triveni: nowhere.yaml: the file: does not exist; give the path of a manifest, such as examples/mnist.yaml"],
    )


def test_an_unknown_field_in_a_manifest(triveni: Triveni, tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_text(EXAMPLE.read_text().replace("requestQuota", "requestquota"))
    assert triveni("run", path) == (
        2,
        f"triveni: {path}: spec.requestquota: is not a field; did you mean requestQuota?\n",
    )


def test_an_image_that_is_not_there(triveni: Triveni) -> None:
    assert triveni("run", EXAMPLE, "--predict", "no.png") == (
        2,
        "triveni: no.png: there is no such file; give PNG, npy, npz, csv or JSON files\n",
    )


def test_all_files_after_predict_are_images(triveni: Triveni, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((28, 28)))
    assert triveni("run", EXAMPLE, "--predict", tmp_path / "a.npy", "no.png") == (
        2,
        "triveni: no.png: there is no such file; give PNG, npy, npz, csv or JSON files\n",
    )


def test_a_second_manifest_is_no_image(triveni: Triveni) -> None:
    code, text = triveni("run", EXAMPLE, "b.yaml")
    assert code == 2
    assert "takes one manifest; put --predict before inputs such as b.yaml" in " ".join(text.split())


def test_a_port_in_use(triveni: Triveni) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, text = triveni("run", EXAMPLE, "--port", port)
    assert code == 2
    assert text.startswith(f"triveni: port {port} is in use; --port {port} needs {port} to {port + 5} free: end what")


@pytest.mark.parametrize("port", ["0", "65531", "http"])
def test_a_port_that_cannot_be(triveni: Triveni, port: str) -> None:
    assert triveni("run", EXAMPLE, "--port", port)[0] == 2


def test_a_connection_file_that_is_there_already(triveni: Triveni, tmp_path: Path) -> None:
    path = tmp_path / "connection.json"
    path.write_text("mine")
    code, text = triveni("run", EXAMPLE, "--connection", path)
    assert code == 2
    assert text == (
        f"triveni: {path} exists already, perhaps from another run; "
        "end that run, remove the file, or give another --connection\n"
    )
    assert path.read_text() == "mine"


def test_a_connection_file_in_no_directory(triveni: Triveni, tmp_path: Path) -> None:
    path = tmp_path / "none" / "connection.json"
    assert triveni("run", EXAMPLE, "--connection", path) == (1, f"triveni: {path}: No such file or directory\n")


def test_predict_without_a_connection_file(triveni: Triveni, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((28, 28)))
    code, text = triveni("predict", "--connection", "none.json", tmp_path / "a.npy")
    assert code == 2
    assert "none.json" in text


def test_what_is_no_image_is_told_before_anything_else(triveni: Triveni, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_text("no picture")
    assert triveni("predict", "--connection", "none.json", path) == (
        2,
        f"triveni: {path}: is not an image; give PNG, npy, npz, csv or JSON files\n",
    )


def test_check_of_a_file_that_is_not_there(triveni: Triveni) -> None:
    told = "triveni: no.keras: does not exist; give a .keras file or a manifest\n"
    assert triveni("check", "no.keras") == (2, told)


def test_check_of_what_is_no_keras_file(triveni: Triveni, tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    path.write_text("weights")
    code, text = triveni("check", path)
    assert code == 3
    assert text.startswith("triveni: refused (NotAKerasFile): ")
