"""What the contracts of agent kinds, rewards and explorations share: how a clause is judged, and sample inputs."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import numpy as np

from agents.scheduling.features import observe
from agents.scheduling.history import History
from agents.scheduling.observation import Observation, Scores
from agents.scheduling.testcase import TestCase, TestResult, Verdict
from envsearch.checks import Check
from envsearch.errors import InputError

SEED = 7
SIZES = (0, 1, 2, 300)

Part = TypeVar("Part")
_SCORING, _OBSERVING, _LEARNING = np.random.SeedSequence(SEED).spawn(3)


class ClauseBrokenError(Exception):
    """A clause does not hold; the text says what was observed."""


def judged(part: Part, clauses: Sequence[tuple[str, Callable[[Part], str]]]) -> list[Check]:
    """Try each clause on a part. What goes wrong inside the part is the detail of a failed check."""
    return [_judge(name, partial(clause, part)) for name, clause in clauses]


def _judge(name: str, clause: Callable[[], str]) -> Check:
    try:
        return Check(name, True, clause())
    except ClauseBrokenError as broken:
        return Check(name, False, str(broken))
    except Exception as error:  # noqa: BLE001 - a user's part may fail in any way
        return Check(name, False, " ".join(f"{type(error).__name__}: {error}".split()))


def scoring_rng() -> np.random.Generator:
    """A generator for scores, in the same state each time."""
    return np.random.default_rng(_SCORING)


def learning_rng() -> np.random.Generator:
    """A generator for learning, in the same state each time."""
    return np.random.default_rng(_LEARNING)


def sample_observation(size: int) -> Observation:
    """Tests with up to six past runs, some of them new."""
    rng = np.random.default_rng(_OBSERVING)
    tests = sample_tests(size)
    history = History(10)
    for cycle in range(6):
        ran = [test for test in tests if rng.random() < 0.7]
        verdicts = [Verdict.FAILED if rng.random() < 0.3 else Verdict.PASSED for _ in ran]
        results = [
            TestResult(test.id, verdict, float(rng.random())) for test, verdict in zip(ran, verdicts, strict=True)
        ]
        history.record(ran, results, cycle)
    return observe(history, tests)


def sample_tests(size: int) -> list[TestCase]:
    """Test cases with features."""
    return [
        TestCase(f"t{place}", features=(("area", f"a{place % 3}"), ("lines", float(place)))) for place in range(size)
    ]


def check_scores(scores: Scores, size: int) -> None:
    """Whether these scores are ones that a ranking can be made of.

    Raises:
        ClauseBrokenError: they are not.
    """
    for name, dtype in (("priority", np.float64), ("explored", np.bool_)):
        _check_array(name, getattr(scores, name), size, dtype)
    if not np.isfinite(scores.priority).all():
        raise ClauseBrokenError(f"priority of {size} tests is not finite")
    if scores.chances is not None:
        _check_array("chances", scores.chances, size, np.float64)
        estimated = scores.chances[~np.isnan(scores.chances)]
        if not ((estimated >= 0.0) & (estimated <= 1.0)).all():
            raise ClauseBrokenError(f"a chance of {size} tests is not in [0, 1]")
    if not 0.0 <= scores.exploration <= 1.0:
        raise ClauseBrokenError(f"exploration is {scores.exploration}, not in [0, 1]")


def _check_array(name: str, values: object, size: int, dtype: type) -> None:
    if not isinstance(values, np.ndarray) or values.shape != (size,) or values.dtype != dtype:
        raise ClauseBrokenError(f"{name} of {size} tests is not an array of shape ({size},) and type {np.dtype(dtype)}")


def check_same_scores(first: Scores, second: Scores, what: str) -> None:
    """Whether two scores are equal bit for bit.

    Raises:
        ClauseBrokenError: they are not.
    """
    if (
        first.priority.tobytes() != second.priority.tobytes()
        or first.explored.tobytes() != second.explored.tobytes()
        or first.exploration != second.exploration
    ):
        raise ClauseBrokenError(f"{what} differ")


def check_global_generators(use: Callable[[], object]) -> str:
    """Whether a call leaves the global generators of Python and numpy alone.

    Raises:
        ClauseBrokenError: it does not.
    """
    before = _global_state()
    use()
    if _global_state() != before:
        raise ClauseBrokenError("a global generator of Python or numpy has moved; draw from the generator passed in")
    return ""


def _global_state() -> tuple[object, ...]:
    _, keys, place, *_ = np.random.get_state()  # noqa: NPY002
    return random.getstate(), np.asarray(keys).tobytes(), place


def check_refused(make: Callable[[Mapping[str, Any]], object]) -> str:
    """Whether a part refuses a setting that it does not have, in one clear line; the line.

    Raises:
        ClauseBrokenError: it takes the setting, or raises something else.
    """
    try:
        make({"no_such_setting": 1})
    except InputError as error:
        return str(error)
    except Exception as error:
        raise ClauseBrokenError(f"an unknown setting raises {type(error).__name__}, not InputError") from error
    raise ClauseBrokenError("an unknown setting is accepted; pass the settings to the base class's __init__")
