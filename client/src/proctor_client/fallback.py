"""The fallback without the service: the job's own order, under the same budget as far as durations are known."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from proctor_client.errors import SchedulerWarning
from proctor_client.types import NextTest, RankedTest, Recommendation, TestCase

LOG = logging.getLogger("proctor_client")


def given_order(
    agent: str,
    tests: Sequence[TestCase],
    time_budget_seconds: float | None,
    must_run: Sequence[str],
    problem: str,
) -> Recommendation:
    """The tests in the job's own order.

    With a budget, tests of known duration are selected from the top while they fit; tests that must run and tests of
    unknown duration are always selected. As in every recommendation, tests that are not selected come last.
    """
    must = set(must_run)
    spent = sum(test.duration or 0.0 for test in tests if test.id in must)
    chosen, left = [], []
    for test in tests:
        always = time_budget_seconds is None or test.duration is None or test.id in must
        if always or spent + (test.duration or 0.0) <= (time_budget_seconds or 0.0):
            chosen.append(test)
            spent += 0.0 if test.id in must else test.duration or 0.0
        else:
            left.append(test)
    reasons = ("the job's own order: the service is not available",)
    ranking = tuple(
        RankedTest(test.id, position, 0.0, position <= len(chosen), test.duration, reasons)
        for position, test in enumerate(chosen + left, start=1)
    )
    return Recommendation(agent, "", 0, ranking, fallback=problem)


def next_of_order(recommendation: Recommendation, done: AbstractSet[str]) -> NextTest:
    """The first selected test that is not done."""
    left = [test for test in recommendation.ranking if test.selected and test.id not in done]
    if not left:
        return NextTest(recommendation.episode_id, None, None, (), 0)
    return NextTest(recommendation.episode_id, left[0].id, left[0].position, left[0].reasons, len(left))


def warn(problem: str, consequence: str) -> None:
    """Warn in the job's log. Where warnings are errors it is only logged: a fallback never breaks a job."""
    text = f"Proctor: {problem}; {consequence}"
    try:
        warnings.warn(text, SchedulerWarning, stacklevel=2)
    except SchedulerWarning:
        LOG.warning(text)
