"""What a campaign found, as frozen plain data: reports, tables and MLflow runs are made from it alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mutations.killing.kill_test import KillVerdict, Outcome
from mutations.score import ScoreUncertainty
from orchestration.campaign.magnitude_curve import MagnitudeCurve

Point = tuple[tuple[str, float], ...]
"""(parameter, value) pairs of one environment."""


@dataclass(frozen=True, slots=True)
class LearningCurve:
    """Training return over steps, summarised over the agents of a population on a common grid of steps."""

    steps: tuple[float, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


def total(seconds: Sequence[float | None]) -> float | None:
    """The sum; None if one is not known."""
    known = [value for value in seconds if value is not None]
    return sum(known) if len(known) == len(seconds) else None


@dataclass(frozen=True, slots=True)
class PopulationResult:
    """One population in the initial environment.

    Attributes:
        mutant: its id (``Healthy``, ``NDF``, ``NDF-MTS``).
        seeds: agents that were trained and evaluated and are not dead, in order.
        rewards: mean reward per agent over the evaluation episodes, same order.
        failed: (seed, last line of its traceback) of agents whose job failed; they are missing data.
        dead: seeds of agents whose weights or rewards are not finite; they are the worst agents there can be.
        identical_seeds: seeds whose weights equal the same-seed healthy agent's; a live mutant has few or none.
        train_seconds: wall time of the trainings, summed over agents.
        selected_steps: training step at which each judged model was taken, in the order of `seeds`; empty where the
            final model is judged (and in results from before 0.2.0).
        same_agents_as: the mutant whose agents these are, bit for bit; it is counted, and has the verdicts of both.
        cpu_seconds: CPU time of the trainings, summed over agents; None where 0.1.0 trained one of them.
    """

    mutant: str
    order: int
    seeds: tuple[int, ...]
    rewards: tuple[float, ...]
    failed: tuple[tuple[int, str], ...]
    identical_seeds: tuple[int, ...]
    curve: LearningCurve | None
    train_seconds: float
    recipe_address: str
    dead: tuple[int, ...] = ()
    selected_steps: tuple[int, ...] = ()
    cpu_seconds: float | None = None
    same_agents_as: str = ""


@dataclass(frozen=True, slots=True)
class MutantVerdict:
    """One kill test's word on one mutant in one environment."""

    mutant: str
    environment: Point
    verdict: KillVerdict


@dataclass(frozen=True, slots=True)
class BoundaryProbe:
    """One point that the boundary search evaluated.

    Attributes:
        outcome: survived: accepted, the same behaviour. killed: rejected, another behaviour. inconclusive: unknown,
            which the published rule takes as accepted and the rule of equivalence does not.
        difference, low, high: of the healthy agents' mean rewards, here - initial, with the 90 % interval that decides.
        newly_collapsed: share of the agents that are collapsed here and were not in the initial environment.
    """

    point: Point
    outcome: Outcome
    healthy_mean: float
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    newly_collapsed: float | None = None


@dataclass(frozen=True, slots=True)
class BoundaryEnvironment:
    """One environment at the edge of normal behaviour; `kind` is initial, axis or corner."""

    kind: str
    point: Point


@dataclass(frozen=True, slots=True)
class BoundaryEdge:
    """The edge of normal behaviour in one direction.

    Attributes:
        label: ``cart_mass upper``; for a corner both sides.
        kind: axis or corner.
        estimate: where the mean difference over the agents leaves the margin; None: beyond the limit.
        low, high: its 95 % interval over agents; None: beyond the limit.
        accepted_until: the furthest point before the edge where the same behaviour is shown, else the initial one.
        rejected_from: the nearest point where a difference beyond the margin is shown; None if there is none.
    """

    label: str
    kind: str
    estimate: Point | None
    low: Point | None
    high: Point | None
    accepted_until: Point
    rejected_from: Point | None


EQUIVALENCE = "equivalence"
"""Name of the search that needs no kill test."""


