"""The model of an epoch, as far as one worker may know it: architecture, program and this worker's weight shares.

An architecture that somebody sends is only a declaration. The worker compiles it, and proves the program it got, before
it accepts a share.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from triveni.api.inference import DATATYPE, Reason, Tensor
from triveni.mpc.architecture import Architecture, InvalidArchitecture
from triveni.mpc.compile import compile_program
from triveni.mpc.fixedpoint import fixed_point
from triveni.mpc.input_range import InputRange
from triveni.mpc.program import Program
from triveni.mpc.prove import require_proof
from triveni.mpc.schedule import Cost, Schedule
from triveni.mpc.sharing import HELD, component_names
from triveni.worker.admission import Words
from triveni.worker.config import Config
from triveni.worker.refusal import Refused

MAX_SHARING = 64
"""Characters of the text that tells one sharing of a model from another."""


@dataclass(frozen=True)
class Model:
    """A proved program, and what it costs to run."""

    architecture: Architecture
    program: Program
    cost: Cost
    digest: str

    def summary(self) -> dict[str, Any]:
        """What the sharing job is told."""
        return {
            "program_digest": self.digest,
            "online_rounds": self.cost.online_rounds,
            "ahead_rounds": self.cost.ahead_rounds,
            "online_bytes_per_row": self.cost.online_bytes.at(1),
            "ahead_bytes_per_row": self.cost.ahead_bytes.at(1),
        }

    @property
    def row_bytes(self) -> int:
        """Size of one row of a request, for a worker that holds the most components."""
        return self._word_bytes * math.prod(self.program.input_shape)

    @property
    def share_bytes(self) -> int:
        """Size of the components of all weights, for a worker that holds the most."""
        return sum(self._word_bytes * math.prod(shape) for shape in self.program.weights.values())

    @property
    def _word_bytes(self) -> int:
        return 8 * max(map(len, HELD[self.program.protocol]))


def read_architecture(document: Any, protocol: str, answer_bits: int | None) -> Architecture:
    """The architecture of the message with which sharing begins; `answer_bits` are those that it must have, if any.

    Raises:
        Refused: another protocol than this worker's, another number of bits, or not an architecture.
    """
    if not isinstance(document, dict) or set(document) - {"sharing", "input_range"} != {"protocol", "architecture"}:
        raise Refused(Reason.MALFORMED, "body: an object with protocol and architecture is needed")
    if document["protocol"] != protocol:
        raise Refused(Reason.UNSUPPORTED, f"protocol: this worker was started for {protocol}; share the model for that")
    try:
        architecture = Architecture.from_document(document["architecture"])
    except InvalidArchitecture as error:
        raise Refused(Reason.MALFORMED, f"architecture: {error}") from None
    if answer_bits not in (None, architecture.answer_bits):
        problem = f"this worker was started for answers of {answer_bits} fractional bits; share the model for that"
        raise Refused(Reason.UNSUPPORTED, f"architecture.answer: {problem}")
    return architecture


def read_sharing(document: Any) -> str | None:
    """Which sharing that message begins: a text that whoever splits the model draws at random, None if there is none.

    Raises:
        Refused: it is no short text.
    """
    sharing = document.get("sharing") if isinstance(document, dict) else None
    if sharing is not None and not (isinstance(sharing, str) and len(sharing) <= MAX_SHARING):
        raise Refused(Reason.MALFORMED, f"sharing: a text of at most {MAX_SHARING} characters is needed")
    return sharing


def read_inputs(document: Mapping[str, Any]) -> InputRange | None:
    """What all inputs are within, by the same message; None if it does not say.

    Raises:
        Refused: it is no range.
    """
    if "input_range" not in document:
        return None
    try:
        return InputRange.read(document["input_range"])
    except ValueError as error:
        raise Refused(Reason.MALFORMED, f"input_range: {error}") from None


def prepare(architecture: Architecture, protocol: str, cache: Path | None, timeout_s: float) -> Model:
    """Compile an architecture and prove the program. Blocks for seconds.

    Raises:
        CompileError: there is no program.
        Unproven: there is one, but nothing shows that it keeps the secrets.
    """
    program = compile_program(architecture, protocol, cache=cache, timeout=timeout_s)
    require_proof(program)
    return Model(architecture, program, Schedule(program).cost(), program.digest)


def read_shares(tensors: Sequence[Tensor], program: Program, party: int) -> dict[str, tuple[Words, ...]]:
    """This worker's components of each weight, from tensors named `<weight>/component_<c>`.

    Raises:
        Refused: one is missing, unknown, twice there or of another shape.
    """
    mine = component_names(party, program.protocol)
    wanted = {f"{weight}/{name}": shape for weight, shape in program.weights.items() for name in mine}
    given = {tensor.name: tensor.data for tensor in tensors}
    if len(given) != len(tensors) or set(given) != set(wanted):
        odd = sorted(set(given) ^ set(wanted))
        what = (
            f"{odd[0][:200]!r} is {'missing' if odd[0] in wanted else 'not one of them'}"
            if odd
            else "one is twice there"
        )
        raise Refused(
            Reason.MALFORMED, f"inputs: {what}; worker {party} takes {' and '.join(mine) or 'nothing'} of each weight"
        )
    for name, shape in wanted.items():
        if given[name].shape != tuple(shape):
            raise Refused(
                Reason.WRONG_SHAPE, f"inputs[{name}].shape: {list(given[name].shape)}; {list(shape)} is needed"
            )
    return {weight: tuple(given[f"{weight}/{name}"] for name in mine) for weight in program.weights}


def metadata(model: Model, config: Config, inputs: InputRange | None) -> dict[str, Any]:
    """The public description of the model, in the form of the Open Inference Protocol.

    A worker that holds no component takes and gives no tensors; the shapes of a row are among the parameters, too.
    """
    program = model.program
    components = component_names(config.party, program.protocol)

    def described(shape: Sequence[int]) -> list[dict[str, Any]]:
        return [{"name": name, "datatype": DATATYPE, "shape": [-1, *shape]} for name in components]

    return {
        "name": config.name,
        "versions": [str(config.epoch)],
        "platform": "triveni",
        "inputs": described(program.input_shape),
        "outputs": described(program.output_shape),
        "parameters": {
            "namespace": config.namespace,
            "uid": config.uid,
            "epoch": config.epoch,
            "party": config.party,
            "protocol": program.protocol,
            "fractional_bits": fixed_point(program.protocol).fractional_bits,
            "input_shape": list(program.input_shape),
            "output_shape": list(program.output_shape),
            "max_rows": config.max_rows,
            "program_digest": model.digest,
            "architecture": model.architecture.document(),
            "input_range": inputs.document() if inputs else None,
        },
    }
