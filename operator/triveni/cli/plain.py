"""Plain Keras's answers, for comparison: ``python -m triveni.cli.plain MODEL FILE...``, a JSON line for each row.

A process of its own that ends, with the real Keras and TensorFlow, since nothing else may load them. It gives way to
everything else on the machine.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from triveni.cli.inputs import read_rows

NOT_INSTALLED = 3


def main(arguments: Sequence[str]) -> int:
    """Predict all rows of some files at once."""
    os.nice(19)
    os.environ |= {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    try:
        keras = importlib.import_module("keras")
    except ImportError:
        return NOT_INSTALLED
    model = keras.saving.load_model(arguments[0], compile=False)
    shape = tuple(model.input_shape[1:])
    rows = read_rows([Path(name) for name in arguments[1:]], shape)
    answers = model(np.stack([row.values for row in rows]), training=False)
    for index, answer in enumerate(keras.ops.convert_to_numpy(answers)):
        sys.stdout.write(json.dumps({"index": index, "answer": answer.tolist()}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
