"""The reference of what the operator says: conditions with reasons, ends of epochs and workers, events, metrics."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator, Sequence

from docs.generate.headings import anchors_of
from docs.generate.markdown import code, document, linked, plain, table
from docs.generate.reasons import EVERY_OTHER, condition_reasons, sharing_failures
from triveni.api.status import ConditionType
from triveni.controller import metrics
from triveni.controller.decide.ending import Ended
from triveni.controller.observed import NOT_YET
from triveni.sharing.failures import SharingFailure, Transient
from triveni.worker.state import EndReason

RUNBOOK = "../runbook.md"

STATUSES = ("True", "False", "Unknown")

INTRO = """# Conditions, events, metrics

What a SecureModel's status and the operator say, word by word; programs may compare the reasons. What to do about each
is in the [runbook](../runbook.md)."""


def page() -> str:
    """The whole page."""
    known = anchors_of("runbook.md")
    return document(
        INTRO,
        "## Conditions",
        table(("condition", *STATUSES), _conditions(known)),
        "`Shared`, `WorkersReady` and `Ready` also pass on the reason of what failed: one of the tables below, or"
        " Kubernetes' own word ([those that are met most](../runbook.md#words-of-kubernetes)).",
        "### Why a model could not be shared",
        table(
            ("reason", "tried again", "meaning"),
            (
                (linked(kind.reason, RUNBOOK, known), _tried_again(kind), plain(inspect.getdoc(kind) or ""))
                for kind in sharing_failures()
            ),
        ),
        "### Why a worker ended",
        table(
            ("reason", "asked for", "tried again"),
            (
                (linked(r, RUNBOOK, known), "no" if r.exit_code else "yes", "no" if r.permanent else "yes")
                for r in EndReason
            ),
        ),
        "### Why an epoch ended",
        table(("reason", "asked for"), ((linked(e, RUNBOOK, known), "yes" if e.asked_for else "no") for e in Ended)),
        "## Events",
        "Each condition that changes is an event of its own, with the condition's reason and message. Besides:",
        table(
            ("reason", "type", "when"),
            (
                ("`EpochStarted`", "Normal", "an epoch begins; says what it is granted"),
                ("`EpochEnding`", "Normal if somebody asked for it, else Warning", "says why"),
                ("`EpochCharged`", "Normal; Warning if no worker reported", "says how many requests, and why"),
                ("`Repaired`", "Warning", "somebody changed or deleted an object, and it is put right"),
            ),
        ),
        "## Metrics",
        "Of the operator, at `:8081/metrics`. Counters begin at zero with each operator; totals that last are in the"
        " status.",
        table(("metric", "type", "labels", "meaning"), _metrics()),
    )


def _conditions(known: Sequence[str]) -> Iterator[Sequence[str]]:
    """A row for each condition, with the reasons for each status."""
    reasons = condition_reasons()
    for kind in (*ConditionType, EVERY_OTHER):
        said = [[r for r in reasons if (r.condition, r.status) == (kind, status)] for status in STATUSES]
        yield kind, *(", ".join(linked(r.reason, RUNBOOK, known) for r in each) for each in said)


def _tried_again(kind: type[SharingFailure]) -> str:
    if "permanent" in vars(kind) and kind is not Transient:
        return "if it is only about this moment"
    if kind.reason == NOT_YET:
        return "in a cluster"
    return "yes" if issubclass(kind, Transient) else "no"


def _metrics() -> Iterator[tuple[str, str, str, str]]:
    """From the calls that make them."""
    for call in (node for node in ast.walk(ast.parse(inspect.getsource(metrics))) if isinstance(node, ast.Call)):
        if isinstance(call.func, ast.Name) and call.func.id in ("Counter", "Gauge", "Histogram"):
            name, meaning, *rest = (ast.literal_eval(argument) for argument in call.args)
            labels = ", ".join(code(label) for label in (rest[0] if rest else ()))
            yield code(name), call.func.id.lower(), labels, plain(meaning)
