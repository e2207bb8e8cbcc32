"""A block of work: each item saved at once, a failing one recorded, finished ones left alone."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any, Literal

import pytest

from agents.deeprl.recipe import PolicySite, TrainingRecipe
from envsearch.errors import StoreUnavailableError
from envsearch.spec import EnvironmentSpec
from orchestration.execution.results import ResultStore
from orchestration.execution.tasks import TaskFunctions, run_block
from orchestration.execution.work import AgentKey, EvaluateBlock, EvaluationKey, JobOutcome, TrainBlock

CARTPOLE = EnvironmentSpec("CartPole-v1")
FUNCTIONS = TaskFunctions("fake_training:engine", "fake_training:evaluate")


@pytest.fixture(autouse=True)
def _fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "fakes"))


@pytest.fixture
def store(tmp_path: Path) -> ResultStore:
    return ResultStore(str(tmp_path / "store"))


def agents(*seeds: int, **settings: Any) -> tuple[AgentKey, ...]:
    recipe = TrainingRecipe(CARTPOLE, "ppo", tuple(settings.items()), 100, PolicySite("Tanh", "Adam"))
    return tuple(AgentKey(recipe, seed, "fake") for seed in seeds)


def evaluations(keys: tuple[AgentKey, ...], *names: str) -> tuple[EvaluationKey, ...]:
    return tuple(EvaluationKey(key, EnvironmentSpec(name), 3) for key in keys for name in names)


def test_train_and_evaluate(store: ResultStore) -> None:
    keys = agents(0, 1)
    trained = run_block(TrainBlock(keys), store.url, FUNCTIONS)
    assert (trained.outcome, trained.failed, trained.traceback) == (JobOutcome.DONE, (), "")
    items = evaluations(keys, "CartPole-v1")
    evaluated = run_block(EvaluateBlock(items), store.url, FUNCTIONS)
    assert evaluated.outcome is JobOutcome.DONE
    assert evaluated.block == EvaluateBlock(items)
    first, second = (store.load_evaluation(item) for item in items)
    assert len(first) == 3
    assert first != second, "different weights, different returns"


def test_what_is_in_the_store_is_not_done_again(store: ResultStore, tmp_path: Path) -> None:
    keys = agents(0, 1, folder=str(tmp_path))
    run_block(TrainBlock(keys[:1]), store.url, FUNCTIONS)
    store.save_evaluation(evaluations(keys, "CartPole-v1")[0], (1.0, 2.0, 3.0), 0.1)
    for path in tmp_path.glob("0.*"):
        path.unlink()
    run_block(TrainBlock(keys), store.url, FUNCTIONS)
    run_block(EvaluateBlock(evaluations(keys, "CartPole-v1")), store.url, FUNCTIONS)
    assert not list(tmp_path.glob("0.*"))
    assert len(list(tmp_path.glob("1.*"))) == 1
    assert store.load_evaluation(evaluations(keys, "CartPole-v1")[0]) == (1.0, 2.0, 3.0)


def test_a_failing_item_is_recorded_and_the_others_go_on(store: ResultStore) -> None:
    keys = agents(0, 1, 2, fail_seed=1)
    report = run_block(TrainBlock(keys), store.url, FUNCTIONS)
    assert report.outcome is JobOutcome.FAILED
    ((address, trace),) = report.failed
    assert address == keys[1].address()
    assert trace.endswith("ZeroDivisionError: seed 1 fails on purpose\n")
    assert report.traceback == trace == store.failure(address)
    assert [store.has_agent(key) for key in keys] == [True, False, True]


def test_a_result_that_is_no_number_is_a_failure_of_its_item(store: ResultStore) -> None:
    keys = agents(0, 1, nan_seed=0)
    report = run_block(TrainBlock(keys), store.url, FUNCTIONS)
    assert [address for address, _ in report.failed] == [keys[0].address()]
    assert "not finite" in report.traceback


@pytest.mark.parametrize("method", ["sb3", "fleet"])
def test_a_dead_agent_is_a_result_and_its_episodes_are_not_run(
    store: ResultStore, method: Literal["sb3", "fleet"]
) -> None:
    """The environment would fail."""
    (key,) = agents(0, dead_seed=0)
    report = run_block(TrainBlock((key,)), store.url, FUNCTIONS)
    assert (report.outcome, store.agent_record(key).dead) == (JobOutcome.DONE, True)
    assert store.agent_record(key).episode_returns == (10.0,), "until the first return that is not finite"
    item = EvaluationKey(key, EnvironmentSpec("Broken"), 3, method=method)
    assert run_block(EvaluateBlock((item,)), store.url, FUNCTIONS).failed == ()
    assert store.load_evaluation(item) == (-math.inf,) * 3


def test_a_failed_evaluation_is_tried_again_and_its_record_goes(store: ResultStore) -> None:
    keys = agents(0)
    run_block(TrainBlock(keys), store.url, FUNCTIONS)
    (broken,) = evaluations(keys, "Broken")
    assert run_block(EvaluateBlock((broken,)), store.url, FUNCTIONS).outcome is JobOutcome.FAILED
    assert "on purpose" in (store.failure(broken.address()) or "")
    store.save_evaluation(broken, (1.0, 1.0, 1.0), 0.1)
    assert run_block(EvaluateBlock((broken,)), store.url, FUNCTIONS).outcome is JobOutcome.DONE
    assert store.failure(broken.address()) is None


def test_an_evaluation_of_an_agent_that_is_not_there(store: ResultStore) -> None:
    report = run_block(EvaluateBlock(evaluations(agents(5), "CartPole-v1")), store.url, FUNCTIONS)
    assert "not in the store: agent with seed 5" in report.traceback
    assert report.corrupt == ()


def test_a_damaged_checkpoint_is_reported_once_and_blamed_on_no_item(store: ResultStore) -> None:
    keys = agents(0, 1)
    run_block(TrainBlock(keys), store.url, FUNCTIONS)
    address = keys[0].address()
    (checkpoint,) = (Path(store.url) / "objects" / address[:2] / address).glob("*.zip")
    checkpoint.write_bytes(b"cut")
    items = evaluations(keys, "CartPole-v1", "Other")
    report = run_block(EvaluateBlock(items), store.url, FUNCTIONS)
    assert [failed for failed, _ in report.failed] == [item.address() for item in items[:2]]
    (line,) = report.corrupt
    assert str(checkpoint) in line
    assert store.failure(items[0].address()) is None
    assert [store.has_evaluation(item) for item in items] == [False, False, True, True]


def test_a_checkpoint_that_its_library_cannot_open_is_named_by_its_folder(store: ResultStore) -> None:
    keys = agents(0)
    run_block(TrainBlock(keys), store.url, FUNCTIONS)
    report = run_block(EvaluateBlock(evaluations(keys, "Unreadable")), store.url, FUNCTIONS)
    assert report.corrupt[0].startswith(store.location(keys[0]))


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit])
def test_an_interruption_passes_and_keeps_what_was_done(
    store: ResultStore, monkeypatch: pytest.MonkeyPatch, interruption: type[BaseException]
) -> None:
    import fake_training

    keys = agents(0, 1, 2)
    honest = fake_training.FakeEngine._train

    def train(self: Any, recipe: TrainingRecipe, seed: int) -> Any:
        if seed == 1:
            raise interruption
        return honest(self, recipe, seed)

    monkeypatch.setattr(fake_training.FakeEngine, "_train", train)
    with pytest.raises(interruption):
        run_block(TrainBlock(keys), store.url, FUNCTIONS)
    assert [store.has_agent(key) for key in keys] == [True, False, False]
    assert store.failure(keys[1].address()) is None


def test_a_store_that_fails_ends_the_block(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailableError, match="cannot write"):
        run_block(TrainBlock(agents(0, 1)), str(tmp_path / "file"), FUNCTIONS)


def test_an_engine_by_import_path(store: ResultStore, monkeypatch: pytest.MonkeyPatch) -> None:
    import fake_training

    monkeypatch.setattr(fake_training, "ENGINE", fake_training.FakeEngine(), raising=False)
    keys = tuple(dataclasses.replace(key, engine="fake_training:ENGINE") for key in agents(0))
    assert run_block(TrainBlock(keys), store.url).outcome is JobOutcome.DONE
    assert store.has_agent(keys[0])
    assert store.agent_record(keys[0]).engine == "fake_training:ENGINE"


def test_the_default_parts_are_the_real_ones(store: ResultStore) -> None:
    """One real training of a few steps, and one real evaluation."""
    settings = {"n_steps": 32, "batch_size": 32, "n_epochs": 1}
    (key,) = (dataclasses.replace(key, engine="sb3") for key in agents(3, **settings))
    assert run_block(TrainBlock((key,)), store.url).traceback == ""
    (item,) = evaluations((key,), "CartPole-v1")
    assert run_block(EvaluateBlock((item,)), store.url).traceback == ""
    assert all(value > 0 for value in store.load_evaluation(item))


class Together:
    """An engine that trains all seeds in one call, fails as a whole if one fails, and reports its arguments."""

    name = "together"

    def __init__(self) -> None:
        self.calls: list[list[int]] = []

    def block_size(self, recipe: TrainingRecipe) -> int:
        return 3

    def train(self, recipe: TrainingRecipe, seeds: Any, selection: Any, progress: Any = None) -> Any:
        from fake_training import FakeEngine

        self.calls.append(list(seeds))
        return FakeEngine().train(recipe, seeds, selection)


@pytest.fixture
def together(monkeypatch: pytest.MonkeyPatch) -> Together:
    import fake_training

    engine = Together()
    monkeypatch.setattr(fake_training, "engine", lambda name: engine)
    return engine


def test_an_engine_gets_the_missing_seeds_of_a_recipe_together(store: ResultStore, together: Together) -> None:
    keys = agents(0, 1, 2, 3, 4)
    other = agents(0, 1, gamma=0.5)
    run_block(TrainBlock(keys[1:2]), store.url, FUNCTIONS)
    report = run_block(TrainBlock((*keys, *other)), store.url, FUNCTIONS)
    assert report.outcome is JobOutcome.DONE
    assert together.calls == [[1], [0, 2, 3], [4], [0, 1]]
    assert all(store.load_agent(key).seed == key.seed for key in (*keys, *other))


def test_one_seed_that_fails_costs_no_other_its_agent(store: ResultStore, together: Together) -> None:
    keys = agents(0, 1, 2, fail_seed=1)
    report = run_block(TrainBlock(keys), store.url, FUNCTIONS)
    assert together.calls == [[0, 1, 2], [0], [1], [2]]
    assert [address for address, _ in report.failed] == [keys[1].address()]
    assert "ZeroDivisionError: seed 1 fails on purpose" in report.traceback
    assert [store.has_agent(key) for key in keys] == [True, False, True]


def test_a_result_of_a_block_that_is_no_number_is_a_failure_of_its_item(store: ResultStore, together: Together) -> None:
    keys = agents(0, 1, nan_seed=0)
    report = run_block(TrainBlock(keys), store.url, FUNCTIONS)
    assert together.calls == [[0, 1]]
    assert [address for address, _ in report.failed] == [keys[0].address()]
    assert store.has_agent(keys[1])


def by_the_fleet(items: tuple[EvaluationKey, ...]) -> tuple[EvaluationKey, ...]:
    return tuple(dataclasses.replace(item, method="fleet") for item in items)


def test_evaluations_by_the_fleet_are_one_call_for_all_missing(
    store: ResultStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fake_training

    calls: list[int] = []

    def evaluate_together(pairs: Any, episodes: int, seed: int) -> list[Any]:
        calls.append(len(pairs))
        return [
            ZeroDivisionError("on purpose")
            if place.name == "Broken"
            else fake_training.evaluate(agent.checkpoint, "", place, episodes, seed)
            for agent, place in pairs
        ]

    monkeypatch.setattr(fake_training, "evaluate_together", evaluate_together, raising=False)
    functions = dataclasses.replace(FUNCTIONS, evaluate_together="fake_training:evaluate_together")
    keys = agents(0, 1)
    run_block(TrainBlock(keys), store.url, FUNCTIONS)
    items = by_the_fleet((*evaluations(keys, "CartPole-v1", "Broken"), *evaluations(agents(7), "CartPole-v1")))
    store.save_evaluation(items[0], (1.0, 2.0, 3.0), 0.1)
    report = run_block(EvaluateBlock(items), store.url, functions)
    assert calls == [3]
    assert {address for address, _ in report.failed} == {items[1].address(), items[3].address(), items[4].address()}
    assert "on purpose" in (store.failure(items[1].address()) or "")
    assert store.load_evaluation(items[0]) == (1.0, 2.0, 3.0)
    reference = evaluations(keys, "CartPole-v1")[1]
    assert run_block(EvaluateBlock((reference,)), store.url, FUNCTIONS).outcome is JobOutcome.DONE
    assert store.load_evaluation(items[2]) == store.load_evaluation(reference)
    assert items[2].address() != reference.address(), "the method is part of what a result is"


def test_a_checkpoint_that_the_fleet_cannot_open_is_named_by_its_folder(store: ResultStore) -> None:
    keys = agents(0)
    run_block(TrainBlock(keys), store.url, FUNCTIONS)
    report = run_block(EvaluateBlock(by_the_fleet(evaluations(keys, "CartPole-v1"))), store.url, FUNCTIONS)
    assert report.corrupt[0].startswith(store.location(keys[0]))
    assert store.failure(report.failed[0][0]) is None
