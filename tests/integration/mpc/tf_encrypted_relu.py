"""Runs TF Encrypted's own SecureNN ReLU, as it is, and keeps what its server 2 sees. Run as a process of its own:

    python tf_encrypted_relu.py FILE.npz

writes inputs ``x`` (words of 16 fractional bits) and what server 2 has of the comparison: both shares of the bits of r,
which it made (``own0``, ``own1``), and the two masked shares that it is sent to add up (``seen0``, ``seen1``).
"""

from __future__ import annotations

import importlib
import random
import sys
from typing import Any

import numpy as np

from triveni.mpc.compile.tfe import SecureNN, fixed64_ni, precision, tf, tfe, v1

secure_random = importlib.import_module("tf_encrypted.operations.secure_random.secure_random")
securenn = importlib.import_module("tf_encrypted.protocol.securenn.securenn")

ELEMENTS = 64


class PlainRandom:
    """TensorFlow's random numbers in the place of its native library's, which is not built here."""

    def secure_seed(self, name: str | None = None) -> tf.Tensor:
        """A new seed."""
        return tf.random.uniform([2], maxval=2**62, dtype=tf.int64)

    def secure_seeded_random_uniform(
        self, shape: Any, seed: tf.Tensor, minval: tf.Tensor, maxval: tf.Tensor, name: str | None = None
    ) -> tf.Tensor:
        """Whole numbers from minval to below maxval."""
        return tf.random.stateless_uniform(shape, seed, minval, maxval, minval.dtype)


def main(path: str) -> None:
    """Build, run once, save."""
    random.seed(1)  # who draws which mask is chosen by Python's random
    secure_random.secure_random_module = PlainRandom()
    tfe.set_config(tfe.LocalConfig(["server0", "server1", "server2"], auto_add_unknown_players=False))
    words = np.random.default_rng(3).integers(-(2**24), 2**24, ELEMENTS)
    with tf.Graph().as_default() as graph:
        protocol = SecureNN(fixedpoint_config=precision("SecureNN", fixed64_ni))
        tfe.set_protocol(protocol)
        view: list[tf.Tensor] = []
        compare, reconstruct = securenn._private_compare, protocol._reconstruct

        def watched_compare(prot: Any, bits: Any, *others: Any) -> Any:
            view.extend(share.value for share in bits.unwrapped)
            return compare(prot, bits, *others)

        def watched_reconstruct(*shares: Any) -> Any:
            view.extend(share.value for share in shares)
            return reconstruct(*shares)

        securenn._private_compare, protocol._reconstruct = watched_compare, watched_reconstruct
        x = protocol.define_private_variable(tf.constant(words / 2.0**16, tf.float64))
        protocol.relu(x)
        with v1.Session(graph=graph) as session:
            session.run(v1.global_variables_initializer())
            values = session.run(view)
    np.savez(path, x=words, **dict(zip(("own0", "own1", "seen0", "seen1"), values, strict=True)))


if __name__ == "__main__":
    main(sys.argv[1])
