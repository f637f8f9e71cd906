"""Exit codes of all commands, each with its meaning: the one table that --help shows and the docs repeat."""

from __future__ import annotations

from collections.abc import Mapping

OK, FAILED, USAGE, REFUSED, QUOTA_REACHED, UNREACHABLE, INTERRUPTED, CLOSED = 0, 1, 2, 3, 4, 5, 130, 141

MEANINGS: Mapping[int, str] = {
    OK: "done",
    FAILED: "failed",
    USAGE: "wrong usage or bad input",
    REFUSED: "the model is refused",
    QUOTA_REACHED: "request quota reached",
    UNREACHABLE: "workers or cluster not reached in time",
    INTERRUPTED: "interrupted (Ctrl-C, SIGTERM)",
    CLOSED: "whoever read the output closed it",
}

EXIT_CODES = f"Exit codes: {', '.join(f'{code} {meaning}' for code, meaning in MEANINGS.items())}."
