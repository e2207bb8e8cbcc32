"""How much one call may hold."""

from __future__ import annotations

from typing import Final

from orchestration.service.store.schema import ID_LENGTH, NAME_LENGTH, TEXT_LENGTH

TESTS: Final = 100_000
"""Most test cases, and most results, of one call."""

TEST_ID: Final = 1_000
"""Longest id of a test case, characters: a path and a name with its parameters."""

NAME: Final = NAME_LENGTH
"""Longest name of an agent, a feature or a setting, characters."""

JOB: Final = TEXT_LENGTH
"""Longest name of a job, characters."""

EPISODE: Final = ID_LENGTH
"""Longest id of an episode, characters."""

KEY: Final = 64
"""Longest idempotency key, characters."""

TEXT: Final = 2_000
"""Longest text for people, characters."""

FEATURES: Final = 64
"""Most features of one test case."""

HISTORY: Final = 1_000
"""Most past runs of one test case."""

SETTINGS: Final = 64
"""Most hyper-parameters, and most settings of an exploration, of one agent."""

OBSERVERS: Final = 16
"""Most shadow agents of one recommendation."""

PAGE: Final = 500
"""Longest page of a listing."""

PAGE_BYTES: Final = 4 << 20
"""Texts of one page of a listing, bytes; a page that would have more ends before. One entry is always shown."""

AGENT_TEXT: Final = 1 << 20
"""Longest settings of one agent as they are stored, characters: each listing carries them."""

CURSOR: Final = 400
"""Longest cursor, characters."""

INTEGER: Final = 2**53
"""Largest integer that every JSON reader keeps exact."""

SECONDS: Final = 1e9
UNIX_TIME: Final = 1e11
NUMBER: Final = 1e15
