"""Recovers an agent's state from its log: a snapshot, and the events after it, one after another.

A new owner, a restored version and the check of the log all use it. Restoring a version cancels the events between that
version and the restore. So the path to a state is first traced backwards, from one restore to the one before, and only
the events on that path are applied: however often versions were restored, each event is applied once.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agents.scheduling.scheduler import Scheduler
from agents.scheduling.settings import AgentSettings
from agents.scheduling.state import State
from agents.scheduling.testcase import TestCase, TestResult, Verdict
from envsearch.errors import CorruptArtifactError
from orchestration.service.api.recommendations import RewardAnswer
from orchestration.service.errors import NotFoundError
from orchestration.service.owners.open_episode import EpisodeCache, OpenEpisode, load_episode
from orchestration.service.owners.snapshots import Snapshots
from orchestration.service.store.codec import PastRun, history_of, restore_of, results_of, settings_of
from orchestration.service.store.roles import AgentHistory, EventLog, RecoveryStore
from orchestration.service.store.rows import AgentRow, EventKind, EventRow

CACHED_TESTS = 50_000
"""Tests of all episodes that are kept decoded for one agent."""

_PAGE = 1000

BEFORE_ALL_EPISODES = -1
"""Episode number of supplied histories: they count as runs of the cycle before, so no job's clock moves."""


@dataclass(slots=True)
class RecoveredState:
    """A scheduler after event `seq`; `episodes` holds the episodes of the events that were applied."""

    scheduler: Scheduler
    seq: int
    episodes: EpisodeCache


@dataclass(frozen=True, slots=True)
class _Jump:
    """Event `seq` restored the state after event `target`; `settings` were in force at event `seq`."""

    seq: int
    target: int
    settings: AgentSettings


class StateRecovery:
    """Recovers states of one agent.

    Args:
        snapshots: None: start from the beginning of the log and ignore all snapshots.
    """

    def __init__(self, store: RecoveryStore, row: AgentRow, snapshots: Snapshots | None) -> None:
        self._store = store
        self._row = row
        self._snapshots = snapshots

    def to(self, until: int | None = None) -> RecoveredState:
        """The state after event `until`; None: after all.

        Raises:
            CorruptArtifactError: the log has a gap, or an entry cannot be read.
        """
        state = self._start(until)
        jumps, end = self._jumps(state, until)
        path: list[tuple[_Jump, int]] = []
        while jumps:
            path.append((jumps.pop(), end))
            end = path[-1][0].target
            if end < state.seq:
                state = self._start(end)
                jumps, end = self._jumps(state, end)
            while jumps and jumps[-1].seq > end:
                jumps.pop()
        self._advance(state, end)
        for jump, stop in reversed(path):
            state = _after_jump(state.scheduler, jump)
            self._advance(state, stop)
        return state

    def _jumps(self, base: RecoveredState, until: int | None) -> tuple[list[_Jump], int]:
        """The versions restored after this state and up to event `until`, and the last event up to there."""
        jumps: list[_Jump] = []
        last, settings = base.seq, base.scheduler.settings
        while page := self._store.events(self._row.id, last, until, _PAGE):
            for event in page:
                last = self._next(last, event)
                if event.kind == EventKind.SETTINGS:
                    settings = settings_of(event.payload)
                elif event.kind == EventKind.RESTORED:
                    jumps.append(_Jump(event.seq, self._target(event), settings))
            if len(page) < _PAGE:
                break
        end = self._row.last_seq if until is None else until
        if last < end:
            raise CorruptArtifactError(
                f"its log ends with event {last}",
                f"agent {self._row.name}",
                f"event {end}, the last one that was written",
            )
        return jumps, last

    def _advance(self, state: RecoveredState, until: int) -> None:
        while state.seq < until:
            page = self._store.events(self._row.id, state.seq, until, _PAGE)
            if not page:
                problem = f"its log ends with event {state.seq}"
                raise CorruptArtifactError(problem, f"agent {self._row.name}", f"event {until}")
            for event in page:
                self._apply(state, event)

    def _next(self, before: int, event: EventRow) -> int:
        if event.seq != before + 1:
            expected = f"event {before + 1}"
            raise CorruptArtifactError(f"its log continues with event {event.seq}", f"agent {self._row.name}", expected)
        return event.seq

    def _target(self, event: EventRow) -> int:
        target = _restored_seq(event)
        if not 0 < target < event.seq:
            raise CorruptArtifactError(
                f"event {event.seq} restores event {target}", f"agent {self._row.name}", "an earlier event"
            )
        return target

    def _start(self, until: int | None) -> RecoveredState:
        cache = EpisodeCache(CACHED_TESTS)
        newest = self._snapshots.newest(self._row.id, until) if self._snapshots is not None else None
        if newest is None:
            if self._row.base_seq:
                raise CorruptArtifactError(
                    "the start of its log is missing and no snapshot can be read",
                    f"agent {self._row.name}",
                    "a snapshot",
                )
            return RecoveredState(Scheduler(settings_of(self._row.settings)), 0, cache)
        row, saved = newest
        scheduler = Scheduler(settings_of(row.settings))
        scheduler.restore(saved)
        return RecoveredState(scheduler, row.seq, cache)

    def _apply(self, state: RecoveredState, event: EventRow) -> None:
        seq = self._next(state.seq, event)
        if event.kind == EventKind.SETTINGS:
            state.scheduler = with_settings(state.scheduler, settings_of(event.payload), first=event.seq == 1)
        elif event.kind == EventKind.HISTORY:
            take_history(state.scheduler, *history_of(event.payload))
        elif event.kind == EventKind.RESULTS:
            opened = self._episode(state, event)
            results = results_of(event.payload)
            state.scheduler.record(opened.episode, results)
            opened.results.update((result.id, result) for result in results)
        elif event.kind == EventKind.REWARD:
            opened = self._episode(state, event)
            state.scheduler.reward(opened.episode, opened.results)
            opened.reward = _stored_answer(self._store, opened)
        state.seq = seq

    def _episode(self, state: RecoveredState, event: EventRow) -> OpenEpisode:
        opened = state.episodes.get(event.subject)
        if opened is None:
            opened = state.episodes.put(load_episode(self._store, self._row.id, event.subject, event.seq - 1))
        return opened


