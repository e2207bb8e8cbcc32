"""The explicit table of engines."""

from __future__ import annotations

from importlib import import_module
from typing import cast

from agents.deeprl.engines.base import Engine
from envsearch.errors import unknown_name

ENGINES: dict[str, tuple[str, str]] = {
    "fleet": ("agents.deeprl.engines.fleet.engine", "FleetEngine"),
    "sb3": ("agents.deeprl.engines.sb3.engine", "SB3Engine"),
}
"""Name -> (module, class); imported when used, because an engine imports its numerical library."""


def engine(name: str, field: str = "engine") -> Engine:
    """The engine of that name.

    Raises:
        InputError: no such engine.
    """
    if name not in ENGINES:
        raise unknown_name("engine", name, ENGINES, field=field)
    module, class_name = ENGINES[name]
    return cast(Engine, getattr(import_module(module), class_name)())
