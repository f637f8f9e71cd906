"""Reading a model file once in a process of its own, before it is read in this one.

libhdf5 is C, and a file made for that can send it round in circles or break it. Then it is the other process that is
stopped, and this one can say so. Nothing else comes back from there.
"""

from __future__ import annotations

import os
import resource
import signal
import warnings
from collections.abc import Callable

from triveni.sharing.failures import NotAKerasFile

SECONDS = 60
"""Of processor time; the largest model that is served takes a few."""


def rehearse(read: Callable[[], object], source: str, seconds: int = SECONDS) -> None:
    """See that `read` comes to an end, with or without an exception; `source` says of what, for messages.

    Raises:
        NotAKerasFile: it takes longer than `seconds`, or it breaks the process.
    """
    with warnings.catch_warnings():
        # Python warns where there are threads, which a fork does not have: reading uses none.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        _read_and_exit(read, seconds)
    try:
        _, status = os.waitpid(child, 0)
    except BaseException:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise
    if os.WIFSIGNALED(status):
        if os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGKILL):
            raise NotAKerasFile(source, f"its content keeps who reads it busy for more than {seconds} s")
        raise NotAKerasFile(source, "its content breaks who reads it")


def _read_and_exit(read: Callable[[], object], seconds: int) -> None:
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGXCPU):
            signal.signal(number, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # it would hold plain weights
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
        read()
    except BaseException:  # noqa: BLE001 (whoever reads it again meets the same, and says so)
        os._exit(1)
    os._exit(0)
