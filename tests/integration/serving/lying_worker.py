"""A real worker that alters its answers as a file tells it: ``LIES --config FILE``.

LIES holds a JSON object, the places of components and for each a bit, which is flipped in its first word in every
answer; while there is no such file, the worker is honest. All else, its part of the computation too, is right.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from triveni.worker.__main__ import main  # first: it keeps signals until there is someone to handle them

from triveni.worker.admission import Answer  # isort: skip
from triveni.worker.front import Front


def lie(lies: Path) -> None:
    """Answers leave the front as the file says."""
    honest = Front._answered

    def altered(self: Front, request_id: str, answer: Answer, *, binary: bool) -> Any:
        components = [words.copy() for words in answer.components]
        for place, bit in json.loads(lies.read_text()).items() if lies.exists() else ():
            components[int(place)].flat[0] ^= 1 << bit
        return honest(self, request_id, Answer(tuple(components)), binary=binary)

    Front._answered = altered  # type: ignore[method-assign]


if __name__ == "__main__":
    lies, *arguments = sys.argv[1:]
    lie(Path(lies))
    sys.exit(main(arguments))
