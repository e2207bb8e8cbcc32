"""How far running blocks are: fractions of items, seldom enough, and harmless where nobody listens."""

from __future__ import annotations

from orchestration.execution.block_progress import EVERY, Blocks, UnderWay


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_agent_steps_become_items() -> None:
    clock, told = Clock(), list[tuple[float, float]]()
    block = UnderWay(lambda *numbers: told.append(numbers), clock)
    block.finished(2, given=True)
    first = block.steps(4, 100, lambda: False)
    for steps in (0, 100, 400):
        first(steps)
        clock.now += EVERY
    block.finished(4)
    second = block.steps(1, 100, lambda: False)
    second(50)
    assert told == [(2, 2), (2, 3), (2, 6), (2, 6.5)]


def test_what_a_checkpoint_gave_is_told_apart() -> None:
    clock, told = Clock(), list[tuple[float, float]]()
    progress = UnderWay(lambda *numbers: told.append(numbers), clock).steps(4, 100, lambda: True)
    for steps in (200, 300):
        progress(steps)
        clock.now += EVERY
    assert told == [(2, 2), (2, 3)]


def test_at_most_one_report_per_second() -> None:
    clock, told = Clock(), list[float]()
    progress = UnderWay(lambda given, done: told.append(done), clock).steps(1, 1000, lambda: False)
    for steps in range(1000):
        progress(steps)
        clock.now += 0.01
    assert 9 <= len(told) <= 11


def test_more_steps_than_asked_for_are_no_more_agents() -> None:
    told: list[float] = []
    UnderWay(lambda given, done: told.append(done)).steps(4, 100, lambda: False)(415)
    assert told == [4]


def test_nobody_listens() -> None:
    UnderWay(None).steps(1, 10, lambda: True)(5)
    blocks = Blocks(None)
    blocks.told(0, 0.0, 1.0)
    blocks.ended(0)
    blocks.ended(7)


def test_blocks_are_summed_until_they_end() -> None:
    told: list[tuple[float, float]] = []
    blocks = Blocks(lambda *numbers: told.append(numbers))
    blocks.told(0, 5.0, 6.0)
    blocks.told(1, 0.0, 2.0)
    blocks.told(0, 5.0, 9.0)
    blocks.ended(0)
    blocks.told(1, 0.0, 3.0)
    assert told == [(5, 6), (5, 8), (5, 11), (5, 3)]
