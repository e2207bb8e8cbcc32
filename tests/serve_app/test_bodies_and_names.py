"""What a caller can throw at the service besides a wrong value: bodies without end, foreign names, paths, any bytes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from orchestration.service.store.sql import SqlStore
from orchestration.service.tokens import Scope, Tokens

QUICK = settings(
    max_examples=50,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
CASES = {"test_cases": [{"id": "a"}, {"id": "b"}]}
RESULTS = {"results": [{"id": "a", "verdict": "passed"}]}


def bearer(text: str) -> dict[str, str]:
    return {"authorization": f"Bearer {text}"}


# -- bodies -----------------------------------------------------------------------------------------------------------


def post(app: Any, path: str, pieces: list[bytes], *headers: tuple[bytes, bytes]) -> tuple[int, int]:
    """Post a body in pieces without a server in between; the status, and how many pieces were read."""
    read, answers = 0, []

    async def receive() -> dict[str, Any]:
        nonlocal read
        if read >= len(pieces):
            return {"type": "http.disconnect"}
        read += 1
        return {"type": "http.request", "body": pieces[read - 1], "more_body": read < len(pieces)}

    async def send(message: dict[str, Any]) -> None:
        answers.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"127.0.0.1"), (b"content-type", b"application/json"), *headers],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
    }
    asyncio.run(app(scope, receive, send))
    return next(message["status"] for message in answers if message["type"] == "http.response.start"), read


@pytest.mark.parametrize(
    ("path", "length"),
    [
        ("/v1/agents", (b"transfer-encoding", b"chunked")),
        ("/v1/agents/nightly/recommendations", (b"content-length", b"1000")),  # in front of the framework
    ],
)
def test_a_body_that_never_ends_loses_its_place(make_client: Any, path: str, length: tuple[bytes, bytes]) -> None:
    """Four bodies without a length take all the places there are for bodies."""
    client = make_client(body_seconds=0.2)
    answers: list[dict[str, Any]] = []
    waited = 0

    async def receive() -> dict[str, Any]:
        nonlocal waited
        waited += 1
        await asyncio.sleep(0.05)
        return {"type": "http.request", "body": b" ", "more_body": True}

    async def send(message: dict[str, Any]) -> None:
        answers.append(message)

    headers = [(b"content-type", b"application/json"), length, (b"host", b"127.0.0.1")]
    scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": headers}
    asyncio.run(client.app({**scope, "client": ("127.0.0.1", 1), "root_path": ""}, receive, send))
    assert answers[0]["status"] == 408
    assert (b"connection", b"close") in answers[0]["headers"]
    assert 1 <= waited < 100
    answer = client.post("/v1/agents", json={"name": "a", "kind": "random"})
    assert answer.status_code == 201


PATHS = ("/v1/agents", "/v1/agents/nightly/recommendations", "/v1/agents/nightly/episodes/e/results")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"transfer-encoding", b"chunked")],
        [(b"content-length", b"10")],  # less than what comes
        [(b"content-length", b"10"), (b"transfer-encoding", b"chunked")],
        [(b"content-length", b"-1")],
        [(b"content-length", "\u0661".encode())],
        [(b"content-length", b"10"), (b"content-length", b"20")],
    ],
)
def test_a_body_without_end_is_read_up_to_the_limit(make_client: Any, path: str, headers: Any) -> None:
    client = make_client(body_bytes=10_000)
    assert client.post("/v1/agents", json={"name": "nightly", "kind": "random"}).status_code == 201
    status, read = post(client.app, path, [b"[" * 1000] * 1000, *headers)
    assert status == 413
    assert read <= 11


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("length", [b"10001", b"9" * 18, b"9" * 5000])
def test_an_announced_length_over_the_limit_is_refused_unread(make_client: Any, path: str, length: bytes) -> None:
    client = make_client(body_bytes=10_000)
    assert post(client.app, path, [b"{}"] * 10, (b"content-length", length)) == (413, 0)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b'{"a":' * 100_000, b'{"test_cases":' + b"[" * 100_000, b"9" * 100_000]
)
def test_deep_and_long_json_is_refused(client: TestClient, agent: str, path: str, body: bytes) -> None:
    answer = client.post(path, content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 422)
    assert len(answer.content) < 2_000


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
)
keys = st.sampled_from(["id", "verdict", "duration", "finished_at", "features", "history"])
tests = st.lists(st.dictionaries(keys, json_values, max_size=4), max_size=3)
bodies = st.one_of(
    st.binary(max_size=60),
    json_values.map(lambda value: json.dumps(value).encode()),
    st.fixed_dictionaries(
        {},
        optional={
            "test_cases": tests,
            "results": tests,
            "job": json_values,
            "must_run": json_values,
            "observe": json_values,
            "time_budget_seconds": json_values,
            "episode_id": json_values,
        },
    ).map(lambda value: json.dumps(value).encode()),
)


@pytest.mark.parametrize(
    "route", ["recommendations", "episodes/{episode}/results", "episodes/{episode}/reward", "next"]
)
@QUICK
@given(body=bodies)
@example(body=b'{"test_cases":[{"id":"\\ud800"}]}')
@example(body=b'{"test_cases":[{"id":"a","duration":1e400}]}')
@example(body=b'{"test_cases":[{"id":"a","duration":-0.0}],"job":"\\u0000"}')
@example(body=b'{"results":[{"id":"a","verdict":"passed","duration":NaN}]}')
@example(body=b'{"results":[{"id":"a","verdict":"passed"},{"id":"a","verdict":"failed"}]}')
@example(body=b'\xef\xbb\xbf{"results":[]}')
def test_any_body_of_the_hot_calls(client: TestClient, agent: str, episode: str, route: str, body: bytes) -> None:
    path = f"/v1/agents/{agent}/{route.replace('{episode}', episode)}"
    answer = client.post(path, content=body, headers={"content-type": "application/json"})
    assert answer.status_code < 500, answer.text
    assert answer.status_code in (200, 400, 404, 409, 413, 422)
    answer.json()


@QUICK
@given(
    body=json_values
    | st.fixed_dictionaries(
        {"name": st.text(max_size=8), "kind": st.text(max_size=8)},
        optional={
            "hyperparameters": json_values,
            "budget": json_values,
            "history_length": json_values,
            "seed": json_values,
            "reward": json_values,
            "exploration": json_values,
            "description": json_values,
            "objective": json_values,
        },
    )
)
def test_any_body_of_the_other_calls(client: TestClient, agent: str, body: Any) -> None:
    content = json.dumps(body).encode()
    for method, path in (("POST", "/v1/agents"), ("PATCH", f"/v1/agents/{agent}")):
        answer = client.request(method, path, content=content, headers={"content-type": "application/json"})
        assert answer.status_code < 500, answer.text


# -- names ------------------------------------------------------------------------------------------------------------

WRONG = [
    "..",
    "../x",
    "..%2fx",
    "%2e%2e",
    "a/b",
    "a%2fb",
    "a\\b",
    ".hidden",
    "a b",
    "a%00b",
    "%ff",
    "é",
    "a" * 101,
    "-" * 200,
]


@pytest.mark.parametrize("name", WRONG)
def test_names_that_could_leave_a_folder_are_no_names(client: TestClient, tmp_path: Path, name: str) -> None:
    from urllib.parse import unquote

    before = sorted(tmp_path.parent.iterdir())
    for answers in (name, unquote(name)):
        body = json.dumps({"name": answers, "kind": "random"}).encode("utf-8", "replace")
        answer = client.post("/v1/agents", content=body, headers={"content-type": "application/json"})
        assert answer.status_code in (400, 422), answers
    for method, rest in (
        ("GET", ""),
        ("DELETE", "?confirm=x"),
        ("POST", "/recommendations"),
        ("POST", "/episodes/e/reward"),
    ):
        answer = client.request(method, f"/v1/agents/{name}{rest}", json=CASES if "rec" in rest else None)
        assert 400 <= answer.status_code < 500
    assert sorted(tmp_path.parent.iterdir()) == before
    assert client.get("/v1/agents").json()["agents"] == []


@QUICK
@given(name=st.text(max_size=20), episode=st.text(max_size=20))
def test_any_path_is_answered(client: TestClient, name: str, episode: str) -> None:
    from urllib.parse import quote

    base = f"/v1/agents/{quote(name, safe='')}"
    for method, path in (
        ("GET", base),
        ("GET", f"{base}/episodes/{quote(episode, safe='')}"),
        ("POST", f"{base}/episodes/{quote(episode, safe='')}/reward"),
        ("POST", f"{base}/versions/{quote(episode, safe='')}/restore"),
        ("GET", f"{base}/episodes?cursor={quote(episode)}&limit={quote(name)}"),
    ):
        assert client.request(method, path).status_code < 500


@QUICK
@given(text=st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF), max_size=80))
@example(text="Bearer " + "proctor_" * 1000)
@example(text="Bearer proctor_000000000000_" + "A" * 43)
@example(text="Bearer  ")
def test_any_authorization_is_answered_and_opens_nothing(guarded: TestClient, text: str) -> None:
    headers = {"authorization": text.encode("latin-1")}
    for method, path in (("GET", "/v1/agents"), ("POST", "/v1/agents/other/episodes/e/reward")):
        assert guarded.request(method, path, headers=headers).status_code in (401, 429)


# -- tenants ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def tokens(tmp_path: Path) -> dict[str, str]:
    made = Tokens(SqlStore(str(tmp_path / "service.db")))
    return {
        "admin": made.create([Scope.ADMIN])[0],
        "team": made.create([Scope.ADMIN], "team-")[0],
        "reader": made.create([Scope.READ], "team-")[0],
    }


@pytest.fixture
def guarded(tokens: dict[str, str], make_client: Any) -> Iterator[TestClient]:
    """Another tenant's agent "other" with an episode and a version."""
    client: TestClient = make_client()
    admin = bearer(tokens["admin"])
    for name in ("other", "team-a"):
        assert client.post("/v1/agents", json={"name": name, "kind": "random"}, headers=admin).status_code == 201
    answers = client.post("/v1/agents/other/recommendations", json=CASES, headers=admin).json()
    episode = answers["episode_id"]
    results = {"results": [{"id": name, "verdict": "failed"} for name in "ab"]}
    client.post(f"/v1/agents/other/episodes/{episode}/results", json=results, headers=admin)
    assert client.post(f"/v1/agents/other/episodes/{episode}/reward", headers=admin).status_code == 200
    client.episode = episode  # type: ignore[attr-defined]
    return client  # type: ignore[return-value]


