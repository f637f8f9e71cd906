"""What protects the memory of this process, as far as a process can: from the rest of its machine, and from later."""

from __future__ import annotations

import ctypes
import os
import resource
import sys
from collections.abc import Mapping

PR_SET_DUMPABLE = 4

OVERWRITING: Mapping[str, str] = {
    # Whatever is freed is overwritten at once; and small blocks do not go to glibc's cache, which leaves that out.
    "GLIBC_TUNABLES": "glibc.malloc.perturb=165:glibc.malloc.tcache_count=0",
    # Python's own pool of small blocks knows no such thing.
    "PYTHONMALLOC": "malloc",
}
"""Read from the environment when a process starts, and never again."""


def overwrite_freed_memory() -> None:
    """Start this very command anew, under the same process id, such that freed memory holds nothing (Linux with glibc).

    Shares pass through buffers of aiohttp, OpenSSL and Python that free memory without overwriting it. To be called
    before anything else. What the process starts itself is not concerned.
    """
    if sys.platform != "linux":
        return
    if any(os.environ.get(name) != value for name, value in OVERWRITING.items()):
        environment = {**os.environ, **OVERWRITING}
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)  # noqa: S606 (itself)
    for name in OVERWRITING:
        del os.environ[name]


def protect_memory() -> None:
    """No core dump, and no other process of the same user may read this one's memory (Linux)."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
