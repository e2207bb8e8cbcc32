"""Whole campaigns on a fake world with a known boundary: what is found, what is reused, what stops."""

from __future__ import annotations

import dataclasses
import itertools
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from envsearch.errors import CorruptArtifactError, InputError
from mutations.folding import mutate
from mutations.killing.kill_test import Outcome
from mutations.parsing import parse_mutant
from orchestration.campaign.folder import CampaignFolder
from orchestration.campaign.result import CampaignResult, MutantVerdict
from orchestration.campaign.result_file import read_result, result_json, result_tables
from orchestration.campaign.run import CampaignRun, RunSettings, run_campaign
from orchestration.campaign.spec.campaign import ResolvedCampaign
from orchestration.campaign.spec.loading import parse_spec
from orchestration.campaign.spec.resolving import resolve
from orchestration.execution.block_progress import ProgressCallback
from orchestration.execution.executors.inline import InlineExecutor
from orchestration.execution.tasks import TaskFunctions
from orchestration.execution.work import BlockReport, WorkBlock
from tests.fakes.fake_engine import use_fake_engine

FUNCTIONS = TaskFunctions(evaluate="fake_campaign:evaluate")
SPEC: dict[str, Any] = {
    "environment": "CartPole-v1",
    "algorithm": "ppo",
    "seeds": 10,
    "steps": 200,
    "operators": ["NDF", "NR", "POC_SGD", "MTS"],
    "engine": "fake",
}


def fake_world(patch: pytest.MonkeyPatch) -> None:
    """The fake engine in the table; no waiting for the disk (durability is tested with the stores)."""
    use_fake_engine(patch)
    patch.setattr(os, "fsync", lambda descriptor: None)


def small_report(result: CampaignResult, folder: Path) -> Path:
    """In place of the real report, which is tested on its own."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.html").write_text(result.run_id, encoding="utf-8")
    return folder / "report.html"


@pytest.fixture(autouse=True)
def _fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_world(monkeypatch)
    monkeypatch.setattr("orchestration.campaign.run.write_report", small_report)


def campaign(**changes: Any) -> ResolvedCampaign:
    return resolve(parse_spec({**SPEC, **changes}, name="fake"))


def run(resolved: ResolvedCampaign, home: Path, make: Callable[[], Any] | None = None) -> CampaignRun:
    settings = RunSettings(home=home, tracking_uri="none", progress="silent")
    return run_campaign(resolved, settings, make or (lambda: InlineExecutor(FUNCTIONS)))


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CampaignRun]:
    """The whole fake campaign, run once, with its real report."""
    with pytest.MonkeyPatch.context() as patch:
        fake_world(patch)
        yield run(campaign(), tmp_path_factory.mktemp("home"))


@pytest.fixture
def complete(done: CampaignRun) -> CampaignResult:
    return done.result


@pytest.fixture
def home(done: CampaignRun, tmp_path: Path) -> Path:
    """A copy of the home in which the campaign ran."""
    shutil.copytree(done.folder.parents[1], tmp_path / "home")
    return tmp_path / "home"


def outcomes(entries: Iterable[MutantVerdict]) -> dict[str, list[str]]:
    by_mutant: dict[str, list[str]] = {}
    for entry in entries:
        assert entry.verdict.outcome is not None
        by_mutant.setdefault(entry.mutant, []).append(entry.verdict.outcome.value)
    return by_mutant


class Shuffled(InlineExecutor):
    """Runs every phase's blocks backwards, as if cores raced."""

    slots = 3

    def run(
        self, blocks: Iterable[WorkBlock], store_url: str, progress: ProgressCallback | None = None
    ) -> Iterator[BlockReport]:
        return super().run(list(blocks)[::-1], store_url, progress)


class Interrupted(InlineExecutor):
    """Ends like Ctrl-C after some blocks."""

    def __init__(self, after: int) -> None:
        super().__init__(FUNCTIONS)
        self.left = after

    def run(
        self, blocks: Iterable[WorkBlock], store_url: str, progress: ProgressCallback | None = None
    ) -> Iterator[BlockReport]:
        for report in super().run(blocks, store_url, progress):
            self.left -= 1
            yield report
            if self.left <= 0:
                raise KeyboardInterrupt


class Forbidden(InlineExecutor):
    """Nothing may be computed."""

    def run(
        self, blocks: Iterable[WorkBlock], store_url: str, progress: ProgressCallback | None = None
    ) -> Iterator[BlockReport]:
        assert not list(blocks), "something was computed again"
        return iter(())


