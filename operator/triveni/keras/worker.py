"""A worker as the tutorial names it, `TFEWorker`: where it is and who starts it; or a client, which asks.

In the tutorial one class is both, and so it is here: `TFEWorker()` without a host is what a client asks with.
"""

from __future__ import annotations

import socket
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from triveni.keras.errors import InvalidHost, NotConnected
from triveni.keras.query import DEADLINE_S, Query
from triveni.sharing.worker_link import Address

if TYPE_CHECKING:
    from triveni.keras.cluster import AnyCluster

PEER_PORTS_ABOVE = 100
"""A worker at HOST:PORT listens for the other two workers at PORT + 100."""

LOWEST_FREE, HIGHEST = 1, 65535 - PEER_PORTS_ABOVE


class TFEWorker:
    """One of the three workers of a cluster, or a client of it.

    Args:
        host: `HOST:PORT`, where clients reach the worker; the other two reach it at PORT + 100. None: a free port of
            this machine.
        auto_managed: whether `cluster.start()` starts the worker, which has to be on this machine then. False:
            `cluster.start()` prints the command to run on its host.

    Raises:
        InvalidHost: `host` is not HOST:PORT, or its port leaves no room for the other one.

    Examples:
        >>> alice = TFEWorker(host="localhost:4000")
        >>> client = TFEWorker()
    """

    def __init__(self, host: str | None = None, auto_managed: bool = True) -> None:
        self.host = host
        self.auto_managed = auto_managed
        self.address = None if host is None else _address(host)
        self._query: Query | None = None

    def __repr__(self) -> str:
        return f"TFEWorker(host={self.host!r}, auto_managed={self.auto_managed})"

    def connect_to_model(
        self,
        input_shape: tuple[int | None, ...],
        output_shape: tuple[int | None, ...],
        cluster: AnyCluster,
        timeout: float = DEADLINE_S,
    ) -> None:
        """Connect to the model that a cluster serves; it waits until the cluster is started and serves one.

        Args:
            input_shape: of what is asked, its first number that of rows: (1, 28, 28, 1). None is any number.
            output_shape: of what is answered: (1, 10).
            cluster: the workers, by the same hosts as where they were started.
            timeout: seconds to wait, here and for each query.

        Raises:
            NoConnection: nothing is known about how to reach the cluster.
            WrongShape: the served model has other shapes.
            triveni.client.ClientError: the workers cannot be reached, or serve nothing.
        """
        self.close()
        self._query = Query.connect(tuple(input_shape), tuple(output_shape), cluster.reach(timeout), timeout)

    def query_model(self, data: ArrayLike) -> NDArray[np.float64]:
        """Ask for a prediction: shares of `data`, of the input shape, go to the three workers.

        Returns:
            the model's answer, of the output shape.

        Raises:
            NotConnected: `connect_to_model` comes first.
            WrongShape: `data` has another shape than the client was connected with.
            triveni.client.ClientError: there is no answer, see there.
        """
        return self._connected().ask(data).result()

    def query_model_async(self, data: ArrayLike) -> Future[NDArray[np.float64]]:
        """The same without waiting: the answer is the future's result, or what `query_model_join` returns next."""
        return self._connected().ask_later(data)

    def query_model_join(self) -> NDArray[np.float64]:
        """Wait for the answer of the oldest `query_model_async` that was not joined yet; raises as `query_model`.

        Raises:
            NothingAsked: there is none.
        """
        return self._connected().join()

    def close(self) -> None:
        """Drop the client's connections, if it has any."""
        if self._query is not None:
            self._query.close()
            self._query = None

    def _connected(self) -> Query:
        if self._query is None:
            raise NotConnected
        return self._query


def create_client(
    input_shape: tuple[int | None, ...],
    output_shape: tuple[int | None, ...],
    cluster: AnyCluster,
    timeout: float = DEADLINE_S,
) -> TFEWorker:
    """A client that is connected to the model that a cluster serves: `TFEWorker()` and `connect_to_model` in one.

    Examples:
        >>> client = create_client((1, 28, 28, 1), (1, 10), cluster)  # doctest: +SKIP
        >>> client.query_model(image).argmax()  # doctest: +SKIP
        7
    """
    client = TFEWorker()
    client.connect_to_model(input_shape, output_shape, cluster, timeout)
    return client


def is_here(host: str) -> bool:
    """Whether a host name is an address of this machine."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as sock:
            sock.bind(address)
    except OSError:
        return False
    return True


def _address(host: Any) -> Address:
    try:
        address = Address.parse(host)
    except (ValueError, AttributeError):
        raise InvalidHost(str(host), "HOST:PORT is needed, such as localhost:4000") from None
    if not LOWEST_FREE <= address.port <= HIGHEST:
        raise InvalidHost(host, f"the port may be {HIGHEST} at most: workers meet at the port {PEER_PORTS_ABOVE} above")
    return address
