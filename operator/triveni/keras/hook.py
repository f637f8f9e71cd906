"""The hook: Keras's models get the methods `share`, `serve`, `stop` and `shutdown_workers`."""

from __future__ import annotations

from typing import Any

from triveni.keras import model as methods
from triveni.keras.errors import NotKeras

METHODS = ("share", "serve", "stop", "shutdown_workers")


class KerasHook:
    """Adds four methods to every model of a Keras, those that exist already included; again is harmless.

    Args:
        keras: `tf.keras` (of TensorFlow 2.16 or newer, which is Keras 3) or the module `keras` 3.

    Raises:
        NotKeras: it is something else, such as `tf_keras` (Keras 2).

    Examples:
        >>> import keras
        >>> hook = KerasHook(keras)
        >>> callable(keras.Sequential().share)
        True
    """

    def __init__(self, keras: Any) -> None:
        name = getattr(keras, "__name__", type(keras).__name__)
        version = getattr(keras, "__version__", None)
        if not isinstance(getattr(keras, "Model", None), type) or not isinstance(version, str):
            raise NotKeras(name, "it is not Keras")
        if not version.startswith("3."):
            raise NotKeras(name, f"it is Keras {version}, whose models are another format")
        self.keras = keras
        for method in METHODS:
            setattr(keras.Model, method, getattr(methods, method))

    def unhook(self) -> None:
        """Take the methods away again."""
        for method in METHODS:
            if method in vars(self.keras.Model):
                delattr(self.keras.Model, method)
