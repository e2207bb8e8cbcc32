"""Every kind of stored bytes: what 0.1.0 wrote is read, and a version that comes later is marked, read and refused."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from agents.scheduling import formats as agent_formats
from agents.scheduling.settings import AgentSettings
from agents.scheduling.state import from_bytes, to_bytes
from agents.scheduling.testcase import TestResult, Verdict
from envsearch.errors import CorruptArtifactError
from orchestration.service.store import codec
from orchestration.service.store.formats import UNRECORDED, UPCASTS, VERSIONS

RESULTS = (TestResult("a", Verdict.FAILED, 1.5, 9.0), TestResult("b", Verdict.NOT_RUN))
SETTINGS = AgentSettings("failure_rate", seed=3)
HISTORY = ("unit", ["a"], [(("passed", 2.0, None), ("failed", None, 1.0))])

WRITERS: dict[str, tuple[Callable[[], bytes | str], Callable[[Any], object], object]] = {
    "settings": (lambda: codec.settings_text(SETTINGS), codec.settings_of, SETTINGS),
    "results": (lambda: codec.packed_results(RESULTS), codec.results_of, RESULTS),
    "history": (lambda: codec.packed_history(*HISTORY), codec.history_of, HISTORY),
    "restored": (lambda: codec.packed_restore(3, 17), codec.restore_of, (3, 17)),
    "rewards": (lambda: codec.packed_rewards(np.array([0.5, np.nan])), codec.rewards_of, (0.5, None)),
    "metrics": (lambda: codec.metrics_text({"b": 1.0, "a": 0.1}), codec.metrics_of, {"a": 0.1, "b": 1.0}),
    "state": (lambda: to_bytes({"seed": 3}), from_bytes, {"seed": 3}),
}

WRITTEN_BY_0_1: dict[str, bytes | str] = {
    "settings": codec.settings_text(SETTINGS).replace(" ", ""),
    "results": b'j[["a","b"],["failed","not_run"],[1.5,null],[9.0,null]]',
    "history": b'j{"job":"unit","ids":["a"],"histories":[[["passed",2.0,null],["failed",null,1.0]]]}',
    "restored": b'j{"version":3,"seq":17}',
    "rewards": zlib.compress(np.array([0.5, np.nan], "<f8").tobytes(), 1),
    "metrics": '{"a":0.1,"b":1.0}',
}


def test_every_kind_but_episodes_and_files_is_here() -> None:
    assert WRITERS.keys() == VERSIONS.keys() - {"episode", "archive"}
    assert UNRECORDED.keys() <= VERSIONS.keys()


@pytest.mark.parametrize("kind", WRITERS)
def test_what_is_written_is_read(kind: str) -> None:
    write, read, value = WRITERS[kind]
    assert read(write()) == value


@pytest.mark.parametrize("kind", WRITTEN_BY_0_1)
def test_the_first_version_is_written_as_0_1_wrote_it(kind: str) -> None:
    write, read, value = WRITERS[kind]
    assert VERSIONS[kind] == 1, "keep these bytes, and add what this version writes"
    assert write() == WRITTEN_BY_0_1[kind]
    assert read(WRITTEN_BY_0_1[kind]) == value


@pytest.mark.parametrize("kind", WRITERS)
def test_a_later_version_is_marked_read_and_refused_by_older_programs(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, read, value = WRITERS[kind]
    old = write()
    run: list[str] = []

    def upcast_1_2(before: Any) -> Any:
        run.append(kind)
        return before

    for versions, upcasts in ((VERSIONS, UPCASTS), (agent_formats.VERSIONS, agent_formats.UPCASTS)):
        if kind in versions:
            monkeypatch.setitem(versions, kind, 2)
            monkeypatch.setitem(upcasts, (kind, 1), upcast_1_2)
    new = write()
    assert new[:3] in ("v2:", b"v2:")
    assert read(new) == value
    assert run == []
    assert read(old) == value
    assert run == [kind]
    monkeypatch.undo()
    unreadable = new[:3] + type(new)()  # nobody knows yet what a later version looks like
    with pytest.raises(CorruptArtifactError, match=f"has version 2 of the format '{kind}'"):
        read(unreadable)
