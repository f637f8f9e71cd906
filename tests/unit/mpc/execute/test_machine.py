"""The machine: three parties by hand-built and random programs, both back ends, failures, statistics, erasure."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.mpc.execute.machine_network import CONTEXT, Network, Three, at_the_same_time, secrets_of_three
from tests.unit.mpc.execute.machine_programs import (
    RandomProgram,
    bits_program,
    product_program,
    random_programs,
    two_rounds_program,
)
from tests.unit.mpc.securenn_programs import securenn_program
from triveni.mpc.affine import Affine
from triveni.mpc.execute import machine as machine_module
from triveni.mpc.execute.machine import Machine, NoKernel, NotPrepared, NoWeights, PeerLost, WrongRequest, WrongWeights
from triveni.mpc.execute.native import NativeBackend
from triveni.mpc.program import Program
from triveni.mpc.randomness import EpochDrawn, Keystreams, MissingKey, RunNumberReused
from triveni.mpc.sharing import reveal, split

BACKENDS = [False, True]

PROGRAMS = [product_program, bits_program, two_rounds_program, securenn_program]


def words(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    return rng.integers(-(2**63), 2**63 - 1, shape, endpoint=True)


def request_for(program: Program, rows: int, seed: int = 1) -> Any:
    return split(words(np.random.default_rng(seed), (rows, *program.input_shape)), program.protocol)


def weights_for(program: Program) -> dict[str, Any]:
    rng = np.random.default_rng(2)
    return {name: words(rng, shape) for name, shape in program.weights.items()}


def poison(three: Three, byte: int) -> None:
    """Fill all of the native arenas that no run may count on."""
    for machine in three.machines:
        backend = machine._backend
        if isinstance(backend, NativeBackend):
            np.frombuffer(backend._arena, np.uint8)[backend._tape.epoch_bytes :] = byte


@pytest.mark.parametrize("native", BACKENDS)
@pytest.mark.parametrize("rows", [1, 2, 5])
def test_a_product_of_shared_matrices_is_revealed_exactly(native: bool, rows: int) -> None:
    program = product_program()
    rng = np.random.default_rng(3)
    x, w = words(rng, (rows, 4)), words(rng, (4, 3))
    three = Three(program, {"w": w}, native).load()
    for run in (1, 2):
        answers = three.run(run, split(x))
        assert np.array_equal(reveal(*(answers[p][0] for p in range(3))), x @ w)
        assert all(np.array_equal(answers[p][1], answers[(p + 1) % 3][0]) for p in range(3))


def test_the_components_of_an_answer_are_new_in_every_run() -> None:
    program = product_program()
    three = Three(program, weights_for(program), True).load()
    x = request_for(program, 3)
    first, second = three.run(1, x), three.run(2, x)
    assert all((a != b).all() for a, b in zip(first[0], second[0], strict=True))


@pytest.mark.parametrize("make", PROGRAMS)
@pytest.mark.parametrize("rows", [1, 3, 8])
def test_machines_answer_as_the_oracle_and_both_back_ends_send_the_same_bytes(make: Any, rows: int) -> None:
    program = make()
    secrets, x = secrets_of_three(), request_for(program, rows)
    native, numpy = (Three(program, weights_for(program), backend, secrets=secrets) for backend in (True, False))
    numpy.shares = native.shares
    for three in (native, numpy):
        three.load().assert_as_the_oracle(1, x)
    assert any(frames for frames in native.network.sent.values())
    assert native.network.sent == numpy.network.sent


def test_parties_with_and_without_the_kernel_work_together() -> None:
    program = bits_program()
    Three(program, {}, [True, False, True]).load().assert_as_the_oracle(1, request_for(program, 4))


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(random_programs(), st.integers(1, 3))
def test_random_programs_give_what_the_oracle_gives_whatever_was_in_the_arena(made: RandomProgram, rows: int) -> None:
    program = made.program
    weights, x = weights_for(program), request_for(program, rows)
    three = Three(program, weights, True, max_rows=3).load()
    for run, byte in ((1, 0xFF), (2, 0x5A)):
        poison(three, byte)
        three.assert_as_the_oracle(run, x)
    other = Three(program, weights, False, max_rows=3, secrets=three.secrets)
    other.shares = three.shares
    other.load()
    for run in (1, 2):
        other.assert_as_the_oracle(run, x)
    assert other.network.sent == three.network.sent


@pytest.mark.parametrize("native", BACKENDS)
def test_batches_of_different_sizes_follow_each_other(native: bool) -> None:
    program = bits_program()
    three = Three(program, {}, native).load()
    for run, rows in enumerate([1, 8, 3, 1, 2, 4, 5, 6, 7, 8, 1], 1):
        poison(three, 0xAA)
        three.assert_as_the_oracle(run, request_for(program, rows, seed=run))


@pytest.mark.parametrize("native", BACKENDS)
def test_a_run_that_was_prepared_and_not_used_is_overwritten_by_the_next(native: bool) -> None:
    program = two_rounds_program()
    three = Three(program, {}, native).load()
    at_the_same_time(lambda p: three.machines[p].ahead(1, 1, three.network.links(p)))
    three.assert_as_the_oracle(2, request_for(program, 4))


def lonely(native: bool = False, make: Any = product_program) -> Machine:
    program = make()
    machine = Machine(program, 0, Keystreams(secrets_of_three()[0], CONTEXT), 4, native)
    machine.load_weights({name: (w, w) for name, w in weights_for(program).items()})
    return machine


@pytest.mark.parametrize("native", BACKENDS)
def test_a_run_number_is_never_taken_twice_nor_a_lower_one(native: bool) -> None:
    machine, links = lonely(native), Network().links(0)
    machine.ahead(5, 1, links)
    for run in (5, 4, 0, -1, 2**64):
        with pytest.raises(RunNumberReused) as error:
            machine.ahead(run, 1, links)
        assert (error.value.run, error.value.last) == (run, 5)
    machine.ahead(2**64 - 1, 1, links)


def test_online_needs_the_ahead_of_the_same_run_and_rows() -> None:
    machine, links = lonely(), Network().links(0)
    x = np.zeros((1, 4), np.int64)
    with pytest.raises(NotPrepared):
        machine.online(1, 1, (x, x), links)
    machine.ahead(1, 2, links)
    for run, rows in ((2, 2), (1, 1)):
        with pytest.raises(NotPrepared):
            machine.online(run, rows, (x, x), links)


def test_a_request_of_another_shape_or_type_is_refused_before_anything_is_sent() -> None:
    machine, network = lonely(), Network()
    links = network.links(0)
    machine.ahead(1, 2, links)
    good = np.zeros((2, 4), np.int64)
    for bad in (good[:1], good[:, :3], good.astype(np.float64), good.astype(np.int32)):
        with pytest.raises(WrongRequest):
            machine.online(1, 2, (good, bad), links)
    assert not any(network.sent.values())


@pytest.mark.parametrize("rows", [0, -1, 5])
def test_more_rows_than_allowed_or_none_are_refused(rows: int) -> None:
    with pytest.raises(WrongRequest, match="1 to 4 rows"):
        lonely().ahead(1, rows, Network().links(0))


def test_a_machine_without_weights_runs_nothing() -> None:
    machine = Machine(product_program(), 0, Keystreams(secrets_of_three()[0], CONTEXT), 4, False)
    with pytest.raises(NoWeights):
        machine.ahead(1, 1, Network().links(0))


@pytest.mark.parametrize(
    ("weights", "problem"),
    [
        ({}, "is missing"),
        ({"w": (4, 3), "v": (1,)}, "is not one of the program's"),
        ({"w": (3, 4)}, r"int64\[3, 4\], not int64\[4, 3\]"),
    ],
)
def test_weights_that_do_not_fit_are_refused_by_name(weights: dict[str, tuple[int, ...]], problem: str) -> None:
    machine = Machine(product_program(), 0, Keystreams(secrets_of_three()[0], CONTEXT), 4, False)
    arrays = {name: (np.zeros(shape, np.int64),) * 2 for name, shape in weights.items()}
    with pytest.raises(WrongWeights, match=problem):
        machine.load_weights(arrays)


def test_a_party_without_a_key_that_the_program_draws_from_is_refused_at_once() -> None:
    secrets = {h: s for h, s in secrets_of_three()[0].items() if h != (0, 2)}
    with pytest.raises(MissingKey) as error:
        Machine(product_program(), 0, Keystreams(secrets, CONTEXT), 4, False)
    assert error.value.holders == (0, 2)


@pytest.mark.parametrize("native", BACKENDS)
def test_a_lost_peer_ends_the_run_and_its_number_is_burnt(native: bool) -> None:
    program = product_program()
    three = Three(program, weights_for(program), native).load()
    x = request_for(program, 2)
    machine, links = three.machines[0], three.network.links(0)
    three.network.queues[1, 0].put(None)
    machine.ahead(1, 2, links)
    with pytest.raises(PeerLost) as error:
        machine.online(1, 2, (x[0], x[1]), links)
    assert error.value.peer == 1
    with pytest.raises(NotPrepared):
        machine.online(1, 2, (x[0], x[1]), links)
    with pytest.raises(RunNumberReused):
        machine.ahead(1, 2, links)


def test_statistics_count_runs_rounds_and_bytes() -> None:
    program = two_rounds_program()
    three = Three(program, {}, True).load()
    for run in (1, 2):
        three.run(run, request_for(program, 3))
    done = three.machines[0].statistics
    # For each run: a pad sent ahead; online two words sent, then the received one sent on.
    assert (done.runs, done.rounds) == (2, 2 * (1 + 2))
    assert done.bytes_sent == 2 * 3 * 5 * 8 * (1 + 2 + 1)
    assert done.bytes_sent == sum(len(f) for (a, _), frames in three.network.sent.items() if a == 0 for f in frames)


def test_erasing_overwrites_the_whole_arena_that_was_used_and_the_keys() -> None:
    program = product_program()
    three = Three(program, weights_for(program), True).load()
    three.run(1, request_for(program, 3))
    machine = three.machines[0]
    backend = machine._backend
    assert isinstance(backend, NativeBackend)
    used = backend._tape.arena.at(3)
    assert np.frombuffer(backend._arena, np.uint8).any()
    erased = machine.erase()
    assert not np.frombuffer(backend._arena, np.uint8).any()
    assert used < erased <= used + 3 * 64
    assert not three.secrets[0][0, 1]._data
    with pytest.raises(NoWeights):
        machine.ahead(2, 3, three.network.links(0))


def test_erasing_overwrites_every_array_of_the_numpy_back_end() -> None:
    program = product_program()
    three = Three(program, weights_for(program), False).load()
    three.run(1, request_for(program, 3))
    backend: Any = three.machines[0]._backend
    held = [*backend._setup.values(), *backend._run.values()]
    assert all(array.any() for array in held)
    assert three.machines[0].erase() >= sum(array.nbytes for array in backend._setup.values())
    assert not any(array.any() for array in held)


@pytest.mark.parametrize("native", BACKENDS)
def test_weights_are_opened_under_their_masks_once_for_all_runs_of_an_epoch(native: bool) -> None:
    program = securenn_program()
    three = Three(program, weights_for(program), native).load()
    for run, rows in ((1, 2), (2, 2), (5, 3)):
        three.assert_as_the_oracle(run, request_for(program, rows, run))
    sent = three.network.sent[0, 1]
    opened = 8 * (4 * 3 + 3 * 2)
    assert len(sent[0]) == opened
    assert sum(len(frame) == opened for frame in sent) == 1
    assert three.network.sent[2, 0] == []


@pytest.mark.parametrize("native", BACKENDS)
def test_other_weights_in_the_same_epoch_are_refused_where_masks_are_drawn_once(native: bool) -> None:
    program = securenn_program()
    three = Three(program, weights_for(program), native).load()
    with pytest.raises(EpochDrawn):
        three.load()


def test_components_that_a_party_does_not_hold_are_refused() -> None:
    program = securenn_program()
    machine = Three(program, weights_for(program)).load().machines[2]
    machine._prepared = (1, 1)
    with pytest.raises(WrongRequest, match="there are 1 components of the request, not 0"):
        machine.online(1, 1, (np.zeros((1, 4), np.int64),), Network().links(2))
    with pytest.raises(WrongWeights, match="has 1 components here, not 0"):
        machine.load_weights({name: (words,) for name, words in weights_for(program).items()})


@pytest.mark.parametrize("native", BACKENDS)
def test_what_was_loaded_is_a_copy_that_erasing_does_not_reach_beyond(native: bool) -> None:
    machine = Machine(product_program(), 0, Keystreams(secrets_of_three()[0], CONTEXT), 4, native)
    w = np.ones((4, 3), np.int64)
    machine.load_weights({"w": (w, w)})
    machine.erase()
    assert w.all()


def test_asking_for_the_kernel_where_it_is_not_built_is_an_error_and_numpy_the_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(machine_module, "KERNEL", None)
    keys = Keystreams(secrets_of_three()[0], CONTEXT)
    with pytest.raises(NoKernel, match="C compiler"):
        Machine(product_program(), 0, keys, 4, True)
    assert not Machine(product_program(), 0, keys, 4).is_native


def test_no_share_shows_in_the_text_of_a_machine() -> None:
    assert repr(lonely()) == "<Machine of party 0, numpy>"


def test_batch_sizes_are_affine_down_to_the_last_frame() -> None:
    program = bits_program()
    for rows in (1, 4):
        three = Three(program, {}, True).load()
        three.run(1, request_for(program, rows))
        planes, bits = Affine(0, 64 * 2), Affine(0, 10)
        assert len(three.network.sent[0, 1][0]) == (planes + bits).at(rows)
