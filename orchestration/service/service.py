"""The scheduling service without HTTP. `serve_app` and notebooks are built on it.

service = SchedulingService(ServiceSettings.in_folder(Path("proctor-data"), inline=True))
await service.create_agent(CreateAgent("nightly", "failure_rate"))
answer = await service.recommend("nightly", RecommendationRequest([Candidate("a"), Candidate("b")]))
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection
from dataclasses import replace

import msgspec

from agents.scheduling.registry import import_paths
from agents.scheduling.scheduler import Scheduler
from envsearch.errors import InputError, StoreUnavailableError
from orchestration.runtime.artifacts import ArtifactStore
from orchestration.service.api import limits
from orchestration.service.api.agents import (
    AgentInfo,
    AgentsPage,
    CreateAgent,
    VersionInfo,
    VersionsPage,
    checked_settings_text,
)
from orchestration.service.api.columns import reported_results
from orchestration.service.api.decoding import decode, encode_checked
from orchestration.service.api.episodes import EpisodeDetail, EpisodesPage, MetricsPage
from orchestration.service.api.fields import ArchiveChoice
from orchestration.service.api.parameters import (
    check_agent,
    check_episode,
    check_key,
    name_cursor,
    number_cursor,
    page_limit,
)
from orchestration.service.api.recommendations import RecommendationRequest, named_observers
from orchestration.service.errors import (
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    OverloadedError,
    UnavailableError,
    invalid,
)
from orchestration.service.owners.admission import AdmissionLimits
from orchestration.service.owners.agent_owner import AgentOwner, OwnerSettings
from orchestration.service.owners.archiving import Archivist
from orchestration.service.owners.call_statistics import ServiceStatistics
from orchestration.service.owners.directory import Directory
from orchestration.service.owners.inline import InlineOwners
from orchestration.service.owners.open_episode import load_episode
from orchestration.service.owners.owner_call import OwnerAnswer, OwnerCall, new_episode_id
from orchestration.service.owners.ownership import DirectorySettings
from orchestration.service.owners.snapshots import Snapshots
from orchestration.service.owners.state_recovery import reachable
from orchestration.service.settings import ServiceSettings
from orchestration.service.store.archive import Archive
from orchestration.service.store.codec import settings_of
from orchestration.service.store.registry import state_store
from orchestration.service.store.roles import AuditTable
from orchestration.service.store.rows import AgentRow
from orchestration.service.stored_answers import Sees, agent_info, episode_summary, fitting, metrics_row, version_info
from orchestration.service.tenants import Tenants
from orchestration.service.tokens import Tokens
from orchestration.service.tracking import ServiceTracker
from orchestration.service.typed_calls import TypedCalls

__all__ = ["SchedulingService", "ServiceSettings"]

LOG = logging.getLogger(__name__)


def sees_all(agent: str) -> bool:
    """For callers who may know of every agent."""
    return True


class SchedulingService(TypedCalls):
    """See the module. Every method may raise a `ServiceError`; all calls are safe to repeat.

    Args:
        settings: see `ServiceSettings`.

    Raises:
        InputError: a URL is wrong.
        UnavailableError: the store cannot be opened.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        self.settings = settings
        self._store = state_store(settings.store_url)
        artifacts = ArtifactStore(settings.artifact_url)
        self.tokens = Tokens(self._store)
        self.audit_log: AuditTable = self._store
        self.tenants = Tenants(self._store)
        self._owner_settings = OwnerSettings(
            store_url=self._store.url,
            artifact_url=artifacts.url,
            snapshot_every=settings.snapshot_every,
            snapshots_kept=settings.snapshots_kept,
            agents_in_memory=settings.agents_in_memory,
        )
        self._snapshots = Snapshots(self._store, artifacts, settings.snapshots_kept)
        self._archive = Archive(settings.archive_url) if settings.archive_url else None
        kept = settings.kept_episodes, settings.kept_days
        self._archivist = Archivist(self._store, self._archive, *kept) if self._archive is not None else None
        self._tracker = ServiceTracker(settings.tracking) if settings.tracking else None
        self._limits = AdmissionLimits(settings.calls_per_agent, settings.calls_per_owner)
        self._owners: Directory | InlineOwners | None = None
        if settings.inline:
            self._owners = InlineOwners(AgentOwner(self._owner_settings, self._store, artifacts), self._limits)
        self._housekeeper: asyncio.Task[None] | None = None

    # -- agents -----------------------------------------------------------------------------------------------------

    async def create_agent(self, request: CreateAgent) -> tuple[AgentInfo, bool]:
        """Make an agent; False: the same call made it before.

        Raises:
            ConflictError: an agent of that name but with other settings exists.
        """
        encode_checked(request)
        text = await asyncio.to_thread(_settings_text, request, self.settings.import_paths)
        row, created = await asyncio.to_thread(
            self._store.create_agent, request.name, text, request.description, time.time()
        )
        first = self._store.events(row.id, 0, 1) if not created else []
        same = created or row.settings == text or any(event.payload == text.encode() for event in first)
        if not same:
            raise ConflictError(f"an agent {request.name!r} with other settings already exists", "name")
        return agent_info(row), created

    async def list_agents(self, cursor: str = "", limit: int = 100, prefix: str = "") -> AgentsPage:
        """Agents by name, those whose name begins with `prefix`; a page ends early where it would be too large."""
        after, count = name_cursor(cursor), page_limit(limit)
        rows = await asyncio.to_thread(self._store.agents, after, count + 1, prefix, limits.PAGE_BYTES)
        shown = fitting(rows, count)
        more = shown[-1].name if len(shown) < len(rows) else None
        return AgentsPage(list(map(agent_info, shown)), more)

    async def agent(self, agent: str) -> AgentInfo:
        """One agent."""
        return agent_info(await self._row(agent))

    async def delete_agent(self, agent: str, archive: ArchiveChoice = "keep") -> None:
        """Delete an agent, its log and its saved states.

        Args:
            archive: whether to `keep` what was off-loaded to the archive, or to `remove` that too, which comes first.

        Raises:
            UnavailableError: the archive could not be removed; the agent is still there, and the same call goes on.
        """
        row = await self._row(agent)
        if archive == "remove" and self._archive is not None:
            try:
                await asyncio.to_thread(self._archive.remove, row.name, row.id)
            except StoreUnavailableError as error:
                raise UnavailableError(str(error)) from error
        saved = await asyncio.to_thread(self._store.snapshots, row.id)
        if await asyncio.to_thread(self._store.delete_agent, agent) is None:
            raise NotFoundError(f"there is no agent {agent!r}", "agent")
        await self._all_owners().forget(agent, settings_of(row.settings).kind)
        await asyncio.to_thread(self._snapshots.forget, saved)

    # -- calls to an agent's owner -----------------------------------------------------------------------------------

    async def call(self, call: OwnerCall, sees: Sees = sees_all) -> OwnerAnswer:
        """The owner's answer; `typed_calls` has the same with structs. Agents that observe get the same call.

        Args:
            sees: whether the caller may name an agent as an observer.
        """
        check_agent(call.agent)
        check_key(call.idempotency_key)
        if call.episode_id:
            check_episode(call.episode_id)
        if call.kind == "recommend":
            await self._check_observers(call, sees)
            call = replace(call, episode_id=new_episode_id(call.agent, call.idempotency_key))
        answer = await self._all_owners().call(call)
        self._track(call, answer)
        if answer.observers:
            await asyncio.gather(*(self._call_observer(name, call) for name in answer.observers))
        return answer

    async def _check_observers(self, call: OwnerCall, sees: Sees) -> None:
        observers = named_observers(call.body)
        if not observers:
            return
        await self._row(call.agent)
        decode(RecommendationRequest, call.body)  # any other violation is reported first
        if call.agent in observers or len(set(observers)) != len(observers):
            raise InvalidRequestError("expected other agents, each once", "observe")
        for place, observer in enumerate(observers):
            if not sees(observer) or await asyncio.to_thread(self._store.agent, observer) is None:
                raise NotFoundError(f"there is no agent {observer!r}", f"observe[{place}]")

    async def _call_observer(self, observer: str, observed: OwnerCall) -> None:
        """The same call to an agent that observes. One that was deleted meanwhile, or that refuses, is left out."""
        call = replace(observed, agent=observer, observed_agent=observed.agent)
        try:
            self._track(call, await self._all_owners().call(call))
        except (NotFoundError, ConflictError, InvalidRequestError) as error:
            LOG.warning("Observer %s is left out: %s", observer, error)
        except (OverloadedError, UnavailableError) as error:  # the caller may not know its name
            LOG.warning("Observer %s cannot be reached now: %s", observer, error)
            raise type(error)("an agent that observes cannot be reached now; the same call again is safe") from error

    def _track(self, call: OwnerCall, answer: OwnerAnswer) -> None:
        if self._tracker is not None and call.kind == "reward" and answer.numbers:
            self._tracker.offer(call.agent, answer.version, dict(answer.numbers))

    # -- recorded episodes and versions ----------------------------------------------------------------------------

    async def episodes(self, agent: str, cursor: str = "", limit: int = 100, sees: Sees = sees_all) -> EpisodesPage:
        """Episodes, the newest first; agents that the caller does not see are not named."""
        row, below, count = await self._row(agent), number_cursor(cursor), page_limit(limit)
        rows = await asyncio.to_thread(self._store.episodes, row.id, below, count + 1)
        more = str(rows[count - 1][0].number) if len(rows) > count else None
        return EpisodesPage([episode_summary(*pair, sees) for pair in rows[:count]], more)

    async def episode(self, agent: str, episode_id: str, sees: Sees = sees_all) -> EpisodeDetail:
        """One episode with its recommendation, results and reward."""
        check_episode(episode_id)
        return await asyncio.to_thread(self._detail, await self._row(agent), episode_id, sees)

    async def metrics(self, agent: str, cursor: str = "", limit: int = 100) -> MetricsPage:
        """The agent's curve: rewarded episodes in the order of their rewards."""
        row, after, count = await self._row(agent), number_cursor(cursor), page_limit(limit)
        rows = await asyncio.to_thread(self._store.rewards, row.id, after or 0, count + 1)
        more = str(rows[count - 1].seq) if len(rows) > count else None
        return MetricsPage(list(map(metrics_row, rows[:count])), more)

    async def versions(self, agent: str, cursor: str = "", limit: int = 100) -> VersionsPage:
        """Versions that can be restored, the newest first."""
        row, below, count = await self._row(agent), number_cursor(cursor), page_limit(limit)
        holds = await asyncio.to_thread(reachable, self._store, row)
        events = await asyncio.to_thread(self._store.versions, row.id, below, count + 1)
        listed = [(event.seq, version_info(event)) for event in events]
        if len(events) <= count and row.base_seq == 0 and below != 0:
            listed.append((0, VersionInfo(0, "", None, row.created_at)))
        more = str(listed[count - 1][1].version) if len(listed) > count else None
        return VersionsPage([version for seq, version in listed[:count] if holds(seq)], more)

    # -- the service itself -----------------------------------------------------------------------------------------

    async def ready(self) -> None:
        """Return if calls will be served.

        Raises:
            UnavailableError: the store does not answer.
        """
        await asyncio.to_thread(self._store.count_agents)

    async def statistics(self) -> ServiceStatistics:
        """What operators monitor."""
        started = time.perf_counter()
        count = await asyncio.to_thread(self._store.count_agents)
        seconds = time.perf_counter() - started
        owners = tuple(await self._all_owners().statistics())
        waiting = tuple(self._all_owners().waiting().items())
        return ServiceStatistics(count, len(owners), sum(owner.awake for owner in owners), owners, waiting, seconds)

    async def passivate(self, agent: str) -> None:
        """Let the agent's state be saved and the agent sleep; the next call wakes it."""
        check_agent(agent)
        await self._all_owners().passivate(agent)

    async def housekeep(self) -> None:
        """One round: revoke expired tokens, passivate owners that are idle for long, off-load what is old."""
        await asyncio.to_thread(self.tokens.expire)
        await self._all_owners().sweep()
        if self._archivist is not None:
            await asyncio.to_thread(self._archivist.run)

    async def close(self, passivate: bool = False) -> None:
        """Release everything.

        Args:
            passivate: let all owners in the cluster save and end too; without it they go on for other processes.
        """
        if self._housekeeper is not None:
            self._housekeeper.cancel()
            await asyncio.gather(self._housekeeper, return_exceptions=True)
        if self._owners is not None and (passivate or self.settings.inline):
            await self._owners.passivate_all()
        elif isinstance(self._owners, Directory):
            await self._owners.end_standby()
        if self._tracker is not None:
            await asyncio.to_thread(self._tracker.close)
        self._store.close()

    # -- inside -----------------------------------------------------------------------------------------------------

    def _all_owners(self) -> Directory | InlineOwners:
        """The owners; they and the housekeeping belong to the event loop of the first call."""
        if self._owners is None:
            settings = self.settings
            kept = DirectorySettings(
                namespace=settings.namespace,
                max_live=settings.max_live,
                shards=settings.shards,
                torch_shards=settings.torch_shards,
                idle_seconds=settings.idle_seconds,
                standby_owners=settings.standby_owners,
            )
            self._owners = Directory(self._store, self._owner_settings, kept, self._limits)
        if self._housekeeper is None and self.settings.housekeeping_seconds > 0 and not self.settings.inline:
            self._housekeeper = asyncio.get_running_loop().create_task(self._keep_house())
        return self._owners

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(self.settings.housekeeping_seconds)
            try:
                await self.housekeep()
            except Exception as error:  # noqa: BLE001 - the next round may do better; calls go on meanwhile
                LOG.warning("Housekeeping failed and will be retried: %s", error)

    async def _row(self, agent: str) -> AgentRow:
        check_agent(agent)
        row = await asyncio.to_thread(self._store.agent, agent)
        if row is None:
            raise NotFoundError(f"there is no agent {agent!r}", "agent")
        return row

    def _detail(self, row: AgentRow, episode_id: str, sees: Sees) -> EpisodeDetail:
        opened = load_episode(self._store, row.id, episode_id)
        summary = episode_summary(opened.row, self._store.reward(row.id, episode_id), sees)
        results = reported_results(opened.results.values())
        listed = msgspec.structs.asdict(summary)
        return EpisodeDetail(**listed, ranking=opened.ranking(), results=results, reward=opened.reward)


def _settings_text(request: CreateAgent, allowed_paths: Collection[str]) -> str:
    """The settings as they are stored, after an agent was made of them.

    Raises:
        InvalidRequestError: no agent can be made of them, or they name an import path that is not allowed.
    """
    try:
        settings = request.settings()
        for field, path in import_paths(settings).items():
            if path not in allowed_paths:
                allowed = (
                    f"one of its import paths ({', '.join(allowed_paths)})" if allowed_paths else "a built-in name"
                )
                raise InvalidRequestError(f"this service does not import {path[:200]!r}; expected {allowed}", field)
        Scheduler(settings)
        return checked_settings_text(settings)
    except InputError as error:
        raise invalid(error) from error
