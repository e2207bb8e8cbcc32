"""Whole trainings of the fleet's DQN: the library's with the same random numbers, cut, among neighbours, hosted."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, cast

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import stable_baselines3
from stable_baselines3.common.vec_env import DummyVecEnv

from agents.deeprl.engines.fleet import learner as learners
from agents.deeprl.engines.fleet import replay_buffer, stepping
from agents.deeprl.engines.fleet.capability import data_of, learner_of, program_of
from agents.deeprl.engines.fleet.dqn import DQNProgram
from agents.deeprl.engines.fleet.learner import AgentState, HostedLearner, Learner
from agents.deeprl.engines.fleet.networks import from_state_dict, stack
from agents.deeprl.engines.fleet.worlds.cartpole import CARTPOLE
from agents.deeprl.engines.sb3.build import build
from agents.deeprl.presets import preset
from agents.deeprl.recipe import ExperienceSite, LossSite, ReturnsSite, StateSite, TerminalSite, TrainingRecipe
from envsearch.spec import EnvironmentSpec

Library = stable_baselines3.DQN
Make = Callable[[str], TrainingRecipe]

SITES: dict[str, dict[str, Any]] = {
    "healthy": {},
    "NDF": {"returns": ReturnsSite(undiscounted=1.0)},
    "ILF": {"loss": LossSite(inverted=1.0)},
    "gamma": {"returns": ReturnsSite(gamma=0.5)},
    "MTS": {"terminal": TerminalSite(missed=1.0)},
    "MSU": {"state": StateSite(missed_update=1.0)},
}


def changed(recipe: TrainingRecipe, **hyperparameters: Any) -> TrainingRecipe:
    return recipe.replace(hyperparameters=tuple((dict(recipe.hyperparameters) | hyperparameters).items()))


def networks_of(model: Library) -> dict[str, Any]:
    hidden = len(model.policy.net_arch)
    return jax.tree.map(jnp.asarray, from_state_dict(model.policy.state_dict(), ("q", "q_target"), hidden))


def library_model(recipe: TrainingRecipe, seed: int = 0) -> Library:
    model = build(recipe, seed)
    assert isinstance(model, Library)
    model._setup_learn(recipe.total_steps)
    return model


def assert_close(ours: Any, theirs: Any, relative: float = 1e-5) -> None:
    """Equal to a relative error, measured against the largest entry of each array."""
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=relative, atol=relative * float(np.abs(b).max()))


class Scripted(gymnasium.Wrapper[Any, Any, Any, Any]):
    """CartPole whose episodes start in scripted states."""

    def __init__(self, states: Callable[[], np.ndarray]) -> None:
        super().__init__(gymnasium.make("CartPole-v1"))
        self.states = states

    def reset(self, **arguments: Any) -> tuple[Any, dict[str, Any]]:
        super().reset(**arguments)
        state = np.array(self.states(), np.float64)
        self.unwrapped.state = state  # type: ignore[attr-defined]
        return state.astype(np.float32), {}


def drive_with_our_numbers(
    model: Library, learner: Learner, key: jax.Array, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    """Let the library's DQN draw from one of our agents' random streams (of the first block)."""
    assert isinstance(learner.program, DQNProgram)
    settings, part = learner.program.settings, jnp.int64(0)
    block_steps = learner.block_iterations * learner.program.iteration_steps
    drawn, updates = learner.program.draws(key, part, learner.block_iterations)
    per_step, bits = jax.tree.map(np.asarray, drawn), updates.batches
    resets = np.asarray(stepping.draws(CARTPOLE, key, part, block_steps).resets)
    first = np.asarray(stepping.start(CARTPOLE, key, 0)[0].state)

    def start_state() -> np.ndarray:
        return first if model.num_timesteps == 0 else resets[model.num_timesteps]

    def randint(low: int, high: int, size: Any = None) -> np.ndarray:
        if size == (settings.batch_size,):  # which of the environments
            return np.zeros(size, int)
        done = model._n_updates  # counted at the end of a call of the update
        randint.calls += 1  # type: ignore[attr-defined]
        row = bits[model.num_timesteps // settings.train_freq - 1, randint.calls - 1 - done]  # type: ignore[attr-defined]
        return np.asarray(replay_buffer.places(row, jnp.int64(high), settings.capacity))

    randint.calls = 0  # type: ignore[attr-defined]
    model.set_env(DummyVecEnv([lambda: Scripted(start_state)]))
    monkeypatch.setattr("numpy.random.rand", lambda: per_step.explore[model.num_timesteps])
    monkeypatch.setattr("numpy.random.randint", randint)
    monkeypatch.setattr(model.action_space, "sample", lambda: per_step.actions[model.num_timesteps])
    model.learn(steps)


@pytest.mark.parametrize("changes", [{}, {"buffer_size": 64, "tau": 0.5, "target_update_interval": 5}])
def test_a_training_is_the_librarys(small_recipe: Make, monkeypatch: pytest.MonkeyPatch, changes: Any) -> None:
    recipe = changed(small_recipe("dqn"), exploration_fraction=0.7, **changes).replace(total_steps=400)
    learner, key, model = learner_of(recipe, ()), jax.random.key(11), build(recipe, 4)
    assert isinstance(model, Library)
    state = learner.start(key[None], stack([networks_of(model)]))
    state, returns = learner.run(state, 0, 25)
    drive_with_our_numbers(model, learner, key, monkeypatch, 400)
    assert model._n_updates == 4 * (25 - 3)
    ours = jax.tree.map(lambda leaf: leaf[0], state.learner.parameters)
    assert_close(ours, networks_of(model), 1e-4)
    buffer: Any = model.replay_buffer
    assert state.buffer is not None and state.episode is not None
    size = state.buffer.shape[1]
    np.testing.assert_allclose(state.buffer[0, :, :4], buffer.observations[:size, 0], atol=1e-6)
    np.testing.assert_array_equal(state.buffer[0, :, 8], buffer.actions[:size, 0, 0])
    assert np.nansum(returns) + float(state.episode.episode_return[0]) == 400


def trained(recipe: TrainingRecipe, seeds: list[int], cuts: list[int]) -> tuple[AgentState, np.ndarray]:
    learner = learner_of(recipe, ())
    keys = jax.vmap(jax.random.key)(jnp.array(seeds))
    state = learner.start(keys, stack([networks_of(library_model(recipe, seed)) for seed in seeds]))
    done, finished = 0, []
    for count in cuts:
        state, returns = learner.run(state, done, count)
        finished.append(np.asarray(returns)[:, : count * learner.program.iteration_steps])
        assert np.isnan(np.asarray(returns)[:, count * learner.program.iteration_steps :]).all()
        done += count
    return state._replace(key=jax.random.key_data(state.key)), np.concatenate(finished, axis=1)


def assert_same_bits(first: Any, second: Any) -> None:
    for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


def test_cutting_a_training_changes_no_bit(small_recipe: Make) -> None:
    recipe = small_recipe("dqn")
    whole, cut = trained(recipe, [1, 2], [10]), trained(recipe, [1, 2], [1, 6, 3])
    assert np.isfinite(whole[1]).sum() > 4
    assert_same_bits(whole, cut)


def test_neighbours_change_no_bit(small_recipe: Make) -> None:
    recipe = small_recipe("dqn")
    together, alone = trained(recipe, [5, 1, 2], [10]), trained(recipe, [1], [10])
    assert_same_bits(jax.tree.map(lambda leaf: leaf[1:2], together), alone)


def test_learning_starts_as_late_as_the_librarys(small_recipe: Make) -> None:
    recipe = changed(small_recipe("dqn"), learning_starts=64)
    for cuts, learnt in (([4], False), ([5], True)):  # 64 steps are not more than 64
        state, _ = trained(recipe, [1], cuts)
        first = networks_of(library_model(recipe, 1))["q"][1][0]
        assert np.array_equal(state.learner.parameters["q"][1][0][0], first) != learnt


def test_minus_one_means_as_many_gradient_steps_as_steps(small_recipe: Make) -> None:
    program = learner_of(changed(small_recipe("dqn"), gradient_steps=-1), ()).program
    assert isinstance(program, DQNProgram) and program.settings.gradient_steps == 16


class ScriptedWorld:
    """The compiled CartPole's episodes, played by gymnasium: see `learner.HostedEnvironments`."""

    def __init__(self, keys: jax.Array, steps: int) -> None:
        self.firsts = [np.asarray(stepping.start(CARTPOLE, key, 0)[0].state) for key in keys]
        self.resets = [np.asarray(stepping.draws(CARTPOLE, key, 0, steps).resets) for key in keys]
        self.clock = 0
        self.envs = [Scripted(partial(self.state_of, i)) for i in range(len(keys))]
        self.returns = np.zeros(len(keys), np.float32)

    def state_of(self, agent: int) -> np.ndarray:
        return self.resets[agent][self.clock - 1] if self.clock else self.firsts[agent]

    def start(self) -> np.ndarray:
        return np.stack([env.reset()[0] for env in self.envs])

    def step(self, actions: np.ndarray) -> stepping.StepResult:
        self.clock += 1
        final, rewards, fallen, late, _ = (
            np.array(part) for part in zip(*map(self.step_of, self.envs, actions), strict=True)
        )
        done = fallen | late
        self.returns += rewards
        finished = np.where(done, self.returns, np.nan)
        self.returns[done] = 0
        shown = np.stack(
            [env.reset()[0] if end else seen for env, end, seen in zip(self.envs, done, final, strict=True)]
        )
        parts: tuple[Any, ...] = (shown, rewards.astype(np.float32), done, late & ~fallen, final, finished)
        return stepping.StepResult(*parts)

    @staticmethod
    def step_of(env: Scripted, action: Any) -> Any:
        *numbers, _ = env.step(int(action))
        return (*numbers, 0)


