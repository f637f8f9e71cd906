"""One SecureModel through its life, with a kubelet, workers and clients that are played."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta

import pytest

from tests.unit.controller.world import KEY, SPEC, World
from triveni.api.status import Phase
from triveni.controller.cluster import Object, Refused
from triveni.controller.decide.failing import MAX_UNSERVED
from triveni.controller.metrics import Metrics
from triveni.controller.objects import Settings
from triveni.controller.reconciler import Reconciler

FILE = {"source": {"file": {"path": "mnist.keras"}}}
"""What is of use on one machine only."""

KEPT = {
    "Secret/mnist-ca",
    "Secret/mnist-client",
    "Service/mnist-worker-0",
    "Service/mnist-worker-1",
    "Service/mnist-worker-2",
    "NetworkPolicy/mnist-workers",
    "NetworkPolicy/mnist-sharing",
    "PodDisruptionBudget/mnist-workers",
}


def epoch_objects(epoch: int) -> set[str]:
    return {f"{kind}/mnist-e{epoch}-worker-{p}" for kind in ("Pod", "Secret") for p in range(3)}


def sharing_objects(epoch: int) -> set[str]:
    return {f"Secret/mnist-e{epoch}-sharing", f"Job/mnist-e{epoch}-sharing"}


def repairs(world: World) -> list[str]:
    return [event["message"] for event in world.cluster.events if event["reason"] == "Repaired"]


def serving(**spec: object) -> World:
    world = World(**spec)
    world.bring_up()
    return world


def test_all_objects_but_those_that_share_the_model_are_there_before_any_pod_has_a_node() -> None:
    world = World()
    world.reconcile()
    assert world.cluster.names() == KEPT | epoch_objects(1)
    assert world.status.epoch is not None
    assert world.status.epoch.phase is Phase.STARTED
    assert world.status.epoch.grant == 10
    assert {c.type: c.status for c in world.status.conditions} == {
        "Accepted": "True",
        "WorkersReady": "False",
        "Shared": "False",
        "Ready": "False",
        "QuotaReached": "False",
        "PartiesIndependent": "Unknown",
    }


def test_no_pod_of_an_epoch_is_made_before_its_grant_is_written_down(monkeypatch: pytest.MonkeyPatch) -> None:
    world, granted = World(), []
    create = world.cluster.create

    async def watched(document: Object) -> Object:
        if document["kind"] == "Pod":
            epoch = world.status.epoch
            number = int(document["metadata"]["labels"]["triveni.dev/epoch"])
            granted.append((number, epoch and epoch.number, epoch and epoch.grant))
        return await create(document)

    monkeypatch.setattr(world.cluster, "create", watched)
    world.bring_up()
    world.serve(4)
    world.kill_worker(1)
    world.reconcile()
    world.wait(13)
    world.bring_up()
    assert granted == [(1, 1, 10)] * 3 + [(2, 2, 6)] * 3


def test_a_model_without_a_range_of_inputs_is_shared_and_said_to_be_unchecked() -> None:
    unchecked = "spec.model.inputRange is not given, so it is not known whether all values fit"
    assert serving().status.conditions[2].message.endswith(f"its share of the model; {unchecked}")
    declared = serving(model={**SPEC["model"], "inputRange": {"min": 0, "max": 1}})
    assert declared.status.conditions[2].message.endswith("its share of the model")


def test_the_model_is_shared_once_the_workers_run_and_then_it_serves() -> None:
    world = serving()
    assert world.cluster.names() >= KEPT | epoch_objects(1) | sharing_objects(1)
    assert world.reason("Shared") == ("True", "Shared")
    assert world.reason("Ready") == ("True", "Serving")
    assert world.reason("PartiesIndependent") == ("True", "Apart")


def test_at_the_quota_everything_goes_and_the_status_keeps_totals_and_receipts() -> None:
    world = serving()
    world.serve(10)
    world.reconcile()
    assert world.cluster.names() == set()
    assert world.reason("QuotaReached") == ("True", "QuotaReached")
    assert world.reason("Ready") == ("False", "QuotaReached")
    status = world.status
    assert (status.served, status.quota and status.quota.charged, status.quota and status.quota.remaining) == (
        10,
        10,
        0,
    )
    assert [receipt.party for receipt in status.receipts] == [0, 1, 2]
    assert status.charges[-1].ended == "QuotaReached"
    assert status.failures is None


def test_raising_the_quota_starts_a_new_epoch_with_the_rest() -> None:
    world = serving()
    world.serve(10)
    world.reconcile()
    world.cluster.change_spec(requestQuota=15)
    world.reconcile()
    assert world.status.epoch is not None
    assert (world.status.epoch.number, world.status.epoch.grant) == (2, 5)
    assert world.cluster.names() == KEPT | epoch_objects(2)


def test_lowering_the_quota_below_what_was_charged_ends_at_once() -> None:
    world = serving()
    world.serve(4)
    world.cluster.change_spec(requestQuota=3)
    world.reconcile()
    assert world.status.quota is not None
    assert (world.status.quota.charged, world.status.quota.remaining) == (4, 0)
    assert world.cluster.names() == set()


@pytest.mark.parametrize(("quota", "grant"), [(6, 2), (20, 16), (None, None)])
def test_a_changed_quota_replaces_the_epoch_by_one_that_is_granted_the_rest(
    quota: int | None, grant: int | None
) -> None:
    world = serving()
    world.serve(4)
    world.cluster.change_spec(requestQuota=quota)
    world.reconcile()
    assert world.status.epoch is not None
    assert (world.status.epoch.number, world.status.epoch.grant) == (2, grant)
    assert world.status.charges[-1].ended == "QuotaChanged"


def test_a_lost_worker_is_followed_by_a_new_epoch_with_what_remains() -> None:
    world = serving()
    world.serve(4)
    world.kill_worker(1)
    world.reconcile()
    assert world.status.epoch is not None
    assert (world.status.epoch.number, world.status.epoch.grant) == (2, 6)
    assert world.status.charges[-1].rows == 4
    assert world.status.charges[-1].workers[1].answered is None
    assert world.cluster.names() == KEPT | epoch_objects(2)


def test_with_recovery_never_a_lost_worker_is_the_end_until_the_spec_changes() -> None:
    world = serving(recovery="Never")
    world.kill_worker(1)
    world.reconcile()
    assert world.reason("Ready") == ("False", "RecoveryNever")
    assert world.cluster.of("Pod") == []
    world.cluster.change_spec(recovery="Reshare")
    world.reconcile()
    assert world.status.epoch is not None
    assert world.status.epoch.number == 2


def test_failing_epochs_back_off_and_the_operator_gives_up_in_the_end() -> None:
    world = World()
    pauses = []
    for _ in range(MAX_UNSERVED):
        world.reconcile()
        world.run_pods()
        world.reconcile()
        world.share(reason="WorkerUnreachable")
        world.reconcile()
        failures = world.status.failures
        assert failures is not None
        if failures.retry_at:
            pauses.append(failures.count)
            world.wait(301)
    assert pauses == list(range(1, MAX_UNSERVED))
    assert world.reason("Ready") == ("False", "GaveUp")
    assert "WorkerUnreachable" in world.status.conditions[2].message


def test_a_model_that_is_refused_for_good_is_not_tried_again_until_the_spec_changes() -> None:
    world = World()
    world.reconcile()
    world.run_pods()
    world.reconcile()
    world.share(reason="UnsupportedLayer", permanent=True)
    world.reconcile()
    world.wait(10_000)
    world.reconcile()
    assert world.reason("Shared") == ("False", "UnsupportedLayer")
    assert world.reason("Ready") == ("False", "UnsupportedLayer")
    assert world.status.epoch is not None
    assert world.status.epoch.number == 1
    assert world.status.charges[-1].rows == 0, "workers that ended when asked to have reported"
    world.cluster.change_spec(suspend=True)
    world.reconcile()
    world.cluster.change_spec(suspend=False)
    world.reconcile()
    assert world.status.epoch.number == 2


def test_a_model_file_that_is_not_there_yet_is_looked_for_again() -> None:
    world = World()
    world.reconcile()
    world.run_pods()
    world.reconcile()
    world.share(reason="SourceNotFound", permanent=True)
    world.reconcile()
    assert world.reason("Shared") == ("False", "SourceNotFound")
    world.wait(2)
    world.reconcile()
    assert world.status.epoch is not None
    assert world.status.epoch.number == 2


def test_suspending_charges_and_removes_the_epoch_and_resuming_starts_the_next() -> None:
    world = serving()
    world.serve(3)
    world.cluster.change_spec(suspend=True)
    world.reconcile()
    assert world.cluster.names() == KEPT
    assert world.reason("Ready") == ("False", "Suspended")
    assert world.status.quota is not None
    assert world.status.quota.charged == 3
    world.cluster.change_spec(suspend=False)
    world.reconcile()
    assert world.status.epoch is not None
    assert (world.status.epoch.number, world.status.epoch.grant) == (2, 7)


def test_another_model_is_another_epoch() -> None:
    world = serving()
    world.cluster.change_spec(model={"source": {"configMap": {"name": "other", "key": "k"}}})
    world.reconcile()
    assert world.status.epoch is not None
    assert world.status.epoch.number == 2
    assert world.status.charges[-1].ended == "SpecChanged"


@pytest.mark.parametrize("name", sorted(KEPT))
def test_what_somebody_deletes_is_made_again(name: str) -> None:
    world = serving()
    kind, _, object_name = name.partition("/")
    world.cluster.remove(world.cluster.objects[kind, object_name])
    world.reconcile()
    assert name in world.cluster.names()
    assert world.status.epoch is not None
    assert world.status.epoch.number == (2 if name == "Secret/mnist-ca" else 1), "a new authority needs a new epoch"
    if name != "Secret/mnist-ca":
        assert repairs(world) == [f"{kind} {object_name} was gone and is made again"]


def test_a_sharing_job_that_somebody_deletes_when_it_has_done_its_work_is_not_run_again() -> None:
    world = serving()
    world.cluster.remove(world.cluster.objects["Job", "mnist-e1-sharing"])
    world.reconcile()
    assert not world.cluster.of("Job")
    assert world.reason("Shared") == ("True", "Shared")
    assert world.reason("Ready") == ("True", "Serving")
    world.kill_worker(1)
    world.reconcile()
    assert world.status.failures is not None
    assert world.status.failures.unserved == 0, "it is remembered that the epoch served"


def test_before_certificates_expire_a_new_epoch_and_a_new_client_secret_come() -> None:
    world = serving()
    old = world.cluster.objects["Secret", "mnist-client"]["metadata"]["uid"]
    world.wait(244 * 86400)
    world.reconcile()
    assert world.status.epoch is not None
    assert world.status.epoch.number == 2
    assert world.status.charges[-1].ended == "CertificatesExpire"
    assert world.status.failures is None
    assert world.cluster.objects["Secret", "mnist-client"]["metadata"]["uid"] != old


def test_a_spec_that_cannot_be_carried_out_ends_the_epoch_that_serves_the_one_before() -> None:
    world = serving()
    world.serve(4)
    world.cluster.change_spec(model=FILE)
    world.reconcile()
    assert world.reason("Accepted") == ("False", "InvalidSpec")
    assert world.status.quota is not None
    assert world.status.quota.charged == 4
    assert not world.cluster.of("Pod")


def test_an_edited_policy_is_put_right() -> None:
    world = serving()
    policy = world.cluster.objects["NetworkPolicy", "mnist-workers"]
    wanted = policy["spec"]["ingress"]
    policy["spec"]["ingress"] = [*wanted, {}]
    world.reconcile()
    assert world.cluster.objects["NetworkPolicy", "mnist-workers"]["spec"]["ingress"] == wanted
    assert repairs(world) == ["NetworkPolicy mnist-workers was changed and is put right"]


def test_a_pod_whose_labels_were_edited_gets_them_back_and_is_not_made_anew() -> None:
    world = serving()
    pod = world.cluster.objects["Pod", "mnist-e1-worker-0"]
    pod["metadata"]["labels"]["app.kubernetes.io/component"] = "free"
    before = list(world.cluster.created)
    world.reconcile()
    found = world.cluster.objects["Pod", "mnist-e1-worker-0"]
    assert found["metadata"]["labels"]["app.kubernetes.io/component"] == "worker"
    assert world.cluster.created == before
    assert repairs(world) == ["Pod mnist-e1-worker-0 was changed and is put right"]


def test_what_a_start_or_a_change_of_the_spec_makes_is_no_repair() -> None:
    world = serving()
    world.cluster.change_spec(clients=[{"podSelector": {}}])
    world.reconcile()
    world.kill_worker(1)
    world.bring_up()
    assert repairs(world) == []


@pytest.mark.parametrize("seen", [True, False])
def test_a_deleted_pod_ends_its_epoch_and_no_pod_of_that_epoch_is_made_again(seen: bool) -> None:
    world = serving()
    world.serve(4)
    world.delete_pod(0, seen=seen)
    world.reconcile()
    world.wait(6)
    world.reconcile()
    assert world.status.epoch is not None
    assert world.status.epoch.number == 2
    assert world.cluster.created.count("Pod/mnist-e1-worker-0") == 1
    assert world.status.charges[-1].rows == 4
    assert world.status.charges[-1].workers[0].answered == (4 if seen else None)


def test_workers_that_never_ran_are_charged_nothing_whatever_ends_their_epoch() -> None:
    """An image that cannot be pulled: all three pods have a node, and none will ever say a word."""
    world = World()
    world.reconcile()
    for pod in world.pods():
        pod["spec"]["nodeName"] = "node1"
        waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}
        pod["status"] = {"phase": "Pending", "containerStatuses": [{"state": waiting}]}
    world.reconcile()
    assert world.reason("WorkersReady") == ("False", "ImagePullBackOff")
    assert not world.cluster.of("Job")
    world.cluster.told_to_end = lambda pod: pod.update(status=pod["status"] | {"phase": "Failed"})
    world.cluster.change_spec(model={"source": {"configMap": {"name": "other", "key": "k"}}})
    world.reconcile()
    world.reconcile()
    assert world.status.charges[-1].rows == 0


def test_what_the_api_server_refuses_is_said_in_a_condition_and_tried_again() -> None:
    world = World()
    world.cluster.refuse = Refused("POST", 403, "Forbidden", "exceeded quota: pods")
    world.reconcile()
    assert world.reason("WorkersReady") == ("False", "Refused")
    assert "exceeded quota: pods" in world.status.conditions[1].message
    world.cluster.refuse = None
    world.reconcile()
    assert world.cluster.names() == KEPT | epoch_objects(1)


def test_a_bad_spec_is_said_in_the_condition_accepted_and_nothing_is_made() -> None:
    world = World(model=FILE)
    world.reconcile()
    assert world.reason("Accepted") == ("False", "InvalidSpec")
    assert world.cluster.names() == set()


def test_a_finished_securemodel_is_deleted_after_its_time() -> None:
    world = serving(ttlSecondsAfterFinished=60)
    world.serve(10)
    world.reconcile()
    world.wait(59)
    world.reconcile()
    assert world.cluster.of("SecureModel")
    world.wait(2)
    world.reconcile()
    assert world.cluster.of("SecureModel") == []


def test_a_worker_whose_node_is_gone_does_not_hold_up_the_next_epoch() -> None:
    world = serving()
    world.serve(2)
    world.end_workers(reason="PeerLost", parties=(1, 2))
    world.reconcile()
    assert world.status.epoch is not None
    assert world.status.epoch.phase is Phase.ENDING
    lost = world.cluster.objects["Pod", "mnist-e1-worker-0"]
    world.cluster.told_to_end = lambda pod: None
    world.wait(13)
    world.reconcile()
    assert lost["spec"]["activeDeadlineSeconds"] == 1
    world.now -= timedelta(seconds=13)
    lost["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    world.wait(59)
    world.reconcile()
    assert world.status.epoch.phase is Phase.ENDING
    world.wait(2)
    world.reconcile()
    assert world.status.epoch.number == 2
    assert world.status.charges[-1].rows == 2


def test_a_refusal_that_stands_is_written_once() -> None:
    world = World()
    world.cluster.refuse = Refused("POST", 403, "Forbidden", "exceeded quota: pods")
    world.reconcile()
    world.reconcile()
    version = world.cluster.model()["metadata"]["resourceVersion"]
    for _ in range(3):
        world.reconcile()
    assert world.cluster.model()["metadata"]["resourceVersion"] == version, "every write wakes the operator again"


def test_an_operator_counts_the_securemodels_that_one_before_it_has_left_as_they_should_be() -> None:
    world, looked = serving(), asyncio.Event()

    class Watched(Metrics):
        def models(self, counts: Mapping[tuple[str, str], int]) -> None:
            super().models(counts)
            looked.set()

    metrics = Watched()
    successor = Reconciler(world.cluster, Settings("worker:dev"), metrics, lambda: world.now)  # type: ignore[arg-type]

    async def look() -> None:
        working = asyncio.create_task(successor.run())
        successor.add(KEY)
        await asyncio.wait_for(looked.wait(), 10)
        working.cancel()

    asyncio.run(look())
    assert b'triveni_securemodels{condition="Ready",status="True"} 1.0' in metrics.render()
