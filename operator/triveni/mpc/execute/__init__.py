"""Execution of one party's part of a proved program.

- `machine`: what a worker uses: the phases of a run, over links to the other two
- `native`, `interpret`: its two back ends, behind `batch`; the second is in numpy, and the oracle of the first
- `tape`, `arena`: a schedule as flat records over one buffer, affine in the number of rows
- `tape_writer`, `tape_ops`, `view`, `assembler`: how a tape is made
- `kernel`: what runs it, in C
"""
