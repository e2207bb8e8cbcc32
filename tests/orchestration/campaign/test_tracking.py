"""Tracking: what is logged of a campaign, into which runs, and what happens when the tracker is away."""

from __future__ import annotations

import dataclasses
import logging
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agents.deeprl.recipe import PolicySite, TrainingRecipe
from envsearch.errors import InputError
from envsearch.spec import EnvironmentSpec
from mutations.killing.kill_test import Direction, KillVerdict, Outcome
from orchestration.campaign.result import CampaignResult, LearningCurve, MutantVerdict, PopulationResult, ScoreResult
from orchestration.campaign.tracking.mlflow_tracker import PARAM_LENGTH, MlflowTracker
from orchestration.campaign.tracking.null_tracker import NullTracker
from orchestration.campaign.tracking.registry import TRACKERS, tracker
from orchestration.campaign.tracking.tracked_run import PHASES, campaign_run, flattened, kill_matrix_csv, nested_runs
from orchestration.runtime.mlflow import shown_uri, tracking_uri, ui_command
from orchestration.runtime.serve import free_port

POINT = (("cart_mass", 1.0), ("pole_mass", 0.1))


def verdict(test: str, outcome: Outcome | None) -> KillVerdict:
    return KillVerdict(test, outcome, Direction.WORSE, 1.5, 0.01, 0.9, 0.8, None, 0.97, 3, 3)


def population(mutant: str, rewards: tuple[float, ...] = (1.0, 2.0, 3.0)) -> PopulationResult:
    curve = LearningCurve((0.0, 100.0), (1.0, 2.0), (0.5, 1.5), (1.5, float("nan")))
    order = 0 if mutant == "Healthy" else 1
    return PopulationResult(mutant, order, (0, 1, 2), rewards, (), (), curve, 12.0, "ab" * 32)


@pytest.fixture
def result() -> CampaignResult:
    verdicts = (
        MutantVerdict("NDF", POINT, verdict("reward_distribution", Outcome.KILLED)),
        MutantVerdict("RN_1.0", POINT, verdict("reward_distribution", Outcome.INCONCLUSIVE)),
        MutantVerdict("NDF", POINT, verdict("average_ratio", None)),
    )
    return CampaignResult(
        run_id="f00d" * 16,
        name="demo",
        spec={"environment": {"name": "CartPole-v1"}, "seeds": 3, "operators": [{"operator": "NDF"}, "RN"]},
        status="complete",
        stop_reason="",
        notes=("LunarLander-v2 was taken as LunarLander-v3.",),
        environment="CartPole-v1",
        algorithm="ppo",
        parameters=("cart_mass", "pole_mass"),
        threshold=475.0,
        populations=(population("Healthy"), population("NDF"), population("RN_1.0")),
        verdicts=verdicts,
        boundaries=(),
        kill_matrix=verdicts[:2],
        higher_order=(),
        scores=(ScoreResult("reward_distribution", 0.5, ("NDF",), (), (), ("RN_1.0",), (POINT,)),),
        published=(),
        provenance={"versions": {"ray": "2.60"}, "cpu_hours": 0.5},
    )


@pytest.fixture
def recipe() -> TrainingRecipe:
    environment = EnvironmentSpec("CartPole-v1", POINT)
    return TrainingRecipe(environment, "ppo", (("gamma", 0.99),), 100, PolicySite("Tanh", "Adam"))


@pytest.fixture
def report(tmp_path: Path) -> Path:
    folder = tmp_path / "report"
    folder.mkdir()
    (folder / "index.html").write_text("<p>all well</p>", encoding="utf-8")
    return folder


@pytest.fixture(autouse=True)
def no_outside_tracker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


# -- what a campaign is made into, without a tracker --


def test_one_run_per_phase_and_per_population(result: CampaignResult) -> None:
    runs = nested_runs(result)
    assert [run.name for run in runs if run.kind == "phase"] == list(PHASES)
    assert [run.name for run in runs if run.kind == "population"] == ["Healthy", "NDF", "RN_1.0"]