def test_populations(complete: CampaignResult) -> None:
    assert complete.status == "complete"
    assert [population.mutant for population in complete.populations] == [
        "Healthy",
        "NDF",
        "NR",
        "POC_SGD",
        "MTS",
        "NDF-POC_SGD",
    ]
    for population in complete.populations:
        assert population.seeds == tuple(range(10))
        assert (population.train_seconds, population.cpu_seconds) == (5.0, 2.5)
        assert population.curve is not None
        assert len(population.curve.steps) == len(population.curve.mean)
    healthy = complete.populations[0]
    assert all(500 <= reward <= 508 for reward in healthy.rewards)


def test_best_checkpoints_have_their_step(complete: CampaignResult, tmp_path: Path) -> None:
    chosen = run(campaign(agent={"select": "best"}, operators=["NDF"], boundary={"enabled": False}), tmp_path)
    assert {population.selected_steps for population in chosen.result.populations} == {(200,) * 10}
    assert {population.selected_steps for population in complete.populations} == {()}


def test_a_mutant_that_is_not_live_gets_no_verdict(complete: CampaignResult) -> None:
    dead = next(population for population in complete.populations if population.mutant == "MTS")
    assert dead.identical_seeds == dead.seeds
    assert "MTS" not in {entry.mutant for entry in (*complete.verdicts, *complete.kill_matrix)}
    assert sum("MTS is not live" in note for note in complete.notes) == 1
    assert all("MTS" not in (*score.killed, *score.never_killed) for score in complete.scores)


def test_initial_verdicts(complete: CampaignResult) -> None:
    by_mutant = outcomes(complete.verdicts)
    assert by_mutant["NR"] == ["killed"]
    assert set(by_mutant) == {"NDF", "NR", "POC_SGD", "NDF-POC_SGD"}
    assert by_mutant["NDF"] != ["killed"]
    assert by_mutant["POC_SGD"] != ["killed"]


def test_boundary_environments_are_at_the_edge(complete: CampaignResult) -> None:
    (report,) = complete.boundaries
    kinds = [environment.kind for environment in report.environments]
    assert kinds == ["initial", "axis", "axis", "corner"]
    axis = {name: value for place in report.environments[1:3] for name, value in place.point if value not in (1.0, 0.1)}
    assert 7.5 <= axis["cart_mass"] <= 8.0
    assert 5.9 <= axis["pole_mass"] <= 6.0
    assert all(probe.healthy_mean > 0 for probe in report.probes)


def test_kill_matrix_compares_within_each_environment(complete: CampaignResult) -> None:
    by_mutant = outcomes(complete.kill_matrix)
    assert by_mutant["NR"] == ["killed"] * 4
    killed = {mutant: [outcome == "killed" for outcome in row] for mutant, row in by_mutant.items()}
    assert killed["NDF"] == [False, True, False, True]
    assert killed["POC_SGD"] == [False, False, True, True]
    assert killed["NDF-POC_SGD"] == [False, True, True, True]


def test_higher_order_and_score(complete: CampaignResult) -> None:
    (row,) = complete.higher_order
    assert (row.mutant, row.constituents) == ("NDF-POC_SGD", ("NDF", "POC_SGD"))
    assert row.property_strict == "Non-subsuming"
    (score,) = complete.scores
    assert score.mutation_score == 1.0
    assert score.trivial == ("NR",)
    assert len(score.minimal_environments) == 1
    assert complete.published
    assert complete.provenance["versions"]["numpy"]


def test_same_spec_same_bytes(complete: CampaignResult, tmp_path: Path) -> None:
    again = run(campaign(), tmp_path, lambda: Shuffled(FUNCTIONS)).result
    assert result_tables(again) == result_tables(complete)


def test_interrupted_anywhere_gives_the_same_and_keeps_what_is_finished(
    complete: CampaignResult, tmp_path: Path
) -> None:
    seen: dict[Path, tuple[int, int]] = {}
    for after in itertools.count(7, 17):
        try:
            result = run(campaign(), tmp_path, partial(Interrupted, after)).result
        except KeyboardInterrupt:
            files = {path: path.stat() for path in (tmp_path / "store").rglob("*") if path.is_file()}
            now = {path: (status.st_mtime_ns, status.st_ino) for path, status in files.items()}
            assert seen.items() <= now.items()
            assert len(now) > len(seen)
            seen = now
            continue
        break
    assert len(seen) > 100
    assert result_tables(result) == result_tables(complete)
    assert result.provenance["cost"]["items_found_in_store"] > 0


