"""One agent in its owner's memory: carries out calls, one at a time, and says what is to be written for them.

A call changes the memory first and is written afterwards, together with others; whoever holds the agent answers only
after the write, and throws the memory away if the write fails. So nothing that is in the log was ever refused by the
learner, and nothing is acknowledged that is not in the log.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

import msgspec
import numpy as np

from agents.scheduling.columns import ids_of, keys_of, ranking_columns
from agents.scheduling.episode import Budget
from agents.scheduling.episode_codec import episode_to_bytes
from agents.scheduling.observation import FloatArray
from agents.scheduling.reward import RewardOutcome
from agents.scheduling.scheduler import Scheduler
from orchestration.service.api.agents import PatchAgent, RestoreAnswer, RestoreRequest, checked_settings_text
from orchestration.service.api.columns import Job, read_job, results_of
from orchestration.service.api.decoding import decode, encode
from orchestration.service.api.recommendations import (
    NextAnswer,
    NextRequest,
    ReportedResult,
    ResultsAnswer,
    ResultsRequest,
)
from orchestration.service.errors import ConflictError, NotFoundError
from orchestration.service.owners.insights import insights_answer
from orchestration.service.owners.job_checks import check_size, job_digest, past_runs
from orchestration.service.owners.open_episode import OpenEpisode, load_episode, without_payload
from orchestration.service.owners.owner_call import CallKind, OwnerAnswer, OwnerCall
from orchestration.service.owners.snapshots import Snapshots
from orchestration.service.owners.state_recovery import RecoveredState, state_of_version, take_history, with_settings
from orchestration.service.store.codec import (
    PastRun,
    metrics_text,
    packed_history,
    packed_restore,
    packed_results,
    packed_rewards,
    plain_rewards,
    restore_of,
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
from orchestration.service.stored_answers import agent_info, observers_of


class LiveAgent:
    """See the module.

    Args:
        row: as taken over; its epoch goes with every write.
        folded: the state after all of the log.
        write: writes what is pending of all agents of the owner; called before the log or an old episode is read.

    Attributes:
        size: about the bytes of its history and its episodes, when it was measured last.
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
        self.restored, self.size = False, 0
        self.snapshot_seq, self.snapshot_version = (newest[-1].seq, newest[-1].version) if newest else (0, 0)

    def perform(self, call: OwnerCall) -> OwnerAnswer:
        """Carry out a call in memory.

        Raises:
            ServiceError, InputError: the call is refused; nothing was changed.
            Exception: it broke off. What earlier calls want written is still pending; the memory must be dropped.
        """
        before = self._pending and self._pending.copy()
        self._written = False
        try:
            request, handle = CALLS[call.kind]
            return handle(self, call, request(call.body))
        except Exception:
            self._pending = None if self._written else before
            raise

    def take_pending(self) -> AgentCommit | None:
        """What is to be written; None: nothing."""
        pending, self._pending = self._pending, None
        return pending

    def measure(self) -> None:
        """Bring `size` up to date."""
        self.size = self.scheduler.history.nbytes + self._cache.nbytes

    @property
    def settings_text(self) -> str:
        """The settings of now, as stored."""
        return self._settings

    # -- recommend --------------------------------------------------------------------------------------------------

    def _recommend(self, call: OwnerCall, job: Job) -> OwnerAnswer:
        observers = () if call.observed_agent else tuple(job.request.observe)
        digest = job_digest(job, observers, call.idempotency_key) if call.idempotency_key else ""
        opened = self._known(call.episode_id) if call.again or digest else None
        if opened is None:
            opened = self._open(call, job, observers, digest)
        elif opened.row.request_digest != digest:
            raise ConflictError("this idempotency key was used for another request", "idempotency_key")
        answer = opened.recommendation()
        return OwnerAnswer(encode(answer), answer.observers, numbers=(("exploration", answer.exploration),))

    def _open(self, call: OwnerCall, job: Job, observers: Sequence[str], digest: str) -> OpenEpisode:
        check_size(len(job.tests), self.scheduler.settings.history_length)
        past, name, opened_at = self._unknown_histories(job), job.request.job, time.time()
        # Refused requests change nothing, so reported histories are entered into a state that can be left again.
        before = self.scheduler.history.state() if past else None
        try:
            if past:
                take_history(self.scheduler, name, *past)
            episode = self.scheduler.recommend(
                job.tests, call.episode_id, self._episodes, self._budget(job), opened_at=opened_at
            )
        except BaseException:
            if before is not None:
                self.scheduler.history.restore(before)
            raise
        if past:
            self._log(EventKind.HISTORY, call.episode_id, packed_history(name, *past))
        row = EpisodeRow(
            agent_id=self.row.id,
            id=call.episode_id,
            number=self._episodes,
            job=name,
            version=self.version,
            opened_at=opened_at,
            tests=len(job.tests),
            selected=sum(ranking_columns(episode.ranking).selected),
            exploration=episode.scores.exploration,
            observers=",".join(observers),
            observed_agent=call.observed_agent,
            request_digest=digest,
            payload=episode_to_bytes(episode),
        )
        self._episodes += 1
        self._commit().new_episodes.append(row)
        return self._cache.put(OpenEpisode(without_payload(row), episode))

    def _known(self, episode_id: str) -> OpenEpisode | None:
        try:
            return self._opened(episode_id)
        except NotFoundError:
            return None

    def _budget(self, job: Job) -> Budget | None:
        """The agent's own budget with that of the request in front; None: the agent's own."""
        request = job.request
        if request.time_budget_seconds is None and not request.must_run:
            return None
        own = self.scheduler.settings.budget
        ids = set(job.tests.ids) if own.must_run else set()
        must_run = tuple(dict.fromkeys([*(name for name in own.must_run if name in ids), *request.must_run]))
        seconds, share = request.time_budget_seconds, None
        if seconds is None:
            seconds, share = own.seconds, own.share
        return Budget(seconds, share, own.fill, must_run, own.new_tests_in)

    def _unknown_histories(self, job: Job) -> tuple[list[str], list[tuple[PastRun, ...]]] | None:
        """Reported histories of tests that the agent does not know; None: there are none."""
        histories = [test.history for test in job.request.test_cases]
        if not any(histories):
            return None
        rows = self.scheduler.history.rows(keys_of(job.tests))
        chosen = [(job.tests.ids[place], past_runs(histories[place])) for place in np.flatnonzero(rows < 0).tolist()]
        chosen = [entry for entry in chosen if entry[1]]
        return ([name for name, _ in chosen], [runs for _, runs in chosen]) if chosen else None

    # -- results, reward, next --------------------------------------------------------------------------------------

    def _results(self, call: OwnerCall, request: ResultsRequest) -> OwnerAnswer:
        opened = self._opened(call.episode_id)
        new = self._enter(opened, request.results)
        answer = ResultsAnswer(opened.row.id, new, len(request.results) - new, opened.missing())
        return OwnerAnswer(encode(answer), observers_of(opened.row), numbers=(("results", new),))

    def _enter(self, opened: OpenEpisode, reported: Sequence[ReportedResult]) -> int:
        new = opened.new_among(results_of(reported))
        if new:
            self.scheduler.record(opened.episode, new)
            opened.results.update((result.id, result) for result in new)
            self._log(EventKind.RESULTS, opened.row.id, packed_results(new))
        return len(new)

    def _reward(self, call: OwnerCall, request: None) -> OwnerAnswer:
        opened = self._opened(call.episode_id)
        observers = observers_of(opened.row)
        if opened.reward is not None:
            return OwnerAnswer(encode(msgspec.structs.replace(opened.reward, repeated=True)), observers)
        outcome = self.scheduler.reward(opened.episode, opened.results)
        self.version += 1
        event = self._log(EventKind.REWARD, opened.row.id, b"")
        rewards = outcome.rewards[ranking_columns(opened.episode.ranking).places_among(ids_of(opened.episode.tests))]
        row = _reward_row(opened, outcome, rewards, event)
        self._commit().new_rewards.append(row)
        answer = opened.reward = opened.reward_answer(row, plain_rewards(rewards))
        return OwnerAnswer(
            encode(answer), observers, answer.agent_version, (("reward", answer.total), *answer.metrics.items())
        )

    def _next(self, call: OwnerCall, request: NextRequest) -> OwnerAnswer:
        opened = self._opened(request.episode_id)
        new = self._enter(opened, request.results)
        test = self.scheduler.next_test(opened.episode, opened.results)
        remaining = opened.missing()
        answer = NextAnswer(opened.row.id, None, None, (), remaining)
        if test is not None:
            answer = NextAnswer(opened.row.id, test.id, test.position, test.reasons, remaining)
        observers = observers_of(opened.row) if request.results else ()
        return OwnerAnswer(encode(answer), observers, numbers=(("results", new),))

    # -- the agent itself -------------------------------------------------------------------------------------------

    def _patch(self, call: OwnerCall, request: PatchAgent) -> OwnerAnswer:
        old = self.scheduler.settings
        explored = old.exploration_settings
        if request.exploration_settings is not None:
            explored = tuple(sorted(request.exploration_settings.items()))
        elif request.exploration not in (None, old.exploration):
            explored = ()  # settings of another exploration mean nothing to this one
        settings = replace(
            old,
            reward=old.reward if request.reward is None else request.reward,
            exploration=old.exploration if request.exploration is None else request.exploration,
            exploration_settings=explored,
            budget=old.budget if request.budget is None else request.budget.budget(),
        )
        text = checked_settings_text(settings, self._settings)
        changed = with_settings(self.scheduler, settings)
        if request.description is not None and request.description != self._description:
            self._description = request.description
            self._commit()
        if text != self._settings:
            self.scheduler, self._settings = changed, text
            self._log(EventKind.SETTINGS, "", text.encode())
        row = replace(
            self.row,
            settings=self._settings,
            description=self._description,
            version=self.version,
            episodes=self._episodes,
            updated_at=self._updated_at,
        )
        return OwnerAnswer(encode(agent_info(row)))

    def _restore(self, call: OwnerCall, request: RestoreRequest) -> OwnerAnswer:
        self._write_now()
        if call.idempotency_key:
            for event in self._store.events_of(self.row.id, call.idempotency_key):
                if event.kind == EventKind.RESTORED:
                    return _repeated_restore(event, request)
        row = self._store.agent(self.name)  # what was off-loaded meanwhile cannot be restored any more
        if row is None:
            raise NotFoundError(f"there is no agent {self.name!r}", "agent")
        seq, state = state_of_version(self._store, row, self._snapshots, request.version)
        self.scheduler.restore(state)
        self.version += 1
        self._log(EventKind.RESTORED, call.idempotency_key, packed_restore(request.version, seq))
        self.restored = True
        return OwnerAnswer(encode(RestoreAnswer(self.version, request.version)))

    def _insights(self, call: OwnerCall, request: None) -> OwnerAnswer:
        return OwnerAnswer(encode(insights_answer(self.scheduler.history, self.version)))

    # -- inside -----------------------------------------------------------------------------------------------------

    def _opened(self, episode_id: str) -> OpenEpisode:
        opened = self._cache.get(episode_id)
        if opened is None:
            if self._pending is not None:
                self._write_now()
            opened = self._cache.put(load_episode(self._store, self.row.id, episode_id))
        return opened

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


