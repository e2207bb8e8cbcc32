"""Higher-order mutants: which are worth training, and what their kills say about their constituents."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from agents.deeprl.engines.registry import engine
from envsearch.errors import MutationRefusedError
from mutations.folding import mutate
from mutations.higher_order import candidates, classify_kills
from mutations.mutant import Mutant
from mutations.registry import in_canonical_order
from orchestration.campaign.kill_matrix import matrix_of
from orchestration.campaign.result import HigherOrderResult, MutantVerdict
from orchestration.campaign.spec.campaign import ResolvedCampaign


def combined(mutants: Iterable[Mutant]) -> Mutant:
    """One mutant with the mutations of several."""
    return in_canonical_order(mutation for mutant in mutants for mutation in mutant.mutations)


def chosen_mutants(
    campaign: ResolvedCampaign, first_order: Sequence[MutantVerdict], tests: Sequence[str]
) -> tuple[list[Mutant], list[str]]:
    """The explicit higher-order mutants, then the candidates of every test, and notes on those left out.

    A candidate that cannot be built (its operators cancel or shadow each other), or that the campaign's engine cannot
    train, is left out with the reason, because nobody asked for it by name.
    """
    plan, notes = campaign.higher_order, []
    if not plan.enabled:
        return [], []
    chosen = {mutant.id: mutant for mutant in plan.mutants}
    by_id = {mutant.id: mutant for mutant in campaign.mutants}
    found = 0
    for names in _candidate_names(first_order, tests, plan.order):
        mutant = combined(by_id[name] for name in names)
        if mutant.id in chosen:
            continue
        if plan.maximum is not None and found >= plan.maximum:
            notes.append(f"Candidate {mutant.id} was left out: higher_order.maximum is {plan.maximum}.")
            continue
        reason = _objection(campaign, mutant)
        if reason is not None:
            notes.append(f"Candidate {mutant.id} was left out: {reason}.")
            continue
        found += 1
        chosen[mutant.id] = mutant
    return list(chosen.values()), notes


def _objection(campaign: ResolvedCampaign, mutant: Mutant) -> str | None:
    """Why a candidate is not trained. Another engine would not do: agents are compared within one engine only."""
    try:
        recipe = mutate(campaign.healthy, mutant)
    except MutationRefusedError as error:
        return error.problem
    reason = engine(campaign.engine).objection(recipe)
    return None if reason is None else f"engine {campaign.engine} cannot train it ({reason})"


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
) -> list[HigherOrderResult]:
    """What each test says about each higher-order mutant; one with a constituent that is not live is left out."""
    results = []
    for test in tests:
        below, above = matrix_of(first_order, test), matrix_of(higher_order, test)
        for mutant in mutants:
            constituents = tuple(Mutant((mutation,)).id for mutation in mutant.mutations)
            if mutant.id not in above.mutants or not set(constituents) <= set(below.mutants):
                continue
            kills = [below.kills_of(name) for name in constituents]
            found = classify_kills(above.kills_of(mutant.id), kills)
            results.append(HigherOrderResult(test, mutant.id, constituents, found.published, found.strict))
    return results