@pytest.mark.parametrize("site", ["healthy", "ILF", "MTS", "MSU"])
def test_hosted_environments_train_the_same_agents(small_recipe: Make, site: str) -> None:
    recipe = changed(small_recipe("dqn"), buffer_size=100).replace(**SITES[site])
    keys = jax.vmap(jax.random.key)(jnp.array([1, 2]))
    parameters = stack([networks_of(library_model(recipe, seed)) for seed in (1, 2)])
    compiled = learner_of(recipe, ())
    hosted = HostedLearner(program_of(recipe, None, 2), data_of(recipe), ScriptedWorld(keys, 1024))
    before = jax.tree.map(np.asarray, parameters)
    expected, returns = compiled.run(compiled.start(keys, parameters), 0, 10)
    state, first = hosted.run(hosted.start(keys, parameters), 0, 7)
    state, second = hosted.run(state, 7, 3)
    assert_close(state.learner.parameters, expected.learner.parameters, 1e-4)
    assert state.buffer is not None and expected.buffer is not None
    np.testing.assert_allclose(state.buffer, expected.buffer, atol=1e-5)
    np.testing.assert_array_equal(np.concatenate([first[:, :112], second[:, :48]], axis=1), returns[:, :160])
    assert np.isfinite(np.asarray(returns)).sum() > 4
    assert_same_bits(before, parameters)


