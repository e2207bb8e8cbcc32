"""What an agent observes of one cycle: history and metadata as numbers, all known before the cycle runs."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from functools import lru_cache, partial

import numpy as np

from agents.scheduling.budget import budget_seconds
from agents.scheduling.columns import TestColumns, declared_seconds, keys_of
from agents.scheduling.episode import Budget
from agents.scheduling.history import History
from agents.scheduling.observation import FloatArray, Observation
from agents.scheduling.testcase import FeatureValue, TestCase

METADATA_SLOTS = 16

HISTORY_FEATURES = (
    "new",  # 1: no execution known
    "failed_last",  # the latest execution failed
    "failure_rate",  # exponentially weighted over all executions; .5 without any
    "recent_failures",  # share of the kept executions
    "all_failures",  # share of all executions
    "flips",  # share of kept neighbouring executions with different verdicts: high for flaky tests
    "recency_of_run",  # 1 / cycles since the last run; 0 never
    "recency_of_failure",  # 1 / cycles since the last failure; 0 never
    "experience",  # 1 - 1 / (1 + runs)
    "youth",  # 1 / cycles since the test became known; 1 now
    "duration",  # expected seconds, squashed
    "relative_duration",  # ln of the expected seconds over the cycle's mean, squashed
    "place",  # in the job's own order: 0 first, 1 last
)

FEATURE_NAMES = (*HISTORY_FEATURES, *(f"metadata_{slot}" for slot in range(METADATA_SLOTS)))


def observe(history: History, tests: Sequence[TestCase], budget: Budget | None = None) -> Observation:
    """What an agent observes of these candidates under this budget. Changes nothing."""
    keys = keys_of(tests)
    rows = history.rows(keys)
    counts = history.counts(rows)
    durations = expected_durations(tests, counts.mean_seconds)
    return Observation(
        keys=keys,
        feature_names=FEATURE_NAMES,
        past_failures=history.past_failures(rows),
        runs=counts.runs,
        failures=counts.failures,
        since_run=counts.since_run,
        since_failure=counts.since_failure,
        age=counts.age,
        durations=durations,
        new=counts.runs == 0,
        failure_rate=counts.failure_rate,
        make_features=partial(features_of, tests),
        budget_seconds=None if budget is None else budget_seconds(budget, durations),
    )


def features_of(tests: Sequence[TestCase], seen: Observation) -> FloatArray:
    """The features, a function of the rest of the observation; shape (n, len(FEATURE_NAMES))."""
    return np.concatenate([_history_features(seen), metadata_features(tests)], axis=1, dtype=np.float64)


def expected_durations(tests: Sequence[TestCase], past_mean: FloatArray) -> FloatArray:
    """Seconds: as declared, else the mean of past runs, else the mean over the known tests of the cycle, else 1."""
    declared = declared_seconds(tests)
    missing = np.isnan(declared)
    if not missing.any():
        return declared
    durations = np.where(missing, past_mean, declared)
    unknown = np.isnan(durations)
    if unknown.any():
        durations[unknown] = 1.0 if unknown.all() else durations[~unknown].mean()
    return durations


def squash(values: FloatArray) -> FloatArray:
    """sign(x) ln(1 + |x|) / (1 + ln(1 + |x|)): into (-1, 1), monotone, large numbers still differ."""
    size = np.log1p(np.abs(values))
    squashed: FloatArray = np.sign(values) * size / (1.0 + size)
    return squashed


def metadata_features(tests: Sequence[TestCase]) -> FloatArray:
    """Metadata as signed sums in a fixed number of slots, shape (n, METADATA_SLOTS).

    Feature hashing (Weinberger et al. 2009, section 2): a number adds its squashed value to the slot of its name, a
    category or truth value adds 1 to the slot of "name=value"; signs come from the hash too. Names that appear later
    need no new column.
    """
    matrix = np.zeros((len(tests), METADATA_SLOTS))
    if isinstance(tests, TestColumns) and not tests.features:
        return matrix
    for row, test in enumerate(tests):
        for name, value in test.features:
            slot, amount = _slot(name, value)
            matrix[row, slot] += amount
    return matrix


@lru_cache(maxsize=65_536)
def _slot(name: str, value: FeatureValue) -> tuple[int, float]:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    text = f"{name}\x1f" if is_number else f"{name}\x1f{value}"
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    sign = 1.0 if digest[7] & 1 else -1.0
    if not is_number:
        return digest[0] % METADATA_SLOTS, sign
    size = math.log1p(abs(float(value)))
    return digest[0] % METADATA_SLOTS, sign * math.copysign(size / (1.0 + size), float(value))


def _history_features(seen: Observation) -> FloatArray:
    durations = seen.durations
    known = ~np.isnan(seen.past_failures)
    kept = known.sum(axis=1)
    filled = np.where(known, seen.past_failures, 0.0)
    pairs = known[:, 1:] & known[:, :-1]
    flips = (pairs & (filled[:, 1:] != filled[:, :-1])).sum(axis=1)
    mean = durations.mean() if len(durations) else 1.0
    relative = np.log((durations + 1e-3) / (mean + 1e-3))
    count = len(durations)
    columns = (
        seen.runs == 0,
        filled[:, 0],
        np.where(seen.runs > 0, seen.failure_rate, 0.5),
        filled.sum(axis=1) / np.maximum(kept, 1),
        seen.failures / np.maximum(seen.runs, 1),
        flips / np.maximum(pairs.sum(axis=1), 1),
        _recency(seen.since_run),
        _recency(seen.since_failure),
        1.0 - 1.0 / (1.0 + seen.runs),
        np.where(seen.age < 0, 1.0, _recency(seen.age)),
        squash(durations),
        squash(relative),
        np.arange(count) / max(count - 1, 1),
    )
    matrix = np.empty((count, len(columns)))
    for place, column in enumerate(columns):
        matrix[:, place] = column
    return matrix


def _recency(since: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> FloatArray:
    recency: FloatArray = np.where(since > 0, 1.0 / np.maximum(since, 1), 0.0)
    return recency
