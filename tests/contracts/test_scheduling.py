"""Every scheduling part of the tables keeps its contract, custom ones can be named by import path, broken ones fail."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from agents.scheduling.agent import SchedulingAgent
from agents.scheduling.agent_checks import check_agent_kind
from agents.scheduling.exploration_checks import check_exploration
from agents.scheduling.explorer import Exploration
from agents.scheduling.observation import FloatArray, Observation, Scores
from agents.scheduling.registry import (
    AGENT_KINDS,
    EXPLORATIONS,
    REWARDS,
    agent_kind,
    exploration_class,
    reward_class,
)
from agents.scheduling.reward import EpisodeOutcome, Reward
from agents.scheduling.reward_checks import check_reward
from agents.scheduling.rewards.verdict_masks import failed
from agents.scheduling.state import State
from agents.scheduling.testcase import Verdict

TAKE_SECONDS = {"ppo", "a2c", "dqn"}


def failures(checks):
    return {check.name: check.detail for check in checks if not check.passed}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in TAKE_SECONDS)) for name in sorted(AGENT_KINDS)]
)
def test_kind_keeps_its_contract(name: str) -> None:
    kind = agent_kind(name)
    assert kind.kind == name
    assert kind.summary
    assert not failures(check_agent_kind(kind))


@pytest.mark.parametrize("name", sorted(REWARDS))
def test_reward_keeps_its_contract(name: str) -> None:
    kind = reward_class(name)
    assert kind.name == name
    assert kind.summary
    assert not failures(check_reward(kind))


@pytest.mark.parametrize("name", sorted(EXPLORATIONS))
def test_exploration_keeps_its_contract(name: str) -> None:
    kind = exploration_class(name)
    assert kind.name == name
    assert kind.summary
    assert not failures(check_exploration(kind))


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


class _ImpossibleChances(_Plain):
    def score(self, observation: Observation, rng: np.random.Generator) -> Scores:
        scores = super().score(observation, rng)
        return Scores(scores.priority, scores.explored, 0.0, chances=1.0 + scores.priority)


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


class _TakesAnySetting(_Plain):
    def __init__(self, hyperparameters: Mapping[str, Any], seed: int) -> None:
        super().__init__({}, seed)


@pytest.mark.filterwarnings("ignore:divide by zero")
@pytest.mark.parametrize(
    ("kind", "clause"),
    [
        (_Plain, None),
        (_NotFinite, "scores are finite and of the right shape"),
        (_ImpossibleChances, "scores are finite and of the right shape"),
        (_CountsScores, "scoring changes no state"),
        (_OwnChance, "the same generator gives the same scores"),
        (_GlobalChance, "the global generators are left unchanged"),
        (_Forgets, "a restored agent behaves the same"),
        (_Halves, "the state is restored bit for bit"),
        (_NeedsFailures, "it learns from one class of rewards alone"),
        (_TrustsRewards, "it learns from parts of an episode, and from nothing"),
        (_TakesAnySetting, "an unknown hyper-parameter is refused in one line"),
    ],
)
def test_a_broken_kind_fails_its_clause(kind: type[SchedulingAgent], clause: str | None) -> None:
    broken = failures(check_agent_kind(kind))
    assert broken.get(clause) if clause else not broken


class _Steady(Reward):
    """A reward that keeps the contract."""

    name = "steady"
    summary = "a failed test: 2"

    def rewards(self, outcome: EpisodeOutcome) -> FloatArray:
        return 2.0 * failed(outcome).astype(np.float64)


class _OneForAll(_Steady):
    def rewards(self, outcome: EpisodeOutcome) -> FloatArray:
        return super().rewards(outcome)[:1]


class _DividesByFailures(_Steady):
    def rewards(self, outcome: EpisodeOutcome) -> FloatArray:
        with np.errstate(divide="ignore"):
            return np.ones(len(outcome)) / np.float64(failed(outcome).sum())


class _Counts(_Steady):
    def __init__(self) -> None:
        self.calls = 0

    def rewards(self, outcome: EpisodeOutcome) -> FloatArray:
        self.calls += 1
        return super().rewards(outcome) + self.calls


class _Overwrites(_Steady):
    def rewards(self, outcome: EpisodeOutcome) -> FloatArray:
        outcome.durations[:] = 0.0
        return super().rewards(outcome)


class _Tosses(_Steady):
    def rewards(self, outcome: EpisodeOutcome) -> FloatArray:
        return super().rewards(outcome) + random.random()


class _Claims(_Steady):
    marks_failures = True


@pytest.mark.parametrize(
    ("kind", "clause"),
    [
        (_Steady, None),
        (_OneForAll, "rewards are finite or NaN and of the right shape"),
        (_DividesByFailures, "it scores every kind of cycle"),
        (_Counts, "the same outcome gives the same rewards"),
        (_Counts, "neither the outcome nor the reward changes"),
        (_Overwrites, "neither the outcome nor the reward changes"),
        (_Tosses, "the global generators are left unchanged"),
        (_Claims, "marks_failures says what the rewards are"),
    ],
)
def test_a_broken_reward_fails_its_clause(kind: type[Reward], clause: str | None) -> None:
    broken = failures(check_reward(kind))
    assert broken.get(clause) if clause else not broken


class _Idle(Exploration):
    """An exploration that keeps the contract: it leaves everything as it is."""

    name = "idle"
    summary = "nothing"

    def apply(self, scores: Scores, observation: Observation, version: int, rng: np.random.Generator) -> Scores:
        return scores


class _Cools(_Idle):
    def apply(self, scores: Scores, observation: Observation, version: int, rng: np.random.Generator) -> Scores:
        exploration = 2.0 - version
        return Scores(scores.priority, scores.explored, exploration, scores.chances)


class _LosesChances(_Idle):
    def apply(self, scores: Scores, observation: Observation, version: int, rng: np.random.Generator) -> Scores:
        return Scores(scores.priority, scores.explored, scores.exploration)


class _WritesOver(_Idle):
    def apply(self, scores: Scores, observation: Observation, version: int, rng: np.random.Generator) -> Scores:
        scores.priority[:] = rng.random(len(observation))
        return scores


class _Steps(_Idle):
    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__(settings)
        self.steps = 0

    def apply(self, scores: Scores, observation: Observation, version: int, rng: np.random.Generator) -> Scores:
        self.steps += 1
        return Scores(scores.priority + self.steps, scores.explored, scores.exploration, scores.chances)


class _GlobalNoise(_Idle):
    def apply(self, scores: Scores, observation: Observation, version: int, rng: np.random.Generator) -> Scores:
        noise = np.random.random(len(observation))
        return Scores(scores.priority + noise, scores.explored, scores.exploration, scores.chances)


class _AnySetting(_Idle):
    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__({})


@pytest.mark.parametrize(
    ("kind", "clause"),
    [
        (_Idle, None),
        (_Cools, "scores are finite and of the right shape"),
        (_LosesChances, "estimated chances stay with their tests"),
        (_WritesOver, "neither the scores nor the exploration change"),
        (_Steps, "neither the scores nor the exploration change"),
        (_Steps, "the same generator gives the same scores"),
        (_GlobalNoise, "the global generators are left unchanged"),
        (_AnySetting, "an unknown setting is refused in one line"),
    ],
)
def test_a_broken_exploration_fails_its_clause(kind: type[Exploration], clause: str | None) -> None:
    broken = failures(check_exploration(kind))
    assert broken.get(clause) if clause else not broken


# -- by import path -------------------------------------------------------------------------------------------------