def test_a_finished_campaign_computes_nothing(done: CampaignRun, home: Path) -> None:
    again = run(campaign(name="renamed"), home, lambda: Forbidden(FUNCTIONS))
    assert again.folder.name == done.folder.name
    assert result_tables(again.result) == result_tables(done.result)
    assert again.result.provenance["cost"]["items_computed_this_run"] == 0


def test_other_campaigns_share_agents_and_evaluations(home: Path) -> None:
    asked = campaign(kill_tests=["reward_distribution"], boundary={"enabled": False}, operators=["NR", "NDF"])
    assert asked.run_id != campaign().run_id
    assert run(asked, home, lambda: Forbidden(FUNCTIONS)).result.status == "complete"


def test_files_of_a_campaign(done: CampaignRun) -> None:
    names = {path.name for path in done.folder.iterdir()}
    assert names == {"spec.yaml", "result.json", "report", "log", "lock"}
    assert "POC_SGD" in done.report.read_text(encoding="utf-8")
    assert read_result(done.folder / "result.json") == done.result
    assert done.folder.parts[-2:] == ("campaigns", campaign().run_id)
    assert "complete" in (done.folder / "log").read_text(encoding="utf-8")


def test_failed_agents_are_left_out_on_both_sides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_FAILS", "2,5")
    result = run(campaign(operators=["NR", "MSU"], kill_tests=["paired_permutation"]), tmp_path).result
    population = next(population for population in result.populations if population.mutant == "MSU")
    assert [seed for seed, _ in population.failed] == [2, 5]
    assert all("ZeroDivisionError" in reason for _, reason in population.failed)
    (entry,) = (entry for entry in result.verdicts if entry.mutant == "MSU")
    assert (entry.verdict.n_healthy, entry.verdict.n_mutant) == (8, 8)
    assert any("MSU: the jobs of 2 of 10 agents failed (seed 2: ZeroDivisionError" in note for note in result.notes)


def test_the_default_test_keeps_all_agents_of_either_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_FAILS", "2,5")
    result = run(campaign(operators=["NR", "MSU"]), tmp_path).result
    (entry,) = (entry for entry in result.verdicts if entry.mutant == "MSU")
    assert (entry.verdict.test, entry.verdict.n_healthy, entry.verdict.n_mutant) == ("margin_permutation", 10, 8)


def test_a_population_that_dies_is_killed_everywhere_and_its_dead_are_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_DEAD", ",".join(map(str, range(10))))
    tests = ["margin_permutation", "paired_permutation"]
    result = run(campaign(operators=["NR", "MSU"], kill_tests=tests), tmp_path).result
    dead = next(population for population in result.populations if population.mutant == "MSU")
    assert (dead.dead, dead.seeds, dead.failed, dead.curve) == (tuple(range(10)), (), (), None)
    cells = [entry.verdict for entry in (*result.verdicts, *result.kill_matrix) if entry.mutant == "MSU"]
    assert len(cells) > 4
    assert {verdict.outcome for verdict in cells} == {Outcome.KILLED}
    assert all(verdict.reason.startswith("killed by crash: all 10 agents died") for verdict in cells)
    assert any(note.startswith("MSU: 10 of 10 agents are dead (first seed 0)") for note in result.notes)
    assert [score.killed for score in result.scores] == [("NR", "MSU")] * 2
    assert read_result(tmp_path / "campaigns" / result.run_id / "result.json") == result


def test_too_few_seeds_are_inconclusive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_FAILS", "0,1,2,3")
    result = run(campaign(operators=["NR", "MSU"]), tmp_path).result
    (entry,) = (entry for entry in result.verdicts if entry.mutant == "MSU")
    assert entry.verdict.outcome is Outcome.INCONCLUSIVE
    assert entry.verdict.reason == "only 6 of 10 agents are left on one side"
    assert outcomes(result.verdicts)["NR"] == ["killed"]


def test_failed_agents_are_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_FAILS", "0,1")
    run(campaign(operators=["MSU"]), tmp_path)
    monkeypatch.delenv("FAKE_FAILS")
    result = run(campaign(operators=["MSU"]), tmp_path).result
    assert result.populations[1].failed == ()
    assert len(result.populations[1].seeds) == 10


