"""The bad models of the table get the reason and the message that the table says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.bad_models import BAD_MODELS, GOOD_MODEL
from tests.e2e.bad_specs import BadSpec, bad_specs
from triveni.api.securemodel import SecureModel
from triveni.mpc.input_range import InputRange
from triveni.sharing.failures import SharingFailure
from triveni.sharing.keras_file import read_model
from triveni.sharing.shares import split_model

CASES = [case for case in bad_specs() if case.model is not None and case.model != GOOD_MODEL()]


def test_every_bad_model_is_in_the_table() -> None:
    assert len(CASES) == len(BAD_MODELS)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_sharing_it_fails_as_the_condition_says(case: BadSpec, tmp_path: Path) -> None:
    assert case.model is not None
    assert case.expected is not None
    (tmp_path / "model.keras").write_bytes(case.model)
    declared = SecureModel.read(case.document).spec.model.input_range
    with pytest.raises(SharingFailure) as caught:
        split_model(read_model(tmp_path / "model.keras"), "ABY3", declared and InputRange(declared.min, declared.max))
    assert caught.value.permanent
    assert caught.value.reason in case.expected.reasons
    assert case.expected.message in str(caught.value)
