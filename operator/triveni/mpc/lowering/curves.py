"""The knots between which sigmoid and tanh are straight: those of the smallest largest error for their number.

Right of 0 each line begins and ends above the curve by as much as it is below it in between (equal ripples); left of 0
the curve is the mirror image. The tests measure the largest errors: 1.6e-3 for sigmoid, 2.0e-3 for tanh.
"""

from __future__ import annotations

Points = tuple[tuple[float, float], ...]

_SIGMOID: Points = (
    (0.688, 0.667120),
    (1.225, 0.774540),
    (1.745, 0.852919),
    (2.315, 0.911709),
    (3.008, 0.954532),
    (3.971, 0.983092),
    (5.743, 0.998403),
)
_TANH: Points = (
    (0.292, 0.285965),
    (0.514, 0.475046),
    (0.718, 0.617659),
    (0.926, 0.730714),
    (1.154, 0.821065),
    (1.419, 0.891381),
    (1.753, 0.943707),
    (2.227, 0.978994),
    (3.109, 0.998012),
)

SIGMOID_KNOTS: Points = (*((-x, 1 - y) for x, y in reversed(_SIGMOID)), *_SIGMOID)
TANH_KNOTS: Points = (*((-x, -y) for x, y in reversed(_TANH)), *_TANH)
