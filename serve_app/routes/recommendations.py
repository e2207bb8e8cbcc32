"""The protocol: recommend, execute, report results, reward; and the next test in real time."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from orchestration.service.owners.messages import ResultsRequest, RewardRequest
from orchestration.service.tokens import Scope
from serve_app.bodies import answered, body_of
from serve_app.routes.calls import AgentPath, Call, EpisodePath, IdempotencyKey, gate_of, metrics_of, service_of
from serve_app.schemas.recommendations import (
    NextIn,
    NextOut,
    RecommendationIn,
    RecommendationOut,
    ResultsIn,
    ResultsOut,
    RewardOut,
    next_out,
    recommendation_out,
    results_out,
    reward_out,
)


async def recommend(request: Request, agent: AgentPath, idempotency_key: IdempotencyKey = "") -> Response:
    """The order in which to run a job's tests, with reasons, cut to the budget; opens an episode."""
    caller = await gate_of(request).admit(request, Scope.RECOMMEND, agent)
    asked = await body_of(request, RecommendationIn)
    caller.may_observe(asked.observe)
    answer = await service_of(request).recommend(agent, asked.message(idempotency_key))
    metrics_of(request).recommendation({"exploration": answer.exploration})
    return answered(RecommendationOut, recommendation_out(answer))


async def report_results(request: Request, agent: AgentPath, episode: EpisodePath) -> Response:
    """What came of the tests, in parts or at once. The same result again is fine; another one is a conflict."""
    await gate_of(request).admit(request, Scope.RECOMMEND, agent)
    asked = await body_of(request, ResultsIn)
    answer = await service_of(request).results(agent, ResultsRequest(episode, asked.message()))
    metrics_of(request).results(answer.recorded)
    return answered(ResultsOut, results_out(answer))


async def reward_episode(request: Request, agent: AgentPath, episode: EpisodePath) -> Response:
    """Score the episode, learn from it, make a new version. The same call again gets the first answer."""
    await gate_of(request).admit(request, Scope.RECOMMEND, agent)
    answer = await service_of(request).reward(agent, RewardRequest(episode))
    if not answer.repeated:
        metrics_of(request).reward({"reward": answer.total, **dict(answer.metrics)})
    return answered(RewardOut, reward_out(answer))


async def next_test(request: Request, agent: AgentPath) -> Response:
    """What to run next, given what has run in this episode so far."""
    await gate_of(request).admit(request, Scope.RECOMMEND, agent)
    asked = await body_of(request, NextIn)
    answer = await service_of(request).next(agent, asked.message())
    metrics_of(request).results(len(asked.results))
    return answered(NextOut, next_out(answer))


AGENT = "/agents/{agent}"
EPISODE = f"{AGENT}/episodes/{{episode}}"

CALLS: tuple[Call, ...] = (
    Call(
        "POST",
        f"{AGENT}/recommendations",
        recommend,
        "Ask for an order",
        RecommendationOut,
        body=RecommendationIn,
        problems=(409,),
    ),
    Call("POST", f"{EPISODE}/results", report_results, "Report results", ResultsOut, body=ResultsIn, problems=(409,)),
    Call("POST", f"{EPISODE}/reward", reward_episode, "Reward an episode", RewardOut, problems=(409,)),
    Call("POST", f"{AGENT}/next", next_test, "Ask for the next test", NextOut, body=NextIn, problems=(409,)),
)
