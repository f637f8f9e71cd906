"""The compiler's process, given a protocol's name: an architecture on standard input, its program on standard output.

There is no program if it cannot be proved.
"""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import sys

from triveni.mpc.architecture import Architecture, InvalidArchitecture
from triveni.mpc.compile.driver import COMPILER
from triveni.mpc.passes import optimise
from triveni.mpc.program import Program
from triveni.mpc.prove import Unproven, require_proof

PR_SET_PDEATHSIG = 1


def main() -> int:
    """Exit code 0, or 1 with the reason as the last line of standard error."""
    _end_with_parent()
    gc.disable()  # a short life in which nothing is thrown away
    try:
        from triveni.mpc.compile.trace import Untraceable
    except ImportError as error:
        sys.stderr.write(f"{error.name} is not installed here; install triveni[compile]\n")
        return 1
    try:
        program = compile_here(Architecture.from_json(sys.stdin.buffer.read()), sys.argv[1])
    except (InvalidArchitecture, Untraceable, Unproven) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.buffer.write(program.to_json())
    return 0


def compile_here(architecture: Architecture, protocol: str) -> Program:
    """The proved program of an architecture, made in this process.

    Raises:
        InvalidArchitecture, Untraceable: see `trace`.
        Unproven: it is not shown to keep the secrets.
    """
    from triveni.mpc.compile.trace import trace

    program = optimise(trace(architecture, protocol, COMPILER))
    require_proof(program)
    return program


def _end_with_parent() -> None:
    """A worker that is killed while it compiles leaves no compiler behind (Linux; elsewhere it ends by itself soon)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # the interpreter would take TensorFlow down piece by piece, for most of a second
