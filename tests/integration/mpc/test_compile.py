"""The compiler on real Keras models: the same answers, the same bytes, a cost that is known."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from benchmarks.draws import fresh_draws
from tests.integration.mpc.keras_nets import BOUNDS, NETS
from triveni.mpc.affine import Affine
from triveni.mpc.answer import finished
from triveni.mpc.architecture import Architecture, Dense, DepthwiseConv2D
from triveni.mpc.compile import CompileError, compile_program
from triveni.mpc.execute.interpret import evaluate_all
from triveni.mpc.fixedpoint import fixed_point
from triveni.mpc.lowering import lower
from triveni.mpc.ops import Array
from triveni.mpc.passes import PASSES, multiplications
from triveni.mpc.program import Program
from triveni.mpc.schedule import Schedule
from triveni.mpc.sharing import components_of, reveal, split
from triveni.sharing.keras_file import KerasModel

Models = Callable[[str], KerasModel]
Programs = Callable[[str], Program]


def answer(program: Program, model: KerasModel, x: np.ndarray) -> np.ndarray:
    """The answer that a client gets from all three parties, evaluated with nothing between them."""
    numbers = fixed_point(program.protocol)
    secrets = {"x": split(numbers.encode(x, "x"), program.protocol)}
    for name, weight in lower(model.architecture).encode(model.weights).items():
        secrets[name] = split(numbers.encode(weight, name), program.protocol)
    values = evaluate_all(program, lambda n: secrets[n.input.name][n.input.component], fresh_draws(len(x)), len(x))
    held: dict[int, Array] = {}
    for party, nodes in enumerate(program.outputs):
        for component, node in zip(components_of(party, program.protocol), nodes, strict=True):
            assert (held.setdefault(component, values[node]) == values[node]).all(), "holders of a component differ"
    last = model.architecture.clients_layer
    return finished(numbers.decode(reveal(*held.values())), last.kind if last else None)


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("rows", [1, 5])
def test_the_program_answers_what_plain_keras_answers(
    name: str, rows: int, model_of: Models, program_of: Programs, keras_nets: Path
) -> None:
    data = np.load(keras_nets / f"{name}.npz")
    got = answer(program_of(name), model_of(name), data["x"][:rows])
    np.testing.assert_allclose(got, data["y"][:rows], atol=BOUNDS.get(name, 1e-3))


@pytest.mark.parametrize("name", NETS)
def test_the_program_in_securenn_answers_what_plain_keras_answers(
    name: str, model_of: Models, securenn_program_of: Programs, keras_nets: Path
) -> None:
    data = np.load(keras_nets / f"{name}.npz")
    got = answer(securenn_program_of(name), model_of(name), data["x"][:5])
    np.testing.assert_allclose(got, data["y"][:5], atol=BOUNDS.get(name, 1e-3))


@pytest.mark.parametrize("name", ["mnist", *NETS])
def test_a_net_takes_no_more_rounds_than_the_documents_say(
    name: str, model_of: Models, program_of: Programs, securenn_program_of: Programs
) -> None:
    """For each ReLU and each product that follow one another 9 and 3, in SecureNN 3 and 1 (docs/layers.md)."""
    products, relus = lower(model_of(name).architecture).depth
    assert Schedule(program_of(name)).cost().online_rounds <= 9 * relus + 3 * products
    assert Schedule(securenn_program_of(name)).cost().online_rounds <= 3 * relus + products


def test_the_example_costs_what_the_documents_say(program_of: Programs) -> None:
    cost = Schedule(program_of("mnist")).cost()
    assert cost.online_rounds == 37
    assert cost.online_bytes == Affine(0, 518_928)
    assert cost.ahead_bytes == Affine(0, 235_488)
    assert multiplications(program_of("mnist")) == Affine(0, 1_130_688)


def test_the_example_in_securenn_costs_what_the_documents_say(securenn_program_of: Programs) -> None:
    """At most 13 rounds, 0.42 MB and of it 0.30 MB after the input is known."""
    cost = Schedule(securenn_program_of("mnist")).cost()
    assert (cost.online_rounds, cost.ahead_rounds) == (13, 1)
    assert cost.online_bytes == Affine(0, 293_984)
    assert cost.ahead_bytes == Affine(0, 102_240)
    assert cost.setup_bytes == Affine(619_008)


def test_in_securenn_every_relu_ends_with_fresh_shares(securenn_program_of: Programs) -> None:
    """select(...) + rho at server 0, - rho at server 1, for one draw of theirs: what the prover does not ask for."""
    for party in (0, 1):
        nodes = [node for node in securenn_program_of("mnist").nodes if node.party == party]
        chosen = [node for node in nodes if node.op == "select"]
        fresh = [n for n in nodes if n.inputs and n.inputs[0] in chosen]
        assert len(fresh) == len(chosen) == 3
        assert {(node.op, node.inputs[1].draw.holders) for node in fresh} == {(("add", "sub")[party], (0, 1))}


def test_weights_are_inputs_and_no_constant_holds_more_than_one_value(program_of: Programs) -> None:
    program = program_of("mnist")
    inputs = {node.input.name for node in program.nodes if node.input}
    assert inputs == {"x", *program.weights}
    assert all(set(node.attrs) == {"value"} for node in program.nodes if node.op == "const")


def test_no_draw_is_used_for_two_values(program_of: Programs) -> None:
    made = Counter((node.party, node.draw) for node in program_of("mnist").nodes if node.draw)
    assert set(made.values()) == {1}


def test_independent_compiles_give_the_same_bytes(model_of: Models, securenn_program_of: Programs) -> None:
    """Processes with other hash seeds and nothing cached, and one that compiled other nets before."""
    architecture = model_of("mnist").architecture
    command = [sys.executable, "-m", "triveni.mpc.compile", "SecureNN"]
    outputs = {
        subprocess.run(
            command,
            input=architecture.to_json(),
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            timeout=120,
        ).stdout
        for seed in ("1", "2")
    }
    assert outputs == {securenn_program_of("mnist").to_json()}


def test_a_cached_program_is_read_and_a_damaged_one_is_made_anew(tmp_path: Path) -> None:
    architecture = Architecture((3,), (Dense("a", 2),))
    first = compile_program(architecture, cache=tmp_path, timeout=120)
    (path,) = tmp_path.glob("*.program.json")
    made = path.stat().st_mtime_ns
    assert compile_program(architecture, cache=tmp_path, timeout=120).digest == first.digest
    assert path.stat().st_mtime_ns == made
    path.write_bytes(path.read_bytes()[:100])
    assert compile_program(architecture, cache=tmp_path, timeout=120).digest == first.digest


def test_what_cannot_be_compiled_is_said_in_a_sentence() -> None:
    too_large = Architecture((3, 3, 1500), (DepthwiseConv2D("d", (3, 3)),))
    with pytest.raises(CompileError, match="layer 'd': it is computed with more than"):
        compile_program(too_large, timeout=120)
    with pytest.raises(CompileError, match="protocol 'Shamir' is not built; ABY3, SecureNN is"):
        compile_program(too_large, "Shamir")
    with pytest.raises(CompileError, match="no result within 0 seconds"):
        compile_program(Architecture((3,), (Dense("a", 2),)), timeout=0)


def test_a_compiler_that_is_killed_is_said_to_have_been_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it wrote last, such as TensorFlow's remarks about the processor, is not why."""
    killed = tmp_path / "python"
    killed.write_text("#!/bin/sh\necho 'rebuild TensorFlow' >&2\nkill -9 $$\n")
    killed.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(killed))
    with pytest.raises(CompileError, match="killed by signal 9, most likely for want of memory"):
        compile_program(Architecture((3,), (Dense("a", 2),)), timeout=120)


def test_each_pass_makes_the_program_cheaper_or_leaves_its_cost(traced_example: Program) -> None:
    """In messages and ring products; the last pass only numbers."""
    program, costs = traced_example, []
    for one in PASSES:
        program = one(program)
        cost = Schedule(program).cost()
        bytes_sent = cost.online_bytes + cost.ahead_bytes
        costs.append((bytes_sent.per_row, multiplications(program).per_row, len(program.nodes)))
    assert all(after[:2] <= before[:2] for before, after in pairwise(costs))
    assert costs[0][:2] == (775_008, 1_696_032)
    assert costs[-1] == (754_416, 1_130_688, 2_295)
