"""Moves old events and episodes from the store to the archive; needs no owner and no lock.

Everything is cut into fixed pieces (200 events, 100 episodes). A piece is written once nothing in it can change, so two
processes that archive at the same time write the same files. Rows leave the store after their piece is on the disk.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from agents.scheduling.testcase import TestResult
from orchestration.service.owners.state_recovery import newest_until, restored_after
from orchestration.service.store.archive import EPISODES, EXECUTIONS, Archive
from orchestration.service.store.codec import history_of, results_of, rewards_of
from orchestration.service.store.roles import ArchivedStore
from orchestration.service.store.rows import AgentRow, EpisodeRow, EventKind, EventRow, RewardRow

LOG = logging.getLogger(__name__)

EVENTS_PER_FILE = 200
EPISODES_PER_FILE = 100
DAY_SECONDS = 86_400.0
_PAGE = 500

Rows = list[tuple[Any, ...]]
_EXECUTION_COLUMNS = {
    "agent": "text",
    "episode": "text",
    "job": "text",
    "test": "text",
    "verdict": "text",
    "duration": "number",
    "finished_at": "number",
    "recorded_at": "number",
}
_EPISODE_COLUMNS = {
    "agent": "text",
    "episode": "text",
    "number": "whole",
    "job": "text",
    "agent_version": "whole",
    "opened_at": "number",
    "tests": "whole",
    "selected": "whole",
    "exploration": "number",
    "observed_agent": "text",
    "rewarded_at": "number",
    "rewarded_version": "whole",
    "total": "number",
    "metrics": "text",
    "rewards": "numbers",
    "recommendation": "bytes",
}


class Archivist:
    """See the module.

    Args:
        kept_episodes: newest episodes of an agent that stay in the store.
        kept_days: episodes older than so many days leave it all the same; 0: their age does not matter.
    """

    def __init__(self, store: ArchivedStore, archive: Archive, kept_episodes: int, kept_days: int = 0) -> None:
        self._store = store
        self._archive = archive
        self._kept = kept_episodes
        self._kept_days = kept_days

    def run(self) -> int:
        """Archive whatever is due, of all agents; the number of files written.

        Raises:
            StoreUnavailableError, UnavailableError: some pieces could not be written; nothing is lost.
        """
        after, written = "", 0
        while True:
            page = self._store.agents(after, _PAGE)
            if not page:
                return written
            for row in page:
                files, archived_seq = self._executions(row)
                written += files + self._episodes(replace(row, archived_seq=archived_seq))
            after = page[-1].name

    # -- executions -------------------------------------------------------------------------------------------------

    def _executions(self, row: AgentRow) -> tuple[int, int]:
        """Number of files written, and the last event that is in the archive now."""
        written, done = 0, row.archived_seq
        for start in range(row.archived_seq, row.last_seq - EVENTS_PER_FILE + 1, EVENTS_PER_FILE):
            events = self._store.events(row.id, start, start + EVENTS_PER_FILE, EVENTS_PER_FILE)
            if not events:  # the agent was deleted meanwhile
                break
            rows = self._execution_rows(row, events)
            if rows:
                self._write(EXECUTIONS, row, start + 1, start + EVENTS_PER_FILE, _EXECUTION_COLUMNS, rows)
                written += 1
            done = start + EVENTS_PER_FILE
            self._store.set_archived_seq(row.id, done)
        return written, done

    def _execution_rows(self, row: AgentRow, events: Sequence[EventRow]) -> Rows:
        jobs: dict[str, str] = {}
        rows: Rows = []
        for event in events:
            if event.kind == EventKind.RESULTS:
                if event.subject not in jobs:
                    episode = self._store.episode(row.id, event.subject)
                    jobs[event.subject] = episode.job if episode is not None else ""
                job = jobs[event.subject]
                results = results_of(event.payload)
                rows.extend(_execution(row.name, event.subject, job, result, event.at) for result in results)
            elif event.kind == EventKind.HISTORY:
                job, ids, histories = history_of(event.payload)
                for name, runs in zip(ids, histories, strict=True):
                    rows.extend((row.name, "", job, name, *run, event.at) for run in reversed(runs))
        return rows

    # -- episodes ---------------------------------------------------------------------------------------------------

    def _episodes(self, row: AgentRow) -> int:
        """Episodes beyond the retention, as far as a snapshot covers all of their events; the number of files."""
        if not self._is_due(row, row.archived_number):
            return 0
        jumps = restored_after(self._store, row.id, row.base_seq)
        base = base_of([snapshot.seq for snapshot in self._store.snapshots(row.id)], row.archived_seq, jumps)
        if base < row.base_seq:
            return 0
        later = sum(at > base for at, _ in jumps)
        written, first = 0, row.archived_number
        while self._is_due(row, first):
            below = first + EPISODES_PER_FILE
            pairs = self._store.episodes_between(row.id, first, below)
            events = [event for episode, _ in pairs for event in self._store.events_of(row.id, episode.id)]
            if not pairs or max((event.seq for event in events), default=0) > base:
                break
            rows = [_episode(row.name, episode, reward) for episode, reward in pairs]
            self._write(EPISODES, row, first, below - 1, _EPISODE_COLUMNS, rows)
            written += 1
            if not self._store.drop_episodes(row.id, first, below, base, len(events), later):
                break  # an event arrived meanwhile; the next round writes the piece again
            first = below
        return written

    def _is_due(self, row: AgentRow, first: int) -> bool:
        """Whether the piece that begins with this episode is full, and beyond the retention by number or by age."""
        below = first + EPISODES_PER_FILE
        if below <= row.episodes - self._kept:
            return True
        if not self._kept_days or below > row.episodes:
            return False
        newest = self._store.episodes(row.id, below, 1)
        return bool(newest) and newest[0][0].opened_at < time.time() - self._kept_days * DAY_SECONDS

    def _write(self, table: str, row: AgentRow, first: int, last: int, kinds: dict[str, str], rows: Rows) -> None:
        columns = dict(zip(kinds, zip(kinds.values(), zip(*rows, strict=True), strict=True), strict=True))
        self._archive.write(table, row.name, row.id, first, last, columns)


def base_of(snapshots: Sequence[int], archived: int, jumps: Sequence[tuple[int, int]]) -> int:
    """The newest snapshot from which all later states can be recovered; 0: there is none.

    A version that was restored after the snapshot must itself be recoverable from it, or from a later one.

    Args:
        snapshots: events after which there is a snapshot, ascending.
        archived: events up to this one are in the archive.
        jumps: the event that restored a version, and the event after which that version was the state.
    """
    starts = [(at, newest_until(snapshots, target)) for at, target in jumps]
    usable = (seq for seq in snapshots if seq <= archived and all(at <= seq or start >= seq for at, start in starts))
    return max(usable, default=0)


def _execution(agent: str, episode: str, job: str, result: TestResult, at: float) -> tuple[Any, ...]:
    return (agent, episode, job, result.id, result.verdict.value, result.duration, result.finished_at, at)


def _episode(agent: str, row: EpisodeRow, reward: RewardRow | None) -> tuple[Any, ...]:
    outcome: tuple[Any, ...] = (None, None, None, None, None)
    if reward is not None:
        outcome = (reward.rewarded_at, reward.version, reward.total, reward.metrics, list(rewards_of(reward.payload)))
    return (
        agent,
        row.id,
        row.number,
        row.job,
        row.version,
        row.opened_at,
        row.tests,
        row.selected,
        row.exploration,
        row.observed_agent,
        *outcome,
        row.payload,
    )
