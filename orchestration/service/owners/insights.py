"""What an agent's history shows, as the service tells it: the library's insights and their own thresholds."""

from __future__ import annotations

from agents.scheduling.history import History
from orchestration.service.owners.messages import Cluster, FlakyTest, InsightsAnswer, StaleTest


def insights(history: History, version: int) -> InsightsAnswer:
    """Everything from the kept executions; each list with the most telling first, at most 100 of each.

    See `agents.scheduling.insights` for what is worth telling.
    """
    from agents.scheduling.insights import insights as found_in  # scipy: most owners are never asked

    found = found_in(history)
    return InsightsAnswer(
        agent_version=version,
        clusters=tuple(Cluster(one.job, one.tests, one.similarity) for one in found.clusters),
        stale=tuple(StaleTest(one.job, one.test, one.cycles if one.ever_run else -1) for one in found.stale),
        flaky=tuple(
            FlakyTest(one.job, one.test, round(one.flip_rate * (one.executions - 1)), one.executions)
            for one in found.flaky
        ),
    )
