"""The OpenAPI document is true: generated calls never break the service, and every answer matches its schema."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.testclient import TestClient

from orchestration.runtime.edge import REFUSALS
from orchestration.service.tokens import Scope
from serve_app import openapi
from serve_app.calls import CALLS

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
"""A call that fits the schema can still be refused (an unknown agent, a test twice), so acceptance is not checked."""

BOUNDED = settings(
    max_examples=25,
    derandomize=True,  # the same calls every time
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)

TESTS = ("a", "b", "c")


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """One application for all generated calls."""
    from orchestration.service.service import SchedulingService, ServiceSettings
    from serve_app.app import build_api

    home = tmp_path_factory.mktemp("home")

    async def listens() -> bool:
        return True

    api = build_api(lambda: SchedulingService(ServiceSettings.in_folder(home, inline=True)), listens)
    with TestClient(api, base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="module")
def known(application: TestClient) -> dict[str, Any]:
    """An agent with three versions and an open episode of the tests a, b, c."""
    application.post("/v1/agents", json={"name": "nightly", "kind": "bandit"})
    path = "/v1/agents/nightly"
    episode = ""
    for turn in range(4):
        body = {"test_cases": [{"id": name} for name in TESTS]}
        episode = application.post(f"{path}/recommendations", json=body).json()["episode_id"]
        if turn < 3:
            results = [{"id": name, "verdict": "failed", "duration": 1.0} for name in TESTS]
            application.post(f"{path}/episodes/{episode}/results", json={"results": results})
            assert application.post(f"{path}/episodes/{episode}/reward").status_code == 200
    return {"agent": "nightly", "episode": episode, "version": 1}


@pytest.fixture(scope="module")
def document(application: TestClient) -> Any:
    """The document, and the application in process behind it."""
    statuses = [400, 401, 403, 404, 409, 413, 415, 422]
    checks = {"negative_data_rejection": {"expected-statuses": statuses}}
    config = schemathesis.Config.from_dict({"checks": checks})
    return schemathesis.openapi.from_asgi("/openapi.json", application.app, config=config)


def operations(document: Any) -> list[Any]:
    """All calls of the document."""
    return [result.ok() for result in document.get_all_operations()]


def try_out(operation: Any, mode: schemathesis.GenerationMode, known: dict[str, Any] | None) -> int:
    """Make generated calls; how many.

    Args:
        known: names to put into the path in place of generated ones.
    """
    count = 0

    @BOUNDED
    @given(case=operation.as_strategy(generation_mode=mode))
    def generated(case: schemathesis.Case) -> None:
        nonlocal count
        count += 1
        if known is not None:
            for name in case.path_parameters or {}:
                case.path_parameters[name] = known[name]
            if isinstance(case.body, dict):
                use_known_ids(case.body, known)
        case.call_and_validate(checks=CHECKS, headers={"host": "127.0.0.1"})

    generated()
    return count


def use_known_ids(body: dict[str, Any], known: dict[str, Any]) -> None:
    """Let a body be about what exists."""
    if "episode_id" in body:
        body["episode_id"] = known["episode"]
    for place, result in enumerate(body.get("results", [])):
        result["id"] = TESTS[place % len(TESTS)]


@pytest.mark.slow
@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode))
def test_generated_calls(document: Any, mode: schemathesis.GenerationMode) -> None:
    for operation in operations(document):
        if mode is schemathesis.GenerationMode.POSITIVE or takes_something(operation):
            assert try_out(operation, mode, None) > 0


@pytest.mark.slow
def test_generated_calls_for_what_exists(document: Any, known: dict[str, Any]) -> None:
    for operation in operations(document):
        if operation.method.upper() != "DELETE":
            assert try_out(operation, schemathesis.GenerationMode.POSITIVE, known) > 0


@pytest.mark.slow
def test_generated_calls_with_a_token_and_without(document: Any, known: dict[str, Any]) -> None:
    """Last: from here on the application asks for tokens. What the document says is secured is, and nothing else."""
    service = document.app.state.service
    text, _ = service.tokens.create([Scope.ADMIN])
    service.tokens.create([Scope.READ])
    document.app.state.gate._in_use = (0.0, False)  # what it found before is believed for two seconds
    for operation in operations(document):
        if operation.method.upper() == "DELETE":
            continue

        @BOUNDED
        @given(case=operation.as_strategy(generation_mode=schemathesis.GenerationMode.POSITIVE))
        def with_token(case: schemathesis.Case) -> None:
            for name in case.path_parameters or {}:
                case.path_parameters[name] = known[name]
            headers = {"host": "127.0.0.1", "authorization": f"Bearer {text}"}
            answer = case.call_and_validate(checks=CHECKS, headers=headers)
            assert answer.status_code not in (401, 403)
            refused = case.call(headers={"host": "127.0.0.1"})
            assert (refused.status_code == 401) == case.path.startswith("/v1/")

        with_token()


def test_the_document_shows_the_security_scheme(application: TestClient) -> None:
    document = application.get("/openapi.json").json()
    scheme = document["components"]["securitySchemes"]["token"]
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
    assert {"token": []} in document["security"]
    for path, calls in document["paths"].items():
        for operation in calls.values():
            secured = {"token": []} in operation.get("security", document["security"])
            assert secured == (path.startswith("/v1/") or path == "/metrics")
            assert ("401" in operation["responses"]) >= path.startswith("/v1/")


def takes_something(operation: Any) -> bool:
    """Whether there is anything that could be wrong."""
    return bool(list(operation.path_parameters) or list(operation.query) or list(operation.body))


def test_the_document_names_every_call(application: TestClient) -> None:
    paths = application.get("/openapi.json").json()["paths"]
    described = {f"{method.upper()} {path}" for path, calls in paths.items() for method in calls}
    agent, episode = "/v1/agents/{agent}", "/v1/agents/{agent}/episodes/{episode}"
    assert described == {
        "POST /v1/agents",
        "GET /v1/agents",
        f"GET {agent}",
        f"PATCH {agent}",
        f"DELETE {agent}",
        f"POST {agent}/recommendations",
        f"POST {episode}/results",
        f"POST {episode}/reward",
        f"POST {agent}/next",
        f"GET {agent}/episodes",
        f"GET {episode}",
        f"GET {agent}/metrics",
        f"GET {agent}/insights",
        f"GET {agent}/versions",
        f"POST {agent}/versions/{{version}}/restore",
        "GET /healthz",
        "GET /readyz",
        "GET /metrics",
    }


def test_every_reference_of_the_document_leads_somewhere(application: TestClient) -> None:
    document = application.get("/openapi.json").json()
    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}

    def references(value: Any) -> set[str]:
        if isinstance(value, dict):
            own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
            return own.union(*map(references, value.values()))
        return set().union(*map(references, value)) if isinstance(value, list) else set()

    assert references(document) <= known


def test_what_the_edge_answers_is_in_the_document() -> None:
    """But what never comes to a call: other methods, other paths, requests that are not HTTP."""
    whole = openapi.document(CALLS, "0")
    documented = {int(status) for status in whole["paths"]["/v1/agents"]["post"]["responses"]}
    assert {refusal.status for refusal in REFUSALS.values()} - {404, 405} <= documented
