"""The estimated probability that a test fails: who gives one, what it means, and how it reaches the ranking."""

from __future__ import annotations

import numpy as np
import pytest

from agents.scheduling import episode_codec
from agents.scheduling.columns import ranking_columns
from agents.scheduling.episode import Budget
from agents.scheduling.episode_codec import episode_from_bytes, episode_to_bytes

ESTIMATING = ("failure_model", "failure_rate", "failure_rate_per_second")


def trained(scheduler, cases, results, **settings):
    agent = scheduler(**settings)
    for number, verdicts in enumerate(("PPF", "PFF", "PPF")):
        episode = agent.recommend(cases("abc"), f"e{number}", number)
        agent.record(episode, results("abc", verdicts))
        agent.reward(episode, {result.id: result for result in results("abc", verdicts)})
    return agent


def chances(agent, cases, names):
    ranking = agent.recommend(cases(names), "e", 3).ranking
    assert (ranking.chances or (None,) * len(names)) == tuple(entry.chance for entry in ranking)
    return {entry.id: entry.chance for entry in ranking}


@pytest.mark.parametrize("kind", ESTIMATING)
def test_chances_follow_the_past(scheduler, cases, results, kind):
    estimated = chances(trained(scheduler, cases, results, kind=kind, reward="verdict"), cases, "abc")
    assert 0.0 <= estimated["a"] < estimated["b"] < estimated["c"] <= 1.0


def test_failure_rate_has_no_estimate_for_a_new_test(scheduler, cases, results):
    estimated = chances(trained(scheduler, cases, results, kind="failure_rate"), cases, "acz")
    assert estimated == {"a": 0.0, "c": 1.0, "z": None}


@pytest.mark.parametrize("kind", ["random", "file_order", "tableau"])
def test_other_kinds_estimate_nothing(scheduler, cases, results, kind):
    agent = trained(scheduler, cases, results, kind=kind, reward="verdict")
    assert agent.recommend(cases("abc"), "e", 3).scores.chances is None
    assert chances(agent, cases, "abc") == dict.fromkeys("abc")


@pytest.mark.parametrize(("reward", "estimates"), [("verdict", True), ("apfdc", False), ("test_case_failure", False)])
def test_what_is_learned_from_other_rewards_is_not_a_probability(scheduler, cases, results, reward, estimates):
    agent = trained(scheduler, cases, results, kind="failure_model", reward=reward)
    assert (agent.recommend(cases("abc"), "e", 3).scores.chances is not None) == estimates


@pytest.mark.parametrize("exploration", ["epsilon_greedy", "gaussian"])
def test_exploring_moves_tests_but_not_their_chances(scheduler, cases, results, exploration):
    greedy = trained(scheduler, cases, results, kind="failure_rate")
    exploring = trained(scheduler, cases, results, kind="failure_rate", exploration=exploration)
    assert chances(exploring, cases, "abc") == chances(greedy, cases, "abc")


def test_chances_belong_to_their_test_when_the_budget_changes_the_order(scheduler, cases, results):
    agent = trained(scheduler, cases, results, kind="failure_rate")
    before = chances(agent, cases, "abc")
    limited = agent.recommend(cases("abc"), "e", 3, Budget(seconds=1.0, must_run=("a",)))
    assert limited.ranking[0].id == "a"
    assert {entry.id: entry.chance for entry in limited.ranking} == before
    assert ranking_columns(list(limited.ranking)).chances == limited.ranking.chances


def test_chances_are_calibrated_on_unreliable_tests(scheduler, cases, results):
    """Tests that fail in 10 % and in 60 % of the cycles are estimated near these rates."""
    rng, agent, names = np.random.default_rng(0), scheduler("failure_model", reward="verdict"), "abcdefghijklmnopqrst"
    rates = {name: 0.6 if name in "abcd" else 0.1 for name in names}
    for number in range(150):
        outcome = results(names, ["F" if rng.random() < rates[name] else "P" for name in names])
        episode = agent.recommend(cases(names), f"e{number}", number)
        agent.record(episode, outcome)
        agent.reward(episode, {result.id: result for result in outcome})
    estimated = chances(agent, cases, names)
    assert 0.35 < np.mean([estimated[name] for name in "abcd"]) < 0.75
    assert 0.03 < np.mean([estimated[name] for name in "efghijklmnopqrst"]) < 0.2


@pytest.mark.parametrize("kind", ["failure_rate", "failure_model", "random"])
def test_a_stored_episode_keeps_them(scheduler, cases, results, kind):
    episode = trained(scheduler, cases, results, kind=kind, reward="verdict").recommend(cases("abcz"), "e", 3)
    stored = episode_from_bytes(episode_to_bytes(episode))
    assert stored.ranking == episode.ranking
    if kind == "random":
        assert stored.scores.chances is None
    else:
        np.testing.assert_array_equal(stored.scores.chances, episode.scores.chances)


def test_an_episode_that_was_stored_without_them_has_none(scheduler, cases, results, monkeypatch):
    episode = trained(scheduler, cases, results, kind="random").recommend(cases("abc"), "e", 3)
    coded = episode_codec._coded
    monkeypatch.setattr(
        episode_codec, "_coded", lambda header: coded({name: header[name] for name in header if name != "chances"})
    )
    stored = episode_from_bytes(episode_to_bytes(episode))
    assert stored.scores.chances is None
    assert stored.ranking == episode.ranking
