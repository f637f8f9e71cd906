"""Every parser that reads what somebody else wrote: what it is fed, and how it may refuse."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any, TypeVar

import numpy as np
import yaml
from pydantic import ValidationError

from tests.fuzz import mutation
from tests.unit.controller.objects.samples import in_cluster
from tests.unit.mpc.execute.machine_programs import bits_program, product_program, two_rounds_program
from tests.unit.mpc.execute.tape_check import is_good
from tests.unit.mpc.securenn_programs import securenn_program
from tests.unit.sharing.keras_files import functional, hdf5, small_file, small_groups, small_layers
from triveni.api.inference import MalformedRequest, Tensor, decode, encode, encode_json, read_error
from triveni.api.problems import problems_of
from triveni.api.securemodel import SecureModel
from triveni.api.status import EpochStatus, Phase, Status, time_text
from triveni.client import description, live
from triveni.client.connection import Connection
from triveni.client.errors import InvalidConnection, WrongAnswer
from triveni.client.request import read_answer
from triveni.client.transport import Reply
from triveni.controller.decide.record import advance
from triveni.controller.objects import parts_of_model
from triveni.controller.observed import observe
from triveni.identity.authority import Authority
from triveni.identity.names import Identity, InvalidIdentity
from triveni.identity.tls import InvalidCredentials, WrongPeer, certified_identity, client_context
from triveni.keras.bundle import Addresses, Bundle, InvalidBundle
from triveni.keras.order import InvalidOrder as InvalidEpochOrder
from triveni.keras.order import Order as EpochOrder
from triveni.local.reports import report_of
from triveni.mpc.architecture import Architecture, InvalidArchitecture
from triveni.mpc.execute.native import KERNEL
from triveni.mpc.execute.tape import RECORD_WORDS
from triveni.mpc.execute.tape_writer import compile_tape
from triveni.mpc.program import Program
from triveni.mpc.prove import Unproven, require_proof
from triveni.sharing.failures import SharingFailure
from triveni.sharing.keras_file import parse_model, parse_pair
from triveni.sharing.keras_layers import read_layers
from triveni.sharing.rehearsal import rehearse
from triveni.sharing.shares import split_model
from triveni.sharing.worker_link import Address
from triveni.worker import frame
from triveni.worker.config import Config, InvalidConfig
from triveni.worker.desk import Desk
from triveni.worker.health import Health
from triveni.worker.model import read_architecture, read_inputs, read_shares, read_sharing
from triveni.worker.order import InvalidOrder, Progress
from triveni.worker.order import decode as read_order
from triveni.worker.refusal import Refused
from triveni.worker.state import State

ROOT = Path(__file__).parents[2]

T = TypeVar("T")

Refusals = tuple[type[Exception], ...]


@dataclass(frozen=True)
class Target:
    """One parser.

    Attributes:
        feed: calls it with what a generator makes; an exception that is not one of `refusals` is a finding.
        refusals: the errors by which it says no.
        weight: its part of all inputs.
    """

    name: str
    feed: Callable[[Random], object]
    refusals: Refusals = ()
    weight: int = 10


def targets() -> list[Target]:
    """All of them. Those that need one are called in a running event loop."""
    return [
        *_of_requests(),
        *_of_peers(),
        *_of_clients(),
        *_of_files(),
        *_of_programs(),
        *_of_cluster(),
        *_of_models(),
    ]


def _bytes(
    name: str, seeds: Sequence[bytes], read: Callable[[bytes], object], *refusals: type[Exception], weight: int = 10
) -> Target:
    return Target(name, lambda random: read(mutation.octets(random, seeds)), refusals, weight)


def _json(
    name: str, seeds: Sequence[Any], read: Callable[[Any], object], *refusals: type[Exception], weight: int = 10
) -> Target:
    """Documents with changes in their structure, as they come out of JSON."""
    seeds = [json.loads(json.dumps(seed)) for seed in seeds]
    return Target(name, lambda random: read(mutation.document(random, seeds)), refusals, weight)


# --- what clients and the sharing job send to a worker ------------------------------------------------------------


def _words(*shape: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.arange(int(np.prod(shape)), dtype=np.int64).reshape(shape) * 2**53


def _of_requests() -> list[Target]:
    tensors = [Tensor("component_0", _words(2, 3)), Tensor("component_1", _words(2, 3))]
    binary = [encode({"id": "r1"}, some) for some in (tensors, tensors[:1], [])]
    _, chunks = binary[0]
    header = json.loads(bytes(chunks[0]))
    rest = b"".join(map(bytes, chunks[1:]))

    def header_of(document: Any) -> object:
        text = mutation.text(document)
        return decode(text + rest, len(text))

    def body(random: Random) -> object:
        length, chunks = random.choice(binary)
        value = random.choice(
            (str(length), str(length), length, None, str(random.choice(mutation.NUMBERS)), "1e3", "²")
        )
        return decode(mutation.octets(random, [b"".join(map(bytes, chunks))]), value)

    plain = [encode_json({"id": "r1"}, some) for some in (tensors, tensors[:1], [])]
    program = product_program()
    weight = [Tensor(f"w/component_{c}", _words(4, 3)) for c in (0, 1)]
    shares = encode({}, weight)

    def of_weights(random: Random) -> object:
        given = mutation.octets(random, [b"".join(map(bytes, shares[1]))])
        return read_shares(decode(given, shares[0])[1], program, 0)

    return [
        Target("request, binary", body, (MalformedRequest,), 60),
        _json("request, its header", [header], header_of, MalformedRequest, weight=60),
        _json(
            "request, JSON", [json.loads(one) for one in plain], _text_into(decode, None), MalformedRequest, weight=60
        ),
        _bytes("request, JSON as bytes", plain, lambda data: decode(data, None), MalformedRequest, weight=60),
        Target("shares of weights", of_weights, (MalformedRequest, Refused), 40),
        _json("architecture, as it is sent", _declarations(), _declared, Refused, weight=40),
        _bytes("probe", [b"GET /healthz HTTP/1.1\r\nHost: w\r\n\r\n"], _probe, weight=20),
    ]


def _text_into(read: Callable[..., object], *more: Any) -> Callable[[Any], object]:
    return lambda document: read(mutation.text(document), *more)


def _declarations() -> list[Any]:
    begun = {"protocol": "ABY3", "sharing": "s", "input_range": {"min": 0, "max": 1}}
    return [begun | {"architecture": one} for one in architectures()]


def _declared(document: Any) -> object:
    return read_architecture(document, "ABY3", None), read_sharing(document), read_inputs(document)


@cache
def architectures() -> list[Any]:
    """Documents of models that are served: the small one of the tests, and a larger one with most kinds of layers."""
    small = parse_model(small_file(), "small").architecture
    resnet = parse_model((ROOT / "examples" / "models" / "resnet.keras").read_bytes(), "resnet").architecture
    return [small.document(), resnet.document()]


def _probe(request: bytes) -> object:
    return _HEALTH._answer(request)


_HEALTH = Health(
    SimpleNamespace(
        state=State.SERVING,
        status=lambda: dict.fromkeys(("epoch", "party", "state", "admitted", "answered"), 1),
        run_progress=lambda: None,
    ),
    30.0,
)


# --- what workers send to each other ------------------------------------------------------------------------------


def _of_peers() -> list[Target]:
    messages: list[Any] = [["arrived", "c/a", 1], ["withdraw", "c/a"], ["loaded"], ["withdrawn", "c/a"]]
    messages += [["refused", "c/a", "Busy", "too much"], {"kind": "data", "epoch": 1}, {"accepted": True}]
    orders = [["run", 1, 2, ["c/a", "c/b"], ""], ["prepare", 2, 4, [], ""], ["end", 0, 0, [], "Terminated"]]
    frames = [frame.encode(one) for one in (*messages, *orders)]
    frames.append(b"".join(frames))

    names = [Identity.worker("n", "u", 1, 0).uri.encode(), Identity.of_client("n", "u", "c").uri.encode()]

    def stream(data: bytes) -> object:
        reader = frame.Reader()
        return [reader.feed(data[at : at + 7]) for at in range(0, len(data), 7)]

    def follow(document: Any) -> object:
        return Progress(1).after(read_order(document), 32)

    return [
        _bytes("frames", frames, stream, frame.InvalidFrame, weight=60),
        _json("messages to worker 0", [messages[:3]], partial(_at_the_desk, 0, 1), frame.InvalidFrame, weight=20),
        _json("messages of worker 0", [messages[3:5]], partial(_at_the_desk, 2, 0), frame.InvalidFrame, weight=20),
        _json("orders", orders, follow, InvalidOrder, weight=40),
        _bytes("identities", names, _identity, InvalidIdentity, weight=20),
        _json("names in certificates", [{"subjectAltName": [["URI", names[1].decode()]]}], _certified, WrongPeer),
    ]


def _at_the_desk(party: int, peer: int, messages: Any) -> None:
    """Some messages in a row to a worker, from one peer."""
    desk = Desk(party, 10, 30.0, 64, 32)
    for message in messages if isinstance(messages, list) else [messages]:
        desk.on_control(peer, message)


def _identity(uri: bytes) -> object:
    return Identity.parse(uri.decode("utf-8", "replace"))


def _certified(certificate: Any) -> object:
    """Of what OpenSSL makes of a certificate only the texts are somebody else's."""
    names = certificate.get("subjectAltName") if isinstance(certificate, dict) else None
    pairs = [one for one in names if isinstance(one, list) and len(one) == 2] if isinstance(names, list) else []
    return certified_identity({"subjectAltName": [(str(kind), str(value)) for kind, value in pairs]})


