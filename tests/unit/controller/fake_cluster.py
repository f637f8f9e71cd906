"""An API server in memory, with the verbs of `Cluster`: uids, resource versions, conflicts, and garbage collection.

It can be told to kill the operator around one of its calls, before or after the call has taken effect.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from triveni.controller.cluster import NODES, SECURE_MODELS, Conflict, Kind, NotFound, Object, kind_of

NAMESPACE = "default"


class Killed(BaseException):
    """The operator was killed by SIGKILL."""


class FakeCluster:
    """Holds objects; time stands still unless a test moves it."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], Object] = {}
        self.events: list[Object] = []
        self.created: list[str] = []
        self.now: Callable[[], datetime] = lambda: datetime(2026, 1, 1, tzinfo=UTC)
        self.refuse: Exception | None = None
        self.deleted: Callable[[Object], None] = lambda pod: None
        self.told_to_end: Callable[[Object], None] = lambda pod: None
        self._numbers = itertools.count(1)
        self._kill_in: int | None = None
        self._kill_after = False

    def kill_in(self, calls: int, *, after: bool) -> None:
        """Kill the operator at its `calls`-th call from now, `after` its effect or before."""
        self._kill_in, self._kill_after = calls, after

    def spare(self) -> None:
        """Kill nobody any more."""
        self._kill_in = None

    # --- the verbs ---

    async def get(self, kind: Kind, name: str, namespace: str | None = None) -> Object:
        """One object."""
        with_effect = self._call()
        if kind is NODES:
            return {"metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}}}
        found = self._find(kind.kind, name)
        next(with_effect, None)
        return copy.deepcopy(found)

    async def list(self, kind: Kind, namespace: str, selector: str) -> list[Object]:
        """The objects with these labels."""
        wanted = dict(pair.split("=") for pair in selector.split(","))
        with_effect = self._call()
        found = [
            copy.deepcopy(raw)
            for (of_kind, _), raw in sorted(self.objects.items())
            if of_kind == kind.kind and wanted.items() <= (raw["metadata"].get("labels") or {}).items()
        ]
        next(with_effect, None)
        return found

    async def create(self, document: Object) -> Object:
        """Create one."""
        with_effect = self._call()
        if self.refuse is not None and document["kind"] == "Pod":
            raise self.refuse
        key = (document["kind"], document["metadata"]["name"])
        if key in self.objects:
            raise Conflict("POST", 409, "AlreadyExists", key[1])
        made = self.put(document)
        self.created.append(f"{key[0]}/{key[1]}")
        next(with_effect, None)
        return copy.deepcopy(made)

    async def apply(self, document: Object) -> Object:
        """Create or change one."""
        with_effect = self._call()
        found = self.objects.get((document["kind"], document["metadata"]["name"]))
        made = self.put(document, found)
        next(with_effect, None)
        return copy.deepcopy(made)

    async def merge(self, kind: Kind, namespace: str, name: str, patch: Object) -> Object:
        """Change the metadata of one, or have a pod end."""
        with_effect = self._call()
        found = self._find(kind.kind, name)
        found["metadata"] |= patch.get("metadata", {})
        if "spec" in patch:
            found["spec"] |= patch["spec"]
            self.told_to_end(found)
        next(with_effect, None)
        return copy.deepcopy(found)

    async def write_status(self, document: Object) -> Object:
        """Write the status, if the version is the one that was read."""
        with_effect = self._call()
        found = self._find("SecureModel", document["metadata"]["name"])
        if document["metadata"]["resourceVersion"] != found["metadata"]["resourceVersion"]:
            raise Conflict("PUT", 409, "Conflict", "changed")
        found["status"] = copy.deepcopy(document["status"])
        self.touch(found)
        next(with_effect, None)
        return copy.deepcopy(found)

    async def delete(self, kind: Kind, namespace: str, name: str, uid: str) -> None:
        """Delete this very object."""
        with_effect = self._call()
        found = self.objects.get((kind.kind, name))
        if found is not None and found["metadata"]["uid"] == uid:
            self.remove(found)
            if kind.kind == "Pod":
                self.deleted(found)
        next(with_effect, None)

    async def post_event(self, event: Object) -> None:
        """Post an event."""
        self.events.append(event)

    # --- for tests ---

    def put(self, document: Object, found: Object | None = None) -> Object:
        """Store an object as the API server would; over `found`, if it exists."""
        raw = copy.deepcopy(document)
        metadata = (found or {}).get("metadata", {}) | raw["metadata"]
        raw = {**(found or {}), **raw, "metadata": metadata}
        metadata.setdefault("namespace", NAMESPACE)
        metadata.setdefault("uid", f"uid-{next(self._numbers)}")
        metadata.setdefault("generation", 1)
        metadata.setdefault("creationTimestamp", self.now().strftime("%Y-%m-%dT%H:%M:%SZ"))
        if raw["kind"] == "Service":
            raw["spec"].setdefault("clusterIP", f"10.96.0.{next(self._numbers)}")
        self.touch(raw)
        self.objects[(raw["kind"], metadata["name"])] = raw
        return raw

    def touch(self, raw: Object) -> None:
        """Give it a new version."""
        raw["metadata"]["resourceVersion"] = str(next(self._numbers))

    def remove(self, raw: Object) -> None:
        """Remove an object, and what it owns."""
        self.objects.pop((raw["kind"], raw["metadata"]["name"]), None)
        uid = raw["metadata"]["uid"]
        for child in list(self.objects.values()):
            if any(owner["uid"] == uid for owner in child["metadata"].get("ownerReferences", ())):
                self.remove(child)

    def model(self, name: str = "mnist") -> Object:
        """The SecureModel."""
        return self._find(SECURE_MODELS.kind, name)

    def of(self, kind: str) -> list[Object]:
        """The objects of a kind, by name."""
        return [raw for (of_kind, _), raw in sorted(self.objects.items()) if of_kind == kind]

    def names(self) -> set[str]:
        """`Kind/name` of everything but SecureModels."""
        return {f"{kind}/{name}" for kind, name in self.objects if kind != "SecureModel"}

    def change_spec(self, **fields: Any) -> None:
        """Change fields of the SecureModel's spec, as a user would."""
        raw = self.model()
        spec = raw["spec"] | fields
        if spec != raw["spec"]:
            raw["spec"] = spec
            raw["metadata"]["generation"] += 1
            self.touch(raw)

    def _find(self, kind: str, name: str) -> Object:
        try:
            return self.objects[(kind, name)]
        except KeyError:
            raise NotFound("GET", 404, "NotFound", name) from None

    def _call(self) -> Iterator[None]:
        """Counts a call; kills before it here, or after its effect when the rest of the iterator is taken."""
        if self._kill_in is not None:
            self._kill_in -= 1
            if self._kill_in == 0:
                self._kill_in = None
                if not self._kill_after:
                    raise Killed
                return _killer()
        return iter(())


def _killer() -> Iterator[None]:
    raise Killed
    yield


assert kind_of({"kind": "Pod"}).plural == "pods"
