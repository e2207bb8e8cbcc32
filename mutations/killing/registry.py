"""The table of kill tests, and how a name finds its test."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from envsearch.errors import InputError, unknown_name
from envsearch.import_path import is_import_path, load_object
from mutations.killing.average_ratio import AverageRatio
from mutations.killing.distance_distribution import DistanceDistribution
from mutations.killing.kill_test import KillTest, KillVerdict, power_label, takes_margins
from mutations.killing.margin_permutation import MarginPermutation
from mutations.killing.margins import Margins
from mutations.killing.paired_margin_permutation import PairedMarginPermutation
from mutations.killing.paired_permutation import PairedPermutation
from mutations.killing.reward_distribution import RewardDistribution

KILL_TESTS: dict[str, KillTest] = {
    "margin_permutation": MarginPermutation(),
    "paired_margin_permutation": PairedMarginPermutation(),
    "paired_permutation": PairedPermutation(),
    "average_ratio": AverageRatio(),
    "reward_distribution": RewardDistribution(),
    "distance_distribution": DistanceDistribution(),
}

DEFAULT_KILL_TEST = "margin_permutation"

_ATTRIBUTES = ("name", "summary", "source", "resampling", "corrected")
_METHODS = ("judge",)
_CORRECTED = ("level", "conclude")


def kill_test(name: str, field: str = "", margins: Margins | None = None) -> KillTest:
    """The test of that name in the table, or the one that ``module:object`` names (a class or an instance).

    Args:
        name: in the table, or an import path.
        field: for errors.
        margins: of the spec or the command line, for a test that takes them.

    Raises:
        InputError: the name is unknown (the error suggests the nearest), cannot be imported, or is not a kill test.
    """
    test = _named(name, field)
    if margins is None or not takes_margins(test):
        return test
    return as_kill_test(cast(Any, test).with_margins(margins), name, field)


def _named(name: str, field: str) -> KillTest:
    if name in KILL_TESTS:
        return KILL_TESTS[name]
    if not is_import_path(name):
        raise unknown_name("kill test", name, KILL_TESTS, field)
    loaded = load_object(name, field)
    return as_kill_test(_instance(loaded, name, field) if isinstance(loaded, type) else loaded, name, field)


def power_labels(verdicts: Iterable[KillVerdict]) -> str:
    """The labels of the power of stored verdicts by one test, for the head of a column; empty without any power."""
    labels = (power_label(verdict, KILL_TESTS.get(verdict.test)) for verdict in verdicts)
    return " / ".join(dict.fromkeys(label for label in labels if label))


def as_kill_test(candidate: Any, name: str, field: str = "") -> KillTest:
    """The object itself, if it has what a kill test must have.

    A test that says `corrected` but still corrects its own verdicts (`correct`, before 0.2.0) is refused, because its
    correction knows only a part of the report. A test that is not corrected may keep such a method; it is not called.

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
    lacking = [part for part in _CORRECTED if not hasattr(candidate, part)] if candidate.corrected else []
    if lacking:
        fault = "is corrected"
        if hasattr(candidate, "correct"):
            fault = "corrects its own verdicts, but correction is over the whole report"
        raise InputError(
            f"{name!r} {fault}: it has no {' and no '.join(lacking)}",
            field,
            "mutations.killing.kill_test.CorrectedKillTest, or corrected = False",
        )
    return cast(KillTest, candidate)


def _instance(loaded: type[Any], name: str, field: str) -> Any:
    try:  # a user's class may fail in any way
        return loaded()
    except Exception as error:
        problem = f"{name!r} cannot be created without arguments ({type(error).__name__}: {error})"
        raise InputError(problem, field, "a class without arguments, or an instance") from error
