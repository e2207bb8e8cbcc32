"""Who may call: bearer tokens, and without any token this machine only.

| the store has | a call | is |
|---|---|---|
| no token | to a service that only this machine reaches | let in, with every scope |
| no token | to any other | 401: create a token first |
| a token | without or with a wrong one | 401 |
| a token | with a new one, after too many wrong ones from its address | 429 |
| a token | with one whose quota of requests per second is used up | 429 |
| a token | with one whose scope is too small | 403 |
| a token | for an agent that is not one of the token's | 404, as if the agent did not exist |
"""

from __future__ import annotations

import asyncio
import os
import time
from functools import lru_cache
from ipaddress import ip_address
from typing import Final

from starlette.types import Scope as Asgi

from orchestration.runtime.edge import secret_of
from orchestration.service.errors import ForbiddenError, NotFoundError, UnauthenticatedError
from orchestration.service.tokens import TRUSTED_SECONDS, Grant, Scope, Tokens
from serve_app.rates import RateLimiter
from serve_app.throttling import FailureCounter, ThrottledError, client_address, trusted_networks

_REMEMBERED = 1000
_EVERYTHING: Final = Grant("", frozenset(Scope), "")
NOBODY: Final = Grant("", frozenset(), "\0")
"""Of a call without a token: it sees no agent."""


def check_grant(grant: Grant, scope: Scope, agent: str) -> None:
    """Raise unless a call may be made.

    Args:
        agent: that the call is for; "": none in particular.

    Raises:
        ForbiddenError: the scope of the token is too small.
        NotFoundError: the agent is not one of the token's.
    """
    if agent and not grant.sees(agent):
        raise NotFoundError(f"there is no agent {agent!r}", "agent")
    if not grant.allows(scope):
        raise ForbiddenError(f"the token lacks the scope {scope.value!r}")


class Gate:
    """Lets callers in.

    Args:
        tokens: those of the store.
        loopback: only this machine can reach the service.
    """

    def __init__(self, tokens: Tokens, loopback: bool) -> None:
        self._tokens = tokens
        self._loopback = loopback
        self._trusted: dict[str, tuple[float, Grant]] = {}
        self._in_use: tuple[float, bool] = (0.0, False)
        self._failures = FailureCounter()
        self._rates = RateLimiter()
        self._proxies, self._secret = trusted_networks(), secret_of(os.environ)

    async def identify(self, authorization: str | None, host: str, request: Asgi) -> Grant:
        """What the caller may do.

        Args:
            authorization, host: headers of the request; None: it has no such header.

        Raises:
            UnauthenticatedError: no token, or one that is not valid.
            ThrottledError: too many wrong tokens came from the caller's address, or too many requests with this token.
        """
        grant = await self._grant(authorization, host, request)
        self._rates.take(grant.token_id, grant.quotas.requests_per_second)
        return grant

    async def _grant(self, authorization: str | None, host: str, request: Asgi) -> Grant:
        if authorization is None:
            return await self._anonymous(host)
        kind, _, text = authorization.partition(" ")
        now = time.monotonic()
        trusted = self._trusted.get(text)
        if trusted is not None and now < trusted[0] and kind.lower() == "bearer":
            return trusted[1]
        client = self.address(request)
        if trusted is None:  # a token that was valid once is checked again, whoever else shares its address
            self._refuse_throttled(client)
        if kind.lower() != "bearer":
            self._failures.note(client)
            raise UnauthenticatedError("expected the header 'authorization: Bearer TOKEN'")
        grant = await asyncio.to_thread(self._tokens.verify, text.strip())
        if grant is None:
            self._trusted.pop(text, None)
            self._failures.note(client)
            raise UnauthenticatedError("the token is not valid")
        if len(self._trusted) >= _REMEMBERED:
            self._trusted.clear()
        self._trusted[text] = (now + TRUSTED_SECONDS, grant)
        return grant

    def address(self, request: Asgi) -> str:
        """Where the request comes from; behind a trusted proxy, the address that the proxy names."""
        return client_address(request, self._proxies, self._secret)

    def _refuse_throttled(self, client: str) -> None:
        seconds = self._failures.wait(client)
        if seconds > 0:
            raise ThrottledError(seconds)

    async def _anonymous(self, host: str) -> Grant:
        now = time.monotonic()
        if now >= self._in_use[0]:
            self._in_use = (now + TRUSTED_SECONDS, await asyncio.to_thread(self._tokens.in_use))
        if self._in_use[1]:
            raise UnauthenticatedError("expected the header 'authorization: Bearer TOKEN'")
        if not self._loopback:
            raise UnauthenticatedError(
                "the service can be reached from other machines and has no token yet; "
                "create one where it runs: proctor token create --scope admin"
            )
        if not _names_this_machine(host):
            # A page of another site whose name points to this machine.
            raise UnauthenticatedError("without tokens the service answers only to the names of this machine")
        return _EVERYTHING


@lru_cache(maxsize=256)
def _names_this_machine(authority: str) -> bool:
    name = authority.rpartition("]")[0].lstrip("[") if authority.startswith("[") else authority.partition(":")[0]
    try:
        return ip_address(name).is_loopback
    except ValueError:
        name = name.lower().rstrip(".")  # names have no case, and may end with the root's dot
        return name == "localhost" or name.endswith(".localhost")
