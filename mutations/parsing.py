"""Mutations as users write them: ``RN_1.0``, ``PAC_ReLU``, ``NR[published]``, ``NDF-MTS``, or mappings in a spec.

Everything is brought into canonical form, so that one fault has one id; `parse_mutation` is the inverse of
`Mutation.id`, `parse_mutant` that of `Mutant.id`.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from agents.deeprl.recipe import TrainingRecipe
from envsearch.errors import InputError, MutationRefusedError, unknown_name
from envsearch.import_path import is_import_path
from mutations.folding import mutate, objection
from mutations.magnitude import canonical
from mutations.mutant import HEALTHY, Mutant, Mutation
from mutations.operator import ChoiceMagnitude
from mutations.registry import (
    OPERATORS,
    PUBLISHED_MUTATIONS,
    canonical_name,
    in_canonical_order,
    operator,
)

SETS = ("published", "all")
"""Words for all published mutants that apply to the recipe and change it."""

_SETTINGS = re.compile(r"(?P<base>[^\[\]]*)(?:\[(?P<settings>[^\[\]]*)\])?")
_SEPARATOR = re.compile(r"-(?=[^\W\d])")
"""Between two constituents: a dash before an operator's first letter, so not the one in ``RN_1e-05``."""

_BRACKETS = re.compile(r"\[[^\]]*\]")
_EXAMPLES = "an operator such as NDF, RN_0.2, PAC_ReLU or NR[published]"


def parse_mutation(text: str, field: str = "") -> Mutation:
    """The mutation that an id names, in canonical form.

    Args:
        text: ``<operator>``, ``<operator>_<magnitude>``, then perhaps ``[<variant>,<option>=<value>,...]``.
        field: position of the text, for errors.

    Raises:
        InputError: the text is malformed or names no operator.
        MutationRefusedError: magnitude, variant or an option is not one the operator knows.
    """
    match = _SETTINGS.fullmatch(text.strip())
    if match is None or not match["base"]:
        raise InputError(f"{text!r} is not a mutation", field, _EXAMPLES)
    name, magnitude = _name_and_magnitude(match["base"], field)
    variant, options = _settings(match["settings"], field)
    mutation = Mutation(canonical_name(name, field), _typed(name, magnitude), variant, options)
    with _located(field, whole=True):
        return canonical(operator(mutation.operator), mutation)


def parse_mutant(text: str, field: str = "") -> Mutant:
    """The mutant that an id names, its mutations in canonical order: ``MTS-NDF`` and ``NDF-MTS`` are one mutant.

    Args:
        text: ids of mutations joined by ``-``, or ``Healthy``.
        field: position of the text, for errors.

    Raises:
        InputError, MutationRefusedError: see `parse_mutation`. Whether the mutant makes sense for a recipe is said
            by `mutations.folding.objection`.
    """
    if text.strip() == HEALTHY:
        return Mutant()
    return in_canonical_order(_constituents(_pieces(text.strip()), field))


def parse_operators(
    entries: Sequence[Any] | None, recipe: TrainingRecipe, field: str = "operators"
) -> tuple[Mutation, ...]:
    """The first-order mutations that a spec asks for, in its order, each of them applicable to the recipe.

    Args:
        entries: ids; the words ``published`` or ``all``; mappings with ``operator`` and perhaps ``magnitude`` or
            ``magnitudes``, ``variant`` and the operator's options. None: the published mutants.
        recipe: the healthy one. A word means those published mutants that apply to it and change it (without
            what is listed besides); a mutation that is named and does not is an error.
        field: name of the list, for errors.

    Raises:
        InputError: an entry is malformed, names no operator, has an unknown key, or appears twice.
        MutationRefusedError: a mutation has a wrong setting, does not apply or would change nothing.
    """
    if entries is None:
        return _published(recipe)
    if isinstance(entries, str) or not isinstance(entries, Sequence):
        raise InputError(f"{entries!r} is not a list", field, "a list of operators")
    parsed = [_entry(entry, recipe, f"{field}[{index}]") for index, entry in enumerate(entries)]
    named: dict[Mutation, str] = {}
    for entry in parsed:
        for mutation, place in entry.named:
            if mutation in named:
                raise InputError(f"{mutation.id} appears twice, also in {named[mutation]}", place, "distinct mutations")
            named[mutation] = place
    mutations = (mutation for entry in parsed for mutation in entry.mutations)
    return tuple(dict.fromkeys(mutations))


