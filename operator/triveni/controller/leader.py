"""Leader election: of several replicas of the operator one acts, by a Lease that it renews.

The rules are client-go's. A candidate takes a Lease that has no holder, or whose holder has not been seen to renew it
for as long as it says itself. "Seen" means on the candidate's own clock: the times in a Lease are written for people,
since clocks of different machines differ. Two candidates cannot both take it, because a write names the version that
it was decided on. A leader counts its time from the moment when it *sent* its last good renewal and stops well before
anybody else may take over. A fresh candidate waits out a whole term of a Lease that it finds held.

What a Lease cannot do: stop a write that is already on its way when leadership ends. So every write of the operator
names the version it was decided on, or says the same whoever sends it.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NoReturn, Protocol

from triveni.controller.cluster import ClusterError, Conflict, Kind, NotFound, Object
from triveni.controller.logs import Log

LEASES = Kind("coordination.k8s.io/v1", "Lease", "leases")

log = Log(__name__)


class Leases(Protocol):
    """The verbs on the API server that the election needs: those of `Cluster`."""

    async def get(self, kind: Kind, name: str, namespace: str) -> Object:
        """The Lease; NotFound if there is none."""

    async def create(self, document: Object) -> Object:
        """Create it; Conflict if it exists."""

    async def merge(self, kind: Kind, namespace: str, name: str, patch: Object) -> Object:
        """Change it; Conflict if it is not in the version that the patch names."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How long a Lease holds without being renewed, how long the leader tries to renew it, and how often; seconds.

    Attributes:
        lease: nobody else takes over before that time has passed.
        renew: the leader gives up after that time; what is left of `lease` is for what it was doing to end.
        retry: between two renewals, and between two looks of one that waits.
        call: for one look or renewal, so that one lost packet does not use up `renew`.
    """

    lease: int = 15
    renew: float = 10.0
    retry: float = 2.0
    call: float = 4.0

    def __post_init__(self) -> None:
        if min(self.retry, self.call) <= 0 or not self.retry + self.call <= self.renew < self.lease:
            raise ValueError(f"{self}: retry and call together must fit into renew, and renew must be less than lease")


CLIENT_GO = Timing()
"""What every controller of Kubernetes itself uses."""


@dataclass(eq=False)
class LeaseLost(Exception):
    """This replica may not act any more: it could not renew the Lease in time, or `holder` has it now."""

    lease: str
    holder: str | None
    seconds: float

    def __str__(self) -> str:
        if self.holder is not None:
            return f"Lease {self.lease} is held by {self.holder}: this replica stops"
        return f"Lease {self.lease} could not be renewed within {self.seconds:g} s: this replica stops"


def new_identity(pod: str) -> str:
    """Who holds the Lease: the pod for people, and what tells its container's lives apart."""
    return f"{pod}_{uuid.uuid4()}"


