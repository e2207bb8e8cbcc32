"""Episodes and their rewards in SQL."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from orchestration.service.store.rows import EpisodeRow, RewardRow
from orchestration.service.store.schema import episodes, rewards
from orchestration.service.store.tables.connection import PARAMETERS, SqlTables, without_payload


class SqlEpisodes(SqlTables):
    """See `EpisodeIndex`."""

    def episode(self, agent_id: int, episode_id: str) -> EpisodeRow | None:
        """See `EpisodeIndex.episode`."""
        query = sa.select(episodes).where(episodes.c.agent_id == agent_id, episodes.c.id == episode_id)
        return self._first(EpisodeRow, query)

    def episodes(self, agent_id: int, below: int | None, limit: int) -> list[tuple[EpisodeRow, RewardRow | None]]:
        """See `EpisodeIndex.episodes`."""
        query = sa.select(*without_payload(episodes)).where(episodes.c.agent_id == agent_id)
        if below is not None:
            query = query.where(episodes.c.number < below)
        rows = self._all(EpisodeRow, query.order_by(episodes.c.number.desc()).limit(limit))
        return self._with_rewards(rows, agent_id, payload=False)

    def reward(self, agent_id: int, episode_id: str) -> RewardRow | None:
        """See `EpisodeIndex.reward`."""
        query = sa.select(rewards).where(rewards.c.agent_id == agent_id, rewards.c.episode_id == episode_id)
        return self._first(RewardRow, query)

    def rewards(self, agent_id: int, after: int, limit: int) -> list[RewardRow]:
        """See `EpisodeIndex.rewards`."""
        query = sa.select(*without_payload(rewards)).where(rewards.c.agent_id == agent_id, rewards.c.seq > after)
        return self._all(RewardRow, query.order_by(rewards.c.seq).limit(limit))

    def _with_rewards(
        self, rows: Sequence[EpisodeRow], agent_id: int, payload: bool
    ) -> list[tuple[EpisodeRow, RewardRow | None]]:
        by_episode: dict[str, RewardRow] = {}
        columns = rewards.c if payload else without_payload(rewards)
        for start in range(0, len(rows), PARAMETERS):
            ids = [row.id for row in rows[start : start + PARAMETERS]]
            query = sa.select(*columns).where(rewards.c.agent_id == agent_id, rewards.c.episode_id.in_(ids))
            by_episode.update((reward.episode_id, reward) for reward in self._all(RewardRow, query))
        return [(row, by_episode.get(row.id)) for row in rows]
