"""What /metrics tells is what happened, no stranger hears a name, and the dashboard asks for nothing else."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from orchestration.service.owners.call_statistics import COMMIT_BOUNDS, CommitTimes, OwnerStatistics, Totals
from orchestration.service.store.sql import SqlStore
from orchestration.service.tokens import Scope, Tokens

DASHBOARD = Path(__file__).parents[2] / "deploy" / "grafana" / "proctor.json"
CASES = {"test_cases": [{"id": name, "duration": 1.0} for name in "abcd"]}


def samples(client: TestClient, **headers: str) -> dict[str, float]:
    """Samples without labels, and those of agents as name{agent}."""
    answer = client.get("/metrics", headers=headers)
    assert answer.status_code == 200, answer.text
    values = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            if not sample.labels or set(sample.labels) == {"agent"}:
                values[sample.name + "".join(f"{{{value}}}" for value in sample.labels.values())] = sample.value
    return values


def run_episode(client: TestClient, agent: str, **more: Any) -> dict[str, Any]:
    answer = client.post(f"/v1/agents/{agent}/recommendations", json={**CASES, **more}).json()
    path = f"/v1/agents/{agent}/episodes/{answer['episode_id']}"
    results = [{"id": name, "verdict": "failed" if name == "b" else "passed", "duration": 1.0} for name in "abcd"]
    client.post(f"{path}/results", json={"results": results})
    reward: dict[str, Any] = client.post(f"{path}/reward").json()
    client.post(f"{path}/reward")  # again: counts once
    return {**reward, "exploration": answer["exploration"]}


def test_rewards_first_failures_exploration_and_the_store(client: TestClient, agent: str) -> None:
    client.post("/v1/agents", json={"name": "shadow", "kind": "random"})
    # The second one observes, so it goes through the framework and not the short way.
    answers = [run_episode(client, agent), run_episode(client, agent, observe=["shadow"])]
    values = samples(client)
    assert values["proctor_rewards_total"] == values["proctor_reward_count"] == 2
    assert values["proctor_reward_sum"] == pytest.approx(sum(answer["total"] for answer in answers))
    assert values["proctor_time_to_first_failure_count"] == 2
    assert values["proctor_time_to_first_failure_sum"] == pytest.approx(
        sum(answer["metrics"]["ttff"] for answer in answers)
    )
    assert values["proctor_exploration_count"] == 2
    assert values["proctor_exploration_sum"] == pytest.approx(sum(answer["exploration"] for answer in answers))
    assert values["proctor_results_total"] == 8
    assert values["proctor_agents"] == values["proctor_agents_awake"] == values["proctor_wake_ups"] == 2
    assert values["proctor_owners"] == 1
    assert values["proctor_store_commit_seconds_count"] >= 6
    assert values["proctor_store_commit_seconds_sum"] > 0
    assert values["proctor_store_read_seconds_count"] == 1
    assert values["proctor_queue_calls"] == values["proctor_queue_longest_calls"] == 0
    assert samples(client)["proctor_store_read_seconds_count"] == 2


def test_queues_of_agents_are_told_to_those_who_may_know_them(make_client: Any, tmp_path: Path) -> None:
    tokens = Tokens(SqlStore(str(tmp_path / "service.db")))
    admin, _ = tokens.create([Scope.ADMIN])
    team, _ = tokens.create([Scope.READ], "team-")
    client: TestClient = make_client()
    service = client.app.state.service  # type: ignore[attr-defined]
    admission = service._all_owners()._admission
    places = [admission.place("inline", name) for name in ("team-a", "team-a", "team-b", "other")]
    for place in places:
        place.__enter__()
    try:
        everybody = samples(client)
        assert everybody["proctor_queue_calls"] == 4
        assert everybody["proctor_queue_longest_calls"] == 2
        assert not [name for name in everybody if "{" in name]
        all_of_them = samples(client, authorization=f"Bearer {admin}")
        assert all_of_them["proctor_agent_queue_calls{other}"] == 1
        theirs = samples(client, authorization=f"Bearer {team}")
        assert {name: value for name, value in theirs.items() if "{" in name} == {
            "proctor_agent_queue_calls{team-a}": 2,
            "proctor_agent_queue_calls{team-b}": 1,
        }
        assert client.get("/metrics", headers={"authorization": "Bearer x"}).status_code == 401
    finally:
        for place in places:
            place.__exit__(None, None, None)
    assert samples(client)["proctor_queue_calls"] == 0


def test_totals_never_fall_while_owners_come_and_go() -> None:
    first, second = CommitTimes(), CommitTimes()
    totals = Totals()

    def sums(*owners: tuple[CommitTimes, int]) -> tuple[int, int]:
        totals.add(times.statistics(1, wake_ups) for times, wake_ups in owners)
        return totals.wake_ups, sum(totals.commits)

    first.note(0.001)
    assert sums((first, 1)) == (1, 1)
    second.note(0.3)
    second.note(99.0)
    assert sums((first, 3), (second, 1)) == (4, 3)
    assert sums((second, 1)) == (4, 3), "the first one is busy, or has ended"
    first.note(0.001)
    assert sums((first, 3), (second, 2)) == (5, 4)
    assert totals.commits[-1] == 1
    assert totals.commits[COMMIT_BOUNDS.index(0.001)] == 2
    assert totals.commit_seconds == pytest.approx(99.302)


def test_totals_remember_so_many_owners_and_no_more() -> None:
    totals = Totals()
    for number in range(3000):
        totals.add([OwnerStatistics(str(number), 0, 1, (0,) * (len(COMMIT_BOUNDS) + 1), 0.0)])
    assert totals.wake_ups == 3000
    assert len(totals._last) <= 1001


def expressions() -> dict[str, str]:
    """Every query of the dashboard, with the title of its panel."""
    titles: dict[str, str] = {}

    def look(value: Any, title: str) -> None:
        if isinstance(value, dict):
            title = value.get("title", title)
            if isinstance(value.get("expr"), str):
                titles[value["expr"]] = title
            for inner in value.values():
                look(inner, title)
        elif isinstance(value, list):
            for inner in value:
                look(inner, title)

    look(json.loads(DASHBOARD.read_text(encoding="utf-8")), "")
    return titles


def test_every_query_of_the_dashboard_names_what_is_told(client: TestClient, agent: str) -> None:
    run_episode(client, agent)
    client.get("/v1/agents/nobody")
    answers = {
        sample.name
        for family in text_string_to_metric_families(client.get("/metrics").text)
        for sample in family.samples
    } | {"proctor_agent_queue_calls"}
    asked = {name: title for query, title in expressions().items() for name in re.findall(r"proctor_[a-z_]+", query)}
    assert {name: title for name, title in asked.items() if name not in answers} == {}
    shown = " ".join(asked)
    wanted = [
        "requests",
        "request_seconds",
        "reward",
        "time_to_first_failure",
        "exploration",
        "agent_queue",
        "wake_ups",
    ]
    for part in [*wanted, "store_commit_seconds", "store_read_seconds", "errors"]:
        assert f"proctor_{part}" in shown


def test_the_dashboard_is_one_that_grafana_can_import() -> None:
    board = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    assert board["uid"] == "proctor"
    assert board["schemaVersion"] >= 36
    numbers = [panel["id"] for panel in board["panels"]]
    assert len(set(numbers)) == len(numbers)
    for panel in board["panels"]:
        assert panel["type"] in ("timeseries", "stat", "row", "bargauge")
        assert set(panel["gridPos"]) == {"h", "w", "x", "y"}
        for target in panel.get("targets", []):
            assert target["expr"]
            assert target["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


def test_owners_of_a_service_tell_statistics(client: TestClient, agent: str) -> None:
    run_episode(client, agent)
    service = client.app.state.service  # type: ignore[attr-defined]
    statistics = asyncio.run(service.statistics())
    assert (statistics.agents, statistics.owners, statistics.awake, len(statistics.each)) == (1, 1, 1, 1)


def test_made_up_methods_are_counted_together(client: TestClient, agent: str) -> None:
    for method in ("FOO", "BAR", "X", "M-SEARCH"):
        assert client.request(method, f"/v1/agents/{agent}").status_code == 405
    page = client.get("/metrics").text
    assert 'proctor_requests_total{method="other",route="/v1/agents/{agent}",status="405"} 4.0' in page
    assert "FOO" not in page