def test_mutants_share_a_compilation(small_recipe: Make) -> None:
    def run(recipe: TrainingRecipe) -> int:
        trained(recipe, [1, 2], [10])
        return int(cast(Any, learners._run)._cache_size())

    healthy = small_recipe("dqn")
    first = run(healthy)
    for changes in (*SITES.values(), {"experience": ExperienceSite(noise_probability=1.0)}):
        assert run(healthy.replace(**changes)) == first
    assert run(changed(healthy, learning_rate="lin_0.5", tau=0.5, gamma=0.9, learning_starts=20)) == first
    remembering = run(healthy.replace(experience=ExperienceSite("repeat", 1.0, memory=50)))
    for replacement in ("random", "mangled"):
        recipe = healthy.replace(experience=ExperienceSite(replacement, 0.5, memory=50))  # type: ignore[arg-type]
        assert run(recipe) == remembering == first + 1


def test_a_fault_draws_from_its_own_stream(small_recipe: Make) -> None:
    healthy, _ = trained(small_recipe("dqn"), [1], [4])
    faulty, _ = trained(small_recipe("dqn").replace(terminal=TerminalSite(missed=0.5)), [1], [4])
    before, after = np.asarray(healthy.buffer)[0], np.asarray(faulty.buffer)[0]
    np.testing.assert_array_equal(before[:64, :10], after[:64, :10])  # learning starts after 50 steps
    assert before[:64, 10].sum() > after[:64, 10].sum()


def test_a_time_out_is_stored_as_not_terminal(small_recipe: Make) -> None:
    recipe = small_recipe("dqn")
    for hidden, expected in ((False, 0.0), (True, 1.0)):
        learner = learner_of(recipe.replace(terminal=TerminalSite(time_limit_is_terminal=hidden)), ())
        state = learner.start(jax.random.key(1)[None], stack([networks_of(library_model(recipe, 1))]))
        assert state.episode is not None
        late = state._replace(episode=state.episode._replace(elapsed=state.episode.elapsed + 497))
        after, returns = learner.run(late, 0, 1)
        np.testing.assert_array_equal(np.asarray(after.buffer)[0, :3, 10], [0.0, 0.0, expected])
        assert np.isfinite(np.asarray(returns)[0, :3]).tolist() == [False, False, True]


@pytest.mark.slow
def test_agents_learn_cartpole() -> None:
    recipe = preset("CartPole-v1", "dqn").recipe(EnvironmentSpec("CartPole-v1"), 20_000, {})
    block = learner_of(recipe, ()).block_iterations
    _, returns = trained(recipe, [1, 2, 3, 4], [block] * 19)
    late = [own[np.isfinite(own)][-20:].mean() for own in returns]
    assert np.mean(late) > 60  # random actions: 22
