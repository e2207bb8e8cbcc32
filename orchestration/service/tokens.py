"""Bearer tokens: who may call the service, and what they may do.

A token is ``proctor_ID_SECRET`` with 32 random bytes of secret. The store keeps only the SHA-256 of the whole text,
under its id, so a stolen database grants no access. A fast hash is enough, because the secret cannot be guessed.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import threading
import time
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum

from envsearch.errors import InputError
from orchestration.service.quotas import UNLIMITED, Quotas
from orchestration.service.store.roles import TokenStore
from orchestration.service.store.rows import AuditRow, TokenRow
from orchestration.service.store.schema import TEXT_LENGTH

TRUSTED_SECONDS = 2.0
"""How long a verified token is trusted before the store is read again; a revoked token may work that much longer."""

LONGEST_OVERLAP = 90 * 86_400.0
"""Longest time, in seconds, that a rotated token may work beside its successor."""

_TOKEN = re.compile(r"proctor_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_PREFIX = re.compile(r"(?!\.)[A-Za-z0-9._-]{0,100}")
_CACHED = 1000
_LISTED = "the id of a valid token, see `proctor token list`"


class Scope(StrEnum):
    """What a token may do; each scope includes the scopes before it."""

    READ = "read"
    RECOMMEND = "recommend"
    ADMIN = "admin"


_LEVEL = {scope: level for level, scope in enumerate(Scope)}


@dataclass(frozen=True, slots=True)
class Grant:
    """What the bearer of a valid token may do.

    Attributes:
        token_id: for logs; reveals nothing about the secret.
        agent_prefix: the token is valid for agents whose name begins with it; "": for all.
    """

    token_id: str
    scopes: frozenset[Scope]
    agent_prefix: str
    quotas: Quotas = UNLIMITED

    def allows(self, scope: Scope) -> bool:
        """Whether a scope of the token includes this scope."""
        return any(_LEVEL[own] >= _LEVEL[scope] for own in self.scopes)

    def sees(self, agent: str) -> bool:
        """Whether the token is valid for the agent."""
        return agent.startswith(self.agent_prefix)


class Tokens:
    """The tokens of a store. Thread-safe.

    Args:
        origin: who makes, rotates and revokes tokens here, for the audit log.
    """

    def __init__(self, table: TokenStore, origin: str = "") -> None:
        self._table, self._origin = table, origin
        self._trusted: dict[str, tuple[float, Grant]] = {}
        self._lock = threading.Lock()

    def create(
        self, scopes: Collection[Scope], agent_prefix: str = "", note: str = "", quotas: Quotas = UNLIMITED
    ) -> tuple[str, TokenRow]:
        """Make a token: its text, which is stored nowhere, and the row that is stored.

        Raises:
            InputError: no scope, a prefix that no agent's name can begin with, a note that is too long, or a quota that
                makes no sense.
        """
        quotas.check()
        if not scopes:
            raise InputError("a token needs a scope", "scope", ", ".join(Scope))
        if not _PREFIX.fullmatch(agent_prefix):
            raise InputError(
                f"no agent's name can begin with {agent_prefix!r}", "agents", "letters, digits, '.', '_', '-'"
            )
        if len(note) > TEXT_LENGTH:
            raise InputError(f"{len(note)} characters are too many", "note", f"at most {TEXT_LENGTH}")
        ordered = ",".join(scope for scope in Scope if scope in scopes)
        text, row = _made(ordered, agent_prefix, note, quotas)
        self._table.add_token(row)
        self._note("token create", row.id)
        return text, row

    def verify(self, text: str) -> Grant | None:
        """What the token grants; None: the token is unknown or revoked.

        Raises:
            UnavailableError: the store cannot be read.
        """
        token_id = id_in(text)
        if token_id is None:
            return None
        digest = _digest(text)
        now = time.monotonic()
        with self._lock:
            trusted = self._trusted.get(digest)
        if trusted is not None and now < trusted[0]:
            return trusted[1]
        row = self._table.token(token_id)
        same = _is_text_of(row, digest)
        if row is None or not same or not self._is_valid(row):
            return None
        grant = Grant(row.id, frozenset(map(Scope, row.scopes.split(","))), row.agent_prefix, _quotas(row))
        with self._lock:
            if len(self._trusted) >= _CACHED:
                self._trusted.clear()
            self._trusted[digest] = (now + TRUSTED_SECONDS, grant)
        return grant

    def rotate(self, token_id: str, overlap_seconds: float) -> tuple[str, TokenRow]:
        """Make a token with the rights of this one; the old token expires when the overlap is over.

        Args:
            overlap_seconds: how long both tokens work, seconds.

        Raises:
            InputError: no such token, it is already revoked, or the overlap is out of range.
        """
        if not 0 <= overlap_seconds <= LONGEST_OVERLAP:
            raise InputError(f"{overlap_seconds:g} seconds", "overlap", f"0 to {LONGEST_OVERLAP:g} seconds")
        old = self._table.token(token_id)
        if old is None:
            raise InputError(f"there is no token {token_id!r}", "token", _LISTED)
        text, row = _made(old.scopes, old.agent_prefix, old.note, _quotas(old))
        if not self._table.replace_token(token_id, time.time() + overlap_seconds, row):
            raise InputError(f"token {token_id!r} is already revoked or about to expire", "token", _LISTED)
        if not overlap_seconds:
            self._table.revoke_token(token_id, time.time())
        self._trust_nobody()
        self._note("token rotate", token_id)
        self._note("token create", row.id)
        return text, row

    def revoke(self, token_id: str) -> TokenRow:
        """Revoke a token at once and for good, whatever a clock says later; a revoked token stays revoked.

        Raises:
            InputError: no such token.
        """
        row = self._table.revoke_token(token_id, time.time())
        if row is None:
            raise InputError(f"there is no token {token_id!r}", "token", _LISTED)
        self._trust_nobody()
        self._note("token revoke", token_id)
        return row

    def expire(self) -> None:
        """Revoke the tokens whose time is over, so that a clock that is set back does not bring them back."""
        for row in self._table.tokens():
            self._is_valid(row)

    def all(self) -> list[TokenRow]:
        """All tokens, also revoked ones, the oldest first."""
        return self._table.tokens()

    def in_use(self) -> bool:
        """Whether any token is valid: without a token, a service must not be reachable from other machines."""
        return any(map(self._is_valid, self._table.tokens()))

    def _is_valid(self, row: TokenRow) -> bool:
        """Whether the token works now. One that is seen to have expired is revoked: no clock brings it back."""
        valid = is_valid(row, time.time())
        if not (valid or row.revoked or row.revoked_at is None):
            self._table.revoke_token(row.id, row.revoked_at)
        return valid

    def _trust_nobody(self) -> None:
        with self._lock:
            self._trusted.clear()

    def _note(self, action: str, token_id: str) -> None:
        self._table.add_audit(AuditRow(time.time(), "", action, token_id, self._origin, "ok"))


def is_valid(row: TokenRow, now: float) -> bool:
    """Whether a token works at that Unix time."""
    return not row.revoked and (row.revoked_at is None or row.revoked_at > now)


def id_in(text: str) -> str | None:
    """The id in a token's text; None: the text is not a token."""
    match = _TOKEN.fullmatch(text)
    return match[1] if match is not None else None


def is_accepted(text: str, rows: Iterable[TokenRow]) -> bool:
    """Whether the text is a token among the rows that works now. Nothing is changed, unlike in `Tokens.verify`."""
    now = time.time()
    return any(row.id == id_in(text) and _is_text_of(row, _digest(text)) and is_valid(row, now) for row in rows)


def _is_text_of(row: TokenRow | None, digest: str) -> bool:
    """Whether the row has this digest; takes the same time wherever the digests differ, and also without a row."""
    return hmac.compare_digest(digest, row.sha256 if row is not None else "0" * 64)


def _made(scopes: str, agent_prefix: str, note: str, quotas: Quotas) -> tuple[str, TokenRow]:
    """A new token: its text, and its row."""
    token_id = secrets.token_hex(6)
    text = f"proctor_{token_id}_{secrets.token_urlsafe(32)}"
    limits = {f"most_{name}": most for name, most in asdict(quotas).items()}
    return text, TokenRow(token_id, _digest(text), scopes, agent_prefix, note, time.time(), **limits)


def _quotas(row: TokenRow) -> Quotas:
    return Quotas(row.most_agents, row.most_open_episodes, row.most_stored_bytes, row.most_requests_per_second)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
