"""How what an agent's log holds is coded: JSON for what is read by people too, compressed where it is long."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from agents.scheduling.episode import Budget
from agents.scheduling.observation import FloatArray
from agents.scheduling.settings import AgentSettings
from agents.scheduling.testcase import TestResult, Verdict
from envsearch.canonical import canonical_json
from envsearch.errors import CorruptArtifactError

PastRun = tuple[str, float | None, float | None]
"""Verdict, duration in seconds, Unix time of its end."""

_COMPRESS_FROM = 1000
_canonical = msgspec.json.Encoder(order="sorted").encode
_PLAIN, _ZLIB = b"j", b"z"


def settings_text(settings: AgentSettings) -> str:
    """Canonical JSON: equal settings, equal text.

    Raises:
        ValueError: a number is not finite.
        TypeError: a value is not plain data.
    """
    return canonical_json(
        {
            "kind": settings.kind,
            "reward": settings.reward,
            "exploration": settings.exploration,
            "hyperparameters": dict(settings.hyperparameters),
            "exploration_settings": dict(settings.exploration_settings),
            "history_length": settings.history_length,
            "seed": settings.seed,
            "budget": settings.budget,
        }
    )


def settings_of(text: str | bytes) -> AgentSettings:
    """The inverse of `settings_text`."""
    values = json.loads(text)
    budget = values.pop("budget")
    return AgentSettings(
        kind=values["kind"],
        reward=values["reward"],
        exploration=values["exploration"],
        hyperparameters=tuple(values["hyperparameters"].items()),
        exploration_settings=tuple(values["exploration_settings"].items()),
        history_length=values["history_length"],
        seed=values["seed"],
        budget=Budget(**{**budget, "must_run": tuple(budget["must_run"])}),
    )


def packed(value: Any) -> bytes:
    """JSON as bytes; numbers come back bit for bit."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False).encode()
    return _PLAIN + text if len(text) < _COMPRESS_FROM else _ZLIB + zlib.compress(text, 1)


def unpacked(data: bytes, what: str) -> Any:
    """The inverse of `packed`.

    Raises:
        CorruptArtifactError: the bytes are damaged.
    """
    try:
        return json.loads(zlib.decompress(data[1:]) if data[:1] == _ZLIB else data[1:])
    except (zlib.error, ValueError) as error:
        raise CorruptArtifactError(f"cannot be read ({type(error).__name__})", what, "an entry of a log") from error


def packed_results(results: Sequence[TestResult]) -> bytes:
    """Results of one call, in their order."""
    columns = ("id", "verdict", "duration", "finished_at")
    return packed([[getattr(result, name) for result in results] for name in columns])


def results_of(data: bytes) -> tuple[TestResult, ...]:
    """The inverse of `packed_results`."""
    ids, verdicts, durations, ends = unpacked(data, "results")
    return tuple(map(TestResult, ids, map(Verdict, verdicts), durations, ends))


def packed_history(job: str, ids: Sequence[str], histories: Sequence[tuple[PastRun, ...]]) -> bytes:
    """Past executions of tests that an agent did not know."""
    return packed({"job": job, "ids": ids, "histories": histories})


def history_of(data: bytes) -> tuple[str, list[str], list[tuple[PastRun, ...]]]:
    """The inverse of `packed_history`."""
    value = unpacked(data, "history")
    return value["job"], value["ids"], [tuple(map(tuple, runs)) for runs in value["histories"]]


def packed_rewards(rewards: FloatArray) -> bytes:
    """Rewards in the order of the recommendation, shape (n,); NaN stays NaN."""
    return zlib.compress(np.ascontiguousarray(rewards, "<f8").tobytes(), 1)


def rewards_of(data: bytes) -> tuple[float | None, ...]:
    """The inverse of `packed_rewards`; None where it was NaN."""
    try:
        values = np.frombuffer(zlib.decompress(data), "<f8")
    except (zlib.error, ValueError) as error:
        raise CorruptArtifactError(f"cannot be read ({type(error).__name__})", "rewards", "stored rewards") from error
    return told_rewards(values)


def told_rewards(rewards: FloatArray) -> tuple[float | None, ...]:
    """As they are told: None where it is NaN."""
    return tuple([None if value != value else value for value in rewards.tolist()])


def metrics_text(metrics: Mapping[str, float]) -> str:
    """Canonical JSON of an episode's metrics.

    Raises:
        ValueError: a number is not finite.
    """
    if not all(map(math.isfinite, metrics.values())):
        raise ValueError(f"{dict(metrics)} holds what is no finite number")
    return _canonical({name: float(value) for name, value in metrics.items()}).decode()
