"""How long the steps of an epoch may take, in seconds, seen together because they must fit each other.

A worker that waits costs little, while an epoch that ends too early costs all three their certificates and a start
from nothing. So these allow for a node that has to be added and an image that has to be pulled; that a worker is lost,
the others notice by themselves, and the operator from the pod.
"""

from __future__ import annotations

SHARE = 600
"""The sharing job gives up by itself after this, and its report says which worker it could not reach."""

START = 900
"""A worker without its peers or its share ends after this, and the job's pod is stopped: more than `SHARE`, so that the
job has had the time to be placed, to start, and to say what is wrong."""

OWNER = 3600
"""Workers whose model is shared by its owner wait so long for a person, where they wait `START` for a job."""

WORKER_END = 20
"""To complete the current run, answer, erase and report, before the kubelet kills."""

SHARING_END = 10
"""The same for the sharing job, which only reports."""
