"""TF Encrypted, made fit to be traced: the one place that imports it, and TensorFlow.

What is replaced here and why (the review behind it: docs/engine.md, "What we do not take from TF Encrypted"):
its random numbers become named draws of the program, since its own nonce is frozen when the graph is traced; its
variables become placeholders, since weights are inputs and never constants (`aby3`, `securenn`). The shims at the top
let 0.9.1, written for TensorFlow 2.9, load on today's.
"""

from __future__ import annotations

import copy
import itertools
import json
import os
import sys
import types
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
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
import tf_encrypted.operations.secure_random as secure_random
import tf_encrypted.protocol.pond as pond
import tf_encrypted.protocol.protocol as tfe_protocol
import tf_encrypted.tensor.fixed as fixed
from tf_encrypted.protocol.aby3 import aby3
from tf_encrypted.tensor import factories

from triveni.mpc.fixedpoint import fixed_point

v1 = tf.compat.v1

# What the protocols here are made of.
ABY3, ABY3PrivateTensor, ShareType = tfe.protocol.ABY3, aby3.ABY3PrivateTensor, aby3.ShareType
SecureNN, PondPrivateTensor, PondMaskedTensor = tfe.protocol.SecureNN, pond.PondPrivateTensor, pond.PondMaskedTensor
OnlineTripleSource = pond.OnlineTripleSource
fixed64_heuristic, fixed64_ni = fixed.fixed64_heuristic, fixed.fixed64_ni

WORD, PLANE, BIT = factories[64], factories[tf.int8], factories[tf.bool]

# TF Encrypted is untyped: a secret of its own, whose `unwrapped` are the servers' shares.
Private: TypeAlias = Any


@dataclass(frozen=True)
class Key:
    """A key that some servers share, or that one makes for itself; ``key + nonce`` names one of its draws.

    No part of the graph: whoever runs a program derives its keystreams from numbers, not from seeds.
    """

    number: int
    epoch: bool
    """Whether its draws are made once for an epoch, not anew for each run."""
    nonce: int = 0

    def __add__(self, nonce: int) -> Key:
        return replace(self, nonce=self.nonce + int(nonce))


class DrawRecorder:
    """Stands in for TF Encrypted's generator: each sample becomes a placeholder whose key and range are kept."""

    def __init__(self) -> None:
        self.draws: dict[str, tuple[Key, int, int]] = {}
        self._numbers = itertools.count()

    def secure_seed(self, name: str | None = None, *, epoch: bool = False) -> Key:
        """A new key."""
        return Key(next(self._numbers), epoch)

    def seeded_random_uniform(self, shape: Any, minval: int, maxval: int, dtype: Any, seed: Key) -> tf.Tensor:
        """One draw."""
        draw = v1.placeholder(dtype, tf.TensorShape(shape), name="draw")
        self.draws[draw.op.name] = (seed, int(minval), int(maxval))
        return draw

    def bits(self, shape: Sequence[int], seed: Key) -> tf.Tensor:
        """One draw of bits, which its generator does not have."""
        return self.seeded_random_uniform(shape, 0, 2, tf.bool, seed)


def marker(op: str, inputs: Sequence[tf.Tensor], dtype: Any, shape: Sequence[int], **attrs: int) -> tf.Tensor:
    """An operation of a program that TensorFlow lacks, as a node that is traced and never run."""
    result = tf.raw_ops.PyFunc(input=list(inputs), token=json.dumps([op, attrs]), Tout=[dtype])[0]
    result.set_shape(shape)
    return result


def fresh_graph() -> DrawRecorder:
    """Have TF Encrypted build in the current graph, with no memory of graphs traced before; records its draws."""
    tfe_protocol.nodes.clear()
    recorder = DrawRecorder()
    secure_random.supports_seeded_randomness = lambda: True
    secure_random.secure_seed = recorder.secure_seed
    secure_random.seeded_random_uniform = recorder.seeded_random_uniform
    tfe.set_config(tfe.RemoteConfig(OrderedDict((f"server{party}", f"party{party}:1") for party in range(3))))
    return recorder


def precision(protocol: str, configuration: Any) -> Any:
    """One of its configurations, with the fractional bits of ours."""
    changed = copy.copy(configuration)
    changed.scaling_base = 2
    changed.precision_fractional = fixed_point(protocol).fractional_bits
    return changed


def dither(draw: tf.Tensor, bits: int) -> tf.Tensor:
    """The low `bits` of a draw, from -2^(bits-1) to 2^(bits-1) - 1: noise of one unit of what is left without them."""
    low = tf.bitwise.bitwise_and(draw, tf.constant(2**bits - 1, tf.int64))
    return low - tf.constant(2 ** (bits - 1), tf.int64)
