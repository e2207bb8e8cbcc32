"""Agents: create, list, read, change, delete; versions and roll-back."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from orchestration.service.errors import InvalidRequestError
from orchestration.service.owners.messages import RestoreRequest
from orchestration.service.tokens import Scope
from serve_app.bodies import answered, body_of
from serve_app.routes.calls import (
    PAGE_LENGTH,
    AgentPath,
    Call,
    CursorQuery,
    IdempotencyKey,
    LimitQuery,
    VersionPath,
    gate_of,
    service_of,
)
from serve_app.schemas.agents import (
    AgentIn,
    AgentOut,
    AgentPatchIn,
    AgentsOut,
    RestoreOut,
    VersionsOut,
    agent_out,
    agents_out,
    restore_out,
    versions_out,
)


async def create_agent(request: Request) -> Response:
    """Make an agent. The same call again answers the same; another agent of the same name is a conflict."""
    caller = await gate_of(request).admit(request, Scope.ADMIN)
    asked = await body_of(request, AgentIn)
    caller.may_create(asked.name)
    info = await service_of(request).create_agent(asked.message())
    status = 201 if info.created else 200
    return answered(AgentOut, agent_out(info), status, {"location": f"/v1/agents/{info.name}"})


async def list_agents(request: Request, limit: LimitQuery = PAGE_LENGTH, cursor: CursorQuery = "") -> Response:
    """Agents by name."""
    caller = await gate_of(request).admit(request, Scope.READ)
    page = await service_of(request).list_agents(cursor, limit, caller.agent_prefix)
    return answered(AgentsOut, agents_out(page))


async def get_agent(request: Request, agent: AgentPath) -> Response:
    """One agent."""
    await gate_of(request).admit(request, Scope.READ, agent)
    return answered(AgentOut, agent_out(await service_of(request).agent(agent)))


async def change_agent(request: Request, agent: AgentPath) -> Response:
    """Change what may change. What the learned state was made with (kind, hyper-parameters, ...) never does."""
    await gate_of(request).admit(request, Scope.ADMIN, agent)
    asked = await body_of(request, AgentPatchIn)
    return answered(AgentOut, agent_out(await service_of(request).patch_agent(agent, asked.message())))


async def delete_agent(
    request: Request,
    agent: AgentPath,
    confirm: Annotated[str, Query(max_length=100, description="The agent's name once more.")] = "",
) -> Response:
    """Delete an agent with all that it learned and recorded. Nothing of it comes back."""
    await gate_of(request).admit(request, Scope.ADMIN, agent)
    if confirm != agent:
        raise InvalidRequestError(f"deleting cannot be undone; add ?confirm={agent}", "confirm")
    await service_of(request).delete_agent(agent)
    return Response(status_code=204)


async def list_versions(
    request: Request, agent: AgentPath, limit: LimitQuery = PAGE_LENGTH, cursor: CursorQuery = ""
) -> Response:
    """Versions that can be restored, the newest first."""
    await gate_of(request).admit(request, Scope.READ, agent)
    return answered(VersionsOut, versions_out(await service_of(request).versions(agent, cursor, limit)))


async def restore_version(
    request: Request, agent: AgentPath, version: VersionPath, idempotency_key: IdempotencyKey = ""
) -> Response:
    """Make the state of an earlier version the agent's state again, as a new version."""
    await gate_of(request).admit(request, Scope.ADMIN, agent)
    answer = await service_of(request).restore(agent, RestoreRequest(version, idempotency_key))
    return answered(RestoreOut, restore_out(answer))


AGENT = "/agents/{agent}"

CALLS: tuple[Call, ...] = (
    Call("POST", "/agents", create_agent, "Create an agent", AgentOut, 201, AgentIn, (409,), 200),
    Call("GET", "/agents", list_agents, "List agents", AgentsOut),
    Call("GET", AGENT, get_agent, "Read an agent", AgentOut),
    Call("PATCH", AGENT, change_agent, "Change an agent", AgentOut, body=AgentPatchIn, problems=(409,)),
    Call("DELETE", AGENT, delete_agent, "Delete an agent", None, 204),
    Call("GET", f"{AGENT}/versions", list_versions, "List versions", VersionsOut),
    Call(
        "POST",
        f"{AGENT}/versions/{{version}}/restore",
        restore_version,
        "Restore a version",
        RestoreOut,
        problems=(409,),
    ),
)
