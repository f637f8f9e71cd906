"""Quantities are the numbers that Kubernetes takes them for."""

from __future__ import annotations

from decimal import Decimal

import pytest
from kubernetes.utils.quantity import parse_quantity
from pydantic import TypeAdapter, ValidationError

from triveni.api.quantity import Quantity, amount


@pytest.mark.parametrize(
    "quantity",
    [0, 3, "3", "500m", "1.5", "+2", ".5", "2.", "1Ki", "1.5Gi", "2G", "7E", "7Ei", "100n", "3u", "12k", "9T"],
)
def test_a_quantity_is_the_number_that_kubernetes_reads(quantity: str | int) -> None:
    assert TypeAdapter(Quantity).validate_python(quantity) == quantity
    assert amount(quantity) == parse_quantity(quantity)


@pytest.mark.parametrize(("quantity", "number"), [("1e3", 1000), ("2E2", 200), ("5e-1", Decimal("0.5"))])
def test_an_exponent_is_read(quantity: str, number: Decimal) -> None:
    assert TypeAdapter(Quantity).validate_python(quantity) == quantity
    assert amount(quantity) == number


@pytest.mark.parametrize("value", [-1, "-1", 0.5, True, None, "", "m", "1 Gi", "1GiB", "1e", "1e1000", "1\n", "9" * 33])
def test_anything_else_is_none(value: object) -> None:
    with pytest.raises(ValidationError, match="is not a quantity"):
        TypeAdapter(Quantity).validate_python(value)
