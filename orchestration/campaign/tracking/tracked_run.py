"""What is tracked of a campaign, as plain data: one run for the campaign, one per phase, one per population.

This file knows campaigns but no tracker; a tracker knows these runs but no campaign.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from agents.deeprl.recipe import TrainingRecipe
from envsearch.canonical import content_address, plain
from mutations.killing.kill_test import Direction, KillVerdict, Outcome
from mutations.mutant import HEALTHY
from orchestration.campaign.result import CampaignResult, MutantVerdict, PopulationResult, total
from orchestration.campaign.result_facts import is_better_apart, is_kill

PHASES = ("train", "evaluate", "boundary", "kill_matrix", "higher_order")

VERDICT_NUMBERS = (
    *("statistic", "p_value", "p_adjusted", "effect_size", "effect_low", "effect_high", "power", "agreement"),
    *("difference", "difference_low", "difference_high", "margin"),
    *("collapsed_healthy", "collapsed_mutant", "collapsed_low", "collapsed_high"),
    *("agents_for_kill", "agents_for_equivalence"),
)

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Measurement:
    """One number of a run; numbers with the same key and growing steps are a curve."""

    key: str
    value: float
    step: int = 0


@dataclass(frozen=True)
class TrackedRun:
    """One run as a tracker shows it.

    Attributes:
        kind: ``campaign``, ``phase`` or ``population``.
        params: the request; the same each time that a campaign is logged.
        measurements: the results.
        tags: further text, which may change.
        texts: (file name, content) of small artefacts.
    """

    name: str
    kind: str
    params: Pairs = ()
    measurements: tuple[Measurement, ...] = ()
    tags: Pairs = ()
    texts: Pairs = ()

    @cached_property
    def digest(self) -> str:
        """Content address: a run with an equal digest need not be logged again."""
        fields = (self.name, self.kind, self.params, self.measurements, self.tags, self.texts)
        return content_address("tracked run", fields)


def campaign_run(result: CampaignResult) -> TrackedRun:
    """The parent: the spec as parameters, the scores as numbers, where it came from as tags."""
    numbers: list[tuple[str, float | None]]
    numbers = [(f"{key_part(score.test)}/mutation_score", score.mutation_score) for score in result.scores]
    numbers += [(f"{key_part(s.test)}/minimal_environments", len(s.minimal_environments)) for s in result.scores]
    numbers += _magnitude_numbers(result)
    provenance = dict(flattened(result.provenance))
    numbers += [(key_part(f"provenance/{key}"), value) for key, value in provenance.items() if _is_number(value)]
    texts = {f"provenance.{key}": str(value) for key, value in provenance.items() if not _is_number(value)}
    tags = {"campaign": result.name, "status": result.status, "stop_reason": result.stop_reason, **texts}
    tags["mlflow.note.content"] = "\n\n".join(filter(None, (result.stop_reason, *result.notes)))
    return TrackedRun(
        name=f"{result.name} {result.run_id[:8]}",
        kind="campaign",
        params=_texts(flattened(result.spec)),
        measurements=measurements(numbers),
        tags=_texts(tags.items()),
    )


def _magnitude_numbers(result: CampaignResult) -> Iterator[tuple[str, float | None]]:
    """Thresholds of the sweeps with their intervals; a number outside the swept range is not logged."""
    for curve in result.magnitude_curves:
        prefix = f"magnitude/{key_part(curve.operator)}"
        yield f"{prefix}/threshold", curve.threshold
        yield f"{prefix}/threshold_low", curve.low
        yield f"{prefix}/threshold_high", curve.high


def nested_runs(result: CampaignResult, recipes: Mapping[str, TrainingRecipe] | None = None) -> list[TrackedRun]:
    """The runs below the parent: every phase, then every population."""
    recipes = recipes or {}
    populations = [
        _population_run(result, population, recipes.get(population.mutant)) for population in result.populations
    ]
    return [*(_phase_run(result, phase) for phase in PHASES), *populations]


def _phase_run(result: CampaignResult, phase: str) -> TrackedRun:
    numbers = {
        "train": _train_numbers,
        "evaluate": _evaluate_numbers,
        "boundary": _boundary_numbers,
        "kill_matrix": _kill_matrix_numbers,
        "higher_order": _higher_order_numbers,
    }[phase]
    texts: Pairs = ()
    if phase == "kill_matrix" and result.kill_matrix:
        texts = (("kill_matrix.csv", kill_matrix_csv(result)),)
    return TrackedRun(phase, "phase", measurements=measurements(numbers(result)), texts=texts)


def _train_numbers(result: CampaignResult) -> Iterator[tuple[str, float | None]]:
    yield "populations", len(result.populations)
    yield "agents", sum(len(population.seeds) for population in result.populations)
    yield "dead_agents", sum(len(population.dead) for population in result.populations)
    yield "failed_agents", sum(len(population.failed) for population in result.populations)
    yield "train_seconds", sum(population.train_seconds for population in result.populations)
    yield "cpu_seconds", total([population.cpu_seconds for population in result.populations])


def _evaluate_numbers(result: CampaignResult) -> Iterator[tuple[str, float | None]]:
    healthy = next((population for population in result.populations if population.mutant == HEALTHY), None)
    if healthy is not None:
        yield "healthy/mean_reward", mean(healthy.rewards)
    yield "healthy/threshold", result.threshold
    yield from _outcome_counts(result.verdicts)


def _boundary_numbers(result: CampaignResult) -> Iterator[tuple[str, float | None]]:
    for report in result.boundaries:
        test = key_part(report.test)
        yield f"{test}/environments", len(report.environments)
        yield f"{test}/probes", len(report.probes)
        yield f"{test}/warnings", len(report.warnings)


def _kill_matrix_numbers(result: CampaignResult) -> Iterator[tuple[str, float | None]]:
    yield from _outcome_counts(result.kill_matrix)
    if result.error_control is not None:
        yield "corrected_comparisons", result.error_control.comparisons
    for score in result.scores:
        test = key_part(score.test)
        yield f"{test}/mutation_score", score.mutation_score
        yield f"{test}/possible_score", score.possible_score
        if score.uncertainty is not None:
            yield f"{test}/mutation_score_low", score.uncertainty.low
            yield f"{test}/mutation_score_high", score.uncertainty.high
        yield f"{test}/killed_mutants", len(score.killed)
        yield f"{test}/trivial_mutants", len(score.trivial)
        yield f"{test}/never_killed_mutants", len(score.never_killed)
        yield f"{test}/inconclusive_mutants", len(score.inconclusive)


def _higher_order_numbers(result: CampaignResult) -> Iterator[tuple[str, float | None]]:
    yield "mutants", len({row.mutant for row in result.higher_order})
    for row, count in sorted(Counter((f.test, f.property_strict) for f in result.higher_order).items()):
        yield f"{key_part(row[0])}/strict {key_part(row[1])}", count


def _outcome_counts(verdicts: Iterable[MutantVerdict]) -> Iterator[tuple[str, float | None]]:
    outcomes = [
        (item.verdict.test, str(Direction.BETTER if is_better_apart(item.verdict) else item.verdict.outcome))
        for item in verdicts
        if item.verdict.outcome is not None
    ]
    counts = Counter(outcomes)
    for test in sorted({test for test, _ in outcomes}):
        for outcome in (*Outcome, Direction.BETTER):
            yield f"{key_part(test)}/{outcome}", counts[(test, str(outcome))]


def _population_run(result: CampaignResult, population: PopulationResult, recipe: TrainingRecipe | None) -> TrackedRun:
    params = {"mutant": population.mutant, "order": population.order, "recipe_address": population.recipe_address}
    params |= dict(flattened({"recipe": recipe.to_plain()})) if recipe is not None else {}
    numbers: list[tuple[str, float | None]] = [
        ("mean_reward", mean(population.rewards)),
        ("sd_reward", standard_deviation(population.rewards)),
        ("agents", len(population.seeds)),
        ("dead_agents", len(population.dead)),
        ("failed_agents", len(population.failed)),
        ("identical_seeds", len(population.identical_seeds)),
        ("train_seconds", population.train_seconds),
        ("cpu_seconds", population.cpu_seconds),
    ]
    tags = {"mutant": population.mutant, "same_agents_as": population.same_agents_as}
    for item in result.verdicts:
        if item.mutant == population.mutant:
            test = key_part(item.verdict.test)
            numbers += [(f"{test}/{name}", value) for name, value in _verdict_numbers(item.verdict)]
            tags[f"{test}.outcome"] = str(item.verdict.outcome) if item.verdict.outcome is not None else ""
            tags[f"{test}.direction"] = str(item.verdict.direction)
    numbers += _killed_environments(result, population.mutant)
    curves = (*_reward_curve(population), *_selected_steps(population), *_learning_curve(population))
    return TrackedRun(
        population.mutant, "population", _texts(params.items()), measurements(numbers) + curves, _texts(tags.items())
    )


def _verdict_numbers(verdict: KillVerdict) -> Iterator[tuple[str, float | None]]:
    """`killed` is 0 or 1, as in the score; an inconclusive verdict has no such number, only its tag."""
    yield from ((name, getattr(verdict, name)) for name in VERDICT_NUMBERS)
    if verdict.outcome in (Outcome.KILLED, Outcome.SURVIVED):
        yield "killed", float(is_kill(verdict))


def _killed_environments(result: CampaignResult, mutant: str) -> list[tuple[str, float | None]]:
    cells = [cell for cell in result.kill_matrix if cell.mutant == mutant]
    kills = Counter(cell.verdict.test for cell in cells if is_kill(cell.verdict))
    return [(f"{key_part(t)}/killed_environments", kills[t]) for t in sorted({cell.verdict.test for cell in cells})]


def _reward_curve(population: PopulationResult) -> Iterator[Measurement]:
    """Reward per agent; the step is the agent's seed."""
    for seed, reward in zip(population.seeds, population.rewards, strict=False):
        if math.isfinite(reward):
            yield Measurement("reward", float(reward), seed)


