"""What a hooked model can do: `share`, `serve`, `stop`, `shutdown_workers`. Keras itself is never imported here.

What is shared is the model as it was at `share`: its weights are read out of what Keras saves, which never leaves the
memory of this machine, and are held here in plain, as the model itself is. Each `serve` is an epoch: they are split
anew, and each worker is given its share, which it erases at the end.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args
from weakref import WeakKeyDictionary

from triveni.api.securemodel import Protocol
from triveni.keras.cluster import AnyCluster
from triveni.keras.errors import NoSuchProtocol, NotBuilt, NotShared
from triveni.keras.offer import Offer
from triveni.mpc.architecture import MAX_ANSWER_BITS
from triveni.mpc.input_range import InputRange
from triveni.sharing.keras_file import KerasModel, parse_model

DEFAULT_PROTOCOL: Protocol = "SecureNN"
"""The tutorial's."""

PROTOCOLS: tuple[str, ...] = get_args(Protocol)

MEMORY = Path("/dev/shm")  # noqa: S108 (a private directory is made in it)


@dataclass(frozen=True, slots=True)
class Shared:
    """A model as it was shared, with whom, and how they compute."""

    cluster: AnyCluster
    offer: Offer
    protocol: str


_SHARED: WeakKeyDictionary[Any, Shared] = WeakKeyDictionary()


def share(
    self: Any,
    cluster: AnyCluster,
    protocol: str = DEFAULT_PROTOCOL,
    *,
    answer_bits: int | None = None,
    input_range: tuple[float, float] | None = None,
) -> None:
    """Secure the model, as it is now, for the three workers of a cluster that is started.

    A model that cannot be served is refused here, by the name of the layer. The workers are given their shares when
    `serve` says how many requests they may answer; a model that is trained on after `share` has to be shared again.

    Args:
        cluster: a `TFECluster`.
        protocol: how the workers compute on shares, 'SecureNN' or 'ABY3'.
        answer_bits: how many binary places behind the point clients are given of each value of an answer, from 0 to
            16: the workers round the rest off, at random and to within 2.5 of these steps, so that answers tell less
            about the model. None is all that there are.
        input_range: the least and the most that an element of an input may be; clients refuse to send anything else,
            and a model of which a value may then be too large for the protocol is refused. Nothing is checked without.

    Raises:
        ValueError: `input_range` is no range.
        NotStarted, Occupied: the cluster does not run, or serves at this moment.
        NoSuchProtocol: this version does not serve it.
        ValueError: it cannot be so many bits.
        NotBuilt: the model has no weights yet.
        triveni.sharing.failures.SharingFailure: the model cannot be served.
    """
    if protocol not in PROTOCOLS:
        raise NoSuchProtocol(protocol, PROTOCOLS)
    if answer_bits is not None and (type(answer_bits) is not int or not 0 <= answer_bits <= MAX_ANSWER_BITS):
        raise ValueError(
            f"answer_bits is {answer_bits!r}: a whole number of 0 to {MAX_ANSWER_BITS}, or None, is needed"
        )
    cluster.require_free(f"share model '{self.name}'")
    offer = Offer(read_live(self).answering(answer_bits), _inputs(input_range))
    offer.split(protocol)
    _SHARED[self] = Shared(cluster, offer, protocol)


def serve(self: Any, num_requests: int | None = None) -> None:
    """Serve the shared model, and print a line for each request that is answered.

    It returns once `num_requests` are answered; then, or when it is interrupted or stopped, the workers erase their
    shares and wait. It may be called again, which is a new epoch with shares made anew. A worker that is lost ends an
    epoch too; what remains of the requests is then served in the next one.

    Args:
        num_requests: how many requests are answered at most, a row of a batch counting as one; None is no limit.

    Raises:
        NotShared: `share` comes first.
        NotStarted, Occupied: the cluster does not run, or serves at this moment.
        ServingFailed: the workers cannot go on.
    """
    shared = _shared(self)
    if num_requests is not None and (type(num_requests) is not int or num_requests < 1):
        raise ValueError(f"num_requests is {num_requests!r}: a whole number of at least 1, or None, is needed")
    shared.cluster.serve(shared.offer, shared.protocol, num_requests)


def stop(self: Any) -> None:
    """Stop serving, should another thread do that, and forget what was shared. The workers go on waiting."""
    shared = _SHARED.pop(self, None)
    if shared is not None:
        shared.cluster.stop_serving()


def shutdown_workers(self: Any) -> None:
    """`stop`, and the cluster's workers too."""
    cluster = _shared(self).cluster
    stop(self)
    cluster.stop()


def _inputs(ends: tuple[float, float] | None) -> InputRange | None:
    if ends is None:
        return None
    try:
        low, high = ends
        return InputRange.read({"min": float(low), "max": float(high)})
    except (TypeError, ValueError):
        raise ValueError(f"input_range is {ends!r}: two numbers are needed, the smaller one first") from None


def _shared(model: Any) -> Shared:
    if model not in _SHARED:
        raise NotShared(str(model.name))
    return _SHARED[model]


def read_live(model: Any) -> KerasModel:
    """Architecture and weights of a model that lives in this process, by way of what Keras saves.

    The file is in memory (where the system has such a place), in a directory that only this user can read, and gone
    when this returns.

    Raises:
        NotBuilt: it has no weights yet.
        triveni.sharing.failures.SharingFailure: it cannot be served.
    """
    if not model.built:
        raise NotBuilt(str(model.name))
    with tempfile.TemporaryDirectory(prefix="triveni-share-", dir=MEMORY if MEMORY.is_dir() else None) as directory:
        path = Path(directory) / "model.keras"
        model.save(path)
        content = path.read_bytes()
    return parse_model(content, f"model '{model.name}'")
