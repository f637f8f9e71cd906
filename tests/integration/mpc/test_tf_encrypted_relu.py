"""The control of the attack: in TF Encrypted's own SecureNN, server 2 computes the input of every ReLU."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

from tests.unit.mpc.relu_attack import candidates

MODULUS = 107
"""Its prime."""

ODD = 2**64 - 1
"""Its comparison is made in the ring mod 2^64 - 1, of twice the value."""


def inputs_that_explain(own: list[np.ndarray], seen: list[np.ndarray]) -> set[int]:
    bits = (own[0] + own[1]) % MODULUS
    r = sum(int(bit) << place for place, bit in enumerate(bits))
    doubled = {(s - beta - r) % ODD for s, beta in candidates(own, seen, MODULUS)}
    return {(value if value <= ODD // 2 else value - ODD) // 2 for value in doubled}


def test_server_2_finds_the_inputs_of_tf_encrypteds_own_relu(tmp_path: Path) -> None:
    path = tmp_path / "view.npz"
    script = Path(__file__).with_name("tf_encrypted_relu.py")
    subprocess.run([sys.executable, script, path], check=True, timeout=120, capture_output=True)
    data = np.load(path)
    own, seen = ([data[f"{kind}{server}"].astype(int) % MODULUS for server in (0, 1)] for kind in ("own", "seen"))
    found = [
        min(inputs_that_explain([share[i] for share in own], [share[i] for share in seen]), key=abs, default=None)
        for i in range(len(data["x"]))
    ]
    right = sum(value is not None and abs(value - int(x)) <= 1 for value, x in zip(found, data["x"], strict=True))
    assert right == len(data["x"]), f"{right} of {len(data['x'])}"
