"""The rules of the request quota, whatever dies and whenever: random lives, with the operator killed in between."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import Phase as Phase_
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.unit.controller.world import OWNERS, World
from triveni.api.status import Phase

QUOTA = 10


class Life(RuleBasedStateMachine):
    """Everything that can happen, in any order. The quota only changes in a rule that says so."""

    MODELS: Mapping[str, Any] = {key: {"source": {"configMap": {"name": "m", "key": key}}} for key in "abc"}

    def __init__(self) -> None:
        super().__init__()
        self.world = World(requestQuota=QUOTA, model=self.MODELS["a"])
        self.quota = QUOTA
        self.silent = False

    # --- the operator ---

    @rule(calls=st.integers(1, 25), after=st.booleans())
    def kill_the_operator(self, calls: int, after: bool) -> None:
        self.world.reconcile_and_die(calls, after=after)

    @rule(seconds=st.sampled_from([1, 6, 13, 70, 400]))
    def wait(self, seconds: int) -> None:
        self.world.wait(seconds)
        self.world.reconcile()

    # --- the cluster, the workers and the clients ---

    @rule(part=st.sampled_from(["reconcile", "run", "ask", "hand over", "share", "fail"]))
    def go_on_by_one_step(self, part: str) -> None:
        match part:
            case "reconcile":
                self.world.reconcile()
            case "run":
                self.world.run_pods()
            case "ask":
                self.world.ask_to_share()
            case "hand over":
                self.world.hand_over()
            case "share":
                self.world.share()
            case _:
                self.world.share(reason="WorkerUnreachable")

    @rule(rows=st.integers(1, 4))
    def bring_up_and_answer(self, rows: int) -> None:
        """Most lives serve most of the time."""
        self.world.bring_up()
        self.world.serve(rows)

    @rule(rows=st.integers(1, 4))
    def answer(self, rows: int) -> None:
        self.world.serve(rows)

    @rule(rows=st.integers(1, 3), released_by=st.integers(1, 2))
    def answer_and_break(self, rows: int, released_by: int) -> None:
        """Not all workers have released their share of the last answer when one is killed."""
        self.world.serve(rows, released_by=released_by)
        self.world.kill_worker(2)

    @rule(party=st.integers(0, 2))
    def kill_worker(self, party: int) -> None:
        self.world.kill_worker(party)

    @rule(party=st.integers(0, 2), seen=st.booleans())
    def delete_pod(self, party: int, seen: bool) -> None:
        self.world.delete_pod(party, seen=seen)

    @rule()
    def lose_everything(self) -> None:
        """All three vanish without a word, and nobody was watching."""
        for pod in self.world.pods():
            self.world.cluster.remove(pod)
        self.silent = True

    # --- the user ---

    @rule(on=st.booleans())
    def suspend(self, on: bool) -> None:
        self.world.cluster.change_spec(suspend=on)

    @rule(key=st.sampled_from("abc"))
    def change_model(self, key: str) -> None:
        self.world.cluster.change_spec(model=self.MODELS[key])

    @precondition(lambda self: self.quota < 30)
    @rule(more=st.integers(1, 5))
    def raise_quota(self, more: int) -> None:
        self.quota += more
        self.world.cluster.change_spec(requestQuota=self.quota)

    @rule()
    def delete_authority(self) -> None:
        secret = self.world.cluster.objects.get(("Secret", "mnist-ca"))
        if secret is not None:
            self.world.cluster.remove(secret)

    # --- what always holds ---

    @invariant()
    def never_more_answers_than_the_quota(self) -> None:
        assert self.world.answered <= self.quota

    @invariant()
    def an_answered_request_is_charged_exactly_once(self) -> None:
        status = self.world.status
        if status.epoch is None or status.quota is None:
            return
        over = status.epoch.number if status.epoch.phase is Phase.ENDED else status.epoch.number - 1
        released = dict.fromkeys(range(1, over + 1), 0)
        for (epoch, _), rows in self.world.released.items():
            if epoch <= over:
                released[epoch] = max(released[epoch], rows)
        least = sum(min(self.world.released.get((epoch, p), 0) for p in range(3)) for epoch in released)
        assert status.quota.charged >= least, "what clients got"
        if not self.silent:
            assert status.quota.charged <= sum(released.values()), "what some worker had released"

    @invariant()
    def no_pod_is_made_twice_once_sharing_may_have_begun(self) -> None:
        created = self.world.cluster.created
        for job in [name for name in created if name.startswith("Job/")]:
            epoch = job.removesuffix("-sharing").rpartition("-")[2]
            later = created[created.index(job) :]
            assert not [name for name in later if name.startswith("Pod/") and f"-{epoch}-" in name]
        for epoch, before in self.world.handed_over.items():
            assert not [name for name in created[before:] if name.startswith(f"Pod/mnist-e{epoch}-")]

    @invariant()
    def at_most_one_set_of_workers_may_serve(self) -> None:
        shared = {
            pod["metadata"]["labels"]["triveni.dev/epoch"] for pod in self.world.pods() if self.world.is_shared(pod)
        }
        assert len(shared) <= 1

    def teardown(self) -> None:
        """Left in peace, it serves the rest, and nothing is left."""
        world = self.world
        self.quota += 1
        world.cluster.change_spec(suspend=False, requestQuota=self.quota)
        for _ in range(14):
            world.wait(400)
            world.bring_up()
            world.serve(100)
        world.wait(400)
        world.reconcile()
        assert world.reason("QuotaReached")[0] == "True"
        assert world.cluster.names() == set()
        self.never_more_answers_than_the_quota()
        self.an_answered_request_is_charged_exactly_once()
        self.no_pod_is_made_twice_once_sharing_may_have_begun()


class OwnersLife(Life):
    """The same for a model that its owner shares, or now and then a sharing job."""

    MODELS: Mapping[str, Any] = {"a": OWNERS, "b": Life.MODELS["b"], "c": OWNERS}

    @invariant()
    def nobody_can_share_before_it_is_written_down(self) -> None:
        secret = self.world.cluster.objects.get(("Secret", "mnist-owner"))
        epoch = self.world.status.epoch
        if secret is not None and epoch is not None:
            shared_in = int(secret["metadata"]["labels"]["triveni.dev/epoch"])
            assert shared_in < epoch.number or epoch.may_have_answered


TestLife = Life.TestCase
# A life that fails is short enough to be read; making it shorter takes minutes.
TestLife.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None, phases=(Phase_.explicit, Phase_.reuse, Phase_.generate)
)

TestOwnersLife = OwnersLife.TestCase
TestOwnersLife.settings = settings(TestLife.settings, max_examples=30)
