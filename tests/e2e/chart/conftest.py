"""helm, from the cache that the test cluster uses as well. No test here needs a cluster."""

import pytest

from tests.e2e.chart.chart import Helm
from tests.e2e.cluster import binaries


@pytest.fixture(scope="session")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    return Helm(binaries.helm(), tmp_path_factory.mktemp("helm"))
