"""One served example for all tests that leave it as it was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cluster import Cluster

REQUEST_TIMEOUT_S = 2.0


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory, programs: Path) -> Iterator[Cluster]:
    """Workers that serve the example without a limit, and give up requests that stay incomplete."""
    directory = tmp_path_factory.mktemp("served")
    with Cluster(directory, programs, request_timeout_s=REQUEST_TIMEOUT_S) as cluster:
        yield cluster.serve()
        assert [worker.process.poll() for worker in cluster.workers.values()] == [None] * 3, "a worker has ended"
        unexpected = {"failed", "a request failed", "asyncio", "aiohttp.server"}
        assert not [line for worker in cluster.workers.values() for line in worker.log if line["event"] in unexpected]
