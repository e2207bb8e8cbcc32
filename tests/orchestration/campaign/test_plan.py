"""Plans: what is counted, what is bounded, what it costs."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envsearch.boundary import BoundarySearch
from envsearch.spec import Parameter
from orchestration.campaign import calibration
from orchestration.campaign.calibration import Costs, costs
from orchestration.campaign.context import RunContext
from orchestration.campaign.pipeline import run_steps
from orchestration.campaign.plan import CampaignPlan, PlannedPhase, plan_campaign
from orchestration.campaign.population import Populations
from orchestration.campaign.search_bounds import most_answers, most_environments
from orchestration.campaign.spec.campaign import BoundaryPlan, ResolvedCampaign
from orchestration.campaign.spec.loading import parse_spec
from orchestration.campaign.spec.resolving import resolve
from orchestration.execution.executors.inline import InlineExecutor
from orchestration.execution.results import ResultStore
from orchestration.execution.tasks import TaskFunctions
from orchestration.runtime.progress import Progress
from tests.fakes.fake_engine import use_fake_engine

COSTS = Costs(train=10.0, evaluation=0.5, source="measured")
CARTPOLE = (Parameter("cart_mass", 1, 1, 20, 0.5), Parameter("pole_mass", 0.1, 0.1, 20, 0.05))
LUNARLANDER = (Parameter("gravity", -10, -20, 0, 0.5), Parameter("side_engine_power", 0.6, 0, 5, 0.05))


@pytest.fixture(autouse=True)
def _fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    use_fake_engine(monkeypatch)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def campaign(**changes: Any) -> ResolvedCampaign:
    fields = {
        "environment": "CartPole-v1",
        "algorithm": "ppo",
        "seeds": 10,
        "steps": 100,
        "operators": ["NDF", "NR", "POC_SGD"],
        "engine": "fake",
    }
    return resolve(parse_spec({**fields, **changes}))


def phases(plan: CampaignPlan) -> dict[str, tuple[int, int, bool]]:
    return {phase.phase: (phase.items, phase.done, phase.bound) for phase in plan.phases}


def test_before_anything_is_done(tmp_path: Path) -> None:
    asked = campaign(higher_order={"mutants": ["NDF-NR"]})
    plan = plan_campaign(asked, ResultStore(str(tmp_path)), COSTS, cores=4)
    assert phases(plan) == {
        "train": (40, 0, False),
        "evaluate": (40, 0, False),
        "boundary by equivalence": (1580, 0, True),
        "kill matrix": (120, 0, True),
        "train higher order": (10, 0, False),
        "kill matrix, higher order": (40, 0, True),
    }
    assert plan.notes == (
        "Engine: fake, as the spec says.",
        "Boundary environments are known once the earlier phases are done.",
        "Higher-order candidates are known once the earlier phases are done.",
    )
    assert plan.cpu_hours == pytest.approx((50 * 10 + 1780 * 0.5) / 3600)
    assert plan.cpu_hours / 4 <= plan.wall_hours < plan.cpu_hours


def test_after_everything_is_done(tmp_path: Path) -> None:
    store = ResultStore(str(tmp_path))
    context = RunContext(InlineExecutor(TaskFunctions(evaluate="fake_campaign:evaluate")), store, Progress("silent"))
    result = run_steps(context, Populations(campaign(), store))
    plan = plan_campaign(campaign(), store, COSTS, cores=1)
    assert all(phase.items == phase.done and not phase.bound for phase in plan.phases)
    assert plan.cpu_hours == plan.wall_hours == 0.0
    assert set(phases(plan)) >= {"train higher order", "kill matrix, higher order"}
    assert sum(phase.items for phase in plan.phases) == context.computed
    assert sum(phase.items for phase in plan.phases if phase.phase.startswith("train")) == 10 * len(result.populations)
    assert costs(campaign(), store).source == "recorded"
    assert costs(campaign(), store).train == 0.25  # CPU time; the wall time is 0.5


def test_wall_time_recorded_by_0_1_is_not_taken_for_cpu_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, alone = ResultStore(str(tmp_path)), campaign(operators=["NDF"], boundary={"enabled": False})
    context = RunContext(InlineExecutor(TaskFunctions(evaluate="fake_campaign:evaluate")), store, Progress("silent"))
    run_steps(context, Populations(alone, store))
    monkeypatch.setattr("orchestration.campaign.calibration.measured", lambda campaign: COSTS)
    assert costs(alone, store).source == "recorded"
    monkeypatch.setattr(ResultStore, "evaluation_cpu_seconds", lambda self, key: None)
    assert costs(alone, store) is COSTS


def test_a_training_that_waits_costs_little_cpu_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fake_campaign import FakeEngine

    train = FakeEngine.train

    def waiting(self: Any, *arguments: Any) -> Any:
        time.sleep(0.3)
        return train(self, *arguments)

    monkeypatch.setattr(FakeEngine, "train", waiting)
    monkeypatch.setattr(calibration, "_evaluation_seconds", lambda campaign, agent: 0.5)
    measured = costs(campaign(evaluation={"engine": "sb3"}), ResultStore(str(tmp_path)))
    assert measured.source == "measured" and 0 < measured.train < 0.15
    assert "times as long as its CPU time" in measured.notes[0]


def test_halfway_the_missing_rest_is_bounded(tmp_path: Path) -> None:
    store = ResultStore(str(tmp_path))
    context = RunContext(InlineExecutor(TaskFunctions(evaluate="fake_campaign:evaluate")), store, Progress("silent"))
    run_steps(context, Populations(campaign(boundary={"enabled": False}), store))
    planned = phases(plan_campaign(campaign(), store, COSTS, cores=1))
    assert planned["train"] == (40, 40, False)
    assert planned["boundary by equivalence"] == (1580, 0, True)


@pytest.mark.parametrize(
    ("parameters", "answers"), [(CARTPOLE, 1 + 7 + 10 + 7), (LUNARLANDER, 1 + 6 + 6 + 8 + 5 + 4 * 6)]
)
def test_the_published_counts_bound_the_search(parameters: Sequence[Parameter], answers: int) -> None:
    plan = BoundaryPlan(("r",), tuple(parameters), 1, "published")
    assert most_answers(plan, "r") == answers
    assert most_environments(plan) == (4 if parameters is CARTPOLE else 9)


@given(
    st.lists(st.tuples(st.floats(0.01, 0.99), st.floats(0.01, 1.0)), min_size=1, max_size=3),
    st.tuples(st.floats(0.05, 2.0), st.floats(0.05, 2.0)),
)
def test_no_search_asks_more_than_the_bound(axes: list[tuple[float, float]], edges: tuple[float, float]) -> None:
    parameters = tuple(
        Parameter(f"p{index}", initial, 0, 1, precision) for index, (initial, precision) in enumerate(axes)
    )
    search, asked = BoundarySearch(parameters), 0
    while points := search.ask():
        for point in points:
            asked += 1
            away = [abs(value - parameter.initial) for (_, value), parameter in zip(point, parameters, strict=True)]
            search.tell(point, sum(away) < edges[0] and max(away) < edges[1])
    plan = BoundaryPlan(("r",), parameters, 1, "per_axis")
    assert asked <= most_answers(plan, "equivalence")
    assert len(search.result().environments) <= most_environments(plan)


def test_wall_time_counts_whole_rounds() -> None:
    plan = CampaignPlan("id", "name", (PlannedPhase("train", 5, 0, 50.0),), COSTS, 4, ())
    assert plan.wall_hours == pytest.approx(20.0 / 3600)
    assert plan.cpu_hours == pytest.approx(50.0 / 3600)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("engine", "algorithm", "environment"),
    [
        ("sb3", "ppo", "CartPole-v1"),
        ("sb3", "dqn", "CartPole-v1"),
        ("fleet", "ppo", "CartPole-v1"),
        ("sb3", "ppo", "LunarLander-v3"),
    ],
)
def test_a_real_calibration(engine: str, algorithm: str, environment: str, tmp_path: Path) -> None:
    asked = campaign(engine=engine, algorithm=algorithm, environment=environment, steps=6000, operators=["NDF"])
    measured = costs(asked, ResultStore(str(tmp_path)))
    assert measured.source == "measured"
    assert measured.train > 0
    assert measured.evaluation > 0
    assert any("agents at once" in note for note in measured.notes) == (engine == "fleet")
    assert not list(tmp_path.rglob("*.json"))


def test_the_plan_tells_the_engine_and_why(tmp_path: Path) -> None:
    plan = plan_campaign(campaign(), ResultStore(str(tmp_path)), COSTS, cores=4)
    assert plan.notes[0] == "Engine: fake, as the spec says."
