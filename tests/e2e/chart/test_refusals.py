"""Values that mean nothing are refused before anything is installed, and the message says which."""

from typing import Any

import pytest

from tests.e2e.chart.chart import Helm, HelmFailed

REFUSED = [
    ({"replica": 2}, "replica"),
    ({"replicas": -1}, "replicas"),
    ({"replicas": 1.5}, "replicas"),
    ({"replicas": "2"}, "replicas"),
    ({"logLevel": "verbose"}, "logLevel"),
    ({"logLevel": "INFO"}, "logLevel"),
    ({"watchNamespaces": "bank"}, "watchNamespaces"),
    ({"watchNamespaces": ["Bank"]}, "watchNamespaces"),
    ({"watchNamespaces": [""]}, "watchNamespaces"),
    ({"watchNamespaces": ["*"]}, "watchNamespaces"),
    ({"image": {"repo": "x"}}, "repo"),
    ({"image": {"repository": ""}}, "repository"),
    ({"image": {"repository": "x y"}}, "repository"),
    ({"image": {"tag": 1.2}}, "tag"),
    ({"image": {"digest": "latest"}}, "digest"),
    ({"workerImage": {"pullPolicy": "Sometimes"}}, "pullPolicy"),
    ({"workerImage": {"pullSecrets": [{"name": "x"}]}}, "pullSecrets"),
    ({"crds": {"keep": "yes"}}, "keep"),
    ({"crds": {"upgrade": True}}, "upgrade"),
    ({"rbac": {"clusterWide": True}}, "clusterWide"),
    ({"serviceAccount": {"name": "Not A Name"}}, "name"),
    ({"fullnameOverride": "x" * 51}, "fullnameOverride"),
    ({"nameOverride": "Capital"}, "nameOverride"),
    ({"commonLabels": {"a": 1}}, "commonLabels"),
    ({"resources": {"limits": {"memory": "lots"}}}, "memory"),
    ({"resources": {"limit": {}}}, "limit"),
    ({"tolerations": [{"effect": "Never"}]}, "effect"),
    ({"affinity": {"nodeAfinity": {}}}, "nodeAfinity"),
    ({"topologySpreadConstraints": [{"maxSkew": 1}]}, "topologyKey"),
    ({"networkPolicy": {"apiServerPorts": []}}, "apiServerPorts"),
    ({"networkPolicy": {"apiServerPorts": ["https"]}}, "apiServerPorts"),
    ({"networkPolicy": {"apiServerCIDRs": ["192.0.2.1"]}}, "apiServerCIDRs"),
    ({"networkPolicy": {"metricsFrom": [{}]}}, "metricsFrom"),
    ({"podMonitor": {"interval": 30}}, "interval"),
    ({"prometheusRule": {"notReadyFor": "a while"}}, "notReadyFor"),
    ({"test": {"deadlineSeconds": 1}}, "deadlineSeconds"),
]


@pytest.mark.parametrize(("values", "name"), REFUSED, ids=[str(values) for values, _ in REFUSED])
def test_it_is_refused_by_name(helm: Helm, values: dict[str, Any], name: str) -> None:
    with pytest.raises(HelmFailed, match=name) as failed:
        helm.template(values)
    assert "values don't meet the specifications of the schema" in failed.value.said


def test_an_older_kubernetes_is_refused(helm: Helm) -> None:
    with pytest.raises(HelmFailed, match=r"requires kubeVersion: >=1\.29\.0-0"):
        helm.template(None, "--kube-version", "1.28.9")
