"""Published figures for CartPole, to compare with a campaign's own.

Source: Tambon, Majdinasab, Nikanjam, Khomh and Antoniol, "Mutation Testing of Deep Reinforcement Learning Based on Real
Faults", ICST 2023, with its replication package RLMutation (20 agents per population, 10 episodes per agent).
LunarLander was published too; its figures are not held here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from mutations.killing.kill_test import Outcome

SOURCE = "Tambon et al., Mutation Testing of Deep Reinforcement Learning Based on Real Faults, ICST 2023"

_KILLED, _SURVIVED, _UNSURE = Outcome.KILLED, Outcome.SURVIVED, Outcome.INCONCLUSIVE

PublishedVerdict = tuple[float, Outcome, Outcome]
"""(average_ratio, reward_distribution, distance_distribution); the published "Not Killed" is `survived`."""

_VERDICTS: dict[tuple[str, str], dict[str, PublishedVerdict]] = {
    ("CartPole-v1", "ppo"): {
        "ILF": (1.00, _KILLED, _KILLED),
        "NDF": (0.65, _KILLED, _KILLED),
        "NR": (1.00, _KILLED, _KILLED),
        "MSU": (1.00, _KILLED, _KILLED),
        "MTS": (0.05, _UNSURE, _KILLED),
        "PAC_ReLU": (0.05, _UNSURE, _KILLED),
        "PAC_Sigmoid": (0.25, _KILLED, _KILLED),
        "POC_SGD": (1.00, _KILLED, _KILLED),
        "M_1.0": (1.00, _KILLED, _KILLED),
        "R_1.0": (0.00, _SURVIVED, _SURVIVED),
        "Ra_1.0": (0.95, _KILLED, _KILLED),
        "RN_1.0": (0.00, _UNSURE, _KILLED),
    },
    ("CartPole-v1", "a2c"): {
        "ILF": (1.00, _KILLED, _KILLED),
        "NDF": (0.35, _KILLED, _KILLED),
        "NR": (0.90, _KILLED, _KILLED),
        "MSU": (1.00, _KILLED, _KILLED),
        "MTS": (0.05, _UNSURE, _KILLED),
        "PAC_ReLU": (1.00, _KILLED, _KILLED),
        "PAC_Sigmoid": (0.20, _KILLED, _KILLED),
        "POC_SGD": (1.00, _KILLED, _KILLED),
        "M_1.0": (0.95, _KILLED, _KILLED),
        "R_1.0": (0.15, _SURVIVED, _KILLED),
        "Ra_1.0": (1.00, _KILLED, _KILLED),
        "RN_1.0": (0.25, _KILLED, _KILLED),
    },
    ("CartPole-v1", "dqn"): {
        "ILF": (1.00, _KILLED, _KILLED),
        "NDF": (1.00, _KILLED, _KILLED),
        "MSU": (1.00, _KILLED, _KILLED),
        "MTS": (1.00, _KILLED, _KILLED),
        "PAC_Sigmoid": (0.80, _KILLED, _KILLED),
        "POC_SGD": (1.00, _KILLED, _KILLED),
        "M_1.0": (1.00, _KILLED, _KILLED),
        "R_1.0": (0.90, _KILLED, _KILLED),
        "Ra_1.0": (1.00, _KILLED, _KILLED),
        "RN_1.0": (0.30, _UNSURE, _SURVIVED),
    },
}


@dataclass(frozen=True, slots=True)
class PublishedBoundaries:
    """Outcome of one published boundary search over (cart mass, pole mass), started at (1, 0.1).

    Attributes:
        points: the boundary environments, the initial one first.
        calls: environments in which the healthy population was evaluated and compared.
    """

    points: tuple[tuple[float, float], ...]
    calls: int


_START = (1.0, 0.1)

_BOUNDARIES: dict[tuple[str, str], dict[str, PublishedBoundaries]] = {
    ("CartPole-v1", "ppo"): {
        "reward_distribution": PublishedBoundaries(
            (_START, (7.234375, 0.1), (1.0, 11.1771484375), (4.31201171875, 5.984735107421875)), 23
        ),
        "distance_distribution": PublishedBoundaries(
            (_START, (6.046875, 0.1), (1.0, 9.039453125), (3.68115234375, 4.84908447265625)), 23
        ),
    },
    ("CartPole-v1", "a2c"): {
        "reward_distribution": PublishedBoundaries(
            (_START, (6.046875, 0.1), (1.0, 10.3609375), (3.5234375, 5.23046875)), 23
        ),
        "distance_distribution": PublishedBoundaries(
            (_START, (1.59375, 0.1), (1.0, 1.6158203125), (1.4453125, 1.236865234375)), 20
        ),
    },
    ("CartPole-v1", "dqn"): {
        "reward_distribution": PublishedBoundaries(
            (_START, (2.1875, 0.1), (1.0, 2.1599609375), (1.59375, 1.12998046875)), 21
        ),
        "distance_distribution": PublishedBoundaries(
            (_START, (1.59375, 0.1), (1.0, 0.799609375), (1.296875, 0.4498046875)), 19
        ),
    },
}

_NAMES = {"cartpole": "CartPole-v1", "cartpole-v1": "CartPole-v1"}


def published_verdicts(environment: str, algorithm: str) -> Mapping[str, PublishedVerdict]:
    """Published verdicts in the initial environment by mutant id; empty where nothing is held.

    Args:
        environment: ``CartPole-v1`` or the table name ``cartpole``, in any case.
        algorithm: ppo, a2c or dqn, in any case.
    """
    return MappingProxyType(_VERDICTS.get(_key(environment, algorithm), {}))


def published_boundaries(environment: str, algorithm: str) -> Mapping[str, PublishedBoundaries]:
    """Published boundary environments by the kill test that searched them; empty where nothing is held."""
    return MappingProxyType(_BOUNDARIES.get(_key(environment, algorithm), {}))


def _key(environment: str, algorithm: str) -> tuple[str, str]:
    return _NAMES.get(environment.lower(), environment), algorithm.lower()
