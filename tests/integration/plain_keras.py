"""What plain Keras answers, in a process of its own: TensorFlow stays out of this one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.integration.cluster import MODEL

_KERAS = """
import sys
import keras, numpy as np
model = keras.saving.load_model(sys.argv[1], compile=False)
np.save(sys.argv[3], keras.ops.convert_to_numpy(model(np.load(sys.argv[2]), training=False)))
"""


def keras_answers(images: NDArray[np.float32], directory: Path) -> NDArray[np.float32]:
    """The example's answers to `images`; the two go through files in `directory`."""
    asked, answers = directory / "images.npy", directory / "answers.npy"
    np.save(asked, images)
    command = [sys.executable, "-c", _KERAS, str(MODEL), str(asked), str(answers)]
    subprocess.run(command, check=True, timeout=600, capture_output=True)
    return np.array(np.load(answers))
