"""Which owner an agent has: a function of its name and kind alone, so that all processes agree without a word."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

TORCH_KINDS = frozenset({"network", "ppo", "a2c", "dqn"})
"""Kinds that load torch: a process of theirs takes 0.3 GiB and a second more to start."""


@dataclass(frozen=True, slots=True)
class DirectorySettings:
    """Who owns what, and how many owners live.

    Attributes:
        namespace: of Ray, for the owners' names.
        max_live: most owners alive in the cluster; the least recently used is passivated for a new one.
        shards: 0: every agent has an owner of its own; n: n owners share all agents by the hash of their names.
        torch_shards: the same for agents of kinds that load torch, where `shards` is 0.
        idle_seconds: after which an unused owner is passivated by `Directory.sweep`.
        standby_owners: processes started ahead, see `StandbyOwners`; only for owners of one agent.
    """

    namespace: str = "proctor"
    max_live: int = 40
    shards: int = 0
    torch_shards: int = 4
    idle_seconds: float = 900.0
    standby_owners: int = 2


@dataclass(frozen=True, slots=True)
class Ownership:
    """An agent's owner.

    Attributes:
        name: of the owner.
        kind: of the agents that it holds; "": several.
        shared: it holds several agents.
    """

    name: str
    kind: str
    shared: bool


def ownership(agent: str, kind: str, settings: DirectorySettings) -> Ownership:
    """The owner of an agent of that name and kind."""
    if settings.shards:
        return Ownership(f"shard {_shard(agent, settings.shards)} of {settings.shards}", "", True)
    if kind in TORCH_KINDS and settings.torch_shards:
        shard = f"torch shard {_shard(agent, settings.torch_shards)} of {settings.torch_shards}"
        return Ownership(shard, kind, True)
    return Ownership(f"agent {agent}", kind, False)


def _shard(agent: str, shards: int) -> int:
    return int.from_bytes(hashlib.sha256(agent.encode()).digest()[:8], "big") % shards