def test_a_best_checkpoint_has_its_step(result: CampaignResult) -> None:
    first, *others = result.populations
    chosen = dataclasses.replace(first, selected_steps=(200, 50, 200))
    run = next(
        r for r in nested_runs(dataclasses.replace(result, populations=(chosen, *others))) if r.name == "Healthy"
    )
    assert [(m.step, m.value) for m in run.measurements if m.key == "selected_step"] == [(0, 200), (1, 50), (2, 200)]


def test_population_holds_parameters_rewards_curve_and_verdicts(result: CampaignResult, recipe: TrainingRecipe) -> None:
    run = next(run for run in nested_runs(result, {"NDF": recipe}) if run.name == "NDF")
    params = dict(run.params)
    assert params["mutant"] == "NDF"
    assert params["order"] == "1"
    assert params["recipe.hyperparameters.gamma"] == "0.99"
    assert params["recipe.environment.values.cart_mass"] == "1.0"
    numbers = {(m.key, m.step): m.value for m in run.measurements}
    assert numbers[("mean_reward", 0)] == 2.0
    assert numbers[("sd_reward", 0)] == 1.0
    assert [numbers[("reward", seed)] for seed in (0, 1, 2)] == [1.0, 2.0, 3.0]
    assert numbers[("learning_curve/mean", 100)] == 2.0
    assert ("learning_curve/high", 100) not in numbers  # not finite
    assert numbers[("reward_distribution/p_value", 0)] == 0.01
    assert numbers[("reward_distribution/killed", 0)] == 1.0
    assert ("average_ratio/killed", 0) not in numbers


def test_inconclusive_is_a_tag_and_never_a_zero(result: CampaignResult) -> None:
    run = next(run for run in nested_runs(result) if run.name == "RN_1.0")
    assert dict(run.tags)["reward_distribution.outcome"] == "inconclusive"
    assert "reward_distribution/killed" not in {m.key for m in run.measurements}


def test_campaign_run_flattens_spec_and_provenance(result: CampaignResult) -> None:
    run = campaign_run(result)
    assert dict(run.params) == {
        "environment.name": "CartPole-v1",
        "seeds": "3",
        "operators.0.operator": "NDF",
        "operators.1": "RN",
    }
    assert {m.key: m.value for m in run.measurements}["reward_distribution/mutation_score"] == 0.5
    assert dict(run.tags)["provenance.versions.ray"] == "2.60"


def test_digest_tells_changed_runs_from_unchanged_ones(result: CampaignResult) -> None:
    again = dataclasses.replace(result, populations=(*result.populations[:2], population("RN_1.0", (1.0, 2.0, 4.0))))
    before, after = ([run.digest for run in nested_runs(version)] for version in (result, again))
    assert [x == y for x, y in zip(before, after, strict=True)] == [True] * 7 + [False]


LABEL = '"uncorrected, at the observed effect, as published"'


def test_kill_matrix_is_a_tidy_table(result: CampaignResult) -> None:
    lines = kill_matrix_csv(result).splitlines()
    columns = "outcome,direction,p_value,p_adjusted,effect_size,power,difference,margin,power_label"
    assert lines[0] == f"test,mutant,cart_mass,pole_mass,{columns}"
    assert lines[1] == "reward_distribution,NDF,1.0,0.1,killed,worse,0.01,,0.9,0.97,,," + LABEL


def test_flattened_keeps_lists_of_scalars_whole() -> None:
    value = {"a": {"b": [1, 2]}, "c": [["x", 1.0], ["y", 2.0]], "d": [{"e": 1}]}
    assert dict(flattened(value)) == {"a.b": [1, 2], "c.x": 1.0, "c.y": 2.0, "d.0.e": 1}


# -- the table and the URI --


def test_default_is_an_absolute_sqlite_file_in_the_home(tmp_path: Path) -> None:
    default = tracker(None, tmp_path)
    assert isinstance(default, MlflowTracker)
    assert default.uri == f"sqlite:///{tmp_path}/mlflow.db"
    assert list(tmp_path.iterdir()) == []


def test_environment_variable_is_the_setting_below_the_spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracking.example:5000")
    assert tracking_uri(None, tmp_path) == "http://tracking.example:5000"
    assert tracking_uri("none", tmp_path) == "none"


def test_none_logs_nothing(tmp_path: Path, result: CampaignResult) -> None:
    null_tracker = tracker("none", tmp_path)
    assert isinstance(null_tracker, NullTracker)
    assert null_tracker.log_campaign(result, tmp_path) is None
    assert ui_command(null_tracker.uri) == ""