# --- what workers answer to a client ------------------------------------------------------------------------------


def _of_clients() -> list[Target]:
    connection = Connection("m", "n", "u", ("https://h:1",) * 3, _credentials())
    parameters = {"namespace": "n", "uid": "u", "epoch": 1, "party": 0, "protocol": "ABY3", "fractional_bits": 20,
                  "input_shape": [4], "output_shape": [3], "max_rows": 32, "program_digest": "ab",
                  "architecture": architectures()[0]}  # fmt: skip
    inputs, outputs = (
        [{"name": f"component_{c}", "datatype": "INT64", "shape": [-1, n]} for c in (0, 1)] for n in (4, 3)
    )
    metadata = {"name": "m", "versions": ["1"], "inputs": inputs, "outputs": outputs, "parameters": parameters}
    one = description.read(0, metadata, connection)
    header = {"id": "r1", "parameters": {"epoch": 1, "party": 0}}
    tensors = [Tensor(f"component_{c}", _words(2, 3)) for c in (0, 1)]
    length, chunks = encode(header, tensors, "outputs")
    request = SimpleNamespace(id="r1", epoch=1, protocol="ABY3", rows=2)

    def answer(body: bytes) -> object:
        reply = Reply(200, {"Inference-Header-Content-Length": str(length)}, body)
        return read_answer(0, reply, request, one)  # type: ignore[arg-type]

    status = {"state": "Serving", "epoch": 1, "admitted": 1, "answered": 1, "granted": None, "requests_waiting": 0,
              "latency_ms": {"p50": 5.0}}  # fmt: skip
    return [
        _json("metadata", [metadata], lambda d: description.read(0, d, connection), WrongAnswer, weight=40),
        _bytes("answers", [b"".join(map(bytes, chunks))], answer, WrongAnswer, weight=40),
        _json("status", [status], lambda d: live._read(0, d) if isinstance(d, dict) else None, weight=20),
        _bytes("refusals", [b'{"error": "no", "reason": "Busy"}'], read_error, weight=20),
    ]


