"""Finds the owner of an agent by name, wakes it where there is none, and asks again where one has died.

Which owner an agent has is a function of its name and kind (`ownership`). The store names the actor
that is the owner now; where several processes start one at once, one of them wins there. If an old actor lives on
unseen (on a node that was cut off), the store's epochs keep it from writing.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import pickle
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from orchestration.service.errors import InternalError, NotFoundError, NotOwnerError, ServiceError, UnavailableError
from orchestration.service.owners.admission import Admission, AdmissionLimits
from orchestration.service.owners.agent_owner import OwnerSettings
from orchestration.service.owners.batching import ANSWER_SECONDS, Answered, CallBatcher
from orchestration.service.owners.call_statistics import OwnerStatistics
from orchestration.service.owners.owner_call import OwnerAnswer, OwnerCall
from orchestration.service.owners.owner_socket import OwnerConnection, open_connection
from orchestration.service.owners.ownership import DirectorySettings, Ownership, ownership
from orchestration.service.owners.standby_owners import StandbyOwners
from orchestration.service.store.codec import settings_of
from orchestration.service.store.roles import OwnerDirectory

LOG = logging.getLogger(__name__)

PATIENCE_SECONDS = 30.0
"""How long a call is tried again before its caller gets an error."""

KNOWN_KINDS = 100_000
FIRST_PAUSE, LONGEST_PAUSE = 0.02, 2.0
REFILL_SECONDS = 0.5


@dataclass(slots=True)
class _Owner:
    about: Ownership
    batcher: CallBatcher
    handle: Any = None
    connection: OwnerConnection | None = None
    used: float = 0.0

    def lose(self) -> None:
        """Ask by name again before the next batch."""
        self.handle = None
        if self.connection is not None:
            self.connection.close()
            self.connection = None


class Directory:
    """Carries calls to their owners. Belongs to one event loop of a process that is connected to Ray."""

    def __init__(
        self,
        store: OwnerDirectory,
        owner_settings: OwnerSettings,
        settings: DirectorySettings,
        limits: AdmissionLimits = AdmissionLimits(),  # noqa: B008 - frozen
    ) -> None:
        self.settings = settings
        self._admission = Admission(limits)
        self._store = store
        # Services with different stores may share a cluster.
        place = f"{owner_settings.store_url}\n{owner_settings.artifact_url}"
        self._prefix = f"proctor-{hashlib.sha256(place.encode()).hexdigest()[:10]}-"
        self._standby = StandbyOwners(owner_settings, settings.namespace, self._prefix, settings.standby_owners)
        self._background: set[asyncio.Task[None]] = set()
        self._owners: dict[str, _Owner] = {}
        self._kinds: dict[str, str] = {}
        self._waking = asyncio.Lock()

    async def owner_name(self, agent: str) -> str:
        """Name of the agent's owner.

        Raises:
            NotFoundError: no such agent.
        """
        return (await self._ownership(agent)).name

    async def call(self, call: OwnerCall) -> OwnerAnswer:
        """The owner's answer; a dead owner is replaced and asked again, because every call is idempotent.

        Raises:
            OverloadedError: too many calls to the agent, or its owner, wait already.
            ServiceError: the owner refused, or none could be reached in time.
        """
        about = await self._ownership(call.agent)
        with self._admission.place(about.name, call.agent):
            return await self._answer(call)

    async def _answer(self, call: OwnerCall) -> OwnerAnswer:
        deadline = time.monotonic() + PATIENCE_SECONDS
        pause = FIRST_PAUSE
        while True:
            owner = self._owner(await self._ownership(call.agent))
            owner.used = time.monotonic()
            try:
                return await owner.batcher.call(call)
            except TimeoutError as error:
                LOG.error("Owner %s does not answer within %g s", owner.about.name, ANSWER_SECONDS)
                raise UnavailableError(f"the owner of agent {call.agent!r} does not answer now") from error
            except _owner_errors() as error:
                if time.monotonic() + pause > deadline:
                    LOG.error("Owner %s cannot be reached: %s", owner.about.name, error)
                    raise UnavailableError(f"the owner of agent {call.agent!r} cannot be reached now") from error
            owner.lose()
            self._kinds.pop(call.agent, None)  # deleted and created again, it may be of another kind
            call = replace(call, again=True)
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def live(self) -> dict[str, str]:
        """All living owners of this service, in the whole cluster: owner -> actor."""
        actors = await self._actors()
        owners = await asyncio.to_thread(self._store.owners)
        return {name: actor for name, actor in owners.items() if actor in actors}

    async def forget(self, agent: str, kind: str) -> None:
        """Tell the owner of a deleted agent, if there is one."""
        self._kinds.pop(agent, None)
        await self._ask(ownership(agent, kind, self.settings).name, "forget", agent)

    async def sweep(self) -> int:
        """Passivate long-idle owners and standby owners without a use; return how many owners."""
        live = await self.live()
        idle = await self._idle(live)
        old = [name for name, seconds in idle.items() if seconds >= self.settings.idle_seconds]
        await asyncio.gather(*(self._passivate(name, self.settings.idle_seconds) for name in old))
        for actor in await self._actors() - set(live.values()) - self._standby.names:
            await self._ask_actor(actor, "passivate", self.settings.idle_seconds)
        return len(old)

    async def passivate(self, agent: str) -> None:
        """Let the agent sleep, if it is awake: alone in a shard, else with the owner's process."""
        about = await self._ownership(agent)
        if about.shared:
            await self._ask(about.name, "rest", agent)
        else:
            await self._passivate(about.name, 0.0)

    async def passivate_all(self) -> None:
        """Passivate all owners; they save their agents."""
        await asyncio.gather(*(self._passivate(name, 0.0) for name in await self.live()))
        await self.end_standby()

    async def end_standby(self) -> None:
        """Let the processes that were started ahead go."""
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        self._standby.end()

    def waiting(self) -> dict[str, int]:
        """Calls of this process that wait or are in progress, by agent."""
        return self._admission.waiting()

    async def statistics(self) -> list[OwnerStatistics]:
        """Of each owner that answers within a second."""
        answers = await asyncio.gather(*(self._ask(name, "statistics", timeout=1.0) for name in await self.live()))
        return [answer for answer in answers if answer is not None]

    # -- inside -----------------------------------------------------------------------------------------------------

    async def _ownership(self, agent: str) -> Ownership:
        kind = self._kinds.get(agent)
        if kind is None:
            row = await asyncio.to_thread(self._store.agent, agent)
            if row is None:
                raise NotFoundError(f"there is no agent {agent!r}", "agent")
            if len(self._kinds) >= KNOWN_KINDS:
                self._kinds.clear()
            kind = self._kinds[agent] = settings_of(row.settings).kind
        return ownership(agent, kind, self.settings)

    def _owner(self, about: Ownership) -> _Owner:
        owner = self._owners.get(about.name)
        if owner is None:
            name = about.name
            batcher = CallBatcher(
                lambda calls: self._hop(name, calls), lambda calls, done: self._post(name, calls, done)
            )
            owner = self._owners[name] = _Owner(about, batcher)
        return owner

    def _post(self, name: str, calls: Sequence[OwnerCall], done: Answered) -> bool:
        """The way of a batch to an owner that is known and on this machine."""
        connection = self._owners[name].connection
        if connection is None:
            return False

        def answered(frame: bytes | None) -> None:
            done(ConnectionError("the owner is gone") if frame is None else pickle.loads(frame))

        return connection.post(pickle.dumps(calls, pickle.HIGHEST_PROTOCOL), answered)

    async def _hop(self, name: str, calls: Sequence[OwnerCall]) -> Sequence[OwnerAnswer | ServiceError]:
        from ray.exceptions import RayTaskError

        owner = self._owners[name]
        handle, connection = owner.handle, owner.connection
        if handle is None:
            handle = await self._find_or_wake(name)
            connection = await open_connection(await handle.address.remote())
            owner.lose()  # a batch beside this one may have found it too
            owner.handle, owner.connection = handle, connection
        question = pickle.dumps(calls, pickle.HIGHEST_PROTOCOL)
        try:
            frame = await (handle.execute.remote(question) if connection is None else connection.exchange(question))
            answers: Sequence[OwnerAnswer | ServiceError] = pickle.loads(frame)
        except RayTaskError as error:
            LOG.error("Owner %s failed: %s", name, error)
            raise InternalError(f"the service failed on this call ({type(error.cause).__name__})") from error
        return answers

    async def _find_or_wake(self, name: str) -> Any:
        """The actor that is this owner; one at a time is woken, so that the cap is held."""
        current, handle = await self._find(name)
        if handle is not None:
            return handle
        async with self._waking:
            await self._make_room(name)
            about = self._owners[name].about
            actor, handle = await self._standby.take(about.kind)
            winner = await asyncio.to_thread(self._store.claim_owner, name, current, actor)
            if winner != actor:
                await self._standby.give_back(about.kind, actor, handle)
                _, handle = await self._find(name)
                if handle is None:
                    raise NotOwnerError(f"owner {name!r} has just died")
        if not about.shared:
            task = asyncio.get_running_loop().create_task(self._refill(about.kind))
            self._background.add(task)
            task.add_done_callback(self._background.discard)
        return handle

    async def _find(self, name: str) -> tuple[str | None, Any]:
        """The actor that was last seen to be this owner, and its handle if it lives."""
        actor = await asyncio.to_thread(self._store.owner, name)
        return actor, None if actor is None else await self._handle(actor)

    async def _handle(self, actor: str) -> Any:
        """The handle of a living actor, or None."""
        import ray

        try:
            return await asyncio.to_thread(ray.get_actor, actor, self.settings.namespace)
        except ValueError:
            return None

    async def _refill(self, kind: str) -> None:
        await asyncio.sleep(REFILL_SECONDS)  # the agent that was just woken goes first
        await self._standby.refill(kind)

    async def _actors(self) -> set[str]:
        """Names of all living actors of this service, spares too."""
        import ray

        named = await asyncio.to_thread(ray.util.list_named_actors, True)
        own = self.settings.namespace
        return {
            actor["name"] for actor in named if actor["namespace"] == own and actor["name"].startswith(self._prefix)
        }

    async def _make_room(self, name: str) -> None:
        live = await self.live()
        live.pop(name, None)
        surplus = len(live) - self.settings.max_live + 1
        if surplus <= 0:
            return
        idle = await self._idle(live)
        oldest = sorted(live, key=lambda other: -idle.get(other, 0.0))[:surplus]
        await asyncio.gather(*(self._passivate(other, 0.0) for other in oldest))

    async def _idle(self, live: Mapping[str, str]) -> dict[str, float]:
        """Seconds since the last use; owners that do not answer within a second are busy, and left out."""
        now = time.monotonic()

        async def ask(name: str, actor: str) -> float | None:
            owner = self._owners.get(name)
            if owner is not None and owner.batcher.busy:
                return 0.0
            idle = await self._ask_actor(actor, "idle_seconds", timeout=1.0)
            own = now - owner.used if owner is not None else float("inf")
            return None if idle is None else min(float(idle), own)

        answers = await asyncio.gather(*(ask(name, actor) for name, actor in live.items()))
        return {name: seconds for name, seconds in zip(live, answers, strict=True) if seconds is not None}

    async def _passivate(self, name: str, idle_for: float) -> None:
        """Let the owner save and end. One that hangs is killed: what it acknowledged is in the log."""
        import ray

        actor, handle = await self._find(name)
        if actor is None:
            return
        owner = self._owners.get(name)
        if owner is not None:
            owner.lose()
        if handle is not None:
            try:
                ending = handle.passivate.remote(idle_for)
                if not await asyncio.wait_for(asyncio.shield(_answer(ending)), PATIENCE_SECONDS):
                    return  # it was used meanwhile
            except TimeoutError:
                LOG.warning("Owner %s does not stop and is killed. Everything it acknowledged is in the log.", name)
                ray.kill(handle)
            except _owner_errors():
                pass  # it is gone already, which is the aim
        await asyncio.to_thread(self._store.release_owner, name, actor)

    async def _ask(self, name: str, method: str, *arguments: Any, timeout: float = PATIENCE_SECONDS) -> Any:
        """A question to an owner that may not be there: None then."""
        actor = await asyncio.to_thread(self._store.owner, name)
        return None if actor is None else await self._ask_actor(actor, method, *arguments, timeout=timeout)

    async def _ask_actor(self, actor: str, method: str, *arguments: Any, timeout: float = PATIENCE_SECONDS) -> Any:
        """A question to an actor that may not be there: None then."""
        handle = await self._handle(actor)
        if handle is None:
            return None
        try:
            question = getattr(handle, method).remote(*arguments)
            return await asyncio.wait_for(asyncio.shield(_answer(question)), timeout)
        except TimeoutError:
            return None
        except _owner_errors():
            return None


async def _answer(reference: Any) -> Any:
    return await reference


def _owner_errors() -> tuple[type[Exception], ...]:
    """What a call ends with when its owner is gone, going, or replaced."""
    from ray.exceptions import RayActorError

    return (RayActorError, NotOwnerError, ConnectionError)
