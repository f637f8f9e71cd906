"""One batch size made ready to run: what a back end (the native kernel, or numpy) gives to the machine.

Everything that depends on the number of rows has been looked up: buffers are memoryviews, computations are callables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from triveni.mpc.program import Input
from triveni.mpc.randomness import Holders

Words = NDArray[np.int64]

Compute = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Frame:
    """The bytes that go to a peer, or come from it, in one round."""

    peer: int
    buffer: memoryview

    def __repr__(self) -> str:
        return f"<Frame of {len(self.buffer)} bytes, peer {self.peer}>"


@dataclass(frozen=True, slots=True)
class Step:
    """One round: compute, send, compute what nobody waits for, receive. None: nothing to compute."""

    before: Compute | None
    sends: tuple[Frame, ...]
    after: Compute | None
    receives: tuple[Frame, ...]


@dataclass(frozen=True, slots=True)
class Setup:
    """All that one party does once for an epoch: fill `streams`, then take `steps`."""

    streams: tuple[tuple[Holders, memoryview], ...]
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Batch:
    """All that one party does for a batch of `rows` rows.

    Fill `streams`, call `start`, take the steps `ahead`; then fill `request`, take the steps `online`, read `answer`.
    """

    rows: int
    streams: tuple[tuple[Holders, memoryview], ...]
    start: Compute | None
    ahead: tuple[Step, ...]
    request: Mapping[Input, Words]
    online: tuple[Step, ...]
    answer: Callable[[], tuple[Words, ...]]


class Backend(Protocol):
    """Holds one party's values and computes with them."""

    def load(self, weights: Mapping[Input, Words]) -> Setup:
        """Take the weights (an array for each weight input of the program); what is to be done with them at once."""

    def batch(self, rows: int) -> Batch:
        """A batch size made ready; batches share memory, so only one of them runs at a time."""

    def erase(self) -> int:
        """Overwrite everything that was held; how many bytes that were."""
