"""Limits of what an owner takes and keeps, and keys that name one request."""

from __future__ import annotations

from collections.abc import Callable

from agents.scheduling.history import most_tests
from agents.scheduling.settings import AgentSettings
from orchestration.service.api.agents import AgentBudget, AgentInfo, PatchAgent, RestoreRequest
from orchestration.service.errors import ConflictError, TooLargeError
from orchestration.service.owners.agent_owner import AgentOwner
from orchestration.service.store.codec import settings_text
from orchestration.service.store.sql import SqlStore
from tests.orchestration.service.owner_driver import Driver


def test_a_key_of_a_restore_is_for_one_version(driver: Driver) -> None:
    for name in ("one", "two"):
        driver.cycle(name)
    first = driver.ask("restore", RestoreRequest(1), idempotency_key="k")
    assert driver.ask("restore", RestoreRequest(1), idempotency_key="k") == first
    refused = driver.ask("restore", RestoreRequest(2), idempotency_key="k")
    assert isinstance(refused, ConflictError)
    assert "used to restore version 1" in str(refused)
    assert driver.ask("restore", RestoreRequest(1), idempotency_key="k") == first


def test_the_product_of_tests_and_history_is_bounded(make_owner: Callable[..., AgentOwner], store: SqlStore) -> None:
    store.create_agent("long", settings_text(AgentSettings("random", history_length=1000)), "", 1.0)
    long = Driver(make_owner(), "long")
    ids = [f"t{number}" for number in range(most_tests(1000) + 1)]
    refused = long.open("e1", ids)
    assert isinstance(refused, TooLargeError)
    assert refused.field == "test_cases"
    assert "history_length 1000; expected at most 10000" in str(refused)
    assert len(long.open("e2", ids[:-1]).ranking) == 10_000


def test_an_owner_keeps_a_bounded_number_of_bytes(make_owner: Callable[..., AgentOwner], store: SqlStore) -> None:
    for name in ("big1", "big2", "big3"):
        store.create_agent(name, settings_text(AgentSettings("random", history_length=1000)), "", 1.0)
    owner = make_owner(bytes_in_memory=8_000_000)
    for name in ("big1", "big2", "big3"):
        Driver(owner, name).cycle("e1")  # 128 rows of 1,000 executions: 3.2 MB
    assert list(owner._live) == ["big2", "big3"]
    assert Driver(owner, "big1").tell("e1", a="passed").repeated == 1, "it comes back when it is called"


def test_the_bytes_of_ids_and_episodes_count(make_owner: Callable[..., AgentOwner], store: SqlStore) -> None:
    small, large = (Driver(make_owner(), "bandit") for _ in range(2))
    small.open("e1", [f"{number:04}" for number in range(1000)])
    large.open("e2", [f"{number:01000}" for number in range(1000)])
    sizes = [driver.owner._live["bandit"].size for driver in (small, large)]
    assert sizes[0] > 500_000
    assert sizes[1] - sizes[0] > 990_000
    large.tell("e2", **{f"{number:01000}": "passed" for number in range(1000)})
    assert large.owner._live["bandit"].size - sizes[1] > 1_000_000, "the history keeps the ids"


def test_settings_that_a_listing_could_not_carry_are_refused(driver: Driver) -> None:
    must_run = tuple(f"{number:0300}" for number in range(4000))
    refused = driver.ask("patch", PatchAgent(budget=AgentBudget(must_run=must_run)))
    assert isinstance(refused, TooLargeError)
    assert refused.field == "budget.must_run"
    assert "expected at most 1048576" in str(refused)
    assert isinstance(driver.ask("patch", PatchAgent(budget=AgentBudget(must_run=must_run[:3000]))), AgentInfo)
