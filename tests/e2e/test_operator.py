"""The operator itself: killed, replaced, upgraded, gone; with many SecureModels, and with people who meddle."""

from __future__ import annotations

import base64
import io
import json
import logging
import os
import random
import time
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import h5py
import numpy as np
import pytest

from tests.e2e.cluster.cluster import Cluster
from tests.e2e.local_operator import LocalOperators
from tests.e2e.namespaces import fresh_namespaces
from tests.e2e.operator import NAMESPACE, Operator, must_not_have_stumbled
from tests.e2e.securemodels import DIGITS, Models, mnist, plain_answers
from tests.e2e.sightings import sightings
from tests.e2e.steady_client import steady_client
from tests.e2e.tools import Kubectl
from tests.e2e.waiting import eventually, throughout

log = logging.getLogger(__name__)

SEED = "TRIVENI_E2E_SEED"
"""A number in the environment from which the moments of the kills are drawn; without it, others each time."""

TAKE_OVER_S = 30
"""Seconds after the leader's sudden death: its Lease holds for 15, and the other looks at it now and then."""

HAND_OVER_S = 12
"""Seconds after the leader was told to end: it gives the Lease back, which would hold longer than that."""

MANY = 50

NOWHERE = {"nodeSelector": {"example.com/moon": "far-side"}}
"""Workers that no node takes: they cost nothing but what the operator does for them."""


def of_epoch(name: str, number: int = 1) -> set[str]:
    """What the operator makes for one epoch of a SecureModel whose workers do not run yet."""
    return {f"{kind}/{name}-e{number}-worker-{party}" for kind in ("Pod", "Secret") for party in range(3)}


def lasting(name: str) -> set[str]:
    """What it makes for all epochs, and makes anew when it is deleted."""
    services = {f"Service/{name}-worker-{party}" for party in range(3)}
    policies = {f"NetworkPolicy/{name}-workers", f"NetworkPolicy/{name}-sharing"}
    return services | policies | {f"PodDisruptionBudget/{name}-workers", f"Secret/{name}-client"}


@pytest.fixture
def chance() -> random.Random:
    """For moments that nobody chose; a failed test shows how to have the same ones again."""
    seed = int(os.environ.get(SEED) or random.randrange(2**32))
    log.info("%s=%d", SEED, seed)
    return random.Random(seed)


def test_operators_that_are_killed_while_they_bring_up_and_tear_down_make_one_set_of_objects(
    operator: Operator, models: Models, chance: random.Random
) -> None:
    names = [f"model-{number}" for number in range(10)]
    whole = {name: of_epoch(name) | lasting(name) | {f"Secret/{name}-ca"} for name in names}
    mortals = LocalOperators(models.kubectl, chance)
    kinds = ("pods", "jobs", "secrets", "services", "networkpolicies", "poddisruptionbudgets")
    with operator.away(), sightings(models.kubectl, *kinds) as seen:
        models.apply(mnist(names[0], workers=NOWHERE))
        with mortals.live():
            began = time.monotonic()
            eventually(lambda: models.objects() == whole[names[0]], 60, "all objects of the first are there")
            longest = time.monotonic() - began

        for name in names[1:]:
            models.apply(mnist(name, workers=NOWHERE)[:1])
            mortals.live_briefly(longest)
        assert any(left % len(whole[name]) for left in mortals.left), "no kill has hit a bring-up; were they too late?"
        with mortals.live():
            eventually(lambda: models.objects() == set().union(*whole.values()), 60, "all objects of all are there")

        for name in names:
            models.patch(name, suspend=True)
            mortals.live_briefly(2 * longest)  # it looks at all of them first
        with mortals.live():
            left = set().union(*(whole[name] - of_epoch(name) for name in names))
            eventually(lambda: models.objects() == left, 120, "nothing of the epochs is left")
        charges = [models.status(name)["charges"] for name in names]
        uids = seen.uids()

        for name in names[:4]:
            models.patch(name, suspend=False)
            with mortals.live() as mortal:
                mortal.live(chance.uniform(0, longest))
                models.kubectl("delete", "securemodel", name, "--wait=false")
                mortal.live(chance.uniform(0, 0.2))
        models.kubectl("delete", "securemodels", "--all")
        with mortals.live():
            models.until_gone()
            throughout(lambda: not models.objects(), 3, "nothing comes back")

    must_not_have_stumbled(mortals.log)
    assert mortals.killed >= 20
    assert [[(c["epoch"], c["rows"], c["ended"]) for c in each] for each in charges] == [[(1, 0, "Suspended")]] * 10
    made = {name: len(uids[name]) for name in set().union(*whole.values())}
    assert made == dict.fromkeys(made, 1), "each was made once"