@dataclass(frozen=True, slots=True)
class BoundaryReport:
    """One boundary search.

    Attributes:
        test: ``equivalence``, or the kill test that searched by the published rule.
        environments: the test environments found, the initial one included, in a fixed order.
        probes: every point evaluated, in order.
        warnings: non-monotonicities and other doubts, one sentence each.
        edges: one per direction; none of a search by a kill test.
        margin: the largest difference of the mean rewards that counts as the same behaviour, in units of reward; None
            for a search by a kill test.
    """

    test: str
    environments: tuple[BoundaryEnvironment, ...]
    probes: tuple[BoundaryProbe, ...]
    warnings: tuple[str, ...]
    edges: tuple[BoundaryEdge, ...] = ()
    margin: float | None = None

    @property
    def by_kill_test(self) -> bool:
        """Whether a kill test searched, by the published rule: what is inconclusive counts as accepted."""
        return self.test != EQUIVALENCE

    def accepted(self, probe: BoundaryProbe) -> bool:
        """Whether the search took a point as normal behaviour."""
        return probe.outcome is Outcome.SURVIVED or (self.by_kill_test and probe.outcome is Outcome.INCONCLUSIVE)

    def answer(self, probe: BoundaryProbe) -> str:
        """For tables and pictures: accepted, rejected or unknown."""
        if self.accepted(probe):
            return "accepted"
        return "rejected" if probe.outcome is Outcome.KILLED else "unknown"


@dataclass(frozen=True, slots=True)
class HigherOrderResult:
    """One higher-order mutant under one kill test."""

    test: str
    mutant: str
    constituents: tuple[str, ...]
    property_published: str
    property_strict: str


@dataclass(frozen=True, slots=True)
class ScoreResult:
    """How good the set of test environments is, by one kill test (first-order mutants).

    Attributes:
        mutation_score: killed mutants / all live mutants, those with the same agents counted once; inconclusive ones
            are in neither part of the numerator.
        trivial: killed in every environment. never_killed: conclusively or not, killed in none.
        inconclusive: killed in none and inconclusive in at least one.
        minimal_environments: smallest subset of environments with the same kills.
        possible_score: the score if every mutant of `inconclusive` were killed; None in results before 0.2.0.
        uncertainty: None for a test that cannot judge replicates, and in results before 0.2.0.
    """

    test: str
    mutation_score: float
    killed: tuple[str, ...]
    trivial: tuple[str, ...]
    never_killed: tuple[str, ...]
    inconclusive: tuple[str, ...]
    minimal_environments: tuple[Point, ...]
    possible_score: float | None = None
    uncertainty: ScoreUncertainty | None = None


@dataclass(frozen=True, slots=True)
class ErrorControlResult:
    """How the verdicts were corrected for their number.

    Attributes:
        control: name in the table of error controls. method: whose procedure it is.
        comparisons: size of the family: all that corrected tests judged, of any mutant in any environment.
        kills: comparisons of the family that are killed after correction.
    """

    control: str
    method: str
    comparisons: int
    kills: int


@dataclass(frozen=True, slots=True)
class CampaignResult:
    """Everything one campaign found.

    Attributes:
        status: ``complete``, or ``stopped`` (then `stop_reason` says why and what to change).
        notes: what the reader must know (accepted names, missing agents, chosen engines).
        parameters: names of the environment's parameters.
        kill_matrix: verdicts of mutants x boundary environments for every test, first and higher order.
        published: rows of the side-by-side with the published figures (empty where the pair was not published).
        provenance: versions, platform, seeds, hashes, cost.
        error_control: None in results written before 0.2.0, where each environment was corrected alone.
        magnitude_curves: one per swept operator and kill test; empty in results of version 0.1.
    """

    run_id: str
    name: str
    spec: dict[str, Any]
    status: str
    stop_reason: str
    notes: tuple[str, ...]
    environment: str
    algorithm: str
    parameters: tuple[str, ...]
    threshold: float | None
    populations: tuple[PopulationResult, ...]
    verdicts: tuple[MutantVerdict, ...]
    boundaries: tuple[BoundaryReport, ...]
    kill_matrix: tuple[MutantVerdict, ...]
    higher_order: tuple[HigherOrderResult, ...]
    scores: tuple[ScoreResult, ...]
    published: tuple[dict[str, Any], ...]
    provenance: dict[str, Any]
    error_control: ErrorControlResult | None = None
    magnitude_curves: tuple[MagnitudeCurve, ...] = ()
