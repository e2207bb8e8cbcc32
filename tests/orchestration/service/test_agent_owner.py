"""The owner of agents: what it acknowledges is in the log, and its state is a fold of the log."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from agents.scheduling.history import most_tests
from agents.scheduling.scheduler import Scheduler
from agents.scheduling.settings import AgentSettings
from agents.scheduling.testcase import Verdict
from orchestration.runtime.artifacts import ArtifactStore
from orchestration.service.api.agents import AgentBudget, AgentInfo, PatchAgent, RestoreAnswer, RestoreRequest
from orchestration.service.api.decoding import decode
from orchestration.service.api.recommendations import (
    Candidate,
    NextAnswer,
    NextRequest,
    PastRun,
    RecommendationAnswer,
    RecommendationRequest,
    ReportedResult,
    ResultsAnswer,
    ResultsRequest,
    RewardAnswer,
)
from orchestration.service.errors import (
    ConflictError,
    InternalError,
    InvalidRequestError,
    NotFoundError,
    NotOwnerError,
    ServiceError,
    TooLargeError,
    UnavailableError,
)
from orchestration.service.owners.agent_owner import AgentOwner, OwnerSettings
from orchestration.service.owners.owner_call import CallKind
from orchestration.service.owners.snapshots import Snapshots, kept_seqs
from orchestration.service.owners.state_recovery import StateRecovery, replay_log
from orchestration.service.store.codec import settings_of, settings_text
from orchestration.service.store.rows import AgentCommit
from orchestration.service.store.sql import SqlStore
from orchestration.service.typed_calls import owner_call

IDS = ("a", "b", "c", "d")


def equal_states(scheduler: Scheduler, other: Scheduler) -> bool:
    """Whether two schedulers are the same bit for bit."""
    left, right = scheduler.state(), other.state()
    return left.keys() == right.keys() and all(
        np.asarray(left[name]).tobytes() == np.asarray(right[name]).tobytes() for name in left
    )


@pytest.fixture
def store(tmp_path: Path) -> SqlStore:
    """A store with one agent of each sort."""
    opened = SqlStore(str(tmp_path / "service.db"))
    for kind in ("bandit", "failure_rate"):
        settings = AgentSettings(kind, exploration="epsilon_greedy" if kind == "failure_rate" else "none")
        opened.create_agent(kind, settings_text(settings), "", 1.0)
    return opened


@pytest.fixture
def make_owner(store: SqlStore, tmp_path: Path) -> Callable[..., AgentOwner]:
    """Makes owners that share the store, as processes would that follow each other."""

    def make(**settings: Any) -> AgentOwner:
        url = str(tmp_path / "states")
        return AgentOwner(OwnerSettings(store.url, url, **settings), store, ArtifactStore(url))

    return make


ANSWERS: dict[str, Any] = {
    "recommend": RecommendationAnswer,
    "results": ResultsAnswer,
    "reward": RewardAnswer,
    "next": NextAnswer,
    "patch": AgentInfo,
    "restore": RestoreAnswer,
}


class Driver:
    """Speaks the protocol with one owner."""

    def __init__(self, owner: AgentOwner, agent: str = "bandit") -> None:
        self.owner = owner
        self.agent = agent

    def ask(self, kind: CallKind, request: Any = None, **call: Any) -> Any:
        """The answer, or the error in its place."""
        answer = self.owner.execute([owner_call(self.agent, kind, request, **call)])[0]
        return answer if isinstance(answer, ServiceError) else decode(ANSWERS[kind], answer.body)

    def open(self, episode: str, ids: Sequence[str] = IDS, **request: Any) -> Any:
        """A recommendation."""
        return self.ask("recommend", RecommendationRequest.of(ids, **request), episode_id=episode)

    def tell(self, episode: str, **verdicts: str) -> Any:
        """Results of one second each."""
        results = ResultsRequest.of(verdicts, verdicts.values(), [1.0] * len(verdicts))
        return self.ask("results", results, episode_id=episode)

    def reward(self, episode: str) -> Any:
        """The reward."""
        return self.ask("reward", episode_id=episode)

    def cycle(self, episode: str, failing: str = "b") -> Any:
        """A whole episode."""
        self.open(episode)
        self.tell(episode, **{name: "failed" if name == failing else "passed" for name in IDS})
        return self.reward(episode)

    @property
    def scheduler(self) -> Scheduler:
        """The state in memory."""
        return self.owner._live[self.agent].scheduler


@pytest.fixture
def driver(make_owner: Callable[..., AgentOwner]) -> Driver:
    """Speaks with the bandit."""
    return Driver(make_owner())


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


@pytest.mark.parametrize("version", [0, 1, 4, 5])
def test_a_restored_version_is_the_same_bits(
    driver: Driver, store: SqlStore, make_owner: Callable[..., AgentOwner], version: int
) -> None:
    states = {0: Scheduler(AgentSettings("bandit"))}
    for number in range(5):
        driver.cycle(f"e{number}", failing=IDS[number % 3])
        states[number + 1] = replay_log(store, "bandit")
    driver.open("late")
    driver.tell("late", a="failed")
    answer = driver.ask("restore", RestoreRequest(version), idempotency_key="key")
    assert (answer.agent_version, answer.restored) == (6, version)
    assert equal_states(driver.scheduler, states[version])
    assert driver.ask("restore", RestoreRequest(version), idempotency_key="key") == answer
    assert equal_states(replay_log(store, "bandit"), states[version])
    assert driver.reward("late").agent_version == 7
    assert equal_states(driver.scheduler, replay_log(store, "bandit"))
    woken = Driver(make_owner())
    assert woken.ask("restore", RestoreRequest(6)).agent_version == 8
    assert equal_states(woken.scheduler, states[version])


def test_versions_restored_from_restored_ones_are_read_once_each(
    driver: Driver, store: SqlStore, make_owner: Callable[..., AgentOwner], monkeypatch: pytest.MonkeyPatch
) -> None:
    applied = 0
    apply = StateRecovery._apply

    def counted(*arguments: Any) -> None:
        nonlocal applied
        applied += 1
        apply(*arguments)

    driver.cycle("e1")
    monkeypatch.setattr(StateRecovery, "_apply", counted)
    for version in range(1, 61):
        assert driver.ask("restore", RestoreRequest(version)).agent_version == version + 1
    assert applied <= 60 * 5, "each restored version once more than doubled what had to be read"
    applied = 0
    assert equal_states(driver.scheduler, replay_log(store, "bandit"))
    assert Driver(make_owner()).reward("e1").repeated
    assert applied <= 10


@pytest.mark.parametrize("seed", range(4))
def test_a_state_is_the_same_whatever_was_restored_in_between(
    store: SqlStore, make_owner: Callable[..., AgentOwner], seed: int
) -> None:
    """Rewards, late results, changed settings and restored versions in any order, with snapshots in between."""
    rng = random.Random(seed)
    driver = Driver(make_owner(snapshot_every=rng.choice([3, 1000])))
    states = {0: Scheduler(AgentSettings("bandit"))}
    open_episodes: list[str] = []
    for number in range(40):
        step = rng.choice(["cycle", "open", "late", "restore", "restore", "settings"])
        if step == "cycle":
            driver.cycle(f"e{number}", failing=rng.choice(IDS))
        elif step == "open":
            driver.open(f"e{number}")
            open_episodes.append(f"e{number}")
        elif step == "late" and open_episodes:
            driver.tell(open_episodes[-1], **{rng.choice(IDS): "failed"})
            if rng.random() < 0.5:
                driver.reward(open_episodes.pop())
        elif step == "restore":
            version = rng.choice(sorted(states))
            newest = driver.ask("restore", RestoreRequest(version)).agent_version
            assert equal_states(driver.scheduler, states[version])
            states[newest] = states[version]
        elif step == "settings":
            driver.ask("patch", PatchAgent(reward=rng.choice(["failure_count", "time_ranked", "apfdc"])))
        replayed = replay_log(store, "bandit")
        assert equal_states(driver.scheduler, replayed)
        assert driver.scheduler.settings == replayed.settings
        row = store.agent("bandit")
        assert row is not None
        states.setdefault(row.version, replayed)
        if rng.random() < 0.2:
            driver = Driver(make_owner(snapshot_every=rng.choice([3, 1000])))
            driver.ask("restore", RestoreRequest(row.version), idempotency_key="wakes it")
            row = store.agent("bandit")
            assert row is not None
            states.setdefault(row.version, replay_log(store, "bandit"))


def test_a_version_that_is_not_there_cannot_be_restored(driver: Driver) -> None:
    driver.cycle("e1")
    assert isinstance(driver.ask("restore", RestoreRequest(2)), NotFoundError)


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


def test_agents_beyond_the_memory_are_saved_and_come_back(
    make_owner: Callable[..., AgentOwner], store: SqlStore
) -> None:
    owner = make_owner(agents_in_memory=1)
    drivers = [Driver(owner, name) for name in ("bandit", "failure_rate")]
    for number in range(3):
        for driver in drivers:
            driver.cycle(f"e{number}")
            assert owner.awake == 1
    assert owner.wake_ups == 6
    for driver in drivers:
        assert driver.reward("e0").agent_version == 1
        assert driver.scheduler.version == 3
        assert equal_states(driver.scheduler, replay_log(store, driver.agent))


def test_a_damaged_snapshot_costs_nothing_but_time(
    make_owner: Callable[..., AgentOwner], store: SqlStore, tmp_path: Path
) -> None:
    first = Driver(make_owner(snapshot_every=2))
    for number in range(6):
        first.cycle(f"e{number}")
    first.owner.passivate()
    files = sorted((tmp_path / "states").rglob("*.npz"))
    assert len(files) >= 3
    for path in files[:-1]:
        path.write_bytes(path.read_bytes()[:-7])
    files[-1].unlink()
    second = Driver(make_owner())
    assert second.reward("e5").agent_version == 6
    assert equal_states(second.scheduler, replay_log(store, "bandit"))


def test_snapshots_are_thinned_out_with_age(make_owner: Callable[..., AgentOwner], store: SqlStore) -> None:
    driver = Driver(make_owner(snapshot_every=1, snapshots_kept=2))
    for number in range(20):
        driver.cycle(f"e{number}")
    rows = store.snapshots(1)
    assert rows[-1].version == 20
    assert 3 < len(rows) < 12
    snapshots = Snapshots(store, ArtifactStore(driver.owner.settings.artifact_url), 2)
    for row in rows:
        assert snapshots.newest(1, row.seq) is not None


def test_what_is_kept_now_is_not_thinned_out_differently_later() -> None:
    kept: list[int] = []
    for seq in range(0, 20_000, 7):
        kept.append(seq)
        stay = kept_seqs(kept, 8)
        assert set(kept[-8:]) <= stay
        kept = [seq for seq in kept if seq in stay]
    assert len(kept) < 8 * 14
    gaps = np.diff(kept)
    assert all(gap <= max(7, 20_000 - seq) for seq, gap in zip(kept, gaps, strict=False))


def test_settings_survive_as_text() -> None:
    settings = AgentSettings("network", hyperparameters=(("width", 8), ("learning_rate", 1e-3)), seed=2**40)
    assert settings_text(settings_of(settings_text(settings))) == settings_text(settings)
    assert dict(settings_of(settings_text(settings)).hyperparameters) == dict(settings.hyperparameters)


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
