"""`triveni completion`, as it is typed."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated

import typer


class Shell(StrEnum):
    """Shells that can complete."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(
    shell: Annotated[Shell, typer.Argument(metavar="bash|zsh|fish", help="The shell that is to complete.")],
) -> None:
    """Print the completion script of a shell.

    Load it with: source <(triveni completion bash). For `kubectl triveni` nothing is needed but kubectl's own.
    """
    from triveni.cli.completion import script
    from triveni.cli.errors import told

    with told():
        sys.stdout.write(script(shell.value))
