"""What `triveni check` tells of a model, with small programs in place of compiled ones."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.cli.cli import same_as_golden, triveni
from tests.unit.mpc.prove.prove_programs import Toy
from triveni.cli import check
from triveni.cli.check import Compiled, Findings
from triveni.cli.cost import LAN, WAN, Network, RequestCost
from triveni.cli.model_file import read
from triveni.cli.output import screen
from triveni.mpc.architecture import Architecture
from triveni.mpc.compile import CompileError
from triveni.mpc.program import Program
from triveni.mpc.prove import prove
from triveni.sharing.failures import ValueOutOfRange
from triveni.sharing.keras_file import KerasModel
from triveni.sharing.shares import ModelShares

MODEL = Path(__file__).parents[3] / "examples" / "mnist" / "model.keras"
EXAMPLE = Path(__file__).parents[3] / "examples" / "mnist.yaml"


def good() -> Program:
    """A program that can be proved: what is sent is masked."""
    toy = Toy(4)
    toy.send(toy.op("add", toy.x(0, 0), toy.draw(0, "01", 0)), 2)
    return replace(toy.program(), protocol="ABY3")


def leaky() -> Program:
    """One that cannot: a component of the request is sent as it is."""
    toy = Toy(4)
    toy.send(toy.x(0, 1), 2)
    return toy.program()


asked: list[int | None] = []
"""The bits of answers for which the compiler was called."""


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> dict[str, Program | CompileError]:
    """What comes out of the compiler for each protocol."""
    programs: dict[str, Program | CompileError] = {"ABY3": good()}

    def compile_program(architecture: Architecture, protocol: str, **_options: object) -> Program:
        asked.append(architecture.answer_bits)
        found = programs[protocol]
        if isinstance(found, CompileError):
            raise found
        return found

    asked.clear()
    monkeypatch.setattr(check, "compile_program", compile_program)
    monkeypatch.setattr(check, "PROTOCOLS", ("ABY3",))
    return programs


Programs = dict[str, Program | CompileError]


def test_layers_cost_proof_and_verdict(compiled: Programs) -> None:
    told = triveni("check", EXAMPLE)
    assert (told.code, told.err) == (0, "")
    same_as_golden("check.txt", told.out)


@pytest.mark.parametrize(
    ("bits", "said"),
    [
        (8, "Clients are given 8 fractional bits of each value of an answer: steps of 1/256, off by less than 2.5."),
        (1, "Clients are given 1 fractional bit of each value of an answer: steps of 1/2, off by less than 2.5."),
        (0, "Clients are given whole numbers for the values of an answer, off by less than 2.5."),
    ],
)
def test_what_clients_are_given_is_compiled_and_told_where_it_is_not_all(
    compiled: Programs, tmp_path: Path, bits: int, said: str
) -> None:
    text = EXAMPLE.read_text().replace(
        "  protocol: ABY3\n", f"  protocol: ABY3\n  answer: {{fractionalBits: {bits}}}\n"
    )
    path = tmp_path / "mnist.yaml"
    path.write_text(text)
    assert said in triveni("check", path).out.splitlines()
    assert json.loads(triveni("check", path, "--json").out)["answer_fractional_bits"] == bits
    assert asked == [bits, bits]


def test_the_same_as_json(compiled: Programs) -> None:
    told = triveni("check", EXAMPLE, "--json", "--rtt", "20", "--bandwidth", "10")
    assert told.code == 0
    same_as_golden("check.json", json.dumps(json.loads(told.out), indent=1) + "\n")


def test_a_program_that_is_not_proved_is_refused(compiled: Programs) -> None:
    compiled["ABY3"] = leaky()
    told = triveni("check", EXAMPLE)
    assert told.code == 3
    assert "NOT PROVED for ABY3: party 2 could learn from" in told.out
    assert told.out.endswith("mnist.yaml is refused: nothing shows that it keeps the secrets by ABY3.\n")


def test_a_model_that_cannot_be_compiled_here(compiled: Programs) -> None:
    compiled["ABY3"] = CompileError("tensorflow is not installed here; install triveni[compile]")
    told = triveni("check", EXAMPLE)
    assert told.code == 1
    assert "ABY3: the model cannot be compiled: tensorflow is not installed here" in told.out
    document = json.loads(triveni("check", EXAMPLE, "--json").out)
    assert document["protocols"][0]["rounds"] is None
    assert document["recommended"] == {}


def test_a_second_protocol_is_compared_and_the_better_one_recommended(
    compiled: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "PROTOCOLS", ("ABY3", "SecureNN"))
    compiled["SecureNN"] = good()
    costs = {"ABY3": RequestCost("ABY3", 37, 750_000, 520_000, 100_000, 0)}
    costs["SecureNN"] = RequestCost("SecureNN", 13, 420_000, 300_000, 2_000_000, 0)
    monkeypatch.setattr(check, "cost_of", lambda program: costs["ABY3" if program is compiled["ABY3"] else "SecureNN"])
    told = triveni("check", EXAMPLE)
    assert told.code == 0
    assert "Recommended: ABY3 on LAN, SecureNN on WAN." in told.out
    assert "From a round trip of 12.7 ms on, SecureNN is the faster, by this estimate." in told.out
    assert json.loads(triveni("check", EXAMPLE, "--json").out)["recommended"] == {"LAN": "ABY3", "WAN": "SecureNN"}


def test_a_protocol_that_cannot_carry_the_weights_is_told_beside_one_that_can(
    compiled: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def split_model(model: KerasModel, protocol: str, _inputs: object) -> ModelShares:
        if protocol == "SecureNN":
            raise ValueOutOfRange("dense/kernel[0]", "is too large")
        return ModelShares(model.architecture, ())

    monkeypatch.setattr(check, "PROTOCOLS", ("ABY3", "SecureNN"))
    monkeypatch.setattr(check, "split_model", split_model)
    told = triveni("check", EXAMPLE)
    assert told.code == 0
    assert "SecureNN: refused (ValueOutOfRange): weight dense/kernel[0] is too large" in told.out
    monkeypatch.setattr(check, "PROTOCOLS", ("SecureNN",))
    assert triveni("check", EXAMPLE).code == 3


def test_without_a_range_of_inputs_nothing_is_known_of_what_fits(compiled: Programs) -> None:
    told = triveni("check", MODEL)
    assert told.code == 0
    assert "No range of inputs is given (spec.model.inputRange, --input-range): nothing is known" in told.out
    document = json.loads(triveni("check", MODEL, "--json").out)
    assert (document["input_range"], document["protocols"][0]["values"]) == (None, None)


def test_a_range_of_inputs_may_be_given_for_a_model_file(compiled: Programs) -> None:
    document = json.loads(triveni("check", MODEL, "--json", "--input-range", "-1,1").out)
    assert document["input_range"] == {"min": -1.0, "max": 1.0}
    values = document["protocols"][0]["values"]
    assert values["layer"] == "logit"
    assert 2**11 < values["at_most"] < values["below"] == 2**22


def test_a_model_whose_values_may_not_fit_is_refused(compiled: Programs) -> None:
    told = triveni("check", MODEL, "--input-range", "-1000,1000")
    assert told.code == 3
    assert "refused (ValuesDoNotFit): layer 'logit': with inputs from -1000 to 1000, a product may be" in told.err


@pytest.mark.parametrize(
    ("model", "text", "said"),
    [
        (EXAMPLE, "0,1", "--input-range: a manifest says it itself, in spec.model.inputRange"),
        (MODEL, "1,0", "--input-range: '1,0' is no range; give two numbers, the smaller one first: 0,1"),
    ],
)
def test_a_range_of_inputs_that_cannot_be_used(model: Path, text: str, said: str) -> None:
    told = triveni("check", model, "--input-range", text)
    assert (told.code, told.err) == (2, f"triveni: {said}\n")


def test_one_that_is_the_faster_everywhere(capsys: pytest.CaptureFixture[str]) -> None:
    program = good()
    architecture = read(EXAMPLE).keras.architecture
    found = [
        Compiled(name, "x", RequestCost(name, rounds, 1, 1, 1, 0), prove(program))
        for name, rounds in (("A", 9), ("B", 5))
    ]
    findings = Findings(Path("m.keras"), architecture, 10, None, found)
    check._print(findings, (LAN, WAN, Network("yours", 0.001, 1e8)), screen())
    assert "Recommended: B, on all of these networks." in capsys.readouterr().out


@pytest.mark.parametrize("rtt", ["-1", "fast", "inf", "nan", "70000"])
def test_a_round_trip_that_is_none(rtt: str) -> None:
    said = f"triveni: --rtt: '{rtt}' is not a round trip; give milliseconds from 0 to 60000, or measure\n"
    told = triveni("check", EXAMPLE, "--rtt", rtt)
    assert (told.code, told.err) == (2, said)


def test_measuring_needs_workers_and_workers_are_only_measured() -> None:
    assert "Add --connection FILE" in triveni("check", EXAMPLE, "--rtt", "measure").err
    assert "only for --rtt measure" in triveni("check", EXAMPLE, "--connection", "c.json").err


def test_a_refusal_as_json(tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    path.write_text("weights")
    told = triveni("check", path, "--json")
    assert told.code == 3
    assert json.loads(told.out)["refused"]["reason"] == "NotAKerasFile"
