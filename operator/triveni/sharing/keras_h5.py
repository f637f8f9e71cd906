"""An HDF5 file with a whole model (``model.save('model.h5')`` of Keras 2 or 3): the layers in it, as JSON."""

from __future__ import annotations

from triveni.sharing import keras_json
from triveni.sharing.failures import NotAKerasFile
from triveni.sharing.hdf5 import opened, text
from triveni.sharing.keras_json import Config
from triveni.sharing.keras_variables import has_weights

_MAX_WORD = 256

WEIGHTS_ONLY = (
    "Give the layers as well: --model model.json --weights model.weights.h5, or both in one zip; model.to_json() makes"
    " the first"
)


def read_config(data: bytes, source: str) -> Config:
    """The layers of a whole model, as they were written.

    Raises:
        NotAKerasFile: it is no whole model of Keras 2 or 3, or cannot be read.
        TruncatedFile: it ends too early.
    """
    with opened(data, source) as file:
        config = text(file, "model_config", keras_json.MAX_BYTES)
        if config is None:
            if has_weights(file):
                raise NotAKerasFile(source, "it is an HDF5 file with weights, without the layers", WEIGHTS_ONLY)
            raise NotAKerasFile(source, "it is an HDF5 file, and no model is in it")
        keras_json.check_version(text(file, "keras_version", _MAX_WORD), text(file, "backend", _MAX_WORD), source)
    return keras_json.read_object(config, "its model_config", source)
