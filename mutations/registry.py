"""The explicit table of mutation operators, the published mutants, and operators named by import path."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from functools import lru_cache

from agents.deeprl.algorithms import algorithm_facts
from envsearch.errors import InputError, unknown_name
from envsearch.import_path import is_import_path, load_object
from mutations.mutant import Mutant, Mutation
from mutations.operator import MutationOperator
from mutations.operators.incorrect_loss_function import IncorrectLossFunction
from mutations.operators.mangled import Mangled
from mutations.operators.missing_state_update import MissingStateUpdate
from mutations.operators.missing_terminal_state import MissingTerminalState
from mutations.operators.no_discount_factor import NoDiscountFactor
from mutations.operators.no_reverse import NoReverse
from mutations.operators.policy_activation_change import PolicyActivationChange
from mutations.operators.policy_optimizer_change import PolicyOptimizerChange
from mutations.operators.random import Random
from mutations.operators.repeat import Repeat
from mutations.operators.reward_noise import RewardNoise

OPERATORS: dict[str, MutationOperator] = {
    "RN": RewardNoise(),
    "M": Mangled(),
    "Ra": Random(),
    "R": Repeat(),
    "NDF": NoDiscountFactor(),
    "MTS": MissingTerminalState(),
    "NR": NoReverse(),
    "MSU": MissingStateUpdate(),
    "ILF": IncorrectLossFunction(),
    "PAC": PolicyActivationChange(),
    "POC": PolicyOptimizerChange(),
}
"""The explicit table, acronym -> operator. Its order is the canonical order of a mutant's mutations."""

PUBLISHED_MUTATIONS: tuple[Mutation, ...] = (
    Mutation("ILF"),
    Mutation("NDF"),
    Mutation("NR"),
    Mutation("MSU"),
    Mutation("MTS"),
    Mutation("PAC", "ReLU"),
    Mutation("PAC", "Sigmoid"),
    Mutation("POC", "SGD"),
    Mutation("M", 1.0),
    Mutation("R", 1.0),
    Mutation("Ra", 1.0),
    Mutation("RN", 1.0),
)
"""The first-order mutants of the published study at magnitude 1, in its order."""


def operator(name: str, field: str = "") -> MutationOperator:
    """The operator of an acronym or published long name (any case), or of an import path ``module:object``.

    Args:
        name: ``NR``, ``no_reverse``, or the path of a `MutationOperator` class (without arguments) or instance.
        field: position of the name, for the error.

    Raises:
        InputError: there is no such operator; the nearest known name is in the text.
    """
    return OPERATORS[name] if name in OPERATORS else _lookup(name, field)


@lru_cache(maxsize=256)
def _lookup(name: str, field: str) -> MutationOperator:
    by_any_name = {known.acronym.lower(): known for known in OPERATORS.values()}
    by_any_name |= {known.name.lower(): known for known in OPERATORS.values()}
    loaded = by_any_name.get(name.lower())
    if loaded is not None:
        return loaded
    if is_import_path(name):
        return _imported(name, field)
    known_names = [*OPERATORS, *(known.name for known in OPERATORS.values())] if len(name) > 5 else list(OPERATORS)
    raise unknown_name("operator", name, known_names, field)


def _imported(path: str, field: str) -> MutationOperator:
    loaded = load_object(path, field)
    expected = "a MutationOperator instance, or a subclass that needs no arguments"
    if inspect.isclass(loaded) and issubclass(loaded, MutationOperator):
        try:  # a user's constructor may fail in any way
            loaded = loaded()
        except Exception as error:
            raise InputError(f"{path!r} cannot be created ({error})", field, expected) from error
    if not isinstance(loaded, MutationOperator):
        raise InputError(f"{path!r} is not a mutation operator", field, expected)
    return loaded


def canonical_name(name: str, field: str = "") -> str:
    """The acronym of an operator in the table, else the import path as it is.

    Raises:
        InputError: see `operator`.
    """
    loaded = operator(name, field)
    return next((acronym for acronym, known in OPERATORS.items() if type(known) is type(loaded)), name)


def in_canonical_order(mutations: Iterable[Mutation]) -> Mutant:
    """The mutant of some mutations: in the table's order, operators by import path after it."""
    ranks = {acronym: rank for rank, acronym in enumerate(OPERATORS)}
    return Mutant(
        tuple(sorted(mutations, key=lambda mutation: (ranks.get(mutation.operator, len(ranks)), mutation.id)))
    )


def published_mutations(algorithm: str) -> tuple[Mutation, ...]:
    """The published first-order mutants of an algorithm with its default network: 12 on-policy, 10 for DQN.

    Raises:
        InputError: no such algorithm.
    """
    facts = algorithm_facts(algorithm)
    return tuple(
        mutation
        for mutation in PUBLISHED_MUTATIONS
        if not (mutation.operator == "NR" and facts.family == "off_policy")
        and mutation != Mutation("PAC", facts.policy.activation)
    )
