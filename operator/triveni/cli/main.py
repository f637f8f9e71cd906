"""The entry point. It imports nothing heavy, so that Ctrl-C has its one clear line from the very start."""

from __future__ import annotations

import sys

from triveni.cli.exit_codes import INTERRUPTED


def main() -> None:
    """Run the command line; ends the process."""
    try:
        from triveni.cli.app import app

        app()
    except KeyboardInterrupt:
        sys.stderr.write("triveni: interrupted\n")
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