@dataclasses.dataclass(frozen=True, slots=True)
class _Entry:
    """What an entry means: mutations named one by one with their field, or a set of them."""

    named: tuple[tuple[Mutation, str], ...] = ()
    meant: tuple[Mutation, ...] = ()

    @property
    def mutations(self) -> tuple[Mutation, ...]:
        return self.meant or tuple(mutation for mutation, _ in self.named)


def _entry(entry: Any, recipe: TrainingRecipe, field: str) -> _Entry:
    if isinstance(entry, str):
        if entry.strip().lower() in SETS:
            return _Entry(meant=_published(recipe))
        mutation = parse_mutation(entry, field)
        with _located(field, whole=True):
            mutate(recipe, Mutant((mutation,)))
        return _Entry(((mutation, field),))
    if isinstance(entry, Mapping):
        return _mapping(entry, recipe, field)
    raise InputError(f"{entry!r} is not an operator", field, f"{_EXAMPLES}, or a mapping with the key 'operator'")


def _mapping(entry: Mapping[Any, Any], recipe: TrainingRecipe, field: str) -> _Entry:
    name = entry.get("operator")
    if not isinstance(name, str) or not name:
        problem = "the key 'operator' is missing" if "operator" not in entry else f"{name!r} is not a name"
        raise InputError(problem, f"{field}.operator", f"one of {', '.join(OPERATORS)}, or module:object")
    if name.lower() in SETS:
        _refuse_unknown_keys(entry, ("operator", "variant"), field)
        return _Entry(meant=_published(recipe, _variant(entry, field)))
    fault = operator(name, f"{field}.operator")
    option_names = tuple(option for option, _ in fault.options)
    _refuse_unknown_keys(entry, ("operator", "magnitude", "magnitudes", "variant", *option_names), field)
    options = tuple((option, entry[option]) for option in option_names if option in entry)
    named = []
    for magnitude, place in _magnitudes(entry, field):
        with _located(field, place):
            mutation = canonical(fault, Mutation(canonical_name(name), magnitude, _variant(entry, field), options))
            mutate(recipe, Mutant((mutation,)))
        named.append((mutation, place or field))
    return _Entry(tuple(named))


def _magnitudes(entry: Mapping[Any, Any], field: str) -> list[tuple[Any, str]]:
    """(magnitude, its field) pairs; no magnitude is one pair of None and no field."""
    if "magnitudes" not in entry:
        return [(entry["magnitude"], f"{field}.magnitude")] if entry.get("magnitude") is not None else [(None, "")]
    magnitudes = entry["magnitudes"]
    if "magnitude" in entry:
        raise InputError("magnitude and magnitudes are both set", f"{field}.magnitudes", "one of them")
    if not isinstance(magnitudes, list | tuple) or not magnitudes:
        raise InputError(
            f"{magnitudes!r} is not a list of magnitudes", f"{field}.magnitudes", "a list such as [0.2, 1.0]"
        )
    return [(magnitude, f"{field}.magnitudes[{index}]") for index, magnitude in enumerate(magnitudes)]


def _variant(entry: Mapping[Any, Any], field: str) -> str:
    variant = entry.get("variant", "defined")
    if not isinstance(variant, str):
        raise InputError(f"{variant!r} is not a name", f"{field}.variant", "defined or published")
    return variant


def _published(recipe: TrainingRecipe, variant: str = "defined") -> tuple[Mutation, ...]:
    """Those published mutants that apply to the recipe, in their `variant` where they have it."""
    meant = (
        dataclasses.replace(mutation, variant=variant) if variant in OPERATORS[mutation.operator].variants else mutation
        for mutation in PUBLISHED_MUTATIONS
    )
    return tuple(mutation for mutation in meant if objection(recipe, Mutant((mutation,))) is None)


