"""DQN of the fleet engine against Stable-Baselines3's: the same batches, the same random numbers, the same agent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import stable_baselines3
import torch

from agents.deeprl.engines.fleet import replay_buffer
from agents.deeprl.engines.fleet.capability import learner_of
from agents.deeprl.engines.fleet.dqn import DQNProgram
from agents.deeprl.engines.fleet.dqn_recipe import DQNSettings, objection
from agents.deeprl.engines.fleet.dqn_update import (
    DQNLearner,
    exploration_rate,
    first_learner,
    follow_target,
    learning_rate,
    loss_of,
    targets,
    update,
)
from agents.deeprl.engines.fleet.learner import Learner
from agents.deeprl.engines.fleet.networks import ACTIVATIONS, from_state_dict
from agents.deeprl.engines.sb3.build import build
from agents.deeprl.recipe import LossSite, ReturnsSite, StateSite, TerminalSite, TrainingRecipe

Library = stable_baselines3.DQN
RNG = np.random.default_rng
UPDATE = jax.jit(update, static_argnames=("settings",))
Make = Callable[[str], TrainingRecipe]

SITES: dict[str, dict[str, Any]] = {
    "healthy": {},
    "NDF": {"returns": ReturnsSite(undiscounted=1.0)},
    "ILF": {"loss": LossSite(inverted=1.0)},
    "NDF+ILF": {"returns": ReturnsSite(undiscounted=1.0), "loss": LossSite(inverted=1.0)},
    "gamma": {"returns": ReturnsSite(gamma=0.5)},
    "MTS": {"terminal": TerminalSite(missed=1.0)},
    "hidden time limit": {"terminal": TerminalSite(time_limit_is_terminal=True)},
    "MSU": {"state": StateSite(missed_update=1.0)},
}


def changed(recipe: TrainingRecipe, **hyperparameters: Any) -> TrainingRecipe:
    return recipe.replace(hyperparameters=tuple((dict(recipe.hyperparameters) | hyperparameters).items()))


def dqn_settings(learner: Learner) -> DQNSettings:
    assert isinstance(learner.program, DQNProgram)
    return learner.program.settings


row: Any = replay_buffer.row  # called with plain values too


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


def recorded(recipe: TrainingRecipe, model: Library, learner: Learner, count: int) -> jax.Array:
    """The same random transitions, as the library's buffer and as ours hold them."""
    rng = RNG(3)
    rows = replay_buffer.empty(dqn_settings(learner).capacity, 4)
    add = jax.jit(lambda rows, stored, *step: replay_buffer.store(rows, row(*step, learner.data.sites), stored))
    assert model.replay_buffer is not None
    for stored in range(count):
        observation, following = rng.normal(size=(2, 4)).astype(np.float32)
        action, reward = int(rng.integers(2)), np.float32(rng.normal())
        done = bool(rng.random() < 0.4)
        timed_out = done and bool(rng.random() < 0.5) and not recipe.terminal.time_limit_is_terminal
        info = {"TimeLimit.truncated": timed_out}
        model.replay_buffer.add(
            observation[None], following[None], np.array([action]), np.array([reward]), np.array([done]), [info]
        )
        rows = add(rows, stored, observation, following, jnp.int32(action), reward, done, timed_out, 0.5, 0.5)
    return rows


def remembered_indices(model: Library) -> list[np.ndarray]:
    """A list to which each batch that the library draws adds its places in the buffer."""
    drawn: list[np.ndarray] = []
    buffer: Any = model.replay_buffer
    get = buffer._get_samples

    def remember(indices: np.ndarray, env: Any = None) -> Any:
        drawn.append(indices)
        return get(indices, env)

    buffer._get_samples = remember
    return drawn


def ours_after(
    learner: Learner, before: DQNLearner, rows: jax.Array, drawn: list[np.ndarray]
) -> tuple[DQNLearner, list[float]]:
    """The learner after one call of the update on these batches, and the loss of each."""
    batches = replay_buffer.gather(rows, jnp.asarray(np.stack(drawn)))
    half = jnp.full(len(drawn), 0.5)
    discounts = replay_buffer.discounts(half, half, learner.data.sites)
    numbers, settings = learner.data.numbers, dqn_settings(learner)
    rate, activation = learning_rate(jnp.int64(settings.train_freq), numbers), settings.policy.activation
    losses = []
    after = before
    for step in range(len(drawn)):
        single = jax.tree.map(lambda leaf, step=step: leaf[step : step + 1], batches)
        flat = jax.tree.map(lambda leaf: leaf[0], single)
        goals = targets(after.parameters["q_target"], flat, discounts[step], activation)
        losses.append(float(loss_of(after.parameters["q"], flat.observations, flat.actions, goals, activation)))
        after = UPDATE(after, single, discounts[step : step + 1], jnp.int32(1), rate, numbers, settings)
    together = UPDATE(before, batches, discounts, jnp.int32(len(drawn)), rate, numbers, settings)
    assert_close(together, after, 1e-6)
    return together, losses