CALLS: list[tuple[str, str, Any]] = [
    ("GET", "", None),
    ("PATCH", "", {"description": "mine"}),
    ("DELETE", "?confirm=NAME", None),
    ("POST", "/recommendations", CASES),
    ("POST", "/recommendations", {**CASES, "observe": ["team-a"]}),
    ("POST", "/episodes/EPISODE/results", RESULTS),
    ("POST", "/episodes/EPISODE/reward", None),
    ("POST", "/next", {"episode_id": "EPISODE"}),
    ("GET", "/episodes", None),
    ("GET", "/episodes/EPISODE", None),
    ("GET", "/metrics", None),
    ("GET", "/insights", None),
    ("GET", "/versions", None),
    ("POST", "/versions/1/restore", None),
]


@pytest.mark.parametrize("call", CALLS, ids=[f"{method} {path}" for method, path, _ in CALLS])
@pytest.mark.parametrize("missing", ["nobody", "team-x"])
def test_an_agent_of_others_answers_as_one_that_is_not_there(
    guarded: TestClient, tokens: dict[str, str], call: tuple[str, str, Any], missing: str
) -> None:
    method, rest, body = call
    answers = []
    for name in ("other", missing):
        episode = guarded.episode  # type: ignore[attr-defined]
        path = f"/v1/agents/{name}{rest}".replace("NAME", name).replace("EPISODE", episode)
        content = None if body is None else json.loads(json.dumps(body).replace("EPISODE", episode))
        answer = guarded.request(method, path, headers=bearer(tokens["team"]), json=content)
        headers = {key: value for key, value in answer.headers.items() if key != "content-length"}
        answers.append((answer.status_code, answer.text.replace(name, "NAME"), headers))
    assert answers[0] == answers[1]
    assert answers[0][0] == 404


