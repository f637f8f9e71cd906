"""How much of a model its answers give away: to a client, and to a worker's operator who is a client as well.

The attacks are real, on small networks: docs/threat-model.md has what came of them. `lattice` is what shares that are
not made afresh would give away; `rounding` what a worker learns by knowing how values were rounded; `black_box` what
any client learns from answers alone; `network` runs the compiled program of a network.
"""
