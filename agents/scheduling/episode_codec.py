"""Episodes as plain bytes, without pickle: what a store keeps of a recommendation.

A header in JSON and the arrays' own bytes behind it, compressed lightly. Floats come back bit for bit.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.scheduling.columns import Features, RankedColumns, TestColumns, ids_of, keys_of, ranking_columns
from agents.scheduling.episode import Budget, Episode
from agents.scheduling.observation import Observation, Scores
from agents.scheduling.testcase import TestCase
from envsearch.errors import CorruptArtifactError

_MAGIC = b"PEP1"
_LEVEL = 1
_BUDGET = ("seconds", "share", "fill", "must_run", "new_tests_in")
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
    index = {name: place for place, name in enumerate(ids_of(episode.tests))}
    ranking = ranking_columns(episode.ranking)
    return {
        **{field: np.ascontiguousarray(getattr(episode.observation, field)) for field in _OBSERVED},
        "priority": episode.scores.priority,
        "explored": episode.scores.explored,
        "order": episode.order,
        "ranked": np.array([index[name] for name in ranking.ids], np.int64),
        "selected": np.array(ranking.selected, np.bool_),
        "ranked_priority": np.array(ranking.priority, np.float64),
        "ranked_duration": np.array(ranking.seconds, np.float64),
    }


def _header(episode: Episode, arrays: dict[str, NDArray[Any]]) -> dict[str, Any]:
    # Equal reasons are nearly always the same object, and to look for that is faster than to compare texts.
    reasons = ranking_columns(episode.ranking).reasons
    texts = {id(one): one for one in reasons}
    places = {one: place for place, one in enumerate(texts)}
    return {
        "id": episode.id,
        "number": episode.number,
        "agent_version": episode.agent_version,
        "opened_at": episode.opened_at,
        "budget": {name: getattr(episode.budget, name) for name in _BUDGET},
        **_tests(episode.tests),
        "feature_names": episode.observation.feature_names,
        "exploration": episode.scores.exploration,
        "reasons": list(texts.values()),
        "told": [places[id(one)] for one in reasons],
        "arrays": [[name, array.dtype.str, array.shape] for name, array in arrays.items()],
    }


def _tests(tests: Sequence[TestCase]) -> dict[str, Any]:
    """Columns where all tests are of one job, else one list for each test."""
    if isinstance(tests, TestColumns):
        return {"ids": tests.ids, "job": tests.job, "durations": tests.durations, "features": tests.features}
    return {"tests": [[test.id, test.job, test.duration, test.features, test.history_id] for test in tests]}


def _read_tests(header: dict[str, Any]) -> Sequence[TestCase]:
    if "ids" in header:
        return TestColumns(
            header["ids"], header["job"], header["durations"], [_pairs(one) for one in header["features"]]
        )
    return tuple(
        TestCase(own, job, duration, _pairs(features), history_id)
        for own, job, duration, features, history_id in header["tests"]
    )


def _pairs(features: list[Any]) -> Features:
    return tuple((name, value) for name, value in features)


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
    tests = _read_tests(header)
    observation = Observation(
        keys=keys_of(tests),
        feature_names=tuple(header["feature_names"]),
        **{field: arrays[field] for field in _OBSERVED},
    )
    ids, reasons = ids_of(tests), [tuple(texts) for texts in header["reasons"]]
    ranking = RankedColumns(
        [ids[place] for place in arrays["ranked"].tolist()],
        arrays["ranked_priority"].tolist(),
        arrays["selected"].tolist(),
        arrays["ranked_duration"].tolist(),
        [reasons[told] for told in header["told"]],
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
