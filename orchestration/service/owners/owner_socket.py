"""A short way to an owner on the same machine: a Unix socket next to the actor's calls.

A call of a Ray actor costs caller and actor about a millisecond of CPU time each, which is more than a recommendation.
Where both run on one Linux machine, batches go through an abstract Unix socket instead; everywhere else, and for all
other questions, Ray's way stays. The kernel shows each side the other's user, and only the same user is accepted,
because the frames are pickled.

A frame is its length (8 bytes, big-endian) and its bytes. Answers come in the order of the questions.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct
import sys
import threading
import uuid
from collections import deque
from collections.abc import Callable
from typing import cast

LOG = logging.getLogger(__name__)

_LENGTH = struct.Struct(">Q")
_CREDENTIALS = struct.Struct("3i")  # process, user, group
_BUFFER = 1 << 20


class SocketServer:
    """Answers frames in threads of its own, one for each caller.

    Args:
        answer: from a question to its answer; called by several threads at once. If it raises, the caller finds the
            connection closed.
    """

    def __init__(self, answer: Callable[[bytes], bytes]) -> None:
        self._answer = answer
        self.address = f"proctor-{uuid.uuid4().hex}" if sys.platform == "linux" else ""
        if self.address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._socket.bind(f"\0{self.address}")
            self._socket.listen(64)
            threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            if not same_user(connection):
                return
            try:
                with connection.makefile("rb", _BUFFER) as stream:
                    while head := stream.read(_LENGTH.size):
                        question = stream.read(_LENGTH.unpack(head)[0])
                        answer = self._answer(question)
                        # In one piece: the caller would wake up for the length alone.
                        connection.sendall(_LENGTH.pack(len(answer)) + answer)
            except (OSError, struct.error):
                return  # the caller has gone away
            except Exception as error:
                # The caller notices that the connection is closed.
                LOG.error("A connection is closed: %s", error, exc_info=error)


class OwnerConnection(asyncio.Protocol):
    """The caller's side. Belongs to one event loop; open it with `open_connection`."""

    def __init__(self) -> None:
        self._waiting: deque[Callable[[bytes | None], None]] = deque()
        self._received = bytearray()
        self._transport: asyncio.Transport | None = None
        self._closed = False

    async def exchange(self, question: bytes) -> bytes:
        """The answer.

        Raises:
            ConnectionError: the owner is gone; whether it has carried out the question is unknown.
        """
        future: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()

        def done(answer: bytes | None) -> None:
            if not future.done():  # the caller has gone away
                future.set_result(answer)

        if not self.post(question, done) or (answer := await future) is None:
            raise ConnectionError("the owner is gone")
        return answer

    def post(self, question: bytes, done: Callable[[bytes | None], None]) -> bool:
        """Send a question; `exchange` without waiting for the answer.

        Args:
            done: called with the answer, or with None where the owner is gone.

        Returns:
            False: the connection is closed; nothing was sent and `done` is not called.
        """
        if self._closed or self._transport is None:
            return False
        self._waiting.append(done)
        self._transport.writelines((_LENGTH.pack(len(question)), question))
        return True

    def close(self) -> None:
        """Close it, once all answers have come."""
        self._closed = True
        if self._transport is not None and not self._waiting:
            self._transport.close()

    # -- asyncio's side ---------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is open."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's has the methods and not the base class

    def data_received(self, data: bytes) -> None:
        """Some bytes of the next answer."""
        received = self._received
        received += data
        while len(received) >= _LENGTH.size:
            end = _LENGTH.size + _LENGTH.unpack_from(received)[0]
            if len(received) < end:
                return
            answer = bytes(memoryview(received)[_LENGTH.size : end])
            del received[:end]
            self._waiting.popleft()(answer)
        if self._closed:
            self.close()

    def connection_lost(self, error: Exception | None) -> None:
        """The owner has ended, or was killed."""
        self._closed = True
        while self._waiting:
            self._waiting.popleft()(None)


async def open_connection(address: str) -> OwnerConnection | None:
    """A connection to the server at that address; None where it cannot be reached from here.

    Args:
        address: `SocketServer.address`; "": there is none.
    """
    if not address or sys.platform != "linux":
        return None
    try:
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        peer.connect(f"\0{address}")
    except OSError:
        return None  # another machine, or another container
    if not same_user(peer):
        peer.close()
        return None
    peer.setblocking(False)
    _, connection = await asyncio.get_running_loop().create_unix_connection(OwnerConnection, sock=peer)
    return connection


def same_user(connection: socket.socket) -> bool:
    """Whether the process at the other end belongs to the user of this one, as the kernel says."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    user: int = _CREDENTIALS.unpack(credentials)[1]
    return user == os.getuid()
