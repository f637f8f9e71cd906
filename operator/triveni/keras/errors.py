"""What can go wrong in a notebook beside the errors of the rooms below: one type for each, with its fields.

A client's errors are those of `triveni.client`; a model that cannot be shared raises those of `triveni.sharing`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


class NotebookError(Exception):
    """The base of them all."""


@dataclass(eq=False)
class NotKeras(NotebookError):
    """What was given to `KerasHook` is not Keras 3."""

    given: str
    problem: str

    def __str__(self) -> str:
        return f"KerasHook({self.given}): {self.problem}; give tf.keras of TensorFlow 2.16 or newer, or keras 3"


@dataclass(eq=False)
class InvalidHost(NotebookError, ValueError):
    """A worker's host that cannot be used."""

    host: str
    problem: str

    def __str__(self) -> str:
        return f"host {self.host!r}: {self.problem}"


@dataclass(eq=False)
class NotBuilt(NotebookError):
    """The model has no weights yet."""

    model: str

    def __str__(self) -> str:
        return f"model '{self.model}' has no weights yet; begin it with keras.Input((height, width, channels))"


@dataclass(eq=False)
class NotShared(NotebookError):
    """Something was asked of a model that only a shared one can do."""

    model: str

    def __str__(self) -> str:
        return f"model '{self.model}' is not shared; call model.share(cluster) first"


@dataclass(eq=False)
class NoSuchProtocol(NotebookError, ValueError):
    """A protocol that this version cannot serve."""

    protocol: str
    known: tuple[str, ...]

    def __str__(self) -> str:
        return f"protocol {self.protocol!r} is not served by this version; choose {' or '.join(self.known)}"


@dataclass(eq=False)
class NotStarted(NotebookError):
    """The cluster does not run."""

    doing: str

    def __str__(self) -> str:
        return f"cannot {self.doing}: the cluster does not run; call cluster.start() first"


@dataclass(eq=False)
class Occupied(NotebookError):
    """The cluster is serving at this moment."""

    doing: str

    def __str__(self) -> str:
        return f"cannot {self.doing}: the cluster serves a model at this moment; call model.stop() first"


@dataclass(eq=False)
class HostsSilent(NotebookError):
    """Not all workers answered in time; `problems` says why, by worker."""

    problems: Mapping[str, str]
    seconds: float

    def __str__(self) -> str:
        why = "; ".join(f"{worker}: {problem}" for worker, problem in self.problems.items())
        return f"not all workers answered within {self.seconds:g} s ({why}); run the command of each and start again"


@dataclass(eq=False)
class HostEnded(NotebookError):
    """A worker that was started here has ended; `last_words` are the end of its log."""

    worker: str
    last_words: str

    def __str__(self) -> str:
        return f"{self.worker} ended: {self.last_words or 'it said nothing'}"


@dataclass(eq=False)
class OtherVersion(NotebookError):
    """A worker's host runs another version of Triveni."""

    worker: str
    got: str
    here: str

    def __str__(self) -> str:
        return f"{self.worker} runs Triveni {self.got}, and this notebook {self.here}; install the same on both"


@dataclass(eq=False)
class HostRefused(NotebookError):
    """A worker's host did not do as it was told."""

    worker: str
    problem: str

    def __str__(self) -> str:
        return f"{self.worker}: {self.problem}"


@dataclass(eq=False)
class ServingFailed(NotebookError):
    """The workers could not go on serving; `served` requests were answered before."""

    why: str
    served: int

    def __str__(self) -> str:
        return f"serving failed after {self.served} answers: {self.why}"


@dataclass(eq=False)
class NoConnection(NotebookError):
    """A client finds nothing about how to reach a cluster."""

    path: str

    def __str__(self) -> str:
        return (
            f"there is no connection file {self.path}: is the cluster started? "
            "On another machine, copy the file that cluster.connection names, and give TFECluster(..., connection=FILE)"
        )


@dataclass(eq=False)
class WrongShape(NotebookError, ValueError):
    """A shape that the client named or sent is not the model's; None stands for any number of rows."""

    what: str
    got: tuple[int | None, ...]
    expected: tuple[int | None, ...]

    def __str__(self) -> str:
        return f"{self.what} is {self.got}, and the served model has {self.expected}"


@dataclass(eq=False)
class NotConnected(NotebookError):
    """A client asks before it is connected."""

    def __str__(self) -> str:
        return "this client is not connected; call client.connect_to_model(input_shape, output_shape, cluster) first"


@dataclass(eq=False)
class NothingAsked(NotebookError):
    """There is no answer to wait for."""

    def __str__(self) -> str:
        return "nothing was asked; call client.query_model_async(x) before query_model_join()"