def test_every_tracker_of_the_table_is_there() -> None:
    assert set(TRACKERS) == {"none", "mlflow"}


def test_relative_sqlite_path_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert tracking_uri("sqlite:///runs/mlflow.db", tmp_path) == f"sqlite:///{tmp_path}/runs/mlflow.db"


@pytest.mark.parametrize("uri", ["mlruns", "htp://host", "file:///tmp/mlruns", "sqlite://", "://"])
def test_other_uris_are_refused_at_once(uri: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"tracking: .*expected"):
        tracker(uri, tmp_path)


def test_ui_line(tmp_path: Path) -> None:
    assert ui_command("http://user:secret@host:5000") == "http://user:***@host:5000"
    line = ui_command("sqlite:////a folder/mlflow.db")
    assert line.endswith("mlflow ui --workers 1 --backend-store-uri 'sqlite:////a folder/mlflow.db'")
    assert shown_uri("postgresql://user:secret@host/db") == "postgresql://user:***@host/db"


# -- MLflow itself, on a SQLite file --


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database, made once: the migrations take over a second."""
    from orchestration.runtime.mlflow import prepare_sqlite, quiet_mlflow

    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    with quiet_mlflow():
        prepare_sqlite(path)
    assert [entry.name for entry in path.parent.iterdir()] == ["mlflow.db"]
    return path


@pytest.fixture
def home(tmp_path: Path, empty_database: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "mlflow.db").write_bytes(empty_database.read_bytes())
    return folder


@pytest.fixture
def runs_of(home: Path) -> Callable[[], list[Any]]:
    def read() -> list[Any]:
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=tracking_uri(None, home))
        experiment = client.get_experiment_by_name("proctor")
        assert experiment is not None
        return list(client.search_runs([experiment.experiment_id], order_by=["attributes.start_time ASC"]))

    return read


def test_campaign_is_logged_whole(
    home: Path, result: CampaignResult, report: Path, recipe: TrainingRecipe, runs_of: Callable[[], list[Any]]
) -> None:
    parent_id = tracker(None, home).log_campaign(result, report, {"NDF": recipe})
    assert parent_id is not None
    runs = {run.info.run_name: run for run in runs_of()}
    assert len(runs) == 1 + len(PHASES) + 3
    parent = runs["demo f00df00d"]
    assert parent.info.run_id == parent_id
    assert parent.data.tags["run_id"] == result.run_id
    assert all(run.info.status == "FINISHED" for run in runs.values())
    children = [run for run in runs.values() if run.info.run_id != parent_id]
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent_id}
    assert runs["NDF"].data.metrics["reward_distribution/killed"] == 1.0
    assert runs["NDF"].data.params["recipe.algorithm"] == "ppo"
    artifacts = home / "mlflow-artifacts"
    assert (artifacts / parent_id / "artifacts" / "report" / "index.html").read_text() == "<p>all well</p>"
    matrix = artifacts / runs["kill_matrix"].info.run_id / "artifacts" / "kill_matrix.csv"
    assert matrix.read_text() == kill_matrix_csv(result)


def test_curves_are_metric_histories(home: Path, result: CampaignResult, report: Path) -> None:
    from mlflow import MlflowClient

    mlflow_tracker = tracker(None, home)
    parent = mlflow_tracker.log_campaign(result, report)
    assert parent is not None
    client = MlflowClient(tracking_uri=mlflow_tracker.uri)
    experiment = client.get_run(parent).info.experiment_id
    (run,) = client.search_runs([experiment], "tags.mutant = 'NDF'")
    history = client.get_metric_history(run.info.run_id, "reward")
    assert {(point.step, point.value) for point in history} == {(0, 1.0), (1, 2.0), (2, 3.0)}


def test_logging_again_changes_nothing(
    home: Path, result: CampaignResult, report: Path, runs_of: Callable[[], list[Any]]
) -> None:
    first = tracker(None, home).log_campaign(result, report)
    before = {run.info.run_id for run in runs_of()}
    assert tracker(None, home).log_campaign(result, report) == first
    assert {run.info.run_id for run in runs_of()} == before


def test_changed_result_replaces_only_what_changed(
    home: Path, result: CampaignResult, report: Path, runs_of: Callable[[], list[Any]]
) -> None:
    partial = dataclasses.replace(result, status="stopped", stop_reason="too weak", populations=result.populations[:2])
    first = tracker(None, home).log_campaign(partial, report)
    before = {run.info.run_name: run.info.run_id for run in runs_of()}
    assert tracker(None, home).log_campaign(result, report) == first
    runs = {run.info.run_name: run for run in runs_of()}
    assert len(runs_of()) == len(runs) == 9
    assert runs["NDF"].info.run_id == before["NDF"]
    assert runs["train"].info.run_id != before["train"]
    assert runs["demo f00df00d"].data.tags["status"] == "complete"
    assert runs["demo f00df00d"].info.status == "FINISHED"


def test_logging_that_broke_off_is_completed(
    home: Path,
    result: CampaignResult,
    report: Path,
    runs_of: Callable[[], list[Any]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    from mlflow import MlflowClient

    whole, calls = MlflowClient.log_batch, []

    def breaks_off(*args: Any, **kwargs: Any) -> Any:
        calls.append(args)
        if len(calls) == 4:
            raise ConnectionError("the server went away")
        return whole(*args, **kwargs)

    monkeypatch.setattr(MlflowClient, "log_batch", breaks_off)
    assert tracker(None, home).log_campaign(result, report) is None
    assert "the server went away" in caplog.text
    monkeypatch.setattr(MlflowClient, "log_batch", whole)
    assert tracker(None, home).log_campaign(result, report) is not None
    names = [run.info.run_name for run in runs_of()]
    assert len(names) == len(set(names)) == 9
    assert all(run.info.status == "FINISHED" for run in runs_of())


def test_limits_of_one_call_and_of_values_are_respected(
    home: Path, result: CampaignResult, report: Path, runs_of: Callable[[], list[Any]]
) -> None:
    steps = tuple(float(step) for step in range(1000))
    curve = LearningCurve(steps, steps, steps, steps)
    many = dataclasses.replace(result.populations[0], curve=curve)
    spec = {f"field{index}": index for index in range(250)} | {"long": "x" * 10_000}
    large = dataclasses.replace(result, populations=(many,), spec=spec, notes=("y" * 10_000,))
    assert tracker(None, home).log_campaign(large, report) is not None
    parent = next(run for run in runs_of() if run.data.tags["kind"] == "campaign")
    assert len(parent.data.params) == 251
    assert parent.data.params["long"] == "x" * (PARAM_LENGTH - 3) + "..."


# -- the tracker is away --


@pytest.mark.parametrize("scheme", ["http", "postgresql"])
def test_absent_server_is_a_warning_that_says_how_to_log_again(
    scheme: str, tmp_path: Path, result: CampaignResult, report: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = f"127.0.0.1:{free_port()}"
    with caplog.at_level(logging.WARNING):
        assert tracker(f"{scheme}://user:secret@{place}/db", tmp_path).log_campaign(result, report) is None
    (record,) = caplog.records
    assert record.exc_info is None
    text = record.getMessage()
    assert f"{scheme}://user:***@{place}/db" in text
    assert "proctor campaign run" in text
    assert "secret" not in text
    assert "\n" not in text


def test_broken_database_is_a_warning_and_is_left_alone(
    tmp_path: Path, result: CampaignResult, report: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "mlflow.db").write_bytes(b"this is not a database, " * 100)
    before = (tmp_path / "mlflow.db").read_bytes()
    assert tracker(None, tmp_path).log_campaign(result, report) is None
    assert "mlflow.db" in caplog.text
    assert (tmp_path / "mlflow.db").read_bytes() == before


def test_database_is_made_whole_or_not_at_all(
    tmp_path: Path, result: CampaignResult, report: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow.store.db.utils

    def dies(engine: Any) -> None:
        with sqlite3.connect(engine.url.database) as connection:
            connection.execute("CREATE TABLE half (x)")
        raise OSError("disk full")

    monkeypatch.setattr(mlflow.store.db.utils, "_initialize_tables", dies)
    assert tracker(None, tmp_path).log_campaign(result, report) is None
    assert not (tmp_path / "mlflow.db").exists()
