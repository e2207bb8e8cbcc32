"""Every agent kind of the table keeps its contract, and broken kinds are told what is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from agents.scheduling.agent import SchedulingAgent
from agents.scheduling.agent_checks import check_agent_kind
from agents.scheduling.observation import FloatArray, Observation, Scores
from agents.scheduling.registry import AGENT_KINDS, EXPLORATIONS, REWARDS, agent_kind, exploration, reward
from agents.scheduling.state import State
from agents.scheduling.testcase import Verdict

TAKE_SECONDS = {"ppo", "a2c", "dqn"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in TAKE_SECONDS)) for name in sorted(AGENT_KINDS)]
)
def test_kind_keeps_its_contract(name: str) -> None:
    kind = agent_kind(name)
    assert kind.kind == name
    assert kind.summary
    broken = [check for check in check_agent_kind(kind) if not check.passed]
    assert not broken, broken


@pytest.mark.parametrize("name", sorted(REWARDS))
def test_reward_knows_its_name(name: str) -> None:
    assert reward(name).name == name
    assert reward(name).summary


@pytest.mark.parametrize("name", sorted(EXPLORATIONS))
def test_exploration_knows_its_name(name: str) -> None:
    assert exploration(name, {}).name == name
    assert exploration(name, {}).summary


class _Plain(SchedulingAgent):
    """A kind that keeps the contract."""

    kind = "plain"
    summary = "a number"
    learns = True

    def __init__(self, hyperparameters: Mapping[str, Any], seed: int) -> None:
        super().__init__(hyperparameters, seed)
        self.total = 0.0

    def score(self, observation: Observation, rng: np.random.Generator) -> Scores:
        number = len(observation)
        return Scores(self.total + rng.random(number), np.zeros(number, dtype=np.bool_), 0.5)

    def learn(
        self,
        observation: Observation,
        scores: Scores,
        verdicts: tuple[Verdict, ...],
        rewards: FloatArray,
        rng: np.random.Generator,
    ) -> None:
        self.total += float(np.nansum(rewards))

    def state(self) -> State:
        return {"total": self.total}

    def restore(self, state: State) -> None:
        self.total = float(state["total"])


class _NotFinite(_Plain):
    def score(self, observation: Observation, rng: np.random.Generator) -> Scores:
        scores = super().score(observation, rng)
        return Scores(scores.priority / 0.0 if len(observation) else scores.priority, scores.explored, 0.0)


class _CountsScores(_Plain):
    def score(self, observation: Observation, rng: np.random.Generator) -> Scores:
        self.total += 1.0
        return super().score(observation, rng)


class _OwnChance(_Plain):
    def score(self, observation: Observation, rng: np.random.Generator) -> Scores:
        return super().score(observation, np.random.default_rng())


class _GlobalChance(_Plain):
    def score(self, observation: Observation, rng: np.random.Generator) -> Scores:
        np.random.random()
        return super().score(observation, rng)


class _Forgets(_Plain):
    def state(self) -> State:
        return {}

    def restore(self, state: State) -> None:
        pass


class _Halves(_Plain):
    def restore(self, state: State) -> None:
        self.total = float(state["total"]) / 2.0


class _NeedsFailures(_Plain):
    def learn(
        self,
        observation: Observation,
        scores: Scores,
        verdicts: tuple[Verdict, ...],
        rewards: FloatArray,
        rng: np.random.Generator,
    ) -> None:
        if Verdict.FAILED not in verdicts:
            raise ValueError("one class alone")


class _TrustsRewards(_Plain):
    def learn(
        self,
        observation: Observation,
        scores: Scores,
        verdicts: tuple[Verdict, ...],
        rewards: FloatArray,
        rng: np.random.Generator,
    ) -> None:
        self.total += float(np.sum(rewards))


def test_plain_kind_passes() -> None:
    assert all(check.passed for check in check_agent_kind(_Plain))


@pytest.mark.filterwarnings("ignore:divide by zero")
@pytest.mark.parametrize(
    ("kind", "clause"),
    [
        (_NotFinite, "scores are finite and of the right shape"),
        (_CountsScores, "scoring changes no state"),
        (_OwnChance, "the same generator gives the same scores"),
        (_GlobalChance, "the global generators are left alone"),
        (_Forgets, "a restored agent behaves the same"),
        (_Halves, "the state comes back bit for bit"),
        (_NeedsFailures, "it learns from one class of rewards alone"),
        (_TrustsRewards, "it learns from parts of an episode, and from nothing"),
    ],
)
def test_broken_kind_is_told(kind: type[SchedulingAgent], clause: str) -> None:
    failed = {check.name: check.detail for check in check_agent_kind(kind) if not check.passed}
    assert failed.get(clause)
