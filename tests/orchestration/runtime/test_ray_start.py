"""A local Ray that does not start at once: a busy machine, or a broken one."""

from __future__ import annotations

from typing import Any

import pytest

from envsearch.errors import ProctorError
from orchestration.runtime.ray import STARTS, _start_patiently

TIMED_OUT = "The current node timed out during startup. This could happen.\nmore"


class SlowRay:
    """Ray whose first starts fail."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.starts: list[dict[str, Any]] = []
        self.ended = 0

    def init(self, **options: Any) -> None:
        self.starts.append(options)
        if len(self.starts) <= self.failures:
            raise Exception(TIMED_OUT)

    def shutdown(self) -> None:
        self.ended += 1


def test_a_node_that_times_out_is_started_again() -> None:
    slow = SlowRay(failures=STARTS - 1)
    _start_patiently(slow, num_cpus=2)
    assert [start["num_cpus"] for start in slow.starts] == [2] * STARTS
    assert slow.ended == STARTS - 1, "what was half started is ended before the next attempt"


def test_a_node_that_never_starts_is_one_line() -> None:
    with pytest.raises(ProctorError) as caught:
        _start_patiently(SlowRay(failures=99))
    assert str(caught.value).startswith("Ray did not start, tried 3 times (The current node timed out during startup.")
    assert "\n" not in str(caught.value)
