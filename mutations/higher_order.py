"""Higher-order mutants: which to build, and how each relates to the first-order mutants it is made of.

Jia & Harman, Higher Order Mutation Testing (Information and Software Technology 51, 2009), compare the set Th of tests
that kill the higher-order mutant with the sets T1 ... Tn of its constituents; U is their union, I their intersection:

* subsuming: it is killed, and by fewer tests than its constituents together: 0 < |Th| < |U|
* strongly subsuming: also, every test that kills it kills each constituent: Th within I; else weakly subsuming
* coupled: a test that kills it kills a constituent too: Th meets U; else decoupled

A strongly subsuming mutant is always coupled. One that no test kills is not subsuming: nothing is known about it.
The published study on deep RL (ICST 2023) also calls subsuming what is killed by as many tests as its constituents
together, where all of these are killed by the same tests: |Th| = |U| and U = I. Both readings are given.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from envsearch.errors import InputError
from mutations.kill_matrix import KillMatrix

Kills = NDArray[np.bool_]
"""Which environments kill one mutant, shape (environments,)."""

_SEPARATOR = re.compile(r"-(?=[^\W\d])")
"""Between two constituents: a dash before an operator's first letter, so not one in ``R_1e-05`` or ``X_-0.5``."""

_BRACKETS = re.compile(r"\[[^\]]*\]")


class Property(StrEnum):
    """How a higher-order mutant relates to its constituents; the texts are those of the published tables."""

    STRONGLY_COUPLED = "Strongly Subsuming and Coupled"
    WEAKLY_COUPLED = "Weakly Subsuming and Coupled"
    WEAKLY_DECOUPLED = "Weakly Subsuming and Decoupled"
    NON_SUBSUMING = "Non-subsuming"


@dataclass(frozen=True, slots=True)
class Classification:
    """What the kills of a higher-order mutant and of its constituents say.

    Attributes:
        published, strict: the property with and without the published study's extension.
        kills: |Th|, environments that kill the higher-order mutant.
        union, intersection: |U| and |I|, environments that kill some and all of its constituents.
    """

    published: Property
    strict: Property
    kills: int
    union: int
    intersection: int


def classify_kills(higher: Kills, constituents: Sequence[Kills]) -> Classification:
    """Classify a higher-order mutant of n constituents.

    Args:
        higher: Th, shape (environments,).
        constituents: T1 ... Tn, n >= 2, each of that shape.

    Raises:
        InputError: fewer than two constituents, or shapes that differ.
    """
    if len(constituents) < 2:
        raise InputError(f"{len(constituents)} constituents", "higher-order mutant", "at least two")
    killers = np.asarray(higher, dtype=np.bool_)
    if any(np.shape(kills) != killers.shape for kills in constituents):
        raise InputError("different numbers of environments", "higher-order mutant", "the same environments")
    union = np.logical_or.reduce(constituents)
    intersection = np.logical_and.reduce(constituents)
    kills, kills_union = int(np.sum(killers)), int(np.sum(union))
    extended = kills == kills_union and bool(np.array_equal(union, intersection))
    relation = _relation(killers, union, intersection)
    return Classification(
        published=relation if kills > 0 and (kills < kills_union or extended) else Property.NON_SUBSUMING,
        strict=relation if 0 < kills < kills_union else Property.NON_SUBSUMING,
        kills=kills,
        union=kills_union,
        intersection=int(np.sum(intersection)),
    )


def _relation(higher: Kills, union: Kills, intersection: Kills) -> Property:
    """Which kind of subsuming it is, given that it is subsuming."""
    if not np.any(higher & union):
        return Property.WEAKLY_DECOUPLED
    if np.any(higher & ~intersection):
        return Property.WEAKLY_COUPLED
    return Property.STRONGLY_COUPLED


def operator_of(mutant: str) -> str:
    """The operator in a first-order mutant's id: ``PAC`` of ``PAC_ReLU``, ``RN`` of ``RN_1.0[published]``.

    Of an operator by import path (``module:object``) only a number is cut off: its own name may hold underscores.
    """
    base = mutant.split("[", 1)[0]
    if ":" in base:
        return re.sub(r"_[+-]?[\d.]+(e[+-]?\d+)?\Z", "", base)
    return base.split("_", 1)[0]


def candidates(
    matrix: KillMatrix, order: int = 2, operator: Callable[[str], str] = operator_of
) -> tuple[tuple[str, ...], ...]:
    """Combinations of first-order mutants worth building: each killed by some, but not all, environments.

    The published study's rule (pairs), for any order: no operator is in a combination twice.

    Args:
        matrix: of first-order mutants only.
        order: constituents per combination.
        operator: the operator of a mutant's id.

    Returns:
        ids of the constituents, in the matrix's order; empty where there are too few.

    Raises:
        InputError: the order is below 2.
    """
    if order < 2:
        raise InputError(f"order {order} is not higher-order", "order", "2 or more")
    partly = [
        mutant
        for mutant, kills in zip(matrix.mutants, matrix.killed, strict=True)
        if 0 < int(kills.sum()) < len(matrix.environments)
    ]
    return tuple(
        combination
        for combination in itertools.combinations(partly, order)
        if len({operator(mutant) for mutant in combination}) == order
    )


def constituents_of(mutant: str, known: Collection[str]) -> tuple[str, ...]:
    """The first-order mutants in a higher-order id such as ``NDF-MTS``.

    A dash inside brackets or before a digit belongs to a constituent; so does any dash where only that makes all
    constituents known (``X_leaky-relu-NDF``).

    Args:
        known: ids that there are.

    Raises:
        InputError: it is a first-order id, names a constituent twice, or one that is not known.
    """
    pieces = _split(mutant)
    if len(pieces) < 2:
        problem = f"{mutant!r} has no constituents"
        raise InputError(problem, "mutant", "a higher-order mutant: ids of its constituents joined by '-'")
    parts = next((parts for parts in _joined(pieces) if len(parts) > 1 and set(parts) <= set(known)), pieces)
    unknown = [part for part in parts if part not in known]
    if unknown:
        problem = f"constituent {unknown[0]!r} of {mutant!r} is not in the kill matrix"
        raise InputError(problem, "mutant", f"one of {', '.join(known)}")
    if len(set(parts)) < len(parts):
        raise InputError(f"{mutant!r} names a constituent twice", "mutant", "different constituents")
    return parts


def _split(mutant: str) -> tuple[str, ...]:
    brackets = [match.span() for match in _BRACKETS.finditer(mutant)]
    cuts = [
        match.start()
        for match in _SEPARATOR.finditer(mutant)
        if not any(start < match.start() < end for start, end in brackets)
    ]
    starts, ends = [0, *(cut + 1 for cut in cuts)], [*cuts, len(mutant)]
    return tuple(mutant[start:end] for start, end in zip(starts, ends, strict=True))


def _joined(pieces: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """All ways to read some dashes as part of a name, those with the most constituents first."""
    gaps = range(1, len(pieces))
    for kept in range(len(pieces) - 1, -1, -1):
        for cuts in itertools.combinations(gaps, kept):
            bounds = [0, *cuts, len(pieces)]
            yield tuple("-".join(pieces[start:end]) for start, end in itertools.pairwise(bounds))
