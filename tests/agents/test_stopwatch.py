"""Wall time and CPU time are two things."""

from __future__ import annotations

import time

from agents.deeprl.stopwatch import Stopwatch


def test_waiting_takes_wall_time_only():
    stopwatch = Stopwatch()
    time.sleep(0.1)
    wall, cpu = stopwatch.stopped()
    assert wall >= 0.1 and cpu < 0.05


def test_computing_takes_both():
    stopwatch = Stopwatch()
    while stopwatch.cpu < 0.02:
        pass
    assert stopwatch.wall >= 0.02


def test_time_before_counts():
    wall, cpu = Stopwatch(wall=100.0, cpu=50.0).stopped()
    assert 100.0 <= wall < 101.0 and 50.0 <= cpu < 51.0
