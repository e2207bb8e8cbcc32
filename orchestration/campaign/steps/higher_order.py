"""Higher-order mutants: which are worth training, and what their kills say about their constituents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from agents.deeprl.engines.registry import engine
from envsearch.errors import MutationRefusedError
from mutations.higher_order import candidates, classify_kills
from mutations.mutant import Mutant
from mutations.registry import in_canonical_order
from orchestration.campaign.population import Population, Populations
from orchestration.campaign.result import HigherOrderResult, MutantVerdict
from orchestration.campaign.steps.kill_matrix import matrix_of


def combined(mutants: Iterable[Mutant]) -> Mutant:
    """One mutant with the mutations of several."""
    return in_canonical_order(mutation for mutant in mutants for mutation in mutant.mutations)


def chosen_mutants(
    populations: Populations, first_order: Sequence[MutantVerdict], tests: Sequence[str]
) -> tuple[list[Population], list[str]]:
    """The explicit higher-order mutants, then the candidates of every test, and notes on those left out.

    A candidate that cannot be built (its operators cancel or shadow each other), or that the campaign's engine cannot
    train, is left out with the reason, because nobody requested it by name.
    """
    plan, notes = populations.campaign.higher_order, []
    if not plan.enabled:
        return [], []
    chosen = {mutant.id: populations.of(mutant) for mutant in plan.mutants}
    by_id = {mutant.id: mutant for mutant in populations.campaign.mutants}
    accepted = 0
    for names in _candidate_names(first_order, tests, plan.order):
        mutant = combined(by_id[name] for name in names)
        if mutant.id in chosen:
            continue
        if plan.maximum is not None and accepted >= plan.maximum:
            notes.append(f"Candidate {mutant.id} was left out: higher_order.maximum is {plan.maximum}.")
            continue
        reason = objection(populations, mutant)
        if reason is not None:
            notes.append(f"Candidate {mutant.id} was left out: {reason}.")
            continue
        accepted += 1
        chosen[mutant.id] = populations.of(mutant)
    return list(chosen.values()), notes


def objection(populations: Populations, mutant: Mutant) -> str | None:
    """Why a candidate is not trained. Another engine would not help: agents are only compared within one engine."""
    try:
        recipe = populations.of(mutant).recipe
    except MutationRefusedError as error:
        return error.problem
    name = populations.campaign.engine
    reason = engine(name).objection(recipe)
    return None if reason is None else f"engine {name} cannot train it ({reason})"


def _candidate_names(first_order: Sequence[MutantVerdict], tests: Sequence[str], order: int) -> list[tuple[str, ...]]:
    names: dict[tuple[str, ...], None] = {}
    for test in tests:
        names.update(dict.fromkeys(candidates(matrix_of(first_order, test), order)))
    return list(names)


def properties(
    mutants: Sequence[Mutant],
    first_order: Sequence[MutantVerdict],
    higher_order: Sequence[MutantVerdict],
    tests: Sequence[str],
    same_agents: Mapping[str, str],
) -> list[HigherOrderResult]:
    """What each test says about each higher-order mutant; one with a constituent that is not live is left out.

    Args:
        same_agents: mutant -> the mutant in whose place it is judged, of first or higher order.
    """
    results = []
    for test in tests:
        lower, higher = matrix_of(first_order, test), matrix_of(higher_order, test)
        for mutant in mutants:
            constituents = tuple(Mutant((mutation,)).id for mutation in mutant.mutations)
            judged, *parts = (same_agents.get(name, name) for name in (mutant.id, *constituents))
            matrix = higher if judged in higher.mutants else lower
            if judged not in matrix.mutants or not set(parts) <= set(lower.mutants):
                continue
            kind = classify_kills(matrix.kills_of(judged), [lower.kills_of(name) for name in parts])
            results.append(HigherOrderResult(test, mutant.id, constituents, kind.published, kind.strict))
    return results
