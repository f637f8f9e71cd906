"""TF Encrypted, made fit to be traced: the one place that imports it, and TensorFlow.

What is replaced here and why (the review behind it: docs/engine.md, "What we do not take from TF Encrypted"):
its random numbers become named draws of the program, since its own nonce is frozen when the graph is traced; its
variables become placeholders, since weights are inputs and never constants; its carry circuit works on bit planes, so
that no bit travels twice. The shims at the top let 0.9.1, written for TensorFlow 2.9, load on today's.
"""

from __future__ import annotations

import copy
import os
import sys
import types
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeAlias

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")  # which is not installed: TensorFlow then loads no Keras at all

import tensorflow as tf
import tensorflow.python.ops.while_v2 as while_v2

if not hasattr(while_v2, "glob_stateful_parallelism"):
    while_v2.glob_stateful_parallelism = False  # imported by name, used by loops that we never build
if not hasattr(tf, "Dimension"):
    tf.Dimension = tf.compat.v1.Dimension
# Parts of it that nothing here uses: the converter of frozen graphs needs tf2onnx, the layers load all of Keras.
for unused in ("convert", "keras"):
    sys.modules.setdefault(f"tf_encrypted.{unused}", types.ModuleType(f"tf_encrypted.{unused}"))

import tf_encrypted as tfe
import tf_encrypted.operations.secure_random.secure_random as secure_random
import tf_encrypted.protocol.protocol as tfe_protocol
from tf_encrypted.protocol.aby3.aby3 import ABY3PrivateTensor, ShareType
from tf_encrypted.tensor import factories
from tf_encrypted.tensor.fixed import fixed64_heuristic

from triveni.mpc.fixedpoint import FRACTIONAL_BITS

v1 = tf.compat.v1

WORD, PLANE, BIT = factories[64], factories[tf.int8], factories[tf.bool]

# TF Encrypted is untyped: a replicated secret of its own, with `unwrapped[server][j]`.
Private: TypeAlias = Any


class DrawRecorder:
    """Stands in for TF Encrypted's generator: each sample becomes a placeholder whose seed and range are kept."""

    def __init__(self) -> None:
        self.draws: dict[str, tuple[tf.Tensor, int, int]] = {}

    def secure_seed(self, name: str | None = None) -> tf.Tensor:
        """A key that some servers share, or that one makes for itself."""
        return v1.placeholder(tf.int64, [2], name="key")

    def secure_seeded_random_uniform(
        self, shape: Any, seed: tf.Tensor, minval: tf.Tensor, maxval: tf.Tensor, name: str | None = None
    ) -> tf.Tensor:
        """One draw."""
        static = tf.get_static_value(shape) if isinstance(shape, tf.Tensor) else shape
        draw = v1.placeholder(minval.dtype, tf.TensorShape(static).as_list(), name="draw")
        bounds = (int(tf.get_static_value(minval)), int(tf.get_static_value(maxval)))
        self.draws[draw.op.name] = (seed, *bounds)
        return draw


