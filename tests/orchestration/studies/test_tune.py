"""Tuning: search spaces, draws, requests and results; Ray Tune itself is in tests/integration."""

from __future__ import annotations

import fcntl
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from agents.deeprl.algorithms import ALGORITHMS, hyperparameter_names
from agents.deeprl.presets import PRESETS, preset
from envsearch.canonical import plain
from envsearch.errors import CorruptArtifactError, InputError
from envsearch.spec import EnvironmentSpec
from orchestration.campaign.spec.loading import parse_spec
from orchestration.cli.tune import request_for, row
from orchestration.runtime.progress import Progress
from orchestration.studies.search_space import (
    DEFAULT_SPACES,
    Choice,
    Integer,
    LogUniform,
    Uniform,
    default_space,
    described,
    draw,
    read_space,
)
from orchestration.studies.tune import run_tune
from orchestration.studies.tune_result import TrialResult, TuneRequest, TuneResult, best_yaml, read_result

SPACE = (("gamma", Choice((0.9, 0.99))), ("learning_rate", LogUniform(1e-5, 1e-2)))


@pytest.fixture
def request_() -> TuneRequest:
    healthy = preset("CartPole-v1", "ppo").recipe(EnvironmentSpec("CartPole-v1"), 256)
    return TuneRequest(healthy, (0, 1), SPACE, samples=3)


@pytest.fixture
def result() -> TuneResult:
    trials = (
        TrialResult(0, (), 100.0, (90.0, 110.0), True),
        TrialResult(1, (("gamma", 0.9),), 200.0, (200.0,), False),
        TrialResult(2, (("gamma", 0.99), ("learning_rate", 1.1e-05)), 150.0, (140.0, 160.0), True),
        TrialResult(3, (("gamma", 0.99),), None, (), False, "ValueError: nan"),
    )
    return TuneResult("ab" * 6, "CartPole-v1", "ppo", 256, trials)


def space_file(folder: Path, text: str) -> Path:
    path = folder / "space.yaml"
    path.write_text(text, encoding="utf-8")
    return path


# -- spaces --


def test_space_file(tmp_path: Path) -> None:
    text = """
learning_rate: {log_uniform: [1e-5, 1e-2]}
gamma: {uniform: [0.9, 0.999]}
n_epochs: {integer: [3, 20]}
clip_range_vf: {choice: [0.1, null]}
"""
    assert read_space(space_file(tmp_path, text), "ppo") == (
        ("clip_range_vf", Choice((0.1, None))),
        ("gamma", Uniform(0.9, 0.999)),
        ("learning_rate", LogUniform(1e-5, 1e-2)),
        ("n_epochs", Integer(3, 20)),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gama: {uniform: [0, 1]}", "gama: unknown hyper-parameter 'gama' (did you mean 'gamma'?"),
        ("policy: {choice: [a]}", "policy: unknown hyper-parameter"),
        ("7: {choice: [a]}", "7: unknown hyper-parameter"),
        ("gamma: 0.99", "gamma: 0.99 is not a range; expected one of log_uniform, uniform, integer, choice"),
        ("gamma: {uniform: [0, 1], choice: [1]}", "is not a range"),
        ("gamma: {uniforms: [0, 1]}", "gamma: unknown range 'uniforms' (did you mean 'uniform'?"),
        ("gamma: {uniform: 1}", "gamma.uniform: 1 is not a list"),
        ("gamma: {uniform: [1]}", "gamma.uniform: [1] is not an interval; expected two numbers"),
        ("gamma: {uniform: [1, x]}", "gamma.uniform: [1, 'x'] is not an interval"),
        ("gamma: {uniform: [true, 2]}", "is not an interval"),
        ("gamma: {uniform: [1, 0.5]}", "gamma.uniform: [1, 0.5] is empty; expected low < high"),
        ("gamma: {uniform: [0, .inf]}", "gamma.uniform: [0, inf] is empty"),
        ("gamma: {log_uniform: [0, 1]}", "gamma.log_uniform: 0 is not positive"),
        ("n_epochs: {integer: [1.5, 3]}", "n_epochs.integer: [1.5, 3] is not an interval; expected two whole numbers"),
        ("gamma: {choice: []}", "gamma.choice: [] is not a choice"),
        ("gamma: {choice: [[1]]}", "gamma.choice: [[1]] is not a choice"),
        ("- gamma", "holds a list"),
        ("", "is empty"),
        ("gamma: {", "is not valid YAML"),
    ],
)
def test_wrong_space_is_one_line_with_file_and_field(text: str, message: str, tmp_path: Path) -> None:
    path = space_file(tmp_path, text)
    with pytest.raises(InputError) as caught:
        read_space(path, "ppo")
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)


