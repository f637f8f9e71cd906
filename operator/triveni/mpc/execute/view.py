"""Views: how a value lies in a block of the arena, with strides that are affine in the number of rows.

Pure arithmetic on shapes and strides: which views are contiguous, how operands broadcast, how few axes a walk needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from triveni.mpc.affine import Affine, product, strides
from triveni.mpc.execute.arena import Block
from triveni.mpc.program import Shape

ZERO = Affine(0)
ONE = Affine(1)


@dataclass(frozen=True, slots=True)
class View:
    """`dims` elements that start `offset` bytes into `block`, `steps` elements apart on each axis (0: repeated)."""

    block: Block
    offset: Affine
    dims: Shape
    steps: Shape

    @classmethod
    def dense(cls, block: Block, offset: Affine, dims: Shape) -> View:
        """Elements one after the other, the last axis fastest."""
        return cls(block, offset, dims, strides(dims))

    @property
    def is_dense(self) -> bool:
        """Whether the elements lie one after the other."""
        wanted = strides(self.dims)
        return all(d == ONE or s == w for d, s, w in zip(self.dims, self.steps, wanted, strict=True))

    @property
    def is_uniform(self) -> bool:
        """Whether it is one element, repeated."""
        return all(step == ZERO for step in self.steps)

    def with_dims(self, dims: Shape) -> View:
        """The elements of a dense or uniform view in another shape; ValueError if their number differs."""
        if product(dims) != product(self.dims):
            raise ValueError(f"{product(self.dims)} elements cannot be {product(dims)}")
        steps = (ZERO,) * len(dims) if self.is_uniform else strides(dims)
        return View(self.block, self.offset, dims, steps)

    def broadcast(self, dims: Shape) -> View:
        """The view repeated to `dims` by numpy's rules; ValueError if they do not allow it."""
        missing = len(dims) - len(self.dims)
        if missing < 0:
            raise ValueError(f"{len(self.dims)} axes do not broadcast to {len(dims)}")
        steps = [ZERO] * missing
        for dim, wanted, step in zip(self.dims, dims[missing:], self.steps, strict=True):
            if dim not in (wanted, ONE):
                raise ValueError(f"{dim} elements do not broadcast to {wanted}")
            steps.append(step if dim == wanted else ZERO)
        return View(self.block, self.offset, dims, tuple(steps))


def merged(dims: Shape, steps: Sequence[Shape]) -> tuple[Shape, list[Shape]]:
    """The same walk over as few axes as can be, at least one; `steps` has the strides of each operand."""
    axes: list[tuple[Affine, list[Affine]]] = []
    for axis, dim in enumerate(dims):
        inner = [s[axis] for s in steps]
        if dim == ONE:
            continue
        if axes and all(_spans(o, i, dim) for o, i in zip(axes[-1][1], inner, strict=True)):
            dim = axes.pop()[0] * dim
        axes.append((dim, inner))
    axes = axes or [(ONE, [ZERO] * len(steps))]
    return tuple(dim for dim, _ in axes), [tuple(s[o] for _, s in axes) for o in range(len(steps))]


def _spans(outer: Affine, inner: Affine, dim: Affine) -> bool:
    """Whether one step on the outer axis is `dim` steps on the inner one."""
    if inner.per_row and dim.per_row:
        return False
    return outer == inner * dim
