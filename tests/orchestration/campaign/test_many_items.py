"""A driver with a hundred thousand work items: memory does not grow with those done, and little with those to come."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from agents.deeprl.recipe import PolicySite, TrainingRecipe
from envsearch.spec import EnvironmentSpec
from orchestration.campaign.context import RunContext
from orchestration.campaign.steps.evaluation import evaluate
from orchestration.campaign.steps.training import train
from orchestration.execution.block_progress import ProgressCallback
from orchestration.execution.results import ResultStore
from orchestration.execution.work import AgentKey, BlockReport, EvaluationKey, JobOutcome, WorkBlock, item_addresses
from orchestration.runtime.progress import Progress

RECIPE = TrainingRecipe(EnvironmentSpec("CartPole-v1"), "ppo", (), 100_000, PolicySite("Tanh", "Adam"))


class Simulated:
    """Says at once that a block is done, and notes how much memory there is at each twentieth of the items."""

    name = "simulated"
    slots = 64

    def __init__(self, items: int, failing: bool) -> None:
        self._every = items // 20
        self._failing = failing
        self.done = 0
        self.samples: list[int] = []

    def run(
        self, blocks: Iterable[WorkBlock], store_url: str, progress: ProgressCallback | None = None
    ) -> Iterator[BlockReport]:
        for block in blocks:
            addresses = item_addresses(block)
            if self.done // self._every != (self.done + len(addresses)) // self._every:
                self.samples.append(tracemalloc.get_traced_memory()[0])
            self.done += len(addresses)
            traceback = "Traceback\n" + "  a line of a long traceback\n" * 100 + "ValueError: broken"
            failed = tuple((address, traceback) for address in addresses) if self._failing else ()
            yield BlockReport(block, JobOutcome.FAILED if failed else JobOutcome.DONE, 0.1, failed)

    def close(self) -> None:
        """Nothing is held."""


class Simulating(ResultStore):
    """Has every agent, or none, and no evaluation; without asking the disk a hundred thousand times."""

    def __init__(self, url: str, trained: bool = False) -> None:
        super().__init__(url)
        self._trained = trained

    def has_agent(self, key: AgentKey) -> bool:
        return self._trained

    def has_evaluation(self, key: EvaluationKey) -> bool:
        return False


def _trainings(context: RunContext, items: int) -> None:
    train(context, [AgentKey(RECIPE, seed, "sb3") for seed in range(items)], "train")


def _evaluations(context: RunContext, items: int) -> None:
    agents = [AgentKey(RECIPE, seed, "sb3") for seed in range(items // 100)]
    points = [EnvironmentSpec("CartPole-v1", (("cart_mass", 1.0 + point),)) for point in range(100)]
    evaluate(context, [EvaluationKey(agent, point) for agent in agents for point in points], "evaluate")


def _run(folder: Path, work: Callable[[RunContext, int], None], items: int, failing: bool) -> tuple[Simulated, int]:
    """The executor with its samples, and the bytes that the whole run took at most."""
    executor = Simulated(items, failing)
    store = Simulating(str(folder), trained=work is _evaluations)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        with Progress("silent") as progress:
            context = RunContext(executor, store, progress)
            work(context, items)
        assert executor.done == items
        assert context.computed + len(context.failures) == items
        return executor, tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


@pytest.mark.slow
@pytest.mark.parametrize(("work", "items"), [(_trainings, 100_000), (_evaluations, 30_000)])
def test_a_hundred_thousand_items(tmp_path: Path, work: Callable[[RunContext, int], None], items: int) -> None:
    executor, most = _run(tmp_path, work, items, failing=False)
    assert len(executor.samples) >= 19
    assert max(executor.samples) - executor.samples[0] < 500_000, "memory grows with the items that are done"
    assert most < items * 2500, "an item to come takes too much"  # kept addresses are most of it


def test_what_an_item_leaves_does_not_depend_on_their_number(tmp_path: Path) -> None:
    executor, _ = _run(tmp_path, _trainings, 5_000, failing=False)
    assert max(executor.samples) - executor.samples[0] < 100_000


def test_a_failed_item_leaves_a_line_and_not_its_traceback(tmp_path: Path) -> None:
    executor, _ = _run(tmp_path, _trainings, 2_000, failing=True)
    grown = max(executor.samples) - executor.samples[0]
    assert 0 < grown < 2_000 * 600
