"""The history of executions: counters, truncation, state."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.scheduling.columns import TestColumns
from agents.scheduling.features import observe
from agents.scheduling.history import FAILURE_DECAY, History
from agents.scheduling.state import from_bytes, to_bytes
from agents.scheduling.testcase import TestCase, TestResult, Verdict
from envsearch.errors import CorruptArtifactError

LETTERS = dict(zip("PFESN", Verdict, strict=True))


def record(history, number, job="", **verdicts):
    """record(h, 3, a="PF"): in episode 3 test a passed, then failed."""
    tests = [TestCase(name, job) for name, letters in verdicts.items() for _ in letters]
    letters = [letter for group in verdicts.values() for letter in group]
    results = [TestResult(test.id, LETTERS[letter], 2.0) for test, letter in zip(tests, letters, strict=True)]
    history.record(tests, results, number)


def test_unknown_tests_have_no_past():
    seen = observe(History(3), [TestCase("a"), TestCase("b")])
    assert np.isnan(seen.past_failures).all() and seen.past_failures.shape == (2, 3)
    assert seen.runs.tolist() == [0, 0]
    assert seen.since_run.tolist() == [-1, -1] and seen.since_failure.tolist() == [-1, -1]
    assert seen.durations.tolist() == [1.0, 1.0]
    assert seen.new.all() and np.isnan(seen.failure_rate).all()


def test_the_last_n_executions_newest_first():
    history = History(3)
    for number, letter in enumerate("PFPP"):
        record(history, number, a=letter)
    assert observe(history, [TestCase("a")]).past_failures.tolist() == [[0.0, 0.0, 1.0]]


def test_cycles_since_run_and_failure():
    history = History(2)
    record(history, 0, a="F", b="P")
    record(history, 1, b="P")
    record(history, 2, b="P")
    seen = observe(history, [TestCase("a"), TestCase("b"), TestCase("c")])
    assert seen.since_run.tolist() == [3, 1, -1]
    assert seen.since_failure.tolist() == [3, -1, -1]
    assert seen.runs.tolist() == [1, 3, 0]


def test_uninformative_executions_stay_out_of_the_past():
    history = History(4)
    record(history, 0, a="P", b="P", c="P", d="S")
    record(history, 1, a="E", b="S", c="N")
    seen = observe(history, [TestCase(name) for name in "abcd"])
    assert seen.runs.tolist() == [1, 1, 1, 0]
    assert seen.since_run.tolist() == [1, 2, 2, -1], "only the error was a run"
    assert seen.new.tolist() == [False, False, False, True]
    assert len(history) == 4


def test_failure_rate_by_hand_is_not_cut_by_the_length():
    history = History(1)
    for number, letter in enumerate("FPF"):
        record(history, number, a=letter)
    expected = (1 + 0.8**2) / (1 + 0.8 + 0.8**2)
    assert observe(history, [TestCase("a")]).failure_rate[0] == pytest.approx(expected, rel=1e-12)


@given(st.lists(st.booleans(), min_size=1, max_size=40), st.integers(1, 6))
def test_against_the_definition(failures, length):
    history = History(length)
    for number, failed in enumerate(failures):
        record(history, number, a="F" if failed else "P")
    seen = observe(history, [TestCase("a")])
    newest = [float(failed) for failed in failures[::-1]]
    padded = (newest + [np.nan] * length)[:length]
    np.testing.assert_array_equal(seen.past_failures[0], padded)
    weights = FAILURE_DECAY ** np.arange(len(newest))
    assert seen.failure_rate[0] == pytest.approx((weights * newest).sum() / weights.sum(), rel=1e-9)
    assert seen.since_failure[0] == (newest.index(1.0) + 1 if 1.0 in newest else -1)


def test_a_test_that_appears_twice_in_a_cycle_was_executed_twice():
    history = History(3)
    record(history, 0, a="PF", b="P")
    seen = observe(history, [TestCase("a"), TestCase("b")])
    assert seen.past_failures[0, :2].tolist() == [1.0, 0.0]
    assert seen.runs.tolist() == [2, 1]


def test_rows_of_one_test_share_a_history():
    history = History(3)
    record(history, 0, a="F")
    rows = [TestCase("a"), TestCase("a#2", history_id="a")]
    assert observe(history, rows).past_failures[:, 0].tolist() == [1.0, 1.0]


def test_jobs_keep_their_own_histories_and_cycles():
    history = History(3)
    record(history, 0, job="x", a="F")
    for number in (1, 2, 3):
        record(history, number, job="y", a="P")
    seen = observe(history, [TestCase("a", "x"), TestCase("a", "y")])
    assert seen.past_failures[0, 0] == 1.0 and seen.past_failures[1, 0] == 0.0
    assert seen.since_run.tolist() == [1, 1]
    assert history.cycles("x") == 1 and history.cycles("y") == 3 and history.cycles("z") == 0


def test_results_of_an_episode_in_parts_are_one_cycle():
    history = History(3)
    record(history, 5, a="P")
    record(history, 5, b="P")
    record(history, 4, c="P")
    assert history.cycles() == 1


def test_expected_durations():
    history = History(3)
    history.record([TestCase("a")], [TestResult("a", Verdict.PASSED, 2.0)], 0)
    history.record([TestCase("a")], [TestResult("a", Verdict.PASSED, 4.0)], 1)
    history.record([TestCase("b")], [TestResult("b", Verdict.PASSED, None)], 2)
    tests = [TestCase("a"), TestCase("b"), TestCase("c", duration=9.0)]
    assert observe(history, tests).durations.tolist() == [3.0, 6.0, 9.0]


def test_truncated_executions_are_handed_out_once():
    history = History(2, keep_truncated=True)
    for number, letter in enumerate("FPEPP"):
        record(history, number, job="j", a=letter)
    columns = history.drain_truncated()
    assert list(columns) == ["cycle", "job", "test", "duration", "verdict", "finished_at"]
    assert columns["verdict"].tolist() == ["error", "failed", "passed"]
    assert columns["cycle"].tolist() == [3, 1, 2]
    assert columns["job"].tolist() == ["j"] * 3 and columns["test"].tolist() == ["a"] * 3
    assert len(history.drain_truncated()["cycle"]) == 0


def test_without_off_loading_nothing_piles_up():
    history = History(1)
    for number in range(5):
        record(history, number, a="P")
    assert len(history.drain_truncated()["cycle"]) == 0


def test_the_longest_unseen_tests_are_forgotten():
    history = History(2, keep_truncated=True, max_tests=4)
    record(history, 0, a="F", b="P")
    record(history, 1, c="P", d="F", b="P")
    record(history, 2, e="P")
    assert history.keys == ("c", "d", "e")
    assert sorted(history.drain_truncated()["test"].tolist()) == ["a", "b", "b"]
    assert observe(history, [TestCase("d"), TestCase("a")]).failure_rate[0] == 1.0


EVENTS = st.lists(
    st.lists(st.tuples(st.sampled_from("abcdé\0"), st.sampled_from("PFESN")), max_size=6), min_size=1, max_size=12
)


@given(EVENTS, st.integers(0, 11))
def test_a_restored_history_goes_on_bit_for_bit(events, cut):
    def apply(history, part, start):
        for number, event in enumerate(part, start=start):
            tests = [TestCase(name, "j" if name == "b" else "") for name, _ in event]
            executions = [TestResult(name, LETTERS[letter], 0.1 * number) for name, letter in event]
            history.record(tests, executions, number)

    cut = min(cut, len(events))
    whole, first, second = History(2), History(2), History(2)
    apply(whole, events, 0)
    apply(first, events[:cut], 0)
    second.restore(from_bytes(to_bytes(first.state())))
    apply(second, events[cut:], cut)
    left, right = whole.state(), second.state()
    assert left.keys() == right.keys()
    for name in left:
        np.testing.assert_array_equal(left[name], right[name], err_msg=name)


def test_growth_keeps_what_is_known():
    history = History(2)
    for number in range(300):
        history.record([TestCase(f"t{number}")], [TestResult(f"t{number}", Verdict.FAILED, 1.0)], number)
    assert observe(history, [TestCase(f"t{number}") for number in range(300)]).failure_rate.tolist() == [1.0] * 300
    assert observe(history, [TestCase("unknown")]).new.all()


def test_a_state_of_another_length_is_refused():
    with pytest.raises(CorruptArtifactError, match="3"):
        History(3).restore(History(2).state())
    with pytest.raises(CorruptArtifactError, match="lacks"):
        History(3).restore({})


def test_a_repeated_lookup_of_the_same_tests_sees_new_ones():
    history, tests = History(3), TestColumns(("a", "b"))
    assert observe(history, tests).new.tolist() == [True, True]
    record(history, 0, b="F")
    assert observe(history, tests).failures.tolist() == [0, 1]
    record(history, 1, a="P")
    assert observe(history, tests).runs.tolist() == [1, 1]
    right = History(3)
    record(right, 0, a="F")
    right.restore(history.state())
    assert observe(right, tests).failures.tolist() == [0, 1]


def test_forgotten_tests_are_unknown_to_whoever_asks_for_the_same_tests_again():
    history, tests = History(2, max_tests=4), TestColumns(("a", "b"))
    record(history, 0, a="F", b="F")
    assert observe(history, tests).failures.tolist() == [1, 1]
    for number in range(1, 4):
        record(history, number, **{f"{name}{number}": "P" for name in "cd"})
    kept = [name in history.keys for name in ("a", "b")]
    assert observe(history, tests).failures.astype(bool).tolist() == kept and not all(kept)
