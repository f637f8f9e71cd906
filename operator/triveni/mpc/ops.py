"""What each operation means, in numpy: the definition that the native kernel is tested against.

Words are int64 with wrap-around (the ring mod 2^64), planes are uint8, bits are bool. Elementwise operations broadcast
as numpy does. docs/engine.md has the same list in words.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triveni.mpc import comparison
from triveni.mpc.program import Dtype, Node

Array = NDArray[Any]

NUMPY: dict[Dtype, type[np.generic]] = {"i8": np.int64, "u1": np.uint8, "b1": np.bool_}

ELEMENTWISE = frozenset({"add", "sub", "mul", "and", "or", "xor", "shl", "shr", "sar", "not", "cast", "select"})
"""Element e of the result depends on element e of each (broadcast) input only."""

COMPARISON = frozenset({"residues", "deal_bits", "compare", "blind", "rotate", "has_zero"})
"""On rows of 32 residues mod 37: `triveni.mpc.comparison`."""

OPS = (
    ELEMENTWISE
    | COMPARISON
    | {
        "const",
        "draw",
        "input",
        "reshape",
        "transpose",
        "slice",
        "stack",
        "pad",
        "patches",
        "matmul",
        "sum",
        "bitslice",
        "bitunslice",
    }
)

BITS = 64


def evaluate(node: Node, inputs: Sequence[Array], rows: int) -> Array:
    """The value of `node` for a batch of `rows` rows; draws and inputs are not evaluated but given."""
    shape = tuple(dim.at(rows) for dim in node.shape)
    with np.errstate(over="ignore"):
        value = _evaluate(node, inputs, shape)
    if value.shape != shape or value.dtype != NUMPY[node.dtype]:
        raise ValueError(f"{node!r} gave {value.dtype}{value.shape}")
    return value


def _evaluate(node: Node, x: Sequence[Array], shape: tuple[int, ...]) -> Array:
    attrs = node.attrs
    match node.op:
        case "const":
            return np.full(shape, attrs["value"], NUMPY[node.dtype])
        case "add":
            return np.asarray(x[0] + x[1])
        case "sub":
            return np.asarray(x[0] - x[1])
        case "mul":
            return np.asarray(x[0] * x[1])
        case "and":
            return np.asarray(x[0] & x[1])
        case "or":
            return np.asarray(x[0] | x[1])
        case "xor":
            return np.asarray(x[0] ^ x[1])
        case "shl":
            return np.asarray(x[0] << x[1])
        case "shr":
            return np.asarray((x[0].view(np.uint64) >> x[1].astype(np.uint64)).view(np.int64))
        case "sar":
            return np.asarray(x[0] >> x[1])
        case "not":
            return np.asarray(~x[0])
        case "cast":
            return x[0].astype(NUMPY[node.dtype])
        case "select":
            return np.where(x[0], x[1], x[2])
        case "reshape":
            return x[0].reshape(shape)
        case "transpose":
            return x[0].transpose(attrs["perm"])
        case "slice":
            return x[0][_index(attrs)]
        case "stack":
            return np.stack(x, attrs["axis"])
        case "pad":
            return np.pad(x[0], list(zip(attrs["before"], attrs["after"], strict=True)))
        case "patches":
            return patches(x[0], attrs["kernel"], attrs["strides"])
        case "matmul":
            return np.asarray(x[0] @ x[1])
        case "sum":
            return np.asarray(x[0].sum(axis=tuple(attrs["axes"]), keepdims=attrs["keep"]))
        case "bitslice":
            return bitslice(x[0])
        case "bitunslice":
            return bitunslice(x[0], shape)
        case "residues":
            return comparison.residues(x[0], attrs["modulus"])
        case "deal_bits":
            return comparison.deal_bits(x[0], x[1])
        case "compare":
            return comparison.compare(x[0], x[1], x[2], attrs["role"])
        case "blind":
            return comparison.blind(x[0], x[1], x[2], attrs["role"])
        case "rotate":
            return comparison.rotate(x[0], x[1])
        case "has_zero":
            return comparison.has_zero(x[0], x[1])
    raise ValueError(f"unknown operation {node.op!r}")


def _index(attrs: Any) -> tuple[int | slice, ...]:
    """``start``, ``stop`` (null: to the end) and ``step`` of each axis; axes in ``drop`` are indexed, not sliced."""
    return tuple(
        start if axis in attrs["drop"] else slice(start, stop, step)
        for axis, (start, stop, step) in enumerate(zip(attrs["start"], attrs["stop"], attrs["step"], strict=True))
    )


def patches(x: Array, kernel: Sequence[int], strides: Sequence[int]) -> Array:
    """Image patches: (rows, h, w, c) to (rows, oh, ow, kh*kw*c), no padding; the im2col of a convolution."""
    windows = np.lib.stride_tricks.sliding_window_view(x, tuple(kernel), axis=(1, 2))
    windows = windows[:, :: strides[0], :: strides[1]].transpose(0, 1, 2, 4, 5, 3)
    return windows.reshape(*windows.shape[:3], -1)


def bitslice(x: Array) -> Array:
    """Bit planes: int64 (rows, ...) to uint8 (64, rows, ceil(n/8)), n the number of words in a row.

    Bit j of byte b in plane k and row r is bit k of word 8b+j of row r; bits past the last word are 0.
    """
    words = np.ascontiguousarray(x).reshape(x.shape[0], -1)
    bits = np.unpackbits(words.view(np.uint8).reshape(*words.shape, 8), axis=2, bitorder="little")
    planes = np.packbits(bits, axis=1, bitorder="little")
    return np.ascontiguousarray(planes.transpose(2, 0, 1))


def bitunslice(x: Array, shape: tuple[int, ...]) -> Array:
    """One plane, uint8 (1, rows, m), to bits of shape (rows, ...): the inverse of `bitslice` for a single bit."""
    rows, count = shape[0], math.prod(shape[1:])
    bits = np.unpackbits(np.ascontiguousarray(x).reshape(rows, -1), axis=1, bitorder="little")
    return bits[:, :count].reshape(shape).astype(np.bool_)
