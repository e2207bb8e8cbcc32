"""Features: fixed width, finite, metadata hashed the same way in every process."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from agents.scheduling.features import FEATURE_NAMES, METADATA_SLOTS, metadata_features, observe, squash
from agents.scheduling.history import History
from agents.scheduling.testcase import TestCase, TestResult, Verdict


def column(seen, name):
    return seen.features[:, FEATURE_NAMES.index(name)].tolist()


def test_history_features_by_hand():
    history = History(4)
    for number, verdict in enumerate((Verdict.PASSED, Verdict.FAILED, Verdict.PASSED)):
        history.record([TestCase("a")], [TestResult("a", verdict, 1.0)], number)
    seen = observe(history, [TestCase("a"), TestCase("b")])
    assert seen.features.shape == (2, len(seen.feature_names)) and seen.feature_names == FEATURE_NAMES
    assert column(seen, "new") == [0.0, 1.0]
    assert column(seen, "failed_last") == [0.0, 0.0]
    assert np.allclose(column(seen, "recent_failures"), [1 / 3, 0.0])
    assert column(seen, "flips") == [1.0, 0.0]
    assert column(seen, "recency_of_run") == [1.0, 0.0]
    assert column(seen, "recency_of_failure") == [0.5, 0.0]
    assert column(seen, "experience") == [0.75, 0.0]
    assert column(seen, "place") == [0.0, 1.0]


def test_an_empty_cycle_has_the_same_columns():
    assert observe(History(2), []).features.shape == (0, len(FEATURE_NAMES))


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_squash_keeps_order_and_bounds(values):
    squashed = squash(np.sort(np.array(values)))
    assert (np.abs(squashed) < 1.0).all() and (np.diff(squashed) >= 0.0).all()


def test_metadata_adds_up_in_its_slots():
    number = metadata_features([TestCase("a", features=(("age", 3.0),))])
    category = metadata_features([TestCase("a", features=(("owner", "ann"),))])
    both = metadata_features([TestCase("a", features=(("age", 3.0), ("owner", "ann")))])
    np.testing.assert_allclose(both, number + category)
    assert np.abs(category).sum() == 1.0
    assert np.abs(number).sum() == abs(float(squash(np.array([3.0]))[0]))
    assert not metadata_features([TestCase("a")]).any()


def test_categories_are_hashed_the_same_in_every_process():
    code = (
        "from agents.scheduling.features import metadata_features as m;"
        "from agents.scheduling.testcase import TestCase as T;"
        "print(m([T('a', features=(('owner', 'ann'), ('slow', True), ('n', 2)))]).tolist())"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1 and len(eval(outputs.pop())[0]) == METADATA_SLOTS
