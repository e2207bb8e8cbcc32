"""Formats of everything that the scheduling service stores; `agents.scheduling.formats` explains versions and upcasts.

The store itself records which versions it holds, see `compatibility`.
"""

from __future__ import annotations

from agents.scheduling import formats as agents
from agents.scheduling.formats import Formats, Upcast

VERSIONS: dict[str, int] = {
    **agents.VERSIONS,
    "settings": 1,
    "history": 1,
    "results": 1,
    "restored": 1,
    "rewards": 1,
    "metrics": 1,
    "archive": 1,
}
"""Kind of stored bytes -> the version that is written. The first version of every kind carries no mark."""

UPCASTS: dict[tuple[str, int], Upcast] = {**agents.UPCASTS}
"""(kind, n) -> the function from version n to version n + 1."""

FORMATS = Formats(VERSIONS, UPCASTS)

UNRECORDED: dict[str, int] = {
    "episode": 2,
    "state": 1,
    "settings": 1,
    "history": 1,
    "results": 1,
    "restored": 1,
    "rewards": 1,
    "metrics": 1,
    "archive": 1,
}
"""The formats of release 0.1.0: its stores do not record them."""
