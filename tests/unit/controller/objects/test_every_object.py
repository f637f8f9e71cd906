"""What holds for each object: owned, labelled, named within limits, of fields that Kubernetes knows, without keys."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import pytest
from kubernetes.client import models

from tests.unit.controller.objects.samples import CASES, EPOCH, UID, everything, read_case, secure_model
from triveni.controller.objects import Object
from triveni.identity.authority import Authority

LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
DNS_LABEL = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")

MODELS = {
    "Secret": models.V1Secret,
    "Service": models.V1Service,
    "NetworkPolicy": models.V1NetworkPolicy,
    "PodDisruptionBudget": models.V1PodDisruptionBudget,
    "Pod": models.V1Pod,
    "Job": models.V1Job,
}


@pytest.mark.parametrize("case", CASES)
def test_every_object_is_owned_by_its_secure_model(case: str, authority: Authority) -> None:
    model = read_case(case)
    for item in everything(model, authority):
        assert item["metadata"]["namespace"] == model.metadata.namespace
        assert item["metadata"]["ownerReferences"] == [
            {
                "apiVersion": "triveni.dev/v1alpha1",
                "kind": "SecureModel",
                "name": model.metadata.name,
                "uid": UID,
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ]


def test_every_object_has_the_labels_by_which_it_is_found(authority: Authority) -> None:
    for item in everything(secure_model(), authority):
        labels = item["metadata"]["labels"]
        assert (
            labels.items()
            >= {
                "app.kubernetes.io/name": "triveni",
                "app.kubernetes.io/managed-by": "triveni-operator",
                "app.kubernetes.io/instance": "mnist",
                "triveni.dev/model": "mnist",
                "triveni.dev/model-uid": UID,
            }.items()
        )
        assert labels["app.kubernetes.io/component"] in {"worker", "sharing", "network", "authority", "client"}


def test_what_belongs_to_an_epoch_says_so_in_name_and_label_and_nothing_else_does(authority: Authority) -> None:
    for item in everything(secure_model(), authority):
        of_epoch = f"-e{EPOCH}-" in item["metadata"]["name"]
        assert of_epoch == (item["metadata"]["labels"].get("triveni.dev/epoch") == str(EPOCH))
        assert of_epoch or "triveni.dev/epoch" not in item["metadata"]["labels"]


def test_no_object_of_an_epoch_has_the_name_of_one_of_another_epoch_or_of_another_secure_model(
    authority: Authority,
) -> None:
    secure_models = [secure_model(name) for name in ("a", "a-e1", "a-ca", "a-e1-worker-0", "n" * 50, "n" * 49)]
    of_one = everything(secure_models[0], authority)
    names = {
        (item["kind"], item["metadata"]["name"])
        for model in secure_models
        for epoch in (1, 2, 11)
        for item in everything(model, authority, epoch)
    }
    of_epoch = [item for item in of_one if "triveni.dev/epoch" in item["metadata"]["labels"]]
    per_model = len(of_one) + 2 * len(of_epoch)
    assert len(names) == len(secure_models) * per_model


def test_an_owners_secret_has_a_name_that_no_other_object_of_another_securemodel_has(authority: Authority) -> None:
    owners = {"source": {"owner": {}}}
    models = [
        secure_model("a"),
        secure_model("a-owner"),
        secure_model("a-e1", model=owners),
        secure_model("b", model=owners),
    ]
    names = [(item["kind"], item["metadata"]["name"]) for model in models for item in everything(model, authority, 1)]
    assert len(set(names)) == len(names)
    assert ("Secret", "a-e1-owner") in names


@pytest.mark.parametrize("name", ["m", "a" * 50, "a" + "-" * 48 + "z", "m" * 33 + "-" * 16 + "z"])
@pytest.mark.parametrize("epoch", [1, 999_999_999])
def test_names_and_labels_fit_however_long_the_name_and_however_high_the_epoch(
    name: str, epoch: int, authority: Authority
) -> None:
    for item in everything(secure_model(name), authority, epoch):
        metadata = item["metadata"]
        assert DNS_LABEL.fullmatch(metadata["name"]), metadata["name"]
        labels = [metadata["labels"], item.get("spec", {}).get("template", {}).get("metadata", {}).get("labels", {})]
        assert all(LABEL_VALUE.fullmatch(value) for label in labels for value in label.values())


@pytest.mark.parametrize("case", CASES)
def test_only_secrets_hold_keys(case: str, authority: Authority) -> None:
    objects = everything(read_case(case), authority)
    data = [item["data"] for item in objects if item["kind"] == "Secret"]
    keys = [values[name] for values in data for name in ("tls.key", "ca.key") if name in values]
    assert len(keys) == 6
    rest = json.dumps([item for item in objects if item["kind"] != "Secret"])
    for key in keys:
        assert key not in rest
        assert json.dumps(base64.b64decode(key).decode())[1:-1] not in rest


@pytest.mark.parametrize("case", CASES)
def test_every_field_is_one_that_kubernetes_knows_and_of_its_type(case: str, authority: Authority) -> None:
    for item in everything(read_case(case), authority):
        assert misfits(item["kind"], item, MODELS[item["kind"]].__name__) == []


def test_a_field_that_kubernetes_does_not_know_would_be_found(authority: Authority) -> None:
    (job,) = (item for item in everything(secure_model(), authority) if item["kind"] == "Job")
    job["spec"]["template"]["spec"]["containers"][0]["readOnlyRootFilesystem"] = True
    job["spec"]["backoffLimit"] = "0"
    assert misfits("Job", job, "V1Job") == [
        "Job.spec.backoffLimit: '0' is no int",
        "Job.spec.template.spec.containers[0].readOnlyRootFilesystem: unknown",
    ]


def misfits(path: str, value: Any, kind: str) -> list[str]:
    """What does not fit the type `kind` of the Kubernetes API, as the client library names types."""
    if match := re.fullmatch(r"List\[(.+)\]", kind):
        if not isinstance(value, list):
            return [f"{path}: {value!r} is no list"]
        return [problem for n, item in enumerate(value) for problem in misfits(f"{path}[{n}]", item, match[1])]
    if match := re.fullmatch(r"Dict\[str, (.+)\]", kind):
        if not isinstance(value, dict):
            return [f"{path}: {value!r} is no dict"]
        return [problem for key, item in value.items() for problem in misfits(f"{path}[{key}]", item, match[1])]
    if kind in SCALARS:
        fits = isinstance(value, SCALARS[kind]) and (kind == "bool" or not isinstance(value, bool))
        return [] if fits else [f"{path}: {value!r} is no {kind}"]
    return _object_misfits(path, value, getattr(models, kind))


def _object_misfits(path: str, value: Object, model: Any) -> list[str]:
    if not isinstance(value, dict):
        return [f"{path}: {value!r} is no {model.__name__}"]
    types = {wire: model.openapi_types[name] for name, wire in model.attribute_map.items()}
    return [
        problem
        for field, inner in value.items()
        for problem in (
            misfits(f"{path}.{field}", inner, types[field]) if field in types else [f"{path}.{field}: unknown"]
        )
    ]


SCALARS: dict[str, Any] = {
    "str": str,
    "int": int,
    "bool": bool,
    "bytes": str,  # in base64
    "object": (str, int),  # a port by name or number, a number or a percentage
}
