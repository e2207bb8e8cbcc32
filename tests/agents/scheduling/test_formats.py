"""Versions of stored bytes: old values are brought forward step by step, unknown versions are refused."""

from __future__ import annotations

import pytest

from agents.scheduling.formats import Formats
from envsearch.errors import CorruptArtifactError

FORMATS = Formats(
    {"plain": 1, "moved": 3, "broken": 4},
    {
        ("moved", 1): lambda value: [*value, "1 to 2"],
        ("moved", 2): lambda value: [*value, "2 to 3"],
        ("broken", 1): lambda value: value,
        ("broken", 3): lambda value: value,
    },
)


def test_upcasts_run_one_after_another() -> None:
    assert FORMATS.upcast("moved", 1, []) == ["1 to 2", "2 to 3"]
    assert FORMATS.upcast("moved", 2, []) == ["2 to 3"]
    assert FORMATS.upcast("moved", 3, []) == []


def test_the_oldest_version_is_where_the_unbroken_chain_begins() -> None:
    assert [FORMATS.oldest(kind) for kind in ("plain", "moved", "broken")] == [1, 1, 3]


@pytest.mark.parametrize(
    ("kind", "version", "readable"),
    [("plain", 2, "expected version 1"), ("moved", 4, "from 1 to 3"), ("broken", 2, "from 3 to 4"), ("plain", 0, "1")],
)
def test_other_versions_are_refused_in_a_line(kind: str, version: int, readable: str) -> None:
    with pytest.raises(CorruptArtifactError) as refusal:
        FORMATS.check(kind, version, "episode e1")
    assert str(refusal.value).startswith(f"episode e1: has version {version} of the format '{kind}'")
    assert readable in str(refusal.value)


def test_only_later_versions_carry_a_mark() -> None:
    assert FORMATS.marked("plain", b"data") == b"data"
    assert FORMATS.marked("moved", b"data") == b"v3:data"
    assert FORMATS.unmarked("moved", b"data") == (1, b"data")
    assert FORMATS.unmarked("moved", b"v3:v2:data") == (3, b"v2:data")
    assert FORMATS.unmarked("broken", b"v4:") == (4, b"")
    with pytest.raises(CorruptArtifactError, match="version 12"):
        FORMATS.unmarked("moved", b"v12:data")


@pytest.mark.parametrize("start", [b"{}", b"j[]", b"zx", b"PK\x03\x04", b"x\x01", b"v:", b"v0:x", b"value"])
def test_the_first_bytes_of_unmarked_data_are_no_mark(start: bytes) -> None:
    assert FORMATS.unmarked("plain", start) == (1, start)