def _repeated_restore(event: EventRow, request: RestoreRequest) -> OwnerAnswer:
    """The first answer.

    Raises:
        ConflictError: the first call with this key restored another version.
    """
    restored = restore_of(event.payload)[0]
    if restored != request.version:
        detail = f"this idempotency key was used to restore version {restored}; expected a new key"
        raise ConflictError(detail, "idempotency_key")
    return OwnerAnswer(encode(RestoreAnswer(event.version, restored)))


def _no_body(body: bytes) -> None:
    """Of a call without a body."""


def _body(kind: type[msgspec.Struct]) -> Callable[[bytes], Any]:
    return partial(decode, kind)


CALLS: Final[dict[CallKind, tuple[Callable[[bytes], Any], Callable[[LiveAgent, OwnerCall, Any], OwnerAnswer]]]] = {
    "recommend": (read_job, LiveAgent._recommend),
    "results": (_body(ResultsRequest), LiveAgent._results),
    "reward": (_no_body, LiveAgent._reward),
    "next": (_body(NextRequest), LiveAgent._next),
    "patch": (_body(PatchAgent), LiveAgent._patch),
    "restore": (_body(RestoreRequest), LiveAgent._restore),
    "insights": (_no_body, LiveAgent._insights),
}
"""The explicit table: what reads a call's body, and what answers it."""