def test_operators_that_are_killed_while_a_securemodel_serves_charge_it_once(
    operator: Operator, models: Models, chance: random.Random
) -> None:
    mortals = LocalOperators(models.kubectl, chance)
    with operator.away(), sightings(models.kubectl, "pods", "jobs") as seen:
        models.apply(mnist(requestQuota=3))
        for _ in range(3):
            mortals.live_briefly(1.5)
        with mortals.live():
            models.until_ready()
        mortals.live_briefly(1.0)
        models.predict(images=DIGITS[:1])
        mortals.live_briefly(1.0)
        models.predict(images=DIGITS[:2])
        eventually(lambda: [pod["status"]["phase"] for pod in models.pods()] == ["Succeeded"] * 3, 60, "workers end")
        for _ in range(4):  # between them they read what the workers said, charge it, and delete everything
            mortals.live_briefly(1.2)
        with mortals.live():
            models.until("QuotaReached")
            models.until_gone()
        status, uids = models.status(), seen.uids()

    must_not_have_stumbled(mortals.log)
    assert status["quota"] == {"charged": 3, "remaining": 0}
    assert (status["served"], status["epoch"]["number"]) == (3, 1)
    assert [(charge["epoch"], charge["rows"]) for charge in status["charges"]] == [(1, 3)]
    assert [(receipt["epoch"], receipt["party"]) for receipt in status["receipts"]] == [(1, 0), (1, 1), (1, 2)]
    made = {name: len(those) for name, those in uids.items()}
    assert len(made) == 5, "three workers, the sharing job, its pod"
    assert made == dict.fromkeys(made, 1), "each was made once"


def test_one_replica_acts_and_when_it_is_killed_the_other_takes_over(
    cluster: Cluster, operator: Operator, models: Models
) -> None:
    dying = operator.until_led()
    (waiting,) = set(operator.pods()) - {dying}
    assert [operator.metrics(pod)["triveni_leader"] for pod in (dying, waiting)] == [1, 0]

    # The process itself: a pod that is deleted by force is asked to end as well, and gives its Lease back.
    pod = operator.kubectl.get("pod", dying)
    container = pod["status"]["containerStatuses"][0]["containerID"].removeprefix("containerd://")
    kill = ("ctr", "--namespace=k8s.io", "tasks", "kill", "--signal=SIGKILL", container)
    assert cluster.exec_node(pod["spec"]["nodeName"], *kill) == 0
    models.apply(mnist())
    eventually(lambda: operator.leader() == waiting, TAKE_OVER_S, "the other replica leads")
    models.until_ready()
    eventually(lambda: operator.metrics(dying)["triveni_leader"] == 0, 30, "the one that was killed is back and waits")


def test_when_the_leader_is_told_to_end_the_other_replica_takes_over_at_once(
    operator: Operator, models: Models
) -> None:
    ending = operator.until_led()
    with operator.heard_out():
        operator.kubectl("delete", "pod", ending, "--wait=false")
        eventually(operator.leader, HAND_OVER_S, "another replica leads")
        models.apply(mnist())
        models.until("Accepted", seconds=30)
    operator.scale(2)


