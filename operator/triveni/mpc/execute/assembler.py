"""Collects the records of a tape, whose operands are views of blocks, until every block has its place."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from triveni.mpc.affine import Affine
from triveni.mpc.execute.arena import Block, Life
from triveni.mpc.execute.tape import AXIS_WORDS, CODES, HEADER_WORDS, KINDS, MAX_DIMS, RECORD_WORDS, Segment
from triveni.mpc.execute.view import ONE, ZERO, View, merged
from triveni.mpc.ops import NUMPY
from triveni.mpc.program import ITEM_BYTES, Dtype, Shape


@dataclass(frozen=True, slots=True)
class _Record:
    code: int
    kind: int
    dims: Shape
    operands: tuple[View, ...]
    """All have as many axes as `dims`."""
    extra: Affine = ZERO

    def numbers(self) -> list[Affine]:
        """The record as record.h has it, when every block has its place."""
        words = [Affine(self.code), Affine(self.kind), Affine(len(self.dims)), self.extra]
        words += [view.block.offset + view.offset for view in self.operands]
        words += [ZERO] * (HEADER_WORDS - len(words))
        for axis, dim in enumerate(self.dims):
            axis_words = [dim, *(view.steps[axis] for view in self.operands)]
            words += axis_words + [ZERO] * (AXIS_WORDS - len(axis_words))
        return words + [ZERO] * (RECORD_WORDS - len(words))


class Assembler:
    """Blocks and records in the order in which they are used.

    `life` is the life of the values that are computed now.
    """

    def __init__(self) -> None:
        self.life = Life.EPOCH
        self.blocks: list[Block] = []
        self._records: list[_Record] = []
        self._constants: dict[tuple[Dtype, int], Block] = {}
        self._moment = 0

    @property
    def position(self) -> int:
        """The number of records so far."""
        return len(self._records)

    def since(self, first: int) -> Segment:
        """The records from number `first` on."""
        return Segment(first, len(self._records) - first)

    def block(self, size: Affine, life: Life | None = None) -> Block:
        """A new block, of the present life if no other is given."""
        block = Block(size, self.life if life is None else life)
        self.blocks.append(block)
        return block

    def touch(self, blocks: Iterable[Block]) -> None:
        """Blocks are in use at this moment, which then is over."""
        for block in blocks:
            block.touch(self._moment)
        self._moment += 1

    def constant(self, dtype: Dtype, value: int, dims: Shape = ()) -> View:
        """One value, repeated."""
        key = (dtype, int(value))
        if key not in self._constants:
            self._constants[key] = self.block(Affine(ITEM_BYTES[dtype]), Life.EPOCH)
        return View(self._constants[key], ZERO, dims, (ZERO,) * len(dims))

    def constants(self) -> tuple[tuple[int, bytes], ...]:
        """Place and bytes of every constant, once blocks have their place."""
        return tuple(
            (block.offset.fixed, np.array(value, NUMPY[dtype]).tobytes())
            for (dtype, value), block in self._constants.items()
        )

    def record(self, op: str, dtype: Dtype, dims: Shape, *operands: View, extra: Affine = ZERO, keep: int = 0) -> None:
        """A record over `dims`, whose operands broadcast to it; the last `keep` axes are left as they are."""
        views = [view.broadcast(dims) for view in operands]
        free = len(dims) - keep
        walk, steps = merged(dims[:free], [view.steps[:free] for view in views])
        if keep and walk == (ONE,):
            walk, steps = (), [()] * len(views)
        walk += dims[free:]
        if ZERO in walk:
            raise ValueError("a value without elements")
        if len(walk) > MAX_DIMS:
            raise ValueError(f"a walk over {len(walk)} axes, where {MAX_DIMS} are possible")
        self._records.append(
            _Record(
                CODES[op],
                KINDS[dtype],
                walk,
                tuple(
                    View(view.block, view.offset, walk, some + view.steps[free:])
                    for view, some in zip(views, steps, strict=True)
                ),
                extra,
            )
        )
        self.touch(view.block for view in views)

    def copy(self, dtype: Dtype, to: View, value: View) -> None:
        """A record that writes `value`, broadcast, to the elements of `to`."""
        self.record("copy", dtype, to.dims, to, value)

    def matrices(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """`Tape.fixed` and `Tape.per_row`, once blocks have their place."""
        rows = [record.numbers() for record in self._records]
        fixed = np.array([[n.fixed for n in row] for row in rows], np.int64)
        per_row = np.array([[n.per_row for n in row] for row in rows], np.int64)
        return fixed.reshape(-1, RECORD_WORDS), per_row.reshape(-1, RECORD_WORDS)
