"""Episodes as bytes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from agents.scheduling.columns import TestColumns
from agents.scheduling.episode import Budget
from agents.scheduling.episode_codec import episode_from_bytes, episode_to_bytes
from agents.scheduling.testcase import TestCase
from envsearch.errors import CorruptArtifactError


def equal(original, restored):
    """Field by field: dataclasses that hold arrays do not compare themselves."""
    for field in dataclasses.fields(original):
        left, right = getattr(original, field.name), getattr(restored, field.name)
        if isinstance(left, np.ndarray):
            assert left.dtype == right.dtype
            np.testing.assert_array_equal(left, right, err_msg=field.name)
        elif field.name in ("observation", "scores"):
            equal(left, right)
        elif field.name == "make_features":
            np.testing.assert_array_equal(original.features, restored.features)
        elif field.name != "_memo":
            assert left == right and type(left) is type(right), field.name


TESTS = [
    TestCase("a", "jöb", 2.5, (("owner", "ann"), ("age", 3.5), ("slow", True))),
    TestCase("a#2", "jöb", None, (), "a"),
    TestCase("\u2028 \x00"),
]


COLUMNS = [
    TestColumns(["a", "\u2028 \x00", "\ud800"], "jöb", [2.5, None, 0.0], [(("age", 3.5), ("slow", True)), (), ()]),
    TestColumns(["a", "b"], "", [1.0, 1 / 3]),
    TestColumns(["a"]),
    TestColumns([], "job"),
]


@pytest.mark.parametrize("tests", [TESTS, [], *COLUMNS])
def test_round_trip(scheduler, tests):
    agent = scheduler("random")
    budget = Budget(seconds=1.0, fill="prefix", must_run=("a",) if len(tests) else (), new_tests_in=True)
    episode = agent.recommend(tests, "e/1", 7, budget, opened_at=1.5e9)
    equal(episode, episode_from_bytes(episode_to_bytes(episode)))


def test_a_stored_episode_is_rewarded_the_same(scheduler, cases, results):
    original, restored = scheduler(), scheduler()
    episode = original.recommend(cases("abc"), "e", 0)
    copy = episode_from_bytes(episode_to_bytes(episode))
    reported = {result.id: result for result in results("abc", "PFP")}
    left, right = original.reward(episode, reported), restored.reward(copy, reported)
    np.testing.assert_array_equal(left.rewards, right.rewards)
    assert left.metrics == right.metrics


def test_damaged_bytes(scheduler, cases):
    data = episode_to_bytes(scheduler().recommend(cases("abc"), "e", 0))
    for wrong in (b"", b"PEP2", data[:10], data[:-9], b"XXXX" + data[4:], data[:40] + b"??" + data[42:]):
        with pytest.raises(CorruptArtifactError):
            episode_from_bytes(wrong)


def test_a_changed_byte_is_noticed_or_changes_nothing(scheduler, cases):
    episode = scheduler().recommend(cases("abc"), "e", 0)
    data = episode_to_bytes(episode)
    for place in range(len(data)):
        try:
            copy = episode_from_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        except CorruptArtifactError:
            continue
        equal(episode, copy)


def test_numbers_beyond_four_bytes_come_back(scheduler, cases):
    episode = scheduler().recommend(cases("abc"), "e", 0)
    seen = dataclasses.replace(episode.observation, runs=np.array([1, 2**40, 3]))
    copy = episode_from_bytes(episode_to_bytes(dataclasses.replace(episode, observation=seen)))
    assert copy.observation.runs.tolist() == [1, 2**40, 3]
