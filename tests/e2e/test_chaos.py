"""Workers, sharing jobs and operators are killed while several clients ask: the quota holds, and nobody waits for ever.

tests/chaos does the same on one machine, many more times.
"""

from __future__ import annotations

import logging
import os
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np

from tests.e2e.beside import Beside
from tests.e2e.chaos_client import answers, chaos_client
from tests.e2e.cluster.cluster import Cluster
from tests.e2e.local_operator import LocalOperators
from tests.e2e.operator import Operator, must_not_have_stumbled
from tests.e2e.securemodels import DIGITS, Models, mnist, plain_answers
from tests.e2e.waiting import eventually

log = logging.getLogger(__name__)

SEED = "TRIVENI_E2E_SEED"
"""A number in the environment from which victims and moments are drawn; without it, others each time."""

CLIENTS = 3

PLENTY = 10_000
"""A quota that is not reached before everybody was killed."""

LEFT = 5
"""What is left of it in the end."""

MARGIN_S = 10.0
"""After its deadline a request is over within that, by way of a busy API server."""

STRIKES: Sequence[tuple[str, int]] = (("worker", 1), ("worker", 2), ("sharing", 1))
"""Which containers are killed, and how many at once. Never all three workers: that costs the whole quota."""


def test_whatever_is_killed_the_quota_is_charged_as_the_rules_say_and_clients_get_their_own_answers(
    cluster: Cluster, operator: Operator, models: Models
) -> None:
    seed = int(os.environ.get(SEED) or random.randrange(2**32))
    log.info("%s=%d", SEED, seed)
    chance = random.Random(seed)
    mortals = LocalOperators(models.kubectl, chance)
    with operator.away(), ExitStack() as stack:
        models.apply(mnist(requestQuota=PLENTY))
        with mortals.live():
            models.until_ready()
        clients = [stack.enter_context(chaos_client(models.kubectl, "mnist", image)) for image in DIGITS[:CLIENTS]]

        killed: Counter[str] = Counter()
        for component, at_once in chance.sample(STRIKES, len(STRIKES)):
            with mortals.live() as mortal:
                models.until_ready()
                more_answers(clients)
                if component == "sharing":  # it runs only when another epoch begins
                    killed["worker"] += kill(cluster, models, "worker", 1, chance)
                    eventually(lambda: running(models, "sharing"), 60, "a sharing job runs")
                else:
                    mortal.live(chance.uniform(0, 1))
                killed[component] += kill(cluster, models, component, at_once, chance)
                mortal.live(chance.uniform(0, 8))  # and dies somewhere between this epoch and the next
        with mortals.live():
            models.until_ready()
            more_answers(clients)
            models.patch(suspend=True)
            models.until("Ready", "False", "Suspended")
            eventually(lambda: models.status()["epoch"]["phase"] == "Ended", 60, "the epoch is charged")
            before = models.status()["quota"]["charged"]
            models.patch(suspend=False, requestQuota=before + LEFT)
            models.until("QuotaReached")
            models.until_gone()
        status = models.status()
        for client in clients:
            client.stop()
        got = [client.got for client in clients]

    must_not_have_stumbled(mortals.log)
    log.info("killed: %s, and %d operators", dict(killed), mortals.killed)
    assert killed["worker"] >= 3
    check_clients(got)
    check_charges(status, [one for each in got for one in each])
    assert status["quota"] == {"charged": before + LEFT, "remaining": 0}


def more_answers(clients: Sequence[Beside]) -> None:
    """Wait until each client has got another answer."""
    before = [len(answers(client)) for client in clients]

    def all_have() -> bool:
        return all(len(answers(client)) > had for client, had in zip(clients, before, strict=True))

    eventually(all_have, 60, "every client is answered")


def running(models: Models, component: str) -> list[Mapping[str, Any]]:
    """The pods of a component whose container runs."""

    def runs(pod: Mapping[str, Any]) -> bool:
        containers = pod["status"].get("containerStatuses") or [{"state": {}}]
        return "running" in containers[0]["state"]

    return [pod for pod in models.pods(component) if runs(pod)]


def kill(cluster: Cluster, models: Models, component: str, at_once: int, chance: random.Random) -> int:
    """SIGKILL to the processes of some containers, one right after the other; how many there were."""
    pods = running(models, component)
    killed = 0
    for pod in chance.sample(pods, min(at_once, len(pods))):
        container = pod["status"]["containerStatuses"][0]["containerID"].removeprefix("containerd://")
        command = ("ctr", "--namespace=k8s.io", "tasks", "kill", "--signal=SIGKILL", container)
        killed += cluster.exec_node(pod["spec"]["nodeName"], *command) == 0  # it may have ended meanwhile
        log.info("killed %s", pod["metadata"]["name"])
    return killed


def check_clients(got: Sequence[Sequence[Mapping[str, Any]]]) -> None:
    """Each has right answers, to its own question, and nothing took longer than it may."""
    plain = plain_answers(DIGITS[:CLIENTS])
    told = Counter(one["told"] for each in got for one in each if "told" in one)
    log.info("answers: %s, told: %s", [sum("answer" in one for one in each) for each in got], dict(told))
    for number, each in enumerate(got):
        answers = [one["answer"] for one in each if "answer" in one]
        assert np.abs(np.array(answers) - plain[number]).max() < 1e-3, f"client {number}"
        assert max(one["late_s"] for one in each) < MARGIN_S, f"client {number}"


def check_charges(status: Mapping[str, Any], got: Sequence[Mapping[str, Any]]) -> None:
    """The ledger follows from the reports that stand in it, and has every answer, once."""
    for charge in status["charges"]:
        said = [worker["answered"] for worker in charge["workers"] if worker.get("answered") is not None]
        assert said or charge["rows"] in (0, charge["granted"]), charge
        assert not said or charge["rows"] == max(said), charge
    charged = sum(charge["rows"] for charge in status["charges"])
    assert charged == status["quota"]["charged"]
    answers = sum("answer" in one for one in got)
    # What was not answered may have been charged where it failed, and in each epoch whose end it has lived through.
    unanswered = len(got) - answers + CLIENTS * len(status["charges"])
    assert answers <= charged <= answers + unanswered
    assert [charge["epoch"] for charge in status["charges"]] == list(range(1, status["epoch"]["number"] + 1))
