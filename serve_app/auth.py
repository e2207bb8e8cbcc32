"""Who may call: bearer tokens, and without any token this machine alone.

| the store has | a call | is |
|---|---|---|
| no token | to a service that only this machine reaches | let in, with every scope |
| no token | to any other | 401: create a token first |
| a token | without or with a wrong one | 401 |
| a token | with a new one, after too many wrong ones from its address | 429 |
| a token | with one whose scope is too small | 403 |
| a token | for an agent that is not one of the token's | 404, as if there were no such agent |
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from typing import Final

from starlette.requests import Request
from starlette.types import Scope as Asgi

from orchestration.service.errors import ForbiddenError, NotFoundError, UnauthenticatedError
from orchestration.service.tokens import TRUSTED_SECONDS, Grant, Scope, Tokens
from serve_app.throttling import FailureCounter, ThrottledError, client_address, trusted_networks

_KNOWN = 1000
_EVERYTHING: Final = Grant("", frozenset(Scope), "")


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who was let in."""

    grant: Grant

    @property
    def agent_prefix(self) -> str:
        """Only agents whose name begins with it; "": all."""
        return self.grant.agent_prefix

    def may_create(self, agent: str) -> None:
        """Raise unless the name is one of the token's.

        Raises:
            ForbiddenError: it is not.
        """
        if not self.grant.sees(agent):
            raise ForbiddenError(f"the token is for agents whose name begins with {self.agent_prefix!r}", "name")

    def may_observe(self, agents: Iterable[str]) -> None:
        """Raise unless the shadow agents are the token's.

        Raises:
            NotFoundError: one is not, and nobody learns whether it exists.
        """
        for place, agent in enumerate(agents):
            if not self.grant.sees(agent):
                raise NotFoundError(f"there is no agent {agent!r}", f"observe[{place}]")


class Gate:
    """Lets callers in.

    Args:
        tokens: those of the store.
        loopback: only this machine can reach the service.
    """

    def __init__(self, tokens: Tokens, loopback: bool) -> None:
        self._tokens = tokens
        self._loopback = loopback
        self._known: dict[str, tuple[float, Grant]] = {}
        self._in_use: tuple[float, bool] = (0.0, False)
        self._failures = FailureCounter()
        self._proxies = trusted_networks()

    async def admit(self, request: Request, scope: Scope, agent: str = "") -> Caller:
        """The caller, if the call may be made.

        Args:
            agent: whom the call is for; "": none in particular.

        Raises:
            UnauthenticatedError: no token, or one that is not valid.
            ForbiddenError: its scope is too small.
            NotFoundError: the agent is not one of the token's.
            ThrottledError: too many wrong tokens came from the caller's address.
        """
        headers = request.headers
        given, host = headers.get("authorization"), headers.get("host", "")
        return await self.admit_headers(given, host, scope, agent, request.scope)

    async def admit_headers(
        self, authorization: str | None, host: str, scope: Scope, agent: str, request: Asgi
    ) -> Caller:
        """The same, from the request's headers."""
        grant = await self._grant(authorization, host, request)
        if agent and not grant.sees(agent):
            raise NotFoundError(f"there is no agent {agent!r}", "agent")
        if not grant.allows(scope):
            raise ForbiddenError(f"the token lacks the scope {scope.value!r}")
        return Caller(grant)

    async def _grant(self, given: str | None, host: str, request: Asgi) -> Grant:
        if given is None:
            return await self._anonymous(host)
        kind, _, text = given.partition(" ")
        now = time.monotonic()
        known = self._known.get(text)
        if known is not None and now < known[0] and kind.lower() == "bearer":
            return known[1]
        client = client_address(request, self._proxies)
        if known is None:  # a token that was good once is looked at again, whoever else shares its address
            self._refuse_throttled(client)
        if kind.lower() != "bearer":
            self._failures.note(client)
            raise UnauthenticatedError("expected the header 'authorization: Bearer TOKEN'")
        grant = await asyncio.to_thread(self._tokens.verify, text.strip())
        if grant is None:
            self._known.pop(text, None)
            self._failures.note(client)
            raise UnauthenticatedError("the token is not valid")
        if len(self._known) >= _KNOWN:
            self._known.clear()
        self._known[text] = (now + TRUSTED_SECONDS, grant)
        return grant

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
            # A page of another site whose name was made to point to this machine.
            raise UnauthenticatedError("without tokens the service answers to the names of this machine alone")
        return _EVERYTHING


@lru_cache(maxsize=256)
def _names_this_machine(authority: str) -> bool:
    name = authority.rpartition("]")[0].lstrip("[") if authority.startswith("[") else authority.partition(":")[0]
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")
