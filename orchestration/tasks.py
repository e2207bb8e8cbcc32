"""What a worker does with a block of work: the same function in this process and in a Ray task."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from agents.deeprl.engines.base import Engine
from envsearch.errors import CorruptArtifactError, StoreUnavailableError
from envsearch.import_path import is_import_path, load_object
from orchestration.stores.results import ResultStore
from orchestration.work import AgentKey, BlockReport, EvaluationKey, JobOutcome, TrainBlock, WorkBlock


@dataclass(frozen=True, slots=True)
class Parts:
    """The two functions that do the real work, by import path, so that a worker finds them on its own.

    Attributes:
        engine: name -> `Engine`. A key whose engine is an import path itself does without it.
        evaluate: (checkpoint, algorithm, environment, episodes, seed) -> returns, shape (episodes,).
    """

    engine: str = "agents.deeprl.engines.registry:engine"
    evaluate: str = "agents.deeprl.evaluation:evaluate"


DEFAULT_PARTS = Parts()


def run_block(block: WorkBlock, store_url: str, parts: Parts = DEFAULT_PARTS) -> BlockReport:
    """Train or evaluate what is not yet in the store, one item after another, each saved at once.

    An item that fails is recorded with its traceback and the others go on. A stored file that cannot be read back
    is reported, not recorded: it is no fault of the item. KeyboardInterrupt and SystemExit pass through.

    Raises:
        StoreUnavailableError: the store itself fails; nothing that is tried next could be kept.
    """
    from agents.deeprl.threads import one_thread  # here, because it imports torch: only workers need it

    started = time.perf_counter()
    store = ResultStore(store_url)
    failed: list[tuple[str, str]] = []
    corrupt: list[str] = []
    for address, compute in _items(block, store, parts):
        try:
            with one_thread():
                compute()
        except StoreUnavailableError:
            raise
        except CorruptArtifactError as error:
            corrupt.append(str(error))
            failed.append((address, traceback.format_exc()))
        except Exception:  # noqa: BLE001 - a user's environment, algorithm or operator may fail in any way
            failed.append((address, traceback.format_exc()))
            store.save_failure(*failed[-1])
    outcome = JobOutcome.FAILED if failed else JobOutcome.DONE
    return BlockReport(block, outcome, time.perf_counter() - started, tuple(failed), tuple(dict.fromkeys(corrupt)))


def _items(block: WorkBlock, store: ResultStore, parts: Parts) -> list[tuple[str, Callable[[], None]]]:
    if isinstance(block, TrainBlock):
        return [(agent.address(), partial(_train, agent, store, parts)) for agent in block.agents]
    return [(item.address(), partial(_evaluate, item, store, parts)) for item in block.evaluations]


def _train(key: AgentKey, store: ResultStore, parts: Parts) -> None:
    if store.has_agent(key):
        return
    engine: Engine = load_object(key.engine) if is_import_path(key.engine) else load_object(parts.engine)(key.engine)
    (agent,) = engine.train(key.recipe, [key.seed], key.selection)
    store.save_agent(key, agent)


def _evaluate(key: EvaluationKey, store: ResultStore, parts: Parts) -> None:
    if store.has_evaluation(key):
        return
    checkpoint = store.load_agent(key.agent).checkpoint
    started = time.perf_counter()
    try:
        returns = load_object(parts.evaluate)(
            checkpoint, key.agent.recipe.algorithm, key.environment, key.episodes, key.seed
        )
    except CorruptArtifactError as error:  # its bytes are the recorded ones, yet the library cannot open them
        raise error.located(source=store.location(key.agent)) from error
    store.save_evaluation(key, tuple(returns), time.perf_counter() - started)
