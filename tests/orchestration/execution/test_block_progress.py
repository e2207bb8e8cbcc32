"""How far running blocks are: fractions of items, seldom enough, and harmless without a callback."""

from __future__ import annotations

from orchestration.execution.block_progress import REPORT_SECONDS, BlockProgress, RunningBlocks


class Clock:
    """A clock that moves only when the test moves it."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_agent_steps_become_items() -> None:
    clock, reports = Clock(), list[tuple[float, float]]()
    block = BlockProgress(lambda *numbers: reports.append(numbers), clock)
    block.finished(2, resumed=True)
    first = block.steps(4, 100, lambda: False)
    for steps in (0, 100, 400):
        first(steps)
        clock.now += REPORT_SECONDS
    block.finished(4)
    second = block.steps(1, 100, lambda: False)
    second(50)
    assert reports == [(2, 2), (2, 3), (2, 6), (2, 6.5)]


def test_what_a_checkpoint_gave_is_told_apart() -> None:
    clock, reports = Clock(), list[tuple[float, float]]()
    progress = BlockProgress(lambda *numbers: reports.append(numbers), clock).steps(4, 100, lambda: True)
    for steps in (200, 300):
        progress(steps)
        clock.now += REPORT_SECONDS
    assert reports == [(2, 2), (2, 3)]


def test_at_most_one_report_per_second() -> None:
    clock, reports = Clock(), list[float]()
    progress = BlockProgress(lambda resumed, done: reports.append(done), clock).steps(1, 1000, lambda: False)
    for steps in range(1000):
        progress(steps)
        clock.now += 0.01
    assert 9 <= len(reports) <= 11


def test_more_steps_than_requested_are_not_more_agents() -> None:
    reports: list[float] = []
    BlockProgress(lambda resumed, done: reports.append(done)).steps(4, 100, lambda: False)(415)
    assert reports == [4]


def test_progress_without_a_callback() -> None:
    BlockProgress(None).steps(1, 10, lambda: True)(5)
    blocks = RunningBlocks(None)
    blocks.update(0, 0.0, 1.0)
    blocks.ended(0)
    blocks.ended(7)


def test_blocks_are_summed_until_they_end() -> None:
    reports: list[tuple[float, float]] = []
    blocks = RunningBlocks(lambda *numbers: reports.append(numbers))
    blocks.update(0, 5.0, 6.0)
    blocks.update(1, 0.0, 2.0)
    blocks.update(0, 5.0, 9.0)
    blocks.ended(0)
    blocks.update(1, 0.0, 3.0)
    assert reports == [(5, 6), (5, 8), (5, 11), (5, 3)]
