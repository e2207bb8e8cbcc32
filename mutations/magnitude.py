"""What a mutation's magnitude, variant and options mean to its operator, and their canonical form.

Two mutations that mean the same fault have one canonical form, hence one id: ``RN_1`` is ``RN_1.0``, ``NDF_1.0`` is
``NDF``, ``POC_rmsprop`` is ``POC_RMSprop`` and an option at its default is not written.
"""

from __future__ import annotations

import dataclasses
import math

from envsearch.errors import MutationRefusedError, unknown_name
from mutations.mutant import Mutation
from mutations.operator import ChoiceMagnitude, MutationOperator, ProbabilityMagnitude

IN_RANGE = "a probability in (0, 1]"


def canonical(operator: MutationOperator, mutation: Mutation) -> Mutation:
    """The mutation with every setting spelled as in its id.

    Raises:
        MutationRefusedError: a setting is not one the operator knows, a required magnitude is missing, or the
            probability is 0; its field is ``magnitude``, ``variant`` or the option's name.
    """
    magnitude: float | str | None
    if isinstance(operator.magnitude, ChoiceMagnitude):
        magnitude = choice(operator, mutation)
    else:
        magnitude = probability(operator, mutation)
        if magnitude == 0.0:
            raise MutationRefusedError(f"probability 0 of {mutation.operator} is the healthy agent", *_in_range())
        if magnitude == 1.0 and not operator.magnitude.required:
            magnitude = None
    chosen = {name: option(operator, mutation, name) for name, _ in operator.options}
    options = tuple(sorted((name, chosen[name]) for name, allowed in operator.options if chosen[name] != allowed[0]))
    return dataclasses.replace(mutation, magnitude=magnitude, options=options)


def probability(operator: MutationOperator, mutation: Mutation) -> float:
    """The probability of a mutation, in [0, 1]; its variant and options are checked too.

    Raises:
        MutationRefusedError: see `canonical`; 0, the neutral recipe, is allowed here.
    """
    _check_settings(operator, mutation)
    assert isinstance(operator.magnitude, ProbabilityMagnitude)
    value = mutation.magnitude
    if value is None:
        if operator.magnitude.required:
            raise MutationRefusedError(f"{mutation.operator} needs a magnitude", *_in_range())
        return 1.0
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise MutationRefusedError(f"{value!r} is not a number; {mutation.operator} has a probability", *_in_range())
    if not (math.isfinite(value) and 0.0 <= value <= 1.0):
        raise MutationRefusedError(f"{value!r} is out of range", *_in_range())
    return float(value) + 0.0  # -0.0 is 0


def choice(operator: MutationOperator, mutation: Mutation) -> str:
    """The name that is a mutation's magnitude, in the operator's own spelling; variant and options are checked too.

    Raises:
        MutationRefusedError: see `canonical`.
    """
    _check_settings(operator, mutation)
    assert isinstance(operator.magnitude, ChoiceMagnitude)
    choices = operator.magnitude.choices
    value = mutation.magnitude
    if value is None:
        raise MutationRefusedError(f"{mutation.operator} needs a magnitude", "magnitude", f"one of {_listed(choices)}")
    if not isinstance(value, str):
        raise MutationRefusedError(f"{value!r} is not a name", "magnitude", f"one of {_listed(choices)}")
    spelled = {known.lower(): known for known in choices}.get(value.lower())
    if spelled is None:
        raise refused_name(f"magnitude of {mutation.operator}", value, choices, "magnitude")
    return spelled


def option(operator: MutationOperator, mutation: Mutation, name: str) -> str:
    """The value of one of the operator's options; its default where the mutation does not say it."""
    allowed = dict(operator.options)[name]
    return str(dict(mutation.options).get(name, allowed[0]))


def refused_name(kind: str, name: str, known: tuple[str, ...], field: str) -> MutationRefusedError:
    """The refusal of a name that is not among the known ones, with the nearest."""
    error = unknown_name(kind, name, known, field)
    return MutationRefusedError(error.problem, error.field, error.expected)


def _check_settings(operator: MutationOperator, mutation: Mutation) -> None:
    if mutation.variant == "published" and "published" not in operator.variants:
        problem = f"{mutation.operator} has no published variant: the published code does what is defined"
        raise MutationRefusedError(problem, "variant", "no variant")
    if mutation.variant not in operator.variants:
        raise refused_name(f"variant of {mutation.operator}", str(mutation.variant), operator.variants, "variant")
    known = dict(operator.options)
    for name, value in mutation.options:
        if name not in known:
            expected = f"one of {_listed(tuple(known))}" if known else "no option: the operator has none"
            raise MutationRefusedError(f"{mutation.operator} has no option {name!r}", name, expected)
        if value not in known[name]:
            raise refused_name(f"{name} of {mutation.operator}", str(value), known[name], name)


def _in_range() -> tuple[str, str]:
    return "magnitude", IN_RANGE


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names)
