"""Seeds as needed in whole campaigns: who stops where, the same bits again, resumption, plans."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mutations.killing.kill_test import KillVerdict, Outcome
from mutations.killing.sequential_looks import Looks
from mutations.parsing import parse_mutant
from orchestration.campaign.calibration import Costs
from orchestration.campaign.context import RunContext
from orchestration.campaign.plan import CampaignPlan, plan_campaign
from orchestration.campaign.population import Populations, seed_by_seed
from orchestration.campaign.result import CampaignResult, MutantVerdict
from orchestration.campaign.run import RunSettings, run_campaign
from orchestration.campaign.spec.campaign import ResolvedCampaign
from orchestration.campaign.spec.loading import parse_spec
from orchestration.campaign.spec.resolving import resolve
from orchestration.campaign.steps.sequential_training import reopened, saving
from orchestration.execution.executors.inline import InlineExecutor
from orchestration.execution.results import ResultStore
from orchestration.execution.tasks import TaskFunctions
from orchestration.runtime.progress import Progress
from tests.fakes.fake_engine import use_fake_engine

FUNCTIONS = TaskFunctions(evaluate="fake_campaign:evaluate")
SPEC: dict[str, Any] = {
    "environment": "CartPole-v1",
    "algorithm": "ppo",
    "seeds": {"looks": [6, 8, 12]},
    "steps": 200,
    "operators": ["NDF", "NR", "MTS", "POC_SGD"],  # fragile in cart mass, bad everywhere, not live, fragile elsewhere
    "engine": "fake",
    "boundary": {"precision": {"cart_mass": 2.0, "pole_mass": 2.0}},
}
COSTS = Costs(train=10.0, evaluation=0.5, source="measured")


@pytest.fixture(autouse=True)
def _fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    use_fake_engine(monkeypatch)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def campaign(**changes: Any) -> ResolvedCampaign:
    return resolve(parse_spec({**SPEC, **changes}, name="looks"))


def run(resolved: ResolvedCampaign, home: Path, make: Callable[[], Any] | None = None) -> CampaignResult:
    settings = RunSettings(home=home, tracking_uri="none", progress="silent")
    return run_campaign(resolved, settings, make or (lambda: InlineExecutor(FUNCTIONS))).result


def agents(result: CampaignResult) -> dict[str, int]:
    return {population.mutant: len(population.seeds) for population in result.populations}


def test_decided_mutants_stop_and_the_others_go_on(tmp_path: Path) -> None:
    result = run(campaign(), tmp_path)
    assert result.status == "complete"
    counts = agents(result)
    assert counts["Healthy"] == 12
    assert (counts["NR"], counts["MTS"]) == (6, 6)  # killed at the first look; not live
    assert (counts["NDF"], counts["POC_SGD"]) == (12, 12)  # neither killed nor shown to be equivalent
    initial = {entry.mutant: entry.verdict for entry in result.verdicts}
    assert (initial["NR"].outcome, initial["NR"].n_healthy, initial["NR"].n_mutant) == (Outcome.KILLED, 12, 6)
    assert initial["NR"].level_share == Looks((6, 8, 12)).share(6)
    assert (initial["NDF"].outcome, initial["NDF"].n_mutant) == (Outcome.INCONCLUSIVE, 12)
    assert "MTS" not in initial
    note = next(note for note in result.notes if note.startswith("Seeds as needed"))
    assert "stopped for" in note


def test_other_environments_use_the_agents_there_are(tmp_path: Path) -> None:
    result = run(campaign(), tmp_path)
    sizes = {(entry.mutant, entry.verdict.n_mutant) for entry in result.kill_matrix}
    assert {("NR", 6), ("NDF", 12), ("POC_SGD", 12)} <= sizes
    assert len({entry.environment for entry in result.kill_matrix if entry.mutant == "NR"}) > 1
    shares = {entry.verdict.level_share for entry in result.kill_matrix if entry.mutant == "NR"}
    assert shares == {Looks((6, 8, 12)).share(6)}


def test_wide_margins_let_equivalent_mutants_stop(tmp_path: Path) -> None:
    wide = {"mean": 0.4, "collapsed": 0.4}
    resolved = campaign(
        operators=["NDF", "NR"], margins=wide, seeds={"looks": [12, 20]}, higher_order={"enabled": False}
    )
    result = run(resolved, tmp_path)
    assert agents(result) == {"Healthy": 20, "NDF": 12, "NR": 12}
    assert {entry.verdict.outcome for entry in result.verdicts} == {Outcome.KILLED, Outcome.SURVIVED}


def test_the_same_spec_gives_the_same_result_whatever_is_stored(tmp_path: Path) -> None:
    first = run(campaign(), tmp_path / "first")
    again = run(campaign(), tmp_path / "first")
    run(campaign(seeds=12, kill_tests=["margin_permutation"]), tmp_path / "second")  # everything is stored
    full = run(campaign(), tmp_path / "second")
    assert first.verdicts == again.verdicts == full.verdicts
    assert first.kill_matrix == again.kill_matrix == full.kill_matrix
    assert agents(first) == agents(full)


class Stops(InlineExecutor):
    """Is interrupted after some blocks."""

    def __init__(self, blocks: int) -> None:
        super().__init__(FUNCTIONS)
        self._left = blocks

    def run(self, blocks: Any, store_url: str, progress: Any = None) -> Any:
        for report in super().run(blocks, store_url, progress):
            yield report
            self._left -= 1
            if self._left == 0:
                raise KeyboardInterrupt


@pytest.mark.parametrize("blocks", [5, 20, 45])
def test_an_interrupted_campaign_goes_on_where_it_was(blocks: int, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(campaign(), tmp_path / "interrupted", lambda: Stops(blocks))
    resumed, whole = run(campaign(), tmp_path / "interrupted"), run(campaign(), tmp_path / "whole")
    assert (resumed.verdicts, resumed.kill_matrix) == (whole.verdicts, whole.kill_matrix)
    assert agents(resumed) == agents(whole)


def test_an_interruption_is_said_before_the_executor_is_closed(tmp_path: Path) -> None:
    happened = []

    class Closes(Stops):
        def close(self) -> None:
            happened.append("closed")

    settings = RunSettings(home=tmp_path, tracking_uri="none", progress="silent")
    with pytest.raises(KeyboardInterrupt):
        run_campaign(campaign(), settings, lambda: Closes(5), interrupted=lambda: happened.append("said"))
    assert happened == ["said", "closed"]


def test_many_cores_train_the_first_look_beside_the_healthy_agents(tmp_path: Path) -> None:
    class Wide(InlineExecutor):
        slots = 64

    result = run(campaign(), tmp_path, lambda: Wide(FUNCTIONS))
    assert agents(result)["NR"] == 6


def test_a_curve_needs_all_agents_of_every_magnitude(tmp_path: Path) -> None:
    changes = {"operators": ["NR"], "magnitudes": {"operators": ["NR"]}}
    result = run(campaign(**changes, boundary={"enabled": False}), tmp_path)
    assert agents(result)["NR"] == 6
    points = result.magnitude_curves[0].points
    assert "NR" in {point.mutant for point in points}
    assert {point.agents for point in points} == {12}


# --- plan ------------------------------------------------------------------------------------------------------------


def plan(resolved: ResolvedCampaign, store: ResultStore) -> CampaignPlan:
    return plan_campaign(resolved, store, COSTS, cores=2)


def test_a_plan_gives_the_fewest_and_the_most_trainings(tmp_path: Path) -> None:
    from orchestration.campaign.pipeline import run_steps

    resolved, store = campaign(higher_order={"enabled": False}), ResultStore(str(tmp_path / "store"))
    before = plan(resolved, store)
    train = before.phases[0]
    assert (train.items, train.fewest, train.bound) == (12 + 4 * 12, 12 + 4 * 6, True)
    assert before.fewest_cpu_hours < before.cpu_hours
    assert any(note.startswith("The agents that the mutants need") for note in before.notes)

    context = RunContext(InlineExecutor(FUNCTIONS), store, Progress("silent"))
    run_steps(context, Populations(resolved, store))
    after = plan(resolved, store)
    assert [phase.items - phase.done for phase in after.phases] == [0] * len(after.phases)
    assert (after.phases[0].items, after.phases[0].bound) == (12 + 6 + 6 + 12 + 12, False)
    assert after.fewest_cpu_hours == after.cpu_hours == 0


# --- parts -----------------------------------------------------------------------------------------------------------


def test_more_healthy_agents_than_the_last_look(tmp_path: Path) -> None:
    resolved = campaign(seeds={"looks": [6, 8], "healthy": 15})
    populations = Populations(resolved, ResultStore(str(tmp_path / "store")))
    assert len(populations.healthy.agents) == 15
    assert len(populations.of(parse_mutant("NR", "")).agents) == 8
    assert len(seed_by_seed([populations.first_order[0], populations.healthy])) == 23


def test_the_saving_is_a_sentence(tmp_path: Path) -> None:
    populations = Populations(campaign(), ResultStore(str(tmp_path / "store"))).first_order
    mutants = [populations[0].first(6), populations[1].first(6), populations[2]]
    text = saving(Looks((6, 8, 12)), mutants)
    assert text.startswith("Seeds as needed: of 3 mutants, training stopped for 2 at 6, 1 at 12 agents. 24 of 36 train")
    assert "(67%)" in text


def test_a_kill_that_the_whole_report_does_not_confirm_is_named(
    tmp_path: Path, make_verdict: Callable[[str, Outcome], KillVerdict]
) -> None:
    populations = Populations(campaign(), ResultStore(str(tmp_path / "store"))).first_order
    mutants = [populations[0].first(6), populations[1].first(6), populations[2]]
    outcomes = (Outcome.INCONCLUSIVE, Outcome.KILLED, Outcome.INCONCLUSIVE)
    verdicts = [
        MutantVerdict(mutant.id, (), make_verdict("margin_permutation", outcome))
        for mutant, outcome in zip(mutants, outcomes, strict=True)
    ]
    (note,) = reopened(Looks((6, 8, 12)), mutants, verdicts)
    assert note.startswith("NDF was decided at 6 agents")