@contextmanager
def _located(field: str, place: str = "", whole: bool = False) -> Iterator[None]:
    """Refusals get their field: the entry, the key in it, or `place` for the magnitude; the entry if it is one text."""
    try:
        yield
    except MutationRefusedError as error:
        inner = place if error.field == "magnitude" and place else f"{field}.{error.field}"
        raise MutationRefusedError(
            error.problem, field if whole or not error.field else inner, error.expected
        ) from error


def _refuse_unknown_keys(entry: Mapping[Any, Any], known: tuple[str, ...], field: str) -> None:
    for key in entry:
        if key not in known:
            raise unknown_name("key", str(key), known, f"{field}.{key}")


def _name_and_magnitude(base: str, field: str) -> tuple[str, str | None]:
    """Cut an id at the underscore that leaves an operator's name before it; names may hold underscores too."""
    cuts = [(base, None), *((base[: cut.start()], base[cut.end() :]) for cut in reversed([*re.finditer("_", base)]))]
    for name, magnitude in cuts:
        if name and magnitude != "" and _is_known(name):
            return name, magnitude
    numbered = [cut for cut in cuts if cut[1] is not None and re.fullmatch(r"[+-]?[\d.]+(e[+-]?\d+)?", cut[1])]
    likely = numbered or ([] if is_import_path(base) else cuts[-1:])
    operator((likely or cuts)[0][0] or base, field)
    raise InputError(f"{base!r} is not a mutation", field, _EXAMPLES)


def _is_known(name: str) -> bool:
    try:
        operator(name)
    except InputError:
        return False
    return True


def _typed(name: str, magnitude: str | None) -> float | str | None:
    """A text after the underscore, as a number where the operator has a probability."""
    if magnitude is None or isinstance(operator(name).magnitude, ChoiceMagnitude):
        return magnitude
    try:
        return float(magnitude)
    except ValueError:
        return magnitude


def _settings(text: str | None, field: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Variant and options in the brackets of an id: ``published,semantics=freeze``."""
    parts = [part.strip() for part in text.split(",")] if text is not None else []
    variants = [part for part in parts if "=" not in part]
    if "" in parts or len(variants) > 1:
        raise InputError(f"'[{text}]' is malformed", field, "[variant,option=value], as in R_1.0[semantics=freeze]")
    pairs = [part.partition("=") for part in parts if "=" in part]
    names = [name.strip() for name, _, _ in pairs]
    twice = next((name for index, name in enumerate(names) if name in names[:index]), None)
    if twice is not None:
        raise InputError(f"option {twice!r} appears twice in '[{text}]'", field, "each option once")
    options = tuple(sorted((name.strip(), value.strip()) for name, _, value in pairs))
    return (variants[0] if variants else "defined"), options


def _pieces(text: str) -> tuple[str, ...]:
    """The text cut at every dash that may join two mutations."""
    brackets = [match.span() for match in _BRACKETS.finditer(text)]
    cuts = [
        match.start()
        for match in _SEPARATOR.finditer(text)
        if not any(start < match.start() < end for start, end in brackets)
    ]
    bounds = [-1, *cuts, len(text)]
    return tuple(text[start + 1 : end] for start, end in itertools.pairwise(bounds))


def _constituents(pieces: tuple[str, ...], field: str) -> tuple[Mutation, ...]:
    """The mutations in the pieces of an id, as many as there can be: a dash may also belong to a magnitude's name.

    Raises:
        InputError: what is wrong with the first piece that is not a mutation by itself.
    """
    rest: dict[int, tuple[Mutation, ...]] = {len(pieces): ()}  # from which piece on: the mutations of that remainder
    for start in reversed(range(len(pieces))):
        for end in (end for end in range(start + 1, len(pieces) + 1) if end in rest):
            try:
                rest[start] = (parse_mutation("-".join(pieces[start:end]), field), *rest[end])
            except InputError:
                continue
            break
    if 0 not in rest:
        for piece in pieces:
            parse_mutation(piece, field)
    return rest[0]
