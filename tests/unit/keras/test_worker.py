"""A worker by its host, and the client that has none."""

from __future__ import annotations

import numpy as np
import pytest

from triveni.keras import NotConnected, TFEWorker
from triveni.keras.errors import InvalidHost


@pytest.mark.parametrize("host", ["localhost", "localhost:", ":4000", "localhost:0", "localhost:65500", "a:b", ""])
def test_a_host_that_is_none_is_refused_by_its_name(host: str) -> None:
    with pytest.raises(InvalidHost) as raised:
        TFEWorker(host)
    assert repr(host) in str(raised.value)
    assert isinstance(raised.value, ValueError)


def test_who_is_not_connected_is_told_how() -> None:
    client = TFEWorker()
    for ask in (client.query_model, client.query_model_async):
        with pytest.raises(NotConnected, match="connect_to_model"):
            ask(np.zeros((1, 28, 28, 1)))
    with pytest.raises(NotConnected):
        client.query_model_join()
    client.close()
