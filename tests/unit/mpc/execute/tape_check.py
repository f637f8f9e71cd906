"""Which records may be executed, in plain Python: the oracle of the kernel's check (its reference is record.h)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from triveni.mpc.execute.tape import AXIS_WORDS, CODES, HEADER_WORDS, MAX_DIMS

WORD, BYTE, BIT = range(3)

MOST = 2**40

NAMES = {code: name for name, code in CODES.items()}

# Sizes of result and inputs in bytes; None: by the type of the result.
OPERAND_SIZES: dict[str, tuple[int | None, ...]] = {
    **dict.fromkeys(["add", "sub", "mul", "and", "or", "xor", "shl", "shr", "sar"], (None, None, None)),
    "select": (None, None, None, 1),
    "copy": (None, None),
    "sum": (8, 8),
    "matmul": (8, 8, 8),
}

# Operations on rows: type of the result, the values of `extra`, and of each operand the size and elements in a row.
ROW_FORMS: dict[str, tuple[int, range, tuple[tuple[int, int], ...]]] = {
    "residues": (BYTE, range(2, 256), ((1, 32), (8, 4))),
    "deal_bits": (BYTE, range(1), ((1, 32), (8, 1), (1, 32))),
    "compare": (BYTE, range(2), ((1, 32), (8, 1), (1, 32), (1, 1))),
    "blind": (BYTE, range(2), ((1, 32),) * 4),
    "rotate": (BYTE, range(1), ((1, 32), (1, 32), (1, 1))),
    "has_zero": (BIT, range(1), ((1, 1), (1, 32), (1, 32))),
}


def is_good(record: Sequence[int], arena: int) -> bool:
    """Whether a record (40 integers) is an operation that touches nothing outside `arena` bytes."""
    code, kind, ndim, extra = record[:4]
    if code not in NAMES or kind not in (WORD, BYTE, BIT) or not 1 <= ndim <= MAX_DIMS:
        return False
    axes = [record[HEADER_WORDS + AXIS_WORDS * i :][:AXIS_WORDS] for i in range(ndim)]
    dims = [axis[0] for axis in axes]
    count = 1
    for dim in dims:
        count *= dim
        if dim < 1 or count > MOST:
            return False
    name = NAMES[code]
    if name in ("sum", "matmul", "shr") and kind != WORD:
        return False
    if name in ("bitslice", "bitunslice"):
        return _planes_are_good(name, kind, dims, extra, record, arena)
    if name in ROW_FORMS:
        result, extras, operands = ROW_FORMS[name]
        runs = [(at, dims[0] * row, size) for at, (size, row) in zip(record[4:], operands, strict=False)]
        return (kind, ndim) == (result, 1) and extra in extras and _runs_are_inside(runs, arena)
    if name == "matmul" and not _rows_are_dense(axes):
        return False
    if name == "cast":
        if extra not in (WORD, BYTE, BIT):
            return False
        sizes = [_size(kind), _size(extra)]
    else:
        sizes = [_size(kind) if size is None else size for size in OPERAND_SIZES[name]]
    return all(
        _inside(record[4 + o], size, dims, [axis[1 + o] for axis in axes], arena) for o, size in enumerate(sizes)
    )


def _size(kind: int) -> int:
    return 8 if kind == WORD else 1


def _inside(offset: int, size: int, dims: Sequence[int], strides: Sequence[int], arena: int) -> bool:
    """Every corner of the walk, and so every element, lies inside."""
    if not 0 <= offset <= arena or offset % size:
        return False
    for corner in itertools.product(*({0, dim - 1} for dim in dims)):
        at = offset + size * sum(i * s for i, s in zip(corner, strides, strict=True))
        if not 0 <= at <= arena - size:
            return False
    return True


def _rows_are_dense(axes: Sequence[Sequence[int]]) -> bool:
    if len(axes) < 3:
        return False
    m, k, n = axes[-3:]
    return all(step == 1 for step in (n[1], k[2], n[3])) and not any((k[1], n[2], m[3]))


def _planes_are_good(name: str, kind: int, dims: Sequence[int], extra: int, record: Sequence[int], arena: int) -> bool:
    if len(dims) != 2:
        return False
    rows, count = dims
    if not 1 <= extra <= MOST // rows:
        return False
    if name == "bitslice":
        if kind != BYTE or count != -(-extra // 8):
            return False
        runs = [(record[4], 64 * rows * count, 1), (record[5], rows * extra, 8)]
    else:
        if kind != BIT or extra != -(-count // 8):
            return False
        runs = [(record[4], rows * count, 1), (record[5], rows * extra, 1)]
    return _runs_are_inside(runs, arena)


def _runs_are_inside(runs: Sequence[tuple[int, int, int]], arena: int) -> bool:
    return all(at >= 0 and at % size == 0 and at + n * size <= arena for at, n, size in runs)
