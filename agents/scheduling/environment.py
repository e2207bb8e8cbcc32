"""``TestScheduling-v0``: test cases one by one as a gymnasium environment, for any agent that learns from one.

Pointwise: the inputs of one test case are the observation, its priority is the action. An episode is one cycle.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from agents.scheduling.features import observe
from agents.scheduling.history import History
from agents.scheduling.kinds.inputs import inputs
from agents.scheduling.kinds.replay_memory import Array32
from agents.scheduling.kinds.targets import learnable
from agents.scheduling.loaders.ci_history import CiHistory
from agents.scheduling.observation import FloatArray, Observation
from agents.scheduling.testcase import TestResult, Verdict
from envsearch.errors import InputError

ENVIRONMENT_ID = "TestScheduling-v0"

Cycle = tuple[Array32, FloatArray]
"""Inputs of the m test cases of a cycle, shape (m, d), and the worth of each, in [-1, 1], shape (m,)."""

_WORTH = {Verdict.FAILED: 1.0, Verdict.PASSED: -1.0}


class TestScheduling(gymnasium.Env[Array32, Any]):
    """Presents one test case after the other; the action is its priority.

    The reward of a priority a in [-1, 1] is -(a - v)^2, with v the worth of the test case: the best priority is the
    expected worth, and the order of priorities is the best order. The next test case does not depend on the action, so
    a discount of 0 loses nothing. The order of the test cases is drawn at each reset.

    Args:
        cycles: one episode each, in turn; a reset with a seed begins again with the first.
        levels: 0: a continuous action, shape (1,); else the action is one of this many priorities, evenly from -1 to 1.
        steps: most test cases per episode; None: all of the cycle.
        balanced: test cases worth more than the cycle's mean and the others are shown equally often, with repetition
            (rare failures are seen; the order of the expected worths stays the same).

    Raises:
        InputError: there is no cycle with a test case, shapes differ, or a number is out of range.
    """

    __test__ = False  # pytest: not a class of tests

    metadata = {"render_modes": []}  # noqa: RUF012 - gymnasium's own form

    def __init__(
        self, cycles: Sequence[Cycle], levels: int = 0, steps: int | None = None, balanced: bool = False
    ) -> None:
        self._cycles = [(np.asarray(shown, dtype=np.float32), np.asarray(worth)) for shown, worth in cycles]
        self._cycles = [cycle for cycle in self._cycles if len(cycle[0])]
        _check(self._cycles, levels, steps)
        self._steps, self._balanced = steps, balanced
        self._priorities = np.linspace(-1.0, 1.0, levels) if levels else None
        self.observation_space = spaces.Box(-np.inf, np.inf, self._cycles[0][0].shape[1:], dtype=np.float32)
        self.action_space = action_space(levels)
        self._cursor = -1
        self._order: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self._step = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array32, dict[str, Any]]:
        """The first test case of the next cycle."""
        super().reset(seed=seed)
        self._cursor = 0 if seed is not None else (self._cursor + 1) % len(self._cycles)
        self._order, self._step = self._drawn(self._cycles[self._cursor][1]), 0
        return self._shown(), {}

    def step(self, action: Any) -> tuple[Array32, float, bool, bool, dict[str, Any]]:
        """The next test case; after the last one the episode ends (and its observation is repeated)."""
        worth = float(self._cycles[self._cursor][1][self._order[self._step]])
        reward = -((self._priority(action) - worth) ** 2)
        self._step += 1
        return self._shown(), reward, self._step == len(self._order), False, {}

    def _priority(self, action: Any) -> float:
        if self._priorities is None:
            return float(np.asarray(action).reshape(-1)[0])
        return float(self._priorities[int(action)])

    def _shown(self) -> Array32:
        row = self._order[min(self._step, len(self._order) - 1)]
        shown: Array32 = self._cycles[self._cursor][0][row].copy()
        return shown

    def _drawn(self, worth: FloatArray) -> NDArray[np.int64]:
        steps = len(worth) if self._steps is None else self._steps
        better = worth > worth.mean()
        if not self._balanced or not better.any():
            return self.np_random.permutation(len(worth))[:steps]
        groups = np.flatnonzero(better), np.flatnonzero(~better)
        halves = [self.np_random.choice(group, size=size) for group, size in zip(groups, _halves(steps), strict=True)]
        return self.np_random.permutation(np.concatenate(halves))


def action_space(levels: int) -> spaces.Box | spaces.Discrete:
    """One continuous priority in [-1, 1], or one of `levels`."""
    return spaces.Discrete(levels) if levels else spaces.Box(-1.0, 1.0, (1,), dtype=np.float32)


def cycle_of(observation: Observation, rewards: FloatArray, history_length: int) -> Cycle:
    """An observed cycle with its rewards, shape (n,), as one of the environment; tests with NaN are left out."""
    known, worth = learnable(rewards)
    return inputs(observation, history_length)[known], worth


def cycles_of(history: CiHistory, history_length: int) -> list[Cycle]:
    """A recorded history as cycles of the environment: a failed test is worth 1, a passed one -1.

    Each cycle is observed with the history of the cycles before it.
    """
    past, cycles = History(max(history_length, 1)), []
    for number, recorded in enumerate(history):
        verdicts = np.array([_WORTH.get(verdict, np.nan) for verdict in recorded.verdicts], dtype=np.float64)
        cycles.append(cycle_of(observe(past, recorded.tests), verdicts, history_length))
        results = [
            TestResult(test.id, verdict, None if np.isnan(seconds) else float(seconds))
            for test, verdict, seconds in zip(recorded.tests, recorded.verdicts, recorded.durations, strict=True)
        ]
        past.record(recorded.tests, results, number)
    return cycles


def register() -> None:
    """Register ``gymnasium.make("TestScheduling-v0", cycles=...)``; may be called again."""
    if ENVIRONMENT_ID not in gymnasium.registry:
        gymnasium.register(ENVIRONMENT_ID, entry_point="agents.scheduling.environment:TestScheduling")


def _halves(steps: int) -> tuple[int, int]:
    return steps // 2, steps - steps // 2


def _check(cycles: Sequence[Cycle], levels: int, steps: int | None) -> None:
    if not cycles:
        raise InputError("no test case is left", "cycles", "a cycle with a test case")
    if any(shown.ndim != 2 or len(shown) != len(worth) for shown, worth in cycles):
        raise InputError("inputs and worths differ in length", "cycles", "inputs (m, d) and worths (m,)")
    if len({shown.shape[1] for shown, _ in cycles}) > 1:
        raise InputError("cycles differ in their number of inputs", "cycles", "the same d in all")
    if levels == 1 or levels < 0:
        raise InputError(f"{levels} is out of range", "levels", "0 (continuous) or at least 2")
    if steps is not None and steps < 1:
        raise InputError(f"{steps} is out of range", "steps", "at least 1")