def test_missing_space_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_space(tmp_path / "none.yaml", "ppo")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_default_space_names_hyperparameters_of_its_algorithm(algorithm: str) -> None:
    assert set(DEFAULT_SPACES[algorithm]) <= set(hyperparameter_names(algorithm))
    assert set(dict(default_space(algorithm))) == set(DEFAULT_SPACES[algorithm])


def test_default_space_of_a_users_class_is_its_familys() -> None:
    assert set(dict(default_space("stable_baselines3:SAC"))) == {"learning_rate", "gamma", "batch_size"}


def test_described_spaces_are_read_back_as_they_were(tmp_path: Path) -> None:
    for algorithm in ALGORITHMS:
        space = default_space(algorithm)
        assert read_space(space_file(tmp_path, yaml.safe_dump(described(space))), algorithm) == space


@given(low=st.floats(1e-6, 1.0), factor=st.floats(1.001, 1e6), seed=st.integers(0, 2**32 - 1))
def test_draws_stay_in_their_range(low: float, factor: float, seed: int) -> None:
    rng, high = np.random.default_rng(seed), low * factor
    assert low <= LogUniform(low, high).draw(rng) <= high
    assert low <= Uniform(low, high).draw(rng) <= high
    assert 2 <= Integer(2, 4).draw(rng) <= 4
    assert Choice((1, "a", None)).draw(rng) in (1, "a", None)


def test_batches_fit_into_rollouts() -> None:
    points = draw(default_space("ppo"), 200, np.random.default_rng(0))
    assert all(int(str(point["batch_size"])) <= int(str(point["n_steps"])) for point in points)


def test_space_without_a_point_is_refused() -> None:
    space = (("batch_size", Choice((64,))), ("n_steps", Choice((8,))))
    with pytest.raises(InputError, match="batch_size: every batch_size is larger"):
        draw(space, 1, np.random.default_rng(0))


# -- requests --


def test_first_candidate_is_the_preset_and_draws_repeat(request_: TuneRequest) -> None:
    candidates = request_.candidates()
    assert candidates[0] == {}
    assert len(candidates) == 4
    assert candidates == request_.candidates()
    assert candidates != replace(request_, seed=1).candidates()


def test_id_depends_on_everything_that_results_depend_on(request_: TuneRequest) -> None:
    others = [
        replace(request_, seed=1),
        replace(request_, samples=4),
        replace(request_, seeds=(0,)),
        replace(request_, early_stopping=True),
        replace(request_, space=(("gamma", Uniform(0.9, 0.99)),)),
        replace(request_, space=(("gamma", LogUniform(0.9, 0.99)),)),
        replace(request_, healthy=request_.healthy.replace(total_steps=512)),
    ]
    assert len({request_.id, *(other.id for other in others)}) == len(others) + 1
    assert request_.id == replace(request_).id


@pytest.mark.parametrize(("pair", "file_name"), PRESETS.items())
def test_presets_can_be_named(pair: tuple[str, str], file_name: str) -> None:
    request = request_for(file_name.removesuffix(".yaml"), None, 1000, 2)
    assert (request.healthy.environment.name, request.healthy.algorithm) == pair
    assert (request.healthy.total_steps, request.seeds) == (1000, (0, 1))
    assert request.healthy == request_for(*pair, 1000, 2).healthy