def _after_jump(scheduler: Scheduler, jump: _Jump) -> RecoveredState:
    """The state after a version was restored. Episodes are read again: they may have changed since."""
    restored = Scheduler(jump.settings)
    restored.restore(scheduler.state())
    return RecoveredState(restored, jump.seq, EpisodeCache(CACHED_TESTS))


def _stored_answer(store: AgentHistory, opened: OpenEpisode) -> RewardAnswer:
    row = store.reward(opened.row.agent_id, opened.row.id)
    if row is None:
        raise CorruptArtifactError("its reward has no answer", f"episode {opened.row.id}", "a stored answer")
    return opened.reward_answer(row)


def with_settings(scheduler: Scheduler, settings: AgentSettings, first: bool = False) -> Scheduler:
    """The same state under other settings; `first`: they are the settings of a new agent."""
    if scheduler.settings == settings:
        return scheduler
    changed = Scheduler(settings)
    if not first:
        changed.restore(scheduler.state())
    return changed


def take_history(scheduler: Scheduler, job: str, ids: Sequence[str], histories: Sequence[Sequence[PastRun]]) -> None:
    """Enter supplied past executions, the oldest first; those of one test in their order."""
    for back in range(max(map(len, histories), default=0), 0, -1):
        chosen = [(name, runs[back - 1]) for name, runs in zip(ids, histories, strict=True) if len(runs) >= back]
        tests = [TestCase(name, job) for name, _ in chosen]
        results = [TestResult(name, Verdict(run[0]), run[1], run[2]) for name, run in chosen]
        scheduler.history.record(tests, results, BEFORE_ALL_EPISODES)


def replay_log(store: RecoveryStore, name: str, snapshots: Snapshots | None = None) -> Scheduler:
    """The agent's state from its log alone, read from its beginning; the live state must equal it.

    Args:
        snapshots: needed where old events were moved to the archive: the log then begins after a snapshot.

    Raises:
        NotFoundError: no such agent.
        CorruptArtifactError: the log cannot be read.
    """
    row = store.agent(name)
    if row is None:
        raise NotFoundError(f"there is no agent {name!r}")
    return StateRecovery(store, row, snapshots if row.base_seq else None).to().scheduler


def state_of_version(store: RecoveryStore, row: AgentRow, snapshots: Snapshots, version: int) -> tuple[int, State]:
    """The event that made a version, and the state after it.

    Raises:
        NotFoundError: no such version, or its events were moved to the archive.
    """
    if version == 0 and row.base_seq == 0:
        return 1, StateRecovery(store, row, None).to(1).scheduler.state()
    event = store.version_event(row.id, version)
    if event is None or not reachable(store, row)(event.seq):
        raise NotFoundError(f"there is no version {version} of agent {row.name!r} that can be restored", "version")
    return event.seq, StateRecovery(store, row, snapshots).to(event.seq).scheduler.state()


def restored_after(store: EventLog, agent_id: int, seq: int) -> list[tuple[int, int]]:
    """The events after `seq` that restored a version, in order; for each, the event after which it was the state."""
    return [(event.seq, _restored_seq(event)) for event in store.restored(agent_id, seq)]


def _restored_seq(event: EventRow) -> int:
    return restore_of(event.payload)[1]


def newest_until(ascending: Sequence[int], seq: int) -> int:
    """The last of these events that is not after `seq`; 0: there is none."""
    before = bisect_right(ascending, seq)
    return ascending[before - 1] if before else 0


def reachable(store: RecoveryStore, row: AgentRow) -> Callable[[int], bool]:
    """Whether the state after an event can be recovered: its events may have been moved to the archive."""
    if row.base_seq == 0:
        return lambda seq: True
    snapshots = [snapshot.seq for snapshot in store.snapshots(row.id)]
    jumps = dict(restored_after(store, row.id, 0))
    places = list(jumps)

    def holds(seq: int) -> bool:
        while True:
            start = newest_until(snapshots, seq)
            if start == seq or start < row.base_seq:
                return start == seq
            jump = newest_until(places, seq)
            if jump <= start:
                return True
            seq = jumps[jump]

    return holds
