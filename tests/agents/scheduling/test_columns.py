"""Tests and rankings in columns are the same as one object for each."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.scheduling.columns import RankedColumns, TestColumns, declared_seconds, ids_of, keys_of, ranking_columns
from agents.scheduling.episode import RankedTest
from agents.scheduling.episode_codec import episode_from_bytes, episode_to_bytes
from agents.scheduling.scheduler import Scheduler
from agents.scheduling.settings import AgentSettings
from agents.scheduling.testcase import TestCase, TestResult, Verdict
from envsearch.errors import InputError

durations = st.none() | st.floats(min_value=0.0, max_value=1e6)
values = st.booleans() | st.floats(-1e6, 1e6) | st.text("ab", max_size=3)
features = st.lists(st.tuples(st.text("xyz", min_size=1, max_size=2), values), max_size=3).map(tuple)
rows = st.lists(st.tuples(st.text("abc", min_size=1, max_size=4), durations, features), unique_by=lambda row: row[0])


@given(rows, st.sampled_from(["", "unit"]), st.booleans(), st.booleans())
def test_columns_are_the_same_tests(
    test_rows: list[tuple[str, float | None, tuple[tuple[str, float | bool | str], ...]]],
    job: str,
    with_durations: bool,
    with_features: bool,
) -> None:
    objects = tuple(
        TestCase(name, job, duration if with_durations else None, pairs if with_features else ())
        for name, duration, pairs in test_rows
    )
    columns = TestColumns(
        [row[0] for row in test_rows],
        job,
        [row[1] for row in test_rows] if with_durations else (),
        [row[2] for row in test_rows] if with_features else (),
    )
    assert columns == objects
    assert tuple(columns) == objects
    assert columns[1:3] == objects[1:3]
    assert ids_of(columns) == ids_of(objects)
    assert keys_of(columns) == keys_of(objects)
    np.testing.assert_array_equal(declared_seconds(columns), declared_seconds(objects))


def test_an_agent_answers_columns_and_objects_alike() -> None:
    names = [f"test_{number}" for number in range(30)]
    seconds = [None if number % 5 == 0 else float(number % 7) for number in range(30)]
    columns = TestColumns(names, "unit", seconds)
    objects = tuple(columns)
    fast, plain = (Scheduler(AgentSettings("bandit")) for _ in range(2))
    for number in range(4):
        by_form = fast.recommend(columns, "e", number), plain.recommend(objects, "e", number)
        assert by_form[0].ranking == by_form[1].ranking
        assert episode_from_bytes(episode_to_bytes(by_form[0])).tests == objects
        assert episode_from_bytes(episode_to_bytes(by_form[1])).tests == objects
        verdicts = [Verdict.FAILED if (place + number) % 6 == 0 else Verdict.PASSED for place in range(30)]
        results = [TestResult(name, verdict, 1.0) for name, verdict in zip(names, verdicts, strict=True)]
        for agent, episode in zip((fast, plain), by_form, strict=True):
            agent.record(episode, results)
            agent.reward(episode, {result.id: result for result in results})
    assert {name: str(value) for name, value in fast.state().items()} == {
        name: str(value) for name, value in plain.state().items()
    }


@pytest.mark.parametrize(
    ("ids", "job", "seconds", "pairs"),
    [
        (["a", ""], "", (), ()),
        (["a", "b"], "", (1.0, -1.0), ()),
        (["a", "b"], "", (1.0, float("nan")), ()),
        (["a", "b"], "", (None, float("inf")), ()),
        (["a", "b\x1fc"], "", (), ()),
        (["a"], "x\x1fy", (), ()),
        (["a"], "", (), ((("x", float("nan")),),)),
    ],
)
def test_what_no_test_may_be_no_column_holds(
    ids: list[str], job: str, seconds: tuple[float | None, ...], pairs: tuple[tuple[tuple[str, float], ...], ...]
) -> None:
    with pytest.raises(InputError) as objects:
        for place, name in enumerate(ids):
            TestCase(name, job, seconds[place] if seconds else None, pairs[place] if pairs else ())
    with pytest.raises(InputError) as columns:
        TestColumns(ids, job, seconds, pairs)
    assert str(columns.value) == str(objects.value)


def test_a_ranking_in_columns() -> None:
    entries = (
        RankedTest("b", 1, 0.9, True, 2.0, ("new",)),
        RankedTest("a", 2, 0.1, False, 1.0, ("fast", "passed its last run")),
    )
    columns = ranking_columns(entries)
    assert columns == entries
    assert columns[-1] == entries[-1]
    assert columns[::-1] == entries[::-1]
    assert columns != entries[:1]
    assert ranking_columns(columns) is columns
    assert pickle.loads(pickle.dumps(columns)) == entries
    assert RankedColumns((), (), (), (), ()) == ()


def test_columns_that_are_shared_cannot_be_written_to() -> None:
    columns = TestColumns(("a", "a"), "unit", (1.0, None))
    assert columns.keys is columns.keys and not columns.unique
    with pytest.raises(ValueError, match="read-only"):
        columns.seconds[0] = 2.0
