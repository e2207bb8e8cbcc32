"""What a long run shows of its progress."""

from __future__ import annotations

import io

import pytest

from orchestration.runtime.progress import Phase, Progress, clock_text


class Clock:
    """A clock that moves only when the test moves it."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "0:00"), (7, "0:07"), (59.6, "1:00"), (750, "12:30"), (11100, "3:05:00")]
)
def test_clock_text(seconds: float, text: str) -> None:
    assert clock_text(seconds) == text


def test_earlier_items_are_no_part_of_the_speed() -> None:
    clock = Clock()
    phase = Phase("Train", 120, 100, clock)
    assert phase.seconds_left() is None
    clock.now += 30
    phase.advance(5, failed=1)
    assert phase.seconds_left() == pytest.approx(15 * 30 / 5)
    assert phase.summary() == "105/120, 1 failed, 0:30 elapsed, 1:30 left (100 already done)"


def test_a_total_that_nobody_knows_yet() -> None:
    clock = Clock()
    phase = Phase("Boundary", None, 0, clock)
    phase.advance(3)
    assert phase.seconds_left() is None
    assert phase.summary() == "3 done, 0:00 elapsed"


def test_a_line_every_few_seconds() -> None:
    clock, stream = Clock(), io.StringIO()
    with Progress("auto", stream, every=5.0, clock=clock) as progress:
        with progress.phase("Train", 52, earlier=42) as phase:
            for _ in range(9):
                clock.now += 2
                phase.advance()
            phase.advance(failed=1)
        progress.note("report written")
    assert stream.getvalue().splitlines() == [
        "Train: 42 of 52 already done",
        "Train: 45/52, 0:06 elapsed, 0:14 left (42 already done)",
        "Train: 48/52, 0:12 elapsed, 0:08 left (42 already done)",
        "Train: 51/52, 0:18 elapsed, 0:02 left (42 already done)",
        "Train: 52/52, 1 failed, 0:18 elapsed (42 already done)",
        "report written",
    ]


def test_a_line_for_every_tenth_but_no_flood() -> None:
    clock, stream = Clock(), io.StringIO()
    with Progress("lines", stream, clock=clock) as progress, progress.phase("Train", 20) as phase:
        for _ in range(4):
            clock.now += 0.75
            phase.advance(2)
        for _ in range(8):
            phase.advance(1)
    counts = [line.split("/")[0] for line in stream.getvalue().splitlines()]
    assert counts == ["Train: 20 items", "Train: 4", "Train: 8", "Train: 16"]


def test_items_that_are_under_way_count_with_their_fractions() -> None:
    clock = Clock()
    phase = Phase("Train", 40, 0, clock)
    clock.now += 30
    phase.update_running(0.0, 7.58)
    assert phase.summary() == "7.5/40, 0:30 elapsed, 2:08 left"
    phase.update_running(0.0, 19.99)
    assert phase.summary().startswith("19.9/40"), "never more than is done"
    phase.advance(20)
    assert phase.summary() == "20/40, 0:30 elapsed, 0:30 left"
    phase.update_running(0.0, 2.0)
    assert phase.reached == 22.0


def test_what_a_checkpoint_had_done_is_no_part_of_the_speed() -> None:
    clock = Clock()
    phase = Phase("Train", 20, 0, clock)
    phase.update_running(10.0, 10.0)
    assert phase.seconds_left() is None
    clock.now += 10
    phase.update_running(10.0, 15.0)
    assert phase.seconds_left() == pytest.approx(10.0)
    assert phase.summary() == "15.0/20, 0:10 elapsed, 0:10 left"


def test_parts_of_items_make_lines_too() -> None:
    clock, stream = Clock(), io.StringIO()
    with Progress("lines", stream, clock=clock) as progress, progress.phase("Train", 20) as phase:
        for done in range(1, 5):
            clock.now += 4
            phase.update_running(0.0, done / 2)
    assert stream.getvalue().splitlines() == [
        "Train: 20 items",
        "Train: 1.5/20, 0:12 elapsed, 2:28 left",
        "Train: 2.0/20, 0:16 elapsed, 2:24 left",
    ]


def test_an_interrupted_phase_says_how_far_it_came() -> None:
    stream = io.StringIO()
    progress = Progress("lines", stream, clock=Clock())
    with pytest.raises(KeyboardInterrupt), progress, progress.phase("Train", 3) as phase:
        phase.advance()
        raise KeyboardInterrupt
    assert stream.getvalue().splitlines() == ["Train: 3 items", "Train: 1/3, 0:00 elapsed, 0:00 left"]


def test_bars_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    stream = Terminal()
    with Progress("auto", stream) as progress:
        with progress.phase("Train", 4, earlier=1) as phase:
            phase.advance(2, failed=1)
        with progress.phase("[odd] name", None) as phase:
            phase.advance()
    written = stream.getvalue()
    assert "3/4, 1 failed" in written
    assert "(1 already done)" in written
    assert "[odd] name" in written
    assert "1 done" in written


def test_silence() -> None:
    stream = Terminal()
    with Progress("silent", stream) as progress, progress.phase("Train", 1) as phase:
        phase.advance()
        progress.note("nothing")
    assert phase.done == 1
    assert stream.getvalue() == ""
