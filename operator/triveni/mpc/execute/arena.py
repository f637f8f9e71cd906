"""Where values lie in a worker's arena: blocks of bytes whose sizes and offsets are affine in the number of rows.

Blocks that hold one thing for a whole epoch or run (weights, keystreams, frames to send) have a place of their own;
scratch blocks share memory when the one is no longer read before the other is written.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum

from triveni.mpc.affine import Affine

ALIGNMENT = 64

Span = tuple[Affine, Affine]
"""Offset and size of a piece of memory."""


class Life(IntEnum):
    """How long a block keeps what was written to it."""

    EPOCH = 0
    """Constants, weights, what was computed of them: the size does not depend on the rows."""
    RUN = 1
    """Keystreams and frames to send: written once in a run, never shared within it."""
    SCRATCH = 2
    """From its first use to its last."""


@dataclass(eq=False, slots=True)
class Block:
    """One piece of the arena; `first` and `last` are the steps between which a scratch block is in use."""

    size: Affine
    life: Life
    first: int = -1
    last: int = -1
    offset: Affine = field(default_factory=lambda: Affine(0))

    def touch(self, step: int) -> None:
        """The block is read or written in this step; steps come in rising order."""
        if self.first < 0:
            self.first = step
        self.last = step


def place(blocks: Iterable[Block]) -> Affine:
    """Give every block its offset; the size of the arena that holds them all.

    Offsets are multiples of 64 for every number of rows. Two scratch blocks overlap only if one's last use comes before
    the other's first (best fit among the pieces that are free for every number of rows).
    """
    top = Affine(0)
    scratch = []
    for block in sorted(blocks, key=lambda b: b.life):
        if block.life is Life.SCRATCH:
            scratch.append(block)
        else:
            block.offset = top
            top += block.size.aligned(ALIGNMENT)
    live: list[Block] = []
    free: list[Span] = []
    for block in sorted(scratch, key=lambda b: b.first):
        for dead in [b for b in live if b.last < block.first]:
            live.remove(dead)
            _release(free, (dead.offset, dead.size.aligned(ALIGNMENT)))
        size = block.size.aligned(ALIGNMENT)
        fitting = [span for span in free if _covers(span[1], size)]
        if fitting:
            offset, room = best = min(fitting, key=lambda span: (span[1].per_row, span[1].fixed))
            free.remove(best)
            if room != size:
                free.append((offset + size, room - size))
        else:
            offset, top = top, top + size
        block.offset = offset
        live.append(block)
    return top


def _covers(room: Affine, size: Affine) -> bool:
    return room.fixed >= size.fixed and room.per_row >= size.per_row


def _release(free: list[Span], span: Span) -> None:
    """Put a piece back, joined with the free pieces before and after it."""
    offset, size = span
    for other in [s for s in free if s[0] + s[1] == offset or offset + size == s[0]]:
        free.remove(other)
        offset = other[0] if other[0] + other[1] == offset else offset
        size += other[1]
    free.append((offset, size))
