"""The owner of all agents in this process, without Ray: for tests, notebooks and small installations."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace

from orchestration.service.errors import NotOwnerError, ServiceError
from orchestration.service.owners.admission import Admission, AdmissionLimits
from orchestration.service.owners.agent_owner import AgentOwner
from orchestration.service.owners.call_statistics import OwnerStatistics
from orchestration.service.owners.owner_call import OwnerAnswer, OwnerCall

TRIES = 5


class InlineOwners:
    """Answers like `Directory`; one call at a time, in a thread of its own, so that the event loop goes on."""

    def __init__(self, owner: AgentOwner, limits: AdmissionLimits = AdmissionLimits()) -> None:  # noqa: B008 - frozen
        self._owner = owner
        self._admission = Admission(limits)
        self._lock = threading.Lock()

    async def call(self, call: OwnerCall) -> OwnerAnswer:
        """The owner's answer.

        Raises:
            OverloadedError: too many calls wait already.
            ServiceError: the owner refused.
        """
        with self._admission.place("inline", call.agent):
            return await asyncio.to_thread(self.call_now, call)

    def call_now(self, call: OwnerCall) -> OwnerAnswer:
        """The same without an event loop.

        Raises:
            ServiceError: the owner refused.
        """
        for _ in range(TRIES):
            with self._lock:
                answer = self._owner.execute([call])[0]
            if not isinstance(answer, NotOwnerError):
                break
            call = replace(call, again=True)  # another process owned the agent meanwhile; it is taken back
        if isinstance(answer, ServiceError):
            raise answer
        return answer

    async def forget(self, agent: str, kind: str) -> None:
        """Drop a deleted agent from memory."""
        with self._lock:
            self._owner.forget(agent)

    async def sweep(self) -> int:
        """Nothing to do: the owner bounds its own memory."""
        return 0

    async def passivate(self, agent: str) -> None:
        """Save the agent and drop it from memory."""
        with self._lock:
            self._owner.rest(agent)

    async def passivate_all(self) -> None:
        """Save everything and drop it from memory."""
        await asyncio.to_thread(self._passivate)

    def _passivate(self) -> None:
        with self._lock:
            self._owner.passivate()

    async def statistics(self) -> list[OwnerStatistics]:
        """Of the one owner."""
        return [self._owner.statistics()]

    def waiting(self) -> dict[str, int]:
        """Calls that wait or are in progress, by agent."""
        return self._admission.waiting()
