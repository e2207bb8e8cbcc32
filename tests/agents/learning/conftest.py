"""Small episodes, observations and histories."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from agents.scheduling.episode import Budget, Episode
from agents.scheduling.features import observe
from agents.scheduling.history import History
from agents.scheduling.observation import Observation, Scores
from agents.scheduling.reward import EpisodeOutcome
from agents.scheduling.testcase import TestCase, TestResult, Verdict

LETTERS = dict(zip("PFESN", Verdict, strict=True))


@pytest.fixture(scope="session")
def outcome() -> Callable[..., EpisodeOutcome]:
    """("PFP", order=(2, 0, 1)): the verdicts in the job's order, and the order in which the tests were ranked.

    `selected` tests stand first in that order; `past` are past verdicts of each test, oldest first.
    """

    def make(
        verdicts: str,
        order: Sequence[int] | None = None,
        selected: int | None = None,
        durations: Sequence[float] | None = None,
        past: Sequence[str] = (),
    ) -> EpisodeOutcome:
        count = len(verdicts)
        tests = tuple(TestCase(f"t{place}") for place in range(count))
        history = History(10)
        for cycle in range(max(map(len, past), default=0)):
            known = [(test, LETTERS[text[cycle]]) for test, text in zip(tests, past, strict=True) if cycle < len(text)]
            history.record(
                [test for test, _ in known], [TestResult(test.id, verdict) for test, verdict in known], cycle
            )
        observation = observe(history, tests)
        scores = Scores(np.zeros(count), np.zeros(count, dtype=np.bool_), 0.0)
        position = np.zeros(count, dtype=np.int64)
        position[list(range(count) if order is None else order)] = np.arange(1, count + 1)
        episode = Episode("e", 0, 0, tests, observation, scores, np.argsort(position), (), Budget(), 0.0)
        return EpisodeOutcome(
            episode,
            tuple(LETTERS[letter] for letter in verdicts),
            np.array([1.0] * count if durations is None else durations, dtype=np.float64),
            episode.order,
            position <= (count if selected is None else selected),
        )

    return make


@pytest.fixture
def observed() -> Callable[..., Observation]:
    """Past verdicts of each test, oldest first -> what an agent sees."""

    def make(past: Sequence[str], durations: Sequence[float] | None = None) -> Observation:
        seconds = [1.0] * len(past) if durations is None else durations
        tests = [TestCase(f"t{place}", duration=duration) for place, duration in enumerate(seconds)]
        history = History(10)
        for cycle in range(max(map(len, past), default=0)):
            known = [(test, LETTERS[text[cycle]]) for test, text in zip(tests, past, strict=True) if cycle < len(text)]
            results = [TestResult(test.id, verdict, 1.0) for test, verdict in known]
            history.record([test for test, _ in known], results, cycle)
        return observe(history, tests)

    return make


@pytest.fixture
def unreliable(observed: Callable[..., Observation]) -> Callable[[np.random.Generator], tuple[Observation, np.ndarray]]:
    """A cycle of 60 tests, of which those that failed in their last two runs fail with probability .9, others .02."""

    def make(rng: np.random.Generator) -> tuple[Observation, np.ndarray]:
        past = ["".join(rng.choice(["P", "F"], 4, p=[0.6, 0.4])) for _ in range(60)]
        chance = np.array([0.9 if text.endswith("FF") else 0.02 for text in past])
        return observed(past), (rng.random(60) < chance).astype(np.float64)

    return make
