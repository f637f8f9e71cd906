"""Which systems are compared, what they need, and how their setting differs from Triveni's."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class System:
    """One system.

    `installs` are lists of arguments for `uv pip install`, one after the other. `script` is the program beside this
    file that runs the example in the system's own environment.
    """

    name: str
    setting: str
    installs: Sequence[Sequence[str]]
    script: str

    @property
    def environment(self) -> str:
        """Name of its environment's directory, another one when its needs change."""
        return f"{self.script.removesuffix('.py')}-{hashlib.sha256(repr(self.installs).encode()).hexdigest()[:12]}"


SPU = System(
    "SPU 0.9.5",
    "ABY3, 64-bit ring, mutual TLS",
    [["spu==0.9.5"]],
    "spu_peer.py",
)

CRYPTEN = System(
    "CrypTen 0.4.1",
    "additive shares, triples from a trusted first party, plain TCP",
    [
        # A torch of the same year, the first with a build for Python 3.11; its libraries for GPUs make this 3 GB.
        ["torch==1.13.1", "numpy<2", "onnx==1.14.1", "protobuf<5", "pyyaml", "omegaconf"],
        # It asks for `sklearn`, a name that cannot be installed any more and that it does not import.
        ["--no-deps", "crypten==0.4.1"],
    ],
    "crypten_peer.py",
)

SYSTEMS = (SPU, CRYPTEN)
