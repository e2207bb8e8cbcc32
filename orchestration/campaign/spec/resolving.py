"""`CampaignSpec` -> `ResolvedCampaign`: looks up every name and folds every mutation before training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from agents.deeprl.algorithms import algorithm_facts
from agents.deeprl.engines.base import AgentSelection, agents_side_by_side
from agents.deeprl.engines.registry import engine
from agents.deeprl.presets import PRESETS, Preset, preset
from agents.deeprl.recipe import TrainingRecipe
from envsearch.definition import EnvironmentDefinition
from envsearch.errors import InputError, unknown_name
from envsearch.import_path import is_import_path
from envsearch.registry import environment, initial_spec, resolve_name, with_limits
from envsearch.spec import Parameter
from mutations.folding import mutate
from mutations.killing.margins import Margins
from mutations.killing.registry import kill_test
from mutations.magnitude_sweep import parse_sweeps
from mutations.mutant import Mutant
from mutations.parsing import parse_mutant, parse_operators
from orchestration.campaign.spec.campaign import (
    EvaluationPlan,
    HigherOrderPlan,
    ResolvedCampaign,
    SanityPlan,
    need_margins,
)
from orchestration.campaign.spec.engine_choice import choose_engine, evaluation_method
from orchestration.campaign.spec.model import CampaignSpec
from orchestration.campaign.spec.searching import boundary_plan
from orchestration.campaign.spec.seeds import default_kill_tests, resolved_looks, resolved_seeds


def resolve(spec: CampaignSpec, source: str = "spec") -> ResolvedCampaign:
    """Look up every name, apply every default and check what can be checked before training.

    Args:
        spec: the validated fields.
        source: the file, for errors.

    Raises:
        InputError: a name is unknown, limits are impossible, a hyper-parameter is not the algorithm's, ...
        MutationRefusedError: a mutant that cannot be applied, would change nothing, or cancels itself.
    """
    try:
        return _resolve(spec)
    except InputError as error:
        raise error.located(source) from None


def _resolve(spec: CampaignSpec) -> ResolvedCampaign:
    definition = _environment(spec)
    chosen = _preset(spec, definition.name)
    with _at("hyperparameters"):
        healthy = chosen.recipe(initial_spec(definition), spec.steps, spec.hyperparameters)
    mutants = _first_order(spec, healthy)
    explicit = _explicit_higher_order(spec, healthy, mutants)
    sweeps = parse_sweeps(spec.magnitudes.operators, spec.magnitudes.values, healthy)
    swept = [Mutant((mutation,)) for sweep in sweeps for mutation in sweep.mutations]
    chosen_engine, engine_choice = choose_engine(spec.engine, healthy, (*mutants, *explicit, *swept))
    with _at("seeds", "seeds"):
        looks = resolved_looks(spec, agents_side_by_side(engine(chosen_engine), healthy))
    kill_tests = _kill_tests(spec.kill_tests or default_kill_tests(spec), "kill_tests")
    boundary = boundary_plan(spec, definition, kill_tests)
    return ResolvedCampaign(
        name=spec.name,
        notes=_notes(spec, definition),
        healthy=healthy,
        mutants=mutants,
        seeds=resolved_seeds(spec, looks, kill_tests),
        kill_tests=kill_tests,
        margins=_margins(spec, kill_tests, boundary.tests, _reward_threshold(spec, chosen, definition)),
        repeats=spec.repeats,
        evaluation=EvaluationPlan(
            spec.evaluation.episodes, spec.evaluation.seed, evaluation_method(spec.evaluation.engine, chosen_engine)
        ),
        selection=_selection(spec),
        boundary=boundary,
        higher_order=HigherOrderPlan(
            spec.higher_order.enabled, spec.higher_order.order, spec.higher_order.maximum, explicit
        ),
        sanity=SanityPlan(_threshold(spec, chosen, definition), spec.sanity.on_failure),
        engine=chosen_engine,
        seed=spec.seed,
        error_control=spec.error_control,
        looks=looks,
        engine_choice=engine_choice,
        sweeps=sweeps,
    )


@contextmanager
def _at(field: str, prefix: str = "") -> Iterator[None]:
    """Give errors of the inner packages the spec's field; with a prefix, their own field follows it."""
    try:
        yield
    except InputError as error:
        inner = f"{prefix}.{error.field}" if prefix and error.field else (error.field or field)
        raise type(error)(error.problem, inner, error.expected, error.source) from error


def _environment(spec: CampaignSpec) -> EnvironmentDefinition:
    """The environment with the parameters, limits and precision that the spec gives."""
    declared = []
    for index, section in enumerate(spec.environment.parameters):
        with _at("", f"environment.parameters[{index}]"):
            declared.append(Parameter(**section.model_dump()))
    definition = environment(spec.environment.name, declared, field="environment")
    limits = _limits(definition, spec)
    for name, changes in limits.items():
        kind = "limits" if "low" in changes else "precision"
        try:
            with_limits(definition, {name: changes})
        except InputError as error:
            raise InputError(error.problem, f"boundary.{kind}.{name}", error.expected) from error
    return with_limits(definition, limits, field="boundary.limits")


