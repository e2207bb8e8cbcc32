"""A call on its way from the service to the owner of an agent."""

from __future__ import annotations

from dataclasses import dataclass

from orchestration.service.owners.messages import (
    AgentInfo,
    InsightsAnswer,
    InsightsRequest,
    NextAnswer,
    NextRequest,
    PatchAgent,
    RecommendationAnswer,
    RecommendationRequest,
    RestoreAnswer,
    RestoreRequest,
    ResultsAnswer,
    ResultsRequest,
    RewardAnswer,
    RewardRequest,
)
from orchestration.service.owners.wire import RawAnswer, RawRequest

Request = (
    RawRequest
    | RecommendationRequest
    | ResultsRequest
    | RewardRequest
    | NextRequest
    | PatchAgent
    | RestoreRequest
    | InsightsRequest
)
Answer = (
    RawAnswer
    | RecommendationAnswer
    | ResultsAnswer
    | RewardAnswer
    | NextAnswer
    | AgentInfo
    | RestoreAnswer
    | InsightsAnswer
)


@dataclass(frozen=True, slots=True)
class OwnerCall:
    """A request on its way to the owner of the agent.

    Attributes:
        episode_id: of the episode that a recommendation is to open; made before the first try, so that a second one
            finds what the first one stored.
        observed_agent: whose recommendation is run, for an agent that only observes.
        again: an earlier try may have been carried out.
    """

    agent: str
    request: Request
    episode_id: str = ""
    observed_agent: str = ""
    again: bool = False

    def __reduce__(self) -> tuple[type[OwnerCall], tuple[object, ...]]:
        # What a dataclass does by itself takes longer than all the rest of a hop.
        return OwnerCall, (self.agent, self.request, self.episode_id, self.observed_agent, self.again)
