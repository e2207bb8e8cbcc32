"""When to retry, and how long to wait before."""

from __future__ import annotations

import email.utils
import random
import time
from dataclasses import dataclass
from typing import Callable

TOO_MANY = 429
REQUEST_TIMEOUT = 408
NOT_IMPLEMENTED = 501


@dataclass(frozen=True)
class RetryPolicy:
    """Exponential backoff with jitter. Every call is idempotent, so a retry is always safe.

    Attributes:
        retries: further attempts after the first.
        first_wait: seconds before the first retry, doubled for each further one.
        longest_wait: seconds; a longer ``Retry-After`` of the server ends the retries.
    """

    retries: int = 3
    first_wait: float = 0.25
    longest_wait: float = 20.0

    def wait(self, attempt: int, rng: random.Random) -> float:
        """Seconds before retry number `attempt`, from 1: between half the backoff and all of it."""
        backoff = min(self.longest_wait, self.first_wait * 2.0 ** (attempt - 1))
        return backoff * (0.5 + 0.5 * rng.random())


def is_retryable(status: int) -> bool:
    """Whether a response of this status means "not now" rather than "never"."""
    return status in (TOO_MANY, REQUEST_TIMEOUT) or (status >= 500 and status != NOT_IMPLEMENTED)


def retry_after(value: str | None, now: Callable[[], float] = time.time) -> float | None:
    """The seconds in a ``Retry-After`` header (RFC 9110, section 10.2.3); None: absent or unreadable."""
    if value is None:
        return None
    text = value.strip()
    if text.isdigit():
        return float(text)
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    return max(0.0, moment.timestamp() - now()) if moment is not None else None
