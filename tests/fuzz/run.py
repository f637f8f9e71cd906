"""Feeds parsers, and watches: no other error than their own, no input that takes long, no memory that grows.

Input number N of a target is the same in every run with one seed, so that a finding can be looked at again.
"""

from __future__ import annotations

import resource
import signal
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from types import FrameType
from typing import Any

from tests.fuzz.targets import Target

LONGEST_S = 5.0
"""Of processor time, for one input; the slowest takes a hundredth of it."""

MEMORY = 3 << 30
"""Address space beyond what the process has at the start; an input that asks for more meets a MemoryError."""

KEPT = 5
"""Findings of one target that are kept."""


class TooSlow(BaseException):
    """An input took longer than `LONGEST_S`; no parser may catch this."""


@dataclass(frozen=True)
class Finding:
    """An input that was neither read nor refused."""

    target: str
    number: int
    problem: str

    def __str__(self) -> str:
        return f"{self.target}, input {self.number}: {self.problem}"


@dataclass
class Result:
    """What came of the inputs of one target."""

    target: str
    inputs: int = 0
    read: int = 0
    seconds: float = 0.0
    slowest_ms: float = 0.0
    findings: list[Finding] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)

    def __str__(self) -> str:
        share = 100 * self.read / max(self.inputs, 1)
        return (
            f"{self.target:26} {self.inputs:9,} inputs  {share:5.1f} % read  {self.seconds:7.1f} s"
            f"  slowest {self.slowest_ms:7.1f} ms  {len(self.findings)} findings"
        )


def run(targets: Sequence[Target], inputs: int, seed: int) -> Iterator[Result]:
    """Feed all targets, by their weights; `inputs` in all."""
    weights = sum(target.weight for target in targets)
    for target in targets:
        yield feed(target, range(-(-inputs * target.weight // weights)), seed)


def feed(target: Target, numbers: Sequence[int], seed: int) -> Result:
    """Feed one target the inputs of these numbers."""
    result = Result(target.name)
    began = time.process_time()
    with _limited():
        for number in numbers:
            before = time.process_time()
            problem = _problem(target, result, Random(f"{seed}/{target.name}/{number}"))
            took = time.process_time() - before
            result.inputs += 1
            result.slowest_ms = max(result.slowest_ms, 1000 * took)
            if problem is not None and len(result.findings) < KEPT:
                result.findings.append(Finding(target.name, number, problem))
    result.seconds = time.process_time() - began
    return result


def _problem(target: Target, result: Result, random: Random) -> str | None:
    signal.setitimer(signal.ITIMER_VIRTUAL, LONGEST_S)
    try:
        target.feed(random)
        result.read += 1
    except target.refusals as error:
        str(error)  # a refusal that cannot be told is none
        result.refused.add(type(error).__name__)
    except TooSlow:
        return f"takes longer than {LONGEST_S:g} s"
    except Exception as error:  # noqa: BLE001 (what is looked for)
        at = " < ".join(
            f"{frame.filename.rpartition('/')[2]}:{frame.lineno}"
            for frame in reversed(traceback.extract_tb(error.__traceback__)[-3:])
        )
        return f"{type(error).__name__}: {str(error)[:200]!r} at {at}"
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    return None


@contextmanager
def _limited() -> Iterator[None]:
    """Time for each input, and memory for all."""

    def too_slow(_number: int, _frame: FrameType | None) -> None:
        raise TooSlow

    before: Any = signal.signal(signal.SIGVTALRM, too_slow)
    limits = resource.getrlimit(resource.RLIMIT_AS)
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (_address_space() + MEMORY, limits[1]))
    try:
        yield
    finally:
        signal.signal(signal.SIGVTALRM, before)
        resource.setrlimit(resource.RLIMIT_AS, limits)


def _address_space() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()
