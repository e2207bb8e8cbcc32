"""The store that release 0.1.0 wrote: everything in it reads the same, and its agents go on as they would have.

`stores/0.1.zip` holds the store and, in `expected.json`, what 0.1.0 itself answered to the calls of `answers`.
"""

from __future__ import annotations

import json
import math
import sqlite3
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from orchestration.service.store.backup import Places
from orchestration.service.store.registry import state_store
from orchestration.service.store.upgrading import upgrade
from orchestration.service.tokens import Scope, Tokens

STORE = Path(__file__).parents[1] / "orchestration" / "service" / "stores" / "0.1.zip"
TOKEN = "proctor_0123456789ab_" + "A" * 42 + "0"
"""A token of the store, with the scope `recommend` for agents whose name begins with "n"."""

NOW = {"updated_at", "opened_at", "rewarded_at", "created_at", "made_at"}
"""Fields with the time of the call."""

READS = ("", "/versions", "/episodes", "/metrics", "/insights")
CASES = [{"id": f"t{number}", "duration": 0.5 + number} for number in range(5)]
VERDICTS = ("passed", "failed", "passed", "error", "passed")

LAST_DIGITS = 1e-9
"""Relative difference of floats on processors that round differently."""

FLOAT32_LEARNING = 1e-3
"""The same for the network: it learns in single precision (8e-6 was seen between an Intel and an AMD processor)."""

Ask = Callable[..., Any]


def answers(ask: Ask) -> dict[str, Any]:
    """What the service answers to reads, then to calls that change its agents."""
    names = [agent["name"] for agent in ask("GET", "")["agents"]]
    return {
        "reads": {name: {path: ask("GET", f"/{name}{path}") for path in READS} for name in names},
        "episodes": {name: newest_episodes(ask, name) for name in names},
        "goes on": {name: goes_on(ask, name) for name in names},
    }


def newest_episodes(ask: Ask, name: str) -> list[Any]:
    listed = ask("GET", f"/{name}/episodes")["episodes"]
    return [ask("GET", f"/{name}/episodes/{entry['episode_id']}") for entry in listed[:3]]


def goes_on(ask: Ask, name: str) -> list[Any]:
    """A repeated reward, open episodes, a new episode, a restore and an episode after it."""
    listed = ask("GET", f"/{name}/episodes")["episodes"]
    steps = [ask("POST", f"/{name}/episodes/{listed[-1]['episode_id']}/reward")] if listed else []
    for entry in (entry for entry in listed if entry["total"] is None):
        steps += [ask("POST", f"/{name}/next", {"episode_id": entry["episode_id"]})]
        steps += [ask("POST", f"/{name}/episodes/{entry['episode_id']}/reward")]
    steps += new_episode(ask, name, "before")
    steps.append(ask("POST", f"/{name}/versions/1/restore", key="back"))
    steps += new_episode(ask, name, "after")
    return [*steps, *(ask("GET", f"/{name}{path}") for path in ("", "/versions", "/insights"))]


def new_episode(ask: Ask, name: str, key: str) -> list[Any]:
    opened = ask("POST", f"/{name}/recommendations", {"job": "unit", "test_cases": CASES}, f"{name}-{key}")
    episode = f"/{name}/episodes/{opened['episode_id']}"
    results = [{"id": case["id"], "verdict": verdict} for case, verdict in zip(CASES, VERDICTS, strict=True)]
    return [opened, ask("POST", f"{episode}/results", {"results": results}), ask("POST", f"{episode}/reward")]


def caller(client: TestClient, token: str) -> Ask:
    def ask(method: str, path: str, body: Any = None, key: str = "") -> Any:
        headers = {"authorization": f"Bearer {token}", **({"idempotency-key": key} if key else {})}
        answer = client.request(method, f"/v1/agents{path}", json=body, headers=headers)
        return answer.json() if answer.status_code < 300 else {"status": answer.status_code, **answer.json()}

    return ask


def differences(expected: Any, actual: Any, place: str = "", timeless: bool = False) -> Iterator[str]:
    """Where an answer differs from 0.1.0's; fields that are new since do not count."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        for name in expected.keys() - (NOW if timeless else set()):
            yield from differences(expected[name], actual.get(name), f"{place}/{name}", timeless or name == "goes on")
    elif isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        for number, pair in enumerate(zip(expected, actual, strict=True)):
            yield from differences(*pair, f"{place}/{number}", timeless)
    elif isinstance(expected, float) and isinstance(actual, float):
        if not math.isclose(expected, actual, rel_tol=FLOAT32_LEARNING if "/net/" in place else LAST_DIGITS):
            yield f"{place}: {expected!r} -> {actual!r}"
    elif expected != actual:
        yield f"{place}: {expected!r} -> {actual!r}"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with the store."""
    with zipfile.ZipFile(STORE) as store:
        store.extractall(tmp_path)
    return tmp_path


@pytest.mark.parametrize("upgraded", [False, True])
def test_the_store_of_0_1_goes_on(home: Path, make_client: Callable[..., TestClient], upgraded: bool) -> None:
    if upgraded:
        upgrade(Places(str(home / "service.db"), str(home / "states")), home / "backup")
    store = state_store(str(home / "service.db"))
    admin, _ = Tokens(store).create([Scope.ADMIN])
    store.close()
    client = make_client(home=home)
    actual = answers(caller(client, admin))
    expected = json.loads((home / "expected.json").read_text(encoding="utf-8"))
    assert list(differences(expected, actual)) == []
    assert len(expected["reads"]) == 8
    assert "status" not in expected["goes on"]["nightly"][-1]
    assert list(differences(expected, {**actual, "episodes": {}})), "the comparison sees what is missing"


def test_a_token_of_0_1_works_on(home: Path, make_client: Callable[..., TestClient]) -> None:
    ask = caller(make_client(home=home), TOKEN)
    assert ask("GET", "/nightly")["name"] == "nightly"
    assert ask("GET", "/rates")["status"] == 404


def test_the_store_records_its_formats_when_it_is_opened(home: Path) -> None:
    state_store(str(home / "service.db")).close()
    with closing(sqlite3.connect(home / "service.db")) as connection:
        rows = dict(connection.execute("SELECT kind, written_by FROM formats").fetchall())
        (version,) = connection.execute("SELECT oldest, newest FROM formats WHERE kind = 'episode'").fetchall()
    assert rows["episode"] == rows["results"] == "0.1.0"
    assert version == (2, 2)
