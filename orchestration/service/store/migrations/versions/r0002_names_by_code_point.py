"""Agents' names sort by code point on PostgreSQL, whatever language its server sorts by; SQLite always did."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change the column, and with it its index."""
    _collate(sa.String(100, collation="C"))


def downgrade() -> None:
    """Back to the server's own order."""
    _collate(sa.String(100))


def _collate(kind: sa.String) -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column("agents", "name", type_=kind, existing_nullable=False)
