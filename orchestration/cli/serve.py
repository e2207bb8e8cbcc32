"""``proctor serve``: the scheduling service on this machine, until Ctrl-C."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from envsearch.errors import InputError
from orchestration.campaign.folder import campaign_home
from orchestration.cli.stores import tokens_of
from orchestration.runtime.logs import FOLDER
from orchestration.runtime.serve import is_loopback


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8000,
    home: Annotated[
        Path | None, typer.Option(help="Folder of all data (env: PROCTOR_HOME; default: ./proctor-data).")
    ] = None,
    store: Annotated[
        str,
        typer.Option(envvar="PROCTOR_STORE", help="Agents and their logs: a file, or postgresql://... [in the home]."),
    ] = "",
    artifacts: Annotated[
        str,
        typer.Option(envvar="PROCTOR_ARTIFACTS", help="Learner states: a folder, or any fsspec URL [in the home]."),
    ] = "",
    max_live: Annotated[
        int, typer.Option(min=1, help="Most live owners of agents; other agents are passivated in the store.")
    ] = 40,
    shards: Annotated[int, typer.Option(min=0, help="Owners that share all agents; 0: one owner per agent.")] = 0,
    kept_days: Annotated[
        int, typer.Option(min=0, help="Episodes older than this leave the store for the archive; 0: only by number.")
    ] = 0,
    replicas: Annotated[int, typer.Option(min=1, max=64, help="Processes that answer HTTP.")] = 1,
) -> None:
    """Start the scheduling service on this machine and serve until Ctrl-C."""
    from orchestration.runtime.private_files import keep_files_private
    from orchestration.runtime.ray import end_on_sigterm
    from orchestration.runtime.serve import operator_port, serving

    end_on_sigterm()
    keep_files_private()  # all processes of the service inherit it
    place = campaign_home(home)
    store_url = store or str(place / "service.db")
    guarded = tokens_in_use(store_url)
    if not guarded and not is_loopback(host):
        raise InputError(
            f"{host} can be reached from other machines and the store has no token",
            "host",
            f"127.0.0.1, or a token first: proctor token create --scope admin --store {store_url}",
        )
    arguments = {
        "home": str(place),
        "store": store_url,
        "artifacts": artifacts,
        "max_live": max_live,
        "shards": shards,
        "kept_days": kept_days,
        "replicas": replicas,
    }
    os.environ.setdefault(FOLDER, str(place / "logs"))
    print(f"starting; data in {place}", flush=True)
    with ended_by_sigterm(), serving(host, port, arguments) as url:
        health = f"http://127.0.0.1:{operator_port()}/healthz, also while all connections of the service are taken"
        print(f"service  {url}/v1", f"docs     {url}/docs", f"check    proctor smoke {url}", sep="\n")
        print(f"health   {health}")
        print("tokens   " + ("are required" if guarded else "none: every program on this machine may call the service"))
        print("stop     Ctrl-C", flush=True)
        _wait()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one would leave processes behind
        print("stopping", flush=True)


@contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end the block without an error, also while the service starts: who sends it wants the end."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        if str(interrupt) != "SIGTERM":
            raise
    except SystemExit as end:  # of the handler that Ray has while it starts
        if end.code != signal.SIGTERM:
            raise


def tokens_in_use(store_url: str) -> bool:
    """Whether the store holds a valid token.

    Raises:
        InputError: the store cannot be read.
    """
    with tokens_of(store_url) as tokens:
        return tokens.in_use()


def _wait() -> None:
    """Wait for Ctrl-C or SIGTERM, the normal way to stop."""
    try:
        while True:
            signal.pause()
    except KeyboardInterrupt:
        pass
