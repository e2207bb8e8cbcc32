"""Commits into SQLite without SQLAlchemy, which would take several times longer than the commit itself.

Only the statements of every call are here; everything else goes through `SqlStore`'s engine.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from operator import attrgetter

import sqlalchemy as sa

from orchestration.service.errors import ConflictError, NotOwnerError, UnavailableError
from orchestration.service.store.connecting import open_sqlite, stale
from orchestration.service.store.rows import AgentCommit, EpisodeRow, EventRow, RewardRow
from orchestration.service.store.schema import agents, episodes, events, rewards

COUNTERS = ("last_seq", "version", "episodes", "updated_at", "settings", "description")
_ADVANCE = f"UPDATE {agents.name} SET {', '.join(f'{name}=?' for name in COUNTERS)} WHERE id=? AND owner_epoch=?"
_advanced = attrgetter(*COUNTERS, "agent_id", "owner_epoch")


class _Insert:
    """Rows into one table."""

    def __init__(self, table: sa.Table) -> None:
        names = table.columns.keys()
        self.statement = f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
        self.values = attrgetter(*names)

    def run(self, connection: sqlite3.Connection, rows: Sequence[EpisodeRow | EventRow | RewardRow]) -> None:
        if rows:
            connection.executemany(self.statement, map(self.values, rows))


_EPISODES, _EVENTS, _REWARDS = _Insert(episodes), _Insert(events), _Insert(rewards)


class SqliteCommits:
    """Writes commits through a connection of its own. Thread-safe.

    Args:
        path: of the database; its tables exist.
        after_stale: called when connections to the database must be reopened; this object's own is closed already.
    """

    def __init__(self, path: str, after_stale: Callable[[], None] = lambda: None) -> None:
        self._path, self._after_stale = path, after_stale
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._level = ""

    def commit(self, commits: Sequence[AgentCommit], flush: bool) -> None:
        """See `EventLog.commit`.

        Args:
            flush: wait for the disk; without it a failure of the machine (not of a process) may undo the commit.
        """
        with self._lock, self._writing("FULL" if flush else "NORMAL") as connection:
            for commit in commits:
                if connection.execute(_ADVANCE, _advanced(commit)).rowcount != 1:
                    raise NotOwnerError("an agent has a newer owner, or is deleted")
            for commit in commits:
                _EPISODES.run(connection, commit.new_episodes)
                _EVENTS.run(connection, commit.new_events)
                _REWARDS.run(connection, commit.new_rewards)

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._forget()

    def _forget(self) -> None:
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    @contextmanager
    def _writing(self, level: str) -> Iterator[sqlite3.Connection]:
        try:
            if self._connection is None:
                self._connection, self._level = open_sqlite(self._path), "FULL"
            connection = self._connection
            if level != self._level:
                connection.execute(f"PRAGMA synchronous={level}")
                self._level = level
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # a full disk has rolled it back already
                    connection.execute("ROLLBACK")
                raise
        except sqlite3.IntegrityError as error:
            raise ConflictError(f"a row already exists ({error})") from error
        except sqlite3.Error as error:
            if stale(error, self._path):
                self._forget()
                self._after_stale()
            raise UnavailableError(f"the store cannot be used now ({error})") from error
