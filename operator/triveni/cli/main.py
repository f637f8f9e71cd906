"""The entry point. It imports nothing heavy, so that Ctrl-C has its one clear line from the very start."""

from __future__ import annotations

import sys

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130

EXIT_CODES = "Exit codes: 0 done, 1 failed, 2 wrong usage or bad input, 130 interrupted (Ctrl-C, SIGTERM)."


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
