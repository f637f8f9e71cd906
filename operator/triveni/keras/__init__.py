"""The notebook API: a Keras model served in secret from a notebook, as in OpenMined's tutorial 'Secure Classification
with Syft Keras and TFE' (Part 13 of PySyft 0.1 and 0.2). Its import line becomes this one:

    import triveni.keras as sy

    hook = sy.KerasHook(tf.keras)
    cluster = sy.TFECluster(sy.TFEWorker(), sy.TFEWorker(), sy.TFEWorker())
    cluster.start()
    model.share(cluster)
    model.serve(num_requests=3)

A hooked model has the methods of `triveni.keras.model`. The client's side is in `TFEWorker`.
"""

from triveni.keras.cluster import TFECluster
from triveni.keras.errors import (
    HostEnded,
    HostRefused,
    HostsSilent,
    InvalidHost,
    NoConnection,
    NoSuchProtocol,
    NotBuilt,
    NotConnected,
    NotebookError,
    NothingAsked,
    NotKeras,
    NotShared,
    NotStarted,
    Occupied,
    OtherVersion,
    ServingFailed,
    WrongShape,
)
from triveni.keras.hook import KerasHook
from triveni.keras.worker import TFEWorker, create_client

__all__ = [
    "HostEnded",
    "HostRefused",
    "HostsSilent",
    "InvalidHost",
    "KerasHook",
    "NoConnection",
    "NoSuchProtocol",
    "NotBuilt",
    "NotConnected",
    "NotKeras",
    "NotShared",
    "NotStarted",
    "NotebookError",
    "NothingAsked",
    "Occupied",
    "OtherVersion",
    "ServingFailed",
    "TFECluster",
    "TFEWorker",
    "WrongShape",
    "create_client",
]
