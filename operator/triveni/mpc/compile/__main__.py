"""The compiler's process: an architecture on standard input, its program on standard output."""

from __future__ import annotations

import gc
import sys

from triveni.mpc.architecture import Architecture, InvalidArchitecture
from triveni.mpc.compile.driver import COMPILER
from triveni.mpc.passes import optimise


def main() -> int:
    """Exit code 0, or 1 with the reason as the last line of standard error."""
    gc.disable()  # a short life in which nothing is thrown away
    try:
        from triveni.mpc.compile.trace import Untraceable, trace
    except ImportError as error:
        sys.stderr.write(f"{error.name} is not installed here; install triveni[compile]\n")
        return 1
    try:
        program = optimise(trace(Architecture.from_json(sys.stdin.buffer.read()), COMPILER))
    except (InvalidArchitecture, Untraceable) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.buffer.write(program.to_json())
    return 0


if __name__ == "__main__":
    sys.exit(main())
