"""Which test to run next."""

from __future__ import annotations

import pytest

from agents.scheduling.episode import Budget
from envsearch.errors import InputError


@pytest.fixture
def taught(scheduler, cases, results):
    """b and e always fail together, in an agent that keeps the given order."""
    agent = scheduler("file_order")
    for number, verdicts in enumerate(("PFPPF", "PPPPP", "PFPPF")):
        episode = agent.recommend(cases("abcde"), str(number), number)
        agent.record(episode, results("abcde", verdicts))
    return agent


def test_without_a_failure_the_order_is_followed(taught, cases, results):
    episode = taught.recommend(cases("abcde"), "e", 9)
    assert taught.next_test(episode, {}).id == "a"
    reported = {result.id: result for result in results("ac", "PP")}
    assert taught.next_test(episode, reported).id == "b"


def test_what_fails_together_with_a_failed_test_comes_next(taught, cases, results):
    episode = taught.recommend(cases("abcde"), "e", 9)
    reported = {result.id: result for result in results("ab", "PF")}
    chosen = taught.next_test(episode, reported)
    assert chosen.id == "e" and chosen.reasons[0] == "fails together with a test that failed now (100 %)"
    reported = {result.id: result for result in results("abe", "PFF")}
    assert taught.next_test(episode, reported).id == "c"


def test_the_budget_counts_what_tests_really_took(taught, cases, results):
    episode = taught.recommend(cases("abcde"), "e", 9, Budget(seconds=3.0))
    slow = {result.id: result for result in results("a", "P", duration=2.5)}
    assert taught.next_test(episode, slow) is None
    skipped = {result.id: result for result in results("a", "S", duration=None)}
    assert taught.next_test(episode, skipped).id == "b"
    must = taught.recommend(cases("abcde"), "e", 9, Budget(seconds=3.0, must_run=("d",)))
    assert taught.next_test(must, slow).id == "d"


def test_nothing_is_left(taught, cases, results):
    episode = taught.recommend(cases("ab"), "e", 9)
    assert taught.next_test(episode, {result.id: result for result in results("ab", "PP")}) is None
    assert taught.next_test(taught.recommend([], "e", 9), {}) is None


def test_foreign_results_are_refused_and_nothing_changes(taught, cases, results):
    episode = taught.recommend(cases("ab"), "e", 9)
    before = taught.state()
    taught.next_test(episode, {"a": results("a", "F")[0]})
    assert {name: str(value) for name, value in before.items()} == {n: str(v) for n, v in taught.state().items()}
    with pytest.raises(InputError, match="'c' is not in episode"):
        taught.next_test(episode, {"c": results("c", "P")[0]})
