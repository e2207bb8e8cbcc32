"""Loaders of RETECS and COLEMAN files: their traps, and the errors of broken files."""

from __future__ import annotations

import pandas as pd
import pytest

from agents.scheduling.loaders.ci_history import distinct_ids
from agents.scheduling.loaders.registry import LOADERS, load_history
from agents.scheduling.testcase import Verdict
from envsearch.errors import InputError

RETECS_HEAD = "Id;Name;Duration;CalcPrio;LastRun;LastResults;Verdict;Cycle\n"
COLEMAN_HEAD = "Id;Name;BuildId;Duration;CalcPrio;LastRun;Verdict;Cycle;LastResults\n"


@pytest.fixture
def write(tmp_path):
    def make(text, name="history.csv"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return make


def test_retecs_by_hand(write):
    rows = "1;a;1500;0;2015;[];1;2\n2;b;10;0;2015;[];0;2\n3;a;500;0;2015;[0, 1];0;1\n"
    history = load_history(write(RETECS_HEAD + rows))
    assert history.name == "history" and len(history) == 2 and history.failing_cycles == 1
    first, second = history.cycles
    assert first.name == "1" and [test.id for test in first.tests] == ["a"]
    assert second.durations.tolist() == [1.5, 0.01]
    assert second.verdicts == (Verdict.FAILED, Verdict.PASSED)


def test_last_results_are_never_read(write):
    """Neither read nor fed: the column may say anything, and no test carries a duration or a feature."""
    row = "1;a;1500;0;2015;{};1;1\n"
    loaded = [load_history(write(RETECS_HEAD + row.format(text))) for text in ("[]", "[1, 1, 1]", "nonsense")]
    assert len({history.cycles[0].tests for history in loaded}) == 1
    case = loaded[0].cycles[0].tests[0]
    assert case.duration is None and case.features == ()


def test_repeated_names_are_kept_as_rows_with_one_history(write):
    rows = "".join(f"{number};{name};1;0;x;[];0;1\n" for number, name in enumerate(["a", "a", "b", "a"]))
    cycle = load_history(write(RETECS_HEAD + rows)).cycles[0]
    assert [test.id for test in cycle.tests] == ["a", "a#2", "b", "a#3"]
    assert [test.key for test in cycle.tests] == ["a", "a", "b", "a"]


def test_a_name_that_looks_like_a_repetition():
    assert distinct_ids(["a", "a#2", "a", "a"]) == ["a", "a#2", "a#3", "a#4"]
    assert distinct_ids(["a", "a", "a#2"]) == ["a", "a#3", "a#2"]


@pytest.mark.parametrize("delimiter", [";", ","])
def test_coleman_csv_cycles_are_builds(write, delimiter):
    rows = "1;a;20;0.5;0;x;0;1;[]\n2;b;3;1.5;0;x;1;1;[]\n3;a;3;0.25;0;x;0;2;[]\n"
    history = load_history(write((COLEMAN_HEAD + rows).replace(";", delimiter)))
    assert [cycle.name for cycle in history] == ["3", "20"]
    assert [test.id for test in history.cycles[0].tests] == ["b", "a"]
    assert history.cycles[0].durations.tolist() == [1.5, 0.25], "seconds"


def frame(**columns):
    rows = {
        "Name": [1, 2, 1],
        "BuildId": [2, 2, 1],
        "Duration": [0.5, 1.0, 2.0],
        "Verdict": [1, 0, 0],
        "Cycle": [1, 1, 1],
    }
    return pd.DataFrame({**rows, **columns})


def test_coleman_parquet_is_the_same_as_csv(tmp_path, write):
    path = tmp_path / "h.parquet"
    frame().to_parquet(path)
    history = load_history(path)
    assert [[test.id for test in cycle.tests] for cycle in history] == [["1"], ["1", "2"]]
    assert history.cycles[1].verdicts == (Verdict.FAILED, Verdict.PASSED)


@pytest.mark.parametrize(
    ("text", "field", "expected"),
    [
        ("", "line 1", "names of the columns"),
        ("Name;Duration\n", "line 1", "Verdict"),
        (RETECS_HEAD, "", "at least one execution"),
        (RETECS_HEAD + "1;a;x;0;x;[];0;1\n", "line 2, Duration", "finite number"),
        (RETECS_HEAD + "1;a;-1;0;x;[];0;1\n", "line 2, Duration", "at least 0"),
        (RETECS_HEAD + "1;a;nan;0;x;[];0;1\n", "line 2, Duration", "finite"),
        (RETECS_HEAD + "1;a;1;0;x;[];0;1\n\n2;b;1;0;x;[];2;1\n", "line 4, Verdict", "1 (failed) or 0"),
        (RETECS_HEAD + "1;a;1;0;x;[];0;1.5\n", "line 2, Cycle", "whole number"),
        (RETECS_HEAD + "1;a;1;0;x;[];0;inf\n", "line 2, Cycle", "whole number"),
        (RETECS_HEAD + "1;;1;0;x;[];0;1\n", "line 2, Name", "name"),
        (RETECS_HEAD + "1;a;1;0;x;[];0\n", "line 2", "8"),
        (RETECS_HEAD + '1;"a;1;0;x;[];0;1\n', "line 2", "csv"),
    ],
)
def test_broken_csv(write, text, field, expected):
    path = write(text)
    with pytest.raises(InputError) as caught:
        load_history(path)
    assert caught.value.field == field and expected in caught.value.expected + caught.value.problem
    assert caught.value.source == str(path)


def test_a_file_that_is_not_text(tmp_path):
    path = tmp_path / "h.csv"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="UTF-8"):
        load_history(path)


