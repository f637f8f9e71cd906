"""The chart in a cluster, beyond its installation."""

from __future__ import annotations

from tests.e2e.operator import Operator
from tests.e2e.tools import ToolFailed


def test_helm_test_makes_a_real_prediction_and_cleans_up(operator: Operator) -> None:
    try:
        said = operator.helm("test", "triveni", "--logs", "--timeout=170s")
    except ToolFailed as failed:
        raise AssertionError(failed.said) from None
    assert "Phase:          Succeeded" in said
    assert not operator.kubectl.exists("securemodels"), "what helm test made is gone"
