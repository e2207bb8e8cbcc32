"""What the recorded runs of pytest are given: few random examples, and an end to tests that never end.

A fault can turn a loop into an endless one, or a size into a huge one. A test is stopped after some seconds of
processor time, and the process may not take more than a few gigabytes; either way the test fails like any other.
"""

from __future__ import annotations

import resource
import signal
from collections.abc import Generator
from types import FrameType

import hypothesis
import pytest

SECONDS = 4.0
BYTES = 6 * 2**30
EXAMPLES = 20


class NeverEndsError(BaseException):
    """Not an `Exception`, so that hypothesis does not try the example again."""


def pytest_configure() -> None:
    """Once per process."""
    resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    signal.signal(signal.SIGPROF, _stop)
    hypothesis.settings.register_profile("recording", deadline=None, max_examples=EXAMPLES, database=None)
    hypothesis.settings.load_profile("recording")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    """Around each test."""
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        return (yield)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)


@pytest.fixture(scope="session")
def proctor_data() -> None:
    """The public data files have no part in the recording."""
    pytest.skip("public data files have no part in the recording")


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise NeverEndsError(f"stopped after {SECONDS:g} seconds of processor time")
