"""Atoms: the independent uniform values that a program draws, and where each of them occurs.

`Occurrences` answers, for every node, which atoms and secrets its value may depend on and which atoms it is a bijection
of. Sets of atoms are the bits of one integer, so that a program of thousands of nodes takes milliseconds. Nothing here
knows about parties and messages: that is `rules`. The numbers of the lemmas are those of docs/prover.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from triveni.mpc.affine import Affine
from triveni.mpc.comparison import COLUMNS, DRAW_WORDS, MODULUS
from triveni.mpc.program import Draw, Node, Shape


@dataclass(frozen=True, slots=True)
class Atom:
    """One random value: a whole draw or, of a draw that is only ever used in leading slices, slice number `part`."""

    draw: Draw
    part: int | None = None

    def __str__(self) -> str:
        part = "" if self.part is None else f"[{self.part}]"
        epoch = "epoch's " if self.draw.epoch else ""
        return f"{epoch}draw {self.draw.index}{part} of the key of {' and '.join(map(str, self.draw.holders))}"


class Occurrences:
    """Where the atoms and secrets of `nodes` occur; bit a of a set stands for ``atoms[a]``.

    Attributes:
        atoms: every atom that occurs.
        cone: the atoms that a value may depend on (an upper bound: every atom among its ancestors).
        pads: the atoms of which the value is a bijection, whatever everything else is (lemma 1).
        pads_in_place: the same, element by element: element e depends on element e of the atom only (lemma 1).
        residue_pads: the atoms that make the value uniform among rows of residues mod 37 (lemma 7). Not a pad: such a
            value reaches some bytes only, so nothing follows for what is computed of it.
        secrets: the components of secrets that a value may depend on, as bits 0, 1 and 2.
    """

    def __init__(self, nodes: Sequence[Node]) -> None:
        self._undivided = {source.draw for node in nodes if leading_slice(node) is None for source in node.inputs}
        """The draws (and None) with at least one use, at any party, that is not a leading slice."""
        self._numbers: dict[Atom, int] = {}
        self._parts: dict[Draw, int] = {}
        self.cone: dict[Node, int] = {}
        self.pads: dict[Node, int] = {}
        self.pads_in_place: dict[Node, int] = {}
        self.residue_pads: dict[Node, int] = {}
        self.secrets: dict[Node, int] = {}
        for node in nodes:
            if (atom := self.atom(node)) is not None:
                bit = 1 << self._numbers.setdefault(atom, len(self._numbers))
                self._parts[atom.draw] = self._parts.get(atom.draw, 0) | bit
        self.atoms: tuple[Atom, ...] = tuple(self._numbers)
        for node in nodes:
            self._visit(node)

    def atom(self, node: Node) -> Atom | None:
        """The atom whose value is that of `node`, if it is one."""
        part = leading_slice(node)
        draw = node.draw if part is None else node.inputs[0].draw
        if draw is None or (draw in self._undivided) != (part is None):
            return None
        return Atom(draw, part)

    def bit(self, node: Node) -> int:
        """The atom of `node` as a set of one; 0 if it is none."""
        atom = self.atom(node)
        return 0 if atom is None else 1 << self._numbers[atom]

    def known_to(self, party: int) -> int:
        """The atoms that a party can make itself."""
        return sum(1 << number for atom, number in self._numbers.items() if party in atom.draw.holders)

    @property
    def of_epoch(self) -> int:
        """The atoms that are drawn once for an epoch."""
        return sum(1 << number for number, atom in enumerate(self.atoms) if atom.draw.epoch)

    def lowest(self, bits: int) -> Atom:
        """The first atom of a set that is not empty."""
        return self.atoms[(bits & -bits).bit_length() - 1]

    def members(self, bits: int) -> tuple[Atom, ...]:
        """The atoms of a set, in the order of `atoms`."""
        return tuple(atom for number, atom in enumerate(self.atoms) if bits >> number & 1)

    def _visit(self, node: Node) -> None:
        cone = secrets = pads = in_place = 0
        if bit := self.bit(node):
            cone = pads = in_place = bit
        elif node.draw is not None:
            # A divided draw as a whole, as it is when it is sent: all its parts occur in it.
            cone = self._parts[node.draw]
        elif node.input is not None:
            secrets = 1 << node.input.component
        else:
            for source in node.inputs:
                cone |= self.cone[source]
                secrets |= self.secrets[source]
            for position, source in enumerate(node.inputs):
                if not is_bijection(node, position):
                    continue
                others = 0
                for place, other in enumerate(node.inputs):
                    if place != position:
                        others |= self.cone[other]
                pads |= self.pads[source] & ~others
                if node.op not in _MOVES:
                    in_place |= self.pads_in_place[source] & ~others
        self.residue_pads[node] = self._residue_pads(node)
        self.cone[node], self.secrets[node] = cone, secrets
        self.pads[node], self.pads_in_place[node] = pads, in_place

    def _residue_pads(self, node: Node) -> int:
        """The atom of s, where the value is a row of residues minus s, a row drawn mod 37 (lemma 7)."""
        if node.op != "deal_bits":
            return 0
        words, share = node.inputs
        return self.row_atom(share, MODULUS) & ~self.cone[words] if row_shape(node) == words.shape else 0

    def row_atom(self, node: Node, modulus: int) -> int:
        """The atom that rows of residues mod `modulus` are drawn from, as a set; empty if `node` is no such rows."""
        if node.op != "residues" or node.attrs["modulus"] != modulus or row_shape(node) is None:
            return 0
        (draw,) = node.inputs
        whole = draw.draw is not None and draw.shape == (*node.shape[:-1], Affine(DRAW_WORDS)) and draw.dtype == "i8"
        return self.bit(draw) if whole else 0


def row_shape(node: Node) -> Shape | None:
    """How many rows of residues a value is; None if it is none."""
    if node.dtype != "u1" or not node.shape or node.shape[-1] != Affine(COLUMNS):
        return None
    return node.shape[:-1]


_MOVES = frozenset({"reshape", "transpose"})
"""Bijections that put elements in other places."""


def is_bijection(node: Node, position: int) -> bool:
    """Whether `node` is a bijection of its input number `position` for every value of its other input.

    So are, on the full range of a type: x + y, x - y, y - x on words of the ring; x xor y and not x on any type; and
    what only moves elements. The input must have the result's shape and type: a value that is broadcast meets several
    elements, and one of another type does not reach every value.
    """
    if any(source.dtype != node.dtype for source in node.inputs):
        return False
    source = node.inputs[position]
    match node.op:
        case "add" | "sub" | "xor":
            ring = node.op == "xor" or node.dtype == "i8"
            return ring and source.shape == node.shape and _fits(node.inputs[1 - position].shape, node.shape)
        case "not":
            return source.shape == node.shape
        case "reshape":
            return source.size == node.size
        case "transpose":
            return _is_permuted(node, source)
    return False


def leading_slice(node: Node) -> int | None:
    """k, if `node` is slice k of a draw along its first axis and whole along the others; None otherwise."""
    if node.op != "slice" or node.inputs[0].draw is None:
        return None
    shape, attrs = node.inputs[0].shape, node.attrs
    if list(attrs["drop"]) != [0] or len(attrs["start"]) != len(shape) or shape[1:] != node.shape:
        return None
    part = attrs["start"][0]
    if type(part) is not int or shape[0].per_row or not 0 <= part < shape[0].fixed:
        return None
    rest = zip(attrs["start"][1:], attrs["stop"][1:], attrs["step"][1:], strict=True)
    whole = all(start == 0 and stop is None and step == 1 for start, stop, step in rest)
    return part if whole and node.dtype == node.inputs[0].dtype else None


def _fits(shape: Shape, result: Shape) -> bool:
    """Whether a value of `shape` broadcasts to `result` for every number of rows."""
    if len(shape) > len(result):
        return False
    tail = result[len(result) - len(shape) :]
    return all(dim in (to, Affine(1)) for dim, to in zip(shape, tail, strict=True))


def _is_permuted(node: Node, source: Node) -> bool:
    order = list(node.attrs["perm"])
    return sorted(order) == list(range(len(source.shape))) and node.shape == tuple(source.shape[axis] for axis in order)
