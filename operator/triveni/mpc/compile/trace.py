"""From a lowered network to the raw program: build TF Encrypted's graph, then read it.

The graph is built for two numbers of rows and read twice; each dimension of the program is the line through its two
values, so the program holds for any number of rows, and a graph whose structure depends on that number is refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from triveni.mpc.affine import line_through
from triveni.mpc.architecture import Architecture
from triveni.mpc.compile.aby3 import TracedABY3
from triveni.mpc.compile.build import Protocol, build
from triveni.mpc.compile.securenn import TracedSecureNN
from triveni.mpc.compile.tfe import DrawRecorder, fresh_graph
from triveni.mpc.lowering import Network, lower
from triveni.mpc.program import Draw, Dtype, Input, Node, Program

PROTOCOLS: Mapping[str, Callable[[DrawRecorder], Protocol]] = {
    "ABY3": lambda _: TracedABY3(),
    "SecureNN": TracedSecureNN,
}

ROWS = (2, 3)
"""Batch sizes of the two traces; not 1, which would broadcast."""


@dataclass(eq=False)
class Untraceable(Exception):
    """TF Encrypted's graph holds something that a program cannot."""

    reason: str

    def __str__(self) -> str:
        return self.reason


def trace(architecture: Architecture, protocol: str, compiler: str) -> Program:
    """The raw program of an architecture in a protocol.

    Raises:
        InvalidArchitecture: see `lower`.
        Untraceable: the graph has an operation, a constant or a shape that a program cannot hold.
    """
    network = lower(architecture)
    first, second = (_read(network, protocol, rows) for rows in ROWS)
    return Program(
        protocol=protocol,
        architecture_digest=architecture.digest,
        input_shape=network.input_shape,
        output_shape=network.output_shape,
        weights=network.weights,
        outputs=_generalise(first, second),
        compiler=compiler,
    )


@dataclass(frozen=True)
class _Raw:
    """One operation of the graph for one number of rows."""

    op: str
    inputs: tuple[int, ...]
    attrs: dict[str, Any]
    shape: tuple[int, ...]
    dtype: Dtype
    party: int | None
    draw: Draw | None
    input: Input | None

    def structure(self) -> tuple[Any, ...]:
        return self.op, self.inputs, self.attrs, len(self.shape), self.dtype, self.party, self.draw, self.input


@dataclass(frozen=True)
class _RawProgram:
    nodes: list[_Raw]
    outputs: list[list[int]]


def _generalise(first: _RawProgram, second: _RawProgram) -> tuple[tuple[Node, ...], ...]:
    if first.outputs != second.outputs or len(first.nodes) != len(second.nodes):
        raise Untraceable("the graph depends on the number of rows")
    nodes: list[Node] = []
    for a, b in zip(first.nodes, second.nodes, strict=True):
        if a.structure() != b.structure():
            raise Untraceable(f"operation {a.op} depends on the number of rows")
        shape = tuple(line_through(ROWS[0], m, ROWS[1], n) for m, n in zip(a.shape, b.shape, strict=True))
        inputs = tuple(nodes[i] for i in a.inputs)
        nodes.append(Node(a.op, inputs, a.attrs, shape, a.dtype, a.party, a.draw, a.input))
    return tuple(tuple(nodes[number] for number in numbers) for numbers in first.outputs)


# Reading the graph ----------------------------------------------------------------------------------------------------

_BINARY = {
    "AddV2": "add",
    "Sub": "sub",
    "Mul": "mul",
    "BitwiseAnd": "and",
    "BitwiseOr": "or",
    "BitwiseXor": "xor",
    "LogicalAnd": "and",
    "LogicalOr": "or",
    "LeftShift": "shl",
}
_DTYPES: dict[Any, Dtype] = {tf.int64: "i8", tf.uint64: "i8", tf.int8: "u1", tf.uint8: "u1", tf.bool: "b1"}
_FULL_RANGE = {tf.int64: (-(2**63), 2**63 - 1), tf.int8: (-(2**7), 2**7 - 1), tf.bool: (0, 2)}


def _read(network: Network, protocol: str, rows: int) -> _RawProgram:
    with tf.Graph().as_default():
        recorder = fresh_graph()
        outputs = build(PROTOCOLS[protocol](recorder), network, rows)
        return _Reader(recorder).read(outputs)


