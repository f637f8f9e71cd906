"""Answers of which clients are given few fractional bits: right, proved, cheap, and what a worker can make of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from benchmarks.draws import fresh_draws
from benchmarks.extraction import black_box, rounding
from benchmarks.extraction.__main__ import same_input
from benchmarks.extraction.network import Weights, architecture, ask
from tests.integration.compile_ahead import compile_ahead
from triveni.mpc.architecture import MAX_ANSWER_BITS
from triveni.mpc.compile import compile_program
from triveni.mpc.fixedpoint import fixed_point
from triveni.mpc.ops import Array
from triveni.mpc.program import Node, Program
from triveni.mpc.prove import prove, prove_two
from triveni.mpc.schedule import Schedule

BITS, MOST = 8, MAX_ANSWER_BITS

PROTOCOLS = ("ABY3", "SecureNN")

KNOWING = [("ABY3", 0), ("ABY3", 1), ("ABY3", 2), ("SecureNN", 0), ("SecureNN", 1)]
"""The workers that know how values were rounded: all but server 2 of SecureNN."""

WEIGHTS = Weights.drawn(3)

Programs = Mapping[tuple[str, int | None], Program]


@pytest.fixture(scope="module")
def made(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Programs:
    """The small network's program in each protocol, without the setting, with few bits of answers, and with many."""
    wanted = {bits: architecture(bits) for bits in (None, BITS, MOST)}
    folder = tmp_path_factory.mktemp("architectures")
    files = [folder / f"{bits}.json" for bits in wanted]
    for file, one in zip(files, wanted.values(), strict=True):
        file.write_bytes(one.to_json())
    compile_ahead(programs, dict.fromkeys(PROTOCOLS, files))
    return {(p, bits): compile_program(one, p, cache=programs) for p in PROTOCOLS for bits, one in wanted.items()}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_answers_are_whole_numbers_of_the_last_place_and_off_by_less_than_the_stated_bound(
    protocol: str, made: Programs
) -> None:
    """2.5 places, in SecureNN 2; besides what the protocol's own fixed point is off, far less than a hundredth here."""
    x = black_box.inputs(3000, 1)
    plain = WEIGHTS.answers(x)
    off = ask(made[protocol, BITS], WEIGHTS, x).answers - plain * 2**BITS
    bound = {"ABY3": 2.5, "SecureNN": 2.0}[protocol]
    assert bound / 2 < np.abs(off).max() < bound + 0.1
    assert abs(off.mean()) < 6 * off.std() / len(x) ** 0.5
    assert off.std() < 0.7
    all_bits = ask(made[protocol, None], WEIGHTS, x).answers / fixed_point(protocol).scale
    np.testing.assert_allclose(all_bits, plain, atol=1e-3)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_it_is_proved_for_one_and_for_two_requests(protocol: str, made: Programs) -> None:
    assert list(prove(made[protocol, BITS]).failures()) == []
    assert list(prove_two(made[protocol, BITS]).failures()) == []


def test_it_costs_what_the_documents_say(made: Programs) -> None:
    """ABY3: one round, and 48 bytes for each value of the answer; SecureNN: nothing. Dither costs draws alone."""
    costs = {key: Schedule(program).cost() for key, program in made.items()}
    few, many = costs["ABY3", BITS], costs["ABY3", None]
    assert few.online_rounds == many.online_rounds + 1
    assert (few.online_bytes - many.online_bytes).at(1) == 16
    assert (few.ahead_bytes - many.ahead_bytes).at(1) == 32
    assert costs["SecureNN", BITS] == costs["SecureNN", None]


@pytest.mark.parametrize(("protocol", "holders"), [("ABY3", {(0, 1), (0, 2), (1, 2)}), ("SecureNN", {(0, 2), (1, 2)})])
def test_of_every_truncation_each_worker_lacks_a_dither_or_the_offset_by_which_it_rounds(
    protocol: str, holders: set[tuple[int, int]], made: Programs
) -> None:
    program = made[protocol, BITS]
    truncations = rounding.truncation_nodes(program, 0)
    assert len(truncations) == 3  # two products and the answer
    for truncation in truncations:
        low = list(rounding.dithers(program, truncation))
        assert {draw.holders for _, draw in low} == holders
        assert len({draw for _, draw in low}) == len(holders)
        for _, draw in low:  # it is used for nothing else
            readers = [node for node in program.nodes for source in node.inputs if source.draw == draw]
            assert {node.op for node in readers} == {"and"}
    assert not any(list(rounding.dithers(made[protocol, None], node)) for node in truncations)


def test_server_2_of_securenn_knows_no_offset(made: Programs) -> None:
    assert not rounding.truncation_nodes(made["SecureNN", None], 2)


@pytest.mark.parametrize(("protocol", "party"), KNOWING)
def test_a_worker_who_is_a_client_finds_weights_by_how_values_are_rounded_and_none_with_dither(
    protocol: str, party: int, made: Programs
) -> None:
    """From 3000 answers to one input: even where the setting takes away no bit, as 16 in SecureNN."""
    x, largest = same_input(3000), np.abs(WEIGHTS.last).max()
    errors = {}
    for bits in (None, MOST, BITS):
        found = rounding.weights_of_last_layer(ask(made[protocol, bits], WEIGHTS, x), party)
        errors[bits] = float(np.abs(found - WEIGHTS.last).max() / largest)
    assert errors[None] < 0.15
    assert min(errors[MOST], errors[BITS]) > 0.5  # as good as to guess 0, or worse


def half_dithered(program: Program, party: int, rows: int) -> Callable[[Node], Array]:
    """Draws of which the dithers that a worker does not know are their mean, as if they were not there."""
    draws = fresh_draws(rows)
    half = {
        draw: (node.inputs[1].attrs["value"] + 1) // 2
        for truncation in rounding.truncation_nodes(program, party)
        for node, draw in rounding.dithers(program, truncation)
        if party not in draw.holders
    }
    return lambda node: np.full_like(draws(node), half[node.draw]) if node.draw in half else draws(node)


@pytest.mark.parametrize(("protocol", "party"), KNOWING)
def test_without_the_dither_that_it_lacks_a_worker_would_find_the_dropped_bits(
    protocol: str, party: int, made: Programs
) -> None:
    """By asking about one input 4000 times, to within what the network itself rounds; with it, bounds contradict."""
    program, rows = made[protocol, BITS], 4000
    x = same_input(rows)
    true = WEIGHTS.answers(x[:1])[0] * fixed_point(protocol).scale
    step = fixed_point(protocol).scale / 2**BITS
    low, high = rounding.bracket(ask(program, WEIGHTS, x, half_dithered(program, party, rows)), party)
    assert abs((low + high) / 2 - true) < 8
    assert abs(high - low) < 16
    low, high = rounding.bracket(ask(program, WEIGHTS, x), party)
    assert high - low < -step / 2
