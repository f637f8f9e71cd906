"""Keys and keystreams: what they are bound to, that nothing is made twice, that nothing is short."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from tests.unit.mpc.execute.machine_programs import drawn, given, op, product_program, program
from triveni.mpc import randomness
from triveni.mpc.affine import ROWS
from triveni.mpc.program import Program
from triveni.mpc.randomness import (
    MAX_RUN,
    ZEROS,
    EpochContext,
    EpochDrawn,
    Erased,
    InvalidContribution,
    Keystreams,
    MissingKey,
    RunNumberReused,
    Secret,
    ShortKeystream,
    draw_layout,
    new_contribution,
    pair_secret,
    private_secret,
)

CONTEXT = EpochContext("default", "9d3c", 1, "ab" * 32)

OTHER_CONTEXTS = [
    replace(CONTEXT, namespace="other"),
    replace(CONTEXT, uid="9d3d"),
    replace(CONTEXT, epoch=2),
    replace(CONTEXT, program_digest="ac" * 32),
]

ONE, TWO = bytes(range(32)), bytes(range(32, 64))


def stream(
    secret: bytes = ONE,
    context: EpochContext = CONTEXT,
    holders: tuple[int, ...] = (0, 1),
    run: int = 1,
    size: int = 64,
) -> bytes:
    buffer = bytearray(size)
    Keystreams({holders: Secret(secret)}, context).fill(holders, run, memoryview(buffer))
    return bytes(buffer)


def bytes_of(secret: Secret) -> bytes:
    return secret.derive("test", (), CONTEXT)


def test_both_parties_of_a_pair_make_the_same_secret() -> None:
    assert bytes_of(pair_secret(ONE, TWO, 0, 2, CONTEXT)) == bytes_of(pair_secret(TWO, ONE, 2, 0, CONTEXT))


def test_a_pairs_secret_depends_on_both_contributions_the_pair_and_all_of_the_context() -> None:
    secrets = [
        pair_secret(ONE, TWO, 0, 1, CONTEXT),
        pair_secret(ONE, TWO, 0, 2, CONTEXT),
        pair_secret(ONE, TWO, 1, 0, CONTEXT),
        pair_secret(bytes(32), TWO, 0, 1, CONTEXT),
        pair_secret(ONE, bytes(32), 0, 1, CONTEXT),
        *(pair_secret(ONE, TWO, 0, 1, context) for context in OTHER_CONTEXTS),
    ]
    assert len({bytes_of(secret) for secret in secrets}) == len(secrets)


@pytest.mark.parametrize(("mine", "theirs"), [(ONE, TWO[:31]), (b"", TWO), (ONE + b"x", TWO), (ONE, ONE)])
def test_a_contribution_that_is_short_long_or_reflected_is_refused(mine: bytes, theirs: bytes) -> None:
    with pytest.raises(InvalidContribution):
        pair_secret(mine, theirs, 0, 1, CONTEXT)


def test_contributions_and_private_secrets_are_never_the_same() -> None:
    assert len({new_contribution() for _ in range(100)}) == 100
    assert len({bytes_of(private_secret()) for _ in range(100)}) == 100


def test_key_material_is_from_the_systems_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.urandom", lambda size: bytes(range(size)))
    assert new_contribution() == ONE
    assert bytes_of(private_secret()) == bytes_of(Secret(ONE))


def test_a_stream_differs_for_every_secret_context_holders_and_run() -> None:
    streams = [
        stream(),
        stream(TWO),
        *(stream(context=context) for context in OTHER_CONTEXTS),
        stream(holders=(1, 2)),
        stream(holders=(0,)),
        stream(run=2),
        stream(run=2**32 + 1),
        stream(run=MAX_RUN),
    ]
    assert len(set(streams)) == len(streams)
    assert stream() == stream()


def test_no_block_of_sixteen_bytes_appears_twice_in_many_runs() -> None:
    size = 1600
    streams = [stream(run=run, size=size) for run in range(1, 51)]
    blocks = {s[i : i + 16] for s in streams for i in range(0, size, 16)}
    assert len(blocks) == 50 * size // 16


def test_the_counter_is_the_run_then_the_block() -> None:
    key = Secret(ONE).derive(randomness.KEYSTREAM, (0, 1), CONTEXT)
    counter = (7).to_bytes(8, "big") + bytes(8)
    wanted = Cipher(algorithms.AES(key), modes.CTR(counter)).encryptor().update(bytes(100))
    assert stream(run=7, size=100) == wanted


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 63, 64, 65, 100, 129])
def test_any_length_is_filled_to_its_last_byte_and_no_further(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    long = stream(size=200)
    monkeypatch.setattr(randomness, "ZEROS", memoryview(bytes(32)))
    room = bytearray(b"\xee" * (size + 32))
    keys = Keystreams({(0, 1): Secret(ONE)}, CONTEXT)
    keys.fill((0, 1), 1, memoryview(room)[:size])
    assert room[:size] == long[:size]
    assert room[size:] == b"\xee" * 32


def test_a_stream_of_many_pieces_is_random_up_to_its_end() -> None:
    size = 5 * len(ZEROS) + 16
    data = stream(size=size)
    pieces = {data[at : at + 16] for at in range(0, size, len(ZEROS))}
    assert len(pieces) == 6
    assert bytes(16) not in pieces
    assert data[-16:] != bytes(16)


def test_a_cipher_that_gives_too_little_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Lazy:
        def __init__(self, *_: object) -> None: ...

        def encryptor(self) -> Lazy:
            return self

        def update_into(self, data: memoryview, _: memoryview) -> int:
            return len(data) - 1

    monkeypatch.setattr(randomness, "Cipher", Lazy)
    with pytest.raises(ShortKeystream) as error:
        stream(size=64)
    assert (error.value.wanted, error.value.got) == (64, 63)


def test_an_epochs_draws_are_made_once_and_are_no_runs() -> None:
    keys, made = Keystreams({(0, 1): Secret(ONE), (0, 2): Secret(ONE)}, CONTEXT), []
    for holders in ((0, 1), (0, 2)):
        made.append(bytearray(64))
        keys.fill_epoch(holders, memoryview(made[-1]))
    for run in (1, 2, MAX_RUN):
        made.append(bytearray(64))
        keys.fill((0, 1), run, memoryview(made[-1]))
    assert len({bytes(stream) for stream in made}) == 5
    untouched = bytearray(64)
    with pytest.raises(EpochDrawn, match="other weights need another epoch"):
        keys.fill_epoch((0, 1), memoryview(untouched))
    assert not any(untouched)
    keys.erase()
    with pytest.raises(Erased):
        keys.fill_epoch((0, 1), memoryview(untouched))


@pytest.mark.parametrize("run", [3, 2, 0, -1, MAX_RUN + 1])
def test_runs_only_rise(run: int) -> None:
    keys = Keystreams({(0, 1): Secret(ONE)}, CONTEXT)
    keys.fill((0, 1), 3, memoryview(bytearray(16)))
    untouched = bytearray(16)
    with pytest.raises(RunNumberReused):
        keys.fill((0, 1), run, memoryview(untouched))
    assert untouched == bytes(16)


def test_each_set_of_holders_counts_its_own_runs() -> None:
    keys = Keystreams({(0, 1): Secret(ONE), (0,): Secret(TWO)}, CONTEXT)
    for holders in keys.holders:
        keys.fill(holders, 1, memoryview(bytearray(16)))


def test_there_is_no_stream_without_a_key() -> None:
    with pytest.raises(MissingKey):
        Keystreams({(0, 1): Secret(ONE)}, CONTEXT).fill((1, 2), 1, memoryview(bytearray(16)))


def test_erasing_overwrites_secrets_and_keys_and_makes_them_useless() -> None:
    secret = Secret(ONE)
    keys = Keystreams({(0, 1): secret}, CONTEXT)
    key, data = keys._keys[0, 1], secret._data
    assert any(key)
    assert keys.erase() == 64
    assert not any(key)
    assert not any(data)
    assert keys.erase() == 0
    with pytest.raises(Erased):
        keys.fill((0, 1), 1, memoryview(bytearray(16)))
    with pytest.raises(Erased):
        secret.derive("test", (), CONTEXT)


def test_a_secret_is_overwritten_before_it_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    class Watched(bytearray):
        cleared_as: bytes | None = None

        def clear(self) -> None:
            self.cleared_as = bytes(self)
            super().clear()

    secret = Secret(ONE)
    watched = Watched(ONE)
    monkeypatch.setattr(secret, "_data", watched)
    assert secret.erase() == 32
    assert watched.cleared_as == bytes(32)


@pytest.mark.parametrize("make", [lambda: Secret(ONE), lambda: Keystreams({(0, 1): Secret(ONE)}, CONTEXT)])
def test_keys_do_not_show(make: Callable[[], object]) -> None:
    thing = make()
    text = f"{thing} {thing!r}"
    assert ONE.hex()[:8] not in text
    assert "x00" not in text


# --- where draws lie ----------------------------------------------------------------------------------------------


def test_draws_of_a_stream_never_overlap_for_any_number_of_rows() -> None:
    program = product_program()
    sizes = {(node.draw.holders, node.draw.index): node.nbytes for node in program.nodes if node.draw}
    for rows in (1, 2, 3, 7, 32):
        for holders, layout in draw_layout(program).items():
            end = 0
            for index, offset in layout.offsets.items():
                start = offset.at(rows)
                assert start % randomness.ALIGNMENT == 0
                assert start >= end
                end = start + sizes[holders, index].at(rows)
            assert end <= layout.size.at(rows)


def drawing(*draws: tuple[int, tuple[int, ...], int, int]) -> Program:
    """Each party adds all of its draws (party, holders, index, words in a row) to its request."""
    outputs = []
    for p in range(3):
        total = given(p, "x", p, (ROWS, 1))
        for party, holders, index, count in draws:
            if party == p:
                one = drawn(p, holders, index, (ROWS, count))
                total = op("add", p, [total, op("sum", p, [one], (ROWS, 1), axes=[1], keep=True)])
        outputs.append((total, given(p, "x", (p + 1) % 3, (ROWS, 1))))
    return program(outputs, (1,), (1,))


def test_the_layout_is_that_of_all_holders_whoever_uses_a_draw_and_in_whatever_order() -> None:
    first = drawing((0, (0, 1), 4, 3), (0, (0, 1), 2, 9), (1, (0, 1), 7, 1))
    second = drawing((1, (0, 1), 7, 1), (1, (0, 1), 2, 9), (0, (0, 1), 4, 3))
    layouts = draw_layout(first)
    assert layouts == draw_layout(second)
    assert list(layouts[0, 1].offsets) == [2, 4, 7]


def test_one_draw_in_two_sizes_is_refused() -> None:
    with pytest.raises(ValueError, match="24\\*rows bytes for one party and 16\\*rows"):
        draw_layout(drawing((0, (0, 1), 4, 3), (1, (0, 1), 4, 2)))
