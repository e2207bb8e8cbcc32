"""The executor in this process: lazy, in order, and interruptible between and within items."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from agents.deeprl.recipe import PolicySite, TrainingRecipe
from envsearch.errors import InputError
from envsearch.spec import EnvironmentSpec
from orchestration.execution.executors.inline import InlineExecutor
from orchestration.execution.executors.registry import executor
from orchestration.execution.results import ResultStore
from orchestration.execution.tasks import TaskFunctions
from orchestration.execution.work import AgentKey, TrainBlock
from orchestration.runtime.ray import end_on_sigterm

RECIPE = TrainingRecipe(EnvironmentSpec("CartPole-v1"), "ppo", (), 100, PolicySite("Tanh", "Adam"))
KEYS = tuple(AgentKey(RECIPE, seed, "fake") for seed in range(3))


@pytest.fixture
def inline(monkeypatch: pytest.MonkeyPatch) -> InlineExecutor:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "fakes"))
    return InlineExecutor(TaskFunctions("fake_training:engine", "fake_training:evaluate"))


def test_blocks_are_drawn_one_at_a_time(inline: InlineExecutor, tmp_path: Path) -> None:
    drawn: list[int] = []

    def blocks() -> Iterator[TrainBlock]:
        for key in KEYS:
            drawn.append(key.seed)
            yield TrainBlock((key,))

    reports = inline.run(blocks(), str(tmp_path))
    assert drawn == []
    next(reports)
    assert drawn == [0]
    reports.close()  # type: ignore[attr-defined]
    store = ResultStore(str(tmp_path))
    assert [store.has_agent(key) for key in KEYS] == [True, False, False]


def test_sigterm_ends_a_run_as_ctrl_c_does(inline: InlineExecutor, tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    end_on_sigterm()
    try:
        with pytest.raises(KeyboardInterrupt):
            for _ in inline.run((TrainBlock((key,)) for key in KEYS), str(tmp_path)):
                os.kill(os.getpid(), signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    store = ResultStore(str(tmp_path))
    assert [store.has_agent(key) for key in KEYS] == [True, False, False]


def test_an_unknown_executor_is_refused() -> None:
    with pytest.raises(InputError, match="did you mean 'inline'"):
        executor("inlin")


def test_one_cpu_needs_no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert executor("auto", cpus=1).name == "inline"
    finally:
        signal.signal(signal.SIGTERM, before)
