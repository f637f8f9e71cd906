"""What the workers publicly say of themselves (the protocol's model metadata), and whether the three agree. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from triveni.client.connection import Connection
from triveni.client.errors import WorkersDisagree, WrongAnswer
from triveni.mpc.answer import CLIENTS_LAYERS
from triveni.mpc.architecture import InvalidArchitecture
from triveni.mpc.architecture.reading import read_answer_bits
from triveni.mpc.fixedpoint import FIXED_POINT, FixedPoint
from triveni.mpc.input_range import InputRange
from triveni.mpc.sharing import component_names


@dataclass(frozen=True, slots=True)
class Description:
    """One epoch of a model.

    Attributes:
        epoch: its number.
        protocol, program_digest: what the workers execute.
        input_shape, output_shape: of one row.
        max_rows: the most rows of one request.
        last_layer: the layer that the client computes on what is revealed (`mpc.answer`), or none.
        answer_bits: the fractional bits of what is revealed; None: those of the protocol.
        input_range: what the model's owner says that all inputs are within, or none.
    """

    epoch: int
    protocol: str
    program_digest: str
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    max_rows: int
    last_layer: str | None = None
    answer_bits: int | None = None
    input_range: InputRange | None = None

    @property
    def numbers(self) -> FixedPoint:
        """How real numbers are words here."""
        return FIXED_POINT[self.protocol]

    @property
    def answer_numbers(self) -> FixedPoint:
        """The same of what is revealed, which workers may have rounded off."""
        return self.numbers if self.answer_bits is None else replace(self.numbers, fractional_bits=self.answer_bits)


@dataclass(frozen=True, slots=True)
class NotServing:
    """A worker cannot be asked yet; `why` says so in words."""

    why: str


def read(party: int, document: Any, connection: Connection) -> Description | NotServing:
    """What worker `party` says; `NotServing` while it has no program yet.

    Raises:
        WrongAnswer: it is no such document, or that of another model or party.
    """
    parameters = document.get("parameters") if isinstance(document, dict) else None
    if not isinstance(parameters, dict):
        raise WrongAnswer(party, "its metadata has no parameters")
    protocol = parameters.get("protocol")
    if not isinstance(protocol, str) or protocol not in FIXED_POINT:
        raise WrongAnswer(party, f"its protocol is {protocol!r:.60}, expected {' or '.join(FIXED_POINT)}")
    expected = {
        "namespace": connection.namespace,
        "uid": connection.uid,
        "party": party,
        "fractional_bits": FIXED_POINT[protocol].fractional_bits,
    }
    for key, value in expected.items():
        if parameters.get(key) != value:
            raise WrongAnswer(party, f"its {key} is {parameters.get(key)!r:.60}, expected {value!r}")
    if not parameters.get("program_digest"):
        return NotServing("it has no program yet")
    return Description(
        epoch=_whole(party, parameters, "epoch"),
        protocol=protocol,
        program_digest=str(parameters["program_digest"]),
        input_shape=_row_shape(party, protocol, document, "input"),
        output_shape=_row_shape(party, protocol, document, "output"),
        max_rows=_whole(party, parameters, "max_rows"),
        last_layer=_last_layer(parameters),
        answer_bits=_answer_bits(party, parameters),
        input_range=_input_range(party, parameters),
    )


def agreed(descriptions: Sequence[Description]) -> Description | None:
    """The description that all three give; None while they are in different epochs.

    Raises:
        WorkersDisagree: workers of one epoch differ in anything.
    """
    if len({d.epoch for d in descriptions}) > 1:
        return None
    for field in (field.name for field in fields(Description)):
        values = tuple(str(getattr(d, field)) for d in descriptions)
        if len(set(values)) > 1:
            raise WorkersDisagree(field, values)
    return descriptions[0]


def _last_layer(parameters: dict[str, Any]) -> str | None:
    match parameters.get("architecture"):
        case {"layers": [*_, {"kind": str(kind)}]} if kind in CLIENTS_LAYERS:
            return kind
    return None


def _answer_bits(party: int, parameters: dict[str, Any]) -> int | None:
    architecture = parameters.get("architecture")
    try:
        return read_answer_bits(architecture) if isinstance(architecture, dict) else None
    except InvalidArchitecture as error:
        raise WrongAnswer(party, f"its architecture is none: {error}") from error


def _input_range(party: int, parameters: dict[str, Any]) -> InputRange | None:
    document = parameters.get("input_range")
    try:
        return None if document is None else InputRange.read(document)
    except ValueError as error:
        raise WrongAnswer(party, f"its input_range is no range: {error}") from None


def _whole(party: int, parameters: dict[str, Any], key: str) -> int:
    value = parameters.get(key)
    if type(value) is not int or value < 1:
        raise WrongAnswer(party, f"its {key} is no number of at least 1")
    return value


def _row_shape(party: int, protocol: str, document: dict[str, Any], kind: str) -> tuple[int, ...]:
    """The shape of a row of the input or output, when the tensors of this worker's components have it as well."""
    sizes = document["parameters"].get(f"{kind}_shape")
    if not isinstance(sizes, list) or not all(type(size) is int and size > 0 for size in sizes):
        raise WrongAnswer(party, f"its {kind}_shape is {sizes!r:.60}, expected the sizes of a row")
    described = document.get(f"{kind}s")
    tensors = described if isinstance(described, list) and all(isinstance(t, dict) for t in described) else [{}]
    if [(t.get("name"), t.get("shape")) for t in tensors] != [
        (n, [-1, *sizes]) for n in component_names(party, protocol)
    ]:
        raise WrongAnswer(party, f"its {kind}s are not components of rows")
    return tuple(sizes)