class _Reader:
    """Reads a graph depth first from its outputs, which gives the canonical order of its operations."""

    def __init__(self, recorder: DrawRecorder) -> None:
        self.draws = recorder.draws
        self.nodes: list[_Raw] = []
        self.number: dict[str, int] = {}
        self.streams: dict[int, set[int]] = {}

    def read(self, outputs: list[list[tf.Tensor]]) -> _RawProgram:
        tensors = [tensor for shares in outputs for tensor in shares]
        order = _depth_first(tensors)
        for tensor in order:
            if tensor.op.name in self.draws:
                self.streams.setdefault(self.draws[tensor.op.name][0].number, set()).add(_party(tensor.op))
        for tensor in order:
            self.number[tensor.name] = len(self.nodes)
            self.nodes.append(self._node(tensor))
        return _RawProgram(self.nodes, [[self.number[t.name] for t in shares] for shares in outputs])

    def _node(self, tensor: tf.Tensor) -> _Raw:
        operation = tensor.op
        op, attrs, inputs = self._operation(tensor)
        draw = secret = None
        if op == "draw":
            key, *bounds = self.draws[operation.name]
            if tuple(bounds) != _FULL_RANGE[tensor.dtype]:
                raise Untraceable(f"a draw of {tensor.dtype} in {bounds}, not its full range")
            # Differs for every (key, nonce); `passes.number_draws` then gives all keys of the same holders one stream.
            number = list(self.streams).index(key.number) * 2**32 + key.nonce
            draw = Draw(tuple(sorted(self.streams[key.number])), number, key.epoch)
        elif op == "input":
            _, _, component, name = operation.name.split("/", 3)
            secret = Input(name, int(component))
        return _Raw(
            op,
            tuple(self.number[i.name] for i in inputs),
            attrs,
            tuple(tensor.shape.as_list()),
            _DTYPES[tensor.dtype],
            None if op == "const" else _party(operation),
            draw,
            secret,
        )

    def _operation(self, tensor: tf.Tensor) -> tuple[str, dict[str, Any], Sequence[tf.Tensor]]:
        operation = tensor.op
        inputs = list(operation.inputs)
        if operation.type in _BINARY:
            return _BINARY[operation.type], {}, inputs
        match operation.type:
            case "Placeholder":
                return ("draw" if operation.name in self.draws else "input"), {}, []
            case "Const":
                return "const", {"value": _uniform(operation)}, []
            case "RightShift":
                return ("shr" if tensor.dtype == tf.uint64 else "sar"), {}, inputs
            case "Invert" | "LogicalNot":
                return "not", {}, inputs
            case "Identity":
                return "identity", {}, inputs
            case "Bitcast" if _DTYPES[tensor.dtype] == _DTYPES[inputs[0].dtype]:
                return "identity", {}, inputs
            case "Cast":
                return "cast", {}, inputs
            case "Reshape" | "ExpandDims" | "Squeeze":
                return "reshape", {}, inputs[:1]
            case "Transpose":
                return "transpose", {"perm": _static(inputs[1])}, inputs[:1]
            case "Pack":
                return "stack", {"axis": operation.get_attr("axis") % len(tensor.shape)}, inputs
            case "SelectV2":
                return "select", {}, inputs
            case "MatMul" if not operation.get_attr("transpose_a") and not operation.get_attr("transpose_b"):
                return "matmul", {}, inputs
            case "Sum":
                rank = len(inputs[0].shape)
                axes = [axis % rank for axis in _static(inputs[1])]
                return "sum", {"axes": axes, "keep": bool(operation.get_attr("keep_dims"))}, inputs[:1]
            case "Pad":
                pads = tf.get_static_value(inputs[1]).tolist()
                return "pad", {"before": [b for b, _ in pads], "after": [a for _, a in pads]}, inputs[:1]
            case "PyFunc":
                op, attrs = json.loads(operation.get_attr("token"))
                return op, attrs, inputs
            case "ExtractImagePatches" if operation.get_attr("padding") == b"VALID":
                kernel, strides = (list(operation.get_attr(key))[1:3] for key in ("ksizes", "strides"))
                return "patches", {"kernel": kernel, "strides": strides}, inputs
            case "StridedSlice":
                return "slice", _slice(operation), inputs[:1]
        raise Untraceable(f"operation {operation.type}")


def _depth_first(roots: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """Every tensor that the roots need, each after the data that it is computed from."""
    order: list[tf.Tensor] = []
    seen: set[str] = set()
    for root in roots:
        stack = [(root, False)]
        while stack:
            tensor, ready = stack.pop()
            if tensor.name in seen:
                continue
            if ready:
                seen.add(tensor.name)
                order.append(tensor)
                continue
            stack.append((tensor, True))
            stack.extend((i, False) for i in reversed(_data_inputs(tensor.op)) if i.name not in seen)
    return order


_FIRST_ONLY = {"Reshape", "ExpandDims", "Squeeze", "Transpose", "Sum", "Pad", "StridedSlice"}


def _data_inputs(operation: tf.Operation) -> list[tf.Tensor]:
    """Inputs that are values of the computation, not shapes or axes."""
    return list(operation.inputs)[:1] if operation.type in _FIRST_ONLY else list(operation.inputs)


def _party(operation: tf.Operation) -> int:
    if not operation.device:
        raise Untraceable(f"{operation.type} is on no server")
    return int(operation.device.split("task:")[1].split("/")[0])


def _static(tensor: tf.Tensor) -> list[int]:
    return [int(v) for v in tf.get_static_value(tensor).reshape(-1)]


def _uniform(operation: tf.Operation) -> int:
    values = tf.make_ndarray(operation.node_def.attr["value"].tensor)
    first = values.reshape(-1)[0]
    if not (values == first).all():
        raise Untraceable("a constant of several values; programs hold public scalars only")
    number = int(first)
    return number - 2**64 if values.dtype == "uint64" and number >= 2**63 else number


def _slice(operation: tf.Operation) -> dict[str, Any]:
    source = operation.inputs[0].shape.as_list()
    begin, end, step = (_static(operation.inputs[i]) for i in (1, 2, 3))
    mask = {key: operation.get_attr(f"{key}_mask") for key in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")}
    if mask["ellipsis"] or mask["new_axis"]:
        raise Untraceable("a slice that adds or skips axes")
    attrs: dict[str, Any] = {"start": [], "stop": [], "step": [], "drop": []}
    for axis, size in enumerate(source):
        start, stop, stride = 0, None, 1
        if axis < len(begin):
            if mask["shrink_axis"] >> axis & 1:
                attrs["drop"].append(axis)
                start = begin[axis] % size
                stop = start + 1
            else:
                bounds = slice(
                    None if mask["begin"] >> axis & 1 else begin[axis],
                    None if mask["end"] >> axis & 1 else end[axis],
                    step[axis],
                ).indices(size)
                start, stop, stride = bounds[0], None if bounds[1] >= size else bounds[1], bounds[2]
        for key, value in (("start", start), ("stop", stop), ("step", stride)):
            attrs[key].append(value)
    return attrs
