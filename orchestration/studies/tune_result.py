"""The request and the result of a tune, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from agents.deeprl.engines.base import AgentSelection
from agents.deeprl.recipe import Scalar, TrainingRecipe
from envsearch.canonical import content_address, plain
from envsearch.errors import CorruptArtifactError
from orchestration.campaign.spec.campaign import EvaluationPlan
from orchestration.execution.work import SEMANTICS
from orchestration.studies.search_space import Space, described, draw


@dataclass(frozen=True)
class TuneRequest:
    """Everything that a tune's result depends on.

    Attributes:
        healthy: the preset's recipe.
        seeds: of the agents that every trial trains.
        samples: points drawn in addition to the preset's own.
        seed: of the draws.
        early_stopping: stop trials after some of their seeds where others are better (asynchronous successive
            halving, Li et al. 2020), instead of giving all seeds to all trials.
    """

    healthy: TrainingRecipe
    seeds: tuple[int, ...]
    space: Space
    samples: int
    seed: int = 0
    early_stopping: bool = False
    engine: str = "sb3"
    selection: AgentSelection = field(default_factory=AgentSelection)
    evaluation: EvaluationPlan = field(default_factory=lambda: EvaluationPlan(10, 420))

    def canonical(self) -> dict[str, Any]:
        """As plain data."""
        fields: dict[str, Any] = plain(self)
        return {"semantics": SEMANTICS, **fields, "space": described(self.space)}

    @property
    def id(self) -> str:
        """First 12 hexadecimal digits of the hash of `canonical`."""
        return content_address("tune", self.canonical())[:12]

    def candidates(self) -> list[dict[str, Scalar]]:
        """What each trial changes in the preset; the first trial changes nothing."""
        return [{}, *draw(self.space, self.samples, np.random.default_rng(self.seed))]


@dataclass(frozen=True, slots=True)
class TrialResult:
    """One trial.

    Attributes:
        index: 0 is the preset itself.
        hyperparameters: what the trial changed in the preset.
        mean_return: mean over the seeds of the mean evaluation return; None if an agent failed.
        returns: mean evaluation return per seed, of the seeds that were run.
        complete: all seeds were run; others were stopped early or failed.
        failure: last line of the traceback of the agent that failed.
    """

    index: int
    hyperparameters: tuple[tuple[str, Scalar], ...]
    mean_return: float | None
    returns: tuple[float, ...]
    complete: bool
    failure: str = ""

    @property
    def name(self) -> str:
        """For tables."""
        return "preset" if self.index == 0 else f"trial {self.index}"


@dataclass(frozen=True, slots=True)
class TuneResult:
    """What a tune found; `trials` are in the order of their index."""

    id: str
    environment: str
    algorithm: str
    steps: int
    trials: tuple[TrialResult, ...]

    @property
    def ranked(self) -> tuple[TrialResult, ...]:
        """Best first: complete before stopped before failed, then by mean return; the earlier of equal ones."""
        return tuple(sorted(self.trials, key=lambda t: (not t.complete, -(t.mean_return or 0.0), t.index)))

    @property
    def best(self) -> TrialResult | None:
        """The best complete trial."""
        first = self.ranked[0]
        return first if first.complete else None


def read_result(folder: Path) -> TuneResult:
    """The result of a tune that has ended.

    Raises:
        CorruptArtifactError: the file cannot be read back.
    """
    from pydantic import TypeAdapter, ValidationError

    path = folder / "result.json"
    try:
        return TypeAdapter(TuneResult).validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        expected = "the result of a tune; delete the file to have it created again"
        raise CorruptArtifactError("cannot be read", "", expected, str(path)) from error


def best_yaml(result: TuneResult) -> str:
    """The best hyper-parameters as fields of a campaign spec."""
    best = result.best
    if best is None or best.mean_return is None:
        return "# No trial was completed.\n"
    fields = {
        "environment": result.environment,
        "algorithm": result.algorithm,
        "steps": result.steps,
        "hyperparameters": dict(best.hyperparameters),
    }
    where = f"# proctor tune {result.id}, {best.name}: mean return {best.mean_return:g} over {len(best.returns)} seeds"
    preset = result.trials[0].mean_return
    versus = f" (preset: {preset:g})" if preset is not None and best.index != 0 else ""
    return f"{where}{versus}\n{yaml.safe_dump(fields, sort_keys=False)}"
