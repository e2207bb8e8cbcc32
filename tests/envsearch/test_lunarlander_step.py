"""The quick step of LunarLander: gymnasium's bits, and gymnasium's own code for everything else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from envsearch.environments import lunarlander
from envsearch.environments.lunarlander import LunarLander


def actions(seed: int) -> list[int]:
    rng = np.random.default_rng(seed)
    return [int(action) for action in rng.choice(4, size=300, p=rng.dirichlet(np.ones(4)))]


@pytest.mark.parametrize("seed", range(12))
def test_it_is_gymnasiums_step_bit_for_bit(seed: int) -> None:
    gravity, power = (-10.0, 0.6) if seed % 2 else (-1.0 - seed, 0.3 * seed)
    quick, own = LunarLander(gravity, power), LunarLander(gravity, power)
    assert quick.reset(seed=seed)[0].tobytes() == own.reset(seed=seed)[0].tobytes()
    for action in actions(seed):
        result: tuple[Any, ...] = quick.step(np.int64(action))
        expected: tuple[Any, ...] = own._step(own, action)
        assert result[0].dtype == expected[0].dtype
        assert result[0].tobytes() == expected[0].tobytes()
        assert result[1:] == expected[1:]
        if result[2]:
            break
    assert result[2]


def test_what_is_no_action_is_refused_as_gymnasium_does() -> None:
    env = LunarLander()
    with pytest.raises(AssertionError):
        env.step(0)
    env.reset(seed=0)
    for wrong in (4, -1, 1.5, "2"):
        with pytest.raises(AssertionError):
            env.step(wrong)


def test_another_gymnasium_steps_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lunarlander, "USED", False)
    monkeypatch.setattr(lunarlander, "quick_step", None)
    env = LunarLander()
    env.reset(seed=0)
    assert len(env.step(2)) == 5
