"""Where the time of a fleet training goes, and how far its update is from the core's arithmetic.

    python -m benchmarks.training_parts --format json

Times each part of PPO's compiled CartPole program by itself (CPU seconds of this process, one thread, median):
compiling, stepping environment and policy, preparing the update (values, advantages), the update. The update's
floating-point operations are counted from the layers; the core's rate is that of XLA's own float32 matrix product.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import resource
import statistics
import time
from collections.abc import Callable
from typing import Any

os.environ["PROCTOR_COMPILATION_CACHE"] = "off"

import jax
import jax.numpy as jnp

from agents.deeprl.engines.fleet import stepping
from agents.deeprl.engines.fleet.capability import learner_of
from agents.deeprl.engines.fleet.lanes import in_lanes
from agents.deeprl.engines.fleet.learner import AgentState, Learner
from agents.deeprl.engines.fleet.on_policy import OnPolicyProgram
from agents.deeprl.engines.fleet.on_policy_update import FaultDraws, learn
from agents.deeprl.engines.fleet.policies import first_parameters, untrained
from agents.deeprl.engines.fleet.rollout import RolloutDraws, collect
from agents.deeprl.engines.fleet.sites import stream
from agents.deeprl.presets.preset import preset
from agents.deeprl.recipe import TrainingRecipe
from envsearch.definition import initial_spec
from envsearch.registry import environment

NAME = "CartPole-v1"


def main() -> None:
    """Measure and print."""
    arguments = _arguments()
    recipe = preset(NAME, "ppo").recipe(initial_spec(environment(NAME)))
    result = measured(recipe, arguments.seeds, arguments.repeats)
    if arguments.format == "json":
        print(json.dumps(result))
    else:
        for key, value in result.items():
            print(f"{key:44} {value}")


def measured(recipe: TrainingRecipe, seeds: int, repeats: int) -> dict[str, Any]:
    """CPU seconds of one block of iterations for `seeds` agents, part by part."""
    learner = learner_of(recipe, range(seeds))
    models = [untrained(recipe, seed) for seed in range(seeds)]
    keys = jax.vmap(jax.random.key)(jnp.arange(seeds, dtype=jnp.uint64))
    state = learner.start(keys, first_parameters(models, learner.program.networks, len(recipe.policy.net_arch)))
    iterations, steps = learner.block_iterations, learner.program.iteration_steps
    draws, collecting, learning = _parts(learner)
    compiling = _seconds(lambda: learner.run(jax.tree.map(jnp.copy, state), 0, iterations), 1)
    whole = _seconds(lambda: learner.run(jax.tree.map(jnp.copy, state), 0, iterations), repeats)
    drawn = draws(keys)
    _, _, rollout, _ = collecting(state, drawn)
    faults = FaultDraws(*(jnp.ones((seeds, steps) if name == "flags" else (seeds,)) for name in FaultDraws._fields))
    drawing = _seconds(lambda: draws(keys), repeats)
    acting = _seconds(lambda: collecting(state, drawn), repeats)
    updating = _seconds(lambda: learning(state, rollout, faults), repeats)
    operations = _operations(recipe) * seeds * steps
    matmul = _matrix_rate()
    return {
        "algorithm": recipe.algorithm,
        "seeds": seeds,
        "agent_steps_of_a_block": seeds * steps * iterations,
        "first_call_with_compilation_seconds": round(compiling, 2),
        "whole_block_seconds": round(whole, 4),
        "agent_steps_per_second": round(seeds * steps * iterations / whole),
        "share_random_numbers": round(drawing * iterations / whole, 3),
        "share_environment_and_policy": round(acting * iterations / whole, 3),
        "share_update": round(updating * iterations / whole, 3),
        "environment_and_policy_steps_per_second": round(seeds * steps / acting),
        "update_gflops_per_second": round(operations / updating / 1e9, 1),
        "matrix_product_gflops_per_second": round(matmul / 1e9, 1),
        "update_share_of_matrix_product_rate": round(operations / updating / matmul, 3),
        "peak_memory_mebibytes": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "load_average": os.getloadavg()[0],
    }


def _parts(learner: Learner) -> tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]:
    """(random numbers of one iteration, its rollout, its learner update), each a compiled program of its own."""
    program, data = learner.program, learner.data
    assert isinstance(program, OnPolicyProgram) and program.world is not None
    world, settings, steps = program.world, program.settings, program.iteration_steps

    def one_draw(key: jax.Array) -> RolloutDraws:
        return RolloutDraws(
            stepping.draws(world, key, 0, steps),
            jax.random.uniform(stream(key, "actions", 0), (steps,), jnp.float32),
            jax.random.uniform(stream(key, "state", 0), (steps,), jnp.float32),
        )

    def one_rollout(own: tuple[AgentState, RolloutDraws]) -> Any:
        state, draws = own
        assert state.episode is not None
        actor, activation = state.learner.parameters["actor"], settings.policy.activation
        return collect(world, data.point, actor, activation, state.episode, state.observation, draws, data.sites)

    def one_update(own: tuple[AgentState, Any, FaultDraws]) -> Any:
        state, rollout, faults = own
        return learn(state.learner, rollout, faults, state.key, jnp.int32(0), data.sites, data.numbers, settings)

    return (
        jax.jit(lambda keys: in_lanes(one_draw, keys)),
        jax.jit(lambda state, draws: in_lanes(one_rollout, (state, draws))),
        jax.jit(lambda state, rollout, faults: in_lanes(one_update, (state, rollout, faults))),
    )


def _operations(recipe: TrainingRecipe) -> float:
    """Floating-point operations of the learner update per environment step: forward and twice as much backward."""
    units = [4, *recipe.policy.net_arch]
    products = sum(a * b for a, b in itertools.pairwise(units))
    forward = 2 * (2 * products + units[-1] * 2 + units[-1])  # actor with two logits, critic with one value
    epochs = recipe.hyperparameter("n_epochs", 1)
    assert isinstance(epochs, int)
    return 3.0 * forward * epochs


def _matrix_rate() -> float:
    """Operations per second of a float32 matrix product that fits the cache."""
    size = 512
    left = jnp.ones((size, size), jnp.float32)
    product = jax.jit(lambda x: x @ x)
    return 2.0 * size**3 / _seconds(lambda: product(left), 30)


def _seconds(work: Callable[[], Any], repeats: int) -> float:
    """Median CPU seconds of this process for one call (after one that compiles, where there are several)."""
    times = []
    for _ in range(repeats + (repeats > 1)):
        started = time.process_time()
        jax.block_until_ready(work())  # type: ignore[no-untyped-call]
        times.append(time.process_time() - started)
    return statistics.median(times[repeats > 1 :])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--format", choices=("json", "text"), default="text")
    return parser.parse_args()


if __name__ == "__main__":
    main()
