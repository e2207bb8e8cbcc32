"""Synthetic CI histories for demos: a suite with flaky tests, drawn from a generator."""

from __future__ import annotations

import numpy as np

from agents.scheduling.loaders.ci_history import CiHistory, Cycle
from agents.scheduling.testcase import TestCase, Verdict
from envsearch.errors import InputError

BROKEN_DEVICE = 0.02
"""Share of executions in which the infrastructure fails, not the test."""


def flaky_history(rng: np.random.Generator, tests: int = 120, flaky: int = 8, cycles: int = 60) -> CiHistory:
    """A device's regression suite as in the demo of the original article: 100 and more tests, several of them flaky.

    Every cycle runs all tests, in a shuffled order. A flaky test fails with a rate of its own between 15 % and 60 %;
    the others fail once in 2,000 executions. In 2 % of the executions the device breaks: an error, which says nothing
    about the test. Durations are log-normal with a median of 75 s, so the suite takes about three hours and a budget
    of 60 minutes leaves most of it out.

    Raises:
        InputError: more flaky tests than tests, or no tests or cycles.
    """
    if tests < 1 or cycles < 1 or not 0 <= flaky <= tests:
        raise InputError(f"{flaky} flaky of {tests} tests in {cycles} cycles", "synthetic", "0 <= flaky <= tests")
    typical = rng.lognormal(np.log(75.0), 0.6, tests)
    rate = np.full(tests, 1.0 / 2000.0)
    rate[rng.choice(tests, flaky, replace=False)] = rng.uniform(0.15, 0.6, flaky)
    width = len(str(tests))
    cases = [TestCase(f"device::test_{number:0{width}d}") for number in range(1, tests + 1)]
    return CiHistory(
        "synthetic-flaky", tuple(_cycle(rng, cases, typical, rate, str(number)) for number in range(1, cycles + 1))
    )


def _cycle(
    rng: np.random.Generator,
    cases: list[TestCase],
    typical: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    rate: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    name: str,
) -> Cycle:
    count = len(cases)
    order = rng.permutation(count)
    durations = typical * rng.lognormal(0.0, 0.1, count)
    failed, broken = rng.random(count) < rate, rng.random(count) < BROKEN_DEVICE
    verdicts = np.where(broken, Verdict.ERROR, np.where(failed, Verdict.FAILED, Verdict.PASSED))
    return Cycle(
        tests=tuple(cases[place] for place in order),
        verdicts=tuple(Verdict(str(verdicts[place])) for place in order),
        durations=durations[order],
        name=name,
    )
