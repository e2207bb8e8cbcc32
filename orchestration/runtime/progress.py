"""The progress of a run: bars on a terminal, a plain line now and then elsewhere, nothing when silenced.

The time left is estimated from the items finished since the phase began, including parts of the running ones. What an
earlier run had done, items and parts of items, counts as done but does not count for the speed of this run.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Any, Literal, Self, TextIO

from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, TaskID, TextColumn
from rich.progress import Progress as RichProgress
from rich.progress import Task as RichTask
from rich.text import Text

Mode = Literal["auto", "bars", "lines", "silent"]

LINE_SHARE = 0.1
"""Share of a phase after which there is a line even if the previous one is recent."""

LEAST_SECONDS = 1.0
"""Seconds between two lines, at least."""


class Phase:
    """The count of one phase.

    Attributes:
        name: as shown.
        total: items in all, the earlier ones included; None while it is unknown.
        earlier: items that were in the store before the phase began.
        done: items finished, the earlier and the failed ones included.
        failed: items that failed in this run.
        running: items that the running tasks have done, with fractions; not in `done` yet.
        resumed: items, with fractions, that this run's tasks had from checkpoints; not in `earlier`.
    """

    def __init__(self, name: str, total: int | None, earlier: int, clock: Callable[[], float]) -> None:
        self.name = name
        self.total = total
        self.earlier = earlier
        self.done = earlier
        self.failed = 0
        self.running = 0.0
        self.resumed = 0.0
        self._clock = clock
        self._started = clock()
        self._changed: Callable[[], None] = lambda: None

    def advance(self, n: int = 1, failed: int = 0) -> None:
        """Count `n` more items as finished, `failed` of them as failed."""
        self.done += n
        self.failed += failed
        self.running = max(0.0, self.running - n)
        self._changed()

    def update_running(self, resumed: float, running: float) -> None:
        """Set the progress of the running tasks; see the attributes `resumed` and `running`."""
        self.resumed, self.running = resumed, running
        self._changed()

    @property
    def reached(self) -> float:
        """Items done, with fractions."""
        return self.done + self.running

    def elapsed(self) -> float:
        """Seconds since the phase began."""
        return self._clock() - self._started

    def seconds_left(self) -> float | None:
        """Seconds until the end at this run's own speed; None while there is no estimate."""
        finished = self.reached - self.earlier - self.resumed
        if self.total is None or finished <= 0:
            return None
        return self.elapsed() / finished * max(0.0, self.total - self.reached)

    def watch(self, changed: Callable[[], None]) -> None:
        """Call `changed` after every advance."""
        self._changed = changed

    def summary(self) -> str:
        """``34.6/120, 2 failed, 1:05 elapsed, 2:44 left (34 already done)``."""
        reached = f"{math.floor(self.reached * 10) / 10:.1f}" if self.running else str(self.done)
        parts = [f"{reached}/{self.total}" if self.total is not None else f"{reached} done"]
        if self.failed:
            parts.append(f"{self.failed} failed")
        parts.append(f"{clock_text(self.elapsed())} elapsed")
        left = self.seconds_left()
        if left is not None and self.done != self.total:
            parts.append(f"{clock_text(left)} left")
        return ", ".join(parts) + (f" ({self.earlier} already done)" if self.earlier else "")


def clock_text(seconds: float) -> str:
    """``0:07``, ``12:30``, ``3:05:00``."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"


class Progress:
    """Shows the progress of a run's phases. A context manager; phases may follow each other or overlap.

    Args:
        mode: ``auto`` is bars where `stream` is a terminal, else lines.
        stream: where to write; standard error by default, so that output can be piped.
        every: seconds between two lines of a phase, less where a tenth of it was done meanwhile (``lines`` only).
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        mode: Mode = "auto",
        stream: TextIO | None = None,
        every: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        stream = stream or sys.stderr
        if mode == "auto":
            mode = "bars" if stream.isatty() else "lines"
        self._clock = clock
        self._view: _Bars | _Lines | None = None
        if mode == "bars":
            self._view = _Bars(stream)
        elif mode == "lines":
            self._view = _Lines(stream, every, clock)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        if isinstance(self._view, _Bars):
            self._stack.enter_context(self._view.display)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @contextmanager
    def phase(self, name: str, total: int | None, earlier: int = 0) -> Iterator[Phase]:
        """A phase of `total` items, `earlier` of them finished by an earlier run."""
        phase = Phase(name, total, earlier, self._clock)
        if self._view is None:
            yield phase
            return
        token = self._view.start(phase)
        phase.watch(lambda: self._view.show(token, phase) if self._view else None)
        try:
            yield phase
        finally:
            self._view.end(token, phase)

    def note(self, text: str) -> None:
        """One line for the reader, above the bars."""
        if self._view is not None:
            self._view.note(text)


class _Lines:
    """One line when a phase begins, one every few seconds or tenths of the phase, one when it ends."""

    def __init__(self, stream: TextIO, every: float, clock: Callable[[], float]) -> None:
        self._stream = stream
        self._every = every
        self._clock = clock
        self._last_line: dict[int, tuple[float, float]] = {}

    def start(self, phase: Phase) -> int:
        items = "" if phase.total is None else f"{phase.total} items"
        earlier = f"{phase.earlier} of {phase.total} already done" if phase.earlier else ""
        self.note(f"{phase.name}: {earlier or items or 'started'}")
        self._last_line[id(phase)] = (self._clock(), phase.reached)
        return id(phase)

    def show(self, token: int, phase: Phase) -> None:
        when, reached = self._last_line[token]
        passed = self._clock() - when
        much = phase.total is not None and phase.reached - reached >= LINE_SHARE * phase.total
        if passed >= self._every or (much and passed >= LEAST_SECONDS):
            self._last_line[token] = (self._clock(), phase.reached)
            self.note(f"{phase.name}: {phase.summary()}")

    def end(self, token: int, phase: Phase) -> None:
        del self._last_line[token]
        self.note(f"{phase.name}: {phase.summary()}")

    def note(self, text: str) -> None:
        self._stream.write(text + "\n")
        self._stream.flush()


class _Summary(ProgressColumn):
    """The phase's summary, so that bars and lines show the same; redrawn as time passes."""

    def render(self, task: RichTask) -> Text:
        phase: Phase = task.fields["phase"]
        return Text(phase.summary(), style="red" if phase.failed else "")


class _Bars:
    """A live bar per phase."""

    def __init__(self, stream: TextIO) -> None:
        self.display = RichProgress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            _Summary(),
            console=Console(file=stream),
        )

    def start(self, phase: Phase) -> TaskID:
        fields: dict[str, Any] = {"phase": phase}
        return self.display.add_task(phase.name, total=phase.total, completed=phase.done, **fields)

    def show(self, token: Any, phase: Phase) -> None:
        self.display.update(token, completed=phase.reached)

    def end(self, token: Any, phase: Phase) -> None:
        self.show(token, phase)
        self.display.stop_task(token)

    def note(self, text: str) -> None:
        self.display.console.print(text, markup=False, highlight=False)