def test_spec_file_can_be_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    fields = {"environment": "CartPole-v1", "algorithm": "dqn", "hyperparameters": {"gamma": 0.9}, "operators": ["NDF"]}
    path.write_text(yaml.safe_dump({**fields, "evaluation": {"episodes": 4}}), encoding="utf-8")
    request = request_for(str(path), None, 500, 1)
    assert request.healthy.hyperparameter("gamma") == 0.9
    assert request.healthy.total_steps == 500
    assert request.evaluation.episodes == 4


@pytest.mark.parametrize(
    ("subject", "algorithm", "message"),
    [
        ("cartpole_pp", None, "proctor tune: SUBJECT: 'cartpole_pp' is not a preset; expected one of cartpole_ppo"),
        ("CartPole-v1", None, "is not a preset"),
        ("CartPole-v1", "ppx", "unknown algorithm 'ppx' (did you mean 'ppo'?"),
        ("CartPole-v9", "ppo", "ENVIRONMENT: unknown environment 'CartPole-v9'"),
        ("Acrobot-v1", "ppo", "there is no preset for Acrobot-v1 with ppo; expected a number of steps"),
        ("none.yaml", None, "none.yaml: no such file"),
        ("none.yaml", "ppo", "a spec has its own algorithm"),
    ],
)
def test_wrong_subject_is_one_line(subject: str, algorithm: str | None, message: str) -> None:
    with pytest.raises(InputError) as caught:
        request_for(subject, algorithm, None, 1)
    assert message in str(caught.value)


# -- results --


def test_only_complete_trials_can_be_best(result: TuneResult) -> None:
    assert [trial.index for trial in result.ranked] == [2, 0, 1, 3]
    assert result.best is not None
    assert result.best.index == 2


def test_the_preset_wins_a_tie(result: TuneResult) -> None:
    same = replace(result, trials=(replace(result.trials[0], mean_return=150.0), *result.trials[1:]))
    assert same.best is not None
    assert same.best.name == "preset"


def test_best_yaml_is_a_valid_spec(result: TuneResult) -> None:
    text = best_yaml(result)
    assert text.startswith("# proctor tune abababababab, trial 2: mean return 150 over 2 seeds (preset: 100)\n")
    spec = parse_spec(yaml.safe_load(text) | {"operators": ["NDF"]})
    assert spec.hyperparameters == {"gamma": 0.99, "learning_rate": 1.1e-05}
    assert (spec.environment.name, spec.algorithm, spec.steps) == ("CartPole-v1", "ppo", 256)


def test_nothing_complete_is_said(result: TuneResult) -> None:
    failed = replace(result, trials=result.trials[3:])
    assert failed.best is None
    assert best_yaml(failed) == "# No trial was completed.\n"


def test_rows_are_plain(result: TuneResult) -> None:
    rows = [row(trial, result) for trial in result.ranked]
    assert json.loads(json.dumps(rows))[0] == {
        "trial": "trial 2",
        "mean_return": 150.0,
        "returns": [140.0, 160.0],
        "complete": True,
        "best": True,
        "hyperparameters": {"gamma": 0.99, "learning_rate": 1.1e-05},
        "failure": None,
    }


def test_finished_tune_is_told_without_ray(request_: TuneRequest, result: TuneResult, tmp_path: Path) -> None:
    folder = tmp_path / "tune" / request_.id
    folder.mkdir(parents=True)
    (folder / "result.json").write_text(json.dumps(plain(result)), encoding="utf-8")
    assert run_tune(request_, tmp_path, str(tmp_path), Progress("silent")) == result


def test_damaged_result_is_named(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text('{"id": "x", "tri', encoding="utf-8")
    with pytest.raises(CorruptArtifactError, match=r"result\.json: cannot be read"):
        read_result(tmp_path)


def test_running_twice_at_once_is_refused(request_: TuneRequest, tmp_path: Path) -> None:
    folder = tmp_path / "tune" / request_.id
    folder.mkdir(parents=True)
    with (folder / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="is already running"):
            run_tune(request_, tmp_path, str(tmp_path), Progress("silent"))
