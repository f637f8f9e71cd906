"""Where things are in a container, and how the ways there are mounted."""

from __future__ import annotations

CREDENTIALS = "/etc/triveni"
"""The Secret of a worker or of the sharing job."""

CONFIG_FILE = "config.json"

REPORT = "/dev/termination-log"
"""The report at the end becomes the container's termination message, which the operator reads in the pod's status."""

SCRATCH = "/tmp"  # noqa: S108 (an emptyDir of the pod's own, in memory)

MODEL = "/model"
"""The model file, where it comes from the cluster."""

SOURCE_AUTHORITIES = "/etc/triveni-source-ca"
"""The authorities that a server of the model file may have its certificate from."""

SOURCE_CREDENTIALS = "/etc/triveni-source"
"""The access key of an S3 source."""
