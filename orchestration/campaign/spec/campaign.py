"""A fully resolved campaign: what its steps run, and what its run id is the hash of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from agents.deeprl.engines.base import AgentSelection
from agents.deeprl.recipe import TrainingRecipe
from envsearch.boundary import SCAN
from envsearch.canonical import content_address, plain
from envsearch.spec import EnvironmentSpec, Parameter
from mutations.killing.error_control import DEFAULT_ERROR_CONTROL
from mutations.killing.kill_test import takes_margins
from mutations.killing.margins import Margins
from mutations.killing.registry import kill_test
from mutations.killing.sequential_looks import Looks
from mutations.magnitude_sweep import MagnitudeSweep
from mutations.mutant import Mutant
from orchestration.campaign.result import EQUIVALENCE, Point
from orchestration.execution.work import SEMANTICS, AgentKey, EvaluationKey, EvaluationMethod

EvaluationPurpose = Literal["verdicts", "boundary"]
"""What an evaluation is for: verdicts and the kill matrix, or the search for the environments of that matrix."""

BOUNDARY_SEEDS = 1_000_000_007
"""Distance of the search's episode seeds from those of the verdicts, so that the two share no episode."""


@dataclass(frozen=True, slots=True)
class EvaluationPlan:
    """Deterministic policy; episode e is reset with seed + e; see `EvaluationKey` for `method`."""

    episodes: int
    seed: int
    method: EvaluationMethod = "sb3"


@dataclass(frozen=True, slots=True)
class BoundaryPlan:
    """How the edge of normal behaviour is searched.

    Attributes:
        tests: what searches: ``equivalence``, or a kill test by the published rule; none: no search.
        scan: points of the first round on every axis, for ``equivalence``.
    """

    tests: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    batch: int
    scaling: Literal["per_axis", "published"]
    scan: int = SCAN


@dataclass(frozen=True, slots=True)
class HigherOrderPlan:
    """Which higher-order mutants: all candidates of `order` (at most `maximum`), and the explicit ones."""

    enabled: bool
    order: int
    maximum: int | None
    mutants: tuple[Mutant, ...]


@dataclass(frozen=True, slots=True)
class SanityPlan:
    """What the healthy population must reach before verdicts count; None: nothing."""

    threshold: float | None
    on_failure: Literal["stop", "warn"]


def need_margins(kill_tests: Sequence[str], searches: Sequence[str]) -> bool:
    """Whether a kill test or a boundary search asks which differences matter."""
    return EQUIVALENCE in searches or any(takes_margins(kill_test(name)) for name in kill_tests)


@dataclass(frozen=True)
class ResolvedCampaign:
    """Everything that a campaign's results depend on, plus its name and notes.

    Attributes:
        name, notes, engine_choice: for the reader; results do not depend on them.
        healthy: the recipe of the healthy population.
        mutants: first-order mutants, in the spec's order.
        kill_tests: names in the table or import paths, in the spec's order.
        margins: for the kill tests that take margins, the boundary search by equivalence, and the sweeps.
        repeats: seeds per resampling kill test.
        error_control: name in the table of error controls.
        selection: which model of a training is judged.
        engine: of all agents, healthy and mutants alike.
        seed: of the statistics.
        looks: when mutants are judged and their training may stop; None where every population has all seeds.
        engine_choice: which engine was chosen, and why.
        sweeps: operators at several magnitudes, for their curves; not part of the mutation score.
    """

    name: str
    notes: tuple[str, ...]
    healthy: TrainingRecipe
    mutants: tuple[Mutant, ...]
    seeds: tuple[int, ...]
    kill_tests: tuple[str, ...]
    margins: Margins
    repeats: int
    evaluation: EvaluationPlan
    selection: AgentSelection
    boundary: BoundaryPlan
    higher_order: HigherOrderPlan
    sanity: SanityPlan
    engine: str
    seed: int
    error_control: str
    looks: Looks | None = None
    engine_choice: str = ""
    sweeps: tuple[MagnitudeSweep, ...] = ()

    def canonical(self) -> dict[str, Any]:
        """The resolved form as plain data: equal for specs that mean the same.

        Margins are in it where a test, the boundary search or a sweep takes them, sweeps and looks where there are any,
        the scan where a search by equivalence has it, and the error control where it is not the default. So other
        campaigns keep the run id that they had before.
        """
        fields: dict[str, Any] = plain(self)
        del fields["name"], fields["notes"], fields["engine_choice"]
        if not self.sweeps:
            del fields["sweeps"]
        if not self.sweeps and not need_margins(self.kill_tests, self.boundary.tests):
            del fields["margins"]
        if self.error_control == DEFAULT_ERROR_CONTROL:
            del fields["error_control"]
        if self.looks is None:
            del fields["looks"]
        if EQUIVALENCE not in self.boundary.tests:
            del fields["boundary"]["scan"]
        return {"semantics": SEMANTICS, **fields}

    @property
    def run_id(self) -> str:
        """First 12 hexadecimal digits of the hash of `canonical`."""
        return content_address("campaign", self.canonical())[:12]

    @property
    def mutant_seeds(self) -> tuple[int, ...]:
        """The seeds that a mutant may have, in the order in which they are trained."""
        return self.seeds if self.looks is None else self.seeds[: self.looks.most]

    @property
    def initial_point(self) -> Point:
        """The point that agents are trained at."""
        return self.healthy.environment.values

    def environment(self, point: Point) -> EnvironmentSpec:
        """The campaign's environment at another point."""
        return EnvironmentSpec(self.healthy.environment.name, point)

    def agent(self, recipe: TrainingRecipe, seed: int) -> AgentKey:
        """The address of one agent of this campaign."""
        return AgentKey(recipe, seed, self.engine, self.selection)

    def evaluation_of(self, agent: AgentKey, point: Point, purpose: EvaluationPurpose = "verdicts") -> EvaluationKey:
        """The address of one agent's evaluation at a point; another purpose means other episodes."""
        plan = self.evaluation
        seed = plan.seed if purpose == "verdicts" else (plan.seed + BOUNDARY_SEEDS) % 2**31
        return EvaluationKey(agent, self.environment(point), plan.episodes, seed, plan.method)
