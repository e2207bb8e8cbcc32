"""The bytes of what the service stores: the one writer and reader of every kind, with its version.

    settings, metrics            canonical JSON, which people read too
    history, results, restored   JSON, compressed where it is long
    rewards                      compressed doubles
    episode, state               see `agents.scheduling.episode_codec` and `agents.scheduling.state`

Bytes of an older version are brought forward by the upcasts of `formats`; a newer version is refused.
"""

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
from orchestration.service.store.formats import FORMATS

PastRun = tuple[str, float | None, float | None]
"""A past execution: verdict, duration in seconds, Unix time of its end."""

_COMPRESS_FROM = 1000
_canonical = msgspec.json.Encoder(order="sorted").encode
_PLAIN, _ZLIB = b"j", b"z"


def settings_text(settings: AgentSettings) -> str:
    """Canonical JSON: equal settings, equal text.

    Raises:
        ValueError: a number is not finite.
        TypeError: a value is not plain data.
    """
    text = canonical_json(
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
    return FORMATS.marked("settings", text.encode()).decode()


def settings_of(text: str | bytes) -> AgentSettings:
    """The inverse of `settings_text`.

    Raises:
        CorruptArtifactError: a newer version of Proctor wrote them.
    """
    values = _json("settings", text if isinstance(text, bytes) else text.encode())
    budget = values["budget"]
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


def packed_results(results: Sequence[TestResult]) -> bytes:
    """Results of one call, in their order."""
    ids, verdicts = [result.id for result in results], [result.verdict.value for result in results]
    durations, finished_at = [result.duration for result in results], [result.finished_at for result in results]
    return _packed("results", [ids, verdicts, durations, finished_at])


def results_of(data: bytes) -> tuple[TestResult, ...]:
    """The inverse of `packed_results`.

    Raises:
        CorruptArtifactError: the bytes are damaged, or a newer version of Proctor wrote them.
    """
    ids, verdicts, durations, finished_at = _unpacked("results", data)
    nothing = [None] * len(ids)
    return tuple(map(TestResult, ids, map(Verdict, verdicts), durations or nothing, finished_at or nothing))


def packed_history(job: str, ids: Sequence[str], histories: Sequence[tuple[PastRun, ...]]) -> bytes:
    """Past executions of tests that were new to an agent."""
    return _packed("history", {"job": job, "ids": ids, "histories": histories})


def history_of(data: bytes) -> tuple[str, list[str], list[tuple[PastRun, ...]]]:
    """The inverse of `packed_history`.

    Raises:
        CorruptArtifactError: the bytes are damaged, or a newer version of Proctor wrote them.
    """
    value = _unpacked("history", data)
    return value["job"], value["ids"], [tuple(map(tuple, runs)) for runs in value["histories"]]


def packed_restore(version: int, seq: int) -> bytes:
    """A version that was restored, and the event after which it was the agent's state."""
    return _packed("restored", {"version": version, "seq": seq})


def restore_of(data: bytes) -> tuple[int, int]:
    """The inverse of `packed_restore`: (version, seq).

    Raises:
        CorruptArtifactError: the bytes are damaged, or a newer version of Proctor wrote them.
    """
    value = _unpacked("restored", data)
    return int(value["version"]), int(value["seq"])


def packed_rewards(rewards: FloatArray) -> bytes:
    """Rewards in the order of the recommendation, shape (n,); NaN stays NaN."""
    return FORMATS.marked("rewards", zlib.compress(np.ascontiguousarray(rewards, "<f8").tobytes(), 1))


def rewards_of(data: bytes) -> tuple[float | None, ...]:
    """The inverse of `packed_rewards`; None where it was NaN.

    Raises:
        CorruptArtifactError: the bytes are damaged, or a newer version of Proctor wrote them.
    """
    version, body = FORMATS.unmarked("rewards", data)
    try:
        values = np.frombuffer(zlib.decompress(body), "<f8")
    except (zlib.error, ValueError) as error:
        raise CorruptArtifactError(f"cannot be read ({type(error).__name__})", "rewards", "stored rewards") from error
    return plain_rewards(FORMATS.upcast("rewards", version, values))


def plain_rewards(rewards: FloatArray) -> tuple[float | None, ...]:
    """Rewards as callers get them: None in place of NaN."""
    return tuple([None if value != value else value for value in rewards.tolist()])


def metrics_text(metrics: Mapping[str, float]) -> str:
    """Canonical JSON of an episode's metrics.

    Raises:
        ValueError: a number is not finite.
    """
    if not all(map(math.isfinite, metrics.values())):
        raise ValueError(f"{dict(metrics)} holds a number that is not finite")
    return FORMATS.marked("metrics", _canonical({name: float(value) for name, value in metrics.items()})).decode()


def metrics_of(text: str) -> dict[str, float]:
    """The inverse of `metrics_text`, in order.

    Raises:
        CorruptArtifactError: a newer version of Proctor wrote them.
    """
    metrics: dict[str, float] = _json("metrics", text.encode())
    return metrics


def _packed(kind: str, value: Any) -> bytes:
    """JSON as bytes; numbers come back bit for bit."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False).encode()
    return FORMATS.marked(kind, _PLAIN + text if len(text) < _COMPRESS_FROM else _ZLIB + zlib.compress(text, 1))


def _unpacked(kind: str, data: bytes) -> Any:
    version, body = FORMATS.unmarked(kind, data)
    try:
        value = json.loads(zlib.decompress(body[1:]) if body[:1] == _ZLIB else body[1:])
    except (zlib.error, ValueError) as error:
        raise CorruptArtifactError(f"cannot be read ({type(error).__name__})", kind, "an entry of a log") from error
    return FORMATS.upcast(kind, version, value)


def _json(kind: str, data: bytes) -> Any:
    version, body = FORMATS.unmarked(kind, data)
    value = json.loads(body.decode())  # decoding here is faster than letting json detect the encoding
    return FORMATS.upcast(kind, version, value)
