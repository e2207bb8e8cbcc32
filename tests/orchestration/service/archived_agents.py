"""Services whose agents off-load their past."""

from __future__ import annotations

from typing import Any

from agents.scheduling.testcase import Verdict
from orchestration.service.api.agents import CreateAgent
from orchestration.service.api.recommendations import RecommendationRequest, ReportedResult, ResultsRequest
from orchestration.service.service import SchedulingService, ServiceSettings

IDS = ("a", "b")


async def cycles(service: SchedulingService, name: str, count: int, open_one: bool = False) -> list[Any]:
    """So many episodes with results and rewards; the rewards. `open_one`: the second episode stays open."""
    answers = []
    for number in range(count):
        episode = (await service.recommend(name, RecommendationRequest.of(IDS, job="job"))).episode_id
        if open_one and number == 1:
            continue
        first, second = Verdict.FAILED if number % 2 else Verdict.PASSED, Verdict.PASSED
        results = [ReportedResult(IDS[0], first, 1.0), ReportedResult(IDS[1], second, finished_at=7.0)]
        await service.results(name, episode, ResultsRequest(results))
        answers.append(await service.reward(name, episode))
    return answers


async def service_of(settings: ServiceSettings, *names: str) -> SchedulingService:
    """A service with an agent of each name."""
    service = SchedulingService(settings)
    for name in names:
        await service.create_agent(CreateAgent(name, "bandit"))
    return service
