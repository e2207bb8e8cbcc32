"""The explicit table of stores of the scheduling service."""

from __future__ import annotations

from importlib import import_module
from typing import cast

from envsearch.errors import InputError
from orchestration.service.store.roles import StateStore

STORES: dict[str, tuple[str, str]] = {
    "sqlite": ("orchestration.service.store.sql", "SqlStore"),
    "postgresql": ("orchestration.service.store.sql", "SqlStore"),
}
"""Kind of URL -> (module, class); made as ``Class(url)``."""


def state_store(url: str) -> StateStore:
    """The store behind a URL; a path without a scheme is a SQLite file.

    Raises:
        InputError: the URL is of an unknown kind.
    """
    kind = url.partition("://")[0].partition("+")[0] if "://" in url else "sqlite"
    if kind not in STORES:
        raise InputError(
            f"{kind!r} is not a known kind of store", "store", ", ".join(f"{name}://..." for name in STORES)
        )
    module, name = STORES[kind]
    return cast(StateStore, getattr(import_module(module), name)(url))
