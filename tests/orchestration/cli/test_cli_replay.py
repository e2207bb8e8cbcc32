"""`proctor replay`: the JSON, the table, the curves, resuming, MLflow, and a user's mistakes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.scheduling.history_replay import replay as library_replay
from agents.scheduling.loaders.ci_history import CiHistory
from agents.scheduling.loaders.recorded import write_recorded
from agents.scheduling.settings import DEFAULT_KIND, AgentSettings
from agents.scheduling.synthetic import flaky_history
from envsearch.errors import InputError
from orchestration.cli import main
from orchestration.cli import replay as replay_cli
from orchestration.execution.fan_out import fan_out
from orchestration.studies import replay_item
from orchestration.studies.replay_item import HistorySource, ReplayItem, StoredItem, finished, from_plain, run_item
from orchestration.studies.replay_plot import rolling

KEYS = (
    *("history", "agent", "reward", "feedback", "fill", "budget", "cycles", "failing_cycles", "seeds"),
    *("napfd", "apfd", "apfdc", "ttff", "recall", "seconds_per_cycle"),
)
QUIET = ("--quiet", "--executor", "inline", "--tracking-uri", "none")


@pytest.fixture
def history() -> CiHistory:
    return flaky_history(np.random.default_rng(3), tests=12, flaky=3, cycles=15)


@pytest.fixture
def history_file(history: CiHistory, tmp_path: Path) -> Path:
    path = tmp_path / "small.parquet"
    write_recorded(history, path)
    return path


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PROCTOR_HOME", raising=False)


def run(*arguments: str) -> Any:
    with pytest.raises(SystemExit) as left:
        main(["replay", *arguments])
    return left.value.code


def rows(capsys, *arguments: str) -> list[dict]:
    assert run(*arguments, "--format", "json", *QUIET) == 0
    return json.loads(capsys.readouterr().out)


def test_the_json_object(history_file, history, capsys):
    agents = ("--agent", "failure_rate", "--agent", "random")
    results = rows(capsys, str(history_file), *agents, "--seeds", "3", "--fill", "prefix", "--feedback", "partial")
    assert [row["agent"] for row in results] == ["failure_rate", "random"]
    assert all(set(KEYS) <= set(row) for row in results)
    row = results[0]
    assert (row["history"], row["cycles"], row["failing_cycles"]) == ("small", 15, history.failing_cycles)
    assert (row["fill"], row["feedback"], row["budget"], row["reward"]) == ("prefix", "partial", 0.5, "verdict")
    expected = [
        library_replay(history, AgentSettings("failure_rate"), "prefix", 0.5, "partial", seed).metrics["napfd"]
        for seed in range(3)
    ]
    assert row["napfd"] == pytest.approx(np.mean([np.nanmean(values) for values in expected]), abs=1e-12)


def test_every_agent_with_every_reward(history_file, capsys):
    pairs = ("--agent", "bandit", "--agent", "file_order", "--reward", "apfdc", "--reward", "failure_count")
    results = rows(capsys, str(history_file), *pairs, "--seeds", "1")
    assert [(row["agent"], row["reward"]) for row in results] == [
        ("bandit", "apfdc"),
        ("bandit", "failure_count"),
        ("file_order", "apfdc"),
        ("file_order", "failure_count"),
    ]
    assert results[2]["napfd"] == results[3]["napfd"]  # a heuristic learns from no reward


def test_what_was_replayed_is_not_replayed_again(history_file, capsys, monkeypatch):
    options = (str(history_file), "--agent", "random", "--agent", "bandit", "--seeds", "2")
    first = rows(capsys, *options)
    monkeypatch.setattr(replay_item, "replay", lambda *_, **__: pytest.fail("replayed again"))
    assert rows(capsys, *options) == first
    assert rows(capsys, *options[:3], "--seeds", "2") == first[:1]


def test_an_item_s_address(history_file):
    def address(**changes) -> str:
        return ReplayItem(HistorySource.of_file(history_file), AgentSettings("random"), **changes).address()

    assert address() == address()
    assert len({address(), address(fill="prefix"), address(budget_share=0.4), address(feedback="partial")}) == 4
    moved = history_file.rename(history_file.with_name("moved.parquet"))
    assert ReplayItem(HistorySource.of_file(moved), AgentSettings("random")).address() != address()
    copied = moved.rename(history_file)
    assert copied.exists()
    limited = HistorySource.of_file(history_file, cycles=3)
    assert ReplayItem(limited, AgentSettings("random")).address() != address()


def test_a_change_of_the_agents_code_makes_everything_new(history_file, monkeypatch):
    item = ReplayItem(HistorySource.of_file(history_file), AgentSettings("random"))
    before = item.address()
    monkeypatch.setattr(replay_item, "code_digest", lambda: "other")
    assert item.address() != before


def test_a_stored_result_comes_back_bit_for_bit(history_file, tmp_path):
    stored = StoredItem(ReplayItem(HistorySource.of_file(history_file), AgentSettings("failure_rate")), str(tmp_path))
    assert finished(stored) is None
    plain_result = run_item(stored)
    assert finished(stored) == plain_result
    back = from_plain(stored.item, plain_result)
    again = library_replay(replay_item.load(stored.item.source), stored.item.settings)
    for name, values in again.metrics.items():
        np.testing.assert_array_equal(back.metrics[name], values)
    np.testing.assert_array_equal(back.first_failure, again.first_failure)


def test_a_damaged_result_is_told(history_file, tmp_path, capsys):
    options = (str(history_file), "--agent", "random", "--seeds", "1")
    rows(capsys, *options)
    (file,) = (tmp_path / "proctor-data" / "store").rglob("replay.json")
    file.write_text("{", encoding="utf-8")
    assert run(*options, *QUIET) == 2
    assert "delete it to have it created again" in capsys.readouterr().err


def test_the_curves_are_drawn(history_file, tmp_path, capsys):
    picture = tmp_path / "deep" / "curves.svg"
    assert run(str(history_file), "--agent", "random", "--seeds", "1", "--plot", str(picture), *QUIET) == 0
    text = picture.read_text(encoding="utf-8")
    assert text.startswith("<?xml")
    printed = capsys.readouterr().out
    assert "15 cycles" in printed
    assert "Curves" in printed


def test_the_flaky_demo(tmp_path, capsys):
    """Random against agent, 120 tests, an hour."""
    agents = ("--agent", "failure_rate", "--agent", "random")
    assert run("--synthetic", "flaky", *agents, "--seeds", "2", *QUIET) == 0
    printed = capsys.readouterr().out
    assert "budget 60 min" in printed
    assert "Minutes to the first failure" in printed
    results = rows(capsys, "--synthetic", "flaky", *agents, "--seeds", "2")
    agent, random = (row["minutes_to_first_failure"] for row in results)
    assert agent < random / 2
    (picture,) = (tmp_path / "proctor-data" / "replays").rglob("curves.png")
    assert picture.stat().st_size > 10_000


def test_mlflow_gets_a_parent_and_a_run_per_agent(history_file, tmp_path, capsys):
    options = (str(history_file), "--agent", "random", "--agent", "failure_rate", "--seeds", "1", "--quiet")
    for _ in range(2):  # the second time nothing is added
        assert run(*options, "--executor", "inline") == 0
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'proctor-data' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("proctor")
    runs = client.search_runs([experiment.experiment_id])
    parents = [run for run in runs if run.data.tags["kind"] == "replay"]
    children = [run for run in runs if run.data.tags.get("mlflow.parentRunId")]
    assert (len(parents), len(children)) == (1, 2)
    assert {run.data.params["agent"] for run in children} == {"random", "failure_rate"}
    assert all(0 <= run.data.metrics["napfd"] <= 1 for run in children)
    assert [entry.path for entry in client.list_artifacts(parents[0].info.run_id)] == ["curves.png"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "no history is named"),
        (("missing.csv",), "does not exist"),
        (("--synthetic", "floky"), "unknown synthetic history 'floky'"),
        (("small.parquet", "--synthetic", "flaky"), "a file and --synthetic exclude each other"),
        (("small.parquet", "--agent", "netwrk"), "unknown agent kind 'netwrk'"),
        (("small.parquet", "--reward", "time"), "unknown reward 'time'"),
        (("small.parquet", "--exploration", "greedy"), "unknown exploration 'greedy'"),
        (("small.parquet", "--budget", "1.5"), "--budget"),
        (("small.parquet", "--fill", "full"), "--fill"),
        (("small.parquet", "--seeds", "0"), "--seeds"),
        (("small.parquet", "--history-format", "csv"), "unknown history format 'csv'"),
        (("small.parquet", "--url", "localhost:8000"), "not the URL of a service"),
        (("small.parquet", "--tracking-uri", "ftp://x"), "not a tracking URI"),
    ],
)
def test_mistakes_are_one_line(arguments, message, history_file, capsys, monkeypatch):
    monkeypatch.setattr(replay_item, "replay", lambda *_, **__: pytest.fail("replayed before it was checked"))
    tracking = () if "--tracking-uri" in arguments else ("--tracking-uri", "none")
    assert run(*arguments, *tracking, "--quiet", "--executor", "inline") == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_fan_out_here():
    assert dict(fan_out(len, ["a", "bb"], "inline")) == {"a": 1, "bb": 2}
    with pytest.raises(ValueError, match="invalid literal"):
        list(fan_out(int, ["x"], "inline"))
    with pytest.raises(InputError, match="unknown executor 'threads'"):
        list(fan_out(len, ["a"], "threads"))


@given(st.lists(st.one_of(st.floats(0, 1), st.just(float("nan"))), max_size=60))
def test_rolling_means_stay_within_the_values(values: list[float]) -> None:
    known = [value for value in values if value == value]
    x, y = rolling(np.array(values))
    assert len(x) == len(y) == len(known)
    if known:
        assert min(known) - 1e-9 <= y.min()
        assert y.max() <= max(known) + 1e-9
        assert y[0] == pytest.approx(known[0])


def test_the_default_agent_is_the_first_row_and_takes_an_objective(history_file, capsys):
    results = rows(capsys, str(history_file), "--seeds", "1", "--objective", "time_first")
    assert [row["agent"] for row in results] == list(replay_cli.DEFAULT_KINDS)
    assert results[0]["agent"] == DEFAULT_KIND
    assert results[0]["napfd"] != rows(capsys, str(history_file), "--seeds", "1")[0]["napfd"]


def test_errors_of_a_history_can_be_failures(tmp_path, capsys):
    path = tmp_path / "errors.xml"
    path.write_text('<testsuite><testcase name="a"/><testcase name="b"><error/></testcase></testsuite>')
    arguments = (str(path), "--agent", "file_order", "--seeds", "1", *QUIET)
    assert run(*arguments) == 0
    out, err = capsys.readouterr()
    assert out == "errors: 1 cycles, 0 failing: nothing to measure\n"
    assert "note: errors read as the infrastructure's: 1; --errors-as-failures counts them" in err
    (row,) = rows(capsys, *arguments[:-4], "--errors-as-failures")
    assert row["failing_cycles"] == 1
    assert HistorySource.of_file(path).identity() != HistorySource.of_file(path, errors_as_failures=True).identity()


def test_what_was_passed_over_is_told(tmp_path, capsys):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "1.xml").write_text('<testsuite><testcase name="a"><failure/></testcase></testsuite>')
    (tmp_path / "runs" / "2.xml").write_text("<coverage/>")
    assert run(str(tmp_path / "runs"), "--agent", "file_order", "--seeds", "1", *QUIET) == 0
    assert "2.xml: line 1, column 1: begins with <coverage>" in capsys.readouterr().err


def test_the_job_of_a_cycle_over_http():
    from agents.scheduling.loaders.ci_history import Cycle
    from agents.scheduling.testcase import TestCase, Verdict
    from orchestration.studies.replay_http import job_of

    def cycle(*jobs: str) -> Cycle:
        tests = tuple(TestCase(f"t{number}", job) for number, job in enumerate(jobs))
        return Cycle(tests, (Verdict.PASSED,) * len(jobs), np.zeros(len(jobs)))

    assert (job_of(cycle("linux", "linux")), job_of(cycle(""))) == ("linux", "")
    with pytest.raises(InputError, match="several jobs"):
        job_of(cycle("linux", "windows"))
