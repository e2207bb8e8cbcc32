"""A real HAProxy with Ray's configuration, secured, before one small application. No Ray is started."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn

from orchestration.runtime.serve import HAPROXY_PROGRAM, SERVE_ENVIRONMENT, free_port

ROOT = Path(__file__).resolve().parents[3]
SECRET = "0123456789abcdef"

RENDER = """
import sys
from ray.serve._private.haproxy import BackendConfig, HAProxyApi, HAProxyConfig, ServerConfig
from ray.serve.config import HTTPOptions
folder, host, port, metrics, stats, replica = sys.argv[1:]
config = HAProxyConfig(
    http_options=HTTPOptions(host=host, port=int(port)), is_head=True, has_received_routes=True,
    socket_path=folder + "/admin.sock", server_state_base=folder, server_state_file=folder + "/state",
    metrics_socket_path=folder + "/metrics.sock", metrics_port=int(metrics), stats_port=int(stats),
)
server = ServerConfig(name="replica", host="127.0.0.1", port=int(replica))
backends = {"app": BackendConfig(name="app", path_prefix="/", app_name="app", servers=[server])} if int(replica) else {}
HAProxyApi(config, backends, config_file_path=folder + "/haproxy.cfg")._generate_config_file_internal()
"""
"""Ray reads its variables when it is imported, so it writes the configuration in a process of its own."""


IMPATIENT = """
from orchestration.runtime import edge, haproxy
edge._TIMEOUTS = edge._TIMEOUTS.replace(f"server {{edge.ANSWER_SECONDS}}s", "server {seconds}s")
haproxy.main()
"""


def write_configuration(folder: Path, host: str, ports: tuple[int, int, int], replica: int) -> Path:
    """What Ray writes; `replica` 0: there is no application yet."""
    folder.mkdir(parents=True)
    command = [sys.executable, "-c", RENDER, str(folder), host, *map(str, ports), str(replica)]
    subprocess.run(command, env={**os.environ, **SERVE_ENVIRONMENT}, check=True, capture_output=True)
    return folder / "haproxy.cfg"


@dataclass
class Replica:
    """An application that notes the requests that reach it; `/silent` is never answered."""

    seen: list[dict[str, str]] = field(default_factory=list)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One request. Like a real replica it reads a body only where the call has one."""
        if scope["type"] != "http":
            return
        if not scope["path"].startswith("/-/"):
            headers = {name.decode(): value.decode() for name, value in scope["headers"]}
            self.seen.append({"method": scope["method"], "path": scope["path"], **headers})
        if scope["path"] == "/silent":
            await asyncio.sleep(60)
        if scope["method"] == "POST":
            while (await receive()).get("more_body"):
                pass
        body = json.dumps(self.seen[-1:]).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})


@dataclass
class EdgeServer:
    """A running HAProxy.

    Attributes:
        operator: port of health and metrics.
    """

    port: int
    operator: int
    statistics: int
    configuration: Path
    replica: Replica
    process: subprocess.Popen[bytes]

    def connect(self, source: str = "127.0.0.1", port: int = 0) -> socket.socket:
        """A connection from an address of this machine."""
        return socket.create_connection(("127.0.0.1", port or self.port), timeout=20.0, source_address=(source, 0))

    def ask(self, request: bytes, source: str = "127.0.0.1", port: int = 0) -> bytes:
        """What is answered to these bytes until the connection is closed or silent for a moment."""
        with self.connect(source, port) as caller:
            caller.sendall(request)
            return received(caller)


def received(caller: socket.socket, quiet: float = 0.5) -> bytes:
    """Everything up to the end of the connection, or until it is silent after something."""
    answer = b""
    with suppress(TimeoutError, ConnectionError):
        while part := caller.recv(65536):
            answer += part
            caller.settimeout(quiet)
    return answer


def get(path: str, *headers: str, method: str = "GET") -> bytes:
    """A request without a body."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *headers, "", ""]).encode()


def status(answer: bytes) -> int:
    """0: the connection was closed without an answer."""
    return int(answer.split(b" ", 2)[1]) if answer else 0


@contextmanager
def edge_server(folder: Path, open_files: int = 0, answer_seconds: int = 0, **environment: str) -> Iterator[EdgeServer]:
    """HAProxy as Ray starts it.

    Args:
        folder: a new folder in it is for HAProxy's files.
        open_files: that it may open; 0: as many as this process.
        answer_seconds: instead of those of the edge, for a test that cannot wait.
        environment: of HAProxy.
    """
    replica, behind = Replica(), free_port()
    server = uvicorn.Server(uvicorn.Config(replica, port=behind, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    ports = (free_port(), free_port(), free_port())
    configuration = write_configuration(folder / "edge" / "node", "127.0.0.1", ports, behind)
    program = folder / "haproxy"
    text = HAPROXY_PROGRAM.format(root=ROOT, python=sys.executable)
    if answer_seconds:
        text = text.replace("-m orchestration.runtime.haproxy", f"-c '{IMPATIENT.format(seconds=answer_seconds)}'")
    program.write_text(text)
    limit = f"ulimit -n {open_files}; " if open_files else ""
    command = ["sh", "-c", f'{limit}exec sh "$0" "$@"', str(program), "-db", "-f", str(configuration)]
    own = {**os.environ, "PROCTOR_EDGE_SECRET": SECRET, **environment}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=own, stdout=log, stderr=log)
    running = EdgeServer(ports[0], ports[1], ports[2], configuration, replica, process)
    try:
        _await(running, folder / "log")
        yield running
    finally:
        process.kill()
        process.wait()
        server.should_exit = server.force_exit = True
        thread.join()


def _await(running: EdgeServer, log: Path) -> None:
    end = time.monotonic() + 60
    while True:
        assert running.process.poll() is None, log.read_text()
        assert time.monotonic() < end, log.read_text()
        with suppress(OSError):
            if status(running.ask(get("/ready"))) == 200:
                running.replica.seen.clear()
                return
        time.sleep(0.1)
