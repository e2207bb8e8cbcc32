"""Clusters, stale tests, flaky tests on small histories."""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest

from agents.scheduling.history import History
from agents.scheduling.insights import FailureCluster, InsightSettings, StaleTest, insights
from agents.scheduling.testcase import TestCase, TestResult, Verdict, split_key
from envsearch.errors import InputError


def history_of(lines, length=10, job=""):
    """name -> verdicts by cycle; '.' is a cycle without the test."""
    history = History(length)
    add(history, lines, job)
    return history


def add(history, lines, job=""):
    letters = {"P": Verdict.PASSED, "F": Verdict.FAILED}
    for cycle in range(len(next(iter(lines.values())))):
        ran = {name: letters[text[cycle]] for name, text in lines.items() if text[cycle] != "."}
        tests = [TestCase(name, job) for name in ran]
        history.record(tests, [TestResult(name, verdict, 1.0) for name, verdict in ran.items()], cycle)


def test_tests_that_fail_together_are_one_cluster():
    history = history_of(
        {
            "a": "FPFPPFPPFP",
            "b": "FPFPPFPPFP",
            "c": "FPFPPFPPPP",
            "d": "PFPFPPFPPF",
            "e": "PFPFPPFPPF",
            "lonely": "PPFFPFPFPP",
            "good": "PPPPPPPPPP",
        },
        job="nightly",
    )
    # c shares 3 of 4 failing cycles with a and b: pairs 1, .75, .75
    assert insights(history).clusters == (
        FailureCluster("nightly", ("a", "b", "c"), cast(float, pytest.approx(2.5 / 3)), 4),
        FailureCluster("nightly", ("d", "e"), 1.0, 4),
    )


def test_too_few_common_failures_are_not_a_cluster():
    history = history_of({"a": "FFPP", "b": "FFPP"})
    assert insights(history).clusters == ()
    assert len(insights(history, InsightSettings(common_failures=2)).clusters) == 1


def test_equal_cycles_of_different_jobs_are_different_cycles():
    history = history_of({"a": "FFFFPP"}, job="one")
    add(history, {"a": "FFFFPP"}, job="two")
    assert insights(history).clusters == ()


def test_a_chain_of_neighbours_is_not_a_cluster():
    lines = {
        f"t{place:02}": "".join("F" if place <= cycle < place + 6 else "P" for cycle in range(20))
        for place in range(14)
    }
    history = history_of(lines, length=20)
    clusters = insights(history).clusters
    assert clusters and max(len(cluster.tests) for cluster in clusters) <= 5
    assert all(cluster.similarity >= 0.6 for cluster in clusters)


def test_stale_tests_the_longest_first():
    history = history_of(
        {"old": "P.........", "older_known": "P.........", "fresh": "PPPPPPPPPP", "middle": "PPPPP....."}
    )
    history.record([TestCase("skipped")], [TestResult("skipped", Verdict.SKIPPED)], 10)
    reported = insights(history, InsightSettings(stale_cycles=5)).stale
    assert reported == (
        StaleTest("", "old", 11, True),
        StaleTest("", "older_known", 11, True),
        StaleTest("", "middle", 7, True),
    )
    assert insights(history).stale == ()


def test_flaky_tests_need_more_than_a_fault_and_its_repair():
    history = history_of({"flaky": "PFPPFPFPPP", "fault": "PPPPFFFFFF", "repaired": "PPFFFFPPPP", "good": "PPPPPPPPPP"})
    (flaky,) = insights(history).flaky
    assert (flaky.test, flaky.executions, flaky.failures) == ("flaky", 10, 3)
    assert flaky.flip_rate == pytest.approx(6 / 9)


def test_only_the_requested_tests():
    history = history_of({"a": "PFPFPF", "b": "PFPFPF"})
    reported = insights(history, keys=("b", "unknown", "b"))
    assert [entry.test for entry in reported.flaky] == ["b"] and reported.clusters == ()


def test_an_empty_history_has_no_insights():
    reported = insights(History(5))
    assert reported.clusters == reported.stale == reported.flaky == ()


def test_lists_are_limited():
    rng = np.random.default_rng(0)
    lines = {f"t{place}": "".join(rng.permutation(list("PFPFPFPFPF"))) for place in range(50)}
    reported = insights(history_of(lines), InsightSettings(limit=3, flip_rate=0.01))
    assert len(reported.flaky) == 3
    assert reported.flaky[0].flip_rate >= reported.flaky[-1].flip_rate


@pytest.mark.parametrize("settings", [{"similarity": 0.0}, {"flip_rate": 1.5}, {"limit": 0}, {"stale_cycles": -1}])
def test_wrong_settings_are_refused(settings):
    with pytest.raises(InputError, match="out of range"):
        InsightSettings(**settings)


def test_split_key_is_the_inverse_of_key():
    for case in (TestCase("a"), TestCase("a", "job"), TestCase("a#2", "job", history_id="a")):
        assert split_key(case.key) == (case.job, case.history_id or case.id)
