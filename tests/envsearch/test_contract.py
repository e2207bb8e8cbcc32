"""The contract finds what is wrong with an environment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import gymnasium
import numpy as np
import pytest

from envsearch.definition import EnvironmentDefinition
from envsearch.environment_checks import check_environment
from envsearch.registry import environment
from envsearch.spec import Parameter

SHARED = {"count": 0}


class Walk(gymnasium.Env[Any, Any]):
    """A walk on a line in which one thing or nothing is wrong."""

    observation_space = gymnasium.spaces.Box(-1e3, 1e3, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, fault: str, stride: float) -> None:
        if fault == "breaks at the limit" and stride > 1.5:
            raise ValueError("too far")
        self.fault, self.stride, self.place = fault, stride, 0.0
        self.stray = np.random.default_rng()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        if self.fault == "remembers":
            return self._seen() * 0 + np.float32(self.place), {}
        self.place = 0.0
        return self._seen(), {}

    def step(self, action: Any) -> Any:
        stride = 1.0 if self.fault == "deaf" else self.stride
        noise = self.stray if self.fault == "own randomness" else self.np_random
        SHARED["count"] += 1
        self.place += stride * (2 * int(action) - 1) + noise.normal()
        reward = SHARED["count"] if self.fault == "shared" else -abs(self.place)
        if self.fault == "infinite reward" and self.stride > 1.5:
            reward = float("inf")
        return self._seen(), float(reward), self.fault != "endless" and abs(self.place) > 5, False, {}

    def _seen(self) -> Any:
        kind = np.float64 if self.fault == "wrong type" else np.float32
        return np.array([self.place], dtype=kind)


def walk(fault: str, limit: int | None = None) -> EnvironmentDefinition:
    def build(values: Mapping[str, float]) -> gymnasium.Env[Any, Any]:
        SHARED["count"] = 0
        return Walk(fault, **values)

    stride = Parameter("stride", 1.0, 0.5, 2.0, 0.1)
    return EnvironmentDefinition("walk", "", (stride,), build, max_episode_steps=limit)


def failed(definition: EnvironmentDefinition) -> dict[str, str]:
    # A definition of a test is in no table: that it cannot be rebuilt by name is right, and not looked at here.
    rebuilt = "it is rebuilt from its name and values alone"
    return {check.name: check.detail for check in check_environment(definition) if not check.passed} | {rebuilt: ""}


def test_a_good_environment_fails_nothing_but_the_lookup_by_name() -> None:
    assert list(failed(walk("none"))) == ["it is rebuilt from its name and values alone"]


@pytest.mark.parametrize(
    ("fault", "clause", "detail"),
    [
        ("own randomness", "the same seed gives the same episodes", "self.np_random"),
        ("shared", "two instances do not disturb each other", "while another one is stepped"),
        ("deaf", "stride takes effect", "the same at 2"),
        ("endless", "an episode ends and the next one starts", "TimeLimit"),
        ("remembers", "an episode ends and the next one starts", "another first observation"),
        ("wrong type", "gymnasium's own checker passes", "AssertionError"),
        ("infinite reward", "stride works at both limits", "at 2 a reward is not finite"),
        ("breaks at the limit", "stride works at both limits", "at 2: ValueError: too far"),
    ],
)
def test_each_fault_is_found(fault: str, clause: str, detail: str) -> None:
    assert detail in failed(walk(fault, 300))[clause]


def test_an_environment_that_cannot_be_rebuilt_by_name_is_told() -> None:
    details = {check.name: check.detail for check in check_environment(walk("none"))}
    assert "unknown environment 'walk'" in details["it is rebuilt from its name and values alone"]


def test_an_unknown_time_limit_is_mentioned() -> None:
    details = {check.name: check.detail for check in check_environment(walk("none"))}
    assert "no time limit is known" in details["an episode ends and the next one starts"]


def raising(values: Mapping[str, float]) -> gymnasium.Env[Any, Any]:
    raise RuntimeError("no display\nhere")


def returning_nothing(values: Mapping[str, float]) -> Any:
    return None


@pytest.mark.parametrize(
    ("build", "detail"), [(raising, "RuntimeError: no display here"), (returning_nothing, "build returned a NoneType")]
)
def test_what_cannot_be_built_is_the_only_check(build: Callable[..., Any], detail: str) -> None:
    (check,) = check_environment(EnvironmentDefinition("x", "", (), build))
    assert (check.passed, check.detail.startswith(detail)) == (False, True)


def test_a_gymnasium_id_with_declared_parameters_passes() -> None:
    definition = environment("Pendulum-v1", [Parameter("g", 10, 1, 20, 0.5), Parameter("l", 1, 0.5, 2, 0.1)])
    assert [check for check in check_environment(definition) if not check.passed] == []