@pytest.mark.parametrize(
    ("site", "optimizer"), [*((site, "Adam") for site in SITES), ("healthy", "RMSprop"), ("healthy", "SGD")]
)
def test_updates_are_the_librarys(small_recipe: Make, site: str, optimizer: str) -> None:
    recipe = changed(small_recipe("dqn"), learning_rate="lin_0.003").replace(**SITES[site])
    recipe = recipe.replace(policy=replace(recipe.policy, optimizer=optimizer))
    model, learner = library_model(recipe), learner_of(recipe, ())
    torch.manual_seed(5)
    for parameter in model.q_net_target.parameters():  # otherwise both networks are the same
        parameter.data += 0.3 * torch.randn_like(parameter)
    before = first_learner(networks_of(model), dqn_settings(learner))
    rows, drawn = recorded(recipe, model, learner, 100), remembered_indices(model)
    model._update_current_progress_remaining(dqn_settings(learner).train_freq, recipe.total_steps)
    model.train(8, batch_size=dqn_settings(learner).batch_size)
    after, losses = ours_after(learner, before, rows, drawn)
    theirs = networks_of(model)
    assert not np.allclose(theirs["q"][1][0], before.parameters["q"][1][0], rtol=1e-5)
    assert_close(after.parameters, theirs)
    np.testing.assert_allclose(np.mean(losses), model.logger.name_to_value["train/loss"], rtol=1e-5)


@pytest.mark.parametrize("site", SITES)
def test_gradients_are_the_librarys(small_recipe: Make, site: str) -> None:
    recipe = changed(small_recipe("dqn"), max_grad_norm=1e9).replace(**SITES[site])
    model, learner = library_model(recipe), learner_of(recipe, ())
    before = networks_of(model)
    rows, drawn = recorded(recipe, model, learner, 100), remembered_indices(model)
    model.train(1, batch_size=dqn_settings(learner).batch_size)
    batch, half = replay_buffer.gather(rows, jnp.asarray(drawn[0])), jnp.float32(0.5)
    goals = targets(before["q_target"], batch, replay_buffer.discounts(half, half, learner.data.sites), "ReLU")
    ours = jax.grad(loss_of)(before["q"], batch.observations, batch.actions, goals, "ReLU")
    theirs = [np.asarray(parameter.grad).T for parameter in model.q_net.parameters()]
    assert_close(ours, theirs)


def test_clipped_updates_are_the_librarys(small_recipe: Make) -> None:
    recipe = changed(small_recipe("dqn"), max_grad_norm=0.01)
    recipe = recipe.replace(policy=replace(recipe.policy, optimizer="SGD", activation="Tanh"))
    model, learner = library_model(recipe), learner_of(recipe, ())
    before = first_learner(networks_of(model), dqn_settings(learner))
    rows, drawn = recorded(recipe, model, learner, 100), remembered_indices(model)
    model.train(8, batch_size=dqn_settings(learner).batch_size)
    after, _ = ours_after(learner, before, rows, drawn)
    unclipped, _ = ours_after(learner_of(changed(recipe, max_grad_norm=1e9), ()), before, rows, drawn)
    theirs = networks_of(model)
    assert not np.allclose(unclipped.parameters["q"][1][0], theirs["q"][1][0], rtol=1e-4, atol=1e-5)
    assert_close(after.parameters, theirs)


def test_every_site_changes_the_targets(small_recipe: Make) -> None:
    goals = []
    for changes in SITES.values():
        recipe = small_recipe("dqn").replace(**changes)
        model, learner = library_model(recipe), learner_of(recipe, ())
        rows = recorded(recipe, model, learner, 100)
        half = jnp.float32(0.5)
        batch = replay_buffer.gather(rows, jnp.arange(100))
        discount = replay_buffer.discounts(half, half, learner.data.sites)
        goals.append(np.asarray(targets(networks_of(model)["q_target"], batch, discount, "ReLU")))
    for first in range(len(goals)):
        for second in range(first):
            assert not np.allclose(goals[first], goals[second], rtol=1e-3)


@pytest.mark.parametrize(("tau", "interval"), [(1.0, 10), (0.3, 10), (0.01, 1), (1.0, 100), (0.5, 7)])
def test_target_network_follows_as_the_librarys(small_recipe: Make, tau: float, interval: int) -> None:
    recipe = changed(small_recipe("dqn"), tau=tau, target_update_interval=interval)
    model, learner = library_model(recipe), learner_of(recipe, ())
    torch.manual_seed(5)
    for parameter in model.q_net.parameters():
        parameter.data += torch.randn_like(parameter)
    for steps in (16, 32, 48, 112):
        before = networks_of(model)
        start = model._n_calls
        for _ in range(steps - start):
            model._on_step()
        assert_close(
            follow_target(before, jnp.int64(start), jnp.int64(steps), learner.data.numbers), networks_of(model)
        )


