"""What is found on this machine agrees with the table that the API server and the operator are held against."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from tests.e2e.bad_specs import BadSpec, bad_specs, good_spec
from triveni.api.problems import problems_of
from triveni.api.securemodel import SecureModel

CASES = bad_specs()

ONLY_CLUSTERS_REFUSE = {"file-source"}
"""What is of use on one machine only."""


def told(case: BadSpec) -> str:
    try:
        SecureModel.read(case.document)
    except ValidationError as error:
        return "\n".join(map(str, problems_of(error)))
    return ""


def test_the_spec_that_they_are_changes_of_is_good() -> None:
    assert told(good_spec()) == ""


def test_there_are_at_least_25_of_them_and_each_has_a_name_of_its_own() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 25


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_is_either_refused_or_gets_a_condition(case: BadSpec) -> None:
    assert (case.refused is None) != (case.expected is None)


@pytest.mark.parametrize("case", [case for case in CASES if case.refused], ids=lambda case: case.name)
def test_what_the_api_server_refuses_is_refused_here_with_field_value_and_way_out(case: BadSpec) -> None:
    if case.name in ONLY_CLUSTERS_REFUSE:
        assert (told(case), case.told) == ("", None)
        return
    assert case.told is not None
    assert case.told in told(case)
    assert len(told(case).splitlines()) == 1, "one mistake is told once"
    assert "hush" not in told(case)


@pytest.mark.parametrize("case", [case for case in CASES if case.expected], ids=lambda case: case.name)
def test_what_the_api_server_accepts_is_read_by_the_operator(case: BadSpec) -> None:
    SecureModel.read(case.document)