def test_without_an_operator_clients_are_served_and_a_deleted_securemodel_leaves_nothing(
    operator: Operator, models: Models
) -> None:
    models.apply(mnist(requestQuota=9))
    models.until_ready()
    operator.must_not_have_stumbled()  # later helm takes away its rights, while its pods still end
    operator.uninstall()
    try:
        answers = models.predict(images=DIGITS[:2])
        assert np.abs(np.array(answers) - plain_answers(DIGITS[:2])).max() < 1e-3
        models.kubectl("delete", "securemodel", "mnist")
        models.until_gone()
    finally:
        operator.install()


def test_while_the_operator_is_upgraded_not_one_request_fails(operator: Operator, models: Models) -> None:
    models.apply(mnist(requestQuota=100_000))
    models.until_ready()
    before = set(operator.pods())
    with steady_client(models.kubectl, "mnist", DIGITS[0]) as client:
        eventually(lambda: len(client.got) >= 5, 60, "the client is served")
        with operator.heard_out():
            operator.install("podAnnotations.rolled=again")
            eventually(lambda: operator.leader() in set(operator.pods()) - before, 60, "a new replica leads")
        many = len(client.got)
        eventually(lambda: len(client.got) >= many + 5, 60, "the client is served on")
        client.stop()
        answers = client.got
    assert np.abs(np.array(answers) - plain_answers(DIGITS[:1])).max() < 1e-3
    assert models.status()["epoch"]["number"] == 1
    eventually(lambda: models.status()["served"] == len(answers), 30, "every request is counted, once")


def test_fifty_securemodels_at_once_all_get_their_objects_and_cost_little(operator: Operator, models: Models) -> None:
    names = [f"model-{number:02}" for number in range(MANY)]
    models.apply([mnist(name, workers=NOWHERE)[0] for name in names])
    want = {"Pod": 3, "Service": 3, "Secret": 5, "NetworkPolicy": 2, "PodDisruptionBudget": 1}

    def all_there() -> bool:
        kinds = Counter(name.partition("/")[0] for name in models.objects())
        assert kinds == {kind: MANY * count for kind, count in want.items()}, kinds
        return True

    eventually(all_there, 180, "every SecureModel has its objects")
    for name in names:
        models.until("WorkersReady", "False", "Unschedulable", name=name)

    leader = operator.until_led()
    eventually(lambda: operator.metrics(leader)["triveni_reconcile_queue_length"] == 0, 60, "nothing waits")
    start, began = operator.metrics(leader), time.monotonic()
    throughout(lambda: operator.leader() == leader, 20, "the same replica leads")
    end, seconds = operator.metrics(leader), time.monotonic() - began
    cores = (end["process_cpu_seconds_total"] - start["process_cpu_seconds_total"]) / seconds
    megabytes = end["process_resident_memory_bytes"] / 1e6
    log.info("at rest with %d SecureModels: %.0f MB, %.3f cores over %.0f s", MANY, megabytes, cores, seconds)
    assert (megabytes < 300, cores < 0.1) == (True, True)

    models.kubectl("delete", "securemodels", "--all")
    models.until_gone(seconds=300)


def test_its_service_account_has_no_right_to_all_of_anything(operator: Operator) -> None:
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": NAMESPACE},
    }
    account = f"--as=system:serviceaccount:{NAMESPACE}:triveni-operator"
    said = operator.kubectl(
        "create", "--filename=-", "--output=json", "--validate=false", account, text=json.dumps(review)
    )
    rules = json.loads(said)["status"]["resourceRules"]
    assert any("securemodels/status" in rule["resources"] for rule in rules), rules
    broad = [rule for rule in rules if "*" in "".join([*rule["verbs"], *rule["apiGroups"], *rule["resources"]])]
    assert broad == []