def test_weak_healthy_population_stops_the_campaign(tmp_path: Path) -> None:
    done = run(campaign(sanity={"threshold": 600}), tmp_path)
    assert done.result.status == "stopped"
    assert done.result.stop_reason.startswith("Healthy population too weak: mean reward 50")
    assert "threshold 600" in done.result.stop_reason
    assert [population.mutant for population in done.result.populations] == ["Healthy"]
    assert done.result.verdicts == ()
    assert done.report.exists()


def test_weak_healthy_population_may_be_a_warning(tmp_path: Path) -> None:
    result = run(campaign(sanity={"threshold": 600, "on_failure": "warn"}), tmp_path).result
    assert result.status == "complete"
    assert any(note.startswith("Healthy population too weak") for note in result.notes)


def test_many_cores_train_mutants_together_with_the_healthy(tmp_path: Path, complete: CampaignResult) -> None:
    class Wide(InlineExecutor):
        slots = 64

    assert result_tables(run(campaign(), tmp_path, lambda: Wide(FUNCTIONS)).result) == result_tables(complete)


def test_several_tests_each_in_their_own_environments(home: Path) -> None:
    tests = ["average_ratio", "reward_distribution", "paired_permutation"]
    result = run(campaign(kill_tests=tests, boundary={"tests": ["paired_permutation"]}), home).result
    assert {entry.verdict.test for entry in result.verdicts} == set(tests)
    assert [report.test for report in result.boundaries] == ["paired_permutation"]
    columns: dict[str, set[Any]] = {}
    for entry in result.kill_matrix:
        columns.setdefault(entry.verdict.test, set()).add(entry.environment)
    assert set(columns) == {"reward_distribution", "paired_permutation"}
    assert columns["reward_distribution"] == columns["paired_permutation"]


def test_a_candidate_that_the_engine_declines_is_left_out_with_its_reason(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fake_campaign

    resolved = campaign()
    declined = mutate(resolved.healthy, parse_mutant("NDF-POC_SGD"))
    monkeypatch.setattr(
        fake_campaign.FakeEngine, "objection", lambda self, recipe: "too odd" if recipe == declined else None
    )
    result = run(resolved, home, lambda: Forbidden(FUNCTIONS)).result
    assert "Candidate NDF-POC_SGD was left out: engine fake cannot train it (too odd)." in result.notes
    assert result.higher_order == ()
    assert not any(population.failed for population in result.populations)


def test_explicit_and_bounded_higher_order(home: Path) -> None:
    result = run(campaign(higher_order={"mutants": ["NR-NDF"], "maximum": 0}), home).result
    assert [row.mutant for row in result.higher_order] == ["NDF-NR"]
    assert any("NDF-POC_SGD was left out: higher_order.maximum is 0" in note for note in result.notes)
    assert run(campaign(higher_order={"enabled": False}), home, lambda: Forbidden(FUNCTIONS)).result.higher_order == ()


def test_without_boundary_search(home: Path) -> None:
    result = run(campaign(boundary={"enabled": False}), home, lambda: Forbidden(FUNCTIONS)).result
    assert result.boundaries == ()
    assert {entry.environment for entry in result.kill_matrix} == {campaign().initial_point}
    assert any(note.startswith("No higher-order mutants") for note in result.notes)


def test_a_campaign_runs_once_at_a_time(home: Path) -> None:
    folder = CampaignFolder(home, campaign().run_id)
    with folder.locked(), pytest.raises(InputError) as caught:
        run(campaign(), home)
    assert str(caught.value) == f"{folder.path}: campaign {folder.run_id} is already running (process {os.getpid()})"
    assert run(campaign(), home, lambda: Forbidden(FUNCTIONS)).result.status == "complete"


def test_results_survive_json(complete: CampaignResult, tmp_path: Path) -> None:
    first = complete.verdicts[0]
    odd = dataclasses.replace(first.verdict, effect_size=float("inf"), statistic=float("-inf"))
    result = dataclasses.replace(complete, verdicts=(dataclasses.replace(first, verdict=odd), *complete.verdicts[1:]))
    path = tmp_path / "result.json"
    path.write_text(result_json(result), encoding="utf-8")
    assert read_result(path) == result
    for text in ("{", '{"run_id": 1}', ""):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(CorruptArtifactError, match=str(path)):
            read_result(path)
