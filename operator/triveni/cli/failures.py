"""The errors of all rooms, and the exit code of each. Imported only when something went wrong."""

from __future__ import annotations

from dataclasses import replace

from triveni.api.manifest import InvalidManifest
from triveni.cli.errors import CommandFailed
from triveni.cli.exit_codes import FAILED, QUOTA_REACHED, REFUSED, UNREACHABLE, USAGE
from triveni.client.cluster.errors import ApiUnreachable, KubeconfigUnusable, NoSuchModel, NotServing
from triveni.client.errors import (
    ClientError,
    DeadlineExceeded,
    InvalidConnection,
    QuotaReached,
    WorkersUnreachable,
    WrongInput,
)
from triveni.mpc.compile import CompileError
from triveni.sharing.failures import SharingFailure, SourceNotFound, UnsupportedLayer

CODES: tuple[tuple[type[Exception], int], ...] = (
    (InvalidManifest, USAGE),
    (WrongInput, USAGE),
    (InvalidConnection, USAGE),
    (KubeconfigUnusable, USAGE),
    (NoSuchModel, USAGE),
    (QuotaReached, QUOTA_REACHED),
    (WorkersUnreachable, UNREACHABLE),
    (DeadlineExceeded, UNREACHABLE),
    (ApiUnreachable, UNREACHABLE),
    (NotServing, UNREACHABLE),
    (ClientError, FAILED),
    (CompileError, FAILED),
)
"""The first that fits counts."""


def failure_of(error: Exception) -> CommandFailed | None:
    """What is told of an error; None of one that nobody foresaw."""
    if isinstance(error, CommandFailed):
        return error
    if isinstance(error, SourceNotFound):
        return CommandFailed(f"{error}; give a .keras file or a manifest", USAGE)
    if isinstance(error, UnsupportedLayer) and error.others:
        layers = "".join(f"\n  {layer}" for layer in (replace(error, others=()), *error.others))
        return CommandFailed(f"refused ({error.reason}): {1 + len(error.others)} layers{layers}", REFUSED)
    if isinstance(error, SharingFailure):
        return CommandFailed(f"refused ({error.reason}): {error}", REFUSED)
    code = next((code for kind, code in CODES if isinstance(error, kind)), None)
    return None if code is None else CommandFailed(str(error), code)
