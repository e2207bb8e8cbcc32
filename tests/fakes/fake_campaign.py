"""A stand-in for training and evaluation in whole campaigns: instant, deterministic, with a known boundary.

Healthy agents earn about 500 as long as cart_mass <= 8 and pole_mass <= 6, else about 100. NDF is fragile in cart mass
(> 4), POC in pole mass (> 3), NR is bad everywhere, RN_p for the seeds below 20 p - 0.5, MTS is the healthy agent, M is
Ra, MSU fails to train for the seeds named in the environment variable FAKE_FAILS, and its agents of the seeds in
FAKE_DEAD are dead.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable, Sequence

from agents.deeprl.engines.base import AgentSelection, TrainedAgent
from agents.deeprl.recipe import TerminalSite, TrainingRecipe
from envsearch.spec import EnvironmentSpec

HEALTHY_LEVEL = 500.0
FAR_LEVEL = 100.0


class FakeEngine:
    name = "fake"

    def objection(self, recipe: TrainingRecipe) -> str | None:
        return "it cannot count that far" if recipe.total_steps > 10**9 else None

    def train(
        self,
        recipe: TrainingRecipe,
        seeds: Sequence[int],
        selection: AgentSelection | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> list[TrainedAgent]:
        return [_train(recipe, seed) for seed in seeds]


def _train(recipe: TrainingRecipe, seed: int) -> TrainedAgent:
    if recipe.state.missed_update and _named("FAKE_FAILS", seed):
        raise ZeroDivisionError(f"seed {seed} fails on purpose")
    dead = recipe.state.missed_update > 0 and _named("FAKE_DEAD", seed)
    faults = {
        "fragile_cart": recipe.returns.undiscounted > 0,
        "fragile_pole": recipe.policy.optimizer == "SGD",
        "bad": recipe.returns.forward > 0 or 20 * recipe.experience.noise_probability > seed + 0.5,
        "noise": recipe.address,
        "seed": seed,
    }
    same = recipe.replace(terminal=TerminalSite())
    if same.experience.replacement == "mangled":  # every reward is equal
        same = same.replace(experience=dataclasses.replace(same.experience, replacement="random"))
    faults["noise"] = same.address
    digest = hashlib.sha256(f"{same.address} {seed}".encode()).hexdigest()
    steps = tuple(range(10, recipe.total_steps + 1, 10))
    return TrainedAgent(
        seed,
        json.dumps(faults).encode(),
        digest,
        steps,
        tuple(float(s) for s in steps),
        recipe.total_steps,
        0.5,
        dead,
        cpu_seconds=0.25,
    )


def _named(variable: str, seed: int) -> bool:
    return str(seed) in os.environ.get(variable, "").split(",")


def evaluate(
    checkpoint: bytes, algorithm: str, environment: EnvironmentSpec, episodes: int, seed: int
) -> tuple[float, ...]:
    agent, values = json.loads(checkpoint), dict(environment.values)
    cart, pole = values.get("cart_mass", 1.0), values.get("pole_mass", 0.1)
    near = cart <= 8.0 and pole <= 6.0
    if agent["bad"] or (agent["fragile_cart"] and cart > 4.0) or (agent["fragile_pole"] and pole > 3.0):
        near = False
    level = HEALTHY_LEVEL if near else FAR_LEVEL
    noise = int(hashlib.sha256(f"{agent['noise']} {agent['seed']}".encode()).hexdigest()[:4], 16) % 7
    return tuple(level + noise + episode % 2 for episode in range(episodes))


def evaluate_by_seed(
    checkpoint: bytes, algorithm: str, environment: EnvironmentSpec, episodes: int, seed: int
) -> tuple[float, ...]:
    """As `evaluate`, but agents earn a fifth less on episodes other than those of the verdicts (seed 420)."""
    share = 1.0 if seed == 420 else 0.8
    return tuple(share * reward for reward in evaluate(checkpoint, algorithm, environment, episodes, seed))


def evaluate_noisily(
    checkpoint: bytes, algorithm: str, environment: EnvironmentSpec, episodes: int, seed: int
) -> tuple[float, ...]:
    """As `evaluate`, with differences of up to a quarter between an agent's evaluations away from the initial point."""
    rewards = evaluate(checkpoint, algorithm, environment, episodes, seed)
    if dict(environment.values) in ({"cart_mass": 1.0, "pole_mass": 0.1}, {}):
        return rewards
    text = f"{json.loads(checkpoint)['seed']} {environment.values} {seed}"
    noise = int(hashlib.sha256(text.encode()).hexdigest()[:4], 16) / 0xFFFF - 0.5
    return tuple(reward * (1 + 0.5 * noise) for reward in rewards)
