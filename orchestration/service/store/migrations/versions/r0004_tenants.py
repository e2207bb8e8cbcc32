"""Tokens are revoked for good and have quotas; the audit log, to which entries can only be added."""

from __future__ import annotations

import time

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

QUOTAS = {
    "most_agents": sa.BigInteger,
    "most_open_episodes": sa.BigInteger,
    "most_stored_bytes": sa.BigInteger,
    "most_requests_per_second": sa.Double,
}


def upgrade() -> None:
    """Add the columns, revoke what had expired, create the log."""
    op.add_column("tokens", sa.Column("revoked", sa.Boolean, nullable=False, server_default=sa.false()))
    for name, kind in QUOTAS.items():
        op.add_column("tokens", sa.Column(name, kind, nullable=True))
    _revoke_expired()
    _audit()
    for statement in _append_only(op.get_bind().dialect.name):
        op.execute(statement)


def downgrade() -> None:
    """Drop all of it."""
    op.drop_table("audit")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION audit_is_append_only()")
    for name in ("revoked", *QUOTAS):
        op.drop_column("tokens", name)


def _revoke_expired() -> None:
    """The store's own newest times count too: the clock may have been set back since a token was revoked."""
    newest = (
        "SELECT max(at) FROM (SELECT max(updated_at) AS at FROM agents UNION ALL SELECT max(created_at) FROM tokens) t"
    )
    now = max(time.time(), op.get_bind().execute(sa.text(newest)).scalar() or 0.0)
    op.get_bind().execute(sa.text("UPDATE tokens SET revoked = true WHERE revoked_at <= :now"), {"now": now})


def _audit() -> None:
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("token_id", sa.String(32), nullable=False),
        sa.Column("action", sa.String(40), nullable=False),
        sa.Column("subject", sa.String(100), nullable=False),
        sa.Column("origin", sa.String(200), nullable=False),
        sa.Column("outcome", sa.String(60), nullable=False),
        sqlite_autoincrement=True,
    )


def _append_only(dialect: str) -> list[str]:
    """What makes the database refuse changes of entries, whoever asks for them."""
    refusal = "entries of the audit log are never changed"
    if dialect == "sqlite":
        return [
            f"CREATE TRIGGER audit_{verb} BEFORE {verb} ON audit BEGIN SELECT RAISE(ABORT, '{refusal}'); END"
            for verb in ("UPDATE", "DELETE")
        ]
    return [
        "CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{refusal}'; END $$",
        "CREATE TRIGGER audit_changes BEFORE UPDATE OR DELETE OR TRUNCATE ON audit "
        "FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only()",
    ]
