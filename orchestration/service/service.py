"""The scheduling service without HTTP: one method per call. `serve_app` and notebooks stand on it.

service = SchedulingService(ServiceSettings.in_folder(Path("proctor-data"), inline=True))
await service.create_agent(CreateAgent("nightly", AgentSettings("failure_rate")))
answer = await service.recommend("nightly", RecommendationRequest(Candidates(("a", "b"))))
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import replace
from typing import TypeVar

from orchestration.runtime.artifacts import ArtifactStore
from orchestration.service.errors import (
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    OverloadedError,
    UnavailableError,
)
from orchestration.service.limits import (
    check_agent,
    check_budget,
    check_episode,
    check_key,
    check_new_agent,
    check_recommendation,
    check_results,
    check_text,
    name_cursor,
    number_cursor,
    page_limit,
)
from orchestration.service.owners.admission import AdmissionLimits
from orchestration.service.owners.agent_owner import AgentOwner, OwnerSettings
from orchestration.service.owners.archiving import Archivist
from orchestration.service.owners.directory import Directory
from orchestration.service.owners.inline import InlineOwners
from orchestration.service.owners.live_agent import agent_info
from orchestration.service.owners.messages import (
    AgentInfo,
    AgentsPage,
    CreateAgent,
    EpisodeDetail,
    EpisodesPage,
    InsightsAnswer,
    InsightsRequest,
    MetricsPage,
    NextAnswer,
    NextRequest,
    PatchAgent,
    RecommendationAnswer,
    RecommendationRequest,
    RestoreAnswer,
    RestoreRequest,
    Results,
    ResultsAnswer,
    ResultsRequest,
    RewardAnswer,
    RewardRequest,
    ServiceStatistics,
    VersionInfo,
    VersionsPage,
)
from orchestration.service.owners.open_episode import load_episode, summary
from orchestration.service.owners.owner_call import Answer, OwnerCall, Request
from orchestration.service.owners.ownership import DirectorySettings
from orchestration.service.owners.snapshots import Snapshots
from orchestration.service.owners.state_recovery import reachable
from orchestration.service.owners.wire import RawAnswer, RawRequest, results_of_body
from orchestration.service.settings import ServiceSettings
from orchestration.service.store.archive import Archive
from orchestration.service.store.codec import settings_of
from orchestration.service.store.registry import state_store
from orchestration.service.store.rows import AgentRow
from orchestration.service.tokens import Tokens
from orchestration.service.tracking import ServiceTracker
from orchestration.service.values import checked_settings, episode_name, metrics_row, version_info

__all__ = ["SchedulingService", "ServiceSettings"]

LOG = logging.getLogger(__name__)
Expected = TypeVar("Expected", bound=Answer)


class SchedulingService:
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
        self._holding = OwnerSettings(
            store_url=self._store.url,
            artifact_url=artifacts.url,
            snapshot_every=settings.snapshot_every,
            snapshots_kept=settings.snapshots_kept,
            agents_in_memory=settings.agents_in_memory,
        )
        self._snapshots = Snapshots(self._store, artifacts, settings.snapshots_kept)
        archive = Archive(settings.archive_url) if settings.archive_url else None
        self._archivist = Archivist(self._store, archive, settings.kept_episodes) if archive is not None else None
        self._tracker = ServiceTracker(settings.tracking) if settings.tracking else None
        self._limits = AdmissionLimits(settings.calls_per_agent, settings.calls_per_owner)
        self._owners: Directory | InlineOwners | None = None
        if settings.inline:
            self._owners = InlineOwners(AgentOwner(self._holding, self._store, artifacts), self._limits)
        self._housekeeper: asyncio.Task[None] | None = None

    # -- agents -----------------------------------------------------------------------------------------------------

    async def create_agent(self, request: CreateAgent) -> AgentInfo:
        """Make an agent; the same call again finds it.

        Raises:
            ConflictError: an agent of that name and with other settings is there.
        """
        check_new_agent(request, self.settings.import_paths)
        text = await asyncio.to_thread(checked_settings, request.settings)
        row, created = await asyncio.to_thread(
            self._store.create_agent, request.name, text, request.description, time.time()
        )
        born = self._store.events(row.id, 0, 1) if not created else []
        same = created or row.settings == text or any(event.payload == text.encode() for event in born)
        if not same:
            raise ConflictError(f"there is an agent {request.name!r} with other settings", "name")
        return agent_info(row, created)

    async def list_agents(self, cursor: str = "", limit: int = 100, prefix: str = "") -> AgentsPage:
        """Agents by name, those whose name begins with `prefix`."""
        rows = await asyncio.to_thread(self._store.agents, name_cursor(cursor), page_limit(limit) + 1, prefix)
        more = rows[limit - 1].name if len(rows) > limit else None
        return AgentsPage(tuple(map(agent_info, rows[:limit])), more)

    async def agent(self, agent: str) -> AgentInfo:
        """One agent."""
        return agent_info(await self._row(agent))

    async def patch_agent(self, agent: str, request: PatchAgent) -> AgentInfo:
        """Change what may change."""
        if request.description is not None:
            check_text(request.description, "description")
        if request.budget is not None:
            check_budget(request.budget)
        return await self._ask(AgentInfo, OwnerCall(agent, request))

    async def delete_agent(self, agent: str) -> None:
        """Delete an agent, its log and its saved states; what was off-loaded to the archive stays there."""
        row = await self._row(agent)
        saved = await asyncio.to_thread(self._store.snapshots, row.id)
        if await asyncio.to_thread(self._store.delete_agent, agent) is None:
            raise NotFoundError(f"there is no agent {agent!r}", "agent")
        await self._all_owners().forget(agent, settings_of(row.settings).kind)
        await asyncio.to_thread(self._snapshots.forget, saved)

    # -- recommend, results, reward, next ---------------------------------------------------------------------------

    async def recommend(self, agent: str, request: RecommendationRequest) -> RecommendationAnswer:
        """The order in which to run a job's tests; opens an episode of the agent and of those that observe."""
        check_recommendation(agent, request)
        for place, observer in enumerate(request.observe):
            if await asyncio.to_thread(self._store.agent, observer) is None:
                raise NotFoundError(f"there is no agent {observer!r}", f"observe[{place}]")
        name = episode_name(agent, request.idempotency_key)
        answer = await self._ask(RecommendationAnswer, OwnerCall(agent, request, episode_id=name))
        observed = replace(request, observe=())
        await self._tell_observers(request.observe, observed, name, agent)
        return answer

    async def results(self, agent: str, request: ResultsRequest) -> ResultsAnswer:
        """Take in results of an episode."""
        check_episode(request.episode_id)
        check_results(request.results)
        answer = await self._ask(ResultsAnswer, OwnerCall(agent, request))
        await self._tell_observers(answer.observers, request)
        return answer

    async def reward(self, agent: str, request: RewardRequest) -> RewardAnswer:
        """Score an episode and learn from it; repeated: the first answer."""
        check_episode(request.episode_id)
        answer = await self._ask(RewardAnswer, OwnerCall(agent, request))
        self._track(agent, answer)
        await self._reward_observers(answer.observers, request)
        return answer

    # The three calls of every CI job once more, as the bytes of their HTTP bodies: see `actors.wire`. Each raises
    # NotPlainError where the body is to be read by `recommend` or `results`; nothing was done then.

    async def recommend_raw(self, agent: str, body: bytes, idempotency_key: str = "") -> RawAnswer:
        """See `recommend`."""
        check_key(idempotency_key)
        name = episode_name(agent, idempotency_key)
        request = RawRequest("recommend", body, idempotency_key=idempotency_key)
        return await self._ask(RawAnswer, OwnerCall(agent, request, episode_id=name))

    async def results_raw(self, agent: str, episode: str, body: bytes) -> RawAnswer:
        """See `results`."""
        check_episode(episode)
        answer = await self._ask(RawAnswer, OwnerCall(agent, RawRequest("results", body, episode)))
        if answer.observers:
            await self._tell_observers(answer.observers, ResultsRequest(episode, results_of_body(body)))
        return answer

    async def reward_raw(self, agent: str, episode: str) -> RawAnswer:
        """See `reward`."""
        check_episode(episode)
        answer = await self._ask(RawAnswer, OwnerCall(agent, RawRequest("reward", episode_id=episode)))
        if self._tracker is not None and answer.numbers:
            self._tracker.offer(agent, answer.version, dict(answer.numbers))
        await self._reward_observers(answer.observers, RewardRequest(episode))
        return answer

    async def next(self, agent: str, request: NextRequest) -> NextAnswer:
        """What to run next in an episode, given what has run so far."""
        check_episode(request.episode_id)
        check_results(request.results)
        answer = await self._ask(NextAnswer, OwnerCall(agent, request))
        if request.results.ids:
            told = ResultsRequest(request.episode_id, request.results)
            await self._tell_observers(answer.observers, told)
        return answer

    # -- what was seen, chosen, rewarded ----------------------------------------------------------------------------

    async def episodes(self, agent: str, cursor: str = "", limit: int = 100) -> EpisodesPage:
        """Episodes, the newest first."""
        row, below, count = await self._row(agent), number_cursor(cursor), page_limit(limit)
        found = await asyncio.to_thread(self._store.episodes, row.id, below, count + 1)
        more = str(found[count - 1][0].number) if len(found) > count else None
        return EpisodesPage(tuple(summary(*pair) for pair in found[:count]), more)

    async def episode(self, agent: str, episode_id: str) -> EpisodeDetail:
        """One episode with its recommendation, results and reward."""
        check_episode(episode_id)
        row = await self._row(agent)
        return await asyncio.to_thread(self._detail, row, episode_id)

    async def metrics(self, agent: str, cursor: str = "", limit: int = 100) -> MetricsPage:
        """The agent's curve: rewarded episodes in the order of their rewards."""
        row, after, count = await self._row(agent), number_cursor(cursor), page_limit(limit)
        found = await asyncio.to_thread(self._store.rewards, row.id, after or 0, count + 1)
        more = str(found[count - 1].seq) if len(found) > count else None
        return MetricsPage(tuple(map(metrics_row, found[:count])), more)

    async def insights(self, agent: str) -> InsightsAnswer:
        """What the agent's history shows."""
        return await self._ask(InsightsAnswer, OwnerCall(agent, InsightsRequest()))

    async def versions(self, agent: str, cursor: str = "", limit: int = 100) -> VersionsPage:
        """Versions that can be restored, the newest first."""
        row, below, count = await self._row(agent), number_cursor(cursor), page_limit(limit)
        holds = await asyncio.to_thread(reachable, self._store, row)
        found = await asyncio.to_thread(self._store.versions, row.id, below, count + 1)
        told = [(event.seq, version_info(event)) for event in found]
        if len(found) <= count and row.base_seq == 0 and below != 0:
            told.append((0, VersionInfo(0, "", None, row.created_at)))
        more = str(told[count - 1][1].version) if len(told) > count else None
        return VersionsPage(tuple(one for seq, one in told[:count] if holds(seq)), more)

    async def restore(self, agent: str, request: RestoreRequest) -> RestoreAnswer:
        """Make the state of a version the agent's state again, as a new version."""
        check_key(request.idempotency_key)
        return await self._ask(RestoreAnswer, OwnerCall(agent, request))

    # -- the service itself -----------------------------------------------------------------------------------------

    async def ready(self) -> None:
        """Return if calls will be served.

        Raises:
            UnavailableError: the store does not answer.
        """
        await asyncio.to_thread(self._store.count_agents)

    async def statistics(self) -> ServiceStatistics:
        """What operators watch."""
        started = time.perf_counter()
        count = await asyncio.to_thread(self._store.count_agents)
        seconds = time.perf_counter() - started
        owners = tuple(await self._all_owners().statistics())
        waiting = tuple(self._all_owners().waiting().items())
        return ServiceStatistics(count, len(owners), sum(one.awake for one in owners), owners, waiting, seconds)

    async def passivate(self, agent: str) -> None:
        """Let the agent's state be saved and the agent sleep; the next call wakes it."""
        check_agent(agent)
        await self._all_owners().passivate(agent)

    async def housekeep(self) -> None:
        """One round: passivate owners that are idle for long, off-load what is old."""
        await self._all_owners().sweep()
        if self._archivist is not None:
            await asyncio.to_thread(self._archivist.run)

    async def close(self, passivate: bool = False) -> None:
        """Let go of everything.

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

    async def _ask(self, kind: type[Expected], call: OwnerCall) -> Expected:
        check_agent(call.agent)
        answer = await self._all_owners().call(call)
        assert isinstance(answer, kind)
        return answer

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
            self._owners = Directory(self._store, self._holding, kept, self._limits)
        if self._housekeeper is None and self.settings.housekeeping_seconds > 0 and not self.settings.inline:
            self._housekeeper = asyncio.get_running_loop().create_task(self._keep_house())
        return self._owners

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(self.settings.housekeeping_seconds)
            try:
                await self.housekeep()
            except Exception as error:  # noqa: BLE001 - the next round may do better; calls go on meanwhile
                LOG.warning("Housekeeping failed and is tried again later: %s", error)

    async def _tell_observers(
        self,
        observers: tuple[str, ...],
        request: Request,
        episode_id: str = "",
        observed: str = "",
    ) -> list[tuple[str, Answer]]:
        """The same to all agents that observe. One that was deleted meanwhile, or that refuses, is left out."""

        async def tell(observer: str) -> tuple[str, Answer] | None:
            call = OwnerCall(observer, request, episode_id=episode_id, observed_agent=observed)
            try:
                return observer, await self._all_owners().call(call)
            except (NotFoundError, ConflictError, InvalidRequestError) as error:
                LOG.warning("Observer %s is left out: %s", observer, error)
                return None
            except (OverloadedError, UnavailableError) as error:  # its name may be none that the caller may know
                LOG.warning("Observer %s cannot be told now: %s", observer, error)
                raise type(error)("an agent that observes cannot be told now; the same call again is safe") from error

        told = await asyncio.gather(*map(tell, observers))
        return [one for one in told if one is not None]

    async def _reward_observers(self, observers: tuple[str, ...], request: RewardRequest) -> None:
        for observer, told in await self._tell_observers(observers, request) if observers else ():
            if isinstance(told, RewardAnswer):
                self._track(observer, told)

    def _track(self, agent: str, answer: RewardAnswer) -> None:
        if self._tracker is not None and not answer.repeated:
            self._tracker.offer(agent, answer.agent_version, {"reward": answer.total, **dict(answer.metrics)})

    async def _row(self, agent: str) -> AgentRow:
        check_agent(agent)
        row = await asyncio.to_thread(self._store.agent, agent)
        if row is None:
            raise NotFoundError(f"there is no agent {agent!r}", "agent")
        return row

    def _detail(self, row: AgentRow, episode_id: str) -> EpisodeDetail:
        opened = load_episode(self._store, row.id, episode_id)
        reward = self._store.reward(row.id, episode_id)
        results = Results.of(tuple(opened.results.values()))
        return EpisodeDetail(summary(opened.row, reward), opened.ranking(), results, opened.reward)