@cache
def _credentials() -> Any:
    return Authority.create("n", "u").issue(Identity.of_client("n", "u", "c"))


# --- files that somebody carries from one place to another --------------------------------------------------------


def _of_files() -> list[Target]:
    keys = _credentials().document()
    connection = {"name": "m", "namespace": "n", "uid": "u", "workers": ["https://10.0.0.1:1"] * 3, "credentials": keys}
    addresses = (Address("10.0.0.1", 1), Address("::1", 2), Address("h", 3))
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "bundle"
        Bundle.issue(Authority.create("n", "u"), Addresses(addresses, addresses), 0).write(path)
        bundle = json.loads(path.read_text())
    order = json.loads(EpochOrder(1, 3, "ABY3", _credentials()).text())
    here = {"host": "127.0.0.1", "port": 1}
    config: dict[str, Any] = {
        "namespace": "n",
        "uid": "u",
        "name": "m",
        "epoch": 1,
        "party": 0,
        "protocol": "ABY3",
        "grant": 3,
    }
    config |= {"listen": here, "peer_listen": here, "health_listen": here, "peers": {"1": here, "2": here}}
    config |= {"credentials": "c", "report": "r", "cache": None, "max_rows": 32, "run_timeout_s": 1.5}

    def context(certificate: bytes) -> object:
        credentials = _credentials()
        return client_context(type(credentials)(certificate, credentials.key, certificate))

    return [
        _json("connection files", [connection], Connection.from_document, InvalidConnection, weight=20),
        _json("bundles", [bundle], _bundle, InvalidBundle, weight=20),
        _json("orders of an epoch", [order], lambda d: EpochOrder.parse(mutation.text(d).decode()), InvalidEpochOrder),
        _json("configurations", [config], Config.parse, InvalidConfig, weight=20),
        _bytes("PEM", [_credentials().certificate, _credentials().ca], context, InvalidCredentials, weight=1),
    ]


