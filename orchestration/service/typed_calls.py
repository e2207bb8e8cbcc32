"""The calls to an agent's owner with structs in place of bytes, for notebooks, tests and tools."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, TypeVar

import msgspec

from orchestration.service.api.agents import AgentInfo, PatchAgent, RestoreAnswer, RestoreRequest
from orchestration.service.api.decoding import encode_checked
from orchestration.service.api.episodes import InsightsAnswer
from orchestration.service.api.recommendations import (
    NextAnswer,
    NextRequest,
    RecommendationAnswer,
    RecommendationRequest,
    ResultsAnswer,
    ResultsRequest,
    RewardAnswer,
)
from orchestration.service.owners.owner_call import CallKind, OwnerAnswer, OwnerCall

AnswerT = TypeVar("AnswerT", bound=msgspec.Struct)


def owner_call(agent: str, kind: CallKind, request: msgspec.Struct | None = None, **others: Any) -> OwnerCall:
    """A call made of a struct; `others` are fields of the call.

    Raises:
        InvalidRequestError: a value of the request is of the wrong type or out of range.
    """
    return OwnerCall(agent, kind, b"" if request is None else encode_checked(request), **others)


class TypedCalls(ABC):
    """Encodes the request, makes the call, and decodes the answer."""

    @abstractmethod
    async def call(self, call: OwnerCall) -> OwnerAnswer:
        """The owner's answer."""

    async def recommend(
        self, agent: str, request: RecommendationRequest, idempotency_key: str = ""
    ) -> RecommendationAnswer:
        """The order in which to run a job's tests; opens an episode of the agent and of those that observe."""
        call = owner_call(agent, "recommend", request, idempotency_key=idempotency_key)
        return await self._typed(RecommendationAnswer, call)

    async def results(self, agent: str, episode_id: str, request: ResultsRequest) -> ResultsAnswer:
        """Record results of an episode."""
        return await self._typed(ResultsAnswer, owner_call(agent, "results", request, episode_id=episode_id))

    async def reward(self, agent: str, episode_id: str) -> RewardAnswer:
        """Score an episode and learn from it; repeated: the first answer."""
        return await self._typed(RewardAnswer, owner_call(agent, "reward", episode_id=episode_id))

    async def next(self, agent: str, request: NextRequest) -> NextAnswer:
        """The test to run next in an episode, given the results so far."""
        return await self._typed(NextAnswer, owner_call(agent, "next", request))

    async def patch_agent(self, agent: str, request: PatchAgent) -> AgentInfo:
        """Change what may change."""
        return await self._typed(AgentInfo, owner_call(agent, "patch", request))

    async def restore(self, agent: str, request: RestoreRequest, idempotency_key: str = "") -> RestoreAnswer:
        """Make the state of a version the agent's state again, as a new version."""
        return await self._typed(RestoreAnswer, owner_call(agent, "restore", request, idempotency_key=idempotency_key))

    async def insights(self, agent: str) -> InsightsAnswer:
        """What the agent's history shows."""
        return await self._typed(InsightsAnswer, owner_call(agent, "insights"))

    async def _typed(self, kind: type[AnswerT], call: OwnerCall) -> AnswerT:
        return msgspec.json.decode((await self.call(call)).body, type=kind)
