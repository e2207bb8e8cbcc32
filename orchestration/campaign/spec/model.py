"""The fields of a campaign spec, as a user writes them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from envsearch.boundary import SCAN

Count = Annotated[int, Field(ge=1)]
SeedNumber = Annotated[int, Field(ge=0, lt=2**31)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Range = Annotated[list[Number], Field(min_length=2, max_length=2)]
Share = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]
Names = Annotated[list[str], Field(min_length=1)]


class Section(BaseModel):
    """A part of the spec: unknown keys are refused, values are not coerced."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class SeedsSection(Section):
    """Seeds as needed: mutants are trained block by block until they are decided.

    Attributes:
        looks: agents of a mutant at which it is judged, rising; the last number is the most. By default 6, 10, 15 and
            20, rounded up to the groups that the engine trains side by side.
        healthy: healthy agents, trained at the start; by default as many as the last look. They serve every mutant, so
            more of them gain power cheaply.
    """

    looks: Annotated[list[Count], Field(min_length=1)] | None = None
    healthy: Count | None = None


class ParameterSection(Section):
    """One parameter of the environment that the boundary search may move; `initial` is what agents train with."""

    name: str
    initial: Number
    low: Number
    high: Number
    precision: Number
    unit: str = ""


class EnvironmentSection(Section):
    """What agents are trained in: a listed name, a gymnasium id or an import path, with declared parameters."""

    name: Annotated[str, Field(min_length=1)]
    parameters: list[ParameterSection] = []


class EvaluationSection(Section):
    """How a trained agent is judged: deterministic policy, episode e reset with seed + e.

    Attributes:
        engine: ``fleet`` runs many agents in one batch, ``sb3`` one after another through the library; ``auto`` takes
            the fleet for agents that the fleet or the library's engine has trained.
    """

    episodes: Count = 10
    seed: SeedNumber = 420
    engine: Literal["auto", "fleet", "sb3"] = "auto"


class AgentSection(Section):
    """Which model of a training is judged; `every` (steps) and `episodes` matter for ``best`` only."""

    select: Literal["final", "best"] = "final"
    every: Count = 10_000
    episodes: Count = 5


class BoundarySection(Section):
    """The search for environments at the edge of normal behaviour.

    Attributes:
        tests: what searches. ``equivalence``, the default: healthy agents must be shown to behave as in the initial
            environment. The name of a kill test of the campaign: the published rule, by which what is inconclusive
            counts as accepted and search and kill matrix share their episodes.
        limits: parameter -> [low, high] instead of the environment's own.
        precision: parameter -> width at which the bisection stops, instead of the environment's own.
        batch: points evaluated per round; those that the open segments do not need go to further interior points,
            for fewer rounds where cores are free. It is part of the spec, so that the points do not depend on the
            machine.
        scaling: when a corner's bisection stops: each axis by its own precision, or the published norm.
        scan: points of the first round on every axis, so that normal behaviour beyond an edge is noticed; for
            ``equivalence`` only.
    """

    enabled: bool = True
    tests: Names | None = None
    limits: dict[str, Range] = {}
    precision: dict[str, Number] = {}
    batch: Count = 1
    scaling: Literal["per_axis", "published"] = "per_axis"
    scan: Count = SCAN


class HigherOrderSection(Section):
    """Higher-order mutants: every candidate combination of `order` operators, and the explicit `mutants`."""

    enabled: bool = True
    order: Annotated[int, Field(ge=2)] = 2
    maximum: Annotated[int, Field(ge=0)] | None = None
    mutants: list[str] = []


class MagnitudesSection(Section):
    """Sweeps over magnitudes, each with a fitted curve; their mutants do not count in the mutation score.

    Attributes:
        operators: names such as ``R`` or ``R[semantics=freeze]``, the word ``all``, or mappings, perhaps with `values`.
        values: magnitudes of every operator without its own; by default those of
            `mutations.magnitude_sweep.DEFAULT_MAGNITUDES`.
    """

    operators: Annotated[list[Any], Field(min_length=1)]
    values: list[Number] | None = None


class SanitySection(Section):
    """The healthy population's mean reward must reach `threshold` before verdicts count."""

    threshold: Number | Literal["preset", "off"] = "preset"
    on_failure: Literal["stop", "warn"] = "stop"


class MarginsSection(Section):
    """The differences that do not matter, for the kill tests that are about margins.

    Attributes:
        mean: of the mean rewards, as a share of the scale.
        collapsed: of the shares of collapsed agents; .1 is ten points.
        scale: a good reward. ``healthy`` is the healthy mean, or the preset's threshold where that mean is near zero.
    """

    mean: Share = 0.05
    collapsed: Share = 0.10
    scale: Annotated[float, Field(gt=0, allow_inf_nan=False)] | Literal["healthy"] = "healthy"


class CampaignSpec(Section):
    """A mutation campaign as its user writes it.

    Attributes:
        name: for reports; the file's name by default.
        seeds: n for the seeds 0 to n-1, or a list; ``auto`` or a section for as many as each mutant needs.
        steps: environment steps per agent; the preset's by default.
        hyperparameters: overrides of the preset's.
        operators: first-order mutants; the published set of the algorithm by default.
        kill_tests: the default test (margin_permutation) by default.
        repeats: seeds per resampling kill test; the outcome is the majority.
        magnitudes: none are swept by default.
        error_control: what stays at most at the level over all comparisons of the report: the false discovery rate
            (Benjamini-Hochberg; with ``_any_dependence`` Benjamini-Yekutieli) or the chance of any false kill (Holm).
        engine: ``auto``, ``fleet`` or ``sb3``. ``auto`` takes the fleet where it can train every
            recipe of the campaign, else sb3 for all of them.
        preset: name of another pair's preset to take hyper-parameters from (``cartpole_ppo``).
        seed: of the statistics, not of the trainings.
    """

    name: str = ""
    environment: EnvironmentSection
    algorithm: str
    seeds: Count | list[SeedNumber] | Literal["auto"] | SeedsSection = 20
    steps: Count | None = None
    hyperparameters: dict[str, Any] = {}
    operators: list[Any] | None = None
    kill_tests: Names | None = None
    margins: MarginsSection = MarginsSection()
    repeats: Annotated[int, Field(ge=1, le=1000)] = 1
    error_control: Literal["false_discovery", "familywise", "false_discovery_any_dependence"] = "false_discovery"
    evaluation: EvaluationSection = EvaluationSection()
    agent: AgentSection = AgentSection()
    boundary: BoundarySection = BoundarySection()
    higher_order: HigherOrderSection = HigherOrderSection()
    magnitudes: MagnitudesSection = MagnitudesSection.model_construct(operators=[], values=None)
    sanity: SanitySection = SanitySection()
    engine: str = "auto"
    preset: str | None = None
    seed: SeedNumber = 0
