"""Concurrent calls to one owner travel in one hop: calls that arrive during a hop go with the next one.

The agents of one owner take turns: a batch takes a call of each that waits, then a second one of each, so one agent's
flood makes the others wait for a batch or two and not for the flood.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from orchestration.service.errors import ServiceError
from orchestration.service.owners.owner_call import OwnerAnswer, OwnerCall

ANSWER_SECONDS = 60.0
"""How long a caller waits for an owner that lives and does not answer, as where its store hangs."""

Send = Callable[[Sequence[OwnerCall]], Awaitable[Sequence[OwnerAnswer | ServiceError]]]
Answered = Callable[[Sequence[OwnerAnswer | ServiceError] | Exception], None]
Post = Callable[[Sequence[OwnerCall], Answered], bool]
_Waiting = list[tuple[OwnerCall, "asyncio.Future[OwnerAnswer]"]]


class CallBatcher:
    """Batches the calls to one owner. Belongs to one event loop.

    A call that arrives when no hop is in progress is sent at once, so a single caller never waits for others.

    Args:
        send: one hop: a batch of calls to their answers, in order. An exception is every call's of the batch.
        post: the same without a task of its own, which costs as much as the rest of a hop: the answers, or what
            failed, are given to its second argument. False: not now, `send` is to be used; nothing was sent then.
        hops: in progress at once; two keep the owner busy while answers travel.
        longest: calls in one batch.
        seconds: how long a caller waits.
    """

    def __init__(
        self, send: Send, post: Post | None = None, hops: int = 2, longest: int = 64, seconds: float = ANSWER_SECONDS
    ) -> None:
        self._send, self._post = send, post
        self._free = hops
        self._longest, self._seconds = longest, seconds
        self._waiting: OrderedDict[str, deque[tuple[OwnerCall, asyncio.Future[OwnerAnswer]]]] = OrderedDict()
        self._hops = hops
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def busy(self) -> bool:
        """Whether any call waits or is in progress."""
        return bool(self._waiting) or self._free < self._hops

    async def call(self, call: OwnerCall) -> OwnerAnswer:
        """The answer to a call.

        Raises:
            TimeoutError: it did not come in time; the call may be carried out all the same.
            ServiceError: the owner refused it.
            Exception: whatever the hop failed with.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[OwnerAnswer] = loop.create_future()
        # Not asyncio.timeout: that can stop whatever the caller does, and costs several times as much.
        late = loop.call_later(self._seconds, _give_up, future)
        self._waiting.setdefault(call.agent, deque()).append((call, future))
        try:
            self._start()
            return await future
        finally:
            late.cancel()

    def _start(self) -> None:
        while self._free and self._waiting:
            batch = self._batch()
            if not batch:
                return
            self._free -= 1
            if self._post is not None and self._post([call for call, _ in batch], partial(self._answered, batch)):
                continue
            task = asyncio.get_running_loop().create_task(self._hop(batch))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _batch(self) -> _Waiting:
        """The next calls, of each agent in turn. What nobody waits for any more is left out."""
        batch: _Waiting = []
        while self._waiting and len(batch) < self._longest:
            agent, queue = self._waiting.popitem(last=False)
            waiting = queue.popleft()
            if queue:
                self._waiting[agent] = queue  # its next turn comes after all others'
            if not waiting[1].done():
                batch.append(waiting)
        return batch

    async def _hop(self, batch: _Waiting) -> None:
        outcome: Sequence[OwnerAnswer | ServiceError] | BaseException
        try:
            outcome = await self._send([call for call, _ in batch])
        except BaseException as error:  # noqa: BLE001 - each caller gets it; a task's own error would be lost
            outcome = error
        self._answered(batch, outcome)

    def _answered(self, batch: _Waiting, outcome: Sequence[OwnerAnswer | ServiceError] | BaseException) -> None:
        answers: Sequence[OwnerAnswer | BaseException] = (
            [outcome] * len(batch) if isinstance(outcome, BaseException) else outcome
        )
        self._free += 1
        for (_, future), answer in zip(batch, answers, strict=True):
            if future.done():  # the caller has gone away
                continue
            if isinstance(answer, BaseException):
                future.set_exception(answer)
            else:
                future.set_result(answer)
        self._start()


def _give_up(future: asyncio.Future[OwnerAnswer]) -> None:
    if not future.done():
        future.set_exception(TimeoutError())
