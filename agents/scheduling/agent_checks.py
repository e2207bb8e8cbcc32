"""The contract of an agent kind: what the scheduler and the service rely on, for the table's kinds and a user's own."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial

import numpy as np

from agents.scheduling.agent import SchedulingAgent
from agents.scheduling.features import observe
from agents.scheduling.history import History
from agents.scheduling.observation import FloatArray, Observation, Scores
from agents.scheduling.state import State, from_bytes, to_bytes
from agents.scheduling.testcase import TestCase, TestResult, Verdict
from envsearch.checks import Check

SEED = 7
EPISODES = 2

Kind = type[SchedulingAgent]
_CHANCE = np.random.SeedSequence(SEED).spawn(3)


def check_agent_kind(kind: Kind) -> list[Check]:
    """Try everything that a scheduler relies on; a second or less.

    Never raises for a bad kind: what goes wrong inside it is the detail of a failed check.
    """
    clauses: list[tuple[str, Callable[[Kind], str]]] = [
        ("scores are finite and of the right shape", _scores),
        ("scoring changes no state", _scoring_changes_nothing),
        ("the same generator gives the same scores", _same_generator),
        ("the same seed gives the same agent", _same_seed),
        ("the global generators are left alone", _global_generators),
        ("the state comes back bit for bit", _round_trip),
        ("a restored agent behaves the same", _restored_behaviour),
        ("it learns from one class of rewards alone", _one_class),
        ("it learns from parts of an episode, and from nothing", _parts),
    ]
    return [_judge(name, partial(clause, kind)) for name, clause in clauses]


class _BrokenError(Exception):
    """A clause does not hold; the text says what was seen."""


def _judge(name: str, clause: Callable[[], str]) -> Check:
    try:
        return Check(name, True, clause())
    except _BrokenError as broken:
        return Check(name, False, str(broken))
    except Exception as error:  # noqa: BLE001 - a user's kind may fail in any way
        return Check(name, False, " ".join(f"{type(error).__name__}: {error}".split()))


def _scores(kind: Kind) -> str:
    agent = kind({}, SEED)
    sizes = (0, 1, 2, 300)
    for trained in (False, True):
        if trained:
            _train(agent)
        for size in sizes:
            _check_scores(agent.score(_observation(size), _rng()), size)
    return f"{', '.join(map(str, sizes))} tests, before and after {EPISODES} rewards"


def _check_scores(scores: Scores, size: int) -> None:
    for name, dtype in (("priority", np.float64), ("explored", np.bool_)):
        values = getattr(scores, name)
        if not isinstance(values, np.ndarray) or values.shape != (size,) or values.dtype != dtype:
            raise _BrokenError(f"{name} of {size} tests is no array of shape ({size},) and type {np.dtype(dtype)}")
    if not np.isfinite(scores.priority).all():
        raise _BrokenError(f"priority of {size} tests is not finite")
    if scores.chances is not None:
        _check_chances(scores.chances, size)
    if not 0.0 <= scores.exploration <= 1.0:
        raise _BrokenError(f"exploration is {scores.exploration}, not in [0, 1]")


def _check_chances(chances: FloatArray, size: int) -> None:
    if not isinstance(chances, np.ndarray) or chances.shape != (size,) or chances.dtype != np.float64:
        raise _BrokenError(f"chances of {size} tests are not an array of shape ({size},) and type float64")
    estimated = chances[~np.isnan(chances)]
    if not ((estimated >= 0.0) & (estimated <= 1.0)).all():
        raise _BrokenError(f"a chance of {size} tests is not in [0, 1]")


def _scoring_changes_nothing(kind: Kind) -> str:
    agent = _trained(kind)
    before = agent.state()
    agent.score(_observation(50), _rng())
    _check_equal(before, agent.state(), "after a recommendation")
    return ""


def _same_generator(kind: Kind) -> str:
    agent = _trained(kind)
    first, second = (agent.score(_observation(50), _rng()) for _ in range(2))
    _check_same(first, second, "two scores with equal generators")
    return ""


def _same_seed(kind: Kind) -> str:
    first, second = _trained(kind), _trained(kind)
    _check_equal(first.state(), second.state(), "after the same episodes")
    return ""


def _global_generators(kind: Kind) -> str:
    before = _global_state()
    _trained(kind).score(_observation(50), _rng())
    if _global_state() != before:
        raise _BrokenError("a global generator of Python or numpy has moved; draw from the generator given")
    return ""


def _global_state() -> tuple[object, ...]:
    _, keys, place, *_ = np.random.get_state()  # noqa: NPY002
    return random.getstate(), np.asarray(keys).tobytes(), place


def _round_trip(kind: Kind) -> str:
    agent = _trained(kind)
    data = to_bytes(agent.state())
    _check_equal(agent.state(), _restored(kind, data).state(), "after a round trip")
    return f"{len(data)} bytes"


def _restored_behaviour(kind: Kind) -> str:
    agent = _trained(kind)
    other = _restored(kind, to_bytes(agent.state()))
    for episode in range(2):
        observation = _observation(40)
        scores = agent.score(observation, _rng())
        _check_same(scores, other.score(observation, _rng()), f"scores {episode} rewards after restoring")
        for one in (agent, other):
            _learn(one, observation, _rewards(40, episode))
        _check_equal(agent.state(), other.state(), f"{episode + 1} rewards after restoring")
    return ""


def _one_class(kind: Kind) -> str:
    for reward in (0.0, 1.0, -1.0, 1e6):
        agent = kind({}, SEED)
        for _ in range(EPISODES):
            _learn(agent, _observation(30), np.full(30, reward))
        _check_scores(agent.score(_observation(30), _rng()), 30)
    return "all 0, all 1, all -1, all 1e6"


def _parts(kind: Kind) -> str:
    agent = kind({}, SEED)
    some = _rewards(30, 0)
    some[::2] = np.nan
    for rewards in (np.zeros(0), np.full(30, np.nan), some, np.array([1.0])):
        _learn(agent, _observation(len(rewards)), rewards)
        _check_scores(agent.score(_observation(30), _rng()), 30)
    return "no tests, no rewards, rewards of half the tests, one test"


def _rng() -> np.random.Generator:
    return np.random.default_rng(_CHANCE[0])


def _observation(size: int) -> Observation:
    """Tests with up to six past runs, some of them new."""
    rng = np.random.default_rng(_CHANCE[1])
    tests = [
        TestCase(f"t{place}", features=(("area", f"a{place % 3}"), ("lines", float(place)))) for place in range(size)
    ]
    history = History(10)
    for cycle in range(6):
        ran = [test for test in tests if rng.random() < 0.7]
        verdicts = [Verdict.FAILED if rng.random() < 0.3 else Verdict.PASSED for _ in ran]
        results = [
            TestResult(test.id, verdict, float(rng.random())) for test, verdict in zip(ran, verdicts, strict=True)
        ]
        history.record(ran, results, cycle)
    return observe(history, tests)


def _rewards(size: int, episode: int) -> FloatArray:
    rng = np.random.default_rng([SEED, episode])
    return (rng.random(size) < 0.3).astype(np.float64)


def _learn(agent: SchedulingAgent, observation: Observation, rewards: FloatArray) -> None:
    scores = agent.score(observation, _rng())
    verdicts = tuple(
        Verdict.NOT_RUN if np.isnan(reward) else Verdict.FAILED if reward > 0 else Verdict.PASSED for reward in rewards
    )
    agent.learn(observation, scores, verdicts, rewards, np.random.default_rng(_CHANCE[2]))


def _train(agent: SchedulingAgent) -> None:
    for episode in range(EPISODES):
        _learn(agent, _observation(60), _rewards(60, episode))


def _trained(kind: Kind) -> SchedulingAgent:
    agent = kind({}, SEED)
    _train(agent)
    return agent


def _restored(kind: Kind, data: bytes) -> SchedulingAgent:
    agent = kind({}, SEED + 1)  # what the seed gave must come from the state
    agent.restore(from_bytes(data))
    return agent


def _check_equal(first: State, second: State, when: str) -> None:
    if set(first) != set(second):
        raise _BrokenError(f"{when} the state has other names: {', '.join(sorted(set(first) ^ set(second)))}")
    for name, value in first.items():
        one, other = np.asarray(value), np.asarray(second[name])
        if one.dtype != other.dtype or one.shape != other.shape or one.tobytes() != other.tobytes():
            raise _BrokenError(f"{when} {name} is not the same")


def _check_same(first: Scores, second: Scores, what: str) -> None:
    if (
        first.priority.tobytes() != second.priority.tobytes()
        or first.explored.tobytes() != second.explored.tobytes()
        or first.exploration != second.exploration
    ):
        raise _BrokenError(f"{what} differ")
