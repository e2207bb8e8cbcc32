"""What a service and campaigns need of their surroundings, checked one by one, each with what to do where it is wrong.

Nothing is made or changed: a store that is not there yet is told, not created.
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
from orchestration.service.errors import ServiceError
from orchestration.service.store.connecting import absolute_url, connect
from orchestration.service.store.migrating import revision
from orchestration.service.store.schema import REVISION, tokens
from orchestration.service.store.sql import SqlStore
from orchestration.service.tokens import Tokens

FREE_BYTES = 1 << 30
"""Less than this on a disk of ours is too little: a log, its flushes and snapshots need room."""

SOON_SECONDS = 7 * 86_400.0
PATIENCE_SECONDS = 5.0
OLDEST_PYTHON = (3, 11)
LOCK = Path(__file__).parents[2] / "requirements.lock"

_PIN = re.compile(r"([A-Za-z0-9._-]+)==([^\s;#]+)")
_WHOLE = 20
"""At most so many names in one line."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found.

    Attributes:
        detail: what was seen.
        fix: what to do; "" where all is well.
    """

    check: str
    ok: bool
    detail: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is looked at.

    Attributes:
        store, artifacts, archive: URLs of the service.
        environment: variables of the process.
        lock: pinned versions; where there is no such file they are not compared.
    """

    home: Path
    store: str
    artifacts: str
    archive: str
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    lock: Path = LOCK


def diagnose(around: Surroundings) -> Iterator[Finding]:
    """All checks, one after another."""
    for name, check in CHECKS.items():
        try:
            ok, detail, fix = check(around)
        except Exception as error:  # noqa: BLE001 - a check that fails is a finding, and the others go on
            ok, detail, fix = False, f"{type(error).__name__}: {_line(error)}", "see the message"
        yield Finding(name, ok, detail, "" if ok else fix)


Told = tuple[bool, str, str]


def _python(_around: Surroundings) -> Told:
    found = ".".join(map(str, sys.version_info[:3]))
    wanted = ".".join(map(str, OLDEST_PYTHON))
    return sys.version_info >= OLDEST_PYTHON, f"Python {found}", f"use Python {wanted} or newer"


def _versions(around: Surroundings) -> Told:
    if not around.lock.is_file():
        return True, "no lock file beside the program: versions are not compared", ""
    matches = map(_PIN.match, around.lock.read_text(encoding="utf-8").splitlines())
    pins = {match[1]: match[2] for match in matches if match is not None}
    other, missing = [], 0
    for name, version in pins.items():
        try:
            found = metadata.version(name)
        except metadata.PackageNotFoundError:
            missing += 1
            continue
        if found.partition("+")[0] != version.partition("+")[0]:
            other.append(f"{name} {found} (lock: {version})")
    absent = sorted(name for name in _required() if not _is_installed(name))
    if other or absent:
        told = [*other, *(f"{name} is not installed" for name in absent)]
        more = f" and {len(told) - _WHOLE} more" if len(told) > _WHOLE else ""
        return False, ", ".join(told[:_WHOLE]) + more, f"pip install --requirement {around.lock}"
    return True, f"{len(pins) - missing} packages as locked" + (f", {missing} not installed" if missing else ""), ""


def _required() -> list[str]:
    """Names of what the program itself cannot do without."""
    try:
        told = metadata.requires("proctor") or []
    except metadata.PackageNotFoundError:
        return []
    names = (re.match(r"[A-Za-z0-9._-]+", line) for line in told if "extra ==" not in line and ";" not in line)
    return [name.group() for name in names if name]


def _is_installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _disk(around: Surroundings) -> Told:
    places = {"home": str(around.home), "store": _file_of(around.store)}
    places |= {"artifacts": around.artifacts, "archive": around.archive}
    told, short, closed = [], [], []
    for name, place in places.items():
        folder = _local(place)
        if folder is None:
            continue
        nearest = next(path for path in (folder, *folder.parents) if path.exists())
        free = shutil.disk_usage(nearest).free
        told.append(f"{name} {free / 2**30:.1f} GiB free")
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
    return not short, ", ".join(told), f"make room on the disk of {', '.join(short)} (1 GiB at least)"


def _local(place: str) -> Path | None:
    if place.startswith("file:"):
        return Path(unquote(urlsplit(place).path))
    return Path(place).expanduser().absolute() if place and "://" not in place else None


def _file_of(store: str) -> str:
    url = absolute_url(store)
    return str(sa.make_url(url).database) if url.startswith("sqlite") else url


