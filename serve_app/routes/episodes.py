"""What was seen, chosen and rewarded: episodes, metrics, insights."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from orchestration.service.tokens import Scope
from serve_app.bodies import answered
from serve_app.routes.calls import (
    PAGE_LENGTH,
    AgentPath,
    Call,
    CursorQuery,
    EpisodePath,
    LimitQuery,
    gate_of,
    service_of,
)
from serve_app.schemas.episodes import (
    EpisodeDetailOut,
    EpisodesOut,
    InsightsOut,
    MetricsOut,
    episode_detail_out,
    episodes_out,
    insights_out,
    metrics_out,
)


async def list_episodes(
    request: Request, agent: AgentPath, limit: LimitQuery = PAGE_LENGTH, cursor: CursorQuery = ""
) -> Response:
    """Episodes, the newest first."""
    caller = await gate_of(request).admit(request, Scope.READ, agent)
    page = await service_of(request).episodes(agent, cursor, limit)
    return answered(EpisodesOut, episodes_out(page, caller.grant.sees))


async def get_episode(request: Request, agent: AgentPath, episode: EpisodePath) -> Response:
    """One episode with its recommendation, its results and its reward."""
    caller = await gate_of(request).admit(request, Scope.READ, agent)
    detail = await service_of(request).episode(agent, episode)
    return answered(EpisodeDetailOut, episode_detail_out(detail, caller.grant.sees))


async def list_metrics(
    request: Request, agent: AgentPath, limit: LimitQuery = PAGE_LENGTH, cursor: CursorQuery = ""
) -> Response:
    """The agent's curve: one row per rewarded episode, in the order of the rewards."""
    await gate_of(request).admit(request, Scope.READ, agent)
    return answered(MetricsOut, metrics_out(await service_of(request).metrics(agent, cursor, limit)))


async def get_insights(request: Request, agent: AgentPath) -> Response:
    """Tests that fail together, tests that have not run for long, flaky tests."""
    await gate_of(request).admit(request, Scope.READ, agent)
    return answered(InsightsOut, insights_out(await service_of(request).insights(agent)))


AGENT = "/agents/{agent}"

CALLS: tuple[Call, ...] = (
    Call("GET", f"{AGENT}/episodes", list_episodes, "List episodes", EpisodesOut),
    Call("GET", f"{AGENT}/episodes/{{episode}}", get_episode, "Read an episode", EpisodeDetailOut),
    Call("GET", f"{AGENT}/metrics", list_metrics, "Read the agent's curve", MetricsOut),
    Call("GET", f"{AGENT}/insights", get_insights, "Read insights", InsightsOut),
)
