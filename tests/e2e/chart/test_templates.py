"""What has to hold whatever the values are."""

import base64
import hashlib
from typing import Any

import pytest
import yaml

from tests.e2e.chart.chart import CHART, Helm, Object, one
from triveni.api.securemodel import SecureModel


def pod_specs(objects: list[Object]) -> list[dict[str, Any]]:
    specs = [item["spec"] for item in objects if item["kind"] == "Pod"]
    return specs + [item["spec"]["template"]["spec"] for item in objects if item["kind"] == "Deployment"]


def test_every_pod_keeps_to_the_restricted_level_and_cannot_write_its_root(helm: Helm) -> None:
    specs = pod_specs(helm.objects())
    assert len(specs) == 2
    for spec in specs:
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in spec["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "readOnlyRootFilesystem": True,
            }


@pytest.mark.parametrize(("replicas", "budgets"), [(0, 0), (1, 0), (2, 1)])
def test_there_is_a_disruption_budget_once_there_are_two_replicas(helm: Helm, replicas: int, budgets: int) -> None:
    objects = helm.objects({"replicas": replicas})
    assert len([item for item in objects if item["kind"] == "PodDisruptionBudget"]) == budgets


def test_a_digest_counts_instead_of_a_tag(helm: Helm) -> None:
    digest = f"sha256:{'0' * 64}"
    objects = helm.objects({"image": {"tag": "x", "digest": digest}, "workerImage": {"tag": "y"}})
    (container,) = one(objects, "Deployment", "triveni-operator")["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"triveni-operator@{digest}"
    assert "--worker-image=triveni-worker:y" in container["args"]


def test_labels_that_are_added_do_not_change_by_what_pods_are_found(helm: Helm) -> None:
    wrong = {"app.kubernetes.io/name": "other", "app.kubernetes.io/instance": "other"}
    objects = helm.objects({"commonLabels": wrong, "podLabels": wrong})
    deployment = one(objects, "Deployment", "triveni-operator")
    selector = deployment["spec"]["selector"]["matchLabels"].items()
    assert selector <= deployment["spec"]["template"]["metadata"]["labels"].items()
    assert deployment["metadata"]["labels"]["app.kubernetes.io/name"] == "triveni"


def test_the_longest_names_still_fit(helm: Helm) -> None:
    for values in ({"fullnameOverride": "x" * 50}, {"nameOverride": "x" * 50}):
        for item in helm.objects(values):
            name = item["metadata"]["name"]
            assert len(name) <= (50 if item["kind"] == "SecureModel" else 63), name


def test_the_test_is_made_where_it_is_watched(helm: Helm) -> None:
    def namespace(watched: list[str]) -> Any:
        return one(helm.objects({"watchNamespaces": watched}), "SecureModel", "triveni-test")["metadata"]["namespace"]

    assert namespace([]) == "triveni-system"
    assert namespace(["bank", "triveni-system"]) == "triveni-system"
    assert namespace(["clinic", "bank"]) == "bank"


def test_the_test_makes_what_it_needs_before_what_needs_it_and_deletes_all_but_the_log(helm: Helm) -> None:
    hooks = [item for item in helm.objects() if item["metadata"].get("annotations", {}).get("helm.sh/hook") == "test"]
    by_weight = sorted(hooks, key=lambda item: int(item["metadata"]["annotations"]["helm.sh/hook-weight"]))
    assert [item["kind"] for item in by_weight] == ["ServiceAccount", "ConfigMap", "SecureModel", "Pod"]
    for item in by_weight:
        policies = item["metadata"]["annotations"]["helm.sh/hook-delete-policy"].split(",")
        assert "before-hook-creation" in policies
        assert ("hook-succeeded" in policies) == (item["kind"] != "Pod")


def test_the_digest_in_the_test_is_that_of_the_model_which_the_config_map_carries(helm: Helm) -> None:
    objects = helm.objects()
    content = base64.b64decode(one(objects, "ConfigMap", "triveni-test")["binaryData"]["model.keras"])
    model = one(objects, "SecureModel", "triveni-test")["spec"]["model"]
    assert model["digest"] == f"sha256:{hashlib.sha256(content).hexdigest()}"


def test_the_test_and_the_example_of_the_chart_are_secure_models(helm: Helm) -> None:
    rendered = one(helm.objects(), "SecureModel", "triveni-test")
    assert SecureModel.read(rendered).spec.request_quota == 3
    annotations = yaml.safe_load((CHART / "Chart.yaml").read_text())["annotations"]
    (example,) = yaml.safe_load(annotations["artifacthub.io/crdsExamples"])
    SecureModel.read(example)
