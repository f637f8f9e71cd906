"""The entry points. They import nothing heavy, so that Ctrl-C has its one clear line from the very start."""

from __future__ import annotations

import sys

from triveni.cli.exit_codes import INTERRUPTED


def main(program: str = "triveni") -> None:
    """Run the command line; ends the process."""
    try:
        from triveni.cli.app import app

        app(prog_name=program)
    except KeyboardInterrupt:
        sys.stderr.write("triveni: interrupted\n")
        sys.exit(INTERRUPTED)


def kubectl_plugin() -> None:
    """The same as `kubectl triveni`: kubectl runs the program `kubectl-triveni`."""
    main("kubectl triveni")


if __name__ == "__main__":
    main()
