"""A small HTTP client that sends one prepared request many times: light enough to share two cores with a service."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Load:
    """What came of one burst.

    Attributes:
        requests: answered, all with status 200.
        per_second: requests per second.
        p50, p99: milliseconds from sending to the whole answer.
    """

    requests: int
    per_second: float
    p50: float
    p99: float


def request_bytes(method: str, host: str, port: int, path: str, body: bytes = b"", token: str = "") -> bytes:
    """One request, ready to send."""
    head = [f"{method} {path} HTTP/1.1", f"host: {host}:{port}", f"content-length: {len(body)}"]
    if body:
        head.append("content-type: application/json")
    if token:
        head.append(f"authorization: Bearer {token}")
    return "\r\n".join([*head, "", ""]).encode() + body


async def _connection(host: str, port: int, todo: list[bytes], seconds: float, times: list[float]) -> None:
    reader, writer = await asyncio.open_connection(host, port)
    end = time.perf_counter() + seconds
    try:
        while todo and time.perf_counter() < end:
            started = time.perf_counter()
            request = todo.pop()
            writer.write(request)
            try:
                status, _ = await read_answer(reader)
            except (asyncio.IncompleteReadError, ConnectionError):
                # HAProxy closes connections of before its last change of routes; both sides' alike.
                todo.append(request)
                writer.close()
                reader, writer = await asyncio.open_connection(host, port)
                continue
            if status != 200:
                raise RuntimeError(f"the service answered {status}")
            times.append(time.perf_counter() - started)
    finally:
        writer.close()


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Status and body of the next answer of a connection."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    status = int(head[0].split(" ")[1])
    length = next((int(line.split(":")[1]) for line in head if line.lower().startswith("content-length:")), 0)
    return status, await reader.readexactly(length)


def burst(host: str, port: int, requests: Sequence[bytes], connections: int, seconds: float) -> Load:
    """Send these requests over that many connections, until they or the time run out."""
    times: list[float] = []
    todo = list(requests)

    async def run() -> float:
        started = time.perf_counter()
        await asyncio.gather(*(_connection(host, port, todo, seconds, times) for _ in range(connections)))
        return time.perf_counter() - started

    elapsed = asyncio.run(run())
    milliseconds = 1000 * np.asarray(times)
    return Load(
        len(times), len(times) / elapsed, float(np.quantile(milliseconds, 0.5)), float(np.quantile(milliseconds, 0.99))
    )


def answer_of(host: str, port: int, request: bytes) -> bytes:
    """The body of the answer to one request.

    Raises:
        RuntimeError: it is not answered with 200 or 201.
    """

    async def run() -> tuple[int, bytes]:
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(request)
        answer = await read_answer(reader)
        writer.close()
        return answer

    status, body = asyncio.run(run())
    if status not in (200, 201):
        raise RuntimeError(f"the service answered {status}: {body[:300]!r}")
    return body
