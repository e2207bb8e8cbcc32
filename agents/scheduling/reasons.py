"""Why a test has its position, in a few words for people; computed for all tests at once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from agents.scheduling.observation import BoolArray, FloatArray, IntArray, Observation, Scores

OFTEN = 0.2
"""A share of failures among the kept executions from which a test "fails often"."""
LONG = 5
"""A test that was not run for more cycles than this has that as a reason."""
FAST = 0.25
"""A test is fast if it takes at most this share of the cycle's mean."""

Reasons = tuple[str, ...]


def reasons(observation: Observation, scores: Scores, must_run: BoolArray) -> Sequence[Reasons]:
    """The reasons for each test, strongest first; every test has at least one.

    Many tests share their reasons, so the values behind them are packed into a number whose words are cached.
    """
    if not (must_run.any() or scores.explored.any()):
        return observation.once(_of_the_past)
    chosen = must_run * _WEIGHTS[_MUST_RUN] + scores.explored * _WEIGHTS[_EXPLORED]
    return _in_words(observation.once(_packed) + chosen)


def _of_the_past(observation: Observation) -> tuple[Reasons, ...]:
    return _in_words(observation.once(_packed))


def _in_words(packed: IntArray) -> tuple[Reasons, ...]:
    return tuple([_words(number) for number in packed.tolist()])


def _packed(observation: Observation) -> IntArray:
    """What depends on the observation alone, shape (n,)."""
    failed = observation.past_failures == 1.0
    kept = (observation.past_failures >= 0.0).sum(axis=1)  # NaN is not
    failures = failed.sum(axis=1)
    ever = failures > 0
    share = failures / np.maximum(kept, 1)
    waiting = observation.since_run
    fields = np.zeros((len(_BITS), len(observation)), np.int64)
    fields[1] = observation.new
    fields[3] = ever * (failed.argmax(axis=1) + 1)
    fields[4] = ((share >= OFTEN) & (failures > 1)) * np.rint(100.0 * share)
    fields[5] = (waiting > LONG) * np.minimum(waiting, _LONGEST)
    fields[6] = _fast(observation.durations, observation.new)
    fields[7] = ~(ever | observation.new) * kept
    packed: IntArray = _WEIGHTS @ fields
    return packed


_BITS = (1, 1, 1, 11, 7, 30, 1, 11)
_MUST_RUN, _EXPLORED = 0, 2
_WEIGHTS = np.array([1 << sum(_BITS[place + 1 :]) for place in range(len(_BITS))], np.int64)
_LONGEST = (1 << 30) - 1


@lru_cache(maxsize=65_536)
def _words(packed: int) -> Reasons:
    values = []
    for bits in reversed(_BITS):
        values.append(packed & ((1 << bits) - 1))
        packed >>= bits
    steady, fast, waiting, often, failed, explored, new, must = values
    texts = (
        (must, "must run"),
        (new, "new"),
        (explored, "exploring"),
        (failed, "failed in its last run" if failed == 1 else f"failed {failed} runs ago"),
        (often, f"fails often ({often} % of recent runs)"),
        (waiting, f"not run for {waiting} cycles"),
        (fast, "fast"),
        (steady, "passed its last run" if steady == 1 else f"passed its last {steady} runs"),
    )
    return tuple(text for holds, text in texts if holds)


def _fast(durations: FloatArray, new: BoolArray) -> BoolArray:
    if not len(durations):
        return np.zeros(0, np.bool_)
    fast: BoolArray = (durations <= FAST * durations.mean()) & ~new
    return fast
