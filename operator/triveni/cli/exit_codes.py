"""Exit codes of all commands."""

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130

EXIT_CODES = "Exit codes: 0 done, 1 failed, 2 wrong usage or bad input, 130 interrupted (Ctrl-C, SIGTERM)."
