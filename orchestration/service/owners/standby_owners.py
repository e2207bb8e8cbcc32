"""Processes that are started before they are needed: waking an agent then takes a call, and no start of Python.

A process takes half a second to start and to import what an agent needs, a network's torch a second more. So after an
agent was woken, another actor is started that owns no agent yet and has imported the same kind of agent.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import OrderedDict
from typing import Any

from orchestration.service.owners.agent_actor import actor_class
from orchestration.service.owners.agent_owner import OwnerSettings


class StandbyOwners:
    """One spare actor for each of the kinds that were woken last. Belongs to one event loop.

    Args:
        prefix: of the actors' names.
        kinds: at most so many spares; 0: every owner is started when it is needed.
    """

    def __init__(self, owner: OwnerSettings, namespace: str, prefix: str, kinds: int) -> None:
        self._settings = owner
        self._namespace = namespace
        self._prefix = prefix
        self._most = kinds
        self._class = actor_class()
        self._ready: OrderedDict[str, tuple[str, Any]] = OrderedDict()

    @property
    def names(self) -> set[str]:
        """Of all spare actors."""
        return {name for name, _ in self._ready.values()}

    async def take(self, kind: str) -> tuple[str, Any]:
        """An actor for an owner of that kind of agent: name and handle. Call `refill` when the agent is awake."""
        spare = self._ready.pop(kind, None)
        return spare if spare is not None else await self._start(kind)

    async def give_back(self, kind: str, name: str, handle: Any) -> None:
        """An actor that was not needed after all."""
        if kind in self._ready or not self._most:
            handle.passivate.remote()
        else:
            self._ready[kind] = (name, handle)

    async def refill(self, kind: str) -> None:
        """Have a spare for this kind, and none for kinds that were not woken for longest."""
        if not self._most or kind in self._ready:
            return
        self._ready[kind] = await self._start(kind)
        while len(self._ready) > self._most:
            _, (_, handle) = self._ready.popitem(last=False)
            handle.passivate.remote()

    def end(self) -> None:
        """Let all spares go."""
        while self._ready:
            _, (_, handle) = self._ready.popitem()
            handle.passivate.remote()

    async def _start(self, kind: str) -> tuple[str, Any]:
        name = f"{self._prefix}{uuid.uuid4().hex}"
        options = self._class.options(name=name, namespace=self._namespace, lifetime="detached")
        return name, await asyncio.to_thread(options.remote, self._settings, kind)
