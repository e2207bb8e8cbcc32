"""`proctor tune` on a real Ray Tune: trains real (very short) agents, is interrupted and continues."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agents.deeprl.presets import preset
from envsearch.spec import EnvironmentSpec
from orchestration.campaign.spec.campaign import EvaluationPlan
from orchestration.runtime.progress import Phase, Progress
from orchestration.runtime.ray import RayRuntime
from orchestration.studies.search_space import Choice, Uniform
from orchestration.studies.tune import run_tune
from orchestration.studies.tune_result import TuneRequest, TuneResult

pytestmark = pytest.mark.slow


class Interrupting(Progress):
    """Presses Ctrl-C when a number of trials have ended; remembers how many had ended before."""

    def __init__(self, after: int) -> None:
        super().__init__("silent")
        self.after = after
        self.earlier = -1

    @contextmanager
    def phase(self, name: str, total: int | None, earlier: int = 0) -> Iterator[Phase]:
        self.earlier = earlier

        def changed() -> None:
            if phase.done - earlier >= self.after:
                raise KeyboardInterrupt

        with super().phase(name, total, earlier) as phase:
            phase.watch(changed)
            yield phase


@pytest.fixture
def short() -> TuneRequest:
    healthy = preset("CartPole-v1", "a2c").recipe(EnvironmentSpec("CartPole-v1"), 200)
    space = (("gamma", Uniform(0.9, 0.99)), ("n_steps", Choice((8, 16))))
    return TuneRequest(healthy, (0, 1), space, samples=2, evaluation=EvaluationPlan(2, 420))


def records(home: Path) -> dict[str, int]:
    """When each trained agent was written."""
    return {str(path): path.stat().st_mtime_ns for path in (home / "store").rglob("record.json")}


def test_trials_are_trained_ranked_and_written(ray_cluster: RayRuntime, short: TuneRequest, tmp_path: Path) -> None:
    result = run_tune(short, tmp_path, str(tmp_path / "store"), Progress("silent"), cpus=2)
    assert [trial.index for trial in result.trials] == [0, 1, 2]
    assert all(trial.complete and len(trial.returns) == 2 for trial in result.trials)
    assert result.best is not None
    assert result.best.mean_return == max(trial.mean_return or 0.0 for trial in result.trials)
    assert [dict(trial.hyperparameters) for trial in result.trials] == short.candidates()
    assert len(records(tmp_path)) == 3 * 2
    folder = tmp_path / "tune" / short.id
    assert (folder / "best.yaml").read_text(encoding="utf-8").startswith("# proctor tune")
    before = records(tmp_path)
    assert run_tune(short, tmp_path, str(tmp_path / "store"), Progress("silent"), cpus=2) == result
    assert records(tmp_path) == before


def test_interrupted_tune_goes_on_without_training_anything_again(
    ray_cluster: RayRuntime, short: TuneRequest, tmp_path: Path
) -> None:
    store = str(tmp_path / "store")
    with pytest.raises(KeyboardInterrupt):
        run_tune(short, tmp_path, store, Interrupting(after=1), cpus=1)
    before = records(tmp_path)
    assert len(before) >= 2
    assert not (tmp_path / "tune" / short.id / "result.json").exists()
    resumed = run_tune(short, tmp_path, store, Progress("silent"), cpus=1)
    assert before.items() <= records(tmp_path).items()
    undisturbed: TuneResult = run_tune(short, tmp_path / "other", str(tmp_path / "other" / "store"), Progress("silent"))
    assert resumed == undisturbed


def test_failing_hyperparameters_fail_their_trial_only(
    ray_cluster: RayRuntime, short: TuneRequest, tmp_path: Path
) -> None:
    request = TuneRequest(
        short.healthy, (0,), (("n_steps", Choice((0,))),), samples=1, evaluation=EvaluationPlan(1, 420)
    )
    result = run_tune(request, tmp_path, str(tmp_path / "store"), Progress("silent"), cpus=1)
    preset_trial, failing = result.trials
    assert preset_trial.complete
    assert not failing.complete
    assert failing.mean_return is None
    assert failing.failure
    assert result.best == preset_trial
