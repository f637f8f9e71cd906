"""The sharing process of the product, which leaves a file before the first share of the model leaves it.

A controller that starts after another was killed has to know whether anything can have been answered: in a cluster the
phase Sharing in the status says so, `triveni run` reads what the process prints, and this survives both.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.chaos.book import SHARING_BEGAN
from triveni.sharing.__main__ import main
from triveni.sharing.steps import Steps

LAST_BEFORE = "architecture"
"""The last step of which it is certain that no share has left."""


def marked(folder: Path) -> int:
    """Share as the product does; the mark goes into `folder`."""
    done = Steps.done

    def mark_then_tell(steps: Steps, step: str, details: Mapping[str, Any]) -> None:
        if step == LAST_BEFORE:
            with (folder / SHARING_BEGAN).open("w") as file:
                os.fsync(file.fileno())
        done(steps, step, details)

    Steps.done = mark_then_tell  # type: ignore[assignment, method-assign]
    return main()


if __name__ == "__main__":
    sys.exit(marked(Path(sys.argv[sys.argv.index("--report") + 1]).parent))
