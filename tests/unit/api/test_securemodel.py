"""The SecureModel accepts what the page says and refuses everything else, in words that a person can act on."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from pydantic import ValidationError

from triveni.api.model_source import _OWNER_SAYS_RANGE, MAX_INPUT, ConfigMapSource, HttpSource, InputRange
from triveni.api.problems import LABEL_RULE, SOURCE_CHOICE, problems_of
from triveni.api.securemodel import _SECURENN_INPUTS, MAX_QUOTA, MAX_SECURENN_INPUT, SecureModel
from triveni.mpc.fixedpoint import fixed_point

DIGEST = "sha256:" + "0a" * 32


def document(**spec: Any) -> dict[str, Any]:
    """A valid SecureModel with some fields of its spec changed."""
    model = {"source": {"configMap": {"name": "mnist-model", "key": "model.keras"}}}
    return {
        "apiVersion": "triveni.dev/v1alpha1",
        "kind": "SecureModel",
        "metadata": {"name": "mnist"},
        "spec": {"model": model, **spec},
    }


def lines(body: object) -> list[str]:
    """What a person is told about `body`."""
    with pytest.raises(ValidationError) as caught:
        SecureModel.read(body)
    return [str(problem) for problem in problems_of(caught.value)]


def changed(path: str, value: Any) -> dict[str, Any]:
    """A valid SecureModel with the field at a dotted path set."""
    body = copy.deepcopy(document())
    *above, last = path.split(".")
    inner = body
    for part in above:
        inner = inner.setdefault(part, {})
    inner[last] = value
    return body


def test_what_is_left_out_has_the_documented_default() -> None:
    spec = SecureModel.read(document()).spec
    assert (spec.protocol, spec.request_quota, spec.recovery, spec.batching.max_rows) == ("ABY3", None, "Reshare", 32)
    assert spec.answer.fractional_bits is None
    assert SecureModel.read(document()).metadata.namespace == "default"
    assert spec.model.source.place == ConfigMapSource(name="mnist-model", key="model.keras")


def test_null_is_no_limit() -> None:
    assert SecureModel.read(document(requestQuota=None)).spec.request_quota is None


def ranged(low: Any, high: Any, protocol: str = "ABY3", **source: Any) -> dict[str, Any]:
    """A SecureModel whose inputs are declared."""
    body = document(protocol=protocol)
    body["spec"]["model"] |= {"inputRange": {"min": low, "max": high}}
    body["spec"]["model"]["source"] = source or body["spec"]["model"]["source"]
    return body


def test_what_inputs_are_within_may_be_declared_as_far_as_the_protocol_carries_them() -> None:
    assert SecureModel.read(document()).spec.model.input_range is None
    assert SecureModel.read(ranged(0, 1)).spec.model.input_range == InputRange(min=0.0, max=1.0)
    for protocol, most in ("ABY3", MAX_INPUT), ("SecureNN", MAX_SECURENN_INPUT):
        assert most == fixed_point(protocol).max_magnitude
        SecureModel.read(ranged(-most, most, protocol))


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (ranged(1, 0), "spec.model.inputRange: goes from 1 to 0; min must be less than max"),
        (ranged(1, 1), "spec.model.inputRange: goes from 1 to 1; min must be less than max"),
        (ranged(0, 1024.5), "spec.model.inputRange.max: 1024.5 is too large; give at most 1024"),
        (ranged(-1025, 0), "spec.model.inputRange.min: -1025 is too small; give at least -1024"),
        (ranged(0, "1"), "spec.model.inputRange.max: '1' is not a number; write one, without quotes"),
        (ranged(0, float("inf")), "spec.model.inputRange.max: Infinity is not a number; write one, without quotes"),
        (ranged(float("nan"), 0), "spec.model.inputRange.min: NaN is not a number; write one, without quotes"),
        (
            ranged(-129, 1, "SecureNN"),
            f"spec: model.inputRange goes from -129 to 1, but {_SECURENN_INPUTS}; normalise the inputs, or use ABY3",
        ),
        (
            ranged(0, 1, owner={}),
            f"spec.model: {_OWNER_SAYS_RANGE}; leave inputRange out",
        ),
    ],
)
def test_what_is_no_range_of_inputs_is_refused(body: dict[str, Any], told: str) -> None:
    assert lines(body) == [told]


@pytest.mark.parametrize("quota", [1, 3, MAX_QUOTA])
def test_a_whole_number_of_at_least_1_is_a_quota(quota: int) -> None:
    assert SecureModel.read(document(requestQuota=quota)).spec.request_quota == quota


@pytest.mark.parametrize(
    ("quota", "shown"),
    [
        (0, "0"),
        (-1, "-1"),
        ("many", "'many'"),
        ("3", "'3'"),
        (1.5, "1.5"),
        (3.0, "3.0"),
        (True, "true"),
        (MAX_QUOTA + 1, str(MAX_QUOTA + 1)),
        ([3], "a list"),
        ({"of": 3}, "a mapping"),
    ],
)
def test_anything_else_is_no_quota(quota: Any, shown: str) -> None:
    assert lines(document(requestQuota=quota)) == [
        f"spec.requestQuota: {shown} is not a request quota; give a whole number of at least 1 or leave it out"
    ]


@pytest.mark.parametrize(
    ("path", "value", "line"),
    [
        ("apiVersion", "a/v1", "'a/v1' is not an API version that this triveni reads; write triveni.dev/v1alpha1"),
        ("kind", "secureModel", "'secureModel' is not the kind that belongs here; write SecureModel"),
        (
            "metadata.name",
            "My_Model",
            f"'My_Model' is not a name for a SecureModel; {LABEL_RULE}, at most 50 characters",
        ),
        ("metadata.name", 12, "12 is not text; put it in quotes"),
        ("metadata.namespace", "-", f"'-' is not a namespace; {LABEL_RULE}, at most 63 characters"),
        ("spec", [], "a list is not a mapping; write its fields below it, indented"),
        ("spec.protocol", "aby", "'aby' is not a protocol; use ABY3 or SecureNN"),
        ("spec.recovery", "Maybe", "'Maybe' is not a way to recover; use Reshare (share again) or Never (stop)"),
        ("spec.batching.maxRows", 0, "0 is not a number of rows to run together; give a whole number from 1 to 256"),
        (
            "spec.answer.fractionalBits",
            17,
            "17 is not a number of places; give a whole number from 0 to 16 or leave it out",
        ),
        (
            "spec.model.digest",
            "abc",
            "'abc' is not a digest; write sha256: and 64 hexadecimal digits, as sha256sum prints them",
        ),
        ("spec.model.source", {}, f"names no source; give {SOURCE_CHOICE}"),
    ],
)
def test_a_wrong_value_is_named_with_its_field_and_the_way_out(path: str, value: Any, line: str) -> None:
    assert lines(changed(path, value)) == [f"{path}: {line}"]


def test_two_sources_are_refused_by_naming_both() -> None:
    assert lines(changed("spec.model.source.file", {"path": "model.keras"})) == [
        "spec.model.source: names configMap and file; a model has one source, keep one of them"
    ]


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("spec.requestQuotta", "did you mean requestQuota?"),
        ("spec.quota", "did you mean requestQuota?"),
        ("spec.request_quota", "did you mean requestQuota?"),
        ("spec.model.source.configmap", "did you mean configMap?"),
        ("metadata.requestQuota", "did you mean spec.requestQuota?"),
        ("metadata.lables", "did you mean labels?"),
        ("spec.batching.colour", "the fields of spec.batching are maxRows"),
        ("spec.maxRows", "did you mean spec.batching.maxRows?"),
        ("spec.workers.priorityClass", "did you mean priorityClassName?"),
    ],
)
def test_an_unknown_field_is_refused_with_the_one_that_was_meant(path: str, hint: str) -> None:
    assert lines(changed(path, 3)) == [f"{path}: is not a field; {hint}"]


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("metadata", "metadata: is missing; add metadata with a name"),
        ("metadata.name", "metadata.name: is missing; add name"),
        ("spec.model.source", f"spec.model.source: is missing; add {SOURCE_CHOICE}"),
    ],
)
def test_a_missing_field_is_named(path: str, line: str) -> None:
    body = copy.deepcopy(document())
    *above, last = path.split(".")
    inner = body
    for part in above:
        inner = inner[part]
    del inner[last]
    assert lines(body) == [line]


def test_every_problem_is_told_at_once() -> None:
    assert len(lines(document(requestQuota=0, protocol="GMW", recoverry="Never"))) == 3


@pytest.mark.parametrize("body", [None, [], "SecureModel", 3])
def test_what_is_no_mapping_is_refused(body: object) -> None:
    assert len(lines(body)) == 1


def test_a_long_value_is_cut_in_the_message() -> None:
    (line,) = lines(document(protocol="x" * 10_000))
    assert len(line) < 200


def test_what_a_cluster_adds_is_accepted() -> None:
    body = document()
    body["metadata"] |= {"uid": "u", "generation": 2, "managedFields": [{}], "resourceVersion": "7"}
    body["status"] = {"charged": 2}
    assert SecureModel.read(body).metadata.uid == "u"


def test_it_cannot_be_changed_afterwards() -> None:
    model = SecureModel.read(document(requestQuota=3))
    with pytest.raises(ValidationError):
        model.spec.request_quota = 4  # type: ignore[misc]


def test_it_is_written_as_it_is_read() -> None:
    model = SecureModel.read(document(requestQuota=3))
    written = model.model_dump(mode="json", exclude_none=True)
    assert written["spec"]["requestQuota"] == 3
    assert SecureModel.read(written) == model


def test_changes_to_the_spec_are_checked_as_well() -> None:
    model = SecureModel.read(document(requestQuota=3))
    assert model.with_spec(requestQuota=200).spec.request_quota == 200
    with pytest.raises(ValidationError):
        model.with_spec(requestQuota=0)


def test_everything_that_may_be_written_is_read_and_written_again() -> None:
    spec = {
        "model": {
            "source": {
                "s3": {
                    "endpoint": "https://[fd00::1]:9000",
                    "bucket": "models",
                    "key": "a b/é.keras",
                    "region": "eu-central-1",
                    "credentialsSecret": {"name": "store"},
                    "caBundle": {"name": "authorities", "key": "ca.crt"},
                }
            },
            "digest": DIGEST,
        },
        "protocol": "ABY3",
        "requestQuota": 3,
        "recovery": "Never",
        "batching": {"maxRows": 1},
        "answer": {"fractionalBits": 0},
        "workers": {
            "image": "registry.example.com:5000/triveni/worker@sha256:" + "0" * 64,
            "imagePullSecrets": [{"name": "registry"}],
            "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"cpu": 1, "memory": "1.5Gi"}},
            "nodeSelector": {"kubernetes.io/arch": "amd64", "empty": ""},
            "tolerations": [
                {"operator": "Exists"},
                {"key": "gpu", "value": "yes", "effect": "NoExecute", "tolerationSeconds": 5},
            ],
            "affinity": {"nodeAffinity": {"anything": ["that", {"kubernetes": "checks"}]}},
            "topologyKey": "topology.kubernetes.io/zone",
            "independence": "Required",
            "priorityClassName": "system-cluster-critical",
        },
        "clients": [
            {"podSelector": {"matchLabels": {"app": "shop"}}, "namespaceSelector": {"matchLabels": {}}},
            {"namespaceSelector": {"matchExpressions": [{"key": "team", "operator": "In", "values": ["a", "b"]}]}},
        ],
        "suspend": True,
        "ttlSecondsAfterFinished": 0,
    }
    body = {**document(), "spec": spec}
    written = SecureModel.read(body).model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    spec["clients"][0]["namespaceSelector"] = {}  # type: ignore[index]
    del spec["protocol"]
    assert written["spec"] == spec


@pytest.mark.parametrize(
    "url",
    [
        "https://models.example.com/mnist.keras",
        "https://models.example.com",
        "https://models.example.com:8443/a%20b/?v=1&signature=%2F+=",
        "https://10.0.0.1/m",
        "https://[fd00::1]/m",
    ],
)
def test_an_address_may_be_any_that_is_fetched(url: str) -> None:
    place = SecureModel.read(document(model={"source": {"http": {"url": url}}})).spec.model.source.place
    assert isinstance(place, HttpSource)
    assert place.encrypted


@pytest.mark.parametrize(
    "url",
    [
        "models.example.com/m",
        "https://",
        "https:///m",
        "https://a b/m",
        "https://h/m#part",
        "https://h/é",
        "https://h:0/m",
        "https://h:123456/m",
        "https://u@h/m",
        "https://h?m",
        "https://h/a\nb",
    ],
)
def test_what_cannot_be_fetched_is_no_address(url: str) -> None:
    (line,) = lines(document(model={"source": {"http": {"url": url}}}))
    assert "is not an address that can be fetched; write https://HOST/PATH" in line


def test_a_store_without_tls_is_used_for_a_model_whose_digest_is_named() -> None:
    store = {"endpoint": "http://minio:9000", "bucket": "models", "key": "m", "credentialsSecret": {"name": "store"}}
    assert SecureModel.read(document(model={"source": {"s3": store}, "digest": DIGEST})).spec.model.digest == DIGEST


@pytest.mark.parametrize("path", ["spec.model.digest", "spec.workers.image", "spec.model.source.http", "spec.suspend"])
def test_null_is_no_value(path: str) -> None:
    (line,) = lines(changed(path, None))
    assert line.startswith(f"{path}: ")


@pytest.mark.parametrize("path", ["a/b", "a", "..a/b", "a/.b"])
def test_a_path_may_lead_anywhere_inside_the_volume(path: str) -> None:
    SecureModel.read(document(model={"source": {"persistentVolumeClaim": {"claimName": "c", "path": path}}}))


@pytest.mark.parametrize("path", ["/a", "a//b", "a/", "./a", "a/..", "", "."])
def test_a_path_may_not_lead_elsewhere(path: str) -> None:
    (line,) = lines(document(model={"source": {"persistentVolumeClaim": {"claimName": "c", "path": path}}}))
    assert line.startswith("spec.model.source.persistentVolumeClaim")


@pytest.mark.parametrize("protocol", ["ABY3", "SecureNN"])
def test_both_protocols_may_be_written(protocol: str) -> None:
    assert SecureModel.read(document(protocol=protocol)).spec.protocol == protocol


def test_the_password_of_an_address_is_not_told() -> None:
    (line,) = lines(document(model={"source": {"http": {"url": "https://me:hush@example.com/m"}}}))
    assert "'https://...@example.com/m' is not an address" in line
