"""Work in threads of their own, whose results are waited for with a deadline."""

import threading
from collections.abc import Callable
from concurrent.futures import Future


def in_thread(work: Callable[[], object]) -> Future:
    """The future result, or exception, of blocking work. A thread that hangs keeps no test run from ending."""
    done: Future = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:  # noqa: BLE001 (the one who waits gets it)
            done.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return done
