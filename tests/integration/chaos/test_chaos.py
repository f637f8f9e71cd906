"""The chaos run in short: real processes are killed at random moments, and every rule of the request quota holds.

`make chaos` is the long one.
"""

from __future__ import annotations

import logging
import os
import random
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.chaos.chaos import SEED, Chaos, Wanted, table
from tests.chaos.clients import Digits

log = logging.getLogger(__name__)

CLIENTS, QUOTA, KILLS = 4, 40, 6


async def test_whatever_is_killed_the_quota_holds_and_every_client_gets_its_own_right_answers_or_a_clear_error(
    tmp_path: Path, programs: Path, digits: NDArray[np.float32], keras_logits: NDArray[np.float32]
) -> None:
    seed = int(os.environ.get(SEED) or random.randrange(2**32))
    log.info("%s=%d", SEED, seed)
    chaos = Chaos(Wanted(QUOTA, KILLS, seed, Digits(digits, keras_logits, CLIENTS), programs), tmp_path, log.info)
    await chaos.run()
    figures = chaos.figures
    assert not figures.failures(), f"{SEED}={seed}\n{table(figures)}"
    assert figures.kills == KILLS
    # Three workers that vanish at once cost the rest of a quota; but the last SecureModel is left in peace in the end.
    assert figures.tally.answers > 0
    assert figures.charged == QUOTA * len(figures.audits)