class TracedABY3(tfe.protocol.ABY3):  # type: ignore[misc]
    """ABY3 whose secrets are placeholders and whose carry circuit works on bit planes."""

    def secret(self, name: str, shape: Sequence[int]) -> Private:
        """A replicated secret of fixed-point words; placeholder ``name/p/j`` is component p+j mod 3 on server p."""
        shares = self._empty()
        for party, server in enumerate(self.servers):
            with tf.device(server.device_name):
                for j in range(2):
                    placeholder = v1.placeholder(tf.int64, list(shape), name=f"secret/{party}/{j}/{name}")
                    shares[party][j] = WORD.tensor(placeholder)
        return ABY3PrivateTensor(self, shares, True, ShareType.ARITHMETIC)

    def on_shares(self, x: Private, function: Callable[[tf.Tensor], tf.Tensor], factory: Any = None) -> Private:
        """A function that every server applies to its own shares: linear, without constants, or moving elements."""
        shares = self._empty()
        for party, server in enumerate(self.servers):
            with tf.device(server.device_name):
                for j in range(2):
                    value = function(x.unwrapped[party][j].value)
                    shares[party][j] = (factory or x.backing_dtype).tensor(value)
        return ABY3PrivateTensor(self, shares, x.is_scaled, x.share_type)

    def carry(self, x: Private, y: Private, pos: int | None = None) -> Private:
        """The carry out of bit `pos` of x + y, by TF Encrypted's own circuit (Kogge-Stone, halved at each level).

        Bits are kept as planes (plane k holds bit k of every element, eight elements a byte), so taking every
        second bit is taking every second plane.
        """
        bits = 64
        shape = x.shape.as_list()
        up = bits - 1 - (bits - 1 if pos is None else pos)
        generate, propagate = (
            self.on_shares(
                self.on_shares(v, lambda t: tf.bitwise.left_shift(t, tf.constant(up, tf.int64))) if up else v,
                bit_planes,
                PLANE,
            )
            for v in (x, y)
        )
        generate, propagate = generate & propagate, generate ^ propagate
        # Shared by all slices: made for each by the index operator, they are most of the graph.
        even, odd, step = (tf.constant([number]) for number in (0, 1, 2))
        while bits > 1:
            end = tf.constant([bits])
            low, high, low_p, high_p = (
                self.on_shares(v, partial(tf.strided_slice, begin=first, end=end, strides=step))
                for v in (generate, propagate)
                for first in (even, odd)
            )
            generate, propagate = high ^ (low & high_p), low_p & high_p
            bits //= 2
        return self.on_shares(generate, lambda plane: _marker("bitunslice", plane, tf.bool, shape), BIT)

    def rerandomised(self, y: Private) -> list[list[tf.Tensor]]:
        """The answer's shares under a fresh sharing of zero, (m0, -m0-m2, m2), so that they tell nothing but their sum.

        m0 comes from the key of servers 0 and 2, m2 from that of 1 and 2; servers 0 and 1 tell each other theirs,
        which hides nothing from anyone but the client.
        """
        keys, nonces = self.pairwise_keys(), self.pairwise_nonces()
        shape = y.shape.as_list()

        def draw(server: int, key: int, pair: int) -> tf.Tensor:
            with tf.device(self.servers[server].device_name):
                return WORD.sample_seeded_uniform(shape=shape, seed=keys[server][key] + nonces[pair]).value

        m0_on_0, m0_on_2 = draw(0, 0, 2), draw(2, 1, 2)
        m2_on_1, m2_on_2 = draw(1, 1, 1), draw(2, 0, 1)
        self._update_pairwise_nonces()
        y0, y1, y2 = ([half.value for half in pair] for pair in y.unwrapped)
        with tf.device(self.servers[0].device_name):
            on_0 = [y0[0] + m0_on_0, y0[1] - m0_on_0 - m2_on_1]
        with tf.device(self.servers[1].device_name):
            on_1 = [y1[0] - m0_on_0 - m2_on_1, y1[1] + m2_on_1]
        with tf.device(self.servers[2].device_name):
            on_2 = [y2[0] + m2_on_2, y2[1] + m0_on_2]
        return [on_0, on_1, on_2]

    @staticmethod
    def _empty() -> list[list[Any]]:
        return [[None, None] for _ in range(3)]


def bit_planes(words: tf.Tensor) -> tf.Tensor:
    """int64 (rows, ...) to int8 (64, rows, ceil(n/8)): the meaning is `triveni.mpc.ops.bitslice`."""
    rows, *rest = words.shape.as_list()
    count = 1
    for size in rest:
        count *= size
    return _marker("bitslice", words, tf.int8, [64, rows, -(-count // 8)])


def _marker(name: str, value: tf.Tensor, dtype: Any, shape: Sequence[int]) -> tf.Tensor:
    """An operation that TensorFlow lacks, as a node that is traced and never run."""
    result = tf.raw_ops.PyFunc(input=[value], token=name, Tout=[dtype])[0]
    result.set_shape(shape)
    return result


def traced_protocol() -> tuple[TracedABY3, DrawRecorder]:
    """A protocol object for the current graph, with no memory of graphs traced before."""
    tfe_protocol.nodes.clear()
    recorder = DrawRecorder()
    secure_random.secure_random_module = recorder
    tfe.set_config(tfe.RemoteConfig(OrderedDict((f"server{party}", f"party{party}:1") for party in range(3))))
    protocol = TracedABY3(fixedpoint_config=_precision())
    tfe.set_protocol(protocol)
    return protocol, recorder


def _precision() -> Any:
    """Its 64-bit configuration, whose truncation works for any number of fractional bits, with ours."""
    precision = copy.copy(fixed64_heuristic)
    precision.precision_fractional = FRACTIONAL_BITS
    return precision
