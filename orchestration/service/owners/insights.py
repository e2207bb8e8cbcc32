"""The library's insights as the service answers them."""

from __future__ import annotations

from agents.scheduling.history import History
from orchestration.service.api.episodes import FailureClusterEntry, FlakyTestEntry, InsightsAnswer, StaleTestEntry


def insights_answer(history: History, version: int) -> InsightsAnswer:
    """Everything from the kept executions; each list has at most 100 entries, the most significant first.

    See `agents.scheduling.insights` for the thresholds.
    """
    from agents.scheduling.insights import insights  # scipy: few owners need it

    shown = insights(history)
    return InsightsAnswer(
        version,
        [FailureClusterEntry(cluster.job, cluster.tests, cluster.similarity) for cluster in shown.clusters],
        [StaleTestEntry(stale.job, stale.test, stale.cycles if stale.ever_run else -1) for stale in shown.stale],
        [
            FlakyTestEntry(flaky.job, flaky.test, round(flaky.flip_rate * (flaky.executions - 1)), flaky.executions)
            for flaky in shown.flaky
        ],
    )
