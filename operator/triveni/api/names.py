"""The kinds of text in a SecureModel: names, keys, labels, images, digests. What each may look like, nothing else.

Patterns are in the syntax that Python and the API server (RE2) share, without look-around or references.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

LABEL = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"

MAX_NAME = 50

Name = Annotated[str, StringConstraints(pattern=LABEL, min_length=1, max_length=MAX_NAME)]
"""Of a SecureModel: a DNS label that leaves room for what the names of its Services and pods add to it."""

Namespace = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]

OBJECT_NAME = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"

ObjectName = Annotated[str, StringConstraints(pattern=OBJECT_NAME, max_length=253)]
"""Of another object of the namespace."""

DATA_KEY = r"^[-._a-zA-Z0-9]+$"

DataKey = Annotated[str, StringConstraints(pattern=DATA_KEY, max_length=253)]
"""A key of a ConfigMap or a Secret."""

DIGEST = r"^sha256:[0-9a-f]{64}$"

Digest = Annotated[str, StringConstraints(pattern=DIGEST)]

LABEL_KEY = r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"

LabelKey = Annotated[str, StringConstraints(pattern=LABEL_KEY, max_length=317)]
"""A label's name, with or without the domain that it belongs to."""

LABEL_VALUE = r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$"

LabelValue = Annotated[str, StringConstraints(pattern=LABEL_VALUE, max_length=63)]

IMAGE = r"^[A-Za-z0-9][-A-Za-z0-9._:/@]*$"

ImageName = Annotated[str, StringConstraints(pattern=IMAGE, min_length=1, max_length=512)]
