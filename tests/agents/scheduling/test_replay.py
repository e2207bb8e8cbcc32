"""Replays, small ones by hand and the made-up flaky suite."""

from __future__ import annotations

import json

import numpy as np
import pytest

from agents.scheduling.history_replay import replay, summarise
from agents.scheduling.loaders.ci_history import CiHistory, Cycle, TestNames
from agents.scheduling.settings import AgentSettings
from agents.scheduling.synthetic import flaky_history
from agents.scheduling.testcase import Verdict
from envsearch.errors import InputError

LETTERS = dict(zip("PFESN", Verdict, strict=True))


def history(*cycles, durations=None):
    names = TestNames()
    return CiHistory(
        "by hand",
        tuple(
            Cycle(
                names.cases([str(place) for place in range(len(letters))]),
                tuple(LETTERS[letter] for letter in letters),
                np.ones(len(letters)) if durations is None else np.array(durations, np.float64),
            )
            for letters in cycles
        ),
    )


def agent(kind, **settings):
    return AgentSettings(kind, reward="failure_count", **settings)


def test_file_order_by_hand():
    result = replay(history("PFPP", "PPPP", "PPPF"), agent("file_order"), budget_share=0.5)
    np.testing.assert_allclose(result.metrics["napfd"], [1 - 2 / 4 + 1 / 8, np.nan, 0.0])
    np.testing.assert_allclose(result.metrics["apfd"], [1 - 2 / 4 + 1 / 8, np.nan, 1 - 4 / 4 + 1 / 8])
    np.testing.assert_allclose(result.metrics["ttff"], [0.5, np.nan, 1.0])
    assert result.missed.tolist() == [False, False, True] and result.failing.tolist() == [True, False, True]
    assert result.first_failure.tolist() == [2.0, 2.0, 2.0]
    numbers = result.summary()
    assert (
        numbers["napfd"] == pytest.approx(0.3125) and numbers["failing_cycles"] == 2 and numbers["missed_cycles"] == 1.0
    )
    assert numbers["cycles"] == 3 and numbers["seeds"] == [0] and numbers["recall"] == 0.5
    json.dumps(numbers, allow_nan=False)


def test_partial_feedback_reports_only_tests_that_ran():
    runs = ("PPPF", "PPPF", "PPPF")
    full = replay(history(*runs), agent("failure_rate"), feedback="full")
    assert full.metrics["recall"].tolist()[1:] == [1.0, 1.0]
    in_order = replay(history(*runs), agent("file_order"), feedback="partial")
    assert len(in_order.scheduler.history) == 2


def test_the_fill_uses_true_durations():
    cycles = history("PPF", durations=[3.0, 1.0, 1.0])
    assert replay(cycles, agent("file_order"), fill="greedy").metrics["recall"][0] == 1.0
    assert replay(cycles, agent("file_order"), fill="prefix").missed[0]


def test_unmeasured_durations_count_as_the_mean():
    result = replay(history("PPF", durations=[np.nan, 2.0, 4.0]), agent("file_order"), budget_share=1.0)
    assert result.metrics["ttff"][0] == 1.0 and result.first_failure[0] == 9.0


def test_a_budget_in_seconds():
    result = replay(history("PPF"), agent("file_order"), budget_seconds=2.0)
    assert result.missed[0] and result.summary()["budget"] == "2 s"


def test_the_same_seed_gives_the_same_bits():
    cycles = history("PFPPPP", "FPPPPP", "PPPPPF")
    first_napfd, same_napfd, other_napfd = (
        replay(cycles, agent("random"), seed=seed).metrics["napfd"] for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first_napfd, same_napfd)
    assert first_napfd.tolist() != other_napfd.tolist()


def test_means_over_seeds():
    cycles = history("PFPPPP", "FPPPPP")
    parts = [replay(cycles, agent("random"), seed=seed) for seed in range(3)]
    numbers = summarise(parts)
    assert numbers["seeds"] == [0, 1, 2]
    assert numbers["napfd"] == pytest.approx(np.mean([part.summary()["napfd"] for part in parts]))


def test_no_failing_cycle_and_no_cycle():
    numbers = replay(history("PP"), agent("random")).summary()
    assert numbers["napfd"] is None and numbers["failing_cycles"] == 0
    assert replay(CiHistory("empty", ()), agent("random")).summary()["seconds_per_cycle"] is None


def test_wrong_settings():
    with pytest.raises(InputError, match="'partly'"):
        replay(history("P"), agent("random"), feedback="partly")
    with pytest.raises(InputError, match="share"):
        replay(history("P"), agent("random"), budget_share=2.0)


def test_progress_is_reported():
    seen = []
    replay(history("P", "P"), agent("random"), progress=seen.append)
    assert seen == [1, 2]


def test_the_flaky_suite_shows_the_gain():
    suite = flaky_history(np.random.default_rng(3), cycles=25)
    assert len(suite.cycles[0]) == 120 and suite.failing_cycles > 20
    assert {verdict for cycle in suite for verdict in cycle.verdicts} == {Verdict.PASSED, Verdict.FAILED, Verdict.ERROR}
    again = flaky_history(np.random.default_rng(3), cycles=25)
    assert [cycle.tests for cycle in suite] == [cycle.tests for cycle in again]
    chance, learned = (replay(suite, agent(kind), budget_seconds=3600.0) for kind in ("random", "failure_rate"))
    assert learned.first_failure[-10:].mean() < 0.5 * chance.first_failure[-10:].mean()
    with pytest.raises(InputError):
        flaky_history(np.random.default_rng(0), tests=3, flaky=4)