@pytest.mark.parametrize(
    ("columns", "place"),
    [
        ({"Duration": [0.5, -1.0, 2.0]}, "row 2, Duration"),
        ({"Duration": [0.5, None, 2.0]}, "row 2, Duration"),
        ({"Verdict": [0, 1, 7]}, "row 3, Verdict"),
        ({"BuildId": [1.5, 1, 1]}, "row 1, BuildId"),
        ({"Name": ["a", None, "b"]}, "row 2, Name"),
    ],
)
def test_broken_parquet(tmp_path, columns, place):
    path = tmp_path / "h.parquet"
    frame(**columns).to_parquet(path)
    with pytest.raises(InputError) as caught:
        load_history(path)
    assert caught.value.field == place


def test_wrong_paths_and_formats(tmp_path, write):
    with pytest.raises(InputError, match="does not exist"):
        load_history(tmp_path / "nothing.csv")
    with pytest.raises(InputError, match="not of a known format"):
        load_history(write("x", "h.txt"))
    with pytest.raises(InputError, match="is not a Parquet"):
        load_history(write("x", "h.parquet"))
    with pytest.raises(InputError, match="did you mean 'retecs'"):
        load_history(write(RETECS_HEAD), "retec")


@pytest.mark.parametrize("name", LOADERS)
def test_every_loader_is_there(name, tmp_path):
    with pytest.raises(InputError):
        load_history(tmp_path, name)


def test_the_public_files(ci_history_folder):
    shapes = {
        "iofrol.csv": (320, 271, 32260),
        "retrofit.parquet": (2711, 125, 71238),
        "dune-debian11.parquet": (290, 95, 35140),
    }
    for name, (cycles, failing, rows) in shapes.items():
        history = load_history(ci_history_folder / name)
        assert (len(history), history.failing_cycles, sum(map(len, history))) == (cycles, failing, rows)


@pytest.mark.parametrize("delimiter", [";", ",", "\t", "|"])
@pytest.mark.parametrize("letters", [str, str.lower, str.upper])
def test_any_delimiter_and_letters_of_a_header(write, delimiter, letters):
    for columns, row in (("Name;Duration;Verdict;Cycle", "a;500;1;3"), ("Name;Duration;Verdict;BuildId", "a;0.5;1;3")):
        history = load_history(write(f"{letters(columns)}\n{row}\n".replace(";", delimiter)))
        assert (history.cycles[0].tests[0].id, history.cycles[0].durations[0], history.failing_cycles) == ("a", 0.5, 1)


def test_a_column_that_is_there_twice_is_refused(write):
    with pytest.raises(InputError, match="several columns Verdict"):
        load_history(write("Name;Duration;Verdict;verdict;Cycle\na;1;0;1;1\n"))
