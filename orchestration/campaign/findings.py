"""What a running campaign has found so far: its steps read it and add to it."""

from __future__ import annotations

from dataclasses import dataclass, field

from orchestration.campaign.magnitude_curve import MagnitudeCurve
from orchestration.campaign.population import Population, Populations
from orchestration.campaign.result import (
    BoundaryReport,
    ErrorControlResult,
    HigherOrderResult,
    MutantVerdict,
    ScoreResult,
)
from orchestration.campaign.spec.campaign import ResolvedCampaign


@dataclass
class Findings:
    """What a campaign has found so far.

    Attributes:
        populations: all of the campaign's.
        notes: sentences for the reader.
        trained: populations to report, in order.
        live: first-order mutants that differ from healthy agents and from each other.
        tests: kill tests that give outcomes, in the spec's order.
        verdicts: in the initial environment; like the two matrices without correction, until all is judged.
        first_order: the kill matrix of the first-order mutants.
        above_first_order: the kill matrix of the higher-order mutants.
        same_agents: mutant that is not counted -> the mutant whose agents it has, bit for bit.
        higher_order: properties of the higher-order mutants.
        error_control: how the verdicts were corrected; None until they are.
        curves: of the sweeps over magnitudes.
        stop_reason: why the campaign cannot go on; empty while it can.
    """

    populations: Populations
    notes: list[str] = field(default_factory=list)
    trained: list[Population] = field(default_factory=list)
    live: list[Population] = field(default_factory=list)
    tests: list[str] = field(default_factory=list)
    verdicts: list[MutantVerdict] = field(default_factory=list)
    boundaries: list[BoundaryReport] = field(default_factory=list)
    first_order: list[MutantVerdict] = field(default_factory=list)
    above_first_order: list[MutantVerdict] = field(default_factory=list)
    same_agents: dict[str, str] = field(default_factory=dict)
    higher_order: list[HigherOrderResult] = field(default_factory=list)
    error_control: ErrorControlResult | None = None
    curves: list[MagnitudeCurve] = field(default_factory=list)
    scores: tuple[ScoreResult, ...] = ()
    stop_reason: str = ""

    @property
    def campaign(self) -> ResolvedCampaign:
        """The campaign that runs."""
        return self.populations.campaign
