"""`triveni check`: what will be served and what a request costs by each protocol; or what is refused, and why."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rich.text import Text

from triveni.cli.cache import cache_directory
from triveni.cli.cost import LAN, WAN, Network, RequestCost, changes_at, cost_of, fastest
from triveni.cli.errors import bad_input
from triveni.cli.exit_codes import FAILED, OK, REFUSED
from triveni.cli.model_file import Given, read
from triveni.cli.output import Screen, json_line, progress, screen, table
from triveni.mpc.architecture import Architecture
from triveni.mpc.compile import CompileError, compile_program
from triveni.mpc.compile.driver import PROTOCOLS
from triveni.mpc.input_range import InputRange
from triveni.mpc.prove import Proof, prove
from triveni.mpc.ranges import Ranges, power
from triveni.sharing.failures import SharingFailure, SourceNotFound, UnsupportedLayer
from triveni.sharing.keras_file import KerasModel
from triveni.sharing.shares import split_model


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says; round trip in milliseconds, bandwidth in Mbit/s."""

    model: Path
    rtt_ms: float | None = None
    bandwidth: float = WAN.bits_per_s / 1e6
    as_json: bool = False
    inputs: InputRange | None = None
    """What all inputs are within, for a model file; a manifest says it itself."""

    @property
    def networks(self) -> tuple[Network, ...]:
        """Those that latency is told for; one that was given is the last."""
        if self.rtt_ms is None:
            return LAN, WAN
        return LAN, WAN, Network("yours", self.rtt_ms / 1000, self.bandwidth * 1e6)


@dataclass(frozen=True)
class Compiled:
    """A model by one protocol: its program, cost and proof; or the problem that there is none."""

    protocol: str
    digest: str = ""
    cost: RequestCost | None = None
    proof: Proof | None = None
    problem: str = ""
    ranges: Ranges | None = None

    @property
    def holds(self) -> bool:
        """Whether it can be served."""
        return self.proof is not None and self.proof.holds


@dataclass(frozen=True)
class Findings:
    """What is found out about a model."""

    model: Path
    architecture: Architecture
    weights: int
    asked: str | None
    """The protocol that the manifest names; None for a model file, for which any will do."""

    compiled: Sequence[Compiled] = field(default_factory=list)
    inputs: InputRange | None = None
    """What all inputs are within; None if that is not known."""

    @property
    def served(self) -> bool:
        """Whether it can be served, by the protocol that was asked for."""
        return any(one.holds and self.asked in (None, one.protocol) for one in self.compiled)

    @property
    def costs(self) -> Sequence[RequestCost]:
        """Of the protocols that can serve it."""
        return [one.cost for one in self.compiled if one.holds and one.cost is not None]


def check(options: Options) -> int:
    """Check a model file or a manifest; the exit code.

    Raises:
        InvalidManifest, CommandFailed, SharingFailure: there is no such model, or it is refused.
    """
    try:
        findings = _find(options.model, read(options.model), options.inputs)
    except SharingFailure as error:
        if options.as_json and not isinstance(error, SourceNotFound):
            json_line(_refused(options.model, error))
        raise
    if options.as_json:
        json_line(document(findings, options.networks))
    else:
        _print(findings, options.networks, screen())
    if findings.served:
        return OK
    return REFUSED if any(one.proof is not None for one in findings.compiled) else FAILED


def _find(model: Path, given: Given, inputs: InputRange | None) -> Findings:
    """What comes of it by each protocol; SharingFailure if it is refused by the one that it asks for, or by all."""
    if given.manifest and inputs:
        raise bad_input("--input-range: a manifest says it itself, in spec.model.inputRange")
    spec = given.manifest.secure_model.spec if given.manifest else None
    asked = spec.protocol if spec else None
    if spec and (declared := spec.model.input_range):
        inputs = InputRange(declared.min, declared.max)
    keras = given.keras.answering(spec.answer.fractional_bits if spec else None)
    split = {protocol: _split(keras, protocol, inputs) for protocol in PROTOCOLS}
    refused = {protocol: error for protocol, error in split.items() if isinstance(error, SharingFailure)}
    if asked in refused or len(refused) == len(PROTOCOLS):
        raise refused[asked if asked is not None and asked in refused else next(iter(refused))]
    compiled = [
        Compiled(protocol, problem=f"refused ({found.reason}): {found}")
        if isinstance(found, SharingFailure)
        else replace(_compile(keras.architecture, protocol), ranges=found)
        for protocol, found in split.items()
    ]
    return Findings(model, keras.architecture, given.weights, asked, compiled, inputs)


