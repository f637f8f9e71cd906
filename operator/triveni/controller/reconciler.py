"""The loop around the decisions: look, record the next step, act on what is recorded, and look again when told to.

One SecureModel is worked on by one task at a time. A task does nothing that the recorded status does not allow, so it
may fail or be killed anywhere; the next one goes on from what the cluster shows then.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from triveni.api.problems import problems_of
from triveni.api.securemodel import SecureModel
from triveni.api.status import ConditionType, Phase, Status
from triveni.controller.cluster import (
    CHILDREN,
    NODES,
    SECURE_MODELS,
    Cluster,
    ClusterError,
    Conflict,
    NotFound,
    Object,
    Refused,
)
from triveni.controller.decide.account import charged, finished_at
from triveni.controller.decide.actions import Actions, act
from triveni.controller.decide.conditions import conditions_of, conditions_of_refused
from triveni.controller.decide.record import advance
from triveni.controller.decide.transitions import Event, event_object, is_mending, transitions
from triveni.controller.departed import Departed
from triveni.controller.live_counts import LiveCounts
from triveni.controller.logs import Log, bind
from triveni.controller.metrics import Metrics
from triveni.controller.objects import DamagedAuthority, Settings, UnusableSource, names
from triveni.controller.objects.source import supply
from triveni.controller.observed import Observed, Problem, observe
from triveni.controller.provision import Provision, remove, standing_authority, tell_to_end
from triveni.controller.workqueue import Key, WorkQueue

AT_ONCE = 8
"""SecureModels that are worked on at the same time."""

STEPS = 10
"""Steps of one SecureModel in a row, before others get their turn."""

RECONCILE_S = 90.0
"""Seconds for one SecureModel in a row; more is an error, and it comes again."""

STUCK_S = 180.0
"""Seconds that a SecureModel may wait for its turn; more means that this process does not get on."""

RESYNC_S = 600.0
"""Seconds after which a SecureModel is looked at although nothing was heard of it."""

REFUSED_PAUSE_S = 15.0
"""Seconds until the API server is asked again for what it has refused."""

DOMAIN_S = 300.0
"""Seconds for which the topology of a node is remembered."""

UNREADABLE_STATUS = "UnreadableStatus"

log = Log(__name__)


@dataclass(frozen=True, slots=True)
class _Step:
    """What one step came to: whether to go on at once, and when to look again otherwise."""

    more: bool = False
    again: float | None = None


class Reconciler:
    """Keeps SecureModels as they should be. `add` asks for a look at one, `run` works until it is cancelled."""

    def __init__(
        self,
        cluster: Cluster,
        settings: Settings,
        metrics: Metrics,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._cluster, self._settings, self._metrics, self._now = cluster, settings, metrics, now
        self.queue = WorkQueue()
        self.departed = Departed()
        self._live = LiveCounts(self.add)
        self._conditions: dict[Key, tuple[tuple[str, str], ...]] = {}
        self._domains: dict[tuple[str, str], tuple[float, str | None]] = {}

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._live.run())
            for _ in range(AT_ONCE):
                tasks.create_task(self._work())

    def add(self, key: Key) -> None:
        """Something happened that concerns this SecureModel."""
        self.queue.add(key)

    def stuck(self) -> str | None:
        """Why this process has to be restarted; None while it gets on."""
        waiting = self.queue.oldest()
        return f"a SecureModel has been waiting for {waiting:.0f} s" if waiting > STUCK_S else None

    async def _work(self) -> None:
        while True:
            key = await self.queue.get()
            began = time.monotonic()
            with bind(namespace=key.namespace, name=key.name):
                await self._guarded(key, began)

    async def _guarded(self, key: Key, began: float) -> None:
        """Reconcile one SecureModel; whatever goes wrong with it must not keep the others waiting."""
        try:
            async with asyncio.timeout(RECONCILE_S):
                again = await self.reconcile(key)
        except (Conflict, NotFound) as error:
            self._metrics.reconciled("conflict", time.monotonic() - began)
            log.debug("somebody else was faster", call=error.call, reason=error.reason)
            self.queue.failed(key)
        except (ClusterError, DamagedAuthority, TimeoutError) as error:
            self._failed(began, error)
            detail = str(error) or f"not done within {RECONCILE_S:g} s"
            log.warning("will try again", reason=type(error).__name__, detail=detail, seconds=self.queue.failed(key))
        except Exception as error:  # noqa: BLE001 (one SecureModel must not stop the operator; the log says where)
            self._failed(began, error)
            pause = self.queue.failed(key)
            log.error("a reconciliation failed", error=error, seconds=pause)
        else:
            self._metrics.reconciled("ok", time.monotonic() - began)
            self.queue.done(key, again)
        self._metrics.models(Counter(pair for pairs in self._conditions.values() for pair in pairs))

    def _failed(self, began: float, error: BaseException) -> None:
        self._metrics.reconciled("error", time.monotonic() - began)
        self._metrics.failed(type(error).__name__)

    async def reconcile(self, key: Key) -> float | None:
        """Take steps until there is nothing to do now; when to look again, in seconds."""
        for _ in range(STEPS):
            try:
                raw = await self._cluster.get(SECURE_MODELS, key.name, key.namespace)
            except NotFound:
                self._forget(key)
                return None
            if "deletionTimestamp" in raw["metadata"]:
                return None  # what it owns goes with it, by the cluster's own garbage collection
            step = await self._step(key, raw)
            if not step.more:
                return RESYNC_S if step.again is None else min(step.again, RESYNC_S)
        return 0.0

    async def _step(self, key: Key, raw: Object) -> _Step:
        now = self._now()
        try:
            status = Status.read(raw.get("status"))
        except ValidationError as error:
            # Going on from nothing could grant the quota twice.
            log.error("the status cannot be read; the SecureModel is left alone", reason=UNREADABLE_STATUS)
            self._metrics.failed(type(error).__name__)
            return _Step()
        self._count(key, status)  # as an operator before this one may have left it
        try:
            model = SecureModel.read(raw)
        except ValidationError as error:
            problems = "; ".join(map(str, problems_of(error)))
            return await self._refuse(key, raw, status, "InvalidSpec", problems, now)
        serves = status.epoch is not None and status.epoch.phase is not Phase.ENDED
        if not serves and (reason := not_served(model)) is not None:
            seen = await self._observe(model, status)
            await self._perform(act(model, status, seen, now), model, status, seen, now)  # what its last epoch has left
            return await self._refuse(key, raw, status, *reason, now)
        return await self._serve(key, raw, model, status, now)

    async def _serve(self, key: Key, raw: Object, model: SecureModel, status: Status, now: datetime) -> _Step:
        seen = await self._observe(model, status)
        new = advance(model, status, seen, standing_authority(model, seen), now)
        if new.epoch != status.epoch:
            # Nothing that the new step allows is done before the step stands.
            await self._record(key, raw, status, self._complete(key, model, new, seen, None, now), now)
            return _Step(more=True)
        actions = act(model, new, seen, now)
        made, refused = await self._perform(actions, model, new, seen, now)
        new = self._complete(key, model, new, seen, refused, now)
        if new.wire() != status.wire():
            await self._record(key, raw, status, new, now)
        if refused is not None:
            return _Step(again=REFUSED_PAUSE_S)
        if (after := await self._expire(raw, model, new, now)) is not None:
            return _Step(again=after)
        return _Step(more=made, again=actions.again_s)

    async def _perform(
        self, actions: Actions, model: SecureModel, status: Status, seen: Observed, now: datetime
    ) -> tuple[bool, Problem | None]:
        """Do it; whether something was made, and what the API server said if it would not take an object."""
        made, refused = False, None
        if actions.make and status.epoch is not None:
            provision = Provision(self._cluster, self._settings, model, seen, now)
            try:
                await provision.make(status.epoch)
            except Refused as error:
                refused = Problem(error.reason or "Refused", error.message)
            made = provision.made > 0
            if is_mending(model, status):
                metadata = {"name": model.metadata.name, "namespace": model.metadata.namespace, "uid": names.uid(model)}
                await self._post(metadata, [Event("Warning", "Repaired", what) for what in provision.mended], now)
        for worker in actions.end:
            await tell_to_end(self._cluster, model.metadata.namespace, worker.name)
        for child in actions.delete:
            await remove(self._cluster, child)
        return made, refused

    async def _observe(self, model: SecureModel, status: Status) -> Observed:
        namespace, selector = model.metadata.namespace, names.query(names.selector(model))
        lists = await asyncio.gather(*(self._cluster.list(kind, namespace, selector) for kind in CHILDREN))
        objects = [raw for found in lists for raw in found]
        number = status.epoch.number if status.epoch else 0
        departed = self.departed.of(names.uid(model), number)
        pods = [*(raw for raw in objects if raw["kind"] == "Pod"), *departed]
        nodes = {raw["spec"]["nodeName"] for raw in pods if raw["spec"].get("nodeName")}
        key = model.spec.workers.topology_key
        return observe(objects, departed, {node: await self._domain(node, key) for node in sorted(nodes)})

    async def _domain(self, node: str, key: str) -> str | None:
        """In which domain of the topology a node lies, None if it does not say."""
        known = self._domains.get((node, key))
        if known is None or time.monotonic() - known[0] > DOMAIN_S:
            try:
                labels = (await self._cluster.get(NODES, node))["metadata"].get("labels") or {}
            except NotFound:
                labels = {}
            known = self._domains[(node, key)] = (time.monotonic(), labels.get(key))
        return known[1]

    def _complete(
        self, key: Key, model: SecureModel, status: Status, seen: Observed, refused: Problem | None, now: datetime
    ) -> Status:
        """The status with what is not the epoch's record: conditions, counts, the name of the clients' Secret."""
        update: dict[str, object] = {
            "observed_generation": model.metadata.generation,
            "conditions": conditions_of(model, status, seen, refused, now),
            "client_secret": names.client_secret(model) if _has_client_secret(model, seen) else None,
        }
        status = status.model_copy(update=update)
        return status.model_copy(update={"served": self._served(key, status, seen)})

    def _served(self, key: Key, status: Status, seen: Observed) -> int:
        """Requests answered, as far as is known: what is charged, and what the workers that serve say of this epoch."""
        used, epoch, ready = charged(status), status.epoch, status.condition(ConditionType.READY)
        address = None
        inside = self._settings.operator_namespace is not None  # from outside, no policy lets anybody in
        if inside and epoch is not None and ready is not None and ready.status == "True":
            address = next((worker.address for worker in seen.workers_of(epoch.number) if worker), None)
        if epoch is None or address is None:
            self._live.drop(key)
            return max(used, status.served)
        return max(used + self._live.follow(key, epoch.number, address), status.served)

    async def _refuse(self, key: Key, raw: Object, status: Status, reason: str, message: str, now: datetime) -> _Step:
        """Say why nothing is done. An epoch that still serves the spec of before goes on."""
        generation = raw["metadata"].get("generation")
        conditions = conditions_of_refused(status, reason, message, generation, now)
        new = status.model_copy(update={"observed_generation": generation, "conditions": conditions})
        if new.wire() != status.wire():
            await self._record(key, raw, status, new, now)
        return _Step()

    async def _record(self, key: Key, raw: Object, old: Status, new: Status, now: datetime) -> Object:
        """Write the status, on condition that nobody has written in between; then tell what happened."""
        document = {k: raw[k] for k in ("apiVersion", "kind", "spec")} | {"status": new.wire()}
        kept = ("name", "namespace", "uid", "resourceVersion")
        document["metadata"] = {k: raw["metadata"][k] for k in kept}
        written = await self._cluster.write_status(document)
        self._count(key, new)
        self._tell(key, old, new)
        await self._post(raw["metadata"], transitions(old, new), now)
        return written

    async def _post(self, metadata: Mapping[str, Any], events: Iterable[Event], now: datetime) -> None:
        for event in events:
            try:
                await self._cluster.post_event(event_object(metadata, event, now))
            except NotFound:
                return  # the namespace is going away
            except ClusterError as error:
                log.warning("an event was not posted", reason=event.reason, detail=str(error))

    def _count(self, key: Key, status: Status) -> None:
        """Remember its conditions for the metrics."""
        self._conditions[key] = tuple((condition.type.value, condition.status) for condition in status.conditions)

    def _tell(self, key: Key, old: Status, new: Status) -> None:
        epoch = new.epoch
        before = old.epoch
        if epoch is None or (before and (before.number, before.phase) == (epoch.number, epoch.phase)):
            return
        log.info(_PHASES[epoch.phase], epoch=epoch.number, reason=epoch.reason or "", detail=epoch.message or "")
        if epoch.phase is Phase.ENDED and new.charges:
            charge = new.charges[-1]
            log.info("epoch charged", epoch=epoch.number, charged=charge.rows, detail=charge.why)
            self._metrics.epoch_ended(key.namespace, key.name, charge.ended, charge.rows)

    async def _expire(self, raw: Object, model: SecureModel, status: Status, now: datetime) -> float | None:
        """Delete a SecureModel that has been finished for as long as it says; else the seconds that are left."""
        ttl = model.spec.ttl_seconds_after_finished
        finished = finished_at(status)
        if ttl is None or finished is None:
            return None
        left = ttl - (now - finished).total_seconds()
        if left > 0:
            return left
        metadata = raw["metadata"]
        log.info("finished and expired: deleted")
        await self._cluster.delete(SECURE_MODELS, metadata["namespace"], metadata["name"], metadata["uid"])
        return RESYNC_S

    def _forget(self, key: Key) -> None:
        self._live.drop(key)
        self._conditions.pop(key, None)
        self._metrics.forget(key.namespace, key.name)


_PHASES: Mapping[Phase, str] = {
    Phase.STARTING: "epoch starts",
    Phase.STARTED: "the three worker pods exist",
    Phase.SHARING: "the model is being shared",
    Phase.SERVING: "the model is shared",
    Phase.ENDING: "epoch ends",
    Phase.ENDED: "epoch ended",
}


def not_served(model: SecureModel) -> tuple[str, str] | None:
    """Why a valid spec cannot be carried out in a cluster, as reason and message; None if it can."""
    try:
        supply(model)
    except UnusableSource as error:
        return "InvalidSpec", str(error)
    return None


def _has_client_secret(model: SecureModel, seen: Observed) -> bool:
    return ("Secret", names.client_secret(model)) in seen.children


def key_of(labels: Mapping[str, Any], namespace: str) -> Key | None:
    """The SecureModel that an object with these labels belongs to."""
    name = labels.get(names.MODEL)
    return Key(namespace, name) if name else None