def _bundle(document: Any) -> object:
    with tempfile.NamedTemporaryFile(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as file:
        file.write(mutation.text(document))
        file.flush()
        return Bundle.read(Path(file.name))


# --- programs, architectures, tapes -------------------------------------------------------------------------------


def _of_programs() -> list[Target]:
    programs = [one.to_json() for one in (product_program(), two_rounds_program(), bits_program(), securenn_program())]
    documents = [json.loads(one) for one in programs]

    def prove(document: Any) -> object:
        return require_proof(Program.from_json(mutation.text(document)))

    return [
        _bytes("programs", programs, Program.from_json, ValueError, weight=3),
        _json("programs, proved", documents, prove, ValueError, Unproven, weight=2),
        _json("architectures", architectures(), _text_into(Architecture.from_json), InvalidArchitecture, weight=20),
        Target("tapes", _tape_target(), weight=5),
    ]


def _tape_target() -> Callable[[Random], object]:
    tapes = [
        compile_tape(one, party) for one in (product_program(), bits_program(), securenn_program()) for party in (0, 2)
    ]

    def feed(random: Random) -> None:
        """The kernel's check and its oracle in Python say the same of one record, whatever is in it."""
        assert KERNEL is not None, "the kernel is needed: make setup with a C compiler"
        tape, rows = random.choice(tapes), random.choice((1, 3))
        record = [int(word) for word in random.choice(tape.at(rows))]
        for _ in range(random.choice((1, 1, 2, 3))):
            at = random.randrange(24)
            change = random.choice((*mutation.NUMBERS, record[at] + 1, record[at] - 8, -record[at]))
            record[at] = (change + 2**63) % 2**64 - 2**63
        arena = tape.arena.at(rows)
        data = b"".join(word.to_bytes(8, "little", signed=True) for word in record)
        assert len(data) == 8 * RECORD_WORDS
        assert (KERNEL.check(data, arena) == -1) == is_good(record, arena), record

    return feed


# --- what a cluster shows, and manifests --------------------------------------------------------------------------


def _of_cluster() -> list[Target]:
    report = {"epoch": 1, "party": 0, "admitted": 3, "answered": 3, "erased": True, "reason": "QuotaReached",
              "message": "done", "runs": 1, "rounds": 2, "bytes_sent": 3,
              "receipt": {"epoch": 1, "party": 0, "erased_at": "2026-01-01T00:00:00+00:00", "program_digest": "ab",
                          "bytes_erased": 9}}  # fmt: skip
    manifest = next(yaml.safe_load_all((ROOT / "examples" / "mnist.yaml").read_text()))
    when = "2026-01-01T00:00:00Z"
    status = {
        "served": 1,
        "conditions": [
            {"type": "Ready", "status": "True", "reason": "Serving", "message": "", "lastTransitionTime": when}
        ],
        "epoch": {"number": 2, "grant": 3, "phase": "Serving", "startedAt": when, "modelHash": "ab"},
        "quota": {"charged": 1, "remaining": 2},
        "charges": [{"epoch": 1, "rows": 1, "why": "w", "ended": "Terminated", "at": when, "workers": [{"party": 0}]}],
        "receipts": [{"epoch": 1, "party": 0, "erasedAt": when, "programDigest": "ab", "bytesErased": 9}],
    }

    def last_words(data: bytes) -> object:
        return charged_for(data.decode("utf-8", "replace"))

    return [
        _bytes("termination messages", [mutation.text(report)], last_words, weight=20),
        _json("reports", [report], lambda d: report_of(d) if isinstance(d, dict) else None, weight=20),
        _json("reports, as last words", [report], lambda d: last_words(mutation.text(d)), weight=20),
        _json("SecureModels", [manifest], _said(SecureModel.read), ValidationError, weight=10),
        _json("statuses", [status], Status.read, ValidationError, weight=2),
    ]


def charged_for(last_words: str) -> bytes:
    """What the operator writes down once an epoch has ended in which all workers said this."""
    pods = [
        {
            "kind": "Pod",
            "metadata": {
                "name": f"p{party}",
                "uid": "u",
                "labels": {"triveni.dev/epoch": "1", "triveni.dev/party": str(party)},
                "creationTimestamp": "2026-01-01T00:00:00Z",
            },
            "spec": {},
            "status": {"containerStatuses": [{"state": {"terminated": {"exitCode": 0, "message": last_words}}}]},
        }
        for party in range(3)
    ]
    model, now = _any_model(), datetime(2026, 1, 1, tzinfo=UTC)
    epoch = EpochStatus(number=1, phase=Phase.SERVING, started_at=time_text(now), model_hash=parts_of_model(model))
    ending = advance(model, Status(epoch=epoch), observe(pods), None, now)
    ended = advance(model, ending, observe(pods), None, now)
    assert ended.epoch is not None
    assert ended.epoch.phase is Phase.ENDED
    assert Status.read(json.loads(json.dumps(ended.wire()))).wire() == ended.wire()
    return json.dumps(ended.wire(), ensure_ascii=False).encode()


@cache
def _any_model() -> SecureModel:
    return in_cluster(next(yaml.safe_load_all((ROOT / "examples" / "mnist.yaml").read_text())))


def _said(read: Callable[[Any], object]) -> Callable[[Any], object]:
    """A refusal has to be put into words, too."""

    def fed(document: Any) -> object:
        try:
            return read(document)
        except ValidationError as error:
            problems_of(error)
            raise

    return fed


# --- models -------------------------------------------------------------------------------------------------------


def _of_models() -> list[Target]:
    files = [small_file(), small_file(compression=8)]
    whole = [_whole_h5()]
    layers = {"class_name": "Sequential", "config": {"name": "s", "layers": list(small_layers())}, "module": "keras",
              "registered_name": None}  # fmt: skip
    weights = hdf5(small_groups())
    documents = [layers, functional(*small_layers())]

    def split(content: bytes) -> object:
        return split_model(_rehearsed(lambda: parse_model(content, "model")), "ABY3")

    def pair(document: Any) -> object:
        return parse_pair(mutation.text(document), weights, "layers", "weights")

    return [
        _bytes("models, .keras", files, split, SharingFailure, weight=6),
        _bytes("models, .h5", whole, split, SharingFailure, weight=6),
        _bytes("weights", [weights], partial(_weights, mutation.text(layers)), SharingFailure, weight=6),
        _json("layers", documents, read_layers, SharingFailure, weight=20),
        _json("layers with weights", documents, pair, SharingFailure, weight=5),
    ]


def _weights(layers: bytes, weights: bytes) -> object:
    return _rehearsed(lambda: parse_pair(layers, weights, "layers", "weights"))


def _rehearsed(read: Callable[[], T]) -> T:
    """As the sharing job reads: some of these send libhdf5 round in circles."""
    rehearse(read, "model", seconds=1)
    return read()


@cache
def _whole_h5() -> bytes:
    def whole(file: Any) -> None:
        model = {"class_name": "Sequential", "config": {"name": "s", "layers": list(small_layers())}}
        file.attrs["model_config"] = json.dumps(model)
        file.attrs["keras_version"] = "3.15.1"
        for group, (name, arrays) in small_groups().items():
            del file[f"layers/{group}"]
            for variable, values in zip(("kernel", "bias"), arrays, strict=False):
                file[f"model_weights/{name}/{name}/{variable}:0"] = values

    return hdf5(small_groups(), whole)
