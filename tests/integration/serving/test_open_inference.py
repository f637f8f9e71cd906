"""A worker that serves, asked whatever the published document of the Open Inference Protocol has anybody ask."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, settings
from requests.adapters import HTTPAdapter
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.integration.cluster import EPOCH, NAME, Cluster
from tests.unit.worker.published import DOCUMENT
from triveni.identity.credentials import AUTHORITY, CERTIFICATE, KEY

ASKED = 300
"""Requests for each operation of the document; those without a body are all the same and come once."""

CHECKS: list[Any] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]

PARTY = 0

published = schemathesis.openapi.from_dict(DOCUMENT)


class WhoeverHasTheCertificate(HTTPAdapter):
    """A worker is known by the name in its certificate, which is no host's."""

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, assert_hostname=False, **options)


@pytest.fixture(scope="module")
def client(served: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Any]]:
    """How a client with a certificate asks."""
    directory: Path = tmp_path_factory.mktemp("published")
    served.client_credentials("schemathesis").write(directory)
    host, port = served.address(PARTY)
    with requests.Session() as session:
        session.mount("https://", WhoeverHasTheCertificate())
        yield {
            "base_url": f"https://{host}:{port}",
            "session": session,
            "verify": str(directory / AUTHORITY),
            "cert": (str(directory / CERTIFICATE), str(directory / KEY)),
        }


@published.parametrize()
@settings(max_examples=ASKED, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_the_document_lets_anybody_ask_the_answer_is_one_of_the_document(
    case: schemathesis.Case, client: Mapping[str, Any]
) -> None:
    case.path_parameters = {"MODEL_NAME": NAME, "MODEL_VERSION": str(EPOCH)}
    case.validate_response(case.call(**client), checks=CHECKS)
