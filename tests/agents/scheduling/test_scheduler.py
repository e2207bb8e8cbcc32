"""The scheduler: recommending changes nothing, the state is a function of the events, what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.scheduling.columns import TestColumns
from agents.scheduling.episode import Budget
from agents.scheduling.episode_codec import episode_to_bytes
from agents.scheduling.registry import AGENT_KINDS, agent_kind, exploration, make_agent, reward
from agents.scheduling.scheduler import Scheduler
from agents.scheduling.settings import AgentSettings
from agents.scheduling.state import from_bytes, to_bytes
from agents.scheduling.testcase import TestCase, TestResult, Verdict
from envsearch.errors import CorruptArtifactError, InputError

LETTERS = dict(zip("PFESN", Verdict, strict=True))
HEURISTICS = ("random", "file_order", "shortest_first", "last_failed_first", "failure_rate", "failure_rate_per_second")


def same(left, other):
    assert left.keys() == other.keys()
    for name in left:
        np.testing.assert_array_equal(left[name], other[name], err_msg=name)


def order(episode):
    return "".join(entry.id for entry in episode.ranking)


def test_four_steps(scheduler, cases, results):
    agent = scheduler()
    first = agent.recommend(cases("abc"), "e0", 0, opened_at=5.0)
    assert first.agent_version == 0 and first.opened_at == 5.0 and {entry.id for entry in first.ranking} == set("abc")
    assert [entry.position for entry in first.ranking] == [1, 2, 3]
    reported = results("abc", "PPF")
    agent.record(first, reported)
    outcome = agent.reward(first, {result.id: result for result in reported})
    assert outcome.version == agent.version == 1
    assert outcome.rewards.shape == (3,) and outcome.total == pytest.approx(np.nansum(outcome.rewards))
    assert outcome.metrics["failed"] == 1.0 and 0.0 < outcome.metrics["apfd"] < 1.0
    second = agent.recommend(cases("abc"), "e1", 1)
    assert second.ranking[0].id == "c" and second.agent_version == 1
    assert second.ranking[0].reasons[0] == "failed in its last run"


def test_recommending_changes_nothing_and_repeats_itself(scheduler, cases):
    agent = scheduler("random")
    before = agent.state()
    left, right, other = (agent.recommend(cases("abcdefgh"), "e", number) for number in (3, 3, 4))
    same(before, agent.state())
    assert order(left) == order(right) != order(other)


@pytest.mark.parametrize("kind", ["failure_rate", "bandit"])
def test_what_was_seen_is_kept_until_something_new_is_known(scheduler, results, kind):
    agent, tests = scheduler(kind), TestColumns("abcdefgh", "job")
    first, second = (agent.recommend(tests, "e", number) for number in range(2))
    assert first.observation is second.observation
    assert agent.recommend(tests, "e", 0, Budget(2.0)).observation is not second.observation
    other = agent.recommend(TestColumns("abcdefgh", "other"), "e", 2)
    assert other.observation.keys != first.observation.keys
    outcome = results("abcdefgh", "PPFPPFPP")
    for number in range(3):
        episode = agent.recommend(tests, "e", number)
        agent.record(episode, outcome)
        agent.reward(episode, {result.id: result for result in outcome})
        after = agent.recommend(tests, "e", number + 1)
        fresh = scheduler(kind)
        fresh.restore(agent.state())
        assert episode_to_bytes(after) == episode_to_bytes(fresh.recommend(tests, "e", number + 1))
    agent.restore(scheduler(kind).state())
    assert episode_to_bytes(agent.recommend(tests, "e", 0)) == episode_to_bytes(first)


def test_ties_are_broken_by_the_agent_s_own_seed(cases):
    orders = {
        order(Scheduler(AgentSettings("last_failed_first", seed=seed)).recommend(cases("abcdefgh"), "e", 0))
        for seed in range(5)
    }
    assert len(orders) > 1


def test_the_budget_cuts(scheduler, cases, results):
    agent = scheduler("file_order", budget=Budget(share=0.5))
    episode = agent.recommend(cases("abcd"), "e", 0)
    assert [entry.selected for entry in episode.ranking] == [True, True, False, False]
    episode = agent.recommend(cases("abcd"), "e", 0, Budget(seconds=1.0, must_run=("d",)))
    assert order(episode) == "dabc" and [entry.selected for entry in episode.ranking] == [True, False, False, False]
    assert episode.order.tolist() == [0, 1, 2, 3], "the order as if there were no budget"
    assert episode.ranking[0].reasons[0] == "must run"


def test_an_agent_s_own_must_run_list_may_name_absent_tests(scheduler, cases):
    agent = scheduler("file_order", budget=Budget(must_run=("c", "z")))
    assert order(agent.recommend(cases("abc"), "e", 0)) == "cab"
    with pytest.raises(InputError, match="'z' is not among the test cases"):
        agent.recommend(cases("abc"), "e", 0, Budget(must_run=("z",)))


def test_an_empty_cycle(scheduler):
    agent = scheduler()
    episode = agent.recommend([], "e", 0)
    agent.record(episode, [])
    outcome = agent.reward(episode, {})
    assert episode.ranking == () and outcome.version == 1 and outcome.total == 0.0


def test_repeated_and_unknown_ids_are_refused_and_change_nothing(scheduler, cases, results):
    agent = scheduler()
    with pytest.raises(InputError, match="'a' appears twice"):
        agent.recommend(cases("aba"), "e", 0)
    episode = agent.recommend(cases("ab"), "e", 0)
    before = agent.state()
    with pytest.raises(InputError, match="'c' is not in episode 'e'"):
        agent.record(episode, results("ac", "PP"))
    with pytest.raises(InputError, match="'a' appears twice"):
        agent.record(episode, results("aa", "PP"))
    with pytest.raises(InputError, match="'c' is not in episode 'e'"):
        agent.reward(episode, {"c": results("c", "P")[0]})
    same(before, agent.state())


@pytest.mark.parametrize("duration", [-1.0, float("nan"), float("inf")])
def test_impossible_durations_are_refused(duration):
    with pytest.raises(InputError, match="seconds"):
        TestResult("a", Verdict.PASSED, duration)
    with pytest.raises(InputError, match="seconds"):
        TestCase("a", duration=duration)


EVENTS = st.lists(
    st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("PFESN")), unique_by=lambda pair: pair[0]),
    min_size=1,
    max_size=8,
)


@given(EVENTS, st.integers(0, 8))
def test_the_state_is_a_function_of_the_events(events, cut):
    def apply(agent, part, start):
        for number, event in enumerate(part, start=start):
            episode = agent.recommend([TestCase(name) for name in "abcdef"], str(number), number)
            reported = [TestResult(name, LETTERS[letter], 1.0) for name, letter in event]
            agent.record(episode, reported)
            agent.reward(episode, {result.id: result for result in reported})

    settings = AgentSettings("failure_rate", history_length=2)
    cut = min(cut, len(events))
    whole, first, second = Scheduler(settings), Scheduler(settings), Scheduler(settings)
    apply(whole, events, 0)
    apply(first, events[:cut], 0)
    second.restore(from_bytes(to_bytes(first.state())))
    apply(second, events[cut:], cut)
    same(whole.state(), second.state())


def test_two_episodes_in_flight_do_not_mix(scheduler, cases, results):
    agent = scheduler()
    left, right = agent.recommend(cases("ab"), "one", 0), agent.recommend(cases("cd"), "two", 1)
    agent.record(right, results("cd", "PF"))
    agent.record(left, results("ab", "FP"))
    right_outcome = agent.reward(right, {result.id: result for result in results("cd", "PF")})
    left_outcome = agent.reward(left, {result.id: result for result in results("ab", "FP")})
    assert (right_outcome.version, left_outcome.version) == (1, 2)
    assert agent.history.keys == ("c", "d", "a", "b")
    with pytest.raises(InputError):
        agent.record(left, results("c", "P"))


def test_a_foreign_state_is_refused(scheduler):
    with pytest.raises(CorruptArtifactError, match="version"):
        scheduler().restore({})
    with pytest.raises(CorruptArtifactError, match="history"):
        scheduler().restore({"version": 3})


def test_errors_of_unknown_names_suggest_the_nearest():
    for look_up, name, nearest in (
        (lambda name: agent_kind(name), "failure-rate", "failure_rate"),
        (lambda name: reward(name), "time_rank", "time_ranked"),
        (lambda name: exploration(name, {}), "non", "none"),
    ):
        with pytest.raises(InputError, match=f"did you mean {nearest!r}"):
            look_up(name)
    with pytest.raises(InputError, match="unknown hyper-parameter"):
        make_agent("random", {"x": 1}, 0)


@pytest.mark.parametrize("kind", HEURISTICS)
def test_heuristics_keep_no_state_and_say_what_they_are(kind):
    agent = make_agent(kind, {}, 0)
    assert agent.state() == {} and not agent.learns
    assert agent.kind == kind in AGENT_KINDS and agent.summary


def ranked_by(kind, pasts, seconds=None):
    """The order that a kind gives to tests with these pasts (oldest first)."""
    agent = Scheduler(AgentSettings(kind, reward="failure_count"))
    tests = [TestCase(name) for name in pasts]
    for number in range(max(map(len, pasts.values()))):
        episode = agent.recommend(tests, str(number), number)
        agent.record(
            episode,
            [
                TestResult(name, LETTERS[past[number]], (seconds or {}).get(name, 1.0))
                for name, past in pasts.items()
                if number < len(past)
            ],
        )
    return order(agent.recommend(tests, "e", 99))


def test_what_each_heuristic_puts_first():
    pasts = {"a": "PPP", "b": "FPP", "c": "PPF", "n": ""}
    assert ranked_by("file_order", pasts) == "abcn"
    assert ranked_by("last_failed_first", pasts)[0] == "c"
    assert ranked_by("failure_rate", pasts) == "ncba"
    assert ranked_by("shortest_first", pasts, {"a": 3.0, "b": 1.0, "c": 5.0}) == "ban" + "c"
    assert ranked_by("failure_rate_per_second", pasts, {"a": 1.0, "b": 1.0, "c": 100.0}) == "nbca"
