"""What a worker does with a block of work: the same function in this process and in a Ray task."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from agents.deeprl.engines.base import Engine, TrainedAgent, agents_together, train_watched
from agents.deeprl.stopwatch import Stopwatch
from envsearch.errors import CorruptArtifactError, StoreUnavailableError
from envsearch.import_path import is_import_path, load_object
from orchestration.execution.block_progress import BlockCallback, BlockProgress
from orchestration.execution.checkpoints import TrainingCheckpoints
from orchestration.execution.results import ResultStore
from orchestration.execution.work import (
    DEAD,
    AgentKey,
    BlockReport,
    EvaluationKey,
    JobOutcome,
    TrainBlock,
    WorkBlock,
    grouped,
)

if TYPE_CHECKING:
    from agents.deeprl.engines.fleet.evaluation import SavedAgent


@dataclass(frozen=True, slots=True)
class TaskFunctions:
    """The functions that do the real work, by import path, so that a worker finds them on its own.

    Attributes:
        engine: name -> `Engine`. A key whose engine is an import path itself does without it.
        evaluate: (checkpoint, algorithm, environment, episodes, seed) -> returns, shape (episodes,).
        evaluate_together: (pairs of saved agent and environment, episodes, seed) -> for each pair the returns or the
            exception that this pair met.
    """

    engine: str = "agents.deeprl.engines.registry:engine"
    evaluate: str = "agents.deeprl.evaluation:evaluate"
    evaluate_together: str = "agents.deeprl.engines.fleet.evaluation:evaluate_together"


DEFAULT_FUNCTIONS = TaskFunctions()
WRITERS = 16
"""Files that are written at a time."""


def run_block(
    block: WorkBlock,
    store_url: str,
    functions: TaskFunctions = DEFAULT_FUNCTIONS,
    report: BlockCallback | None = None,
) -> BlockReport:
    """Train or evaluate what is not yet in the store; every item is saved as soon as it is finished.

    An item that fails is recorded with its traceback and the others go on. A stored file that cannot be read back
    is reported, not recorded: the item is not at fault. KeyboardInterrupt and SystemExit pass through; a long
    training of an engine that keeps checkpoints resumes from its last one when the block is run again.

    Args:
        block: what to do.
        store_url: of the result store.
        functions: what does the work.
        report: gets the progress of a training about once a second.

    Raises:
        InputError: the environment variable for checkpoints is not a number.
        StoreUnavailableError: the store itself fails, so nothing further could be kept.
    """
    from agents.deeprl.threads import one_thread  # here, because it imports torch: only workers need it

    started = time.perf_counter()
    work = _BlockWork(ResultStore(store_url), functions, BlockProgress(report))
    with one_thread():
        if isinstance(block, TrainBlock):
            work.train(block.agents)
        else:
            work.evaluate(block.evaluations)
    outcome = JobOutcome.FAILED if work.failed else JobOutcome.DONE
    corrupt = tuple(dict.fromkeys(work.corrupt))
    return BlockReport(block, outcome, time.perf_counter() - started, tuple(work.failed), corrupt, tuple(work.notes))


class _BlockWork:
    """One block's work.

    Attributes:
        failed: (address, traceback) of the items that failed.
        corrupt: one line per stored file that could not be read back.
        notes: lines for the log.
    """

    def __init__(self, store: ResultStore, functions: TaskFunctions, progress: BlockProgress) -> None:
        self._store = store
        self._functions = functions
        self._progress = progress
        self.failed: list[tuple[str, str]] = []
        self.corrupt: list[str] = []
        self.notes: list[str] = []

    def train(self, keys: Sequence[AgentKey]) -> None:
        """Train the missing agents, as many at once as suits their engine."""
        missing = [key for key in keys if not self._store.has_agent(key)]
        self._progress.finished(len(keys) - len(missing), resumed=True)
        for group in grouped(missing, lambda key: (key.recipe.address, key.engine, key.selection)):
            size = self._block_size(group[0])
            for start in range(0, len(group), size):
                self._train_some(group[start : start + size])

    def _block_size(self, key: AgentKey) -> int:
        try:
            return agents_together(self._engine(key.engine), key.recipe)
        except Exception:  # noqa: BLE001 - training the first agent will show what is wrong
            return 1

    def _train_some(self, keys: Sequence[AgentKey]) -> None:
        """Agents of one recipe in one call. If it fails, one by one, so that a failing seed costs only itself."""
        if len(keys) == 1:
            self._train_one(keys[0])
            return
        checkpoints = self._checkpoints(keys)
        try:
            agents = self._trained(keys, checkpoints)
        except Exception:  # noqa: BLE001 - the agents are tried one by one
            checkpoints.done()
            for key in keys:
                self._train_one(key)
            return
        self._keep(
            [(key, partial(self._store.save_agent, key, agent)) for key, agent in zip(keys, agents, strict=True)]
        )
        checkpoints.done()
        self._progress.finished(len(keys))

    def _train_one(self, key: AgentKey) -> None:
        checkpoints = self._checkpoints([key])
        with self._item(key):
            (agent,) = self._trained([key], checkpoints)
            self._store.save_agent(key, agent)
        checkpoints.done()
        self._progress.finished(1)

    def _trained(self, keys: Sequence[AgentKey], checkpoints: TrainingCheckpoints) -> list[TrainedAgent]:
        first, seeds = keys[0], [key.seed for key in keys]
        progress = self._progress.steps(len(keys), first.recipe.total_steps, lambda: checkpoints.resumed)
        return train_watched(self._engine(first.engine), first.recipe, seeds, first.selection, progress, checkpoints)

    def _checkpoints(self, keys: Sequence[AgentKey]) -> TrainingCheckpoints:
        return TrainingCheckpoints(self._store.url, keys, self.notes.append)

    def _engine(self, name: str) -> Engine:
        loaded: Engine = load_object(name) if is_import_path(name) else load_object(self._functions.engine)(name)
        return loaded

    def evaluate(self, keys: Sequence[EvaluationKey]) -> None:
        """Run the missing evaluations, those by the fleet together."""
        missing = [key for key in keys if not self._store.has_evaluation(key)]
        for key in missing:
            if key.method != "fleet":
                self._evaluate_one(key)
        together = [key for key in missing if key.method == "fleet"]
        for group in grouped(together, lambda key: (key.episodes, key.seed)):
            self._evaluate_together(group)

    def _evaluate_one(self, key: EvaluationKey) -> None:
        with self._item(key):
            agent = self._store.load_agent(key.agent)
            if agent.dead:
                self._store.save_evaluation(key, (DEAD,) * key.episodes, 0.0, 0.0)
                return
            stopwatch = Stopwatch()
            returns = load_object(self._functions.evaluate)(
                agent.checkpoint, key.agent.recipe.algorithm, key.environment, key.episodes, key.seed
            )
            self._store.save_evaluation(key, tuple(returns), stopwatch.wall, stopwatch.cpu)

    def _evaluate_together(self, keys: Sequence[EvaluationKey]) -> None:
        """Evaluations of the same episodes, in one batch."""
        agents: dict[str, SavedAgent | None] = {}
        ready = []
        for key in keys:
            address = key.agent.address()
            with self._item(key):
                if address not in agents:
                    agents[address] = _saved_agent(self._store.url, key.agent)
                agent = agents[address]
                if agent is None:
                    self._store.save_evaluation(key, (DEAD,) * key.episodes, 0.0, 0.0)
                else:
                    ready.append((key, (agent, key.environment)))
        stopwatch = Stopwatch()
        try:
            outcomes = load_object(self._functions.evaluate_together)(
                [pair for _, pair in ready], keys[0].episodes, keys[0].seed
            )
        except Exception as error:  # noqa: BLE001 - reported for every item
            outcomes = [error] * len(ready)
        wall, cpu = stopwatch.wall / max(1, len(ready)), stopwatch.cpu / max(1, len(ready))
        done = [(key, outcome) for (key, _), outcome in zip(ready, outcomes, strict=True)]
        for key, outcome in done:
            if isinstance(outcome, Exception):
                with self._item(key):
                    raise outcome
        save = self._store.save_evaluation
        self._keep(
            [(key, partial(save, key, outcome, wall, cpu)) for key, outcome in done if isinstance(outcome, tuple)]
        )

    def _keep(self, saves: Sequence[tuple[AgentKey | EvaluationKey, Callable[[], None]]]) -> None:
        """Save several items at once: each waits for the disk, and the disk takes many together."""
        with ThreadPoolExecutor(WRITERS) as threads:
            waiting = [(key, threads.submit(save)) for key, save in saves]
        for key, result in waiting:
            with self._item(key):
                result.result()

    @contextmanager
    def _item(self, key: AgentKey | EvaluationKey) -> Iterator[None]:
        """What goes wrong inside is this item's failure, or a damaged file's."""
        try:
            yield
        except StoreUnavailableError:
            raise
        except CorruptArtifactError as error:
            agent = key.agent if isinstance(key, EvaluationKey) else key
            # An error without a source: the bytes are the recorded ones, yet the library cannot open them.
            self.corrupt.append(str(error if error.source else error.located(source=self._store.location(agent))))
            self.failed.append((key.address(), traceback.format_exc()))
        except Exception:  # noqa: BLE001 - a user's environment, algorithm or operator may fail in any way
            self.failed.append((key.address(), traceback.format_exc()))
            self._store.save_failure(*self.failed[-1])


@lru_cache(maxsize=64)
def _saved_agent(store_url: str, key: AgentKey) -> SavedAgent | None:
    """None for a dead agent. Cached, because a boundary search needs the same agents in every round."""
    from agents.deeprl.engines.fleet.evaluation import SavedAgent

    agent = ResultStore(store_url).load_agent(key)
    return None if agent.dead else SavedAgent(agent.checkpoint, key.recipe.algorithm, key.recipe.policy)