def _selected_steps(population: PopulationResult) -> Iterator[Measurement]:
    """Training step of each agent's best checkpoint, if best ones are judged; the step is the agent's seed."""
    for seed, taken in zip(population.seeds, population.selected_steps, strict=False):
        yield Measurement("selected_step", float(taken), seed)


def _learning_curve(population: PopulationResult) -> Iterator[Measurement]:
    if population.curve is None:
        return
    for name in ("mean", "low", "high"):
        for step, value in zip(population.curve.steps, getattr(population.curve, name), strict=True):
            if math.isfinite(value):
                yield Measurement(f"learning_curve/{name}", float(value), round(step))


def kill_matrix_csv(result: CampaignResult) -> str:
    """The kill matrix as a tidy table: one line per test, mutant and environment."""
    from mutations.killing.registry import power_labels  # commands that need no scipy import this module too

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    numbers = ("p_value", "p_adjusted", "effect_size", "power", "difference", "margin")
    writer.writerow(["test", "mutant", *result.parameters, "outcome", "direction", *numbers, "power_label"])
    for cell in result.kill_matrix:
        values, verdict = dict(cell.environment), cell.verdict
        point = [values.get(name, "") for name in result.parameters]
        values_of = [*(getattr(verdict, name) for name in numbers), power_labels([verdict])]
        writer.writerow([verdict.test, cell.mutant, *point, verdict.outcome, verdict.direction, *values_of])
    return text.getvalue()


