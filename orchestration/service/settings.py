"""What a scheduling service is started with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """What a service is started with.

    Attributes:
        store_url: a file, ``sqlite:///FILE`` or ``postgresql://...``.
        artifact_url: folder or fsspec URL of the saved learner states.
        archive_url: folder or fsspec URL of what is off-loaded to Parquet; "": nothing is.
        inline: all agents are owned by this process, without Ray.
        import_paths: kinds, rewards and explorations outside the tables that agents may have (``module:Class``). To
            make such an agent runs the code that the path names, so a client can use only what is listed here.
        max_live, shards, torch_shards, idle_seconds, standby_owners, namespace: see `DirectorySettings`.
        calls_per_agent, calls_per_owner: most that wait or are in progress from this process, see `AdmissionLimits`.
        snapshot_every, snapshots_kept, agents_in_memory: see `OwnerSettings`.
        kept_episodes: newest episodes of an agent that stay in the store; older ones are off-loaded. At least so many
            versions can be restored.
        kept_days: episodes that were opened so many days ago are off-loaded too, in pieces of 100, and fewer versions
            can be restored; 0: their age does not matter.
        tracking: MLflow tracking URI; "": none.
        housekeeping_seconds: pause between two rounds of passivating idle owners and off-loading; 0: never.
    """

    store_url: str
    artifact_url: str
    archive_url: str = ""
    inline: bool = False
    import_paths: tuple[str, ...] = ()
    max_live: int = 40
    shards: int = 0
    torch_shards: int = 4
    idle_seconds: float = 900.0
    standby_owners: int = 2
    namespace: str = "proctor"
    calls_per_agent: int = 100
    calls_per_owner: int = 200
    snapshot_every: int = 100
    snapshots_kept: int = 8
    agents_in_memory: int = 200
    kept_episodes: int = 10_000
    kept_days: int = 0
    tracking: str = ""
    housekeeping_seconds: float = 60.0

    @classmethod
    def in_folder(cls, folder: Path, **others: Any) -> ServiceSettings:
        """Everything in one local folder: SQLite, saved states, archive."""
        home = folder.expanduser().absolute()
        places = {"store_url": home / "service.db", "artifact_url": home / "states", "archive_url": home / "archive"}
        return cls(**{name: str(place) for name, place in places.items()} | others)
