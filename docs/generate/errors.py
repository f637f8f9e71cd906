"""The reference of refusals and exit codes: what a client of any language is told, and how the command line ends."""

from __future__ import annotations

from docs.generate.headings import anchors_of
from docs.generate.markdown import document, linked, table
from triveni.api import inference
from triveni.api.inference import Reason
from triveni.cli import exit_codes

INTRO = """# Refusals and exit codes

## Of a worker

The body of every refusal is `{"error": "a sentence for a person", "reason": "a word for a program"}`. What to do about
each is in [other languages](../clients/protocol.md#refusals)."""


def page() -> str:
    """The whole page."""
    known = anchors_of("clients/protocol.md")
    return document(
        INTRO,
        table(
            ("HTTP status", "reason"),
            ((str(reason.status), linked(reason, "../clients/protocol.md", known)) for reason in Reason),
        ),
        "## Limits of a body",
        table(("limit", "value"), ((text, f"{getattr(inference, name):,}") for name, text in LIMITS.items())),
        "## Of the command line",
        table(("exit code", "meaning"), ((str(code), meaning) for code, meaning in exit_codes.MEANINGS.items())),
    )


LIMITS = {
    "MAX_DIMENSIONS": "dimensions of a tensor",
    "MAX_TENSORS": "tensors of a body",
    "MAX_HEADER_BYTES": "bytes of its JSON header",
}
