"""Sweeps: one operator at several magnitudes, as a spec names them."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from agents.deeprl.recipe import TrainingRecipe
from envsearch.errors import InputError, MutationRefusedError, unknown_name
from mutations.folding import objection
from mutations.magnitude import IN_RANGE
from mutations.mutant import Mutant, Mutation
from mutations.operator import ChoiceMagnitude
from mutations.parsing import parse_mutation, parse_operators
from mutations.psychometric import LEAST_MAGNITUDES
from mutations.registry import canonical_name, operator

_USUAL = (0.05, 0.1, 0.2, 0.4, 0.7, 1.0)
_SMALL = (0.02, 0.05, 0.1, 0.2, 0.4, 1.0)

DEFAULT_MAGNITUDES: dict[str, tuple[float, ...]] = {
    "RN": _USUAL,
    "M": _SMALL,
    "Ra": _SMALL,
    "R": _USUAL,
    "NDF": _USUAL,
    "MTS": _USUAL,
    "NR": _USUAL,
    "MSU": _USUAL,
    "ILF": (0.01, 0.02, 0.05, 0.1, 0.2, 0.5),  # at .5 the wrong signs cancel the right ones: nothing is learned
}
"""Operator -> magnitudes of its sweep. The published .05, .1 and .2 are among them; 1 is the published mutant."""

ALL = "all"
"""The word for every operator of the table that has a probability and applies to the recipe."""

_KEYS = ("operator", "values", "variant")


@dataclasses.dataclass(frozen=True, slots=True)
class MagnitudeSweep:
    """One operator at several magnitudes.

    Attributes:
        operator: the mutations' id without a magnitude (``R``, ``R[semantics=freeze]``).
        magnitudes: probabilities in rising order.
        mutations: in the same order, each in canonical form.
    """

    operator: str
    magnitudes: tuple[float, ...]
    mutations: tuple[Mutation, ...]


def parse_sweeps(
    entries: Sequence[Any], values: Sequence[float] | None, recipe: TrainingRecipe, field: str = "magnitudes"
) -> tuple[MagnitudeSweep, ...]:
    """The sweeps that a spec asks for.

    Args:
        entries: names such as ``R`` or ``R[semantics=freeze]``, the word ``all``, or mappings with ``operator`` and
            perhaps ``values``, ``variant`` and the operator's options.
        values: magnitudes of all entries without their own; None: those of `DEFAULT_MAGNITUDES`.
        recipe: the healthy one.
        field: name of the section, for errors.

    Raises:
        InputError: an entry is malformed, names no operator or one without a probability, or appears twice; fewer than
            three magnitudes, or one that is not a probability.
        MutationRefusedError: a mutation does not apply or would change nothing.
    """
    shared = None if values is None else _checked(values, f"{field}.values")
    sweeps: dict[str, MagnitudeSweep] = {}
    for index, entry in enumerate(entries):
        place = f"{field}.operators[{index}]"
        for sweep in _sweeps(entry, shared, recipe, place):
            if sweep.operator in sweeps:
                raise InputError(f"{sweep.operator} appears twice", place, "distinct operators")
            sweeps[sweep.operator] = sweep
    return tuple(sweeps.values())


def _sweeps(
    entry: Any, values: tuple[float, ...] | None, recipe: TrainingRecipe, field: str
) -> Iterator[MagnitudeSweep]:
    if entry == ALL:
        for name in DEFAULT_MAGNITUDES:
            if objection(recipe, Mutant((Mutation(name, 0.5),))) is None:
                yield _sweep({"operator": name}, values, recipe, field)
    elif isinstance(entry, str) and entry:
        yield _sweep(_spelled_out(entry, field), values, recipe, field)
    elif isinstance(entry, Mapping):
        yield _sweep(entry, values, recipe, field)
    else:
        raise InputError(f"{entry!r} is not an operator", field, "an operator such as R, or a mapping")


def _spelled_out(text: str, field: str) -> dict[str, Any]:
    """``R[published]`` as the mapping that means the same."""
    match = re.fullmatch(r"([^\[\]]+)(\[[^\[\]]*\])?", text.strip())
    if match is None:
        raise InputError(f"{text!r} is not an operator", field, "an operator such as R or R[semantics=freeze]")
    name, settings = match.groups()
    _refuse_unsweepable(name, field)
    mutation = parse_mutation(f"{name}_1.0{settings or ''}", field)
    return {"operator": name, "variant": mutation.variant, **dict(mutation.options)}


def _refuse_unsweepable(name: str, field: str) -> None:
    base = re.sub(r"_[+-]?[\d.]+(e[+-]?\d+)?$", "", name)
    if base != name:
        raise InputError(f"{name!r} has a magnitude", field, f"{base}; the magnitudes are in values")
    if isinstance(operator(name, field).magnitude, ChoiceMagnitude):
        swept = ", ".join(DEFAULT_MAGNITUDES)
        raise InputError(f"the magnitude of {name} is a name and has no order", field, f"one of {swept}")


def _sweep(
    entry: Mapping[str, Any], shared: tuple[float, ...] | None, recipe: TrainingRecipe, field: str
) -> MagnitudeSweep:
    name = entry.get("operator")
    if not isinstance(name, str) or not name:
        problem = "the key 'operator' is missing" if "operator" not in entry else f"{name!r} is not a name"
        raise InputError(problem, f"{field}.operator", f"one of {', '.join(DEFAULT_MAGNITUDES)}, or module:object")
    _refuse_unsweepable(name, f"{field}.operator" if len(entry) > 1 else field)
    known = (*_KEYS, *(option for option, _ in operator(name).options))
    for key in entry:
        if key not in known:
            raise unknown_name("key", str(key), known, f"{field}.{key}")
    values = _values(entry, canonical_name(name), shared, field)
    settings = {key: value for key, value in entry.items() if key != "values"}
    with _at(field):
        mutations = parse_operators([{**settings, "magnitudes": list(values)}], recipe, "")
    return MagnitudeSweep(dataclasses.replace(mutations[0], magnitude=None).id, values, mutations)


def _values(entry: Mapping[str, Any], name: str, shared: tuple[float, ...] | None, field: str) -> tuple[float, ...]:
    if "values" in entry:
        return _checked(entry["values"], f"{field}.values")
    if shared is not None:
        return shared
    if name not in DEFAULT_MAGNITUDES:
        raise InputError(f"{name} has no default magnitudes", field, f"values, each {IN_RANGE}")
    return DEFAULT_MAGNITUDES[name]


def _checked(values: Any, field: str) -> tuple[float, ...]:
    """The magnitudes in rising order."""
    if not isinstance(values, list | tuple) or len(values) < LEAST_MAGNITUDES:
        raise InputError(f"{values!r} is too short or not a list", field, f"at least {LEAST_MAGNITUDES} magnitudes")
    for index, value in enumerate(values):
        place = f"{field}[{index}]"
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
            raise InputError(f"{value!r} is not a magnitude", place, IN_RANGE)
        if value in values[:index]:
            raise InputError(f"{value!r} appears twice", place, "distinct magnitudes")
    return tuple(sorted(float(value) for value in values))


@contextmanager
def _at(field: str) -> Iterator[None]:
    """Errors of the parser of operators get the entry's field and, where they have it, the key in it."""
    try:
        yield
    except InputError as error:
        key = re.sub(r"^\[0\]\.?|magnitudes(\[\d+\])?$", "", error.field)
        place = f"{field}.{key}" if key else field
        kind = MutationRefusedError if isinstance(error, MutationRefusedError) else InputError
        raise kind(error.problem, place, error.expected) from error
