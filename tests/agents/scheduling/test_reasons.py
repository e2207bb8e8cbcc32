"""Reasons of a position."""

from __future__ import annotations

import numpy as np

from agents.scheduling.features import observe
from agents.scheduling.history import History
from agents.scheduling.observation import Scores
from agents.scheduling.reasons import reasons
from agents.scheduling.testcase import TestCase, TestResult, Verdict

LETTERS = dict(zip("PFESN", Verdict, strict=True))


def reasons_of(pasts, explored=(), must=(), seconds=1.0):
    history = History(10)
    for number in range(max(map(len, pasts.values()))):
        ran = [name for name in pasts if number < len(pasts[name])]
        texts = [TestResult(name, LETTERS[pasts[name][number]], seconds) for name in ran]
        history.record([TestCase(name) for name in ran], texts, number)
    tests = [TestCase(name) for name in pasts]
    seen = observe(history, tests)
    scores = Scores(np.zeros(len(tests)), np.array([name in explored for name in pasts]), 0.5)
    return dict(zip(pasts, reasons(seen, scores, np.array([name in must for name in pasts])), strict=True))


def test_reasons_strongest_first():
    texts = reasons_of(
        {"a": "FPPPP", "b": "PPPPF", "c": "PFPFP", "d": "PPPPP", "n": "", "m": "P"}, explored=("n", "d"), must=("n",)
    )
    assert texts["a"][0] == "failed 5 runs ago"
    assert texts["b"][0] == "failed in its last run"
    assert texts["c"] == ("failed 2 runs ago", "fails often (40 % of recent runs)")
    assert texts["d"] == ("exploring", "passed its last 5 runs")
    assert texts["n"] == ("must run", "new", "exploring")
    assert texts["m"] == ("passed its last run",)


def test_not_run_for_long():
    texts = reasons_of({"a": "P", "b": "P" * 13})
    assert texts["a"][0] == "not run for 13 cycles"
    assert "not run" not in " ".join(texts["b"])


def test_fast():
    history = History(2)
    tests = [TestCase("a", duration=1.0), TestCase("b", duration=30.0)]
    history.record(tests, [TestResult(test.id, Verdict.PASSED, 1.0) for test in tests], 0)
    seen = observe(history, tests)
    scores = Scores(np.zeros(2), np.zeros(2, np.bool_), 0.0)
    assert list(reasons(seen, scores, np.zeros(2, np.bool_))) == [
        ("fast", "passed its last run"),
        ("passed its last run",),
    ]


def test_no_tests():
    seen = observe(History(2), [])
    assert not reasons(seen, Scores(np.zeros(0), np.zeros(0, np.bool_), 0.0), np.zeros(0, np.bool_))
