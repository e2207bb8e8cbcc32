"""The table of kill tests, and how a name finds its test."""

from __future__ import annotations

from typing import Any, cast

from envsearch.errors import InputError, unknown_name
from envsearch.import_path import is_import_path, load_object
from mutations.killing.average_ratio import AverageRatio
from mutations.killing.distance_distribution import DistanceDistribution
from mutations.killing.kill_test import KillTest, power_label
from mutations.killing.margin_permutation import MarginPermutation
from mutations.killing.paired_permutation import PairedPermutation
from mutations.killing.reward_distribution import RewardDistribution

KILL_TESTS: dict[str, KillTest] = {
    "paired_permutation": PairedPermutation(),
    "margin_permutation": MarginPermutation(),
    "average_ratio": AverageRatio(),
    "reward_distribution": RewardDistribution(),
    "distance_distribution": DistanceDistribution(),
}

DEFAULT_KILL_TEST = "paired_permutation"

LABEL_OF_UNKNOWN_POWER = "as the test defines it"

_ATTRIBUTES = ("name", "summary", "source", "resampling", "corrected")
_METHODS = ("judge", "correct")


def kill_test(name: str, field: str = "") -> KillTest:
    """The test of that name in the table, or the one that ``module:object`` names (a class or an instance).

    Raises:
        InputError: the name is unknown (the error suggests the nearest), cannot be imported, or is not a kill test.
    """
    if name in KILL_TESTS:
        return KILL_TESTS[name]
    if not is_import_path(name):
        raise unknown_name("kill test", name, KILL_TESTS, field)
    loaded = load_object(name, field)
    return as_kill_test(_instance(loaded, name, field) if isinstance(loaded, type) else loaded, name, field)


def power_label_of(name: str) -> str:
    """The `power_label` of a test in the table; for another name, that its test defines it."""
    return power_label(KILL_TESTS[name]) if name in KILL_TESTS else LABEL_OF_UNKNOWN_POWER


def as_kill_test(candidate: Any, name: str, field: str = "") -> KillTest:
    """The object itself, if it has what a kill test must have.

    Raises:
        InputError: an attribute or method is missing.
    """
    missing = [part for part in _ATTRIBUTES if not hasattr(candidate, part)]
    missing += [part for part in _METHODS if not callable(getattr(candidate, part, None))]
    if missing:
        raise InputError(
            f"{name!r} is not a kill test: it has no {', '.join(missing)}",
            field,
            "mutations.killing.kill_test.KillTest",
        )
    return cast(KillTest, candidate)


def _instance(loaded: type[Any], name: str, field: str) -> Any:
    try:  # a user's class may fail in any way
        return loaded()
    except Exception as error:
        problem = f"{name!r} cannot be created without arguments ({type(error).__name__}: {error})"
        raise InputError(problem, field, "a class without arguments, or an instance") from error
