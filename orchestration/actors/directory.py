"""Finds the owner of an agent by name, wakes it where there is none, and asks again where one has died.

Which owner an agent has is a function of its name alone, so all processes agree without a word. The owner is a named
Ray actor, of which Ray makes one per name; should an old one live on unseen (a node that was cut off), the store's
epochs keep it from writing.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import pickle
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from orchestration.actors.agent_actor import actor_class
from orchestration.actors.coalescing import Coalescer
from orchestration.actors.holder import HolderSettings
from orchestration.actors.messages import Answer, Call
from orchestration.service_errors import InternalError, NotOwnerError, ServiceError, UnavailableError

LOG = logging.getLogger(__name__)

PATIENCE_SECONDS = 30.0
"""How long a call is tried again before its caller is told to try later."""

FIRST_PAUSE, LONGEST_PAUSE = 0.02, 2.0


@dataclass(frozen=True, slots=True)
class DirectorySettings:
    """Who owns what, and how many owners live.

    Attributes:
        namespace: of Ray, for the owners' names.
        max_live: most owners alive in the cluster; the least recently used is passivated for a new one.
        shards: 0: every agent has an owner of its own; n: n owners share all agents by the hash of their names.
        idle_seconds: owners that are not used for so long are passivated by `Directory.sweep`.
    """

    namespace: str = "proctor"
    max_live: int = 40
    shards: int = 0
    idle_seconds: float = 900.0


@dataclass(slots=True)
class _Owner:
    coalescer: Coalescer
    handle: Any = None
    used: float = 0.0


class Directory:
    """Carries calls to their owners. Belongs to one event loop of a process that is connected to Ray."""

    def __init__(self, holder: HolderSettings, settings: DirectorySettings) -> None:
        self.settings = settings
        self._holder = holder
        # Services with different stores may share a cluster.
        place = f"{holder.store_url}\n{holder.artifact_url}"
        self._prefix = f"proctor-{hashlib.sha256(place.encode()).hexdigest()[:10]}-"
        self._owners: dict[str, _Owner] = {}
        self._waking = asyncio.Lock()
        self._class = actor_class()

    def owner_name(self, agent: str) -> str:
        """Name of the actor that owns the agent."""
        if not self.settings.shards:
            return f"{self._prefix}agent-{agent}"
        shard = int.from_bytes(hashlib.sha256(agent.encode()).digest()[:8], "big") % self.settings.shards
        return f"{self._prefix}shard-{shard}-of-{self.settings.shards}"

    async def call(self, call: Call) -> Answer:
        """The owner's answer; a dead owner is replaced and asked again, because every call is idempotent.

        Raises:
            ServiceError: the owner refused, or none could be reached in time.
        """
        name = self.owner_name(call.agent)
        owner = self._owners.get(name)
        if owner is None:
            owner = self._owners[name] = _Owner(Coalescer(lambda calls: self._hop(name, calls)))
        deadline = time.monotonic() + PATIENCE_SECONDS
        pause = FIRST_PAUSE
        while True:
            owner.used = time.monotonic()
            try:
                return await owner.coalescer.call(call)
            except _owner_errors() as error:
                if time.monotonic() + pause > deadline:
                    LOG.error("Owner %s cannot be reached: %s", name, error)
                    raise UnavailableError(f"the owner of agent {call.agent!r} cannot be reached now") from error
            owner.handle = None
            call = replace(call, again=True)
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def live(self) -> list[str]:
        """Names of all living owners of this service, in the whole cluster."""
        import ray

        named = await asyncio.to_thread(ray.util.list_named_actors, True)
        own = self.settings.namespace
        return [
            entry["name"] for entry in named if entry["namespace"] == own and entry["name"].startswith(self._prefix)
        ]

    async def forget(self, agent: str) -> None:
        """Tell the owner of a deleted agent, if there is one."""
        await self._ask(self.owner_name(agent), "forget", agent)

    async def sweep(self) -> int:
        """Passivate the owners that are idle for long; how many."""
        idle = await self._idle()
        old = [name for name, seconds in idle.items() if seconds >= self.settings.idle_seconds]
        await asyncio.gather(*(self._passivate(name, self.settings.idle_seconds) for name in old))
        return len(old)

    async def passivate(self, agent: str) -> None:
        """Passivate the agent's owner, if there is one."""
        await self._passivate(self.owner_name(agent), 0.0)

    async def passivate_all(self) -> None:
        """Passivate all owners; they save their agents."""
        await asyncio.gather(*(self._passivate(name, 0.0) for name in await self.live()))

    async def statistics(self) -> list[tuple[int, int]]:
        """Agents in memory and wake-ups of each owner that answers within a second."""
        told = await asyncio.gather(*(self._ask(name, "statistics", timeout=1.0) for name in await self.live()))
        return [answer for answer in told if answer is not None]

    # -- inside -----------------------------------------------------------------------------------------------------

    async def _hop(self, name: str, calls: Sequence[Call]) -> Sequence[Answer | ServiceError]:
        from ray.exceptions import RayTaskError

        owner = self._owners[name]
        handle = owner.handle
        if handle is None:
            handle = owner.handle = await self._find_or_wake(name)
        try:
            answers: Sequence[Answer | ServiceError] = pickle.loads(await handle.execute.remote(pickle.dumps(calls, 5)))
        except RayTaskError as error:
            LOG.error("Owner %s failed: %s", name, error)
            raise InternalError(f"the service failed on this call ({type(error.cause).__name__})") from error
        return answers

    async def _find_or_wake(self, name: str) -> Any:
        """The actor of that name; one at a time is woken, so that the cap is held."""
        import ray

        try:
            return await asyncio.to_thread(ray.get_actor, name, self.settings.namespace)
        except ValueError:
            pass
        async with self._waking:
            await self._make_room(name)
            options = self._class.options(
                name=name, namespace=self.settings.namespace, get_if_exists=True, lifetime="detached"
            )
            return await asyncio.to_thread(options.remote, self._holder)

    async def _make_room(self, name: str) -> None:
        live = [other for other in await self.live() if other != name]
        surplus = len(live) - self.settings.max_live + 1
        if surplus <= 0:
            return
        idle = await self._idle(live)
        oldest = sorted(live, key=lambda other: -idle.get(other, 0.0))[:surplus]
        await asyncio.gather(*(self._passivate(other, 0.0) for other in oldest))

    async def _idle(self, live: Sequence[str] | None = None) -> dict[str, float]:
        """Seconds since the last use; owners that do not answer within a second are busy, and left out."""
        names = list(live) if live is not None else await self.live()
        now = time.monotonic()

        async def ask(name: str) -> float | None:
            owner = self._owners.get(name)
            if owner is not None and owner.coalescer.busy:
                return 0.0
            told = await self._ask(name, "idle_seconds", timeout=1.0)
            own = now - owner.used if owner is not None else float("inf")
            return None if told is None else min(float(told), own)

        told = await asyncio.gather(*map(ask, names))
        return {name: seconds for name, seconds in zip(names, told, strict=True) if seconds is not None}

    async def _passivate(self, name: str, idle_for: float) -> None:
        """Let the owner save and end. One that hangs is killed: what it acknowledged is in the log."""
        import ray

        owner = self._owners.get(name)
        if owner is not None:
            owner.handle = None
        try:
            handle = await asyncio.to_thread(ray.get_actor, name, self.settings.namespace)
            await asyncio.wait_for(asyncio.shield(_answer(handle.passivate.remote(idle_for))), PATIENCE_SECONDS)
        except TimeoutError:
            LOG.warning("Owner %s does not end; it is killed. What it acknowledged is in the log.", name)
            ray.kill(handle)
        except _gone():
            pass  # which is what was wanted

    async def _ask(self, name: str, method: str, *arguments: Any, timeout: float = PATIENCE_SECONDS) -> Any:
        """A question to an owner that may not be there: None then."""
        import ray

        try:
            handle = await asyncio.to_thread(ray.get_actor, name, self.settings.namespace)
            question = getattr(handle, method).remote(*arguments)
            return await asyncio.wait_for(asyncio.shield(_answer(question)), timeout)
        except TimeoutError:
            return None
        except _gone():
            return None


async def _answer(reference: Any) -> Any:
    return await reference


def _owner_errors() -> tuple[type[Exception], ...]:
    """What a call ends with when its owner is gone, going, or replaced."""
    from ray.exceptions import RayActorError

    return (RayActorError, NotOwnerError)


def _gone() -> tuple[type[Exception], ...]:
    """What asking an owner by name ends with where there is none."""
    return (ValueError, *_owner_errors())
