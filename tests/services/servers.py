"""Servers for tests, each in a temporary folder and on a port of the loopback interface of its own.

PostgreSQL refuses to run as root; for root it runs as the user `postgres` (or `nobody`). The S3 endpoint is moto's.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestration.runtime.serve import free_port

START_SECONDS = 60.0
PACKAGE = "postgresql"
ROLE = "proctor"
"""Owner of the test databases. The server trusts everybody on the loopback interface, as long as it lives."""


class UnavailableServerError(RuntimeError):
    """A server cannot be started here; the text says what is missing."""


def postgresql_programs() -> Path | None:
    """Folder of the newest PostgreSQL's `initdb` and `postgres`, or None."""
    programs = [
        path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb") if (path.parent / "postgres").exists()
    ]
    if programs:
        return max(programs, key=lambda folder: float(folder.parent.name))
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path and shutil.which("postgres") else None


def install_postgresql() -> Path:
    """Install Debian's package where the server is missing.

    Raises:
        UnavailableServerError: it cannot be installed; the text says why, and what would do.
    """
    programs = postgresql_programs()
    if programs is not None:
        return programs
    by_hand = f"install it by hand: apt-get install -y {PACKAGE}"
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise UnavailableServerError(f"PostgreSQL's server is not installed, and only root can do that here; {by_hand}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update"], ["apt-get", "install", "-y", "--no-install-recommends", PACKAGE]):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    programs = postgresql_programs()
    if programs is None:
        reason = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no reason given"]
        raise UnavailableServerError(
            f"PostgreSQL's server is not installed, and apt-get failed ({reason[0]}); {by_hand}"
        )
    return programs


@dataclass
class PostgresqlServer:
    """A server that can be killed and started again.

    Attributes:
        folder: its data and its log, removed at the end.
        port: on 127.0.0.1.
    """

    folder: Path
    port: int
    programs: Path = field(default_factory=install_postgresql)
    process: subprocess.Popen[bytes] | None = None

    def url(self, database: str = "postgres") -> str:
        """SQLAlchemy's URL of a database."""
        return f"postgresql://{ROLE}@127.0.0.1:{self.port}/{database}"

    def initialise(self) -> None:
        """Make the cluster of databases. Names sort as in a dictionary, which is what most servers do."""
        self.folder.chmod(0o755)
        data = self.folder / "data"
        data.mkdir()
        if os.geteuid() == 0:
            shutil.chown(data, _user())
        options = ["-A", "trust", "-U", ROLE, "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
        icu = ["--locale-provider=icu", "--icu-locale=en-US"] if float(self.programs.parent.name) >= 15 else []
        made = subprocess.run(
            [self.programs / "initdb", "-D", data, *options, *icu],
            capture_output=True,
            text=True,
            check=False,
            **_as_user(),
        )
        if made.returncode != 0:
            raise UnavailableServerError(f"initdb failed: {made.stderr.strip()}")

    def start(self) -> None:
        """Start it and wait until it answers."""
        settings = {"listen_addresses": "127.0.0.1", "port": str(self.port), "unix_socket_directories": ""}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.programs / "postgres", "-D", self.folder / "data", *options], stdout=log, stderr=log, **_as_user()
            )
        end = time.monotonic() + START_SECONDS
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > end:
                raise UnavailableServerError(f"PostgreSQL did not start: {(self.folder / 'log').read_text()[-2000:]}")
            time.sleep(0.05)

    def _answers(self) -> bool:
        command: list[str | Path] = [
            self.programs / "pg_isready",
            "-q",
            "-h",
            "127.0.0.1",
            "-p",
            str(self.port),
            "-U",
            ROLE,
        ]
        return subprocess.run(command, check=False).returncode == 0

    def crash(self) -> None:
        """End it at once, without flushing or saying good-bye to anybody: what is left is its log on the disk."""
        self._end(signal.SIGQUIT)

    def stop(self) -> None:
        """End it, and all connections."""
        self._end(signal.SIGINT)

    def _end(self, how: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(START_SECONDS)
            self.process = None


@contextlib.contextmanager
def postgresql() -> Iterator[PostgresqlServer]:
    """A running server.

    Raises:
        UnavailableServerError: there is none, and it cannot be installed.
    """
    folder = Path(tempfile.mkdtemp(prefix="proctor-postgresql-"))
    try:
        server = PostgresqlServer(folder, free_port())
        server.initialise()
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def s3() -> Iterator[dict[str, str]]:
    """A running S3 endpoint; the environment variables by which every S3 client finds it.

    Raises:
        UnavailableServerError: moto's server is not installed or does not start.
    """
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    log = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the server; a pipe would fill up
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log)
    try:
        end = time.monotonic() + START_SECONDS
        while not _listens(port):
            if process.poll() is not None or time.monotonic() > end:
                log.seek(0)
                output = log.read().decode(errors="replace").strip()
                raise UnavailableServerError(f"moto's server did not start: {output.splitlines()[-1:] or 'no answer'}")
            time.sleep(0.1)
        yield {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
    finally:
        process.kill()  # it keeps nothing
        process.wait(START_SECONDS)
        log.close()


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1.0):
        return True
    return False


def _user() -> str:
    import pwd

    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    raise UnavailableServerError("PostgreSQL does not run as root, and there is no user postgres or nobody")


def _as_user() -> dict[str, Any]:
    """Options of `subprocess` for a program that must not run as root."""
    if os.geteuid() != 0:
        return {"cwd": "/"}
    import pwd

    entry = pwd.getpwnam(_user())
    return {"cwd": "/", "user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
