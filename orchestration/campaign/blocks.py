"""Work items as tasks: how many form a task, by the engine and by the number of cores.

Results do not depend on it: every agent depends on its own recipe and seed, every evaluation on its own agent.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TypeVar

from agents.deeprl.engines.base import Engine, agents_together
from agents.deeprl.engines.registry import engine
from envsearch.import_path import is_import_path, load_object
from orchestration.execution.work import AgentKey, EvaluateBlock, EvaluationKey, TrainBlock, grouped

START = 0.05
"""Share of a whole block's time that a block takes before its first step (its program, its models)."""

LARGEST_BLOCK = 8
"""Evaluations per task, one after another: each takes tens of milliseconds to seconds, a task costs about two."""

BLOCKS_PER_SLOT = 4
"""At least this many tasks per core, so that the last ones end together."""

LARGEST_FLEET = 400
"""Evaluations per task that run together: a killed task loses them: a second on CartPole, at most half a minute."""

Item = TypeVar("Item")


def train_blocks(keys: Sequence[AgentKey], slots: int) -> list[TrainBlock]:
    """Agents as tasks: whole blocks of seeds while there are enough for all cores, the last ones split.

    Agents of an engine that trains one at a time are a task each, in the order of the keys.
    """
    sizes: dict[tuple[str, str], int] = {}
    for key in keys:
        sizes.setdefault((key.engine, key.recipe.address), _block_size(key))
    if all(size == 1 for size in sizes.values()):
        return [TrainBlock((key,)) for key in keys]
    whole: list[list[AgentKey]] = []
    for group in grouped(keys, lambda key: (key.recipe.address, key.engine, key.selection)):
        size = sizes[group[0].engine, group[0].recipe.address]
        whole += _even(group, -(-len(group) // size))
    last = len(whole) % slots
    parts = _parts(last, slots)
    shared = [part for group in whole[len(whole) - last :] for part in _even(group, parts)]
    return [TrainBlock(tuple(group)) for group in (*whole[: len(whole) - last], *shared)]


def _block_size(key: AgentKey) -> int:
    try:
        loaded: Engine = load_object(key.engine) if is_import_path(key.engine) else engine(key.engine)
        return agents_together(loaded, key.recipe)
    except Exception:  # noqa: BLE001 - the task that needs the engine reports the error
        return 1


def _parts(blocks: int, slots: int) -> int:
    """Into how many parts each of the last blocks is cut, so that they end soonest."""
    return min(range(1, slots + 1), key=lambda parts: -(-blocks * parts // slots) * (1 / parts + START))


def _even(items: Sequence[Item], count: int) -> list[list[Item]]:
    """Items in at most `count` runs of nearly equal length, none of them empty."""
    ends = [len(items) * part // count for part in range(count + 1)]
    return [list(items[start:end]) for start, end in itertools.pairwise(ends) if end > start]


def evaluation_blocks(keys: Sequence[EvaluationKey], slots: int) -> list[EvaluateBlock]:
    """Evaluations as tasks. The fleet's are spread over the cores; the evaluations of one agent stay together."""
    alone = [key for key in keys if key.method != "fleet"]
    size = max(1, min(LARGEST_BLOCK, len(alone) // (BLOCKS_PER_SLOT * slots)))
    blocks = [EvaluateBlock(tuple(alone[start : start + size])) for start in range(0, len(alone), size)]
    together = grouped([key for key in keys if key.method == "fleet"], lambda key: key.agent.address())
    if not together:
        return blocks
    total = sum(len(group) for group in together)
    rounds = -(-total // (LARGEST_FLEET * slots))
    shares = _even(together, rounds * slots)
    return [*blocks, *(EvaluateBlock(tuple(itertools.chain(*share))) for share in shares)]
