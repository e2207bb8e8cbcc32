"""The contract of an exploration: what a scheduler relies on, of the table's explorations and of custom ones."""

from __future__ import annotations

import numpy as np

from agents.scheduling.clauses import (
    SIZES,
    ClauseBrokenError,
    check_global_generators,
    check_refused,
    check_same_scores,
    check_scores,
    judged,
    sample_observation,
    scoring_rng,
)
from agents.scheduling.explorer import Exploration
from agents.scheduling.observation import Scores
from envsearch.checks import Check

VERSIONS = (0, 1, 50, 100_000)
_SIZE = 50


def check_exploration(kind: type[Exploration]) -> list[Check]:
    """Try everything that a scheduler relies on.

    Never raises for a bad exploration: what goes wrong inside it is the detail of a failed check.
    """
    return judged(
        kind,
        [
            ("scores are finite and of the right shape", _shapes),
            ("the same generator gives the same scores", _same_generator),
            ("neither the scores nor the exploration change", _pure),
            ("estimated chances stay with their tests", _chances),
            ("the global generators are left unchanged", _global_generators),
            ("an unknown setting is refused in one line", check_refused),
        ],
    )


def _shapes(kind: type[Exploration]) -> str:
    for size in SIZES:
        for version in VERSIONS:
            check_scores(_explored(kind({}), size, version), size)
    return f"{', '.join(map(str, SIZES))} tests, after {', '.join(map(str, VERSIONS))} rewards"


def _same_generator(kind: type[Exploration]) -> str:
    exploration = kind({})
    first, again = _explored(exploration), _explored(exploration)
    check_same_scores(first, again, "two explored scores with equal generators")
    check_same_scores(first, _explored(kind({})), "explored scores of two equal explorations")
    return ""


def _pure(kind: type[Exploration]) -> str:
    exploration, scores = kind({}), _scores(_SIZE)
    before = dict(vars(exploration))
    exploration.apply(scores, sample_observation(_SIZE), 0, scoring_rng())
    check_same_scores(scores, _scores(_SIZE), "the agent's own scores before and after")
    if vars(exploration) != before:
        raise ClauseBrokenError("the exploration keeps something between two calls; it must have no state")
    return ""


def _chances(kind: type[Exploration]) -> str:
    chances, expected = _explored(kind({})).chances, _scores(_SIZE).chances
    if chances is None or expected is None or chances.tobytes() != expected.tobytes():
        raise ClauseBrokenError("they are lost or changed; make the scores with dataclasses.replace(scores, ...)")
    return ""


def _global_generators(kind: type[Exploration]) -> str:
    return check_global_generators(lambda: _explored(kind({})))


def _explored(exploration: Exploration, size: int = _SIZE, version: int = 0) -> Scores:
    return exploration.apply(_scores(size), sample_observation(size), version, scoring_rng())


def _scores(size: int) -> Scores:
    """What an agent could answer, the same each time."""
    return Scores(np.linspace(1.0, 0.0, size), np.zeros(size, np.bool_), 0.25, np.linspace(0.9, 0.1, size))
