"""Where and how the three worker pods run, in the words that Kubernetes uses for pods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from triveni.api.names import ImageName, LabelKey, LabelValue, ObjectName
from triveni.api.quantity import Quantity, amount
from triveni.api.strict import Given, Strict, broken, rule, ruled

Quantities = Annotated[Mapping[LabelKey, Quantity], Field(max_length=16)]

FreeObject = Annotated[Mapping[str, Any], Field(json_schema_extra={"x-kubernetes-preserve-unknown-fields": True})]
"""An object of Kubernetes whose fields the API server checks when the pod is made."""


class Resources(Strict):
    """What a container asks for, and the most that it gets."""

    model_config = ruled(
        rule(
            "!has(self.requests) || !has(self.limits) || self.requests.all(name, !(name in self.limits) ||"
            " quantity(string(self.requests[name])).compareTo(quantity(string(self.limits[name]))) <= 0)",
            "more is requested of a resource than its limit",
        )
    )

    requests: Quantities = Field(
        default={}, description="What is set aside for each worker, such as cpu: 500m, memory: 1Gi."
    )
    limits: Quantities = Field(default={}, description="The most that each worker may use.")

    @model_validator(mode="after")
    def _within_limits(self) -> Self:
        for name in sorted(self.requests.keys() & self.limits):
            if amount(self.requests[name]) > amount(self.limits[name]):
                text = f"requests {name}: {self.requests[name]}, more than its limit of {self.limits[name]}"
                raise broken(text, "request less, or raise the limit")
        return self


class PullSecret(Strict):
    """A Secret with which the image is pulled."""

    name: ObjectName = Field(description="Name of a Secret of the same namespace.")


class Toleration(Strict):
    """A taint of nodes that the workers put up with."""

    model_config = ruled(
        rule(
            "has(self.key) || (has(self.operator) && self.operator == 'Exists')",
            "a toleration without a key is for all taints and needs operator: Exists",
        ),
        rule(
            "!has(self.value) || !has(self.operator) || self.operator != 'Exists'",
            "operator: Exists is for every value, so value must be left out",
        ),
        rule(
            "!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
            "tolerationSeconds needs effect: NoExecute",
        ),
    )

    key: Given[LabelKey] = Field(default=None, description="Key of the taint; every one if left out.")
    operator: Given[Literal["Equal", "Exists"]] = Field(
        default=None, description="Equal (the default): the taint's value must be `value`; Exists: any value will do."
    )
    value: Given[LabelValue] = Field(default=None, description="Value of the taint.")
    effect: Given[Literal["NoSchedule", "PreferNoSchedule", "NoExecute"]] = Field(
        default=None, description="Effect of the taint; every one if left out."
    )
    toleration_seconds: Given[int] = Field(
        default=None,
        description="How long a worker stays once a taint with effect NoExecute appears; for ever if left out.",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.key is None and self.operator != "Exists":
            raise broken("has no key, which is for all taints", "add operator: Exists, or a key")
        if self.value is not None and self.operator == "Exists":
            raise broken("has a value, but operator: Exists is for every value", "leave value out")
        if self.toleration_seconds is not None and self.effect != "NoExecute":
            raise broken("has tolerationSeconds without effect: NoExecute", "add effect: NoExecute")
        return self


class Affinity(Strict):
    """Rules of the scheduler that are added to those that keep the workers apart."""

    node_affinity: Given[FreeObject] = Field(default=None, description="Which nodes the workers need or prefer.")
    pod_affinity: Given[FreeObject] = Field(default=None, description="Which pods the workers are to be near to.")
    pod_anti_affinity: Given[FreeObject] = Field(
        default=None, description="Which pods the workers are to be away from."
    )


class Workers(Strict):
    """Where and how the three workers run."""

    image: Given[ImageName] = Field(
        default=None, description="Image of the workers and of the sharing job; the operator's choice if left out."
    )
    image_pull_secrets: Sequence[PullSecret] = Field(
        default=[],
        max_length=16,
        description="Secrets of the same namespace with which the image is pulled.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    resources: Given[Resources] = Field(
        default=None, description="Resources of each worker; the operator's choice if left out."
    )
    node_selector: Annotated[Mapping[LabelKey, LabelValue], Field(max_length=64)] = Field(
        default={}, description="Labels that a node must have to run a worker."
    )
    tolerations: Sequence[Toleration] = Field(
        default=[], max_length=32, description="Taints of nodes that the workers put up with."
    )
    affinity: Given[Affinity] = Field(
        default=None, description="More rules for the scheduler, beside those that keep the workers apart."
    )
    topology_key: LabelKey = Field(
        default="kubernetes.io/hostname",
        description="Label of nodes whose value tells the workers' places apart: a node, a zone, a provider.",
    )
    independence: Literal["Preferred", "Required"] = Field(
        default="Preferred",
        description="Whether three different places are preferred, or required so that a worker waits for one.",
    )
    priority_class_name: Given[ObjectName] = Field(default=None, description="PriorityClass of the worker pods.")