def measurements(numbers: Iterable[tuple[str, float | None]]) -> tuple[Measurement, ...]:
    """The numbers that are finite, as measurements."""
    return tuple(Measurement(key, float(value)) for key, value in numbers if value is not None and math.isfinite(value))


def flattened(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested mappings as dotted keys; a list of scalars or pairs is one value."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from flattened(item, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(value, list | tuple) and any(isinstance(item, Mapping) for item in value):
        for index, item in enumerate(value):
            yield from flattened(item, f"{prefix}.{index}")
    elif _is_pairs(value):
        for key, item in value:
            yield from flattened(item, f"{prefix}.{key}")
    else:
        yield prefix, value


def key_part(text: str) -> str:
    """A name with the characters that a tracker's keys may have, no leading or doubled slash."""
    return re.sub(r"/+", "/", re.sub(r"[^\w\-. /]", "_", text, flags=re.ASCII)).strip("/ ") or "_"


def mean(values: tuple[float, ...]) -> float | None:
    """Arithmetic mean; None of nothing."""
    return math.fsum(values) / len(values) if values else None


def standard_deviation(values: tuple[float, ...]) -> float | None:
    """Sample standard deviation (n - 1); None below two values."""
    if len(values) < 2:
        return None
    centre = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - centre) ** 2 for value in values) / (len(values) - 1))


def _texts(items: Iterable[tuple[str, Any]]) -> Pairs:
    """Keys and values as text; what is empty is left out."""
    pairs = ((key_part(key), _text(value)) for key, value in items)
    return tuple((key, text) for key, text in pairs if text)


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(_text(item) for item in value)
    return value if isinstance(value, str) else repr(plain(value))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_pairs(value: Any) -> bool:
    """Whether a sequence is the plain form of sorted (name, value) pairs."""
    if not isinstance(value, list | tuple) or not value:
        return False
    return all(isinstance(item, list | tuple) and len(item) == 2 and isinstance(item[0], str) for item in value)
