"""The checks of `proctor doctor`: does an installation have what a service and campaigns need, and if not, what to do.

Nothing is created or changed: a missing store is reported, and a store of another version of Proctor is left alone.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from urllib.parse import unquote, urlsplit

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from envsearch.errors import InputError
from orchestration.runtime.edge import CONNECTIONS, LEAST_CONNECTIONS, cluster_token
from orchestration.runtime.haproxy import files_and_connections
from orchestration.service.errors import ServiceError
from orchestration.service.store.reading import file_of, read_only, readable_state_of, shown
from orchestration.service.store.rows import TokenRow
from orchestration.service.store.schema import tokens
from orchestration.service.tokens import is_accepted, is_valid

FREE_BYTES = 1 << 30
"""Least free space on each disk in use: the log and its snapshots need room."""

SOON_SECONDS = 7 * 86_400.0
PATIENCE_SECONDS = 5.0
OLDEST_PYTHON = (3, 11)
LOCK = Path(__file__).parents[2] / "requirements.lock"

_PIN = re.compile(r"([A-Za-z0-9._-]+)==([^\s;#]+)")
_NAMES = 20
"""At most so many names in one line."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of a check.

    Attributes:
        detail: what the check saw.
        fix: what to do; "" if nothing is wrong.
    """

    check: str
    ok: bool
    detail: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Installation:
    """What is checked.

    Attributes:
        store, artifacts, archive: URLs of the service.
        environment: variables of the process.
        lock: file of pinned versions; without it versions are not compared.
    """

    home: Path
    store: str
    artifacts: str
    archive: str
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    lock: Path = LOCK


def diagnose(installation: Installation) -> Iterator[Finding]:
    """All checks, one after another."""
    for name, check in CHECKS.items():
        try:
            ok, detail, fix = check(installation)
        except Exception as error:  # noqa: BLE001 - a check that fails is a finding, and the others go on
            ok, detail, fix = False, f"{type(error).__name__}: {_line(error)}", "see the message"
        yield Finding(name, ok, detail, "" if ok else fix)


Outcome = tuple[bool, str, str]
"""Whether all is well, what the check saw, and what to do otherwise."""


def _python(_installation: Installation) -> Outcome:
    running = ".".join(map(str, sys.version_info[:3]))
    oldest = ".".join(map(str, OLDEST_PYTHON))
    return sys.version_info >= OLDEST_PYTHON, f"Python {running}", f"use Python {oldest} or newer"


def _versions(installation: Installation) -> Outcome:
    if not installation.lock.is_file():
        return True, "no lock file next to the program; versions are not compared", ""
    matches = map(_PIN.match, installation.lock.read_text(encoding="utf-8").splitlines())
    pins = {match[1]: match[2] for match in matches if match is not None}
    other, missing = [], 0
    for name, version in pins.items():
        try:
            installed = metadata.version(name)
        except metadata.PackageNotFoundError:
            missing += 1
            continue
        if installed.partition("+")[0] != version.partition("+")[0]:
            other.append(f"{name} {installed} (lock: {version})")
    absent = sorted(name for name in _required() if not _is_installed(name))
    if other or absent:
        problems = [*other, *(f"{name} is not installed" for name in absent)]
        more = f" and {len(problems) - _NAMES} more" if len(problems) > _NAMES else ""
        return False, ", ".join(problems[:_NAMES]) + more, f"pip install --no-deps --requirement {installation.lock}"
    return (
        True,
        f"{len(pins) - missing} packages have the locked versions" + (f", {missing} not installed" if missing else ""),
        "",
    )


def _required() -> list[str]:
    """Names of the packages that the program itself needs."""
    try:
        requirements = metadata.requires("proctor") or []
    except metadata.PackageNotFoundError:
        return []
    names = (re.match(r"[A-Za-z0-9._-]+", line) for line in requirements if "extra ==" not in line and ";" not in line)
    return [name.group() for name in names if name]


def _is_installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _disk(installation: Installation) -> Outcome:
    places = {"home": str(installation.home), "store": str(file_of(installation.store) or installation.store)}
    places |= {"artifacts": installation.artifacts, "archive": installation.archive}
    seen, short, closed = [], [], []
    for name, place in places.items():
        folder = _local(place)
        if folder is None:
            continue
        nearest = next(path for path in (folder, *folder.parents) if path.exists())
        free = shutil.disk_usage(nearest).free
        seen.append(f"{name} {free / 2**30:.1f} GiB free")
        if free < FREE_BYTES:
            short.append(str(folder))
        if not os.access(nearest, os.W_OK):
            closed.append(str(nearest))
    if closed:
        return (
            False,
            f"{closed[0]} cannot be written",
            f"let this user write it, or name another folder ({', '.join(places)})",
        )
    return not short, ", ".join(seen), f"make room on the disk of {', '.join(short)} (at least 1 GiB)"


def _files(_installation: Installation) -> Outcome:
    files, connections = files_and_connections()
    seen = f"{files} may be open: {connections} of {CONNECTIONS} connections"
    return connections >= LEAST_CONNECTIONS, seen, "ulimit -n 16384 where the service is started (at least 1024)"


def _local(place: str) -> Path | None:
    if place.startswith("file:"):
        return Path(unquote(urlsplit(place).path))
    return Path(place).expanduser().absolute() if place and "://" not in place else None


def _store(installation: Installation) -> Outcome:
    url, file = shown(installation.store), file_of(installation.store)
    if file is not None and not file.exists():
        return True, f"{url} does not exist yet; the service creates it", ""
    try:
        revision, damage = _inspected(installation.store)
    except InputError as error:
        return False, f"{url} {error.problem}", f"use {error.expected}"
    except (SQLAlchemyError, ServiceError) as error:
        problem = f"{url} cannot be read ({_line(error)})"
        return False, problem, "start the database, or correct --store or PROCTOR_STORE"
    if damage:
        return (
            False,
            f"{url} is damaged ({damage})",
            "stop the service and `proctor restore` a backup into a new store",
        )
    return True, f"{url}, revision {revision or 'none, the service creates the tables'}", ""


def _inspected(store: str) -> tuple[str | None, str]:
    """The revision of a database, and what is damaged in it ("": nothing)."""
    with read_only(store) as connection:
        revision = readable_state_of(connection, store).revision
        if file_of(store) is None:
            return revision, ""
        report = str(connection.execute(sa.text("PRAGMA quick_check(1)")).scalar())
        return revision, "" if report == "ok" else report


def _tracking(installation: Installation) -> Outcome:
    url = installation.environment.get("PROCTOR_TRACKING") or installation.environment.get("MLFLOW_TRACKING_URI") or ""
    parts = urlsplit(url)
    if parts.scheme in ("http", "https"):
        port = parts.port or (443 if parts.scheme == "https" else 80)
        return _reached(
            parts.hostname or "",
            port,
            parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl(),
            "start the MLflow server, or correct PROCTOR_TRACKING",
        )
    return True, url or "none; a campaign is recorded only in its own folder", ""


def _ray(installation: Installation) -> Outcome:
    address = installation.environment.get("RAY_ADDRESS", "")
    if not address or address == "local":
        return True, "RAY_ADDRESS is not set; a local Ray is started", ""
    if "://" in address:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port
    else:
        host, _, digits = address.rpartition(":")
        port = int(digits) if digits.isdigit() else None
    if not host or port is None:
        ok = address == "auto"
        return ok, f"RAY_ADDRESS is {address!r}", "set RAY_ADDRESS to host:port, or unset it"
    ok, detail, fix = _reached(
        host.strip("[]"), port, address, "start the cluster (ray up, ray start --head), or unset RAY_ADDRESS"
    )
    if ok and not _has_ray_token(installation.environment):
        return (
            False,
            f"{detail}, but there is no token",
            "set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN or ~/.ray/auth_token",
        )
    return ok, detail, fix


def _has_ray_token(environment: Mapping[str, str]) -> bool:
    return environment.get("RAY_AUTH_MODE", "token") != "token" or bool(cluster_token(environment))


def _reached(host: str, port: int, shown: str, fix: str) -> Outcome:
    try:
        socket.create_connection((host, port), timeout=PATIENCE_SECONDS).close()
    except OSError as error:
        return False, f"nothing answers at {shown} ({error.strerror or type(error).__name__})", fix
    return True, f"{shown} answers", ""


def _token(installation: Installation) -> Outcome:
    """Tokens of the service, and the token that clients on this machine would send."""
    rows = _tokens_of(installation.store)
    if rows is None:
        return True, "no store to inspect; without a token only this machine may call", ""
    text = installation.environment.get("PROCTOR_TOKEN", "")
    if text and not is_accepted(text, rows):
        return False, "PROCTOR_TOKEN is not valid for this store", "proctor token create, and set PROCTOR_TOKEN to it"
    now = time.time()
    valid = [row for row in rows if is_valid(row, now)]
    expiring = [row.id for row in valid if row.revoked_at is not None and row.revoked_at < now + SOON_SECONDS]
    if not valid:
        return True, "none; only this machine may call (others need `proctor token create`)", ""
    return True, f"{len(valid)} valid" + (f", expires within a week: {', '.join(expiring)}" if expiring else ""), ""


def _tokens_of(store: str) -> list[TokenRow] | None:
    """The tokens; None: there is no store, or it needs an upgrade (the check of the store reports what is wrong)."""
    try:
        with read_only(store) as connection:
            if not readable_state_of(connection, store).is_current:
                return None
            return [TokenRow(**row) for row in connection.execute(sa.select(tokens)).mappings()]
    except InputError:
        return None


def _line(error: BaseException) -> str:
    cause = error.orig if isinstance(error, sa.exc.DBAPIError) and error.orig is not None else error
    if isinstance(error, InputError):
        return str(error)
    return (str(cause).strip().splitlines() or [type(cause).__name__])[0]


CHECKS: dict[str, Callable[[Installation], Outcome]] = {
    "python": _python,
    "versions": _versions,
    "disk": _disk,
    "open files": _files,
    "store": _store,
    "tracking": _tracking,
    "ray": _ray,
    "token": _token,
}
"""The explicit table; checks run in this order."""
