"""The contract of every executor in the table: same blocks, same store."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agents.deeprl.recipe import PolicySite, TrainingRecipe
from envsearch.errors import CorruptArtifactError, StoreUnavailableError
from envsearch.spec import EnvironmentSpec
from orchestration.execution.executors.base import Executor
from orchestration.execution.executors.inline import InlineExecutor
from orchestration.execution.executors.ray_tasks import QUEUED, RayExecutor
from orchestration.execution.executors.registry import EXECUTORS
from orchestration.execution.results import ResultStore
from orchestration.execution.tasks import TaskFunctions
from orchestration.execution.work import AgentKey, EvaluateBlock, EvaluationKey, JobOutcome, TrainBlock, WorkBlock

FAKES = Path(__file__).parents[1] / "fakes"
FUNCTIONS = TaskFunctions("fake_training:engine", "fake_training:evaluate")
KINDS: dict[str, Callable[[], Executor]] = {
    "inline": lambda: InlineExecutor(FUNCTIONS),
    "ray": lambda: RayExecutor(cpus=2, functions=FUNCTIONS),
}


def test_every_executor_of_the_table_is_held_to_the_contract() -> None:
    assert set(EXECUTORS) == {*KINDS, "auto"}


@pytest.fixture(scope="module", params=sorted(KINDS))
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    made = KINDS[request.param]()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def _fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FAKES))


@pytest.fixture
def store(tmp_path: Path) -> ResultStore:
    return ResultStore(str(tmp_path / "store"))


def agents(count: int, **settings: Any) -> tuple[AgentKey, ...]:
    environment = EnvironmentSpec("CartPole-v1")
    recipe = TrainingRecipe(environment, "ppo", tuple(settings.items()), 100, PolicySite("Tanh", "Adam"))
    return tuple(AgentKey(recipe, seed, "fake") for seed in range(count))


def blocks_of(items: tuple[Any, ...], size: int, kind: type[Any]) -> Iterator[WorkBlock]:
    return (kind(items[start : start + size]) for start in range(0, len(items), size))


def evaluations(keys: tuple[AgentKey, ...], *names: str) -> tuple[EvaluationKey, ...]:
    return tuple(EvaluationKey(key, EnvironmentSpec(name), 3) for key in keys for name in names)


def test_it_says_who_it_is(executor: Executor) -> None:
    assert executor.name in EXECUTORS
    assert executor.slots >= 1


def test_no_block_no_report(executor: Executor, store: ResultStore) -> None:
    assert list(executor.run([], store.url)) == []


def test_every_block_is_run_once_and_reported(executor: Executor, store: ResultStore) -> None:
    keys = agents(7)
    blocks = list(blocks_of(keys, 2, TrainBlock))
    reports = list(executor.run(blocks, store.url))
    assert sorted(report.block.agents[0].seed for report in reports) == [0, 2, 4, 6]  # type: ignore[union-attr]
    assert {report.outcome for report in reports} == {JobOutcome.DONE}
    assert all(store.has_agent(key) for key in keys)


def test_the_store_holds_the_same_as_after_an_inline_run(
    executor: Executor, store: ResultStore, tmp_path: Path
) -> None:
    keys = agents(5, fail_seed=3)
    items = evaluations(keys[:3], "CartPole-v1", "Broken")
    reference = ResultStore(str(tmp_path / "reference"))
    for runner, place in ((executor, store), (InlineExecutor(FUNCTIONS), reference)):
        for block in (blocks_of(keys, 2, TrainBlock), blocks_of(items, 2, EvaluateBlock)):
            list(runner.run(block, place.url))
    assert [store.has_agent(key) for key in keys] == [True, True, True, False, True]
    for key in (*keys[:3], keys[4]):
        assert store.load_agent(key) == reference.load_agent(key)
    for item in evaluations(keys[:3], "CartPole-v1"):
        assert store.load_evaluation(item) == reference.load_evaluation(item)
    for address in (keys[3].address(), *(item.address() for item in evaluations(keys[:3], "Broken"))):
        assert "on purpose" in (store.failure(address) or "")
        assert "on purpose" in (reference.failure(address) or "")


def test_blocks_are_drawn_lazily(executor: Executor, store: ResultStore) -> None:
    drawn: list[int] = []

    def endless() -> Iterator[WorkBlock]:
        for seed in itertools.count():
            drawn.append(seed)
            yield TrainBlock((agents(seed + 1)[-1],))

    reports = executor.run(endless(), store.url)
    for _ in range(10):
        next(reports)
    reports.close()  # type: ignore[attr-defined]
    assert len(drawn) <= 10 + max(4 * executor.slots, QUEUED)


def test_a_damaged_file_ends_the_run_after_everything_else_is_done(executor: Executor, store: ResultStore) -> None:
    keys = agents(3)
    list(executor.run(blocks_of(keys, 1, TrainBlock), store.url))
    (checkpoint,) = Path(store.location(keys[0])).glob("*.zip")
    checkpoint.write_bytes(b"")
    items = evaluations(keys, "CartPole-v1")
    reports = []
    with pytest.raises(CorruptArtifactError) as caught:
        for report in executor.run(blocks_of(items, 1, EvaluateBlock), store.url):
            reports.append(report)  # noqa: PERF402 - what came before the error is looked at
    assert str(checkpoint) in str(caught.value)
    assert len(reports) == 3
    assert [store.has_evaluation(item) for item in items] == [False, True, True]


def test_a_store_that_fails_ends_the_run_with_one_line(executor: Executor, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailableError, match="cannot write") as caught:
        list(executor.run(blocks_of(agents(3), 1, TrainBlock), str(tmp_path / "file")))
    assert "\n" not in str(caught.value)


def test_a_relative_store_and_parts_of_the_working_directory(
    executor: Executor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_engine.py").write_text("import fake_training\nENGINE = fake_training.FakeEngine()\n")
    monkeypatch.chdir(tmp_path)
    keys = tuple(AgentKey(key.recipe, key.seed, "my_engine:ENGINE") for key in agents(2))
    reports = list(executor.run(blocks_of(keys, 1, TrainBlock), "results"))
    assert [report.traceback for report in reports] == ["", ""]
    assert all(ResultStore(str(tmp_path / "results")).has_agent(key) for key in keys)
