"""Speaks the protocol with one owner of agents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from agents.scheduling.scheduler import Scheduler
from orchestration.service.api.agents import AgentInfo, RestoreAnswer
from orchestration.service.api.decoding import decode
from orchestration.service.api.recommendations import (
    NextAnswer,
    RecommendationAnswer,
    RecommendationRequest,
    ResultsAnswer,
    ResultsRequest,
    RewardAnswer,
)
from orchestration.service.errors import (
    ServiceError,
)
from orchestration.service.owners.agent_owner import AgentOwner
from orchestration.service.owners.owner_call import CallKind
from orchestration.service.typed_calls import owner_call

IDS = ("a", "b", "c", "d")


def equal_states(scheduler: Scheduler, other: Scheduler) -> bool:
    """Whether two schedulers are the same bit for bit."""
    left, right = scheduler.state(), other.state()
    return left.keys() == right.keys() and all(
        np.asarray(left[name]).tobytes() == np.asarray(right[name]).tobytes() for name in left
    )


ANSWERS: dict[str, Any] = {
    "recommend": RecommendationAnswer,
    "results": ResultsAnswer,
    "reward": RewardAnswer,
    "next": NextAnswer,
    "patch": AgentInfo,
    "restore": RestoreAnswer,
}


class Driver:
    """Speaks the protocol with one owner."""

    def __init__(self, owner: AgentOwner, agent: str = "bandit") -> None:
        self.owner = owner
        self.agent = agent

    def ask(self, kind: CallKind, request: Any = None, **call: Any) -> Any:
        """The answer, or the error in its place."""
        answer = self.owner.execute([owner_call(self.agent, kind, request, **call)])[0]
        return answer if isinstance(answer, ServiceError) else decode(ANSWERS[kind], answer.body)

    def open(self, episode: str, ids: Sequence[str] = IDS, **request: Any) -> Any:
        """A recommendation."""
        return self.ask("recommend", RecommendationRequest.of(ids, **request), episode_id=episode)

    def tell(self, episode: str, **verdicts: str) -> Any:
        """Results of one second each."""
        results = ResultsRequest.of(verdicts, verdicts.values(), [1.0] * len(verdicts))
        return self.ask("results", results, episode_id=episode)

    def reward(self, episode: str) -> Any:
        """The reward."""
        return self.ask("reward", episode_id=episode)

    def cycle(self, episode: str, failing: str = "b") -> Any:
        """A whole episode."""
        self.open(episode)
        self.tell(episode, **{name: "failed" if name == failing else "passed" for name in IDS})
        return self.reward(episode)

    @property
    def scheduler(self) -> Scheduler:
        """The state in memory."""
        return self.owner._live[self.agent].scheduler
