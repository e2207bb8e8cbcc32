"""The contract of a reward: what a scheduler relies on, of the table's rewards and of custom ones."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from agents.scheduling.clauses import (
    SEED,
    SIZES,
    ClauseBrokenError,
    check_global_generators,
    judged,
    sample_observation,
    sample_tests,
)
from agents.scheduling.episode import Budget, Episode
from agents.scheduling.observation import FloatArray, Scores
from agents.scheduling.reward import EpisodeOutcome, Reward
from agents.scheduling.testcase import Verdict
from envsearch.checks import Check

_SIZE = 50
_ARRAYS = ("durations", "order", "selected")


def check_reward(kind: type[Reward]) -> list[Check]:
    """Try everything that a scheduler relies on.

    Never raises for a bad reward: what goes wrong inside it is the detail of a failed check.
    """
    return judged(
        kind,
        [
            ("rewards are finite or NaN and of the right shape", _shapes),
            ("it scores every kind of cycle", _sorts),
            ("the same outcome gives the same rewards", _same),
            ("neither the outcome nor the reward changes", _pure),
            ("the global generators are left unchanged", _global_generators),
            ("marks_failures says what the rewards are", _marks_failures),
        ],
    )


def _shapes(kind: type[Reward]) -> str:
    for size in SIZES:
        _check_rewards(kind().rewards(_outcome(size)), size, f"{size} tests")
    return f"{', '.join(map(str, SIZES))} tests"


def _sorts(kind: type[Reward]) -> str:
    names = []
    for name, outcome in _sorts_of_cycles():
        _check_rewards(kind().rewards(outcome), len(outcome), f"a cycle with {name}")
        names.append(name)
    return ", ".join(names)


def _same(kind: type[Reward]) -> str:
    reward = kind()
    first, again, fresh = (
        reward.rewards(_outcome(_SIZE)),
        reward.rewards(_outcome(_SIZE)),
        kind().rewards(_outcome(_SIZE)),
    )
    if not first.tobytes() == again.tobytes() == fresh.tobytes():
        raise ClauseBrokenError("rewards of equal outcomes differ; a reward has no state and no chance")
    return ""


def _pure(kind: type[Reward]) -> str:
    reward, outcome = kind(), _outcome(_SIZE)
    before = dict(vars(reward))
    reward.rewards(outcome)
    untouched = _outcome(_SIZE)
    for name in _ARRAYS:
        if getattr(outcome, name).tobytes() != getattr(untouched, name).tobytes():
            raise ClauseBrokenError(f"the outcome's {name} were written to; copy them first")
    if vars(reward) != before:
        raise ClauseBrokenError("the reward keeps something between two outcomes; it must have no state")
    return ""


def _global_generators(kind: type[Reward]) -> str:
    return check_global_generators(lambda: kind().rewards(_outcome(_SIZE)))


def _marks_failures(kind: type[Reward]) -> str:
    if not kind.marks_failures:
        return "False"
    for name, outcome in _sorts_of_cycles():
        rewards = kind().rewards(outcome)
        for verdict, expected in ((Verdict.FAILED, 1.0), (Verdict.PASSED, 0.0)):
            where = np.array([own is verdict for own in outcome.verdicts], np.bool_)
            if not (rewards[where] == expected).all():
                raise ClauseBrokenError(
                    f"it is True, but in a cycle with {name} a {verdict} test gets not {expected:g}"
                )
    return "True: a failed test gets 1, a passed one 0"


def _check_rewards(rewards: FloatArray, size: int, what: str) -> None:
    if not isinstance(rewards, np.ndarray) or rewards.shape != (size,) or rewards.dtype != np.float64:
        raise ClauseBrokenError(f"rewards of {what} are not an array of shape ({size},) and type float64")
    if np.isinf(rewards).any():
        raise ClauseBrokenError(f"a reward of {what} is infinite; NaN says that there is nothing to learn")


def _sorts_of_cycles() -> Iterator[tuple[str, EpisodeOutcome]]:
    for verdict in Verdict:
        yield f"only {verdict}", _outcome(_SIZE, [verdict] * _SIZE)
    yield "all verdicts", _outcome(_SIZE)
    yield "no time measured", _outcome(_SIZE, seconds=0.0)
    yield "nothing selected", _outcome(_SIZE, selected=0)
    yield "everything selected", _outcome(_SIZE, selected=_SIZE)


def _outcome(
    size: int, verdicts: list[Verdict] | None = None, seconds: float | None = None, selected: int | None = None
) -> EpisodeOutcome:
    """A finished episode, the same for the same arguments; half of the tests fit the budget unless `selected` do."""
    rng = np.random.default_rng(SEED)
    names = list(Verdict)
    drawn = [names[index] for index in rng.integers(len(names), size=size)]
    order, durations = rng.permutation(size), rng.random(size)
    fits = np.zeros(size, np.bool_)
    fits[order[: size // 2 if selected is None else selected]] = True
    scores = Scores(rng.random(size), np.zeros(size, np.bool_), 0.0)
    episode = Episode("e", 0, 0, sample_tests(size), sample_observation(size), scores, order, (), Budget(), 0.0)
    return EpisodeOutcome(
        episode,
        tuple(drawn if verdicts is None else verdicts),
        durations if seconds is None else np.full(size, seconds),
        order,
        fits,
    )