def test_nothing_of_others_is_listed_or_changed(guarded: TestClient, tokens: dict[str, str]) -> None:
    team = bearer(tokens["team"])
    listed = guarded.get("/v1/agents", headers=team)
    assert [entry["name"] for entry in listed.json()["agents"]] == ["team-a"]
    for cursor in ("", "a", "other", "z"):
        assert "other" not in guarded.get("/v1/agents", params={"cursor": cursor}, headers=team).text
    taken = [
        guarded.post("/v1/agents", json={"name": name, "kind": "bandit"}, headers=team) for name in ("other", "free")
    ]
    assert [answer.status_code for answer in taken] == [403, 403]
    assert taken[0].json() == taken[1].json()
    answers = guarded.get("/v1/agents/other", headers=bearer(tokens["admin"])).json()
    assert (answers["description"], answers["version"], answers["episodes"]) == ("", 1, 1)


def test_agents_of_others_that_observe_are_not_named(guarded: TestClient, tokens: dict[str, str]) -> None:
    """Somebody who may see all lets agents of two tenants observe each other."""
    admin, team = bearer(tokens["admin"]), bearer(tokens["team"])
    assert guarded.post("/v1/agents", json={"name": "team-b", "kind": "random"}, headers=admin).status_code == 201
    for agent, observers in (("team-a", ["other", "team-b"]), ("other", ["team-a"])):
        body = {**CASES, "observe": observers}
        answer = guarded.post(f"/v1/agents/{agent}/recommendations", json=body, headers=admin)
        assert answer.json()["observers"] == observers
    listed = guarded.get("/v1/agents/team-a/episodes", headers=team)
    assert [(entry["observers"], entry["observed_agent"]) for entry in listed.json()["episodes"]] == [
        ([], ""),
        (["team-b"], ""),
    ]
    for entry in listed.json()["episodes"]:
        answer = guarded.get(f"/v1/agents/team-a/episodes/{entry['episode_id']}", headers=team)
        assert "other" not in answer.text
        assert answer.status_code == 200
    seen = guarded.get("/v1/agents/team-b/episodes", headers=team).json()["episodes"]
    assert [entry["observed_agent"] for entry in seen] == ["team-a"]
    answers = guarded.get("/v1/agents/team-a/episodes", headers=admin).json()["episodes"]
    assert [(row["observers"], row["observed_agent"]) for row in answers] == [
        ([], "other"),
        (["other", "team-b"], ""),
    ]


def test_a_cursor_is_a_name(client: TestClient, agent: str) -> None:
    for cursor in ("\0", "a b", "'--", "\u00e9", ".a", "a" * 101, "\U0001f600"):
        answer = client.get("/v1/agents", params={"cursor": cursor})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "cursor")
    assert client.get("/v1/agents", params={"cursor": "a"}).json()["agents"][0]["name"] == agent


def test_a_prefix_is_no_pattern(guarded: TestClient, tokens: dict[str, str], tmp_path: Path) -> None:
    store = SqlStore(str(tmp_path / "service.db"))
    odd, _ = Tokens(store).create([Scope.READ], "te_m")  # "_" is any character in SQL's LIKE
    assert guarded.get("/v1/agents", headers=bearer(odd)).json()["agents"] == []
    store.close()
