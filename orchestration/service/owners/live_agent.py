"""One agent in its owner's memory: carries out calls, one at a time, and says what is to be written for them.

A call changes the memory first and is written afterwards, together with others; whoever holds the agent answers only
after the write, and throws the memory away if the write fails. So nothing that is in the log was ever refused by the
learner, and nothing is acknowledged that is not in the log.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from agents.scheduling.columns import ids_of, keys_of, ranking_columns
from agents.scheduling.episode import Budget
from agents.scheduling.episode_codec import episode_to_bytes
from agents.scheduling.observation import FloatArray
from agents.scheduling.reward import RewardOutcome
from agents.scheduling.scheduler import Scheduler
from agents.scheduling.testcase import TestCase, TestResult
from orchestration.service.errors import ConflictError, InvalidRequestError, NotFoundError
from orchestration.service.owners.insights import insights
from orchestration.service.owners.messages import (
    AgentInfo,
    NextAnswer,
    NextRequest,
    PastRun,
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
)
from orchestration.service.owners.open_episode import OpenEpisode, load_episode, observers_of, without_payload
from orchestration.service.owners.owner_call import Answer, OwnerCall
from orchestration.service.owners.snapshots import Snapshots
from orchestration.service.owners.state_recovery import RecoveredState, state_of_version, take_history, with_settings
from orchestration.service.owners.wire import (
    RawAnswer,
    RawRequest,
    recommendation_answer,
    recommendation_request,
    results_answer,
    results_of_body,
    reward_answer,
)
from orchestration.service.store.codec import (
    metrics_text,
    packed_history,
    packed_restore,
    packed_results,
    packed_rewards,
    plain_rewards,
    restore_of,
    settings_of,
    settings_text,
)
from orchestration.service.store.roles import RecoveryStore
from orchestration.service.store.rows import (
    AgentCommit,
    AgentRow,
    EpisodeRow,
    EventKind,
    EventRow,
    RewardRow,
)


class LiveAgent:
    """See the module.

    Args:
        row: as taken over; its epoch goes with every write.
        folded: the state after all of the log.
        write: writes what is pending of all agents of the owner; called before the log or an old episode is read.

    Attributes:
        restored: a version was, after the newest snapshot: it cannot be off-loaded before there is a newer one.
    """

    def __init__(
        self,
        store: RecoveryStore,
        snapshots: Snapshots,
        row: AgentRow,
        folded: RecoveredState,
        write: Callable[[], None],
    ) -> None:
        self._write, self._written = write, False
        self._store = store
        self._snapshots = snapshots
        self.row = row
        self.name = row.name
        self.scheduler: Scheduler = folded.scheduler
        self.seq = folded.seq
        self.version = row.version
        self._episodes = row.episodes
        self._settings, self._description = row.settings, row.description
        self._updated_at = row.updated_at
        self._cache = folded.episodes
        self._pending: AgentCommit | None = None
        newest = store.snapshots(row.id)
        self.restored = False
        self.snapshot_seq, self.snapshot_version = (newest[-1].seq, newest[-1].version) if newest else (0, 0)

    # -- what the owner asks ---------------------------------------------------------------------------------------

    def perform(self, call: OwnerCall) -> Answer:
        """Carry out a call in memory.

        Raises:
            ServiceError, InputError: the call is refused; nothing was changed.
            Exception: it broke off. What earlier calls want written is still pending; the memory must be dropped.
        """
        before = self._pending and self._pending.copy()
        self._written = False
        try:
            return self._dispatch(call)
        except Exception:
            self._pending = None if self._written else before
            raise

    def _dispatch(self, call: OwnerCall) -> Answer:
        request = call.request
        if isinstance(request, RawRequest):
            return self._raw(call, request)
        if isinstance(request, RecommendationRequest):
            return self._recommend(call, request)
        if isinstance(request, ResultsRequest):
            return self._take_results(request.episode_id, request.results)
        if isinstance(request, RewardRequest):
            return self._reward(request.episode_id)
        if isinstance(request, NextRequest):
            return self._next(request)
        if isinstance(request, RestoreRequest):
            return self._restore(request)
        if isinstance(request, PatchAgent):
            return self._patch(request)
        return insights(self.scheduler.history, self.version)

    def _raw(self, call: OwnerCall, request: RawRequest) -> RawAnswer:
        """The same calls as bytes."""
        if request.kind == "recommend":
            asked = recommendation_request(request.body, request.idempotency_key)
            return recommendation_answer(self._recommend(call, asked))
        if request.kind == "results":
            return results_answer(self._take_results(request.episode_id, results_of_body(request.body)))
        return reward_answer(self._reward(request.episode_id))

    def take_pending(self) -> AgentCommit | None:
        """What is to be written; None: nothing."""
        pending, self._pending = self._pending, None
        return pending

    @property
    def settings_text(self) -> str:
        """The settings of now, as stored."""
        return self._settings

    # -- recommend --------------------------------------------------------------------------------------------------

    def _recommend(self, call: OwnerCall, request: RecommendationRequest) -> RecommendationAnswer:
        digest = hashlib.sha256(repr(request).encode()).hexdigest() if request.idempotency_key else ""
        known = self._known(call.episode_id) if call.again or digest else None
        if known is not None:
            if known.row.request_digest != digest:
                raise ConflictError("this idempotency key was used for another request", "idempotency_key")
            return known.recommendation()
        tests = request.candidates.tests(request.job)
        told = self._unknown_histories(tests, request.candidates.histories)
        # Refused requests change nothing, so told histories are entered into a state that can be left again.
        before = self.scheduler.history.state() if told else None
        try:
            if told:
                take_history(self.scheduler, request.job, *told)
            episode = self.scheduler.recommend(
                tests, call.episode_id, self._episodes, self._budget(request, tests), opened_at=time.time()
            )
        except BaseException:
            if before is not None:
                self.scheduler.history.restore(before)
            raise
        if told:
            self._log(EventKind.HISTORY, call.episode_id, packed_history(request.job, *told))
        row = EpisodeRow(
            agent_id=self.row.id,
            id=episode.id,
            number=episode.number,
            job=request.job,
            version=self.version,
            opened_at=episode.opened_at,
            tests=len(tests),
            selected=sum(ranking_columns(episode.ranking).selected),
            exploration=episode.scores.exploration,
            observers=",".join(request.observe),
            observed_agent=call.observed_agent,
            request_digest=digest,
            payload=episode_to_bytes(episode),
        )
        self._episodes += 1
        self._commit().new_episodes.append(row)
        return self._cache.put(OpenEpisode(without_payload(row), episode)).recommendation()

    def _known(self, episode_id: str) -> OpenEpisode | None:
        try:
            return self._opened(episode_id)
        except NotFoundError:
            return None

    def _budget(self, request: RecommendationRequest, tests: Sequence[TestCase]) -> Budget | None:
        """The agent's own budget with what the request says laid over it; None: as it is."""
        if request.time_budget_seconds is None and not request.must_run:
            return None
        own = self.scheduler.settings.budget
        known = set(ids_of(tests)) if own.must_run else set()
        standing = [name for name in own.must_run if name in known]
        must_run = tuple(dict.fromkeys([*standing, *request.must_run]))
        seconds, share = request.time_budget_seconds, None
        if seconds is None:
            seconds, share = own.seconds, own.share
        return Budget(seconds, share, own.fill, must_run, own.new_tests_in)

    def _unknown_histories(
        self, tests: Sequence[TestCase], histories: Sequence[tuple[PastRun, ...]]
    ) -> tuple[list[str], list[tuple[PastRun, ...]]] | None:
        """Told histories of tests that the agent does not know; None: there are none."""
        if not any(histories):
            return None
        rows = self.scheduler.history.rows(keys_of(tests))
        chosen = [place for place in np.flatnonzero(rows < 0).tolist() if histories[place]]
        return ([tests[place].id for place in chosen], [histories[place] for place in chosen]) if chosen else None

    # -- results, reward, next --------------------------------------------------------------------------------------

    def _take_results(self, episode_id: str, given: Results) -> ResultsAnswer:
        opened = self._opened(episode_id)
        new = self._enter(opened, given)
        return opened.results_answer(len(given), len(new))

    def _enter(self, opened: OpenEpisode, given: Results) -> list[TestResult]:
        try:
            results = given.results()
        except ValueError as error:
            raise InvalidRequestError(str(error), "results.verdict") from error
        new = opened.new_among(results)
        if new:
            self.scheduler.record(opened.episode, new)
            opened.results.update((result.id, result) for result in new)
            self._log(EventKind.RESULTS, opened.row.id, packed_results(new))
        return new

    def _reward(self, episode_id: str) -> RewardAnswer:
        opened = self._opened(episode_id)
        if opened.reward is not None:
            return replace(opened.reward, repeated=True)
        outcome = self.scheduler.reward(opened.episode, opened.results)
        self.version += 1
        event = self._log(EventKind.REWARD, episode_id, b"")
        rewards = outcome.rewards[ranking_columns(opened.episode.ranking).places_among(ids_of(opened.episode.tests))]
        metrics = tuple(sorted(outcome.metrics.items()))
        row = _reward_row(opened, outcome, rewards, event)
        self._commit().new_rewards.append(row)
        opened.reward = opened.reward_answer(row, plain_rewards(rewards), metrics)
        return opened.reward

    def _next(self, request: NextRequest) -> NextAnswer:
        opened = self._opened(request.episode_id)
        if request.results.ids:
            self._enter(opened, request.results)
        chosen = self.scheduler.next_test(opened.episode, opened.results)
        observers, remaining = observers_of(opened.row), opened.missing()
        if chosen is None:
            return NextAnswer(opened.row.id, None, None, (), remaining, observers)
        return NextAnswer(opened.row.id, chosen.id, chosen.position, chosen.reasons, remaining, observers)

    # -- the agent itself -------------------------------------------------------------------------------------------

    def _patch(self, request: PatchAgent) -> AgentInfo:
        old = self.scheduler.settings
        explored = request.exploration_settings
        if request.exploration is not None and explored is None and request.exploration != old.exploration:
            explored = ()  # settings of another exploration mean nothing to this one
        settings = replace(
            old,
            reward=old.reward if request.reward is None else request.reward,
            exploration=old.exploration if request.exploration is None else request.exploration,
            exploration_settings=old.exploration_settings if explored is None else explored,
            budget=old.budget if request.budget is None else request.budget,
        )
        changed, text = with_settings(self.scheduler, settings), settings_text(settings)
        if request.description is not None and request.description != self._description:
            self._description = request.description
            self._commit()
        if text != self._settings:
            self.scheduler, self._settings = changed, text
            self._log(EventKind.SETTINGS, "", text.encode())
        return self._info()

    def _info(self) -> AgentInfo:
        pending = self._pending
        row = replace(
            self.row,
            settings=self._settings,
            description=self._description,
            version=self.version,
            episodes=self._episodes,
            updated_at=self._updated_at if pending is None else pending.updated_at,
        )
        return agent_info(row)

    def _restore(self, request: RestoreRequest) -> RestoreAnswer:
        self._write_now()
        if request.idempotency_key:
            for event in self._store.events_of(self.row.id, request.idempotency_key):
                if event.kind == EventKind.RESTORED:
                    return RestoreAnswer(event.version, restore_of(event.payload)[0])
        row = self._store.agent(self.name)  # what was off-loaded meanwhile cannot be restored any more
        if row is None:
            raise NotFoundError(f"there is no agent {self.name!r}", "agent")
        seq, state = state_of_version(self._store, row, self._snapshots, request.version)
        self.scheduler.restore(state)
        self.version += 1
        self._log(EventKind.RESTORED, request.idempotency_key, packed_restore(request.version, seq))
        self.restored = True
        return RestoreAnswer(self.version, request.version)

    # -- inside -----------------------------------------------------------------------------------------------------

    def _opened(self, episode_id: str) -> OpenEpisode:
        found = self._cache.get(episode_id)
        if found is None:
            if self._pending is not None:
                self._write_now()
            found = self._cache.put(load_episode(self._store, self.row.id, episode_id))
        return found

    def _write_now(self) -> None:
        self._write()
        self._written = True

    def _log(self, kind: EventKind, subject: str, payload: bytes) -> EventRow:
        self.seq += 1
        event = EventRow(self.row.id, self.seq, kind.value, subject, self.version, time.time(), payload)
        self._commit().new_events.append(event)
        return event

    def _commit(self) -> AgentCommit:
        """What is to be written, brought up to date with the memory by `take_pending`."""
        if self._pending is None:
            self._pending = AgentCommit(self.row.id, self.row.owner_epoch, 0, 0, 0, 0.0, "", "")
        pending = self._pending
        self._updated_at = pending.updated_at = time.time()
        pending.last_seq, pending.version, pending.episodes = self.seq, self.version, self._episodes
        pending.settings, pending.description = self._settings, self._description
        return pending


def _reward_row(opened: OpenEpisode, outcome: RewardOutcome, rewards: FloatArray, event: EventRow) -> RewardRow:
    """What is stored of a reward; `rewards` in the order of the recommendation."""
    return RewardRow(
        agent_id=event.agent_id,
        episode_id=event.subject,
        seq=event.seq,
        number=opened.row.number,
        version=event.version,
        tests=opened.row.tests,
        exploration=opened.row.exploration,
        total=float(outcome.total),
        metrics=metrics_text(outcome.metrics),
        rewarded_at=event.at,
        payload=packed_rewards(rewards),
    )


def agent_info(row: AgentRow, created: bool = True) -> AgentInfo:
    """An agent as the service tells it."""
    return AgentInfo(
        name=row.name,
        settings=settings_of(row.settings),
        description=row.description,
        version=row.version,
        episodes=row.episodes,
        created_at=row.created_at,
        updated_at=row.updated_at,
        created=created,
    )
