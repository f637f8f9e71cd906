"""The machine that was measured on, and how busy it was with something else."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from triveni.mpc.execute.native import KERNEL


def load() -> Sequence[float]:
    """Mean number of processes that run or want to, over 1, 5 and 15 minutes."""
    return [round(value, 2) for value in os.getloadavg()]


def describe(load_before: Sequence[float]) -> Mapping[str, Any]:
    """Everything that a figure depends on, but the code."""
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "kernel_native": KERNEL is not None,
        "load_before": load_before,
        "load_after": load(),
    }


def line(about: Mapping[str, Any]) -> str:
    """The same in a line, as far as it explains a figure."""
    kernel = "native kernel" if about["kernel_native"] else "NO NATIVE KERNEL"
    return (
        f"{about['cpu']}, {about['cores']} cores, load {about['load_before'][0]} to {about['load_after'][0]}, {kernel}"
    )


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