def test_two_securemodels_of_one_name_in_two_namespaces_do_not_disturb_each_other(
    operator: Operator, models: Models, others: Models
) -> None:
    models.apply(mnist(requestQuota=2))
    others.apply(lifted(mnist(requestQuota=9), by=1.0))
    models.until_ready()
    others.until_ready()
    plain = plain_answers(DIGITS[:3])

    assert np.abs(np.array(others.predict(images=DIGITS[:1])) - (plain[:1] + 1)).max() < 1e-3
    assert np.abs(np.array(models.predict(images=DIGITS[:2])) - plain[:2]).max() < 1e-3
    models.until("QuotaReached")
    models.until_gone()
    assert np.abs(np.array(others.predict(images=DIGITS[:3])) - (plain + 1)).max() < 1e-3

    assert models.status()["quota"] == {"charged": 2, "remaining": 0}
    eventually(lambda: others.status()["served"] == 4, 30, "what the other has answered is counted")
    status = others.status()
    assert (status["epoch"]["number"], status["quota"]) == (1, {"charged": 0, "remaining": 9})


def test_what_is_deleted_or_edited_by_hand_is_put_right_while_it_serves(models: Models) -> None:
    models.apply(mnist(requestQuota=9))
    models.until_ready()
    models.predict(images=DIGITS[:1])
    theirs = sorted(lasting("mnist"))
    before = {name: models.kubectl.get(name.lower()) for name in theirs}

    models.kubectl("delete", *map(str.lower, theirs))
    eventually(lambda: all_anew(models, before), 60, "all of it is back, and says the same")

    open_to_all: dict[str, Any] = {"spec": {"ingress": [{}], "egress": [{}]}}
    models.kubectl("patch", "networkpolicy", "mnist-workers", "--type=merge", f"--patch={json.dumps(open_to_all)}")
    closed = before["NetworkPolicy/mnist-workers"]["spec"]
    eventually(lambda: models.kubectl.get("networkpolicy", "mnist-workers")["spec"] == closed, 30, "it is closed again")

    models.predict(images=DIGITS[:2])
    assert models.condition("Ready")["status"] == "True"
    eventually(lambda: models.status()["served"] == 3, 30, "every request is counted")


def all_anew(models: Models, before: Mapping[str, Any]) -> bool:
    """Whether there are other objects in the place of these, and clients are told where the new Services are."""
    now = {name: models.kubectl.get(name.lower()) for name in before}
    old = [name for name, found in now.items() if found["metadata"]["uid"] == before[name]["metadata"]["uid"]]
    connection = json.loads(base64.b64decode(now["Secret/mnist-client"]["data"]["connection.json"]))
    addresses = [now[f"Service/mnist-worker-{party}"]["spec"]["clusterIP"] for party in range(3)]
    assert (old, connection["workers"]) == ([], [f"https://{address}:8443" for address in addresses])
    return True


@pytest.fixture
def others(operator: Operator, kubectl: Kubectl) -> Iterator[Models]:
    """The SecureModels of another fresh namespace."""
    with fresh_namespaces(kubectl, 1) as (elsewhere,):
        yield Models(elsewhere)


def lifted(documents: list[dict[str, Any]], by: float) -> list[dict[str, Any]]:
    """The same with another network, all answers of which are higher."""
    model, data = documents
    file = io.BytesIO(base64.b64decode(data["binaryData"]["model.keras"]))
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    weights = io.BytesIO(members["model.weights.h5"])
    with h5py.File(weights, "r+") as opened:
        opened["layers/dense/vars/1"][...] += by
    changed = io.BytesIO()
    with zipfile.ZipFile(changed, "w") as archive:
        for name, content in (members | {"model.weights.h5": weights.getvalue()}).items():
            archive.writestr(name, content)
    data["binaryData"]["model.keras"] = base64.b64encode(changed.getvalue()).decode()
    del model["spec"]["model"]["digest"]
    return [model, data]