def _split(keras: KerasModel, protocol: str, inputs: InputRange | None) -> Ranges | SharingFailure | None:
    """What is known about its values in a protocol, or why it is refused."""
    try:
        return split_model(keras, protocol, inputs).ranges
    except SharingFailure as error:
        return error


def _compile(architecture: Architecture, protocol: str) -> Compiled:
    try:
        with progress(f"compiling for {protocol}"):
            program = compile_program(architecture, protocol, cache=cache_directory())
        with progress(f"proving {protocol}"):
            return Compiled(protocol, program.digest, cost_of(program), prove(program))
    except CompileError as error:
        return Compiled(protocol, problem=str(error))


# --- as JSON ------------------------------------------------------------------------------------------------------


def document(findings: Findings, networks: Sequence[Network]) -> dict[str, Any]:
    """Everything, as JSON."""
    architecture = findings.architecture
    return {
        "model": findings.model.name,
        "served": findings.served,
        "refused": None,
        "protocol": findings.asked,
        "input_shape": list(architecture.input_shape),
        "output_shape": list(architecture.output_shape),
        "answer_fractional_bits": architecture.answer_bits,
        "weights": findings.weights,
        "input_range": findings.inputs.document() if findings.inputs else None,
        "layers": [
            {"name": name, "kind": kind, "output_shape": list(shape), "weights": weights}
            for name, kind, shape, weights in _layers(architecture)
        ],
        "networks": [{"name": n.name, "rtt_ms": n.rtt_s * 1000, "mbit_per_s": n.bits_per_s / 1e6} for n in networks],
        "protocols": [_protocol(one, networks) for one in findings.compiled],
        "recommended": {
            network.name: fastest(findings.costs, network).protocol for network in networks if findings.costs
        },
    }


def _protocol(compiled: Compiled, networks: Sequence[Network]) -> dict[str, Any]:
    cost = compiled.cost
    return {
        "protocol": compiled.protocol,
        "program": compiled.digest or None,
        "problem": compiled.problem or None,
        "rounds": cost.rounds if cost else None,
        "bytes": cost.total_bytes if cost else None,
        "online_bytes": cost.online_bytes if cost else None,
        "estimated_latency_ms": (
            {network.name: round(cost.latency_s(network) * 1000, 3) for network in networks} if cost else None
        ),
        "proved": compiled.holds,
        "not_proved": list(compiled.proof.failures()) if compiled.proof else [],
        "values": _values_document(compiled.ranges) if compiled.ranges else None,
    }


def _values_document(ranges: Ranges) -> dict[str, Any]:
    narrowest = ranges.narrowest
    return {
        "layer": narrowest.layer,
        "at_most": _at_most(narrowest.bound),
        "below": narrowest.below,
        "error_at_most": _at_most(ranges.error),
        "chance_at_most": _at_most(ranges.chance),
    }


def _at_most(bound: float) -> float:
    """A bound with four digits, surely not less: the others depend on the machine."""
    return float(f"{bound * 1.0005:.4g}")


def _refused(model: Path, error: SharingFailure) -> dict[str, Any]:
    layers = [error, *error.others] if isinstance(error, UnsupportedLayer) else []
    return {
        "model": model.name,
        "served": False,
        "refused": {
            "reason": error.reason,
            "message": str(error),
            "layers": [{"name": one.layer, "problem": one.problem, "way_out": one.way_out} for one in layers],
        },
    }


def _layers(architecture: Architecture) -> Iterator[tuple[str, str, tuple[int, ...], int]]:
    """Name, kind, shape of a row behind it, number of weights."""
    for layer, before, after in architecture.walk():
        weights = sum(math.prod(shape) for shape in layer.weight_shapes(before).values())
        yield layer.name, type(layer).__name__, after, weights


# --- for people ---------------------------------------------------------------------------------------------------


