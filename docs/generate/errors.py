"""The reference of refusals and exit codes: what a client of any language is told, and how the command line ends."""

from __future__ import annotations

from docs.generate.headings import anchors_of
from docs.generate.markdown import document, linked, table
from triveni.api import inference
from triveni.api.inference import Reason
from triveni.cli import exit_codes
from triveni.worker import door

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
        "## Limits of a worker's connections",
        CONNECTIONS,
        table(("limit", "value"), ((text, f"{getattr(door, name):,g}") for name, text in DOOR.items())),
        "## Of the command line",
        table(("exit code", "meaning"), ((str(code), meaning) for code, meaning in exit_codes.MEANINGS.items())),
    )


CONNECTIONS = """Whoever passes one of these is cut off and logged once, by the name in its certificate, or by its
address if it has shown none. A request's body has as long as its shares are waited for, and is bounded by the rows
that a request may have."""

DOOR = {
    "HANDSHAKE_S": "seconds for a TLS handshake",
    "HANDSHAKES": "handshakes that are not finished; one more ends the oldest of them",
    "FIRST_REQUEST_S": "seconds from there to the end of the first request's header",
    "KEEP_ALIVE_S": "the same for each further request, from the answer before",
    "CONNECTIONS": "connections in all",
    "NAME_CONNECTIONS": "connections of one certificate name, and so requests that it has under way",
    "LINES": "lines of a header",
    "LINE_BYTES": "bytes of each",
}

LIMITS = {
    "MAX_DIMENSIONS": "dimensions of a tensor",
    "MAX_TENSORS": "tensors of a body",
    "MAX_HEADER_BYTES": "bytes of its JSON header",
}
