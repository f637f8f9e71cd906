"""What the operator may do is a short list of verbs, the README shows it, and no more is granted anywhere."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.chart.chart import CHART, Helm, Object, one

ROW = re.compile(r"^\| (?!resource)(\S+)[^|]* \| ([a-z, ]+) \| [^|]+ \|$", re.MULTILINE)

DOCS_ROW = re.compile(r"^\| (?!resource)(\S+)[^|]* \| ([a-z, ]+) \|$", re.MULTILINE)

PAGE = CHART.parents[1] / "docs" / "platform" / "rights.md"

WATCHED = {"watchNamespaces": ["bank", "clinic"]}

Rights = dict[str, list[list[str]]]


def rules(objects: list[Object]) -> Iterator[dict[str, Any]]:
    for item in objects:
        if item["kind"] in ("Role", "ClusterRole"):
            yield from item["rules"]


def rights(*roles: Object) -> Rights:
    """Verbs by resource, as they are written in the README."""
    found: Rights = {}
    for rule in rules(list(roles)):
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                plural, _, sub = resource.partition("/")
                name = ".".join(filter(None, (plural, group))) + (f"/{sub}" if sub else "")
                found.setdefault(name, []).append(rule["verbs"])
    return found


def operators_roles(objects: list[Object]) -> list[Object]:
    return [
        item
        for item in objects
        if item["kind"] in ("Role", "ClusterRole") and item["metadata"]["name"] not in ("triveni-edit", "triveni-view")
    ]


def test_the_readme_lists_exactly_the_rights_that_are_granted(helm: Helm) -> None:
    written: Rights = {}
    text = (CHART / "README.md").read_text().partition("## Values")[0]
    for resource, verbs in ROW.findall(text):
        written.setdefault(resource, []).append(verbs.split(", "))
    assert written == rights(*operators_roles(helm.objects()))


def test_so_does_the_page_on_rights(helm: Helm) -> None:
    written: Rights = {}
    text = PAGE.read_text().partition("\n## Of the operator")[2].partition("\n## ")[0]
    for resource, verbs in DOCS_ROW.findall(text):
        written.setdefault(resource, []).append(verbs.split(", "))
    assert written == rights(*operators_roles(helm.objects()))


@pytest.mark.parametrize("values", [{}, WATCHED], ids=["all namespaces", "two namespaces"])
def test_nothing_is_granted_with_a_star(helm: Helm, values: dict[str, Any]) -> None:
    for rule in rules(helm.objects(values)):
        assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]


def test_in_named_namespaces_the_same_is_granted_and_nothing_elsewhere_but_to_look_at_nodes(helm: Helm) -> None:
    everywhere, named = helm.objects(), helm.objects(WATCHED)
    whole = one(everywhere, "ClusterRole", "triveni-operator")
    for namespace in ("bank", "clinic"):
        assert one(named, "Role", "triveni-operator", namespace)["rules"] == whole["rules"]
        binding = one(named, "RoleBinding", "triveni-operator", namespace)
        assert binding["roleRef"]["name"] == "triveni-operator"
        assert binding["subjects"][0]["namespace"] == "triveni-system"
    cluster = [role for role in operators_roles(named) if role["kind"] == "ClusterRole"]
    assert rights(*cluster) == {"nodes": [["get"]]}


def test_the_lease_can_be_changed_by_its_name_only_and_it_is_the_one_that_the_operator_is_told(helm: Helm) -> None:
    objects = helm.objects()
    create, change = one(objects, "Role", "triveni-lease", "triveni-system")["rules"]
    assert create["verbs"] == ["create"]
    (name,) = change["resourceNames"]
    (container,) = one(objects, "Deployment", "triveni-operator")["spec"]["template"]["spec"]["containers"]
    assert {f"--lease-name={name}", "--lease-namespace=triveni-system"} <= set(container["args"])


def test_people_get_secure_models_and_no_secrets(helm: Helm) -> None:
    objects = helm.objects()
    people = rights(one(objects, "ClusterRole", "triveni-edit"), one(objects, "ClusterRole", "triveni-view"))
    assert people.keys() == {"securemodels.triveni.dev", "securemodels.triveni.dev/status"}
    assert people["securemodels.triveni.dev/status"] == [["get", "list", "watch"]]


def test_nobody_but_the_operator_is_given_a_token(helm: Helm) -> None:
    objects = helm.objects()
    for account in (item for item in objects if item["kind"] == "ServiceAccount"):
        assert account["automountServiceAccountToken"] is False
    pod = one(objects, "Pod", "triveni-test")
    assert pod["spec"]["automountServiceAccountToken"] is False
