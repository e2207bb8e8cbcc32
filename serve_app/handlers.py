"""What answers each call: a call to the agent's owner, or a read of the store."""

from __future__ import annotations

import msgspec
from starlette.responses import Response

from orchestration.service.api.agents import (
    AgentInfo,
    AgentsPage,
    CreateAgent,
    RestoreRequest,
    VersionsPage,
)
from orchestration.service.api.decoding import decode, encode
from orchestration.service.api.episodes import EpisodeDetail, EpisodesPage, MetricsPage
from orchestration.service.errors import ForbiddenError, InvalidRequestError
from orchestration.service.owners.owner_call import CallKind, OwnerAnswer, OwnerCall
from serve_app.http_call import JSON, Handler, HttpRequest, State
from serve_app.metrics import CONTENT_TYPE, queues_exposition


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
    await state.service.delete_agent(request.agent, request.values["archive"])
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
