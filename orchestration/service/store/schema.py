"""Tables of the scheduling service, in SQL that SQLite and PostgreSQL share.

The log of an agent is `events`, numbered by `seq` from 1. Everything else is its input (`episodes`), its answer
(`rewards`), or a shortcut to it (`snapshots`); `formats` says in which formats all of it is written. Only the
migrations create and change tables.
"""

from __future__ import annotations

import sqlalchemy as sa

REVISION = "0004"
"""The newest migration; this code works with its tables."""

NAME_LENGTH = 100
ID_LENGTH = 64
TEXT_LENGTH = 200

metadata = sa.MetaData()

# Names sort by code point everywhere; by default PostgreSQL sorts by its server's language.
_NAME = sa.String(NAME_LENGTH).with_variant(sa.String(NAME_LENGTH, collation="C"), "postgresql")

agents = sa.Table(
    "agents",
    metadata,
    # Numbers of deleted agents are never used again: an owner of a deleted agent can write nothing into a new one.
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("name", _NAME, nullable=False, unique=True),
    sa.Column("settings", sa.Text, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("updated_at", sa.Double, nullable=False),
    sa.Column("owner_epoch", sa.BigInteger, nullable=False),
    sa.Column("last_seq", sa.BigInteger, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("episodes", sa.BigInteger, nullable=False),
    sa.Column("base_seq", sa.BigInteger, nullable=False),
    sa.Column("archived_seq", sa.BigInteger, nullable=False),
    sa.Column("archived_number", sa.BigInteger, nullable=False),
    sqlite_autoincrement=True,
)


def _agent_id() -> sa.Column[int]:
    return sa.Column("agent_id", sa.Integer, sa.ForeignKey("agents.id", ondelete="CASCADE"), primary_key=True)


episodes = sa.Table(
    "episodes",
    metadata,
    _agent_id(),
    sa.Column("id", sa.String(ID_LENGTH), primary_key=True),
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("job", sa.String(TEXT_LENGTH), nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("opened_at", sa.Double, nullable=False),
    sa.Column("tests", sa.Integer, nullable=False),
    sa.Column("selected", sa.Integer, nullable=False),
    sa.Column("exploration", sa.Double, nullable=False),
    sa.Column("observers", sa.Text, nullable=False),
    sa.Column("observed_agent", sa.String(NAME_LENGTH), nullable=False),
    sa.Column("request_digest", sa.String(64), nullable=False),
    sa.Column("payload", sa.LargeBinary, nullable=False),
    sa.UniqueConstraint("agent_id", "number", name="uq_episodes_number"),
)

events = sa.Table(
    "events",
    metadata,
    _agent_id(),
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("subject", sa.String(ID_LENGTH), nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("at", sa.Double, nullable=False),
    sa.Column("payload", sa.LargeBinary, nullable=False),
    sa.Index("ix_events_subject", "agent_id", "subject"),
    sa.Index("ix_events_version", "agent_id", "version"),
)

rewards = sa.Table(
    "rewards",
    metadata,
    _agent_id(),
    sa.Column("episode_id", sa.String(ID_LENGTH), primary_key=True),
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("tests", sa.Integer, nullable=False),
    sa.Column("exploration", sa.Double, nullable=False),
    sa.Column("total", sa.Double, nullable=False),
    sa.Column("metrics", sa.Text, nullable=False),
    sa.Column("rewarded_at", sa.Double, nullable=False),
    sa.Column("payload", sa.LargeBinary, nullable=False),
    sa.UniqueConstraint("agent_id", "seq", name="uq_rewards_seq"),
)

snapshots = sa.Table(
    "snapshots",
    metadata,
    _agent_id(),
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("at", sa.Double, nullable=False),
    sa.Column("settings", sa.Text, nullable=False),
    sa.Column("address", sa.String(64), nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
)

owners = sa.Table(
    "owners",
    metadata,
    sa.Column("name", sa.String(TEXT_LENGTH), primary_key=True),
    sa.Column("actor", sa.String(TEXT_LENGTH), nullable=False),
)

tokens = sa.Table(
    "tokens",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("scopes", sa.String(60), nullable=False),
    sa.Column("agent_prefix", sa.String(NAME_LENGTH), nullable=False),
    sa.Column("note", sa.String(TEXT_LENGTH), nullable=False),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("revoked_at", sa.Double, nullable=True),
    sa.Column("revoked", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("most_agents", sa.BigInteger, nullable=True),
    sa.Column("most_open_episodes", sa.BigInteger, nullable=True),
    sa.Column("most_stored_bytes", sa.BigInteger, nullable=True),
    sa.Column("most_requests_per_second", sa.Double, nullable=True),
)

audit = sa.Table(
    "audit",
    metadata,
    # SQLite numbers rows by itself only in a column of this very type.
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("at", sa.Double, nullable=False),
    sa.Column("token_id", sa.String(32), nullable=False),
    sa.Column("action", sa.String(40), nullable=False),
    sa.Column("subject", sa.String(NAME_LENGTH), nullable=False),
    sa.Column("origin", sa.String(TEXT_LENGTH), nullable=False),
    sa.Column("outcome", sa.String(60), nullable=False),
    sqlite_autoincrement=True,
)

formats = sa.Table(
    "formats",
    metadata,
    sa.Column("kind", sa.String(40), primary_key=True),
    sa.Column("oldest", sa.Integer, nullable=False),
    sa.Column("newest", sa.Integer, nullable=False),
    sa.Column("written_by", sa.String(40), nullable=False),
)
