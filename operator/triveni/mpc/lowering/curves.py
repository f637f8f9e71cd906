"""The knots between which sigmoid and tanh are straight: those of the smallest largest error for their number.

Right of 0 each line begins and ends above the curve by as much as it is below it in between (equal ripples); left of 0
the curve is the mirror image. The largest errors are in the tests: 1.6e-3 for sigmoid, 2.0e-3 for tanh.
"""

from __future__ import annotations

Points = tuple[tuple[float, float], ...]

_SIGMOID: Points = (
    (0.688, 0.66702),
    (1.225, 0.77455),
    (1.745, 0.85293),
    (2.315, 0.91171),
    (3.008, 0.95451),
    (3.971, 0.9831),
    (5.743, 0.9984),
)
_TANH: Points = (
    (0.292, 0.28601),
    (0.514, 0.47468),
    (0.718, 0.61748),
    (0.926, 0.73082),
    (1.154, 0.82106),
    (1.419, 0.89139),
    (1.753, 0.94367),
    (2.227, 0.97899),
    (3.109, 0.99801),
)

SIGMOID_KNOTS: Points = (*((-x, 1 - y) for x, y in reversed(_SIGMOID)), *_SIGMOID)
TANH_KNOTS: Points = (*((-x, -y) for x, y in reversed(_TANH)), *_TANH)
