"""Our own recorded format."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from agents.scheduling.history import History
from agents.scheduling.loaders.ci_history import CiHistory, Cycle, TestNames
from agents.scheduling.loaders.recorded import COLUMNS, append_cycle, load_recorded, write_recorded
from agents.scheduling.loaders.registry import load_history
from agents.scheduling.testcase import TestCase, TestResult, Verdict
from envsearch.errors import InputError

CYCLES = (
    Cycle(
        TestNames("j").cases(["a", "b", "a"]),
        (Verdict.PASSED, Verdict.FAILED, Verdict.ERROR),
        np.array([1.0, np.nan, 0.5]),
        "1",
        7.5,
    ),
    Cycle(
        (TestCase("c", features=(("lines", 3.0), ("owner", "ann"), ("slow", True))),),
        (Verdict.SKIPPED,),
        np.array([0.0]),
        "2",
    ),
)


def same(expected_history, loaded_history):
    assert len(expected_history) == len(loaded_history)
    for left, right in zip(expected_history, loaded_history, strict=True):
        assert (left.tests, left.verdicts, left.name, left.finished_at) == (
            right.tests,
            right.verdicts,
            right.name,
            right.finished_at,
        )
        np.testing.assert_array_equal(left.durations, right.durations)


def test_write_and_append_give_the_same_history(tmp_path):
    write_recorded(CiHistory("h", CYCLES), tmp_path / "whole.parquet")
    assert [append_cycle(cycle, tmp_path / "parts.parquet") for cycle in CYCLES] == [1, 2]
    same(load_recorded(tmp_path / "whole.parquet"), CYCLES)
    same(load_history(tmp_path / "parts.parquet"), CYCLES)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["parts.parquet", "whole.parquet"]


def test_pandas_reads_it(tmp_path):
    write_recorded(CiHistory("h", CYCLES), tmp_path / "h.parquet")
    frame = pd.read_parquet(tmp_path / "h.parquet")
    assert list(frame.columns[:6]) == list(COLUMNS)
    assert frame["test"].tolist() == ["a", "b", "a", "c"] and frame["cycle"].tolist() == [1, 1, 1, 2]
    assert frame["duration"].isna().tolist() == [False, True, False, False]
    assert {"feature.lines", "feature.owner", "feature.slow"} <= set(frame.columns)


def test_off_loaded_executions_are_of_this_format(tmp_path):
    history = History(1, keep_truncated=True)
    for number in range(3):
        history.record([TestCase("a", "j")], [TestResult("a", Verdict.FAILED, 1.0)], number)
    pd.DataFrame(history.drain_truncated()).to_parquet(tmp_path / "old.parquet")
    loaded = load_recorded(tmp_path / "old.parquet")
    assert [(cycle.name, cycle.tests[0].key) for cycle in loaded] == [("1", "j\x1fa"), ("2", "j\x1fa")]


@pytest.mark.parametrize(
    ("column", "values", "place"),
    [
        ("verdict", ["passed", "broken"], "row 2, verdict"),
        ("verdict", ["passed", None], "row 2, verdict"),
        ("duration", [1.0, -1.0], "row 2, duration"),
        ("test", [None, "b"], "row 1, test"),
        ("cycle", [1.0, 1.5], "cycle"),
    ],
)
def test_broken_files(tmp_path, column, values, place):
    rows = {
        "cycle": [1, 1],
        "job": ["", ""],
        "test": ["a", "b"],
        "duration": [1.0, 1.0],
        "verdict": ["passed"] * 2,
        "finished_at": [None, 1.0],
    }
    pd.DataFrame({**rows, column: values}).to_parquet(tmp_path / "h.parquet")
    with pytest.raises(InputError) as caught:
        load_recorded(tmp_path / "h.parquet")
    assert caught.value.field == place


def test_another_parquet_is_left_alone(tmp_path):
    path = tmp_path / "other.parquet"
    pd.DataFrame({"x": [1]}).to_parquet(path)
    before = path.read_bytes()
    with pytest.raises(InputError, match="has no column cycle"):
        append_cycle(CYCLES[0], path)
    with pytest.raises(InputError, match="has no column cycle"):
        load_recorded(path)
    assert path.read_bytes() == before
