"""Test cases and their results, as a CI job reports them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from envsearch.errors import InputError

FeatureValue = float | str | bool

SEPARATOR = "\x1f"
"""Between job and test in the key of a history."""


class Verdict(StrEnum):
    """The verdict of one execution."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    """The infrastructure failed, not the test."""
    SKIPPED = "skipped"
    NOT_RUN = "not_run"

    @property
    def informative(self) -> bool:
        """Whether the verdict is about the test itself."""
        return self in (Verdict.PASSED, Verdict.FAILED)


def _seconds(value: float | None, field: str) -> None:
    if value is not None and not (math.isfinite(value) and value >= 0.0):
        raise InputError(f"{value!r} is out of range", field, "seconds, a finite number of at least 0")


@dataclass(frozen=True, slots=True)
class TestCase:
    """One candidate of a CI job.

    Attributes:
        id: unique within the job.
        job: the job's name; histories of equal ids in different jobs are kept apart.
        duration: expected seconds; None: taken from past runs.
        features: domain-specific metadata, (name, number or category) pairs.
        history_id: key of its history, if several candidates of one job are the same test (a row that is repeated in
            a cycle); "": its id.
    """

    __test__ = False  # pytest: not a class of tests

    id: str
    job: str = ""
    duration: float | None = None
    features: tuple[tuple[str, FeatureValue], ...] = ()
    history_id: str = ""

    def __post_init__(self) -> None:
        if not self.id:
            raise InputError("a test case has no id", "test_cases.id", "a non-empty text")
        if SEPARATOR in self.id or SEPARATOR in self.job or SEPARATOR in self.history_id:
            raise InputError("contains the character U+001F", f"test_cases[{self.id}]", "an id and a job without it")
        _seconds(self.duration, f"test_cases[{self.id}].duration")
        for name, value in self.features:
            if isinstance(value, float) and not math.isfinite(value):
                raise InputError(
                    f"{value!r} is not finite", f"test_cases[{self.id}].features.{name}", "a finite number"
                )

    @property
    def key(self) -> str:
        """The key of its history: unique over all jobs of an agent."""
        own = self.history_id or self.id
        return f"{self.job}{SEPARATOR}{own}" if self.job else own


def split_key(key: str) -> tuple[str, str]:
    """The job and the test that a `TestCase.key` was made of."""
    job, separator, test = key.partition(SEPARATOR)
    return (job, test) if separator else ("", key)


@dataclass(frozen=True, slots=True)
class TestResult:
    """One execution.

    Attributes:
        duration: seconds it took; None: not measured.
        finished_at: Unix time, seconds; None: not reported.
    """

    __test__ = False

    id: str
    verdict: Verdict
    duration: float | None = None
    finished_at: float | None = None

    def __post_init__(self) -> None:
        _seconds(self.duration, f"results[{self.id}].duration")
        if self.finished_at is not None and not math.isfinite(self.finished_at):
            raise InputError(f"{self.finished_at!r} is not finite", f"results[{self.id}].finished_at", "Unix seconds")