class LeaderElection:
    """One candidate.

    Args:
        leases: the API server.
        lease: name of the Lease.
        namespace: where it is.
        identity: of this candidate, from `new_identity`.
        timing: the same in all candidates.
        now: the time of day that is written into the Lease. What is decided goes by the event loop's clock.
    """

    def __init__(
        self,
        leases: Leases,
        *,
        lease: str,
        namespace: str,
        identity: str,
        timing: Timing = CLIENT_GO,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._leases = leases
        self._name = lease
        self._namespace = namespace
        self._identity = identity
        self._timing = timing
        self._now = now
        self._seen: tuple[Object, float] | None = None
        self._renewed = 0.0
        self._leading = False
        self._problem = ""

    @property
    def leading(self) -> bool:
        """Whether this replica may act now."""
        return self._leading

    async def run(self, lead: Callable[[], Awaitable[None]]) -> None:
        """Wait until this candidate leads, then run `lead` until it ends, is cancelled, or the Lease is lost.

        The Lease is released when `lead` has ended, so that another takes over at once. If `lead` does not end in time
        after it was cancelled, the Lease is not released, and runs out.

        Raises:
            LeaseLost: the Lease was lost; `lead` has been cancelled.
        """
        try:
            await self._acquire()
        except BaseException:
            await self._release()  # a write whose answer did not come any more may have been a good one
            raise
        log.info("leading", lease=self._name, holder=self._identity)
        await self._lead(lead)

    async def _lead(self, lead: Callable[[], Awaitable[None]]) -> None:
        """Run `lead` and renew beside it, also while it ends after a cancellation."""
        self._leading = True
        work, renewal = asyncio.create_task(_as_coroutine(lead)), asyncio.create_task(self._renew())
        try:
            await asyncio.wait((work, renewal), return_when=asyncio.FIRST_COMPLETED)
        finally:
            lost = renewal.done()
            self._leading = not lost
            await _end(work, self._timing.lease - self._timing.renew if lost else self._timing.lease)
            await _end(renewal, self._timing.call)
            self._leading = False
            if work.done() and renewal.cancelled():
                await self._release()
        if lost:
            renewal.result()
        work.result()

    async def _acquire(self) -> None:
        while not await self._attempt():  # noqa: ASYNC110 (what is waited for is in the cluster)
            await asyncio.sleep(self._timing.retry)

    async def _renew(self) -> NoReturn:
        while True:
            try:
                async with asyncio.timeout_at(self._renewed + self._timing.renew):
                    await asyncio.sleep(self._timing.retry)
                    await self._acquire()
            except TimeoutError:
                raise LeaseLost(self._name, None, self._timing.renew) from None

    async def _attempt(self) -> bool:
        """Whether the Lease is ours after one try to take or renew it."""
        try:
            async with asyncio.timeout(self._timing.call):
                held = await self._take()
        except Conflict:
            held = False  # somebody else wrote at the same time; the next try sees what
        except (ClusterError, TimeoutError) as error:
            self._note(f"no answer within {self._timing.call:g} s" if isinstance(error, TimeoutError) else str(error))
            return False
        self._note("")
        return held

    def _note(self, problem: str) -> None:
        """Say what is wrong once, not at every try."""
        if problem and problem != self._problem:
            log.warning("the Lease cannot be read or renewed", lease=self._name, detail=problem)
        self._problem = problem

    async def _take(self) -> bool:
        clock = asyncio.get_running_loop().time
        try:
            document = await self._leases.get(LEASES, self._name, self._namespace)
        except NotFound:
            sent = clock()
            await self._leases.create(self._new())
        else:
            holder = _holder(document)
            if holder not in (None, self._identity):
                if self._leading:
                    raise LeaseLost(self._name, holder, clock() - self._renewed)
                if not self._has_run_out(document, clock()):
                    return False
            sent = clock()
            await self._leases.merge(LEASES, self._namespace, self._name, self._change(document))
        self._renewed = sent
        return True

    def _has_run_out(self, document: Object, now: float) -> bool:
        """Whether the holder of the Lease has not changed it for as long as it holds, as far as was seen from here."""
        spec = document.get("spec", {})
        if self._seen is None or self._seen[0] != spec:
            self._seen = (spec, now)
        term: int = spec.get("leaseDurationSeconds", self._timing.lease)
        return now - self._seen[1] >= term

    def _new(self) -> Object:
        metadata = {"name": self._name, "namespace": self._namespace}
        return {
            "apiVersion": LEASES.api_version,
            "kind": LEASES.kind,
            "metadata": metadata,
            "spec": self._held() | {"acquireTime": self._time(), "leaseTransitions": 0},
        }

    def _change(self, document: Object) -> Object:
        spec = self._held()
        if _holder(document) != self._identity:
            transitions = document.get("spec", {}).get("leaseTransitions", 0) + 1
            spec |= {"acquireTime": spec["renewTime"], "leaseTransitions": transitions}
        return _patch(document, spec)

    def _held(self) -> dict[str, Any]:
        return {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": self._timing.lease,
            "renewTime": self._time(),
        }

    def _time(self) -> str:
        # Kubernetes' MicroTime has six digits, always.
        return self._now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    async def _release(self) -> None:
        """Give the Lease up if it is ours; if that fails, it runs out by itself."""
        try:
            async with asyncio.timeout(self._timing.call):
                while True:
                    document = await self._leases.get(LEASES, self._name, self._namespace)
                    if _holder(document) != self._identity:
                        return
                    try:
                        patch = _patch(document, {"holderIdentity": None, "renewTime": self._time()})
                        await self._leases.merge(LEASES, self._namespace, self._name, patch)
                    except Conflict:
                        continue
                    log.info("released", lease=self._name, holder=self._identity)
                    return
        except (ClusterError, TimeoutError) as error:
            log.warning("the Lease was not released and runs out", lease=self._name, detail=str(error))


async def _as_coroutine(lead: Callable[[], Awaitable[None]]) -> None:
    await lead()


async def _end(task: asyncio.Task[Any], seconds: float) -> None:
    """Cancel a task and give it some time to end."""
    task.cancel()
    await asyncio.wait((task,), timeout=seconds)


def _holder(document: Object) -> str | None:
    return document.get("spec", {}).get("holderIdentity") or None


def _patch(document: Object, spec: dict[str, Any]) -> Object:
    """A change of the very version that was read."""
    return {"metadata": {"resourceVersion": document["metadata"]["resourceVersion"]}, "spec": spec}
