"""Fold a healthy recipe over the mutations of a mutant, or say why that makes no mutant."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

from agents.deeprl.recipe import ExperienceSite, TrainingRecipe
from envsearch.errors import MutationRefusedError
from mutations.learning import is_on_policy, is_set_to
from mutations.magnitude import canonical
from mutations.mutant import Mutant, Mutation
from mutations.registry import canonical_name, in_canonical_order, operator

NOT_A_FAULT = ("environment", "algorithm")
"""Fields of a recipe that say which agents are meant; they are compared as a whole."""


def mutate(recipe: TrainingRecipe, mutant: Mutant) -> TrainingRecipe:
    """The recipe of a mutant; that of the healthy agent (no mutation) is the recipe itself.

    Mutations are folded in the table's order, whatever their order in the mutant.

    Args:
        recipe: the healthy one; it is not changed.

    Raises:
        MutationRefusedError: a mutation cannot be applied, would change nothing, or cancels or shadows another one.
        InputError: an operator is not known.
    """
    mutations = _canonical(mutant)
    reason = _first_objection(recipe, mutations)
    if reason is not None:
        raise MutationRefusedError(reason)
    return _fold(recipe, mutations)


def objection(recipe: TrainingRecipe, mutant: Mutant) -> str | None:
    """Why `mutate` refuses this mutant of this recipe, in one clause, or None if it does not.

    Raises:
        InputError: an operator is not known.
    """
    try:
        return _first_objection(recipe, _canonical(mutant))
    except MutationRefusedError as error:
        return error.problem


def written_fields(before: TrainingRecipe, after: TrainingRecipe) -> dict[str, Any]:
    """The dotted fields in which two recipes differ (``returns.forward``, ``hyperparameters.gamma``): their new value.

    A hyper-parameter that is gone has the value None.
    """
    old, new = _flat(before), _flat(after)
    return {
        name: new.get(name) for name in (*new, *(gone for gone in old if gone not in new)) if _differ(old, new, name)
    }


def in_effect(recipe: TrainingRecipe) -> TrainingRecipe:
    """The recipe with everything that cannot act set to its healthy value: equal ones train equal agents."""
    experience, returns = recipe.experience, recipe.returns
    healthy = ExperienceSite()
    if experience.probability == 0.0 or experience.replacement == "none":
        names = ("replacement", "probability", "memory", "mangle_pool", "frozen", "across_episodes")
        experience = dataclasses.replace(experience, **{name: getattr(healthy, name) for name in names})
    if experience.noise_probability == 0.0 or experience.noise_scale == 0.0:
        experience = dataclasses.replace(experience, noise_probability=0.0, noise_scale=healthy.noise_scale)
    if experience == dataclasses.replace(healthy, log_mutated_reward=True):
        experience = healthy
    if returns.gamma is not None and (returns.undiscounted == 1.0 or is_set_to(recipe, "gamma", returns.gamma)):
        returns = dataclasses.replace(returns, gamma=None)
    if returns.gae_lambda is not None and is_set_to(recipe, "gae_lambda", returns.gae_lambda):
        returns = dataclasses.replace(returns, gae_lambda=None)
    hyperparameters = recipe.hyperparameters
    if not is_on_policy(recipe):
        returns = dataclasses.replace(returns, forward=0.0, gae_lambda=None)
        if returns.undiscounted == 1.0:  # off-policy, gamma is in the target and nowhere else
            hyperparameters = tuple(pair for pair in hyperparameters if pair[0] != "gamma")
    return recipe.replace(experience=experience, returns=returns, hyperparameters=hyperparameters)


def _canonical(mutant: Mutant) -> tuple[Mutation, ...]:
    """The mutations with canonical names and settings, in canonical order."""
    named = [dataclasses.replace(each, operator=canonical_name(each.operator)) for each in mutant.mutations]
    return in_canonical_order(canonical(operator(each.operator), each) for each in named).mutations


def _fold(recipe: TrainingRecipe, mutations: Sequence[Mutation]) -> TrainingRecipe:
    for mutation in mutations:
        recipe = operator(mutation.operator).apply(recipe, mutation)
    return recipe


def _first_objection(recipe: TrainingRecipe, mutations: Sequence[Mutation]) -> str | None:
    """The first reason against a mutant: each mutation alone, then in pairs, then all together."""
    alone = (_alone_objection(recipe, mutation) for mutation in mutations)
    pairs = (_shadowed(recipe, first, second) for first, second in itertools.combinations(mutations, 2))
    together = (
        _together_objection(recipe, mutations, index) for index in range(len(mutations) if mutations[1:] else 0)
    )
    return next((reason for reason in itertools.chain(alone, pairs, together) if reason is not None), None)


def _alone_objection(recipe: TrainingRecipe, mutation: Mutation) -> str | None:
    fault = operator(mutation.operator)
    reason = fault.objection(recipe)
    if reason is not None:
        return f"{mutation.id} does not apply: {reason}"
    if in_effect(fault.apply(recipe, mutation)) == in_effect(recipe):
        site = fault.sites[0]
        return f"{mutation.id} would change nothing: {site} is already {_flat(recipe).get(site)!r}"
    return None


def _shadowed(recipe: TrainingRecipe, first: Mutation, second: Mutation) -> str | None:
    """Both write one field with different values, or they are one operator twice: only one of them could act."""
    written = [written_fields(recipe, _fold(recipe, [mutation])) for mutation in (first, second)]
    shared = [name for name in written[0] if name in written[1] and written[0][name] != written[1][name]]
    if shared:
        return f"{first.id} and {second.id} both set {shared[0]}, so only one of them could act"
    if first.operator == second.operator:
        return f"{first.id} and {second.id} are one operator twice, which is one fault or none"
    return None


def _together_objection(recipe: TrainingRecipe, mutations: Sequence[Mutation], index: int) -> str | None:
    """A mutation must also apply to, and change, the agent that already has the other faults."""
    mutation, others = mutations[index], [*mutations[:index], *mutations[index + 1 :]]
    beside = "-".join(other.id for other in others)
    without = _fold(recipe, others)
    reason = operator(mutation.operator).objection(without)
    if reason is not None:
        return f"{mutation.id} does not apply together with {beside}: {reason}"
    whole = in_effect(_fold(recipe, mutations))
    if whole == in_effect(recipe):
        return f"{mutation.id} and {beside} cancel each other out: together they equal the healthy agent"
    if whole == in_effect(without):
        return f"{mutation.id} would change nothing together with {beside}"
    return None


def _flat(recipe: TrainingRecipe) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for part in dataclasses.fields(recipe):
        value = getattr(recipe, part.name)
        if part.name == "hyperparameters":
            fields |= {f"hyperparameters.{name}": setting for name, setting in value}
        elif dataclasses.is_dataclass(value) and part.name not in NOT_A_FAULT:
            fields |= {f"{part.name}.{inner.name}": getattr(value, inner.name) for inner in dataclasses.fields(value)}
        else:
            fields[part.name] = value
    return fields


def _differ(old: dict[str, Any], new: dict[str, Any], name: str) -> bool:
    return name not in old or name not in new or old[name] != new[name]
