"""Episodes as plain bytes, without pickle: what a store keeps of a recommendation.

A magic number with the version, a checksum, a header in JSON, the ids, and the arrays' own bytes. Derived values are
left out: features, for example, are a function of the rest of the observation. Floats come back bit for bit. The ids
are compressed; compressing the numbers too would take longer than writing them.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.scheduling.budget import budget_seconds
from agents.scheduling.columns import (
    Features,
    RankedColumns,
    TestColumns,
    chances_column,
    ids_of,
    keys_of,
    ranking_columns,
)
from agents.scheduling.episode import Budget, Episode
from agents.scheduling.features import FEATURE_NAMES, features_of
from agents.scheduling.formats import AGENT_FORMATS
from agents.scheduling.observation import FloatArray, Observation, Scores
from agents.scheduling.testcase import SEPARATOR, TestCase
from envsearch.errors import CorruptArtifactError

_MAGIC = b"PEP"  # followed by the version in one digit
_SIZES = struct.Struct("<III")  # checksum of what follows, bytes of the header, bytes of the ids
_LEVEL = 1
_BUDGET = ("seconds", "share", "fill", "must_run", "new_tests_in")
_COUNTED = ("runs", "failures", "since_run", "since_failure", "age")
_coded = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), allow_nan=False).encode


def episode_to_bytes(episode: Episode) -> bytes:
    """The whole episode; `episode_from_bytes` gives an equal one."""
    seen, scores = episode.observation, episode.scores
    ranking = ranking_columns(episode.ranking)
    # Equal reasons are nearly always the same object, and comparing identities is faster than comparing texts.
    texts = {id(reason): reason for reason in ranking.reasons}
    number = {identity: place for place, identity in enumerate(texts)}
    places = ranking.places_among(ids_of(episode.tests))
    integers, doubles, past = seen.once(_seen_to)
    reasons = [number[id(reason)] for reason in ranking.reasons]
    ids, tests = _tests_to(episode.tests)
    header = _coded(
        {
            "id": episode.id,
            "number": episode.number,
            "agent_version": episode.agent_version,
            "opened_at": episode.opened_at,
            "budget": {name: getattr(episode.budget, name) for name in _BUDGET},
            "exploration": scores.exploration,
            "reasons": list(texts.values()),
            "tests": tests,
            "shape": [len(seen), seen.past_failures.shape[1]],
            "integers": integers.dtype.str,
            "chances": scores.chances is not None,
        }
    ).encode()
    body = b"".join(
        [
            header,
            ids,
            doubles,
            _doubles(scores.priority),
            integers.tobytes(),
            np.array((episode.order, places), integers.dtype).tobytes(),
            bytes(reasons) if len(texts) <= 256 else np.array(reasons, "<u4").tobytes(),
            past,
            np.asarray(scores.explored, np.bool_).tobytes(),
            bytes(ranking.selected),
            b"" if scores.chances is None else _doubles(scores.chances),
        ]
    )
    magic = b"%b%d" % (_MAGIC, AGENT_FORMATS.versions["episode"])
    return b"".join([magic, _SIZES.pack(zlib.crc32(body), len(header), len(ids)), body])


def episode_from_bytes(data: bytes, name: str = "episode") -> Episode:
    """The inverse of `episode_to_bytes`.

    Raises:
        CorruptArtifactError: the bytes are not an episode, are damaged, or have an unknown version.
    """
    start, version = len(_MAGIC) + 1, data[len(_MAGIC) : len(_MAGIC) + 1]
    if not data.startswith(_MAGIC) or not version.isdigit():
        raise CorruptArtifactError("is not an episode", name, "a saved episode")
    AGENT_FORMATS.check("episode", int(version), name)
    try:
        data = AGENT_FORMATS.upcast("episode", int(version), data[start:])
        checksum, size, text = _SIZES.unpack_from(data)
        body = data[_SIZES.size :]
        if zlib.crc32(body) != checksum:
            raise ValueError("the checksum differs")
        return _episode(json.loads(body[:size]), body[size : size + text], _Reader(body, size + text))
    except (zlib.error, struct.error, ValueError, KeyError, TypeError, IndexError) as error:
        raise CorruptArtifactError(f"cannot be read ({type(error).__name__})", name, "a saved episode") from error


class _Reader:
    """Arrays one after another."""

    def __init__(self, data: bytes, start: int) -> None:
        self._data, self._at = data, start

    def take(self, dtype: str, *shape: int) -> NDArray[Any]:
        count = int(np.prod(shape, dtype=np.int64))
        # A copy: the slices of a bytes object are read-only and would keep the whole of it.
        array = np.frombuffer(self._data, dtype, count, self._at).reshape(shape).copy()
        self._at += array.nbytes
        return array


def _seen_to(seen: Observation) -> tuple[NDArray[Any], bytes, bytes]:
    """The counters in the narrowest type that holds them and places among the tests, the doubles, the past failures."""
    counted = np.array([getattr(seen, name) for name in _COUNTED], np.int64)
    integers = counted.astype(_narrowest(max(int(counted.max(initial=0)), len(seen) - 1)))
    past = np.where(np.isnan(seen.past_failures), -1.0, seen.past_failures).astype(np.int8)
    return integers, _doubles(seen.durations) + _doubles(seen.failure_rate), past.tobytes()


def _doubles(values: FloatArray) -> bytes:
    return np.asarray(values, "<f8").tobytes()


def _tests_to(tests: Sequence[TestCase]) -> tuple[bytes, Any]:
    """Ids, and the other fields of the tests: columns where all tests are of one job, else a list for each test."""
    if not isinstance(tests, TestColumns):
        return b"", [[test.id, test.job, test.duration, test.features, test.history_id] for test in tests]
    supplied: str | list[bool] = "all" if tests.durations else "none"
    if None in tests.durations:
        supplied = [seconds is not None for seconds in tests.durations]
    packed = _kept_packed_ids(tests.ids) if len(tests) <= _SHORT else _packed_ids(tests.ids)
    return packed, {
        "job": tests.job,
        "told": supplied,
        "features": tests.features,
    }


def _packed_ids(ids: tuple[str, ...]) -> bytes:
    return zlib.compress(SEPARATOR.join(ids).encode("utf-8", "surrogatepass"), _LEVEL)


# A job's tests are mostly those of its run before.
_kept_packed_ids = lru_cache(maxsize=64)(_packed_ids)
_SHORT = 2000


def _narrowest(largest: int) -> str:
    return "<i2" if largest < 1 << 15 else "<i4" if largest < 1 << 31 else "<i8"


def _tests_from(header: Any, ids: bytes, durations: FloatArray) -> Sequence[TestCase]:
    if isinstance(header, list):
        return tuple(
            TestCase(own, job, duration, _pairs(features), history_id)
            for own, job, duration, features, history_id in header
        )
    supplied = header["told"]
    text = zlib.decompress(ids).decode("utf-8", "surrogatepass")
    seconds: Sequence[float | None] = durations.tolist() if supplied != "none" else ()
    if isinstance(supplied, list):
        seconds = [value if present else None for value, present in zip(seconds, supplied, strict=True)]
    names = text.split(SEPARATOR) if text else []
    return TestColumns(names, header["job"], seconds, [_pairs(features) for features in header["features"]])


def _pairs(features: list[Any]) -> Features:
    return tuple((name, value) for name, value in features)


def _episode(header: dict[str, Any], text: bytes, arrays: _Reader) -> Episode:
    count, kept = header["shape"]
    durations, failure_rate, priority = (arrays.take("<f8", count) for _ in range(3))
    integers = arrays.take(header["integers"], 7, count).astype(np.int64)
    numbers = arrays.take("|u1" if len(header["reasons"]) <= 256 else "<u4", count).tolist()
    past_failures = arrays.take("|i1", count, kept).astype(np.float64)
    past_failures[past_failures < 0.0] = np.nan
    explored, selected = arrays.take("?", count), arrays.take("?", count)
    chances = arrays.take("<f8", count) if header.get("chances") else None  # episodes of 0.1 have none
    tests = _tests_from(header["tests"], text, durations)
    *counted, order, places = integers
    budget = Budget(**{**header["budget"], "must_run": tuple(header["budget"]["must_run"])})
    observation = Observation(
        keys=keys_of(tests),
        feature_names=FEATURE_NAMES,
        past_failures=past_failures,
        **dict(zip(_COUNTED, counted, strict=True)),
        durations=durations,
        new=counted[0] == 0,
        failure_rate=failure_rate,
        make_features=partial(features_of, tests),
        budget_seconds=budget_seconds(budget, durations),
    )
    ids, reasons = ids_of(tests), [tuple(texts) for texts in header["reasons"]]
    ranking = RankedColumns(
        [ids[place] for place in places.tolist()],
        priority[places].tolist(),
        selected.tolist(),
        durations[places].tolist(),
        [reasons[number] for number in numbers],
        places,
        chances_column(chances, places),
    )
    return Episode(
        id=header["id"],
        number=header["number"],
        agent_version=header["agent_version"],
        tests=tests,
        observation=observation,
        scores=Scores(priority, explored, header["exploration"], chances),
        order=order,
        ranking=ranking,
        budget=budget,
        opened_at=header["opened_at"],
    )
