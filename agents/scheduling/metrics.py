"""How good an order of tests was.

With n tests in the cycle, m failing ones, r_i the position of the i-th detected failure and p = detected / m:

* NAPFD = p - sum(r_i) / (m n) + p / (2 n)                                        (Qu, Cohen, Woolf 2007)
* APFD is the same when every test is run, so p = 1                               (Rothermel et al. 1999)
* APFDc = sum_i (sum_{j >= r_i} t_j - t_{r_i} / 2) / (m sum_j t_j), every test run
                                                            (Elbaum et al. 2001, all failures equally severe)
* TTFF: time until the end of the first failing test that is run / duration of all tests; 1 if every failure is missed
* recall = detected / m

Only the verdict *failed* is a failure. A cycle without one has no metrics and is left out of means.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agents.scheduling.observation import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class CycleMetrics:
    """Metrics of one cycle with at least one failing test.

    Attributes:
        napfd, ttff, recall: of the selected tests.
        apfd, apfdc: of the order as if there were no budget.
        missed: every failure was missed.
    """

    napfd: float
    apfd: float
    apfdc: float
    ttff: float
    recall: float
    missed: bool


METRIC_NAMES = ("napfd", "apfd", "apfdc", "ttff", "recall")


def cycle_metrics(
    order: IntArray,
    selected: BoolArray,
    failed: BoolArray,
    durations: FloatArray,
    unlimited_order: IntArray | None = None,
) -> CycleMetrics | None:
    """Metrics of an order; None if no test failed.

    Args:
        order: indices of all n tests in the order to run; not selected tests follow the selected ones.
        unlimited_order: what it would be without a budget; None: the same.
        selected, failed, durations: by test, shape (n,); durations in seconds. If all are zero, each counts as one.
    """
    failing = int(failed.sum())
    if failing == 0:
        return None
    count = len(order)
    detected = np.flatnonzero((failed & selected)[order]) + 1
    total = float(durations.sum())
    costs, total = (durations, total) if total > 0.0 else (np.ones(count), float(count))
    unlimited = order if unlimited_order is None else unlimited_order
    positions = np.flatnonzero(failed[unlimited]) + 1
    return CycleMetrics(
        napfd=_napfd(detected, failing, count),
        apfd=_napfd(positions, failing, count),
        apfdc=_apfdc(positions, costs[unlimited]),
        ttff=float(costs[order[: detected[0]]].sum()) / total if len(detected) else 1.0,
        recall=len(detected) / failing,
        missed=len(detected) == 0,
    )


def _apfdc(positions: IntArray, times: FloatArray) -> float:
    ends = np.cumsum(times)
    middles = ends[positions - 1] - times[positions - 1] / 2.0
    return float((1.0 - middles / ends[-1]).sum()) / len(positions)


def _napfd(detected: IntArray, failing: int, count: int) -> float:
    share = len(detected) / failing
    return share - float(detected.sum()) / (failing * count) + share / (2.0 * count)
