"""What a campaign will do and cost, before it does it.

What is in the store is counted as done. Where later phases depend on results that exist already, they are counted
exactly; otherwise the published counts bound them (source: Tambon et al., ICST 2023, boundary search: per axis side
1 + ceil(log2(length / precision)) evaluations of the healthy population, per corner the same along the diagonal).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from orchestration.campaign.calibration import Costs
from orchestration.campaign.context import RunContext
from orchestration.campaign.findings import Findings
from orchestration.campaign.pipeline import (
    environments_of,
    judge_first_order,
    judge_initially,
    keep_live,
    search_boundaries,
    train_mutants,
)
from orchestration.campaign.population import Population, Populations, seed_by_seed
from orchestration.campaign.result import EQUIVALENCE, Point
from orchestration.campaign.search_bounds import most_answers, most_environments
from orchestration.campaign.spec.campaign import EvaluationPurpose, ResolvedCampaign
from orchestration.campaign.steps import sanity
from orchestration.campaign.steps.higher_order import chosen_mutants
from orchestration.execution.executors.inline import InlineExecutor
from orchestration.execution.results import ResultStore
from orchestration.execution.work import AgentKey, EvaluationKey, WorkBlock
from orchestration.runtime.progress import Progress


@dataclass(frozen=True, slots=True)
class PlannedPhase:
    """One phase.

    Attributes:
        items: trainings or evaluations (one agent at one point), the finished ones included.
        done: those in the store.
        cpu_seconds: CPU time predicted for the rest.
        bound: whether `items` is an upper bound, because results decide how many there are.
        fewest: the fewest items there can be, where that is known of a bound.
    """

    phase: str
    items: int
    done: int
    cpu_seconds: float
    bound: bool = False
    fewest: int | None = None

    @property
    def fewest_cpu_seconds(self) -> float:
        """Predicted for the rest, if no more than the fewest items are needed."""
        if self.fewest is None or self.items == self.done:
            return self.cpu_seconds
        return self.cpu_seconds * max(0, self.fewest - self.done) / (self.items - self.done)


@dataclass(frozen=True, slots=True)
class CampaignPlan:
    """The phases, what they cost, and what cannot be predicted yet.

    Attributes:
        cores: cores that the wall time is predicted for.
    """

    run_id: str
    name: str
    phases: tuple[PlannedPhase, ...]
    costs: Costs
    cores: int
    notes: tuple[str, ...]

    @property
    def cpu_hours(self) -> float:
        """CPU time predicted for what is left, in total over all cores."""
        return sum(phase.cpu_seconds for phase in self.phases) / 3600.0

    @property
    def fewest_cpu_hours(self) -> float:
        """The same where mutants are decided as early as possible; equal to `cpu_hours` without looks."""
        return sum(phase.fewest_cpu_seconds for phase in self.phases) / 3600.0

    @property
    def wall_hours(self) -> float:
        """Wall time predicted for what is left, on cores that nothing else uses; phases follow one another.

        Each core works on one item at a time, so that a phase cannot use more cores than it has items.
        """
        hours = 0.0
        for phase in self.phases:
            left = phase.items - phase.done
            if left:
                rounds = math.ceil(left / self.cores)
                hours += phase.cpu_seconds / left * rounds / 3600.0
        return hours


_Key = TypeVar("_Key")


class _UnfinishedError(Exception):
    """A result that a later phase depends on is not in the store."""


class _StoredOnly(RunContext):
    """A context in which nothing is computed: a phase with missing items ends the replay."""

    def run(self, phase: str, blocks: Sequence[WorkBlock], earlier: int = 0) -> None:
        if blocks:
            raise _UnfinishedError(phase)


def plan_campaign(campaign: ResolvedCampaign, store: ResultStore, costs: Costs, cores: int) -> CampaignPlan:
    """Count the work items of a campaign and predict their cost."""
    counter, populations = _Counter(store, costs), Populations(campaign, store)
    findings, notes = stored_findings(populations)
    phases = _training(counter, populations, findings)
    if findings is not None and len(findings.boundaries) == len(campaign.boundary.tests):
        phases += _known_search(counter, findings)
    else:
        phases += _bounded_search(counter, campaign)
    phases += _higher_order(counter, populations, findings)
    swept = populations.swept if campaign.looks is None else populations.in_sweeps
    if swept:
        phases += [
            counter.trainings("train magnitudes", swept),
            counter.evaluations("evaluate magnitudes", swept, [campaign.initial_point]),
        ]
    all_notes = filter(None, (campaign.engine_choice, *costs.notes, *notes))
    return CampaignPlan(campaign.run_id, campaign.name, tuple(phases), costs, cores, tuple(all_notes))


def stored_findings(populations: Populations) -> tuple[Findings | None, list[str]]:
    """What the store's results say without computing anything, as far as they go, and what they cannot say."""
    store = populations.store
    context, findings = _StoredOnly(InlineExecutor(), store, Progress("silent")), Findings(populations)
    later = [f"{name} are known once the earlier phases are done." for name in _later(populations.campaign)]
    if not _stored_training(context, findings):
        return None, later
    try:
        judge_initially(context, findings)
        search_boundaries(context, findings)
        judge_first_order(context, findings)
    except _UnfinishedError:
        findings.first_order = []
        return findings, later
    return findings, list(findings.notes)


