"""The short way to an owner on the same machine."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from orchestration.service.owners.owner_socket import SocketServer, open_connection, same_user

SERVER = """
import time
from orchestration.service.owners.owner_socket import SocketServer
print(SocketServer(lambda question: time.sleep(60) or b"").address, flush=True)
time.sleep(60)
"""


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Both event loops: replicas have the second."""
    factory = asyncio.new_event_loop if request.param == "asyncio" else pytest.importorskip("uvloop").new_event_loop

    def runs(coroutine: Coroutine[Any, Any, Any]) -> Any:
        with asyncio.Runner(loop_factory=factory) as runner:
            return runner.run(coroutine)

    return runs


Run = Callable[[Coroutine[Any, Any, Any]], Any]


def test_answers_come_in_the_order_of_the_questions(run: Run) -> None:
    server = SocketServer(lambda question: question * 2)

    async def ask() -> list[bytes]:
        connection = await open_connection(server.address)
        assert connection is not None
        questions = [b"a" * size for size in (0, 1, 7, 100_000, 3_000_000, 2)]
        answers = await asyncio.gather(*map(connection.exchange, questions))
        connection.close()
        return answers

    assert [len(answer) for answer in run(ask())] == [0, 2, 14, 200_000, 6_000_000, 4]


def test_several_callers_are_served_at_once(run: Run) -> None:
    both = threading.Barrier(2, timeout=20)

    def answer(question: bytes) -> bytes:
        both.wait()
        return question

    server = SocketServer(answer)

    async def ask() -> list[bytes]:
        connections = [await open_connection(server.address) for _ in range(2)]
        return await asyncio.gather(
            *(connection.exchange(b"x") for connection in connections if connection is not None)
        )

    assert run(ask()) == [b"x", b"x"]


def test_a_killed_owner_is_noticed_at_once(run: Run) -> None:
    async def ask() -> None:
        with subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            connection = await open_connection(process.stdout.readline().strip())
            assert connection is not None
            waiting = [asyncio.create_task(connection.exchange(b"x")) for _ in range(3)]
            await asyncio.sleep(0.05)
            process.kill()
            for task in waiting:
                with pytest.raises(ConnectionError):
                    await asyncio.wait_for(task, 20)
            with pytest.raises(ConnectionError):
                await connection.exchange(b"x")

    run(ask())


def test_an_answer_that_fails_closes_the_connection(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    def answer(_: bytes) -> bytes:
        raise ValueError("a defect")

    server = SocketServer(answer)

    async def ask() -> None:
        connection = await open_connection(server.address)
        assert connection is not None
        with pytest.raises(ConnectionError):
            await connection.exchange(b"x")

    run(ask())
    assert "a defect" in caplog.text


def test_closing_waits_for_answers_under_way(run: Run) -> None:
    go_on = threading.Event()

    def answer(question: bytes) -> bytes:
        go_on.wait(20)
        return question

    server = SocketServer(answer)

    async def ask() -> bytes:
        connection = await open_connection(server.address)
        assert connection is not None
        waiting = asyncio.create_task(connection.exchange(b"last"))
        await asyncio.sleep(0.05)
        connection.close()
        with pytest.raises(ConnectionError):
            await connection.exchange(b"too late")
        go_on.set()
        return await asyncio.wait_for(waiting, 20)

    assert run(ask()) == b"last"


@pytest.mark.parametrize("address", ["", "proctor-nobody-listens-here"])
def test_where_nobody_listens_there_is_no_connection(run: Run, address: str) -> None:
    assert run(open_connection(address)) is None


def test_the_kernel_tells_the_other_ends_user() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        assert same_user(ours)