def _store(around: Surroundings) -> Told:
    url = absolute_url(around.store)
    shown = sa.make_url(url).render_as_string(hide_password=True)
    if url.startswith("sqlite") and not Path(_file_of(around.store)).exists():
        return True, f"{shown} is not there yet; the service makes it", ""
    engine = connect(url)
    try:
        found = revision(engine)
        if url.startswith("sqlite"):
            with engine.connect() as connection:
                said = str(connection.execute(sa.text("PRAGMA quick_check(1)")).scalar())
            if said != "ok":
                return (
                    False,
                    f"{shown} is damaged ({said})",
                    "stop the service and `proctor restore` a backup into a new store",
                )
    except (SQLAlchemyError, ServiceError) as error:
        problem = f"{shown} cannot be read ({_line(error)})"
        return False, problem, "start the database, or correct --store or PROCTOR_STORE"
    finally:
        engine.dispose()
    if found is not None and found > REVISION:
        return False, f"{shown} is of revision {found}, newer than {REVISION}", "install the newer program"
    return True, f"{shown}, revision {found or 'none, the service makes the tables'}", ""


def _tracking(around: Surroundings) -> Told:
    url = around.environment.get("PROCTOR_TRACKING") or around.environment.get("MLFLOW_TRACKING_URI") or ""
    parts = urlsplit(url)
    if parts.scheme in ("http", "https"):
        port = parts.port or (443 if parts.scheme == "https" else 80)
        return _knocked(
            parts.hostname or "",
            port,
            parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl(),
            "start the MLflow server, or correct PROCTOR_TRACKING",
        )
    return True, url or "none: nothing is tracked but the campaign's own folder", ""


def _ray(around: Surroundings) -> Told:
    address = around.environment.get("RAY_ADDRESS", "")
    if not address or address == "local":
        return True, "RAY_ADDRESS is not set: a Ray of its own is started", ""
    if "://" in address:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port
    else:
        host, _, told = address.rpartition(":")
        port = int(told) if told.isdigit() else None
    if not host or port is None:
        ok = address == "auto"
        return ok, f"RAY_ADDRESS is {address!r}", "set RAY_ADDRESS to host:port, or unset it"
    ok, detail, fix = _knocked(
        host.strip("[]"), port, address, "start the cluster (ray up, ray start --head), or unset RAY_ADDRESS"
    )
    if ok and not _has_ray_token(around.environment):
        return (
            False,
            f"{detail}, but there is no token",
            "set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN or ~/.ray/auth_token",
        )
    return ok, detail, fix


def _has_ray_token(environment: Mapping[str, str]) -> bool:
    if environment.get("RAY_AUTH_MODE", "token") != "token" or environment.get("RAY_AUTH_TOKEN"):
        return True
    file = environment.get("RAY_AUTH_TOKEN_PATH") or str(Path.home() / ".ray" / "auth_token")
    return Path(file).is_file()


def _knocked(host: str, port: int, shown: str, fix: str) -> Told:
    try:
        socket.create_connection((host, port), timeout=PATIENCE_SECONDS).close()
    except OSError as error:
        return False, f"nothing answers at {shown} ({error.strerror or type(error).__name__})", fix
    return True, f"{shown} answers", ""


def _token(around: Surroundings) -> Told:
    """Tokens of the service, and the one that clients of this machine would send."""
    if not _has_tables(around.store):
        return True, "no store yet: without a token this machine alone may call", ""
    given = around.environment.get("PROCTOR_TOKEN", "")
    store = SqlStore(around.store)
    try:
        rows = store.tokens()
        if given and Tokens(store).verify(given) is None:
            return (
                False,
                "PROCTOR_TOKEN is not valid for this store",
                "proctor token create, and set PROCTOR_TOKEN to it",
            )
    finally:
        store.close()
    now = time.time()
    valid = [row for row in rows if row.revoked_at is None or row.revoked_at > now]
    ending = [row.id for row in valid if row.revoked_at is not None and row.revoked_at < now + SOON_SECONDS]
    if not valid:
        return True, "none: this machine alone may call (others need `proctor token create`)", ""
    return True, f"{len(valid)} valid" + (f", ends within a week: {', '.join(ending)}" if ending else ""), ""


def _has_tables(store: str) -> bool:
    url = absolute_url(store)
    if url.startswith("sqlite") and not Path(_file_of(store)).exists():
        return False
    engine = connect(url)
    try:
        return revision(engine) == REVISION and sa.inspect(engine).has_table(tokens.name)
    finally:
        engine.dispose()


def _line(error: BaseException) -> str:
    told = error.orig if isinstance(error, sa.exc.DBAPIError) and error.orig is not None else error
    if isinstance(error, InputError):
        return str(error)
    return (str(told).strip().splitlines() or [type(told).__name__])[0]


CHECKS: dict[str, Callable[[Surroundings], Told]] = {
    "python": _python,
    "versions": _versions,
    "disk": _disk,
    "store": _store,
    "tracking": _tracking,
    "ray": _ray,
    "token": _token,
}
"""The explicit table, in the order in which the checks run."""
