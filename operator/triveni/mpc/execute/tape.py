"""The tape: one party's part of a program as a flat list of records over one arena, for the native kernel.

kernel/record.h describes a record. Every number in a tape is affine in the number of rows, so that one tape holds for
every batch: `Tape.at(rows)` only multiplies and adds. `tape_writer.compile_tape` makes it of a program.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from triveni.mpc.affine import Affine
from triveni.mpc.execute.arena import Span
from triveni.mpc.program import ITEM_BYTES, Dtype, Input, Node
from triveni.mpc.randomness import Holders
from triveni.mpc.schedule import PartySchedule, Round

MAX_DIMS = 6
OPERANDS = 4
HEADER_WORDS = 4 + OPERANDS
AXIS_WORDS = 1 + OPERANDS
RECORD_WORDS = 40

KINDS: Mapping[Dtype, int] = {"i8": 0, "u1": 1, "b1": 2}

CODES: Mapping[str, int] = {
    "add": 0,
    "sub": 1,
    "mul": 2,
    "and": 3,
    "or": 4,
    "xor": 5,
    "shl": 6,
    "shr": 7,
    "sar": 8,
    "select": 9,
    "cast": 10,
    "copy": 11,
    "sum": 12,
    "matmul": 13,
    "bitslice": 14,
    "bitunslice": 15,
    "residues": 16,
    "deal_bits": 17,
    "compare": 18,
    "blind": 19,
    "rotate": 20,
    "has_zero": 21,
}
"""The operations of the kernel, numbered as in record.h."""


@dataclass(eq=False)
class InvalidTape(ValueError):
    """A program that cannot become a tape, or a tape that the kernel must not run."""

    what: str
    problem: str

    def __str__(self) -> str:
        return f"{self.what}: {self.problem}"


@dataclass(frozen=True, slots=True)
class Segment:
    """Consecutive records of a tape."""

    first: int
    count: int


@dataclass(frozen=True, slots=True)
class TapeRound:
    """`schedule.Round` as records and places: one frame to and from each peer."""

    before: Segment
    sends: tuple[tuple[int, Span], ...]
    after: Segment
    receives: tuple[tuple[int, Span], ...]


@dataclass(frozen=True)
class Tape:
    """Everything that one party does, for every number of rows.

    `fixed` and `per_row` are int64 (records, 40). `setup` is done when the weights are there; its records, the first of
    the tape, are the same for every number of rows. `each` is run at the start of every run, when the keystreams have
    been filled. Spans are in bytes; `epoch_bytes` is the part of the arena, from its start, that keeps its contents
    between runs.
    """

    fixed: NDArray[np.int64]
    per_row: NDArray[np.int64]
    arena: Affine
    epoch_bytes: int
    constants: tuple[tuple[int, bytes], ...]
    inputs: Mapping[Input, Span]
    epoch_streams: Mapping[Holders, Span]
    streams: Mapping[Holders, Span]
    setup: tuple[TapeRound, ...]
    each: Segment
    ahead: tuple[TapeRound, ...]
    online: tuple[TapeRound, ...]
    outputs: tuple[Span, ...]

    def at(self, rows: int) -> NDArray[np.int64]:
        """The records for a batch of `rows` rows."""
        return self.fixed + rows * self.per_row


def frame_order(nodes: Iterable[Node]) -> list[Node]:
    """The order of the values in a frame: words before bytes, so that words are aligned without padding."""
    return sorted(nodes, key=lambda node: -ITEM_BYTES[node.dtype])


def split_setup(schedule: PartySchedule) -> tuple[tuple[Round, ...], list[Node]]:
    """Setup as far as it holds for an epoch, and values whose size depends on the rows: each run computes them anew.

    InvalidTape if one of the latter would be sent.
    """
    each: list[Node] = []
    known: set[Node] = set()

    def holds(node: Node) -> bool:
        sizes = [node.size] + [source.size for source in node.inputs if source.op != "const"]
        if any(size.per_row for size in sizes) or not known.isdisjoint(node.inputs):
            each.append(node)
            known.add(node)
            return False
        return True

    rounds = []
    for round_ in schedule.setup:
        before, after = (tuple(filter(holds, nodes)) for nodes in (round_.before, round_.after))
        for node in (node for sent in round_.sends.values() for node in sent):
            if node in known:
                raise InvalidTape(repr(node), "a value that is sent once for an epoch depends on the rows")
        rounds.append(replace(round_, before=before, after=after))
    return tuple(rounds), each
