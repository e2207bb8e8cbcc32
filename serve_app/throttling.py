"""Failed authentications, counted by the caller's address, in bounded memory.

A secret of 256 bits cannot be guessed. What is limited here is the load of the attempts, and the noise they make.
"""

from __future__ import annotations

import hmac
import math
import os
import time
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from starlette.types import Scope

from orchestration.runtime.edge import MARK, PROXIES, proxies_of
from orchestration.service.errors import ServiceError
from serve_app.leaky_buckets import LeakyBuckets

BURST: Final = 20
"""Failures of one address that are checked in a row."""

SECONDS_EACH: Final = 3.0
"""After a burst: seconds per further failure that is checked."""

ADDRESSES: Final = 10_000
"""Addresses that are remembered; the least recent is forgotten first."""

Network = IPv4Network | IPv6Network


class ThrottledError(ServiceError):
    """Too many failed authentications came from the caller's address.

    Args:
        seconds: until the next call is checked.
    """

    slug = "too-many-failures"
    cause = "too many calls with wrong tokens came from this address"

    def __init__(self, seconds: float) -> None:
        super().__init__(self.cause)
        self.retry_after = max(1, math.ceil(seconds))

    def __reduce__(self) -> tuple[type[ThrottledError], tuple[float]]:
        return type(self), (float(self.retry_after),)


class RateError(ThrottledError):
    """The token's quota of requests per second is used up."""

    slug = "too-many-requests"
    cause = "the token's quota of requests per second is used up"


class FailureCounter:
    """A leaky bucket of failures for each address.

    Args:
        clock: monotonic, seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._buckets = LeakyBuckets(ADDRESSES, clock)

    def __len__(self) -> int:
        return len(self._buckets)

    def wait(self, address: str) -> float:
        """Seconds until the next token from this address is checked; 0: now."""
        return max(0.0, self._level(address) - BURST + 1) * SECONDS_EACH

    def note(self, address: str) -> None:
        """One more failure."""
        self._buckets.fill(address, self._level(address) + 1)

    def _level(self, address: str) -> float:
        return self._buckets.level(address, 1 / SECONDS_EACH)


def trusted_networks(text: str | None = None) -> tuple[Network, ...]:
    """The networks of trusted proxies, by default those of the environment.

    Raises:
        InputError: one of them is not a network.
    """
    return tuple(map(ip_network, proxies_of(os.environ if text is None else {PROXIES: text})))


def client_address(scope: Scope, trusted: tuple[Network, ...] = (), secret: str = "") -> str:
    """The caller: the peer or the last address that the edge or a trusted proxy names. IPv6 counts by its /64.

    Args:
        secret: by which the edge is known; "": there is none.
    """
    peer = str((scope.get("client") or ("", 0))[0])
    if _is_edge(scope, secret) or _is_trusted(peer, trusted):
        forwarded = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
        if forwarded:
            peer = forwarded[-1].decode("latin-1").rpartition(",")[2].strip() or peer
    return _grouped(peer)


def _is_edge(scope: Scope, secret: str) -> bool:
    marks = [value for name, value in scope["headers"] if name == MARK.encode()]
    return bool(secret) and any(hmac.compare_digest(mark, secret.encode()) for mark in marks)


def _is_trusted(peer: str, trusted: tuple[Network, ...]) -> bool:
    try:
        address = ip_address(peer)
    except ValueError:
        return False
    return any(address in network for network in trusted)


def _grouped(peer: str) -> str:
    try:
        address = ip_address(peer)
    except ValueError:
        return peer[:45]
    if isinstance(address, IPv6Address):
        return str(address.ipv4_mapped or ip_network((int(address) >> 64 << 64, 64)))
    return str(address)
