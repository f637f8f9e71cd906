"""A real sharing job that notes what it is about to hand to each worker, and stands still once: ``NOTES --model …``.

Notes are `shares-P.npy`, all words for worker P, and last, when it is about to stand still, `pid`.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import numpy as np

from triveni.mpc.input_range import InputRange
from triveni.sharing import __main__ as job
from triveni.sharing.keras_file import KerasModel
from triveni.sharing.shares import ModelShares, split_model


def note_shares(notes: Path) -> None:
    """What is split goes to files."""

    def noted(model: KerasModel, protocol: str, inputs: InputRange | None) -> ModelShares:
        shares = split_model(model, protocol, inputs)
        for party, tensors in enumerate(shares.tensors):
            words = [tensor.data.ravel() for tensor in tensors]
            np.save(notes / f"shares-{party}.npy", np.concatenate(words) if words else np.zeros(0, np.int64))
        (notes / "pid").write_text(str(os.getpid()))
        os.kill(os.getpid(), signal.SIGSTOP)
        return shares

    vars(job)["split_model"] = noted


if __name__ == "__main__":
    folder, *arguments = sys.argv[1:]
    note_shares(Path(folder))
    sys.exit(job.main(arguments))