def _limits(definition: EnvironmentDefinition, spec: CampaignSpec) -> dict[str, dict[str, float]]:
    changes: dict[str, dict[str, float]] = {}
    for name, (low, high) in spec.boundary.limits.items():
        definition.parameter(name, f"boundary.limits.{name}")
        changes.setdefault(name, {}).update(low=low, high=high)
    for name, precision in spec.boundary.precision.items():
        definition.parameter(name, f"boundary.precision.{name}")
        if not precision > 0:
            raise InputError(f"{precision:g} is not positive", f"boundary.precision.{name}", "a positive number")
        changes.setdefault(name, {}).update(precision=precision)
    return changes


def _preset(spec: CampaignSpec, environment_name: str) -> Preset:
    facts = algorithm_facts(spec.algorithm)
    if spec.preset is None:
        return preset(environment_name, spec.algorithm)
    by_name = {file_name.removesuffix(".yaml"): pair for pair, file_name in PRESETS.items()}
    if spec.preset not in by_name:
        raise unknown_name("preset", spec.preset, by_name, "preset")
    pair = by_name[spec.preset]
    if pair[1] != facts.name:
        raise InputError(f"preset {spec.preset!r} is for {pair[1]}", "preset", f"a preset for {facts.name}")
    return preset(*pair)


def _first_order(spec: CampaignSpec, healthy: TrainingRecipe) -> tuple[Mutant, ...]:
    """The spec's operators as mutants; an operator that does not apply or would change nothing is refused here."""
    if spec.operators is not None and not spec.operators:
        raise InputError("the list is empty", "operators", "at least one operator, or no list for the published ones")
    return tuple(Mutant((mutation,)) for mutation in parse_operators(spec.operators, healthy, field="operators"))


def _explicit_higher_order(
    spec: CampaignSpec, healthy: TrainingRecipe, first_order: tuple[Mutant, ...]
) -> tuple[Mutant, ...]:
    """The higher-order mutants that the spec names; their constituents must be among its operators."""
    section, mutants = spec.higher_order, dict[str, Mutant]()
    if section.mutants and not section.enabled:
        raise InputError("mutants are listed but higher order is off", "higher_order.mutants", "enabled: true")
    known = [mutant.id for mutant in first_order]
    for index, text in enumerate(section.mutants):
        field = f"higher_order.mutants[{index}]"
        mutant = parse_mutant(text, field)
        if mutant.order < 2:
            raise InputError(f"{text!r} is of order {mutant.order}", field, "two or more operators, as in NDF-MTS")
        if mutant.id in mutants:
            raise InputError(f"{mutant.id} appears twice", field, "distinct mutants")
        unlisted = next((mutation.id for mutation in mutant.mutations if mutation.id not in known), None)
        if unlisted is not None:
            raise InputError(f"{unlisted} is not among the operators", field, f"constituents from {', '.join(known)}")
        with _at(field):
            mutate(healthy, mutant)
        mutants[mutant.id] = mutant
    return tuple(mutants.values())


def _kill_tests(names: list[str], field: str) -> tuple[str, ...]:
    for index, name in enumerate(names):
        if name in names[:index]:
            raise InputError(f"{name!r} appears twice", f"{field}[{index}]", "distinct kill tests")
        with _at(f"{field}[{index}]"):
            kill_test(name)
    return tuple(names)


def _threshold(spec: CampaignSpec, chosen: Preset, definition: EnvironmentDefinition) -> float | None:
    threshold = spec.sanity.threshold
    if threshold == "off":
        return None
    if threshold == "preset":
        return _reward_threshold(spec, chosen, definition)
    assert not isinstance(threshold, str)
    return threshold


def _reward_threshold(spec: CampaignSpec, chosen: Preset, definition: EnvironmentDefinition) -> float | None:
    """The preset's; a preset of another environment knows no threshold of this one."""
    return chosen.threshold if spec.preset is None else definition.reward_threshold


def _margins(
    spec: CampaignSpec, kill_tests: tuple[str, ...], searches: tuple[str, ...], threshold: float | None
) -> Margins:
    """The spec's margins; where nothing takes them, they would be ignored, so they are refused."""
    section = spec.margins
    taken = spec.magnitudes.operators or need_margins(kill_tests, searches)
    if section.model_fields_set and not taken:
        problem = f"no kill test of this campaign takes margins ({', '.join(kill_tests)})"
        problem += ", and no boundary search by equivalence"
        raise InputError(problem, "margins", "margin_permutation among kill_tests, or no margins")
    if section.scale != "healthy":
        return Margins(section.mean, section.collapsed, section.scale)
    return Margins(section.mean, section.collapsed, scale_near_zero=abs(threshold) if threshold else None)


def _selection(spec: CampaignSpec) -> AgentSelection:
    """Settings that only matter for ``best`` do not change the run id of a campaign that judges final models."""
    if spec.agent.select == "final":
        return AgentSelection()
    return AgentSelection("best", spec.agent.every, spec.agent.episodes)


def _notes(spec: CampaignSpec, definition: EnvironmentDefinition) -> tuple[str, ...]:
    notes = []
    _, alias_note = resolve_name(spec.environment.name)
    if alias_note:
        notes.append(alias_note)
    parts: list[Any] = [definition.name, spec.algorithm, *(spec.kill_tests or [])]
    parts += [entry.get("operator") if isinstance(entry, Mapping) else entry for entry in spec.operators or []]
    own = [str(part) for part in parts if is_import_path(str(part))]
    if own:
        notes.append(
            f"{', '.join(own)}: parts named by an import path are identified by that name; results are not computed "
            "again when their code changes."
        )
    return tuple(notes)
