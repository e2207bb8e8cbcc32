"""Episodes as plain bytes, without pickle: what a store keeps of a recommendation.

A header in JSON and the arrays' own bytes behind it, compressed lightly. Floats come back bit for bit.
"""

from __future__ import annotations

import dataclasses
import json
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.scheduling.episode import Budget, Episode, RankedTest
from agents.scheduling.observation import Observation, Scores
from agents.scheduling.testcase import TestCase
from envsearch.errors import CorruptArtifactError

_MAGIC = b"PEP1"
_LEVEL = 1
_OBSERVED = (
    "features",
    "past_failures",
    "runs",
    "since_run",
    "since_failure",
    "durations",
    "new",
    "failure_rate",
)


def episode_to_bytes(episode: Episode) -> bytes:
    """The whole episode; `episode_from_bytes` gives an equal one."""
    arrays = _arrays(episode)
    header = json.dumps(_header(episode, arrays), ensure_ascii=True, separators=(",", ":"), allow_nan=False).encode()
    body = b"".join([struct.pack("<Q", len(header)), header, *(array.tobytes() for array in arrays.values())])
    return _MAGIC + zlib.compress(body, _LEVEL)


def episode_from_bytes(data: bytes, name: str = "episode") -> Episode:
    """The inverse of `episode_to_bytes`.

    Raises:
        CorruptArtifactError: the bytes are no episode.
    """
    if data[:4] != _MAGIC:
        raise CorruptArtifactError("is no episode", name, "a saved episode")
    try:
        body = zlib.decompress(data[4:])
        (size,) = struct.unpack_from("<Q", body)
        header = json.loads(body[8 : 8 + size])
        return _episode(header, _read_arrays(header["arrays"], body, 8 + size))
    except (zlib.error, struct.error, ValueError, KeyError, TypeError, IndexError) as error:
        raise CorruptArtifactError(f"cannot be read ({type(error).__name__})", name, "a saved episode") from error


def _arrays(episode: Episode) -> dict[str, NDArray[Any]]:
    index = {test.id: place for place, test in enumerate(episode.tests)}
    ranking = episode.ranking
    return {
        **{field: np.ascontiguousarray(getattr(episode.observation, field)) for field in _OBSERVED},
        "priority": episode.scores.priority,
        "explored": episode.scores.explored,
        "order": episode.order,
        "ranked": np.array([index[entry.id] for entry in ranking], np.int64),
        "selected": np.array([entry.selected for entry in ranking], np.bool_),
        "ranked_priority": np.array([entry.priority for entry in ranking], np.float64),
        "ranked_duration": np.array([entry.expected_duration for entry in ranking], np.float64),
    }


def _header(episode: Episode, arrays: dict[str, NDArray[Any]]) -> dict[str, Any]:
    texts: dict[tuple[str, ...], int] = {}
    told = [texts.setdefault(entry.reasons, len(texts)) for entry in episode.ranking]
    return {
        "id": episode.id,
        "number": episode.number,
        "agent_version": episode.agent_version,
        "opened_at": episode.opened_at,
        "budget": dataclasses.asdict(episode.budget),
        "tests": [[test.id, test.job, test.duration, test.features, test.history_id] for test in episode.tests],
        "feature_names": episode.observation.feature_names,
        "exploration": episode.scores.exploration,
        "reasons": list(texts),
        "told": told,
        "arrays": [[name, array.dtype.str, array.shape] for name, array in arrays.items()],
    }


def _read_arrays(described: list[Any], body: bytes, start: int) -> dict[str, NDArray[Any]]:
    arrays = {}
    for name, kind, shape in described:
        dtype = np.dtype(kind)
        if dtype.hasobject:
            raise ValueError("an array of objects")
        count = int(np.prod(shape, dtype=np.int64))
        # A copy: the slices of a bytes object are read-only and would keep the whole of it.
        arrays[name] = np.frombuffer(body, dtype, count, start).reshape(shape).copy()
        start += count * dtype.itemsize
    return arrays


def _episode(header: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Episode:
    tests = tuple(
        TestCase(own, job, duration, tuple((name, value) for name, value in features), history_id)
        for own, job, duration, features, history_id in header["tests"]
    )
    observation = Observation(
        keys=tuple(test.key for test in tests),
        feature_names=tuple(header["feature_names"]),
        **{field: arrays[field] for field in _OBSERVED},
    )
    reasons = [tuple(texts) for texts in header["reasons"]]
    rows = zip(
        arrays["ranked"].tolist(),
        arrays["ranked_priority"].tolist(),
        arrays["selected"].tolist(),
        arrays["ranked_duration"].tolist(),
        header["told"],
        strict=True,
    )
    ranking = tuple(
        RankedTest(tests[test].id, position, priority, selected, duration, reasons[told])
        for position, (test, priority, selected, duration, told) in enumerate(rows, start=1)
    )
    budget = Budget(**{**header["budget"], "must_run": tuple(header["budget"]["must_run"])})
    return Episode(
        id=header["id"],
        number=header["number"],
        agent_version=header["agent_version"],
        tests=tests,
        observation=observation,
        scores=Scores(arrays["priority"], arrays["explored"], header["exploration"]),
        order=arrays["order"],
        ranking=ranking,
        budget=budget,
        opened_at=header["opened_at"],
    )