def _stored_training(context: RunContext, findings: Findings) -> bool:
    """Whether all agents that the campaign needs are stored; with looks, the stored verdicts say how many that are."""
    populations, looks = findings.populations, findings.campaign.looks
    needed = [populations.healthy, *(populations.first_order if looks is None else [])]
    if not all(context.store.has_agent(agent) for agent in seed_by_seed(needed)):
        return False
    findings.trained = [populations.healthy]
    if looks is None:
        findings.trained += populations.first_order
        keep_live(findings, populations.first_order)
        return True
    try:
        train_mutants(context, findings)
    except _UnfinishedError:
        return False
    return True


def _training(counter: _Counter, populations: Populations, findings: Findings | None) -> list[PlannedPhase]:
    """Training and evaluation in the initial environment; with looks, a range until they are in the store."""
    campaign = populations.campaign
    everybody = [populations.healthy, *(findings.trained[1:] if findings is not None else populations.first_order)]
    phases = [
        counter.trainings("train", everybody),
        counter.evaluations("evaluate", everybody, [campaign.initial_point]),
    ]
    if campaign.looks is None or findings is not None:
        return phases
    fewest = len(campaign.seeds) + campaign.looks.agents[0] * len(populations.first_order)
    return [replace(phase, bound=True, fewest=max(fewest, phase.done)) for phase in phases]


def _later(campaign: ResolvedCampaign) -> list[str]:
    names = [] if campaign.looks is None else ["The agents that the mutants need"]
    names += ["Boundary environments"] if campaign.boundary.tests else []
    return [*names, "Higher-order candidates"] if campaign.higher_order.enabled else names


class _Counter:
    """Counts items, each once over all phases."""

    def __init__(self, store: ResultStore, costs: Costs) -> None:
        self._store = store
        self._costs = costs
        self._seen: set[str] = set()

    def trainings(self, phase: str, populations: Sequence[Population]) -> PlannedPhase:
        new: list[AgentKey] = self._new({key.address(): key for key in seed_by_seed(populations)})
        done = sum(self._store.has_agent(key) for key in new)
        return PlannedPhase(phase, len(new), done, (len(new) - done) * self._costs.train)

    def evaluations(
        self,
        phase: str,
        populations: Sequence[Population],
        points: Sequence[Point],
        purpose: EvaluationPurpose = "verdicts",
    ) -> PlannedPhase:
        keys = [key for population in populations for key in population.evaluations(points, purpose)]
        new: list[EvaluationKey] = self._new({key.address(): key for key in keys})
        done = sum(self._store.has_evaluation(key) for key in new)
        return PlannedPhase(phase, len(new), done, (len(new) - done) * self._costs.evaluation)

    def bounded(self, phase: str, items: int) -> PlannedPhase:
        """Evaluations whose points are not known yet."""
        return PlannedPhase(phase, items, 0, items * self._costs.evaluation, bound=True)

    def _new(self, keys: dict[str, _Key]) -> list[_Key]:
        fresh = [key for address, key in keys.items() if address not in self._seen]
        self._seen.update(keys)
        return fresh


def _known_search(counter: _Counter, findings: Findings) -> list[PlannedPhase]:
    """Search and kill matrix, now that the store holds every answer of the search."""
    healthy = findings.populations.healthy
    phases = []
    for report in findings.boundaries:
        purpose: EvaluationPurpose = "verdicts" if report.by_kill_test else "boundary"
        points = [probe.point for probe in report.probes]
        phases.append(counter.evaluations(f"boundary by {report.test}", [healthy], points, purpose))
    return [*phases, counter.evaluations("kill matrix", [healthy, *findings.live], _points(findings))]


def _points(findings: Findings) -> list[Point]:
    return list(dict.fromkeys(point for points in environments_of(findings).values() for point in points))


def _bounded_search(counter: _Counter, campaign: ResolvedCampaign) -> list[PlannedPhase]:
    tests, agents = campaign.boundary.tests, len(campaign.seeds)
    phases = [counter.bounded(f"boundary by {test}", agents * most_answers(campaign.boundary, test)) for test in tests]
    if tests and campaign.mutants:
        environments = most_environments(campaign.boundary) - 1
        # the healthy agents run fresh episodes in the environments that equivalence chose
        populations = len(tests) * len(campaign.mutants) + (EQUIVALENCE in tests)
        phases.append(counter.bounded("kill matrix", agents * populations * environments))
    return phases


def _higher_order(counter: _Counter, populations: Populations, findings: Findings | None) -> list[PlannedPhase]:
    campaign, judged = populations.campaign, findings if findings is not None and findings.first_order else None
    if judged is not None:
        mutants, _ = chosen_mutants(populations, judged.first_order, judged.tests)
    else:
        mutants = [populations.of(mutant) for mutant in campaign.higher_order.mutants]
    if not mutants:
        return []
    phase, training = "kill matrix, higher order", counter.trainings("train higher order", mutants)
    if judged is not None:
        initially = counter.evaluations("evaluate higher order", mutants, [campaign.initial_point])
        counted = mutants if training.done < training.items else _counted(mutants, judged)
        return [training, initially, counter.evaluations(phase, counted, _points(judged))]
    places = max(1, len(campaign.boundary.tests) * most_environments(campaign.boundary))
    return [training, counter.bounded(phase, len(mutants) * len(campaign.seeds) * places)]


def _counted(mutants: Sequence[Population], findings: Findings) -> Sequence[Population]:
    """The trained higher-order mutants that are judged."""
    return sanity.counted_mutants(findings.populations.healthy, mutants, findings.live)[0]
