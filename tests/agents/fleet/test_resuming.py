"""A training that was interrupted and goes on from a checkpoint gives the agents of one that was not."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from agents.deeprl.engines.base import AgentSelection, TrainedAgent, train_watched
from agents.deeprl.engines.fleet import resuming, training
from agents.deeprl.engines.fleet.engine import FleetEngine
from agents.deeprl.engines.fleet.resuming import CheckpointRefusedError, decode, encode
from agents.deeprl.engines.fleet.training import Training
from agents.deeprl.presets.preset import preset
from agents.deeprl.recipe import TrainingRecipe
from envsearch.definition import initial_spec
from envsearch.registry import environment
from mutations.folding import mutate
from mutations.parsing import parse_mutant

SMALL: dict[str, dict[str, Any]] = {
    "ppo": {"n_steps": 64, "batch_size": 32, "n_epochs": 2, "net_arch": [8, 8]},
    "a2c": {"net_arch": [8, 8]},
    "dqn": {"net_arch": [8, 8], "learning_starts": 32, "train_freq": 16, "gradient_steps": 8, "batch_size": 16},
}
STEPS = {"ppo": 6144, "a2c": 6145, "dqn": 3072}
SEEDS = [5, 6, 7]
BEST = AgentSelection("best", every=1000, episodes=2, seed=9)


class Kept:
    """Checkpoints in memory; the training is interrupted after so many of them."""

    def __init__(self, interrupt_after: int = -1) -> None:
        self.state: bytes | None = None
        self.saved = 0
        self.loaded = 0
        self.refused: list[str] = []
        self.interrupt_after = interrupt_after

    def load(self) -> bytes | None:
        self.loaded += 1
        return self.state

    def refuse(self, reason: str) -> None:
        self.refused.append(reason)

    def due(self) -> bool:
        return True

    def save(self, state: bytes) -> None:
        self.state = state
        self.saved += 1
        if self.saved == self.interrupt_after:
            raise KeyboardInterrupt


def recipe_of(algorithm: str, mutant: str = "", name: str = "CartPole-v1") -> TrainingRecipe:
    healthy = preset("CartPole-v1", algorithm).recipe(
        initial_spec(environment(name)), STEPS[algorithm], SMALL[algorithm]
    )
    return mutate(healthy, parse_mutant(mutant)) if mutant else healthy


def comparable(agents: list[TrainedAgent]) -> list[TrainedAgent]:
    """What must be equal: all but the time, and the zip file, which carries its date."""
    return [dataclasses.replace(agent, checkpoint=b"", train_seconds=0.0, cpu_seconds=0.0) for agent in agents]


def interrupted(recipe: TrainingRecipe, after: int, selection: AgentSelection | None = None) -> Kept:
    kept = Kept(after)
    with pytest.raises(KeyboardInterrupt):
        FleetEngine().train(recipe, SEEDS, selection, checkpoints=kept)
    kept.interrupt_after = -1
    return kept


@pytest.mark.parametrize("selection", [None, BEST], ids=["final", "best"])
@pytest.mark.parametrize(("algorithm", "mutant"), [("ppo", ""), ("ppo", "R_1.0"), ("a2c", ""), ("dqn", "")])
def test_bit_for_bit_the_same_agents(algorithm: str, mutant: str, selection: AgentSelection | None) -> None:
    recipe = recipe_of(algorithm, mutant)
    undisturbed = FleetEngine().train(recipe, SEEDS, selection)
    kept = interrupted(recipe, 2, selection)
    steps: list[int] = []
    resumed = FleetEngine().train(recipe, SEEDS, selection, steps.append, kept)
    assert comparable(resumed) == comparable(undisturbed)
    assert 0 < steps[0] < steps[1] and kept.refused == []
    assert all(len(agent.episode_steps) > 10 for agent in resumed)


def test_how_a_training_is_cut_into_calls_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = recipe_of("a2c", "M_1.0").replace(total_steps=600)
    whole = FleetEngine().train(recipe, SEEDS, BEST)
    counts: list[int] = []
    monkeypatch.setattr(training, "CALL_SECONDS", 0.0)
    monkeypatch.setattr(Training, "advance", counted(Training.advance, counts))
    assert comparable(FleetEngine().train(recipe, SEEDS, BEST)) == comparable(whole)
    assert counts == [1] * 120


def counted(advance: Callable[[Training], None], counts: list[int]) -> Callable[[Training], None]:
    def counting(self: Training) -> None:
        before = self.done
        advance(self)
        counts.append(self.done - before)

    return counting


def test_it_can_be_interrupted_again_and_again() -> None:
    recipe = recipe_of("ppo")
    kept = Kept(1)
    progress: list[int] = []
    for _ in range(3):
        kept.saved = 0
        with pytest.raises(KeyboardInterrupt):
            FleetEngine().train(recipe, SEEDS, None, progress.append, kept)
    kept.interrupt_after = -1
    resumed = FleetEngine().train(recipe, SEEDS, None, progress.append, kept)
    assert progress == sorted(progress)
    assert comparable(resumed) == comparable(FleetEngine().train(recipe, SEEDS))


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda data: b"", "cut short"),
        (lambda data: data[:20], "cut short"),
        (lambda data: data[:-100], "SHA-256"),
        (lambda data: data[:5000] + bytes([data[5000] ^ 1]) + data[5001:], "SHA-256"),
        (lambda data: data.replace(b"training 1", b"training 9"), "another format"),
    ],
)
def test_a_damaged_one_is_refused_and_the_training_begins_anew(damage: Callable[[bytes], bytes], reason: str) -> None:
    recipe = recipe_of("ppo")
    kept = interrupted(recipe, 1)
    assert kept.state is not None
    kept.state = damage(kept.state)
    steps: list[int] = []
    agents = FleetEngine().train(recipe, SEEDS, None, steps.append, kept)
    assert reason in kept.refused[0]
    assert steps[0] == 0
    assert comparable(agents) == comparable(FleetEngine().train(recipe, SEEDS))


def test_one_of_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = interrupted(recipe_of("ppo"), 1)
    monkeypatch.setattr(resuming, "ENGINE_VERSION", "another")
    FleetEngine().train(recipe_of("ppo"), SEEDS, checkpoints=kept)
    assert kept.refused == ["it belongs to another version"]


@pytest.mark.parametrize(
    ("mutant", "seeds", "selection", "what"),
    [
        ("NDF", SEEDS, None, "recipe"),
        ("", [5, 6, 8], None, "seeds"),
        ("", SEEDS, BEST, "selection"),
    ],
)
def test_one_of_another_training_is_refused(
    mutant: str, seeds: list[int], selection: AgentSelection | None, what: str
) -> None:
    kept = interrupted(recipe_of("ppo"), 1)
    FleetEngine().train(recipe_of("ppo", mutant), seeds, selection, checkpoints=kept)
    assert kept.refused == [f"it belongs to another {what}"]


def test_arrays_that_do_not_fit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = recipe_of("ppo")
    kept = interrupted(recipe, 1)
    assert kept.state is not None
    about = resuming.about(Training(recipe, tuple(SEEDS), AgentSelection()))
    arrays = decode(kept.state, about)
    for changed in ({**arrays, "state/0": np.zeros(3, np.float32)}, {"done": arrays["done"]}):
        kept.state = encode(about, changed)
        agents = FleetEngine().train(recipe, SEEDS, checkpoints=kept)
        assert "not this training's" in kept.refused.pop()
        assert comparable(agents) == comparable(FleetEngine().train(recipe, SEEDS))


def test_no_pickle_is_read() -> None:
    data = encode({"seeds": [1]}, {"x": np.array([{"an": "object"}], dtype=object)})
    with pytest.raises(CheckpointRefusedError, match="cannot be read"):
        decode(data, {"seeds": [1]})


def test_environments_on_the_host_make_no_use_of_checkpoints() -> None:
    kept = Kept()
    recipe = recipe_of("ppo", name="LunarLander-v3").replace(total_steps=128)
    FleetEngine().train(recipe, [1], checkpoints=kept)
    assert (kept.loaded, kept.saved) == (0, 0)


def test_an_engine_is_given_what_it_knows() -> None:
    class Plain:
        name = "plain"

        def train(self, recipe: TrainingRecipe, seeds: list[int], selection: AgentSelection) -> list[int]:
            return seeds

    recipe, kept = recipe_of("ppo").replace(total_steps=64), Kept()
    assert train_watched(Plain(), recipe, [3], AgentSelection(), print, kept) == [3]  # type: ignore[arg-type, comparison-overlap]
    assert kept.loaded == 0
    agents = train_watched(FleetEngine(), recipe, [3], AgentSelection(), lambda steps: None, kept)
    assert kept.loaded == 1 and agents[0].seed == 3
