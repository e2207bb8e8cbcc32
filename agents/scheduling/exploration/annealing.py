"""From exploring to exploiting: one number that falls with every rewarded episode."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from envsearch.errors import InputError


def check_annealing(settings: Mapping[str, Any], highest: float) -> None:
    """Whether ``initial`` and ``final`` lie in [0, highest] and ``episodes`` is at least 0.

    Raises:
        InputError: a value is out of its range.
    """
    for name in ("initial", "final"):
        if not (math.isfinite(settings[name]) and 0.0 <= settings[name] <= highest):
            raise InputError(
                f"{settings[name]!r} is out of range", f"exploration_settings.{name}", f"a number from 0 to {highest:g}"
            )
    if settings["episodes"] < 0:
        raise InputError(
            f"{settings['episodes']} is out of range", "exploration_settings.episodes", "a whole number of at least 0"
        )


def level(settings: Mapping[str, Any], rewarded_episodes: int) -> float:
    """From ``initial`` in a straight line to ``final`` over ``episodes`` rewarded episodes, then constant."""
    episodes = int(settings["episodes"])
    done = 1.0 if episodes == 0 else min(rewarded_episodes / episodes, 1.0)
    return float(settings["initial"] + (settings["final"] - settings["initial"]) * done)


def joined(first: float, second: float) -> float:
    """The exploration of an agent and of an exploration together, each in [0, 1]."""
    return 1.0 - (1.0 - first) * (1.0 - second)
