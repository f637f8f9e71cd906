"""One authority for all tests here: making a key is the slow part."""

from __future__ import annotations

import pytest

from tests.unit.controller.objects.samples import UID
from triveni.identity.authority import Authority


@pytest.fixture(scope="session")
def authority() -> Authority:
    """The authority of the sample SecureModels."""
    return Authority.create("default", UID)
