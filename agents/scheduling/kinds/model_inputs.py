"""The inputs of the failure model for each test case: rates at several memories, times, streaks, neighbours.

All of them are known before the cycle runs. Rows that repeat a test get the same inputs: in real histories a test that
appears twice in a cycle often ran again *because* it failed, so the number and the places of its rows reveal its
verdict.
"""

from __future__ import annotations

import numpy as np

from agents.scheduling.features import METADATA_SLOTS
from agents.scheduling.kinds.failure_statistics import DECAYS, PATTERN, PRIOR_WEIGHT, FailureStatistics, rates
from agents.scheduling.observation import BoolArray, FloatArray, IntArray, Observation

REACH = 6
"""Neighbours on each side."""
SHORTEST = 1e-3
"""Seconds added to a duration before its logarithm is taken."""

INPUT_NAMES = (
    *(f"rate_{decay:g}" for decay in DECAYS),  # log-odds of failing, executions weighed by decay^k
    "pattern",  # log-odds of failing after the same last verdicts, over all tests
    "new",
    "failed_last",
    "failures_in_a_row",  # ln(1 + number)
    "passes_in_a_row",
    "ever_failed",
    "since_run",  # ln(1 + cycles)
    "since_failure",  # 1 / cycles
    "slow_since_failure",  # 1 / (1 + ln cycles)
    "runs",  # ln(1 + number)
    "age",  # ln(1 + episodes since the first)
    "flips",  # changes of verdict per pair of executions
    "place",  # in the job's own order: -.5 first, .5 last
    "place_of_new",
    "neighbours_now",  # log-odds of the rate of the tests next in the order of names, last executions counting most
    "neighbours_ever",  # the same over longer memory
    "neighbours_of_new",
    "failed_neighbours",  # neighbours that failed lately
    "duration",  # ln of the expected seconds over the cycle's mean
    *(f"metadata_{slot}" for slot in range(METADATA_SLOTS)),
)


def model_inputs(memory: FailureStatistics, observation: Observation) -> FloatArray:
    """Shape (n, len(INPUT_NAMES))."""
    first, back = distinct(observation.keys)
    keys = [observation.keys[place] for place in first.tolist()]
    rows = memory.find(keys)
    new = memory.column["runs"][rows] == 0
    columns = np.concatenate(
        [
            log_odds(rates(memory, rows)),
            _history(memory, rows, new, observation, first),
            _neighbours(memory, rows, keys, new),
            _relative(observation.durations[first])[:, None],
            observation.features[first, -METADATA_SLOTS:],
        ],
        axis=1,
    )
    return columns[back]


def log_odds(rate: FloatArray) -> FloatArray:
    """ln(p / (1 - p)), p held to [1e-6, .99]."""
    held = np.clip(rate, 1e-6, 0.99)
    odds: FloatArray = np.log(held / (1.0 - held))
    return odds


def distinct(keys: tuple[str, ...]) -> tuple[IntArray, IntArray]:
    """The first row of each test, in order, shape (u,), and for each row the number of its test, shape (n,)."""
    number: dict[str, int] = {}
    back = np.fromiter((number.setdefault(key, len(number)) for key in keys), np.int64, len(keys))
    first = np.zeros(len(number), np.int64)
    first[back[::-1]] = np.arange(len(keys))[::-1]
    return first, back


def _history(
    memory: FailureStatistics, rows: IntArray, new: BoolArray, observation: Observation, first: IntArray
) -> FloatArray:
    """From `pattern` to `place_of_new`, shape (u, .)."""
    column, count = memory.column, len(rows)
    runs, streak = column["runs"][rows], column["streak"][rows]
    since_run, since_failure = observation.since_run[first], observation.since_failure[first]
    failed_before = since_failure > 0
    often = np.maximum(since_failure, 1)
    age = np.where(rows < 0, 0, memory.clock - column["first"][rows])
    place = np.arange(count) / max(count - 1, 1) - 0.5
    values = (
        log_odds(_after_pattern(memory, rows)),
        new,
        streak > 0,
        np.log1p(np.maximum(streak, 0)),
        np.log1p(np.maximum(-streak, 0)),
        failed_before,
        np.log1p(np.maximum(since_run, 0)),
        np.where(failed_before, 1.0 / often, 0.0),
        np.where(failed_before, 1.0 / (1.0 + np.log(often)), 0.0),
        np.log1p(runs),
        np.log1p(np.maximum(age, 0)),
        column["flips"][rows] / np.maximum(runs - 1, 1),
        place,
        place * new,
    )
    return np.stack([np.asarray(value, np.float64) for value in values], axis=1)


def _after_pattern(memory: FailureStatistics, rows: IntArray) -> FloatArray:
    """How often tests failed after the same last verdicts; rare patterns lean on shorter ones. Shape (n,)."""
    pattern, known = memory.column["pattern"][rows], memory.column["known"][rows]
    rate = np.full(len(rows), memory.new[0] / memory.new.sum())
    for length in range(PATTERN + 1):
        tail = pattern & ((1 << length) - 1)
        failed, cases = memory.patterns[0, length, tail], memory.patterns[1, length, tail]
        rate = np.where(known >= max(length, 1), (failed + 2.0 * rate) / (cases + 2.0), rate)
    return rate


def _neighbours(memory: FailureStatistics, rows: IntArray, keys: list[str], new: BoolArray) -> FloatArray:
    """The four inputs of neighbours, shape (u, 4)."""
    near, exists = memory.neighbours(keys, rows, REACH)
    distance = np.concatenate([np.arange(REACH, 0, -1), np.arange(1, REACH + 1)]) + 0.5
    clock = memory.clock + 1
    close = exists * 0.8**distance
    weight = close * 0.97 ** (clock - memory.column["last"][near])
    all_rates = rates(memory, np.append(np.arange(len(memory)), -1))
    now, ever = (
        ((weight * all_rates[near, memory_index]).sum(axis=1) + PRIOR_WEIGHT * memory.share)
        / (weight.sum(axis=1) + PRIOR_WEIGHT)
        for memory_index in (0, 3)
    )
    last_failure = memory.column["last_failure"][near]
    lately = np.where(last_failure >= 0, np.exp(-(clock - last_failure) / 5.0), 0.0)
    now_odds = log_odds(now)
    return np.stack([now_odds, log_odds(ever), now_odds * new, (close * lately).sum(axis=1)], axis=1)


def _relative(durations: FloatArray) -> FloatArray:
    mean = durations.mean() if len(durations) else 1.0
    relative: FloatArray = np.log((durations + SHORTEST) / (mean + SHORTEST))
    return relative
