"""The API is as its OpenAPI document says, whatever is asked."""

from __future__ import annotations

import hypothesis
import pytest
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from scanner.web.app import ROUTES
from scanner.web.openapi import document
from tests.support.serving import Served, bearer

SCHEMA = schemathesis.openapi.from_dict(document(""))

PAGES = {"/", "/assets/{name}", "/api/v1/openapi.json"}
"""What is no part of the API: the page, and the document itself."""


def test_the_document_names_every_route() -> None:
    described = {
        (path, method.upper())
        for path, operations in document("")["paths"].items()
        for method in operations
    }
    routes = {
        (route.path, method)
        for route in ROUTES
        for method in route.methods or ()
        if method != "HEAD" and route.path not in PAGES
    }
    assert described == routes


def test_the_document_is_the_one_that_is_served(site: Served) -> None:
    assert site.json("openapi.json") == document("")


@SCHEMA.exclude(path=["/api/v1/events", "/api/v1/changes"]).parametrize()
@hypothesis.settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(hypothesis.HealthCheck),
)
def test_whatever_is_asked_the_answer_is_as_described(
    site: Served, case: schemathesis.Case
) -> None:
    case.call_and_validate(
        base_url=str(site.client.base_url),
        headers=bearer(),
        checks=[
            not_a_server_error,
            status_code_conformance,
            content_type_conformance,
            response_schema_conformance,
        ],
    )


@SCHEMA.include(path="/api/v1/changes").parametrize()
@hypothesis.settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(hypothesis.HealthCheck),
)
def test_changes_are_as_described(site: Served, case: schemathesis.Case) -> None:
    case.query.pop("wait", None)  # that only takes time
    case.call_and_validate(
        base_url=str(site.client.base_url),
        checks=[not_a_server_error, status_code_conformance, response_schema_conformance],
    )


@pytest.mark.parametrize("path", sorted(document("")["paths"]))
def test_every_answer_is_described_in_words(path: str) -> None:
    for operation in document("")["paths"][path].values():
        assert operation["summary"].endswith(".")
        for response in operation["responses"].values():
            assert response["description"].endswith(".")
