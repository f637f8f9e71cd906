"""From where clients may call: peers of the workers' network policy. A certificate is needed all the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from triveni.api.names import LabelKey, LabelValue
from triveni.api.strict import Given, Strict, broken, rule, ruled

_VALUES = "In and NotIn need values, Exists and DoesNotExist take none"


class Requirement(Strict):
    """A condition on one label."""

    model_config = ruled(
        rule("(self.operator in ['In', 'NotIn']) == (has(self.values) && self.values.size() > 0)", _VALUES)
    )

    key: LabelKey = Field(description="Key of the label.")
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"] = Field(
        description="Whether the label's value must be one of `values`, none of them, or whether the label must exist."
    )
    values: Sequence[LabelValue] = Field(
        default=[],
        max_length=64,
        description="Values that In and NotIn compare with.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )

    @model_validator(mode="after")
    def _values(self) -> Self:
        if (self.operator in ("In", "NotIn")) != bool(self.values):
            raise broken(f"has operator {self.operator} with {len(self.values)} values", _VALUES)
        return self


class Selector(Strict):
    """A selector of labels; an empty one selects everything."""

    match_labels: Annotated[Mapping[LabelKey, LabelValue], Field(max_length=64)] = Field(
        default={}, description="Labels that must have exactly these values."
    )
    match_expressions: Sequence[Requirement] = Field(
        default=[],
        max_length=32,
        description="More conditions, all of which must hold.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )


_ONE_IS_NEEDED = "podSelector or namespaceSelector is needed; an empty one ({}) selects everything"


class Client(Strict):
    """Pods that may call the workers: those of the selected namespaces, or of this one, that the other selects."""

    model_config = ruled(rule("has(self.podSelector) || has(self.namespaceSelector)", _ONE_IS_NEEDED))

    namespace_selector: Given[Selector] = Field(
        default=None, description="Namespaces of the pods, by their labels; the SecureModel's own if left out."
    )
    pod_selector: Given[Selector] = Field(default=None, description="Pods by their labels; all if left out.")

    @model_validator(mode="after")
    def _selects(self) -> Self:
        if self.namespace_selector is None and self.pod_selector is None:
            raise broken("selects nobody", "add podSelector or namespaceSelector; an empty one ({}) selects everything")
        return self
