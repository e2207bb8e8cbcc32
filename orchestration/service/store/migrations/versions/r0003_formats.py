"""The table of formats: in which versions of its formats a store is written, and by which program."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table; `orchestration.service.store.compatibility` fills it."""
    op.create_table(
        "formats",
        sa.Column("kind", sa.String(40), primary_key=True),
        sa.Column("oldest", sa.Integer, nullable=False),
        sa.Column("newest", sa.Integer, nullable=False),
        sa.Column("written_by", sa.String(40), nullable=False),
    )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("formats")
