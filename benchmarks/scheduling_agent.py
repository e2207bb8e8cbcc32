"""What a cycle costs a scheduling agent (features, rank, learn) on one core, and what it remembers, by number of tests.

python -m benchmarks.scheduling_agent [--tests 100 2000] [--kinds failure_model failure_rate] [--cycles 30]

The kinds take turns cycle by cycle, so that a busy machine is busy for all. Memory is what Python and numpy have
allocated for the scheduler (history included) after the last cycle.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import tracemalloc
from typing import Any

import numpy as np

from agents.scheduling.episode import Budget
from agents.scheduling.scheduler import Scheduler
from agents.scheduling.settings import AgentSettings
from agents.scheduling.state import to_bytes
from agents.scheduling.testcase import TestCase, TestResult, Verdict

FAILING = 0.05
WARM_UP = 3


def cycle(scheduler: Scheduler, tests: list[TestCase], number: int, rng: np.random.Generator) -> float:
    """One whole episode; the seconds that the scheduler took."""
    failed, took = rng.random(len(tests)) < FAILING, rng.lognormal(0.0, 1.0, len(tests)).tolist()
    results = [
        TestResult(test.id, Verdict.FAILED if bad else Verdict.PASSED, seconds)
        for test, bad, seconds in zip(tests, failed.tolist(), took, strict=True)
    ]
    by_id = {result.id: result for result in results}
    started = time.perf_counter()
    episode = scheduler.recommend(tests, str(number), number, Budget(share=0.5), explain=False)
    scheduler.record(episode, results)
    scheduler.reward(episode, by_id)
    return time.perf_counter() - started


def seconds(kinds: list[str], count: int, cycles: int) -> dict[str, list[float]]:
    """Per kind, the seconds of each cycle after the warm-up."""
    tests = [TestCase(f"suite/area_{place // 20}/test_{place}") for place in range(count)]
    schedulers = {kind: Scheduler(AgentSettings(kind)) for kind in kinds}
    times: dict[str, list[float]] = {kind: [] for kind in kinds}
    for number in range(cycles + WARM_UP):
        for kind, scheduler in schedulers.items():
            taken = cycle(scheduler, tests, number, np.random.default_rng(number))
            if number >= WARM_UP:
                times[kind].append(taken)
    return times


def memory(kind: str, count: int, cycles: int) -> tuple[int, int]:
    """Bytes allocated for a scheduler after these cycles, and bytes of its saved state."""
    tests = [TestCase(f"suite/area_{place // 20}/test_{place}") for place in range(count)]
    cycle(
        Scheduler(AgentSettings(kind)), tests[:5], 0, np.random.default_rng(0)
    )  # imports and caches are not the agent
    tracemalloc.start()
    scheduler = Scheduler(AgentSettings(kind))
    for number in range(cycles):
        cycle(scheduler, tests, number, np.random.default_rng(number))
    allocated, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return allocated, len(to_bytes(scheduler.state()))


def main() -> None:
    """Print one JSON object per kind and number of tests."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--tests", type=int, nargs="+", default=[100, 2000])
    parser.add_argument("--kinds", nargs="+", default=["failure_model", "failure_rate"])
    parser.add_argument("--cycles", type=int, default=30)
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    for count in options.tests:
        times = seconds(options.kinds, count, options.cycles)
        base = float(np.median(times[options.kinds[-1]]))
        for kind, values in times.items():
            allocated, saved = memory(kind, count, 5)
            row: dict[str, Any] = {
                "kind": kind,
                "tests": count,
                "milliseconds_median": round(1e3 * float(np.median(values)), 2),
                "milliseconds_best": round(1e3 * min(values), 2),
                f"times_{options.kinds[-1]}": round(float(np.median(values)) / base, 2),
                "megabytes": round(allocated / 1e6, 2),
                "saved_megabytes": round(saved / 1e6, 2),
            }
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
