"""A real worker that stands still at its end, its report written: ``NOTES PARTY PLAIN --config FILE``.

It writes its keys to the file NOTES (`recorded_keys` reads them), each byte changed, so that writing leaves none of
them in its memory. What it frees is overwritten, as it is by every worker, unless PARTY is PLAIN.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from triveni.worker.process import overwrite_freed_memory

CHANGE = 0xA5


def note_keys(path: str) -> None:
    """All keys that this worker makes go to a file."""
    from triveni.mpc.randomness import Keystreams

    begin = Keystreams.__init__

    def noted(self: Keystreams, *arguments: Any) -> None:
        begin(self, *arguments)
        with Path(path).open("wb") as file:
            for key in (*self._keys.values(), *(secret._data for secret in self._secrets.values())):
                file.write(bytes(byte ^ CHANGE for byte in key))

    Keystreams.__init__ = noted  # type: ignore[method-assign,assignment]


def recorded_keys(path: Path) -> bytes:
    """The keys in such a file, one after another."""
    return bytes(byte ^ CHANGE for byte in path.read_bytes())


if __name__ == "__main__":
    notes, party, plain, *arguments = sys.argv[1:]
    if party != plain:
        overwrite_freed_memory()
    note_keys(notes)
    from triveni.worker.__main__ import main

    code = main(arguments)
    os.kill(os.getpid(), signal.SIGSTOP)
    sys.exit(code)
