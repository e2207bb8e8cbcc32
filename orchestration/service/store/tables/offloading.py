"""Moving old events and episodes out of the store, in SQL."""

from __future__ import annotations

import sqlalchemy as sa

from orchestration.service.store.rows import EpisodeRow, RewardRow
from orchestration.service.store.schema import agents, episodes, events, rewards
from orchestration.service.store.tables.episodes import SqlEpisodes
from orchestration.service.store.tables.event_log import restored_after


class SqlOffloading(SqlEpisodes):
    """See `Offloading`."""

    def episodes_between(self, agent_id: int, first: int, below: int) -> list[tuple[EpisodeRow, RewardRow | None]]:
        """See `Offloading.episodes_between`."""
        query = sa.select(episodes).where(_numbered(agent_id, first, below)).order_by(episodes.c.number)
        return self._with_rewards(self._all(EpisodeRow, query), agent_id, payload=True)

    def set_archived_seq(self, agent_id: int, seq: int) -> None:
        """See `Offloading.set_archived_seq`."""
        with self._writing() as connection:
            behind = (agents.c.id == agent_id) & (agents.c.archived_seq < seq)
            connection.execute(sa.update(agents).where(behind).values(archived_seq=seq))

    def drop_episodes(
        self, agent_id: int, first: int, below: int, base_seq: int, event_count: int, restored_count: int
    ) -> bool:
        """See `Offloading.drop_episodes`."""
        old = sa.select(episodes.c.id).where(_numbered(agent_id, first, below))
        old_events = (events.c.agent_id == agent_id) & events.c.subject.in_(old)
        expected = ((old_events, event_count), (restored_after(agent_id, base_seq), restored_count))
        with self._writing() as connection:
            # Commits change the agent's row first, so none of them comes between the count and the removal.
            connection.execute(sa.select(agents.c.id).where(agents.c.id == agent_id).with_for_update())
            if any(_count(connection, rows) != count for rows, count in expected):
                return False
            connection.execute(sa.delete(events).where(old_events, events.c.seq <= base_seq))
            old_rewards = (rewards.c.agent_id == agent_id) & rewards.c.episode_id.in_(old)
            connection.execute(sa.delete(rewards).where(old_rewards, rewards.c.seq <= base_seq))
            connection.execute(sa.delete(episodes).where(_numbered(agent_id, first, below)))
            values = {"base_seq": base_seq, "archived_number": below}
            connection.execute(sa.update(agents).where(agents.c.id == agent_id).values(values))
            return True


def _count(connection: sa.Connection, rows: sa.ColumnElement[bool]) -> int:
    return int(connection.execute(sa.select(sa.func.count()).select_from(events).where(rows)).scalar_one())


def _numbered(agent_id: int, first: int, below: int) -> sa.ColumnElement[bool]:
    return (episodes.c.agent_id == agent_id) & (episodes.c.number >= first) & (episodes.c.number < below)
