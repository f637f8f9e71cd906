"""Which changes of a SecureModel ask for a new epoch."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.controller.objects.samples import read_case, secure_model
from triveni.controller.objects import parts_of_model

SOURCE = {"configMap": {"name": "mnist-model", "key": "model.keras"}}


@pytest.mark.parametrize(
    "change",
    [
        {"model": {"source": {"configMap": {"name": "another", "key": "model.keras"}}}},
        {"model": {"source": SOURCE, "digest": "sha256:" + "0a" * 32}},
        {"model": {"source": SOURCE, "inputRange": {"min": 0, "max": 1}}},
        {"batching": {"maxRows": 8}},
        {"answer": {"fractionalBits": 0}},
        {"workers": {"image": "registry.example/own:1"}},
        {"workers": {"nodeSelector": {"pool": "mpc"}}},
        {"workers": {"independence": "Required"}},
        {"workers": {"resources": {"limits": {"memory": "2Gi"}}}},
    ],
)
def test_another_model_or_other_workers_are_another_epoch(change: dict[str, Any]) -> None:
    assert parts_of_model(secure_model(**change)) != parts_of_model(secure_model())


@pytest.mark.parametrize(
    "change",
    [
        {"requestQuota": 5},
        {"recovery": "Never"},
        {"suspend": True},
        {"requestQuota": 5, "ttlSecondsAfterFinished": 60},
        {"clients": [{"podSelector": {}}]},
    ],
)
def test_what_is_heeded_while_an_epoch_serves_is_no_other_epoch(change: dict[str, Any]) -> None:
    assert parts_of_model(secure_model(**change)) == parts_of_model(secure_model())


def test_a_default_that_is_written_out_changes_nothing() -> None:
    written = secure_model(
        protocol="ABY3",
        batching={"maxRows": 32},
        workers={
            "independence": "Preferred",
            "topologyKey": "kubernetes.io/hostname",
            "imagePullSecrets": [],
            "nodeSelector": {},
            "tolerations": [],
            "affinity": {},
            "resources": {},
        },
    )
    assert parts_of_model(written) == parts_of_model(secure_model())


def test_the_digest_is_the_same_in_every_version() -> None:
    """If this fails, every SecureModel that serves gets a new epoch when the operator is upgraded."""
    assert {case: parts_of_model(read_case(case)) for case in ("minimal", "everything", "s3")} == {
        "minimal": "3cccf00cc649e813",
        "everything": "3f06a0996eb5b4d4",
        "s3": "f14ba077816850e1",
    }
