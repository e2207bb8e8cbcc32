"""The boundary search of a campaign: equivalence on its own episodes, edges, and what stops it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from mutations.killing.kill_test import Outcome
from orchestration.campaign.context import RunContext
from orchestration.campaign.population import Populations
from orchestration.campaign.result import EQUIVALENCE, BoundaryReport, Point
from orchestration.campaign.spec.campaign import BOUNDARY_SEEDS, ResolvedCampaign
from orchestration.campaign.spec.loading import parse_spec
from orchestration.campaign.spec.resolving import resolve
from orchestration.campaign.steps.boundary import search_boundary
from orchestration.campaign.steps.evaluation import evaluate_populations
from orchestration.campaign.steps.training import train_populations
from orchestration.execution.executors.inline import InlineExecutor
from orchestration.execution.results import ResultStore
from orchestration.execution.tasks import TaskFunctions
from orchestration.runtime.progress import Progress
from tests.fakes.fake_engine import use_fake_engine

START: Point = (("cart_mass", 1.0), ("pole_mass", 0.1))


@pytest.fixture(autouse=True)
def _fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    use_fake_engine(monkeypatch)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def campaign(**changes: Any) -> ResolvedCampaign:
    fields: dict[str, Any] = {
        "environment": "CartPole-v1",
        "algorithm": "ppo",
        "seeds": 8,
        "steps": 20,
        "operators": ["NR"],
        "engine": "fake",
        "boundary": {"precision": {"cart_mass": 1, "pole_mass": 1}, "scan": 4},
    }
    return resolve(parse_spec({**fields, **changes}))


def searched(
    resolved: ResolvedCampaign, folder: Path, function: str = "evaluate", test: str = EQUIVALENCE
) -> tuple[BoundaryReport, Populations]:
    store = ResultStore(str(folder))
    context = RunContext(InlineExecutor(TaskFunctions(evaluate=f"fake_campaign:{function}")), store, Progress("silent"))
    populations = Populations(resolved, store)
    train_populations(context, [populations.healthy], "train")
    evaluate_populations(context, [populations.healthy], [resolved.initial_point], "evaluate")
    return search_boundary(context, populations.healthy, test), populations


def test_edges_and_environments_lie_where_healthy_agents_change(tmp_path: Path) -> None:
    report, _ = searched(campaign(), tmp_path)
    assert [place.kind for place in report.environments] == ["initial", "axis", "axis", "corner"]
    cart, pole, corner = report.edges
    assert (cart.label, pole.label, corner.label) == (
        "cart_mass upper",
        "pole_mass upper",
        "cart_mass upper, pole_mass upper",
    )
    for edge, name, truth in ((cart, "cart_mass", 8.0), (pole, "pole_mass", 6.0)):
        assert edge.estimate is not None
        assert edge.rejected_from is not None
        until, start = dict(edge.accepted_until)[name], dict(edge.rejected_from)[name]
        assert truth - 1 <= until <= truth < start <= truth + 1
        assert until <= dict(edge.estimate)[name] <= start
    assert cart.accepted_until == report.environments[1].point
    assert report.margin == pytest.approx(25, abs=1)
    assert {probe.outcome for probe in report.probes} == {Outcome.SURVIVED, Outcome.KILLED}
    assert all(report.accepted(probe) is (probe.outcome is Outcome.SURVIVED) for probe in report.probes)


def test_search_and_verdicts_share_no_episode(tmp_path: Path) -> None:
    resolved = campaign()
    report, populations = searched(resolved, tmp_path)
    healthy, moved = populations.healthy, report.environments[1].point
    assert len(healthy.rewards_at(moved, "boundary")) == 8
    assert healthy.rewards_at(moved) == {}
    (agent, *_) = healthy.agents.values()
    verdicts, search = (resolved.evaluation_of(agent, START, purpose) for purpose in ("verdicts", "boundary"))
    assert verdicts.seed == 420
    assert search.seed == 420 + BOUNDARY_SEEDS
    assert verdicts.address() != search.address()


def test_the_seeds_of_the_search_stay_seeds_and_apart_whatever_those_of_the_verdicts() -> None:
    for seed in (0, 420, 2**31 - 1):
        resolved = campaign(evaluation={"seed": seed, "episodes": 100})
        (agent, *_) = (resolved.agent(resolved.healthy, number) for number in resolved.seeds)
        other = resolved.evaluation_of(agent, START, "boundary").seed
        assert 0 <= other < 2**31
        assert abs(other - seed) > 10**8


def test_healthy_agents_that_are_not_equivalent_to_themselves_stop_the_search(tmp_path: Path) -> None:
    report, _ = searched(campaign(), tmp_path, "evaluate_by_seed")
    assert [place.kind for place in report.environments] == ["initial"]
    assert [probe.point for probe in report.probes] == [START]
    (warning,) = report.warnings
    assert warning.startswith(
        "The healthy agents, evaluated again in the initial environment on other episodes, are not"
    )
    assert "Nothing was searched" in warning


def test_where_nothing_is_shown_no_environment_is_added_and_the_note_says_what_would_show_it(tmp_path: Path) -> None:
    report, _ = searched(campaign(), tmp_path, "evaluate_noisily")
    assert [place.kind for place in report.environments] == ["initial"]
    assert any("agents, a margin above" in warning for warning in report.warnings)
    assert any("points are unknown" in warning for warning in report.warnings)
    assert {report.answer(probe) for probe in report.probes} >= {"unknown", "rejected"}


def test_three_agents_search_nothing_and_say_why(tmp_path: Path) -> None:
    report, _ = searched(campaign(seeds=3), tmp_path)
    assert len(report.environments) == 1
    assert "(3 agents; at least 4 are needed)" in report.warnings[0]


def test_the_published_rule_is_a_search_by_a_kill_test_on_the_episodes_of_the_verdicts(tmp_path: Path) -> None:
    kill_test = "reward_distribution"
    resolved = campaign(kill_tests=[kill_test], boundary={"tests": [kill_test], "precision": {"pole_mass": 1}})
    report, populations = searched(resolved, tmp_path, test=kill_test)
    assert report.by_kill_test
    assert report.edges == ()
    assert len(populations.healthy.rewards_at(report.environments[1].point)) == 8
    assert populations.healthy.rewards_at(report.environments[1].point, "boundary") == {}
    assert report.probes[1].point == (("cart_mass", 20.0), ("pole_mass", 0.1))  # the limit first, no scan
    assert len(report.probes) < 30


def test_a_search_is_the_same_bits_again(tmp_path: Path) -> None:
    first, _ = searched(campaign(), tmp_path / "a")
    second, _ = searched(campaign(boundary={"precision": {"cart_mass": 1, "pole_mass": 1}, "scan": 4}), tmp_path / "b")
    assert first == second
