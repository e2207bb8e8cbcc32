"""The first tables: agents, episodes, events, rewards, snapshots, owners, tokens."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _agent_id() -> sa.Column[int]:
    return sa.Column("agent_id", sa.Integer, sa.ForeignKey("agents.id", ondelete="CASCADE"), primary_key=True)


def upgrade() -> None:
    """Make the tables."""
    _agents()
    _episodes()
    _events()
    _rewards()
    _snapshots()
    _owners()
    _tokens()


def downgrade() -> None:
    """Drop the tables."""
    for name in ("tokens", "owners", "snapshots", "rewards", "events", "episodes", "agents"):
        op.drop_table(name)


def _agents() -> None:
    op.create_table(
        "agents",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("name", sa.String(100), nullable=False, unique=True),
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


def _episodes() -> None:
    op.create_table(
        "episodes",
        _agent_id(),
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("job", sa.String(200), nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("opened_at", sa.Double, nullable=False),
        sa.Column("tests", sa.Integer, nullable=False),
        sa.Column("selected", sa.Integer, nullable=False),
        sa.Column("exploration", sa.Double, nullable=False),
        sa.Column("observers", sa.Text, nullable=False),
        sa.Column("observed_agent", sa.String(100), nullable=False),
        sa.Column("request_digest", sa.String(64), nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("agent_id", "number", name="uq_episodes_number"),
    )


def _events() -> None:
    op.create_table(
        "events",
        _agent_id(),
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("subject", sa.String(64), nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_events_subject", "events", ["agent_id", "subject"])
    op.create_index("ix_events_version", "events", ["agent_id", "version"])


def _rewards() -> None:
    op.create_table(
        "rewards",
        _agent_id(),
        sa.Column("episode_id", sa.String(64), primary_key=True),
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


def _snapshots() -> None:
    op.create_table(
        "snapshots",
        _agent_id(),
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("settings", sa.Text, nullable=False),
        sa.Column("address", sa.String(64), nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
    )


def _owners() -> None:
    op.create_table(
        "owners",
        sa.Column("name", sa.String(200), primary_key=True),
        sa.Column("actor", sa.String(200), nullable=False),
    )


def _tokens() -> None:
    op.create_table(
        "tokens",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("scopes", sa.String(60), nullable=False),
        sa.Column("agent_prefix", sa.String(100), nullable=False),
        sa.Column("note", sa.String(200), nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("revoked_at", sa.Double, nullable=True),
    )
