"""The contract of an agent kind: what the scheduler and the service rely on, of the table's kinds and custom ones."""

from __future__ import annotations

import numpy as np

from agents.scheduling.agent import SchedulingAgent
from agents.scheduling.clauses import (
    SEED,
    SIZES,
    ClauseBrokenError,
    check_global_generators,
    check_refused,
    check_same_scores,
    check_scores,
    judged,
    learning_rng,
    sample_observation,
    scoring_rng,
)
from agents.scheduling.observation import FloatArray, Observation
from agents.scheduling.state import State, from_bytes, to_bytes
from agents.scheduling.testcase import Verdict
from envsearch.checks import Check

EPISODES = 2

Kind = type[SchedulingAgent]


def check_agent_kind(kind: Kind) -> list[Check]:
    """Try everything that a scheduler relies on; a second or less.

    Never raises for a bad kind: what goes wrong inside it is the detail of a failed check.
    """
    return judged(
        kind,
        [
            ("scores are finite and of the right shape", _scores),
            ("scoring changes no state", _scoring_changes_nothing),
            ("the same generator gives the same scores", _same_generator),
            ("the same seed gives the same agent", _same_seed),
            ("the global generators are left unchanged", _global_generators),
            ("the state is restored bit for bit", _round_trip),
            ("a restored agent behaves the same", _restored_behaviour),
            ("it learns from one class of rewards alone", _one_class),
            ("it learns from parts of an episode, and from nothing", _parts),
            ("an unknown hyper-parameter is refused in one line", _unknown_hyperparameter),
        ],
    )


def _scores(kind: Kind) -> str:
    agent = kind({}, SEED)
    for trained in (False, True):
        if trained:
            _train(agent)
        for size in SIZES:
            check_scores(agent.score(sample_observation(size), scoring_rng()), size)
    return f"{', '.join(map(str, SIZES))} tests, before and after {EPISODES} rewards"


def _scoring_changes_nothing(kind: Kind) -> str:
    agent = _trained(kind)
    before = agent.state()
    agent.score(sample_observation(50), scoring_rng())
    _check_equal(before, agent.state(), "after a recommendation")
    return ""


def _same_generator(kind: Kind) -> str:
    agent = _trained(kind)
    first, second = (agent.score(sample_observation(50), scoring_rng()) for _ in range(2))
    check_same_scores(first, second, "two scores with equal generators")
    return ""


def _same_seed(kind: Kind) -> str:
    first, second = _trained(kind), _trained(kind)
    _check_equal(first.state(), second.state(), "after the same episodes")
    return ""


def _global_generators(kind: Kind) -> str:
    return check_global_generators(lambda: _trained(kind).score(sample_observation(50), scoring_rng()))


def _round_trip(kind: Kind) -> str:
    agent = _trained(kind)
    data = to_bytes(agent.state())
    _check_equal(agent.state(), _restored(kind, data).state(), "after a round trip")
    return f"{len(data)} bytes"


def _restored_behaviour(kind: Kind) -> str:
    agent = _trained(kind)
    copy = _restored(kind, to_bytes(agent.state()))
    for episode in range(2):
        observation = sample_observation(40)
        scores = agent.score(observation, scoring_rng())
        check_same_scores(scores, copy.score(observation, scoring_rng()), f"scores {episode} rewards after restoring")
        for learner in (agent, copy):
            _learn(learner, observation, _rewards(40, episode))
        _check_equal(agent.state(), copy.state(), f"{episode + 1} rewards after restoring")
    return ""


def _one_class(kind: Kind) -> str:
    for reward in (0.0, 1.0, -1.0, 1e6):
        agent = kind({}, SEED)
        for _ in range(EPISODES):
            _learn(agent, sample_observation(30), np.full(30, reward))
        check_scores(agent.score(sample_observation(30), scoring_rng()), 30)
    return "all 0, all 1, all -1, all 1e6"


def _parts(kind: Kind) -> str:
    agent = kind({}, SEED)
    some = _rewards(30, 0)
    some[::2] = np.nan
    for rewards in (np.zeros(0), np.full(30, np.nan), some, np.array([1.0])):
        _learn(agent, sample_observation(len(rewards)), rewards)
        check_scores(agent.score(sample_observation(30), scoring_rng()), 30)
    return "no tests, no rewards, rewards of half the tests, one test"


def _unknown_hyperparameter(kind: Kind) -> str:
    return check_refused(lambda hyperparameters: kind(hyperparameters, SEED))


def _rewards(size: int, episode: int) -> FloatArray:
    rng = np.random.default_rng([SEED, episode])
    return (rng.random(size) < 0.3).astype(np.float64)


def _learn(agent: SchedulingAgent, observation: Observation, rewards: FloatArray) -> None:
    scores = agent.score(observation, scoring_rng())
    verdicts = tuple(
        Verdict.NOT_RUN if np.isnan(reward) else Verdict.FAILED if reward > 0 else Verdict.PASSED for reward in rewards
    )
    agent.learn(observation, scores, verdicts, rewards, learning_rng())


def _train(agent: SchedulingAgent) -> None:
    for episode in range(EPISODES):
        _learn(agent, sample_observation(60), _rewards(60, episode))


def _trained(kind: Kind) -> SchedulingAgent:
    agent = kind({}, SEED)
    _train(agent)
    return agent


def _restored(kind: Kind, data: bytes) -> SchedulingAgent:
    agent = kind({}, SEED + 1)  # what the seed determined must come from the state
    agent.restore(from_bytes(data))
    return agent


def _check_equal(first: State, second: State, when: str) -> None:
    if set(first) != set(second):
        names = ", ".join(sorted(set(first) ^ set(second)))
        raise ClauseBrokenError(f"{when} the state has other names: {names}")
    for name, value in first.items():
        left, right = np.asarray(value), np.asarray(second[name])
        if left.dtype != right.dtype or left.shape != right.shape or left.tobytes() != right.tobytes():
            raise ClauseBrokenError(f"{when} {name} is not the same")