def _print(findings: Findings, networks: Sequence[Network], console: Screen) -> None:
    architecture = findings.architecture
    shapes = f"{_shape(architecture.input_shape)} to {_shape(architecture.output_shape)}"
    console.print(Text(f"{findings.model.name}: {shapes}, {findings.weights:,} weights", "bold"))
    console.print()
    rows = [(n, kind, _shape(s), f"{w:,}" if w else "") for n, kind, s, w in _layers(architecture)]
    table(console, ("LAYER", "KIND", "OUTPUT OF A ROW", "WEIGHTS"), rows)
    console.print()
    if architecture.answer_bits is not None:
        console.print(f"Clients are given {_given(architecture.answer_bits)}, off by less than 2.5.")
        console.print()
    costs = [one for one in findings.compiled if one.cost is not None]
    if costs:
        _costs(costs, networks, console)
        console.print()
        _proofs(costs, console)
        console.print()
    _fits(findings, console)
    console.print()
    for one in findings.compiled:
        if one.problem:
            console.print(Text(f"{one.protocol}: {one.problem}", "bold red"))
        for failure in one.proof.failures() if one.proof else ():
            console.print(Text(f"NOT PROVED for {one.protocol}: {failure}", "bold red"))
    if findings.costs:
        for line in _recommendation(findings.costs, networks):
            console.print(line)
    verdict = "can be served" if findings.served else "is refused: nothing shows that it keeps the secrets"
    if not findings.served and not any(one.proof for one in findings.compiled):
        verdict = "could not be compiled here"
    by = f" by {findings.asked}" if findings.asked else ""
    console.print(Text(f"{findings.model.name} {verdict}{by}.", "bold green" if findings.served else "bold red"))


def _costs(compiled: Sequence[Compiled], networks: Sequence[Network], console: Screen) -> None:
    head = ("PROTOCOL", "ROUNDS", "BYTES", "AFTER THE INPUT", *(f"ON {network.name.upper()}" for network in networks))
    rows = [
        (
            one.protocol,
            str(cost.rounds),
            _kilobytes(cost.total_bytes),
            _kilobytes(cost.online_bytes),
            *(_milliseconds(cost.latency_s(network)) for network in networks),
        )
        for one in compiled
        if (cost := one.cost) is not None
    ]
    console.print("A request of one row; bytes are those of all workers together, times are estimates:")
    table(console, head, rows)
    console.print(Text(f"{'; '.join(map(str, networks))}.", "dim"))


def _proofs(compiled: Sequence[Compiled], console: Screen) -> None:
    console.print("What each worker receives, and what is proved about it:")
    rows = [
        (one.protocol, *map(str, (row.party, row.received, row.uniform, row.without_secret, row.open)))
        for one in compiled
        if one.proof is not None
        for row in one.proof.table()
    ]
    table(console, ("PROTOCOL", "WORKER", "MESSAGES", "UNIFORM", "WITHOUT A SECRET", "OPEN"), rows)


def _fits(findings: Findings, console: Screen) -> None:
    if findings.inputs is None:
        unknown = "nothing is known about whether all values fit, and one that does not makes an answer wrong silently"
        console.print(Text(f"No range of inputs is given (spec.model.inputRange, --input-range): {unknown}.", "yellow"))
        return
    console.print(f"What values can be for inputs from {findings.inputs}, whatever they are:")
    rows = [
        (
            one.protocol,
            f"{power(ranges.narrowest.bound)} of {power(ranges.narrowest.below)}",
            ranges.narrowest.layer,
            f"{ranges.error:.2g}",
            f"1 in {1 / ranges.chance:,.0f}" if ranges.chance else "none",
        )
        for one in findings.compiled
        if (ranges := one.ranges) is not None
    ]
    table(console, ("PROTOCOL", "AT MOST", "IN LAYER", "ROUNDING OF AN ANSWER", "CHANCE OF A WRONG ROW"), rows)


def _recommendation(costs: Sequence[RequestCost], networks: Sequence[Network]) -> Iterator[str]:
    if len(costs) == 1:
        yield f"Recommended: {costs[0].protocol}, the only protocol of this version that serves it."
        return
    chosen = {network.name: fastest(costs, network).protocol for network in networks}
    if len(set(chosen.values())) == 1:
        yield f"Recommended: {next(iter(chosen.values()))}, on all of these networks."
    else:
        yield f"Recommended: {', '.join(f'{protocol} on {name}' for name, protocol in chosen.items())}."
    at = changes_at(costs, networks[-1])
    if at is not None:
        slow = fastest(costs, Network("", 2 * at + 1e-3, networks[-1].bits_per_s)).protocol
        yield f"From a round trip of {at * 1000:.1f} ms on, {slow} is the faster, by this estimate."


def _given(bits: int) -> str:
    if not bits:
        return "whole numbers for the values of an answer"
    return f"{bits} fractional bit{'' if bits == 1 else 's'} of each value of an answer: steps of 1/{2**bits}"


def _shape(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


def _kilobytes(size: int) -> str:
    return f"{size / 1000:,.1f} kB"


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < 0.0995 else f"{seconds * 1000:.0f} ms"
