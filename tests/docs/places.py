"""Where each command of the documentation is run: on this machine, on the test cluster, or nowhere, with the reason."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from tests.docs.pages import Step


class Place(StrEnum):
    """Who runs a command."""

    HERE = "here"
    CLUSTER = "cluster"
    NOWHERE = "nowhere"


@dataclass(frozen=True)
class NotRun:
    """Commands that no test runs."""

    command: re.Pattern[str]
    reason: str


NOT_RUN = (
    NotRun(
        re.compile(r"make (run|setup|test|e2e|lint|format|coverage|lock|example|docs\S*|images|cluster-\S+)\b"),
        "is a make target: what tests start from, so they would run themselves",
    ),
    NotRun(re.compile(r"source \.venv/"), "the tests run in that environment already"),
    NotRun(
        re.compile(r"(TRIVENI_E2E_CLUSTER=\S+ )?\.venv/bin/python -m (pytest|tests\.e2e)"), "is the test tier itself"
    ),
    NotRun(re.compile(r"docker "), "the test machines have no Docker; the same two images are built for the e2e tier"),
)

ON_CLUSTER = re.compile(r"(kubectl|helm|curl)\b|triveni\b.* (-n|--namespace)\b")


class Needs(StrEnum):
    """What is in the cluster when a reader begins with a page."""

    NOTHING = "nothing"
    OPERATOR = "the operator"
    MODEL = "the operator, and a SecureModel that serves"


NEEDS = {
    "docs/start.md": Needs.OPERATOR,
    "docs/metrics.md": Needs.OPERATOR,
    "docs/clients/command-line.md": Needs.MODEL,
    "docs/science/from-keras.md": Needs.MODEL,
    "docs/science/quota.md": Needs.MODEL,
    "docs/operations.md": Needs.MODEL,
    "docs/runbook.md": Needs.MODEL,
    "docs/platform/day-2.md": Needs.MODEL,
    "README.md": Needs.NOTHING,
    "charts/triveni/README.md": Needs.NOTHING,
    "docs/platform/install.md": Needs.NOTHING,
}
"""Of the pages with commands for a cluster, in the order in which least has to be made anew."""


PREPARES = re.compile(r"triveni manifest\b")
"""What makes a file on this machine that a later command takes to the cluster, so that both tiers run it."""


def reason_not_to_run(step: Step) -> str | None:
    """Why no test runs this command; None if one does."""
    return next((listed.reason for listed in NOT_RUN if listed.command.match(step.text)), None)


def place(step: Step) -> Place:
    """Who runs this step; what is no command is done on this machine."""
    if step.kind == "command" and reason_not_to_run(step) is not None:
        return Place.NOWHERE
    return Place.CLUSTER if step.kind == "command" and ON_CLUSTER.match(step.text) else Place.HERE


def for_cluster(step: Step) -> bool:
    """Whether whoever does what a page says on a cluster runs this step."""
    return place(step) is Place.CLUSTER or (step.kind == "command" and bool(PREPARES.match(step.text)))
