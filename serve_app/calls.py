"""Every call of the service over HTTP: the one table for routing, checks, metrics and the OpenAPI document."""

from __future__ import annotations

from typing import Final

import msgspec
from starlette.responses import Response

from orchestration.service.api.agents import (
    AgentInfo,
    AgentsPage,
    CreateAgent,
    PatchAgent,
    RestoreAnswer,
    RestoreRequest,
    VersionsPage,
)
from orchestration.service.api.decoding import decode, encode
from orchestration.service.api.episodes import EpisodeDetail, EpisodesPage, InsightsAnswer, MetricsPage
from orchestration.service.api.recommendations import (
    NextAnswer,
    NextRequest,
    RecommendationAnswer,
    RecommendationRequest,
    ResultsAnswer,
    ResultsRequest,
    RewardAnswer,
)
from orchestration.service.errors import ForbiddenError, InvalidRequestError
from orchestration.service.owners.owner_call import CallKind, OwnerAnswer, OwnerCall
from orchestration.service.tokens import Scope
from serve_app.http_call import JSON, Handler, HttpCall, HttpRequest, State
from serve_app.metrics import CONTENT_TYPE, ServiceMetrics, queues_exposition


class HealthAnswer(msgspec.Struct, frozen=True):
    """The state of the application."""

    status: str


def owner(kind: CallKind) -> Handler:
    """A call whose body goes to the agent's owner as it is."""

    async def handle(state: State, request: HttpRequest) -> OwnerAnswer:
        values = request.values
        call = OwnerCall(request.agent, kind, request.body, values.get("episode", ""), values.get("key", ""))
        return await state.service.call(call, request.grant.sees)

    return handle


async def create_agent(state: State, request: HttpRequest) -> Response:
    body = decode(CreateAgent, request.body)
    if not request.grant.sees(body.name):
        prefix = request.grant.agent_prefix
        raise ForbiddenError(f"the token is for agents whose name begins with {prefix!r}", "name")
    info, created = await state.service.create_agent(body)
    headers = {"location": f"/v1/agents/{info.name}"}
    return Response(encode(info), 201 if created else 200, headers, JSON)


async def list_agents(state: State, request: HttpRequest) -> AgentsPage:
    return await state.service.list_agents(*request.page, request.grant.agent_prefix)


async def get_agent(state: State, request: HttpRequest) -> AgentInfo:
    return await state.service.agent(request.agent)


async def delete_agent(state: State, request: HttpRequest) -> Response:
    if request.values["confirm"] != request.agent:
        raise InvalidRequestError(f"deleting cannot be undone; add ?confirm={request.agent}", "confirm")
    await state.service.delete_agent(request.agent)
    return Response(status_code=204)


async def list_versions(state: State, request: HttpRequest) -> VersionsPage:
    return await state.service.versions(request.agent, *request.page)


async def restore_version(state: State, request: HttpRequest) -> OwnerAnswer:
    body = encode(RestoreRequest(request.values["version"]))
    return await state.service.call(OwnerCall(request.agent, "restore", body, "", request.values["key"]))


async def list_episodes(state: State, request: HttpRequest) -> EpisodesPage:
    return await state.service.episodes(request.agent, *request.page, request.grant.sees)


async def get_episode(state: State, request: HttpRequest) -> EpisodeDetail:
    return await state.service.episode(request.agent, request.values["episode"], request.grant.sees)


async def list_metrics(state: State, request: HttpRequest) -> MetricsPage:
    return await state.service.metrics(request.agent, *request.page)


async def healthz(state: State, request: HttpRequest) -> HealthAnswer:
    return HealthAnswer("alive")


async def readyz(state: State, request: HttpRequest) -> HealthAnswer:
    await state.service.ready()
    return HealthAnswer("ready")


async def metrics(state: State, request: HttpRequest) -> Response:
    statistics = await state.service.statistics()
    state.metrics.owners(statistics)
    text = state.metrics.exposition()
    if request.grant.scopes:
        text += queues_exposition(statistics, request.grant.sees)
    return Response(text, media_type=CONTENT_TYPE)


AGENTS: Final = "/v1/agents"
AGENT: Final = f"{AGENTS}/{{agent}}"
EPISODE: Final = f"{AGENT}/episodes/{{episode}}"
_PAGE: Final = ("limit", "cursor")
_READ, _RECOMMEND, _ADMIN = Scope.READ, Scope.RECOMMEND, Scope.ADMIN

