"""The owner of agents: what it acknowledges is in the log, and its state is a fold of the log."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from msgspec.structs import replace

from agents.scheduling.scheduler import Scheduler
from agents.scheduling.settings import AgentSettings
from agents.scheduling.testcase import Verdict
from orchestration.service.api.agents import PatchAgent
from orchestration.service.api.recommendations import (
    Candidate,
    NextRequest,
    PastRun,
    RecommendationRequest,
    ReportedResult,
    ResultsRequest,
)
from orchestration.service.errors import (
    ConflictError,
    InternalError,
    InvalidRequestError,
    NotFoundError,
    NotOwnerError,
    UnavailableError,
)
from orchestration.service.owners.agent_owner import AgentOwner
from orchestration.service.owners.state_recovery import replay_log
from orchestration.service.store.codec import settings_of, settings_text
from orchestration.service.store.rows import AgentCommit
from orchestration.service.store.sql import SqlStore
from orchestration.service.typed_calls import owner_call
from tests.orchestration.service.owner_driver import IDS, Driver, equal_states


def test_a_whole_episode(driver: Driver) -> None:
    opened = driver.open("e1", time_budget_seconds=2.0, must_run=("d",))
    ids = [test.id for test in opened.ranking]
    assert ids[0] == "d"
    assert sorted(ids) == list(IDS)
    assert sum(test.selected for test in opened.ranking) == 2
    answer = driver.tell("e1", d="failed")
    assert (answer.recorded, answer.repeated, answer.missing) == (1, 0, 1)
    answer = driver.reward("e1")
    assert answer.agent_version == 1
    assert [test.id for test in answer.rewards] == ids
    assert answer.metrics["failed"] == 1.0


def test_a_repeated_reward_gets_the_first_answer(driver: Driver, make_owner: Callable[..., AgentOwner]) -> None:
    first = driver.cycle("e1")
    again = driver.reward("e1")
    assert not first.repeated
    assert again == replace(first, repeated=True)
    assert Driver(make_owner()).reward("e1") == again
    assert driver.scheduler.version == 1


def test_results_come_in_parts_and_again(driver: Driver, store: SqlStore) -> None:
    driver.open("e1")
    assert driver.tell("e1", a="passed").recorded == 1
    again = driver.tell("e1", a="passed", b="failed")
    assert (again.recorded, again.repeated, again.missing) == (1, 1, 2)
    other = driver.tell("e1", c="passed", a="failed")
    assert isinstance(other, ConflictError)
    assert "'a'" in other.detail
    assert driver.tell("e1", c="passed").recorded == 1
    assert equal_states(driver.scheduler, replay_log(store, "bandit"))


def test_results_of_unknown_tests_and_episodes_change_nothing(driver: Driver, store: SqlStore) -> None:
    driver.open("e1")
    before = driver.scheduler.state()
    refused = driver.tell("e1", a="passed", nobody="passed")
    assert isinstance(refused, InvalidRequestError)
    assert "nobody" in refused.detail
    assert isinstance(driver.tell("other", a="passed"), NotFoundError)
    assert isinstance(driver.reward("other"), NotFoundError)
    assert len(store.events(1, 1)) == 0
    assert before["version"] == driver.scheduler.version


def test_results_after_the_reward_are_refused_unless_known(driver: Driver) -> None:
    driver.open("e1")
    driver.tell("e1", a="passed")
    driver.reward("e1")
    assert driver.tell("e1", a="passed").repeated == 1
    assert isinstance(driver.tell("e1", b="passed"), ConflictError)


def test_two_episodes_in_flight_do_not_mix(driver: Driver) -> None:
    driver.open("e1", ("a", "b"))
    driver.open("e2", ("b", "c"))
    assert isinstance(driver.tell("e1", c="passed"), InvalidRequestError)
    driver.tell("e2", b="failed", c="passed")
    driver.tell("e1", a="passed", b="passed")
    second, first = driver.reward("e2"), driver.reward("e1")
    assert {test.id for test in second.rewards} == {"b", "c"}
    assert {test.id for test in first.rewards} == {"a", "b"}
    assert "apfd" in second.metrics
    assert "apfd" not in first.metrics


@pytest.mark.parametrize("agent", ["bandit", "failure_rate"])
@pytest.mark.parametrize("snapshot_every", [1, 3, 1000])
def test_another_owner_goes_on_where_the_first_was_killed(
    make_owner: Callable[..., AgentOwner], store: SqlStore, agent: str, snapshot_every: int
) -> None:
    first = Driver(make_owner(snapshot_every=snapshot_every), agent)
    for number in range(7):
        first.cycle(f"e{number}", failing=IDS[number % 4])
    first.open("open")
    first.tell("open", a="failed")
    second = Driver(make_owner(), agent)
    assert second.tell("open", b="passed").missing == 2
    assert second.reward("open").agent_version == 8
    assert equal_states(second.scheduler, replay_log(store, agent))
    undisturbed = first.scheduler
    assert undisturbed.version == 7


def test_a_replaced_owner_is_refused_and_takes_over_again_only_when_asked_again(
    make_owner: Callable[..., AgentOwner], store: SqlStore
) -> None:
    old, new = Driver(make_owner()), Driver(make_owner())
    old.open("e1")
    assert new.tell("e1", a="failed").recorded == 1
    assert isinstance(old.tell("e1", a="passed", b="passed"), NotOwnerError)
    late = old.tell("e1", a="passed", b="passed")
    assert isinstance(late, ConflictError)
    assert isinstance(new.reward("e1"), NotOwnerError)
    assert new.reward("e1").agent_version == 1
    assert equal_states(new.scheduler, replay_log(store, "bandit"))


def test_a_second_try_of_a_recommendation_finds_the_first(driver: Driver) -> None:
    request, other = RecommendationRequest.of(IDS), RecommendationRequest.of(("a",))
    keyed = {"episode_id": "e1", "idempotency_key": "job-7"}
    first = driver.ask("recommend", request, **keyed)
    assert driver.ask("recommend", request, **keyed) == first
    assert isinstance(driver.ask("recommend", other, **keyed), ConflictError)
    plain = driver.open("e2")
    assert driver.ask("recommend", request, episode_id="e2", again=True) == plain


def test_a_batch_is_answered_in_order_and_one_refusal_harms_no_other(driver: Driver, store: SqlStore) -> None:
    recommend = RecommendationRequest.of(IDS)
    failed, passed = (ResultsRequest.of(("a",), (verdict,)) for verdict in ("failed", "passed"))
    answers = driver.owner.execute(
        [
            owner_call("bandit", "recommend", recommend, episode_id="e1"),
            owner_call("nobody", "recommend", recommend, episode_id="e1"),
            owner_call("failure_rate", "recommend", recommend, episode_id="e1"),
            owner_call("bandit", "results", failed, episode_id="e1"),
            owner_call("bandit", "results", passed, episode_id="e1"),
            owner_call("bandit", "reward", episode_id="e1"),
        ]
    )
    kinds = [type(answer).__name__ for answer in answers]
    assert kinds == [
        "OwnerAnswer",
        "NotFoundError",
        "OwnerAnswer",
        "OwnerAnswer",
        "ConflictError",
        "OwnerAnswer",
    ]
    assert equal_states(driver.scheduler, replay_log(store, "bandit"))


def test_nothing_is_acknowledged_that_was_not_written(
    driver: Driver, store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver.cycle("e1")
    driver.open("e2")

    def full(commits: Sequence[AgentCommit]) -> None:
        raise UnavailableError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(store, "commit", full)
        assert isinstance(driver.tell("e2", a="failed"), UnavailableError)
        assert isinstance(driver.reward("e2"), UnavailableError)
        assert isinstance(driver.open("e3"), UnavailableError)
    assert driver.tell("e2", a="passed").recorded == 1
    assert isinstance(driver.reward("e3"), NotFoundError)
    assert driver.reward("e2").agent_version == 2
    assert equal_states(driver.scheduler, replay_log(store, "bandit"))


def test_a_defect_in_one_call_loses_no_other(driver: Driver, store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    driver.open("e1")
    driver.open("e2")

    def broken(self: Scheduler, *_: object) -> None:
        self.version += 77
        raise RuntimeError("a defect")

    with monkeypatch.context() as patched:
        patched.setattr(Scheduler, "reward", broken)
        answers = driver.owner.execute(
            [
                owner_call("bandit", "results", ResultsRequest.of(("a",), ("failed",)), episode_id="e1"),
                owner_call("bandit", "reward", episode_id="e1"),
                owner_call("bandit", "results", ResultsRequest.of(("b",), ("failed",)), episode_id="e2"),
            ]
        )
    assert isinstance(answers[1], InternalError)
    assert [type(answer).__name__ for answer in answers[::2]] == ["OwnerAnswer", "OwnerAnswer"]
    assert driver.reward("e1").agent_version == 1
    assert driver.reward("e2").agent_version == 2
    assert equal_states(driver.scheduler, replay_log(store, "bandit"))


def test_settings_change_from_then_on(driver: Driver, store: SqlStore) -> None:
    driver.cycle("e1")
    info = driver.ask("patch", PatchAgent(description="new", reward="failure_count"))
    assert (info.description, info.reward, info.version) == ("new", "failure_count", 1)
    driver.cycle("e2")
    assert isinstance(driver.ask("patch", PatchAgent(reward="nonsense")), InvalidRequestError)
    replayed = replay_log(store, "bandit")
    assert replayed.settings.reward == "failure_count"
    assert equal_states(driver.scheduler, replayed)
    row = store.agent("bandit")
    assert row is not None
    assert settings_of(row.settings).reward == "failure_count"


def test_told_histories_are_taken_up_once(driver: Driver, store: SqlStore) -> None:
    runs = [PastRun(Verdict.FAILED, 3.0), PastRun(Verdict.PASSED, 1.0)]
    request = RecommendationRequest([Candidate("a", history=runs), *map(Candidate, IDS[1:])])
    opened = driver.ask("recommend", request, episode_id="e1")
    (ranked,) = [test for test in opened.ranking if test.id == "a"]
    assert ranked.expected_duration == 2.0
    assert "failed in its last run" in ranked.reasons
    driver.ask("recommend", request, episode_id="e2")
    assert [event.kind for event in store.events(1, 1)] == ["history"]
    assert driver.scheduler.history.counts(driver.scheduler.history.rows(["a"])).runs.tolist() == [2]
    assert equal_states(driver.scheduler, replay_log(store, "bandit"))


def test_a_refused_recommendation_takes_up_no_history(driver: Driver, store: SqlStore) -> None:
    tests = [Candidate("a", history=[PastRun(Verdict.FAILED, 3.0)]), *map(Candidate, IDS[1:])]
    refused = driver.ask("recommend", RecommendationRequest(tests, must_run=("nobody",)), episode_id="e1")
    assert isinstance(refused, InvalidRequestError)
    assert len(driver.scheduler.history) == 0
    assert store.events(1, 1) == []


def test_next_test_takes_results_and_says_what_is_left(driver: Driver) -> None:
    opened = driver.open("e1")
    first = driver.ask("next", NextRequest("e1"))
    assert first.test_id == opened.ranking[0].id
    assert first.remaining == 4
    for left in (3, 2, 1, 0):
        first = driver.ask("next", NextRequest("e1", (ReportedResult(first.test_id, Verdict.PASSED),)))
        assert first.remaining == left
    assert first.test_id is None


def test_settings_survive_as_text() -> None:
    settings = AgentSettings("network", hyperparameters=(("width", 8), ("learning_rate", 1e-3)), seed=2**40)
    assert settings_text(settings_of(settings_text(settings))) == settings_text(settings)
    assert dict(settings_of(settings_text(settings)).hyperparameters) == dict(settings.hyperparameters)
