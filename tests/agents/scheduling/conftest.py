"""Small jobs and schedulers."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agents.scheduling.scheduler import Scheduler
from agents.scheduling.settings import AgentSettings
from agents.scheduling.testcase import TestCase, TestResult, Verdict

LETTERS = dict(zip("PFESN", Verdict, strict=True))


@pytest.fixture
def cases() -> Callable[..., list[TestCase]]:
    """Names -> test cases of one job."""

    def make(names: str, job: str = "") -> list[TestCase]:
        return [TestCase(name, job) for name in names]

    return make


@pytest.fixture
def results() -> Callable[..., list[TestResult]]:
    """("ab", "PF") -> a passed, b failed, one second each; P F E S N are the verdicts."""

    def make(names: str, verdicts: str, duration: float | None = 1.0) -> list[TestResult]:
        return [TestResult(name, LETTERS[letter], duration) for name, letter in zip(names, verdicts, strict=True)]

    return make


@pytest.fixture
def scheduler() -> Callable[..., Scheduler]:
    """A scheduler of a kind."""

    def make(kind: str = "failure_rate", **settings: Any) -> Scheduler:
        return Scheduler(AgentSettings(kind, **{"reward": "failure_count", **settings}))

    return make


@pytest.fixture
def ci_history_folder() -> Path:
    """The folder of public CI histories, or the test is skipped."""
    root = os.environ.get("PROCTOR_DATA")
    if not root:
        pytest.skip("PROCTOR_DATA names no data folder")
    folder = Path(root) / "ci-history"
    if not folder.is_dir():
        pytest.skip("the data folder has no ci-history")
    return folder
