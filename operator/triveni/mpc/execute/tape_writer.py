"""Writes the tape of one party: its schedule as segments of records, with a block for every input, keystream and frame.

A value that is sent is computed straight into its frame; what is received stays in its frame.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from triveni.mpc.affine import Affine
from triveni.mpc.execute.arena import ALIGNMENT, Block, Life, Span, place
from triveni.mpc.execute.assembler import Assembler
from triveni.mpc.execute.tape import InvalidTape, Segment, Tape, TapeRound, frame_order, split_setup
from triveni.mpc.execute.tape_ops import Operations
from triveni.mpc.execute.view import ZERO, View
from triveni.mpc.program import Input, Node, Program
from triveni.mpc.randomness import Holders, draw_layout
from triveni.mpc.schedule import Round, Schedule


def compile_tape(program: Program, party: int) -> Tape:
    """One party's tape.

    Raises:
        InvalidTape: a value does not fit its operation, or the kernel has no such operation.
    """
    return _Writer(program, party).write()


@dataclass(frozen=True, slots=True)
class _Frame:
    """One frame of a round and the places of its values, before the block has its own."""

    block: Block
    places: Mapping[Node, View]


@dataclass(frozen=True, slots=True)
class _Round:
    """A TapeRound before places are known."""

    before: Segment
    sends: Mapping[int, _Frame]
    after: Segment
    receives: Mapping[int, _Frame]

    def placed(self) -> TapeRound:
        return TapeRound(self.before, _spans(self.sends), self.after, _spans(self.receives))


def _spans(frames: Mapping[int, _Frame]) -> tuple[tuple[int, Span], ...]:
    return tuple((peer, _span(frame.block)) for peer, frame in frames.items())


def _span(block: Block) -> Span:
    return block.offset, block.size


class _Writer:
    def __init__(self, program: Program, party: int) -> None:
        self.program = program
        self.party = party
        self.asm = Assembler()
        self.ops = Operations(self.asm, program, party)

    def write(self) -> Tape:
        schedule = Schedule(self.program).party(self.party)
        epoch_streams = self._streams(epoch=True)
        streams = self._streams(epoch=False)
        weights = self._inputs(request=False)
        setup_rounds, each_nodes = split_setup(schedule)
        setup = [self._round(round_) for round_ in setup_rounds]
        self.asm.life = Life.SCRATCH
        each = self._start(each_nodes)
        ahead = [self._round(round_) for round_ in schedule.ahead]
        request = self._inputs(request=True)
        online = [self._round(round_) for round_ in schedule.online]
        answers = [self._answer(node) for node in schedule.outputs]
        arena = place(self.asm.blocks)
        fixed, per_row = self.asm.matrices()
        return Tape(
            fixed,
            per_row,
            arena,
            sum(block.size.aligned(ALIGNMENT).fixed for block in self.asm.blocks if block.life is Life.EPOCH),
            self.asm.constants(),
            {secret: _span(block) for secret, block in (weights | request).items()},
            {holders: _span(block) for holders, block in epoch_streams.items()},
            {holders: _span(block) for holders, block in streams.items()},
            tuple(round_.placed() for round_ in setup),
            each,
            tuple(round_.placed() for round_ in ahead),
            tuple(round_.placed() for round_ in online),
            tuple((view.block.offset + view.offset, size) for view, size in answers),
        )

    def _streams(self, *, epoch: bool) -> dict[Holders, Block]:
        """A block for each keystream of this party, and in it the views of its draws."""
        try:
            layouts = draw_layout(self.program, epoch=epoch)
        except ValueError as error:
            raise InvalidTape("the draws", str(error)) from error
        life = Life.EPOCH if epoch else Life.RUN
        streams = {h: self.asm.block(layout.size, life) for h, layout in layouts.items() if self.party in h}
        for node in self.program.nodes:
            if node.draw and node.draw.epoch == epoch and node.party == self.party:
                if node.draw.holders not in streams:
                    raise InvalidTape(repr(node), "a draw of a key that the party does not hold")
                offset = layouts[node.draw.holders].offsets[node.draw.index]
                self.ops.views[node] = View.dense(streams[node.draw.holders], offset, node.shape)
        return streams

    def _inputs(self, *, request: bool) -> dict[Input, Block]:
        """A block for each input of a request, or each weight."""
        blocks: dict[Input, Block] = {}
        for node in self.program.nodes:
            if node.input and node.party == self.party and node.input.is_request == request:
                block = blocks.get(node.input)
                if block is None:
                    block = blocks[node.input] = self.asm.block(node.nbytes)
                if block.size != node.nbytes:
                    raise InvalidTape(repr(node), f"the same input has {block.size} bytes elsewhere")
                self.ops.views[node] = View.dense(block, ZERO, node.shape)
        self.asm.touch(blocks.values())
        return blocks

    def _segment(self, nodes: Iterable[Node]) -> Segment:
        first = self.asm.position
        for node in nodes:
            self.ops.compute(node)
        return self.asm.since(first)

    def _start(self, nodes: Iterable[Node]) -> Segment:
        """What every run starts with."""
        first = self.asm.position
        self._keep_bits()
        self._segment(nodes)
        return self.asm.since(first)

    def _keep_bits(self) -> None:
        """Draws of bits are bytes of a keystream: one bit of each is kept."""
        for node, view in self.ops.views.items():
            if node.draw and node.dtype == "b1":
                self.asm.record("and", "b1", node.shape, view, view, self.asm.constant("b1", 1))

    def _round(self, round_: Round) -> _Round:
        keeps = self.asm.life is Life.EPOCH
        sends = {peer: self._frame(nodes, Life.EPOCH if keeps else Life.RUN) for peer, nodes in round_.sends.items()}
        places = [item for frame in sends.values() for item in frame.places.items()]
        for node, home in places:
            self._offer_home(node, home)
        first = self.asm.position
        self._segment(round_.before)
        for node, home in places:
            value = self.ops.source(node)
            if (value.block, value.offset) != (home.block, home.offset):
                self.asm.copy(node.dtype, home, value)
        before = self.asm.since(first)
        after = self._segment(round_.after)
        receives = {peer: self._frame(nodes, self.asm.life) for peer, nodes in round_.receives.items()}
        for frame in receives.values():
            self.ops.views.update(frame.places)
        self.asm.touch(frame.block for frame in receives.values())
        return _Round(before, sends, after, receives)

    def _frame(self, nodes: Sequence[Node], life: Life) -> _Frame:
        block, end, places = self.asm.block(ZERO, life), ZERO, {}
        for node in frame_order(nodes):
            places[node] = View.dense(block, end, node.shape)
            end += node.nbytes
        block.size = end
        return _Frame(block, places)

    def _offer_home(self, node: Node, home: View) -> None:
        """Have a value computed in its place in the frame; what is only reshaped before it is sent, too."""
        while node.op == "reshape" and node.inputs[0].party == self.party:
            node = node.inputs[0]
        computed_here = node.op not in ("draw", "input", "const", "reshape")
        if computed_here and node not in self.ops.homes and node not in self.ops.views:
            self.ops.homes[node] = home.with_dims(node.shape)

    def _answer(self, node: Node) -> tuple[View, Affine]:
        """Where an answer lies when the last round is over, and its size."""
        view = self.ops.source(node)
        if node.dtype != "i8" or not view.is_dense:
            raise InvalidTape(repr(node), "an answer is words one after the other")
        self.asm.touch([view.block])
        return view, node.nbytes
