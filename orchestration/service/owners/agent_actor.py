"""The Ray actor around an owner of agents: a process of its own, found by name; one batch at a time.

It is never restarted by Ray: whoever calls it makes a new one under the same name, which is faster, and reads the log.
Batches and answers cross as bytes that the caller has pickled: Ray's own pickler is made for more than plain values,
and is several times slower on them.
"""

from __future__ import annotations

import os
import pickle
import threading
import time
from collections.abc import Sequence
from typing import Any

from agents.scheduling.registry import agent_kind
from orchestration.runtime.logs import start_logs
from orchestration.runtime.ray import ONE_THREAD, spare_collector
from orchestration.service.errors import NotOwnerError, ServiceError
from orchestration.service.owners.agent_owner import AgentOwner, OwnerSettings
from orchestration.service.owners.call_statistics import OwnerStatistics
from orchestration.service.owners.owner_call import OwnerAnswer, OwnerCall
from orchestration.service.owners.owner_socket import SocketServer


class Batches:
    """Carries out pickled batches, one at a time. Not the actor itself: Ray wraps every method of an actor's class.

    Args:
        owner: of the agents.
    """

    def __init__(self, owner: AgentOwner) -> None:
        self._owner = owner
        self.used = time.monotonic()
        # Batches come through the socket and as calls of the actor, in different threads.
        self.lock = threading.Lock()
        self.ended = False

    def execute(self, calls: bytes) -> bytes:
        """See `AgentActor.execute`."""
        batch: Sequence[OwnerCall] = pickle.loads(calls)
        answers: Sequence[OwnerAnswer | ServiceError]
        with self.lock:
            if self.ended:
                answers = [NotOwnerError("this owner has saved its agents and is shutting down") for _ in batch]
            else:
                answers = self._owner.execute(batch)
                self.used = time.monotonic()
        return pickle.dumps(answers, pickle.HIGHEST_PROTOCOL)


class AgentActor:
    """See the module.

    Args:
        kind: agent kind that its first agent will probably be of.
    """

    def __init__(self, settings: OwnerSettings, kind: str = "") -> None:
        start_logs("owner")
        os.environ.update(ONE_THREAD)  # before an agent kind loads a numerical library
        self._owner = AgentOwner(settings, background=True)
        if kind:
            agent_kind(kind)  # imported before the first call waits for it
        self._batches = Batches(self._owner)
        self._socket = SocketServer(self._batches.execute)
        spare_collector()

    def address(self) -> str:
        """Address of the short way for callers on the same machine; "": there is none."""
        return self._socket.address

    def execute(self, calls: bytes) -> bytes:
        """Carry out a pickled batch of calls; the answers, or the errors in their place, pickled."""
        return self._batches.execute(calls)

    def rest(self, name: str) -> None:
        """Save one agent and drop it from memory; the process goes on."""
        with self._batches.lock:
            self._owner.rest(name)

    def forget(self, name: str) -> None:
        """Drop a deleted agent from memory."""
        with self._batches.lock:
            self._owner.forget(name)

    def idle_seconds(self) -> float:
        """Since the last batch."""
        return time.monotonic() - self._batches.used

    def statistics(self) -> OwnerStatistics:
        """Since it was started."""
        return self._owner.statistics()

    def process_id(self) -> int:
        """Of the actor's process."""
        return os.getpid()

    def passivate(self, idle_for: float = 0.0) -> bool:
        """Save everything and end the process, unless a call came within the last `idle_for` seconds.

        Returns:
            False: it was used meanwhile. There is no answer where it ended.
        """
        with self._batches.lock:
            if self.idle_seconds() < idle_for:
                return False
            self._batches.ended = True
            self._owner.passivate()
        import ray

        ray.actor.exit_actor()  # type: ignore[no-untyped-call]
        return True


def actor_class() -> Any:
    """The class as Ray wants it: no reserved CPU, never restarted, a call that failed never repeated by Ray."""
    import ray

    return ray.remote(num_cpus=0, max_restarts=0, max_task_retries=0)(AgentActor)
