"""Where two processes run the tests, those of one room stay together: they share fixtures that take long to make."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A room is a directory below a tier, or a file in it."""
    for item in items:
        item.add_marker(pytest.mark.xdist_group("/".join(item.path.relative_to(ROOT).parts[:3])))