CALLS: Final[dict[str, tuple[HttpCall, ...]]] = {
    "recommend": (
        HttpCall(
            "recommend",
            "POST",
            f"{AGENT}/recommendations",
            _RECOMMEND,
            owner("recommend"),
            "Recommend an order",
            "The order in which to run a job's tests, with reasons, cut to the budget; opens an episode.",
            RecommendationAnswer,
            RecommendationRequest,
            ("key",),
            (409,),
            count=ServiceMetrics.recommendation,
        ),
        HttpCall(
            "report_results",
            "POST",
            f"{EPISODE}/results",
            _RECOMMEND,
            owner("results"),
            "Report results",
            "Results of the tests, in parts or at once. The same result again is fine; a different one is a conflict.",
            ResultsAnswer,
            ResultsRequest,
            problems=(409,),
            count=ServiceMetrics.results,
        ),
        HttpCall(
            "reward_episode",
            "POST",
            f"{EPISODE}/reward",
            _RECOMMEND,
            owner("reward"),
            "Reward an episode",
            "Score the episode, learn from it, make a new version. The same call again gets the first answer.",
            RewardAnswer,
            problems=(409,),
            count=ServiceMetrics.reward,
        ),
        HttpCall(
            "next_test",
            "POST",
            f"{AGENT}/next",
            _RECOMMEND,
            owner("next"),
            "Recommend the next test",
            "The test to run next, given the results of this episode so far.",
            NextAnswer,
            NextRequest,
            problems=(409,),
            count=ServiceMetrics.results,
        ),
    ),
    "agents": (
        HttpCall(
            "create_agent",
            "POST",
            AGENTS,
            _ADMIN,
            create_agent,
            "Create an agent",
            "The same call again gets the same answer; a different agent of the same name is a conflict.",
            AgentInfo,
            CreateAgent,
            problems=(409,),
            status=201,
            repeated=200,
        ),
        HttpCall(
            "list_agents", "GET", AGENTS, _READ, list_agents, "List agents", "Agents by name.", AgentsPage, None, _PAGE
        ),
        HttpCall("get_agent", "GET", AGENT, _READ, get_agent, "Read an agent", "One agent.", AgentInfo),
        HttpCall(
            "change_agent",
            "PATCH",
            AGENT,
            _ADMIN,
            owner("patch"),
            "Change an agent",
            "What the learned state was made with (kind, hyper-parameters, ...) never changes.",
            AgentInfo,
            PatchAgent,
            problems=(409,),
        ),
        HttpCall(
            "delete_agent",
            "DELETE",
            AGENT,
            _ADMIN,
            delete_agent,
            "Delete an agent",
            "Deletes all that it learned and recorded. Nothing of it comes back.",
            parameters=("confirm",),
            status=204,
        ),
        HttpCall(
            "list_versions",
            "GET",
            f"{AGENT}/versions",
            _READ,
            list_versions,
            "List versions",
            "Versions that can be restored, the newest first.",
            VersionsPage,
            None,
            _PAGE,
        ),
        HttpCall(
            "restore_version",
            "POST",
            f"{AGENT}/versions/{{version}}/restore",
            _ADMIN,
            restore_version,
            "Restore a version",
            "Makes the state of an earlier version the agent's state again, as a new version.",
            RestoreAnswer,
            None,
            ("key",),
            (409,),
        ),
    ),
    "episodes": (
        HttpCall(
            "list_episodes",
            "GET",
            f"{AGENT}/episodes",
            _READ,
            list_episodes,
            "List episodes",
            "Episodes, the newest first.",
            EpisodesPage,
            None,
            _PAGE,
        ),
        HttpCall(
            "get_episode",
            "GET",
            EPISODE,
            _READ,
            get_episode,
            "Read an episode",
            "One episode with its recommendation, its results and its reward.",
            EpisodeDetail,
        ),
        HttpCall(
            "list_metrics",
            "GET",
            f"{AGENT}/metrics",
            _READ,
            list_metrics,
            "Read the agent's curve",
            "One row per rewarded episode, in the order of the rewards.",
            MetricsPage,
            None,
            _PAGE,
        ),
        HttpCall(
            "get_insights",
            "GET",
            f"{AGENT}/insights",
            _READ,
            owner("insights"),
            "Read insights",
            "Tests that fail together, tests that have not run for long, flaky tests.",
            InsightsAnswer,
        ),
    ),
    "health": (
        HttpCall(
            "healthz",
            "GET",
            "/healthz",
            None,
            healthz,
            "Liveness",
            "The process answers.",
            HealthAnswer,
        ),
        HttpCall(
            "readyz",
            "GET",
            "/readyz",
            None,
            readyz,
            "Readiness",
            "The store can be read: calls will be served.",
            HealthAnswer,
        ),
        HttpCall(
            "metrics",
            "GET",
            "/metrics",
            _READ,
            metrics,
            "Prometheus",
            "Counters of this replica. With a token also the queue of each agent.",
            anonymous=True,
        ),
    ),
}
"""The explicit table, by the groups of the documentation; hot calls first."""
