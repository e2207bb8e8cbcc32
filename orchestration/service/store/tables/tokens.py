"""Bearer tokens in SQL."""

from __future__ import annotations

import dataclasses

import sqlalchemy as sa

from orchestration.service.store.rows import TokenRow
from orchestration.service.store.schema import tokens
from orchestration.service.store.tables.connection import SqlTables


class SqlTokens(SqlTables):
    """See `TokenTable`."""

    def add_token(self, row: TokenRow) -> None:
        """See `TokenTable.add_token`."""
        with self._writing() as connection:
            connection.execute(sa.insert(tokens).values(dataclasses.asdict(row)))

    def token(self, token_id: str) -> TokenRow | None:
        """See `TokenTable.token`."""
        return self._first(TokenRow, sa.select(tokens).where(tokens.c.id == token_id))

    def tokens(self) -> list[TokenRow]:
        """See `TokenTable.tokens`."""
        return self._all(TokenRow, sa.select(tokens).order_by(tokens.c.created_at, tokens.c.id))

    def revoke_token(self, token_id: str, at: float) -> TokenRow | None:
        """See `TokenTable.revoke_token`."""
        earlier = sa.case((tokens.c.revoked_at < at, tokens.c.revoked_at), else_=at)
        with self._writing() as connection:
            valid = (tokens.c.id == token_id) & ~tokens.c.revoked
            connection.execute(sa.update(tokens).where(valid).values(revoked=True, revoked_at=earlier))
        return self.token(token_id)

    def replace_token(self, token_id: str, expires_at: float, successor: TokenRow) -> bool:
        """See `TokenTable.replace_token`."""
        valid = (tokens.c.id == token_id) & ~tokens.c.revoked & tokens.c.revoked_at.is_(None)
        with self._writing() as connection:
            # The update locks the row: of several rotations one changes it, and the others then find it changed.
            if connection.execute(sa.update(tokens).where(valid).values(revoked_at=expires_at)).rowcount != 1:
                return False
            connection.execute(sa.insert(tokens).values(dataclasses.asdict(successor)))
            return True
