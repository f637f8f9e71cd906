"""Completion: scripts for shells, and what kubectl is told when it asks for its plugin's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.cli.cli import triveni
from triveni.cli.completion import suggestions

BIN = Path(sys.executable).parent


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_there_is_a_script_for_each_shell(shell: str) -> None:
    told = triveni("completion", shell)
    assert told.code == 0
    assert "_TRIVENI_COMPLETE" in told.out


def test_an_unknown_shell() -> None:
    assert triveni("completion", "cmd").code == 2


def test_commands_and_options_are_suggested() -> None:
    assert suggestions(["st"]) == ["status"]
    assert "--connection" in suggestions(["top", "--con"])
    assert suggestions(["top", "--once", "--name"]) == ["--namespace"]
    assert {"run", "predict"} <= set(suggestions([""]))


def test_the_environment_is_left_as_it_was() -> None:
    before = dict(os.environ)
    suggestions([""])
    assert dict(os.environ) == before


def test_kubectl_finds_the_plugin_and_its_completion_on_the_path() -> None:
    path = {"PATH": f"{BIN}:{os.environ['PATH']}"}
    run = ["sh", "-c", "kubectl-triveni top --help && kubectl_complete-triveni bench --requ"]
    done = subprocess.run(run, check=True, capture_output=True, text=True, env=os.environ | path)
    assert done.stdout.startswith("Usage: kubectl triveni top [OPTIONS] [NAME]")
    assert done.stdout.endswith("--requests\n:4\n")