def test_exploration_rate_is_the_librarys(small_recipe: Make) -> None:
    for changes in ({}, {"exploration_fraction": 1.0}, {"exploration_fraction": 0.0}, {"exploration_final_eps": 0.5}):
        recipe = changed(small_recipe("dqn"), learning_starts=0, **changes).replace(total_steps=150)
        model, rates = build(recipe, 0), []
        assert isinstance(model, Library)
        act = model.predict

        def remember(*args: Any, model: Library = model, rates: list[float] = rates, act: Any = act, **kw: Any) -> Any:
            rates.append(model.exploration_rate)
            return act(*args, **kw)

        model.predict = remember  # type: ignore[method-assign]
        model.learn(150)
        ours = exploration_rate(jnp.arange(len(rates)), learner_of(recipe, ()).data.numbers)
        assert len(rates) == 160
        np.testing.assert_allclose(ours, rates, rtol=1e-12)


def test_learning_rate_is_the_librarys(small_recipe: Make) -> None:
    for value in (0.01, "lin_0.01"):
        recipe = changed(small_recipe("dqn"), learning_rate=value).replace(total_steps=150)
        model, numbers = library_model(recipe), learner_of(recipe, ()).data.numbers
        for steps in (16, 96, 144, 160):
            model._update_current_progress_remaining(steps, 150)
            theirs = model.lr_schedule(model._current_progress_remaining)
            np.testing.assert_allclose(learning_rate(jnp.int64(steps), numbers), theirs, rtol=1e-12)


def test_a_full_buffer_overwrites_its_oldest_rows(small_recipe: Make) -> None:
    recipe = changed(small_recipe("dqn"), buffer_size=32)
    model, learner = library_model(recipe), learner_of(recipe, ())
    rows = recorded(recipe, model, learner, 75)
    buffer: Any = model.replay_buffer
    batch = replay_buffer.gather(rows, jnp.arange(32))
    assert rows.shape == (32, 11)
    np.testing.assert_array_equal(batch.observations, buffer.observations[:, 0])
    np.testing.assert_array_equal(batch.next_observations, buffer.next_observations[:, 0])
    np.testing.assert_array_equal(batch.actions, buffer.actions[:, 0, 0])
    np.testing.assert_array_equal(batch.rewards, buffer.rewards[:, 0])
    np.testing.assert_array_equal(batch.dones, (buffer.dones * (1 - buffer.timeouts))[:, 0])


def test_sampling_covers_what_is_stored_evenly() -> None:
    bits = jax.random.bits(jax.random.key(1), (200_000,), jnp.uint32)
    for stored, capacity, reachable in ((50, 1000, 50), (1000, 1000, 1000), (5000, 1000, 1000), (1, 1000, 1)):
        counts = np.bincount(np.asarray(replay_buffer.places(bits, jnp.int64(stored), capacity)))
        assert len(counts) == reachable
        expected = len(bits) / reachable
        assert np.abs(counts - expected).max() < 5 * np.sqrt(expected) + (reachable == 1)


def test_faults_strike_with_their_probability(small_recipe: Make) -> None:
    recipe = small_recipe("dqn").replace(
        terminal=TerminalSite(missed=0.25), state=StateSite(missed_update=0.5), returns=ReturnsSite(undiscounted=0.75)
    )
    sites = learner_of(recipe, ()).data.sites
    draws = jnp.linspace(0, 1, 1000, endpoint=False)
    zeros, ones = jnp.zeros(4), jnp.ones(4)
    make = jax.vmap(lambda u: row(zeros, ones, jnp.int32(1), jnp.float32(2), True, False, u, u, sites))
    rows = np.asarray(make(draws))
    assert (rows[:, -1] == 0).mean() == 0.25
    assert (rows[:, 4] == 0).mean() == 0.5
    discounts = np.asarray(replay_buffer.discounts(draws, draws, sites))
    assert (discounts == 1).mean() == 0.75
    np.testing.assert_array_equal(np.unique(discounts), np.array([0.99, 1], np.float32))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_steps", 3),
        ("train_freq", "4"),
        ("train_freq", 0),
        ("batch_size", 2.5),
        ("batch_size", True),
        ("tau", "lin_1.0"),
        ("max_grad_norm", None),
        ("learning_rate", "log_3"),
        ("learning_rate", -1.0),
        ("replay_buffer_class", "some"),
        ("optimize_memory_usage", True),
    ],
)
def test_declines_what_it_does_not_do(small_recipe: Make, name: str, value: Any) -> None:
    assert name in str(objection(changed(small_recipe("dqn"), **{name: value})))


def test_declines_no_published_recipe(small_recipe: Make) -> None:
    for changes in ({}, {"n_steps": 1}, {"gradient_steps": -1}, {"learning_rate": "lin_0.01"}, {"tau": 1}):
        assert objection(changed(small_recipe("dqn"), **changes)) is None
    for site in SITES.values():
        assert objection(small_recipe("dqn").replace(**site)) is None


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_and_their_derivatives_are_torchs(name: str) -> None:
    points = np.array([-3.0, -0.5, -0.0, 0.0, 0.25, 4.0], np.float32)
    theirs = torch.from_numpy(points.copy()).requires_grad_()
    values = getattr(torch.nn, name)()(theirs)
    values.sum().backward()
    ours, slopes = jax.vmap(jax.value_and_grad(ACTIVATIONS[name]))(points)
    np.testing.assert_allclose(ours, values.detach(), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(slopes, theirs.grad.numpy(), rtol=1e-6, atol=1e-6)
