"""The store of a service, opened for one command."""

from __future__ import annotations

import getpass
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from envsearch.errors import StoreUnavailableError
from orchestration.service.errors import UnavailableError

if TYPE_CHECKING:
    from orchestration.service.store.roles import StateStore
    from orchestration.service.tokens import Tokens


StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store",
        envvar="PROCTOR_STORE",
        help="The service's store, a file or postgresql://... (default: service.db in the home)",
    ),
]


def store_place(store: str | None) -> str:
    """The store; by default the store that `proctor serve` uses."""
    return store or str(Path(os.environ.get("PROCTOR_HOME") or "proctor-data") / "service.db")


@contextmanager
def tokens_of(place: str) -> Iterator[Tokens]:
    """The tokens of a store, which is closed afterwards; changes are entered into the audit log.

    Raises:
        InputError, StoreUnavailableError: see `store_of`.
    """
    from orchestration.service.tokens import Tokens

    with store_of(place) as store:
        yield Tokens(store, f"command of {_user()}")


@contextmanager
def store_of(place: str) -> Iterator[StateStore]:
    """A store, which is closed afterwards.

    Args:
        place: a file or URL.

    Raises:
        InputError: the URL is wrong, or another version of Proctor wrote the store.
        StoreUnavailableError: the store cannot be read or written; if it is damaged, with what to do.
    """
    from orchestration.service.store.connecting import IN_LOG, RECOVERY
    from orchestration.service.store.registry import state_store

    log, silent = logging.getLogger("orchestration.service.store"), logging.NullHandler()
    log.addHandler(silent)  # without any handler Python prints the line, and the error below says the same
    try:
        store = state_store(place)
        try:
            yield store
        finally:
            store.close()
    except UnavailableError as error:
        damaged = error.detail.endswith(IN_LOG)
        expected = f"a backup in its place; {RECOVERY}" if damaged else "a database that this user may write"
        raise StoreUnavailableError(error.detail.removesuffix(IN_LOG), "store", expected, place) from error
    finally:
        log.removeHandler(silent)


def _user() -> str:
    try:
        return getpass.getuser()[:100]
    except (KeyError, OSError):  # a container may run as a user without a name
        return f"user {os.getuid()}"
