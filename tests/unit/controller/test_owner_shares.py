"""A model that its owner shares, from outside the cluster: no sharing job, and credentials that come when asked for."""

from __future__ import annotations

import pytest

from tests.unit.controller.world import OWNERS, World
from triveni.api.status import Condition, ConditionType, Phase


@pytest.fixture
def world() -> World:
    """The three workers of epoch 1 run, and nobody has come yet."""
    world = World(model=OWNERS)
    world.reconcile()
    world.run_pods()
    world.reconcile()
    return world


def phase(world: World) -> tuple[int, Phase]:
    assert world.status.epoch is not None
    return world.status.epoch.number, world.status.epoch.phase


def shared(world: World) -> Condition:
    condition = world.status.condition(ConditionType.SHARED)
    assert condition is not None
    return condition


def owners_epoch(world: World) -> str | None:
    """The epoch that the owner's Secret is for."""
    secret = world.cluster.objects.get(("Secret", "mnist-owner"))
    return secret["metadata"]["labels"]["triveni.dev/epoch"] if secret else None


def test_running_workers_wait_for_the_owner_and_nobody_has_the_credentials_to_share(world: World) -> None:
    assert phase(world) == (1, Phase.STARTED)
    assert world.reason("Shared") == world.reason("Ready") == ("False", "WaitingForOwner")
    assert shared(world).message == (
        "epoch 1 waits for the owner to share the model: run model.share(...) in the notebook, within 60 minutes"
    )
    assert owners_epoch(world) is None
    assert world.cluster.of("Job") == []
    assert "NetworkPolicy/mnist-sharing" not in world.cluster.names()
    told = [event for event in world.cluster.events if event["reason"] == "WaitingForOwner"]
    assert [event["type"] for event in told] == ["Normal"]


def test_before_the_workers_run_the_owner_is_asked_for_nothing() -> None:
    world = World(model=OWNERS)
    world.reconcile()
    world.ask_to_share()
    world.reconcile()
    assert world.reason("Shared") == ("False", "WaitingForWorkers")
    assert owners_epoch(world) is None
    world.run_pods()
    world.reconcile()
    assert owners_epoch(world) == "1", "what the owner said before is remembered"


def test_the_credentials_come_once_the_owner_is_about_to_share_and_then_it_serves(world: World) -> None:
    world.ask_to_share()
    world.reconcile()
    assert phase(world) == (1, Phase.SHARING)
    assert owners_epoch(world) == "1"
    assert world.reason("Shared") == ("False", "Sharing")
    world.hand_over()
    world.run_pods()
    world.reconcile()
    assert phase(world) == (1, Phase.SERVING)
    assert world.reason("Ready") == ("True", "Serving")
    assert world.cluster.of("Job") == []


def test_in_the_next_epoch_the_owner_has_to_share_again_and_what_was_said_of_the_last_one_does_not_count(
    world: World,
) -> None:
    world.bring_up()
    world.serve(4)
    world.kill_worker(1)
    world.reconcile()
    world.run_pods()
    world.reconcile()
    assert phase(world) == (2, Phase.STARTED)
    assert "share the model again, since" in shared(world).message
    assert owners_epoch(world) is None
    world.bring_up()
    assert phase(world) == (2, Phase.SERVING)
    assert owners_epoch(world) == "2"


def test_workers_that_vanish_while_they_wait_for_the_owner_cost_nothing(world: World) -> None:
    for pod in world.pods():
        world.cluster.remove(pod)
    world.reconcile()
    world.wait(6)
    world.reconcile()
    assert world.status.charges[-1].rows == 0
    world.wait(2)
    world.reconcile()
    assert phase(world) == (2, Phase.STARTED)


def test_but_the_whole_grant_if_the_owner_may_have_shared(world: World) -> None:
    world.ask_to_share()
    world.reconcile()
    for pod in world.pods():
        world.cluster.remove(pod)
    world.reconcile()
    world.wait(6)
    world.reconcile()
    assert world.status.charges[-1].rows == 10


def test_an_owner_who_does_not_come_costs_an_epoch_without_an_answer(world: World) -> None:
    world.end_workers(reason="ShareTimeout")
    world.reconcile()
    failures = world.status.failures
    assert failures is not None
    assert (failures.count, failures.unserved, failures.blocked_generation) == (1, 1, None)
    assert world.status.charges[-1].rows == 0
    world.wait(2)
    world.reconcile()
    assert phase(world) == (2, Phase.STARTED)


def test_the_owners_secret_of_an_epoch_before_is_replaced(world: World) -> None:
    world.ask_to_share()
    world.reconcile()
    old = world.cluster.objects["Secret", "mnist-owner"]
    world.kill_worker(1)
    world.reconcile()
    world.wait(2)
    world.reconcile()
    world.run_pods()
    world.cluster.put(old | {"metadata": old["metadata"] | {"uid": "left-behind"}})
    world.ask_to_share()
    world.reconcile()
    assert owners_epoch(world) == "2"


def test_the_credentials_are_not_made_again_once_the_workers_hold_their_shares(world: World) -> None:
    world.bring_up()
    world.cluster.remove(world.cluster.objects["Secret", "mnist-owner"])
    world.reconcile()
    assert owners_epoch(world) is None
    assert world.reason("Ready") == ("True", "Serving")


def test_an_annotation_on_another_model_starts_nothing() -> None:
    world = World()
    world.cluster.model()["metadata"]["annotations"] = {"triveni.dev/share": "1"}
    world.reconcile()
    assert phase(world) == (1, Phase.STARTED)
    assert not [name for name in world.cluster.names() if name.endswith(("-owner", "-sharing")) and "Secret" in name]
